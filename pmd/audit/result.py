"""From counts to figures: the content of audit.json.

Every section of a population has its `coverage` (how many pairs were measured, of how many that it speaks of) and its
`method`, a key of the `methods` that stand in the file once. Figures that come of a sample have 95 % intervals. Figures
without one are exact counts.

The books and the pairs are counted apart, from other files; where they disagree the audit fails, since one of them is
wrong.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import numpy as np
import pycld2

from pmd.audit import intervals, lexicon, places
from pmd.audit.components import components
from pmd.audit.intervals import Estimate
from pmd.audit.measure import (
    FIELDS,
    GEOTAG_FIELDS,
    MAX_WORDS,
    STAGES,
    USER_FIELDS,
    Counts,
    Partial,
    Plan,
    SourcePartial,
)
from pmd.audit.repeated import NOTHING_REPEATED
from pmd.audit.sketch import PairSample, Sketch
from pmd.errors import VerificationError
from pmd.store import commits
from pmd.text import language

#: Version of the layout of audit.json.
FORMAT: Final = 1

#: Languages, countries and hosts that are listed one by one; the rest is summed as "other".
LISTED: Final = {"languages": 25, "countries": 40, "hosts": 20}

#: Edges of the bins in which lengths are shown: the bin from a to below b holds texts of a…b-1 words.
LENGTH_EDGES: Final = (1, 3, 5, 7, 9, 11, 13, 16, 21, 31, 51, 101)

#: Where the concentration curve is drawn: the share of pairs that the largest 0.1 %, 1 %, … of units have.
CURVE: Final = (0.0, 0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)

#: Units below which a "top 1 %" is fewer than one unit, and says nothing.
MIN_UNITS: Final = 100

METHODS: Final = {
    "books": "Rows of the committed files of each stage: kept, and rejected by reason.",
    "readers": "What the readers gave is known by number only: a row that curate rejects is kept without its text.",
    "words": "Words are what white space separates, in all pairs. Means are exact, and so are median and 95th "
    f"percentile up to {MAX_WORDS} words.",
    "languages": "The language identifier of the YFCC filter, on a sample of texts by hash of pair_id, the same sample "
    "at every stage; 'und' where neither of its two detectors is sure. Over all sources the samples are weighted by the "
    "sources' pairs.",
    "countries": "Longitude and latitude in the upstream row, to a time zone, to the one country that has it; 'ZZ' at "
    "sea and where several countries' zones overlap. Only YFCC100M has geotags.",
    "gendered": "Share of the English texts of the sample with at least one term of a list; whole words, case-folded, "
    "the longest term first. 'neutral' is genbit's non-binary list, which also holds neutral words for people "
    "(firefighter). Intervals: delete-a-group jackknife over 256 groups of images, Wilson's form with the effective "
    "sample size; the images count as drawn from many like them.",
    "users": "Pairs of each user: exact up to 2,048 users a source, else followed for the 2,048 with the smallest "
    "hashes. Users are never named. The chance that two pairs have one user then comes from a uniform sample of "
    "4,096 pairs.",
    "hosts": "Registrable domains of the upstream image URLs. Shares of single hosts are exact where a source has no "
    "more than 2,048, else from a uniform sample of 4,096 pairs; the curve follows the hosts with the smallest hashes, "
    "and can miss the largest.",
    "images": "Distinct image_id, exact up to 2,048 images, else from the smallest hashes (standard error 2.2 %). "
    "Views of one image count once.",
    "repeated": "Pairs whose text stands on so many images, exactly: all texts, compared in small letters, without accents "
    "and punctuation, every number a 0; texts are shown so. Over all sources, an image counts once for each. Nearly one: "
    "texts on 10 images or more whose runs of 5 characters are 80 % the same (Jaccard), and chains of such texts; of over "
    "262,144 texts those on most images.",
    "overlap": "Images by identity, as the images stage found them before anything was fetched. Copies that are known by "
    "their bytes or looks only are not counted.",
}


class Table2Row(Protocol):
    """What is needed of a manifest's row of FLAVA's Table 2 (`pmd.manifests.Table2` has it)."""

    @property
    def row(self) -> str:
        """The row's name; sources that share it share its pairs."""
        ...

    @property
    def pairs_millions(self) -> float:
        """Image-text pairs, in millions, rounded as in the paper."""
        ...

    @property
    def mean_words(self) -> float:
        """Average text length in words."""
        ...


StageBooks = Mapping[str, Mapping[str, commits.Books]]


@dataclasses.dataclass(frozen=True)
class _Stratum:
    """One source's part in a population: what survived a stage."""

    source: str
    counted: SourcePartial
    stage: int

    def of(self, counts: Counts) -> Any:
        """Return the counts of the classes that survived the stage, summed."""
        return counts[self.stage :].sum(axis=0)

    @property
    def pairs(self) -> int:
        return int(self.of(self.counted.pairs))


def result(
    partial: Partial,
    books: StageBooks,
    plan: Plan,
    table2: Mapping[str, Table2Row],
    *,
    profile: str | None = None,
    repeated: Mapping[str, Any] | None = None,
    overlap: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of audit.json: deterministic, keys sorted, floats rounded to six significant digits.

    Args:
        partial: What was counted of all pairs that curate kept.
        books: Stage (of `STAGES`) → source → its books in *pairs*; only stages that have run.
        plan: The plan that the pairs were measured with.
        table2: Source → its row of Table 2.
        profile: The profile that the pairs were curated with, to be named in the report.
        repeated: `repeated.summary` of all pairs; None where no text is repeated.
        overlap: `overlap.matrix` of all images.

    Raises:
        VerificationError: The books say otherwise than the pairs, or a stage did not get what the one before kept.
    """
    ran = [stage for stage in STAGES if stage in books]
    _check(partial, books, ran)
    sources = sorted({*partial.sources, *(source for stage in ran for source in books[stage])})
    absent = plan.lexicon if isinstance(plan.lexicon, lexicon.Absent) else None
    found = {
        "format": FORMAT,
        "profile": profile,
        "stages": ran,
        "books": {stage: {source: _book(books[stage][source]) for source in sorted(books[stage])} for stage in ran},
        "table2": _table2(partial, books, ran, sources, table2),
        "sources": {
            source: _populations([(source, partial.sources[source])] if source in partial.sources else [], ran, absent)
            for source in sources
        },
        "all": _populations(sorted(partial.sources.items()), ran, absent),
        "overlap": overlap,
        "components": components(plan.lexicon),
        "methods": METHODS,
        "labels": {},
    }
    _add_repeated(found, repeated or {"sources": {}, "all": {}})
    found["labels"] = _labels(found)
    return cast(dict[str, Any], _tidy(found))


def _add_repeated(found: Mapping[str, Any], repeated: Mapping[str, Any]) -> None:
    """Put the repeated texts into every population, with their shares of its pairs."""
    groups = [(found["all"], repeated["all"])]
    groups += [(found["sources"][source], repeated["sources"].get(source, {})) for source in found["sources"]]
    for populations, figures in groups:
        for stage, population in populations.items():
            pairs = population["pairs"]
            mine = figures.get(stage, NOTHING_REPEATED)
            population["repeated"] = {
                "coverage": _coverage(pairs, pairs, "pairs"),
                "method": "repeated",
                **mine,
                "shared_by": _with_shares(mine["shared_by"], pairs),
                "near": {**mine["near"], "shared_by": _with_shares(mine["near"]["shared_by"], pairs)},
            }


def _with_shares(rows: Sequence[Mapping[str, int]], pairs: int) -> list[dict[str, Any]]:
    return [{**row, "share": row["pairs"] / pairs if pairs else None} for row in rows]


def _check(partial: Partial, books: StageBooks, ran: Sequence[str]) -> None:
    before: str | None = None
    for stage in ran:
        for source in sorted({*partial.sources, *books[stage]}):
            kept = books[stage].get(source, commits.Books()).kept
            counted = partial.sources.get(source)
            pairs = 0 if counted is None else int(counted.pairs[STAGES.index(stage) :].sum())
            if kept != pairs:
                raise VerificationError(
                    "the books and the pairs disagree",
                    where=f"stage {stage}, source {source}",
                    expected=f"{kept} pairs, as the stage's books say",
                    found=f"{pairs} pairs",
                    remedy="run: pmd verify ROOT",
                )
            if before is not None:
                given = books[before].get(source, commits.Books()).kept
                taken = books[stage].get(source, commits.Books()).total
                if given != taken:
                    raise VerificationError(
                        f"stage {stage} did not get what {before} kept",
                        where=f"stage {stage}, source {source}",
                        expected=f"{given} pairs in",
                        found=f"{taken} pairs in",
                        remedy="run: pmd build CONFIG --why",
                    )
        before = stage


def _book(books: commits.Books) -> dict[str, Any]:
    return {
        "in": books.total,
        "kept": books.kept,
        "rejected": {reason: count for reason, count in sorted(books.rejected.items()) if count},
    }


def _table2(
    partial: Partial,
    books: StageBooks,
    ran: Sequence[str],
    sources: Sequence[str],
    table2: Mapping[str, Table2Row],
) -> list[dict[str, Any]]:
    """Return the rows of Table 2, largest last as in the paper, each with the sources that make it up here."""
    rows: dict[str, list[str]] = {}
    for source in sorted(table2):
        rows.setdefault(table2[source].row, []).append(source)
    found: list[dict[str, Any]] = []
    for row, members in rows.items():
        published = table2[members[0]]
        here = [source for source in members if source in sources]
        strata = {
            stage: [
                _Stratum(source, partial.sources[source], STAGES.index(stage))
                for source in here
                if source in partial.sources
            ]
            for stage in ran
        }
        pairs = {stage: sum(stratum.pairs for stratum in strata[stage]) for stage in ran}
        found.append(
            {
                "row": row,
                "sources": members,
                "sources_here": here,
                "published": {"pairs": round(published.pairs_millions * 1e6), "mean_words": published.mean_words},
                "pairs": pairs,
                "read": sum(books["curate"][source].total for source in here if source in books["curate"])
                if "curate" in books
                else 0,
                "mean_words": {stage: _mean_words(strata[stage]) for stage in ran},
                "of_published": {stage: pairs[stage] / (published.pairs_millions * 1e6) for stage in ran},
            }
        )
    return sorted(found, key=lambda row: (row["published"]["pairs"], row["row"]))


def _populations(
    counted: Sequence[tuple[str, SourcePartial]], ran: Sequence[str], absent: lexicon.Absent | None
) -> dict[str, Any]:
    """Return the figures of some sources' pairs after each stage."""
    found: dict[str, Any] = {}
    first: list[_Stratum] | None = None
    for stage in ran:
        strata = [_Stratum(source, partial, STAGES.index(stage)) for source, partial in counted]
        strata = [stratum for stratum in strata if stratum.pairs]
        found[stage] = _population(strata, first, absent)
        if first is None:
            first = strata
    return found


def _population(
    strata: Sequence[_Stratum], first: Sequence[_Stratum] | None, absent: lexicon.Absent | None
) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    return {
        "pairs": pairs,
        "images": _images(strata),
        "words": _words(strata),
        "languages": _languages(strata),
        "countries": _countries(strata),
        "gendered": _gendered(strata, first, absent),
        "users": _users(strata),
        "hosts": _hosts(strata),
    }


def _coverage(measured: float, eligible: float, of: str, rest: str | None = None) -> dict[str, Any]:
    """Return a section's coverage: how many were measured, of how many of what, and why not the rest."""
    found = {"measured": measured, "eligible": eligible, "share": measured / eligible if eligible else None, "of": of}
    return found if rest is None else found | {"rest": rest}


def _estimate(estimate: Estimate) -> dict[str, Any]:
    interval = None if estimate.low is None or estimate.high is None else [estimate.low, estimate.high]
    return {"value": estimate.value, "interval": interval, "enough": estimate.enough}


# Lengths.


def _mean_words(strata: Sequence[_Stratum]) -> float | None:
    pairs = sum(stratum.pairs for stratum in strata)
    return sum(int(stratum.of(stratum.counted.words)) for stratum in strata) / pairs if pairs else None


def _words(strata: Sequence[_Stratum]) -> dict[str, Any]:
    histogram = sum(
        (stratum.of(stratum.counted.lengths) for stratum in strata), start=np.zeros(MAX_WORDS + 1, dtype=np.int64)
    )
    pairs = int(histogram.sum())
    edges = [*LENGTH_EDGES, MAX_WORDS + 1]
    return {
        "coverage": _coverage(pairs, sum(stratum.pairs for stratum in strata), "pairs"),
        "method": "words",
        "mean": _mean_words(strata),
        "median": _quantile(histogram, 0.5),
        "p95": _quantile(histogram, 0.95),
        "histogram": [
            {"from": low, "below": high if high <= MAX_WORDS else None, "pairs": int(histogram[low:high].sum())}
            for low, high in itertools.pairwise(edges)
        ],
    }


def _quantile(histogram: Counts, fraction: float) -> int | None:
    """Return the smallest number of words that at least this fraction of texts does not exceed."""
    total = int(histogram.sum())
    if not total:
        return None
    return int(np.searchsorted(np.cumsum(histogram), math.ceil(fraction * total)))


# Shares of a sample, over one source or several.


def _weights(strata: Sequence[_Stratum]) -> list[float]:
    """Return how many pairs each sampled text of a stratum stands for."""
    sampled = [int(stratum.of(stratum.counted.sample)[:, 0].sum()) for stratum in strata]
    return [stratum.pairs / found if found else 0.0 for stratum, found in zip(strata, sampled, strict=True)]


def _field(strata: Sequence[_Stratum], name: str) -> intervals.Array:
    """Return one of `FIELDS` by group of images, weighted so that every source counts as its pairs do."""
    column = FIELDS.index(name)
    found = np.zeros(intervals.BUCKETS)
    for stratum, weight in zip(strata, _weights(strata), strict=True):
        found += weight * stratum.of(stratum.counted.sample)[:, column]
    return found


def _size(strata: Sequence[_Stratum], name: str) -> int:
    """Return how many texts of the sample have one of `FIELDS`, unweighted."""
    column = FIELDS.index(name)
    return sum(int(stratum.of(stratum.counted.sample)[:, column].sum()) for stratum in strata)


def _design_size(strata: Sequence[_Stratum], name: str) -> float:
    """Return the size of an unweighted sample that would tell as much (Kish): (Σ weights)² ÷ Σ weights²."""
    sizes = [_size([stratum], name) for stratum in strata]
    weights = _weights(strata)
    squares = sum(weight * weight * size for weight, size in zip(weights, sizes, strict=True))
    return sum(weight * size for weight, size in zip(weights, sizes, strict=True)) ** 2 / squares if squares else 0.0


def _distinct_images(strata: Sequence[_Stratum]) -> float:
    return sum(_distinct(stratum.counted.images, stratum.stage) for stratum in strata)


def _share(strata: Sequence[_Stratum], part: intervals.Array, whole: str) -> Estimate:
    return intervals.share(part, _field(strata, whole), _design_size(strata, whole), _distinct_images(strata))


def _languages(strata: Sequence[_Stratum]) -> dict[str, Any]:
    sampled = _size(strata, "sampled")
    weights = _weights(strata)
    texts: dict[str, int] = {}
    weighted: dict[str, float] = {}
    for stratum, weight in zip(strata, weights, strict=True):
        for code, counts in stratum.counted.languages.items():
            if found := int(stratum.of(counts)):
                texts[code] = texts.get(code, 0) + found
                weighted[code] = weighted.get(code, 0.0) + weight * found
    total = sum(weighted.values())
    ranked = sorted(weighted, key=lambda code: (-weighted[code], code))
    return {
        "coverage": _coverage(sampled, sum(stratum.pairs for stratum in strata), "pairs", "is not in the sample"),
        "method": "languages",
        "distinct": len([code for code in ranked if code != language.UNDETERMINED]),
        "english": _estimate(_share(strata, _field(strata, "english"), "sampled")),
        "undetermined": _estimate(_share(strata, _field(strata, "undetermined"), "sampled")),
        "shares": [
            {"language": code, "texts": texts[code], "share": weighted[code] / total}
            for code in ranked[: LISTED["languages"]]
        ],
        "other": sum(weighted[code] for code in ranked[LISTED["languages"] :]) / total if total else None,
    }


def _gendered(
    strata: Sequence[_Stratum], first: Sequence[_Stratum] | None, absent: lexicon.Absent | None
) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    if absent is not None:
        return {
            "coverage": _coverage(0, pairs, "pairs"),
            "method": "gendered",
            "not_measured": absent.reason,
            "remedy": absent.remedy,
        }
    english = _size(strata, "english")
    parts = {name: _field(strata, name) for name in ("female", "male", "both", "neutral")}
    whole = _field(strata, "english")
    parts["neither"] = whole - parts["female"] - parts["male"] + parts["both"]
    shares = {name: _share(strata, parts[name], "english") for name in sorted(parts)}
    enough = shares["female"].enough and shares["male"].enough
    found: dict[str, Any] = {
        "coverage": _coverage(english, _size(strata, "sampled"), "texts of the sample", "is not English")
        | {"pairs": pairs},
        "method": "gendered",
        **{name: _estimate(share) for name, share in shares.items()},
        "texts": {name: _size(strata, name) for name in ("female", "male", "both", "neutral")},
        "female_to_male": _estimate(intervals.ratio(parts["female"], parts["male"], enough=enough)),
    }
    if first is not None:
        whole_before = _field(first, "english")
        found["change_since_curate"] = {
            name: _estimate(
                intervals.change(parts[name], whole, _field(first, name), whole_before, enough=shares[name].enough)
            )
            for name in ("female", "male")
        }
    return found


# Countries.


def _countries(strata: Sequence[_Stratum]) -> dict[str, Any]:
    with_field = [stratum for stratum in strata if stratum.source in GEOTAG_FIELDS]
    found: dict[str, int] = {}
    for stratum in with_field:
        for code, counts in stratum.counted.countries.items():
            if pairs := int(stratum.of(counts)):
                found[code] = found.get(code, 0) + pairs
    geotagged = sum(found.values())
    placed = geotagged - found.get(places.NOWHERE, 0)
    ranked = sorted((code for code in found if code != places.NOWHERE), key=lambda code: (-found[code], code))
    return {
        "coverage": _coverage(geotagged, sum(stratum.pairs for stratum in strata), "pairs", "has no geotag"),
        "method": "countries",
        "distinct": len(ranked),
        "shares": [
            {"country": code, "pairs": found[code], "share": found[code] / placed}
            for code in ranked[: LISTED["countries"]]
        ],
        "other": sum(found[code] for code in ranked[LISTED["countries"] :]) / placed if placed else None,
        "no_country": found.get(places.NOWHERE, 0),
    }


# Concentration.


def _in_stage(sketch: Sketch, stage: int) -> Counts:
    """Return the pairs of each followed unit that has any after a stage."""
    counts = cast(Counts, sketch.counts[:, stage:].sum(axis=1))
    return counts[counts > 0]


def _distinct(sketch: Sketch, stage: int) -> float:
    return sketch.distinct(len(_in_stage(sketch, stage)))


def _number(sketch: Sketch, stage: int) -> dict[str, Any]:
    """Return the number of distinct units, with an interval where it is estimated."""
    kept = len(_in_stage(sketch, stage))
    value = sketch.distinct(kept)
    if sketch.complete:
        return {"value": kept, "interval": None, "exact": True}
    half = 1.96 * value / math.sqrt(kept) if kept else 0.0
    return {"value": round(value), "interval": [round(max(value - half, kept)), round(value + half)], "exact": False}


def _joined(sketches: Iterable[Sketch]) -> Sketch | None:
    found: Sketch | None = None
    for sketch in sketches:
        found = sketch if found is None else found + sketch
    return found


def _images(strata: Sequence[_Stratum]) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    sketch = _joined(stratum.counted.images for stratum in strata)
    distinct = _number(sketch, strata[0].stage) if sketch is not None else {"value": 0, "interval": None, "exact": True}
    return {
        "coverage": _coverage(pairs, pairs, "pairs"),
        "method": "images",
        "distinct": distinct,
        "pairs_per_image": pairs / distinct["value"] if distinct["value"] else None,
    }


def _users(strata: Sequence[_Stratum]) -> dict[str, Any]:
    """Return the concentration of users, of a single source: names of users mean something only within one."""
    pairs = sum(stratum.pairs for stratum in strata)
    having = [stratum for stratum in strata if stratum.source in USER_FIELDS]
    with_user = sum(int(stratum.of(stratum.counted.users.total)) for stratum in having)
    found: dict[str, Any] = {
        "coverage": _coverage(with_user, pairs, "pairs", "names no user"),
        "method": "users",
    }
    if len(strata) != 1 or not with_user:
        return found | {
            "not_measured": "users of different sources cannot be told to be one; see each source"
            if len(strata) > 1
            else "the source names no users"
        }
    (only,) = strata
    return (
        found
        | _concentration(only.counted.users, only.stage)
        | {
            "two_pairs_share_one": _collision(
                only.counted.users, only.counted.drawn, only.stage, lambda drawn: drawn.users.tolist()
            )
        }
    )


def _hosts(strata: Sequence[_Stratum]) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    with_host = sum(int(stratum.of(stratum.counted.hosts.total)) for stratum in strata)
    found: dict[str, Any] = {
        "coverage": _coverage(with_host, pairs, "pairs", "has no image URL"),
        "method": "hosts",
    }
    sketch = _joined(stratum.counted.hosts for stratum in strata)
    drawn = _drawn([stratum.counted.drawn for stratum in strata])
    if sketch is None or drawn is None or not with_host:
        return found | {"not_measured": "no pair has an image URL"}
    stage = strata[0].stage
    return (
        found
        | _concentration(sketch, stage)
        | _largest(sketch, drawn, stage)
        | {"two_pairs_share_one": _collision(sketch, drawn, stage, lambda sample: sample.hosts)}
    )


def _drawn(samples: Sequence[PairSample]) -> PairSample | None:
    """Join samples of pairs of several sources, cut to one density, so that the whole is uniform."""
    if not samples:
        return None
    limit = min(sample.limit for sample in samples)
    found = samples[0].below(limit)
    for sample in samples[1:]:
        found = found + sample.below(limit)
    return found


def _concentration(sketch: Sketch, stage: int) -> dict[str, Any]:
    """Return how unequally pairs are spread over units: Gini's coefficient, the largest 1 %, the curve."""
    counts = np.sort(_in_stage(sketch, stage))[::-1].astype(np.float64)
    groups = np.flatnonzero(sketch.counts[:, stage:].sum(axis=1) > 0) % 32
    unsorted = _in_stage(sketch, stage).astype(np.float64)
    found: dict[str, Any] = {
        "distinct": _number(sketch, stage),
        "followed": {
            "units": len(counts),
            "pairs": int(counts.sum()),
            "pairs_of": int(sketch.total[stage:].sum()),
            "exact": sketch.complete,
        },
        "gini": _spread(unsorted, groups, _gini, exact=sketch.complete),
        "top_1_percent": _spread(unsorted, groups, lambda some: _top(some, 0.01), exact=sketch.complete)
        if len(counts) >= MIN_UNITS
        else _estimate(intervals.NOTHING) | {"too_few_units": len(counts)},
        "curve": [[fraction, _top(counts, fraction)] for fraction in CURVE] if len(counts) else [],
    }
    return found


def _spread(
    counts: intervals.Array,
    groups: Counts,
    figure: Callable[[intervals.Array], float],
    *,
    exact: bool,
) -> dict[str, Any]:
    """Return a figure of units; where they are a sample, with a jackknife over 32 groups of them."""
    if len(counts) < 2:
        return _estimate(intervals.NOTHING)
    value = figure(counts)
    if exact:
        return _estimate(Estimate(value, enough=len(counts) >= intervals.MIN_EFFECTIVE))
    left_out = np.array([figure(counts[groups != group]) for group in np.unique(groups) if (groups != group).any()])
    number = len(left_out)
    if number < 2:
        return _estimate(Estimate(value))
    half = intervals.t_quantile(number - 1) * math.sqrt((number - 1) / number * float(((left_out - value) ** 2).sum()))
    return _estimate(Estimate(value, max(0.0, value - half), min(1.0, value + half), enough=len(counts) >= MIN_UNITS))


def _gini(counts: intervals.Array) -> float:
    """Return Gini's coefficient: 0 where all have alike, towards 1 where one has all."""
    ascending = np.sort(counts)
    number = len(ascending)
    ranks = np.arange(1, number + 1)
    return float((2 * ranks - number - 1) @ ascending / (number * ascending.sum()))


def _top(counts: intervals.Array, fraction: float) -> float:
    """Return the share of pairs that a fraction of the units has, the largest; a part of a unit counts in part."""
    descending = np.sort(counts)[::-1]
    take = fraction * len(descending)
    whole = int(take)
    part = (take - whole) * descending[whole] if whole < len(descending) else 0.0
    return float((descending[:whole].sum() + part) / descending.sum())


def _largest(sketch: Sketch, drawn: PairSample, stage: int) -> dict[str, Any]:
    """Return the hosts with most pairs, and what ten of them have together."""
    tally: dict[str, int] = {}
    if sketch.complete and sketch.names is not None:
        sums = sketch.counts[:, stage:].sum(axis=1).tolist()
        tally = {name: count for name, count in zip(sketch.names, sums, strict=True) if count}
    else:
        for host, number in zip(drawn.hosts, drawn.classes.tolist(), strict=True):
            if host and number >= stage:
                tally[host] = tally.get(host, 0) + 1
    total = sum(tally.values())
    ranked = sorted(tally, key=lambda host: (-tally[host], host))
    exact = sketch.complete

    def shared(pairs: int) -> dict[str, Any]:
        if not total:
            return _estimate(intervals.NOTHING)
        if exact:
            return _estimate(Estimate(pairs / total, enough=True))
        low, high = intervals.wilson(pairs / total, total)
        return _estimate(Estimate(pairs / total, low, high, enough=total >= intervals.MIN_EFFECTIVE))

    return {
        "largest": [
            {"host": host, "pairs_seen": tally[host], "share": shared(tally[host])}
            for host in ranked[: LISTED["hosts"]]
        ],
        "largest_seen_in": {"pairs": total, "exact": exact},
        "top_10": shared(sum(tally[host] for host in ranked[:10])),
    }


def _collision(
    sketch: Sketch, drawn: PairSample, stage: int, units: Callable[[PairSample], Sequence[Any]]
) -> dict[str, Any]:
    """Return the chance that two different pairs drawn at random have one unit.

    Exact where every unit is followed, else unbiased from the sample of pairs.
    """
    if sketch.complete:
        sizes = _in_stage(sketch, stage).tolist()
    else:
        tally: dict[Any, int] = {}
        for unit, number in zip(units(drawn), drawn.classes.tolist(), strict=True):
            if unit and number >= stage:
                tally[unit] = tally.get(unit, 0) + 1
        sizes = list(tally.values())
    total = sum(sizes)
    same = sum(size * (size - 1) for size in sizes)
    return {"value": same / (total * (total - 1)) if total > 1 else None, "pairs": total, "exact": sketch.complete}


# The whole.


def _labels(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the English names of the languages and countries that the file mentions."""
    names = {code: name.replace("_", " ").title() for name, code in reversed(pycld2.LANGUAGES)}
    populations = [figures for group in (found["all"], *found["sources"].values()) for figures in group.values()]
    languages = {row["language"] for figures in populations for row in figures["languages"]["shares"]}
    countries = {row["country"] for figures in populations for row in figures["countries"]["shares"]}
    return {
        "languages": {
            code: "undetermined" if code == language.UNDETERMINED else names.get(code, code)
            for code in sorted(languages)
        },
        "countries": {code: places.name(code) for code in sorted(countries | {places.NOWHERE})},
    }


def _tidy(value: Any) -> Any:
    """Return JSON-like values with sorted keys and floats of six significant digits."""
    if isinstance(value, Mapping):
        return {key: _tidy(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_tidy(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(f"{float(value):.6g}")
    return value
