"""Worker processes of Beam's local runner: quiet, and gone at Ctrl-C and when their driver is.

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
from typing import Final

from pmd.errors import PmdError

_WATCH_S: Final = 1.0
#: What a shell says of a process that Ctrl-C has ended.
_INTERRUPTED: Final = 130
#: The driver's threads that Beam ends by an exception when a worker is gone; the first tells how it went.
_READERS: Final = frozenset({"run_worker", "beam_control_read", "read_grpc_client_inputs"})
_EXIT: Final = re.compile(r"return code (-?[0-9]+)")


def command(driver: int) -> str:
    """Return the shell's command that starts a worker for a driver, which is named by its process's number."""
    return f"exec {sys.executable} -m {__name__} {driver}"


@contextlib.contextmanager
def attended() -> Iterator[None]:
    """Be the driver of workers meanwhile: tell of one that died in a line, and not of the streams that broke with it.

    To be entered by the main thread.

    Raises:
        PmdError: A worker died.
    """
    exits: list[int] = []
    told = threading.excepthook

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.thread is None or ended.thread.name not in _READERS:
            told(ended)
        elif (code := _EXIT.search(str(ended.exc_value))) is not None and int(code[1]) != _INTERRUPTED:
            exits.append(int(code[1]))
            # Beam may wait for the dead for ever.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    log = logging.getLogger("apache_beam")
    level, handler = log.level, signal.signal(signal.SIGUSR1, _stop_waiting)
    threading.excepthook = hook
    log.setLevel(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        if not exits:
            raise
        raise PmdError(
            "a worker process died",
            where="Beam's local runner",
            found=f"signal {-exits[0]}" if exits[0] < 0 else f"exit code {exits[0]}",
            remedy="run the same command again; if the system's memory ran out, with fewer workers: -- --direct_num_workers=1",
        ) from error
    finally:
        signal.signal(signal.SIGUSR1, handler)
        threading.excepthook = told
        log.setLevel(level)


class _WorkerDiedError(Exception):
    """What the driver is woken with."""


def _stop_waiting(*_: object) -> None:
    raise _WorkerDiedError


def main() -> None:
    """Serve the driver until it has no more work."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
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
