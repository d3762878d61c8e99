"""The tables of the audit's page, as a reader finds them: by section, by what they are called, by row and by column."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser


@dataclasses.dataclass
class Table:
    """A table of the page.

    Attributes:
        section: The anchor of its section.
        called: What it is called: its caption, the fold that it is in, and the heading above it.
        head: Its head.
        rows: Its cells.
    """

    section: str
    called: tuple[str, ...]
    head: list[str] = dataclasses.field(default_factory=list)
    rows: list[list[str]] = dataclasses.field(default_factory=list)

    def cell(self, column: str, *begins: str) -> str:
        """Return the cell of a column in the row that begins so."""
        (row,) = [row for row in self.rows if tuple(row[: len(begins)]) == begins]
        return row[self.head.index(column)]


class Page(HTMLParser):
    """What a reader sees of a page.

    Attributes:
        tables: Its tables.
        readings: Anchor of a section → its sentences.
        headings: Anchors of the sections, in order.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.readings: dict[str, list[str]] = {}
        self.headings: list[str] = []
        self._into: list[str] | None = None
        self._above = {"h3": "", "summary": "", "h4": "", "caption": ""}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "h2":
            self.headings.append(named["id"] or "")
            self._above = dict.fromkeys(self._above, "")
        elif tag == "table":
            self.tables.append(Table(self.headings[-1], ()))
        elif tag == "tr" and self.tables and self.tables[-1].head:
            self.tables[-1].rows.append([])
        elif tag in {"td", "th"}:
            table = self.tables[-1]
            self._into = table.rows[-1] if table.rows else table.head
            self._into.append("")
        elif tag == "small" and self._into:
            self._into[-1] += " "
        elif tag in self._above:
            self._above[tag] = ""
            self._into = [""]
        elif tag == "p" and named.get("class") == "reading":
            self._into = self.readings.setdefault(self.headings[-1], [])
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._above and self._into:
            self._above[tag] = self._into[-1]
        elif tag == "table":
            self.tables[-1].called = tuple(self._above.values())
            self._above["caption"] = ""
        elif tag == "details":
            self._above |= {"summary": "", "h4": ""}
        if tag in {*self._above, "td", "th", "p"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into:
            self._into[-1] += data.replace("\u00a0", " ")

    def table(self, section: str, called: str = "", *, column: str = "") -> Table:
        """Return the first table of a section that is called so, or in part, and has a column."""
        found = [
            table
            for table in self.tables
            if table.section == section
            and any(called in name for name in (*table.called, ""))
            and (not column or column in table.head)
        ]
        return found[0]
