"""A build that has nothing to do asks its storage the same, however many fetch shards there are."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import uuid
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import store_requests
from pipelines import build, curate
from pmd import config
from pmd.config import Config
from pmd.demo.config import write_demo
from pmd.fetch import runs
from pmd.store import root, storage

#: Fetch shards that have generations.
FEW, MORE = 8, 24
PARTS = 32


class Counted:
    """A file system that counts what the main thread asks of it; a lease is renewed by another."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self.asked: Counter[str] = Counter()
        self.read: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fs, name)
        if name.startswith("_") or not callable(found):
            return found

        def counted(*positional: Any, **named: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                self.asked[name] += 1
                if name in {"cat_file", "open"}:
                    self.read[positional[0].rpartition("fetch/")[2]] += 1
            return found(*positional, **named)

        return counted


@pytest.fixture
def chosen(tmp_path: Path) -> Config:
    """All twelve sources."""
    nowhere = SimpleNamespace(ca_pem=b"", address="127.0.0.1:1", tls_address="127.0.0.1:2")
    path = write_demo(tmp_path, nowhere)  # type: ignore[arg-type]
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("ca_file")), encoding="utf-8")
    return config.load(str(path))


@pytest.fixture
def fs(monkeypatch: pytest.MonkeyPatch) -> Counted:
    made = storage._filesystem
    counted = Counted(made("memory"))
    monkeypatch.setattr(storage, "_filesystem", lambda protocol: counted if protocol == "memory" else made(protocol))
    return counted


def built(chosen: Config, fs: Counted) -> tuple[Counter[str], list[str]]:
    """Build; return what was asked, and the stages that ran."""
    fs.asked.clear()
    fs.read.clear()
    steps: list[build.Step] = []
    with root.writer(chosen.root, "test"):
        build.build(chosen, report=steps.append)
    return Counter(fs.asked), [step.stage for step in steps if step.why is not None]


def finished(chosen: Config, shards: int, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return the configuration of a finished ROOT in which so many of 32 fetch shards have a generation."""
    chosen = dataclasses.replace(chosen, root=f"memory://requests-{uuid.uuid4().hex}")
    made = store_requests.Root(storage.put, chosen, 5, shards)
    made.curate()
    with store_requests.without_workers(made, chosen), root.writer(chosen.root, "test"):
        build.build(chosen)
    return chosen


def test_nothing_to_do_costs_the_same_for_few_shards_and_for_more(
    chosen: Config, fs: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, more = (built(finished(chosen, shards, monkeypatch), fs) for shards in (FEW, MORE))
    assert few == more
    assert few[1] == []


def test_what_an_earlier_version_has_built_is_listed_once_and_then_remembered(
    chosen: Config, fs: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished(chosen, MORE, monkeypatch)
    idle, _ = built(made, fs)
    storage.remove(f"{made.root}/fetch/register")
    first, ran = built(made, fs)
    assert ran == []
    # Each commit and each ledger once, and the parts of the images.
    assert 2 * MORE <= first["cat_file"] - idle["cat_file"] <= 2 * MORE + PARTS + 4
    assert built(made, fs)[0] == idle


def test_a_build_that_fetches_reads_each_ledger_once_and_tells_its_run_without_one(
    chosen: Config, fs: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = finished(chosen, FEW, monkeypatch)
    made = store_requests.Root(storage.put, before, 5, MORE)
    made.curate()
    fs.read.clear()
    steps: list[build.Step] = []
    with store_requests.without_workers(made, before), root.writer(before.root, "test"):
        build.build(before, report=steps.append)
    ledgers = Counter({name: count for name, count in fs.read.items() if name.rpartition("/")[2].startswith("ledger-")})
    assert (len(ledgers), {*ledgers.values()}) == (FEW, {1}), "those that stood, to tell what is pending"
    (run,) = [step.fetched for step in steps if step.fetched is not None]
    fs.read.clear()
    told = runs.tell(before, run)
    assert (told["generations"], told["statuses"]) == (MORE - FEW, {"dead": MORE - FEW})
    assert {*fs.read} == {"register", "rejected/_stage.json"}


def test_a_source_is_looked_up_once_to_group_it_and_to_build_it(
    chosen: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = curate.groups(chosen, sorted(chosen.sources))
    assert sorted(itertools.chain.from_iterable(groups)) == sorted(chosen.sources)
    monkeypatch.setattr(curate.needs, "of", lambda *_: pytest.fail("looked up again"))
    monkeypatch.setattr(curate, "_text_bytes", lambda *_: pytest.fail("looked up again"))
    ran: list[str] = []
    monkeypatch.setattr(curate.running, "run_and_commit", lambda _, folders, *more: ran.extend(folders))
    for group in groups:
        curate.build(chosen, group)
    assert sorted(ran) == sorted(root.curate_folder(chosen.root, name) for name in chosen.sources)
