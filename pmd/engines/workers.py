"""Worker processes of Beam's local runner: quiet, and gone when they are not wanted or their driver is gone.

Beam's own (`direct_running_mode=multi_processing`) log forty lines each, print a traceback of each user's mistake, and
work on after a driver that was killed: ROOT has one writer, and that may soon be another.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pmd.errors import PmdError

if TYPE_CHECKING:  # a worker that starts looks at once whether its driver lives, before it imports Beam
    from pmd.engines.driving import Driver

_WATCH_S: Final = 1.0
#: The driver's threads that Beam ends by an exception when a worker is gone; the first tells how it went.
_READERS: Final = frozenset({"run_worker", "beam_control_read", "read_grpc_client_inputs"})
_EXIT: Final = re.compile(r"return code (-?[0-9]+)")


def command(driver: int) -> str:
    """Return the shell's command that starts a worker for a driver, which is named by its process's number."""
    # What a worker has to tell goes to the driver; an interpreter that a signal ends on starting would print a traceback.
    return f"exec {sys.executable} -m {__name__} {driver} 2>{os.devnull}"


@contextlib.contextmanager
def attended(driver: Driver) -> Iterator[None]:
    """Tell the driver, meanwhile, of a worker that died, however and whenever, and nobody of the streams that broke with it."""
    told = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.thread is None or ended.thread.name not in _READERS:
            told(ended)
        elif (code := _EXIT.search(str(ended.exc_value))) is not None:
            driver.died(death(int(code[1])))

    log = logging.getLogger("apache_beam")
    level = log.level
    threading.excepthook = hook
    log.setLevel(logging.CRITICAL)
    driver.end_workers = end_all
    try:
        yield
    finally:
        threading.excepthook = told
        log.setLevel(level)


def death(code: int) -> PmdError:
    """Return what a worker's return code tells: a signal's number, negative, or what it ended with."""
    return PmdError(
        "a worker process died",
        where="Beam's local runner",
        found=how(code),
        remedy="run the same command again; if the system's memory ran out, with fewer workers: -- --direct_num_workers=1",
    )


def how(code: int) -> str:
    """Return a process's return code in words: "signal 9 (SIGKILL)", "exit code 1"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def end_all() -> None:
    """End this process's workers at once; where the system has no /proc, they see within a second that it is gone."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and __name__.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
        except (OSError, IndexError):  # gone meanwhile
            continue


def main() -> None:
    """Serve the driver until it has no more work."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    # An exception goes to the driver with its traceback, and so do the records of loggers other than Beam's.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as the process lives
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def _end_with(driver: int) -> None:
    while True:
        try:
            os.kill(driver, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(_WATCH_S)


if __name__ == "__main__":
    main()
