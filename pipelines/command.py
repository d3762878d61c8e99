"""`python -m pipelines.<stage> CONFIG [--sources …] [--sample 1/N] [Beam flags]`: what a cluster's launcher runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pipelines import build as building
from pmd import cli
from pmd.errors import PmdError


def main(stage: str, argv: Sequence[str] | None = None) -> None:
    """Run one stage where it is stale; whatever is not ours is Beam's.

    Args:
        stage: One of `pipelines.build.STAGES`.
        argv: The command line; by default the process's own.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipelines.{stage}", description=f"Run the stage {stage}.")
    parser.add_argument("config", metavar="CONFIG", help="the configuration file")
    parser.add_argument("--sources", help="only these sources, separated by commas")
    parser.add_argument("--sample", metavar="1/N", help="a coherent small PMD: 1/N of the images, by hash")
    arguments, flags = parser.parse_known_args(argv)
    assert stage in building.STAGES
    try:
        cli.run_stage(arguments.config, stage, arguments.sources, arguments.sample, flags)
    except PmdError as error:
        sys.stderr.write(f"pmd: {error}\n")
        sys.exit(error.exit_code)
