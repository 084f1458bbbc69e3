"""Tables in the terminal: columns of one width, colours there, plain text in a pipe, never wrapped."""

from __future__ import annotations

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_RESULTS = {"works": "green", "repaired": "cyan", "differs": "yellow", "fails": "bold red", "left out": "dim"}
_WIDTHS = (26, 9)


class Column(Struct, frozen=True):
    """A head and its side."""

    head: str
    right: bool = False


class Show:
    """Prints; quiet for `--json`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(highlight=False, soft_wrap=True)

    def line(self, text: str = "", style: str = "") -> None:
        """One line of text."""
        if not self._quiet:
            self._console.print(Text(text, style=style))

    def title(self, text: str, aside: str = "") -> None:
        """A heading."""
        if not self._quiet:
            self._console.print(Text(text, style="bold").append(f"  {aside}", style="dim not bold"))

    def table(self, columns: list[Column], rows: list[list[str]]) -> None:
        """Rows under their heads; columns without any text are left out."""
        shown = [n for n, _ in enumerate(columns) if any(row[n] for row in rows)]
        widths = {n: max(cell_len(text) for text in (columns[n].head, *(row[n] for row in rows))) for n in shown}
        self.line(_joined([_padded(columns[n].head, widths[n], columns[n]) for n in shown]), "dim")
        for row in rows:
            self.line(_joined([_padded(row[n], widths[n], columns[n]) for n in shown]))

    def result(self, question: str, result: str, remark: str) -> None:
        """One line of the live table."""
        if self._quiet:
            return
        line = Text(_padded(question, _WIDTHS[0]) + "  ")
        line.append(_padded(result, _WIDTHS[1]), style=_RESULTS[result])
        self._console.print(line.append(f"  {remark}".rstrip()))


def _padded(text: str, width: int, column: Column | None = None) -> str:
    gap = " " * max(0, width - cell_len(text))
    return gap + text if column is not None and column.right else text + gap


def _joined(cells: list[str]) -> str:
    return "  ".join(cells).rstrip()
