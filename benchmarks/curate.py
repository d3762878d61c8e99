"""Curating at speed: rows per second and peak memory of `pmd curate` and `pmd images`, beside the limit and a peer.

    python benchmarks/curate.py [--rows 1000000] [--repeats 3] [--only url_dedupe|yfcc|yfcc_bz2] [--out FOLDER]
    python benchmarks/curate.py --plot docs/curating.svg

Generates `cc12m.tsv` and a YFCC100M file of 25 columns, once each: texts nearly all distinct, lengths as in genuine rows.
A run is a process of its own with its workers; its memory is the peak of what all of them hold together (PSS, looked at once a
second). URL de-duplication is Conceptual 12M through curate and images, beside the same tables made by hand in Polars and in
DuckDB (`by_hand.py`), which must find as many pairs and images. Runs alternate, and the medians of their ratios count. The limit
of each file is its bytes, read and cut into columns by the reader's own parser. `yfcc` stands beside the same pairs by hand
too, up to three million rows. `yfcc_bz2` is the same YFCC100M table as
upstream has it, bzip2, beside decompressing alone, and ends with `pmd verify`. The last line is JSON; each run also adds its
line to `benchmarks/data/curating.jsonl`, from which `--plot` draws time and memory against rows.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import functools
import glob
import hashlib
import json
import math
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib import parse

import pyarrow.parquet as pq

#: Rows between two writes of a generator.
_CHUNK: Final = 10_000
#: Of 100 rows of Conceptual 12M, those that repeat an earlier row's image.
_REPEATED_URLS: Final = 4
#: Rows of YFCC100M in a stream of bzip2.
_STREAM_ROWS: Final = 1_000_000
#: `pmd.formats.lines.RANGE_BYTES`, which this process does not import: it measures others.
_RANGE_BYTES: Final = 64 * 2**20

_ENGLISH: Final = (  # noqa: SIM905
    "a the of on in with and from at my our this morning last day night first time out over man woman dog street red blue "
    "old stone bridge water cup table light sign tree green window small large two people standing near white building "
    "sky car front beach sunset mountain snow child birthday party family garden river church market train station "
    "walking looking down up after before some view taken during trip friends house flowers cat playing made"
).split()
_OTHER: Final = {
    "de": "der die das und ist im am mit von auf ein eine nicht schöne alte Straße Brücke Kirche Haus Garten Berge Schnee "
    "Blick über den Fluss bei Nacht unsere Reise nach Kinder spielen Baum Wasser",
    "es": "el la los las de en con una por para que muy calle vieja iglesia playa puente desde nuestra casa montaña nieve "
    "niños jugando árbol agua noche mañana viaje ciudad pequeña",
    "fr": "le la les des un une dans avec sur pour très vieille rue église maison plage depuis notre voyage montagne neige "
    "enfants jouent arbre eau nuit matin petite ville être où",
    "ja": "写真 東京 京都 桜 公園 散歩 今日 の 花 お寺 海 山 雪 猫 夕日 祭り",
}
_FOREIGN: Final = [words.split() for words in _OTHER.values()]
_CAMERAS: Final = (
    "",
    "Canon+EOS+Kiss+X3",
    "Canon+PowerShot+ELPH+310+HS",
    "NIKON+D90",
    "Panasonic+DMC-ZS10",
    "Apple+iPhone+4",
)
_LICENCES: Final = (
    ("Attribution-NonCommercial-NoDerivs License", "by-nc-nd"),
    ("Attribution-NonCommercial-ShareAlike License", "by-nc-sa"),
    ("Attribution License", "by"),
    ("Attribution-ShareAlike License", "by-sa"),
)  # fmt: skip


def conceptual_12m(rows: int) -> Iterator[str]:
    """Yield lines of url TAB caption; of 100 rows, 4 repeat an earlier URL."""
    dice = random.Random(0)
    for number in range(rows):
        named = dice.randrange(number) if number and dice.randrange(100) < _REPEATED_URLS else number
        name = random.Random(named).getrandbits(160)
        host = f"img{name % 4001}.example{name % 97}.com"
        query = f"?aspect=fit&width={name % 1000}" if name % 10 == 0 else ""
        words = dice.choices(_ENGLISH, k=dice.randrange(6, 29))
        yield f"https://{host}/wp-content/uploads/{name % 13:02}/{name:040x}.jpg{query}\t{' '.join(words)} {number % 9973}\n"


def yfcc100m(rows: int, first: int = 0) -> Iterator[str]:
    """Yield lines of 25 columns: of 100 rows, about 30 to stay, 25 with a description, of those 20 with HTML."""
    dice = random.Random(1 + first)
    for number in range(first, first + rows):
        photo = 2_000_000_000 + 97 * number + dice.randrange(97)
        user = f"{dice.randrange(10**7, 9 * 10**7)}@N{dice.randrange(10):02}"
        secret, original = f"{dice.getrandbits(40):010x}", f"{dice.getrandbits(40):010x}"
        server, farm = dice.randrange(2000, 9000), dice.randrange(1, 10)
        licence, code = dice.choice(_LICENCES)
        tags = ",".join(dice.choices(_ENGLISH, k=dice.randrange(1, 14))) if dice.random() < 0.6 else ""
        place = (
            (f"{dice.uniform(-180, 180):.6f}", f"{dice.uniform(-60, 70):.6f}", "16")
            if dice.random() < 0.18
            else ("",) * 3
        )
        stamp = 1_100_000_000 + dice.randrange(290_000_000)
        taken = time.strftime("%Y-%m-%d %H:%M:%S.0", time.gmtime(stamp - dice.randrange(10**7)))
        download = f"http://farm{farm}.staticflickr.com/{server}/{photo}_{secret}.jpg"
        fields = (
            str(number), str(photo), _hash(download), user, f"user{dice.getrandbits(24)}", taken, str(stamp),
            dice.choice(_CAMERAS), _title(dice, number), _description(dice, number), tags, "", *place,
            f"http://www.flickr.com/photos/{user}/{photo}/",
            download, licence, f"http://creativecommons.org/licenses/{code}/2.0/", str(server), str(farm), secret, original,
            "jpg", "1" if number % 125 == 0 else "0",
        )  # fmt: skip
        yield "\t".join(fields) + "\n"


def _hash(download_url: str) -> str:
    """Return what the column `hash` has in genuine rows: MD5 of the URL, each byte without its leading zero."""
    return "".join(f"{byte:x}" for byte in hashlib.md5(download_url.encode(), usedforsecurity=False).digest())


def _title(dice: random.Random, number: int) -> str:
    kind = dice.random()
    if kind < 0.05:
        return ""
    if kind < 0.45:
        return f"IMG_{number}"
    if kind < 0.55:
        return parse.quote_plus(f"{dice.choice(_ENGLISH).title()} {number % 99991}")
    words = _ENGLISH if kind < 0.8 else dice.choice(_FOREIGN)
    return parse.quote_plus(" ".join(dice.choices(words, k=dice.randrange(3, 7))) + f" {number % 9973}")


def _description(dice: random.Random, number: int) -> str:
    if dice.random() < 0.74:
        return ""
    words = _ENGLISH if dice.random() < 0.6 else dice.choice(_FOREIGN)
    said = " ".join(dice.choices(words, k=min(500, int(dice.lognormvariate(2.7, 1.0)) + 1))) + f", {number}"
    if dice.random() < 0.2:
        said = f'<b>{said}</b>\n<a href="http://www.example.org/{number}" rel="nofollow">www.example.org/{number}</a> &amp; more'
    return parse.quote_plus(said)


def generate(path: Path, lines: Iterator[str]) -> None:
    """Write a file of lines, unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        chunk: list[str] = []
        for line in lines:
            chunk.append(line)
            if len(chunk) == _CHUNK:
                file.write("".join(chunk))
                chunk = []
        file.write("".join(chunk))
    unfinished.rename(path)


def generate_yfcc(path: Path, rows: int) -> None:
    """Write YFCC100M's lines, unless the file is there; as bzip2 a stream for each million, as parallel bzip2 writes it."""
    if path.exists():
        return
    folder = path.with_suffix(".streams")
    folder.mkdir(parents=True, exist_ok=True)
    blocks = [(folder, path.suffix, first, min(_STREAM_ROWS, rows - first)) for first in range(0, rows, _STREAM_ROWS)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        streams = pool.starmap(_stream, blocks, chunksize=1)
    with path.with_suffix(".unfinished").open("wb") as whole:
        for stream in streams:
            with stream.open("rb") as one:
                shutil.copyfileobj(one, whole)
            stream.unlink()
    path.with_suffix(".unfinished").rename(path)
    folder.rmdir()


def _stream(folder: Path, suffix: str, first: int, rows: int) -> Path:
    path = folder / f"{first:012}{suffix}"
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        opened = bz2.open if suffix == ".bz2" else open
        with opened(unfinished, "wt", encoding="utf-8") as file:
            file.writelines(yfcc100m(rows, first))
        unfinished.rename(path)
    return path


class Run(NamedTuple):
    """What a process took: seconds by the clock and of the processor, and its peak memory."""

    seconds: float
    cpu_s: float
    peak_gb: float


def process(arguments: list[str]) -> Run:
    """Run a process and measure it and those that it starts."""
    start = time.monotonic()
    child = subprocess.Popen(arguments)
    peak = [0]
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(child.pid, peak, ended))
    watch.start()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    ended.set()
    watch.join()
    if status:
        raise SystemExit(f"failed: {' '.join(arguments)}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, max(peak[0] / 2**20, usage.ru_maxrss / 2**20))


def _watch(process_id: int, peak: list[int], ended: threading.Event) -> None:
    """Keep the largest sum, in KiB, of what a process and its descendants hold."""
    while not ended.wait(1.0):
        peak[0] = max(peak[0], sum(map(_held, _tree(process_id))))


def _tree(process_id: int) -> Iterator[int]:
    yield process_id
    for path in glob.glob(f"/proc/{process_id}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in Path(path).read_text().split():
                yield from _tree(int(child))


def _held(process_id: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return 0


def pmd(stage: str, config: Path) -> Run:
    """Run one stage."""
    return process([sys.executable, "-m", "pmd", stage, str(config)])


def configure(folder: Path, source: str, annotations: Path) -> tuple[Path, Path]:
    """Write a configuration of one source; return it and its root."""
    root, config = folder / f"root-{source}", folder / f"{source}.toml"
    config.write_text(
        f'root = "{root}"\nprofile = "paper"\ncontact = "mailto:bench@example.org"\n'
        f"[sources.{source}]\nannotations = {json.dumps([str(annotations)])}\n"
    )
    return config, root


#: Makes the same tables without pmd.
_BY_HAND: Final = Path(__file__).with_name("by_hand.py")
_PEERS: Final = ("polars", "duckdb")
#: Rows of YFCC100M that are made by hand too, at most: there they stand in memory.
_MOST_BY_HAND: Final = 3_000_000
#: The least that a reader of lines does: read, find lines, cut them into columns.
_LIMIT: Final = """
import sys
from pmd.formats import lines, tsv
for batch in lines.read_lines(sys.argv[1]):
    tsv.split_columns(batch.lines, columns=[int(sys.argv[2])]).columns
"""


def median(values: list[float]) -> float:
    """Return the median, to three decimals."""
    return round(statistics.median(values), 3)


def repeat(times: int, runs: dict[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Do each run in turn, over and over; return what each took by its name."""
    found: dict[str, list[Run]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            found[name].append(run())
    return found


def figures(rows: int, runs: list[Run], limit: list[Run] | None = None) -> dict[str, Any]:
    """Return medians of one stage's runs, and the highest peak."""
    seconds = [run.seconds for run in runs]
    found = {
        "seconds": median(seconds),
        "cpu_s": median([run.cpu_s for run in runs]),
        "rows_per_s": round(rows / statistics.median(seconds)),
        "peak_gb": round(max(run.peak_gb for run in runs), 3),
    }
    if limit is not None:
        found["times_limit"] = ratio(runs, limit)
    return found


def ratio(runs: list[Run], others: list[Run], of: str = "seconds") -> float:
    """Return the median of the ratios of paired runs' seconds, or of another of their figures."""
    return median([getattr(run, of) / getattr(other, of) for run, other in zip(runs, others, strict=True)])


def _rows(pairs: Path, images: Path | None = None) -> tuple[int, int]:
    """Return how many pairs and images stand in folders of Parquet."""
    files = pairs.rglob("*.parquet") if images else [pairs / "pairs.parquet"]
    others = images.rglob("*.parquet") if images else [pairs / "images.parquet"]
    count, distinct = (sum(pq.read_metadata(file).num_rows for file in each) for each in (files, others))
    return count, distinct


def by_hand(tool: str, source: str, lines: Path) -> Run:
    """Make the tables of a source's lines by hand, in a folder beside them."""
    return process([sys.executable, str(_BY_HAND), tool, source, str(lines), str(lines.parent / tool)])


def url_dedupe(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """Conceptual 12M through curate and images, beside the same by hand."""
    path = folder / "cc12m.tsv"
    generate(path, conceptual_12m(rows))
    config, root = configure(folder, "conceptual_12m", path)

    def curate() -> Run:
        subprocess.run(["rm", "-rf", str(root)], check=True)
        return pmd("curate", config)

    runs = repeat(
        repeats,
        {
            **{tool: functools.partial(by_hand, tool, "conceptual_12m", path) for tool in _PEERS},
            "limit": lambda: process([sys.executable, "-c", _LIMIT, str(path), "2"]),
            "curate": curate,
            "images": lambda: pmd("images", config),
        },
    )
    both = [
        Run(first.seconds + second.seconds, first.cpu_s + second.cpu_s, max(first.peak_gb, second.peak_gb))
        for first, second in zip(runs["curate"], runs["images"], strict=True)
    ]
    counted = {name: _rows(folder / name) for name in _PEERS} | {"pmd": _rows(root / "curate", root / "images")}
    if len(set(counted.values())) > 1:
        raise SystemExit(f"pairs and images differ: {counted}")
    return {
        "curate": figures(rows, runs["curate"], runs["limit"]),
        "images": figures(rows, runs["images"]),
        "both": figures(rows, both),
        **{tool: figures(rows, runs[tool]) for tool in _PEERS},
        **{f"ratio_to_{tool}": ratio(both, runs[tool]) for tool in _PEERS},
        **{f"cpu_ratio_to_{tool}": ratio(both, runs[tool], "cpu_s") for tool in _PEERS},
        "peak_gb": round(max(run.peak_gb for run in both), 3),
    }


def yfcc(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """The YFCC100M filter: lines in, committed Parquet out, beside the same pairs by hand."""
    path = folder / "yfcc100m_dataset.tsv"
    generate_yfcc(path, rows)
    config, root = configure(folder, "yfcc100m", path)

    def curate() -> Run:
        subprocess.run(["rm", "-rf", str(root)], check=True)
        return pmd("curate", config)

    peers = _PEERS if rows <= _MOST_BY_HAND else ()
    runs = repeat(
        repeats,
        {
            **{tool: functools.partial(by_hand, tool, "yfcc100m", path) for tool in peers},
            "limit": lambda: process([sys.executable, "-c", _LIMIT, str(path), "25"]),
            "curate": curate,
        },
    )
    counted = {name: pq.read_metadata(folder / name / "pairs.parquet").num_rows for name in peers}
    books = _books(root)
    if {*counted.values()} - {books["kept"]}:
        raise SystemExit(f"pairs differ: {counted}, pmd {books['kept']}")
    return {
        **figures(rows, runs["curate"], runs["limit"]),
        **books,
        **{tool: figures(rows, runs[tool]) for tool in peers},
        **{f"ratio_to_{tool}": ratio(runs["curate"], runs[tool]) for tool in peers},
        **{f"cpu_ratio_to_{tool}": ratio(runs["curate"], runs[tool], "cpu_s") for tool in peers},
    }


#: What decompressing the first of the reader's ranges takes.
_DECOMPRESS: Final = """
import sys
from pmd.formats import bzip2, lines
start, stop = lines.ranges(sys.argv[1])[0]
for block in bzip2.blocks_from(sys.argv[1], start, stop):
    if stop is not None and block.bit >= 8 * stop:
        break
"""


def yfcc_bz2(folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """The YFCC100M filter, bzip2 in, and `pmd verify` on what came out."""
    path = folder / "yfcc100m_dataset.bz2"
    generate_yfcc(path, rows)
    config, root = configure(folder, "yfcc100m", path)

    def curate() -> Run:
        subprocess.run(["rm", "-rf", str(root)], check=True)
        return pmd("curate", config)

    runs = repeat(repeats, {"curate": curate, "verify": lambda: pmd("verify", root)})
    found = figures(rows, runs["curate"]) | _books(root)
    found["verify_s"] = median([run.seconds for run in runs["verify"]])
    first = process([sys.executable, "-c", _DECOMPRESS, str(path)]).cpu_s
    found["decompress_cpu_s"] = round(first * max(1.0, path.stat().st_size / _RANGE_BYTES), 1)
    return found


def _books(root: Path) -> dict[str, Any]:
    books = json.loads((root / "curate/source=yfcc100m/_stage.json").read_text())["sources"]["yfcc100m"]
    return {"kept": books["kept"], "rejected": books["rejected"]}


def plot(path: Path) -> None:
    """Draw time and memory against rows, of the latest run of each size."""
    lines = [json.loads(line) for line in _HISTORY.read_text().splitlines()]
    panels = (
        ("seconds of processor time", "cpu_s", lambda value: f"{value:,.0f}"),
        ("peak memory of all processes, GB", "peak_gb", lambda value: f"{value:.2g}"),
    )
    content, height = "", 40
    for title, key, show in panels:
        series = {
            name: sorted(
                {line["rows"]: line[of][part][key] if part else line[of][key] for line in lines if of in line}.items()
            )
            for name, of, part in (
                ("YFCC100M, bzip2, curate", "yfcc_bz2", None),
                ("Conceptual 12M, curate", "url_dedupe", "curate"),
                ("Conceptual 12M, images", "url_dedupe", "images"),
            )
        }
        content += _panel({name: points for name, points in series.items() if points}, title, show, height)
        height += 330
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" font-family="sans-serif" font-size="13">'
        f'<rect width="760" height="{height}" fill="#fff"/>{content}</svg>\n'
    )


def _panel(series: dict[str, list[tuple[int, float]]], title: str, show: Callable[[float], str], top: float) -> str:
    """Return one panel, both axes logarithmic: time that is linear in rows is a line at 45°."""
    values = [value for points in series.values() for _, value in points]
    rows = [row for points in series.values() for row, _ in points]
    left, right, bottom = 70.0, 520.0, top + 260
    least, most = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    first, last = math.floor(math.log10(min(rows))), math.ceil(math.log10(max(rows)))

    def x(row: float) -> float:
        return left + (math.log10(row) - first) / max(1, last - first) * (right - left)

    def y(value: float) -> float:
        return bottom - (math.log10(value) - least) / max(1, most - least) * (bottom - top - 20)

    marks = [f'<text x="{left}" y="{top}" font-weight="bold">{title}</text>']
    for power in range(least, most + 1):
        marks.append(
            f'<path d="M{left} {y(10**power):.1f}H{right}" stroke="#ddd"/>'
            f'<text x="{left - 8}" y="{y(10**power) + 4:.1f}" text-anchor="end">{show(10.0**power)}</text>'
        )
    for power in range(first, last + 1):
        marks.append(f'<text x="{x(10**power):.1f}" y="{bottom + 20}" text-anchor="middle">{10**power:,}</text>')
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number]
        path = "L".join(f"{x(row):.1f} {y(value):.1f}" for row, value in points)
        marks.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        marks += [
            f'<circle cx="{x(row):.1f}" cy="{y(value):.1f}" r="4" fill="{colour}">'
            f"<title>{row:,} rows: {show(value)}</title></circle>"
            for row, value in points
        ]
        marks.append(f'<text x="{right + 14}" y="{top + 30 + 20 * number}" fill="{colour}">{name}</text>')
    return "".join(marks)


def main() -> None:
    """Generate, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=list(_RUNS))
    parser.add_argument("--plot", type=Path, metavar="SVG", help="draw what was measured, and measure nothing")
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    arguments = parser.parse_args()
    if arguments.plot is not None:
        plot(arguments.plot)
        return
    folder = arguments.out / f"curate-{arguments.rows}"
    results: dict[str, Any] = {"rows": arguments.rows}
    chosen = _RUNS if arguments.only is None else {arguments.only: _RUNS[arguments.only]}
    for name, run in chosen.items():
        results[name] = run(folder, arguments.rows, arguments.repeats)
        print(name, json.dumps(results[name], indent=2))
    results["peak_gb"] = round(max(results[name]["peak_gb"] for name in chosen), 3)
    with _HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(results) + "\n")
    print(json.dumps(results))


_RUNS: Final = {"url_dedupe": url_dedupe, "yfcc": yfcc, "yfcc_bz2": yfcc_bz2}
_HISTORY: Final = Path(__file__).parent / "data" / "curating.jsonl"
_COLOURS: Final = ("#1b6ca8", "#c0562b", "#3a8a4d", "#7a4ea3", "#b08a1e", "#2a9d9d", "#b03a6b")


if __name__ == "__main__":
    main()
