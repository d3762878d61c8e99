"""Files that no commit lists: what a run that was killed leaves, and what no run has written; for `pmd verify`.

A run writes its files under names of its own, then commits, then removes what its commit does not list. Killed in between, it
leaves files of such names: no reader sees them, and the stage's next run removes them, so they are notes. A file of
another name, or in a folder that no stage has, is a problem: nobody will ever remove it, and who reads a folder by a pattern
reads it too. So are files of a format whose commit is gone though its stage is committed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from pmd import storage
from pmd.commits import STAGE_FILE

_DIGEST: Final = "[0-9a-f]{16}"
_PART: Final = rf"part-\d+-of-\d+-{_DIGEST}\.parquet"
_SHARD: Final = r"shard=\d+"
_SOURCE: Final = r"source=[A-Za-z0-9_]+"

#: Folder (of a commit, or of what generations keep elsewhere) → names that runs write below it.
_WRITTEN: Final[tuple[tuple[str, str], ...]] = (
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
_KNOWN: Final = tuple(re.compile(rf"(?P<folder>{folder})/(?:{names})") for folder, names in _WRITTEN)
_FOLDERS: Final = re.compile("|".join(folder for folder, _ in _WRITTEN))
_TEMPORARY: Final = re.compile(rf"(?:.*/)?{re.escape(storage.TEMPORARY)}[0-9a-f]+")
#: What hosts said of robots is no commit's.
_HOSTS: Final = "fetch/hosts/"

#: What is wrong, as `pmd verify` tells it.
UNKNOWN: Final = "no commit lists this file"
UNCOMMITTED: Final = "files without their commit"
FOREIGN: Final = "a commit in a folder that no stage has"


def home(name: str) -> str | None:
    """Return the folder in which a run of pmd writes a file of this name (relative to ROOT), or None if none does."""
    if _TEMPORARY.fullmatch(name):
        return name.rpartition("/")[0]
    for pattern in _KNOWN:
        found = pattern.fullmatch(name)
        if found:
            return found["folder"]
    return None


def judge(
    names: Iterable[str], listed: Collection[str], committed: Collection[str]
) -> tuple[list[tuple[str, str, int]], dict[str, int]]:
    """Tell leftovers from what is wrong.

    Args:
        names: All files below ROOT's folders of stages, relative to ROOT; commits, sound or not, are not looked at.
        listed: Those that a commit lists.
        committed: The folders of commits.

    Returns:
        Problems: (what, place, files), and leftovers: folder → files.
    """
    problems = [(FOREIGN, folder, 1) for folder in sorted(committed) if not _FOLDERS.fullmatch(folder)]
    left: Counter[str] = Counter()
    for name in names:
        if name in listed or name.startswith(_HOSTS) or name.endswith(f"/{STAGE_FILE}"):
            continue
        folder = home(name)
        if folder is None:
            problems.append((UNKNOWN, name, 1))
        else:
            left[folder] += 1
    for folder in sorted(left):
        is_format = folder.startswith("shards/") and folder != "shards/rejected"
        if is_format and folder not in committed and "shards/rejected" in committed:
            problems.append((UNCOMMITTED, folder, left.pop(folder)))
    return problems, dict(left)
