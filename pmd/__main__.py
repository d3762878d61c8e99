"""The command line's process: `pmd`, or `python -m pmd`.

A lane of the fetch reads this in as well, since its parent was started with it: so nothing is imported that only commands need.
"""

import os
import signal
import sys


def main() -> None:
    """Be the command line."""
    _take_names_as_utf8()
    # `pmd` does not look for modules where it is run, nor may what it starts: a person's own `types.py` there would stand for
    # Python's, and no lane begin. `python -m pmd` does look there, and may have pmd itself from there.
    if __name__ != "__main__":
        os.environ.setdefault("PYTHONSAFEPATH", "1")
    # Until a command attends to signals (`endings.command`) nothing is under way: Ctrl-C ends it, without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pmd import lean

    lean.begin()
    from pmd import cli

    try:
        cli.main()
    finally:
        lean.end()


def _take_names_as_utf8() -> None:
    """Begin anew where the locale has Python take names of files for another encoding than UTF-8, as all else here does.

    What is said keeps the encoding of the terminal.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return
    environment = {**os.environ, "PYTHONUTF8": "1"}  # for processes that this one will start
    if sys.stdout is not None:
        environment.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    words = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execve(words[0], words, environment)  # noqa: S606  it is this very program


if __name__ == "__main__":
    main()
