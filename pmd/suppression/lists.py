"""Suppression lists: what was taken down, told by HMACs alone, so that a rebuild keeps it out.

A list has a random secret, and of each thing HMAC-SHA256 under it. Who has the list can ask whether it names a thing that he has
already, and cannot read from it what it names. Who has the list without the secret cannot even ask. The secret therefore
travels with the list, to whoever rebuilds, and to nobody else.

How a picture looks is no word that a digest can stand for: two that look alike have hashes that differ in a few bits. A
perceptual hash stands in a list as it is, and only where the person has agreed.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from pmd.books import pictures
from pmd.config import Config
from pmd.errors import InputError
from pmd.store import commits, storage

#: Where a ROOT keeps its own list.
FOLDER: Final = "takedown"
FILE: Final = "suppression.json"
#: The same, as it stands under ROOT.
PLACE: Final = f"{FOLDER}/{FILE}"
#: In that folder, what tells that takedowns were carried out (`pmd.takedown.receipts`).
RECEIPTS: Final = "receipts.jsonl"
#: And what waits to be carried out (`pmd.takedown.requests`).
REQUESTS: Final = "requests.jsonl"

FORMAT: Final = "pmd suppression list"
VERSION: Final = 1
_SECRET_BYTES: Final = 32
#: SHA-256 works on so many at a time.
_BLOCK_BYTES: Final = 64
#: Of a file so much tells whether it is a list.
_HEAD_BYTES: Final = 64

#: What a list may name, each kind with values of its own: image_ids and pair_ids; rows ("SOURCE/ID"), users
#: (`people.user_key`), hosts and canonical URLs; of pictures the SHA-256 of the original, and XXH3-128 of what was stored; and
#: posts ("SOURCE/ID" again), rows that are named by their page, so that their pictures are meant. By `SHARED` nothing is kept
#: out: it is the SHA-256 of pictures that are nobody's, a host's placeholder, of which an image was taken down.
SHARED: Final = "shared"
KINDS: Final = ("image", "pair", "row", "user", "host", "url", "sha256", "stored", "post", SHARED)
#: Those that a file has only where they name something: versions before them refuse a list that has them.
_LATER: Final = frozenset({"post", SHARED})

Entries = Mapping[str, frozenset[bytes]]


@dataclasses.dataclass(frozen=True)
class List:
    """One list.

    Attributes:
        secret: Of the HMACs.
        entries: Kind → HMACs.
        looks: Perceptual hashes, as they are.
    """

    secret: bytes
    entries: Entries = dataclasses.field(default_factory=dict)
    looks: frozenset[bytes] = frozenset()

    @property
    def identity(self) -> str:
        """What tells this list from every other, whatever it comes to name: nothing can be asked with it."""
        return self.hmac("list", "").hex()[:32]

    @property
    def size(self) -> int:
        """How many things it names. A ROOT's own list only grows."""
        return sum(map(len, self.entries.values())) + len(self.looks)

    def hmac(self, kind: str, value: str | bytes) -> bytes:
        """Return what stands in the list for a thing."""
        raw = value.encode() if isinstance(value, str) else value
        return hmac.digest(self.secret, kind.encode() + b"\0" + raw, hashlib.sha256)

    def holds(self, kind: str, value: str | bytes) -> bool:
        """Return whether the list names a thing."""
        known = self.entries.get(kind, frozenset())
        return bool(known) and self.hmac(kind, value) in known

    def among(self, kind: str, values: Iterable[str | bytes]) -> set[str | bytes]:
        """Return those of some values that the list names, as `holds` says of each, in a third of the time."""
        known = self.entries.get(kind, frozenset())
        if not known:
            return set()
        # RFC 2104, with what is the same for all values hashed once.
        key = (self.secret if len(self.secret) <= _BLOCK_BYTES else hashlib.sha256(self.secret).digest()).ljust(
            _BLOCK_BYTES, b"\0"
        )
        begun = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + kind.encode() + b"\0")
        around = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
        found: set[str | bytes] = set()
        for value in values:
            inner, outer = begun.copy(), around.copy()
            inner.update(value.encode() if isinstance(value, str) else value)
            outer.update(inner.digest())
            if outer.digest() in known:
                found.add(value)
        return found

    def with_values(self, values: Mapping[str, Iterable[str | bytes]], looks: Iterable[bytes] = ()) -> List:
        """Return the list with more in it."""
        entries = {
            kind: self.entries.get(kind, frozenset()).union(self.hmac(kind, value) for value in values.get(kind, ()))
            for kind in KINDS
        }
        return List(self.secret, entries, self.looks.union(looks))

    def with_shared_alone(self) -> List:
        """Return what the list says of pictures that are nobody's, and nothing that it keeps out."""
        return List(self.secret, {SHARED: self.entries.get(SHARED, frozenset())})

    def with_entries(self, more: Entries) -> List:
        """Return the list with more in it that are its own HMACs already."""
        entries = {kind: self.entries.get(kind, frozenset()).union(more.get(kind, ())) for kind in KINDS}
        return List(self.secret, entries, self.looks)


@dataclasses.dataclass(frozen=True)
class Suppression:
    """All lists that hold in a build; false where they name nothing."""

    lists: tuple[List, ...] = ()

    def __bool__(self) -> bool:
        return any(one.looks or any(one.entries.values()) for one in self.lists)

    @functools.cached_property
    def looks(self) -> frozenset[bytes]:
        """The perceptual hashes of all lists."""
        return frozenset().union(*(one.looks for one in self.lists))

    @functools.cached_property
    def kept_looks(self) -> pictures.Looks:
        """They, as others are held to them."""
        return pictures.Looks(self.looks)

    def entries_of(self, identity: str) -> Entries:
        """Return what the list of an identity has; nothing where there is none."""
        return next((one.entries for one in self.lists if one.identity == identity), {})

    def has(self, kind: str) -> bool:
        """Return whether anything of a kind is named at all."""
        return any(one.entries.get(kind) for one in self.lists)

    def holds(self, kind: str, value: str | bytes) -> bool:
        """Return whether a list names a thing."""
        return bool(self.lists) and any(one.holds(kind, value) for one in self.lists)

    def among(self, kind: str, values: Iterable[str | bytes | None]) -> set[str | bytes]:
        """Return those of some values that a list names; each is looked at once, however often it comes."""
        if not self.has(kind):
            return set()
        distinct = [value for value in {*values} if value is not None]
        return set().union(*(one.among(kind, distinct) for one in self.lists))


def new() -> List:
    """Return an empty list, with a secret of its own."""
    return List(secrets.token_bytes(_SECRET_BYTES))


def to_bytes(one: List) -> bytes:
    """Return a list as its file has it: of the same entries the same bytes."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "secret": one.secret.hex(),
        "entries": {
            kind: sorted(entry.hex() for entry in one.entries.get(kind, ()))
            for kind in KINDS
            if kind not in _LATER or one.entries.get(kind)
        },
        "looks": sorted(look.hex() for look in one.looks),
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def from_bytes(content: bytes, where: str) -> List:
    """Parse a list's file.

    Raises:
        InputError: It is none. What stands in it is not repeated.
    """
    try:
        raw: dict[str, Any] = orjson.loads(content)
        if raw["format"] != FORMAT or raw["version"] != VERSION:
            raise ValueError
        if not {*raw["entries"]} <= {*KINDS}:
            raise InputError(
                "a suppression list of a later version of pmd",
                where=where,
                expected=f"entries of the kinds that this one knows: {', '.join(KINDS)}",
                found="others, too",
                remedy="install the version of pmd that has written it, or a later one",
            )
        entries = {kind: frozenset(map(bytes.fromhex, raw["entries"].get(kind, ()))) for kind in KINDS}
        return List(bytes.fromhex(raw["secret"]), entries, frozenset(map(bytes.fromhex, raw["looks"])))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "not a suppression list of this version of pmd",
            where=where,
            expected=f'a JSON object with "format": "{FORMAT}" and "version": {VERSION}',
            remedy="take the file takedown/suppression.json of the ROOT that it comes from, as it stands there",
        ) from None


def path_of(root: str) -> str:
    """Return where a ROOT keeps its own list."""
    return storage.join(root, FOLDER, FILE)


def paths(root: str, named: Iterable[str]) -> tuple[str, ...]:
    """Return the lists that hold in a ROOT: its own, where it has one, and those that the configuration names."""
    is_there = FILE in storage.list_names(
        storage.join(root, FOLDER)
    )  # on an object store one request, where `exists` takes three
    return (*((path_of(root),) if is_there else ()), *named)


def held(config: Config) -> Config:
    """Return a configuration that names all lists that hold in its ROOT, for curate, and for the fetch as blocklists."""
    named = tuple(dict.fromkeys(paths(config.root, config.suppression)))
    if not named:
        return config
    blocklists = tuple(dict.fromkeys((*config.fetch.blocklists, *named)))
    return dataclasses.replace(
        config, suppression=named, fetch=config.fetch.model_copy(update={"blocklists": blocklists})
    )


def digests(of: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return lists with the digests of their bytes: as workers are told of them."""
    return tuple((path, commits.sha256(storage.read_bytes(path))) for path in of)


def read(of: Iterable[tuple[str, str]]) -> Suppression:
    """Read lists, each once a process as long as its bytes are the same; see `digests`."""
    return Suppression(tuple(_read(path, digest) for path, digest in of))


def standing(root: str, named: Iterable[str]) -> Suppression:
    """Read the lists that hold in a ROOT now; see `paths`."""
    return read(digests(paths(root, named)))


def own(root: str) -> List | None:
    """Return a ROOT's own list; None where it has none."""
    path = path_of(root)
    return from_bytes(storage.read_bytes(path), path) if storage.exists(path) else None


def read_own(root: str) -> List:
    """Return a ROOT's own list; where it has none, an empty one with a new secret."""
    return own(root) or new()


@functools.lru_cache(maxsize=8)
def _read(path: str, digest: str) -> List:
    return from_bytes(storage.read_bytes(path), path)


def is_list(content: bytes) -> bool:
    """Return whether a file begins as a suppression list does."""
    head = content[:_HEAD_BYTES].lstrip()
    return head.startswith(b"{") and FORMAT.encode() in head
