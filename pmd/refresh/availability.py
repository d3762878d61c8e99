"""The share of the images that was there when it was asked for: counted, by source, host, status and day.

All were asked, so shares are exact of this table; the interval is that of another draw of such hosts. An image of several sources
counts in each of them, and once in all. Hosts of few images are summed up (`statistics.suppression`): a name that stands for
one person's page is not listed.

Memory grows with the pairs of a source and a host, not with the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit.statistics import clusters, estimates, suppression
from pmd.audit.statistics.estimates import Estimate, Part
from pmd.fetch.ledger import sums
from pmd.fetch.ledger.asked import ALL

ALIVE: Final = "alive"
#: Hosts that are told by name, at most: those of most images.
HOSTS: Final = 1000


def figures(parts: Iterable[pa.Table]) -> dict[str, Any]:
    """Return what the `SUMS` of all parts come to, as JSON has it.

    Returns:
        ``images``, ``alive``, ``share``; ``sources``: each, and first all, with its interval of another draw of such hosts;
        ``statuses``: source, status, images; ``days``: source, day, images, alive; ``hosts``: those that may be named;
        ``other_hosts``: the number, the images and the alive of all others.
    """
    counted = sums.added(parts)
    hosts = _sums_by(counted, sums.HOST)
    sources = [_source(name, hosts) for name in _names(hosts)]
    named, others = _shown(hosts.filter(pc.equal(hosts["source"], ALL)))
    return {
        "images": sources[0]["images"] if sources else 0,
        "alive": sources[0]["alive"] if sources else 0,
        "share": sources[0]["share"] if sources else None,
        "sources": sources,
        "statuses": [
            {name: row[name] for name in ("source", "status", "images")}
            for row in _sums_by(counted, sums.STATUS).to_pylist()
        ],
        "days": [_with_share(row) for row in _sums_by(counted, sums.DAY).to_pylist()],
        "hosts": named,
        "other_hosts": others,
    }


def _sums_by(counted: pa.Table, by: str) -> pa.Table:
    """Return the sums of one cut, in order of source and name; the name's column is called as the cut is."""
    mine = counted.filter(pc.equal(counted["by"], by)).drop_columns(["by"])
    return mine.rename_columns([by if name == "name" else name for name in mine.schema.names])


def _names(hosts: pa.Table) -> Iterator[str]:
    found = sorted(pc.unique(hosts["source"]).to_pylist())
    yield from ([ALL] if found else [])
    yield from (name for name in found if name != ALL)


def _source(name: str, hosts: pa.Table) -> dict[str, Any]:
    mine = hosts.filter(pc.equal(hosts["source"], name))
    images, alive = mine["images"].to_numpy(), mine["alive"].to_numpy()
    counts = clusters.of(images, {ALIVE: alive})
    drawn = estimates.share_of_draw([Part(counts, float(images.sum()))], ALIVE)
    return _with_share({"source": name, "images": int(images.sum()), "alive": int(alive.sum()), "hosts": len(mine)}) | {
        "another_draw": told(drawn)
    }


def told(estimate: Estimate) -> dict[str, Any]:
    """Return an interval as JSON has it: its ends, or why there is none."""
    ends = None if estimate.low is None or estimate.high is None else [round(estimate.low, 4), round(estimate.high, 4)]
    return {"interval": ends, "refused": estimate.refused}


def _with_share(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "share": round(row["alive"] / row["images"], 4)}


def _shown(hosts: pa.Table) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the hosts that may be named, those of most images first, and what all others come to."""
    rows = sorted(hosts.to_pylist(), key=lambda row: (-row["images"], row["host"]))
    counts = {row["host"]: row["images"] for row in rows}
    (some,) = suppression.shown([counts], [sum(counts.values())])
    named = [row for row in rows if row["host"] in some][:HOSTS]
    left = {row["host"] for row in named}
    rest = [row for row in rows if row["host"] not in left]
    columns = ("host", "images", "alive")
    return [_with_share({name: row[name] for name in columns}) for row in named], {
        "hosts": len(rest),
        "images": sum(row["images"] for row in rest),
        "alive": sum(row["alive"] for row in rest),
    }
