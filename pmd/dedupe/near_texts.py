"""Near-duplicate captions over a whole build: which texts are nearly one, in what no worker need hold whole.

    occurrences   kept views of a part       → `OCCURRENCES`, which meet by text
    texts         all of a partition's       → `TEXTS`: each once, with its images and pairs
    band_keys     those                      → `BANDED`: hashes of their bands, which meet by band
    proposals     all of a partition's       → `PROPOSED`: pairs of texts that agree in a band, which meet by the later one
    asked         those, and their `TEXTS`   → `ASKED`: with the later one's form, which meet by the earlier one
    verified      those, and their `TEXTS`   → `LINKS`: pairs whose sets of shingles match, which meet by the later one
    elect         all `LINKS`, in order      → `MEMBERS`, which meet by text
    groups        those, and their `TEXTS`   → `NEAR_TEXTS`, which is committed

Texts are compared as forms (`pmd.dedupe.captions`); datasketch chooses the bands (`pmd.text.neighbours`). In order of their
keys, a text leads or stays alone unless it matches one before it that has joined none; then it joins the nearest of these. So
every member matches what it has joined, and no chain brings strangers together. Keys are hashes, so partitions are ranges of
this order, and the election goes through them one by one.

**A band that very many texts share** (a million signatures of one agency, say) is not compared all with all: each is proposed
with the first of them and with `BEFORE` before it, so that proposals are at most `BEFORE` + 1 a text and band.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.dedupe import captions
from pmd.schema import keys
from pmd.schema.tables import KEY, NEAR_TEXTS
from pmd.store import exchange
from pmd.text import minhash, neighbours

#: Texts of a band that one is compared with, beside the first.
BEFORE: Final = 3

#: Texts whose band keys, or proposals whose forms, are handed on at once.
_CHUNK: Final = 16_384

#: A kept pair's text, under the image that stands for its own. The form is given once a part.
OCCURRENCES: Final = pa.schema([*captions.STANDS, pa.field("form", pa.string())])

#: A text. In order of text_id.
TEXTS: Final = pa.schema(
    [
        pa.field("text_id", KEY, nullable=False),
        pa.field("form", pa.string(), nullable=False),
        pa.field("images", pa.int64(), nullable=False),
        pa.field("pairs", pa.int64(), nullable=False),
    ]
)
BANDED: Final = pa.schema([pa.field("band", KEY, nullable=False), pa.field("text_id", KEY, nullable=False)])
#: Two texts, of which `earlier` has the smaller key.
PROPOSED: Final = pa.schema([pa.field("text_id", KEY, nullable=False), pa.field("earlier", KEY, nullable=False)])
ASKED: Final = pa.schema([*PROPOSED, pa.field("form", pa.string(), nullable=False)])
LINKS: Final = pa.schema([*PROPOSED, pa.field("jaccard", pa.float64(), nullable=False)])
#: A text and the one that leads its group: itself, or one that it matches. A leader may stand here several times.
MEMBERS: Final = pa.schema([NEAR_TEXTS.field(name) for name in ("text_id", "group_id", "jaccard")])

Order = npt.NDArray[np.int64]


def occurrences(rows: pa.Table, texts: pa.ChunkedArray) -> pa.Table:
    """Return `OCCURRENCES`.

    Args:
        rows: `captions.TEXTS` of a part.
        texts: The text of each.
    """
    ids = rows["text_id"].combine_chunks()
    _, first = np.unique(keys.sortable(ids), return_index=True)
    is_first = np.zeros(len(ids), bool)
    is_first[first] = True
    forms = pc.if_else(pa.array(is_first), captions.forms(texts.combine_chunks()), pa.scalar(None, pa.string()))
    return rows.select(captions.STANDS.names).append_column("form", forms).cast(OCCURRENCES)


def texts(rows: pa.Table) -> pa.Table:
    """Return the `TEXTS` of all `OCCURRENCES` of a partition, in any order."""
    named = rows.group_by("text_id", use_threads=False).aggregate([("form", "max"), ([], "count_all")])
    images = (
        rows.group_by(["text_id", "stands_id"], use_threads=False)
        .aggregate([])
        .group_by("text_id", use_threads=False)
        .aggregate([([], "count_all")])
    )
    at = pc.index_in(named["text_id"], value_set=images["text_id"].combine_chunks())
    found = pa.table(
        [named["text_id"], named["form_max"], images["count_all"].take(at), named["count_all"]], names=TEXTS.names
    )
    return found.sort_by("text_id").cast(TEXTS).combine_chunks()


def band_keys(rows: pa.Table, bands: neighbours.Bands) -> Iterator[pa.RecordBatch]:
    """Yield `BANDED`: for each of `TEXTS` and each band a hash of its minima, and the band's number."""
    for start in range(0, rows.num_rows, _CHUNK):
        some = rows.slice(start, _CHUNK)
        ids = some["text_id"].combine_chunks()
        minima = minhash.signatures(some["form"].to_pylist())
        for band, hashed in enumerate(neighbours.band_words(minima, bands)):
            words = np.stack([hashed, np.full(len(ids), band, np.uint64)], axis=1)
            yield pa.RecordBatch.from_arrays([_keys(words), ids], schema=BANDED)


def proposals(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield `PROPOSED`: of the texts that share a band, each with the first and with `BEFORE` before it, in order of keys.

    Args:
        rows: All `BANDED` of a partition, in any order.
    """
    band, text = (keys.halves(rows[name].combine_chunks()) for name in BANDED.names)
    order = np.lexsort((text[1], text[0], band[1], band[0]))
    differs = [np.diff(half[order]) != 0 for half in band]
    places = np.arange(len(order))
    starts = np.maximum.accumulate(np.where(np.r_[True, differs[0] | differs[1]][: len(order)], places, 0))
    ids = rows["text_id"].combine_chunks()
    for back in range(1, BEFORE + 1):
        later = places[places - back >= starts]
        yield _proposed(ids, order[later], order[later - back])
    later = places[places - BEFORE > starts]
    yield _proposed(ids, order[later], order[starts[later]])


def _proposed(ids: pa.Array, later: Order, earlier: Order) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([ids.take(pa.array(later)), ids.take(pa.array(earlier))], schema=PROPOSED)


def asked(rows: pa.Table, known: pa.Table) -> Iterator[pa.RecordBatch]:
    """Yield `ASKED`: each of all `PROPOSED` of a partition once, with the later text's form.

    Args:
        rows: All `PROPOSED` of a partition, in any order.
        known: `TEXTS` of the partition, those that `rows` names at least.
    """
    rows = rows.group_by(PROPOSED.names, use_threads=False).aggregate([])
    ids = known["text_id"].combine_chunks()
    for start in range(0, rows.num_rows, _CHUNK):
        some = rows.slice(start, _CHUNK)
        forms = known["form"].take(pc.index_in(some["text_id"], value_set=ids))
        yield from some.append_column("form", forms).select(ASKED.names).cast(ASKED).combine_chunks().to_batches()


def verified(rows: pa.Table, known: pa.Table, threshold: float) -> pa.Table:
    """Return the `LINKS` of those pairs whose sets of shingles match.

    Args:
        rows: `ASKED`, some of a partition's.
        known: `TEXTS` of the partition of the earlier ones, those that `rows` names at least.
        threshold: The least Jaccard similarity of two that match.
    """
    rows = rows.sort_by("earlier")
    forms = known["form"].take(pc.index_in(rows["earlier"], value_set=known["text_id"].combine_chunks()))
    similarities = np.zeros(rows.num_rows)
    last, theirs = "", minhash.shingle_set("")
    for place, (mine, other) in enumerate(zip(rows["form"].to_pylist(), forms.to_pylist(), strict=True)):
        if other != last:
            last, theirs = other, minhash.shingle_set(other)
        similarities[place] = minhash.jaccard(minhash.shingle_set(mine), theirs, threshold)
    found = rows.select(PROPOSED.names).append_column("jaccard", pa.array(similarities))
    return found.filter(pa.array(similarities >= threshold)).cast(LINKS).combine_chunks()


def elect(linked: Iterable[tuple[int, pa.Table]], bits: int) -> Iterator[pa.Table]:
    """Hold the election: yield the `MEMBERS` of each partition, and those that they have joined.

    What is kept of earlier partitions is the keys of those that have joined another: 16 bytes a text.

    Args:
        linked: Each partition that has any, ascending, and all its `LINKS`, in any order.
        bits: How many bits of a key name its partition.
    """
    joined: dict[int, npt.NDArray[np.bytes_]] = {}
    for partition, links in linked:
        members = _elected(links, partition, bits, joined)
        joined[partition] = keys.sortable(members["text_id"].combine_chunks())
        leaders = members["group_id"].unique()
        alone = pa.table([leaders, leaders, pa.array(np.ones(len(leaders)))], schema=MEMBERS)
        yield pa.concat_tables([members, alone])


def _elected(links: pa.Table, partition: int, bits: int, joined: dict[int, npt.NDArray[np.bytes_]]) -> pa.Table:
    """Return the `MEMBERS` among a partition's texts, in order; `joined`: those of earlier partitions, in order."""
    links = links.sort_by([("text_id", "ascending"), ("jaccard", "descending"), ("earlier", "ascending")])
    numbers = exchange.partitions(links["earlier"], bits)
    sortable = keys.sortable(links["earlier"].combine_chunks())
    gone = np.zeros(links.num_rows, bool)
    for number in np.unique(numbers).tolist():
        among = joined.get(number)
        if among is not None and len(among):
            mine = np.flatnonzero(numbers == number)
            at = np.minimum(np.searchsorted(among, sortable[mine]), len(among) - 1)
            gone[mine] = among[at] == sortable[mine]
    here: set[bytes] = set()
    chosen = []
    columns = (links["text_id"].to_pylist(), links["earlier"].to_pylist(), gone.tolist())
    for place, (text, earlier, has_joined) in enumerate(zip(*columns, strict=True)):
        if text not in here and not has_joined and earlier not in here:
            here.add(text)
            chosen.append(place)
    return links.take(pa.array(chosen, pa.int64())).rename_columns(MEMBERS.names).cast(MEMBERS)


def groups(known: pa.Table, members: pa.Table) -> pa.Table:
    """Return the `NEAR_TEXTS` of a partition, in order of text_id.

    Args:
        known: `TEXTS` of the partition.
        members: All `MEMBERS` of the partition, in any order.
    """
    members = members.group_by(MEMBERS.names, use_threads=False).aggregate([]).sort_by("text_id")
    found = known.take(pc.index_in(members["text_id"], value_set=known["text_id"].combine_chunks()))
    columns = [*(members[name] for name in MEMBERS.names), found["images"], found["pairs"], found["form"]]
    return pa.table(columns, names=NEAR_TEXTS.names).cast(NEAR_TEXTS).combine_chunks()


def capped(rows: pa.Table, found: pa.Table) -> pa.Table:
    """Return a partition's texts as `captions.TEXTS`, those of a group under the group's key.

    Args:
        rows: `captions.STANDS` of the partition.
        found: Its `NEAR_TEXTS`; none: each text stands for itself.
    """
    at = pc.index_in(rows["text_id"], value_set=found["text_id"].combine_chunks())
    group = pc.coalesce(found["group_id"].take(at), rows["text_id"])
    columns = [group, *(rows[name] for name in captions.STANDS.names[1:]), pc.is_valid(at)]
    return pa.table(columns, names=captions.TEXTS.names).cast(captions.TEXTS)


def _keys(words: npt.NDArray[np.uint64]) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(KEY, len(words), [None, pa.py_buffer(words.tobytes())])
