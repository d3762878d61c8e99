"""All figures of a ROOT: availability at the fetch, every wave, and the half-life; as JSON and as rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pmd.fetch.ledger import sums
from pmd.fetch.ledger.asked import ALL
from pmd.refresh import availability, figures, waves
from pmd.store.standing import Standing

#: Raised when the JSON says something else by the same names.
FORMAT: Final = 1

#: A row of the table. `by` says of what it is: source, status, host, day or wave; `table` is the interval of this table, `draw`
#: that of another draw of such hosts. Of a status `alive` and `share` are empty.
COLUMNS: Final = (
    "by", "source", "name", "images", "alive", "share", "table_low", "table_high", "draw_low", "draw_high",
)  # fmt: skip


def gather(root_url: str, standing: Standing | None = None) -> dict[str, Any]:
    """Return ``format``, ``fetched`` (`availability.figures`), ``waves`` (`figures.of_wave` each) and ``half_life``.

    Args:
        root_url: ROOT.
        standing: What stands under it; by default it is looked up.
    """
    asked = list(waves.read(root_url))
    return {
        "format": FORMAT,
        "fetched": availability.figures(sums.read(root_url, standing)),
        "waves": [figures.of_wave(wave) for wave in asked],
        "half_life": figures.half_life(asked),
    }


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as CSV, with `COLUMNS`."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(found))
    return sink.getvalue()


def _rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    fetched = found["fetched"]
    for row in fetched["sources"]:
        yield {"by": "source", **_counts(row, "images"), **_ends("draw", row["another_draw"])}
    for row in fetched["statuses"]:
        yield {"by": "status", "source": row["source"], "name": row["status"], "images": row["images"]}
    for row in fetched["hosts"]:
        yield {"by": "host", "source": ALL, "name": row["host"], **_counts(row, "images")}
    if fetched["other_hosts"]["images"]:
        yield {"by": "host", "source": ALL, **{name: fetched["other_hosts"][name] for name in ("images", "alive")}}
    for row in fetched["days"]:
        yield {"by": "day", "name": row["day"], **_counts(row, "images")}
    for wave in found["waves"]:
        for row in wave["sources"]:
            yield {
                "by": "wave",
                "name": wave["wave"],
                **_counts(row, "asked"),
                **_ends("table", row["this_table"]),
                **_ends("draw", row["another_draw"]),
            }


def _counts(row: Mapping[str, Any], count: str) -> dict[str, Any]:
    said = {"images": row[count], "alive": row["alive"], "share": row["share"]}
    return said | ({"source": row["source"]} if "source" in row else {})


def _ends(name: str, interval: Mapping[str, Any]) -> dict[str, Any]:
    low, high = interval["interval"] or ("", "")
    return {f"{name}_low": low, f"{name}_high": high}
