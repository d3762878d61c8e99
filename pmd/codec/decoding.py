"""An opened file in, its pixels out.

A JPEG of which libjpeg has nothing to say is decoded by its own interface (simplejpeg), which is faster; Pillow has read its
header before, and judges all others.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import pyarrow as pa
import simplejpeg
from PIL import Image, ImageCms, JpegImagePlugin

from pmd.codec import colour, opening, orientation, outline, scaling, structure
from pmd.codec.form import ORIGINAL, Form, Size
from pmd.codec.verdicts import Refused
from pmd.store import shortage


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A decoded picture, in the colours and the position that the file has it in.

    Attributes:
        outline: What it is beside its pixels.
        pixels: RGB, L, CMYK, LAB or RGBA, perhaps scaled down by the decoder.
        transform: What brings its colours to sRGB; None where plain conversion does.
    """

    outline: outline.Outline
    pixels: Image.Image
    transform: ImageCms.ImageCmsTransform | None

    def picture(self, form: Form = ORIGINAL) -> Image.Image:
        """Return it upright and sRGB on white, in the size of a form, scaled first: colours cost by the pixel."""
        if form.is_original or form.mode == "no":
            return self._upright(self.pixels)
        fit = form.fit(self.outline.size)
        if fit.is_cut:  # from the middle of what stands upright, rounded there
            turned = self.pixels if self.outline.turn is None else self.pixels.transpose(self.outline.turn)
            scaled = scaling.scaled(turned, fit.size, scaling.box_of(fit, turned.size))
            return colour.on_white(scaled, self.transform)
        size = fit.scaled[::-1] if self.outline.turn in orientation.QUARTER_TURNS else fit.scaled
        return scaling.on_canvas(self._upright(scaling.scaled(self.pixels, size)), fit)

    def _upright(self, pixels: Image.Image) -> Image.Image:
        picture = colour.on_white(pixels, self.transform)
        return picture if self.outline.turn is None else picture.transpose(self.outline.turn)


@dataclasses.dataclass(frozen=True)
class Way:
    """How a JPEG is decoded; other files are decoded whole.

    Attributes:
        scale: 1, 2, 4 or 8: by how much libjpeg scales it down.
        repeats_chroma: Whether chroma is repeated and not interpolated, which is faster, and changes luma only where a
            colour is clipped: for what is about to be shrunk to two thirds or less (ours), which changes no mean SSIM.
    """

    scale: int = 1
    repeats_chroma: bool = False


#: The whole picture, as it is.
WHOLE: Final = Way()

#: For its verdict alone.
SMALLEST: Final = Way(8, repeats_chroma=True)

#: Short side of the form of which the whole decode is also that of the hash: of the default one. So the hash does not depend
#: on the form, and where the picture is no larger than libjpeg has to decode it, hash and form share one decode.
_HASHED_AS_PX: Final = 256


def forming(size: Size, form: Form) -> Way:
    """Return the way for a caller who brings a picture into a form."""
    if form.is_original:
        return SMALLEST
    short_side_px = min(form.fit(size).scaled)
    scale = scaling.draft_scale(size, short_side_px)
    return Way(scale, min(size) // scale >= 1.5 * short_side_px)


def hashing(size: Size) -> Way:
    """Return the way for the perceptual hash."""
    return Way(1, min(size) >= 1.5 * _HASHED_AS_PX)


def load(opened: opening.Opened, way: Way = WHOLE) -> Loaded:
    """Decode.

    Raises:
        Refused: It does not decode.
        PmdError: There is no memory to decode it in.
    """
    try:
        pixels = _sound_jpeg(opened, way)
        if pixels is None:
            image = opened.image
            if isinstance(image, JpegImagePlugin.JpegImageFile) and way.scale > 1 and opened.scalable:
                image.draft(None, (max(1, opened.size[0] // way.scale), max(1, opened.size[1] // way.scale)))
            colour.spread_clear(image)
            image.load()
            pixels = colour.eight_bits(image)
        described = outline.of(opened)
    except (Image.DecompressionBombError, structure.Bomb) as error:
        raise Refused("bomb", str(error)) from None
    except opening.DAMAGE as error:
        shortage.refuse_lack(error, opening.BYTES_OF_A_PIXEL * opened.size[0] * opened.size[1] // way.scale**2)
        raise Refused("undecodable", opening.says(error)) from None
    return Loaded(described, pixels, colour.transform_of(pixels.mode, opened.icc_profile))


def _sound_jpeg(opened: opening.Opened, way: Way) -> Image.Image | None:
    """Decode a JPEG of three components in which libjpeg finds nothing odd; None for any other file: Pillow judges it.

    But for repeated chroma these are Pillow's pixels in a tenth to a fifth less time: nothing is copied from line to line, or
    afterwards.
    """
    if not opened.scalable or opened.mode != "RGB":
        return None
    width, height = opened.size
    least = {} if way.scale == 1 else {"min_width": -(-width // way.scale), "min_height": -(-height // way.scale)}
    try:
        pixels = simplejpeg.decode_jpeg(opened.content, "RGBX", fastupsample=way.repeats_chroma, strict=True, **least)
    except (ValueError, MemoryError) as error:
        shortage.refuse_lack(error)
        return None
    rows = pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), 4)
    return Image.fromarrow(rows, "RGB", (pixels.shape[1], pixels.shape[0]))
