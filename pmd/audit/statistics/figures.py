"""How figures stand in audit.json: values with intervals or the reason why there are none, and what a section covers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pmd.audit.statistics import estimates
from pmd.audit.statistics.estimates import Estimate, Part


@dataclasses.dataclass(frozen=True)
class Draw:
    """What another draw of clusters would give.

    Attributes:
        kind: What is drawn: "user", or of several sources "image+user".
        estimate: The figure.
        left_out: Pairs that it would speak of, were they not without a name for the cluster, as those of a deleted account; None
            where that is not told.
    """

    kind: str
    estimate: Estimate
    left_out: int | None = None

    @classmethod
    def of(cls, kinds: Sequence[str], estimate: Estimate, parts: Sequence[Part], whole: int) -> Draw:
        """Return the draw of some sources' clusters.

        Args:
            kinds: The kind of each source's.
            estimate: The figure.
            parts: What it was estimated from.
            whole: Pairs that it would speak of.
        """
        return cls("+".join(sorted(set(kinds))), estimate, whole - sum(part.sums.pairs for part in parts))


def coverage(measured: float, eligible: float, of: str, rest: str | None = None) -> dict[str, Any]:
    """Return a section's coverage: how many were measured, of how many of what, and why not the rest."""
    covered = {
        "measured": measured,
        "eligible": eligible,
        "share": measured / eligible if eligible else None,
        "of": of,
    }
    return covered if rest is None else covered | {"rest": rest}


def plain(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate of one truth."""
    interval = None if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]
    found: dict[str, Any] = {"value": estimate.value, "interval": interval, "enough": estimate.enough}
    if estimate.refused is not None:
        found["refused"] = estimate.refused
    return found | {"exact": estimate.exact}


def figure(table: Estimate, draws: Sequence[Draw]) -> dict[str, Any]:
    """Return a figure of this table, with what another draw would give.

    Args:
        table: Of this table.
        draws: What another draw would give: of several kinds of clusters the wider counts.
    """
    found = plain(table)
    some = [draw for draw in draws if draw.estimate.value is not None or draw.estimate.refused is not None]
    if not some:
        return found
    chosen = some[0]
    for other in some[1:]:
        if other.estimate is not chosen.estimate and estimates.wider(chosen.estimate, other.estimate) is other.estimate:
            chosen = other
    draw = chosen.estimate
    other_draw = plain(draw)
    del other_draw["exact"]
    more = {"clusters": draw.clusters, "degrees": draw.degrees, "design_effect": draw.design_effect}
    left_out = {} if chosen.left_out is None else {"left_out": chosen.left_out}
    return found | {"another_draw": other_draw | {"cluster": chosen.kind} | left_out | more}
