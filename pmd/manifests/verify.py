"""Checks upstream's files on disk, byte by byte, and says what to do about each that is not right."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from pmd.manifests import integrity
from pmd.manifests.download import gated
from pmd.manifests.model import ANNOTATIONS, Kind, Manifest
from pmd.manifests.outcome import Outcome, Progress, Silent
from pmd.manifests.select import fetch_command, human_size, select


def verify(
    manifests: Iterable[Manifest],
    folder: str | Path,
    *,
    names: Collection[str] | None = None,
    kinds: Collection[Kind] = ANNOTATIONS,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Compare files under `folder` with what is published of them; reads every byte, changes nothing.

    Args:
        manifests: The sources.
        folder: The data folder; local.
        names: File names wanted, of any kind; None: those of `kinds` that are not optional, and any others
            that are there.
        kinds: Kinds that must be there where `names` is None.
        progress: Who is told.

    Returns:
        One outcome a file: `present`, or `gated`, `absent`, `wrong_size` or `wrong_checksum` with a remedy.

    Raises:
        ConfigError: A name is no file of these sources.
    """
    root = Path(folder)
    sources = list(manifests)
    told = progress or Silent()
    wanted = select(sources, names=names, kinds=kinds)
    if names is None:
        every = {file.target: file for manifest in sources for file in manifest.files}
        required = {file.target for file in wanted}
        wanted = [file for target, file in every.items() if target in required or (root / target).is_file()]
    outcomes = []
    for file in wanted:
        found = integrity.check(file, root / file.target, quick=False, progress=told)
        outcome = found if found.ok else _with_remedy(found)
        told.finish(outcome)
        outcomes.append(outcome)
    return outcomes


def _with_remedy(found: Outcome) -> Outcome:
    if found.file.gated is not None:
        return gated(found.file, found)
    command = f"run: {fetch_command(found.file)} ({human_size([found.file])})"
    remedy = command if found.status == "absent" else f"{command}; it replaces the file once the new one is right"
    return Outcome(found.file, found.path, found.status, found.detail, remedy)
