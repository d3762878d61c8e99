"""What published lists hold, counted from their files: rows by split and licence, and each file with its digest."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from pmd import flow
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.manifests import Manifest
from pmd.manifests.model import Redistribute
from pmd.publish import named, rules
from pmd.store import commits, parquet_files, root, storage
from pmd.store.commits import Commit, File
from pmd.store.standing import Standing

_COUNTED: Final = ("text_licence", "image_licence")


@dataclasses.dataclass(frozen=True)
class Part:
    """One file of a list.

    Attributes:
        path: Relative to the folder of the release.
        split: One of `flow.SPLITS`.
        has_urls: Whether its rows have URLs; else none has.
    """

    path: str
    split: str
    has_urls: bool
    rows: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Listed:
    """One source's list.

    Attributes:
        name: The source's word: the name of its folder, and of its configuration on the Hub.
        hub_name: How its rows spell it.
        title: Its name among people.
        level: How much of it is handed on.
        parts: Its files, by name.
        text_licences: Licence → rows.
        image_licences: Licence → rows.
        manifest: What is known of it; None: it is the configuration's own.
        written_in: The languages of its texts; None: nobody has asked.
        named: How many of its rows name who contributed them, by `named.ROWS` and `named.COLUMNS`; empty: not known.
    """

    name: str
    hub_name: str
    title: str
    level: Redistribute
    parts: tuple[Part, ...]
    text_licences: Mapping[str, int]
    image_licences: Mapping[str, int]
    manifest: Manifest | None
    written_in: tuple[str, ...] | None = ("en",)
    named: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many it has."""
        return sum(part.rows for part in self.parts)

    @property
    def splits(self) -> Mapping[str, int]:
        """Split → its rows, of those that have any."""
        counts: Counter[str] = Counter()
        for part in self.parts:
            counts[part.split] += part.rows
        return {split: counts[split] for split in flow.SPLITS if counts[split]}

    @property
    def rows_with_url(self) -> int:
        """How many of its rows have a URL."""
        return sum(part.rows for part in self.parts if part.has_urls)


def committed(config: Config, standing: Standing) -> dict[str, Commit]:
    """Return the commits of the lists that stand, of the configured sources."""
    found = {name: standing.commit(root.publish_folder(config.root, name)) for name in sorted(config.sources)}
    return {name: commit for name, commit in found.items() if commit is not None}


def take(config: Config, found: Mapping[str, Commit]) -> list[Listed]:
    """Count lists, in order of their sources' names; of each file a few columns are read."""
    return [_listed(config, name, commit) for name, commit in found.items()]


def digest_of(listed: Iterable[Listed]) -> str:
    """Return what no other lists have."""
    return commits.options_hash([part.sha256 for item in listed for part in item.parts])


def name_of(source: str, file: File) -> str:
    """Return what a list's file is called in a release."""
    return f"{flow.LISTS.at(source=source).removeprefix(f'{flow.LISTS.above}/')}/{file.name}"


def is_by_split(file: File) -> bool:
    """Return whether a list's file has the rows of one split, as its name says; earlier versions did not part them."""
    return file.name.partition("-")[0] in flow.SPLITS


def _listed(config: Config, name: str, commit: Commit) -> Listed:
    terms = config.sources[name].terms
    folder = root.publish_folder(config.root, name)
    licences: dict[str, Counter[str]] = {column: Counter() for column in _COUNTED}
    for file in commit.files:
        for batch in parquet_files.iterate(storage.join(folder, file.name), _COUNTED):
            for column, counts in licences.items():
                counted = batch[column].value_counts()
                counts.update(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))
    parts = (
        Part(
            name_of(name, file),
            file.name.partition("-")[0],
            f"-{flow.WITHOUT_URL}-" not in file.name,
            file.rows,
            file.bytes,
            file.sha256,
        )
        for file in commit.files
    )
    manifest = terms if isinstance(terms, Manifest) else None
    return Listed(
        name,
        terms.hub_name,
        name if manifest is None else manifest.title,
        rules.level(terms, Asked.of(config, flow.PUBLISH.name)),
        tuple(sorted(parts, key=lambda part: part.path)),
        dict(sorted(licences["text_licence"].items())),
        dict(sorted(licences["image_licence"].items())),
        manifest,
        config.sources[name].options.written_in(),
        commit.facts.get(named.FACT, {}),
    )
