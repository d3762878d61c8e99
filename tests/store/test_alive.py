"""Whether a process has ended: what is not known of it is not its death, after which another asks hosts in its place."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmd.store import alive

pytestmark = pytest.mark.skipif(not alive.name(), reason="this system does not tell processes apart")


@pytest.fixture
def other() -> Iterator[tuple[int, str]]:
    """Another process that lives: its number and its name."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid, f"{alive._seen_together()} {process.pid} {alive.since(process.pid)}"
        process.kill()


def refuse(monkeypatch: pytest.MonkeyPatch, pid: int, error: OSError) -> None:
    """Have the system refuse to tell of a process."""
    read = Path.read_text

    def refused(path: Path, *given: Any, **named: Any) -> str:
        if path == alive._PROC / f"{pid}/stat":
            raise error
        return read(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", refused)


def test_a_process_is_dead_when_it_has_ended(other: tuple[int, str]) -> None:
    pid, name = other
    assert not alive.is_dead(alive.name())
    assert not alive.is_dead(name)
    assert alive.is_dead(name + "1"), "another process has its number by now"
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert alive.is_dead(name)
    assert not alive.is_dead("")
    assert not alive.is_dead(f"another-machine {name.partition(' ')[2]}")


@pytest.mark.parametrize("damaged", ["x", "-1", "99999999999999999999999", "1e3", "é"])
def test_of_a_name_that_is_none_nothing_is_known(damaged: str) -> None:
    together, _, since = alive.name().rpartition(f" {os.getpid()} ")
    assert not alive.is_dead(f"{together} {damaged} {since}")


def test_a_process_is_told_whatever_it_calls_itself() -> None:
    code = r"open('/proc/self/comm', 'wb').write(b'\xff) \xfe'); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert b"\xff" in Path(f"/proc/{process.pid}/stat").read_bytes()
        name = f"{alive._seen_together()} {process.pid} {alive.since(process.pid)}"
        assert alive.since(process.pid).isdecimal()
        assert not alive.is_dead(name)
        process.kill()
        process.wait()
        assert alive.is_dead(name)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES])
def test_one_that_cannot_be_looked_at_is_not_known_to_be_dead(
    other: tuple[int, str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As where whoever looks has no file left to open."""
    pid, name = other
    refuse(monkeypatch, pid, OSError(number, os.strerror(number)))
    assert not alive.is_dead(name)


def test_another_users_process_that_is_hidden_is_not_known_to_be_dead(
    other: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid, name = other
    refuse(monkeypatch, pid, FileNotFoundError(errno.ENOENT, "hidden"))

    def kill(_: int, number: int) -> None:
        assert number == 0
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert not alive.is_dead(name)
    monkeypatch.undo()
