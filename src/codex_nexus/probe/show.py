"""What the verbs `models` and `probe` print: tables and sentences.

In a terminal: colours, a line that lives while something is waited for, and texts that are broken at its width. In a
pipe: one plain line for each thing, as soon as it is known.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from msgspec import Struct
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

_RESULTS = {"works": "green", "repaired": "cyan", "differs": "yellow", "fails": "bold red", "left out": "dim"}
_WIDTHS = (22, 8)
_NARROW = 36
"""A remark that has fewer cells than this beside the result stands below it."""


class Column(Struct, frozen=True):
    """A head and its side."""

    head: str
    right: bool = False


class Show:
    """Prints; quiet for `--json`, where only the living line remains (on stderr, when that is a terminal)."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(highlight=False, soft_wrap=True)
        self._live: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        console = Console(stderr=True) if self._quiet else self._console
        if console.is_terminal and not console.is_dumb_terminal:
            columns = SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn()
            self._live = Progress(*columns, console=console, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def doing(self, what: str) -> None:
        """What is waited for now; the clock starts anew."""
        if self._live is None:
            return
        if self._task is not None:
            self._live.remove_task(self._task)
        self._task = self._live.add_task(what, total=None)

    def line(self, text: str = "", style: str = "") -> None:
        """One line of text."""
        self._print(Text(text, style=style))

    def title(self, text: str, aside: str = "") -> None:
        """A heading."""
        self._print(Text(text, style="bold").append(f"  {aside}", style="dim not bold"))

    def _print(self, text: Text, indent: int = 0) -> None:
        """Prints a line; what does not fit into a terminal goes on below, as far in."""
        if self._quiet:
            return
        if not self._console.is_terminal:
            self._console.print(Text(" " * indent) + text)
            return
        for line in text.wrap(self._console, max(20, self._console.width - indent)):
            line.rstrip()
            self._console.print(Text(" " * indent) + line)

    def table(self, columns: list[Column], rows: list[list[str]]) -> None:
        """Rows under their heads; columns without any text are left out. Too wide for the terminal: row by row."""
        shown = [n for n, _ in enumerate(columns) if any(row[n] for row in rows)]
        widths = {n: max(cell_len(text) for text in (columns[n].head, *(row[n] for row in rows))) for n in shown}
        whole = sum(widths.values()) + 2 * (len(shown) - 1)
        if self._console.is_terminal and whole > self._console.width:
            self._stacked(columns, rows)
            return
        self._row(_joined([_padded(columns[n].head, widths[n], columns[n]) for n in shown]), "dim")
        for row in rows:
            self._row(_joined([_padded(row[n], widths[n], columns[n]) for n in shown]))

    def _stacked(self, columns: list[Column], rows: list[list[str]]) -> None:
        for row in rows:
            self._print(Text(row[0], style="bold"))
            parts = [f"{column.head} {text}".strip() for column, text in zip(columns[1:], row[1:], strict=True) if text]
            self._print(Text(", ".join(parts)), indent=2)

    def _row(self, text: str, style: str = "") -> None:
        if not self._quiet:
            self._console.print(Text(text, style=style))

    def result(self, question: str, result: str, remark: str) -> None:
        """One line of the table of a probe."""
        if self._quiet:
            return
        name, width = _WIDTHS
        shown = _padded(result, width) if remark else result
        line = Text(_padded(question, name) + "  ").append(shown, style=_RESULTS[result])
        indent = name + width + 4
        if not remark or not self._console.is_terminal:
            self._console.print(line.append(f"  {remark}" if remark else ""))
            return
        if self._console.width - indent < _NARROW:
            self._console.print(line)
            self._print(Text(remark, style="dim"), indent=4)
            return
        first, *more = Text(remark).wrap(self._console, self._console.width - indent)
        first.rstrip()
        self._console.print(line.append("  ").append_text(first))
        for rest in more:
            rest.rstrip()
            self._console.print(Text(" " * indent) + rest)


def _padded(text: str, width: int, column: Column | None = None) -> str:
    gap = " " * max(0, width - cell_len(text))
    return gap + text if column is not None and column.right else text + gap


def _joined(cells: list[str]) -> str:
    return "  ".join(cells).rstrip()
