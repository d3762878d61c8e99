"""A worker of other versions than the driver is refused before it opens anything of the driver's."""

from __future__ import annotations

import dataclasses
import json
import pickle
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import pmd
from pmd.engines import boot, ends, mistakes, transforms, versions
from pmd.engines.versions import Versions
from pmd.errors import PmdError
from pmd.store import storage

OLDER = Versions("0.0.9", "2.62.0", "3.9")


def test_what_must_be_equal() -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert str(versions.here()) == f"pmd {pmd.__version__}, Beam {metadata.version('apache-beam')}, Python {python}"


opened: list[str] = []


@dataclasses.dataclass(frozen=True)
class Step:
    """A step of a pipeline, which tells when it is opened."""

    work: str

    def __call__(self, *_: Any) -> Iterator[Any]:
        yield from ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (self.work,)


def _open(work: str) -> Step:
    opened.append(work)
    return Step(work)


def refused(found: PmdError) -> None:
    assert found.problem == "a worker has other versions than the driver, and was refused"
    assert (found.where or "").startswith("worker on ")
    assert found.expected == "pmd 0.0.9, Beam 2.62.0, Python 3.9, as the driver has"
    assert found.found == str(versions.here())
    assert "install the driver's on the engine's workers" in (found.remedy or "")


@pytest.mark.parametrize("kind", [transforms.PerTask, transforms.PerTaskBeside])
def test_a_step_is_opened_by_workers_of_the_drivers_versions(
    kind: type[transforms.PerTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = kind(Step(str(tmp_path)))
    with monkeypatch.context() as older:
        older.setattr(versions, "here", lambda: OLDER)
        sent = pickle.dumps(step)
    opened.clear()
    assert type(pickle.loads(pickle.dumps(step))) is kind
    assert opened == [str(tmp_path)]
    with pytest.raises(PmdError) as caught:
        pickle.loads(sent)
    assert opened == [str(tmp_path)]
    refused(caught.value)
    left = mistakes.read(str(tmp_path))
    assert isinstance(left, PmdError)
    refused(left)


def test_the_drivers_versions_are_among_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import running

    work = str(tmp_path)
    pipeline = running._pipeline((), 1, None, work)
    told = pipeline._options.get_all_options(drop_default=True)[versions.OPTION]
    given = {f"beam:option:{versions.OPTION}:v1": told}
    versions.check_told(given)
    versions.check_told({})
    monkeypatch.setattr(versions, "told", lambda _: json.dumps({"versions": dataclasses.asdict(OLDER), "work": work}))
    given[f"beam:option:{versions.OPTION}:v1"] = versions.told(work)
    with pytest.raises(PmdError) as caught:
        versions.check_told(given)
    refused(caught.value)
    assert str(mistakes.read(work)) == str(caught.value)


def test_a_worker_stands_where_its_driver_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of a configuration in the driver's working folder are relative to it, as those of work folders then are."""
    drivers, workers = tmp_path / "drivers", tmp_path / "workers"
    for folder in (drivers, workers):
        folder.mkdir()
    monkeypatch.chdir(drivers)
    sent = pickle.dumps(transforms.PerTask(Step("out/_work/epoch-1/curate")))
    told = {f"beam:option:{versions.OPTION}:v1": versions.told("out/_work/epoch-1/curate")}
    for meet in (lambda: pickle.loads(sent), lambda: versions.check_told(told)):
        monkeypatch.chdir(workers)
        meet()
        assert Path.cwd() == drivers
    monkeypatch.chdir(workers)
    drivers.rmdir()
    pickle.loads(sent)
    versions.check_told(told)
    assert Path.cwd() == workers


def test_the_worker_of_a_cluster_refuses_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from apache_beam.portability.api import beam_provision_api_pb2
    from google.protobuf import json_format

    info = beam_provision_api_pb2.ProvisionInfo()
    told = json.dumps({"versions": dataclasses.asdict(OLDER), "work": str(tmp_path)})
    json_format.ParseDict({f"beam:option:{versions.OPTION}:v1": told}, info.pipeline_options)
    monkeypatch.setattr(boot, "provisioned", lambda endpoint, name: info)
    monkeypatch.setattr(sys, "argv", ["pmd-worker", "--id=1-1", "--provision_endpoint=localhost:1", "--more=1"])
    with pytest.raises(SystemExit) as caught:
        boot.main()
    assert str(caught.value).startswith("pmd-worker: worker on ")
    assert "expected: pmd 0.0.9" in str(caught.value)
    left = mistakes.read(str(tmp_path))
    assert isinstance(left, PmdError)
    refused(left)


def test_the_worker_of_a_cluster_heeds_its_engines_signal_from_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.worker import sdk_worker_main

    begun: list[str] = []
    monkeypatch.setattr(boot, "provisioned", lambda endpoint, name: beam_provision_api_pb2.ProvisionInfo())
    monkeypatch.setattr(boot, "environment", lambda info, name: {})
    monkeypatch.setattr(boot.leaving, "at_sigterm", lambda: begun.append("heeds it"))
    monkeypatch.setattr(sdk_worker_main, "main", lambda _: begun.append("works"))
    monkeypatch.setattr(sys, "argv", ["pmd-worker", "--id=1-1", "--provision_endpoint=localhost:1"])
    boot.main()
    assert begun == ["heeds it", "works"]

    def hung_up(_: object) -> None:
        raise RuntimeError("the stream is broken")

    monkeypatch.setattr(sdk_worker_main, "main", hung_up)
    with boot.leaving.before(lambda: begun.append("gives back")), pytest.raises(RuntimeError, match="the stream"):
        boot.main()
    assert begun[2:] == ["heeds it", "gives back"]


def test_what_beams_worker_is_told() -> None:
    from apache_beam.portability.api import beam_provision_api_pb2

    info = beam_provision_api_pb2.ProvisionInfo(runner_capabilities=["beam:a:v1", "beam:b:v1"])
    info.control_endpoint.url = "localhost:1"
    info.logging_endpoint.url = "localhost:2"
    info.pipeline_options["one"] = 1
    found = boot.environment(info, "2-1")
    assert found["WORKER_ID"] == "2-1"
    assert json.loads(found["PIPELINE_OPTIONS"]) == {"one": 1.0}
    assert found["CONTROL_API_SERVICE_DESCRIPTOR"] == 'url: "localhost:1"\n'
    assert found["LOGGING_API_SERVICE_DESCRIPTOR"] == 'url: "localhost:2"\n'
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in found
    assert found["RUNNER_CAPABILITIES"] == "beam:a:v1 beam:b:v1"


def test_a_worker_ends_after_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again where the storage fails, and leaves the engine time to end it."""
    work, slept = str(tmp_path / "work"), list[float]()
    ends.begin(work)
    check = ends.check

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 4:
            storage.remove_tree(work)

    def looked(where: str) -> None:
        if len(slept) == 2:
            raise RuntimeError("a client's own kind of error")
        check(where)

    left: list[tuple[int, int]] = []
    monkeypatch.setattr(boot.time, "sleep", sleep)
    monkeypatch.setattr(ends, "check", looked)
    boot.end_with(work, lambda code: left.append((code, len(slept))))
    assert left == [(0, 5)]
    assert slept == [boot._LOOK_S] * 4 + [boot._GRACE_S]
