"""Takedown: what was asked for is purged from all that stands under ROOT, and kept out of what is built later.

First the suppression list is written, and from there on nothing but it says what must go: killed at any moment, the same
command finds what is left and does the rest. What was read and fetched is purged in place (`pmd.takedown.purge`). What is made of
it is made anew by its own stage, as in a build. Only shards in which nothing has changed stay as they are.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pipelines import build, fetch, hashes, refuse, running, shard
from pmd import escape, flow
from pmd.audit import labelling
from pmd.config import Config
from pmd.curate import needs as curate_needs
from pmd.engines import choosing
from pmd.fetch.ledger import asking
from pmd.publish import folder as publish_folder
from pmd.store import commits, leftovers, older, register, root, spools, storage, written
from pmd.store import lock as lock_state
from pmd.store.lock import Lock
from pmd.store.standing import Standing
from pmd.suppression import kept_out, lists
from pmd.takedown import matching, purge, receipts, requests
from pmd.takedown.purge import Purge

#: Told of what is about to be done, in words.
Say = Callable[[str], None]

_MADE: Final = "made anew, of what is left"


@dataclasses.dataclass(frozen=True)
class Applied:
    """What was done.

    Attributes:
        requests: The numbers of the requests.
        removed: Kind → count.
        ran: Units that were made anew.
        versions: Older versions that the bucket had kept, and that were deleted.
        left: What the bucket keeps still, in words.
        unmatched: The numbers of the requests that named no pair that stood here.
        again: Those of them that name what was taken down before.
        in_part: Of requests that named some, by number, what named none.
        without_hash: Pictures that are left, and of which nobody knows how they look.
        shared: SHA-256 of pictures that were named, and taken for a host's placeholder → images that have it too, and stay.
    """

    requests: tuple[int, ...]
    removed: Mapping[str, int]
    ran: tuple[tuple[str, str], ...]
    versions: int = 0
    left: tuple[str, ...] = ()
    unmatched: tuple[int, ...] = ()
    again: tuple[int, ...] = ()
    in_part: Mapping[int, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    without_hash: int = 0
    shared: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {
            "requests": list(self.requests),
            "removed": dict(self.removed),
            "ran": [{"stage": stage, "unit": unit} for stage, unit in self.ran],
            "versions": self.versions,
            "left": list(self.left),
            "unmatched": list(self.unmatched),
            "again": list(self.again),
            "in_part": {str(number): list(said) for number, said in self.in_part.items()},
            "without_hash": self.without_hash,
            "shared": dict(self.shared),
        }


def render(done: Applied) -> str:
    """Return what was done as people read it."""
    numbers = ", ".join(map(str, done.requests)) or "none"
    lines = [f"requests carried out: {numbers}"]
    lines += [f"  {kind} removed: {count:,}" for kind, count in sorted(done.removed.items())]
    lines += [f"  {stage} {unit}: {_MADE}" for stage, unit in done.ran]
    lines += [f"  older versions removed that the bucket had kept: {done.versions:,}"] if done.versions else []
    lines += [*_missed(done)]
    lines += [f"left: {escape.terminal(sentence)}" for sentence in done.left]
    return "\n".join([*lines, "to see that nothing is left: pmd takedown prove CONFIG WHAT…"])


def render_foretold(done: Applied) -> str:
    """Return what would be done as people read it."""
    lines = [f"requests that wait: {', '.join(map(str, done.requests)) or 'none'}"]
    lines += [f"  {kind} that would be removed: {count:,}" for kind, count in sorted(done.removed.items())]
    lines += [] if done.removed else ["  nothing would be removed"]
    return "\n".join([*lines, *_missed(done), "nothing was changed; to carry it out: pmd takedown apply CONFIG"])


def _missed(done: Applied) -> Iterator[str]:
    """Yield in words what may not have been found."""
    named = {number: " (taken down before)" if number in done.again else "" for number in done.unmatched}
    named |= {number: f" ({', '.join(map(escape.terminal, said))})" for number, said in done.in_part.items()}
    if named:
        of_nothing = ", ".join(f"{number}{said}" for number, said in sorted(named.items()))
        yield (
            f"named no pair that stood here when this began: {of_nothing}; kept out of what comes. "
            "See that each says what was meant: pmd explain ROOT WHAT"
        )
    for digest, count in sorted(done.shared.items()):
        yield (
            f"other images with the same bytes as a picture that was named, which stay: {count:,}. So many share only a host's "
            f"placeholder. To have them removed too: pmd takedown add CONFIG sha256:{digest}, then apply"
        )
    if done.requests and done.without_hash:
        those = "picture that is left has" if done.without_hash == 1 else "pictures that are left have"
        yield (
            f"{done.without_hash:,} {those} no perceptual hash: copies that were scaled or saved "
            "anew may be among them. To have them found: pmd takedown add CONFIG PHOTO, a file of the picture, then apply"
        )


def apply(
    config: Config,
    flags: Sequence[str] = (),
    say: Say = lambda words: None,
    today: Callable[[], datetime.date] = lambda: datetime.datetime.now(datetime.UTC).date(),
) -> Applied:
    """Carry out all requests that wait, and whatever suppression lists name. For ROOT's writer.

    Args:
        config: The configuration.
        flags: Beam's own flags.
        say: Told of each thing that is about to be done.
        today: Gives the day that the receipt tells.

    Raises:
        InputError: A stage that must be run lacks a file that it reads.
        RootError: The lock was lost.
    """
    lock = root.writing(config.root)
    curate_needs.refuse_lost_lists(lists.held(config))
    running.check(choosing.flags(config.engine, flags, config.root))
    asked = requests.read(config.root)
    standing = lists.standing(config.root, config.suppression)
    config = _of_its_sample(config)
    units = _committed(config, flags)
    if _go_by_looks(asked, config, standing):
        hash_stored(config, flags, say)
    say("looking for what is named")
    own = lists.read_own(config.root)
    matched, more, held = _named(config, asked, standing, own)
    receipt = receipts.begin(
        config.root,
        [request.number for request in asked],
        _purged(Purge(lock, held, is_dry=True), config),
        matched.unmatched,
        listed=commits.sha256(lists.to_bytes(more)),
        left=_left_of_killed(lock, config, own, standing),
    )
    _put_own(config.root, own, more)
    config = lists.held(config)
    say("purging what was read and fetched")
    told = curate_needs.told_of_own(config.root)
    _purged(Purge(lock, held, lists.digests(config.suppression), told), config)
    ran = _make_anew(units, config, flags, say)
    lock.check()
    leftovers.remove(config.root, lock.epoch, lock.check)
    spools.folder()  # of processes that were killed on this machine nothing is left where this one's is
    root.settle(config.root)  # what a receipt calls removed does not come back with a power cut
    done = receipts.end(config.root, receipt, today())
    requests.remove(config.root, {request.number for request in asked})
    receipts.close(config.root)
    say("deleting older versions that the bucket keeps")
    versions, left = _without_older(config.root, lock)
    receipts.note_kept(config.root, done, is_kept=bool(left))
    return Applied(
        done.requests,
        done.removed,
        ran,
        versions,
        left,
        unmatched=done.unmatched,
        again=matched.again,
        in_part=matched.in_part,
        without_hash=_without_hash(config.root) if asked else 0,
        shared=matched.shared_in_hex,
    )


def _put_own(root_url: str, own: lists.List, more: lists.List) -> None:
    """Write ROOT's own suppression list, where it is another now or not there; all that follows is decided by it alone."""
    path = lists.path_of(root_url)
    if more != own or not storage.exists(path):
        storage.put(path, lists.to_bytes(more), private=True)
        storage.sync_folders([path])


def _make_anew(units: Sequence[_Unit], config: Config, flags: Sequence[str], say: Say) -> tuple[tuple[str, str], ...]:
    """Make anew what is made of what was purged, as far as it stands; return which units were."""
    ran = tuple(unit.name for unit in units if _bring_up(unit.of(config), config, flags, say))
    build.retire(config, None, lambda step: say(f"{step.stage} {step.unit}: {step.why}"), Standing(config.root))
    if any(commits.read(root.publish_folder(config.root, name)) is not None for name in config.sources):
        publish_folder.write(config)
    return ran


def _left_of_killed(
    lock: Lock, config: Config, own: lists.List, standing: lists.Suppression
) -> Mapping[str, int] | None:
    """Return what is left of what an `apply` that was killed was about to remove; None: it had not begun to, or there is none."""
    killed = receipts.begun(config.root)
    if killed is None or killed.listed != commits.sha256(lists.to_bytes(own)):
        return None
    return _purged(Purge(lock, standing, is_dry=True), config)


def hash_stored(config: Config, flags: Sequence[str] = (), say: Say = lambda words: None) -> None:
    """Compute the perceptual hashes that stored pictures lack, so that they are known by their looks. For ROOT's writer."""
    if not _without_hash(config.root):
        return
    given = choosing.flags(config.engine, flags, config.root)
    running.check(given)
    say("hashing what is stored without a perceptual hash, since looks are asked for")
    hashes.build(config, given)


def _without_hash(root_url: str) -> int:
    """Return how many stored pictures have no perceptual hash."""
    is_there = commits.read(root.images_folder(root_url)) is not None
    return sum(asking.missing(Standing(root_url)).values()) if is_there else 0


def foretell(config: Config, say: Say = lambda words: None) -> Applied:
    """Count what `apply` would remove, and change nothing. For ROOT's writer; what has no hash is not known by its looks."""
    lock = root.writing(config.root)
    curate_needs.refuse_lost_lists(lists.held(config))
    asked = requests.read(config.root)
    standing = lists.standing(config.root, config.suppression)
    say("looking for what is named")
    matched, _, held = _named(config, asked, standing, lists.read_own(config.root))
    return Applied(
        tuple(request.number for request in asked),
        _purged(Purge(lock, held, is_dry=True), config),
        (),
        unmatched=matched.unmatched,
        again=matched.again,
        in_part=matched.in_part,
        without_hash=_without_hash(config.root) if asked else 0,
        shared=matched.shared_in_hex,
    )


def _named(
    config: Config, asked: Sequence[requests.Request], standing: lists.Suppression, own: lists.List
) -> tuple[matching.Matched, lists.List, lists.Suppression]:
    """Return what requests name here, ROOT's own list with it, and all lists that then hold."""
    kept = kept_out.standing(config.root, standing)
    matched = matching.resolve(config.root, asked, config.sources, _to_look_for(config.root, standing), kept)
    more = own.with_values(matched.values, matched.looks).with_entries(kept.entries_of(own.identity))
    return matched, more, lists.Suppression((more, *lists.read(lists.digests(config.suppression)).lists))


def _go_by_looks(asked: Sequence[requests.Request], config: Config, standing: lists.Suppression) -> bool:
    """Return whether pictures are to be known by their looks: a request names these or lets them be kept, or a list has some."""
    words = (requests.read_word(said, [*config.sources]) for request in asked for said in request.said)
    return (
        bool(standing.looks)
        or any(request.keeps_looks for request in asked)
        or any(word.named is not None and word.named.pdq is not None for word in words)
    )


def _to_look_for(root_url: str, standing: lists.Suppression) -> lists.Suppression:
    """Return the lists of which it is still to be found what is the same picture.

    An `apply` that was killed has found that of ROOT's own: looked for again, what is like a picture that is like the one that
    was asked for would go too, and at each kill one more. What it says of pictures that are nobody's holds still.
    """
    own = lists.own(root_url) if receipts.begun(root_url) is not None else None
    return dataclasses.replace(
        standing, lists=tuple(one.with_shared_alone() if one == own else one for one in standing.lists)
    )


def _of_its_sample(config: Config) -> Config:
    """Return a configuration with the sample that stands, which a build's command may have named: nothing more is built."""
    commit = commits.read(root.views_folder(config.root))
    sample = config.sample if commit is None else commit.run.get("options", {}).get("sample", config.sample)
    return dataclasses.replace(config, sample=int(sample))


def _without_older(root_url: str, lock: Lock) -> tuple[int, tuple[str, ...]]:
    """Delete what a bucket keeps of files that runs write; return how many versions, and what is left, in words.

    All go, not those of today's purge alone: killed after that, nobody would know which these were. Older versions of what
    people have put under ROOT are theirs, and stay.
    """
    found = older.found(root_url)
    if found.unlisted is not None:
        return 0, (found.unlisted,)
    mine = [one for one in found.versions if _is_ours(one.name)]
    left = older.remove(root_url, mine, lock.check)
    gone = {*mine} - {*older.found(root_url).versions} if mine else set()
    return sum(not one.is_marker for one in gone), tuple(left)


def _is_ours(name: str) -> bool:
    """Return whether runs write a file of this name, relative to ROOT."""
    folder, _, last = name.rpartition("/")
    if last == commits.STAGE_FILE:
        return written.is_home(folder)
    beside = (flow.RELEASE, flow.HOSTS, lists.FOLDER, root.WORK, labelling.FOLDER)
    return (
        written.home(name) is not None
        or name in {flow.REGISTER, lock_state.STATE_FILE, root.ROOT_FILE}
        or name.startswith(tuple(f"{top}/" for top in beside))
    )


def _purged(how: Purge, config: Config) -> Counter[str]:
    """Purge what was read and what was fetched, or count what would be."""
    removed = purge.curated(how, config.root)
    if not how.is_dry:
        register.begin(register.refreshed(register.read(config.root)), how.lock.epoch)
    removed += purge.generations(how, config.root, config.fetch) + purge.hosts(how, config.root)
    removed += purge.waves(how, config.root) + purge.labels(how, config.root)
    if not how.is_dry:  # what drivers have found out of all that stood may name what is gone
        now = dataclasses.replace(register.refreshed(register.read(config.root)), answers={})
        register.save(now, how.lock.epoch)
    return removed


@dataclasses.dataclass(frozen=True)
class _Unit:
    """A unit that is committed, and that is made anew where it is stale."""

    stage: flow.Stage
    unit: str

    @property
    def name(self) -> tuple[str, str]:
        return self.stage.name, self.unit

    def of(self, config: Config) -> build.Unit:
        """Return it as a build has it."""
        return build.Unit(self.stage, self.unit, config, lambda: None)


def _committed(config: Config, flags: Sequence[str]) -> list[_Unit]:
    """Return the units behind curate that are committed; what lacks what it reads is told before anything is changed."""
    found = []
    standing = Standing(config.root)
    for unit in build.units(config, sorted(config.sources), flags, lambda: standing):
        if unit.stage == flow.CURATE or not _is_committed(unit, standing):
            continue
        unit.wanted()
        found.append(_Unit(unit.stage, unit.unit))
    return found


def _is_committed(unit: build.Unit, standing: Standing) -> bool:
    """Return whether anything of a unit's stage stands."""
    chosen = {"source": unit.unit} if unit.stage.unit == "source" else {}
    return standing.commit(storage.join(standing.root, unit.stage.books.at(**chosen))) is not None


def _bring_up(unit: build.Unit, config: Config, flags: Sequence[str], say: Say) -> bool:
    """Make a unit anew, where it is stale; return whether it was."""
    if not any(item.why() for item in unit.wanted()):
        return False
    say(f"{unit.stage.name} {unit.unit}: {_MADE}")
    given = choosing.flags(config.engine, flags, config.root)
    if unit.stage == flow.FETCH:
        fetch.commit_rejected(config, given)  # what is pending is left to a build
    elif unit.stage == flow.SHARD:
        shard.patch(config, given)
    else:
        build.run_stage(unit.stage, config, [unit.unit], given)
    return True


if __name__ == "__main__":
    refuse("pmd takedown apply CONFIG -- FLAGS")
