"""How getting or checking one file ended, and who is told on the way."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal, Protocol

from pmd.errors import PmdError
from pmd.manifests.model import ManifestFile

#: A closed list. What `fetched` and `present` say is that the file is right as far as upstream published what is right.
Status = Literal[
    "fetched",  # downloaded now
    "present",  # there
    "gated",  # not there; a person must ask for it
    "absent",  # not there
    "wrong_size",  # there, but not of the published size
    "wrong_checksum",  # there and of the right size, but other bytes than the published ones
    "foreign",  # there, with no published checksum, and empty, a web page, or of another form than its name says
    "failed",  # could not be downloaded from any of its places; what stood there before still does
]

_GOOD: Final = frozenset({"fetched", "present"})


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How one file ended.

    Attributes:
        file: The file.
        path: Where it is or belongs.
        status: How it ended.
        detail: What was found, in words; by what it was checked, where it is right.
        remedy: What to do now; empty where nothing is.
        error: What went wrong, where `status` is `failed`.
    """

    file: ManifestFile
    path: str
    status: Status
    detail: str = ""
    remedy: str = ""
    error: PmdError | None = None

    @property
    def ok(self) -> bool:
        """Whether the file is there and right."""
        return self.status in _GOOD


Doing = Literal["downloading", "checking"]


class Progress(Protocol):
    """Who is told how far a file has come; `pmd.manifests.progress` has one for people."""

    def start(self, file: ManifestFile, doing: Doing, total_bytes: int | None, done_bytes: int) -> None:
        """A file is begun, or begun again from `done_bytes`."""
        ...

    def advance(self, count: int) -> None:
        """`count` further bytes are done."""
        ...

    def retry(self, file: ManifestFile, why: str, wait_s: float) -> None:
        """The transfer broke and goes on in `wait_s` seconds; zero: at once, from another place."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """The file is done with."""
        ...


class Silent:
    """Tells nobody."""

    def start(self, file: ManifestFile, doing: Doing, total_bytes: int | None, done_bytes: int) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""

    def retry(self, file: ManifestFile, why: str, wait_s: float) -> None:
        """Do nothing."""

    def finish(self, outcome: Outcome) -> None:
        """Do nothing."""
