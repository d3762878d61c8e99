"""Every file of the code has tests that a change of it touches, and nothing is run twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import touched

MODULES = sorted(
    path.relative_to(touched.REPOSITORY).as_posix()
    for folder in ("pmd", "pipelines")
    for path in (touched.REPOSITORY / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", MODULES)
def test_every_module_has_tests_of_its_own(path: str) -> None:
    """A new folder of `pmd` has a folder in `tests`; where its tests stand elsewhere, `touched` says so."""
    found = touched.tests_of(path)
    assert len(found) > len(touched._ALWAYS), path
    assert all((touched.REPOSITORY / test).exists() for test in found), found


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("tests/store/test_root.py", ["tests/store/test_root.py"]),
        ("tests/store/test_gone.py", []),
        ("tests/fetch/hostile.py", ["tests/fetch"]),
        ("tests/fetch/fake/img2dataset.py", ["tests/fetch"]),
        ("tests/conftest.py", ["tests"]),
        ("docs/running.md", ["tests/test_docs.py"]),
        ("manifests/coco.toml", sorted([*touched._EVERY_SOURCE, *touched._ALWAYS, "tests/sources"])),
        (
            "pmd/sources/coco.py",
            sorted([*touched._EVERY_SOURCE, *touched._ALWAYS, "tests/sources", "tests/end_to_end/test_library.py"]),
        ),
        ("pmd/curate/rules.py", ["tests/curate", "tests/test_docs.py", "tests/test_imports.py"]),
        ("pmd/cli/stages.py", ["tests/test_cli.py", "tests/test_docs.py", "tests/test_imports.py"]),
    ],
)
def test_a_file_touches_the_tests_of_its_place(path: str, tests: list[str]) -> None:
    assert touched.of([path]) == tests


def test_nothing_is_run_twice() -> None:
    paths = ["pmd/store/lock.py", "tests/store/test_root.py", "pmd/store/root.py"]
    assert touched.of(paths) == ["tests/store", "tests/test_docs.py", "tests/test_imports.py"]
    assert touched.of([*paths, "tests/tiny_root.py"]) == ["tests"]


def test_what_differs_and_what_is_new_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        name = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
        subprocess.run(["git", *name, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    for name in ("same", "changed", "removed", "ignored"):
        (tmp_path / name).write_text(name)
    (tmp_path / ".gitignore").write_text("ignored\n")
    git("add", ".")
    git("commit", "-m", "all")
    (tmp_path / "changed").write_text("otherwise")
    (tmp_path / "removed").unlink()
    (tmp_path / "new").touch()
    monkeypatch.setattr(touched, "REPOSITORY", tmp_path)
    assert touched.changed("HEAD") == ["changed", "removed", "new"]


def test_where_nothing_differs_no_test_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even all of them, which is what pytest runs where it is told nothing."""
    monkeypatch.setattr(touched, "changed", lambda since: [])
    with pytest.raises(SystemExit, match="nothing differs from main"):
        touched.main(["main"])
    monkeypatch.setattr(touched, "changed", lambda since: ["docs/audit.md"])
    touched.main([])
    assert capsys.readouterr().out == "tests/test_docs.py\n"
