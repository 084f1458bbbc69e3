"""Tool calls that arrive as text: every form becomes a call again, and prose that looks alike stays what it was."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle
from tests.driving import CLIENTS, answered, call, chunks, opened, played
from tests.oracle import Story

from codex_nexus.translate.clients import CODEX, PLAIN, Client
from codex_nexus.translate.dialect import DEFAULT
from codex_nexus.translate.markup import marks_of
from codex_nexus.translate.turn import Turn

ON = msgspec.structs.replace(DEFAULT, tool_text="on", family="minimax")
OFF = msgspec.structs.replace(ON, tool_text="off")
SHELL = {
    "type": "function",
    "name": "shell",
    "parameters": {
        "type": "object",
        "properties": {
            "cmd": {"type": "string"},
            "lines": {"type": "integer"},
            "ratio": {"type": "number"},
            "loud": {"type": "boolean"},
            "paths": {"type": "array", "items": {"type": "string"}},
            "env": {"type": ["object", "null"]},
            "any": {},
        },
        "required": ["cmd"],
    },
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits files."}
SPACE = {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "find", "parameters": {}}]}
REQUEST: dict[str, Any] = {"tools": [SHELL, PATCH, SPACE]}

LS = '{"name": "shell", "arguments": {"cmd": "ls"}}'
FORM_OF_LS = {
    "json in tags": f"<tool_call>\n{LS}\n</tool_call>",
    "json in tags, never closed": f"<tool_call>{LS}",
    "parameters for arguments": '<tool_call>{"name": "shell", "parameters": {"cmd": "ls"}}</tool_call>',
    "arguments first": '<tool_call>{"arguments": {"cmd": "ls"}, "name": "shell"}</tool_call>',
    "arguments as a string": '<tool_call>{"name": "shell", "arguments": "{\\"cmd\\": \\"ls\\"}"}</tool_call>',
    "the name with a prefix": '<tool_call>{"name": "functions.shell", "arguments": {"cmd": "ls"}}</tool_call>',
    "function tags": "<tool_call>\n<function=shell>\n<parameter=cmd>\nls\n</parameter>\n</function>\n</tool_call>",
    "function tags alone": "<function=shell><parameter=cmd>ls</parameter></function>",
    "a function tag around JSON": '<function=shell>{"cmd": "ls"}</function>',
    "a function tag around JSON, never closed": '<function=shell>{"cmd": "ls"}',
    "function tags, closed only": "<function=shell><parameter=cmd>ls</parameter></function>\n</tool_call>",
    "pairs": "<tool_call>shell\n<arg_key>cmd</arg_key>\n<arg_value>ls</arg_value>\n</tool_call>",
    "invoke in tags": '<tool_call><invoke name="shell"><parameter name="cmd">ls</parameter></invoke></tool_call>',
    "DSML": (
        '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="shell">\n<｜DSML｜parameter name="cmd" string="true">ls'
        "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>"
    ),
    "DSML with double bars": (
        '<｜｜DSML｜｜tool_calls><｜｜DSML｜｜invoke name="shell"><｜｜DSML｜｜parameter name="cmd" string="true">ls'
        "</｜｜DSML｜｜parameter></｜｜DSML｜｜invoke></｜｜DSML｜｜tool_calls><｜end▁of▁sentence｜>"
    ),
    "DSML with JSON": (
        '<｜DSML｜function_calls><｜DSML｜invoke name="shell">{"cmd": "ls"}</｜DSML｜invoke></｜DSML｜function_calls>'
    ),
    "DSML with gaps": (
        '<｜DSML｜ calls><｜DSML｜ invoke name="shell"><｜DSML｜ parameter name="cmd">ls</｜DSML｜ parameter>'
        "</｜DSML｜ invoke></｜DSML｜ calls>"
    ),
    "a section": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.shell:0<|tool_call_argument_begin|>"
        '{"cmd": "ls"}<|tool_call_end|><|tool_calls_section_end|><|im_end|>'
    ),
    "a call without its section": (
        '<|tool_call_begin|>functions.shell:7<|tool_call_argument_begin|>{"cmd": "ls"}<|tool_call_end|>'
    ),
    "tags of a name space": (
        '<minimax:tool_call>\n<invoke name="shell">\n<parameter name="cmd">ls</parameter>\n</invoke>\n'
        "</minimax:tool_call>"
    ),
    "tags behind a token": (
        ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="shell">\n]<]minimax[>[<cmd>ls]<]minimax[>[</cmd>\n'
        "]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>"
    ),
    "several in tags": f"<tool_calls>\n[{LS}]\n</tool_calls>",
    "an object in tags for several": f"<tool_calls>{LS}</tool_calls>",
    "function_call in tags": f"<function_call>{LS}</function_call>",
    "invoke in tags for several": (
        '<function_calls>\n<invoke name="shell">\n<parameter name="cmd">ls</parameter>\n</invoke>\n</function_calls>'
    ),
    "a token and a list": f"[TOOL_CALLS][{LS}]",
    "a token, a name and arguments": '[TOOL_CALLS]shell[ARGS]{"cmd": "ls"}</s>',
    "a pipe token and a list": f"<|tool_call|>[{LS}]<|end|>",
    "a tag of code": '<|python_tag|>{"type": "function", "name": "shell", "parameters": {"cmd": "ls"}}<|eom_id|>',
    "separated by tokens": (
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>shell<｜tool▁sep｜>{"cmd": "ls"}<｜tool▁call▁end｜>'
        "<｜tool▁calls▁end｜><｜end▁of▁sentence｜>"
    ),
    "separated by tokens, in a fence": (
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>shell\n```json\n{"cmd": "ls"}\n```'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
    ),
    "a fence": f"```json\n{LS}\n```",
    "a fence without a language": f"\n```\n{LS}\n```\n",
    "a lone object": LS,
    "a lone object of the wire": (
        '{"id": "c", "type": "function", "function": {"name": "shell", "arguments": "{\\"cmd\\": \\"ls\\"}"}}'
    ),
    "a lone list": f"[{LS}]",
}
ALONE = ("a fence", "a lone")
"""Forms that must be the whole answer."""


def told(said: str | list[str], client: Client = CODEX, **request: Any) -> Story:
    pieces = [said] if isinstance(said, str) else said
    upstream = chunks(*({"content": piece} for piece in pieces))
    return oracle.read(answered([upstream], client, ON, REQUEST | request))


def calls_of(story: Story) -> list[tuple[str, Any]]:
    return [
        (said.name, json.loads(said.arguments) if said.type == "function_call" else said.arguments)
        for said in story.calls
    ]


def assert_prose(text: str, **request: Any) -> None:
    for pieces in ([text], list(text)):
        story = told(pieces, **request)
        assert (story.text, story.calls) == (text, [])


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("form", FORM_OF_LS)
def test_a_form_becomes_a_call(form: str, client: Client) -> None:
    story = told(FORM_OF_LS[form], client)
    assert story.status == "completed"
    assert (story.text, calls_of(story)) == ("", [("shell", {"cmd": "ls"})])


@pytest.mark.parametrize("form", FORM_OF_LS)
def test_it_does_so_wherever_it_is_cut(form: str) -> None:
    text = FORM_OF_LS[form]
    whole = told(text)
    for at in range(1, len(text)):
        assert calls_of(told([text[:at], text[at:]])) == calls_of(whole), text[at:]
    assert calls_of(told(list(text))) == calls_of(whole)


@pytest.mark.parametrize("form", [form for form in FORM_OF_LS if not form.startswith(ALONE)])
@pytest.mark.parametrize("before", ["Let me look.\n", "Let me look.\n\n", "I see：\n", "Sicher! "])
def test_text_before_the_call_stays_text(form: str, before: str) -> None:
    for gap in (before, before.strip() + "." if before[-1] == " " else before):
        story = told(list(gap.rstrip(" ") + FORM_OF_LS[form]))
        assert calls_of(story) == [("shell", {"cmd": "ls"})]
        assert story.text == gap.rstrip()


@pytest.mark.parametrize("form", [form for form in FORM_OF_LS if not form.startswith(ALONE)])
def test_of_an_unknown_tool_nothing_is_made(form: str) -> None:
    assert_prose(FORM_OF_LS[form].replace("shell", "launch_rocket"))


def test_several_calls_stay_in_order() -> None:
    second = '<tool_call>{"name": "mcp__find", "arguments": {}}</tool_call>'
    story = told(f"{FORM_OF_LS['json in tags']}\n{second}\n")
    assert calls_of(story) == [("shell", {"cmd": "ls"}), ("find", {})]
    assert [said.namespace for said in story.calls] == [None, "mcp"]
    section = (
        "<|tool_calls_section_begin|>"
        + "".join(
            f'<|tool_call_begin|>functions.shell:{n}<|tool_call_argument_begin|>{{"cmd": "{n}"}}<|tool_call_end|>'
            for n in range(3)
        )
        + "<|tool_calls_section_end|>"
    )
    assert [arguments["cmd"] for _, arguments in calls_of(told(list(section)))] == ["0", "1", "2"]


def test_texts_become_what_the_schema_says() -> None:
    values = {
        "cmd": "12", "lines": "12", "ratio": "0.5", "loud": "True", "paths": '["a", "b"]', "env": "null", "any": "7",
    }  # fmt: skip
    parameters = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in values.items())
    [(_, arguments)] = calls_of(told(f"<tool_call><function=shell>{parameters}</function></tool_call>"))
    assert arguments == {
        "cmd": "12", "lines": 12, "ratio": 0.5, "loud": True, "paths": ["a", "b"], "env": None, "any": "7",
    }  # fmt: skip


def test_a_value_that_is_not_what_it_should_be_stays_a_text() -> None:
    [(_, arguments)] = calls_of(
        told("<function=shell><parameter=cmd>a</parameter><parameter=lines>many</parameter></function>")
    )
    assert arguments == {"cmd": "a", "lines": "many"}


def test_a_declared_value_is_json() -> None:
    text = (
        '<｜DSML｜tool_calls><｜DSML｜invoke name="shell"><｜DSML｜parameter name="cmd" string="true"> 5\n'
        '</｜DSML｜parameter><｜DSML｜parameter name="paths" string="false">["x"]</｜DSML｜parameter></｜DSML｜invoke>'
        "</｜DSML｜tool_calls>"
    )
    assert calls_of(told(text)) == [("shell", {"cmd": " 5\n", "paths": ["x"]})]


def test_a_custom_tool_gets_its_text() -> None:
    patch = "*** Begin Patch\n*** Add File: a\n+</parameter>\n+</function></tool_call>\n*** End Patch"
    text = f"<tool_call><function=apply_patch><parameter=input>\n{patch}\n</parameter></function></tool_call>"
    assert calls_of(told(list(text))) == [("apply_patch", patch)]


def test_a_closing_inside_a_string_closes_nothing() -> None:
    text = json.dumps({"name": "shell", "arguments": {"cmd": "echo '</tool_call>' && ls"}})
    assert calls_of(told(list(f"<tool_call>{text}</tool_call>"))) == [("shell", {"cmd": "echo '</tool_call>' && ls"})]


MANY = "</tool_call> " * 1000
"""More closings than are looked at while a call streams."""


@pytest.mark.parametrize("after", ["", "\n", "<|im_end|>", "\n</tool_call>"], ids=["end", "line", "token", "closing"])
@pytest.mark.parametrize("pieces", [1, 7, 4000])
def test_many_closings_inside_a_string_close_nothing(after: str, pieces: int) -> None:
    written = json.dumps({"name": "shell", "arguments": {"cmd": MANY}})
    text = f"I write.\n<tool_call>{written}</tool_call>{after}"
    story = told([text[at : at + pieces] for at in range(0, len(text), pieces)])
    assert (story.text, calls_of(story)) == ("I write.", [("shell", {"cmd": MANY})])


@pytest.mark.parametrize("form", ["function tags", "function tags alone", "invoke in tags", "pairs"])
def test_many_closings_inside_a_parameter_close_nothing(form: str) -> None:
    value = "</function></tool_call></invoke> " * 200 + "end"
    text = FORM_OF_LS[form].replace("ls", value)
    assert calls_of(told([text[at : at + 50] for at in range(0, len(text), 50)])) == [("shell", {"cmd": value})]


def test_a_call_behind_one_with_too_many_closings_leaves_all_of_it_text() -> None:
    written = json.dumps({"name": "shell", "arguments": {"cmd": MANY}})
    text = f"<tool_call>{written}</tool_call>\n{FORM_OF_LS['json in tags']}"
    story = told([text[at : at + 7] for at in range(0, len(text), 7)])
    assert (story.text, story.calls) == (text, [])


def test_many_closings_cost_little() -> None:
    written = json.dumps({"name": "shell", "arguments": {"cmd": "</tool_call>" * 20_000}})
    began = time.process_time()
    assert len(told(f"<tool_call>{written}</tool_call>").calls) == 1
    assert time.process_time() - began < 3


PROSE = {
    "a quoted example": f"Models write `{FORM_OF_LS['json in tags, never closed']}`.",
    "an example in a sentence": f"They write <tool_call>{LS}</tool_call> and then stop.",
    "an example in a fence": f"For example:\n\n```xml\n{FORM_OF_LS['json in tags']}\n```\n",
    "an example in a long fence": f"````md\n```\n{FORM_OF_LS['json in tags']}\n```\n````",
    "an example as a quotation": f"> {FORM_OF_LS['json in tags']}",
    "an indented example": f"So:\n\n    {FORM_OF_LS['json in tags, never closed']}",
    "text after the call": f"{FORM_OF_LS['json in tags']}\nThat is how it looks.",
    "text between two calls": f"{FORM_OF_LS['json in tags']}\nand\n{FORM_OF_LS['json in tags']}",
    "a fence in a longer answer": f"Send this:\n\n```json\n{LS}\n```\n",
    "text after a fence": f"```json\n{LS}\n```\nThat is how it looks.",
    "text after a lone object": f"{LS}\nThat is how it looks.",
    "an object with other keys": '{"name": "shell", "version": "1.0", "arguments": {"cmd": "ls"}}',
    "an object without arguments": '{"name": "shell"}',
    "an object that lacks what the tool needs": '{"name": "shell", "arguments": {"lines": 1}}',
    "a fence that lacks what the tool needs": '```json\n{"name": "shell", "arguments": {}}\n```',
    "code": "```python\nprint({'name': 'shell'})\n```",
    "a tag alone": "<tool_call>",
    "half a mark": "a <tool_ca",
    "half a token": "Done.\n<|tool_calls_sec",
    "a sentence after a tag": "<tool_call> is the tag that models use to call `shell`.",
    "broken JSON": '<tool_call>{"name": "shell", "arguments": {"cmd": </tool_call>',
    "a broken parameter": "<function=shell><parameter=cmd>ls</function>",
    "white space around": " \n\n <b>bold</b> \n",
    "mathematics": "a <b and ]<] c\n\n",
    "DSML in a quotation": "Er schrieb «<｜DSML｜tool_calls>» dazu.",
}


@pytest.mark.parametrize("kind", PROSE)
def test_prose_stays_prose(kind: str) -> None:
    assert_prose(PROSE[kind])


def test_a_real_call_beside_the_markup_leaves_it_text() -> None:
    text = FORM_OF_LS["json in tags"]
    upstream = chunks({"content": text}, call("shell", '{"cmd": "pwd"}'), finish="tool_calls")
    story = oracle.read(answered([upstream], CODEX, ON, REQUEST))
    assert (story.text, calls_of(story)) == (text, [("shell", {"cmd": "pwd"})])


@pytest.mark.parametrize("finish", ["length", "content_filter", None])
def test_an_answer_that_was_cut_calls_nothing(finish: str | None) -> None:
    text = FORM_OF_LS["json in tags"]
    story = oracle.read(
        answered([chunks({"content": text}, finish=finish)[: None if finish else -14]], CODEX, ON, REQUEST)
    )
    assert (story.text, story.calls) == (text, [])
    assert story.status != "completed"


def test_a_call_that_was_announced_and_came_as_text_is_found() -> None:
    upstream = chunks({"content": FORM_OF_LS["DSML"]}, finish="tool_calls")
    assert calls_of(oracle.read(answered([upstream], CODEX, ON, REQUEST))) == [("shell", {"cmd": "ls"})]


def test_a_thought_before_the_call_stays_a_thought() -> None:
    upstream = chunks({"content": f"<think>I look.</think>\n\n{FORM_OF_LS['function tags']}"})
    story = oracle.read(answered([upstream], CODEX, ON, REQUEST))
    assert (story.reasoning, story.text, calls_of(story)) == ("I look.", "", [("shell", {"cmd": "ls"})])


@pytest.mark.parametrize(
    "request_",
    [
        {"tool_choice": "none"},
        {"tool_choice": {"type": "custom", "name": "apply_patch"}},
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "custom", "name": "apply_patch"}]}},
        {"tools": []},
    ],
    ids=["none", "another", "others allowed", "no tools"],
)
def test_only_tools_that_may_be_called_are(request_: dict[str, Any]) -> None:
    assert_prose(FORM_OF_LS["json in tags"], **request_)


def test_json_that_was_asked_for_is_no_call() -> None:
    story = told(LS, text={"format": {"type": "json_object"}})
    assert (json.loads(story.text), story.calls) == (json.loads(LS), [])


def turn_of(text: str, *, on: bool) -> tuple[Turn, Story]:
    turn = opened(REQUEST, PLAIN)
    turn.to_chat(ON if on else OFF, "m")
    return turn, oracle.read(played(turn, [chunks(*({"content": sign} for sign in text))]))


@pytest.mark.parametrize("form", [form for form in FORM_OF_LS if not form.startswith(ALONE)])
def test_switched_off_it_notices_only(form: str) -> None:
    turn, story = turn_of(FORM_OF_LS[form], on=False)
    assert (story.text, story.calls) == (FORM_OF_LS[form], [])
    assert turn.warnings == ("leaked_tool_markup",)


def test_the_log_may_say_what_was_mended() -> None:
    assert turn_of(FORM_OF_LS["DSML"], on=True)[0].warnings == ("rescued_tool_call",)
    assert turn_of(PROSE["text after the call"], on=True)[0].warnings == ("leaked_tool_markup",)
    assert turn_of(PROSE["an example in a fence"], on=False)[0].warnings == ()
    assert turn_of("Just text.", on=False)[0].warnings == ()


def test_only_what_may_be_a_mark_is_held_back() -> None:
    turn = opened(REQUEST, CODEX)
    turn.to_chat(ON, "m")
    turn.start()
    sent = ""
    for piece in ("The answer", " is 5 <", " 6, and ", "<b>", "not\n", "more."):
        data = b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}).encode() + b"\n\n"
        events = turn.receive_data(data, 0)
        sent += "".join(getattr(event, "delta", "") for event in events)
    assert sent == "The answer is 5 < 6, and <b>not\nmore."


SNIPPETS = st.sampled_from(
    [
        *FORM_OF_LS.values(),
        *PROSE.values(),
        *marks_of("minimax").forms,
        "\n",
        " ",
        "```",
        "`",
        "a.",
        "{",
        "</tool_call>",
    ]
)


@given(st.lists(st.one_of(SNIPPETS, st.text(max_size=8)), max_size=6), st.data())
def test_a_text_is_whole_or_a_call(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    story, plain = told(pieces), told(text)
    assert (story.text, calls_of(story)) == (plain.text, calls_of(plain))
    if not story.calls and story.status == "completed":
        assert story.text.encode() == text.encode("utf-8", "surrogatepass")
    else:
        assert text.startswith(story.text)


@given(st.text(alphabet='<>|｜DSML]tool_cal{}"`\n .:/name=shell', max_size=60))
def test_noise_stays_noise(text: str) -> None:
    story = told(list(text))
    assert not story.calls
    assert story.status == "failed" or story.text == text
