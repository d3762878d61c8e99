"""Where the addresses of images have led, by the attempts that are committed.

Upstream may have the address of a shortener, or of a host that has moved, and whoever owns the picture knows it where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import ada_url
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema.tables import KEY
from pmd.store import commits, parquet_files
from pmd.store.register import Register

#: What is read of attempts; `headers` tell where a redirect led that was not followed any more.
_COLUMNS: Final = ("image_id", "location", "final_url", "headers")
_SCHEMES: Final = ("http://", "https://")
_SCHEME: Final = "^https?://"
_HEADER: Final = '"location":'

LED: Final = pa.schema([pa.field("image_id", KEY), pa.field("address", pa.string())])


def led(known: Register) -> Iterator[pa.RecordBatch]:
    """Yield images with the addresses that theirs have led to, as far as more than the scheme is another: `LED`.

    Of pictures that were taken over from shards of img2dataset's (`adopt`) nobody knows where redirects have led.

    Args:
        known: What stands of the fetch. Every generation counts.
    """
    for generation in known.every():
        for file in generation.files:
            if "/attempts/" not in file.name:
                continue
            for batch in parquet_files.iterate(commits.path_of(generation.folder, file.name), _COLUMNS):
                yield from filter(len, (_followed(batch), _led(batch)))


def _followed(batch: pa.RecordBatch) -> pa.RecordBatch:
    bare, begun = (pc.replace_substring_regex(batch[name], _SCHEME, "") for name in ("final_url", "location"))
    moved = batch.filter(pc.not_equal(bare, begun))
    return pa.RecordBatch.from_arrays([moved["image_id"], moved["final_url"]], schema=LED)


def _led(batch: pa.RecordBatch) -> pa.RecordBatch:
    # Few answers have the header.
    some = batch.filter(pc.match_substring(batch["headers"], _HEADER)).select(_COLUMNS).to_pylist()
    told = [(row["image_id"], _address(row)) for row in some]
    there = [(image, address) for image, address in told if address is not None]
    return pa.RecordBatch.from_pylist([{"image_id": image, "address": address} for image, address in there], schema=LED)


def _address(row: dict[str, Any]) -> str | None:
    """Return where a redirect leads, which may be written as seen from the address that was asked; None where that is none."""
    try:
        said = orjson.loads(row["headers"])["location"]
        address = ada_url.URL(said, base=row["final_url"] or row["location"]).href
    except ValueError:
        return None
    return address if address.startswith(_SCHEMES) else None
