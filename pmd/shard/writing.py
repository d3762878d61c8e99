"""Write shards: WebDataset tars and Parquet files, of the same samples in the same order.

Bytes depend on the samples alone: tar members carry no clock and no owner, Parquet row groups have a fixed size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import codec
from pmd.config.asked import Asked
from pmd.fetch.generations.refusals import Undecodable
from pmd.fetch.lane import judging
from pmd.fetch.ledger import reading
from pmd.formats import ustar
from pmd.schema import keys
from pmd.schema.tables import REGION, with_columns
from pmd.shard.samples import PAIR, STATED
from pmd.store import commits, storage
from pmd.store.commits import File

#: Samples of a row group of Parquet: at 10 MB for the largest originals, about 600 MB in memory at the very worst.
CHUNK: Final = 64
#: What fills the last block of a member of a tar, by its bytes.
_BLOCK: Final = tarfile.BLOCKSIZE
_PADDING: Final = tuple(bytes(count) for count in range(_BLOCK))

#: What `datasets` calls the types of columns that are no structure.
_DTYPES: Final = {pa.string(): "string", pa.int32(): "int32", pa.float64(): "float64"}


def _features(fields: Iterable[pa.Field]) -> dict[str, Any]:
    """Return how Hugging Face `datasets` describes columns: pictures are decoded to RGB, in whatever mode they are stored."""
    return {
        field.name: {"mode": "RGB", "_type": "Image"} if field.name == "image" else _feature(field.type)
        for field in fields
    }


def _feature(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return [_features(kind.value_type)]
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "length": -1, "_type": "Sequence"}
    return {"dtype": _DTYPES[kind], "_type": "Value"}


_COLUMNS: Final = (
    pa.field("key", pa.string()),
    pa.field("image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])),
    pa.field("text", pa.string()),
    pa.field("image_id", pa.string()),
    pa.field("region", REGION),
    pa.field("pairs", pa.list_(PAIR)),
    *(pa.field(name, pa.string()) for name in STATED),
    pa.field("split", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("original_width", pa.int32()),
    pa.field("original_height", pa.int32()),
)

#: Fields are nullable, since `datasets` takes its own description only of fields that equal its own.
PARQUET: Final = pa.schema(
    _COLUMNS, metadata={"huggingface": orjson.dumps({"info": {"features": _features(_COLUMNS)}}).decode()}
)

#: What Parquet shards of earlier versions have.
OLDER_PARQUET: Final = pa.schema(
    [
        *(field for field in _COLUMNS if field.name in {"key", "image", "text", "image_id", "region"}),
        pa.field("pairs", pa.list_(pa.struct(list(PAIR)[: PAIR.get_field_index("image_id")]))),
    ]
)

#: What a sample says of itself beside picture and caption: the JSON of a WebDataset sample, columns of a Parquet one.
DESCRIBED: Final = [name for name in PARQUET.names if name not in {"key", "image", "text"}]

#: A sample but for its picture.
_SAID: Final = pa.schema([field for field in _COLUMNS if field.name != "image"])

_TARS: Final = b"""configs:
  - config_name: default
    data_files:
      - split: train
        path: "*.tar"
"""

#: The extensions that pictures may have, and nothing else of a sample.
PICTURES: Final = ("jpg", "png", "webp", "gif", "avif", "tif", "bmp")


def _yaml(name: str, kind: pa.DataType) -> dict[str, Any]:
    """Return how a card of the Hub describes a column."""
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        return {"name": name, "list": [_yaml(field.name, field.type) for field in kind.value_type]}
    if pa.types.is_list(kind):
        return {"name": name, "list": _DTYPES[kind.value_type]}
    return {"name": name, "dtype": _DTYPES[kind]}


def _of_tars() -> list[dict[str, Any]]:
    """Return how a card of the Hub describes the members of samples, all that there may be."""
    return [
        *({"name": name, "dtype": {"image": {"mode": "RGB"}}} for name in PICTURES),
        {"name": "json", "struct": [_yaml(name, PARQUET.field(name).type) for name in DESCRIBED]},
        *({"name": name, "dtype": "string"} for name in ("txt", "__key__", "__url__")),
    ]


_FEATURES: Final = b"dataset_info:\n  features: " + orjson.dumps(_of_tars()) + b"\n"

#: What is stored has passed the limit of the fetch stage, which may be another than the codec's own.
_ANY_PIXELS: Final = 2**62

#: Extension of a stored format, as readers of WebDataset know it.
EXTENSIONS: Final = {"jpeg": "jpg", "tiff": "tif"}


def extension(stored_format: str) -> str:
    """Return the file name extension of a format: "jpeg" → "jpg"."""
    return EXTENSIONS.get(stored_format, stored_format)


@dataclasses.dataclass(frozen=True)
class Described:
    """What some samples say of themselves, where their pictures are as they are stored.

    Attributes:
        table: Their keys, captions and the rest: `PARQUET` without the picture.
    """

    table: pa.Table

    @classmethod
    def of(cls, samples: pa.Table) -> Self:
        """Return what `SAMPLES` say."""
        is_original = pc.is_null(samples["stored_width_px"])
        ids = samples["image_id"]
        columns = {
            "key": samples["key"],
            "text": pc.struct_field(pc.list_element(samples["pairs"], 0), "text"),  # the first, where there are several
            "image_id": pa.chunked_array([keys.hexadecimal(part) for part in ids.chunks], pa.string()),
            **{name: samples[name] for name in ("region", "pairs", *STATED, "split")},
            "width": pc.if_else(is_original, samples["width_px"], samples["stored_width_px"]),
            "height": pc.if_else(is_original, samples["height_px"], samples["stored_height_px"]),
            "original_width": samples["width_px"],
            "original_height": samples["height_px"],
        }
        return cls(pa.table([columns[name] for name in _SAID.names], _SAID))

    @functools.cached_property
    def columns(self) -> tuple[list[str], list[str], list[dict[str, Any]]]:
        """Keys, captions, and of each sample `DESCRIBED`."""
        return (
            self.table["key"].to_pylist(),
            self.table["text"].to_pylist(),
            self.table.select(DESCRIBED).to_pylist(),
        )


#: Width and height of a picture; None: as it is stored.
Size = tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Samples that follow each other, as every format has them.

    Attributes:
        described: What they say, among others.
        start: Where they begin in it.
        pictures: The encoded pictures. They are gone when the next chunk is asked for.
        extensions: Of the pictures' files.
        sizes: Of the pictures.
    """

    described: Described
    start: int
    pictures: Sequence[bytes | memoryview]
    extensions: Sequence[str]
    sizes: Sequence[Size]

    @property
    def table(self) -> pa.Table:
        """`Described.table` of the samples alone, with the sizes of their pictures."""
        found = self.described.table.slice(self.start, len(self.pictures))
        if not any(self.sizes):
            return found
        changed = {}
        for at, name in enumerate(("width", "height")):
            stored_as = zip(found[name].to_pylist(), self.sizes, strict=True)
            changed[name] = pa.array([old if size is None else size[at] for old, size in stored_as], pa.int32())
        return with_columns(found, changed)

    def rows(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Return key, caption and `DESCRIBED` of each of the samples, with the size of its picture."""
        names, texts, said = self.described.columns
        some = slice(self.start, self.start + len(self.pictures))
        rows = said[some]
        if any(self.sizes):
            sizes = ({} if size is None else {"width": size[0], "height": size[1]} for size in self.sizes)
            rows = [row | size for row, size in zip(rows, sizes, strict=True)]
        return zip(names[some], texts[some], rows, strict=True)


def load(pictures: reading.Pictures, samples: pa.Table, asked: Asked) -> Iterator[Chunk]:
    """Yield samples in order, with their pictures, cropped and resized where asked.

    From the first chunk on in which a picture cannot be decoded nothing is yielded; the rest is looked through, so that all of
    these are known at once.

    Args:
        pictures: Reads them.
        samples: `SAMPLES`.
        asked: What the configuration asks of shard.

    Raises:
        VerificationError: Stored bytes are gone, or are not those that were stored.
        Undecodable: Stored bytes are no picture.
    """
    refused: dict[bytes, codec.Refused] = {}
    for start in range(0, samples.num_rows, _DESCRIBED_AT_ONCE):
        some = samples.slice(start, _DESCRIBED_AT_ONCE)
        described, make = Described.of(some), _Maker.of(some, asked)
        for first, contents in pictures.chunks(some, CHUNK):
            made = make(first, contents, refused)
            if not refused:
                yield Chunk(described, first, *made)
    if refused:
        raise Undecodable(refused)


#: Samples that are made Python's objects at a time.
_DESCRIBED_AT_ONCE: Final = 1024


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes pictures of what is stored.

    Attributes:
        rows: What of each sample tells how; None where all are as they are stored.
        extensions: Of each as it is stored.
        asked: What the configuration asks of shard.
    """

    rows: list[dict[str, Any]] | None
    extensions: list[str]
    asked: Asked

    @classmethod
    def of(cls, samples: pa.Table, asked: Asked) -> Self:
        """Return what makes the pictures of some samples."""
        is_as_stored = asked.shard.is_as_stored and samples["region"].null_count == samples.num_rows
        columns = ["image_id", "region", "stored_format", "width_px", "height_px"]
        rows = None if is_as_stored else samples.select(columns).to_pylist()
        return cls(rows, [extension(form) for form in samples["stored_format"].to_pylist()], asked)

    def __call__(
        self, start: int, contents: list[memoryview], refused: dict[bytes, codec.Refused]
    ) -> tuple[Sequence[bytes | memoryview], Sequence[str], Sequence[Size]]:
        """Return pictures, their extensions and sizes; what cannot be decoded is added to `refused`."""
        if self.rows is None:
            return contents, self.extensions[start : start + len(contents)], [None] * len(contents)
        made = []
        for row, content in zip(self.rows[start : start + len(contents)], contents, strict=True):
            try:
                made.append(_picture(content, row, self.asked))
            except codec.Refused as refusal:
                refused[row["image_id"]] = refusal
        pictures, extensions, sizes = zip(*made, strict=True) if made else ((), (), ())
        return pictures, extensions, sizes


def _picture(content: memoryview, row: dict[str, Any], asked: Asked) -> tuple[bytes | memoryview, str, Size]:
    """Return a sample's picture, its extension, and its size."""
    if row["region"] is None and asked.shard.is_as_stored:
        return content, extension(row["stored_format"]), None
    original, form = bytes(content), judging.as_form(asked.shard.resizing)
    if row["region"] is not None:
        cropped = codec.crop(codec.upright_rgb(original, max_pixels=_ANY_PIXELS), row["region"])
        picture, kind = codec.encode(codec.formed(cropped, form), form)
        return picture, extension(kind), codec.written_size(picture)
    if row["width_px"] is not None and row["height_px"] is not None:
        form = form.for_copy_of((row["width_px"], row["height_px"]))
    resized, found = codec.resized(original, form, max_pixels=_ANY_PIXELS)
    return resized, extension(found), None if resized is original else codec.written_size(resized)


class ShardWriter(Protocol):
    """Writes one shard of one format, chunk by chunk."""

    def add(self, chunk: Chunk) -> None:
        """Add samples."""

    def close(self) -> None:
        """Finish the file."""


class TarWriter:
    """WebDataset: `KEY.jpg`, `KEY.json` and `KEY.txt` for each sample."""

    def __init__(self, draft: storage.Draft) -> None:
        self._draft = draft
        self._bytes = 0

    def add(self, chunk: Chunk) -> None:
        """Add samples: picture, everything known, first caption.

        Pictures go to the file from where they are; all that stands between two of them is one piece.
        """
        pieces: list[bytes | memoryview] = []
        before: tuple[bytes, ...] = ()
        for (key, text, said), picture, suffix in zip(chunk.rows(), chunk.pictures, chunk.extensions, strict=True):
            described, caption = orjson.dumps(said), text.encode()
            pieces += b"".join((*before, ustar.header(f"{key}.{suffix}", len(picture)))), picture
            before = (
                _PADDING[-len(picture) % _BLOCK],
                ustar.header(f"{key}.json", len(described)),
                described,
                _PADDING[-len(described) % _BLOCK],
                ustar.header(f"{key}.txt", len(caption)),
                caption,
                _PADDING[-len(caption) % _BLOCK],
            )
        self._write([*pieces, b"".join(before)])

    def close(self) -> None:
        """Write the end of the archive: two empty blocks or more."""
        end = bytes(2 * _BLOCK)
        self._write([end, bytes(-(self._bytes + len(end)) % tarfile.RECORDSIZE)])

    def _write(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._draft.writelines(pieces)
        self._bytes += sum(map(len, pieces))


class ParquetWriter:
    """Parquet with an `image` struct of bytes and path, in row groups of `CHUNK` samples."""

    def __init__(self, draft: storage.Draft) -> None:
        self._writer = pq.ParquetWriter(draft.file, PARQUET, compression="zstd", use_dictionary=False)
        self._begin()

    def _begin(self) -> None:
        """Begin a row group: its pictures lie end to end, as the column has them, and are copied no more."""
        self._said: list[pa.Table] = []
        self._extensions: list[str] = []
        self._pictures = bytearray()
        self._ends = [0]

    @property
    def _rows(self) -> int:
        return len(self._extensions)

    def add(self, chunk: Chunk) -> None:
        """Add samples."""
        start, said = 0, chunk.table
        while start < said.num_rows:
            stop = min(start + CHUNK - self._rows, said.num_rows)
            self._said.append(said.slice(start, stop - start))
            self._extensions += chunk.extensions[start:stop]
            for picture in chunk.pictures[start:stop]:
                self._pictures += picture
                self._ends.append(len(self._pictures))
            start = stop
            if self._rows == CHUNK:
                self._flush()

    def _flush(self) -> None:
        said = pa.concat_tables(self._said).combine_chunks()  # pages end where chunks do
        paths = pc.binary_join_element_wise(said["key"], pa.array(self._extensions, pa.string()), ".").combine_chunks()
        ends = pa.py_buffer(np.array(self._ends, np.int32))
        pictures = pa.Array.from_buffers(pa.binary(), self._rows, [None, ends, pa.py_buffer(self._pictures)])
        image = pa.StructArray.from_arrays([pictures, paths], fields=list(PARQUET.field("image").type))
        self._writer.write_table(
            pa.table({name: image if name == "image" else said[name] for name in PARQUET.names}, PARQUET)
        )
        self._begin()

    def close(self) -> None:
        """Write what is left and the footer."""
        if self._rows:
            self._flush()
        self._writer.close()


#: format → (extension, writer).
FORMATS: Final[dict[str, tuple[str, type[TarWriter] | type[ParquetWriter]]]] = {
    "webdataset": ("tar", TarWriter),
    "parquet": ("parquet", ParquetWriter),
}


def write_samples(folders: Mapping[str, str], name: str, chunks: Iterable[Chunk]) -> dict[str, File]:
    """Write one shard of samples, wherever they come from (`load`), in every format, in one pass; if they fail, no file is left.

    Args:
        folders: format → its folder.
        name: The shard's name without extension.
        chunks: In order.

    Returns:
        format → the file.
    """
    files: dict[str, File] = {}
    count = 0
    with contextlib.ExitStack() as stack:
        drafts = {form: stack.enter_context(storage.Draft(folder)) for form, folder in folders.items()}
        writers: list[ShardWriter] = [FORMATS[form][1](draft) for form, draft in drafts.items()]
        with contextlib.ExitStack() as open_writers:
            for writer in writers:
                open_writers.callback(writer.close)  # before its file, whatever happens
            for chunk in chunks:
                count += len(chunk.pictures)
                for writer in writers:
                    writer.add(chunk)
        for form, draft in drafts.items():
            path = f"{name}.{FORMATS[form][0]}"
            draft.finish(path)
            files[form] = File(path, draft.bytes, count, draft.sha256)
    return files


def sizes(files: Sequence[File]) -> bytes:
    """Return `sizes.json`: samples of each shard by name, as readers of WebDataset expect it."""
    return orjson.dumps(
        {file.name: file.rows for file in files}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )


def tars(files: Sequence[File]) -> bytes:
    """Return `.huggingface.yaml`, which tells `datasets` what is data in a folder of tars, and which.

    Without it, three things go wrong:

    - `datasets` takes for data what most files are, and beside two tars `sizes.json` and `_stage.json` are as many.
    - It takes the columns from the first five samples. A region or a credit that none of them has would be an error later.
    - It files what it keeps of a folder under the folder's name and the words of this file. Without a digest in them, it would
      give the shards of another ROOT, or those of before, again.
    """
    samples, digest = sum(file.rows for file in files), commits.options_hash(sorted(file.sha256 for file in files))
    return _TARS + f'    description: "{samples} samples, in files of digest {digest}"\n'.encode() + _FEATURES


def earlier_tars() -> tuple[bytes, ...]:
    """Return what `.huggingface.yaml` of earlier versions says, which did not tell the files apart."""
    return _TARS, _TARS + _FEATURES
