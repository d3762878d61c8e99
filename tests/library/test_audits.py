"""The audit's JSON as tables: where each number goes, and that the file is held to its commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import orjson
import pytest

import pmd
from pmd.audit.figures import tables
from pmd.errors import ConfigError, RootError, VerificationError
from pmd.library import audits
from pmd.store import commits, root
from pmd.store.commits import Commit

POPULATION: dict[str, Any] = {
    "pairs": 9,
    "words": {"mean": 4.5, "method": "words", "histogram": [{"from": 1, "below": None, "pairs": 9}]},
    "gendered": {"female": {"value": 0.2, "interval": [0.1, 0.3], "enough": True}, "texts": {"female": 3}},
    "hosts": {
        "distinct": {"value": 2, "interval": None, "exact": True},
        "largest": [{"host": "a.org", "pairs": 5, "share": 0.5}],
        "curve": [[0.0, 0.0], [0.5, 0.9]],
        "top_1_percent": {"value": None, "interval": None, "enough": False, "too_few_units": 2},
    },
    "repeated": {"near": {"largest": [], "shared_by": [{"images": 10, "pairs": 4, "share": 0.4}]}},
}
CONTENT: dict[str, Any] = {
    "books": {"curate": {"coco": {"in": 12, "kept": 9, "rejected": {"empty_text": 2, "bad_url": 1}}}},
    "table2": [
        {
            "row": "COCO",
            "sources": ["coco"],
            "sources_here": ["coco"],
            "published": {"pairs": 900_000, "mean_words": 12.4},
            "pairs": {"curate": 9},
            "read": 12,
            "mean_words": {"curate": 4.5},
            "of_published": {"curate": 1e-5},
        }
    ],
    "all": {"curate": POPULATION},
    "sources": {"coco": {"curate": {"pairs": 9}}},
    "overlap": {
        "by_source": [{"source": "coco", "images": 4, "only_here": 3}],
        "pairs_of_sources": [{"sources": ["coco", "wit"], "images": 1, "shares": [0.25, 0.5]}],
    },
    "tests": [
        {
            "section": "gendered",
            "source": "coco",
            "stage": "fetch",
            "property": "female",
            "cluster": "host",
            "effect": -0.1,
            "error": None,
            "degrees": 4.5,
            "clusters": 7,
            "p": None,
            "low": None,
            "high": None,
            "level": None,
            "finding": False,
            "rule": None,
            "among": None,
            "held_to": None,
            "refused": "too concentrated",
        }
    ],
    "labels": {"languages": {"en": "English"}},
}


def commit(where: Path, content: Any = CONTENT) -> Path:
    """Commit an audit; return its file."""
    folder = Path(root.audit_folder(str(where)))
    folder.mkdir(parents=True)
    root.create(str(where), 2)
    path = folder / "audit.json"
    path.write_bytes(orjson.dumps(content))
    file = commits.File("audit.json", path.stat().st_size, 0, commits.sha256(path.read_bytes()))
    commits.write(str(folder), Commit("audit", (file,), {}, "", {}))
    return path


def rows(audit: audits.Audit, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = audit[name].to_table().to_pylist()
    return found


def test_every_number_has_its_place(tmp_path: Path) -> None:
    commit(tmp_path)
    audit = pmd.load(tmp_path).audit
    at = {"source": "all", "stage": "curate"}
    exact = {"low": None, "high": None, "enough": None}
    assert rows(audit, "figures") == [  # within an object by name
        {**at, "figure": "gendered.female", "value": 0.2, "low": 0.1, "high": 0.3, "enough": True},
        {**at, "figure": "gendered.texts.female", "value": 3.0, **exact},
        {**at, "figure": "hosts.distinct", "value": 2.0, **exact},
        {**at, "figure": "hosts.distinct.exact", "value": 1.0, **exact},
        {**at, "figure": "hosts.top_1_percent", "value": None, "low": None, "high": None, "enough": False},
        {**at, "figure": "hosts.top_1_percent.too_few_units", "value": 2.0, **exact},
        {**at, "figure": "pairs", "value": 9.0, **exact},
        {**at, "figure": "words.mean", "value": 4.5, **exact},
        {**at, "source": "coco", "figure": "pairs", "value": 9.0, **exact},
    ]
    assert rows(audit, "books") == [{"stage": "curate", "source": "coco", "in": 12, "kept": 9, "rejected": 3}]
    assert rows(audit, "books.rejected") == [
        {"stage": "curate", "source": "coco", "reason": "empty_text", "pairs": 2},
        {"stage": "curate", "source": "coco", "reason": "bad_url", "pairs": 1},
    ]
    assert rows(audit, "words.histogram") == [{**at, "from": 1, "below": None, "pairs": 9}]
    assert rows(audit, "hosts.largest") == [{**at, "host": "a.org", "pairs": 5, "share": 0.5, "as_before": None}]
    assert rows(audit, "hosts.curve") == [
        {**at, "largest": 0.0, "pairs": 0.0},
        {**at, "largest": 0.5, "pairs": 0.9},
    ]
    assert rows(audit, "repeated.near.shared_by") == [
        {**at, "images": 10, "pairs": 4, "share": 0.4, "one_user_pairs": None}
    ]
    assert rows(audit, "notes") == [{**at, "about": "words.method", "says": "words"}]
    assert rows(audit, "overlap.by_source") == [{"source": "coco", "images": 4, "only_here": 3}]
    assert rows(audit, "overlap.pairs_of_sources") == [
        {"source": "coco", "other": "wit", "images": 1, "share": 0.25, "other_share": 0.5}
    ]
    assert rows(audit, "tests") == CONTENT["tests"]
    assert rows(audit, "labels") == [{"kind": "languages", "code": "en", "name": "English"}]
    assert rows(audit, "table2") == [
        {
            "row": "COCO",
            "stage": "curate",
            "sources": ["coco"],
            "sources_here": ["coco"],
            "read": 12,
            "pairs": 9,
            "published_pairs": 900_000,
            "of_published": 1e-5,
            "mean_words": 4.5,
            "published_mean_words": 12.4,
        }
    ]


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    commit(tmp_path, {**CONTENT, "overlap": None})
    audit = pmd.load(tmp_path).audit
    assert audit["repeated.near.largest"].to_pandas().columns.to_list() == [
        "source",
        "stage",
        "text",
        "images",
        "pairs",
        "texts",
        "as_before",
    ]
    assert audit["overlap.by_source"].count_rows() == 0
    frames = audit.to_pandas()
    assert list(frames) == list(audit) == list(tables.SCHEMAS)
    assert len(audit) == len(frames)


def test_tables_are_chosen_by_source_and_stage(tmp_path: Path) -> None:
    commit(tmp_path)
    audit = pmd.load(tmp_path).audit
    assert audit["figures"].only(source="coco").select(["value"]).to_table().to_pylist() == [{"value": 9.0}]
    assert audit["figures"].only(source="all", stage="curate").count_rows() == 8
    with pytest.raises(ConfigError, match=r"no such stage\n  expected: one of curate\n  found: fetch"):
        audit["figures"].only(stage="fetch")
    with pytest.raises(
        ConfigError, match=r"cannot be chosen by source\n  expected: no choice of rows\n  found: source"
    ):
        audit["labels"].only(source="coco")
    with pytest.raises(KeyError):
        audit["figure"]


def test_an_audit_is_found_by_the_folder_of_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = commit(tmp_path).parent
    assert pmd.load.audit(folder)["books"].to_table() == pmd.load.audit(tmp_path)["books"].to_table()
    monkeypatch.chdir(tmp_path)
    assert pmd.load.audit("audit/").books.equals(pmd.load.audit(".").books)
    relative = pmd.load.audit("audit/")["books"]
    monkeypatch.chdir("/")
    assert relative.to_table() == pmd.load.audit(tmp_path)["books"].to_table()
    memory = fsspec.filesystem("memory")
    for path in (one for one in tmp_path.rglob("*") if one.is_file()):
        memory.pipe(f"/{tmp_path.name}/far/{path.relative_to(tmp_path)}", path.read_bytes())
    far = pmd.load.audit(f"memory://{tmp_path.name}/far/audit/")
    assert far["books"].to_table() == pmd.load.audit(tmp_path)["books"].to_table()


def test_an_audit_that_has_not_been_run_says_so(tmp_path: Path) -> None:
    root.create(str(tmp_path), 2)
    audit = pmd.load(tmp_path).audit
    assert "books" in audit  # which tables there are is known before
    with pytest.raises(RootError, match="the stage audit has not been run here"):
        audit["books"].to_table()


def test_an_audit_that_is_not_as_it_was_committed_is_not_read(tmp_path: Path) -> None:
    path = commit(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"900000", b"900001"))
    with pytest.raises(VerificationError, match="a committed file has other bytes than were written"):
        pmd.load(tmp_path).audit["table2"].to_table()
    path.unlink()
    with pytest.raises(VerificationError, match="a committed file is gone"):
        pmd.load(tmp_path).audit.to_pandas()
