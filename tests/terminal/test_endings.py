"""How a command ends: by a signal, wherever it is, by a second one, by a mistake, by a fault; never later than it must."""

from __future__ import annotations

import errno
import json
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from polars.exceptions import PanicException

from pmd.engines import mistakes
from pmd.errors import InputError, PmdError, WorkerFault
from pmd.store import storage
from pmd.terminal import endings

REPOSITORY = Path(__file__).parent.parent.parent

WAITING = "threading.Event().wait()"
#: A library's thread that never ends, as Beam's may.
STUCK = "threading.Thread(target=threading.Event().wait).start()"
#: As libraries do, before they hand an interrupt on.
SWALLOWS = """
while True:
    try:
        threading.Event().wait()
    except BaseException:
        pass
"""


def command(body: str, *, before: str = "") -> subprocess.Popen[str]:
    """Start a command that says when it is under way; it hears SIGHUP, though the tests may run under nohup."""
    lines = [f"    {line}" for line in body.splitlines()]
    code = "\n".join(
        [
            "import os, signal, sys, threading",
            "from pmd.terminal import endings",
            "signal.signal(signal.SIGHUP, signal.SIG_DFL)",
            before,
            "with endings.command():",
            "    print('here', flush=True)",
            *lines,
        ]
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("number", endings.SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("body", [WAITING, f"{STUCK}\n{WAITING}"], ids=["waits", "with a thread that is stuck"])
def test_a_signal_ends_a_command_with_a_line(number: signal.Signals, body: str) -> None:
    process = command(body)
    process.send_signal(number)
    assert ended(process) == (128 + number, f"pmd: {endings.INTERRUPTED}\n")


def test_a_command_hears_how_its_processes_end_though_it_was_started_to_ignore_that() -> None:
    process = command(
        "import subprocess; print(subprocess.run(['sh', '-c', 'kill -9 $$']).returncode, file=sys.stderr)",
        before="signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    )
    assert ended(process) == (0, "-9\n")


def test_a_command_that_swallows_the_interrupt_is_ended_all_the_same() -> None:
    process = command(SWALLOWS, before="endings._END_S = 0.5")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, f"pmd: {endings.INTERRUPTED}\n")


def test_a_second_interrupt_ends_at_once() -> None:
    process = command(SWALLOWS, before="endings._END_S, endings._AGAIN_S = 3600.0, 0.0")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:  # two that come together are one
        process.send_signal(signal.SIGINT)
    assert ended(process) == (130, f"pmd: {endings.INTERRUPTED}\n")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    body = "os.kill(os.getpid(), signal.SIGHUP)\nprint('on', file=sys.stderr)"
    process = command(body, before="signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    assert ended(process) == (0, "on\n")


#: The main thread waits; a library's thread, which would take any signal, was there first.
HEARS = """
came = threading.Semaphore(0)
endings.hear(lambda number: (print(number, file=sys.stderr), came.release()))
threading.Thread(target=threading.Event().wait, daemon=True).start()
print('here', flush=True)
came.acquire()
came.acquire()
"""


def hearing(before: str = "") -> subprocess.Popen[str]:
    """Start a process that hears of two signals."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, signal, sys, threading\nfrom pmd.terminal import endings\n{before}{HEARS}"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def test_a_signal_is_heard_while_the_main_thread_waits_for_ever() -> None:
    process = hearing()
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert process.stderr.readline() == "15\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (0, "2\n")


def test_what_a_process_was_started_to_ignore_is_not_heard_but_for_sigterm() -> None:
    ignored = "for number in endings.SIGNALS: signal.signal(number, signal.SIG_IGN)"
    process = hearing(f"{ignored}\n")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    assert process.stderr.readline() == "15\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (0, "15\n")


def test_handlers_are_as_before_when_a_command_is_done() -> None:
    before = [signal.getsignal(number) for number in endings.SIGNALS]
    with endings.command():
        assert [signal.getsignal(number) for number in endings.SIGNALS] != before
    assert [signal.getsignal(number) for number in endings.SIGNALS] == before


def test_every_ending_is_told_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert endings.tell(KeyboardInterrupt()) == 130
    assert endings.tell(endings.Stopped(signal.SIGHUP)) == 129
    assert endings.tell(InputError("truncated", where="a.json")) == 3
    assert endings.tell(PermissionError(errno.EACCES, "Permission denied", "/data/a.tsv")) == 3
    assert endings.tell(WorkerFault("Traceback …\nKeyError: 1\n")) == 1
    assert endings.tell(ZeroDivisionError()) is None
    said = capsys.readouterr().err
    assert said == (
        f"pmd: {endings.INTERRUPTED}\n" * 2
        + "pmd: a.json: truncated\n"
        + "pmd: /data/a.tsv: access is not allowed\n"
        + "  found: [Errno 13] Permission denied: '/data/a.tsv'\n"
        + "  remedy: mend its permissions, or choose another place\n"
        + "Traceback …\nKeyError: 1\n"
    )


def test_a_panic_of_a_library_is_told_as_an_error_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the system starts no further thread, Polars panics; that is no `Exception`."""
    with pytest.raises(SystemExit) as ended, endings.command():
        raise PanicException('could not spawn threads: IOError(Os { code: 11, kind: WouldBlock, message: "" })')
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("pmd: the system starts no more processes or threads\n")
    with pytest.raises(RuntimeError, match="PanicException: a fault of its own") as fault, endings.command():
        raise PanicException("a fault of its own")
    assert isinstance(fault.value.__cause__, PanicException)


def test_whatever_fails_where_there_is_no_memory_is_told_as_that(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that was imported in part lacks names, and Python ends calls without saying why."""
    fault = SystemError("error return without exception set")
    assert endings.tell(fault) is None

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refused)
    assert endings.tell(fault) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "pmd: there is not enough memory\n  found: SystemError: error return without exception set\n"
    )
    assert isinstance(mistakes.told_of(fault, "work"), PmdError)


def test_a_folder_that_is_gone_from_under_a_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert endings.tell(FileNotFoundError(errno.ENOENT, "No such file or directory")) is None
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        storage.is_local("out")
    assert endings.tell(caught.value) == 1
    assert capsys.readouterr().err.startswith("pmd: the folder that this command was started in is gone\n")


def test_an_interrupt_is_told_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert endings.tell(endings.Stopped(signal.SIGTERM), as_json=True) == 143
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["exit_code"], error["problem"]) == (143, endings.INTERRUPTED)


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    process = command("1 / 0")
    code, said = ended(process)
    assert code == 1
    assert said.endswith("ZeroDivisionError: division by zero\n")
