"""A table of countries: every row is checked, and what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmd import config
from pmd.config import reference
from pmd.config.model import InvalidConfig
from pmd.config.reference import Row
from pmd.errors import InputError

HEAD = "country,year,income_class,internet_users_percent\n"


def _file(tmp_path: Path, content: str | bytes) -> str:
    path = tmp_path / "countries.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_rows_of_two_and_three_letters(tmp_path: Path) -> None:
    path = _file(tmp_path, "\ufeff" + HEAD + "DE,2010,high,82.0\r\nVNM,2010,lower_middle,\n\nXKX,2012,,70\n")
    assert reference.read(path) == (
        Row("DE", 2010, "high", 82.0),
        Row("VN", 2010, "lower_middle", None),
        Row("XK", 2012, None, 70.0),
    )


@pytest.mark.parametrize(
    ("row", "column", "expected", "found"),
    [
        ("Germany,2010,high,1", "country", "a code of ISO 3166", "'Germany'"),
        ("EUU,2010,high,1", "country", "a code of ISO 3166", "'EUU'"),
        ("DE,10,high,1", "year", "a year, 1900 to 2100", "'10'"),
        ("DE,2010,High income,1", "income_class", "one of high, upper_middle, lower_middle, low", "'High income'"),
        ("DE,2010,high,101", "internet_users_percent", "a number, 0 to 100", "'101'"),
        ("DE,2010,high,-1", "internet_users_percent", "a number, 0 to 100", "'-1'"),
        ("DE,2010,high,nan", "internet_users_percent", "a number, 0 to 100", "'nan'"),
        ('DE,2010,high,"82,0"', "internet_users_percent", "a number, 0 to 100", "'82,0'"),
        ("DE,2010,high", "columns", "4 values", "3"),
        ("FR,2010,low,1", "country, year", "a row for each country and year", "FR, 2010, as on line 2"),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, row: str, column: str, expected: str, found: str) -> None:
    rows, (problem,) = reference.check(_file(tmp_path, f"{HEAD}FR,2010,high,70\n{row}\n"))
    assert (problem.line, problem.column, problem.found) == (3, column, found)
    assert problem.expected.startswith(expected)
    assert rows == [Row("FR", 2010, "high", 70.0)]


def test_what_exports_have_beside_countries_and_numbers_is_told_how_to_mend(tmp_path: Path) -> None:
    _, problems = reference.check(_file(tmp_path, f"{HEAD}WLD,2010,high,70\nABW,2010,high,..\nUSA,2010,high,71.7%\n"))
    assert [problem.line for problem in problems] == [2, 3, 4]
    assert "take out the rows of regions and groups" in problems[0].remedy
    assert all("nothing where there is none" in problem.remedy for problem in problems[1:])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the columns country, year and one or both of income_class, internet_users_percent"),
        (
            "country,year\nDE,2010\n",
            "the columns country, year and one or both of income_class, internet_users_percent",
        ),
        (HEAD.replace("\n", ",gdp\n"), "of country, year, income_class, internet_users_percent each once"),
        (HEAD, "a row for each country and year"),
        (HEAD.replace(",", ";") + "DE;2010;high;82,0\n", "columns parted by commas"),
        (HEAD.replace(",", "\t") + "DE\t2010\thigh\t82\n", "columns parted by commas"),
        (
            HEAD + "DE,2010,high,.82\nFR,2010,high,.77\n".replace(",.", ",0."),
            "per cent, 0 to 100: since 2000 more than 1 in some country",
        ),
    ],
)
def test_files_without_what_they_need(tmp_path: Path, content: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        reference.read(_file(tmp_path, content))
    assert error.value.expected == expected


def test_few_internet_users_are_no_fractions_where_some_country_has_more_or_it_was_long_ago(tmp_path: Path) -> None:
    for rows in ("ET,2010,low,0.75\nDE,2010,high,82\n", "DE,1992,high,0.44\nFR,1992,high,0.28\n", "ET,2010,low,0.75\n"):
        assert reference.check(_file(tmp_path, HEAD + rows))[1] == []


def test_text_in_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="UTF-16"):
        reference.read(_file(tmp_path, HEAD.encode("utf-16")))
    with pytest.raises(InputError, match="cannot be read"):
        reference.read(_file(tmp_path, HEAD.encode() + b"DE,2010,high,\xff\n"))


def test_the_nearest_year_counts_and_of_two_the_earlier() -> None:
    rows = [Row("DE", 2008, "low", None), Row("DE", 2012, "high", 80.0), Row("FR", 2014, None, 70.0)]
    assert reference.incomes(rows, 2010) == {"DE": "low"}
    assert reference.incomes(rows, 2011) == {"DE": "high"}
    assert reference.internet_users(rows, 2000) == {"DE": 80.0, "FR": 70.0}


CONFIG = (
    'root = "out"\ncontact = "mailto:you@example.org"\n[sources.coco]\nannotations = ["x.zip"]\n[audit.reference]\n'
)


def test_a_configuration_tells_every_row(tmp_path: Path) -> None:
    rows = "".join(f"XX,{year},high,1\n" for year in range(2000, 2012))
    _file(tmp_path, HEAD + rows)
    (tmp_path / "pmd.toml").write_text(CONFIG + 'countries = "countries.csv"\n')
    with pytest.raises(InvalidConfig) as error:
        config.load(str(tmp_path / "pmd.toml"))
    problems = error.value.problems
    assert len(problems) == 10
    assert problems[0].key == "audit.reference.countries"
    assert problems[0].line == 6
    assert problems[0].expected.startswith("country: a code of ISO 3166")
    assert problems[0].found.strip('"').endswith("countries.csv, line 2: 'XX'")
    assert problems[9].found.strip('"').endswith("line 11: 'XX'; 2 more rows")
    assert problems[0].remedy.startswith("write the country's code")


def test_the_path_is_relative_to_the_configuration(tmp_path: Path) -> None:
    _file(tmp_path, HEAD + "DE,2010,high,82\n")
    (tmp_path / "pmd.toml").write_text(CONFIG + 'countries = "countries.csv"\nyear = 2012\n')
    table = config.load(str(tmp_path / "pmd.toml")).audit.reference
    assert table is not None
    assert (reference.read(table.countries)[0].country, table.year) == ("DE", 2012)
    assert config.places.written(table.countries) == "countries.csv"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "pmd.toml").write_text(CONFIG + 'countries = "none.csv"\n')
    with pytest.raises(InvalidConfig) as error:
        config.load(str(tmp_path / "pmd.toml"))
    (problem,) = error.value.problems
    assert (problem.expected, problem.remedy) == ("a file that is there", "mend the path, or remove it")


def test_an_unknown_key_is_told_beside_those_that_there_are() -> None:
    with pytest.raises(InvalidConfig) as error:
        config.parse(CONFIG + 'countries = "x.csv"\nyaer = 2010\n')
    assert "year" in error.value.problems[0].remedy
