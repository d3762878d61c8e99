"""Beam wiring only: one module a stage, and what runs them.

A stage's module has `build(config, …)`, which wires its pipeline, runs it and commits, and `main(argv)`, which a cluster's
launcher runs. `pipelines.fetch` has `commit_rejected` beside. `pipelines.build` runs every stage, `pipelines.repair` what
damage asks for, `pipelines.demo` the demo; `pipelines.running` is how all of them run.
"""

from typing import NoReturn


def refuse(command: str) -> NoReturn:
    """End a module that was run, and that only a command of pmd's runs: a launcher would take silence for success."""
    raise SystemExit(f"this module has no command line of its own; run: {command}")
