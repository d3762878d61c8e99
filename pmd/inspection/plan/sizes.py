"""What is written, for the plan: the bytes of the store, samples, and shards with their bytes.

They are those of the commits where these are fresh, else as of what is stored or written already, else by a guess.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Final

from pmd import flow
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.fetch.ledger import state
from pmd.inspection.plan import estimates, picture_sizes
from pmd.inspection.plan.composition import Composition
from pmd.inspection.plan.estimates import Estimate, known
from pmd.inspection.plan.fresh import is_fresh
from pmd.inspection.plan.images import Images
from pmd.shard.samples import number_of_shards
from pmd.store import commits, register, root
from pmd.store.commits import Commit

#: Bytes of a photograph with its short side at 256 px, JPEG quality 95: mean of 80 of COCO's, by `pmd.codec`.
RESIZED_BYTES: Final = 47_000

#: Bytes of an original: COCO's archives of 2014, 20.16 GB of 123,287 photographs.
ORIGINAL_BYTES: Final = 163_000

#: A crop of a region, as JPEG: Visual Genome's regions are a small part of their photographs; a guess.
CROP_BYTES: Final = 12_000

#: What a picture is held to be between where none is stored yet, as parts of these means.
_PICTURES: Final = (0.5, 2.0)

#: Bytes beside a picture: in the store the tar's header and what fills its last block up, in a shard texts and headers, too.
_STORE_OVERHEAD: Final = 768
_SHARD_OVERHEAD: Final[Mapping[str, int]] = {"webdataset": 2_600, "parquet": 700}

#: How far the mean of so many pictures may be off for the others.
_MEASURED: Final = 0.1

#: How far samples an image may be off, told by other images or by the sizes that upstream says they have.
_LIKE: Final = 0.02

#: Images of 100 that are left when equal and nearly equal ones were merged: a guess.
_LEFT: Final = Estimate(0.98, 0.85, 1.0)


def store(config: Config, images: Images, fetched: Estimate, stored: Stored) -> tuple[dict[str, Estimate], str]:
    """Return the bytes of the store when all is fetched, by form; and what its mean picture is told by."""
    there = stored.bytes
    guesses = {form: _guessed_picture(config, images.composition, form) for form in ("resized", "original")}
    more = fetched.less(images.ok)
    if images.to_fetch.value == 0 and images.basis == "committed":
        chosen, basis = known(there), "committed"
    elif stored.pictures >= estimates.ENOUGH:
        chosen, basis = known(there) + more * estimates.within(there / stored.pictures, _MEASURED), "measured"
    else:
        chosen, basis = known(there) + more * guesses[config.fetch.store], "guess"
    others = {form: fetched * picture for form, picture in guesses.items()}
    return {**others, config.fetch.store: chosen}, basis


def _guessed_picture(config: Config, made: Composition, form: str) -> Estimate:
    """Return the bytes of a stored picture; images of which regions are cut are always kept as they came."""
    resized = _bytes(picture_sizes.relative_bytes(config.fetch.resizing)) if form == "resized" else ORIGINAL_BYTES
    mean = made.with_region * ORIGINAL_BYTES + (1 - made.with_region) * resized + _STORE_OVERHEAD
    return Estimate(mean, *(mean * factor for factor in _PICTURES))


def _bytes(relative: float) -> int:
    """Return bytes, given against `RESIZED_BYTES`."""
    return round(RESIZED_BYTES * relative)


@dataclasses.dataclass(frozen=True)
class Stored:
    """What the store holds already."""

    bytes: int
    pictures: int


def stored_by_now(root_url: str) -> Stored:
    """Return what the store holds."""
    size = pictures = 0
    standing = register.current(root_url)
    for shard in standing.shards:
        for generation in standing.of(shard):
            size += sum(file.bytes for file in generation.files if file.name.endswith(".tar"))
        ledger = state.standing(standing.of(shard))
        pictures += len(ledger) - ledger["store_file"].null_count
    return Stored(size, pictures)


@dataclasses.dataclass(frozen=True)
class Written:
    """Samples, and by format the shards and their bytes; what the samples and the bytes are told by."""

    samples: Estimate
    shards: Mapping[str, Estimate]
    bytes: Mapping[str, Estimate]
    basis: str
    bytes_basis: str


def shards(config: Config, images: Images, fetched: Estimate, stored: Stored) -> Written:
    """Return the samples and shards that come of what is there when all is fetched."""
    done = images.basis == "committed" and images.to_fetch.value == 0
    there = {form: commits.read(root.shards_folder(config.root, form)) for form in config.shard.formats}
    if done and is_fresh(config, flow.DEDUPE) and is_fresh(config, flow.SHARD):
        return _committed_shards({form: commit for form, commit in there.items() if commit is not None})
    asked = Asked.of(config, flow.SHARD.name)
    left, basis = _left_by_dedupe(config, fetched, stored, done=done)
    made = images.composition
    samples = left.scaled(made.samples)
    texts = config.dedupe.max_images_per_text is not None
    if not images.exact or made.crops or config.shard.unit == "pair" or texts:  # as of other images, or before pictures
        samples *= estimates.within(1.0, _LIKE)
    samples = samples.rounded()
    shards: dict[str, Estimate] = {
        form: Estimate(*(number_of_shards(math.ceil(size), asked) for size in dataclasses.astuple(samples)))
        for form in config.shard.formats
    }
    sizes: dict[str, Estimate] = {}
    measured = True
    for form, commit in there.items():
        rows = sum(file.rows for file in commit.files) if commit is not None else 0
        if commit is not None and rows >= estimates.ENOUGH:
            mean = estimates.within(sum(file.bytes for file in commit.files if file.rows) / rows, _MEASURED)
        else:
            mean, measured = _guessed_sample(config, made, form), False
        sizes[form] = samples * mean
    return Written(samples, shards, sizes, basis, "measured" if measured else "guess")


def _committed_shards(there: Mapping[str, Commit]) -> Written:
    samples = max(sum(file.rows for file in commit.files) for commit in there.values())
    return Written(
        known(samples),
        {form: known(sum(file.rows > 0 for file in commit.files)) for form, commit in there.items()},
        {form: known(sum(file.bytes for file in commit.files)) for form, commit in there.items()},
        "committed",
        "committed",
    )


def _left_by_dedupe(config: Config, fetched: Estimate, stored: Stored, *, done: bool) -> tuple[Estimate, str]:
    """Return the images that dedupe leaves: as committed, as of those that it has seen before, else by a guess."""
    commit = commits.read(root.dedupe_folder(config.root))
    if commit is not None:
        gone = sum(file.rows for file in commit.under("groups"))  # each image has one row
        if done and is_fresh(config, flow.DEDUPE):
            return fetched.less(known(gone)), "committed"
        if stored.pictures >= estimates.ENOUGH:  # about as many as dedupe has seen
            return fetched * estimates.share(max(stored.pictures - gone, 0), stored.pictures), "measured"
    merges = config.dedupe.same_bytes == "merge" or config.dedupe.near == "merge" or config.dedupe.repeated_bytes > 0
    return (fetched * _LEFT if merges else fetched), "guess"


def _guessed_sample(config: Config, made: Composition, form: str) -> Estimate:
    """Return the bytes of a sample: a picture, or the crop of a region, with its texts."""
    stored = None if config.fetch.store == "original" else picture_sizes.relative_bytes(config.fetch.resizing)
    in_shards = picture_sizes.in_shards(config)
    relative = stored if in_shards is None else in_shards
    picture = ORIGINAL_BYTES if relative is None else _bytes(relative)
    crops = made.crops / made.samples if made.samples else 0.0
    crop = CROP_BYTES * picture_sizes.encoded(config.shard.resizing)
    mean = crops * crop + (1 - crops) * picture + _SHARD_OVERHEAD[form]
    return Estimate(mean, *(mean * factor for factor in _PICTURES))
