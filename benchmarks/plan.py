"""What `pmd plan` says beside what the build then does: by column, before a build, in its middle and after.

    python benchmarks/plan.py [--rows 1000000] [--images 600] [--samples FOLDER] [--out FOLDER]

A build of three generated sources of `--rows` rows each, Conceptual 12M, YFCC100M and COCO captions (five an image, in no
order), planned before anything is curated, of plain files and of the same in gz, bz2 and zip, when two of the three are
curated, when all are, and when the images are found; all of these are compared with what is found in the end. Before it, a
build from a loopback server: `--images` pictures on two hosts of 20 requests a second, of which a quarter are dead, planned
before, when about a third is fetched, when all is, and when the shards are written. With the folder of genuine samples, its
COCO photographs are served, else generated ones, and each of its sources is planned and curated too.

A line is one figure: what was planned, between what, what was built, and planned ÷ built. The last line is JSON.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from curate import conceptual_12m, generate, yfcc100m
from fetch import generated

from pipelines import curate, images
from pmd import config as configuration
from pmd.config import Config
from pmd.fetch.ledger import partitions, state
from pmd.inspection import plan, status
from pmd.schema.statuses import OK
from pmd.store import commits, root, storage

_FOUND: list[dict[str, Any]] = []
_PER_IMAGE = 5
_RATE = 20
_PER_SHARD = 50
_WORDS = "a man woman dog red bus on the street next to two people with an umbrella in front of old building".split()  # noqa: SIM905


# --- files -----------------------------------------------------------------------------------------------------------


def coco(rows: int) -> Iterator[str]:
    """Yield a document of captions: five an image, in no order."""
    dice = random.Random(2)
    ids = [391_895 + 3 * number for number in range(rows // _PER_IMAGE)]
    yield '{"info": {"year": 2017}, "licenses": [{"id": 1, "url": "http://creativecommons.org/licenses/by/2.0/"}], "images": ['
    for number, image in enumerate(ids):
        name = f"{image:012}.jpg"
        yield ", " * bool(number) + json.dumps(
            {
                "license": 1, "file_name": name, "coco_url": f"http://images.cocodataset.org/train2017/{name}",
                "height": 480, "width": 640, "date_captured": "2013-11-14 11:18:45",
                "flickr_url": f"http://farm9.staticflickr.com/8186/{image + 10**10}_{image:010x}_z.jpg", "id": image,
            }
        )  # fmt: skip
    yield '], "annotations": ['
    captions = ids * _PER_IMAGE
    dice.shuffle(captions)
    for number, image in enumerate(captions):
        said = " ".join(dice.choices(_WORDS, k=dice.randrange(6, 14))).capitalize() + "."
        yield ", " * bool(number) + json.dumps({"image_id": image, "id": 38 + number, "caption": said})
    yield "]}"


def write_files(folder: Path, rows: int) -> dict[str, dict[str, Path]]:
    """Return source → file, plain and packed."""
    plain = {
        "coco": folder / "captions_train2017.json",
        "conceptual_12m": folder / "cc12m.tsv",
        "yfcc100m": folder / "yfcc100m_dataset.tsv",
    }
    generate(plain["coco"], coco(rows))
    generate(plain["conceptual_12m"], conceptual_12m(rows))
    generate(plain["yfcc100m"], yfcc100m(rows))
    packed = {
        "coco": folder / "annotations_trainval2017.zip",
        "conceptual_12m": folder / "cc12m.tsv.gz",
        "yfcc100m": folder / "yfcc100m_dataset.bz2",
    }
    if not packed["coco"].exists():
        with zipfile.ZipFile(packed["coco"], "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.write(plain["coco"], "annotations/captions_train2017.json")
            archive.writestr("annotations/instances_train2017.json", json.dumps({"annotations": ["x" * 2**20] * 64}))
    for name, opened in (("conceptual_12m", gzip.open), ("yfcc100m", bz2.open)):
        if not packed[name].exists():
            with plain[name].open("rb") as source, opened(packed[name], "wb", 6) as target:  # type: ignore[operator]
                shutil.copyfileobj(source, target)
    return {"plain": plain, "packed": packed}


def configured(folder: Path, name: str, sources: dict[str, list[Path]], more: str = "") -> Config:
    """Write and read a configuration with a ROOT that is new."""
    where = folder / f"root-{name}"
    shutil.rmtree(where, ignore_errors=True)
    tables = [
        f"[sources.{source}]\nannotations = {json.dumps([str(path) for path in paths])}\n"
        + ('exclude_karpathy = "none"\n' if source in {"coco", "visual_genome", "localized_narratives__coco"} else "")
        for source, paths in sources.items()
    ]
    path = folder / f"{name}.toml"
    path.write_text(
        f'root = "{where}"\nprofile = "recommended"\ncontact = "mailto:benchmarks@example.org"\n'
        + "".join(tables)
        + more
    )
    return configuration.load(str(path))


# --- planned and built -----------------------------------------------------------------------------------------------


def planned(config: Config) -> tuple[dict[str, Any], float]:
    """Return a plan, and the seconds that it took."""
    start = time.perf_counter()
    found = plan.plan(config)
    return found, time.perf_counter() - start


def tell(build: str, when: str, what: str, value: float, between: list[float] | None, built: float) -> None:
    """Print one figure, and keep it."""
    ratio = value / built if built else float(value == built)
    within = between is None or between[0] <= built <= between[1]
    shown = "" if between is None else f"{between[0]:,.5g} to {between[1]:,.5g}"
    mark = "~" if between else ""
    outside = "" if within else "  outside"
    figures = f"{mark + f'{value:,.7g}':>13}{shown:>26}{f'{built:,.7g}':>13}{ratio:>7.3f}"
    print(f"{build:<9}{when:<26}{what:<28}{figures}{outside}")
    _FOUND.append(
        {
            "build": build, "when": when, "what": what, "planned": value, "between": between, "built": built,
            "ratio": ratio, "within": within,
        }
    )  # fmt: skip


def tell_sources(build: str, when: str, found: dict[str, Any], built: dict[str, dict[str, int]]) -> None:
    """Print rows, pairs and images of each source and of all; check that columns add up."""
    for item in found["sources"]:
        for column in ("rows", "pairs", "images"):
            tell(
                build,
                when,
                f"{item['name']} {column}",
                item[column],
                item["ranges"].get(column),
                built[item["name"]][column],
            )
    for column in ("rows", "pairs", "images"):
        total = sum(item[column] for item in found["sources"]) - (found["shared_images"] if column == "images" else 0)
        assert found[column] == total, column
        tell(build, when, f"all {column}", found[column], found["ranges"].get(column), built["all"][column])
    tell(build, when, "images to fetch", found["to_fetch"], found["ranges"].get("to_fetch"), built["all"]["images"])


def built_sources(config: Config) -> dict[str, dict[str, int]]:
    """Return rows, pairs and images of each source and of all, as committed."""
    found = {}
    of_source: dict[str, int] = dict.fromkeys(config.sources, 0)
    distinct = 0
    for part in range(2 ** partitions.cut(config.root).part_bits):
        table = partitions.read_images(config.root, part, ["sources"])
        distinct += len(table)
        for entry in pc.value_counts(table["sources"].combine_chunks().flatten()).to_pylist():
            of_source[entry["values"]] += entry["counts"]
    for name in config.sources:
        books = commits.require(root.curate_folder(config.root, name), "").sources[name]
        found[name] = {"rows": books.total, "pairs": books.kept, "images": of_source[name]}
    found["all"] = {column: sum(item[column] for item in found.values()) for column in ("rows", "pairs")} | {
        "images": distinct
    }
    return found


def build_of_sources(config: Config, build: str, *others: tuple[str, Config]) -> None:
    """Plan and build up to the images, and compare; with it plans of other files of the same rows."""
    plans = [(when, *planned(other)) for when, other in (("before", config), *others)]
    names = sorted(config.sources)
    for number, name in enumerate(names):
        with root.writer(config.root, "benchmark"):
            curate.build(config, [name])
        if number == len(names) - 2:
            plans.append((f"{number + 1} of {len(names)} curated", *planned(config)))
    plans.append(("all curated", *planned(config)))
    with root.writer(config.root, "benchmark"):
        images.build(config)
    plans.append(("images found", *planned(config)))
    built = built_sources(config)
    for when, found, seconds in plans:
        tell_sources(build, when, found, built)
        print(f"{build:<9}{when:<26}plan took {seconds:.1f} s and read {found['read_rows']:,} rows\n", flush=True)


# --- a loopback server -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(photos: list[bytes], times: list[float]) -> Iterator[int]:
    """Serve `/N.jpg`, every fourth of which is gone, and note when each is asked for; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            number = self.path.strip("/").removesuffix(".jpg")
            if number.isdigit():
                times.append(time.monotonic())
            there = number.isdigit() and int(number) % 4 != 3
            content = photos[int(number) % len(photos)] + number.encode() if there else b""
            self.send_response(200 if there else 404)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def build_with_fetch(folder: Path, count: int, photos: list[bytes]) -> None:
    """Plan and build from the loopback server, and compare."""
    rows = folder / "loopback.tsv"
    rows.write_text(
        "".join(
            f"picture number {n} of a loopback server\thttp://{'ab'[n % 5 == 0]}.test/{n}.jpg\n" for n in range(count)
        )
    )
    times: list[float] = []
    with serving(photos, times) as port:
        config = configured(
            folder,
            "loopback",
            {"conceptual_captions": [rows]},
            f'[fetch]\nallow_addresses = ["127.0.0.1/32"]\nresolve = {{ "*:80" = "127.0.0.1:{port}" }}\n'
            f"per_host = {{ requests_per_s = {_RATE}.0, connections = 8 }}\n"
            f'[dedupe]\nnear = "keep"\nsame_bytes = "keep"\nrepeated_bytes = 0\n[shard]\nsamples_per_shard = {_PER_SHARD}\n',
        )
        plans = [("before", planned(config)[0])]
        path = str(folder / "loopback.toml")
        run("curate", path)
        run("images", path)
        plans.append(("images found", planned(config)[0]))
        fetching = subprocess.Popen([sys.executable, "-m", "pmd", "fetch", path], stdout=subprocess.DEVNULL)
        for _ in range(6000):
            if len(times) >= count // 3:
                break
            time.sleep(0.1)
        fetching.send_signal(signal.SIGINT)
        fetching.wait()
        done = settled(config)
        plans.append((f"{done:,} of {count:,} fetched", planned(config)[0]))
        before = len(times)
        run("fetch", path)
        plans.append(("all fetched", planned(config)[0]))
        run("build", path)
        plans.append(("built", planned(config)[0]))
    books = status.books(config.root)
    rest = times[before:]
    seconds = {count - done: rest[-1] - rest[0]}
    # As if it had not been interrupted: the time that the second run took, and that of the first up to its end.
    seconds[count] = seconds[count - done] + times[before - 1] - times[0]
    built = {
        "images": count,
        "fetched": books["fetch"]["ledger"].get(OK, 0),
        "samples": books["shards"]["webdataset"]["samples"],
    }
    for when, found in plans:
        for name, value in built.items():
            tell("loopback", when, name, found[name], found["ranges"].get(name), value)
        left = {"before": count, "images found": count, "all fetched": 0, "built": 0}.get(when, count - done)
        tell("loopback", when, "images to fetch", found["to_fetch"], found["ranges"].get("to_fetch"), left)
        disk = found["disk"]
        tell("loopback", when, "store, bytes", disk["store"]["resized"], disk["ranges"].get("resized"), disk_of(config))
        for form in found["shards"]:
            tell(
                "loopback",
                when,
                f"shards, {form}",
                found["shards"][form],
                found["shards_ranges"].get(form),
                books["shards"][form]["shards"],
            )
            tell(
                "loopback",
                when,
                f"bytes, {form}",
                disk["shards"][form],
                disk["ranges"]["shards"].get(form),
                books["shards"][form]["bytes"],
            )
        if left:
            tell("loopback", when, "seconds of fetching", found["fetch"]["hours"] * 3600, None, seconds[left])
        print(flush=True)


def run(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pmd", *words], check=True, stdout=subprocess.DEVNULL)


def settled(config: Config) -> int:
    return sum(state.read_ledger(config.root, shard).num_rows for shard in state.shards(config.root))


def disk_of(config: Config) -> int:
    folder = storage.join(config.root, "fetch/store")
    return sum(storage.size(storage.join(folder, name)) for name in storage.list_files(folder))


# --- the samples -----------------------------------------------------------------------------------------------------

SAMPLES = {
    "coco": ("coco/captions_train2017.json", "coco/captions_val2017.json"),
    "conceptual_12m": ("cc12m/cc12m.tsv",),
    "conceptual_captions": ("cc3m/*.tsv",),
    "localized_narratives__coco": ("localized_narratives/coco_val_captions.jsonl",),
    "red_caps": ("redcaps/annotations.zip",),
    "sbu_captions": ("sbu/sbu-captions-all.json",),
    "visual_genome": ("visual_genome/v1.2/*.json",),
    "wit": ("wit/tfds_train-00000-of-00009.tsv",),
    "yfcc100m": ("yfcc100m/yfcc100m_dataset_25col.tsv",),
}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--samples", type=Path, help="the folder of genuine samples")
    parser.add_argument("--out", type=Path, default=Path("/tmp/pmd-plan"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent.parent))
    if options.samples:
        found = {name: [options.samples / path for path in paths] for name, paths in SAMPLES.items()}
        build_of_sources(configured(options.out, "samples", found), "samples")
    photos = [path.read_bytes() for path in sorted((options.samples or Path()).glob("coco/*2017/*.jpg"))]
    if options.images:
        build_with_fetch(options.out, options.images, photos or [generated(seed) for seed in range(64)])
    if options.rows:
        plain, packed = (
            configured(options.out, kind, {name: [path] for name, path in files.items()})
            for kind, files in write_files(options.out, options.rows).items()
        )
        build_of_sources(plain, "files", ("before, packed", packed))
    worst = max(_FOUND, key=lambda item: max(item["ratio"], 1 / item["ratio"] if item["ratio"] else float("inf")))
    outside = [item for item in _FOUND if not item["within"]]
    print(json.dumps({"figures": len(_FOUND), "outside": outside, "worst": worst}))


if __name__ == "__main__":
    main()
