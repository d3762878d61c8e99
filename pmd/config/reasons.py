"""Why a row left: the closed list of reasons, each with the one stage that gives it.

Reasons that come with an option stand beside it (`options.Leaves`), the others in `pmd.schema.reasons`. `pmd sources --rules`
prints this list, and docs/contract.md shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pmd import flow
from pmd.config.options import Leaves
from pmd.config.tables import TABLES
from pmd.schema.reasons import WITHOUT_OPTION


def _of_options() -> Iterator[tuple[str, tuple[str, str]]]:
    for model in TABLES.values():
        for field in model.model_fields.values():
            for mark in field.metadata:
                if isinstance(mark, Leaves):
                    yield mark.reason, (mark.stage, mark.says)


_LISTED: Final = [*WITHOUT_OPTION.items(), *_of_options()]
#: reason → (stage, what it means), in the order of the flow. A reason is given by exactly one stage.
REASONS: Final[dict[str, tuple[str, str]]] = dict(sorted(_LISTED, key=lambda item: flow.NAMES.index(item[1][0])))
assert len(REASONS) == len(_LISTED), "a reason is declared twice"


def reasons_of(stage: str) -> tuple[str, ...]:
    """Return the reasons that one stage may give, in the order of the list."""
    return tuple(reason for reason, (where, _) in REASONS.items() if where == stage)
