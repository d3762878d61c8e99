"""Running a wired pipeline: the runner is named, options are explicit, and a user's mistake comes back as itself."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pmd import config, root, storage
from pmd.beam import mistakes, sight
from pmd.config import Config
from pmd.errors import ConfigError, PmdError

Wire = Callable[[beam.Pipeline], Any]


def run(wire: Wire, flags: Sequence[str], work: str) -> None:
    """Wire and run one pipeline, and wait for it.

    Args:
        wire: Adds the steps.
        flags: Beam's own flags; without a --runner, Beam's local runner is named, since the default one tries to
            download another from the internet.
        work: The folder of this run; removed when it has ended well. A worker leaves there what it has to tell a person.

    Raises:
        ConfigError: Beam knows no such runner.
        PmdError: A worker met a user's mistake.
    """
    storage.remove_tree(work)
    storage.make_folder(work)
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    try:
        pipeline = _pipeline(flags)
        wire(pipeline)
        with sight.Watch(work), mistakes.unlogged():
            result = pipeline.run()
            result.wait_until_finish()
    except Exception as error:
        told = mistakes.read(work)
        if told is not None:
            raise told from error
        raise
    finally:
        storage.remove_tree(work)


@dataclasses.dataclass(frozen=True)
class Command:
    """What a stage's own command line says."""

    config: Config
    names: tuple[str, ...]
    flags: tuple[str, ...]


@contextlib.contextmanager
def command(stage: str, argv: Sequence[str] | None) -> Iterator[Command]:
    """Parse `python -m pipelines.<stage> CONFIG [--sources …] [--sample 1/N] [Beam flags]`, and be ROOT's writer meanwhile.

    A user's mistake is told without a traceback and ends the process with its exit code.

    Args:
        stage: The stage's name.
        argv: The command line; by default the process's own.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}", description=f"Run the stage {stage}.")
    parser.add_argument("config", metavar="CONFIG", help="the configuration file")
    parser.add_argument("--sources", help="only these sources, separated by commas")
    parser.add_argument("--sample", metavar="1/N", help="a coherent small PMD: 1/N of the images, by hash")
    arguments, flags = parser.parse_known_args(argv)
    try:
        chosen = config.load_with(arguments.config, arguments.sample)
        names = config.chosen(arguments.sources, sorted(chosen.sources))
        with root.writer(chosen.root, f"python -m pipelines.{stage}"):
            yield Command(chosen, tuple(sorted(chosen.sources) if names is None else names), tuple(flags))
    except PmdError as error:
        sys.stderr.write(f"pmd: {error}\n")
        sys.exit(error.exit_code)


def _pipeline(flags: Sequence[str]) -> beam.Pipeline:
    named = any(flag.split("=", 1)[0] == "--runner" for flag in flags)
    try:
        return beam.Pipeline(runner=None if named else FnApiRunner(), options=PipelineOptions(list(flags)))
    except (ValueError, ImportError) as error:
        raise ConfigError(
            "Beam refuses these flags",
            where=" ".join(flags),
            found=str(error),
            remedy="name another --runner, or install what it needs",
        ) from None
