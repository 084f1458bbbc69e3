"""How the insides of a trace are shown: keys masked always, words replaced by their length unless they are wanted.

Which texts are words is decided by the place where they stand, never by what they look like. Only texts under names
that the protocols use for types, ids, names and choices stay, and only when they could be such; so a field that nobody
knows loses its text. Inside tool schemas it is the other way round: all stays but descriptions, defaults and examples.
Inside errors all stays but what a provider quotes there. Numbers stay everywhere, except where they spell a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, cast

from codex_nexus.gateway.cuts import length
from codex_nexus.translate.masks import without_keys
from codex_nexus.wire import codec

Place = Literal["top", "protocol", "words", "schema", "error"]

_STAYS = frozenset(
    {
        "type", "object", "role", "status", "name", "model", "provider", "code", "param", "id", "phase",
        "event", "finish_reason", "native_finish_reason", "stop_reason", "reason", "service_tier",
        "system_fingerprint", "detail", "effort", "reasoning_effort", "tool_choice", "truncation",
        "verbosity", "include", "modalities", "syntax", "mode", "format", "encoding", "namespace",
        "server_label", "prompt_cache_key", "prompt_cache_retention", "channel", "mime_type",
        "media_type",
    }
)  # fmt: skip
_CHOICES = frozenset({"auto", "concise", "detailed", "none"})
"""What `summary` may say as a setting."""
_COULD_STAY = re.compile(r"[\w.:/@+$|<>\[\]-]{0,256}", re.ASCII)
_FIELD = re.compile(r"[\w.$@/-]{1,64}", re.ASCII)
_WORDS_BELOW = frozenset({"arguments", "metadata", "client_metadata", "env", "attributes", "parsed"})
_SCHEMA_BELOW = frozenset({"parameters", "schema", "input_schema"})
_ERROR_BELOW = frozenset({"error", "errors", "incomplete_details", "last_error", "base_resp"})
_ERROR_AT_TOP = frozenset({"message", "msg", "detail", "error_description", "error_msg", "reason", "title"})
_SCHEMA_WORDS = frozenset({"description", "title", "default", "example", "examples", "const", "$comment"})
_QUOTED = frozenset({"failed_generation", "generation", "input", "body", "prompt", "messages", "ctx"})
"""Where errors hold what was said in the conversation."""
_SPELT = frozenset({"bytes", "token_ids", "prompt_token_ids", "prompt_logprobs", "tokens"})
"""Lists of numbers that spell a text."""
_SECRET = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?api[-_]?key|\w*password|\w*secret|\w*_token|token"
)

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|$)")


class Look:
    """One way to look at traces.

    Args:
        secrets: to be masked, beside all that looks like a key.
        words: whether words are shown.
    """

    def __init__(self, secrets: Iterable[str], *, words: bool) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._words = words

    def masked(self, text: str) -> str:
        """The text without keys, with its words."""
        return without_keys(codec.whole(text), *self._secrets)

    def json(self, data: bytes, *, refused: bool = False) -> Any:
        """A body of JSON.

        Args:
            data: the body.
            refused: it is the reason of a refusal.

        Raises:
            ValueError: it is no JSON object or list, or nested too deeply to be shown.
        """
        try:
            value = _decoded(data)
            if not isinstance(value, (dict, list)):
                raise ValueError("no object and no list")  # noqa: TRY004 - the data is wrong, not the call
            return self._value(value, "", "error" if refused else "top")
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def text(self, text: str, *, refused: bool = False) -> str:
        """A body that is no JSON; that of a refusal is an error message."""
        return self.masked(text) if self._words or refused or not text.strip() else _no_json(text)

    def block(self, block: str) -> str:
        """One event of a stream with all its lines; whatever is no event, too."""
        lines = [(line, end) for line, end in _LINE.findall(block) if line or end]
        data = [line.partition(":")[2].removeprefix(" ") for line, _ in lines if line.startswith("data:")]
        joined = "\n".join(data)
        shown = self._data(joined) if len(data) > 1 else None
        if shown is None:
            return "".join(self._line(line) + end for line, end in lines)
        if shown != joined:
            first = next(end for line, end in lines if line.startswith("data:"))
            lines = [(f"data: {shown}", first), *((line, end) for line, end in lines if not line.startswith("data:"))]
        return "".join((line if line.startswith("data:") else self._line(line)) + end for line, end in lines)

    # --- lines of streams

    def _line(self, line: str) -> str:
        field, colon, rest = line.partition(":")
        field = field.removeprefix("\ufeff")
        value = rest.removeprefix(" ")
        if not line or (field == "data" and value in ("", "[DONE]")):
            return line
        if field in ("event", "id", "retry") and colon:
            return self.masked(line) if self._words or _COULD_STAY.fullmatch(value) else f"{field}: {_gone(value)}"
        start = line[: len(line) - len(value)] if colon and field in ("data", "") else ""
        told = self._data(line.removeprefix(start))
        return start + (self.text(line.removeprefix(start)) if told is None else told)

    def _data(self, text: str) -> str | None:
        """JSON as it is shown: with words as it came, when no key is in it; None when it is none."""
        try:
            value = _decoded(text.encode("utf-8", "surrogatepass"))
            shown = self._value(value, "", "top")
        except (ValueError, RecursionError):
            return None
        # a key that stands twice in an object is seen once; the text itself may hold more
        return self.masked(text) if self._words and shown == value else codec.encode_any(shown).decode()

    # --- values

    def _value(self, value: Any, name: str, place: Place) -> Any:
        if isinstance(value, str):
            return self._string(value, name, place)
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value).items()
            return {self._field(key): self._value(inner, key, _place_of(key, place)) for key, inner in fields}
        if isinstance(value, list):
            listed = cast("list[Any]", value)
            if name in _SPELT and not self._words:
                return f"<{len(listed)} values>"
            return [self._value(inner, name, place) for inner in listed]
        return value

    def _field(self, name: str) -> str:
        return self.masked(name) if self._words or _FIELD.fullmatch(name) else _gone(name)

    def _string(self, text: str, name: str, place: Place) -> str:
        if place != "schema" and text and _SECRET.fullmatch(name.lower()):
            return "***"
        if self._words or _stays(text, name, place):
            return self._error(text) if place == "error" and not self._words else self.masked(text)
        return _gone(text) if text else text

    def _error(self, text: str) -> str:
        """A message; some providers put the JSON of another's refusal into it."""
        if text.lstrip()[:1] in ("{", "["):
            try:
                return codec.encode_any(self.json(text.encode("utf-8", "replace"), refused=True)).decode()
            except ValueError:
                pass
        return self.masked(text)


def _decoded(data: bytes) -> Any:
    try:
        return codec.decode_any(data)
    except ValueError:
        return codec.decode_lenient(data)


def _place_of(name: str, place: Place) -> Place:
    """Where one is below this name."""
    if place == "error":
        return "words" if name in _QUOTED else "error"
    if place in ("words", "schema"):
        return place
    if name in _ERROR_BELOW or (place == "top" and name in _ERROR_AT_TOP):
        return "error"
    if name in _WORDS_BELOW:
        return "words"
    return "schema" if name in _SCHEMA_BELOW else "protocol"


def _stays(text: str, name: str, place: Place) -> bool:
    if place == "error":
        return True
    if place == "schema":
        return name not in _SCHEMA_WORDS
    if place == "words":
        return False
    known = name in _STAYS or name.endswith(("_id", "_ids")) or (name == "summary" and text in _CHOICES)
    return known and _COULD_STAY.fullmatch(text) is not None


def _gone(text: str) -> str:
    return f"<{length(text)} characters>"


def _no_json(text: str) -> str:
    return f"<{length(text)} characters, no JSON>"
