"""What people want of pmd without a build: functions on one value, or on a whole column at the speed of the stages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, overload

import pyarrow as pa

from pmd import codec
from pmd.errors import InputError
from pmd.text import language, url_identity, urls

if TYPE_CHECKING:
    from PIL import Image


@overload
def canonical_url(url: str | None) -> str | None: ...
@overload
def canonical_url(url: pa.Array | pa.ChunkedArray) -> pa.Array: ...
def canonical_url(url: Any) -> Any:
    """Return the one form in which a URL's many spellings are compared; None for what is no http or https URL.

    As browsers serialise it (WHATWG), without fragment and without parameters that only track.

    >>> import pmd
    >>> pmd.canonical_url("HTTP://Example.org:80/a/../b.jpg?utm_source=x#top")
    'http://example.org/b.jpg'
    >>> pmd.canonical_url("nowhere") is None
    True

    Args:
        url: A URL, or an Arrow array of them, which gives an array.
    """
    if _is_column(url):
        return urls.canonical(_column(url))
    return urls.canonical_one(url) if _is_text(url) else None


@overload
def identity(url: str | None) -> str | None: ...
@overload
def identity(url: pa.Array | pa.ChunkedArray) -> pa.Array: ...
def identity(url: Any) -> Any:
    """Return what a URL says of which image it shows, in any size or edition; None for what is no http or https URL.

    Images of one identity are one image to pmd. What forms there are: docs/sources.md.

    >>> import pmd
    >>> pmd.identity("https://farm1.staticflickr.com/2/4242_abcdef_z.jpg")
    'flickr:4242'
    >>> import pyarrow as pa
    >>> pmd.identity(pa.array(["http://example.org/a.jpg", None])).to_pylist()
    ['url:example.org/a.jpg', None]

    Args:
        url: A URL, or an Arrow array of them, which gives an array.
    """
    if _is_column(url):
        return url_identity.of(_column(url))
    return url_identity.of_one(url) if _is_text(url) else None


@overload
def is_english(text: str | None) -> bool: ...
@overload
def is_english(text: pa.Array | pa.ChunkedArray) -> pa.Array: ...
def is_english(text: Any) -> Any:
    """Return whether a text is English, as the YFCC filter decides it; nothing and texts without a letter are not.

    CLD2 decides where it is sure, else fastText's lid.176: docs/decisions.md has their figures.

    >>> import pmd
    >>> pmd.is_english("A dog runs on the beach.")
    True
    >>> pmd.is_english("Ein Hund läuft am Strand.")
    False

    Args:
        text: A text, or an Arrow array of them, which gives an array. A column costs far less than its texts one by one.
    """
    if _is_column(text):
        return language.english(_column(text)).column("is_english")
    # Half a surrogate pair, which a text from elsewhere may hold, is no text to Arrow.
    sound = text.encode("utf-8", "replace").decode() if _is_text(text) else None
    return language.english(pa.array([sound], pa.string())).column("is_english")[0].as_py()


def perceptual_hash(picture: bytes | Image.Image) -> bytes:
    """Return the PDQ hash of a picture: 32 bytes, of which few bits differ where two pictures look alike.

    Up to 31 differing bits are a match; a picture with little in it has a hash that says nothing. The content of a file
    is hashed as a fetch does it, so that hashes can be compared with those of the ledger and of published lists.

    >>> import pmd
    >>> from PIL import Image
    >>> picture = Image.radial_gradient("L").rotate(9).crop((20, 40, 250, 200)).convert("RGB")
    >>> one, other = pmd.perceptual_hash(picture), pmd.perceptual_hash(picture.resize((120, 80)))
    >>> len(one)
    32
    >>> (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() <= 31
    True

    Args:
        picture: The content of an image file, or a picture, which is taken to be upright and of eight bits a channel.

    Raises:
        InputError: The content is no picture that can be decoded, or neither content nor picture is given.
    """
    if isinstance(picture, str | os.PathLike):
        raise InputError(
            "a path is no picture",
            where=os.fsdecode(picture),
            expected="the content of an image file in bytes, or a picture of Pillow's",
            remedy="read the file: pathlib.Path(PATH).read_bytes()",
        )
    if isinstance(picture, bytes | bytearray | memoryview):
        return _hash_of_content(bytes(picture))
    if not hasattr(picture, "has_transparency_data"):
        raise InputError(
            "no picture",
            expected="the content of an image file in bytes, or a picture of Pillow's",
            found=_kind(picture),
            remedy="of an array of pixels: PIL.Image.fromarray(PIXELS)",
        )
    return codec.perceptual_hash(_on_white(picture))


def _hash_of_content(content: bytes) -> bytes:
    try:
        return codec.hash_of(content, codec.Limits())
    except codec.Refused as refused:
        raise InputError(
            "no picture that can be decoded",
            expected="a JPEG, PNG, WebP, GIF, AVIF, TIFF or BMP",
            found=f"{refused.status}: {refused.detail}",
        ) from None


def _on_white(picture: Image.Image) -> Image.Image:
    """Return a picture of any mode as RGB, what is transparent on white, as a fetch does."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    from PIL import Image

    seen = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")


def _is_text(value: Any) -> bool:
    """Return whether a value is a text; what pandas has in the place of a missing one is none.

    Raises:
        InputError: It holds several values, and would silently give one answer for all; or it is one of Arrow's, which is no str.
    """
    if isinstance(value, Iterable | pa.Scalar) and not isinstance(value, str):
        raise InputError(
            "neither a text nor an Arrow array",
            expected="a str, None, or an Arrow array of them",
            found=_kind(value),
            remedy="give what it holds: VALUE.as_py()"
            if isinstance(value, pa.Scalar)
            else "make a column of it: pyarrow.array(VALUES)",
        )
    return isinstance(value, str)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_column(value: Any) -> bool:
    return isinstance(value, pa.Array | pa.ChunkedArray)


def _column(value: Any) -> Any:
    return value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
