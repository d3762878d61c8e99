"""Which copies of photographs are found, and how many strangers with them: PDQ by distance, beside a DCT pHash of 64 bits.

    python benchmarks/near_labelled.py [--samples ../shared/samples]

Photographs are COCO's in the samples. Of each, copies are made, one a transformation; a copy is compared with every
original. Recall is the share of copies within the distance of their own original, precision the share of their own among
all originals within it. A second table compares the samples' labelled groups (`images/near-duplicates.tsv`) with their
originals. pHash is made as imagededup 0.3 makes it (grey, Lanczos to 32 x 32, unnormalised DCT-II, the 8 x 8 lowest
coefficients against their median less the first), whose default distance is 10 of 64. The last line is JSON.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from pmd import codec

PDQ_DISTANCES = (15, 23, 31, 45, 63)
PHASH_DISTANCES = (4, 7, 10)


def reencoded(picture: Image.Image, quality: int) -> Image.Image:
    """Return a picture after a round through JPEG."""
    sink = io.BytesIO()
    picture.save(sink, "JPEG", quality=quality)
    return Image.open(sink).convert("RGB")


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Return the middle: `share` of each side's length is lost."""
    dx, dy = picture.width * share / 2, picture.height * share / 2
    return picture.crop((round(dx), round(dy), round(picture.width - dx), round(picture.height - dy)))


TRANSFORMATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized to half": lambda picture: picture.resize(
        (picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS
    ),
    "resized to 100 px": lambda picture: ImageOps.contain(picture, (100, 100)),
    "JPEG of quality 30": lambda picture: reencoded(picture, 30),
    "cropped by 2 %": lambda picture: cropped(picture, 0.02),
    "cropped by 5 %": lambda picture: cropped(picture, 0.05),
    "cropped by 10 %": lambda picture: cropped(picture, 0.10),
    "white border of 2 %": lambda picture: ImageOps.expand(picture, round(0.02 * min(picture.size)), "white"),
    "white border of 5 %": lambda picture: ImageOps.expand(picture, round(0.05 * min(picture.size)), "white"),
    "grey": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
    "flipped": ImageOps.mirror,
}


def pdq(picture: Image.Image) -> np.ndarray:
    """Return the hash that the ledger has, as bits."""
    return np.unpackbits(np.frombuffer(codec.perceptual_hash(picture), np.uint8))


_DCT = np.cos(np.pi * np.arange(32)[:, None] * (2 * np.arange(32)[None] + 1) / 64)


def phash(picture: Image.Image) -> np.ndarray:
    """Return 64 bits."""
    grey = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    low = (_DCT @ grey @ _DCT.T)[:8, :8].ravel()
    return (low >= np.median(low[1:])).astype(np.uint8)


def photographs(samples: Path) -> list[Image.Image]:
    """Return COCO's photographs."""
    files = sorted([*(samples / "coco/train2017").glob("*.jpg"), *(samples / "coco/val2017").glob("*.jpg")])
    return [codec.upright_rgb(file.read_bytes()) for file in files]


def rates(originals: np.ndarray, copies: np.ndarray, distance: int) -> dict[str, Any]:
    """Return recall, precision and the number of strangers of one transformation at one distance."""
    apart = (copies[:, None] != originals[None]).sum(axis=2)
    own = np.eye(len(originals), dtype=bool)
    right, strangers = int((apart[own] <= distance).sum()), int((apart[~own] <= distance).sum())
    precision = round(right / (right + strangers), 3) if right + strangers else None
    return {"recall": round(right / len(copies), 3), "precision": precision, "strangers": strangers}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    samples = parser.parse_args().samples
    if not (samples / "coco").is_dir():
        sys.stdout.write("no samples: this benchmark needs their photographs\n{}\n")
        return
    pictures = photographs(samples)
    result: dict[str, Any] = {"photographs": len(pictures), "pdq": {}, "phash": {}}
    for name, hashed, limits in (("pdq", pdq, PDQ_DISTANCES), ("phash", phash, PHASH_DISTANCES)):
        originals = np.stack([hashed(picture) for picture in pictures])
        for transformation, change in TRANSFORMATIONS.items():
            copies = np.stack([hashed(change(picture)) for picture in pictures])
            found = {limit: rates(originals, copies, limit) for limit in limits}
            result[name][transformation] = found
            shown = "  ".join(f"{limit}: {item['recall']:.3f}/{item['precision']}" for limit, item in found.items())
            sys.stdout.write(f"{name:6}{transformation:22}{shown}\n")
    groups: dict[str, list[tuple[str, Image.Image]]] = {}
    with (samples / "images/near-duplicates.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            picture = codec.upright_rgb((samples / "images" / row["path"]).read_bytes())
            groups.setdefault(row["group"], []).append((row["relation"], picture))
    result["labelled"] = []
    for group, members in groups.items():
        first = next(picture for relation, picture in members if relation == "original")
        for relation, picture in members:
            far, far64 = int((pdq(picture) != pdq(first)).sum()), int((phash(picture) != phash(first)).sum())
            result["labelled"].append([group, relation, far, far64])
            sys.stdout.write(f"{group}  {relation:10} PDQ {far:3} of 256   pHash {far64:2} of 64\n")
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
