"""What a pattern with signs (`*`, `**`, `?`, `[…]`) matches among local files, as fsspec has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from fsspec.implementations.local import LocalFileSystem

from pmd.store.local import LOCAL, unless_gone


class Told(LocalFileSystem):  # type: ignore[misc]  # fsspec is untyped
    """Lists as fsspec does, which leaves out without a word what it cannot list; only what is forbidden is left out here."""

    def walk(self, path: str, maxdepth: int | None = None, **asked: Any) -> Iterator[Any]:
        """Yield each folder, its folders and its files."""
        return cast(Iterator[Any], super().walk(path, maxdepth, on_error=_unless_forbidden, **asked))

    def isdir(self, path: str) -> bool:
        """Return whether a folder is there."""
        return LOCAL.isdir(path)


def _unless_forbidden(error: OSError) -> None:
    if not isinstance(error, PermissionError):
        unless_gone(error)
