"""The demo: a small built-in web and annotation files of every source, built from end to end."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from pipelines import build, refuse
from pmd import config, escape
from pmd.config import places, remedies
from pmd.demo.config import LOCK, MARK, TOPS, open_web, write_demo
from pmd.engines import choosing
from pmd.errors import ConfigError
from pmd.inspection import status
from pmd.sources.contract import PROFILES
from pmd.store import lock, patience, root, storage
from pmd.terminal import output


def run(
    out: Path,
    *,
    profile: str = "recommended",
    engine: str | None = None,
    flags: Sequence[str] = (),
    report: build.Report = lambda step: None,
) -> str:
    """Write the demo's files into a folder, build them, and say what came out.

    Args:
        out: The folder; a demo that stands there is made anew, anything else is left alone.
        profile: The profile to build under.
        engine: Where to run; None: on Beam's local runner.
        flags: Beam's own flags.
        report: Told of every step.

    Raises:
        ConfigError: The folder holds something else, or the profile does not exist.
    """
    if profile not in PROFILES:
        raise remedies.unknown("no such profile", "--profile", profile, PROFILES)
    out = Path(os.path.expanduser(out))  # as storage takes it: a shell leaves the one in --out=~/demo
    with _alone(out), open_web() as web:
        path = write_demo(out, web, profile=profile)
        chosen = config.load(str(path))
        chosen = dataclasses.replace(chosen, engine=choosing.chosen(chosen.engine, engine, flags))
        with root.writer(chosen.root, "pmd demo", places.absolute(str(path))):
            build.build(chosen, flags=flags, report=report)
        requests = len(web.requests)
    return "\n".join(
        [status.render(status.books(chosen.root), output.columns(130)), "", *_next(out, chosen.root, requests)]
    )


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Have a folder for this demo alone, cleared of an earlier one, as long as it runs.

    ROOT's own lock comes too late: it stands in what is cleared away.

    Raises:
        ConfigError: The folder holds something else, or another demo runs there.
    """
    _refuse_others(out)
    out.mkdir(parents=True, exist_ok=True)
    with patience.alone(str(out / LOCK), _is_running(out)):
        _clear(out)
        yield


def _refuse_others(out: Path) -> None:
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    others = sorted(names - _written_before(out / MARK) - {MARK, LOCK})
    if others or (out.exists() and not out.is_dir()):
        raise ConfigError(
            "the folder holds something that is no demo",
            where=str(out),
            expected="an empty folder, or an earlier demo",
            found=", ".join(others[:3]) or "a file",
            remedy="give another folder with --out",
        )


def _is_running(out: Path) -> ConfigError:
    return ConfigError(
        "another demo is running here", where=str(out), remedy="wait for it, or give another folder with --out"
    )


def _clear(out: Path) -> None:
    """Remove an earlier demo, which says itself what it has written, and mark the folder as a demo's."""
    if lock.is_held(str(out / "pmd")):  # a demo of an earlier version, or a build of this one
        raise _is_running(out)
    ours = _written_before(out / MARK)
    storage.put(str(out / MARK), orjson.dumps(TOPS))
    for name in sorted(ours):
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def _written_before(mark: Path) -> set[str]:
    """Return what an earlier demo has written; nothing where its mark is gone, or is none."""
    try:
        return {*orjson.loads(mark.read_bytes())}
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError, TypeError):
        return set()


def _next(out: Path, where: str, requests: int) -> list[Any]:
    out, where = Path(escape.terminal(out)), escape.terminal(where)
    made = {
        f"{where}/audit/report.html": "the audit: open it in a browser",
        f"{where}/shards/webdataset/": "training-ready tars, with sizes.json",
        f"{where}/shards/parquet/": "the same samples for Hugging Face datasets",
        f"{where}/publish/": "lists of URLs, texts and checksums, one a source",
        f"{out}/pmd.toml": "the configuration it was built from",
    }
    to_look_at = {
        f"pmd peek {where}": "sampled pairs with their pictures, and rejected rows with their reasons",
        f"pmd verify {where}": "recount the books from the files",
        f"pmd explain {where} URL": "what became of one pair or image",
        f"pmd build {out}/pmd.toml --why": "what a second build would redo, and why",
    }
    width = max(map(len, (*made, *to_look_at)))
    return [
        f"The built-in web answered {requests} requests.",
        "",
        "What was made",
        *(f"  {path:{width}}  {says}" for path, says in made.items()),
        "",
        "What to look at next",
        *(f"  {command:{width}}  {says}" for command, says in to_look_at.items()),
    ]


if __name__ == "__main__":
    refuse("pmd demo")
