"""Mend a generation of the fetch that damage has met: keep what is sound, make again what other files tell, name what is lost.

The web is not asked here. A tar's headers follow from the ledger, so a tar is written anew with every picture at its
place, and often it is then as it was. A ledger's rows follow from the attempts and, where originals are stored, from the pictures
themselves. What nothing tells any more is written into the commit as lost (`state.LOST`): the next fetch asks for these
images anew, as a new generation, and attempts that are gone stay gone: evidence is never made up.
"""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec, flow
from pmd.config.options import FetchOptions
from pmd.errors import PmdError
from pmd.fetch import outcome
from pmd.fetch.generations import store
from pmd.fetch.lane import judging, recording
from pmd.fetch.lane.images import Image, images_of
from pmd.fetch.ledger import reading, state, stored
from pmd.fetch.lists import blocklists
from pmd.formats import ustar
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import LEDGER
from pmd.store import commits, parquet_files, root, sealed, storage
from pmd.store.commits import Commit, File

_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = bytes(2 * _BLOCK)
#: The member that stands in a tar for pictures of which nothing is known any more.
GAP: Final = "lost"


@dataclasses.dataclass(frozen=True)
class Mended:
    """What became of a generation.

    Attributes:
        lost: Images that are to be asked for anew.
        rebuilt: Rows of the ledger that were made again.
        attempts: Rows of evidence that are gone.
        tars: Tars that were written anew and are as they were, or hold what is left of them.
    """

    lost: int = 0
    rebuilt: int = 0
    attempts: int = 0
    tars: int = 0

    def __add__(self, other: Mended) -> Mended:
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Mended(*(one + another for one, another in pairs))


def mend(root_folder: str, shard: int, generation: int, images: pa.Table, options: FetchOptions, epoch: int) -> Mended:
    """Bring a generation's files and its commit into agreement; earlier generations of the shard are sound or mended.

    Args:
        root_folder: ROOT.
        shard: The fetch shard.
        generation: Its generation.
        images: The shard's `IMAGES`.
        options: Of today's configuration.
        epoch: That of the run (`commits.claim`).
    """
    return _Generation(root_folder, shard, generation, images, options, epoch).mend()


class _Generation:
    def __init__(
        self, root_folder: str, shard: int, generation: int, images: pa.Table, options: FetchOptions, epoch: int
    ) -> None:
        self._epoch = epoch
        self._root, self._shard, self._number = root_folder, shard, generation
        self._images, self._options = images, options
        self._folder = root.ledger_folder(root_folder, shard, generation)
        self._commit = _readable(self._folder)
        self._blocklist = blocklists.read(options.blocklists)

    def mend(self) -> Mended:
        if self._is_from_store():
            return self._mended_from_store()
        ledger, attempts = self._sound_ledger(), self._sound_attempts()
        told: dict[str, Any] = dict(self._commit.facts.get(state.LOST, {})) if self._commit is not None else {}
        before = lost = set(told.get("images", ()))
        tars: list[File] = []
        rebuilt = written = 0
        if ledger is not None:
            table = state.completed(parquet_files.read_table(self._folder, ledger))
            for name, rows in _by_tar(table).items():
                tar, gone, anew = self._mended_tar(
                    name, [row for row in rows if row["image_id"].hex() not in lost], rows
                )
                tars += [tar] if tar is not None else []
                lost = lost | gone
                written += anew
        else:
            rows, tars, gone = self._rebuilt_rows(attempts)
            lost = lost | gone
            rebuilt = len(rows)
            for file in self._commit.files if self._commit is not None else ():
                if not file.name.startswith("../"):  # else a file of that name would be taken for written
                    storage.remove(storage.join(self._folder, file.name))
            table = pa.Table.from_pylist(sorted(rows, key=lambda row: cast(bytes, row["image_id"])), schema=LEDGER)
            ledger = parquet_files.put_table(self._folder, "ledger", table)
        gone_attempts = 0
        if attempts is None and not told.get("attempts"):
            gone_attempts = max(1, next((file.rows for file in self._listed("/attempts/")), table.num_rows))
            told["attempts"] = gone_attempts
        if lost:
            told["images"] = sorted(lost)
        files = [ledger, *tars, *([attempts] if attempts is not None else [])]
        self._write(table, files, told)
        return Mended(len(lost - before), rebuilt, gone_attempts, written)

    def _is_from_store(self) -> bool:
        """Whether the generation asked no host; where its commit cannot be read, hashes of its number tell."""
        if self._commit is not None:
            return bool(self._commit.facts.get(state.FROM_STORE))
        return bool(self._beside("hashes"))

    def _mended_from_store(self) -> Mended:
        """Keep what is sound of what stored pictures have shown; who asks for the rest has it computed anew."""
        ledger, attempts, hashes = self._sound_ledger(), self._sound_attempts(), self._sound_hashes()
        rebuilt = 0
        if ledger is not None:
            table = state.completed(parquet_files.read_table(self._folder, ledger))
        else:
            told = _by_image(self._folder, attempts)
            before = self._before()
            before = before.filter(pc.is_in(before["image_id"], value_set=keys.key_array(told)))
            rows = [
                store.outcome_row(outcome.refused(row, told[row["image_id"]][-1]), self._number)
                for row in before.to_pylist()
            ]
            rebuilt = len(rows)
            table = pa.Table.from_pylist(rows, schema=LEDGER)
            ledger = parquet_files.put_table(self._folder, "ledger", table) if rows else None
        files = [file for file in (ledger, attempts, *hashes) if file is not None]
        gone = table.num_rows if attempts is None else 0
        self._write(table, files, {"attempts": gone} if gone else {}, from_store=True)
        return Mended(rebuilt=rebuilt, attempts=gone)

    def _before(self) -> pa.Table:
        return state.read_ledger(self._root, self._shard, before=self._number)

    def _sound_hashes(self) -> list[File]:
        names = [file.name for file in self._listed("/hashes/")] if self._commit is not None else self._beside("hashes")
        return [file for name in names if (file := _sound(self._folder, name)) is not None]

    def _beside(self, kind: str) -> list[str]:
        """Return the files of this generation in a folder beside the ledger's, where no commit lists them."""
        names = storage.list_names(state.shard_folder(self._root, kind, self._shard))
        prefix = f"generation={self._number:04d}-"
        return [
            store.elsewhere(File(name, 0, 0, ""), kind, self._shard).name for name in names if name.startswith(prefix)
        ]

    def _listed(self, part: str) -> list[File]:
        return [file for file in self._commit.files if part in file.name] if self._commit is not None else []

    def _sound_ledger(self) -> File | None:
        """Return the ledger's file; None where it is damaged."""
        names = [name for name in storage.list_names(self._folder) if name.startswith("ledger-")]
        if self._commit is not None:
            names = [file.name for file in self._commit.files if not file.name.startswith("../")]
        return next((file for name in names if (file := _sound(self._folder, name)) is not None), None)

    def _sound_attempts(self) -> File | None:
        names = [file.name for file in self._listed("/attempts/")]
        if self._commit is None:
            names = self._beside("attempts")
        return next((file for name in names if (file := _sound(self._folder, name)) is not None), None)

    # Tars

    def _mended_tar(
        self, name: str, wanted: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
    ) -> tuple[File | None, set[str], bool]:
        """Return a store's file as it is now (None: nothing is left of it), the images lost, and whether it was written."""
        path = storage.join(self._root, name)
        listed = next((file for file in self._listed("/store/") if name.endswith(file.name.lstrip("./"))), None)
        promised = listed.sha256 if listed is not None else name.rpartition("/")[2].removesuffix(".tar")
        measured = sealed.measured(path)
        if measured is not None and measured[1].startswith(promised):
            return self._tar_file(name, measured, listed.rows if listed is not None else len(rows)), set(), False
        found = {} if measured is None else _judged(self._root, wanted)
        sound = {key for key, verdict in found.items() if verdict}
        if not sound and not any(verdict is None for verdict in found.values()):
            storage.remove(path)
            return None, {row["image_id"].hex() for row in wanted}, measured is not None
        written = _write_tar(path, rows)
        lost = {row["image_id"].hex() for row in wanted if row["image_id"] not in sound}
        file = self._tar_file(name, (written.bytes, written.sha256), written.rows)
        return file, set() if written.sha256.startswith(promised) else lost, True

    def _tar_file(self, name: str, measured: tuple[int, str], rows: int) -> File:
        size, digest = measured
        return store.elsewhere(File(name.rpartition("/")[2], size, rows, digest), "store", self._shard)

    # The ledger

    def _rebuilt_rows(self, attempts: File | None) -> tuple[list[dict[str, Any]], list[File], set[str]]:
        """Return the rows that attempts and pictures tell, the tars that hold any, and the images that are lost."""
        tars = {name: self._members(name) for name in self._sound_tars()}
        tried = _by_image(self._folder, attempts)
        places = {key: (name, *place) for name, members in tars.items() for key, place in members.items()}
        previous = self._before()
        known = {image.image_id: image for image in images_of(self._images, previous, {})}
        certain = self._is_original(tried, known)
        rows: list[dict[str, Any]] = []
        lost: set[str] = set()
        used: set[str] = set()
        if attempts is None:  # nothing tells any more which images were asked for: those of which nothing else is known
            lost |= {key.hex() for key in {*known} - {*previous["image_id"].to_pylist()}}
        for image_id in {*tried, *places}:
            image, own = known.get(image_id), tried.get(image_id, [])
            row = None
            if image is not None and own and own[-1].status != OK:
                row = store.outcome_row(recording.lost(image, own), self._number)
            elif image is not None and own and certain and image_id in places:
                row = self._stored_row(image, own, places[image_id])
                if row is not None:
                    used.add(places[image_id][0])
            if row is None:
                lost.add(image_id.hex())
            else:
                rows.append(row)
        files = []
        for name, members in tars.items():
            measured = sealed.measured(storage.join(self._root, name))
            if name in used and measured is not None:
                files.append(self._tar_file(name, measured, len(members)))
            else:
                storage.remove(storage.join(self._root, name))
        return rows, files, lost

    def _sound_tars(self) -> Iterator[str]:
        """Yield the tars of this generation, relative to ROOT, that are as they were written."""
        folder = flow.STORE.at(shard=self._shard)
        others = (
            {
                file.name.rpartition("/")[2]
                for number in state.numbers(self._root, self._shard)
                if number != self._number
                for commit in [_readable(root.ledger_folder(self._root, self._shard, number))]
                for file in (commit.files if commit is not None else ())
            }
            if self._commit is None
            else set()
        )
        listed = {file.name.rpartition("/")[2]: file.sha256 for file in self._listed("/store/")}
        names = listed or {
            name: name.removesuffix(".tar")
            for name in storage.list_names(storage.join(self._root, folder))
            if name.endswith(".tar") and name not in others
        }
        for name, promised in names.items():
            measured = sealed.measured(storage.join(self._root, folder, name))
            if measured is not None and measured[1].startswith(promised):
                yield f"{folder}/{name}"

    def _members(self, name: str) -> dict[bytes, tuple[int, int]]:
        """Return image_id → offset and length of the pictures of a sound tar."""
        with storage.open_raw(storage.join(self._root, name)) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            return {bytes.fromhex(member.name.partition(".")[0]): (member.offset_data, member.size) for member in tar}

    def _is_original(self, tried: Iterable[bytes], known: Mapping[bytes, Image]) -> bool:
        """Return whether what is stored is certainly what hosts gave: by the options, which the commit's hash must confirm."""
        if self._options.store != "original" or self._commit is None:
            return False
        asked = {*tried}
        unasked = {key for key, image in known.items() if not image.locations}
        return self._commit.hash in {store.generation_hash(self._options, ids) for ids in (asked, asked | unasked)}

    def _stored_row(
        self, image: Image, own: Sequence[outcome.Attempt], place: tuple[str, int, int]
    ) -> dict[str, Any] | None:
        """Return the row of an image whose original is stored; None where it would not be taken today."""
        name, offset, length = place
        content = storage.read_bytes(storage.join(self._root, name), offset, offset + length)
        limits = judging.limits_of(self._options)
        judged = judging.judge(
            content,
            limits,
            judging.form_of(self._options, has_region=image.has_region),
            self._blocklist,
            (),
            hashed=self._is_hashed,
        )
        if judged.prepared.inspected.status != OK:
            return None
        row = store.outcome_row(recording.settled(image, own[-1].location, own, judged), self._number)
        return row | {"store_file": name, "offset": offset, "length": length, "stored_digest": keys.digest(content)}

    # The commit

    @property
    def _is_hashed(self) -> bool:
        """Whether the commit says that the generation holds today's perceptual hash."""
        return self._commit is not None and self._commit.facts.get(state.HASH) == state.PDQ

    def _write(
        self, table: pa.Table, files: Sequence[File], lost: Mapping[str, Any], *, from_store: bool = False
    ) -> None:
        told = self._is_hashed if self._commit is not None else store.is_hashed(table.to_pylist())
        facts = store.facts(self._shard, self._number, is_hashed=from_store or told)
        facts |= {state.FROM_STORE: True} if from_store else {}
        facts |= {state.LOST: dict(lost)} if lost else {}
        ids = table["image_id"].to_pylist()
        old = self._commit
        if old is not None and old.facts == facts and {*old.files} == {*files}:
            return
        statuses = table["status"].to_pylist()
        sources = dict(zip(*(self._images[name].to_pylist() for name in ("image_id", "sources")), strict=True))
        rows = [{"image_id": key, "status": status} for key, status in zip(ids, statuses, strict=True)]
        untouched = old is not None and any(file in old.files for file in files if not file.name.startswith("../"))
        counted = {status: statuses.count(status) for status in sorted({*statuses})}
        run = {"started": None, "ended": None, "images": len(ids), "statuses": counted}
        commit = Commit(
            stage=store.STAGE,
            files=tuple(files),
            sources=old.sources if old is not None and untouched else store.books(rows, sources),
            hash=old.hash if old is not None else store.generation_hash(self._options, ids),
            run=(dict(old.run) if old is not None and untouched else run)
            | {"repaired": True, commits.EPOCH: self._epoch},
            facts=facts,
        )
        if old is None:
            commits.replace_unreadable(self._folder, commit)
        else:
            commits.claim(self._folder, self._epoch)
            commits.write(self._folder, commit)
        commits.sweep(self._folder)
        listed = {file.name for file in files}
        for file in old.files if old is not None else ():
            if file.name not in listed:
                storage.remove(commits.path_of(self._folder, file.name))


def _readable(folder: str) -> Commit | None:
    try:
        return commits.read(folder)
    except PmdError:
        return None


def _sound(folder: str, name: str) -> File | None:
    """Return a file whose name carries the digest that it has, else None."""
    path = commits.path_of(folder, name)
    promised, measured = sealed.digest_of(name), sealed.measured(path)
    if promised is None or measured is None or not measured[1].startswith(promised):
        return None
    rows = sum(batch.num_rows for batch in parquet_files.iterate(path, ["image_id"]))
    return File(name, measured[0], rows, measured[1])


def _by_tar(ledger: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each store file, in order of their places."""
    found: dict[str, list[dict[str, Any]]] = {}
    columns = ["image_id", *stored.COLUMNS]
    for row in ledger.select(columns).to_pylist():
        if row["store_file"] is not None:
            found.setdefault(row["store_file"], []).append(row)
    return {name: sorted(rows, key=lambda row: cast(int, row["offset"])) for name, rows in found.items()}


def _judged(root_folder: str, rows: Sequence[Mapping[str, Any]]) -> dict[bytes, bool | None]:
    """Return of each stored picture whether it is sound; None where nothing tells."""
    places = pa.table({name: [row[name] for row in rows] for name in reading.COLUMNS})
    with reading.Pictures(root_folder, places) as pictures:
        return {row["image_id"]: _verdict(pictures, row) for row in rows}


def _verdict(pictures: reading.Pictures, row: Mapping[str, Any]) -> bool | None:
    try:
        pictures.read(row)
    except PmdError:
        return False
    return None if row["stored_digest"] is None and row["stored_form"] != stored.ORIGINAL else True


def _write_tar(path: str, rows: Sequence[Mapping[str, Any]]) -> File:
    """Write a store's file anew, with what it has at the places that the ledger names; headers follow from the ledger."""
    members = 0
    folder, _, name = path.rpartition("/")
    with storage.Draft(folder) as draft:
        for block in _tar_blocks(path, rows):
            draft.file.write(block)
            members += 1
        draft.file.write(_END)
        draft.finish(name)
    return File(path, draft.bytes, members, draft.sha256)


def _tar_blocks(path: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the members of a tar, headers and all; where the ledger knows of no picture any more, one of zeros."""
    end = 0
    for row in rows:
        offset, length = int(row["offset"]), int(row["length"])
        gap = offset - _BLOCK - end
        if gap:
            yield ustar.header(GAP, gap - _BLOCK) + bytes(gap - _BLOCK)
        content = storage.read_bytes(path, offset, offset + length).ljust(length, b"\0")
        extension = codec.EXTENSIONS[cast(codec.Format, row["stored_format"])]
        header = ustar.header(f"{row['image_id'].hex()}.{extension}", length)
        yield b"".join((header, content, bytes(-length % _BLOCK)))
        end = offset + length + -length % _BLOCK


def _by_image(folder: str, attempts: File | None) -> dict[bytes, list[outcome.Attempt]]:
    """Return the attempts of each image, in order."""
    found: dict[bytes, list[outcome.Attempt]] = {}
    if attempts is not None:
        for batch in parquet_files.iterate(commits.path_of(folder, attempts.name)):
            for row in batch.to_pylist():
                found.setdefault(row["image_id"], []).append(outcome.Attempt(**row))
    return found
