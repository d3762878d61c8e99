"""Image bytes in, pixels and image bytes out. What fetch keeps, what shard crops, and what either calls an image.

The names here are what the stages use.
"""

from pmd.codec.pictures import (
    EXTENSIONS,
    HASH_SIDE_PX,
    MAX_FRAMES,
    MAX_PIXELS,
    SET_BITS,
    Form,
    Format,
    Inspected,
    Limits,
    Prepared,
    Refused,
    crop,
    encode_jpeg,
    inspect,
    is_telling,
    perceptual_hash,
    prepare,
    resized,
    sniff,
    upright_rgb,
)

__all__ = [
    "EXTENSIONS",
    "HASH_SIDE_PX",
    "MAX_FRAMES",
    "MAX_PIXELS",
    "SET_BITS",
    "Form",
    "Format",
    "Inspected",
    "Limits",
    "Prepared",
    "Refused",
    "crop",
    "encode_jpeg",
    "inspect",
    "is_telling",
    "perceptual_hash",
    "prepare",
    "resized",
    "sniff",
    "upright_rgb",
]
