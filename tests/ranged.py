"""Storage whose files fsspec fetches in ranges, as it does those of object stores and of web servers; here, of this machine."""

from __future__ import annotations

from typing import Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry
from fsspec.spec import AbstractBufferedFile

PROTOCOL = "ranged"


class Ranged(LocalFileSystem):  # type: ignore[misc]  # fsspec is untyped
    """The files of this machine, under `ranged:///path`."""

    protocol = PROTOCOL

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(path).removeprefix(f"{PROTOCOL}://").rstrip("/")

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return _File(self, path, mode, block_size=64, cache_type="readahead", size=self.size(path))


class _File(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(start)
            return file.read(end - start)


def url(path: object) -> str:
    """Return a file of this machine as one of that storage."""
    return f"{PROTOCOL}://{path}"


def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have fsspec know that storage for the time of a test."""
    monkeypatch.setitem(_registry, PROTOCOL, Ranged)
