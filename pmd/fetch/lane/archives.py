"""Images that lie in local archives or folders: read in place, no politeness needed."""

from __future__ import annotations

import dataclasses
import functools

from pmd.errors import InputError
from pmd.formats import archives as formats
from pmd.schema.statuses import OK
from pmd.store import storage


@dataclasses.dataclass(frozen=True)
class Member:
    """What one member gave: its content, or a status and why."""

    status: str
    content: bytes | None = None
    error: str | None = None


def read(location: str, max_bytes: int) -> Member:
    """Read the image at "PATH!/MEMBER" (zip or tar) or "FOLDER!/NAME".

    A member that is missing is `dead`, a damaged one `undecodable`, one over `max_bytes` `too_large`.

    Args:
        location: From the images table; PATH as it leads there from the working folder (`places.placed`).
        max_bytes: As for downloads.

    Raises:
        InputError: There is no such archive or folder: somebody moved it since the images table was made.
    """
    path, name = formats.split_member(location)
    if name is None or ".." in name.split("/") or name.startswith("/"):
        return Member("blocked_address", error="not a member of an archive or folder")
    if _is_folder(path):
        return _file(storage.join(path, name), max_bytes)
    storage.size(path)  # raises where it is gone
    try:
        with formats.open_member(path, name) as file:
            return _bounded(file.read(max_bytes + 1), max_bytes)
    except InputError as error:
        status = "dead" if error.problem == "no such member" else "undecodable"
        return Member(status, error=error.problem)


def _file(path: str, max_bytes: int) -> Member:
    if not storage.exists(path):
        return Member("dead", error="no such file")
    with storage.open_raw(path) as file:
        return _bounded(file.read(max_bytes + 1), max_bytes)


def _bounded(content: bytes, max_bytes: int) -> Member:
    if len(content) > max_bytes:
        return Member("too_large", error=f"over {max_bytes} bytes")
    return Member(OK, content)


@functools.lru_cache(maxsize=256)
def _is_folder(path: str) -> bool:
    fs, inner = storage.filesystem(path)
    return bool(fs.isdir(inner))
