"""Pixels in another size, by either library: Pillow stands in for cykooz.resizer within the tolerance that is told."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from PIL import Image

from pmd import codec
from pmd.codec import resampling
from tests.codec.pictures import gradient

#: Levels of 256: the mean and the largest difference. `pmd.codec.resampling` has what was measured on photographs.
SCALED_DOWN, ENLARGED = (0.3, 16), (1.0, 48)


def noisy(width: int, height: int) -> Image.Image:
    """Return a picture of soft and hard edges and of grain."""
    grain = np.random.default_rng(0).integers(-24, 25, (height, width, 3))
    pixels = np.asarray(gradient(width, height), np.int64) + grain
    pixels[height // 3 : height // 2, width // 4 : width // 2] = 255
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "box", "tolerance"),
    [
        ((160, 120), None, SCALED_DOWN),
        ((101, 97), (13.5, 7.25, 411.0, 380.5), SCALED_DOWN),
        ((960, 720), None, ENLARGED),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pillow_gives_nearly_the_same_pixels(
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    size: tuple[int, int],
    box: resampling.Box | None,
    tolerance: tuple[float, int],
) -> None:
    assert resampling.cykooz_resizer is not None
    picture = noisy(640, 480).convert(mode)
    ours = np.asarray(resampling.resampled(picture, size, box), np.int64)
    monkeypatch.setattr(resampling, "cykooz_resizer", None)
    theirs = np.asarray(resampling.resampled(picture, size, box), np.int64)
    differences = abs(ours - theirs)
    assert differences.any()
    assert (differences.mean() <= tolerance[0], differences.max() <= tolerance[1]) == (True, True), differences.mean()


def test_the_codec_works_without_wheels_of_the_scaling_library() -> None:
    code = (
        "import sys; sys.modules['cykooz_resizer'] = None\n"
        "from PIL import Image\n"
        "from pmd import codec\n"
        "from pmd.codec import scaling\n"
        "print(codec.libraries()['scaling'], scaling.scaled(Image.new('RGB', (64, 48)), (32, 24)).size)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == f"Pillow {metadata.version('pillow')} (32, 24)\n"


def test_who_makes_pictures_is_told_with_versions() -> None:
    told = codec.libraries()
    assert told["scaling"] == f"cykooz.resizer {metadata.version('cykooz.resizer')}"
    assert set(told) == {"Pillow", "simplejpeg", "scaling", "libjpeg_turbo", "webp", "zlib"}
    assert "None" not in told.values()
