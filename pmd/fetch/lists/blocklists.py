"""Private lists of content that must not be kept: digests and perceptual hashes, each entry with an id.

What such a list names is nobody's to hand around: a picture that matches is not stored, its digests and headers are not
written down, and all that the ledger and the attempts say is `blocked_content` and the entry's id.

A list is text, an entry a line, `#` begins a comment::

    sha256:9f86d081…0a08 case-17      bytes with this SHA-256
    pdq:f8f8f0cc…c1c0                 pictures within `PDQ_MATCH` of this hash; the id is then FILE:LINE

Both hashes have 64 hexadecimal digits, so the kind is part of the entry. A suppression list (`pmd.suppression.lists`) is one
too.
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec
from pmd.books import pictures
from pmd.errors import InputError
from pmd.formats import encoding
from pmd.schema.statuses import OK
from pmd.store import storage
from pmd.suppression import addresses, kept_out, lists
from pmd.suppression.lists import Suppression

STATUS: Final = "blocked_content"
#: The id of what a suppression list names: nothing tells which of its entries it is.
SUPPRESSED: Final = "of a suppression list"

#: Bits of 256 that may differ: the threshold of PDQ's reference implementation (facebook/ThreatExchange, pdq).
PDQ_MATCH: Final = pictures.MATCH

_ENTRY: Final = re.compile(r"(sha256|pdq):([0-9a-fA-F]{64})(?:\s+(\S+))?")


@dataclasses.dataclass(frozen=True)
class Blocklist:
    """Entries of all lists.

    Attributes:
        digests: SHA-256 → id.
        looks: PDQ hash → id, in the order of the lists.
    """

    digests: Mapping[bytes, str]
    looks: Mapping[bytes, str]
    suppression: Suppression = dataclasses.field(default_factory=Suppression)

    def __bool__(self) -> bool:
        return bool(self.digests or self.looks or self.suppression.has("sha256"))

    @functools.cached_property
    def _searched(self) -> pictures.Looks:
        return pictures.Looks(self.looks)

    @functools.cached_property
    def _place(self) -> dict[bytes, int]:
        return {look: place for place, look in enumerate(self.looks)}

    def with_kept_out(self, kept: Suppression) -> Blocklist:
        """Return the same with what sources have kept of rows that these lists keep out (`pmd.suppression.kept_out`)."""
        return (
            dataclasses.replace(self, suppression=Suppression((*self.suppression.lists, *kept.lists))) if kept else self
        )

    def match(self, sha256: bytes | None, perceptual_hash: bytes | None) -> str | None:
        """Return the id of the entry that content matches, the nearest of several, or None."""
        if sha256 is not None and sha256 in self.digests:
            return self.digests[sha256]
        if sha256 is not None and self.suppression.holds("sha256", sha256):
            return SUPPRESSED
        if perceptual_hash is None or not self.looks:
            return None
        nearest = min(self._searched.nearest(perceptual_hash), key=self._place.__getitem__, default=None)
        return None if nearest is None else self.looks[nearest]

    def is_kept_out(self, url: str) -> bool:
        """Return whether a suppression list names where a redirect leads to: what lies there was taken down."""
        return addresses.is_named(self.suppression, url)

    def stored(self, ledger: pa.Table, images: pa.Table) -> dict[bytes, str]:
        """Return image_id → the entry's id of images that are ok in the ledger: what was fetched before it was listed."""
        if not self:
            return {}
        asked = pc.is_in(ledger["image_id"], value_set=images["image_id"].combine_chunks())
        kept = ledger.filter(pc.and_(asked, pc.equal(ledger["status"], OK)))
        columns = (kept[name].to_pylist() for name in ("image_id", "sha256", "perceptual_hash"))
        matches = ((image_id, self.match(sha256, seen)) for image_id, sha256, seen in zip(*columns, strict=True))
        return {image_id: name for image_id, name in matches if name is not None}


def read(paths: Iterable[str]) -> Blocklist:
    """Read lists.

    Raises:
        InputError: A line is no entry, or a file is missing.
    """
    digests: dict[bytes, str] = {}
    looks: dict[bytes, str] = {}
    suppressing: list[lists.List] = []
    for path in paths:
        raw = storage.read_bytes(path)
        if lists.is_list(raw):
            suppressing.append(lists.from_bytes(raw, path))
            continue
        content = encoding.without_mark(raw, path).decode("utf-8", errors="replace")
        for number, line in enumerate(content.splitlines(), start=1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            entry = _ENTRY.fullmatch(text)
            if entry is None:
                # What stands there is not repeated: it may be a hash that is nobody's to see.
                raise InputError(
                    "not an entry of a blocklist",
                    where=f"{path}:{number}",
                    expected="sha256:HEX or pdq:HEX, 64 hexadecimal digits, and then an id if you like",
                )
            kind, hexadecimal, name = entry.groups()
            name = name or f"{posixpath.basename(path)}:{number}"
            if kind == "sha256":
                digests.setdefault(bytes.fromhex(hexadecimal), name)
            elif not codec.is_telling(bytes.fromhex(hexadecimal)):
                raise InputError(
                    "the hash of a picture with nothing in it: it would block strangers",
                    where=f"{path}:{number}",
                    expected=f"a PDQ hash with {codec.SET_BITS.start} to {codec.SET_BITS.stop - 1} bits set",
                    remedy="name the picture by its sha256",
                )
            else:
                looks.setdefault(bytes.fromhex(hexadecimal), name)
    suppression = Suppression(tuple(suppressing))
    for look in sorted(suppression.looks):
        looks.setdefault(look, SUPPRESSED)
    return Blocklist(digests, looks, suppression)


def of_root(root_url: str, paths: Iterable[str]) -> Blocklist:
    """Read lists, with what a ROOT's sources have kept of rows that the suppression lists among them keep out.

    Raises:
        InputError: As `read`.
    """
    found = read(paths)
    return found.with_kept_out(kept_out.standing(root_url, found.suppression)) if found.suppression else found


def evidence(name: str) -> str:
    """Return all that is written down of a match."""
    return f"blocklist entry {name}"
