"""What hypothesis draws: bytes in pieces, answers of providers, histories, tools and schemas, decent and not."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import strategies as st
from msgspec import Raw

from codex_nexus.translate.dialect import DEFAULT, Dialect
from codex_nexus.translate.sealed import Sealed, seal
from tests.driving import chunks

PICTURE = "data:image/png;base64,AAAA"

texts = st.text(max_size=12) | st.sampled_from(
    ["", " ", "\n", "<think>", "</think>", "grün ✓", "😀", "a\x00b", "[DONE]"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
odd_values = json_values | st.sampled_from(
    [math.inf, math.nan, 1e300, 10**40, "\ud83d", ["\ude00"], {"message": "\ud83d"}]
)


# --- bytes


@st.composite
def pieces(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """These bytes, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# --- what providers say

arguments = st.sampled_from(
    ["{}", '{"a":1}', '{"input":"ls"}', '{"input":"a\\n\\ud83d\\ude00"}', '{"b":[{}]}']
) | st.just("")
bad_arguments = st.sampled_from(
    [
        '{"a":',
        "[1]",
        "null",
        "x",
        '{"a":"\n"}',
        '{"a":"\\ud83d"}',
        '{"a":NaN}',
        '{"input":"x',
        '{"input":"\\q"}',
        '{"input":1}',
    ]
)
names = st.sampled_from(["f", "exec", "apply_patch", "tool_search", "mcp__x__read", "functions.f", "nobody"])


@st.composite
def calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The deltas of one call, its arguments cut anywhere, in one of the ways of providers."""
    index, name = draw(st.integers(0, 2)), draw(names)
    given = draw(arguments | bad_arguments)
    call_id = draw(st.sampled_from(["c1", "c2", "c3"]) | st.text(min_size=1, max_size=3))
    cut = draw(st.integers(0, len(given)))
    head: dict[str, Any] = {"index": index, "id": call_id, "function": {"name": name, "arguments": given[:cut]}}
    tail: dict[str, Any] = {"index": index, "function": {"arguments": given[cut:]}}
    for piece in (head, tail):
        if draw(st.booleans()):
            del piece["index"]
    match draw(st.integers(0, 4)):
        case 0:
            tail["id"] = call_id
        case 1:
            del head["id"]
        case 2:
            head["extra_content"] = {"google": {"thought_signature": "SIG"}}
        case _:
            pass
    return [{"tool_calls": [piece]} for piece in (head, tail)]


plain_deltas = st.one_of(
    texts.map(lambda text: {"content": text}),
    texts.map(lambda text: {"reasoning_content": text}),
    texts.map(lambda text: {"reasoning": text, "content": None}),
    texts.map(lambda text: {"refusal": text}),
    texts.map(lambda text: {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": text}]}),
    texts.map(lambda text: {"content": [{"type": "thinking", "thinking": text}, {"type": "text", "text": text}]}),
    st.just({"role": "assistant", "content": None}),
).map(lambda delta: [delta])
finishes = st.sampled_from(["stop", "tool_calls", "length", "content_filter", "error", "eos", "function_call", None])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """An answer as a provider could give it."""
    deltas = draw(st.lists(plain_deltas | calls(), max_size=6))
    usage = draw(st.none() | st.just({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9}))
    return chunks(*[delta for several in deltas for delta in several], finish=draw(finishes), usage=usage)


def some_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object with some of these fields, or something else."""
    return odd_values | st.fixed_dictionaries({}, optional=fields)


odd = odd_values
odd_calls = some_of(index=odd, id=odd, extra_content=odd, function=some_of(name=odd, arguments=odd))
odd_deltas = some_of(
    content=odd,
    reasoning_content=odd,
    reasoning_details=odd | st.lists(odd, max_size=2),
    refusal=odd,
    function_call=some_of(name=odd, arguments=odd),
    tool_calls=odd | st.lists(odd_calls, max_size=2),
)
odd_choices = some_of(index=odd, delta=odd_deltas, message=odd_deltas, finish_reason=odd | finishes, usage=odd)
odd_chunks = some_of(
    choices=odd | st.lists(odd_choices, max_size=2),
    usage=some_of(prompt_tokens=odd, total_tokens=odd, prompt_tokens_details=some_of(cached_tokens=odd)),
    error=some_of(message=odd, code=odd, metadata=some_of(raw=odd)),
    data=odd,
    x_groq=some_of(usage=odd),
    base_resp=some_of(status_code=odd, status_msg=odd),
    success=odd,
    message=odd,
)


@st.composite
def odd_streams(draw: st.DrawFn) -> bytes:
    """Records with JSON of the right names and of any shapes."""
    return draw(_records(odd_chunks))


@st.composite
def odd_event_streams(draw: st.DrawFn) -> bytes:
    """The same from a provider that speaks Responses itself."""
    return draw(_records(odd_events))


@st.composite
def _records(draw: st.DrawFn, kinds: st.SearchStrategy[Any]) -> bytes:
    records = draw(st.lists(kinds, max_size=4))
    ends = draw(st.sampled_from(["\n\n", "\r\n\r\n", "\r\r", "\n"]))
    head = draw(st.sampled_from(["data: ", "data:", "event: error\ndata: ", ""]))
    return "".join(head + json.dumps(record) + ends for record in records).encode()


_item_kinds = st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "new"])
_parts = odd | st.lists(
    some_of(type=st.sampled_from(["output_text", "refusal", "summary_text"]), text=odd, refusal=odd)
)
odd_items = some_of(
    type=_item_kinds,
    id=odd | st.just("i1"),
    call_id=odd,
    name=odd,
    arguments=odd | arguments,
    input=odd,
    content=_parts,
    summary=_parts,
    encrypted_content=odd,
)
_EVENTS = [
    "output_text.delta",
    "refusal.delta",
    "reasoning_text.delta",
    "reasoning.delta",
    "reasoning_summary_text.delta",
    "completed",
    "failed",
    "function_call_arguments.delta",
    "custom_tool_call_input.delta",
    "output_item.added",
    "output_item.done",
    "incomplete",
]
odd_events = some_of(
    type=st.sampled_from([f"response.{kind}" for kind in _EVENTS] + ["error"]),
    item_id=odd | st.just("i1"),
    output_index=odd,
    delta=odd | texts,
    item=odd_items,
    error=some_of(message=odd, code=odd),
    object=st.sampled_from(["response", "other"]),
    response=some_of(
        status=st.sampled_from(["completed", "incomplete", "failed", "cancelled"]) | odd,
        output=odd | st.lists(odd_items, max_size=2),
        usage=some_of(input_tokens=odd, total_tokens=odd, input_tokens_details=odd),
        error=odd,
        incomplete_details=some_of(reason=odd),
    ),
)


# --- what clients say

ids = st.sampled_from(["c1", "c2", "call_abc", "functions.shell:0", "ü"])
tool_names = st.sampled_from(
    ["shell", "read.file", "read file", "9lives", "x" * 80, "x" * 64 + "y", "ünïcode", "-", "_"]
)
namespaces = st.none() | st.sampled_from(["mcp__x", "functions", "a b"])

_OWN = seal(
    Sealed("reasoning", "own", "sealed thought", [Raw(b'{"type":"reasoning.text"}')], {"c1": Raw(b'{"google":{}}')})
)
_OTHER = seal(Sealed("reasoning", "other", "another's thought"))

input_parts = st.one_of(
    texts.map(lambda text: {"type": "input_text", "text": text}),
    st.sampled_from(
        [
            {"type": "input_image", "image_url": PICTURE, "detail": "original"},
            {"type": "input_image", "image_url": "https://x.test/a.png"},
            {"type": "something", "text": 5},
        ]
    ),
)
outputs = st.one_of(texts, st.lists(input_parts, max_size=3), st.none(), st.just({"n": 7}))


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    """An item of a history, of any type that clients send."""
    call_id, name, namespace = draw(ids), draw(tool_names), draw(namespaces)
    called = {"call_id": call_id, "name": name} | ({} if namespace is None else {"namespace": namespace})
    text = draw(texts)
    said = [{"type": "output_text", "text": text}]
    kinds: list[dict[str, Any]] = [
        {"role": "user", "content": draw(texts | st.lists(input_parts, max_size=3))},
        {"type": "message", "role": "assistant", "content": said},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": text}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]},
        {"type": "message", "role": "system", "content": text},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]},
        {"type": "reasoning", "summary": [], "encrypted_content": draw(st.sampled_from([_OWN, _OTHER, "gAAAAA"]))},
        {"type": "function_call", **called, "arguments": draw(arguments | bad_arguments | st.just({"a": 1}))},
        {"type": "function_call_output", "call_id": call_id, "output": draw(outputs)},
        {"type": "custom_tool_call", **called, "input": text},
        {"type": "custom_tool_call_output", "call_id": call_id, "output": draw(outputs)},
        {"type": "tool_search_call", "call_id": call_id, "execution": "client", "arguments": {"query": text}},
        {"type": "tool_search_output", "call_id": call_id, "tools": [{"type": "function", "name": name}]},
        {"type": "local_shell_call", "call_id": call_id, "action": {"command": ["ls"]}},
        {"type": "local_shell_call_output", "call_id": call_id, "output": text},
        {"type": "agent_message", "author": "a", "recipient": "b", "content": draw(st.lists(input_parts, max_size=2))},
        {"type": "compaction", "encrypted_content": draw(st.sampled_from([_OWN, "gAAAAA"]))},
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": name}]},
        {"type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        {"type": "something_new", "payload": {"deep": [text]}},
    ]
    return draw(st.sampled_from(kinds))


histories = st.lists(items(), max_size=14)

DIALECTS: list[Dialect] = [
    DEFAULT,
    Dialect(family="own", system="head", reasoning_replay="all", reasoning_missing="space"),
    Dialect(system="inline", images="none", reasoning_replay="never", assistant_content="empty"),
    Dialect(system="inline", tool_id="alnum9", tool_to_user_bridge=True, assistant_content="omit", images="data+url"),
    Dialect(family="own", json_schema="mfjs", reasoning_missing="empty", max_tool_name=40, merge_users=True),
    Dialect(family="own", assistant_content="text_part", reasoning_field="think_tags", tool_images="drop"),
    Dialect(family="own", reasoning_field="content_parts", reasoning_replay="all", system="head", merge_users=True),
    Dialect(family="own", reasoning_field="reasoning_details", json_schema="gemini", images="data+url"),
    Dialect(system="first_user", merge_users=True, tool_id="plain"),
    Dialect(system="first_user", response_format="none", tool_to_user_bridge=True),
    Dialect(family="own", reasoning_field="extra_content", tool_to_user_bridge=True, max_tools=2),
    Dialect(family="own", reasoning_field="reasoning", reasoning_replay="all", reasoning_missing="empty"),
    Dialect(family="own", reasoning_field="extra_content", dummy_signature=True, tool_images="in_tool"),
    Dialect(family="own", reasoning_field="reasoning_details", reasoning_missing="empty", unsigned_reasoning=False),
    Dialect(max_tools=0, strict="keep", only_params=("stream_options", "tool_choice", "max_tokens"), max_temperature=1),
    Dialect(
        reasoning_param="thinking",
        thinking_budgets={"low": 100},
        extra_body={"thinking": Raw(b'{"type":"enabled","keep":"all"}')},
        drop_params=("top_p", "tool_choice"),
    ),
]
dialects = st.sampled_from(DIALECTS)


# --- tools and schemas

declared_names = st.text(min_size=1, max_size=8) | st.text("ab._ -", min_size=1, max_size=3) | tool_names


@st.composite
def declarations(draw: st.DrawFn) -> dict[str, Any]:
    """One entry of `tools`."""
    kind = draw(st.sampled_from(["function", "custom", "namespace"]))
    name = draw(declared_names)
    match kind:
        case "function":
            return {"type": kind, "name": name, "parameters": {"type": "object"}}
        case "custom":
            return {"type": kind, "name": name, "format": {"type": "text"}}
        case _:
            inner = draw(st.lists(declared_names, max_size=3))
            return {"type": kind, "name": name, "tools": [{"type": "function", "name": tool} for tool in inner]}


_refs = st.sampled_from(
    ["#/$defs/A", "#/$defs/B", "#/$defs/C", "#", "#/properties/a", "#/anyOf/0", "#/nowhere", "http://x"]
)
_kinds = st.sampled_from(["string", "integer", "object", "array", "null"])


def _nodes(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, max_size=2)
    named = st.dictionaries(st.sampled_from(["a", "b", "$ref", "const"]), inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": _kinds | st.lists(_kinds, max_size=3),
            "$ref": _refs,
            "properties": named,
            "patternProperties": named,
            "items": inner | some,
            "prefixItems": some,
            "anyOf": some,
            "oneOf": some,
            "allOf": some,
            "not": inner,
            "additionalProperties": inner | st.booleans(),
            "unevaluatedProperties": inner,
            "const": json_values,
            "enum": st.lists(json_values, min_size=1, max_size=2),
            "default": json_values,
            "description": texts,
            "required": st.just(["a"]),
            "exclusiveMinimum": st.just(0),
            "$comment": texts,
            "examples": st.lists(json_values, max_size=1),
        },
    )


schema_nodes = st.recursive(st.booleans() | _nodes(st.just({})) | st.just({}), _nodes, max_leaves=6)


@st.composite
def schemas(draw: st.DrawFn) -> Any:
    """A JSON Schema with definitions that refer to one another, to the root, to themselves and to nothing."""
    root = draw(_nodes(schema_nodes))
    defs = {name: draw(schema_nodes) for name in "ABC"}
    return root | {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}


odd_schemas = (
    schemas()
    | json_values
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "anyOf", "oneOf", "$ref", "$defs", "enum", "required", "const"]
        ),
        json_values,
    )
)
