"""Colours of any kind of file as sRGB, eight bits a channel, transparency on white."""

from __future__ import annotations

import functools
import io
from typing import Any, Final, cast

import numpy as np
from PIL import Image, ImageCms, ImageFile

from pmd.codec import opening
from pmd.store import shortage

#: Largest difference, in one of 256 levels, up to which an embedded profile is taken for sRGB and left alone.
_SAME_COLOUR: Final = 2

#: Profiles that are kept at hand are no longer than this: those of cameras and screens are 0.5 to 4 kB, of presses 0.5 to 2 MB.
_KEPT_PROFILE_BYTES: Final = 2 << 20

_WHITE: Final = (255, 255, 255)
#: The highest value of a channel of eight bits.
_MOST: Final = 255
#: How Pillow calls greys of fewer bits → by how much it multiplies them.
_SPREAD: Final = {"L;2": 85, "L;4": 17}


def spread_clear(image: ImageFile.ImageFile) -> None:
    """Have the clear grey of a PNG of two or four bits be as its pixels will be: Pillow spreads only these over eight bits.

    Args:
        image: Opened, and not decoded yet: then nobody can tell any more.
    """
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.tile:
        image.info["transparency"] = clear * _SPREAD.get(str(image.tile[0].args), 1)


def eight_bits(image: Image.Image) -> Image.Image:
    """Return any mode as RGB, L, CMYK, LAB or, where there is transparency, RGBA: what can be scaled and has profiles."""
    mode, clear = image.mode, image.info.get("transparency")
    if mode in {"I", "F"} or mode.startswith("I;16"):
        return _eight_bit_grey(np.asarray(image), clear, upper_half=mode.startswith("I;16"))
    if clear is not None and mode in {"1", "P", "L", "RGB"}:
        return _with_clear(image, clear).convert("RGBA")
    if mode in {"La", "RGBa"}:  # premultiplied
        return image.convert("LA" if mode == "La" else "RGBA").convert("RGBA")
    if mode in {"LA", "PA"}:
        return image.convert("RGBA")
    if mode == "1":
        return image.convert("L")
    return image if mode in {"RGB", "L", "CMYK", "LAB", "RGBA"} else image.convert("RGB")


def _with_clear(image: Image.Image, clear: object) -> Image.Image:
    """Return an image whose clear colour has eight bits, as its pixels have them: of a PNG of sixteen Pillow keeps all of it."""
    if isinstance(clear, tuple) and max(clear) > _MOST:
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image


def _eight_bit_grey(
    values: np.ndarray[tuple[int, ...], np.dtype[Any]], clear: object, *, upper_half: bool
) -> Image.Image:
    """Return grey of 16 bits as eight by their upper half; of 32 bits, or of floats, by their own range.

    Args:
        values: The pixels.
        clear: Their value where they are clear; None: nowhere.
        upper_half: Whether they have 16 bits.
    """
    if upper_half:
        grey = Image.fromarray((values >> 8).astype(np.uint8))
        if not isinstance(clear, int):
            return grey
        alpha = Image.fromarray(np.where(values == clear, 0, _MOST).astype(np.uint8))
        return Image.merge("RGBA", (grey, grey, grey, alpha))
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    scaled = (finite - low) * (255.0 / (high - low)) if high > low else np.zeros_like(finite)
    return Image.fromarray(scaled.astype(np.uint8))


def on_white(pixels: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> Image.Image:
    """Return what `eight_bits` made as RGB, its colours by a transform where there is one, on white where it is clear."""
    colours = pixels.convert("RGB") if pixels.mode == "RGBA" else pixels
    if transform is not None:
        colours = cast(Image.Image, ImageCms.applyTransform(colours, transform))
    elif colours.mode != "RGB":
        colours = colours.convert("RGB")
    if pixels.mode != "RGBA":
        return colours
    flat = Image.new("RGB", pixels.size, _WHITE)
    flat.paste(colours, mask=pixels.getchannel("A"))
    return flat


def transform_of(mode: str, profile: object) -> ImageCms.ImageCmsTransform | None:
    """Return what brings the colours of a mode and a profile to sRGB; None where plain conversion does."""
    mode = "RGB" if mode == "RGBA" else mode
    if mode == "LAB":
        return _transform(b"", mode)
    if not isinstance(profile, bytes) or not profile:
        return None
    return _transform(profile, mode) if len(profile) <= _KEPT_PROFILE_BYTES else _transform.__wrapped__(profile, mode)


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform of a profile; None for one that is broken, made for another mode, or sRGB in all but name.

    Most photographs on the web carry an sRGB profile, of which there are many editions: what counts is what it does.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode == "CMYK" or not profile:
            return transform
        probe = Image.fromarray(_probe()) if mode == "RGB" else Image.fromarray(_probe()[..., 0])
        moved = np.asarray(ImageCms.applyTransform(probe, transform)).astype(np.int16)
    except (ImageCms.PyCMSError, *opening.DAMAGE) as error:
        shortage.refuse_lack(error)
        return None
    return transform if np.abs(moved - np.asarray(probe.convert("RGB"))).max() > _SAME_COLOUR else None


def _probe() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return 9 x 9 x 9 colours over the whole cube, as an image of 81 x 9."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(81, 9, 3)
