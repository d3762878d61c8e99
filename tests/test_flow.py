"""The flow is said once: every stage has its room, and nothing else spells the layout of ROOT."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from pmd import flow, stages
from pmd.books import recount
from pmd.config import Config, options
from pmd.config.reasons import REASONS
from pmd.config.tables import TABLES
from pmd.store import written

ROOT = Path(__file__).resolve().parent.parent
SAMPLE: dict[str, Any] = {"source": "coco", "shard": 7, "generation": 2, "wave": "2026-11-29"}


@pytest.mark.parametrize("stage", flow.STAGES, ids=flow.NAMES)
def test_a_stage_has_its_room_and_its_pipeline(stage: flow.Stage) -> None:
    for name in ("needs", "recount", "transforms"):
        assert (ROOT / "pmd" / stage.name / f"{name}.py").is_file()
    assert issubclass(stages.recount_of(stage), recount.Recount)
    pipeline = importlib.import_module(f"pipelines.{stage.name}")
    assert callable(pipeline.build)
    assert callable(pipeline.main)
    assert stage.command == f"pmd {stage.name} CONFIG"


def test_each_stands_after_one_that_stands_before_it() -> None:
    for number, stage in enumerate(flow.STAGES):
        assert stage.after is None or stage.after in flow.NAMES[:number]
        assert stage.books == stage.folders[0]
        assert stage.rejects == (stage.books.rejects is not None)


def test_a_stage_is_shown_by_its_row() -> None:
    """Whatever counts pairs has a column in `pmd status`, and whatever rejects some a hue on the page of `pmd peek`."""
    assert {stage for stage in (*flow.STAGES, flow.REFRESH) if stage.kept} == {*flow.COUNTING}
    assert len({stage.kept for stage in flow.COUNTING}) == len(flow.COUNTING)
    assert {stage for stage in (*flow.STAGES, flow.REFRESH) if stage.hues} == {*flow.JUDGING}
    hues = [hue for stage in flow.JUDGING for hue in stage.hues or ()]
    assert all(re.fullmatch("#[0-9a-f]{6}", hue) for hue in hues)
    assert len({*hues}) == len(hues)


def test_what_names_stages_names_those_of_the_flow() -> None:
    of_stages = [name for name in TABLES if name not in {"licence", "card"}]
    assert of_stages == [name for name in flow.NAMES if name in TABLES], (
        "in the order of the flow; a stage may have no options"
    )
    assert {field.name for field in dataclasses.fields(Config)} >= {*TABLES}
    assert all(issubclass(table, options.StageOptions) for table in TABLES.values())
    assert {stage for stage, _ in REASONS.values()} == {stage.name for stage in flow.JUDGING}


@pytest.mark.parametrize(("folder", "stage"), flow.FOLDERS, ids=[folder.path for folder, _ in flow.FOLDERS])
def test_a_folder_is_found_by_its_path(folder: flow.Folder, stage: flow.Stage) -> None:
    path = folder.at(**SAMPLE)
    assert flow.kind_of(path) == (folder, stage)
    assert [kind for kind, _ in flow.FOLDERS if kind.holds(path)] == [folder]
    assert written.is_home(path)
    assert not written.is_home(f"{path}/more")
    assert flow.stage_of(f"{path}/more") is None
    assert path.startswith(folder.above)
    assert path.split("/")[0] == folder.top


def test_the_fields_of_a_path_are_read_back() -> None:
    assert flow.GENERATION.fields("fetch/ledger/shard=00007/generation=0002") == ("00007", "0002")
    assert flow.PAIRS.fields("curate/source=wit") == ("wit",)
    assert flow.VIEWS.fields("views") == ()
    with pytest.raises(ValueError, match="fetch/rejected is no folder"):
        flow.PAIRS.fields("fetch/rejected")


def test_a_part_is_read_back_from_its_name() -> None:
    assert flow.part(3, 4) == "part-00003-of-00016"
    assert flow.part_number(f"pairs/{flow.part(3, 4)}-0123456789abcdef.parquet") == 3
    assert re.fullmatch(flow.PART, f"{flow.part(3, 4)}-0123456789abcdef.parquet")


def test_a_stage_without_a_recount_of_its_own_has_the_plain_one() -> None:
    stranger = flow.Stage("schema", None, "whole", (), "None that runs.")
    assert stages.recount_of(stranger) is recount.Recount
    with pytest.raises(AssertionError, match=r"pmd/schema/needs.py is not there"):
        stages.wanted(stranger, None)  # type: ignore[arg-type]


#: Strings that only the flow spells: a folder of ROOT with what stands below it, and the name of a part's file.
LAYOUT = re.compile(
    r"^(curate/source=|fetch/(ledger|store|attempts|hashes|rejected|availability|hosts)|shards/(rejected|webdataset|parquet)|publish/source=)"
    r"|part-(\{|$)|^views/|^source=|^sizes\.json$"
)


def strings(path: Path) -> list[tuple[int, str]]:
    """Return the strings of a module with their lines, but for docstrings and f-strings' inner parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    ]


def test_nothing_but_the_flow_spells_the_layout_of_root() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for folder in ("pmd", "pipelines")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != ROOT / "pmd/flow.py" and "demo" not in path.parts and path.name != "demo.py"
        for line, text in strings(path)
        if LAYOUT.search(text)
    ]
    assert found == []
