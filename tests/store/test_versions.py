"""What object stores are asked when a file is replaced or removed only while it is the one that was read."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import ConfigError, RootError
from pmd.store import failures, storage, versions
from pmd.store.versions import Versioned

SEEN = Versioned(b"old", "7")


class Store:
    """Stands for a client of an object store: writes down what it is asked, and refuses where it is told to.

    Args:
        protocol: The store's.
        refusal: What it raises.
    """

    _location = "http://store"
    version = "7"

    def __init__(self, protocol: str, refusal: Exception | None = None) -> None:
        self.protocol = protocol
        self.refusal = refusal
        self.asked: list[tuple[Any, ...]] = []
        self.said: list[dict[str, Any]] = []

    def split_path(self, path: str) -> tuple[str, str, None]:
        """Return bucket, key and version."""
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call(self, *asked: Any, **said: Any) -> Any:
        """Be asked; of what there is, it has what `SEEN` is."""
        if asked[0] in {"GET", "head_object"}:
            return {"generation": self.version, "ETag": self.version}
        self.asked.append(asked)
        self.said.append(said)
        if self.refusal is not None:
            raise self.refusal
        return None

    call_s3 = call


def at(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let a store answer; return a URL in it."""
    monkeypatch.setattr(storage, "filesystem", lambda _: (store, "bucket/key"))
    return f"{store.protocol}://bucket/key"


@pytest.mark.parametrize(
    ("protocol", "condition"),
    [("gs", {"ifGenerationMatch": "7"}), ("s3", {"IfMatch": "7"})],
)
@pytest.mark.parametrize("what", ["swap", "remove"])
def test_what_is_replaced_or_removed_is_asked_for_with_its_version(
    monkeypatch: pytest.MonkeyPatch, protocol: str, condition: dict[str, str], what: str
) -> None:
    store = Store(protocol)
    url = at(store, monkeypatch)
    assert versions.swap(url, b"new", SEEN) if what == "swap" else versions.remove(url, SEEN.version)
    (said,) = store.said
    assert condition.items() <= said.items()


@pytest.mark.parametrize(("protocol", "condition"), [("gs", {"ifGenerationMatch": "0"}), ("s3", {"IfNoneMatch": "*"})])
def test_what_is_new_is_written_only_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, protocol: str, condition: dict[str, str]
) -> None:
    store = Store(protocol)
    assert versions.swap(at(store, monkeypatch), b"new", None)
    assert condition.items() <= store.said[0].items()


@pytest.mark.parametrize(
    ("protocol", "refusal"),
    [
        ("gs", FileNotFoundError()),
        ("gs", FileExistsError()),
        ("gs", OSError("conditionNotMet")),
        ("s3", FileNotFoundError()),
        ("s3", OSError("PreconditionFailed")),
        ("s3", OSError("ConditionalRequestConflict")),
    ],
)
def test_a_condition_that_does_not_hold_is_no_error(
    monkeypatch: pytest.MonkeyPatch, protocol: str, refusal: OSError
) -> None:
    assert not versions.remove(at(Store(protocol, refusal), monkeypatch), SEEN.version)


@pytest.mark.parametrize("protocol", ["gs", "s3"])
def test_what_has_another_version_is_not_removed_where_the_store_would_not_refuse(
    monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """MinIO passes over the condition, and so does fake-gcs-server."""
    store = Store(protocol)
    store.version = "8"
    assert not versions.remove(at(store, monkeypatch), SEEN.version)
    assert not store.asked


@pytest.mark.parametrize("protocol", ["gs", "s3"])
def test_another_refusal_is_an_error(monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    with pytest.raises(OSError, match="forbidden"):
        versions.remove(at(Store(protocol, OSError("forbidden")), monkeypatch), SEEN.version)


class Careless(Store):
    """An S3 that knows no conditions, or only some, and none where something is removed."""

    def __init__(self, *heeds: str) -> None:
        super().__init__("s3")
        self.heeds = heeds
        self.content: bytes | None = None

    def call_s3(self, method: str, **said: Any) -> Any:
        """Do what is asked, whatever the condition."""
        if method == "get_object":
            return {"Body": self.content, "ETag": repr(self.content)}
        if method == "delete_object":
            raise OSError(errno.ENOSYS, "A header") from ValueError("An error occurred (NotImplemented)")
        condition = next((said[name] for name in self.heeds if name in said), None)
        if condition is not None and (
            condition != repr(self.content) if condition != "*" else self.content is not None
        ):
            raise OSError("PreconditionFailed")
        self.content = said["Body"]
        return None

    def put_file(self, local: str, _: str) -> None:
        """Have a file, without a condition."""
        self.content = Path(local).read_bytes()

    def rm_file(self, _: str) -> None:
        """Remove it."""
        self.content = None


class Removing(Careless):
    """MinIO: it knows conditions where a file is written, and passes over those where one is removed."""

    def call_s3(self, method: str, **said: Any) -> Any:
        """Remove, whatever the condition."""
        if method != "delete_object":
            return super().call_s3(method, **said)
        self.content = None
        return None


class Unheeding(Careless):
    """One that says of conditions that it has none."""

    def call_s3(self, method: str, **said: Any) -> Any:
        """Refuse what has one."""
        if "IfMatch" in said or "IfNoneMatch" in said:
            raise OSError(errno.ENOSYS, "A header") from ValueError("An error occurred (NotImplemented)")
        return super().call_s3(method, **said)


class Unknowing(Careless):
    """One that knows no checksums: it refuses whatever is written."""

    def call_s3(self, method: str, **said: Any) -> Any:
        """Refuse what is written."""
        if method == "put_object":
            raise self._refusal()
        return super().call_s3(method, **said)

    def put_file(self, *_: str) -> None:
        """Refuse it."""
        raise self._refusal()

    @staticmethod
    def _refusal() -> OSError:
        cause = type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})
        refusal = OSError(errno.ENOSYS, "A header you provided")
        refusal.__cause__ = cause("An error occurred (NotImplemented) when calling the PutObject operation: A header")
        return refusal


class Framing(Careless):
    """One that takes the checksum behind a file, and the lengths of its pieces, for a part of it."""

    def call_s3(self, method: str, **said: Any) -> Any:
        """Store what stands around a file, too."""
        if method == "put_object":
            said["Body"] = b"5\r\n" + said["Body"] + b"\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
        return super().call_s3(method, **said)


class Page(Store):
    """A web page in the place of a store."""

    def call_s3(self, _: str, **__: Any) -> Any:
        """Answer as to anything."""
        return {"Body": b"<html>"}

    def call(self, *_: str, **__: Any) -> Any:
        """Answer as to anything."""
        return {}, b"<html>"

    def unstrip_protocol(self, path: str) -> str:
        """Return a URL."""
        return f"{self.protocol}://{path}"


@pytest.mark.parametrize("protocol", ["s3", "gs"])
def test_a_web_page_in_the_place_of_a_store_is_told(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_body", lambda _, body: body)
    with pytest.raises(ConfigError) as caught:
        versions.read(at(Page(protocol), monkeypatch))
    assert caught.value.problem == "what answers here is no object store"
    assert "AWS_ENDPOINT_URL" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("store", "found"),
    [
        (Careless(), "it makes a file anew where one stands"),
        (Careless("IfNoneMatch"), "it replaces a file that is no longer the one that was read"),
        (Careless("IfNoneMatch", "IfMatch"), "it knows no such conditions"),
        (Unheeding(), "it knows no such conditions"),
    ],
    ids=["none", "put-if-absent only", "not where something is removed", "none, and says so"],
)
def test_a_store_whose_conditions_do_not_hold_is_refused(
    store: Careless, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_body", lambda _, body: body)
    monkeypatch.setattr(storage, "is_local", lambda _: False)
    url = at(store, monkeypatch)
    with pytest.raises(ConfigError) as caught:
        versions.probe(url)
    assert caught.value.problem == "a ROOT cannot stand here: two writers could destroy each other's work"
    assert caught.value.found == found
    assert store.content is None


def test_a_store_that_knows_no_checksums_is_not_taken_for_one_without_conditions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "is_local", lambda _: False)
    url = at(Unknowing("IfNoneMatch", "IfMatch"), monkeypatch)
    with pytest.raises(RootError) as caught, failures.at(url):
        versions.probe(url)
    assert caught.value.problem == "the storage does not know something that S3's client sends"
    assert "AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in str(caught.value.remedy)


def test_a_store_that_has_other_bytes_than_were_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_body", lambda _, body: body)
    monkeypatch.setattr(storage, "is_local", lambda _: False)
    store = Framing("IfNoneMatch", "IfMatch")
    with pytest.raises(ConfigError) as caught:
        versions.probe(at(store, monkeypatch))
    assert caught.value.problem == "this storage has other bytes than those that were written"
    assert caught.value.expected == "b'first'"
    assert "x-amz-checksum-crc32" in str(caught.value.found)
    assert "AWS_REQUEST_CHECKSUM_CALCULATION=when_required" in str(caught.value.remedy)
    assert store.content is None


def test_a_store_that_only_passes_over_the_condition_of_removals_is_none_the_worse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "_body", lambda _, body: body)
    monkeypatch.setattr(storage, "is_local", lambda _: False)
    versions.probe(at(Removing("IfNoneMatch", "IfMatch"), monkeypatch))
