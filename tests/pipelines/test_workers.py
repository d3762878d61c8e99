"""Beam's local runner in several threads or processes of ours: the same bytes, mistakes told alike, and nothing left behind."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import curate, running
from pmd import config
from pmd.engines import cores, driving, ends, processes, transforms, workers
from pmd.engines.jobs import Place
from pmd.errors import InputError, PmdError
from pmd.store import commits, root
from tests import tiny_root

TWO = ("--direct_num_workers=2",)
MIB = 2**20


@pytest.mark.parametrize(
    ("flags", "input_bytes", "count"),
    [
        ((), 0, 1),
        ((), 300 * MIB, 1),
        ((), 600 * MIB, 3),
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
    monkeypatch.setattr(cores, "count", lambda: 16)
    assert running.processes(flags, input_bytes) == count


@pytest.mark.parametrize(
    ("flags", "input_bytes", "count"),
    [
        ((), 10 * MIB, 1),
        ((), 100 * MIB, running.MOST_THREADS),
        ((), 300 * MIB, running.MOST_THREADS),
        ((), 600 * MIB, 1),
        (("--direct_num_workers=3",), 100 * MIB, 1),
        (("--runner=PortableRunner",), 100 * MIB, 1),
    ],
)
def test_threads_where_no_processes_pay_yet(
    flags: tuple[str, ...], input_bytes: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "count", lambda: 16)
    assert running.threads(flags, input_bytes) == count


@pytest.fixture
def threaded(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Have every pipeline work in threads; gives the names of those that had a task."""
    named: set[str] = set()
    check = ends.check

    def noted(work: str) -> None:
        named.add(threading.current_thread().name)
        check(work)

    monkeypatch.setattr(cores, "count", lambda: 2)
    monkeypatch.setattr(running, "THREAD_BYTES", 0)
    monkeypatch.setattr(ends, "check", noted)
    return named


def test_threads_write_the_bytes_of_one(tmp_path: Path, threaded: set[str]) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    found = []
    for flags in ((), ("--direct_num_workers=1",)):
        threaded.clear()
        with root.writer(chosen.root, "test"):
            curate.build(chosen, ["coco"], flags)
        commit = commits.read(root.curate_folder(chosen.root, "coco"))
        assert commit is not None
        found.append((commit.files, commit.sources, "beam" in threaded))
    assert found[0][:2] == found[1][:2]
    assert [by_beams_own_thread for _, _, by_beams_own_thread in found] == [False, True]


class Refuses:
    """A step that meets a user's mistake."""

    def __init__(self, work: str) -> None:
        self.work = work

    def __call__(self, *_: Any) -> Iterator[Any]:
        """Raise it."""
        raise InputError("a mistake", where="here", remedy="mend it")
        yield


def test_a_mistake_in_a_thread_is_told_as_itself(
    tmp_path: Path, threaded: set[str], capfd: pytest.CaptureFixture[str]
) -> None:
    told = run(str(tmp_path / "work"), Refuses(str(tmp_path / "work")), ())
    assert isinstance(told, InputError)
    assert "a mistake" in str(told)
    assert threaded
    assert "beam" not in threaded
    assert "Traceback" not in capfd.readouterr().err


def test_two_processes_write_the_bytes_of_one(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    folder = root.curate_folder(chosen.root, "coco")
    found = []
    for flags in ((), TWO):
        with root.writer(chosen.root, "test"):
            curate.build(chosen, ["coco"], flags)
        commit = commits.read(folder)
        assert commit is not None
        found.append((commit.files, commit.sources))
    assert found[0] == found[1]


def test_a_mistake_in_a_process_is_told_as_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    path = tmp_path / "data" / "captions_train2017.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="ends too early"), root.writer(chosen.root, "test"):
        curate.build(chosen, ["coco"], TWO)
    assert "Traceback" not in capfd.readouterr().err


class Dies:
    """A step that ends its process."""

    def __init__(self, work: str, number: int) -> None:
        self.work = work
        self.number = number

    def __call__(self, *_: Any) -> Iterator[Any]:
        """End."""
        os.kill(os.getpid(), self.number)
        signal.pause()
        yield


def wire(step: Any) -> running.Wire:
    """Wire a pipeline of one step."""
    import apache_beam as beam

    def add(pipeline: beam.Pipeline) -> Any:
        done = beam.ParDo(transforms.PerTask(step)).with_output_types(pa.RecordBatch)
        return pipeline | transforms.create([transforms.outputs(())]) | done

    return add


def run(work: str, step: Any, flags: tuple[str, ...] = TWO) -> PmdError:
    """Run a pipeline of one step, whose process dies; return what is told of it."""
    with pytest.raises(PmdError) as caught:
        running.run(wire(step), flags, work)
    return caught.value


class Leaves:
    """A step that ends its process as one that has done its work."""

    def __init__(self, work: str) -> None:
        self.work = work

    def __call__(self, *_: Any) -> Iterator[Any]:
        """End."""
        os._exit(0)
        yield


def test_a_process_that_ends_well_before_its_work_is_done_has_died(tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    found = run(work, Leaves(work))
    assert (found.problem, found.found, found.exit_code) == ("a worker process died", "exit code 0", 1)
    assert not Path(work).exists()


def command(then: str, before: str = "pass") -> Callable[[int], list[str]]:
    """Return what gives the command of a worker that does something before, and when its work is done."""
    code = f"import os, threading; from pmd.engines import workers; {before}; workers.main(); {then}"
    return lambda driver: [sys.executable, "-c", code, str(driver)]


class Works:
    """A step that gives nothing."""

    def __init__(self, work: str) -> None:
        self.work = work

    def __call__(self, *_: Any) -> Iterator[Any]:
        """Give nothing."""
        yield from ()


def test_a_process_that_dies_while_it_ends_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "command", command("os.kill(os.getpid(), 9)"))
    work = str(tmp_path / "work")
    assert run(work, Works(work)).found == "signal 9 (SIGKILL)"


def test_a_process_that_does_not_end_when_asked_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_END_S", 0.1)
    stays = "threading.Thread(target=threading.Event().wait).start()"
    monkeypatch.setattr(workers, "command", command("pass", before=stays))
    work = str(tmp_path / "work")
    running.run(wire(Works(work)), TWO, work)
    assert not Path(work).exists()


def join(name: str) -> None:
    """Wait for the threads of a name."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(60)


def test_beam_says_nothing_of_a_death_when_it_was_left_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    join(processes._AFTER)  # of the tests before
    driver, goes, told = driving.Driver(), threading.Event(), threading.excepthook
    log = logging.getLogger("apache_beam.runners")
    with processes.Processes(driver).attended():
        driver.left = threading.Thread(target=goes.wait)
        driver.left.start()
    log.error("a stream broke")
    assert threading.excepthook is not told
    goes.set()
    join(processes._AFTER)
    assert threading.excepthook is told
    log.error("something else")
    assert caplog.messages == ["something else"]


def test_a_stream_that_breaks_after_the_pipeline_has_failed_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    failed = threading.Event()

    def read() -> None:
        failed.wait()
        time.sleep(0.1)
        raise OSError

    def fail() -> None:
        with processes.Processes(driving.Driver()).attended():
            reader.start()
            failed.set()
            raise PmdError("a worker died")

    reader = threading.Thread(target=read, name="beam_control_read")
    with pytest.raises(PmdError):
        fail()
    reader.join()
    assert told == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])  # one that nobody hears, one that Python heeds
def test_a_process_that_dies_is_told_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    work = str(tmp_path / "work")
    told = threading.excepthook
    found = run(work, Dies(work, number))
    assert (found.problem, found.found) == ("a worker process died", f"signal {number} ({number.name})")
    assert found.exit_code == 1
    join(processes._AFTER)
    assert threading.excepthook is told
    assert "Traceback" not in capfd.readouterr().err
    assert not Path(work).exists()


@pytest.mark.parametrize(
    ("shell", "found"),
    [
        ("kill -9 $$", "signal 9 (SIGKILL)"),
        ("exit 3", "exit code 3"),
        ("exit 0", "exit code 0"),
        ("kill -2 $$", "signal 2 (SIGINT)"),
    ],
)
def test_processes_that_die_before_they_have_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], shell: str, found: str
) -> None:
    monkeypatch.setattr(workers, "command", lambda _: ["sh", "-c", shell])
    work = str(tmp_path / "work")
    assert run(work, Dies(work, signal.SIGKILL)).found == found
    assert "Traceback" not in capfd.readouterr().err
    assert not Path(work).exists()


def test_an_engine_that_fails_is_told_in_words(tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    flags = (
        "--runner=PortableRunner",
        "--job_endpoint=127.0.0.1:9",
        "--job_server_timeout=1",
        "--environment_type=LOOPBACK",
    )
    found = run(work, Dies(work, signal.SIGKILL), flags)
    assert (found.problem, found.where) == ("the engine cannot be reached", "127.0.0.1:9")
    assert not Path(work).exists()


def test_an_engine_that_takes_no_jobs_is_told_in_words(tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        flags = (
            "--runner=PortableRunner",
            f"--job_endpoint={address}",
            "--job_server_timeout=1",
            "--environment_type=LOOPBACK",
        )
        found = run(work, Dies(work, signal.SIGKILL), flags)
    assert (found.problem, found.where) == ("what answers here is no job server of Beam's", address)
    assert "pmd engine status" in (found.remedy or "")
    assert not Path(work).exists()


class Job:
    """Stands for an engine's pipeline and its job, which goes on until it is cancelled."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def run(self) -> Job:
        """Submit it; a person interrupts then."""
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return self

    def wait_until_finish(self) -> str:
        """Wait for its end."""
        self.cancelled.wait()
        return "CANCELLED"

    def cancel(self) -> None:
        """End it."""
        self.cancelled.set()


def test_an_interrupt_cancels_the_job_of_an_engine() -> None:
    job: Any = Job()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            driving.Driver(Place("Theirs")).run(job)
    finally:
        signal.signal(signal.SIGINT, before)
    assert job.cancelled.is_set()


def test_a_process_ends_with_its_driver() -> None:
    driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    code = f"from pmd.engines import workers; workers._end_with({driver.pid})"
    worker = subprocess.Popen([sys.executable, "-c", code])
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(1.5)
    driver.kill()
    driver.wait()
    assert worker.wait(10) == 1
    assert workers.command(7)[1:] == ["-m", "pmd.engines.workers", "7"]
