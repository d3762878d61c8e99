"""Cases run as whole `pmd curate` commands, with Beam."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from benchmarks.fuzzing.cases import Case
from benchmarks.fuzzing.reading import read, written
from benchmarks.fuzzing.running import LIMIT_S
from pmd.schema import keys

_ROOT: Final = Path(__file__).resolve().parent.parent.parent


def whole(case: Case) -> list[str]:
    """Run `pmd curate` on a case; return what is wrong: another outcome than below Beam, or a traceback."""
    with written(case.disk) as folder:
        below = read(case.base, case.profile, folder, sorted(case.disk))
        names = [str(folder / name) for name in sorted(case.disk) if name != case.base.karpathy]
        held = (
            f'karpathy = "{folder / case.base.karpathy}"\nexclude_karpathy = "val_and_test"\n'
            if case.base.karpathy
            else ""
        )
        chosen = "".join(f"{option} = {json.dumps(value)}\n" for option, value in case.base.options)
        (folder / "pmd.toml").write_text(
            f'root = "{folder}/root"\nprofile = "{case.profile}"\ncontact = "mailto:fuzz@example.org"\n'
            f"[sources.{case.base.source}]\nannotations = {json.dumps(names)}\n{held}{chosen}"
        )
        run = subprocess.run(
            [sys.executable, "-m", "pmd", "curate", str(folder / "pmd.toml")],
            capture_output=True,
            text=True,
            check=False,
            timeout=6 * LIMIT_S,
            cwd=_ROOT,
        )
        said = run.stdout + run.stderr
        if "Traceback" in said:
            return [f"whole run: a traceback\n{said}"]
        if below.refusal is not None:
            same = run.returncode == below.refusal.exit_code and below.refusal.problem in said
            return [] if same else [f"whole run: exit code {run.returncode}, not\n{below.refusal}\n{said}"]
        committed = {
            name: [
                row
                for path in (folder / f"root/curate/source={case.base.source}/{name}").glob("*.parquet")
                for row in pq.read_table(path)["pair_id"].to_pylist()
            ]
            for name in ("pairs", "rejected")
        }
        for name, rows in (("pairs", below.pairs), ("rejected", below.rejected)):
            wanted = sorted(keys.pair_id(case.base.source, source_id) for source_id in rows)
            if run.returncode or sorted(committed[name]) != wanted:
                return [f"whole run: {name} differ from those below Beam, exit code {run.returncode}\n{said}"]
    return []
