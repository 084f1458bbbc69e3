"""Places in `config.json` as they are written on a command line: `port`, `model_routes.fast.model`.

The types of the keys part a place into its steps, so that a model's name may hold dots: `model_routes.gpt-5.5.provider`
is the field `provider` of the route `gpt-5.5`. A name that ends like a field stands in double quotes.
"""

from __future__ import annotations

import copy
import difflib
import json
import types
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from codex_nexus.config.model import Config, Keys
from codex_nexus.config.secrets import Secret, tidied
from codex_nexus.errors import Misuse

Raw = dict[str, Any]
Steps = tuple[str | int, ...]

_TRAP = (
    "Shells eat quotes. In sh, put the JSON into '...'. In every shell: write - in place of the value and pass it "
    "through standard input."
)


class Place(Struct, frozen=True):
    """A place, and what belongs there.

    Attributes:
        steps: names of keys, and numbers in lists from 0 on.
        hint: the type of the value.
    """

    written: str
    steps: Steps
    hint: Any


def place_of(written: str) -> Place:
    """The place that is meant.

    Raises:
        Misuse: there is none of this name.
    """
    head, _, rest = written.partition(".")
    hints = get_type_hints(Config)
    if head not in hints:
        near = difflib.get_close_matches(head, hints, n=3, cutoff=0.5)
        raise Misuse(f"There is no key '{head}'{'; near are ' if near else ''}{', '.join(near)}. {_KEYS}")
    found = _inside(hints[head], rest)
    if found is None or written.endswith("."):
        raise Misuse(f"'{written}' names nothing in config.json. {_KEYS}")
    return Place(written, (head, *found[0]), found[1])


_KEYS = "All keys: codex-nexus config keys"


def _inside(hint: Any, text: str) -> tuple[Steps, Any] | None:
    """The steps of this text below a value of this type, and what belongs there; None when there are none."""
    if not text:
        return (), hint
    bare = _needed(hint)
    if isinstance(bare, type) and issubclass(bare, Struct):
        head, _, rest = text.partition(".")
        return _after(head, _inside(hints[head], rest)) if head in (hints := get_type_hints(bare)) else None
    inner = get_args(bare)[-1 if get_origin(bare) is dict else 0] if get_args(bare) else None
    if get_origin(bare) is dict:
        return _named(inner, text)
    if get_origin(bare) is tuple:
        head, _, rest = text.partition(".")
        return _after(int(head), _inside(inner, rest)) if head.isascii() and head.isdigit() else None
    return None


def _named(inner: Any, text: str) -> tuple[Steps, Any] | None:
    """A name of the user's, perhaps with a place behind it: the shortest name with which the rest is one."""
    if text.startswith('"') and '"' in text[1:]:
        name, _, rest = text[1:].partition('"')
        return _after(name, _inside(inner, rest.removeprefix("."))) if not rest or rest[0] == "." else None
    dots = [at for at, sign in enumerate(text) if sign == "." and 0 < at < len(text) - 1]
    found = (_after(text[:at], _inside(inner, text[at + 1 :])) for at in dots)
    return next((one for one in found if one is not None), ((text,), inner))


def _after(step: str | int, rest: tuple[Steps, Any] | None) -> tuple[Steps, Any] | None:
    return None if rest is None else ((step, *rest[0]), rest[1])


def _needed(hint: Any) -> Any:
    """The type without its None."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(one for one in get_args(hint) if one is not type(None))
    return hint


# --- values


def value_of(place: Place, text: str) -> Any:
    """What was written for this place: texts as they are, everything else as JSON.

    Raises:
        Misuse: it should be JSON, and is none.
    """
    bare = _needed(place.hint)
    if bare is Secret or (bare == Keys and not text.lstrip().startswith("[")):
        return tidied(text)
    is_text = bare is str or get_origin(bare) is Literal
    if is_text and not (text.startswith('"') and text.endswith('"')):
        return text.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if is_text or bare in (int, float, bool):
            return text.strip()  # the check of the whole says what is wrong with it
        raise Misuse(f"The value of {place.written} is no valid JSON ({error}). {_TRAP}") from None


def get(raw: Raw, steps: Steps) -> Any:
    """What stands at a place; None when nothing does."""
    value: Any = raw
    for step in steps:
        if isinstance(value, list) and isinstance(step, int):
            value = cast("list[Any]", value)[step] if step < len(value) else None
        else:
            value = cast("Raw", value).get(str(step)) if isinstance(value, dict) else None
    return value


def put(raw: Raw, place: Place, value: Any) -> Raw:
    """A copy with this value at the place; what leads there is made.

    Raises:
        Misuse: something else stands on the way.
    """
    whole = copy.deepcopy(raw)
    holder: Any = whole
    for step, following in zip(place.steps, place.steps[1:], strict=False):
        child = get({"": holder}, ("", step))
        if isinstance(following, int) and isinstance(child, str):
            child = [child]  # a pool may be written as its only key
        _lay(holder, step, ([] if isinstance(following, int) else {}) if child is None else child, place)
        holder = get({"": holder}, ("", step))
    _lay(holder, place.steps[-1], value, place)
    return whole


def _lay(holder: Any, step: str | int, value: Any, place: Place) -> None:
    match holder, step:
        case dict(), str():
            cast("Raw", holder)[step] = value
        case list(), int() if step < len(cast("list[Any]", holder)):
            holder[step] = value
        case list(), int() if step == len(cast("list[Any]", holder)):
            cast("list[Any]", holder).append(value)
        case _:
            raise Misuse(f"There is no place {place.written} in what stands there now; set more of it at once.")


def without(raw: Raw, steps: Steps) -> Raw:
    """A copy without what stands at a place, and without what is empty then."""
    whole, above = copy.deepcopy(raw), steps[:-1]
    if get(whole, steps) is None:
        return whole
    holder: Any = get(whole, above) if above else whole
    del holder[steps[len(above)]]
    return without(whole, above) if above and not holder else whole


def lone(place: Place, value: Any) -> Raw:
    """An otherwise empty configuration with this value."""
    steps = tuple(0 if isinstance(step, int) else step for step in place.steps)
    return put({}, msgspec.structs.replace(place, steps=steps), value)
