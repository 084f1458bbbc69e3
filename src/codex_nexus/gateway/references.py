"""Items that a request names instead of bringing them: `item_reference` to an item of any stored response.

Clients that store their responses send what the model said before in this form, without `previous_response_id`
(the AI SDK does so by default).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from codex_nexus.gateway.lists import identified
from codex_nexus.gateway.state import Gateway
from codex_nexus.routing import Caller
from codex_nexus.sessions.store import SessionStore
from codex_nexus.wire import codec
from codex_nexus.wire.create import CreateResponse
from codex_nexus.wire.ids import response_of

_MARK = b'"item_reference"'


class _Named(Struct):
    type: str | None = None
    id: str | None = None


class _Output(Struct):
    output: list[Raw]


_elements = msgspec.json.Decoder(list[Raw])
_names = msgspec.json.Decoder(list[_Named])
_name = msgspec.json.Decoder(_Named)
_output = msgspec.json.Decoder(_Output)


async def resolved(gateway: Gateway, asked: CreateResponse, stored: list[Raw], caller: Caller) -> CreateResponse:
    """The request with the items themselves where it names items of stored responses.

    What stands in the stored history already stays a reference, and so does what cannot be found: who reads the history
    drops the one and refuses the other.

    Args:
        gateway: whose store is asked.
        asked: the request.
        stored: the history that it continues, as JSON lists of items.
        caller: sees only what is theirs.

    Raises:
        StoreError: the store cannot be read.
    """
    if codec.is_null(asked.input) or _MARK not in bytes(asked.input):
        return asked
    try:
        items, names = _elements.decode(asked.input), _names.decode(asked.input)
    except msgspec.ValidationError:
        return asked  # who reads the items tells it in better words
    known = {name.id for part in stored for name in _names.decode(part)}
    wanted = {n: name.id for n, name in enumerate(names) if name.type == "item_reference" and name.id}
    sought = {owner for name in wanted.values() if name not in known and (owner := response_of(name))}
    if not sought:
        return asked
    store, found = gateway.sure_store(), dict[str, Raw]()
    for response_id in sought:
        found |= await _items_of(store, response_id, caller.identity)
    for n, name in wanted.items():
        if name not in known:
            items[n] = found.get(name, items[n])
    return msgspec.structs.replace(asked, input=Raw(codec.encode(items)))


async def _items_of(store: SessionStore, response_id: str, owner: str) -> dict[str, Raw]:
    """What a response said and was given, by id."""
    resource, given = await store.resource(response_id, owner), await store.input(response_id, owner)
    if resource is None:
        return {}
    found = {item.id: Raw(item.data) for item in identified(given or b"[]", response_id)}
    said = {_name.decode(item).id: item for item in _output.decode(resource).output}
    return found | {name: item for name, item in said.items() if name}
