"""A command of pmd's as a task of an engine: where nothing but an engine's jobs can be started, the driver is one itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Final

import apache_beam as beam

from pmd.engines import child
from pmd.errors import PmdError
from pmd.schema.exits import EXIT_CODES
from pmd.store import lock
from pmd.terminal import output

#: Lines of a command's words that are told where it fails.
_SAID: Final = 20


class Command(beam.DoFn):  # type: ignore[misc]
    """Run a command line that writes a ROOT, and wait for its end: words in, its exit code out."""

    def __init__(self, root: str) -> None:
        self._root = root

    def process(self, words: Sequence[str]) -> Iterator[int]:
        """Yield the exit code.

        Raises:
            PmdError: It failed: the engine tries again, and the command goes on from what is committed.
        """
        lock.outlast(self._root)  # the engine begins anew at once where a driver was killed, four times at most
        yield run(words)


def run(words: Sequence[str]) -> int:
    """Run a command of pmd's in a process of its own, which has its own lock, signals and runner; its words go to the log.

    Raises:
        PmdError: It failed.
    """
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603  the words are a person's, who may run any command of pmd's
        [sys.executable, "-m", child.__name__, *words],
        stdin=subprocess.PIPE,  # whose end it sees when this process is gone
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            output.say(line.rstrip("\n"), err=True)
            last = [*last[1 - _SAID :], line.rstrip()]
    code = process.returncode
    if code:
        raise PmdError(
            f"the command has failed with exit code {code}: {EXIT_CODES.get(code, 'it was ended')}",
            where=" ".join(("pmd", *words)),
            found="\n".join(last),
        )
    return code
