"""The audit's counts by hand: pandas over published lists in one process, and nPMI by its formula; they must be the audit's.

    python benchmarks/audit_by_hand.py ROWS AUDIT [--terms]

ROWS is a folder of lists that `benchmarks/audit_rows.py` wrote, AUDIT the folder of their audit. Counted are pairs by source, by
registrable domain and by user. With `--terms` all texts are looked through too, word by word, for gendered terms and occupations,
and normalised pointwise mutual information is worked out by its formula (Bouma, 2009); the audit must have read all texts then.
Which texts are English is asked of `pmd.text.language`, of which the audit asks too.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
import pyarrow as pa

import pmd
from pmd.audit import lexicon, matching, vocabulary, words
from pmd.audit.measure import USER_FIELDS
from pmd.text import language, urls

#: Texts that are looked through at once.
ROWS = 50_000


def counted(rows: Path, audit: Any) -> None:
    """Count pairs, hosts and users, and hold the audit to it."""
    frame = pd.read_parquet(rows, columns=["source", "image_url", "meta"])
    frame["source"] = frame["source"].str.removeprefix("google/")
    hosts = frame["image_url"].map(lambda url: urlsplit(url).hostname)
    frame["host"] = hosts.map({host: urls.registrable_domain(host) for host in hosts.unique()})
    pairs = frame.groupby("source").size()
    by_host = frame.groupby(["source", "host"]).size()
    figures = audit["hosts.largest"].to_pandas()
    of_source = figures[(figures.source != "all") & ~figures.as_before.fillna(value=False)]
    assert len(of_source) >= len(pairs)
    for row in of_source.itertuples():
        assert by_host[row.source, row.host] == row.pairs, row
    for source, content in audit.content["sources"].items():
        (figure,) = content.values()
        assert figure["pairs"] == pairs[source], source
        if source in USER_FIELDS:
            mine = frame[frame.source == source]
            users = mine["meta"].str.extract(f'"{USER_FIELDS[source]}":"([^"]*)"')[0]
            sizes = users.value_counts()
            assert figure["users"]["coverage"]["measured"] == sizes.sum(), source
            assert figure["users"]["distinct"]["value"] == len(sizes), source


def npmi(both: int, one: int, other: int, whole: int) -> float:
    """Return log(p(x, y) ÷ p(x) p(y)) ÷ −log p(x, y)."""
    together = both / whole
    return math.log(together / (one / whole * other / whole)) / -math.log(together) if both else -1.0


def found(longest: Any, tokens: list[str]) -> set[int]:
    """Return the numbers of the terms of a group, the longest at each word."""
    terms, position = set(), 0
    while position < len(tokens):
        step = 1
        for form, term in longest.get(tokens[position], ()):
            if tuple(tokens[position : position + len(form)]) == form:
                terms.add(term)
                step = len(form)
                break
        position += step
    return terms - {matching.NONE}


def looked_through(rows: Path, audit: Any) -> None:
    """Count terms text by text, and hold the audit's nPMI to the formula."""
    lists = lexicon.load()
    known = vocabulary.of(lists)
    groups = [known.groups[0], known.groups[1 + [*vocabulary.FILES].index("occupations")]]
    longest = [group.longest() for group in groups]
    seen: dict[str, Counter[Any]] = {}
    frame = pd.read_parquet(rows, columns=["source", "text"])
    for start in range(0, len(frame), ROWS):
        part = frame.iloc[start : start + ROWS]
        codes = language.languages(pa.array(part["text"])).to_pylist()
        for source, text, code in zip(part["source"], part["text"], codes, strict=True):
            if code == "en":
                _count(seen.setdefault(source.removeprefix("google/"), Counter()), text, longest, known)
    table = audit["associations.terms"].to_pandas()
    table = table[(table.source != "all") & (table.group == "occupations")]
    assert len(table)
    for row in table.itertuples():
        mine = seen[row.source]
        assert (mine[row.term], mine[row.term, "female"], mine[row.term, "male"]) == (
            row.captions,
            row.female,
            row.male,
        )
        for sex, theirs in (("female", row.npmi_female), ("male", row.npmi_male)):
            assert math.isclose(npmi(mine[row.term, sex], mine[row.term], mine[sex], mine["all"]), theirs, abs_tol=1e-9)


def _count(mine: Counter[Any], text: str, longest: list[Any], known: vocabulary.Vocabulary) -> None:
    tokens = words.plain(text)
    gendered, occupations = (found(one, tokens) for one in longest)
    sexes = {name for term in gendered for name in known.terms[term].lists}
    mine["all"] += 1
    mine.update(sexes)
    for term in occupations:
        mine[known.terms[term].name] += 1
        mine.update((known.terms[term].name, sex) for sex in sexes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("audit")
    parser.add_argument("--terms", action="store_true")
    given = parser.parse_args()
    audit = pmd.load(given.audit).audit
    counted(given.rows, audit)
    if given.terms:
        looked_through(given.rows, audit)


if __name__ == "__main__":
    main()
