"""How many cores this process may keep busy: fewer than the machine has where it is bound to some, or its container has a quota.

A container of Docker's or a pod of Kubernetes' with a limit of one processor sees all of its machine's, and is stopped for most
of each tenth of a second once it works in more threads than that. Python's own count (3.11 to 3.13) knows nothing of quotas.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

#: Where Linux tells a process's control groups, and where their files are mounted (cgroups(7)).
_GROUPS: Final = "/proc/self/cgroup"
_MOUNTED: Final = "/sys/fs/cgroup"


def count(groups: str = _GROUPS, mounted: str = _MOUNTED) -> int:
    """Return how many: a quota of one and a half is two.

    Args:
        groups: The file that tells the process's control groups; where there is none, there is no quota.
        mounted: Where theirs are.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([bound, *(max(1, math.ceil(quota)) for quota in _quotas(groups, mounted))])


def _quotas(groups: str, mounted: str) -> Iterator[float]:
    """Yield the quotas of the process's own group and of those above it: the least counts.

    Within a container its own group may be mounted where the uppermost is, under the name that it has outside.
    """
    for line in _text(Path(groups)).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = Path(mounted, "cpu") if controllers else Path(mounted)
        own = PurePosixPath(path.lstrip("/"))
        for group in (top / own, *(top / above for above in own.parents)):
            # Version 2: "max 100000", or microseconds in so many.
            files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if controllers else ("cpu.max",)
            with contextlib.suppress(ValueError):  # "max"; or nothing
                quota, period = map(int, " ".join(_text(group / file) for file in files).split())
                if quota > 0 and period > 0:
                    yield quota / period


def _text(path: Path) -> str:
    """Return what a file of the system's holds; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
