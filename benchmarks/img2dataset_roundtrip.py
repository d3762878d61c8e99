"""There and back with the real img2dataset: it reads our published list, its shards are adopted, and it is our engine.

    python benchmarks/img2dataset_roundtrip.py [--images 200] [--out FOLDER]

On a loopback server that writes down every request:

1. a first ROOT is built with pmd's own engine, from good addresses and from every kind of bad one, and publishes its list;
2. img2dataset reads that list, `image_url` and `text`, and checks each body against its `sha256` column: once it keeps
   bytes as they came, once it makes its own copies of short side 256;
3. for each, a second ROOT is built that adopts the shards and is checked against the list: the log must stay empty;
4. a further ROOT is built from the web with `engine = "img2dataset"`: its ledger must say what the first one's says, but for
   what docs/img2dataset.md names as not promised, and every address is asked for once.

Also measured: the processor time that starting img2dataset costs a fetch shard. What was checked is printed; the last line
is JSON; the exit code is 1 where a check fails, or img2dataset is not installed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import ExifTags, Image

from pmd.demo.web import Answer, DemoWeb, page, redirect
from pmd.fetch.ledger import state
from pmd.inspection import verify
from pmd.schema.tables import LEDGER_OUTCOME
from pmd.store import root

SOURCE = "conceptual_captions"
TIMEOUT_S = 2.0
ENVIRONMENT = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}

#: Where img2dataset does otherwise than our own engine: the status by either. docs/img2dataset.md tells why.
DIFFERENCES = {
    "inside.jpg": ("blocked_address", "connection"),  # it goes wherever a redirect leads
}


class Checks:
    """What was checked, and what failed."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.count = 0

    def __call__(self, what: str, good: bool, found: Any = "") -> None:
        self.count += 1
        print(f"{'ok' if good else 'FAILED':<7}{what}" + ("" if good else f": {found}"), flush=True)
        if not good:
            self.failed.append(what)


def picture(seed: int) -> bytes:
    """Return a photograph-like picture of 640 x 480: smooth colours and grain, another for each seed.

    Its EXIF says that it is upright and sRGB: of others no copy is taken over.
    """
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 255, (30, 40, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((640, 480), Image.Resampling.BICUBIC)) + chance.normal(0, 7, (480, 640, 1))
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = 1
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85, exif=exif.tobytes())
    return buffer.getvalue()


def routes(count: int) -> dict[tuple[str, str], Answer]:
    """Return what the server answers: `count` pictures, over HTTP and HTTPS, and what goes wrong on the web."""
    whole = picture(10**6)
    bad = {
        "gone.jpg": page("gone", 404),
        "forbidden.jpg": page("no", 403),
        "error.jpg": page("oops", 500),
        "busy.jpg": page("later", 503),
        "page.jpg": page("not a picture"),
        "broken.jpg": Answer(whole[: len(whole) // 2]),
        "nothing.jpg": Answer(b""),
        "drop.jpg": Answer(behaviour="drop"),
        "garbage.jpg": Answer(behaviour="garbage"),
        "hang.jpg": Answer(behaviour="hang"),
        "tagged.jpg": Answer(whole, headers=(("X-Robots-Tag", "noai"),)),
        "reserved.jpg": Answer(whole, headers=(("tdm-reservation", "1"),)),
        "moved.jpg": redirect("/0.jpg"),
        "loop.jpg": redirect("/loop.jpg"),
        "empty.jpg": Answer(status=302),
        "inside.jpg": redirect("http://127.0.0.2:9/x.jpg"),
        "private/x.jpg": Answer(whole),
        "robots.txt": Answer(b"User-agent: *\nDisallow: /private/\n", content_type="text/plain"),
    }
    good = {f"{number}.jpg": Answer(picture(number)) for number in range(count)}
    return {("127.0.0.1", f"/{name}"): answer for name, answer in (good | bad).items()} | {
        ("localhost", f"/tls-{number}.jpg"): Answer(picture(count + number)) for number in range(4)
    }


def addresses(web: DemoWeb) -> list[str]:
    """Return every address of the server, and two that nobody may or can ask."""
    tls = web.tls_address.rpartition(":")[2]
    found = [
        f"http://{web.address}{path}" if host == "127.0.0.1" else f"https://localhost:{tls}{path}"
        for host, path in web.routes
        if path != "/robots.txt"
    ]
    return [*found, "http://10.0.0.7/refused.jpg", "http://127.0.0.1:9/closed.jpg"]


def configure(folder: Path, name: str, more: str = "") -> Path:
    """Write a configuration over the same annotations, and make its ROOT."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'root = "{folder}/{name}"\nprofile = "paper"\ncontact = "mailto:bench@example.org"\n'
        f'[sources.{SOURCE}]\nannotations = ["{folder}/urls.tsv"]\n[fetch]\nretries = 0\ntimeout_s = {TIMEOUT_S}\n'
        f'allow_addresses = ["127.0.0.1/32", "::1/128"]\nca_file = "{folder}/ca.pem"\n'
        f"per_host = {{ requests_per_s = 1000.0, connections = 16 }}\n{more}\n"
    )
    root.create(f"{folder}/{name}", 1)
    return path


def run(command: list[str], log: Path, environment: dict[str, str] | None = None) -> float:
    """Run a command; return the seconds of the processors that it and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("ab") as file:
        code = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment or ENVIRONMENT, check=False
        ).returncode
    if code:
        raise SystemExit(f"{command[:4]} failed with {code}; see {log}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def build(path: Path, stage: str = "build") -> float:
    return run([sys.executable, "-m", "pmd", stage, str(path)], path.with_suffix(".log"))


def ledger(folder: Path) -> list[dict[str, Any]]:
    """Return what stands for each image of a ROOT, in order of image_id."""
    tables = [state.read_ledger(str(folder), shard) for shard in state.shards(str(folder))]
    return list(pa.concat_tables(tables).sort_by("image_id").to_pylist())


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return rows of the ledger by the path of the address that was used or tried last."""
    return {row["location"].split("/", 3)[3]: row for row in rows}


def published(folder: Path) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted(folder.glob(f"publish/source={SOURCE}/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def pictures_of(requests: tuple[tuple[str, str], ...]) -> Counter[str]:
    """Return how often each address was asked for, the files of sites left out."""
    return Counter(path for _, path in requests if path not in {"/robots.txt", "/.well-known/tdmrep.json"})


def img2dataset(list_folder: Path, output: Path, ca_file: Path, *options: str) -> None:
    """Have img2dataset download a published list, from its own command line."""
    command = [str(Path(sys.executable).parent / "img2dataset"), "--url_list", str(list_folder), "--output_folder"]
    command += [str(output), "--input_format", "parquet", "--url_col", "image_url", "--caption_col", "text"]
    command += ["--output_format", "webdataset", "--save_additional_columns", '["pair_id","image_id"]']
    command += ["--verify_hash", '["sha256","sha256"]', "--compute_hash", "sha256", "--number_sample_per_shard", "100"]
    command += ["--processes_count", "1", "--thread_count", "16", "--enable_wandb", "False", *options]
    run(command, output.with_suffix(".log"), {**ENVIRONMENT, "SSL_CERT_FILE": str(ca_file)})


def samples(output: Path) -> list[tuple[dict[str, Any], str]]:
    """Return what img2dataset's tars say of each picture, and its caption."""
    found = []
    for path in sorted(output.glob("*.tar")):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
        found += [
            (json.loads(content), members[name.replace(".json", ".txt")].decode())
            for name, content in members.items()
            if name.endswith(".json")
        ]
    return found


def check_adopted(check: Checks, web: DemoWeb, folder: Path, form: str, listed: list[dict[str, Any]]) -> None:
    """Build a ROOT from img2dataset's shards alone, and look at what it holds."""
    before = len(web.requests)
    more = f'adopt = ["{folder}/{form}/*.tar"]\nagainst = ["{folder}/first/publish/*/*.parquet"]\n'
    # Only what the list has: the first ROOT's losses would be asked for again.
    kept = "".join(f"{row['text']}\t{row['image_url']}\n" for row in listed)
    (folder / "listed.tsv").write_text(kept)
    name = f"adopted-{form}"
    path = configure(folder, name, more)
    path.write_text(path.read_text().replace("urls.tsv", "listed.tsv"))
    build(path)
    rows = ledger(folder / name)
    check(f"{form}: the second ROOT asks the web for nothing", not web.requests[before:], web.requests[before:][:5])
    check(
        f"{form}: every image of the list is there",
        {row["status"] for row in rows} == {"ok"},
        Counter(row["status"] for row in rows),
    )
    first = {row["image_id"]: row for row in ledger(folder / "first")}
    same = [row["sha256"] == first[row["image_id"]]["sha256"] for row in rows]
    check(f"{form}: the digests are those of the first ROOT", all(same) and len(same) == len(listed), len(same))
    marks = Counter(row["listed"] for row in rows)
    check(f"{form}: all are the same by the list", marks == {"same": len(listed)}, marks)
    again = {row["image_url"]: row["sha256"] for row in published(folder / name)}
    check(
        f"{form}: the second list says what the first says",
        again == {row["image_url"]: row["sha256"] for row in listed},
        len(again),
    )
    problems = verify.verify(str(folder / name))["problems"]
    check(f"{form}: pmd verify passes", not problems, problems[:3])


def check_engine(check: Checks, web: DemoWeb, folder: Path) -> None:
    """Build a ROOT from the web with img2dataset as the engine, and compare it with that of our own engine."""
    before = len(web.requests)
    build(configure(folder, "engine", 'engine = "img2dataset"\n'))
    asked = pictures_of(web.requests[before:])
    mine, theirs = by_name(ledger(folder / "first")), by_name(ledger(folder / "engine"))
    differ = {
        name: (mine[name]["status"], theirs[name]["status"])
        for name in mine
        if [mine[name][column] for column in LEDGER_OUTCOME] != [theirs[name][column] for column in LEDGER_OUTCOME]
    }
    check("engine: the same images", {*mine} == {*theirs}, {*mine} ^ {*theirs})
    check(f"engine: the ledger says the same, but for {', '.join(sorted(DIFFERENCES))}", differ == DIFFERENCES, differ)
    print(f"       {json.dumps(dict(Counter(row['status'] for row in theirs.values())))}")
    redirected = {"/0.jpg": 2, "/loop.jpg": asked["/loop.jpg"]}  # moved.jpg leads to 0.jpg; loop.jpg to itself
    often = {path: count for path, count in asked.items() if count != redirected.get(path, 1)}
    check("engine: every address is asked for once", not often, often)
    check("engine: what robots.txt denies is not asked for", "/private/x.jpg" not in asked)
    problems = verify.verify(str(folder / "engine"))["problems"]
    check("engine: pmd verify passes", not problems, problems[:3])
    before = len(web.requests)
    build(folder / "engine.toml", "fetch")
    check("engine: a second fetch asks for nothing", not web.requests[before:], web.requests[before:][:5])


def starting(web: DemoWeb, folder: Path) -> float:
    """Return the processor time that starting img2dataset costs a fetch shard: two shards of one image, by either."""
    (folder / "two.tsv").write_text(
        "".join(f"a picture of a street\thttp://{web.address}/{n}.jpg\n" for n in range(12))
    )
    seconds = []
    for name, more in (("one", ""), ("other", 'engine = "img2dataset"\n')):
        path = configure(folder, f"starting-{name}", more)
        path.write_text(path.read_text().replace("urls.tsv", "two.tsv"))
        for stage in ("curate", "images"):
            build(path, stage)
        seconds.append(build(path, "fetch"))
    return (seconds[1] - seconds[0]) / 2


def main() -> None:
    """Serve, run, check, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("out/bench/img2dataset"))
    arguments = parser.parse_args()
    try:
        version = metadata.version("img2dataset")
    except metadata.PackageNotFoundError:
        raise SystemExit("img2dataset is not installed; run: pip install 'pmd[img2dataset]'") from None
    folder = arguments.out.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    check = Checks()
    with DemoWeb(routes(arguments.images)) as web:
        (folder / "ca.pem").write_bytes(web.ca_pem)
        lines = (f"a picture of a street, number {number}\t{url}\n" for number, url in enumerate(addresses(web)))
        (folder / "urls.tsv").write_text("".join(lines))
        build(configure(folder, "first"))
        listed = published(folder / "first")
        good = arguments.images + 5  # over HTTP, four over HTTPS, one moved
        check("first: the list has every good picture", len(listed) == good, len(listed))
        list_folder = folder / "first" / "publish" / f"source={SOURCE}"
        captions = {row["pair_id"]: (row["image_id"], row["text"], row["sha256"]) for row in listed}
        for form, options in (
            ("original", ["--resize_mode", "no", "--disable_all_reencoding", "True"]),
            ("resized", ["--resize_mode", "keep_ratio", "--image_size", "256", "--resize_only_if_bigger", "True"]),
        ):
            img2dataset(list_folder, folder / form, folder / "ca.pem", *options)
            read = {said["pair_id"]: (said["image_id"], text, said["sha256"]) for said, text in samples(folder / form)}
            check(f"{form}: img2dataset reads the list: captions, keys and digests", read == captions, len(read))
            check_adopted(check, web, folder, form, listed)
        check_engine(check, web, folder)
        start_s = starting(web, folder)
    print(
        json.dumps(
            {
                "img2dataset": version,
                "checks": check.count,
                "failed": check.failed,
                "images": good,
                "start_cpu_s": round(start_s, 1),
            }
        )
    )
    if check.failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
