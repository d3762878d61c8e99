"""Whatever a file is packed in, all that it holds is looked at."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd.schema import keys
from pmd.suppression import lists
from pmd.suppression.lists import Suppression
from pmd.takedown import prove, requests

PICTURE: Final = b"\xff\xd8\xff" + bytes(600)
SHA256: Final = hashlib.sha256(PICTURE).digest()
IMAGE: Final = keys.image_id("flickr:4242")


def table(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def tar(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as file:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr(name, content)
    return sink.getvalue()


def old(content: bytes) -> bytes:
    """Return a tar as Unix V7 wrote it: without the magic of POSIX."""
    head = bytearray(content[:512])
    head[257:265] = bytes(8)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content[512:]


def link(target: str) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as file:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = tarfile.SYMTYPE, target
        file.addfile(member)
    return sink.getvalue()


def encrypted() -> bytes:
    """Return a zip whose member says that it is encrypted: the flag's first bit, in both of its headers."""
    content = bytearray(zipped("a.json", USER))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def deep(content: bytes, times: int) -> bytes:
    for _ in range(times):
        content = gzip.compress(content)
    return content


def arrow(opened: Callable[..., Any], **columns: object) -> bytes:
    sink, content = io.BytesIO(), pa.table(columns)
    with opened(sink, content.schema) as file:
        file.write_table(content)
    return sink.getvalue()


def database(column: str, value: str | bytes) -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute(f"CREATE TABLE images (number INTEGER, {column})")
        connection.execute("INSERT INTO images VALUES (1, ?)", [value])
        connection.commit()
        return connection.serialize()


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


USER: Final = json.dumps({"rows": [{"uid": "1%40N01"}]}).encode()
PLACES: Final[dict[str, tuple[bytes, str]]] = {
    "id in hex": (f"seen {IMAGE.hex().upper()}.".encode(), "image"),
    "identity": (b"it is flickr:4242, they say", "image"),
    "page": (b"see <https://www.flickr.com/photos/somebody/4242/in/pool>", "image"),
    "address": (b"http://farm1.staticflickr.com/2/4242_abcdef_b.jpg", "image"),
    "host below": (b'{"origin": "http://img.three.example:80"}', "host"),
    "user in JSON": (USER, "user"),
    "user in a line of JSON": (b'{"a": 1}\n{"author": "SomeOne"}\nno json\n', "user"),
    "user's page": (b"<a href='https://www.flickr.com/people/1@N01/'>", "user"),
    "picture": (PICTURE, "sha256"),
    "picture in a page": (
        b'<img src="data:image/jpeg;base64,' + base64.b64encode(PICTURE) + b'">',
        "sha256",
    ),
    "key column": (table(k=pa.array([IMAGE], pa.binary(16))), "image"),
    "digest in a list in a struct": (table(s=[{"d": [SHA256]}]), "sha256"),
    "dictionary": (table(s=pa.array(["flickr:4242"]).dictionary_encode()), "image"),
    "picture in a struct": (table(image=[{"bytes": PICTURE, "path": "x.jpg"}]), "sha256"),
    "user in a column of JSON": (table(meta=['{"user_id": "1@N01"}']), "user"),
    "row": (table(source=["coco"], source_id=["9#2"]), "row"),
    "name of a member": (tar(f"{IMAGE.hex()}.jpg", b"x"), "image"),
    "member": (tar("a.json", USER), "user"),
    "a table in a tar in a zip": (
        zipped("in.tar", tar("t.parquet", table(k=pa.array([IMAGE], pa.binary(16))))),
        "image",
    ),
    "a workbook": (zipped("xl/sharedStrings.xml", f"<sst><si><t>{IMAGE.hex()}</t></si></sst>".encode()), "image"),
    "gzip": (gzip.compress(USER), "user"),
    "bzip2": (bz2.compress(USER), "user"),
    "xz": (lzma.compress(USER), "user"),
    "zstd": (zstd(USER), "user"),
    "a table after a line": (b'{"head": 1}\n' + table(meta=['{"uid": "1@N01"}']), "user"),
    "what cannot be unpacked": (b"\x1f\x8b" + bytes(40), "unread"),
    "damaged within": (gzip.compress(USER)[:-20] + bytes(20), "unread"),
    "an archive of a kind that is not known": (b"7z\xbc\xaf\x27\x1c" + bytes(40), "unread"),
    "an encrypted member": (encrypted(), "unread"),
    "too deep": (deep(USER, 12), "unread"),
    "deep": (deep(USER, 7), "user"),
    "lz4": (bytes(pa.Codec("lz4").compress(USER, asbytes=True)), "user"),
    "an Arrow file": (arrow(pa.ipc.new_file, k=pa.array([IMAGE], pa.binary(16))), "image"),
    "an Arrow stream": (
        arrow(pa.ipc.new_stream, a=["http://x.example/1.jpg"], k=["http://img.three.example/1"]),
        "host",
    ),
    "a database": (database("image_url", "http://img.three.example/1.jpg"), "host"),
    "a picture in a database": (database("content", PICTURE), "sha256"),
    "a user in a database": (database("uid", "1@N01"), "user"),
    "a user's column": (table(user_id=["1@N01"]), "user"),
    "a user in lines with a head": (b"number\tauthor\n1\tSomeOne\n", "user"),
    "a row in lines with a head": (b'"source","source_id"\n"coco","9"\n', "row"),
    "a row in lines that end in carriage returns": (b"source,source_id\rcoco,9\r", "row"),
    "lines with a head and a long value": (b"note,author\n" + b"x" * 140_000 + b",SomeOne\n", "user"),
    "one long line with commas": (b'found("' + b"x" * 140_000 + b'", "http://img.three.example/1.jpg")', "host"),
    "UTF-16": ("it is flickr:4242".encode("utf-16"), "image"),
    "an old tar": (old(tar("a.bin", PICTURE)), "sha256"),
    "two tars in one file": (tar("a", b"x") + tar("b.json", USER), "user"),
    "a link in a tar": (link(f"../{IMAGE.hex()}.jpg"), "image"),
    "escaped in a page": (b'<a title="?a=1&amp;u=http%3A%2F%2Fimg.three.example%2F1.jpg">', "host"),
    "escaped in a script": (b'call("http:\\/\\/img.three.example\\/1.jpg")', "host"),
    "a name of a column": (table(**{IMAGE.hex(): [1]}), "image"),
}


@pytest.fixture(scope="module")
def standing() -> Suppression:
    values: dict[str, list[str | bytes]] = {
        "image": [IMAGE],
        "user": ["flickr/1@N01", "reddit/someone"],
        "host": ["three.example"],
        "sha256": [SHA256],
        "row": ["coco/9"],
    }
    return Suppression((lists.new().with_values(values),))


@pytest.mark.parametrize("name", PLACES)
def test_it_is_found(name: str, tmp_path: Path, standing: Suppression) -> None:
    content, what = PLACES[name]
    (tmp_path / "a file").write_bytes(content)
    found = prove.prove(str(tmp_path), standing).left
    assert {left.what for left in found} >= {what}
    assert {left.file for left in found} == {"a file"}


def test_others_are_not(tmp_path: Path, standing: Suppression) -> None:
    other: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress}
    said = {"uid": "2@N02", "url": "http://notthree.example/4243.jpg", "id": "ab" * 16, "is": "flickr:42421"}
    for name, packed in other.items():
        (tmp_path / name).write_bytes(packed(json.dumps(said).encode()))
    (tmp_path / "t.parquet").write_bytes(
        table(k=pa.array([b"\5" * 16], pa.binary(16)), source=["coco"], source_id=["90"])
    )
    assert prove.prove(str(tmp_path), standing).left == ()


def test_the_name_of_a_file_counts_and_words_are_searched_for(tmp_path: Path, standing: Suppression) -> None:
    (tmp_path / f"{IMAGE.hex()}.bin").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("asked by 3@N03, not by 13@N03", encoding="utf-8")
    words = [requests.read_word("user:yfcc100m/3@N03")]
    found = {(left.file, left.place, left.what) for left in prove.prove(str(tmp_path), standing, words).left}
    assert found == {(f"{IMAGE.hex()}.bin", "its name", "image"), ("notes.txt", "", "words")}


def test_what_holds_nothing_is_remembered_in_few_bytes(standing: Suppression) -> None:
    """Of texts and pictures 262,144 are remembered each: an empty set of its own for each came to 57 MB twice."""
    look = prove._Look(standing, ())
    pieces = [*(f"text {number}" for number in range(100)), *(bytes([number]) * 600 for number in range(100))]
    assert not any(look.at(prove.decoded.Piece("", piece)) for piece in pieces)
    found = [*map(look._short, pieces[:100]), *look._pictures.values()]
    assert len(found) == 200
    assert len({*map(id, found)}) == 1


@pytest.mark.parametrize(
    ("said", "text", "is_found"),
    [
        ("host:blog.example", "http://garden-blog.example/1.jpg", False),
        ("host:blog.example", "http://my_blog.example/1.jpg", False),
        ("host:blog.example", "http://blog.example.org/1.jpg", False),
        ("host:blog.example", "http://blog.example-two.org/1.jpg", False),
        ("host:blog.example", "seen on blog.example. And then", True),
        ("host:blog.example", "ftp://Img.Blog.Example:80/1.jpg", True),
        ("host:blog.example", "- blog.example -", True),
        ("host:blog.example", "source-of=blog.example", True),
        ("http://blog.example/1.jpg", "my-blog.example/1.jpg", False),
        ("http://blog.example/1.jpg", "(blog.example/1.jpg)", True),
    ],
)
def test_a_host_is_no_part_of_another(tmp_path: Path, said: str, text: str, is_found: bool) -> None:
    (tmp_path / "notes.txt").write_text(text, encoding="utf-8")
    left = prove.prove(str(tmp_path), Suppression(), [requests.read_word(said)]).left
    assert ("words" in {one.what for one in left}) == is_found
