"""What became of trials: kept in a file as they end, so that one that is started again goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

_FILE: Final = "trials.jsonl"


@dataclass
class Outcome:
    """What became of a trial.

    Attributes:
        key: Of the trial.
        trial: What it was.
        hit: Something was killed, or gone, while it ran.
        code: How the first run ended; `traceback` and `hung` too.
        again: How the second ended; None where none was needed.
        problems: What was not as it has to be.
        twice: How many images were asked for once more than once.
        jobs: Seconds of each of the engine's jobs of the first run.
        seconds: Of the whole trial.
        said: How the first run's words ended, where it failed.
    """

    key: str
    trial: dict[str, Any]
    hit: bool
    code: int
    again: int | None = None
    problems: list[str] = field(default_factory=list)
    twice: int = 0
    traceback: bool = False
    hung: bool = False
    jobs: list[float] = field(default_factory=list)
    seconds: float = 0.0
    said: str = ""


def read(folder: Path) -> list[Outcome]:
    """Return the trials of a folder that have ended, in their order."""
    file = folder / _FILE
    return [Outcome(**json.loads(line)) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def add(folder: Path, outcome: Outcome) -> None:
    """Keep a trial that has ended."""
    with (folder / _FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def summary(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return how many trials there were, how many of them hit and how many are not as they have to be; the seconds of all."""
    return {
        "trials": len(outcomes),
        "hit": sum(outcome.hit for outcome in outcomes),
        "unlike": sum(bool(outcome.problems) for outcome in outcomes),
        "seconds": round(sum(outcome.seconds for outcome in outcomes)),
    }
