"""Beam runs in a thread of its own, so that the main thread can always end: at a signal, or when a worker has died.

Beam waits for its workers without end, wraps an interrupt in exceptions of its own, and waits again while these are on their
way out. Nothing of that holds the main thread, which waits for one event.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import apache_beam as beam
import grpc
from apache_beam.runners.runner import PipelineState

from pmd.engines import counters, jobs
from pmd.engines.jobs import Place
from pmd.errors import PmdError
from pmd.terminal import endings

#: Seconds that an engine gets to hear that its job is cancelled, and Beam's own threads to end then.
_CANCEL_S: Final = 4.0
_END_S: Final = 1.0
#: Seconds in which word of a dead worker comes, where Beam has failed: a broken stream may be seen first.
_WORD_S: Final = 2.0
#: Seconds after which Python looks for a Ctrl-C while it waits. Under the handler that Polars puts before Python's a wait without
#: an end hears of none, and in a notebook nobody else wakes it (`pmd.terminal.endings`).
_LOOK_S: Final = 1.0
#: Seconds in which a signal comes that has ended a worker already.
_SIGNAL_S: Final = 0.5
#: The driver's threads that Beam ends by an exception when a worker is gone.
READERS: Final = ("beam_control_read", "read_grpc_client_inputs")
#: As Beam's threads are called that serve workers, where these are within the driver (LOOPBACK), and that hear of a job.
_SERVING: Final = ("run_worker_", "wait_until_finish_read", *READERS)
_HANG_UPS: Final = (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)


@functools.cache
def overlook_hang_ups() -> None:
    """Say nothing, from here on, of workers within this process that end because the engine has hung up on them.

    A job server hangs up when a job has ended, and Beam's threads may see that at any later time. How the job has ended is
    told by its state.
    """
    told = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        serves = ended.thread is not None and ended.thread.name.startswith(_SERVING)
        error = ended.exc_value
        if not (serves and isinstance(error, grpc.RpcError) and error.code() in _HANG_UPS):
            told(ended)

    threading.excepthook = hook


class Driver:
    """Runs one pipeline and waits for it.

    Args:
        engine: Where the job runs; None: on Beam's local runner.
        work: The folder of the run.
    """

    def __init__(self, engine: Place | None = None, work: str = "") -> None:
        self._engine, self._work = engine, work
        #: Told, by a thread, how the engine calls the job when it has taken it.
        self.taken: Callable[[str | None], None] = lambda _: None
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._died = threading.Event()
        self._how: PmdError | None = None
        self._stops = False
        self._error: BaseException | None = None
        self._result: Any = None
        self._submitted = threading.Event()
        #: Beam's thread, where it had to be left to itself.
        self.left: threading.Thread | None = None
        #: Ends the workers of ours, where there are some and Beam does not.
        self.end_workers: Callable[[], None] | None = None

    def run(self, pipeline: beam.Pipeline) -> None:
        """Run a pipeline to its end.

        Raises:
            PmdError: A worker died, or the engine's job did not end well.
            RuntimeError: It was stopped.
            Exception: What Beam raised.
        """
        if self._engine is not None:
            overlook_hang_ups()
        thread = threading.Thread(target=self._run, args=(pipeline,), name="beam", daemon=True)
        try:
            thread.start()
            while not self._woken.wait(_LOOK_S):
                pass
            if self._stops and not self._ended.is_set():
                raise RuntimeError("a worker has met what no other try mends")
            if self._how is None and self._error is not None:
                self._died.wait(_WORD_S if self.end_workers is not None else 0.0)
            if self._how is not None:
                # A signal to all of the command ends the workers too, maybe before this process hears of it.
                threading.Event().wait(_SIGNAL_S)
        except BaseException:
            self._cancel()
            raise
        finally:
            self._end(thread)
        if self._how is not None:
            raise self._how
        if self._error is not None:
            raise self._error

    def died(self, how: PmdError) -> None:
        """Be told, by any thread, that a worker has died: the wait is over."""
        self._how = self._how or how
        self._died.set()
        self._woken.set()

    def stop(self) -> None:
        """Be told, by any thread, that the job is of no use any more: it is cancelled, and the wait is over."""
        self._stops = True
        self._woken.set()

    def told(self, error: Exception) -> PmdError | None:
        """Return in words what Beam raised, where nothing better is known of it; None: it is a fault of ours."""
        if self._engine is None:
            return None
        return self._engine.failed("the engine's job failed", jobs.reason(error), self.job)

    def undone(self) -> PmdError:
        """Return that the job has ended well, and that what it was to do is not there."""
        problem = "the engine says that its job is done, and its work is not there"
        return (self._engine or Place("Beam's local runner")).failed(problem, None, self.job)

    def counted(self) -> Mapping[str, int]:
        """Return what the engine's counters say of a job that has ended; nothing where it does not give them."""
        return {} if self._result is None else counters.read(self._result)

    @property
    def job(self) -> str | None:
        """The job's name on the engine; None: it has not got that far."""
        return None if self._result is None else jobs.name(self._result)

    def _run(self, pipeline: beam.Pipeline) -> None:
        try:
            self._result = pipeline.run()
            self._submitted.set()
            if self._engine is not None:
                self.taken(self.job)
            state = self._result.wait_until_finish()
            if self._engine is not None and state != PipelineState.DONE:
                raise RuntimeError(f"the job has ended as {state}")
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            self._error = error
        finally:
            self._ended.set()
            self._woken.set()

    def _cancel(self) -> None:
        """Have the engine end its job; the local runner's ends with the process."""
        engine = self._engine
        if engine is None:
            return

        def cancel(call: Callable[[], object]) -> None:
            self._submitted.wait()
            with contextlib.suppress(Exception):  # an engine that is gone has no job left
                call()

        # At once: who does not answer does not keep the other from being told.
        calls = (
            lambda: self._result.cancel(),  # noqa: PLW0108  there is no result yet
            lambda: jobs.cancel(engine, self.job, self._work),
        )
        ending = [threading.Thread(target=cancel, args=(call,), daemon=True) for call in calls]
        for thread in ending:
            thread.start()
        until = time.monotonic() + _CANCEL_S
        for thread in ending:
            thread.join(max(0.0, until - time.monotonic()))

    def _end(self, thread: threading.Thread) -> None:
        if not self._ended.is_set() and self.end_workers is not None:
            self.end_workers()
        if thread.is_alive():
            thread.join(_END_S)
        if thread.is_alive():
            self.left = thread
            endings.leave_behind(thread)
