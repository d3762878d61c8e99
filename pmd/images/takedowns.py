"""Takedown lists: which lines they have, and which of them have taken nothing down.

A line that cannot be read is a mistake and not a comment: whoever asked for a takedown must not be ignored because of a slip.
A line that matches nothing is none, since a list may be older or wider than a ROOT, but is told.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.books import redirects
from pmd.errors import InputError
from pmd.formats import encoding
from pmd.images import aliases, names
from pmd.images.names import Named
from pmd.schema import keys
from pmd.store import clients, commits, parquet_files, root, sealed, storage
from pmd.store.register import Register
from pmd.store.standing import Standing
from pmd.terminal import bar
from pmd.text import urls

#: The reason of pairs that are taken down.
REASON: Final = "takedown"

#: What shows that words are more than one name: columns of a table, lines, a comment behind it, another address; behind the file
#: of a picture what ends a sentence or a quotation; a separator with nothing, a date, or words (a semicolon's may be one). All of
#: it would be one address, which matches nothing.
_MORE: Final = re.compile(
    r"[\t\r\n]|\s#|[\s,;]https?://"
    r"|\.(?:jpe?g|png|gif|webp)(?:[.\"'>)\]”’“»]+$|[,;](?:$|\d{4}-\d\d-\d\d|[^/=?&#]*(?:\s|[^\x00-\x7f]))|;[^/=?&#]*$)",
    re.IGNORECASE,
)
#: What may show it: such an address there may be, too.
_PERHAPS_MORE: Final = re.compile(r"[\s,;]")
#: How files begin that programs for tables write in place of text: zips (xlsx, ods) and xls.
_TABLES: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

#: What a line with more on it is told.
_ALONE: Final = "one name a line, and nothing behind it; a comma of the address itself may be written %2C"

#: Lines that are shown of many.
_SHOWN: Final = 5
#: And letters of a line that is no text.
_SHOWN_LETTERS: Final = 100


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a list.

    Attributes:
        place: "FILE:line N".
        said: The line.
        named: What it may mean.
        known: The images that have these bytes, or look so, or whose address has led to what it names, as far as the ledger knows
            (`resolved`).
    """

    place: str
    said: str
    named: Named
    known: frozenset[bytes] = frozenset()

    @property
    def ids(self) -> frozenset[bytes]:
        """The keys that it means: of images, or of a pair."""
        own = [] if self.named.key is None else [self.named.key]
        return self.known.union(own, self.named.image_ids)

    @property
    def rows(self) -> frozenset[str]:
        """The rows that it means, as SOURCE/ID."""
        return frozenset("/".join(row) for row in self.named.rows)

    @property
    def is_of_ledger(self) -> bool:
        """Whether the ledger may tell of images that it means: by their bytes, or by where their addresses have led."""
        return self.named.is_of_bytes or any(True for _ in self.says)

    @property
    def says(self) -> Iterator[tuple[str, str | bytes]]:
        """What it says, as addresses say it (`pmd.suppression.addresses`): (kind, value)."""
        yield from (("image", key) for key in self.named.image_ids)
        if self.named.key is not None:
            yield "image", self.named.key
        yield from (("url", urls.alike_one(url)) for url in self.named.urls)
        if self.named.is_picture:
            yield from (("post", row) for row in self.rows)


def lines(paths: Iterable[str], sources: Collection[str] = ()) -> list[Line]:
    """Read takedown lists: an image or pair a line, in any of `names.FORMS`; a line of "#" is a comment.

    Args:
        paths: The lists. Pictures that they name lie beside them, or under a path from the root.
        sources: The names of sources, beside those that have a manifest, whose rows may be named.

    Raises:
        InputError: Lines are none of these, or pages of many pictures; all of them are counted, the first few shown. A line
            is not UTF-8.
    """
    if not paths:
        return []
    from pmd import manifests  # here: most builds have no such list

    known = frozenset({*manifests.load_all(), *sources})
    read = [_read(path, known) for path in paths]
    wrong = [slip for one in read for slip in one.wrong]
    if wrong:
        from pmd.suppression import people  # here, as above: it reads manifests in

        url = next(filter(None, (names.with_scheme(said) for _, said in wrong[:_SHOWN])), None)
        whose = any(people.user(said, known) or people.host(said) for _, said in wrong)
        added = "; whom or which host it is of, pmd takedown add takes" if whose else ""
        begins = "" if url is None else f" (a URL begins with its scheme: {url})"
        begins += f" ({_ALONE})" if any(_MORE.search(said) for _, said in wrong) else ""
        more = f"; and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
        raise InputError(
            "takedown: a line names nothing" if len(wrong) == 1 else f"takedown: {len(wrong):,} lines name nothing",
            where=", ".join(place for place, _ in wrong[:_SHOWN]) + more,
            expected=f"{names.FORMS}; # begins a line of comment",
            found=", ".join(said for _, said in wrong[:_SHOWN]),
            remedy=f"mend the lines{begins}{added}; nothing was run, so that nobody's request is passed over",
        )
    return [line for one in read for line in one.lines]


@dataclasses.dataclass(frozen=True)
class _List:
    """A list that was read: its lines, the places and words of those that name nothing, and whether it names a picture's file."""

    lines: tuple[Line, ...]
    wrong: tuple[tuple[str, str], ...]
    has_files: bool


def _read(path: str, known: frozenset[str]) -> _List:
    """Read a list; a command asks for it several times, and of the same bytes it is parsed once."""
    digest = commits.sha256(storage.read_bytes(path))
    found = _parsed(path, digest, known)
    if found.has_files or found.wrong:  # what pictures hold, and whether they are there, is part of what the list says
        _parsed.cache_clear()
    return found


@functools.lru_cache(maxsize=4)
def _parsed(path: str, digest: str, known: frozenset[str]) -> _List:
    listed: list[Line] = []
    wrong: list[tuple[str, str]] = []
    beside = _Beside(path)
    for place, said in words(storage.read_bytes(path), path):
        named = names.read(said, known, beside)
        if named is not None and not named.is_of_many and not is_more(named, said):
            listed.append(Line(place, said, named))
        else:
            wrong.append((place, said))
    # A digest that is written down says all of it; a file of pictures has three.
    has_files = any(line.named.sha256 is not None and line.named.stored is not None for line in listed)
    return _List(tuple(listed), tuple(wrong), has_files)


def is_more(named: Named, said: str) -> bool:
    """Return whether words are surely more than one name. An id of somebody's own rows may have a blank and "#" in it."""
    return named.is_in_words and (_MORE.search(said) is not None if named.urls else "\t" in said)


def words(content: bytes, where: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a list that are no comments, and not empty: the place, and what is said there.

    Raises:
        InputError: It is no text in UTF-8.
    """
    for number, line in enumerate(_text(content, where).splitlines(), start=1):
        said = names.bare(line)
        if said and not said.startswith("#"):
            yield f"{where}:line {number}", said


def _text(content: bytes, path: str) -> str:
    content = encoding.without_mark(content, path)
    if content.startswith(_TABLES):
        raise InputError(
            "a takedown list is no text",
            where=path,
            expected="a text in UTF-8, one name a line",
            found="a file of a program for tables, or an archive",
            remedy="save the one column of addresses as text in UTF-8, without a heading",
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start)
        raise InputError(
            "the text is not UTF-8",
            where=f"{path}:line {line + 1}",
            expected="a takedown list in UTF-8",
            found=repr(content.split(b"\n")[line])[:_SHOWN_LETTERS],
            remedy="convert it: iconv -f ENCODING -t UTF-8 FILE > NEW",
        ) from None


class _Beside:
    """Gives the paths of pictures that a list names; a folder beside it is looked for once, however many rows are called so."""

    def __init__(self, path: str) -> None:
        self._above = path.rpartition("/")[0]
        self._folders: dict[str, bool] = {}

    def __call__(self, said: str) -> str | None:
        if "://" in said:
            return said
        folder, slash, _ = said.partition("/")
        if folder and slash and not self._has(folder):
            return None
        return storage.resolved(storage.join(self._above, said))

    def _has(self, folder: str) -> bool:
        if folder not in self._folders:
            try:
                self._folders[folder] = storage.is_folder(storage.resolved(storage.join(self._above, folder)))
            except (OSError, ValueError) as error:  # no name that a folder can have
                if clients.fails(error):
                    raise
                self._folders[folder] = False
        return self._folders[folder]


#: What a driver remembers of all that stands: the images that lines mean, as the ledger tells.
NAMED: Final = "named"
#: How that was found out: raised when more is asked of the ledger. 2: where redirects have led.
_ASKED: Final = 2


def resolved(there: Standing, listed: Sequence[Line]) -> list[Line]:
    """Return lines with the images that the ledger knows by what they name: by bytes and looks, and by where addresses have led.

    No ledger is read where no line asks it, nor where it is remembered.
    """
    asking = [line for line in listed if line.is_of_ledger]
    if not asking:
        return [*listed]
    of_pictures = [[line.named.sha256, line.named.stored, line.named.pdq] for line in listed]
    digests = [[digest and digest.hex() for digest in named] for named in of_pictures]
    key = commits.options_hash([_ASKED, [line.said for line in listed], digests, there.generations.digest])
    kept = there.generations.answers.get(NAMED, {})
    if kept.get("key") == key:
        ids_of = {line: frozenset(map(bytes.fromhex, ids)) for line, ids in kept["ids"].items()}
        return [dataclasses.replace(line, known=ids_of.get(line.said, frozenset())) for line in listed]
    led = led_to(there.generations, listed)
    known = names.with_bytes(there.generations, [line.named for line in listed])
    found = [
        dataclasses.replace(line, known=frozenset(ids | led[at]))
        for at, (line, ids) in enumerate(zip(listed, known, strict=True))
    ]
    there.found[NAMED] = {"key": key, "ids": {line: ids for line, ids in by_ledger(found).items() if ids}}
    return found


def led_to(known: Register, listed: Sequence[Line]) -> list[set[bytes]]:
    """Return for each line the images whose address has led to what it names, by what stands of the fetch."""
    from pmd.suppression import addresses  # here, as above: it reads manifests in

    found: list[set[bytes]] = [set() for _ in listed]
    wanted: dict[str, dict[str | bytes, list[int]]] = {}
    for at, line in enumerate(listed):
        for kind, value in line.says:
            wanted.setdefault(kind, {}).setdefault(value, []).append(at)
    for batch in redirects.led(known) if wanted else ():
        for said in addresses.said(batch["address"]):
            if said.kind not in wanted:
                continue
            for row, value in addresses.said_among(said, wanted[said.kind].keys()):
                for at in wanted[said.kind][value]:
                    found[at].add(batch["image_id"][row].as_py())
    return found


def by_ledger(listed: Iterable[Line]) -> dict[str, list[str]]:
    """Return what images the lines mean by what the ledger tells: line → keys. It changes as pictures become known.

    A line that names a picture by its bytes is told though none is known: it is the ledger's to say.
    """
    return {
        line.said: sorted(key.hex() for key in line.known) for line in listed if line.known or line.named.is_of_bytes
    }


def base_of(row: str) -> str:
    """Return SOURCE/ID of a row without the number of a repeat."""
    base, mark, number = row.rpartition("#")
    return base if mark and number.isdecimal() else row


def rejected_links(root_url: str, sources: Iterable[str]) -> set[tuple[bytes, bytes]]:
    """Return (image, another identity of the same photograph), by key, of the rows that curate has rejected.

    A source may know of a photograph what no other does, and have rejected all its rows of it: COCO's of evaluation images.
    Others have the photograph still, under the identity that COCO alone knows to be the same.
    """
    found: set[tuple[bytes, bytes]] = set()
    for source in sources:
        folder = root.curate_folder(root_url, source)
        for file in commits.require(folder, "run: pmd curate CONFIG").under("rejected"):
            for table in aliases.with_also(storage.join(folder, file.name), ["image_id", "also"]):
                linked = (
                    table.filter(pc.is_valid(table["image_id"]))
                    .group_by(["image_id", "also"], use_threads=False)
                    .aggregate([])
                )
                others = map(keys.image_id, linked["also"].to_pylist())
                found.update(zip(linked["image_id"].to_pylist(), others, strict=True))
    return found


def unmatched(
    root_url: str, sources: Iterable[str], listed: Sequence[Line], links: Iterable[tuple[bytes, bytes]] = ()
) -> list[Line]:
    """Return the lines because of which no pair has left, by the commits as they stand.

    Reads the keys of all pairs once, and more only of those that were taken down.

    Args:
        root_url: ROOT.
        sources: The sources.
        listed: The lines.
        links: See `rejected_links`.
    """
    views = root.views_folder(root_url)
    hits: set[bytes] = set()
    said: set[str] = set()  # URLs as `urls.alike`, and SOURCE/ID
    left: set[bytes] = set()
    for file in commits.require(views, "run: pmd images CONFIG").under("rejected") if listed else ():
        rows = parquet_files.read_table(views, file, ["reason", "pair_id", "image_id"])
        rows = rows.filter(pc.equal(rows["reason"], REASON))
        left.update(rows["pair_id"].to_pylist())
        hits.update(rows["image_id"].to_pylist())
    hits |= left
    for source in sources if left else ():
        folder = root.curate_folder(root_url, source)
        for file in commits.require(folder, "run: pmd curate CONFIG").under("pairs"):
            for row in _described(storage.join(folder, file.name), left):
                hits.add(row["image_id"])
                if row["also"] is not None:
                    hits.add(keys.image_id(row["also"]))
                forms = map(urls.canonical_one, filter(None, [row["image_url"], *(row["mirrors"] or ())]))
                said.update(urls.alike_one(form) for form in forms if form is not None)
                own = f"{source}/{row['source_id']}"
                said.update((own, base_of(own)))
    hits |= {key for link in links if not hits.isdisjoint(link) for key in link}
    return [
        line for line in listed if not (line.ids & hits or {*map(urls.alike_one, line.named.urls), *line.rows} & said)
    ]


def _described(path: str, pair_ids: Set[bytes]) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    with sealed.open_checked(path) as raw:
        parquet = pq.ParquetFile(raw)
        for group in range(parquet.num_row_groups):
            there = keys.are_among(parquet.read_row_group(group, ["pair_id"], use_threads=False)["pair_id"], pair_ids)
            if pc.any(there).as_py():
                rows = parquet.read_row_group(
                    group, ["image_id", "also", "image_url", "mirrors", "source_id"], use_threads=False
                )
                described += rows.filter(there).to_pylist()
    return described


def note(listed: Sequence[Line], without: Sequence[Line]) -> str | None:
    """Return in words which lines have taken nothing down, or None where all have."""
    if not without:
        return None
    match = "matches" if len(without) == 1 else "match"
    said = f"takedown: {len(without):,} of {bar.amount(len(listed), 'lines')} {match} no pair of this ROOT: {_places(without)}"
    if any(line.named.is_of_bytes for line in without):
        said += "; a picture that is named by its bytes is known only when it has been fetched, and leaves then"
    more = [line for line in without if line.named.is_in_words and _PERHAPS_MORE.search(line.said) is not None]
    if more:
        said += f"; lines with a blank, comma or semicolon, all of which is taken for one name: {len(more):,} ({_places(more)}). "
        said += "Where they are columns, leave one name a line"
    return said


def _places(listed: Sequence[Line]) -> str:
    return ", ".join(line.place for line in listed[:_SHOWN]) + (", …" if len(listed) > _SHOWN else "")
