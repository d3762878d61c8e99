"""Pictures drawn, written and compared, for the tests of the codec."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from pmd import codec

#: The codec's own.
LIMITS = codec.Limits()

FORMATS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif", "TIFF": "tiff", "BMP": "bmp"}


def gradient(width: int = 300, height: int = 200, mode: str = "RGB") -> Image.Image:
    """Return a smooth picture whose corners all differ."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **more: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}), **more)  # type: ignore[arg-type]
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


#: Files whose name or kind Pillow reads and we do not: netpbm and JPEG 2000.
NOT_READ = {"PPM", "JPEG2000"}


def catalogue(samples: Path) -> list[tuple[Path, dict[str, str]]]:
    with (samples / "images" / "catalog.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = [(samples / "images" / row["path"], row) for row in rows]
    return [(path, row) for path, row in found if path.exists()]


def inspected(content: bytes, limits: codec.Limits = LIMITS) -> codec.Inspected:
    """Return what is said of content."""
    return codec.prepare(content, limits, codec.Form(), hashed=True).inspected
