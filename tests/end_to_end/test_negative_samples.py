"""Genuine files that are damaged, misnamed or of an older layout: each ends as it should, told in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pmd import config
from pmd.errors import InputError
from pmd.store.root import writer
from tests.end_to_end import building


def curate(root: Path, source: str, *annotations: Path) -> None:
    """Run one source's curate."""
    from pipelines import curate as pipeline

    paths = json.dumps([str(path) for path in annotations])
    text = f'root = "{root}"\nprofile = "paper"\ncontact = "mailto:x@example.org"\n'
    chosen = config.parse(f"{text}[sources.{source}]\nannotations = {paths}\n")
    with writer(chosen.root, "test"):
        pipeline.build(chosen, [source])


def test_a_truncated_coco_file_names_the_file_and_the_byte(samples: Path, tmp_path: Path) -> None:
    file = samples / "coco/truncated_captions_val2017.json"
    with pytest.raises(InputError) as error:
        curate(tmp_path, "coco", file)
    assert str(file) in str(error.value)
    assert str(file.stat().st_size) in str(error.value)
    assert not (tmp_path / "curate").exists() or not list((tmp_path / "curate").rglob("_stage.json"))
    assert not list(tmp_path.rglob("run-*"))


def test_a_cut_wit_row_names_the_file_and_the_line(samples: Path, tmp_path: Path) -> None:
    file = samples / "wit/tfds_test-00000-of-00005.tsv"
    with pytest.raises(InputError) as error:
        curate(tmp_path, "wit", file)
    assert str(file) in str(error.value)
    assert "line 2" in str(error.value)


def test_plain_text_named_gz_is_read_as_what_it_is(samples: Path, tmp_path: Path) -> None:
    curate(tmp_path, "wit", samples / "wit/wit_v1.train.all-00000-of-00010.plain-text.tsv.gz")
    rejected = building.rows(tmp_path / "curate/source=wit", "rejected/")
    assert [row["reason"] for row in rejected] == ["language", "language"]


def test_line_ends_make_no_difference(samples: Path, tmp_path: Path) -> None:
    for name, form in (("lf", ""), ("crlf", "_crlf")):
        curate(tmp_path / name, "yfcc100m", samples / f"yfcc100m/yfcc100m_dataset_23col{form}.tsv")
    lf, crlf = (building.committed(tmp_path / name)["curate/source=yfcc100m"] for name in ("lf", "crlf"))
    assert building.digests(lf, "pairs/") == building.digests(crlf, "pairs/")
    assert lf["sources"] == crlf["sources"]
    assert lf["sources"]["yfcc100m"]["in"] == 100
