"""Files on an object store: sent once and whole, listed without being asked for, waited for when the store is busy."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.config import inputs
from pmd.errors import ConfigError, InputError, PmdError
from pmd.store import failures, lock, root, shortage, storage, versions
from tests.object_stores.conftest import Emulated, in_process, proxied


def methods(asked: list[tuple[str, str]]) -> list[str]:
    return [method for method, _ in asked]


def write(url: str, content: bytes) -> None:
    with storage.write_whole(url) as file:
        file.write(content)


@pytest.mark.parametrize("size", [0, 7, 300_000])
def test_a_file_is_sent_in_one_request_and_leaves_no_other(store: Emulated, size: int) -> None:
    folder, content = f"{store.bucket}/once-{size}", bytes(size)
    asked = store.asks(lambda: write(f"{folder}/a.parquet", content))
    assert methods(asked) == ["PUT" if store.kind == "s3" else "POST"]
    assert storage.list_files(folder) == ["a.parquet"]
    assert storage.read_bytes(f"{folder}/a.parquet") == content


def test_what_is_not_finished_is_never_sent(store: Emulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail() -> None:
        with storage.write_whole(f"{store.bucket}/never/a") as file:
            file.write(b"half")
            raise ZeroDivisionError

    store.proxy.asked.clear()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.proxy.asked == []
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_large_file_that_fails_are_taken_back(store: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    if store.kind != "s3":
        pytest.skip("Cloud Storage keeps no parts: an upload that is not ended expires")
    monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_, **__: 5 * 2**20)
    fs: Any = storage.filesystem(store.bucket)[0]
    sent = type(fs)._call_s3

    async def call(self: Any, method: str, *positional: Any, **named: Any) -> Any:
        if method == "upload_part" and named["PartNumber"] == 2:
            raise PermissionError("no more")
        return await sent(self, method, *positional, **named)

    monkeypatch.setattr(type(fs), "_call_s3", call)
    with pytest.raises(PermissionError):
        write(f"{store.bucket}/parts/a", bytes(11 * 2**20))
    monkeypatch.undo()
    assert fs.call_s3("list_multipart_uploads", Bucket="pmd-breaking").get("Uploads", []) == []
    assert storage.list_files(f"{store.bucket}/parts") == []


def test_parts_that_a_killed_run_has_left_go_with_the_next_run_and_others_do_not(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("Cloud Storage keeps no parts: an upload that is not ended expires")
    where = f"{store.bucket}/killed"
    with root.writer(where, "test") as held:
        storage.put(f"{where}/fetch/register", b"")
    fs: Any = storage.filesystem(where)[0]
    begun = [
        "killed/fetch/store/shard=00001/0123456789abcdef.tar",
        "killed/_work/epoch-1/curate-coco/run-0",
        "killed/letter.txt",
        "killed-2/_work/epoch-1/run-0",
    ]

    def left() -> set[str]:
        return {one["Key"] for one in fs.call_s3("list_multipart_uploads", Bucket="pmd-breaking").get("Uploads", [])}

    for key in begun:
        fs.call_s3("create_multipart_upload", Bucket="pmd-breaking", Key=key)
    with root.writer(where, "test"):
        assert left() == {*begun}, "of a run that has ended nothing is looked for"
    state = lock.read(where)
    storage.put(f"{where}/{lock.STATE_FILE}", lock.State(held.epoch, state.last, ended=False).to_json())
    with root.writer(where, "test"):
        assert left() == {*begun[2:]}


def test_folders_cost_nothing_and_absent_ones_are_empty(store: Emulated) -> None:
    folder = f"{store.bucket}/absent"
    assert store.asks(lambda: storage.make_folder(folder)) == []
    assert len(store.asks(lambda: storage.list_files(folder))) <= 3  # fsspec looks whether it is a file
    assert len(store.asks(lambda: storage.list_names(folder))) <= 2
    assert storage.list_files(folder) == storage.list_names(folder) == []
    write(f"{folder}/deep/er/a", b"1")
    assert methods(store.asks(lambda: storage.list_files(folder))) == ["GET"]


def mark(url: str) -> None:
    """Make a folder as consoles do: an object of no bytes whose name ends in a slash."""
    fs, path = storage.filesystem(url)
    bucket, key, _ = fs.split_path(path)
    if url.startswith("s3://"):
        fs.call_s3("put_object", Bucket=bucket, Key=f"{key}/", Body=b"")
        return
    fs.call(
        "POST",
        f"{fs._location}/upload/storage/v1/b/{{}}/o",
        bucket,
        uploadType="media",
        name=f"{key}/",
        ifGenerationMatch="0",
        data=b"",
    )


def test_a_folder_that_was_made_in_a_console_is_an_empty_one(store: Emulated) -> None:
    where = f"{store.bucket}/console"
    mark(where)
    assert storage.is_folder(where)
    assert storage.list_names(where) == storage.list_files(where) == []
    assert storage.sizes(where) == {}
    with root.writer(where, "test"):
        storage.put(f"{where}/fetch/register", b"1")
    before = storage.fingerprint(where)
    mark(f"{where}/fetch")
    mark(f"{where}/other")
    assert storage.list_names(where) == ["fetch", "other", "writer.json"]
    assert storage.list_files(where) == ["fetch/register", "writer.json"]
    assert storage.list_names(f"{where}/fetch") == ["register"]
    assert storage.fingerprint(where) == before
    storage.put(f"{store.bucket}/file", b"1")
    assert storage.list_names(f"{store.bucket}/file") == ["file"]


def test_a_key_with_two_slashes_in_a_row_is_no_file_of_this_machine(store: Emulated) -> None:
    folder = f"{store.bucket}/doubled"
    storage.put(f"{folder}//tmp/pairs.csv", b"an object")
    storage.put(f"{folder}/plain.csv", b"another")
    assert storage.list_files(folder) == ["/tmp/pairs.csv", "plain.csv"]
    assert [storage.read_bytes(path) for path in inputs.files_of(folder)] == [b"an object", b"another"]


def test_what_another_process_writes_is_seen_at_once(store: Emulated) -> None:
    folder = f"{store.bucket}/others"
    write(f"{folder}/a", b"1")
    assert storage.list_names(folder) == ["a"]
    ended = in_process(f"from pmd.store import storage; storage.put('{folder}/b', b'2')")
    assert ended.returncode == 0, ended.stderr
    assert storage.list_names(folder) == storage.list_files(folder) == ["a", "b"]
    assert storage.read_bytes(f"{folder}/b") == b"2"


def test_a_store_at_another_address_is_asked_from_then_on(store: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = "AWS_ENDPOINT_URL" if store.kind == "s3" else "STORAGE_EMULATOR_HOST"
    write(f"{store.bucket}/moved/a", b"1")
    with proxied(store.proxy.port) as (other, port):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{port}")
        assert store.asks(lambda: write(f"{store.bucket}/moved/b", b"2")) == []
        assert len(other.asked) == 1
    monkeypatch.undo()
    assert len(store.asks(lambda: storage.list_names(f"{store.bucket}/moved"))) >= 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_store_is_waited_for(store: Emulated, status: int) -> None:
    store.proxy.busy += [status, status]
    asked = store.asks(lambda: write(f"{store.bucket}/busy/{status}", b"content"))
    assert len([path for _, path in asked if "parts" not in path]) == 3
    store.proxy.busy += [status]
    assert storage.read_bytes(f"{store.bucket}/busy/{status}") == b"content"
    store.proxy.busy += [status]
    assert storage.list_names(f"{store.bucket}/busy").count(str(status)) == 1
    seen = versions.read(f"{store.bucket}/busy/{status}")
    store.proxy.busy += [status]
    assert versions.swap(f"{store.bucket}/busy/{status}", b"other", seen)


def test_a_busy_store_is_waited_for_where_its_client_asks_no_more(
    store: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is busy for long uses up what botocore asks again at all, in a process: then it raises at once."""
    if store.kind != "s3":
        pytest.skip("gcsfs counts no tries")
    monkeypatch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda *_: False)
    monkeypatch.setattr("pmd.store.patience._BUSY_PAUSES_S", (0.01, 0.01))
    url = f"{store.bucket}/quota/a"
    store.proxy.busy += [503, 500]
    assert len(store.asks(lambda: write(url, b"content"))) == 3
    store.proxy.busy += [503, 503]
    assert storage.size(url) == 7


#: What a store says that removes none of what it is asked to, at first.
FAILED = (
    b"<DeleteResult><Error><Key>tree/folder/1</Key><Code>InternalError</Code><Message>Try again</Message></Error>"
    b"<Error><Key>tree/folder/a[1]</Key><Code>SlowDown</Code><Message>Later</Message></Error></DeleteResult>"
)
#: What one says that wants a header which its client no longer sends.
WANTING = b"<Error><Code>MissingContentMD5</Code><Message>Missing required header: Content-Md5.</Message></Error>"


def tree(store: Emulated) -> str:
    """Return a folder in which there are two files."""
    folder = f"{store.bucket}/tree/folder"
    for name in ("1", "a[1]"):
        storage.put(f"{folder}/{name}", b"content")
    return folder


def test_what_a_store_fails_to_remove_among_many_is_removed_alone(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("gcsfs looks at the answer for each object")
    folder = tree(store)
    store.proxy.once = ("POST", FAILED)
    asked = store.asks(lambda: storage.remove_tree(folder))
    assert methods(asked) == ["GET", "POST", "DELETE", "DELETE"]
    assert storage.list_files(folder) == []


def test_a_store_that_removes_no_many_at_once_removes_each(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("Cloud Storage takes its own")
    folder = tree(store)
    store.proxy.refused, store.proxy.says = ("POST", 400), WANTING
    storage.remove_tree(folder)
    assert storage.list_files(folder) == []


def test_what_may_not_be_removed_is_told(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("gcsfs looks at the answer for each object")
    folder = tree(store)
    store.proxy.once = ("POST", FAILED)
    store.proxy.refused = ("DELETE", 403)
    with pytest.raises(PmdError) as caught, failures.at(store.bucket):
        storage.remove_tree(folder)
    assert caught.value.problem == "the storage refuses"


def test_what_is_said_of_a_client_for_all_programs_is_heeded_beside_ours(
    store: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.kind != "s3":
        pytest.skip("a client of Cloud Storage is told nothing more")
    from fsspec.config import conf

    monkeypatch.setitem(conf, "s3", {"config_kwargs": {"s3": {"addressing_style": "path"}, "read_timeout": 7}})
    storage._client.cache_clear()
    try:
        told = storage.filesystem(store.bucket)[0].config_kwargs
    finally:
        storage._client.cache_clear()
    assert (told["s3"], told["read_timeout"]) == ({"addressing_style": "path"}, 7)
    assert told["retries"]["mode"] == "standard"  # botocore spells the number of tries anew


def test_a_file_that_is_decompressed_on_its_way_is_told(store: Emulated) -> None:
    if store.kind != "gs":
        pytest.skip("S3 gives what is stored, whatever is said of it")
    url, content = f"{store.bucket}/encoded/a.tsv", gzip.compress(b"caption\turl\n" * 1000)
    fs, path = storage.filesystem(url)
    fs.pipe_file(path, content, fixed_key_metadata={"content_encoding": "gzip"})
    for read in (lambda: storage.open_raw(url).read(), lambda: storage.read_bytes(url, 0, 16)):
        with pytest.raises(InputError) as caught:
            read()
        assert (caught.value.found, caught.value.where) == ("Content-Encoding: gzip", url)
        assert caught.value.remedy == f"gcloud storage objects update --clear-content-encoding {url}"
    fs.pipe_file(path, content)
    assert storage.open_raw(url).read() == content


def test_a_store_that_refuses_in_the_middle_of_a_file_is_not_taken_for_damage(store: Emulated) -> None:
    url = f"{store.bucket}/refused/a"
    storage.put(url, bytes(1000))
    with storage.open_raw(url) as file:
        store.proxy.refused = ("GET", 403)
        for read in (lambda: storage.read_bytes(url, 0, 16), file.read):
            with pytest.raises(OSError, match=r"(?i)forbidden|denied") as caught:
                read()
            assert not shortage.tells_of_bytes(caught.value)


def test_a_range_of_an_empty_file_is_empty(store: Emulated) -> None:
    url = f"{store.bucket}/empty/a"
    storage.put(url, b"")
    assert storage.read_bytes(url, 0, 16) == b""
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(f"{store.bucket}/empty/none", 0, 16)


@pytest.mark.parametrize(
    "read",
    [
        storage.read_bytes,
        lambda url: storage.open_raw(url).read(),
        lambda url: getattr(versions.read(url), "content", None),
    ],
    ids=["whole", "as a file", "with its version"],
)
def test_an_answer_that_breaks_off_is_asked_for_again(store: Emulated, read: Callable[[str], bytes]) -> None:
    write(f"{store.bucket}/broken/a", b"content" * 1000)
    store.proxy.broken = 1
    assert read(f"{store.bucket}/broken/a") == b"content" * 1000
    assert store.proxy.broken == 0


def test_an_answer_with_less_than_was_asked_for_is_not_taken_for_the_end(store: Emulated) -> None:
    content = bytes(range(256)) * 40_000
    url = f"{store.bucket}/short/a"
    write(url, content)
    with storage.open_raw(url) as file:
        store.proxy.short = 1
        assert file.read() == content
    store.proxy.short = 1
    assert storage.read_bytes(url, 5, 5000) == content[5:5000]
    for read in (
        lambda: storage.open_raw(url).read(),
        lambda: storage.open_raw(url).read(2**20),
        lambda: storage.read_bytes(url, 5, 5000),
    ):
        store.proxy.short = 99
        store.proxy.short_of = "alt=media" if store.kind == "gs" else ""
        with pytest.raises(PmdError) as caught, failures.at(f"{store.bucket}/other"):
            read()
        assert (caught.value.problem, caught.value.where) == ("what the storage sends does not arrive whole", url)
        assert "were asked for" in str(caught.value.found)


def test_a_request_that_meets_another_under_way_is_made_again(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("Cloud Storage says 429, which a busy store says too")
    folder = f"{store.bucket}/aborted"
    store.proxy.conflicts = 1
    write(f"{folder}/a", b"content")
    store.proxy.conflicts = 1
    assert storage.put_if_absent(f"{folder}/b", b"content")
    assert storage.list_names(folder) == ["a", "b"]


def test_answers_that_always_break_off_are_told_in_a_sentence(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("gcsfs waits half a minute")
    write(f"{store.bucket}/broken/b", b"content" * 1000)
    store.proxy.broken = 99
    with pytest.raises(PmdError) as caught, failures.at(store.bucket):
        storage.read_bytes(f"{store.bucket}/broken/b")
    assert caught.value.problem == "what the storage sends does not arrive whole"


def test_a_store_that_holds_to_conditions_may_have_a_root(store: Emulated) -> None:
    versions.probe(f"{store.bucket}/probed")
    assert storage.list_files(f"{store.bucket}/probed") == []


def test_a_bucket_that_is_not_there_is_told_before_anything_is_done(store: Emulated) -> None:
    where = f"{store.kind}://pmd-no-such-bucket/root"
    with pytest.raises(ConfigError) as caught, root.writer(where, "test"):
        pass
    assert caught.value.problem == "nothing can be written here"
    assert caught.value.where == where


@pytest.mark.parametrize("status", [401, 403])
def test_a_store_that_lets_nobody_write_is_told_in_a_sentence(store: Emulated, status: int) -> None:
    if (store.kind, status) == ("s3", 401):
        pytest.skip("S3 refuses with 403")
    store.proxy.refused = ("PUT" if store.kind == "s3" else "POST", status)
    with pytest.raises(PmdError) as caught, root.writer(f"{store.bucket}/forbidden-{status}", "test"):
        pass
    assert caught.value.problem == "the storage refuses"
    assert caught.value.where == f"{store.bucket}/forbidden-{status}"
    assert caught.value.remedy is not None
    assert caught.value.remedy.startswith("check the name of the bucket, the credentials")


def test_whether_something_is_a_folder_is_asked_without_listing_it(store: Emulated) -> None:
    folder = f"{store.bucket}/many"
    for number in range(3):
        storage.put(f"{folder}/{number}", b"")
    (asked,) = store.asks(lambda: storage.is_folder(folder))
    assert "max-keys=1" in asked[1] or "maxResults=1" in asked[1]
    assert storage.is_folder(store.bucket)
    assert not storage.is_folder(f"{store.kind}://pmd-no-such-bucket")
    assert not storage.is_folder(f"{store.kind}://pmd-no-such-bucket/folder")
    assert not storage.is_folder(f"{folder}/0")
    assert not storage.is_folder(f"{store.bucket}/man")


def test_whether_something_is_there_is_asked_once_and_twice_where_nothing_is(store: Emulated) -> None:
    folder = f"{store.bucket}/there"
    storage.put(f"{folder}/below/a.txt", b"content")
    for url, is_there, is_folder, most in (
        (f"{folder}/below/a.txt", True, False, 1),
        (f"{folder}/below", True, True, 2),
        (f"{folder}/bel", False, False, 2),
        (f"{folder}/below/a", False, False, 2),
    ):
        found: list[bool] = []
        asked = store.asks(lambda url=url, found=found: found.append(storage.exists(url)))
        assert (found, len(asked) <= most) == ([is_there], True), (url, asked)
        assert storage.is_folder(url) is is_folder
    assert len(store.asks(lambda: storage.size(f"{folder}/below/a.txt"))) == 1
    assert len(store.asks(lambda: storage.fingerprint(f"{folder}/below/a.txt"))) == 1
    with pytest.raises(InputError, match="no such file"):
        storage.size(f"{folder}/below/a")
    other = storage.fingerprint(folder)
    storage.put(f"{folder}/below/b.txt", b"more")
    assert storage.fingerprint(folder) != other
