"""The report's section on the pictures that were fetched, by source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pmd.audit import formatting, page
from pmd.escape import html as escape

#: Table → what it is called.
TITLES: Final = {
    "short_side_px": "Shorter side, pixels",
    "aspect": "Longer side ÷ shorter",
    "bytes": "Bytes, as it came",
    "orientation": "Orientation",
    "format": "Format",
    "copies": "Copy of another",
}


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    pictures = result["pictures"]
    method = f'<p class="coverage">{escape(result["methods"]["pictures"])}</p>'
    if not pictures:
        return f'<p class="reading">No picture has been fetched.</p>{method}'
    sources = [source for source, _, _ in page.sources_in_order(result) if source in pictures]
    parts = []
    for table, title in TITLES.items():
        by_value: dict[str, dict[str, str]] = {}
        for source in sources:
            for row in pictures[source]["values"]:
                if row["table"] == table:
                    by_value.setdefault(row["value"], {})[source] = formatting.percent(row["share"])
        rows = [
            f'<tr><td class="words">{escape(value)}</td>'
            + "".join(f"<td>{escape(shares.get(source, '–'))}</td>" for source in sources)
            + "</tr>"
            for value, shares in by_value.items()
        ]
        parts.append(f"<h3>{escape(title)}</h3>{page.table((f'<{title}', *sources), rows)}")
    number = sum(pictures[source]["coverage"]["measured"] for source in sources)
    reading = f"{formatting.count(number)} pictures were fetched, those of several sources counted for each."
    return (
        f'<p class="reading">{escape(reading)}</p><details><summary>Sizes, shapes, formats and copies, by source'
        f"</summary>{''.join(parts)}</details>{method}"
    )
