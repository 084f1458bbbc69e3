"""Writes a tiny GGUF whose weights recite fixed answers, so that a real llama.cpp server can be told what to say.

It is no language model: it has one layer that adds nothing, and an output matrix in which every token names its only
successor. The chat template looks for a marker such as `<<exec>>` in the last user message and ends the prompt with
the first token of that script; from there the model recites. After a tool result it recites `final`.
Everything around the model is real: tokenizer, template, grammar, tool-call and reasoning parser, event stream, usage.

    python tests/e2e/llama_model.py OUT.gguf
"""

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+made by patch\n*** End Patch\n"
HEAD = 32  # width of the one attention head
LONGEST = 14  # characters of one token


def _call(name: str, **arguments: str) -> str:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def _think(thought: str) -> str:
    return f"<think>\n{thought}\n</think>\n\n"


PLAIN = "Greetings from a model that recites. Emoji: 🦊🚀, 漢字: 你好，世界."
LOOK_FIRST = "Let me look around before I answer."
THOUGHT = "Somebody wants a number, so a number it shall be."
PLAN = "There should be a note on disk; a short command writes it."
FINAL = "All done: the tool has answered."

SCRIPTS = {
    "plain": PLAIN,
    "exec": _call("exec_command", cmd="echo executed > exec.txt && cat exec.txt"),
    "talk-exec": f"{LOOK_FIRST}\n{_call('exec_command', cmd='pwd')}",
    "two-execs": "\n".join(_call("exec_command", cmd=f"echo {n} > {n}.txt") for n in ("first", "second")),
    "think": _think(THOUGHT) + "Forty-two, naturally.",
    "think-exec": _think(PLAN) + _call("exec_command", cmd="printf noted > thought.txt"),
    "patch": _call("apply_patch", input=PATCH),
    "final": FINAL,
}
LOOP = (" round and", " round again,")

# The shape (system, tools, thoughts, calls, results) is what llama.cpp reads to learn how this model writes calls.
TEMPLATE = """
{%- set play = namespace(script='plain') %}
{%- if messages[0].role == 'system' or tools %}
{{- '<|open|>system\\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content }}{%- endif %}
{%- if tools %}
{{- '\\n\\nTools:\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}
{{- '\\n</tools>\\n\\nA call looks like this:\\n<tool_call>\\n{"name": NAME, "arguments": OBJECT}\\n</tool_call>' }}
{%- endif %}
{{- '<|close|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- set said = message.content if message.content is string else '' %}
{%- if message.role == 'system' and not loop.first %}
{{- '<|open|>system\\n' + said + '<|close|>\\n' }}
{%- elif message.role == 'user' %}
{{- '<|open|>user\\n' + said + '<|close|>\\n' }}
{%- set play.script = 'plain' %}
{%- for name in NAMES %}
{%- if ('<<' + name + '>>') in said %}{%- set play.script = name %}{%- endif %}
{%- endfor %}
{%- elif message.role == 'assistant' %}
{{- '<|open|>assistant\\n' }}
{%- if message.reasoning_content %}
{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
{%- endif %}
{{- said }}
{%- for call in message.tool_calls or [] %}
{%- if said or not loop.first %}{{- '\\n' }}{%- endif %}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{%- if call.function.arguments is string %}
{{- call.function.arguments }}
{%- else %}
{{- call.function.arguments | tojson }}
{%- endif %}
{{- '}\\n</tool_call>' }}
{%- endfor %}
{{- '<|close|>\\n' }}
{%- elif message.role == 'tool' %}
{{- '<|open|>user\\n<tool_response>\\n' + said + '\\n</tool_response><|close|>\\n' }}
{%- set play.script = 'final' %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|open|>assistant\\n<|' + play.script + '|>' }}{%- endif %}
"""


class Vocabulary:
    """Tokens in order of their numbers: single bytes, control tokens, and pieces of text that are used once each."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.types: list[int] = []
        self._numbers: dict[str, int] = {}

    def __contains__(self, text: str) -> bool:
        return text in self._numbers

    def add(self, text: str, kind: gguf.TokenType) -> int:
        """Make a token; its text must be new."""
        if text in self._numbers:
            raise ValueError(f"two tokens would read {text!r}")
        self._numbers[text] = len(self.texts)
        self.texts.append(text)
        self.types.append(int(kind))
        return self._numbers[text]

    def add_text(self, text: str) -> list[int]:
        """Cut a text into new tokens."""
        pieces = self._cut(text, ())
        if pieces is None:
            raise ValueError(f"no way to cut {text!r} into pieces that no other text has used")
        return [self.add(piece, gguf.TokenType.USER_DEFINED) for piece in pieces]

    def _cut(self, rest: str, taken: tuple[str, ...]) -> tuple[str, ...] | None:
        if not rest:
            return taken
        for length in range(min(3, len(rest)), min(LONGEST, len(rest)) + 1):
            piece = rest[:length]
            if len(piece) > 1 and piece not in self and piece not in taken:
                found = self._cut(rest[length:], (*taken, piece))
                if found is not None:
                    return found
        return None


def _byte_texts() -> Iterator[str]:
    """How the byte-level tokenizer of GPT-2 writes the 256 bytes: printable ones as they are, others from U+0100 on."""
    spare = 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174:
            yield chr(byte)
        else:
            yield chr(spare)
            spare += 1


class Recital:
    """The vocabulary and, for each token that is followed by another, its successor."""

    def __init__(self) -> None:
        self.words = Vocabulary()
        self.successor: dict[int, int] = {}
        for text in _byte_texts():
            self.words.add(text, gguf.TokenType.NORMAL)
        self.words.add("Ġt", gguf.TokenType.NORMAL)  # the one merge that the tokenizer insists on
        self.begin = self._control("<|begin|>")
        self._control("<|open|>")
        self.end = self._control("<|close|>")
        for name, text in SCRIPTS.items():
            self._chain([self._control(f"<|{name}|>"), *self.words.add_text(text), self.end])
        tick, tock = (self.words.add(text, gguf.TokenType.USER_DEFINED) for text in LOOP)
        self._chain([self._control("<|loop|>"), tick, tock, tick])

    def _control(self, text: str) -> int:
        return self.words.add(text, gguf.TokenType.CONTROL)

    def _chain(self, tokens: list[int]) -> None:
        self.successor |= dict(itertools.pairwise(tokens))

    def matrices(self) -> tuple[np.ndarray, np.ndarray]:
        """Embedding and output matrix: one dimension for each token with a successor, the first for all others."""
        dimension = {token: place for place, token in enumerate(sorted(self.successor), start=1)}
        size = (len(self.words.texts), -(-(len(dimension) + 1) // 64) * 64)
        embedding, output = np.zeros(size, np.float16), np.zeros(size, np.float16)
        for token in range(size[0]):
            embedding[token, dimension.get(token, 0)] = 1
        for token, place in dimension.items():
            output[self.successor[token], place] = 1
        output[self.end, 0] = 1
        return embedding, output


def write_model(path: Path, context: int = 131072) -> None:
    """Write the model file."""
    recital = Recital()
    embedding, output = recital.matrices()
    writer = gguf.GGUFWriter(path, "llama")
    _write_shape(writer, embedding, context)
    _write_tokenizer(writer, recital)
    for name, tensor in _tensors(embedding, output):
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_shape(writer: gguf.GGUFWriter, embedding: np.ndarray, context: int) -> None:
    writer.add_name("reciter")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(context)
    writer.add_vocab_size(embedding.shape[0])
    writer.add_embedding_length(embedding.shape[1])
    writer.add_block_count(1)
    writer.add_feed_forward_length(HEAD)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_key_length(HEAD)
    writer.add_value_length(HEAD)
    writer.add_rope_dimension_count(HEAD)
    writer.add_layer_norm_rms_eps(1e-6)


def _write_tokenizer(writer: gguf.GGUFWriter, recital: Recital) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(recital.words.texts)
    writer.add_token_types(recital.words.types)
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(recital.begin)
    writer.add_add_bos_token(False)
    writer.add_eos_token_id(recital.end)
    writer.add_pad_token_id(recital.begin)
    writer.add_chat_template(TEMPLATE.strip().replace("NAMES", json.dumps([*SCRIPTS, "loop"])))


def _tensors(embedding: np.ndarray, output: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    width = embedding.shape[1]
    yield "token_embd.weight", embedding
    yield "output.weight", output
    for norm in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        yield f"{norm}.weight", np.ones(width, np.float32)
    for inward in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"):
        yield f"blk.0.{inward}.weight", np.zeros((HEAD, width), np.float16)
    for outward in ("attn_output", "ffn_down"):
        yield f"blk.0.{outward}.weight", np.zeros((width, HEAD), np.float16)


def marked(script: str, prompt: str = "") -> str:
    """A prompt that makes the model recite this script."""
    known: dict[str, Any] = {**SCRIPTS, "loop": LOOP}
    if script not in known:
        raise KeyError(script)
    return f"<<{script}>> {prompt}".rstrip()


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
