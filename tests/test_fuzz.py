"""A thousand fuzzed annotation files, of all sources, 84 of each: a first look; `benchmarks/fuzz.py` runs 200,000."""

from __future__ import annotations

from collections import Counter
from typing import Final

from benchmarks.fuzzing.cases import make_case
from benchmarks.fuzzing.checking import check
from benchmarks.fuzzing.reading import read, written
from benchmarks.fuzzing.running import fuzz
from pmd import sources

CASES: Final = 84 * len(sources.names())
SEED: Final = 4242


def test_no_crash_and_every_untouched_row_as_it_was() -> None:
    counts: Counter[str] = Counter()
    found: Counter[str] = Counter()
    failures = []
    for done in fuzz(SEED, range(CASES), sources.names(), processes=2):
        counts.update(done.counts)
        found[done.source] += 1
        failures += [(done.number, problem) for problem in done.problems]
    assert not failures, failures[:3]
    assert found == dict.fromkeys(sources.names(), CASES // len(sources.names()))
    # That it would see a loss: most cases are read, and most of their rows are untouched.
    assert counts["identical"] == counts["untouched"] > 5 * CASES
    assert 0 < counts["refused"] < CASES // 2


def test_a_changed_row_is_seen() -> None:
    number, case = next(
        (number, case)
        for number in range(500)
        if (case := make_case(SEED, number, sources.names())).base.form == "lines"
        and case.mutation == "rows cut"
        and case.packing == "plain"
    )
    names = sorted(case.disk)
    with written(case.disk) as folder:
        outcome = read(case.base, case.profile, folder, names)
        assert check(case, outcome, folder)[0] == [], number
        place, row = outcome.outputs[0]
        outcome.outputs[0] = (place, (*row[:-1], "another detail"))
        assert any("changed" in problem for problem in check(case, outcome, folder)[0])
        del outcome.outputs[0]
        assert check(case, outcome, folder)[0]
