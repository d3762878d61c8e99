"""Errors: their text, their exit codes, and that they cross a process boundary whole."""

from __future__ import annotations

import pickle

import pytest

from pmd import errors
from pmd.config import InvalidConfig, Problem
from pmd.errors import ConfigError, InputError, NetworkError, PmdError, RootError, VerificationError
from pmd.schema.exits import DIFFERENT, EXIT_CODES, GATED, TIME_IS_UP

TREE = [PmdError, ConfigError, InputError, RootError, VerificationError, NetworkError]


def test_the_text_says_where_expected_found_and_remedy() -> None:
    error = InputError(
        "the file ends in the middle of a value",
        where="captions.json:byte 1048576",
        expected="the end of the list",
        found="the end of the file",
        remedy="download it again: pmd manifests fetch coco",
    )
    assert str(error) == (
        "captions.json:byte 1048576: the file ends in the middle of a value\n"
        "  expected: the end of the list\n"
        "  found: the end of the file\n"
        "  remedy: download it again: pmd manifests fetch coco"
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "it is wrong"),
        ({"where": "x.tsv"}, "x.tsv: it is wrong"),
        ({"remedy": "mend it"}, "it is wrong\n  remedy: mend it"),
        ({"expected": "a", "found": ""}, "it is wrong\n  expected: a"),
    ],
)
def test_parts_that_are_not_given_leave_no_line(parts: dict[str, str], text: str) -> None:
    assert str(PmdError("it is wrong", **parts)) == text


@pytest.mark.parametrize("kind", TREE)
def test_an_error_survives_pickling(kind: type[PmdError]) -> None:
    error = kind("problem", where="here", expected="this", found="that", remedy="do")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert vars(back) == vars(error)
    assert str(back) == str(error)
    assert back.exit_code == error.exit_code


def test_an_invalid_configuration_survives_pickling() -> None:
    error = InvalidConfig("pmd.toml", [Problem(3, "seed", "a whole number", '"x"', "write seed = a number")])
    back = pickle.loads(pickle.dumps(error))
    assert isinstance(back, InvalidConfig)
    assert back.problems == error.problems
    assert str(back) == str(error)


def test_each_kind_has_its_own_exit_code_and_each_code_is_documented() -> None:
    codes = [kind.exit_code for kind in TREE]
    assert codes == [1, 2, 3, 4, 5, 6]
    assert set(EXIT_CODES) == {0, 129, 130, 143, DIFFERENT, GATED, TIME_IS_UP, *codes}


def test_the_docstring_draws_the_whole_tree() -> None:
    defined = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, PmdError)}
    assert defined == {kind.__name__ for kind in TREE}
    drawing = errors.__doc__ or ""
    for kind in TREE:
        line = next(line for line in drawing.splitlines() if kind.__name__ in line)
        assert str(kind.exit_code) in line
