r"""Arguments of a call as every client can read them: models write JSON that only lenient readers take.

Raw line breaks inside strings, and halves of surrogate pairs (`\ud83d` alone), are what strict readers refuse. Whole
arguments are written anew; arguments that stream are mended as they come, so that the pieces are what the end says.
"""

from __future__ import annotations

import re

import msgspec

from codex_nexus.wire import codec

_SEEN = re.compile(r'["\\\x00-\x1f]')
_TOKEN = re.compile(
    r"""(?P<plain> [^"\\\x00-\x1f]+ )
      | (?P<quote> " )
      | (?P<control> [\x00-\x1f] )
      | (?P<escape> \\[^u] | \\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}
          | \\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2} )
      | (?P<half> \\u[dD][c-fC-F][0-9a-fA-F]{2}
          | \\u[dD][89abAB][0-9a-fA-F]{2}(?= [^\\] | \\[^u] | \\u(?![dD][c-fC-F])[0-9a-fA-F]{4} ) )""",
    re.DOTALL | re.VERBOSE,
)
_LONGEST = len(r"\ud83d\ude00")


def legal(arguments: str) -> bool:
    """Whether a lenient reader finds one JSON object, or nothing at all."""
    if not arguments.strip():
        return True
    try:
        return isinstance(codec.decode_lenient(arguments.encode("utf-8", "replace")), dict)
    except ValueError:
        return False


def strict(arguments: str) -> str:
    """Whole legal arguments as JSON that every reader takes."""
    if not arguments.strip():
        return arguments
    try:
        codec.decode_any(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return codec.encode(codec.decode_lenient(arguments.encode("utf-8", "replace"))).decode()
    return arguments.strip()


class Mender:
    """The same for arguments that stream: feed each fragment. Of legal arguments nothing stays held."""

    def __init__(self) -> None:
        self._inside = False
        self._held = ""

    def feed(self, fragment: str) -> str:
        """What is certain of it by now."""
        if not self._held and not _SEEN.search(fragment):
            return fragment
        text, at = self._held + fragment, 0
        said: list[str] = []
        while found := _TOKEN.match(text, at):
            at = found.end()
            said.append(self._mended(found))
        self._held = text[at:]
        if len(self._held) >= _LONGEST:  # no JSON, however it goes on
            said.append(self._held)
            self._held = ""
        return "".join(said)

    def _mended(self, found: re.Match[str]) -> str:
        match found.lastgroup:
            case "quote":
                self._inside = not self._inside
            case "control" if self._inside:
                return codec.encode(found.group()).decode()[1:-1]
            case "half":
                return r"\ufffd"
            case _:
                pass
        return found.group()
