"""How many people live in each country: the United Nations' World Population Prospects 2024, from a package that ships them.

The data are the UN's (Population Division, 2024; CC BY 3.0 IGO), at intervals of five years, as bokeh-sampledata has them. The
package itself is never imported. It is optional, as the word lists are: its absence is an answer, which the report prints
together with the command that mends it.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.csv

from pmd.audit.texts.lexicon import Absent
from pmd.config import nations, reference

PACKAGE: Final = "bokeh-sampledata"
VERSION: Final = "2026.1"
LICENCE: Final = "BSD-3-Clause"
INSTALL: Final = f"pip install --no-deps {PACKAGE}=={VERSION}"
FILE: Final = "bokeh_sampledata/_data/population.csv.gz"
SHA256: Final = "97d34d53cc2bcb2cbaf04186096f096652ab0e80808d7f66ad6a71c4fe903f55"
#: The UN's number of the world.
_WORLD: Final = 900


#: What photographs are compared with where the user names no year.
YEAR: Final = 2010


@dataclasses.dataclass(frozen=True)
class Population:
    """People by country in one year.

    Attributes:
        year: The year, of those that there are the nearest to the one that was asked for; of two the earlier.
        people: ISO 3166 code ("XK" for Kosovo) → people.
        world: People in the world.
    """

    year: int
    people: Mapping[str, int]
    world: int


def load(year: int) -> Population | Absent:
    """Read the populations of a year from the installed package, or say why not: it is absent, or not the pinned version's."""
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return Absent(f"the package {PACKAGE} is not installed", INSTALL)
    place = Path(str(package.locate_file(FILE)))
    content = place.read_bytes() if place.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        return Absent(f"{FILE} of {PACKAGE} {package.version} is not that of {PACKAGE} {VERSION}", INSTALL)
    return parse(gzip.decompress(content), year)


def parse(content: bytes, year: int) -> Population:
    """Return the populations of a year.

    Args:
        content: CSV with the columns LocID, Year and Value: people of one sex and age group.
        year: The year that is asked for.
    """
    table = pyarrow.csv.read_csv(io.BytesIO(content))
    years = pc.unique(table["Year"]).to_pylist()
    nearest = min(years, key=lambda one: (abs(one - year), one))
    rows = (
        table.filter(pc.equal(table["Year"], nearest))
        .group_by("LocID", use_threads=False)
        .aggregate([("Value", "sum")])
    )
    by_number = dict(zip(rows["LocID"].to_pylist(), rows["Value_sum"].to_pylist(), strict=True))
    people = {nations.BY_NUMBER[number]: count for number, count in by_number.items() if number in nations.BY_NUMBER}
    return Population(nearest, dict(sorted(people.items())), by_number.get(_WORLD, sum(people.values())))


def component(found: Population | Absent) -> dict[str, Any]:
    """Return what the report says of the package."""
    part: dict[str, Any] = {"name": PACKAGE, "used_for": "populations of countries", "licence": LICENCE}
    if isinstance(found, Absent):
        return part | {"version": None, "absent": found.reason, "remedy": found.remedy}
    return part | {
        "version": VERSION,
        "data": "United Nations, World Population Prospects 2024: population by country, 1950 to 2100",
        "data_licence": "CC-BY-3.0-IGO",
    }


@dataclasses.dataclass(frozen=True)
class Beside:
    """What photographs are compared with.

    Attributes:
        year: The year that populations and classes are of, or near.
        population: People by country, or why there are none.
        rows: The user's table of countries; None where none was named.
    """

    year: int
    population: Population | Absent
    rows: tuple[reference.Row, ...] | None = None

    @property
    def people(self) -> Mapping[str, int]:
        """People by country; empty where they are not known."""
        return {} if isinstance(self.population, Absent) else self.population.people

    @property
    def incomes(self) -> dict[str, str]:
        """Income class by country."""
        return reference.incomes(self.rows or (), self.year)

    def online(self, years: Mapping[int, int]) -> dict[str, float]:
        """Return internet users by country, on average over the years that photographs are of.

        Args:
            years: Year → photographs; empty where none is known: the year itself counts then.
        """
        weights = years or {self.year: 1}
        whole, found = sum(weights.values()), dict[str, float]()
        for year, number in sorted(weights.items()):
            for country, percent in reference.internet_users(self.rows or (), year).items():
                people = self.people.get(country, 0)
                found[country] = found.get(country, 0.0) + people * percent / 100 * number / whole
        return found


NOTHING: Final = Beside(YEAR, Absent("no populations were read"))
