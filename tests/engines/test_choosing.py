"""The engine of a configuration as Beam's flags, and word of one that is not there."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from pipelines import running
from pmd.config.engine import DataflowEngine, Engine
from pmd.engines import choosing
from pmd.errors import ConfigError, PmdError


def engine(name: str, **told: Any) -> Engine:
    table = {name: told} if told else {}
    return Engine.model_validate({"name": name, **table})


DATAFLOW = {
    "project": "pmd-project",
    "region": "us-central1",
    "temp": "gs://pmdb/tmp",
    "image": "example.invalid/pmd:1",
}


@pytest.mark.parametrize(
    ("chosen", "given", "flags"),
    [
        (engine("local"), (), ""),
        (engine("local", processes=3), (), "--direct_num_workers=3"),
        (engine("local", processes=3), ("--direct_num_workers=1",), "--direct_num_workers=1"),
        (
            engine("prism", endpoint="localhost:8073"),
            (),
            "--runner=PortableRunner --job_endpoint=localhost:8073 --environment_type=LOOPBACK",
        ),
        (
            engine("flink", endpoint="jobs:8099", master="cluster:8081", parallelism=4),
            (),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --flink_master=cluster:8081 --parallelism=4 "
            "--environment_type=PROCESS --environment_options=process_command=pmd-worker",
        ),
        (
            engine("flink", endpoint="jobs:8099", worker="/opt/boot"),
            ("--parallelism=9",),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=PROCESS "
            "--environment_options=process_command=/opt/boot "
            "--parallelism=9",
        ),
        (
            engine("flink", endpoint="jobs:8099", environment="external", worker="localhost:50000"),
            (),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=EXTERNAL "
            "--environment_options=external_service_address=localhost:50000",
        ),
        (
            engine("flink", endpoint="jobs:8099"),
            ("--environment_type=LOOPBACK",),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=LOOPBACK",
        ),
        (
            engine("flink", endpoint="jobs:8099"),
            ("--environment_config=/opt/boot",),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=PROCESS --environment_config=/opt/boot",
        ),
        (
            engine("flink", endpoint="jobs:8099"),
            ("--environment_options=process_variables=TMPDIR=/spool",),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=PROCESS "
            "--environment_options=process_command=pmd-worker --environment_options=process_variables=TMPDIR=/spool",
        ),
        (
            engine("flink", endpoint="jobs:8099"),
            ("--environment_option", "process_command=/opt/boot"),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=PROCESS "
            "--environment_option process_command=/opt/boot",
        ),
        (
            engine("spark", endpoint="jobs:8099", master="local[2]", environment="loopback"),
            (),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --spark_master=local[2] --environment_type=LOOPBACK",
        ),
        (
            engine("spark", endpoint="jobs:8099", environment="docker", worker="example.invalid/pmd:1"),
            (),
            "--runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=DOCKER "
            "--environment_options=docker_container_image=example.invalid/pmd:1",
        ),
        (engine("spark", endpoint="jobs:8099"), ("--runner=FnApiRunner",), "--runner=FnApiRunner"),
        (
            engine("local", processes=3),
            ("--direct_running_mode=multi_threading",),
            "--direct_running_mode=multi_threading",
        ),
    ],
)
def test_an_engine_is_flags(chosen: Engine, given: tuple[str, ...], flags: str) -> None:
    found = choosing.flags(chosen, given)
    assert " ".join(found) == flags
    assert choosing.flags(chosen, found) == found


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 1000660000"), OSError("No username set")])
def test_jobs_of_dataflow_have_a_name_where_the_user_has_none(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Beam makes names of the user's: in a pod whose user is a number it ended in a KeyError."""

    def nobody() -> str:
        raise error

    monkeypatch.setattr(choosing, "_is_installed", lambda _: True)
    monkeypatch.setattr(choosing.getpass, "getuser", nobody)
    chosen = Engine(name="dataflow", dataflow=DataflowEngine(**DATAFLOW))
    found = choosing.flags(chosen, (), "gs://pmdb/root")
    assert re.fullmatch("pmd-[0-9a-f]{12}", choosing.value(found, "job_name") or "")
    assert choosing.flags(chosen, found, "gs://pmdb/root") == found
    assert choosing.value(choosing.flags(chosen, ("--job_name=mine",), "gs://pmdb/root"), "job_name") == "mine"


def test_dataflow_is_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_is_installed", lambda _: True)
    chosen = Engine(name="dataflow", dataflow=DataflowEngine(**DATAFLOW, machine="n2-standard-8", most_workers=16))
    assert choosing.flags(chosen, (), "gs://pmdb/root") == (
        "--runner=DataflowRunner",
        "--project=pmd-project",
        "--region=us-central1",
        "--temp_location=gs://pmdb/tmp",
        "--staging_location=gs://pmdb/tmp/staging",
        "--sdk_location=container",
        "--sdk_container_image=example.invalid/pmd:1",
        "--worker_machine_type=n2-standard-8",
        "--max_num_workers=16",
    )


def told(call: Any, *given: Any) -> tuple[str | None, ...]:
    with pytest.raises(PmdError) as caught:
        call(*given)
    found = caught.value
    return type(found).__name__, found.problem, found.where, found.expected, found.found, found.remedy


@pytest.mark.parametrize("before", ["", "file://"])
def test_dataflow_does_not_reach_a_local_root(tmp_path: Path, before: str) -> None:
    assert told(choosing.flags, engine("dataflow", **DATAFLOW), (), f"{before}{tmp_path}") == (
        "ConfigError",
        "Dataflow's workers do not reach this ROOT",
        "root",
        "a folder of Cloud Storage: gs://BUCKET/…",
        f"{before}{tmp_path}",
        "name one, or another engine",
    )


def test_dataflows_packages_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_is_installed", lambda _: False)
    found = told(choosing.flags, engine("dataflow", **DATAFLOW), ())
    assert found[1:3] == ("Dataflow needs packages that are not installed", "[engine.dataflow]")
    assert found[5] == "pip install 'pmd[gcp]'"
    assert not choosing._is_installed("pmd.nowhere.at_all")


def test_an_engine_that_was_neither_named_nor_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert told(choosing.flags, engine("flink"), ()) == (
        "ConfigError",
        "no flink was started here, and none is named",
        "[engine.flink]",
        "endpoint, the address of a job server",
        "nothing, nor .engines/run/flink/state.json",
        'pmd engine up flink; or write endpoint = "HOST:PORT"',
    )


def test_the_command_line_chooses() -> None:
    table = engine("flink", endpoint="jobs:8099")
    assert choosing.chosen(table, None, ("--runner=X",)) == table
    assert choosing.chosen(table, "local", ()).name == "local"
    assert choosing.chosen(table, "local", ()).flink == table.flink
    with pytest.raises(ConfigError, match="no such engine"):
        choosing.chosen(table, "storm", ())
    assert told(choosing.chosen, table, "prism", ("--runner", "DirectRunner"))[1:5] == (
        "two engines are chosen",
        "--engine prism",
        None,
        "--runner=DirectRunner too",
    )
    assert told(choosing.flags, choosing.chosen(table, "dataflow", ()), ())[1:4] == (
        "dataflow is not described",
        "[engine]",
        "a table [engine.dataflow] with project, region, temp and image",
    )


def test_a_job_server_that_is_not_there_is_told() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        found = told(choosing.reach, ("--runner=PortableRunner", "--job_endpoint", address))
        assert found[:4] == (
            "PmdError",
            "the engine cannot be reached",
            address,
            "a job server that takes connections there (endpoint of [engine], or --job_endpoint)",
        )
        assert "refused" in (found[4] or "")
        assert (found[5] or "").startswith("start it (on this machine: pmd engine up prism, flink or spark)")
    choosing.reach(("--runner=DataflowRunner",))
    assert told(choosing.reach, ("--job_endpoint=nonsense",))[1:3] == ("the engine cannot be reached", "nonsense")


class Jobs(beam_job_api_pb2_grpc.JobServiceServicer):
    """Answers as a job server does."""

    def DescribePipelineOptions(self, *_: Any) -> Any:
        options = [beam_job_api_pb2.PipelineOptionDescriptor(name=name) for name in ("parallelism", "spark_master")]
        return beam_job_api_pb2.DescribePipelineOptionsResponse(options=options)


class Page(BaseHTTPRequestHandler):
    """Answers as the pages of an engine do."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


@pytest.fixture
def serving() -> Iterator[tuple[grpc.Server, str]]:
    """A server of gRPC, and its address."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    yield server, f"localhost:{port}"
    server.stop(None)


def test_a_job_server_is_reached(serving: tuple[grpc.Server, str]) -> None:
    server, address = serving
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(Jobs(), server)
    server.start()
    assert choosing.reach(("--runner=PortableRunner", f"--job_endpoint={address}")) == {"parallelism", "spark_master"}


class Wired(PmdError):
    """The flags were taken."""


@pytest.mark.parametrize(
    ("given", "found", "remedy"),
    [
        ("--sparkmaster=local", "--sparkmaster", "did you mean --spark_master?"),
        (
            "--parallelism=2 spark_master=local",
            "spark_master=local",
            "take them away, or name the --runner whose they are",
        ),
        ("--spark_master=local --parallelism 2", None, None),
    ],
)
def test_flags_that_neither_beam_nor_the_job_server_knows_are_refused(
    serving: tuple[grpc.Server, str], tmp_path: Path, given: str, found: str | None, remedy: str | None
) -> None:
    """Beam passes over them with a line in its log, which nobody sees."""
    server, address = serving
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(Jobs(), server)
    server.start()
    flags = ("--runner=PortableRunner", f"--job_endpoint={address}", "--environment_type=LOOPBACK", *given.split())

    def wire(_: Any) -> Any:
        raise Wired("the flags were taken")

    with pytest.raises(Wired if found is None else ConfigError) as caught:
        running.run(wire, flags, str(tmp_path / "work"))
    if isinstance(caught.value, ConfigError):
        told = caught.value
        assert (told.problem, told.found, told.remedy) == ("Beam does not know these flags", found, remedy)


def test_flags_that_dataflow_does_not_know_are_refused() -> None:
    flags = ("--runner=DataflowRunner", "--max_num_worker=9")
    with pytest.raises(ConfigError) as caught:
        running.check(flags)
    assert (caught.value.found, caught.value.remedy) == ("--max_num_worker", "did you mean --max_num_workers?")
    assert choosing.known(("--runner=apache_beam.runners.dataflow.DataflowRunner",)) == ()
    assert choosing.known(("--runner=FlinkRunner",)) is None  # it starts a job server by itself, and asks that


NO_JOB_SERVER = "what answers here is no job server of Beam's"


def test_another_service_is_told_at_once(serving: tuple[grpc.Server, str]) -> None:
    """Such as a pool of workers. Beam would ask it six times, and end in an exception that names neither."""
    server, address = serving
    server.start()
    found = told(choosing.reach, (f"--job_endpoint={address}",))
    assert found[:3] == ("PmdError", NO_JOB_SERVER, address)
    assert "UNIMPLEMENTED" in str(found[4])
    assert "endpoint of [engine]" in str(found[5])


def test_an_engines_own_pages_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flink's 8081 in place of Beam's 8099. Beam would wait for five minutes, and end in an exception without a word."""
    monkeypatch.setattr(choosing, "_PAUSE_S", 0.01)
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = told(choosing.reach, (f"--job_endpoint=localhost:{server.server_port}",))
        server.shutdown()
    assert found[1] == NO_JOB_SERVER
    assert "UNAVAILABLE" in str(found[4])


def test_somebody_who_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = told(choosing.reach, (f"--job_endpoint=localhost:{silent.getsockname()[1]}",))
    assert found[1] == NO_JOB_SERVER
    assert "DEADLINE" in str(found[4])
