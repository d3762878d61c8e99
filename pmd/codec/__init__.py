"""Image bytes in, pixels and image bytes out: what fetch keeps, what shard crops, and what either calls an image.

Every decision about pixels stands here, so that fetch (which judges what the web sent), shard (which cuts and shrinks)
and the audit agree on what a picture looks like: upright by its EXIF orientation, sRGB, eight bits, on white, first
frame. The names below are what the stages use.

Nothing here trusts its input. Modules, each importing only those above it::

    verdicts     a picture within the limits, or the status for which it is none
    structure    files built to cost far more than they weigh
    header       format, size, scans and frames, read by ourselves
    plain        JPEGs whose header says all, read by ourselves
    opening      a file with an acceptable header, read by Pillow; nothing is decoded yet
    soundness    whether a file's structure is whole
    cut          whether one that does not decode has broken off
    orientation  which way up a picture stands
    outline      what a picture is beside its pixels
    colour       any colours as sRGB, eight bits, on white
    form         in which form a picture is kept: sizes, modes, formats
    resampling   pixels in another size
    scaling      scaling, cropping, borders
    decoding     an opened file's pixels
    encoding     pixels as JPEG, PNG or WebP
    perceptual   the perceptual hash
    preparing    content judged, and brought into the form that is kept
    versions     what of all this is done by whom, in which version

The first four import no decoder.

Each name is imported when it is first used: many a command knows these only to hand them on, and reads in no decoder.

Threads: pixels are decoded, scaled and encoded outside the GIL. No state of Pillow's is changed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pmd.codec.cut import is_cut
    from pmd.codec.encoding import encode, encode_jpeg
    from pmd.codec.form import ORIGINAL, Form
    from pmd.codec.header import EXTENSIONS, MAX_FRAMES, sniff, written_size
    from pmd.codec.perceptual import SET_BITS, is_telling, perceptual_hash
    from pmd.codec.preparing import Prepared, at_sight, hash_of, prepare, resized, upright_rgb
    from pmd.codec.scaling import crop, formed
    from pmd.codec.verdicts import MAX_PIXELS, Format, Inspected, Limits, Refused
    from pmd.codec.versions import libraries

__all__ = [
    "EXTENSIONS",
    "MAX_FRAMES",
    "MAX_PIXELS",
    "ORIGINAL",
    "SET_BITS",
    "Form",
    "Format",
    "Inspected",
    "Limits",
    "Prepared",
    "Refused",
    "at_sight",
    "crop",
    "encode",
    "encode_jpeg",
    "formed",
    "hash_of",
    "is_cut",
    "is_telling",
    "libraries",
    "perceptual_hash",
    "prepare",
    "resized",
    "sniff",
    "upright_rgb",
    "written_size",
]

#: Name → the module that it comes from. No module is called as a name is: once imported, it would stand in its place.
_HOMES = {
    "EXTENSIONS": "header",
    "Form": "form",
    "Format": "verdicts",
    "Inspected": "verdicts",
    "Limits": "verdicts",
    "MAX_FRAMES": "header",
    "MAX_PIXELS": "verdicts",
    "ORIGINAL": "form",
    "Prepared": "preparing",
    "Refused": "verdicts",
    "SET_BITS": "perceptual",
    "at_sight": "preparing",
    "crop": "scaling",
    "encode": "encoding",
    "encode_jpeg": "encoding",
    "formed": "scaling",
    "hash_of": "preparing",
    "is_cut": "cut",
    "is_telling": "perceptual",
    "libraries": "versions",
    "perceptual_hash": "perceptual",
    "prepare": "preparing",
    "resized": "preparing",
    "sniff": "header",
    "upright_rgb": "preparing",
    "written_size": "header",
}


if not TYPE_CHECKING:  # a type checker that saw it would take every name for one of ours

    def __getattr__(name: str) -> object:
        """Import a name when it is first asked for (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
