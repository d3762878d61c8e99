"""What decodes, scales and encodes pictures here: a commit of pictures says it, since other versions may give other bytes."""

from __future__ import annotations

from importlib import metadata

from PIL import features

from pmd.codec import resampling


def libraries() -> dict[str, str]:
    """Return library → its version, of those that pictures go through."""
    return {
        "Pillow": metadata.version("pillow"),
        "simplejpeg": metadata.version("simplejpeg"),
        "scaling": resampling.LIBRARY,
        **{name: str(features.version(name)) for name in ("libjpeg_turbo", "webp", "zlib")},
    }
