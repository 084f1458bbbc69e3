"""What a probe found: the table, the fields that it suggests, and the sentences that close it."""

from __future__ import annotations

from collections import Counter

import msgspec
from msgspec import Struct

from codex_nexus.probe.fields import Fields
from codex_nexus.probe.trial import Row
from codex_nexus.translate.faults import Fault, FaultKind

_CORE = ("text", "tool call")
_CALLS = ("tool call", "parallel calls", "custom tool")
_NOT_FOUND = 404


class Report(Struct):
    """The whole table, and the dialect fields that make what was refused work.

    Attributes:
        stopped: why the questions that are missing were not asked.
        advice: what a person may do about that.
        written: the file into which the suggestion went.
    """

    provider: str
    model: str
    rows: list[Row] = msgspec.field(default_factory=list[Row])
    suggested: Fields = msgspec.field(default_factory=Fields)
    stopped: str = ""
    advice: str = ""
    written: str = ""

    @property
    def serves(self) -> bool:
        """Whether Codex can work with this model: it answers, and tools can be offered to it."""
        failed = {row.question for row in self.rows if row.result == "fails"}
        return not self.stopped and not failed.intersection(_CORE)

    def summary(self) -> str:
        """The counts, in one sentence."""
        counts = Counter(row.result for row in self.rows)
        said = [f"{counts['works']} of {len(self.rows)} work", f"{counts['repaired']} more after a repair"]
        said += [f"{counts['differs']} answered otherwise"] if counts["differs"] else []
        said += [f"{counts['fails']} failed"] if counts["fails"] else []
        said += [f"{counts['left out']} left out"] if counts["left out"] else []
        return f"{', '.join(said)}."

    def verdict(self) -> str:
        """What that means for Codex."""
        if self.stopped:
            return "The probe ends here: no later question could fare better."
        if not self.serves:
            return "Codex cannot work with this model: it works by tool calls, and this model cannot be offered tools."
        if all(row.result not in ("works", "repaired") for row in self.rows if row.question in _CALLS):
            return "It called no tool as it was asked to. Codex works by tool calls: expect little of this model."
        return ""


def advice(fault: Fault | None, provider: str, model: str, address: str) -> str:
    """What a person may do about a fault that ends a probe."""
    if fault is None:
        return ""
    if fault.status == _NOT_FOUND:
        return (
            f"Check the address {address} (it usually ends in /v1) and the model's name {model!r}: "
            f"codex-nexus models {provider} lists those that there are."
        )
    return _ADVICE.get(fault.kind, "").format(provider=provider, address=address)


_ADVICE: dict[FaultKind, str] = {
    "auth": "Check the key: provider_api_keys.{provider} in config.json.",
    "insufficient_quota": "Check the balance of the account at the provider.",
    "rate_limit": "Try again later, or with another key: provider_api_keys.{provider} takes a list.",
    "unreachable": "Is the server running at {address}? codex-nexus models --scan finds those of this machine.",
    "timeout": "A local model may still be loading: try again, or set timeouts.first_byte_s in config.json.",
    "server": "The provider fails by itself: try again later, or look at the server's own log.",
    "empty": "No whole answer came: look at the server's own log, or at a proxy between.",
}
