"""Figures as audit.json has them: an estimate with its interval, what another draw would give, and a section's coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pmd.audit import estimates
from pmd.audit.estimates import Estimate


def coverage(measured: float, eligible: float, of: str, rest: str | None = None) -> dict[str, Any]:
    """Return a section's coverage: how many were measured, of how many of what, and why not the rest."""
    found = {
        "measured": measured,
        "eligible": eligible,
        "share": measured / eligible if eligible else None,
        "of": of,
    }
    return found if rest is None else found | {"rest": rest}


def estimated(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate."""
    interval = None if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]
    found: dict[str, Any] = {"value": estimate.value, "interval": interval, "enough": estimate.enough}
    if estimate.refused is not None:
        found["refused"] = estimate.refused
    return found | {"exact": estimate.exact}


def figure(table: Estimate, draws: Sequence[tuple[str, Estimate]]) -> dict[str, Any]:
    """Return a figure of this table, with what another draw would give.

    Args:
        table: Of this table.
        draws: The kind of clusters, and what another draw of them would give: of several the wider counts.
    """
    found = estimated(table)
    some = [(kind, draw) for kind, draw in draws if draw.value is not None or draw.refused is not None]
    if not some:
        return found
    kind, draw = some[0]
    for other, one in some[1:]:
        if estimates.wider(draw, one) is one and one is not draw:
            kind, draw = other, one
    other_draw = estimated(draw)
    del other_draw["exact"]
    more = {"clusters": draw.clusters, "degrees": draw.degrees, "design_effect": draw.design_effect}
    return found | {"another_draw": other_draw | {"cluster": kind} | more}
