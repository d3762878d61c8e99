"""Files that no commit lists: what a run that was killed leaves, and what no run has written; for `pmd verify`.

A run writes its files under names of its own, then commits, then removes what its commit does not list. Killed in between, it
leaves files of such names: no reader sees them, and the stage's next run removes them, so they are notes. A file of
another name, or in a folder that no stage has, is a problem: nobody will ever remove it, and who reads a folder by a pattern
reads it too. In the folders that are handed on, lists and shards, that holds of files of rows and samples alone: what people and
loaders add beside these is theirs. So are files of a format whose commit is gone though its stage is committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

from pmd import flow
from pmd.publish.checking import READ_BY_PATTERN
from pmd.store import written
from pmd.store.commits import STAGE_FILE

#: What is wrong, as `pmd verify` tells it.
UNKNOWN: Final = "no commit lists this file"
UNCOMMITTED: Final = "files without their commit"
FOREIGN: Final = "a commit in a folder that no stage has"


#: Folders that are handed on, where people and loaders put files of their own: cards, indexes (`.nv-meta`, `*.tar.idx`).
_HANDED_ON: Final = frozenset({flow.LISTS.top, *(folder.top for folder in flow.SHARDS.values())})


def _is_beside(name: str) -> bool:
    """Return whether a file that no run writes may stand where it does: it takes no part in what is read there."""
    return name.partition("/")[0] in _HANDED_ON and not name.endswith(READ_BY_PATTERN)


def classify(
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
    problems = [(FOREIGN, folder, 1) for folder in sorted(committed) if not written.is_home(folder)]
    left: Counter[str] = Counter()
    for name in names:
        if (
            name in listed
            or name.startswith(f"{flow.HOSTS}/")
            or name == flow.REGISTER
            or name.endswith(f"/{STAGE_FILE}")
        ):
            continue
        folder = written.home(name)
        if folder is None:
            if not _is_beside(name):
                problems.append((UNKNOWN, name, 1))
        else:
            left[folder] += 1
    for folder in sorted(left):
        kind = flow.kind_of(folder)
        is_half = kind is not None and kind[0].twin and kind[1].books.path in committed
        if is_half and folder not in committed:
            problems.append((UNCOMMITTED, folder, left.pop(folder)))
    return problems, dict(left)
