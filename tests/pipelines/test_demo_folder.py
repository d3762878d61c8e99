"""The folder of a demo: an earlier one is made anew, whatever became of it, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from pipelines import demo
from pmd.demo.config import LOCK, MARK
from pmd.errors import ConfigError
from pmd.store import root


def cleared(folder: Path) -> None:
    with demo._alone(folder):
        pass


def test_a_mark_that_was_cut_short_says_nothing(tmp_path: Path) -> None:
    (tmp_path / MARK).write_bytes(b"")
    cleared(tmp_path)
    (tmp_path / "pmd").mkdir()
    cleared(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARK, LOCK]
    (tmp_path / MARK).write_bytes(b"[")
    (tmp_path / "pmd").mkdir()
    with pytest.raises(ConfigError, match="the folder holds something that is no demo"):
        cleared(tmp_path)


def test_a_demo_that_is_built_is_not_cleared_away(tmp_path: Path) -> None:
    cleared(tmp_path)
    with root.writer(str(tmp_path / "pmd"), "pmd build"):
        (tmp_path / "pmd/root.json").write_bytes(b"{}")
        with pytest.raises(ConfigError, match="another demo is running here"):
            cleared(tmp_path)
        assert (tmp_path / "pmd/root.json").exists()
        (tmp_path / "pmd/root.json").unlink()


def test_of_two_demos_that_begin_at_once_one_is_refused(tmp_path: Path) -> None:
    """Whatever the first is at: it writes its files before it has a ROOT, whose lock the second could see."""
    with demo._alone(tmp_path):
        (tmp_path / "data").mkdir()
        with pytest.raises(ConfigError, match="another demo is running here"):
            cleared(tmp_path)
        assert (tmp_path / "data").is_dir()
    cleared(tmp_path)
    assert not (tmp_path / "data").exists()


def test_nothing_is_left_in_a_folder_that_is_no_demo(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="the folder holds something that is no demo"):
        cleared(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_folder_at_home_is_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves the sign in --out=~/demo as it is; the configuration and ROOT are found by it at home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def opened() -> NoReturn:
        raise InterruptedError

    monkeypatch.setattr(demo, "open_web", opened)
    with pytest.raises(InterruptedError):
        demo.run(Path("~/demo"))
    there = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())
    assert there == [f"home/demo/{MARK}", f"home/demo/{LOCK}"]
    assert not (tmp_path / "~").exists()
