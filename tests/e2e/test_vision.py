"""Images of the real Codex before a model that sees none: another model looks at them, once."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.codex import CodexHome, CodexRun
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.upstream import Answer, Upstream, call, finish, running_upstream, sse, text, usage

pytestmark = pytest.mark.e2e

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
SEEN = "[image, described by another model: a single red dot]"
NOTE = "[image omitted: this model cannot see images"


def say(said: str) -> Answer:
    """An answer of plain text."""
    return sse([text(said), finish("stop"), usage(12, 3)])


def blind_gateway(folder: Path, blind: Upstream, eyes: Upstream, **config: Any) -> GatewayProcess:
    """A gateway whose model sees nothing, beside one that does."""
    gateway = GatewayProcess(folder, blind.base_url, **config)
    gateway.home.mkdir(parents=True, exist_ok=True)
    records = [
        {"id": "custom", "dialect": {"images": "none"}},
        {"id": "eyes", "name": "Eyes", "base_url": eyes.base_url, "local": True, "default_model": "big"},
    ]
    (gateway.home / "providers.json").write_text(json.dumps({"providers": records}))
    return gateway


def asked(codex: CodexHome, gateway: GatewayProcess) -> list[CodexRun]:
    """A turn with an image and a look at a file, and one more turn of the same thread."""
    (codex.repo / "dot.png").write_bytes(DOT)
    codex.write_config(gateway.base_url, MODEL, TOKEN, stream_max_retries=1)
    # The flag takes as many files as there are: another flag must end it.
    return [codex.exec("what is it?", "-i", "dot.png", "--color", "never"), codex.resume("and now?")]


def test_another_model_describes_each_image_once(codex: CodexHome, upstream: Upstream, tmp_path: Path) -> None:
    look = call(0, "call_1", "view_image", {"path": str(codex.repo / "dot.png")})
    upstream.script(sse([look, finish("tool_calls"), usage(12, 3)]), say("A red dot."), say("Still red."))
    with running_upstream(say("a single red dot")) as eyes:
        with blind_gateway(tmp_path, upstream, eyes, vision_model="eyes/big") as gateway:
            runs = asked(codex, gateway)
        assert [run.returncode for run in runs] == [0, 0], runs
        pictures = {json.dumps(request.json["messages"][-1]["content"]) for request in eyes.requests}
        assert len(eyes.requests) == len(pictures) <= 2  # Codex may write the same file in two ways
    said = [json.dumps(request.json["messages"]) for request in upstream.requests]
    assert [words.count(SEEN) for words in said] == [1, 2, 2]
    assert not any("data:image" in words or NOTE in words for words in said)


def test_without_another_model_codex_is_told_that_this_one_sees_nothing(
    codex: CodexHome, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(say("I cannot see it."))
    with running_upstream() as eyes, blind_gateway(tmp_path, upstream, eyes) as gateway:
        runs = asked(codex, gateway)
        assert eyes.requests == []
    assert [run.returncode for run in runs] == [0, 0], runs
    said = json.dumps(upstream.requests[-1].json["messages"])
    assert "you do not support image input" in said
    assert "data:image" not in said
