"""How the processor time of each stage grows with the rows, in one process, with nothing that waits for a web.

    python benchmarks/stage_growth.py [--rows 100000 200000 400000 800000 1600000 3200000] [--turns 2] [--out FOLDER]

ROOTs are made as `benchmarks/stage_memory.py` makes them: rows of Conceptual 12M, and tiny pictures that no web is asked for.
Each stage is a command of its own, in one process, since a second one is a step and no growth. It is run several times from the
same ROOT, and the turn with the least processor time counts. Then a + b·nᶜ is fitted, n being the rows. `benchmarks/scale.py` has
all sources, real requests and as many processes as a user has. Sizes that were measured are kept in FOLDER/grown.jsonl and not
run again. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import stage_memory

from benchmarks.scaling.fitting import Growth, fit
from benchmarks.scaling.measuring import each_once, least
from pmd import flow

#: The fetch is made up: of it `benchmarks/scale.py` tells.
_STAGES: Final = tuple(name for name in flow.NAMES if name != flow.FETCH.name)


def measure(rows: int, out: Path, turns: int) -> dict[str, Any]:
    """Build one size; return the processor seconds of each stage."""
    folder = out / str(rows)
    shutil.rmtree(folder, ignore_errors=True)
    chosen = stage_memory.written(folder, rows)
    text = chosen.read_text().replace("processes = 2", "processes = 1").replace("near_texts = 0.8\n", "")
    chosen.write_text(text)
    found: dict[str, float] = {}
    for stage in flow.NAMES:
        if stage == flow.FETCH.name:
            fill = [sys.executable, stage_memory.__file__, "--run", "fill", str(chosen)]
            subprocess.run(fill, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run([sys.executable, "-m", "pmd", stage, str(chosen)], check=True, capture_output=True)
            continue
        took = least([sys.executable, "-m", "pmd", stage, str(chosen)], folder / "root", turns)
        found[stage] = took.processor_s
        print(f"{rows:9,} {stage:8}{took.processor_s:8.2f} s of processor{took.seconds:8.1f} s", flush=True)
    shutil.rmtree(folder)
    return {"rows": rows, "processor_s": found}


def growths(sizes: Sequence[Mapping[str, Any]]) -> dict[str, Growth]:
    """Return stage → how its processor time grows."""
    rows = [size["rows"] for size in sizes]
    return {stage: fit(rows, [size["processor_s"][stage] for size in sizes]) for stage in _STAGES}


def main() -> None:
    """Measure, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = (100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000)
    parser.add_argument("--rows", type=int, nargs="+", default=rows, help="five sizes or more")
    parser.add_argument("--turns", type=int, default=2, help="how often each stage is run")
    parser.add_argument("--out", type=Path, default=Path("/tmp/pmd-growth"))
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    sizes = each_once(told.out / "grown.jsonl", "rows", told.rows, lambda one: measure(one, told.out, told.turns))
    grown = growths(sizes)
    for stage, growth in grown.items():
        between = f"{growth.low:.2f} to {growth.high:.2f}"
        print(f"{stage:8} start {growth.start:5.1f} s, exponent {growth.exponent:.3f}, 95 %: {between}")
    answer = {"benchmark": "stage_growth", "sizes": sizes}
    print(json.dumps(answer | {"growth": {stage: dataclasses.asdict(one) for stage, one in grown.items()}}))


if __name__ == "__main__":
    main()
