"""Lists that are none are told before anything runs: not when all is fetched, nor when the fetch begins."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipelines import build
from pmd import config
from pmd.errors import InputError
from pmd.inspection import plan
from pmd.store import root
from tests import tiny_root


def test_a_list_that_is_none_ends_a_build_at_its_beginning(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    (tmp_path / "evaluation.txt").write_text("a house.jpg\n")
    given = chosen.dedupe.model_copy(update={"evaluation": (str(tmp_path / "evaluation.txt"),)})
    with root.writer(chosen.root, "test"), pytest.raises(InputError, match="line 1: not a hash"):
        build.build(dataclasses.replace(chosen, dedupe=given))
    assert not (Path(chosen.root) / "curate").exists()


def test_a_blocklist_that_is_none_ends_a_build_a_plan_and_its_reasons_at_their_beginning(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    path = tmp_path / "private.txt"
    path.write_text("md5:900150983cd24fb0d6963f7d28e17f72\n")
    fetch = chosen.fetch.model_copy(update={"blocklists": (str(path),)})
    chosen = dataclasses.replace(chosen, fetch=fetch)
    with root.writer(chosen.root, "test"), pytest.raises(InputError, match=r"private\.txt:1: not an entry"):
        build.build(chosen)
    assert not (Path(chosen.root) / "curate").exists()
    for look in (plan.plan, build.explain):
        with pytest.raises(InputError, match=r"private\.txt:1: not an entry"):
            look(chosen)
