from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import itertools
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pmd.config.options import FetchOptions
from pmd.errors import InputError, NetworkError, RootError
from pmd.fetch.generations import claims, store
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.generations.waiting import Waiting
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import state, stored
from pmd.fetch.outcome import Fetched
from pmd.schema import keys
from pmd.schema.tables import ATTEMPTS, LEDGER, LEDGER_OUTCOME
from pmd.store import commits, parquet_files, patience, register, root, storage
from pmd.store.commits import Books, Commit
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table


def images(web: Web, count: int = 6) -> pa.Table:
    """Return images of two sources: the even ones are there."""
    for number in range(0, count, 2):
        web.routes[f"a.test/{number}"] = reply(photo(seed=number))
    return table(
        *(
            image_row(str(number), f"http://a.test/{number}", sources=("coco", "sbu") if number < 2 else ("sbu",))
            for number in range(count)
        )
    )


def run(folder: Path, rows: pa.Table, web: Web, **changes: Any) -> Commit | None:
    with Lane(options(web), contact="", patience=HASTE) as lane:
        return store.run_shard(store.Order(str(folder), 3, rows, options(web), **changes), lane)


def files(folder: Path) -> list[str]:
    return [name for name in storage.list_files(str(folder)) if name.startswith("fetch/")]


def outcome(folder: Path) -> list[dict[str, Any]]:
    return state.read_ledger(str(folder), 3).select(list(LEDGER_OUTCOME)).to_pylist()


def test_a_generation_is_committed_with_its_books(web: Web, tmp_path: Path) -> None:
    commit = run(tmp_path, images(web), web)
    assert commit is not None
    assert commit.stage == "fetch"
    assert commit.sources == {"coco": Books(1, {"dead": 1}), "sbu": Books(3, {"dead": 3})}
    folder = root.ledger_folder(str(tmp_path), 3, 0)
    assert commits.require(folder, "").sources == commit.sources
    for file in commit.files:
        content = storage.read_bytes(commits.path_of(folder, file.name))
        assert len(content) == file.bytes
        assert file.name.rsplit("-", 1)[-1].rsplit("/", 1)[-1].startswith(file.sha256[:16])
    assert [
        (file.name.split("/")[3] if file.name.startswith("../") else "ledger", file.rows) for file in commit.files
    ] == [
        ("store", 3),
        ("attempts", 6),
        ("ledger", 6),
    ]
    assert len(files(tmp_path)) == 4
    attempts = next(file for file in commit.files if "attempts" in file.name)
    table_read = parquet_files.read_table(
        *commits.path_of(folder, attempts.name).rsplit("/", 1)[:1], attempts_file(attempts)
    )
    assert table_read.schema.equals(ATTEMPTS)


def attempts_file(file: commits.File) -> commits.File:
    return commits.File(file.name.rsplit("/", 1)[1], file.bytes, file.rows, file.sha256)


def test_the_ledger_leads_to_the_bytes(web: Web, tmp_path: Path) -> None:
    run(tmp_path, images(web), web)
    ledger = state.read_ledger(str(tmp_path), 3)
    assert ledger.schema.equals(LEDGER)
    assert ledger["image_id"].to_pylist() == sorted(ledger["image_id"].to_pylist())
    rows = [row for row in ledger.to_pylist() if row["status"] == "ok"]
    assert len(rows) == 3
    with tarfile.open(tmp_path / rows[0]["store_file"], "r:") as tar:
        members = {member.name: member for member in tar}
        assert {member.mtime for member in members.values()} == {0}
        assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}
        for row in rows:
            member = members[f"{row['image_id'].hex()}.jpg"]
            assert (member.offset_data, member.size) == (row["offset"], row["length"])
            content = stored.read(str(tmp_path), row)
            extracted = tar.extractfile(member)
            assert extracted is not None
            assert extracted.read() == content
            with Image.open(io.BytesIO(content)) as picture:
                picture.load()
                assert min(picture.size) == 256
    for row in ledger.to_pylist():
        assert (row["store_file"] is None) == (row["status"] != "ok")


def test_a_second_run_asks_for_nothing(web: Web, tmp_path: Path) -> None:
    run(tmp_path, images(web), web)
    requests, before = len(web.log), files(tmp_path)
    assert run(tmp_path, images(web), web) is None
    assert (len(web.log), files(tmp_path)) == (requests, before)


class MeetsAMistake:
    """A lane that meets one when it has settled some images."""

    def __init__(self, lane: Lane, settled: int, mistake: Exception) -> None:
        self._lane, self._settled, self._mistake = lane, settled, mistake

    def fetch(self, *args: Any, **named: Any) -> Iterator[Fetched]:
        found = self._lane.fetch(*args, **named)
        with contextlib.closing(found):
            yield from itertools.islice(found, self._settled)
            raise self._mistake

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lane, name)


def run_until(folder: Path, rows: pa.Table, web: Web, settled: int, mistake: Exception) -> None:
    with Lane(options(web), contact="", patience=HASTE) as lane:
        meets: Any = MeetsAMistake(lane, settled, mistake)
        order = store.Order(str(folder), 3, rows, options(web))
        with pytest.raises(type(mistake)) as raised:
            store.run_shard(order, meets)
    assert raised.value is mistake


@pytest.mark.parametrize(
    "mistake", [InputError("no such file"), MemoryError(), OSError(errno.EMFILE, "Too many open files"), TypeError()]
)
def test_what_was_settled_before_a_mistake_is_not_asked_for_again(web: Web, tmp_path: Path, mistake: Exception) -> None:
    rows = images(web)
    run_until(tmp_path, rows, web, 4, mistake)
    settled = {row["location"] for row in state.read_ledger(str(tmp_path), 3).to_pylist()}
    assert len(settled) == 4
    before = len(web.asked())
    run(tmp_path, rows, web)
    asked = {f"http://{request.host}{request.path}" for request in web.asked()[before:]}
    assert asked == {f"http://a.test/{number}" for number in range(6)} - settled
    assert state.read_ledger(str(tmp_path), 3).num_rows == 6


def test_of_a_mistake_before_anything_is_settled_nothing_is_left(web: Web, tmp_path: Path) -> None:
    run_until(tmp_path, images(web), web, 0, InputError("no such file"))
    assert files(tmp_path) == []


def test_where_the_network_is_broken_nothing_is_kept(web: Web, tmp_path: Path) -> None:
    run_until(tmp_path, images(web), web, 4, NetworkError("the network is broken"))
    assert files(tmp_path) == []


def test_a_mistake_is_told_where_what_is_settled_cannot_be_written(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "put_settled", full)
    run_until(tmp_path, images(web), web, 4, InputError("no such file"))
    assert [name for name in files(tmp_path) if name.endswith("_stage.json")] == []


def test_a_location_that_comes_later_is_all_that_is_tried(web: Web, tmp_path: Path) -> None:
    rows = images(web)
    run(tmp_path, rows, web)
    web.routes["b.test/1"] = reply(photo(seed=1))
    requests = len(web.asked())
    more = table(
        *(row for row in rows.to_pylist() if row["identity"] != "1"),
        image_row("1", "http://a.test/1", "http://b.test/1"),
    )
    commit = run(tmp_path, more, web)
    assert [request.host for request in web.asked()[requests:]] == ["b.test"]
    assert commit is not None
    assert commit.facts == {"shard": 3, "generation": 1, state.HASH: state.PDQ}
    assert commit.sources == {"coco": Books(1)}
    (row,) = [row for row in state.read_ledger(str(tmp_path), 3).to_pylist() if row["image_id"] == keys.image_id("1")]
    assert (row["status"], row["generation"], row["tried"]) == ("ok", 1, ["http://a.test/1", "http://b.test/1"])


def test_retry_tries_the_statuses_that_it_names_and_no_ok(web: Web, tmp_path: Path) -> None:
    rows = images(web)
    web.routes["a.test/1"] = [reply(status=500), reply(photo(seed=1))]
    run(tmp_path, rows, web)
    requests = len(web.asked())
    assert run(tmp_path, rows, web, retry=("timeout", "ok")) is None
    commit = run(tmp_path, rows, web, retry=("server_error",))
    assert commit is not None
    assert commit.sources["coco"] == Books(1)
    assert [request.path for request in web.asked()[requests:]] == ["/1"]


def test_images_that_all_fail_need_no_tar(web: Web, tmp_path: Path) -> None:
    commit = run(tmp_path, table(image_row("x", "http://a.test/x"), image_row("y")), web)
    assert commit is not None
    assert commit.sources == {"coco": Books(0, {"dead": 1, "no_location": 1})}
    assert not [file for file in commit.files if "store" in file.name]


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize(
    ("owner", "place"), [(parquet_files, "put_table"), (commits, "write_if_absent"), (StoreTar, "finish")]
)
def test_killed_between_its_writes_and_run_again(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, place: str
) -> None:
    rows = images(web)
    run(tmp_path / "undisturbed", rows, web)

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(owner, place, kill)
        with pytest.raises(Killed):
            run(tmp_path / "killed", rows, web)
    assert state.read_ledger(str(tmp_path / "killed"), 3).num_rows == 0
    left = files(tmp_path / "killed")
    assert not [name for name in left if name.endswith("_stage.json")]
    assert len(claims.sweep(str(tmp_path / "killed"), 3)) == len(left)
    run(tmp_path / "killed", rows, web)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "undisturbed")
    assert claims.sweep(str(tmp_path / "killed"), 3) == []
    assert len(files(tmp_path / "killed")) == 4


def test_of_two_workers_one_commits_and_what_the_other_leaves_is_swept(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = images(web)
    commit_first = commits.write_if_absent

    def be_late(folder: str, commit: Commit) -> bool:
        monkeypatch.setattr(commits, "write_if_absent", commit_first)
        run(tmp_path, rows, web)
        return commit_first(folder, commit)

    monkeypatch.setattr(commits, "write_if_absent", be_late)
    standing = run(tmp_path, rows, web)
    folder = root.ledger_folder(str(tmp_path), 3, 0)
    assert standing == commits.require(folder, "")
    assert all(storage.exists(commits.path_of(folder, file.name)) for file in standing.files)
    assert {path.rsplit(".", 1)[-1] for path in claims.sweep(str(tmp_path), 3)} <= {"tar", "parquet"}
    assert all(storage.exists(commits.path_of(folder, file.name)) for file in standing.files)
    assert claims.sweep(str(tmp_path), 3) == []


def test_the_worker_of_a_killed_driver_commits_nothing_once_another_has_begun(web: Web, tmp_path: Path) -> None:
    rows = images(web)
    folder = root.ledger_folder(str(tmp_path), 3, 0)
    for epoch in (1, 2):
        claims.begin(register.current(str(tmp_path)), [3], epoch)
    with pytest.raises(RootError, match="a later run"):
        run(tmp_path, rows, web, epoch=1)
    assert commits.read(folder) is None
    run(tmp_path, rows, web, epoch=2)
    standing = commits.require(folder, "")
    claims.end(register.current(str(tmp_path)), [3], 2)
    listed = {Path(commits.path_of(folder, file.name)) for file in standing.files} | {Path(folder, "_stage.json")}
    assert {tmp_path / name for name in files(tmp_path)} == listed | {Path(register.path_of(str(tmp_path)))}


def test_what_a_commit_lists_is_there_even_if_a_sweep_came_between(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = store.commit_generation

    def swept(root_folder: str, commit: Commit) -> Commit:
        claims.sweep(root_folder, commit.facts["shard"])
        return whole(root_folder, commit)

    monkeypatch.setattr(store, "commit_generation", swept)
    with pytest.raises(Exception, match="nothing is committed here"):
        run(tmp_path, images(web), web)
    assert list(state.generations(str(tmp_path), 3)) == []


def unknown(host: str) -> list[str]:
    raise OSError(-3, "Temporary failure in name resolution")


async def hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def unheard(web: Web, folder: Path) -> tuple[pa.Table, FetchOptions]:
    """Return images of which only those of a folder can be had: no host answers."""
    (folder / "in place").mkdir(parents=True)
    (folder / "in place" / "a.jpg").write_bytes(photo(seed=1))
    web.routes |= {"hangs.test/x": hang, "hangs.test/y": hang}
    locations = {
        "archived": [f"{folder}/in place!/a.jpg"],
        "missing": [f"{folder}/in place!/b.jpg"],
        "missing here": [f"{folder}/in place!/b.jpg", "http://unknown.test/x"],
        "unknown": ["http://unknown.test/y"],
        "slow": ["http://hangs.test/x"],
        "refused": ["http://refused.test/x"],
        "nowhere": [],
    }
    resolve = {"hangs.test:80": f"127.0.0.1:{web.port}", "refused.test:80": "127.0.0.1:9"}
    chosen = options(web, robots=False, resolve=resolve, timeout_s=0.2)
    return table(*(image_row(name, *places) for name, places in locations.items())), chosen


def standing(folder: Path) -> dict[str, str]:
    names = ("archived", "missing", "missing here", "unknown", "slow", "refused", "nowhere")
    known = {keys.image_id(name): name for name in names}
    rows = state.read_ledger(str(folder), 3).select(["image_id", "status"]).to_pylist()
    return {known[row["image_id"]]: row["status"] for row in rows}


SETTLED = {"archived": "ok", "missing": "dead", "nowhere": "no_location"}
UNHEARD = {"missing here": "dns", "unknown": "dns", "slow": "timeout", "refused": "connection"}


@pytest.mark.parametrize("settle", [False, True])
def test_what_says_nothing_while_no_host_answers_waits_in_a_generation_of_its_own(
    web: Web, tmp_path: Path, *, settle: bool
) -> None:
    rows, chosen = unheard(web, tmp_path / "data")
    folder, waiting = tmp_path / "root", Waiting(str(tmp_path / "waiting"))
    with Lane(chosen, contact="", patience=HASTE, lookup=unknown) as lane:
        commit = store.run_shard(store.Order(str(folder), 3, rows, chosen, waiting=waiting), lane)
    assert commit is not None
    assert commit.sources == {"coco": Books(1, {"dead": 1, "no_location": 1})}
    assert standing(folder) == SETTLED
    left = store.end_waiting(str(folder), waiting, settle=settle)
    claims.end(register.current(str(folder)), [3], 0)
    assert left == ({} if settle else {"dns": 2, "timeout": 1, "connection": 1})
    assert standing(folder) == (SETTLED | UNHEARD if settle else SETTLED)
    assert len(list(state.generations(str(folder), 3))) == 1 + settle
    for generation, at, found in state.generations(str(folder), 3):
        for file in found.files:
            content = storage.read_bytes(commits.path_of(at, file.name))
            assert commits.sha256(content) == file.sha256
            if "attempts" in file.name:
                assert set(pq.read_table(io.BytesIO(content))["generation"].to_pylist()) <= {generation}
    assert claims.sweep(str(folder), 3) == []


def test_an_image_that_an_earlier_run_lost_does_not_wait_and_one_that_it_lost_otherwise_does(
    web: Web, tmp_path: Path
) -> None:
    rows, chosen = unheard(web, tmp_path / "data")
    web.routes["refused.test/x"] = reply(status=500)
    folder, waiting = tmp_path / "root", Waiting(str(tmp_path / "waiting"))
    reached = chosen.model_copy(update={"resolve": {"*:80": f"127.0.0.1:{web.port}"}})
    for options_now, lookup in ((reached, unknown), (chosen, unknown)):
        with Lane(options_now, contact="", patience=HASTE, lookup=lookup) as lane:
            mine = rows.filter([name in {"slow", "refused"} for name in rows["identity"].to_pylist()])
            retry = ["server_error", "timeout"]
            store.run_shard(store.Order(str(folder), 3, mine, options_now, retry=retry, waiting=waiting), lane)
    assert standing(folder) == {"slow": "timeout", "refused": "server_error"}
    assert [row["generation"] for row in state.read_ledger(str(folder), 3).to_pylist()].count(1) == 1
    assert store.end_waiting(str(folder), waiting, settle=False) == {"connection": 1}
    assert standing(folder) == {"slow": "timeout", "refused": "server_error"}


def test_the_tar_of_the_same_members_has_the_same_bytes(tmp_path: Path) -> None:
    names = []
    for folder in ("a", "b"):
        with StoreTar(str(tmp_path / folder)) as tar:
            assert tar.add("x.jpg", b"abc") == 512
            assert tar.add("y.jpg", bytes(512)) == 1536
            file = tar.finish()
        assert file is not None
        assert (file.bytes, file.rows) == (512 + 512 + 512 + 512 + 1024, 2)
        names.append(file.name)
    assert names[0] == names[1]
    with StoreTar(str(tmp_path / "c")) as tar:
        tar.add("x.jpg", b"abc")
    assert storage.list_files(str(tmp_path / "c")) == []


def test_small_members_of_a_tar_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = patience.Writing.write

    def noted(file: patience.Writing, content: Any) -> int:
        written.append(len(content))
        return write(file, content)

    monkeypatch.setattr(patience.Writing, "write", noted)
    with StoreTar(str(tmp_path)) as tar:
        offsets = [tar.add(f"{number}.jpg", bytes([number]) * 100_000) for number in range(12)]
        file = tar.finish()
    assert file is not None
    assert len(written) == 3  # half a megabyte each, and the rest
    assert sum(written) == file.bytes
    content = (tmp_path / file.name).read_bytes()
    assert [content[at] for at in offsets] == list(range(12))


def test_the_tar_is_what_pythons_own_module_writes(tmp_path: Path) -> None:
    members = {f"{keys.digest(str(length)).hex()}.jpg": bytes(length) for length in (0, 1, 511, 512, 77_123)}
    expected = io.BytesIO()
    with (
        StoreTar(str(tmp_path)) as tar,
        tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as whole,
    ):
        for name, content in members.items():
            tar.add(name, content)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            whole.addfile(info, io.BytesIO(content))
        file = tar.finish()
    assert file is not None
    written = (tmp_path / file.name).read_bytes()
    assert written == expected.getvalue()[: len(written)]  # that module fills whole records of 10 kB
    assert not any(expected.getvalue()[len(written) :])


def test_commit_is_json_with_names_relative_to_its_folder(web: Web, tmp_path: Path) -> None:
    run(tmp_path, images(web), web)
    content = json.loads((tmp_path / "fetch/ledger/shard=00003/generation=0000/_stage.json").read_bytes())
    names = sorted(file["name"].rsplit("-", 1)[0].rsplit("/", 1)[0] for file in content["files"])
    assert names == ["../../../attempts/shard=00003", "../../../store/shard=00003", "ledger"]


def test_the_ledger_knows_the_size_of_what_is_stored() -> None:
    from PIL import Image

    from pmd import codec

    content = codec.encode_jpeg(Image.new("RGB", (640, 480), "navy"))
    limits = codec.Limits(codec.MAX_PIXELS, 1)
    for side, size in ((None, (640, 480)), (256, (341, 256)), (1000, (640, 480))):
        prepared = codec.prepare(content, limits, codec.Form(side, 95), hashed=True)
        assert (prepared.stored_width_px, prepared.stored_height_px) == size
        assert prepared.stored is not None
        assert codec.upright_rgb(prepared.stored).size == size
