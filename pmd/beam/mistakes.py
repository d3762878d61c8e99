"""How a user's mistake that a worker meets comes back to the person as itself, and as nothing else.

Runners hand back an exception of a worker as text, each in its own way. So the worker also leaves it in the run's work
folder, which the driver reads when the pipeline has failed. Beam logs the exception with two tracebacks before that; of a
user's mistake they would only hide what the person has to read, so their records are dropped, in the worker and in the
driver. Any other exception is logged as ever.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import uuid
from collections.abc import Iterator

from pmd import storage
from pmd.errors import PmdError

_PREFIX = "mistake-"


@contextlib.contextmanager
def left_in(work: str) -> Iterator[None]:
    """Leave a user's mistake that is met here for the driver; it goes on its way all the same, unlogged."""
    try:
        yield
    except PmdError as error:
        leave(work, error)
        for handler in _handlers():
            handler.addFilter(_UNTOLD)
        raise


def leave(work: str, error: PmdError) -> None:
    """Leave an error for the driver."""
    storage.put(storage.join(work, f"{_PREFIX}{uuid.uuid4().hex}"), pickle.dumps(error), durable=False)


def read(work: str) -> PmdError | None:
    """Return an error that a worker left, or None: the first by its text, so that reruns tell the same."""
    found = [
        pickle.loads(storage.read_bytes(storage.join(work, name)))  # noqa: S301  written by our own workers in our ROOT
        for name in storage.list_files(work)
        if name.startswith(_PREFIX)
    ]
    return min(found, key=str, default=None)


class _Mistakes(logging.Filter):
    """Drops the records of Beam's loggers that tell of a `PmdError`, by its class or by its name in a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("apache_beam"):
            return True
        if record.exc_info and isinstance(record.exc_info[1], PmdError):
            return False
        said = record.getMessage()
        return not any(f"{kind.__module__}.{kind.__qualname__}: " in said for kind in _kinds(PmdError))


_UNTOLD = _Mistakes()


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """Drop, meanwhile, what Beam logs of users' mistakes in this process."""
    handlers = _handlers()
    for handler in handlers:
        handler.addFilter(_UNTOLD)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_UNTOLD)


def _handlers() -> list[logging.Handler]:
    """Return the handlers that records of Beam's loggers come to."""
    last = [logging.lastResort] if logging.lastResort is not None else []
    return [*logging.getLogger().handlers, *last]


def _kinds(kind: type[PmdError]) -> Iterator[type[PmdError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _kinds(inner)
