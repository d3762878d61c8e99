"""Whose certificates are believed: the system's authorities, and those of `fetch.ca_file`, in one file for libcurl.

The wheel's libcurl brings no authorities of its own and does not know where the system has them. They come in a file, not as a
value: what libcurl has read of a file it keeps for all connections.
"""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import certifi

from pmd.formats import encoding
from pmd.store import spools

#: What OpenSSL looks for in a folder of authorities: certificates by a hash of their subject.
_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+")


class Authorities:
    """A file of all authorities, for as long as the lane lives; a context manager.

    Args:
        ca_file: Further ones, PEM.
    """

    def __init__(self, ca_file: str | None) -> None:
        self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  closed by `close`
            prefix="authorities-", suffix=".pem", dir=spools.folder()
        )
        with spools.named():
            self._file.write(merged(ca_file))
            self._file.flush()

    @property
    def path(self) -> str:
        """The file."""
        return self._file.name

    def close(self) -> None:
        """Remove it."""
        self._file.close()


def merged(ca_file: str | None) -> bytes:
    """Return the certificates of all authorities, PEM: the system's, and further ones."""
    files = [*_of_system(), *([Path(ca_file)] if ca_file is not None else [])]
    # An editor's byte order mark would hide the first certificate.
    return b"".join(encoding.without_mark(path.read_bytes(), str(path)) + b"\n" for path in files)


def _of_system() -> Iterator[Path]:
    """Yield the files that OpenSSL reads on this system (also by SSL_CERT_FILE and SSL_CERT_DIR); certifi's where it has none."""
    places = ssl.get_default_verify_paths()
    if places.cafile is not None:
        yield Path(places.cafile)
        return
    folder = Path(places.capath) if places.capath is not None else None
    hashed = (
        {path.resolve() for path in folder.iterdir() if _HASHED.fullmatch(path.name)} if folder is not None else set()
    )
    yield from sorted(path for path in hashed if path.is_file())
    if not hashed:
        yield Path(certifi.where())
