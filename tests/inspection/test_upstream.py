"""Rejected rows as they stand upstream: their lines are counted, and read again, whatever the reader noted of them."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from pathlib import Path

import pytest

from pmd.formats import lines
from pmd.inspection import upstream

LINES = [f"row {number}\tof many".encode() for number in range(1, 400)]
#: Places of these tests are absolute.
NO_ROOT = "/nowhere"
CONTENT = b"".join(line + b"\n" for line in LINES)


def packed(folder: Path, kind: str) -> tuple[str, str | None]:
    """Write the lines; return the path, and the member of an archive."""
    path = folder / f"rows.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inside/rows.tsv", CONTENT)
        return str(path), "inside/rows.tsv"
    path.write_bytes({"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress}[kind](CONTENT))
    return str(path), None


@pytest.mark.parametrize("kind", ["plain", "gz", "bz2", "zip"])
def test_a_line_is_counted_and_read_again(tmp_path: Path, kind: str) -> None:
    path, member = packed(tmp_path, kind)
    (batch,) = lines.read_lines(path, member=member)
    wanted = {batch.place(number - 1): number for number in (1, 7, 399)}
    assert not any(":line" in place for place in wanted)
    found = upstream.read(wanted, NO_ROOT)
    name = path if member is None else f"{path}!/{member}"
    assert {wanted[where]: row for where, row in found.items()} == {
        number: upstream.Row(f"{name}:line {number}", f"row {number}\tof many") for number in (1, 7, 399)
    }


def test_a_line_that_ends_in_the_next_block_of_bzip2_is_whole(tmp_path: Path) -> None:
    rows = [b"%07d " % number + b"x" * (number % 89) for number in range(30_000)]
    path = tmp_path / "rows.bz2"
    path.write_bytes(bz2.compress(b"".join(row + b"\n" for row in rows), 1))
    batches = list(lines.read_lines(str(path)))
    places = [batch.place(at) for batch in batches for at in range(len(batch))]
    assert len({place.partition(", byte")[0] for place in places}) > 3
    last = [at for at in range(len(places) - 1) if places[at].split(",")[0] != places[at + 1].split(",")[0]]
    found = upstream.read((places[at] for at in last), NO_ROOT)
    for at in last:
        assert found[places[at]] == upstream.Row(f"{path}:line {at + 1:,}", rows[at].decode())


def test_far_into_a_file_lines_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for half a hundred gigabytes to be read for one row's number."""
    monkeypatch.setattr(upstream, "MOST_BYTES", 100)
    monkeypatch.setattr(upstream, "MOST_DECOMPRESSED_BYTES", 100)
    monkeypatch.setattr(upstream, "MOST_BZIP2_BYTES", 2)
    for kind, place, says in (
        ("plain", ": {byte:,} bytes from its start", "row 300\tof many"),
        ("bz2", ": in the bzip2 block from byte 4 on", "row 300\tof many"),
        ("gz", ":decompressed byte {byte}", None),
    ):
        path, _ = packed(tmp_path, kind)
        (batch,) = lines.read_lines(path)
        where = batch.place(299)
        byte = sum(len(line) + 1 for line in LINES[:299])
        assert upstream.read([where], NO_ROOT)[where] == upstream.Row(path + place.format(byte=byte), says)


def test_a_value_of_a_document_is_shown_as_json(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        json.dumps(
            {"annotations": [{"id": 1}, {"id": 2, "caption": "caf\u00e9"}], "images": [{"s": [3, {"raw": "x"}]}]}
        )
    )
    wanted = [f"{path}:annotations[1]", f"{path}:images[0].s[1]"]
    found = upstream.read(wanted, NO_ROOT)
    assert [found[where].says for where in wanted] == ['{"id":2,"caption":"café"}', '{"raw":"x"}']
    assert [found[where].place for where in wanted] == wanted


def test_parallel_lists_are_shown_together(tmp_path: Path) -> None:
    path = tmp_path / "sbu.json"
    path.write_text(json.dumps({"image_urls": ["a", "b"], "user_ids": ["u", "v"], "captions": ["one", "two"]}))
    where = f"{path}:image_urls[1]"
    assert upstream.read([where], NO_ROOT)[where].says == '{"image_urls":"b","captions":"two"}'


def test_a_row_of_quoted_text_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "wit.tsv"
    path.write_text('head\tof it\n"two\nlines"\tx\nlast\ty\n')
    where = [f"{path}:line 2", f"{path}:line 4"]
    assert [upstream.read(where, NO_ROOT)[one].says for one in where] == ['"two\nlines"\tx', "last\ty"]


def test_a_file_that_is_gone_or_another_leaves_the_place_as_it_was_noted(tmp_path: Path) -> None:
    gone = [
        f"{tmp_path}/gone.tsv:byte 12",
        f"{tmp_path}/gone.bz2:bz2 block at bit 80, byte 7 of it",
        "nothing of the kind",
    ]
    assert upstream.read([*gone, None], NO_ROOT) == {
        gone[0]: upstream.Row(gone[0], unread=f"no file {tmp_path}/gone.tsv"),
        gone[1]: upstream.Row(
            f"{tmp_path}/gone.bz2: in the bzip2 block from byte 10 on", unread=f"no file {tmp_path}/gone.bz2"
        ),
        gone[2]: upstream.Row(gone[2]),
    }
    path, _ = packed(tmp_path, "plain")
    inside, beyond, json_place = f"{path}:byte 5", f"{path}:byte 999999", f"{path}:annotations[3]"
    assert upstream.read([inside, beyond, json_place], NO_ROOT) == {
        where: upstream.Row(where) for where in (inside, beyond, json_place)
    }


def test_a_long_row_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"x" * 10_000 + b"\n")
    says = upstream.read([f"{path}:byte 0"], NO_ROOT)[f"{path}:byte 0"].says
    assert says is not None
    assert (len(says), says[-2:]) == (upstream.SHOWN, "x…")
