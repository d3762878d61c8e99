"""A ROOT that is no local folder has the bytes of one, also where rows cross the engine's own shuffle.

Object stores themselves are in `tests/object_stores`, and engines on them in `tests/end_to_end`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmd.config import Config
from pmd.config.engine import Engine, Shuffle
from pmd.store import parcels, storage
from tests.pipelines import building
from tests.pipelines.test_twice import undisturbed as undisturbed  # noqa: PLC0414  a fixture of theirs


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A ROOT in the memory of this process."""
    url = "memory://stores/pmd"
    yield url
    storage.remove_tree(url)


@pytest.mark.parametrize("shuffle", ["files", "engine"])
def test_a_build_on_a_store_equals_the_local_one(
    undisturbed: Config, elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffle: Shuffle
) -> None:
    chosen = dataclasses.replace(undisturbed, root=elsewhere, engine=Engine(shuffle=shuffle))
    landed, real = list[str](), parcels.Land.__call__

    def land(self: parcels.Land, keyed: object) -> object:
        landed.append(type(self).__name__)
        return real(self, keyed)  # type: ignore[arg-type]

    monkeypatch.setattr(parcels.Land, "__call__", land)
    with building.small(hashed=False):
        building.run(chosen)
    assert bool(landed) == (shuffle == "engine")
    names = storage.list_files(elsewhere)
    assert not [name for name in names if name.startswith("_work") or storage.TEMPORARY in name]
    for name in names:
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read_bytes(f"{elsewhere}/{name}"))
    assert building.committed(str(tmp_path / "copy")) == building.committed(undisturbed.root)
    assert building.outcomes(str(tmp_path / "copy")) == building.outcomes(undisturbed.root)
