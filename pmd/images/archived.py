"""Which file of a source's archives and folders a pair means by the name that it gives.

A data set may keep each picture in a folder of its own, so that all files are called alike (`000001/image.jpg`). So those
that are called alike are found by how their paths end, and not tried one by one.
"""

from __future__ import annotations

import bisect
import itertools
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from pmd.formats import archives
from pmd.store import storage
from pmd.terminal import bar

#: Pairs by which archives are judged. They are in order of hashes, so that an archive with 1 % of the pictures has some.
_LOOKED_AT: Final = 10_000

#: COCO's pictures in the archives of 2017, and in the older ones.
_OF_2017: Final = re.compile(r"[0-9]{12}\.jpg")
_OF_2014: Final = re.compile(r"COCO_(?:train|val|test)20(?:14|15)_([0-9]{12}\.jpg)")
_FOLDERS_OF_2014: Final = ("train2014", "val2014", "test2014", "test2015")

#: Locations from which on it is remembered which of them is the first.
_MANY: Final = 16


class Index:
    """Where the files of archives and folders stand.

    Args:
        locations: Base name → locations ("ARCHIVE!/MEMBER").

    Attributes:
        locations: The same.
    """

    def __init__(self, locations: Mapping[str, Sequence[str]]) -> None:
        self.locations: Final = locations
        self._alike: dict[str, _Alike] = {}

    def __bool__(self) -> bool:
        return bool(self.locations)

    def locate(self, file_name: str | None) -> str | None:
        """Return the location of a file: the one of just that path in an archive, else of a path that ends so, else of its name.

        Of COCO's pictures also that of its name in the archives of the other release.
        """
        if file_name is None:
            return None
        own = _base(file_name)
        base = next((name for name in (own, *_other_names(own)) if name in self.locations), None)
        if base is None:
            return None
        found = self.locations[base]
        return found[0] if len(found) == 1 else self._alike_of(base).nearest(_composed(file_name.removeprefix("./")))

    def _alike_of(self, base: str) -> _Alike:
        if base not in self._alike:
            self._alike[base] = _Alike(self.locations[base])
        return self._alike[base]


#: Of a source without archives.
NO_FILES: Final = Index({})


class _Alike:
    """Locations of several files of one name, in order of how they end."""

    def __init__(self, locations: Iterable[str]) -> None:
        pairs = sorted((_composed(one)[::-1], one) for one in locations)
        self._ends = [end for end, _ in pairs]
        self._locations = [one for _, one in pairs]
        #: Of ends that many have: the first of these. Each location is counted for as many ends as its path has folders.
        self._known: dict[str, str] = {}

    def nearest(self, path: str) -> str:
        """Return the first location of just a path in an archive, else of those that end with it, else of all."""
        ends = (f"{archives.MEMBER_SEPARATOR}{path}", f"{archives.MEMBER_SEPARATOR}./{path}", f"/{path}", "")
        return next(found for end in ends if (found := self._first(end)) is not None)

    def _first(self, end: str) -> str | None:
        turned = end[::-1]
        low = bisect.bisect_left(self._ends, turned)
        high = bisect.bisect_right(self._ends, turned, low, key=lambda one: one[: len(turned)])
        if high - low < _MANY:
            return min(self._locations[low:high], default=None)
        if end not in self._known:
            self._known[end] = min(self._locations[low:high])
        return self._known[end]


def index_archives(
    paths: Iterable[str], name_of: Callable[[str], str] = str, tell: Callable[[str], object] = lambda note: None
) -> Index:
    """Return the index, in order of names, of the files in archives and folders.

    Args:
        paths: Where they are.
        name_of: Gives what a path is called in locations.
        tell: Told of an archive that has a name several times, while its directory is at hand: another look may read it anew.

    Raises:
        InputError: A path is a file and no archive.
    """
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        is_folder = storage.is_folder(path)
        names = storage.list_files(path) if is_folder else [member.name for member in archives.members(path)]
        note = None if is_folder else archives.note_of_repeated(path)
        if note is not None:
            tell(note)
        for name in filter(storage.is_text, names):  # no annotation file has another
            by_name[_base(name)].append(f"{name_of(path)}!/{name}")
    return Index({name: sorted(locations) for name, locations in sorted(by_name.items())})


def note_of_archives(source: str, file_names: Iterable[str | None], index: Index) -> str | None:
    """Return what a person should know of archives that have none of a source's pictures, else None.

    Args:
        source: Whose archives they are.
        file_names: Those of its pairs, in any order but that of archives; the first thousands are looked at.
        index: See `index_archives`.
    """
    looked_at = list(itertools.islice(file_names, _LOOKED_AT))
    if not looked_at or any(index.locate(name) is not None for name in looked_at):
        return None
    found = next((locations[0] for locations in index.locations.values()), "no file")
    expected = next((name for name in looked_at if name is not None), None)
    if expected is None:
        return f"{source}: its annotations name no files of images, so that `images` is of no use"
    pairs = bar.amount(len(looked_at), "pairs")
    return f"{source}: `images` has no picture of {pairs}; expected files such as {expected}, found {found}"


def _other_names(base: str) -> list[str]:
    """Return what a picture of COCO's is called in its other archives: those of 2017 have no more than its id for a name."""
    older = _OF_2014.fullmatch(base)
    if older is not None:
        return [older[1]]
    return [f"COCO_{folder}_{base}" for folder in _FOLDERS_OF_2014] if _OF_2017.fullmatch(base) else []


def _base(name: str) -> str:
    return _composed(posixpath.basename(name.replace("\\", "/")))


def _composed(name: str) -> str:
    """Return a name in Unicode's form NFC: macOS writes "é" as two characters, annotation files as one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
