"""`GET /metrics`: counts for Prometheus. Nothing here tells what was said, by whom, or with which key."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, multiprocess
from prometheus_client.exposition import choose_encoder

from codex_nexus import __version__
from codex_nexus.gateway.traffic import OTHER, Few, Traffic, TurnRecord

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The client library's variable: a folder in which several workers add up what they count."""
_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_MODELS = 200
"""Each model is a series of its own."""


def forget(pid: int, folder: str) -> None:
    """A worker has died: what it had under way is no longer; what it counted stays."""
    multiprocess.mark_process_dead(pid, folder)  # pyright: ignore[reportUnknownMemberType]


class Metrics:
    """Counts what goes through the gateway, from its beginning."""

    def __init__(self, traffic: Traffic) -> None:
        self._own = CollectorRegistry()
        self._models = Few(_MODELS)
        destination = ("provider", "model")
        self._running = Gauge(
            "codex_nexus_turns_running",
            "Turns under way.",
            registry=self._own,
            multiprocess_mode="livesum",
        )
        self._turns = Counter(
            "codex_nexus_turns",
            "Turns that ended: completed, incomplete, failed, refused before the answer began, or left by the client.",
            (*destination, "client", "status"),
            registry=self._own,
        )
        self._seconds = Histogram(
            "codex_nexus_turn_seconds",
            "How long turns took, from the request to the terminal event.",
            ("provider",),
            registry=self._own,
            buckets=_SECONDS,
        )
        self._tokens = Counter(
            "codex_nexus_tokens",
            "Tokens as providers counted them; cached ones are among input, reasoning ones among output.",
            (*destination, "kind"),
            registry=self._own,
        )
        self._replies = Counter(
            "codex_nexus_http_replies", "Replies of the API port.", ("path", "status"), registry=self._own
        )
        build = Gauge(
            "codex_nexus_build_info", "The version.", ("version",), registry=self._own, multiprocess_mode="livemax"
        )
        build.labels(__version__).set(1)
        traffic.listen(self._turn)

    def replied(self, pattern: str, status: int) -> None:
        """Counts a reply, under its path's pattern: an id in a path is not told."""
        self._replies.labels(pattern.removeprefix("/v1"), str(status)).inc()

    def encoded(self, accept: str) -> tuple[bytes, str]:
        """What Prometheus gets, and its content type. Several workers tell their sum.

        Args:
            accept: the request's `Accept`, which may ask for OpenMetrics.
        """
        registry = CollectorRegistry()
        if SHARED in os.environ:
            multiprocess.MultiProcessCollector(registry)
        else:
            registry.register(self._own)
            ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    def _turn(self, record: TurnRecord) -> None:
        if record.status == "running":
            self._running.inc()
            return
        self._running.dec()
        provider, _, model = record.upstream.partition("/")
        model = model if self._models.admits(record.upstream) else OTHER
        self._turns.labels(provider, model, record.client, record.status).inc()
        self._seconds.labels(provider).observe(max(0.0, record.seconds))
        for kind, count in (
            ("input", record.input_tokens),
            ("cached", record.cached_tokens),
            ("output", record.output_tokens),
            ("reasoning", record.reasoning_tokens),
        ):
            if count > 0:
                self._tokens.labels(provider, model, kind).inc(count)
