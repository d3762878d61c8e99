"""The figures of one population: all sources' pairs, or one source's, after each stage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from pmd.audit.counting import licensing, unit_sums, units
from pmd.audit.counting.measure import CLASSES, MAX_WORDS, Counts, SourcePartial, recorded
from pmd.audit.figures import attributes, inequality, small_cells, steps, wording
from pmd.audit.figures.strata import (
    Known,
    Stratum,
    mean_words,
    pairs_of,
    read_of,
    share_of,
    tallies_of,
    texts_with,
    weights_of,
)
from pmd.audit.places import places
from pmd.audit.statistics import estimates
from pmd.audit.statistics.estimates import Part
from pmd.audit.statistics.figures import Draw, coverage, figure, plain
from pmd.audit.texts import lexicon, marks
from pmd.text import language

#: Edges of the bins in which lengths are shown: the bin from a to below b holds texts of a…b-1 words.
LENGTH_EDGES: Final = (1, 3, 5, 7, 9, 11, 13, 16, 21, 31, 51, 101)


def populations(
    counted: Sequence[tuple[str, SourcePartial]],
    ran: Sequence[str],
    lists: lexicon.Lexicon | lexicon.Absent,
    known: tuple[unit_sums.Counted, Mapping[str, steps.Source]],
) -> dict[str, Any]:
    """Return the figures of some sources' pairs after each stage."""
    absent = lists if isinstance(lists, lexicon.Absent) else None
    by_stage: dict[str, Any] = {}
    first: list[Stratum] = []
    of_attributes: dict[str, attributes.Population] = {}
    for stage in ran:
        strata = [Stratum(source, partial, CLASSES.index(stage)) for source, partial in counted]
        strata = [stratum for stratum in strata if stratum.pairs]
        by_stage[stage] = _population(strata, first, absent, known, CLASSES.index(stage))
        by_stage[stage] |= _worded(strata, lists, known, CLASSES.index(stage), last=stage == ran[-1])
        of_attributes[stage] = _with_texts(by_stage[stage]["pairs"], strata, is_one=len(counted) == 1)
        first = first or strata
    for stage, section in zip(ran, _licences(counted, ran), strict=True):
        by_stage[stage]["licences"] = section
    for stage, section in attributes.figures(of_attributes).items():
        by_stage[stage]["attributes"] = section
    return by_stage


def _with_texts(pairs: int, strata: Sequence[Stratum], *, is_one: bool) -> attributes.Population:
    """Return what attributes are set against: of one source its texts with terms too."""
    tallies = tallies_of(strata)
    gendered = {name: texts_with(strata, name) for name in ("english", "female", "male")}
    marked = {name: tallies.get(marks.key("mark", name), 0) for name in attributes.RATES if name not in gendered}
    return attributes.Population(pairs, tallies, {**gendered, **marked} if is_one else {})


def _population(
    strata: Sequence[Stratum],
    first: Sequence[Stratum],
    absent: lexicon.Absent | None,
    known: tuple[unit_sums.Counted, Mapping[str, steps.Source]],
    stage: int,
) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    of = Known(*known, strata, stage)
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


def _worded(
    strata: Sequence[Stratum],
    lists: lexicon.Lexicon | lexicon.Absent,
    known: tuple[unit_sums.Counted, Mapping[str, steps.Source]],
    stage: int,
    *,
    last: bool,
) -> dict[str, Any]:
    """Return the sections on what texts have beside gendered terms, and what carries those."""
    counted, told = known
    texts = [_texts(stratum, counted, stage) for stratum in strata]
    return wording.sections(texts, lists, len(told), last=last)


def _texts(stratum: Stratum, known: unit_sums.Counted, stage: int) -> wording.Texts:
    source, read = stratum.source, texts_with([stratum], "read")
    return wording.Texts(
        source,
        stratum.pairs,
        read,
        texts_with([stratum], "english"),
        texts_with([stratum], "female"),
        texts_with([stratum], "male"),
        max(1 - read / stratum.pairs, 0.0),
        tallies_of([stratum]),
        units.clusters_of(source),
        lambda kind, domain: known.sums_of(source, kind, stage, domain),
        lambda kind: known.associations_of(source, kind, stage),
        lambda kind: known.marked_of(source, kind, stage),
    )


# Lengths.


def _words(strata: Sequence[Stratum]) -> dict[str, Any]:
    histogram = sum(
        (stratum.of(stratum.counted.lengths) for stratum in strata), start=np.zeros(MAX_WORDS + 1, dtype=np.int64)
    )
    pairs = int(histogram.sum())
    edges = [*LENGTH_EDGES, MAX_WORDS + 1]
    return {
        "coverage": coverage(pairs, sum(stratum.pairs for stratum in strata), "pairs"),
        "method": "words",
        "mean": mean_words(strata),
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


# Languages and gendered terms.


def _languages(strata: Sequence[Stratum], of: Known) -> dict[str, Any]:
    sampled = texts_with(strata, "read")
    weights = weights_of(strata)
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
        "coverage": coverage(sampled, sum(stratum.pairs for stratum in strata), "pairs", "is not in the sample"),
        "method": "languages",
        "distinct": len([code for code in ranked if code != language.UNDETERMINED]),
        "english": share_of(strata, "english", "read", of),
        "undetermined": share_of(strata, "undetermined", "read", of),
        "shares": [
            {"language": code, "texts": texts[code], "share": weighted[code] / total}
            for code in ranked[: small_cells.LISTED["languages"]]
        ],
        "other": sum(weighted[code] for code in ranked[small_cells.LISTED["languages"] :]) / total if total else None,
    }


def _gendered(
    strata: Sequence[Stratum], first: Sequence[Stratum], absent: lexicon.Absent | None, of: Known
) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    if absent is not None:
        return {
            "coverage": coverage(0, pairs, "pairs"),
            "method": "gendered",
            "not_measured": absent.reason,
            "remedy": absent.remedy,
        }
    english = texts_with(strata, "english")
    ratio = estimates.ratio_of_table(read_of(strata), "female", "male", "english")
    draws = []
    for kinds in of.kinds() if strata else []:
        parts = of.parts(kinds, "english", pairs_of(strata, "english"))
        draws.append(Draw.of(kinds, estimates.ratio_of_draw(parts, "female", "male", "both"), parts, english))
    figures: dict[str, Any] = {
        "coverage": coverage(english, texts_with(strata, "read"), "texts of the sample", "is not English")
        | {"pairs": pairs},
        "method": "gendered",
        **{name: share_of(strata, name, "english", of) for name in ("both", "female", "male", "neither", "neutral")},
        "texts": {
            "female": texts_with(strata, "female"),
            "male": texts_with(strata, "male"),
            "both": texts_with(strata, "female", "male"),
            "neutral": texts_with(strata, "neutral"),
        },
        "female_to_male": figure(ratio, draws),
    }
    if first:
        after, before = read_of(strata, first), read_of(first, first)
        figures["change_since_curate"] = {
            name: plain(estimates.change_of_table(after, before, name, ("left english", "english")))
            for name in ("female", "male")
        }
    return figures


# Countries.


def _countries(strata: Sequence[Stratum], of: Known) -> dict[str, Any]:
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
        "coverage": coverage(geotagged, sum(stratum.pairs for stratum in strata), "pairs", "has no geotag"),
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


def _amiss(strata: Sequence[Stratum]) -> dict[str, Any]:
    """Return how many pairs have numbers for a place that are no geotag, by what is amiss; nothing where none has."""
    found: dict[str, int] = {}
    for stratum in strata:
        for what, counts in stratum.counted.traits.get("amiss", {}).items():
            if pairs := int(stratum.of(counts)):
                found[what] = found.get(what, 0) + pairs
    return {"amiss": dict(sorted(found.items()))} if found else {}


def _of_country(code: str, strata: Sequence[Stratum], of: Known) -> dict[str, Any]:
    """Return the interval of what another draw of users would give a country; empty where there is none."""
    if len(strata) != 1:
        return {}
    source = strata[0].source
    sums = of.counted.sums_of(source, units.clusters_of(source)[0], of.stage, "placed")
    draw = estimates.share_of_draw([Part(sums, 1.0)], code)
    return {"low": draw.low, "high": draw.high, "refused": draw.refused}


# Licences.


def _licences(counted: Sequence[tuple[str, SourcePartial]], ran: Sequence[str]) -> list[dict[str, Any]]:
    """Return the section after each stage; of several sources what each of them tells, added up."""
    of_sources = []
    for _, partial in counted:
        after = [slice(CLASSES.index(stage), None) for stage in ran]
        of_all = partial.traits.get(licensing.TRAIT, {})
        tables = [{both: n for both, counts in of_all.items() if (n := int(counts[some].sum()))} for some in after]
        of_sources.append(licensing.figures(tables, [int(partial.pairs[some].sum()) for some in after]))
    return [licensing.added_up(sections[place] for sections in of_sources) for place in range(len(ran))]


# Concentration.


def _images(pairs: int, of: Known) -> dict[str, Any]:
    number = int(of.sizes("image")[1].sum())
    return {
        "coverage": coverage(pairs, pairs, "pairs"),
        "method": "images",
        "distinct": {"value": number, "interval": None, "exact": True},
        "pairs_per_image": pairs / number if number else None,
    }


def _users(strata: Sequence[Stratum], of: Known) -> dict[str, Any]:
    """Return the concentration of users, of a single source: names of users mean something only within one."""
    pairs = sum(stratum.pairs for stratum in strata)
    having = [stratum.source for stratum in strata if recorded(stratum.source).user is not None]
    sizes = [of.counted.sizes_of(source, "user", of.stage) for source in having]
    with_user = sum(int(size @ number) for size, number in sizes)
    figures: dict[str, Any] = {
        "coverage": coverage(with_user, pairs, "pairs", "names no user"),
        "method": "users",
    }
    if len(strata) != 1 or not with_user:
        return figures | {
            "not_measured": "users of different sources cannot be told to be one; see each source"
            if len(strata) > 1
            else "the source names no users"
        }
    return figures | inequality.concentration(*sizes[0])


def _hosts(strata: Sequence[Stratum], of: Known) -> dict[str, Any]:
    pairs = sum(stratum.pairs for stratum in strata)
    sizes, number = of.sizes("host")
    with_host = int(sizes @ number)
    figures: dict[str, Any] = {
        "coverage": coverage(with_host, pairs, "pairs", "has no image URL"),
        "method": "hosts",
    }
    if not with_host:
        return figures | {"not_measured": "no pair has an image URL"}
    largest = of.counted.hosts_of(of.name, of.stage)
    # By the numbers that are told: with the true ones it would follow what a host that hardly changed has lost.
    held = of.held_hosts()
    ten = sorted((held[host][1] if host in held else count for host, count in largest), reverse=True)[:10]
    return (
        figures
        | inequality.concentration(*inequality.as_told(sizes, number, held), with_host)
        | {
            "largest": [{"host": host, "pairs": count, "share": count / with_host} for host, count in largest],
            "top_10": min(sum(ten) / with_host, 1.0),
        }
    )
