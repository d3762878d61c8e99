"""Steps of a history (`benchmarks/histories.py`): what is done to a ROOT, one after the other, drawn from a seed."""

from __future__ import annotations

import dataclasses
import random
from typing import Final

from benchmarks.breaking import changes

_STEP: Final = (
    "a change",
    "a takedown",
    "lifted",
    "a wave",
    "damage",
    "pictures die",
    "pictures appear",
    "tried anew",
    "a look",
    "scores",
    "attributes",
    "another's list",
    "no other's list",
    "moved",
    "another manner",
    "stage by stage",
    "sheets",
    "the clock",
)
_WEIGHTS: Final = (14, 2, 1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 1, 1, 1, 2, 1, 1)
#: Of builds so many are killed.
_KILLED: Final = 0.25


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of a history: what is done, whether it is killed, and the seed of all that is left to chance in it."""

    what: tuple[str, ...]
    draw: int
    is_killed: bool

    def __str__(self) -> str:
        return ", ".join(self.what) + (" (killed)" if self.is_killed else "")


def drawn(seed: int, fewest: int, most: int) -> list[Step]:
    """Return the steps of a history."""
    chance = random.Random(f"history {seed}")
    found = []
    for _ in range(chance.randint(fewest, most)):
        (what,) = chance.choices(_STEP, _WEIGHTS)
        names: tuple[str, ...] = (what,)
        if what == "a change":
            weights = [often for _, often in changes.CHANGES.values()]
            names = tuple(chance.choices([*changes.CHANGES], weights, k=chance.choice((1, 1, 2, 3))))
        found.append(Step(names, chance.getrandbits(32), chance.random() < _KILLED))
    return found
