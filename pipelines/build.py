"""Build: every stage in order, skipping what is committed and unchanged."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

from pipelines import audit, curate, dedupe, fetch, images, publish, shard
from pmd import stages
from pmd.config import Config, inputs
from pmd.fetch.runs import Run
from pmd.images import takedowns
from pmd.stages import Wanted
from pmd.store import commits, root


@dataclasses.dataclass(frozen=True)
class Step:
    """One unit of a build: what it is, why it must run (None: it need not), and how long it took (None: not run).

    `fetched` is the run of the fetch, where the unit is one.
    """

    stage: str
    unit: str
    why: str | None
    seconds: float | None = None
    fetched: Run | None = None


Report = Callable[[Step], None]
RETIRED = "the configuration no longer names it: removed"
STAGES = ("curate", "images", "fetch", "dedupe", "shard", "publish", "audit")


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit that may have to run. `wanted` is asked only when what stands before it is done."""

    stage: str
    unit: str
    wanted: Callable[[], Sequence[Wanted]]
    run: Callable[[], Run | None]
    more: Callable[[], str | None] = lambda: None

    def why(self) -> str | None:
        """Return why it must run, or None."""
        reasons = [self.more(), *(item.why() for item in self.wanted())]
        return next((reason for reason in reasons if reason is not None), None)


def units(config: Config, names: Sequence[str], flags: Sequence[str]) -> Iterator[Unit]:
    """Yield every unit of a build, in the order of the flow."""
    for name in names:
        yield Unit(
            "curate",
            name,
            lambda name=name: [stages.curate(config, name)],  # type: ignore[misc]
            lambda name=name: curate.build(config, name, flags),  # type: ignore[misc]
        )
    yield Unit("images", "all", lambda: [stages.images(config)], lambda: images.build(config, flags))
    yield Unit(
        "fetch",
        "all",
        lambda: [stages.settle(config)],
        lambda: fetch.build(config, flags),
        lambda: fetch.pending_reason(config),
    )
    yield Unit("dedupe", "all", lambda: [stages.dedupe(config)], lambda: dedupe.build(config, flags))
    yield Unit(
        "shard",
        "all",
        lambda: [stages.shard(config, form) for form in ("rejected", *config.shard.formats)],
        lambda: shard.build(config, flags),
    )
    for name in stages.chosen_sources(config):
        yield Unit(
            "publish",
            name,
            lambda name=name: [stages.publish(config, name)],  # type: ignore[misc]
            lambda name=name: publish.build(config, name, flags),  # type: ignore[misc]
        )
    yield Unit("audit", "all", lambda: [stages.audit(config)], lambda: audit.build(config, flags))


def build(
    config: Config,
    *,
    names: Sequence[str] | None = None,
    only: str | None = None,
    flags: Sequence[str] = (),
    report: Report = lambda step: None,
    started: Report = lambda step: None,
) -> None:
    """Run what is stale.

    Args:
        config: The configuration.
        names: The sources to curate; by default all that are configured.
        only: One stage, which is then run where it is stale, on what stands before it.
        flags: Beam's own flags.
        report: Told of every unit when it is done or skipped.
        started: Told of every unit that is about to run.
    """
    chosen = sorted(config.sources if names is None else names)
    if only in {None, "curate"}:
        inputs.check(config, chosen)
    takedowns.lines(config.takedown)  # a mistake in a list is told before anything runs
    if only in {None, "fetch"}:
        fetch.check(config)
    for unit in units(config, chosen, flags):
        if only is not None and unit.stage != only:
            continue
        why = unit.why()
        if why is None:
            report(Step(unit.stage, unit.unit, None))
            continue
        started(Step(unit.stage, unit.unit, why))
        start = time.monotonic()
        fetched = unit.run()
        report(Step(unit.stage, unit.unit, why, time.monotonic() - start, fetched))
    for stage, name, folder in stages.retired(config):
        if only in {None, stage}:
            started(Step(stage, name, RETIRED))
            commits.retire(folder, root.writing(config.root).check)


def explain(config: Config, names: Sequence[str] | None = None) -> list[Step]:
    """Return what a build would do and why, without running anything.

    A stage behind one that will run cannot be judged before that has run: it follows, unless the outcome is the same.
    """
    chosen = sorted(config.sources if names is None else names)
    inputs.check(config, chosen)
    found: list[Step] = []
    pending: str | None = None
    found_units = iter(units(config, chosen, ()))
    for unit in found_units:
        if pending is not None and unit.stage != "curate":
            found.append(Step(unit.stage, unit.unit, f"follows {pending}, unless that changes nothing"))
            continue
        why = unit.why()
        found.append(Step(unit.stage, unit.unit, why))
        if why is not None and pending is None:
            pending = unit.stage
    return found + [Step(stage, name, RETIRED) for stage, name, _ in stages.retired(config)]
