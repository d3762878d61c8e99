"""The command line's process: `pmd`, or `python -m pmd`.

A lane of the fetch reads this in as well, since its parent was started with it: so nothing is imported that only commands need.
"""

import signal


def main() -> None:
    """Be the command line."""
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


if __name__ == "__main__":
    main()
