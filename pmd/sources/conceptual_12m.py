"""Conceptual 12M (CC12M): alt texts of web images; `url<TAB>caption`, 12.4M lines, one split.

`<PERSON>` stays in the text: it is upstream's word for a name, in a quarter of the captions. The licence is as for
`conceptual_captions`.
"""

from __future__ import annotations

from typing import Final

from pmd.sources.two_columns import TwoColumns


def _split(path: str) -> str:
    return "train"


SOURCE: Final = TwoColumns(
    name="conceptual_12m", columns=("image_url", "caption"), rival="conceptual_captions", split_of=_split
)
