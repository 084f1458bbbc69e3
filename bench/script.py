"""The scripted answer: which Chat Completions chunks a stream consists of, and what must come out of them. No I/O.

The shape is DeepSeek's: about 270 bytes a chunk, a fingerprint, 10 % CJK tokens, some quotes, line ends and emoji; a
role chunk, 90 % text, 10 % pieces of one tool call, the finish reason, the usage, `[DONE]`.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from functools import lru_cache

TOOL = "exec_command"
DONE = b"data: [DONE]\n\n"
FIRST_TOKEN = "The"
_HEAD = (
    b'data: {"id":"930c60df-bf64-41c9-a88e-3ec75f81e00e","object":"chat.completion.chunk","created":1763800000,'
    b'"model":"deepseek-chat","system_fingerprint":"fp_3a5770e1b4_prod0623_fp8","choices":[{"index":0,"delta":'
)
_TAIL = b',"logprobs":null,"finish_reason":%s}]}\n\n'
_LATIN = " the| gateway| of| translates| each| stream| and| then| request|.| model| returns| tokens| with| func|(x)| is"
_CJK = "模型|网关|请求|的|流式|输出|翻译|。|工具调用|完成"
_MARKS = '"|\n|\n\n|`"a"`| 🙂|🚀|\\n|\t'
_ARGUMENTS = " -la| grep| src| --color=never| main.py| |.| && cat| 2>&1| sort"
_MARKER = re.compile(rb"bench\[(\w+) chunks=(\d+) pace=(\d+) key=(\w*)\]")


@dataclass(frozen=True)
class Regime:
    """How one answer is to be given; travels as a marker in the last user text.

    kind: `burst` (60 chunks a write, no delay), `paced` (one chunk a write, each `pace_ms`), `few` (all in one write),
    `silent` (a first word, then nothing), `mute` (not even a response head).
    """

    kind: str
    chunks: int
    pace_ms: int = 0
    key: str = ""

    def marker(self) -> str:
        return f"bench[{self.kind} chunks={self.chunks} pace={self.pace_ms} key={self.key}]"


def find_regime(body: bytes | bytearray) -> Regime:
    """The regime that the last marker in a request body asks for."""
    match = _MARKER.match(body, max(body.rfind(b"bench["), 0))
    if match is None:
        return Regime("few", 6)
    kind, chunks, pace, key = (group.decode() for group in match.groups())
    return Regime(kind, int(chunks), int(pace), key)


@dataclass(frozen=True)
class Script:
    """The events of one answer (without `[DONE]`) and their meaning."""

    events: tuple[bytes, ...]
    text: str
    arguments: str


@lru_cache(maxsize=64)
def script(chunks: int) -> Script:
    """The answer of exactly `chunks` events; at least 4 (role, one text, finish, usage)."""
    dice = random.Random(7)
    tools = chunks // 10 if chunks >= 20 else 0
    texts = [FIRST_TOKEN, *(_token(dice) for _ in range(chunks - 4 - tools))]
    pieces = _argument_pieces(dice, tools)
    deltas: list[object] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text} for text in texts]
    deltas += [_tool_delta(index, piece) for index, piece in enumerate(pieces)]
    events = [_event(delta) for delta in deltas]
    events.append(_event({"content": ""}, finish=b'"tool_calls"' if tools else b'"stop"'))
    events.append(_usage(chunks))
    return Script(tuple(events), "".join(texts), "".join(pieces))


def _token(dice: random.Random) -> str:
    roll = dice.random()
    return dice.choice((_CJK if roll < 0.10 else _MARKS if roll < 0.14 else _LATIN).split("|"))


def _argument_pieces(dice: random.Random, count: int) -> list[str]:
    if not count:
        return []
    middle = [dice.choice(_ARGUMENTS.split("|")) for _ in range(count - 2)]
    return ['{"cmd": "ls', *middle, '"}']


def _tool_delta(index: int, piece: str) -> object:
    if index:
        return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
    function = {"name": TOOL, "arguments": piece}
    return {"tool_calls": [{"index": 0, "id": "call_00_bench", "type": "function", "function": function}]}


def _event(delta: object, finish: bytes = b"null") -> bytes:
    text = json.dumps(delta, ensure_ascii=False, separators=(",", ":"))
    return _HEAD + text.encode() + _TAIL % finish


def _usage(chunks: int) -> bytes:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": chunks,
        "total_tokens": 1000 + chunks,
        "prompt_tokens_details": {"cached_tokens": 960},
        "prompt_cache_hit_tokens": 960,
        "prompt_cache_miss_tokens": 40,
    }
    head = _HEAD.partition(b'"choices"')[0]
    return head + b'"choices":[],"usage":' + json.dumps(usage, separators=(",", ":")).encode() + b"}\n\n"
