"""The commands that run stages: `pmd build`, and one of each stage."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pmd import escape, flow
from pmd.cli.words import ConfigPath, Curated, EngineName, Json, Sample, Sources, WithBeam, chosen, load
from pmd.errors import ConfigError
from pmd.schema.exits import TIME_IS_UP
from pmd.schema.statuses import ALL_TRANSIENT, STATUSES, TRANSIENT
from pmd.terminal import output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from pipelines.build import Step
    from pmd.config import Config
    from pmd.fetch.runs import Run

app = typer.Typer()


def run_stage(
    path: str, only: str | None, names: str | None, sample: str | None, engine: str | None, flags: Sequence[str]
) -> tuple[Config, Run | None]:
    """Run one stage, or all of them, of a configuration; tell of every unit on standard error.

    Args:
        path: The configuration file.
        only: A stage, or None for all.
        names: Sources, separated by commas.
        sample: "1/N".
        engine: Where to run; None: as the configuration says.
        flags: Beam's own flags.

    Returns:
        The configuration, and the run of the fetch; None where nothing was to be fetched.
    """
    from pipelines import build as pipeline
    from pmd.config import inputs
    from pmd.curate import losses
    from pmd.store.standing import Standing

    steps: list[Step] = []

    def told(step: Step) -> None:
        steps.append(step)
        report(step)

    config = _on(load(path, sample), engine, flags)
    wanted = chosen(names, sorted(config.sources))
    for note in inputs.notes(config):
        output.say(f"! {escape.terminal(note)}", err=True)
    with writer(config.root, path):
        pipeline.build(
            config,
            names=wanted,
            only=only,
            flags=flags,
            report=told,
            started=lambda step: output.say(f"  {step.stage} {step.unit}: {escape.terminal(step.why)} …", err=True),
        )
    if only in {None, flow.CURATE.name}:
        for note in losses.notes(Standing(config.root), wanted or sorted(config.sources)):
            output.say(f"! {escape.terminal(note)}", err=True)
    return config, next((step.fetched for step in steps if step.fetched is not None), None)


def _on(config: Config, engine: str | None, flags: Sequence[str]) -> Config:
    """Return a configuration with the engine that the command line names."""
    from pmd.engines import choosing

    return dataclasses.replace(config, engine=choosing.chosen(config.engine, engine, flags))


def report(step: Step) -> None:
    """Tell of a unit that has ended, or stood."""
    output.clear_progress()
    if step.seconds is None:
        output.say(f"= {step.stage} {step.unit}: committed and unchanged", err=True)
    else:
        beside = f", with {step.beside} other{'s' if step.beside != 1 else ''}" if step.beside else ""
        output.say(f"{output.sign('✓', '+')} {step.stage} {step.unit}: {step.seconds:.1f} s{beside}", err=True)


def say_above_progress(words: str) -> None:
    """Tell of a step on standard error, in place of the line of progress."""
    output.clear_progress()
    output.say(f"  {escape.terminal(words)}", err=True)


def writer(root_url: str, config: str | None) -> AbstractContextManager[object]:
    """Return the lock of a ROOT, which notes this command, and the configuration that it runs with."""
    from pmd.config import places
    from pmd.store import root

    return root.writer(root_url, " ".join(["pmd", *sys.argv[1:]]), None if config is None else places.absolute(config))


def show_status(summary: dict[str, Any], *, as_json: bool) -> None:
    """Show what is committed, and the books."""
    from pmd.inspection import status as statuses

    output.answer(summary, lambda: statuses.render(summary, output.columns(130)), as_json=as_json)


@app.command(cls=WithBeam)
def build(
    context: typer.Context,
    config: ConfigPath,
    *,
    sources: Curated = None,
    sample: Sample = None,
    engine: EngineName = None,
    why: Annotated[bool, typer.Option("--why", help="Say what is stale and why; run nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Run every stage, skipping what is committed and unchanged. Beam's own flags follow --."""
    from pmd.inspection import status

    if why:
        from pipelines import build as pipeline
        from pmd.store import failures

        loaded = _on(load(config, sample), engine, context.args)
        if context.args:
            from pipelines import running  # late: it brings Beam along

            running.check(context.args)
        with failures.at(loaded.root):
            steps = pipeline.explain(loaded, chosen(sources, sorted(loaded.sources)))
        if as_json:
            output.json([{"stage": s.stage, "unit": s.unit, "why": s.why} for s in steps])
        else:
            rows = [[s.stage, s.unit, s.why or "committed and unchanged"] for s in steps]
            output.table(None, ("stage", "unit", "why"), rows, whole=2)
        return
    loaded, fetched = run_stage(config, None, sources, sample, engine, context.args)
    summary = status.books(loaded.root)
    if as_json:
        from pmd.fetch import runs

        summary["fetch_run"] = None if fetched is None else runs.tell(loaded, fetched)
    show_status(summary, as_json=as_json)


class _Retrying(WithBeam):
    """Takes `--retry` alone for `--retry transient`: typer knows no option whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ours = list(itertools.takewhile(lambda word: word != "--", args))
        for place, word in enumerate(ours):
            alone = place + 1 == len(ours) or not _STATUS_WORDS.fullmatch(ours[place + 1])
            if word == "--retry" and alone:
                ours[place] = f"--retry={ALL_TRANSIENT}"
        return super().parse_args(ctx, [*ours, *args[len(ours) :]])


#: What can be a value of `--retry`, right or wrong; the path of a configuration has a dot or a slash.
_STATUS_WORDS: Final = re.compile(r"[a-z_, ]*")


def fetch(
    context: typer.Context,
    config: ConfigPath,
    *,
    retry: Annotated[
        str,
        typer.Option(
            metavar="[STATUS,…]",
            help="Try images of these statuses again; alone, or as transient: of all that may change another day.",
        ),
    ] = "",
    settle_unreached: Annotated[
        bool,
        typer.Option(
            "--settle-unreached",
            help="Settle images that cannot be reached as lost, even if no host answers at all: it is the hosts that are gone.",
        ),
    ] = False,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="TIME",
            help="End in time (6h, 90m, 1d12h) with all that it has; more is left: exit code 9.",
        ),
    ] = None,
    sample: Sample = None,
    engine: EngineName = None,
    as_json: Json = False,
) -> None:
    """Run the fetch; what its command shows is said in `pmd.flow`."""
    began = datetime.datetime.now(datetime.UTC)
    from pmd.fetch import runs
    from pmd.fetch.lane import stopping

    until = None if for_ is None else stopping.asked_at(began, stopping.duration_s(for_))
    statuses = _statuses(retry)
    if statuses or settle_unreached or until is not None:
        from pipelines import fetch as pipeline

        loaded = _on(load(config, sample), engine, context.args)
        with writer(loaded.root, config):
            run = pipeline.build(loaded, context.args, retry=statuses, settle_unreached=settle_unreached, until=until)
        if not run.first:
            output.say("= fetch all: there was nothing to ask for", err=True)
    else:
        loaded, ended = run_stage(config, flow.FETCH.name, None, sample, engine, context.args)
        run = ended or runs.Run()
    if as_json:
        output.json(runs.tell(loaded, run))
    if run.is_cut:
        raise typer.Exit(TIME_IS_UP)


def _statuses(retry: str) -> tuple[str, ...]:
    """Return the statuses that `--retry` names, each once."""
    words = [word.strip() for word in retry.split(",") if word.strip()]
    found = tuple(dict.fromkeys(itertools.chain(*(TRANSIENT if word == ALL_TRANSIENT else [word] for word in words))))
    known = [ALL_TRANSIENT, *STATUSES[1:]]
    for status in found:
        if status not in known:
            from pmd.config import remedies

            raise remedies.unknown("no such status", "--retry", status, known)
    return found


def audit(
    context: typer.Context,
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|PATH", help="The configuration file; with --out any data set: file, folder or glob."
        ),
    ],
    *,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Audit the data set at PATH, and put its audit here.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=COLUMN", help="Of a data set: text=caption, user=author, …; may be repeated."),
    ] = None,
    sample: Sample = None,
    engine: EngineName = None,
) -> None:
    """Audit a build, or any data set; what its command shows is said in `pmd.flow`."""
    if out is None:
        if column:
            raise ConfigError("columns are named of a data set alone", where="--column", expected="--out DIR beside it")
        if not config.endswith(".toml") and _is_data(config):
            raise ConfigError(
                "this is no configuration",
                where=config,
                expected="a configuration, or --out DIR beside a data set",
                remedy=f"run: pmd audit {shlex.quote(config)} --out DIR",
            )
        run_stage(config, flow.AUDIT.name, None, sample, engine, context.args)
        return
    unused = {"--sample": sample, "--engine": engine, "--": context.args}
    if given := [name for name, value in unused.items() if value]:
        raise ConfigError(
            "this is for a build",
            where=", ".join(given),
            expected="--column alone beside --out, which audits a data set",
        )
    from pipelines import audit_data
    from pmd.audit import data_columns

    page = audit_data.build(
        config,
        out,
        data_columns.given(column or []),
        lambda note: output.say(f"! {escape.terminal(note)}", err=True),
    )
    output.say(escape.terminal(page))


def _is_data(path: str) -> bool:
    """Return whether a path is none of a configuration's: a folder, a glob, or a file that is called as data is."""
    from pmd.datasets import files

    return files.is_named_so(path) or any(sign in path for sign in "*?[") or Path(path).is_dir()


def curate(
    context: typer.Context,
    config: ConfigPath,
    sources: Sources = None,
    sample: Sample = None,
    engine: EngineName = None,
) -> None:
    """Read sources in; what its command shows is said in `pmd.flow`."""
    run_stage(config, flow.CURATE.name, sources, sample, engine, context.args)


def _command(stage: flow.Stage) -> Callable[..., None]:
    """Return what the command of a stage runs; those after curate take all sources that are curated."""
    special: dict[flow.Stage, Callable[..., None]] = {flow.CURATE: curate, flow.FETCH: fetch, flow.AUDIT: audit}
    if stage in special:
        return special[stage]

    def command(context: typer.Context, config: ConfigPath, sample: Sample = None, engine: EngineName = None) -> None:
        run_stage(config, stage.name, None, sample, engine, context.args)

    return command


for _stage in flow.STAGES:
    _class = _Retrying if _stage == flow.FETCH else WithBeam
    app.command(_stage.name, help=f"{_stage.says} Beam's own flags follow --.", cls=_class)(_command(_stage))
