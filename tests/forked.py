"""Processes forked from one that has what lanes import (`tests.warm`), in place of new ones."""

from __future__ import annotations

import os
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any


class ForkedProcess(ForkServerProcess):
    """A process with the environment of who starts it, as a new one has; that of its forebear is older."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._environment = dict(os.environ)

    def run(self) -> None:
        """Do its work."""
        os.environ.clear()
        os.environ.update(self._environment)
        super().run()


class Forked(ForkServerContext):
    """Starts such processes."""

    Process = ForkedProcess  # type: ignore[assignment]
