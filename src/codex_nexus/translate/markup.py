"""Tool calls that models write as text: the forms in which they leak, each read into a name and typed arguments.

A form is an opening, a closing and a grammar for what stands between. All of the text between must be understood; what
is left over makes the whole block no call. Arguments in XML are texts; `meant` makes of them what the tool wants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from msgspec import Struct

from codex_nexus.wire import codec


class Written(Struct, frozen=True):
    """One call as it was written: the name in the model's words, arguments by name.

    Attributes:
        typed: the values are JSON already; else they are texts.
        bare: there were no arguments at all, not even an empty object.
    """

    name: str
    arguments: dict[str, Any]
    typed: bool = True
    bare: bool = False


Grammar = Callable[[str], list[Written] | None]
"""Reads what stands between opening and closing; None: this is not the form."""


class Form(Struct, frozen=True):
    """One way to write calls.

    Attributes:
        opening: the text with which it begins; a literal.
        closings: the texts with which it may end.
        grammar: reads all of it, opening and closing included.
        token: the opening is a model's control token, which nobody writes by hand.
    """

    opening: str
    closings: tuple[str, ...]
    grammar: Grammar
    token: bool = False


# --- grammars


def json_calls(text: str) -> list[Written] | None:
    """One or several objects (or a list of them) with `name` and `arguments` and nothing else."""
    found: list[Written] = []
    text = text.strip()
    while text:
        try:
            value, end = _JSON.raw_decode(text)
        except (ValueError, RecursionError):
            return None
        for entry in codec.as_list(value) or [value]:
            call = _json_call(entry)
            if call is None:
                return None
            found.append(call)
        text = text[end:].lstrip(", \t\r\n")
    return found or None


_JSON = json.JSONDecoder(strict=False)
_KEYS = {"name", "arguments", "parameters", "type", "id", "function", "index"}


def _json_call(value: Any) -> Written | None:
    fields = codec.as_object(value)
    if fields is None or not fields.keys() <= _KEYS:
        return None
    inner = codec.as_object(fields.get("function"))
    fields = fields if inner is None else inner
    name, bare = fields.get("name"), "arguments" not in fields and "parameters" not in fields
    given: Any = fields.get("arguments", fields.get("parameters"))
    if isinstance(given, str):
        try:
            given = codec.decode_lenient(given.encode("utf-8", "replace")) if given.strip() else None
        except ValueError:
            return None
    arguments = {} if given is None else codec.as_object(given)
    return Written(name, arguments, bare=bare) if isinstance(name, str) and name and arguments is not None else None


def _repeated(pattern: re.Pattern[str], text: str) -> list[re.Match[str]] | None:
    """Matches that cover the text, only white space between them."""
    found: list[re.Match[str]] = []
    at = 0
    while match := pattern.match(text, at):
        found.append(match)
        at = match.end()
    return found if found and not text[at:].strip() else None


_FUNCTION = re.compile(
    r"\s*<function=(?P<name>[^>\s]+?)\s*>(?P<body>.*?)(?:</function>\s*(?=<function=|\Z)|\s*\Z)", re.DOTALL
)
_PARAMETER = re.compile(r"\s*<parameter=(?P<key>[^>\n]+)>(?P<value>.*?)</parameter>\s*(?=<parameter=|\Z)", re.DOTALL)
_INVOKE = re.compile(r"\s*<invoke\s+name=\"(?P<name>[^\"]+)\"\s*>(?P<body>.*?)</invoke>\s*(?=<invoke\s|\Z)", re.DOTALL)
_NAMED = re.compile(
    r"\s*<parameter\s+name=\"(?P<key>[^\"]+)\"(?:\s+string=\"(?P<string>true|false)\")?\s*>(?P<value>.*?)</parameter>\s*"
    r"(?=<parameter\s|\Z)",
    re.DOTALL,
)
_TAGGED = re.compile(r"\s*<(?P<key>[\w.-]+)>(?P<value>.*?)</(?P=key)>\s*(?=<[\w.-]+>|\Z)", re.DOTALL)
_PAIRED = re.compile(
    r"\s*<arg_key>(?P<key>.*?)</arg_key>\s*<arg_value>(?P<value>.*?)</arg_value>\s*(?=<arg_key>|\Z)", re.DOTALL
)
_BARE_NAME = re.compile(r"\s*(?P<name>[\w.:-]+)\s*(?=<arg_key>|\Z)")
_SEPARATED = re.compile(
    r"\s*<｜tool▁call▁begin｜>\s*(?:function<｜tool▁sep｜>)?(?P<name>[\w.:-]+)\s*(?:<｜tool▁sep｜>)?\s*(?:```json)?"  # noqa: RUF001
    r"\s*(?P<body>\{.*?\})\s*(?:```)?\s*<｜tool▁call▁end｜>\s*(?=<｜tool▁call▁begin｜>|\Z)",  # noqa: RUF001
    re.DOTALL,
)
_ARGUED = re.compile(r"\s*(?P<name>[\w.:-]+)\[ARGS\](?P<body>\{.*?\})\s*(?=[\w.:-]+\[ARGS\]|\Z)", re.DOTALL)
_SECTION = re.compile(
    r"\s*<\|tool_call_begin\|>\s*(?P<name>[^<\s]+)\s*<\|tool_call_argument_begin\|>(?P<body>.*?)<\|tool_call_end\|>\s*"
    r"(?=<\|tool_call_begin\|>|\Z)",
    re.DOTALL,
)


def _functions(text: str) -> list[Written] | None:
    """`<function=NAME>` around `<parameter=KEY>VALUE</parameter>` or around JSON."""
    return _all_read([_function(match["name"], match["body"]) for match in _repeated(_FUNCTION, text) or []])


def _all_read(calls: list[Written | None]) -> list[Written] | None:
    known = [call for call in calls if call is not None]
    return known if known and len(known) == len(calls) else None


def _function(name: str, body: str) -> Written | None:
    """Line breaks around a parameter's value belong to its tags."""
    pairs = _repeated(_PARAMETER, body) if body.strip() else []
    if pairs is None:
        return _around_json(name, body)
    arguments = {pair["key"].strip(): pair["value"].removeprefix("\n").removesuffix("\n") for pair in pairs}
    return Written(name, arguments, typed=False)


def _around_json(name: str, body: str) -> Written | None:
    try:
        arguments = codec.as_object(codec.decode_lenient(body.strip().encode("utf-8", "replace")))
    except ValueError:
        return None
    return None if arguments is None else Written(name, arguments)


def _invokes(text: str) -> list[Written] | None:
    """`<invoke name="NAME">` around parameters, around tags named as the parameters are, or around JSON."""
    return _all_read([_invoked(match["name"], match["body"]) for match in _repeated(_INVOKE, text) or []])


def _invoked(name: str, body: str) -> Written | None:
    if not body.strip():
        return Written(name, {})
    pairs = _repeated(_NAMED, body)
    if pairs is not None and any(pair["string"] for pair in pairs):
        try:
            return Written(name, {pair["key"]: _declared_value(pair["value"], pair["string"]) for pair in pairs})
        except ValueError:
            return None
    pairs = pairs or _repeated(_TAGGED, body)
    if pairs is not None:
        return Written(name, {pair["key"]: pair["value"] for pair in pairs}, typed=False)
    return _around_json(name, body)


def _declared_value(value: str, string: str | None) -> Any:
    return codec.decode_lenient(value.encode("utf-8", "replace")) if string == "false" else value


def _pairs(text: str) -> list[Written] | None:
    """`NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`."""
    head = _BARE_NAME.match(text)
    if head is None:
        return None
    rest = text[head.end() :]
    pairs = _repeated(_PAIRED, rest) if rest.strip() else []
    if pairs is None:
        return None
    return [Written(head["name"], {pair["key"].strip(): pair["value"] for pair in pairs}, typed=False)]


_TAIL = re.compile(r"(?:\s|<\|[a-z_]{1,30}\|>|</s>)+\Z")
"""Tokens that end an answer, behind forms that have no closing of their own."""


def _between(opening: str, closings: tuple[str, ...], *grammars: Grammar) -> Grammar:
    """The first grammar that reads what is left without opening and closing (which may be missing at the very end)."""

    def read(text: str) -> list[Written] | None:
        inner = text.strip().removeprefix(opening).strip()
        for closing in closings:
            inner = inner.removesuffix(closing)
        inner = inner if closings else _TAIL.sub("", inner)
        return next(filter(None, (grammar(inner) for grammar in grammars)), None)

    return read


_DSML = re.compile(r"<(/?)[|｜]{1,2}DSML[|｜]{1,2} ?")  # noqa: RUF001 - the token is written so


def _plain_dsml(text: str) -> list[Written] | None:
    return _invokes(re.sub(r"</?(?:tool_|function_)?calls>", "", _DSML.sub(r"<\1", text)))


def _sectioned(text: str) -> list[Written] | None:
    """The call id names the tool: `functions.NAME:INDEX`."""
    calls = _named_bodies(_SECTION)(text)
    return calls and [
        Written(re.sub(r":\d+$", "", call.name).removeprefix("functions."), call.arguments) for call in calls
    ]


def _argued(text: str) -> list[Written] | None:
    """`NAME[ARGS]{...}`, each behind a mark of its own."""
    return _named_bodies(_ARGUED)(text.replace("[TOOL_CALLS]", "\n"))


def _named_bodies(pattern: re.Pattern[str]) -> Grammar:
    """Calls that this pattern finds one after another, each a `name` and a JSON `body`."""

    def read(text: str) -> list[Written] | None:
        found = _repeated(pattern, text) or []
        return _all_read([_around_json(match["name"], match["body"].strip() or "{}") for match in found])

    return read


class Marks(Struct, frozen=True):
    """The forms that a model family writes.

    Attributes:
        forms: by the opening, which is the mark that announces them.
        pattern: finds a mark.
        longest: characters of the longest mark.
        first: the characters with which marks begin.
    """

    forms: dict[str, Form]
    pattern: re.Pattern[str]
    longest: int
    first: frozenset[str]


@lru_cache(maxsize=64)
def marks_of(family: str) -> Marks:
    """The marks of every model, and those with the name of this family in them."""
    forms = {form.opening: form for form in (*_common(), *(_of_family(family) if family else ()))}
    pattern = re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))
    return Marks(forms, pattern, max(map(len, forms)), frozenset(mark[0] for mark in forms))


_TAGGED_CALL = ("<tool_call>", "</tool_call>")
_GRAMMARS = (json_calls, _functions, _invokes, _pairs)


def _common() -> Iterator[Form]:
    opening, closing = _TAGGED_CALL
    yield Form(opening, (closing,), _between(opening, (closing,), *_GRAMMARS))
    yield Form("<function=", ("</function>",), _functions)
    yield Form("<|tool_call_begin|>", ("<|tool_call_end|>",), _sectioned, token=True)
    section = ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>")
    yield Form(section[0], section[1:], _between(section[0], section[1:], _sectioned), token=True)
    for name in ("tool_calls", "function_calls", "function_call"):
        opening, closing = f"<{name}>", f"</{name}>"
        yield Form(opening, (closing,), _between(opening, (closing,), json_calls, _invokes, _functions))
    yield Form("[TOOL_CALLS]", (), _between("[TOOL_CALLS]", (), json_calls, _argued), token=True)
    for token in ("<|tool_call|>", "<|python_tag|>"):
        yield Form(token, (), _between(token, (), json_calls), token=True)
    section = ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>")  # noqa: RUF001 - the tokens are written so
    yield Form(section[0], section[1:], _between(section[0], section[1:], _named_bodies(_SEPARATED)), token=True)
    for bars in ("｜", "｜｜", "|", "||"):  # noqa: RUF001 - the token is written so
        for name in (f"{gap}{kind}calls" for gap in ("", " ") for kind in ("tool_", "function_", "")):
            dsml = f"{bars}DSML{bars}{name}>"
            yield Form(f"<{dsml}", (f"</{dsml}",), _plain_dsml, token=True)


def _of_family(family: str) -> Iterator[Form]:
    """Tags in a name space, and tags that all begin with one token."""
    opening, closings = f"<{family}:tool_call>", (f"</{family}:tool_call>",)
    yield Form(opening, closings, _between(opening, closings, _invokes, json_calls), token=True)
    token, (opening, closing) = f"]<]{family}[>[", _TAGGED_CALL
    plain = _between(opening, (closing,), *_GRAMMARS)
    yield Form(token + opening, (token + closing, closing), lambda text: plain(text.replace(token, "")), token=True)
