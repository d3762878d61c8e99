"""The library on the demo's ROOT: its examples as they stand, and the audit whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import pmd
from pmd import manifests
from pmd.audit.figures import tables
from tests.end_to_end.conftest import Demo
from tests.library import examples

PAGE = Path(__file__).resolve().parent.parent.parent / "docs/library.md"


@pytest.fixture
def beside_the_demo(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where the examples work: in the folder of `pmd demo --out demo`."""
    (tmp_path / "demo").symlink_to(demo.folder)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("beside_the_demo")
@pytest.mark.parametrize("name", pmd.__all__)
def test_the_examples_of_a_name(name: str) -> None:
    for test in examples.of_name(name):
        assert not examples.failures(test)


@pytest.mark.usefixtures("beside_the_demo")
def test_the_examples_of_the_page() -> None:
    (test,) = examples.of_page(PAGE)
    assert not examples.failures(test)


def test_the_audit_counts_what_is_in_the_pairs(demo: Demo) -> None:
    content = json.loads((demo.root / "audit/audit.json").read_text())
    checked = 0
    for source, stages in content["sources"].items():
        pairs = [
            row
            for file in sorted((demo.root / f"curate/source={source}").glob("pairs/*.parquet"))
            for row in pq.read_table(file, columns=["image_id", "image_url", "meta"], partitioning=None).to_pylist()
        ]
        curated = stages["curate"]
        assert curated["images"]["distinct"]["value"] == len({row["image_id"] for row in pairs}), source
        field = manifests.recorded(source).user
        if field is not None:
            named = [str(json.loads(row["meta"]).get(field) or "") for row in pairs]
            users = {user for user in named if user not in {"", "None", "[deleted]", "[removed]"}}
            assert curated["users"]["distinct"]["value"] == len(users)
            checked += 1
        assert curated["hosts"]["coverage"]["measured"] == sum(row["image_url"] is not None for row in pairs), source
    assert checked == sum(manifest.recorded.user is not None for manifest in manifests.load_all().values())


def test_the_page_has_an_example_of_every_name() -> None:
    (test,) = examples.of_page(PAGE)
    source = "".join(example.source for example in test.examples)
    unnamed = {"Corpus", "Table"}  # what `load` returns, and its tables
    assert [name for name in pmd.__all__ if name not in unnamed and f"pmd.{name}" not in source] == []


def test_an_example_that_is_wrong_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text >>> 1\n```pycon\n>>> 1 + 1\n3\n```\n```pycon\n>>> 2 + 2\n4\n```\n")
    (test,) = examples.of_page(page)
    assert len(test.examples) == 2
    told = examples.failures(test)
    assert 'page.md", line 3' in told
    assert told.count("Failed example") == 1


def numbers(value: Any) -> Iterator[float]:
    """Yield every number of a JSON-like value."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield float(value)


#: Tables of what stands beside the populations in audit.json.
_NOT_OF_POPULATIONS = ("books", "table2", "overlap", "labels", "tests", "geography", "steps", "pictures")


def test_no_number_of_the_audit_is_lost(demo: Demo) -> None:
    content = json.loads((demo.root / "audit/audit.json").read_text())
    audit = pmd.load(demo.root).audit
    assert audit.content == content
    rows = tables.flat(content)
    assert set(rows) <= set(tables.SCHEMAS)
    for name, some in rows.items():
        assert {key for row in some for key in row} <= set(audit[name].columns), name
    populations = {"all": content["all"], **content["sources"]}
    for source, stages in populations.items():
        for stage, population in stages.items():
            found = [
                value
                for name, some in rows.items()
                if not name.startswith(_NOT_OF_POPULATIONS)
                for row in some
                if (row["source"], row["stage"]) == (source, stage)
                for value in numbers({key: row[key] for key in row if key not in {"source", "stage"}})
            ]
            # Whether there was enough to tell of a share stands in audit.json alone, in lists.
            told = sorted(set(numbers(population)) - {0.0, 1.0})
            assert sorted(set(found) - {0.0, 1.0}) == told, (source, stage)
