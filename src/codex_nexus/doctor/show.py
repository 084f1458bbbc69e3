"""The findings in the terminal: a spinner and colours there, plain lines in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from codex_nexus import __version__
from codex_nexus.doctor.finding import Finding

_STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}
_COSTS = "Each provider is asked two tiny questions, which costs a few tokens; --offline leaves them out."


class Show:
    """Shows findings as they come; quiet for `--json`."""

    def __init__(self, *, quiet: bool, offline: bool) -> None:
        self._quiet = quiet
        self._console = Console(highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._offline = offline

    def __enter__(self) -> Self:
        if not self._quiet:
            self._console.print(Text(f"Codex Nexus {__version__} looks at the whole chain.", style="bold"))
            if not self._offline:
                self._console.print(Text(_COSTS, style="dim"))
            if self._console.is_terminal:
                self._status = self._console.status("Looking around")
                self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def doing(self, what: str) -> None:
        """What is looked at now."""
        if self._status is not None and what:
            self._status.update(Text(what))

    def findings(self, findings: list[Finding]) -> None:
        """A line each, and what mends it below."""
        if self._quiet:
            return
        for finding in findings:
            line = Text(f"{finding.state:<8}", style=_STYLES[finding.state])
            self._console.print(line.append(finding.sentence, style="default"))
            if finding.cure:
                self._console.print(Text(f"         -> {finding.cure}", style="dim"))

    def summary(self, findings: list[Finding]) -> None:
        """The last line."""
        counts = {state: sum(finding.state == state for finding in findings) for state in _STYLES}
        warnings, faults = _number(counts["warning"], "warning"), _number(counts["fault"], "fault")
        said = f"{counts['ok']} ok, {warnings}, {faults}."
        style = "red" if counts["fault"] else "yellow" if counts["warning"] else "green"
        self._console.print(Text(said, style=style))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
