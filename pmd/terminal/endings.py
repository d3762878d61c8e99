"""How a command ends: a person's signal, a mistake, storage that fails; one line or a few, an exit code, within ten seconds.

Python raises for Ctrl-C alone, wherever it happens to be, and may then wait for ever for threads of libraries. So signals
become `Stopped` in the main thread, and a thread of ours that needs no lock ends the process where that takes too long.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final, Never

from pmd.errors import PmdError, WorkerFault
from pmd.store import failures, shortage
from pmd.terminal import output

#: What ends a command. A signal that the process was started to ignore (`nohup`) stays ignored.
SIGNALS: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
INTERRUPTED: Final = "interrupted; what was committed stays, and the same command goes on from there"

#: Seconds after a signal at which the process ends whatever it is doing.
_END_S: Final = 9.5
#: A second Ctrl-C ends at once; one that comes sooner is the first, sent twice (`timeout` signals the process and its group).
_AGAIN_S: Final = 0.5
#: Wakes the main thread: libraries (Polars) put handlers of their own before Python's, under which a wait goes on. By itself it
#: does nothing.
_NUDGE: Final = signal.SIGURG
_NUDGE_S: Final = 0.2
#: Seconds that threads of libraries get when all is told.
_THREADS_S: Final = 2.0


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(INTERRUPTED)
        self.exit_code = 128 + number


#: Threads that were left to themselves, since what they wait for may never come.
_left: list[threading.Thread] = []


def leave_behind(thread: threading.Thread) -> None:
    """Note a thread that goes on working while the command ends: the process then ends without waiting for any."""
    _left.append(thread)


@contextlib.contextmanager
def command(*, as_json: bool = False) -> Iterator[None]:
    """Be a command: what goes wrong is told without a traceback, and ends the process with its exit code.

    To be entered by the main thread.

    Args:
        as_json: Tell it on standard output too, as JSON.
    """
    _left.clear()
    error: BaseException
    try:
        with _attended(), shortage.panics_as_errors():
            yield
        return
    except KeyboardInterrupt as stopped:
        error = stopped
    except Exception as failure:  # noqa: BLE001  what is none of these is raised again
        error = failure
    code = tell(error, as_json=as_json)
    if code is None:
        raise error
    leave(code)


def tell(error: BaseException, *, as_json: bool = False) -> int | None:
    """Tell what ended a command, on standard error; return its exit code, or None where it is a fault of ours, untold."""
    if isinstance(error, KeyboardInterrupt):
        code, shown = getattr(error, "exit_code", 128 + signal.SIGINT), PmdError(INTERRUPTED)
    elif isinstance(error, WorkerFault):
        _say(str(error).rstrip("\n"))
        return 1
    else:
        known = error if isinstance(error, PmdError) else failures.told(error) or shortage.lacked(error)
        if known is None:
            return None
        code, shown = known.exit_code, known
    if as_json:
        with contextlib.suppress(OSError, PmdError):
            output.json({"error": shown.describe() | {"exit_code": code}})
    _say(f"pmd: {shown}")
    return code


def _say(text: str) -> None:
    with contextlib.suppress(OSError, PmdError):  # the terminal may be what is gone
        output.say(text, err=True)


def leave(code: int) -> Never:
    """End the process; not later than threads of libraries should have ended."""
    if any(thread.is_alive() for thread in _left):
        _end(code)
    threading.Thread(target=_end_after, args=(code,), daemon=True).start()
    sys.exit(code)


def _end_after(code: int) -> None:
    threading.main_thread().join()  # the interpreter ends: it waits for other threads now
    time.sleep(_THREADS_S)
    _end(code)


def _end(code: int) -> Never:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _attended() -> Iterator[None]:
    """Raise `Stopped` in the main thread at the first signal, and see to it that the process ends in time."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A process that was started to ignore this one never hears how those that it starts end: lanes and workers that die.
    children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    watch = _Watch()
    before: dict[signal.Signals, Any] = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, watch.raise_first)
    before[_NUDGE] = signal.signal(_NUDGE, lambda *_: None)
    waking = signal.set_wakeup_fd(watch.write_end, warn_on_full_buffer=False)
    try:
        yield
    finally:
        for number, handler in before.items():
            # Of a command that was stopped, nothing interrupts the end.
            signal.signal(number, signal.SIG_IGN if watch.raised else handler)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, children)
        watch.close()


def hear(call: Callable[[int], None]) -> None:
    """Have something called with the number of each of `SIGNALS` that comes, in a thread of its own, whatever others wait for.

    A handler of Python's runs in the main thread alone, when that wakes: the system may give a signal to another thread, and
    libraries put handlers of their own before Python's. So no thread but ours takes any: they are blocked for the one that
    calls this, and for all that it starts. A signal that the process was started to ignore stays ignored, but for SIGTERM,
    by which the process that started this one asks.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    taken = {number for number in SIGNALS if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN}

    def take() -> None:
        while True:
            call(signal.sigwait(taken))

    threading.Thread(target=take, name="signals", daemon=True).start()


class _Watch:
    """Reads which signals came, as the interpreter's own handler writes them, whatever the main thread is doing."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self.write_end, False)
        self.raised = False
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def raise_first(self, number: int, _: FrameType | None) -> None:
        """Be the main thread's handler."""
        if not self.raised:
            self.raised = True
            raise Stopped(number)

    def close(self) -> None:
        """Watch no more."""
        os.write(self.write_end, b"\0")
        self._thread.join()
        os.close(self._read_end)
        os.close(self.write_end)

    def _run(self) -> None:
        first: int | None = None
        until, again = float("inf"), 0.0
        main = threading.main_thread().ident or 0
        while True:
            came = select.select([self._read_end], [], [], None if first is None else _NUDGE_S)[0]
            if first is not None and time.monotonic() >= until:
                _force(first)
            if not came:
                signal.pthread_kill(main, _NUDGE)
                continue
            for number in os.read(self._read_end, 64):
                if number == 0:
                    return
                if number not in SIGNALS:
                    continue
                if first is None:
                    first, now = number, time.monotonic()
                    until, again = now + _END_S, now + _AGAIN_S
                elif number == signal.SIGINT and time.monotonic() >= again:
                    _force(number)


def _force(number: int) -> Never:
    with contextlib.suppress(OSError):
        os.write(2, f"pmd: {INTERRUPTED}\n".encode())
    os._exit(128 + number)
