"""The report's section on whether loss struck unevenly: what was asked, what of it could be answered, and the findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pmd import flow
from pmd.audit.report import formatting, page
from pmd.audit.report.steps_section import NAMES, OF_SIZES, value
from pmd.escape import html as escape

#: Findings that are listed, and tests of dead links: the page stays readable however many there are.
SHOWN: Final = 20
SHOWN_TESTS: Final = 100

#: Section of tests → what it asks, of the pairs that a step took.
_ASKED: Final = {
    "languages": "captions in English",
    "gendered": "gendered terms of captions",
    "countries": "countries of geotags",
    "incomes": "income classes of countries",
    "years": "years of photographs and posts",
    "user_sizes": "users by how many pairs they had at first",
    "host_sizes": "hosts by how many pairs they had at first",
}

#: What findings may be relied on for, of whatever sections of the page.
_OF_ALL: Final = (
    "Of all findings of this page, those of terms and words included, no more than 5 % are false on average; nor are they of "
    "any of its sections that you choose. Where nothing has to do with anything, no more than one page of twenty has a finding."
)

_HEAD: Final = ("<what", "<source", "<step", "<clustered by", "clusters", "points", "<interval", "p", "<")


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    tests = result["tests"]
    method = f'<p class="coverage"><b>Tests</b> {escape(result["methods"]["losses"])}</p>'
    if not tests:
        return '<p class="reading">Nothing was lost that could be told apart.</p>' + method
    found = sorted((test for test in tests if test["finding"]), key=lambda test: -abs(test["effect"]))
    refused = sum(test["refused"] is not None for test in tests)
    findings = formatting.verb(len(found), "is a finding", "are findings")
    reading = (
        f"Of {formatting.counted(len(tests), 'test')} {formatting.count(len(found))} {findings}; "
        f"{formatting.count(refused)} cannot be answered, since too little was lost or "
        "few users or hosts decide."
    )
    sizes = "".join(f'<p class="reading">{escape(said)}</p>' for said in _of_sizes(result))
    shown = [_row(result, test) for test in found[:SHOWN]]
    more = len(found) - len(shown)
    further = f"{formatting.counted(more, 'further finding')}, smaller than these, and all" if more > 0 else "All"
    elsewhere = f"{further} tests stand in the table "
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + f'<p class="soft">{escape(_OF_ALL)}</p>'
        + sizes
        + _questions(tests)
        + (page.table(_HEAD, shown, label="Findings, the largest first", shown=True) if shown else "")
        + _of_dead_links(result)
        + '<p class="soft">Points: how far the share of pairs moved; of users and hosts by their size, how much more, or less, '
        "of its pairs one such keeps on average than one of any other size.</p>"
        + f'<p class="soft">{elsewhere}“tests” <a href="#tables">beside the page</a>. A single host is one cluster, of which no '
        'test can tell: hosts are tested by their size, and what each lost stands <a href="#steps">above</a>.</p>'
        + method
    )


def _of_sizes(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield whether links of small users, or hosts, died more often than of large ones: of each source where it can be told."""
    for section, units in OF_SIZES.items():
        asked: dict[str, list[Mapping[str, Any]]] = {}
        for test in result["tests"]:
            if (test["section"], test["stage"]) == (section, flow.FETCH.name) and test["refused"] is None:
                asked.setdefault(test["source"], []).append(test)
        for source, tests in asked.items():
            found = [_size(result, test) for test in tests if test["finding"]]
            yield f"Dead links of {source}: {'; '.join(found) or f'{units} of no size are known to have fared otherwise'}."


def _size(result: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    """Return how much more, or less, units of a size keep than others, for sure."""
    more = "more" if test["effect"] > 0 else "less"
    return (
        f"{value(result, test['section'], test['property'])} keep {abs(test['effect']) * 100:.1f} points {more} of their pairs "
        f"than others ({formatting.signed(test['low'])} to {formatting.signed(test['high'])})"
    )


def _of_dead_links(result: Mapping[str, Any]) -> str:
    """Return all tests of dead links that could be answered, whatever they say."""
    answered = [test for test in result["tests"] if test["stage"] == flow.FETCH.name and test["refused"] is None]
    if not answered:
        return ""
    rows = [_row(result, test) for test in answered[:SHOWN_TESTS]]
    most = "" if len(rows) == len(answered) else f", the first {SHOWN_TESTS} of {formatting.count(len(answered))}"
    return (
        f"<details><summary>Dead links: all tests that could be answered{most}</summary>"
        f"{page.table(_HEAD, rows, label='Tests of dead links', shown=True)}</details>"
    )


def _questions(tests: list[Mapping[str, Any]]) -> str:
    """Return what was asked, and how much of it could be answered."""
    rows = []
    for name, asked in _ASKED.items():
        mine = [test for test in tests if test["section"] == name]
        if mine:
            kinds = sorted({test["cluster"] for test in mine})
            numbers = [
                len(mine),
                sum(test["finding"] for test in mine),
                sum(test["refused"] is not None for test in mine),
            ]
            rows.append(page.row(asked, page.Words(" or ".join(kinds)), *map(formatting.count, numbers)))
    head = ("<did a step take more or fewer of", "<clustered by", "tests", "findings", "without an answer")
    return page.table(head, rows, label="What was asked", shown=True)


def _row(result: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    interval = "" if test["low"] is None else f"{formatting.signed(test['low'])} to {formatting.signed(test['high'])}"
    p = "–" if test["p"] is None else f"{test['p']:.3f}" if test["p"] >= 0.001 else "<0.001"
    step = NAMES.get(test["stage"], test["stage"])
    return (
        f'<tr><th scope="row">{escape(value(result, test["section"], test["property"]))}</th>'
        f'<td class="words">{escape(test["source"])}</td>'
        f'<td class="words">{escape(step)}</td><td class="words">{escape(test["cluster"])}</td>'
        f"<td>{formatting.count(test['clusters'])}</td><td>{formatting.signed(test['effect'])}</td>"
        f'<td class="words">{escape(interval)}</td><td>{escape(p)}</td>'
        f'<td class="words">{"finding" if test["finding"] else ""}</td></tr>'
    )
