"""Jobs of engines: which there are, why they failed, and that they end with their driver."""

from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import apache_beam as beam
import grpc
import pyarrow as pa
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from pipelines import running
from pmd.engines import driving, ends, jobs, servers, transforms, versions
from pmd.engines.jobs import Place
from pmd.errors import PmdError
from pmd.store import lock, root, storage

FLINK = ("--runner=PortableRunner", "--job_endpoint=localhost:8099", "--environment_type=PROCESS")
DATAFLOW = ("--runner=DataflowRunner", "--project=pmd-project", "--region=us-central1")


@pytest.mark.parametrize(
    ("flags", "place", "shown", "log"),
    [
        (
            FLINK,
            Place("PortableRunner", "localhost:8099"),
            "PortableRunner at localhost:8099",
            "the log of the job server",
        ),
        (
            (*FLINK, "--flink_master=jobs:8081"),
            Place("PortableRunner", "localhost:8099", None, "http://jobs:8081"),
            "PortableRunner at localhost:8099",
            "the log of the job server at localhost:8099 and those of its workers",
        ),
        (
            (*FLINK, "--flink_master=[local]"),
            Place("PortableRunner", "localhost:8099"),
            "PortableRunner at localhost:8099",
            "the log",
        ),
        (
            DATAFLOW,
            Place("DataflowRunner", None, ("pmd-project", "us-central1")),
            "DataflowRunner",
            "Dataflow's page of jobs/us-central1/j-1 in project pmd-project",
        ),
        (
            ("--runner", "FlinkRunner"),
            Place("FlinkRunner"),
            "FlinkRunner",
            "the log of the engine and those of its workers",
        ),
    ],
)
def test_where_jobs_run(
    flags: tuple[str, ...], place: Place, shown: str, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = jobs.place(flags)
    assert found == place
    assert str(found) == shown
    assert found is not None
    assert log in found.log("j-1")
    assert jobs.place(("--direct_num_workers=2",)) is None


def test_the_logs_of_an_engine_that_was_started_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / ".engines/run/flink"
    run.mkdir(parents=True)
    told = {"name": "flink", "endpoint": "localhost:8099", "web": "http://127.0.0.1:1", "processes": []}
    (run / "state.json").write_text(json.dumps({**told, "folder": ".engines/run/flink"}))
    found = jobs.place(FLINK)
    assert found is not None
    assert found.cluster == "http://127.0.0.1:1"
    assert found.log(None) == "the logs in .engines/run/flink"


JAVA = """\
org.apache.flink.runtime.client.JobExecutionException: Job execution failed.
\tat org.apache.flink.runtime.jobmaster.JobResult.toJobExecutionResult(JobResult.java:144)
\t... 3 more
Caused by: org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy
\tat org.apache.flink.runtime.executiongraph.failover.ExecutionFailureHandler.handleFailure(ExecutionFailureHandler.java:176)
Caused by: java.io.IOException: Insufficient number of network buffers: required 512, but only 507 available.
\tat org.apache.flink.runtime.io.network.buffer.NetworkBufferPool.tryRedistributeBuffers(NetworkBufferPool.java:1)
"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RuntimeError(JAVA),
            "java.io.IOException: Insufficient number of network buffers: required 512, but only 507 available.",
        ),
        (RuntimeError("bundle failed\n\n"), "RuntimeError: bundle failed"),
        (RuntimeError("no room\n\tat java.base/java.lang.Thread.run(Thread.java:840)\n"), "RuntimeError: no room"),
        (ValueError(), "ValueError: "),
        (RuntimeError("Dataflow pipeline failed. State: FAILED, Error:\nNone"), None),
        (RuntimeError("Dataflow pipeline failed. State: FAILED, Error:\nno quota"), "RuntimeError: no quota"),
        (RuntimeError("x" * 900), ("RuntimeError: " + "x" * 900)[:300]),
    ],
)
def test_the_reason_is_the_last_cause(error: Exception, reason: str | None) -> None:
    assert jobs.reason(error) == reason


def test_a_job_server_that_hangs_up_is_the_reason() -> None:
    """gRPC spells its errors out in lines of which the last is ">"."""
    with grpc.insecure_channel("localhost:1") as channel, pytest.raises(grpc.RpcError) as caught:
        beam_job_api_pb2_grpc.JobServiceStub(channel).GetJobs(beam_job_api_pb2.GetJobsRequest(), timeout=5)
    said = jobs.reason(caught.value)
    assert said is not None
    assert said.startswith("UNAVAILABLE: ")
    assert len(said) > len("UNAVAILABLE: ")


class Ended:
    """A job that ends somehow."""

    def __init__(self, state: str | Exception, then: Any = None) -> None:
        self.state, self.then = state, then
        self.job_id = "pmd-1_7"

    def run(self) -> Ended:
        """Submit it."""
        return self

    def wait_until_finish(self) -> str:
        """Wait for its end."""
        if isinstance(self.state, Exception):
            raise self.state
        return self.state


@pytest.mark.parametrize("state", ["CANCELLED", "DRAINED", "UPDATED", "UNKNOWN", "FAILED", "UNRECOGNIZED"])
def test_a_job_that_is_not_done_has_failed(state: str) -> None:
    driver = driving.Driver(Place("DataflowRunner", None, ("pmd-project", "us-central1")))
    job: Any = Ended(state)
    with pytest.raises(RuntimeError) as caught:
        driver.run(job)
    told = driver.told(caught.value)
    assert told is not None
    assert told.problem == "the engine's job failed"
    assert told.where == "DataflowRunner, job pmd-1_7"
    assert told.found == f"RuntimeError: the job has ended as {state}"
    assert told.remedy == (
        "look into Dataflow's page of jobs/us-central1/pmd-1_7 in project pmd-project, then run the same command again"
    )


def wire(pipeline: Any) -> Any:
    return pipeline | transforms.create([transforms.outputs(())])


def undone(work: Path, monkeypatch: pytest.MonkeyPatch, state: str = "DONE") -> PmdError:
    """Run a pipeline that an engine calls done, and does not run; return what is told."""
    monkeypatch.setattr(driving.Driver, "run", lambda self, _: setattr(self, "_result", Ended(state)))
    with pytest.raises(PmdError) as caught:
        running.run(wire, ("--runner=FnApiRunner",), str(work))
    return caught.value


def test_a_job_that_is_done_and_has_not_reached_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = undone(tmp_path / "work", monkeypatch)
    assert found.problem == "the engine says that its job is done, and its work is not there"
    assert found.where == "FnApiRunner, job pmd-1_7"
    assert found.remedy == "look into the log of the engine and those of its workers, then run the same command again"
    assert not (tmp_path / "work").exists()


class Step:
    """A step that counts how often it is run, and ends the run that it belongs to before it is run again."""

    def __init__(self, work: str, *, then: str = "pass") -> None:
        self.work, self.then = work, then

    def __call__(self, batch: Any, *_: Any) -> Iterator[Any]:
        """Work."""
        (Path(self.work).parent / f"ran-{batch.num_rows}").touch()
        if self.then == "gone":
            Path(self.work, "wanted").unlink(missing_ok=True)
        yield batch


def rows(count: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"row": row} for row in range(count)])


@pytest.mark.parametrize(("then", "ran"), [("pass", ["ran-1", "ran-2"]), ("gone", ["ran-1"])])
def test_a_worker_looks_before_each_task_whether_it_is_wanted(tmp_path: Path, then: str, ran: list[str]) -> None:
    work = str(tmp_path / "work")
    ends.begin(work)
    step = transforms.PerTask(Step(work, then=then))
    list(step.process(rows(1)))
    if then == "gone":
        with pytest.raises(ends.CalledOffError, match="the driver of this run is gone, or has ended it"):
            list(step.process(rows(2)))
        # Nothing is written into a folder that somebody has swept.
        assert not list(Path(work).glob("mistake-*"))
    else:
        list(step.process(rows(2)))
    assert sorted(path.name for path in tmp_path.glob("ran-*")) == ran


@pytest.mark.parametrize("said", ["error=2, No such file or directory", "error=13, Permission denied"])
def test_a_worker_that_cannot_be_started_is_told_as_that(said: str) -> None:
    told = Place("PortableRunner", "localhost:8099").failed(
        "the engine's job failed", f"RuntimeError: Pipeline x failed in state FAILED: java.io.IOException: {said}", "x"
    )
    assert told.problem == "the engine's workers cannot start ours"
    assert "pmd-worker on the PATH" in str(told.expected)
    assert said in str(told.found)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "job-server-7d9f.invalid:8098"])
def test_a_job_server_whose_address_for_files_is_not_reached_is_told_as_that(tmp_path: Path, address: str) -> None:
    """Where it runs in a container it tells an address that only those beside it reach."""

    class Service(beam_job_api_pb2_grpc.JobServiceServicer):  # type: ignore[misc]
        def DescribePipelineOptions(self, *_: Any) -> Any:
            return beam_job_api_pb2.DescribePipelineOptionsResponse()

        def Prepare(self, *_: Any) -> Any:
            told = beam_job_api_pb2.PrepareJobResponse(preparation_id="1", staging_session_token="1")
            told.artifact_staging_endpoint.url = address
            return told

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    flags = ("--runner=PortableRunner", f"--job_endpoint=127.0.0.1:{port}", "--environment_type=LOOPBACK")
    try:
        with pytest.raises(PmdError) as caught, root.writer(str(tmp_path), "test"):
            running.run(lambda pipeline: pipeline | beam.Create([1]), flags, f"{tmp_path}/_work/epoch-1/curate-coco")
    finally:
        server.stop(None).wait()
    assert caught.value.problem == "an address of the job server cannot be reached"
    assert caught.value.where == f"PortableRunner at 127.0.0.1:{port}"
    assert "--artifact_endpoint=HOST:8098" in str(caught.value.remedy)
    assert str(caught.value.found).startswith("UNAVAILABLE: ")


def test_a_worker_that_does_not_see_root_is_told_as_that(tmp_path: Path) -> None:
    work = str(tmp_path / "root" / root.WORK / "epoch-1" / "curate")
    with pytest.raises(ends.UnseenError) as caught:
        ends.check(work)
    assert not list(tmp_path.iterdir())
    back = RuntimeError(f"Traceback …\npmd.engines.ends.UnseenError: {caught.value} [while running 'Curate/Read']\n")
    told = ends.unseen(back, work)
    assert told is not None
    assert (told.problem, told.where) == ("the engine's workers do not see this ROOT", str(tmp_path / "root"))
    assert told.found == f"nothing is there for a worker on {socket.gethostname()}, in the folder {os.getcwd()}"
    storage.put(str(tmp_path / "root" / lock.STATE_FILE), b"")
    with pytest.raises(ends.CalledOffError, match="the driver of this run is gone, or has ended it"):
        ends.check(work)
    assert ends.unseen(RuntimeError("no slots"), work) is None


def test_a_root_that_is_moved_while_it_is_written_is_told_as_that(tmp_path: Path) -> None:
    work = str(tmp_path / "root" / root.WORK / "epoch-1" / "curate")
    for error, problem, where in (
        (ends.UnseenError(), "ROOT was moved or removed while this run wrote to it", str(tmp_path / "root")),
        (ends.CalledOffError(), "the work folder of this run was removed while it ran", work),
    ):
        told = ends.unseen(error, work)  # Beam's local runner gives the error itself
        assert told is not None
        assert (told.problem, told.where, told.exit_code) == (problem, where, 4)
        assert told.remedy == "leave it in its place, and run the same command again"


def test_a_worker_whose_folder_was_removed_ends_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the driver's, which may go with ROOT."""
    stood = tmp_path / "stood"
    stood.mkdir()
    monkeypatch.chdir(stood)
    stood.rmdir()
    with pytest.raises(ends.CalledOffError):
        ends.check(str(tmp_path / "root" / root.WORK / "epoch-1" / "curate"))


def test_the_last_step_of_a_run_that_is_called_off_proposes_nothing(tmp_path: Path) -> None:
    work = str(tmp_path / "work")

    class Finish:
        stage = "curate"

        def __init__(self) -> None:
            self.work = work

        def __call__(self, found: Any) -> None:
            """Propose."""
            (tmp_path / "proposed").touch()

    finish = transforms._Finish(Finish())
    with pytest.raises(ends.CalledOffError):
        finish((0, []))
    assert not (tmp_path / "proposed").exists()
    assert not ends.is_left(work)
    ends.begin(work)
    finish((0, []))
    assert (tmp_path / "proposed").exists()
    assert ends.is_left(work)
    ends.begin(work)
    assert not ends.is_left(work)


class Manager(BaseHTTPRequestHandler):
    """Stands for Flink's job manager: it has jobs of one name, one of another, and two that have ended, one of them just now.

    What Flink 1.19 says of the options of a pipeline is as Beam's runner gave it (`/jobs/ID/config`).
    """

    asked: list[tuple[str, str]]
    runs: dict[str, str | None]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path))
        found = [("a", "pmd-1", "RUNNING"), ("b", "pmd-2", "RUNNING"), ("c", "pmd-1", "FINISHED")]
        found += [("d", "pmd-1", "RUNNING"), ("e", "pmd-1", "RUNNING")]
        found = [("gone", "pmd-1", "RUNNING"), *found]
        told: dict[str, Any] = {"jobs": [{"jid": jid, "name": name, "state": state} for jid, name, state in found]}
        if self.path == "/jobs/gone/config":
            self.send_error(404)
            return
        if self.path.endswith("/config"):
            said = self.runs[self.path.split("/")[2]]
            told = {"execution-config": {"user-config": {} if said is None else {"pmdDriver": said}}}
        content = json.dumps(told)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    do_PATCH = do_GET


def test_a_job_is_cancelled_on_flink_itself_and_no_other_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Manager, "asked", [], raising=False)
    runs = {"a": versions.told("mine"), "d": versions.told("others"), "e": None}
    monkeypatch.setattr(Manager, "runs", runs, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Manager) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        place = jobs.place((*FLINK, f"--flink_master=127.0.0.1:{server.server_port}"))
        assert place is not None
        jobs.cancel(place, "pmd-1_0b9e", "mine")
        jobs.cancel(place, None, "mine")
        server.shutdown()
    gone, mine, *others = (("GET", f"/jobs/{job}/config") for job in ("gone", "a", "d", "e"))
    assert Manager.asked == [("GET", "/jobs/overview"), gone, mine, ("PATCH", "/jobs/a?mode=cancel"), *others]
    jobs.cancel(Place("PortableRunner", "localhost:1"), "pmd-1_0b9e", "mine")
    with pytest.raises(OSError):
        jobs.cancel(place, "pmd-1_0b9e", "mine")


def test_the_state_of_an_engine_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / ".engines/run/spark"
    run.mkdir(parents=True)
    (run / "state.json").write_text("[]")
    with pytest.raises(PmdError, match="not what pmd engine up has written"):
        servers.read("spark")
    assert servers.at("localhost:1") is None
