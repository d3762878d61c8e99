"""Beam's local runner in several processes of ours: the same bytes, mistakes told alike, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import curate, running
from pmd import commits, config, root
from pmd.beam import transforms, workers
from pmd.errors import InputError, PmdError
from tests import tiny_root

TWO = ("--direct_num_workers=2",)
MIB = 2**20


@pytest.mark.parametrize(
    ("flags", "input_bytes", "count"),
    [
        ((), 0, 1),
        ((), 300 * MIB, 2),
        ((), 10_000 * MIB, running.MOST_PROCESSES),
        (("--direct_num_workers=3",), 0, 3),
        (("--direct_num_workers=0",), 0, 16),
        (("--direct_num_workers=1",), 10_000 * MIB, 1),
        (("--direct_running_mode=multi_processing", "--direct_num_workers=3"), 10_000 * MIB, 1),
        (("--runner=PortableRunner",), 10_000 * MIB, 1),
    ],
)
def test_as_many_processes_as_pay(
    flags: tuple[str, ...], input_bytes: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_cores", lambda: 16)
    assert running.processes(flags, input_bytes) == count


def test_two_processes_write_the_bytes_of_one(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    folder = root.curate_folder(chosen.root, "coco")
    found = []
    for flags in ((), TWO):
        with root.writer(chosen.root, "test"):
            curate.build(chosen, "coco", flags)
        commit = commits.read(folder)
        assert commit is not None
        found.append((commit.files, commit.sources))
    assert found[0] == found[1]


def test_a_mistake_in_a_process_is_told_as_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    path = tmp_path / "data" / "captions_train2017.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="ends too early"), root.writer(chosen.root, "test"):
        curate.build(chosen, "coco", TWO)
    assert "Traceback" not in capfd.readouterr().err


class Dies:
    """A step that ends its process."""

    def __init__(self, work: str) -> None:
        self.work = work

    def __call__(self, *_: Any) -> Iterator[Any]:
        """End."""
        os.kill(os.getpid(), signal.SIGKILL)
        yield


def test_a_process_that_dies_is_told_in_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import apache_beam as beam

    work = str(tmp_path / "work")

    def wire(pipeline: beam.Pipeline) -> Any:
        step = beam.ParDo(transforms.PerUnit(Dies(work))).with_output_types(pa.RecordBatch)
        return pipeline | transforms.create([transforms.outputs(())]) | step

    told = threading.excepthook
    with pytest.raises(PmdError) as caught:
        running.run(wire, TWO, work)
    assert (caught.value.problem, caught.value.found) == ("a worker process died", "signal 9")
    assert threading.excepthook is told
    assert "Traceback" not in capfd.readouterr().err
    assert not Path(work).exists()


def test_a_process_ends_with_its_driver() -> None:
    driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = f"from pmd.beam import workers; workers._end_with({driver.pid})"
    worker = subprocess.Popen([sys.executable, "-c", code])
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(1.5)
    driver.kill()
    driver.wait()
    assert worker.wait(10) == 1
    assert workers.command(7).endswith("-m pmd.beam.workers 7")
