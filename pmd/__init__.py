"""Rebuild PMD (Public Multimodal Datasets) from its upstream annotation files.

Modules stand in one order and import only what stands before them: escape, errors, output, storage_errors, endings, schema,
keys, patience, storage, versions, written, sealed, commits, leftovers, lock, manifests, formats, text, urls, language, sources,
scores, options, config, and then the stages (the whole order: `tests/test_imports.py`).
Only `pmd.engines` imports Apache Beam.
"""

__version__ = "0.1.0"
