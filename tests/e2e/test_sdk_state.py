"""What the gateway remembers, as OpenAI's SDKs use it: stored responses, background work, conversations, sessions."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from agents import Agent, OpenAIConversationsSession, OpenAIResponsesModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI, OpenAI

from tests.e2e.sdk import World, aclient, client, say, world
from tests.upstream import Upstream, finish, sse, stall, text, usage
from tests.waiting import eventually

__all__ = ["aclient", "client", "world"]  # fixtures
pytestmark = pytest.mark.e2e
MODEL = "gpt-5"
SLOW = sse([*(text(f"{n} ") for n in range(20)), finish(), usage(1, 20)], pause=0.04)
COUNTED = "".join(f"{n} " for n in range(20))


@pytest.fixture(scope="module", autouse=True)
def _untraced() -> None:
    """Traces would go to OpenAI."""
    set_tracing_disabled(disabled=True)


@pytest.fixture
def upstream(world: World) -> Upstream:
    """The provider, with nothing asked yet."""
    world[1].requests.clear()
    world[1].script(say("Hello"))
    return world[1]


def asked(upstream: Upstream, n: int = -1) -> list[str]:
    """What the provider was told in one request."""
    return [message["content"] for message in upstream.requests[n].json["messages"]]


def over(client: OpenAI, name: str) -> Any:
    """A background response once it is over, polled as OpenAI's guide does."""
    eventually(lambda: client.responses.retrieve(name).status not in ("queued", "in_progress"))
    return client.responses.retrieve(name)


# --- stored responses


def test_retrieve_and_delete(client: OpenAI, upstream: Upstream) -> None:
    made = client.responses.create(model=MODEL, input="hi")
    assert client.responses.retrieve(made.id) == made
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        client.responses.create(model=MODEL, input="more", previous_response_id=made.id)


def test_input_items(client: OpenAI, upstream: Upstream) -> None:
    given: Any = [{"role": "user", "content": f"word {n}"} for n in range(7)]
    made = client.responses.create(model=MODEL, input=given)
    page = client.responses.input_items.list(made.id, limit=3, order="asc")
    assert page.has_more
    everything: list[Any] = list(page)
    assert [item.content[0].text for item in everything] == [f"word {n}" for n in range(7)]
    assert len({item.id for item in everything}) == 7
    assert all(item.type == "message" and item.role == "user" for item in everything)
    newest: Any = next(iter(client.responses.input_items.list(made.id)))
    assert newest.content[0].text == "word 6"


def test_count_and_compact(client: OpenAI, upstream: Upstream) -> None:
    assert client.responses.input_tokens.count(model=MODEL, input="word " * 400).input_tokens > 400
    assert upstream.requests == []
    upstream.script(say("They talked."), say("Yes"))
    summed = client.responses.compact(model=MODEL, input="a long talk")
    assert summed.usage.total_tokens == 17
    kept: Any = [item.model_dump(exclude_none=True) for item in summed.output]
    client.responses.create(model=MODEL, input=[*kept, {"role": "user", "content": "and?"}])
    assert "They talked." in str(asked(upstream))


# --- background


def test_background_is_polled(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(SLOW)
    made = client.responses.create(model=MODEL, input="hi", background=True)
    assert (made.status, made.background) == ("queued", True)
    done = over(client, made.id)
    assert (done.status, done.output_text) == ("completed", COUNTED)


def test_background_is_cancelled(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(stall([text("one")], before_headers=False))
    made = client.responses.create(model=MODEL, input="hi", background=True)
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.cancel(made.id).status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"
    upstream.script(say("Hello"))
    plain = client.responses.create(model=MODEL, input="hi")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(plain.id)


def test_a_stream_is_resumed(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(SLOW)
    events: list[Any] = []
    with client.responses.create(model=MODEL, input="hi", background=True, stream=True) as stream:
        for event in stream:
            events.append(event)
            if len(events) == 9:
                break
    name, cursor = events[0].response.id, events[-1].sequence_number
    with client.responses.retrieve(name, stream=True, starting_after=cursor) as stream:
        events += list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == COUNTED
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == client.responses.retrieve(name).output_text == COUNTED


# --- a socket


def test_turns_on_a_socket_build_on_what_is_not_stored(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("one"), say("two"))

    def turn(**asked: Any) -> Any:
        connection.response.create(model=MODEL, store=False, **asked)
        while (event := connection.recv()).type not in ("response.completed", "error"):
            pass
        return event

    with client.responses.connect() as connection:
        first = turn(input="first").response
        second = turn(input="second", previous_response_id=first.id).response
        lost = turn(input="third", previous_response_id="resp_none")
    assert (first.output_text, second.output_text) == ("one", "two")
    assert asked(upstream) == ["first", "one", "second"]
    assert (lost.status, lost.error.code) == (400, "previous_response_not_found")


# --- conversations


def test_a_conversation(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("one"), say("two"))
    talk = client.conversations.create(metadata={"topic": "a"}, items=[{"role": "user", "content": "before"}])
    assert client.conversations.retrieve(talk.id) == talk
    assert client.conversations.update(talk.id, metadata={"topic": "b"}).metadata == {"topic": "b"}
    first = client.responses.create(model=MODEL, input="first", conversation=talk.id)
    assert first.conversation is not None
    assert first.conversation.id == talk.id
    client.responses.create(model=MODEL, input="second", conversation={"id": talk.id})
    assert asked(upstream) == ["before", "first", "one", "second"]
    items: list[Any] = list(client.conversations.items.list(talk.id, order="asc", limit=2))
    assert [item.content[0].text for item in items] == ["before", "first", "one", "second", "two"]
    added = client.conversations.items.create(talk.id, items=[{"role": "user", "content": "after"}])
    one: Any = client.conversations.items.retrieve(added.data[0].id or "", conversation_id=talk.id)
    assert one.content[0].text == "after"
    assert client.conversations.items.delete(one.id, conversation_id=talk.id).id == talk.id
    assert client.conversations.delete(talk.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(talk.id)


# --- the Agents SDK


async def test_an_agent_in_a_conversation_of_the_server(aclient: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(say("one"), say("two"))
    agent = Agent(name="a", model=OpenAIResponsesModel(model=MODEL, openai_client=aclient))
    talk = await aclient.conversations.create()
    await Runner.run(agent, "first", conversation_id=talk.id)
    second = await Runner.run(agent, "second", conversation_id=talk.id)
    assert second.final_output == "two"
    assert asked(upstream) == ["first", "one", "second"]


async def test_an_agent_with_a_session_on_the_server(aclient: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(say("one"), say("two"))
    agent = Agent(name="a", model=OpenAIResponsesModel(model=MODEL, openai_client=aclient))
    session = OpenAIConversationsSession(openai_client=aclient)
    await Runner.run(agent, "first", session=session)
    streamed = Runner.run_streamed(agent, "second", session=session)
    async for _ in streamed.stream_events():
        pass
    assert streamed.final_output == "two"
    assert asked(upstream) == ["first", "one", "second"]
    assert len(await session.get_items()) == 4
    await session.pop_item()
    assert len(await session.get_items()) == 3
    await session.clear_session()
