"""A command of pmd's that ends with the process that has started it, whichever way that goes.

    python -m pmd.engines.child WORDS

Whoever starts it holds the other end of its standard input. Left alone, a driver would go on unseen and keep ROOT's lease, while
the engine begins the same step anew.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Be the command."""
    threading.Thread(target=_end_with_starter, name="starter", daemon=True).start()
    sys.argv[0] = "pmd"
    runpy.run_module("pmd", run_name="__main__")


def _end_with_starter() -> None:
    while os.read(0, 1):  # not `sys.stdin`, whose lock the interpreter wants at its end
        pass
    os.kill(os.getpid(), signal.SIGTERM)  # as a person would: jobs are cancelled, and ROOT is given back


if __name__ == "__main__":
    main()
