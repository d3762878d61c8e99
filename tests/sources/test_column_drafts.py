"""Columns into drafts: lines as JSON objects."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.formats.tsv import SplitColumns, split_columns
from pmd.sources import column_drafts

_FIELD = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=4) | st.sampled_from(
    ["", "a", '"', "\\", "\x00", "\x1f", "\x7f", "\u2028", "日本"]
)


def _cut(rows: list[tuple[str, str, str]]) -> SplitColumns:
    return split_columns(pa.array(["\t".join(row).encode() for row in rows], pa.large_binary()), columns=[3])


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(_FIELD, _FIELD, _FIELD), max_size=12), data=st.data())
def test_lines_are_the_objects_of_their_columns(rows: list[tuple[str, str, str]], data: st.DataObject) -> None:
    names = ("one", 'a "name"', "three")
    cut = _cut(rows)
    lines = np.array([number for number in range(len(rows)) if data.draw(st.booleans())], np.int64)
    further = pa.StructArray.from_arrays(
        [pa.array([data.draw(st.sampled_from(["x", '"'])) for _ in lines], pa.string())], names=["said"]
    )
    objects = column_drafts.lines_as_objects(cut, names, lines, {"_pmd": further})
    columns = {name: cut.column(place, lines) for place, name in enumerate(names)}
    assert objects.to_pylist() == column_drafts.json_objects({**columns, "_pmd": further}).to_pylist()
    for number, object_ in zip(lines, objects.to_pylist(), strict=True):
        assert list(json.loads(object_).values())[:3] == list(rows[number])


def test_only_lines_that_need_it_are_cut_into_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    cuts: list[list[int]] = []
    column = SplitColumns.column

    def count(self: SplitColumns, index: int, lines: np.ndarray) -> pa.Array:
        cuts.append(lines.tolist())
        return column(self, index, lines)

    monkeypatch.setattr(SplitColumns, "column", count)
    cut = _cut([("a", "b", "c"), ("a", 'b"', "c"), ("", "", "")])
    further = {"n": pa.array([1, 2, 3])}
    found = column_drafts.lines_as_objects(cut, ("x", "y", "z"), np.arange(3), further)
    assert [json.loads(one) for one in found.to_pylist()] == [
        {"x": "a", "y": "b", "z": "c", "n": 1},
        {"x": "a", "y": 'b"', "z": "c", "n": 2},
        {"x": "", "y": "", "z": "", "n": 3},
    ]
    assert cuts == [[1]] * 3
