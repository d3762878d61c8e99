"""Recounting what shard commits: samples in either format, and the pairs that no format takes."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import orjson
import pyarrow as pa

from pmd import codec, flow
from pmd.books import reconciliation, recount
from pmd.books.committed import Committed
from pmd.books.recount import Keys, Table, Tally
from pmd.books.report import first_line
from pmd.config.options import ShardOptions
from pmd.fetch.lane import judging
from pmd.schema import keys
from pmd.shard import writing
from pmd.store import storage
from pmd.store.commits import File

#: What a WebDataset sample has beside its picture.
_BESIDE: Final = frozenset({"json", "txt"})
#: Of each picture so much is read: its format, and of what is encoded anew also its size, are told by far less.
_HEAD_BYTES: Final = 4096


class Recount(recount.Recount):
    """The recount of one format's shards, or of the rejected pairs."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"samples": writing.PARQUET}

    def __init__(self, committed: Committed, tally: Tally) -> None:
        super().__init__(committed, tally)
        self._form = asked_form(committed.commit.run.get("options", {}))

    def table(self, name: str, columns: Sequence[str]) -> Table:
        if self.is_rejected(name):
            return self.rejected(columns)
        schema = writing.PARQUET if "split" in columns else writing.OLDER_PARQUET
        return Table(schema, self._samples, writing.CHUNK)

    def tar(self, name: str, tar: tarfile.TarFile) -> int:
        number = self.tally.pairs.file(name)
        samples = 0
        for key, members in _samples_of(tar):
            samples += 1
            place = f"{name}: sample {key}"
            pictures = sorted({*members} - _BESIDE)
            if len(pictures) != 1 or not {*members} >= _BESIDE:
                self.tell("members", place, "one picture, json and txt, each once", ", ".join(sorted(members)))
                continue
            try:
                described = orjson.loads(members["json"])
                self._sample(name, number, key, described, members["txt"].decode())
            except (ValueError, KeyError, TypeError) as error:
                self.tell("description of a sample", place, "image_id, region, pairs", first_line(error))
            self._picture(place, members[pictures[0]], pictures[0])
        return samples

    def other(self, name: str, path: str) -> None:
        if posixpath.basename(name) == flow.SIZES:
            found = orjson.loads(storage.read_bytes(path))
            if found != self._samples_by_shard():
                self.tell("samples by shard", name, self._samples_by_shard(), found)
        elif posixpath.basename(name) == flow.DATA_FILES:
            content, expected = storage.read_bytes(path), writing.tars(self._shards())
            if content not in (expected, *writing.earlier_tars()):
                found = content[:_HEAD_BYTES].decode(errors="replace")
                self.tell("what is data in the folder", name, expected.decode(), found)

    def end(self) -> None:
        if self.committed.is_of(flow.UNSHARDED):
            return
        name = f"{self.folder}/{flow.SIZES}"
        if self.committed.is_of(flow.SHARDS["webdataset"]) and name not in {
            listed for listed, _ in self.committed.files()
        }:
            self.tell("the commit lists no file of sizes", name, self._samples_by_shard(), "nothing")
        counts = [count for _, count in sorted(self._samples_by_shard().items())]
        by_number = self.committed.commit.run.get("options", {}).get("shards") is not None
        if not are_even(counts, by_number=by_number):
            more = ", or one more in the first ones" if by_number else ""
            self.tell("samples in a shard", self.folder, f"as many in all but the last{more}", counts)

    def _samples_by_shard(self) -> dict[str, int]:
        """Return the samples of each shard that the commit lists, by name."""
        return {file.name: file.rows for file in self._shards()}

    def _shards(self) -> list[File]:
        return [file for file in self.committed.commit.files if file.name not in flow.BESIDE_SHARDS]

    def _samples(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for row in batch.to_pylist():
            self._sample(name, number, row["key"], row, row["text"])
            suffix = posixpath.splitext(row["image"]["path"])[1][1:]
            self._picture(f"{name}: sample {row['key']}", row["image"]["bytes"][:_HEAD_BYTES], suffix)
        return before

    def _sample(self, name: str, number: int, key: str, described: Mapping[str, Any], caption: str) -> None:
        """Note the pairs of a sample; `described` has image_id, region and pairs, and the rest but of an earlier version."""
        place = f"{name}: sample {key}"
        if described.get("split", flow.SPLITS[0]) not in flow.SPLITS:
            self.tell("split", place, f"one of {', '.join(flow.SPLITS)}", described["split"])
        form, pairs = posixpath.basename(self.folder), described["pairs"]
        if not pairs or caption != pairs[0]["text"]:
            self.tell("caption", place, pairs[0]["text"] if pairs else "at least one pair", caption)
        found = reconciliation.hex_keys([pair["pair_id"] for pair in pairs])
        for pair, pair_id in zip(pairs, found, strict=True):
            self.tally.kept[self.folder, pair["source"]] += 1
            wanted = keys.pair_id(pair["source"], pair["source_id"])
            if wanted != pair_id:
                at = f"{place}: {pair['source']}/{pair['source_id']}"
                self.tell("pair_id", at, wanted.hex(), pair_id.hex())
        view = reconciliation.view_bytes(bytes.fromhex(described["image_id"]), described["region"])
        self.tally.pairs.add(
            reconciliation.SHARDED + self.tally.formats.index(form),
            number,
            found,
            [pair["source"] for pair in pairs],
            [pair["text"] for pair in pairs],
            [view] * len(pairs),
            [described["split"]] * len(pairs) if "split" in described else None,
        )

    def _picture(self, place: str, head: bytes, suffix: str) -> None:
        found = codec.sniff(head)
        if found is None or writing.extension(found) != suffix:
            self.tell("not the picture that its name says", place, suffix, found or f"bytes {head[:8].hex()}")
        size = codec.written_size(head) if self._form is not None else None
        if self._form is not None and size is not None and not is_brought(size, self._form):
            expected = f"{self._form.mode} to {self._form.side_px} px, as the commit's options ask"
            self.tell("size of a picture", place, expected, f"{size[0]} × {size[1]} px")


def asked_form(options: Mapping[str, Any]) -> codec.Form | None:
    """Return the form that a commit's options ask for; None where pictures keep their size."""
    known = {name: value for name, value in options.items() if name in ShardOptions.model_fields}
    asked = ShardOptions.model_construct(**known).resizing  # as they were checked when the shards were made
    return None if asked.side_px is None else judging.as_form(asked)


def are_even(counts: Sequence[int], *, by_number: bool) -> bool:
    """Return whether shards have as many samples as they may, in their order: the last may have fewer.

    So it is where a number of shards was asked for, too, of which the first may have one more: takedowns fill gaps from the last.
    """
    whole = counts[:-1]
    may_differ_by = 1 if by_number else 0
    return [*counts] == sorted(counts, reverse=True) and (not whole or whole[0] - whole[-1] <= may_differ_by)


def is_brought(size: tuple[int, int], form: codec.Form) -> bool:
    """Return whether a picture of a size may have been brought to a form: that would change nothing of it, or cannot be done."""
    return form.fit(size).size == size or not form.holds(size)


def _samples_of(tar: tarfile.TarFile) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of a WebDataset tar: key, and extension → content (of a picture its first bytes).

    A sample's members stand together; one that comes twice is told by an extension of its own.
    """
    key: str | None = None
    members: dict[str, bytes] = {}
    for member in tar:
        stem, _, suffix = member.name.partition(".")
        if key is not None and stem != key:
            yield key, members
            members = {}
        key = stem
        file = tar.extractfile(member)
        content = b"" if file is None else file.read() if suffix in _BESIDE else file.read(_HEAD_BYTES)
        members[suffix if suffix not in members else f"{suffix} twice"] = content
    if key is not None:
        yield key, members
