"""JPEG out."""

from __future__ import annotations

import os

from pmd import codec
from tests.codec.pictures import encoded, gradient


def test_what_is_encoded_has_nothing_of_what_was_encoded_before() -> None:
    """A thread encodes into one file in memory; a forked process, which would share its position, into another."""
    large, small = gradient(900, 600), gradient(40, 30)
    expected = [encoded(large), encoded(small)]
    assert codec.encode_jpeg(small) == expected[1]
    child = os.fork()
    same = all([codec.encode_jpeg(large), codec.encode_jpeg(small)] == expected for _ in range(50))
    if not child:
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert same
