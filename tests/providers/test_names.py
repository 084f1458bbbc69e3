"""No provider is named in code: a search through the sources, and a test of the search."""

from __future__ import annotations

import ast
import re
import tokenize
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import codex_nexus
from codex_nexus.translate.dialect import Dialect

PACKAGE = Path(codex_nexus.__file__).parent
NAMES = r"""
    deepseek kimi moonshot qwen dashscope alibaba aliyun bailian glm zhipu bigmodel zai minimax openrouter mistral groq
    x\.ai grok ollama lmstudio siliconflow volcengine bytedance doubao gemini fireworks cerebras nvidia azure vllm sglang
    llamacpp mimo xiaomi stepfun hunyuan tencent
"""
"""Not `xai`: keys begin with it, and what hides keys must know their shapes."""
BANNED = re.compile(rf"(?<![a-z])({'|'.join(NAMES.split())})(?![a-z])", re.IGNORECASE)
VOCABULARY = {word for hint in get_type_hints(Dialect).values() for word in get_args(hint) if isinstance(word, str)}
"""The forms of a dialect: two of them are called after the house that invented them."""
REPAIRS = {"schema_gemini"}
"""Names of repairs that bear such a word."""
WIRE_FIELDS = {"x_groq"}
"""Names of fields as they stand on the wire."""


def _sources() -> list[Path]:
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in {"providers", "demo.py"}
    )  # fmt: skip


@pytest.mark.parametrize("path", _sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_provider_is_named_in_code(path: Path) -> None:
    allowed = {"deepseek"} if path == PACKAGE / "config" / "model.py" else set()
    assert _named(path.read_text("utf-8"), allowed) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("if host == 'api.moonshot.ai':\n    pass\n", [(1, "'api.moonshot.ai'")]),
        ("def for_qwen(): pass\n", [(1, "for_qwen")]),
        ("x = f'see {y} at ollama'\n", [(1, "ollama")]),
        ("'''Not DeepSeek.'''\nclass A:\n    '''Kimi.'''\n    b: int\n    '''GLM.'''\n# Groq\n", []),
        ("subset == 'gemini' and _GEMINI_REFUSES and chunk.x_groq\n", []),
        ("provider == 'gemini-3'\n", [(1, "'gemini-3'")]),
        ("glmnet = 'examine'\n", []),
    ],
)
def test_the_search_finds_names_but_no_comments_and_docstrings(source: str, found: list[tuple[int, str]]) -> None:
    hits = _named(source, set())
    assert [line for line, _ in hits] == [line for line, _ in found]
    assert all(word in text for (_, text), (_, word) in zip(hits, found, strict=True))


def _named(source: str, allowed: set[str]) -> list[tuple[int, str]]:
    """Line and text of every name and string literal of the source that names a provider."""
    documented = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    texts = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    hits: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(iter(source.splitlines(keepends=True)).__next__):
        words = {word.lower() for word in BANNED.findall(token.string)}
        if not words:
            continue
        if token.type == tokenize.NAME:
            wrong = token.string not in WIRE_FIELDS and bool(words - VOCABULARY)
        elif token.type in texts and token.start[0] not in documented:
            wrong = token.string.strip("rbuRBU'\"") not in VOCABULARY | REPAIRS | WIRE_FIELDS | allowed
        else:
            wrong = False
        if wrong:
            hits.append((token.start[0], token.string))
    return hits
