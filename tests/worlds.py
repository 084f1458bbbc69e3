"""Snapshots for tests: a configuration as a user writes it, over the shipped providers and some of the test's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from codex_nexus import snapshot as snapshot_floor
from codex_nexus.config.model import read_config
from codex_nexus.providers import catalogue
from codex_nexus.providers.catalogue import Catalogue
from codex_nexus.snapshot import Snapshot


def providers(**records: dict[str, Any]) -> Catalogue:
    """The shipped catalogue with these records laid over it."""
    listed = [{"id": name, "name": name.capitalize(), **record} for name, record in records.items()]
    return catalogue.merged(catalogue.shipped(), catalogue.read(json.dumps({"providers": listed}).encode(), "tests"))


def world(
    config: dict[str, Any] | None = None,
    known: Catalogue | None = None,
    environ: Mapping[str, str] | None = None,
) -> Snapshot:
    """The snapshot of a good configuration."""
    read, _, problems = read_config(config or {})
    assert not problems
    return snapshot_floor.build(read, known or catalogue.shipped(), environ or {})
