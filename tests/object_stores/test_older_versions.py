"""Older versions: what a bucket with versioning keeps is found, is deleted by a takedown, and is told where it cannot be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipelines import takedown
from pmd import config
from pmd.store import commits, older, root, storage
from pmd.suppression import lists
from pmd.takedown import prove, requests
from tests import tiny_root
from tests.object_stores.conftest import Emulated

WORD = "host:one.example"


@pytest.fixture
def versioned(emulated: Emulated) -> str:
    """The URL of a bucket of its own, with versioning."""
    fs: Any = storage.filesystem(emulated.bucket)[0]
    name = "pmd-versioned"
    if not storage.exists(f"{emulated.kind}://{name}"):
        fs.mkdir(name)
    if emulated.kind == "s3":
        fs.call_s3("put_bucket_versioning", Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    else:
        fs.call("PATCH", "b/{}", name, json={"versioning": {"enabled": True}}, json_out=True)
    return f"{emulated.kind}://{name}"


def refusing(monkeypatch: pytest.MonkeyPatch, kind: str, asked: dict[str, Any]) -> None:
    """Have a client answer some calls with what is given, or raise it, or do it in place of the call.

    Calls are named as S3 does, and of Cloud Storage by method and path.
    """
    fs: Any = storage.filesystem(f"{kind}://x/y")[0]
    name = "call_s3" if kind == "s3" else "call"
    before = getattr(fs, name)

    def call(*words: Any, **more: Any) -> Any:
        word = words[0] if kind == "s3" else " ".join(words[:2]) + (" versions" if "versions" in more else "")
        found = asked.get(word)
        if isinstance(found, Exception):
            raise found
        if callable(found):
            return found(before, *words, **more)
        return before(*words, **more) if found is None else found

    monkeypatch.setattr(fs, name, call)


def test_each_version_that_does_not_stand_is_found_read_and_deleted(versioned: str) -> None:
    folder = f"{versioned}/each"
    for content in (b"one", b"two", b"three"):
        storage.put(f"{folder}/a/stands.txt", content)
    storage.put(f"{folder}/removed.txt", b"was here")
    storage.remove(f"{folder}/removed.txt")
    storage.put(f"{versioned}/each-other/x", b"")
    storage.put(f"{versioned}/each-other/x", b"1")
    found = older.found(folder)
    contents = []
    for one in found.versions:
        if not one.is_marker:
            with older.opened(folder, one) as file:
                contents.append((one.name, file.read(), one.bytes))
    assert sorted(contents) == [
        ("a/stands.txt", b"one", 3),
        ("a/stands.txt", b"two", 3),
        ("removed.txt", b"was here", 8),
    ]
    assert found.unlisted is None
    asked: list[str] = []
    assert older.remove(folder, found.versions, lambda: asked.append("the lock")) == []
    assert older.found(folder).versions == ()
    assert (storage.list_files(folder), storage.read_bytes(f"{folder}/a/stands.txt")) == (["a/stands.txt"], b"three")
    assert len(older.found(f"{versioned}/each-other").versions) == 1
    assert {*asked} == {"the lock"}


def test_a_bucket_without_versioning_and_a_folder_keep_none(emulated: Emulated, tmp_path: Path) -> None:
    for folder in (f"{emulated.bucket}/none", str(tmp_path)):
        storage.put(f"{folder}/a", b"one")
        storage.put(f"{folder}/a", b"two")
        assert older.found(folder) == older.Found()
        assert older.remove(folder, (), lambda: None) == []


def built(versioned: str, folder: Path) -> config.Config:
    """Return a ROOT of pairs, ledgers and pictures; its images and views were there, and are gone."""
    chosen = dataclasses.replace(config.load(tiny_root.write_config(folder)), root=f"{versioned}/{folder.name}")
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    tiny_root.fetch(chosen, 0)
    for made in (root.views_folder(chosen.root), root.images_folder(chosen.root)):
        commits.retire(made)
    return chosen


def proved(chosen: config.Config) -> prove.Proof:
    return prove.prove(chosen.root, lists.standing(chosen.root, ()), [requests.read_word(WORD, chosen.sources)])


def test_a_takedown_leaves_no_older_version_of_what_runs_write(versioned: str, tmp_path: Path) -> None:
    chosen = built(versioned, tmp_path)
    theirs = f"{chosen.root}/views/notes.txt"
    storage.put(theirs, b"http://one.example/is/a/host")
    storage.remove(theirs)
    before = {left.file for left in proved(chosen).left}
    assert any(name.startswith("images/") and "older version" in name for name in before)
    requests.add(chosen.root, [requests.read_word(WORD, chosen.sources)], [], keeps_looks=False)
    with root.writer(chosen.root, "test"):
        done = takedown.apply(chosen)
    assert done.versions > 0
    assert done.left == ()
    assert f"older versions removed that the bucket had kept: {done.versions:,}" in takedown.render(done)
    assert done.describe()["versions"] == done.versions
    left = {one.file.partition(" (older version")[0] for one in proved(chosen).left}
    assert left == {"views/notes.txt"}, "what people had put there is theirs, and is told"


def test_what_cannot_be_listed_is_told(versioned: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = f"{versioned}/unlisted"
    storage.put(f"{folder}/a", b"1")
    right = "s3:ListBucketVersions" if emulated.kind == "s3" else "storage.objects.list"
    refused = PermissionError("AccessDenied")
    refusing(monkeypatch, emulated.kind, {"list_object_versions": refused, "GET b/{}/o versions": refused})
    said = f"older versions of files, which the bucket may keep, cannot be listed: the account needs {right}"
    assert older.found(folder).unlisted == said
    proof = prove.prove(folder, lists.Suppression())
    assert [(left.file, left.place, left.what) for left in proof.left] == [(prove.OLDER, said, "unread")]
    refusing(monkeypatch, emulated.kind, {"get_bucket_versioning": {"HostId": ""}, "GET b/{}": {"kind": "bucket"}})
    assert older.found(folder) == older.Found(), "it keeps none, whoever may list them"


def test_what_cannot_be_deleted_is_told_and_its_mark_stays(
    versioned: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"{versioned}/locked"
    storage.put(f"{folder}/a", b"1")
    storage.remove(f"{folder}/a")
    versions = older.found(folder).versions
    locked = {"Key": "locked/a", "VersionId": versions[0].version, "Code": "AccessDenied", "Message": "object lock"}

    def some(call: Any, *words: Any, Delete: dict[str, Any], **more: Any) -> Any:
        objects = [one for one in Delete["Objects"] if one["VersionId"] != versions[0].version]
        refused = [locked] if len(objects) < len(Delete["Objects"]) else []
        answer = call(*words, Delete={**Delete, "Objects": objects}, **more) if objects else {}
        return {**answer, "Errors": [*answer.get("Errors", ()), *refused]}

    answers = {"delete_objects": some, "DELETE b/{}/o/{}": PermissionError("Forbidden: object lock")}
    refusing(monkeypatch, emulated.kind, answers)
    (told,) = older.remove(folder, versions, lambda: None)
    says = {
        "s3": "AccessDenied: object lock; the account needs s3:DeleteObjectVersion, and an object lock must have ended",
        "gs": "Forbidden: object lock; the account needs storage.objects.delete, "
        "and a retention policy or hold must have ended",
    }
    assert told == f"1 older version could not be deleted, the first of a: the bucket says {says[emulated.kind]}"
    monkeypatch.undo()
    assert older.found(folder).versions == versions


def test_where_a_store_takes_no_many_at_once_each_is_deleted(
    versioned: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    if emulated.kind != "s3":
        pytest.skip("versions of Cloud Storage are deleted one by one")
    folder = f"{versioned}/alone"
    for content in (b"one", b"two", b"three"):
        storage.put(f"{folder}/a", content)
    wanting = OSError("Missing required header")
    wanting.__cause__ = RuntimeError("An error occurred (MissingContentMD5) when calling the DeleteObjects operation")
    refusing(monkeypatch, "s3", {"delete_objects": wanting, "delete_object": PermissionError("AccessDenied")})
    (told,) = older.remove(folder, older.found(folder).versions, lambda: None)
    assert told.startswith("2 older versions could not be deleted, the first of a: the bucket says AccessDenied")
    monkeypatch.undo()
    refusing(monkeypatch, "s3", {"delete_objects": wanting})
    assert older.remove(folder, older.found(folder).versions, lambda: None) == []
    assert older.found(folder).versions == ()
    assert storage.read_bytes(f"{folder}/a") == b"three"


def test_what_a_bucket_keeps_for_a_while_is_told(
    versioned: str, emulated: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    if emulated.kind == "s3":
        pytest.skip("S3 has no soft delete")
    folder = f"{versioned}/soft"
    storage.put(f"{folder}/a", b"1")
    storage.remove(f"{folder}/a")
    refusing(monkeypatch, "gs", {"GET b/{}": {"softDeletePolicy": {"retentionDurationSeconds": "604800"}}})
    said = (
        "the bucket keeps what was deleted for 7 days more (soft delete), and its owner can bring it back until then; "
        "a softDeletePolicy of 0 s ends that for what is deleted later"
    )
    assert older.remove(folder, older.found(folder).versions, lambda: None) == [said]
    proof = prove.prove(folder, lists.Suppression())
    assert proof.notes == (said,)
    assert prove.render(proof).endswith(f"nothing is left of what was taken down.\n  note: {said}")
    refusing(monkeypatch, "gs", {"GET b/{}": PermissionError("Forbidden")})
    assert older.held_back(folder) == (
        "whether the bucket keeps what was deleted (soft delete) could not be asked: "
        "the account needs storage.buckets.get"
    )
