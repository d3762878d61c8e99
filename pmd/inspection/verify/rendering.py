"""What `pmd verify` has found, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pmd import escape
from pmd.takedown import receipts
from pmd.terminal import bar


def render(result: Mapping[str, Any]) -> str:
    """Return what was found as people read it."""
    result = escape.shown(result)
    notes = [
        f"  note: {note['place']}: {note['what']}" + (f" ({note['found']})" if note["found"] else "")
        for note in result["notes"]
    ]
    if result["kind"] == "release":
        return "\n".join([*_rendered_release(result), *notes])
    counted = (
        f"{bar.amount(result['files'], 'files')}, {result['bytes']:,} bytes, {bar.amount(result['rows'], 'rows')} "
        f"of {bar.amount(result['commits'], 'commits')} recounted"
    )
    if result["released"]:
        counted += f", {bar.amount(result['released'], 'files')} of the release held to its checksums"
    if not result["problems"]:
        return "\n".join([f"{counted}: all of it is as the commits say, and the books balance.", *notes])
    lines = [f"{counted}: {bar.amount(len(result['problems']), 'problems')}", *_listed(result["problems"]), *notes]
    if any(note["place"] == receipts.PLACE for note in result["notes"]):
        lines.append(
            "A takedown was stopped: run `pmd takedown apply CONFIG` first, which does the rest, and verify again."
        )
        return "\n".join(lines)
    lines.append(
        "If a stage ran alone, or the configuration changed, `pmd build CONFIG` brings the others after it. If files were "
        "changed or lost, `pmd repair ROOT` makes or fetches them again, and nothing else."
    )
    return "\n".join(lines)


def _rendered_release(result: Mapping[str, Any]) -> Iterator[str]:
    counted = f"{bar.amount(result['released'], 'files')} of a release held to its checksums"
    if not result["problems"]:
        yield f"{counted}: all of them are as they were written."
        return
    yield f"{counted}: {bar.amount(len(result['problems']), 'problems')}"
    yield from _listed(result["problems"])
    yield "Copy these files again from where the release came from. Under the ROOT that it was made in, `pmd repair ROOT` does."


def _listed(problems: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for problem in problems:
        yield f"  {problem['place']}: {problem['what']}"
        if problem["expected"] or problem["found"]:
            yield f"      expected: {problem['expected']}"
            yield f"      found:    {problem['found']}"
