"""Which exceptions are those of an object store's client: they tell of the store, of the way there and of rights, not of a file.

Clients raise exceptions of their own, and Python's with and without numbers: s3fs gives what it does not know the number of a
disk that fails (EIO), or of what makes no sense (EINVAL); gcsfs gives a refusal (403) none. Who goes by the number takes a
store that refuses for a file that is damaged.
"""

from __future__ import annotations

import json
import os
import traceback
from typing import Final

from pmd.store.patience import CutShortError

#: Where the exceptions of object stores come from.
MODULES: Final = (
    "botocore.",
    "aiobotocore.",
    "aiohttp.",
    "s3fs.",
    "gcsfs.",
    "google.",
    "azure.",
    "adlfs.",
    "huggingface_hub.",
    "fsspec.implementations.http",
)
#: How stores say that a range begins at the end of its object, or later.
_BEHIND: Final = ("InvalidRange", "(416)", ", 416")
#: How they say that no object can have a name.
_NO_NAME: Final = ("KeyTooLong", "InvalidObjectName", "InvalidURI", "(400)", ", 400", "Bad Request")


def raised(error: BaseException) -> bool:
    """Return whether the client of an object store raised an error; one of a file of this machine names that file."""
    if type(error).__module__.startswith(MODULES) or isinstance(error, CutShortError):
        return True
    if isinstance(error, RecursionError):
        return is_of(error, MODULES)
    if not isinstance(error, OSError | ValueError) or path_of(error) is not None:
        return False
    if type(error.__cause__).__module__.startswith(MODULES):  # in which s3fs gives it a number, as if a disk had failed
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    says_nothing = isinstance(error, json.JSONDecodeError) or (isinstance(error, OSError) and error.errno is None)
    by = frames if says_nothing else frames[-1:]
    return any(frame.f_globals.get("__name__", "").startswith(MODULES) for frame in by)


def is_behind_the_end(error: BaseException) -> bool:
    """Return whether a store says that a range begins at the end of its object or later, as every range of an empty one does."""
    return any(word in f"{error} {error.__cause__}" for word in _BEHIND)


def fails(error: BaseException) -> bool:
    """Return whether a store refuses or is away where something is looked for: else it says that nothing is called so."""
    return raised(error) and not any(word in f"{error} {error.__cause__}" for word in _NO_NAME)


def is_of(error: BaseException, modules: tuple[str, ...]) -> bool:
    """Return whether an error was raised by modules whose names begin so, or by what they called."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith(modules) for frame, _ in frames)


def path_of(error: OSError | ValueError) -> str | None:
    """Return the file that an error names; None: it names none."""
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else None
