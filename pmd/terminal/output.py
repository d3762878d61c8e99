"""Where words leave for a person: every command's output and every note goes out here, and nothing else writes (a test looks).

Values of others are escaped where a text is put together (`escape.terminal`, `escape.shown`), since there alone is known
where one ends. What goes out is escaped once more as a whole, which changes nothing of that, and catches what was forgotten.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO

import orjson

from pmd import escape
from pmd.errors import PmdError
from pmd.terminal import bar, tables

if TYPE_CHECKING:
    from rich.console import Console

#: Goes to the start of a terminal's line and clears it: progress stands there.
_CLEAR: Final = "\r\x1b[K"
#: Columns of a table where no terminal says how many there are.
_COLUMNS: Final = 160
#: Columns that are filled, whatever a terminal says.
_FEWEST: Final = 20
#: Loggers of clients of stores that tell, with a traceback, what these raise in the next moment.
_TELL_TWICE: Final = ("gcsfs", "fsspec.prefetcher")
#: What stands before progress.
_INDENT: Final = "    "


def open_streams() -> None:
    """Open what of standard input, output and error is closed, as a service's can be, on nothing.

    What is said there is lost, as is meant. Without this Python has no such stream, and the next file that is opened takes its
    number: what a library says would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest number that is free is taken
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  as long as the process lives
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def say(text: str, *, err: bool = False) -> None:
    """Write a text and a line feed to standard output or standard error."""
    _write(sys.stderr if err else sys.stdout, escape.page(text) + "\n")


def answer(found: Any, text: Callable[[], str], *, as_json: bool) -> None:
    """Write what a command has found: as JSON, or as people read it, which is made only then."""
    if as_json:
        json(found)
    else:
        say(text())


def clear_progress() -> None:
    """Take away a line of progress from a terminal."""
    if sys.stderr.isatty():
        _write(sys.stderr, _CLEAR)


def columns(otherwise: int = _COLUMNS) -> int:
    """Return how many columns standard output has; `otherwise` where it is no terminal and `COLUMNS` does not say."""
    return max(_FEWEST, shutil.get_terminal_size((otherwise, 24)).columns if _says_width() else otherwise)


def _says_width() -> bool:
    return sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()


def sign(text: str, otherwise: str) -> str:
    """Return a sign of ours, or another one where standard error's encoding has it not."""
    try:
        text.encode(sys.stderr.encoding or "utf-8")
    except UnicodeEncodeError:
        return otherwise
    return text


def progress(state: bar.State) -> str:
    """Return how far something is, as standard error shows it: a bar on a terminal, words in a log; "" where nothing is known."""
    if not bar.words(state):
        return ""
    if not sys.stderr.isatty():
        return bar.line(state)
    try:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # no terminal of the system's, whatever it says
        width = 80
    # A line that fills the last column would be broken, and then be written over in part.
    return bar.drawn(state, width - len(_INDENT) - 1, ascii_only=sign("━╌", "") == "")


def json(value: Any) -> None:
    """Write a value as JSON to standard output."""
    _write(sys.stdout, escape.json(_dumped(value)) + "\n")


def table(title: str | None, headings: Sequence[str], rows: Sequence[Sequence[Any]], whole: int = 1) -> None:
    """Write a table to standard output; columns of numbers stand to the right. Title and headings are ours.

    Words of the first `whole` columns are names, and never cut.
    """
    numbers = [
        place
        for place in range(len(headings))
        if rows and all(isinstance(row[place], int | float) or row[place] in {"", None} for row in rows)
    ]
    grid = tables.table(
        headings, [[_cell(value) for value in row] for row in rows], right=numbers, title=title, whole={*range(whole)}
    )
    page = tables.Page(columns(), styled=sys.stdout.isatty())
    page.write(grid)
    _write(sys.stdout, page.text() + "\n")


def console(*, err: bool = False) -> Console:
    """Return rich's console: for `line`, and for bars, whose words are all ours."""
    from rich.console import Console

    return Console(stderr=err)


def line(to: Console, value: str) -> None:
    """Write one line to a console, above its bars."""
    to.print(escape.terminal(value), markup=False, highlight=False, soft_wrap=True)


def log_to_standard_error() -> None:
    """Show what is logged: errors of libraries as they are; progress, one line written over on a terminal; notes, which stay."""
    terminal = sys.stderr.isatty()
    clear = _CLEAR if terminal else ""
    # What libraries that Beam looks for and does not find say is no news.
    errors = logging.StreamHandler()
    errors.setFormatter(_Whole(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.ERROR, handlers=[errors])
    for name in _TELL_TWICE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    notes = logging.StreamHandler()
    notes.setFormatter(_OneLine(f"{clear}! "))
    _only(logging.getLogger("pmd.notes"), notes, logging.WARNING)
    progress = logging.StreamHandler()
    progress.setFormatter(_OneLine(f"{clear}{_INDENT}"))
    progress.terminator = "" if terminal else "\n"
    _only(logging.getLogger("pmd.progress"), progress, logging.INFO)


def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write a traceback, as `sys.excepthook`: the text of an exception may be another's."""
    say("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), err=True)


class _Whole(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return escape.page(super().format(record))


class _OneLine(logging.Formatter):
    """A record as one line behind what is ours."""

    def __init__(self, before: str) -> None:
        super().__init__()
        self._before = before

    def format(self, record: logging.LogRecord) -> str:
        return self._before + escape.terminal(record.getMessage())


def _only(logger: logging.Logger, handler: logging.Handler, level: int) -> None:
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else escape.terminal(value)


def _dumped(value: Any) -> str:
    """Return JSON; a string that is no Unicode, as a path can be, is spelled as far as it goes."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        return orjson.dumps(escape.shown(value), option=orjson.OPT_INDENT_2).decode()


def _write(stream: TextIO, text: str) -> None:
    """Write what the stream's encoding has, and spell the rest."""
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:  # who reads has enough: no mistake
        raise
    except OSError as error:
        where = "standard error" if stream is sys.stderr else "standard output"
        remedy = "see where it leads to, then run the same command again"
        raise PmdError("it cannot be written to", where=where, found=str(error), remedy=remedy) from None
