"""`kill -9` of `pmd build` at many moments, each followed by the same command: the outcome is an undisturbed run's."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from pmd import verify
from tests.end_to_end import building
from tests.end_to_end.conftest import Demo

#: Seconds after the start of a build at which it is killed; a build of the demo takes about ten.
MOMENTS = (1.5, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)


def _command(config: Path) -> list[str]:
    return [sys.executable, "-m", "pmd", "build", str(config)]


def test_a_build_that_is_killed_again_and_again(demo: Demo, tmp_path: Path) -> None:
    config = tmp_path / "pmd.toml"
    text = (demo.folder / "pmd.toml").read_text()
    config.write_text(text.replace(f'root = "{demo.config.root}"', f'root = "{tmp_path / "root"}"'))
    assert str(tmp_path) in config.read_text()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    before = len(demo.web.requests)
    killed = 0
    for moment in MOMENTS:
        with subprocess.Popen(
            _command(config), env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as run:
            started = time.monotonic()
            while run.poll() is None and time.monotonic() - started < moment:
                time.sleep(0.02)
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                killed += 1
        assert all(commit["files"] is not None for commit in building.committed(tmp_path / "root").values())
    assert killed >= 3
    done = subprocess.run(_command(config), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify.verify(str(tmp_path / "root"))["problems"] == []
    building.assert_same(demo.root, tmp_path / "root", fetched_alike=False)
    assert building.outcomes(demo.config.root) == building.outcomes(str(tmp_path / "root"))
    asked = Counter(demo.web.requests[before:])
    once = {route for route, count in Counter(demo.web.requests[:before]).items() if count == 1}
    # A kill repeats at most the shards in flight, and there is one.
    assert max(asked[route] for route in once) <= killed + 1
    settled = len(demo.web.requests)
    building.run(dataclasses.replace(demo.config, root=str(tmp_path / "root")))
    assert len(demo.web.requests) == settled
