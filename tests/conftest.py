"""What tests of several rooms share: a log that speaks, and a PostgreSQL server, started when somebody needs it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer, programs

_absent: list[str] = []  # why there is no PostgreSQL, once somebody has looked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skipped PostgreSQL must not go unseen."""
    for reason in _absent:
        terminalreporter.section("the tests with PostgreSQL did NOT run", red=True)
        terminalreporter.line(reason)


@pytest.fixture(autouse=True)
def _loud() -> Iterator[None]:
    """A verb that quietens our logger does so for its own process; here the next test would see nothing."""
    logger = logging.getLogger("codex_nexus")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server; where the variable CI is set, it must be there."""
    try:
        import psycopg  # noqa: F401, PLC0415 - an extra
    except ImportError:
        found, reason = None, "psycopg is not installed"
    else:
        found, reason = programs(), "there is no PostgreSQL server on this machine (Debian: apt-get install postgresql)"
    if found is None:
        assert not os.environ.get("CI"), reason
        _absent[:] = [reason]
        pytest.skip(reason)
    with PostgresServer(*found) as server:
        yield server
