"""Repair: make or fetch anew what damage has taken from a ROOT, just that, and what followed from it.

In the order of the flow: `root.json`; the units whose files are damaged, each by its own pipeline, which gives the same bytes
again; the generations of the fetch (`generations.mend`), and from the web what only the web has. A unit that was fresh before
and is stale then, because an image is gone for good or stands elsewhere, is run too; what was stale before is left to a build.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import build, fetch, images, refuse, running
from pmd import config, escape, flow
from pmd.config import Config
from pmd.engines import choosing
from pmd.errors import ConfigError, PmdError, RootError
from pmd.fetch.generations import mend
from pmd.fetch.generations.mend import Mended
from pmd.fetch.ledger import partitions, state
from pmd.inspection import damage
from pmd.inspection.damage import Damage
from pmd.publish import folder as publish_folder
from pmd.publish import withdrawn
from pmd.schema.tables import IMAGES
from pmd.store import commits, lock, register, root, sealed, storage
from pmd.store.register import Generation
from pmd.store.standing import Standing
from pmd.suppression import lists
from pmd.terminal import bar

#: Told of what is about to be done, in words.
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Repaired:
    """What a repair found and did.

    Attributes:
        damaged: What was damaged.
        mended: What became of the generations of the fetch.
        fetched: Images that were asked for anew, by what became of them.
        left_open: Images that no host answered for; the next fetch asks for them.
        ran: Units that were run, each with the reason.
        left: What is damaged still.
    """

    damaged: tuple[Damage, ...] = ()
    mended: Mended = dataclasses.field(default_factory=Mended)
    fetched: Mapping[str, int] = dataclasses.field(default_factory=dict)
    left_open: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ran: tuple[tuple[str, str, str], ...] = ()
    left: tuple[Damage, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {
            "damaged": [item.describe() for item in self.damaged],
            "generations": dataclasses.asdict(self.mended),
            "fetched": dict(self.fetched),
            "left_open": dict(self.left_open),
            "ran": [{"stage": stage, "unit": unit, "why": why} for stage, unit, why in self.ran],
            "left": [item.describe() for item in self.left],
        }


def render(done: Repaired) -> str:
    """Return what was found and done as people read it."""
    lines = [bar.amount(len(done.damaged), "damaged files") if done.damaged else "nothing is damaged"]
    lines += [
        f"  {escape.terminal(item.name)}\n"
        f"      expected: {escape.terminal(item.expected)}\n"
        f"      found:    {escape.terminal(item.found)}"
        for item in done.damaged
    ]
    if done.mended.tars:
        lines.append(f"files of the store written anew: {done.mended.tars:,}")
    if done.mended.rebuilt:
        lines.append(f"rows of the ledger made again from attempts and pictures: {done.mended.rebuilt:,}")
    if done.mended.attempts:
        lines.append(f"attempts that are lost, as their commit now says: {done.mended.attempts:,}")
    if done.mended.lost or done.fetched or done.left_open:
        asked = ", ".join(f"{count:,} {status}" for status, count in done.fetched.items()) or "none"
        lines.append(f"images lost: {done.mended.lost:,}; fetched anew: {asked}")
    if done.left_open:
        lines.append(f"images that no host answered for: {sum(done.left_open.values()):,}; run: pmd fetch CONFIG")
    lines += [f"{stage} {unit}: {why}" for stage, unit, why in done.ran]
    lines += [f"still damaged: {escape.terminal(item.name)}" for item in done.left]
    return "\n".join(lines)


def last_configuration(root_url: str) -> str | None:
    """Return the path of the configuration of the run that wrote to ROOT last, or None where ROOT does not say.

    To be asked before one becomes the writer oneself.
    """
    try:
        last = lock.read(root_url).last
    except RootError:  # damaged
        return None
    return last.config if last is not None else None


def _load(root_url: str, path: str | None) -> Config:
    if path is None or not storage.exists(path):
        raise ConfigError(
            "no configuration to repair by",
            where=root_url,
            expected="the configuration that ROOT was built with",
            found="none that ROOT names" if path is None else f"{path}, which is not there",
            remedy="run: pmd repair ROOT --config CONFIG",
        )
    return lists.held(dataclasses.replace(config.load(path), root=root_url))


def require(root_url: str) -> None:
    """Raise where there is no ROOT; one that has lost its `root.json` can be repaired.

    Raises:
        RootError: There is none.
    """
    if not storage.exists(storage.join(root_url, root.ROOT_FILE)) and not state.shards(root_url):
        root.require(root_url)


def repair(
    root_url: str,
    path: str | None,
    *,
    progress: damage.Progress | None = None,
    say: Say = lambda words: None,
    flags: Sequence[str] = (),
) -> Repaired:
    """Find what is damaged, and mend it.

    Args:
        root_url: ROOT.
        path: Of the configuration that it was built with; None: nobody knows, and it must not be needed.
        progress: Told how far the search is.
        say: Told of each thing that is about to be done.
        flags: Beam's own flags.

    Raises:
        ConfigError: There is no configuration to repair by.
        InputError: A stage that must be run anew lacks a file that it reads.
        RootError: No ROOT, or somebody writes to it.
    """
    require(root_url)
    with contextlib.suppress(PmdError):  # damaged: it is among what the survey tells
        register.keep(register.refreshed(register.read(root_url)), root.writing(root_url).epoch)
    damaged = _with_root_file(root_url, damage.survey(root_url, progress))
    if not damaged and not _lost(root_url):
        return Repaired()
    return _Repair(_load(root_url, path), damaged, say, flags).run()


def _with_root_file(root_url: str, damaged: list[Damage]) -> list[Damage]:
    """Return what is damaged, and a `root.json` that is gone, where something was fetched and no other file says what it said."""
    if any(item.name == root.ROOT_FILE for item in damaged) or root.identity(root_url) is not None:
        return damaged
    lost = [Damage("", root.ROOT_FILE, "how the fetch is cut", "nothing")] if state.shards(root_url) else []
    return [*damaged, *lost]


def _lost(root_url: str) -> list[int]:
    """Return the fetch shards that have lost images for which nothing stands."""
    lost = []
    for shard, known in _generations(root_url):
        try:
            if any(len(state.lost_images(generation)) for generation in known):
                lost += [shard] if state.to_restore(known, state.standing(known)) else []
        except PmdError:  # damaged: it is among what the survey tells
            continue
    return lost


def _generations(root_url: str) -> Iterator[tuple[int, tuple[Generation, ...]]]:
    """Yield each fetch shard with its generations; where a commit is damaged, those of the shards that have none such."""
    try:
        known = register.current(root_url)
    except PmdError:
        for shard in state.shards(root_url):
            with contextlib.suppress(PmdError):
                yield shard, state.own(root_url, shard)
        return
    for shard in known.shards:
        yield shard, known.of(shard)


def _sound_pairs(root_url: str) -> Iterator[str]:
    """Yield the files of pairs that can be read: those that are damaged are made again later."""
    for name in storage.list_names(storage.join(root_url, flow.PAIRS.above)):
        folder = storage.join(root_url, flow.PAIRS.above, name)
        with contextlib.suppress(PmdError):
            commit = commits.read(folder)
            for file in () if commit is None else commit.under("pairs"):
                path = storage.join(folder, file.name)
                if sealed.measured(path) == (file.bytes, file.sha256):
                    yield path


class _RejectedOnly(build.Unit):
    """The fetch without what is pending: only its rejected pairs."""

    def why(self, standing: Standing | None = None) -> str | None:
        return next((why for item in self.wanted() if (why := item.why(standing)) is not None), None)


class _Repair:
    def __init__(self, chosen: Config, damaged: Sequence[Damage], say: Say, flags: Sequence[str]) -> None:
        self._config, self._damaged, self._say = chosen, damaged, say
        self._flags = choosing.flags(chosen.engine, flags, chosen.root)
        running.check(self._flags)
        self._root = chosen.root
        self._ran: list[tuple[str, str, str]] = []

    def run(self) -> Repaired:
        self._mend_root()
        fresh = dict(self._freshness())
        mended, fetched, left_open = Mended(), Counter[str](), Counter[str]()
        for unit in self._units():
            if unit.stage == flow.FETCH:
                mended = self._mend_generations()
                left_open = Counter(self._restore(fetched))
            self._bring_up(unit, fresh.get(unit.name))
        self._mend_release()
        left = damage.survey(self._root, only={item.folder for item in self._damaged})
        return Repaired(tuple(self._damaged), mended, dict(fetched), dict(left_open), tuple(self._ran), tuple(left))

    def _units(self) -> Iterable[build.Unit]:
        settle = functools.partial(
            fetch.commit_rejected, self._config, self._flags
        )  # what is pending is left to a build
        for unit in build.units(self._config, sorted(self._config.sources), self._flags):
            yield _RejectedOnly(unit.stage, unit.unit, unit.config, settle) if unit.stage == flow.FETCH else unit

    def _freshness(self) -> Iterator[tuple[tuple[str, str], bool | None]]:
        """Yield `_is_fresh` of each unit, up to a damaged commit that would say which units follow."""
        # Where a generation's commit cannot be read, the ledger is another one to whoever asks, and nothing is told by that.
        unknown = any(item.is_fetched and item.name.endswith(f"/{commits.STAGE_FILE}") for item in self._damaged)
        with contextlib.suppress(PmdError):
            for unit in self._units():
                fresh = _is_fresh(unit)
                yield unit.name, None if unknown and not fresh else fresh

    def _mend_root(self) -> None:
        """Write `root.json` anew, from what the commits of the images say or, like a build, from what was fetched and curated."""
        if not any(item.name == root.ROOT_FILE for item in self._damaged):
            return
        self._say(f"{root.ROOT_FILE}: written anew")
        if root.restored(self._root) is None:
            storage.remove(storage.join(self._root, root.ROOT_FILE))
            images.choose_cut(self._root, _generations(self._root), [*_sound_pairs(self._root)])
        self._ran.append(("root", "all", "damaged"))

    def _mend_release(self) -> None:
        """Write what is damaged of the release anew: it is made of the lists, but for the list of what has left.

        Raises:
            VerificationError: That one is damaged, and nothing else knows what had left before.
        """
        mine = [item for item in self._damaged if item.folder == flow.RELEASE]
        for item in mine:
            if not item.name.endswith(f"/{withdrawn.FILE}"):
                storage.remove(storage.join(self._root, item.name))  # what is there is not written again
        if mine:
            self._say(f"{flow.RELEASE}: what is damaged is written anew")
            # Its checksums are written anew in any case: cut short, they do not tell what they lack.
            storage.remove(storage.join(self._root, flow.RELEASE, publish_folder.SUMS))
            publish_folder.write(self._config)
            self._ran.append((flow.RELEASE, "all", "damaged: made anew"))

    def _bring_up(self, unit: build.Unit, was_fresh: bool | None) -> None:
        mine = [item for item in self._damaged if item.unit == unit.name and not item.is_fetched]
        why = None
        committed = False
        if not mine:
            try:
                committed = all(commits.read(item.folder) is not None for item in unit.wanted())
                why = unit.why() if committed else None
            except PmdError:  # what it would need is not here; it is not damaged
                return
        if not damage.must_run(damaged=bool(mine), committed=committed, was_fresh=was_fresh, why=why):
            return
        unit.wanted()  # what it reads is there: else what is left of its files stays for who puts that back
        reason = why or "damaged: made anew"
        self._say(f"{unit.stage.name} {unit.unit}: {reason}")
        for item in mine:  # a file of that name would be taken for written
            storage.remove(storage.join(self._root, item.name))
        start = time.monotonic()
        unit.run()
        self._ran.append((*unit.name, reason))
        self._say(f"{unit.stage.name} {unit.unit}: {time.monotonic() - start:.1f} s")

    def _mend_generations(self) -> Mended:
        mended = Mended()
        fetched = sorted({item.generation for item in self._damaged if item.is_fetched})
        epoch = root.writing(self._root).epoch
        if fetched:
            register.begin(register.read(self._root), epoch)
        for shard, number in fetched:
            self._say(f"fetch shard {shard}, generation {number}: mending")
            mended += mend.mend(self._root, shard, number, self._images(shard), self._config.fetch, epoch)
        if fetched:
            with contextlib.suppress(PmdError):  # damaged still: the register says that it is not up to date
                register.save(register.refreshed(register.read(self._root)), epoch)
        return mended

    def _images(self, shard: int) -> pa.Table:
        if commits.read(root.views_folder(self._root)) is None:
            return IMAGES.empty_table()
        return partitions.read_shard(self._root, shard)

    def _restore(self, fetched: Counter[str]) -> Mapping[str, int]:
        """Fetch what was lost; count what became of it, and return what stays open."""
        shards = _lost(self._root)
        wanted: dict[int, pa.Array] = {}
        for shard in shards:
            known = state.own(self._root, shard)
            lost = state.to_restore(known, state.standing(known))
            mine = self._images(shard)["image_id"]
            wanted[shard] = mine.filter(pc.is_in(mine, value_set=pa.array(list(lost), mine.type)))
        shards = [shard for shard in shards if len(wanted[shard])]
        if not shards:
            return {}
        self._say(f"{bar.amount(sum(len(wanted[shard]) for shard in shards), 'images')}: fetched anew")
        left_open = fetch.restore(self._config, shards, self._flags)
        for shard in shards:
            ledger = state.read_ledger(self._root, shard)
            fetched.update(ledger.filter(pc.is_in(ledger["image_id"], value_set=wanted[shard]))["status"].to_pylist())
        return left_open


def _is_fresh(unit: build.Unit) -> bool | None:
    """Return whether a unit's commit is that of today's options and inputs; None where that cannot be told."""
    try:
        return unit.why() is None
    except PmdError:
        return None


if __name__ == "__main__":
    refuse("pmd repair ROOT")
