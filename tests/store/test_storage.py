"""Storage: files are there whole or not at all, and of several writers exactly one wins."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import itertools
import os
import stat
import sys
import threading
import uuid
from pathlib import Path
from typing import Any, ClassVar, NoReturn, cast

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pmd.errors import ConfigError, InputError
from pmd.store import local, naming, storage
from pmd.store.patience import CutShortError
from tests import ranged


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh folder on each kind of file system."""
    return str(tmp_path / "folder") if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def test_what_is_put_is_read(folder: str) -> None:
    url = storage.join(folder, "deep", "file.bin")
    assert not storage.exists(url)
    storage.put(url, b"0123456789")
    assert storage.exists(url)
    assert storage.size(url) == 10
    assert storage.read_bytes(url) == b"0123456789"
    assert storage.read_bytes(url, 2, 5) == b"234"
    with storage.open_raw(url) as file:
        file.seek(8)
        assert file.read() == b"89"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("s3://b/in", "a"), "s3://b/in/a"),
        (("s3://b/in/", "a/", "c"), "s3://b/in/a/c"),
        (("s3://b/in", "", "c"), "s3://b/in/c"),
        (("s3://b/in", ""), "s3://b/in/"),
        (("s3://b/in",), "s3://b/in"),
        (("s3://b/in", "/a"), "s3://b/in//a"),
        (("/in", "a"), "/in/a"),
        (("", "a"), "a"),
    ],
)
def test_a_name_below_a_url_is_never_a_path_of_this_machine(parts: tuple[str, ...], expected: str) -> None:
    assert storage.join(*parts) == expected


def test_put_replaces_and_leaves_nothing_else(folder: str) -> None:
    url = storage.join(folder, "file")
    storage.put(url, b"old, and longer")
    storage.put(url, b"new")
    assert storage.read_bytes(url) == b"new"
    assert storage.list_files(folder) == ["file"]


def test_a_compressed_name_is_read_as_its_bytes(folder: str) -> None:
    url = storage.join(folder, "plain.tsv.gz")
    storage.put(url, b"not gzip at all")
    with storage.open_raw(url) as file:
        assert file.read() == b"not gzip at all"


def test_a_file_elsewhere_is_read_in_parts_of_lines_as_one_here_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"a line that is longer than its reader takes\nanother\nlast")
    ranged.known(monkeypatch)

    def taken(url: str) -> list[object]:
        with storage.open_raw(url) as file:
            first = [file.readline(6), file.readline(), file.tell(), file.readline(100)]
            return [*first, file.seek(3), file.readinto(bytearray(4)), file.read(2), file.read(), file.read(), [*file]]

    assert taken(ranged.url(tmp_path / "file")) == taken(f"{tmp_path}/file")


def write_half(url: str, error: BaseException) -> None:
    with storage.write_whole(url) as file:
        file.write(b"half of")
        raise error


def test_a_write_that_fails_leaves_nothing(folder: str) -> None:
    url = storage.join(folder, "file")
    with pytest.raises(RuntimeError, match="killed"):
        write_half(url, RuntimeError("killed"))
    assert storage.list_files(folder) == []


def test_a_write_that_fails_leaves_what_was_there(folder: str) -> None:
    url = storage.join(folder, "file")
    storage.put(url, b"old")
    with pytest.raises(KeyboardInterrupt):
        write_half(url, KeyboardInterrupt())
    assert storage.read_bytes(url) == b"old"
    assert storage.list_files(folder) == ["file"]


def test_a_file_that_is_being_written_does_not_show(folder: str) -> None:
    url = storage.join(folder, "file")
    with storage.write_whole(url) as file:
        file.write(b"half of")
        assert not storage.exists(url)
    assert storage.exists(url)


def test_put_if_absent_keeps_the_first(folder: str) -> None:
    url = storage.join(folder, "deep", "lock")
    assert storage.put_if_absent(url, b"first")
    assert not storage.put_if_absent(url, b"second")
    assert storage.read_bytes(url) == b"first"
    assert storage.list_files(folder) == ["deep/lock"]


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    url = str(tmp_path / "race" / "lock")
    count = 8
    gate = threading.Barrier(count)
    won: list[int] = []

    def write(number: int) -> None:
        gate.wait()
        if storage.put_if_absent(url, str(number).encode() * 1000):
            won.append(number)

    for _ in range(20):
        won.clear()
        storage.remove(url)
        threads = [threading.Thread(target=write, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert storage.read_bytes(url) == str(won[0]).encode() * 1000
        assert storage.list_files(str(tmp_path / "race")) == ["lock"]


def test_removing_what_is_not_there_is_nothing(folder: str) -> None:
    storage.remove(storage.join(folder, "nothing"))
    storage.remove_tree(storage.join(folder, "nothing"))
    assert storage.list_files(folder) == []
    assert storage.list_names(folder) == []


def test_a_tree_is_listed_and_removed(folder: str) -> None:
    for name in ("b/2", "a", "b/1/x"):
        storage.put(storage.join(folder, name), b"")
    assert storage.list_files(folder) == ["a", "b/1/x", "b/2"]
    assert storage.list_names(folder) == ["a", "b"]
    storage.remove_tree(storage.join(folder, "b"))
    assert storage.list_files(folder) == ["a"]


@pytest.mark.parametrize("name", ["t[1]", "t*", "t?"])
def test_of_a_tree_whose_name_has_signs_of_a_pattern_nothing_else_is_removed(folder: str, name: str) -> None:
    for each in (name, "t1", "t1/below"):
        storage.put(storage.join(folder, each, "a"), b"")
    storage.remove_tree(storage.join(folder, name))
    assert storage.list_files(folder) == ["t1/a", "t1/below/a"]


def test_a_folder_that_a_writer_removes_while_it_is_listed_has_no_names(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "exists", lambda _: True)  # when it was looked at
    assert storage.list_names(storage.join(folder, "gone")) == []


def test_a_glob_is_sorted_and_keeps_its_protocol(folder: str) -> None:
    for name in ("b.tsv", "a.tsv", "c.json"):
        storage.put(storage.join(folder, name), b"")
    assert storage.glob(storage.join(folder, "*.tsv")) == [
        found.replace("memory://", "memory:///") if found.startswith("memory") else found
        for found in (storage.join(folder, "a.tsv"), storage.join(folder, "b.tsv"))
    ]
    assert all(storage.exists(found) for found in storage.glob(storage.join(folder, "*.tsv")))
    assert storage.glob(storage.join(folder, "c.json")) == [storage.join(folder, "c.json")]
    assert storage.glob(storage.join(folder, "d.json")) == []
    assert storage.glob(storage.join(folder, "*.zip")) == []


def test_a_relative_glob_stays_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.tsv").touch()
    monkeypatch.chdir(tmp_path)
    assert storage.glob("data/*.tsv") == ["data/x.tsv"]
    assert storage.glob("data/x.tsv") == ["data/x.tsv"]


@pytest.mark.parametrize("name", ["data [v2]", "what?", "a*b", "a b#c%20d", "[", "{a,b}", "caf\u00e9", "mine!"])
def test_what_exists_is_itself_whatever_signs_are_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    for file in (f"{name}.tsv", "x.tsv"):
        (tmp_path / name / file).touch()
    (tmp_path / "v").mkdir()  # what a class of characters would match
    (tmp_path / "v" / "x.tsv").touch()
    monkeypatch.chdir(tmp_path)
    for folder in (name, f"{tmp_path}/{name}"):
        assert storage.glob(folder) == [folder]
        assert storage.glob(f"{folder}/{name}.tsv") == [f"{folder}/{name}.tsv"]
        assert storage.glob(f"{folder}/*.tsv") == sorted([f"{folder}/{name}.tsv", f"{folder}/x.tsv"])
        assert storage.glob(f"{folder}/?.tsv") == sorted([f"{folder}/x.tsv", *[f"{folder}/[.tsv"] * (name == "[")])
    assert storage.glob("[uvw]/x.tsv") == ["v/x.tsv"]


def test_a_digest_is_read_once_for_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = storage.open_raw
    monkeypatch.setattr(storage, "open_raw", lambda url: opened.append(url) or original(url))
    path = tmp_path / "a"
    path.write_bytes(b"one")
    one = storage.content_digest(str(path), "3:1")
    assert one == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"two")
    assert storage.content_digest(str(path), "3:1") == one
    assert storage.content_digest(str(path), "3:2") == hashlib.sha256(b"two").hexdigest()
    assert opened == [str(path)] * 2


@pytest.mark.parametrize("ask", [storage.size, storage.open_raw, storage.fingerprint])
def test_a_file_that_is_not_there_is_an_input_error(folder: str, ask: object) -> None:
    url = storage.join(folder, "absent.tsv")
    with pytest.raises(InputError) as caught:
        ask(url)  # type: ignore[operator]
    assert str(caught.value) == f"{url}: no such file\n  remedy: check the path in the configuration"


def test_a_fingerprint_changes_with_the_file(folder: str) -> None:
    url = storage.join(folder, "file")
    storage.put(url, b"one")
    first = storage.fingerprint(url)
    assert storage.fingerprint(url) == first
    storage.put(url, b"three")
    assert storage.fingerprint(url) != first


def test_a_folder_has_a_fingerprint_of_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "1.jpg").write_bytes(b"1")
    first = storage.fingerprint(str(tmp_path / "images"))
    (tmp_path / "images" / "train" / "2.jpg").write_bytes(b"2")
    second = storage.fingerprint(str(tmp_path / "images"))
    (tmp_path / "images" / "train" / "1.jpg").unlink()
    third = storage.fingerprint(str(tmp_path / "images"))
    assert len({first, second, third}) == 3


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_synchronises_no_folders_can_hold_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    synchronise = os.fsync

    def refuse_folders(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(number, os.strerror(number))
        synchronise(file)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    assert storage.put_if_absent(str(tmp_path / "new/file"), b"content")
    assert (tmp_path / "new/file").read_bytes() == b"content"


def test_a_folder_that_could_not_be_synchronised_is_not_taken_for_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "new" / "inner" / "file")
    storage.put(path, b"content")
    synchronised: list[str] = []

    def full(folder: str) -> None:
        raise OSError(errno.ENOSPC, "full", folder)

    monkeypatch.setattr(naming, "sync_folder", full)
    with pytest.raises(OSError, match="full"):
        storage.sync_folders([path])
    monkeypatch.setattr(naming, "sync_folder", synchronised.append)
    storage.sync_folders([path])
    assert {str(tmp_path), str(tmp_path / "new"), str(tmp_path / "new" / "inner")} <= {*synchronised}
    synchronised.clear()
    storage.sync_folders([path])
    assert synchronised == [str(tmp_path / "new" / "inner")]


def test_what_is_a_folder_is_told_on_each_file_system(folder: str) -> None:
    storage.put(storage.join(folder, "inner", "file"), b"")
    assert storage.is_folder(storage.join(folder, "inner"))
    assert not storage.is_folder(storage.join(folder, "inner", "file"))
    assert not storage.is_folder(storage.join(folder, "absent"))


def test_a_file_is_all_that_is_below_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert storage.list_files(str(tmp_path / "file")) == [str(tmp_path / "file")]


def test_a_folder_that_cannot_be_listed_is_an_error_and_one_that_went_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsspec leaves out what it cannot list: files would be taken for gone."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "file").touch()
    real, error = os.scandir, PermissionError(errno.EACCES, "Permission denied")

    def listed(path: str) -> Any:
        if str(path).endswith("inner"):
            raise error
        return real(path)

    monkeypatch.setattr(os, "scandir", listed)
    with pytest.raises(PermissionError):
        storage.list_files(str(tmp_path))
    error = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert storage.list_files(str(tmp_path)) == ["file"]


def test_only_empty_folders_are_removed(folder: str) -> None:
    storage.put(storage.join(folder, "inner", "file"), b"")
    storage.remove_folder(storage.join(folder, "inner"))
    assert storage.list_files(folder) == ["inner/file"]
    storage.remove(storage.join(folder, "inner", "file"))
    storage.remove_folder(storage.join(folder, "inner"))
    assert not storage.exists(storage.join(folder, "inner")) or not storage.is_local(folder)
    storage.remove_folder(storage.join(folder, "absent"))


@pytest.mark.parametrize(
    ("error", "url", "remedy"),
    [
        (ImportError("Install s3fs"), "s3://bucket/pmd", "pip install 'pmd[aws]'"),
        (ImportError("Install gcsfs"), "gs://bucket/pmd", "pip install 'pmd[gcp]'"),
        (ImportError("Install adlfs"), "abfs://box/pmd", "install what is missing, or choose another place"),
        (
            ValueError("no such protocol"),
            "zip://a::https://b",
            "name the file itself: chains of protocols (::) are not read",
        ),
        (
            ValueError("no such protocol\nat all"),
            "nothing://a",
            "check the part before ://, and what this storage needs in the environment",
        ),
    ],
)
def test_a_storage_that_cannot_be_used_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, url: str, remedy: str
) -> None:
    def fails(protocol: str) -> None:
        raise error

    monkeypatch.setattr(storage, "_filesystem", fails)
    with pytest.raises(ConfigError) as told:
        storage.filesystem(url)
    said = str(told.value).splitlines()
    assert said[0] == f"{url}: the storage {url.partition('://')[0]}:// cannot be used"
    assert said[1] == f"  found: {type(error).__name__}: {str(error).splitlines()[0]}"
    assert said[-1] == f"  remedy: {remedy}"


@pytest.mark.parametrize(
    ("protocol", "variable"),
    [
        ("s3", "AWS_ENDPOINT_URL"),
        ("s3a", "AWS_SECRET_ACCESS_KEY"),
        ("gs", "STORAGE_EMULATOR_HOST"),
        ("gcs", "GOOGLE_APPLICATION_CREDENTIALS"),
    ],
)
def test_a_client_is_kept_as_long_as_the_environment_tells_it_the_same(
    monkeypatch: pytest.MonkeyPatch, protocol: str, variable: str
) -> None:
    """As in a notebook, where somebody mends it after a refusal; a client reads it once, when it is made."""

    class Client(MemoryFileSystem):
        _call = None

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.told = os.environ.get(variable)

    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, protocol, Client)
    monkeypatch.setenv(variable, f"{protocol}-first")
    first = storage.filesystem(f"{protocol}://bucket/a")[0]
    assert first.told == f"{protocol}-first"
    monkeypatch.setenv(variable, f"{protocol}-second")
    second = storage.filesystem(f"{protocol}://bucket/a")[0]
    assert second.told == f"{protocol}-second"
    monkeypatch.setenv("COLUMNS", "40")
    assert storage.filesystem(f"{protocol}://bucket/b")[0] is second
    monkeypatch.setenv(variable, f"{protocol}-first")
    assert storage.filesystem(f"{protocol}://bucket/a")[0] is first
    storage._client.cache_clear()


def test_a_file_is_written_into_the_folder_that_its_path_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside the topmost folders, as containers have them, went into the folder that the command was started in."""
    written: list[str] = []

    def draft(folder: str, *_: object, **__: object) -> NoReturn:
        written.append(storage.filesystem(folder)[1])
        raise InterruptedError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storage.Draft, "holding", draft)
    for url in ("/page.html", "file:///page.html", "page.html", "./page.html", "file:page.html", "new/page.html"):
        with pytest.raises(InterruptedError):
            storage.put(url, b"")
    assert written == ["/", "/", *[str(tmp_path)] * 3, f"{tmp_path}/new"]


def test_folders_are_listed_through_links(tmp_path: Path) -> None:
    """Archives and annotation files often stand on another disk."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.jpg").touch()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "train").symlink_to(tmp_path / "elsewhere")
    assert storage.list_files(f"{tmp_path}/images/") == ["train/1.jpg"]


def test_a_path_with_a_nul_character_is_told() -> None:
    with pytest.raises(ConfigError) as told:
        storage.filesystem("/data/a\0b")
    assert str(told.value) == "'/data/a\\x00b': no path has a NUL character\n  remedy: mend the path"


def test_a_version_of_an_object_is_told_and_not_passed_over() -> None:
    """s3fs takes it out of the name, and reads and writes the object that stands."""
    url = "s3://bucket/captions.tsv?versionId=3sL4kqtJlcpXroDTDmJ"
    with pytest.raises(ConfigError) as told:
        storage.filesystem(url)
    assert str(told.value) == (
        f"{url}: no version of an object can be named\n"
        "  expected: the object's name: the version that stands is read\n"
        "  remedy: copy that version to a name of its own, and name that"
    )
    assert storage.filesystem("/data/a?versionId=3")[1] == "/data/a?versionId=3"


def test_a_link_into_its_own_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"1")
    for name in ("one", "two", "a/three", "a/b/four"):  # each doubles what is below, for ever
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "beside").symlink_to("a/b")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("gone")
    assert storage.list_files(str(tmp_path)) == ["a/b/file", "beside/file", "circle", "nowhere"]
    assert storage.fingerprint(str(tmp_path)) == storage.fingerprint(str(tmp_path))


def test_folders_linked_twice_from_each_other_are_each_looked_into_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are 2^19 paths to the last of them."""
    folders = [tmp_path / f"folder{number:02}" for number in range(20)]
    for folder in folders:
        folder.mkdir()
    (folders[-1] / "1.jpg").touch()
    for folder, inner in itertools.pairwise(folders):
        for name in ("b", "a"):
            (folder / name).symlink_to(inner)
    looked: list[str] = []
    entries = local._entries

    def counted(folder: str) -> list[os.DirEntry[str]]:
        looked.append(folder)
        assert len(looked) < 100
        return entries(folder)

    monkeypatch.setattr(local, "_entries", counted)
    assert storage.list_files(str(folders[0])) == ["/".join(["a"] * 19) + "/1.jpg"]
    assert len(looked) == 21, "the first two links are two names, of what is behind them there is one"
    (tmp_path / "links").mkdir()
    for name in ("one", "other"):
        (tmp_path / "links" / name).symlink_to(folders[-1])
    assert storage.list_files(str(tmp_path / "links")) == ["one/1.jpg", "other/1.jpg"]


def test_a_folder_changes_with_what_a_link_in_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "elsewhere")
    empty = storage.fingerprint(str(tmp_path / "folder"))
    (tmp_path / "elsewhere" / "1.jpg").write_bytes(b"1")
    one = storage.fingerprint(str(tmp_path / "folder"))
    (tmp_path / "elsewhere" / "1.jpg").write_bytes(b"12")
    assert len({empty, one, storage.fingerprint(str(tmp_path / "folder"))}) == 3


def test_what_is_no_file_is_neither_listed_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "file").write_bytes(b"1")
    assert storage.list_files(str(tmp_path)) == ["file"]
    for name, found in (("pipe", "a pipe"), ("link", "a pipe")):
        for read in (storage.read_bytes, storage.open_raw):
            with pytest.raises(InputError, match="not a file") as raised:
                read(str(tmp_path / name))
            assert raised.value.found == found
    with pytest.raises(InputError, match="not a file") as raised:
        storage.read_bytes("/dev/zero", 0, 4)
    assert raised.value.found == "a device"


def test_all_of_a_file_system_is_settled_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.settle(str(tmp_path))
    storage.settle("memory://somewhere")  # an object store has promised it with each answer
    with pytest.raises(FileNotFoundError):
        storage.settle(str(tmp_path / "absent"))
    synchronised: list[bool] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())  # a system without syncfs
    monkeypatch.setattr(os, "sync", lambda: synchronised.append(True))
    storage.settle(str(tmp_path))
    assert synchronised == [True]


def test_folders_above_are_those_of_the_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    for path in (".", "./", str(tmp_path / "a/b"), f"file://{tmp_path}/a/b/", "../b"):
        assert list(storage.above(path))[:2] == [str(tmp_path / "a"), str(tmp_path)], path
    assert next(storage.above("c.parquet")) == str(tmp_path / "a/b")
    assert list(storage.above("memory://bucket/a/b/")) == ["memory://bucket/a", "memory://bucket"]


@pytest.mark.parametrize(
    ("span", "headers", "content"),
    [
        ("bytes=5-9", {"Content-Range": "bytes 5-9/20"}, b"56789"),
        ("bytes=5-99", {"Content-Range": "bytes 5-9/10"}, b"56789"),
        (None, {"X-Goog-Stored-Content-Encoding": "identity", "X-Goog-Stored-Content-Length": "3"}, b"012"),
        (None, {"X-Goog-Stored-Content-Encoding": "gzip", "X-Goog-Stored-Content-Length": "9"}, b"012"),
        (None, {}, b"012"),
    ],
)
def test_of_cloud_storage_less_than_was_asked_for_is_not_taken_for_the_end(
    span: str | None, headers: dict[str, str], content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `_wholly`, since nothing else shows what gcsfs is given: it would wait for the rest of a file for ever."""
    monkeypatch.setattr(storage, "PAUSES_S", (0.0, 0.0))
    cuts = iter([True, False])
    asked: list[str] = []

    async def call(method: str, *_: object, **__: object) -> tuple[dict[str, str], bytes]:
        asked.append(method)
        return headers, content[:2] if next(cuts) else content

    def read() -> bytes:
        return asyncio.run(cast(Any, storage._wholly(call)("GET", "b/o", headers={"Range": span} if span else {})))[1]

    promised = bool(headers) and headers.get("X-Goog-Stored-Content-Encoding") != "gzip"
    assert read() == (content if promised else content[:2])
    assert len(asked) == 1 + promised
    cuts = iter([True] * 9)
    if promised:
        with pytest.raises(CutShortError, match=f"2 bytes, where {len(content)} were asked for"):
            read()


def test_a_range_of_which_a_store_gives_less_is_not_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"memory://{uuid.uuid4().hex}/a"
    storage.put(url, b"0123456789")
    assert storage.read_bytes(url, 5, 99) == b"56789"
    assert storage.read_bytes(url, 50, 99) == b""
    monkeypatch.setattr(storage.filesystem(url)[0], "cat_file", lambda *_, **__: b"5")
    with pytest.raises(CutShortError, match="1 bytes from byte 5 on, where 3 were asked for"):
        storage.read_bytes(url, 5, 8)


def test_a_name_that_looks_like_what_a_store_says_is_none(tmp_path: Path) -> None:
    (tmp_path / "all (416)").mkdir()
    with pytest.raises(IsADirectoryError):
        storage.read_bytes(str(tmp_path / "all (416)"), 0, 4)


def test_who_asks_for_a_folder_pays_where_the_client_is_told_so() -> None:
    """In a bucket that whoever asks pays for, a listing without that word is refused."""
    asked: list[dict[str, object]] = []

    class Client:
        req_kw: ClassVar = {"RequestPayer": "requester"}

        def split_path(self, path: str) -> tuple[str, str, None]:
            bucket, _, key = path.partition("/")
            return bucket, key, None

        def call_s3(self, _: str, **said: object) -> dict[str, object]:
            asked.append(said)
            return {"Contents": [{"Key": "folder/file"}]}

    assert storage._has_objects_in_s3(Client(), "bucket/folder")
    assert asked == [{"Bucket": "bucket", "Prefix": "folder/", "MaxKeys": 1, "RequestPayer": "requester"}]


def test_a_file_system_that_keeps_no_rights_takes_private_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: int) -> None:
        def fchmod(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr("os.fchmod", fchmod)

    for number in (errno.EPERM, errno.ENOTSUP):
        refuse(number)
        storage.put(f"{tmp_path}/private", b"content", private=True)
        assert (tmp_path / "private").read_bytes() == b"content"
    refuse(errno.EROFS)
    with pytest.raises(OSError, match="Read-only"):
        storage.put(f"{tmp_path}/private", b"other", private=True)
    assert [path.name for path in tmp_path.iterdir()] == ["private"]
    assert (tmp_path / "private").read_bytes() == b"content"
