"""Terms that stand with female and with male terms: occupations, activities and objects, each against all captions of its source.

    sums       all rows of some clusters → of each term `SUMS`, of the captions that have it and a gendered term
    figures    these, merged, and the counts by term → the ranking

The odds are female : male among captions with the term ÷ female : male among all captions of the source. For the ranking both
are smoothed with the source's own background as informative Dirichlet prior, and divided by their standard error (Monroe,
Colaresi and Quinn, "Fightin' Words: Lexical feature selection and evaluation for identifying the content of political conflict",
Political Analysis 16(4), 2008). The interval is another: that of `estimates.ratio_of_draw` over the clusters of the source, so
that one user's album of brides does not count as thousands of captions. The source's own ratio is taken as given: it rests on
all captions.
Normalised pointwise mutual information (Bouma, 2009) stands beside it and describes.

No few captions follow from what is told of a term: where one to nine of its captions have a female term, all figures are those of
ten, and the odds are told as at most so; where so few have a male one, as at least so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.audit.statistics import clusters, estimates, findings, losses
from pmd.audit.statistics.clusters import Sums
from pmd.audit.statistics.estimates import Estimate, Part
from pmd.audit.statistics.suppression import LEAST
from pmd.audit.texts import vocabulary

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


#: `clusters.ROWS` of each stage and domain.
SUMS: Final = pa.schema(
    [pa.field("stage", pa.int64(), nullable=False), pa.field("domain", pa.string(), nullable=False), *clusters.ROWS]
)


def sums(rows: pa.Table, stages: int) -> pa.Table:
    """Return `SUMS` of each term after each stage, those of all terms at once: there are hundreds, and few rows of most.

    Args:
        rows: All `units.ROWS` of some clusters of one source and kind.
        stages: How many there are.
    """
    some = rows.filter(pc.not_equal(rows["associated"], "")).combine_chunks()
    if not some.num_rows:
        return SUMS.empty_table()
    lists = pc.split_pattern(some["associated"].combine_chunks(), " ")
    parents = pc.list_parent_indices(lists).to_numpy()
    terms = pc.list_flatten(lists).cast(pa.int64()).to_numpy()
    units = some["unit"].combine_chunks().dictionary_encode()
    sexes = some["category"].to_numpy().astype(np.int64) - 2
    pairs = some["pairs"].to_numpy()
    having = {"": pairs} | {name: np.where(test, pairs, 0) for name, test in _having(sexes).items()}
    having["female+male"] = having["female"] + having["male"]
    # Rows of one term and cluster beside each other: then they are added up by runs.
    keys = terms * len(units.dictionary) + units.indices.to_numpy().astype(np.int64)[parents]
    order = np.argsort(keys, kind="stable")
    starts = _starts(keys[order])
    last = some["last"].to_numpy()[parents[order]]
    found = [SUMS.empty_table()]
    for stage in range(stages):
        left = last >= stage
        counts = {
            name: np.add.reduceat(np.where(left, values[parents[order]], 0), starts) for name, values in having.items()
        }
        found.append(_by_size(stage, terms[order[starts]], counts.pop(""), counts))
    return pa.concat_tables(found)


def _having(sexes: Counts) -> dict[str, NDArray[np.bool_]]:
    female, male = (sexes & 1) > 0, (sexes & 2) > 0
    return {"female": female, "male": male, "both": female & male}


def _starts(keys: Counts) -> NDArray[np.intp]:
    """Return where the runs of equal keys begin."""
    return np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, dtype=np.intp)


def _by_size(stage: int, terms: Counts, pairs: Counts, having: Mapping[str, Counts]) -> pa.Table:
    """Return `SUMS` of one stage.

    Args:
        stage: Its number.
        terms: Of each term and cluster the term.
        pairs: Its pairs that are left; without any it counts for nothing.
        having: Property → those that have it.
    """
    order = np.lexsort((pairs, terms))
    order = order[pairs[order] > 0]
    terms, pairs = terms[order], pairs[order]
    starts = _starts(terms * (int(pairs.max(initial=0)) + 1) + pairs)
    if not len(starts):
        return SUMS.empty_table()
    units = np.diff(np.r_[starts, len(terms)])
    zero = np.zeros(len(starts), dtype=np.int64)
    domains = pa.array([_WITH + term.key for term in vocabulary.associated()], pa.string())
    found = [(clusters.ITSELF, np.arange(len(starts)), units, zero, zero)]
    for name, counts in sorted(having.items()):
        mine = counts[order]
        first, second = (np.add.reduceat(values, starts) for values in (mine, mine * mine))
        found.append((name, np.flatnonzero(first), zero, first, second))
    return pa.concat_tables(
        [
            pa.table(
                [
                    pa.array(np.full(len(some), stage), pa.int64()),
                    domains.take(pa.array(terms[starts[some]])),
                    pa.repeat(pa.scalar(name, pa.string()), len(some)),
                    pairs[starts[some]],
                    units[some],
                    first[some],
                    second[some],
                ],
                schema=SUMS,
            )
            for name, some, units, first, second in found
        ]
    )


def by_term(rows: pa.Table) -> dict[str, Sums]:
    """Return the sums by the key of their term; of other domains none.

    Args:
        rows: `unit_sums.SUMS` of a source, kind and stage.
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


def figures(captions: Captions, ways: Mapping[str, Mapping[str, Sums]], sources: int) -> list[dict[str, Any]]:
    """Return the terms that stand with gendered terms often enough, by group and from female to male.

    Args:
        captions: Of the source.
        ways: Kind of clusters → sums by term; of two kinds, which cross, the wider interval counts.
        sources: How many the audit has: the terms of each are a family of tests.
    """
    rows = []
    if captions.female and captions.male:
        told = dataclasses.replace(captions, having={key: _as_told(*some) for key, some in captions.having.items()})
        for group in vocabulary.ASSOCIATED:
            terms = [term for term in vocabulary.associated() if term.group == group]
            found = [_figure(term.key, captions, told, ways) for term in terms]
            scores = _scores([term.key for term in terms], told)
            rows += [
                {"group": group, "term": term.name, "score": scores[term.key], **one}
                for term, one in zip(terms, found, strict=True)
                if one is not None
            ]
    _judge(rows, sources)
    for row in rows:
        _cut(row)
    return sorted(rows, key=lambda row: (vocabulary.ASSOCIATED.index(row["group"]), -row["score"], row["term"]))


def _is_few(number: int) -> bool:
    """Return whether so many captions are too few to be told; none is no secret."""
    return 0 < number < LEAST


def _as_told(all_: int, female: int, male: int) -> tuple[int, int, int]:
    """Return the captions with a term, and those of them with a female and with a male one, of which none are few.

    Nor are those few that have no female term, or no male one, where it is told how many have.
    """
    sexes = [LEAST if _is_few(sex) else sex for sex in (female, male)]
    lacking = [
        told + LEAST for told, sex in zip(sexes, (female, male), strict=True) if _is_few(all_ - sex) and told == sex
    ]
    return max([all_, *lacking]), sexes[0], sexes[1]


def _cut(row: dict[str, Any]) -> None:
    """Leave of odds that are told as at most so, or at least so, no interval and no p: how many they are of would follow."""
    del row["error"], row["drawn"]
    if row["at_most"] or row["at_least"]:
        row |= dict.fromkeys(("low", "high", "p", "degrees"))


def _figure(
    key: str, captions: Captions, told: Captions, ways: Mapping[str, Mapping[str, Sums]]
) -> dict[str, Any] | None:
    """Return the figure of a term; None where too little stands with it.

    Args:
        key: Of the term.
        captions: Of the source.
        told: The same as they are told.
        ways: As of `figures`.
    """
    some = {kind: by_key[key] for kind, by_key in ways.items() if key in by_key}
    if not some or min(one.clusters for one in some.values()) < LEAST_CLUSTERS:
        return None
    if min(one.pairs for one in some.values()) < LEAST_CAPTIONS:
        return None
    kind, draw = widest({kind: _ratio(one) for kind, one in some.items()})
    true, (all_, female, male) = captions.having.get(key, (0, 0, 0)), told.having.get(key, (0, 0, 0))
    whole = captions.female / captions.male
    interval = None if draw.low is None or draw.high is None else [draw.low / whole, draw.high / whole]
    return {
        "captions": all_ if all_ == true[0] else None,
        "female": female if female == true[1] else None,
        "male": male if male == true[2] else None,
        "odds": female / male / whole if male else None,
        "at_most": female != true[1],
        "at_least": male != true[2],
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


def widest(drawn: Mapping[str, Estimate]) -> tuple[str, Estimate]:
    """Return which of several kinds of clusters, which cross, give the widest interval, and the estimate."""
    kind, draw = next(iter(drawn.items()))
    for other, estimate in drawn.items():
        if estimate is not draw and estimates.wider(draw, estimate) is estimate:
            kind, draw = other, estimate
    return kind, draw


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


def _judge(rows: list[dict[str, Any]], sources: int) -> None:
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
    for row, judged in zip(rows, findings.judge(tests, least=LEAST_LOG_ODDS, families=sources), strict=True):
        row |= {"p": judged.p, "finding": judged.finding}
        if judged.finding and judged.interval is not None:
            row["low"], row["high"] = (math.exp(end) for end in judged.interval)
