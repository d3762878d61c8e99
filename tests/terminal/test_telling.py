"""Commands that tell how far they are: lines of a log at sensible intervals, one line that a terminal writes over."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator

import pytest

from pmd.terminal import output, telling


def test_lines_of_a_log_become_fewer() -> None:
    waits = [telling.next_wait_s(seconds, terminal=False) for seconds in (0, 100, 1000, 100_000)]
    assert waits == [20.0, 20.0, 100.0, 600.0]
    assert telling.next_wait_s(100_000, terminal=True) == 1.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.LogCaptureFixture]:
    monkeypatch.setattr(logging.getLogger("pmd.progress"), "propagate", True)
    with caplog.at_level(logging.INFO, "pmd.progress"):
        yield caplog


def test_a_log_gets_a_line_now_and_then(clock: list[float], heard: pytest.LogCaptureFixture) -> None:
    with telling.telling("bytes") as tell:
        for second in range(61):
            clock[0] = float(second)
            tell(second * 1_000_000, 100_000_000)
    assert [record.getMessage() for record in heard.records] == [
        "20 s: 20.0 MB/100 MB (20 %), 1 min 20 s left, 1.00 MB/s",
        "40 s: 40.0 MB/100 MB (40 %), 1 min left, 1.00 MB/s",
        "1 min: 60.0 MB/100 MB (60 %), 40 s left, 1.00 MB/s",
    ]


def test_without_a_total_what_is_done_is_told(clock: list[float], heard: pytest.LogCaptureFixture) -> None:
    with telling.telling("images") as tell:
        clock[0] = 30.0
        tell(600, 0)
    assert [record.getMessage() for record in heard.records] == ["30 s: 600 images, 20/s"]


def test_signs_of_ours_have_others_in_an_ascii_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert output.sign("✓", "+") == "+"
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), "utf-8"))
    assert output.sign("✓", "+") == "✓"
