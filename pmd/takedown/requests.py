"""Requests: what people have asked to be taken down, in their words, from `pmd takedown add` to `pmd takedown apply`.

They name people and pictures, and are therefore kept no longer than they must be: `apply` removes those that it has carried out.
Only their numbers are kept, for receipts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import orjson

from pmd import manifests
from pmd.errors import InputError, RootError
from pmd.images import names, takedowns
from pmd.images.names import Named
from pmd.store import storage, versions
from pmd.suppression import lists, people
from pmd.takedown import kept
from pmd.text import domain_names, urls

FILE: Final = lists.REQUESTS

#: Everything that a request may name.
FORMS: Final = f"{names.FORMS}; {people.FORMS}"

#: What people are asked for that no word of these forms is.
_OTHERWISE: Final = (
    "a whole website is host:NAME, with nothing behind the name; of somebody whose name alone is known, docs/takedown.md finds "
    "the pairs (Whether somebody is in it)"
)

#: Lines that are shown of many that are wrong.
_SHOWN: Final = 10

#: Times that an addition is tried: it fails only where another was faster.
_TRIES: Final = 16


@dataclasses.dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        number: Counted from 1, in a ROOT.
        said: In a form of `FORMS`; a picture file by its hashes.
        keeps_looks: Whether the person agrees that a perceptual hash is kept, so that copies are kept out, too.
    """

    number: int
    said: tuple[str, ...]
    keeps_looks: bool = False


@dataclasses.dataclass(frozen=True)
class Word:
    """What one word of a request may mean: an image or pair, a user (`people.user_key`), or a host."""

    said: str
    named: Named | None = None
    user: str | None = None
    host: str | None = None

    @property
    def says(self) -> str:
        """What the word was taken for."""
        if self.host is not None:
            return f"the host {self.host} and all below it"
        if self.user is not None:
            return f"the user {self.user}"
        assert self.named is not None
        home = _home(self.named)
        return self.named.says + (f" alone; all that is there: host:{home}" if home is not None else "")


def _home(named: Named) -> str | None:
    """Return the host of whose first page an address is: it means that address alone, and whoever names it means more."""
    if named.is_page or not named.urls:
        return None
    name = urls.host_of(named.urls[0])
    return name if named.urls[0].partition("://")[2] == f"{name}/" else None


def values_of(words: Iterable[Word]) -> dict[str, set[str | bytes]]:
    """Return what words say by themselves, as a suppression list takes it (`lists.List.with_values`): kind → values."""
    values: dict[str, set[str | bytes]] = {kind: set() for kind in lists.KINDS}
    for word in words:
        values["user"].update([word.user] if word.user is not None else [])
        values["host"].update([word.host] if word.host is not None else [])
        if word.named is None:
            continue
        values["image"].update(word.named.image_ids)
        values["url"].update((*word.named.urls, *map(urls.alike_one, word.named.urls)))
        values["post" if word.named.is_picture else "row"].update("/".join(row) for row in word.named.rows)
        if word.named.key is not None:
            values["image"].add(word.named.key)
            values["pair"].add(word.named.key)
        values["sha256"].update([word.named.sha256] if word.named.sha256 is not None else [])
        values["stored"].update([word.named.stored] if word.named.stored is not None else [])
    return values


def read_word(said: str, sources: Collection[str] = ()) -> Word:
    """Return what a word means.

    Args:
        said: In a form of `FORMS`.
        sources: The names of sources, beside those that have a manifest.

    Raises:
        InputError: Nothing.
    """
    said = names.bare(said)
    known = {*manifests.load_all(), *sources}
    host, user = people.host(said), people.user(said, known)
    if host is not None or user is not None:
        return Word(said, user=user, host=host)
    named = names.read(said, known)
    if named is None:
        raise InputError("names nothing", where="takedown", expected=FORMS, found=said, remedy=_OTHERWISE)
    return Word(said, named)


def read_lines(content: bytes, where: str, sources: Collection[str] = ()) -> list[Word]:
    """Return what the lines of a list mean, a word each; "#" begins a comment.

    Args:
        content: The list's.
        where: What it is called.
        sources: As for `read_word`.

    Raises:
        InputError: Lines name nothing, or nothing alone; all are counted, and the first few told. It is no text, or empty.
    """
    found: list[Word] = []
    wrong: list[tuple[str, InputError]] = []
    for place, said in takedowns.words(content, where):
        try:
            word = read_word(said, sources)
            refuse_unclear([word])
            found.append(word)
        except InputError as error:
            wrong.append((place, error))
    if wrong:
        raise _wrong(wrong)
    if not found:
        raise InputError("names nothing", where=where, expected=f"a name a line: {FORMS}", found="no line that is one")
    return found


def _wrong(slips: Sequence[tuple[str, InputError]]) -> InputError:
    """Return the error for lines that are wrong: the first one's, with what else is found, so that all can be mended at once."""
    (place, first), *others = slips
    more = f" ({len(slips):,} lines are wrong)" if others else ""
    shown = [f"{at.rpartition(':')[2]}, {error.problem}: {error.found}" for at, error in others[: _SHOWN - 1]]
    left = [f"and {len(slips) - _SHOWN:,} more"] if len(slips) > _SHOWN else []
    return InputError(
        f"{first.problem}{more}",
        where=place,
        expected=first.expected,
        found="; ".join([str(first.found), *shown, *left]),
        remedy=first.remedy,
    )


def path_of(root: str) -> str:
    """Return where requests wait."""
    return storage.join(root, lists.FOLDER, FILE)


def read(root: str) -> list[Request]:
    """Return the requests that wait."""
    seen = versions.read(path_of(root))
    return [] if seen is None else _parsed(seen.content, path_of(root))


def waiting(root: str) -> list[int] | None:
    """Return the numbers of the requests that wait; None: some do, and this account may not read which.

    Receipts name nobody, and are for all who may read a ROOT. What requests say is not.
    """
    try:
        return [request.number for request in read(root)]
    except PermissionError:
        return None


def add(root: str, words: Sequence[Word], done: Iterable[int], *, keeps_looks: bool) -> Request:
    """Let a request wait; a build may run meanwhile.

    Args:
        root: ROOT.
        words: What it names.
        done: The numbers of those that were carried out.
        keeps_looks: See `Request`.

    Raises:
        InputError: As `refuse_unclear`.
    """
    refuse_unclear(words)
    said = tuple(form for word in words for form in _forms(word))
    path = path_of(root)
    for _ in range(_TRIES):
        seen = versions.read(path)
        waiting = [] if seen is None else _parsed(seen.content, path)
        number = 1 + max([*done, *(request.number for request in waiting)], default=0)
        request = Request(number, said, keeps_looks)
        if versions.make_stand(path, _written([*waiting, request]), seen, private=True):
            storage.sync_folders([path])
            return request
    raise RootError("others write here all the time", where=path, remedy="run the same command again")


def cancel(root: str, number: int, begun: Collection[int]) -> None:
    """Take a request back that waits. For ROOT's writer: an `apply` would carry it out meanwhile.

    Args:
        root: ROOT.
        number: The request's.
        begun: The numbers of those that an `apply` was carrying out which was stopped.

    Raises:
        InputError: None of this number waits.
        RootError: It is being carried out.
    """
    waiting = [request.number for request in read(root)]
    if number not in waiting:
        which = f": {', '.join(map(str, waiting))}" if waiting else "; none does"
        raise InputError(
            "no such request waits",
            where="takedown",
            expected=f"a request that waits{which}",
            found=str(number),
            remedy="ROOT/takedown/requests.jsonl has what waits, by number; what was carried out stays so",
        )
    if number in begun:
        raise RootError(
            "this request was being carried out when an apply was stopped",
            where=path_of(root),
            found=str(number),
            remedy="run: pmd takedown apply CONFIG",
        )
    remove(root, {number})


def remove(root: str, carried_out: Collection[int]) -> None:
    """Remove the requests of some numbers; what was added meanwhile stays."""
    path = path_of(root)
    for _ in range(_TRIES):
        seen = versions.read(path)
        if seen is None:
            return
        left = [request for request in _parsed(seen.content, path) if request.number not in carried_out]
        if versions.swap(path, _written(left), seen, private=True) if left else versions.remove(path, seen.version):
            storage.sync_folders([path])
            return
    raise RootError("others write here all the time", where=path, remedy="run the same command again")


def refuse_unclear(words: Iterable[Word]) -> None:
    """Refuse words that would match nothing, whatever stands here: to purge them, or to prove that they are gone, says nothing.

    Raises:
        InputError: A word is the address of a page that shows many pictures, more than one name, a user of a source that names
            none, or what ends the names of strangers' hosts.
    """
    for word in words:
        _refuse_suffix(word)
        _refuse_pages_of_many(word)
        _refuse_more(word)
        _refuse_userless(word)


def _refuse_suffix(word: Word) -> None:
    if word.host is not None and domain_names.is_suffix(word.host):
        raise InputError(
            "not a host of anybody's: strangers' hosts end so",
            where="takedown",
            expected="a host that somebody has registered, or one below it: host:example.co.uk",
            found=word.said,
            remedy="name the hosts that are meant",
        )


def _refuse_more(word: Word) -> None:
    if word.named is not None and takedowns.is_more(word.named, word.said):
        raise InputError(
            "more than one name",
            where="takedown",
            expected="each name by itself, and nothing behind it",
            found=word.said,
            remedy="name each by itself; a comma of the address itself may be written %2C",
        )


def _refuse_pages_of_many(word: Word) -> None:
    named = word.named
    if named is not None and named.is_of_many:
        raise InputError(
            "a page that tells neither one picture nor a person alone",
            where="takedown",
            expected="the page of a photo, a file or a post; a person's page: flickr.com/people/ID with the id that has an @, "
            "reddit.com/user/NAME",
            found=word.said,
            remedy=f"name each picture, or the person. Where this very address is a pair's: {named.identities[0]}",
        )


def _refuse_userless(word: Word) -> None:
    source = people.source_of(word.said)
    if source is None or source in people.fields():
        return
    units = manifests.recorded(source).units
    has = f"have a {' and a '.join(units)}, and no user" if units else "do not say whose they are"
    raise InputError(
        "a user of a source that records none: it would match nothing",
        where="takedown",
        expected=f"user:SOURCE/ID of one of {', '.join(sorted(people.fields()))}",
        found=f"{word.said}; the pairs of {source} {has}",
        remedy="name each picture, by its address or its page, or each pair, as SOURCE/ID; host:NAME means all that a host has",
    )


def _forms(word: Word) -> tuple[str, ...]:
    """Return a word as it is kept: a picture by its hashes, since its file may be gone tomorrow."""
    named = word.named
    if named is None or not named.is_of_bytes or ":" in word.said[:7]:
        return (word.said,)
    hashes = {"sha256": named.sha256, "pdq": named.pdq, "xxh3": named.stored}
    # Whatever else the file's name says (COCO's names do) is meant, too.
    return (*named.identities, *(f"{kind}:{found.hex()}" for kind, found in hashes.items() if found is not None))


def _parsed(content: bytes, path: str) -> list[Request]:
    return kept.lines(
        content, path, lambda row: Request(int(row["number"]), _strings(row["said"]), row["keeps_looks"] is True)
    )


def _strings(words: Any) -> tuple[str, ...]:
    if not isinstance(words, list):
        raise TypeError(words)
    return tuple(map(str, words))


def _written(requests: Iterable[Request]) -> bytes:
    return b"".join(orjson.dumps(dataclasses.asdict(one), option=orjson.OPT_APPEND_NEWLINE) for one in requests)
