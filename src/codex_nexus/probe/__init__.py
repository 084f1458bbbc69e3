"""`codex-nexus models` and `codex-nexus probe`: what providers offer, and what a model can really do."""

from codex_nexus.probe.offer import models
from codex_nexus.probe.session import probe

__all__ = ["models", "probe"]
