"""Tab-separated text: unquoted by columns, quoted by rows (skeleton; being filled in)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class SplitColumns:
    """Lines cut into fields.

    Attributes:
        fields: Number of fields of each line (int64, one a line).
        valid_count: Mask: the number of fields is one of those asked for.
        invalid_utf8: Mask: the line is not UTF-8.
        good: Indices of the lines that have the right count and are UTF-8.
        bad: Indices of the others.
    """

    fields: npt.NDArray[np.int64]
    valid_count: npt.NDArray[np.bool_]
    invalid_utf8: npt.NDArray[np.bool_]
    good: npt.NDArray[np.int64]
    bad: npt.NDArray[np.int64]

    def column(self, index: int) -> pa.LargeStringArray:
        """Return field `index` of each good line (computed when asked for; null where a line has fewer fields)."""
        raise NotImplementedError

    @property
    def columns(self) -> list[pa.LargeStringArray]:
        """Return every column of the good lines."""
        raise NotImplementedError


def split_columns(lines: pa.LargeBinaryArray, separator: bytes = b"\t", *, columns: Sequence[int]) -> SplitColumns:
    """Cut lines at each separator, without quoting; `columns` are the numbers of fields that a good line may have."""
    raise NotImplementedError


@dataclasses.dataclass(frozen=True, slots=True)
class CsvRow:
    """One row of quoted text: physical line (from 1) and decompressed byte where it starts, fields, its bytes, error."""

    line: int
    byte: int
    fields: list[str]
    raw: bytes
    error: str | None


def read_csv(path: str, *, member: str | None = None, delimiter: str = "\t") -> Iterator[CsvRow]:
    """Yield every row, the header included; a row that cannot be read has no fields and an `error`."""
    raise NotImplementedError
