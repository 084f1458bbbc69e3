"""What a person types or pipes in beside the arguments: keys, which nobody may see, and values."""

from __future__ import annotations

import codecs
import getpass
import sys
import warnings

from codex_nexus.errors import Misuse

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def hidden(question: str) -> list[str]:
    """The line that is typed unseen after this question, or all lines of standard input when that is no terminal.

    Raises:
        Misuse: this terminal cannot hide what is typed, or standard input is no text.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        return piped().splitlines()
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return [getpass.getpass(question)]
        except EOFError:
            return []
        except getpass.GetPassWarning:
            raise Misuse("This terminal would show what is typed; pass it through standard input.") from None


def value(key: str) -> str:
    """A value that stands on no command line: typed unseen, as it may be a secret, or from standard input.

    Raises:
        Misuse: as `hidden`.
    """
    return "\n".join(hidden(f"{key}, not shown: "))


def piped() -> str:
    """Everything that comes through standard input, as Windows may spell it, too.

    Raises:
        Misuse: it is no text.
    """
    data = b"" if sys.stdin is None else sys.stdin.buffer.read()
    try:
        return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError:
        raise Misuse("Standard input is no text in UTF-8; nothing was changed.") from None


def agreed(question: str) -> bool:
    """Whether a person says yes.

    Raises:
        Misuse: there is nobody to ask.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise Misuse("Nobody can be asked here; say --yes if you mean it.")
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
