"""JSON documents by element, JSON Lines by line: values, and errors with their byte."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.formats import json_stream
from pmd.formats.json_stream import Spoiled, objects, objects_of, parse_json_lines
from pmd.formats.lines import INVALID_UTF8, read_lines

EXPECTED = "COCO captions: an object with a list `annotations`"


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def read(path: str, name: str | None = "annotations") -> list[Any]:
    return [value for _, value in objects(path, name, expected=EXPECTED)]


def test_elements_are_python_values_with_their_index(tmp_path: Path) -> None:
    values: list[Any] = [{"id": 1, "x": 2.5, "ä": "\U0001f600\u0000"}, None, True, [], 1e3, 2**53, "s"]
    path = write(tmp_path / "a.json", json.dumps({"info": {"item": 1}, "annotations": values, "z": [9]}).encode())
    assert list(objects(path, "annotations", expected=EXPECTED)) == list(enumerate(values))
    assert isinstance(read(path)[0]["id"], int)
    assert isinstance(read(path)[4], float)
    assert read(write(tmp_path / "b.json", json.dumps(values).encode()), None) == values


def test_compressed_documents_and_members(tmp_path: Path) -> None:
    document = json.dumps({"annotations": list(range(100_000))}).encode()
    assert read(write(tmp_path / "a", gzip.compress(document))) == list(range(100_000))
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("x.json", document)
        archive.writestr("y.json", b"[")
    path = str(tmp_path / "z")
    assert sum(1 for _ in objects(path, "annotations", member="x.json", expected=EXPECTED)) == 100_000
    with pytest.raises(InputError, match=r"z!/y\.json:byte 1: the JSON document ends too early"):
        list(objects(path, None, member="y.json", expected=EXPECTED))


def test_several_lists_in_one_pass(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        json.dumps({"images": [{"id": n} for n in range(20_000)], "annotations": ["a"], "none": []}).encode(),
    )
    found: dict[str, list[tuple[int, Any]]] = {"annotations": [], "images": [], "none": []}
    for name, index, value in objects_of(path, list(found), expected=EXPECTED):
        found[name].append((index, value))
    assert found["images"] == [(n, {"id": n}) for n in range(20_000)]
    assert found["annotations"] == [(0, "a")]
    assert found["none"] == []


def test_an_empty_list_is_no_error(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a", b'{"annotations": []}')) == []
    assert read(write(tmp_path / "b", b" [ ] "), None) == []


FILLER = b'{"annotations": [' + b'{"id": 1}, ' * 20_000


@pytest.mark.parametrize(
    ("document", "byte", "problem"),
    [
        (b"", 0, "the file is empty"),
        (b'{"annotations": [1, 2', 21, "the JSON document ends too early: the file is truncated"),
        (FILLER, len(FILLER), "the JSON document ends too early: the file is truncated"),
        (FILLER + b"1]", len(FILLER) + 2, "the JSON document ends too early: the file is truncated"),
        (FILLER + b"oops]}", len(FILLER), "not valid JSON"),
        (FILLER + b"1]} x", len(FILLER) + 4, "not valid JSON"),
        (b'{"annotations": [1]}\n{}', 21, "not valid JSON"),
        (b'{"annotations": [1, ]}', 20, "not valid JSON"),
        (b'{"annotations": [1}', 18, "not valid JSON"),
        (b'{"annotations": [1 2]}', 19, "not valid JSON"),
        (b'{"annotations": [[1] [2]]}', 21, "not valid JSON"),
        (b'{"annotations": [{"id" 1}]}', 23, "not valid JSON"),
        (b'{"annotations" [1]}', 1, "not valid JSON"),
        (b'{"annotations": [1], "b": 1 [2]}', 26, "not valid JSON"),
        (b'{"annotations": [{"caption": "A "dog"."}, {"caption": "A cat."}]}', 33, "not valid JSON"),
        (b'{"annotations": [tru', 20, "the JSON document ends too early: the file is truncated"),
        (b'{"annotations": [nan]}', 17, "not valid JSON"),
        (b'{"annotations": [Infinit]}', 17, "not valid JSON"),
        (b"caption\thttp://x/y.jpg\n", 0, "not valid JSON"),
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
    ("document", "name", "byte", "found"),
    [
        (b"[1]", "annotations", 0, "a list"),
        (b'"text"', "annotations", 0, "a single value"),
        (b"{}", "annotations", 2, "an object without keys"),
        (b'{"images": [], "info": {"year": 1}}', "annotations", 35, "an object with the keys 'images', 'info'"),
        (b'{"annotations": {"a": 1}}', "annotations", 25, "an object at 'annotations'"),
        (b'{"annotations": 3}', "annotations", 18, "a single value at 'annotations'"),
        (b'{"a": [1]}', None, 0, "an object with the keys 'a'"),
    ],
)
def test_a_document_of_another_shape_says_what_it_is(
    tmp_path: Path, document: bytes, name: str | None, byte: int, found: str
) -> None:
    path = write(tmp_path / "a.json", document)
    with pytest.raises(InputError) as caught:
        read(path, name)
    assert caught.value.where == f"{path}:byte {byte}"
    assert caught.value.expected == EXPECTED
    assert found in str(caught.value.found)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b'{"caption": "caf\xe9"}', f"{INVALID_UTF8} at byte 17"),
        (rb'{"caption": "\udc00"}', "not JSON: "),
        (rb'{"caption": "\ud800\u0041"}', "not JSON: "),
        (b'{"caption": "two\nlines"}', "not JSON: "),
        (b'{"width": 1e999}', "not JSON: "),
        (b'{"width": NaN, "caption": "caf\xe9"}', f"{INVALID_UTF8} at byte"),
        (b'{"a": ' * 220 + b"NaN" + b"}" * 220, "nested deeper than 200 levels"),
        (b'{"width": ' + b"9" * 5000 + b"}", "not JSON: "),
        (b'{"a": ' * 300 + b"1" + b"}" * 300, "nested deeper than 200 levels"),
        (b"[" * 20_000 + b"]" * 20_000, "not JSON: "),
    ],
)
def test_a_value_that_cannot_be_read_spoils_no_other(tmp_path: Path, value: bytes, why: str) -> None:
    path = write(
        tmp_path / "a.json", b'{"info": ' + value + b', "annotations": [{"id": 1}, ' + value + b',{"id": 3} ]}'
    )
    first, spoiled, last = read(path)
    assert (first, last) == ({"id": 1}, {"id": 3})
    assert isinstance(spoiled, Spoiled)
    assert spoiled.raw.strip() == value
    assert spoiled.why.startswith(why)


def test_what_python_writes_where_pandas_has_no_value_is_null(tmp_path: Path) -> None:
    values = b'{"id": 1, "width": NaN, "size": [-Infinity, Infinity]}, NaN, {"caption": "NaN"}'
    path = write(tmp_path / "a.json", b'{"info": NaN, "annotations": [' + values + b"]}")
    assert read(path) == [{"id": 1, "width": None, "size": [None, None]}, None, {"caption": "NaN"}]


def test_integers_over_64_bits_come_as_floats(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json", b'{"annotations": [18446744073709551615, 18446744073709551616, -9223372036854775809]}'
    )
    assert read(path) == [2**64 - 1, float(2**64), -9223372036854775808.0]
    assert [type(value) for value in read(path)] == [int, float, float]


def test_cuts_between_chunks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"a\\": '\\"[{,:', "b": [1, {"c": "\u00e9\n"}]}, "\\\\", "}", 12345, [], {}]
    document = json.dumps({"x]": {"y": 'z"'}, "annotations": values, "z": []}, indent=1).encode()
    path = write(tmp_path / "a.json", b"\xef\xbb\xbf" + document)
    for size in (3, 4, 5, 7, 16, 1 << 18):
        monkeypatch.setattr(json_stream, "_CHUNK_BYTES", size)
        assert read(path) == values


@pytest.mark.parametrize("chunk", [b"a", rb"\"", b"[", b'{"a":', b"1, ", b'"b", '])
def test_a_value_without_an_end_is_not_read_to_the_end_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: bytes
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK_BYTES", 1 << 12)
    monkeypatch.setattr(json_stream, "MAX_VALUE_BYTES", 1 << 14)
    head = b'{"annotations": [{"id": 1}, ' + (b'"' if chunk in (b"a", rb"\"") else b"[")
    path = write(tmp_path / "a.json", head + chunk * ((1 << 16) // len(chunk)))
    with pytest.raises(InputError, match="a value is longer than 16384 bytes") as caught:
        read(path)
    assert caught.value.where == f"{path}:byte 27"


def test_two_lists_under_one_key_are_read_as_one(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.json", b'{"annotations": [1, 2], "a": 0, "annotations": [3]}')) == [1, 2, 3]


def test_the_absent_one_of_several_lists_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", b'{"images": [1]}')
    with pytest.raises(InputError, match="no list at 'annotations'"):
        list(objects_of(path, ["images", "annotations"], expected=EXPECTED))


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
    assert sum(1 for _ in objects(str(folder / "captions_train2017.json"), "annotations", expected="x")) == 400
    cut = str(folder / "truncated_captions_val2017.json")
    with pytest.raises(InputError) as caught:
        read(cut)
    assert caught.value.where == f"{cut}:byte 1048576"


@pytest.mark.parametrize("within", [b'"caption": "a', b'"caption": 1'])
def test_a_hole_is_an_error(tmp_path: Path, within: bytes) -> None:
    """Within a string its brackets match, and all that it stands for would be one bad row."""
    content = b'{"annotations": [{"id": 1}, {' + within + bytes(131_072) + b'"}, {"id": 9}]}'
    path = write(tmp_path / "a.json", content)
    with pytest.raises(InputError, match=rf"a\.json:byte {content.index(0)}: a part of the file was never written"):
        list(objects(path, "annotations", expected=EXPECTED))
