"""The folder of a demo: an earlier one is made anew, whatever became of it, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from pipelines import demo
from pmd.demo.config import MARK
from pmd.errors import ConfigError
from pmd.store import root


def test_a_mark_that_was_cut_short_says_nothing(tmp_path: Path) -> None:
    (tmp_path / MARK).write_bytes(b"")
    demo._clear(tmp_path)
    (tmp_path / "pmd").mkdir()
    demo._clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MARK]
    (tmp_path / MARK).write_bytes(b"[")
    (tmp_path / "pmd").mkdir()
    with pytest.raises(ConfigError, match="the folder holds something that is no demo"):
        demo._clear(tmp_path)


def test_a_demo_that_runs_is_not_cleared_away(tmp_path: Path) -> None:
    demo._clear(tmp_path)
    with root.writer(str(tmp_path / "pmd"), "pmd demo"):
        (tmp_path / "pmd/root.json").write_bytes(b"{}")
        with pytest.raises(ConfigError, match="another demo is running here"):
            demo._clear(tmp_path)
        assert (tmp_path / "pmd/root.json").exists()
        (tmp_path / "pmd/root.json").unlink()


def test_a_folder_at_home_is_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves the sign in --out=~/demo as it is; the configuration and ROOT are found by it at home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def opened() -> NoReturn:
        raise InterruptedError

    monkeypatch.setattr(demo, "open_web", opened)
    with pytest.raises(InterruptedError):
        demo.run(Path("~/demo"))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()] == [
        f"home/demo/{MARK}"
    ]
    assert not (tmp_path / "~").exists()
