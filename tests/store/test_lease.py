"""The lock of one writer: what stands in `writer.json`, and the lease by which storage without a kernel's lock is held."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import os
import re
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from pmd.errors import RootError
from pmd.store import lock, root, storage, versions
from pmd.store.lock import Holder, State
from pmd.store.versions import Versioned

START = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
ONE = Holder("one", 1, START.isoformat(), "pmd build one.toml")
TWO = Holder("two", 2, START.isoformat(), "pmd fetch two.toml", "/etc/two.toml")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime.datetime:
        """Return the time."""
        return self.now

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.now += datetime.timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of leases; their threads do not renew them by themselves."""
    clock = Clock()
    monkeypatch.setattr(lock, "_now", clock)
    monkeypatch.setattr(lock, "RENEW_S", 3600.0)
    return clock


@pytest.fixture
def where() -> Iterator[str]:
    """A ROOT that is held by a lease."""
    return f"memory://{uuid.uuid4().hex}"


def path_of(where: str) -> str:
    return storage.join(where, lock.STATE_FILE)


# What stands in writer.json


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    for state in (
        State(),
        State(7, TWO, ended=False, until=START),
        State(8, ONE, ended=True, until=START + datetime.timedelta(seconds=1.5)),
        State(9, None, ended=False),
        State(9, ONE, ended=False, job=lock.Job("fetch", "then", "DataflowRunner", "j-1")),
        State(9, ONE, cut_short=True),
    ):
        (tmp_path / lock.STATE_FILE).write_bytes(state.to_json())
        assert lock.read(str(tmp_path)) == state


def test_where_nobody_has_written_nobody_has(tmp_path: Path) -> None:
    assert lock.read(str(tmp_path)) == State(epoch=0, last=None, ended=True, until=None)
    assert not lock.is_held(str(tmp_path))


def test_what_a_version_without_epochs_has_left_is_a_writer_that_was_killed(tmp_path: Path) -> None:
    left = {"host": "one", "pid": 1, "since": START.isoformat(), "command": "pmd build one.toml"}
    (tmp_path / lock.STATE_FILE).write_bytes(orjson.dumps(left))
    assert lock.read(str(tmp_path)) == State(0, ONE, ended=False, until=None)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"{", "JSONDecodeError"),
        (b"null", "TypeError"),
        (b"{}", "KeyError: 'host'"),
        (b'{"epoch": 1}', "KeyError: 'until'"),
        (b'{"epoch": "x", "until": null, "last": null, "ended": true}', "ValueError"),
        (b'{"epoch": 1, "until": "soon", "last": null, "ended": true}', "ValueError"),
        (b'{"epoch": 1, "until": null, "last": {"nobody": 1}, "ended": true}', "TypeError"),
        (b'{"epoch": 1, "until": null, "last": {}, "ended": true}', "TypeError"),
        (b'{"epoch": 1, "until": null, "last": "", "ended": true}', "TypeError"),
        (b'{"epoch": 1, "until": "", "last": null, "ended": true}', "ValueError"),
        (b'{"epoch": 1, "until": null, "last": null, "job": {}, "ended": true}', "TypeError"),
    ],
)
def test_what_no_writer_has_written_is_told(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / lock.STATE_FILE).write_bytes(content)
    with pytest.raises(RootError) as told:
        lock.read(str(tmp_path))
    said = str(told.value).splitlines()
    assert said[0] == f"{tmp_path}/writer.json: not what a writer has written"
    assert said[1].startswith(f"  found: {found}")
    assert said[-1] == "  remedy: if nobody writes here, remove it"


def test_a_lease_holds_until_it_ends_or_is_given_back() -> None:
    state = State(1, ONE, ended=False, until=START)
    assert state.left_s(START - datetime.timedelta(seconds=2.5)) == 2.5
    assert state.left_s(START) == 0.0
    assert state.left_s(START + datetime.timedelta(seconds=1)) == 0.0
    assert State(1, ONE, ended=True, until=START).left_s(START - datetime.timedelta(seconds=2.5)) == 0.0
    assert State(1, ONE, ended=False).left_s(START) == 0.0


def test_this_process_is_told_by_its_host_number_and_command() -> None:
    here = Holder.here("pmd build", None)
    assert (here.pid, here.command, here.config) == (os.getpid(), "pmd build", None)
    assert datetime.datetime.fromisoformat(here.since).tzinfo is not None
    assert str(ONE) == "pmd build one.toml (process 1 on one, since 2026-01-02T03:04:05+00:00)"


@pytest.mark.parametrize(
    ("epoch", "seconds", "following"), [(0, 1000.9, 1000), (2000, 1000.9, 2001), (999, 1000.0, 1000)]
)
def test_an_epoch_is_higher_than_all_before_and_no_less_than_the_clock(
    monkeypatch: pytest.MonkeyPatch, epoch: int, seconds: float, following: int
) -> None:
    monkeypatch.setattr(lock.time, "time", lambda: seconds)
    assert lock._next(State(epoch)) == following


# On a local disk


def test_a_local_lock_is_held_for_as_long_as_its_writer_writes(tmp_path: Path) -> None:
    where = str(tmp_path / "root")
    with lock.held(where, ONE) as first:
        assert lock.is_held(where)
        assert lock.read(where) == State(first.epoch, ONE, ended=False)
        first.check()
        (tmp_path / "root" / "file").touch()
    assert not lock.is_held(where)
    assert lock.read(where) == State(first.epoch, ONE, ended=True)
    with lock.held(where, TWO) as second:
        assert second.before == State(first.epoch, ONE, ended=True)
        assert second.epoch > first.epoch


def test_a_lock_whose_file_was_removed_is_lost(tmp_path: Path) -> None:
    with lock.held(str(tmp_path), ONE) as held:
        (tmp_path / lock.LOCK_FILE).unlink()
        with pytest.raises(RootError) as told:
            held.check()
        assert str(told.value) == (
            f"{tmp_path}/writer.lock: the lock of this run was removed: another may write here too\n"
            "  expected: the file that this run holds\n"
            "  remedy: leave it in its place, and run the same command again"
        )
        (tmp_path / lock.LOCK_FILE).touch()
        with pytest.raises(RootError, match="the lock of this run was removed"):
            held.check()


def test_a_root_that_is_made_and_removed_by_others_is_taken_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer wrote nothing, and takes ROOT away again: before the lock's file is opened, then before it is locked."""
    where, opened, flock, meddled = tmp_path / "root", os.open, lock.fcntl.flock, []

    def gone_before(path: str, *words: Any) -> int:
        if not meddled and path.endswith(lock.LOCK_FILE):
            meddled.append("opened")
            where.rmdir()
        return opened(path, *words)

    def gone_between(number: int, kind: int) -> None:
        if meddled == ["opened"]:
            meddled.append("locked")
            (where / lock.LOCK_FILE).unlink()
        flock(number, kind)

    monkeypatch.setattr(lock.os, "open", gone_before)
    monkeypatch.setattr(lock.fcntl, "flock", gone_between)
    with lock.held(str(where), ONE) as held:
        assert meddled == ["opened", "locked"]
        held.check()


def test_a_root_that_goes_every_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def gone(path: str, *words: Any) -> int:
        tries.append(path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(lock.os, "open", gone)
    with pytest.raises(lock.HeldError, match="another writer has it"), lock.held(str(tmp_path), ONE):
        pytest.fail("held")
    assert len(tries) == lock._TRIES


@pytest.mark.parametrize("error", [BlockingIOError(), OSError(5, "no locks")])
def test_who_cannot_lock_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fails(number: int, kind: int) -> None:
        raise error

    monkeypatch.setattr(lock, "_PAUSE_S", 0.0)
    monkeypatch.setattr(lock.fcntl, "flock", fails)
    before = len(os.listdir("/proc/self/fd"))
    kind = lock.HeldError if isinstance(error, BlockingIOError) else OSError
    with pytest.raises(kind), lock.held(str(tmp_path), ONE):
        pytest.fail("held")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fails(_: int, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", fails)
    with pytest.raises(RootError) as told, root.writer(str(tmp_path / "pmd"), "test"):
        pytest.fail("held")
    assert told.value.where == str(tmp_path / "pmd" / lock.LOCK_FILE)
    assert "another file system" in (told.value.remedy or "")
    with pytest.raises(OSError, match=re.escape(str(tmp_path))), versions.locked(str(tmp_path)):
        pytest.fail("locked")


def test_a_disk_that_is_full_at_the_end_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next writer is told that this one did not end."""

    def full(root: str, state: State) -> None:
        raise OSError(28, "No space left on device")

    with lock.held(str(tmp_path), ONE):
        (tmp_path / "file").touch()
        monkeypatch.setattr(lock, "_give_back", full)
    assert not lock.is_held(str(tmp_path))
    assert not lock.read(str(tmp_path)).ended


# By a lease


def test_a_lease_is_refused_to_a_second_and_given_back(where: str, clock: Clock) -> None:
    with lock.held(where, ONE) as held:
        until = START + datetime.timedelta(seconds=lock.LEASE_S)
        assert lock.read(where) == State(held.epoch, ONE, ended=False, until=until)
        assert lock.is_held(where)
        clock.go(20)
        with pytest.raises(lock.HeldError) as told, lock.held(where, TWO):
            pytest.fail("two writers")
        assert str(told.value) == (
            f"{where}: another writer has it since 2026-01-02T03:04:05+00:00: pmd build one.toml\n"
            "  found: process 1 on one\n"
            "  remedy: wait for it; if it is gone, its lease ends in 40 s"
        )
    assert not lock.is_held(where)
    assert lock.read(where) == State(held.epoch, ONE, ended=True, until=clock.now)
    with lock.held(where, TWO) as next_:
        assert next_.before.ended
        assert next_.epoch > held.epoch


def test_a_lease_of_a_clock_that_is_ahead_is_told_as_such(where: str, clock: Clock) -> None:
    with lock.held(where, ONE):
        clock.go(-3 * 3600)
        with pytest.raises(lock.HeldError) as told, lock.held(where, TWO):
            pytest.fail("held")
        assert told.value.remedy == (
            f"set the clocks: that writer's is ahead of this one; if it is gone, remove {where}/{lock.STATE_FILE}"
        )
        clock.go(3 * 3600)


def test_a_lease_that_ran_out_is_taken_over_and_its_writer_learns_it(where: str, clock: Clock) -> None:

    def both() -> None:
        with lock.held(where, ONE) as first:
            clock.go(lock.LEASE_S)
            with lock.held(where, TWO) as second:
                assert second.before == State(first.epoch, ONE, ended=False, until=clock.now)
                assert second.epoch > first.epoch
                with pytest.raises(RootError, match="another writer has taken over"):
                    first.check()
                second.check()
                assert lock.read(where).last == TWO, "the first has not put itself back"

    with pytest.raises(RootError) as told:
        both()
    assert str(told.value) == (
        f"{where}: another writer has taken over: this one had stood still, or had not reached the storage\n"
        "  expected: a lease that is renewed within 60 s\n"
        f"  found: {TWO}\n"
        "  remedy: leave it to that one; what this one had committed stays"
    )


def test_a_lease_that_is_taken_by_a_clock_that_is_ahead_is_told_as_such(where: str, clock: Clock) -> None:
    """It was told as one that had stood still, which is looked for in the wrong place."""

    def both() -> None:
        with lock.held(where, ONE) as first:
            clock.go(lock.LEASE_S)
            with lock.held(where, TWO):
                clock.go(-lock.LEASE_S + 15)
                first._renew()  # type: ignore[attr-defined]
                clock.go(lock.LEASE_S)

    with pytest.raises(RootError) as told:
        both()
    assert told.value.problem == (
        "another writer has taken over: this one's lease had not ended yet by the clock here, and had by that writer's"
    )
    assert told.value.remedy == (
        f"set the clocks of two and {socket.gethostname()}; leave it to that one; what this one had committed stays"
    )


def test_a_writer_that_stood_still_and_was_not_missed_goes_on(where: str, clock: Clock) -> None:
    with lock.held(where, ONE) as held:
        clock.go(lock.LEASE_S - 1)
        held.check()
        assert lock.read(where).until == START + datetime.timedelta(seconds=lock.LEASE_S), "no need to ask yet"
        clock.go(1)
        held.check()
        assert lock.read(where).until == clock.now + datetime.timedelta(seconds=lock.LEASE_S)
        assert lock.is_held(where)


def test_a_lease_whose_file_is_gone_is_lost(where: str, clock: Clock) -> None:

    def write() -> None:
        with lock.held(where, ONE) as held:
            storage.remove(path_of(where))
            clock.go(lock.LEASE_S)
            held.check()

    with pytest.raises(RootError, match="another writer has taken over") as told:
        write()
    assert told.value.found == "its end"
    assert lock.read(where) == State()


def test_an_error_that_came_of_a_lost_lease_is_told_as_that(where: str, clock: Clock) -> None:

    def write() -> None:
        with lock.held(where, ONE):
            storage.put(path_of(where), State(2**40, TWO, ended=False, until=clock.now).to_json())
            raise KeyError("a file that the other has removed")

    with pytest.raises(RootError, match="another writer has taken over"):
        write()


def test_a_renewal_whose_answer_was_lost_holds(where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store did as it was asked, and the client tried again: the second try meets what the first has written."""
    real = versions.swap

    def answer_lost(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        real(url, content, seen)
        return False

    with lock.held(where, ONE) as held:
        clock.go(lock.LEASE_S)
        monkeypatch.setattr(versions, "swap", answer_lost)
        held.check()
        monkeypatch.undo()
        monkeypatch.setattr(lock, "_now", clock)
        held.check()
        assert lock.read(where).until == clock.now + datetime.timedelta(seconds=lock.LEASE_S)
    assert lock.read(where).ended


def test_a_lease_of_which_the_answer_was_lost_is_held(
    where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else this process would be refused for itself, and so would every other for a minute."""
    real, answers = versions.swap, [False]

    def answer_lost(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        return real(url, content, seen) and (answers.pop() if answers else True)

    monkeypatch.setattr(versions, "swap", answer_lost)
    with lock.held(where, ONE) as held:
        held.check()
        assert answers == []
    assert lock.read(where).ended


def test_a_renewal_that_meets_its_own_earlier_one_is_tried_again(
    where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier renewal was written, but not answered: other bytes of the same epoch, which is no other writer's."""
    with lock.held(where, ONE) as held:
        state = lock.read(where)
        earlier = State(state.epoch, ONE, ended=False, until=START + datetime.timedelta(seconds=90))
        storage.put(path_of(where), earlier.to_json())
        clock.go(lock.LEASE_S)
        held.check()
        assert lock.read(where).until == clock.now + datetime.timedelta(seconds=lock.LEASE_S)


def test_a_store_that_refuses_and_says_nobody_else_is_asked_a_few_times_only(
    where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuses(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        asked.append(content)
        return False

    with lock.held(where, ONE) as held:
        clock.go(lock.LEASE_S)
        with monkeypatch.context() as patched:
            patched.setattr(versions, "swap", refuses)
            held.check()
        assert len(asked) == lock._TRIES
        assert lock.read(where).until == START + datetime.timedelta(seconds=lock.LEASE_S)


@pytest.mark.parametrize("meanwhile", ["another was faster", "another came at once after it"])
def test_of_two_that_take_a_lease_at_once_one_is_refused(
    where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    real = versions.swap
    other = State(2**40, TWO, ended=False, until=START + datetime.timedelta(seconds=60))

    def raced(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        ended = False if meanwhile == "another was faster" else real(url, content, seen)
        storage.put(path_of(where), other.to_json())
        return ended

    monkeypatch.setattr(versions, "swap", raced)
    with pytest.raises(lock.HeldError) as told, lock.held(where, ONE):
        pytest.fail("two writers")
    assert str(told.value) == (
        f"{where}: another writer has it since 2026-01-02T03:04:05+00:00: pmd fetch two.toml\n"
        "  found: process 2 on two\n"
        "  remedy: wait for it; if it is gone, its lease ends in 60 s"
    )
    assert lock.read(where) == other


def test_a_lease_is_renewed_by_itself_and_bears_a_store_that_fails_once(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, real, asked, later, renewed = Clock(), versions.swap, [], [], threading.Event()
    began = clock.now

    def fails_once(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        asked.append(content)
        if clock.now > began:  # the second such was begun then, too
            later.append(content)
        if len(asked) == 2:
            raise RuntimeError("a client's own kind of error")
        ended = real(url, content, seen)
        if len(later) >= 2 and len(asked) >= 4:
            renewed.set()
        return ended

    monkeypatch.setattr(lock, "_now", clock)
    monkeypatch.setattr(lock, "RENEW_S", 0.001)
    monkeypatch.setattr(versions, "swap", fails_once)
    with lock.held(where, ONE) as held:
        clock.go(30)
        assert renewed.wait(60)
        held.check()
        assert lock.read(where).until == clock.now + datetime.timedelta(seconds=lock.LEASE_S)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", [0, 1], ids=["taken", "given back"])
def test_a_signal_while_a_lease_is_taken_or_given_back_leaves_none(
    number: int, moment: str, where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client may have sent the request, or not yet."""
    real, asked = versions.swap, []

    def interrupted(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        asked.append(content)
        if len(asked) != number + 1:
            return real(url, content, seen)
        if moment == "after":
            real(url, content, seen)
        raise KeyboardInterrupt

    monkeypatch.setattr(versions, "swap", interrupted)
    with pytest.raises(KeyboardInterrupt), lock.held(where, ONE):
        pass
    assert len(asked) > number
    assert lock.read(where).left_s(clock()) == 0
    with lock.held(where, TWO) as held:
        assert held.before.ended


def test_a_process_whose_lease_is_lost_is_told_to_end(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    told = threading.Event()

    def send(pid: int, number: int) -> None:
        sent.append((pid, number))
        told.set()

    monkeypatch.setattr(lock, "_now", Clock())
    monkeypatch.setattr(lock, "RENEW_S", 0.001)
    monkeypatch.setattr(lock.os, "kill", send)

    def write() -> None:
        with lock.held(where, ONE):
            storage.put(path_of(where), State(2**40, TWO, ended=False, until=START).to_json())
            assert told.wait(60)

    with pytest.raises(RootError, match="another writer has taken over"):
        write()
    assert sent == [(os.getpid(), signal.SIGTERM)]


@pytest.mark.parametrize("renewed", [False, True])
def test_a_lease_that_nobody_renews_is_outlasted(
    where: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, *, renewed: bool
) -> None:
    """A driver that was killed has not given ROOT back, and the engine that ran it begins it anew at once."""
    state = State(1, ONE, ended=False, until=clock() + datetime.timedelta(seconds=lock.LEASE_S))
    storage.put(path_of(where), state.to_json())
    waited = 0.0

    def sleep(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        clock.go(seconds)
        if renewed:
            storage.put(
                path_of(where), dataclasses.replace(state, until=clock() + datetime.timedelta(minutes=1)).to_json()
            )

    monkeypatch.setattr(lock, "RENEW_S", 15.0)
    monkeypatch.setattr(lock.time, "sleep", sleep)
    monkeypatch.setattr(lock.time, "monotonic", lambda: clock().timestamp())
    lock.outlast(where)
    assert waited == lock.LEASE_S
    assert (lock.read(where).left_s(clock()) > 0) is renewed
    lock.outlast("/tmp/no-root")
    assert waited == lock.LEASE_S
