"""Parts: images, views and the ledger are all cut by the first bits of the image's key, so a join reads two files.

A part is what one worker holds at a time. Part p of 2^b covers the fetch shards whose numbers start with p's bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd import flow
from pmd.config.options import FetchOptions
from pmd.fetch.ledger import state
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import IMAGES, LEDGER, VIEWS, VIEWS_LATER
from pmd.store import commits, parquet_files, register, root
from pmd.store.register import Generation, Register


@dataclasses.dataclass(frozen=True)
class Cut:
    """How a ROOT's images are cut: into 2^part_bits parts, and 2^shard_bits fetch shards."""

    part_bits: int
    shard_bits: int

    def shards(self, part: int, bits: int | None = None) -> range:
        """Return the fetch shards of a part (of 2^bits; by default of the views' own cut)."""
        width = self.shard_bits - (self.part_bits if bits is None else bits)
        return range(part << width, (part + 1) << width)

    def part_of(self, shard: int) -> int:
        """Return the part that holds a fetch shard."""
        return shard >> (self.shard_bits - self.part_bits)


def cut(root_url: str) -> Cut:
    """Return how the views are cut.

    Raises:
        RootError: There are none.
    """
    facts = commits.require(root.views_folder(root_url), "run: pmd build CONFIG").facts
    return Cut(int(facts["part_bits"]), int(facts["fetch_shard_bits"]))


def shard_bits(fetched: Iterable[tuple[int, Iterable[Generation]]], otherwise: int) -> int:
    """Return by how many bits of their keys images are cut into fetch shards, as what was fetched tells.

    For a ROOT that says it nowhere else: `fetch/` was copied alone, or root.json is gone and the commits of the images with it.
    Cut otherwise, every picture would be asked for again. A shard's number is the first bits of its keys, so these tell how
    many there are; of the first shard they may fit several numbers of bits.

    Args:
        fetched: The fetch shards with their generations, or those that can be read, in any order.
        otherwise: The bits where nothing tells them.
    """
    for shard, known in sorted(fetched, key=lambda one: one[0], reverse=True):
        image_ids = state.standing(known, columns=("image_id", "status"))["image_id"].combine_chunks()
        heads, _ = keys.halves(image_ids)
        ends = {int(head) for head in (*heads[:1], *heads[-1:])}  # in order
        fitting = [bits for bits in range(64) if {head >> (64 - bits) for head in ends} == {shard}]
        if fitting:
            return otherwise if otherwise in fitting else fitting[-1]
    return otherwise


def view_files(root_url: str) -> list[commits.File]:
    """Return the committed files of views."""
    return commits.require(root.views_folder(root_url), "run: pmd build CONFIG").under("pairs")


def image_files(root_url: str) -> tuple[commits.File, ...]:
    """Return the committed files of images."""
    return commits.require(root.images_folder(root_url), "run: pmd build CONFIG").files


def read_views(root_url: str, part: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the views of a part, in order of (image_id, pair_id)."""
    folder = root.views_folder(root_url)
    files = [file for file in view_files(root_url) if flow.part_number(file.name) == part]
    schema = VIEWS if columns is None else pa.schema([VIEWS.field(name) for name in columns])
    tables = [widened(parquet_files.read_table(folder, file, columns, VIEWS_LATER), schema) for file in files]
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()


def widened(views: pa.Table, schema: pa.Schema = VIEWS) -> pa.Table:
    """Return views as this version has them: of columns that an earlier one had not, nulls."""
    for name in VIEWS_LATER:
        if name in schema.names and name not in views.schema.names:
            views = views.append_column(schema.field(name), pa.nulls(views.num_rows, schema.field(name).type))
    return views.select(schema.names).cast(schema)


def read_images(
    root_url: str, part: int, columns: Sequence[str] | None = None, committed: Iterable[commits.File] | None = None
) -> pa.Table:
    """Return the images of a part, in order of image_id; who reads many parts gives `committed`, that the commit is read once."""
    folder = root.images_folder(root_url)
    known = image_files(root_url) if committed is None else committed
    files = [file for file in known if flow.part_number(file.name) == part]
    schema = IMAGES if columns is None else pa.schema([IMAGES.field(name) for name in columns])
    return pa.concat_tables(
        [schema.empty_table(), *(parquet_files.read_table(folder, file, columns) for file in files)]
    )


def read_shard(root_url: str, shard: int, columns: Sequence[str] = IMAGES.names) -> pa.Table:
    """Return the images of a fetch shard, in order of image_id."""
    layout = cut(root_url)
    images = read_images(root_url, layout.part_of(shard), [*dict.fromkeys([*columns, "fetch_shard"])])
    return images.filter(pc.equal(images["fetch_shard"], shard)).select(list(columns))


def pending(
    known: Register, options: FetchOptions, retry: Collection[str] = ()
) -> Iterator[tuple[int, pa.Table, pa.Table, pa.Table]]:
    """Yield each fetch shard that has images: its number, their keys and places, the ledger, and those still to be fetched.

    Args:
        known: What stands of the fetch.
        options: Which limits and places count (`state.to_fetch`).
        retry: Statuses whose images are tried anew.
    """
    layout = cut(known.root)
    committed = image_files(known.root)
    ended = state.last_end(known.root) if retry else 0
    for part in range(2**layout.part_bits):
        images = read_images(known.root, part, ("image_id", "locations", "fetch_shard"), committed)
        for shard in layout.shards(part):
            mine = images.filter(pc.equal(images["fetch_shard"], shard))
            if mine.num_rows:
                generations = known.of(shard)
                ledger = state.standing(generations)
                yield shard, mine, ledger, state.to_fetch(generations, mine, ledger, options, retry, ended)


def read_ledger(root_url: str, shards: range, columns: Sequence[str] = LEDGER.names) -> pa.Table:
    """Return the effective ledger of a range of fetch shards: for workers, by the register that their driver has left.

    Args:
        root_url: ROOT.
        shards: The fetch shards.
        columns: See `state.standing`.
    """
    return standing(read_generations(root_url, shards), columns)


def read_generations(root_url: str, shards: range) -> list[tuple[Generation, ...]]:
    """Return the generations of each of a range of fetch shards: for workers, by the register that their driver has left."""
    known = register.trusted(root_url)
    return own_generations(root_url, shards) if known is None else [known.of(shard) for shard in shards]


def own_generations(root_url: str, shards: range) -> list[tuple[Generation, ...]]:
    """Return the same by the shards' own commits, for who believes nothing else."""
    return [state.own(root_url, shard) for shard in shards]


def standing(generations: Iterable[Sequence[Generation]], columns: Sequence[str] = LEDGER.names) -> pa.Table:
    """Return the effective ledger of fetch shards, by the generations of each; `columns` as of `state.standing`."""
    schema = pa.schema([LEDGER.field(name) for name in columns])
    ledgers = (state.standing(known, columns=columns).cast(schema) for known in generations)
    return pa.concat_tables([schema.empty_table(), *ledgers]).combine_chunks()


def positions(image_ids: pa.ChunkedArray | pa.Array, ledger: pa.Table) -> pa.Array:
    """Return the row of the ledger (or another table with image_id) that each image has; null where it has none."""
    at = places(image_ids, ledger)
    return pa.array(at, pa.int32(), mask=at < 0)


def places(image_ids: pa.ChunkedArray | pa.Array, ledger: pa.Table) -> NDArray[np.int64]:
    """Return the same as numbers; -1 where an image has no row."""
    wanted = image_ids.combine_chunks() if isinstance(image_ids, pa.ChunkedArray) else image_ids
    return keys.places(wanted, ledger["image_id"].combine_chunks())


def statuses(views: pa.Table, ledger: pa.Table) -> pa.Array:
    """Return what became of each view's image: a status, or "not_fetched"."""
    recorded = ledger["status"].take(positions(views["image_id"], ledger))
    return pc.fill_null(recorded, "not_fetched").combine_chunks()


def fetched(views: pa.Table, ledger: pa.Table) -> pa.Table:
    """Return the views whose image is there."""
    return views.filter(pc.equal(statuses(views, ledger), OK))
