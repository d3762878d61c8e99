"""The map of the world: every country once, put together from time zones."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tzfpy

from pmd.audit.report import worldmap


def test_the_file_has_what_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = worldmap.put_together()
    assert whole == worldmap.shapes(), "run: python benchmarks/place_cells.py --write"
    monkeypatch.setattr(tzfpy, "data_version", lambda: "another")
    monkeypatch.setattr(worldmap, "put_together", lambda: {"FR": "M0 0l1 0z"})
    worldmap.shapes.cache_clear()
    try:
        assert worldmap.shapes() == {"FR": "M0 0l1 0z"}
    finally:
        worldmap.shapes.cache_clear()


def test_every_country_has_a_shape() -> None:
    shapes = worldmap.shapes()
    assert {"US", "VN", "TH", "XK", "RS", "PS", "VA", "SG", "TW", "NZ", "FJ"} <= set(shapes)
    assert "AQ" not in shapes
    assert len(shapes) > 235
    assert all(re.fullmatch(r"(M-?\d+ -?\d+(l[-\d ]+|h2v2h-2)z)+", path) for path in shapes.values())
    assert sum(map(len, shapes.values())) < 100_000


def test_lines_between_zones_of_a_country_are_none() -> None:
    left = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]])
    right = np.array([[2, 0], [4, 0], [4, 2], [2, 2], [2, 0]])
    (outline,) = worldmap._dissolved([left, right])
    assert {tuple(spot) for spot in outline.tolist()} == {(0, 0), (2, 0), (4, 0), (4, 2), (2, 2), (0, 2)}
    assert worldmap._area(outline) == 8
    assert len(worldmap._dissolved([left, right + np.array([10, 0])])) == 2


def test_what_is_drawn_has_its_class_and_says_what_it_is() -> None:
    drawn = worldmap.drawing({"FR": 5}, {"FR": "France: <1>"}, "Photographs")
    assert 'class="land fill-5"' in drawn
    assert "<title>France: &lt;1&gt;</title>" in drawn
    assert drawn.count("<path") == len(worldmap.shapes())
