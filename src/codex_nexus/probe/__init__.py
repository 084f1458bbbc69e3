"""The verbs that look: what providers offer, what a model can really do, what was used."""

from codex_nexus.probe.offer import models
from codex_nexus.probe.session import probe
from codex_nexus.probe.used import usage

__all__ = ["models", "probe", "usage"]
