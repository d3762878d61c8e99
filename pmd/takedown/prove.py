"""Proving that what was taken down is gone: every file under ROOT is read, unpacked, and asked for all that it holds.

No place is known to be the right one. What is asked of each value: whether a suppression list names it, as an id, an
identity, a URL or its host, a user, a digest, a picture. Where words are given (`requests.FORMS`), they are asked for as well, as
they were said and in all the forms that they mean; a list alone cannot be searched for, since it names nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import functools
import hashlib
import html
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Final
from urllib import parse

from pmd import codec, escape, flow
from pmd.errors import PmdError
from pmd.publish import folder, withdrawn
from pmd.publish.find import index
from pmd.publish.find import page as find_page
from pmd.schema import keys
from pmd.store import older, storage
from pmd.suppression import addresses, kept_out, lists, people, rows
from pmd.suppression.lists import Suppression
from pmd.takedown import decoded
from pmd.takedown.requests import Word, values_of
from pmd.terminal import bar
from pmd.text import pages

#: What may be left, as it is told.
WORDS: Final = "the words that were given"
LEFT: Final = {
    "image": "an id or identity of an image",
    "pair": "the id of a pair",
    "row": "the id of a row",
    "user": "a user",
    "host": "a host",
    "url": "a URL",
    "sha256": "a SHA-256, or a picture that has it",
    "stored": "a digest of stored bytes, or a picture that has it",
    "looks": "a perceptual hash, or a picture that looks so",
    "words": WORDS,
    "unread": "what cannot be read or unpacked",
}

_HEX: Final = re.compile(r"(?<![0-9a-zA-Z])(?:[0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-zA-Z])", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"https?://[^\s\"'<>\\]+", re.IGNORECASE)
_IDENTITY: Final = re.compile(
    r"(?<![0-9A-Za-z_])(?:flickr|coco|visual_genome|openimages|imgur|ade20k|url):[^\s\"'<>,]+"
)
#: What a text has in it that is escaped as pages, URLs or scripts do.
_ESCAPES: Final = re.compile(r"%[0-9A-Fa-f]{2}|&#|&amp;|\\/|\\u00")
_JSON_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_RUN: Final = re.compile(rb"[0-9A-Za-z]+")
#: What stands before and behind a word that stands by itself.
_ALONE: Final = (rb"(?<![0-9A-Za-z])", rb"(?![0-9A-Za-z])")
#: And a host or a URL: garden-blog.example and blog.example.org are other hosts than blog.example, img.blog.example is below it.
_URL: Final = (_ALONE[0] + rb"(?<![0-9A-Za-z][-_])", _ALONE[1])
_HOST: Final = (_URL[0], _ALONE[1] + rb"(?![-_.][0-9A-Za-z])")
_FILE: Final = re.compile(r"(?:COCO_[a-z]+20\d\d_)?[0-9]{12}\.jpg")
_EMBEDDED: Final = re.compile(r"base64,([A-Za-z0-9+/]{64,}={0,2})")
_FIND: Final = f"{flow.RELEASE}/{folder.FIND}"
#: Where ids of what has left are published, of all causes together.
_WITHDRAWN: Final = (f"{flow.RELEASE}/{withdrawn.FILE}", "column pair_id")
_KEY_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
#: What is told in the place of a file where a bucket does not let its older versions be listed.
OLDER: Final = "(older versions)"
#: What is shorter is no picture.
_PICTURE_BYTES: Final = 33
_REMEMBERED: Final = 2**18
#: What nearly everything holds: each empty set of its own would take 216 bytes.
_NOTHING: Final[frozenset[str]] = frozenset()
#: Bytes of a name that a shard's number may cover, and one more.
_SHARD_BYTES: Final = 4
#: Words that may be looked for at once, wherever one of them may stand.
_FEW: Final = 8
#: The same addresses and texts stand in many files; longer texts are looked at each time.
_SHORT: Final = 1024


@dataclasses.dataclass(frozen=True)
class Left:
    """Something that is left: in which file, where in it, what (of `LEFT`), and how often."""

    file: str
    place: str
    what: str
    count: int

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {**dataclasses.asdict(self), "says": LEFT[self.what]}


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was looked through, and what was found.

    Attributes:
        files: Files, and older versions that a bucket keeps of them.
        bytes: Of all.
        left: What is left.
        notes: What could not be looked at, since nobody can: in words.
    """

    files: int
    bytes: int
    left: tuple[Left, ...]
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "left": [item.describe() for item in self.left],
            "notes": [*self.notes],
        }


def render(proof: Proof) -> str:
    """Return it as people read it."""
    looked = f"{bar.amount(proof.files, 'files')}, {proof.bytes:,} bytes looked through"
    notes = [f"  note: {escape.terminal(note)}" for note in proof.notes]
    if not proof.left:
        return "\n".join([f"{looked}: nothing is left of what was taken down.", *notes])
    are = "is" if len(proof.left) == 1 else "are"
    lines = [f"{looked}: {bar.amount(len(proof.left), 'places')} {are} left"]
    for item in proof.left:
        place = f", {escape.terminal(item.place)}" if item.place else ""
        lines.append(f"  {escape.terminal(item.file)}{place}: {LEFT[item.what]} ({item.count:,})")
    lines.append(
        "run: pmd takedown apply CONFIG; what is left then stands in a row of somebody else's, which must be named itself "
        "(SOURCE/ID), or in what pmd has not written, which a person must mend or remove"
    )
    lines += notes
    return "\n".join(lines)


def prove(
    root_url: str,
    standing: Suppression,
    words: Sequence[Word] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Proof:
    """Look through every file under ROOT, and every older version that a bucket keeps of them.

    Args:
        root_url: ROOT.
        standing: The lists that hold.
        words: What is to be looked for besides.
        progress: Told of how many files are done, of how many.
    """
    with contextlib.suppress(PmdError):  # damage is told below, by the file that has it
        # What these lists mean besides, by rows that they have kept out: other sources may show the same pictures.
        standing = Suppression((*standing.lists, *kept_out.standing(root_url, standing).lists))
    look = _Look(standing, words)
    names = storage.list_files(root_url)
    kept = older.found(root_url)
    versions = [one for one in kept.versions if not one.is_marker]
    left: list[Left] = []
    size, total = 0, len(names) + len(versions)
    for number, name in enumerate(names):
        path = storage.join(root_url, name)
        found = Counter((what, "its name") for what in look.at(decoded.Piece("", name)))
        try:
            size += storage.size(path)
            with storage.open_raw(path) as file:
                found += _found_in_file(look, name, file)
        except (OSError, PmdError):
            if storage.exists(path):  # else it was a temporary of somebody who writes
                found["unread", ""] += 1
        left += _as_left(name, found)
        progress(number + 1, total)
    for number, one in enumerate(versions):
        size += one.bytes
        try:
            with older.opened(root_url, one) as file:
                found = _found_in_file(look, one.name, file)
        except (OSError, PmdError):
            found = Counter({("unread", ""): 1})
        left += _as_left(f"{one.name} (older version {one.version})", found)
        progress(len(names) + number + 1, total)
    if kept.unlisted is not None:
        left.append(Left(OLDER, kept.unlisted, "unread", 1))
    held_back = older.held_back(root_url)
    return Proof(total, size, tuple(left), () if held_back is None else (held_back,))


def _found_in_file(look: _Look, name: str, file: BinaryIO) -> Counter[tuple[str, str]]:
    """Return what is found in a file: (what of `LEFT`, the place) → how often."""
    found: Counter[tuple[str, str]] = Counter()
    for piece in decoded.pieces(file):
        kinds = look.at(_without_own_code(name, piece))
        if piece.place.endswith(decoded.CLOSED) and piece.content == "":
            kinds = {"unread"}
        if (name, piece.place) == _WITHDRAWN:
            kinds -= {"pair", "image", "words"}
        if name == lists.PLACE:
            kinds.discard("looks")  # those that the person agreed to
        found.update((what, piece.place) for what in kinds)
    return found


def _as_left(name: str, found: Counter[tuple[str, str]]) -> list[Left]:
    return [Left(name, place, what, count) for (what, place), count in sorted(found.items())]


def _without_own_code(name: str, piece: decoded.Piece) -> decoded.Piece:
    """Return a piece of the page that finds images without its scripts: they name hosts whatever is in the lists."""
    if name != _FIND or not isinstance(piece.content, str):
        return piece
    content = piece.content
    for script in find_page.SCRIPTS:
        content = content.replace(find_page.read(script), "")
    return dataclasses.replace(piece, content=content)


class _Look:
    """Looks at pieces.

    Args:
        standing: The lists that hold.
        words: What is to be looked for besides.
    """

    def __init__(self, standing: Suppression, words: Sequence[Word]) -> None:
        said = lists.new().with_values(values_of(words), _looks(words))
        self._lists = Suppression((*standing.lists, said))
        self._needles = _Needles(words)
        self._names = _names(words)
        self._holds = functools.lru_cache(maxsize=_REMEMBERED)(self._lists.holds)
        self._short = functools.lru_cache(maxsize=_REMEMBERED)(lambda text: frozenset(self._in_text(text)) or _NOTHING)
        self._pictures: dict[bytes, frozenset[str]] = {}

    def at(self, piece: decoded.Piece) -> set[str]:
        """Return what of `LEFT` a piece holds."""
        if piece.source is not None:
            return {"row"} if self._is_row(piece.source, str(piece.content)) else set()
        if isinstance(piece.content, str):
            return {*self._text(piece.content)}
        if isinstance(piece.content, bytes):
            return {*self._bytes(piece.content)}
        return {*self._json(piece.content)}

    def _is_row(self, source: str, source_id: str) -> bool:
        named = {f"{source}/{one}" for one in (source_id, re.sub(rows.REPEAT, "", source_id))}
        return any(self._holds(kind, one) for kind in ("row", "post") for one in named)

    def _bytes(self, content: bytes) -> Iterator[str]:
        if self._needles.found(content):
            yield "words"
        if len(content) == _KEY_BYTES:
            yield from (kind for kind in ("image", "pair", "stored") if self._holds(kind, content))
        elif len(content) == _DIGEST_BYTES:
            yield from self._digest(content)
        if len(content) >= _PICTURE_BYTES:
            yield from self._long(content)
        else:
            yield from self._text(content.decode("latin-1"))

    def _long(self, content: bytes) -> frozenset[str]:
        """Return what bytes hold that may be a picture; the same picture stands in several files, and is looked at once."""
        digest = keys.digest(content)
        if digest not in self._pictures:
            if len(self._pictures) >= _REMEMBERED:
                self._pictures.clear()
            found = frozenset({*self._picture(content), *self._in_text(content.decode("latin-1"))})
            self._pictures[digest] = found or _NOTHING
        return self._pictures[digest]

    def _digest(self, content: bytes) -> Iterator[str]:
        if self._holds("sha256", content):
            yield "sha256"
        if self._is_alike(content):
            yield "looks"

    def _is_alike(self, seen: bytes) -> bool:
        return bool(self._lists.looks) and self._lists.kept_looks.has_near(seen)

    def _picture(self, content: bytes) -> Iterator[str]:
        if self._holds("sha256", hashlib.sha256(content).digest()):
            yield "sha256"
        if self._holds("stored", keys.digest(content)):
            yield "stored"
        if self._lists.looks and codec.sniff(content) is not None:
            try:
                seen = codec.hash_of(content, codec.Limits())
            except codec.Refused:
                return
            if seen is not None and self._is_alike(seen):
                yield "looks"

    def _text(self, text: str) -> Iterable[str]:
        return self._short(text) if len(text) <= _SHORT else self._in_text(text)

    def _in_text(self, text: str) -> Iterator[str]:
        """Yield what a text holds, as it stands and, where it is escaped for a page, a URL or a script, as it means."""
        yield from self._as_it_stands(text)
        if _ESCAPES.search(text) and (meant := _unescaped(text)) != text:
            yield from self._as_it_stands(meant)

    def _as_it_stands(self, text: str) -> Iterator[str]:
        if self._needles.found(text.encode("utf-8", "surrogatepass")):
            yield "words"
        if self._names and self._names & index.kept(text):
            yield "words"
        for match in _HEX.findall(text):
            found = bytes.fromhex(match)
            if len(found) == _DIGEST_BYTES:
                yield from self._digest(found)
            else:
                yield from (kind for kind in ("image", "pair", "stored") if self._holds(kind, found))
        for address in _ADDRESS.findall(text):
            yield from self._address(address.rstrip(").,;"))
        identities = {*_IDENTITY.findall(text)}
        for name in _FILE.findall(text):
            page = pages.coco_file(name)
            identities.update(() if page is None else page.identities)
        if any(self._holds("image", keys.image_id(identity)) for identity in identities):
            yield "image"
        for embedded in _EMBEDDED.findall(text):
            try:
                yield from self._picture(base64.b64decode(embedded, validate=True))
            except binascii.Error:
                continue

    def _address(self, address: str) -> Iterator[str]:
        held = (kind for kind, value in addresses.said_by(address) if self._holds(kind, value))
        return ("row" if kind == "post" else kind for kind in held)

    def _json(self, content: Any) -> Iterator[str]:
        if isinstance(content, dict):
            if any(self._holds("user", user) for user in people.in_fields(content)):
                yield "user"
            source, source_id = content.get("source"), content.get("source_id")
            if isinstance(source, str) and isinstance(source_id, str) and self._is_row(source, source_id):
                yield "row"
            for name, value in content.items():
                yield from self._text(name)
                yield from self._json(value)
        elif isinstance(content, list):
            for value in content:
                yield from self._json(value)
        elif isinstance(content, str):
            yield from self._text(content)


def _unescaped(text: str) -> str:
    """Return a text without the escapes of JSON, HTML and URLs, in this order."""
    text = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text.replace("\\/", "/"))
    return parse.unquote(html.unescape(text))


def _names(words: Iterable[Word]) -> frozenset[bytes]:
    """Return what the index of find.html may have of words' images: of a name those bytes that no shard's number covers."""
    named = [word.named for word in words if word.named is not None]
    keys_of = [key for one in named for key in (one.key, one.sha256, *one.image_ids) if key is not None]
    return frozenset(key[skip : skip + index.NAME_BYTES] for key in keys_of for skip in range(_SHARD_BYTES))


def _looks(words: Iterable[Word]) -> set[bytes]:
    found = (word.named.pdq for word in words if word.named is not None)
    return {look for look in found if look is not None and codec.is_telling(look)}


class _Needles:
    """Finds words as they were said, and what they mean, where they stand by themselves; many cost what one does.

    A needle is looked for only in what holds one of its runs of letters and digits, as a run: the longest that few needles have.
    All addresses of a host may have the host's name for their longest.

    Args:
        words: The words.
    """

    def __init__(self, words: Iterable[Word]) -> None:
        runs_of: dict[bytes, frozenset[bytes]] = {}  # by the needle's pattern
        for said, (before, behind) in _spelled(words):
            needle = said.encode().lower()
            runs_of[before + re.escape(needle) + behind] = frozenset(_RUN.findall(needle))
        having = Counter(run for runs in runs_of.values() for run in runs)
        by_run: dict[bytes, set[bytes]] = defaultdict(set)
        for pattern, runs in runs_of.items():
            by_run[min(runs, key=lambda run: (max(having[run], _FEW), -len(run), run), default=b"")].add(pattern)
        self._bare = frozenset(by_run.pop(b"", ()))  # without any
        self._by_run = {run: frozenset(needles) for run, needles in by_run.items()}

    def found(self, content: bytes) -> bool:
        """Return whether one stands in some bytes."""
        if not self._by_run and not self._bare:
            return False
        there = self._by_run.keys() & {*_RUN.findall(content.lower())}
        needles = self._bare.union(*(self._by_run[run] for run in there))
        return bool(needles) and _any_of(needles).search(content) is not None


@functools.lru_cache(maxsize=64)
def _any_of(patterns: frozenset[bytes]) -> re.Pattern[bytes]:
    return re.compile(b"|".join(sorted(patterns)), re.IGNORECASE)


def _spelled(words: Iterable[Word]) -> Iterator[tuple[str, tuple[bytes, bytes]]]:
    """Yield what is looked for as it stands, and what must stand before and behind it."""
    for word in words:
        if word.user is not None:
            name = word.user.partition("/")[2]
            yield from ((said, _ALONE) for said in (name, parse.quote(name, safe="")))
        elif word.host is not None:
            yield word.host, _HOST
        elif word.named is not None:
            named = word.named
            yield from ((url.partition("://")[2], _URL) for url in named.urls)
            digests = (named.key, named.sha256, named.stored, *named.image_ids)
            others = [*named.identities, *map("/".join, named.rows)]
            others += [digest.hex() for digest in digests if digest is not None]
            yield from ((said, _ALONE) for said in others)
