"""Since when a process runs, and whether it has ended, as others of its machine can tell.

What is dead writes and sends nothing any more, however lately it did. So locks, leases and servers of before are judged by it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: What is new after each start of a machine, and what processes that see each other's numbers have in common.
_BOOT: Final = _PROC / "sys/kernel/random/boot_id"
_NUMBERS: Final = _PROC / "self/ns/pid"
#: What is raised of a process that has ended; other errors say nothing of it.
_GONE: Final = (FileNotFoundError, ProcessLookupError)


def since(pid: int) -> str:
    """Return since when the system counts a process, in its own words; "" where it has ended.

    Raises:
        OSError: It cannot be looked at just now, as where this process has no file left to open.
    """
    if (_PROC / "self/stat").exists():
        try:
            told = (_PROC / f"{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except _GONE:
            return ""
        words = told.rpartition(")")[2].split()  # proc(5): the name may hold anything
        return "" if words[0] in {"Z", "X"} and not _has_threads(pid) else words[19]
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return found.stdout.strip()


def _has_threads(pid: int) -> bool:
    """Return whether threads are left of a process whose first one has ended."""
    with contextlib.suppress(*_GONE):
        return len(list((_PROC / f"{pid}/task").iterdir())) > 1
    return False


def name() -> str:
    """Return what tells this process from all others, of any machine; "" where the system does not say."""
    try:
        if os.readlink(_PROC / "self") != str(os.getpid()):
            return ""  # the numbers there are others' than ours
        return f"{_seen_together()} {os.getpid()} {since(os.getpid())}"
    except OSError:
        return ""


def is_dead(named: str) -> bool:
    """Return whether a process that `name` has named is known to have ended.

    Of one that is not seen from here nothing is known, nor of a name that is none, as in a file that was damaged.
    """
    together, _, rest = named.rpartition(" ")[0].rpartition(" ")
    try:
        if not rest.isdecimal() or together != _seen_together() or os.readlink(_PROC / "self") != str(os.getpid()):
            return False
        found = since(int(rest))
        return found != named.rpartition(" ")[2] and (bool(found) or not _is_hidden(int(rest)))
    except (OSError, ValueError, OverflowError):
        return False


def _is_hidden(pid: int) -> bool:
    """Return whether a process is another user's and there, though the system does not show it (proc(5), hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def _seen_together() -> str:
    """Return what is equal for processes that see each other: of one machine, since its start, and of one container."""
    return f"{_BOOT.read_text().strip()} {_NUMBERS.stat().st_ino}"
