"""Request bodies: short ones and Codex-like histories of a wanted size, in both protocols. No I/O."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from script import TOOL, Regime

MODEL = "deepseek-chat"
_PROSE = (
    "def class return import the stream request gateway provider value error config test path file line index token "
    'self.assertEqual(a, b) for item in items: if not found: raise ValueError("bad") # note 0x7f {"k": [1, 2]}'
)
_WORDS = _PROSE.split(" ")
_CJK = "网关将请求翻译为聊天补全并逐字返回结果测试配置文件路径错误处理模型"
_OUTPUT_HEAD = "Chunk ID: 5170ad\nWall time: 0.0412 seconds\nProcess exited with code 0\nOutput:\n"
_TOOL_NAMES = (
    "write_stdin request_user_input view_image get_goal create_goal update_goal update_plan list_mcp_resources "
    "read_mcp_resource spawn_agent wait_agent close_agent"
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """One round of a history: what the user said (or nothing), the model thought, called, got and answered."""

    number: int
    user: str
    thought: str
    command: str
    output: str
    answer: str


def short_body(protocol: str, regime: Regime) -> bytes:
    """A request with one user message and one tool."""
    return _body(protocol, "You are a coding agent.", [_exec_tool()], [], regime)


@lru_cache(maxsize=8)
def history_body(protocol: str, size: int, regime: Regime) -> bytes:
    """A request of about `size` bytes as Codex sends it after many rounds of work."""
    return _body(protocol, _instructions(), _tools(), _history(size), regime)


def _body(protocol: str, instructions: str, tools: list[Json], steps: list[Step], regime: Regime) -> bytes:
    make = _responses if protocol == "responses" else _chat
    last = "Continue with the work. " + regime.marker()
    return json.dumps(make(instructions, tools, steps, last), ensure_ascii=False, separators=(",", ":")).encode()


def _responses(instructions: str, tools: list[Json], steps: list[Step], last: str) -> Json:
    items = [item for step in steps for item in _step_items(step)]
    items.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": last}]})
    return {
        "model": MODEL,
        "instructions": instructions,
        "input": items,
        "tools": tools,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01a20381-d5b7-74d1-bbe7-d865b2e1ae65",
    }


def _step_items(step: Step) -> list[Json]:
    call_id = f"call_{step.number}"
    items: list[Json] = [
        {
            "type": "reasoning",
            "id": f"rs_{step.number}",
            "summary": [{"type": "summary_text", "text": step.thought}],
            "encrypted_content": "gAAAAABo" + "x9Kd_7" * 150,
        },
        {
            "type": "function_call",
            "id": f"fc_{step.number}",
            "status": "completed",
            "name": TOOL,
            "arguments": json.dumps({"cmd": step.command}, ensure_ascii=False),
            "call_id": call_id,
        },
        {"type": "function_call_output", "call_id": call_id, "output": step.output},
    ]
    if step.user:
        said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": step.user}]}
        items.insert(0, said)
    if step.answer:
        text = {"type": "output_text", "text": step.answer}
        items.append({"type": "message", "id": f"msg_{step.number}", "role": "assistant", "content": [text]})
    return items


def _chat(instructions: str, tools: list[Json], steps: list[Step], last: str) -> Json:
    messages: list[Json] = [{"role": "system", "content": instructions}]
    messages += [message for step in steps for message in _step_messages(step)]
    messages.append({"role": "user", "content": last})
    functions = [{"type": "function", "function": {k: tool[k] for k in tool if k != "type"}} for tool in tools]
    return {
        "model": MODEL,
        "messages": messages,
        "tools": functions,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _step_messages(step: Step) -> list[Json]:
    call_id = f"call_{step.number}"
    function = {"name": TOOL, "arguments": json.dumps({"cmd": step.command}, ensure_ascii=False)}
    call = {"id": call_id, "type": "function", "function": function}
    asks = {"role": "assistant", "content": None, "reasoning_content": step.thought, "tool_calls": [call]}
    messages: list[Json] = [asks, {"role": "tool", "tool_call_id": call_id, "content": step.output}]
    if step.user:
        messages.insert(0, {"role": "user", "content": step.user})
    if step.answer:
        messages.append({"role": "assistant", "content": step.answer})
    return messages


@lru_cache(maxsize=4)
def _history(size: int) -> list[Step]:
    dice = random.Random(3)
    steps: list[Step] = []
    written = len(_instructions()) + len(json.dumps(_tools()))
    while written < size:
        step = _step(dice, len(steps))
        steps.append(step)
        written += sum(len(json.dumps(item, ensure_ascii=False).encode()) for item in _step_items(step))
    return steps


def _step(dice: random.Random, number: int) -> Step:
    return Step(
        number=number,
        user=_prose(dice, 300) if number % 8 == 0 else "",
        thought=_prose(dice, 400),
        command=_prose(dice, 120),
        output=_OUTPUT_HEAD + _prose(dice, dice.randrange(400, 18000)),
        answer=_prose(dice, 700) if number % 3 == 0 else "",
    )


def _prose(dice: random.Random, length: int) -> str:
    """Words, lines and, by bytes, about 7 % Chinese."""
    words: list[str] = []
    while length > 0:
        roll = dice.random()
        word = dice.choice(_WORDS) if roll > 0.05 else "\n    " if roll > 0.028 else dice.choice(_CJK) * 5
        words.append(word)
        length -= len(word) + 1
    return " ".join(words)


@lru_cache(maxsize=1)
def _instructions() -> str:
    return _prose(random.Random(1), 15000)


def _exec_tool() -> Json:
    return _function(TOOL, "Runs a command in a PTY, returning output or a session ID for ongoing interaction.", "cmd")


@lru_cache(maxsize=1)
def _tools() -> list[Json]:
    dice = random.Random(2)
    others = [_function(name, _prose(dice, 400), *(f"field_{n}" for n in range(6))) for name in _TOOL_NAMES.split(" ")]
    return [_exec_tool(), *others, _function("apply_patch", _prose(dice, 900), "input")]


def _function(name: str, description: str, *fields: str) -> Json:
    properties = {field: {"type": "string", "description": f"The {field} of the call, as text."} for field in fields}
    parameters = {"type": "object", "properties": properties, "required": [fields[0]], "additionalProperties": False}
    return {"type": "function", "name": name, "description": description, "strict": False, "parameters": parameters}
