"""Beam wiring only: one module a stage, and what runs them.

A stage's module has `build(config, …)`, which wires its pipeline, runs it and commits, and `main(argv)`, which a cluster's
launcher runs. `pipelines.fetch` has `commit_rejected` beside. `pipelines.build` runs every stage, `pipelines.repair` what
damage asks for, `pipelines.demo` the demo; `pipelines.running` is how all of them run.
"""
