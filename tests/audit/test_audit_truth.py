"""Fifty seeds of each scenario of `benchmarks/audit_truth.py`: the intervals hold, and broken estimators are found."""

from __future__ import annotations

import pytest

from benchmarks import audit_findings, audit_truth
from pmd.audit.statistics import findings

SEEDS = 50


def test_the_intervals_hold() -> None:
    _, short = audit_truth.run(SEEDS, lambda _: None)
    assert short == []


@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("clusters", "users by Zipf's law, correlation .25"),
        ("factor", "a part of the texts read"),
    ],
)
def test_a_broken_estimator_is_found(name: str, scenario: str) -> None:
    whole = audit_truth.coverage(scenario, 200)
    with audit_truth.mutant(name):
        broken = audit_truth.coverage(scenario, 200)
    assert whole > audit_truth.COVERAGE - 0.03
    assert broken < audit_truth.COVERAGE - 0.03


def test_findings_without_control_are_found() -> None:
    few = audit_truth.sections(60, 2000, 0)
    assert few.with_finding <= 6
    with audit_truth.mutant("chosen"):
        many = audit_truth.sections(60, 2000, 0)
    assert many.with_finding > 12


def test_findings_that_are_not_held_together_are_found() -> None:
    """Pages of sections that are each held to 5 %, or not at all, have more findings than they may."""
    kind, pages = "nothing beyond the least effect", 50
    most = findings.FALSE_DISCOVERIES + audit_truth.slack(findings.FALSE_DISCOVERIES, pages)
    assert audit_findings.said(kind, pages).false < most * pages
    for name in ("sections", "chosen"):
        with audit_truth.mutant(name):
            assert audit_findings.said(kind, pages).false > most * pages, name


def test_the_whole_way_on_beam_counts_the_same() -> None:
    assert audit_truth.on_beam(0) == []
