"""One provider: its address, key, proxy, model list, a streamed answer and a tool call."""

from __future__ import annotations

import difflib
from importlib.util import find_spec

from msgspec import Struct

from codex_nexus.doctor import keys
from codex_nexus.doctor.finding import Finding, fault, ok, warning
from codex_nexus.doctor.laboratory import Laboratory, Outcome
from codex_nexus.doctor.reach import Reply, knock
from codex_nexus.doctor.scene import Scene
from codex_nexus.errors import NexusError
from codex_nexus.gateway.listing import read_models
from codex_nexus.gateway.road import Road, road_to
from codex_nexus.providers.catalogue import ProviderRecord
from codex_nexus.routing import Caller, target_of, usable_keys
from codex_nexus.snapshot import Snapshot

_ANY_NAME = "codex"
"""A name of Codex's own, which the default provider serves with its default model."""
_TOOL = {
    "type": "function",
    "name": "report_number",
    "description": "Reports a number.",
    "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
}
_PLAIN = {"input": "Reply with the single word OK."}
_CALL = {"input": "Call the tool report_number with the number 7. Do not answer in words.", "tools": [_TOOL]}


class Target(Struct, frozen=True):
    """A provider that something of the configuration leads to.

    Attributes:
        name: the Codex model name of the route; empty for the default provider.
        model: of the provider; empty when only its own list decides.
        own_key: the route's name when it has a key of its own, else empty.
    """

    provider: str
    model: str = ""
    name: str = ""
    own_key: str = ""


def targets(snapshot: Snapshot) -> dict[str, list[Target]]:
    """What is to be examined, by provider: the default one first, then every route and its fallbacks."""
    found = [Target(snapshot.config.provider)]
    for name, route in snapshot.config.model_routes.items():
        own = name if snapshot.route_keys.get(name) else ""
        found.append(Target(route.provider, route.model, name, own))
        found += [Target(fallback.provider, fallback.model, name) for fallback in route.fallbacks]
    by_provider: dict[str, list[Target]] = {}
    for target in dict.fromkeys(found):
        by_provider.setdefault(target.provider, []).append(target)
    return by_provider


async def examine(scene: Scene, laboratory: Laboratory, wanted: list[Target]) -> list[Finding]:
    """Everything about one provider; what cannot be known after a fault is left out."""
    snapshot, first = laboratory.snapshot, wanted[0]
    record = snapshot.catalogue.providers[first.provider]
    if not record.base_url:
        cure = f"Set 'custom_upstream' in {scene.file}, or 'base_url' in providers.json."
        return [fault(f"provider.{record.id}.address", f"{record.name} has no address.", cure)]
    sources = dict.fromkeys(keys.source(scene, record, target.own_key or target.name) for target in wanted)
    found = [ok(f"provider.{record.id}.address", f"{record.name} is at {record.base_url}."), *sources]
    found.append(proxy(snapshot, record))
    if scene.offline or any(finding.state == "fault" for finding in found):
        return found
    return found + await _talk(scene, laboratory, record, wanted)


def proxy(snapshot: Snapshot, record: ProviderRecord) -> Finding:
    """How requests to this provider leave the machine."""
    check, road = f"provider.{record.id}.proxy", road_to(record.id, snapshot)
    sentence = f"{record.name} is asked {_way(road)}."
    if road.proxy.startswith("socks") and find_spec("aiohttp_socks") is None:
        return fault(check, f"{sentence} SOCKS is not installed.", "pip install 'codex-nexus[socks]'")
    return ok(check, sentence)


def _way(road: Road) -> str:
    """For people; the panel has the same in words of its own."""
    if road.proxy:
        return f"through the proxy {road.shown} ({road.place or 'from the settings of this system'})"
    match road.why:
        case "provider":
            return f"directly, as '{road.place}' says"
        case "exempt":
            return f"directly: it is exempt from the proxy ({road.place or 'by the settings of this system'})"
        case "this_machine":
            return "directly: it runs on this machine"
        case _:
            return "directly: no proxy is set"


async def _talk(scene: Scene, laboratory: Laboratory, record: ProviderRecord, wanted: list[Target]) -> list[Finding]:
    try:
        route_key = laboratory.snapshot.route_keys.get(wanted[0].own_key, "")
        key = usable_keys(laboratory.snapshot, record, Caller(owner=True), route_key)[0]
        reply = await knock(laboratory, record, key)
    except NexusError as error:
        return [fault(f"provider.{record.id}.key", error.message, f"Edit {scene.file}.")]
    found = reply.findings(scene)
    scene.skews += [] if reply.skew is None else [reply.skew]
    if any(finding.state == "fault" for finding in found):
        return found
    asked: set[tuple[str, str]] = set()
    for target in wanted:
        model = _model(laboratory.snapshot, target, reply)
        if (model, target.own_key) not in asked:
            asked.add((model, target.own_key))
            key = laboratory.snapshot.route_keys.get(target.own_key, "")
            found.append(_listed(scene, record, model, _ids(reply)))
            found += await _try(scene, laboratory, record, model, key) if model else []
    return found


def _ids(reply: Reply) -> tuple[str, ...]:
    return tuple(model.id for model in read_models(reply.body)) if reply.status == 200 else ()


def _model(snapshot: Snapshot, target: Target, reply: Reply) -> str:
    """The upstream model that serves this target; empty when nobody names one."""
    if target.model:
        return target.model
    listed = {target.provider: _ids(reply)}
    if target.name:
        served = snapshot.catalogue.providers[target.provider].default_model
        route = snapshot.config.model_routes[target.name]
        return target_of(snapshot, target.name, listed).model if route.provider == target.provider else served
    model = target_of(snapshot, _ANY_NAME, listed).model
    return "" if model == _ANY_NAME else model


async def _try(scene: Scene, laboratory: Laboratory, record: ProviderRecord, model: str, key: str) -> list[Finding]:
    """One model: a streamed answer, and a tool call."""
    plain = await laboratory.ask(record.id, model, key, **_PLAIN)
    found = [answer(scene, record, model, plain)]
    if found[-1].state != "fault":
        called = await laboratory.ask(record.id, model, key, **_CALL)
        found.append(tool_call(scene, record, model, called))
    return found


def _listed(scene: Scene, record: ProviderRecord, model: str, ids: tuple[str, ...]) -> Finding:
    """Whether the provider lists the model."""
    check = f"provider.{record.id}.model"
    if not model:
        cure = f"Name one in 'model_routes' or 'model_overrides' of {scene.file}."
        return warning(check, f"No model of {record.name} is named, and it lists none.", cure)
    if not ids:
        return ok(check, f"{record.name} tells no list of models, so '{model}' is tried without.")
    if any(name == model or name.endswith(f"/{model}") for name in ids):
        return ok(check, f"{record.name} lists {model} among {len(ids)} models.")
    near = difflib.get_close_matches(model, ids, n=3, cutoff=0.4) or ids[:3]
    cure = f"If it fails, choose another in {scene.file}, such as {', '.join(near)}."
    return warning(check, f"{record.name} does not list '{model}' among its {len(ids)} models.", cure)


def answer(scene: Scene, record: ProviderRecord, model: str, outcome: Outcome) -> Finding:
    """Whether a streamed answer came back."""
    check = f"provider.{record.id}.answer"
    if outcome.ending in ("completed", "incomplete"):
        if outcome.text or outcome.thought:
            return ok(check, f"{model} streamed an answer in {outcome.seconds:.1f} s; the key is accepted.")
        return warning(check, f"{model} ended its answer without a word.", "Run codex-nexus doctor again.")
    return fault(check, f"{model} gave no answer: {outcome.message}", _cure(scene, record, outcome))


def tool_call(scene: Scene, record: ProviderRecord, model: str, outcome: Outcome) -> Finding:
    """Whether a tool call came back: without them Codex can do nothing."""
    check = f"provider.{record.id}.tools"
    if _TOOL["name"] in outcome.calls:
        return ok(check, f"{model} called a tool in {outcome.seconds:.1f} s.")
    if outcome.ending in ("completed", "incomplete"):
        cure = "Run codex-nexus doctor again; if it stays so, choose a model that can call tools."
        return warning(check, f"{model} was asked to call a tool and answered in words.", cure)
    return fault(check, f"{model} refused a request with tools: {outcome.message}", _cure(scene, record, outcome))


def _cure(scene: Scene, record: ProviderRecord, outcome: Outcome) -> str:
    """What mends a refusal."""
    page = f" ({record.key_url})" if record.key_url else ""
    if outcome.code == "invalid_api_key":
        return keys.another_key(scene, record)
    if outcome.code == "insufficient_quota" or outcome.status == 402:
        return f"Top up your account with {record.name}{page}."
    if outcome.code == "rate_limit_exceeded":
        return "Wait a while, then run codex-nexus doctor again."
    if outcome.status == 404 or "model" in outcome.code:
        return f"Choose a model that {record.name} has: 'model_routes' or 'model_overrides' in {scene.file}."
    if outcome.code in ("timeout", "upstream_unreachable"):
        return "Check the network, the proxy and the provider's status page."
    return f"Try it in the control panel's playground, or run: codex-nexus probe {record.id}"
