"""Which way up."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageOps

from pmd import codec
from pmd.codec import Form, Limits
from tests.codec.pictures import difference, encoded, gradient, inspected, opened

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [
        *((kind, orientation) for kind in ("JPEG", "PNG", "WEBP") for orientation in range(10)),
        *(("TIFF", orientation) for orientation in range(1, 9)),  # no others can be written
    ],
)
def test_pictures_come_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = gradient(160, 80)
    content = encoded(image, kind, exif=exif)
    expected = ImageOps.exif_transpose(opened(content)).convert("RGB")
    assert difference(codec.upright_rgb(content), expected) < 1
    found = inspected(content)
    assert (found.width_px, found.height_px) == expected.size
    prepared = codec.prepare(content, Limits(), Form(40), hashed=True)
    assert prepared.stored is not None
    assert (
        difference(
            opened(prepared.stored), expected.resize([side // 2 for side in expected.size], Image.Resampling.BOX)
        )
        < 4
    )


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_genuine_orientations_are_all_upright(samples: Path, shape: str) -> None:
    folder = samples / "images" / "exif-orientation"
    pictures = [codec.upright_rgb((folder / f"{shape}_{number}.jpg").read_bytes()) for number in range(9)]
    small = [
        picture.resize((90, 60) if shape == "Landscape" else (60, 90), Image.Resampling.BOX) for picture in pictures
    ]
    assert {picture.size for picture in pictures} == {(1800, 1200) if shape == "Landscape" else (1200, 1800)}
    assert max(difference(small[1], other) for other in small) < 12
