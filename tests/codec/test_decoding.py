"""Pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from pmd import codec
from pmd.codec import Form, Limits, header, structure
from tests.codec.pictures import FORMATS, NOT_READ, catalogue, difference, encoded, gradient, inspected, opened

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.mark.parametrize(
    ("kind", "share"),
    # The last bytes of a GIF hold no pixels.
    [(kind, share) for kind in FORMATS for share in (0.02, 0.5, 0.95) if (kind, share) != ("GIF", 0.95)],
)
def test_what_is_cut_does_not_decode(kind: str, share: float) -> None:
    content = encoded(gradient(), kind)
    cut = content[: max(64, int(len(content) * share))]
    assert inspected(cut).status == "undecodable"


@pytest.mark.parametrize("more", [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}])
def test_a_jpeg_has_the_pixels_that_pillow_gives(more: dict[str, object]) -> None:
    content = encoded(gradient(301, 203), **more)
    picture = codec.upright_rgb(content)
    assert (picture.mode, picture.size) == ("RGB", (301, 203))
    assert np.array_equal(np.asarray(picture), np.asarray(opened(content)))
    with Image.open(io.BytesIO(content)) as half:
        half.draft(None, (100, 100))
        assert np.array_equal(np.asarray(codec.upright_rgb(content, min_short_side_px=100)), np.asarray(half))


def test_a_jpeg_that_libjpeg_warns_of_is_judged_by_pillow() -> None:
    """Bytes between the last scan and the end are odd, and harm nothing; a scan that is damaged is what Pillow calls it."""
    content = encoded(gradient())
    odd = content[:-2] + bytes(9) + content[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(odd)
    assert difference(codec.upright_rgb(odd), codec.upright_rgb(content)) == 0
    prepared = codec.prepare(odd, Limits(), Form(64), hashed=True)
    assert (prepared.inspected.status, prepared.stored_width_px) == ("ok", 96)


def test_genuine_pictures_match_a_reference_decoding(samples: Path) -> None:
    for path, row in catalogue(samples):
        content = path.read_bytes()
        if (
            row["status"] != "ok"
            or row["format"] in NOT_READ
            or row["mode"] not in {"RGB", "L"}
            or len(content) > 400_000
        ):
            continue
        with Image.open(path) as image:
            if "icc_profile" in image.info or "transparency" in image.info:
                continue
            reference = ImageOps.exif_transpose(image).convert("RGB")
        assert difference(codec.upright_rgb(content), reference) < 0.5, path


def test_a_lossless_jpeg_is_never_scaled_by_the_decoder(samples: Path) -> None:
    """libjpeg-turbo 3 would write it in full size into a smaller buffer: see `header.is_scalable`."""
    content = (samples / "images" / "codec-fixtures" / "testimgl.jpg").read_bytes()
    assert header._frame_header(content, structure.jpeg_markers(content)) == (0xC3, (227, 149))
    assert codec.upright_rgb(content, min_short_side_px=16).size == (227, 149)
