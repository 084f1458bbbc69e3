"""The real `codex exec`, through the gateway, against a scripted provider and against llama.cpp's own server."""

import urllib.request
from typing import Any

import pytest

from tests.e2e.codex import PATIENCE, CodexHome, CodexRun
from tests.e2e.gateway_process import MODEL, TOKEN, UPSTREAM_KEY, UPSTREAM_MODEL, GatewayProcess
from tests.e2e.llama_model import FINAL, LOOK_FIRST, PLAIN, marked
from tests.e2e.tiny_mcp import mcp_toml
from tests.upstream import (
    Answer,
    Recorded,
    Upstream,
    call,
    cut,
    finish,
    reasoning,
    sse,
    stall,
    status,
    text,
    usage,
)
from tests.waiting import eventually

pytestmark = pytest.mark.e2e


# --- what the tests say and look at


def say(*pieces: str) -> Answer:
    """An answer of plain text."""
    return sse([*map(text, pieces), finish("stop"), usage(12, 3)])


def run_commands(*commands: str) -> Answer:
    """An answer that calls exec_command, once for each command."""
    calls = [call(n, f"call_{n}", "exec_command", {"cmd": command}) for n, command in enumerate(commands)]
    return sse([*calls, finish("tool_calls"), usage(12, 3)])


def ran_well(run: CodexRun) -> None:
    """The turn ended, in time and well."""
    assert not run.ended_by_us, run
    assert run.returncode == 0, run


def failed_readably(run: CodexRun, *words: str) -> None:
    """The turn ended, in time and badly, and the user was told so in these words."""
    assert not run.ended_by_us, run
    assert run.returncode != 0, run
    assert "ERROR" in run.stderr, run
    for word in words:
        assert word in run.output, run


def messages(request: Recorded, *roles: str) -> list[dict[str, Any]]:
    """The messages of these roles."""
    return [message for message in request.json["messages"] if message["role"] in roles]


def tool_names(request: Recorded) -> list[str]:
    """The functions that the provider was offered."""
    return [tool["function"]["name"] for tool in request.json["tools"]]


# --- turns that go well


def test_plain_text(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(say("Good ", "morning, 🦊 ", "你好."))
    run = nexus.exec("greet me")
    ran_well(run)
    assert run.stdout.strip() == "Good morning, 🦊 你好."
    [request] = upstream.requests
    assert request.path == "/v1/chat/completions"
    assert request.json["model"] == UPSTREAM_MODEL
    assert request.json["stream"] is True
    assert "greet me" in str(messages(request, "user")[-1]["content"])


def test_usage_reaches_codex(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(sse([text("counted"), finish("stop"), usage(120, 30, cached=100, thought=20)]))
    run = nexus.exec("count", json=True)
    ran_well(run)
    spent = run.events[-1]["usage"]
    assert run.events[-1]["type"] == "turn.completed"
    assert (spent["input_tokens"], spent["cached_input_tokens"]) == (120, 100)
    assert (spent["output_tokens"], spent["reasoning_output_tokens"]) == (30, 20)


def test_the_provider_sees_its_key_and_never_the_local_token(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(say("fine"))
    ran_well(nexus.exec("hello"))
    [request] = upstream.requests
    assert request.headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert TOKEN not in str(request.headers)
    assert TOKEN.encode() not in request.raw


def test_the_model_is_no_stranger_to_codex(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(say("fine"))
    run = nexus.exec("hello")
    ran_well(run)
    assert "metadata" not in run.output, run  # "Model metadata for ... not found": the catalogue lacks the model
    assert "ERROR" not in run.output, run


def test_a_command_runs_and_its_output_comes_back(nexus: CodexHome, upstream: Upstream) -> None:
    head = call(0, "call_a", "exec_command", '{"cmd": "echo made ')
    tail = call(0, arguments='by-a-command | tee made.txt"}')
    upstream.script(sse([text("One moment. "), head, tail, finish("tool_calls")]), say("It is made."))
    run = nexus.exec("make a file")
    ran_well(run)
    assert run.stdout.strip() == "It is made."
    assert (nexus.repo / "made.txt").read_text() == "made by-a-command\n"
    _first, second = upstream.requests
    assistant, tool = second.json["messages"][-2:]
    assert (assistant["role"], assistant["content"].strip()) == ("assistant", "One moment.")
    assert [made["function"]["name"] for made in assistant["tool_calls"]] == ["exec_command"]
    assert (tool["role"], tool["tool_call_id"]) == ("tool", assistant["tool_calls"][0]["id"])
    assert "made by-a-command" in tool["content"]


def test_two_calls_at_once(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(run_commands("echo 1 > one.txt", "echo 2 > two.txt"), say("Both are there."))
    run = nexus.exec("make two files")
    ran_well(run)
    assert [(nexus.repo / name).read_text() for name in ("one.txt", "two.txt")] == ["1\n", "2\n"]
    assistant, *tools = upstream.requests[1].json["messages"][-3:]
    ids = [made["id"] for made in assistant["tool_calls"]]
    assert len(set(ids)) == 2
    assert [(tool["role"], tool["tool_call_id"]) for tool in tools] == [("tool", ids[0]), ("tool", ids[1])]


def test_thoughts_are_replayed_with_their_call(nexus: CodexHome, upstream: Upstream) -> None:
    thinking = [reasoning("The user wants "), reasoning("a listing.")]
    command = call(0, "call_a", "exec_command", {"cmd": "ls"})
    upstream.script(sse([*thinking, command, finish("tool_calls")]), say("There is a README."))
    run = nexus.exec("what is here?")
    ran_well(run)
    [assistant] = messages(upstream.requests[1], "assistant")
    assert assistant["reasoning_content"] == "The user wants a listing."
    assert assistant["tool_calls"][0]["function"]["name"] == "exec_command"
    assert "README.md" in messages(upstream.requests[1], "tool")[0]["content"]


def test_apply_patch_changes_a_file(nexus: CodexHome, upstream: Upstream) -> None:
    patch = "*** Begin Patch\n*** Update File: README.md\n@@\n-# scratch\n+# patched\n*** End Patch\n"
    upstream.script(
        sse([call(0, "call_p", "apply_patch", {"input": patch}), finish("tool_calls")]), say("The file is patched.")
    )
    run = nexus.exec("patch the file")
    ran_well(run)
    assert (nexus.repo / "README.md").read_text() == "# patched\n"
    first, second = upstream.requests
    assert "apply_patch" in tool_names(first)
    assert all(tool["type"] == "function" for tool in first.json["tools"])
    assistant, tool = second.json["messages"][-2:]
    assert assistant["tool_calls"][0]["function"]["name"] == "apply_patch"
    assert "Success" in tool["content"]


def test_a_tool_of_an_mcp_server(codex: CodexHome, gateway: GatewayProcess, upstream: Upstream) -> None:
    codex.write_config(gateway.base_url, MODEL, TOKEN, mcp_toml("tiny"), stream_max_retries=1)
    upstream.script(_call_echo, _call_echo, _call_echo, say("The echo has spoken."))
    run = codex.exec("call the echo")
    ran_well(run)
    assert run.stdout.strip() == "The echo has spoken."
    results = [message["content"] for message in messages(upstream.requests[-1], "tool")]
    assert any("echo: bounce" in result for result in results), results


def _call_echo(request: Recorded) -> Answer:
    """Call the server's tool once; Codex may not have it yet when the first request leaves."""
    if "echo: bounce" in str(messages(request, "tool")):
        return say("The echo has spoken.")
    names = [name for name in tool_names(request) if name.endswith("echo") and "tiny" in name]
    if not names:
        return run_commands("sleep 0.5")
    return sse([call(0, "call_m", names[0], {"text": "bounce"}), finish("tool_calls")])


def test_a_resumed_thread_knows_what_was_said(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(say("I shall remember."), say("It was a fox."))
    ran_well(nexus.exec("remember the fox"))
    run = nexus.resume("which animal?")
    ran_well(run)
    assert run.stdout.strip() == "It was a fox."
    spoken = [
        (message["role"], str(message["content"])) for message in messages(upstream.requests[1], "user", "assistant")
    ]
    assert "remember the fox" in spoken[-3][1]
    assert spoken[-2] == ("assistant", "I shall remember.")
    assert "which animal?" in spoken[-1][1]


# --- turns that go badly


@pytest.mark.parametrize("code", [400, 401])
def test_a_refusal_is_shown_in_the_providers_words(nexus: CodexHome, upstream: Upstream, code: int) -> None:
    words = {400: "the moon is in the wrong house", 401: "this key opens no door"}[code]
    upstream.script(status(code, {"error": {"message": words, "type": "invalid_request_error", "code": None}}))
    run = nexus.exec("hello")
    failed_readably(run, words)
    assert UPSTREAM_KEY not in run.output
    assert len(upstream.requests) <= 2


def test_a_rate_limit_is_waited_out(nexus: CodexHome, upstream: Upstream) -> None:
    limited = status(429, {"error": {"message": "slow down", "code": "rate_limit"}}, {"Retry-After": "1"})
    upstream.script(limited, say("Now it works."))
    run = nexus.exec("hello")
    ran_well(run)
    assert run.stdout.strip() == "Now it works."
    first, second = upstream.requests
    assert second.arrived - first.arrived >= 0.9


def test_a_provider_that_is_down_is_named(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(status(500, {"error": {"message": "the engine is on fire"}}))
    failed_readably(nexus.exec("hello"), "the engine is on fire")


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_stream_that_always_breaks_ends_the_turn(nexus: CodexHome, upstream: Upstream, reset: bool) -> None:
    upstream.script(cut([text("half a sen")], reset=reset))
    failed_readably(nexus.exec("hello"))
    assert len(upstream.requests) >= 2


def test_a_stream_that_breaks_once_is_tried_again(nexus: CodexHome, upstream: Upstream) -> None:
    half_a_call = call(0, "call_h", "exec_command", '{"cmd": "touch broken.txt')
    upstream.script(cut([half_a_call]), say("Whole again."))
    run = nexus.exec("hello")
    ran_well(run)
    assert run.stdout.strip() == "Whole again."
    assert not (nexus.repo / "broken.txt").exists()
    assert not messages(upstream.requests[1], "tool")


def test_the_provider_is_left_in_peace_when_codex_is_gone(nexus: CodexHome, upstream: Upstream) -> None:
    upstream.script(stall([text("thinking about")], before_headers=False))
    run = nexus.exec("hello", until=lambda: upstream.requests)
    assert run.ended_by_us
    eventually(upstream.aborted.is_set)


# --- a real model server


def test_llama_says_plain_text(nexus_on_llama: CodexHome) -> None:
    run = nexus_on_llama.exec(marked("plain", "say something"))
    ran_well(run)
    assert run.stdout.strip() == PLAIN


def test_llama_thinks(nexus_on_llama: CodexHome) -> None:
    run = nexus_on_llama.exec(marked("think", "a number, please"))
    ran_well(run)
    assert run.stdout.strip() == "Forty-two, naturally."


@pytest.mark.parametrize(
    ("script", "files"),
    [
        ("exec", {"exec.txt": "executed\n"}),
        ("talk-exec", {}),
        ("two-execs", {"first.txt": "first\n", "second.txt": "second\n"}),
        ("think-exec", {"thought.txt": "noted"}),
        ("patch", {"patched.txt": "made by patch\n"}),
    ],
)
def test_llama_calls_tools(nexus_on_llama: CodexHome, script: str, files: dict[str, str]) -> None:
    run = nexus_on_llama.exec(marked(script, "do your work"))
    ran_well(run)
    assert run.stdout.strip() == FINAL
    assert {name: (nexus_on_llama.repo / name).read_text() for name in files} == files
    assert (LOOK_FIRST in run.output) == (script == "talk-exec")


def test_llama_resumes(nexus_on_llama: CodexHome) -> None:
    ran_well(nexus_on_llama.exec(marked("think-exec", "begin")))
    run = nexus_on_llama.resume(marked("plain", "and now?"))
    ran_well(run)
    assert run.stdout.strip() == PLAIN


def test_llama_stops_when_codex_is_gone(nexus_on_llama: CodexHome, llama_gateway: GatewayProcess) -> None:
    def recites() -> bool:
        request = urllib.request.Request(llama_gateway.base_url.removesuffix("/v1") + "/metrics")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=PATIENCE) as reply:
            return b"codex_nexus_turns_running 1" in reply.read()

    assert nexus_on_llama.exec(marked("loop", "go on for ever"), until=recites).ended_by_us
    # llama.cpp serves one request at a time, and by itself it would recite for most of a minute
    run = nexus_on_llama.exec(marked("plain", "say something"))
    ran_well(run)
    assert run.seconds < 40
    assert run.stdout.strip() == PLAIN
