"""Tars of the store, written anew from what the ledger still knows."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from pmd.fetch.generations import mend
from pmd.fetch.generations.tar import StoreTar

CONTENTS = {bytes([number]) * 16: bytes([number]) * length for number, length in ((1, 700), (2, 512), (3, 5))}


def write(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Write a tar of three pictures; return it, and what a ledger knows of its pictures."""
    with StoreTar(str(folder)) as tar:
        rows = [
            {
                "image_id": key,
                "offset": tar.add(f"{key.hex()}.jpg", content),
                "length": len(content),
                "stored_format": "jpeg",
            }
            for key, content in CONTENTS.items()
        ]
        file = tar.finish()
    assert file is not None
    return folder / file.name, rows


@pytest.mark.parametrize("at", [0, 100, 156, 130, 512 + 701, -1])
def test_headers_and_padding_follow_from_the_ledger(tmp_path: Path, at: int) -> None:
    path, rows = write(tmp_path)
    sound = path.read_bytes()
    damaged = bytearray(sound)
    damaged[at] ^= 1
    path.write_bytes(damaged)
    written = mend._write_tar(str(path), rows)
    assert path.read_bytes() == sound
    assert (written.bytes, written.rows) == (len(sound), 3)
    assert written.sha256.startswith(path.stem)


def test_pictures_stay_at_their_places_where_others_are_lost(tmp_path: Path) -> None:
    path, rows = write(tmp_path)
    path.write_bytes(path.read_bytes()[: rows[2]["offset"] + 3])  # the third is cut short
    written = mend._write_tar(str(path), [rows[0], rows[2]])  # nothing is known of the second
    with tarfile.open(path) as tar:
        members = {member.name.partition(".")[0]: (member.offset_data, member.size) for member in tar}
    assert members == {
        rows[0]["image_id"].hex(): (rows[0]["offset"], 700),
        mend.GAP: (rows[1]["offset"], 512),
        rows[2]["image_id"].hex(): (rows[2]["offset"], 5),
    }
    assert written.rows == 3
    content = path.read_bytes()
    assert content[rows[0]["offset"] :].startswith(CONTENTS[rows[0]["image_id"]])
    assert content[rows[2]["offset"] : rows[2]["offset"] + 5] == b"\x03\x03\x03\0\0"
