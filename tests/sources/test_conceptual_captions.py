"""Conceptual Captions, by golden lines in upstream's format and by the genuine files."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd import escape
from pmd.errors import InputError
from pmd.schema import keys
from pmd.sources.conceptual_captions import SOURCE
from pmd.sources.contract import InputFile
from pmd.sources.two_columns import NAMES

ReadAll = Callable[..., list[dict[str, Any]]]

#: Ten lines and the odd ones: unpaired quote, unicode, "false", twice the same, empty, lost ones.
LINES: tuple[bytes, ...] = (
    b"a very typical bus station\thttp://lh6.example.com/a/IMG_3422.JPG?imgmax=800",
    b"\thttps://img.example.com/7.jpg",
    b'" quoted at one end only\thttps://img.example.com/2.jpg',
    "caf\u00e9 \u2014 \u6771\u4eac \U0001f680\thttps://img.example.com/3.jpg".encode(),
    b"false\thttps://img.example.com/4.jpg",
    b"  two  spaces \thttps://img.example.com/5.jpg",
    b"a very typical bus station\thttp://lh6.example.com/a/IMG_3422.JPG?imgmax=800",
    b"no url at all\t",
    b"no tab at all",
    b"one\ttab too many\thttps://img.example.com/10.jpg",
    b"latin caf\xe9\thttps://img.example.com/11.jpg",
    b"",
    b"back\\slash and \x01 control\tftp://img.example.com/13.jpg",
)
VALIDATION: tuple[bytes, ...] = (
    b"author : a life in photography -- in pictures\thttps://img.example.com/v1.jpg",
    b"an angler fishes river on a snowy day .\thttp://img.example.com/v2.jpg",
    b"a brave person\thttp://img.example.com/v3.jpg",
)
GOLDEN_OPTIONS: dict[str, Any] = {}


def write_golden(folder: Path) -> list[str]:
    """Write upstream's two files."""
    train, validation = folder / "Train_GCC-training.tsv", folder / "Validation_GCC-1.1.0-Validation.tsv"
    train.write_bytes(b"".join(line + b"\n" for line in LINES))
    validation.write_bytes(b"".join(line + b"\n" for line in VALIDATION))
    return [str(train), str(validation)]


def _row(line: int, text: str | None, url: str | None, caption: str | None = None, **others: Any) -> dict[str, Any]:
    """Return the draft expected of a line; `caption` is upstream's where it differs from the text."""
    columns = {
        "source_id": None,
        "row_digest": keys.digest(LINES[line]),
        "image_url": url,
        "text": text,
        "meta": None
        if text is None
        else json.dumps({"caption": text, "image_url": url or ""}, ensure_ascii=False, separators=(",", ":")),
        "text_licence": None if text is None else "NOASSERTION",
        "image_licence": None if text is None else "NOASSERTION",
        "split": None if text is None else "train",
        "reason": None,
        "detail": None,
    }
    return columns | others


EXPECTED = [
    _row(0, "a very typical bus station", "http://lh6.example.com/a/IMG_3422.JPG?imgmax=800"),
    _row(1, "", "https://img.example.com/7.jpg"),
    _row(2, '" quoted at one end only', "https://img.example.com/2.jpg"),
    _row(3, "café — 東京 🚀", "https://img.example.com/3.jpg"),
    _row(4, "false", "https://img.example.com/4.jpg"),
    _row(5, "  two  spaces ", "https://img.example.com/5.jpg"),
    _row(6, "a very typical bus station", "http://lh6.example.com/a/IMG_3422.JPG?imgmax=800"),
    _row(7, "no url at all", None, reason="no_image"),
    _row(12, "back\\slash and \x01 control", "ftp://img.example.com/13.jpg"),
    _row(8, None, None, reason="malformed_row", detail="expected 2 fields, found 1"),
    _row(9, None, None, reason="malformed_row", detail="expected 2 fields, found 3"),
    _row(10, None, None, reason="bad_encoding", detail="invalid UTF-8 at byte 9 of the line"),
    _row(11, None, None, reason="malformed_row", detail="expected 2 fields, found 1"),
]


def test_golden_rows(tmp_path: Path, read_all: ReadAll) -> None:
    train, _ = write_golden(tmp_path)
    rows = read_all(SOURCE, train)
    assert [{name: row[name] for name in EXPECTED[0]} for row in rows] == EXPECTED
    for row in rows:
        assert row["identity"] is row["mirrors"] is row["file_name"] is row["region"] is row["licence_evidence"] is None
    # Kept lines first, then the lost ones; each says where it starts.
    starts = [sum(len(line) + 1 for line in LINES[:i]) for i in (*range(8), 12, 8, 9, 10, 11)]
    assert [row["where"] for row in rows] == [f"{train}:byte {start}" for start in starts]


def test_the_splits_are_the_files(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, *write_golden(tmp_path))
    assert [row["text"] for row in rows if row["split"] == "validation"] == [
        line.decode().split("\t")[0] for line in VALIDATION
    ]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_line_ends_and_compression_change_nothing(tmp_path: Path, read_all: ReadAll, end: bytes) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_bytes(gzip.compress(end.join(LINES) + end))
    assert [{name: row[name] for name in EXPECTED[0]} for row in read_all(SOURCE, path)] == EXPECTED


def test_conceptual_12m_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_text("https://img.example.com/1.jpg\tTwo syringes and a small vial of vaccine.\n")
    with pytest.raises(InputError) as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], SOURCE.options())
    assert str(caught.value) == (
        f"{path}:byte 0: the columns are in the other order\n"
        "  expected: lines of caption<TAB>image_url\n"
        "  found: https://img.example.com/1.jpg\\tTwo syringes and a small vial of vaccine.\n"
        "  remedy: name this file under [sources.conceptual_12m]"
    )


def test_captions_that_are_addresses_do_not_hide_the_other_order(tmp_path: Path) -> None:
    path = tmp_path / "cc12m.tsv"
    texts = ["Two syringes", "https://www.example.com/shop", "http://example.org", "A vial"]
    path.write_text("".join(f"https://img.example.com/{i}.jpg\t{text}\n" for i, text in enumerate(texts)))
    with pytest.raises(InputError, match="the columns are in the other order"):
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], SOURCE.options())


def test_a_caption_that_is_an_address_is_one(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text("http://example.org\thttps://img.example.com/1.jpg\n")
    (row,) = read_all(SOURCE, path)
    assert (row["text"], row["image_url"]) == ("http://example.org", "https://img.example.com/1.jpg")


def test_the_part_with_labels_has_the_ids_of_the_whole(tmp_path: Path, read_all: ReadAll) -> None:
    whole, labelled = (
        tmp_path / "Train_GCC-training.tsv",
        tmp_path / "Image_Labels_Subset_Train_GCC-Labels-training.tsv",
    )
    pairs = [b"a bus station\thttps://img.example.com/1.jpg", b"false\thttps://img.example.com/2.jpg"]
    behind = [b"\tbus,station\t/m/01bjv,/m/0195fx\t0.98,0.7", b"\t\t\t"]
    whole.write_bytes(b"\n".join(pairs))
    labelled.write_bytes(b"\n".join([*(one + more for one, more in zip(pairs, behind, strict=True)), b"two\tfields"]))
    *rows, lost = read_all(SOURCE, labelled)
    names = [name for name in rows[0] if name != "where"]
    assert [[row[name] for name in names] for row in rows] == [
        [row[name] for name in names] for row in read_all(SOURCE, whole)
    ]
    assert rows[0]["where"] == f"{labelled}:byte 0"  # no line of it is a header
    assert (lost["reason"], lost["detail"]) == ("malformed_row", "expected 5 fields, found 2")


def test_the_part_with_labels_may_have_a_header(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "labelled.tsv"
    path.write_text(
        "caption\turl\tlabels\tMIDs\tconfidence_scores\na bus\thttps://img.example.com/1.jpg\tbus\t/m/01bjv\t0.98\n"
    )
    (row,) = read_all(SOURCE, path)
    assert (row["row_digest"], row["reason"]) == (keys.digest(b"a bus\thttps://img.example.com/1.jpg"), None)


def test_prose_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "readme.txt"
    path.write_text("Conceptual Captions\tis a data set\n")
    with pytest.raises(InputError, match="not a file of conceptual_captions"):
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], SOURCE.options())


@pytest.mark.parametrize(
    ("file", "split", "count"),
    [("Validation_GCC-1.1.0-Validation.head5000.tsv", "validation", 5000), ("Train_GCC-training.tsv", "train", 5)],
)
def test_genuine_lines(samples: Path, read_all: ReadAll, file: str, split: str, count: int) -> None:
    path = samples / "cc3m" / file
    rows = read_all(SOURCE, path)
    genuine = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert len(rows) == count
    assert [[row["text"], row["image_url"]] for row in rows] == genuine
    assert [list(json.loads(row["meta"]).items()) for row in rows] == [
        [("caption", caption), ("image_url", url)] for caption, url in genuine
    ]
    assert {row["split"] for row in rows} == {split}
    assert [row["row_digest"] for row in rows] == [keys.digest("\t".join(fields)) for fields in genuine]


def _drafts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return drafts without their places, in the order of their digests."""
    return sorted(({**row, "where": ""} for row in rows), key=lambda row: row["row_digest"])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("header", [b"caption\turl", b"TEXT\tURL", b" Caption \tImage_URL"])
def test_a_header_is_no_row(tmp_path: Path, read_all: ReadAll, header: bytes, mark: bytes, end: bytes) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_bytes(end.join(LINES))
    expected = read_all(SOURCE, path)
    path.write_bytes(mark + end.join([header, *LINES]))
    found = read_all(SOURCE, path)
    assert _drafts(found) == _drafts(expected)
    start = len(mark + header + end)
    assert [row["where"].removeprefix(f"{path}:byte ") for row in found] == [
        str(int(row["where"].removeprefix(f"{path}:byte ")) + start) for row in expected
    ]


def test_a_header_says_the_order_of_the_columns(tmp_path: Path, read_all: ReadAll) -> None:
    lines = [line for line in LINES if line.count(b"\t") == 1 and line.isascii()]
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_bytes(b"\n".join(lines))
    expected = read_all(SOURCE, path)
    swapped = [b"\t".join(line.split(b"\t")[::-1]) for line in lines]
    path.write_bytes(b"\n".join([b"url\tcaption", *swapped]))
    assert _drafts(read_all(SOURCE, path)) == _drafts(expected)
    more = [b"%d\t%s\ttrain" % (number, line) for number, line in enumerate(swapped)]
    path.write_bytes(b"\n".join([b"index\turl\tcaption\tsplit", *more]))
    assert _drafts(read_all(SOURCE, path)) == _drafts(expected)


def test_a_header_is_one_only_on_top_of_the_file(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_bytes(b"a cat\thttp://a.example/1.jpg\ncaption\turl\n")
    assert [row["image_url"] for row in read_all(SOURCE, path)] == ["http://a.example/1.jpg", "url"]
    path.write_bytes(b"caption\turl\n")
    assert read_all(SOURCE, path) == []


@pytest.mark.parametrize("header", ["caption", "url", "id\tsplit", "url\turl", "caption\turl\timage_url"])
def test_a_header_without_the_needed_columns_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text(f"{header}\na cat\thttp://a.example/1.jpg\n")
    with pytest.raises(InputError) as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], SOURCE.options())
    assert str(caught.value) == (
        f"{path}:byte 0: the header does not name the columns that are needed\n"
        "  expected: url and caption, each once\n"
        f"  found: {escape.terminal(header)}\n"
        "  remedy: name them so in the first line, or take the line away where the columns are upstream's: "
        "caption<TAB>image_url"
    )


def test_a_header_that_has_the_columns_in_the_wrong_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text("url\tcaption\na cat\thttp://a.example/1.jpg\n")
    with pytest.raises(InputError, match="the header has the columns in the other order") as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], SOURCE.options())
    assert caught.value.remedy == "mend the header"


def test_the_split_of_a_member_is_in_its_name(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "validation.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GCC-training.tsv", b"\n".join(LINES))
        archive.writestr("GCC-1.1.0-Validation.tsv", b"\n".join(VALIDATION))
        archive.writestr("README.txt", "about")
    rows = [row for row in read_all(SOURCE, path) if row["split"] is not None]
    assert {(row["where"].split("!/")[1].split(":")[0], row["split"]) for row in rows} == {
        ("GCC-training.tsv", "train"),
        ("GCC-1.1.0-Validation.tsv", "validation"),
    }


def test_the_documents_have_all_names_of_columns() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    told = re.findall("`([a-z_]+)`", text[text.index("- **A header** may stand on top") :].split("- **Ids**")[0])
    assert told == list(NAMES)


def test_one_line_of_another_edition_does_not_decide_which_one_a_file_is(tmp_path: Path, read_all: ReadAll) -> None:
    wide = "a {0}\thttps://img.example.com/{0}.jpg\tbus\t/m/01bjv\t0.98\n"
    path = tmp_path / "GCC-Labels-training.tsv"
    path.write_text("no labels\thttps://img.example.com/0.jpg\n" + "".join(wide.format(n) for n in range(3)))
    rows = read_all(SOURCE, path)
    assert sorted((row["text"] or "", row["reason"]) for row in rows) == [
        ("", "malformed_row"),
        ("a 0", None),
        ("a 1", None),
        ("a 2", None),
    ]


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_the_numbers_of_rows_that_pandas_writes_are_no_column(tmp_path: Path, read_all: ReadAll, name: str) -> None:
    path = tmp_path / "cc3m.tsv"
    path.write_text(f"{name}\tcaption\turl\n0\ta bus\thttps://img.example.com/1.jpg\n")
    plain = tmp_path / "GCC-training.tsv"
    plain.write_text("a bus\thttps://img.example.com/1.jpg\n")
    (numbered,), (row,) = read_all(SOURCE, path), read_all(SOURCE, plain)
    assert numbered | {"where": None} == row | {"where": None}
