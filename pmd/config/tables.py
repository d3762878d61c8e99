"""The tables of options: of each stage, and what several stages heed; and which of their options have an effect in a stage.

What is declared here and in `pmd.config.options` is all that is said of an option. From it follow what a stage's workers are
handed (`pmd.config.asked`), what its commits depend on (`pmd.config.told`) and the reasons for which rows leave
(`pmd.config.reasons`).
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Final

from pmd import flow
from pmd.config import options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    """One of each table, by its name in the configuration: those of stages in the order of the flow, then the others."""

    curate: options.CurateOptions
    images: options.ImagesOptions
    fetch: options.FetchOptions
    dedupe: options.DedupeOptions
    shard: options.ShardOptions
    publish: options.PublishOptions
    audit: options.AuditOptions
    licence: options.LicenceOptions
    card: options.CardOptions


#: Name of each table → what stands in it.
TABLES: Final[dict[str, type[options.StageOptions]]] = typing.get_type_hints(Tables)


def with_effect(table: str, model: type[options.StageOptions], stage: str) -> tuple[str, ...]:
    """Return the options of a table that have an effect in a stage: all of its own, of others those marked with `Also`.

    Args:
        table: The table's name.
        model: What stands in it.
        stage: The stage's name.
    """
    return tuple(
        name
        for name, field in model.model_fields.items()
        if table == stage or any(stage in mark.stages for mark in field.metadata if isinstance(mark, options.Also))
    )


def stages_of(table: str, model: type[options.StageOptions], option: str) -> tuple[str, ...]:
    """Return the stages in which an option has an effect, in the order of the flow."""
    return tuple(stage for stage in flow.NAMES if option in with_effect(table, model, stage))
