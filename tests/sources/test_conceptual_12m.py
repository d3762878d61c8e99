"""Conceptual 12M, by golden lines in upstream's format and by the genuine file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.schema import keys
from pmd.sources.conceptual_12m import SOURCE
from pmd.sources.contract import InputFile

ReadAll = Callable[..., list[dict[str, Any]]]

#: Ten lines and the odd ones: a person, a quote, unicode, "false", twice the same, empty, lost ones, no final newline.
LINES: tuple[bytes, ...] = (
    b"https://img.example.com/1.jpg?fit=max&w=640\tMetal Slipper Chairs - a Pair For Sale - Image 7 of 10",
    b"https://img.example.com/2.jpg\tThe source of quotes : Photo <PERSON>, Art Images, Random",
    b'https://img.example.com/3.jpg\t"Quoted", as a csv reader would not',
    "https://img.example.com/4.jpg\tCaf\u00e9 \u2014 \u6771\u4eac \U0001f680".encode(),
    b"https://img.example.com/5.jpg\tfalse",
    b"https://img.example.com/2.jpg\tThe source of quotes : Photo <PERSON>, Art Images, Random",
    b"https://img.example.com/7.jpg\t",
    b"\tNo URL",
    b"https://img.example.com/9.jpg",
    b"https://img.example.com/10.jpg\tone tab\ttoo many",
    b"https://img.example.com/11.jpg\tna\xefve",
)
GOLDEN_OPTIONS: dict[str, Any] = {}


def write_golden(folder: Path) -> list[str]:
    """Write upstream's file."""
    path = folder / "cc12m.tsv"
    path.write_bytes(b"\n".join(LINES))
    return [str(path)]


def test_golden_rows(tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, *write_golden(tmp_path))
    assert [(row["image_url"], row["text"], row["reason"], row["detail"]) for row in rows] == [
        (
            "https://img.example.com/1.jpg?fit=max&w=640",
            "Metal Slipper Chairs - a Pair For Sale - Image 7 of 10",
            None,
            None,
        ),
        ("https://img.example.com/2.jpg", "The source of quotes : Photo <PERSON>, Art Images, Random", None, None),
        ("https://img.example.com/3.jpg", '"Quoted", as a csv reader would not', None, None),
        ("https://img.example.com/4.jpg", "Café — 東京 🚀", None, None),
        ("https://img.example.com/5.jpg", "false", None, None),
        ("https://img.example.com/2.jpg", "The source of quotes : Photo <PERSON>, Art Images, Random", None, None),
        ("https://img.example.com/7.jpg", "", None, None),
        (None, "No URL", "no_image", None),
        ("https://img.example.com/10.jpg", "one tab\ttoo many", None, None),
        (None, None, "malformed_row", "expected 2 fields, found 1"),
        (None, None, "bad_encoding", "invalid UTF-8 at byte 33 of the line"),
    ]
    # Those that are lost come last.
    assert [row["row_digest"] for row in rows] == [keys.digest(LINES[line]) for line in (*range(8), 9, 8, 10)]
    assert {row["split"] for row in rows[:8]} == {"train"}
    assert rows[2]["meta"] == (
        '{"image_url":"https://img.example.com/3.jpg","caption":"\\"Quoted\\", as a csv reader would not"}'
    )


def test_conceptual_captions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Train_GCC-training.tsv"
    path.write_text("a very typical bus station\thttp://img.example.com/1.jpg\n")
    with pytest.raises(InputError) as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], SOURCE.options())
    assert str(caught.value) == (
        f"{path}:byte 0: the columns are in the other order\n"
        "  expected: lines of image_url<TAB>caption\n"
        "  found: a very typical bus station\\thttp://img.example.com/1.jpg\n"
        "  remedy: name this file under [sources.conceptual_captions]"
    )


def test_genuine_lines(samples: Path, read_all: ReadAll) -> None:
    path = samples / "cc12m" / "cc12m.tsv"
    rows = read_all(SOURCE, path)
    genuine = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")]
    assert len(rows) == 5
    assert [[row["image_url"], row["text"]] for row in rows] == genuine
    assert [json.loads(row["meta"]) for row in rows] == [
        {"image_url": url, "caption": caption} for url, caption in genuine
    ]


def test_a_header_is_no_row(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_bytes(b"\n".join(LINES))
    expected = read_all(SOURCE, path)
    path.write_bytes(b"\n".join([b"url\tcaption", *LINES]))
    assert [{**row, "where": ""} for row in read_all(SOURCE, path)] == [{**row, "where": ""} for row in expected]
