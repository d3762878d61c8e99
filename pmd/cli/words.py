"""How the words of a command line are read: the classes behind commands, and the arguments that several of them take."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import typer.core

from pmd import escape
from pmd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pmd.config import Config

#: A mistake of the command line. typer has its own copy of click, and for this no public name.
UsageError: Final[Any] = typer.BadParameter.__base__


@contextlib.contextmanager
def _shown() -> Iterator[None]:
    """Make what is said of the command line's words, which can be names of files, harmless."""
    try:
        yield
    except UsageError as error:
        error.message = escape.terminal(error.message)
        raise


class Group(typer.core.TyperGroup):
    """Shows what is wrong with the words that it is given."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _shown():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _shown():
            return super().invoke(ctx)


def on_this_machine(parameter: typer.CallbackParam, path: Path | None) -> Path | None:
    """Return what an option names on this machine, and refuse a URL: its file would be written here, in a folder `s3:`.

    Raises:
        ConfigError: It is a URL.
    """
    from pmd.config import places

    if path is not None and (url := places.url(str(path))) is not None:
        raise ConfigError(
            "this is written on this machine alone",
            where=parameter.opts[0],
            expected="a path of this machine",
            found=url,
            remedy="write it here, then copy it there",
        )
    return path


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


class WithBeam(typer.core.TyperCommand):
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
            raise UsageError(f"Got unexpected words ({shown}): {meant}Beam's own flags follow --.", ctx)
        return left


def chosen(given: str | None, known: Sequence[str]) -> list[str] | None:
    """Return the sources that `--sources` names; None where it is not given."""
    from pmd import config

    return config.chosen(given, known)


def load(path: str, sample: str | None = None) -> Config:
    """Return the configuration at a path, with the sample that the command line names."""
    from pmd import config

    return config.load_with(path, sample)
