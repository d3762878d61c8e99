"""A row that no memory should hold is lost alone, in every form of every source whose rows have ends that can be found."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd import sources
from pmd.errors import InputError
from pmd.formats import lines, tsv
from tests.sources.test_wit import COLUMNS

ReadAll = Callable[..., list[dict[str, Any]]]

_LIMIT = 1_000_000
_LONG = "long " * 500_000
_PHOTO = "\t".join(
    ["", "", "", "2012-02-16 09:56:37.0", "1331840483", "", "{}", "", "", "", "", "", "", "http://f.example/p",
     "http://farm8.staticflickr.com/7205/{}_df7747990d.jpg", "", "", "7205", "8", "df7747990d", "692d7e0a7f", "jpg", "0"]
)  # fmt: skip


def _photo(number: int, title: str) -> str:
    return f"{number}" + _PHOTO.format(title, number)


def _wit(number: int, text: str) -> str:
    row = dict.fromkeys(COLUMNS, "") | {
        "language": "en",
        "page_url": f"https://en.wikipedia.org/wiki/{number}",
        "image_url": f"https://upload.wikimedia.org/wikipedia/commons/0/0b/{number}.jpg",
        "caption_reference_description": f'"{text}\nof {number}"',
        **dict.fromkeys(("is_main_image", "attribution_passes_lang_id", "page_changed_recently"), "true"),
    }
    return "\t".join(row.values())


def _narrative(number: int, text: str) -> str:
    row = {"dataset_id": "mscoco_val2017", "image_id": f"{number}", "annotator_id": 1, "caption": f"{text}."}
    return json.dumps(row)


def _pair(number: int, text: str) -> str:
    return json.dumps({"url": f"http://a.example/{number}.jpg", "caption": text})


#: Source, the file's name, what stands above its rows, and a row of a number and a text.
FORMS: dict[str, tuple[str, str, str, Callable[[int, str], str]]] = {
    "cc3m": ("conceptual_captions", "a.tsv", "", lambda n, text: f"{text}\thttp://a.example/{n}.jpg"),
    "cc12m": ("conceptual_12m", "a.tsv", "", lambda n, text: f"http://a.example/{n}.jpg\t{text}"),
    "jsonl": ("conceptual_12m", "a.jsonl", "", _pair),
    "csv": ("conceptual_12m", "a.csv", "url,caption\n", lambda n, text: f'http://a.example/{n}.jpg,"{text}\n, of {n}"'),
    "tsv": ("url_text", "a.tsv", "url\ttext\n", lambda n, text: f"http://a.example/{n}.jpg\t{text}"),
    "sbu table": ("sbu_captions", "a.tsv", "url\tcaption\n", lambda n, text: f"http://a.example/{n}.jpg\t{text}"),
    "yfcc100m": ("yfcc100m", "yfcc100m_dataset", "", _photo),
    "wit": ("wit", "a.tsv", "\t".join(COLUMNS) + "\n", _wit),
    "narratives": ("localized_narratives__coco", "coco_val.jsonl", "", _narrative),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_long_row_is_lost_alone(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, form: str, packed: bool
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", _LIMIT)
    monkeypatch.setattr(lines, "_PIECE_BYTES", 100_000)
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", _LIMIT)
    source, name, top, row = FORMS[form]
    rows = [row(1, "a house on a hill"), row(2, _LONG), row(3, "a boat on the lake")]
    content = (top + "\n".join(rows) + "\n").encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    found = read_all(sources.load(source), path)
    lost = [one for one in found if one["reason"] is not None]
    assert [one["reason"] for one in lost] == ["malformed_row"]
    assert str(len(rows[1])) in lost[0]["detail"] or str(len(rows[1]) + 1) in lost[0]["detail"]
    quoted = form in ("csv", "wit")
    assert lost[0]["where"].endswith(f":line {2 + 2}" if quoted else f"byte {len(top) + len(rows[0]) + 1}")
    if quoted:
        assert lost[0]["detail"].endswith(f"that begins at byte {len(top) + len(rows[0]) + 1}")
    kept = [one["text"] for one in found if one["reason"] is None]
    assert [text.removesuffix(".").partition("\n")[0] for text in kept] == ["a house on a hill", "a boat on the lake"]


@pytest.mark.parametrize("word", ["urls", "captions"])
def test_a_long_line_of_a_pair_of_files_takes_its_fellow_along(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """Else every caption behind it would be of the picture before."""
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", _LIMIT)
    monkeypatch.setattr(lines, "_PIECE_BYTES", 100_000)
    files = {
        "urls": ["http://a.example/1.jpg", "http://a.example/2.jpg", "http://a.example/3.jpg"],
        "captions": ["one", "two", "three"],
    }
    files[word][1] = _LONG
    for name, said in files.items():
        (tmp_path / f"SBU_captioned_photo_dataset_{name}.txt").write_text("\n".join(said) + "\n")
    found = read_all(sources.load("sbu_captions"), *sorted(tmp_path.iterdir()))
    assert [(row["image_url"], row["text"], row["reason"]) for row in found] == [
        ("http://a.example/1.jpg", "one", None),
        (None, None, "malformed_row"),
        ("http://a.example/3.jpg", "three", None),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_first_row_that_is_too_long_tells_nothing_of_the_file(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    source, name, top, row = FORMS[form]
    if top:
        pytest.skip("its header stands first")
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", _LIMIT)
    monkeypatch.setattr(lines, "_PIECE_BYTES", 100_000)
    path = tmp_path / name
    path.write_text(row(2, _LONG) + "\n" + row(1, "a house on a hill") + "\n")
    with pytest.raises(InputError, match=f"byte 0: a line is longer than {_LIMIT} bytes"):
        read_all(sources.load(source), path)
