"""`codex-nexus doctor`: looks at the whole chain, from the files to a model's tool call, and says what mends it."""

from codex_nexus.doctor.examination import run

__all__ = ["run"]
