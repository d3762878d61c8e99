"""Fetch the same photographs with `pmd fetch`, img2dataset and Daft, in turns: images a second, and processor time an image.

    python benchmarks/fetch.py [--sizes 600 2400 4800] [--pairs 5] [--cores 1 2] [--cases http_pass …] [--photos FOLDER]

One loopback server, in a process of its own, answers all over HTTP/1.1 and over TLS, on the cores that they run on:
COCO's photographs under distinct URLs, or generated ones where there are none. As published they have 162 kB; they are
encoded anew first, at the quality that comes nearest to the 77 kB that photographs on the web have on average (86), unless
`--as-published`. Each pair of runs does the same work: short side 256 at quality 95, or bytes as they came. All are started
as a person would start them, on as many cores as the table says.

Each is run with every size. A line through the seconds, and one through the processor's time (`wait4`, of the process with
all that it started), tell what an image takes apart from what starting takes: `images_per_s` and `cpu_ms` are their slopes.
The server's own time is printed (`server_ms`), and `images_per_s_alone` is the rate if it took none of the cores.
The limit is decoding, scaling and encoding alone, by one process a core.

img2dataset has as many processes as there are cores and 32 threads in each, robots headers checked as by default, no
retries, certificates checked, wandb and albumentations' search for updates off. Daft downloads 64 at a time and writes
Parquet. It takes part only over HTTP, with bytes as they came, and needs `pip install daft` (or `--daft FOLDER`, where it was
installed with --target). pmd asks for robots.txt and tdmrep.json, resolves and checks addresses, judges each picture, digests
it and writes down the attempt; of this the others do no more than img2dataset's look at headers. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime
import io
import ipaddress
import itertools
import json
import multiprocessing
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from pmd import codec
from pmd.store import root

CORES = len(os.sched_getaffinity(0))
SHARD_BITS = 1  # a shard a core, for either: a real shard has thousands of images, and its end is not to be seen here
PHOTO_BYTES = 77_000  # the mean that the aims of the design are for
SIDE_PX = 256
QUALITY = 95
CASES = {
    "http_resize": ("http", "resized"),
    "https_resize": ("https", "resized"),
    "http_pass": ("http", "original"),
    "https_pass": ("https", "original"),
}

PEER = """
import json, sys, img2dataset
if __name__ == "__main__":
    img2dataset.download(**json.loads(sys.argv[1]))
"""


# --- the photographs -------------------------------------------------------------------------------------------------


def load_photos(folder: Path, *, as_published: bool) -> list[bytes]:
    """Return COCO's photographs, or noise and gradients of 640 x 480 where the folder has none; tell what was chosen."""
    photos = [path.read_bytes() for path in sorted(folder.glob("*2017/*.jpg"))] or [generated(i) for i in range(64)]
    if as_published:
        return photos
    pictures = [Image.open(io.BytesIO(photo)).convert("RGB") for photo in photos]
    low, high = 50, 95  # of the two on either side of the mean that is wanted, in the end
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mean_bytes(pictures, middle) < PHOTO_BYTES else (low, middle)
    quality = min(low, high, key=lambda either: abs(mean_bytes(pictures, either) - PHOTO_BYTES))
    found = [encoded(picture, quality) for picture in pictures]
    print(f"{len(found)} photographs at quality {quality}, {statistics.fmean(map(len, found)):,.0f} bytes on average")
    return found


def mean_bytes(pictures: list[Image.Image], quality: int) -> float:
    return statistics.fmean(len(encoded(picture, quality)) for picture in pictures)


def generated(seed: int) -> bytes:
    """Return a picture of about 77 kB."""
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 255, (30, 40, 3), dtype=np.uint8))
    grain = chance.normal(0, 7, (480, 640, 1))
    pixels = np.asarray(small.resize((640, 480), Image.Resampling.BICUBIC)) + grain
    return encoded(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), 85)


def encoded(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# --- the server ------------------------------------------------------------------------------------------------------


class Answers(asyncio.Protocol):
    """`/N.jpg` is photograph N modulo their number; everything else is 404. Keeps connections if asked to."""

    def __init__(self, replies: list[tuple[bytes, bytes]]) -> None:
        self._replies = replies
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head, self._left = self._left[:end], self._left[end + 4 :]
            name = head.split(b" ", 2)[1].rpartition(b"/")[2].partition(b".")[0]
            reply = self._replies[int(name) % len(self._replies)] if name.isdigit() else (NOT_FOUND, b"")
            self._transport.writelines(reply)  # type: ignore[attr-defined]
            if b"connection: close" in head.lower():
                self._transport.close()


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def serve(photos: list[bytes], folder: Path, ports: Any) -> None:
    """Serve until killed; tell the ports of HTTP and HTTPS."""
    head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
    replies = [(head.format(len(photo)).encode(), photo) for photo in photos]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: Answers(replies), "127.0.0.1", 0, ssl=tls, backlog=1024)
            for tls in (None, context)
        ]
        ports.send([server.sockets[0].getsockname()[1] for server in servers])
        await asyncio.Event().wait()

    asyncio.run(run())


def write_certificates(folder: Path) -> None:
    """Write an authority of our own, and a certificate of it for localhost."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=7))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(by, hashes.SHA256())
        )

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    ca = certificate("bench CA", authority, "bench CA", authority, authority=True)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    own = certificate("localhost", server, "bench CA", authority, authority=False)
    key = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(key + own.public_bytes(pem))


@contextlib.contextmanager
def served(photos: list[bytes], folder: Path) -> Iterator[tuple[dict[str, int], int]]:
    """Run the server; yield the port of each scheme, and its process."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(photos, folder, theirs), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        yield dict(zip(("http", "https"), ours.recv(), strict=True)), process.pid
    finally:
        process.terminate()
        process.join()


# --- the three -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Task:
    """What one run is to do."""

    scheme: str
    port: int
    form: str
    images: int
    cores: int
    out: Path
    daft: Path | None


def timed(command: list[str], environment: dict[str, str], log: Path, cores: int = CORES) -> tuple[float, float]:
    """Run a command on so many cores; return its seconds, and those of the processors, its children's included."""
    start = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores])), *command],
            env=environment, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} failed; see {log}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime


def ours(folder: Path, task: Task) -> tuple[float, float]:
    """Run `pmd fetch` on a new ROOT whose images are known; return seconds, and the processor's."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    url = f"{task.scheme}://localhost:{task.port}"
    rows = (f"{url}/{i}.jpg\ta photo of a street, number {i}\n" for i in range(task.images))
    (folder / "cc12m.tsv").write_text("".join(rows))
    (folder / "config.toml").write_text(
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:bench@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f'[fetch]\nstore = "{task.form}"\nshort_side_px = {SIDE_PX}\njpeg_quality = {QUALITY}\nlanes = {task.cores}\n'
        f'allow_addresses = ["127.0.0.1/32"]\nca_file = "{task.out}/ca.pem"\n'
        "per_host = { requests_per_s = 1000000.0, connections = 64 }\n"
    )
    root.create(f"{folder}/root", SHARD_BITS)
    command = [sys.executable, "-m", "pmd"]
    for stage in ("curate", "images"):
        timed([*command, stage, f"{folder}/config.toml"], dict(os.environ), folder / "log.txt")
    found = timed([*command, "fetch", f"{folder}/config.toml"], dict(os.environ), folder / "log.txt", task.cores)
    commits = [json.loads(path.read_text()) for path in folder.glob("root/fetch/ledger/*/*/_stage.json")]
    kept = sum(commit["sources"]["conceptual_12m"]["kept"] for commit in commits)
    if kept != task.images:
        raise SystemExit(f"{kept} of {task.images} images kept: see {folder}")
    return found


def img2dataset(folder: Path, task: Task) -> tuple[float, float]:
    """Run img2dataset; return seconds, and the processor's."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    url = f"{task.scheme}://localhost:{task.port}"
    (folder / "urls.txt").write_text("".join(f"{url}/{i}.jpg\n" for i in range(task.images)))
    (folder / "peer.py").write_text(PEER)
    options = {
        "url_list": f"{folder}/urls.txt",
        "output_folder": f"{folder}/out",
        "processes_count": task.cores,
        "thread_count": 32,
        "image_size": SIDE_PX,
        "resize_mode": "keep_ratio",
        "resize_only_if_bigger": True,
        "encode_quality": QUALITY,
        "disable_all_reencoding": task.form == "original",
        "output_format": "webdataset",
        "input_format": "txt",
        "number_sample_per_shard": -(-task.images // 2**SHARD_BITS),
        "enable_wandb": False,
    }
    environment = {
        **os.environ,
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "WANDB_MODE": "disabled",
        "SSL_CERT_FILE": f"{task.out}/ca.pem",
    }
    command = [sys.executable, f"{folder}/peer.py", json.dumps(options)]
    found = timed(command, environment, folder / "log.txt", task.cores)
    shards = [json.loads(path.read_text()) for path in folder.glob("out/*_stats.json")]
    kept = sum(shard["successes"] for shard in shards)
    if kept != task.images:
        raise SystemExit(f"img2dataset kept {kept} of {task.images} images: see {folder}")
    return found


DAFT = """
import json, sys, daft
url, images, out, = sys.argv[1], int(sys.argv[2]), sys.argv[3]
rows = daft.from_pydict({"url": [f"{url}/{i}.jpg" for i in range(images)]})
rows = rows.with_column("image", daft.col("url").download(max_connections=64, on_error="null"))
rows.write_parquet(out)
kept = daft.read_parquet(out + "/*.parquet").where(daft.col("image").not_null()).count_rows()
assert kept == images, kept
"""


def daft(folder: Path, task: Task) -> tuple[float, float]:
    """Run Daft; return seconds, and the processor's."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "peer.py").write_text(DAFT)
    environment = {
        **os.environ,
        "SSL_CERT_FILE": f"{task.out}/ca.pem",
        "DAFT_ANALYTICS_ENABLED": "0",
        "DAFT_PROGRESS_BAR": "0",
    }
    if task.daft is not None:
        environment["PYTHONPATH"] = str(task.daft)
    url = f"{task.scheme}://localhost:{task.port}"
    command = [sys.executable, f"{folder}/peer.py", url, str(task.images), f"{folder}/out"]
    return timed(command, environment, folder / "log.txt", task.cores)


# --- the limit and the quality ---------------------------------------------------------------------------------------


def code(photos: list[bytes], count: int, begin: Any, times: Any) -> None:
    """Decode, scale and encode, and nothing else."""
    codec.resized(photos[0], codec.Form(SIDE_PX, QUALITY))
    begin.wait()
    started = time.time()
    for i in range(count):
        codec.resized(photos[i % len(photos)], codec.Form(SIDE_PX, QUALITY))
    times.put((started, time.time()))


def limit(photos: list[bytes], count: int) -> float:
    """Return images per second of the codec alone, one process a core."""
    spawn = multiprocessing.get_context("spawn")
    begin, times = spawn.Barrier(CORES), spawn.Queue()
    each = count // CORES
    processes = [spawn.Process(target=code, args=(photos, each, begin, times)) for _ in range(CORES)]
    for process in processes:
        process.start()
    found = [times.get() for _ in processes]
    for process in processes:
        process.join()
    return each * CORES / (max(end for _, end in found) - min(start for start, _ in found))


def stored_by_us(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of what we stored."""
    import pyarrow.parquet as pq

    for path in folder.glob("root/fetch/ledger/*/*/ledger*.parquet"):
        for row in pq.read_table(path, columns=["location", "store_file", "offset", "length"]).to_pylist():
            with (folder / "root" / row["store_file"]).open("rb") as file:
                file.seek(row["offset"])
                yield number_of(row["location"]), file.read(row["length"])


def stored_by_them(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of what img2dataset stored."""
    for path in folder.glob("out/*.tar"):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
        for name, content in members.items():
            if name.endswith(".json"):
                yield number_of(json.loads(content)["url"]), members[name.replace(".json", ".jpg")]


def number_of(url: str) -> int:
    return int(url.rpartition("/")[2].partition(".")[0])


def quality_of(stored: Iterator[tuple[int, bytes]], photos: list[bytes]) -> float:
    """Return the mean SSIM of what was stored against the exact mean by area of a full decoding; each photo once."""
    scores = []
    for number, content in stored:
        if number < len(photos):
            kept, full = (Image.open(io.BytesIO(data)).convert("RGB") for data in (content, photos[number]))
            scores.append(ssim(luma(np.asarray(kept)), luma(averaged_by_area(np.asarray(full), kept.size))))
    return statistics.fmean(scores)


def averaged_by_area(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    def weights(before: int, after: int) -> np.ndarray:
        edges, at = np.linspace(0, before, after + 1), np.arange(before)
        covered = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
        return covered.clip(0) * after / before

    by_row = np.tensordot(weights(pixels.shape[0], size[1]), pixels, (1, 0))
    return np.rint(np.tensordot(weights(pixels.shape[1], size[0]), by_row, (1, 1)).swapaxes(0, 1))


def luma(pixels: np.ndarray) -> np.ndarray:
    return pixels @ np.array([0.299, 0.587, 0.114])


def ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean SSIM over windows of 8 x 8 (Wang et al. 2004, with uniform windows)."""

    def mean(values: np.ndarray) -> np.ndarray:
        summed = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        return (summed[8:, 8:] - summed[:-8, 8:] - summed[8:, :-8] + summed[:-8, :-8]) / 64

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


# --- all of it -------------------------------------------------------------------------------------------------------


def has_daft(folder: Path | None) -> bool:
    """Return whether Daft can be run."""
    environment = {**os.environ, **({"PYTHONPATH": str(folder)} if folder is not None else {})}
    return not subprocess.run(
        [sys.executable, "-c", "import daft"], env=environment, capture_output=True, check=False
    ).returncode


def slope(sizes: list[int], values: list[float]) -> tuple[float, float]:
    """Return what one more image takes, and what none would, by least squares."""
    each, none = np.polyfit(sizes, values, 1)
    return float(each), float(none)


def process_seconds(pid: int) -> float:
    """Return the processor's time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(run: Runner, name: str, sizes: list[int], task: Task, server: int) -> dict[str, float]:
    """Run one of the three with every size; return its figures."""
    seconds, processor, served_s = [], [], []
    for images in sizes:
        before = process_seconds(server)
        took, cpu = run(task.out / name, dataclasses.replace(task, images=images))
        seconds.append(took)
        processor.append(cpu)
        served_s.append(process_seconds(server) - before)
    (each_s, start_s), (cpu_s, start_cpu_s), (server_s, _) = (
        slope(sizes, found) for found in (seconds, processor, served_s)
    )
    return {
        "images_per_s": 1 / each_s,
        "images_per_s_alone": 1 / max(1e-9, each_s - server_s / task.cores),
        "cpu_ms": cpu_s * 1e3,
        "server_ms": server_s * 1e3,
        "start_s": start_s,
        "start_cpu_s": start_cpu_s,
        "whole": sizes[-1] / seconds[-1],
    }


def measure(photos: list[bytes], ports: dict[str, int], server: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the pairs; return medians of what they gave and of their ratios."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    limits: list[float] = []
    quality: dict[str, float] = {}
    runs = runners(arguments)
    for pair, cores, case in itertools.product(range(arguments.pairs), arguments.cores, arguments.cases):
        scheme, form = CASES[case]
        task = Task(scheme, ports[scheme], form, 0, cores, arguments.out, arguments.daft)
        name = f"{case}, {cores} cores"
        for who, run in runs[case].items():
            figures = one(run, who, arguments.sizes, task, server)
            found.setdefault(name, {}).setdefault(who, []).append(figures)
            told = {key: round(value, 2) for key, value in figures.items()}
            print(f"pair {pair + 1}, {name}, {who}:", told, flush=True)
        if case == "http_resize":
            limits.append(limit(photos, 1600))
            if not quality:
                quality["pmd"] = quality_of(stored_by_us(arguments.out / "pmd"), photos)
                quality["img2dataset"] = quality_of(stored_by_them(arguments.out / "img2dataset"), photos)
    return {
        "cases": {name: medians(by) for name, by in found.items()},
        "limit_images_per_s": round(statistics.median(limits)) if limits else None,
        "ssim": {who: round(value, 4) for who, value in quality.items()},
        "photo_bytes": round(statistics.fmean(map(len, photos))),
        "sizes": arguments.sizes,
        "pairs": arguments.pairs,
    }


def runners(arguments: argparse.Namespace) -> dict[str, dict[str, Runner]]:
    """Return who takes part, by case: Daft trusts no authority of ours (tried: SSL_CERT_FILE), so it has no HTTPS."""
    found: dict[str, dict[str, Runner]] = {case: {"pmd": ours, "img2dataset": img2dataset} for case in CASES}
    if has_daft(arguments.daft):
        found["http_pass"]["daft"] = daft
    else:
        print("Daft is not there: pip install daft, or pip install --target FOLDER daft and --daft FOLDER")
    return found


def medians(by: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return the medians of all runs of a case, and those of the ratios of the runs of a pair."""
    found: dict[str, Any] = {}
    for who, pairs in by.items():
        if who != "pmd":
            ratios = (
                mine["images_per_s"] / other["images_per_s"] for mine, other in zip(by["pmd"], pairs, strict=True)
            )
            found[f"pmd ÷ {who}"] = round(statistics.median(ratios), 2)
        found[who] = {key: round(statistics.median(pair[key] for pair in pairs), 2) for key in pairs[0]}
    return found


Runner = Callable[[Path, Task], tuple[float, float]]


def main() -> None:
    """Serve, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[600, 2400, 4800])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cores", type=int, nargs="+", default=[CORES])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument(
        "--daft", type=Path, help="the folder in which Daft is installed, if it is not in this environment"
    )
    parser.add_argument("--photos", type=Path, default=Path("../shared/samples/coco"))
    parser.add_argument(
        "--as-published", action="store_true", help="serve the photographs with the bytes that they have"
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/fetch"))
    arguments = parser.parse_args()
    if len(arguments.sizes) < 2:
        parser.error("--sizes: two or more, so that starting is told apart")
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.out = arguments.out.resolve()
    arguments.daft = arguments.daft and arguments.daft.resolve()
    write_certificates(arguments.out)
    photos = load_photos(arguments.photos, as_published=arguments.as_published)
    with served(photos, arguments.out) as (ports, server):
        print(json.dumps(measure(photos, ports, server, arguments)))


if __name__ == "__main__":
    main()
