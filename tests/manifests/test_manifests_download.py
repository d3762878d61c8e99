"""Downloads against a real server on loopback: resumed, cut, refused, wrong, mirrored and gated."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import ConfigError, NetworkError, PmdError
from pmd.manifests import Manifest, ManifestFile, Outcome, fetch
from pmd.manifests.integrity import read_record, record_path
from pmd.manifests.outcome import Doing

MakeFile = Callable[..., ManifestFile]
MakeManifest = Callable[..., Manifest]


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.starts: list[tuple[Doing, int | None, int]] = []
        self.bytes = 0
        self.retries: list[tuple[str, float]] = []
        self.outcomes: list[Outcome] = []

    def start(self, file: ManifestFile, doing: Doing, total_bytes: int | None, done_bytes: int) -> None:
        self.starts.append((doing, total_bytes, done_bytes))

    def advance(self, count: int) -> None:
        self.bytes += count

    def retry(self, file: ManifestFile, why: str, wait_s: float) -> None:
        self.retries.append((why, wait_s))

    def finish(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def told() -> Told:
    """A progress that remembers."""
    return Told()


@pytest.fixture
def get(manifest: MakeManifest, data: Path, told: Told) -> Callable[..., Outcome]:
    """Fetch one file, without waiting; return how it ended."""

    def run(file: ManifestFile, **changed: Any) -> Outcome:
        options: dict[str, Any] = {"sleep": lambda _: None, "progress": told, "timeout_s": (2.0, 2.0)} | changed
        (outcome,) = fetch([manifest(file)], data, names=[file.name], **options)
        return outcome

    return run


Get = Callable[..., Outcome]


def left(data: Path) -> list[str]:
    """The names of what stands in the source's folder."""
    return sorted(path.name for path in (data / "red_caps").iterdir())


def test_a_file_is_fetched_checked_and_noted(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes, told: Told
) -> None:
    web.resources["/a"] = resource(body)
    outcome = get(file("/a"))
    assert (outcome.status, outcome.ok, outcome.detail) == ("fetched", True, "has the published checksum")
    assert Path(outcome.path) == data / "red_caps" / "a.zip"
    assert Path(outcome.path).read_bytes() == body
    assert left(data) == [".a.zip.fetched", "a.zip"]
    assert (told.starts, told.bytes) == ([("downloading", len(body), 0)], len(body))
    assert told.outcomes == [outcome]
    assert all(agent.startswith("pmd/") for agent in web.user_agents)
    assert web.encodings == {"identity"}


def test_a_good_file_is_not_fetched_again_nor_hashed_again(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes, told: Told
) -> None:
    web.resources["/a"] = resource(body)
    get(file("/a"))
    told.starts.clear()
    outcome = get(file("/a"))
    assert (outcome.status, outcome.detail) == ("present", "unchanged since it was checked")
    assert web.paths() == ["/a"]
    assert told.starts == []


def test_a_good_file_that_somebody_put_there_is_hashed_once(
    web: Any, file: MakeFile, get: Get, data: Path, body: bytes, told: Told
) -> None:
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip").write_bytes(body)
    assert get(file("/a")).detail == "has the published checksum"
    assert get(file("/a")).detail == "unchanged since it was checked"
    assert web.requests == []
    assert told.starts == [("checking", len(body), 0)]


def test_a_file_that_was_touched_is_hashed_again(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    path = Path(get(file("/a")).path)
    os.utime(path, ns=(1, 1))
    assert get(file("/a")).detail == "has the published checksum"
    changed = bytes([body[0] ^ 1]) + body[1:]
    path.write_bytes(changed)
    assert get(file("/a")).status == "fetched"
    assert path.read_bytes() == body


def test_another_file_with_the_size_and_time_of_the_one_before_is_hashed_again(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    """As `cp -p`, `rsync --times` and `touch -r` make it."""
    web.resources["/a"] = resource(body)
    path = Path(get(file("/a")).path)
    before = path.stat()
    path.write_bytes(bytes([body[0] ^ 1]) + body[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert get(file("/a")).status == "fetched"
    assert path.read_bytes() == body


def test_a_file_without_a_published_checksum_that_was_touched_is_hashed_once(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes, told: Told
) -> None:
    web.resources["/a"] = resource(body)
    path = Path(get(file("/a", sha256=None)).path)
    path.chmod(0o600)
    told.starts.clear()
    for _ in range(2):
        assert get(file("/a", sha256=None)).status == "present"
    assert told.starts == [("checking", len(body), 0)]


def test_a_cut_transfer_goes_on_where_it_broke(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes, told: Told
) -> None:
    web.resources["/a"] = resource(body, cut_after=[200_000, 100_000])
    waits: list[float] = []
    outcome = get(file("/a"), sleep=waits.append)
    assert outcome.status == "fetched"
    assert Path(outcome.path).read_bytes() == body
    offsets = [int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0 for asked in web.ranges()]
    assert len(offsets) == 3
    assert 0 == offsets[0] < offsets[1] <= 200_000 < offsets[2] + 65_536
    assert [condition for _, _, condition in web.requests] == [None, '"v1"', '"v1"']
    assert waits == [1.0, 2.0]
    assert [wait for _, wait in told.retries] == waits
    assert left(data) == [".a.zip.fetched", "a.zip"]


def test_a_later_run_goes_on_with_the_part_of_an_earlier_one(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes, told: Told
) -> None:
    web.resources["/a"] = resource(body, cut_after=[200_000], statuses=[])

    def killed(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(file("/a"), sleep=killed)
    assert left(data) == [".a.zip.part.json", "a.zip.part"]
    had = (data / "red_caps" / "a.zip.part").stat().st_size
    assert had > 0
    told.starts.clear()
    assert get(file("/a")).status == "fetched"
    assert web.ranges() == [None, f"bytes={had}-"]
    assert told.starts == [("checking", had, 0), ("downloading", len(body), had)]


def test_a_server_without_ranges_begins_again(web: Any, resource: Any, file: MakeFile, get: Get, body: bytes) -> None:
    web.resources["/a"] = resource(body, ranges=False, cut_after=[200_000])
    outcome = get(file("/a"))
    assert outcome.status == "fetched"
    assert Path(outcome.path).read_bytes() == body
    assert web.ranges()[1] is not None


def test_another_version_on_the_server_begins_again(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/a"] = resource(bytes(len(body)), cut_after=[200_000])

    def replaced(_: float) -> None:
        web.resources["/a"] = resource(body, etag='"v2"')

    outcome = get(file("/a", checked=False), sleep=replaced)
    assert Path(outcome.path).read_bytes() == body
    assert web.requests[1][2] == '"v1"'
    assert outcome.detail == "no checksum is published"


@pytest.mark.parametrize(
    ("etag", "modified", "sent"),
    [('W/"v1"', "Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"), (None, None, None)],
)
def test_a_part_without_a_strong_validator_goes_on_only_by_date_or_checksum(
    web: Any,
    resource: Any,
    file: MakeFile,
    get: Get,
    body: bytes,
    etag: str | None,
    modified: str | None,
    sent: str | None,
) -> None:
    web.resources["/a"] = resource(body, etag=etag, last_modified=modified, cut_after=[200_000])
    assert get(file("/a", checked=False)).status == "fetched"
    assert web.requests[1][2] == sent
    assert (web.requests[1][1] is None) == (sent is None)


def test_a_part_that_was_complete_already_is_only_checked(
    web: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip.part").write_bytes(body)
    assert get(file("/a")).status == "fetched"
    assert web.requests == []


def test_416_on_a_complete_part_of_unpublished_size_ends_it(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip.part").write_bytes(body)
    outcome = get(file("/a", bytes=None))
    assert outcome.status == "fetched"
    assert web.ranges() == [f"bytes={len(body)}-"]


def test_416_on_a_part_longer_than_the_file_begins_again(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip.part").write_bytes(body + b"more")
    outcome = get(file("/a", bytes=None))
    assert Path(outcome.path).read_bytes() == body
    assert web.ranges() == [f"bytes={len(body) + 4}-", None]


def test_a_foreign_part_is_found_by_the_checksum(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip.part").write_bytes(bytes(1000))
    outcome = get(file("/a"))
    assert Path(outcome.path).read_bytes() == body
    assert web.ranges() == ["bytes=1000-", None]


def test_a_wrong_checksum_lands_nowhere_and_the_next_place_is_tried(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes, told: Told
) -> None:
    web.resources["/wrong"] = resource(bytes(len(body)))
    web.resources["/right"] = resource(body)
    outcome = get(file("/wrong", "/right"))
    assert outcome.status == "fetched"
    assert Path(outcome.path).read_bytes() == body
    assert web.paths() == ["/wrong", "/right"]
    assert web.ranges() == [None, None]
    record = read_record(Path(outcome.path))
    assert record is not None
    assert record.url == web.url("/right")
    (why, wait_s) = told.retries[0]
    assert why.startswith(f"{web.url('/wrong')}: wrong checksum: expected {hashlib.sha256(body).hexdigest()}, found ")
    assert wait_s == 0.0


def test_a_wrong_checksum_never_replaces_what_stands_there(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(bytes(len(body)))
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip").write_bytes(b"an older one")
    outcome = get(file("/a"))
    assert outcome.status == "failed"
    assert (data / "red_caps" / "a.zip").read_bytes() == b"an older one"
    assert left(data) == ["a.zip"]


def test_the_error_of_a_wrong_checksum_says_all(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(bytes(len(body)))
    error = get(file("/a")).error
    assert isinstance(error, NetworkError)
    right, wrong = hashlib.sha256(body).hexdigest(), hashlib.sha256(bytes(len(body))).hexdigest()
    assert str(error) == (
        "red_caps: a.zip could not be downloaded\n"
        f"  expected: 524288 bytes with sha256 {right}\n"
        f"  found: {web.url('/a')}: wrong checksum: expected {right}, found {wrong}\n"
        "  remedy: try again later with: pmd manifests fetch red_caps; "
        f"or put the file at {data}/red_caps/a.zip yourself"
    )


def test_md5_is_checked_where_only_that_is_published(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    right = file("/a", sha256=None, md5=hashlib.md5(body, usedforsecurity=False).hexdigest())
    assert get(right).status == "fetched"
    assert get(right).detail == "unchanged since it was checked"
    assert get(right.model_copy(update={"md5": "0" * 32})).status == "failed"


@pytest.mark.parametrize("page", [b"", b"<!doctype html><title>Log in to the hotel's network</title>"])
def test_a_page_in_place_of_a_file_without_a_checksum_lands_nowhere_and_the_next_place_is_tried(
    page: bytes, web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/portal"] = resource(page)
    alone = get(file("/portal", checked=False))
    assert alone.status == "failed"
    assert isinstance(alone.error, NetworkError)
    assert "a web page" in str(alone.error) or "empty" in str(alone.error)
    assert left(data) == []
    web.resources["/a"] = resource(body)
    assert get(file("/portal", "/a", checked=False)).status == "fetched"
    assert left(data) == [".a.zip.fetched", "a.zip"]


def test_a_page_that_an_earlier_run_took_for_the_file_is_replaced(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    path = data / "red_caps" / "a.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<html>")
    web.resources["/a"] = resource(body)
    assert get(file("/a", checked=False)).status == "fetched"
    assert path.read_bytes() == body


def test_another_size_is_refused_before_a_byte_is_read(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes, told: Told
) -> None:
    web.resources["/a"] = resource(body + b"x")
    outcome = get(file("/a"))
    assert outcome.status == "failed"
    assert told.bytes == 0
    assert "wrong size: expected 524288 bytes, found 524289" in str(outcome.error)


def test_mirrors_are_tried_in_order(web: Any, resource: Any, file: MakeFile, get: Get, body: bytes) -> None:
    web.resources["/third"] = resource(body)
    web.resources["/second"] = resource(b"", statuses=[403])
    assert get(file("/first", "/second", "/third")).status == "fetched"
    assert web.paths() == ["/first", "/second", "/third"]


def test_a_part_goes_on_at_another_place_where_a_checksum_judges(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/first"] = resource(body, cut_after=[200_000], statuses=[])
    web.resources["/second"] = resource(body, etag='"other"')

    def gone(_: float) -> None:
        del web.resources["/first"]

    assert get(file("/first", "/second"), sleep=gone).status == "fetched"
    assert web.requests[-1][0] == "/second"
    assert web.requests[-1][1] is not None
    assert web.requests[-1][2] is None


def test_without_a_checksum_another_place_begins_anew(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/first"] = resource(bytes(len(body)), cut_after=[200_000])
    web.resources["/second"] = resource(body)

    def gone(_: float) -> None:
        web.resources.pop("/first", None)

    outcome = get(file("/first", "/second", checked=False), sleep=gone)
    assert Path(outcome.path).read_bytes() == body
    assert web.requests[-1] == ("/second", None, None)


@pytest.mark.parametrize("said", ["7", "7.0"])
def test_busy_servers_are_asked_again_as_they_wish(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes, said: str
) -> None:
    web.resources["/a"] = resource(body, statuses=[503, 429], headers={"Retry-After": said})
    waits: list[float] = []
    assert get(file("/a"), sleep=waits.append).status == "fetched"
    assert waits == [7.0, 7.0]


def test_tries_are_bounded(web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes) -> None:
    web.resources["/a"] = resource(body, statuses=[500] * 99)
    waits: list[float] = []
    outcome = get(file("/a"), sleep=waits.append)
    assert "the server answered 500, 5 times in a row" in str(outcome.error)
    assert waits == [1.0, 2.0, 4.0, 8.0]
    assert left(data) == []


def test_a_server_that_hangs_up_at_once_is_not_asked_for_ever(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/a"] = resource(body, cut_after=[10] * 99)
    assert get(file("/a")).status == "failed"
    assert len(web.requests) == 5


def test_a_port_where_nobody_listens_is_a_failure_in_words(file: MakeFile, get: Get, web: Any) -> None:
    nowhere = file("/a").model_copy(update={"urls": ("http://127.0.0.1:9/a",)})
    outcome = get(nowhere)
    assert outcome.status == "failed"
    assert "ConnectionError" in str(outcome.error)
    assert "0x" not in str(outcome.error)


def test_a_server_that_compresses_unasked_is_no_good(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/a"] = resource(body, headers={"Content-Encoding": "gzip"})
    assert "the server compresses what it sends, though asked not to" in str(get(file("/a")).error)


def test_one_failure_does_not_stop_the_others(
    web: Any, resource: Any, file: MakeFile, manifest: MakeManifest, data: Path, body: bytes
) -> None:
    web.resources["/b"] = resource(body)
    files = (file("/a", name="a.zip"), file("/b", name="b.zip"))
    outcomes = fetch([manifest(*files)], data, sleep=lambda _: None)
    assert [outcome.status for outcome in outcomes] == ["failed", "fetched"]


def test_too_little_space_is_told_before_anything_is_begun(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    with pytest.raises(PmdError) as caught:
        get(file("/a"), free=lambda _: 1000)
    assert str(caught.value) == (
        f"{data}: not enough free space\n"
        "  expected: 524 kB for what is to be downloaded\n"
        "  found: 1.00 kB\n"
        "  remedy: free some, give another folder, or fetch fewer sources at a time"
    )
    assert web.requests == []
    assert not data.exists()


def test_too_little_space_for_a_file_of_unpublished_size(
    web: Any, resource: Any, file: MakeFile, get: Get, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    outcome = get(file("/a", checked=False), free=lambda _: 1000)
    assert (outcome.status, outcome.detail) == ("failed", "not enough free space")


def test_a_folder_that_cannot_be_written_is_told(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    data.write_text("a file where the folder should be")
    outcome = get(file("/a"), free=lambda _: 10**9)
    assert (outcome.status, outcome.detail) == ("failed", f"{data}/red_caps: a folder of the path is a file")


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.ENOSPC, "the storage is full"),
        (errno.EROFS, "the storage is read-only"),
        (errno.EACCES, "access is not allowed"),
    ],
)
def test_why_a_file_cannot_be_written_is_told(
    web: Any,
    resource: Any,
    file: MakeFile,
    get: Get,
    body: bytes,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    problem: str,
) -> None:
    web.resources["/a"] = resource(body)
    begun: list[Path] = []

    def refused(download: Any, _: Any) -> None:
        begun.append(download.part)
        raise OSError(number, os.strerror(number), str(download.part))

    monkeypatch.setattr("pmd.manifests.download._Download._take_up", refused)
    outcome = get(file("/a"), free=lambda _: 10**9)
    assert (outcome.status, outcome.detail) == ("failed", f"{begun[0]}: {problem}")
    assert outcome.remedy


def test_a_second_process_is_refused(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes
) -> None:
    fcntl = pytest.importorskip("fcntl")
    web.resources["/a"] = resource(body)
    (data / "red_caps").mkdir(parents=True)
    with open(data / "red_caps" / ".a.zip.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = get(file("/a"))
    assert (outcome.status, outcome.detail) == ("failed", "another process is downloading this file")


def test_a_lock_that_the_process_before_has_just_removed_is_none(
    web: Any, resource: Any, file: MakeFile, get: Get, data: Path, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opened the file of one that was ending, and a third has made another since: two would write into one part."""
    fcntl = pytest.importorskip("fcntl")
    web.resources["/a"] = resource(body)
    real, path = fcntl.flock, data / "red_caps" / ".a.zip.lock"

    def locked(file: Any, kind: int) -> None:
        real(file, kind)
        path.unlink()
        path.touch()

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", locked)
        outcome = get(file("/a"))
    assert (outcome.status, outcome.detail) == ("failed", "another process is downloading this file")
    assert path.exists(), "it is the third's"
    assert get(file("/a")).ok


def test_a_gated_file_says_where_to_ask_and_where_to_put_it(file: MakeFile, get: Get, data: Path) -> None:
    closed = file(gated={"how": "fill in the form", "where_to_ask": "http://example.org/form"}, checked=False)
    outcome = get(closed)
    assert (outcome.status, outcome.ok) == ("gated", False)
    assert outcome.remedy == f"fill in the form; ask at http://example.org/form; put it at {data}/red_caps/a.zip"
    (data / "red_caps").mkdir(parents=True)
    (data / "red_caps" / "a.zip").write_bytes(b"PK here")
    assert get(closed).status == "present"


def test_optional_files_and_images_come_only_when_asked_for(
    web: Any, resource: Any, file: MakeFile, manifest: MakeManifest, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    source = manifest(
        file("/a", name="a.zip"), file("/a", name="b.zip", optional=True), file("/a", name="c.zip", kind="images")
    )
    assert [outcome.file.name for outcome in fetch([source], data)] == ["a.zip"]
    assert [outcome.file.name for outcome in fetch([source], data, kinds=["images"])] == ["c.zip"]
    assert [outcome.file.name for outcome in fetch([source], data, names=["b.zip"])] == ["b.zip"]


def test_a_file_that_two_sources_share_is_fetched_once(
    web: Any, resource: Any, file: MakeFile, manifest: MakeManifest, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    shared = file("/a")
    other = manifest(shared.model_copy(update={"option": "karpathy"})).model_copy(update={"name": "coco"})
    assert len(fetch([manifest(shared), other], data)) == 1
    assert web.paths() == ["/a"]


def test_an_unknown_file_name_is_a_mistake(file: MakeFile, manifest: MakeManifest, data: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        fetch([manifest(file("/a"))], data, names=["b.zip"])
    assert str(caught.value).splitlines()[:2] == ["no such file: b.zip", "  expected: a.zip"]


def test_a_remote_folder_is_a_mistake(file: MakeFile, manifest: MakeManifest) -> None:
    with pytest.raises(ConfigError, match="downloaded to a local folder"):
        fetch([manifest(file("/a"))], "gs://bucket/data")


def test_an_unreadable_note_only_costs_work(web: Any, resource: Any, file: MakeFile, get: Get, body: bytes) -> None:
    web.resources["/a"] = resource(body)
    path = Path(get(file("/a")).path)
    record_path(path).write_text("[]")
    assert get(file("/a")).detail == "has the published checksum"
