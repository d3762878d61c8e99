"""Rebuild PMD (Public Multimodal Datasets) from its upstream annotation files.

As a library it offers the names in `__all__`, described in docs/library.md. Each is imported when it is first used: `import pmd`
alone loads neither Beam nor Arrow.

Folders stand in one order and import only what stands before them: escape, flow, lean, errors, forest, schema, store, terminal,
manifests, formats, text, sources, config, books, engines, codec, suppression, and then the stages (the whole order:
`tests/test_imports.py`).
Only `pmd.engines` and the stages' `transforms` import Apache Beam.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pmd.config import Config
    from pmd.config import load as load_config
    from pmd.errors import PmdError
    from pmd.library.building import build
    from pmd.library.corpus import Corpus, load
    from pmd.library.pictures import NotStored, open_image
    from pmd.library.tables import Table
    from pmd.library.values import canonical_url, identity, is_english, perceptual_hash

__version__ = "0.1.0"

__all__ = [
    "Config",
    "Corpus",
    "NotStored",
    "PmdError",
    "Table",
    "build",
    "canonical_url",
    "identity",
    "is_english",
    "load",
    "load_config",
    "open_image",
    "perceptual_hash",
]

#: Public name → the module it comes from, and its name there.
_HOMES = {
    "Config": ("pmd.config", "Config"),
    "Corpus": ("pmd.library.corpus", "Corpus"),
    "NotStored": ("pmd.library.pictures", "NotStored"),
    "PmdError": ("pmd.errors", "PmdError"),
    "Table": ("pmd.library.tables", "Table"),
    "build": ("pmd.library.building", "build"),
    "canonical_url": ("pmd.library.values", "canonical_url"),
    "identity": ("pmd.library.values", "identity"),
    "is_english": ("pmd.library.values", "is_english"),
    "load": ("pmd.library.corpus", "load"),
    "load_config": ("pmd.config", "load"),
    "open_image": ("pmd.library.pictures", "open_image"),
    "perceptual_hash": ("pmd.library.values", "perceptual_hash"),
}


if not TYPE_CHECKING:  # a type checker that saw it would take every name for one of ours

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module, there = _HOMES[name]
        found: object = getattr(import_module(module), there)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
