"""The `[engine]` table as Beam's own flags, and whether the engine that flags name is there."""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import socket
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from pmd.config import remedies
from pmd.config.engine import WORKER, DataflowEngine, Engine, EngineName, Environment, FlinkEngine, SparkEngine
from pmd.errors import ConfigError, PmdError

#: Flags by which a command line chooses where it runs, so that the table is left aside.
_CHOICES: Final = ("runner", "direct_running_mode")
#: How Beam calls the options of an environment, and the one of these that says what runs our code.
_OF_ENVIRONMENT: Final = ("environment_options", "environment_option")
_WORKERS: Final[dict[Environment, str]] = {
    "process": "process_command",
    "external": "external_service_address",
    "docker": "docker_container_image",
}
#: Seconds in which a job server takes a connection, and in which it answers.
_REACH_S: Final = 5.0
_ANSWER_S: Final = 20.0
#: Tries at one that hangs up, and the pause between them.
_TRIES: Final = 3
_PAUSE_S: Final = 1.0


def says(flags: Sequence[str], name: str) -> bool:
    """Return whether flags of Beam's say something of a name."""
    return any(flag.split("=", 1)[0] == f"--{name}" for flag in flags)


def value(flags: Sequence[str], name: str) -> str | None:
    """Return what flags say of a name, the last time; None: nothing."""
    found = None
    for place, flag in enumerate(flags):
        head, is_one, said = flag.partition("=")
        if head == f"--{name}":
            found = said if is_one else next(iter(flags[place + 1 : place + 2]), "")
    return found


def flags(engine: Engine, given: Sequence[str] = (), root: str = "") -> tuple[str, ...]:
    """Return Beam's flags for an engine, and those that were given, which win. Where these choose a runner, only they.

    Args:
        engine: The table.
        given: What stands behind -- on a command line; or what this has returned before.
        root: ROOT.

    Raises:
        ConfigError: The engine lacks something: options, a ROOT that it reaches, a package, one that was started.
    """
    if any(says(given, name) for name in _CHOICES):
        return tuple(given)
    if engine.lacks is not None:
        raise ConfigError(
            f"{engine.name} is not described",
            where="[engine]",
            expected=engine.lacks,
            remedy="add it to the configuration",
        )
    named = {*_named(given)}
    # Ours is then of another type, or said by the second.
    if not named.isdisjoint(("environment_type", "environment_config")):
        named |= {*_WORKERS.values()}
    ours = (flag for flag in _FLAGS[engine.name](engine, root) if not named.intersection(_named([flag])))
    return (*ours, *given)


def _named(flags: Sequence[str]) -> Iterator[str]:
    """Yield what flags say something of: their names; of those that give Beam's options of an environment, the options'."""
    for place, flag in enumerate(flags):
        name, is_one, said = flag.removeprefix("--").partition("=")
        if name in _OF_ENVIRONMENT:
            name = (said if is_one else next(iter(flags[place + 1 : place + 2]), "")).partition("=")[0]
        yield name


def chosen(engine: Engine, name: str | None, given: Sequence[str]) -> Engine:
    """Return the table with the engine that a command line names, if it does.

    Raises:
        ConfigError: No such engine; or the flags that were given choose a runner too.
    """
    if name is None:
        return engine
    if name not in _FLAGS:
        raise remedies.unknown("no such engine", "--engine", name, _FLAGS)
    for choice in _CHOICES:
        if says(given, choice):
            raise ConfigError(
                "two engines are chosen",
                where=f"--engine {name}",
                found=f"--{choice}={value(given, choice)} too",
                remedy="leave one of them out",
            )
    return engine.model_copy(update={"name": name})


def reach(given: Sequence[str]) -> Collection[str] | None:
    """Find whether the job server that flags name takes jobs; where they name none, there is nothing to find.

    Returns:
        The flags that who runs the jobs knows beside those of Beam's Python (`known`).

    Raises:
        PmdError: It does not: nobody is there, or something that is none.
    """
    endpoint = value(given, "job_endpoint")
    if endpoint is None or endpoint == "embed":
        return known(given)
    host, _, port = endpoint.rpartition(":")
    try:
        with contextlib.closing(socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S)):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise PmdError(
            "the engine cannot be reached",
            where=endpoint,
            expected="a job server that takes connections there (endpoint of [engine], or --job_endpoint)",
            found=str(error),
            remedy="start it (on this machine: pmd engine up prism, flink or spark), or say where it is; then run the same "
            "command again",
        ) from None
    answer = _answer(endpoint)
    if isinstance(answer, str):
        raise PmdError(
            "what answers here is no job server of Beam's",
            where=endpoint,
            expected="the port on which Beam's job server takes jobs: not the engine's own, nor one of its pages",
            found=answer,
            remedy="name that one (endpoint of [engine], or --job_endpoint; what was started here: pmd engine status)",
        )
    return answer


def known(given: Sequence[str]) -> Collection[str] | None:
    """Return the flags that the runner which flags name knows beside those of Beam's Python; None: it is not known which.

    Of a job server only itself knows (`reach`), and of a runner of somebody else's only he.
    """
    return () if is_dataflow(given) else None


def is_dataflow(given: Sequence[str]) -> bool:
    """Return whether flags name Dataflow's runner."""
    return (value(given, "runner") or "").rpartition(".")[2].startswith("Dataflow")


def _answer(endpoint: str) -> str | frozenset[str]:
    """Return the names of the options of a job server; of somebody else who takes connections what he says in their place."""
    import grpc  # here: only what is behind a job server is asked
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
    from apache_beam.runners.worker.channel_factory import GRPCChannelFactory

    question = beam_job_api_pb2.DescribePipelineOptionsRequest()
    with GRPCChannelFactory.insecure_channel(endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        for tries_left in reversed(range(_TRIES)):
            try:
                described = service.DescribePipelineOptions(question, timeout=_ANSWER_S)
            except grpc.RpcError as error:
                told = f"{error.code().name}: {error.details()}"
                if error.code() != grpc.StatusCode.UNAVAILABLE or not tries_left:
                    return told
                time.sleep(_PAUSE_S)  # it may just be starting
                continue
            return frozenset(option.name for option in described.options)
    raise AssertionError("a try gives an answer")


def _local(engine: Engine, _: str) -> Iterator[str]:
    if engine.local.processes is not None:
        yield f"--direct_num_workers={engine.local.processes}"


def _prism(engine: Engine, _: str) -> Iterator[str]:
    yield from _portable("prism", engine.prism.endpoint)
    yield "--environment_type=LOOPBACK"


def _flink(engine: Engine, _: str) -> Iterator[str]:
    yield from _portable("flink", engine.flink.endpoint)
    if engine.flink.master is not None:
        yield f"--flink_master={engine.flink.master}"
    if engine.flink.parallelism is not None:
        yield f"--parallelism={engine.flink.parallelism}"
    yield from _environment(engine.flink)


def _spark(engine: Engine, _: str) -> Iterator[str]:
    yield from _portable("spark", engine.spark.endpoint)
    if engine.spark.master is not None:
        yield f"--spark_master={engine.spark.master}"
    yield from _environment(engine.spark)


def _portable(name: EngineName, endpoint: str | None) -> Iterator[str]:
    yield "--runner=PortableRunner"
    if endpoint is not None:
        yield f"--job_endpoint={endpoint}"
        return
    from pmd.engines import servers  # here: it brings an HTTP client, and only what was started here is asked of it

    yield f"--job_endpoint={servers.started(name).endpoint}"


def _environment(cluster: FlinkEngine | SparkEngine) -> Iterator[str]:
    yield f"--environment_type={cluster.environment.upper()}"
    if cluster.environment in _WORKERS:
        yield f"--{_OF_ENVIRONMENT[0]}={_WORKERS[cluster.environment]}={cluster.worker or WORKER}"


def _dataflow(engine: Engine, root: str) -> Iterator[str]:
    told = engine.dataflow
    assert isinstance(told, DataflowEngine)
    if root and ("://" not in root or root.startswith("file://")):
        raise ConfigError(
            "Dataflow's workers do not reach this ROOT",
            where="root",
            expected="a folder of Cloud Storage: gs://BUCKET/…",
            found=root,
            remedy="name one, or another engine",
        )
    if not _is_installed("google.cloud.storage"):
        raise ConfigError(
            "Dataflow needs packages that are not installed",
            where="[engine.dataflow]",
            remedy="pip install 'pmd[gcp]'",
        )
    yield "--runner=DataflowRunner"
    yield f"--project={told.project}"
    yield f"--region={told.region}"
    yield f"--temp_location={told.temp}"
    yield f"--staging_location={told.staging or told.temp.rstrip('/') + '/staging'}"
    yield "--sdk_location=container"
    yield f"--sdk_container_image={told.image}"
    if not _has_user_name():
        yield f"--job_name=pmd-{uuid.uuid4().hex[:12]}"
    for flag, said in (
        ("worker_machine_type", told.machine),
        ("max_num_workers", told.most_workers),
        ("service_account_email", told.account),
    ):
        if said is not None:
            yield f"--{flag}={said}"


def _has_user_name() -> bool:
    """Return whether this process's user has a name, of which Beam makes those of jobs: in a container it may be a number."""
    try:
        return bool(getpass.getuser())
    except (KeyError, OSError):  # the second from Python 3.13 on
        return False


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor what it is in
        return False


#: Engine → its flags, made of the table and ROOT.
_FLAGS: Final[dict[str, Callable[[Engine, str], Iterator[str]]]] = {
    "local": _local,
    "prism": _prism,
    "flink": _flink,
    "spark": _spark,
    "dataflow": _dataflow,
}
