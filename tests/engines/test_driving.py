"""How a job ends: hang-ups of workers within the driver are not told, and what no other try mends ends it at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from pmd.engines import driving, mistakes
from pmd.engines.jobs import Place
from pmd.errors import InputError, PmdError, RootError, WorkerFault
from pmd.store import failures, storage


class Broken(grpc.RpcError):
    """A stream that has ended so."""

    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__(status)
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status


@pytest.mark.parametrize(
    ("name", "error", "is_told"),
    [
        ("run_worker_12-1", Broken(grpc.StatusCode.CANCELLED), False),
        ("read_grpc_client_inputs", Broken(grpc.StatusCode.UNAVAILABLE), False),
        ("wait_until_finish_read", Broken(grpc.StatusCode.UNAVAILABLE), False),
        ("run_worker_12-1", Broken(grpc.StatusCode.INTERNAL), True),
        ("run_worker_12-1", ValueError("a fault"), True),
        ("fetch", Broken(grpc.StatusCode.CANCELLED), True),
    ],
)
def test_of_workers_within_the_driver_a_hang_up_is_not_told(
    name: str, error: Exception, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    driving.overlook_hang_ups.__wrapped__()

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name=name)
    thread.start()
    thread.join()
    assert [one.exc_value for one in told] == ([error] if is_told else [])


class Job:
    """A job, and its pipeline, that an engine would try again and again: only a cancellation ends it."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.runs = threading.Event()

    def run(self) -> Job:
        return self

    def job_id(self) -> str:
        return "a-job_1"

    def wait_until_finish(self) -> str:
        self.runs.set()
        assert self.cancelled.wait(60)
        return "CANCELLED"

    def cancel(self) -> None:
        self.cancelled.set()


def test_a_job_is_cancelled_once_it_is_of_no_use() -> None:
    job: Any = Job()
    driver = driving.Driver(Place("FlinkRunner"))

    def stop() -> None:
        assert job.runs.wait(60)
        driver.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(RuntimeError, match="no other try mends"):
        driver.run(job)
    thread.join()
    assert job.cancelled.is_set()


#: As a notebook: no command's handlers, and Polars, which puts its own before Python's.
NOTEBOOK = """
import os, signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import polars
from pmd.engines import driving

polars.DataFrame({"a": [1]}).lazy().collect()
runs = threading.Event()

class Job:
    def run(self): return self
    def wait_until_finish(self):
        runs.set()
        time.sleep(600)

def stop():
    runs.wait()
    time.sleep(0.5)  # the main thread waits by then
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=stop, daemon=True).start()
try:
    driving.Driver().run(Job())
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(0)
"""


def test_in_a_notebook_a_run_can_be_interrupted() -> None:
    ended = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=False, timeout=120)
    assert ended.stdout == "interrupted\n", ended.stderr


TRUNCATED = InputError("truncated", where="a.json")


def busy() -> PmdError:
    """Return what is told of a bucket of inputs that was too busy for longer than it is waited for."""
    error = OSError(16, "Please reduce your request rate.")
    client = type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})
    error.__cause__ = client("An error occurred (SlowDown) when calling the GetObject operation")
    error._pmd_asked_for = "s3://inputs/a.json"  # type: ignore[attr-defined]
    told = failures.told(error, "s3://bucket/root")
    assert type(told) is InputError
    return told


@pytest.mark.parametrize(
    ("left", "is_stopped"),
    [
        ([TRUNCATED], True),
        ([WorkerFault("ours"), TRUNCATED], True),
        ([WorkerFault("ours")], False),
        ([RootError("the storage is gone")], False),
        ([RootError("a storage is gone"), TRUNCATED], True),
        ([busy()], False),
        ([], False),
    ],
)
def test_a_users_mistake_ends_a_job_and_what_another_try_may_mend_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: list[PmdError | WorkerFault], is_stopped: bool
) -> None:
    monkeypatch.setattr(mistakes, "_LOOK_S", 0.001)
    storage.make_folder(str(tmp_path))
    for error in left:
        mistakes.leave(str(tmp_path), error)
    looks, read = threading.Semaphore(0), mistakes.read
    monkeypatch.setattr(mistakes, "read", lambda work: (looks.release(), read(work))[1])
    stopped = threading.Event()
    with mistakes.watched(str(tmp_path), stopped.set):
        if is_stopped:
            assert stopped.wait(60)
        for _ in range(1 if is_stopped else 3):
            assert looks.acquire(timeout=60)
    assert stopped.is_set() == is_stopped
