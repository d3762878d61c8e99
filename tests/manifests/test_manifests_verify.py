"""Files on disk against what is published of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.manifests import Manifest, ManifestFile, fetch, verify
from pmd.manifests.integrity import check

MakeFile = Callable[..., ManifestFile]
MakeManifest = Callable[..., Manifest]


@pytest.fixture
def put(data: Path) -> Callable[[bytes], Path]:
    """Put bytes where a.zip belongs."""

    def write(content: bytes) -> Path:
        path = data / "red_caps" / "a.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


Put = Callable[[bytes], Path]


def test_a_right_file(file: MakeFile, manifest: MakeManifest, data: Path, put: Put, body: bytes) -> None:
    put(body)
    (outcome,) = verify([manifest(file("/a"))], data)
    assert (outcome.status, outcome.detail, outcome.remedy) == ("present", "has the published checksum", "")
    assert [path.name for path in (data / "red_caps").iterdir()] == ["a.zip"]


def test_an_absent_file(file: MakeFile, manifest: MakeManifest, data: Path) -> None:
    (outcome,) = verify([manifest(file("/a"))], data)
    assert (outcome.status, outcome.remedy) == ("absent", "run: pmd manifests fetch red_caps (524 kB)")


def test_a_wrong_size(file: MakeFile, manifest: MakeManifest, data: Path, put: Put, body: bytes) -> None:
    put(body[:-1])
    (outcome,) = verify([manifest(file("/a"))], data)
    assert (outcome.status, outcome.detail) == ("wrong_size", "expected 524288 bytes, found 524287")
    assert outcome.remedy.endswith("it replaces the file once the new one is right")


def test_a_wrong_checksum(file: MakeFile, manifest: MakeManifest, data: Path, put: Put, body: bytes) -> None:
    put(bytes(len(body)))
    (outcome,) = verify([manifest(file("/a"))], data)
    assert outcome.status == "wrong_checksum"
    assert outcome.detail.startswith("expected the published checksum, ")


def test_damage_to_a_file_without_a_published_checksum_is_found_by_the_note(
    web: Any, resource: Any, file: MakeFile, manifest: MakeManifest, data: Path, body: bytes
) -> None:
    web.resources["/a"] = resource(body)
    source = manifest(file("/a", checked=False))
    (fetched,) = fetch([source], data)
    (right,) = verify([source], data)
    assert right.detail == "has the checksum noted at download (none is published)"
    Path(fetched.path).write_bytes(body[:-1])
    (wrong,) = verify([source], data)
    assert wrong.status == "wrong_checksum"


def test_a_file_of_which_nothing_is_published_is_taken_as_it_is(
    file: MakeFile, manifest: MakeManifest, data: Path, put: Put
) -> None:
    put(b"PK and anything")
    (outcome,) = verify([manifest(file("/a", checked=False))], data)
    assert (outcome.status, outcome.detail) == ("present", "no checksum is published")


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", b"", "the file is empty"),
        (
            "a.jsonl",
            b"\xef\xbb\xbf\n<!DOCTYPE html><title>Log in</title>",
            "a web page, or a server's error, was found in place of the file",
        ),
        ("a.tsv", b"<?xml version='1.0'?><Error>", "a web page, or a server's error, was found in place of the file"),
        ("a.tsv", b"<HTML lang=en>", "a web page, or a server's error, was found in place of the file"),
        ("a.zip", b"\x1f\x8b\x08", "does not begin as one in .zip does"),
        ("a.tar.gz", b"PK\x03\x04", "does not begin as one in .gz does"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "does not begin as one in .jsonl does"),
        ("a.jsonl", b'{"caption": "a"}\n{"capt', "ends within a row, as one that was cut short"),
        ("a.jsonl", b'{"caption": "<html>"}\n', ""),
        ("a.jsonl", b'{"caption": "a"}', ""),
        ("a.tsv", b"<b>a caption\thttp://h.example/1.jpg\n", ""),
    ],
)
def test_what_is_plainly_another_file_is_told_without_a_checksum(
    name: str, content: bytes, says: str, quick: bool, file: MakeFile, data: Path
) -> None:
    path = data / "red_caps" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    outcome = check(file("/a", name=name, checked=False), path, quick=quick)
    assert outcome.status == ("foreign" if says else "present")
    assert says in outcome.detail


def test_optional_files_are_checked_only_where_they_are(
    file: MakeFile, manifest: MakeManifest, data: Path, put: Put
) -> None:
    source = manifest(file("/b", name="b.zip"), file("/a", optional=True))
    assert [outcome.file.name for outcome in verify([source], data)] == ["b.zip"]
    put(b"wrong")
    assert [(one.file.name, one.status) for one in verify([source], data)] == [
        ("b.zip", "absent"),
        ("a.zip", "wrong_size"),
    ]
    assert [one.remedy for one in verify([source], data, names=["a.zip"])] == [
        "run: pmd manifests fetch red_caps --file a.zip (524 kB); it replaces the file once the new one is right"
    ]


def test_a_gated_file_that_is_absent(file: MakeFile, manifest: MakeManifest, data: Path) -> None:
    closed = file(gated={"how": "fill in the form", "where_to_ask": "http://example.org/form"}, checked=False)
    (outcome,) = verify([manifest(closed)], data)
    assert (outcome.status, outcome.detail) == ("gated", "cannot simply be downloaded")
