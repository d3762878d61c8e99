"""Images: from the pairs of all sources to the distinct images, each with every place it can be had from.

URL de-duplication happens here, by identity. The same photograph may have two identities, a COCO id and a Flickr photo
id; where COCO or Visual Genome say so (`also`), the Flickr one gives way, so that it is fetched once. The stage also puts
the pairs in order of their images (`VIEWS`), cut alike, so that every later join is a merge of two files.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config import scores
from pmd.config.asked import Asked
from pmd.images import takedowns
from pmd.images.aliases import Aliases
from pmd.images.archived import NO_FILES, Index
from pmd.schema import keys, licences
from pmd.schema.tables import IMAGES, KEY, LOCATION, REGION, REJECTED, VIEWS, with_columns
from pmd.store import exchange, root
from pmd.store.commits import Books
from pmd.suppression import rows as suppressed
from pmd.suppression.lists import Suppression
from pmd.text import credit, pages, url_identity, urls

STAGE: Final = flow.IMAGES.name

#: Kinds of locations, in the order in which they are tried.
_KINDS: Final = ("archive", "mirror", "original")

#: Files that images and views are cut into, at most 2 to this power.
MOST_PART_BITS: Final = 9
#: Pairs in a part, about, where that gives fewer parts than fetch shards: enough that files are no work of their own.
PART_ROWS: Final = 65_536

#: Fetch shards, at most 2 to this power.
_MOST_SHARD_BITS: Final = 20

#: A pair on its way to its image.
IMAGE_ROWS: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("pair_id", KEY, nullable=False),
        pa.field("identity", pa.string(), nullable=False),
        pa.field("own_id", KEY, nullable=False),  # image_id in the source's own pairs
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("image_url", pa.string()),
        pa.field("archive", pa.string()),
        pa.field("mirrors", pa.string()),  # joined by new lines
        pa.field("region", REGION),
        pa.field("width_px", pa.int32()),
        pa.field("height_px", pa.int32()),
        pa.field("text", pa.string(), nullable=False),
        pa.field("text_licence", pa.string()),
        pa.field("image_licence", pa.string()),
        pa.field("attribution", pa.string()),
        pa.field("split", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("refused", pa.string()),  # the licence that its source states of its image, where that is not allowed
    ]
)

#: The columns of the pairs that the stage reads.
NEEDED: Final = (
    "pair_id",
    "image_id",
    "source",
    "source_id",
    "image_url",
    "identity",
    "file_name",
    "mirrors",
    "width_px",
    "height_px",
    "region",
    "text",
    "also",
    "text_licence",
    "image_licence",
    "split",
)


_NONE: Final = pa.array([], KEY)
_OF_NONE: Final = Aliases.of([])
_NOTHING: Final = Suppression()
#: The detail of rows that are taken down for their picture, until these have met (`heed_takedowns`).
_PICTURE: Final = "its picture"


@dataclasses.dataclass(frozen=True)
class Takedown:
    """What must not be used: keys of images or pairs, canonical URLs, and rows as SOURCE/ID; of posts the pictures are meant."""

    ids: frozenset[bytes] = frozenset()
    urls: frozenset[str] = frozenset()
    rows: frozenset[str] = frozenset()
    posts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, listed: Iterable[takedowns.Line]) -> Takedown:
        """Return what lines of takedown lists name."""
        lines = list(listed)
        return cls(
            frozenset().union(*(line.ids for line in lines)),
            frozenset(url for line in lines for url in line.named.urls),
            frozenset().union(*(line.rows for line in lines if not line.named.is_picture)),
            frozenset().union(*(line.rows for line in lines if line.named.is_picture)),
        )

    def __bool__(self) -> bool:
        return bool(self.ids or self.urls or self.rows or self.posts)

    @functools.cached_property
    def _forms(self) -> frozenset[str]:
        """The URLs as `urls.alike` has them; once, since every batch is compared with them."""
        return frozenset(map(urls.alike_one, self.urls))

    def names(self, pairs: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return which pairs (with the columns `NEEDED`) it names by a URL or row: one of the pair's URLs is enough."""
        return self.pictures(pairs) | _among_rows(pairs, self.rows)

    def pictures(self, pairs: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return those of them whose pictures are meant, whoever else shows them: by a URL, or the page of a post."""
        found = _among_rows(pairs, self.posts)
        if self.urls:
            found |= suppressed.is_among(urls.alike(urls.canonical(pairs["image_url"])), self._forms)
            mirrors = pairs["mirrors"]
            among = suppressed.is_among(urls.alike(urls.canonical(mirrors.flatten())), self._forms)
            found[pc.list_parent_indices(mirrors).to_numpy()[among]] = True
        if self.urls or self.ids:
            found[[row for row, page in suppressed.held(pairs) if self._is_held(page)]] = True
        return found

    def _is_held(self, page: pages.Page) -> bool:
        """Return whether an address is named, or an image, of those that stand in another address."""
        return any(keys.image_id(identity) in self.ids for identity in page.identities) or any(
            urls.alike_one(form) in self._forms for form in page.holds
        )


def _among_rows(pairs: pa.RecordBatch, wanted: frozenset[str]) -> npt.NDArray[np.bool_]:
    """Return which pairs are named as SOURCE/ID, or as repeats of one."""
    if not wanted:
        return np.zeros(len(pairs), bool)
    own, repeated = suppressed.named_as(pairs)
    return suppressed.is_among(own, wanted) | suppressed.is_among(repeated, wanted)


def taken_down(listed: Iterable[takedowns.Line], kept: Suppression, links: Collection[tuple[bytes, bytes]]) -> Takedown:
    """Return what lists take down, and of what sources have kept out those photographs that others know under two identities."""
    named = {image for link in links for image in link if kept.has("image") and kept.holds("image", image)}
    takedown = Takedown.of(listed)
    return widened(dataclasses.replace(takedown, ids=takedown.ids | named), links)


def widened(takedown: Takedown, also: Iterable[tuple[bytes, bytes]]) -> Takedown:
    """Return a takedown that reaches its photographs under every identity that sources know of them.

    Args:
        takedown: As it was listed.
        also: (image_id, image_id of another identity of the same photograph).
    """
    return dataclasses.replace(takedown, ids=reached(takedown.ids, also))


def reached(ids: frozenset[bytes], also: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return keys of images, and those of the same photographs' other identities; `also` as in `widened`."""
    pairs = set(also)
    others = ids | {other for image, other in pairs if image in ids}
    return others | {image for image, other in pairs if other in others}


def in_sample(image_ids: pa.Array, sample: int) -> np.ndarray:
    """Return which images are in the sample 1/`sample`: those whose key, as a fraction of all keys, is under it.

    Samples are nested: 1/1000 is a part of 1/100. The key's *last* eight bytes decide, since its first ones are the fetch
    shard: a sample touches every shard.
    """
    return np.asarray(keys.halves(image_ids)[1] < 2**64 / sample if sample > 1 else np.ones(len(image_ids), bool))


def spread(
    pairs: pa.RecordBatch,
    asked: Asked,
    *,
    aliases: Aliases = _OF_NONE,
    index: Index = NO_FILES,
    takedown: Takedown,
    kept_out: Suppression = _NOTHING,
    held_out: pa.Array = _NONE,
    verdicts: Sequence[scores.Verdicts] = (),
) -> pa.RecordBatch:
    """Give each pair its image's key and places, and say which leave.

    Args:
        pairs: A batch with the columns `NEEDED`.
        asked: What the configuration asks of images.
        aliases: Which images stand for others.
        index: Of the files in this source's archives.
        takedown: What must not be used.
        kept_out: What sources have kept of rows that suppression lists keep out (`pmd.suppression.kept_out`): the same pictures.
        held_out: Keys of images that a source's curate left out because models are tested on them.
        verdicts: What scores decide. An image's score may stand under its own key or under that which stands for it; where
            both have one, both must pass.

    Returns:
        The same rows as `IMAGE_ROWS`. Of those that are taken down for their picture the detail says so, to `gather` alone.
    """
    own_ids = pairs["image_id"]
    kept, identities = aliases.standing_for(own_ids)
    image_ids = pc.coalesce(kept, own_ids)
    reasons = np.full(len(pairs), None, dtype=object)
    reasons[~in_sample(image_ids, asked.sample)] = "not_sampled"
    both = (own_ids, image_ids)
    if len(held_out):
        reasons[_any_is_in(both, held_out)] = "evaluation_copy"
    taken = np.zeros(len(pairs), bool)  # with their pictures
    if takedown:
        taken = takedown.pictures(pairs) | np.logical_or.reduce(
            [suppressed.is_among(ids, takedown.ids) for ids in both]
        )
        reasons[takedown.names(pairs) | suppressed.is_among(pairs["pair_id"], takedown.ids)] = takedowns.REASON
    if kept_out:
        taken |= suppressed.pictures(kept_out, pairs)
    reasons[taken] = takedowns.REASON
    refused, amiss = _refused(pairs, asked.licence.image_allow)
    if asked.licence.image_allow is not None:
        reasons[amiss.is_valid().to_numpy(zero_copy_only=False) & _without(reasons)] = "licence"
        amiss = pc.if_else(pa.array(reasons == "licence"), amiss, pa.scalar(None, pa.string()))
    for rule in verdicts:
        listed = np.logical_or.reduce(
            [rule.has(ids) for ids in ([pairs["pair_id"]] if rule.column == "pair_id" else both)]
        )
        reasons[(~listed if rule.rejects_missing else listed) & _without(reasons)] = "score"
    archives_of = [*map(index.locate, pairs["file_name"].to_pylist())] if index else [None] * len(pairs)
    columns = {
        "image_id": image_ids,
        "identity": pc.coalesce(identities, pairs["identity"]),
        "own_id": own_ids,
        "archive": pa.array(archives_of, pa.string()),
        "mirrors": pc.binary_join(pairs["mirrors"], "\n"),
        "attribution": credit.lines(pairs["image_licence"], pairs["identity"], pairs["also"]),
        "reason": pa.array(reasons, pa.string()),
        "detail": pc.if_else(pa.array(taken), _PICTURE, amiss) if taken.any() else amiss,
        "refused": refused,
    }
    return pa.RecordBatch.from_arrays(
        [columns[name] if name in columns else pairs[name] for name in IMAGE_ROWS.names], schema=IMAGE_ROWS
    )


def _refused(pairs: pa.RecordBatch, allowed: Sequence[str] | None) -> tuple[pa.Array, pa.Array]:
    """Return the stated licences that are not allowed, and of each pair what is amiss with its image's licence, or null."""
    nothing = pa.nulls(len(pairs), pa.string())
    if allowed is None:
        return nothing, nothing
    stated = pc.fill_null(pairs["image_licence"], licences.NOASSERTION)
    may = [one for one in pc.unique(stated).to_pylist() if licences.is_allowed(one, allowed)]
    outside = pc.invert(pc.is_in(stated, value_set=pa.array(may, pa.string())))
    creditless = pc.and_(credit.asking(stated), pc.is_null(credit.pages(pairs["identity"], pairs["also"])))
    amiss = pc.case_when(
        pc.make_struct(outside, creditless),
        pc.binary_join_element_wise(stated, "is not in image_allow", " "),
        pc.binary_join_element_wise(stated, "asks for credit, and the image has no page", " "),
        pa.scalar(None, pa.string()),
    )
    is_stated = pc.not_equal(stated, licences.NOASSERTION)
    return pc.if_else(pc.and_(outside, is_stated), stated, pa.scalar(None, pa.string())), amiss


def heed_takedowns(rows: pa.Table) -> pa.Table:
    """Take down all pairs of an image of which a pair was named for its picture: by an address of it, say, that no other has.

    Args:
        rows: All `IMAGE_ROWS` of some images.

    Returns:
        The same rows, in the same order.
    """
    taken = rows.filter(pc.and_(pc.equal(rows["reason"], takedowns.REASON), pc.equal(rows["detail"], _PICTURE)))
    if not taken.num_rows:
        return rows
    mine = pc.is_in(rows["image_id"], value_set=pc.unique(taken["image_id"]))
    changed = {"reason": takedowns.REASON, "detail": pa.scalar(None, pa.string())}
    return with_columns(rows, {name: pc.if_else(mine, value, rows[name]) for name, value in changed.items()})


def heed_others(rows: pa.Table) -> pa.Table:
    """Reject the pairs of an image of which another source's pair states a licence that is not allowed.

    Args:
        rows: All `IMAGE_ROWS` of some images.

    Returns:
        The same rows, in the same order.
    """
    refused = rows.filter(pc.is_valid(rows["refused"]))
    if not refused.num_rows:
        return rows
    of_image = refused.group_by("image_id", use_threads=False).aggregate([("refused", "min")])
    at = pc.index_in(rows["image_id"], value_set=of_image["image_id"].combine_chunks())
    others = pc.and_(pc.is_valid(at), pc.is_null(rows["reason"]))
    said = pc.binary_join_element_wise("another source states", of_image["refused_min"].take(at), " ")
    changed = {"reason": "licence", "detail": said}
    return with_columns(rows, {name: pc.if_else(others, value, rows[name]) for name, value in changed.items()})


def _any_is_in(columns: Iterable[pa.Array], wanted: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which rows have one of some keys in any of several columns."""
    found: npt.NDArray[np.bool_] = np.logical_or.reduce([suppressed.is_in(column, wanted) for column in columns])
    return found


def _without(reasons: np.ndarray) -> np.ndarray:
    """Return which rows have no reason yet."""
    return np.array([reason is None for reason in reasons], bool)


@dataclasses.dataclass(frozen=True)
class Gathered:
    """One partition, finished: `IMAGES` and `VIEWS` of what stays, `REJECTED` of what leaves."""

    images: pa.Table
    views: pa.Table
    rejected: pa.Table

    def books(self) -> dict[str, Books]:
        """Return the pairs kept and rejected of each source."""
        return count_books(self.views, self.rejected)


def count_books(kept: pa.Table, rejected: pa.Table) -> dict[str, Books]:
    """Return the books of tables with a `source` column; the second also has `reason`."""
    counts = {row["values"]: row["counts"] for row in pc.value_counts(kept["source"]).to_pylist()}
    left: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rejected.group_by(["source", "reason"], use_threads=False).aggregate([([], "count_all")]).to_pylist():
        left[row["source"]][row["reason"]] = row["count_all"]
    return {
        source: Books(counts.get(source, 0), dict(sorted(left[source].items()))) for source in sorted({*counts, *left})
    }


def reject(rows: pa.Table, stage: str, reasons: pa.Array, details: pa.Array | None = None) -> pa.Table:
    """Return rows (with source, source_id, pair_id, image_id) as `REJECTED`, in order of pair_id."""
    nulls = pa.nulls(rows.num_rows, pa.string())
    table = pa.table(
        {
            "source": rows["source"],
            "source_id": rows["source_id"],
            "pair_id": rows["pair_id"],
            "image_id": rows["image_id"],
            "also": nulls,
            "stage": pa.array([stage] * rows.num_rows, pa.string()),
            "reason": reasons,
            "detail": nulls if details is None else details,
            "where": nulls,
        }
    ).cast(REJECTED)
    return table.take(pc.sort_indices(table, [("pair_id", "ascending")])).combine_chunks()


def gather(rows: pa.Table, shard_bits: int, asked: Asked) -> Gathered:
    """Bring the rows of each image together.

    The places of an image are in this order, each once: local archive members, mirrors, upstream's URLs; among equals
    the source that comes first by name, then upstream's order (mirrors) or the URL itself.

    Args:
        rows: All rows of a partition, `IMAGE_ROWS`, in any order.
        shard_bits: Bits of the image_id that are its fetch shard.
        asked: What the configuration asks of images.
    """
    rows = heed_takedowns(rows)
    if asked.licence.image_allow is not None:
        rows = heed_others(rows)
    rows = rows.combine_chunks()
    if not rows.num_rows:
        return Gathered(IMAGES.empty_table(), VIEWS.empty_table(), REJECTED.empty_table())
    in_order = keys.order(rows["image_id"].chunk(0), rows["pair_id"].chunk(0))
    leaves = rows["reason"].is_valid().to_numpy(zero_copy_only=False)[in_order]
    leaving = rows.take(pa.array(in_order[leaves]))
    kept = rows.drop_columns(["reason", "detail", "refused"]).take(pa.array(in_order[~leaves])).combine_chunks()
    return Gathered(
        _images(kept, shard_bits),
        _views(kept),
        reject(leaving, STAGE, leaving["reason"], leaving["detail"]),
    )


def _views(kept: pa.Table) -> pa.Table:
    """Return pairs as `VIEWS`; nearly all show the image that they came with, and say so by a null."""
    other = pc.not_equal(kept["own_id"], kept["image_id"])
    own_ids = pc.if_else(other, kept["own_id"], pa.scalar(None, KEY))
    return kept.set_column(kept.schema.get_field_index("own_id"), "own_id", own_ids).select(VIEWS.names).cast(VIEWS)


def _images(kept: pa.Table, shard_bits: int) -> pa.Table:
    """Return the images of pairs in order of image_id."""
    if not kept.num_rows:
        return IMAGES.empty_table()
    places = _places(kept)
    image_ids = places["image_id"].chunk(0)
    first = np.r_[True, (keys.raw(image_ids)[1:] != keys.raw(image_ids)[:-1]).any(axis=1)]
    group = np.cumsum(first) - 1
    count = int(group[-1]) + 1
    of_image = pa.array(np.flatnonzero(first))
    image_ids = image_ids.take(of_image)
    names = places["source"].chunk(0).dictionary_encode()
    rank = pc.rank(names.dictionary, tiebreaker="dense").to_numpy().astype(np.int64)[names.indices.to_numpy()]
    by_rank = pc.sort_indices(names.dictionary)
    source_of, source = np.divmod(np.unique(group * (len(names.dictionary) + 1) + rank), len(names.dictionary) + 1)
    with_region = np.zeros(count, bool)
    with_region[group[places["has_region"].chunk(0).to_numpy(zero_copy_only=False)]] = True
    columns = {
        "image_id": image_ids,
        "identity": places["identity"].chunk(0).take(of_image),
        "locations": _locations(places, group, count),
        "sources": pa.ListArray.from_arrays(
            _offsets(source_of, count), names.dictionary.take(by_rank.take(pa.array(source - 1)))
        ),
        "has_region": pa.array(with_region),
        "fetch_shard": pa.array(exchange.partitions(image_ids, shard_bits)),
    }
    return pa.Table.from_arrays([columns[field.name].cast(field.type) for field in IMAGES], schema=IMAGES)


def _places(kept: pa.Table) -> pa.Table:
    """Return the distinct places of each image, in the order that `gather` states but for the kinds, each as one chunk."""
    described = ("image_id", "identity", "source", "image_url", "archive", "mirrors")
    image_ids = keys.raw(kept["image_id"].chunk(0))
    same = (image_ids[1:] == image_ids[:-1]).all(axis=1)
    several = np.r_[same, False] | np.r_[False, same]
    has_region = kept["region"].is_valid().to_numpy()
    places = kept.select(described)
    if several.any():
        # Most images have one place: only the others need grouping and sorting, which compare strings.
        some = np.flatnonzero(several)
        shared = places.take(pa.array(some))
        shared = shared.append_column("row", pa.array(some)).append_column("region", pa.array(has_region[some]))
        shared = shared.group_by(list(described), use_threads=False).aggregate([("row", "min"), ("region", "any")])
        shared = shared.take(pc.sort_indices(shared, [(name, "ascending") for name in described]))
        firsts = shared["row_min"].to_numpy()
        has_region[firsts] = shared["region_any"].to_numpy()
        rows = np.concatenate([np.flatnonzero(~several), firsts])
        rows = rows[np.argsort(np.cumsum(np.r_[True, ~same])[rows], kind="stable")]
        places, has_region = places.take(pa.array(rows)), has_region[rows]
    return places.append_column("has_region", pa.array(has_region)).combine_chunks()


def _locations(places: pa.Table, group: np.ndarray, count: int) -> pa.Array:
    """Return the locations of each of `count` images; `group` tells each place's image."""
    by_kind: list[tuple[np.ndarray, pa.Array]] = []  # image and URL; a kind each
    archived, archive = _given(places["archive"].chunk(0))
    by_kind.append((group[archived], archive))
    mirrored, joined = _given(places["mirrors"].chunk(0))
    mirrors = pc.split_pattern(joined, "\n")
    by_kind.append((group[mirrored][pc.list_parent_indices(mirrors).to_numpy()], mirrors.flatten()))
    linked, link = _given(places["image_url"].chunk(0))
    by_kind.append((group[linked], link))
    image = np.concatenate([where for where, _ in by_kind])
    kind = np.repeat(np.arange(len(_KINDS)), [len(where) for where, _ in by_kind])
    url = pa.concat_arrays([url for _, url in by_kind])
    is_alone = np.bincount(image, minlength=count)[image] == 1
    forms = _forms(url, kind, is_alone, places["identity"].chunk(0).take(pa.array(linked)))
    chosen = np.lexsort((kind, image))  # stable: places of one kind stay in order
    chosen = chosen[forms.is_valid().to_numpy(zero_copy_only=False)[chosen]]
    repeated = ~is_alone[chosen]
    if repeated.any():
        some = chosen[repeated]
        code = forms.take(pa.array(some)).dictionary_encode().indices.to_numpy()
        _, once = np.unique(image[some] * np.int64(len(some)) + code, return_index=True)
        chosen = np.delete(chosen, np.delete(np.flatnonzero(repeated), once))
    kinds = pa.array(_KINDS).take(pa.array(kind[chosen]))
    return pa.ListArray.from_arrays(
        _offsets(image[chosen], count),
        pa.StructArray.from_arrays([kinds, url.take(pa.array(chosen))], fields=list(LOCATION)),
    )


def _forms(url: pa.Array, kind: np.ndarray, is_alone: np.ndarray, identities: pa.Array) -> pa.Array:
    """Return what two places have in common that are one, or null of a URL that is none.

    Most images have one place, and its URL is what they are known by. Then there is nothing to compare, and it is a URL.

    Args:
        url: Of all places, those of upstream's own URLs last.
        kind: Of each.
        is_alone: Whether it is the only place of its image.
        identities: Of those with upstream's own URLs.
    """
    known = kind == _KINDS.index("archive")
    own = np.flatnonzero(kind == _KINDS.index("original"))
    known[own] = is_alone[own] & url_identity.is_the_url(identities, url.take(pa.array(own)))
    looked_up = pa.array(~known)
    return pc.replace_with_mask(url, looked_up, urls.canonical(url.filter(looked_up)))


def _given(column: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Return which values are neither null nor empty, and these."""
    given = pc.fill_null(pc.greater(pc.binary_length(column), 0), fill_value=False)
    return np.flatnonzero(given.to_numpy(zero_copy_only=False)), column.filter(given)


def _offsets(group: np.ndarray, count: int) -> pa.Array:
    """Return the offsets of `count` lists, from the list (ascending) that each value is in."""
    return pa.array(np.searchsorted(group, np.arange(count + 1)), pa.int32())


#: Keys kept to estimate how many there are; the estimate is then within about 3 % (1/√1024).
_SMALLEST: Final = 1024


def estimate_distinct(batches: Iterable[pa.Array]) -> int:
    """Estimate how many distinct keys there are, from the smallest of them (k minimum values; keys are uniform hashes).

    Source: Bar-Yossef et al., Counting Distinct Elements in a Data Stream, RANDOM 2002. Exact below 1,024.
    """
    smallest = np.zeros(0, np.uint64)
    for array in batches:
        heads, _ = keys.halves(array)
        if len(smallest) == _SMALLEST:
            heads = heads[heads < smallest[-1]]  # nearly none, once some batches were seen
        merged = np.sort(np.concatenate([smallest, heads]))
        smallest = merged[np.r_[True, merged[1:] != merged[:-1]]][:_SMALLEST] if len(merged) else merged
    if len(smallest) < _SMALLEST:
        return len(smallest)
    return int((_SMALLEST - 1) / (float(smallest[-1]) / 2**64))


def fetch_shard_bits(count: int) -> int:
    """Return how many bits of the image_id are its fetch shard, where there are so many distinct images (before sampling)."""
    return exchange.bits_for(count, root.IMAGES_PER_SHARD, most=_MOST_SHARD_BITS)
