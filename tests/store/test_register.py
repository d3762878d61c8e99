"""The register: what stands of the fetch is known without reading its commits, and never other than they say."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmd import flow
from pmd.errors import RootError, VerificationError
from pmd.store import commits, register, root, storage
from pmd.store.commits import Books, Commit, File
from pmd.store.register import Register

EPOCH = 7


def commit(shard: int, number: int, text: str = "", **facts: object) -> Commit:
    digest = commits.sha256(f"{shard} {number} {text}".encode())
    files = (
        File(f"../../../store/shard={shard:05d}/{digest[:16]}.tar", 10240, 3, digest),
        File(f"ledger-{digest[:16]}.parquet", 900, 4, digest),
    )
    said = {commits.EPOCH: EPOCH, "started": "2024-01-01", "retried": ["dead"], "statuses": {"ok": 3, "dead": 1}}
    return Commit(
        "fetch",
        files,
        {"coco": Books(3, {"dead": 1})},
        digest[:32],
        said,
        {"shard": shard, "generation": number, **facts},
    )


def put(where: str, made: Commit) -> None:
    folder = root.ledger_folder(where, made.facts["shard"], made.facts["generation"])
    storage.put(f"{folder}/{commits.STAGE_FILE}", commits.to_json(made))


def saved(where: str, epoch: int = EPOCH) -> Register:
    """Leave a register as a run does that has ended well."""
    return register.save(register.refreshed(register.read(where)), epoch)


@pytest.fixture(params=["local", "memory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A ROOT of three shards, of which one has two generations; on a local disk, and where listings cost requests."""
    place = str(tmp_path / "root") if request.param == "local" else f"memory://register-{uuid.uuid4().hex}"
    for shard, number in ((0, 0), (2, 0), (2, 1), (7, 0)):
        put(place, commit(shard, number))
    yield place
    if request.param == "memory":
        storage.remove_tree(place)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Which commits are read, and what is listed."""
    seen: dict[str, list[str]] = {"read": [], "listed": []}
    read, listed = commits.read, register.versions.listed

    def counted_read(folder: str) -> Commit | None:
        seen["read"].append(folder.rpartition("fetch/ledger/")[2])
        return read(folder)

    def counted_listed(folder: str, ending: str) -> object:
        seen["listed"].append(folder)
        return listed(folder, ending)

    monkeypatch.setattr(commits, "read", counted_read)
    monkeypatch.setattr(register.versions, "listed", counted_listed)
    return seen


def test_without_a_register_the_ledger_tells(where: str, asked: dict[str, list[str]]) -> None:
    found = register.current(where)
    assert found.shards == [0, 2, 7]
    assert [one.number for one in found.of(2)] == [0, 1]
    assert (found.next(0), found.next(1), found.next(2)) == (1, 0, 2)
    assert len(asked["read"]) == 4
    assert len(asked["listed"]) == 1


def test_it_says_what_the_commits_say(where: str) -> None:
    made = commit(2, 1, lost={"images": ["00" * 16]}, perceptual_hash="pdq")
    put(where, made)
    (_, kept) = saved(where).of(2)
    assert (kept.files, kept.facts, kept.digest, kept.epoch) == (made.files, made.facts, made.digest(), EPOCH)
    assert kept.keeps
    assert kept.run == {"epoch": EPOCH, "retried": ["dead"], "statuses": {"ok": 3, "dead": 1}}
    assert kept.folder == root.ledger_folder(where, 2, 1)
    assert f"{where}/{kept.name}" == kept.folder


def test_its_digest_is_that_of_all_commits(where: str) -> None:
    every = [(shard, number, commit(shard, number).digest()) for shard, number in ((0, 0), (2, 0), (2, 1), (7, 0))]
    assert saved(where).digest == register.current(where).digest == commits.options_hash([list(one) for one in every])


def test_where_its_writer_has_ended_no_commit_is_read(where: str, asked: dict[str, list[str]]) -> None:
    kept = saved(where)
    asked["read"].clear()
    asked["listed"].clear()
    assert register.current(where).known.equals(kept.known)
    assert asked["read"] == []
    # A local folder is looked through, since people change what is there.
    assert len(asked["listed"]) == (1 if storage.is_local(where) else 0)


def test_where_its_writer_has_not_ended_what_is_new_is_read_and_nothing_else(
    where: str, asked: dict[str, list[str]]
) -> None:
    saved(where)
    register.begin(register.current(where), EPOCH + 1)
    put(where, commit(0, 1))
    put(where, commit(7, 0, "repaired"))
    storage.remove(f"{root.ledger_folder(where, 2, 1)}/{commits.STAGE_FILE}")
    asked["read"].clear()
    found = register.current(where)
    assert sorted(asked["read"]) == ["shard=00000/generation=0001", "shard=00007/generation=0000"]
    assert [(shard, len(found.of(shard))) for shard in found.shards] == [(0, 2), (2, 1), (7, 1)]
    assert found.of(7)[0].digest == commit(7, 0, "repaired").digest()
    assert register.trusted(where) is None
    saved(where, EPOCH + 2)
    assert register.trusted(where) is not None


def test_who_takes_the_lock_brings_it_up_to_date_once_for_all_his_workers(
    where: str, asked: dict[str, list[str]]
) -> None:
    saved(where)
    register.begin(register.current(where), EPOCH + 1)  # and was killed
    put(where, commit(0, 1))
    with root.writer(where, "test"):
        asked["read"].clear()
        asked["listed"].clear()
        assert register.current(where).next(0) == 2
        known = register.trusted(where)
        assert known is not None
        assert known.next(0) == 2
        assert asked == {"read": [], "listed": []}


def test_who_takes_the_lock_lists_once_and_tells_what_is_gone(
    tmp_path: Path, asked: dict[str, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    place = str(tmp_path / "root")
    for shard in (0, 2):
        put(place, commit(shard, 0))
    saved(place)
    asked["listed"].clear()
    with register.looked_at(place, EPOCH + 1):
        assert len(asked["listed"]) == 1
    assert caplog.messages == []
    gone = f"{root.ledger_folder(place, 2, 0)}/{commits.STAGE_FILE}"
    storage.remove(gone)
    asked["listed"].clear()
    with register.looked_at(place, EPOCH + 2):
        assert len(asked["listed"]) == 1
        assert register.current(place).shards == [0]
    (told,) = caplog.messages
    assert told.startswith(f"{gone}: gone, with 0 other commits of the fetch")


def test_claims_are_told_by_their_size_and_never_read(where: str, asked: dict[str, list[str]]) -> None:
    saved(where)
    folder = root.ledger_folder(where, 1, 0)
    assert commits.claim_first(folder, EPOCH)
    register.begin(register.current(where), EPOCH)
    asked["read"].clear()
    assert register.current(where).shards == [0, 2, 7]
    assert asked["read"] == []
    register.unclaim(where, EPOCH)
    assert not storage.exists(f"{folder}/{commits.STAGE_FILE}")


def test_a_claim_is_shorter_than_any_commit_of_a_generation() -> None:
    small = Commit("fetch", (), {}, "0" * 32, {commits.EPOCH: 0}, {"shard": 0, "generation": 0})
    assert len(commits.to_json(small)) > commits.BARE_BYTES


def test_claiming_first_finds_what_stands_there(where: str) -> None:
    folder = root.ledger_folder(where, 0, 0)
    assert not commits.claim_first(folder, EPOCH)
    assert commits.read(folder) is not None
    with pytest.raises(RootError, match="a later run has taken over"):
        commits.claim_first(folder, EPOCH - 1)


def test_a_run_that_was_taken_over_replaces_nothing(where: str) -> None:
    first = register.begin(register.current(where), EPOCH)
    put(where, commit(0, 1))
    register.begin(register.current(where), EPOCH + 1)
    kept = saved(where, EPOCH + 1)
    with pytest.raises(RootError, match="a later run has taken over"):
        register.save(first, EPOCH)
    with pytest.raises(RootError, match="a later run has taken over"):
        register.answered(first, EPOCH, {"settled": "key"})
    assert register.current(where).known.equals(kept.known)
    assert register.current(where).epoch == EPOCH + 1


def test_what_an_earlier_run_writes_between_a_look_and_the_beginning_is_taken_over(where: str) -> None:
    mine = register.current(where)
    saved(where, EPOCH)
    assert register.begin(mine, EPOCH + 1).epoch == EPOCH + 1
    assert register.trusted(where) is None


@pytest.mark.parametrize("damage", [b"{}", b"", b"nothing\n", None])
def test_a_damaged_one_is_made_anew_from_the_ledger(
    where: str, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    kept = saved(where)
    content = storage.read_bytes(register.path_of(where))
    storage.put(register.path_of(where), content[:-30] + b"\0" + content[-29:] if damage is None else damage)
    with caplog.at_level(logging.WARNING, "pmd.notes"):
        assert register.current(where).digest == kept.digest
    assert (
        "is damaged, or of another version of pmd: what is committed is looked up in the ledger itself" in caplog.text
    )
    assert register.trusted(where) is None
    assert register.keep(register.current(where), EPOCH).is_kept
    assert register.trusted(where) is not None


def test_a_copied_root_has_other_versions_and_says_the_same(tmp_path: Path, asked: dict[str, list[str]]) -> None:
    where, copy = str(tmp_path / "root"), str(tmp_path / "copy")
    put(where, commit(0, 0))
    kept = saved(where)
    shutil.copytree(where, copy)
    assert register.current(copy).digest == kept.digest
    shutil.rmtree(root.ledger_folder(copy, 0, 0))
    assert register.current(copy).shards == []


def test_a_damaged_commit_is_told_and_not_forgotten(where: str) -> None:
    saved(where)
    register.begin(register.current(where), EPOCH)
    path = f"{root.ledger_folder(where, 7, 0)}/{commits.STAGE_FILE}"
    storage.put(path, storage.read_bytes(path).replace(b'"fetch"', b'"fatch"'))
    with pytest.raises(VerificationError, match="the commit is damaged"):
        register.current(where)


def test_what_workers_tell_is_not_read(where: str, asked: dict[str, list[str]]) -> None:
    known = register.begin(saved(where), EPOCH)
    made = [commit(0, 1), commit(1, 0)]
    for one in made:
        put(where, one)
    asked["read"].clear()
    found = register.save(register.refreshed(known, [made[0], commit(5, 0)]), EPOCH)
    assert asked["read"] == ["shard=00001/generation=0000"]
    assert found.shards == [0, 1, 2, 7]  # what is told and does not stand is not believed
    assert found.of(0)[1].digest == made[0].digest()


def test_answers_are_kept_and_are_of_all_that_stands(where: str) -> None:
    known = register.answered(saved(where), EPOCH, {"settled": "key"})
    assert register.current(where).answers == {"settled": "key"}
    seen = storage.read_bytes(register.path_of(where))
    register.answered(known, EPOCH, {"settled": "key"})
    assert storage.read_bytes(register.path_of(where)) == seen


def test_a_root_without_a_fetch_gets_no_register(tmp_path: Path) -> None:
    with root.writer(str(tmp_path / "root"), "test"):
        assert register.current(str(tmp_path / "root")).shards == []
    assert not storage.exists(register.path_of(str(tmp_path / "root")))


def test_a_fetch_that_has_settled_nothing_leaves_none(tmp_path: Path) -> None:
    where = str(tmp_path / "root")
    known = register.begin(register.current(where), EPOCH)
    assert storage.exists(register.path_of(where))
    assert register.save(known, EPOCH).seen is None
    assert not (tmp_path / "root" / "fetch").exists()


def test_thousands_of_generations_take_little_room(tmp_path: Path) -> None:
    where = str(tmp_path / "root")
    rows = [
        register._row(register.Generation.of(root.ledger_folder(where, shard, 0), commit(shard, 0)), "1-2")
        for shard in range(2048)
    ]
    known = register.pa.Table.from_pylist(rows, schema=register._KNOWN)
    content = register._content(Register(where, known))
    assert len(content) / len(rows) < 200  # bytes a generation: 6 MB for all of PMD
    assert flow.REGISTER in register.path_of(where)
