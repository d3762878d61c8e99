"""The stages, brought together from their folders: what each needs, what it leaves behind, how it is recounted.

A stage is a row of `pmd.flow` and a folder of its name. In the folder this finds `recount`, where there is one, and `needs`,
which has these functions, all but the first where the stage wants them:

- ``wanted``: the commits that a unit should have;
- ``units``, of a stage that works by source: the sources that it works on one by one;
- ``pending``: why a unit must run though its commits are fresh;
- ``answers``: what may be remembered where nothing is pending;
- ``retired``: what it has committed and the configuration no longer names.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pmd import flow
from pmd.config import Config
from pmd.store import storage
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

if TYPE_CHECKING:
    from pmd.books import recount


def _module(stage: flow.Stage, name: str) -> ModuleType | None:
    path = f"pmd.{stage.name}.{name}"
    return importlib.import_module(path) if importlib.util.find_spec(path) is not None else None


def _needs(stage: flow.Stage) -> ModuleType:
    module = _module(stage, "needs")
    assert module is not None, f"pmd/{stage.name}/needs.py is not there"
    return module


def units(stage: flow.Stage, config: Config, names: Sequence[str], standing: Standing | None = None) -> Sequence[str]:
    """Return what a stage runs one by one: the sources among `names`, or "all"."""
    if stage.unit == "whole":
        return ("all",)
    chosen: Sequence[str] = _needs(stage).units(config, names, standing)
    return chosen


def wanted(
    stage: flow.Stage, config: Config, unit: str = "all", standing: Standing | None = None
) -> tuple[Wanted, ...]:
    """Return the commits that a unit of a stage should have, by what stands before it.

    Raises:
        RootError: A stage before it has not run.
        InputError: A file that it reads is missing.
    """
    needed: tuple[Wanted, ...] = _needs(stage).wanted(config, unit, standing)
    return needed


def judged(
    stage: flow.Stage, config: Config, unit: str = "all", standing: Standing | None = None
) -> tuple[str | None, tuple[Wanted, ...]]:
    """Return why a unit of a stage must run, in words, or None where it need not; and the commits that it should have."""
    there = standing or Standing(config.root)
    pending = getattr(_needs(stage), "pending", None)
    why = None if pending is None else pending(config, there)
    needed = wanted(stage, config, unit, there)
    reasons = [why, _halved(stage, there), *(item.why(there) for item in needed)]
    return next((reason for reason in reasons if reason is not None), None), needed


def _halved(stage: flow.Stage, there: Standing) -> str | None:
    """Return why a stage must run of which some commits stand, and others that stand or fall with them do not."""
    if len(stage.together) == 1:
        return None
    gone = [folder.path for folder in stage.together if there.commit(storage.join(there.root, folder.path)) is None]
    return f"the commit of {gone[0]} is gone" if 0 < len(gone) < len(stage.together) else None


def answers(stage: flow.Stage, config: Config, standing: Standing) -> dict[str, Any]:
    """Return what may be remembered of all generations where nothing of a stage is pending (`register.answered`)."""
    known = getattr(_needs(stage), "answers", None)
    found: dict[str, Any] = {} if known is None else known(config, standing)
    return found


def why(stage: flow.Stage, config: Config, unit: str = "all", standing: Standing | None = None) -> str | None:
    """Return why a unit of a stage must run, in words, or None where it need not."""
    return judged(stage, config, unit, standing)[0]


def retired(config: Config, standing: Standing | None = None, only: str | None = None) -> list[tuple[str, str, str]]:
    """Return (stage, unit, folder) of commits that stand under ROOT and that the configuration no longer names.

    They would never be brought up to date again, and a takedown must not leave its images in them.

    Args:
        config: The configuration.
        standing: What stands; None: it is looked up.
        only: One stage; None: all.
    """
    there = standing or Standing(config.root)
    found = []
    for stage in flow.STAGES:
        if only not in {None, stage.name}:
            continue
        retire = getattr(_needs(stage), "retired", None)
        for unit, folder in () if retire is None else retire(config, there):
            if there.commit(folder) is not None:  # other folders there are somebody's
                found.append((stage.name, unit, folder))
    return found


def recount_of(stage: flow.Stage) -> type[recount.Recount]:
    """Return how a commit of a stage is recounted."""
    from pmd.books import recount  # late: who builds counts nothing again

    module = _module(stage, "recount")
    kind: type[recount.Recount] = recount.Recount if module is None else module.Recount
    return kind
