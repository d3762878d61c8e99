"""The release held to its own checksums: what is gone, has other bytes than were written, or is listed nowhere.

No commit lists a release, which becomes others' (`pmd.publish.folder`). SHA256SUMS tells of each file but itself and the card,
and of the lists the commits tell too. A card that people have edited is theirs: it must be text, and that it is another than
was written is told. What people and loaders put beside these is theirs, but for files of
rows: who reads the folder by a pattern reads them too.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pmd import flow
from pmd.books.committed import Committed
from pmd.formats import mistaken
from pmd.publish import census, folder, withdrawn
from pmd.store import sealed, storage, written
from pmd.store.commits import File, sha256

#: What may be wrong with a file.
GONE: Final = "a file of the release is gone"
OTHER: Final = "a file of the release has other bytes than were written"
UNLISTED: Final = "no checksum of the release lists this file, and whoever reads the release by a pattern reads it"
#: The first two are mended by `pmd repair`.
MENDED: Final = frozenset({GONE, OTHER})

_LINE: Final = re.compile(r"([0-9a-f]{64})  (.+)")
#: How the names of files end that readers take in by a pattern: one that is nobody's would be read as ours.
READ_BY_PATTERN: Final = (".parquet", ".tar", ".tfrecord")
#: Files that no checksum is kept of.
_UNSUMMED: Final = frozenset({folder.README, folder.NEW_README, folder.SUMS})


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what, where (relative to ROOT, or to a release by itself), and what was expected and found."""

    what: str
    name: str
    expected: str
    found: str


@dataclasses.dataclass(frozen=True)
class Checked:
    """What was looked at, and what was found.

    Attributes:
        files: How many have checksums.
        problems: What is wrong.
        stale: A list of which the release has another, or none, or which it alone has; None: they are those that stand.
        left: Files that a run which was killed has left.
        others: Files that are nobody's of pmd.
        is_card_changed: Whether the card is another than was written, by whose hand nobody knows.
    """

    files: int = 0
    problems: tuple[Finding, ...] = ()
    stale: str | None = None
    left: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    is_card_changed: bool = False


def names_in(names: Iterable[str]) -> list[str]:
    """Return the files of the release among those of a ROOT, relative to its folder."""
    top = f"{flow.RELEASE}/"
    return [name.removeprefix(top) for name in names if name.startswith(top)]


def lists_in(standing: Iterable[Committed]) -> dict[str, File]:
    """Return the files of lists among commits, by their names in a release."""
    return {
        census.name_of(str(committed.source), file): file
        for committed in standing
        if committed.is_of(flow.LISTS)
        for file in committed.commit.files
    }


def check_alone(url: str) -> Checked | None:
    """Hold a release that stands by itself, as whoever got it has it, to its checksums; None where a folder is none.

    What it is called in what is found is relative to the folder.
    """
    names = storage.list_files(url) if storage.is_folder(url) else []
    if not {folder.BUILD, folder.SUMS} & {*names} or not any(map(folder.is_of_list, names)):
        return None
    return _check(url, {*names}, None)


def check(root_url: str, names: Iterable[str], lists: Mapping[str, File]) -> Checked:
    """Hold a ROOT's release to its checksums; where nothing stands there that a run has written, nothing is wrong.

    Args:
        root_url: ROOT.
        names: The files that stand there (`names_in`).
        lists: Those of the lists that are committed, by their names in the release.
    """
    found = _check(storage.join(root_url, flow.RELEASE), {*names}, lists)
    problems = tuple(dataclasses.replace(one, name=f"{flow.RELEASE}/{one.name}") for one in found.problems)
    return dataclasses.replace(found, problems=problems)


def _check(top: str, there: set[str], lists: Mapping[str, File] | None) -> Checked:
    """Hold the files of a folder to its checksums; without lists nobody knows of which they should be."""
    if not there & {folder.BUILD, folder.SUMS} and not any(map(folder.is_ours, there)):
        return Checked()
    sums, problems = _sums(top, there)
    problems += [
        _finding(GONE, name, "a file", "nothing")
        for name in folder.WHOLE
        if name not in there | sums.keys() | {folder.SUMS}
    ]
    for name, digest in sums.items():
        state = sealed.measured(storage.join(top, name)) if name in there else None
        if state is None or state[1] != digest:
            found = _told(storage.join(top, name), state)
            problems.append(_finding(GONE if name not in there else OTHER, name, f"sha256 {digest}", found))
    card, is_card_changed = _card(top, there)
    problems += card
    unlisted = sorted(there - sums.keys() - _UNSUMMED) if folder.SUMS in there else []
    # Who holds a copy of a release that had no such list puts a later one's beside it.
    theirs = {withdrawn.FILE} if lists is None and not folder.has_withdrawn(top) else set()
    lacking = [name for name in unlisted if name in (lists or {}) or (name == withdrawn.FILE and name not in theirs)]
    problems += [_finding(OTHER, folder.SUMS, f"a checksum of {name}, too", "none") for name in lacking[:1]]
    unlisted = [name for name in unlisted if name not in lacking]
    left = [name for name in unlisted if written.is_temporary(name)]
    read = [
        name
        for name in unlisted
        if name not in {*left, *theirs} and (name.endswith(READ_BY_PATTERN) or folder.is_ours(name))
    ]
    problems += [_finding(UNLISTED, name, "nothing", "it") for name in read]
    others = [name for name in unlisted if name not in {*left, *read}]
    stale = None if lists is None else next(_stale(sums, lists), None)
    return Checked(len(sums), tuple(problems), stale, tuple(left), tuple(others), is_card_changed)


def _told(path: str, state: tuple[int, str] | None) -> str:
    """Return what is told of a file's bytes; who has cloned a release from the Hub may have pointers in the place of files."""
    what, advice = (state and mistaken.at(path)) or ("", "")
    return sealed.in_words(state) + (f": {what} ({advice})" if what else "")


def _card(top: str, there: set[str]) -> tuple[list[Finding], bool]:
    """Return what is wrong with the card that stands, and whether it is another than was written."""
    if folder.README not in there:
        return [], False
    content, written_as = storage.read_bytes(storage.join(top, folder.README)), folder.card_written(top)
    if not folder.is_card(content):
        expected = "text, by pmd or edited" if written_as is None else f"sha256 {written_as}, or an edited card"
        return [_finding(OTHER, folder.README, expected, f"{len(content)} bytes that are no text")], False
    return [], written_as is not None and sha256(content) != written_as


def _sums(top: str, there: set[str]) -> tuple[dict[str, str], list[Finding]]:
    """Return the checksums that are told, by name, and what is wrong with their file."""
    if folder.SUMS not in there:
        return {}, [_finding(GONE, folder.SUMS, "checksums of the files", "nothing")]
    sums: dict[str, str] = {}
    wrong: list[Finding] = []
    content = storage.read_bytes(storage.join(top, folder.SUMS)).decode("utf-8", "replace")
    for number, line in enumerate(content.splitlines(), start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            expected = "lines of a SHA-256, two spaces and a name"
            wrong.append(_finding(OTHER, folder.SUMS, expected, f"line {number}: {line[:80]}"))
        else:
            sums[found[2]] = found[1]
    if not content.endswith("\n"):
        wrong.append(_finding(OTHER, folder.SUMS, "a line feed at its end", f"{len(content)} characters"))
    return sums, wrong[:1]


def _stale(sums: Mapping[str, str], lists: Mapping[str, File]) -> Iterator[str]:
    """Yield the lists' files of which the release has others than stand."""
    of_lists = {name: digest for name, digest in sums.items() if folder.is_of_list(name)}
    for name in sorted({*of_lists, *lists}):
        if name not in of_lists or name not in lists or of_lists[name] != lists[name].sha256:
            yield name


def _finding(what: str, name: str, expected: str, found: str) -> Finding:
    return Finding(what, name, expected, found)
