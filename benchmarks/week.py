"""Two builds a week apart, of a web whose pictures die and come back: do `diff` and `refresh` report what is known?

    python benchmarks/week.py [--images 1200] [--seeds 200] [--sample 300] [--seed 0] [--folder FOLDER]

A web on this machine answers for some thousand pictures of hosts of unlike sizes. Each host loses its pictures at its own rate,
and some come only later; which are there on which day is known beforehand. No time passes: the day is set.

1. On day 0 a ROOT is built, on day 7 another one, of nothing. `pmd diff` has to report exactly those that died and came back.
2. On day 7 `pmd refresh` asks all images of the first ROOT again, by HTTP. It has to report exactly those that are still there.
3. For each seed a wave is drawn as `pmd refresh` draws it. The first ones are asked by HTTP once more, which has to give the same
   table; of the others the answers are those of 2. The interval of *this table* has to hold the known share in 93.5 % of them.

Exits with 1 where anything differs. The last line is JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import io
import json
import math
import shutil
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from http import server
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pmd
from pmd import config as configuration
from pmd.config import Config
from pmd.fetch.lane.engine import Fetcher, Lane
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.ledger import asked
from pmd.fetch.politeness import policies
from pmd.inspection import diff
from pmd.refresh import asking, figures, sampling, waves
from pmd.refresh.waves import Answer, Wave
from pmd.store import root, storage

DAYS: Final = 7
#: After so many days half of a host's pictures are gone, at the mean rate.
_HALF_LIFE: Final = 20.0
#: Every so many comes only later.
_LATE: Final = 17
_SIDE_PX: Final = 48
#: Waves that are asked by HTTP to the end.
_WHOLE: Final = 3
_LEAST: Final = 0.935


@dataclasses.dataclass(frozen=True)
class World:
    """Pictures, and from which day to which each is there."""

    images: int
    seed: int

    @cached_property
    def places(self) -> list[tuple[str, float, float]]:
        """URL, first and last day of each."""
        rng = np.random.default_rng(self.seed)
        sizes = np.minimum(rng.zipf(1.5, self.images), 80)
        found: list[tuple[str, float, float]] = []
        for host, size in enumerate(sizes.tolist()):
            rate = rng.exponential()
            for number in range(size):
                late = len(found) % _LATE == 0
                begins, lives = (
                    (rng.uniform(1, DAYS), math.inf) if late else (0.0, rng.exponential(1 / max(rate, 1e-9)))
                )
                ends = math.inf if late else lives * _HALF_LIFE / math.log(2)
                found.append((f"http://host-{host}.example/{number}.jpg", begins, ends))
        return found[: self.images]

    def is_there(self, place: tuple[str, float, float], day: float) -> bool:
        """Return whether a picture is there on a day."""
        return place[1] <= day < place[2]

    def picture(self, number: int) -> bytes:
        """Return the bytes of one; no two are alike."""
        chance = np.random.default_rng((self.seed, number))
        small = Image.fromarray(chance.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        small.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        return buffer.getvalue()


class Web(server.ThreadingHTTPServer):
    """Answers for a world on the day that is set."""

    daemon_threads = True

    def __init__(self, world: World) -> None:
        self.world, self.day, self.asked = world, 0.0, 0
        self.numbers = {place[0]: number for number, place in enumerate(world.places)}
        super().__init__(("127.0.0.1", 0), _Answers)


class _Answers(server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        web = self.server
        assert isinstance(web, Web)
        number = web.numbers.get(f"http://{self.headers['Host']}{self.path}")
        found = number is not None and web.world.is_there(web.world.places[number], web.day)
        web.asked += number is not None
        body = web.world.picture(number) if found and number is not None else b"gone"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "image/jpeg" if found else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def configured(folder: Path, name: str, world: World, port: int) -> Config:
    """Write the annotation files and a configuration; return it."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {"GCC-training.tsv": [], "cc12m.tsv": []}
    for number, (url, _, _) in enumerate(world.places):
        text = f"picture number {number} of a lake in summer"
        if number % 4:
            lines["GCC-training.tsv"].append(f"{text}\t{url}")
        else:
            lines["cc12m.tsv"].append(f"{url}\t{text}")
    for file, rows in lines.items():
        (data / file).write_text("\n".join(rows) + "\n", encoding="utf-8")
    path = folder / f"{name}.toml"
    path.write_text(
        f"""
root = "{folder}/{name}"
contact = "mailto:benchmarks@example.org"
[sources.conceptual_captions]
annotations = ["{data}/GCC-training.tsv"]
[sources.conceptual_12m]
annotations = ["{data}/cc12m.tsv"]
[fetch]
per_host = {{ requests_per_s = 5000, connections = 8 }}
concurrency = 16
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{port}" }}
""",
        encoding="utf-8",
    )
    return configuration.load(str(path))


def lane(chosen: Config, now: datetime.datetime) -> asking.Opens:
    """Return what opens a lane of the fetch for a wave, on a day that is set."""

    def opens(config: Config, began: datetime.datetime, stop: Stop, ask: Callable[[Fetcher], None]) -> None:
        with (
            policies.Kept(config.root, "week", began) as robots,
            policies.Kept(config.root, "week", began, "tdmrep") as reservations,
            Lane(
                config.fetch,
                contact=config.contact or "",
                policies=robots,
                reservations=reservations,
                stop=stop,
                clock=lambda: now,
                hashed=False,
                folder=chosen.folder,
            ) as asked,
        ):
            ask(asked)

    return opens


class Bench:
    """All of it."""

    def __init__(self, world: World, web: Web, folder: Path) -> None:
        self._world, self._web, self._folder = world, web, folder
        self.told: dict[str, Any] = {"images": len(world.places)}
        self.wrong: list[str] = []

    def expect(self, what: str, found: Any, known: Any) -> None:
        """Note what is not as it is known to be."""
        self.told[what] = found
        if found != known:
            self.wrong.append(what)
            print(f"! {what}: known {known}, found {found}", flush=True)

    def source(self, number: int) -> str:
        """Return whose picture it is."""
        return "conceptual_captions" if number % 4 else "conceptual_12m"

    def known(self, first: float, later: float, *, before: bool, after: bool) -> Counter[str]:
        """Return source → how many were there, or not, on two days."""
        there = self._world.is_there
        return Counter(
            self.source(number)
            for number, place in enumerate(self._world.places)
            if there(place, first) == before and there(place, later) == after
        )

    def built(self) -> tuple[Config, Config]:
        """Build both ROOTs, and compare them."""
        made = []
        for name, day in (("first", 0.0), ("later", float(DAYS))):
            self._web.day = day
            chosen = configured(self._folder, name, self._world, self._web.server_address[1])
            pmd.build(chosen)
            made.append(chosen)
        fared = {line["source"]: line for line in diff.diff(made[0].root, made[1].root)["fared"]}
        for how, before in (("died", True), ("revived", False)):
            known = self.known(0, DAYS, before=before, after=not before)
            self.expect(
                f"diff: {how}", {name: line[how] for name, line in sorted(fared.items())}, dict(sorted(known.items()))
            )
        other = sum(line[how] for line in fared.values() for how in ("added", "removed", "changed"))
        self.expect("diff: added, removed, changed", other, 0)
        return made[0], made[1]

    def asked(self, chosen: Config, images: int, seed: int, now: datetime.datetime) -> Wave:
        """Ask a wave by HTTP; return it, and leave no trace of it."""
        with root.writer(chosen.root, "pmd refresh"):
            asking.refresh(chosen, images, seed, clock=lambda: now, opens=lane(chosen, now))
        (wave,) = waves.read(chosen.root)
        storage.remove_tree(waves.folder_of(chosen.root, wave.date))
        return wave

    def refreshed(self, chosen: Config, seeds: int, sample: int) -> None:
        """Ask the first ROOT's images again, all of them and by samples."""
        self._web.day = float(DAYS)
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=DAYS)
        whole = self.asked(chosen, 10 * len(self._world.places), 0, now)
        rows = {row["source"]: row for row in figures.of_wave(whole)["sources"]}
        alive = self.known(0, DAYS, before=True, after=True)
        died = self.known(0, DAYS, before=True, after=False)
        alive["all"], died["all"] = alive.total(), died.total()
        self.expect(
            "refresh: alive", {name: row["alive"] for name, row in rows.items()}, {name: alive[name] for name in rows}
        )
        self.expect(
            "refresh: before",
            {name: row["before"] for name, row in rows.items()},
            {name: alive[name] + died[name] for name in rows},
        )
        whens = [when.replace(microsecond=0) for when in whole.rows["when"].to_pylist()]
        self.expect("refresh: all asked on day 7", {when.date() == now.date() for when in whens}, {True})
        truth = {name: alive[name] / (alive[name] + died[name]) for name in rows}
        self._over_seeds(chosen, whole, truth, seeds, sample, now)

    def _over_seeds(
        self, chosen: Config, whole: Wave, truth: Mapping[str, float], seeds: int, sample: int, now: datetime.datetime
    ) -> None:
        answered = {
            row["image_id"]: Answer(row["status"], None, row["when"])
            for row in whole.rows.select(["image_id", "status", "when"]).to_pylist()
        }
        there = list(asked.read(chosen.root))
        held: Counter[str] = Counter()
        given: Counter[str] = Counter()
        widths: Counter[str] = Counter()
        for seed in range(seeds):
            drawn = sampling.draw(there, sample, f"{seed} {whole.date}")
            wave = Wave(whole.date, drawn.bounds, waves.rows_of(drawn, answered))
            if seed < _WHOLE:
                by_http = self.asked(chosen, sample, seed, now)
                columns = ["image_id", "host", "sources", "number", "status"]
                self.expect(
                    f"seed {seed}: the same table by HTTP",
                    by_http.rows.select(columns).equals(wave.rows.select(columns)),
                    True,
                )
            for row in figures.of_wave(wave)["sources"]:
                interval = row["this_table"]["interval"]
                if interval is not None:
                    given[row["source"]] += 1
                    widths[row["source"]] += interval[1] - interval[0]
                    held[row["source"]] += interval[0] <= truth[row["source"]] <= interval[1]
        self.told["intervals"] = {
            name: {
                "truth": round(truth[name], 4),
                "given": given[name],
                "held": round(held[name] / given[name], 4),
                "mean_width": round(widths[name] / given[name], 4),
            }
            for name in sorted(given)
        }
        self.wrong += [f"interval of {name}" for name in given if held[name] / given[name] < _LEAST]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="pmd-week-"))
    world = World(asked.images, asked.seed)
    with Web(world) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        bench = Bench(world, web, folder)
        first, _ = bench.built()
        bench.refreshed(first, asked.seeds, asked.sample)
        bench.told["requests"] = web.asked
        web.shutdown()
    if asked.folder is None:
        shutil.rmtree(folder)
    for name in ("refresh: all asked on day 7",):
        bench.told[name] = bench.told[name] == {True}
    print(json.dumps(bench.told | {"wrong": bench.wrong}))
    sys.exit(bool(bench.wrong))


if __name__ == "__main__":
    main()
