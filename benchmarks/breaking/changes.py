"""What people change between two builds: each takes a situation and a chance, and gives the situation of afterwards.

A change that does not apply (there is nothing to take out) gives what it was given, so a history may lose any of its steps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.breaking.situations import OWN, SOURCES, Situation, Source, encoded_of, rows_of, shuffled, some, world

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
    tuple(
        {("fetch", "store"): store, ("fetch", "short_side_px"): side, ("fetch", "encode_format"): form}
        for store, side, form in (
            (None, None, None),
            ('"original"', None, None),
            (None, "128", None),
            (None, None, '"webp"'),
        )
    ),
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
    ({("sources.yfcc100m", "min_words"): None}, {("sources.yfcc100m", "min_words"): "4"}),
    ({("sources.yfcc100m", "exclude_videos"): None}, {("sources.yfcc100m", "exclude_videos"): "false"}),
    ({("sources.wit", "drop_non_ascii"): None}, {("sources.wit", "drop_non_ascii"): "true"}),
    ({("sources.visual_genome", "exclude_karpathy"): None}, {("sources.visual_genome", "exclude_karpathy"): '"none"'}),
    (
        {("sources.coco", "exclude_karpathy"): None},
        {("sources.coco", "exclude_karpathy"): '"none"'},
        {("sources.coco", "exclude_karpathy"): '"test"'},
    ),
    (
        {("sources.localized_narratives__coco", "split_sentences"): None},
        {("sources.localized_narratives__coco", "split_sentences"): "false"},
    ),
    *(
        ({(f"sources.{name}", "images"): None}, {(f"sources.{name}", "images"): "[]"})
        for name in ("coco", "localized_narratives__coco", "localized_narratives__ADE20k")
    ),
    (
        {(f"sources.{OWN}", "image_licence"): None},
        {(f"sources.{OWN}", "image_licence"): '"CC0-1.0"'},
        {(f"sources.{OWN}", "image_licence"): '"CC-BY-2.0"'},
        {(f"sources.{OWN}", "image_licence"): '"LicenseRef-mine"'},
    ),
    ({(f"sources.{OWN}", "text_licence"): None}, {(f"sources.{OWN}", "text_licence"): '"CC0-1.0"'}),
    (
        {(f"sources.{OWN}", "redistribute"): None},
        {(f"sources.{OWN}", "redistribute"): '"text"'},
        {(f"sources.{OWN}", "redistribute"): '"ids"'},
    ),
    ({("card", "title"): None}, {("card", "title"): '"Another"'}),
    ({("card", "version"): None}, {("card", "version"): '"1.1.0"'}),
)

#: How work is done, which is nothing to what comes out: no stage is to run for it.
MANNERS: Final[tuple[tuple[dict[tuple[str, str], str | None], ...], ...]] = (
    ({("", "contact"): None}, {("", "contact"): '"mailto:others@example.org"'}),
    ({("fetch", "timeout_s"): None}, {("fetch", "timeout_s"): "20.0"}),
    ({("fetch", "concurrency"): None}, {("fetch", "concurrency"): "5"}),
    ({("fetch", "per_host"): None}, {("fetch", "per_host"): "{ requests_per_s = 3000, connections = 2 }"}),
    ({("engine", "shuffle"): None}, {("engine", "shuffle"): '"engine"'}),
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
    return _another(asked, chance, chance.choice(fitting))


def manner(asked: Situation, chance: random.Random) -> Situation:
    """Change how work is done."""
    return _another(asked, chance, chance.choice(MANNERS))


def _another(asked: Situation, chance: random.Random, values: Sequence[dict[tuple[str, str], str | None]]) -> Situation:
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
    """Give evaluation images, as a list of digests or as files, or none."""
    if asked.evaluation or asked.evaluated:
        return dataclasses.replace(asked, evaluation=(), evaluated=())
    names = sorted({name for _ in range(3) if world().images[name := _shown(asked, chance)].picture})
    if chance.random() < 0.5:
        return dataclasses.replace(asked, evaluated=tuple(names))
    return dataclasses.replace(asked, evaluation=tuple(sorted(map(_digest, names))))


def unwanted(asked: Situation) -> set[str]:
    """Return the digests of pictures that no list may have."""
    lines = {*asked.takedown, *asked.evaluation, *map(_digest, asked.evaluated)}
    return {line.removeprefix("sha256:") for line in lines if line.startswith("sha256:")}


def _shown(asked: Situation, chance: random.Random) -> str:
    """Return an image of a source."""
    source = chance.choice(sorted(asked.sources))
    outcomes = (outcome for number in asked.sources[source].rows for outcome in rows_of(source)[number].outcomes)
    return chance.choice(sorted({outcome.image for outcome in outcomes if outcome.image}))


def _digest(name: str) -> str:
    return f"sha256:{hashlib.sha256(encoded_of(name)).hexdigest()}"


def _named(asked: Situation, chance: random.Random) -> Sequence[str]:
    """Return how a drawn image of a source can be named: by an address, and by the digest of what is there."""
    name = _shown(asked, chance)
    image = world().images[name]
    return [*image.urls[:1], *([] if image.picture is None else [_digest(name)])]


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
