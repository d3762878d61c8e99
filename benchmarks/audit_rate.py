"""How fast any data set is audited, and in how much memory; beside the same counts by pandas and nPMI by its formula.

    python benchmarks/audit_rate.py [--samples ../shared/samples] [--pairs 1000000 5000000] [--out FOLDER] [--all-texts] [--check]

Published lists in PMD's proportions are generated (`benchmarks/audit_rows.py`) and audited by `pmd audit`, as a user does it, on
Beam's local runner with as many processes as it starts by itself: once with texts sampled as by default, and with `--all-texts`
with all of them read (through `benchmarks/audit_all_texts.py`, which sets nothing else). Of each run: seconds, processor time,
pairs a second of processor, the largest process and all processes together. With `--check` pandas counts by hand, in one
process that holds the columns it needs: pairs by source, by user, host and country code of the host, and the texts with terms of
occupations beside female and male ones, of which it works out nPMI by its formula; the results must be the audit's. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dataclasses
import shutil

from benchmarks import audit_rows
from benchmarks.scaling.measuring import cost

HERE = Path(__file__).resolve().parent


def measured(rows: Path, pairs: int, out: Path, *, all_texts: bool) -> dict[str, Any]:
    """Audit lists in processes of their own; return what it cost."""
    shutil.rmtree(out, ignore_errors=True)
    program = [str(HERE / "audit_all_texts.py")] if all_texts else ["-m", "pmd"]
    spent = cost([sys.executable, *program, "audit", str(rows), "--out", str(out)])
    return {
        "pairs": pairs,
        "texts": "all" if all_texts else "sampled",
        "pairs_a_second_of_processor": round(pairs / spent.processor_s),
        **dataclasses.asdict(spent),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--out", type=Path, default=Path("audit-rate"))
    parser.add_argument("--all-texts", action="store_true")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = []
    for pairs in given.pairs:
        rows, audit = given.out / f"rows-{pairs}", given.out / f"audit-{pairs}"
        if not rows.exists():
            audit_rows.write(given.samples, rows, pairs)
        for all_texts in (False, True)[: 1 + given.all_texts]:
            found.append(measured(rows, pairs, audit, all_texts=all_texts))
            print(found[-1], flush=True)
        if given.check:
            spent = cost([sys.executable, str(HERE / "audit_by_hand.py"), str(rows), str(audit)])
            found.append({"pairs": pairs, "by": "pandas", **dataclasses.asdict(spent)})
            print(found[-1], flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
