"""The lock of the one writer of a ROOT, and the epoch under which it works.

On a local disk the lock is the kernel's (`flock` on `writer.lock`), held for as long as the process lives: it works across the
containers of one kernel, and nothing that a dead process leaves has to be judged. Elsewhere it is a *lease* in `writer.json`,
taken and renewed by compare-and-swap: while it is unexpired a second writer is refused, afterwards it is taken over.

`writer.json` outlives its writer. It says who writes, or who wrote last, and the highest epoch: each writer's is higher than that
of every writer before. It is no less than the seconds since 1970, so that it rises even where the file was lost. A writer
that is taken over (it was stopped past its lease, or its machine was cut off) may come back; it can then commit nothing, since
the later one has put its own epoch into all that it works on (`pmd.store.commits`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import orjson

from pmd.errors import RootError
from pmd.store import alive, patience, storage, versions
from pmd.store.patience import patiently
from pmd.store.versions import Versioned

STATE_FILE: Final = "writer.json"
LOCK_FILE: Final = "writer.lock"

#: Seconds for which a lease holds, and after which it is renewed: three renewals may fail before it is lost. Ours; machines'
#: clocks must agree better than the difference.
LEASE_S: Final = 60.0
RENEW_S: Final = 15.0

#: Tries at the kernel's lock, and the pause between them: who only looks whether it is held holds it for a moment.
_TRIES: Final = 5
_PAUSE_S: Final = 0.02
#: What 0.1.0 wrote in place of when its process began, where it knew only that it runs: without Linux' /proc.
_RUNS: Final = "running"
#: No epoch is so high: a second of the year 292 billion, and the last number that JSON holds here.
_NO_EPOCH: Final = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who writes; `config` is the absolute path of its configuration, where it has one."""

    host: str
    pid: int
    since: str
    command: str
    config: str | None = None

    @classmethod
    def here(cls, command: str, config: str | None) -> Holder:
        """Return this process."""
        return cls(socket.gethostname(), os.getpid(), _now().isoformat(timespec="seconds"), command, config)

    def __str__(self) -> str:
        return f"{self.command} (process {self.pid} on {self.host}, since {self.since})"


@dataclasses.dataclass(frozen=True)
class Job:
    """What a writer is at.

    Attributes:
        task: The stage and its unit, as its work folder is called: "curate-coco".
        since: When it began.
        engine: Where it runs; None: on this machine.
        name: What the engine calls it; None: the engine has not taken it yet, or there is none.
    """

    task: str
    since: str
    engine: str | None = None
    name: str | None = None

    @classmethod
    def now(cls, task: str, engine: str | None = None) -> Job:
        """Return one that begins now."""
        return cls(task, _now().isoformat(timespec="seconds"), engine)

    def __str__(self) -> str:
        job = "" if self.name is None else f", job {self.name}"
        where = "on this machine" if self.engine is None else f"on {self.engine}{job}"
        return f"{self.task} {where}, since {self.since}"


@dataclasses.dataclass(frozen=True)
class State:
    """What `writer.json` says.

    Attributes:
        epoch: The highest that was handed out.
        last: Who writes or wrote last.
        ended: It has given the lock back: it was not killed.
        until: When its lease ends; None on local disks.
        job: What it is at; None: nothing that takes long, or it has ended.
        cut_short: It has ended by a signal or an error, and may have left what the next one is to remove.
    """

    epoch: int = 0
    last: Holder | None = None
    ended: bool = True
    until: datetime.datetime | None = None
    job: Job | None = None
    cut_short: bool = False

    def left_s(self, now: datetime.datetime) -> float:
        """Return the seconds for which the lease still holds; 0 where there is none."""
        if self.until is None or self.ended:
            return 0.0
        return max(0.0, (self.until - now).total_seconds())

    def to_json(self) -> bytes:
        """Return the bytes of `writer.json`."""
        return orjson.dumps(self, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read(root: str) -> State:
    """Return what `writer.json` of a ROOT says; nothing was ever written where there is none.

    Raises:
        RootError: It is something else.
    """
    path = storage.join(root, STATE_FILE)
    try:
        return _parse(storage.read_bytes(path), path)
    except FileNotFoundError:
        return State()


def _parse(content: bytes, path: str) -> State:
    try:
        raw = orjson.loads(content)
        if "epoch" not in raw:  # of a version that knew no epochs, whose lock was this file: who writes, or was killed
            writer = Holder(raw["host"], raw["pid"], raw["since"], raw["command"])
            lives = writer.host == socket.gethostname() and _is_there(int(writer.pid), raw.get("process", ""))
            ends = _now() + datetime.timedelta(seconds=LEASE_S) if lives else None
            return State(0, writer, ended=False, until=ends)
        if not 0 <= int(raw["epoch"]) < _NO_EPOCH:
            raise ValueError(raw["epoch"])
        until = None if raw["until"] is None else datetime.datetime.fromisoformat(raw["until"])
        last = None if raw["last"] is None else Holder(**raw["last"])
        # Earlier versions say nothing of these two.
        job = None if raw.get("job") is None else Job(**raw["job"])
        return State(int(raw["epoch"]), last, bool(raw["ended"]), until, job, bool(raw.get("cut_short")))
    except (ValueError, KeyError, TypeError) as error:
        raise RootError(
            "not what a writer has written",
            where=path,
            found=f"{type(error).__name__}: {error}",
            remedy="if nobody writes here, remove it",
        ) from None


class HeldError(RootError):
    """Somebody else holds the lock."""


class Lock:
    """The lock, held.

    Attributes:
        epoch: That of this writer.
        before: What stood in `writer.json` before.
    """

    def __init__(self, root: str, epoch: int, before: State) -> None:
        self.root, self.epoch, self.before = root, epoch, before

    def check(self) -> None:
        """Raise unless the lock is still held.

        Raises:
            RootError: Somebody else has taken over.
        """

    def at(self, job: Job | None) -> None:
        """Have `writer.json` say what this writer is at: for who looks, so that no failure of it stops a run."""


def is_held(root: str) -> bool:
    """Return whether somebody writes a ROOT now, be it this process."""
    if not storage.is_local(root):
        return read(root).left_s(_now()) > 0
    with contextlib.suppress(RootError):
        if _is_of_living(read(root)):
            return True
    try:
        number = patiently(lambda: os.open(_lock_path(root), os.O_RDONLY))
    except OSError:
        return False
    try:
        patience.lock(number, fcntl.LOCK_SH | fcntl.LOCK_NB, _lock_path(root))
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False


def outlast(root: str) -> None:
    """Wait for the end of a lease that nobody renews: who was killed has not given it back. One that is renewed stays."""
    until = time.monotonic() + LEASE_S
    while not storage.is_local(root) and (left_s := read(root).left_s(_now())) > 0 and time.monotonic() < until:
        time.sleep(min(left_s, RENEW_S))


def seen(root: str) -> tuple[State, bool]:
    """Return what `writer.json` says, and whether somebody writes now: what it says of a job holds only then."""
    return read(root), is_held(root)


@contextlib.contextmanager
def held(root: str, own: Holder, committed: Callable[[], int] = lambda: 0) -> Iterator[Lock]:
    """Hold the lock of a ROOT, whose folder is there.

    Args:
        root: ROOT.
        own: Who is to hold it.
        committed: Gives the highest epoch of what is committed: asked where `writer.json` tells of none, as in a copy that was
            made without it. A clock that is behind then hands out no epoch that was there before.

    Raises:
        HeldError: Somebody else holds it: who, since when, and for how long where that is known.
    """
    hold = _held_locally if storage.is_local(root) else _leased
    with hold(root, own, committed) as lock:
        yield lock


def _is_of_living(state: State) -> bool:
    """Return whether a local `writer.json` is of a version that knew no epochs, and its writer is at work."""
    return state.epoch == 0 and state.left_s(_now()) > 0


def _is_there(pid: int, began: str) -> bool:
    """Return whether a process of this machine is the one that began when 0.1.0 wrote down that it did."""
    try:
        since = alive.since(pid)
    except PermissionError:  # another user's, which the system hides
        return False
    return bool(since) and began in {since, _RUNS}


def _next(state: State, committed: Callable[[], int] = lambda: 0) -> int:
    return max((state.epoch or committed()) + 1, int(time.time()))


# On a local disk


class _Flock(Lock):
    """The kernel's lock, held through an open file."""

    def __init__(self, root: str, number: int, state: State, before: State) -> None:
        super().__init__(root, state.epoch, before)
        self._number, self._state = number, state

    def check(self) -> None:
        if not _is_the_file(self._number, _lock_path(self.root)):
            raise RootError(
                "the lock of this run was removed: another may write here too",
                where=_lock_path(self.root),
                expected="the file that this run holds",
                remedy="leave it in its place, and run the same command again",
            )

    def at(self, job: Job | None) -> None:
        with contextlib.suppress(OSError):
            storage.put(storage.join(self.root, STATE_FILE), dataclasses.replace(self._state, job=job).to_json())


def _lock_path(root: str) -> str:
    return str(storage.filesystem(storage.join(root, LOCK_FILE))[1])


def _is_the_file(number: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(number), patiently(lambda: os.stat(path)))
    except FileNotFoundError:
        return False


def _locked(root: str) -> int:
    """Return the open file through which the kernel's lock is held.

    Raises:
        BlockingIOError: Somebody else holds it.
    """
    for tries_left in reversed(range(_TRIES)):
        storage.make_folder(root)  # a writer that made it and wrote nothing takes it away again
        try:
            number = patiently(lambda: os.open(_lock_path(root), os.O_RDWR | os.O_CREAT, 0o666))
        except FileNotFoundError:
            continue
        try:
            patience.lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB, _lock_path(root))
            if _is_the_file(number, _lock_path(root)):
                return number
        except BlockingIOError:
            if not tries_left:
                os.close(number)
                raise
        except BaseException:
            os.close(number)
            raise
        os.close(number)
        time.sleep(_PAUSE_S)
    raise BlockingIOError


@contextlib.contextmanager
def _held_locally(root: str, own: Holder, committed: Callable[[], int]) -> Iterator[Lock]:
    try:
        number = _locked(root)
    except BlockingIOError:
        raise _refusal(root, "wait for it, or end that process") from None
    try:
        before = read(root)
        if _is_of_living(before):
            raise _refusal(root, "wait for it, or end that process; it is of an earlier version of pmd")
        state = State(_next(before, committed), own, ended=False)
        _keep(root, state)
        cut_short = True
        try:
            yield _Flock(root, number, state, before)
            cut_short = False
        finally:
            with contextlib.suppress(OSError):  # a full disk: the next writer is told that this one did not end
                _give_back(root, dataclasses.replace(state, ended=True, cut_short=cut_short))
    finally:
        os.close(number)


def _give_back(root: str, state: State) -> None:
    """Say that this writer has ended; leave nothing where it has written nothing, and none before it."""
    if {*storage.list_names(root)} > {STATE_FILE, LOCK_FILE}:
        _keep(root, state)
        return
    for name in (STATE_FILE, LOCK_FILE):
        storage.remove(storage.join(root, name))


def _keep(root: str, state: State) -> None:
    path = storage.join(root, STATE_FILE)
    storage.put(path, state.to_json())
    storage.sync_folders([path])


def _refusal(root: str, remedy: str) -> HeldError:
    state = read(root)
    last = state.last
    return HeldError(
        f"another writer has it since {last.since}: {last.command}" if last is not None else "another writer has it",
        where=root,
        found=f"process {last.pid} on {last.host}" if last is not None else None,
        remedy=remedy,
    )


# On other storage


class _Lease(Lock):
    """A lease, renewed by a thread for as long as the process lives."""

    def __init__(self, root: str, state: State, seen: Versioned, before: State) -> None:
        super().__init__(root, state.epoch, before)
        self._path = storage.join(root, STATE_FILE)
        self._state, self._seen = state, seen
        self._job: Job | None = None
        self._one = threading.Lock()
        self._ended = threading.Event()
        self._lost: State | None = None
        self._is_lost_early = False
        self._thread = threading.Thread(target=self._keep_renewing, daemon=True, name="lease")
        self._thread.start()

    def check(self) -> None:
        if self._lost is None and self._state.left_s(_now()) <= 0:  # this process stood still
            self._renew()
        self.raise_if_lost()

    def raise_if_lost(self) -> None:
        """Raise if another writer has taken over.

        Raises:
            RootError: It has.
        """
        if self._lost is not None:
            last = self._lost.last
            why = "this one had stood still, or had not reached the storage"
            remedy = "leave it to that one; what this one had committed stays"
            if self._is_lost_early and last is not None:
                why = "this one's lease had not ended yet by the clock here, and had by that writer's"
                remedy = f"set the clocks of {last.host} and {socket.gethostname()}; {remedy}"
            raise RootError(
                f"another writer has taken over: {why}",
                where=self.root,
                expected=f"a lease that is renewed within {LEASE_S:g} s",
                found=str(last) if last is not None else "its end",
                remedy=remedy,
            )

    def at(self, job: Job | None) -> None:
        self._job = job  # told with the next renewal, so that it takes no request of its own

    def end(self, *, cut_short: bool) -> None:
        """Give it back; also where the signal that ends the command comes just now."""
        try:
            self._end(cut_short=cut_short)
        except KeyboardInterrupt:
            self._end(cut_short=cut_short)
            raise

    def _end(self, *, cut_short: bool) -> None:
        self._ended.set()
        self._thread.join()
        self._job = None
        if self._lost is None:
            self._swap(_now(), ended=True, cut_short=cut_short)

    def _renew(self) -> None:
        self._swap(_now() + datetime.timedelta(seconds=LEASE_S), ended=False)

    def _keep_renewing(self) -> None:
        while not self._ended.wait(RENEW_S):
            with contextlib.suppress(Exception):  # clients raise errors of their own; the next renewal may reach it
                self._renew()
            if self._lost is not None:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _swap(self, until: datetime.datetime, *, ended: bool, cut_short: bool = False) -> None:
        state = dataclasses.replace(self._state, until=until, ended=ended, job=self._job, cut_short=cut_short)
        content = state.to_json()
        with self._one:
            self._swap_alone(state, content)

    def _swap_alone(self, state: State, content: bytes) -> None:
        for _ in range(_TRIES):
            if versions.swap(self._path, content, self._seen):
                self._state = state
            standing = versions.read(self._path)
            if standing is None or _parse(standing.content, self._path).epoch != self.epoch:
                self._lost = State() if standing is None else _parse(standing.content, self._path)
                self._is_lost_early = self._state.left_s(_now()) > 0
                return
            self._seen = standing
            if standing.content == content:  # else an answer to an earlier try of ours was lost, and that one holds
                self._state = state
                return


@contextlib.contextmanager
def _leased(root: str, own: Holder, committed: Callable[[], int]) -> Iterator[Lock]:
    lease = _take(root, own, committed)
    cut_short = True
    try:
        yield lease
        cut_short = False
    finally:
        lease.end(cut_short=cut_short)
        lease.raise_if_lost()  # in place of an error that came of it


def _take(root: str, own: Holder, committed: Callable[[], int]) -> _Lease:
    path = storage.join(root, STATE_FILE)
    seen = versions.read(path)
    before = _parse(seen.content, path) if seen is not None else State()
    left_s = before.left_s(_now())
    if left_s > 2 * LEASE_S:  # longer than any lease, by clocks that agree as they must
        raise _refusal(root, f"set the clocks: that writer's is ahead of this one; if it is gone, remove {path}")
    if left_s > 0:
        raise _refusal(root, f"wait for it; if it is gone, its lease ends in {left_s:.0f} s")
    state = State(_next(before, committed), own, ended=False, until=_now() + datetime.timedelta(seconds=LEASE_S))
    try:
        is_taken = versions.make_stand(path, state.to_json(), seen)
        mine = versions.read(path) if is_taken else None
    except KeyboardInterrupt:
        with contextlib.suppress(Exception):  # of storage, or its client: the lease runs out
            _give_back_untaken(path, state, before)
        raise
    if mine is None or mine.content != state.to_json():
        raise _refusal(root, f"wait for it; if it is gone, its lease ends in {LEASE_S:.0f} s")
    return _Lease(root, state, mine, before)


def _give_back_untaken(path: str, state: State, before: State) -> None:
    """Give a lease back that may stand already, of a writer whom a signal ends before he knows: he has done nothing under it."""
    standing = versions.read(path)
    if standing is not None and standing.content == state.to_json():
        ended = dataclasses.replace(state, until=_now(), ended=True, cut_short=before.cut_short or not before.ended)
        versions.swap(path, ended.to_json(), standing)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
