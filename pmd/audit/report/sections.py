"""The report: audit.json as one HTML page that needs nothing else, no network, and no script that its reader would miss.

`SECTIONS` is the page: what stands where, under which title and question, and what each section is no ground to claim. A section
is one row and one function, which returns what stands under the heading: one sentence that says what its picture shows, made from
the figures and as careful as they are; the picture; the table behind it; its coverage. "Before" is what curate kept, "after" what
the last stage that has run kept; the tables have every stage between.
"""

from __future__ import annotations

import dataclasses
import itertools
import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pmd.audit.report import (
    ages_section,
    associations_section,
    attributes_section,
    balance,
    card_sentence,
    concentration,
    countries_section,
    gendered_section,
    geography_section,
    harm_section,
    identity_section,
    languages_section,
    lengths_section,
    licences_section,
    losses_section,
    missing,
    overview,
    personal_data_section,
    pictures_section,
    sharing,
    stages_section,
    steps_section,
    years_section,
)
from pmd.audit.report.script import POLICY, SCRIPT
from pmd.audit.report.style import CSS
from pmd.escape import html as escape

#: The questions that sections answer, in the page's order.
CARD: Final = "What the card says"
WHO: Final = "Who"
WHERE: Final = "Where"
WHEN: Final = "When"
WORDS: Final = "Which words"
WHOSE: Final = "Whose data"
STEPS: Final = "What each step did"
PICTURES: Final = "Which pictures"
MISSING: Final = "What is missing"


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        anchor: Its name in links, unique.
        title: Its heading.
        group: The question that it belongs to.
        write: What stands under the heading, of the content of audit.json; nothing where there is no such section.
        never: What it is no ground to claim, as the end of that sentence; empty where it claims nothing.
        builds: Whether it speaks of builds alone, and not of any data set.
    """

    anchor: str
    title: str
    group: str
    write: Callable[[Mapping[str, Any]], str]
    never: str = ""
    builds: bool = False


#: The page, from top to bottom; sections of one group stand together.
SECTIONS: Final = (
    Section(
        "card",
        "The card's sentence, taken apart",
        CARD,
        card_sentence.section,
        "that a data set is, or is not, biased in the ways that are marked as not testable here",
    ),
    Section(
        "gendered",
        "Gendered terms",
        WHO,
        gendered_section.gendered,
        "how many women or men are in the pictures, or who took them or wrote their captions",
    ),
    Section(
        "age",
        "Terms for young and old",
        WHO,
        ages_section.section,
        "how old the people in the pictures are, or who took them",
    ),
    Section(
        "identity",
        "Terms of identity",
        WHO,
        identity_section.section,
        "what the people in the pictures are: captions name what seemed worth a word, and the unnamed is mostly the majority",
    ),
    Section(
        "countries",
        "Countries of geotags",
        WHERE,
        countries_section.countries,
        "where the people are from, or anything about pictures without a geotag",
    ),
    Section(
        "geography",
        "Where photographs were taken, beside who lives there",
        WHERE,
        geography_section.section,
        "where photographers are from or live, or what photographs without a place show: a photographed country is not a home, "
        "and people who geotag differ from those who do not",
    ),
    Section(
        "years",
        "When photographs were taken, or pairs posted",
        WHEN,
        years_section.section,
        "when the photographs that are here were put on the web, or what of a year was photographed: a date is what a camera's "
        "clock said, or when a pair was posted",
    ),
    Section(
        "languages",
        "Languages",
        WORDS,
        languages_section.languages,
        "which language the people speak, or which country they are from",
    ),
    Section(
        "lengths",
        "Caption lengths",
        WORDS,
        lengths_section.lengths,
        "that longer captions say more, or say it better",
    ),
    Section(
        "repeated",
        "Repeated captions",
        WORDS,
        sharing.repeated,
        "that a repeated text is false, or that nobody wrote it",
    ),
    Section(
        "associations",
        "What stands with gendered terms",
        WORDS,
        associations_section.section,
        "what women or men do: captions name gender where it seemed worth a word",
    ),
    Section(
        "harm",
        "Violent, sexual and adult terms",
        WORDS,
        harm_section.section,
        "which share of the pictures is harmful, or that a filter worked or did not: a term is no picture, and most such "
        "pictures have harmless captions",
    ),
    Section(
        "personal-data",
        "Personal data in texts",
        WHOSE,
        personal_data_section.section,
        "that a text is free of personal data: names are not looked for",
    ),
    Section(
        "users",
        "Concentration of users",
        WHOSE,
        concentration.users,
        "how many people there are, or who they are: an account is no person, and has no age, gender or country here",
    ),
    Section(
        "hosts",
        "Concentration of hosts",
        WHOSE,
        concentration.hosts,
        "who made or owns an image, or where",
    ),
    Section(
        "licences",
        "Licences",
        WHOSE,
        licences_section.section,
        "that a licence is true, or that a use is lawful: people upload what is not theirs, licences change, and where none is "
        "stated nothing is allowed by it",
        builds=True,
    ),
    Section(
        "overlap",
        "Overlap of the sources",
        WHOSE,
        sharing.overlap,
        "that all other images differ: copies that only their bytes or looks tell are not counted",
        builds=True,
    ),
    Section(
        "pictures",
        "Pictures",
        PICTURES,
        pictures_section.section,
        "what the pictures show: no figure is taken from pixels",
        builds=True,
    ),
    Section(
        "attributes",
        "Attributes",
        PICTURES,
        attributes_section.section,
        "that the values are right: they are as their files have them, and nothing here has checked them",
    ),
    Section(
        "flow",
        "Where pairs go",
        STEPS,
        balance.flow,
        "that a step was right or wrong to reject a pair",
        builds=True,
    ),
    Section(
        "stages",
        "Stage by stage",
        STEPS,
        stages_section.stage_by_stage,
        "why a figure changed from one step to the next",
        builds=True,
    ),
    Section(
        "steps",
        "Whom each step removed",
        STEPS,
        steps_section.section,
        "that a step was meant to strike anybody, or why links died: a ratio says who is left of those that curate kept, and "
        "no more",
        builds=True,
    ),
    Section(
        "losses",
        "Did loss strike unevenly?",
        STEPS,
        losses_section.section,
        "that where nothing is found nothing was lost unevenly, or that a step was meant to",
        builds=True,
    ),
    Section(
        "table2",
        "Beside FLAVA's Table 2",
        STEPS,
        balance.against_table2,
        "that as many pairs are the same pairs",
        builds=True,
    ),
    Section("limits", "What this cannot tell", MISSING, missing.limits),
    Section("tables", "All figures as tables", MISSING, missing.files),
    Section("components", "Components", MISSING, missing.components),
)


def html(result: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        result: The content of audit.json, as `pmd.audit.figures.result.result` makes it or as read from the file.
    """
    audited = posixpath.basename(result["data_set"]["path"].rstrip("/")) if "data_set" in result else "a PMD build"
    title = f"Bias audit of {audited}"
    body = "\n".join(_groups(result)) if result["stages"] else _nothing(result)
    return (
        '<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}\n"
        f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _nothing(result: Mapping[str, Any]) -> str:
    (components,) = (section for section in SECTIONS if section.anchor == "components")
    return (
        '<p class="lead">Nothing to report: no stage is committed in this ROOT yet.</p>'
        '<p class="notice">Run <code>pmd build CONFIG</code>, then <code>pmd audit CONFIG</code>.</p>'
        + _section(components, components.write(result))
    )


def _groups(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the page from the card's sentence on: the overview and links stand behind it."""
    asked = [section for section in SECTIONS if not (section.builds and "data_set" in result)]
    bodies = {section.anchor: section.write(result) for section in asked}
    shown = [section for section in asked if bodies[section.anchor]]
    groups = [(name, [*rows]) for name, rows in itertools.groupby(shown, lambda section: section.group)]
    yield overview.lead(result)
    for name, rows in groups:
        written = "\n".join(_section(section, bodies[section.anchor]) for section in rows)
        label = "" if name == CARD else f'<p class="group-name">{escape(name)}</p>\n'
        yield f'<div class="group" role="group" aria-label="{escape(name)}">\n{label}{written}\n</div>'
        if name == CARD:
            yield overview.tiles(result) + _links(groups)


def _links(groups: list[tuple[str, list[Section]]]) -> str:
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>"
        + "".join(f'<a href="#{section.anchor}">{escape(section.title)}</a>' for section in rows)
        + "</dd>"
        for name, rows in groups
    )
    return f'<nav aria-label="Sections"><dl>{rows}</dl></nav>'


def _section(section: Section, body: str) -> str:
    never = f'<p class="never"><b>This is no ground to claim</b> {escape(section.never)}.</p>' if section.never else ""
    return (
        f'<section aria-labelledby="{section.anchor}">\n<h2 id="{section.anchor}">{escape(section.title)}</h2>\n'
        f"{body}{never}\n</section>"
    )
