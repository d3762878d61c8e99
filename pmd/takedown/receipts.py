"""Receipts: for those who asked, what was done for them; by number, date and counts, and nothing that names anybody."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from pmd.store import storage, versions
from pmd.suppression import lists
from pmd.takedown import kept

FILE: Final = lists.RECEIPTS
#: What an `apply` is about to remove, until it has ended: one that is killed and run again tells it all.
PENDING: Final = "applying.json"


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What one `apply` did.

    Attributes:
        requests: The numbers of those that it carried out.
        date: The day on which it ended.
        removed: Kind → count.
        after: Receipts that stood when it began.
    """

    requests: tuple[int, ...]
    date: str
    removed: Mapping[str, int]
    after: int = dataclasses.field(default=0, compare=False)


def _path(root: str, name: str) -> str:
    return storage.join(root, lists.FOLDER, name)


def is_begun(root: str) -> bool:
    """Return whether an `apply` has begun, and has not come to its end."""
    return versions.read(_path(root, PENDING)) is not None


def read(root: str) -> list[Receipt]:
    """Return all receipts of a ROOT, oldest first."""
    seen = versions.read(_path(root, FILE))
    return [] if seen is None else kept.lines(seen.content, _path(root, FILE), _receipt)


def _receipt(row: Any) -> Receipt:
    removed = {str(kind): int(count) for kind, count in row["removed"].items()}
    return Receipt(tuple(map(int, row["requests"])), str(row["date"]), removed, max(int(row.get("after", 0)), 0))


def _written(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as its line has it."""
    return {"requests": [*receipt.requests], "date": receipt.date, "removed": dict(receipt.removed)}


def begin(root: str, requests: Iterable[int], removed: Mapping[str, int]) -> Receipt:
    """Note what is about to be removed; where an `apply` was killed, what it was about to is noted already, and counts."""
    seen = versions.read(_path(root, PENDING))
    before = (
        Receipt((), "", {}, len(read(root))) if seen is None else kept.one(seen.content, _path(root, PENDING), _receipt)
    )
    most = {kind: max(removed.get(kind, 0), before.removed.get(kind, 0)) for kind in {*removed, *before.removed}}
    receipt = Receipt(tuple(sorted({*before.requests, *requests})), "", most, before.after)
    pending = {**_written(receipt), "after": receipt.after}
    storage.put(_path(root, PENDING), orjson.dumps(pending, option=orjson.OPT_SORT_KEYS))
    storage.sync_folders([_path(root, PENDING)])
    return receipt


def end(root: str, receipt: Receipt, today: datetime.date) -> Receipt:
    """Keep what was done, with its day; where an `apply` was killed after that, in place of what it has kept."""
    ended = dataclasses.replace(receipt, date=today.isoformat())
    # Behind those that stood when it began there is what it has kept itself, where it was killed after that.
    before = read(root)[: receipt.after]
    told = [*before, ended] if ended.requests or ended.removed else before
    if told:
        lines = (orjson.dumps(_written(one), option=orjson.OPT_APPEND_NEWLINE) for one in told)
        storage.put(_path(root, FILE), b"".join(lines))
    return ended


def close(root: str) -> None:
    """Forget what was about to be removed, once the requests are gone that were carried out."""
    storage.remove(_path(root, PENDING))


def render(receipts: Iterable[Receipt], waiting: Iterable[int], contact: str | None) -> str:
    """Return receipts as they are handed to those who asked."""
    parts = []
    for receipt in receipts:
        if not receipt.requests:
            continue
        numbers = ", ".join(map(str, receipt.requests))
        word = "request" if len(receipt.requests) == 1 else "requests"
        counts = [f"  {kind}: {count:,}" for kind, count in sorted(receipt.removed.items())]
        parts.append(
            "\n".join(
                [
                    f"Receipt for {word} {numbers}",
                    f"Carried out on {receipt.date}. Removed, for all of them together:",
                    *(counts or ["  nothing: nothing here matched"]),
                    "With these went all that is made of them: lists, shards, the audit and the folder of the release.",
                    "What you named is kept out of what is built from now on: by codes from which it cannot be read.",
                    *([f"Contact: {contact.removeprefix('mailto:')}"] if contact else []),
                ]
            )
        )
    listed = [*waiting]
    if listed:
        parts.append(f"Waiting for pmd takedown apply: {', '.join(map(str, listed))}")
    return "\n\n".join(parts) or "nothing was asked for yet"
