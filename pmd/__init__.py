"""Rebuild PMD (Public Multimodal Datasets) from its upstream annotation files.

Folders stand in one order and import only what stands before them: escape, errors, schema, store, terminal, manifests, formats,
text, sources, config, engines, codec, and then the stages (the whole order: `tests/test_imports.py`).
Only `pmd.engines` and the stages' `transforms` import Apache Beam.
"""

__version__ = "0.1.0"
