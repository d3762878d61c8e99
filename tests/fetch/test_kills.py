"""`pmd fetch` in a process of its own, killed with SIGKILL and started again; the server's log is the witness.

Kills follow each other on one ROOT until one run is left alone: what it ends with must be what an undisturbed run gives.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines import build
from pmd import config
from pmd.fetch.ledger import state, stored
from pmd.schema.tables import LEDGER_OUTCOME
from pmd.store import commits, root, storage
from tests.fetch.conftest import Web, photo, reply

IMAGES = 480
SHARD_BITS = 3
#: Few: `benchmarks/break.py` has many, at random moments too, and the points below are named.
KILLS = 4
ROOT = Path(__file__).parent.parent.parent

#: Runs `pmd fetch CONFIG`; it is killed, with its lane, before or after the n-th call of a function in one of its processes.
DYING = """
import importlib, os, signal, sys

when, where, count = os.environ["DYING"].split()
calls = 0

def die():
    if __name__ != "__main__":  # a lane
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

def dying(function):
    def called(*args, **kwargs):
        global calls
        calls += 1
        last = calls == int(count)
        if last and when == "before":
            die()
        result = function(*args, **kwargs)
        if last:
            die()
        return result
    return called

if where != "-":
    module, _, path = where.partition(":")
    owner = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    setattr(owner, name, dying(getattr(owner, name)))
if __name__ == "__main__":
    sys.argv = ["pmd", "fetch", *sys.argv[1:]]
    from pmd import cli
    cli.main()
"""

POINTS = (
    (
        "before",
        "pmd.fetch.http.receiving:ImageBody.take",
        70,
    ),  # inside a download: the headers are here, the body is not
    ("after", "pmd.fetch.generations.tar:StoreTar.add", 50),
    ("after", "pmd.fetch.generations.tar:StoreTar.finish", 2),
    ("before", "pmd.store.parquet_files:put_table", 2),  # attempts are written, the ledger is not
    ("before", "pmd.fetch.generations.store:commit_generation", 2),
    (
        "after",
        "pmd.store.commits:write_if_absent",
        1,
    ),  # the last kill: a shard is committed, and nothing has heard of it
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Web]]:
    """A ROOT whose images are known and not fetched, and their web: one in eleven is gone."""
    folder = tmp_path_factory.mktemp("kills")
    with Web() as web:
        web.routes |= {
            f"h{number % 7}.test/{number}.jpg": reply(photo(seed=number % 100))
            for number in range(IMAGES)
            if number % 11
        }
        lines = [f"picture number {number} of them\thttp://h{number % 7}.test/{number}.jpg" for number in range(IMAGES)]
        (folder / "cc3m.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        chosen = config.load(configuration(folder, "untouched", web))
        root.create(chosen.root, SHARD_BITS)
        with root.writer(chosen.root, "test"):
            for stage in ("curate", "images"):
                build.build(chosen, only=stage)
        yield folder, web


def configuration(folder: Path, name: str, web: Web) -> str:
    path = folder / f"{name}.toml"
    path.write_text(
        f"""
root = "{folder}/{name}"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{folder}/cc3m.tsv"]
[fetch]
per_host = {{ requests_per_s = 5000, connections = 4 }}
concurrency = 16
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}
""",
        encoding="utf-8",
    )
    return str(path)


class Job:
    """A ROOT that is fetched into by one process after the other."""

    def __init__(self, world: tuple[Path, Web], name: str) -> None:
        folder, self.web = world
        self.root = str(folder / name)
        shutil.copytree(folder / "untouched", self.root)
        self._script = folder / "dying.py"
        self._script.write_text(DYING, encoding="utf-8")
        self._config = configuration(folder, name, self.web)
        self.killed_in_flight = 0

    def run(self, when: str = "-", where: str = "-", count: int = 0, *, kill_after: int | None = None) -> int:
        """Run once; return the exit status. Checks what a reader sees meanwhile, and what is asked for.

        Args:
            when: See `DYING`.
            where: See `DYING`.
            count: See `DYING`.
            kill_after: Requests for images after which it is killed from outside.
        """
        settled = self.settled()
        before = len(self.web.log)
        with subprocess.Popen(
            [sys.executable, str(self._script), self._config],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DYING": f"{when} {where} {count}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            while process.poll() is None:
                if kill_after is not None and len(self.asked(before)) >= kill_after:
                    process.kill()
                    process.wait()
                    break
                if kill_after is None:
                    self.check_files()
                    time.sleep(0.1)
                time.sleep(0.002)
            errors = process.stderr.read().decode() if process.stderr else ""
        assert process.returncode in {0, -signal.SIGKILL}, errors
        self.check_files()
        asked = Counter(self.asked(before))
        assert not settled & set(asked)
        assert max(asked.values(), default=1) == 1
        self.killed_in_flight += bool(set(asked) - self.settled())
        return process.returncode

    def asked(self, since: int) -> list[str]:
        return [f"http://{request.host}{request.path}" for request in self.web.log[since:] if ".jpg" in request.path]

    def settled(self) -> set[str]:
        """Return the URLs of which a commit says what became."""
        return {
            url
            for shard in state.shards(self.root)
            for urls in state.read_ledger(self.root, shard)["tried"].to_pylist()
            for url in urls
        }

    def check_files(self) -> None:
        """Fail if any file under its final name, listed or not, is not whole."""
        for name in storage.list_files(str(Path(self.root) / "fetch")):  # which bears that folders go meanwhile
            path = Path(self.root) / "fetch" / name
            if path.name.startswith((".", "_")):
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # swept meanwhile: no commit lists it
                continue
            if path.suffix in {".tar", ".parquet"}:
                digest = path.stem.rsplit("-", 1)[-1]
                assert hashlib.sha256(content).hexdigest().startswith(digest), path
        for shard in state.shards(self.root):
            for _, folder, commit in state.generations(self.root, shard):
                for file in commit.files:
                    content = Path(commits.path_of(folder, file.name)).read_bytes()
                    assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)

    def outcome(self) -> tuple[Any, ...]:
        """Return what must not depend on kills: the ledger's outcomes, the stored pictures, the books and losses."""
        ledgers = [state.read_ledger(self.root, shard) for shard in state.shards(self.root)]
        rejected = root.fetch_rejected_folder(self.root)
        files = [file.name for file in commits.require(rejected, "").files]
        return (
            [ledger.select(list(LEDGER_OUTCOME)).to_pylist() for ledger in ledgers],
            [stored.read(self.root, row) for ledger in ledgers for row in ledger.to_pylist() if row["length"]],
            [
                commit.sources
                for shard in state.shards(self.root)
                for _, _, commit in state.generations(self.root, shard)
            ],
            [pq.read_table(Path(rejected) / name).to_pylist() for name in files],
        )

    def leftovers(self) -> list[str]:
        """Return files of the fetch that no commit lists."""
        listed = {
            commits.path_of(folder, name)
            for shard in state.shards(self.root)
            for _, folder, commit in state.generations(self.root, shard)
            for name in (commits.STAGE_FILE, *(file.name for file in commit.files))
        }
        folders = [Path(self.root) / "fetch" / kind for kind in ("store", "attempts", "ledger")]
        found = [str(path) for folder in folders for path in folder.rglob("*") if path.is_file()]
        return sorted(set(found) - listed)


@pytest.fixture(scope="module")
def undisturbed(world: tuple[Path, Web]) -> tuple[Any, ...]:
    job = Job(world, "undisturbed")
    assert job.run() == 0
    outcome = job.outcome()
    statuses = Counter(row["status"] for ledger in outcome[0] for row in ledger)
    assert statuses == {"ok": IMAGES - 44, "dead": 44}
    assert len(outcome[0]) == 2**SHARD_BITS
    return outcome


@pytest.mark.timeout(900)  # each run is two processes' start
def test_killed_at_named_points(world: tuple[Path, Web], undisturbed: tuple[Any, ...]) -> None:
    job = Job(world, "named")
    for point in POINTS:
        assert job.run(*point) == -signal.SIGKILL, point
    assert job.killed_in_flight == len(POINTS) - 1
    assert job.run() == 0
    assert job.outcome() == undisturbed
    assert job.leftovers() == []


@pytest.mark.timeout(900)  # each run is two processes' start
def test_killed_at_random_moments(world: tuple[Path, Web], undisturbed: tuple[Any, ...]) -> None:
    chance = random.Random(4)
    job = Job(world, "random")
    for _ in range(KILLS):
        assert job.run(kill_after=chance.randint(1, IMAGES // KILLS - 10)) == -signal.SIGKILL
    assert job.killed_in_flight > KILLS // 2  # a moment may fall between two images
    assert job.settled()
    assert job.run() == 0
    assert job.outcome() == undisturbed
    assert job.leftovers() == []
