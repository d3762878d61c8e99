"""Karpathy's split: which images are held out, plain and in the zip, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pmd.errors import InputError
from pmd.sources import karpathy

UPSTREAM = """{"images": [
    {"filepath": "val2014", "sentids": [1], "filename": "COCO_val2014_000000000007.jpg", "imgid": 0, "split": "test",
     "sentences": [{"tokens": ["a"], "raw": "A.", "imgid": 0, "sentid": 1}], "cocoid": 7},
    {"cocoid": 8, "split": "val"}, {"cocoid": 9, "split": "train"}, {"cocoid": 10, "split": "restval"}],
    "dataset": "coco"}"""


def test_held_out_plain_and_zipped(tmp_path: Path) -> None:
    plain, archive = tmp_path / "dataset_coco.json", tmp_path / "caption_datasets.zip"
    plain.write_text(UPSTREAM)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("dataset_flickr8k.json", "{}")
        file.writestr("dataset_coco.json", UPSTREAM)
    expected = {7: "test", 8: "val"}
    assert karpathy.held_out(str(plain)) == expected
    assert karpathy.held_out(str(archive)) == expected
    assert karpathy.held_out(f"{archive}!/dataset_coco.json") == expected
    assert karpathy.locate(str(archive)) == (str(archive), "dataset_coco.json")


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "dataset_coco.json"
    path.write_text(UPSTREAM)
    assert karpathy.held_out(str(path)) == {7: "test", 8: "val"}
    path.write_text(UPSTREAM.replace('"restval"', '"test"'))
    assert karpathy.held_out(str(path)) == {7: "test", 8: "val", 10: "test"}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"cocoid": 8', '"cocoid": "8"', 'cocoid: expected a whole number, found "8"'),
        ('"split": "val"', '"split": "dev"', "split: expected one of train, restval, val, test, found dev"),
        ('"cocoid": 8, ', "", "cocoid: missing"),
    ],
)
def test_a_hole_in_the_list_is_an_error(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = tmp_path / "dataset_coco.json"
    path.write_text(UPSTREAM.replace(old, new))
    with pytest.raises(InputError, match=r"dataset_coco\.json:images\[1\]: not Karpathy's split of COCO") as error:
        karpathy.held_out(str(path))
    assert error.value.found == found


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        karpathy.companions(str(tmp_path / "absent.json"), "test")
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("dataset_flickr30k.json", "{}")
    with pytest.raises(InputError) as error:
        karpathy.companions(str(archive), "val_and_test")
    assert error.value.found == "dataset_flickr30k.json"
    empty = tmp_path / "empty.json"
    empty.write_text('{"images": []}')
    with pytest.raises(InputError, match="no images in it"):
        karpathy.held_out(str(empty))


@pytest.mark.parametrize(
    ("content", "found", "remedy"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\n",
            "a pointer of Git LFS in the place of the file",
            "run: git lfs pull",
        ),
        (
            "<!DOCTYPE html><html>",
            "a web page, or a server's error",
            "download the file anew: a server has sent this in its place",
        ),
        ('[{"image": "val2014/1.jpg"}]', '[{"image": "val2014/1.jpg"}]', "download it anew: pmd manifests fetch coco"),
        ("", "an empty file", "download it anew: pmd manifests fetch coco"),
    ],
)
def test_something_else_in_its_place_is_told_before_a_worker_reads_it(
    tmp_path: Path, content: str, found: str, remedy: str
) -> None:
    path = tmp_path / "dataset_coco.json"
    path.write_text(content)
    with pytest.raises(InputError, match="not Karpathy's split of COCO") as error:
        karpathy.companions(str(path), "test")
    assert (error.value.found, error.value.remedy) == (found, remedy)


def test_companions() -> None:
    assert karpathy.companions("anything", "none") == ()
    assert karpathy.companions("none", "val_and_test") == ()


def test_left_out_takes_the_splits_that_are_asked(tmp_path: Path) -> None:
    path = tmp_path / "dataset_coco.json"
    path.write_text(UPSTREAM)
    both = karpathy.left_out(str(path), "val_and_test")
    assert both == karpathy.held_out(str(path))
    assert set(both.values()) == {"val", "test"}
    assert karpathy.left_out(str(path), "test") == {key: split for key, split in both.items() if split == "test"}
    assert karpathy.left_out(str(path), "none") == karpathy.left_out("none", "test") == {}
