"""What survived a stage, source by source, and what is read off it: texts with weights, and the units that pairs come in.

A population is a list of strata: one of a source alone, or one of each source.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from pmd.audit.counting import unit_sums, units
from pmd.audit.counting.measure import CATEGORIES, CLASSES, Counts, SourcePartial
from pmd.audit.figures import steps
from pmd.audit.statistics import estimates
from pmd.audit.statistics.estimates import Part, Read
from pmd.audit.statistics.figures import Draw, figure


@dataclasses.dataclass(frozen=True)
class Stratum:
    """One source's part in a population: what survived a stage."""

    source: str
    counted: SourcePartial
    stage: int

    def of(self, counts: Counts) -> Any:
        """Return the counts of the classes that survived the stage, summed."""
        return counts[self.stage :].sum(axis=0)

    @property
    def pairs(self) -> int:
        return int(self.of(self.counted.pairs))

    @property
    def texts(self) -> Counts:
        """Texts of the sample by category."""
        return cast(Counts, self.of(self.counted.sample))


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known of the units of a population."""

    counted: unit_sums.Counted
    told: Mapping[str, steps.Source]
    strata: Sequence[Stratum]
    stage: int

    @property
    def name(self) -> str:
        return self.strata[0].source if len(self.strata) == 1 else unit_sums.ALL

    def sizes(self, kind: str) -> tuple[Counts, Counts]:
        return self.counted.sizes_of(self.name, kind, self.stage)

    def held_hosts(self) -> dict[str, tuple[int, int]]:
        """Return the hosts that are given as they were at another stage: their pairs, and those that are told."""
        stage, apart = CLASSES[self.stage], dict[str, int]()
        for source in (stratum.source for stratum in self.strata):
            numbers = self.told[source].of_step("host", stage)
            if same := self.told[source].as_before("host", stage):
                truly = self.counted.large_hosts_of(source)
                for host in same:
                    apart[host] = apart.get(host, 0) + numbers[host] - int(truly[host][self.stage])
        large = self.counted.large_hosts_of(self.name) if apart else {}
        pairs = {host: int(large[host][self.stage]) for host in apart if host in large}
        return {host: (some, some + apart[host]) for host, some in pairs.items()}

    def kinds(self) -> list[tuple[str, ...]]:
        """Return the kinds of clusters by source: once those that come first, once those that cross them, if any."""
        kinds = [units.clusters_of(stratum.source) for stratum in self.strata]
        ways = [tuple(some[0] for some in kinds), tuple(some[-1] for some in kinds)]
        return ways if ways[0] != ways[1] else ways[:1]

    def parts(self, kinds: Sequence[str], domain: str, having: Sequence[float]) -> list[Part]:
        return [
            Part(self.counted.sums_of(stratum.source, kind, self.stage, domain), weight)
            for stratum, kind, weight in zip(self.strata, kinds, having, strict=True)
        ]


def mean_words(strata: Sequence[Stratum]) -> float | None:
    """Return the mean number of words of a population's texts."""
    pairs = sum(stratum.pairs for stratum in strata)
    return sum(int(stratum.of(stratum.counted.words)) for stratum in strata) / pairs if pairs else None


def tallies_of(strata: Sequence[Stratum]) -> dict[str, int]:
    """Return the counts by key, of all sources added up."""
    found: dict[str, int] = {}
    for stratum in strata:
        for name, count in stratum.counted.tallies_after[stratum.stage].items():
            found[name] = found.get(name, 0) + count
    return found


def weights_of(strata: Sequence[Stratum]) -> list[float]:
    """Return how many pairs each sampled text of a stratum stands for."""
    sampled = [int(stratum.texts.sum()) for stratum in strata]
    return [stratum.pairs / texts if texts else 0.0 for stratum, texts in zip(strata, sampled, strict=True)]


def texts_with(strata: Sequence[Stratum], *names: str) -> int:
    """Return how many texts of the sample have all of some names, unweighted."""
    wanted = frozenset(names)
    return sum(
        int(count)
        for stratum in strata
        for having, count in zip(CATEGORIES, stratum.texts.tolist(), strict=True)
        if wanted <= having
    )


def read_of(strata: Sequence[Stratum], first: Sequence[Stratum] | None = None) -> list[Read]:
    """Return what was read of the texts of a stage, by source.

    Args:
        strata: The sources after a stage.
        first: The sources before it, where both are to be told: the texts are then those of before, and those that are left
            have the name "left" too.
    """
    now = {stratum.source: stratum for stratum in strata}
    found = []
    for stratum in strata if first is None else first:
        left = now.get(stratum.source)
        texts = stratum.texts
        remaining = left.texts if left is not None else np.zeros_like(texts)
        counts: dict[frozenset[str], int] = {}
        for names, count, kept in zip(CATEGORIES, texts.tolist(), remaining.tolist(), strict=True):
            of = names | {"both"} if {"female", "male"} <= names else names
            of = of | {"neither"} if "english" in names and not {"female", "male"} & names else of
            if first is None:
                counts[of] = count
            else:
                counts[of] = count - kept
                counts[of | {"left"} | ({"left english"} if "english" in of else set())] = kept
        read = int(texts.sum())
        whole = stratum if first is None or left is None else left
        at = int(whole.texts.sum())
        factor = max(1 - read / stratum.pairs, 0.0)
        found.append(
            Read({names: count for names, count in counts.items() if count}, whole.pairs / at if at else 0.0, factor)
        )
    return found


def share_of(strata: Sequence[Stratum], name: str, domain: str, of: Known) -> dict[str, Any]:
    """Return the share of a domain's texts that have a name, as a figure."""
    table = estimates.share_of_table(read_of(strata), name, domain)
    draws = []
    for kinds in of.kinds() if strata else []:
        parts = of.parts(kinds, domain, pairs_of(strata, domain))
        draws.append(Draw.of(kinds, estimates.share_of_draw(parts, name), parts, texts_with(strata, domain)))
    return figure(table, draws)


def pairs_of(strata: Sequence[Stratum], domain: str) -> list[float]:
    """Return about how many pairs of each source a domain has."""
    return [weight * texts_with([stratum], domain) for weight, stratum in zip(weights_of(strata), strata, strict=True)]
