"""Under which licences pairs stand: the text's and the image's together, as upstream states them.

    stated    pairs → of each what is stated of its text and of its image
    figures   counts → rows of audit.json, without small cells
    added_up  the rows of several sources → those of all together

A pair is two works. What may be done with it is what both licences allow, so both stand in one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit.statistics import suppression
from pmd.audit.statistics.figures import coverage
from pmd.schema.licences import NOASSERTION

#: What is read of pairs.
COLUMNS: Final = ("text_licence", "image_licence")
#: What licences are counted under (`measure.SourcePartial.traits`).
TRAIT: Final = "licences"

METHOD: Final = (
    "The text's licence and the image's, as upstream states them of each pair, counted together: SPDX expressions, or "
    f"{NOASSERTION} where none is stated. Licences of fewer than 10 pairs are summed up, and a large row that changed by fewer "
    "is given as it was (≈). What is stated is not what is true: nothing here has checked it."
)

#: Stands in no licence: it parts the two.
_TAB: Final = "\t"


class _Row(NamedTuple):
    """How many pairs have two licences, and whether these are as they were at another stage."""

    text: str
    image: str
    pairs: int
    as_before: bool = False

    def of(self, total: int) -> dict[str, Any]:
        """Return it as audit.json has it."""
        said = {
            "text_licence": self.text,
            "image_licence": self.image,
            "pairs": self.pairs,
            "share": self.pairs / total,
        }
        return said | ({"as_before": True} if self.as_before else {})


def stated(texts: pa.Array, images: pa.Array) -> pa.DictionaryArray:
    """Return of each pair both licences with a tab between; of many pairs they are few, so each couple is put together once."""
    both = [pc.fill_null(column, NOASSERTION).dictionary_encode() for column in (texts, images)]
    (text, image), width = both, len(both[1].dictionary)
    couples = pa.array(text.indices.to_numpy().astype("int64") * width + image.indices.to_numpy()).dictionary_encode()
    named = [
        f"{text.dictionary[couple // width]}{_TAB}{image.dictionary[couple % width]}"
        for couple in couples.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(couples.indices, pa.array(named, pa.string()))


def figures(tables: Sequence[Mapping[str, int]], totals: Sequence[int]) -> list[dict[str, Any]]:
    """Return the section of one source's pairs after each stage.

    Args:
        tables: Of each stage, both licences → pairs.
        totals: The source's pairs after each; of any data set's rows these licences are not counted.
    """
    measured = [sum(table.values()) for table in tables]
    told = _told(tables, measured)
    as_before = suppression.as_they_were(told, suppression.order(len(told)))
    found = []
    for numbers, number, total, same in zip(told, measured, totals, as_before, strict=True):
        rows = [_row(both, pairs, as_before=both in same) for both, pairs in numbers.items()]
        if rest := number - sum(numbers.values()):
            rows.append(_Row(suppression.NOT_SHOWN, suppression.NOT_SHOWN, rest))
        found.append(_section(rows, number, total))
    return found


def _row(both: str, pairs: int, *, as_before: bool) -> _Row:
    text, image = both.split(_TAB)
    return _Row(text, image, pairs, as_before)


def _told(tables: Sequence[Mapping[str, int]], totals: Sequence[int]) -> list[dict[str, int]]:
    """Return what is told of each stage. Where a source has the same licences throughout, its pairs say as much as these."""
    if len({both for table in tables for both in table}) == 1:
        return [dict(table) for table in tables]
    return suppression.told(tables, totals, suppression.order(len(tables)))


def added_up(sections: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the section of all sources together after a stage: what each tells, added up, and no more."""
    sections = [*sections]
    found: dict[tuple[str, str], _Row] = {}
    for row in (row for section in sections for row in section["shares"]):
        both = row["text_licence"], row["image_licence"]
        known = found.get(both, _Row(*both, 0))
        found[both] = _Row(*both, known.pairs + row["pairs"], known.as_before or "as_before" in row)
    number, total = (sum(section["coverage"][of] for section in sections) for of in ("measured", "eligible"))
    return _section(found.values(), number, total)


def _section(rows: Iterable[_Row], number: int, total: int) -> dict[str, Any]:
    ranked = sorted(rows, key=lambda row: (row.text == suppression.NOT_SHOWN, -row.pairs, row))
    return {"coverage": coverage(number, total, "pairs"), "method": TRAIT, "shares": [row.of(number) for row in ranked]}
