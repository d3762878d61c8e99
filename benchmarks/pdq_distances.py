"""How many bits the perceptual hash is off the reference implementation's (pdqhash), over pictures of all sizes and kinds.

    python benchmarks/pdq_distances.py [--samples ../shared/samples] [--share 1] [--before REVISION]

Pictures are generated, the same ones in every run: sides of 64 to 8,000 px, aspects up to 1 : 16, and of each size

- noise with the spectrum of photographs, and with flatter and steeper ones;
- shapes of one colour on another, with and without a gradient behind them; lines as of text;
- gratings and checks;
- with the samples, photographs cropped and brought to the size.

Photographs are also hashed from their files, as a fetch does it, and compared with the reference's hash of what Pillow decodes.
Told apart are pictures whose hash can tell anything (`codec.is_telling`), and the others, which are compared with nothing: in
these the reference compares rounding errors. With `--before`, the hash is that of another revision of
`pmd/codec/perceptual.py`, taken from git; one that hashed pictures with a short side of 256 gets such pictures. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import collections
import json
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pdqhash
from PIL import Image, ImageDraw

from pmd import codec
from pmd.codec import scaling

#: Longer sides below 128, 256, … px, and how many pictures of each. Few of the largest: the reference takes seconds for one.
COUNTS = {127: 500, 255: 500, 511: 400, 1023: 400, 2047: 200, 4095: 60, 8000: 24}
SHORTEST_PX = 64
WIDEST_ASPECT = 16.0
EDGES = (0, 1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 31, 63, 256)

Hash = Callable[[Image.Image], bytes]


def photographs(samples: Path) -> list[Path]:
    return sorted([*(samples / "coco/train2017").glob("*.jpg"), *(samples / "coco/val2017").glob("*.jpg")])


def noise(size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Return octaves of noise, each of twice the detail; how much weaker they become is drawn as well."""
    fades = chance.uniform(0.3, 1.0)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for octave in range(1, 9):
        cells = (max(1, min(size[0], 2**octave)), max(1, min(size[1], 2**octave)))
        if max(cells) > max(size):
            break
        coarse = Image.fromarray(chance.integers(0, 256, (cells[1], cells[0], 3), np.uint8))
        total += fades**octave * np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float32)
    low, high = float(total.min()), float(total.max())
    return Image.fromarray(((total - low) * (255 / (high - low or 1))).astype(np.uint8))


def shapes(size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Return shapes of one colour on another, or on a gradient."""

    def colour() -> tuple[int, ...]:
        return tuple(chance.integers(0, 256, 3).tolist())

    picture = Image.new("RGB", size, colour())
    if chance.random() < 0.5:
        slope = Image.linear_gradient("L").rotate(90 * int(chance.integers(4))).resize(size)
        picture.paste(colour(), mask=slope)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(chance.integers(1, 12))):
        x, y = chance.integers(-size[0] // 4, size[0]), chance.integers(-size[1] // 4, size[1])
        box = [int(x), int(y), int(x + 1 + chance.integers(size[0])), int(y + 1 + chance.integers(size[1]))]
        drawn = chance.integers(3)
        if drawn == 0:
            draw.rectangle(box, fill=colour())
        elif drawn == 1:
            draw.ellipse(box, fill=colour())
        else:
            draw.line(box, fill=colour(), width=int(1 + chance.integers(1 + min(size) // 10)))
    return picture


def text(size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Return rows of dark strokes on white, as of a page."""
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    height = int(chance.integers(3, 4 + max(4, size[1] // 12)))
    for y in range(height, size[1] - height, 2 * height):
        x = height
        while x < size[0] - height and chance.random() < 0.97:
            width = int(chance.integers(1, 4 * height))
            draw.rectangle([x, y, min(x + width, size[0]), y + height], fill=(20, 20, int(chance.integers(60))))
            x += width + int(chance.integers(1, height + 1))
    return picture


def grating(size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Return waves or checks, turned."""
    across, down = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    turn, wave = chance.uniform(0, np.pi), chance.uniform(3, max(size) / 2)
    phase = (across * np.cos(turn) + down * np.sin(turn)) * (2 * np.pi / wave)
    values = np.sin(phase) * (np.sign(np.sin(down * 2 * np.pi / wave)) if chance.random() < 0.5 else 1)
    grey = ((values + 1) * 127.5).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(grey), Image.fromarray(255 - grey), Image.new("L", size, 90)])


def photograph(path: Path, size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Return a part of a photograph in the size."""
    picture = codec.upright_rgb(path.read_bytes())
    aspect = size[0] / size[1]
    width, height = min(picture.width, picture.height * aspect), min(picture.height, picture.width / aspect)
    share = chance.uniform(0.5, 1.0)
    width, height = max(8.0, width * share), max(8.0, height * share)
    left, top = (
        chance.uniform(0, max(1e-9, picture.width - width)),
        chance.uniform(0, max(1e-9, picture.height - height)),
    )
    box = (left, top, min(left + width, picture.width), min(top + height, picture.height))
    return picture.resize(size, Image.Resampling.BICUBIC, box=box)


def generated(share: float, files: list[Path]) -> Iterator[tuple[int, str, Image.Image]]:
    """Yield (class of size, kind, picture)."""
    least = SHORTEST_PX
    for most, count in COUNTS.items():
        for number in range(max(1, round(count * share))):
            chance = np.random.default_rng([most, number])
            long = int(chance.integers(least, most + 1))
            short = max(SHORTEST_PX, round(long / WIDEST_ASPECT ** (chance.random() ** 2)))
            size = (long, short) if chance.random() < 0.6 else (short, long)
            kind = (noise, shapes, text, grating, photograph)[number % (5 if files else 4)]
            if kind is photograph:
                yield most, "photograph", photograph(files[number // 5 % len(files)], size, chance)
            else:
                yield most, kind.__name__, kind(size, chance)  # type: ignore[operator]
        least = most + 1


def reference(picture: Image.Image) -> tuple[bytes, int]:
    bits, quality = pdqhash.compute(np.asarray(picture))
    return np.packbits(bits.astype(np.uint8)).tobytes(), int(quality)


def apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def earlier(revision: str) -> Hash:
    """Return the hash of a revision."""
    source = subprocess.run(
        ["git", "show", f"{revision}:pmd/codec/perceptual.py"], check=True, capture_output=True, text=True
    ).stdout
    module = types.ModuleType("earlier")
    exec(compile(source, "perceptual.py", "exec"), module.__dict__)
    side = getattr(module, "HASH_SIDE_PX", None)

    def hashed(picture: Image.Image) -> bytes:
        if side is None:
            return module.perceptual_hash(picture)  # type: ignore[no-any-return]
        times = side / min(picture.size)
        small = scaling.scaled(picture, (round(picture.width * times), round(picture.height * times)))
        return module.perceptual_hash(small)  # type: ignore[no-any-return]

    return hashed


def told(name: str, found: list[int]) -> dict[str, float]:
    """Print a row of the histogram, and return its figures."""
    if not found:
        return {}
    distances = np.array(found)
    counts = collections.Counter(int(np.searchsorted(EDGES, distance)) for distance in found)
    row = "".join(f"{counts.get(at, 0) or '':>6}" for at in range(len(EDGES)))
    figures = {
        "pictures": len(found),
        "mean": round(float(distances.mean()), 2),
        "p99": float(np.percentile(distances, 99, method="higher")),
        "max": int(distances.max()),
    }
    print(f"{name:<22}{figures['pictures']:>8}{figures['mean']:>7}{figures['p99']:>6.0f}{figures['max']:>5} {row}")
    return figures


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--share", type=float, default=1.0, help="of the pictures that are generated")
    parser.add_argument("--before", metavar="REVISION", help="hash as this revision of git did")
    options = parser.parse_args(arguments)
    hashed = earlier(options.before) if options.before else codec.perceptual_hash
    files = photographs(options.samples)
    by_size: dict[int, list[int]] = collections.defaultdict(list)
    by_kind: dict[str, list[int]] = collections.defaultdict(list)
    blank: list[tuple[int, int]] = []
    seconds = np.zeros(2)
    for most, kind, picture in generated(options.share, files):
        times = [time.process_time()]
        own = hashed(picture)
        times.append(time.process_time())
        theirs, quality = reference(picture)
        times.append(time.process_time())
        seconds += np.diff(times)
        if codec.is_telling(own):
            by_size[most].append(apart(own, theirs))
            by_kind[kind].append(apart(own, theirs))
        else:
            blank.append((apart(own, theirs), quality))
    decoded = []
    for path in files:
        content = path.read_bytes()
        with Image.open(path) as image:
            theirs, _ = reference(image.convert("RGB"))
        own = hashed(codec.upright_rgb(content)) if options.before else codec.hash_of(content, codec.Limits())
        decoded.append(apart(own, theirs))
    print(f"{'':<22}{'pictures':>8}{'mean':>7}{'p99':>6}{'max':>5} " + "".join(f"{f'≤{edge}':>6}" for edge in EDGES))
    result = {f"to {most} px": told(f"longer side to {most}", found) for most, found in by_size.items()}
    result["all"] = told("all", [distance for found in by_size.values() for distance in found])
    result |= {kind: told(kind, found) for kind, found in sorted(by_kind.items())}
    result["files"] = told("photographs' files", decoded)
    result["blank"] = told("not telling", [distance for distance, _ in blank])
    qualities = [quality for _, quality in blank]
    print(f"reference's quality of those not telling: {sorted(qualities)[-10:]} at most")
    print(f"processor time: {seconds[0]:.1f} s, the reference's {seconds[1]:.1f} s")
    print(json.dumps({"before": options.before, "distances": result, "seconds": seconds.round(2).tolist()}))


if __name__ == "__main__":
    main(sys.argv[1:])
