"""What curate depends on, source by source: the source's options, and its files' sizes and versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from pmd import flow
from pmd.config import Config, inputs, places, told
from pmd.errors import RootError
from pmd.formats import archives
from pmd.sources.contract import InputFile
from pmd.store import root, storage
from pmd.store.commits import Commit, options_hash
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted
from pmd.suppression import lists
from pmd.terminal import bar

#: As `wanted.FORMAT`, for curate alone: raised when the readers make other rows of the same files. 2: byte order marks,
#: headers, ids that are none. 3: pictures of COCO's first release, WIT's empty flags, blank URLs, ids
#: that are whole floats, what a `url` of RedCaps names. 4: ids that are strings, `&amp;` in RedCaps' URLs, carriage returns
#: within fields, long rows, texts in which nothing can be seen, what lists of `pmd publish` say of a row. 5: rows of a dump
#: without a photo id, WIT and labelled captions that were written again, empty `original_caption`, members in capitals,
#: Wikimedia's thumbnails on a host of their own, imgur.io. 6: numbers that are whole floats, COCO's pictures under other ids,
#: Visual Genome's without a URL. 7: nulls, numbers and times as mirrors have them, blank lines among narratives, addresses of
#: Imgur's that RedCaps' downloader has spoilt, COCO's file names with a folder, tabs in captions of Conceptual 12M, ids of rows
#: that repeat others'. 8: NaN in Parquet, splits that only a folder's name tells, quotation marks with backslashes. 9: COCO's
#: pictures without an address, Visual Genome's that have moved, further addresses of Imgur's that RedCaps' downloader has spoilt,
#: rows of RedCaps whose own id is null, or not there.
READ_FORMAT: Final = 9


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a source's pairs are made of: the commit that should stand, and the annotation files, sorted by path."""

    wanted: Wanted
    files: tuple[InputFile, ...]


#: What the lists of what was taken down are called among the inputs.
SUPPRESSION: Final = "suppression lists"
#: In the `run` section of a source's commit: which list was ROOT's own (`lists.List.identity`).
OWN_LIST: Final = "own_suppression_list"
#: And how much it named (`lists.List.size`).
OWN_SIZE: Final = "own_suppression_list_size"


def suppression_input(held: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return what a source's pairs depend on of suppression lists (`lists.digests`): nothing where there are none."""
    return {SUPPRESSION: options_hash(sorted(digest for _, digest in held))} if held else {}


def told_of_own(root_url: str) -> dict[str, str]:
    """Return what the commit of a source tells of ROOT's own list beside its inputs: which it is, and how much it names."""
    own = lists.own(root_url)
    return {} if own is None else {OWN_LIST: own.identity, OWN_SIZE: str(own.size)}


def refuse_lost_lists(config: Config, standing: Standing | None = None) -> None:
    """Refuse to go on where a list that what stands was curated with is lost: what was taken down would all come back.

    ROOT's own list is lost where a commit names it and it is not among those that hold, under whatever name. It is lost too where
    an older copy stands in its place, which names less: the list only grows.

    Commits of earlier versions say only a digest of all lists together. If it is another now, one is lost in two cases: no list
    holds any more, or ROOT has receipts and no list of its own. Every takedown leaves one.

    Args:
        config: The configuration, with all lists that hold (`lists.held`).
        standing: What stands.

    Raises:
        RootError: One is lost.
    """
    own = lists.path_of(config.root)
    held = lists.digests(config.suppression)
    holding = suppression_input(held).get(SUPPRESSION)
    names_own = own in config.suppression or (bool(held) and not _has_receipts(config.root))
    there = standing or Standing(config.root)
    for name in there.curated:
        commit = there.commit(root.curate_folder(config.root, name))
        run = {} if commit is None else commit.run
        wanted = run.get(OWN_LIST)
        if wanted is None:
            is_lost = not names_own and run.get("inputs", {}).get(SUPPRESSION) not in {None, holding}
        else:
            size = max((one.size for one in lists.read(held).lists if one.identity == wanted), default=-1)
            is_lost = size < int(run.get(OWN_SIZE, 0))
            if is_lost and size >= 0:
                raise _older(own, size, run[OWN_SIZE])
        if is_lost:
            raise RootError(
                "the suppression list is gone, and what was taken down would come back",
                where=own,
                expected="the list, or those of `suppression` in the configuration, that this ROOT was curated with",
                found=f"only {', '.join(config.suppression)}" if held else "none",
                remedy="put it back from a copy of this ROOT, or name the lists in `suppression` again. If nothing of it is to "
                f"be kept out any more, remove {storage.join(config.root, flow.CURATE.name)}, which is then made anew",
            )


def _older(own: str, found: int, expected: str) -> RootError:
    """Return what is told where an older copy of ROOT's own list was put in its place."""
    return RootError(
        "the suppression list is an older copy, and what was taken down since would come back",
        where=own,
        expected=f"the list that names {bar.amount(int(expected), 'things')}, by which this ROOT was curated",
        found=f"one that names {found}",
        remedy="put the newest copy back, from wherever this ROOT or its list was copied to since",
    )


def _has_receipts(root_url: str) -> bool:
    return lists.RECEIPTS in storage.list_names(storage.join(root_url, lists.FOLDER))


def units(config: Config, names: Sequence[str], standing: Standing | None = None) -> Sequence[str]:
    """Return the sources that are curated, of those that were asked for."""
    return names


def wanted(config: Config, source: str, standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commit of a source."""
    return (of(config, source).wanted,)


def of(config: Config, source: str) -> Needs:
    """Return what a source's pairs are made of.

    Raises:
        InputError: A file is missing or empty.
    """
    chosen = config.sources[source]
    files = tuple(inputs.files(chosen))
    paths = [file.path for file in files]
    karpathy = inputs.karpathy_of(chosen)
    if karpathy is not None and karpathy not in paths:
        paths.append(karpathy)
    return Needs(
        Wanted(
            flow.CURATE.name,
            source,
            root.curate_folder(config.root, source),
            {
                **places.options_written(chosen.options, places.written),
                **told.of(config, flow.CURATE.name),
                "format": READ_FORMAT,
            },
            {**inputs.fingerprints(paths), **suppression_input(lists.digests(config.suppression))},
            inputs.local(paths),
        ),
        files,
    )


def names_of(config: Config, files: Sequence[InputFile]) -> dict[str, str]:
    """Return path → how it is named in ROOT, of the files, and archives of files, of which these are not one."""
    named = {file.path: places.written(file.path) for file in files}
    named |= {archives.split_member(path)[0]: archives.split_member(name)[0] for path, name in named.items()}
    return {str(path): name for path, name in named.items() if path != name}


def curated(config: Config, there: Standing) -> list[str]:
    """Return the configured sources that are curated: those that the later stages are made of."""
    return [name for name in sorted(config.sources) if name in there.curated]


def commit_of(there: Standing, source: str) -> Commit:
    """Return a source's commit.

    Raises:
        RootError: It is not curated.
    """
    return there.require(root.curate_folder(there.root, source), f"run: {flow.CURATE.command} (source {source})")
