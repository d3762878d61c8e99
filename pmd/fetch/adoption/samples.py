"""What img2dataset's WebDataset shards hold, sample by sample; what is odd is passed over, counted, and told once.

img2dataset writes beside each picture a JSON with the URL, a status, the SHA-256 of what was downloaded, its size before
resizing, and its EXIF. Others' files are read here: nothing is unpacked, nothing but headers and one bounded JSON is in
memory, and no shape of them raises. A tar that was cut short gives what stands before the cut.

**What a copy may be trusted with.** img2dataset (1.47) makes its copies through OpenCV: it does not turn a photograph as its
EXIF says, drops what said so, spoils 16 bits a channel, and knows no colour profile. Neither the copy nor its size shows any
of that. Its JSON's `exif` does, as far as it goes. exifread finds the EXIF of JPEG, WebP and TIFF files. It says `{}` of
everything else (a PNG of 16 bits, say), and of a JPEG whose EXIF stands behind a large profile. So an empty one proves
nothing. One that calls the colours sRGB and tells of no turn can be trusted: cameras and editors write another `ColorSpace`
into pictures of a wide gamut or CMYK.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from pmd import escape
from pmd.errors import InputError
from pmd.formats import archives
from pmd.formats.streams import HEAD_BYTES, compression_of, read_head
from pmd.store import storage
from pmd.text import urls

#: Bytes of a sample's JSON, at most: img2dataset writes some thousand, and as many as captions and EXIF have.
MAX_JSON_BYTES: Final = 1 << 20

#: What is passed over, and how it is told: a closed list (docs/img2dataset.md).
ODD: Final[Mapping[str, str]] = {
    "folder": "a folder, as img2dataset's output format `files` has",
    "format": "a file of another output format (Parquet, TFRecord), or of statistics",
    "compressed": "a compressed tar",
    "no_tar": "no tar",
    "cut": "a tar that is cut short or damaged; what stands before is used",
    "link": "a link, a device, or a member with holes",
    "name": "a name that leads out of the tar or cannot be shown",
    "twice": "a second member of one name, or a second picture of one sample; the first sample that was whole is used",
    "large": "a JSON of over 1 MiB, or a picture of more than max_bytes",
    "half": "a picture without its JSON, or a JSON without its picture",
    "json": "a JSON that cannot be read",
    "status": "a JSON without the status that img2dataset writes",
    "url": "a JSON without a URL of http or https",
    "size": "an original size that is none",
}

_SUCCESS: Final = "success"
_SHA256: Final = re.compile("[0-9a-f]{64}")
_MAX_SIDE_PX: Final = 2**31 - 1
_MAX_NAME: Final = 4096

#: What img2dataset can encode; `jpg` is also the name of any bytes that are kept as they came.
_PICTURES: Final = frozenset({"jpg", "jpeg", "png", "webp"})
_OTHER_FORMATS: Final = (".parquet", ".tfrecord", ".json")

#: exifread's words (3.0, `tags/exif.py`) for values 1 of Orientation and of ColorSpace.
_UPRIGHT: Final = ("Image Orientation", "Horizontal (normal)")
_SRGB: Final = ("EXIF ColorSpace", "sRGB")
#: R98 is DCF's basic file, sRGB; THM a thumbnail file's. R03 is Adobe RGB, whatever ColorSpace says (DCF 2.0 §4.3).
_INTEROPERABILITY: Final = "Interoperability InteroperabilityIndex"
_SRGB_FILES: Final = frozenset({"R98", "THM"})
#: Where one of these stands, the file is a TIFF, whose depth and colours OpenCV may change, or has primaries of its own.
_UNKNOWN_COLOURS: Final = frozenset(
    {
        "Image StripOffsets",
        "Image TileOffsets",
        "Image InterColorProfile",
        "Image WhitePoint",
        "Image PrimaryChromaticities",
        "Image TransferFunction",
        "EXIF Gamma",
    }
)
#: These may stand, with values of a picture of three times eight bits.
_EIGHT_BIT_RGB: Final[Mapping[str, frozenset[str]]] = {
    "Image BitsPerSample": frozenset({"8", "[8, 8, 8]"}),
    "Image SamplesPerPixel": frozenset({"3"}),
    "Image PhotometricInterpretation": frozenset({"2", "6"}),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A picture that img2dataset had, and what it says of it.

    Attributes:
        url: Canonical.
        member: The picture's name in the tar.
        offset: Of its bytes.
        length: Of its bytes.
        sha256: Of the download; None where another digest was computed, or none.
        width_px: Of the download, as OpenCV has it: unturned.
        height_px: Likewise.
        is_plain: The download is upright and sRGB as it stands, by its EXIF: `is_plain`.
    """

    url: str
    member: str
    offset: int
    length: int
    sha256: bytes | None
    width_px: int | None
    height_px: int | None
    is_plain: bool


class Odd:
    """What was passed over, by kind, and where first."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._first: tuple[str, str, str] | None = None

    def __bool__(self) -> bool:
        return bool(self.counts)

    def add(self, kind: str, where: str, detail: str = "") -> None:
        """Count something of a kind of `ODD`."""
        self.counts[kind] += 1
        self._first = self._first or (kind, where, detail)

    def text(self) -> str:
        """Return all of it as one line."""
        assert self._first is not None
        kind, where, detail = self._first
        counts = "; ".join(f"{self.counts[one]:,} × {says}" for one, says in ODD.items() if self.counts[one])
        where, detail = escape.terminal(where), escape.terminal(detail)
        only = f"the first is {where} ({kind}" + (f": {detail})" if detail else ")")
        return f"fetch.adopt passes over what it cannot use, and the web is asked: {counts}; {only}"


def read(path: str, odd: Odd, *, max_bytes: int | None = None) -> Iterator[Sample]:
    """Yield the samples of a shard whose picture and JSON are both there and sound.

    Args:
        path: Of a tar, as is hoped.
        odd: Takes note of what is passed over.
        max_bytes: Larger pictures are passed over.

    Raises:
        InputError: The file may not be read.
    """
    try:
        kind = _other_than_a_tar(path)
    except OSError as error:
        raise InputError(
            "the file cannot be read", where=path, found=str(error), remedy="mend its permissions, or fetch.adopt"
        ) from None
    if kind is not None:
        odd.add(kind, path)
        return
    size = storage.size(path)
    with storage.open_raw(path) as file:
        samples, kind = _Samples(path, file, odd, max_bytes), "no_tar"
        try:
            for member in archives.walk(file):
                kind = "cut"
                if member.isreg() and not member.issparse() and member.offset_data + member.size > size:
                    raise archives.Damaged(f"the file ends within {member.name!r}")
                sample = samples.add(member)
                if sample is not None:
                    yield sample
        except archives.Damaged as error:
            odd.add(kind, path, str(error))
        samples.end()


def is_plain(exif: object) -> bool:
    """Return whether the `exif` of a sample's JSON says that its download is upright and sRGB as it stands."""
    try:
        tags = _loads(exif) if isinstance(exif, str) else None
    except (ValueError, RecursionError):
        return False
    if not isinstance(tags, dict) or tags.get(_SRGB[0]) != _SRGB[1]:
        return False
    return (
        tags.get(*_UPRIGHT) == _UPRIGHT[1]
        and tags.get(_INTEROPERABILITY, "R98") in _SRGB_FILES
        and not _UNKNOWN_COLOURS & tags.keys()
        and all(tags[name] in values for name, values in _EIGHT_BIT_RGB.items() if name in tags)
    )


def _other_than_a_tar(path: str) -> str | None:
    """Return what a file is by its name or first bytes, a kind of `ODD`; None where it may be a tar."""
    if not _is_text(path):
        return "name"
    if storage.is_folder(path):
        return "folder"
    if path.endswith(_OTHER_FORMATS):
        return "format"
    with storage.open_raw(path) as file:
        compression = compression_of(read_head(file, HEAD_BYTES))
    return {"plain": None, "zip": "no_tar"}.get(compression, "compressed")


class _Samples:
    """The samples of one tar, put together of members in any order; of each, only what is needed is kept."""

    def __init__(self, path: str, file: BinaryIO, odd: Odd, max_bytes: int | None) -> None:
        self._path = path
        self._file = file
        self._odd = odd
        self._max_bytes = max_bytes
        self._pictures: dict[str, tuple[str, int, int]] = {}
        self._said: dict[str, _Said] = {}
        self._whole_keys: set[str] = set()
        self._passed_over: set[str] = set()

    def add(self, member: tarfile.TarInfo) -> Sample | None:
        """Take a member; return the sample that it makes whole."""
        if member.isdir():
            return None
        key, extension = _parted(member.name)
        is_picture = extension in _PICTURES
        if key in self._passed_over or not (is_picture or extension == "json"):
            return None
        kind, detail = self._refused(member, key, is_picture=is_picture), ""
        if kind is None and is_picture:
            self._pictures[key] = (member.name, member.offset_data, member.size)
        elif kind is None:
            kind, detail = self._describe(key, member)
        if kind is not None:
            self._pass_over(key, kind, member.name, detail)
            return None
        return self._whole(key)

    def end(self) -> None:
        """Take note of what has come alone."""
        for key in self._pictures.keys() ^ self._said.keys():
            name = self._pictures[key][0] if key in self._pictures else f"{key}.json"
            self._pass_over(key, "half", name, "")

    def _refused(self, member: tarfile.TarInfo, key: str, *, is_picture: bool) -> str | None:
        if not _is_proper(member.name):
            return "name"
        if not member.isreg() or member.issparse():
            return "link"
        if key in self._whole_keys or key in (self._pictures if is_picture else self._said):
            return "twice"
        limit = self._max_bytes if is_picture else MAX_JSON_BYTES
        return "large" if limit is not None and member.size > limit else None

    def _describe(self, key: str, member: tarfile.TarInfo) -> tuple[str | None, str]:
        """Take a JSON; return the kind of what is odd of it, and its words."""
        self._file.seek(member.offset_data)
        try:
            content = _loads(self._file.read(member.size).decode())
        except RecursionError:
            return "json", "nested too deeply"
        except ValueError as error:
            return "json", str(error)
        if not isinstance(content, dict):
            return "json", f"a {type(content).__name__}, not an object"
        try:
            self._said[key] = _Said.of(content)
        except _OddError as error:
            return error.kind, str(error)
        return None, ""

    def _whole(self, key: str) -> Sample | None:
        if key not in self._pictures or key not in self._said:
            return None
        (name, offset, length), said = self._pictures.pop(key), self._said.pop(key)
        self._whole_keys.add(key)
        if said.url is None:
            return None
        return Sample(said.url, name, offset, length, said.sha256, said.width_px, said.height_px, said.is_plain)

    def _pass_over(self, key: str, kind: str, name: str, detail: str) -> None:
        """Count a sample once, whatever else of it comes."""
        self._odd.add(kind, archives.location(self._path, name), detail)
        self._passed_over.add(key)
        self._pictures.pop(key, None)
        self._said.pop(key, None)


class _OddError(Exception):
    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclasses.dataclass(frozen=True, slots=True)
class _Said:
    """What a JSON says; `url` is None where it says that the download failed."""

    url: str | None
    sha256: bytes | None
    width_px: int | None
    height_px: int | None
    is_plain: bool

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> _Said:
        """Read it.

        Raises:
            _OddError: It says something odd.
        """
        if not isinstance(content.get("status"), str):
            raise _OddError("status", f"keys: {', '.join(sorted(content))}"[:200])
        if content.get("status") != _SUCCESS:
            return cls(None, None, None, None, is_plain=False)
        given = content.get("url")
        url = urls.canonical_one(given) if isinstance(given, str) and _is_text(given) else None
        if url is None:
            raise _OddError("url", repr(given)[:200])
        width, height = content.get("original_width"), content.get("original_height")
        if not (width is height is None or (_is_side(width) and _is_side(height))):
            raise _OddError("size", repr((width, height))[:200])
        digest = content.get("sha256")
        return cls(
            url,
            bytes.fromhex(digest) if isinstance(digest, str) and _SHA256.fullmatch(digest) else None,
            width,
            height,
            is_plain(content.get("exif")),
        )


def _is_side(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_SIDE_PX


def _loads(text: str) -> Any:
    """Return JSON as Python's json writes it, NaN and infinities included.

    Raises:
        ValueError: It is none, or says one key twice.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key that is said twice")
    return fields


def _parted(name: str) -> tuple[str, str]:
    """Cut a member's name as WebDataset does: the key goes up to the first dot behind the last slash."""
    folder, slash, file = name.rpartition("/")
    stem, _, extension = file.partition(".")
    return folder + slash + stem, extension.lower()


def _is_proper(name: str) -> bool:
    parts = name.split("/")
    return 0 < len(name) <= _MAX_NAME and name.isprintable() and parts[0] != "" and ".." not in parts


def _is_text(text: str) -> bool:
    """Return whether a string has no lone surrogates, which cannot be written."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
