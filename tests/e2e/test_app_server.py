"""The real `codex app-server`, which the IDE extension and the App speak to, through the gateway: turns as they see them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.app_server import AppServer, Message
from tests.e2e.codex import CodexHome
from tests.e2e.gateway_process import MODEL
from tests.e2e.test_codex_exec import messages, say
from tests.upstream import Upstream, call, finish, reasoning, sse, stall, text, usage
from tests.waiting import eventually

pytestmark = pytest.mark.e2e

ASK_FIRST = {"sandbox_permissions": "require_escalated", "justification": "May I?"}


@pytest.fixture
def server(nexus: CodexHome) -> Iterator[AppServer]:
    """The app-server of a Codex that speaks to the scripted provider."""
    with AppServer([str(nexus.binary), "app-server"], nexus) as running:
        yield running


def thread(server: AppServer, codex: CodexHome) -> str:
    """A new thread on the gateway's model."""
    wishes = {"cwd": str(codex.repo), "approvalPolicy": "on-request", "sandbox": "read-only"}
    begun = server.call("thread/start", wishes)
    assert (begun["model"], begun["modelProvider"]) == (MODEL, "codex-nexus")
    return begun["thread"]["id"]


def items(server: AppServer) -> list[Message]:
    """The items that are complete, without the user's own."""
    done = [told["item"] for told in server.told("item/completed")]
    return [item for item in done if item["type"] != "userMessage"]


def test_a_streamed_turn_with_a_call_that_the_user_approves(
    server: AppServer, nexus: CodexHome, upstream: Upstream
) -> None:
    command = call(0, "call_a", "exec_command", {"cmd": "echo made > made.txt", **ASK_FIRST})
    counts = usage(100, 20, cached=60, thought=5)
    upstream.script(
        sse([reasoning("It wants "), reasoning("a file."), text("One moment."), command, finish("tool_calls"), counts]),
        sse([text("It "), text("is "), text("made. 🦊"), finish("stop"), usage(150, 10)]),
    )
    server.replies["item/commandExecution/requestApproval"] = {"decision": "accept"}
    assert server.call("model/list", {})["data"][0]["model"] == MODEL
    turn = server.begin(thread(server, nexus), "make a file")
    assert server.ended(turn)["status"] == "completed"
    assert [asked["method"] for asked in server.asked] == ["item/commandExecution/requestApproval"]
    assert (nexus.repo / "made.txt").read_text() == "made\n"
    shown = items(server)
    assert [item["type"] for item in shown] == ["reasoning", "agentMessage", "commandExecution", "agentMessage"]
    assert [item["text"] for item in shown if item["type"] == "agentMessage"] == ["One moment.", "It is made. 🦊"]
    assert "".join(told["delta"] for told in server.told("item/reasoning/summaryTextDelta")) == "It wants a file."
    streamed = [told["delta"] for told in server.told("item/agentMessage/delta")]
    assert "".join(streamed) == "One moment.It is made. 🦊"
    spent = server.told("thread/tokenUsage/updated")[-1]["tokenUsage"]["total"]
    assert (spent["inputTokens"], spent["cachedInputTokens"], spent["outputTokens"]) == (250, 60, 30)
    assert server.told("error") == server.told("warning") == []
    assert messages(upstream.requests[1], "assistant")[0]["content"] == "One moment."


def test_a_call_that_the_user_declines_is_answered_all_the_same(
    server: AppServer, nexus: CodexHome, upstream: Upstream
) -> None:
    command = call(0, "call_a", "exec_command", {"cmd": "echo made > made.txt", **ASK_FIRST})
    upstream.script(sse([command, finish("tool_calls"), usage()]), say("As you wish."))
    server.replies["item/commandExecution/requestApproval"] = {"decision": "decline"}
    turn = server.begin(thread(server, nexus), "make a file")
    assert server.ended(turn)["status"] == "completed"
    assert not (nexus.repo / "made.txt").exists()
    [result] = messages(upstream.requests[1], "tool")
    assert "rejected" in result["content"]


def test_an_interrupt_frees_the_provider_and_the_thread_goes_on(
    server: AppServer, nexus: CodexHome, upstream: Upstream
) -> None:
    upstream.script(stall([reasoning("Let me think"), text("Half a sen")], before_headers=False), say("Whole again."))
    begun = thread(server, nexus)
    turn = server.begin(begun, "talk")
    server.heard(lambda said: said.get("method") == "item/agentMessage/delta", "the first words")
    server.call("turn/interrupt", {"threadId": begun, "turnId": turn})
    assert server.ended(turn)["status"] == "interrupted"
    eventually(upstream.aborted.is_set)
    assert server.ended(server.begin(begun, "go on"))["status"] == "completed"
    assert items(server)[-1]["text"] == "Whole again."
    said = str(messages(upstream.requests[1], "user"))
    assert "talk" in said
    assert "go on" in said


def test_a_thread_with_a_goal_and_news_from_outside_goes_on(
    server: AppServer, nexus: CodexHome, upstream: Upstream
) -> None:
    goal = sse([call(0, "call_g", "create_goal", {"objective": "catch the fox"}), finish("tool_calls"), usage()])
    done = sse([call(0, "call_d", "update_goal", {"status": "complete"}), finish("tool_calls"), usage()])
    upstream.script(goal, done, say("Caught."), say("So it rains."))
    begun = thread(server, nexus)
    assert server.ended(server.begin(begun, "catch it"))["status"] == "completed"
    [told] = [said for said in messages(upstream.requests[1], "user") if "goal_objective" in str(said)]
    assert "catch the fox" in str(told)
    weather = {"name": "weather", "namespace": "outside", "output": "rain", "retain": True}
    assert server.ended(server.begin(begun, "", toolOutput=weather))["status"] == "completed"
    assert "[told by outside.weather]\\nrain" in str(messages(upstream.requests[3], "user"))


def test_a_thread_that_is_summed_up_by_hand_goes_on_from_its_summary(
    server: AppServer, nexus: CodexHome, upstream: Upstream
) -> None:
    instead = call(0, "call_a", "exec_command", {"cmd": "touch never.txt"})
    again = sse([instead, finish("tool_calls"), usage()])
    upstream.script(say("The fox is red."), again, say("They spoke of a red fox."), say("Red."))
    begun = thread(server, nexus)
    assert server.ended(server.begin(begun, "describe the fox"))["status"] == "completed"
    server.call("thread/compact/start", {"threadId": begun})
    eventually(lambda: len(server.told("turn/completed")) == 2)
    assert server.ended(server.begin(begun, "which colour?"))["status"] == "completed"
    assert "They spoke of a red fox." in str(messages(upstream.requests[3], "user"))
    assert not messages(upstream.requests[3], "assistant")
    assert not (nexus.repo / "never.txt").exists()
