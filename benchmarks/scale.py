"""1/100 of PMD, and how what it costs grows: every stage at six sizes or more, of all twelve sources.

    python benchmarks/scale.py [--fractions 0.0001 0.001 ...] [--turns 3] [--out FOLDER] [--plot FILE.svg]

Files of all sources in PMD's proportions are generated (`benchmarks/scaling/upstream.py`). Pictures of 4 to 20 kB are served on
loopback, with the dead links, redirects and copies that others measured (`benchmarks/scaling/web.py`), by a process of its own
whose time is not counted. Each stage is a command of its own, as a user runs it. Of each: seconds, processor time with all that
it started, the largest process, requests, and files that it left. Every stage but fetch is run several times from the same ROOT,
and the turn with the least processor time counts. Then a + b·nᶜ is fitted to processor time, n being the images
(rows for curate), and what the whole of PMD would cost follows. Sizes that were measured before are kept in
FOLDER/measured.jsonl and not run again. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from curate import _panel

from benchmarks.scaling import upstream
from benchmarks.scaling.fitting import Growth, fit
from benchmarks.scaling.measuring import each_once, least
from pmd import flow
from pmd.inspection import status

FRACTIONS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01)
#: Sizes below which nothing is fitted.
_FEWEST: Final = 5
#: What PMD's sources have: rows of annotation files, and images (the paper's 68 million and what de-duplication leaves out).
_PMD_IMAGES: Final = 70_000_000
#: Of the issue's "one machine" and "sixteen": processors each.
_CORES: Final = 8
#: By what the stages are counted: curate reads rows, all others go by images.
_BY_ROWS: Final = frozenset({flow.CURATE.name})
_TABLE: Final = ("seconds", "processor_s", "peak_bytes", "together_bytes", "requests", "files")


class Web:
    """The loopback web, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.ports = tuple(map(int, process.stdout.readline().split()))

    def requests(self) -> int:
        """Return how many it has answered."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(sum(json.loads(self._process.stdout.readline()).values()))


@contextlib.contextmanager
def serving(authority: Path) -> Iterator[Web]:
    """Run the web for as long as the context is open; its certificate is written to a file."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scaling.web", str(authority)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    try:
        yield Web(process)
    finally:
        process.terminate()
        process.wait()


def configured(folder: Path, ports: Sequence[int], files: Mapping[str, tuple[Sequence[Path], Sequence[Path]]]) -> Path:
    """Write the configuration of a build; its ROOT is `folder/root`."""
    lines = [
        f"root = {json.dumps(str(folder / 'root'))}",
        'profile = "recommended"',
        'contact = "mailto:benchmarks@example.org"',
    ]
    for name, (rows, images) in files.items():
        lines += [f"[sources.{name}]", f"annotations = {json.dumps([str(path) for path in rows])}"]
        if images:
            lines.append(f"images = {json.dumps([str(path) for path in images])}")
        if name in {"coco", "visual_genome", "localized_narratives__coco"}:
            lines.append('exclude_karpathy = "none"')
    lines += [
        "[fetch]",
        'allow_addresses = ["127.0.0.1/32"]',
        f'resolve = {{ "*:80" = "127.0.0.1:{ports[0]}", "*:443" = "127.0.0.1:{ports[1]}" }}',
        f"ca_file = {json.dumps(str(folder / 'ca.pem'))}",
        "per_host = { requests_per_s = 10000.0, connections = 64 }",
        "retries = 0",
        "[shard]",
        'formats = ["webdataset", "parquet"]',
    ]
    path = folder / "pmd.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(fraction: float, out: Path, turns: int) -> dict[str, Any]:
    """Build one size; return what it took by stage."""
    folder = out / f"of-{fraction:g}"
    shutil.rmtree(folder, ignore_errors=True)
    print(f"1/{1 / fraction:,.0f} of PMD", flush=True)
    found: dict[str, Any] = {"fraction": fraction, "stages": {}}
    folder.mkdir()
    with serving(folder / "ca.pem") as web:
        chosen = configured(folder, web.ports, upstream.write(folder / "upstream", fraction))
        before = 0
        for stage in flow.NAMES:
            times = 1 if stage == flow.FETCH.name else turns
            took = least([sys.executable, "-m", "pmd", stage, str(chosen)], folder / "root", times)
            asked, files = web.requests(), _files(folder / "root")
            found["stages"][stage] = {**dataclasses.asdict(took), "requests": asked - before, "files": files[stage]}
            before = asked
            print(f"  {stage:8} {took.seconds:8.1f} s {took.processor_s:8.1f} s of processor", flush=True)
    books = status.books(str(folder / "root"))
    found |= {
        "rows": sum(book["curate"]["in"] for book in books["sources"].values()),
        "pairs": sum(book["curate"]["kept"] for book in books["sources"].values()),
        "images": books["fetch"]["images"],
        "statuses": books["fetch"]["ledger"],
        "fetched": books["fetch"]["ledger"].get("ok", 0),
        "bytes": sum(path.stat().st_size for path in (folder / "root").rglob("*") if path.is_file()),
    }
    shutil.rmtree(folder)
    return found


def _files(folder: Path) -> Counter[str]:
    """Return stage → files in its folders."""
    tops = {"views": flow.IMAGES.name, "shards": flow.SHARD.name, "release": flow.PUBLISH.name}
    return Counter(
        tops.get(top, top)
        for path in folder.rglob("*")
        if path.is_file()
        for top in [path.relative_to(folder).parts[0]]
    )


def growths(sizes: Sequence[Mapping[str, Any]]) -> dict[str, Growth]:
    """Return stage → how its processor time grows."""
    return {
        stage: fit(
            [size["rows" if stage in _BY_ROWS else "images"] for size in sizes],
            [size["stages"][stage]["processor_s"] for size in sizes],
        )
        for stage in flow.NAMES
    }


def show(sizes: Sequence[Mapping[str, Any]]) -> None:
    """Print what was measured."""
    for size in sizes:
        print(
            f"\n1/{1 / size['fraction']:,.0f} of PMD: {size['rows']:,} rows, {size['pairs']:,} pairs, {size['images']:,} "
            f"images, of which {size['fetched']:,} were had; {size['bytes'] / 1e9:.2f} GB in ROOT"
        )
        print(f"  {'':8}{'seconds':>10}{'processor':>11}{'largest':>10}{'together':>10}{'requests':>10}{'files':>8}")
        for stage, took in size["stages"].items():
            print(
                f"  {stage:8}{took['seconds']:10.1f}{took['processor_s']:11.1f}{took['peak_bytes'] / 1e6:8.0f} M"
                f"{took['together_bytes'] / 1e6:8.0f} M{took['requests']:10,}{took['files']:8,}"
            )


def show_growth(grown: Mapping[str, Growth], sizes: Sequence[Mapping[str, Any]]) -> float:
    """Print the fits, and what PMD would cost; return its processor hours."""
    largest = max(sizes, key=lambda size: size["images"])
    print(f"\n  {'':8}{'start':>8}{'exponent':>10}{'95 %':>16}{'all of PMD':>16}")
    total = 0.0
    for stage, growth in grown.items():
        rows = largest["rows"] * _PMD_IMAGES / largest["images"] if stage in _BY_ROWS else _PMD_IMAGES
        hours = growth.at(rows) / 3600
        total += hours
        between = f"{growth.low:.2f} to {growth.high:.2f}"
        print(f"  {stage:8}{growth.start:6.1f} s{growth.exponent:10.3f}{between:>16}{hours:12,.1f} h of processor")
    print(
        f"  all: {total:,.0f} h of processor; one machine of {_CORES} cores {total / _CORES:,.0f} h, sixteen "
        f"{total / _CORES / 16:,.1f} h, were no host's rate in the way"
    )
    return total


def plot(path: Path, sizes: Sequence[Mapping[str, Any]], grown: Mapping[str, Growth]) -> None:
    """Draw processor time against images (of curate: rows), both by powers of ten."""
    series = {
        f"{stage}: c = {growth.exponent:.2f}": [
            (size["rows" if stage in _BY_ROWS else "images"], size["stages"][stage]["processor_s"]) for size in sizes
        ]
        for stage, growth in grown.items()
    }
    drawn = _panel(series, "seconds of processor time, by images (curate: rows)", lambda value: f"{value:,.0f}", 40)
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 380" font-family="sans-serif" font-size="13">'
        f'<rect width="760" height="380" fill="#fff"/>{drawn}</svg>\n'
    )


def main() -> None:
    """Measure, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fractions", type=float, nargs="+", default=FRACTIONS)
    parser.add_argument("--turns", type=int, default=3, help="how often each stage but fetch is run")
    parser.add_argument("--out", type=Path, default=Path("/tmp/pmd-scale"))
    parser.add_argument("--plot", type=Path, help="where the picture goes")
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    sizes = each_once(
        told.out / "measured.jsonl", "fraction", told.fractions, lambda one: measure(one, told.out, told.turns)
    )
    show(sizes)
    answer: dict[str, Any] = {"benchmark": "scale", "sizes": sizes}
    if len(sizes) >= _FEWEST:
        grown = growths(sizes)
        answer["growth"] = {stage: dataclasses.asdict(growth) for stage, growth in grown.items()}
        answer["processor_hours"] = show_growth(grown, sizes)
        if told.plot:
            plot(told.plot, sizes, grown)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
