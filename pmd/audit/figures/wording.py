"""From counts of marks and terms to figures: ages, identities, harm and personal data in texts, and what carries each figure.

A `Texts` is what was read of one source after a stage. Rates have the intervals of all rates (`statistics.figures`). Lists of
terms are of the last stage alone, from `LEAST` texts on, so that no two tables tell of fewer by their difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from pmd.audit.counting import associations
from pmd.audit.statistics import estimates
from pmd.audit.statistics.clusters import Sums
from pmd.audit.statistics.estimates import Part, Read
from pmd.audit.statistics.figures import Draw, coverage, figure
from pmd.audit.texts import vocabulary
from pmd.audit.texts.lexicon import Absent, Lexicon
from pmd.audit.texts.marks import OF_ENGLISH, OF_READ, key
from pmd.audit.texts.vocabulary import Term

#: Texts from which a term is shown.
LEAST: Final = 10
#: Terms that are shown of each list, and female and male terms beside an occupation.
LISTED: Final = 10
LISTED_WITH: Final = 3

METHODS: Final = {
    "age": "Share of the English texts of the sample with at least one term of a list for young or for old people; their ratio. "
    "Terms are words, not ages: nothing is said of who is in a picture.",
    "associations": "Occupations, activities and objects in English captions that have a female or a male term. Odds: female : "
    "male with the term ÷ female : male in the source. Ranked by log-odds with the source's own background as prior (Monroe et "
    "al., 2008); the interval is that of another draw of the source's clusters. From 20 captions and 10 clusters on. nPMI "
    "describes. A term stands for its synonyms too (doctor: physician, surgeon). Where fewer than 10 captions with it have a "
    "female term, or a male one, all figures are those of 10: the odds are at most (≤), or at least (≥), so. A finding has odds "
    "a quarter off for sure; false discoveries are held to a ninth of 5 % over all sources, each with an equal part of it.",
    "identity": "Share of the English texts of the sample that name a religion, a nationality, an ethnicity, a disability or an "
    "orientation by the terms of our lists. Beside each term the words that stand with it, whatever words they are: their odds "
    "among the captions with the term ÷ among the source's others, ranked by log-odds with its background as prior; the interval "
    "is that of another draw of its clusters. From 20 captions and 10 clusters on. A word may be a name that many use. A finding "
    "has odds a quarter off for sure; false discoveries are held to a ninth of 5 % over all sources, each with an equal part "
    "of it.",
    "harm": "Share of the English texts of the sample with a term of violence, of sex, or of what is meant for adults. A term is "
    "no verdict on a text or a picture. Hosts and subreddits with 20 such texts or more, those with most.",
    "personal_data": "Share of the texts of the sample, in any language, with an e-mail address, a telephone number, an @name or "
    "a URL, by pattern. What they are is counted nowhere.",
}


@dataclasses.dataclass(frozen=True)
class Texts:
    """What was read of the texts of a source after a stage.

    Attributes:
        source: Its name.
        pairs: How many pairs there are.
        read: How many of their texts were read.
        english: How many of these are English.
        female: English ones with a female term.
        male: English ones with a male term.
        factor: 1 − f, where f is the part that was read.
        tallies: Key of a count (`marks.key`) → texts.
        kinds: What another draw would draw: one or two kinds of clusters.
        sums: Kind and domain → sums over its clusters.
        associated: Kind → sums over its clusters by term.
        marked: Kind ("host", "subreddit") → rows of `unit_sums.MARKED`.
    """

    source: str
    pairs: int
    read: int
    english: int
    female: int
    male: int
    factor: float
    tallies: Mapping[str, int]
    kinds: tuple[str, ...]
    sums: Callable[[str, str], Sums]
    associated: Callable[[str], Mapping[str, Sums]]
    marked: Callable[[str], pa.Table]

    @property
    def weight(self) -> float:
        """How many pairs a text that was read stands for."""
        return self.pairs / self.read if self.read else 0.0

    def domain(self, name: str) -> int:
        """Return how many texts a domain has."""
        return self.english if name == "english" else self.read


def sections(texts: Sequence[Texts], lexicon: Lexicon | Absent, sources: int, *, last: bool) -> dict[str, Any]:
    """Return the sections of a population.

    Args:
        texts: Of its sources after a stage.
        lexicon: The gendered terms, or why there are none.
        sources: How many the audit has.
        last: Whether it is the last stage: terms are listed then alone.
    """
    english, read = sum(one.english for one in texts), sum(one.read for one in texts)
    of_english = coverage(english, read, "texts of the sample", "is not English")
    found: dict[str, Any] = {}
    terms = vocabulary.of(lexicon).terms if last else ()
    for group, names in OF_ENGLISH.items():
        found[group] = {
            "coverage": of_english,
            "method": group,
            **{name: _share(texts, name, "english") for name in names},
        }
        found[group]["carried_by"] = carried_by(texts, group, terms)
    found["age"]["young_to_old"] = _young_to_old(texts)
    found["identity"]["beside"] = []  # they are counted elsewhere: `pmd.audit.counting.context`
    for kind in ("host", "subreddit"):
        found["harm"][f"{kind}s"] = _marked(texts[0], kind) if last and len(texts) == 1 else []
    found["personal_data"] = {
        "coverage": coverage(read, sum(one.pairs for one in texts), "pairs", "is not in the sample"),
        "method": "personal_data",
        **{name: _share(texts, name, "read") for name in OF_READ},
    }
    found["associations"] = _associations(texts, lexicon, sources, last=last)
    found["terms"] = {"carried_by": carried_by(texts, vocabulary.GENDERED, terms)}
    return found


def _share(texts: Sequence[Texts], name: str, domain: str) -> dict[str, Any]:
    table = estimates.share_of_table(_read(texts, (name,), domain), name, domain)
    draws = []
    for kinds in _ways(texts):
        parts = _parts(texts, kinds, domain)
        draws.append(Draw.of(kinds, estimates.share_of_draw(parts, name), parts, _whole(texts, domain)))
    return figure(table, draws)


def _young_to_old(texts: Sequence[Texts]) -> dict[str, Any]:
    table = estimates.ratio_of_table(_read(texts, ("young", "old"), "english"), "young", "old", "english")
    draws = []
    for kinds in _ways(texts):
        parts = _parts(texts, kinds, "english")
        drawn = estimates.ratio_of_draw(parts, "young", "old", "young both old")
        draws.append(Draw.of(kinds, drawn, parts, _whole(texts, "english")))
    return figure(table, draws)


def _whole(texts: Sequence[Texts], domain: str) -> int:
    return sum(one.domain(domain) for one in texts)


def _ways(texts: Sequence[Texts]) -> list[tuple[str, ...]]:
    """Return the kinds of clusters by source: those that come first, and those that cross them, if any."""
    ways = [tuple(one.kinds[0] for one in texts), tuple(one.kinds[-1] for one in texts)]
    return [] if not texts else ways if ways[0] != ways[1] else ways[:1]


def _parts(texts: Sequence[Texts], kinds: Sequence[str], domain: str) -> list[Part]:
    return [
        Part(one.sums(kind, domain), one.weight * one.domain(domain)) for one, kind in zip(texts, kinds, strict=True)
    ]


def _read(texts: Sequence[Texts], names: Sequence[str], domain: str) -> list[Read]:
    """Return what was read, by one mark, or by two whose texts with both are counted."""
    found = []
    for one in texts:
        having = {frozenset({name}): one.tallies.get(key("mark", name), 0) for name in names}
        if len(names) > 1:
            both = one.tallies.get(key("mark", *names), 0)
            having = {some: count - both for some, count in having.items()} | {frozenset(names): both}
        counts = {some | {domain, "read"}: count for some, count in having.items()}
        counts[frozenset({domain, "read"})] = one.domain(domain) - sum(having.values())
        if domain != "read":
            counts[frozenset({"read"})] = one.read - one.domain(domain)
        found.append(Read({some: count for some, count in counts.items() if count}, one.weight, one.factor))
    return found


def carried_by(texts: Sequence[Texts], group: str, terms: Iterable[Term]) -> list[dict[str, Any]]:
    """Return, of terms, those of each list of a group that most texts have.

    Of all sources together these are the texts of the sources that list the term: a source's few would else be left.
    """
    ranked: dict[str, list[tuple[int, str]]] = {}
    for term in terms:
        if term.group != group:
            continue
        name = key("term", term.key)
        counts = [count for one in texts if (count := one.tallies.get(name, 0)) >= LEAST]
        if counts:
            for name in sorted(term.lists):
                ranked.setdefault(name, []).append((-sum(counts), term.name))
    return [
        {"list": name, "term": term, "texts": -less}
        for name, terms in sorted(ranked.items())
        for less, term in sorted(terms)[:LISTED]
    ]


def _name(term: str) -> str:
    """Return the name of a term by its key."""
    return term.partition("/")[2]


def _couples(texts: Texts, kind: str) -> dict[str, dict[str, int]]:
    """Return the counts of couples of terms: the one → the other → texts."""
    found: dict[str, dict[str, int]] = {}
    for name, count in texts.tallies.items():
        parts = name.split("\t")
        if parts[0] == kind:
            found.setdefault(parts[1], {})[parts[2]] = count
    return found


def _marked(texts: Texts, kind: str) -> list[dict[str, Any]]:
    return [
        {
            "list": row["mark"],
            kind: row["name"],
            "texts": row["texts"],
            "english": row["english"],
            "share": row["texts"] / row["english"],
        }
        for row in texts.marked(kind).to_pylist()
    ]


def _associations(texts: Sequence[Texts], lexicon: Lexicon | Absent, sources: int, *, last: bool) -> dict[str, Any]:
    having = sum(one.female + one.male for one in texts)
    english = sum(one.english for one in texts)
    found: dict[str, Any] = {
        "coverage": coverage(english, sum(one.read for one in texts), "texts of the sample", "is not English"),
        "method": "associations",
        "terms": [],
    }
    if isinstance(lexicon, Absent):
        return found | {"not_measured": lexicon.reason}
    if not last or len(texts) != 1 or not having:
        return found
    one = texts[0]
    counts = {
        term.key: tuple(one.tallies.get(key(kind, term.key), 0) for kind in ("term", "female", "male"))
        for term in vocabulary.associated()
    }
    captions = associations.Captions(one.english, one.female, one.male, counts)  # type: ignore[arg-type]
    rows = associations.figures(captions, {kind: one.associated(kind) for kind in one.kinds}, sources)
    with_, sexed = _couples(one, "with"), _sexed(lexicon)
    for row in rows:
        terms = with_.get(f"{row['group']}/{row['term']}", {})
        carry = (name for name, count in terms.items() if count >= LEAST and name in sexed)
        some = sorted(carry, key=lambda name: (-terms[name], name))
        row["carried_by"] = ", ".join(f"{_name(name)} {terms[name]:,}" for name in some[:LISTED_WITH])
    return found | {"terms": rows}


def _sexed(lexicon: Lexicon) -> frozenset[str]:
    """Return the keys of female and male terms: neutral ones carry no odds of the two."""
    terms = vocabulary.of(lexicon).terms
    return frozenset(one.key for one in terms if one.group == vocabulary.GENDERED and one.lists & {"female", "male"})
