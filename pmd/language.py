"""Language of texts (skeleton)."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa


def english(texts: pa.Array, *, detector: Literal["default", "fasttext", "cld2"] = "default") -> pa.RecordBatch:
    raise NotImplementedError


def languages(texts: pa.Array) -> pa.Array:
    raise NotImplementedError
