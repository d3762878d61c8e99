"""Conceptual Captions (CC3M): lower-case, hypernymed captions of web images; `caption<TAB>url`, 3.3M lines.

Captions may start with or hold a quote character, which is text: M4's loader reads the file with a csv reader and so
loses rows at an unclosed quote; none of the profiles does. Google allows any use and asks to be acknowledged, which no
SPDX licence says: the texts are NOASSERTION, and the manifest has Google's words.

A part of it was published again with labels that a machine gave to the pictures: three more columns, which are not read.
"""

from __future__ import annotations

import posixpath
from typing import Final

from pmd.sources import named_tables
from pmd.sources.two_columns import TwoColumns


def _split(path: str) -> str:
    """Return upstream's split; its files are `GCC-training.tsv` and `GCC-1.1.0-Validation.tsv`, a mirror's may be in folders."""
    if "validation" in posixpath.basename(path).lower():
        return "validation"
    return "validation" if named_tables.split_of(path) == "validation" else "train"


SOURCE: Final = TwoColumns(
    name="conceptual_captions",
    columns=("caption", "image_url"),
    rival="conceptual_12m",
    split_of=_split,
    further=("labels", "MIDs", "confidence_scores"),
)
