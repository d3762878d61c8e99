"""From counts to figures: the content of audit.json.

Every section of a population has its `coverage` (how many pairs were measured, of how many that it speaks of) and its
`method`, a key of the `methods` that stand in the file once. A figure speaks of this table: it is exact where all was
read, and else it has a 95 % interval. Beside it stands what `another_draw` of such users, images, pages or hosts would give.

The books and the pairs are counted apart, from other files; where they disagree the audit fails, since one of them is
wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import pycld2

from pmd.audit.counting import unit_sums
from pmd.audit.counting.measure import CLASSES, STAGES, Partial, Plan
from pmd.audit.counting.repeated import NOTHING_REPEATED
from pmd.audit.figures import geography, populations, small_cells, steps, uneven
from pmd.audit.figures.components import components
from pmd.audit.figures.methods import METHODS
from pmd.audit.figures.strata import Stratum, mean_words
from pmd.audit.places import places
from pmd.audit.places.population import NOTHING, Beside
from pmd.audit.places.population import component as population_component
from pmd.audit.statistics.figures import coverage
from pmd.audit.texts import lexicon
from pmd.errors import VerificationError
from pmd.manifests import Table2
from pmd.store import commits
from pmd.text import language

#: Version of the layout of audit.json.
FORMAT: Final = 3


StageBooks = Mapping[str, Mapping[str, commits.Books]]


def result(
    partial: Partial,
    books: StageBooks,
    plan: Plan,
    table2: Mapping[str, Table2],
    *,
    counted: unit_sums.Counted = unit_sums.EMPTY,
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
        **_populations(partial, sources, ran, plan, (counted, told)),
        "tests": uneven.tests(counted, told, ran, absent),
        "overlap": overlap,
        "steps": steps.steps(told, books, ran),
        "geography": geography.geography(partial.sources, counted, steps.of(ran), beside, told),
        "pictures": pictures_ or {},
        "components": [*components(plan.lexicon), population_component(beside.population)],
        "methods": METHODS,
        "labels": {},
    }
    _add_words(content, beside_identity, ran)
    _add_repeated(content, repeated or {"sources": {}, "all": {}})
    small_cells.hide(content, told)
    small_cells.hide_texts(content)
    small_cells.hide_attributes(content)
    content["labels"] = _labels(content)
    return cast(dict[str, Any], _tidy(content))


def _populations(
    partial: Partial,
    sources: Sequence[str],
    ran: Sequence[str],
    plan: Plan,
    known: tuple[unit_sums.Counted, Mapping[str, steps.Source]],
) -> dict[str, Any]:
    """Return what is told of each source's pairs after each stage, and of all."""
    counted = {source: [(source, partial.sources[source])] for source in sources if source in partial.sources}
    return {
        "sources": {
            source: populations.populations(counted.get(source, []), ran, plan.lexicon, known) for source in sources
        },
        "all": populations.populations(sorted(partial.sources.items()), ran, plan.lexicon, known),
    }


def _add_words(content: Mapping[str, Any], found: Sequence[Mapping[str, Any]], ran: Sequence[str]) -> None:
    """Put the words beside terms of identity into the last population of each source."""
    for one in found:
        if ran and one["stage"] == ran[-1]:
            content["sources"][one["source"]][ran[-1]]["identity"]["beside"] = one["words"]


def _add_repeated(content: Mapping[str, Any], repeated: Mapping[str, Any]) -> None:
    """Put the repeated texts into every population, with their shares of its pairs."""
    groups = [(content["all"], repeated["all"])]
    groups += [(content["sources"][source], repeated["sources"].get(source, {})) for source in content["sources"]]
    for by_stage, figures in groups:
        for stage, population in by_stage.items():
            pairs = population["pairs"]
            mine = figures.get(stage, NOTHING_REPEATED)
            population["repeated"] = {
                "coverage": coverage(pairs, pairs, "pairs"),
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
    table2: Mapping[str, Table2],
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
                Stratum(source, partial.sources[source], CLASSES.index(stage))
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
                "mean_words": {stage: mean_words(strata[stage]) for stage in ran},
                "of_published": {stage: pairs[stage] / (published.pairs_millions * 1e6) for stage in ran},
            }
        )
    return sorted(rows, key=lambda row: (row["published"]["pairs"], row["row"]))


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
