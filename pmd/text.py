"""Texts, a column at a time (skeleton)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa


def normalise(texts: pa.Array) -> pa.Array:
    raise NotImplementedError


def normalise_one(text: str) -> str:
    raise NotImplementedError


def word_count(texts: pa.Array) -> pa.Int32Array:
    raise NotImplementedError


def unquote_plus(texts: pa.Array) -> pa.Array:
    raise NotImplementedError


def strip_html(texts: pa.Array) -> pa.Array:
    raise NotImplementedError


def split_sentences(narratives: Sequence[str]) -> list[list[str]]:
    raise NotImplementedError


def drop_non_ascii(texts: pa.Array) -> pa.Array:
    raise NotImplementedError


def attribution_english(text: str) -> str | None:
    raise NotImplementedError
