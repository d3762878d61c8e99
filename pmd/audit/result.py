"""From counts to figures: the content of audit.json.

Every section of a population has its `coverage` (how many pairs were measured, of how many that it speaks of) and its
`method`, a key of the `methods` that stand in the file once. A figure speaks of this table: it is exact where all was
read, and else it has a 95 % interval. Beside it stands what `another_draw` of such users, images, pages or hosts would give.

The books and the pairs are counted apart, from other files; where they disagree the audit fails, since one of them is
wrong.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, cast

import numpy as np
import pycld2

from pmd.audit import (
    attributes,
    estimates,
    findings,
    geography,
    lexicon,
    losses,
    pictures,
    places,
    small_cells,
    steps,
    suppression,
    unit_losses,
    units,
    wording,
)
from pmd.audit.clusters import Sums
from pmd.audit.components import components
from pmd.audit.datasets import OF_BUILDS
from pmd.audit.estimates import Estimate, Part, Read
from pmd.audit.figures import Draw
from pmd.audit.figures import coverage as _coverage
from pmd.audit.figures import figure as _figure
from pmd.audit.figures import plain as _estimate
from pmd.audit.measure import (
    CATEGORIES,
    CLASSES,
    MAX_WORDS,
    STAGES,
    Counts,
    Partial,
    Plan,
    SourcePartial,
    recorded,
)
from pmd.audit.population import NOTHING, Beside
from pmd.audit.population import component as population_component
from pmd.audit.repeated import NOTHING_REPEATED
from pmd.errors import VerificationError
from pmd.store import commits
from pmd.text import language

#: Version of the layout of audit.json.
FORMAT: Final = 3

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
    "countries": "Longitude and latitude in the upstream row, to a time zone, to the one country that has it, with written rules "
    "for northern Vietnam and disputed land; 'ZZ' at sea and where nothing is settled. " + OF_BUILDS,
    "geography": "A country's share of the photographs that lie in a country, beside its share of the world's people, and of its "
    "internet users. By user: the country that most of their photographs show; of several a hash decides. A photographed "
    "country is not a home. Bounds: none of the photographs without a country, or all of them, are of high income.",
    "gendered": "Share of the English texts of the sample with at least one term of a list; whole words, case-folded, "
    "the longest term first. 'neutral' is genbit's non-binary list, which also holds neutral words for people "
    "(firefighter). Of this table figures are exact where all texts were read, and else have the interval of texts drawn by "
    "hash.",
    "another_draw": "What many more such users would give, or images, pages and hosts where no user is named; of crossed "
    "units the wider. Sums over clusters, corrected by CR2 with the correlation within them, t with Satterthwaite's "
    "degrees of freedom; none under 8 of them or with one cluster over 20 % of the pairs. Pairs without a name for the cluster, "
    "as those of a deleted account, are in none: they are left out, and the figures are of the others.",
    "steps": "Pairs with a property that a step kept ÷ those that came to it, ÷ the same of all pairs of the source: 1 where "
    "they fared as all did. Exact, with intervals only where texts were sampled. Values of fewer than 10 pairs are "
    "not shown; a large one that changed by fewer is given as it was (≈).",
    "losses": "Whether what was lost at a step had to do with what it shows, were users or hosts lost as they come: a test "
    "of its own beside the change, which is exact. Clusters are the coarsest of users and hosts that a source has. Of sizes "
    "each user or host is one draw, however large: points are what those of a size keep of their pairs on average, less what "
    "all others keep, to a tenth of a point. Null hypothesis: no more than 0.5 points; Benjamini and Yekutieli's control of "
    "false discoveries at 5 % in each section; findings' intervals are corrected for being chosen.",
    "users": "Pairs of each user, counted. Users are never named.",
    "hosts": "Registrable domains of the upstream image URLs, counted. Hosts with fewer than 10 pairs are not listed; of all "
    "sources there is what their lists have together. What follows from their sizes is rounded to 20 pairs if not all are told.",
    "images": "Distinct images, counted, as the build has them: a photograph that COCO and Flickr number counts once. "
    "So do views of one image.",
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

    @property
    def texts(self) -> Counts:
        """Texts of the sample by category."""
        return cast(Counts, self.of(self.counted.sample))


def result(
    partial: Partial,
    books: StageBooks,
    plan: Plan,
    table2: Mapping[str, Table2Row],
    *,
    counted: units.Counted = units.EMPTY,
    sample: int = 1,
    profile: str | None = None,
    repeated: Mapping[str, Any] | None = None,
    overlap: Mapping[str, Any] | None = None,
    beside: Beside = NOTHING,
    pictures_: Mapping[str, Any] | None = None,
    beside_identity: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the content of audit.json: deterministic, keys sorted, floats rounded to six significant digits.

    Args:
        partial: What was counted of all pairs that curate kept.
        books: Stage (of `STAGES`) → source → its books in *pairs*; only stages that have run.
        plan: The plan that the pairs were measured with.
        table2: Source → its row of Table 2.
        counted: What is known of users, images, hosts, pages and subreddits.
        sample: The build is of one in so many images: pairs of others were measured nowhere.
        profile: The profile that the pairs were curated with, to be named in the report.
        repeated: `repeated.summary` of all pairs; None where no text is repeated.
        overlap: `overlap.matrix` of all images.
        beside: What countries are compared with.
        pictures_: `pictures.figures` of all images.
        beside_identity: What `context.count` found of each source.

    Raises:
        VerificationError: The books say otherwise than the pairs, or a stage did not get what the one before kept.
    """
    ran = [stage for stage in STAGES if stage in books]
    _check(partial, books, ran)
    sources = sorted({*partial.sources, *(source for stage in ran for source in books[stage])})
    absent = plan.lexicon if isinstance(plan.lexicon, lexicon.Absent) else None
    told = {
        source: steps.Source.of(source, some, counted, ran, beside.incomes) for source, some in partial.sources.items()
    }
    content = {
        "format": FORMAT,
        "profile": profile,
        "sample": sample,
        "stages": ran,
        "books": {stage: {source: _book(books[stage][source]) for source in sorted(books[stage])} for stage in ran},
        "table2": _table2(partial, books, ran, sources, table2),
        "sources": {
            source: _populations(
                [(source, partial.sources[source])] if source in partial.sources else [],
                ran,
                plan.lexicon,
                (counted, told),
            )
            for source in sources
        },
        "all": _populations(sorted(partial.sources.items()), ran, plan.lexicon, (counted, told)),
        "tests": _tests(counted, told, ran, absent),
        "overlap": overlap,
        "steps": steps.steps(told, books, ran),
        "geography": geography.geography(partial.sources, counted, steps.of(ran), beside, told),
        "pictures": pictures_ or {},
        "components": [*components(plan.lexicon), population_component(beside.population)],
        "methods": METHODS | wording.METHODS | {"attributes": attributes.METHOD, "pictures": pictures.METHOD},
        "labels": {},
    }
    _add_words(content, beside_identity, ran)
    _add_repeated(content, repeated or {"sources": {}, "all": {}})
    small_cells.hide(content, told)
    small_cells.hide_texts(content)
    small_cells.hide_attributes(content)
    content["labels"] = _labels(content)
    return cast(dict[str, Any], _tidy(content))


def _add_words(content: Mapping[str, Any], found: Sequence[Mapping[str, Any]], ran: Sequence[str]) -> None:
    """Put the words beside terms of identity into the last population of each source."""
    for one in found:
        if ran and one["stage"] == ran[-1]:
            content["sources"][one["source"]][ran[-1]]["identity"]["beside"] = one["words"]


def _add_repeated(content: Mapping[str, Any], repeated: Mapping[str, Any]) -> None:
    """Put the repeated texts into every population, with their shares of its pairs."""
    groups = [(content["all"], repeated["all"])]
    groups += [(content["sources"][source], repeated["sources"].get(source, {})) for source in content["sources"]]
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
    """Compare the books of stages with each other, and with what was counted."""
    for before, stage in itertools.pairwise(ran):
        for source in sorted({*partial.sources, *books[before], *books[stage]}):
            given = books[before].get(source, commits.Books()).kept
            taken = books[stage].get(source, commits.Books()).total
            if given != taken:
                raise VerificationError(
                    f"stage {stage} did not get what {before} kept",
                    where=f"stage {stage}, source {source}",
                    expected=f"{given} pairs in",
                    found=f"{taken} pairs in",
                    remedy=f"run: pmd build CONFIG, which makes what is stale ({stage} and what follows it) anew",
                )
    for stage in ran:
        for source in sorted({*partial.sources, *books[stage]}):
            _check_counted(partial, books, stage, source, is_first=stage == ran[0])


def _check_counted(partial: Partial, books: StageBooks, stage: str, source: str, *, is_first: bool) -> None:
    """Compare what was counted with a stage's books; pairs outside the sample are in those of the first stage alone."""
    kept = books[stage].get(source, commits.Books()).kept
    counted = partial.sources.get(source)
    pairs = 0 if counted is None else int(counted.pairs[CLASSES.index(stage) :].sum())
    pairs += counted.outside if counted is not None and is_first else 0
    if kept != pairs:
        raise VerificationError(
            "the books and the pairs disagree",
            where=f"stage {stage}, source {source}",
            expected=f"{kept} pairs, as the stage's books say",
            found=f"{pairs} pairs",
            remedy="run: pmd verify ROOT",
        )


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
    members_of: dict[str, list[str]] = {}
    for source in sorted(table2):
        members_of.setdefault(table2[source].row, []).append(source)
    rows: list[dict[str, Any]] = []
    for row, members in members_of.items():
        published = table2[members[0]]
        here = [source for source in members if source in sources]
        strata = {
            stage: [
                _Stratum(source, partial.sources[source], CLASSES.index(stage))
                for source in here
                if source in partial.sources
            ]
            for stage in ran
        }
        pairs = {stage: sum(stratum.pairs for stratum in strata[stage]) for stage in ran}
        rows.append(
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
    return sorted(rows, key=lambda row: (row["published"]["pairs"], row["row"]))


def _populations(
    counted: Sequence[tuple[str, SourcePartial]],
    ran: Sequence[str],
    lists: lexicon.Lexicon | lexicon.Absent,
    known: tuple[units.Counted, Mapping[str, steps.Source]],
) -> dict[str, Any]:
    """Return the figures of some sources' pairs after each stage."""
    absent = lists if isinstance(lists, lexicon.Absent) else None
    by_stage: dict[str, Any] = {}
    first: list[_Stratum] = []
    tallies: dict[str, tuple[int, dict[str, int]]] = {}
    for stage in ran:
        strata = [_Stratum(source, partial, CLASSES.index(stage)) for source, partial in counted]
        strata = [stratum for stratum in strata if stratum.pairs]
        by_stage[stage] = _population(strata, first, absent, known, CLASSES.index(stage))
        by_stage[stage] |= _worded(strata, lists, known[0], CLASSES.index(stage), last=stage == ran[-1])
        tallies[stage] = (by_stage[stage]["pairs"], _tallies(strata))
        first = first or strata
    for stage, section in attributes.figures(tallies, rates=len(counted) == 1).items():
        by_stage[stage]["attributes"] = section
    return by_stage


def _population(
    strata: Sequence[_Stratum],
    first: Sequence[_Stratum],
    absent: lexicon.Absent | None,
    known: tuple[units.Counted, Mapping[str, steps.Source]],
    stage: int,
) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    of = _Known(*known, strata, stage)
    return {
        "pairs": pairs,
        "images": _images(pairs, of),
        "words": _words(strata),
        "languages": _languages(strata, of),
        "countries": _countries(strata, of),
        "gendered": _gendered(strata, first, absent, of),
        "users": _users(strata, of),
        "hosts": _hosts(strata, of),
    }


def _tallies(strata: Sequence[_Stratum]) -> dict[str, int]:
    """Return the counts by key, of all sources added up."""
    found: dict[str, int] = {}
    for stratum in strata:
        for name, count in stratum.counted.tallies_after[stratum.stage].items():
            found[name] = found.get(name, 0) + count
    return found


def _worded(
    strata: Sequence[_Stratum], lists: lexicon.Lexicon | lexicon.Absent, known: units.Counted, stage: int, *, last: bool
) -> dict[str, Any]:
    """Return the sections on what texts have beside gendered terms, and what carries those."""
    return wording.sections([_texts(stratum, known, stage) for stratum in strata], lists, last=last)


def _texts(stratum: _Stratum, known: units.Counted, stage: int) -> wording.Texts:
    source, read = stratum.source, _size([stratum], "read")
    return wording.Texts(
        source,
        stratum.pairs,
        read,
        _size([stratum], "english"),
        _size([stratum], "female"),
        _size([stratum], "male"),
        max(1 - read / stratum.pairs, 0.0),
        _tallies([stratum]),
        units.clusters_of(source),
        lambda kind, domain: units.sums_of(known, source, kind, stage, domain),
        lambda kind: units.associations_of(known, source, kind, stage),
        lambda kind: units.marked_of(known, source, kind, stage),
    )


@dataclasses.dataclass(frozen=True)
class _Known:
    """What is known of the units of a population."""

    counted: units.Counted
    told: Mapping[str, steps.Source]
    strata: Sequence[_Stratum]
    stage: int

    @property
    def name(self) -> str:
        return self.strata[0].source if len(self.strata) == 1 else units.ALL

    def sizes(self, kind: str) -> tuple[Counts, Counts]:
        return units.sizes_of(self.counted, self.name, kind, self.stage)

    def held_hosts(self) -> dict[str, tuple[int, int]]:
        """Return the hosts that are given as they were at another stage: their pairs, and those that are told."""
        stage, apart = CLASSES[self.stage], dict[str, int]()
        for source in (stratum.source for stratum in self.strata):
            numbers = self.told[source].of_step("host", stage)
            if same := self.told[source].as_before("host", stage):
                truly = units.large_hosts_of(self.counted, source)
                for host in same:
                    apart[host] = apart.get(host, 0) + numbers[host] - int(truly[host][self.stage])
        large = units.large_hosts_of(self.counted, self.name) if apart else {}
        pairs = {host: int(large[host][self.stage]) for host in apart if host in large}
        return {host: (some, some + apart[host]) for host, some in pairs.items()}

    def kinds(self) -> list[tuple[str, ...]]:
        """Return the kinds of clusters by source: once those that come first, once those that cross them, if any."""
        kinds = [units.clusters_of(stratum.source) for stratum in self.strata]
        ways = [tuple(some[0] for some in kinds), tuple(some[-1] for some in kinds)]
        return ways if ways[0] != ways[1] else ways[:1]

    def parts(self, kinds: Sequence[str], domain: str, having: Sequence[float]) -> list[Part]:
        return [
            Part(self._sums(stratum.source, kind, domain), weight)
            for stratum, kind, weight in zip(self.strata, kinds, having, strict=True)
        ]

    def _sums(self, source: str, kind: str, domain: str) -> Sums:
        return units.sums_of(self.counted, source, kind, self.stage, domain)


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
    sampled = [int(stratum.texts.sum()) for stratum in strata]
    return [stratum.pairs / texts if texts else 0.0 for stratum, texts in zip(strata, sampled, strict=True)]


def _size(strata: Sequence[_Stratum], *names: str) -> int:
    """Return how many texts of the sample have all of some names, unweighted."""
    wanted = frozenset(names)
    return sum(
        int(count)
        for stratum in strata
        for having, count in zip(CATEGORIES, stratum.texts.tolist(), strict=True)
        if wanted <= having
    )


def _read(strata: Sequence[_Stratum], first: Sequence[_Stratum] | None = None) -> list[Read]:
    """Return what was read of the texts of a stage, by source.

    Args:
        strata: The sources after a stage.
        first: The sources before it, where both are to be told: the texts are then those of before, and those that are left
            have the name "left" too.
    """
    now = {stratum.source: stratum for stratum in strata}
    found = []
    for stratum in strata if first is None else first:
        left = now.get(stratum.source)
        texts = stratum.texts
        remaining = left.texts if left is not None else np.zeros_like(texts)
        counts: dict[frozenset[str], int] = {}
        for names, count, kept in zip(CATEGORIES, texts.tolist(), remaining.tolist(), strict=True):
            of = names | {"both"} if {"female", "male"} <= names else names
            of = of | {"neither"} if "english" in names and not {"female", "male"} & names else of
            if first is None:
                counts[of] = count
            else:
                counts[of] = count - kept
                counts[of | {"left"} | ({"left english"} if "english" in of else set())] = kept
        read = int(texts.sum())
        whole = stratum if first is None or left is None else left
        at = int(whole.texts.sum())
        factor = max(1 - read / stratum.pairs, 0.0)
        found.append(
            Read({names: count for names, count in counts.items() if count}, whole.pairs / at if at else 0.0, factor)
        )
    return found


def _share(strata: Sequence[_Stratum], name: str, domain: str, of: _Known) -> tuple[Estimate, dict[str, Any]]:
    """Return a share of the texts of a domain, as an estimate of this table and as a figure."""
    table = estimates.share_of_table(_read(strata), name, domain)
    draws = []
    for kinds in of.kinds() if strata else []:
        parts = of.parts(kinds, domain, _domains(strata, domain))
        draws.append(Draw.of(kinds, estimates.share_of_draw(parts, name), parts, _size(strata, domain)))
    return table, _figure(table, draws)


def _domains(strata: Sequence[_Stratum], domain: str) -> list[float]:
    """Return about how many pairs of each source a domain has."""
    return [weight * _size([stratum], domain) for weight, stratum in zip(_weights(strata), strata, strict=True)]


def _languages(strata: Sequence[_Stratum], of: _Known) -> dict[str, Any]:
    sampled = _size(strata, "read")
    weights = _weights(strata)
    texts: dict[str, int] = {}
    weighted: dict[str, float] = {}
    for stratum, weight in zip(strata, weights, strict=True):
        for code, counts in stratum.counted.languages.items():
            if count := int(stratum.of(counts)):
                texts[code] = texts.get(code, 0) + count
                weighted[code] = weighted.get(code, 0.0) + weight * count
    total = sum(weighted.values())
    ranked = sorted(weighted, key=lambda code: (-weighted[code], code))
    return {
        "coverage": _coverage(sampled, sum(stratum.pairs for stratum in strata), "pairs", "is not in the sample"),
        "method": "languages",
        "distinct": len([code for code in ranked if code != language.UNDETERMINED]),
        "english": _share(strata, "english", "read", of)[1],
        "undetermined": _share(strata, "undetermined", "read", of)[1],
        "shares": [
            {"language": code, "texts": texts[code], "share": weighted[code] / total}
            for code in ranked[: small_cells.LISTED["languages"]]
        ],
        "other": sum(weighted[code] for code in ranked[small_cells.LISTED["languages"] :]) / total if total else None,
    }


def _gendered(
    strata: Sequence[_Stratum], first: Sequence[_Stratum], absent: lexicon.Absent | None, of: _Known
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
    ratio = estimates.ratio_of_table(_read(strata), "female", "male", "english")
    draws = []
    for kinds in of.kinds() if strata else []:
        parts = of.parts(kinds, "english", _domains(strata, "english"))
        draws.append(Draw.of(kinds, estimates.ratio_of_draw(parts, "female", "male", "both"), parts, english))
    figures: dict[str, Any] = {
        "coverage": _coverage(english, _size(strata, "read"), "texts of the sample", "is not English")
        | {"pairs": pairs},
        "method": "gendered",
        **{name: _share(strata, name, "english", of)[1] for name in ("both", "female", "male", "neither", "neutral")},
        "texts": {
            "female": _size(strata, "female"),
            "male": _size(strata, "male"),
            "both": _size(strata, "female", "male"),
            "neutral": _size(strata, "neutral"),
        },
        "female_to_male": _figure(ratio, draws),
    }
    if first:
        after, before = _read(strata, first), _read(first, first)
        figures["change_since_curate"] = {
            name: _estimate(estimates.change_of_table(after, before, name, ("left english", "english")))
            for name in ("female", "male")
        }
    return figures


# Whether losses struck unevenly.


@dataclasses.dataclass(frozen=True)
class _Question:
    """What a section of tests asks.

    Attributes:
        domain: Which pairs.
        properties: What of them; empty for the commonest that their table has.
        by: What `steps.Source` calls these properties, where their numbers may be hidden.
        kind: The units whose own property it is: each is one draw then. Else pairs are drawn, by the coarsest clusters.
    """

    domain: str
    properties: tuple[str, ...] = ()
    by: str | None = None
    kind: str | None = None


#: Section → what it asks.
TESTED: Final[Mapping[str, _Question]] = {
    "languages": _Question("read", ("english",)),
    "gendered": _Question("english", ("female", "male", "both", "neutral")),
    "countries": _Question("placed", by="country"),
    "incomes": _Question("income", ("high",), by="income"),
    "years": _Question(units.DATED, by="year"),
    "user_sizes": _Question(units.SIZED, by="user_size", kind="user"),
    "host_sizes": _Question(units.SIZED, by="host_size", kind="host"),
}


#: Decimals of effects, errors and intervals of sizes: a tenth of a point. With all of them, what sizes lost whose numbers are
#: hidden would follow from the effects of the others, where few users have such a size.
_DECIMALS: Final = 3


def _tests(
    counted: units.Counted, told: Mapping[str, steps.Source], ran: Sequence[str], absent: lexicon.Absent | None
) -> list[dict[str, Any]]:
    """Return all tests, findings or not: of each section, source, step and property one.

    The effect is the share after less the share before; of sizes it is what users, or hosts, of a size keep on average, less what
    all others keep. An effect tells how many pairs a step took. Of countries and incomes there is one only where that is told.
    """
    rows = []
    for section, question in TESTED.items():
        if section == "gendered" and absent is not None:
            continue
        asked = []
        for source, one in sorted(told.items()):
            coarsest = _lost_by(counted, source)
            kind = question.kind or coarsest
            if question.kind and _number(counted, source, kind) < 2:
                continue
            for stage in steps.of(ran)[1:]:
                table = units.losses_of(counted, source, kind, CLASSES.index(stage), question.domain)
                names = [*(question.properties or _commonest(table))]
                if question.by is not None:
                    names = [name for name in names if name in one.changed(question.by, stage)]
                asks = unit_losses.uneven if question.kind else losses.uneven
                found = [(name, asks(table, name)) for name in names if table.num_rows]
                if kind != coarsest:
                    found = [(name, losses.refuse(test, f"{coarsest}s are coarser")) for name, test in found]
                asked += [(source, stage, kind, name, test) for name, test in found]
        asked = [one for one in asked if one[4].effect is not None]
        for (source, stage, kind, name, test), judged in zip(
            asked, findings.judge([one[4] for one in asked]), strict=True
        ):
            low, high = judged.interval or (None, None)
            decimals = _DECIMALS if question.kind else None
            rows.append(
                {
                    "section": section,
                    "source": source,
                    "stage": stage,
                    "property": name,
                    "cluster": kind,
                    "effect": _rounded(test.effect, decimals),
                    "error": _rounded(test.error, decimals),
                    "degrees": _rounded(test.degrees, decimals and 0),
                    "clusters": test.clusters,
                    "p": judged.p,
                    "low": _rounded(low, decimals),
                    "high": _rounded(high, decimals),
                    "level": judged.level,
                    "finding": judged.finding,
                    "refused": test.refused,
                }
            )
    return rows


def _rounded(value: float | None, decimals: int | None) -> float | None:
    return value if value is None or decimals is None else round(value, decimals)


def _number(counted: units.Counted, source: str, kind: str) -> int:
    return int(units.sizes_of(counted, source, kind, 0)[1].sum())


def _lost_by(counted: units.Counted, source: str) -> str:
    """Return the coarsest of hosts and users that a source has; hosts are none where all pairs lie on one."""
    numbers = {kind: _number(counted, source, kind) for kind in units.LOST_BY}
    some = [kind for kind in units.LOST_BY if numbers[kind] > 1]
    return min(some, key=lambda kind: numbers[kind]) if some else units.LOST_BY[0]


def _commonest(table: Any) -> list[str]:
    """Return the ten commonest properties before a step, of those that are shown at all; none where all pairs have one."""
    had: dict[str, int] = {}
    for name, count in zip(table["property"].to_pylist(), table["had"].to_pylist(), strict=True):
        had[name] = had.get(name, 0) + count
    some = sorted(name for name, count in had.items() if name and count >= suppression.LEAST)
    if len([name for name in had if name]) < 2:
        return []
    return sorted(some, key=lambda name: -had[name])[:10]


# Countries.


def _countries(strata: Sequence[_Stratum], of: _Known) -> dict[str, Any]:
    with_field = [stratum for stratum in strata if recorded(stratum.source).geotag is not None]
    by_country: dict[str, int] = {}
    for stratum in with_field:
        for code, counts in stratum.counted.countries.items():
            if pairs := int(stratum.of(counts)):
                by_country[code] = by_country.get(code, 0) + pairs
    geotagged = sum(by_country.values())
    placed = geotagged - by_country.get(places.NOWHERE, 0)
    ranked = sorted((code for code in by_country if code != places.NOWHERE), key=lambda code: (-by_country[code], code))
    return {
        "coverage": _coverage(geotagged, sum(stratum.pairs for stratum in strata), "pairs", "has no geotag"),
        "method": "countries",
        "distinct": len(ranked),
        "shares": [
            {"country": code, "pairs": by_country[code], "share": by_country[code] / placed}
            | _of_country(code, with_field, of)
            for code in ranked[: small_cells.LISTED["countries"]]
        ],
        "other": sum(by_country[code] for code in ranked[small_cells.LISTED["countries"] :]) / placed
        if placed
        else None,
        "no_country": by_country.get(places.NOWHERE, 0),
        **_amiss(strata),
    }


def _amiss(strata: Sequence[_Stratum]) -> dict[str, Any]:
    """Return how many pairs have numbers for a place that are no geotag, by what is amiss; nothing where none has."""
    found: dict[str, int] = {}
    for stratum in strata:
        for what, counts in stratum.counted.traits.get("amiss", {}).items():
            if pairs := int(stratum.of(counts)):
                found[what] = found.get(what, 0) + pairs
    return {"amiss": dict(sorted(found.items()))} if found else {}


def _of_country(code: str, strata: Sequence[_Stratum], of: _Known) -> dict[str, Any]:
    """Return the interval of what another draw of users would give a country; empty where there is none."""
    if len(strata) != 1:
        return {}
    source = strata[0].source
    sums = units.sums_of(of.counted, source, units.clusters_of(source)[0], of.stage, "placed")
    draw = estimates.share_of_draw([Part(sums, 1.0)], code)
    return {"low": draw.low, "high": draw.high, "refused": draw.refused}


# Concentration.


def _images(pairs: int, of: _Known) -> dict[str, Any]:
    number = int(of.sizes("image")[1].sum())
    return {
        "coverage": _coverage(pairs, pairs, "pairs"),
        "method": "images",
        "distinct": {"value": number, "interval": None, "exact": True},
        "pairs_per_image": pairs / number if number else None,
    }


def _users(strata: Sequence[_Stratum], of: _Known) -> dict[str, Any]:
    """Return the concentration of users, of a single source: names of users mean something only within one."""
    pairs = sum(stratum.pairs for stratum in strata)
    having = [stratum.source for stratum in strata if recorded(stratum.source).user is not None]
    sizes = [units.sizes_of(of.counted, source, "user", of.stage) for source in having]
    with_user = sum(int(size @ number) for size, number in sizes)
    figures: dict[str, Any] = {
        "coverage": _coverage(with_user, pairs, "pairs", "names no user"),
        "method": "users",
    }
    if len(strata) != 1 or not with_user:
        return figures | {
            "not_measured": "users of different sources cannot be told to be one; see each source"
            if len(strata) > 1
            else "the source names no users"
        }
    return figures | _concentration(*sizes[0])


def _hosts(strata: Sequence[_Stratum], of: _Known) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    sizes, number = of.sizes("host")
    with_host = int(sizes @ number)
    figures: dict[str, Any] = {
        "coverage": _coverage(with_host, pairs, "pairs", "has no image URL"),
        "method": "hosts",
    }
    if not with_host:
        return figures | {"not_measured": "no pair has an image URL"}
    largest = units.hosts_of(of.counted, of.name, of.stage)
    # By the numbers that are told: with the true ones it would follow what a host that hardly changed has lost.
    held = of.held_hosts()
    ten = sorted((held[host][1] if host in held else count for host, count in largest), reverse=True)[:10]
    return (
        figures
        | _concentration(*_as_told(sizes, number, held), with_host)
        | {
            "largest": [{"host": host, "pairs": count, "share": count / with_host} for host, count in largest],
            "top_10": min(sum(ten) / with_host, 1.0),
        }
    )


def _as_told(sizes: Counts, number: Counts, held: Mapping[str, tuple[int, int]]) -> tuple[Counts, Counts]:
    """Return sizes and how many units have each, with some units of other sizes than they have."""
    units_of = dict(zip(sizes.tolist(), number.tolist(), strict=True))
    for pairs, told in held.values():
        units_of[pairs] -= 1
        units_of[told] = units_of.get(told, 0) + 1
    found = sorted((size, some) for size, some in units_of.items() if some)
    return np.array([size for size, _ in found], np.int64), np.array([some for _, some in found], np.int64)


def _concentration(sizes: Counts, number: Counts, total: int | None = None) -> dict[str, Any]:
    """Return how unequally pairs are spread over units: Gini's coefficient, the largest 1 %, the curve; all exact.

    Args:
        sizes: Of the units, ascending.
        number: How many units have each.
        total: Their pairs, where the sizes are not quite those that they have.
    """
    total, count = int(sizes @ number) if total is None else total, int(number.sum())
    curve = _Curve.of(sizes, number, total)
    enough = count >= MIN_UNITS
    return {
        "distinct": {"value": count, "interval": None, "exact": True},
        "gini": curve.gini() if count > 1 else None,
        "top_1_percent": curve.top(0.01) if enough else None,
        "hold_half": curve.holding(0.5),
        "curve": [[fraction, curve.top(fraction)] for fraction in CURVE] if enough else [],
        "two_pairs_share_one": sum(
            size * (size - 1) * some for size, some in zip(sizes.tolist(), number.tolist(), strict=True)
        )
        / (total * (total - 1))
        if total > 1
        else None,
    }


@dataclasses.dataclass(frozen=True)
class _Curve:
    """Units from the largest on, and their pairs, summed up."""

    sizes: Counts
    units: Counts
    pairs: Counts
    total: int

    @classmethod
    def of(cls, sizes: Counts, number: Counts, total: int) -> _Curve:
        """Return the curve of units by their pairs, ascending, of so many pairs together."""
        down, some = sizes[::-1], number[::-1]
        return cls(down, np.cumsum(some), np.cumsum(down * some), total)

    def top(self, fraction: float) -> float:
        """Return the share of pairs that a fraction of the units has, the largest; a part of a unit counts in part."""
        if fraction >= 1:
            return 1.0
        take = fraction * int(self.units[-1])
        place = min(int(np.searchsorted(self.units, take)), len(self.units) - 1)
        before, held = (int(self.units[place - 1]), int(self.pairs[place - 1])) if place else (0, 0)
        return min((held + (take - before) * int(self.sizes[place])) / self.total, 1.0)

    def holding(self, share: float) -> int:
        """Return how many of the largest units it takes to have a share of the pairs."""
        wanted = math.ceil(share * self.total)
        place = int(np.searchsorted(self.pairs, wanted))
        before, held = (int(self.units[place - 1]), int(self.pairs[place - 1])) if place else (0, 0)
        return before + -(-(wanted - held) // int(self.sizes[place]))

    def gini(self) -> float:
        """Return Gini's coefficient: 0 where all have alike, towards 1 where one has all."""
        number, total = int(self.units[-1]), self.total
        before = 0
        weighted = 0
        for size, until in zip(self.sizes.tolist(), self.units.tolist(), strict=True):
            some = until - before
            # The sum of (n + 1 − 2 rank) over the units from before + 1 to until, the largest first.
            weighted += size * (some * (number + 1) - (before + 1 + until) * some)
            before = until
        return weighted / (number * total)


# The whole.


def _labels(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the English names of the languages and countries that the file mentions."""
    names = {code: name.replace("_", " ").title() for name, code in reversed(pycld2.LANGUAGES)}
    populations = [figures for group in (content["all"], *content["sources"].values()) for figures in group.values()]
    languages = {row["language"] for figures in populations for row in figures["languages"]["shares"]}
    countries = {row["country"] for figures in populations for row in figures["countries"]["shares"]}
    countries |= geography.mentioned(content["geography"])
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
