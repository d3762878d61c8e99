"""Runs that end at a given time: what the time is, and when lanes are asked to end."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

import pytest

from pmd.errors import ConfigError
from pmd.fetch import summary
from pmd.fetch.lane import stopping

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("said", "seconds"), [("6h", 21_600), ("90m", 5_400), ("45s", 45), ("1d12h", 129_600), (" 1h1m1s ", 3_661)]
)
def test_times(said: str, seconds: int) -> None:
    assert stopping.duration_s(said) == seconds


@pytest.mark.parametrize("said", ["", "6", "h", "0s", "6 h", "-1h", "1m1h", "soon", "1.5h", "99999d", "9" * 5000 + "s"])
def test_what_is_no_time(said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        stopping.duration_s(said)
    assert str(caught.value).startswith(
        "--for: no such time\n  expected: days, hours, minutes, seconds: 6h, 90m, 1d12h"
    )


@pytest.mark.parametrize(("seconds", "after"), [(3600, 3590.0), (20, 10.0), (4, 2.0)])
def test_lanes_are_asked_before_the_run_is_to_end(seconds: int, after: float) -> None:
    assert (stopping.asked_at(NOW, seconds) - NOW).total_seconds() == after


class Timer:
    """Stands for `threading.Timer`: it rings when it is told to."""

    made: ClassVar[list[Timer]] = []

    def __init__(self, seconds: float, call: Any) -> None:
        self.seconds, self.call, self.state, self.daemon = seconds, call, "made", False
        Timer.made.append(self)

    def start(self) -> None:
        self.state = "started"

    def cancel(self) -> None:
        self.state = "cancelled"


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    monkeypatch.setattr(stopping.threading, "Timer", Timer)
    monkeypatch.setattr(Timer, "made", [])
    return Timer.made


def test_a_lane_is_asked_at_its_time(timers: list[Timer]) -> None:
    stop = stopping.Stop()
    with stopping.at(stop, NOW + datetime.timedelta(seconds=7), NOW):
        (timer,) = Timer.made
        assert (timer.seconds, timer.state, stop.asked) == (7.0, "started", False)
        timer.call()
        assert stop.asked
    assert timer.state == "cancelled"


def test_a_lane_whose_time_has_passed_is_asked_at_once(timers: list[Timer]) -> None:
    stop = stopping.Stop()
    with stopping.at(stop, NOW, NOW + datetime.timedelta(seconds=1)):
        assert stop.asked
    assert Timer.made[0].state == "cancelled"


def test_without_a_time_nobody_is_asked(timers: list[Timer]) -> None:
    stop = stopping.Stop()
    with stopping.at(stop, None, NOW):
        assert not stop.asked
    assert timers == []


def test_what_is_said() -> None:
    assert (
        summary.cut(1675)
        == "the time is up: what is settled is committed, 1,675 images are left; the same command goes on"
    )
    assert "1 image is left" in summary.cut(1)
