"""Findings among many tests: by hand."""

from __future__ import annotations

import pytest

from pmd.audit.figures import uneven
from pmd.audit.statistics import estimates, findings
from pmd.audit.statistics.losses import Test as Loss


def test_the_rule_is_benjamini_and_yekutielis() -> None:
    # Of four tests Σ 1/i is 25/12, so the k-th smallest may be .05 k ÷ (4 × 25/12) = .006 k.
    assert findings.chosen([0.017, 0.5, 0.006, 0.0121], 0.05) == [True, False, True, True]
    assert findings.chosen([0.019, 0.5, 0.006, 0.0121], 0.05) == [False, False, True, False]
    assert findings.chosen([0.0061, 0.5, 0.9, 0.7], 0.05) == [False] * 4
    assert findings.chosen([], 0.05) == []


def test_sections_of_a_page_have_equal_parts_of_what_is_allowed() -> None:
    """The sections of losses, terms beside gendered ones and words beside terms of identity."""
    assert len(uneven.TESTED) + 2 == findings.SECTIONS
    assert findings.allowed(1) == pytest.approx(0.05 / 9)
    assert findings.allowed(12) == pytest.approx(0.05 / 9 / 12)


def test_a_test_says_what_it_was_held_to() -> None:
    """p = .0039 is a finding of the only test of a section, and none where that is of one of two sources."""
    one = Loss(0.035, 0.01, 20.0)
    (judged,) = findings.judge([one])
    assert judged.p == pytest.approx(0.00389, abs=1e-5)
    assert (judged.finding, judged.among, judged.held_to) == (True, 1, findings.allowed(1))
    (judged,) = findings.judge([one], families=2)
    assert (judged.finding, judged.level, judged.held_to) == (False, estimates.LEVEL, findings.allowed(2))


def test_an_effect_no_larger_than_the_least_is_no_finding_however_sure() -> None:
    assert findings.p_value(0.005, 1e-6, 1000) == pytest.approx(0.5, abs=1e-3)
    assert findings.p_value(0.004, 1e-6, 1000) == pytest.approx(1.0)
    assert findings.p_value(-0.02, 0.005, 20) == findings.p_value(0.02, 0.005, 20)
    # t = 3 and 5 with 20 degrees of freedom: 0.00354 + 0.00003.
    assert findings.p_value(0.02, 0.005, 20) == pytest.approx(0.00357, abs=1e-5)
    assert findings.p_value(0.02, 0.0, 20) == 0.0


def test_intervals_of_findings_are_wider_for_being_chosen() -> None:
    sure, unsure, refused = Loss(0.1, 0.01, 50.0), Loss(0.01, 0.01, 50.0), Loss(0.1, refused="too few")
    found = findings.judge([sure, unsure, refused])
    assert [one.finding for one in found] == [True, False, False]
    assert found[2].p is found[2].interval is None
    assert found[2].among is found[2].held_to is None
    # One finding among two tests of a section, of nine: 1 − .05 ÷ 9 ÷ (2 × 1.5).
    assert found[0].level == pytest.approx(1 - 0.05 / 27)
    assert found[1].level == estimates.LEVEL
    assert found[0].interval == pytest.approx((0.1 - 0.01 * 3.2879, 0.1 + 0.01 * 3.2879), abs=1e-4)
    assert found[1].interval == pytest.approx((0.01 - 0.01 * 2.0086, 0.01 + 0.01 * 2.0086), abs=1e-4)
