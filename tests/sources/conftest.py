"""Fixtures of the source tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.config.reasons import reasons_of
from pmd.schema.tables import DRAFTS
from pmd.sources.contract import DRAFT_ROWS, InputFile, Profile, Source
from pmd.store import storage

ReadAll = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read_all() -> ReadAll:
    """A function that plans files and reads every chunk: drafts in order, each a dict of the columns of `DRAFTS`."""

    def read(source: Source, *paths: Path | str, profile: Profile = "paper", **options: Any) -> list[dict[str, Any]]:
        chosen = source.options(**{**source.options.profile_values(profile), **options})
        files = [InputFile(str(path), storage.size(str(path).split("!/")[0])) for path in paths]
        rows: list[dict[str, Any]] = []
        for chunk in source.plan(files, chosen):
            for batch in source.read(chunk, chosen):
                assert batch.schema == DRAFTS
                assert 0 < len(batch) <= DRAFT_ROWS
                rows += batch.to_pylist()
        for row in rows:
            assert row["reason"] in {None, *reasons_of("curate")}, row
            assert row["where"], row
        return rows

    return read
