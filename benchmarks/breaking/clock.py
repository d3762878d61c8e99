"""A clock that is wrong, in one process: what asks for the time there is told another."""

from __future__ import annotations

import datetime
import importlib
import os
import types
from typing import Any, Final

#: Tells a process in its environment by how many days its clock is ahead.
AHEAD: Final = "PMD_BREAKING_CLOCK"
#: Whoever asks for the time.
_ASKING: Final = ("pmd.fetch.clock", "pmd.store.lock", "pmd.cli.stages", "pmd.cli.beside", "pipelines.takedown")


def heed() -> None:
    """Have the clock that the environment says."""
    days = int(os.environ.get(AHEAD, "0"))
    if not days:
        return

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return datetime.datetime.now(tz) + datetime.timedelta(days=days)

    wrong: Any = types.SimpleNamespace(**{**vars(datetime), "datetime": Clock})
    for name in _ASKING:
        vars(importlib.import_module(name))["datetime"] = wrong
