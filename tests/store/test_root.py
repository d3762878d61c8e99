"""ROOT: its layout, what is chosen once, and its one writer."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from pmd.errors import RootError, VerificationError
from pmd.store import commits, lock, root, storage
from pmd.store.commits import Commit


def state_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads((folder / lock.STATE_FILE).read_bytes())
    return content


def test_the_layout_is_the_contract() -> None:
    assert root.curate_folder("out", "coco") == "out/curate/source=coco"
    assert root.ledger_folder("out", 3, 12) == "out/fetch/ledger/shard=00003/generation=0012"
    assert root.shards_folder("out", "webdataset") == "out/shards/webdataset"
    assert root.publish_folder("out", "wit") == "out/publish/source=wit"
    assert root.dedupe_folder("gs://bucket/pmd") == "gs://bucket/pmd/dedupe"


def test_a_second_writer_is_refused_and_told_who_and_since_when(tmp_path: Path) -> None:
    root.create(str(tmp_path), 3)
    with root.writer(str(tmp_path), "pmd build pmd.toml", "/etc/pmd.toml") as first:
        state = state_of(tmp_path)
        with pytest.raises(RootError) as caught, root.writer(str(tmp_path), "pmd fetch pmd.toml"):
            pytest.fail("two writers")
        holder = state["last"]
        assert str(caught.value) == (
            f"{tmp_path}: another writer has it since {holder['since']}: pmd build pmd.toml\n"
            f"  found: process {os.getpid()} on {holder['host']}\n"
            "  remedy: wait for it, or end that process"
        )
        assert state_of(tmp_path) == state
        assert (state["epoch"], state["ended"], holder["config"]) == (first.epoch, False, "/etc/pmd.toml")
        assert root.writing(str(tmp_path)) is first
    assert state_of(tmp_path) == {**state, "ended": True}
    with pytest.raises(RootError, match="has not taken the lock"):
        root.writing(str(tmp_path))


def test_a_writer_that_writes_nothing_leaves_nothing(tmp_path: Path) -> None:
    with root.writer(str(tmp_path / "new"), "pmd build"):
        pass
    assert not (tmp_path / "new").exists()
    with root.writer(str(tmp_path), "pmd build"):
        pass
    assert list(tmp_path.iterdir()) == []
    with root.writer(str(tmp_path / "a/b/new"), "pmd build"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_gives_the_root_back(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="boom"), root.writer(str(tmp_path), "pmd build"):
        raise RuntimeError("boom")
    with root.writer(str(tmp_path), "pmd build"):
        assert not state_of(tmp_path)["ended"]


def test_epochs_rise(tmp_path: Path) -> None:
    root.create(str(tmp_path), 3)
    epochs = []
    for _ in range(3):
        with root.writer(str(tmp_path), "pmd build") as held:
            epochs.append(held.epoch)
    assert epochs == sorted(set(epochs))
    assert epochs[0] >= 1_700_000_000, "no less than the clock's, should the file be lost"


def test_a_clock_that_is_behind_hands_out_no_epoch_again_where_the_state_is_lost(tmp_path: Path) -> None:
    ahead = 2**40  # of a machine whose clock was wrong, before ROOT was copied without its state
    wit, generation = root.curate_folder(str(tmp_path), "wit"), root.ledger_folder(str(tmp_path), 0, 1)
    for folder, epoch in ((root.curate_folder(str(tmp_path), "coco"), ahead), (wit, 1), (generation, ahead + 7)):
        commits.claim(folder, epoch)
        commits.write(folder, commits.Commit("curate", (), {}, "h", {commits.EPOCH: epoch}))
    storage.put(f"{root.curate_folder(str(tmp_path), 'sbu_captions')}/_stage.json", b"damaged")
    for expected in (ahead + 8, ahead + 9):
        with root.writer(str(tmp_path), "pmd build") as held:
            assert held.epoch == expected
            commits.claim(root.curate_folder(str(tmp_path), "coco"), held.epoch)


_KILLED = (
    "import os, sys; from pmd.store import root\nwith root.writer(sys.argv[1], 'pmd build (killed)'): os._exit(9)\n"
)


def test_a_writer_that_was_killed_is_taken_over_and_the_next_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False).returncode == 9
    killed = state_of(tmp_path)
    assert (killed["last"]["command"], killed["ended"]) == ("pmd build (killed)", False)
    with caplog.at_level(logging.WARNING, "pmd.notes"), root.writer(str(tmp_path), "pmd build (next)") as held:
        assert state_of(tmp_path)["last"]["command"] == "pmd build (next)"
        assert held.epoch > killed["epoch"]
    (said,) = caplog.messages
    assert said.startswith(f"pmd build (killed) (process {killed['last']['pid']} on ")
    assert said.endswith(
        "did not end: it was killed, or its machine went down. What it had committed stays; the rest is done again."
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING, "pmd.notes"), root.writer(str(tmp_path), "pmd build"):
        assert caplog.messages == []


def test_a_job_that_a_killed_writer_has_left_on_an_engine_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    since = "2026-01-02T03:05:00+00:00"
    for job, more in (
        (lock.Job("curate-coco", since), []),
        (
            lock.Job("fetch", since, "PortableRunner at localhost:8099", "pmd_1"),
            [
                "Its job may still run there: fetch on PortableRunner at localhost:8099, job pmd_1, "
                f"since {since}. From now on it begins no further task, and it can commit nothing."
            ],
        ),
    ):
        state = lock.State(5, lock.Holder("one", 7, "then", "pmd build"), ended=False, job=job)
        (tmp_path / lock.STATE_FILE).write_bytes(state.to_json())
        caplog.clear()
        with caplog.at_level(logging.WARNING, "pmd.notes"), root.writer(str(tmp_path), "pmd build (next)"):
            assert caplog.messages[0].startswith("pmd build (process 7 on one, since then) did not end")
            assert caplog.messages[1:] == more


def test_what_a_version_without_epochs_left_is_taken_over(tmp_path: Path) -> None:
    left = {"host": "elsewhere", "pid": 7, "process": "1", "since": "2025-01-02T03:04:05+00:00", "command": "pmd build"}
    (tmp_path / lock.STATE_FILE).write_bytes(orjson.dumps(left))
    with root.writer(str(tmp_path), "pmd build again") as held:
        assert held.before.last is not None
        assert str(held.before.last) == "pmd build (process 7 on elsewhere, since 2025-01-02T03:04:05+00:00)"


_EARLIER = """
import os, socket, sys
import orjson
start = open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19] if os.path.isdir("/proc/self") else "running"
own = {"host": socket.gethostname(), "pid": os.getpid(), "process": start, "since": "2025-01-02", "command": "pmd fetch"}
open(sys.argv[1] + "/writer.json", "wb").write(orjson.dumps(own))
print("at work", flush=True)
sys.stdin.read()
"""


def test_a_writer_of_a_version_without_epochs_that_still_lives_is_not_taken_over(tmp_path: Path) -> None:
    """Its file was its lock. Taken over, it would commit files that the next writer has removed as left."""
    command = [sys.executable, "-c", _EARLIER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as earlier:
        assert earlier.stdout is not None
        assert earlier.stdout.readline() == b"at work\n"
        assert lock.is_held(str(tmp_path))
        with pytest.raises(lock.HeldError) as caught, root.writer(str(tmp_path), "pmd build"):
            pytest.fail("taken over")
    assert str(caught.value) == (
        f"{tmp_path}: another writer has it since 2025-01-02: pmd fetch\n"
        f"  found: process {earlier.pid} on {socket.gethostname()}\n"
        "  remedy: wait for it, or end that process; it is of an earlier version of pmd"
    )
    assert not lock.is_held(str(tmp_path))
    with root.writer(str(tmp_path), "pmd build") as held:  # it has ended, and its file is left
        assert not held.before.ended


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system does not leave ended processes to be looked at")
def test_a_writer_of_a_version_without_epochs_that_nobody_has_waited_for_is_taken_over(tmp_path: Path) -> None:
    """In a container whose first process waits for nobody, who was killed stays in the list of processes for ever."""
    command = [sys.executable, "-c", _EARLIER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as earlier:
        assert earlier.stdout is not None
        assert earlier.stdout.readline() == b"at work\n"
        earlier.kill()
        os.waitid(os.P_PID, earlier.pid, os.WEXITED | os.WNOWAIT)
        assert not lock.is_held(str(tmp_path))


_HUGE = b'{"epoch": 1%s, "last": null, "ended": true, "until": null}' % (b"0" * 19)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"host": "x"}', b'{"epoch": "x"}', _HUGE, _HUGE.replace(b": 1", b": -1")]
)
def test_a_damaged_state_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / lock.STATE_FILE
    path.write_bytes(content)
    with pytest.raises(RootError) as caught, root.writer(str(tmp_path), "pmd build"):
        pytest.fail("taken over")
    assert str(caught.value).startswith(f"{path}: not what a writer has written\n  found: ")
    assert str(caught.value).endswith("remedy: if nobody writes here, remove it")
    path.unlink()
    with root.writer(str(tmp_path), "pmd build"):
        pass


def test_a_lock_that_is_removed_under_its_holder_is_noticed(tmp_path: Path) -> None:
    with root.writer(str(tmp_path), "pmd build") as held:
        held.check()
        (tmp_path / lock.LOCK_FILE).unlink()
        with pytest.raises(RootError, match="the lock of this run was removed"):
            held.check()


@pytest.mark.skipif(
    subprocess.run(["unshare", "-pf", "true"], check=False, capture_output=True).returncode != 0,
    reason="no right to make PID namespaces",
)
def test_a_writer_in_another_pid_namespace_is_refused(tmp_path: Path) -> None:
    with root.writer(str(tmp_path), "pmd build"):
        work = tmp_path / "_work" / "run"
        work.mkdir(parents=True)
        (work / "rows.arrow").touch()
        second = subprocess.run(
            ["unshare", "-pf", "--mount-proc", sys.executable, "-c", _KILLED, str(tmp_path)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert "another writer has it since" in second.stderr
        assert (work / "rows.arrow").exists()


def test_a_folder_of_somebodys_files_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    names = ("images/holiday.jpg", "views/plan.txt", "shards/mine/a.tar", "_work/draft.txt", "letter.txt")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("precious")
    with pytest.raises(RootError) as caught, root.writer(str(tmp_path), "pmd build"):
        pytest.fail("written")
    assert str(caught.value) == (
        f"{tmp_path}: the folder holds files, and is no ROOT of pmd\n"
        "  expected: an empty folder, a new one, or a ROOT\n"
        "  found: _work, images, letter.txt and 2 more\n"
        "  remedy: name another root in the configuration"
    )
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == set(names)


@pytest.mark.parametrize("folder", ["curate/source=coco", "fetch/ledger/shard=00001/generation=0000", "audit"])
def test_a_folder_that_holds_a_commit_is_a_root(tmp_path: Path, folder: str) -> None:
    """A ROOT of an earlier version, or one into which a part of another was copied."""
    commits.write(str(tmp_path / folder), commits.Commit("a stage", (), {}, "h", {}))
    with root.writer(str(tmp_path), "pmd build"):
        pass
    assert commits.read(str(tmp_path / folder)) is not None


@pytest.mark.parametrize("folder", ["mine", "audit/old", "images/2024"])
def test_a_commit_where_no_stage_commits_makes_no_root(tmp_path: Path, folder: str) -> None:
    commits.write(str(tmp_path / folder), commits.Commit("a stage", (), {}, "h", {}))
    with pytest.raises(RootError, match="is no ROOT of pmd"), root.writer(str(tmp_path), "pmd build"):
        pytest.fail("written")


@pytest.mark.parametrize("name", ["lost+found", ".DS_Store"])
def test_what_file_systems_put_into_folders_is_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with root.writer(str(tmp_path), "pmd build"):
        pass
    assert (tmp_path / name).exists()


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    where = str(tmp_path / "file" / "root")
    with pytest.raises(RootError) as caught, root.writer(where, "pmd build"):
        pytest.fail("written")
    assert str(caught.value) == (
        f"{tmp_path}/file: a folder of the path is a file\n  remedy: name another root in the configuration"
    )


def test_what_is_chosen_once_stays(tmp_path: Path) -> None:
    assert root.describe(str(tmp_path)) is None
    root.create(str(tmp_path), 5)
    root.create(str(tmp_path), 9)
    assert root.describe(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}
    assert root.require(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}


def commit_images(where: Path, folder: str, bits: int) -> None:
    """Commit a folder of the images, which says how the fetch is cut."""
    facts = {"fetch_shard_bits": bits, "part_bits": 0}
    commits.replace_unreadable(str(where / folder), Commit("images", (), {}, "", {}, facts))


@pytest.mark.parametrize("folder", ["views", "images"])
def test_a_root_json_that_is_gone_is_told_and_put_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    root.create(str(tmp_path), 5)
    whole = (tmp_path / "root.json").read_bytes()
    (tmp_path / folder).mkdir()
    commit_images(tmp_path, folder, 5)
    (tmp_path / "root.json").unlink()
    for _ in range(2):
        assert root.require(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}
    assert [record.message.partition(" is gone")[0] for record in caplog.records] == [f"{tmp_path}/root.json"]
    assert not (tmp_path / "root.json").exists()
    with root.writer(str(tmp_path), "pmd build"):
        assert (tmp_path / "root.json").read_bytes() == whole
    assert "it was written anew, with fetch_shard_bits = 5" in caplog.records[-1].message
    # Damage is another thing: it is left to `pmd repair`.
    (tmp_path / "root.json").write_bytes(whole[:-5])
    with root.writer(str(tmp_path), "pmd build"), pytest.raises(VerificationError, match="damaged"):
        root.require(str(tmp_path))


def test_a_folder_that_is_no_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(RootError) as caught:
        root.require(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}: no ROOT here\n  expected: root.json\n  remedy: run: pmd build CONFIG"


@pytest.mark.parametrize(
    "given", ["out", "pmd.toml", "out/pmd/shards", "out/pmd/shards/parquet/a.parquet", "out/pmd/absent"]
)
def test_what_is_near_a_root_is_told_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    (tmp_path / "pmd.toml").write_text('root = "out/pmd"\n')
    (tmp_path / "out/pmd/shards/parquet").mkdir(parents=True)
    (tmp_path / "out/pmd/shards/parquet/a.parquet").touch()
    root.create(str(tmp_path / "out/pmd"), 5)
    monkeypatch.chdir(tmp_path)
    for path, meant in ((given, "out/pmd"), (str(tmp_path / given), str(tmp_path / "out/pmd"))):
        with pytest.raises(RootError) as caught:
            root.require(path)
        assert (caught.value.problem, caught.value.remedy) == ("no ROOT here", f"did you mean {meant}?")
        assert caught.value.found == ("a file" if Path(given).is_file() else None)


@pytest.mark.parametrize("text", ["root = 3\n", "root = \n", "[root]\n", "", 'root = "nowhere"\n', "\x00"])
def test_a_configuration_without_a_root_means_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "pmd.toml").write_text(text)
    with pytest.raises(RootError) as caught:
        root.require(str(tmp_path / "pmd.toml"))
    assert caught.value.remedy == "run: pmd build CONFIG"


def test_a_file_in_the_place_of_a_root_is_told(tmp_path: Path) -> None:
    (tmp_path / "pmd.toml").touch()
    where = str(tmp_path / "pmd.toml")
    with pytest.raises(RootError) as caught, root.writer(where, "pmd build"):
        pytest.fail("written")
    assert str(caught.value) == (
        f"{where}: a file is here\n  expected: an empty folder, a new one, or a ROOT\n"
        "  remedy: name another root in the configuration"
    )
    assert (tmp_path / "pmd.toml").is_file()


def test_a_root_of_another_version_is_told(tmp_path: Path) -> None:
    (tmp_path / root.ROOT_FILE).write_bytes(b'{"version": 2}')
    with pytest.raises(RootError) as caught:
        root.describe(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}/root.json: not a ROOT that this pmd can read\n"
        '  expected: {"version": 1, …}\n'
        "  found: 2\n"
        "  remedy: use the pmd that made it, or another root; if it was damaged, run: pmd repair ROOT"
    )


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b""])
def test_a_root_json_that_is_none_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / root.ROOT_FILE).write_bytes(content)
    with pytest.raises(VerificationError) as caught:
        root.describe(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}/root.json: damaged\n"
        '  expected: {"version": 1, …}\n'
        "  found: something else\n"
        "  remedy: run: pmd repair ROOT"
    )
    with pytest.raises(VerificationError), root.writer(str(tmp_path), "pmd build"):
        pytest.fail("wrote to a folder that nothing says is a ROOT")


def test_no_flipped_bit_of_root_json_is_believed(tmp_path: Path) -> None:
    root.create(str(tmp_path), 5)
    path = tmp_path / root.ROOT_FILE
    content = path.read_bytes()
    for at in range(len(content) - 1):  # the last is a line's end
        for bit in range(8):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            with pytest.raises((RootError, VerificationError)):
                root.describe(str(tmp_path))
    path.write_bytes(b'{"version":1,"fetch_shard_bits":5}')  # of an earlier version
    assert root.describe(str(tmp_path)) == {"version": 1, "fetch_shard_bits": 5}


def test_only_committed_sources_are_curated(tmp_path: Path) -> None:
    assert root.curated_sources(str(tmp_path)) == []
    commit = commits.Commit("curate", (), {}, "h", {})
    commits.write(root.curate_folder(str(tmp_path), "wit"), commit)
    commits.write(root.curate_folder(str(tmp_path), "coco"), commit)
    commits.claim(root.curate_folder(str(tmp_path), "red_caps"), 1)
    storage.put(f"{root.curate_folder(str(tmp_path), 'sbu_captions')}/pairs/part", b"")
    assert root.curated_sources(str(tmp_path)) == ["coco", "wit"]


#: In each round two processes meet at a dead writer's ROOT; a winner stays until both have tried.
_RACER = """
import sys
from pathlib import Path
from pmd.store import root
from pmd.errors import RootError

def meet(folder, word):
    (folder / f"{word}-{sys.argv[2]}").touch()
    while not all((folder / f"{word}-{name}").exists() for name in "ab"):
        pass

for number in range(int(sys.argv[3])):
    folder = Path(sys.argv[1]) / str(number)
    meet(folder, "ready")
    try:
        with root.writer(str(folder), "pmd build"):
            (folder / f"won-{sys.argv[2]}").touch()
            meet(folder, "tried")
    except RootError:
        meet(folder, "tried")
"""
_ROUNDS = 20


def test_of_two_processes_that_take_over_at_once_one_wins(tmp_path: Path) -> None:
    for number in range(_ROUNDS):
        (tmp_path / str(number)).mkdir()
        dead = lock.State(3, lock.Holder("here", 1, "then", "pmd build (killed)"), ended=False)
        (tmp_path / str(number) / lock.STATE_FILE).write_bytes(dead.to_json())
    racers = [
        subprocess.Popen([sys.executable, "-c", _RACER, str(tmp_path), name, str(_ROUNDS)]) for name in ("a", "b")
    ]
    assert [racer.wait(timeout=60) for racer in racers] == [0, 0]
    for number in range(_ROUNDS):
        assert len(list((tmp_path / str(number)).glob("won-*"))) == 1, number


def test_work_goes_with_its_writer_and_others_files_stay(tmp_path: Path) -> None:
    where = str(tmp_path)
    root.create(where, 3)
    left = tmp_path / "_work" / "epoch-7" / "curate-coco" / "run-1.arrows"
    earlier = [
        tmp_path / "_work" / name / "run-1.arrows" for name in ("curate-my_pairs", "images", "images-side", "fetch")
    ]
    somebodys = tmp_path / "_work" / "draft.txt"
    for path in (left, *earlier, somebodys):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with root.writer(where, "pmd build") as held:
        assert not left.exists(), "what a killed run left"
        assert not any(path.parent.exists() for path in earlier), "what one of a version without epochs left"
        work = Path(root.work_folder(where, "images"))
        assert work == tmp_path / "_work" / f"epoch-{held.epoch}" / "images"
        storage.put(str(work / "run"), b"")
        storage.put(str(left), b"")  # by a worker that outlived its run
    assert not work.exists()
    assert not left.exists()
    assert somebodys.exists()
    somebodys.unlink()
    with root.writer(where, "pmd build"):
        pass
    assert not (tmp_path / "_work").exists()


def test_a_folder_of_curated_sources_is_a_root(tmp_path: Path) -> None:
    where = str(tmp_path)
    with pytest.raises(RootError, match="no ROOT here"):
        root.require(where)
    commits.write(root.curate_folder(where, "coco"), commits.Commit("curate", (), {"coco": commits.Books()}, "h", {}))
    assert root.require(where) == {"version": root.VERSION}
    root.create(where, 5)
    assert root.require(where) == {"version": root.VERSION, "fetch_shard_bits": 5}


@pytest.mark.parametrize("linked", ["fetch", "fetch/store", "curate/source=coco", "_work", "release"])
def test_a_folder_that_leads_into_another_root_is_refused(tmp_path: Path, linked: str) -> None:
    """By links, pictures of one ROOT were given to another: whose next fetch removed what its own ledger does not list."""
    one, other = tmp_path / "one", tmp_path / "other"
    root.create(str(one), 0)
    root.create(str(other), 0)
    picture = one / linked / "shard=00000" / "0123456789abcdef.tar"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"pictures")
    (other / linked).parent.mkdir(parents=True, exist_ok=True)
    (other / linked).symlink_to(one / linked)
    with (
        pytest.raises(RootError, match="a folder of this ROOT is a link into another one") as caught,
        root.writer(str(other), "test"),
    ):
        pass
    assert (caught.value.where, caught.value.found) == (f"{other}/{linked}", str(one))
    with root.writer(str(one), "test"):
        pass
    assert picture.exists()


def test_whoever_may_write_in_a_root_may_take_its_lock(tmp_path: Path) -> None:
    """As in a group's folder: one of another user that only its owner may write to cannot be locked on NFS, nor opened here."""
    before = os.umask(0o002)
    try:
        with root.writer(str(tmp_path / "root"), "test"):
            root.create(str(tmp_path / "root"), 0)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "root").iterdir() if path.is_file()}
    assert modes == dict.fromkeys(("root.json", "writer.json", "writer.lock"), 0o664)


@pytest.mark.parametrize("inner", ["images/small", "_work/x", "publish/source=coco/x", "release/deep/x"])
@pytest.mark.parametrize("mark", ["root.json", "writer.json"])
def test_no_root_stands_in_a_folder_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str, mark: str
) -> None:
    """The outer one's next run removed what the inner one had committed."""
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / mark).touch()
    monkeypatch.chdir(outer)
    (tmp_path / "link").symlink_to(outer)
    for where in (str(outer / inner), inner, str(tmp_path / "link" / inner)):
        with pytest.raises(RootError, match="within a folder of another ROOT") as caught, root.writer(where, "test"):
            pass
        assert (caught.value.where, caught.value.found) == (where, f"the ROOT {outer}")
    assert not (outer / inner).exists()


@pytest.mark.parametrize("inner", ["small", "of_mine/images/small"])
def test_a_root_may_stand_beside_the_folders_of_another(tmp_path: Path, inner: str) -> None:
    root.create(str(tmp_path), 0)
    with root.writer(str(tmp_path / inner), "test"):
        root.create(str(tmp_path / inner), 0)
    assert (tmp_path / inner / "root.json").exists()


def test_a_folder_may_stand_on_another_disk(tmp_path: Path) -> None:
    root.create(str(tmp_path / "root"), 0)
    (tmp_path / "disk").mkdir()
    (tmp_path / "root/fetch").symlink_to(tmp_path / "disk")
    (tmp_path / "root/shards").symlink_to(tmp_path / "root/views")
    (tmp_path / "root/views").mkdir()
    (tmp_path / "by-another-name").symlink_to(tmp_path / "root")
    with root.writer(str(tmp_path / "by-another-name"), "test"):
        assert lock.is_held(str(tmp_path / "root"))


def test_what_was_removed_on_another_disk_is_settled_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where, disk = tmp_path / "root", tmp_path / "disk"
    root.create(str(where), 0)
    (disk / "store").mkdir(parents=True)
    (where / "fetch/ledger").mkdir(parents=True)
    (where / "fetch/store").symlink_to(disk / "store")
    (where / "shards").symlink_to(tmp_path / "not-there")
    settled: list[str] = []
    monkeypatch.setattr(storage, "settle", settled.append)
    monkeypatch.setattr(root, "_disk", lambda folder: int(os.path.realpath(folder).startswith(str(disk))))
    root.settle(str(where))
    assert settled == [str(where), str(where / "fetch/store")]
    root.settle("memory://somewhere")
    assert len(settled) == 2


PART = "views/pairs/part-00000-of-00001-0123456789abcdef.parquet"


def test_of_a_root_that_is_moved_while_it_is_written_nothing_is_left_in_its_old_place(tmp_path: Path) -> None:
    """Workers make folders anew: what they leave would keep the next run from this place, as somebody's files."""
    here, there = tmp_path / "here", tmp_path / "there"
    for more in ([], ["letter.txt"]):
        with root.writer(str(here), "test"):
            root.create(str(here), 3)
            here.rename(there)
            for name in [PART, *more]:
                storage.put(str(here / name), b"rows")
        assert storage.list_files(str(here)) == more
        assert here.exists() == bool(more)
        shutil.rmtree(there)


def test_a_root_whose_lock_alone_was_removed_keeps_all(tmp_path: Path) -> None:
    with root.writer(str(tmp_path), "test"):
        root.create(str(tmp_path), 3)
        storage.put(str(tmp_path / PART), b"rows")
        (tmp_path / lock.LOCK_FILE).unlink()
    assert (tmp_path / PART).exists()
