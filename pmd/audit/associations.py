"""Terms that stand with female and with male terms: occupations, activities and objects, each against all captions of its source.

    sums       all rows of some clusters → of each term `clusters.ROWS`, of the captions that have it and a gendered term
    figures    these, merged, and the counts by term → the ranking

The odds are female : male among captions with the term ÷ female : male among all captions of the source. For the ranking both
are smoothed with the source's own background as informative Dirichlet prior, and divided by their standard error (Monroe,
Colaresi and Quinn, "Fightin' Words: Lexical feature selection and evaluation for identifying the content of political conflict",
Political Analysis 16(4), 2008). The interval is another: that of `estimates.ratio_of_draw` over the clusters of the source, so
that one user's album of brides does not count as thousands of captions. The source's own ratio is taken as given: it rests on
all captions.
Normalised pointwise mutual information (Bouma, 2009) stands beside it and describes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.audit import clusters, estimates, findings, losses, vocabulary
from pmd.audit.clusters import Sums
from pmd.audit.estimates import Estimate, Part

#: Captions with a term and a gendered one, and clusters of them, from which there is a figure.
LEAST_CAPTIONS: Final = 20
LEAST_CLUSTERS: Final = 10
#: Pseudo-counts of the prior, all terms of a group together, as a part of the source's captions with the rarer sex's terms.
PRIOR: Final = 0.01
#: The least effect that is a finding: odds a quarter up or down.
LEAST_LOG_ODDS: Final = math.log(1.25)

#: How the domain of a term is named among the sums.
_WITH: Final = "with "

Counts = NDArray[np.int64]


def sums(rows: pa.Table, stages: int) -> Iterator[tuple[int, str, pa.Table]]:
    """Yield stage, domain and `clusters.ROWS` of each term after each stage.

    Args:
        rows: All `units.ROWS` of some clusters of one source and kind.
        stages: How many there are.
    """
    some = rows.filter(pc.not_equal(rows["associated"], "")).combine_chunks()
    if not some.num_rows:
        return
    lists = pc.split_pattern(some["associated"].combine_chunks(), " ")
    parents = pc.list_parent_indices(lists)
    sexes = some["category"].to_numpy().astype(np.int64) - 2
    pairs = some["pairs"].to_numpy()
    one = pa.table({name: np.where(test, pairs, 0) for name, test in _having(sexes).items()})
    wide = pa.table(
        {
            "term": pc.list_flatten(lists).cast(pa.int64()),
            "unit": some["unit_id"].combine_chunks().cast(pa.binary(16)).dictionary_encode().indices.take(parents),
            "last": some["last"].combine_chunks().take(parents),
            "pairs": some["pairs"].combine_chunks().take(parents),
            **{name: one[name].combine_chunks().take(parents) for name in one.schema.names},
        }
    )
    names = vocabulary.associated()
    for stage in range(stages):
        left = wide.filter(pc.greater_equal(wide["last"], stage))
        for term, found in _by_size(left):
            yield stage, _WITH + names[term].key, found


def _having(sexes: Counts) -> dict[str, NDArray[np.bool_]]:
    female, male = (sexes & 1) > 0, (sexes & 2) > 0
    return {"female": female, "male": male, "both": female & male}


def _by_size(rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Yield each term with the sums over its clusters."""
    names = ["pairs", "female", "male", "both"]
    of_units = rows.group_by(["term", "unit"]).aggregate([(name, "sum") for name in names])
    term = of_units["term"].to_numpy()
    counts = {name: of_units[f"{name}_sum"].to_numpy() for name in names}
    sizes = counts.pop("pairs")
    counts["female+male"] = counts["female"] + counts["male"]
    order = np.argsort(term, kind="stable")
    edges = np.flatnonzero(np.diff(term[order], prepend=-1))
    for place, start in enumerate(edges.tolist()):
        mine = order[start : edges[place + 1] if place + 1 < len(edges) else len(order)]
        yield (
            int(term[mine[0]]),
            clusters.rows(clusters.of(sizes[mine], {name: one[mine] for name, one in counts.items()})),
        )


def by_term(rows: pa.Table) -> dict[str, Sums]:
    """Return the sums by the key of their term; of other domains none.

    Args:
        rows: `units.SUMS` of a source, kind and stage.
    """
    mine = rows.filter(pc.starts_with(rows["domain"], pattern=_WITH)).sort_by([("domain", "ascending")])
    domains = mine["domain"].to_pylist()
    starts = [place for place, domain in enumerate(domains) if not place or domains[place - 1] != domain]
    ends = [*starts[1:], len(domains)] if starts else []
    return {
        domains[start].removeprefix(_WITH): clusters.from_rows(
            mine.slice(start, end - start).select(clusters.ROWS.names)
        )
        for start, end in zip(starts, ends, strict=True)
    }


@dataclasses.dataclass(frozen=True)
class Captions:
    """Captions of a source that were read and are English.

    Attributes:
        all: How many.
        female: Those with a female term.
        male: Those with a male term.
        having: Key of a term → those that have it, those with it and a female term, and those with it and a male one.
    """

    all: int
    female: int
    male: int
    having: Mapping[str, tuple[int, int, int]]


def figures(captions: Captions, ways: Mapping[str, Mapping[str, Sums]]) -> list[dict[str, Any]]:
    """Return the terms that stand with gendered terms often enough, by group and from female to male.

    Args:
        captions: Of the source.
        ways: Kind of clusters → sums by term; of two kinds, which cross, the wider interval counts.
    """
    rows = []
    if captions.female and captions.male:
        for group in vocabulary.ASSOCIATED:
            terms = [term for term in vocabulary.associated() if term.group == group]
            found = [_figure(term.key, captions, ways) for term in terms]
            scores = _scores([term.key for term in terms], captions)
            rows += [
                {"group": group, "term": term.name, "score": scores[term.key], **one}
                for term, one in zip(terms, found, strict=True)
                if one is not None
            ]
    _judge(rows)
    return sorted(rows, key=lambda row: (vocabulary.ASSOCIATED.index(row["group"]), -row["score"], row["term"]))


def _figure(key: str, captions: Captions, ways: Mapping[str, Mapping[str, Sums]]) -> dict[str, Any] | None:
    all_, female, male = captions.having.get(key, (0, 0, 0))
    some = {kind: by_key[key] for kind, by_key in ways.items() if key in by_key}
    if not some or min(one.clusters for one in some.values()) < LEAST_CLUSTERS:
        return None
    if min(one.pairs for one in some.values()) < LEAST_CAPTIONS:
        return None
    drawn = {kind: _ratio(one) for kind, one in some.items()}
    kind, draw = next(iter(drawn.items()))
    for other, estimate in drawn.items():
        if estimate is not draw and estimates.wider(draw, estimate) is estimate:
            kind, draw = other, estimate
    whole = captions.female / captions.male
    interval = None if draw.low is None or draw.high is None else [draw.low / whole, draw.high / whole]
    return {
        "captions": all_,
        "female": female,
        "male": male,
        "odds": female / male / whole if male else None,
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
        "refused": draw.refused,
        "drawn": draw.value / whole if draw.value and draw.refused is None else None,
        "error": draw.error,
        "degrees": draw.degrees,
        "clusters": draw.clusters,
        "cluster": kind,
        "npmi_female": npmi(female, all_, captions.female, captions.all),
        "npmi_male": npmi(male, all_, captions.male, captions.all),
    }


def _ratio(sums_: Sums) -> Estimate:
    return estimates.ratio_of_draw([Part(sums_, 1.0)], "female", "male", "both")


def _scores(keys: list[str], captions: Captions) -> dict[str, float]:
    """Return the log-odds of each term with female terms against male ones, shrunk to the background, by its standard error."""
    background = {key: captions.having.get(key, (0, 0, 0))[0] for key in keys}
    whole = max(captions.all, 1)
    weight = max(PRIOR * min(captions.female, captions.male), 1.0)
    scores = {}
    for key in keys:
        prior = weight * max(background[key], 0.5) / whole
        ends = []
        for had, of in zip(captions.having.get(key, (0, 0, 0))[1:], (captions.female, captions.male), strict=True):
            ends.append((had + prior, of + weight - had - prior))
        (female, no_female), (male, no_male) = ends
        odds = math.log(female / max(no_female, prior)) - math.log(male / max(no_male, prior))
        scores[key] = odds / math.sqrt(1 / female + 1 / male)
    return scores


def npmi(both: int, one: int, other: int, whole: int) -> float | None:
    """Return the normalised pointwise mutual information of two properties, −1…1; None where neither is ever seen, or always."""
    if not both:
        return -1.0 if one and other else None
    if both == whole:
        return None
    return math.log(both * whole / (one * other)) / -math.log(both / whole)


def _judge(rows: list[dict[str, Any]]) -> None:
    """Say of each row whether it is a finding: odds a quarter off or more, by the rule of all findings.

    A finding's interval has the level that corrects for its being chosen.
    """
    tests = [
        losses.Test(
            math.log(row["drawn"]) if row["drawn"] else None,
            row["error"],
            row["degrees"],
            row["clusters"],
            row["refused"],
        )
        for row in rows
    ]
    for row, judged in zip(rows, findings.judge(tests, least=LEAST_LOG_ODDS), strict=True):
        row |= {"p": judged.p, "finding": judged.finding}
        if judged.finding and judged.interval is not None:
            row["low"], row["high"] = (math.exp(end) for end in judged.interval)
        del row["error"], row["drawn"]
