"""A small PMD to be broken: two thousand images in eight fetch shards, and the web that they are on.

Some of its images are gone, some are the same bytes under another URL, some carry regions. It has two *ages*: the second has
more rows and other options, so that each of its stages replaces commits that the first has made.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

SHARD_BITS: Final = 3
#: Requests that a lane has under way, at most.
CONCURRENCY: Final = 16
#: Every so many is gone, and every so many shows what the one before it shows.
_GONE, _SAME = 11, 7
_HOSTS: Final = 5
#: Images with regions.
_REGIONAL: Final = 60
#: Rows that the second age has more.
_MORE: Final = 60
_SIDE_PX: Final = 72
_FOLDER: Final = Path(__file__).resolve().parents[2]


def gone(number: int) -> bool:
    """Return whether an image is not there."""
    return number % _GONE == 0


def picture(number: int) -> bytes:
    """Return an image's bytes."""
    seed = number - 1 if number % _SAME == 0 else number
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass(frozen=True)
class World:
    """The data and the web's log.

    Attributes:
        folder: Where they are.
        images: How many images the first age has.
        port: The web's.
        hosts: On how many hosts the images of Conceptual Captions are, each as many.
    """

    folder: Path
    images: int
    port: int
    hosts: int = _HOSTS

    def config(self, root: Path, age: int, lanes: int = 1, url: str | None = None, requests_per_s: int = 5000) -> Path:
        """Write a configuration beside a ROOT, or for one that is elsewhere (`url`); return its path."""
        data = self.folder / f"age-{age}"
        text = f"""
root = "{url or root}"
contact = "mailto:benchmarks@example.org"
[sources.conceptual_captions]
annotations = ["{data}/GCC-training.tsv"]
[sources.visual_genome]
annotations = ["{data}/image_data.json", "{data}/region_descriptions.json"]
exclude_karpathy = "none"
[fetch]
per_host = {{ requests_per_s = {requests_per_s}, connections = 8 }}
concurrency = {CONCURRENCY}
lanes = {lanes}
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{self.port}" }}
[dedupe]
near = "{("merge", "keep")[age]}"
[shard]
formats = ["webdataset", "parquet"]
samples_per_shard = {(300, 250)[age]}
"""
        path = root.parent / f"{root.name}.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def asked(self, since: int) -> tuple[Counter[str], int]:
        """Return the images asked for since a place in the log, with how often; and the place where it ends."""
        with (self.folder / "web.log").open("rb") as file:
            file.seek(since)
            content = file.read()
        return Counter(line for line in content.decode().split() if line.endswith(".jpg")), since + len(content)

    def times(self, host: int, since: int) -> list[float]:
        """Return when a host of Conceptual Captions was asked for images, by the monotonic clock, in order.

        Args:
            host: Its number.
            since: A place in the log.
        """
        with (self.folder / "web.log").open("rb") as file:
            file.seek(since)
            lines = [line.split() for line in file.read().decode().splitlines()]
        numbers = ((float(at), path.strip("/").removesuffix(".jpg")) for at, path in lines if path.endswith(".jpg"))
        return sorted(at for at, number in numbers if int(number) < self.images and int(number) % self.hosts == host)

    def write(self) -> None:
        """Write the annotation files of both ages."""
        for age in (0, 1):
            data = self.folder / f"age-{age}"
            data.mkdir(parents=True, exist_ok=True)
            count = self.images - _REGIONAL + age * _MORE
            lines = [
                f"picture number {number} of many\thttp://h{number % self.hosts}.test/{number}.jpg"
                for number in range(count)
            ]
            _write(data / "GCC-training.tsv", "\n".join([*lines, "one column only"]) + "\n")
            images, regions = [], []
            for number in range(1, _REGIONAL + 1):
                about = {"image_id": number, "url": f"http://vg.test/{100_000 + number}.jpg"}
                images.append(about | {"width": _SIDE_PX, "height": _SIDE_PX, "coco_id": None, "flickr_id": None})
                places = [(0, 0, _SIDE_PX, _SIDE_PX), (0, 0, 40, 40), (1, 1, 3, 3)]
                regions.append({"id": number, "regions": [_region(number, *each) for each in enumerate(places)]})
            _write(data / "image_data.json", json.dumps(images))
            _write(data / "region_descriptions.json", json.dumps(regions))


def _write(path: Path, text: str) -> None:
    """Write a file where it is not there already: stages know their inputs by size and time."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _region(image: int, number: int, place: tuple[int, int, int, int]) -> dict[str, object]:
    x, y, width, height = place
    about = {"region_id": 10 * image + number, "image_id": image, "phrase": f"part {number} of picture {image}"}
    return about | {"x": x, "y": y, "width": width, "height": height}


@contextlib.contextmanager
def opened(folder: Path, images: int, hosts: int = _HOSTS) -> Iterator[World]:
    """Write the data, and answer for its images, in a process of its own; at the port of the time before, as ROOTs have it."""
    folder.mkdir(parents=True, exist_ok=True)
    log, kept = folder / "web.log", folder / "port"
    log.touch()
    command = [sys.executable, "-m", __name__, str(log), kept.read_text(encoding="utf-8") if kept.exists() else "0"]
    with subprocess.Popen(command, cwd=_FOLDER, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            world = World(folder, images, int(server.stdout.readline()), hosts)
            kept.write_text(str(world.port), encoding="utf-8")
            world.write()
            yield world
        finally:
            server.kill()


class _Answers(asyncio.Protocol):
    """`/N.jpg` is image N; everything else is 404. Each request is a line of the log, with the time, before it is answered."""

    def __init__(self, log: io.FileIO) -> None:
        self._log = log
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head, self._left = self._left[:end], self._left[end + 4 :]
            path = head.split(b" ", 2)[1]
            self._log.write(b"%.3f %s\n" % (time.monotonic(), path))
            name = path.rpartition(b"/")[2].partition(b".")[0].partition(b"_")[0]
            found = name.isdigit() and not gone(int(name))
            body = picture(int(name)) if found else b"gone"
            status, kind = (b"200 OK", b"image/jpeg") if found else (b"404 Not Found", b"text/plain")
            told = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (status, kind, len(body))
            self._transport.write(told + body)


async def _serve(log: str, port: int) -> None:
    with open(log, "ab", buffering=0) as file:
        server = await asyncio.get_running_loop().create_server(lambda: _Answers(file), "127.0.0.1", port)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))
