"""Replacing and removing by comparing, on every kind of storage: one contract, held by each.

The object stores are small models of what S3 and Cloud Storage promise, seen through the calls that `pmd.store.versions` makes of
their clients. What the real services answer is tried by `benchmarks/two_writers.py`.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec.asyn
import pytest

from pmd.errors import ConfigError
from pmd.store import storage, versions
from pmd.store.versions import Versioned


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes:
        return self._content


class _Objects:
    """Objects with versions, each new one under a new number; requests hold or are refused."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Versioned] = {}
        self._numbers = itertools.count(1)

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Return bucket, key and version."""
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def standing(self, at: tuple[str, str]) -> Versioned:
        """Return an object."""
        if at not in self.objects:
            raise FileNotFoundError(errno.ENOENT, "Not Found", "/".join(at))
        return self.objects[at]

    def put(self, at: tuple[str, str], content: bytes) -> None:
        """Replace an object."""
        self.objects[at] = Versioned(content, f"v{next(self._numbers)}")


class S3(_Objects):
    """Answers as s3fs: errors that it has no name for are an OSError, with botocore's behind it."""

    protocol = ("s3", "s3a")

    def __init__(self) -> None:
        super().__init__()
        self.loop = fsspec.asyn.get_loop()

    def call_s3(
        self, method: str, *, Bucket: str, Key: str, Body: bytes = b"", IfMatch: str = "", IfNoneMatch: str = ""
    ) -> dict[str, Any]:
        """Do as the service does."""
        at = (Bucket, Key)
        if IfNoneMatch == "*" and at in self.objects:
            raise self._refused()
        if IfMatch and self.standing(at).version != IfMatch:
            raise self._refused()
        if method == "put_object":
            self.put(at, Body)
            return {}
        found = self.standing(at)
        if method == "delete_object":
            del self.objects[at]
        return (
            {"ETag": found.version}
            if method == "head_object"
            else {"ETag": found.version, "Body": _Body(found.content)}
        )

    def _refused(self) -> OSError:
        error = OSError(errno.EIO, "At least one of the pre-conditions you specified did not hold")
        error.__cause__ = ValueError("An error occurred (PreconditionFailed) when calling the operation")
        return error


class CloudStorage(_Objects):
    """Answers as gcsfs: of a condition that does not hold it makes a FileExistsError."""

    protocol = ("gs", "gcs")
    _location = "https://storage.test"

    def call(
        self,
        method: str,
        path: str,
        bucket: str,
        key: str = "",
        *,
        name: str = "",
        data: bytes = b"",
        ifGenerationMatch: str | None = None,
        uploadType: str | None = None,
        alt: str | None = None,
        json_out: bool = False,
    ) -> Any:
        """Do as the service does."""
        at = (bucket, key or name)
        if ifGenerationMatch == "0" and at in self.objects:
            raise FileExistsError(errno.EEXIST, "conditionNotMet")
        if ifGenerationMatch not in {None, "0"} and (method == "POST" or at in self.objects):
            found = self.objects.get(at)
            if found is None or found.version != ifGenerationMatch:
                raise FileExistsError(errno.EEXIST, "conditionNotMet")
        if method == "POST":
            assert (path, uploadType) == (f"{self._location}/upload/storage/v1/b/{{}}/o", "media")
            self.put(at, data)
            return None
        assert path == "b/{}/o/{}"
        found = self.standing(at)
        if method == "DELETE":
            del self.objects[at]
            return None
        if json_out:
            return {"generation": found.version}
        assert alt == "media"
        return {"x-goog-generation": found.version}, found.content


STORES: dict[str, Callable[[], _Objects]] = {"s3": S3, "s3a": S3, "gs": CloudStorage, "gcs": CloudStorage}


@pytest.fixture(params=["local", "memory", *STORES])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that is not there yet, on each kind of storage."""
    if request.param == "local":
        return str(tmp_path / "folder" / "commit.json")
    if request.param == "memory":
        return f"memory://{tmp_path.name}/commit.json"
    store = STORES[request.param]()
    monkeypatch.setattr(storage, "filesystem", lambda url: (store, url.partition("://")[2]))
    return f"{request.param}://bucket/folder/commit.json"


def test_where_nothing_is_nothing_is_read_and_nothing_removed(url: str) -> None:
    assert versions.read(url) is None
    assert versions.version(url) is None
    assert not versions.remove(url, "v1")
    assert not versions.swap(url, b"new", Versioned(b"old", "v1")), "what was seen is gone"
    assert versions.read(url) is None


def test_what_is_written_where_nothing_was_is_read_with_its_version(url: str) -> None:
    assert versions.swap(url, b"one", None)
    seen = versions.read(url)
    assert seen is not None
    assert seen.content == b"one"
    assert seen.version == versions.version(url)
    assert versions.read(url) == seen, "reading changes nothing"


def test_a_second_first_writer_is_refused(url: str) -> None:
    assert versions.swap(url, b"one", None)
    assert not versions.swap(url, b"two", None)
    seen = versions.read(url)
    assert seen is not None
    assert seen.content == b"one"


def test_only_who_has_seen_what_stands_replaces_it(url: str) -> None:
    versions.swap(url, b"one", None)
    first = versions.read(url)
    assert first is not None
    assert versions.swap(url, b"two", first)
    assert not versions.swap(url, b"three", first)
    second = versions.read(url)
    assert second is not None
    assert (second.content, second.version != first.version) == (b"two", True)
    assert versions.swap(url, b"three", second)


def test_a_file_is_removed_only_while_it_is_the_one_that_was_seen(url: str) -> None:
    versions.swap(url, b"one", None)
    first = versions.read(url)
    assert first is not None
    versions.swap(url, b"two", first)
    assert not versions.remove(url, first.version)
    second = versions.read(url)
    assert second is not None
    assert second.content == b"two"
    assert versions.remove(url, second.version)
    assert versions.read(url) is None
    assert not versions.remove(url, second.version)


def test_a_local_file_that_was_written_again_with_the_same_bytes_is_another(tmp_path: Path) -> None:
    """An old reader's swap must not hold because content came back (A, B, A)."""
    url = str(tmp_path / "commit.json")
    versions.swap(url, b"one", None)
    first = versions.read(url)
    versions.swap(url, b"two", first)
    versions.swap(url, b"one", versions.read(url))
    os.utime(url, ns=(0, 0))
    assert not versions.swap(url, b"late", first)
    assert (tmp_path / "commit.json").read_bytes() == b"one"


def test_a_local_swap_that_is_refused_leaves_no_draft(tmp_path: Path) -> None:
    url = str(tmp_path / "commit.json")
    versions.swap(url, b"one", None)
    versions.swap(url, b"two", None)
    assert os.listdir(tmp_path) == ["commit.json"]


def test_a_file_that_goes_between_its_version_and_its_content_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "commit.json"
    path.write_bytes(b"one")

    def gone(url: str) -> bytes:
        path.unlink()
        raise FileNotFoundError(url)

    monkeypatch.setattr(storage, "read_bytes", gone)
    assert versions.read(str(path)) is None


def test_the_lock_of_a_folder_that_was_removed_and_made_anew_is_that_of_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a folder's lock may get that of one that has no name any more: it excludes nobody."""
    folder, real, made = tmp_path / "folder", os.open, []

    def opened(path: str, *words: Any, **named: Any) -> int:
        if not made:
            made.append("gone before it was opened")
            os.rmdir(path)
        number = real(path, *words, **named)
        if len(made) == 1:
            made.append("gone before it was locked")
            os.rmdir(path)
            os.mkdir(path)
        return number

    monkeypatch.setattr(versions.os, "open", opened)
    with versions.locked(str(folder)):
        monkeypatch.undo()
        assert len(made) == 2
        entered = threading.Event()

        def second() -> None:
            with versions.locked(str(folder)):
                entered.set()

        waiting = threading.Thread(target=second)
        waiting.start()
        assert not entered.wait(0.05)
    waiting.join(10)
    assert entered.is_set()


def test_who_fails_to_lock_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))

    def fails(number: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(versions.fcntl, "flock", fails)
    with pytest.raises(OSError, match="No locks available"), versions.locked(str(tmp_path)):
        pytest.fail("locked")
    assert len(os.listdir("/proc/self/fd")) == before


class _Code(OSError):
    """As gcsfs's own errors, which say the status beside their text."""

    code = 412


@pytest.mark.parametrize("says", ["PreconditionFailed", "ConditionalRequestConflict", "412", "409"])
def test_what_s3_says_of_a_condition_is_a_refusal_wherever_it_stands(says: str) -> None:
    def plain() -> None:
        raise OSError(says)

    def behind() -> None:
        raise OSError(errno.EIO, "an error") from ValueError(says)

    assert not versions._holds(plain, FileNotFoundError, says=versions._S3_OTHERS)
    assert not versions._holds(behind, FileNotFoundError, says=versions._S3_OTHERS)


def test_a_status_beside_the_text_is_a_refusal() -> None:
    def refused() -> None:
        raise _Code("precondition")

    assert not versions._holds(refused, says=versions._GCS_OTHERS)


def test_an_error_that_is_no_refusal_is_one() -> None:
    def forbidden() -> None:
        raise PermissionError(errno.EACCES, "Forbidden")

    with pytest.raises(PermissionError, match="Forbidden"):
        versions._holds(forbidden, FileNotFoundError, says=(*versions._S3_OTHERS, *versions._GCS_OTHERS))
    assert versions._holds(lambda: None, says=())


def test_storage_that_cannot_compare_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ftp:
        protocol = "ftp"

    monkeypatch.setattr(storage, "filesystem", lambda url: (Ftp(), url))
    with pytest.raises(ConfigError) as told:
        versions.read("ftp://host/root")
    assert str(told.value) == (
        "ftp://host/root: a ROOT cannot stand here: this storage cannot replace a file only while it is the one that was read\n"
        "  expected: a local folder, or one of gcs, gs, s3, s3a\n"
        "  remedy: name another root in the configuration"
    )
