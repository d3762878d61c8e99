"""Stored pictures are checked when they are read back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import VerificationError
from pmd.fetch.ledger import stored
from pmd.schema import keys

CONTENT = bytes(range(200))


def row(**columns: Any) -> dict[str, Any]:
    known = {
        "image_id": bytes(16),
        "store_file": "fetch/store/shard=00000/a.tar",
        "offset": 512,
        "length": len(CONTENT),
        "stored_form": "resized",
        "stored_format": "jpeg",
        "sha256": hashlib.sha256(b"what the host gave").digest(),
        "stored_digest": keys.digest(CONTENT),
    }
    return known | columns


def write(root: Path, content: bytes) -> Path:
    path = root / "fetch/store/shard=00000/a.tar"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(512) + content + bytes(312))
    return path


ORIGINAL = {"stored_form": "original", "sha256": hashlib.sha256(CONTENT).digest()}


@pytest.mark.parametrize("columns", [{}, ORIGINAL, {"stored_digest": None, **ORIGINAL}])
def test_no_flipped_byte_of_a_picture_is_used(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = write(tmp_path, CONTENT)
    assert stored.read(str(tmp_path), row(**columns)) == CONTENT
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        if 512 <= at < 712:
            with pytest.raises(VerificationError):
                stored.read(str(tmp_path), row(**columns))
        else:  # a header or padding: the picture is sound
            assert stored.read(str(tmp_path), row(**columns)) == CONTENT


def test_of_a_scaled_picture_of_an_earlier_version_the_length_is_known(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT)
    assert stored.read(str(tmp_path), row(stored_digest=None)) == CONTENT
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(VerificationError):
        stored.read(str(tmp_path), row(stored_digest=None))


def test_the_error_says_which_image_and_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, CONTENT[:-1] + b"?")
    place = f"fetch/store/shard=00000/a.tar: image {'00' * 16}, 200 bytes from byte 512"
    with pytest.raises(VerificationError) as caught:
        stored.read(str(tmp_path), row())
    assert str(caught.value) == (
        f"{place}: a stored picture is damaged\n"
        f"  expected: digest {keys.digest(CONTENT).hex()}\n"
        f"  found: digest {keys.digest(CONTENT[:-1] + b'?').hex()}\n"
        "  remedy: run: pmd repair ROOT"
    )
    path.unlink()
    with pytest.raises(VerificationError) as caught:
        stored.read(str(tmp_path), row())
    assert str(caught.value) == (
        f"{place}: the store's file is gone\n"
        "  expected: 200 bytes\n"
        "  found: no such file\n"
        "  remedy: run: pmd repair ROOT"
    )
