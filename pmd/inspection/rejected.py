"""Where each stage's rejected rows stand: for all who read them across stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pmd.flow import Stage
from pmd.store import commits, storage


def folders(root_url: str, stage: Stage, sources: Sequence[str]) -> list[str]:
    """Return the folders in which a stage commits its rejected rows; of a stage that works by source, of these sources."""
    fields = [{"source": source} for source in sources] if stage.unit == "source" else [{}]
    return [storage.join(root_url, stage.books.at(**field)) for field in fields]


def files(root_url: str, stage: Stage, sources: Sequence[str]) -> Iterator[str]:
    """Yield the paths of a stage's files of rejected rows; none where it has not been run."""
    for folder in folders(root_url, stage, sources):
        commit = commits.read(folder)
        if commit is not None:
            prefix = stage.books.rejects or ""
            yield from (storage.join(folder, file.name) for file in commit.files if file.name.startswith(prefix))
