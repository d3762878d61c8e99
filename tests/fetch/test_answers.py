"""Some hundreds of the answers of `benchmarks/answers.py`: odd in every part of HTTP, and no host decides for another."""

from __future__ import annotations

import pytest

from benchmarks import answering, answers

#: Parts that a browser takes and aiohttp does not: what its parser refuses, and kept connections that the host closes.
STRICT = {
    "closed unsaid",
    "framing: chunks and length",
    "framing: length below zero",
    "framing: length of no number",
    "framing: length twice",
    "header: no colon",
    "header: no name",
    "header: octets in name",
    "header: odd name",
    "header: space before colon",
    "status: small letters",
}


@pytest.mark.parametrize("policies", [False, True])
def test_no_answer_ends_a_run_or_is_taken_for_another(*, policies: bool) -> None:
    numbers = range(250)
    tally = answers.Tally(seed=1)
    with answering.Web(1, policies=policies) as web:
        answers.drive(1, numbers, web.port, tally, policies=policies)
    assert tally.counts["images"] == len(numbers)
    for what in ("runs_ended", "without_a_status", "not_storable", "denied_and_asked", "another_picture"):
        assert tally.counts[what] == 0, tally.failures
    lost = {number for what, some in tally.failures.items() if what.startswith("shown_and_lost") for number in some}
    parts = {number: set(answering.make(1, number, policies=policies).parts) for number in lost}
    assert {number: odd for number, odd in parts.items() if not odd & STRICT} == {}
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
