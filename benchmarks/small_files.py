"""Small files: each of ROOT's is deleted, emptied, cut short or overwritten, one at a time; what do the commands say?

    python benchmarks/small_files.py [--only PATTERN] [--ways gone,empty,cut,other] [--folder FOLDER]

The demo is built once, a takedown is carried out there, and another waits. Of every kind of small file (commits, root.json,
writer.json, the register, what hosts said, the release, what is kept of takedowns) one is damaged in a copy, in each way. Then
`pmd status`, `plan`, `verify`, `takedown receipt`, `build`, `repair`, `build` and `verify` are run. None may end in a traceback;
where one stops it must say where; somebody must have told of the file; and when the last build has ended well, the samples must
be those of the sound ROOT, and `verify` must pass. Exits with 1 where that does not hold. The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import logging
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from typer.testing import CliRunner

from benchmarks.damage import samples
from pmd import cli
from pmd.demo.config import open_web, write_demo
from pmd.errors import PmdError
from pmd.store import sealed

#: What is damaged: of files of one kind, one.
SMALL: Final = (
    "root.json",
    "writer.json",
    "writer.lock",
    "fetch/register",
    "curate/source=*/_stage.json",
    "images/_stage.json",
    "views/_stage.json",
    "fetch/ledger/*/*/_stage.json",
    "fetch/rejected/_stage.json",
    "fetch/availability/_stage.json",
    "fetch/hosts/*.jsonl",
    "dedupe/_stage.json",
    "shards/webdataset/_stage.json",
    "shards/rejected/_stage.json",
    "shards/webdataset/sizes.json",
    "shards/webdataset/.huggingface.yaml",
    "publish/source=*/_stage.json",
    "release/build.json",
    "release/SHA256SUMS",
    "release/README.md",
    "release/find/*.js",
    "release/croissant.json",
    "audit/_stage.json",
    "audit/audit.json",
    "audit/report.html",
    "takedown/requests.jsonl",
    "takedown/receipts.jsonl",
    "takedown/suppression.json",
)


def _other(path: Path) -> None:
    path.write_bytes(b"\xff\xfe[{rubbish\n")


WAYS: Final[dict[str, Callable[[Path], object]]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "other": _other,
}


@dataclass
class Told:
    """How a command ended."""

    code: int
    text: str
    is_traceback: bool


@dataclass
class Trial:
    """One file, damaged in one way."""

    name: str
    way: str
    told: dict[str, Told] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def pmd(*words: str) -> Told:
    """Run a command in this process."""
    sealed.forget()
    notes: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: notes.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("pmd.notes").addHandler(handler)
    try:
        done = CliRunner().invoke(cli.app, [*words])
    finally:
        logging.getLogger("pmd.notes").removeHandler(handler)
    said = "\n".join([done.output, *notes])
    error = done.exception
    if error is None or isinstance(error, SystemExit):
        return Told(done.exit_code, said, False)
    if isinstance(error, PmdError):
        return Told(error.exit_code, f"{said}\n{error}", False)
    return Told(1, f"{said}\n{''.join(traceback.format_exception(error))}", True)


def commands(config: str, where: str) -> dict[str, tuple[str, ...]]:
    """Return the commands, in their order."""
    return {
        "status": ("status", where),
        "plan": ("plan", config),
        "verify": ("verify", where),
        "receipt": ("takedown", "receipt", config),
        "build": ("build", config),
        "repair": ("repair", where, "--config", config),
        "build again": ("build", config),
        "verify again": ("verify", where),
    }


class Bench:
    """A sound ROOT, and copies of it."""

    def __init__(self, folder: Path, config: Path, sound: Path) -> None:
        self._folder, self._sound = folder, sound
        self._text = config.read_text(encoding="utf-8")
        self._config = config.with_name("damaged.toml")
        self._samples = samples(sound)

    def trial(self, name: str, way: str) -> Trial:
        """Damage a file of a copy, and run the commands."""
        where = self._folder / "copy"
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(self._sound, where)
        self._config.write_text(re.sub("(?m)^root = .*$", f'root = "{where}"', self._text), encoding="utf-8")
        WAYS[way](where / name)
        found = Trial(name, way)
        for title, words in commands(str(self._config), str(where)).items():
            found.told[title] = pmd(*words)
        self._judge(found, where)
        return found

    def _judge(self, found: Trial, where: Path) -> None:
        found.wrong += [f"{title}: traceback" for title, told in found.told.items() if told.is_traceback]
        if found.told["build again"].code == 0 and samples(where) != self._samples:
            found.wrong.append("other samples")
        if found.told["build again"].code == 0 and found.told["verify again"].code != 0:
            found.wrong.append("verify fails in the end")
        folder, _, base = found.name.rpartition("/")
        for title, told in found.told.items():
            if told.code and base not in told.text and (folder or base) not in told.text:
                found.wrong.append(f"{title}: says no place")
        if not any(told.code or base in told.text for told in found.told.values()):
            found.wrong.append("nobody told of the file")


#: Files that need not be told of: they come back by themselves, and nothing is lost with them.
QUIET: Final = (
    "writer.json",
    "writer.lock",
    "fetch/register",
    "fetch/hosts/*",
    "fetch/availability/*",
    "audit/*",
    "release/*",
    "shards/*",
)


def trials(sound: Path, only: str, ways: list[str]) -> Iterator[tuple[str, str]]:
    """Yield files and ways."""
    for pattern in SMALL:
        there = sorted(path for path in sound.glob(pattern) if path.is_file())
        if not there:
            sys.stdout.write(f"! nothing is called {pattern}\n")
            continue
        name = str(there[0].relative_to(sound))
        if fnmatch.fnmatchcase(name, only):
            for way in ways:
                yield name, way


def report(found: Trial) -> None:
    """Print what a trial has told."""
    quiet = any(fnmatch.fnmatchcase(found.name, pattern) for pattern in QUIET)
    found.wrong = [wrong for wrong in found.wrong if not (quiet and wrong.startswith("nobody"))]
    codes = " ".join(f"{title}={told.code}" for title, told in found.told.items())
    sys.stdout.write(f"{'!' if found.wrong else ' '} {found.name} {found.way}: {codes} {'; '.join(found.wrong)}\n")
    for title, told in found.told.items() if found.wrong else ():
        if told.code:
            sys.stdout.write(f"    {title}: {told.text.strip()[-700:]}\n")
    sys.stdout.flush()


def main() -> None:
    """Damage, and look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="*")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"trials": 0, "wrong": []}
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        web = stack.enter_context(open_web())
        config = write_demo(folder / "demo", web)
        sound = _built(config)
        bench = Bench(folder, config, sound)
        for name, way in trials(sound, options.only, options.ways.split(",")):
            found = bench.trial(name, way)
            report(found)
            result["trials"] += 1
            result["wrong"] += [f"{name} {way}: {wrong}" for wrong in found.wrong]
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if result["wrong"] else 0)


def _built(config: Path) -> Path:
    """Build the sound ROOT, with a takedown that was carried out and one that waits."""
    named = re.search('(?m)^root = "(.*)"$', config.read_text(encoding="utf-8"))
    assert named is not None
    for words in (
        ("build", str(config)),
        ("takedown", "add", str(config), "user:sbu_captions/nobody"),
        ("takedown", "apply", str(config)),
        ("takedown", "add", str(config), "host:nowhere.example"),
    ):
        told = pmd(*words)
        assert told.code == 0, told.text
    sound = Path(named[1])
    return sound if sound.is_absolute() else config.parent / sound


if __name__ == "__main__":
    main()
