"""What a check found: one state, one sentence, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from codex_nexus.translate.faults import masked

State = Literal["ok", "warning", "fault"]
CONFIGURATION = ("config", "providers")
"""Checks whose faults mean that the user's files are wrong: the exit code tells them apart."""
_PASSWORD = re.compile(r"://[^/\s@'\"]+@")
_QUERY = re.compile(r"([?&][\w-]*(?:key|token|secret|password|sig)[\w-]*=)[^&\s'\"]+", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+")
_LONGEST = 600


class Finding(Struct, frozen=True):
    """The result of one check.

    Attributes:
        check: a stable name, such as `codex.version` or `provider.ID.key`.
        sentence: what is so, for a person; holds no secret once it was cleaned.
        cure: the command or edit that mends it; empty when nothing needs to be mended.
    """

    check: str
    state: State
    sentence: str
    cure: str = ""


def ok(check: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", sentence)


def warning(check: str, sentence: str, cure: str) -> Finding:
    """It works, or may work, but not as well as it should."""
    return Finding(check, "warning", sentence, cure)


def fault(check: str, sentence: str, cure: str) -> Finding:
    """It cannot work like this."""
    return Finding(check, "fault", sentence, cure)


def exit_code(findings: Iterable[Finding]) -> int:
    """0: no fault (warnings do not count); 1: a fault; 2: a fault in the user's own files."""
    faulty = {finding.check for finding in findings if finding.state == "fault"}
    if faulty.intersection(CONFIGURATION):
        return 2
    return 1 if faulty else 0


def worst(findings: Iterable[Finding]) -> State:
    """The worst state of all."""
    states = {finding.state for finding in findings}
    return "fault" if "fault" in states else "warning" if "warning" in states else "ok"


class Cleaner(Struct, frozen=True):
    """Makes texts fit to be shown and pasted: no keys, no passwords in URLs, the home folder as `~`, one line."""

    secrets: tuple[str, ...]
    home: Path

    def finding(self, found: Finding) -> Finding:
        """The finding with every text cleaned."""
        return Finding(self.text(found.check), found.state, self.text(found.sentence), self.text(found.cure))

    def text(self, text: str) -> str:
        """One cleaned text."""
        # The longest first: a key may begin with another one.
        secrets = sorted((secret for secret in self.secrets if secret), key=len, reverse=True)
        shown = masked(_QUERY.sub(r"\1***", _PASSWORD.sub("://***@", text)), *secrets)
        if len(self.home.parts) > 1:
            shown = re.sub(rf"{re.escape(str(self.home))}(?=[/\\\s'\":,;.)]|$)", "~", shown)
        return _CONTROL.sub(" ", shown)[:_LONGEST].strip()
