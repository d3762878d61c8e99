"""What is told of values that cross: terms in the texts of an attribute's value or of a host, users, gendered terms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from benchmarks.attacking.cells import Cells, added, less
from benchmarks.attacking.drawn import GENDERED, HARM, INCOMES, STAGES, Audit, Pairs
from benchmarks.attacking.rows import Sum
from pmd.audit.counting import associations
from pmd.audit.counting.measure import CLASSES
from pmd.audit.figures.attributes import RATES
from pmd.audit.statistics import groups
from pmd.audit.statistics.suppression import LEAST, NOT_SHOWN

#: Pairs of a value: with a mark, English ones without it, and all others.
_KINDS: Final = ("with", "without", "other")
_NONE: Final = "(none)"


def _english(pairs: Pairs) -> Any:
    return pairs.read & (pairs.columns["language"] == "en")


def _having(pairs: Pairs, mark: str) -> Any:
    if mark in ("female", "male"):
        return np.array([mark in GENDERED[said] for said in pairs.columns["gendered"].tolist()], bool)
    return np.array([HARM.get(said) == mark for said in pairs.columns["harm"].tolist()], bool)


def _kinds(pairs: Pairs, mark: str) -> Any:
    english = _english(pairs)
    return np.where(english & _having(pairs, mark), "with", np.where(english, "without", "other"))


def _after(value: str, kinds: tuple[str, ...], stage: str) -> Sum:
    return {(value, kind, place): 1.0 for kind in kinds for place in range(CLASSES.index(stage), len(CLASSES))}


def attributes(audit: Audit) -> Iterator[tuple[str, Cells, list[tuple[str, Sum]]]]:
    """Yield the cells of each source, attribute and mark, with what is told of them, and what is not to follow."""
    for source, name, mark in itertools.product(audit.sources, ("tone", "size"), RATES):
        mine = audit.pairs.of(source)
        values = np.where(mine.columns[name] == "", _NONE, mine.columns[name])
        keys = np.char.add(np.char.add(values, "|"), _kinds(mine, mark))
        truth: dict[Hashable, int] = {
            (value, kind, place): 0
            for value in sorted({*values.tolist()})
            for kind in _KINDS
            for place in range(len(CLASSES))
        }
        for key, counts in mine.counts(keys).items():
            value, _, kind = key.partition("|")
            truth |= {(value, kind, place): number for place, number in enumerate(counts)}
        yield f"{source}: {name}, {mark}", *_attribute(audit, source, name, mark, Cells(truth))


def _attribute(audit: Audit, source: str, name: str, mark: str, found: Cells) -> tuple[Cells, list[tuple[str, Sum]]]:
    values = sorted({str(cell[0]) for cell in found.truth})  # type: ignore[index]
    for stage, kind in itertools.product(STAGES, _KINDS):
        whole = added(_after(value, (kind,), stage) for value in values)
        found.know(f"{kind} {mark} after {stage}", whole, found.true(whole))
    for stage in STAGES:
        known = added(_after(value, _KINDS, stage) for value in values if value != _NONE)
        found.know(f"with a value after {stage}", known, found.true(known))
    found.known_to_all()
    for stage in STAGES:
        for row in audit.content["sources"][source][stage]["attributes"]["values"]:
            if row["attribute"] != name or row["value"] == NOT_SHOWN:
                continue
            found.know(f"{row['value']} after {stage}", _after(row["value"], _KINDS, stage), row["pairs"])
            if row["english"] is not None:
                some = _after(row["value"], _KINDS[:2], stage)
                found.know(f"English {row['value']} after {stage}", some, row["english"])
                if row[mark] is not None:
                    some = _after(row["value"], _KINDS[:1], stage)
                    found.know(f"{mark} {row['value']} after {stage}", some, round(row[mark] * row["english"]))
    aims = []
    for value, kind in itertools.product(values, _KINDS[:2]):
        aims += [(f"{kind} {mark}, {value} after {stage}", _after(value, (kind,), stage)) for stage in STAGES]
        for one, other in itertools.combinations(STAGES, 2):
            lost = less(_after(value, (kind,), one), _after(value, (kind,), other))
            aims.append((f"{kind} {mark}, {value} lost from {one} to {other}", lost))
    return found, aims


def hosts(audit: Audit) -> Iterator[tuple[str, Cells, list[tuple[str, Sum]]]]:
    """Yield the cells of the hosts of each source after the last stage, by mark."""
    last = STAGES[-1]
    for source, mark in itertools.product(audit.sources, sorted({*HARM.values()})):
        mine = audit.pairs.of(source)
        keys = np.char.add(np.char.add(mine.columns["host"], "|"), _kinds(mine, mark))
        names = sorted({*mine.columns["host"].tolist()})
        truth: dict[Hashable, int] = {(name, kind): 0 for name in names for kind in _KINDS}
        for key, counts in mine.counts(keys).items():
            name, _, kind = key.partition("|")
            truth[name, kind] = counts[-1]
        found = Cells(truth)
        for kind in _KINDS:
            whole = {(name, kind): 1.0 for name in names}
            found.know(f"{kind} {mark}", whole, found.true(whole))
        found.known_to_all()
        for row in audit.content["sources"][source][last]["hosts"].get("largest", ()):
            off = LEAST - 1 if row.get("as_before") else 0
            some = {(row["host"], kind): 1.0 for kind in _KINDS}
            found.know(f"host {row['host']}", some, row["pairs"] - off, row["pairs"] + off)
        populations = [audit.content["sources"][source][last]]
        if len(audit.sources) == 1:
            populations.append(audit.content["all"][last])
        for row in (row for one in populations for row in one["harm"]["hosts"] if row["list"] == mark):
            found.know(f"{mark} on {row['host']}", {(row["host"], "with"): 1.0}, row["texts"])
            if row["english"] is not None:
                some = {(row["host"], kind): 1.0 for kind in _KINDS[:2]}
                found.know(f"English on {row['host']}", some, row["english"])
        aims = [(f"{kind} {mark} on {name}", {(name, kind): 1.0}) for name in names for kind in _KINDS[:2]]
        yield f"{source}: hosts, {mark}", found, aims


def users(audit: Audit) -> Iterator[tuple[str, Cells, list[tuple[str, Sum]]]]:
    """Yield the users of each country after each step; who moves may make them more."""
    for source, by_stage in audit.content["geography"]["sources"].items():
        some = audit.counted.groups_of(source, "user", groups.COUNTRY)
        truth: dict[Hashable, int] = {
            (code, stage): int(units[CLASSES.index(stage)]) for code, (_, units) in some.items() for stage in by_stage
        }
        if not truth:
            continue
        found = Cells(truth)
        for stage in by_stage:
            whole = {(code, stage): 1.0 for code in some}
            found.know(f"users after {stage}", whole, found.true(whole))
        found.known_to_all()
        for stage, at in by_stage.items():
            for row in at["countries"]:
                if row.get("users") is not None:
                    found.know(f"users of {row['country']}", {(row["country"], stage): 1.0}, row["users"])
            if "users" not in at["added_up"]:
                _classes_of_users(at, stage, some, found)
        aims = [(f"users of {code} after {stage}", {(code, stage): 1.0}) for code, stage in truth]  # type: ignore[misc]
        for code, (one, other) in itertools.product(some, itertools.combinations(by_stage, 2)):
            change = {(code, one): 1.0, (code, other): -1.0}
            aims.append((f"change of users of {code} from {one} to {other}", change))
            aims.append((f"change of users of {code} from {other} to {one}", less({}, change)))
        yield f"{source}: users", found, aims


def _classes_of_users(at: Mapping[str, Any], stage: str, some: Mapping[str, Any], found: Cells) -> None:
    high = at.get("high_income", {}).get("users", {})
    if high.get("known") is not None:
        found.know("users of a class", {(code, stage): 1.0 for code in some if code in INCOMES}, high["known"])
    for row in at.get("incomes", ()):
        if row["users"]["number"] is not None:
            members = {(code, stage): 1.0 for code in some if INCOMES.get(code) == row["class"]}
            found.know(f"users of {row['class']}", members, row["users"]["number"])


def beside(audit: Audit) -> list[str]:
    """Return the terms of which a few captions follow: with a gendered term, or without one."""
    found = []
    for source in audit.sources:
        last = audit.content["sources"][source][STAGES[-1]]
        whole, texts = last["gendered"]["coverage"]["measured"], last["gendered"]["texts"]
        mine = audit.pairs.of(source)
        there = _english(mine) & (mine.last == len(CLASSES) - 1)
        for row in last["associations"]["terms"]:
            with_term = there & (mine.columns["beside"] == row["term"])
            for sex in ("female", "male"):
                true, lacking = (int(np.sum(with_term & some)) for some in _both(_having(mine, sex)))
                for how, told in _followed(row, sex, texts, whole):
                    if told == true and 0 < true < LEAST:
                        found.append(f"{source}: {true} captions of {row['term']} are {sex}: {how}")
                if row[sex] is not None and row["captions"] is not None and 0 < lacking < LEAST:
                    found.append(f"{source}: {lacking} captions of {row['term']} are not {sex}")
    return found


def _both(some: Any) -> tuple[Any, Any]:
    return some, ~some


def _followed(row: Mapping[str, Any], sex: str, texts: Mapping[str, int], whole: int) -> Iterator[tuple[str, int]]:
    """Yield the numbers of captions that follow from what is told of a term, each with what it follows from."""
    other = {"female": "male", "male": "female"}[sex]
    if row[sex] is not None:
        yield "told", row[sex]
    for number in range(LEAST) if row["captions"] is not None else ():
        npmi = associations.npmi(number, row["captions"], texts[sex], whole)
        if npmi is not None and abs(npmi - row[f"npmi_{sex}"]) <= 1e-5 * abs(npmi):
            yield "nPMI", number
    if not row[other]:
        return
    unit = row[other] * (texts["female"] / texts["male"]) ** (1 if sex == "female" else -1)
    for what, odds in (("odds", row["odds"]), ("interval", math.sqrt((row["low"] or 0) * (row["high"] or 0)))):
        if odds and not row.get("at_most") and not row.get("at_least"):
            number = odds ** (1 if sex == "female" else -1) * unit
            if abs(number - round(number)) < 1e-3:
                yield what, round(number)
