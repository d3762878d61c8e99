"""The `[engine]` table: where pipelines run. Nothing of it reaches a stage, a commit or a hash.

`name` chooses one, or `--engine` of the command line does; each engine has a table of its own, so that one file can hold
several.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

EngineName = Literal["local", "prism", "flink", "spark", "dataflow"]
ENGINES: Final[tuple[EngineName, ...]] = get_args(EngineName)
#: How an engine comes to the processes that run our code: the driver's own; each of its workers starts one; a pool that stands
#: beside each of its workers; a container.
Environment = Literal["loopback", "process", "external", "docker"]

#: What starts a worker in the environment "process": the command that comes with pmd (`pmd.engines.boot`).
WORKER: Final = "pmd-worker"
_HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")


def _is_address(value: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(value)
    return found is not None and 1 <= int(found[2]) <= 65_535


def _address(value: str) -> str:
    if not _is_address(value):
        raise ValueError('HOST:PORT, as in "localhost:8099"')
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"\S+", value):
        raise ValueError("a name without spaces")
    return value


def _manager(value: str) -> str:
    if not re.fullmatch(r"\[\w+\]|https?://\S+", _name(value)) and not _is_address(value):
        raise ValueError('HOST:PORT of a job manager, as in "localhost:8081", or "[local]"')
    return value


def _bucket(value: str) -> str:
    if not re.fullmatch(r"gs://[a-z0-9][a-z0-9._-]+(/.*)?", value):
        raise ValueError('a folder of Cloud Storage, its bucket in small letters, as in "gs://my-bucket/tmp"')
    return value


def _project(value: str) -> str:
    if not re.fullmatch(r"([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,61}[a-z0-9]", value):
        raise ValueError('the id of a project, as in "my-project-1"')
    return value


Address = Annotated[str, AfterValidator(_address)]
Manager = Annotated[str, AfterValidator(_manager)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Project = Annotated[str, AfterValidator(_project)]
Name = Annotated[str, AfterValidator(_name)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class LocalEngine(_Table):
    """Beam's local runner. `processes` is None: as many as pay; 0: as many as there are cores."""

    processes: int | None = Field(default=None, ge=0, le=1000)


class PrismEngine(_Table):
    """Prism. `endpoint` is None: the one that `pmd engine up` has started here."""

    endpoint: Address | None = None


class _Cluster(_Table):
    """An engine behind a job server of Beam's.

    Attributes:
        endpoint: The job server's address, as the driver reaches it; None: the one that `pmd engine up` has started here.
        master: The cluster that the job server is to hand the job to; None: the job server's own.
        environment: How the engine comes to processes that run our code.
        worker: In the environment "process" the command that starts one; in "external" the address of a pool as the engine's
            workers reach it; in "docker" the image.
    """

    endpoint: Address | None = None
    master: Name | None = None
    environment: Environment = "process"
    worker: Name | None = Field(default=None, validate_default=True)

    @field_validator("worker")
    @classmethod
    def _fits(cls, value: str | None, given: ValidationInfo) -> str | None:
        environment = given.data.get("environment")
        if environment == "external":
            if value is None:
                raise ValueError('the address of a worker pool, as in "localhost:50000", in the environment "external"')
            return _address(value)
        if environment == "docker" and value is None:
            raise ValueError('the name of an image that has pmd, in the environment "docker"')
        if environment == "loopback" and value is not None:
            raise ValueError('nothing in the environment "loopback": the driver starts the workers')
        return value


class FlinkEngine(_Cluster):
    """Flink. `master` is its job manager's address; `parallelism` is None: the cluster's own."""

    master: Manager | None = None
    parallelism: int | None = Field(default=None, ge=1, le=100_000)


class SparkEngine(_Cluster):
    """Spark."""


class DataflowEngine(_Table):
    """Dataflow.

    Attributes:
        project: Who pays.
        region: Where it runs.
        temp: A folder of Cloud Storage for what it needs while it runs.
        image: The image of the workers, which has the driver's version of pmd.
        staging: Where what is submitted is put; None: in `temp`.
        machine: The type of the workers' machines; None: Dataflow's choice.
        most_workers: At most so many; None: Dataflow's choice.
        account: The service account of the workers; None: the project's own.
    """

    project: Project
    region: Name
    temp: Bucket
    image: Name
    staging: Bucket | None = None
    machine: Name | None = None
    most_workers: int | None = Field(default=None, ge=1, le=100_000)
    account: Name | None = None


class Prices(_Table):
    """What an hour costs where machines are paid by time, for `pmd plan`; by default Dataflow's (`inspection.plan.costs.PRICED`).

    Attributes:
        currency: Of all prices.
        processor: An hour of one.
        gb_of_memory: An hour of one gigabyte.
        gb_of_disk: The same of a disk.
        memory_gb: That stand beside each processor.
        disk_gb: The same.
    """

    currency: str = Field(default="USD", pattern="[A-Z]{3}")
    processor: float = Field(default=0.056, ge=0)
    gb_of_memory: float = Field(default=0.003557, ge=0)
    gb_of_disk: float = Field(default=0.000054, ge=0)
    memory_gb: float = Field(default=4.0, ge=0)
    disk_gb: float = Field(default=25.0, ge=0)


#: How rows that must meet cross between workers: in run files under ROOT (`pmd.store.exchange`), or through the engine's own
#: shuffle (`pmd.store.parcels`). Outputs are the same bytes.
Shuffle = Literal["files", "engine"]
#: What has won on each engine, where it was measured (docs/decisions.md).
SHUFFLES: Final[Mapping[EngineName, Shuffle]] = {
    "local": "files",
    "prism": "files",
    "flink": "files",
    "spark": "files",
    "dataflow": "files",
}


class Engine(_Table):
    """The whole table. Dataflow has no default: it must be told who pays. `shuffle` is None: what has won on the engine."""

    name: EngineName = "local"
    shuffle: Shuffle | None = None
    local: LocalEngine = LocalEngine()
    prism: PrismEngine = PrismEngine()
    flink: FlinkEngine = FlinkEngine()
    spark: SparkEngine = SparkEngine()
    dataflow: DataflowEngine | None = None
    prices: Prices = Prices()

    @property
    def is_shuffling(self) -> bool:
        """Whether rows that must meet cross the engine's own shuffle."""
        return (self.shuffle or SHUFFLES[self.name]) == "engine"

    @property
    def lacks(self) -> str | None:
        """What the chosen engine needs and the table does not say; None: nothing."""
        if self.name == "dataflow" and self.dataflow is None:
            return "a table [engine.dataflow] with project, region, temp and image"
        return None


#: What a configuration that says nothing has.
LOCAL: Final = Engine()
