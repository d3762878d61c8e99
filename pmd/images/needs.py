"""What images depends on: the sources' pairs, what is held out, archives, sample, licences, scores, takedowns."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config import Config, inputs, places, told
from pmd.curate import needs as curate_needs
from pmd.images import takedowns
from pmd.schema import keys
from pmd.store import root, storage
from pmd.store.commits import Commit, File, options_hash
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

#: As `wanted.FORMAT`, for images alone. 2: views say of their pairs what samples and lists say of them.
VIEW_FORMAT: Final = 2
#: The same, where there are takedown lists. 1: they know an address in other spellings, too (`urls.alike`). 2: a picture that is
#: named by one of its addresses, or by the page of a post, leaves with all its captions. 3: so does one whose address holds a
#: named one (`pages.held`).
SPELLINGS: Final = 3

#: The same, where there are archives or folders of images. 1: of files of one name, that of just the annotation's path is taken.
#: 2: COCO's pictures are looked for in the archives of its other release, too.
LOCATED: Final = 2

#: The reason of rows that curate leaves out because models are tested on their images, and what tells which images these are.
_EVALUATION_IMAGE: Final = "evaluation_image"
EVALUATION_COLUMNS: Final = ("image_id", "also", "reason")


@dataclasses.dataclass(frozen=True)
class Needs:
    """What the images are made of.

    Attributes:
        wanted: The commit that should stand.
        sources: The sources, sorted.
        pairs: (source, path, file) of every committed file of pairs.
        archives: source → its archives and folders of images; only sources that have some.
        left_out: (source, commit) of the sources that have left evaluation images out, where copies of these are to go, too.
        kept_out: The paths of what sources have kept of rows that suppression lists keep out.
    """

    wanted: Wanted
    sources: tuple[str, ...]
    pairs: tuple[tuple[str, str, File], ...]
    archives: Mapping[str, tuple[str, ...]]
    left_out: tuple[tuple[str, Commit], ...]
    kept_out: tuple[str, ...]


def wanted(config: Config, unit: str = "all", standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commit of the views; that of the images stands or falls with it."""
    return (of(config, standing).wanted,)


def of(config: Config, standing: Standing | None = None) -> Needs:
    """Return what the images are made of.

    Raises:
        RootError: A source is not curated.
    """
    there = standing or Standing(config.root)
    names = curate_needs.curated(config, there)
    given = {name: _of_source(config, there, name) for name in names}
    digests = {what: digest for one in given.values() for what, digest in one.digests.items()}
    for rule in config.scores:
        digests[places.written(rule.file)] = storage.fingerprint(rule.file)
    for path in config.takedown:
        digests[places.written(path)] = hashlib.sha256(storage.read_bytes(path)).hexdigest()
    pictures = takedowns.by_ledger(taken_down(config, there))
    if pictures:
        digests["takedown, by bytes"] = options_hash(pictures)
    archives = {name: one.archives for name, one in given.items() if one.archives}
    options, scored = _options(config, has_archives=bool(archives)), inputs.local(rule.file for rule in config.scores)
    return Needs(
        Wanted(flow.IMAGES.name, "all", root.images_folder(config.root), options, digests, scored),
        tuple(names),
        tuple(pair for one in given.values() for pair in one.pairs),
        archives,
        tuple((name, one.left_out) for name, one in given.items() if one.left_out is not None),
        tuple(path for one in given.values() for path in one.kept_out),
    )


class _OfSource(NamedTuple):
    """What the images have of one source; the fields as in `Needs`, but for `digests`: what its files are → their digests."""

    digests: Mapping[str, str]
    pairs: tuple[tuple[str, str, File], ...]
    archives: tuple[str, ...]
    left_out: Commit | None
    kept_out: tuple[str, ...]


def _of_source(config: Config, there: Standing, name: str) -> _OfSource:
    commit, folder = curate_needs.commit_of(there, name), root.curate_folder(config.root, name)
    archives = tuple(inputs.archives_of(config.sources[name]))
    kept_out = commit.under(flow.KEPT_OUT)
    leaves_out = config.images.evaluation_copies == "reject" and leaves_out_evaluation_images(commit, name)
    digests = {name: commit.digest("pairs")}
    if leaves_out or config.takedown:  # which photographs are one is told by rejected rows, too
        digests[f"{name}, rejected"] = commit.digest("rejected")
    if kept_out:
        digests[f"{name}, kept out"] = commit.digest(flow.KEPT_OUT)
    digests |= {places.written(path): storage.fingerprint(path) for path in archives}
    return _OfSource(
        digests,
        tuple((name, storage.join(folder, file.name), file) for file in commit.under("pairs")),
        archives,
        commit if leaves_out else None,
        tuple(storage.join(folder, file.name) for file in kept_out),
    )


def _options(config: Config, *, has_archives: bool) -> dict[str, Any]:
    options = {
        "format": VIEW_FORMAT,
        "sample": config.sample,
        "scores": [places.options_written(rule, places.written) for rule in config.scores],
        **told.of(config, flow.IMAGES.name),
    }
    where_used = ({"spellings": SPELLINGS} if config.takedown else {}) | ({"located": LOCATED} if has_archives else {})
    return options | where_used


def answers(config: Config, there: Standing) -> dict[str, Any]:
    """Return what may be remembered: which images the takedown lists mean, as the ledger tells."""
    return {name: found for name, found in there.found.items() if name == takedowns.NAMED}


def taken_down(config: Config, standing: Standing | None = None) -> list[takedowns.Line]:
    """Return the lines of the takedown lists, with the images that the ledger knows by what they name.

    Raises:
        InputError: Lines name nothing.
    """
    return takedowns.resolved(standing or Standing(config.root), takedowns.lines(config.takedown, config.sources))


def leaves_out_evaluation_images(commit: Commit, source: str) -> bool:
    """Return whether a source's curate rejected some rows as `evaluation_image`, by its books."""
    books = commit.sources.get(source)
    return books is not None and bool(books.rejected.get(_EVALUATION_IMAGE))


def evaluation_images(rejected: pa.RecordBatch | pa.Table) -> set[bytes]:
    """Return the keys of the evaluation images among rows that curate rejected (`EVALUATION_COLUMNS`), under both identities."""
    left = rejected.filter(pc.equal(rejected["reason"], _EVALUATION_IMAGE))
    own = left["image_id"].drop_null().to_pylist()
    return {*own, *map(keys.image_id, left["also"].drop_null().to_pylist())}
