"""What people see of a download: plain lines in a log, bars on a terminal."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from pmd.manifests import ManifestFile, Outcome
from pmd.manifests.progress import Lines, OnTerminal, progress_bar

MakeFile = Callable[..., ManifestFile]


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=100, _environ={}), written


def test_a_log_gets_plain_lines(file: MakeFile) -> None:
    log, written = console(terminal=False)
    one = file("/a")
    with progress_bar(log) as progress:
        assert isinstance(progress, Lines)
        progress.start(one, "downloading", 1000, 150)
        for _ in range(17):
            progress.advance(50)
        progress.retry(one, "the server answered 503", 2.0)
        progress.retry(one, "http://x.example/: no", 0.0)
        progress.finish(Outcome(one, "data/a", "fetched", "has the published checksum"))
    assert written.getvalue().splitlines() == [
        "red_caps/a.zip: downloading (1.00 kB, from 150 B)",
        *(f"red_caps/a.zip: {n}00 B ({n}0 %)" for n in range(2, 10)),
        "red_caps/a.zip: the server answered 503; trying again in 2 s",
        "red_caps/a.zip: http://x.example/: no; trying the next place",
        "red_caps/a.zip: fetched, has the published checksum",
    ]


def test_a_log_of_a_file_of_unknown_size(file: MakeFile) -> None:
    log, written = console(terminal=False)
    with progress_bar(log) as progress:
        progress.start(file("/a"), "downloading", None, 0)
        progress.advance(1 << 30)
    assert written.getvalue().splitlines() == [
        "red_caps/a.zip: downloading (size not known)",
        "red_caps/a.zip: 1.07 GB",
    ]


def test_a_terminal_gets_a_bar_and_the_outcome(file: MakeFile) -> None:
    terminal, written = console(terminal=True)
    one = file("/a")
    with progress_bar(terminal) as progress:
        assert isinstance(progress, OnTerminal)
        progress.start(one, "checking", 1000, 0)
        progress.start(one, "downloading", 1000, 500)
        progress.advance(500)
        progress.finish(Outcome(one, "data/a", "gated", "cannot simply be downloaded", "ask"))
    assert "red_caps/a.zip: gated, cannot simply be downloaded; ask" in written.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_long_name_leaves_room_for_share_and_time(file: MakeFile, width: int) -> None:
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=width, _environ={}, color_system=None)
    with progress_bar(terminal) as progress:
        progress.start(file("/a", name=f"{'long' * 20}.jsonl"), "downloading", 1000, 0)
        progress.advance(300)
    shown = re.split("[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue()))
    (bar,) = {line for line in shown if "30%" in line}
    assert len(bar) <= width
    assert bar.startswith("downlo")
    assert re.search(r"--:--|\d+:\d\d", bar)
    assert ("0.3/1.0 kB" in bar) == (width >= 80)
