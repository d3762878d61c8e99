"""Tables as people read them, and pages of lines and tables that are put together as text before they go out.

What stands in a cell is escaped before it comes here. rich is loaded when a table is made, not before.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[int] = (),
    title: str | None = None,
    whole: Collection[int] = (),
) -> Table:
    """Return a table without lines, to be printed by rich.

    Args:
        headings: Of the columns.
        rows: Their cells, which are taken as they are: nothing in them is markup.
        right: Which columns stand to the right: figures.
        title: What stands above it.
        whole: Which columns are not broken over lines.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        justify = "right" if place in right else "left"
        made.add_column(heading, justify=justify, overflow="fold", no_wrap=place in whole)  # type: ignore[arg-type]
    for row in rows:
        made.add_row(*map(Text, row))
    return made


class Page:
    """Lines and tables, collected as plain text.

    Args:
        width: Columns that it has.
    """

    def __init__(self, width: int) -> None:
        from rich.console import Console

        self._sink = io.StringIO()
        self._console = Console(
            file=self._sink, width=width, color_system=None, highlight=False, markup=False, emoji=False
        )

    def write(self, what: str | Table = "", *, wrap: bool = True) -> None:
        """Write a line or a table; a line is broken at the page's width unless it is to stay whole."""
        self._console.print(what, soft_wrap=not wrap)

    def text(self) -> str:
        """Return all of it, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._sink.getvalue().splitlines())
