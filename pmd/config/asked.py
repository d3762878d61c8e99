"""What the configuration asks of one stage, whole: what the stage's workers are handed, and what `pmd plan` foretells by.

It is the configuration's tables with the options that have an effect in the stage (`tables.with_effect`). Its commits depend on
the same options (`pmd.config.told`), so no worker can heed one that would leave its commits as they are: others are not there,
and asking for one raises. So it is with the sample and the seed, which stand in no table: each is there in the one stage that
heeds it (`SINGLES`) and whose `needs` say so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Final, TypeVar

from pmd import flow
from pmd.config.model import Config
from pmd.config.options import StageOptions
from pmd.config.tables import TABLES, Tables, with_effect

#: Options that stand in no table → the stage that heeds them.
SINGLES: Final[Mapping[str, str]] = {"sample": flow.IMAGES.name, "seed": flow.SHARD.name}

_Table = TypeVar("_Table", bound=StageOptions)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(Tables):
    """The tables, each with what it asks of one stage.

    Attributes:
        singles: Those of `SINGLES` that the stage heeds.
    """

    singles: Mapping[str, int]

    @property
    def sample(self) -> int:
        """N of 1/N. Images depend on it (`images.needs`), and so all that is made of them."""
        return self._single("sample")

    @property
    def seed(self) -> int:
        """Of draws. Shards depend on it (`shard.needs`)."""
        return self._single("seed")

    def _single(self, name: str) -> int:
        if name not in self.singles:
            raise AttributeError(f"{name} is said to have no effect in this stage: see SINGLES")
        return self.singles[name]

    @classmethod
    def of(cls, config: Config, stage: str) -> Asked:
        """Take what is asked of a stage from a configuration."""
        tables = {name: getattr(config, name) for name in TABLES}
        return cls(
            **{name: _with_only(table, with_effect(name, type(table), stage)) for name, table in tables.items()},
            singles={name: getattr(config, name) for name, heeding in SINGLES.items() if stage == heeding},
        )

    @classmethod
    def only(cls, sample: int = 1, seed: int = 0, **tables: StageOptions) -> Asked:
        """Return what some tables ask, for whoever judges without a configuration; other options are at their defaults.

        One that has none, since profiles differ, is not there.
        """
        others = {name: model.model_construct() for name, model in TABLES.items() if name not in tables}
        return cls(**(others | tables), singles={"sample": sample, "seed": seed})  # type: ignore[arg-type]  # each is its table's


def _with_only(table: _Table, names: Collection[str]) -> _Table:
    """Return a table that has some of its options, and no others."""
    some = table.model_copy()
    for name in type(table).model_fields:
        if name not in names:
            del some.__dict__[name]
    return some
