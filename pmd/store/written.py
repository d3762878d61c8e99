"""Which files a run writes below ROOT, by their names (`pmd.flow`): only such may ever be removed.

A folder that users name may hold their own files too, put there before or later. What a run has written is known by its
folder and the form of its name; everything else is somebody's, and stays.
"""

from __future__ import annotations

import re
from typing import Final

from pmd import flow
from pmd.store import storage

_KNOWN: Final = re.compile(
    "(?:^|/)(?:"
    + "|".join(
        rf"(?P<folder{number}>{folder.pattern})/(?:{folder.files})" for number, (folder, _) in enumerate(flow.FOLDERS)
    )
    + ")"
)
_TEMPORARY: Final = re.compile(rf"(?:^|.*/){re.escape(storage.TEMPORARY)}[0-9a-f]{{32}}")


def is_home(folder: str) -> bool:
    """Return whether a folder (relative to ROOT) is one in which runs write: a commit's, or of what it keeps elsewhere."""
    return flow.kind_of(folder) is not None


def home(name: str) -> str | None:
    """Return the folder in which a run of pmd writes a file of this name (relative to ROOT), or None if none does."""
    if _TEMPORARY.fullmatch(name):
        return name.rpartition("/")[0]
    found = _KNOWN.match(name)
    return found[found.lastgroup] if found is not None and found.end() == len(name) and found.lastgroup else None


def is_temporary(path: str) -> bool:
    """Return whether a file is one that has not got its name yet, by its path."""
    return _TEMPORARY.fullmatch(path) is not None


def is_ours(path: str) -> bool:
    """Return whether a file is one that a run writes, by the end of its path."""
    return is_temporary(path) or any(found.end() == len(path) for found in _KNOWN.finditer(path))
