"""Some hundreds of the answers of `benchmarks/answers.py`: odd in every part of HTTP, and no host decides for another."""

from __future__ import annotations

import pytest

from benchmarks import answering, answers


@pytest.mark.parametrize("policies", [False, True])
def test_no_answer_ends_a_run_or_is_taken_for_another(*, policies: bool) -> None:
    numbers = range(250)
    tally = answers.Tally(seed=1)
    with answering.Web(1, policies=policies) as web:
        answers.drive(1, numbers, web.port, tally, policies=policies)
    assert tally.counts["images"] == len(numbers)
    for what in ("runs_ended", "without_a_status", "not_storable", "denied_and_asked", "another_picture"):
        assert tally.counts[what] == 0, tally.failures
    assert {what: some for what, some in tally.failures.items() if what.startswith("shown_and_lost")} == {}
    assert tally.counts["shown_and_right"] > len(numbers) / 4


def test_answers_are_the_same_for_the_same_seed_and_all_parts_come() -> None:
    made = [answering.make(5, number, policies=True) for number in range(3000)]
    assert made[:50] == [answering.make(5, number, policies=True) for number in range(50)]
    parts = {part for answer in made for part in answer.parts}
    tables = {
        "status": answering._STATUS,
        "header": answering._HEADERS,
        "coding": answering._CODINGS,
        "framing": answering._FRAMINGS,
        "body": answering._UNSOUND,
        "to": answering._PLACES,
        "/robots.txt": answering._ROBOTS,
        "/.well-known/tdmrep.json": answering._TDMREP,
    }
    assert {f"{kind}: {name}" for kind, table in tables.items() for name in table} <= parts
    assert {"type", "interim answers", "bare line feeds", "sent: slowly", "sent: in part", "header: octets"} <= parts
