"""Plant mutants in what decides and what commits, and count how many the tests of its own folder notice.

    pip install mutmut==3.8.1          # not among the pins: nothing else needs it
    python benchmarks/mutants.py [--each 30] [--seed 0] [--only rules | store]

Each of `MODULES` is changed in one place at a time (mutmut: an operator, a number, a string, an argument, `and` for `or`), and
the tests that reach the changed function run until one fails. `--each` mutants of a module are drawn by `--seed`; 0 takes all. It
works on a copy. Exits with 1 where fewer than `WANTED` of a module's are noticed. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent.parent
#: Module → the tests that it is held to.
MODULES: Final = {
    "rules": {
        f"pmd/{stage}/rules.py": (f"tests/{stage}/test_rules.py",)
        for stage in ("curate", "dedupe", "images", "publish")
    },
    "store": {
        f"pmd/store/{name}.py": tuple(
            f"tests/store/test_{tests}.py" for tests in ("commits", "compare_and_swap", "lease", "storage")
        )
        for name in ("commits", "lock", "storage", "versions")
    },
}
WANTED: Final = 0.8
#: The copy has what tests read.
_COPIED: Final = ("pmd", "pipelines", "tests", "benchmarks", "manifests", "docs", "README.md", "pyproject.toml")
#: How mutmut writes that a test failed, that none did, and that none reaches it. All others (a timeout, a crash) are notice too.
_SURVIVED, _UNREACHED = 0, 33


def prepare(folder: Path, modules: dict[str, tuple[str, ...]]) -> None:
    """Copy the repository, and tell mutmut what to change."""
    for name in _COPIED:
        copy = shutil.copytree if (FOLDER / name).is_dir() else shutil.copy2
        copy(FOLDER / name, folder / name)
    tests = sorted({test for each in modules.values() for test in each})
    settings = {
        "source_paths": ["pmd"],
        "only_mutate": sorted(modules),
        "also_copy": [name for name in _COPIED if name not in {"pmd", "tests", "pyproject.toml"}],
        "pytest_add_cli_args": ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"],
        "pytest_add_cli_args_test_selection": tests,
        "timeout_constant": 60.0,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", "[tool.mutmut]", "use_git_change_detection = false", *lines, ""]))


def mutmut(folder: Path, *names: str) -> str:
    """Run mutants by their names; return what mutmut says."""
    command = [sys.executable, "-m", "mutmut", "run", *names]
    return subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout


def outcomes(folder: Path, module: str) -> dict[str, int | None]:
    """Return the mutants of a module, and how each ended; None where it was not run."""
    content = json.loads((folder / "mutants" / f"{module}.meta").read_text(encoding="utf-8"))
    found: dict[str, int | None] = content["exit_code_by_key"]
    return found


def chosen(folder: Path, modules: dict[str, tuple[str, ...]], each: int, seed: int) -> Iterator[str]:
    """Yield the names of the mutants to run."""
    for module in sorted(modules):
        names = sorted(outcomes(folder, module))
        yield from random.Random(f"{seed} {module}").sample(names, min(each or len(names), len(names)))


def main() -> None:
    """Plant, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=30, help="mutants of each module; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(MODULES))
    told = parser.parse_args()
    modules = {
        name: tests for kind, each in MODULES.items() if told.only in {None, kind} for name, tests in each.items()
    }
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        prepare(folder, modules)
        said = mutmut(folder, "none of them*")  # makes them all, and learns which tests reach which function
        if not all((folder / "mutants" / f"{module}.meta").exists() for module in modules):
            sys.exit(f"mutmut has made none; it says:\n{said[-2000:]}")
        mutmut(folder, *chosen(folder, modules, told.each, told.seed))
        shares = {}
        for module in sorted(modules):
            codes = {mutant: code for mutant, code in outcomes(folder, module).items() if code is not None}
            missed = sorted(mutant for mutant, code in codes.items() if code in {_SURVIVED, _UNREACHED})
            shares[module] = 1 - len(missed) / max(1, len(codes))
            print(f"{module:26} {len(codes):4} planted, {len(codes) - len(missed):4} noticed ({shares[module]:.0%})")
            print(*(f"    not noticed: {mutant}" for mutant in missed), sep="\n")
    print(json.dumps({module: round(share, 3) for module, share in shares.items()}))
    sys.exit(1 if min(shares.values()) < WANTED else 0)


if __name__ == "__main__":
    main()
