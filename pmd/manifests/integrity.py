"""Whether a file on disk is the published one, by size and checksum; and the note kept of what was downloaded.

Many files have no published checksum. So a note (`.NAME.fetched`, JSON) keeps the SHA-256 of what came over the wire:
`verify` finds damage with it, and `fetch` need not hash 20 GB again to see that a file is still the one it checked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pmd.manifests.model import ManifestFile
from pmd.manifests.outcome import Outcome, Progress, Silent

if TYPE_CHECKING:
    from hashlib import _Hash

#: Bytes read or received at a time: large enough that hashing, not Python, takes the time.
CHUNK_BYTES: Final = 1 << 20

#: How files begin by the end of their names; an archive cut short or a page in its place is then seen without a checksum.
_BEGINNINGS: Final = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".zip": b"PK", ".jsonl": b"{"}
#: How they end, but for a new line; one that was cut short within a row does not.
_ENDINGS: Final = {".jsonl": b"}"}
_END_BYTES: Final = 16
#: How pages begin that a portal, a proxy or a server that has moved sends in a file's place, with a status of 200.
_PAGE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:(?:!doctype html|html|head|body|error|\?xml)\b|!--)", re.IGNORECASE
)

#: What is said of one.
A_PAGE: Final = "a web page, or a server's error"

_SILENT: Final = Silent()


@dataclasses.dataclass(frozen=True)
class Record:
    """What is kept of a finished download.

    Attributes:
        url: Where it came from; empty where somebody put it there.
        bytes: Its size.
        mtime_ns: When it was last modified, when it was checked; another time means that somebody wrote to it.
        changed_ns: When it was last changed in any way: another file can be given the time of modification, not this one.
            None in the notes of earlier versions.
        sha256: Its digest.
        md5: Its digest, where upstream publishes only that.
    """

    url: str
    bytes: int
    mtime_ns: int
    sha256: str
    md5: str | None = None
    changed_ns: int | None = None

    def is_of(self, status: os.stat_result) -> bool:
        """Return whether a file is still the one that was checked, by all that tells without its bytes."""
        found = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return found == (self.bytes, self.mtime_ns, self.changed_ns)


class Digests:
    """SHA-256, and MD5 where that is what upstream published, of bytes as they pass."""

    def __init__(self, file: ManifestFile) -> None:
        """Begin with no bytes; `file` says which digests are asked for."""
        self._sha256: _Hash = hashlib.sha256()
        self._md5: _Hash | None = hashlib.md5(usedforsecurity=False) if file.sha256 is None and file.md5 else None

    def update(self, chunk: bytes) -> None:
        """Take further bytes in."""
        self._sha256.update(chunk)
        if self._md5 is not None:
            self._md5.update(chunk)

    @property
    def sha256(self) -> str:
        """The digest so far, hex."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str | None:
        """The digest so far, hex; None where it is not asked for."""
        return self._md5.hexdigest() if self._md5 is not None else None

    def published(self, file: ManifestFile) -> tuple[str, str] | None:
        """Return (expected, found) of the published checksum; None where none is published."""
        if file.digest is None:
            return None
        algorithm, expected = file.digest
        return expected, self.sha256 if algorithm == "sha256" else str(self.md5)


def record_path(path: Path) -> Path:
    """Return where a file's note is kept: hidden, so that no glob over annotation files finds it."""
    return path.with_name(f".{path.name}.fetched")


def read_record(path: Path) -> Record | None:
    """Return a file's note; None where there is none that can be read: it only ever saves work."""
    try:
        return Record(**json.loads(record_path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: Path, url: str, digests: Digests) -> None:
    """Note that a file is whole and checked; size and times bind the note to these bytes."""
    status = path.stat()
    record = Record(url, status.st_size, status.st_mtime_ns, digests.sha256, digests.md5, status.st_ctime_ns)
    note = record_path(path)
    temporary = note.with_name(note.name + ".tmp")
    temporary.write_text(json.dumps(dataclasses.asdict(record), indent=1) + "\n", encoding="utf-8")
    temporary.replace(note)


def is_page(start: bytes) -> bool:
    """Return whether what begins with some bytes is a page or a server's error, which no file of annotations is."""
    return _PAGE.match(start) is not None


def foreign(name: str, path: Path) -> str | None:
    """Return what a file is in place of the one that its name says, as its first and last bytes show; None: it may be that one.

    Only what has no published size or checksum needs this: an answer of 200 may be empty, or a portal's page.

    Args:
        name: The file's name upstream.
        path: Where its bytes are.
    """
    with open(path, "rb") as content:
        head = content.read(256)
        content.seek(max(os.fstat(content.fileno()).st_size - _END_BYTES, 0))
        end = content.read().rstrip()
    if not head:
        return "the file is empty"
    if is_page(head):
        return f"{A_PAGE}, was found in place of the file"
    suffix = Path(name).suffix
    if not head.startswith(_BEGINNINGS.get(suffix, b"")):
        return f"the file does not begin as one in {suffix} does: {head[:8]!r} was found"
    if not end.endswith(_ENDINGS.get(suffix, b"")):
        return f"the file ends within a row, as one that was cut short: {end[-8:]!r} was found"
    return None


def check(file: ManifestFile, path: Path, *, quick: bool, progress: Progress = _SILENT) -> Outcome:
    """Compare a file with what is published of it, and with the note of its download.

    Args:
        file: What is published.
        path: Where it should be.
        quick: Take the note's word for the checksum where size and times are still the note's, and leave a
            note of what is found to be right; otherwise read every byte and write nothing.
        progress: Who is told.

    Returns:
        An outcome `present`, `absent`, `wrong_size`, `wrong_checksum` or `foreign`, without a remedy.
    """
    where = str(path)
    if not path.is_file():
        return Outcome(file, where, "absent", "no such file")
    status = path.stat()
    if file.bytes is not None and status.st_size != file.bytes:
        return Outcome(file, where, "wrong_size", f"expected {file.bytes} bytes, found {status.st_size}")
    if file.digest is None and (why := foreign(file.name, path)) is not None:
        return Outcome(file, where, "foreign", why)
    record = read_record(path)
    if quick and record and record.is_of(status):
        expected = file.digest
        noted = record.sha256 if expected is None or expected[0] == "sha256" else record.md5
        if expected is None or expected[1] == noted:
            return Outcome(file, where, "present", "unchanged since it was checked")
    if file.digest is None and record is None:
        return Outcome(file, where, "present", "no checksum is published")
    digests = hash_file(file, path, progress)
    if (published := digests.published(file)) is not None:
        expected_hex, found_hex = published
        if quick and expected_hex == found_hex:
            write_record(path, record.url if record else "", digests)
        return _compared(file, where, expected_hex, found_hex, "the published checksum")
    assert record is not None
    if quick and record.sha256 == digests.sha256:
        write_record(path, record.url, digests)
    return _compared(file, where, record.sha256, digests.sha256, "the checksum noted at download (none is published)")


def hash_file(file: ManifestFile, path: Path, progress: Progress) -> Digests:
    """Return the digests of a file's bytes."""
    digests = Digests(file)
    with open(path, "rb") as content:
        progress.start(file, "checking", os.fstat(content.fileno()).st_size, 0)
        while chunk := content.read(CHUNK_BYTES):
            digests.update(chunk)
            progress.advance(len(chunk))
    return digests


def _compared(file: ManifestFile, where: str, expected: str, found: str, by: str) -> Outcome:
    if expected == found:
        return Outcome(file, where, "present", f"has {by}")
    return Outcome(file, where, "wrong_checksum", f"expected {by}, {expected}; found {found}")
