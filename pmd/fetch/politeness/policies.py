"""What origins say in their files, kept: by a lane while it runs, and in `fetch/hosts/` with its date for later runs.

A crawl of the open web meets hundreds of thousands of origins, and each may have half a megabyte to say. So a lane keeps in
memory what it was asked for last, and all of it in a file of SQLite's, which has no name and goes with the process. What a
lane has learnt is written at its end to a file of its own, and never changed: it is the evidence of what was heeded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
import sqlite3
import uuid
import zlib
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import orjson

from pmd import flow
from pmd.errors import PmdError
from pmd.fetch.politeness import robots
from pmd.fetch.politeness.robots import Kind, Policy
from pmd.schema import keys
from pmd.store import storage

#: Origins whose files are at hand, of those that are short (`robots.SHORT`) and of the others: 150 MB at most, where all are as
#: long as they may be, in characters of four bytes. The rest is looked up: 20 µs for a kilobyte, 2 ms for the longest.
SHORT_FILES: Final = 2048
LONG_FILES: Final = robots.LONG_FILES

_TABLE: Final = """
create table policies (
    origin text primary key, date text, http_status integer, body blob, status text, error text, learnt integer
) without rowid
"""
_PUT: Final = "insert or replace into policies values (?, ?, ?, ?, ?, ?, ?)"
_PUT_IF_NEWER: Final = """
insert into policies values (?, ?, ?, ?, ?, ?, ?) on conflict (origin) do update set date = excluded.date,
    http_status = excluded.http_status, body = excluded.body, status = excluded.status, error = excluded.error
    where excluded.date > date
"""


class Kept(MutableMapping[str, Policy]):
    """Policies by origin; a context manager.

    Begins with what stands under ROOT and is fresh. At the end, unless by an exception, what was learnt is written there.

    Args:
        root: ROOT.
        name: Whose they are: one a writer, such as the lane's number.
        began: When the run began.
        kind: Of which file of the origins.
        run: The run's number: a later one of this ROOT has a higher one (`root.Lock.epoch`).

    Raises:
        PmdError: There is no room for temporary files.
    """

    def __init__(self, root: str, name: str, began: datetime.datetime, kind: Kind = "robots", *, run: int = 0) -> None:
        self._root, self._name, self._began, self._kind, self._number = root, name, began, kind, run
        self._short: OrderedDict[str, Policy] = OrderedDict()
        self._long: OrderedDict[str, Policy] = OrderedDict()

    def __enter__(self) -> Self:
        # Made by one thread and used by another, never by two at once. "" is a file without a name.
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        with contextlib.ExitStack() as undo:
            undo.callback(self._base.close)
            for pragma in ("journal_mode = off", "synchronous = off", "temp_store = file"):
                self._base.execute(f"pragma {pragma}")
            self._base.execute(_TABLE)
            self._base.execute("begin")
            oldest = self._began - robots.FRESH
            for origin, policy in read(self._root, self._kind, since=oldest):
                # Lanes of this run may have written it later than it began, by clocks that do not agree.
                if policy.when >= (oldest if policy.status is None else self._began):
                    self._run(_PUT_IF_NEWER, _row(origin, policy, learnt=False))
            self._base.execute("commit")
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.closing(self._base):
            if kind is None:
                self._write()

    def __getitem__(self, origin: str) -> Policy:
        for recent in (self._short, self._long):
            policy = recent.get(origin)
            if policy is not None:
                recent.move_to_end(origin)
                return policy
        row = self._run(
            "select date, http_status, body, status, error from policies where origin = ?", (origin,)
        ).fetchone()
        if row is None:
            raise KeyError(origin)
        policy = _policy(*row)
        self._remember(origin, policy)
        return policy

    def __setitem__(self, origin: str, policy: Policy) -> None:
        self._run(_PUT, _row(origin, policy, learnt=True))
        self._forget(origin)
        self._remember(origin, policy)

    def __delitem__(self, origin: str) -> None:
        self._forget(origin)
        if not self._run("delete from policies where origin = ?", (origin,)).rowcount:
            raise KeyError(origin)

    def __iter__(self) -> Iterator[str]:
        return (origin for (origin,) in self._run("select origin from policies order by origin"))

    def __len__(self) -> int:
        return int(self._run("select count(*) from policies").fetchone()[0])

    def _remember(self, origin: str, policy: Policy) -> None:
        recent, most = (self._short, SHORT_FILES) if len(policy.body) <= robots.SHORT else (self._long, LONG_FILES)
        recent[origin] = policy
        if len(recent) > most:
            recent.popitem(last=False)

    def _forget(self, origin: str) -> None:
        self._short.pop(origin, None)
        self._long.pop(origin, None)

    def _run(self, statement: str, values: tuple[str | int | bytes | None, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._base.execute(statement, values)
        except sqlite3.Error as error:
            raise PmdError(
                "what hosts allow cannot be put aside",
                where="SQLite's temporary file",
                found=str(error),
                expected="room for what robots.txt and tdmrep.json of all origins say, for each lane",
                remedy="make room for temporary files, or name a folder in SQLITE_TMPDIR; then run the same command again",
            ) from error

    def _write(self) -> None:
        latest = self._run("select max(date) from policies where learnt").fetchone()[0]
        if latest is None:
            return
        stamp = datetime.datetime.fromisoformat(latest).strftime(_STAMP)
        rows = self._run(
            "select origin, date, http_status, body, status, error from policies where learnt order by origin"
        )
        name = f"{self._kind}-{stamp}-{self._number:06d}-{self._name}-{uuid.uuid4().hex[:8]}.jsonl"
        with storage.write_whole(storage.join(hosts_folder(self._root), name)) as file:
            for origin, *fields in rows:
                row = {"origin": origin, **dataclasses.asdict(_policy(*fields))}
                file.write(orjson.dumps(row | {_DIGEST: _digest(row)}, option=orjson.OPT_APPEND_NEWLINE))


#: Characters of a file that is put aside as it is.
_SHORT: Final = 512

#: What a line says of the rest of itself: a byte that flips in a robots.txt must not turn a no into a yes.
_DIGEST: Final = "digest"

#: A file's name tells the latest date in it, and by which run it was written.
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_NAME: Final = re.compile(r"([a-z]+)-([^-]+)-([0-9]{6,})-.*\.jsonl")


def hosts_folder(root: str) -> str:
    """Return where policies are kept."""
    return storage.join(root, flow.HOSTS)


def read(root: str, kind: Kind = "robots", since: datetime.datetime | None = None) -> Iterator[tuple[str, Policy]]:
    """Yield the policies of a kind that are kept under ROOT, with their origins; of one origin perhaps several.

    Args:
        root: ROOT.
        kind: Of which file of the origins.
        since: Files in which all is older are left closed; so are those dated ahead, by a clock that was wrong.

    A line that is damaged, or that a version wrote which gave it no digest, says nothing: the host is asked anew.
    """
    folder = hosts_folder(root)
    files = sorted(filter(None, (_file(name) for name in storage.list_files(folder) if name.startswith(f"{kind}-"))))
    for file in files if since is None else _since(files, since):
        for said in lines(storage.join(folder, file.name)):
            if said is not None:
                yield said


class _File(NamedTuple):
    name: str
    latest: datetime.datetime  # date in it
    run: int


def _file(name: str) -> _File | None:
    """Return what a file's name tells; None for one that is somebody else's."""
    told = _NAME.fullmatch(name)
    try:
        return told and _File(
            name, datetime.datetime.strptime(told[2], _STAMP).replace(tzinfo=datetime.UTC), int(told[3])
        )
    except ValueError:
        return None


def _since(files: Sequence[_File], oldest: datetime.datetime) -> Iterator[_File]:
    """Yield files that have something of a time or later, without those that a later run's dates show to be dated ahead.

    What stands in such a one is older than it says, nobody knows by how much, and might win over what was learnt since. If it was
    the later run's clock that was behind, hosts are asked once more.
    """
    first: dict[int, datetime.datetime] = {}  # run → the earliest of its dates
    for file in files:
        first[file.run] = min(file.latest, first.get(file.run, file.latest))
    later, runs = datetime.datetime.max.replace(tzinfo=datetime.UTC), sorted(first, reverse=True)
    limits = {}
    for run in runs:
        limits[run], later = later, min(later, first[run] + robots.SKEW)
    return (file for file in files if oldest <= file.latest <= limits[file.run])


def lines(path: str) -> Iterator[tuple[str, Policy] | None]:
    """Yield the policy that each line of a file tells, with its origin; None for a line that is not as it was written."""
    with contextlib.closing(storage.open_raw(path)) as file:
        for line in file:
            try:
                row: dict[str, Any] = orjson.loads(line)
                promised = row.pop(_DIGEST)
                if promised == _digest(row):
                    when = datetime.datetime.fromisoformat(row.pop("when"))
                    yield row.pop("origin"), Policy(when, **row)
                    continue
            except (ValueError, TypeError, KeyError, AttributeError):
                pass
            yield None


def _digest(row: dict[str, Any]) -> str:
    return keys.digest(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).hex()


def _row(origin: str, policy: Policy, *, learnt: bool) -> tuple[str | int | bytes | None, ...]:
    # Dates are all of UTC, in one form: their texts are ordered as they are.
    when = policy.when.astimezone(datetime.UTC).isoformat(timespec="microseconds")
    # What is short is no longer as it is, and preparing to compress it costs more than all else.
    short = len(policy.body) <= _SHORT
    body = policy.body if short else zlib.compress(policy.body.encode(), 1)
    return origin, when, policy.http_status, body, policy.status, policy.error, learnt


def _policy(when: str, http_status: int | None, body: bytes | str, status: str | None, error: str | None) -> Policy:
    text = body if isinstance(body, str) else zlib.decompress(body).decode()
    return Policy(datetime.datetime.fromisoformat(when), http_status, text, status, error)
