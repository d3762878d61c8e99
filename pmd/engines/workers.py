"""Worker processes of Beam's local runner, in place of its own: quiet, and gone when their driver is gone.

Beam's own (`direct_running_mode=multi_processing`) log forty lines each, print a traceback of each user's mistake, and
work on after a driver that was killed: ROOT has one writer, and that may soon be another.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
import time
from typing import Final

from pmd import lean
from pmd.errors import PmdError

_WATCH_S: Final = 1.0


def command(driver: int) -> list[str]:
    """Return the command that starts a worker for a driver, which is named by its process's number."""
    return [sys.executable, "-m", __name__, str(driver)]


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


def main() -> None:
    """Serve the driver until it has no more work."""
    lean.begin()
    # Stages read with it, and at its first import it takes SIGINT for itself, so that the signal would not end this process.
    importlib.import_module("polars")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    # An exception goes to the driver with its traceback.
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
