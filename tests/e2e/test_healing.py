"""Refusals and silences as the user of the real Codex meets them."""

import pytest

from tests.e2e.codex import CodexHome
from tests.e2e.gateway_process import MODEL, TOKEN, GatewayProcess
from tests.upstream import Answer, Recorded, Upstream, finish, reasoning, sse, status, text, usage

pytestmark = pytest.mark.e2e

HELLO = sse([text("Good morning."), finish("stop"), usage(12, 3)])


@pytest.fixture
def patient(codex: CodexHome, gateway: GatewayProcess) -> CodexHome:
    """A Codex that tries again as often as it does by itself."""
    codex.write_config(gateway.base_url, MODEL, TOKEN, stream_max_retries=5)
    return codex


def test_thoughts_without_an_answer_are_tried_twice_not_six_times(patient: CodexHome, upstream: Upstream) -> None:
    upstream.script(sse([reasoning("Let me think."), finish("stop"), usage(90, 0)]))
    run = patient.exec("greet me")
    assert not run.ended_by_us, run
    assert run.returncode != 0, run
    assert "max_output_tokens" in run.output, run
    assert len(upstream.requests) == 2


def test_a_refused_field_is_left_out_without_a_word_to_the_user(patient: CodexHome, upstream: Upstream) -> None:
    def refuses_usage(asked: Recorded) -> Answer:
        refusal = {"error": {"message": "stream_options: Extra inputs are not permitted"}}
        return status(400, refusal) if "stream_options" in asked.json else HELLO

    upstream.script(refuses_usage)
    for _ in range(2):
        run = patient.exec("greet me")
        assert run.returncode == 0, run
        assert run.stdout.strip() == "Good morning."
    assert ["stream_options" in request.json for request in upstream.requests] == [True, False, False]


def test_a_provider_that_limits_waits_is_waited_for(patient: CodexHome, upstream: Upstream) -> None:
    upstream.script(status(429, {"error": {"message": "Slow down, try again in 1s."}}), HELLO)
    run = patient.exec("greet me")
    assert run.returncode == 0, run
    first, second = upstream.requests
    assert second.arrived - first.arrived >= 1


def test_a_model_without_a_role_for_instructions_gets_them_all_the_same(patient: CodexHome, upstream: Upstream) -> None:
    def as_gemma(asked: Recorded) -> Answer:
        roles = [message["role"] for message in asked.json["messages"]]
        if roles[0] == "system":
            return status(400, {"error": {"message": "System role not supported"}})
        if any((role == "user") != (n % 2 == 0) for n, role in enumerate(roles)):
            said = "Conversation roles must alternate user/assistant/user/assistant/..."
            return status(400, {"error": {"message": said}})
        return HELLO

    upstream.script(as_gemma)
    for tries in (3, 4):  # two refusals, which are remembered
        run = patient.exec("greet me")
        assert run.returncode == 0, run
        assert run.stdout.strip() == "Good morning."
        assert len(upstream.requests) == tries
    [only] = upstream.requests[-1].json["messages"]
    assert only["content"].startswith("<developer_message>\n")
    assert only["content"].endswith("greet me")
