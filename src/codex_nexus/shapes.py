"""Decoded JSON as typed values, with every problem and its path instead of the first one. Knows no file and no format.

A check goes down a value and its type side by side; what is wrong adds a sentence for the person who wrote it, and what
is right is kept, so that one reading tells all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec

DecodeHook = Callable[[type, Any], Any]


class Shapes:
    """One check of one document.

    Attributes:
        problems: a sentence for each, beginning with its path.
    """

    def __init__(self, dec_hook: DecodeHook | None = None, alone: object = None) -> None:
        """A check with nothing found yet.

        Args:
            dec_hook: msgspec's, for types that it does not know.
            alone: the type of a list that may also be written as its only element.
        """
        self.problems: list[str] = []
        self._hook = dec_hook
        self._alone = alone

    def checked(self, value: Any, hint: Any, path: str) -> Any:
        """The value as this type; None after a problem."""
        bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if bare is msgspec.Raw:
            return msgspec.Raw(msgspec.json.encode(value))
        if bare == self._alone and isinstance(value, str):
            value = [value]
        if get_origin(bare) is dict and isinstance(value, dict):
            inner = get_args(bare)[1]
            known = cast("dict[str, Any]", value)
            return {key: self.checked(child, inner, f"{path}.{key}") for key, child in known.items()}
        if get_origin(bare) is tuple and get_args(bare)[1:] == (...,) and isinstance(value, list):
            inner = get_args(bare)[0]
            items = cast("list[Any]", value)
            return tuple(self.checked(child, inner, f"{path}[{n}]") for n, child in enumerate(items))
        if isinstance(bare, type) and issubclass(bare, msgspec.Struct) and isinstance(value, dict):
            return self._struct(cast("dict[str, Any]", value), bare, path)
        return self._converted(value, hint, path)

    def fields(self, value: dict[str, Any], kind: type[msgspec.Struct], path: str) -> dict[str, Any]:
        """Those fields of a Struct that stand in the value and are right; an unknown key is a problem."""
        hints = get_type_hints(kind, include_extras=True)
        at = f"{path}." if path else ""
        found: dict[str, Any] = {}
        for key, child in value.items():
            if key not in hints:
                self.problems.append(f"{at}{key}: there is no such key; known are {', '.join(hints)}.")
                continue
            before = len(self.problems)
            read = self.checked(child, hints[key], f"{at}{key}")
            if len(self.problems) == before:
                found[key] = read
        return found

    def _struct(self, value: dict[str, Any], kind: type[msgspec.Struct], path: str) -> Any:
        before = len(self.problems)
        fields = self.fields(value, kind, path)
        at = f"{path}." if path else ""
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in value:
                self.problems.append(f"{at}{field.name}: this key is required.")
        return kind(**fields) if len(self.problems) == before else None

    def _converted(self, value: Any, hint: Any, path: str) -> Any:
        try:
            return msgspec.convert(value, hint, dec_hook=self._hook)
        except msgspec.ValidationError as error:
            self.problems.append(f"{path or 'the file'}: {_sentence(str(error), value, hint)}")
            return None


_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}
_QUOTED = re.compile("`([^`]*)`")


def _sentence(complaint: str, value: Any, hint: Any) -> str:
    if get_origin(hint) is Literal and isinstance(value, str):
        return f"'{value}' is none of {', '.join(map(str, get_args(hint)))}."
    text = _QUOTED.sub(_spoken, complaint.partition(" - at ")[0])
    # A wrong range needs the value; a wrong type does not, and it might be a key.
    shown = f" (it is {value!r})" if any(sign in text for sign in "<>") else ""
    return f"{text[0].lower()}{text[1:]}{shown}."


def _spoken(quoted: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(word, word) for word in quoted.group(1).split(" | "))
