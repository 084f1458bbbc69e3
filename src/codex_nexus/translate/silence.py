"""An answer without a word or a call: what it means, since its provider does not say.

Some servers answer a prompt that is too long with nothing (LM Studio, at times GLM), and some models think and stop
(GLM 5.3). The first is an overflow; the second may go well once more, but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable

from codex_nexus.translate.deltas import Ending
from codex_nexus.translate.dialect import Dialect
from codex_nexus.translate.faults import Fault
from codex_nexus.translate.usage import fills
from codex_nexus.wire.responses import ResponseUsage

_NEARLY = 0.98
"""A prompt that is counted as more than this share of the window was cut to it."""


def overflow(dialect: Dialect, usage: ResponseUsage | None, body: Callable[[], bytes]) -> Fault | None:
    """The fault of a prompt that did not fit, where the server is known to keep silent about it.

    Args:
        dialect: of the server.
        usage: what it counted, if it did.
        body: makes the request again that was sent; asked only when its size decides.
    """
    window = dialect.context_window
    if not dialect.silent_overflow or not window:
        return None
    counted = usage is not None and usage.input_tokens >= window * _NEARLY
    if not counted and not fills(body(), window, 1.0):
        return None
    message = f"The conversation does not fit into the model's context window of {window} tokens"
    return Fault("context_length_exceeded", message)


def thoughts_only(*, again: bool) -> Ending | Fault:
    """How reasoning without an answer ends: worth another try, unless that was tried already (`again`)."""
    return "max_output_tokens" if again else Fault("empty", "The model only thought and gave no answer")
