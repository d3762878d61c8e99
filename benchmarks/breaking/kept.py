"""ROOTs as they were before each stage, kept to be tried on; and what an undisturbed run makes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.breaking import calls, equal, kills, world
from benchmarks.breaking.world import World
from pmd import flow

STAGES: Final = flow.NAMES
_SECONDS: Final = "seconds.json"


class Kept:
    """Builds the world of both ages, once; gives copies.

    Args:
        folder: Where all of it stands.
        told: The world.
    """

    def __init__(self, folder: Path, told: World) -> None:
        self.folder, self.world = folder, told

    @property
    def seconds(self) -> dict[str, float]:
        """Return what undisturbed runs took: "AGE STAGE", or "AGE STAGE PROCESS"."""
        found: dict[str, float] = json.loads((self.folder / _SECONDS).read_text(encoding="utf-8"))
        return found

    def prepare(
        self,
        also: Callable[[int, str], dict[str, float]] = lambda age, stage: {},
        until: tuple[int, str] | None = None,
    ) -> None:
        """Build, undisturbed, and write down the calls of each stage's driver; nothing where that was done.

        Args:
            also: Done before each stage, with its age and name; returns more of `seconds`.
            until: The age and the stage before which it ends; None: it builds all.
        """
        from pmd.store import root

        if (self.folder / _SECONDS).exists():
            return
        work, seconds = self.folder / "prepared", dict[str, float]()
        root.create(str(work), world.SHARD_BITS)
        for age in (0, 1):
            for stage in STAGES:
                copy(work, self._before(age, stage))
                if (age, stage) == until:
                    self._write(seconds)
                    return
                seconds |= also(age, stage)
                record = self.calls(stage, "driver") if age else self.folder / "calls"
                record.unlink(missing_ok=True)
                config = self.world.config(work, age)
                ended = kills.run([stage, str(config)], self.log("prepare"), act=kills.recorder(record))
                assert ended.code == 0, ended.text
                seconds[f"{age} {stage}"] = ended.seconds
            copy(work, self._before(age, ""))
        self._write(seconds)

    def _write(self, seconds: dict[str, float]) -> None:
        (self.folder / _SECONDS).write_text(json.dumps(seconds), encoding="utf-8")

    def calls(self, stage: str, process: str) -> Path:
        """Return where the calls of a stage's process are written down, in the second age."""
        return self.folder / f"calls-{stage}-{process}"

    def recorded(self, stage: str, process: str) -> list[calls.Call]:
        """Return the calls of a stage's process; of several, those of the one that made most."""
        paths = sorted(self.folder.glob(f"calls-{stage}-{process}*"))
        return kills.recorded(max(paths, key=lambda path: path.stat().st_size)) if paths else []

    def fresh(self, age: int, stage: str, where: Path | None = None) -> Path:
        """Return a copy of ROOT as it was before a stage."""
        target = where or self.folder / "tried"
        copy(self._before(age, stage), target)
        return target

    def wanted(self, age: int, stage: str) -> dict[str, Any]:
        """Return what ROOT is like when a stage has run undisturbed."""
        number = STAGES.index(stage) + 1
        kept = self._before(age, STAGES[number] if number < len(STAGES) else "")
        path = kept.parent / f"{kept.name}.json"
        if not path.exists():
            found: dict[str, Any] = equal.apart(lambda: equal.facts(str(kept), verified=True), path)
            assert found["verify"][1] == []
            assert found["verify"][0] == [] or (age, number) != (1, len(STAGES))
        return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def differences(self, where: Path, age: int, stage: str, *, verified: bool) -> list[str]:
        """Return in what a ROOT differs from what an undisturbed run of a stage leaves; `verified`: ask `pmd verify` too."""
        wanted, note = self.wanted(age, stage), self.folder / "note.json"
        found: list[str] = equal.apart(lambda: equal.differences(str(where), wanted, verified=verified), note)
        return found

    def log(self, name: str) -> Path:
        """Return where output of a name goes."""
        return self.folder / f"{name}.log"

    def _before(self, age: int, stage: str) -> Path:
        return self.folder / f"before-{age}-{stage or 'end'}"


def copy(one: Path, other: Path) -> None:
    """Copy a folder in place of another."""
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(one, other, copy_function=shutil.copy2)
