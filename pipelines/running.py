"""Running a wired pipeline: the runner is named, options are explicit, and a user's mistake comes back as itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pmd import storage
from pmd.beam import mistakes, sight
from pmd.errors import ConfigError

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
        with sight.Watch(work):
            result = pipeline.run()
            result.wait_until_finish()
    except Exception as error:
        told = mistakes.read(work)
        if told is not None:
            raise told from error
        raise
    finally:
        storage.remove_tree(work)


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
