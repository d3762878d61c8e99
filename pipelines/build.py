"""Build: every stage in order, skipping what is committed and unchanged.

The pipeline of a stage is read in when the stage must run, and Beam with it: a build that has nothing to do needs neither.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from pipelines import refuse
from pmd import flow, stages
from pmd.config import Config, inputs
from pmd.curate import needs as curate_needs
from pmd.engines import choosing
from pmd.errors import RootError
from pmd.images import takedowns
from pmd.store import commits, register, root, storage
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted
from pmd.suppression import lists

if TYPE_CHECKING:
    from pmd.fetch.runs import Run


@dataclasses.dataclass(frozen=True)
class Step:
    """One unit of a build: what it is, why it must run (None: it need not), and how long it took (None: not run).

    `beside` are the other units that were run with it, in that time. `fetched` is the run of the fetch, where the unit is one.
    """

    stage: str
    unit: str
    why: str | None
    seconds: float | None = None
    fetched: Run | None = None
    beside: int = 0


Report = Callable[[Step], None]
RETIRED = "the configuration no longer names it: removed"


def _told_to_nobody(step: Step) -> None:
    pass


@dataclasses.dataclass(frozen=True)
class Unit:
    """A unit that may have to run: a stage of one source, or of all. What it wants is asked only when it is its turn."""

    stage: flow.Stage
    unit: str
    config: Config
    run: Callable[[], Run | None]

    @property
    def name(self) -> tuple[str, str]:
        """Stage and unit, as people read them."""
        return self.stage.name, self.unit

    def wanted(self) -> Sequence[Wanted]:
        """Return the commits that it should have."""
        return stages.wanted(self.stage, self.config, self.unit)

    def is_committed(self) -> bool:
        """Return whether its books stand, fresh or not."""
        return commits.read(storage.join(self.config.root, self.stage.books.at(source=self.unit))) is not None

    def why(self, standing: Standing | None = None) -> str | None:
        """Return why it must run, or None; by default by what stands now."""
        return stages.why(self.stage, self.config, self.unit, standing)


#: Gives what stands when it is asked.
Now = Callable[[], Standing]


def units(
    config: Config,
    names: Sequence[str],
    flags: Sequence[str],
    now: Now | None = None,
    coming: Sequence[str] = (),
    only: str | None = None,
) -> Iterator[Unit]:
    """Yield every unit of a build, or of one stage, in the order of the flow; a stage's pipeline is the module of its name.

    `coming` are sources that are not curated yet, and will be when the stages after it run.
    """
    for stage in flow.STAGES:
        if only not in {None, stage.name}:
            continue
        later = coming if stage.unit == "source" else ()
        for unit in sorted({*stages.units(stage, config, names, None if now is None else now()), *later}):
            yield Unit(stage, unit, config, functools.partial(run_stage, stage, config, [unit], flags))


def run_stage(stage: flow.Stage, config: Config, names: Collection[str], flags: Sequence[str]) -> Run | None:
    """Run a stage, on some sources where it has a unit for each: names, or a group as its pipeline gives it."""
    chosen = (names,) if stage.unit == "source" else ()
    ended: Run | None = _pipeline(stage).build(config, *chosen, flags)
    return ended


def _pipeline(stage: flow.Stage) -> ModuleType:
    return importlib.import_module(f"pipelines.{stage.name}")


def build(
    config: Config,
    *,
    names: Sequence[str] | None = None,
    only: str | None = None,
    flags: Sequence[str] = (),
    report: Report = _told_to_nobody,
    started: Report = _told_to_nobody,
) -> None:
    """Run what is stale.

    Args:
        config: The configuration.
        names: The sources to curate; by default all that are configured.
        only: One stage, which is then run where it is stale, on what stands before it.
        flags: Beam's own flags, beside those of the configuration's engine.
        report: Told of every unit when it is done or skipped.
        started: Told of every unit that is about to run.
    """
    config = lists.held(config)
    chosen = sorted(config.sources if names is None else names)
    flags, given = choosing.flags(config.engine, flags, config.root), flags
    if given:
        from pipelines import running  # late: it brings Beam along

        running.check(flags)
    # To look through evaluation images takes a while: not where there is nothing to do.
    check = functools.partial(_check_evaluation, config) if only is None else None
    driver = _Driver(config, flags, report, started, check)
    if only in {None, flow.CURATE.name}:
        inputs.check(config, chosen)
    if only in {None, flow.CURATE.name, flow.FETCH.name}:
        curate_needs.refuse_lost_lists(config, driver.now())
    listed = takedowns.lines(config.takedown, config.sources)  # a mistake in a list is told before anything runs
    if only in {None, flow.FETCH.name}:
        from pmd.fetch import needs as fetch_needs  # late, as below: a stage by itself reads in what it needs

        fetch_needs.check(config)
        fetch_needs.require_contact(config)

    before: list[Unit] = []
    for turn in _turns(units(config, chosen, flags, driver.now, only=only)):
        stage = turn[0].stage
        before += turn
        if driver.run(turn) and stage.ledger == "more" and any(line.is_of_ledger for line in listed):
            _look_again(before, driver)
    if only is not None and not before:
        raise RootError(
            f"no source is curated here, and there is nothing to {only}",
            where=config.root,
            remedy="run: pmd build CONFIG",
        )
    standing = driver.now()
    retire(config, only, started, standing)
    if only in {None, flow.PUBLISH.name, flow.AUDIT.name}:
        from pmd.publish import folder as publish_folder

        publish_folder.write(config, standing)


def _check_evaluation(config: Config) -> None:
    from pmd.dedupe import needs as dedupe_needs  # late, as above

    dedupe_needs.check(config)


def bring_up(config: Config, chosen: Sequence[flow.Stage], flags: Sequence[str]) -> None:
    """Run again what of some stages is committed and stale: a later stage has found out what changes them too."""
    driver = _Driver(config, flags)
    for turn in _turns(units(config, sorted(config.sources), flags, driver.now)):
        there = [unit for unit in turn if unit.stage in chosen and unit.is_committed()]
        if there:
            driver.run(there)


class _Driver:
    """Judges units by what stands, and runs those that are stale; before the first of them it checks what it is given."""

    def __init__(
        self,
        config: Config,
        flags: Sequence[str],
        report: Report = _told_to_nobody,
        started: Report = _told_to_nobody,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._config, self._flags, self._report, self._started = config, flags, report, started
        self._check = check
        self._standing = Standing(config.root)

    def now(self) -> Standing:
        """Return what stands now."""
        return self._standing

    def run(self, turn: Sequence[Unit]) -> bool:
        """Run those of some units of one stage that are stale, at once; return whether there are any."""
        stale = {unit.unit: (unit, why) for unit in turn if (why := self._judged(unit)) is not None}
        if stale and self._check is not None:
            self._check()
            self._check = None
        for names in self._groups(turn[0].stage, [*stale]):
            self._run(names, [stale[name] for name in names])
        return bool(stale)

    def _groups(self, stage: flow.Stage, names: list[str]) -> Sequence[Collection[str]]:
        """Return the units that are run at once: of a stage that works by source, as its pipeline says."""
        if stage.unit != "source" or not names:
            return [names] if names else []
        found: Sequence[Collection[str]] = _pipeline(stage).groups(self._config, names)
        return found

    def _run(self, names: Collection[str], group: Sequence[tuple[Unit, str]]) -> None:
        for unit, why in group:
            self._started(Step(*unit.name, why))
        start = time.monotonic()
        stage = group[0][0].stage
        fetched = run_stage(stage, self._config, names, self._flags)
        self._standing = self._standing.after(stage)
        seconds = time.monotonic() - start
        for unit, why in group:
            self._report(Step(*unit.name, why, seconds, fetched, len(group) - 1))

    def _judged(self, unit: Unit) -> str | None:
        why, wanted = stages.judged(unit.stage, self._config, unit.unit, self._standing)
        if why is None:
            self._standing = _remember(unit, wanted, self._standing)
            self._report(Step(*unit.name, None))
        return why


def _turns(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Yield all units of a stage. What comes later depends on what these have done."""
    for _, of_stage in itertools.groupby(units, key=lambda unit: unit.stage):
        yield [*of_stage]


def retire(config: Config, only: str | None, started: Report, standing: Standing) -> None:
    """Remove what the configuration no longer names."""
    for stage, name, folder in stages.retired(config, standing, only):
        started(Step(stage, name, RETIRED))
        commits.retire(folder, root.writing(config.root).check)


def _remember(unit: Unit, wanted: Sequence[Wanted], standing: Standing) -> Standing:
    """Have ROOT know what was found out only now, so that it is not looked for again; return what stands then.

    That is which input files have another time and the same bytes, and that nothing is pending.
    """
    epoch = root.writing(standing.root).epoch
    remembered = [item.remember(epoch, standing) for item in wanted if item.files]
    if any(remembered):
        standing = standing.after(unit.stage)
    answers = stages.answers(unit.stage, unit.config, standing)
    return standing.knowing(register.answered(standing.generations, epoch, answers)) if answers else standing


def _look_again(units: Sequence[Unit], driver: _Driver) -> None:
    """Run all but curate again, while the ledger knows pictures that a takedown list names and that are here."""
    images = [unit for unit in units if unit.stage == flow.IMAGES]
    while any(unit.why(driver.now()) is not None for unit in images):
        for unit in units:
            if unit.stage != flow.CURATE and unit.why(driver.now()) is not None:
                driver.run([unit])


def explain(config: Config, names: Sequence[str] | None = None) -> list[Step]:
    """Return what a build would do and why, without running anything.

    A stage behind one that will run cannot be judged before that has run: it follows, unless the outcome is the same.
    """
    from pmd.fetch import needs as fetch_needs  # late, as above

    root.refuse_others_folders(config.root)
    config = lists.held(config)
    chosen = sorted(config.sources if names is None else names)
    inputs.check(config, chosen)
    fetch_needs.check_lists(config)
    steps: list[Step] = []
    pending: str | None = None
    standing = Standing(config.root)
    curate_needs.refuse_lost_lists(config, standing)
    for unit in units(config, chosen, (), lambda: standing, coming=chosen):
        if pending is not None and unit.stage != flow.CURATE:
            steps.append(Step(*unit.name, f"follows {pending}, unless that changes nothing"))
            continue
        why = unit.why(standing)
        steps.append(Step(*unit.name, why))
        if why is not None and pending is None:
            pending = unit.stage.name
    return steps + [Step(stage, name, RETIRED) for stage, name, _ in stages.retired(config, standing)]


if __name__ == "__main__":
    refuse("pmd build CONFIG -- FLAGS; one stage: python -m pipelines.STAGE CONFIG FLAGS")
