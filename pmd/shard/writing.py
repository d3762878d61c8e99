"""Write shards: WebDataset tars and Parquet files, of the same samples in the same order.

Bytes depend on the samples alone: tar members carry no clock and no owner, Parquet row groups have a fixed size.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import codec
from pmd.config.options import ShardOptions
from pmd.fetch import judging, reading, store
from pmd.fetch.refusals import Undecodable
from pmd.schema.tables import REGION
from pmd.shard.samples import PAIR, STATED
from pmd.store import storage
from pmd.store.commits import File

#: Samples whose stored bytes are in memory at a time: at 10 MB for the largest originals, about 600 MB at the very worst.
CHUNK: Final = 64

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

#: Bytes of a tar that are collected before they are written.
_WRITE_BYTES: Final = 2**20

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
DESCRIBED: Final = tuple(name for name in PARQUET.names if name not in {"key", "image", "text"})

#: Tells `datasets` that the tars of a folder are its data, and `sizes.json` and `_stage.json` are none: it goes by what most
#: files are, and there may be two tars.
TARS: Final = b"""configs:
  - config_name: default
    data_files:
      - split: train
        path: "*.tar"
"""

#: What is stored has passed the limit of the fetch stage, which may be another than the codec's own.
_ANY_PIXELS: Final = 2**62

#: Extension of a stored format, as readers of WebDataset know it.
EXTENSIONS: Final = {"jpeg": "jpg", "tiff": "tif"}


def extension(stored_format: str) -> str:
    """Return the file name extension of a format: "jpeg" → "jpg"."""
    return EXTENSIONS.get(stored_format, stored_format)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One sample, as every format has it.

    Attributes:
        key: Its name in the shards.
        picture: The encoded picture.
        extension: Of the picture's file.
        described: What it says of itself: `DESCRIBED`, of its pairs the first gives the caption.
    """

    key: str
    picture: bytes
    extension: str
    described: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The caption; the first, where there are several."""
        return str(self.described["pairs"][0]["text"])


def load(pictures: reading.Pictures, samples: pa.Table, options: ShardOptions) -> Iterator[Sample]:
    """Yield samples in order, with their pictures, cropped and resized where asked.

    Stored bytes are read a chunk of samples at a time, front to back, each once. From the first picture on that cannot be
    decoded nothing is yielded; the rest is looked through, so that all of these are known at once.

    Args:
        pictures: Reads them.
        samples: `SAMPLES`.
        options: Options of the stage.

    Raises:
        VerificationError: Stored bytes are gone, or are not those that were stored.
        Undecodable: Stored bytes are no picture.
    """
    refused: dict[bytes, codec.Refused] = {}
    for start in range(0, samples.num_rows, CHUNK):
        chunk = samples.slice(start, CHUNK).to_pylist()
        places = {(row["store_file"], row["offset"]): row for row in chunk}
        contents = {place: pictures.read(row) for place, row in sorted(places.items())}
        for row in chunk:
            content = contents[row["store_file"], row["offset"]]
            try:
                picture, suffix = _picture(content, row, options)
            except codec.Refused as refusal:
                refused[row["image_id"]] = refusal
                continue
            if not refused:
                size = None if picture is content else codec.written_size(picture)
                yield Sample(row["key"], picture, suffix, describe(row, size or _stored_size(row)))
    if refused:
        raise Undecodable(refused)


def _picture(content: bytes, row: dict[str, Any], options: ShardOptions) -> tuple[bytes, str]:
    form = judging.as_form(options.resizing)
    if row["region"] is not None:
        cropped = codec.crop(codec.upright_rgb(content, max_pixels=_ANY_PIXELS), row["region"])
        picture, kind = codec.encode(codec.formed(cropped, form), form)
        return picture, extension(kind)
    if options.is_as_stored:
        return content, extension(row["stored_format"])
    if row["width_px"] is not None and row["height_px"] is not None:
        form = form.for_copy_of((row["width_px"], row["height_px"]))
    resized, found = codec.resized(content, form, max_pixels=_ANY_PIXELS)
    return resized, extension(found)


def _stored_size(row: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return the size of the picture in the store, upright."""
    if row["stored_width_px"] is None:
        return row["width_px"], row["height_px"]
    return row["stored_width_px"], row["stored_height_px"]


def describe(row: Mapping[str, Any], size: tuple[int | None, int | None]) -> dict[str, Any]:
    """Return what a sample says of itself.

    Args:
        row: A row of `SAMPLES`.
        size: Width and height of the sample's picture, upright.
    """
    return {
        "image_id": row["image_id"].hex(),
        "region": row["region"],
        "pairs": row["pairs"],
        **{name: row[name] for name in STATED},
        "split": row["split"],
        "width": size[0],
        "height": size[1],
        "original_width": row["width_px"],
        "original_height": row["height_px"],
    }


class ShardWriter(Protocol):
    """Writes one shard of one format, sample by sample."""

    def add(self, sample: Sample) -> None:
        """Add one sample."""

    def close(self) -> None:
        """Finish the file."""


class TarWriter:
    """WebDataset: `KEY.jpg`, `KEY.txt` and `KEY.json` for each sample."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._blocks: list[bytes] = []
        self._end, self._written = 0, 0

    def add(self, sample: Sample) -> None:
        """Add one sample: picture, everything known, first caption."""
        for suffix, content in (
            (sample.extension, sample.picture),
            ("json", orjson.dumps(sample.described)),
            ("txt", sample.text.encode()),
        ):
            self._write(store.tar_header(f"{sample.key}.{suffix}", len(content)))
            self._write(content)
            self._write(bytes(-len(content) % tarfile.BLOCKSIZE))

    def close(self) -> None:
        """Write the end of the archive: two empty blocks or more."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._end % tarfile.RECORDSIZE))
        self._flush()

    def _write(self, content: bytes) -> None:
        self._blocks.append(content)
        self._end += len(content)
        if self._end - self._written >= _WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._file.write(b"".join(self._blocks))
        self._blocks, self._written = [], self._end


class ParquetWriter:
    """Parquet with an `image` struct of bytes and path, in row groups of `CHUNK` samples."""

    def __init__(self, file: BinaryIO) -> None:
        self._writer = pq.ParquetWriter(file, PARQUET, compression="zstd", use_dictionary=False)
        self._rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        """Add one sample."""
        image = {"bytes": sample.picture, "path": f"{sample.key}.{sample.extension}"}
        self._rows.append({"key": sample.key, "image": image, "text": sample.text, **sample.described})
        if len(self._rows) == CHUNK:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=PARQUET))
        self._rows = []

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


def write_samples(folders: Mapping[str, str], name: str, samples: Iterable[Sample]) -> dict[str, File]:
    """Write one shard of samples, wherever they come from (`load`), in every format, in one pass; if they fail, no file is left.

    Args:
        folders: format → its folder.
        name: The shard's name without extension.
        samples: In order.

    Returns:
        format → the file.
    """
    files: dict[str, File] = {}
    count = 0
    with contextlib.ExitStack() as stack:
        drafts = {form: stack.enter_context(storage.Draft(folder)) for form, folder in folders.items()}
        writers: list[ShardWriter] = [FORMATS[form][1](draft.file) for form, draft in drafts.items()]
        with contextlib.ExitStack() as open_writers:
            for writer in writers:
                open_writers.callback(writer.close)  # before its file, whatever happens
            for sample in samples:
                count += 1
                for writer in writers:
                    writer.add(sample)
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
