"""A job that an engine runs, in words: which it is, why it failed, and where its log is."""

from __future__ import annotations

import dataclasses
import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

import grpc

from pmd.config.engine import WORKER
from pmd.engines import choosing, servers, versions
from pmd.errors import PmdError

#: How much of an engine's words is told.
_SAID: Final = 300
#: The last cause of a Java exception, which says what is wrong; before it stand those that handed it on.
_CAUSE: Final = re.compile(r"^\s*Caused by: (.+)$", re.MULTILINE)
#: Seconds in which Flink's job manager answers, and its states of jobs that have ended.
_ASK_S: Final = 3.0
_ENDED: Final = frozenset({"FINISHED", "FAILED", "CANCELED", "CANCELLING"})
#: How Beam's runner for Flink, which is Java, calls the option that tells the run.
_OPTION: Final = re.sub("_(.)", lambda found: found[1].upper(), versions.OPTION)
#: How Java says of a program that it is not there, or may not be run.
_UNSTARTED: Final = re.compile(r"java\.io\.IOException: (?:Cannot run program .*)?error=(?:2|13), ")
#: How gRPC says of an address that nobody takes connections there, or that there is no such host.
_UNREACHED: Final = "UNAVAILABLE: "
#: A line of a stack trace, of Java or of Python, or what stands between.
_TRACE: Final = re.compile(r"^\s*(at [\w$.<>/]+\(|\.\.\. \d+ (more|common)|File \"|\^+$|Traceback )")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where jobs run.

    Attributes:
        runner: Beam's name of the engine.
        endpoint: Of its job server; None: it has none.
        project: That pays, and in which region; None: nobody.
        cluster: Address of the pages of Flink's job manager; None: it is not Flink, or nobody has named it.
    """

    runner: str
    endpoint: str | None = None
    project: tuple[str, str] | None = None
    cluster: str | None = None

    def __str__(self) -> str:
        return self.runner if self.endpoint is None else f"{self.runner} at {self.endpoint}"

    def failed(self, problem: str, reason: str | None, job: str | None) -> PmdError:
        """Return that a job did not end well.

        Args:
            problem: How it ended.
            reason: The engine's; None: it gives none.
            job: Its name on the engine; None: it has not got that far.
        """
        where = str(self) if job is None else f"{self}, job {job}"
        if reason is not None and _UNSTARTED.search(reason):
            return PmdError(
                "the engine's workers cannot start ours",
                where=where,
                expected=f"{WORKER} on the PATH of each of them, or what worker of [engine.flink] and [engine.spark] names",
                found=reason,
                remedy="install pmd there, or say where it is; then run the same command again",
            )
        if job is None and reason is not None and reason.startswith(_UNREACHED) and not self._is_of_here:
            return PmdError(
                "an address of the job server cannot be reached",
                where=where,
                expected="its own, and the one at which it takes files, which it tells by itself",
                found=reason,
                remedy="if it is that one, say how this machine reaches it (-- --artifact_endpoint=HOST:8098); then run the same "
                "command again",
            )
        return PmdError(
            problem, where=where, found=reason, remedy=f"look into {self.log(job)}, then run the same command again"
        )

    @property
    def _is_of_here(self) -> bool:
        """Whether `pmd engine up` has started it, on this machine: it is reached as long as it lives."""
        return self.endpoint is None or servers.at(self.endpoint) is not None

    def log(self, job: str | None) -> str:
        """Return where the log of a job is."""
        if self.project is not None:
            project, region = self.project
            of = "its jobs" if job is None else f"jobs/{region}/{job}"
            return f"Dataflow's page of {of} in project {project}"
        here = None if self.endpoint is None else servers.at(self.endpoint)
        if here is not None:
            return f"the logs in {here.folder}"
        of = "the engine" if self.endpoint is None else f"the job server at {self.endpoint}"
        return f"the log of {of} and those of its workers"


def place(flags: Sequence[str]) -> Place | None:
    """Return where flags of Beam's say that jobs run; None: on Beam's local runner, in processes of ours."""
    runner = choosing.value(flags, "runner")
    if runner is None:
        return None
    project, region = (choosing.value(flags, name) for name in ("project", "region"))
    paying = (project or "?", region or "?") if choosing.is_dataflow(flags) else None
    endpoint = choosing.value(flags, "job_endpoint")
    return Place(runner, endpoint, paying, _cluster(choosing.value(flags, "flink_master"), endpoint))


def _cluster(master: str | None, endpoint: str | None) -> str | None:
    if master is None:
        here = None if endpoint is None else servers.at(endpoint)
        return None if here is None else here.web
    if master.startswith("["):  # in the job server's own process
        return None
    return master if "://" in master else f"http://{master}"


def cancel(place: Place, job: str | None, work: str) -> None:
    """Cancel a job on Flink itself: Beam's job server interrupts its own wait for it, and the cluster runs it on.

    Args:
        place: Where it runs.
        job: Its name at the job server, which is its name on the cluster and a number.
        work: The folder of the run: jobs of other drivers have the same name where `--job_name` gives them one.

    Raises:
        OSError: The cluster cannot be reached.
    """
    if place.cluster is None or job is None:
        return
    for found in _ask_for_json("GET", f"{place.cluster}/jobs/overview")["jobs"]:
        is_so_called = job.rpartition("_")[0] == found["name"] and found["state"] not in _ENDED
        if is_so_called and _run_of(f"{place.cluster}/jobs/{found['jid']}") == work:
            _ask_for_json("PATCH", f"{place.cluster}/jobs/{found['jid']}?mode=cancel")


def _run_of(job: str) -> str | None:
    """Return the folder of the run that a job of Flink's is of, as the options of its pipeline say it; None: they do not."""
    try:
        told = _ask_for_json("GET", f"{job}/config").get("execution-config", {}).get("user-config", {}).get(_OPTION)
    except urllib.error.HTTPError:  # it is gone, and another may be ours
        return None
    return None if told is None else versions.work_of(told)


def _ask_for_json(method: str, url: str) -> Any:
    asking = urllib.request.Request(url, method=method)  # noqa: S310  the address is the configuration's
    with urllib.request.urlopen(asking, timeout=_ASK_S) as answer:  # noqa: S310
        return json.loads(answer.read())


def name(result: Any) -> str | None:
    """Return a job's name on its engine, of what Beam gives when it was submitted."""
    found = getattr(result, "job_id", None) or getattr(result, "_job_id", None)
    found = found() if callable(found) else found
    return str(found) if found else None


def reason(error: BaseException) -> str | None:
    """Return what an engine says of a failure in one line: the last cause of its exception, or the last line of its words.

    None where it says nothing: Beam's client of Dataflow has "None" for a reason of a job that fails before it has asked for one.
    """
    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):  # which spells itself out in five lines
        return f"{error.code().name}: {error.details()}"[:_SAID]
    said = str(error)
    causes = _CAUSE.findall(said)
    lines = [line.strip() for line in said.splitlines() if line.strip() and not _TRACE.match(line)]
    last = causes[-1] if causes else lines[-1] if lines else ""
    if not causes and last == str(None):
        return None
    return (last if causes else f"{type(error).__name__}: {last}")[:_SAID]
