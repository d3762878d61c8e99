"""What the configuration says to a stage, as its commits keep it: a commit is stale where this differs.

A stage's `needs` adds what else there is to say: formats of its own, the seed, what it works out of several options.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from pydantic import BaseModel

from pmd.config import places
from pmd.config.model import Config
from pmd.config.options import Also, StageOptions

#: The table of a stage that has no options.
_NONE: Final = StageOptions()


def of(config: Config, stage: str) -> dict[str, Any]:
    """Return the options of a stage's table, if it has one, and those of other tables that have their effect in it too (`Also`).

    Args:
        config: The configuration.
        stage: The stage's name.
    """
    own: StageOptions = getattr(config, stage, _NONE)
    said = places.options_written(own, places.written)
    return {name: value for name, value in said.items() if name not in own.later} | _beside(config, stage)


def _beside(config: Config, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for table in _tables(config):
        said = places.options_written(table, places.written)
        for name, field in type(table).model_fields.items():
            stages = [name for item in field.metadata if isinstance(item, Also) for name in item.stages]
            if stage in stages and getattr(table, name) != field.default:
                found[name] = said[name]
    return found


def _tables(config: Config) -> list[BaseModel]:
    values = (getattr(config, field.name) for field in dataclasses.fields(config))
    return [value for value in values if isinstance(value, StageOptions)]
