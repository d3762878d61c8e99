"""What the launcher of a Flex Template runs: it submits a job of one step, on one worker, and that is the driver of all others.

A launcher submits one job and ends. A build is many, with a driver that waits, commits and goes on. So the one job has one task,
a command of pmd's; it runs until the build has ended, and submits the stages' jobs as it would from anywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from pmd import config, flow
from pmd.engines import choosing
from pmd.engines.commanding import Command
from pmd.errors import ConfigError

#: Beam's flags of the template's job that are those of all jobs it submits, too: in which network their machines stand, whether
#: they have addresses of the web, and by which key their data are kept.
_SHARED: Final = ("network", "subnetwork", "dataflow_kms_key")
_SHARED_SWITCHES: Final = ("use_public_ips", "no_use_public_ips")


def _shared(flags: Sequence[str]) -> Iterator[str]:
    yield from (f"--{name}={choosing.value(flags, name)}" for name in _SHARED if choosing.says(flags, name))
    yield from (f"--{name}" for name in _SHARED_SWITCHES if choosing.says(flags, name))


def main(argv: Sequence[str] | None = None) -> None:
    """Submit the job.

    Args:
        argv: The template's parameters, and Beam's flags; by default the process's own.

    Raises:
        ConfigError: The configuration does not describe Dataflow.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True, help="the configuration, in a bucket")
    parser.add_argument("--command", default="build", choices=("build", *flow.NAMES), help="which of pmd's commands")
    told, flags = parser.parse_known_args(argv)
    loaded = config.load(told.config)
    table = loaded.engine.dataflow
    if table is None:
        raise ConfigError("Dataflow is not described", where=told.config, expected="a table [engine.dataflow]")
    ours = ["--sdk_location=container", f"--sdk_container_image={table.image}", "--max_num_workers=1"]
    if table.account is not None and not choosing.says(flags, "service_account_email"):
        ours.append(f"--service_account_email={table.account}")  # else the project's own, which may not drive
    shared = tuple(_shared(flags))
    words = (told.command, told.config, "--engine", "dataflow", *(("--", *shared) if shared else ()))
    pipeline = beam.Pipeline(options=PipelineOptions([*flags, *ours]))
    _ = pipeline | beam.Create([words], reshuffle=False) | "Drive" >> beam.ParDo(Command(loaded.root))
    pipeline.run()  # the launcher does not wait


if __name__ == "__main__":
    main()
