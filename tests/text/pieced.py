"""URLs, and what is nearly one, pieced together."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import strategies as st

PIECES = st.sampled_from(
    [
        "http://",
        "https://",
        "HTTP:",
        "ftp://",
        "//",
        "user:pw@",
        "a.example",
        "A.EXAMPLE",
        "bücher.example",
        "1.2",
        ":80",
        ":443",
        ":8080",
        "/",
        "\\",
        "..",
        ".",
        "%2e",
        "%2F",
        "a b",
        "é",
        "?",
        "&",
        "utm_source=x",
        "gclid=1",
        "fbclid",
        "x=1",
        "#",
        "=",
        "[::1]",
        "static.flickr.com",
        "/5/6_abcdef12_b.jpg",
        "upload.wikimedia.org",
        "/wikipedia/commons/thumb/a/ab/N_(1).jpg/9px-N.jpg",
        "\t",
        "\n",
        "%",
        "@",
        ":",
        "imgur.com",
        "/abcde.jpg",
        "'",
        '"',
        "<",
        "|",
        "^",
    ]
)


URLS = st.lists(PIECES).map("".join) | st.lists(PIECES).map(lambda pieces: "http://" + "".join(pieces))


def column(*values: str | None) -> pa.Array:
    return pa.array(values, type=pa.string())
