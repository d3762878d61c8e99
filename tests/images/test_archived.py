"""Archives of images: which file of theirs a name means, however many are called so."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.errors import InputError
from pmd.formats import archives
from pmd.images import archived
from pmd.images.archived import Index


def test_archives_and_folders_are_indexed_by_base_name(tmp_path: Path) -> None:
    archive = tmp_path / "train2017.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train2017/1.jpg", b"1")
        file.writestr("deep/er/2.jpg", b"2")
    folder = tmp_path / "val2017"
    (folder / "val").mkdir(parents=True)
    (folder / "val" / "1.jpg").write_bytes(b"other")
    assert archived.index_archives([str(archive), str(folder)]).locations == {
        "1.jpg": [f"{archive}!/train2017/1.jpg", f"{folder}!/val/1.jpg"],
        "2.jpg": [f"{archive}!/deep/er/2.jpg"],
    }
    assert archived.index_archives([]).locations == {}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_several_times_is_told_and_each_directory_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / f"{number}.zip") for number in range(12)]
    for number, path in enumerate(paths):
        with zipfile.ZipFile(path, "w") as file:
            for content in (b"1", b"2")[: 1 + (number == 3)]:
                file.writestr("1.jpg", content)
    seen: list[object] = []
    opened = zipfile.ZipFile
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda file: (seen.append(file), opened(file))[1])
    told: list[str] = []
    archived.index_archives(paths, tell=told.append)
    assert told == [f"{paths[3]}: names that it has several times, of which the last is read: 1.jpg (2 times)"]
    assert len(seen) == len(paths)


def test_names_that_other_systems_write_are_indexed_and_such_as_nobody_can_ask_for_are_not(tmp_path: Path) -> None:
    archive = tmp_path / "windows.zip"
    with zipfile.ZipFile(archive, "w") as file:
        info = zipfile.ZipInfo("x")
        info.filename = "train2017\\1.jpg"  # not through its constructor, which mends it on Windows alone
        file.writestr(info, b"1")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "2.jpg").write_bytes(b"2")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).write_bytes(b"3")
    assert archived.index_archives([str(archive), str(folder)]).locations == {
        "1.jpg": [f"{archive}!/train2017\\1.jpg"],
        "2.jpg": [f"{folder}!/2.jpg"],
    }


def test_archives_without_any_picture_of_a_source_are_noted() -> None:
    index = Index({"1.jpg": ["a.zip!/train2017/1.jpg"]})
    assert archived.note_of_archives("coco", iter([None, "train2017/1.jpg"]), index) is None
    assert archived.note_of_archives("coco", iter([]), index) is None
    assert archived.note_of_archives("coco", iter([None, "train2017/2.jpg"]), index) == (
        "coco: `images` has no picture of 2 pairs; expected files such as train2017/2.jpg, found a.zip!/train2017/1.jpg"
    )
    assert archived.note_of_archives("coco", iter(["train2017/2.jpg"]), archived.NO_FILES) == (
        "coco: `images` has no picture of 1 pair; expected files such as train2017/2.jpg, found no file"
    )
    assert archived.note_of_archives("wit", iter([None]), index) == (
        "wit: its annotations name no files of images, so that `images` is of no use"
    )


def test_images_that_are_no_archive_are_told(tmp_path: Path) -> None:
    path = tmp_path / "train2017.zip"
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=str(path)):
        archived.index_archives([str(path)])


@pytest.mark.parametrize(
    ("file_name", "archive"),
    [
        ("val/1.jpg", "b.zip!/val/1.jpg"),
        ("1.jpg", "a.zip!/train/1.jpg"),
        ("elsewhere/1.jpg", "a.zip!/train/1.jpg"),
        ("2.jpg", None),
        (None, None),
    ],
)
def test_an_image_is_found_by_its_path_else_by_its_name(file_name: str | None, archive: str | None) -> None:
    index = Index({"1.jpg": ["a.zip!/train/1.jpg", "b.zip!/val/1.jpg"]})
    assert index.locate(file_name) == archive


@pytest.mark.parametrize(
    ("file_name", "member"),
    [
        ("val2014/COCO_val2014_000000000042.jpg", "train2017/000000000042.jpg"),  # its split has changed
        ("train2017/000000000009.jpg", "train2014/COCO_train2014_000000000009.jpg"),
        ("train2017/000000000042.jpg", "train2017/000000000042.jpg"),
        ("000000000043.jpg", None),
        ("COCO_val2014_000000000043.jpg", None),
    ],
)
def test_a_picture_of_coco_s_is_found_in_the_archives_of_either_release(file_name: str, member: str | None) -> None:
    members = ("train2017/000000000042.jpg", "train2014/COCO_train2014_000000000009.jpg")
    index = Index({name.partition("/")[2]: [f"a.zip!/{name}"] for name in members})
    assert index.locate(file_name) == (None if member is None else f"a.zip!/{member}")


@pytest.mark.parametrize(
    ("file_name", "member"),
    [
        ("1.jpg", "1.jpg"),
        ("./1.jpg", "1.jpg"),
        ("large/1.jpg", "data/large/1.jpg"),
        ("thumbs/1.jpg", "thumbs/1.jpg"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("t/caf\u00e9.jpg", "t/cafe\u0301.jpg"),
    ],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_of_just_that_path_goes_before_others_of_its_name(
    tmp_path: Path, file_name: str, member: str, is_folder: bool
) -> None:
    """Archives and folders hold small copies beside the pictures, and macOS writes accents as characters of their own."""
    names = ("1.jpg", "0/1.jpg", "thumbs/1.jpg", "data/large/1.jpg", "caf\u00e9.jpg", "t/cafe\u0301.jpg")
    place = tmp_path / "place"
    for name in names if is_folder else ():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"1")
    if not is_folder:
        with zipfile.ZipFile(place, "w") as file:
            for name in names:
                file.writestr(name, b"1")
    assert archived.index_archives([str(place)]).locate(file_name) == f"{place}!/{member}"


class _Counted(str):
    """A location that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: str) -> bool:
        _Counted.compared += 1
        return str.__lt__(self, other)


@pytest.mark.parametrize("asked", ["{}/image.jpg", "elsewhere/{}/image.jpg", "./same/image.jpg"])
def test_files_that_are_all_called_alike_are_not_tried_one_by_one(asked: str) -> None:
    """A picture in a folder of its own each: to find all must not cost as many looks as there are pairs of them."""

    def compared(count: int) -> int:
        ends = [f"{number}/image.jpg" if "{}" in asked else f"{number}/same/image.jpg" for number in range(count)]
        index = Index({"image.jpg": [_Counted(f"a.zip!/{end}") for end in sorted(ends)]})
        _Counted.compared = 0
        for number in range(count):
            assert index.locate(asked.format(number)) is not None
        return _Counted.compared

    assert compared(1000) < 20 * 1000


#: Folders and files of few letters, so that paths end alike.
_PATHS = st.lists(st.sampled_from(["a", "b", "é", "e\u0301", "a!", "."]), min_size=0, max_size=4).map(
    lambda folders: "/".join([*folders, "1.jpg"])
)


@given(st.lists(_PATHS, min_size=1, max_size=40, unique=True), _PATHS)
def test_a_name_means_the_first_that_fits_it_best(paths: list[str], asked: str) -> None:
    """As it is told: just that path in an archive, else one that ends so, else any; of several the first."""

    def composed(name: str) -> str:
        return name.replace("e\u0301", "é")

    def unlike(location: str) -> int:
        path = composed(asked.removeprefix("./"))
        ends = (f"!/{path}", f"!/./{path}", f"/{path}")
        return next((at for at, end in enumerate(ends) if composed(location).endswith(end)), len(ends))

    locations = sorted(f"a.zip!/{path}" for path in paths)
    assert Index({"1.jpg": locations}).locate(asked) == min(locations, key=lambda one: (unlike(one), one))
