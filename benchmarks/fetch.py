"""Fetch the same photographs with `pmd fetch` and with img2dataset, in turns: images per second and what they look like.

    python benchmarks/fetch.py [--images 1600] [--pairs 5] [--lanes 2] [--photos FOLDER] [--as-published] [--out FOLDER]

One loopback server, in a process of its own, answers both over HTTP/1.1 and over TLS, on the cores that both run on:
COCO's photographs under distinct URLs, or generated ones where there are none. As published they have 162 kB; they are
encoded anew first, at the quality that comes nearest to the 77 kB that photographs on the web have on average (86), unless
`--as-published`. Each pair of runs does the same work: short side 256 at quality 95, or bytes as they came. Both are started
as a person would start them; *steady* is from the first shard's start to the last one's end, as each writes down itself,
and *whole* is the process from start to end. The limit is decoding, scaling and encoding alone, by one process a core.

Passing bytes through is not the same work: we decode each image nevertheless, to know that it is one and for its
perceptual hash; img2dataset stores what came.

img2dataset has as many processes as there are cores and 32 threads in each, robots headers checked as by default, no
retries, certificates checked, wandb and albumentations' search for updates off. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import io
import ipaddress
import json
import multiprocessing
import os
import resource
import shutil
import ssl
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
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
STARTING = 100  # images of the runs that tell what starting takes
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
def served(photos: list[bytes], folder: Path) -> Iterator[dict[str, int]]:
    """Run the server; yield the port of each scheme."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(photos, folder, theirs), daemon=True)
    process.start()
    try:
        yield dict(zip(("http", "https"), ours.recv(), strict=True))
    finally:
        process.terminate()
        process.join()


# --- the two ---------------------------------------------------------------------------------------------------------


def timed(command: list[str], environment: dict[str, str], log: Path) -> tuple[float, float]:
    """Run a command; return its seconds, and those of the processors, its children's included."""
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("wb") as file:
        code = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise SystemExit(f"{command[:4]} failed; see {log}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(folder: Path, scheme: str, port: int, form: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run `pmd fetch` on a new ROOT whose images are known; return images per second, and processor time an image."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = (f"{scheme}://localhost:{port}/{i}.jpg\ta photo of a street, number {i}\n" for i in range(arguments.images))
    (folder / "cc12m.tsv").write_text("".join(rows))
    (folder / "config.toml").write_text(
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:bench@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f'[fetch]\nstore = "{form}"\nshort_side_px = {SIDE_PX}\njpeg_quality = {QUALITY}\nlanes = {arguments.lanes}\n'
        f'allow_addresses = ["127.0.0.1/32"]\nca_file = "{arguments.out.resolve()}/ca.pem"\n'
        "per_host = { requests_per_s = 1000000.0, connections = 64 }\n"
    )
    root.create(f"{folder}/root", SHARD_BITS)
    command = [sys.executable, "-m", "pmd"]
    for stage in ("curate", "images"):
        timed([*command, stage, f"{folder}/config.toml"], dict(os.environ), folder / "log.txt")
    seconds, cpu = timed([*command, "fetch", f"{folder}/config.toml"], dict(os.environ), folder / "log.txt")
    commits = [json.loads(path.read_text()) for path in folder.glob("root/fetch/ledger/*/*/_stage.json")]
    kept = sum(commit["sources"]["conceptual_12m"]["kept"] for commit in commits)
    if kept != arguments.images:
        raise SystemExit(f"{kept} of {arguments.images} images kept: see {folder}")
    times = [[datetime.datetime.fromisoformat(commit["run"][at]) for commit in commits] for at in ("started", "ended")]
    return {
        "steady": kept / (max(times[1]) - min(times[0])).total_seconds(),
        "whole": kept / seconds,
        "cpu_s": cpu,
    }


def theirs(folder: Path, scheme: str, port: int, form: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Run img2dataset; return images per second, and processor time an image."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "urls.txt").write_text("".join(f"{scheme}://localhost:{port}/{i}.jpg\n" for i in range(arguments.images)))
    (folder / "peer.py").write_text(PEER)
    options = {
        "url_list": f"{folder}/urls.txt",
        "output_folder": f"{folder}/out",
        "processes_count": CORES,
        "thread_count": 32,
        "image_size": SIDE_PX,
        "resize_mode": "keep_ratio",
        "resize_only_if_bigger": True,
        "encode_quality": QUALITY,
        "disable_all_reencoding": form == "original",
        "output_format": "webdataset",
        "input_format": "txt",
        "number_sample_per_shard": -(-arguments.images // 2**SHARD_BITS),
        "enable_wandb": False,
    }
    environment = {
        **os.environ,
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "WANDB_MODE": "disabled",
        "SSL_CERT_FILE": f"{arguments.out.resolve()}/ca.pem",
    }
    seconds, cpu = timed([sys.executable, f"{folder}/peer.py", json.dumps(options)], environment, folder / "log.txt")
    shards = [json.loads(path.read_text()) for path in folder.glob("out/*_stats.json")]
    kept = sum(shard["successes"] for shard in shards)
    if kept != arguments.images:
        raise SystemExit(f"img2dataset kept {kept} of {arguments.images} images: see {folder}")
    steady = max(shard["end_time"] for shard in shards) - min(shard["start_time"] for shard in shards)
    return {"steady": kept / steady, "whole": kept / seconds, "cpu_s": cpu}


# --- the limit and the quality ---------------------------------------------------------------------------------------


def code(photos: list[bytes], count: int, begin: Any, times: Any) -> None:
    """Decode, scale and encode, and nothing else."""
    codec.resized(photos[0], SIDE_PX, QUALITY)
    begin.wait()
    started = time.time()
    for i in range(count):
        codec.resized(photos[i % len(photos)], SIDE_PX, QUALITY)
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


def measure(photos: list[bytes], ports: dict[str, int], arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the pairs; return medians of what they gave and of their ratios."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    shares, quality = [], {}
    few = argparse.Namespace(**{**vars(arguments), "images": STARTING})
    starting = {
        name: [run(arguments.out / "starting", scheme, ports[scheme], form, few)["cpu_s"] for run in (ours, theirs)]
        for name, (scheme, form) in CASES.items()
    }
    for run in range(arguments.pairs):
        for name, (scheme, form) in CASES.items():
            mine = ours(arguments.out / "ours", scheme, ports[scheme], form, arguments)
            peer = theirs(arguments.out / "theirs", scheme, ports[scheme], form, arguments)
            pair = {
                "ours": mine["steady"],
                "theirs": peer["steady"],
                "ratio": mine["steady"] / peer["steady"],
                "whole_ratio": mine["whole"] / peer["whole"],
                "our_cpu_ms": (mine["cpu_s"] - starting[name][0]) / (arguments.images - STARTING) * 1e3,
                "their_cpu_ms": (peer["cpu_s"] - starting[name][1]) / (arguments.images - STARTING) * 1e3,
            }
            pair["cpu_ratio"] = pair["their_cpu_ms"] / pair["our_cpu_ms"]
            if name == "http_resize":
                alone = limit(photos, arguments.images)
                shares.append(mine["steady"] / alone)
                pair["limit"] = alone
                if not quality:
                    quality["ours"] = quality_of(stored_by_us(arguments.out / "ours"), photos)
                    quality["theirs"] = quality_of(stored_by_them(arguments.out / "theirs"), photos)
            print(f"pair {run + 1}, {name}:", {key: round(value, 2) for key, value in pair.items()}, flush=True)
            found[name].append(pair)

    def medians(key: str) -> dict[str, float]:
        return {name: round(statistics.median(pair[key] for pair in pairs), 2) for name, pairs in found.items()}

    return {
        "ratios": medians("ratio"),
        "whole_ratios": medians("whole_ratio"),
        "cpu_ratios": medians("cpu_ratio"),
        "cpu_ms": medians("our_cpu_ms"),
        "peer_cpu_ms": medians("their_cpu_ms"),
        "images_per_s": medians("ours"),
        "peer_images_per_s": medians("theirs"),
        "limit_images_per_s": round(statistics.median(pair["limit"] for pair in found["http_resize"])),
        "limit_share": round(statistics.median(shares), 2),
        "ssim": {who: round(value, 4) for who, value in quality.items()},
        "photo_bytes": round(statistics.fmean(len(photo) for photo in photos)),
        "images": arguments.images,
        "pairs": arguments.pairs,
        "cores": CORES,
    }


def main() -> None:
    """Serve, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1600)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--lanes", type=int, default=CORES)
    parser.add_argument("--photos", type=Path, default=Path("../shared/samples/coco"))
    parser.add_argument(
        "--as-published", action="store_true", help="serve the photographs with the bytes that they have"
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench/fetch"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.out = arguments.out.resolve()
    write_certificates(arguments.out)
    photos = load_photos(arguments.photos, as_published=arguments.as_published)
    with served(photos, arguments.out) as ports:
        print(json.dumps(measure(photos, ports, arguments)))


if __name__ == "__main__":
    main()
