"""Checks upstream's files on disk, byte by byte, and says what to do about each that is not right."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from pmd.manifests import integrity
from pmd.manifests.download import gated
from pmd.manifests.model import ANNOTATIONS, Kind, Manifest
from pmd.manifests.outcome import Outcome, Progress, Silent
from pmd.manifests.selecting import fetch_command, human_size, select


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
        One outcome a file: `present`, or `gated`, `absent`, `wrong_size`, `wrong_checksum` or `foreign` with a remedy.

    Raises:
        ConfigError: A name is no file of these sources.
    """
    root = Path(folder)
    sources = list(manifests)
    listener = progress or Silent()
    wanted = select(sources, names=names, kinds=kinds)
    if names is None:
        every = {file.target: file for manifest in sources for file in manifest.files}
        required = {file.target for file in wanted}
        wanted = [file for target, file in every.items() if target in required or (root / target).is_file()]
    outcomes = []
    for file in wanted:
        checked = integrity.check(file, root / file.target, quick=False, progress=listener)
        outcome = checked if checked.ok else _with_remedy(checked)
        listener.finish(outcome)
        outcomes.append(outcome)
    return outcomes


def _with_remedy(outcome: Outcome) -> Outcome:
    if outcome.file.gated is not None:
        return gated(outcome.file, outcome)
    command = f"run: {fetch_command(outcome.file)} ({human_size([outcome.file])})"
    remedy = command if outcome.status == "absent" else f"{command}; it replaces the file once the new one is right"
    return Outcome(outcome.file, outcome.path, outcome.status, outcome.detail, remedy)
