"""The stages, brought together from their folders: what each needs, what it leaves behind, how it is recounted.

A stage is a row of `pmd.flow` and a folder of its name. Of its modules this finds `needs`: ``wanted`` (the commits that a unit
should have) and, of a stage that works by source, ``units`` (the sources that it works on one by one); where a stage has them,
``pending`` (why a unit must run though its commits are fresh) and ``retired`` (what it has committed and the configuration no
longer names). And `recount`, where it has one.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType

from pmd import flow
from pmd.books import recount
from pmd.config import Config
from pmd.store import commits
from pmd.store.wanted import Wanted


def _module(stage: flow.Stage, name: str) -> ModuleType | None:
    path = f"pmd.{stage.name}.{name}"
    return importlib.import_module(path) if importlib.util.find_spec(path) is not None else None


def _needs(stage: flow.Stage) -> ModuleType:
    module = _module(stage, "needs")
    assert module is not None, f"pmd/{stage.name}/needs.py is not there"
    return module


def units(stage: flow.Stage, config: Config, names: Sequence[str]) -> Sequence[str]:
    """Return what a stage runs one by one: the sources among `names`, or "all"."""
    if stage.unit == "whole":
        return ("all",)
    chosen: Sequence[str] = _needs(stage).units(config, names)
    return chosen


def wanted(stage: flow.Stage, config: Config, unit: str = "all") -> tuple[Wanted, ...]:
    """Return the commits that a unit of a stage should have.

    Raises:
        RootError: A stage before it has not run.
        InputError: A file that it reads is missing.
    """
    needed: tuple[Wanted, ...] = _needs(stage).wanted(config, unit)
    return needed


def judged(stage: flow.Stage, config: Config, unit: str = "all") -> tuple[str | None, tuple[Wanted, ...]]:
    """Return why a unit of a stage must run, in words, or None where it need not; and the commits that it should have."""
    pending = getattr(_needs(stage), "pending", None)
    why = None if pending is None else pending(config)
    needed = wanted(stage, config, unit)
    reasons = [why, *(item.why() for item in needed)]
    return next((reason for reason in reasons if reason is not None), None), needed


def why(stage: flow.Stage, config: Config, unit: str = "all") -> str | None:
    """Return why a unit of a stage must run, in words, or None where it need not."""
    return judged(stage, config, unit)[0]


def retired(config: Config) -> list[tuple[str, str, str]]:
    """Return (stage, unit, folder) of commits that stand under ROOT and that the configuration no longer names.

    They would never be brought up to date again, and a takedown must not leave its images in them.
    """
    standing = []
    for stage in flow.STAGES:
        retire = getattr(_needs(stage), "retired", None)
        for unit, folder in () if retire is None else retire(config):
            if commits.read(folder) is not None:  # other folders there are somebody's
                standing.append((stage.name, unit, folder))
    return standing


def recount_of(stage: flow.Stage) -> type[recount.Recount]:
    """Return how a commit of a stage is recounted."""
    module = _module(stage, "recount")
    kind: type[recount.Recount] = recount.Recount if module is None else module.Recount
    return kind
