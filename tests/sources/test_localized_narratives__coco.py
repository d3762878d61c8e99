"""Localized Narratives on COCO, and what all four sources share, by golden rows written in upstream's format."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd.errors import InputError
from pmd.schema import keys
from pmd.sources.contract import InputFile
from pmd.sources.localized_narratives__coco import SOURCE
from pmd.sources.narratives import split_of
from pmd.sources.records import row_digest
from tests.sources.planting import write_named_narratives
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

#: Captions-only and full rows, with the odd ones: quoted, unicode, empty, "false", the same twice, a number as a string.
LINES = [
    r'{"dataset_id": "mscoco_val2017", "image_id": "381639", "annotator_id": 89, "caption": "A girl. These are  cones."}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 1, "caption": "He says \"hi\". A caf\u00e9 \u6771..."}',
    r'{"dataset_id": "mscoco_train2017", "image_id": "9", "annotator_id": 2, "caption": "false", "timed_caption": '
    r'[{"utterance": "false", "start_time": 0.0, "end_time": 1.5}], "traces": [[{"x": 0.1, "y": 0.2, "t": 0.0}]], '
    r'"voice_recording": "coco_train/9_2.ogg"}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 3, "caption": ""}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 3, "caption": " . .. "}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "381639", "annotator_id": 89, "caption": "A girl. These are  cones."}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "x7", "annotator_id": 3, "caption": "A."}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": "3", "caption": "A."}',
    r'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 3}',
    r'{"dataset_id": "mscoco", "image_id": "7", "annotator_id": 4, "caption": "No split but in the file name"}',
    r'["a list"]',
    r'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 5, "capt',
]
GIRL = keys.digest("A girl. These are  cones.").hex()


GOLDEN_OPTIONS: dict[str, object] = {}


def write_golden(folder: Path) -> list[str]:
    """Write upstream's rows; the last line is cut off, and the one before it is not UTF-8."""
    path = folder / "coco_val_captions.jsonl"
    lines = [line.encode() for line in LINES]
    lines.insert(-1, b'{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 5, "caption": "\xff"}')
    path.write_bytes(b"\n".join(lines))
    return [str(path)]


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """The golden file."""
    return Path(*write_golden(tmp_path))


def _hash(narrative: str) -> str:
    return keys.digest(narrative).hex()


def test_a_sentence_fills_every_column(captions: Path, read_all: ReadAll) -> None:
    assert read_all(SOURCE, captions)[1] == {
        "source_id": f"mscoco_val2017/381639/89/{GIRL}/1",
        "row_digest": row_digest(json.loads(LINES[0])),
        "image_url": "http://images.cocodataset.org/val2017/000000381639.jpg",
        "identity": "coco:381639",
        "also": None,
        "file_name": "val2017/000000381639.jpg",
        "mirrors": None,
        "width_px": None,
        "height_px": None,
        "region": None,
        "text": "These are  cones.",
        "meta": '{"dataset_id":"mscoco_val2017","image_id":"381639","annotator_id":89,"caption":"These are  cones.",'
        '"original_caption":"A girl. These are  cones."}',
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": "validation",
        "reason": None,
        "detail": None,
        "where": f"{captions}:byte 0",
    }


def test_golden_rows(captions: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, captions)
    unicode = _hash('He says "hi". A café 東...')
    assert columns(rows, "source_id", "text", "split", "reason") == [
        (f"mscoco_val2017/381639/89/{GIRL}/0", "A girl.", "validation", None),
        (f"mscoco_val2017/381639/89/{GIRL}/1", "These are  cones.", "validation", None),
        (f"mscoco_val2017/7/1/{unicode}/0", 'He says "hi".', "validation", None),
        (f"mscoco_val2017/7/1/{unicode}/1", "A café 東.", "validation", None),
        (f"mscoco_train2017/9/2/{_hash('false')}/0", "false.", "train", None),
        (f"mscoco_val2017/7/3/{_hash('')}/0", "", "validation", "empty_text"),
        (f"mscoco_val2017/7/3/{_hash(' . .. ')}/0", " . .. ", "validation", "empty_text"),
        (f"mscoco_val2017/381639/89/{GIRL}/0", "A girl.", "validation", None),
        (f"mscoco_val2017/381639/89/{GIRL}/1", "These are  cones.", "validation", None),
        (None, None, None, "malformed_row"),
        (None, None, None, "malformed_row"),
        (None, None, None, "malformed_row"),
        (
            f"mscoco/7/4/{_hash('No split but in the file name')}/0",
            "No split but in the file name.",
            "validation",
            None,
        ),
        (None, None, None, "malformed_row"),
        (None, None, None, "bad_encoding"),
        (None, None, None, "malformed_row"),
    ]
    assert [row["detail"] for row in rows[9:14] if row["detail"]] == [
        "image_id: expected a COCO id, found x7",
        'annotator_id: expected a whole number, found "3"',
        "caption: missing",
        "row: expected an object, found a list",
    ]
    assert rows[4]["image_url"] == "http://images.cocodataset.org/train2017/000000000009.jpg"
    assert json.loads(rows[4]["meta"]) == {
        "dataset_id": "mscoco_train2017",
        "image_id": "9",
        "annotator_id": 2,
        "caption": "false.",
        "voice_recording": "coco_train/9_2.ogg",
        "original_caption": "false",
    }
    last = captions.read_bytes().rindex(b"\n") + 1
    assert rows[-1]["where"] == f"{captions}:byte {last}"
    assert len({row["row_digest"] for row in rows}) == len(LINES) + 1 - 1


def test_whole_narratives(captions: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, captions, split_sentences=False)
    assert len(rows) == len(LINES) + 1
    assert rows[0]["source_id"] == f"mscoco_val2017/381639/89/{GIRL}"
    assert rows[0]["text"] == "A girl. These are  cones."
    assert json.loads(rows[0]["meta"]) == json.loads(LINES[0])
    assert columns(rows[3:5], "text", "reason") == [("", None), (" . .. ", None)]


def test_ranges_read_every_line_once(captions: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_all(SOURCE, captions)
    size = captions.stat().st_size
    cuts = [0, 1, 130, 131, 400, size - 5]
    monkeypatch.setattr("pmd.formats.lines.ranges", lambda path: list(zip(cuts, [*cuts[1:], None], strict=True)))
    assert read_all(SOURCE, captions) == whole


def test_files_that_are_split_already_have_the_same_ids(tmp_path: Path, captions: Path, read_all: ReadAll) -> None:
    row = json.loads(LINES[0])
    multi = tmp_path / "ln_coco_val_captions_multi.jsonl"
    pieces = ["A girl.", "These are  cones.", "Not in it."]
    multi.write_text(
        "".join(json.dumps(row | {"caption": piece, "original_caption": row["caption"]}) + "\n" for piece in pieces)
    )
    rows = read_all(SOURCE, multi)
    split_here = read_all(SOURCE, captions)[:2]
    kept = ("source_id", "text", "meta", "image_url")
    assert columns(rows[:2], *kept) == columns(split_here, *kept)
    assert rows[2]["source_id"] == f"mscoco_val2017/381639/89/{GIRL}/{_hash('Not in it.')}"
    assert read_all(SOURCE, multi, split_sentences=False) == rows


@pytest.mark.parametrize("nothing", ["", None])
def test_an_original_caption_that_is_empty_is_none(
    tmp_path: Path, captions: Path, read_all: ReadAll, nothing: str | None
) -> None:
    path = tmp_path / "val.jsonl"
    path.write_text(json.dumps(json.loads(LINES[0]) | {"original_caption": nothing}) + "\n")
    kept = ("source_id", "row_digest", "text", "meta")
    assert columns(read_all(SOURCE, path), *kept) == columns(read_all(SOURCE, captions)[:2], *kept)


def test_karpathy_images_leave(tmp_path: Path, captions: Path, read_all: ReadAll) -> None:
    split = tmp_path / "dataset_coco.json"
    split.write_text('{"images": [{"cocoid": 381639, "split": "test"}, {"cocoid": 9, "split": "restval"}]}')
    rows = read_all(SOURCE, captions, profile="hub", karpathy=str(split))
    left = [row for row in rows if row["reason"] == "evaluation_image"]
    assert {(row["identity"], row["detail"]) for row in left} == {("coco:381639", "Karpathy test")}
    assert len(left) == 4


@pytest.mark.parametrize(
    "content",
    [
        "url\tcaption\n",
        '[{"dataset_id": "mscoco_val2017"}]\n',
        '{"image_id": "7", "caption": "no data set"}\n',
        '{"dataset_id": "ADE20k_train", "image_id": "ADE_train_00000001", "annotator_id": 1, "caption": "A."}\n',
        '{"dataset_id": "open_images_train", "image_id": "000a1249af2bc5f0", "annotator_id": 1, "caption": "A."}\n',
        '{"dataset_id": "Flick30k_train", "image_id": "1", "annotator_id": 1, "caption": "A."}\n',
    ],
)
def test_a_foreign_file_is_refused(captions: Path, content: str, read_all: ReadAll) -> None:
    captions.write_text(content)
    with pytest.raises(InputError, match=r"coco_val_captions\.jsonl:byte 0: not an annotation file of this source"):
        read_all(SOURCE, captions)


def test_an_empty_file_has_no_rows(captions: Path, read_all: ReadAll) -> None:
    captions.write_bytes(b"")
    assert read_all(SOURCE, captions) == []


def test_plan_cuts_a_file_into_ranges(captions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pmd.formats.lines.ranges", lambda path: [(0, 100), (100, None)])
    options = SOURCE.options(**SOURCE.options.profile_values("paper"))
    chunks = SOURCE.plan([InputFile(str(captions), 1)], options)  # type: ignore[arg-type]
    assert [(chunk.path, chunk.start, chunk.stop) for chunk in chunks] == [
        (str(captions), 0, 100),
        (str(captions), 100, None),
    ]


@pytest.mark.parametrize(
    ("dataset_id", "image_id", "document", "split"),
    [
        ("mscoco_val2017", "7", "coco_train_captions.jsonl", "validation"),
        ("mscoco_train2017", "7", "x.jsonl", "train"),
        ("ADE20k", "ADE_val_00000001", "x.jsonl", "validation"),
        ("ADE20k_validation", "ADE_1", "x.jsonl", "validation"),
        ("openimages", "00a", "/data/train/open_images_test_captions.jsonl", "test"),
        ("openimages", "00a", "/data/train/captions.jsonl", None),
        ("openimages", "00a", "x.zip!/open_images_train_v6_captions.jsonl", "train"),
        ("openimages", "latest", "retrain.jsonl", None),
    ],
)
def test_split_of(dataset_id: str, image_id: str, document: str, split: str | None) -> None:
    assert split_of(dataset_id, image_id, document) == split


def test_the_genuine_row(samples: Path, read_all: ReadAll) -> None:
    path = samples / "localized_narratives" / "coco_val_captions.jsonl"
    upstream = json.loads(path.read_text())
    rows = read_all(SOURCE, path)
    stem = f"mscoco_val2017/381639/89/{keys.digest(upstream['caption']).hex()}"
    assert columns(rows, "source_id", "text") == [
        (f"{stem}/0", "In the image we can see girl standing and holding a doll in her hand."),
        (f"{stem}/1", "These are the road cone."),
        (f"{stem}/2", "There are even other people who are getting into airplane, there is a building."),
        (f"{stem}/3", "This is a tree and sky."),
    ]
    for row in rows:
        assert json.loads(row["meta"]) == upstream | {
            "caption": row["text"],
            "original_caption": upstream["caption"],
        }
        assert row["image_url"] == "http://images.cocodataset.org/val2017/000000381639.jpg"


def test_rows_of_another_data_set_among_ours_are_rejected(tmp_path: Path, read_all: ReadAll) -> None:
    rows = [
        {"dataset_id": dataset, "image_id": "7", "annotator_id": 1, "caption": "A cat."}
        for dataset in ("mscoco_val2017", "Flickr30k_train", "ADE20k_train")
    ]
    path = tmp_path / "narratives.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [(row["reason"], row["detail"]) for row in read_all(SOURCE, path)] == [
        (None, None),
        ("malformed_row", "dataset_id: expected one of coco, found Flickr30k_train"),
        ("malformed_row", "dataset_id: expected one of coco, found ADE20k_train"),
    ]


def test_a_first_row_of_another_data_set_is_no_other_file(captions: Path, read_all: ReadAll) -> None:
    before = read_all(SOURCE, captions)
    foreign = b'{"dataset_id": "ADE20k_train", "image_id": "a", "annotator_id": 1, "caption": "A wall."}\n'
    captions.write_bytes(foreign + captions.read_bytes())
    first, *rest = read_all(SOURCE, captions)
    assert first["reason"] == "malformed_row"
    assert [row["row_digest"] for row in rest] == [row["row_digest"] for row in before]


@pytest.mark.parametrize("depth", [199, 200, 254, 255, 1024, 1025, 20_000])
def test_a_row_nested_too_deep_is_rejected(captions: Path, read_all: ReadAll, depth: int) -> None:
    row = '{"dataset_id": "mscoco_val2017", "image_id": "7", "annotator_id": 1, "caption": "A dog.", "voice": %s}\n'
    captions.write_text(row % "1" + row % ("[" * depth + "]" * depth))
    good, deep = read_all(SOURCE, captions)
    assert good["reason"] is None
    assert deep["reason"] == (None if depth < 200 else "malformed_row")


#: As `tests/sources/planting.py` says.
NAMED = {"original_caption", "credit"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    return write_named_narratives(folder, "mscoco", "9")


def test_what_else_stands_in_an_archive(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "narratives.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._coco_val_captions.jsonl", b"\0\5\x16\7\0\2\0\0Mac OS X")
        archive.writestr("coco_val_captions.jsonl.gz", gzip.compress(LINES[0].encode()))
    assert [row["text"] for row in read_all(SOURCE, path)] == ["A girl.", "These are  cones."]


def test_an_id_that_is_a_number_is_upstreams_text(tmp_path: Path, read_all: ReadAll) -> None:
    """pandas makes a number of it where it reads JSON Lines, and writes it so; all narratives would be lost."""
    rows = [json.loads(line) for line in LINES[:3]]
    (tmp_path / "ours").mkdir()
    paths = [tmp_path / "coco_val_captions.jsonl", tmp_path / "ours" / "coco_val_captions.jsonl"]
    for path, spelled in zip(paths, (str, int), strict=True):
        path.write_text("".join(json.dumps(row | {"image_id": spelled(row["image_id"])}) + "\n" for row in rows))
    upstream, numbers = ([row | {"where": None} for row in read_all(SOURCE, path)] for path in paths)
    assert numbers == upstream
    assert not [row for row in numbers if row["reason"]]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_numbers_that_pandas_has_made_floats_of(tmp_path: Path, read_all: ReadAll, name: str) -> None:
    row = {"dataset_id": "mscoco_val2017", "image_id": 9.0, "annotator_id": 3.0, "caption": "A dog."}
    path = tmp_path / name
    if name.endswith(".jsonl"):
        path.write_text(json.dumps(row) + "\n")
    elif name.endswith(".csv"):
        path.write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n".replace("9.0", "9"))
    else:
        pq.write_table(pa.Table.from_pylist([row]), path)
    (found,) = read_all(SOURCE, path)
    assert found["source_id"] == f"mscoco_val2017/9/3/{_hash('A dog.')}/0"
    assert found["identity"] == "coco:9"
