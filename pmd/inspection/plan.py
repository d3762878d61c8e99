"""Plan: rows, bytes, hours, disk and the slowest host of a build, before anything runs.

What is committed is counted; what is not is estimated from what was published, and each figure says which. Nothing is
read of the annotation files but their sizes, and nothing is asked of the web. Hours are `pmd.fetch.forecast`'s.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import escape, manifests, sources
from pmd.config import Config, SourceConfig, inputs
from pmd.config.resizing import Resizing
from pmd.errors import InputError
from pmd.fetch import addresses, asking, forecast, hosts, partitions, state
from pmd.fetch.forecast import Forecast, Shard
from pmd.formats import archives, parquet
from pmd.images.rules import fetch_shard_bits
from pmd.inspection import picture_sizes
from pmd.manifests.model import Manifest, ManifestFile, Terms
from pmd.manifests.select import human_bytes
from pmd.sources.contract import InputFile
from pmd.store import commits, root, storage
from pmd.store.commits import Commit
from pmd.terminal import tables

if TYPE_CHECKING:
    from pmd.terminal.tables import Table

#: Bytes of a photograph with its short side at 256 px, JPEG quality 95: mean of 80 of COCO's, by `pmd.codec`.
RESIZED_BYTES: Final = 47_000
#: Bytes of an original: COCO's archives of 2014, 20.16 GB of 123,287 photographs.
ORIGINAL_BYTES: Final = 163_000
#: A crop of a region, as JPEG: Visual Genome's regions are a small part of their photographs; a guess.
CROP_BYTES: Final = 12_000

#: Fewest bytes of a record in any annotation file, compressed: bounds an estimate by a file that is shorter than upstream's.
_FEWEST_BYTES: Final = 20
#: Where Table 2's figure is this near to the published records, a record is a pair and the rest is link rot; elsewhere
#: (YFCC100M, WIT: a filter; Localized Narratives: sentences) Table 2 says how many pairs come of them.
_NEAR: Final = (0.5, 1.5)

#: Where a source's images are, and how many pairs share one. Of RedCaps' three (arXiv 2111.11431, §2.1) the
#: shares are not known, and even ones give the least hours. No host: more than can be named.
_HOSTS: Final[Mapping[str, tuple[tuple[str, ...], float]]] = {
    "coco": (("images.cocodataset.org",), 616_767 / 123_287),
    "visual_genome": (("cs.stanford.edu",), 5_408_689 / 108_077),
    "localized_narratives__openimages": (("s3.amazonaws.com",), 1.9e6 / 873_107),
    "localized_narratives__coco": (("images.cocodataset.org",), 1.9e6 / 873_107),
    "yfcc100m": (("multimedia-commons.s3-us-west-2.amazonaws.com",), 1.0),
    "wit": (("upload.wikimedia.org",), 1.0),
    "sbu_captions": (("static.flickr.com",), 1.0),
    "red_caps": (("i.redd.it", "i.imgur.com", "live.staticflickr.com"), 1.0),
}

ASSUMPTIONS: Final = (
    f"{forecast.IMAGE_S:g} s that an image keeps a connection: four round trips of 90 ms (across the Atlantic, by Verizon's "
    "service level agreement), which 163 kB take from TCP's first window",
    f"{forecast.LANE_IMAGES_PER_S:g} images a second decoded and resized in a lane with a core of its own (docs/benchmarks.md: "
    "520 in two)",
    "the first location of each image has it, no host asks for patience; robots.txt and redirects not counted",
    f"{human_bytes(ORIGINAL_BYTES)} an original (COCO's archives: 20.16 GB of 123,287 photographs)",
    f"{human_bytes(RESIZED_BYTES)} a picture with its short side at 256 px, JPEG quality 95 (mean of 80 of COCO's); other "
    "sizes by area, modes and formats by the mean of the same 80",
    f"{human_bytes(CROP_BYTES)} a crop of a region (a guess)",
    "no link is dead: published rates of what is still there are 57 to 70 % for web images, so disk is an upper bound",
)

#: More of them where images are not committed yet.
ESTIMATED: Final = (
    "no image in two sources; RedCaps' images in equal parts on Reddit, Imgur and Flickr; hosts of Conceptual Captions, "
    "Conceptual 12M: none holds a lane up",
)


@dataclasses.dataclass(frozen=True)
class SourcePlan:
    """What is expected of one source. `basis` says where `pairs` comes from: committed, published, Table 2 or files."""

    name: str
    input_bytes: int
    missing: tuple[str, ...]
    pairs: int
    basis: str
    images: int
    local: bool
    regions: bool


def plan(config: Config) -> dict[str, Any]:
    """Return what a build will read, fetch, write and wait for.

    Files that are not there yet are told, and planned for as if they were upstream's.

    Returns:
        ``sources``: per source input bytes, pairs and their basis, images, what is missing; ``fetch``: `Forecast`, with
        what decides as ``slowest``; ``hashes``: who asks for perceptual hashes (None: nobody), how many are computed with the
        fetch, and how many of what is stored; ``disk``: bytes of store and shards, by store form; ``shards``;
        ``assumptions``.
        JSON-able.

    Raises:
        ConfigError: There are more lanes than a host's limits have shares.
        InputError: A list that `[fetch]` names is missing, or none.
    """
    described = [_source(config, source) for _, source in sorted(config.sources.items())]
    counted = commits.read(root.images_folder(config.root)) is not None and (
        commits.read(root.views_folder(config.root)) is not None
    )
    shards = _pending(config) if counted else _estimated(config, described)
    fetch = forecast.forecast(shards, config.fetch)
    images = _count(root.images_folder(config.root)) if counted else sum(item.images for item in described)
    pairs = sum(item.pairs for item in described)
    regions = sum(item.pairs for item in described if item.regions)
    whole = images - sum(item.images for item in described if item.regions) if not counted else images
    samples = pairs if config.shard.unit == "pair" else max(whole, 0) + regions
    per_shard = config.shard.samples_per_shard
    return {
        "root": config.root,
        "profile": config.profile,
        "sample": config.sample,
        "sources": [{**dataclasses.asdict(item), "missing": list(item.missing)} for item in described],
        "input_bytes": sum(item.input_bytes for item in described),
        "pairs": pairs,
        "images": images,
        "images_basis": "committed" if counted else "estimated",
        "fetch": {
            **dataclasses.asdict(fetch),
            "hosts": [dataclasses.asdict(host) for host in fetch.hosts],
            "slowest": _slowest(fetch),
        },
        "hashes": _hashes(config, fetch, counted=counted),
        "disk": _disk(config, described, images, samples, regions),
        "samples": samples,
        "shards": {form: math.ceil(samples / per_shard) for form in config.shard.formats},
        "assumptions": [*ASSUMPTIONS, *(() if counted else ESTIMATED)],
    }


def _hashes(config: Config, fetch: Forecast, *, counted: bool) -> dict[str, Any]:
    """Return who asks for perceptual hashes, and how many pictures must be decoded for them."""
    asks = asking.who(config)
    if asks is None:
        return {"asked_by": None, "fetched": 0, "stored": 0}
    later = asking.by_dedupe(config.dedupe) or asking.by_blocklist(config.fetch)
    stored = sum(asking.missing(config.root).values()) if counted and later is not None else 0
    return {"asked_by": asks, "fetched": sum(host.images for host in fetch.hosts), "stored": stored}


def _source(config: Config, source: SourceConfig) -> SourcePlan:
    terms = source.terms
    try:
        files = inputs.files(source)
        missing: tuple[str, ...] = ()
    except InputError as error:
        files, missing = [], tuple(error.problem.splitlines())
    commit = commits.read(root.curate_folder(config.root, source.name))
    if commit is not None:
        pairs, basis = commit.sources[source.name].kept, "committed"
    else:
        pairs, basis = _expected(source, terms, files)
    # Pairs are counted before the sample is taken, which is of images.
    pairs = round(pairs / config.sample)
    regions = getattr(source.options, "regions", None) == "crop"
    per_image = _HOSTS.get(source.name, ((), 1.0))[1]
    return SourcePlan(
        source.name,
        sum(file.bytes for file in files),
        missing,
        pairs,
        basis,
        math.ceil(pairs / per_image),
        bool(source.images) or not terms.images_by_url,
        regions,
    )


def _expected(source: SourceConfig, terms: Terms, files: Sequence[InputFile]) -> tuple[int, str]:
    """Return the pairs that a source's files should give, and where the figure is from."""
    if isinstance(terms, Manifest):
        return expected_pairs(terms, {file.path: file.bytes for file in files} or None, _sharing(terms))
    return sources.load_reader(str(source.reader)).expected_rows(files, source.options), "files"


def _sharing(manifest: Manifest) -> int:
    """Return the published records of all sources that share this one's row of Table 2."""
    return sum(
        other.upstream_rows for other in manifests.load_all().values() if other.table2.row == manifest.table2.row
    )


def expected_pairs(manifest: Manifest, sizes: Mapping[str, int] | None, row_records: int) -> tuple[int, str]:
    """Estimate the pairs that curating a source's files gives.

    Args:
        manifest: The source's.
        sizes: Path → bytes of the annotation files that are there; None: all of upstream's.
        row_records: Published records behind the source's row of Table 2, those of other sources too.

    Returns:
        The estimate, and "published" (a record is a pair) or "Table 2" (a rule decides how many pairs a record is).
    """
    records = float(manifest.upstream_rows) if sizes is None else _records(manifest, sizes)
    per_record = manifest.table2.pairs_millions * 1e6 / row_records
    if _NEAR[0] <= per_record <= _NEAR[1]:
        return round(records), "published"
    return round(records * per_record), "Table 2"


def _records(manifest: Manifest, sizes: Mapping[str, int]) -> float:
    """Return the published records of the files that are there: by name where upstream's is known, else by size."""
    known = {file.name: file for file in manifest.files if file.kind == "annotations"}
    records, other_bytes = 0.0, 0
    main = manifest.upstream_rows
    for path, size in sizes.items():
        file = known.get(posixpath.basename(archives.split_member(path)[0]))
        if file is None and path.endswith(".parquet") and storage.exists(path):
            records += parquet.row_count(path)  # a mirror's
        elif file is None:
            other_bytes += size
        elif file.option is None:
            records += _scaled(file, size, manifest)
    if other_bytes:
        published = sum(file.bytes or 0 for file in manifests.select([manifest]) if file.option is None)
        share = min(other_bytes / published, 1.0) if published else 1.0
        records += min(main * share, other_bytes / _FEWEST_BYTES)
    return records


def _scaled(file: ManifestFile, size: int, manifest: Manifest) -> float:
    """Return a file's published records, or as large a part of them as the file is of upstream's."""
    several = sum(other.option is None and not other.optional for other in manifests.select([manifest])) > 1
    rows = file.rows if file.rows is not None else 0 if several else manifest.upstream_rows
    if any(entry.rows == rows and entry.what.startswith("images") for entry in manifest.published):
        return 0.0  # VG's image_data.json, which its regions need: no records of their own
    whole = file.bytes or file.bytes_about
    share = min(size / whole, 1.0) if whole else 1.0
    return min(rows * share, size / _FEWEST_BYTES)


def _estimated(config: Config, described: Iterable[SourcePlan]) -> Iterator[Shard]:
    """Yield the fetch shards that there will be: every host's images are spread evenly over them, since keys are hashes."""
    named = hosts.named_groups(config.fetch.host_groups)
    of_host: Counter[str] = Counter()
    for item in described:
        of_source = [hosts.group_name(host, named) for host in _HOSTS.get(item.name, ((), 1.0))[0]]
        groups = [forecast.ARCHIVES] if item.local else of_source or [forecast.MANY]
        for number, group in enumerate(groups):
            of_host[group] += hosts.share(item.images, len(groups), number)
    facts = root.describe(config.root) or {}
    count = 2 ** int(facts.get("fetch_shard_bits", fetch_shard_bits(of_host.total() * config.sample)))
    for shard in range(count):
        of_shard = {group: hosts.share(total, count, shard) for group, total in of_host.items()}
        yield Shard(shard, {group: total for group, total in of_shard.items() if total})


def _pending(config: Config) -> Iterator[Shard]:
    """Yield the fetch shards with images that the next `pmd fetch` asks for, a part's images in memory at a time."""
    named = hosts.named_groups(config.fetch.host_groups)
    group_of = functools.lru_cache(maxsize=_KNOWN_HOSTS)(functools.partial(_group, named=named))
    for shard, _, _, todo in partitions.pending(config.root, config.fetch):
        if todo.num_rows:
            groups = Counter(_first_groups(todo["locations"], group_of))
            yield Shard(shard, {group: count for group, count in groups.items() if group}, groups[""])


#: Hosts whose group is kept at hand.
_KNOWN_HOSTS: Final = 2**16


def _first_groups(locations: pa.ChunkedArray, group_of: Callable[[str], str]) -> list[str]:
    """Return the host group that each image's first location asks; "" for none."""
    there = locations.filter(pc.greater(pc.list_value_length(locations), 0))
    first = pc.list_element(there, 0)
    local = pc.equal(pc.struct_field(first, "kind"), "archive")
    # Of each host one URL is taken apart, and not each URL: tens of millions pass here.
    named = pc.extract_regex(pc.struct_field(first, "url"), r"(?i)^https?://(?P<host>[^/?#]+)")
    host = pc.fill_null(pc.struct_field(named, "host"), "")
    names = pc.if_else(local, forecast.ARCHIVES, host).dictionary_encode().combine_chunks()
    groups = [name if name == forecast.ARCHIVES else group_of(name) for name in names.dictionary.to_pylist()]
    return [*(groups[index] for index in names.indices.to_pylist()), *[""] * (len(locations) - len(there))]


def _group(host: str, named: Mapping[str, str]) -> str:
    """Return the group of a URL's host and port, as the engine does; "" where it would ask for nothing."""
    try:
        return hosts.group_name(addresses.parse(f"http://{host}/").host, named)
    except addresses.Blocked:
        return ""


def _count(folder: str) -> int:
    commit: Commit | None = commits.read(folder)
    return 0 if commit is None else sum(file.rows for file in commit.files)


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


def _resized_bytes(resizing: Resizing) -> int:
    return round(RESIZED_BYTES * picture_sizes.relative_bytes(resizing))


def _disk(config: Config, described: Iterable[SourcePlan], images: int, samples: int, regions: int) -> dict[str, Any]:
    """Return bytes of the store in either form, and of the shards; images with regions are always kept original."""
    with_region = min(sum(item.images for item in described if item.regions), images)
    resized = _resized_bytes(config.fetch.resizing)
    store = {
        "resized": (images - with_region) * resized + with_region * ORIGINAL_BYTES,
        "original": images * ORIGINAL_BYTES,
    }
    picture = ORIGINAL_BYTES if config.fetch.store == "original" else resized
    in_shards = picture_sizes.in_shards(config)
    if in_shards is not None:
        picture = round(RESIZED_BYTES * in_shards)
    crops = min(regions, samples)
    crop = round(CROP_BYTES * picture_sizes.encoded(config.shard.resizing))
    each = (samples - crops) * picture + crops * crop
    shards = dict.fromkeys(config.shard.formats, each)
    return {
        "store": store,
        "chosen": config.fetch.store,
        "shards": shards,
        "total": store[config.fetch.store] + sum(shards.values()),
        "there": _store_bytes(config.root),
    }


def _store_bytes(root_url: str) -> int:
    """Return the bytes that the store already holds."""
    return sum(
        file.bytes
        for shard in state.shards(root_url)
        for _, _, commit in state.generations(root_url, shard)
        for file in commit.files
        if file.name.endswith(".tar")
    )


def render(planned: Mapping[str, Any], width: int = 120) -> str:
    """Return a plan as people read it."""
    planned = escape.shown(planned)
    page = tables.Page(width)
    sample = f", 1/{planned['sample']} of the images" if planned["sample"] > 1 else ""
    page.write(f"{planned['root']}: profile {planned['profile']}{sample}\n")
    page.write(
        _table(
            ["source", "annotations", "pairs", "counted from", "images"],
            [
                [
                    item["name"],
                    human_bytes(item["input_bytes"]) if not item["missing"] else "not there yet",
                    f"{item['pairs']:,}",
                    item["basis"],
                    f"{item['images']:,}",
                ]
                for item in planned["sources"]
            ]
            + [["all", human_bytes(planned["input_bytes"]), f"{planned['pairs']:,}", "", f"{planned['images']:,}"]],
        )
    )
    for line in _fetch_text(planned["fetch"], planned["images_basis"]):
        page.write(line)
    page.write(_hash_text(planned["hashes"]))
    disk = planned["disk"]
    forms = ", ".join(
        f"{human_bytes(size)} {form}{' (chosen)' if form == disk['chosen'] else ''}"
        for form, size in disk["store"].items()
    )
    page.write(f"\nStore: {forms}; {human_bytes(disk['there'])} are there.")
    for form, size in disk["shards"].items():
        page.write(
            f"Shards, {form}: {planned['shards'][form]:,} of up to {planned['samples']:,} samples, {human_bytes(size)}"
        )
    page.write(f"Disk in all: {human_bytes(disk['total'])}\n")
    for item in planned["sources"]:
        for line in item["missing"]:
            page.write(line, wrap=False)
    page.write("Assumed:")
    for line in planned["assumptions"]:
        page.write(f"- {line}")
    return page.text()


#: Hosts that the text names.
_MOST_HOSTS: Final = 12


def _fetch_text(fetch: Mapping[str, Any], basis: str) -> Iterator[Any]:
    """Yield what people read of a forecast."""
    if not fetch["hosts"]:
        yield f"\nImages to fetch ({basis}): none; the ledger has all of them"
    else:
        yield f"\nImages to fetch ({basis}), by host group, in {fetch['lanes']} lane{'s' * (fetch['lanes'] > 1)}:"
        yield _table(
            ["host", "images", "a second", "limited by", "hours"],
            [
                [
                    host["host"],
                    f"{host['images']:,}",
                    f"{host['images_per_s']:,.2f}",
                    host["limit"],
                    f"{host['hours']:,.1f}",
                ]
                for host in fetch["hosts"][:_MOST_HOSTS]
            ],
        )
        if len(fetch["hosts"]) > _MOST_HOSTS:
            yield f"… and {len(fetch['hosts']) - _MOST_HOSTS:,} more host groups"
        slowest = fetch["slowest"]
        who = slowest["host"] or "no host: the lanes themselves"
        yield (
            f"Fetching takes {fetch['hours']:,.1f} hours or more. What decides is {who}: {slowest['images']:,} images, "
            f"{slowest['images_per_s']:,.2f} a second ({slowest['limit']}), {slowest['hours']:,.1f} hours."
        )
    if fetch["unasked"]:
        yield f"{fetch['unasked']:,} images have no location that can be asked."


def _hash_text(hashes: Mapping[str, Any]) -> str:
    if hashes["asked_by"] is None:
        return "Perceptual hashes: nothing asks for them, and none is computed."
    said = [f"{hashes['fetched']:,} with the fetch"] if hashes["fetched"] else []
    said += [f"{hashes['stored']:,} of pictures that are stored, without the web"] if hashes["stored"] else []
    return f"Perceptual hashes ({hashes['asked_by']} asks for them): {', '.join(said) or 'all are known'}."


def _table(headings: list[str], rows: list[list[str]]) -> Table:
    words = {"source", "host", "counted from", "limited by"}
    return tables.table(headings, rows, right=[place for place, name in enumerate(headings) if name not in words])
