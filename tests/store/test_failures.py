"""Storage that fails, in words: what is said of it, with which exit code, wherever it is met and whatever it is wrapped in."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import curate
from pmd import config
from pmd.books import reconciliation
from pmd.dedupe import packed
from pmd.errors import ConfigError, InputError, PmdError, RootError
from pmd.fetch.http import trust
from pmd.store import failures, naming, patience, root, spools, storage
from tests import tiny_root


def failure(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.ENOSPC, "the storage is full"),
        (errno.EDQUOT, "the quota of the storage is used up"),
        (errno.EROFS, "the storage is read-only"),
        (errno.EACCES, "access is not allowed"),
        (errno.EPERM, "access is not allowed"),
        (errno.EIO, "the storage fails"),
        (errno.ENOENT, "a file or folder is gone"),
        (errno.ENOTSUP, "the storage cannot do what is asked of it"),
        (errno.ETIMEDOUT, "the storage does not answer"),
        (errno.ESTALE, "the storage was mounted anew meanwhile"),
        (errno.ENAMETOOLONG, "the storage takes no names of this length"),
        (errno.ENOTDIR, "a folder of the path is a file"),
        (errno.EFBIG, "a file would be larger than is allowed"),
    ],
)
def test_each_failure_says_what_where_and_what_to_do(number: int, problem: str) -> None:
    told = failures.told(failure(number, "/r/pmd/images/x"), "/r/pmd")
    assert type(told) is RootError
    assert (told.problem, told.where, told.exit_code) == (problem, "/r/pmd/images/x", 4)
    assert told.remedy
    assert told.found == f"[Errno {number}] {os.strerror(number)}: '/r/pmd/images/x'"


@pytest.mark.parametrize("name", ["suppression.json", "requests.jsonl"])
def test_what_writers_alone_may_read_is_not_to_be_opened_to_all(name: str) -> None:
    told = failures.told(failure(errno.EACCES, f"/r/pmd/takedown/{name}"), "/r/pmd")
    assert type(told) is RootError
    assert told.remedy is not None
    assert told.remedy.startswith("run this as a user who may write this ROOT")
    listed = failures.told(failure(errno.EACCES, "/r/pmd/takedown/receipts.jsonl"), "/r/pmd")
    assert listed is not None
    assert listed.remedy == "mend its permissions, or choose another place"


def test_what_is_no_part_of_root_is_an_input_unless_it_was_written() -> None:
    told = failures.told(failure(errno.EACCES, "/data/a.tsv"), "/r/pmd")
    assert (type(told), told and told.where) == (InputError, "/data/a.tsv")
    assert type(failures.told(failure(errno.ENOSPC, "/tmp/spill"), "/r/pmd")) is PmdError
    assert type(failures.told(failure(errno.EACCES, "/r/pmdx/a"), "/r/pmd")) is InputError


def test_a_file_that_is_being_written_is_told_by_its_folder() -> None:
    told = failures.told(failure(errno.EACCES, f"/home/me/.tmp-{'0' * 32}"))
    assert (type(told), told and told.where) == (PmdError, "/home/me")


def test_where_no_folder_takes_temporary_files_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "_mine", [])
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    with pytest.raises(FileNotFoundError) as raised:
        spools.folder()
    told = failures.told(raised.value)
    assert told is not None
    assert told.problem == "there is no folder for temporary files"
    assert "TMPDIR" in (told.remedy or "")
    full = failures.told(failure(errno.ENOSPC, "/r/pmd/x"), "/r/pmd")
    assert full is not None
    assert full.problem == "the storage is full"


def _trust(_: Path) -> None:
    trust.Authorities(None)


def _pack(folder: Path) -> None:
    hashes = pa.array([hashlib.sha256(bytes([number])).digest() for number in range(256)], pa.binary(32))
    packed.pack(str(folder), [pa.table({"perceptual_hash": hashes})])


def _reconcile(_: Path) -> None:
    with reconciliation.Reconciliation(1) as pairs:
        pair_ids = [number.to_bytes(16, "big") for number in range(500_000)]
        pairs.add(0, pairs.file("a"), pair_ids, ["coco"] * len(pair_ids))


@pytest.mark.parametrize("write", [_trust, _pack, _reconcile])
def test_a_full_disk_of_temporary_files_is_not_told_as_root(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """Files that are open name no path: ROOT was told to be full, which may be on another disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(OSError, match="File too large") as raised:
            write(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert raised.value.filename == spools.above()
    raised.value.errno = errno.ENOSPC
    told = failures.told(raised.value, "/r/pmd")
    assert told is not None
    assert told.where == spools.above()
    assert "TMPDIR" in (told.remedy or "")


def test_temporary_files_are_known_by_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in (f"pmd-{os.getuid()}/pmd-x/hashes", "pmd-find-x", "pmd-diff-x/part"):
        told = failures.told(failure(errno.ENOSPC, str(tmp_path / name)), "/r/pmd")
        assert "TMPDIR" in ((told and told.remedy) or ""), name
    told = failures.told(failure(errno.ENOSPC, str(tmp_path / "mine/pmd/views")), str(tmp_path / "mine/pmd"))
    assert "TMPDIR" not in ((told and told.remedy) or "")


def test_root_is_found_by_what_stands_in_it(tmp_path: Path) -> None:
    (tmp_path / "root.json").touch()
    told = failures.told(failure(errno.EACCES, str(tmp_path / "images" / "_stage.json")))
    assert type(told) is RootError


def test_a_file_that_is_open_names_no_path() -> None:
    told = failures.told(failure(errno.ENOSPC), "/r/pmd")
    assert told is not None
    assert str(told).splitlines()[0] == "/r/pmd: the storage is full"
    assert type(failures.told(failure(errno.ENOSPC))) is RootError


def test_too_many_open_files_are_no_fault_of_root() -> None:
    told = failures.told(failure(errno.EMFILE, "/r/pmd/x"), "/r/pmd")
    assert (type(told), told and told.problem) == (PmdError, "this process may not open more files")


def raised(error: BaseException, *, cause: BaseException | None = None, handled: BaseException | None = None) -> Any:
    if cause is not None:
        error.__cause__ = cause
    error.__context__ = handled
    return error


@pytest.mark.parametrize(
    "error",
    [
        raised(RuntimeError("it failed"), cause=failure(errno.ENOSPC, "/r/pmd/x")),
        raised(RuntimeError("it failed"), handled=raised(ValueError("closed"), handled=failure(errno.ENOSPC, "/r/pmd/x"))),
        ExceptionGroup("tasks", [failure(errno.ENOSPC, "/r/pmd/x")]),
        RuntimeError("Traceback (most recent call last):\n  File …\nOSError: [Errno 28] No space left on device: '/r/pmd/x'\n"),
        RuntimeError("pmd.errors.RootError: /r/pmd/x: the storage is full\n  found: [Errno 28] No space left: '/r/pmd/x'\n"),
    ],
    ids=["cause", "context", "group", "text of an engine", "text of ours"],
)  # fmt: skip
def test_it_is_found_in_what_wraps_it(error: BaseException) -> None:
    told = failures.told(error, "/r/pmd")
    assert (type(told), told and told.problem, told and told.where) == (RootError, "the storage is full", "/r/pmd/x")


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("ours"),
        raised(KeyError("ours"), handled=failure(errno.ENOENT, "/r/pmd/x")),
        ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
        failure(errno.EINVAL),
        OSError("no number"),
        RuntimeError("the host said: [Errno 28] No space left on device"),
    ],
)
def test_what_is_no_failure_of_storage_is_not_told_as_one(error: BaseException) -> None:
    assert failures.told(error, "/r/pmd") is None


def test_a_mistake_in_the_chain_is_told_as_itself() -> None:
    mistake = InputError("truncated", where="a.json")
    assert failures.told(raised(RuntimeError("Beam"), cause=mistake)) is mistake


def test_a_mistake_that_came_of_another_is_told_itself_and_without_beams_words() -> None:
    inner, outer = InputError("truncated"), ConfigError("no such list")
    assert failures.told(raised(outer, cause=inner)) is outer
    assert failures.told(raised(InputError("truncated [while running 'Fail']"), handled=inner)) is inner


def test_within_root_a_failure_is_told_with_root() -> None:
    with pytest.raises(RootError) as caught, failures.at("/r/pmd"):
        raise failure(errno.ENOSPC)
    assert caught.value.where == "/r/pmd"
    fault = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError), failures.at("/r/pmd"):
        raise fault


def test_what_has_no_room_or_no_rights_elsewhere() -> None:
    told = failures.told(sqlite3.OperationalError("database or disk is full"))
    assert (told and told.problem) == "there is no room for temporary files"
    missing = type("NoCredentialsError", (Exception,), {"__module__": "botocore.exceptions"})
    told = failures.told(missing("Unable to locate credentials"), "s3://bucket/pmd")
    assert type(told) is RootError
    assert told.found == "NoCredentialsError: Unable to locate credentials"


def of_client(name: str, words: str, module: str = "botocore.exceptions") -> Exception:
    """Return an exception of a store's client."""
    error: Exception = type(name, (Exception,), {"__module__": module})(words)
    return error


def s3(code: str, words: str, number: int | None = None) -> OSError:
    """Return what s3fs makes of an answer: an error of Python's, with a number as if a disk had failed, caused by the answer."""
    error = OSError(number, words) if number is not None else PermissionError(words)
    error.__cause__ = of_client(
        "ClientError", f"An error occurred ({code}) when calling the GetObject operation: {words}"
    )
    return error


def asked_for(url: str, error: Exception) -> Exception:
    """Return an error that came of what a client was asked for."""
    with contextlib.suppress(Exception), patience.asking(url):
        raise error
    return error


def test_what_is_met_where_no_root_is_read_is_an_input() -> None:
    url = "s3://bucket/pictures.tar"
    with pytest.raises(InputError) as caught, failures.of_inputs():
        raise asked_for(url, s3("AccessDenied", "no"))
    assert (caught.value.problem, caught.value.where) == ("the storage refuses", url)
    mistake = RootError("no ROOT here")
    with pytest.raises(RootError) as same, failures.of_inputs():
        raise mistake
    assert same.value is mistake


def test_what_a_web_server_refuses_is_never_told_as_root() -> None:
    url = "https://a.example/pictures.tar"
    told = failures.told(asked_for(url, of_client("ClientResponseError", "403, message='Forbidden'", "aiohttp.client")))
    assert told is not None
    assert (type(told), told.where, told.remedy) == (InputError, url, "download it, and name the file that you have")


@pytest.mark.parametrize("root_url", [None, "s3://bucket/pmd"])
def test_a_client_that_waits_no_longer_is_told(root_url: str | None) -> None:
    url = "s3://bucket/pmd/images/part"
    late = type("FSTimeoutError", (TimeoutError,), {"__module__": "fsspec.exceptions"})()
    told = failures.told(asked_for(url, late), root_url)
    assert told is not None
    assert (type(told), told.problem, told.where) == (RootError, "the storage does not answer", root_url or url)


UNKNOWING = "the storage does not know something that S3's client sends"
HOLDING = "the bucket holds on to what stands in it: nothing there is replaced or removed"


@pytest.mark.parametrize(
    ("error", "problem", "found"),
    [
        (s3("AccessDenied", "no"), "the storage refuses", "AccessDenied"),
        (s3("ExpiredToken", "old"), "the credentials for the storage have expired", "ExpiredToken"),
        (s3("RequestTimeTooSkewed", "late"), "the clock of this machine is wrong", "RequestTimeTooSkewed"),
        (s3("XMinioStorageFull", "no room", errno.EIO), "the quota of the storage is used up", "XMinioStorageFull"),
        (
            s3("InternalError", "x", errno.EREMOTEIO),
            "the storage fails, or is too busy, and was waited for",
            "InternalE",
        ),
        (s3("SlowDown", "x", errno.EBUSY), "the storage fails, or is too busy, and was waited for", "SlowDown"),
        (s3("NotSignedUp", "x"), "the storage refuses", "NotSignedUp"),
        (s3("NotImplemented", "A header", errno.ENOSYS), UNKNOWING, "NotImplemented"),
        (
            s3(
                "InvalidArgument",
                "Unsupported header 'x-amz-sdk-checksum-algorithm' received for this API call.",
                errno.EINVAL,
            ),
            UNKNOWING,
            "Unsupported header",
        ),
        (s3("XAmzContentSHA256Mismatch", "x", errno.EIO), UNKNOWING, "Mismatch"),
        (
            s3("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required", errno.EINVAL),
            "the storage refuses",
            "is required",
        ),
        (
            s3("InvalidRegionName", "Must be one of: wnam, enam, auto", errno.EIO),
            "this is no address or region of the storage",
            "auto",
        ),
        (
            s3("InvalidObjectState", "x"),
            "this object is in an archive, and cannot be read before it is restored",
            "InvalidObjectState",
        ),
        (s3("ObjectLocked", "x"), HOLDING, "ObjectLocked"),
        (
            of_client("OSError", "Forbidden: u\nObject 'b/o' is subject to bucket's retention policy", "gcsfs.retry"),
            HOLDING,
            "retention",
        ),
        (
            of_client("SSLError", "SSL validation failed: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            "the certificate of the storage is signed by nobody whom this machine knows",
            "self-signed",
        ),
        (
            of_client("SSLError", "SSL validation failed: [SSL: WRONG_VERSION_NUMBER] wrong version number"),
            "this is no address or region of the storage",
            "wrong version",
        ),
        (
            of_client("UnauthorizedSSOTokenError", "The SSO session associated with this profile has expired"),
            "the credentials for the storage have expired",
            "SSO session",
        ),
        (
            of_client("ValueError", "Bucket is requester pays. Set `requester_pays=True`", "gcsfs.retry"),
            "in this bucket whoever asks pays, and nobody is named who does",
            "requester pays",
        ),
        (
            s3("PermanentRedirect", "x", errno.ENOENT),
            "the bucket is in another region, or at another address",
            "PermanentR",
        ),
        (
            s3("AuthorizationHeaderMalformed", "expecting 'eu-west-1'", errno.EINVAL),
            "the bucket is in another region, or at another address",
            "eu-west-1",
        ),
        (s3("OperationAborted", "x", errno.EBUSY), "the storage fails, or is too busy, and was waited for", "Aborted"),
        (patience.CutShortError("1 byte"), "what the storage sends does not arrive whole", "CutShortError: 1 byte"),
        (
            of_client("ConnectionClosedError", "closed before we received a valid response"),
            "the storage cannot be reached",
            "closed before",
        ),
        (
            of_client("ClientOSError", "[Errno 104] reset", "aiohttp.client_exceptions"),
            "the storage cannot be reached",
            "reset",
        ),
        (
            of_client("ResponseParserError", "invalid XML", "botocore.parsers"),
            "what answers here is no object store",
            "invalid XML",
        ),
        (
            of_client("ClientPayloadError", "not completed", "aiohttp.client_exceptions"),
            "what the storage sends does not arrive whole",
            "ClientPayloadError: not completed",
        ),
        (
            of_client("HttpError", "Backend, 503", "gcsfs.retry"),
            "the storage fails, or is too busy, and was waited for",
            "5",
        ),
        (of_client("HttpError", "a\n b\n\nwhy", "gcsfs.retry"), "the storage refuses", "HttpError: a: why"),
    ],
)
def test_an_object_store_is_told_by_its_own_words(error: Exception, problem: str, found: str) -> None:
    told = failures.told(error, "s3://bucket/pmd")
    assert type(told) is RootError
    assert (told.problem, told.where) == (problem, "s3://bucket/pmd")
    assert found in str(told.found)
    assert told.remedy


def test_redirects_without_end_are_told_as_another_address() -> None:
    """The client of S3 asks where a bucket is when it is redirected, and is redirected."""
    client: dict[str, Any] = {"__name__": "aiobotocore.utils"}
    exec("def ask():\n    ask()", client)
    with pytest.raises(RecursionError) as caught:
        client["ask"]()
    told = failures.told(caught.value, "s3://bucket/pmd")
    assert type(told) is RootError
    assert told.problem == "the bucket is in another region, or at another address"
    assert told.found == "redirects (301) that name no region"
    assert failures.told(RecursionError(), "s3://bucket/pmd") is None


def test_an_object_store_that_has_inputs_is_not_taken_for_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"memory://inputs-{tmp_path.name}/a.tsv"

    def refuse(*_: Any, **__: Any) -> None:
        raise s3("AccessDenied", "no")

    monkeypatch.setattr(storage.filesystem(url)[0], "cat_file", refuse)
    with pytest.raises(PermissionError) as caught:
        storage.read_bytes(url)
    told = failures.told(caught.value, str(tmp_path))
    assert type(told) is InputError
    assert (told.where, told.exit_code) == (url, 3)
    assert type(failures.told(caught.value, url.rpartition("/")[0])) is RootError


CHECK = "check the part before ://, and what this storage needs in the environment"
NO_CHAINS = "name the file itself: chains of protocols (::) are not read"


@pytest.mark.parametrize(
    ("url", "problem", "remedy"),
    [
        ("s3://b/x", "the storage s3:// cannot be used", "pip install 'pmd[aws]'"),
        ("gs://b/x", "the storage gs:// cannot be used", "pip install 'pmd[gcp]'"),
        ("foo://b/x", "the storage foo:// cannot be used", CHECK),
        ("simplecache::s3://b/x", "the storage simplecache:// cannot be used", NO_CHAINS),
        ("/tmp/a\0b", "no path has a NUL character", "mend the path"),
    ],
)  # fmt: skip
def test_a_protocol_that_cannot_be_used(url: str, problem: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    storage._client.cache_clear()
    with pytest.raises(ConfigError) as caught:
        storage.exists(url)
    assert (caught.value.problem, caught.value.remedy, caught.value.exit_code) == (problem, remedy, 2)


@pytest.mark.parametrize("name", ["a::b", "a b#?", "x:y", "ünï"])
def test_odd_characters_are_part_of_a_name(tmp_path: Path, name: str) -> None:
    storage.put(f"{tmp_path}/{name}/file", b"content")
    assert (tmp_path / name / "file").read_bytes() == b"content"
    assert storage.put_if_absent(f"{tmp_path}/{name}/other", b"")


def no_links(*_: Any, **__: Any) -> None:
    raise failure(errno.EPERM)


@pytest.mark.skipif(sys.platform not in {"linux", "darwin"}, reason="no rename that replaces nothing")
def test_without_hard_links_one_writer_still_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    path = f"{tmp_path}/lock"
    assert storage.put_if_absent(path, b"first")
    assert not storage.put_if_absent(path, b"second")
    assert storage.read_bytes(path) == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


def test_a_file_system_that_can_do_neither_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(naming, "_rename_if_absent", lambda *_: errno.EINVAL)
    with pytest.raises(RootError) as caught:
        storage.put_if_absent(f"{tmp_path}/lock", b"first")
    assert str(caught.value) == (
        f"{tmp_path}/lock: this file system cannot name a file only where the name is free\n"
        "  expected: hard links, or a rename that replaces nothing\n"
        "  found: Invalid argument\n"
        "  remedy: choose a root on another file system"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_written_leaves_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise failure(errno.ENOSPC)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        storage.put_if_absent(f"{tmp_path}/lock", b"first")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 3])
def test_a_stage_whose_nth_write_finds_the_storage_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    calls = 0
    finish = storage.Draft.finish

    def filling(draft: storage.Draft, name: str) -> None:
        nonlocal calls
        calls += name != "writer.json"
        if calls >= count:
            raise failure(errno.ENOSPC, f"{chosen.root}/{name}")
        finish(draft, name)

    monkeypatch.setattr(storage.Draft, "finish", filling)
    with pytest.raises(RootError) as caught, root.writer(chosen.root, "test"):
        curate.build(chosen, ["coco"])
    assert (caught.value.problem, caught.value.exit_code) == ("the storage is full", 4)
    monkeypatch.undo()
    assert list(Path(chosen.root).rglob(f"{storage.TEMPORARY}*")) == []
    with root.writer(chosen.root, "test"):
        curate.build(chosen, ["coco"])


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with hardly any room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_a_command_in_words(tmp_path: Path, small: Path) -> None:
    path = Path(tiny_root.write_config(tmp_path))
    chosen = config.load(str(path))
    path.write_text(path.read_text().replace(f'root = "{chosen.root}"', f'root = "{small}/root"'))
    (small / "fill").write_bytes(bytes(8 * 1024))
    here = Path(__file__).parent.parent.parent
    ended = subprocess.run(
        [sys.executable, "-m", "pmd", "curate", str(path)],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(here)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in ended.stderr.splitlines() if line.startswith(("pmd:", "  found", "  remedy"))]
    assert ended.returncode == 4, ended.stderr
    assert told[0].endswith("the storage is full")
    assert told[-1] == "  remedy: make room, then run the same command again"
    assert "Traceback" not in ended.stderr
    assert list(small.rglob(f"{storage.TEMPORARY}*")) == []


def test_a_full_temporary_folder_is_told_with_what_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = failures.told(
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{tmp_path}/pmd-{os.getuid()}/a"), "s3://bucket/pmd"
    )
    assert told is not None
    assert told.remedy == "make room, or name another temporary folder in TMPDIR; then run the same command again"


def test_memory_that_runs_out_is_told() -> None:
    for lacking in (MemoryError(), pa.ArrowMemoryError("malloc of size 64 failed"), failure(errno.ENOMEM, "/r/pmd/x")):
        told = failures.told(lacking)
        assert told is not None
        assert (told.problem, told.exit_code) == ("there is not enough memory", 1)


def test_a_library_that_finds_no_place_in_memory_is_told_where_memory_is_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unmapped = ImportError("libcurl-330bcbb6.so.4.8.0: failed to map segment from shared object")
    limits = {"given": (2**29, resource.RLIM_INFINITY), "none": (resource.RLIM_INFINITY, resource.RLIM_INFINITY)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["given"])
    told = failures.told(unmapped)
    assert told is not None
    assert told.problem == "there is not enough memory"
    assert failures.told(ImportError("No module named 'x'")) is None
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["none"])
    assert failures.told(unmapped) is None  # of a file system from which nothing may be run


def test_processes_and_threads_that_the_system_does_not_start_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> int:
        raise failure(errno.EAGAIN)

    monkeypatch.setattr("subprocess._fork_exec", refused)
    with pytest.raises(BlockingIOError) as raised:
        subprocess.run(["true"], close_fds=True, preexec_fn=int, check=False)
    panics = [
        'PanicException: could not spawn threads: ThreadPoolBuildError { kind: IOError(Os { kind: WouldBlock, message: "" }) }',
        'PanicException: failed to spawn polars-ooc cleaner thread: Os { code: 11, kind: WouldBlock, message: "" }',
        "PanicException: OS can't spawn worker thread: Resource temporarily unavailable (os error 11)",
    ]
    for lacking in (raised.value, *map(RuntimeError, ["can't start new thread", *panics])):
        told = failures.told(lacking)
        assert told is not None
        assert told.problem == "the system starts no more processes or threads"
    assert failures.told(failure(errno.EAGAIN)) is None


def test_a_working_folder_that_is_gone_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for use in (lambda: storage.exists("pmd.toml"), lambda: Path("out").mkdir()):
        with pytest.raises(FileNotFoundError) as caught:
            use()
        told = failures.told(caught.value)
        assert told is not None
        assert told.problem == "the folder that this command was started in is gone"
    monkeypatch.chdir(tmp_path)
    told = failures.told(caught.value)
    assert told is not None
    assert told.problem == "a file or folder is gone"
