"""Beam wiring only: one module a stage. `build(root, config)` wires, `main(argv)` parses."""
