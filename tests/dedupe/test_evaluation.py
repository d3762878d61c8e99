"""Evaluation images: lists in every form, what matches them, and errors that say which line."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from pmd import cli, codec
from pmd.dedupe import evaluation
from pmd.errors import InputError


def picture(seed: int, size: tuple[int, int] = (320, 240)) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    sink = io.BytesIO()
    Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).resize(size).save(sink, "JPEG", quality=85)
    return sink.getvalue()


def pdq(content: bytes) -> bytes:
    found = codec.prepare(content, codec.Limits(), codec.Form(256), hashed=True).perceptual_hash
    assert found is not None
    return found


def ledger(*contents: bytes | None) -> pa.Table:
    return pa.table(
        {
            "sha256": pa.array([c and hashlib.sha256(c).digest() for c in contents], pa.binary(32)),
            "perceptual_hash": pa.array([c and pdq(c) for c in contents], pa.binary(32)),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "val"
    images.mkdir()
    (images / "1.jpg").write_bytes(picture(1))
    (images / "2.jpg").write_bytes(picture(2))
    (images / "notes.txt").write_text("no image")
    return images


def forms(folder: Path) -> dict[str, Path]:
    """Return the same two images in every form of a list."""
    found = {"folder": folder}
    with tarfile.open(folder.parent / "val.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    with zipfile.ZipFile(folder.parent / "val.zip", "w") as file:
        for path in sorted(folder.iterdir()):
            file.write(path, path.name)
    rows = list(evaluation.hashed(str(folder)))
    lines = ["# a list", "", *(evaluation.line(*row) for row in rows)]
    (folder.parent / "val.txt").write_text("\n".join(lines), encoding="utf-8")
    names, digests, hashes = zip(*rows, strict=True)
    pq.write_table(
        pa.table(
            {"name": names, "sha256": [d.hex() for d in digests], "perceptual_hash": pa.array(hashes, pa.binary(32))}
        ),
        folder.parent / "val.parquet",
    )
    return found | {form: folder.parent / f"val.{form}" for form in ("tar", "zip", "txt", "parquet")}


def test_every_form_says_the_same(folder: Path) -> None:
    for path in forms(folder).values():
        known = evaluation.read([str(path)])
        assert known.schema == evaluation.KNOWN
        assert known["name"].to_pylist() == [f"{path}: 1.jpg", f"{path}: 2.jpg"]
        assert known["sha256"].to_pylist() == [hashlib.sha256(picture(n)).digest() for n in (1, 2)]
        assert known["pdq"].to_pylist() == [pdq(picture(n)) for n in (1, 2)]


def test_the_file_itself_a_copy_and_strangers(folder: Path) -> None:
    known = evaluation.read([str(folder)])
    found = evaluation.overlaps(ledger(picture(3), picture(2), picture(1, (200, 150)), None), known, 31)
    assert found.schema == evaluation.OVERLAPS
    assert found["place"].to_pylist() == [1, 2]
    assert found["name"].to_pylist() == [f"{folder}: 2.jpg", f"{folder}: 1.jpg"]
    near = found["distance"].to_pylist()
    assert near[0] == 0
    assert 0 <= near[1] <= 31
    assert evaluation.overlaps(ledger(), known, 31).num_rows == 0


def test_one_kind_of_hash_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(
        f"sha256:{hashlib.sha256(picture(1)).hexdigest()}\npdq:{pdq(picture(2)).hex().upper()}  two of it\n"
    )
    known = evaluation.read([str(path)])
    assert known["name"].to_pylist() == [f"{path}:line 1", f"{path}: two of it"]
    rows = ledger(picture(1), picture(1, (200, 150)), picture(2, (200, 150)))
    assert evaluation.overlaps(rows, known, 31)["place"].to_pylist() == [0, 2]


def test_flat_pictures_match_by_their_bytes_alone() -> None:
    flat = pa.array([bytes(32)], pa.binary(32))
    known = pa.table([pa.nulls(1, pa.binary(32)), flat, pa.array(["flat"])], schema=evaluation.KNOWN)
    rows = pa.table({"sha256": pa.array([b"1" * 32], pa.binary(32)), "perceptual_hash": flat})
    assert evaluation.overlaps(rows, known, 31).num_rows == 0


#: Before a build and in it; the first without hashing anything.
READS = [evaluation.check, evaluation.read]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("ab" * 32, ":line 1: not a hash"),
        ("# a list\nsha256:12", ":line 2: not a hash"),
        ("# nothing\n", ": no evaluation image is in it"),
    ],
)
def test_mistakes_in_a_list_are_told(tmp_path: Path, content: str, says: str, read: Callable[[list[str]], Any]) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read([str(path)])
    assert str(caught.value).startswith(f"{path}{says}")


def test_what_is_sound_is_not_decoded_before_a_build(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "hash_of", lambda *_: pytest.fail("decoded"))
    lists = {"a.txt": b"sha256:" + b"ab" * 32, "b.parquet": b""}
    for name, content in lists.items():
        (tmp_path / name).write_bytes(content)
    pq.write_table(pa.table({"pdq": ["ab" * 32] * 3}), tmp_path / "b.parquet")
    evaluation.check([str(folder), *(str(tmp_path / name) for name in lists)])
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("no picture")
    with pytest.raises(InputError, match="no evaluation image is in it"):
        evaluation.check([str(folder), str(tmp_path / "texts")])


@pytest.mark.parametrize("read", READS)
def test_foreign_files_are_told(tmp_path: Path, read: Callable[[list[str]], Any]) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"md5": ["x"]}), path)
    with pytest.raises(InputError, match="a Parquet file without hashes"):
        read([str(path)])
    pq.write_table(pa.table({"pdq": ["x"]}), path)
    with pytest.raises(InputError, match="not a hash"):
        read([str(path)])
    with pytest.raises(InputError, match="no such list"):
        read([str(tmp_path / "absent")])


def test_the_command_writes_a_list_that_is_read_back(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["hashes", str(folder)])
    assert done.exit_code == 0
    assert "2 images" in done.stderr
    path = tmp_path / "list.txt"
    path.write_text(done.stdout)
    assert evaluation.read([str(path)]).drop_columns("name") == evaluation.read([str(folder)]).drop_columns("name")
    assert isinstance(CliRunner().invoke(cli.app, ["hashes", str(path)]).exception, InputError)


def test_one_image_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(picture(1))
    assert CliRunner().invoke(cli.app, ["hashes", str(tmp_path)]).stderr.splitlines()[-1] == "1 image"


def test_a_list_of_windows_is_read_and_one_in_utf_16_refused(tmp_path: Path) -> None:
    digests = [hashlib.sha256(content).hexdigest() for content in (b"1", b"2")]
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"sha256:{digests[0]} one\r\nsha256:{digests[1]}".encode())
    assert [value.hex() for value in evaluation.read([str(path)])["sha256"].to_pylist()] == digests
    path.write_text(f"sha256:{digests[0]}\n", encoding="utf-16")
    with pytest.raises(InputError, match="the text is in UTF-16"):
        evaluation.read([str(path)])


def test_tables_that_say_nothing_or_are_damaged_are_told(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    digest = "ab" * 32
    for table in (pa.table({"sha256": pa.array([], pa.string())}), pa.table({"sha256": pa.nulls(2, pa.string())})):
        pq.write_table(table, path)
        with pytest.raises(InputError, match="no evaluation image is in it"):
            evaluation.read([str(path)])
    pq.write_table(pa.Table.from_arrays([pa.array([digest])] * 2, names=["pdq", "perceptual_hash"]), path)
    with pytest.raises(InputError, match="several columns of one hash"):
        evaluation.read([str(path)])
    pq.write_table(pa.table({"sha256": [digest] * 9, "name": [None] * 9}), path)
    assert evaluation.read([str(path)])["name"].to_pylist() == [f"{path}: row {number}" for number in range(9)]
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:4] + bytes(40) + whole[44:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged or cut short"):
            evaluation.read([str(path)])


def test_a_picture_that_does_not_decode_is_known_by_its_bytes_and_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = picture(3)[:2000]
    (folder / "cut.jpg").write_bytes(cut)
    known = evaluation.read([str(folder)])
    assert known["pdq"].null_count == 1
    assert "1 picture does not decode" in caplog.text
    assert "cut.jpg" in caplog.text
    rows = pa.table({"sha256": pa.array([hashlib.sha256(cut).digest()]), "perceptual_hash": pa.nulls(1, pa.binary(32))})
    assert evaluation.overlaps(rows.cast(ledger().schema), known, 31)["place"].to_pylist() == [0]
    done = CliRunner().invoke(cli.app, ["hashes", str(folder)])
    assert done.exit_code == 0
    assert "3 images" in done.stderr
    assert "does not decode" in done.stderr


def test_the_command_tells_of_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    done = CliRunner().invoke(cli.app, ["hashes", str(tmp_path)])
    assert isinstance(done.exception, InputError) or done.exit_code == 3
