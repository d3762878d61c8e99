"""The driver's side of worker processes (`pmd.engines.workers`): they are started, attended until they end, and ended.

Beam's own handler of processes is not enough. It takes one that ends with code 0 for one whose work is done. It tells of a death
late, by an exception in a thread. And it waits without end for one that does not go when it is asked to.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from apache_beam.transforms import environments
from google.protobuf import json_format, text_format

from pmd.engines import workers
from pmd.engines.driving import READERS, Driver

_URN: Final = "pmd:environment:processes:v1"
#: Seconds that a worker gets to end when Beam has asked it to; its work is done then.
_END_S: Final = 10.0
#: Seconds that Beam is kept quiet when its thread was left to itself: the command has ended then.
_QUIET_S: Final = 10.0
#: Seconds that the driver's threads that read from workers get to end, of a pipeline that failed.
_READ_S: Final = 1.0
#: The thread that waits for Beam's, where that was left to itself.
_AFTER: Final = "after Beam"
_numbers: Final = itertools.count()


class Processes:
    """The worker processes of one pipeline.

    Args:
        driver: Runs the pipeline; is told of a worker that dies, and ends all of them through this.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._workers: list[Worker] = []
        self._ended = False
        self._one = threading.Lock()
        self.name = str(next(_numbers))
        _open[self.name] = self

    @property
    def environment(self) -> Any:
        """What a pipeline is given, so that its workers are these."""
        return _Environment(self.name, capabilities=environments.python_sdk_capabilities())

    @contextlib.contextmanager
    def attended(self) -> Iterator[None]:
        """Let the driver end the workers, meanwhile, and nobody be told of the streams that break with them.

        Where Beam's thread is left to itself, that lasts until it ends (it may never), or the command has surely ended.
        """
        told = threading.excepthook

        def hook(ended: threading.ExceptHookArgs) -> None:
            if ended.thread is None or ended.thread.name not in READERS:
                told(ended)

        log = logging.getLogger("apache_beam")
        level = log.level
        threading.excepthook = hook
        log.setLevel(logging.CRITICAL)
        self._driver.end_workers = self.end
        try:
            yield
        except BaseException:
            _join_readers()
            raise
        finally:

            def put_back() -> None:
                if self._driver.left is not None:
                    self._driver.left.join(_QUIET_S)
                threading.excepthook = told
                log.setLevel(level)

            if self._driver.left is None:
                put_back()
            else:
                threading.Thread(target=put_back, name=_AFTER, daemon=True).start()

    def start(self, environment: Mapping[str, str]) -> Worker:
        """Start one.

        Raises:
            RuntimeError: They were ended.
        """
        with self._one:
            if self._ended:
                raise RuntimeError("the pipeline was ended")
            worker = Worker(self._driver, environment)
            self._workers.append(worker)
        return worker

    def end(self) -> None:
        """End all of them at once."""
        with self._one:
            self._ended = True
        for worker in self._workers:
            worker.end()


def _join_readers() -> None:
    """Wait for the threads whose streams have broken, while nobody is told of it."""
    until = time.monotonic() + _READ_S
    for thread in threading.enumerate():
        if thread.name in READERS:
            thread.join(max(0.0, until - time.monotonic()))


#: Name → pipeline's processes: Beam hands a handler words, and no object.
_open: Final[WeakValueDictionary[str, Processes]] = WeakValueDictionary()


class Worker:
    """One process, which a thread waits for: whatever it ends by is a death, unless it was asked to end and did so well.

    Args:
        driver: Told of its death.
        environment: The process's.
    """

    def __init__(self, driver: Driver, environment: Mapping[str, str]) -> None:
        self._driver = driver
        # What it has to tell goes to the driver; an interpreter that a signal ends on starting would print a traceback.
        self._process = subprocess.Popen(  # noqa: S603  the program is ours
            workers.command(os.getpid()), env=environment, stderr=subprocess.DEVNULL
        )
        self._asked = self._killed = False
        self._thread = threading.Thread(target=self._attend, name="worker process", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Be told that it is being asked to end; where it does not in time, it is made to."""
        self._asked = True
        timer = threading.Timer(_END_S, self.end)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """End it at once."""
        self._killed = True
        self._process.kill()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _attend(self) -> None:
        code = self._process.wait()
        if not self._killed and (code or not self._asked):
            self._driver.died(workers.death(code))


@environments.Environment.register_urn(_URN, bytes)
class _Environment(environments.SubprocessSDKEnvironment):  # type: ignore[misc]
    """Names the processes in a pipeline's description."""

    def to_runner_api_parameter(self, context: object) -> tuple[str, bytes]:
        return _URN, self.command_string.encode()


@WorkerHandler.register_environment(_URN, bytes)
class _Handler(GrpcWorkerHandler):  # type: ignore[misc]
    """Beam's hold on one worker."""

    def __init__(self, name: bytes, state: object, provision_info: object, grpc_server: object) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._processes = _open[name.decode()]

    def start_worker(self) -> None:
        told = {
            "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.control_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
            "WORKER_ID": self.worker_id,
        }
        self._worker = self._processes.start({**os.environ, **told})

    def close(self) -> None:
        self._worker.ask()
        super().close()

    def stop_worker(self) -> None:
        self._worker.wait()
