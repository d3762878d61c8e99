"""Licences: what is an expression, what one asks for, and that no source or manifest yields anything else."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest

from pmd import manifests, sources
from pmd.schema import licences
from pmd.sources import coco, yfcc100m

SOURCES = Path(str(sources.__file__)).parent
#: Creative Commons' codes, in the order that addresses have had and in another.
CODES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd", "by-nd-nc", "sampling+")


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("NOASSERTION", "NOASSERTION"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC-BY-4.0 AND LicenseRef-RedCaps-non-commercial", "CC-BY-4.0 AND LicenseRef-RedCaps-non-commercial"),
        ("(mit or CC0-1.0) and CC-BY-SA-3.0", "(MIT OR CC0-1.0) AND CC-BY-SA-3.0"),
        ("GPL-2.0-only with Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ],
)
def test_an_expression_is_spelled_as_spdx_spells_it(written: str, canonical: str) -> None:
    assert licences.canonical(written) == canonical


@pytest.mark.parametrize(
    "written",
    ["", "CC-BY-9.9", "CC BY 4.0", "none", "noassertion", "NOASSERTION AND MIT", "MIT AND", "LicenseRef-a b", "(MIT"],
)
def test_what_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r'an SPDX expression, as "CC-BY-4.0" or "LicenseRef-mine", or "NOASSERTION"'):
        licences.canonical(written)
    assert licences.or_none(written) == "NOASSERTION"


@pytest.mark.parametrize(
    ("expression", "asks"),
    [
        ("NOASSERTION", False),
        ("CC0-1.0", False),
        ("CC-BY-2.0", True),
        ("CC-BY-NC-ND-4.0", True),
        ("LicenseRef-anything", True),
        ("CC0-1.0 OR CC-BY-2.0", False),
        ("CC0-1.0 AND CC-BY-2.0", True),
        ("CC-BY-2.0 AND (CC0-1.0 OR PDDL-1.0)", True),
        ("CC0-1.0 AND (CC-BY-2.0 OR PDDL-1.0)", False),
    ],
)
def test_who_asks_for_credit(expression: str, asks: bool) -> None:  # a column of the table
    assert licences.asks_for_credit(expression) is asks


@pytest.mark.parametrize(
    ("expression", "allowed", "is_allowed"),
    [
        ("CC-BY-2.0", {"CC-BY-2.0"}, True),
        ("CC-BY-2.0", {"CC-BY-4.0"}, False),
        ("NOASSERTION", {"CC-BY-2.0"}, False),
        ("NOASSERTION", {"NOASSERTION"}, True),
        ("CC-BY-2.0 AND LicenseRef-a", {"CC-BY-2.0"}, False),
        ("CC-BY-2.0 AND LicenseRef-a", {"CC-BY-2.0 AND LicenseRef-a"}, True),
        ("CC-BY-2.0 OR LicenseRef-a", {"CC-BY-2.0"}, True),
        ("LicenseRef-a OR CC0-1.0 AND CC-BY-2.0", {"CC-BY-2.0", "CC0-1.0"}, True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", {"GPL-2.0-only"}, False),
    ],
)
def test_what_may_be_used(expression: str, allowed: set[str], is_allowed: bool) -> None:  # likewise
    assert licences.is_allowed(expression, allowed) is is_allowed


@pytest.mark.parametrize(
    ("expression", "address"),
    [
        ("CC-BY-2.0", "https://creativecommons.org/licenses/by/2.0/"),
        ("CC-BY-NC-ND-4.0", "https://creativecommons.org/licenses/by-nc-nd/4.0/"),
        ("CC0-1.0", "https://spdx.org/licenses/CC0-1.0.html"),
        ("CC-BY-2.0 AND MIT", None),
        ("LicenseRef-a", None),
        ("NOASSERTION", None),
    ],
)
def test_where_a_licence_is_read(expression: str, address: str | None) -> None:
    assert licences.address(expression) == address


def test_every_manifest_states_expressions() -> None:
    for manifest in manifests.load_all().values():
        for stated in (manifest.text_licence, manifest.image_licence):
            assert licences.canonical(stated) == stated, manifest.name


def _constants() -> set[str]:
    """Return the licences that the sources' modules spell out."""
    found = set()
    for path in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"NOASSERTION|^CC-[A-Z].*", node.value)) if len(node.value) < 80 else set()
    return found


def test_every_source_states_expressions() -> None:
    named = itertools.product(CODES, range(10), range(10))
    of_coco = {coco.licence_of(f"http://creativecommons.org/licenses/{code}/{a}.{b}/") for code, a, b in named}
    names = yfcc100m._LICENCES
    of_yfcc = {yfcc100m._licence("", name) for name in (*names, "Public Domain")}
    of_yfcc |= {yfcc100m._licence(f"http://creativecommons.org/licenses/{code}/2.0/", "") for code in CODES}
    constants = _constants()
    assert {"CC-BY-4.0", "CC-BY-SA-3.0", "NOASSERTION"} <= constants
    assert {"CC-BY-2.0", "CC-BY-NC-ND-4.0", "NOASSERTION"} <= of_coco
    assert len(of_yfcc) == 7
    for stated in constants | of_coco | of_yfcc:
        assert licences.canonical(stated) == stated
