"""Where each stage's rejected rows stand: for all who read them across stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pmd.schema.reasons import REASONS
from pmd.store import commits, root, storage

#: The stages that judge pairs, in order.
STAGES: Final = tuple(dict.fromkeys(stage for stage, _ in REASONS.values()))


def folders(root_url: str, stage: str, sources: Sequence[str]) -> list[str]:
    """Return the folders in which a stage commits its rejected rows: of curate those of some sources, else one for all."""
    if stage == "curate":
        return [root.curate_folder(root_url, source) for source in sources]
    return [folder(root_url, stage)]


def folder(root_url: str, stage: str) -> str:
    """Return the folder in which a stage behind curate commits its rejected rows."""
    if stage == "images":
        return root.views_folder(root_url)
    if stage == "fetch":
        return root.fetch_rejected_folder(root_url)
    return root.dedupe_folder(root_url) if stage == "dedupe" else root.shards_folder(root_url, "rejected")


def files(root_url: str, stage: str, sources: Sequence[str]) -> Iterator[str]:
    """Yield the paths of a stage's files of rejected rows; none where it has not been run."""
    for place in folders(root_url, stage, sources):
        commit = commits.read(place)
        if commit is not None:
            # What fetch and shard commit here is nothing but rejected rows.
            listed = commit.files if stage in {"fetch", "shard"} else commit.under("rejected")
            yield from (storage.join(place, file.name) for file in listed)
