"""A session cluster of Flink's on this machine, as by `pmd engine up flink`, whose parts can be killed and come back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.breaking import kills
from pmd.engines import servers

_NAME: Final = "flink"
_TASK_MANAGER: Final = "task-manager-"
_JARS: Final = Path(__file__).resolve().parents[2] / servers.FOLDER
_ASK_S: Final = 3.0
RUNNING: Final = "RUNNING"
_ENDED: Final = frozenset({"FINISHED", "FAILED", "CANCELED"})


class Cluster:
    """One that runs in a folder: `pmd … --engine flink` finds it from there."""

    def __init__(self, folder: Path, running: servers.Running) -> None:
        self._folder = folder
        self._web = str(running.web)
        self._managers = {
            process.part: process.pid for process in running.processes if process.part.startswith(_TASK_MANAGER)
        }
        self._anew: list[subprocess.Popen[bytes]] = []
        self._alone: list[int] = []

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs, in order; an empty list where the job manager does not answer in time."""
        with contextlib.suppress(OSError):
            found: list[dict[str, Any]] = self._asked("/jobs/overview")["jobs"]
            return sorted(found, key=lambda job: float(job["start-time"]))
        return []

    @property
    def is_idle(self) -> bool:
        """Whether no job is left, nor a worker of one."""
        return all(job["state"] in _ENDED for job in self.jobs()) and not self.workers()

    @property
    def task_managers(self) -> int:
        """How many the job manager knows."""
        with contextlib.suppress(OSError):
            return len(self._asked("/taskmanagers")["taskmanagers"])
        return 0

    def workers(self) -> list[int]:
        """Return the processes that task managers have started and that run our code; those of a killed one too."""
        self._alone = [pid for pid in self._alone if Path(f"/proc/{pid}").exists()]
        return [*self._alone, *(pid for manager in self._managers.values() for pid in kills.descendants(manager))]

    def kill_task_manager(self, part: str, *, workers_too: bool = False) -> None:
        """Kill one with SIGKILL, and start it anew, as whoever runs a cluster does.

        Args:
            part: Which.
            workers_too: Its workers die with it; else they are left to themselves.
        """
        pid = self._managers[part]
        command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        environment = dict(
            line.split(b"=", 1) for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if b"=" in line
        )
        here = os.readlink(f"/proc/{pid}/cwd")
        workers = kills.descendants(pid)
        os.kill(pid, signal.SIGKILL)
        if workers_too:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        else:
            self._alone += workers
        with (Path(here) / f"{part}.log").open("ab") as log:
            anew = subprocess.Popen(
                command,
                env=environment,
                cwd=here,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._anew.append(anew)
        self._managers[part] = anew.pid

    @property
    def parts(self) -> list[str]:
        """The names of its task managers."""
        return sorted(self._managers)

    def end_anew(self) -> None:
        """End what was started anew, which `pmd engine down` does not know."""
        for process in self._anew:
            process.kill()
            process.wait()

    def _asked(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._web}{path}", timeout=_ASK_S) as answer:
            return json.loads(answer.read())


def missing() -> str | None:
    """Return in words what is not here, or None."""
    return None if (_JARS / _NAME).is_dir() else f"no Flink in {_JARS}: make flink"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Run one in a folder, with the environment of this process."""
    here = folder / servers.FOLDER
    here.mkdir(parents=True, exist_ok=True)
    for name in (_NAME, "lib", "bin"):
        if not (here / name).exists() and (_JARS / name).exists():
            (here / name).symlink_to(_JARS / name)
    cluster = Cluster(folder, servers.up(_NAME, str(here)))
    try:
        yield cluster
    finally:
        servers.down(_NAME, str(here))
        cluster.end_anew()
