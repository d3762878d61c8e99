"""How far something is, as a line: all of it in a log, as much as finds room on a terminal."""

from __future__ import annotations

import pytest

from pmd.terminal import bar
from pmd.terminal.bar import State

FETCH = State("images", 1204, 1675, 40.0, ("slowest flickr.com 0.8 s", "210 MB, 5.25 MB/s", "ok 1,100", "dead 104"))


def test_a_log_has_everything() -> None:
    assert bar.line(FETCH) == (
        "40 s: 1,204/1,675 images (71 %), 16 s left, 30/s, slowest flickr.com 0.8 s, 210 MB, 5.25 MB/s, ok 1,100, dead 104"
    )


@pytest.mark.parametrize("width", [*range(1, 200)])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_terminal_s_line_is_never_longer_than_it(width: int, ascii_only: bool) -> None:
    line = bar.drawn(FETCH, width, ascii_only=ascii_only)
    assert 0 < len(line) <= width
    assert line.isascii() == (ascii_only or not set(line) & set("━╌"))


def test_at_80_columns_there_is_a_bar_and_all_that_matters() -> None:
    assert bar.drawn(FETCH, 80) == "━━━━━━━━╌╌╌ 1,204/1,675 images (71 %), 16 s left, 30/s, slowest flickr.com 0.8 s"
    assert (
        bar.drawn(FETCH, 80, ascii_only=True)
        == "########--- 1,204/1,675 images (71 %), 16 s left, 30/s, slowest flickr.com 0.8 s"
    )


def test_at_40_columns_the_least_important_goes_first() -> None:
    assert bar.drawn(FETCH, 40) == "━━━━━━━━━━╌╌╌╌ 1,204/1,675 images (71 %)"


def test_without_a_total_there_is_no_bar_and_no_time_left() -> None:
    assert bar.drawn(State("rows", 4_000, None, 2.0), 80) == "4,000 rows, 2,000/s"
    assert bar.words(State("rows", 0, None, 2.0)) == []
    assert bar.drawn(State("rows", 0, None, 2.0), 80) == ""


@pytest.mark.parametrize(("done", "share"), [(0, "0 %"), (1, "0 %"), (1674, "99 %"), (1675, "100 %"), (1700, "100 %")])
def test_all_is_done_only_when_all_is(done: int, share: str) -> None:
    assert f"({share})" in bar.words(State("images", done, 1675, 1.0))[0]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_times(seconds: float, said: str) -> None:
    assert bar.duration(seconds) == said


@pytest.mark.parametrize(
    ("count", "unit", "said"),
    [
        (1, "images", "1 image"),
        (1204, "images", "1,204 images"),
        (12, "bytes", "12 B"),
        (1_210_000_000, "bytes", "1.21 GB"),
        (3e15, "bytes", "3,000 TB"),
    ],
)
def test_amounts(count: float, unit: str, said: str) -> None:
    assert bar.amount(count, unit) == said
