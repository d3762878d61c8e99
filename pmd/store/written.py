"""Which files a run writes below ROOT, by their names: only such may ever be removed.

A folder that users name may hold their own files too, put there before or later. What a run has written is known by its
folder and the form of its name; everything else is somebody's, and stays.
"""

from __future__ import annotations

import re
from typing import Final

from pmd.store import storage

_DIGEST: Final = "[0-9a-f]{16}"
_PART: Final = rf"part-\d+-of-\d+-{_DIGEST}\.parquet"
_SHARD: Final = r"shard=\d+"
_SOURCE: Final = r"source=[A-Za-z0-9_]+"

#: Folder (of a commit, or of what generations keep elsewhere) → names that runs write below it.
FOLDERS: Final[tuple[tuple[str, str], ...]] = (
    (rf"curate/{_SOURCE}", rf"(?:pairs|rejected)/{_PART}"),
    ("images", _PART),
    ("views", rf"(?:pairs|rejected)/{_PART}"),
    (rf"fetch/ledger/{_SHARD}/generation=\d+", rf"ledger-{_DIGEST}\.parquet"),
    (rf"fetch/store/{_SHARD}", rf"{_DIGEST}\.tar"),
    (rf"fetch/attempts/{_SHARD}", rf"generation=\d+-{_DIGEST}\.parquet"),
    ("fetch/rejected", _PART),
    ("dedupe", rf"rejected/{_PART}|groups/part-{_DIGEST}\.parquet"),
    ("shards/rejected", _PART),
    ("shards/webdataset", r"\d+-of-\d+-[0-9a-f]{8}\.tar|sizes\.json"),
    ("shards/parquet", r"\d+-of-\d+-[0-9a-f]{8}\.parquet|sizes\.json"),
    (rf"publish/{_SOURCE}", _PART),
    ("audit", r"report\.html|audit\.json"),
)
_KNOWN: Final = re.compile(
    "(?:^|/)(?:"
    + "|".join(rf"(?P<folder{number}>{folder})/(?:{names})" for number, (folder, names) in enumerate(FOLDERS))
    + ")"
)
_HOMES: Final = re.compile("|".join(folder for folder, _ in FOLDERS))
#: The folders that stand directly under ROOT.
TOPS: Final = frozenset({folder.partition("/")[0] for folder, _ in FOLDERS})
_TEMPORARY: Final = re.compile(rf"(?:^|.*/){re.escape(storage.TEMPORARY)}[0-9a-f]{{32}}")


def is_home(folder: str) -> bool:
    """Return whether a folder (relative to ROOT) is one in which runs write: a commit's, or of what it keeps elsewhere."""
    return _HOMES.fullmatch(folder) is not None


def home(name: str) -> str | None:
    """Return the folder in which a run of pmd writes a file of this name (relative to ROOT), or None if none does."""
    if _TEMPORARY.fullmatch(name):
        return name.rpartition("/")[0]
    found = _KNOWN.match(name)
    return found[found.lastgroup] if found is not None and found.end() == len(name) and found.lastgroup else None


def is_ours(path: str) -> bool:
    """Return whether a file is one that a run writes, by the end of its path."""
    return _TEMPORARY.fullmatch(path) is not None or any(found.end() == len(path) for found in _KNOWN.finditer(path))
