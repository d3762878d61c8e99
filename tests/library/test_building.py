"""Builds from Python: what is stale is run, the lock is held, and what was done comes back."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

import pmd
from pipelines.build import Step
from pmd.config import InvalidConfig
from pmd.errors import RootError
from pmd.inspection import status
from pmd.store import lock, root
from tests import tiny_root


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pmd.Config:
    """What all but the audit is built of; its file is pmd.toml in the working folder."""
    monkeypatch.chdir(tmp_path)
    return tiny_root.build(tmp_path)


def ran(built: object) -> list[str]:
    return [step.stage for step in built.steps if step.seconds is not None]  # type: ignore[attr-defined]


def test_what_is_stale_is_run_and_what_was_done_comes_back(config: pmd.Config, tmp_path: Path) -> None:
    told: list[Step] = []
    built = pmd.build("pmd.toml", report=told.append)
    assert ran(built) == ["audit"]
    assert list(built.steps) == told
    assert [step.why for step in built.steps if step.seconds is not None] == ["nothing is committed yet"]
    assert built.root == config.root
    assert built.books == status.books(config.root)
    assert built.books["balanced"]
    assert str(built) == status.render(status.books(config.root))
    assert pmd.load(built.root).audit["books"].only(source="coco", stage="shard").to_table().to_pylist() == [
        {"stage": "shard", "source": "coco", "in": 2, "kept": 2, "rejected": 0}
    ]
    # `pmd repair` finds the configuration again, from any folder.
    holder = json.loads((Path(config.root) / lock.STATE_FILE).read_text())["last"]
    assert (holder["command"], holder["config"]) == ("pmd.build", str(tmp_path / "pmd.toml"))
    assert ran(pmd.build(config)) == []


def test_a_configuration_is_loaded_by_a_path_of_any_kind(config: pmd.Config, tmp_path: Path) -> None:
    assert pmd.load_config(tmp_path / "pmd.toml") == pmd.load_config(str(tmp_path / "pmd.toml"))


def test_a_second_writer_is_refused(config: pmd.Config) -> None:
    with root.writer(config.root, "another"), pytest.raises(RootError, match="another"):
        pmd.build(config)


def test_notes_on_a_configuration_are_logged(
    config: pmd.Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pipelines.build.build", lambda *args, **kwargs: None)
    monkeypatch.setattr("pmd.config.inputs.notes", lambda chosen: [f"a note on {chosen.root}"])
    with caplog.at_level(logging.WARNING):
        pmd.build(config)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("pmd.notes", f"a note on {config.root}")
    ]


def test_flags_go_to_beam(config: pmd.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    monkeypatch.setattr("pipelines.build.build", lambda chosen, **named: given.append(named["flags"]))
    pmd.build(config, flags=["--runner=PortableRunner"])
    assert given == [["--runner=PortableRunner"]]


def test_mistakes_of_a_configuration_are_told_and_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "pmd.toml"
    path.write_text(f'root = "{tmp_path}/pmd"\nseed = "x"\n')
    with pytest.raises(InvalidConfig, match="nothing was run"):
        pmd.build(path)
    assert not (tmp_path / "pmd").exists()
