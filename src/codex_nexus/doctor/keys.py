"""Where a provider's key comes from, and whether it is there. The key itself is never told."""

from __future__ import annotations

from codex_nexus.config.secrets import Secret
from codex_nexus.doctor.finding import Finding, fault, ok, warning
from codex_nexus.doctor.scene import Scene
from codex_nexus.providers.catalogue import ProviderRecord


def source(scene: Scene, record: ProviderRecord, route: str) -> Finding:
    """What is known of this provider's key.

    Args:
        scene: with the configuration.
        record: the provider.
        route: the name of the route that leads there, which may have a key of its own; empty: none.
    """
    check = f"provider.{record.id}.key"
    place, written = _written(scene, record, route)
    told = [(secret.reference, bool(secret.reveal())) for secret in written]
    lost = [reference or "an empty text" for reference, there in told if not there]
    if any(there for _, there in told):
        return _partly(check, place, lost, len(told), scene) if lost else ok(check, _from(place, told))
    if record.local or record.auth == "none":
        return ok(check, f"{record.name} needs no key.")
    if lost:
        return fault(check, f"The key of {record.name} is {', '.join(lost)} in {place}, {_nowhere(lost)}.", _set(lost))
    where = f" (a key: {record.key_url})" if record.key_url else ""
    cure = (
        f"codex-nexus key {record.id}, or the control panel, or 'provider_api_keys.{record.id}' in {scene.file}{where}."
    )
    return fault(check, f"There is no key for {record.name}.", cure)


def another_key(scene: Scene, record: ProviderRecord) -> str:
    """What mends a key that was refused."""
    page = f" ({record.key_url})" if record.key_url else ""
    cure = f"Enter a valid key: codex-nexus key {record.id}, or 'provider_api_keys.{record.id}' in {scene.file}{page}."
    if not record.other_urls:
        return cure
    return f"{cure} A key of another region or plan needs its address: 'provider_addresses.{record.id}'."


def _written(scene: Scene, record: ProviderRecord, route: str) -> tuple[str, tuple[Secret, ...]]:
    """The place in the configuration that decides, and what stands there."""
    config = scene.config
    routed = config.model_routes.get(route)
    if routed is not None and routed.api_key:
        return f"model_routes.{route}.api_key", (routed.api_key,)
    own = config.provider_api_keys.get(record.id, ())
    if any(secret.reveal() for secret in own) or (own and not config.api_key):
        return f"provider_api_keys.{record.id}", own
    return "api_key", (config.api_key,) if config.api_key else ()


def _from(place: str, told: list[tuple[str | None, bool]]) -> str:
    if len(told) > 1:
        return f"{len(told)} keys come from {place} in config.json; they are used in turn."
    reference = told[0][0]
    return f"The key comes from {place} in config.json{f', which names {reference}' if reference else ''}."


def _partly(check: str, place: str, lost: list[str], number: int, scene: Scene) -> Finding:
    sentence = f"{len(lost)} of {number} keys in {place} lead nowhere: {', '.join(lost)}."
    return warning(check, sentence, f"Set them, or take them out of {scene.file}.")


def _nowhere(lost: list[str]) -> str:
    return "and that variable is not set here" if lost[0].startswith("env:") else "and nothing is there"


def _set(lost: list[str]) -> str:
    kind, _, name = lost[0].partition(":")
    if kind == "env":
        return f"Set the variable {name} where codex-nexus is started: export {name}=..."
    if kind == "keyring":
        return f"Store it: keyring set codex-nexus {name} (needs: pip install 'codex-nexus[keyring]')."
    return "Write the key there."
