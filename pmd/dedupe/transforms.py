"""De-duplication on Beam: images meet by digest, groups go to the parts of their images, parts are judged.

Hashes for near-duplicates come together in runs once; one worker numbers the rows and packs their hashes into one file
(`pmd.dedupe.packed`), which each share of the search maps. It writes the links that it finds; one worker brings these together,
reads the run files again for the rows that are linked, and holds the elections. Texts meet by their form, and what
leaves for a text on too many images goes back to its part.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config.asked import Asked
from pmd.dedupe import captions, election, evaluation, near, packed, splits
from pmd.dedupe import rules as dedupe_rules
from pmd.dedupe.group_transforms import MARKS, Groups, marks, related
from pmd.engines.partitions import part_of
from pmd.engines.transforms import Collected, Spreads, SpreadsMet, outputs
from pmd.fetch.ledger import partitions
from pmd.images import rules as images_rules
from pmd.schema.tables import BARE_VIEWS, KEY, SPLITS
from pmd.store import exchange, parquet_files, storage
from pmd.store.exchange import Rows
from pmd.store.proposals import Proposal


@dataclasses.dataclass(frozen=True)
class FindLeaving(Spreads):
    """Find a part's images that leave for themselves, before any are compared with each other: evaluation images.

    These the driver has written to a file of the run. Who finds others that leave, whatever stands beside them, finds them here.
    """

    root: str
    cut: partitions.Cut
    work: str
    asked: Asked

    kinds = exchange.one_kind(dedupe_rules.RELATED)

    def write(self, known: pa.Table) -> None:
        """Write the evaluation images."""
        storage.put(self._path, parquet_files.to_bytes(known), durable=False)

    @property
    def _path(self) -> str:
        return storage.join(self.work, "evaluation.parquet")

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows | pa.RecordBatch]:
        """PARTS of one row → `rules.RELATED`, and the PARTS, once what leaves of the part stands in a file of the run."""
        part = part_of(batch)
        known = pa.Table.from_batches(list(parquet_files.iterate(self._path)), schema=evaluation.KNOWN)
        wanted = partitions.read_views(self.root, part, ["image_id"])["image_id"].unique()
        ledger = partitions.read_ledger(self.root, self.cut.shards(part))
        found = dedupe_rules.overlaps(ledger, wanted, known, self.asked)
        storage.put(_leaving_path(self.work, part), parquet_files.to_bytes(found), durable=False)
        yield related(found, self.cut.part_bits)
        yield batch


def _leaving_path(work: str, part: int) -> str:
    return storage.join(work, f"leaving-{part:05d}.parquet")


def _leaving(work: str, part: int) -> pa.Array:
    """Return the images of a part that leave for themselves (`FindLeaving`): none where these were not looked for."""
    path = _leaving_path(work, part)
    found = [batch["image_id"] for batch in parquet_files.iterate(path, ["image_id"])] if storage.exists(path) else []
    return pa.concat_arrays([pa.array([], KEY), *(ids.cast(KEY) for ids in found)])


@dataclasses.dataclass(frozen=True)
class SpreadHashes(Spreads):
    """Give the digests of a part's images."""

    root: str
    cut: partitions.Cut
    work: str
    bits: int

    kinds = exchange.one_kind(dedupe_rules.HASHES)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """PARTS of one row → `rules.HASHES`."""
        part = part_of(batch)
        wanted = dedupe_rules.to_compare(self.root, part, _leaving(self.work, part))
        rows = dedupe_rules.hashes(partitions.read_ledger(self.root, self.cut.shards(part)), wanted)
        yield from exchange.by_key(rows.to_batches(), "key", self.bits)


@dataclasses.dataclass(frozen=True)
class FindGroups(SpreadsMet):
    """Find the groups of a partition of digests."""

    asked: Asked
    bits: int  # of parts, and of partitions of digests
    work: str

    kinds: ClassVar[Mapping[str, pa.Schema]] = {"": dedupe_rules.RELATED, MARKS: dedupe_rules.MARKS}

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition, all its RUNS) → `rules.RELATED`, and `rules.MARKS` where near-duplicates are looked for."""
        found = dedupe_rules.groups(exchange.read(self.work, keyed[1], dedupe_rules.HASHES), self.asked)
        yield related(found, self.bits)
        if self.asked.dedupe.near == "merge":
            yield from marks(found, self.bits)


#: What is to be searched, by one of `near.SHARES`.
SEARCHES = pa.schema(
    [
        pa.field("share", pa.int32(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("hashes", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
    ]
)

#: Where links stand, and how many rows there are in all.
LINKED = pa.schema([pa.field("path", pa.string(), nullable=False), pa.field("rows", pa.int64(), nullable=False)])


@dataclasses.dataclass(frozen=True)
class FindEqual(SpreadsMet):
    """Find the images of a partition of digests whose bytes are equal, where these are not merged."""

    bits: int  # of parts, and of partitions of digests
    work: str

    kinds = exchange.one_kind(dedupe_rules.RELATED)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition, all its RUNS) → `rules.RELATED`, of `splits.EQUAL_BYTES`."""
        yield related(splits.equal(exchange.read(self.work, keyed[1], dedupe_rules.HASHES)), self.bits)


@dataclasses.dataclass(frozen=True)
class FindHeld:
    """Find the groups that pairs of a part keep out of training."""

    root: str
    cut: partitions.Cut
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """PARTS of one row, whose groups stand → HELD."""
        part = part_of(batch)
        views = splits.restricted(partitions.read_views(self.root, part, splits.NEEDED))
        if not views.num_rows:  # as of most sources: upstream has them in train alone
            return
        groups = Groups(self.work).read(part)
        kept, _ = dedupe_rules.judge(views, partitions.read_ledger(self.root, self.cut.shards(part)), groups)
        yield from splits.held(kept, groups).combine_chunks().to_batches()


@dataclasses.dataclass(frozen=True)
class SpreadHashed(Spreads):
    """Give the perceptual hashes of a part's images that are left."""

    root: str
    cut: partitions.Cut
    work: str

    kinds = exchange.one_kind(near.HASHED)

    @property
    def partitions(self) -> int:
        """How many there are."""
        return 1 << self.cut.part_bits

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(part, its PARTS of one row and its RUNS of `rules.MARKS`) → `near.HASHED`, all of which meet."""
        part, batches = keyed
        runs = exchange.runs_among(batches)
        marked = exchange.read(self.work, runs, dedupe_rules.MARKS)
        views = partitions.read_views(self.root, part, ["image_id", "region"])
        out = pc.is_in(views["image_id"], value_set=_leaving(self.work, part))
        views = views.filter(pc.invert(out))
        rows = dedupe_rules.hashed(views, partitions.read_ledger(self.root, self.cut.shards(part)), marked)
        yield from exchange.by_key(rows.to_batches(), "image_id", 0)


@dataclasses.dataclass(frozen=True)
class PackHashes:
    """Number all rows, in the order in which their runs are named, and pack their hashes; connect those that are equal."""

    work: str

    def __call__(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """(0, all RUNS) → a batch of SEARCHES for each share, LINKED, and all RUNS in one batch, in order."""
        runs = pa.Table.from_batches(list(keyed[1]), schema=exchange.RUNS).combine_chunks()
        pieces = exchange.iterate(self.work, runs.to_batches(), near.HASHED)
        made, equal = packed.pack(self.work, pieces)
        yield from runs.to_batches()
        yield _linked(packed.write_links(self.work, equal), made.rows)
        for share in range(near.SHARES):
            row = dataclasses.asdict(made) | {"share": share}
            yield pa.RecordBatch.from_pylist([row], schema=SEARCHES)


def _linked(path: str, rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"path": path, "rows": rows}], schema=LINKED)


@dataclasses.dataclass(frozen=True)
class FindLinks:
    """Do one share of the search; write the links to a file."""

    asked: Asked
    work: str

    def __call__(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """SEARCHES of one share → LINKED."""
        (row,) = batch.to_pylist()
        share = row.pop("share")
        hashes, first = packed.Packed(**row).opened()
        found = near.links(hashes, self.asked.dedupe.near_distance, share)
        yield _linked(packed.write_links(self.work, first[found]), row["rows"])


@dataclasses.dataclass(frozen=True)
class Elect(Spreads):
    """Hold the elections among all that is linked."""

    asked: Asked
    part_bits: int
    work: str

    kinds = exchange.one_kind(dedupe_rules.RELATED)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(0, all LINKED, and all RUNS of the rows in order) → `rules.RELATED`."""
        batches = list(keyed[1])
        linked = [row for batch in batches if batch.schema == LINKED for row in batch.to_pylist()]
        runs = exchange.runs_among(batches)
        rows, component = near.gathered(
            exchange.iterate(self.work, runs, near.HASHED),
            linked[0]["rows"],
            packed.read_links(row["path"] for row in linked),
        )
        matches = election.elect(rows, component, self.asked.dedupe.near_distance)
        yield related(dedupe_rules.near_groups(matches), self.part_bits)


def kept_texts(root_url: str, cut: partitions.Cut, part: int, work: str) -> tuple[pa.Table, pa.Table]:
    """Return the views of a part that its GROUPS leave, and their `captions.TEXTS`, row by row."""
    groups = Groups(work).read(part)
    views = partitions.read_views(root_url, part, BARE_VIEWS.names)
    ledger = partitions.read_ledger(root_url, cut.shards(part))
    kept, _ = dedupe_rules.judge(views, ledger, groups)
    return kept, dedupe_rules.texts(kept, groups)


@dataclasses.dataclass(frozen=True)
class SpreadTexts(Spreads):
    """Give the texts of a part's pairs that are left."""

    root: str
    cut: partitions.Cut
    work: str

    kinds = exchange.one_kind(captions.TEXTS)

    def rows(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """PARTS of one row, whose groups stand → `captions.TEXTS`."""
        _, texts = kept_texts(self.root, self.cut, part_of(batch), self.work)
        yield from exchange.by_key(texts.combine_chunks().to_batches(), "text_id", self.cut.part_bits)


@dataclasses.dataclass(frozen=True)
class FindRepeated(SpreadsMet):
    """Find what leaves so that no text of a partition stands on too many images, by part."""

    asked: Asked
    bits: int  # of parts, and of partitions of texts
    work: str

    kinds = exchange.one_kind(captions.REPEATED)

    def rows(self, keyed: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[Rows]:
        """(partition, all its RUNS) → `captions.REPEATED`."""
        most = self.asked.dedupe.max_images_per_text
        assert most is not None
        rows = captions.over(exchange.read(self.work, keyed[1], captions.TEXTS), most)
        yield from exchange.by_key(rows.to_batches(), "image_id", self.bits)


@dataclasses.dataclass(frozen=True)
class JudgePart:
    """Reject the pairs of placeholders, and those of texts on too many images; write whose split is another; count and digest."""

    root: str
    folder: str
    cut: partitions.Cut
    work: str

    def __call__(
        self, keyed: tuple[int, Iterable[pa.RecordBatch]], found: Iterable[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """(part, its PARTS of one row and its RUNS of `FindRepeated`), and all HELD → OUTPUTS."""
        part, batches = keyed
        groups, held = Groups(self.work).read(part), pa.Table.from_batches(list(found), schema=splits.HELD)
        views = partitions.read_views(self.root, part, splits.NEEDED)
        ledger = partitions.read_ledger(self.root, self.cut.shards(part))
        runs = exchange.runs_among(batches)
        repeated = exchange.read(self.work, runs, captions.REPEATED)
        changed = SPLITS.empty_table()
        if held.num_rows:
            changed = splits.moved(dedupe_rules.judge(views, ledger, groups)[0], groups, held)
        kept, rejected = dedupe_rules.judge(views, ledger, groups, repeated)
        part_name = flow.part(part, self.cut.part_bits)
        files = [
            parquet_files.put_table(self.folder, f"{folder}{part_name}", table)
            for folder, table in ((flow.GROUPS.rejects, rejected), ("splits/", changed))
            if table.num_rows
        ]
        survivors = dedupe_rules.survivors_digest(kept, ledger, changed)
        fact = {
            "survivors": {source: f"{value:016x}" for source, value in survivors.items()},
            "moved": splits.count_moved(kept, changed),
        }
        yield outputs(files, images_rules.count_books(kept, rejected), [orjson.dumps(fact).decode()])


def with_survivors(proposal: Proposal, found: Collected) -> Proposal:
    """Return a proposal with what the parts tell of each source: the digest of its survivors, and pairs in another split."""
    totals: Counter[str] = Counter()
    moved: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fact in map(orjson.loads, found.facts):
        totals.update({source: int(digest, 16) for source, digest in fact["survivors"].items()})
        for source, counts in fact["moved"].items():
            moved[source].update(counts)
    survivors = {source: f"{value % 2**64:016x}" for source, value in sorted(totals.items())}
    splits_moved = {source: dict(sorted(counts.items())) for source, counts in sorted(moved.items())}
    return proposal.with_facts({"survivors": survivors, "moved_splits": splits_moved})
