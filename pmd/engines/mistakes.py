"""How what a worker meets comes back to the person as itself, once: a user's mistake, storage that fails, a fault of ours.

Runners hand back an exception of a worker as text, each in its own way. So the worker also leaves it in the run's work
folder, which the driver reads when the pipeline has failed. Beam logs the exception with two tracebacks before that, or five;
they would only hide what the person has to read, so records with a traceback are dropped, in the worker and in the driver.
Where nothing can be left, since it is the storage that fails, the driver reads it in what Beam says (`pmd.store.failures`).
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import socket
import sys
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Final

from pmd.engines import ends, meanwhile
from pmd.errors import InputError, PmdError, RootError, WorkerFault
from pmd.store import failures, shortage, storage

_PREFIX = "mistake-"
#: Seconds between two looks for errors while a job runs, and those for which a look is waited for at its end.
_LOOK_S: Final = 5.0
_JOIN_S: Final = 1.0
#: As every traceback begins.
_TRACEBACK: Final = "Traceback (most recent call last)"


@contextlib.contextmanager
def left_in(work: str) -> Iterator[None]:
    """Leave an error that is met here for the driver; it goes on its way all the same, unlogged."""
    try:
        with shortage.panics_as_errors():
            yield
    except ends.CalledOffError:
        _be_silent()  # nobody reads there any more
        raise
    except Exception as error:
        told = told_of(error, work)
        with contextlib.suppress(Exception):  # the driver reads it in Beam's words then
            leave(work, told)
        _be_silent()
        if told is error:
            raise
        raise told from error


def told_of(error: Exception, work: str) -> PmdError | WorkerFault:
    """Return an error as the person is to be told of it."""
    if isinstance(error, WorkerFault):
        return error
    known = failures.told(error, ends.root_of(work)) or shortage.lacked(error)
    return known or WorkerFault("".join(traceback.format_exception(error)))


def leave(work: str, error: PmdError | WorkerFault) -> None:
    """Leave an error for the driver, and on which machine it was met."""
    left = pickle.dumps((error, socket.gethostname()))
    storage.put(storage.join(work, f"{_PREFIX}{uuid.uuid4().hex}"), left, durable=False)


def read(work: str) -> PmdError | WorkerFault | None:
    """Return an error that a worker left, or None: a user's mistake first, then by its text, so that reruns tell the same."""
    found = []
    with contextlib.suppress(Exception):  # of storage that fails, or its client: what is known of that is told
        for name in storage.list_files(work):
            if name.startswith(_PREFIX):
                content = storage.read_bytes(storage.join(work, name))
                error, host = pickle.loads(content)  # noqa: S301  written by our own workers in our ROOT
                found.append(_met_on(error, host))
    return min(
        found, key=lambda error: (not ends_the_run(error), isinstance(error, WorkerFault), str(error)), default=None
    )


def _met_on(error: PmdError | WorkerFault, host: str) -> PmdError | WorkerFault:
    """Return an error with the machine that it was met on, where that is another than this one and it may come of that.

    So it may of what a machine lacks (room, memory), and of a file that may be on each machine another one, or none.
    """
    if not isinstance(error, PmdError) or type(error) not in {PmdError, InputError} or host == socket.gethostname():
        return error
    where = error.where or ""
    if "://" in where or host in where:
        return error
    there = f"{where or 'worker'} on {host}"
    return type(error)(error.problem, where=there, expected=error.expected, found=error.found, remedy=error.remedy)


def ends_the_run(error: PmdError | WorkerFault) -> bool:
    """Return whether an error stays whatever an engine tries again: a user's mistake, but not storage that fails."""
    return isinstance(error, PmdError) and not isinstance(error, RootError) and not failures.may_pass(error)


@contextlib.contextmanager
def watched(work: str, stop: Callable[[], None]) -> Iterator[None]:
    """Have something called, by a thread, when a worker has left such an error: an engine would first do all again, and again."""

    def look() -> bool:
        error = read(work)
        if error is None or not ends_the_run(error):
            return False
        stop()
        return True

    with meanwhile.looking(_LOOK_S, look, "mistakes", _JOIN_S):
        yield


class _Tracebacks(logging.Filter):
    """Drops the records of Beam that tell an exception: it comes back by itself. What engines say, Beam gives the root logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        beams = record.name.startswith("apache_beam") or record.name == logging.getLogger().name
        return not (beams and (record.exc_info or _TRACEBACK in record.getMessage()))


_UNTOLD = _Tracebacks()


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Drop, meanwhile, what Beam logs of exceptions in this process, and what its workers in threads print of them."""
    from apache_beam.runners.worker import sdk_worker  # late: a lane has no Beam

    handlers = _handlers()
    for handler in handlers:
        handler.addFilter(_UNTOLD)
    sdk_worker.print = _unsaid  # a name of the module goes before that of all modules
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_UNTOLD)
        vars(sdk_worker).pop("print", None)


def _be_silent() -> None:
    """Drop from here on what Beam tells of exceptions in this process: a worker may be a thread of a driver whose run is over."""
    for handler in _handlers():
        handler.addFilter(_UNTOLD)
    worker = sys.modules.get("apache_beam.runners.worker.sdk_worker")
    if worker is not None:
        vars(worker)["print"] = _unsaid


def _unsaid(*_: object, **__: object) -> None:
    pass


def _handlers() -> list[logging.Handler]:
    """Return the handlers that records of Beam's loggers come to."""
    last = [logging.lastResort] if logging.lastResort is not None else []
    return [*logging.getLogger().handlers, *last]
