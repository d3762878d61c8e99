"""Labels by hand: sheets of texts for two people, and what their labels say of the gendered lists.

    drawn    texts of a ROOT with the terms that they have → `Row`s, by stratum
    agreed   the rows and two filled sheets → agreement, precision by term, corrected rates

Strata are the commonest female and male terms, all other ones together, and texts without any: what lists miss is seen in
these alone. A text with several terms is in the stratum of the rarest. Of each stratum as many texts are drawn, by a hash of
pair_id, so weights are what the strata have ÷ what was drawn. Those who label do not see the strata: these stand in a key beside
the sheets, whose order is that of the ids. (In the order of the hash frequent strata would stand first: of many texts the least
hashes are smaller than of few.)

Texts may name people, so sheets are private. They lie in `ROOT/labels/`, which only their owner can read, no stage takes in and
no release has; they are files under ROOT, so that whoever has to remove a pair finds it there.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import re
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd import escape, flow
from pmd.audit.counting import measure
from pmd.audit.texts import vocabulary, words
from pmd.audit.texts.lexicon import Absent, Lexicon
from pmd.errors import ConfigError, InputError, RootError
from pmd.formats import encoding
from pmd.store import commits, failures, parquet_files, root, storage
from pmd.terminal import bar
from pmd.text import language
from pmd.text.tokens import Tokens

#: Where the sheets lie under ROOT, and their names.
FOLDER: Final = "labels"
KEY: Final = "key.csv"
SHEETS: Final = ("labeller-1.csv", "labeller-2.csv")

#: Texts that are looked at, of all sources together; and texts of a stratum from which rates are corrected.
LOOKED_AT: Final = 200_000
LEAST: Final = 30

#: The questions, each a column of a sheet, and what may be answered; nothing is no label.
QUESTIONS: Final = {
    "female": "Does the text speak of a woman or a girl?",
    "male": "Does the text speak of a man or a boy?",
}
YES, NO, UNSURE = "yes", "no", "unsure"
ANSWERS: Final = (YES, NO, UNSURE)

#: With a byte order mark: without one, spreadsheets on Windows take the texts for another encoding, and spoil them.
_ENCODING: Final = "utf-8-sig"
#: What spreadsheets put between the cells of a CSV that they save, as the country has it.
_PARTED_BY: Final = (",", ";", "\t")

#: What a cell without anything may have: white space, and NUL, which a disk that was full leaves.
_BLANK: Final = " \t\r\n\0\u00a0"
_PAIR_ID: Final = re.compile("[0-9a-f]{32}")

NO_TERM: Final = "no term"
OTHER: Final = "other terms"


@dataclasses.dataclass(frozen=True)
class Row:
    """A text of the sheets.

    Attributes:
        pair_id: In hexadecimal.
        source: Its source.
        text: The text.
        stratum: A term, `OTHER` or `NO_TERM`.
        lists: The gendered lists that it has a term of, with spaces between.
        weight: How many texts of those looked at it stands for.
    """

    pair_id: str
    source: str
    text: str
    stratum: str
    lists: str
    weight: float


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A text that could be drawn, with its gendered terms and their lists; `order` is a hash."""

    order: int
    pair_id: str
    source: str
    text: str
    terms: tuple[str, ...]
    lists: frozenset[str]


def drawn(candidates: Sequence[Candidate], number: int) -> list[Row]:
    """Return about `number` texts in an order that says nothing of their strata, as many of each stratum as there are.

    Args:
        candidates: English texts, in any order.
        number: `LEAST` for each stratum; the commonest terms have strata of their own, as many as it suffices for.
    """
    common = Counter(term for one in candidates for term in one.terms)
    own = [term for term, _ in sorted(common.items(), key=lambda item: (-item[1], item[0]))][
        : max(number // LEAST - 2, 0)
    ]
    strata: dict[str, list[Candidate]] = {}
    for one in candidates:
        mine = [term for term in one.terms if term in own]
        stratum = min(mine, key=lambda term: (common[term], term)) if mine else OTHER if one.terms else NO_TERM
        strata.setdefault(stratum, []).append(one)
    rows: list[Row] = []
    for stratum, texts in strata.items():
        some = sorted(texts, key=lambda one: one.order)[: max(number // max(len(strata), 1), 1)]
        weight = len(texts) / len(some)
        rows += [Row(one.pair_id, one.source, one.text, stratum, " ".join(sorted(one.lists)), weight) for one in some]
    return sorted(rows, key=lambda row: row.pair_id)


def candidates(root_url: str, lexicon: Lexicon, looked_at: int = LOOKED_AT) -> Iterator[Candidate]:
    """Yield English texts that curate kept, at most about `looked_at` of all sources together, every text as likely.

    Raises:
        RootError: Nothing is curated there.
    """
    sources = root.curated_sources(root_url)
    if not sources:
        raise RootError("nothing to label: no source is curated here", where=root_url, remedy="run: pmd build CONFIG")
    folders = {source: root.curate_folder(root_url, source) for source in sources}
    listed = {source: commits.require(folder, f"run: {flow.CURATE.command}") for source, folder in folders.items()}
    pairs = sum(commit.sources[source].kept for source, commit in listed.items())
    limit = measure.EVERYTHING if pairs <= looked_at else looked_at * 2**64 // pairs
    known = vocabulary.of(lexicon)
    for source, commit in listed.items():
        for file in commit.under("pairs"):
            for batch in parquet_files.iterate(storage.join(folders[source], file.name), ("pair_id", "text")):
                yield from _of_batch(source, batch, known, limit)


def _of_batch(source: str, batch: pa.RecordBatch, known: vocabulary.Vocabulary, limit: int) -> Iterator[Candidate]:
    order = measure.hashes(batch.column("pair_id"))
    some = pa.array(np.flatnonzero(order < np.uint64(limit)))
    texts = batch.column("text").take(some)
    tokens = Tokens.of(texts)
    english = pc.equal(language.languages(tokens), "en")
    places = some.filter(english)
    texts, ids = batch.column("text").take(places), batch.column("pair_id").take(places)
    found = known.matcher.find(words.split(tokens.only(np.flatnonzero(english.to_numpy(zero_copy_only=False)))))
    terms: list[list[vocabulary.Term]] = [[] for _ in range(len(texts))]
    for row, number in zip(found.rows.tolist(), found.terms.tolist(), strict=True):
        term = known.terms[number]
        if term.lists & {"female", "male"}:
            terms[row].append(term)
    for place, pair_id, text, mine in zip(places.to_pylist(), ids.to_pylist(), texts.to_pylist(), terms, strict=True):
        lists = frozenset().union(*(term.lists for term in mine)) & {"female", "male"}
        yield Candidate(int(order[place]), bytes(pair_id).hex(), source, text, tuple(term.name for term in mine), lists)


def write(root_url: str, lexicon: Lexicon | Absent, number: int) -> list[Path]:
    """Write the key and the two sheets; return their paths.

    Raises:
        ConfigError: ROOT is not on this machine, there are sheets already, the lists are absent or the number is too small.
    """
    folder = _folder(root_url)
    if isinstance(lexicon, Absent):
        raise ConfigError("no lists to be labelled", where="pmd label", found=lexicon.reason, remedy=lexicon.remedy)
    if number < 2 * LEAST:
        raise ConfigError(
            "too few texts", where="--number", expected=f"{2 * LEAST} or more, {LEAST} a stratum", found=str(number)
        )
    if any((folder / name).exists() for name in (KEY, *SHEETS)):
        raise ConfigError("there are sheets already", where=str(folder), remedy="read them, then move them away")
    rows = drawn(list(candidates(root_url, lexicon)), number)
    if not rows:
        raise InputError("no English text to label", where=root_url, expected="a source with English captions")
    folder.mkdir(mode=0o700, exist_ok=True)
    names = [field.name for field in dataclasses.fields(Row) if field.name != "text"]
    contents = {KEY: _csv(names, [[str(getattr(row, name)) for name in names] for row in rows])}
    head = ["pair_id", "text", *QUESTIONS]
    empty = [""] * len(QUESTIONS)
    for name in SHEETS:
        contents[name] = _csv(head, [[row.pair_id, escape.cell(row.text), *empty] for row in rows])
    with failures.at(root_url):
        _write_all_or_none({folder / name: content for name, content in contents.items()})
    return [folder / name for name in contents]


def _write_all_or_none(contents: Mapping[Path, str]) -> None:
    """Write files that only their owner can read: all of them or, where one cannot be written, none.

    What people have filled in outlives a power cut, as it was or as it is to be.
    """
    drafts = {path: path.with_name(f"{storage.TEMPORARY}{uuid.uuid4().hex}") for path in contents}
    try:
        for path, draft in drafts.items():
            draft.touch(mode=0o600)
            draft.write_text(contents[path], encoding=_ENCODING, newline="")
            with draft.open("rb") as file:
                os.fsync(file.fileno())
        for path, draft in drafts.items():
            os.replace(draft, path)
        storage.sync_folders(map(str, contents))
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _folder(root_url: str) -> Path:
    if "://" in root_url:
        raise ConfigError("labels stay on this machine", where=root_url, expected="a ROOT in a local folder")
    return Path(root_url) / FOLDER


def _csv(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    held = io.StringIO()
    writer = csv.writer(held)
    writer.writerow(head)
    writer.writerows(rows)
    return held.getvalue()


def listed(root_url: str) -> set[str]:
    """Return the pairs whose texts are in the sheets of a ROOT, in hexadecimal; none where it has no sheets."""
    return {pair_id for path in _sheets(root_url) for _, line in _lines(path) if (pair_id := _named(line))}


def leave_out(root_url: str, pair_ids: Collection[str]) -> None:
    """Remove pairs from the key and the sheets; what was filled in for the others stays."""
    for path in _sheets(root_url):
        lines = [line for _, line in _lines(path)]
        left = [line for line in lines if _named(line) not in pair_ids]
        if len(left) == len(lines):
            continue
        names = [name for name in lines[0] if name is not None]
        _write_all_or_none({path: _csv(names, [[line[name] or "" for name in names] for line in left])})


def _sheets(root_url: str) -> list[Path]:
    """Return the key and all sheets, copies that somebody has made beside them too."""
    folder = Path(root_url) / FOLDER
    if "://" in root_url or not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.casefold() == ".csv" and path.is_file())


def _named(line: Mapping[str, str]) -> str | None:
    """Return the pair that a line names, in hexadecimal; None where it names none, as a line of notes or sums."""
    pair_id = (line.get("pair_id") or "").strip().casefold()
    return pair_id if _PAIR_ID.fullmatch(pair_id) else None


def read(root_url: str) -> dict[str, Any]:
    """Return what the two filled sheets of a ROOT say.

    Raises:
        InputError: A sheet is not there, has other texts than were drawn, one of them twice, or other answers.
    """
    folder = _folder(root_url)
    key = _key(folder / KEY)
    return agreed(key, [_labels(folder / name, key) for name in SHEETS])


def _key(path: Path) -> list[Row]:
    rows: dict[str, Row] = {}
    for number, line in _lines(path):
        pair_id = _named(line)
        try:
            weight = float((line["weight"] or "").replace(",", "."))  # as spreadsheets of many countries have it
            if pair_id is None or pair_id in rows or not 1 <= weight < math.inf:
                raise ValueError
            rows[pair_id] = Row(pair_id, line["source"], "", line["stratum"] or "", line["lists"] or "", weight)
        except (KeyError, ValueError):
            raise InputError(
                "the key is not as it was written",
                where=f"{path}:{number}",
                expected="a pair_id, each once, with source, stratum, lists and a weight of 1 or more",
                found=", ".join(str(cell) for cell in line.values()),
                remedy="put the key back from a copy; without one, move all three away and run: pmd label ROOT --number 210",
            ) from None
    return list(rows.values())


def _lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of a CSV that are not blank, with their numbers; names of columns are in small letters.

    Raises:
        InputError: It is not there, is in UTF-16, or is no CSV.
    """
    if not path.is_file():
        root.require(str(path.parent.parent))
        raise InputError("no such sheet", where=str(path), remedy="run: pmd label ROOT --number 210")
    content = encoding.without_mark(path.read_bytes(), str(path))
    try:
        text = content.decode()
    except UnicodeDecodeError:  # what is read of it, ids and answers, is ASCII in either
        text = content.decode("cp1252", "replace")
    parted_by = max(_PARTED_BY, key=next(iter(text.splitlines()), "").count)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=parted_by)
    try:
        reader.fieldnames = [name.strip().casefold() for name in reader.fieldnames or ()]
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as problem:
        raise InputError("no table", where=str(path), expected="a CSV", found=str(problem)) from problem
    return [(number, line) for number, line in lines if any(cell.strip(_BLANK) for cell in _cells(line))]


def _cells(line: Mapping[str, Any]) -> list[str]:
    """Return the cells of a line; those beyond the last column are a list of their own."""
    return [cell for value in line.values() for cell in (value if isinstance(value, list) else [value or ""])]


def _labels(path: Path, key: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return question → pair → answer, of those that were answered."""
    known = {row.pair_id for row in key}
    seen: set[str] = set()
    found: dict[str, dict[str, str]] = {question: {} for question in QUESTIONS}
    for number, line in _lines(path):
        _require_columns(path, line)
        pair_id = _named(line)
        if pair_id not in known:
            raise InputError(
                "a line that was not drawn",
                where=f"{path}:{number}",
                expected=f"a pair_id of {KEY}",
                found=str(line["pair_id"]),
            )
        if pair_id in seen:
            raise InputError(
                "a text that stands in the sheet twice",
                where=f"{path}:{number}",
                expected="each pair_id once",
                found=pair_id,
                remedy="remove the line whose answers do not count",
            )
        seen.add(pair_id)
        for question in QUESTIONS:
            answer = (line[question] or "").strip().casefold()
            if answer and answer not in ANSWERS:
                raise InputError(
                    "an answer that is none",
                    where=f"{path}:{number}, {question}",
                    expected=f"{', '.join(ANSWERS)}, or nothing",
                    found=repr(line[question]),
                )
            if answer:
                found[question][pair_id] = answer
    return found


def _require_columns(path: Path, line: Mapping[str, Any]) -> None:
    if not line.keys() >= {"pair_id", *QUESTIONS}:
        raise InputError(
            "a sheet without its columns",
            where=f"{path}:1",
            expected=f"a head with pair_id, {' and '.join(QUESTIONS)}",
            found=", ".join(repr(name) for name in line if name is not None),
            remedy="put the head back as it was written; others may stand beside these, without commas in their names",
        )


def agreed(key: Sequence[Row], labels: Sequence[Mapping[str, Mapping[str, str]]]) -> dict[str, Any]:
    """Return, of each question, the agreement of two labellers, precision by term and the corrected rate.

    A text counts as what both say; where they differ, or one is unsure, as half. Rates are corrected where every stratum has
    `LEAST` texts that both have labelled, or all there are.

    Args:
        key: The rows that were drawn.
        labels: Of each labeller: question → pair → answer.
    """
    found = {}
    for question in QUESTIONS:
        one, other = (label[question] for label in labels)
        both = [row for row in key if row.pair_id in one and row.pair_id in other]
        scores = {row.pair_id: _score(one[row.pair_id], other[row.pair_id]) for row in both}
        found[question] = {
            "labelled": len(both),
            "kappa": kappa([(one[row.pair_id], other[row.pair_id]) for row in both]),
            "precision": _precision(key, both, question, scores),
            **_rates(key, both, question, scores),
        }
    return found


def _score(one: str, other: str) -> float:
    return {(YES, YES): 1.0, (NO, NO): 0.0}.get((one, other), 0.5)


def kappa(answers: Sequence[tuple[str, str]]) -> float | None:
    """Return Cohen's kappa: agreement beyond that of chance; None where nothing was labelled, or all is one answer."""
    if not answers:
        return None
    number = len(answers)
    observed = sum(one == other for one, other in answers) / number
    first, second = (Counter(pair[place] for pair in answers) for place in (0, 1))
    expected = sum(first[answer] * second[answer] for answer in ANSWERS) / number**2
    return (observed - expected) / (1 - expected) if expected < 1 else None


def _precision(
    key: Sequence[Row], both: Sequence[Row], question: str, scores: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return, of each stratum whose texts have a term of the list, the part that speaks of such a person."""
    rows = []
    for stratum in sorted({row.stratum for row in key} - {NO_TERM}):
        some = [row for row in both if row.stratum == stratum and question in row.lists.split()]
        if some:
            share = math.fsum(scores[row.pair_id] for row in some) / len(some)
            rows.append({"term": stratum, "labelled": len(some), "precision": share})
    return rows


def _rates(key: Sequence[Row], both: Sequence[Row], question: str, scores: Mapping[str, float]) -> dict[str, Any]:
    """Return the share of texts that have a term, and that of those that speak of such a person, with its interval."""
    strata = sorted({row.stratum for row in key})
    total = math.fsum(row.weight for row in key)
    by_lists = math.fsum(row.weight for row in key if question in row.lists.split()) / total if total else None
    labelled = {stratum: [scores[row.pair_id] for row in both if row.stratum == stratum] for stratum in strata}
    sizes = {stratum: math.fsum(row.weight for row in key if row.stratum == stratum) for stratum in strata}
    lacking = {
        stratum: len(some) for stratum, some in labelled.items() if len(some) < LEAST and len(some) < sizes[stratum]
    }
    if not key or lacking:
        return {"by_lists": by_lists, "corrected": None, "low": None, "high": None, "lacking": lacking}
    value = variance = 0.0
    for stratum, some in labelled.items():
        part = sizes[stratum] / total
        value += part * math.fsum(some) / len(some)
        # (y + 1) ÷ (n + 2): of a stratum where all labels are alike the variance is not nothing; of one labelled whole it is.
        near = (math.fsum(some) + 1) / (len(some) + 2)
        unread = max(1 - len(some) / sizes[stratum], 0.0)
        variance += part**2 * unread * near * (1 - near) / max(len(some) - 1, 1)
    half = 1.96 * math.sqrt(variance)
    return {
        "by_lists": by_lists,
        "corrected": value,
        "low": max(value - half, 0.0),
        "high": min(value + half, 1.0),
        "lacking": {},
    }


def told(found: Mapping[str, Any]) -> str:
    """Return what the labels say, in words."""
    lines = []
    for question, figures in found.items():
        agreement = "no agreement can be told" if figures["kappa"] is None else f"Cohen's kappa {figures['kappa']:.2f}"
        lines.append(f"{QUESTIONS[question]} {bar.amount(figures['labelled'], 'texts')} labelled by both, {agreement}")
        lines += [
            f"  {row['term']}: {row['precision']:.0%} of {row['labelled']} texts with a {question} term speak of such a person"
            for row in figures["precision"]
        ]
        if figures["corrected"] is not None:
            lines.append(
                f"  of all texts {figures['corrected']:.1%} ({figures['low']:.1%} to {figures['high']:.1%}) do; "
                f"{figures['by_lists']:.1%} have a term"
            )
        else:
            few = ", ".join(f"{stratum} {number}" for stratum, number in figures["lacking"].items())
            lines.append(f"  no corrected rate: under {LEAST} labels in {few}")
    return "\n".join(lines)
