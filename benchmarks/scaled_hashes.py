"""How far the hash of a picture that was scaled for the store is from its original's, and what that does to copies.

    python benchmarks/scaled_hashes.py [--samples ../shared/samples] [--short-side 256]

Photographs of COCO that are larger than the store's short side, in bits of 256:

- *scaled*: the original and the stored form; what a hash that was computed only later is off;
- *copies*: the original and a copy at 3/4 of its size, of JPEG quality 80;
- *copies, both scaled*: the stored forms of these two; what is compared within a ROOT.

The last line is JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.pdq_distances import apart, photographs
from pmd import codec

LIMITS = codec.Limits()


def smaller(content: bytes) -> bytes:
    """Return a copy at 3/4 of the size."""
    picture = codec.upright_rgb(content)
    sink = io.BytesIO()
    size = (picture.width * 3 // 4, picture.height * 3 // 4)
    picture.resize(size, Image.Resampling.LANCZOS).save(sink, "JPEG", quality=80)
    return sink.getvalue()


def stored_hash(content: bytes, short_side_px: int) -> bytes:
    """Return the hash of the form that is stored."""
    return codec.hash_of(codec.resized(content, codec.Form(short_side_px))[0], LIMITS)


def told(name: str, found: Sequence[int]) -> dict[str, float]:
    """Print one line, and return it."""
    figures = {"pictures": len(found), "mean": round(statistics.mean(found), 1), "most": max(found)}
    print(f"{name:<22}" + "".join(f"{value:>9}" for value in figures.values()))
    return figures


def main(arguments: Sequence[str]) -> None:
    """Measure, print a table, and a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--short-side", type=int, default=256)
    options = parser.parse_args(arguments)
    scaled, copies, both = [], [], []
    for path in photographs(options.samples):
        content = path.read_bytes()
        short = min(codec.upright_rgb(content).size)
        if short <= options.short_side:
            continue
        own, kept = codec.hash_of(content, LIMITS), stored_hash(content, options.short_side)
        scaled.append(apart(own, kept))
        if short * 3 // 4 > options.short_side:
            copy = smaller(content)
            copies.append(apart(own, codec.hash_of(copy, LIMITS)))
            both.append(apart(kept, stored_hash(copy, options.short_side)))
    print(f"{'bits of 256':<22}{'pictures':>9}{'mean':>9}{'most':>9}")
    found = {"scaled": scaled, "copies": copies, "copies, both scaled": both}
    print(json.dumps({"short_side_px": options.short_side} | {name: told(name, bits) for name, bits in found.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
