"""Commits: a folder holds exactly what its `_stage.json` lists."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from pmd.errors import RootError, VerificationError
from pmd.store import commits, storage, versions
from pmd.store.commits import Books, Commit, File
from pmd.store.versions import Versioned


def some(stage: str = "curate", *files: File) -> Commit:
    return Commit(stage, files, {"coco": Books(2, {"empty_text": 1})}, "0" * 32, {"pmd": "test"}, {"bits": 3})


def test_a_commit_is_read_as_it_was_written(tmp_path: Path) -> None:
    commit = some(
        "curate",
        commits.put_content(str(tmp_path), "pairs/a", "", b"a", 1),
        commits.put_content(str(tmp_path), "rejected/b", "", b"b", 1),
    )
    commits.write(str(tmp_path), commit)
    assert commits.read(str(tmp_path)) == commit
    assert commits.require(str(tmp_path), "run it") == commit
    assert commit.under("pairs") == [commit.files[0]]


def test_the_keys_of_a_commit_are_the_contract() -> None:
    content = orjson.loads(commits.to_json(some("curate", File("pairs/b", 3, 1, "ab"), File("pairs/a", 4, 2, "cd"))))
    digest = content["run"].pop("digest")
    assert digest == commits.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    assert content == {
        "stage": "curate",
        "files": [
            {"name": "pairs/a", "bytes": 4, "rows": 2, "sha256": "cd"},
            {"name": "pairs/b", "bytes": 3, "rows": 1, "sha256": "ab"},
        ],
        "sources": {"coco": {"in": 3, "kept": 2, "rejected": {"empty_text": 1}}},
        "hash": "0" * 32,
        "facts": {"bits": 3},
        "run": {"pmd": "test"},
    }


def test_a_commit_does_not_depend_on_the_order_of_its_parts() -> None:
    one, two = File("a", 1, 1, "aa"), File("b", 2, 2, "bb")
    first = Commit("s", (one, two), {"x": Books(1, {"p": 1, "q": 2}), "y": Books(2)}, "h", {})
    second = Commit("s", (two, one), {"y": Books(2), "x": Books(1, {"q": 2, "p": 1})}, "h", {})
    assert commits.to_json(first) == commits.to_json(second)


PART = "part-00000-of-00001"


def test_a_sweep_removes_what_is_not_listed(tmp_path: Path) -> None:
    folder = str(tmp_path / "curate" / "source=coco")
    kept = commits.put_content(folder, f"pairs/{PART}", ".parquet", b"kept", 1)
    commits.put_content(folder, f"pairs/{PART}", ".parquet", b"of an older commit", 1)
    storage.put(storage.join(folder, f"rejected/{storage.TEMPORARY}{'0' * 32}"), b"half")
    commits.write(folder, some("curate", kept))
    commits.sweep(folder)
    assert storage.list_files(folder) == ["_stage.json", kept.name]
    assert not (tmp_path / "curate" / "source=coco" / "rejected").exists()


SOMEBODYS = (
    "images/holiday.jpg",
    "views/plan.txt",
    "audit/notes.txt",
    "shards/webdataset/a.tar",
    f"images/old/{PART}-0123456789abcdef.parquet",
    "publish/source=coco/README.md",
    "dedupe/.tmp-mine",
)


@pytest.mark.parametrize("name", SOMEBODYS)
def test_files_that_no_run_writes_are_never_removed(tmp_path: Path, name: str) -> None:
    storage.put(str(tmp_path / name), b"precious")
    folder = str(tmp_path / name.rpartition("/")[0].removesuffix("/old"))
    commits.write(folder, some())
    commits.sweep(folder)
    commits.retire(folder)
    assert storage.list_files(str(tmp_path)) == [name]


def test_a_sweep_leaves_other_commits_below_alone(tmp_path: Path) -> None:
    folder = str(tmp_path / "fetch")
    part = f"{PART}-0123456789abcdef.parquet"
    storage.put(storage.join(folder, "rejected", "_stage.json"), commits.to_json(some()))
    storage.put(storage.join(folder, "rejected", part), b"")
    storage.put(storage.join(str(tmp_path), "images", part), b"")
    commits.write(folder, some())
    commits.write(str(tmp_path), some())
    commits.sweep(str(tmp_path))
    assert storage.list_files(str(tmp_path)) == [
        "_stage.json",
        "fetch/_stage.json",
        "fetch/rejected/_stage.json",
        f"fetch/rejected/{part}",
    ]


def test_a_retired_commit_goes_with_its_files_and_others_stay(tmp_path: Path) -> None:
    folder = str(tmp_path / "images")
    file = commits.put_content(folder, PART, ".parquet", b"content", 1)
    storage.put(storage.join(folder, "notes.txt"), b"mine")
    commits.write(folder, some("images", file))
    commits.retire(folder)
    assert storage.list_files(folder) == ["notes.txt"]
    storage.remove(storage.join(folder, "notes.txt"))
    commits.retire(folder)
    assert not (tmp_path / "images").exists()


def at(epoch: int) -> Commit:
    return dataclasses.replace(some(), run={commits.EPOCH: epoch})


def test_a_claim_changes_nothing_that_a_reader_sees(tmp_path: Path) -> None:
    folder = str(tmp_path / "curate" / "source=coco")
    commits.claim(folder, 3)
    assert commits.read(folder) is None
    commits.write(folder, at(3))
    commits.claim(folder, 5)
    standing = commits.require(folder, "")
    assert (standing.epoch, standing.run) == (5, {"epoch": 3, "claimed": 5})
    assert dataclasses.replace(standing, run={}) == dataclasses.replace(at(3), run={})
    assert standing.digest() == at(3).digest()
    commits.unclaim(folder, 9)
    assert commits.require(folder, "") == standing
    commits.write(folder, at(5))
    assert commits.require(folder, "") == at(5)


def test_a_claim_without_a_commit_is_taken_back(tmp_path: Path) -> None:
    folder = str(tmp_path / "curate" / "source=coco")
    commits.claim(folder, 3)
    commits.unclaim(folder, 9)
    assert not (tmp_path / "curate" / "source=coco").exists()


@pytest.mark.parametrize("late", [commits.write, commits.write_if_absent, commits.replace_unreadable])
def test_a_commit_of_which_the_answer_was_lost_is_ours(
    late: Callable[[str, Commit], bool | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of a store asks again, and that try meets what the first has written: nobody else was faster."""
    folder = f"memory://{uuid.uuid4().hex}"
    commits.claim(folder, 2)
    real, answers = versions.swap, [False]

    def answer_lost(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        return real(url, content, seen) and (answers.pop() if answers else True)

    monkeypatch.setattr(versions, "swap", answer_lost)
    assert late(folder, at(2)) in {None, True}
    assert answers == []
    assert commits.require(folder, "") == at(2)


@pytest.mark.parametrize("committed", [False, True])
def test_a_writer_that_was_taken_over_commits_nothing(tmp_path: Path, committed: bool) -> None:
    folder = str(tmp_path)
    if committed:
        commits.claim(folder, 1)
        commits.write(folder, at(1))
    commits.claim(folder, 2)
    commits.claim(folder, 4)  # takes over
    for late in (commits.write, commits.write_if_absent):
        with pytest.raises(RootError) as caught:
            late(folder, at(2))
        assert str(caught.value) == (
            f"{folder}/_stage.json: a later run has taken over; this one has changed nothing since, and ends\n"
            "  expected: epoch 2, under which this run began\n"
            "  found: epoch 4\n"
            "  remedy: leave the later run to it"
        )
    with pytest.raises(RootError, match="a later run has taken over"):
        commits.claim(folder, 2)
    assert (commits.read(folder) is not None) == committed
    assert commits.write_if_absent(folder, at(4)) != committed
    commits.write(folder, at(4))
    assert commits.require(folder, "") == at(4)


def test_a_swap_that_another_was_faster_at_is_made_again_on_what_stands_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap, folder = versions.swap, str(tmp_path)

    def overtaken(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        monkeypatch.setattr(versions, "swap", swap)
        commits.claim(folder, 9)
        return swap(url, content, seen)

    monkeypatch.setattr(versions, "swap", overtaken)
    with pytest.raises(RootError, match="a later run has taken over"):
        commits.write(folder, at(2))
    assert commits.read(folder) is None


def test_a_damaged_commit_is_told_and_can_be_replaced(tmp_path: Path) -> None:
    folder, path = str(tmp_path), tmp_path / "_stage.json"
    commits.claim(folder, 2)
    commits.write(folder, at(2))
    path.write_bytes(path.read_bytes().replace(b'"kept": 2', b'"kept": 3'))
    with pytest.raises(VerificationError) as caught:
        commits.read(folder)
    assert str(caught.value).startswith(f"{path}: the commit is damaged\n  expected: the SHA-256 that it states, ")
    assert str(caught.value).endswith("\n  remedy: run: pmd repair ROOT")
    assert commits.from_json(path.read_bytes(), "", damaged=True).sources["coco"].kept == 3
    commits.claim(folder, 3)
    commits.write(folder, at(3))
    assert commits.require(folder, "") == at(3)


@pytest.mark.parametrize("committed", [False, True])
def test_who_was_taken_over_commits_nothing_though_the_later_one_has_ended_without_a_commit(
    tmp_path: Path, committed: bool
) -> None:
    folder = str(tmp_path / "images")
    if committed:
        commits.claim(folder, 1)
        commits.write(folder, at(1))
    for epoch in (2, 4):
        commits.claim(folder, epoch)
    commits.unclaim(folder, 4)  # it fails
    for late in (commits.write, commits.write_if_absent):
        if committed and late is commits.write_if_absent:
            continue
        with pytest.raises(RootError) as caught:
            late(folder, at(2))
        assert str(caught.value) == (
            f"{folder}/_stage.json: a later run has taken over; this one has changed nothing since, and ends\n"
            "  expected: epoch 2, under which this run began\n"
            f"  found: {'epoch 4' if committed else 'no claim: it has ended too'}\n"
            "  remedy: leave the later run to it"
        )
    assert (commits.read(folder) is not None) == committed


def test_a_run_that_has_let_its_claim_go_commits_nothing_until_it_claims_again(tmp_path: Path) -> None:
    """A thread or a worker of it that begins to commit only then finds its own epoch, and its files gone."""
    folder = str(tmp_path / "images")
    for epoch in (1, 2):
        commits.claim(folder, epoch)
        if epoch == 1:
            commits.write(folder, at(1))
    commits.unclaim(folder, 2)
    for late in (lambda: commits.write(folder, at(2)), lambda: commits.open_for_change(folder, 2)):
        with pytest.raises(RootError, match="no claim: it has ended too"):
            late()
    assert commits.require(folder, "").hash == at(1).hash
    commits.claim(folder, 2)
    commits.write(folder, at(2))
    assert commits.require(folder, "") == at(2)


def test_a_worker_that_commits_while_its_claim_is_taken_back_keeps_its_commit_or_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, read = str(tmp_path / "images"), versions.read
    commits.claim(folder, 2)

    def overtaken(url: str) -> Versioned | None:
        seen = read(url)
        monkeypatch.setattr(versions, "read", read)
        assert commits.write_if_absent(folder, at(2))
        return seen

    monkeypatch.setattr(versions, "read", overtaken)
    commits.unclaim(folder, 9)
    assert commits.require(folder, "") == at(2)


def test_who_was_taken_over_leaves_the_later_ones_claim(tmp_path: Path) -> None:
    folder = str(tmp_path / "images")
    commits.claim(folder, 2)
    commits.claim(folder, 4)
    commits.unclaim(folder, 2)
    commits.write(folder, at(4))
    assert commits.require(folder, "") == at(4)


def test_what_is_committed_while_a_sweep_lists_files_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, listing = str(tmp_path / "images"), storage.list_files
    commits.claim(folder, 2)
    file = commits.put_content(folder, PART, ".parquet", b"content", 1)

    def overtaken(where: str) -> list[str]:
        names = listing(where)
        commits.write(folder, dataclasses.replace(at(2), files=(file,)))
        return names

    monkeypatch.setattr(storage, "list_files", overtaken)
    commits.sweep(folder)
    assert storage.read_bytes(storage.join(folder, file.name)) == b"content"


def test_nothing_is_removed_once_the_lock_is_lost(tmp_path: Path) -> None:
    for folder in (str(tmp_path / "images"), "memory://lost/images"):
        names = [commits.put_content(folder, PART, ".parquet", text, 1).name for text in (b"one", b"two")]
        checks = iter([None])

        def check(checks: Iterator[None] = checks) -> None:
            if next(checks, RootError) is RootError:
                raise RootError("lost")

        with pytest.raises(RootError, match="lost"):
            commits.sweep(folder, check)
        assert len(storage.list_files(folder)) == len(names) - 1


def test_a_file_that_another_has_written_since_it_was_seen_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = "memory://same/images"
    file = commits.put_content(folder, PART, ".parquet", b"content", 1)
    commits.sweep(folder, lambda: storage.put(storage.join(folder, file.name), b"content"))
    assert storage.list_files(folder) == [file.name]
    commits.sweep(folder)
    assert storage.list_files(folder) == []


def test_a_commit_whose_files_are_about_to_be_replaced_is_nobodys_outcome(tmp_path: Path) -> None:
    folder = str(tmp_path / "audit")
    commits.claim(folder, 1)
    commits.open_for_change(folder, 1)
    assert commits.read(folder) is None
    commits.write(folder, at(1))
    commits.claim(folder, 2)
    commits.open_for_change(folder, 2)
    assert commits.require(folder, "") == dataclasses.replace(at(1), hash="", run={"epoch": 1, "claimed": 2})
    with pytest.raises(RootError, match="a later run has taken over"):
        commits.open_for_change(folder, 1)


def test_a_file_that_is_written_again_is_whole(tmp_path: Path) -> None:
    first = commits.put_content(str(tmp_path), "part", ".bin", b"content", 1)
    (tmp_path / first.name).write_bytes(b"cut")
    assert commits.put_content(str(tmp_path), "part", ".bin", b"content", 1) == first
    assert (tmp_path / first.name).read_bytes() == b"content"


def test_of_two_generations_the_first_stands(tmp_path: Path) -> None:
    first, second = some("fetch"), dataclasses.replace(some("fetch"), hash="1" * 32)
    assert commits.write_if_absent(str(tmp_path), first)
    assert not commits.write_if_absent(str(tmp_path), second)
    assert commits.read(str(tmp_path)) == first


def test_nothing_committed_is_told_with_what_to_run(tmp_path: Path) -> None:
    assert commits.read(str(tmp_path)) is None
    with pytest.raises(RootError) as caught:
        commits.require(str(tmp_path), "run: pmd dedupe")
    assert str(caught.value) == (
        f"{tmp_path}: nothing is committed here\n  expected: _stage.json\n  remedy: run: pmd dedupe"
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"{", "JSONDecodeError"),
        (b"null", "TypeError"),
        (b"[]", "TypeError"),
        (b'{"stage": "x"}', "KeyError: 'run'"),
        (b"{}", "KeyError: 'stage'"),
        (b'{"stage": "x", "files": [{"name": "a"}], "sources": {}, "hash": "", "run": {}}', "TypeError"),
        (b'{"stage": "x", "files": [], "sources": [], "hash": "", "run": {}}', "AttributeError"),
        (b'{"stage": "x", "files": [], "sources": {"coco": {"in": 1}}, "hash": "", "run": {}}', "KeyError: 'kept'"),
    ],
)
def test_a_foreign_stage_file_is_told(content: bytes, found: str) -> None:
    with pytest.raises(RootError) as caught:
        commits.from_json(content, "out/curate/source=coco/_stage.json")
    text = str(caught.value)
    assert text.startswith(
        "out/curate/source=coco/_stage.json: not a commit of this version of pmd\n"
        "  expected: a JSON object with stage, files, sources, hash and run\n"
        f"  found: {found}"
    )
    assert text.endswith("remedy: run: pmd repair ROOT; or remove the folder it stands in, and the stage is run again")


def test_books_add_up() -> None:
    one, two = Books(2, {"dead": 1, "dns": 3}), Books(5, {"dead": 4})
    assert one + two == Books(7, {"dead": 5, "dns": 3})
    assert (one + two).total == one.total + two.total == 15
    assert Books() + one == one
    assert Books().total == 0


def test_a_digest_is_of_what_is_committed() -> None:
    commit = some("curate", File("pairs/a", 3, 1, "ab"), File("rejected/b", 4, 2, "cd"))
    other_run = Commit(commit.stage, commit.files, commit.sources, "1" * 32, {"pmd": "other"}, commit.facts)
    other_rejected = some("curate", File("pairs/a", 3, 1, "ab"), File("rejected/b", 4, 2, "ce"))
    assert commit.digest() == other_run.digest()
    assert commit.digest() != other_rejected.digest()
    assert commit.digest("pairs") == other_rejected.digest("pairs")
    assert commits.options_hash({"a": 1, "b": 2}) == commits.options_hash({"b": 2, "a": 1})


def test_what_cannot_be_parsed_is_replaced_only_while_it_is_what_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(tmp_path)
    (tmp_path / commits.STAGE_FILE).write_bytes(b"{")
    with pytest.raises(RootError, match="not a commit of this version"):
        commits.write(folder, at(1))
    real = versions.swap

    def overtaken(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        storage.put(url, b"[")
        return real(url, content, seen)

    monkeypatch.setattr(versions, "swap", overtaken)
    with pytest.raises(RootError, match="a later run has taken over") as told:
        commits.replace_unreadable(folder, at(1))
    assert (told.value.expected, told.value.found) == (
        "epoch 1, under which this run began",
        "no claim: it has ended too",
    )
    assert (tmp_path / commits.STAGE_FILE).read_bytes() == b"["
    monkeypatch.undo()
    commits.replace_unreadable(folder, at(1))
    assert commits.read(folder) == at(1)


def test_where_others_write_all_the_time_a_writer_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[bytes] = []

    def overtaken(url: str, content: bytes, seen: Versioned | None, **_: object) -> bool:
        tries.append(content)
        return False

    monkeypatch.setattr(versions, "swap", overtaken)
    with pytest.raises(RootError) as told:
        commits.claim(str(tmp_path), 1)
    assert str(told.value) == (
        f"{tmp_path}/_stage.json: others write here all the time\n"
        "  expected: one writer\n"
        "  found: 16 changes while one was made\n"
        "  remedy: end the others, then run the same command again"
    )
    assert len(tries) == 16


def test_a_commit_that_goes_with_its_folder_is_retired_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "shards" / "parquet"
    commits.write(str(folder), some("shard"))
    commits.retire(str(folder))
    assert not folder.exists()
    commits.retire(str(folder))
    commits.write("memory://retired/shards", some("shard"))
    commits.retire("memory://retired/shards")
    assert storage.list_files("memory://retired/shards") == []


def test_a_file_of_an_object_store_that_went_meanwhile_is_no_error() -> None:
    checked: list[str] = []
    commits.remove(["memory://went/part-0"], lambda: checked.append("held"))
    assert checked == ["held"]


def test_the_place_of_a_file_that_stands_beside_its_commit() -> None:
    assert commits.path_of("s3://b/fetch/ledger/shard=1", "ledger/part") == "s3://b/fetch/ledger/shard=1/ledger/part"
    assert commits.path_of("s3://b/fetch/ledger/shard=1", "../../store/a.tar") == "s3://b/fetch/store/a.tar"


def test_the_epoch_of_a_commit_is_the_highest_that_wrote_in_it() -> None:
    assert at(3).epoch == 3
    assert dataclasses.replace(at(3), run={"epoch": 3, "claimed": 7}).epoch == 7
    assert dataclasses.replace(at(9), run={"epoch": 9, "claimed": 7}).epoch == 9
    assert some().epoch == 0


def test_files_are_asked_for_by_their_folder_not_by_its_beginning() -> None:
    files = [File(name, 1, 1, "00") for name in ("pairs/a", "pairs_more/b", "pairs/c")]
    assert some("curate", *files).under("pairs") == [files[0], files[2]]


def test_options_have_one_hash_however_their_keys_are_ordered() -> None:
    one, other = {"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}
    assert commits.options_hash(one) == commits.options_hash(other)
    assert commits.options_hash(one) != commits.options_hash({**one, "b": [2, 1]})
    # Commits of every ROOT hold such hashes: another spelling would make all of them stale.
    assert commits.options_hash({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad808"


def test_a_claim_that_is_gone_need_not_be_taken_back(tmp_path: Path) -> None:
    commits.unclaim(str(tmp_path / "images"), 1)
    assert not (tmp_path / "images").exists()
