"""A thousand fuzzed annotation files, of all sources, 84 of each: a first look; `benchmarks/fuzz.py` runs 200,000."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import pytest

from benchmarks.fuzzing import bases, cases, checking, documents
from benchmarks.fuzzing.bases import Base
from benchmarks.fuzzing.cases import make_case
from benchmarks.fuzzing.checking import check
from benchmarks.fuzzing.reading import read, written
from benchmarks.fuzzing.running import fuzz, run_case
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


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Base]]:
    """A list of bases that are all there are."""
    mine: list[Base] = []
    for cached in (checking.expected, cases._anatomy):
        cached.cache_clear()
    monkeypatch.setattr(bases, "all_bases", lambda: {base.source: (base,) for base in mine})
    yield mine
    for cached in (checking.expected, cases._anatomy):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("name", "form"),
    [("conceptual_12m", "lines"), ("localized_narratives__flickr30k", "narratives"), ("red_caps", documents.UNREAD)],
)
def test_a_source_that_the_demo_does_not_have_is_fuzzed_by_its_golden_files(
    name: str, form: str, alone: list[Base]
) -> None:
    base = bases._golden(name)
    assert (base.form, base.label) == (form, "golden")
    alone.append(base)
    done = [run_case(make_case(SEED, number, [name])) for number in range(84)]
    assert not [problem for problems, _ in done for problem in problems]
    counts = sum((count for _, count in done), Counter[str]())
    assert 0 < counts["refused"] < 84
    assert (counts["untouched"] > 0) == (form != documents.UNREAD)


def test_lines_under_a_header_are_known_by_where_their_rows_stand() -> None:
    document = b"url\tcaption\n" + b"".join(b"https://a.example/%d.jpg\ta cat\n" % number for number in range(5))
    assert bases._form("conceptual_12m", {"cc12m.tsv": document}, {}) == "headed lines"
    assert [row.place for row in documents.rows("headed lines", {"cc12m.tsv": document}, None)][:2] == [
        "byte 12",
        "byte 42",
    ]
    with pytest.raises(documents.Unreadable):
        documents.rows("headed lines", {"cc12m.tsv": b"\n\n"}, None)
