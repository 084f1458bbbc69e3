"""The verbs run inside this process; what they do to the log is undone after each test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """The log as it was before."""
    ours, root = logging.getLogger("codex_nexus"), logging.getLogger()
    level, handlers = ours.level, list(root.handlers)
    yield
    ours.setLevel(level)
    root.handlers[:] = [handler for handler in root.handlers if handler in handlers]
