"""Give a lane tens of thousands of odd answers: none ends the run, every image has its status, what browsers show is kept.

    python benchmarks/answers.py [--count 50000] [--seed 0] [--start 0] [--only NUMBER] [--chromium 500]

The answers (`benchmarks/answering.py`) come from a web on loopback, in a process of its own, each from a host of its own; a fifth
of the hosts have a robots.txt and a tdmrep.json that say something too. They go through `Lane.fetch`, as in a run. Checked:

- no run ends, and every image ends with one of the statuses;
- all that is kept of an attempt goes into Arrow and JSON;
- what robots.txt or TDMRep forbids is `opted_out`;
- a picture that a browser would show is `ok`, with the digest of its bytes, in 99.9 % of cases; none has another's.

`--chromium N` asks headless Chromium for the first N instead (of the seed, without policies), to see whether the grammar's own
notion of "a browser would show it" holds. Prints a table of what is odd, and as its last line JSON; exits with 1 where a check
fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson
import pyarrow as pa

from benchmarks import answering
from pmd.config.options import FetchOptions, PerHost
from pmd.fetch import outcome
from pmd.fetch.lane.engine import Lane
from pmd.fetch.outcome import Fetched
from pmd.fetch.politeness.hosts import Patience
from pmd.schema import keys
from pmd.schema.statuses import OK, STATUSES
from pmd.schema.tables import IMAGES

#: Share of the pictures that a browser would show which must end `ok`.
SHOWN: Final = 0.999
#: One host in so many says something in robots.txt and tdmrep.json.
WITH_POLICIES: Final = 5
#: Images that one lane is given.
AT_ONCE: Final = 2500


def images(numbers: Iterable[int]) -> pa.Table:
    """Return the images that the answers are."""
    rows = [
        {
            "image_id": keys.image_id(str(number)),
            "identity": str(number),
            "locations": [{"kind": "original", "url": f"http://h{number}.test/x"}],
            "sources": ["coco"],
            "has_region": False,
            "fetch_shard": 0,
        }
        for number in numbers
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["image_id"]), schema=IMAGES)  # type: ignore[arg-type,return-value]


def options(port: int, *, policies: bool) -> FetchOptions:
    """Return a run's options, with all hosts on loopback, and less patience."""
    return FetchOptions(
        per_host=PerHost(requests_per_s=10_000, connections=8),
        retries=0,
        timeout_s=5.0,
        robots=policies,
        tdmrep=policies,
        allow_addresses=("127.0.0.1/32",),
        resolve={"*:80": f"127.0.0.1:{port}"},
    )


class Tally:
    """What came of the answers.

    Args:
        seed: Of the answers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.counts: Counter[str] = Counter()
        self.parts: dict[str, Counter[str]] = defaultdict(Counter)
        self.failures: dict[str, list[int]] = defaultdict(list)

    def add(self, number: int, answer: answering.Answer, fetched: Fetched) -> None:
        """Count an image."""
        self.counts["images"] += 1
        if fetched.status not in STATUSES:
            self._failed("without_a_status", number, fetched)
        try:
            orjson.dumps(outcome.attempts_table(fetched.attempts).drop(["image_id"]).to_pylist())
        except (pa.ArrowException, UnicodeError, TypeError):
            self._failed("not_storable", number, fetched)
        good = fetched.status == OK
        right = good and answer.picture is not None and fetched.sha256 == hashlib.sha256(answer.picture).digest()
        if answer.denied and fetched.status != "opted_out":
            self._failed("denied_and_asked", number, fetched)
        if good and answer.picture is not None and not right:
            self._failed("another_picture", number, fetched)
        if good and answer.picture is None:
            self.counts["ok_though_unsound"] += 1
        self.counts["denied"] += answer.denied
        self.counts["shown"] += answer.shown
        self.counts["shown_and_right"] += answer.shown and right
        self.counts["right_though_not_shown"] += right and not answer.shown
        if answer.shown and not right:
            self._failed("shown_and_lost", number, fetched)
        for part in answer.parts or ("plain",):
            self.parts[part].update(
                {"answers": 1, "shown": answer.shown, "right": answer.shown and right, fetched.status: 1}
            )

    def _failed(self, what: str, number: int, fetched: Fetched) -> None:
        self.counts[what] += 1
        error = (fetched.attempts[-1].error if fetched.attempts else None) or ""
        self.failures[f"{what}, {fetched.status}: {error.splitlines()[0][:80] if error else ''}"].append(number)

    @property
    def share(self) -> float:
        """Return the share of the pictures a browser would show that are kept."""
        return self.counts["shown_and_right"] / max(1, self.counts["shown"])

    @property
    def holds(self) -> bool:
        """Return whether all checks hold."""
        bad = ("runs_ended", "without_a_status", "not_storable", "denied_and_asked", "another_picture")
        return self.share >= SHOWN and not any(self.counts[name] for name in bad)


def drive(seed: int, numbers: Sequence[int], port: int, tally: Tally, *, policies: bool) -> None:
    """Fetch some answers, and count what came of them."""
    table = images(numbers)
    names = dict(zip(table["image_id"].to_pylist(), map(int, table["identity"].to_pylist()), strict=True))
    left = set(numbers)
    try:
        with Lane(
            options(port, policies=policies), contact="mailto:t@example.org", patience=Patience(0.01, 5.0, 100, 60.0)
        ) as lane:
            for fetched in lane.fetch(table):
                number = names[fetched.image_id]
                left.remove(number)
                tally.add(number, answering.make(seed, number, policies=policies), fetched)
    except Exception as error:  # noqa: BLE001  that is what is looked for
        tally.counts["runs_ended"] += 1
        tally.failures[f"run ended: {error!r}"] += left
    else:
        tally.counts["without_a_status"] += len(left)


def _serve(seed: int, policies: bool, told: Connection) -> None:
    with answering.Web(seed, policies=policies) as web:
        told.send(web.port)
        told.recv()


@contextmanager
def served(seed: int, *, policies: bool) -> Iterator[int]:
    """Yield the port of a web of the answers, in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(seed, policies, there))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send(None)
        process.join()


def has_policies(number: int) -> bool:
    """Return whether a host says something in robots.txt and tdmrep.json."""
    return number % WITH_POLICIES == 0


def run(seed: int, numbers: Sequence[int]) -> Tally:
    """Fetch the answers of some numbers."""
    tally = Tally(seed)
    begun = time.monotonic()
    with served(seed, policies=False) as plain, served(seed, policies=True) as ruled:
        for at in range(0, len(numbers), AT_ONCE):
            chosen = numbers[at : at + AT_ONCE]
            for policies, port in ((False, plain), (True, ruled)):
                some = [number for number in chosen if has_policies(number) == policies]
                if some:
                    drive(seed, some, port, tally, policies=policies)
            done = tally.counts["images"]
            print(
                f"{done:,} of {len(numbers):,}, {done / (time.monotonic() - begun):.0f}/s, {tally.share:.4%} kept",
                flush=True,
            )
    return tally


def told(tally: Tally) -> None:
    """Print the table of what is odd, and what failed."""
    print(f"{'what is odd':34} {'answers':>8} {'shown':>8} {'kept':>8}  statuses")
    for part, counts in sorted(tally.parts.items()):
        statuses = ", ".join(f"{name} {count}" for name, count in counts.most_common() if name in STATUSES)
        print(f"{part:34} {counts['answers']:8} {counts['shown']:8} {counts['right']:8}  {statuses}")
    for what, numbers in sorted(tally.failures.items(), key=lambda item: -len(item[1])):
        print(f"{len(numbers):6} x {what} (such as {', '.join(map(str, numbers[:3]))})")


# --- what a browser shows --------------------------------------------------------------------------------------------


def in_chromium(seed: int, count: int, limit_s: float) -> dict[str, Any]:
    """Return how often headless Chromium shows what the grammar says that a browser would.

    Raises:
        SystemExit: There is no Chromium, or it did not come to the end.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("no chromium: install it, such as with apt-get install chromium")
    with answering.Web(seed) as web, tempfile.TemporaryDirectory() as profile:
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}",
            f"--host-resolver-rules=MAP *.test 127.0.0.1:{web.port}, MAP * ~NOTFOUND", "--disable-background-networking",
            "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable", "--no-proxy-server", f"http://page.test/0-{count}",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        came = web.told.wait(limit_s)
        process.terminate()
        process.wait()
        if not came:
            raise SystemExit(f"chromium told nothing in {limit_s:g} s")
        return _compared(seed, web.results)


def _compared(seed: int, shown: dict[int, bool]) -> dict[str, Any]:
    agree: Counter[bool] = Counter()
    parts: dict[str, Counter[str]] = defaultdict(Counter)
    for number, there in sorted(shown.items()):
        answer = answering.make(seed, number)
        # What is no sound picture may be shown in part, and that of an error as well: neither is kept, so neither is compared.
        if answer.picture is None or answer.refused:
            continue
        agree[there == answer.shown] += 1
        if there != answer.shown:
            print(f"{number}: {', '.join(answer.parts)}: the grammar says {answer.shown}, Chromium {there}")
        for part in answer.parts:
            parts[part].update({"answers": 1, "agree": there == answer.shown})
    print(*(f"{part}: {counts['agree']} of {counts['answers']}" for part, counts in sorted(parts.items())), sep="\n")
    return {"chromium": sum(agree.values()), "agree": agree[True], "seed": seed}


def main() -> None:
    """Serve, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the first number, to go on from")
    parser.add_argument("--only", type=int, help="this answer alone: what it says, and what came of it")
    parser.add_argument("--chromium", type=int, metavar="COUNT", help="compare so many with what Chromium shows")
    parser.add_argument("--limit-s", type=float, default=300.0, help="for Chromium")
    arguments = parser.parse_args()
    if arguments.chromium:
        print(json.dumps(in_chromium(arguments.seed, arguments.chromium, arguments.limit_s)))
        return
    first = arguments.start if arguments.only is None else arguments.only
    numbers = range(first, first + (arguments.count if arguments.only is None else 1))
    begun = time.monotonic()
    tally = run(arguments.seed, numbers)
    told(tally)
    if arguments.only is not None:
        print(answering.make(arguments.seed, first, policies=has_policies(first)).said)
    seconds = round(time.monotonic() - begun, 1)
    print(json.dumps({**tally.counts, "share": round(tally.share, 6), "seed": arguments.seed, "seconds": seconds}))
    raise SystemExit(0 if tally.holds else 1)


if __name__ == "__main__":
    main()
