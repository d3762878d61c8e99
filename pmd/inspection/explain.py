"""Explain: everything that the committed files know of one pair or one image, stage by stage.

Files are sorted by the keys that are asked for, and Parquet's statistics say which row groups may hold one. So a look-up
reads a few row groups of each file. Only an image that is no row of `images` (its other identity stands there, or it was
rejected) costs a pass over a column of the pairs, and an address that nothing here has, one over where the ledger was led.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import escape, flow
from pmd.books import pictures
from pmd.dedupe import captions
from pmd.dedupe.rules import MERGED
from pmd.errors import PmdError
from pmd.fetch.ledger import state, stored
from pmd.formats import archives
from pmd.images import names, takedowns
from pmd.inspection import upstream
from pmd.schema import keys
from pmd.schema.tables import SETTLED_IN
from pmd.store import commits, root, sealed, storage
from pmd.store.register import Register
from pmd.store.standing import Standing
from pmd.terminal import bar
from pmd.text import pages, urls

#: Pairs of one image that are told, at most: some photographs have hundreds of regions.
MOST_PAIRS: Final = 200


def explain(root_url: str, what: str) -> dict[str, Any]:
    """Tell what became of a pair or an image.

    Args:
        root_url: ROOT.
        what: An image or a pair in any of `names.FORMS`; or a source id without its source ("12345"), of any.

    Returns:
        ``asked``, ``as`` (what it was taken for), ``images`` (row, alias, ledger by generation, effective row, attempts,
        hashes computed since, groups) and ``pairs`` (row of curate, or the rejected row; where it is rejected, with
        ``place``, ``upstream`` and ``unread`` of what curate rejected, see `upstream.Row`; samples it stands in; whether it is
        published; its text's group of near-duplicates). JSON-able.

    Raises:
        RootError: No ROOT.
        PmdError: Nothing here has that name.
    """
    root.require(root_url)
    what = what.strip()
    book = _Book(root_url)
    taken_for, pair_ids, image_ids = _keys_meant(book, what)
    # Every image of the pairs, and every pair of the images that were asked for.
    pairs = [*book.curated(pair_ids)]
    wanted = {*image_ids}
    if not image_ids:
        wanted |= {row["image_id"] for row in pairs if row.get("image_id") is not None}
        wanted |= {row["image_id"] for row in book.viewed(pair_ids)}
    standing = book.standing(wanted)
    if image_ids:
        beside = [row["pair_id"] for row in book.of_images({*wanted, *standing.values()})]
        pairs += book.curated({*beside} - {row["pair_id"] for row in pairs})
    if not pairs and not any(book.images({*standing.values()})):
        raise _unknown(root_url, what, taken_for)
    final = sorted({*standing.values()})
    return {
        "asked": what,
        "as": taken_for,
        "images": [_image(book, image_id, standing) for image_id in final],
        "pairs": [_pair(book, row, standing) for row in sorted(pairs, key=_place_of)[:MOST_PAIRS]],
        "more_pairs": max(len(pairs) - MOST_PAIRS, 0),
    }


def settled(root_url: str, key: bytes) -> tuple[bytes, dict[str, Any] | None]:
    """Return the image that a key stands for, and its row of the ledger; None where nothing is settled yet.

    Args:
        root_url: ROOT.
        key: Of an image, under any of its identities, or of a pair.

    Raises:
        RootError: No ROOT.
        PmdError: Nothing here has that key.
    """
    root.require(root_url)
    book = _Book(root_url)
    row = book.effective(key)
    if row is not None:
        return key, row
    of_pair = {pair["image_id"] for pair in book.curated({key})} - {None}
    (image_id,) = book.standing(of_pair or {key}).values()
    row = book.effective(image_id)
    if row is None and not of_pair and not book.of_images({image_id}):
        raise _unknown(root_url, key.hex(), "neither the key of an image nor of a pair")
    return image_id, row


def _place_of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["source"], row["source_id"]


def _unknown(root_url: str, what: str, taken_for: str) -> PmdError:
    url = names.with_scheme(what)
    begins = "" if url is None else f"a URL begins with its scheme: {url}; "
    return PmdError(
        f"nothing here is called {what}" if what else "nothing is asked for",
        where=root_url,
        expected=f"what a curated source has, as {names.FORMS}",
        found=taken_for,
        remedy=f"{begins}pmd status ROOT shows what is curated; pmd peek ROOT shows rows and their keys",
    )


def _keys_meant(book: _Book, what: str) -> tuple[str, set[bytes], set[bytes]]:
    """Return what a name may mean: in words, pair_ids and image_ids."""
    own = book.by_source_id(what) if storage.is_text(what) else set()
    named = names.read(what, book.sources)
    if named is None:
        return "a source id" if own else _taken_for(what), own, set()
    if named.key is not None:
        return _by_key(book, named.key, own)
    pair_ids = own.union(*(book.by_source_id("/".join(row)) for row in named.rows))
    (by_bytes,) = names.with_bytes(book.register, [named])
    image_ids = book.known({*named.image_ids}) | by_bytes
    if own and not image_ids:
        return "a source id", pair_ids, set()
    if not pair_ids and not image_ids:
        image_ids = {image_id for url in named.urls for image_id in book.by_location(url, named.identities)}
        image_ids = image_ids or {image_id for url in named.urls for image_id in book.by_image_url(url)}
    if not pair_ids and not image_ids and named.is_picture:
        # As takedowns mean it: upstream has an address that has led there.
        (image_ids,) = takedowns.led_to(book.register, [takedowns.Line("", what, named)])
    return named.says, pair_ids, image_ids


def _taken_for(what: str) -> str:
    """Return in words what a name that nothing here has looks like."""
    if not what:
        return "nothing"
    if "://" in what or not storage.is_text(what) or not storage.exists(what):
        return "a source id"
    return "a folder" if storage.is_folder(what) else "a file that is no picture"


def _by_key(book: _Book, key: bytes, own: set[bytes]) -> tuple[str, set[bytes], set[bytes]]:
    if any(True for _ in book.curated({key})):
        return "a pair_id", {key}, set()
    if own:  # rows without an id of their own are named by 32 hex digits, too
        return "a source id", own, set()
    if not book.known({key}):
        stored = pictures.named(book.register, stored={key})
        if stored:
            return "the digest of a stored picture", set(), stored[key]
        if of_sample := book.of_sample(key):
            return "the key of a sample", of_sample, set()
    return "a pair_id or image_id", set(), {key}


class _Book:
    """Looks rows up in the committed files of a ROOT."""

    def __init__(self, root_url: str) -> None:
        self.root = root_url
        self._standing = Standing(root_url)

    @property
    def register(self) -> Register:
        return self._standing.generations

    @functools.cached_property
    def sources(self) -> list[str]:
        return root.curated_sources(self.root)

    def commit(self, folder: str) -> commits.Commit | None:
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
        pair_ids: set[bytes] = set()
        for name, source_id in named:
            number = 1
            spelled = source_id
            while any(
                row["source"] == name and row["source_id"] == spelled
                for row in self.curated({keys.pair_id(name, spelled)})
            ):
                pair_ids.add(keys.pair_id(name, spelled))
                number += 1
                spelled = f"{source_id}#{number}"
        return pair_ids

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
                for batch in commits.iterate(path, ["image_id", "image_url"]):
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
            found |= {pair_id} if _view_key(image_id, region) == key else set()
        kept = self.merged(shown)
        for row in (row for path in paths for row in _rows_with(path, "image_id", kept)):
            if row["region"] and _view_key(kept[row["image_id"]], row["region"]) == key:
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

    def rejected(self, pair_id: bytes) -> list[dict[str, Any]]:
        """Return the rows with which stages after curate reject a pair."""
        folders = [stage.books for stage in flow.JUDGING[1:]]
        return [
            row
            for folder in folders
            for path, _ in self._files(storage.join(self.root, folder.path), (folder.rejects or "").rstrip("/") or None)
            for row in _rows_with(path, "pair_id", {pair_id})
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
            rows = _rows_with(path, "image_id", {image_id}) + _rows_with(path, "kept_id", {image_id})
            groups += [row for position, row in enumerate(rows) if row not in rows[:position]]
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
        """Return the shards that hold samples with these keys."""
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


def _image(book: _Book, image_id: bytes, standing: Mapping[bytes, bytes]) -> dict[str, Any]:
    rows, attempts, hashes = book.generations(image_id)
    row = next(iter(book.images({image_id})), None)
    return {
        "image_id": image_id.hex(),
        "aliases": sorted(own.hex() for own, kept in standing.items() if kept == image_id and own != image_id),
        "row": _plain(row),
        "ledger": _plain(rows),
        "stands": _plain(book.effective(image_id)) if rows else None,
        "attempts": _plain(attempts),
        "hashes": _plain(hashes),
        "groups": _plain(book.groups(image_id)),
    }


def _pair(book: _Book, row: Mapping[str, Any], standing: Mapping[bytes, bytes]) -> dict[str, Any]:
    pair_id = row["pair_id"]
    own = row.get("image_id")
    rejected = [dict(row)] if "reason" in row else book.rejected(pair_id)
    kept = _kept_image(book, pair_id, standing.get(own, own)) if own is not None and not rejected else None
    sample_names = _names_of_samples(kept, row.get("region"), pair_id) if kept is not None else []
    return {
        "pair_id": pair_id.hex(),
        "source": row["source"],
        "source_id": row["source_id"],
        "row": None if "reason" in row else _plain({**row, "meta": orjson.loads(row["meta"])}),
        "image_id": own.hex() if own is not None else None,
        "shown_image_id": kept.hex() if kept is not None else None,
        "rejected": _plain([_with_upstream(book.root, item) for item in rejected]),
        "samples": book.samples(sample_names),
        "published": book.published(row["source"], pair_id),
        "near_text": _plain(book.near_text(row["text"])) if row.get("text") is not None else None,
    }


def _with_upstream(root_url: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rejected row with its place as people count, and what stands there; nulls where upstream's file tells neither."""
    found = upstream.read([row["where"]], root_url).get(row["where"])
    told = ("place", "upstream", "unread")
    return {**row, **dict(zip(told, (found.place, found.says, found.unread) if found else (None,) * 3, strict=True))}


def _kept_image(book: _Book, pair_id: bytes, image_id: bytes) -> bytes:
    """Return the image under which a pair is shown: another identity's, or another's that is the same picture."""
    if not any(book.images({image_id})):
        image_id = next((row["image_id"] for row in book.viewed({pair_id})), image_id)
    return book.merged({image_id}).get(image_id, image_id)


def _names_of_samples(image_id: bytes, region: Sequence[float] | None, pair_id: bytes) -> list[str]:
    """Return the names that a pair's sample may have, under either unit (`pmd.shard.samples`)."""
    view = _view_key(image_id, region) if region else image_id
    return [view.hex(), pair_id.hex()]


def _view_key(image_id: bytes, region: Sequence[float]) -> bytes:
    return keys.digest("sample", image_id, struct.pack("<4d", *region))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: keys and digests in hex, times in ISO 8601."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


@dataclasses.dataclass
class _Page:
    """Lines of text, indented."""

    lines: list[str] = dataclasses.field(default_factory=list)

    def say(self, depth: int, line: str) -> None:
        self.lines.append("  " * depth + line)


def render(answer: Mapping[str, Any]) -> str:
    """Return what was found as people read it."""
    answer = escape.shown(answer)
    page = _Page([f"{answer['asked']}: {answer['as']}"])
    for pair in answer["pairs"]:
        _pair_lines(page, pair)
    if answer["more_pairs"]:
        page.say(0, f"… and {bar.amount(answer['more_pairs'], 'more pairs')}")
    for image in answer["images"]:
        _image_lines(page, image)
    return "\n".join(page.lines)


def _pair_lines(page: _Page, pair: Mapping[str, Any]) -> None:
    page.say(0, f"\npair {pair['pair_id']}: {pair['source']}/{pair['source_id']}")
    row = pair["row"]
    if row is not None:
        page.say(1, f"text: {row['text']}")
        page.say(1, f"image_url: {row['image_url']}")
        page.say(1, f"image: {pair['image_id']} ({row['identity']}{', also ' + row['also'] if row['also'] else ''})")
        if row["region"] is not None:
            page.say(1, f"region: {row['region']} of {row['width_px']} × {row['height_px']} px")
        evidence = f" ({row['licence_evidence']})" if row["licence_evidence"] else ""
        split = "no split" if row["split"] is None else f"split {row['split']}"
        page.say(1, f"licences: text {row['text_licence']}, image {row['image_licence']}{evidence}; {split}")
    if pair["shown_image_id"] not in {None, pair["image_id"]}:
        page.say(1, f"shown as image {pair['shown_image_id']}")
    for row in pair["rejected"]:
        said = (("detail", row["detail"]), ("where", row["place"]))
        more = "".join(f"; {name}: {value}" for name, value in said if value)
        page.say(1, f"rejected by {row['stage']}: {row['reason']}{more}")
        if row["upstream"] is not None:
            page.say(2, f"the row there: {row['upstream']}")
        elif row["unread"] is not None:
            page.say(2, f"the row there: not read: {row['unread']}")
    for sample in pair["samples"]:
        page.say(1, f"in {sample['file']} as {sample['key']}")
    page.say(1, f"published: {', '.join(pair['published']) or 'no'}")
    near = pair["near_text"]
    if near is not None:
        on = f"its form stands on {bar.amount(near['images'], 'images')}"
        leads = near["text_id"] == near["group_id"]
        led = f"leads group {near['group_id']}" if leads else f"{near['jaccard']:.3f} of “{near['leader']}”"
        page.say(1, f"near-duplicate texts: {led}; {on}")


def _image_lines(page: _Page, image: Mapping[str, Any]) -> None:
    page.say(0, f"\nimage {image['image_id']}")
    for alias in image["aliases"]:
        page.say(1, f"also asked for as {alias}, which gives way to it")
    row = image["row"]
    if row is None:
        page.say(1, "is none of the images to be fetched")
    else:
        page.say(1, f"identity: {row['identity']}; of {', '.join(row['sources'])}; fetch shard {row['fetch_shard']}")
        for place in row["locations"]:
            page.say(1, f"{place['kind']}: {place['url']}")
    for attempt in image["attempts"]:
        page.say(1, _attempt_line(attempt))
    for entry in image["ledger"]:
        is_standing = image["stands"] is not None and entry["generation"] == image["stands"]["generation"]
        stands = " (stands)" if is_standing and len(image["ledger"]) > 1 else ""
        lost = " (its picture was lost to damage)" if entry.get("lost") else ""
        page.say(1, f"ledger, generation {entry['generation']}{stands}{lost}: {entry['status']}")
        if entry["store_file"] is not None:
            page.say(
                2,
                f"{entry['format']}, {entry['width_px']} × {entry['height_px']} px, {entry['bytes']:,} bytes, "
                f"sha256 {entry['sha256']}",
            )
            page.say(
                2,
                f"stored ({_stored_as(entry)}) in {entry['store_file']} at {entry['offset']:,}, "
                f"{entry['length']:,} bytes",
            )
        if entry.get("listed") is not None:
            page.say(2, f"the picture of a published list: {entry['listed']}")
    _hash_line(page, image)
    for group in image["groups"]:
        line = f"group: {group['image_id']} → {group['kept_id']} ({group['relation']}, distance {group['distance']})"
        page.say(1, line if group["matched"] is None else f"{line}: {group['matched']}")


def _stored_as(entry: Mapping[str, Any]) -> str:
    """Return in which form a picture is stored: of one encoded anew also the format and the size that it has there."""
    form = str(entry["stored_form"])
    if form != stored.RESIZED or entry.get("stored_width_px") is None:
        return form
    return f"{form}: {entry['stored_format']}, {entry['stored_width_px']} × {entry['stored_height_px']} px"


def _hash_line(page: _Page, image: Mapping[str, Any]) -> None:
    """Say the perceptual hash that is known, and where it was computed later, of what."""
    standing = image["stands"]
    if standing is None or standing["perceptual_hash"] is None:
        return
    known = standing["perceptual_hash"]
    later = [entry["generation"] for entry in image["hashes"] if entry["perceptual_hash"] == known]
    since = f", computed in generation {later[-1]}" if later else ""
    page.say(1, f"perceptual hash {known}, of the {standing['hashed_form']} picture{since}")


def _attempt_line(attempt: Mapping[str, Any]) -> str:
    line = f"attempt {attempt['when']}, generation {attempt['generation']}: {attempt['location']}: {attempt['status']}"
    for name in ("http_status", "final_url", "error", "policy", "policy_evidence", "headers", "seconds"):
        if attempt[name] is not None:
            line += f"; {name} {attempt[name]}"
    return line
