"""Receipts: for those who asked, what was done for them; by number, date and counts, and nothing that names anybody."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from pmd.errors import InputError
from pmd.store import storage, versions
from pmd.suppression import lists
from pmd.takedown import kept

FILE: Final = lists.RECEIPTS
#: What an `apply` is about to remove, until it has ended: one that is killed and run again tells it all.
PENDING: Final = "applying.json"
#: The same, as it stands under ROOT.
PLACE: Final = f"{lists.FOLDER}/{PENDING}"

#: Kinds of what is removed (`purge.KINDS`) → what they are to those who asked, who know of no ledger.
SAID: Final = {
    "pairs": "pairs of a picture and a text",
    "rejected rows": "rows that had been left out before",
    "rows of the ledger": "records of what was downloaded",
    "attempts": "records of where and when it was asked for",
    "perceptual hashes": "records of how pictures look",
    "stored pictures": "copies of pictures",
    "lines of what hosts said": "records of what web servers answered",
    "rows of waves": "records of whether pictures are still on the web",
    "texts to be labelled": "texts that were set aside for people to read",
}


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What one `apply` did.

    Attributes:
        requests: The numbers of those that it carried out.
        date: The day on which it ended.
        removed: Kind → count.
        unmatched: The numbers of those requests that named no pair that stood here.
        is_kept: Whether the storage kept older versions of files that could not be deleted.
        after: Receipts that stood when it began.
        gone: What it had removed when it was begun again: it was killed, and more was asked for since.
        listed: The digest of ROOT's own list as it is to be. Before that list stands nothing is removed.
    """

    requests: tuple[int, ...]
    date: str
    removed: Mapping[str, int]
    unmatched: tuple[int, ...] = ()
    is_kept: bool = False
    after: int = dataclasses.field(default=0, compare=False)
    gone: Mapping[str, int] = dataclasses.field(default_factory=dict, compare=False)
    listed: str = dataclasses.field(default="", compare=False)


def _path(root: str, name: str) -> str:
    return storage.join(root, lists.FOLDER, name)


def begun(root: str) -> Receipt | None:
    """Return what an `apply` was about to do that has not come to its end; None where none has begun, or all have ended."""
    seen = versions.read(_path(root, PENDING))
    return None if seen is None else kept.one(seen.content, _path(root, PENDING), _receipt)


def read(root: str) -> list[Receipt]:
    """Return all receipts of a ROOT, oldest first."""
    seen = versions.read(_path(root, FILE))
    return [] if seen is None else kept.lines(seen.content, _path(root, FILE), _receipt)


def _receipt(row: Any) -> Receipt:
    removed, gone = (_counts(counted) for counted in (row["removed"], row.get("gone", {})))
    numbers, unmatched = (tuple(map(int, listed)) for listed in (row["requests"], row.get("unmatched", ())))
    after = max(int(row.get("after", 0)), 0)
    listed = str(row.get("listed", ""))
    return Receipt(numbers, str(row["date"]), removed, unmatched, row.get("is_kept") is True, after, gone, listed)


def _counts(row: Any) -> dict[str, int]:
    return {str(kind): int(count) for kind, count in row.items()}


def _written(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as its line has it."""
    told = {"requests": [*receipt.requests], "date": receipt.date, "removed": dict(receipt.removed)}
    return (
        told
        | ({"unmatched": [*receipt.unmatched]} if receipt.unmatched else {})
        | ({"is_kept": True} if receipt.is_kept else {})
    )


def begin(
    root: str,
    requests: Iterable[int],
    removed: Mapping[str, int],
    unmatched: Iterable[int] = (),
    *,
    listed: str = "",
    left: Mapping[str, int] | None = None,
) -> Receipt:
    """Note what is about to be removed; where an `apply` was killed, what it had removed until then counts too.

    Args:
        root: ROOT.
        requests: The numbers of those that wait.
        removed: What is about to be.
        unmatched: Those of them that name nothing now: of one that was met before it was purged, this is no longer so.
        listed: See `Receipt`.
        left: What is there still of that which the killed one was about to remove; None: it had not begun to.
    """
    before = begun(root) or Receipt((), "", {}, after=len(read(root)))
    gone = dict(before.gone) if left is None else _without(before.removed, left)
    met_before = {*before.requests} - {*before.unmatched}
    receipt = Receipt(
        tuple(sorted({*before.requests, *requests})),
        "",
        {kind: gone.get(kind, 0) + removed.get(kind, 0) for kind in {*gone, *removed}},
        tuple(sorted({*unmatched} - met_before)),
        after=before.after,
        gone=gone,
        listed=listed,
    )
    pending = {**_written(receipt), "after": receipt.after, "gone": gone, "listed": listed}
    storage.put(_path(root, PENDING), orjson.dumps(pending, option=orjson.OPT_SORT_KEYS))
    storage.sync_folders([_path(root, PENDING)])
    return receipt


def _without(counts: Mapping[str, int], less: Mapping[str, int]) -> dict[str, int]:
    """Return counts less others, of each kind that is left."""
    return {kind: count - less.get(kind, 0) for kind, count in counts.items() if count > less.get(kind, 0)}


def end(root: str, receipt: Receipt, today: datetime.date) -> Receipt:
    """Keep what was done, with its day; where an `apply` was killed after that, in place of what it has kept."""
    ended = dataclasses.replace(receipt, date=today.isoformat())
    # Behind those that stood when it began there is what it has kept itself, where it was killed after that.
    before = read(root)[: receipt.after]
    told = [*before, ended] if ended.requests or ended.removed else before
    if told:
        _put(root, told)
    return ended


def _put(root: str, told: Iterable[Receipt]) -> None:
    lines = (orjson.dumps(_written(one), option=orjson.OPT_APPEND_NEWLINE) for one in told)
    storage.put(_path(root, FILE), b"".join(lines))


def note_kept(root: str, ended: Receipt, *, is_kept: bool) -> None:
    """Note whether the storage keeps older versions still, once they were to be deleted; where it keeps none, of no receipt."""
    before = read(root)
    now = [dataclasses.replace(one, is_kept=is_kept and (one.is_kept or one == ended)) for one in before]
    if now != before:
        _put(root, now)


def close(root: str) -> None:
    """Forget what was about to be removed, once the requests are gone that were carried out."""
    storage.remove(_path(root, PENDING))


def render(receipts: Iterable[Receipt], waiting: Collection[int] | None, contact: str | None) -> str:
    """Return all receipts, and what waits (None: requests that may not be read here), for those who maintain ROOT."""
    parts = [_told(receipt, receipt.requests, contact) for receipt in receipts if receipt.requests]
    if waiting is None:
        parts.append("Requests wait for pmd takedown apply; their numbers are shown to who may write this ROOT")
    elif waiting:
        numbers = ", ".join(map(str, waiting))
        parts.append(f"Waiting for pmd takedown apply: {numbers} (what each names: ROOT/takedown/requests.jsonl)")
    return "\n\n".join(parts) or "nothing was asked for yet"


def render_one(receipts: Iterable[Receipt], waiting: Collection[int] | None, contact: str | None, number: int) -> str:
    """Return the receipt of one request for whoever asked: it tells nothing of what others have asked for.

    Raises:
        InputError: There is no request of this number.
    """
    for receipt in receipts:
        if number in receipt.requests:
            return _told(receipt, [number], contact)
    if waiting is None:
        problem, remedy = "no request of this number was carried out", "ask who writes this ROOT whether it waits"
    elif number in waiting:
        problem, remedy = "not carried out yet", "run: pmd takedown apply CONFIG"
    else:
        problem, remedy = "no such request", "pmd takedown receipt CONFIG shows all"
    raise InputError(
        problem,
        where="takedown",
        expected="the number of a request that was carried out",
        found=str(number),
        remedy=remedy,
    )


def _told(receipt: Receipt, numbers: Sequence[int], contact: str | None) -> str:
    """Return in words what became of some of the requests of a receipt."""
    word = "request" if len(numbers) == 1 else "requests"
    nothing = [number for number in numbers if number in receipt.unmatched]
    lines = [f"Receipt for {word} {_listed(numbers)}"]
    # What is of no pair any more may have been removed still: a picture in the store, what a host has said.
    if len(nothing) == len(numbers) and (len(receipt.requests) > 1 or not receipt.removed):
        lines.append(f"Carried out on {receipt.date}. No pair here was of what you named.")
    else:
        lines += [f"Carried out on {receipt.date}. Removed{_together(receipt, numbers)}:"]
        lines += [f"  {SAID[kind]}: {receipt.removed[kind]:,}" for kind in SAID if kind in receipt.removed]
        lines += [] if receipt.removed else ["  nothing: nothing here matched"]
        lines += [f"No pair here was of what {_listed(nothing)} named."] if nothing else []
        lines.append(
            "With these went all that is made of them: lists, shards, the audit and the folder of the release."
        )
    if receipt.is_kept:
        lines.append("On that day the storage kept older versions of some files still, which its own rules hold back.")
    lines.append("Not reached by this: copies that others have of earlier lists and shards, backups, and logs.")
    lines.append("What you named is kept out of what is built from now on: by codes from which it cannot be read.")
    return "\n".join([*lines, *([f"Contact: {contact.removeprefix('mailto:')}"] if contact else [])])


def _together(receipt: Receipt, numbers: Sequence[int]) -> str:
    if len(numbers) > 1:
        return ", for all of them together"
    return ", for this and others together" if len(receipt.requests) > 1 else ""


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
