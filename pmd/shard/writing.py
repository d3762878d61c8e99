"""Write shards: WebDataset tars and Parquet files, of the same samples in the same order.

Bytes depend on the samples alone: tar members carry no clock and no owner, Parquet row groups have a fixed size.
"""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import codec
from pmd.config.options import ShardOptions
from pmd.fetch import judging, reading, store
from pmd.fetch.refusals import Undecodable
from pmd.schema.tables import REGION
from pmd.shard.samples import PAIR
from pmd.store import storage
from pmd.store.commits import File

#: Samples whose stored bytes are in memory at a time: at 10 MB for the largest originals, about 600 MB at the very worst.
CHUNK: Final = 64

#: Bytes of a tar that are collected before they are written.
_WRITE_BYTES: Final = 2**20

#: Fields are nullable, since `datasets` takes its own description only of fields that equal its own.
PARQUET: Final = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("image", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])),
        pa.field("text", pa.string()),
        pa.field("image_id", pa.string()),
        pa.field("region", REGION),
        pa.field("pairs", pa.list_(PAIR)),
    ],
    # What Hugging Face `datasets` reads to decode the image column by itself.
    metadata={
        "huggingface": orjson.dumps(
            {
                "info": {
                    "features": {
                        "key": {"dtype": "string", "_type": "Value"},
                        "image": {"_type": "Image"},
                        "text": {"dtype": "string", "_type": "Value"},
                        "image_id": {"dtype": "string", "_type": "Value"},
                        "region": {
                            "feature": {"dtype": "float64", "_type": "Value"},
                            "length": -1,
                            "_type": "Sequence",
                        },
                        "pairs": [
                            {
                                name: {"dtype": "string", "_type": "Value"}
                                for name in ("pair_id", "source", "source_id", "text")
                            }
                        ],
                    }
                }
            }
        ).decode()
    },
)

#: What is stored has passed the limit of the fetch stage, which may be another than the codec's own.
_ANY_PIXELS: Final = 2**62

#: Extension of a stored format, as readers of WebDataset know it.
EXTENSIONS: Final = {"jpeg": "jpg", "tiff": "tif"}


def extension(stored_format: str) -> str:
    """Return the file name extension of a format: "jpeg" → "jpg"."""
    return EXTENSIONS.get(stored_format, stored_format)


def load_pictures(
    pictures: reading.Pictures, samples: pa.Table, options: ShardOptions
) -> Iterator[tuple[dict[str, Any], bytes, str]]:
    """Yield (sample, encoded picture, extension) in order, cropped and resized where asked.

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
            try:
                picture = _picture(contents[row["store_file"], row["offset"]], row, options)
            except codec.Refused as refusal:
                refused[row["image_id"]] = refusal
                continue
            if not refused:
                yield row, *picture
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


class ShardWriter(Protocol):
    """Writes one shard of one format, sample by sample."""

    def add(self, row: dict[str, Any], picture: bytes, form: str) -> None:
        """Add one sample."""

    def close(self) -> None:
        """Finish the file."""


class TarWriter:
    """WebDataset: `KEY.jpg`, `KEY.txt` and `KEY.json` for each sample."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._blocks: list[bytes] = []
        self._end, self._written = 0, 0

    def add(self, row: dict[str, Any], picture: bytes, form: str) -> None:
        """Add one sample: picture, first caption, everything known."""
        described = {"image_id": row["image_id"].hex(), "region": row["region"], "pairs": row["pairs"]}
        for suffix, content in (
            (form, picture),
            ("json", orjson.dumps(described)),
            ("txt", row["pairs"][0]["text"].encode()),
        ):
            self._write(store.tar_header(f"{row['key']}.{suffix}", len(content)))
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

    def add(self, row: dict[str, Any], picture: bytes, form: str) -> None:
        """Add one sample."""
        self._rows.append(
            {
                "key": row["key"],
                "image": {"bytes": picture, "path": f"{row['key']}.{form}"},
                "text": row["pairs"][0]["text"],
                "image_id": row["image_id"].hex(),
                "region": row["region"],
                "pairs": row["pairs"],
            }
        )
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


def write_shard(
    root: str,
    folders: dict[str, str],
    name: str,
    samples: pa.Table,
    options: ShardOptions,
    pictures: reading.Pictures | None = None,
) -> dict[str, File]:
    """Write one shard in every format, in one pass over its pictures.

    Args:
        root: ROOT, from which stored pictures are read.
        folders: format → its folder.
        name: The shard's name without extension.
        samples: `SAMPLES` of the shard, in order.
        options: Options of the stage.
        pictures: Reads the pictures of several shards, this one among them; by default, those of this one.

    Returns:
        format → the file.

    Raises:
        VerificationError: A stored picture is damaged; no file of the shard is left.
        Undecodable: A stored picture is none; likewise.
    """
    files: dict[str, File] = {}
    with contextlib.ExitStack() as stack:
        pictures = pictures or stack.enter_context(reading.Pictures(root, samples))
        drafts = {form: stack.enter_context(storage.Draft(folder)) for form, folder in folders.items()}
        writers: list[ShardWriter] = [FORMATS[form][1](draft.file) for form, draft in drafts.items()]
        with contextlib.ExitStack() as open_writers:
            for writer in writers:
                open_writers.callback(writer.close)  # before its file, whatever happens
            for row, picture, suffix in load_pictures(pictures, samples, options):
                for writer in writers:
                    writer.add(row, picture, suffix)
        for form, draft in drafts.items():
            path = f"{name}.{FORMATS[form][0]}"
            draft.finish(path)
            files[form] = File(path, draft.bytes, samples.num_rows, draft.sha256)
    return files


def sizes(files: Sequence[File]) -> bytes:
    """Return `sizes.json`: samples of each shard by name, as readers of WebDataset expect it."""
    return orjson.dumps(
        {file.name: file.rows for file in files}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
