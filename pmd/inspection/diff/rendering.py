"""The answer of `pmd diff` as people read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from pmd import escape
from pmd.inspection.diff import excerpts, pairs
from pmd.terminal import bar, tables

_OTHERWISE: Final = {
    "text": "another text",
    "image_url": "another URL",
    "rest": "other fields beside text and URL",
    "detail": "rejected for the same reason, with another detail",
}

_VERDICTS: Final = {
    "only_ours": "A keeps it, B has it not",
    "only_theirs": "B has it, A does not",
    "alike": "the texts are alike",
    "other_text": "the texts differ",
}


def render(found: Mapping[str, Any], width: int = 120) -> str:
    """Return what `diff` found as text."""
    found = escape.shown(found)
    write = _Page(width)
    write.say(f"A: {found['a']}")
    write.say(f"B: {found['b']}")
    if found["kind"] == "annotations":
        _annotations(write, found)
    else:
        _sides(write, found)
    return write.text()


class _Page(tables.Page):
    """Lines that stay whole, and tables of cells as they are counted."""

    def say(self, words: str = "") -> None:
        self.write(words, wrap=False)

    def rows(self, title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a table, or nothing where it has no rows; numbers stand to the right."""
        listed = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
        if not listed:
            return
        self.say(f"\n{title}")
        figures = [
            place for place in range(len(headings)) if all(row[place].replace(",", "").isdigit() for row in listed)
        ]
        self.write(tables.table(headings, listed, right=figures))


def _sides(write: _Page, found: Mapping[str, Any]) -> None:
    images = found["images"]
    counted = bar.amount(found["pairs"], "pairs")
    counted += f", {bar.amount(max(images['a'], images['b']), 'images')}" if images else ""
    if found["equal"]:
        write.say(f"The same: {counted}, as far as both have come.")
    _alone(write, found)
    if found["equal"]:
        return
    _pairs(write, found)
    if images:
        _images(write, images)
    write.rows(
        "Texts whose group of near-duplicates differs",
        ("in A", "in B", "texts"),
        [[line["from"], line["to"], line["texts"]] for line in found["near_texts"]],
    )
    write.rows(
        "Outputs, by their bytes",
        ("folder", "is"),
        [[line["folder"], line["is"]] for line in found["outputs"] if line["is"] != "the same"],
    )
    write.rows(
        "Options that differ (was: A, is: B)",
        ("folder", "option"),
        [[line["folder"], line["says"].removeprefix("option ")] for line in found["options"]],
    )
    if found["examples"]:
        _examples(write, found["examples"])


def _alone(write: _Page, found: Mapping[str, Any]) -> None:
    """Write what only one side has, and what was therefore not compared."""
    for line in found["only_in"]:
        left = line["pairs"] - line["kept"]
        write.say(
            f"Only {line['only_in'].upper()} has {line['source']}: {bar.amount(line['pairs'], 'pairs')}"
            + (f", of which {left:,} {'is' if left == 1 else 'are'} rejected." if left else ".")
        )
    by_source: dict[tuple[str, str], list[str]] = {}
    for line in found["not_compared"]:
        by_source.setdefault((line["only_in"], line["source"]), []).append(line["stage"])
    for (side, source), stages in by_source.items():
        write.say(f"Not compared, since only {side.upper()} has it: {', '.join(stages)} of {source}.")


def _pairs(write: _Page, found: Mapping[str, Any]) -> None:
    """Write what differs of the pairs."""
    write.rows(
        "Pairs kept, by source and stage, where they differ",
        ("source", "stage", "A", "B", "only A", "only B"),
        [
            [line[name] for name in ("source", "stage", "a", "b", "only_a", "only_b")]
            for line in found["stages"]
            if line["only_a"] or line["only_b"]
        ],
    )
    alone = {line["source"] for line in found["only_in"]}  # which is told in a line of its own
    fared = [line for line in found["fared"] if line["source"] not in alone]
    write.rows(
        "Pairs added, removed, changed, died and revived from A to B",
        ("source", *pairs.FARED),
        [[line[name] for name in ("source", *pairs.FARED)] for line in fared],
    )
    write.rows(
        "Died and revived, by status",
        ("source", "how", "status", "pairs"),
        [
            [line["source"], *(row[name] for name in ("how", "status", "pairs"))]
            for line in fared
            for row in line["statuses"]
        ],
    )
    write.rows(
        "Pairs that something else became of",
        ("source", "in A", "in B", "pairs"),
        [[line["source"], line["from"], line["to"], line["pairs"]] for line in found["moved"]],
    )
    write.rows(
        "Pairs of both that say something else",
        ("source", "what", "pairs"),
        [[line["source"], _OTHERWISE[line["what"]], line["pairs"]] for line in found["changed"]],
    )


def _examples(write: _Page, examples: Iterable[Mapping[str, Any]]) -> None:
    write.say("\nExamples of pairs")
    for example in examples:
        name = f"{example['source']}/{example['source_id']}" if example["source_id"] else example["source"]
        what = f"{example['from']} → {example['to']}" if example["what"] == "fate" else _OTHERWISE[example["what"]]
        write.say(f"  {name} (pair {example['pair_id']}): {what}")
        _says(write, example["a"], example["b"], urls=example["what"] == "image_url")


def _images(write: _Page, images: Mapping[str, Any]) -> None:
    for side, count in images["only_in"].items():
        if count:
            write.say(f"Only {side.upper()} has {bar.amount(count, 'images')} that no source of both shows.")
    write.rows(
        "Images whose status differs",
        ("in A", "in B", "images"),
        [[line["from"], line["to"], line["images"]] for line in images["moved"]],
    )
    words = {
        "locations": "other locations",
        "sha256": "other bytes from the web",
        "perceptual_hash": "other perceptual hash",
        "outcome": "other size",
        "rest": "other sources or identity",
    }
    write.rows(
        "Images of both that differ",
        ("what", "images"),
        [[words[line["what"]], line["images"]] for line in images["changed"]],
    )
    write.rows(
        "Images that another one stands for, or that leave in dedupe, where they differ",
        ("in A", "in B", "images"),
        [[line["from"], line["to"], line["images"]] for line in images["groups"]],
    )
    if images["examples"]:
        write.say("\nExamples of images")
    for example in images["examples"]:
        what = words.get(example["what"]) or f"{example['from']} → {example['to']}"
        write.say(f"  {example['identity']} (image {example['image_id']}): {what}")


def _annotations(write: _Page, found: Mapping[str, Any]) -> None:
    write.say("Experimental: the form of facebook/pmd's annotation files is known from code that reads them alone.")
    if found["equal"]:
        write.say(f"The same: all rows of B ({found['rows']:,}) are images and texts that curate keeps in A.")
        return
    write.rows(
        "Images, as curate judges them (A) and in the file (B)",
        ("source", "A keeps", "B has", "both", "agreement", "same text", "alike", "other text", "only A", "only B"),
        [
            [
                line["source"],
                line["ours"],
                line["theirs"],
                line["both"],
                f"{100 * line['agreement']:.2f} %",
                *(line[name] for name in ("same_text", "alike", "other_text", "only_ours")),
                sum(line["only_theirs"].values()),
            ]
            for line in found["sources"]
        ],
    )
    write.say("agreement: images of both ÷ images of either. alike: the same letters and digits, whatever their case.")
    write.rows(
        "B has it, and A does not: why",
        ("source", "reason of A", "images"),
        [[line["source"], reason, count] for line in found["sources"] for reason, count in line["only_theirs"].items()],
    )
    unread, untold = found["unreadable"], found["unidentified"]
    if unread:
        write.say(f"{bar.amount(unread, 'lines')} of B cannot be read as {'a row' if unread == 1 else 'rows'}.")
    if untold:
        does = "does not tell its" if untold == 1 else "do not tell their"
        write.say(f"{bar.amount(untold, 'rows')} of B {does} image.")
    for place in found["first"]:
        write.say(f"  {place}")
    for source, rows in found["not_curated"].items():
        are = "is" if rows == 1 else "are"
        write.say(f"{bar.amount(rows, 'rows')} of B {are} of {source}, which A has not curated.")
    if found["examples"]:
        write.say("\nExamples")
    for example in found["examples"]:
        reason = f": {example['reason']}" if example["reason"] else ""
        name = example["ours"].get("source_id") or f"image {example['image_id']}"
        write.say(f"  {example['source']}/{name}: {_VERDICTS[example['what']]}{reason}")
        _says(write, example["ours"], example["theirs"])


def _says(write: _Page, one: Mapping[str, Any], other: Mapping[str, Any], *, urls: bool = False) -> None:
    """Write what two sides say of a pair: its text or URL around the first difference, why it left, and the row upstream."""
    for field, value in one.get("fields", {}).items():
        alike = excerpts.around(_spelled(value), _spelled(other["fields"][field]))
        for side, excerpt in zip("AB", alike, strict=True):
            write.say(f"      {side}: {field}: {excerpt}")
    if "fields" in one:
        return
    name = "image_url" if urls else "text"
    texts: list[str | None] = [says.get(name) for says in (one, other)]
    if texts[0] is not None and texts[1] is not None:
        texts = [*excerpts.around(texts[0], texts[1])]
    for side, says, text in zip("AB", (one, other), texts, strict=True):
        shown = excerpts.cut(text) if text is not None else None
        detail, where, upstream, unread = (says.get(key) for key in ("detail", "where", "upstream", "unread"))
        if shown is not None:
            write.say(f"      {side}: {shown}" + (f"  ({detail})" if detail else ""))
        elif detail or where:
            write.say(f"      {side}: {'; '.join(filter(None, (detail, where)))}")
        if shown is None and upstream:
            write.say(f"         the row there: {excerpts.cut(upstream)}")
        elif shown is None and unread:
            write.say(f"         the row there: not read: {unread}")


def _spelled(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "nothing" if value is None else orjson.dumps(value).decode()
