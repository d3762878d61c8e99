"""The command line: a skin. It parses, calls the library, shows what came back, and turns mistakes into exit codes.

Everything slow is imported inside its command: `pmd sources` answers without Beam.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime
import itertools
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import typer.core
import typer.main

from pmd import __version__, escape, flow
from pmd.errors import ConfigError
from pmd.schema.exits import DIFFERENT, EXIT_CODES, GATED, TIME_IS_UP
from pmd.schema.statuses import ALL_TRANSIENT, STATUSES, TRANSIENT
from pmd.terminal import endings, output
from pmd.terminal.telling import telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.build import Step
    from pmd.config import Config
    from pmd.fetch.runs import Run


#: A mistake of the command line. typer has its own copy of click, and for this no public name.
_UsageError: Final[Any] = typer.BadParameter.__base__


@contextlib.contextmanager
def _shown() -> Iterator[None]:
    """Make what is said of the command line's words, which can be names of files, harmless."""
    try:
        yield
    except _UsageError as error:
        error.message = escape.terminal(error.message)
        raise


class _Group(typer.core.TyperGroup):
    """Shows what is wrong with the words that it is given."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _shown():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _shown():
            return super().invoke(ctx)


app = typer.Typer(
    name="pmd",
    cls=_Group,
    help="Rebuild PMD (Public Multimodal Datasets): annotation files in, training-ready shards, URL lists and an audit out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()),
)


def _print_version(asked: bool) -> None:
    if asked:
        output.say(f"pmd {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Take what stands before the command."""


manifests_app = typer.Typer(help="Upstream annotation files: fetch them, verify them.", no_args_is_help=True)
app.add_typer(manifests_app, name="manifests")

engine_app = typer.Typer(help="Engines on this machine, for trying: start, look at, end.", no_args_is_help=True)
app.add_typer(engine_app, name="engine")

takedown_app = typer.Typer(
    help="Takedown: what somebody asks for is purged, proved to be gone, and kept out of what is built later.",
    no_args_is_help=True,
)
app.add_typer(takedown_app, name="takedown")

ConfigPath = Annotated[str, typer.Argument(metavar="CONFIG", help="The configuration file (see pmd init).")]
RootPath = Annotated[str, typer.Argument(metavar="ROOT", help="The folder or fsspec URL of a build.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Sources = Annotated[str | None, typer.Option(help="Only these sources, separated by commas.")]
Curated = Annotated[
    str | None,
    typer.Option(
        help="Read in only these sources, separated by commas; stages after curate take all that are curated."
    ),
]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Where to run: local, prism, flink, spark or dataflow, as \\[engine] describes it.",
    ),
]
Sample = Annotated[str | None, typer.Option(help="A coherent small PMD: 1/N of the images, by hash.", metavar="1/N")]


#: What a word too many may have been meant for, by an option that its command has.
_MEANT: Final = {
    "sources": "sources are named with --sources; ",
    "column": "quote a glob, or name the folder; ",  # a shell makes many words of one
}
_STRAY_SHOWN: Final = 3


class _WithBeam(typer.core.TyperCommand):
    """Hands on what follows `--`, Beam's own flags. A word before it that is none of ours is a mistake."""

    allow_extra_args = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        behind = [*itertools.dropwhile(lambda word: word != "--", args)][1:]
        left: list[str] = super().parse_args(ctx, args)
        stray = ctx.args[: max(0, len(ctx.args) - len(behind))]
        if stray:
            more = len(stray) - _STRAY_SHOWN
            shown = " ".join(stray[:_STRAY_SHOWN]) + (f" and {more} more" if more > 0 else "")
            meant = "".join(_MEANT.get(str(one.name), "") for one in self.params)
            raise _UsageError(f"Got unexpected words ({shown}): {meant}Beam's own flags follow --.", ctx)
        return left


def main() -> None:
    """Run the command line; a user's mistake is told without a traceback, with its exit code."""
    output.open_streams()
    output.log_to_standard_error()
    sys.excepthook = output.uncaught
    as_json = "--json" in itertools.takewhile(lambda word: word != "--", sys.argv[1:])
    with endings.command(as_json=as_json):
        try:
            # Not by typer, which sets a hook of its own.
            typer.main.get_command(_asked(sys.argv[1:]))(standalone_mode=True)
        except SystemExit as ended:
            # typer makes an interrupt, wherever it comes, an exit code without a word.
            if (interrupt := _interrupt(ended)) is not None:
                raise interrupt from None
            raise


def _asked(words: Sequence[str]) -> typer.Typer:
    """Return the command line with the one command that is asked for, where there is such a one.

    typer makes all that it has before it runs one of them: .03 s.
    """
    first = next(iter(words), "")
    commands = [one for one in app.registered_commands if _name(one) == first]
    groups = [one for one in app.registered_groups if one.name == first]
    if not (commands or groups):
        return app
    asked = copy.copy(app)
    asked.registered_commands, asked.registered_groups = commands, groups
    return asked


def _name(command: typer.models.CommandInfo) -> str:
    assert command.callback is not None
    return command.name or typer.main.get_command_name(command.callback.__name__)


def _interrupt(ended: BaseException) -> KeyboardInterrupt | None:
    """Return the interrupt that an exception came of."""
    came: BaseException | None = ended
    while came is not None and not isinstance(came, KeyboardInterrupt):
        came = came.__context__
    return came


def _chosen(given: str | None, known: Sequence[str]) -> list[str] | None:
    from pmd import config

    return config.chosen(given, known)


def _config(path: str, sample: str | None = None) -> Config:
    from pmd import config

    return config.load_with(path, sample)


@app.command()
def sources(
    *,
    rules: Annotated[bool, typer.Option("--rules", help="Every rule of every profile, and the closed lists.")] = False,
    as_json: Json = False,
) -> None:
    """List the sources: licence, published counts, needs; or every rule, with its origin."""
    from pmd.inspection import catalogue

    if rules:
        listing = catalogue.rules()
        if as_json:
            output.json(listing)
            return
        output.table(
            "Rules: options, and their value in each profile",
            ("where", "option", "paper", "hub", "recommended", "what it does", "origin"),
            [
                [
                    r["where"],
                    r["option"],
                    *(catalogue.spell(r[profile]) for profile in ("paper", "hub", "recommended")),
                    r["says"],
                    r["origin"],
                ]
                for r in listing["rules"]
            ],
        )
        output.table(
            "\nReasons",
            ("stage", "reason", "meaning"),
            [[r["stage"], r["reason"], r["says"]] for r in listing["reasons"]],
        )
        output.table("\nStatuses of the ledger", ("status",), [[status] for status in listing["statuses"]])
        output.table("\nExit codes", ("code", "meaning"), [[str(c["code"]), c["says"]] for c in listing["exit_codes"]])
        return
    listed = catalogue.sources()
    if as_json:
        output.json(listed)
        return
    output.table(
        None,
        ("source", "pairs upstream", "FLAVA Table 2", "text licence", "image licence", "annotations", "needs"),
        [
            [
                s["name"],
                "unknown" if s["upstream_rows"] is None else s["upstream_rows"],
                s["table2"],
                s["text_licence"],
                s["image_licence"],
                s["download"],
                s["needs"],
            ]
            for s in listed
        ],
    )
    output.say('Pairs of your own: [sources.NAME] with reader = "url_text"; pmd sources --rules has its options.')


@app.command()
def init(sources: Sources = None) -> None:
    """Print a commented configuration: what to download, how large, what is gated. To keep it: pmd init > pmd.toml."""
    from pmd import manifests

    known = list(manifests.load_all())
    output.say(manifests.starter_config(_chosen(sources, known) or known))


@manifests_app.command("fetch")
def manifests_fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Sources; default: all.")] = None,
    *,
    folder: Annotated[Path, typer.Option(help="Where files go: FOLDER/data/SOURCE/NAME.")] = Path(),
    images: Annotated[bool, typer.Option("--images", help="Image archives too.")] = False,
    optional: Annotated[bool, typer.Option("--optional", help="Variants too.")] = False,
    file: Annotated[list[str] | None, typer.Option(help="Only the file of this name; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Download upstream annotation files: resumable, checksummed, mirrors in order."""
    from pmd.inspection import catalogue
    from pmd.manifests.progress import progress_bar

    with progress_bar() as progress:
        outcomes = catalogue.fetch_files(
            names or [], folder, images=images, optional=optional, files=file or [], progress=progress
        )
    _outcomes(outcomes, as_json=as_json)


@manifests_app.command("verify")
def manifests_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Sources; default: all.")] = None,
    *,
    folder: Annotated[Path, typer.Option(help="Where files are: FOLDER/data/SOURCE/NAME.")] = Path(),
    images: Annotated[bool, typer.Option("--images", help="Image archives too.")] = False,
    optional: Annotated[bool, typer.Option("--optional", help="Variants too.")] = False,
    file: Annotated[list[str] | None, typer.Option(help="Only the file of this name; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Check files against the manifests: there, of the right size, of the right checksum."""
    from pmd.inspection import catalogue
    from pmd.manifests.progress import progress_bar

    with progress_bar() as progress:
        outcomes = catalogue.verify_files(
            names or [], folder, images=images, optional=optional, files=file or [], progress=progress
        )
    _outcomes(outcomes, as_json=as_json)


EngineFolder = Annotated[
    Path, typer.Option("--folder", help="Where make engines has put them, and where they run.", metavar="FOLDER")
]
EnginesHere = Annotated[list[str] | None, typer.Argument(metavar="ENGINE", help="prism, flink, spark; default: all.")]


@engine_app.command("up")
def engine_up(
    name: Annotated[str, typer.Argument(metavar="ENGINE", help="prism, flink or spark.")],
    folder: EngineFolder = Path(".engines"),
    heap: Annotated[
        int | None,
        typer.Option(
            "--heap",
            min=256,
            metavar="MIB",
            help="Java's heap of what handles rows: each of Flink's task managers (320), or Spark (1024). "
            'shuffle = "engine" wants 2048 where there are millions of rows.',
        ),
    ] = None,
) -> None:
    """Start an engine on this machine, on loopback; of Flink a cluster with two task managers."""
    from pmd.engines import servers

    running = servers.up(name, str(folder), heap)
    web = "" if running.web is None else f"; its pages: {running.web}"
    output.say(f"{name} takes jobs at {running.endpoint}{web}; its logs: {escape.terminal(running.folder)}")
    output.say(f"pmd build CONFIG --engine {name} runs there; pmd engine down {name} ends it")


@engine_app.command("down")
def engine_down(names: EnginesHere = None, folder: EngineFolder = Path(".engines")) -> None:
    """End engines that were started here; their logs stay."""
    from pmd.engines import servers

    any_ended = False
    for name in servers.known(names):
        ended = servers.down(name, str(folder)) is not None  # told at once: the next may be refused
        any_ended = any_ended or ended
        if ended or names:
            output.say(f"{name} has ended" if ended else f"{name} was not started here")
    if not names and not any_ended:
        output.say("no engine was started here")


@engine_app.command("status")
def engine_status(names: EnginesHere = None, folder: EngineFolder = Path(".engines")) -> None:
    """Say which engines run here, and which of their processes have died."""
    from pmd.engines import servers

    for name in servers.known(names):
        running = servers.read(name, str(folder))
        if running is None:
            output.say(f"{name}: not started here")
            continue
        dead = {process.part for process in running.dead}
        parts = ", ".join(
            f"{process.part} ({'died' if process.part in dead else process.pid})" for process in running.processes
        )
        jobs = f"jobs at {running.endpoint}" if running.endpoint else "not started to its end"
        output.say(f"{name}: {jobs}: {parts}; logs: {escape.terminal(running.folder)}")


def _outcomes(outcomes: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        output.json(outcomes)
    else:
        output.table(
            None,
            ("source", "file", "state", "what to do"),
            [[o["source"], o["name"], o["state"], o["says"]] for o in outcomes],
        )
    states = {o["state"] for o in outcomes if o["bad"]}
    if states:
        raise typer.Exit(6 if "failed" in states else GATED if states == {"gated"} else 3)


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
    from pmd.config import inputs, places
    from pmd.curate import losses
    from pmd.store import root
    from pmd.store.standing import Standing

    steps: list[Step] = []

    def report(step: Step) -> None:
        steps.append(step)
        _report(step)

    config = _on(_config(path, sample), engine, flags)
    chosen = _chosen(names, sorted(config.sources))
    for note in inputs.notes(config):
        output.say(f"! {escape.terminal(note)}", err=True)
    with root.writer(config.root, " ".join(["pmd", *sys.argv[1:]]), places.absolute(path)):
        pipeline.build(
            config,
            names=chosen,
            only=only,
            flags=flags,
            report=report,
            started=lambda step: output.say(f"  {step.stage} {step.unit}: {escape.terminal(step.why)} …", err=True),
        )
    if only in {None, flow.CURATE.name}:
        for note in losses.notes(Standing(config.root), chosen or sorted(config.sources)):
            output.say(f"! {escape.terminal(note)}", err=True)
    return config, next((step.fetched for step in steps if step.fetched is not None), None)


def _on(config: Config, engine: str | None, flags: Sequence[str]) -> Config:
    """Return a configuration with the engine that the command line names."""
    from pmd.engines import choosing

    return dataclasses.replace(config, engine=choosing.chosen(config.engine, engine, flags))


def _report(step: Step) -> None:
    output.clear_progress()
    if step.seconds is None:
        output.say(f"= {step.stage} {step.unit}: committed and unchanged", err=True)
    else:
        beside = f", with {step.beside} other{'s' if step.beside != 1 else ''}" if step.beside else ""
        output.say(f"{output.sign('✓', '+')} {step.stage} {step.unit}: {step.seconds:.1f} s{beside}", err=True)


@app.command(cls=_WithBeam)
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

        loaded = _on(_config(config, sample), engine, context.args)
        if context.args:
            from pipelines import running  # late: it brings Beam along

            running.check(context.args)
        steps = pipeline.explain(loaded, _chosen(sources, sorted(loaded.sources)))
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
    _show_status(summary, as_json=as_json)


class _Retrying(_WithBeam):
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
    from pmd.fetch import runs, stopping

    until = None if for_ is None else stopping.asked_at(began, stopping.duration_s(for_))
    statuses = _statuses(retry)
    if statuses or settle_unreached or until is not None:
        from pipelines import fetch as pipeline
        from pmd.config import places
        from pmd.store import root

        loaded = _on(_config(config, sample), engine, context.args)
        with root.writer(loaded.root, " ".join(["pmd", *sys.argv[1:]]), places.absolute(config)):
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
    _class = _Retrying if _stage == flow.FETCH else _WithBeam
    app.command(_stage.name, help=f"{_stage.says} Beam's own flags follow --.", cls=_class)(_command(_stage))


@app.command()
def join(
    config: ConfigPath,
    listed: Annotated[str, typer.Argument(metavar="LIST", help="A published list, or a folder of them.")],
    *,
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where the refilled lists go.")],
    as_json: Json = False,
) -> None:
    """Refill published lists with what they withhold, from your own annotation files, curated; checked by digest."""
    from pmd.publish import join as joining

    result = joining.join(_config(config), listed, out)
    if as_json:
        output.json({name: dataclasses.asdict(joined) for name, joined in result.items()})
    else:
        heads = ("source", "rows", "refilled", "not in your copy", "other content in your copy", "withdrawn")
        output.table(None, heads, joining.lines(result))
    if any(joined.other for joined in result.values()):
        raise typer.Exit(5)


@app.command(help=flow.REFRESH.says)
def refresh(
    config: ConfigPath,
    *,
    images: Annotated[int, typer.Option(help="How many images are drawn, at most.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed draws others.")] = 0,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="TIME",
            help="End in time (6h, 90m, 1d12h); the same command goes on with the wave: exit code 9.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a wave; what the command shows is said in `pmd.flow`."""
    began = datetime.datetime.now(datetime.UTC)
    from pmd.config import places
    from pmd.fetch import stopping
    from pmd.refresh import asking
    from pmd.refresh import telling as words
    from pmd.store import root

    until = None if for_ is None else stopping.asked_at(began, stopping.duration_s(for_))
    loaded = _config(config)
    with root.writer(loaded.root, " ".join(["pmd", *sys.argv[1:]]), places.absolute(config)), telling("images") as tell:
        asked = asking.refresh(loaded, images, seed, until=until, tell=tell)
    found = words.told(loaded.root, asked)
    if as_json:
        output.json(found)
    else:
        output.say(words.render(found, output.columns(120)))
    if asked.left:
        raise typer.Exit(TIME_IS_UP)


@app.command()
def plan(
    config: ConfigPath,
    *,
    sample: Sample = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar="NAME", help="dataflow: also what each stage costs there, by \\[engine.prices]."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Estimate rows, bytes, hours and disk, and name the slowest host, before anything runs."""
    from pmd.inspection import costs, plan_text
    from pmd.inspection import plan as planning

    if engine not in {None, "dataflow"}:
        raise ConfigError("no engine that is paid by time", where="--engine", expected="dataflow", found=engine)
    loaded = _config(config, sample)
    planned = planning.plan(loaded)
    if engine is not None:
        planned["cost"] = costs.cost(loaded, planned, loaded.engine.prices)
    if as_json:
        output.json(planned)
    else:
        output.say(plan_text.render(planned, output.columns(80)))


@app.command()
def status(root: RootPath, *, as_json: Json = False) -> None:
    """Show what is committed, and the books of every stage."""
    from pmd.inspection import status as statuses

    _show_status(statuses.books(root), as_json=as_json)


def _show_status(summary: dict[str, Any], *, as_json: bool) -> None:
    from pmd.inspection import status as statuses

    if as_json:
        output.json(summary)
    else:
        output.say(statuses.render(summary, output.columns(130)))


@app.command()
def verify(root: RootPath, *, as_json: Json = False) -> None:
    """Recount the books from the committed files, and check every file's bytes; of a copy of a release, its checksums."""
    from pmd.inspection import verify as verification

    with telling("bytes") as tell:
        result = verification.verify(root, tell)
    if as_json:
        output.json(result)
    else:
        output.say(verification.render(result))
    if result["problems"]:
        raise typer.Exit(5)


@app.command(cls=_WithBeam)
def repair(
    context: typer.Context,
    root: RootPath,
    *,
    config: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="What ROOT was built with; default: that of the last run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what is damaged, and make or fetch just that anew. Beam's own flags follow --."""
    from pipelines import repair as repairing
    from pmd.config import places
    from pmd.store import root as roots

    repairing.require(root)
    with telling("bytes") as tell:
        chosen = config or repairing.last_configuration(root)
        named = places.absolute(chosen) if chosen is not None else None
        with roots.writer(root, " ".join(["pmd", *sys.argv[1:]]), named):
            done = repairing.repair(
                root,
                chosen,
                progress=tell,
                say=_say_above_progress,
                flags=context.args,
            )
    if as_json:
        output.json(done.describe())
    else:
        output.say(repairing.render(done))
    if done.left:
        raise typer.Exit(5)


def _say_above_progress(words: str) -> None:
    output.clear_progress()
    output.say(f"  {escape.terminal(words)}", err=True)


What = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT",
        help="As pmd explain takes it: a URL or page, an identity, SOURCE/ID, an id, a digest, a picture file; or "
        "user:SOURCE/ID, a person's page on Flickr or Reddit, host:example.com.",
    ),
]


@takedown_app.command("add")
def takedown_add(
    config: ConfigPath,
    what: What,
    *,
    keep_looks: Annotated[
        bool,
        typer.Option(
            "--keep-looks",
            help="The person agrees that a perceptual hash is kept, so that copies are kept out that other addresses have.",
        ),
    ] = False,
) -> None:
    """Note what somebody asks for; it is carried out by pmd takedown apply."""
    from pmd.store import root
    from pmd.takedown import receipts, requests

    loaded = _config(config)
    root.require(loaded.root)
    words = [requests.read_word(said, loaded.sources) for said in what]
    done = [number for receipt in receipts.read(loaded.root) for number in receipt.requests]
    request = requests.add(loaded.root, words, done, keeps_looks=keep_looks)
    for word in words:
        output.say(f"{escape.terminal(word.said)}: {escape.terminal(word.says)}")
    output.say(f"request {request.number}; to carry it out: pmd takedown apply CONFIG")


@takedown_app.command("find")
def takedown_find(
    config: ConfigPath,
    photo: Annotated[str, typer.Argument(metavar="PHOTO", help="A picture file.")],
    *,
    as_json: Json = False,
) -> None:
    """List the images that have a picture's bytes or look like it, for a person to decide."""
    from pmd import codec
    from pmd.errors import InputError
    from pmd.store import storage
    from pmd.takedown import matching

    loaded = _config(config)
    if not storage.exists(photo):
        raise InputError("no such file", where=photo, expected="a picture")
    content = b"" if storage.is_folder(photo) else storage.read_bytes(photo)
    if codec.sniff(content) is None:
        raise InputError("no picture", where=photo, expected="a file of a picture format that is read")
    found, unknown = matching.find(loaded.root, content)
    if as_json:
        output.json({"near": [near.describe() for near in found], "without_hash": unknown})
        return
    output.table(
        None,
        ("image_id", "identity", "bytes", "bits of 256 that differ", "had from"),
        [
            [
                near.image_id.hex(),
                near.identity or "",
                "the same" if near.is_same else "others",
                near.bits,
                near.location,
            ]
            for near in found
        ],
    )
    if unknown:
        output.say(
            f"{unknown:,} stored pictures have no perceptual hash, and were compared by their bytes alone: "
            "pmd takedown apply hashes them where a request names a picture file",
            err=True,
        )


@takedown_app.command("apply", cls=_WithBeam)
def takedown_apply(context: typer.Context, config: ConfigPath, *, as_json: Json = False) -> None:
    """Purge what was asked for from all that stands under ROOT, and keep it out. Beam's own flags follow --."""
    from pipelines import takedown as pipeline
    from pmd.config import places
    from pmd.store import root

    loaded = _config(config)
    root.require(loaded.root)
    with root.writer(loaded.root, "pmd takedown apply", places.absolute(config)):
        done = pipeline.apply(loaded, context.args, _say_above_progress)
    if as_json:
        output.json(done.describe())
    else:
        output.say(pipeline.render(done))


@takedown_app.command("prove")
def takedown_prove(
    config: ConfigPath,
    what: Annotated[
        list[str] | None, typer.Argument(metavar="WHAT", help="What was taken down, as pmd takedown add takes it.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Look through every file of ROOT, unpacked, for what was taken down; exit code 5 where something is left."""
    from pmd.store import root
    from pmd.suppression import lists
    from pmd.takedown import prove as proving
    from pmd.takedown import requests

    loaded = _config(config)
    root.require(loaded.root)
    words = [requests.read_word(said, loaded.sources) for said in what or ()]
    with telling("files") as tell:
        proof = proving.prove(loaded.root, lists.standing(loaded.root, loaded.suppression), words, tell)
    if as_json:
        output.json(proof.describe())
    else:
        output.say(proving.render(proof))
    if proof.left:
        raise typer.Exit(5)


@takedown_app.command("receipt")
def takedown_receipt(config: ConfigPath) -> None:
    """Print what was done for those who asked: by number of the request and counts, without what they named."""
    from pmd.takedown import receipts, requests

    loaded = _config(config)
    waiting = [request.number for request in requests.read(loaded.root)]
    output.say(receipts.render(receipts.read(loaded.root), waiting, loaded.contact))


@app.command()
def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A ROOT, or a published list (a Parquet file, or a folder of them).")
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="Another; or, after a ROOT and experimental, an annotation file of facebook/pmd (yfcc100m_subset.jsonl).",
        ),
    ],
    *,
    limit: Annotated[int, typer.Option(help="Examples of each kind of difference.")] = 3,
    as_json: Json = False,
) -> None:
    """Tell what differs between two ROOTs, two lists, or (experimental) a ROOT and facebook/pmd's annotations.

    The form of facebook/pmd's annotation files is known from code that reads them; no such file was seen.
    """
    from pmd.inspection import diff as differing

    with telling("rows") as tell:
        result = differing.diff(a, b, limit, tell)
    if as_json:
        output.json(result)
    else:
        output.say(differing.render(result, output.columns(120)))
    if not result["equal"]:
        raise typer.Exit(DIFFERENT)


@app.command()
def explain(
    root: RootPath,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|URL|FILE",
            help="An image or a pair, as you have it: its URL, its page on Flickr, Wikimedia, Reddit or Imgur, flickr:4242, "
            "coco:9, SOURCE/ID, a pair_id or image_id, sha256:HEX, pdq:HEX, or a picture file.",
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Tell what became of a pair or an image, stage by stage."""
    from pmd.inspection import explain as explaining

    answer = explaining.explain(root, what)
    if as_json:
        output.json(answer)
    else:
        output.say(explaining.render(answer))


@app.command()
def hashes(
    path: Annotated[str, typer.Argument(metavar="FOLDER|ARCHIVE", help="Images: a folder, a tar or a zip.")],
) -> None:
    r"""Write a list of images' hashes, for `\[dedupe] evaluation`; the images themselves need not be shared."""
    from pmd.dedupe import evaluation
    from pmd.errors import InputError
    from pmd.formats import archives
    from pmd.store import storage

    if not storage.exists(path) or not (storage.is_folder(path) or archives.is_archive(path)):
        raise InputError("neither a folder nor an archive", where=path, expected="a folder, a tar or a zip of images")
    count = 0
    undecoded: list[str] = []
    with telling("images") as tell:
        for name, sha256, pdq in evaluation.hashed(path):
            output.clear_progress()
            output.say(evaluation.line(name, sha256, pdq))
            count += 1
            undecoded += [name] if pdq is None else []
            tell(count, 0)
    if not count:
        raise InputError("no image is in it", where=path, expected="pictures, in one of the formats that are read")
    if undecoded:
        output.say(f"! {evaluation.note_of_undecoded(path, undecoded)}", err=True)
    output.say(f"{count:,} images", err=True)


@app.command()
def peek(
    root: RootPath,
    *,
    out: Annotated[Path | None, typer.Option(help="The page; default: peek.html.")] = None,
    pairs: Annotated[int, typer.Option(help="Pairs to show.")] = 48,
    rejected: Annotated[int, typer.Option(help="Rejected rows to show.")] = 48,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only rows rejected for this reason.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed shows other rows.")] = 0,
) -> None:
    """Write one page of sampled pairs with their pictures, and of rejected rows with their reasons."""
    from pmd.inspection import peek as peeking
    from pmd.store import storage

    page = peeking.page(root, pairs=pairs, rejected=rejected, source=source, reason=reason, seed=seed)
    target = out or Path("peek.html")
    if target.is_symlink() or (target.exists() and not target.is_file()):  # /dev/stdout, say
        target.write_text(page, encoding="utf-8")
    else:
        storage.put(str(target), page.encode())
    output.say(escape.terminal(target))


@app.command()
def label(
    root: RootPath,
    *,
    number: Annotated[int | None, typer.Option(help="Write sheets of about so many texts: 30 a stratum.")] = None,
    as_json: Json = False,
) -> None:
    """Write sheets of texts for two people who label by hand what gendered terms mean; without --number, read the filled ones."""
    from pmd.audit import labelling, lexicon

    if number is not None:
        for path in labelling.write(root, lexicon.load(), number):
            output.say(escape.terminal(path))
        return
    found = labelling.read(root)
    if as_json:
        output.json(found)
    else:
        output.say(labelling.told(found))


@app.command(cls=_WithBeam)
def demo(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option(help="Where everything goes; made anew.")] = Path("out/demo"),
    profile: Annotated[str, typer.Option(help="paper, hub or recommended.")] = "recommended",
    engine: EngineName = None,
) -> None:
    """Run the whole thing on a small built-in web, in under two minutes."""
    from pipelines import demo as demonstration

    output.say(demonstration.run(out, profile=profile, engine=engine, flags=context.args, report=_report))


if __name__ == "__main__":
    main()
