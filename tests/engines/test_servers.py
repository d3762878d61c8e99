"""Engines on this machine: started, found, and ended with all of their processes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pmd.config.engine import Engine
from pmd.engines import choosing, servers
from pmd.errors import ConfigError, PmdError
from pmd.store import alive

LISTENS = """\
import socket, sys, signal
port = int(next(word for word in sys.argv if word.startswith("--job_port=")).partition("=")[2])
with socket.create_server(("127.0.0.1", port)):
    signal.pause()
"""


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of engines in the working folder: Prism's place is taken by a program that listens."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".engines"
    program(folder, LISTENS)
    return folder


def program(folder: Path, code: str) -> None:
    """Put a program in Prism's place."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin/prism").write_text(f"#!{sys.executable}\n{code}")
    (folder / "bin/prism").chmod(0o755)


def test_an_engine_is_started_found_and_ended(engines: Path) -> None:
    running = servers.up("prism")
    try:
        assert servers.read("prism") == running
        assert servers.at(running.endpoint) == running
        assert [process.part for process in running.processes] == ["prism"]
        assert running.dead == ()
        assert f"--job_endpoint={running.endpoint}" in choosing.flags(Engine(name="prism"))
        with pytest.raises(PmdError) as caught:
            servers.up("prism")
        assert (caught.value.problem, caught.value.where) == ("prism runs here already", running.endpoint)
        assert caught.value.remedy == "use it, or end it: pmd engine down prism"
    finally:
        assert servers.down("prism") == running
    assert running.dead == running.processes
    assert servers.read("prism") is None
    assert servers.down("prism") is None
    assert (engines / "run/prism/prism.log").exists()


def test_one_that_died_is_started_anew(engines: Path) -> None:
    running = servers.up("prism")
    os.kill(running.processes[0].pid, 9)
    os.waitpid(running.processes[0].pid, 0)
    assert running.dead == running.processes
    again = servers.up("prism")
    assert servers.down("prism") == again


def test_an_engine_that_cannot_be_noted_is_ended(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[servers.Process] = []
    end = servers._end
    monkeypatch.setattr(servers, "_end", lambda processes: (begun.extend(processes), end(processes)))
    monkeypatch.setattr(servers.os, "fsync", _full)
    monkeypatch.setattr(Path, "write_bytes", _full)
    with pytest.raises(OSError, match="No space left"):
        servers.up("prism")
    assert [process.part for process in begun] == ["prism"]
    assert servers.read("prism") is None


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_one_that_was_killed_while_it_was_started_is_known_and_ended(
    engines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts it is killed (SIGKILL, a second Ctrl-C): else its processes would run on, and nobody would know."""

    class KilledError(BaseException):
        pass

    def killed(*_: object) -> str:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(servers, "_taken", killed)
        patch.setattr(servers, "_end", killed)
        with pytest.raises(KilledError):
            servers.up("prism")
    left = servers.read("prism")
    assert left is not None
    assert (left.endpoint, left.dead, [process.part for process in left.processes]) == ("", (), ["prism"])
    with pytest.raises(ConfigError, match="no prism was started here") as caught:
        servers.started("prism")
    assert caught.value.found == "in .engines/run/prism one that is not started to its end"
    again = servers.up("prism")
    assert left.dead == left.processes
    assert servers.down("prism") == again


def test_an_engine_is_started_by_one_process_at_a_time(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second would remove the first one's folder, and of one of them nothing would be known."""
    told: list[str] = []
    original = servers._taken

    def taken(port: int) -> str | None:
        for call in (servers.up, servers.down):
            with pytest.raises(PmdError) as caught:
                call("prism")
            told.append(caught.value.problem)
        return original(port)

    monkeypatch.setattr(servers, "_taken", taken)
    running = servers.up("prism")
    assert {*told} == {"another process is just starting or ending prism here"}
    assert running.dead == ()
    assert servers.down("prism") == running


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15', None),
        (
            'openjdk version "25.0.1" 2025-10-21',
            'Java 17 (JAVA_HOME, or the first on PATH); {java} is openjdk version "25.0.1"',
        ),
        ('java version "1.8.0_452"', 'Java 17 (JAVA_HOME, or the first on PATH); {java} is java version "1.8.0_452"'),
        ("No Java runtime present", "Java 17 (JAVA_HOME, or the first on PATH); {java} is one that tells no version"),
    ],
)
def test_where_it_does_not_start_another_java_is_told(
    engines: Path, monkeypatch: pytest.MonkeyPatch, says: str, expected: str | None
) -> None:
    """JAVA_HOME goes before PATH, as in the engines' own scripts."""
    java = engines / "jdk/bin/java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    java.chmod(0o755)
    (engines / "spark").mkdir()
    monkeypatch.setenv("JAVA_HOME", str(engines / "jdk"))
    with pytest.raises(PmdError) as caught:
        servers.up("spark")
    assert caught.value.problem == "spark does not start: its job-server has ended"
    assert (caught.value.expected is None) == (expected is None)
    assert expected is None or str(caught.value.expected).startswith(expected.format(java=java))


def test_where_an_engine_is_missing_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prism is not here"):
        servers.up("prism", str(tmp_path / "none"))
    assert servers.down("prism", str(tmp_path / "none")) is None
    assert [*tmp_path.iterdir()] == []


def test_only_its_own_processes_are_ended(engines: Path) -> None:
    """A number that another process has by now is not signalled."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        other_then = servers.Process("prism", other.pid, "long ago")
        assert not other_then.is_alive
        servers._end([other_then])
        assert other.poll() is None
        assert servers.Process("prism", other.pid, alive.since(other.pid)).is_alive
        other.kill()


def test_one_that_does_not_start_is_told_with_its_log(engines: Path) -> None:
    program(engines, "print('starting')\nraise SystemExit('no room for Prism')")
    with pytest.raises(PmdError) as caught:
        servers.up("prism")
    assert caught.value.problem == "prism does not start: its prism has ended"
    assert caught.value.where == str(engines / "run/prism/prism.log")
    assert caught.value.found in {"no room for Prism", "starting"}
    assert servers.read("prism") is None


@pytest.mark.parametrize(
    ("name", "problem", "where"),
    [
        ("spark", "spark is not here", "spark"),
        ("flink", "flink is not here", "flink"),
        ("storm", "no such engine to start here", "storm"),
        ("dataflow", "no such engine to start here", "dataflow"),
    ],
)
def test_what_is_missing_is_told(
    engines: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str, where: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/bin/java")
    with pytest.raises(ConfigError) as caught:
        servers.up(name)
    assert caught.value.problem == problem
    assert (caught.value.where or "").endswith(where)
    assert servers.read(name, servers.FOLDER) is None
    assert not (engines / servers.FOLDER / "run").exists()


def test_a_heap_is_not_taken_for_an_engine_that_has_none(engines: Path) -> None:
    with pytest.raises(ConfigError, match="prism has no heap of Java's") as caught:
        servers.up("prism", heap_mb=512)
    assert caught.value.expected == "flink or spark"
    assert servers.read("prism") is None


def test_java_is_asked_for(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (engines / "spark").mkdir()
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(ConfigError, match="Java is not installed"):
        servers.up("spark")


def test_the_worker_of_a_cluster_is_this_python(engines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["more", "", "/there"]))
    starting = servers._Starting("flink", engines, engines / "run", 320)
    starting.run.mkdir()
    path = starting.worker_path()["PATH"].split(os.pathsep)[0]
    shown = subprocess.run([f"{path}/pmd-worker", "--help"], capture_output=True, text=True, check=True, cwd="/")
    assert "Started by an engine" in shown.stdout
    assert f":{engines.parent}/more:/there" in (Path(path) / "pmd-worker").read_text(), "from any folder"


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "on another file system"])
def test_jars_stand_where_job_servers_send_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool) -> None:
    """Beam's job server looks at their canonical path, so that a symbolic link would not do."""

    def refuse(*_: object) -> None:
        raise OSError("invalid cross-device link")

    for path in ("flink/beam.jar", "bin/java"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(path.encode())
        (tmp_path / path).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if not linked:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    starting = servers._Starting("flink", tmp_path, tmp_path / "run", 320)
    paths = {starting.java(64)[-1] for _ in range(2)}
    assert paths == {f"{tmp_path}/run/gradle/wrapper/*"}
    (jar,) = (tmp_path / "run/gradle/wrapper").iterdir()
    assert (jar.name, jar.read_bytes(), jar.is_symlink()) == ("beam.jar", b"flink/beam.jar", False)


#: A thread of it finds no memory, and the program waits for that thread's answer, as Flink does.
HUNGRY = """
import java.util.concurrent.*;

public class Hungry {
    public static void main(String[] words) throws Exception {
        var answer = new CountDownLatch(1);
        new Thread(() -> { var rows = new byte[512 << 20]; answer.countDown(); }).start();
        answer.await();
    }
}
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs the compiler of Java")
def test_an_engine_that_finds_no_memory_ends(tmp_path: Path) -> None:
    """A thread alone would die, and what waits for it would wait for ever: so did a job on Flink."""
    (tmp_path / "flink").mkdir()
    (tmp_path / "Hungry.java").write_text(HUNGRY)
    starting = servers._Starting("flink", tmp_path, tmp_path / "run", 320)
    command = [*starting.java(64), str(tmp_path / "Hungry.java")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 3
    assert "OutOfMemoryError" in ended.stdout + ended.stderr
