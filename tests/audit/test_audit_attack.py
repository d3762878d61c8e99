"""Two audits of `benchmarks/audit_attack.py`: nothing few follows from values that cross, and without the rule it does."""

from __future__ import annotations

import pytest

from benchmarks import audit_attack
from benchmarks.attacking import crossed, drawn
from pmd.audit.statistics import suppression

#: Small cells of a table that are asked for.
_MOST = 6
_CROSSED = ("attribute", "harm", "text", "users")


def _followed(seed: int) -> list[str]:
    found = audit_attack.attacked(drawn.drawn(seed), most=_MOST, only=_CROSSED)
    return [what for _, how, what in found if how == "told"]


@pytest.mark.parametrize("seed", [3, 5])
def test_nothing_few_follows_from_values_that_cross(seed: int) -> None:
    assert _followed(seed) == []


def test_what_follows_without_the_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        suppression, "divided", lambda _wholes, _parts, _totals, may, _asked=None: [{*some} for some in may]
    )
    assert _followed(5) != []


def test_no_few_captions_follow_from_terms_beside_gendered_ones() -> None:
    audit = drawn.drawn(100, even=True)
    last = [audit.content["sources"][source][drawn.STAGES[-1]] for source in audit.sources]
    terms = [row for one in last for row in one["associations"]["terms"]]
    assert any(row["at_most"] or row["at_least"] for row in terms), "of some few have the one sex"
    assert crossed.beside(audit) == []
