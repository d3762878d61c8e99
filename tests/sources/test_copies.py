"""One file that is given twice, as a copy or packed and unpacked: each of its pairs would come twice, unseen."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd import sources
from pmd.config import SourceConfig, inputs
from pmd.errors import InputError
from pmd.sources import records
from pmd.sources.contract import InputFile

ReadAll = Callable[..., list[dict[str, Any]]]


def _golden(name: str, folder: Path) -> list[Path]:
    folder.mkdir()
    return list(map(Path, importlib.import_module(f"tests.sources.test_{name}").write_golden(folder)))


def _plan(name: str, *paths: Path) -> None:
    source = sources.load(name)
    files = [InputFile(str(path), path.stat().st_size) for path in paths]
    source.plan(files, source.options(**source.options.profile_values("paper")))


def _zipped(path: Path, files: list[Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"annotations/{file.name}")
    return path


@pytest.mark.parametrize("name", ["coco", "visual_genome", "localized_narratives__ADE20k", "red_caps", "sbu_captions"])
def test_an_archive_beside_what_came_out_of_it(tmp_path: Path, name: str) -> None:
    files = [path for path in _golden(name, tmp_path / "unpacked") if path.suffix != ".zip"]
    if not files:  # RedCaps' are zipped as they are
        (archive,) = (tmp_path / "unpacked").glob("*.zip")
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(tmp_path / "unpacked")
        archive.unlink()
        files = [path for path in (tmp_path / "unpacked").rglob("[!.]*.json") if path.stat().st_size]
    _plan(name, *files)
    with pytest.raises(
        InputError, match=r"(?s)one file twice, as a copy or packed and unpacked.*begins with the same"
    ) as caught:
        _plan(name, *files, _zipped(tmp_path / "all.zip", files))
    assert "all.zip!/annotations/" in str(caught.value)


def test_two_names_of_one_file_in_a_tar_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "both.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("a.tsv", "c.tsv"):
            member = tarfile.TarInfo(name)
            member.size = 5
            archive.addfile(member, io.BytesIO(b"a row"))
        link = tarfile.TarInfo("b.tsv")
        link.type, link.linkname = tarfile.LNKTYPE, "a.tsv"
        archive.addfile(link)
    found = records.documents([InputFile(str(path), 1)], r".*\.tsv", expected="tables")
    assert [member for _, member in found] == ["a.tsv", "c.tsv"]
    assert [file.path for file in inputs.files(SourceConfig("conceptual_12m", (f"{path}!/*.tsv",), (), None))] == [
        f"{path}!/a.tsv",
        f"{path}!/c.tsv",
    ]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["conceptual_12m", "yfcc100m", "wit"])
def test_a_file_beside_itself_compressed(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    file, *_ = _golden(name, tmp_path / "plain")
    packed = tmp_path / f"{file.name}.{'gz' if pack is gzip.compress else 'bz2'}"
    packed.write_bytes(pack(file.read_bytes()))
    with pytest.raises(InputError, match="one file twice, as a copy or packed and unpacked"):
        _plan(name, file, packed)


def test_a_copy_in_another_folder(tmp_path: Path) -> None:
    (file, *_), (copy, *_) = _golden("conceptual_12m", tmp_path / "one"), _golden("conceptual_12m", tmp_path / "other")
    with pytest.raises(InputError, match="one file twice, as a copy"):
        _plan("conceptual_12m", file, copy)


@pytest.mark.parametrize(
    "name",
    ["cc12m.tsv.1", "cc12m (1).tsv", "cc12m.tsv?download=1", "cc12m - Copy.tsv", "cc12m copy 2.tsv", "Copy of cc12m.tsv",
     "cc12m.tsv.bak", "cc12m.tsv~", "cc12m.tsv (1).gz"],
)  # fmt: skip
def test_a_second_download_or_copy(tmp_path: Path, name: str) -> None:
    (tmp_path / "cc12m.tsv").write_text("http://a.example/1.jpg\tA cat\n")
    content = (tmp_path / "cc12m.tsv").read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(InputError, match="one file twice, as a copy"):
        _plan("conceptual_12m", tmp_path / "cc12m.tsv", tmp_path / name)


def test_parts_of_one_table_are_no_copies(tmp_path: Path, read_all: ReadAll) -> None:
    for number in (1, 2):
        (tmp_path / f"cc12m.tsv.{number}").write_text(f"http://a.example/{number}.jpg\tA cat\n")
    assert len(read_all(sources.load("conceptual_12m"), *sorted(tmp_path.iterdir()))) == 2


def test_files_of_one_name_and_other_rows_are_two(tmp_path: Path, read_all: ReadAll) -> None:
    rows = b"".join(b"http://a.example/%d.jpg\tA cat\n" % number for number in range(5000))
    for name, more in (("first", b""), ("second", b"http://a.example/more.jpg\tA dog\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cc12m.tsv").write_bytes(rows + more)
    assert len(rows) > records.HEAD_BYTES  # what follows tells them apart
    found = read_all(sources.load("conceptual_12m"), *sorted(tmp_path.rglob("*.tsv")))
    assert len(found) == 2 * 5000 + 1


@pytest.mark.parametrize(
    "more",
    [
        {"traces": [], "timed_caption": [], "voice_recording": "x.ogg"},
        {"original_caption": "A cat. A dog.", "caption": "A cat."},
    ],
)
def test_narratives_with_and_without_their_traces(tmp_path: Path, read_all: ReadAll, more: dict[str, Any]) -> None:
    source = sources.load("localized_narratives__coco")
    row = {"dataset_id": "mscoco_val2017", "image_id": "9", "annotator_id": 3, "caption": "A cat. A dog."}
    light, other = tmp_path / "coco_val_captions.jsonl", tmp_path / "coco_val_other.jsonl"
    light.write_text(json.dumps(row) + "\n")
    other.write_text(json.dumps(row | more) + "\n")
    with pytest.raises(InputError, match="two editions of the same narratives"):
        read_all(source, light, other)
    other.write_text(json.dumps(row | more | {"annotator_id": 4}) + "\n")
    assert read_all(source, light, other)


def test_releases_may_share_their_image_records(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("visual_genome")
    files = _golden("visual_genome", tmp_path / "v1.2")
    (images,) = (path for path in files if "image_data" in path.name)
    (tmp_path / "v1.4").mkdir()
    (tmp_path / "v1.4" / images.name).write_bytes(images.read_bytes())
    alone = read_all(source, *files)
    assert read_all(source, *files, tmp_path / "v1.4" / images.name) == alone
