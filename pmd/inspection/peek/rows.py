"""What the page is made of, read from a ROOT's commits: the books, sampled pairs, sampled rejected rows.

A ROOT may be at any stage, so nothing but a curated source is taken for granted. Files are streamed, and of a row no more
than its keys is read before it is known to be shown.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import flow
from pmd.config.reasons import REASONS
from pmd.errors import VerificationError
from pmd.fetch.ledger import partitions, state, stored
from pmd.inspection import rejected as rejections
from pmd.inspection import upstream
from pmd.inspection.peek import pictures, sampling
from pmd.inspection.peek.pictures import Picture
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import KEY, LEDGER, REJECTED
from pmd.store import commits, parquet_files, root, sealed, storage
from pmd.store.commits import Books

#: Pairs of each source that are looked up in the ledger, at most, until enough are found that are left. So the page of 70M
#: pairs reads some hundred files of the ledger; it shows fewer pairs of a source only where under 1 % of them are left.
CANDIDATES: Final = 4096

#: Captions of one image that are shown: a Visual Genome image has about fifty.
CAPTIONS: Final = 60

#: The stages that judge what has a picture.
_AFTER_FETCH: Final = flow.JUDGING[flow.JUDGING.index(flow.FETCH) + 1 :]

_NOT_FETCHED: Final = "not fetched"


@dataclasses.dataclass(frozen=True)
class SourceBooks:
    """What became of a source's pairs: stage → books, of those stages that are committed and know the source."""

    source: str
    stages: Mapping[str, Books]

    @property
    def total(self) -> int:
        """How many came in."""
        return self.stages[flow.CURATE.name].total

    @property
    def left(self) -> int:
        """How many the last committed stage kept."""
        return self.stages[[stage.name for stage in flow.JUDGING if stage.name in self.stages][-1]].kept


@dataclasses.dataclass(frozen=True)
class Caption:
    """Another caption of a shown image; `same_view` is false where it is of another part of it."""

    source: str
    text: str
    same_view: bool


@dataclasses.dataclass(frozen=True)
class ShownPair:
    """A pair on the page.

    Attributes:
        pair: Its row of `PAIRS`; image_id is its own.
        image_id: The image that stands for its own in later stages.
        captions: Other captions of the image, at most `CAPTIONS`, those of the same view first.
        more_captions: How many others there are.
        ledger: What became of its image, a row of `LEDGER`, or None.
        picture: What is seen.
    """

    pair: Mapping[str, Any]
    image_id: bytes
    captions: tuple[Caption, ...]
    more_captions: int
    ledger: Mapping[str, Any] | None
    picture: Picture


@dataclasses.dataclass(frozen=True)
class ShownRejected:
    """A rejected row on the page.

    Attributes:
        row: Its row of `REJECTED`.
        pair: Its row of `PAIRS`, where it left after it had become a pair.
        ledger: What became of its image, or None.
        attempts: How often its image was tried.
        last: The last of these, a row of `ATTEMPTS`, or None.
        picture: What is seen, where it left because of its picture.
        upstream: Where it stands upstream, and what it says there, where that can still be read.
    """

    row: Mapping[str, Any]
    pair: Mapping[str, Any] | None
    ledger: Mapping[str, Any] | None
    attempts: int
    last: Mapping[str, Any] | None
    picture: Picture | None
    upstream: upstream.Row | None = None


@dataclasses.dataclass(frozen=True)
class _Pick:
    """A pair's keys: its own, its image's."""

    pair_id: bytes
    image_id: bytes
    source: str


def books(root_url: str) -> list[SourceBooks]:
    """Return the books of every curated source, by name."""
    by_source: dict[str, dict[str, Books]] = {}
    for source in root.curated_sources(root_url):
        curated = commits.require(root.curate_folder(root_url, source), f"run: {flow.CURATE.command}")
        by_source[source] = {flow.CURATE.name: curated.sources.get(source, Books())}
    for stage in flow.JUDGING[1:]:
        commit = commits.read(storage.join(root_url, stage.books.path))
        for source, judged in commit.sources.items() if commit is not None else ():
            if source in by_source:
                by_source[source][stage.name] = judged
    return [SourceBooks(source, stages) for source, stages in by_source.items()]


def distinct_images(root_url: str) -> int | None:
    """Return how many distinct images there are, or None where that is not known yet."""
    commit = commits.read(root.images_folder(root_url))
    return None if commit is None else sum(file.rows for file in commit.files)


def pairs(root_url: str, wanted: int, sources: Sequence[str], seed: int) -> list[ShownPair]:
    """Return pairs that no committed stage has rejected, spread evenly over sources.

    Args:
        root_url: ROOT.
        wanted: How many.
        sources: Of which sources.
        seed: Decides which.
    """
    if not wanted:
        return []
    nearest = sampling.Smallest[_Pick](max(CANDIDATES, wanted))
    for pair_id, image_id, source in _keys(root_url, sources):
        place = sampling.rank(seed, pair_id)
        if nearest.accepts((source,), place):
            nearest.add((source,), place, _Pick(pair_id, image_id, source))
    candidates = nearest.strata()
    ledger = _Ledger(root_url)
    gone = _rejected_late(root_url, [pick.pair_id for picks in candidates.values() for pick in picks])
    settled = _settled(root_url)
    left = {
        stratum: (pick for pick in picks if pick.pair_id not in gone and ledger.may_have(pick, settled))
        for stratum, picks in candidates.items()
    }
    return list(_described(root_url, sampling.spread(left, wanted), ledger))


def rejected(root_url: str, wanted: int, sources: Sequence[str], reason: str | None, seed: int) -> list[ShownRejected]:
    """Return rejected rows of every stage, spread evenly over sources and reasons; in order of stages, reasons, sources.

    Args:
        root_url: ROOT.
        wanted: How many.
        sources: Of which sources.
        reason: For which reason; None: for any.
        seed: Decides which.
    """
    if not wanted:
        return []
    nearest = sampling.Smallest[dict[str, Any]](wanted)
    for batch in _rejected_batches(root_url, sources, reason):
        for at, (pair_id, source, why) in enumerate(
            zip(*(batch[name].to_pylist() for name in ("pair_id", "source", "reason")), strict=True)
        ):
            place = sampling.rank(seed, pair_id)
            if nearest.accepts((source, why), place):
                nearest.add((source, why), place, batch.slice(at, 1).to_pylist()[0])
    chosen = sampling.spread(nearest.strata(), wanted)
    order = list(REASONS)
    stages = [stage.name for stage in flow.JUDGING]
    chosen.sort(key=lambda row: (stages.index(row["stage"]), order.index(row["reason"]), row["source"]))
    known = _pair_rows(
        root_url, ((row["source"], row["pair_id"]) for row in chosen if row["stage"] != flow.CURATE.name)
    )
    ledger = _Ledger(root_url)
    found = upstream.read((row["where"] for row in chosen), root_url)
    return [_judged(root_url, row, known.get(row["pair_id"]), ledger, found.get(row["where"])) for row in chosen]


def _judged(
    root_url: str,
    row: dict[str, Any],
    pair: dict[str, Any] | None,
    ledger: _Ledger,
    stands: upstream.Row | None,
) -> ShownRejected:
    stage = flow.BY_NAME[row["stage"]]
    settled = ledger.row(row["image_id"]) if stage in (flow.FETCH, *_AFTER_FETCH) else None
    attempts = ledger.attempts(row["image_id"]) if stage == flow.FETCH else []
    picture = None
    if stage in _AFTER_FETCH:
        picture = _picture(root_url, settled, None if pair is None else pair["region"])
    return ShownRejected(row, pair, settled, len(attempts), attempts[-1] if attempts else None, picture, stands)


def _rejected_batches(root_url: str, sources: Sequence[str], reason: str | None) -> Iterator[pa.RecordBatch]:
    stages = flow.JUDGING if reason is None else (flow.BY_NAME[REASONS[reason][0]],)
    chosen = pa.array(sources, pa.string())
    for stage in stages:
        for path in rejections.files(root_url, stage, sources):
            for batch in parquet_files.iterate(path, REJECTED.names):
                wanted = pc.is_in(batch["source"], value_set=chosen)
                if reason is not None:
                    wanted = pc.and_(wanted, pc.equal(batch["reason"], reason))
                yield batch.filter(wanted)


def _keys(root_url: str, sources: Sequence[str]) -> Iterator[tuple[bytes, bytes, str]]:
    """Yield (pair_id, image_id, source) of the pairs that go on: those in the views; before these, those curate kept."""
    folder = root.views_folder(root_url)
    commit = commits.read(folder)
    known = set() if commit is None else set(commit.sources)
    files = [] if commit is None else [storage.join(folder, file.name) for file in commit.under("pairs")]
    for source in sources:
        if source not in known:
            own = root.curate_folder(root_url, source)
            curated = commits.require(own, f"run: {flow.CURATE.command}")
            files += [storage.join(own, file.name) for file in curated.under("pairs")]
    chosen = pa.array(sources, pa.string())
    for path in files:
        for batch in parquet_files.iterate(path, ["pair_id", "image_id", "source"]):
            rows = batch.filter(pc.is_in(batch["source"], value_set=chosen))
            yield from zip(*(rows[name].to_pylist() for name in ("pair_id", "image_id", "source")), strict=True)


def _rejected_late(root_url: str, pair_ids: Sequence[bytes]) -> set[bytes]:
    """Return those of some pairs that dedupe or shard have rejected."""
    wanted = pa.array(pair_ids, KEY)
    late: set[bytes] = set()
    for stage in _AFTER_FETCH:
        for path in rejections.files(root_url, stage, ()):
            for batch in parquet_files.iterate(path, ["pair_id"]):
                ids = batch["pair_id"]
                late.update(ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist())
    return late


def _settled(root_url: str) -> frozenset[str]:
    """Return the sources whose pairs without a picture the fetch stage has rejected."""
    commit = commits.read(root.fetch_rejected_folder(root_url))
    return frozenset() if commit is None else frozenset(commit.sources)


class _Ledger:
    """What became of images, and the attempts that led there; the files of a few fetch shards are kept in memory."""

    def __init__(self, root_url: str) -> None:
        self._root = root_url
        views = commits.read(root.views_folder(root_url))
        self.cut = None if views is None else partitions.cut(root_url)
        self._shard = functools.lru_cache(maxsize=64)(self._read)

    def row(self, image_id: bytes | None) -> dict[str, Any] | None:
        """Return an image's row of `LEDGER`, or None for one that was not tried."""
        if self.cut is None or image_id is None:
            return None
        table = self._shard(keys.partition_of(image_id, self.cut.shard_bits))
        at = partitions.positions(pa.array([image_id], KEY), table)[0].as_py()
        return None if at is None else dict(table.slice(at, 1).to_pylist()[0])

    def may_have(self, pick: _Pick, settled: frozenset[str]) -> bool:
        """Return whether an image is there, or may still come."""
        row = self.row(pick.image_id)
        return pick.source not in settled if row is None else row["status"] == OK

    def attempts(self, image_id: bytes | None) -> list[dict[str, Any]]:
        """Return an image's attempts, oldest first."""
        if self.cut is None or image_id is None:
            return []
        wanted = pa.scalar(image_id, KEY)
        rows = [
            row
            for path in _attempts_files(self._root, keys.partition_of(image_id, self.cut.shard_bits))
            for batch in parquet_files.iterate(path)
            for row in batch.filter(pc.equal(batch["image_id"], wanted)).to_pylist()
        ]
        return sorted(rows, key=lambda row: (row["generation"], row["when"]))

    def _read(self, shard: int) -> pa.Table:
        return state.read_ledger(self._root, shard).cast(LEDGER).combine_chunks()


def _attempts_files(root_url: str, shard: int) -> Iterator[str]:
    """Yield the files of attempts that a fetch shard's commits list."""
    for _, folder, commit in state.generations(root_url, shard):
        for file in commit.files:
            if "/attempts/" in file.name:
                yield commits.path_of(folder, file.name)


def _described(root_url: str, picks: Sequence[_Pick], ledger: _Ledger) -> Iterator[ShownPair]:
    rows = _pair_rows(root_url, ((pick.source, pick.pair_id) for pick in picks))
    captions = _captions(root_url, {pick.image_id for pick in picks}, ledger.cut)
    for pick in picks:
        pair = rows.get(pick.pair_id)
        if pair is None:  # curated anew since the images were found: the pair is no more
            continue
        others = [row for row in captions[pick.image_id] if row["pair_id"] != pick.pair_id]
        shown = [Caption(row["source"], row["text"], row["region"] == pair["region"]) for row in others]
        shown.sort(key=lambda caption: (not caption.same_view, caption.source, caption.text))
        settled = ledger.row(pick.image_id)
        yield ShownPair(
            pair,
            pick.image_id,
            tuple(shown[:CAPTIONS]),
            max(len(shown) - CAPTIONS, 0),
            settled,
            _picture(root_url, settled, pair["region"]),
        )


def _picture(root_url: str, ledger: Mapping[str, Any] | None, region: Sequence[float] | None) -> Picture:
    if ledger is None:
        return Picture(why_not=_NOT_FETCHED)
    if ledger["status"] != OK:
        return Picture(why_not=f"{_NOT_FETCHED}: {ledger['status']}")
    try:
        content = stored.read(root_url, ledger)
    except VerificationError as error:
        return Picture(why_not=f"damaged: {error.problem} ({error.where})")
    if region is not None and _is_reshaped(ledger):
        return Picture(
            why_not="stored cut to a square or with a border, before a source with regions came: the region is lost"
        )
    return pictures.picture(content, region)


def _is_reshaped(ledger: Mapping[str, Any]) -> bool:
    sides = [ledger[name] for name in ("width_px", "height_px", "stored_width_px", "stored_height_px")]
    return None not in sides and bool(stored.reshaped(*sides))


def _pair_rows(root_url: str, wanted: Iterable[tuple[str, bytes]]) -> dict[bytes, dict[str, Any]]:
    """Return the rows of `PAIRS` of some (source, pair_id)."""
    by_source: dict[str, list[bytes]] = defaultdict(list)
    for source, pair_id in wanted:
        by_source[source].append(pair_id)
    return {
        row["pair_id"]: row
        for source, pair_ids in by_source.items()
        for row in _rows_with(root.curate_folder(root_url, source), "pair_id", pair_ids)
    }


def _rows_with(folder: str, column: str, values: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a folder's pairs that have one of some keys; of other row groups only the keys are read."""
    wanted = pa.array(sorted(values), KEY)
    commit = commits.read(folder)
    for file in () if commit is None else commit.under("pairs"):
        with sealed.open_checked(storage.join(folder, file.name)) as source:
            parquet = pq.ParquetFile(source)
            for group in range(parquet.num_row_groups):
                hits = pc.is_in(
                    parquet.read_row_group(group, columns=[column], use_threads=False)[column], value_set=wanted
                )
                if pc.any(hits).as_py():
                    yield from parquet.read_row_group(group, use_threads=False).filter(hits).to_pylist()


def _captions(root_url: str, image_ids: set[bytes], cut: partitions.Cut | None) -> dict[bytes, list[dict[str, Any]]]:
    """Return image_id → all pairs of the image and of those with the same bytes: pair_id, source, text, region."""
    alike = _alike(root_url, image_ids)
    everyone = {image for images in alike.values() for image in images}
    by_image: dict[bytes, list[dict[str, Any]]] = defaultdict(list)
    for row in _same_images(root_url, everyone, cut):
        by_image[row["image_id"]].append(row)
    return {image: [row for other in sorted(alike[image]) for row in by_image[other]] for image in image_ids}


def _same_images(root_url: str, image_ids: set[bytes], cut: partitions.Cut | None) -> Iterator[dict[str, Any]]:
    if cut is None:
        for source in root.curated_sources(root_url):
            yield from _rows_with(root.curate_folder(root_url, source), "image_id", image_ids)
        return
    wanted = pa.array(sorted(image_ids), KEY)
    for part in sorted({keys.partition_of(image, cut.part_bits) for image in image_ids}):
        views = partitions.read_views(root_url, part, ["image_id", "pair_id", "source", "region", "text"])
        yield from views.filter(pc.is_in(views["image_id"], value_set=wanted)).to_pylist()


def _alike(root_url: str, image_ids: set[bytes]) -> dict[bytes, set[bytes]]:
    """Return image_id → itself and the images that are the same picture, by their bytes or nearly."""
    folder = root.dedupe_folder(root_url)
    commit = commits.read(folder)
    paths = [] if commit is None else [storage.join(folder, file.name) for file in commit.under("groups")]
    kept = {image: image for image in image_ids}
    for _ in range(2):  # equal bytes, then near-duplicates
        steps = {row["image_id"]: row["kept_id"] for row in _group_rows(paths, "image_id", set(kept.values()))}
        kept = {image: steps.get(stands, stands) for image, stands in kept.items()}
    members: dict[bytes, set[bytes]] = defaultdict(set)
    for row in _group_rows(paths, "kept_id", set(kept.values())):
        members[row["kept_id"]].add(row["image_id"])
    further = {image for some in members.values() for image in some}
    for row in _group_rows(paths, "kept_id", further - members.keys()):
        stands = next(stands for stands, some in members.items() if row["kept_id"] in some)
        members[stands].add(row["image_id"])
    return {image: {image, stands, *members[stands]} for image, stands in kept.items()}


def _group_rows(paths: Iterable[str], column: str, image_ids: set[bytes]) -> Iterator[dict[str, Any]]:
    wanted = pa.array(sorted(image_ids), KEY)
    for path in paths:
        for batch in parquet_files.iterate(path):
            yield from batch.filter(pc.is_in(batch[column], value_set=wanted)).to_pylist()


def count_reasons(sources: Iterable[SourceBooks]) -> dict[str, int]:
    """Return how many rows of all sources left for each reason, in the order of the closed list."""
    counts: Counter[str] = Counter()
    for item in sources:
        for stage in item.stages.values():
            counts.update(stage.rejected)
    return {reason: counts[reason] for reason in REASONS if counts[reason]}
