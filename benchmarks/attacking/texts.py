"""What is told of repeated texts: of each, of those that are nearly one, and of all that stand on many images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.attacking.cells import Cells, added, less
from benchmarks.attacking.drawn import STAGES, Audit
from benchmarks.attacking.rows import Sum
from pmd.audit.counting import repeated
from pmd.audit.counting.measure import CLASSES
from pmd.audit.statistics.suppression import LEAST
from pmd.text import neighbours


def after(source: str, text: str, stage: str) -> Sum:
    """Return the pairs of a text after a stage."""
    return {(source, text, place): 1.0 for place in range(CLASSES.index(stage), len(CLASSES))}


def texts(audit: Audit) -> dict[str, dict[str, list[int]]]:
    """Return source → text that ten images have → pairs by their last class."""
    of_all = {text for text, counts in audit.pairs.counts(audit.pairs.columns["form"]).items() if sum(counts) >= 10}
    found = {}
    for source in audit.sources:
        some = audit.pairs.of(source)
        found[source] = {text: one for text, one in some.counts(some.columns["form"]).items() if text in of_all}
    return found


def groups(audit: Audit) -> dict[str, list[str]]:
    """Return text → all that are nearly one with it."""
    some = sorted({text for rows in texts(audit).values() for text in rows})
    numbers = neighbours.groups(some, repeated.JACCARD)
    return {
        text: [other for other, same in zip(some, numbers, strict=True) if same == number]
        for text, number in zip(some, numbers, strict=True)
    }


def cells(audits: Sequence[Audit]) -> Cells:
    """Return the cells of all texts with what is told of them.

    Args:
        audits: The first has all sources; what others tell of some of them is known beside it.
    """
    whole = audits[0]
    rows = texts(whole)
    found = Cells(
        {
            (source, text, place): number
            for source, some in rows.items()
            for text, counts in some.items()
            for place, number in enumerate(counts)
        }
    )
    for source, stage in itertools.product(whole.sources, STAGES):
        told = whole.content["sources"][source][stage]["repeated"]["shared_by"][0]
        often = [one for one in _single(rows[source], source, stage) if found.true(one) >= repeated.FREQUENT]
        found.know(f"repeated in {source} after {stage}", added(often), told["pairs"])
    found.known_to_all()
    for audit in audits:
        some, near = texts(audit), groups(audit)
        for source, stage in itertools.product(audit.sources, STAGES):
            _of(audit.content["sources"][source][stage]["repeated"], some[source], near, (source, stage), found)
    return found


def _of(
    told: Mapping[str, Any], rows: Mapping[str, Any], near: Mapping[str, list[str]], at: tuple[str, str], found: Cells
) -> None:
    """Take in what is told of the texts of a source after a stage."""
    _often(f"{at}", told, _single(rows, *at), found)
    _often(f"nearly, {at}", told["near"], _joined(rows, near, *at), found)
    for row in told["largest"]:
        _row(row, after(at[0], row["text"], at[1]), found)
    for row in told["near"]["largest"]:
        _row(row, added(after(at[0], text, at[1]) for text in near[row["text"]] if text in rows), found)


def _single(rows: Mapping[str, Any], source: str, stage: str) -> list[Sum]:
    return [after(source, text, stage) for text in rows]


def _joined(rows: Mapping[str, Any], near: Mapping[str, list[str]], source: str, stage: str) -> list[Sum]:
    members = {tuple(near[text]) for text in rows}
    return [added(after(source, text, stage) for text in some if text in rows) for some in sorted(members)]


def _often(what: str, section: Mapping[str, Any], parts: list[Sum], found: Cells) -> None:
    """Take in the sums of all texts on so many images: the attacker knows which these are."""
    for row in section["shared_by"]:
        some = [one for one in parts if found.true(one) >= row["images"]]
        off = LEAST if row["pairs"] % (2 * LEAST) == 0 else 0
        if some:
            found.know(f"{row['images']} {what}", added(some), row["pairs"] - off, row["pairs"] + off)


def _row(row: Mapping[str, Any], parts: Sum, found: Cells) -> None:
    off = LEAST - 1 if row.get("as_before") else 0
    found.know(f"text {row['text']}", parts, row["pairs"] - off, row["pairs"] + off)


def aims(audit: Audit) -> Iterator[tuple[str, Sum]]:
    """Yield what is not to follow: texts after each stage, and what they lost between any two."""
    for source, rows in texts(audit).items():
        for text in rows:
            for stage in STAGES:
                yield f"{source}: text {text[-12:]} after {stage}", after(source, text, stage)
            for one, other in itertools.combinations(STAGES, 2):
                lost = less(after(source, text, one), after(source, text, other))
                yield f"{source}: text {text[-12:]} lost from {one} to {other}", lost
