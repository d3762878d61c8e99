"""A writer that a signal ends while a request of his is on its way: nothing of it lands that he has cleared away after."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from pmd.store import commits, lock, root, storage, versions
from pmd.store.commits import Books, Commit
from tests.object_stores.conftest import Emulated


def put(folder: str, content: bytes, epoch: int) -> Commit:
    """Write a file; return the commit that lists it."""
    file = commits.put_content(folder, "part-00000-of-00001", ".parquet", content, 1)
    return Commit("images", (file,), {"coco": Books(1)}, content.decode(), {commits.EPOCH: epoch})


def test_a_commit_that_is_on_its_way_when_its_run_clears_away_does_not_land(
    store: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root.images_folder(f"{store.bucket}/on-its-way")
    commits.claim(folder, 1)
    commits.write(folder, put(folder, b"old", 1))
    commits.claim(folder, 2)
    new = put(folder, b"new", 2)
    under_way: list[Any] = []

    def interrupted(*asked: Any, **more: Any) -> bool:
        under_way.append((asked, more))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
        patched.setattr(versions, "swap", interrupted)
        commits.write(folder, new)
    commits.unclaim(folder, 2)
    commits.sweep(folder)
    (asked, more), *_ = under_way
    assert not versions.swap(*asked, **more)  # the store takes it up now
    standing = commits.require(folder, "")
    assert standing.hash == "old"
    assert [storage.exists(f"{folder}/{file.name}") for file in standing.files] == [True]
    commits.claim(folder, 3)
    commits.write(folder, put(folder, b"newer", 3))
    assert commits.require(folder, "").hash == "newer"


def test_parts_that_a_run_has_left_that_was_cut_short_go_with_the_next(store: Emulated) -> None:
    if store.kind != "s3":
        pytest.skip("Cloud Storage keeps no parts: an upload that is not ended expires")
    where = f"{store.bucket}/cut-short"
    fs: Any = storage.filesystem(where)[0]
    with contextlib.suppress(KeyboardInterrupt), root.writer(where, "test"):
        storage.put(f"{where}/fetch/register", b"")
        fs.call_s3(
            "create_multipart_upload",
            Bucket="pmd-breaking",
            Key="cut-short/fetch/store/shard=00001/0123456789abcdef.tar",
        )
        raise KeyboardInterrupt
    state = lock.read(where)
    assert (state.ended, state.cut_short) == (True, True)
    assert len(storage.unended_uploads(where)) == 1
    with root.writer(where, "test"):
        assert storage.unended_uploads(where) == []
    assert not lock.read(where).cut_short
