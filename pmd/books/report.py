"""What a recount has to tell: problems, of many of one kind only the first few, and notes."""

from __future__ import annotations

import tarfile
from collections import Counter
from typing import Final

import pyarrow as pa

from pmd.store import clients, shortage
from pmd.terminal import bar

#: Problems of one kind that are told one by one; of more only their number.
EXAMPLES: Final = 10

#: What reading a damaged file raises: Arrow, orjson, tarfile, and Python itself on what they give.
DAMAGE: Final = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, EOFError, tarfile.TarError)


class Report:
    """Collects problems and notes."""

    def __init__(self) -> None:
        self._problems: list[dict[str, str]] = []
        self._counts: Counter[str] = Counter()
        self.notes: list[dict[str, str]] = []

    def note(self, what: str, place: str, found: str = "") -> None:
        """Tell of what is no problem, but good to know."""
        self.notes.append({"place": place, "what": what, "found": found})

    def tell(self, what: str, place: str, expected: object = "", found: object = "") -> None:
        """Tell of a problem."""
        self._counts[what] += 1
        if self._counts[what] <= EXAMPLES:
            self._problems.append({"place": place, "what": what, "expected": str(expected), "found": str(found)})

    def problems(self) -> list[dict[str, str]]:
        """Return what was told."""
        more = [
            {"place": bar.amount(count - EXAMPLES, "more places"), "what": what, "expected": "", "found": ""}
            for what, count in self._counts.items()
            if count > EXAMPLES
        ]
        return [*self._problems, *more]


def refuse_ours(error: BaseException) -> None:
    """Raise an error of reading that comes of what this process lacks, or of a store that refuses. It tells nothing of a file."""
    is_refused = clients.raised(error) and not shortage.tells_of_bytes(error)
    if is_refused or (isinstance(error, OSError) and shortage.is_ours(error)):
        raise error
    shortage.refuse_lack(error)


def first_line(error: BaseException) -> str:
    """Return an error as one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
