"""How a user's mistake that a worker meets comes back to the person as itself.

Runners hand back an exception of a worker as text, each in its own way. So the worker also leaves it in the run's work
folder, which the driver reads when the pipeline has failed.
"""

from __future__ import annotations

import pickle
import uuid

from pmd import storage
from pmd.errors import PmdError

_PREFIX = "mistake-"


def leave(work: str, error: PmdError) -> None:
    """Leave an error for the driver."""
    storage.put(storage.join(work, f"{_PREFIX}{uuid.uuid4().hex}"), pickle.dumps(error))


def read(work: str) -> PmdError | None:
    """Return an error that a worker left, or None: the first by its text, so that reruns tell the same."""
    found = [
        pickle.loads(storage.read_bytes(storage.join(work, name)))  # noqa: S301  written by our own workers in our ROOT
        for name in storage.list_files(work)
        if name.startswith(_PREFIX)
    ]
    return min(found, key=str, default=None)
