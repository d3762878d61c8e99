"""Which tests a change touches, by the mirror of folders: `python -m tests.touched [COMMIT]` prints their paths.

What differs from the commit (HEAD where none is named), and what git does not know yet, is looked at. The mirror does not follow
imports: a change of `pmd/store` touches `tests/store`, though every stage stands on it. Before a merge, all tests run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent

#: What holds for all code: the order of modules, and what the documents say of it.
_ALWAYS: Final = ("tests/test_docs.py", "tests/test_imports.py")
#: Tests of all sources that there are.
_EVERY_SOURCE: Final = (
    "tests/audit/counting/test_units.py",
    "tests/config/test_model.py",
    "tests/demo/test_demo.py",
    "tests/inspection/test_catalogue.py",
    "tests/manifests",
    "tests/publish",
    "tests/test_fuzz.py",
)
#: Places whose tests stand under another name than theirs; longer ones first.
_ELSEWHERE: Final = {
    "pmd/cli/": ("tests/test_cli.py",),
    "pmd/datasets/": ("tests/audit/test_data.py",),
    "pmd/engines/": ("tests/pipelines",),
    "pmd/lean.py": ("tests/pipelines/test_workers.py",),
    "pmd/stages.py": ("tests/inspection", "tests/pipelines"),
    "pmd/books/": ("tests/inspection/verify/test_verify.py", "tests/inspection/test_status.py"),
    "pmd/__init__.py": ("tests/test_wheel.py",),
    "pmd/__main__.py": ("tests/test_cli.py",),
    "pipelines/": ("tests/pipelines",),
    # What looks at every source, or at what its reader gives.
    "pmd/sources/": ("tests/sources", "tests/end_to_end/test_library.py", *_EVERY_SOURCE),
    "manifests/": ("tests/sources", *_EVERY_SOURCE),
    "benchmarks/": ("tests/end_to_end", "tests/store"),
    "pyproject.toml": ("tests/test_wheel.py",),
    "requirements.txt": ("tests/test_wheel.py",),
}


def tests_of(path: str) -> tuple[str, ...]:
    """Return the tests of a file of the repository: files and folders that are there.

    Args:
        path: Relative to the repository.
    """
    if path.startswith("tests/"):
        return _of_a_test(path)
    for place, tests in _ELSEWHERE.items():
        if path.startswith(place):
            return (*tests, *_ALWAYS)
    parts = Path(path).parts
    if parts[0] != "pmd":
        return ("tests/test_docs.py",)
    mirrored = f"tests/{parts[1]}" if len(parts) > 2 else f"tests/test_{parts[1]}"
    return (*((mirrored,) if (REPOSITORY / mirrored).exists() else ()), *_ALWAYS)


def _of_a_test(path: str) -> tuple[str, ...]:
    """Return a test itself; of what tests share, all of its folder."""
    if Path(path).name.startswith("test_"):
        return (path,) if (REPOSITORY / path).exists() else ()
    folder = "/".join(Path(path).parts[:2])
    return (folder,) if (REPOSITORY / folder).is_dir() else ("tests",)


def of(paths: Iterable[str]) -> list[str]:
    """Return the tests of several files, each once, without those that stand in a folder that is among them."""
    found = {test for path in paths for test in tests_of(path)}
    return sorted(test for test in found if not any(test.startswith(f"{other}/") for other in found))


def changed(since: str) -> list[str]:
    """Return the files that differ from a commit, and those that git does not know."""
    asked = (["diff", "--name-only", "--no-renames", since, "--"], ["ls-files", "--others", "--exclude-standard"])
    return [
        line
        for words in asked
        for line in subprocess.run(
            ["git", *words], cwd=REPOSITORY, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    ]


def main(words: list[str]) -> None:
    """Print the tests."""
    since = words[0] if words else "HEAD"
    tests = of(changed(since))
    if not tests:
        sys.exit(f"nothing differs from {since}")
    print(*tests)


if __name__ == "__main__":
    main(sys.argv[1:])
