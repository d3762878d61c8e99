"""Files that are none of a source's, told in words that say what to do with them."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from pmd import sources
from pmd.errors import InputError
from pmd.sources.contract import InputFile


def remedy(name: str, path: Path) -> str:
    """Return what is advised where a source is planned of a file that is refused."""
    source = sources.load(name)
    with pytest.raises(InputError) as caught:
        source.plan([InputFile(str(path), 1)], source.options(**source.options.profile_values("paper")))
    return str(caught.value.remedy)


@pytest.mark.parametrize("name", ["conceptual_captions", "conceptual_12m", "yfcc100m", "localized_narratives__coco"])
def test_lines_that_end_with_carriage_returns_alone(tmp_path: Path, name: str) -> None:
    (golden,) = importlib.import_module(f"tests.sources.test_{name}").write_golden(tmp_path)
    path = tmp_path / "old.tsv"
    path.write_bytes(Path(golden).read_bytes().replace(b"\r", b"").replace(b"\n", b"\r"))
    assert remedy(name, path).startswith("its lines end with carriage returns alone")


@pytest.mark.parametrize("name", ["conceptual_captions", "conceptual_12m", "localized_narratives__coco"])
def test_a_list_in_the_place_of_json_lines(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"url": "http://a.example/1.jpg", "caption": "a"}]')
    assert remedy(name, path).startswith("write one object a line, which is JSON Lines")
