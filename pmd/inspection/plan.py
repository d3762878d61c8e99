"""Plan: what a build will read, fetch, store and write, and how long its hosts make it wait, before anything runs.

What is committed is counted. What is not is estimated: a source's rows by a bounded sample of its own files, what is fetched by
what was fetched already, and only what nothing tells by what was published or is assumed; each figure says which, and between
what it is expected to be. Nothing is asked of the web. Hours are `pmd.fetch.politeness.forecast`'s, what people read is
`pmd.inspection.plan_text`'s.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow, manifests, stages
from pmd.config import Config, inputs
from pmd.config.asked import Asked
from pmd.errors import InputError, RootError
from pmd.fetch.ledger import asking, state
from pmd.fetch.politeness import forecast, hosts
from pmd.fetch.politeness.forecast import Forecast, Shard
from pmd.images.rules import fetch_shard_bits
from pmd.inspection import estimates, expected, fetching, picture_sizes, sampling
from pmd.inspection.estimates import Estimate, known
from pmd.inspection.expected import Composition, Expected, SourceFigures
from pmd.inspection.fetching import Counted, Ledger
from pmd.manifests.select import human_bytes
from pmd.shard.samples import number_of_shards
from pmd.store import commits, register, root
from pmd.store.commits import Commit
from pmd.store.standing import Standing
from pmd.suppression import lists

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

#: Images that a fetch must have settled, or samples that a shard must hold, to tell of the others.
_ENOUGH: Final = 30
#: How far the mean of so many pictures may be off for the others.
_MEASURED: Final = 0.1

#: How far samples an image may be off, told by other images or by the sizes that upstream says they have.
_LIKE: Final = 0.02

#: Images of 100 links that are still there, and between what: published rates for web images are 57 to 70 %; upstream's own
#: stores (COCO's, Visual Genome's, Open Images', YFCC100M's buckets, Wikimedia) keep nearly all.
_ALIVE: Final = Estimate(0.65, 0.4, 0.95)
_ALIVE_KEPT: Final = Estimate(0.98, 0.9, 1.0)
#: Images of 100 that are left when equal and nearly equal ones were merged: a guess.
_LEFT: Final = Estimate(0.98, 0.85, 1.0)

ASSUMPTIONS: Final = (
    f"{forecast.IMAGE_S:g} s that an image keeps a connection: four round trips of 90 ms (across the Atlantic, by Verizon's "
    "service level agreement), which 163 kB take from TCP's first window",
    f"{forecast.LANE_IMAGES_PER_S:g} images a second decoded and resized in a lane with a core of its own "
    "(docs/benchmarks/pictures.md: 520 in two)",
    "the first location of each image has it, no host asks for patience; robots.txt and redirects not counted",
)
#: More of them where nothing tells of …
_OF_PICTURES: Final = (
    f"{human_bytes(ORIGINAL_BYTES)} an original (COCO's archives: 20.16 GB of 123,287 photographs), "
    f"{human_bytes(RESIZED_BYTES)} a picture with its short side at 256 px, JPEG quality 95 (mean of 80 of COCO's; other sizes "
    f"by area, modes and formats by the mean of the same 80), "
    f"{human_bytes(CROP_BYTES)} a crop of a region: a guess, half or twice as much"
)
_OF_LINKS: Final = (
    "of 100 links 65 have their image (40 to 95: published rates for web images are 57 to 70), of those to upstream's own "
    "stores 98 (90 to 100)"
)
_OF_COPIES: Final = "of 100 images that are there 98 are left when copies are merged (85 to 100): a guess"
_OF_HOSTS: Final = (
    "of sources whose files are not there: images as often shared as published; RedCaps' in equal parts on Reddit, Imgur and "
    "Flickr; hosts of Conceptual Captions, Conceptual 12M: none holds a lane up; no image in two sources"
)
_OF_ADOPTED: Final = (
    "what `adopt` names is not looked into: images that it has are counted as to fetch, and will take no time"
)
_OF_SAMPLES: Final = (
    f"what was not read of annotation files is like what was: {sampling.WINDOWS} places of {sampling.WINDOW_BYTES >> 10} kB of "
    f"plain lines, {sampling.BLOCKS} blocks of bzip2, the first rows in {sampling.DOCUMENTS} documents of what must be read "
    "from its start; rows that repeat each other further apart are not seen"
)


@dataclasses.dataclass(frozen=True)
class _Images:
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


def plan(config: Config) -> dict[str, Any]:
    """Return what a build will read, fetch, write and wait for.

    Files that are not there yet are told, and planned for as if they were upstream's.

    Returns:
        ``sources``: per source input bytes, rows, pairs, images, what these are told by (``basis``), what is missing or
        unreadable. ``rows``, ``pairs``, ``images``: of all, the sums of the sources' but for ``shared_images``, which several
        sources have. ``to_fetch``; ``fetched``: images that are there in the end; ``fetch``: `Forecast`, with what decides as
        ``slowest``; ``hashes``: who asks for perceptual hashes (None: nobody), how many are computed with the fetch, and how
        many of what is stored; ``disk``: bytes of store and shards, by store form; ``samples``; ``shards``; ``assumptions``.
        ``ranges``, beside figures: name → between what each of them is expected; a figure without one is known. ``basis``:
        where figures come from. JSON-able.

    Raises:
        ConfigError: There are more lanes than a host's limits have shares.
        InputError: A list that `[fetch]` names is missing, or none.
        RootError: No build could stand where ROOT is to be.
    """
    root.refuse_others_folders(config.root)
    config = lists.held(config)
    fresh = _fresh(config, flow.IMAGES)
    if fresh:
        found: Sequence[SourceFigures] = expected.booked(config)
        images = _committed_images(fetching.counted(config), found)
    else:
        looked = expected.figures(config)
        found, images = looked.sources, _estimated_images(config, looked)
    fetch = forecast.forecast(images.shards, config.fetch)
    alive, alive_basis = _alive(config, images, found)
    fetched = (images.ok + images.to_fetch * alive).rounded()
    stored = _stored(config.root)
    pictures, pictures_basis = _store(config, images, fetched, stored)
    written = _written(config, images, fetched, stored)
    sources = [_described(item, images.of_source[item.name]) for item in found]
    totals = _totals(images, found, fetched, written.samples)
    store = {form: size.rounded() for form, size in pictures.items()}
    shard_bytes = {form: size.rounded() for form, size in written.bytes.items()}
    disk = _ends_rounded(store[config.fetch.store] + estimates.total(shard_bytes.values()))
    return {
        "root": config.root,
        "profile": config.profile,
        "sample": config.sample,
        "sources": sources,
        "input_bytes": sum(item.input_bytes for item in found),
        "read_rows": sum(item.read_rows for item in found),
        **{name: _number(estimate) for name, estimate in totals.items()},
        "ranges": _ranges(totals),
        "images_basis": images.basis,
        "basis": {
            "to_fetch": images.basis,
            "fetched": alive_basis,
            "store": pictures_basis,
            "samples": written.basis,
            "shards": written.bytes_basis,
        },
        "fetch": _fetch(fetch, images),
        "hashes": _hashes(config, fetch, counted=images.basis == "committed"),
        "disk": {
            "store": {form: _number(size) for form, size in store.items()},
            "chosen": config.fetch.store,
            "shards": {form: _number(size) for form, size in shard_bytes.items()},
            "total": _number(disk),
            "there": stored.bytes,
            "ranges": _ranges({**store, "total": disk}) | {"shards": _ranges(shard_bytes)},
        },
        "shards": {form: _number(count) for form, count in written.shards.items()},
        "shards_ranges": _ranges(written.shards),
        "assumptions": [
            *(ASSUMPTIONS if fetch.hosts else ()),
            *([_OF_ADOPTED] if fetch.hosts and config.fetch.adopt else ()),
            *_guesses(found, fetched, images.to_fetch if alive_basis == "guess" else known(0), pictures_basis, written),
        ],
    }


def _totals(
    images: _Images, found: Sequence[SourceFigures], fetched: Estimate, samples: Estimate
) -> dict[str, Estimate]:
    """Return the figures of all sources together."""
    shared_images = images.shared.rounded()
    totals = {
        "rows": estimates.total(item.rows.rounded() for item in found),
        "pairs": estimates.total(item.pairs.rounded() for item in found),
        "taken": estimates.total(item.taken.rounded() for item in found),
        "images": estimates.total(images.of_source[item.name].rounded() for item in found).less(shared_images)
        if images.basis != "committed"
        else images.images,
        "shared_images": shared_images,
        "to_fetch": images.to_fetch.rounded(),
        "fetched": fetched,
        "samples": samples,
    }
    totals = {name: _ends_rounded(estimate) for name, estimate in totals.items()}
    if images.basis != "committed":  # the value is what the columns add up to
        value = sum(images.of_source[item.name].rounded().value for item in found) - shared_images.value
        totals["images"] = dataclasses.replace(totals["images"], value=value)
    return totals


def _guesses(
    found: Sequence[SourceFigures], fetched: Estimate, by_guess: Estimate, pictures_basis: str, written: _Written
) -> list[str]:
    """Return what is guessed, in words.

    Args:
        found: The sources.
        fetched: Images that are there in the end.
        by_guess: Those to fetch of which it is guessed how many are still there.
        pictures_basis: Where the sizes of pictures come from.
        written: What the shards come to.
    """
    guesses = [
        _OF_SAMPLES if any(item.basis == "sampled" for item in found) else "",
        _OF_HOSTS if any(item.basis in {"published", "Table 2"} for item in found) else "",
        _OF_LINKS if by_guess.rounded().value else "",
        _OF_PICTURES if "guess" in {pictures_basis, written.bytes_basis} and fetched.value else "",
        _OF_COPIES if written.basis == "guess" and fetched.value else "",
    ]
    return [said for said in guesses if said]


def _ends_rounded(estimate: Estimate) -> Estimate:
    """Return a sum as it is, between round numbers."""
    return dataclasses.replace(estimate.rounded(), value=estimate.value)


def _number(estimate: Estimate) -> int:
    return int(estimate.value)


def _ranges(found: Mapping[str, Estimate]) -> dict[str, list[int]]:
    return {name: [int(estimate.low), int(estimate.high)] for name, estimate in found.items() if not estimate.known}


def _described(item: SourceFigures, images: Estimate) -> dict[str, Any]:
    found = {"rows": item.rows, "pairs": item.pairs, "taken": item.taken, "images": images}
    rounded = {name: estimate.rounded() for name, estimate in found.items()}
    return {
        "name": item.name,
        "input_bytes": item.input_bytes,
        "missing": list(item.missing),
        "unreadable": item.unreadable,
        "basis": item.basis,
        "read_rows": item.read_rows,
        **{name: _number(estimate) for name, estimate in rounded.items()},
        "ranges": _ranges(rounded),
        "local": item.local,
    }


# --- images, and what of them is to be fetched -----------------------------------------------------------------------


def _estimated_images(config: Config, looked: Expected) -> _Images:
    if looked.images is not None:
        return _seen_images(config, looked)
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
    return _Images(
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
    shares = [len(item.seen & ids) for ids in (before.known, before.known_ok)]
    if not before.known or not item.seen:
        return known(0), known(0)
    whole = item.images.known and len(item.seen) == item.images.value
    settled, there = (
        known(count / len(item.seen)) if whole else estimates.share(count, len(item.seen)) for count in shares
    )
    return settled, there


def _seen_images(config: Config, looked: Expected) -> _Images:
    """Return the images where every one of them was seen."""
    assert looked.images is not None
    ids = looked.images["image_id"].combine_chunks()
    before = fetching.ledger(config.root, frozenset(ids.to_pylist()))
    left = looked.images.filter(pc.invert(pc.is_in(ids, value_set=pa.array(sorted(before.known), ids.type))))
    of_host = Counter(expected.first_groups(left["locations"], expected.group_of(config)))
    return _Images(
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


def _committed_images(counted: Counted, found: Sequence[SourceFigures]) -> _Images:
    of_source = {item.name: known(counted.of_source.get(item.name, 0)) for item in found}
    todo = sum(sum(shard.images.values()) + shard.unasked for shard in counted.shards)
    return _Images(
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


def _fresh(config: Config, stage: flow.Stage) -> bool:
    """Return whether a stage's commits stand as a build would make them; not where what it is made of does not."""
    try:
        if stage is flow.IMAGES and any(
            stages.why(flow.CURATE, config, name) is not None for name in config.sources if _has_files(config, name)
        ):
            return False
        missing = set(config.sources) - set(root.curated_sources(config.root))
        return not missing and stages.why(stage, config) is None
    except (RootError, InputError):
        return False


def _has_files(config: Config, name: str) -> bool:
    try:
        return bool(inputs.files(config.sources[name]))
    except InputError:
        return False


def _evenly(config: Config, of_host: Mapping[str, int], images: float) -> Iterator[Shard]:
    """Yield the fetch shards that there will be: every host's images are spread evenly over them, since keys are hashes."""
    facts = root.identity(config.root) or {}
    count = 2 ** int(facts.get("fetch_shard_bits", fetch_shard_bits(round(images * config.sample))))
    for shard in range(count):
        of_shard = {group: hosts.share(total, count, shard) for group, total in of_host.items()}
        unasked = of_shard.pop("", 0)
        counts = {group: total for group, total in of_shard.items() if total}
        if counts or unasked:
            yield Shard(shard, counts, unasked)


def _alive(config: Config, images: _Images, found: Sequence[SourceFigures]) -> tuple[Estimate, str]:
    """Return which share of what is to be fetched will be there: as of what was fetched, else a guess by its hosts."""
    if not images.to_fetch.value and images.basis == "committed":
        return known(1), "committed"
    if images.settled >= _ENOUGH:
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
        known(1): counts[forecast.ARCHIVES],
        known(0): counts[""],
        _ALIVE_KEPT: sum(counts[name] for name in keepers),
    }
    by_kind[_ALIVE] = all_of - sum(by_kind.values())
    share = estimates.total(rate.scaled(count / all_of) for rate, count in by_kind.items())
    return share, "counted" if share.known else "guess"


# --- what is written -------------------------------------------------------------------------------------------------


def _store(config: Config, images: _Images, fetched: Estimate, stored: _Stored) -> tuple[dict[str, Estimate], str]:
    """Return the bytes of the store when all is fetched, by form; and what its mean picture is told by."""
    there = stored.bytes
    guesses = {form: _guessed_picture(config, images.composition, form) for form in ("resized", "original")}
    more = fetched.less(images.ok)
    if images.to_fetch.value == 0 and images.basis == "committed":
        chosen, basis = known(there), "committed"
    elif stored.pictures >= _ENOUGH:
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
class _Stored:
    """What the store holds already."""

    bytes: int
    pictures: int


def _stored(root_url: str) -> _Stored:
    size = pictures = 0
    standing = register.current(root_url)
    for shard in standing.shards:
        for generation in standing.of(shard):
            size += sum(file.bytes for file in generation.files if file.name.endswith(".tar"))
        ledger = state.standing(standing.of(shard))
        pictures += len(ledger) - ledger["store_file"].null_count
    return _Stored(size, pictures)


@dataclasses.dataclass(frozen=True)
class _Written:
    """Samples, and by format the shards and their bytes; what the samples and the bytes are told by."""

    samples: Estimate
    shards: Mapping[str, Estimate]
    bytes: Mapping[str, Estimate]
    basis: str
    bytes_basis: str


def _written(config: Config, images: _Images, fetched: Estimate, stored: _Stored) -> _Written:
    done = images.basis == "committed" and images.to_fetch.value == 0
    there = {form: commits.read(root.shards_folder(config.root, form)) for form in config.shard.formats}
    if done and _fresh(config, flow.DEDUPE) and _fresh(config, flow.SHARD):
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
        if commit is not None and rows >= _ENOUGH:
            mean = estimates.within(sum(file.bytes for file in commit.files if file.rows) / rows, _MEASURED)
        else:
            mean, measured = _guessed_sample(config, made, form), False
        sizes[form] = samples * mean
    return _Written(samples, shards, sizes, basis, "measured" if measured else "guess")


def _committed_shards(there: Mapping[str, Commit]) -> _Written:
    samples = max(sum(file.rows for file in commit.files) for commit in there.values())
    return _Written(
        known(samples),
        {form: known(sum(file.rows > 0 for file in commit.files)) for form, commit in there.items()},
        {form: known(sum(file.bytes for file in commit.files)) for form, commit in there.items()},
        "committed",
        "committed",
    )


def _left_by_dedupe(config: Config, fetched: Estimate, stored: _Stored, *, done: bool) -> tuple[Estimate, str]:
    """Return the images that dedupe leaves: as committed, as of those that it has seen before, else by a guess."""
    commit = commits.read(root.dedupe_folder(config.root))
    if commit is not None:
        gone = sum(file.rows for file in commit.under("groups"))  # each image has one row
        if done and _fresh(config, flow.DEDUPE):
            return fetched.less(known(gone)), "committed"
        if stored.pictures >= _ENOUGH:  # about as many as dedupe has seen
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


# --- the fetch -------------------------------------------------------------------------------------------------------


def _fetch(fetch: Forecast, images: _Images) -> dict[str, Any]:
    """Return a forecast, with what decides, and between what its hours are by how many images there may be."""
    ranges = {}
    if not images.to_fetch.known and images.to_fetch.value:
        factors = (images.to_fetch.low / images.to_fetch.value, images.to_fetch.high / images.to_fetch.value)
        ranges = {"hours": [fetch.hours * factor for factor in factors]}
    return {
        **dataclasses.asdict(fetch),
        "hosts": [dataclasses.asdict(host) for host in fetch.hosts],
        "slowest": _slowest(fetch),
        "ranges": ranges,
    }


def _slowest(estimate: Forecast) -> dict[str, Any] | None:
    """Return what decides how long fetching takes: a host, or ("host": null) the lanes themselves."""
    if estimate.slowest is not None:
        return dataclasses.asdict(estimate.slowest)
    asked = sum(host.images for host in estimate.hosts)
    if not asked:
        return None
    pace = asked / estimate.lane_hours / 3600
    return {
        "host": None,
        "images": asked,
        "images_per_s": pace,
        "hours": estimate.lane_hours,
        "limit": estimate.lane_limit,
    }


def _hashes(config: Config, fetch: Forecast, *, counted: bool) -> dict[str, Any]:
    """Return who asks for perceptual hashes, and how many pictures must be decoded for them."""
    asks = asking.who(config)
    if asks is None:
        return {"asked_by": None, "fetched": 0, "stored": 0}
    later = asking.by_dedupe(config.dedupe) or asking.to_judge(config)
    stored = sum(asking.missing(Standing(config.root)).values()) if counted and later is not None else 0
    return {"asked_by": asks, "fetched": sum(host.images for host in fetch.hosts), "stored": stored}
