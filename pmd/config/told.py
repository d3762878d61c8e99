"""What the configuration says to a stage, as its commits keep it: a commit is stale where this differs.

It is what the stage's workers are handed (`pmd.config.asked`). A stage's `needs` adds what else there is to say: formats of its
own, the seed, what it works out of several options.
"""

from __future__ import annotations

from typing import Any

from pmd.config import places
from pmd.config.model import Config
from pmd.config.options import StageOptions
from pmd.config.tables import TABLES, with_effect


def of(config: Config, stage: str) -> dict[str, Any]:
    """Return the options of a stage's table, if it has one, and those of other tables that have their effect in it too (`Also`).

    Args:
        config: The configuration.
        stage: The stage's name.
    """
    found: dict[str, Any] = {}
    for name in TABLES:
        table: StageOptions = getattr(config, name)
        heeded = set(with_effect(name, type(table), stage))
        left_out = table.later if name == stage else table.unsaid
        if not heeded <= left_out:
            said = places.options_written(table, places.written)
            found |= {option: value for option, value in said.items() if option in heeded - left_out}
    return found
