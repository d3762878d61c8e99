"""Each pipeline as a plain module: `python -m pipelines.<stage> CONFIG`, with what a user may get wrong."""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path

import pytest

from pmd import flow, stages
from pmd.config import load
from pmd.store import commits


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "train.tsv").write_text("a red bus\thttp://a.example/1.jpg\na blue bus\thttp://a.example/2.jpg\n")
    path = tmp_path / "pmd.toml"
    path.write_text(
        f'root = "{tmp_path / "root"}"\nprofile = "paper"\ncontact = "mailto:test@example.org"\n'
        '[fetch]\nresolve = { "*:80" = "127.0.0.1:9" }\nallow_addresses = ["127.0.0.1/32"]\nretries = 0\n'
        f'[sources.conceptual_captions]\nannotations = ["{tmp_path / "train.tsv"}"]\n'
    )
    return path


def test_the_stages_one_after_the_other(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in flow.NAMES:
        run = importlib.import_module(f"pipelines.{stage}").main
        if stage != "fetch":
            run([str(config)])
            continue
        with pytest.raises(SystemExit) as ended:
            run([str(config)])
        assert ended.value.code == 6
        assert "no image could be reached" in capsys.readouterr().err
    commit = commits.require(f"{load(str(config)).root}/audit", "")
    assert commit.stage == "audit"
    assert stages.why(flow.AUDIT, load(str(config))) is None


def test_a_mistake_ends_with_its_exit_code(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate = importlib.import_module("pipelines.curate")
    with pytest.raises(SystemExit) as ended:
        curate.main([str(config), "--sources", "coco"])
    assert ended.value.code == 2
    assert "--sources: no such source" in capsys.readouterr().err
    (config.parent / "train.tsv").unlink()
    with pytest.raises(SystemExit) as ended:
        curate.main([str(config)])
    assert ended.value.code == 3
    assert "train.tsv not found" in capsys.readouterr().err


@pytest.mark.parametrize("stage", flow.NAMES)
def test_sources_are_chosen_where_a_stage_works_source_by_source(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(f"pipelines.{stage}").main(["--help"])
    assert ("--sources" in capsys.readouterr().out) == (stage in {"curate", "publish"})


@pytest.mark.parametrize("name", ["build", "repair", "takedown", "demo"])
def test_a_module_without_a_command_line_says_what_is_run_in_its_place(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did nothing, and ended well: a launcher took that for a build."""
    monkeypatch.setattr("sys.argv", ["-m", "pmd.toml"])
    monkeypatch.delitem(sys.modules, f"pipelines.{name}", raising=False)
    with pytest.raises(SystemExit, match=f"this module has no command line of its own; run: pmd {name}"):
        runpy.run_module(f"pipelines.{name}", run_name="__main__")
