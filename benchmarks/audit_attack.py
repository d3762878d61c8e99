"""What follows from an audit that is handed out: does it tell of a few pairs?

    python benchmarks/audit_attack.py [--seeds N] [--first SEED] [--most CELLS] [--only TABLE …]

Audits are drawn at random and made by the functions that production runs. The attacker reads audit.json, of which the page,
the tables and the card are made. It writes down each number as a sum of unknown whole numbers: counts, shares times what they
are shares of, and sums that are rounded, within what they are rounded to. It knows which rows there are and which hosts are the
largest. Then linear programs say between which ends each small cell, and each small change of a cell, must lie.

Told is a cell that has one possible value, of 1 to 9. Narrow is one that is known better than "fewer than ten", which all may
know of what is summed up. What follows from the totals of all rows alone is no secret. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.attacking import crossed, drawn, rows, texts
from benchmarks.attacking.cells import Cells
from benchmarks.attacking.rows import Sum
from pmd.audit.statistics.suppression import LEAST

Aims = Iterable[tuple[str, Sum]]

SEEDS: Final = 20
#: Small cells of a table that are asked for.
MOST: Final = 40


def systems(audit: drawn.Audit, alone: Sequence[drawn.Audit]) -> Iterator[tuple[str, Cells, Aims]]:
    """Yield what is attacked: its name, the cells with all that is told of them, and what is not to follow.

    Args:
        audit: Of all sources.
        alone: Of each alone: countries, hosts and all else of one source are the same there, but which texts are listed is not.
    """
    for table in rows.tables(audit):
        yield table.name, rows.cells(audit, table), rows.aims(table)
    yield "text", texts.cells([audit]), texts.aims(audit)
    if alone:
        yield "text of two audits", texts.cells([audit, *alone]), texts.aims(audit)
    for name, make in (("attribute", crossed.attributes), ("harm", crossed.hosts), ("users", crossed.users)):
        for what, cells, aims in make(audit):
            yield name, cells, [(f"{what}: {aim}", parts) for aim, parts in aims]


def attacked(
    audit: drawn.Audit, alone: Sequence[drawn.Audit] = (), most: int = MOST, only: Collection[str] = ()
) -> Iterator[tuple[str, str, str]]:
    """Yield what follows: which table, "told" or "narrow", and what.

    Args:
        audit: Of all sources.
        alone: Of each alone.
        most: Small cells of a table that are asked for, at most; which, is drawn.
        only: Tables; by default all.
    """
    chance = random.Random(most)
    for name, cells, aims in systems(audit, alone):
        if only and name not in only:
            continue
        small = [(what, parts) for what, parts in aims if 0 < cells.true(parts) < LEAST]
        for what, parts in chance.sample(small, min(most, len(small))):
            low, high = cells.ends(parts)
            if high - low >= LEAST - 1:
                continue
            least, greatest = cells.ends(parts, public=True)
            if low == high and least != greatest:
                yield name, "told", f"{what}: {low}"
            elif high - low < min(greatest - least, LEAST - 1):
                yield name, "narrow", f"{what}: {low} to {high}"
    for what in crossed.beside(audit):
        yield "beside", "told", what


def run(
    seeds: Iterable[int], say: Callable[[str], None], most: int = MOST, only: Collection[str] = ()
) -> dict[str, dict[str, int]]:
    """Return how many of the small cells of each table follow, told or narrow."""
    found: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        audit = drawn.drawn(seed)
        alone = [drawn.drawn(seed, [source]) for source in audit.sources] if len(audit.sources) > 1 else []
        for name, how, what in attacked(audit, alone, most, only):
            found[name, how] += 1
            if how == "told":
                say(f"seed {seed}: {what}")
    names = sorted({name for name, _ in found})
    return {name: {how: found[name, how] for how in ("told", "narrow")} for name in names}


def main() -> None:
    """Attack audits of so many seeds."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--first", type=int, default=0)
    arguments.add_argument("--most", type=int, default=MOST, help="small cells of a table that are asked for")
    arguments.add_argument("--only", nargs="*", default=(), help="tables")
    asked = arguments.parse_args()
    print(json.dumps(run(range(asked.first, asked.first + asked.seeds), print, asked.most, asked.only)))


if __name__ == "__main__":
    main()
