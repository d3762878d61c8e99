"""The command line: a skin. It parses, calls the library, shows what came back, and turns mistakes into exit codes.

Everything slow is imported inside its command: `pmd sources` answers without Beam. Modules, each importing only
those above it::

    words     how words are read: the classes behind commands, and the arguments that several of them take
    upstream  `pmd sources`, `pmd init`, `pmd manifests`
    engine    `pmd engine`
    stages    `pmd build`, and a command of each stage
    takedown  `pmd takedown`
    beside    what is to come, what stands, what became of it, what is damaged
"""

from __future__ import annotations

import copy
import itertools
import sys
from typing import TYPE_CHECKING, Annotated

import typer
import typer.main

from pmd import __version__
from pmd.cli import beside, engine, stages, takedown, upstream, words
from pmd.schema.exits import EXIT_CODES
from pmd.terminal import endings, output

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    name="pmd",
    cls=words.Group,
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


for _part in (upstream, stages, beside):
    app.registered_commands += _part.app.registered_commands
app.add_typer(upstream.manifests_app, name="manifests")
app.add_typer(engine.app, name="engine")
app.add_typer(takedown.app, name="takedown")


def main() -> None:
    """Run the command line; a user's mistake is told without a traceback, with its exit code."""
    output.open_streams()
    output.log_to_standard_error()
    sys.excepthook = output.uncaught
    as_json = "--json" in itertools.takewhile(lambda word: word != "--", sys.argv[1:])
    with endings.command(as_json=as_json):
        try:
            # Not by typer, which sets a hook of its own.
            typer.main.get_command(_only_the_command(sys.argv[1:]))(standalone_mode=True)
        except SystemExit as ended:
            # typer makes an interrupt, wherever it comes, an exit code without a word.
            if (interrupt := _interrupt(ended)) is not None:
                raise interrupt from None
            raise


def _only_the_command(words: Sequence[str]) -> typer.Typer:
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
