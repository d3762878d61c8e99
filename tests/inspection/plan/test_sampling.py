"""A sample of a source's files: what it says of all of them, and that it stays a sample."""

from __future__ import annotations

import bz2
import gzip
import json
import random
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pmd import config
from pmd.config import Config, inputs
from pmd.errors import InputError
from pmd.formats import archives, json_stream, lines
from pmd.inspection.plan import sampling
from pmd.inspection.plan.sampling import Sample
from pmd.sources import contract, yfcc100m

ROWS = 24_000
#: Of the rows of `tsv`, one in so many is no row.
SPOILED = 8


def tsv(rows: int = ROWS) -> bytes:
    """Return lines of Conceptual 12M of unequal length, those further on longer; every image stands twice, far apart."""
    dice = random.Random(1)
    lines = []
    for number in range(rows):
        words = "word " * dice.randrange(3, 20 + 20 * number // rows)
        image = number % (rows // 2)
        lines.append("one column\n" if number % SPOILED == 5 else f"http://a.example/{image}.jpg\t{words}{number}\n")
    return "".join(lines).encode()


def captions(rows: int = ROWS) -> bytes:
    """Return COCO's captions: five an image, in no order."""
    dice = random.Random(2)
    ids = list(range(1, rows // 5 + 1))
    images = [
        {
            "id": key,
            "file_name": f"{key:012}.jpg",
            "coco_url": f"http://images.cocodataset.org/train2017/{key:012}.jpg",
            "width": 640,
            "height": 480,
        }
        for key in ids
    ]
    of_captions = ids * 5
    dice.shuffle(of_captions)
    annotations = [
        {"id": number, "image_id": key, "caption": "a dog " * dice.randrange(1, 9)}
        for number, key in enumerate(of_captions)
    ]
    return json.dumps({"licenses": [], "images": images, "annotations": annotations}).encode()


def zipped(name: str) -> Callable[[Path, bytes], None]:
    def write(path: Path, content: bytes) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"annotations/{name}", content)
            if name.endswith(".json"):
                archive.writestr("annotations/instances_train2017.json", "[" + "0, " * 2_000_000 + "0]")

    return write


def packed(how: Callable[[bytes], bytes]) -> Callable[[Path, bytes], None]:
    return lambda path, content: path.write_bytes(how(content)) and None


FILES: dict[str, tuple[str, str, Callable[..., bytes], Callable[[Path, bytes], None]]] = {
    "tsv": ("conceptual_12m", "cc12m.tsv", tsv, packed(bytes)),
    "tsv, gzip": ("conceptual_12m", "cc12m.tsv.gz", tsv, packed(gzip.compress)),
    "tsv, bzip2": ("conceptual_12m", "cc12m.tsv.bz2", tsv, packed(lambda data: bz2.compress(data, 1))),
    "tsv, zip": ("conceptual_12m", "cc12m.zip", tsv, zipped("cc12m.tsv")),
    "json": ("coco", "captions_train2017.json", captions, packed(bytes)),
    "json, gzip": ("coco", "captions_train2017.json.gz", captions, packed(gzip.compress)),
    "json, zip": ("coco", "annotations_trainval2017.zip", captions, zipped("captions_train2017.json")),
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let little be read, so that small files are more than a sample."""
    monkeypatch.setattr(sampling, "WINDOW_BYTES", 16 << 10)
    monkeypatch.setattr(sampling, "STREAM_BYTES", 200 << 10)
    monkeypatch.setattr(contract, "DRAFT_ROWS", 1000)
    monkeypatch.setattr(json_stream, "_CHUNK_BYTES", 16 << 10)
    monkeypatch.setattr(lines, "_PIECE_BYTES", 16 << 10)
    monkeypatch.setitem(lines.read_lines.__kwdefaults__, "batch_bytes", 64 << 10)


def configured(folder: Path, source: str, *paths: Path, more: str = "") -> Config:
    listed = ", ".join(f'"{path}"' for path in paths)
    held = 'exclude_karpathy = "none"\n' if source == "coco" else ""
    return config.parse(
        f'root = "{folder}/pmd"\ncontact = "mailto:tests@example.org"\nprofile = "paper"\n'
        f"[sources.{source}]\nannotations = [{listed}]\n{held}{more}"
    )


def sampled(chosen: Config) -> Sample:
    (source,) = chosen.sources.values()
    return sampling.of_source(chosen, source, inputs.files(source))


@pytest.mark.parametrize("form", FILES)
def test_files_that_are_short_are_read_whole_and_nothing_is_estimated(tmp_path: Path, form: str) -> None:
    source, name, content, write = FILES[form]
    write(tmp_path / name, content(2000))
    found = sampled(configured(tmp_path, source, tmp_path / name))
    assert found.whole
    assert found.fraction == 1.0
    kept = 2000 - (2000 // SPOILED if source == "conceptual_12m" else 0)
    assert (found.read_rows, found.rows.value, found.kept.value) == (2000, 2000, kept)
    assert found.rows.known
    assert found.kept.known
    assert found.pairs.num_rows == kept


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("form", FILES)
def test_a_part_of_longer_files_tells_of_the_rest(tmp_path: Path, form: str) -> None:
    source, name, content, write = FILES[form]
    write(tmp_path / name, content())
    found = sampled(configured(tmp_path, source, tmp_path / name))
    assert not found.whole
    assert found.read_rows < ROWS * 0.8
    kept = ROWS - (ROWS // SPOILED if source == "conceptual_12m" else 0)
    # What is read from its start alone does not see that lines grow longer.
    off = 0.05 if form in {"tsv", "tsv, bzip2"} or source == "coco" else 0.35
    assert found.rows.value == pytest.approx(ROWS, rel=off)
    assert found.kept.value == pytest.approx(kept, rel=off + 0.02)
    assert found.rows.low < found.rows.value < found.rows.high
    if off < 0.1:
        assert found.rows.low <= ROWS <= found.rows.high
        assert found.kept.low <= kept <= found.kept.high


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("form", ["tsv", "tsv, gzip", "json"])
def test_what_is_read_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    source, name, content, write = FILES[form]
    read = []
    for factor in (1, 4):
        folder = tmp_path / str(factor)
        folder.mkdir()
        write(folder / name, content(factor * ROWS))
        read.append(sampled(configured(folder, source, folder / name)).read_rows)
    assert read[1] <= read[0] * 1.2


@pytest.mark.usefixtures("short")
def test_of_many_files_some_tell_of_all(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number:02}.tsv.gz" for number in range(12)]
    for path in paths:
        path.write_bytes(gzip.compress(tsv(8000)))
    found = sampled(configured(tmp_path, "conceptual_12m", *paths))
    assert found.rows.value == pytest.approx(12 * 8000, rel=0.35)
    assert found.read_rows < 4 * 8000


@pytest.mark.usefixtures("short")
def test_each_of_many_files_is_looked_at_as_often_as_each_of_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose bytes they are is asked of all at once."""
    cut: list[str] = []
    split = archives.split_member
    monkeypatch.setattr(archives, "split_member", lambda location: (cut.append(location), split(location))[1])

    def looked(count: int) -> int:
        chunks = [contract.Chunk(path=str(tmp_path / f"{count}-{number}.json"), form="json") for number in range(count)]
        for chunk in chunks:
            Path(chunk.path).write_bytes(b"{}")
        cut.clear()
        assert sampling._sizes(chunks, {chunk.path: 2 for chunk in chunks}) == [2] * count
        return len(cut)

    assert looked(120) <= 4 * looked(40)


def test_plain_and_packed_files_of_a_source_are_taken_each_by_its_own_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(tsv())
    (tmp_path / "b.tsv.bz2").write_bytes(bz2.compress(tsv(), 1))
    found = sampled(configured(tmp_path, "conceptual_12m", tmp_path / "a.tsv", tmp_path / "b.tsv.bz2"))
    assert found.rows.value == pytest.approx(2 * ROWS, rel=0.05)


def with_header(source: str, rows: int) -> bytes:
    """Return a source's lines below a header, of its own columns."""
    if source == "yfcc100m":
        names = yfcc100m.COLUMNS
        values = dict.fromkeys(names, "x") | {"title": "a dog in the park", "marker": "0"}
        lines = ["\t".join((values | {"photoid": str(number)}).values()) for number in range(1, rows + 1)]
        return "\n".join(["\t".join(names), *lines, ""]).encode()
    lines = [f"http://a.example/{number}.jpg\ta dog in the park" for number in range(rows)]
    return "\n".join(["url\tcaption", *lines, ""]).encode()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("packed", [bytes, lambda data: bz2.compress(data, 1)], ids=["plain", "bzip2"])
@pytest.mark.parametrize("source", ["sbu_captions", "yfcc100m", "conceptual_12m"])
def test_a_header_changes_nothing_of_what_is_read(
    tmp_path: Path, source: str, packed: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "with_header.tsv"
    path.write_bytes(packed(with_header(source, 3 * ROWS)))
    found = sampled(configured(tmp_path, source, path, more='detector = "any"\n' if source == "yfcc100m" else ""))
    assert found.rows.value == pytest.approx(3 * ROWS, rel=0.05)
    assert found.kept.value == pytest.approx(3 * ROWS, rel=0.05)
    assert not found.whole
    assert found.read_rows < 3 * ROWS * 0.8
    assert not found.rejected.num_rows


def dump(path: Path, rows: int) -> None:
    """Write a dump of YFCC100M, its ids unevenly spread."""
    dice = random.Random(4)
    with sqlite3.connect(path) as connection:
        columns = ", ".join(
            f"{name} {'integer primary key' if name == 'photoid' else 'text'}" for name in yfcc100m.COLUMNS
        )
        connection.execute(f"CREATE TABLE {yfcc100m.TABLE} ({columns})")
        ids = sorted(dice.sample(range(1, 40 * rows), rows))
        values = dict.fromkeys(yfcc100m.COLUMNS, "x" * 10) | {"title": "a dog in the park", "marker": "0"}
        names = [name for name in yfcc100m.COLUMNS if name != "photoid"]
        connection.executemany(
            f"INSERT INTO {yfcc100m.TABLE} (photoid, {', '.join(names)}) VALUES ({', '.join('?' * (len(names) + 1))})",
            [(key, *(values[name] for name in names)) for key in ids],
        )
    connection.close()


def test_a_database_is_read_in_ranges_of_its_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump(tmp_path / "dump.sql", 12_000)
    chosen = configured(tmp_path, "yfcc100m", tmp_path / "dump.sql")
    whole = sampled(chosen)
    assert (whole.whole, whole.rows.value) == (True, 12_000)
    monkeypatch.setattr(yfcc100m, "CHUNK_BYTES", (tmp_path / "dump.sql").stat().st_size // 10)
    found = sampled(chosen)
    assert found.rows.value == pytest.approx(12_000, rel=0.2)
    assert found.read_rows < 6000
    assert found.rows.low <= 12_000 <= found.rows.high


def test_rules_of_curate_are_run_over_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_text("http://a.example/1.jpg\ta dog\n" * 3 + "http://a.example/2.jpg\t \nnowhere\ta cat\n")
    found = sampled(configured(tmp_path, "conceptual_12m", path, more='[curate]\nduplicate_rows = "reject"\n'))
    assert (found.rows.value, found.kept.value) == (5, 1)
    reasons = sorted(found.rejected["reason"].to_pylist())
    assert reasons == ["bad_url", "duplicate_row", "duplicate_row", "empty_text"]


def test_a_file_of_another_source_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_text("a dog\thttp://a.example/1.jpg\n")
    with pytest.raises(InputError, match="the columns are in the other order"):
        sampled(configured(tmp_path, "conceptual_12m", path))


def test_rows_of_one_image_are_not_parted_by_a_cut() -> None:
    images = [bytes([number // 5]) for number in range(40)]
    cut = list(sampling.pieces(images, 0.5, 0.9))
    assert len(cut) == sampling._PIECES
    assert len({image for piece in cut for image in piece.keys}) == sum(len(piece.keys) for piece in cut) == 8
    assert [round(piece.place, 3) for piece in cut] == [round(0.525 + 0.05 * number, 3) for number in range(8)]
    assert list(sampling.pieces([], 0, 1)) == []


def test_a_file_that_holds_the_same_rows_twice_is_not_met_twice_at_every_place() -> None:
    places = list(sampling._places(16))
    assert places[0] == 0
    assert all(number / 16 <= place < (number + 1) / 16 for number, place in enumerate(places))
    halves = {round(place % 0.5, 6) for place in places}
    assert len(halves) == 16
