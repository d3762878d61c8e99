"""Lists of evaluation images that are none are told before anything runs, not when all is fetched."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipelines import build
from pmd import config
from pmd.errors import InputError
from pmd.store import root
from tests import tiny_root


def test_a_list_that_is_none_ends_a_build_at_its_beginning(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    (tmp_path / "evaluation.txt").write_text("a house.jpg\n")
    given = chosen.dedupe.model_copy(update={"evaluation": (str(tmp_path / "evaluation.txt"),)})
    with root.writer(chosen.root, "test"), pytest.raises(InputError, match="line 1: not a hash"):
        build.build(dataclasses.replace(chosen, dedupe=given))
    assert not (Path(chosen.root) / "curate").exists()
