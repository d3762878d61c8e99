"""What origins say in their files, kept: by a lane while it runs, and in `fetch/hosts/` with its date for later runs.

A crawl of the open web meets hundreds of thousands of origins, and each may have half a megabyte to say. So a lane keeps in
memory what it was asked for last, and all of it in a file of SQLite's (its own, in the system's folder for temporaries).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import sqlite3
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Any, Final, Self

import orjson

from pmd import storage
from pmd.fetch.robots import SHORT, Kind, Policy

#: Origins whose short files (`robots.SHORT`) are at hand; others are looked up, which takes some 20 µs.
RECENT: Final = 2048

_TABLE: Final = """
create table policies (
    origin text primary key, date text, http_status integer, body blob, status text, error text, own integer
) without rowid
"""
_PUT: Final = "insert or replace into policies values (?, ?, ?, ?, ?, ?, ?)"
_PUT_IF_NEWER: Final = """
insert into policies values (?, ?, ?, ?, ?, ?, ?) on conflict (origin) do update set date = excluded.date,
    http_status = excluded.http_status, body = excluded.body, status = excluded.status, error = excluded.error,
    own = excluded.own where excluded.date > date
"""


class Kept(MutableMapping[str, Policy]):
    """Policies by origin; a context manager.

    Begins with the latest of each that stands under ROOT. At the end, unless by an exception, what was learnt, and what its
    own file held, is written to `<kind>-<name>.jsonl`: an origin a line, in order.

    Args:
        root: ROOT.
        name: Whose they are: one a writer, such as the lane's number.
        kind: Of which file of the origins.
    """

    def __init__(self, root: str, name: str, kind: Kind = "robots") -> None:
        self._root, self._kind = root, kind
        self._path = storage.join(hosts_folder(root), f"{kind}-{name}.jsonl")
        self._recent: OrderedDict[str, Policy] = OrderedDict()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="pmd-policies-")
        # Made by one thread and used by another, never by two at once. Nothing of it outlives the process.
        self._base = sqlite3.connect(f"{self._folder.name}/policies", isolation_level=None, check_same_thread=False)
        self._base.execute("pragma journal_mode = off")
        self._base.execute("pragma synchronous = off")
        self._base.execute(_TABLE)
        for path in _files(self._root, self._kind):
            for origin, policy in _read(path):
                self._base.execute(_PUT_IF_NEWER, _row(origin, policy, own=path == self._path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write()
        finally:
            self._base.close()
            self._folder.cleanup()

    def __getitem__(self, origin: str) -> Policy:
        policy = self._recent.get(origin)
        if policy is not None:
            self._recent.move_to_end(origin)
            return policy
        found = self._base.execute(
            "select date, http_status, body, status, error from policies where origin = ?", (origin,)
        ).fetchone()
        if found is None:
            raise KeyError(origin)
        policy = _policy(*found)
        self._remember(origin, policy)
        return policy

    def __setitem__(self, origin: str, policy: Policy) -> None:
        self._base.execute(_PUT, _row(origin, policy, own=True))
        self._recent.pop(origin, None)
        self._remember(origin, policy)

    def __delitem__(self, origin: str) -> None:
        self._recent.pop(origin, None)
        if not self._base.execute("delete from policies where origin = ?", (origin,)).rowcount:
            raise KeyError(origin)

    def __iter__(self) -> Iterator[str]:
        return (origin for (origin,) in self._base.execute("select origin from policies order by origin"))

    def __len__(self) -> int:
        return int(self._base.execute("select count(*) from policies").fetchone()[0])

    def _remember(self, origin: str, policy: Policy) -> None:
        if len(policy.body) <= SHORT:
            self._recent[origin] = policy
            if len(self._recent) > RECENT:
                self._recent.popitem(last=False)

    def _write(self) -> None:
        found = self._base.execute(
            "select origin, date, http_status, body, status, error from policies where own order by origin"
        )
        with storage.write_whole(self._path) as file:
            for origin, *fields in found:
                line = {"origin": origin, **dataclasses.asdict(_policy(*fields))}
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def hosts_folder(root: str) -> str:
    """Return where policies are kept."""
    return storage.join(root, "fetch", "hosts")


def read(root: str, kind: Kind = "robots") -> dict[str, Policy]:
    """Return every policy of a kind kept under ROOT by origin, the latest of each: for those who want to see all at once."""
    found: dict[str, Policy] = {}
    for path in _files(root, kind):
        for origin, policy in _read(path):
            if origin not in found or found[origin].when < policy.when:
                found[origin] = policy
    return found


def _files(root: str, kind: Kind) -> list[str]:
    folder = hosts_folder(root)
    names = sorted(storage.list_files(folder))
    return [storage.join(folder, name) for name in names if name.startswith(f"{kind}-") and name.endswith(".jsonl")]


def _read(path: str) -> Iterator[tuple[str, Policy]]:
    with contextlib.closing(storage.open_raw(path)) as file:
        for line in file:
            row: dict[str, Any] = orjson.loads(line)
            yield row.pop("origin"), Policy(**{**row, "when": datetime.datetime.fromisoformat(row["when"])})


def _row(origin: str, policy: Policy, *, own: bool) -> tuple[str | int | bytes | None, ...]:
    # Dates are all of UTC, in one form: their texts are ordered as they are.
    when = policy.when.astimezone(datetime.UTC).isoformat(timespec="microseconds")
    body = zlib.compress(policy.body.encode("utf-8"), 1)
    return origin, when, policy.http_status, body, policy.status, policy.error, own


def _policy(when: str, http_status: int | None, body: bytes, status: str | None, error: str | None) -> Policy:
    text = zlib.decompress(body).decode("utf-8")
    return Policy(datetime.datetime.fromisoformat(when), http_status, text, status, error)
