"""Fetch pictures that lie on a host of their own each: what a host costs, and whether the rate stays to the end.

    python benchmarks/many_hosts.py [--hosts 12000] [--lanes 2] [--names] [--out FOLDER]

Of each host robots.txt and tdmrep.json are asked first, which it has; then one picture of 7 kB: three requests and a new
connection a picture. One loopback server, in a process of its own, answers for all hosts (`[fetch] resolve`), so that no name
is asked of a name server. With `--names` every name is resolved, as on the web, by what stands for the system's resolver in
all processes. Told are pictures a second, processor time a picture of `pmd fetch` with all that it started, the
memory of its largest process, the most files that one of its processes had open, and of each tenth of the time how many pictures
the server gave, and the processor time that one took of `pmd fetch`, and of the server. All pictures must arrive, and each host
must be asked three times, or the run fails. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from fetch import encoded, process_seconds
from PIL import Image

from benchmarks.scaling.measuring import Watch, cost, tree
from pmd.store import root

_PICTURES: Final = 64
_TENTHS: Final = 10
#: So that a fetch shard has about as many images as one of PMD's.
_IMAGES_A_SHARD: Final = 2136


def _reply(body: bytes, kind: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _pictures() -> list[bytes]:
    """Return answers with JPEGs of about 7 kB."""
    found = []
    for seed in range(_PICTURES):
        chance = np.random.default_rng(seed)
        small = Image.fromarray(chance.integers(0, 255, (15, 20, 3), dtype=np.uint8))
        found.append(_reply(encoded(small.resize((320, 240), Image.Resampling.BICUBIC), 90), "image/jpeg"))
    return found


class _Host(asyncio.Protocol):
    """Answers for every host; counts by what is asked, and notes when pictures go."""

    counts: Final[Counter[str]] = Counter()
    times: Final[list[float]] = []
    small: Final = {
        b"/robots.txt": _reply(b"User-agent: *\nDisallow: /private/\n", "text/plain"),
        b"/.well-known/tdmrep.json": _reply(b'[{"location": "/private/*", "tdm-reservation": 1}]', "application/json"),
    }

    def __init__(self, pictures: Sequence[bytes]) -> None:
        self._pictures, self._left = pictures, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            path = self._left[:end].split(b" ", 2)[1]
            self._left = self._left[end + 4 :]
            reply = self.small.get(path)
            if reply is None:
                reply = self._pictures[int(path[1:].partition(b".")[0]) % _PICTURES]
                self.times.append(time.monotonic())
            self.counts["picture" if path not in self.small else path.decode()] += 1
            self._transport.write(reply)  # type: ignore[attr-defined]


def _serve(pipe: Any) -> None:
    """Serve until asked for the figures, which are sent."""

    async def run() -> None:
        host = functools.partial(_Host, _pictures())
        server = await asyncio.get_running_loop().create_server(host, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)
        pipe.send((dict(_Host.counts), _Host.times))

    asyncio.run(run())


@contextlib.contextmanager
def served() -> Iterator[tuple[int, Any, int]]:
    """Run the server; yield its port, the pipe on which it tells its figures when anything is sent, and its process."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        assert process.pid is not None
        yield ours.recv(), ours, process.pid
    finally:
        process.terminate()
        process.join()


class Lanes(Watch):
    """Looks at the processes that descend from this one: how many files each has open, and what all took of the processor."""

    def __init__(self, server: int) -> None:
        super().__init__()
        self.open_files = 0
        self.used: list[
            tuple[float, float, float]
        ] = []  # when, and seconds of the processor until then: of theirs, of the server
        self._server = server
        self._others = {os.getpid(), *(child.pid for child in multiprocessing.active_children())}

    def look(self) -> None:
        """Look once."""
        theirs = 0.0
        for pid in {*tree(os.getpid())} - self._others:
            with contextlib.suppress(OSError):  # it has ended
                theirs += process_seconds(pid)
                self.open_files = max(self.open_files, len(os.listdir(f"/proc/{pid}/fd")))
        self.used.append((time.monotonic(), theirs, process_seconds(self._server)))

    def between(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the seconds of the processor from each edge to the next: of theirs, and of the server."""
        when, theirs, server = zip(*self.used, strict=True)
        return np.diff(np.interp(edges, when, theirs)), np.diff(np.interp(edges, when, server))


#: Run by each process as it starts: any name of an example is this machine.
_RESOLVES: Final = """
import socket
asked = socket.getaddrinfo
def answered(host, port, *more, **others):
    return asked("127.0.0.1" if str(host).endswith(".example") else host, port, *more, **others)
socket.getaddrinfo = answered
"""


def configured(folder: Path, hosts: int, lanes: int, port: int, *, names: bool) -> Path:
    """Write annotations with a host a row, and a configuration."""
    end = f":{port}" if names else ""
    with (folder / "cc12m.tsv").open("w") as file:
        file.writelines(
            f"http://host{at}.example{end}/{at}.jpg\ta photo of a street, number {at}\n" for at in range(hosts)
        )
    chosen = folder / "pmd.toml"
    chosen.write_text(
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:benchmarks@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f'[fetch]\nstore = "original"\nlanes = {lanes}\nallow_addresses = ["127.0.0.1/32"]\n'
        + ("" if names else f'resolve = {{ "*:80" = "127.0.0.1:{port}" }}\n')
    )
    (folder / "sitecustomize.py").write_text(_RESOLVES if names else "")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    root.create(f"{folder}/root", max((hosts // _IMAGES_A_SHARD).bit_length(), 1))
    return chosen


def measure(hosts: int, lanes: int, folder: Path, *, names: bool) -> dict[str, Any]:
    """Fetch from so many hosts; return what it took."""
    with served() as (port, pipe, server):
        command = [sys.executable, "-m", "pmd"]
        chosen = str(configured(folder, hosts, lanes, port, names=names))
        for stage in ("curate", "images"):
            subprocess.run([*command, stage, chosen], check=True, stdout=subprocess.DEVNULL)
        with Lanes(server) as seen:
            took = cost([*command, "fetch", chosen])
        pipe.send(None)
        counts, times = pipe.recv()
    kept = sum(
        json.loads(path.read_text())["sources"]["conceptual_12m"]["kept"]
        for path in folder.glob("root/fetch/ledger/*/*/_stage.json")
    )
    if kept != hosts or {*counts.values()} != {hosts} or len(counts) != 1 + len(_Host.small):
        raise SystemExit(f"{kept} pictures of {hosts} hosts, which were asked for {counts}")
    first, last = min(times), max(times)
    by_tenth, edges = np.histogram(times, _TENTHS, (first, last))
    theirs, own = (np.round(each / by_tenth * 1000, 2).tolist() for each in seen.between(edges))
    return {
        "hosts": hosts,
        "lanes": lanes,
        "names": names,
        "seconds": round(took.seconds, 1),
        "images_per_s": round(hosts / took.seconds, 1),
        "images_per_s_between": round((hosts - 1) / (last - first), 1),
        "processor_ms": round(took.processor_s / hosts * 1000, 2),
        "largest_mb": took.peak_bytes // 2**20,
        "open_files": seen.open_files,
        "by_tenth": by_tenth.tolist(),
        "processor_ms_by_tenth": theirs,
        "server_ms_by_tenth": own,
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=12_000)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--names", action="store_true", help="have every name resolved")
    parser.add_argument("--out", type=Path, help="a folder to work in; by default a temporary one")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pmd-hosts-", dir=chosen.out))
    found = measure(chosen.hosts, chosen.lanes, folder, names=chosen.names)
    shutil.rmtree(folder)
    print(json.dumps({"benchmark": "many_hosts", **found}))


if __name__ == "__main__":
    main()
