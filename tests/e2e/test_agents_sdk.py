"""OpenAI's Agents SDK runs its tool loop on the gateway."""

from __future__ import annotations

from typing import Any

import pytest
from agents import Agent, ModelSettings, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from agents.exceptions import MaxTurnsExceeded
from openai import APIError, AsyncOpenAI
from pydantic import BaseModel

from tests.e2e.sdk import aclient, look, say, upstream, world
from tests.upstream import Upstream, call, cut, finish, reasoning, sse, text

__all__ = ["aclient", "upstream", "world"]  # fixtures
pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def _untraced() -> None:
    """Traces would go to OpenAI."""
    set_tracing_disabled(disabled=True)


@pytest.fixture
def model(aclient: AsyncOpenAI) -> OpenAIResponsesModel:
    """The gateway as a model of the SDK."""
    return OpenAIResponsesModel(model="gpt-5", openai_client=aclient)


class Colour(BaseModel):
    """A structured answer."""

    name: str


class Places:
    """A tool that remembers where it was pointed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def tool(self) -> Any:
        """The tool."""

        @function_tool
        def look(at: str) -> str:
            """Look at a place."""
            self.seen.append(at)
            return f"{at} is grey"

        return look


def messages(upstream: Upstream, n: int) -> list[str]:
    """The roles of a request."""
    return [message["role"] for message in upstream.requests[n].json["messages"]]


async def test_an_agent_answers(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    upstream.script(say("Good morning"))
    result = await Runner.run(Agent(name="a", instructions="Be kind.", model=model), "greet me")
    assert result.final_output == "Good morning"
    assert messages(upstream, 0) == ["system", "user"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_an_agent_uses_its_tools(model: OpenAIResponsesModel, upstream: Upstream, streamed: bool) -> None:
    upstream.script(look("the moon"), look("the sea", "call_2"), say("Both ", "are grey."))
    places = Places()
    agent = Agent(name="a", instructions="Look.", model=model, tools=[places.tool()])
    if streamed:
        running = Runner.run_streamed(agent, "what is grey?")
        kinds = {event.type async for event in running.stream_events()}
        assert {"raw_response_event", "run_item_stream_event"} <= kinds
        output = running.final_output
    else:
        output = (await Runner.run(agent, "what is grey?")).final_output
    assert output == "Both are grey."
    assert places.seen == ["the moon", "the sea"]
    assert messages(upstream, 2) == ["system", "user", "assistant", "tool", "assistant", "tool"]
    results = [message["content"] for message in upstream.requests[2].json["messages"] if message["role"] == "tool"]
    assert results == ["the moon is grey", "the sea is grey"]


async def test_an_agent_calls_side_by_side(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    calls = [call(n, f"c{n}", "look", {"at": place}) for n, place in enumerate(("moon", "sun", "sea"))]
    upstream.script(sse([*calls, finish("tool_calls")]), say("done"))
    places = Places()
    agent = Agent(name="a", model=model, tools=[places.tool()], model_settings=ModelSettings(parallel_tool_calls=True))
    running = Runner.run_streamed(agent, "look everywhere")
    async for _ in running.stream_events():
        pass
    assert running.final_output == "done"
    assert sorted(places.seen) == ["moon", "sea", "sun"]
    assert messages(upstream, 1) == ["user", "assistant", "tool", "tool", "tool"]


async def test_an_agent_keeps_its_thoughts(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    upstream.script(
        sse([reasoning("I must look."), call(0, "c", "look", {"at": "moon"}), finish("tool_calls")]), say("grey")
    )
    agent = Agent(name="a", model=model, tools=[Places().tool()])
    assert (await Runner.run(agent, "look")).final_output == "grey"
    assistant = upstream.requests[1].json["messages"][1]
    assert assistant["tool_calls"][0]["function"]["name"] == "look"


async def test_an_agent_answers_in_a_structure(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    upstream.script(say('{"name": ', '"grey"}'))
    result = await Runner.run(Agent(name="a", model=model, output_type=Colour), "which colour?")
    assert result.final_output == Colour(name="grey")


async def test_an_agent_hands_over_to_another(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    painter = Agent(name="painter", instructions="Paint.", model=model)
    agent = Agent(name="clerk", instructions="Hand over.", model=model, handoffs=[painter])
    upstream.script(sse([call(0, "c", "transfer_to_painter", {}), finish("tool_calls")]), say("painted"))
    result = await Runner.run(agent, "paint")
    assert (result.final_output, result.last_agent.name) == ("painted", "painter")


async def test_an_agent_goes_on_from_a_stored_response(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    upstream.script(say("one"), say("two"))
    agent = Agent(name="a", model=model)
    first = await Runner.run(agent, "first")
    second = await Runner.run(agent, "second", previous_response_id=first.last_response_id)
    assert second.final_output == "two"
    assert [message["content"] for message in upstream.requests[1].json["messages"]] == ["first", "one", "second"]


async def test_an_agent_that_never_ends_is_stopped_by_its_runner(
    model: OpenAIResponsesModel, upstream: Upstream
) -> None:
    upstream.script(look("the moon"))
    with pytest.raises(MaxTurnsExceeded):
        await Runner.run(Agent(name="a", model=model, tools=[Places().tool()]), "look", max_turns=3)
    assert len(upstream.requests) == 3


async def test_a_stream_that_breaks_is_raised(model: OpenAIResponsesModel, upstream: Upstream) -> None:
    upstream.script(cut([text("Once upon")]))
    running = Runner.run_streamed(Agent(name="a", model=model), "tell")
    with pytest.raises(APIError):
        async for _ in running.stream_events():
            pass
