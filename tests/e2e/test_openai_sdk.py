"""OpenAI's Python SDK, the judge of every plain client, against the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.e2e.sdk import LOOK, World, aclient, client, look, say, upstream, world
from tests.upstream import Answer, Upstream, call, cut, finish, raw, reasoning, sse, status, text, usage

__all__ = ["aclient", "client", "upstream", "world"]  # fixtures
pytestmark = pytest.mark.e2e
MODEL = "gpt-5"


class City(BaseModel):
    """A structured answer."""

    name: str
    people: int


# --- responses


def test_a_response(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("Good ", "morning, 🦊"))
    response = client.responses.create(model=MODEL, input="greet me", instructions="Be kind.", metadata={"a": "b"})
    assert response.output_text == "Good morning, 🦊"
    assert (response.status, response.model, response.error) == ("completed", MODEL, None)
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (12, 5, 17)
    assert response.usage.input_tokens_details.cached_tokens == 4
    assert response.usage.output_tokens_details.reasoning_tokens == 2
    assert response.metadata == {"a": "b"}
    assert response.instructions == "Be kind."


def test_a_stream(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("Good ", "morning"))
    events = list(client.responses.create(model=MODEL, input="greet me", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Good morning"
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "Good morning"


async def test_a_response_for_asyncio(aclient: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(say("Good morning"))
    assert (await aclient.responses.create(model=MODEL, input="greet me")).output_text == "Good morning"


async def test_a_stream_for_asyncio(aclient: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(say("Good ", "morning"))
    stream = await aclient.responses.create(model=MODEL, input="greet me", stream=True)
    told = [event async for event in stream]
    assert "".join(event.delta for event in told if event.type == "response.output_text.delta") == "Good morning"


def test_the_stream_helper(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(sse([reasoning("hm"), text("Good "), text("morning"), finish(), usage()]))
    with client.responses.stream(model=MODEL, input="greet me") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots == ["Good ", "Good morning"]
    assert final.output_text == "Good morning"
    assert [item.type for item in final.output] == ["reasoning", "message"]


async def test_the_stream_helper_for_asyncio(aclient: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.script(look("the moon"))
    async with aclient.responses.stream(model=MODEL, input="look", tools=[LOOK]) as stream:  # type: ignore[list-item]
        types = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert types.count("response.function_call_arguments.delta") >= 1
    assert final.output[0].to_dict()["arguments"] == '{"at": "the moon"}'


def test_a_raw_response(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("hi"))
    told = client.responses.with_raw_response.create(model=MODEL, input="greet me")
    assert told.headers["x-nexus-upstream"] == "custom/scripted"
    assert told.parse().output_text == "hi"
    with client.responses.with_streaming_response.create(model=MODEL, input="greet me", stream=True) as streamed:
        lines = list(streamed.iter_lines())
    assert lines[0] == "event: response.created"
    assert "data: [DONE]" in lines


def test_a_parsed_answer(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say('{"name": "Bern",', ' "people": 134000}'))
    response = client.responses.parse(model=MODEL, input="a city", text_format=City)
    assert response.output_parsed == City(name="Bern", people=134000)
    form = upstream.requests[0].json["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["properties"].keys() == {"name", "people"}


def test_a_parsed_stream(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say('{"name": "Bern",', ' "people": 134000}'))
    with client.responses.stream(model=MODEL, input="a city", text_format=City) as stream:
        final = stream.get_final_response()
    assert final.output_parsed == City(name="Bern", people=134000)


def test_thoughts(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(sse([reasoning("First "), reasoning("look."), text("Done."), finish()]))
    response = client.responses.create(
        model=MODEL,
        input="think",
        reasoning={"effort": "high", "summary": "auto"},
        include=["reasoning.encrypted_content"],
    )
    thought = response.output[0]
    assert thought.type == "reasoning"
    assert "First look." in [part.text for part in (*thought.summary, *(thought.content or []))]
    assert thought.encrypted_content
    again = [item.to_dict() for item in response.output]
    client.responses.create(model=MODEL, input=[*again, {"role": "user", "content": "go on"}])  # type: ignore[list-item]


# --- tools


def test_a_function_and_its_result(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(look("the moon"), say("It is grey."))
    asked: list[Any] = [{"role": "user", "content": "what colour is the moon?"}]
    response = client.responses.create(model=MODEL, input=asked, tools=[LOOK])  # type: ignore[list-item]
    [made] = response.output
    assert made.type == "function_call"
    assert (made.name, made.arguments, made.call_id) == ("look", '{"at": "the moon"}', "call_1")
    asked += response.output
    asked.append({"type": "function_call_output", "call_id": made.call_id, "output": "grey"})
    final = client.responses.create(model=MODEL, input=asked, tools=[LOOK])  # type: ignore[list-item]
    assert final.output_text == "It is grey."
    roles = [message["role"] for message in upstream.requests[1].json["messages"]]
    assert roles == ["user", "assistant", "tool"]


def test_calls_side_by_side(client: OpenAI, upstream: Upstream) -> None:
    pieces = [call(n, f"call_{n}", "look", {"at": place}) for n, place in enumerate(("moon", "sun"))]
    upstream.script(sse([text("Looking."), *pieces, finish("tool_calls")]))
    with client.responses.stream(model=MODEL, input="look", tools=[LOOK]) as stream:  # type: ignore[list-item]
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert [made.arguments for made in calls] == ['{"at": "moon"}', '{"at": "sun"}']
    assert len({made.id for made in calls}) == 2


def test_a_parsed_call(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(sse([call(0, "c", "City", {"name": "Bern", "people": 134000}), finish("tool_calls")]))
    tool = openai.pydantic_function_tool(City)["function"]
    declared: dict[str, Any] = {"type": "function", "strict": True, **tool}
    response = client.responses.parse(model=MODEL, input="a city", tools=[declared])  # type: ignore[list-item]
    [made] = response.output
    assert made.type == "function_call"
    assert made.name == "City"


def test_a_freeform_tool(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(sse([call(0, "c", "shell", '{"input": "ls '), call(0, arguments='-l\\n"}'), finish("tool_calls")]))
    declared: dict[str, Any] = {"type": "custom", "name": "shell", "description": "Runs a command."}
    for streamed in (False, True):
        if streamed:
            with client.responses.stream(model=MODEL, input="list", tools=[declared]) as stream:  # type: ignore[list-item]
                response: Any = stream.get_final_response()
        else:
            response = client.responses.create(model=MODEL, input="list", tools=[declared])  # type: ignore[list-item]
        [made] = response.output
        assert made.type == "custom_tool_call"
        assert (made.name, made.input) == ("shell", "ls -l\n")


# --- stored responses


def test_a_response_can_be_asked_for_again(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("hi"))
    made = client.responses.create(model=MODEL, input="greet me")
    assert client.responses.retrieve(made.id) == made
    hidden = client.responses.create(model=MODEL, input="greet me", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(hidden.id)


def test_a_turn_goes_on_where_another_ended(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("one"), say("two"))
    first = client.responses.create(model=MODEL, input="first")
    second = client.responses.create(model=MODEL, input="second", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert [message["content"] for message in upstream.requests[1].json["messages"]] == ["first", "one", "second"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="x", previous_response_id="resp_none")
    assert caught.value.code == "previous_response_not_found"


# --- chat completions and models


def test_a_chat_completion(client: OpenAI, upstream: Upstream) -> None:
    message = {"role": "assistant", "content": "hi"}
    answer = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }  # fmt: skip
    upstream.script(status(200, answer))
    completion = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}])
    assert completion.choices[0].message.content == "hi"
    assert upstream.requests[0].json["model"] == "scripted"


def test_a_chat_completion_as_a_stream(client: OpenAI, upstream: Upstream) -> None:
    upstream.script(say("Good ", "morning"))
    stream = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], stream=True)
    said = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(said) == "Good morning"


def test_the_models(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "scripted" in names
    assert client.models.retrieve("scripted").id == "scripted"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("no/such-model")
    assert caught.value.code == "model_not_found"


# --- errors


@pytest.mark.parametrize(
    ("code", "body", "kind", "told"),
    [
        (400, {"error": {"message": "bad", "code": "invalid_value"}}, openai.BadRequestError, "invalid_value"),
        (401, {"error": {"message": "bad"}}, openai.AuthenticationError, "invalid_api_key"),
        (403, {"error": {"message": "bad"}}, openai.PermissionDeniedError, "invalid_api_key"),
        (404, {"error": {"message": "bad", "code": "model_not_found"}}, openai.NotFoundError, "model_not_found"),
        (422, {"error": {"message": "bad"}}, openai.UnprocessableEntityError, None),
        (429, {"error": {"message": "bad"}}, openai.RateLimitError, "rate_limit_exceeded"),
        (402, {"error": {"message": "bad"}}, openai.APIStatusError, "insufficient_quota"),
        (500, {"error": {"message": "bad"}}, openai.InternalServerError, "server_error"),
        (503, "bad", openai.InternalServerError, "server_error"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_refusal_is_raised_as_what_it_is(
    client: OpenAI,
    upstream: Upstream,
    code: int,
    body: Any,
    kind: type[openai.APIStatusError],
    told: str,
    streamed: bool,
) -> None:
    upstream.script(status(code, body))
    with pytest.raises(kind) as caught:
        client.responses.create(model=MODEL, input="hi", stream=streamed)
    assert caught.value.code == told
    assert "bad" in caught.value.message


def test_a_wrong_request_is_raised_with_its_param(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="hi", temperature=7)
    assert caught.value.param == "temperature"


@pytest.mark.parametrize(
    "answer",
    [
        cut([text("Once upon")]),
        sse([text("Once upon"), {"error": {"message": "engine died", "code": 500}}]),
        raw(b"data: {broken\n\n"),
    ],
    ids=["cut", "error", "garbage"],
)
def test_a_stream_that_breaks_is_raised(client: OpenAI, upstream: Upstream, answer: Answer) -> None:
    upstream.script(answer)
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model=MODEL, input="hi", stream=True))
    assert caught.value.message
    assert client.responses.create(model=MODEL, input="hi").status == "failed"


def test_a_client_that_tries_again_succeeds(world: World, upstream: Upstream) -> None:
    upstream.script(status(429, {"error": {"message": "slow"}}, {"Retry-After": "0"}), say("hi"))
    with OpenAI(base_url=world[0].base_url, api_key="x", max_retries=2) as patient:
        assert patient.responses.create(model=MODEL, input="hi").output_text == "hi"


def test_no_key_is_in_the_log_of_the_gateway(world: World, client: OpenAI, upstream: Upstream) -> None:
    upstream.script(status(401, {"error": {"message": "wrong key sk-upstream-key"}}))
    with pytest.raises(openai.AuthenticationError) as caught:
        client.responses.create(model=MODEL, input="hi")
    assert "sk-upstream-key" not in str(caught.value)
    log = Path(world[0].log_file).read_text()
    assert "refused" in log
    assert "sk-upstream-key" not in log
    assert "sk-of-the-client" not in log
    assert "Traceback" not in log
