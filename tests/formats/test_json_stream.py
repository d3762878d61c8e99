"""JSON documents by element, JSON Lines by line: values, and errors with their byte."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.formats.json_stream import objects, objects_of, parse_json_lines
from pmd.formats.lines import INVALID_UTF8, read_lines

EXPECTED = "COCO captions: an object with a list `annotations`"


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def read(path: str, prefix: str = "annotations.item") -> list[Any]:
    return [value for _, value in objects(path, prefix, expected=EXPECTED)]


def test_elements_are_python_values_with_their_index(tmp_path: Path) -> None:
    values: list[Any] = [{"id": 1, "x": 2.5, "ä": "\U0001f600\u0000"}, None, True, [], 1e3, 2**53, "s"]
    path = write(tmp_path / "a.json", json.dumps({"info": {"item": 1}, "annotations": values, "z": [9]}).encode())
    assert list(objects(path, "annotations.item", expected=EXPECTED)) == list(enumerate(values))
    assert isinstance(read(path)[0]["id"], int)
    assert isinstance(read(path)[4], float)
    assert read(write(tmp_path / "b.json", json.dumps(values).encode()), "item") == values


def test_compressed_documents_and_members(tmp_path: Path) -> None:
    document = json.dumps({"annotations": list(range(100_000))}).encode()
    assert read(write(tmp_path / "a", gzip.compress(document))) == list(range(100_000))
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("x.json", document)
        archive.writestr("y.json", b"[")
    path = str(tmp_path / "z")
    assert sum(1 for _ in objects(path, "annotations.item", member="x.json", expected=EXPECTED)) == 100_000
    with pytest.raises(InputError, match=r"z!/y\.json:byte 1: the JSON document ends too early"):
        list(objects(path, "item", member="y.json", expected=EXPECTED))


def test_several_prefixes_in_one_pass(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        json.dumps({"images": [{"id": n} for n in range(20_000)], "annotations": ["a"], "none": []}).encode(),
    )
    found: dict[str, list[tuple[int, Any]]] = {"annotations.item": [], "images.item": [], "none.item": []}
    for prefix, index, value in objects_of(path, list(found), expected=EXPECTED):
        found[prefix].append((index, value))
    assert found["images.item"] == [(n, {"id": n}) for n in range(20_000)]
    assert found["annotations.item"] == [(0, "a")]
    assert found["none.item"] == []


def test_an_empty_list_is_no_error(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", b'{"annotations": []}')) == []
    assert read(write(tmp_path / "b", b" [ ] "), "item") == []


FILLER = b'{"annotations": [' + b'{"id": 1}, ' * 20_000


@pytest.mark.parametrize(
    ("document", "byte", "problem"),
    [
        (b"", 0, "the file is empty"),
        (b'{"annotations": [1, 2', 21, "the JSON document ends too early: the file is truncated"),
        (FILLER, len(FILLER), "the JSON document ends too early: the file is truncated"),
        (FILLER + b"1]", len(FILLER) + 2, "the JSON document ends too early: the file is truncated"),
        (FILLER + b"oops]}", len(FILLER), "not valid JSON: lexical error: invalid char in json text"),
        (FILLER + b"1]} x", len(FILLER) + 4, "not valid JSON: parse error: trailing garbage"),
        (b'{"annotations": [1]}\n{}', 21, "not valid JSON: parse error: trailing garbage"),
        (b'{"annotations": ["\xff"]}', 18, "not valid JSON: lexical error: invalid bytes in UTF8 string"),
        (b'{"annotations": [NaN]}', 17, "not valid JSON: lexical error: invalid char in json text"),
        (b"caption\thttp://x/y.jpg\n", 0, "not valid JSON: lexical error: invalid char in json text"),
    ],
)
def test_a_document_that_is_not_json_names_the_byte(tmp_path: Path, document: bytes, byte: int, problem: str) -> None:
    path = write(tmp_path / "a.json", document)
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.where == f"{path}:byte {byte}"
    assert caught.value.problem == problem
    assert caught.value.expected == EXPECTED
    path = write(tmp_path / "a.json.gz", gzip.compress(document))
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.where == f"{path}:decompressed byte {byte}"


@pytest.mark.parametrize(
    ("document", "prefix", "byte", "found"),
    [
        (b"[1]", "annotations.item", 0, "a list"),
        (b'"text"', "annotations.item", 0, "a single value"),
        (b"{}", "annotations.item", 2, "an object without keys"),
        (b'{"images": [], "info": {"year": 1}}', "annotations.item", 35, "an object with the keys 'images', 'info'"),
        (b'{"annotations": {"a": 1}}', "annotations.item", 25, "an object at 'annotations'"),
        (b'{"annotations": 3}', "annotations.item", 18, "a single value at 'annotations'"),
        (b'{"a": [1]}', "item", 0, "an object with the keys 'a'"),
    ],
)
def test_a_document_of_another_shape_says_what_it_is(
    tmp_path: Path, document: bytes, prefix: str, byte: int, found: str
) -> None:
    path = write(tmp_path / "a.json", document)
    with pytest.raises(InputError) as caught:
        read(path, prefix)
    assert caught.value.where == f"{path}:byte {byte}"
    assert caught.value.expected == EXPECTED
    assert found in str(caught.value.found)


def test_the_absent_one_of_several_prefixes_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", b'{"images": [1]}')
    with pytest.raises(InputError, match="no list at 'annotations'"):
        list(objects_of(path, ["images.item", "annotations.item"], expected=EXPECTED))


def test_json_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"a": 1}\r\n\n{"a": \nnull\n"\xff"\n[1.5, "\xc3\xa9"]')
    (batch,) = read_lines(path)
    rows = list(parse_json_lines(batch))
    assert [row[0] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row[1] for row in rows] == [{"a": 1}, None, None, None, None, [1.5, "é"]]
    assert rows[0][2] is None
    assert rows[1][2] == "not JSON: an empty line"
    assert str(rows[2][2]).startswith("not JSON: ")
    assert rows[3] == (3, None, None)
    assert rows[4][2] == f"{INVALID_UTF8} at byte 1"
    assert rows[5][2] is None


def test_genuine_documents(samples: Path) -> None:
    folder = samples / "coco"
    assert sum(1 for _ in objects(str(folder / "captions_train2017.json"), "annotations.item", expected="x")) == 400
    cut = str(folder / "truncated_captions_val2017.json")
    with pytest.raises(InputError) as caught:
        read(cut)
    assert caught.value.where == f"{cut}:byte 1048576"
