"""Explain: everything that the committed files know of one pair or one image, stage by stage.

Modules, each importing only those above it::

    book       rows of a ROOT, looked up in its files
    rendering  the answer as people read it
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from pmd.books import pictures
from pmd.errors import PmdError
from pmd.images import names, takedowns
from pmd.inspection import upstream
from pmd.inspection.explain.book import Book, view_key
from pmd.inspection.explain.rendering import render as render
from pmd.store import root, storage
from pmd.suppression import people

#: Pairs of one image that are told, at most: some photographs have hundreds of regions.
MOST_PAIRS: Final = 200


def explain(root_url: str, what: str) -> dict[str, Any]:
    """Tell what became of a pair or an image.

    Args:
        root_url: ROOT.
        what: An image or a pair in any of `names.FORMS`; or a source id without its source ("12345"), of any.

    Returns:
        ``asked``, ``as`` (what it was taken for), ``images`` (row, alias, ledger by generation, effective row, attempts,
        hashes computed since, groups) and ``pairs`` (row of curate, or the rejected row; where it is rejected, with
        ``place``, ``upstream`` and ``unread`` of what curate rejected, see `upstream.Row`; samples it stands in; whether it is
        published; its text's group of near-duplicates). JSON-able.

    Raises:
        RootError: No ROOT.
        PmdError: Nothing here has that name.
    """
    root.require(root_url)
    what = what.strip()
    book = Book(root_url)
    taken_for, pair_ids, image_ids = _keys_meant(book, what)
    # Every image of the pairs, and every pair of the images that were asked for.
    pairs = [*book.curated(pair_ids)]
    wanted = {*image_ids}
    if not image_ids:
        wanted |= {row["image_id"] for row in pairs if row.get("image_id") is not None}
        wanted |= {row["image_id"] for row in book.viewed(pair_ids)}
    standing = book.standing(wanted)
    if image_ids:
        kept = {*standing.values()}
        beside = [row["pair_id"] for row in book.of_images({*wanted, *kept, *book.gave_way(kept)})]
        pairs += book.curated({*beside} - {row["pair_id"] for row in pairs})
    if not pairs and not any(book.images({*standing.values()})):
        raise _unknown(root_url, what, taken_for)
    final = sorted({*standing.values()})
    shown = sorted(pairs, key=_place_of)[:MOST_PAIRS]
    return {
        "asked": what,
        "as": taken_for,
        "images": [_image(book, image_id, standing) for image_id in final],
        "pairs": _pairs(book, shown, standing),
        "more_pairs": max(len(pairs) - MOST_PAIRS, 0),
    }


def settled(root_url: str, key: bytes) -> tuple[bytes, dict[str, Any] | None]:
    """Return the image that a key stands for, and its row of the ledger; None where nothing is settled yet.

    Args:
        root_url: ROOT.
        key: Of an image, under any of its identities, or of a pair.

    Raises:
        RootError: No ROOT.
        PmdError: Nothing here has that key.
    """
    root.require(root_url)
    book = Book(root_url)
    row = book.effective(key)
    if row is not None:
        return key, row
    of_pair = {pair["image_id"] for pair in book.curated({key})} - {None}
    (image_id,) = book.standing(of_pair or {key}).values()
    row = book.effective(image_id)
    if row is None and not of_pair and not book.of_images({image_id}):
        raise _unknown(root_url, key.hex(), "neither the key of an image nor of a pair")
    return image_id, row


def _place_of(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["source"], row["source_id"]


def _unknown(root_url: str, what: str, taken_for: str) -> PmdError:
    if people.host(what) is not None or people.user(what, root.curated_sources(root_url)) is not None:
        return PmdError(
            f"{what} is a person or a host, who may have many pictures",
            where=root_url,
            expected=f"one picture or pair, as {names.FORMS}",
            remedy="docs/takedown.md, “Whether somebody is in it”, tells how theirs are listed; to count them: pmd takedown "
            "add CONFIG WHAT, then pmd takedown apply CONFIG --dry-run, which changes nothing",
        )
    url = names.with_scheme(what)
    begins = "" if url is None else f"a URL begins with its scheme: {url}; "
    return PmdError(
        f"nothing here is called {what}" if what else "nothing is asked for",
        where=root_url,
        expected=f"what a curated source has, as {names.FORMS}",
        found=taken_for,
        remedy=f"{begins}pmd status ROOT shows what is curated; pmd peek ROOT shows rows and their keys",
    )


def _keys_meant(book: Book, what: str) -> tuple[str, set[bytes], set[bytes]]:
    """Return what a name may mean: in words, pair_ids and image_ids."""
    own = book.by_source_id(what) if storage.is_text(what) else set()
    named = names.read(what, book.sources)
    if named is None:
        return "a source id" if own else _taken_for(what), own, set()
    if named.key is not None:
        return _by_key(book, named.key, own)
    pair_ids = own.union(*(book.by_source_id("/".join(row)) for row in named.rows))
    (by_bytes,) = names.with_bytes(book.register, [named])
    image_ids = book.known({*named.image_ids}) | by_bytes
    if own and not image_ids:
        return "a source id", pair_ids, set()
    if not pair_ids and not image_ids:
        image_ids = {image_id for url in named.urls for image_id in book.by_location(url, named.identities)}
        image_ids = image_ids or {image_id for url in named.urls for image_id in book.by_image_url(url)}
    if not pair_ids and not image_ids and named.is_picture:
        # As takedowns mean it: upstream has an address that has led there.
        (image_ids,) = takedowns.led_to(book.register, [takedowns.Line("", what, named)])
    return named.says, pair_ids, image_ids


def _taken_for(what: str) -> str:
    """Return in words what a name that nothing here has looks like."""
    if not what:
        return "nothing"
    if "://" in what or not storage.is_text(what) or not storage.exists(what):
        return "a source id"
    return "a folder" if storage.is_folder(what) else "a file that is no picture"


def _by_key(book: Book, key: bytes, own: set[bytes]) -> tuple[str, set[bytes], set[bytes]]:
    if any(True for _ in book.curated({key})):
        return "a pair_id", {key}, set()
    if own:  # rows without an id of their own are named by 32 hex digits, too
        return "a source id", own, set()
    if not book.known({key}):
        stored = pictures.named(book.register, stored={key})
        if stored:
            return "the digest of a stored picture", set(), stored[key]
        if of_sample := book.of_sample(key):
            return "the key of a sample", of_sample, set()
    return "a pair_id or image_id", set(), {key}


def _image(book: Book, image_id: bytes, standing: Mapping[bytes, bytes]) -> dict[str, Any]:
    rows, attempts, hashes = book.generations(image_id)
    row = next(iter(book.images({image_id})), None)
    return {
        "image_id": image_id.hex(),
        "aliases": sorted(own.hex() for own, kept in standing.items() if kept == image_id and own != image_id),
        "row": _plain(row),
        "ledger": _plain(rows),
        "stands": _plain(book.effective(image_id)) if rows else None,
        "attempts": _plain(attempts),
        "hashes": _plain(hashes),
        "groups": _plain(book.groups(image_id)),
    }


def _pairs(book: Book, shown: Sequence[Mapping[str, Any]], standing: Mapping[bytes, bytes]) -> list[dict[str, Any]]:
    """Return what is told of pairs; what takes a pass is asked of all of them at once."""
    rejected: dict[bytes, list[dict[str, Any]]] = defaultdict(list)
    later = {row["pair_id"] for row in shown if "reason" not in row}
    for row in (*(row for row in shown if "reason" in row), *book.rejected(later)):
        rejected[row["pair_id"]].append(dict(row))
    kept = {
        row["pair_id"]: _kept_image(book, row["pair_id"], standing.get(row["image_id"], row["image_id"]))
        for row in shown
        if row.get("image_id") is not None and not rejected[row["pair_id"]]
    }
    names_of = {
        row["pair_id"]: _names_of_samples(kept[row["pair_id"]], row.get("region"), row["pair_id"])
        for row in shown
        if row["pair_id"] in kept
    }
    samples = book.samples({name for names in names_of.values() for name in names})
    return [
        _pair(
            book,
            row,
            kept.get(row["pair_id"]),
            rejected[row["pair_id"]],
            [sample for sample in samples if sample["key"] in names_of.get(row["pair_id"], ())],
        )
        for row in shown
    ]


def _pair(
    book: Book,
    row: Mapping[str, Any],
    kept: bytes | None,
    rejected: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    pair_id, own = row["pair_id"], row.get("image_id")
    return {
        "pair_id": pair_id.hex(),
        "source": row["source"],
        "source_id": row["source_id"],
        "row": None if "reason" in row else _plain({**row, "meta": orjson.loads(row["meta"])}),
        "image_id": own.hex() if own is not None else None,
        "shown_image_id": kept.hex() if kept is not None else None,
        "rejected": _plain([_with_upstream(book.root, item) for item in rejected]),
        "samples": [*samples],
        "published": book.published(row["source"], pair_id),
        "near_text": _plain(book.near_text(row["text"])) if row.get("text") is not None else None,
    }


def _with_upstream(root_url: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rejected row with its place as people count, and what stands there; nulls where upstream's file tells neither."""
    found = upstream.read([row["where"]], root_url).get(row["where"])
    told = ("place", "upstream", "unread")
    return {**row, **dict(zip(told, (found.place, found.says, found.unread) if found else (None,) * 3, strict=True))}


def _kept_image(book: Book, pair_id: bytes, image_id: bytes) -> bytes:
    """Return the image under which a pair is shown: another identity's, or another's that is the same picture."""
    if not any(book.images({image_id})):
        image_id = next((row["image_id"] for row in book.viewed({pair_id})), image_id)
    return book.merged({image_id}).get(image_id, image_id)


def _names_of_samples(image_id: bytes, region: Sequence[float] | None, pair_id: bytes) -> list[str]:
    """Return the names that a pair's sample may have, under either unit (`pmd.shard.samples`)."""
    view = view_key(image_id, region) if region else image_id
    return [view.hex(), pair_id.hex()]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: keys and digests in hex, times in ISO 8601."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
