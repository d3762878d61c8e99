"""What a fetch has settled and what it has still to ask for, counted from the commits, a part's images in memory at a time."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.fetch.adoption import renamed
from pmd.fetch.ledger import partitions, state
from pmd.fetch.politeness import forecast
from pmd.inspection.plan import composition
from pmd.inspection.plan.composition import Composition
from pmd.schema.statuses import OK
from pmd.schema.tables import BARE_VIEWS, KEY
from pmd.store import register
from pmd.store.register import Register

#: Views that tell what shards make of images; parts are cut by hashes, so that the first ones are as good as any.
_VIEWS: Final = 100_000


@dataclasses.dataclass(frozen=True)
class Counted:
    """The committed images, and how far their fetch has come.

    Attributes:
        images: Distinct images.
        of_source: Source → images that it has, alone or with others.
        shards: Fetch shards with what the next fetch asks for.
        ok: Images that are there and not asked for again.
        settled: Images whose fetch has ended, whatever became of them, and that are not asked for again.
        composition: What shards make of them; None where there are none.
        exact: Whether that was seen of all of them.
    """

    images: int
    of_source: Mapping[str, int]
    shards: tuple[forecast.Shard, ...]
    ok: int
    settled: int
    composition: Composition
    exact: bool


def counted(config: Config) -> Counted:
    """Count the committed images and their ledger."""
    group_of = composition.group_of(config)
    layout = partitions.cut(config.root)
    known = register.current(config.root)
    of_source: Counter[str] = Counter()
    shards: dict[int, Counter[str]] = {}
    otherwise: dict[int, _Called] = {}
    images = ok = settled = 0
    seen: list[tuple[pa.Table, pa.Table]] = []
    seen_images = 0
    for part in range(2**layout.part_bits):
        mine = partitions.read_images(
            config.root, part, ("image_id", "identity", "locations", "sources", "has_region", "fetch_shard")
        )
        images += mine.num_rows
        of_source.update(mine["sources"].combine_chunks().flatten().to_pylist())
        if sum(views.num_rows for _, views in seen) < _VIEWS:
            views = partitions.read_views(config.root, part, BARE_VIEWS.names)
            seen.append((mine.select(["image_id", "has_region"]), views))
            seen_images += mine.num_rows
        for number in layout.shards(part):
            rows = mine.filter(pc.equal(mine["fetch_shard"], number)).select(["image_id", "identity", "locations"])
            if not rows.num_rows:
                continue
            ledger = state.standing(known.of(number))
            todo = state.to_fetch(known.of(number), rows, ledger, config.fetch)
            standing = ledger.filter(pc.is_in(ledger["image_id"], value_set=rows["image_id"].combine_chunks()))
            done = standing.filter(
                pc.invert(pc.is_in(standing["image_id"], value_set=todo["image_id"].combine_chunks()))
            )
            ok += pc.sum(pc.equal(done["status"], OK)).as_py() or 0
            settled += done.num_rows
            if todo.num_rows:
                shards[number] = Counter(composition.first_groups(todo["locations"], group_of))
                called = _called_otherwise(known, rows, todo)
                otherwise |= {number: called} if called is not None else {}
    _take_over(known, layout.shard_bits, shards, otherwise, group_of)
    schema = BARE_VIEWS.empty_table()
    described = pa.concat_tables([views for _, views in seen]) if seen else schema
    listed = pa.concat_tables([table for table, _ in seen]) if seen else pa.table({"image_id": [], "has_region": []})
    return Counted(
        images,
        of_source,
        tuple(forecast.Shard(number, counts, counts.pop("", 0)) for number, counts in shards.items()),
        ok,
        settled,
        composition.composition(listed, described, Asked.of(config, flow.SHARD.name)),
        seen_images == images,
    )


@dataclasses.dataclass(frozen=True)
class _Called:
    """Images of a fetch shard that are to be fetched, and have or had another identity by one of their places."""

    names: pa.Table  # `renamed.names_of`
    todo: pa.Table  # with the locations that are asked


def _called_otherwise(known: Register, rows: pa.Table, todo: pa.Table) -> _Called | None:
    """Return the images of `todo` that may stand in the ledger under another key, by all that is known of them in `rows`."""
    if not known.shards:
        return None
    names = renamed.names_of(rows.filter(pc.is_in(rows["image_id"], value_set=todo["image_id"].combine_chunks())))
    return _Called(names, todo.filter(pc.is_in(todo["image_id"], value_set=names["image_id"].combine_chunks())))


def _take_over(
    known: Register,
    shard_bits: int,
    shards: dict[int, Counter[str]],
    otherwise: Mapping[int, _Called],
    group_of: Callable[[str], str],
) -> None:
    """Count what the store has under another key as the store's, in place: each ledger is looked through once for all shards."""
    if not otherwise:
        return
    there = renamed.in_store(known, shard_bits, pa.concat_tables([called.names for called in otherwise.values()]))
    for number, called in otherwise.items():
        theirs = called.todo.filter(pc.is_in(called.todo["image_id"], value_set=there))
        shards[number].subtract(composition.first_groups(theirs["locations"], group_of))
        shards[number] += Counter({forecast.STORE: theirs.num_rows})  # which leaves out what is 0


def taken_over(known: Register, shard_bits: int, images: pa.Table) -> pa.Array:
    """Return those of some images that are to be fetched which the store has under another key: nobody is asked for them.

    A lane finds out whether the picture is whole and on no blocklist, else the web is asked after all.
    """
    names = renamed.names_of(images) if known.shards else None
    return pa.array([], KEY) if names is None else renamed.in_store(known, shard_bits, names)


@dataclasses.dataclass(frozen=True)
class Ledger:
    """What a ledger says whose images are to be found anew.

    Attributes:
        ok: Images that are there.
        settled: Images whose fetch has ended.
        known: Those of the images asked about whose fetch has ended.
        known_ok: … and that are there.
    """

    ok: int
    settled: int
    known: frozenset[bytes]
    known_ok: frozenset[bytes]


def ledger(root_url: str, images: Collection[bytes]) -> Ledger:
    """Return what the ledger says of all its images, and which of some it knows."""
    asked = pa.array(sorted(images), KEY)
    ok = settled = 0
    known: set[bytes] = set()
    known_ok: set[bytes] = set()
    standing = register.current(root_url)
    for shard in standing.shards:
        table = state.standing(standing.of(shard))
        there = table.filter(pc.equal(table["status"], OK))
        ok += there.num_rows
        settled += table.num_rows
        for rows, found in ((table, known), (there, known_ok)):
            ids = rows["image_id"]
            found.update(ids.filter(pc.is_in(ids, value_set=asked)).to_pylist())
    return Ledger(ok, settled, frozenset(known), frozenset(known_ok))
