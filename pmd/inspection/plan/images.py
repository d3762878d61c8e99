"""The images of all sources for the plan, how far their fetch has come, and how many of the rest are still there.

They are counted in the commits where these are fresh, else in the sources' files where all of these were read, else estimated.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import manifests
from pmd.config import Config
from pmd.fetch.politeness import forecast, hosts, shares
from pmd.fetch.politeness.forecast import Shard
from pmd.images.rules import fetch_shard_bits
from pmd.inspection.plan import composition, estimates, fetching
from pmd.inspection.plan.composition import Composition
from pmd.inspection.plan.estimates import Estimate, known
from pmd.inspection.plan.expected import Expected, SourceFigures
from pmd.inspection.plan.fetching import Counted, Ledger
from pmd.store import register, root

#: Images of 100 links that are still there, and between what: published rates for web images are 57 to 70 %; upstream's own
#: stores (COCO's, Visual Genome's, Open Images', YFCC100M's buckets, Wikimedia) keep nearly all.
_ALIVE: Final = Estimate(0.65, 0.4, 0.95)
_ALIVE_KEPT: Final = Estimate(0.98, 0.9, 1.0)


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of all sources, and how far their fetch has come.

    Attributes:
        basis: committed, counted (in files that were read whole), or estimated.
        images: All of them.
        shared: How many more the sources count together.
        of_source: Source → its images.
        shards: Fetch shards with what is to be asked for.
        to_fetch: These images.
        ok: Images that are there already.
        settled: Images whose fetch has ended.
        settled_ok: Those of them that are there.
        composition: What shards make of images.
        exact: Whether that was seen of all.
    """

    basis: str
    images: Estimate
    shared: Estimate
    of_source: Mapping[str, Estimate]
    shards: Sequence[Shard]
    to_fetch: Estimate
    ok: Estimate
    settled: int
    settled_ok: int
    composition: Composition
    exact: bool


def committed(counted: Counted, found: Sequence[SourceFigures]) -> Images:
    """Return the images that are committed, where their commits are fresh."""
    of_source = {item.name: known(counted.of_source.get(item.name, 0)) for item in found}
    todo = sum(sum(shard.images.values()) + shard.unasked for shard in counted.shards)
    return Images(
        "committed",
        known(counted.images),
        known(sum(counted.of_source.values()) - counted.images),
        of_source,
        counted.shards,
        known(todo),
        known(counted.ok),
        counted.settled,
        counted.ok,
        counted.composition,
        counted.exact,
    )


def _seen(config: Config, looked: Expected) -> Images:
    """Return the images where every one of them was seen."""
    assert looked.images is not None
    ids = looked.images["image_id"].combine_chunks()
    before = fetching.ledger(config.root, frozenset(ids.to_pylist()))
    left = looked.images.filter(pc.invert(pc.is_in(ids, value_set=pa.array(sorted(before.known), ids.type))))
    # Before ROOT is made nothing stands under another key.
    bits = int((root.identity(config.root) or {}).get("fetch_shard_bits", 0))
    there = fetching.taken_over(register.current(config.root), bits, left)
    of_host = composition.counts_of(left, composition.group_of(config), there)
    return Images(
        "counted",
        known(len(ids)),
        looked.shared,
        {item.name: item.images for item in looked.sources},
        list(_evenly(config, of_host, len(ids))),
        known(len(left)),
        known(len(before.known_ok)),
        before.settled,
        before.ok,
        looked.composition,
        exact=True,
    )


def estimated(config: Config, looked: Expected) -> Images:
    """Return the images that are expected of the sources' files: those that were seen, where all of them were."""
    if looked.images is not None:
        return _seen(config, looked)
    found = looked.sources
    images = estimates.total(item.images for item in found).less(looked.shared)
    before = fetching.ledger(config.root, frozenset().union(*(item.seen for item in found)))
    todo, ok = known(0), known(0)
    of_host: Counter[str] = Counter()
    for item in found:
        settled, there = _shares_of(before, item)
        own = item.images.scaled(looked.once[item.name])
        left = own * known(1).less(settled)
        todo += left
        ok += own * there
        for group, share in item.groups.items():
            of_host[group] += round(left.value * share)
    return Images(
        "estimated",
        images,
        looked.shared,
        {item.name: item.images for item in found},
        list(_evenly(config, of_host, images.value)),
        todo,
        ok,
        before.settled,
        before.ok,
        looked.composition,
        exact=False,
    )


def _shares_of(before: Ledger, item: SourceFigures) -> tuple[Estimate, Estimate]:
    """Return which share of a source's images are settled, and which are there."""
    counts = [len(item.seen & ids) for ids in (before.known, before.known_ok)]
    if not before.known or not item.seen:
        return known(0), known(0)
    whole = item.images.known and len(item.seen) == item.images.value
    settled, there = (
        known(count / len(item.seen)) if whole else estimates.share(count, len(item.seen)) for count in counts
    )
    return settled, there


def _evenly(config: Config, of_host: Mapping[str, int], images: float) -> Iterator[Shard]:
    """Yield the fetch shards that there will be: every host's images are spread evenly over them, since keys are hashes."""
    facts = root.identity(config.root) or {}
    count = 2 ** int(facts.get("fetch_shard_bits", fetch_shard_bits(round(images * config.sample))))
    for shard in range(count):
        of_shard = {group: shares.share(total, count, shard) for group, total in of_host.items()}
        unasked = of_shard.pop("", 0)
        counts = {group: total for group, total in of_shard.items() if total}
        if counts or unasked:
            yield Shard(shard, counts, unasked)


def share_alive(config: Config, images: Images, found: Sequence[SourceFigures]) -> tuple[Estimate, str]:
    """Return which share of what is to be fetched will be there: as of what was fetched, else a guess by its hosts."""
    if not images.to_fetch.value and images.basis == "committed":
        return known(1), "committed"
    if images.settled >= estimates.ENOUGH:
        return estimates.share(images.settled_ok, images.settled), "measured"
    named = hosts.named_groups(config.fetch.host_groups)
    known_of = [manifest.hosting for manifest in manifests.load_all().values() if manifest.hosting]
    keepers = {hosts.group_name(host, named) for hosting in known_of if hosting.kept for host in hosting.hosts}
    counts: Counter[str] = Counter()
    for shard in images.shards:
        counts.update(shard.images)
        counts[""] += shard.unasked
    all_of = counts.total()
    if not all_of:
        return known(1), images.basis
    by_kind = {
        known(1): counts[forecast.ARCHIVES] + counts[forecast.STORE],
        known(0): counts[""],
        _ALIVE_KEPT: sum(counts[name] for name in keepers),
    }
    by_kind[_ALIVE] = all_of - sum(by_kind.values())
    share = estimates.total(rate.scaled(count / all_of) for rate, count in by_kind.items())
    return share, "counted" if share.known else "guess"
