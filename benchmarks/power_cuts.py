"""Power cuts on a real file system, while the demo is built; and what it costs to outlive them.

    python benchmarks/power_cuts.py [--cuts 24] [--pairs 3]

Needs root, loop devices and mkfs.btrfs: a disk image with ext4 lies on btrfs, whose reflinks copy it at one instant. Such a copy
is what a power cut at that instant leaves: blocks that were written, in whatever order the kernel chose, and nothing else.

1. The demo is built into the image, which is copied every so often. Each copy is mounted, so that ext4 replays its journal, and
   read with pmd's own reader: what a commit lists must be there, whole. Then the build is run to its end on what the cut left:
   the outcome must be that of an undisturbed build, and `pmd verify` must find nothing.
2. The same with a Python whose `os.fsync` does nothing: that this is found out shows that the check can fail.
3. Builds with and without `os.fsync` in turns, on the machine's own disk: the cost, as a ratio of medians.

Prints a table; the last line is JSON; the exit code is 1 where a cut has done harm.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pmd.demo.config import open_web, write_demo
from pmd.errors import PmdError
from pmd.inspection import verify
from pmd.store import commits, lock, root

CHECKOUT = Path(__file__).resolve().parent.parent
IMAGE_BYTES = 400 * 2**20
DISK_BYTES = 4 * 2**30
_FORGETFUL = "import os\nos.fsync = lambda number: None\n"


def run(*words: str) -> None:
    """Run a command of the system."""
    subprocess.run(words, check=True, capture_output=True)


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """Mount a disk image meanwhile."""
    folder.mkdir(exist_ok=True)
    run("mount", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        run("umount", str(folder))


def build(config: Path, *, forgetful: Path | None = None) -> subprocess.Popen[bytes]:
    """Start `pmd build`; with a folder that makes Python forget to synchronise, without."""
    path = os.pathsep.join([*([str(forgetful)] if forgetful is not None else []), str(CHECKOUT)])
    return subprocess.Popen(
        [sys.executable, "-m", "pmd", "build", str(config)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def with_root(config: Path, where: Path, name: str) -> Path:
    """Write the demo's configuration for another ROOT."""
    text = config.read_text(encoding="utf-8")
    lines = [f'root = "{where}"' if line.startswith("root = ") else line for line in text.splitlines()]
    path = config.with_name(name)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def harm(top: Path) -> list[str]:
    """Return what pmd's reader finds wrong in a ROOT."""
    found = []
    for path in sorted(top.rglob(commits.STAGE_FILE)):
        folder = str(path.parent)
        try:
            commit = commits.read(folder)
        except PmdError as error:
            found.append(f"{path.relative_to(top)}: {error.problem}")
            continue
        for file in commit.files if commit is not None else ():
            listed = Path(commits.path_of(folder, file.name))
            content = listed.read_bytes() if listed.exists() else b""
            if hashlib.sha256(content).hexdigest() != file.sha256:
                found.append(f"{listed.relative_to(top)}: {len(content):,} of {file.bytes:,} bytes, or others")
    for read in (root.describe, lock.read):
        try:
            read(str(top))
        except PmdError as error:
            found.append(str(error).splitlines()[0])
    return found


def outcome(top: Path) -> dict[str, object]:
    """Return what must not depend on cuts: files and books of every commit, less those of the fetch, which tell of times."""
    return {
        str(path.parent.relative_to(top)): [
            (file.name, file.sha256) for file in sorted(commit.files, key=lambda file: file.name)
        ]
        for path in top.rglob(commits.STAGE_FILE)
        if (commit := commits.read(str(path.parent))) is not None
        and path.parent.relative_to(top).parts[0] in {"curate", "images", "views"}
    }


def cuts(config: Path, disk: Path, count: int, every_s: float, forgetful: Path | None) -> list[Path]:
    """Build into images until they were copied at `count` moments; a copy takes seconds, so a build gives a few."""
    copies: list[Path] = []
    while len(copies) < count:
        copies += cut(config, disk, len(copies), every_s, forgetful)
    return copies


def cut(config: Path, disk: Path, first: int, every_s: float, forgetful: Path | None) -> list[Path]:
    """Build into an image, and copy it again and again meanwhile; return the copies, numbered from `first`."""
    image = disk / "image"
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    run("mkfs.ext4", "-qF", str(image))
    copies = []
    with mounted(image, disk / "mounted") as top:
        run("sync")
        job = build(with_root(config, top / "root", "cut.toml"), forgetful=forgetful)
        started = time.monotonic()
        time.sleep(every_s * (first % 5) / 5)  # other moments than of the build before
        while job.poll() is None:
            time.sleep(every_s)
            copy = disk / f"{'forgetful-' if forgetful else ''}cut-{first + len(copies):03d}"
            run("cp", "--reflink=always", str(image), str(copy))
            copies.append(copy)
        job.wait()
        sys.stdout.write(
            f"{len(copies)} cuts in a build of {time.monotonic() - started:.1f} s, exit code {job.returncode}\n"
        )
    return copies


def judge(copies: Sequence[Path], disk: Path) -> Iterator[tuple[Path, int, list[str]]]:
    """Yield, of each copy, a plain copy of the ROOT in it, its commits, and what is wrong."""
    for copy in copies:
        kept = disk / f"{copy.name}-root"
        with mounted(copy, disk / "looked-at") as top:
            if not (top / "root").is_dir():
                yield kept, 0, []
                continue
            found = harm(top / "root")
            count = sum(1 for _ in (top / "root").rglob(commits.STAGE_FILE))
            shutil.copytree(top / "root", kept)
        yield kept, count, found


def cost(config: Path, folder: Path, forgetful: Path, pairs: int) -> float:
    """Return the time of a build by that of one without synchronising."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs):
        for durable in (True, False):
            path = with_root(config, folder / f"cost-{number}-{durable}", "cost.toml")
            started = time.monotonic()
            build(path, forgetful=None if durable else forgetful).wait()
            taken[durable].append(time.monotonic() - started)
    ratio = statistics.median(taken[True]) / statistics.median(taken[False])
    sys.stdout.write(f"builds with fsync {taken[True]}, without {taken[False]}: {ratio:.3f}\n")
    return ratio


def main() -> None:
    """Cut, judge, go on, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=24)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        sys.exit("this needs root, loop devices and mkfs.btrfs (btrfs-progs)")
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as name, open_web() as web:
        folder = Path(name)
        config = write_demo(folder / "demo", web)
        undisturbed = folder / "undisturbed"
        started = time.monotonic()
        build(with_root(config, undisturbed, "undisturbed.toml")).wait()
        every_s = (time.monotonic() - started) / arguments.cuts
        wanted = outcome(undisturbed)
        forgetful = folder / "forgetful"
        forgetful.mkdir()
        (forgetful / "sitecustomize.py").write_text(_FORGETFUL)
        with (folder / "disk").open("wb") as file:
            file.truncate(DISK_BYTES)
        run("mkfs.btrfs", "-q", str(folder / "disk"))
        with mounted(folder / "disk", folder / "btrfs") as disk:
            copies = cuts(config, disk, arguments.cuts, every_s, None)
            judged = list(judge(copies, folder))
            sys.stdout.write("commits in each cut: " + " ".join(str(count) for _, count, _ in judged) + "\n")
            failed += [f"{kept.name}: {line}" for kept, _, found in judged for line in found]
            for kept, _, _ in judged:
                build(with_root(config, kept, "going-on.toml")).wait()
                if outcome(kept) != wanted:
                    failed.append(f"{kept.name}: another outcome")
                failed += [f"{kept.name}: {item}" for item in verify.verify(str(kept))["problems"]]
            control = list(judge(cuts(config, disk, arguments.cuts, every_s, forgetful), folder))
        noticed = sum(bool(found) for _, _, found in control)
        sys.stdout.write(f"without fsync, {noticed} of {len(control)} cuts do harm\n")
        for line in [line for _, _, found in control for line in found][:5]:
            sys.stdout.write(f"  such as {line}\n")
        ratio = cost(config, folder, forgetful, arguments.pairs) if arguments.pairs else None
    sys.stdout.write("".join(f"FAILED {line}\n" for line in failed))
    result = {"cuts": len(copies), "harmed": len(failed), "control_harmed": noticed, "ratio": ratio}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if failed or not noticed else 0)


if __name__ == "__main__":
    main()
