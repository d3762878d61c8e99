"""WIT, by golden rows written in upstream's format and by the genuine files."""

# ruff: noqa: E501 - golden rows stand as upstream's lines do.

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pmd import escape
from pmd.errors import InputError
from pmd.schema import keys
from pmd.sources.contract import InputFile
from pmd.sources.wit import COLUMNS, SOURCE, Options, choose
from tests.sources.planting import planted
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

_COMMONS = "https://upload.wikimedia.org/wikipedia/commons"
_EN = "https://en.wikipedia.org/wiki"
#: Ten rows and the odd ones: newline and doubled quote in quotes, unicode, empty, flags of all spellings, twice the same.
GOLDEN = (
    "\t".join(COLUMNS)
    + f"""
en\t{_EN}/Cat\t{_COMMONS}/1/1a/Cat.jpg\tCat\t\tCat\tA cat on a mat\tEnglish: Felis catus\tcat\timage/jpeg\t480\t640\ttrue\ttrue\tfalse\tCats.\tCats.
en\t{_EN}/Cat\t{_COMMONS}/1/1a/Cat.jpg\tCat\tGallery\tCat / Wild / Gallery\tPortrait\tFrançais: Un chat English: Three wild cats Deutsch: Katze\t\timage/jpeg\t480\t640\tfalse\tfalse\ttrue\t"The ""cat"",
a tab\there,
and a third line."\t
en\t{_EN}/Dog\t{_COMMONS}/2/2b/Dog.jpg\tDog\t\tDog\t\tKein Englisch hier\tthe dog of “Zoë”\timage/jpeg\t10\t20\tfalse\tfalse\t\tDogs.\t
en\t{_EN}/Owl\t{_COMMONS}/3/3c/Owl.jpg\tOwl\t\tOwl\t\t\t\timage/jpeg\t10\t20\tfalse\tfalse\tfalse\tfalse\tfalse
en\t{_EN}/Tea\t{_COMMONS}/4/4d/Tea.jpg\tTea\t\tTea\t東京\t\t\timage/jpeg\t10\t20\tfalse\ttrue\tfalse\t\t
de\thttps://de.wikipedia.org/wiki/Tee\t{_COMMONS}/4/4d/Tea.jpg\tTee\t\tTee\tEine Tasse Tee\t\t\timage/jpeg\t10\t20\ttrue\ttrue\tfalse\t\t
en\t{_EN}/Cat\t{_COMMONS}/1/1a/Cat.jpg\tCat\t\tCat\tA cat on a mat\tEnglish: Felis catus\tcat\timage/jpeg\t480\t640\ttrue\ttrue\tfalse\tCats.\tCats.
en\t{_EN}/Elm\t{_COMMONS}/5/5e/Elm.jpg\tElm\t\tElm\tAn old elm\t\t\timage/jpeg\t10\t20\tyes\ttrue\tfalse\t\t
en\t{_EN}/Fig\t{_COMMONS}/6/6f/Fig.jpg\tFig\t\tFig\tA ripe fig\t\t\timage/jpeg\tten\t20\ttrue\ttrue\tfalse\t\t
en\t{_EN}/Gnu\t\tGnu\t\tGnu\tA gnu runs\t\t\timage/jpeg\t10\t20\ttrue\ttrue\tfalse\t\t
en\t{_EN}/Hen\tshort of columns

en\t{_EN}/Ivy\t{_COMMONS}/7/70/Ivy.jpg\tIvy\t\tIvy\tIvy "in the middle" is text\t\t\timage/jpeg\t\t20\ttrue\ttrue\tfalse\t\t
"""
).encode() + b"en\tlatin caf\xe9\n"
GOLDEN_OPTIONS: dict[str, Any] = {}


def write_golden(folder: Path) -> list[str]:
    """Write a training shard, plain though its name says gzip, and a validation shard that is gzip."""
    train = folder / "wit_v1.train.all-00000-of-00010.tsv.gz"
    train.write_bytes(GOLDEN)
    validation = folder / "wit_v1.val.all-00000-of-00005.tsv"
    validation.write_bytes(gzip.compress(b"".join(GOLDEN.splitlines(keepends=True)[:2]), mtime=0))
    return [str(train), str(validation)]


def _shard(folder: Path, content: bytes = GOLDEN, name: str = "wit_v1.train.all-00000-of-00010.tsv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_row_fills_every_column(tmp_path: Path, read_all: ReadAll) -> None:
    path = _shard(tmp_path)
    row = read_all(SOURCE, path, profile="hub")[1]
    upstream = {
        "language": "en",
        "page_url": f"{_EN}/Cat",
        "image_url": f"{_COMMONS}/1/1a/Cat.jpg",
        "page_title": "Cat",
        "section_title": "Gallery",
        "hierarchical_section_title": "Cat / Wild / Gallery",
        "caption_reference_description": "Portrait",
        "caption_attribution_description": "Français: Un chat English: Three wild cats Deutsch: Katze",
        "caption_alt_text_description": "",
        "mime_type": "image/jpeg",
        "original_height": "480",
        "original_width": "640",
        "is_main_image": "false",
        "attribution_passes_lang_id": "false",
        "page_changed_recently": "true",
        "context_page_description": 'The "cat",\na tab\there,\nand a third line.',
        "context_section_description": "",
    }
    assert json.loads(row.pop("meta")) == {**upstream, "_pmd": {"field": "caption_attribution_description"}}
    assert row == {
        "source_id": f"{_EN}/Cat/{_COMMONS}/1/1a/Cat.jpg/Cat / Wild / Gallery",
        "row_digest": keys.digest(*upstream.values()),
        "image_url": f"{_COMMONS}/1/1a/Cat.jpg",
        "identity": None,
        "also": None,
        "file_name": None,
        "mirrors": None,
        "width_px": 640,
        "height_px": 480,
        "region": None,
        "text": "Three wild cats",
        "text_licence": "CC-BY-SA-3.0",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": "train",
        "reason": None,
        "detail": None,
        "where": f"{path}:line 3",
    }


_LOST = [
    ("de/Tee", "language", "language 'de'"),
    (None, "malformed_row", "is_main_image: expected true or false, found 'yes'"),
    (None, "malformed_row", "original_height: expected a number of pixels, found 'ten'"),
    ("Gnu", "no_image", None),
    (None, "malformed_row", "expected 17 fields, found 3"),
    (None, "malformed_row", "expected 17 fields, found 0"),
    (None, "bad_encoding", "invalid UTF-8 at byte 12 of the row"),
]


@pytest.mark.parametrize(
    ("profile", "kept", "uncaptioned"),
    [
        (
            "paper",
            [
                ("Cat", "A cat on a mat"),
                ("Cat", "Portrait"),
                ("Dog", "Kein Englisch hier"),
                ("Tea", "東京"),
                ("Cat", "A cat on a mat"),
                ("Ivy", 'Ivy "in the middle" is text'),
            ],
            [("Owl", "no_caption", "reference: 0 words; attribution: 0 words; alt_text: 0 words")],
        ),
        (
            "hub",
            [
                ("Cat", "A cat on a mat"),
                ("Cat", "Three wild cats"),
                ("Dog", "the dog of Zo"),
                ("Cat", "A cat on a mat"),
                ("Ivy", 'Ivy "in the middle" is text'),
            ],
            [
                ("Owl", "no_caption", "reference: 0 words; attribution_english: 0 words; alt_text: 0 words"),
                ("Tea", "no_caption", "reference: 1 word; attribution_english: 0 words; alt_text: 0 words"),
            ],
        ),
        (
            "recommended",
            [
                ("Cat", "A cat on a mat"),
                ("Cat", "Three wild cats"),
                ("Dog", "the dog of “Zoë”"),
                ("Cat", "A cat on a mat"),
                ("Ivy", 'Ivy "in the middle" is text'),
            ],
            [
                ("Owl", "no_caption", "reference: 0 words; attribution_english: 0 words; alt_text: 0 words"),
                ("Tea", "no_caption", "reference: 1 word; attribution_english: 0 words; alt_text: 0 words"),
            ],
        ),
    ],
)
def test_golden_rows(
    tmp_path: Path,
    read_all: ReadAll,
    profile: str,
    kept: list[tuple[str, str]],
    uncaptioned: list[tuple[str, str, str]],
) -> None:
    rows = read_all(SOURCE, _shard(tmp_path), profile=profile)
    assert [(row["source_id"].split("/")[4], row["text"]) for row in rows if row["reason"] is None] == kept

    def page(row: dict[str, Any]) -> str | None:
        return None if row["source_id"] is None else str(row["source_id"]).split("/")[4].replace("Tee", "de/Tee")

    lost = [(page(row), row["reason"], row["detail"]) for row in rows if row["reason"] is not None]
    assert lost == uncaptioned + _LOST
    # A row is told by its first line, though fields hold newlines.
    assert sorted(int(row["where"].rsplit(" ", 1)[1]) for row in rows) == [2, 3, 6, *range(7, 18)]


def test_nothing_left_without_non_ascii_characters(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, _shard(tmp_path), drop_non_ascii=True)
    tea = next(row for row in rows if row["source_id"] and "/Tea/" in row["source_id"])
    assert (tea["reason"], tea["text"], tea["meta"]) == ("not_ascii", None, None)


def test_splits_are_the_files(tmp_path: Path, read_all: ReadAll) -> None:
    one_row = b"".join(GOLDEN.splitlines(keepends=True)[:2])
    for name, split in (
        ("wit_v1.train.all-00003-of-00010.tsv.gz", "train"),
        ("wit_v1.val.all-00000-of-00005.tsv.gz", "validation"),
        ("wit_v1.test.all-00000-of-00005.tsv.gz", "test"),
        ("wit_v1.train.all-1percent_sample.tsv.gz", "train"),
    ):
        assert columns(read_all(SOURCE, _shard(tmp_path, one_row, name)), "split") == [(split,)]


def test_the_header_decides_and_a_further_column_is_kept(tmp_path: Path, read_all: ReadAll) -> None:
    header, row = GOLDEN.decode(errors="replace").split("\n")[:2]
    moved = ["entity", *header.split("\t")[::-1]], ["Q146", *row.split("\t")[::-1]]
    content = "\n".join("\t".join(fields) for fields in moved).encode()
    (draft,) = read_all(SOURCE, _shard(tmp_path, content))
    assert draft["text"] == "A cat on a mat"
    assert (draft["width_px"], draft["height_px"]) == (640, 480)
    meta = json.loads(draft["meta"])
    assert list(meta) == ["entity", *COLUMNS[::-1], "_pmd"]
    assert meta["entity"] == "Q146"


def test_other_languages_may_be_asked_for(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, _shard(tmp_path), languages=["de"])
    assert columns([row for row in rows if row["reason"] is None], "text") == [("Eine Tasse Tee",)]


def _caption_columns(reference: str, attribution: str, alt_text: str) -> dict[str, pa.Array]:
    return {
        "caption_reference_description": pa.array([reference]),
        "caption_attribution_description": pa.array([attribution]),
        "caption_alt_text_description": pa.array([alt_text]),
    }


@pytest.mark.parametrize(
    ("texts", "paper", "hub"),
    [
        (("two words", "English: a b c", "x y z"), "two words", "two words"),
        (("one", "English: a b c", "x y z"), "one", "a b c"),
        (("", "no label at all", "x y z"), "no label at all", "x y z"),
        (("", "English: only two", "x y z"), "English: only two", "x y z"),
        (("", "", "x y"), "x y", None),
        ((" \n ", "\t", "  "), None, None),
        # M4 splits at " " and so counts three words in "x  y"; white space counts two.
        (("", "", "x  y"), "x  y", None),
    ],
)
def test_caption_chain(texts: tuple[str, str, str], paper: str | None, hub: str | None) -> None:
    for profile, expected in (("paper", paper), ("hub", hub)):
        options = Options(**Options.profile_values(profile))  # type: ignore[arg-type]
        captions = choose(_caption_columns(*texts), options)
        assert captions.texts.to_pylist() == [expected]
        assert captions.reasons.to_pylist() == [None if expected else "no_caption"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\n", "an empty line"),
        (b"en\thttps://en.wikipedia.org/wiki/Cat\n", "en\thttps://en.wikipedia.org/wiki/Cat"),
        ("\t".join(COLUMNS[:-1]).encode(), "one without context_section_description"),
        ("\t".join([*COLUMNS, "language"]).encode(), "\t".join(COLUMNS)[:120] + "…"),
    ],
)
def test_a_file_without_the_header_is_refused(tmp_path: Path, read_all: ReadAll, content: bytes, found: str) -> None:
    path = _shard(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_all(SOURCE, path)
    remedy = (
        "give all of upstream's columns: a row is known by them"
        if found.startswith("one without")
        else "a shard's header stands in its first row only: give whole shards, as upstream publishes them"
    )
    assert str(caught.value) == (
        f"{path}:line 1: the first row is not WIT's header\n"
        f"  expected: a row with the column names {', '.join(COLUMNS)}, each once\n"
        f"  found: {escape.terminal(found)}\n"
        f"  remedy: {remedy}"
    )


def test_a_truncated_gzip_shard_is_refused(tmp_path: Path, read_all: ReadAll) -> None:
    path = _shard(tmp_path, gzip.compress(GOLDEN)[:-40])
    with pytest.raises(InputError, match="wit_v1"):
        read_all(SOURCE, path)


def test_a_blank_line_is_a_row_that_cannot_be_parsed(tmp_path: Path, read_all: ReadAll) -> None:
    header, row = GOLDEN.decode(errors="replace").split("\n")[:2]
    drafts = read_all(SOURCE, _shard(tmp_path, f"{header}\n{row}\n\n{row}\n".encode()))
    (lost,) = (draft for draft in drafts if draft["reason"] == "malformed_row")
    assert lost["detail"] == f"expected {len(header.split(chr(9)))} fields, found 0"
    assert lost["where"].endswith(":line 3")


@pytest.mark.parametrize("name", ["is_main_image", "attribution_passes_lang_id", "page_changed_recently"])
def test_a_flag_that_says_nothing_spoils_no_row(tmp_path: Path, read_all: ReadAll, name: str) -> None:
    values = dict.fromkeys(COLUMNS, "") | {
        "language": "en",
        "page_url": f"{_EN}/Cat",
        "image_url": f"{_COMMONS}/1/1a/Cat.jpg",
        "caption_reference_description": "A cat",
        "original_height": "0",  # a size that nobody knew
        **dict.fromkeys(("is_main_image", "attribution_passes_lang_id", "page_changed_recently"), "true"),
        name: "",
    }
    shard = _shard(tmp_path, "".join("\t".join(fields) + "\n" for fields in (COLUMNS, values.values())).encode())
    (row,) = read_all(SOURCE, shard)
    assert (row["text"], row["reason"], row["height_px"], row["width_px"]) == ("A cat", None, None, None)
    assert json.loads(row["meta"])[name] == ""


def test_long_fields_and_many_rows(tmp_path: Path, read_all: ReadAll) -> None:
    header, row = GOLDEN.decode(errors="replace").split("\n")[:2]
    long = row.replace("Cats.", "Cats. " * 50_000)
    rows = [row.replace("/Cat\t", f"/Cat{i}\t") for i in range(8200)]
    drafts = read_all(SOURCE, _shard(tmp_path, "\n".join([header, long, *rows]).encode()))
    assert len(drafts) == 8201
    assert len(json.loads(drafts[0]["meta"])["context_page_description"]) == 6 * 50_000
    assert len({draft["source_id"] for draft in drafts}) == 8201


def _genuine(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize(
    ("file", "languages"),
    [
        ("tfds_train-00000-of-00009.tsv", ["es", "de", "ru"]),
        ("wit_v1.train.all-00000-of-00010.plain-text.tsv.gz", ["fr", "nl"]),
    ],
)
def test_genuine_rows(samples: Path, read_all: ReadAll, file: str, languages: list[str]) -> None:
    path = samples / "wit" / file
    genuine = _genuine(path)
    rows = read_all(SOURCE, path, languages=languages)
    assert [row["language"] for row in genuine] == languages
    # The id has the hierarchical title alone, since it ends in the section's.
    assert all(row["hierarchical_section_title"].endswith(row["section_title"] or row["page_title"]) for row in genuine)
    for draft, row in zip(rows, genuine, strict=True):
        meta = json.loads(draft["meta"])
        assert list((meta | row).items())[:-1] == list(row.items())
        assert {name: meta[name] for name in row} == row
        assert draft["text"] == (
            row["caption_reference_description"]
            or row["caption_attribution_description"]
            or row["caption_alt_text_description"]
        )
        assert draft["image_url"] == row["image_url"]
        assert draft["row_digest"] == keys.digest(*row.values())
        assert (draft["width_px"], draft["height_px"]) == (int(row["original_width"]), int(row["original_height"]))
    assert columns(read_all(SOURCE, path), "reason", "detail") == [
        ("language", f"language {language!r}") for language in languages
    ]


def test_a_genuine_row_cut_short_is_refused(samples: Path) -> None:
    path = samples / "wit" / "tfds_test-00000-of-00005.tsv"
    options = Options(**Options.profile_values("paper"))
    (chunk,) = SOURCE.plan([InputFile(str(path), path.stat().st_size)], options)
    with pytest.raises(InputError) as caught:
        list(SOURCE.read(chunk, options))
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"{path}:byte ")
    assert "line 2" in caught.value.where


#: As `tests/sources/planting.py` says.
NAMED = {*COLUMNS, "credit"} - {
    "image_url", "caption_reference_description", "language", "original_height", "original_width",
    "is_main_image", "attribution_passes_lang_id", "page_changed_recently",
}  # fmt: skip


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    record = dict.fromkeys(COLUMNS, "x") | {
        "language": "en", "image_url": "https://upload.wikimedia.org/1.jpg", "page_url": "https://en.wikipedia.org/wiki/Cat",
        "caption_reference_description": "A cat on a mat", "original_height": "4", "original_width": "4",
        "is_main_image": "true", "attribution_passes_lang_id": "true", "page_changed_recently": "false", "credit": "",
    }  # fmt: skip
    rows = planted(record, "image_url", "caption_reference_description")
    path = folder / "wit_v1.train.all-00000-of-00010.tsv"
    path.write_text("\n".join("\t".join(map(str, row)) for row in [record, *(row.values() for row in rows)]) + "\n")
    return [str(path)]


def test_another_file_is_refused_before_any_shard_is_read(tmp_path: Path) -> None:
    shard, pixels = _shard(tmp_path), tmp_path / "z.csv"
    pixels.write_text("https://upload.wikimedia.org/a.jpg\tiVBORw0K\thttps://commons.wikimedia.org/wiki/File:A.jpg\n")
    files = [InputFile(str(path), 1) for path in (shard, pixels)]
    with pytest.raises(InputError, match=r"z\.csv:line 1: the first row is not WIT's header"):
        SOURCE.plan(files, SOURCE.options(**SOURCE.options.profile_values("paper")))


def test_carriage_returns_alone_are_no_line_ends(tmp_path: Path, read_all: ReadAll) -> None:
    path = _shard(tmp_path, GOLDEN.replace(b"\n", b"\r"))
    with pytest.raises(InputError) as caught:
        read_all(SOURCE, path)
    assert (
        caught.value.remedy
        == "its lines end with carriage returns alone; write line feeds: tr '\\r' '\\n' < FILE > NEW"
    )


def test_a_shard_that_pandas_has_written_again_is_the_same_rows(tmp_path: Path, read_all: ReadAll) -> None:
    shard = _shard(tmp_path)
    # A missing size makes floats of all of them, and True is how Python spells a flag.
    again = (
        GOLDEN.replace(b"\ttrue", b"\tTrue").replace(b"\tfalse", b"\tFalse").replace(b"\t10\t20\t", b"\t10.0\t20.0\t")
    )
    assert again != GOLDEN
    found = read_all(SOURCE, _shard(tmp_path, again, "again.tsv"))
    told = [({**row, "where": None}) for row in read_all(SOURCE, shard) if row["text"]]
    assert [({**row, "where": None}) for row in found if row["text"]] == told
