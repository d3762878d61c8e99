"""What a worker meets is told once, as itself: a user's mistake, storage that fails, a fault of ours with its traceback."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import pmd.dedupe.transforms
from pipelines import curate, dedupe, running
from pmd import config
from pmd.engines import ends, mistakes, transforms
from pmd.errors import InputError, RootError, WorkerFault
from pmd.store import root
from tests import tiny_root


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a person sees of the log."""
    seen = io.StringIO()
    handler = logging.StreamHandler(seen)
    logging.getLogger().addHandler(handler)
    yield seen
    logging.getLogger().removeHandler(handler)


class _Fails:
    stage = "curate"

    def __init__(self, error: Exception, work: str) -> None:
        self.error = error
        self.work = work

    def __call__(self, *_: Any) -> Iterator[Any]:
        raise self.error


def run(error: Exception, work: Path, *, at: str) -> None:
    """Run a pipeline of which one worker raises an error."""
    import apache_beam as beam

    fails: Any = _Fails(error, str(work))
    one = transforms.outputs(())

    def wire(pipeline: beam.Pipeline) -> Any:
        found = pipeline | "One" >> transforms.create([one])
        if at == "commit":
            return found | transforms.WriteCommit(fails)
        side = pipeline | "Side" >> transforms.create([one])
        with_side = beam.ParDo(transforms.PerTaskBeside(fails), beam.pvalue.AsList(side))
        step = with_side if at == "side input" else beam.ParDo(transforms.PerTask(fails))
        return found | "Fail" >> step.with_output_types(pa.RecordBatch)

    running.run(wire, (), str(work))


@pytest.mark.parametrize("at", ["element", "side input", "commit"])
def test_a_mistake_comes_back_as_itself_and_is_not_logged(tmp_path: Path, log: io.StringIO, at: str) -> None:
    told = InputError("truncated", where="a.json:byte 7", expected="a list", found="the end", remedy="fetch it again")
    with pytest.raises(InputError) as caught:
        run(told, tmp_path / "work", at=at)
    assert str(caught.value) == str(told)
    assert log.getvalue() == ""
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("at", ["element", "side input", "commit"])
def test_a_fault_of_ours_comes_back_with_one_traceback(tmp_path: Path, log: io.StringIO, at: str) -> None:
    with pytest.raises(WorkerFault) as caught:
        run(ZeroDivisionError("ours"), tmp_path / "work", at=at)
    said = str(caught.value)
    assert said.count("Traceback") == 1
    assert said.splitlines()[-1] == "ZeroDivisionError: ours"
    assert "apache_beam" not in said
    assert log.getvalue() == ""


def test_of_a_task_that_outlives_its_run_nothing_is_told(
    tmp_path: Path, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the engine is gone the driver ends, and threads of it that serve as workers go on until they see that."""
    from apache_beam.runners.worker import sdk_worker

    step = transforms.PerTask(_Fails(ZeroDivisionError("never"), str(tmp_path / "gone")))
    with pytest.raises(ends.CalledOffError) as caught:
        list(step.process("unit"))
    logging.getLogger("apache_beam.runners.common").error("it failed", exc_info=caught.value)
    vars(sdk_worker).get("print", print)("Traceback (most recent call last)", file=sys.stderr)
    assert log.getvalue() == capsys.readouterr().err == ""


def test_only_beams_records_with_a_traceback_are_dropped(log: io.StringIO) -> None:
    with mistakes.unlogged():
        logging.getLogger("apache_beam.runners").error("Traceback (most recent call last)\n …\nZeroDivisionError: x")
        logging.getLogger("apache_beam.runners").error("failed", exc_info=ValueError("x"))
        logging.error(
            "java.lang.RuntimeException: Traceback (most recent call last):"
        )  # as its job server tells of a job
        logging.getLogger("pmd.mine").error("Traceback (most recent call last): mine")
        logging.getLogger("apache_beam.runners").error("a worker is gone")
    logging.getLogger("apache_beam.runners").error("Traceback (most recent call last): later")
    assert log.getvalue().splitlines() == [
        "Traceback (most recent call last): mine",
        "a worker is gone",
        "Traceback (most recent call last): later",
    ]


@pytest.mark.parametrize("at", ["element", "side input", "commit"])
def test_storage_that_fails_is_told_even_where_nothing_can_be_left(
    tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(mistakes, "leave", full)
    where = str(tmp_path / "_work" / "part")
    with pytest.raises(RootError) as caught:
        run(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), where), tmp_path / "_work" / "curate", at=at)
    assert caught.value.problem == "the storage is full"
    assert caught.value.where == where
    assert caught.value.remedy == "make room, then run the same command again"
    assert log.getvalue() == ""


def test_a_truncated_annotation_file(tmp_path: Path, log: io.StringIO) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    path = tmp_path / "data" / "captions_train2017.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="ends too early"), root.writer(chosen.root, "test"):
        curate.build(chosen, ["coco"])
    assert log.getvalue() == ""


def test_a_part_that_cannot_be_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """De-duplication's workers with a side input are wired so that their mistakes come back."""
    chosen = tiny_root.build(tmp_path)

    def damaged(*_: Any) -> Any:
        raise RootError("nothing is committed here", where="images", remedy="run: pmd build CONFIG")

    monkeypatch.setattr(pmd.dedupe.transforms.dedupe_rules, "judge", damaged)
    with pytest.raises(RootError) as caught, root.writer(chosen.root, "test"):
        dedupe.build(chosen)
    assert caught.value.remedy == "run: pmd build CONFIG"
    assert not (Path(chosen.root) / root.WORK).exists()
