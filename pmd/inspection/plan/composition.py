"""What shards make of images, by some of them, and which host groups are asked for these: for the plan."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.config import Config
from pmd.config.asked import Asked
from pmd.fetch.http import addresses
from pmd.fetch.politeness import forecast, hosts
from pmd.schema.tables import BARE_VIEWS
from pmd.shard import samples

#: Hosts whose group is kept at hand.
_KNOWN_HOSTS: Final = 2**16

#: What `samples.misfits` reads of a ledger; the stored picture is the original, as wherever a region is cut.
_SIZES: Final = ("width_px", "height_px", "stored_width_px", "stored_height_px")


@dataclasses.dataclass(frozen=True)
class Composition:
    """What a shard makes of images, by some of them.

    Attributes:
        samples: Samples an image, regions that cannot be cut out left away.
        crops: How many of these are crops.
        with_region: Share of images of which a region is cut: they are stored as they came.
    """

    samples: float = 1.0
    crops: float = 0.0
    with_region: float = 0.0


def composition(images: pa.Table, views: pa.Table, asked: Asked) -> Composition:
    """Return what shards make of some images, by shard's own rule on regions, if pictures have the size that upstream says.

    Args:
        images: `IMAGES`.
        views: All `VIEWS` of these images.
        asked: What the configuration asks of shard.
    """
    if not images.num_rows:
        return Composition()
    views = views.select(BARE_VIEWS.names).combine_chunks()
    has_region = pc.is_valid(views["region"])
    regions = views.filter(has_region).combine_chunks()
    crops = 0
    if regions.num_rows:
        sizes = regions.group_by("image_id", use_threads=False).aggregate([("width_px", "max"), ("height_px", "max")])
        ledger = pa.table(
            {"image_id": sizes["image_id"], **{name: sizes[f"{name.removeprefix('stored_')}_max"] for name in _SIZES}}
        )
        fits = regions.filter(pc.is_null(samples.misfits(regions, ledger, asked)))
        boxes = zip(fits["image_id"].to_pylist(), map(tuple, fits["region"].to_pylist()), strict=True)
        crops = fits.num_rows if asked.shard.unit == "pair" else len(set(boxes))
    others = views.filter(pc.invert(has_region))
    whole = others.num_rows if asked.shard.unit == "pair" else len(pc.unique(others["image_id"]))
    with_region = pc.sum(images["has_region"]).as_py() or 0
    return Composition((whole + crops) / images.num_rows, crops / images.num_rows, with_region / images.num_rows)


def first_groups(locations: pa.ChunkedArray, group_of: Callable[[str], str]) -> list[str]:
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


def counts_of(images: pa.Table, group_of: Callable[[str], str], taken_over: pa.Array) -> Counter[str]:
    """Return how many images each host group is asked for first; "" for none, `forecast.STORE` of those that it has already.

    Args:
        images: `image_id` and `locations`.
        group_of: See `group_of`.
        taken_over: The images that the store has under another key.
    """
    theirs = pc.is_in(images["image_id"], value_set=taken_over)
    counts = Counter(first_groups(images["locations"].filter(pc.invert(theirs)), group_of))
    stored = pc.sum(theirs).as_py() or 0
    return counts + Counter({forecast.STORE: stored})


def group_of(config: Config) -> Callable[[str], str]:
    """Return what gives the group of a URL's host and port, as the engine has it; "" where it would ask for nothing."""
    named = hosts.named_groups(config.fetch.host_groups)

    @functools.lru_cache(maxsize=_KNOWN_HOSTS)
    def group(host: str) -> str:
        try:
            return hosts.group_name(addresses.parse(f"http://{host}/").host, named)
        except addresses.Blocked:
            return ""

    return group
