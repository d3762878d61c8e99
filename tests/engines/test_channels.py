"""What a worker may give an engine at once: all, or what Beam's runners for Flink and Spark keep."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from pmd.engines import channels, coder, ends
from pmd.engines.transforms import PerTask
from pmd.errors import PmdError

ROWS = pa.RecordBatch.from_pydict({"text": ["a caption of a picture"] * 1000})


class Gives:
    """Gives batches, without end if nobody ends it."""

    work = ""
    tasks = 1

    def __init__(self, folder: Path) -> None:
        self.work = str(folder)

    def __call__(self, unit: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """A unit → batches."""
        for _ in range(100):
            yield ROWS


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Forget what another test's options told."""
    channels.limited_by.cache_clear()
    yield
    channels.limited_by.cache_clear()


def given(folder: Path) -> int:
    """Run a bundle of two units as a worker does, each batch encoded as it is given; return how many were."""
    work = folder / "_work" / "epoch-1" / "curate"
    ends.begin(str(work))
    step = PerTask(Gives(work))
    step.start_bundle()
    count = 0
    for _ in range(2):
        for found in step.process(ROWS):
            coder.RecordBatchCoder().encode(found)
            count += 1
    return count


@pytest.mark.parametrize(("option", "runner"), [("flink_master", "Flink"), ("spark_master", "Spark")])
@pytest.mark.parametrize("way", ["in the environment", "in a file"])
def test_a_bundle_ends_in_a_sentence_before_its_runner_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, runner: str, way: str
) -> None:
    told = orjson.dumps({f"beam:option:{option}:v1": "[auto]"}).decode()
    monkeypatch.delenv("PIPELINE_OPTIONS", raising=False)
    if way == "in a file":
        (tmp_path / "options.json").write_text(told)
        monkeypatch.setenv("PIPELINE_OPTIONS_FILE", str(tmp_path / "options.json"))
    else:
        monkeypatch.setenv("PIPELINE_OPTIONS", told)
    size = len(coder.RecordBatchCoder().encode(ROWS))
    monkeypatch.setattr(channels, "MOST_BYTES", 150 * size)
    with pytest.raises(PmdError) as caught:
        given(tmp_path)
    assert caught.value.problem == f"rows are too many to cross {runner}'s own shuffle"
    assert 'shuffle = "files"' in (caught.value.remedy or "")
    monkeypatch.setattr(channels, "MOST_BYTES", 200 * size)
    assert given(tmp_path / "again") == 200


@pytest.mark.parametrize("told", [None, "{}", '{"beam:option:runner:v1": "PortableRunner"}'])
def test_other_engines_take_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None) -> None:
    monkeypatch.delenv("PIPELINE_OPTIONS", raising=False)
    if told is not None:
        monkeypatch.setenv("PIPELINE_OPTIONS", told)
    monkeypatch.setattr(channels, "MOST_BYTES", 1)
    assert given(tmp_path) == 200


def test_bundles_beside_each_other_are_counted_each_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has several at a time where a task manager has several slots, and each has a queue of its own."""
    monkeypatch.delenv("PIPELINE_OPTIONS_FILE", raising=False)
    monkeypatch.setenv("PIPELINE_OPTIONS", '{"beam:option:flink_master:v1": "[auto]"}')
    size = len(coder.RecordBatchCoder().encode(ROWS))
    monkeypatch.setattr(channels, "MOST_BYTES", 10 * size)
    since = coder.encoded_bytes()

    def another() -> None:
        for _ in range(11):
            coder.RecordBatchCoder().encode(ROWS)

    beside = threading.Thread(target=another)
    beside.start()
    beside.join()
    channels.check(since)
    another()
    with pytest.raises(PmdError):
        channels.check(since)
