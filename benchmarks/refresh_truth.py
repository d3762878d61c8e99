"""How often the intervals of `pmd refresh` hold, where the truth is known: by the production's own draw and figures.

    python benchmarks/refresh_truth.py [--seeds 200] [--images 600]

Each seed makes a web of its own: hosts of very different sizes, each of which loses its images at its own rate, drawn from a
gamma around the one rate (`spread` is its variance), so that images of one host share their fate. Waves are asked 7, 14 and 28
days after the fetch. Compared are the interval of this table with what all images of the table would give; that of another
draw with the share of endlessly many such hosts; and that of the half-life with the one that the rate gives, where all hosts
have one rate, as it supposes. Prints JSON.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent))

from pmd.fetch.asked import ASKED
from pmd.refresh import figures, sampling, waves
from pmd.refresh.sampling import Drawn
from pmd.refresh.waves import Answer, Wave
from pmd.schema import keys
from pmd.schema.tables import IMAGES

FETCHED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAYS = (7, 14, 28)
HOSTS = 400
HALF_LIFE_DAYS = 60.0


def web(seed: int, spread: float) -> tuple[pa.Table, pa.Table, dict[bytes, float]]:
    """Return `ASKED`, `IMAGES`, and the day on which each image goes."""
    rng = np.random.default_rng(seed)
    sizes = np.minimum(rng.zipf(1.6, HOSTS), 80)
    rates = rng.gamma(1 / spread, spread, HOSTS) if spread else np.ones(HOSTS)
    asked, images, ends = [], [], {}
    for host, (size, rate) in enumerate(zip(sizes.tolist(), rates.tolist(), strict=True)):
        for number in range(size):
            key = keys.image_id(f"{seed}/{host}/{number}")
            ends[key] = float(rng.exponential(HALF_LIFE_DAYS / math.log(2) / max(rate, 1e-9)))
            location = f"http://host-{host}.example/{number}.jpg"
            asked.append((key, f"host-{host}.example", ["coco" if host % 4 else "wit"], "ok", location, None, FETCHED))
            places = [{"kind": "original", "url": location}]
            images.append((key, "", places, asked[-1][2], False, 0))
    return _table(asked, ASKED), _table(images, IMAGES), ends


def _table(rows: list[Any], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def asked(drawn: Drawn, ends: dict[bytes, float], days: int) -> Wave:
    """Return a wave whose answers are known."""
    when = FETCHED + datetime.timedelta(days=days)
    answers = {
        key: Answer("ok" if ends[key] > days else "dead", None, when) for key in drawn.rows["image_id"].to_pylist()
    }
    return Wave(when.date().isoformat(), drawn.bounds, waves.rows_of(drawn, answers))


def run(seeds: int, images: int, spread: float) -> dict[str, Any]:
    """Return how often each interval holds, and how wide it is."""
    held: Counter[str] = Counter()
    given: Counter[str] = Counter()
    widths: dict[str, list[float]] = {}

    def note(name: str, interval: list[float | None] | None, truth: float) -> None:
        if interval is None:
            return
        given[name] += 1
        low, high = interval
        held[name] += (low or 0.0) <= truth and (high is None or truth <= high)
        if high is not None:
            widths.setdefault(name, []).append(high - (low or 0.0))

    for seed in range(seeds):
        table, places, ends = web(seed, spread)
        sample = [sampling.draw([(table, places)], images, f"{seed} {days}") for days in DAYS]
        found = [asked(drawn, ends, days) for drawn, days in zip(sample, DAYS, strict=True)]
        for wave, days in zip(found, DAYS, strict=True):
            rate = math.log(2) / HALF_LIFE_DAYS * days
            endless = (1 + rate * spread) ** (-1 / spread) if spread else math.exp(-rate)
            for row in figures.of_wave(wave)["sources"]:
                mine = [
                    key
                    for key, sources in zip(table["image_id"].to_pylist(), table["sources"].to_pylist(), strict=True)
                    if row["source"] in {"all", *sources}
                ]
                note(
                    f"{row['source']}: this table",
                    row["this_table"]["interval"],
                    np.mean([ends[key] > days for key in mine]),
                )
                note(f"{row['source']}: another draw", row["another_draw"]["interval"], endless)
        note("half-life", figures.half_life(found)["interval"], HALF_LIFE_DAYS)
    return {
        name: {
            "given": given[name],
            "held": round(held[name] / given[name], 4),
            "mean_width": round(float(np.mean(widths[name])), 4),
        }
        for name in sorted(given)
        if name != "half-life" or not spread
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--images", type=int, default=600)
    arguments = parser.parse_args()
    print(
        json.dumps(
            {f"spread {spread:g}": run(arguments.seeds, arguments.images, spread) for spread in (0.0, 1.0)}, indent=2
        )
    )


if __name__ == "__main__":
    main()
