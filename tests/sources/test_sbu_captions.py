"""SBU Captions, by golden rows written in upstream's two formats and by the genuine file."""

from __future__ import annotations

import bz2
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.formats import lines
from pmd.schema import keys
from pmd.sources.contract import InputFile
from pmd.sources.sbu_captions import SOURCE
from tests.sources.planting import named
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

URL = "http://static.flickr.com/2723/4385058960_b0f291553e.jpg"
#: Ten rows and the odd ones: quoted, unicode, empty, "false", the same twice, no URL, a number.
LISTS: dict[str, list[Any]] = {
    "image_urls": [URL, *(f"http://static.flickr.com/1/{n}_a.jpg" for n in range(1, 6)), URL, "", 7, "not a URL"],
    "user_ids": ["47889917@N08", "a", "b", "c", "d", "e", "47889917@N08", "f", "g", None],
    "captions": [
        'A "wooden" chair',
        "Café — 東京 🚀",
        "",
        "false",
        " edges \n",
        "a\tb",
        'A "wooden" chair',
        "no URL",
        "a number",
        "no user",
    ],
}
NAMES = ("SBU_captioned_photo_dataset_urls.txt", "SBU_captioned_photo_dataset_captions.txt")


def write_golden(folder: Path) -> list[str]:
    """Write upstream's document."""
    path = folder / "sbu-captions-all.json"
    path.write_text(json.dumps(LISTS))
    return [str(path)]


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The golden JSON document."""
    return Path(*write_golden(tmp_path))


def _pair(folder: Path, urls: bytes, captions: bytes) -> list[Path]:
    paths = [folder / name for name in NAMES]
    for path, content in zip(paths, (urls, captions), strict=True):
        path.write_bytes(content)
    return paths


def test_a_row_fills_every_column(document: Path, read_all: ReadAll) -> None:
    assert read_all(SOURCE, document)[0] == {
        "source_id": None,
        "row_digest": keys.digest(URL, "47889917@N08", 'A "wooden" chair'),
        "image_url": URL,
        "identity": None,
        "also": None,
        "file_name": None,
        "mirrors": None,
        "width_px": None,
        "height_px": None,
        "region": None,
        "text": 'A "wooden" chair',
        "meta": f'{{"image_url":"{URL}","user_id":"47889917@N08","caption":"A \\"wooden\\" chair"}}',
        "text_licence": "NOASSERTION",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": None,
        "reason": None,
        "detail": None,
        "where": f"{document}:image_urls[0]",
    }


def test_golden_rows(document: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, document)
    assert columns(rows, "image_url", "text", "reason", "detail") == [
        *zip(LISTS["image_urls"][:7], LISTS["captions"][:7], [None] * 7, [None] * 7, strict=True),
        ("", "no URL", "no_image", "image_url is empty"),
        (None, None, "malformed_row", "image_url: expected a string"),
        (None, None, "malformed_row", "user_id: expected a string"),
    ]
    assert rows[0]["row_digest"] == rows[6]["row_digest"]
    assert len({row["row_digest"] for row in rows}) == 9


def test_order_of_the_lists_changes_nothing(document: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, document)
    document.write_text(json.dumps(dict(reversed(LISTS.items()))))
    assert read_all(SOURCE, document) == rows


@pytest.mark.parametrize("short", ["image_urls", "user_ids", "captions"])
def test_lists_of_unequal_length_are_refused(document: Path, short: str, read_all: ReadAll) -> None:
    document.write_text(json.dumps(LISTS | {short: LISTS[short][:4]}))
    with pytest.raises(InputError, match="parallel lists are not of one length") as error:
        read_all(SOURCE, document)
    lengths = dict.fromkeys(LISTS, 10) | {short: 4}
    assert error.value.found == ", ".join(f"{name} has {length}" for name, length in lengths.items())
    assert error.value.where == str(document)


def test_the_text_pair(tmp_path: Path, read_all: ReadAll) -> None:
    urls = [
        b"http://a.example/1.jpg",
        b"http://a.example/2.jpg",
        b"http://a.example/3.jpg",
        b"",
        b"http://a.example/1.jpg",
    ]
    captions = [b" This is 0", ' "Café" 東京 '.encode(), b" bad \xff", b" no URL", b" This is 0"]
    paths = _pair(tmp_path, b"\n".join(urls), b"\n".join(captions) + b"\n")
    rows = read_all(SOURCE, *paths)
    assert columns(rows, "image_url", "text", "meta", "reason") == [
        ("http://a.example/1.jpg", " This is 0", '{"image_url":"http://a.example/1.jpg","caption":" This is 0"}', None),
        (
            "http://a.example/2.jpg",
            ' "Café" 東京 ',
            '{"image_url":"http://a.example/2.jpg","caption":" \\"Café\\" 東京 "}',
            None,
        ),
        (None, None, None, "bad_encoding"),
        ("", " no URL", '{"image_url":"","caption":" no URL"}', "no_image"),
        ("http://a.example/1.jpg", " This is 0", '{"image_url":"http://a.example/1.jpg","caption":" This is 0"}', None),
    ]
    assert rows[0]["row_digest"] == rows[4]["row_digest"] == keys.digest("http://a.example/1.jpg", "", " This is 0")
    assert rows[1]["where"] == f"{paths[0]}:byte 23"


def test_both_forms_in_upstreams_tars(tmp_path: Path, document: Path, read_all: ReadAll) -> None:
    one, two = tmp_path / "sbu-captions-all.tar.gz", tmp_path / "SBUCaptionedPhotoDataset.tar.gz"
    with tarfile.open(one, "w:gz") as file:
        file.add(document, "sbu-captions-all.json")
    with tarfile.open(two, "w:gz") as file:
        for name, content in (
            *zip(NAMES, (b"http://a.example/1.jpg\n", b" This is 0\n"), strict=True),
            ("README", b"x"),
        ):
            info = tarfile.TarInfo(f"dataset/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    rows = read_all(SOURCE, one)
    assert rows[0]["where"] == f"{one}!/sbu-captions-all.json:image_urls[0]"
    assert [row | {"where": ""} for row in rows] == [row | {"where": ""} for row in read_all(SOURCE, document)]
    (row,) = read_all(SOURCE, two)
    assert (row["image_url"], row["text"]) == ("http://a.example/1.jpg", " This is 0")


def test_a_text_that_begins_as_json_is_none(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, *_pair(tmp_path, b"{\nhttp://static.flickr.com/1/2_a.jpg\n", b"a brace\n a dog\n"))
    assert columns(rows, "image_url", "text") == [("{", "a brace"), ("http://static.flickr.com/1/2_a.jpg", " a dog")]


def test_texts_of_unequal_length_are_refused(tmp_path: Path, read_all: ReadAll) -> None:
    paths = _pair(tmp_path, b"http://a.example/1.jpg\n" * 3, b" A\n" * 5)
    with pytest.raises(InputError, match="parallel lists are not of one length") as error:
        read_all(SOURCE, *paths)
    assert error.value.found == f"{paths[0]} has 3, {paths[1]} has 5"


@pytest.mark.parametrize("kept", [0, 1])
def test_half_a_pair_is_refused(tmp_path: Path, kept: int, read_all: ReadAll) -> None:
    paths = _pair(tmp_path, b"http://a.example/1.jpg\n", b" A\n")
    with pytest.raises(InputError, match="the file that its lines belong to is missing") as error:
        read_all(SOURCE, paths[kept])
    assert error.value.where == str(paths[kept])
    assert error.value.expected == f"{paths[1 - kept]} beside it in `annotations`"


@pytest.mark.parametrize("content", ["[]", "url,text\n", ""])
def test_a_foreign_file_is_refused(document: Path, content: str, read_all: ReadAll) -> None:
    document.write_text(content)
    with pytest.raises(InputError, match=r"sbu-captions-all\.json:byte 0: not an annotation file of this source"):
        read_all(SOURCE, document)


@pytest.mark.parametrize("content", ["{}", '{"image_urls": [], "captions": []}', json.dumps(LISTS)[:300]])
def test_foreign_objects_and_truncated_files_are_refused(document: Path, content: str, read_all: ReadAll) -> None:
    document.write_text(content)
    with pytest.raises(InputError, match=r"sbu-captions-all\.json"):
        read_all(SOURCE, document)


def test_genuine_rows_field_for_field(samples: Path, read_all: ReadAll) -> None:
    path = samples / "sbu" / "sbu-captions-all.json"
    upstream = json.loads(path.read_text())
    rows = read_all(SOURCE, path)
    assert columns(rows, "image_url", "text") == list(zip(upstream["image_urls"], upstream["captions"], strict=True))
    assert [json.loads(row["meta"])["user_id"] for row in rows] == upstream["user_ids"]
    assert {row["reason"] for row in rows} == {None}


def test_the_text_pair_of_the_samples(samples: Path, read_all: ReadAll) -> None:
    paths = [samples / "sbu" / name for name in NAMES]
    rows = read_all(SOURCE, *paths)
    urls, captions = (path.read_text().splitlines() for path in paths)
    assert columns(rows, "image_url", "text") == list(zip(urls, captions, strict=True))
    assert all(row["text"].startswith(" ") for row in rows)


def test_a_cell_that_cannot_be_read_is_one_row(document: Path, read_all: ReadAll) -> None:
    document.write_bytes(
        b'{"image_urls": ["http://a/1.jpg", "http://a/2.jpg"], "user_ids": ["a", "b"], "captions": ["\xff", "a dog"]}'
    )
    bad, good = read_all(SOURCE, document)
    assert (bad["reason"], bad["detail"]) == ("bad_encoding", "invalid UTF-8 at byte 1 of caption")
    assert (good["reason"], good["text"]) == (None, "a dog")


def test_a_table_with_a_header_is_read(tmp_path: Path, read_all: ReadAll) -> None:
    pair = read_all(SOURCE, *_pair(tmp_path, f"{URL}\nhttp://a.example/2\n".encode(), "A chair\nCafé\n".encode()))
    table = tmp_path / "sbu.tsv"
    table.write_text(f"caption\turl\nA chair\t{URL}\nCafé\thttp://a.example/2\n", encoding="utf-8")
    assert [row | {"where": ""} for row in read_all(SOURCE, table)] == [row | {"where": ""} for row in pair]
    document = tmp_path / "sbu.json"
    lists = {"image_urls": [URL], "user_ids": ["u@N1"], "captions": ["A chair"]}
    document.write_text(json.dumps(lists), encoding="utf-8")
    table.write_text(f"image_url\tuser_id\tcaption\r\n{URL}\tu@N1\tA chair\r\n", encoding="utf-8")
    rows = read_all(SOURCE, table)
    assert [row | {"where": ""} for row in rows] == [row | {"where": ""} for row in read_all(SOURCE, document)]
    assert rows[0]["where"] == f"{table}:byte 27"


@pytest.mark.parametrize("packed", [bytes, bz2.compress])
def test_cuts_of_a_table_do_not_matter(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, packed: Callable[[bytes], bytes]
) -> None:
    table = tmp_path / "sbu.tsv"
    rows = "".join(f"http://a.example/{number}\ta dog {number}\n" for number in range(99))
    table.write_bytes(packed(f"url\tcaption\n{rows}".encode()))
    whole = read_all(SOURCE, table)
    assert len(whole) == 99
    cut = lines.ranges
    monkeypatch.setattr(lines, "ranges", lambda path: cut(path, 100))
    assert len(SOURCE.plan([InputFile(str(table), 1)], SOURCE.options())) > 1
    assert read_all(SOURCE, table) == whole


def test_bad_rows_of_a_table_leave_alone(tmp_path: Path, read_all: ReadAll) -> None:
    table = tmp_path / "sbu.tsv"
    table.write_bytes(b"url\tcaption\nhttp://a/1\ta\nlost\nhttp://a/2\t\xff\nhttp://a/3\tc\n")
    assert [(row["text"], row["reason"], row["detail"]) for row in read_all(SOURCE, table)] == [
        ("a", None, None),
        (None, "malformed_row", "expected 2 fields, found 1"),
        (None, "bad_encoding", "invalid UTF-8 at byte 11 of the line"),
        ("c", None, None),
    ]


@pytest.mark.parametrize("header", ["url", "url\turl\tcaption", "http://a/1\ta cat"])
def test_a_table_without_a_telling_header_is_refused(tmp_path: Path, header: str, read_all: ReadAll) -> None:
    table = tmp_path / "sbu.tsv"
    table.write_text(f"{header}\nhttp://a/1\ta\n")
    with pytest.raises(InputError, match="not an annotation file of this source") as error:
        read_all(SOURCE, table)
    assert "a .tsv whose header names url and caption" in str(error.value.expected)


def test_headers_of_the_pair_are_no_row(tmp_path: Path, read_all: ReadAll) -> None:
    paths = _pair(tmp_path, f"image_url\n{URL}\n".encode(), b" caption\n A chair\n")
    assert [(row["image_url"], row["text"]) for row in read_all(SOURCE, *paths)] == [(URL, " A chair")]
    paths = _pair(tmp_path, f"{URL}\n{URL}\n".encode(), b" caption\n A chair\n")
    assert [row["text"] for row in read_all(SOURCE, *paths)] == [" caption", " A chair"]


#: As `tests/sources/planting.py` says.
NAMED = {"user_id"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    lists = {
        "image_urls": ["http://static.flickr.com/1/2_a.jpg"],
        "user_ids": [named("user_id")],
        "captions": ["a chair"],
    }
    path = folder / "sbu-captions-all.json"
    path.write_text(json.dumps(lists))
    return [str(path)]


@pytest.mark.parametrize(
    ("urls", "captions", "count"),
    [
        ("http://a\nhttp://b\n", "one\ntwo\n\n", None),
        ("http://a\nhttp://b\n \n\n", "one\ntwo", None),
        ("http://a\nhttp://b", "one\ntwo\n\n\nfour", 5),
        ("http://a\nhttp://b", "one", 1),
    ],
)
def test_blank_lines_at_the_end_of_one_file_belong_to_nothing(
    tmp_path: Path, read_all: ReadAll, urls: str, captions: str, count: int | None
) -> None:
    (tmp_path / "x_urls.txt").write_text(urls)
    (tmp_path / "x_captions.txt").write_text(captions)
    paths = (tmp_path / "x_urls.txt", tmp_path / "x_captions.txt")
    if count is None:
        rows = read_all(SOURCE, *paths)
        assert [(row["image_url"], row["text"], row["reason"]) for row in rows] == [
            ("http://a", "one", None),
            ("http://b", "two", None),
        ]
        return
    with pytest.raises(InputError, match="not of one length") as caught:
        read_all(SOURCE, *paths)
    assert str(caught.value.found).endswith(f"{paths[1]} has {count}")


def test_the_two_text_files_under_each_others_names_are_told(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "x_urls.txt").write_text(" one\n two\n")
    (tmp_path / "x_captions.txt").write_text("http://static.flickr.com/1/2_a.jpg\nhttp://static.flickr.com/1/3_a.jpg\n")
    with pytest.raises(InputError, match=r"(?s)x_urls\.txt:byte 0: not an annotation file.*an address a line"):
        read_all(SOURCE, tmp_path / "x_urls.txt", tmp_path / "x_captions.txt")
