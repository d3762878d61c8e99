"""What is known of countries beside what photographs show: a table of income classes and internet users that the user brings.

No package has them, so they are a CSV file, a row a country and year, checked whole: every row that cannot be used is told with
its line. Figures of a year take, of each country, the row of the nearest year; of two as near, the earlier.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Final

from pmd.config import nations
from pmd.errors import InputError
from pmd.formats import encoding
from pmd.store import storage

#: The World Bank's classes of income a head, from the highest.
CLASSES: Final = ("high", "upper_middle", "lower_middle", "low")

#: Columns that every file has, and those of which it has one at least.
KEYS: Final = ("country", "year")
VALUES: Final = ("income_class", "internet_users_percent")

_YEARS: Final = (1900, 2100)
#: Since this year more than one per cent of people use the internet in nearly all countries (6.7 % of the world in 2000).
_MANY_ONLINE: Final = 2000
_REMEDY: Final = "mend the row"
#: What the World Bank's and ITU's tables have where there is no number: "..", "n/a".
_WITHOUT_NUMBER: Final = (
    'write the number alone, and nothing where there is none (not "..", "n/a" or a sign of per cent)'
)
#: What other tables part columns by.
_NO_COMMAS: Final = {";": "semicolons", "\t": "tabs"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One country in one year.

    Attributes:
        country: ISO 3166, two letters.
        income: Of `CLASSES`, or None.
        internet_users_percent: Of the population, 0…100, or None.
    """

    country: str
    year: int
    income: str | None
    internet_users_percent: float | None


@dataclasses.dataclass(frozen=True)
class Problem:
    """A row that cannot be used."""

    line: int
    column: str
    expected: str
    found: str
    remedy: str = _REMEDY


def read(path: str) -> tuple[Row, ...]:
    """Return the rows of a file.

    Raises:
        InputError: It cannot be read, or has rows that cannot be used; the first of them is told.
    """
    rows, problems = check(path)
    if problems:
        first = problems[0]
        raise InputError(
            f"{len(problems)} {'row' if len(problems) == 1 else 'rows'} cannot be used",
            where=f"{path}: line {first.line}: {first.column}",
            expected=first.expected,
            found=first.found,
            remedy=first.remedy,
        )
    return tuple(rows)


def check(path: str) -> tuple[list[Row], list[Problem]]:
    """Return the rows of a file, and all that is wrong with the others.

    Raises:
        InputError: It is no text in UTF-8.
    """
    try:
        content = encoding.without_mark(storage.read_bytes(path), path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("cannot be read", where=path, expected="a CSV file in UTF-8", found=str(error)) from None
    lines = csv.reader(content.splitlines())
    head = next(lines, [])
    names = [name.strip() for name in head]
    wrong = list(_wrong_head(names))
    if wrong:
        return [], wrong
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, int], int] = {}
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        row, found = _row(lines.line_num, names, cells)
        if row is not None and (earlier := seen.setdefault((row.country, row.year), lines.line_num)) != lines.line_num:
            found.append(
                Problem(
                    lines.line_num,
                    "country, year",
                    "a row for each country and year",
                    f"{row.country}, {row.year}, as on line {earlier}",
                    "remove one",
                )
            )
        problems += found
        if row is not None and not found:
            rows.append(row)
    problems += _fractions(rows)
    if not rows and not problems:
        problems.append(Problem(1, "rows", "a row for each country and year", "none"))
    return rows, problems


def _fractions(rows: Sequence[Row]) -> Iterator[Problem]:
    """Yield a problem where what should be per cent is parts of one: no country of several has more than 1 per cent."""
    said = {
        (row.country, row.internet_users_percent)
        for row in rows
        if row.year >= _MANY_ONLINE and row.internet_users_percent is not None
    }
    largest = max((percent for _, percent in said), default=0.0)
    if len({country for country, _ in said}) > 1 and 0 < largest <= 1:
        expected = f"per cent, 0 to 100: since {_MANY_ONLINE} more than 1 in some country"
        yield Problem(
            1, "internet_users_percent", expected, f"{largest:g} at most", "multiply by 100 what are parts of one"
        )


def _wrong_head(names: Sequence[str]) -> Iterator[Problem]:
    known = (*KEYS, *VALUES)
    remedy = f"begin the file with: {','.join(known)}"
    parted = [word for sign, word in _NO_COMMAS.items() if len(names) == 1 and sign in names[0]]
    if parted:
        yield Problem(
            1, "columns", "columns parted by commas", parted[0], "save it as CSV with commas, and numbers with a point"
        )
        return
    missing = [name for name in KEYS if name not in names]
    if missing or not any(name in names for name in VALUES):
        expected = f"the columns {', '.join(KEYS)} and one or both of {', '.join(VALUES)}"
        yield Problem(1, "columns", expected, ",".join(names) or "nothing", remedy)
    elif len({*names}) < len(names) or not {*names} <= {*known}:
        yield Problem(1, "columns", f"of {', '.join(known)} each once", ",".join(names), remedy)


def _row(line: int, names: Sequence[str], cells: Sequence[str]) -> tuple[Row | None, list[Problem]]:
    """Return a row, None where it has no country or year, and what is wrong with it."""
    if len(cells) != len(names):
        return None, [Problem(line, "columns", f"{len(names)} values", f"{len(cells)}")]
    said = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    problems = []

    def wrong(column: str, expected: str, remedy: str = _REMEDY) -> None:
        problems.append(Problem(line, column, expected, repr(said[column]), remedy))

    country = nations.two_letters(said["country"])
    if country is None:
        expected = 'a code of ISO 3166, of two or three letters, as in "DE" or "DEU"; "XK" or "XKX" for Kosovo'
        wrong("country", expected, "write the country's code; take out the rows of regions and groups (WLD, EUU)")
    year = int(said["year"]) if re.fullmatch("[0-9]{4}", said["year"]) else 0
    if not _YEARS[0] <= year <= _YEARS[1]:
        wrong("year", f"a year, {_YEARS[0]} to {_YEARS[1]}")
    income = said.get("income_class") or None
    if income is not None and income not in CLASSES:
        wrong("income_class", f"one of {', '.join(CLASSES)}, or nothing")
    percent, written = None, said.get("internet_users_percent", "")
    if written:
        percent = float(written) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", written) else -1.0
        if not 0 <= percent <= 100:
            wrong("internet_users_percent", "a number, 0 to 100, with a point, or nothing", _WITHOUT_NUMBER)
    return (None if country is None or not year else Row(country, year, income, percent)), problems


def incomes(rows: Sequence[Row], year: int) -> dict[str, str]:
    """Return the income class of each country that has one, of the year nearest to one."""
    return {row.country: row.income for row in _nearest(rows, year, "income") if row.income is not None}


def internet_users(rows: Sequence[Row], year: int) -> dict[str, float]:
    """Return the per cent of each country's population that use the internet, of the year nearest to one."""
    return {
        row.country: row.internet_users_percent
        for row in _nearest(rows, year, "internet_users_percent")
        if row.internet_users_percent is not None
    }


def _nearest(rows: Sequence[Row], year: int, column: str) -> list[Row]:
    found: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (abs(row.year - year), row.year)):
        if getattr(row, column) is not None:
            found.setdefault(row.country, row)
    return [found[country] for country in sorted(found)]
