"""Where the addresses of images have led, by the attempts that are committed.

Upstream may have the address of a shortener, or of a host that has moved, and whoever owns the picture knows it where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema.tables import KEY
from pmd.store import commits
from pmd.store.register import Register

#: What is read of attempts; `headers` tell where a redirect led that was not followed any more.
_COLUMNS: Final = ("image_id", "location", "final_url", "headers")
_SCHEME: Final = "^https?://"
_HEADER: Final = '"location":'
_LOCATION: Final = r'"location":"(?P<url>https?://[^"\\]+)"'

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
            for batch in commits.iterate(commits.path_of(generation.folder, file.name), _COLUMNS):
                yield from filter(len, (_followed(batch), _told(batch)))


def _followed(batch: pa.RecordBatch) -> pa.RecordBatch:
    bare, begun = (pc.replace_substring_regex(batch[name], _SCHEME, "") for name in ("final_url", "location"))
    moved = batch.filter(pc.not_equal(bare, begun))
    return pa.RecordBatch.from_arrays([moved["image_id"], moved["final_url"]], schema=LED)


def _told(batch: pa.RecordBatch) -> pa.RecordBatch:
    # Few answers have the header, and a pattern costs more than a look for its name.
    some = batch.filter(pc.match_substring(batch["headers"], _HEADER))
    told = pc.struct_field(pc.extract_regex(some["headers"], _LOCATION), "url")
    there = told.is_valid()
    return pa.RecordBatch.from_arrays([some["image_id"].filter(there), told.filter(there)], schema=LED)
