"""Where redirects lead that were not followed: a Location may be written as seen from the address that was asked."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from pmd.books import redirects

IMAGE = bytes(16)


@pytest.mark.parametrize(
    ("said", "addresses"),
    [
        ("https://b.example/x.jpg", ["https://b.example/x.jpg"]),
        ("HTTPS://B.example/x.jpg", ["https://b.example/x.jpg"]),
        ("//b.example/x.jpg", ["http://b.example/x.jpg"]),
        ("/x.jpg?y=1", ["http://a.example/x.jpg?y=1"]),
        ("x.jpg", ["http://a.example/to/x.jpg"]),
        ("ftp://b.example/x.jpg", []),
        ("http://", []),
    ],
)
def test_a_location_is_read_as_the_address(said: str, addresses: list[str]) -> None:
    attempt = {
        "image_id": IMAGE,
        "location": "http://short.example/1",
        "final_url": "http://a.example/to/here",
        "headers": json.dumps({"location": said}, separators=(",", ":")),
    }
    told = redirects._led(pa.RecordBatch.from_pylist([attempt]))
    assert told.schema == redirects.LED
    assert told.to_pylist() == [{"image_id": IMAGE, "address": address} for address in addresses]
