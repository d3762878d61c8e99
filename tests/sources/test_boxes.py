"""Boxes as regions."""

from __future__ import annotations

import pytest

from pmd.sources import boxes


@pytest.mark.parametrize(
    ("box", "expected", "noted"),
    [
        ((0, 0, 100, 50), [0, 0, 1, 1], False),
        ((-1, -1, 50, 25), [0, 0, 0.49, 0.48], False),
        ((-1.5, 0, 50, 25), [0, 0, 0.485, 0.5], True),
        ((float("inf"), 0, 1, 1), None, True),
        ((10, 10, -5, 5), None, True),
        ((-10, 0, 10, 5), None, True),
    ],
)
def test_fractions(box: tuple[float, ...], expected: list[float] | None, noted: bool) -> None:
    found, note = boxes.fractions(box, 100, 50)
    assert found == expected
    assert (note is not None) == noted
