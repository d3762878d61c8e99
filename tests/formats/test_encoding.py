"""Byte order marks are taken off, and what is not UTF-8 as a whole is refused by its name."""

from __future__ import annotations

import pytest

from pmd.errors import InputError
from pmd.formats.encoding import mark_bytes, without_mark


@pytest.mark.parametrize(
    ("head", "count"),
    [
        (b"", 0),
        (b"\xef\xbb", 0),
        (b"\xef\xbb\xbf", 3),
        (b"\xef\xbb\xbfhttp://a/b", 3),
        (b"http://a/b \xef\xbb\xbf", 0),
        ("\ufeff\ufeffa".encode(), 3),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", 0),
        (b"a\x00b\x00c\x00", 0),  # too little to say
        (b"a\x00b\x00c\x00d\x00e f", 0),
        (b"\xff\xd8\xff", 0),
    ],
)
def test_a_mark_is_three_bytes_at_the_start(head: bytes, count: int) -> None:
    assert mark_bytes(head, "x") == count
    assert without_mark(head, "x") == head[count:]


@pytest.mark.parametrize("text", ["url\tcaption\n", '{"images": []}', "http://a.example/1.jpg\tEine Katze\n"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_other_encodings_are_refused(text: str, encoding: str, name: str) -> None:
    with pytest.raises(InputError) as caught:
        mark_bytes(text.encode(encoding)[:32], "data/cc3m.tsv")
    error = caught.value
    assert (error.problem, error.where) == (f"the text is in {name}", "data/cc3m.tsv")
    assert error.expected == "UTF-8, with a byte order mark or without"
    assert error.remedy == f"convert it: iconv -f {name} -t UTF-8 FILE > NEW"
    with pytest.raises(InputError):
        mark_bytes(b"\xfe\xff" + text.encode("utf-16-be"), "x")
