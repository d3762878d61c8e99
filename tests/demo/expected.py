"""What must come of the demo, stage by stage, in profile `recommended`.

It is read off the outcomes that the rows were written with (`pmd.demo.world`), never off a run.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pmd.demo.web import Route
from pmd.demo.world import DemoImage, Outcome, Row, World
from pmd.schema.statuses import OK

#: As `_stage.json` has them: {"in": n, "kept": n, "rejected": {reason: n}}.
SourceBooks = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Expected:
    """What must come of the demo. Books count pairs.

    Attributes:
        curate: Source → books after curate.
        fetch: Source → books after fetch: all that curate kept, and the statuses in which its images end.
        dedupe: Source → books after dedupe. Pairs of images with the same bytes are kept, with one image for all.
        shard: Source → books after views are cut.
        texts: Source → text of every pair that curate keeps, sorted.
        images: Every distinct image: status, URLs and archive members. Their number is that of the `images` table.
        statuses: URL, as rows spell it, or base name of a file in an archive → the image's status.
        same_bytes: Names of images whose bytes are the same and that become one, group by group.
        repeated_bytes: Names of the images that are one placeholder picture.
        samples: Number of samples for `unit = "image"`: distinct views.
        pairs: Number of pairs in the shards: samples for `unit = "pair"`.
        never_requested: (host, path) that the web must never see.
        may_repeat: (host, path) that it may see more than once; nothing else, less robots.txt and the like.
    """

    curate: Mapping[str, SourceBooks]
    fetch: Mapping[str, SourceBooks]
    dedupe: Mapping[str, SourceBooks]
    shard: Mapping[str, SourceBooks]
    texts: Mapping[str, tuple[str, ...]]
    images: Mapping[str, DemoImage]
    statuses: Mapping[str, str]
    same_bytes: tuple[frozenset[str], ...]
    repeated_bytes: frozenset[str]
    samples: int
    pairs: int
    never_requested: frozenset[Route]
    may_repeat: frozenset[Route]


def expected(world: World, *, repeated_bytes: int = 10) -> Expected:
    """Return what must come of a world.

    Args:
        world: The world.
        repeated_bytes: Images whose bytes this many share are placeholders: the stage's option of that name.
    """
    groups = _groups(world.images.values())
    placeholders = frozenset[str]().union(*(group for group in groups if len(group) >= repeated_bytes))
    merged = tuple(group for group in groups if len(group) < repeated_bytes)

    def fetched(outcome: Outcome) -> str | None:
        status = _image(world, outcome).status
        return None if status == OK else status

    def deduplicated(outcome: Outcome) -> str | None:
        return "repeated_bytes" if outcome.image in placeholders else None

    pairs = [(row, outcome) for row in world.rows for outcome in row.outcomes]
    curate = _books(pairs, lambda outcome: outcome.reason)
    texts: dict[str, list[str]] = {row.source: [] for row in world.rows}
    pairs = [(row, outcome) for row, outcome in pairs if outcome.reason is None]
    for row, outcome in pairs:
        texts[row.source].append(str(outcome.text))
    fetch = _books(pairs, fetched)
    pairs = [(row, outcome) for row, outcome in pairs if fetched(outcome) is None]
    dedupe = _books(pairs, deduplicated)
    pairs = [(row, outcome) for row, outcome in pairs if deduplicated(outcome) is None]
    shard = _books(pairs, lambda outcome: outcome.shard_reason)
    pairs = [(row, outcome) for row, outcome in pairs if outcome.shard_reason is None]
    one_of = {name: min(group) for group in merged for name in group}
    views = {(one_of.get(str(outcome.image), outcome.image), _box(row)) for row, outcome in pairs}
    return Expected(
        curate=curate,
        fetch=fetch,
        dedupe=dedupe,
        shard=shard,
        texts={source: tuple(sorted(mine)) for source, mine in texts.items()},
        images=world.images,
        statuses=dict(_statuses(world.images.values())),
        same_bytes=merged,
        repeated_bytes=placeholders,
        samples=len(views),
        pairs=len(pairs),
        never_requested=world.never_requested,
        may_repeat=world.may_repeat,
    )


def _image(world: World, outcome: Outcome) -> DemoImage:
    return world.images[str(outcome.image)]


def _groups(images: Iterable[DemoImage]) -> tuple[frozenset[str], ...]:
    by_bytes: dict[str, set[str]] = {}
    for image in images:
        if image.same_bytes is not None:
            by_bytes.setdefault(image.same_bytes, set()).add(image.name)
    return tuple(frozenset(group) for group in by_bytes.values())


def _books(pairs: Iterable[tuple[Row, Outcome]], reason_of: Any) -> dict[str, SourceBooks]:
    kept: Counter[str] = Counter()
    rejected: dict[str, Counter[str]] = {}
    for row, outcome in pairs:
        reason = reason_of(outcome)
        lost = rejected.setdefault(row.source, Counter())
        if reason is None:
            kept[row.source] += 1
        else:
            lost[reason] += 1
    return {
        source: {"in": kept[source] + lost.total(), "kept": kept[source], "rejected": dict(sorted(lost.items()))}
        for source, lost in sorted(rejected.items())
    }


def _box(row: Row) -> tuple[int, ...] | None:
    """Return the region that a row speaks of, in upstream's pixels; None: the whole image."""
    if row.source != "visual_genome":
        return None
    return tuple(row.record[name] for name in ("x", "y", "width", "height"))


def _statuses(images: Iterable[DemoImage]) -> Iterator[tuple[str, str]]:
    for image in images:
        for place in (*image.urls, *image.file_names):
            yield place, image.status
