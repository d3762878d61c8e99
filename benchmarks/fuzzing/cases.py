"""A case: files of one source, one thing done to one of them, one way in which they come, one profile."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.fuzzing import bases, mutations
from benchmarks.fuzzing.bases import Base

PROFILES: Final = ("paper", "recommended")


@dataclasses.dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        number: Its number.
        base: The files before.
        profile: Profile whose options are used.
        packing: How the files come.
        mutation: What was done.
        disk: Name → bytes, as they lie on disk.
        files: Name → plain bytes after the mutation; None where the container was damaged.
        damaged: Name on disk of the damaged container, or None.
        target: Name of the file, or container, that was mutated.
    """

    number: int
    base: Base
    profile: str
    packing: str
    mutation: str
    disk: dict[str, bytes]
    files: dict[str, bytes] | None
    damaged: str | None
    target: str


@functools.cache
def _anatomy(base_index: tuple[str, int], name: str) -> mutations.Anatomy:
    source, index = base_index
    return mutations.anatomy(bases.all_bases()[source][index], name)


def make_case(seed: int, number: int, names: Sequence[str]) -> Case:
    """Return a case: the same for one seed, number and list of sources."""
    source = names[number % len(names)]
    rng = random.Random(f"{seed} {source} {number // len(names)}")
    choices = bases.all_bases()[source]
    index = rng.randrange(len(choices))
    base = choices[index]
    profile = rng.choice(PROFILES)
    target = rng.choice(sorted(base.files))
    if base.form == "dump":
        mutation, changed = mutations.dump(rng, base.files[target])
        return Case(number, base, profile, "plain", mutation, {target: changed}, {target: changed}, None, target)
    if base.packings and rng.random() < 0.12:
        packing = rng.choice(base.packings)
        disk = _on_disk(base, packing, base.files)
        target = rng.choice(sorted(set(disk) - {base.karpathy}))
        disk[target] = mutations.damage(rng, packing, disk[target])
        return Case(number, base, profile, packing, mutations.CONTAINER, disk, None, target, target)
    mutation, changed = mutations.mutate(rng, _anatomy((source, index), target))
    files = {**base.files, target: changed}
    packing = rng.choice(base.packings) if base.packings and rng.random() < 0.25 else "plain"
    return Case(number, base, profile, packing, mutation, _on_disk(base, packing, files), files, None, target)


def _on_disk(base: Base, packing: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files as they lie on disk; Karpathy's, where it is not the annotations, always stands alone."""
    apart = {name: content for name, content in files.items() if name == base.karpathy}
    return {**mutations.pack(packing, {name: files[name] for name in files if name not in apart}), **apart}
