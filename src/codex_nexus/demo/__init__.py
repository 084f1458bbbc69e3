"""`codex-nexus demo`: the main job with no key and no network, against a scripted provider in this process."""

from codex_nexus.demo.tour import run

__all__ = ["run"]
