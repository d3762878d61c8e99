"""Take a user, a page and a photograph down from a ROOT of some thousand images, kill that often, and look what is left.

    python benchmarks/takedowns.py [--images 2000] [--named 6] [--random 6] [--chains 6] [--seed 0] [--seconds N]
        [--folder FOLDER]

A small PMD (photographs of people in SBU Captions, pictures of hosts, regions) is built from a web on this machine. Then

1. it is taken down once, undisturbed: proved, verified; which shards kept their bytes; what the next build does; what somebody
   learns who holds the release of before and that of after;
2. it is built from nothing with the suppression list: proved, and its samples compared;
3. for each kill, a copy is taken down and killed, at a storage call that is drawn among all kinds (`--named`) or at a moment that
   is drawn (`--random`), or five times in a row at such moments (`--chains`); taken down again, every file compared with those
   of the undisturbed one, and what is not equal to a file that was proved there is proved again.

FOLDER keeps what was built and the trials that are done: started again, it goes on where it was. Exits with 1 where anything
differs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson
import pyarrow.parquet as pq

from benchmarks.breaking import calls, world
from benchmarks.breaking.calls import Call
from pmd.schema import keys
from pmd.takedown import decoded

HERE: Final = Path(__file__).resolve().parent.parent
_USERS: Final = 150
#: Of so many photographs every one is of a user's; the rest lies with hosts.
_SHARE: Final = 0.7
_REGIONAL: Final = 60
_SHARD: Final = re.compile(r"shards/(?:webdataset|parquet)/[^/]+\.(?:tar|parquet)")
_DIE: Final = "PMD_TAKEDOWNS_DIE"
_RECORD: Final = "PMD_TAKEDOWNS_RECORD"
#: What tells when a ROOT was written, by whom, or how often.
_TOLD: Final = ("writer.json", "writer.lock", "fetch/register", "takedown/", "_work/")
#: Photographs that stand in Conceptual Captions too: of the person, of the page, and the one that is a file.
_SHARED: Final = (1003, 1009, 1012)
#: Kills of a chain.
_IN_A_ROW: Final = 5


#: Where it is found before: every kind of file that a ROOT has of images, and what runs that were killed leave.
_KINDS: Final = frozenset(
    {
        "curate/source=sbu_captions/pairs/",
        "curate/source=conceptual_captions/pairs/",
        "images/part-",
        "views/pairs/",
        "fetch/attempts/",
        "fetch/ledger/",
        "fetch/rejected/",
        "fetch/store/",
        "dedupe/groups/",
        "dedupe/splits/",
        "shards/webdataset/.*[.]tar",
        "shards/parquet/.*[.]parquet",
        "publish/source=",
        "release/source=",
        "release/find/",
        "refresh/wave=.*/part-",
        "refresh/wave=2020-02-02/asked-",
        "labels/",
        "_work/",
        "fetch/store/.*/0123456789abcdef.tar",
        "shards/webdataset/.*-01234567.tar",
        "publish/.*/[.]tmp-",
        "release/[.]tmp-",
    }
)


def user(number: int) -> str:
    """Return whose photograph it is."""
    return f"{10_000_000 + number % _USERS}@N0{number % _USERS % 9}"


def photograph(number: int) -> str:
    """Return where a photograph lies."""
    return f"http://farm1.staticflickr.com/2/{number}_abcdef.jpg"


class World(world.World):
    """The world that stages are broken in, with people."""

    @property
    def photographs(self) -> int:
        """How many photographs people have."""
        return int(self.images * _SHARE)

    def config(self, root: Path, age: int = 0, lanes: int = 1, more: str = "") -> Path:
        """Write a configuration beside a ROOT; return its path."""
        data = self.folder / "data"
        path = root.parent / f"{root.name}.toml"
        path.write_text(
            f"""
root = "{root}"
contact = "mailto:benchmarks@example.org"
{more}
[sources.sbu_captions]
annotations = ["{data}/sbu-captions-all.json"]
[sources.conceptual_captions]
annotations = ["{data}/GCC-training.tsv"]
[fetch]
per_host = {{ requests_per_s = 5000, connections = 8 }}
concurrency = 16
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{self.port}" }}
[dedupe]
near = "merge"
[shard]
formats = ["webdataset", "parquet"]
samples_per_shard = 100
""",
            encoding="utf-8",
        )
        return path

    def write(self) -> None:
        """Write the annotation files."""
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        numbers = [1000 + number for number in range(self.photographs)]
        sbu = {
            "image_urls": [photograph(number) for number in numbers],
            "user_ids": [user(number) for number in numbers],
            "captions": [f"a small wooden house by the river, seen from place {number % 400}" for number in numbers],
        }
        world._write(data / "sbu-captions-all.json", json.dumps(sbu))
        lines = [
            f"picture number {number} of a mountain lake in summer\thttp://h{number % 5}.test/{100_000 + number}.jpg"
            for number in range(self.images - self.photographs - len(_SHARED))
        ]
        lines += [f"picture number {number} of a quiet lake\t{photograph(number)}" for number in _SHARED]
        world._write(data / "GCC-training.tsv", "\n".join(lines) + "\n")


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    seconds: float
    text: str


def pmd(*words: str, environment: dict[str, str] | None = None, kill_after: float | None = None) -> Ended:
    """Run the command line in a session of its own; kill all of it after some seconds, if it is asked for."""
    begun = time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(HERE), **(environment or {})}
    command = [sys.executable, str(Path(__file__).resolve()), "--run", *words]
    with subprocess.Popen(
        command, cwd=HERE, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as run:
        try:
            text, _ = run.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            text, _ = run.communicate()
    return Ended(run.returncode, time.monotonic() - begun, text)


def command_line(words: list[str]) -> None:
    """Be `pmd`: die at a call of the storage, or write all of them down."""
    from pmd import cli

    sys.argv = ["pmd", *words]
    die, record = os.environ.get(_DIE), os.environ.get(_RECORD)
    kinds: dict[str, list[int]] = {}

    def act(call: Call) -> None:
        if die is not None and call.number >= int(die):
            os.kill(os.getpid(), signal.SIGKILL)
        if record is not None and (call.name, call.when) in calls.CHANGES | {("versions.swap", "after")}:
            kinds.setdefault(str(call), []).append(call.number)

    if die is None and record is None:
        cli.main()
        return
    try:
        with calls.watched(act):
            cli.main()
    finally:
        if record is not None:
            Path(record).write_text(json.dumps(kinds), encoding="utf-8")


def files(root: Path) -> dict[str, bytes]:
    """Return the files of a ROOT that every run writes alike; of commits all but what tells of the run."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if not path.is_file() or name.startswith(_TOLD):
            continue
        content = path.read_bytes()
        if path.name == "_stage.json":
            commit = orjson.loads(content)
            del commit["run"]
            if name.startswith("curate/"):  # it covers the suppression list, whose secret is another in each copy
                del commit["hash"]
            content = orjson.dumps(commit, option=orjson.OPT_SORT_KEYS)
        found[name] = content
    return found


def rows_of(release: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a release's lists, by pair_id."""
    tables = [pq.ParquetFile(path).read() for path in sorted(release.glob("source=*/*.parquet"))]
    return {row["pair_id"]: row for table in tables for row in table.to_pylist()}


def samples(root: Path) -> set[str]:
    """Return what is said of every sample."""
    found = set()
    for path in root.glob("shards/parquet/*.parquet"):
        for row in pq.read_table(path, columns=["key", "pairs"]).to_pylist():
            found.add(json.dumps(row, sort_keys=True))
    return found


def plant(root: Path) -> int:
    """Put copies of what stands where runs that were killed leave theirs."""
    pairs = max((root / "curate/source=sbu_captions/pairs").iterdir(), key=lambda path: path.stat().st_size)
    tar = max((root / "fetch/store").rglob("*.tar"), key=lambda path: path.stat().st_size)
    for shard in [*(root / "shards/webdataset").glob("*.tar")]:
        shutil.copyfile(shard, shard.with_name(f"{shard.name[:-12]}01234567.tar"))
    temporary = f".tmp-{'ab' * 16}"
    copies = {
        root / "_work/epoch-0/curate/run.parquet": pairs,
        tar.with_name("0123456789abcdef.tar"): tar,
        root / "publish/source=sbu_captions" / temporary: pairs,
        root / "release" / temporary: pairs,
        root / "dedupe/splits/part-00000-of-00001-0123456789abcdef.parquet": max((root / "images").glob("*.parquet")),
    }
    for copy, original in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, copy)
    begun = root / "refresh/wave=2020-02-02"
    begun.mkdir(parents=True, exist_ok=True)
    name = keys.image_id("flickr:1009").hex()
    told = {name: {"status": "ok", "sha256": None, "when": "2020-02-02T12:00:00+00:00"}}
    (begun / f"asked-{name}.json").write_text(json.dumps(told), encoding="utf-8")
    return len(copies) + 1


class Bench:
    """All of it, in one folder."""

    def __init__(self, there: World, folder: Path) -> None:
        self._world, self._folder = there, folder
        self._kept = folder / "told.json"
        self.told: dict[str, Any] = {"images": there.images}
        if self._kept.exists():
            self.told |= json.loads(self._kept.read_text(encoding="utf-8"))
        photo = folder / "photo.jpg"
        photo.write_bytes(world.picture(1012))
        # Of 1012 and its neighbour some may be the same bytes: the photograph is under both.
        self.what = (
            f"https://www.flickr.com/people/{user(1003)}/",
            f"https://www.flickr.com/photos/{user(1009)}/1009/",
            str(photo),
        )

    def _expect(self, what: str, *, holds: bool, why: str = "") -> None:
        if not holds:
            self.told.setdefault("wrong", []).append(f"{what} {why}".strip())
            print(f"! {what} {why}", flush=True)

    def _prove(self, config: Path, where: str) -> float:
        ended = pmd("takedown", "prove", str(config), *self.what)
        self._expect(f"{where}: proved", holds=ended.code == 0, why=ended.text[-2000:])
        return ended.seconds

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what a step told; it is done where it was not done before."""
        if name not in self.told:
            self.told[name] = make()
            self._kept.write_text(json.dumps(self.told), encoding="utf-8")
        return self.told[name]

    def built(self) -> None:
        """Build the ROOT that is copied, with the requests waiting."""
        root = self._folder / "built"
        config = self._world.config(root)
        self._once("build_s", lambda: self._built(config))
        self._once("asked_again_s", lambda: self._run("refresh", str(config), "--images", "9999"))
        self._once("label_s", lambda: self._run("label", str(root), "--number", "9999"))
        self._once("planted", lambda: plant(root))
        self._once("requests", lambda: self._asked(root, config))

    def _run(self, *words: str) -> float:
        ended = pmd(*words)
        self._expect(" ".join(words[:2]), holds=ended.code == 0, why=ended.text[-2000:])
        return round(ended.seconds, 1)

    def _built(self, config: Path) -> float:
        return self._run("build", str(config))  # one that was cut off is gone on with

    def _asked(self, root: Path, config: Path) -> int:
        (root / "takedown/requests.jsonl").unlink(missing_ok=True)
        self._run("takedown", "add", str(config), *self.what)
        return len(self.what)

    def copy(self, name: str) -> tuple[Path, Path]:
        """Return a copy of what was built, and its configuration."""
        root = self._folder / name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self._folder / "built", root)
        return root, self._world.config(root)

    def undisturbed(self) -> Path:
        """Take it down once; return the ROOT."""
        root = self._folder / "undisturbed"
        config = self._world.config(root)
        self._once("applied", self._applied)
        self._once("held", lambda: self._held(root))
        self._once("prove_s", lambda: round(self._prove(config, "undisturbed"), 1))
        self._once("verify_s", lambda: self._run("verify", str(root)))
        self._once("next_build_s", lambda: self._next_build(root, config))
        self._once("outside", lambda: self.outside(self._folder / "built/release", root / "release"))
        return root

    def _applied(self) -> dict[str, Any]:
        root, config = self.copy("undisturbed")
        before = files(root)
        ended = pmd("takedown", "apply", str(config), "--json")
        self._expect("applied", holds=ended.code == 0, why=ended.text[-2000:])
        after = files(root)
        return {
            "removed": json.loads(ended.text[ended.text.index("{") :])["removed"],
            "seconds": round(ended.seconds, 1),
            "files": len(after),
            "files_of_equal_bytes": sum(after.get(name) == content for name, content in before.items()),
        }

    def _held(self, undisturbed: Path) -> dict[str, int]:
        """Look through what was built with the list of what was taken down: which kinds of files, and which shards, had it."""
        root, config = self.copy("searched")
        shutil.copytree(undisturbed / "takedown", root / "takedown", dirs_exist_ok=True)
        ended = pmd("takedown", "prove", str(config), *self.what, "--json")
        left = {one["file"] for one in json.loads(ended.text[ended.text.index("{") :])["left"]}
        kinds = {kind for kind in _KINDS if any(re.match(kind, file) for file in left)}
        self._expect("planted in every kind of file", holds=kinds == _KINDS, why=f"not in {sorted(_KINDS - kinds)}")
        before, after = files(root), files(undisturbed)
        shards = {name for name in before if _SHARD.match(name) and "-01234567." not in name}
        other = {name for name in shards if after.get(name) != before[name]}
        held = left & shards
        reserve = {
            max(name for name in shards if name.startswith(f"shards/{form}/")) for form in ("webdataset", "parquet")
        }
        why = f"held {sorted(held)}, differ {sorted(other)}"
        self._expect("only shards that held it, and the reserve", holds=held <= other <= held | reserve, why=why)
        shutil.rmtree(root)
        return {
            "files": len(left),
            "shards": len(shards),
            "shards_that_held_it": len(held),
            "shards_of_equal_bytes": len(shards - other),
        }

    def _next_build(self, root: Path, config: Path) -> float:
        after = files(root)
        again = pmd("build", str(config))
        self._expect("the next build", holds=files(root) == after and "✓" not in again.text, why=again.text[-2000:])
        return round(again.seconds, 1)

    def outside(self, before: Path, after: Path) -> dict[str, Any]:
        """Compare two releases as somebody would who has nothing else; return what can be learnt."""
        old, new = rows_of(before), rows_of(after)
        gone = old.keys() - new.keys()
        told = pq.read_table(after / "withdrawn.parquet")
        self._expect("withdrawn: ids and nothing else", holds=told.schema.names == ["pair_id"])
        self._expect("withdrawn: what an older list has", holds={*told["pair_id"].to_pylist()} == gone)
        changed = [key for key in new if old.get(key) != new[key]]
        self._expect("rows that stay", holds=not changed, why=str(changed[:3]))
        names = {str(old[key][name]) for key in gone for name in ("image_id", "image_url", "sha256") if old[key][name]}
        names -= {str(row[name]) for row in new.values() for name in ("image_id", "image_url", "sha256")}
        said = sorted(
            {
                str(path.relative_to(after))
                for path in sorted(after.rglob("*"))
                if path.is_file()
                for piece in decoded.pieces(io.BytesIO(path.read_bytes()))
                if any(name in str(piece.content) for name in names)
            }
        )
        self._expect("no file of the new release has what has left", holds=not said, why=", ".join(said))
        one, other = (
            {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
            for root in (before, after)
        )
        differ = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
        return {"rows_that_left": len(gone), "rows_that_changed": len(changed), "files_that_differ": differ}

    def _record(self) -> int:
        """Write down the storage's calls of an undisturbed run; return how many kinds there are."""
        record = self._folder / "calls.json"
        _, config = self.copy("recorded")
        ended = pmd("takedown", "apply", str(config), environment={_RECORD: str(record)})
        self._expect("recorded", holds=ended.code == 0, why=ended.text[-2000:])
        shutil.rmtree(self._folder / "recorded")
        return len(json.loads(record.read_text(encoding="utf-8")))

    def rebuilt(self, undisturbed: Path) -> None:
        """Build it from nothing with the list."""
        root = self._folder / "rebuilt"
        config = self._world.config(root, more=f'suppression = "{undisturbed}/takedown/suppression.json"')
        self._once("rebuild_s", lambda: self._run("build", str(config)))
        self._once("samples", lambda: self._rebuilt(root, config, samples(undisturbed)))

    def _rebuilt(self, root: Path, config: Path, known: set[str]) -> int:
        self._expect("the samples of a rebuild", holds=samples(root) == known)
        self._prove(config, "rebuilt")
        return len(known)

    def trial(self, name: str, undisturbed: dict[str, bytes], kills: list[dict[str, Any]]) -> None:
        """Kill it, so many times in a row, do it again to the end, and compare.

        One that had ended before its moment came was not killed: it is begun again, each moment a fifth earlier. Files that are
        equal to those of the undisturbed ROOT are proved with these: what is left besides is proved here.
        """
        root, config = self.copy(name)
        killed = [pmd("takedown", "apply", str(config), **how) for how in kills]
        while any(one.code == 0 for one in killed) and all("kill_after" in how for how in kills):
            kills = [{"kill_after": 0.8 * how["kill_after"]} for how in kills]
            root, config = self.copy(name)
            killed = [pmd("takedown", "apply", str(config), **how) for how in kills]
        again = pmd("takedown", "apply", str(config))
        self._expect(f"{name}: applied again", holds=again.code == 0, why=again.text[-2000:])
        now = files(root)
        other = sorted(key for key in {*now, *undisturbed} if now.get(key) != undisturbed.get(key))
        self._expect(f"{name}: equal to the undisturbed", holds=not other, why=", ".join(other[:6]))
        for key in now:
            if key not in other and not key.endswith("_stage.json"):
                (root / key).unlink()
        self._prove(config, name)
        shutil.rmtree(root)
        hits = sum(one.code == -signal.SIGKILL for one in killed)
        with (self._folder / "trials.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, "kills": len(kills), "hit": hits, "other": len(other)}) + "\n")
        moments = ", ".join(f"{one.seconds:.1f}" for one in killed)
        print(f"{name}: {hits} of {len(kills)} killed, after {moments} s; {len(other)} differ", flush=True)

    def _at_a_call(self, name: str, place: float) -> dict[str, Any]:
        """Return how one is killed at a call of the storage, drawn among the kinds of calls by a number below 1."""
        kinds = json.loads((self._folder / "calls.json").read_text(encoding="utf-8"))
        kind = sorted(kinds)[int(place * len(kinds))]
        print(f"{name}: {kind}", flush=True)
        return {"environment": {_DIE: str(random.Random(place).choice(kinds[kind]))}}

    def trials(self, undisturbed: Path, asked: argparse.Namespace, until: float) -> None:
        """Kill it at calls and at moments; begin no trial after a time."""
        chance = random.Random(asked.seed)
        if asked.named:
            self._once("calls", self._record)
        log = self._folder / "trials.jsonl"
        log.touch()
        compared = files(undisturbed)
        for number in range(asked.named + asked.random + asked.chains):
            place = chance.random()
            moments = [chance.uniform(3, self.told["applied"]["seconds"]) for _ in range(_IN_A_ROW)]
            is_named, is_alone = number < asked.named, number < asked.named + asked.random
            name = f"{'named' if is_named else 'random' if is_alone else 'chain'}-{number}"
            if time.monotonic() > until:
                break
            if any(json.loads(line)["name"] == name for line in log.read_text(encoding="utf-8").splitlines()):
                continue
            drawn: list[dict[str, Any]] = [{"kill_after": moment} for moment in moments[: 1 if is_alone else None]]
            self.trial(name, compared, [self._at_a_call(name, place)] if is_named else drawn)
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        self.told |= {"trials": len(lines)} | {name: sum(line[name] for line in lines) for name in ("kills", "hit")}
        self._kept.write_text(json.dumps(self.told), encoding="utf-8")


def main() -> None:
    """Run it."""
    if sys.argv[1:2] == ["--run"]:
        command_line(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--named", type=int, default=6)
    parser.add_argument("--random", type=int, default=6)
    parser.add_argument("--chains", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no trial after so long")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    until = time.monotonic() + asked.seconds
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="pmd-takedowns-"))
    with world.opened(folder / "world", asked.images) as there:
        mine = World(there.folder, there.images, there.port)
        mine.write()
        bench = Bench(mine, folder)
        bench.built()
        undisturbed = bench.undisturbed()
        bench.rebuilt(undisturbed)
        bench.trials(undisturbed, asked, until)
    if asked.folder is None:
        shutil.rmtree(folder)
    print(json.dumps(bench.told))
    sys.exit(bool(bench.told.get("wrong")))


if __name__ == "__main__":
    main()
