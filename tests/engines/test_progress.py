"""What workers tell of their work, and what is made of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest

from pmd.engines import ends, progress, transforms
from pmd.engines.progress import Seen, Total
from pmd.store import storage


def test_what_several_workers_tell_is_added_up(tmp_path: Path) -> None:
    one, two = progress.Counts(str(tmp_path), "one"), progress.Counts(str(tmp_path), "two")
    for counts, number in ((one, 3), (two, 4)):
        for _ in range(number):
            counts.add(images=1, bytes=10, ok=1)
        counts.waited("slow.example", 2.0)
        counts.waited("fast.example", 0.1)
        counts.step("WriteShard", 8)
        counts.write()
    (tmp_path / "run-0001").write_bytes(b"x" * 500)
    seen = progress.read(str(tmp_path))
    assert seen.counts == {"images": 7, "bytes": 70, "ok": 7}
    assert seen.steps == {"WriteShard": (2, 8)}
    assert seen.waited["slow.example"] == (2, 4.0)
    assert seen.written == 500


def test_a_look_asks_an_object_store_once_and_once_for_each_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be thousands of run files, and a look each second."""
    work = f"memory://progress-{id(monkeypatch)}"
    progress.Counts(work, "one").write()
    for number in range(20):
        storage.put(f"{work}/run-{number:04}", bytes(100))
    fs, asked = storage.filesystem(work)[0], []
    for name in ("find", "ls", "info", "size", "cat_file"):
        original = getattr(fs, name)
        monkeypatch.setattr(
            fs, name, lambda *a, _was=original, _name=name, **k: (asked.append(_name), _was(*a, **k))[1]
        )
    assert progress.read(work).written == 2000
    assert len([name for name in asked if name in {"size", "info", "cat_file"}]) <= 3, asked


def test_storage_that_fails_ends_no_telling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client's exception would end the thread with a traceback, in the middle of a run that goes on."""
    looks: list[str] = []
    original = progress.read

    def read(work: str) -> Seen:
        looks.append(work)
        if len(looks) == 1:
            raise RuntimeError("a client of a store")
        return original(work)

    died: list[object] = []
    monkeypatch.setattr(progress.threading, "excepthook", died.append)
    monkeypatch.setattr(progress, "read", read)
    monkeypatch.setattr(progress.telling, "next_wait_s", lambda *_, **__: 0.01)
    counts = progress.Counts(str(tmp_path), "one")
    counts.add(rows=5)
    counts.write()
    caplog.set_level("INFO", "pmd.progress")
    with progress.Watch(str(tmp_path), Total("rows", 10)):
        for _ in range(1000):
            if caplog.records or died:
                break
            time.sleep(0.01)
    assert died == []
    assert "5/10 rows" in caplog.text


def test_a_worker_writes_once_a_second_at_most(tmp_path: Path, monkeypatch: Any) -> None:
    puts: list[str] = []
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(storage, "put", lambda path, content, durable: puts.append(path))
    counts = progress.Counts(str(tmp_path), "x")
    for _ in range(1000):
        counts.add(rows=1)
        now[0] += 0.01
    assert 9 <= len(puts) <= 11


def test_of_very_many_hosts_a_worker_remembers_those_that_it_waited_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    original = progress.heapq.nlargest

    def counted(count: int, items: Any, key: Any) -> Any:
        items = list(items)
        looked_at.append(len(items))
        return original(count, items, key=key)

    monkeypatch.setattr(progress.heapq, "nlargest", counted)
    counts = progress.Counts(str(tmp_path), "x")
    hosts = 20_000
    for number in range(hosts):
        counts.waited(f"host-{number}.example", 0.1)
        if number % 1000 == 0:
            for _ in range(10):
                counts.waited("slow.example", 5.0)
    counts.write()
    assert max(looked_at) <= 1100
    assert sum(looked_at) < 2 * hosts
    seen = progress.read(str(tmp_path))
    assert seen.waited["slow.example"] == (200, 1000.0)
    assert len(seen.waited) == 8


def test_a_fetch_shows_done_total_pace_time_left_and_the_slowest_host() -> None:
    seen = Seen()
    seen.add(
        {
            "counts": {"images": 50, "bytes": 5_000_000, "ok": 45, "dead": 5},
            "waited": {"a.example": [4, 8.0], "b.example": [9, 1.0]},
        }
    )
    now = progress.state(seen, Total("images", 200), 10.0)
    assert (now.unit, now.done, now.total, now.left_s) == ("images", 50, 200, 30.0)
    assert list(now.more) == ["slowest a.example 2.0 s", "5.00 MB, 500 kB/s", "ok 45", "dead 5"]


def test_many_statuses_are_brought_together() -> None:
    seen = Seen()
    seen.add({"counts": {"images": 15, "a": 5, "b": 4, "c": 3, "d": 2, "e": 1, "f": 1}})
    assert progress.state(seen, Total("images", 20), 1.0).more[-1] == "others 2"


def test_a_stage_shows_the_step_that_it_is_at() -> None:
    seen = Seen()
    seen.add({"steps": {"ReadChunk": [12, progress.UNITS], "ResolvePartition": [16, 64]}, "counts": {"rows": 9000}})
    now = progress.state(seen, None, 3.0, units=12)
    assert (now.unit, now.done, now.total) == ("tasks", 16, 64)
    assert list(now.more) == ["9,000 rows, 3,000 rows/s", "resolve partition"]
    reading = Seen()
    reading.add({"steps": {"ReadChunk": [3, progress.UNITS]}})
    assert progress.state(reading, None, 3.0, units=12).share == 0.25


class Task:
    """A step that does nothing."""

    def __init__(self, work: str, bits: int) -> None:
        self.work, self.bits = work, bits

    def __call__(self, element: Any) -> list[Any]:
        return []


def test_a_task_that_is_done_is_told_of(tmp_path: Path) -> None:
    ends.begin(str(tmp_path))
    step = transforms.PerTask(Task(str(tmp_path), 4))
    for element in ("unit", (3, "partition"), (5, "partition")):
        assert list(step.process(element)) == []
    step.finish_bundle()
    assert progress.read(str(tmp_path)).steps == {"Task": (3, 16)}


def test_a_pipeline_tells_how_many_units_it_begins_with() -> None:
    pipeline = beam.Pipeline()
    batch = pa.RecordBatch.from_pylist([{"x": 1}])
    _ = pipeline | "Units" >> transforms.create([batch] * 7) | "Spread" >> transforms.Spread()
    _ = pipeline | "Nothing" >> transforms.create([batch])
    assert transforms.units(pipeline) == 7
