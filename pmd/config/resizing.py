"""How `[fetch]` and `[shard]` say in which size and format pictures are wanted: img2dataset's options, by its names.

Both stages have the same options and the same mistakes, so what goes with what is judged here, for either; and what a
shard can still be made of what fetch has stored. The names and bounds are img2dataset's (1.47); `short_side_px` and
`jpeg_quality` are older names, for what most people want.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final, Literal

from pmd.schema import modes
from pmd.schema.modes import Mode

EncodeFormat = Literal["jpg", "png", "webp"]

#: The longest side of a square that has no more pixels than Pillow takes for a decompression bomb.
LARGEST_IMAGE_SIZE: Final = math.isqrt(178_956_970)

#: format → least and greatest `encode_quality`: of PNG the compression. WebP's 101 is without loss, as OpenCV has it.
_QUALITIES: Final[Mapping[str, tuple[int, int]]] = {"jpg": (1, 100), "png": (0, 9), "webp": (1, 101)}
#: … and what stands where none is given: zlib's own, and for WebP what img2dataset has for all.
_QUALITY: Final[Mapping[str, int]] = {"png": 6, "webp": 95}


@dataclasses.dataclass(frozen=True)
class Resizing:
    """The options, put together.

    Attributes:
        side_px: What the mode brings pictures to; None: sizes stay.
        mode: "no" where `side_px` is None.
        only_if_bigger: Whether pictures that are no larger keep their size.
        format: What is encoded anew.
        quality: Of that format, within its bounds.
    """

    side_px: int | None
    mode: Mode
    only_if_bigger: bool
    format: EncodeFormat
    quality: int

    @property
    def by_short_side(self) -> bool:
        """Whether the mode is of the short side; else of the long one."""
        return self.mode in modes.BY_SHORT_SIDE

    @property
    def is_square(self) -> bool:
        """Whether something may be cut off, or white be put around."""
        return self.mode in modes.SQUARE


def put_together(options: Any, side_px: int | None, mode: Mode | None) -> Resizing:
    """Return the options of a stage; `side_px` is its default, and `mode` its own or that which a size means."""
    form: EncodeFormat = options.encode_format or "jpg"
    quality = options.encode_quality
    if quality is None:
        quality = options.jpeg_quality if form == "jpg" else _QUALITY[form]
    side = options.image_size if options.image_size is not None else side_px
    chosen: Mode = "no" if mode == "no" or side is None else mode or "keep_ratio"
    return Resizing(None if chosen == "no" else side, chosen, options.resize_only_if_bigger, form, quality)


def check_short_side(given: Mapping[str, Any]) -> None:
    """Check a `short_side_px` against the options that stand before it.

    Raises:
        ValueError: It does not go with them; says what is expected.
    """
    mode = given.get("resize_mode")
    if given.get("image_size") is not None:
        raise ValueError("image_size or short_side_px, not both: they are one")
    if mode == "no":
        raise ValueError('nothing beside resize_mode = "no": sizes stay')
    if mode is not None and mode not in modes.BY_SHORT_SIDE:
        raise ValueError(f'image_size in its place: resize_mode = "{mode}" is not of the short side')


def check_quality(quality: int | None, given: Mapping[str, Any]) -> None:
    """Check an `encode_quality` against the format that stands before it.

    Raises:
        ValueError: It is out of the format's bounds; says what these are.
    """
    form = given.get("encode_format") or "jpg"
    least, greatest = _QUALITIES[form]
    if quality is not None and not least <= quality <= greatest:
        without_loss = " (101: without loss)" if form == "webp" else " (its compression)" if form == "png" else ""
        raise ValueError(f'{least} to {greatest} beside encode_format = "{form}"{without_loss}')


def check_jpeg_quality(given: Mapping[str, Any]) -> None:
    """Check a `jpeg_quality` against the options that stand before it.

    Raises:
        ValueError: It does not go with them; says what is expected.
    """
    if given.get("encode_quality") is not None:
        raise ValueError("encode_quality or jpeg_quality, not both: they are one")
    if given.get("encode_format") not in {None, "jpg"}:
        raise ValueError(f'encode_quality in its place: encode_format = "{given["encode_format"]}" is no JPEG')


def too_large(kept: Resizing, asked: Resizing) -> str | None:
    """Return why what is kept can never be brought to what is asked for, in words of what is expected; None where it can.

    Args:
        kept: In which form fetch stores pictures.
        asked: In which form shard wants them.
    """
    if kept.side_px is None or asked.side_px is None:
        return None
    if asked.side_px <= kept.side_px or (kept.mode == "keep_ratio" and not asked.by_short_side):
        return None
    return f"{kept.side_px} or less, as [fetch] keeps pictures: shards make nothing larger than it is kept"
