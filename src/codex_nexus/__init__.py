"""Codex Nexus: a local gateway between OpenAI Codex and any Chat Completions provider."""

__version__ = "0.1.0"
