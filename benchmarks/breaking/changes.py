"""What people change between two builds: each takes a situation and a chance, and gives the situation of afterwards.

A change that does not apply (there is nothing to take out) gives what it was given, so a history may lose any of its steps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.breaking.situations import Situation, Source, rows_of, shuffled, some, world
from pmd.demo.config import SOURCES
from pmd.demo.pictures import encoded

Change = Callable[[Situation, random.Random], Situation]

_MOST_SOURCES: Final = 5
_MOST_PIECES: Final = 3
_SHARES: Final = (0.4, 0.7, 1.0)

#: What an option may be: values that go together; None: its default.
CHOICES: Final[tuple[tuple[dict[tuple[str, str], str | None], ...], ...]] = (
    ({("", "profile"): None}, {("", "profile"): '"hub"'}, {("", "profile"): '"paper"'}),
    ({("", "seed"): None}, {("", "seed"): "7"}),
    ({("", "sample"): None}, {("", "sample"): "2"}),
    ({("curate", "duplicate_rows"): None}, {("curate", "duplicate_rows"): '"keep"'}),
    ({("images", "evaluation_copies"): None}, {("images", "evaluation_copies"): '"keep"'}),
    (
        {("licence", "image_allow"): None},
        {("licence", "image_allow"): '["NOASSERTION", "CC-BY-2.0"]'},
        {("licence", "image_allow"): '["CC-BY-2.0", "CC-BY-SA-2.0", "CC-BY-NC-2.0"]'},
    ),
    ({("fetch", "store"): None}, {("fetch", "store"): '"original"'}),
    ({("fetch", "lanes"): None}, {("fetch", "lanes"): "2"}),
    ({("dedupe", "near"): None}, {("dedupe", "near"): '"keep"'}, {("dedupe", "near"): '"merge"'}),
    ({("dedupe", "near_distance"): None}, {("dedupe", "near_distance"): "8"}),
    ({("dedupe", "same_bytes"): None}, {("dedupe", "same_bytes"): '"keep"'}, {("dedupe", "same_bytes"): '"merge"'}),
    ({("dedupe", "repeated_bytes"): None}, {("dedupe", "repeated_bytes"): "2"}, {("dedupe", "repeated_bytes"): "0"}),
    tuple(
        {
            ("dedupe", "near_texts"): near,
            ("dedupe", "max_images_per_text"): most,
            ("dedupe", "near_texts_action"): action,
        }
        for near, most, action in (
            (None, None, None),
            ("0.6", None, None),
            (None, "1", None),
            ("0.6", "1", '"cap"'),
            ("0.8", "2", '"cap"'),
        )
    ),
    tuple(
        {("shard", "formats"): value} for value in (None, '["webdataset"]', '["parquet"]', '["parquet", "webdataset"]')
    ),
    tuple(
        {("shard", "samples_per_shard"): size, ("shard", "shards"): count}
        for size, count in ((None, None), ("20", None), ("7", None), (None, "5"))
    ),
    ({("shard", "unit"): None}, {("shard", "unit"): '"pair"'}),
    ({("shard", "window"): None}, {("shard", "window"): "1"}),
    tuple(
        {("shard", "image_size"): size, ("shard", "encode_format"): form}
        for size, form in ((None, None), ("128", None), (None, '"webp"'))
    ),
    ({("shard", "min_side_px"): None}, {("shard", "min_side_px"): "300"}),
    ({("shard", "min_crop_px"): None}, {("shard", "min_crop_px"): "100"}),
    ({("shard", "max_aspect_ratio"): None}, {("shard", "max_aspect_ratio"): "1.4"}),
    ({("publish", "withheld_text"): None}, {("publish", "withheld_text"): '"include"'}),
    ({("audit", "text_sample"): None}, {("audit", "text_sample"): "10"}),
    ({("sources.red_caps", "text"): None}, {("sources.red_caps", "text"): '"raw_caption"'}),
    ({("sources.visual_genome", "regions"): None}, {("sources.visual_genome", "regions"): '"whole"'}),
    ({("sources.wit", "languages"): None}, {("sources.wit", "languages"): '["en", "de", "fr"]'}),
    ({("sources.yfcc100m", "detector"): None}, {("sources.yfcc100m", "detector"): '"any"'}),
    ({("sources.yfcc100m", "caption_fields"): None}, {("sources.yfcc100m", "caption_fields"): '"title"'}),
    (
        {("sources.coco", "exclude_karpathy"): None},
        {("sources.coco", "exclude_karpathy"): '"none"'},
        {("sources.coco", "exclude_karpathy"): '"test"'},
    ),
    (
        {("sources.localized_narratives__coco", "split_sentences"): None},
        {("sources.localized_narratives__coco", "split_sentences"): "false"},
    ),
)


def first(chance: random.Random) -> Situation:
    """Return the situation that a history begins with."""
    asked = Situation({})
    for _ in range(chance.choice((2, 3, 4))):
        asked = add_source(asked, chance)
    return asked if chance.random() < 0.5 else option(asked, chance)


def add_source(asked: Situation, chance: random.Random) -> Situation:
    """Add a source, or put one back."""
    left = sorted({*SOURCES} - {*asked.sources})
    if not left or len(asked.sources) >= _MOST_SOURCES:
        return asked
    name = chance.choice(left)
    return asked.with_source(name, Source(some(name, chance, chance.choice(_SHARES))))


def take_source_out(asked: Situation, chance: random.Random) -> Situation:
    """Take a source out; one stays."""
    if len(asked.sources) <= 1:
        return asked
    return asked.with_source(chance.choice(sorted(asked.sources)), None)


def _with_one(asked: Situation, chance: random.Random, change: Callable[[str, Source], Source]) -> Situation:
    name = chance.choice(sorted(asked.sources))
    return asked.with_source(name, change(name, asked.sources[name]))


def rows(asked: Situation, chance: random.Random) -> Situation:
    """Add rows to a source, or remove some; those that stay keep their order."""

    def change(name: str, one: Source) -> Source:
        wanted = {*some(name, chance, chance.choice(_SHARES))}
        stay = [number for number in one.rows if number in wanted]
        return dataclasses.replace(one, rows=(*stay, *sorted(wanted - {*stay})))

    return _with_one(asked, chance, change)


def order(asked: Situation, chance: random.Random) -> Situation:
    """Bring a source's rows into another order."""
    return _with_one(asked, chance, lambda name, one: dataclasses.replace(one, rows=shuffled(name, one.rows, chance)))


def files(asked: Situation, chance: random.Random) -> Situation:
    """Rename a source's files, cut them into several, or join them."""
    return _with_one(
        asked,
        chance,
        lambda _, one: dataclasses.replace(one, pieces=chance.randint(1, _MOST_PIECES), edition=one.edition + 1),
    )


def option(asked: Situation, chance: random.Random) -> Situation:
    """Change an option, maybe back to what it was."""
    fitting = [
        values
        for values in CHOICES
        if all(not table.startswith("sources.") or table[8:] in asked.sources for table, _ in values[0])
    ]
    values = chance.choice(fitting)
    others = [value for value in values if asked.with_options(value) != asked]
    return asked.with_options(chance.choice(others))


def back(asked: Situation, chance: random.Random) -> Situation:
    """Bring an option back to its default, with what goes with it."""
    changed = [values for values in CHOICES if any(key in asked.options for key in values[0])]
    return asked.with_options(chance.choice(changed)[0]) if changed else asked


def takedown_line(asked: Situation, chance: random.Random) -> Situation:
    """Put a picture on the takedown list, by its address or by its bytes, or take a line back."""
    if asked.takedown and chance.random() < 0.4:
        gone = chance.choice(asked.takedown)
        return dataclasses.replace(asked, takedown=tuple(line for line in asked.takedown if line != gone))
    found = _named(asked, chance)
    line = chance.choice(found) if found else None
    return asked if line is None else dataclasses.replace(asked, takedown=tuple(sorted({*asked.takedown, line})))


def evaluation(asked: Situation, chance: random.Random) -> Situation:
    """Give a list of evaluation images, or none."""
    if asked.evaluation:
        return dataclasses.replace(asked, evaluation=())
    digests = [line for _ in range(3) for line in _named(asked, chance) if line.startswith("sha256:")]
    return dataclasses.replace(asked, evaluation=tuple(sorted({*digests})))


def _named(asked: Situation, chance: random.Random) -> Sequence[str]:
    """Return how a drawn image of a source can be named: by an address, and by the digest of what is there."""
    source = chance.choice(sorted(asked.sources))
    kept = sorted(
        {
            outcome.image
            for number in asked.sources[source].rows
            for outcome in rows_of(source)[number].outcomes
            if outcome.image
        }
    )
    image = world().images[chance.choice(kept)]
    digest = [] if image.picture is None else [f"sha256:{hashlib.sha256(encoded(image.picture)).hexdigest()}"]
    return [*image.urls[:1], *digest]


def person_or_place(asked: Situation, chance: random.Random) -> str:
    """Return what somebody may ask to be forgotten: a picture by an address or its digest, a host, a person."""
    found = [
        *_named(asked, chance),
        "host:shop.example",
        "user:sbu_captions/20000001@N08",
        "user:yfcc100m/10000002@N00",
    ]
    weights = [3] * (len(found) - 3) + [1] * 3
    return chance.choices(found, weights)[0]


#: What people change, and how often beside each other.
CHANGES: Final[dict[str, tuple[Change, int]]] = {
    "add a source": (add_source, 4),
    "take a source out": (take_source_out, 3),
    "other rows": (rows, 4),
    "another order": (order, 2),
    "other files": (files, 2),
    "an option": (option, 8),
    "an option back": (back, 3),
    "a takedown line": (takedown_line, 2),
    "evaluation images": (evaluation, 1),
}
