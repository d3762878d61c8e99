"""What a process lacks is told as that, and never taken for damage of what it reads."""

from __future__ import annotations

import errno
import io
import mmap
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from pmd import codec
from pmd.codec import Limits
from pmd.errors import PmdError, VerificationError
from pmd.fetch.generations import hashing, mend
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.lane import archives
from pmd.fetch.ledger import stored
from pmd.schema import keys
from pmd.store import sealed, shortage
from tests.store.failing_storage import FailingStorage, error

#: What says something of the process, of its rights or of storage that is away.
LACKING = ("EMFILE", "ENFILE", "ENOMEM", "EACCES", "EPERM", "ETIMEDOUT", "ESTALE", "ENOTCONN", "EDQUOT")
OF_BYTES = ("EIO", "EBADMSG", "EUCLEAN", "ENODATA")


def no_room(patch: pytest.MonkeyPatch) -> None:
    """Let there be no memory that could be asked for."""

    def refused(*_: Any, **__: Any) -> Any:
        raise error("ENOMEM")

    patch.setattr(mmap, "mmap", refused)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def fail_to_decode(patch: pytest.MonkeyPatch, raised: Exception) -> None:
    def load(_: Any) -> None:
        raise raised

    patch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.parametrize("name", LACKING)
def test_what_may_not_be_opened_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"sound")
    assert not shortage.tells_of_bytes(error(name))
    storage = FailingStorage(tmp_path, monkeypatch)
    storage.fail("open", name)
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))):
        sealed.measured(str(path))
    row = {
        "store_file": "a.tar",
        "offset": 0,
        "length": 5,
        "image_id": bytes(16),
        "stored_digest": keys.digest(b"sound"),
    }
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))):
        stored.read(str(tmp_path), row)


@pytest.mark.parametrize("name", OF_BYTES)
def test_what_the_storage_has_lost_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"sound")
    storage = FailingStorage(tmp_path, monkeypatch)
    storage.fail("read", name)
    assert sealed.measured(str(path)) is None
    row = {
        "store_file": "a.tar",
        "offset": 0,
        "length": 5,
        "image_id": bytes(16),
        "stored_digest": keys.digest(b"sound"),
    }

    def lost() -> bytes:
        raise error(name)

    with pytest.raises(VerificationError, match="a stored picture cannot be read"):
        stored.checked(row, lost)


@pytest.mark.parametrize("name", ["EACCES", "EMFILE", "ENOMEM"])
def test_a_repair_removes_no_pictures_that_it_may_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "fetch" / "store" / "shard=00000"
    with StoreTar(str(folder)) as tar:
        offset = tar.add(f"{bytes(16).hex()}.jpg", b"picture")
        file = tar.finish()
    assert file is not None
    row = {"image_id": bytes(16), "offset": offset, "length": 7, "stored_format": "jpeg"}
    generation = mend._Generation.__new__(mend._Generation)
    generation._root, generation._shard, generation._commit = str(tmp_path), 0, None
    storage = FailingStorage(tmp_path, monkeypatch)
    storage.fail("open", name)
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))):
        generation._mended_tar(f"fetch/store/shard=00000/{file.name}", [row], [row])
    assert (folder / file.name).exists()


@pytest.mark.parametrize("raised", [MemoryError(), OSError("out of memory error when reading image file")])
def test_a_picture_that_finds_no_memory_is_not_undecodable(monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    content = png()
    fail_to_decode(monkeypatch, raised)
    assert codec.prepare(content, Limits(), codec.ORIGINAL, hashed=True).inspected.status == "undecodable"
    no_room(monkeypatch)
    for judge in (
        lambda: codec.prepare(content, Limits(), codec.ORIGINAL, hashed=True),
        lambda: codec.hash_of(content, Limits()),
        lambda: codec.resized(content, codec.Form(32)),
    ):
        with pytest.raises(PmdError, match="there is not enough memory"):
            judge()


def test_a_stored_picture_that_finds_no_memory_stays_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    content = png()

    class Pictures:
        def read(self, _: object) -> bytes:
            return content

    order: Any = type("Order", (), {"max_pixels": 10**6})
    row = {"width_px": 64, "height_px": 64}
    assert hashing._hashed(order, row, Pictures()).refusal is None  # type: ignore[arg-type]
    fail_to_decode(monkeypatch, MemoryError())
    no_room(monkeypatch)
    with pytest.raises(PmdError, match="there is not enough memory"):
        hashing._hashed(order, row, Pictures())  # type: ignore[arg-type]


UNDER_A_LIMIT = """
import resource, sys
from pmd import codec
from pmd.codec import Limits
from pmd.errors import PmdError
content = open(sys.argv[1], "rb").read()
codec.hash_of(open(sys.argv[2], "rb").read(), Limits())
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**25, held + 2**25))
try:
    codec.hash_of(content, Limits())
except PmdError as error:
    print(error.problem)
except codec.Refused as refused:
    print(refused.status)
"""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_under_a_limit_of_the_system_too(tmp_path: Path, kind: str) -> None:
    for name, side in (("large", 6000), ("small", 60)):
        Image.new("RGB", (side, side), (200, 30, 30)).save(tmp_path / name, kind)
    ended = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, str(tmp_path / "large"), str(tmp_path / "small")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.strip() == "there is not enough memory"


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["EMFILE", "EACCES", "EIO"])
def test_an_archive_that_cannot_be_read_settles_none_of_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    import shutil

    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(png())
    path = shutil.make_archive(str(tmp_path / "archive"), kind, folder)
    place = f"{path}!/{'' if kind == 'zip' else './'}a.png"
    assert archives.read(place, 10**6).status == "ok"
    storage = FailingStorage(tmp_path, monkeypatch)
    storage.fail("read", name)
    with pytest.raises(OSError, match=os.strerror(getattr(errno, name))):
        archives.read(place, 10**6)


def test_what_a_host_cannot_be_blamed_for() -> None:
    ours = [
        MemoryError(),
        error("EMFILE"),
        error("ENFILE"),
        error("ENOMEM"),
        RuntimeError("can't start new thread"),
        socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
    ]
    assert all(map(shortage.is_ours, ours))
    theirs = [
        error("ECONNREFUSED"),
        RuntimeError("odd"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        TimeoutError(),
    ]
    assert not any(map(shortage.is_ours, theirs))
