"""Engines on this machine, for trying: started, looked at and ended (`pmd engine`). Their servers listen on loopback.

What they are made of is built by `make engines`: `bin/prism`, and the jars of `flink/` and `spark/`. What runs is written down in
`run/ENGINE/state.json`, beside the logs; whoever builds here finds the engine by it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from pmd.config import remedies
from pmd.config.engine import WORKER
from pmd.errors import ConfigError, PmdError
from pmd.store import alive, patience, storage

#: The engines that can be started here.
NAMES: Final = ("prism", "flink", "spark")
#: Where they are, in the working folder.
FOLDER: Final = ".engines"
_STATE: Final = "state.json"
_PRISM: Final = "bin/prism"
_HOST: Final = "127.0.0.1"
#: Seconds that an engine gets to start, that its processes get to end, and between two looks.
_START_S: Final = 90.0
_END_S: Final = 10.0
_LOOK_S: Final = 0.1

#: The version that both engines run on.
JAVA: Final = 17
#: What Java 17 must open to Beam 2.62's runners, of java.base.
_OPENED: Final = {
    "flink": ("java.lang", "java.util", "java.util.concurrent"),
    "spark": (
        "java.lang",
        "java.lang.invoke",
        "java.net",
        "java.nio",
        "java.util",
        "java.util.concurrent",
        "java.util.concurrent.atomic",
        "sun.nio.ch",
        "sun.security.action",
    ),
}
#: As a job server says on which port it listens: asked for any, it takes one of loopback alone.
_LISTENS: Final = re.compile(r"JobService started on (\S+):(\d+)")
TASK_MANAGERS: Final = 2
#: MiB of Java's heap: of each task manager of Flink's, and of Spark, which has its executors in one process. Enough where rows
#: cross in run files. Of a worker that gives rows to the engine up to 100 messages wait in it, of 10 MB each.
HEAP_MB: Final = {"flink": 320, "spark": 1024}
#: Jars in such a folder Beam's job servers send nowhere (`PipelineResources.isStageable`). Else all of them go with each job to a
#: cluster that has them: 152 MB of Flink's, and 20 s here. The canonical path is what counts: a symbolic link is none.
_UNSENT: Final = "gradle/wrapper"


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that was started: its part, its number, and since when the system counts it."""

    part: str
    pid: int
    since: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs: the same process, not another of its number."""
        with contextlib.suppress(OSError):
            os.waitpid(self.pid, os.WNOHANG)  # where it was ours
        return bool(self.since) and alive.since(self.pid) == self.since


@dataclasses.dataclass(frozen=True)
class Running:
    """An engine that was started.

    Attributes:
        name: Which.
        endpoint: Its job server's; "": it has not got that far, and is being started, or who started it was killed.
        web: The address of its pages; None: it has none.
        processes: In the order in which they were started.
        folder: Of its logs.
    """

    name: str
    endpoint: str
    web: str | None
    processes: tuple[Process, ...]
    folder: str

    @property
    def dead(self) -> tuple[Process, ...]:
        """The processes that have ended by themselves."""
        return tuple(process for process in self.processes if not process.is_alive)


def known(names: Sequence[str] | None) -> Sequence[str]:
    """Return engines that are named; all where none is.

    Raises:
        ConfigError: One of them is none that can be started here.
    """
    for name in names or ():
        if name not in NAMES:
            raise ConfigError(
                "no such engine to start here",
                where=name,
                expected=", ".join(NAMES),
                remedy=remedies.of_word(name, NAMES),
            )
    return names or NAMES


def read(name: str, folder: str = FOLDER) -> Running | None:
    """Return the engine that was started here, or None."""
    path = _run(name, folder) / _STATE
    try:
        told = orjson.loads(path.read_bytes())
        processes = tuple(Process(**process) for process in told.pop("processes"))
        return Running(**told, processes=processes)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        raise PmdError(
            "not what pmd engine up has written", where=str(path), remedy="end its processes yourself, and remove it"
        ) from None


def started(name: str, folder: str = FOLDER) -> Running:
    """Return the engine that was started here.

    Raises:
        ConfigError: None was.
    """
    running = read(name, folder)
    if running is None or not running.endpoint:
        raise ConfigError(
            f"no {name} was started here, and none is named",
            where=f"[engine.{name}]",
            expected="endpoint, the address of a job server",
            found=f"nothing, nor {_run(name, folder) / _STATE}"
            if running is None
            else f"in {running.folder} one that is not started to its end",
            remedy=f'pmd engine up {name}; or write endpoint = "HOST:PORT"',
        )
    return running


def at(address: str, folder: str = FOLDER) -> Running | None:
    """Return the engine that was started here whose job server has an address, or None."""
    for name in NAMES:
        with contextlib.suppress(PmdError):
            running = read(name, folder)
            if running is not None and running.endpoint == address:
                return running
    return None


def up(name: str, folder: str = FOLDER, heap_mb: int | None = None) -> Running:
    """Start an engine, and wait until it takes jobs.

    Args:
        name: Which.
        folder: Where the engines are.
        heap_mb: MiB of Java's heap of each process that handles rows; None: `HEAP_MB`.

    Raises:
        ConfigError: No such engine, it has no such heap, or what it is made of is not here.
        PmdError: It runs already, another process is just starting or ending it, or it does not start.
    """
    known([name])
    if heap_mb is not None and name not in HEAP_MB:
        raise ConfigError(f"{name} has no heap of Java's", where="--heap", expected=" or ".join(HEAP_MB), found=name)
    _needs(Path(folder), _PRISM if name == "prism" else name)  # before anything is made there
    with _alone(name, folder):
        before = read(name, folder)
        if before is not None and before.endpoint and len(before.dead) < len(before.processes):
            raise PmdError(
                f"{name} runs here already", where=before.endpoint, remedy=f"use it, or end it: pmd engine down {name}"
            )
        if before is not None:  # of one that was killed while it started them
            _end(before.processes)
        run = _run(name, folder)
        if run.exists():
            shutil.rmtree(run)
        run.mkdir(parents=True)
        starting = _Starting(name, Path(folder), run, HEAP_MB.get(name, 0) if heap_mb is None else heap_mb)
        try:
            address, web = {"prism": _prism, "flink": _flink, "spark": _spark}[name](starting)
            return starting.note(address, web)
        except BaseException:
            _end(starting.processes)
            (run / _STATE).unlink(missing_ok=True)
            if not starting.processes:  # nothing has been started, and there is no log to look into
                shutil.rmtree(run)
            raise


def down(name: str, folder: str = FOLDER) -> Running | None:
    """End an engine that was started here; return what it was, or None where there is none. Its logs stay.

    Raises:
        PmdError: It is just being started, or ended, by another process.
    """
    if read(name, folder) is None and not _run(name, folder).exists():
        return None
    with _alone(name, folder):
        running = read(name, folder)
        if running is not None:
            _end(running.processes)
            (_run(name, folder) / _STATE).unlink()
        return running


def _needs(folder: Path, path: str) -> Path:
    """Return the path of something in the folder of engines.

    Raises:
        ConfigError: It is not there.
    """
    found = folder.absolute() / path
    if not found.exists():
        raise ConfigError(
            f"{'prism' if path == _PRISM else path} is not here",
            where=str(found),
            expected="what make engines builds",
            remedy="run make engines in a checkout of pmd, then this in the same folder; or name another with --folder",
        )
    return found


def _alone(name: str, folder: str) -> contextlib.AbstractContextManager[None]:
    """Be the only process that starts or ends an engine here.

    Raises:
        PmdError: Another one does.
    """
    path = _run(name, folder).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    problem = f"another process is just starting or ending {name} here"
    return patience.alone(
        str(path), PmdError(problem, where=str(path), remedy="wait for it, then run the same command again")
    )


class _Starting:
    """Starts the processes of one engine, and waits for them."""

    def __init__(self, name: str, folder: Path, run: Path, heap_mb: int) -> None:
        self.name, self.folder, self.run, self.heap_mb = name, folder.absolute(), run.absolute(), heap_mb
        self.processes: list[Process] = []
        self._folder = str(run)
        self._java: str | None = None

    def start(self, part: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Path:
        """Start one; return the path of its log."""
        log = self.run / f"{part}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603  the programs are those of `make engines`
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=self.run,
                start_new_session=True,  # a signal to the command that starts it is not for it
            )
        self.processes.append(Process(part, process.pid, alive.since(process.pid)))
        self.note("", None)  # what nothing tells of would never be ended
        return log

    def note(self, endpoint: str, web: str | None) -> Running:
        """Write down what runs, and return it."""
        running = Running(self.name, endpoint, web, tuple(self.processes), self._folder)
        storage.put(f"{self._folder}/{_STATE}", orjson.dumps(running, option=orjson.OPT_INDENT_2))
        return running

    def wait(self, part: str, what: Callable[[], str | None]) -> str:
        """Wait until something is there, and return it.

        Raises:
            PmdError: A process has ended, or it takes too long.
        """
        until = time.monotonic() + _START_S
        while (found := what()) is None:
            dead = [process.part for process in self.processes if not process.is_alive]
            if dead or time.monotonic() > until:
                part = dead[0] if dead else part
                log = self.run / f"{part}.log"
                lines = [
                    line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
                ]
                raise PmdError(
                    f"{self.name} does not start: its {part} {'has ended' if dead else 'does not answer'}",
                    where=str(log),
                    expected=None if self._java is None else _java_wanted(self._java),
                    found=lines[-1][:300] if lines else "an empty log",
                    remedy="read the log, then run the same command again",
                )
            time.sleep(_LOOK_S)
        return found

    def java(self, heap_mb: int, *more: str) -> list[str]:
        """Return the beginning of a command of Java's.

        Raises:
            ConfigError: It is not installed, or the jars are not here.
        """
        home = os.environ.get("JAVA_HOME")  # first, as Flink's and Spark's own scripts have it
        java = shutil.which("java", path=os.path.join(home, "bin")) if home else None
        java = self._java = java or shutil.which("java")
        if java is None:
            raise ConfigError(
                "Java is not installed",
                where="JAVA_HOME, PATH",
                expected=f"java, of version {JAVA}",
                remedy="install it",
            )
        jars = self.unsent(_needs(self.folder, self.name))
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED[self.name]]
        loopback = [
            "-Djava.net.preferIPv4Stack=true",
            "-Djava.util.logging.SimpleFormatter.format=%1$tT %4$s %3$s: %5$s%6$s%n",
        ]
        # For trying: jobs end before the second compiler has paid.
        return [
            java,
            f"-Xmx{heap_mb}m",
            "-XX:+ExitOnOutOfMemoryError",  # else one thread of it dies, and the job waits for ever
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            *opened,
            *loopback,
            *more,
            "-cp",
            f"{jars}/*",
        ]

    def unsent(self, jars: Path) -> Path:
        """Return a folder of the same jars from which none is sent."""
        folder = self.run / _UNSENT
        if not folder.exists():
            folder.mkdir(parents=True)
            for jar in jars.glob("*.jar"):
                try:
                    (folder / jar.name).hardlink_to(jar)
                except OSError:  # another file system
                    shutil.copyfile(jar, folder / jar.name)
        return folder

    def worker_path(self) -> dict[str, str]:
        """Return an environment in which `pmd-worker` is this Python's pmd, from wherever it was imported."""
        script = self.run / "bin" / WORKER
        script.parent.mkdir()
        given = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        paths = os.pathsep.join([str(Path(__file__).parents[2]), *given])  # it is started in another folder
        script.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={shlex.quote(paths)}\n"
            f'exec {shlex.quote(sys.executable)} -m pmd.engines.boot "$@"\n'
        )
        script.chmod(0o755)
        return {"PATH": f"{script.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}

    def configured(self, part: str, told: Mapping[str, object]) -> str:
        """Write a folder of configuration of Flink's; return its path."""
        folder = self.run / f"{part}.conf"
        folder.mkdir()
        lines = "".join(f"{key}: {value}\n" for key, value in told.items())
        (folder / "flink-conf.yaml").write_text(lines)
        return str(folder)


def _java_wanted(java: str) -> str | None:
    """Return which Java is wanted in place of another one; None: it is that."""
    said = subprocess.run([java, "-version"], capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    version = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    if version is not None and int(version[1]) == JAVA:
        return None
    told = next((line for line in said.stderr.splitlines() if "version" in line), "one that tells no version")
    return f"Java {JAVA} (JAVA_HOME, or the first on PATH); {java} is {told}"


def _prism(starting: _Starting) -> tuple[str, str | None]:
    port = _free_port()
    starting.start("prism", [str(_needs(starting.folder, _PRISM)), f"--job_port={port}", "--serve_http=false"])
    starting.wait("prism", lambda: _taken(port))
    return f"localhost:{port}", None


#: A job outlives a task manager that dies and comes back, as wherever somebody sees to a cluster. Beam's runner hands its option
#: for this (`--number_of_execution_retries`) to streaming jobs alone, so it is the cluster's. Heartbeats are closer than Flink's
#: 10 s: the second one that finds nobody tells that a task manager is dead. One that only stands still gets Flink's 50 s.
_RESTARTING: Final = {
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 4,
    "restart-strategy.fixed-delay.delay": "2 s",
    "heartbeat.interval": 2000,
    "slot.request.timeout": 60_000,  # that it waits for one that does not come back, where Flink waits five minutes
}

_FRAMEWORK_MB: Final = 64
#: What Flink's own start scripts would work out: every part of a task manager's memory.
_MEMORY: Final = {
    "taskmanager.cpu.cores": 1.0,
    "taskmanager.memory.task.off-heap.size": "0b",
    "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_MB}mb",
    "taskmanager.memory.framework.off-heap.size": "64mb",
    "taskmanager.memory.network.min": "160mb",  # at 64 de-duplication lacks buffers
    "taskmanager.memory.network.max": "160mb",
    "taskmanager.memory.managed.size": "64mb",
    "taskmanager.memory.jvm-metaspace.size": "128mb",
    "taskmanager.memory.jvm-overhead.min": "64mb",
    "taskmanager.memory.jvm-overhead.max": "64mb",
}


def _flink(starting: _Starting) -> tuple[str, str | None]:
    """Start a session cluster: a job manager, task managers of one slot that start their own workers, and a job server."""
    rpc, rest = _free_port(), _free_port()
    both = {
        "jobmanager.rpc.address": _HOST,
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": _HOST,
        "taskmanager.host": _HOST,
        "taskmanager.bind-host": _HOST,
        "rest.address": _HOST,
        "rest.bind-address": _HOST,
        "rest.port": rest,
        "blob.server.port": 0,
        "parallelism.default": TASK_MANAGERS,
        "cluster.uncaught-exception-handling": "FAIL",  # as ExitOnOutOfMemoryError
        **_RESTARTING,
    }
    environment = starting.worker_path()
    manager = starting.java(384)
    entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
    told = starting.configured("job-manager", both)
    starting.start("job-manager", [*manager, entry, "--configDir", told], environment)
    starting.wait("job-manager", lambda: _task_managers(rest))
    heap = {"taskmanager.memory.task.heap.size": f"{starting.heap_mb - _FRAMEWORK_MB}mb"}
    for number in range(1, TASK_MANAGERS + 1):
        part = f"task-manager-{number}"
        temporary = starting.run / f"{part}.tmp"
        temporary.mkdir()
        more = {
            "taskmanager.numberOfTaskSlots": 1,
            "taskmanager.resource-id": part,
            "taskmanager.rpc.port": 0,
            "taskmanager.data.port": 0,
            "io.tmp.dirs": temporary,
        }
        told = starting.configured(part, both | _MEMORY | heap | more)
        entry = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        # The heap of tasks and framework together; what is beside it is direct memory.
        starting.start(part, [*starting.java(starting.heap_mb), entry, "--configDir", told], environment)
    # What a job in one process is given too: with the master [local] the job server runs Flink itself, pages and all, beside the
    # cluster, whose port is taken.
    memory = {key: size for key, size in _MEMORY.items() if "network" in key or "managed" in key}
    told = starting.configured("job-server", both | memory | {"rest.port": 0})
    listening = _job_server(
        starting,
        starting.java(1024),
        "org.apache.beam.runners.flink.FlinkJobServerDriver",
        [f"--flink-master={_HOST}:{rest}", f"--flink-conf-dir={told}"],
        environment,
    )
    starting.wait(
        "task-manager-1",
        lambda: _task_managers(rest) if (_task_managers(rest) or "").count("task-manager-") >= TASK_MANAGERS else None,
    )
    return listening, f"http://{_HOST}:{rest}"


def _spark(starting: _Starting) -> tuple[str, str | None]:
    environment = starting.worker_path() | {"SPARK_LOCAL_IP": _HOST}
    here = [f"-Dspark.driver.bindAddress={_HOST}", f"-Dspark.driver.host={_HOST}", "-Dspark.ui.enabled=false"]
    entry = "org.apache.beam.runners.spark.SparkJobServerDriver"
    java = starting.java(starting.heap_mb, *here)
    return _job_server(starting, java, entry, [f"--spark-master-url=local[{TASK_MANAGERS}]"], environment), None


def _job_server(
    starting: _Starting, java: Sequence[str], entry: str, told: Sequence[str], environment: Mapping[str, str]
) -> str:
    """Start a job server of Beam's on ports that the system chooses, which are loopback's alone; return its address."""
    ports = [f"--{server}-port=0" for server in ("job", "artifact", "expansion")]
    artifacts = [f"--artifacts-dir={starting.run / 'artifacts'}"]
    log = starting.start("job-server", [*java, entry, *told, f"--job-host={_HOST}", *ports, *artifacts], environment)
    return starting.wait("job-server", functools.partial(_listening, log))


def _listening(log: Path) -> str | None:
    found = _LISTENS.search(log.read_text(encoding="utf-8", errors="replace"))
    return None if found is None else f"localhost:{found[2]}"


def _taken(port: int) -> str | None:
    with contextlib.suppress(OSError), contextlib.closing(socket.create_connection((_HOST, port), timeout=1)):
        return str(port)
    return None


def _task_managers(rest: int) -> str | None:
    """Return what Flink's job manager says of its task managers; None: it does not answer yet."""
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://{_HOST}:{rest}/taskmanagers", timeout=2) as answer,
    ):
        return str(answer.read().decode())
    return None


def _run(name: str, folder: str) -> Path:
    """Return the folder of what runs."""
    return Path(folder) / "run" / name


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_HOST, 0))
        return int(free.getsockname()[1])


def _end(processes: Sequence[Process]) -> None:
    """Ask processes to end, the last first, and make them where they do not in time."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = [process for process in reversed(processes) if process.is_alive]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
        until = time.monotonic() + _END_S
        while any(process.is_alive for process in left) and time.monotonic() < until:
            time.sleep(_LOOK_S)
