"""Curate files of upstream's sizes: rows per second and peak memory of the whole process, beside reading the bytes alone.

    python benchmarks/reading.py [--scale 1.0] [--out FOLDER]

Generates `region_descriptions.json` (700 MB at scale 1) with its `image_data.json`, and `cc12m.tsv` (2.7 GB), once; runs
`pmd curate` on each in a process of its own; reads the same bytes with `parse`, the least that any reader must do (JSON
tokens for the one, lines for the other). The last line is JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VG_BYTES = 700_000_000
CC12M_BYTES = 2_707_204_412
WORDS = (  # noqa: SIM905  a list of words, not of strings
    "a the of on in with and man woman dog street red "
    "blue old stone bridge over water cup table light sign tree green "
    "window small large two people standing near white building sky car parked "
    "front beach sunset mountain snow child "
).split()


def caption(number: int, words: int) -> str:
    """Return a caption of a number of words; nearly all are distinct."""
    digest = hashlib.blake2b(str(number).encode(), digest_size=32).digest()
    return " ".join(WORDS[digest[i % 32] % len(WORDS)] for i in range(words - 1)) + f" {number % 9973}"


def write_visual_genome(folder: Path, size: int) -> None:
    """Write both files, in upstream's layout."""
    records = []
    number = 0
    with (folder / "region_descriptions.json").open("w") as file:
        file.write("[")
        image = 0
        while file.tell() < size:
            image += 1
            regions = []
            for _ in range(50):
                number += 1
                regions.append(
                    {
                        "region_id": number,
                        "width": 40 + number % 200,
                        "height": 40 + number % 150,
                        "image_id": image,
                        "phrase": caption(number, 5),
                        "y": number % 300,
                        "x": number % 400,
                    }
                )
            file.write(("" if image == 1 else ", ") + json.dumps({"regions": regions, "id": image}))
            url = f"https://cs.stanford.edu/people/rak248/VG_100K_2/{image}.jpg"
            records.append(
                {"width": 800, "url": url, "height": 600, "image_id": image, "coco_id": None, "flickr_id": None}
            )
        file.write("]")
    (folder / "image_data.json").write_text(json.dumps(records))


def write_cc12m(folder: Path, size: int) -> None:
    """Write url TAB caption, about 218 bytes a row, as upstream's mean."""
    with (folder / "cc12m.tsv").open("w") as file:
        number = 0
        while file.tell() < size:
            lines = []
            for _ in range(10_000):
                number += 1
                host = f"img{number % 4001}.example{number % 97}.com"
                path = hashlib.blake2b(str(number).encode(), digest_size=24).hexdigest()
                lines.append(f"https://{host}/photos/{path[:8]}/{path}.jpg\t{caption(number, 17)}\n")
            file.write("".join(lines))


def curate(folder: Path, source: str, annotations: list[Path]) -> dict[str, Any]:
    """Run `pmd curate` in its own process; return its figures."""
    config = folder / f"{source}.toml"
    paths = json.dumps([str(path) for path in annotations])
    root = folder / f"root-{source}"
    config.write_text(
        f'root = "{root}"\nprofile = "paper"\ncontact = "mailto:bench@example.org"\n'
        f"[sources.{source}]\nannotations = {paths}\n"
    )
    subprocess.run(["rm", "-rf", str(root)], check=True)
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "pmd", "curate", str(config)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"pmd curate failed on {source}")
    seconds = time.monotonic() - start
    books = json.loads((root / f"curate/source={source}/_stage.json").read_text())["sources"][source]
    return {
        "rows": books["in"],
        "rows_per_s": round(books["in"] / seconds),
        "seconds": round(seconds, 1),
        "peak_gb": round(usage.ru_maxrss / 2**20, 3),
        "input_mb_per_s": round(sum(path.stat().st_size for path in annotations) / seconds / 1e6, 1),
    }


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.monotonic()
    function()
    return time.monotonic() - start


def parse_json(path: Path) -> int:
    """The least for one JSON document: its tokens."""
    import ijson.backends.yajl2_c as ijson

    with path.open("rb") as file:
        return sum(1 for _ in ijson.basic_parse(file, use_float=True))


def parse_lines(path: Path) -> int:
    """The least for lines: find their ends."""
    count = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            count += block.count(b"\n")
    return count


def main() -> None:
    """Generate, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    folder = arguments.out / f"reading-{arguments.scale}"
    results: dict[str, Any] = {}
    for source, writer, size, names, limit in (
        ("visual_genome", write_visual_genome, VG_BYTES, ("region_descriptions.json", "image_data.json"), parse_json),
        ("conceptual_12m", write_cc12m, CC12M_BYTES, ("cc12m.tsv",), parse_lines),
    ):
        mine = folder / source
        mine.mkdir(parents=True, exist_ok=True)
        if not (mine / "done").exists():
            writer(mine, int(size * arguments.scale))
            (mine / "done").touch()
        figures = curate(folder, source, [mine / name for name in names])
        figures["limit_s"] = round(seconds_of(lambda limit=limit, path=mine / names[0]: limit(path)), 1)
        figures["times_limit"] = round(figures["seconds"] / figures["limit_s"], 1)
        print(source, figures)
        results[source] = figures
    results["own_peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
