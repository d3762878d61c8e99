"""Populations of countries: from the pinned package or not at all."""

from __future__ import annotations

import gzip
import hashlib
from importlib import metadata
from pathlib import Path

import pytest

from pmd.audit.places import population
from pmd.audit.places.population import Population
from pmd.audit.texts.lexicon import Absent

CSV = b"""LocID,Location,Year,Sex,AgeGrp,AgeGrpStart,Value
276,Germany,2005,Male,0-4,0,1
276,Germany,2010,Male,0-4,0,40
276,Germany,2010,Female,0-4,0,41
412,Kosovo (under UNSC res. 1244),2010,Male,0-4,0,2
903,Africa,2010,Male,0-4,0,1000
900,World,2010,Male,0-4,0,6900
"""


def test_people_of_the_nearest_year() -> None:
    assert population.parse(CSV, 2012) == Population(2010, {"DE": 81, "XK": 2}, 6900)
    assert population.parse(CSV, 2007).year == 2005
    assert population.parse(CSV, 2007).people == {"DE": 1}


def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    folder = tmp_path / "bokeh_sampledata-2026.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bokeh-sampledata\nVersion: 2026.1\n")
    place = tmp_path / population.FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_the_package_is_read_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(CSV, mtime=0)
    _installed(tmp_path, monkeypatch, content)
    absent = population.load(2010)
    assert isinstance(absent, Absent)
    assert absent.reason == f"{population.FILE} of bokeh-sampledata 2026.1 is not that of bokeh-sampledata 2026.1"
    assert absent.remedy == "pip install --no-deps bokeh-sampledata==2026.1"
    monkeypatch.setattr(population, "SHA256", hashlib.sha256(content).hexdigest())
    assert population.load(2010) == population.parse(CSV, 2010)


def test_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    found = population.load(2010)
    assert found == Absent("the package bokeh-sampledata is not installed", population.INSTALL)
    assert population.component(found)["version"] is None


def test_the_uns_figures() -> None:
    try:
        metadata.distribution(population.PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{population.PACKAGE} is not installed")
    found = population.load(2010)
    assert isinstance(found, Population)
    assert (found.year, len(found.people)) == (2010, 237)
    assert found.people["XK"] == 1_788_743
    assert sum(found.people.values()) == pytest.approx(found.world, abs=1000)
