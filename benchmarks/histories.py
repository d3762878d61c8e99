"""Any history leads to the same data: long random histories of a small ROOT, each compared with a build from nothing.

    python benchmarks/histories.py [--seeds 20] [--first 0] [--steps 5-15] [--shrink SECONDS] [--seconds N] [--folder FOLDER]
    python benchmarks/histories.py --first 17 --seeds 1 --keep 0,3,4      # of seed 17 these steps alone

From a seed a history is drawn: sources of the demo are added, taken out and put back; rows come, go and change their order; files
are renamed, cut and joined; options change and change back; takedown lists and evaluation images come and go; takedowns are
applied and lifted; pictures die once they were fetched, others appear; waves are asked; files are damaged and repaired; builds
and takedowns are killed at a storage call; pairs, licences, scores and attributes of the user's own come and go; suppression
lists of another ROOT are named, applied and taken out; ROOT is moved, or gives way to a copy; stages run one by one; sheets are
written; the clock is set. Each command is `pmd` itself, in a fork of a process that has everything imported.

After each step ROOT is built, and must hold:

1. `pmd build --why` and `pmd plan` foretold what the build did; a second build does nothing, and touches no file;
2. `pmd verify` passes, the books balance, and curate took in what the demo's rows come to;
3. no image was asked for that was settled;
4. `release/withdrawn.parquet` names just what earlier releases had and this one has not; both formats hold the same samples;
5. `pmd takedown prove` finds nothing of what was taken down;
6. nothing is listed that a score, an evaluation image or a takedown line keeps out; a move, a copy or another manner of working
   (contact, pace, shuffle) leaves nothing to be done.

In the end two ROOTs are built from nothing, of the last situation: one with the same `fetch/`, which must ask for nothing and
have every file equal, though rows cross in it the other way; and one from a web that gives at every place of an image what its
settled picture was, whose ledger must say the same of each image.

A history that fails is told with its seed, and steps are left out of it while it still fails. Exits with 1 where one failed. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.breaking import calls, changes, changing, claims, clock, equal, given, holding, kills, situations
from benchmarks.breaking.changing import Changing
from benchmarks.breaking.holding import expect, is_url
from benchmarks.breaking.situations import Situation
from benchmarks.breaking.steps import Step, drawn
from pmd.demo.web import route_of
from tests.forked import Forked, ForkedProcess

#: Bits of the fetch shards.
_BITS: Final = 2
#: How a unit that has run, or stood, is told (`pmd.cli.stages`).
_TOLD: Final = re.compile(r"^([=✓+]) (\w+) ([^:]+): ", re.MULTILINE)
#: A kill comes at a storage call of a number up to this.
_MOST_CALLS: Final = {"driver": 900, "lane": 40}
#: The exit code of a command that does not go on from what stands.
_REFUSED: Final = 4
_RETRIED: Final = "dead,forbidden,server_error,not_an_image"
#: The stages, as commands.
_STAGES: Final = ("curate", "images", "fetch", "dedupe", "shard", "publish", "audit")
#: Names of ROOT in turn, when it is moved.
_ROOTS: Final = ("root", "root-moved")
#: By how many days the clock may be ahead.
_DAYS: Final = (-3, 0, 3, 400)
_OWN_LIST: Final = "takedown/suppression.json"
_SHUFFLE: Final = ("engine", "shuffle")


class _Lane(ForkedProcess):
    """A lane, forked from a process that has its imports, which looks where it is to die."""

    def run(self) -> None:
        os.environ.update(self._environment)
        kills.arm()
        clock.heed()
        super().run()


class _Lanes(Forked):
    Process = _Lane


@contextlib.contextmanager
def _driver(act: calls.Act | None) -> Iterator[None]:
    """Be a driver whose lanes are forked; `act` is done at each call of its storage."""
    lanes, by_name = _Lanes(), multiprocessing.get_context
    multiprocessing.get_context = lambda name=None: lanes if name == "spawn" else by_name(name)  # type: ignore[assignment]
    # It is the parent's, and runs.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    clock.heed()
    with contextlib.nullcontext() if act is None else calls.watched(act):
        yield


class Bench:
    """What all histories share: the web, the folder, and how commands are run."""

    def __init__(self, web: Changing, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.writer = situations.Writer(folder / "world", (web.address, web.tls_address), web.ca_pem)
        self.commands: Counter[str] = Counter()
        self.days_ahead = 0

    def pmd(
        self, *words: str, phase: str, act: calls.Act | None = None, environment: dict[str, str] | None = None
    ) -> kills.Ended:
        """Run a command."""
        self.web.phase(phase)
        self.commands[" ".join(words[: 1 + (words[0] == "takedown")])] += 1
        within = functools.partial(_driver, act)
        environment = {clock.AHEAD: str(self.days_ahead)} | (environment or {})
        return kills.run(words, self.folder / "log", within=within, environment=environment)

    def photo(self, chance: random.Random) -> Path:
        """Return a file with a picture of the demo's."""
        named = sorted(name for name, image in situations.world().images.items() if image.picture)
        path = self.folder / "photo.bin"
        path.write_bytes(situations.encoded_of(chance.choice(named)))
        return path

    def told(self, work: Callable[[], Any]) -> Any:
        """Return what a function gives that reads a ROOT."""
        return equal.apart(work, self.folder / "note.json")


class History:
    """One history, as it is gone through."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self._bench, self._web = bench, bench.web
        self._root = bench.folder / "root"
        self.asked: Situation = changes.first(random.Random(f"first {seed}"))
        self._phases = 0
        self._named: list[str] = []
        self._named_elsewhere: list[str] = []
        self._ever: set[str] = set()
        self._identities: dict[str, str] = {}
        self._is_patched = False
        self._config = Path()
        world = situations.world()
        pictured = {route_of(url) for one in world.images.values() if one.picture for url in one.urls}
        self._places = sorted(pictured & {*world.routes})

    def run(self, steps: Sequence[Step], tell: Callable[[str], None]) -> None:
        """Go through it.

        Raises:
            WrongError: Something does not hold.
        """
        for folder in (*_ROOTS, "other", "again", "anew"):
            shutil.rmtree(self._bench.folder / folder, ignore_errors=True)
        situations.forget(self._bench.writer.folder)
        self._web.reset()
        self._bench.days_ahead = 0
        self._bench.told(functools.partial(_create, str(self._root)))
        tell(f"  first: {json.dumps(situations.described(self.asked))}")
        self._build()
        for number, step in enumerate(steps):
            start = time.monotonic()
            said = self._do(step)
            tell(f"  {number}: {step}: {said}; {time.monotonic() - start:.0f} s")
        self._end()

    # Steps

    def _do(self, step: Step) -> str:
        chance = random.Random(step.draw)
        if step.what[0] in changes.CHANGES:
            for name in step.what:
                self.asked = changes.CHANGES[name][0](self.asked, chance)
            return self._build(chance if step.is_killed else None)
        done: dict[str, Callable[[random.Random, bool], str]] = {
            "a takedown": self._take_down,
            "lifted": self._lift,
            "a wave": self._wave,
            "damage": self._damage,
            "pictures die": self._die,
            "pictures appear": self._appear,
            "tried anew": self._try_anew,
            "a look": self._look,
            "scores": self._score,
            "attributes": self._attribute,
            "another's list": self._take_list,
            "no other's list": self._leave_lists,
            "moved": self._move,
            "another manner": self._work_otherwise,
            "stage by stage": self._by_stages,
            "sheets": self._write_sheets,
            "the clock": self._set_clock,
        }
        return done[step.what[0]](chance, step.is_killed)

    def _build(self, chance: random.Random | None = None) -> str:
        """Build, maybe after a build that is killed; look whether all holds."""
        self._config = self._bench.writer.write(self.asked, self._root)
        killed = ""
        if chance is not None:
            killed = f"killed at {self._killed(('build', str(self._config)), chance)}, "
        before = self._standing()
        plan = self._json("plan", str(self._config))
        whys = self._json("build", str(self._config), "--why")
        phase = self._phase("build")
        ended = self._bench.pmd("build", str(self._config), "--json", phase=phase)
        expect(ended.code == 0, "build", ended.text[-1500:])
        ran = [(stage, unit) for sign, stage, unit in _TOLD.findall(ended.text) if sign != "="]
        self._is_patched &= not any(stage == "shard" for stage, _ in ran)
        after = self._standing()
        holding.as_foretold(whys, ran)
        status = holding.parsed(ended.text)
        holding.as_planned(plan, status, (before, after), self.asked.takedown)
        holding.nothing_twice((before, after), self._requests(phase), self._identities)
        self._books(status)
        self._lists()
        self._rest()
        fetched = (status["fetch_run"] or {"images": 0})["images"]
        return f"{killed}{len(ran)} units, {fetched} fetched of {len(after['images'])}"

    def _killed(self, words: Sequence[str], chance: random.Random, phase: str | None = None) -> str:
        """Run a command that is killed at a storage call, where it comes so far."""
        process = chance.choice(("driver", "driver", "lane"))
        number = round(_MOST_CALLS[process] ** chance.uniform(0.3, 1.0))
        act = kills.killer(number) if process == "driver" else None
        environment = None if act else {kills.DIE: str(number)}
        self._bench.pmd(*words, phase=phase or self._phase("killed"), act=act, environment=environment)
        return f"{process}'s call {number}"

    def _take_down(self, chance: random.Random, is_killed: bool) -> str:
        what = changes.person_or_place(self.asked, chance)
        is_behind = self._change_meanwhile(chance)
        self._ok("takedown", "add", str(self._config), what)
        words = ("takedown", "apply", str(self._config))
        if is_killed:
            self._killed(words, chance)
        self._ok(*words, "--json")
        self._named.append(what)
        self._is_patched = True
        self._proved()
        if not is_behind:
            self._rest()
        return f"{what}: {self._build()}" if is_behind else what

    def _change_meanwhile(self, chance: random.Random) -> bool:
        """Maybe change something and do not build: the next command finds a ROOT that is behind its configuration."""
        if chance.random() < 0.7:
            return False
        change, _ = changes.CHANGES[chance.choice(sorted(changes.CHANGES))]
        self.asked = change(self.asked, chance)
        self._config = self._bench.writer.write(self.asked, self._root)
        return True

    def _proved(self) -> None:
        if self._named or self._named_elsewhere:
            self._ok("takedown", "prove", str(self._config), *self._named, *self._named_elsewhere)

    def _lift(self, chance: random.Random, is_killed: bool) -> str:
        """Lift all takedowns, as docs/takedown.md says it."""
        if not self._named:
            return "nothing was taken down"
        (self._root / _OWN_LIST).unlink(missing_ok=True)
        shutil.rmtree(self._root / "curate")
        self.asked = dataclasses.replace(self.asked, suppression=())
        self._config = self._bench.writer.write(self.asked, self._root)
        count, self._named, self._named_elsewhere = len(self._named), [], []
        return f"{count} takedowns: {self._let_in(chance if is_killed else None)}"

    def _let_in(self, chance: random.Random | None) -> str:
        """Build when a list holds no more, and ask again for what it has kept from being fetched."""
        self._ok("build", str(self._config), phase=self._phase("lifted"))
        self._lists()
        self._ok("fetch", str(self._config), "--retry", "blocked_content", phase=self._phase("lifted"))
        return self._build(chance)

    def _wave(self, chance: random.Random, is_killed: bool) -> str:
        images = chance.choice((5, 1000))
        if not any(row["status"] == "ok" and is_url(row["location"]) for row in self._current().values()):
            return "nothing is on the web"
        words = ("refresh", str(self._config), "--images", str(images))
        if is_killed:
            self._killed(words, chance, phase=changing.ASIDE)
        self._ok(*words, phase=changing.ASIDE)
        return self._build()

    def _damage(self, chance: random.Random, is_killed: bool) -> str:
        kinds = (
            "curate",
            "images",
            "views",
            "fetch/ledger",
            "fetch/store",
            "fetch/hashes",
            "fetch/attempts",
            "fetch/rejected",
        )
        kind = chance.choice((*kinds, "dedupe", "shards", "publish", "audit"))
        found = sorted(path for path in (self._root / kind).rglob("*") if path.suffix in {".parquet", ".tar"})
        if not found:
            return f"nothing is in {kind}"
        path, way = chance.choice(found), chance.choice(("gone", "cut", "flipped"))
        content = bytearray(path.read_bytes())
        if way == "gone" or not content:
            path.unlink()
        else:
            content[chance.randrange(len(content))] ^= 1
            path.write_bytes(content if way == "flipped" else content[: len(content) // 2])
        self._change_meanwhile(chance)
        words = ("repair", str(self._root), "--config", str(self._config))
        if is_killed:
            self._killed(words, chance)
        self._ok(*words, phase=self._phase("repair"))
        return f"{path.relative_to(self._root)} {way}: {self._build()}"

    def _die(self, chance: random.Random, is_killed: bool) -> str:
        there = sorted(
            {row["location"] for row in self._current().values() if row["status"] == "ok" and is_url(row["location"])}
        )
        gone = chance.sample(there, min(len(there), chance.choice((1, 10))))
        for url in gone:
            self._web.serve(route_of(url), None)
        return f"{len(gone)} of {len(there)}"

    def _appear(self, chance: random.Random, is_killed: bool) -> str:
        lost = sorted(
            {url for row in self._current().values() if row["status"] == "dead" for url in row["tried"] or ()}
        )
        found = chance.sample(lost, min(len(lost), chance.choice((1, 3))))
        for url in found:
            self._web.serve(route_of(url), chance.choice(self._places))
        return f"{len(found)} of {len(lost)}"

    def _try_anew(self, chance: random.Random, is_killed: bool) -> str:
        words = ("fetch", str(self._config), "--retry", _RETRIED)
        if is_killed:
            self._killed(words, chance)
        self._ok(*words, phase=self._phase("anew"))
        return self._build()

    def _look(self, chance: random.Random, is_killed: bool) -> str:
        """Ask whatever changes nothing."""
        before = claims.files(str(self._root))
        asked, out = len(self._web.asked()), self._bench.folder / "peek.html"
        self._ok("plan", str(self._config))
        self._ok("status", str(self._root))
        self._ok("build", str(self._config), "--why")
        self._ok("peek", str(self._root), "--out", str(out), "--pairs", "6", "--rejected", "6")
        self._ok("diff", str(self._root), str(self._root))
        self._ok("takedown", "apply", str(self._config), "--dry-run")
        self._ok("takedown", "find", str(self._config), str(self._bench.photo(chance)))
        self._refill()
        images = self._standing()["images"]
        for key in chance.sample(sorted(images), min(2, len(images))):
            self._ok("explain", str(self._root), key)
        expect(claims.files(str(self._root)) == before, "a look", "it has changed files")
        expect(len(self._web.asked()) == asked, "a look", "the web was asked")
        return "nothing changed"

    def _refill(self) -> None:
        """Refill ROOT's own lists, which are as its sources are."""
        out = self._bench.folder / "refilled"
        shutil.rmtree(out, ignore_errors=True)
        told = self._json("join", str(self._config), str(self._root / "publish"), "--out", str(out))
        expect(not any(one["absent"] + one["other"] + one["withdrawn"] for one in told.values()), "join", str(told))

    def _score(self, chance: random.Random, is_killed: bool) -> str:
        """Give scores that filter, or none."""
        drawn = given.scores(self._pairs(), chance)
        kept = self.asked.scores[:1] if chance.random() < 0.4 else ()
        self.asked = dataclasses.replace(self.asked, scores=() if chance.random() < 0.25 else (*kept, drawn))
        return f"{len(self.asked.scores)} of scores: {self._build(chance if is_killed else None)}"

    def _attribute(self, chance: random.Random, is_killed: bool) -> str:
        """Give attributes to the audit, or none."""
        is_out = self.asked.attributes and chance.random() < 0.3
        drawn = () if is_out else given.attributes(self._pairs(), chance)
        self.asked = dataclasses.replace(self.asked, attributes=drawn)
        return f"{len(drawn)} of attributes: {self._build(chance if is_killed else None)}"

    def _pairs(self) -> dict[str, str]:
        found: dict[str, str] = self._bench.told(functools.partial(claims.pairs, str(self._root)))
        return found

    def _take_list(self, chance: random.Random, is_killed: bool) -> str:
        """Name the list of another ROOT, a copy that was asked to forget something; maybe apply it here, too."""
        other, what = self._bench.folder / "other", changes.person_or_place(self.asked, chance)
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(self._root, other)
        config = str(self._bench.writer.write(self.asked, other, "other"))
        self._ok("takedown", "add", config, what)
        self._ok("takedown", "apply", config)
        name = self._bench.writer.keep_list(other / _OWN_LIST)
        self.asked = dataclasses.replace(self.asked, suppression=(*self.asked.suppression, name))
        self._named_elsewhere.append(what)
        said = self._build(chance if is_killed else None)
        if chance.random() < 0.6:
            self._apply()
        return f"{what}: {said}"

    def _apply(self) -> None:
        """Purge what the lists of other ROOTs name."""
        self._ok("takedown", "apply", str(self._config))
        self._is_patched = True
        self._proved()
        self._rest()

    def _leave_lists(self, chance: random.Random, is_killed: bool) -> str:
        """Name no list of another ROOT any more; ROOT's own stays, with what was purged by the others."""
        if not self.asked.suppression:
            return "none is named"
        self.asked = dataclasses.replace(self.asked, suppression=())
        self._config = self._bench.writer.write(self.asked, self._root)
        self._named_elsewhere = []
        if not (self._root / _OWN_LIST).exists():
            ended = self._bench.pmd("build", str(self._config), phase="other")
            expect(ended.code == _REFUSED, "a lost list", f"ends with {ended.code}: {ended.text[-1500:]}")
            shutil.rmtree(self._root / "curate")
        return self._let_in(chance if is_killed else None)

    def _move(self, chance: random.Random, is_killed: bool) -> str:
        """Move ROOT, or go on with a copy: nothing is to be done there."""
        there = next(self._bench.folder / name for name in _ROOTS if name != self._root.name)
        way = chance.choice(("moved", "copied", "copied without times"))
        if way == "moved":
            self._root.rename(there)
        else:
            shutil.copytree(self._root, there, copy_function=shutil.copy2 if way == "copied" else shutil.copy)
            self._ok("diff", str(self._root), str(there))
            shutil.rmtree(self._root)
        self._root = there
        self._config = self._bench.writer.write(self.asked, there)
        self._rest()
        return way

    def _work_otherwise(self, chance: random.Random, is_killed: bool) -> str:
        """Change how work is done, for which no stage runs; the release alone is written anew, as it tells the configuration."""
        self.asked = changes.manner(self.asked, chance)
        self._config = self._bench.writer.write(self.asked, self._root)
        before = claims.files(str(self._root))
        text = self._ok("build", str(self._config), phase=self._phase("otherwise"))
        ran = [f"{stage} {unit}" for sign, stage, unit in _TOLD.findall(text) if sign != "="]
        changed = {name for name, _ in claims.files(str(self._root)).items() ^ before.items()}
        others = sorted(name for name in changed if not name.startswith("release/"))
        expect(not ran and not others, "another manner", f"runs {ran}, touches {others[:5]}")
        self._rest()
        return "no stage has run"

    def _by_stages(self, chance: random.Random, is_killed: bool) -> str:
        """Change an option and run some stages by their own commands; then build. A stage may refuse, and says why."""
        self.asked = changes.option(self.asked, chance)
        self._config = self._bench.writer.write(self.asked, self._root)
        ran = 0
        for stage in _STAGES[: chance.randint(1, len(_STAGES))]:
            ended = self._bench.pmd(stage, str(self._config), phase=self._phase("stage"))
            expect(ended.code in (0, _REFUSED), stage, f"ends with {ended.code}: {ended.text[-1500:]}")
            if ended.code:
                break
            ran += 1
        return f"{ran} stages: {self._build(chance if is_killed else None)}"

    def _write_sheets(self, chance: random.Random, is_killed: bool) -> str:
        """Write sheets to be labelled; no stage takes them in."""
        shutil.rmtree(self._root / "labels", ignore_errors=True)
        ended = self._bench.pmd("label", str(self._root), "--number", "60", phase="other")
        is_none = "no English text to label" in ended.text
        expect(ended.code == 0 or is_none, "sheets", f"ends with {ended.code}: {ended.text[-1500:]}")
        self._rest()
        return "no English text" if is_none else "written"

    def _set_clock(self, chance: random.Random, is_killed: bool) -> str:
        """Set the clock ahead or back; nothing is to be done for it."""
        self._bench.days_ahead = chance.choice([days for days in _DAYS if days != self._bench.days_ahead])
        self._rest()
        return f"{self._bench.days_ahead} days ahead"

    # What must hold

    def _rest(self) -> None:
        """Look whether ROOT is sound, and another build does nothing."""
        before = claims.files(str(self._root))
        phase = self._phase("idle")
        text = self._ok("build", str(self._config), phase=phase)
        ran = [f"{stage} {unit}" for sign, stage, unit in _TOLD.findall(text) if sign != "="]
        expect(not ran, "a second build", f"runs {ran}\n{text[-1500:]}")
        changed = {name for name, _ in claims.files(str(self._root)).items() ^ before.items()}
        expect(not changed, "a second build", f"touches {sorted(changed)[:5]}")
        expect(not self._requests(phase), "a second build", f"asks for {sorted(self._requests(phase))[:5]}")
        told = self._json("verify", str(self._root))
        notes = [note for note in told["notes"] if "lost to damage" not in str(note)]
        expect(not told["problems"] and not notes, "verify", f"{told['problems'][:3]} {notes[:3]}")

    def _books(self, status: dict[str, Any]) -> None:
        expect(status["balanced"], "books", str([line for line in status["balance"] if not line["ok"]]))
        is_suppressed = self.asked.suppression or (self._root / _OWN_LIST).exists()
        for name in () if is_suppressed else self.asked.sources:
            taken, wanted = status["sources"][name]["curate"]["in"], self.asked.pairs(name)
            whole = ("sources.localized_narratives__coco", "split_sentences") in self.asked.options
            narrated = name == "localized_narratives__coco" and whole
            expect(narrated or taken == wanted, "books", f"{name}: curate took {taken} in, of {wanted}")

    def _lists(self) -> None:
        told = self._bench.told(functools.partial(claims.listed, str(self._root)))
        self._ever |= {*told["ids"]}
        wanted = self._ever - {*told["ids"]}
        expect({*told["withdrawn"]} == wanted, "withdrawn", f"{len(told['withdrawn'])} ids, of {len(wanted)}")
        kept = {*told["urls"]} & {*self.asked.takedown}
        expect(not kept, "takedown list", f"{sorted(kept)[:3]} are listed")
        unwanted = {*told["digests"]} & changes.unwanted(self.asked)
        expect(not unwanted, "evaluation, takedown list", f"{sorted(unwanted)[:3]} are listed")
        self._scored({*told["ids"]})
        samples = self._bench.told(functools.partial(claims.samples, str(self._root)))
        expect(len({tuple(found) for found in samples.values()}) == 1, "formats", "hold different samples")

    def _scored(self, listed: set[str]) -> None:
        pairs = self._pairs() if self.asked.scores else {}
        for number, one in enumerate(self.asked.scores):
            wrong = one.wrong({key: image for key, image in pairs.items() if key in listed})
            expect(not wrong, "scores", f"{one.keep} of {one.column}, {one.missing} ({number}): {wrong[:3]} are listed")

    def _end(self) -> None:
        """Compare with ROOTs that are built from nothing."""
        self._build()
        if self.asked.suppression:
            self._apply()
        self._proved()
        self._with_its_fetch()
        self._anew()

    def _with_its_fetch(self) -> None:
        """Build from nothing with the same fetch, and rows that cross the other way: everything is equal."""
        again = self._copied_fetch()
        other_way = None if _SHUFFLE in self.asked.options else '"engine"'
        asked = self.asked.with_options({_SHUFFLE: other_way})
        config, phase = self._bench.writer.write(asked, again, "again"), self._phase("again")
        ended = self._bench.pmd("build", str(config), phase=phase)
        expect(ended.code == 0, "with its fetch", ended.text[-1500:])
        expect(not self._requests(phase), "with its fetch", f"asks for {sorted(self._requests(phase))[:5]}")
        ours, theirs = (
            self._bench.told(functools.partial(claims.claimed, str(where))) for where in (self._root, again)
        )
        found = [line for line in claims.differences(ours, theirs) if not self._may_differ(line)]
        expect(not found, "with its fetch", "; ".join(found[:12]))
        samples = [self._bench.told(functools.partial(claims.samples, str(where))) for where in (self._root, again)]
        if self._is_patched:
            samples = [{form: sorted(of) for form, of in one.items()} for one in samples]
        expect(samples[0] == samples[1], "with its fetch", "other samples")

    def _copied_fetch(self) -> Path:
        """Return a new ROOT that has fetched what this one has, and knows what was taken down."""
        again = self._bench.folder / "again"
        for name in ("ledger", "store", "attempts", "hashes", "hosts"):
            if (self._root / "fetch" / name).exists():
                shutil.copytree(self._root / "fetch" / name, again / "fetch" / name, copy_function=shutil.copy2)
        for name in ("root.json", _OWN_LIST):
            if (self._root / name).exists():
                (again / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._root / name, again / name)
        return again

    def _may_differ(self, line: str) -> bool:
        """Return whether a difference is none.

        A source that was taken out stays curated, so that putting it back reads nothing. Shards that a takedown has patched have
        the places of before. What sources tell of rows that were kept out depends on when they were.
        """
        gone = (name for name in situations.SOURCES if name not in self.asked.sources)
        is_left = line.startswith(tuple(f"curate/source={name} is only in the old" for name in gone))
        is_patched = self._is_patched and line.startswith(("shards/webdataset", "shards/parquet"))
        is_suppressed = self.asked.suppression or (self._root / _OWN_LIST).exists()
        return is_left or is_patched or bool(is_suppressed and re.match(r"curate/.*: (hash|facts)", line))

    def _anew(self) -> None:
        """Build from nothing, of a web that gives again what it gave: the ledger says the same of each image."""
        there = self._standing()
        places: dict[str, str] = {}
        for key, image in there["images"].items():
            row = there["rows"][key]
            if row["status"] == "ok" and is_url(row["location"]):
                used = " ".join(route_of(row["location"]))
                places |= {" ".join(route_of(url)): used for url in image["places"] if is_url(url)}
        self._web.repeat(places)
        anew = self._bench.folder / "anew"
        self._bench.told(functools.partial(_create, str(anew)))
        if (self._root / _OWN_LIST).exists():
            (anew / "takedown").mkdir()
            shutil.copy2(self._root / _OWN_LIST, anew / "takedown")
        config = self._bench.writer.write(self.asked, anew, "anew")
        ended = self._bench.pmd("build", str(config), phase=self._phase("from nothing"))
        expect(ended.code == 0, "anew", ended.text[-1500:])
        fresh = self._bench.told(functools.partial(claims.standing, str(anew)))
        expect({*fresh["images"]} == {*there["images"]}, "anew", "other images")
        names = ("status", "sha256", "bytes", "width_px", "height_px")
        for key, image in there["images"].items():
            if not holding.is_asked_alike(there["rows"][key], image["places"]):
                continue
            ours, theirs = ([of[key][name] for name in names] for of in (there["rows"], fresh["rows"]))
            expect(ours == theirs, "anew", f"{image['identity']}: {ours}, and from nothing {theirs}")

    # Asking

    def _phase(self, name: str) -> str:
        self._phases += 1
        return f"{name} {self._phases}"

    def _requests(self, phase: str) -> set[tuple[str, str]]:
        return {(host, path) for of, host, path in self._web.asked() if of == phase}

    def _standing(self) -> dict[str, Any]:
        found: dict[str, Any] = self._bench.told(functools.partial(claims.standing, str(self._root)))
        self._identities |= {key: image["identity"] for key, image in found["images"].items()}
        return found

    def _current(self) -> dict[str, Any]:
        there = self._standing()
        return {key: there["rows"][key] for key in there["images"] if key in there["rows"]}

    def _ok(self, *words: str, phase: str = "other") -> str:
        ended = self._bench.pmd(*words, phase=phase)
        told = f"ends with {ended.code}: {ended.text[-1500:]}"
        expect(ended.code == 0 and not ended.traceback, " ".join(words[: 1 + (words[0] == "takedown")]), told)
        return ended.text

    def _json(self, *words: str) -> Any:
        return holding.parsed(self._ok(*words, "--json"))


def _create(root: str) -> None:
    from pmd.store import root as roots

    roots.create(root, _BITS)


def tried(bench: Bench, seed: int, steps: Sequence[Step], tell: Callable[[str], None]) -> str | None:
    """Go through a history; return what does not hold."""
    try:
        History(bench, seed).run(steps, tell)
    except holding.WrongError as error:
        return str(error)
    return None


def shrunk(bench: Bench, seed: int, steps: list[Step], wrong: str, until: float) -> list[int]:
    """Return the numbers of those steps of a history without which it does not fail in the same way."""
    left = [*range(len(steps))]
    for number in reversed(range(len(steps))):
        if time.monotonic() > until:
            break
        fewer = [one for one in left if one != number]
        found = tried(bench, seed, [steps[one] for one in fewer], lambda _: None)
        if found is not None and found.partition(":")[0] == wrong.partition(":")[0]:
            left = fewer
    return left


def _say(words: str) -> None:
    print(words, flush=True)


def main() -> None:
    """Draw histories, go through them, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", default="5-15")
    parser.add_argument("--keep", help="only these steps: numbers, separated by commas")
    parser.add_argument("--shrink", type=float, default=0.0, help="seconds for which a failing history is made shorter")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no history after so long")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="pmd-histories-"))).resolve()
    until = time.monotonic() + asked.seconds
    kills.warm()
    forkserver.set_forkserver_preload(["tests.warm"])
    forkserver.ensure_running()
    told: dict[str, Any] = {"histories": 0, "steps": 0, "failed": {}}
    with changing.opened() as web:
        bench = Bench(web, folder)
        for seed in range(asked.first, asked.first + asked.seeds):
            if time.monotonic() > until:
                break
            steps = drawn(seed, *map(int, asked.steps.split("-")))
            if asked.keep is not None:
                steps = [steps[int(number)] for number in asked.keep.split(",") if number]
            _say(f"seed {seed}: {len(steps)} steps")
            wrong = tried(bench, seed, steps, _say)
            told["histories"] += 1
            told["steps"] += len(steps)
            if wrong is not None:
                _say(f"WRONG seed {seed}: {wrong}")
                left = shrunk(bench, seed, steps, wrong, time.monotonic() + asked.shrink) if asked.shrink else []
                told["failed"][seed] = {"wrong": wrong.partition("\n")[0][:300], "steps": left}
        told["commands"] = dict(sorted(bench.commands.items()))
    if asked.folder is None:
        shutil.rmtree(folder)
    print(json.dumps(told))
    sys.exit(bool(told["failed"]))


if __name__ == "__main__":
    main()
