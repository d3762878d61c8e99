"""What each table is read from: the files that the commits of a ROOT list, or those of published lists.

Files are streamed, a row group at a time, and each is checked against the digest in its name before any of it is used
(`pmd.store.sealed`). A stage that has not been run is an error, never an empty table.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow, manifests
from pmd.books import list_files
from pmd.errors import RootError
from pmd.fetch.ledger import partitions, state
from pmd.inspection import rejected as rejections
from pmd.library.tables import Selection, Table, matching
from pmd.publish import lists
from pmd.schema.tables import IMAGES, LEDGER, PAIRS, REJECTED, VIEWS
from pmd.store import commits, parquet_files, register, root, storage, withdrawn
from pmd.store.commits import STAGE_FILE, Commit


def of_root(name: str, root_url: str) -> Table:
    """Return a table of a ROOT: pairs, views, rejected, images, ledger or published."""
    known = functools.partial(root.curated_sources, root_url)
    read = functools.partial(_READERS[name], root_url)
    # No lambda: a table goes to the workers of a loader, pickled.
    stages = {"stage": _judging} if name == "rejected" else {}
    return Table.of(name, root_url, _SCHEMAS[name], read, source=known, **stages)


def _judging() -> list[str]:
    return [stage.name for stage in flow.JUDGING]


def of_lists(url: str) -> Table:
    """Return the rows of published lists."""
    read = functools.partial(_listed, url)
    return Table.of("published", url, lists.ROWS, read, source=functools.partial(_sources_listed, url))


def require(root_url: str, folder: str, stage: flow.Stage) -> Commit:
    """Return the commit of a folder.

    Raises:
        RootError: The stage has not been run.
    """
    commit = commits.read(folder)
    if commit is None:
        raise not_run(root_url, folder, stage)
    return commit


def not_run(root_url: str, folder: str, stage: flow.Stage) -> RootError:
    """Return what is said where a stage's output is asked for that has not been run."""
    have = root.curated_sources(root_url)
    return RootError(
        f"the stage {stage.name} has not been run here",
        where=folder,
        expected=STAGE_FILE,
        found="nothing" if have else "nothing, and no source is curated",
        remedy="run: pmd build CONFIG, or pmd.build(CONFIG)",
    )


def _curated(root_url: str, wanted: Selection) -> Sequence[str]:
    sources = wanted.sources if wanted.sources is not None else root.curated_sources(root_url)
    if not sources:
        raise not_run(root_url, storage.join(root_url, flow.PAIRS.above), flow.CURATE)
    return sources


def _pairs(root_url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    for source in _curated(root_url, wanted):
        folder = root.curate_folder(root_url, source)
        for file in require(root_url, folder, flow.CURATE).under("pairs"):
            yield from parquet_files.iterate(storage.join(folder, file.name), wanted.columns)


def _views(root_url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    folder = root.views_folder(root_url)
    for file in require(root_url, folder, flow.IMAGES).under("pairs"):
        for batch in parquet_files.iterate(storage.join(folder, file.name), {*wanted.columns, "source"}):
            yield matching(batch, "source", wanted.sources)


def _rejected(root_url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    """Yield the rows of the stages that have been run; of those that are named, each must have been."""
    sources = _curated(root_url, wanted)
    named = None if wanted.stages is None else [flow.BY_NAME[name] for name in wanted.stages]
    for stage in flow.JUDGING if named is None else named:
        if named is not None:
            for folder in rejections.folders(root_url, stage, sources):
                require(root_url, folder, stage)
        for path in rejections.files(root_url, stage, sources):
            for batch in parquet_files.iterate(path, {*wanted.columns, "source"}):
                yield matching(batch, "source", wanted.sources)


def _images(root_url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    folder = root.images_folder(root_url)
    for file in require(root_url, folder, flow.IMAGES).files:
        for batch in parquet_files.iterate(storage.join(folder, file.name), {*wanted.columns, "sources"}):
            yield _shown_by(batch, wanted.sources)


def _shown_by(images: pa.RecordBatch | pa.Table, sources: Sequence[str] | None) -> pa.RecordBatch | pa.Table:
    """Return the images that a pair of one of some sources shows."""
    if sources is None:
        return images
    shown = images["sources"].combine_chunks() if isinstance(images, pa.Table) else images["sources"]
    of_them = pc.is_in(shown.flatten(), value_set=pa.array(sources, pa.string()))
    return images.take(pc.unique(pc.list_parent_indices(shown).filter(of_them)))


def _ledger(root_url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    """Yield what stands for each image, a fetch shard at a time."""
    shown = _ShownBy(root_url, wanted.sources) if wanted.sources is not None else None
    found = False
    known = register.current(root_url)
    for shard in known.shards:
        rows = state.standing(known.of(shard)).cast(LEDGER)
        found = found or rows.num_rows > 0
        if shown is not None:
            rows = rows.filter(pc.is_in(rows["image_id"], value_set=shown.in_shard(shard)))
        yield from rows.combine_chunks().to_batches()
    if not found:
        raise not_run(root_url, storage.join(root_url, flow.GENERATION.above), flow.FETCH)


class _ShownBy:
    """The images that some sources show; those of one part are in memory."""

    def __init__(self, root_url: str, sources: Sequence[str]) -> None:
        self._root, self._sources, self._cut = root_url, sources, partitions.cut(root_url)
        self._part = functools.lru_cache(maxsize=1)(self._read)

    def in_shard(self, shard: int) -> pa.Array:
        return self._part(self._cut.part_of(shard))

    def _read(self, part: int) -> pa.Array:
        images = partitions.read_images(self._root, part, ("image_id", "sources"))
        return _shown_by(images.combine_chunks(), self._sources)["image_id"].combine_chunks()


def _published(root_url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    sources = wanted.sources if wanted.sources is not None else root.published_sources(root_url)
    if not sources:
        raise not_run(root_url, storage.join(root_url, flow.LISTS.above), flow.PUBLISH)
    for source in sources:
        folder = root.publish_folder(root_url, source)
        for file in require(root_url, folder, flow.PUBLISH).files:
            yield from lists.iterate(storage.join(folder, file.name), wanted.columns)


def _sources_listed(url: str) -> list[str]:
    """Return the sources that a list may be asked for: the project's, and those of its builder's own that it has."""
    theirs = {manifest.hub_name for manifest in manifests.load_all().values()}
    found = set(manifests.load_all())
    for path in lists.files(url):
        for batch in lists.iterate(path, {"source"}):
            found |= {name for name in batch["source"].unique().to_pylist() if name is not None and name not in theirs}
    return sorted(found)


def _listed(url: str, wanted: Selection) -> Iterator[pa.RecordBatch]:
    # Who writes lists again by folders may have the folder's word in the column.
    names = None if wanted.sources is None else [*wanted.sources, *map(manifests.hub_name, wanted.sources)]
    left = withdrawn.beside(url)
    ids = {"pair_id"} if left is not None else set()
    for path in list_files.paths(url):
        lists.check(path)
        for batch in lists.iterate(path, {*wanted.columns, "source", *ids}):
            stays = batch if left is None else batch.filter(pc.invert(pc.is_in(batch["pair_id"], value_set=left)))
            yield matching(stays, "source", names)


_SCHEMAS: Final = {
    "pairs": PAIRS,
    "views": VIEWS,
    "rejected": REJECTED,
    "images": IMAGES,
    "ledger": LEDGER,
    "published": lists.ROWS,
}
_READERS: Final = {
    "pairs": _pairs,
    "views": _views,
    "rejected": _rejected,
    "images": _images,
    "ledger": _ledger,
    "published": _published,
}
