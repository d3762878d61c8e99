"""How often the intervals of `pmd refresh` hold, where the truth is known: by the production's own draw and figures.

    python benchmarks/refresh_truth.py [--seeds 200] [--images 600] [--spread 0 1]
    python benchmarks/refresh_truth.py --small 2000 [--spread 0 1]

Each seed makes a web of its own: hosts of very different sizes, each of which loses its images at its own rate, drawn from a
gamma around the one rate (`spread` is its variance), so that images of one host share their fate. Waves are asked 7, 14 and 28
days after the fetch. Compared are the interval of this table with what all images of the table would give; that of another
draw with the share of endlessly many such hosts; and that of the half-life with the one that the rate gives, where all hosts
have one rate, as it supposes. The three waves of a seed are of one web and miss together, so `error`, the standard error of how
many hold, is that of seeds. Prints JSON.

With `--small` sources of few hosts are looked at alone, so many webs of each kind, with one wave each: 7, 14 or 28 days after the
fetch. The images of a wave are drawn by lot from the hosts' own, which is what the production's numbers come to. Told are the
intervals of another draw: those that are given now, and those that were when degrees of freedom decided on it.
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

from pmd.audit.statistics import clusters, estimates
from pmd.fetch.ledger.asked import ASKED
from pmd.refresh import figures, sampling, waves
from pmd.refresh.availability import ALIVE
from pmd.refresh.sampling import Drawn
from pmd.refresh.waves import Answer, Wave
from pmd.schema import keys
from pmd.schema.tables import IMAGES

FETCHED = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAYS = (7, 14, 28)
HOSTS = 400
HALF_LIFE_DAYS = 60.0
#: Hosts and images of small sources' waves.
SMALL = ((40, 150), (60, 100), (100, 150), (150, 200))


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


def small(draws: int, hosts: int, images: int, spread: float) -> dict[str, dict[str, float]]:
    """Return of a source of few hosts how often intervals of another draw are given, and hold."""
    rng = np.random.default_rng([hosts, images, int(10 * spread)])
    found: dict[str, list[tuple[bool, float]]] = {"by sizes": [], "by degrees": []}
    for number in range(draws):
        days = DAYS[number % len(DAYS)]
        sizes = np.minimum(rng.zipf(1.6, hosts), 80)
        drawn = rng.multivariate_hypergeometric(sizes, min(images, int(sizes.sum())))
        rates = rng.gamma(1 / spread, spread, hosts) if spread else np.ones(hosts)
        rate = math.log(2) / HALF_LIFE_DAYS * days
        alive = rng.binomial(drawn, np.exp(-rate * rates))
        endless = (1 + rate * spread) ** (-1 / spread) if spread else math.exp(-rate)
        sums = clusters.of(drawn, {ALIVE: alive})
        part = estimates.Part(sums, float(sums.pairs))
        for name, told in (("by sizes", figures.of_draw(sums)), ("by degrees", estimates.share_of_draw([part], ALIVE))):
            if told.low is not None and told.high is not None:
                found[name].append((told.low <= endless <= told.high, told.high - told.low))
    return {
        name: {
            "given": round(len(rows) / draws, 3),
            "held": round(float(np.mean([row[0] for row in rows])), 4),
            "mean_width": round(float(np.mean([row[1] for row in rows])), 4),
        }
        for name, rows in found.items()
        if rows
    }


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
    held: Counter[tuple[str, int]] = Counter()
    given: Counter[tuple[str, int]] = Counter()
    widths: dict[str, list[float]] = {}

    def note(name: str, seed: int, interval: list[float | None] | None, truth: float) -> None:
        if interval is None:
            return
        given[name, seed] += 1
        low, high = interval
        held[name, seed] += (low or 0.0) <= truth and (high is None or truth <= high)
        if high is not None:
            widths.setdefault(name, []).append(high - (low or 0.0))

    for seed in range(seeds):
        table, places, ends = web(seed, spread)
        days_of = np.array([ends[key] for key in table["image_id"].to_pylist()])
        sources_of = table["sources"].to_pylist()
        of_source = {name: np.array([name in sources for sources in sources_of]) for name in ("coco", "wit")}
        of_source["all"] = np.ones(len(days_of), np.bool_)
        sample = [sampling.draw([(table, places)], images, f"{seed} {days}") for days in DAYS]
        found = [asked(drawn, ends, days) for drawn, days in zip(sample, DAYS, strict=True)]
        for wave, days in zip(found, DAYS, strict=True):
            rate = math.log(2) / HALF_LIFE_DAYS * days
            endless = (1 + rate * spread) ** (-1 / spread) if spread else math.exp(-rate)
            for row in figures.of_wave(wave)["sources"]:
                truth = float((days_of[of_source[row["source"]]] > days).mean())
                note(f"{row['source']}: this table", seed, row["this_table"]["interval"], truth)
                note(f"{row['source']}: another draw", seed, row["another_draw"]["interval"], endless)
        note("half-life", seed, figures.half_life(found)["interval"], HALF_LIFE_DAYS)
    names = sorted({name for name, _ in given if name != "half-life" or not spread})
    return {name: _told(name, given, held, widths[name], seeds) for name in names}


def _told(
    name: str,
    given: Counter[tuple[str, int]],
    held: Counter[tuple[str, int]],
    widths: list[float],
    seeds: int,
) -> dict[str, Any]:
    """Return how often one interval held, with the error that this has by seeds."""
    by_seed = np.array([(given[name, seed], held[name, seed]) for seed in range(seeds)], float)
    total, holding = by_seed.sum(axis=0)
    share = holding / total
    error = float(np.sqrt((((by_seed[:, 1] - share * by_seed[:, 0]) / total) ** 2).sum()))
    return {
        "given": int(total),
        "held": round(float(share), 4),
        "error": round(error, 4),
        "mean_width": round(float(np.mean(widths)), 4),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--spread", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--small", type=int, default=0, help="look at so many webs of sources of few hosts")
    arguments = parser.parse_args()
    if arguments.small:
        kinds = [(hosts, images, spread) for hosts, images in SMALL for spread in arguments.spread]
        for hosts, images, spread in kinds:
            told = small(arguments.small, hosts, images, spread)
            print(json.dumps({"hosts": hosts, "images": images, "spread": spread, **told}), flush=True)
        return
    print(
        json.dumps(
            {f"spread {spread:g}": run(arguments.seeds, arguments.images, spread) for spread in arguments.spread},
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
