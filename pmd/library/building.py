"""Building from Python: what `pmd build` does."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pmd import config as configuration
from pmd.config import Config, inputs, places
from pmd.curate import losses
from pmd.inspection import status
from pmd.store import root
from pmd.store.standing import Standing

if TYPE_CHECKING:
    from pipelines.build import Step


@dataclasses.dataclass(frozen=True)
class Built:
    """What a build has done; printed, it is the books as `pmd status` shows them.

    Attributes:
        root: Its ROOT, for `pmd.load`.
        steps: Every unit of the build: its stage, its name, why it was run, and for how many seconds; None where it was
            committed and unchanged.
        books: What is committed now, as `pmd status --json` tells it: of each source and stage the pairs that came in, were
            kept, and were rejected by reason.
    """

    root: str
    steps: tuple[Step, ...]
    books: Mapping[str, Any]

    def __str__(self) -> str:
        return status.render(dict(self.books))


def build(
    config: Config | str | os.PathLike[str],
    *,
    flags: Sequence[str] = (),
    report: Callable[[Step], None] = lambda step: None,
) -> Built:
    """Run every stage, skipping what is committed and unchanged, like `pmd build`. Imports Beam.

    The lanes of a fetch are processes that import the calling program: a script calls it under `if __name__ == "__main__":`.

    >>> import pmd
    >>> built = pmd.build("demo/pmd.toml")
    >>> built.books["balanced"]
    True
    >>> [step.stage for step in built.steps if step.seconds is not None]  # nothing was left to do
    []

    Args:
        config: A configuration, or the path of one.
        flags: Beam's own flags: ["--runner=…"].
        report: Told of every unit when it is done or skipped.

    Raises:
        ConfigError: The configuration has mistakes; all of them are told.
        InputError: An annotation file or archive is missing, truncated or foreign.
        RootError: Somebody else writes to the ROOT, or it is of another version.
        VerificationError: What a stage reads is damaged.
    """
    from pipelines import build as pipeline

    if isinstance(config, Config):
        chosen, named = config, None
    else:
        path = os.fspath(config)
        chosen, named = configuration.load(path), places.absolute(path)
    steps: list[Step] = []

    def done(step: Step) -> None:
        steps.append(step)
        report(step)

    for note in inputs.notes(chosen):
        logging.getLogger("pmd.notes").warning(note)
    with root.writer(chosen.root, "pmd.build", named):
        pipeline.build(chosen, flags=flags, report=done)
    for note in losses.notes(Standing(chosen.root), sorted(chosen.sources)):
        logging.getLogger("pmd.notes").warning(note)
    return Built(chosen.root, tuple(steps), status.books(chosen.root))
