"""Tables as people read them, and pages of lines and tables that are put together as text before they go out.

What stands in a cell is escaped before it comes here. rich is loaded when a table is written, not before. Where a table finds no
room, so that words would be cut to pieces, its rows stand one below the other, a line a cell.
"""

from __future__ import annotations

import dataclasses
import io
import os
import textwrap
from collections.abc import Collection, Iterable, Iterator, Sequence

#: Columns that a cell's words may need at least; longer ones (paths, URLs) are broken in any table.
_LONGEST_WORD = 24
_GAP = 2
#: Of a table of few columns words may be broken where little is lacking: it is read all the same.
_MANY = 4
_BROKEN = 1.25
#: A cell that may stand beside others, and what stands for its blanks meanwhile.
_SHORT = 16
_JOINED = "\x00"
_INDENT = "  "


@dataclasses.dataclass(frozen=True)
class Table:
    """A table without lines.

    Attributes:
        headings: Of the columns.
        rows: Their cells, which are taken as they are: nothing in them is markup.
        right: Which columns stand to the right: figures.
        title: What stands above it.
        whole: Which columns are not broken over lines.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    title: str | None = None
    whole: frozenset[int] = frozenset()

    def needs(self) -> int:
        """Return the columns of a terminal under which words would be cut to pieces."""
        return sum(map(self._needs, range(len(self.headings)))) + _GAP * (len(self.headings) - 1)

    def _needs(self, place: int) -> int:
        from rich.cells import cell_len

        cells = [row[place] for row in self.rows]
        if place in self.whole:
            return max(map(cell_len, [*cells, self.headings[place]]))
        words = (word for cell in cells for word in cell.split())
        headings = map(cell_len, self.headings[place].split())
        return max([*headings, *(min(cell_len(word), _LONGEST_WORD) for word in words)], default=0)

    def stacked(self, width: int) -> Iterator[str]:
        """Yield the lines of a table that finds no room: each row's first cell, and below it the others with their headings.

        Short ones stand beside each other.
        """
        if self.title is not None:
            yield from self.title.split("\n")
        for row in self.rows:
            yield from _wrapped(row[0] or "-", width, "")
            short: list[str] = []
            for heading, cell in zip(self.headings[1:], row[1:], strict=True):
                if cell and len(cell) <= _SHORT:
                    short.append(f"{heading}: {cell}".replace(" ", _JOINED))
                elif cell:
                    yield from _beside(short, width)
                    short = []
                    yield from _wrapped(f"{heading}: {cell}", width, _INDENT)
            yield from _beside(short, width)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[int] = (),
    title: str | None = None,
    whole: Collection[int] = (),
) -> Table:
    """Return a table, to be written to a page; see `Table`."""
    return Table(tuple(headings), tuple(map(tuple, rows)), frozenset(right), title, frozenset(whole))


def _beside(short: Sequence[str], width: int) -> list[str]:
    """Return short cells as lines; what belongs together is not broken."""
    lines = textwrap.wrap(
        ", ".join(short), width, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    )
    return [line.replace(_JOINED, " ") for line in lines]


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    lines = []
    for part in text.splitlines() or [""]:
        lines += textwrap.wrap(
            part, width, initial_indent=indent, subsequent_indent=indent + _INDENT, break_on_hyphens=False
        ) or [indent]
    return lines


class Page:
    """Lines and tables, collected as text.

    Args:
        width: Columns that it has.
        styled: Whether headings stand out, which a terminal shows; `NO_COLOR` and a dumb one forbid it.
    """

    def __init__(self, width: int, *, styled: bool = False) -> None:
        from rich.console import Console

        styled = styled and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        self._width = width
        self._sink = io.StringIO()
        self._console = Console(
            file=self._sink,
            width=width,
            color_system="standard" if styled else None,
            force_terminal=styled,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )

    def write(self, what: str | Table = "", *, wrap: bool = True) -> None:
        """Write a line or a table; a line is broken at the page's width unless it is to stay whole."""
        if isinstance(what, str):
            self._console.print(what, soft_wrap=not wrap)
        elif what.needs() > self._width * (_BROKEN if len(what.headings) < _MANY else 1):
            for line in what.stacked(self._width):
                self._console.print(line, soft_wrap=True)
        else:
            self._grid(what)

    def _grid(self, what: Table) -> None:
        from rich.table import Table as Grid
        from rich.text import Text

        made = Grid(title=what.title, title_justify="left", box=None, pad_edge=False)
        for place, heading in enumerate(what.headings):
            justify = "right" if place in what.right else "left"
            made.add_column(heading, justify=justify, overflow="fold", no_wrap=place in what.whole)  # type: ignore[arg-type]
        for row in what.rows:
            made.add_row(*map(Text, row))
        self._console.print(made)

    def text(self) -> str:
        """Return all of it, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._sink.getvalue().splitlines())
