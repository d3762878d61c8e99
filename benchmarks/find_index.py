"""What the index of find.html comes to: bytes and seconds a row, and memory, for lists of made-up rows.

    python benchmarks/find_index.py [--rows 1000000 4000000]

Rows are spread over twelve sources, every third image stands in two rows, and licences are those of Flickr's photographs.
Prints JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent))

from pmd import sources
from pmd.publish.find import index
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.store import parquet_files

LICENCES = ("NOASSERTION", "CC-BY-2.0", "CC-BY-SA-2.0", "CC-BY-NC-2.0", "CC-BY-NC-SA-2.0", "CC-BY-ND-2.0", "CC0-1.0")
PART_ROWS = 250_000


def lists(where: str, rows: int) -> dict[str, list[str]]:
    """Write lists with so many rows; return source → paths."""
    found: dict[str, list[str]] = {}
    names = sources.names()
    empty = pa.table({field.name: pa.nulls(0, field.type) for field in PUBLISHED}, schema=PUBLISHED)
    for part, start in enumerate(range(0, rows, PART_ROWS)):
        numbers = range(start, min(start + PART_ROWS, rows))
        images = [number - 1 if number % 3 == 2 else number for number in numbers]
        source = names[part % len(names)]
        columns = {
            "image_id": [keys.image_id(f"flickr:{image}").hex() for image in images],
            "sha256": [hashlib.sha256(str(image).encode()).hexdigest() for image in images],
            "pair_id": [keys.pair_id(source, str(number)).hex() for number in numbers],
            "image_licence": [LICENCES[image % len(LICENCES)] for image in images],
        }
        table = pa.table(
            {**{name: pa.nulls(len(images), PUBLISHED.field(name).type) for name in empty.column_names}, **columns}
        )
        file = parquet_files.put_table(where, f"{source}-{part}", table.cast(PUBLISHED), durable=False)
        found.setdefault(source, []).append(str(Path(where) / file.name))
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 4_000_000])
    for rows in parser.parse_args().rows:
        with tempfile.TemporaryDirectory() as where:
            made = lists(where, rows)
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.process_time()
            sizes = [len(content) for _, content in index.shards(made, index.bits_for(rows))]
            seconds = time.process_time() - start
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            json.dumps(
                {
                    "rows": rows, "shards": len(sizes), "bytes": sum(sizes), "bytes_a_row": round(sum(sizes) / rows, 2),
                    "largest": max(sizes), "seconds": round(seconds, 1), "rows_per_s": round(rows / seconds),
                    "peak_mb": round(peak_kb / 1024), "before_mb": round(before_kb / 1024),
                }
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()
