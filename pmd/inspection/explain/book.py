"""Rows of a ROOT, looked up in its committed files by key, upstream id, location or image; for `pmd explain`.

Files are sorted by the keys that are asked for, and Parquet's statistics say which row groups may hold one. So a look-up
reads a few row groups of each file. Only an image that is no row of `images` (its other identity stands there, or it was
rejected) costs a pass over a column of the pairs, and an address that nothing here has, one over where the ledger was led.
"""

from __future__ import annotations

import functools
import itertools
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import flow
from pmd.dedupe import captions
from pmd.dedupe.rules import MERGED
from pmd.fetch.ledger import state
from pmd.formats import archives
from pmd.schema import keys
from pmd.schema.tables import SETTLED_IN
from pmd.store import commits, parquet_files, root, sealed, storage
from pmd.store.register import Register
from pmd.store.standing import Standing
from pmd.text import pages, urls


class Book:
    """Looks rows up in the committed files of a ROOT."""

    def __init__(self, root_url: str) -> None:
        self.root = root_url
        self._standing = Standing(root_url)

    @property
    def register(self) -> Register:
        """What stands of the fetch."""
        return self._standing.generations

    @functools.cached_property
    def sources(self) -> list[str]:
        """The sources that are curated."""
        return root.curated_sources(self.root)

    def commit(self, folder: str) -> commits.Commit | None:
        """Return the commit of a folder; None where nothing is committed."""
        return self._standing.commit(folder)

    def _files(self, folder: str, prefix: str | None = None) -> Iterator[tuple[str, commits.File]]:
        commit = self.commit(folder)
        if commit is not None:
            for file in commit.files if prefix is None else commit.under(prefix):
                if file.name.endswith(".parquet"):
                    yield storage.join(folder, file.name), file

    def _part_files(self, folder: str, prefix: str | None, image_ids: Collection[bytes]) -> Iterator[str]:
        """Yield the files of the parts in which these images are."""
        commit = self.commit(folder)
        bits = int(commit.facts["part_bits"]) if commit is not None else 0
        numbers = {keys.partition_of(image_id, bits) for image_id in image_ids}
        for path, file in self._files(folder, prefix):
            if flow.part_number(file.name) in numbers:
                yield path

    def _curated_files(self) -> Iterator[str]:
        """Yield the files of pairs and of curate's rejected rows."""
        for source in self.sources:
            for prefix in ("pairs", "rejected"):
                yield from (path for path, _ in self._files(root.curate_folder(self.root, source), prefix))

    def curated(self, pair_ids: Collection[bytes]) -> list[dict[str, Any]]:
        """Return the rows of pairs and of curate's rejected rows with these keys."""
        return [row for path in self._curated_files() for row in _rows_with(path, "pair_id", pair_ids)]

    def by_source_id(self, what: str) -> set[bytes]:
        """Return the keys of the pairs with an upstream id, repeats ("#2") too."""
        source, slash, rest = what.partition("/")
        named = [(source, rest)] if slash and source in self.sources else [(name, what) for name in self.sources]
        return {pair_id for name, source_id in named for pair_id in self._repeats(name, source_id)}

    def _repeats(self, source: str, source_id: str) -> Iterator[bytes]:
        """Yield the keys of an id and of its repeats, up to a number that is not there; each look asks for twice as many."""
        first, many = 1, 1
        while True:
            asked = {
                keys.pair_id(source, spelled): spelled
                for spelled in (
                    f"{source_id}#{number}" if number > 1 else source_id for number in range(first, first + many)
                )
            }
            rows = ((row["pair_id"], row["source"], row["source_id"]) for row in self.curated(asked.keys()))
            there = {key for key, name, spelled in rows if name == source and spelled == asked[key]}
            yield from itertools.takewhile(there.__contains__, asked)
            if len(there) < many:
                return
            first, many = first + many, 2 * many

    def by_own_image(self, image_ids: Collection[bytes]) -> list[dict[str, Any]]:
        """Return curate's rows whose image had this identity in its own source: a pass over one column."""
        return [row for path in self._curated_files() for row in _rows_with(path, "image_id", image_ids)]

    def known(self, image_ids: Collection[bytes]) -> set[bytes]:
        """Return those of some images that stand here, under this identity or another one."""
        standing = self.standing(image_ids)
        there = {row["image_id"] for row in self.images({*standing.values()})}
        return {own for own, kept in standing.items() if kept in there or self.by_own_image({own})}

    def by_location(self, url: str, identities: Collection[str]) -> set[bytes]:
        """Return the images one of whose locations is this URL, or holds one of an identity: a pass over all locations."""
        form = urls.canonical_one(url)
        image_ids: set[bytes] = set()
        if form is None:
            return image_ids
        wanted = urls.alike_one(form)
        for path, _ in self._files(root.images_folder(self.root)):
            with sealed.open_checked(path) as file:
                for batch in pq.ParquetFile(file).iter_batches(columns=["image_id", "locations"], use_threads=False):
                    places = batch["locations"]
                    told = pc.struct_field(places.flatten(), "url")
                    named = pc.equal(urls.alike(urls.canonical(told)), wanted)
                    found = pc.indices_nonzero(pc.fill_null(named, fill_value=False)).to_pylist()
                    found += [row for row, page in pages.held(told) if not {*page.identities}.isdisjoint(identities)]
                    rows = pc.list_parent_indices(places).take(pa.array(found, pa.int64()))
                    image_ids.update(batch["image_id"].take(rows).to_pylist())
        return image_ids

    def by_image_url(self, url: str) -> set[bytes]:
        """Return the images of pairs whose URL is this, also where they have no place since they left: a pass over all pairs."""
        form = urls.canonical_one(url)
        image_ids: set[bytes] = set()
        if form is None:
            return image_ids
        wanted = urls.alike_one(form)
        for source in self.sources:
            for path, _ in self._files(root.curate_folder(self.root, source), "pairs"):
                for batch in parquet_files.iterate(path, ["image_id", "image_url"]):
                    named = urls.alike(urls.canonical(batch["image_url"]))
                    rows = pc.fill_null(pc.equal(named, wanted), fill_value=False)
                    image_ids.update(batch["image_id"].filter(rows).to_pylist())
        return image_ids

    def standing(self, image_ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return for each image the one that stands for it in `images`: itself, or the one of its other identity."""
        wanted = {*image_ids}
        stands_for = {row["image_id"]: row["image_id"] for row in self.images(wanted)}
        for own in wanted - {*stands_for}:
            by_pair = {row["pair_id"] for row in self.by_own_image({own})}
            moved = {row["image_id"] for row in self.viewed(by_pair)}
            stands_for[own] = min(moved, default=own)
        return stands_for

    def images(self, image_ids: Collection[bytes]) -> list[dict[str, Any]]:
        """Return rows of `images`."""
        paths = self._part_files(root.images_folder(self.root), None, image_ids)
        return [row for path in paths for row in _rows_with(path, "image_id", image_ids)]

    def of_images(self, image_ids: Collection[bytes]) -> list[dict[str, Any]]:
        """Return the views of images, and curate's rows of them that never became views."""
        paths = self._part_files(root.views_folder(self.root), "pairs", image_ids)
        views = [row for path in paths for row in _rows_with(path, "image_id", image_ids)]
        return views or self.by_own_image(image_ids)

    def viewed(self, pair_ids: Collection[bytes]) -> list[dict[str, Any]]:
        """Return the views of pairs: a pass over one column, since views are in order of their images."""
        return [
            row
            for path, _ in self._files(root.views_folder(self.root), "pairs")
            for row in _rows_with(path, "pair_id", pair_ids)
        ]

    def of_sample(self, key: bytes) -> set[bytes]:
        """Return the pairs of the sample of a region that has this key: a pass over all regions."""
        paths = [path for path, _ in self._files(root.views_folder(self.root), "pairs")]
        shown: set[bytes] = set()
        found: set[bytes] = set()
        for image_id, pair_id, region in _regions(paths):
            shown.add(image_id)
            found |= {pair_id} if view_key(image_id, region) == key else set()
        kept = self.merged(shown)
        for row in (row for path in paths for row in _rows_with(path, "image_id", kept)):
            if row["region"] and view_key(kept[row["image_id"]], row["region"]) == key:
                found.add(row["pair_id"])
        return found

    def merged(self, image_ids: Collection[bytes]) -> dict[bytes, bytes]:
        """Return those of some images that have given way to another that is the same picture, and that one."""
        paths = [path for path, _ in self._files(root.dedupe_folder(self.root), "groups")]
        kept = {image_id: image_id for image_id in image_ids}
        for relation in MERGED:
            rows = [row for path in paths for row in _rows_with(path, "image_id", {*kept.values()})]
            gone = {row["image_id"]: row["kept_id"] for row in rows if row["relation"] == relation}
            kept = {own: gone.get(image_id, image_id) for own, image_id in kept.items()}
        return {own: image_id for own, image_id in kept.items() if image_id != own}

    def gave_way(self, image_ids: Collection[bytes]) -> set[bytes]:
        """Return the images for which some stand in the end, as the same picture: their pairs are with these."""
        paths = [path for path, _ in self._files(root.dedupe_folder(self.root), "groups")]
        rows = (row for path in paths for row in _rows_with(path, "stands_id", image_ids))
        return {row["image_id"] for row in rows if row["relation"] in MERGED}

    def rejected(self, pair_ids: Collection[bytes]) -> list[dict[str, Any]]:
        """Return the rows with which stages after curate reject some pairs: a pass over all that they have rejected."""
        folders = [stage.books for stage in flow.JUDGING[1:]]
        return [
            row
            for folder in folders
            for path, _ in self._files(storage.join(self.root, folder.path), (folder.rejects or "").rstrip("/") or None)
            for row in _rows_with(path, "pair_id", pair_ids)
        ]

    def generations(self, image_id: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
        """Return an image's rows of the ledger, its attempts, and hashes computed since, each in order of generations."""
        bits = root.require(self.root).get("fetch_shard_bits")
        rows: list[dict[str, Any]] = []
        attempts: list[dict[str, Any]] = []
        hashes: list[dict[str, Any]] = []
        if bits is None:
            return rows, attempts, hashes
        for number, folder, commit in state.generations(self.root, keys.partition_of(image_id, int(bits))):
            lost = {"lost": True} if image_id in state.lost_images(commit).to_pylist() else {}
            for file in commit.files:
                if file.name.endswith(".parquet"):
                    entries = _rows_with(commits.path_of(folder, file.name), "image_id", {image_id})
                    if state.is_hashes(file.name):
                        hashes += [entry | {"generation": number} for entry in entries]
                    elif file.name.startswith("../"):
                        attempts += entries
                    else:
                        rows += [_as_in_memory(row) | lost for row in entries]
        return rows, attempts, hashes

    def effective(self, image_id: bytes) -> dict[str, Any] | None:
        """Return the ledger's row that stands."""
        bits = int(root.require(self.root).get("fetch_shard_bits", 0))
        ledger = state.read_ledger(self.root, keys.partition_of(image_id, bits))
        rows = ledger.filter(pc.equal(ledger["image_id"], pa.scalar(image_id, ledger["image_id"].type))).to_pylist()
        return rows[0] if rows else None

    def groups(self, image_id: bytes) -> list[dict[str, Any]]:
        """Return the groups in which an image stands, or gives way."""
        groups = []
        for path, _ in self._files(root.dedupe_folder(self.root), "groups"):
            groups += _rows_with(path, "image_id", {image_id})
            kept = _rows_with(path, "kept_id", {image_id})
            groups += [row for row in kept if row["image_id"] != image_id]  # the first of those that leave is its own
        return groups

    def near_text(self, text: str) -> dict[str, Any] | None:
        """Return a text's row among the near-duplicate captions, with the form of the one that leads its group."""
        (text_id,) = captions.text_ids(pa.array([text])).to_pylist()
        files = [path for path, _ in self._files(root.dedupe_folder(self.root), "near_texts")]
        rows = [row for path in files for row in _rows_with(path, "text_id", {text_id})]
        if not rows:
            return None
        leader = [row for path in files for row in _rows_with(path, "text_id", {rows[0]["group_id"]})]
        return {**rows[0], "leader": leader[0]["form"] if leader else None}

    def samples(self, names: Collection[str]) -> list[dict[str, Any]]:
        """Return the shards that hold samples with these keys: a pass over the keys of all."""
        samples = []
        for form, kind in flow.SHARDS.items():
            folder = storage.join(self.root, kind.path)
            commit = self.commit(folder)
            for file in commit.files if commit is not None else ():
                path = storage.join(folder, file.name)
                for key in sorted(_sample_keys(path) & {*names}):
                    samples.append({"format": form, "file": f"{kind.path}/{file.name}", "key": key})
        return samples

    def published(self, source: str, pair_id: bytes) -> list[str]:
        """Return the files of a source's list in which a pair stands."""
        folder = root.publish_folder(self.root, source)
        return [
            f"{flow.LISTS.at(source=source)}/{file.name}"
            for path, file in self._files(folder)
            if _rows_with(path, "pair_id", {pair_id.hex()})
        ]


def _sample_keys(path: str) -> set[str]:
    if path.endswith(".tar"):
        return {member.name.partition(".")[0] for member in archives.members(path)}
    if path.endswith(".parquet"):
        with sealed.open_checked(path) as file:
            return {*pq.ParquetFile(file).read(columns=["key"], use_threads=False)["key"].to_pylist()}
    return set()


def view_key(image_id: bytes, region: Sequence[float]) -> bytes:
    """Return the key of the sample of a region of an image (`pmd.shard.samples`)."""
    return keys.digest("sample", image_id, struct.pack("<4d", *region))


def _regions(paths: Iterable[str]) -> Iterator[tuple[bytes, bytes, list[float]]]:
    """Yield image, pair and region of the views that have a region."""
    for path in paths:
        with sealed.open_checked(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(
                columns=["image_id", "pair_id", "region"], use_threads=False
            ):
                rows = batch.filter(pc.is_valid(batch["region"]))
                yield from zip(*(rows[name].to_pylist() for name in ("image_id", "pair_id", "region")), strict=True)


def _as_in_memory(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a ledger's file under the names of `LEDGER`."""
    return {"generation" if name == SETTLED_IN else name: value for name, value in row.items()}


def _rows_with(path: str, column: str, values: Collection[Any]) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file in which a column has one of some values."""
    if not values:
        return []
    rows: list[dict[str, Any]] = []
    with sealed.open_checked(path) as file:
        parquet = pq.ParquetFile(file)
        wanted = pa.array(sorted(values), parquet.schema_arrow.field(column).type)
        leaf = [parquet.schema.column(i).path for i in range(len(parquet.schema))].index(column)
        for group in range(parquet.num_row_groups):
            statistics = parquet.metadata.row_group(group).column(leaf).statistics
            if statistics is not None and statistics.has_min_max and not _may_hold(statistics, values):
                continue
            here = pc.is_in(
                parquet.read_row_group(group, columns=[column], use_threads=False)[column], value_set=wanted
            )
            if pc.any(here).as_py():
                rows += parquet.read_row_group(group, use_threads=False).filter(here).to_pylist()
    return rows


def _may_hold(statistics: Any, values: Collection[Any]) -> bool:
    least, most = statistics.min, statistics.max
    return any(least <= value <= most for value in values)
