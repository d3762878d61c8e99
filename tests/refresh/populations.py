"""Images whose fate is known: tables as the build leaves them, and lives that end at a known rate."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from pmd.fetch.ledger.asked import ASKED
from pmd.schema import keys
from pmd.schema.tables import IMAGES, LEDGER

FETCHED = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def image(name: str, *places: tuple[str, str], sources: Sequence[str] = ("coco",), shard: int = 0) -> dict[str, object]:
    """Return a row of `IMAGES`; places are (kind, url)."""
    return {
        "image_id": keys.image_id(name),
        "identity": name,
        "locations": [{"kind": kind, "url": url} for kind, url in places],
        "sources": list(sources),
        "has_region": False,
        "fetch_shard": shard,
    }


def images(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(sorted(rows, key=lambda row: bytes(row["image_id"])), schema=IMAGES)  # type: ignore[call-overload, arg-type]


def settled(name: str, status: str, location: str | None, generation: int = 0) -> dict[str, object]:
    """Return a row of the ledger."""
    row: dict[str, object] = dict.fromkeys(LEDGER.names)
    return row | {"image_id": keys.image_id(name), "status": status, "location": location, "generation": generation}


def ledger(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(sorted(rows, key=lambda row: bytes(row["image_id"])), schema=LEDGER)  # type: ignore[call-overload, arg-type]


def asked(rows: Iterable[tuple[str, Sequence[str], str]]) -> pa.Table:
    """Return `ASKED` rows of (host, sources, status), each another image."""
    listed = [
        {
            "image_id": keys.image_id(f"image {number}"),
            "host": host,
            "sources": list(sources),
            "status": status,
            "location": f"http://{host}/{number}.jpg",
            "sha256": None,
            "fetched": FETCHED,
        }
        for number, (host, sources, status) in enumerate(rows)
    ]
    return pa.Table.from_pylist(listed, schema=ASKED)


def places(table: pa.Table) -> pa.Table:
    """Return the `IMAGES` of `ASKED` rows."""
    columns = zip(*(table[name].to_pylist() for name in ("image_id", "location", "sources")), strict=True)
    listed = [
        {
            "image_id": image_id,
            "identity": "",
            "locations": [{"kind": "original", "url": location}],
            "sources": sources,
            "has_region": False,
            "fetch_shard": 0,
        }
        for image_id, location, sources in columns
    ]
    return pa.Table.from_pylist(listed, schema=IMAGES)


def lives(
    rng: np.random.Generator, hosts: int, mean_days: float, *, spread: float
) -> tuple[list[int], list[np.ndarray]]:
    """Return the size of each host, and the days at which each of its images goes.

    An image goes with its host or by itself; hosts differ by `spread`, the shape of a gamma around the one rate: 0, none.
    """
    sizes = np.minimum(rng.zipf(1.7, hosts), 60).tolist()
    scales = rng.gamma(1 / spread, spread, hosts) if spread else np.ones(hosts)
    return sizes, [
        rng.exponential(mean_days / max(scale, 1e-9), size) for size, scale in zip(sizes, scales, strict=True)
    ]
