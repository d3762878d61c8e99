"""Mirrors of the sources, in the layouts that the Hub has today: the same rows give the same pairs, whichever form they have.

The layouts are those of the Hub's dataset cards and loading scripts; docs/sources.md lists them.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd import manifests, sources
from pmd.errors import InputError
from pmd.formats import parquet, tsv
from pmd.publish import rules
from pmd.sources import narratives, red_caps, sbu_captions, wit
from pmd.sources.contract import InputFile
from pmd.sources.wit import COLUMNS

ReadAll = Callable[..., list[dict[str, Any]]]
Rows = Sequence[Mapping[str, Any]]

#: A parquet table's metadata, as the library `datasets` writes it.
_CLASSES = {
    "info": {
        "features": {"subreddit": {"names": ["abandoned", "absoluteunits", "itookapicture"], "_type": "ClassLabel"}}
    }
}


def _parquet(path: Path, rows: Rows, kinds: Mapping[str, pa.DataType] | None = None) -> Path:
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    table = pa.table({name: pa.array(values, (kinds or {}).get(name)) for name, values in columns.items()})
    # Row groups of a few rows, so that a handful of rows has several.
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(_CLASSES)}), path, row_group_size=2)
    return path


def _json_lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _csv(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


FORMS: dict[str, Callable[[Path, Rows], Path]] = {".parquet": _parquet, ".jsonl": _json_lines, ".csv": _csv}


def _pairs(rows: Rows) -> list[dict[str, Any]]:
    """Return all but where a row stands, in an order of content."""
    return sorted(({**row, "where": None} for row in rows), key=lambda row: (row["row_digest"], str(row["source_id"])))


# Conceptual Captions, Conceptual 12M -------------------------------------------------------------------------------------

CAPTIONS = [
    ("a very typical bus station", "http://lh6.example.com/a/IMG_3422.JPG?imgmax=800"),
    ('" quoted at one end only, and a comma', "https://img.example.com/2.jpg"),
    ("café — 東京 🚀", "https://img.example.com/3.jpg"),
    ("  two  spaces ", "https://img.example.com/5.jpg"),
    ("a very typical bus station", "http://lh6.example.com/a/IMG_3422.JPG?imgmax=800"),
    ("", "https://img.example.com/7.jpg"),
    ("no url at all", ""),
]


def _captions_upstream(folder: Path, name: str) -> Path:
    path = folder / ("GCC-training.tsv" if name == "conceptual_captions" else "cc12m.tsv")
    lines = ("\t".join((text, url) if name == "conceptual_captions" else (url, text)) for text, url in CAPTIONS)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("url", ["image_url", "url"])
@pytest.mark.parametrize("name", ["conceptual_captions", "conceptual_12m"])
def test_captions_and_urls(tmp_path: Path, read_all: ReadAll, name: str, url: str, form: str) -> None:
    source = sources.load(name)
    rows = [{url: address, "caption": text} for text, address in CAPTIONS]
    mirror = FORMS[form](tmp_path / f"train-00000-of-00002{form}", rows)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _captions_upstream(tmp_path, name)))


@pytest.mark.parametrize("text", ["one\ttwo", "\tone", "one\t", "one\t\ttwo"])
def test_tabs_in_a_caption_of_conceptual_12m_are_the_captions(tmp_path: Path, read_all: ReadAll, text: str) -> None:
    """The Hub's script cuts a line at its first tab."""
    source, url = sources.load("conceptual_12m"), "https://img.example.com/1.jpg"
    upstream = tmp_path / "cc12m.tsv"
    upstream.write_text(f"https://img.example.com/0.jpg\tnone\n{url}\t{text}\n")
    rows = [{"image_url": url, "caption": text}]
    _, found = read_all(source, upstream)
    assert (found["image_url"], found["text"]) == (url, text)
    assert _pairs([found]) == _pairs(read_all(source, _parquet(tmp_path / "0000.parquet", rows)))


def test_the_hubs_conceptual_12m_has_a_new_line_at_the_end_of_every_caption(tmp_path: Path, read_all: ReadAll) -> None:
    # 2,794,168,030 bytes of 12,423,374 rows, as its card says, are those of upstream's file with the line ends.
    source = sources.load("conceptual_12m")
    mirror = _parquet(tmp_path / "0000.parquet", [{"image_url": url, "caption": f"{text}\n"} for text, url in CAPTIONS])
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _captions_upstream(tmp_path, source.name)))


def test_the_labelled_captions_are_read_without_their_labels(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("conceptual_captions")
    rows = [
        {"image_url": url, "caption": text, "labels": ["bus", "stop"], "MIDs": ["/m/01bjv"], "confidence_scores": [0.9]}
        for text, url in CAPTIONS
    ]
    mirror = _parquet(tmp_path / "train-00000-of-00003.parquet", rows)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _captions_upstream(tmp_path, source.name)))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("validation-00000-of-00001.parquet", "validation"),
        ("unlabeled/validation/0000.parquet", "validation"),
        ("unlabeled/partial-validation/0000.parquet", "validation"),
        ("unlabeled/train/0000.parquet", "train"),
        ("train-00000-of-00002.parquet", "train"),
    ],
)
def test_the_split_is_in_the_name_of_the_file_or_its_folder(
    tmp_path: Path, read_all: ReadAll, name: str, split: str
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    mirror = _parquet(tmp_path / name, [{"image_url": url, "caption": text} for text, url in CAPTIONS])
    assert {row["split"] for row in read_all(sources.load("conceptual_captions"), mirror)} == {split}


def test_one_build_may_mix_forms(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("conceptual_captions")
    rows = [{"url": url, "caption": text} for text, url in CAPTIONS]
    files = [write(tmp_path / f"part{form}", rows) for form, write in FORMS.items()]
    files.append(_captions_upstream(tmp_path, source.name))
    assert _pairs(read_all(source, *files)) == _pairs([row for file in files for row in read_all(source, file)])


SPARK = 'http://a.example/0.jpg,"he said \\"hi\\" to me"\n'


@pytest.mark.parametrize("name", ["conceptual_captions", "sbu_captions"])
def test_a_csv_whose_marks_are_escaped_by_backslashes_is_refused(tmp_path: Path, name: str) -> None:
    """As Spark writes it by itself: read as csv, a backslash and the marks stayed in the texts."""
    path = tmp_path / "a.csv"
    path.write_text("url,caption\nhttp://a.example/1.jpg,plain\n" + SPARK)
    with pytest.raises(InputError, match="escaped by backslashes") as caught:
        sources.load(name).plan([InputFile(str(path), 1)], None)
    assert caught.value.where == f"{path}:line 3"
    assert caught.value.found == SPARK.strip()
    assert "option('escape', '\"')" in str(caught.value.remedy)


def test_a_later_row_whose_marks_are_escaped_is_one_bad_row(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "a.csv"
    sound = [f'http://a.example/{number}.jpg,"a ""cat"" C:\\{number}\\"\n' for number in range(1, 300)]
    path.write_text("url,caption\n" + "".join(sound) + SPARK + 'http://a.example/x.jpg,a \\"cat\\"\n')
    rows = read_all(sources.load("conceptual_captions"), path)
    assert [row["detail"] for row in rows if row["reason"]] == [tsv.ESCAPED]
    assert rows[0]["text"] == 'a "cat" C:\\1\\'
    assert 'a \\"cat\\"' in {row["text"] for row in rows}


def test_places_of_rows_can_be_found_again(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("conceptual_captions")
    rows = [{"url": url, "caption": text} for text, url in CAPTIONS[:3]]
    table = read_all(source, _parquet(tmp_path / "a.parquet", rows))
    assert [row["where"] for row in table] == [
        f"{tmp_path}/a.parquet:row group 0, row 0",
        f"{tmp_path}/a.parquet:row group 0, row 1",
        f"{tmp_path}/a.parquet:row group 1, row 0",
    ]
    quoted = read_all(source, _csv(tmp_path / "a.csv", rows))
    assert [row["where"] for row in quoted] == [f"{tmp_path}/a.csv:line {line}" for line in (2, 3, 4)]


# SBU Captions ------------------------------------------------------------------------------------------------------------

PHOTOS = [
    ("http://static.flickr.com/2723/4385058960_b0f291553e.jpg", "47889917@N08", "A wooden chair in the living room"),
    ("http://static.flickr.com/3348/3183472382_156bcbc461.jpg", "98948553@N00", 'He said "hi", twice'),
    ("http://static.flickr.com/116/291002501_cfa8ce2a56.jpg", "10001@N01", "café 東京"),
    ("", "10001@N02", "no url"),
]


@pytest.mark.parametrize("form", FORMS)
def test_sbu(tmp_path: Path, read_all: ReadAll, form: str) -> None:
    source = sources.load("sbu_captions")
    upstream = tmp_path / "sbu-captions-all.json"
    names = ("image_urls", "user_ids", "captions")
    upstream.write_text(json.dumps({name: [row[at] for row in PHOTOS] for at, name in enumerate(names)}))
    rows = [{"image_url": url, "user_id": user, "caption": text} for url, user, text in PHOTOS]
    mirror = FORMS[form](tmp_path / f"train-00000-of-00001{form}", rows)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, upstream))


def test_sbu_without_users_is_keyed_as_the_pair_of_text_files_is(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("sbu_captions")
    urls, captions = (tmp_path / f"SBU_captioned_photo_dataset_{name}.txt" for name in ("urls", "captions"))
    urls.write_text("".join(f"{url}\n" for url, _, _ in PHOTOS))
    captions.write_text("".join(f"{text}\n" for _, _, text in PHOTOS), encoding="utf-8")
    mirror = _parquet(tmp_path / "a.parquet", [{"url": url, "caption": text} for url, _, text in PHOTOS])
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, urls, captions))


# RedCaps -----------------------------------------------------------------------------------------------------------------

POSTS: list[dict[str, Any]] = [
    {
        "image_id": "bpzj7r",
        "subreddit": "itookapicture",
        "url": "https://i.redd.it/ho0wntksivy21.jpg",
        "caption": "found on a friend's property",
        "raw_caption": "Found on a friend’s property",
        "score": 72,
        "author": "somebody",
        "created_utc": 1558214033,
        "permalink": "/r/itookapicture/comments/bpzj7r/",
        "crosspost_parents": ["abc", "def"],
    },
    {
        "image_id": "x1",
        "subreddit": "abandoned",
        "url": "https://i.imgur.com/AbCd123.jpg",
        "caption": "",
        "raw_caption": "Café, 東京",
        "author": "None",
        "created_utc": 1199145600,
        "permalink": "/r/abandoned/comments/x1/",
    },
    {
        "image_id": "x2",
        "subreddit": "absoluteunits",
        "url": "https://i.imgur.com/a,b.jpg",
        "caption": "two",
        "raw_caption": "two",
        "score": -3,
        "author": "someone",
        "created_utc": 1558214034,
        "permalink": "/r/absoluteunits/comments/x2/",
    },
]


def _redcaps_upstream(folder: Path) -> Path:
    path = folder / "itookapicture_2019.json"
    path.write_text(json.dumps({"info": {}, "annotations": POSTS}))
    return path


def _as_loaded(post: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the Hub's loading script makes of an annotation."""
    named = {("image_url" if name == "url" else name): value for name, value in post.items()}
    return {**named, "score": post.get("score"), "crosspost_parents": post.get("crosspost_parents")}


@pytest.mark.parametrize("text", ["caption", "raw_caption"])
@pytest.mark.parametrize("kind", ["ClassLabel", "string"])
def test_red_caps_as_the_hub_converts_it(tmp_path: Path, read_all: ReadAll, kind: str, text: str) -> None:
    source = sources.load("red_caps")
    classes = _CLASSES["info"]["features"]["subreddit"]["names"]
    rows = [
        {
            **_as_loaded(post),
            "subreddit": list(classes).index(post["subreddit"]) if kind == "ClassLabel" else post["subreddit"],
            "created_utc": datetime.datetime.fromtimestamp(post["created_utc"], datetime.UTC),
        }
        for post in POSTS
    ]
    kinds = {"created_utc": pa.timestamp("s", "UTC"), "score": pa.int32(), "crosspost_parents": pa.list_(pa.string())}
    mirror = _parquet(tmp_path / "0000.parquet", rows, kinds)
    assert _pairs(read_all(source, mirror, text=text)) == _pairs(
        read_all(source, _redcaps_upstream(tmp_path), text=text)
    )


@pytest.mark.parametrize("unit", [1, 1000])
def test_red_caps_as_json_lines(tmp_path: Path, read_all: ReadAll, unit: int) -> None:
    source = sources.load("red_caps")
    rows = [{**_as_loaded(post), "created_utc": post["created_utc"] * unit} for post in POSTS]
    mirror = _json_lines(tmp_path / "redcaps.jsonl", rows)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _redcaps_upstream(tmp_path)))


@pytest.mark.parametrize("write", [_json_lines, _parquet])
def test_red_caps_with_numbers_that_pandas_has_made_floats_of(
    tmp_path: Path, read_all: ReadAll, write: Callable[[Path, Rows], Path]
) -> None:
    source = sources.load("red_caps")
    floats = [{key: float(value) if type(value) is int else value for key, value in post.items()} for post in POSTS]
    mirror = write(tmp_path / "redcaps.table", floats)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _redcaps_upstream(tmp_path)))


def test_a_time_that_no_calendar_has_is_one_bad_row(tmp_path: Path, read_all: ReadAll) -> None:
    """As where milliseconds were taken for seconds."""
    rows = [{**_as_loaded(post), "created_utc": post["created_utc"]} for post in POSTS]
    rows[1]["created_utc"] *= 1000
    mirror = _parquet(tmp_path / "0000.parquet", rows, {"created_utc": pa.timestamp("s")})
    found = read_all(sources.load("red_caps"), mirror)
    assert [row["detail"] for row in found if row["reason"] == "malformed_row"] == [
        "created_utc: a time that no calendar has"
    ]
    upstream = read_all(sources.load("red_caps"), _redcaps_upstream(tmp_path))
    assert _pairs([row for row in found if row["reason"] != "malformed_row"]) == _pairs([upstream[0], *upstream[2:]])


def test_a_score_that_is_no_number_is_none(tmp_path: Path, read_all: ReadAll) -> None:
    rows = [{**POSTS[0], "score": float("nan")}]
    (row,) = read_all(sources.load("red_caps"), _parquet(tmp_path / "0000.parquet", rows))
    assert "score" not in json.loads(row["meta"])


def test_annotations_one_a_line_are_upstreams_own(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("red_caps")
    mirror = _json_lines(tmp_path / "redcaps.jsonl", POSTS)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _redcaps_upstream(tmp_path)))


def _as_text(post: Mapping[str, Any], time: str) -> dict[str, Any]:
    """Return a post of which numbers are text, its time in one of the forms that writers have."""
    created = datetime.datetime.fromtimestamp(post["created_utc"], datetime.UTC)
    stands = {"seconds": str(post["created_utc"]), "space": str(created), "T": created.isoformat()}
    zoned = {"Z": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "none": created.strftime("%Y-%m-%d %H:%M:%S")}
    return {
        **post,
        "created_utc": {**stands, **zoned}[time],
        **({"score": str(post["score"])} if "score" in post else {}),
    }


@pytest.mark.parametrize("time", ["seconds", "space", "T", "Z", "none"])
@pytest.mark.parametrize("write", [_json_lines, _parquet])
def test_red_caps_with_numbers_and_times_as_text(
    tmp_path: Path, read_all: ReadAll, write: Callable[[Path, Rows], Path], time: str
) -> None:
    source = sources.load("red_caps")
    mirror = write(tmp_path / "redcaps.table", [_as_text(post, time) for post in POSTS])
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _redcaps_upstream(tmp_path)))


@pytest.mark.parametrize("created", ["yesterday", True, [1]])
def test_a_time_that_is_none_stays_as_it_is(tmp_path: Path, read_all: ReadAll, created: Any) -> None:
    mirror = _json_lines(tmp_path / "redcaps.jsonl", [{**POSTS[0], "created_utc": created}])
    (row,) = read_all(sources.load("red_caps"), mirror)
    assert row["reason"] is None
    assert json.loads(row["meta"])["created_utc"] == created


def _without_nulls(path: Path, rows: Rows) -> Path:
    """Write JSON Lines as Spark does: what is null is in none of them."""
    return _json_lines(path, [{key: value for key, value in row.items() if value is not None} for row in rows])


@pytest.mark.parametrize("write", [_json_lines, _without_nulls, _parquet])
def test_a_text_that_is_null_is_an_empty_one(
    tmp_path: Path, read_all: ReadAll, write: Callable[[Path, Rows], Path]
) -> None:
    """As pandas makes of an empty cell: the row is upstream's, whose text is empty."""
    posts: Rows = [{**POSTS[0], "caption": None}, {**POSTS[0], "image_id": "x9", "url": None}]
    (no_text, no_url) = read_all(sources.load("red_caps"), write(tmp_path / "r.table", posts))
    upstream = tmp_path / "cats_2019.json"
    upstream.write_text(json.dumps({"annotations": [{**POSTS[0], "caption": ""}]}))
    assert _pairs([no_text]) == _pairs(read_all(sources.load("red_caps"), upstream))
    assert (no_url["source_id"], no_url["reason"]) == ("x9", "no_image")

    photo = {"image_url": "http://static.flickr.com/1/2_abcdef.jpg", "user_id": "u", "caption": "a chair"}
    rows: Rows = [photo, {**photo, "caption": None}, {**photo, "image_url": None}]
    found = read_all(sources.load("sbu_captions"), write(tmp_path / "s.table", rows))
    assert [(row["reason"], row["text"]) for row in found] == [(None, "a chair"), (None, ""), ("no_image", "a chair")]


def test_a_narrative_that_is_null_is_an_empty_one(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("localized_narratives__openimages")
    rows = NARRATIVES[source.name]
    mirror = _parquet(tmp_path / "n.parquet", [{**row, "caption": row["caption"] or None} for row in rows])
    upstream = _json_lines(tmp_path / "captions.jsonl", rows)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, upstream))


def test_red_caps_as_csv_has_the_same_ids(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("red_caps")
    mirror = _csv(tmp_path / "redcaps.csv", [_as_loaded(post) for post in POSTS])
    shown = ("source_id", "image_url", "text", "reason")
    assert [[row[name] for name in shown] for row in read_all(source, mirror)] == [
        [row[name] for name in shown] for row in read_all(source, _redcaps_upstream(tmp_path))
    ]


@pytest.mark.parametrize(
    ("name", "rows", "kept"),
    [
        ("red_caps", [_as_loaded(post) for post in POSTS], {"image_id", "created_utc"}),
        ("sbu_captions", [{"image_url": url, "user_id": user, "caption": text} for url, user, text in PHOTOS], set()),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_names_of_people_do_not_leave(
    tmp_path: Path, read_all: ReadAll, name: str, rows: Rows, kept: set[str], form: str
) -> None:
    found = read_all(sources.load(name), FORMS[form](tmp_path / f"a{form}", rows))
    metas = pa.chunked_array([[row["meta"] for row in found]])
    allowed = manifests.load(name).meta
    assert {key for row in rules.meta(metas, allowed).to_pylist() for key in json.loads(row)} == kept


@pytest.mark.parametrize("packed", [bytes, lzma.compress])
@pytest.mark.parametrize("form", [".csv", ".jsonl"])
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("conceptual_captions", [{"url": url, "caption": text} for text, url in CAPTIONS]),
        ("conceptual_12m", [{"url": url, "caption": text} for text, url in CAPTIONS]),
        ("sbu_captions", [{"url": url, "user_id": user, "caption": text} for url, user, text in PHOTOS]),
        ("red_caps", [_as_loaded(post) for post in POSTS]),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_column(
    tmp_path: Path, read_all: ReadAll, name: str, rows: Rows, form: str, packed: Callable[[bytes], bytes]
) -> None:
    source = sources.load(name)
    mirror = FORMS[form](tmp_path / f"mirror{form}", rows)
    expected = _pairs(read_all(source, mirror))
    mirror.write_bytes(packed(b"\xef\xbb\xbf" + mirror.read_bytes()))
    assert _pairs(read_all(source, mirror)) == expected
    assert len(expected) == len(rows)


# Localized Narratives ----------------------------------------------------------------------------------------------------

NARRATIVES: dict[str, list[dict[str, Any]]] = {
    "localized_narratives__openimages": [
        {"dataset_id": "open_images_train_v6", "image_id": "0a1b", "annotator_id": 5, "caption": "A cat. It sits."},
        {"dataset_id": "open_images_train_v6", "image_id": "ffff", "annotator_id": 6, "caption": "Café 東京."},
        {"dataset_id": "open_images_train_v6", "image_id": "ffff", "annotator_id": 6, "caption": ""},
    ],
    "localized_narratives__coco": [
        {"dataset_id": "mscoco_val2017", "image_id": "381639", "annotator_id": 89, "caption": "A girl. Cones."},
        {"dataset_id": "mscoco_train2017", "image_id": "9", "annotator_id": 2, "caption": "Food."},
    ],
    "localized_narratives__flickr30k": [
        {"dataset_id": "Flickr30k_train", "image_id": "1000092795", "annotator_id": 1, "caption": "Two men."},
    ],
    "localized_narratives__ADE20k": [
        {
            "dataset_id": "ADE20k_train",
            "image_id": "ADE_train_00000001",
            "annotator_id": 1,
            "caption": "A hall. Seats.",
        },
    ],
}


@pytest.mark.parametrize("name", NARRATIVES)
@pytest.mark.parametrize("form", [".parquet", ".csv"])
def test_narratives(tmp_path: Path, read_all: ReadAll, name: str, form: str) -> None:
    source, rows = sources.load(name), NARRATIVES[name]
    # The Hub's script gives every row its picture, words and traces, which are heavy and not read.
    heavy = {"image_url": "https://example.org/1.jpg", "voice_recording": "a.ogg"}
    mirror = FORMS[form](tmp_path / f"train-00000-of-00001{form}", [{**row, **heavy} for row in rows])
    upstream = _json_lines(tmp_path / "captions.jsonl", rows)
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, upstream))


@pytest.mark.parametrize("write", [_parquet, _csv])
@pytest.mark.parametrize("name", ["localized_narratives__coco", "localized_narratives__flickr30k"])
def test_narratives_with_numbers_that_pandas_has_made_floats_of(
    tmp_path: Path, read_all: ReadAll, name: str, write: Callable[[Path, Rows], Path]
) -> None:
    floats = [{key: float(value) if key.endswith("_id") and key != "dataset_id" else value for key, value in row.items()}
              for row in NARRATIVES[name]]  # fmt: skip
    mirror = write(tmp_path / "narratives.table", floats)
    upstream = _json_lines(tmp_path / "captions.jsonl", NARRATIVES[name])
    assert _pairs(read_all(sources.load(name), mirror)) == _pairs(read_all(sources.load(name), upstream))


@pytest.mark.parametrize(
    ("digits", "reason"), [("9" * 19, None), ("-" + "9" * 19, "malformed_row"), ("9" * 21, "malformed_row")]
)
def test_a_number_beyond_64_bits_is_one_bad_row(
    tmp_path: Path, read_all: ReadAll, digits: str, reason: str | None
) -> None:
    source = sources.load("localized_narratives__flickr30k")
    rows = [*NARRATIVES[source.name], {**NARRATIVES[source.name][0], "annotator_id": digits}]
    found = read_all(source, _csv(tmp_path / "train.csv", rows))
    assert [row["reason"] for row in found] == [None, reason]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test/0000.parquet", "test"),
        ("Flickr30k/partial-validation/0000.parquet", "validation"),
        ("train-00000-of-00001.parquet", "train"),
        ("latest/0000.parquet", None),
    ],
)
def test_narratives_that_name_no_split_have_that_of_their_file_or_folder(
    tmp_path: Path, read_all: ReadAll, name: str, split: str | None
) -> None:
    source = sources.load("localized_narratives__flickr30k")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    rows = [{**row, "dataset_id": "Flickr30k"} for row in NARRATIVES[source.name]]
    assert {row["split"] for row in read_all(source, _parquet(tmp_path / name, rows))} == {split}


def test_narratives_with_traces_and_pictures(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("localized_narratives__coco")
    heavy = {
        "image": {"bytes": b"\xff\xd8", "path": "a.jpg"},
        "timed_caption": [{"utterance": "A girl", "start_time": 0.0, "end_time": 1.0}],
        "traces": [[{"x": 0.5, "y": 0.5, "t": 0.0}]],
    }
    rows = [{**row, **heavy, "image_id": int(row["image_id"])} for row in NARRATIVES[source.name]]
    mirror = _parquet(tmp_path / "a.parquet", rows)
    upstream = _json_lines(tmp_path / "captions.jsonl", NARRATIVES[source.name])
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, upstream))


def test_sentences_of_m4s_builders(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("localized_narratives__coco")
    row = NARRATIVES[source.name][0]
    rows = [{**row, "caption": text, "original_caption": row["caption"]} for text in ("A girl.", "Cones.")]
    mirror = _parquet(tmp_path / "a.parquet", rows)
    upstream = _json_lines(tmp_path / "captions.jsonl", [row])
    ids = [found["source_id"] for found in read_all(source, upstream)]
    assert [found["source_id"] for found in read_all(source, mirror)] == ids
    assert len(ids) == 2


def test_narratives_of_another_data_set_are_refused(tmp_path: Path) -> None:
    mirror = _parquet(tmp_path / "a.parquet", NARRATIVES["localized_narratives__flickr30k"])
    with pytest.raises(InputError) as caught:
        _plan("localized_narratives__coco", mirror)
    assert "not narratives of coco" in str(caught.value)
    assert "found: dataset_id Flickr30k_train" in str(caught.value)


# WIT ---------------------------------------------------------------------------------------------------------------------

_COMMONS = "https://upload.wikimedia.org/wikipedia/commons"
_EN = "https://en.wikipedia.org/wiki"
PAGES = [
    ["en", f"{_EN}/Cat", f"{_COMMONS}/1/1a/Cat.jpg", "Cat", "", "Cat", "A cat on a mat", "English: Felis catus", "cat",
     "image/jpeg", "480", "640", "true", "true", "false", "Cats.", "Cats."],
    ["en", f"{_EN}/Cat", f"{_COMMONS}/1/1a/Cat.jpg", "Cat", "Gallery", "Cat / Wild / Gallery", "Portrait of a cat",
     "English: Felis catus", "", "image/jpeg", "480", "640", "false", "false", "true", 'The "cat",\na tab\there.', ""],
    ["de", "https://de.wikipedia.org/wiki/Katze", f"{_COMMONS}/1/1a/Cat.jpg", "Katze", "", "Katze", "Eine Katze",
     "English: Felis catus", "", "image/jpeg", "480", "640", "true", "true", "false", "Katzen.", ""],
    ["en", f"{_EN}/Dog", f"{_COMMONS}/2/2b/Dog.jpg", "Dog", "", "Dog", "", "", "the dog of “Zoë”",
     "image/jpeg", "10", "20", "false", "false", "false", "Dogs.", ""],
]  # fmt: skip
_FLAGS = ("is_main_image", "attribution_passes_lang_id", "page_changed_recently")


def _wit_upstream(folder: Path) -> Path:
    path = folder / "wit_v1.train.all-00000-of-00010.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *PAGES])
    return path


def _typed(page: Sequence[str]) -> dict[str, Any]:
    """Return a row as the Hub's google/wit has it: numbers, flags, and null for what is empty."""
    row: dict[str, Any] = {name: value or None for name, value in zip(COLUMNS, page, strict=True)}
    row |= {name: row[name] == "true" for name in _FLAGS}
    return row | {name: int(row[name]) for name in ("original_height", "original_width")}


@pytest.mark.parametrize("form", [".parquet", ".jsonl"])
def test_wit(tmp_path: Path, read_all: ReadAll, form: str) -> None:
    source = sources.load("wit")
    mirror = FORMS[form](tmp_path / f"train-00000-of-00330{form}", [_typed(page) for page in PAGES])
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _wit_upstream(tmp_path)))


def test_wit_as_spark_writes_it(tmp_path: Path, read_all: ReadAll) -> None:
    """What is null is in no line of JSON."""
    mirror = _without_nulls(tmp_path / "train-00000-of-00330.jsonl", [_typed(page) for page in PAGES])
    assert '"section_title"' not in mirror.read_text().partition("\n")[0]
    assert _pairs(read_all(sources.load("wit"), mirror)) == _pairs(
        read_all(sources.load("wit"), _wit_upstream(tmp_path))
    )


@pytest.mark.parametrize("name", ["language", "page_url", "image_url"])
def test_a_row_of_wit_without_what_every_row_has_is_a_bad_one(tmp_path: Path, read_all: ReadAll, name: str) -> None:
    rows = [_typed(PAGES[0]), {key: value for key, value in _typed(PAGES[0]).items() if key != name}]
    found = read_all(sources.load("wit"), _json_lines(tmp_path / "wit.jsonl", rows))
    assert sorted(str(row["detail"]) for row in found) == ["None", f"{name}: missing"]


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
@pytest.mark.parametrize("nothing", [float("nan"), float("inf")])
def test_a_size_of_wit_that_is_no_number_is_none(
    tmp_path: Path, read_all: ReadAll, kind: pa.DataType, nothing: float
) -> None:
    """Polars and NumPy write NaN where pandas writes null."""
    rows = [{**_typed(PAGES[0]), "original_width": nothing}, _typed(PAGES[3])]
    mirror = _parquet(tmp_path / "0000.parquet", rows, {"original_width": kind})
    found = read_all(sources.load("wit"), mirror)
    assert [(row["reason"], row["width_px"], row["height_px"]) for row in found] == [(None, None, 480), (None, 20, 10)]


def test_wit_with_commas(tmp_path: Path, read_all: ReadAll) -> None:
    source = sources.load("wit")
    mirror = _csv(tmp_path / "wit.csv", [dict(zip(COLUMNS, page, strict=True)) for page in PAGES])
    assert _pairs(read_all(source, mirror)) == _pairs(read_all(source, _wit_upstream(tmp_path)))


@pytest.mark.parametrize("index", [False, True])
def test_wit_as_pandas_writes_it_with_commas(tmp_path: Path, read_all: ReadAll, index: bool) -> None:
    # A column of numbers of which one is missing is one of floats.
    rows = pd.DataFrame([*map(_typed, PAGES), {**_typed(PAGES[0]), "language": "fr", "original_width": None}])
    rows.to_csv(tmp_path / "wit.csv", index=index)
    assert ",True," in (tmp_path / "wit.csv").read_text()
    assert ",640.0," in (tmp_path / "wit.csv").read_text()
    found = read_all(sources.load("wit"), tmp_path / "wit.csv")
    expected = read_all(sources.load("wit"), _wit_upstream(tmp_path))
    assert _pairs(found[:-1]) == _pairs(expected)
    assert (found[-1]["reason"], found[-1]["width_px"], found[-1]["height_px"]) == ("language", None, 480)


@pytest.mark.parametrize(("name", "value"), [("is_main_image", "yes"), ("original_width", "10.5")])
def test_what_pandas_does_not_write_stays_malformed(tmp_path: Path, read_all: ReadAll, name: str, value: str) -> None:
    mirror = _csv(tmp_path / "wit.csv", [{**dict(zip(COLUMNS, PAGES[0], strict=True)), name: value}])
    (row,) = read_all(sources.load("wit"), mirror)
    assert row["reason"] == "malformed_row"
    assert row["detail"].startswith(f"{name}: expected ")


def _wit_base() -> list[dict[str, Any]]:
    """Return the rows as wikimedia/wit_base has them: one an image, with its pages in lists, its picture and an embedding."""
    of_image = ("image_url", "caption_attribution_description", "mime_type", "original_height", "original_width")
    by_image: dict[str, list[dict[str, Any]]] = {}
    for page in map(_typed, PAGES):
        by_image.setdefault(page["image_url"], []).append(page)
    features = [name for name in COLUMNS if name not in of_image]
    return [
        {
            "image": {"bytes": b"\xff\xd8", "path": None},
            "embedding": [0.5, 0.25],
            "metadata_url": "http://commons.wikimedia.org/wiki/File:Cat.jpg",
            **{name: pages[0][name] for name in of_image},
            "wit_features": {
                **{name: [page[name] for page in pages] for name in features},
                "caption_title_and_reference_description": [f"{page['page_title']} [SEP] " for page in pages],
            },
        }
        for pages in by_image.values()
    ]


@pytest.mark.parametrize("lists", [True, False], ids=["lists", "objects"])
def test_wit_base_has_a_row_an_image_and_gives_one_a_page(tmp_path: Path, read_all: ReadAll, *, lists: bool) -> None:
    source, rows = sources.load("wit"), _wit_base()
    if not lists:
        for row in rows:
            columns = row["wit_features"]
            row["wit_features"] = [
                dict(zip(columns, entry, strict=True)) for entry in zip(*columns.values(), strict=True)
            ]
    mirror = _parquet(tmp_path / "train-00000-of-00330.parquet", rows)
    found = read_all(source, mirror)
    assert _pairs(found) == _pairs(read_all(source, _wit_upstream(tmp_path)))
    places = {row["source_id"]: row["where"].removeprefix(str(mirror)) for row in found}
    assert places[f"{_EN}/Cat/{_COMMONS}/1/1a/Cat.jpg/Cat / Wild / Gallery"] == (":row group 0, row 0, wit_features[1]")


def test_a_page_that_is_none_is_a_bad_row(tmp_path: Path, read_all: ReadAll) -> None:
    rows = _wit_base()
    rows[1]["wit_features"] = None
    found = read_all(sources.load("wit"), _json_lines(tmp_path / "wit.jsonl", [{**row, "image": None} for row in rows]))
    assert [(row["reason"], row["detail"]) for row in found if row["reason"] == "malformed_row"] == [
        ("malformed_row", "language: missing")
    ]


# Genuine rows ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("conceptual_captions", "cc3m/Validation_GCC-1.1.0-Validation.head5000.tsv"),
        ("conceptual_captions", "cc3m/Train_GCC-training.tsv"),
        ("conceptual_12m", "cc12m/cc12m.tsv"),
        ("sbu_captions", "sbu/sbu-captions-all.json"),
        ("red_caps", "redcaps/annotations.zip"),
        ("wit", "wit/wit_v1.train.all-00000-of-00010.plain-text.tsv.gz"),
        ("localized_narratives__coco", "localized_narratives/coco_val_captions.jsonl"),
    ],
)
def test_genuine_rows_are_the_same_pairs(
    samples: Path, tmp_path: Path, read_all: ReadAll, name: str, file: str, form: str
) -> None:
    source = sources.load(name)
    whole = {"localized_narratives__coco": {"split_sentences": False}, "wit": {"languages": ("fr", "nl")}}.get(name, {})
    upstream = [row for row in read_all(source, samples / file, **whole) if row["reason"] is None]
    rows = [json.loads(row["meta"]) for row in upstream]
    names = dict.fromkeys(key for row in rows for key in row if key != "_pmd")
    split = "val" if "alidation" in file else "train"
    mirror = FORMS[form](tmp_path / f"{split}-0000{form}", [{key: row.get(key) for key in names} for row in rows])
    found = read_all(source, mirror, **whole)
    assert upstream
    shown = ["source_id", "row_digest", "image_url", "text", "split", "meta"]
    if name == "red_caps" and form == ".csv":  # which has no lists, and no numbers
        shown = ["source_id", "image_url", "text"]
    assert [[row[key] for key in shown] for row in found] == [[row[key] for key in shown] for row in upstream]


# What is refused, and what is lost ---------------------------------------------------------------------------------------


def _plan(name: str, path: Path) -> None:
    source = sources.load(name)
    options = source.options(**source.options.profile_values("paper"))
    source.plan([InputFile(str(path), path.stat().st_size)], options)


EXPECTED = {
    "conceptual_captions": "a mirror of conceptual_captions with the columns image_url or url, caption",
    "conceptual_12m": "a mirror of conceptual_12m with the columns image_url or url, caption",
    "sbu_captions": "a mirror of sbu_captions with the columns image_url or url, caption",
    "red_caps": "a mirror of red_caps with the columns image_id, image_url or url, caption",
    "localized_narratives__coco": "a mirror of Localized Narratives with the columns dataset_id, image_id, annotator_id, "
    "caption",
    "wit": f"a mirror of wit with the columns {', '.join(COLUMNS)}",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_other_columns_are_refused_and_shown(tmp_path: Path, name: str) -> None:
    # The layout of HuggingFaceM4/the_cauldron, which has pictures and conversations.
    mirror = _parquet(tmp_path / "a.parquet", [{"images": "x", "texts": "y"}])
    with pytest.raises(InputError) as caught:
        _plan(name, mirror)
    assert str(caught.value) == (
        f"{mirror}: the columns are not known\n"
        f"  expected: {EXPECTED[name]}\n"
        "  found: images, texts\n"
        "  remedy: docs/sources.md lists the forms that are read; a table of other columns is a source of its own: "
        'reader = "url_text"'
    )


@pytest.mark.parametrize("name", [name for name in EXPECTED if "narratives" not in name])
def test_json_lines_with_other_keys_are_refused_and_shown(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"expected: a mirror of .*\n  found: images, texts\n"):
        _plan(name, _json_lines(tmp_path / "a.jsonl", [{"images": "x", "texts": "y"}]))


def test_a_column_of_another_kind_is_refused(tmp_path: Path) -> None:
    # Some copies of RedCaps have the pictures in the column of their URLs.
    rows = [{**_as_loaded(post), "image_url": {"bytes": b"\xff\xd8", "path": "a.jpg"}} for post in POSTS]
    with pytest.raises(InputError, match=r"a column is of another kind\n.*\n  found: image_url: struct<"):
        _plan("red_caps", _parquet(tmp_path / "a.parquet", rows))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = [["https://img.example.com/1.jpg"], ["one"], ["https://img.example.com/2.jpg"]]
    pq.write_table(pa.table([pa.array(values) for values in columns], ["url", "caption", "url"]), path)
    for name in ("conceptual_captions", "sbu_captions"):
        with pytest.raises(InputError, match=r"two columns have one name\n.*\n  found: url\n"):
            _plan(name, path)
    other = tmp_path / "a.csv"
    other.write_text("url,caption,url\nhttps://img.example.com/1.jpg,one,https://img.example.com/2.jpg\n")
    with pytest.raises(InputError, match="two columns have one name"):
        _plan("conceptual_captions", other)


def test_columns_without_any_value_are_none(tmp_path: Path, read_all: ReadAll) -> None:
    # Writers that see no value call such a column null, and not text.
    source = sources.load("wit")
    pages = [{**_typed(page), "caption_alt_text_description": None, "section_title": None} for page in PAGES]
    texts = {name: pa.string() for name in ("caption_alt_text_description", "section_title")}
    written = [_parquet(tmp_path / "a.parquet", pages), _parquet(tmp_path / "b.parquet", pages, texts)]
    assert pq.read_schema(written[0]).field("section_title").type == pa.null()
    null, text = (_pairs(read_all(source, path)) for path in written)
    assert null == text
    captions = sources.load("localized_narratives__coco")
    rows = [{**row, "original_caption": None} for row in NARRATIVES[captions.name]]
    upstream = _json_lines(tmp_path / "captions.jsonl", NARRATIVES[captions.name])
    assert _pairs(read_all(captions, _parquet(tmp_path / "c.parquet", rows))) == _pairs(read_all(captions, upstream))


def test_a_parquet_table_is_not_read_within_something(tmp_path: Path) -> None:
    table = _parquet(tmp_path / "a.parquet", [{"url": url, "caption": text} for text, url in CAPTIONS])
    packed = tmp_path / "a.parquet.gz"
    packed.write_bytes(gzip.compress(table.read_bytes()))
    with pytest.raises(
        InputError, match=r"a\.parquet\.gz: a Parquet table cannot be read where it is\n(.*\n)*.*unpack it"
    ):
        _plan("conceptual_captions", packed)


@pytest.mark.parametrize(
    ("content", "found", "remedy"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 187000000\n",
            "a pointer of Git LFS in the place of the file",
            "git lfs pull",
        ),
        (b"ARROW1\0\0\xff\xff\xff\xff", "an Arrow file", "write it as Parquet"),
        (b"PARE\0\0\0\0PARE", "an encrypted Parquet table", "without encryption"),
    ],
)
@pytest.mark.parametrize("name", EXPECTED)
def test_what_else_people_have_from_the_hub_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, found: str, remedy: str
) -> None:
    path = tmp_path / "train-00000-of-00002.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        _plan(name, path)
    assert str(caught.value).startswith(f"{path}: the form is not read\n")
    assert f"  found: {found}\n" in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("cut", [4, -1, 0.5])
def test_a_parquet_table_that_is_cut_short_is_told(tmp_path: Path, cut: float) -> None:
    table = _parquet(tmp_path / "a.parquet", [{"url": url, "caption": text} for text, url in CAPTIONS])
    content = table.read_bytes()
    table.write_bytes(content[: int(len(content) * cut) if isinstance(cut, float) else cut])
    with pytest.raises(InputError, match=r"a\.parquet: the Parquet table is damaged or cut short"):
        _plan("conceptual_captions", table)


def test_a_damaged_row_group_is_told(tmp_path: Path, read_all: ReadAll) -> None:
    table = _parquet(tmp_path / "a.parquet", [{"url": url, "caption": text} for text, url in CAPTIONS])
    content = bytearray(table.read_bytes())
    column = pq.read_metadata(table).row_group(1).column(0)
    at = column.dictionary_page_offset or column.data_page_offset
    content[at : at + 16] = b"\xff" * 16
    table.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet:row group 1: the Parquet table is damaged or cut short"):
        read_all(sources.load("conceptual_captions"), table)


@pytest.mark.parametrize("name", ["conceptual_captions", "sbu_captions"])
def test_text_that_is_not_utf8_is_one_bad_row(tmp_path: Path, read_all: ReadAll, name: str) -> None:
    # Arrow does not look at what it reads, and neither do some writers.
    captions = pa.array([b"one", b"caf\xe9", b"three"])
    text = pa.Array.from_buffers(pa.string(), 3, captions.buffers())
    urls = [f"https://img.example.com/{number}.jpg" for number in range(3)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"url": urls, "caption": text}), path)
    rows = read_all(sources.load(name), path)
    assert sorted((row["text"] or "", row["reason"] or "", row["detail"] or "", row["where"]) for row in rows) == [
        ("", "bad_encoding", "invalid UTF-8 in caption", f"{path}:row group 0, row 1"),
        ("one", "", "", f"{path}:row group 0, row 0"),
        ("three", "", "", f"{path}:row group 0, row 2"),
    ]


def test_bad_rows_leave_and_their_neighbours_are_read(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"url": "https://img.example.com/1.jpg", "caption": "one"}\n'
        b'{"url": "https://img.example.com/2.jpg", "caption": ["two"]}\n'
        b'{"url": "https://img.example.com/3.jpg", "capt\n'
        b'["a list"]\n'
        b'{"url": "https://img.example.com/4.jpg", "caption": "\xff"}\n'
        b'{"url": "https://img.example.com/5.jpg", "caption": null}\n'
    )
    found = read_all(sources.load("conceptual_12m"), path)
    assert sorted((row["reason"] or "", row["text"] or "", row["detail"] or "") for row in found) == [
        ("", "", ""),  # no caption, which curate calls an empty text
        ("", "one", ""),
        ("bad_encoding", "", "invalid UTF-8 at byte 53"),
        ("malformed_row", "", 'caption: expected text, found ["two"]'),
        ("malformed_row", "", "not JSON: unexpected end of data at character 46"),
        ("malformed_row", "", "row: expected an object, found a list"),
    ]


def test_a_csv_row_of_other_fields_leaves(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "a.csv"
    path.write_text('url,caption\nhttps://img.example.com/1.jpg,"one, two"\nhttps://img.example.com/2.jpg\n')
    found = read_all(sources.load("conceptual_12m"), path)
    assert [(row["text"], row["reason"], row["detail"], row["where"]) for row in found] == [
        ("one, two", None, None, f"{path}:line 2"),
        (None, "malformed_row", "expected 2 fields, found 1", f"{path}:line 3"),
    ]


def test_only_the_columns_that_are_asked_for_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll
) -> None:
    asked: list[list[str]] = []
    read = parquet.read
    monkeypatch.setattr(
        parquet, "read", lambda path, columns, *cut: asked.append([*columns]) or read(path, columns, *cut)
    )
    read_all(sources.load("wit"), _parquet(tmp_path / "a.parquet", _wit_base()))
    assert asked
    assert not {"image", "embedding"} & {name for names in asked for name in names}


def test_a_table_is_cut_at_its_row_groups_and_cuts_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll
) -> None:
    source = sources.load("conceptual_captions")
    table = _parquet(tmp_path / "a.parquet", [{"url": url, "caption": text} for text, url in CAPTIONS])
    file = [InputFile(str(table), table.stat().st_size)]
    whole, chunks = read_all(source, table), source.plan(file, source.options())
    assert [(chunk.start, chunk.stop) for chunk in chunks] == [(0, 4)]
    ranges = parquet.ranges
    monkeypatch.setattr(parquet, "ranges", lambda path: ranges(path, 1))
    chunks = source.plan(file, source.options())
    assert [(chunk.start, chunk.stop) for chunk in chunks] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert read_all(source, table) == whole


def test_the_documented_columns_are_those_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs/sources.md").read_text(encoding="utf-8")
    section = page.split("\n## Mirrors\n")[1].split("\n## ")[0]
    documented = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
    layouts = {
        "conceptual_captions": [sources.load("conceptual_captions")._mirror],  # type: ignore[attr-defined]
        "conceptual_12m": [sources.load("conceptual_12m")._mirror],  # type: ignore[attr-defined]
        "sbu_captions": [sbu_captions._MIRROR],
        "red_caps": [red_caps._layout(red_caps.Options(text=text)) for text in ("caption", "raw_caption")],
        "localized_narratives__*": [narratives._MIRROR],
        "wit": [wit._IMAGES],
    }
    for name, known in layouts.items():
        columns = " ".join(said for source, said in documented if source.strip() == f"`{name}`")
        optional = set(known[0].optional) if name != "red_caps" else set()
        named = {column for layout in known for names in layout.needed.values() for column in names} | optional
        assert {column for column in named if f"`{column}`" not in columns} == set(), name
        extra = set(columns.split("`")[1::2]) - named
        assert extra <= {"text"}, name  # the option of RedCaps that says which text is needed


@pytest.mark.parametrize(
    ("source", "columns"),
    [("conceptual_captions", ("url", "caption")), ("sbu_captions", ("image_url", "caption"))],
)
def test_a_row_of_more_text_than_any_is_malformed_and_its_neighbours_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll, source: str, columns: tuple[str, str]
) -> None:
    monkeypatch.setattr(parquet, "BATCH_BYTES", 200)
    url, text = columns
    rows = [
        {url: f"https://img.example.com/{number}.jpg", text: words}
        for number, words in enumerate(["one cup", "a" * 200, "two cups"])
    ]
    table = _parquet(tmp_path / "a.parquet", rows)
    found = read_all(sources.load(source), table)
    assert sorted(
        (row["text"] or "", row["reason"], row["detail"], row["where"] and row["where"][-5:]) for row in found
    ) == [
        ("", "malformed_row", "more than 200 bytes of text in a row", "row 1"),
        ("one cup", None, None, "row 0"),
        ("two cups", None, None, "row 0"),
    ]
