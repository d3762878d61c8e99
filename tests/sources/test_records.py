"""JSON records: what is found in archives, how fields are judged, and digests that order of keys does not change."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmd.errors import InputError
from pmd.sources import records
from pmd.sources.contract import DRAFT_ROWS, InputFile

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_the_order_of_keys_changes_no_digest(record: dict[str, Any]) -> None:
    turned = dict(reversed(record.items()))
    assert records.row_digest(record) == records.row_digest(turned)
    assert records.row_digest(record, turned) != records.row_digest(record)


def test_meta_keeps_upstreams_order_and_characters() -> None:
    assert records.meta({"b": 'é"', "a": None, "c": [True, 1.5]}) == '{"b":"é\\"","a":null,"c":[true,1.5]}'


@pytest.mark.parametrize(
    ("judge", "value", "detail"),
    [
        (records.text, None, "k: expected a string, found null"),
        (records.text, 5, "k: expected a string, found 5"),
        (records.text, {"a": 1}, "k: expected a string, found an object"),
        (records.text, ..., "k: missing"),
        (records.integer, True, "k: expected a whole number, found true"),
        (records.integer, "5", 'k: expected a whole number, found "5"'),
        (records.integer, 5.5, "k: expected a whole number, found 5.5"),
        (records.integer, 2.0**53, "k: expected a whole number, found 9007199254740992.0"),
        (records.integer, "x" * 99, f'k: expected a whole number, found "{"x" * 59}…'),
        (records.number, False, "k: expected a number, found false"),
        (records.items, {}, "k: expected a list, found an object"),
        (records.pixels, 0, "k: expected a size in pixels, found 0"),
        (records.pixels, 2**31, "k: expected a size in pixels, found 2147483648"),
        (records.optional_text, False, "k: expected a string, found false"),
        (records.optional_integer, "", 'k: expected a whole number, found ""'),
        (records.optional_pixels, False, "k: expected a whole number, found false"),
        (records.optional_pixels, -1, "k: expected a size in pixels, found -1"),
    ],
)
def test_what_is_not_as_it_should_be(judge: Callable[[dict[str, Any], str], Any], value: Any, detail: str) -> None:
    with pytest.raises(records.Malformed) as error:
        judge({} if value is ... else {"k": value}, "k")
    assert str(error.value) == detail


@pytest.mark.parametrize(
    ("judge", "value"),
    [
        (records.text, ""),
        (records.text, "false"),
        (records.integer, -5),
        (records.integer, 5.0),
        (records.number, 1.5),
        (records.items, []),
        (records.pixels, 2**31 - 1),
        (records.optional_text, None),
        (records.optional_integer, None),
        (records.optional_pixels, None),
    ],
)
def test_what_is(judge: Callable[[dict[str, Any], str], Any], value: Any) -> None:
    found = judge({"k": value}, "k")
    assert found == value
    assert judge is not records.integer or type(found) is int


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, 7), (7.0, 7), (2.0**53 - 1, 2**53 - 1), (None, None), (0.0, None), (-1.0, None), ("None", None), ("7", 7)],
)
def test_ids_of_somebody_else(value: Any, expected: int | None) -> None:
    found = records.optional_id({"k": value}, "k")
    assert found == expected
    assert isinstance(found, int | None)


@pytest.mark.parametrize("value", [7.5, 2.0**53, "7.5", "x7", "007", True])
def test_what_is_no_id_of_somebody_else(value: Any) -> None:
    with pytest.raises(records.Malformed, match="k: expected a whole number"):
        records.optional_id({"k": value}, "k")


def test_a_size_of_0_is_none() -> None:
    assert records.optional_pixels({"k": 0}, "k") is None
    assert records.optional_pixels({}, "k") is None


def test_documents_of_files_and_archives(tmp_path: Path) -> None:
    plain, zipped, tarred = tmp_path / "b.json", tmp_path / "a.zip", tmp_path / "c.tar"
    plain.write_text("{}")
    with zipfile.ZipFile(zipped, "w") as file:
        for name in ("x/z.json", "x/y.json", "x/readme.txt"):
            file.writestr(name, "{}")
    with tarfile.open(tarred, "w") as file:
        file.add(plain, "d/w.json")
    files = [InputFile(str(path), 2) for path in (plain, tarred, zipped, plain)]
    expected = [(str(zipped), "x/y.json"), (str(zipped), "x/z.json"), (str(plain), None), (str(tarred), "d/w.json")]
    assert records.documents(files, r".*\.json", expected="*.json") == expected
    named = [InputFile(f"{zipped}!/x/readme.txt", 2)]
    assert records.documents(named, r".*\.json", expected="*.json") == [(str(zipped), "x/readme.txt")]
    with pytest.raises(InputError) as error:
        records.documents(files, r"v\.json", expected="v.json")
    assert str(error.value) == (
        f"{tarred}: the archive holds no annotation file of this source\n"
        "  expected: v.json\n"
        "  found: d/w.json\n"
        "  remedy: check that it is the archive that the source's manifest names"
    )


def test_batches_are_bounded() -> None:
    drafts = ({"row_digest": n.to_bytes(16, "big"), "source_id": str(n)} for n in range(DRAFT_ROWS + 1))
    sizes = [len(batch) for batch in records.batches(drafts)]
    assert sizes == [DRAFT_ROWS, 1]
    assert list(records.batches([])) == []


def test_names_in_capitals_are_names_too(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("TRAIN.TSV", "a")
        archive.writestr("val.tsv", "b")
    assert records.documents([InputFile(str(path), 1)], r".*\.tsv", expected="*.tsv") == [
        (str(path), "TRAIN.TSV"),
        (str(path), "val.tsv"),
    ]
