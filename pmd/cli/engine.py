"""The commands of `pmd engine`: engines on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pmd import escape
from pmd.terminal import output

app = typer.Typer(help="Engines on this machine, for trying: start, look at, end.", no_args_is_help=True)

EngineFolder = Annotated[
    Path, typer.Option("--folder", help="Where make engines has put them, and where they run.", metavar="FOLDER")
]
EnginesHere = Annotated[list[str] | None, typer.Argument(metavar="ENGINE", help="prism, flink, spark; default: all.")]


@app.command("up")
def up(
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


@app.command("down")
def down(names: EnginesHere = None, folder: EngineFolder = Path(".engines")) -> None:
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


@app.command("status")
def status(names: EnginesHere = None, folder: EngineFolder = Path(".engines")) -> None:
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
