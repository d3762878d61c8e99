"""What may go wrong, as one tree; one of the first modules, so that everything can raise from it.

::

    PmdError                  exit code 1
    ├── ConfigError           2   the configuration or the command line cannot be used
    ├── InputError            3   an annotation file, archive or manifest file is missing, truncated or foreign, or cannot be read
    ├── RootError             4   ROOT is locked, of another version, not where it was said to be, or its storage refuses or fails
    ├── VerificationError     5   the books do not balance, or a committed file is not what its commit says
    └── NetworkError          6   a download of ours failed (manifest files), or the network itself is broken

A *row* that is bad is no exception: it is a rejected row with a reason (`pmd.config.reasons`). An exception means that a
person must do something, so its text always says what was expected, what was found, where, and what to do. Whatever ends
a command becomes one (`pmd.terminal.endings`), but for a signal, which ends it with 128 and the signal's number, and a fault of
ours.
"""

from __future__ import annotations

from pmd import escape


class PmdError(Exception):
    """A mistake that a person can mend. All errors that pmd raises on purpose are of this kind.

    >>> import pmd
    >>> try:
    ...     pmd.load("nowhere")
    ... except pmd.PmdError as error:
    ...     print(error)
    /.../nowhere: nothing is here
      expected: a ROOT or a published list

    Args:
        problem: One sentence: what is wrong.
        where: File, line or byte, source, key; whatever finds the place.
        expected: What should have been there.
        found: What was there.
        remedy: What to do now; a command where there is one.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Keep the keyword parts when an error crosses a process boundary."""
        return _rebuild, (type(self), self.problem, self.where, self.expected, self.found, self.remedy)

    def describe(self) -> dict[str, object]:
        """Return the error as `--json` tells it."""
        parts = ("problem", "where", "expected", "found", "remedy")
        return {"exit_code": self.exit_code, **{part: getattr(self, part) for part in parts}}

    def __str__(self) -> str:
        problem = escape.terminal(self.problem)
        lines = [f"{escape.terminal(self.where)}: {problem}" if self.where else problem]
        lines += [
            f"  {label}: {escape.terminal(value)}"
            for label, value in (("expected", self.expected), ("found", self.found), ("remedy", self.remedy))
            if value
        ]
        return "\n".join(lines)


def _rebuild(
    kind: type[PmdError], problem: str, where: str | None, expected: str | None, found: str | None, remedy: str | None
) -> PmdError:
    return kind(problem, where=where, expected=expected, found=found, remedy=remedy)


class WorkerFault(Exception):
    """A fault of pmd's own that a worker met: its traceback, once, as text."""


class ConfigError(PmdError):
    """The configuration or the command line cannot be used."""

    exit_code = 2


class InputError(PmdError):
    """An input file is missing, truncated, or not what its name says."""

    exit_code = 3


class RootError(PmdError):
    """ROOT is locked by another writer, or not a ROOT of this version."""

    exit_code = 4


class VerificationError(PmdError):
    """Committed files and books disagree."""

    exit_code = 5


class NetworkError(PmdError):
    """A download of ours failed, or the network itself is broken."""

    exit_code = 6
