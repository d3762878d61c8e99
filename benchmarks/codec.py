"""Processor time of the codec for a photograph, in all and step by step, on one core.

    python benchmarks/codec.py [--samples ../shared/samples] [--runs 15] [--quality 86] [--beside TREE]

Photographs are COCO's 159, mostly 640 x 480, encoded at a quality at which they have 77 kB, as photographs on the web have
(`--quality 0`: as they are). A step's time for a photograph is the least of all runs, which other work on the machine blurs
little; printed are means over the photographs. With `--beside`, another checkout is measured in a process of its own, in
turns with this one, five times; printed are medians, that checkout's first. The last line is JSON.
"""

from __future__ import annotations

import argparse
import inspect
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pmd import codec

#: What is asked of a photograph: short side and whether it is hashed.
ASKED = {
    "passed through": (None, False),
    "passed through and hashed": (None, True),
    "resized to 256": (256, False),
    "resized to 256 and hashed": (256, True),
}


def photographs(samples: Path, quality: int) -> list[bytes]:
    found = []
    for path in sorted([*(samples / "coco/train2017").glob("*.jpg"), *(samples / "coco/val2017").glob("*.jpg")]):
        content = path.read_bytes()
        if quality:
            buffer = io.BytesIO()
            with Image.open(path) as image:
                image.convert("RGB").save(buffer, "JPEG", quality=quality)
            content = buffer.getvalue()
        found.append(content)
    return found


def asked() -> dict[str, Callable[[bytes], codec.Prepared]]:
    """Return what can be asked of this codec; one that always hashes is asked for that."""
    chooses = "hashed" in inspect.signature(codec.prepare).parameters

    def prepared(side: int | None, hashed: bool) -> Callable[[bytes], codec.Prepared]:
        form, more = codec.Form(side), {"hashed": hashed} if chooses else {}
        return lambda content: codec.prepare(content, codec.Limits(), form, **more)

    return {name: prepared(side, hashed) for name, (side, hashed) in ASKED.items()}


def least(call: Callable[[Any], object], items: Sequence[Any], runs: int) -> float:
    """Return milliseconds of processor time: the mean over the items of the least of their runs."""
    best = np.full(len(items), np.inf)
    for _ in range(runs):
        for at, item in enumerate(items):
            start = time.process_time()
            call(item)
            best[at] = min(best[at], time.process_time() - start)
    return float(best.mean() * 1e3)


def measured(contents: list[bytes], runs: int) -> dict[str, float]:
    return {name: least(call, contents, runs) for name, call in asked().items()}


def steps(contents: list[bytes], runs: int) -> dict[str, float]:
    """Return the time of each step of this codec."""
    from pmd.codec import decoding, opening, scaling, soundness

    form = codec.Form(256)
    opened = [opening.read(content, codec.Limits()) for content in contents]
    ways = [decoding.forming(one.size, form) for one in opened]
    loaded = [decoding.load(one, way) for one, way in zip(opened, ways, strict=True)]
    pixels = [one.pixels for one in loaded]
    small = [scaling.scaled(image, form.fit(image.size).scaled) for image in pixels]
    return {
        "header": least(lambda content: opening.read(content, codec.Limits()), contents, runs),
        "structure": least(soundness.is_sound, opened, runs),
        "decode": least(lambda one: decoding.load(*one), list(zip(opened, ways, strict=True)), runs),
        "hash": least(codec.perceptual_hash, pixels, runs),
        "scale to 256": least(lambda image: scaling.scaled(image, form.fit(image.size).scaled), pixels, runs),
        "encode": least(codec.encode_jpeg, small, runs),
    }


def beside(tree: Path, options: argparse.Namespace) -> dict[str, float]:
    """Return what another checkout takes."""
    command = [sys.executable, str(Path(__file__).resolve()), "--samples", str(options.samples.resolve())]
    command += ["--quality", str(options.quality), "--runs", "1", "--only-asked"]
    told = subprocess.run(
        command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True, capture_output=True, text=True
    )
    return json.loads(told.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--quality", type=int, default=86)
    parser.add_argument("--beside", type=Path, metavar="TREE")
    parser.add_argument("--only-asked", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    contents = photographs(options.samples, options.quality)
    if options.only_asked:
        print(json.dumps(measured(contents, 5)))
        return
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    if options.beside:
        rounds = [(beside(options.beside.resolve(), options), measured(contents, 5)) for _ in range(5)]
        theirs, ours = ({name: float(np.median([one[at][name] for one in rounds])) for name in ASKED} for at in (0, 1))
    else:
        theirs, ours = {}, measured(contents, options.runs)
    mean_bytes = np.mean([len(content) for content in contents])
    print(f"{len(contents)} photographs, {mean_bytes / 1000:.0f} kB in the mean; ms of processor time an image")
    for name in ASKED:
        print(f"  {name:<28}{theirs.get(name, float('nan')):>8.3f}{ours[name]:>8.3f}")
    parts = steps(contents, options.runs)
    for name, value in parts.items():
        print(f"  {name:<28}{'':>8}{value:>8.3f}")
    print(json.dumps({"asked": ours, "beside": theirs, "rounds": rounds, "steps": parts}))


if __name__ == "__main__":
    main(sys.argv[1:])
