"""What users know of images or pairs and give to a build: scores that filter, and attributes that the audit counts.

Both are Parquet files with an id and columns. Ids are drawn of those that ROOT has, as users have them: from its tables.
"""

from __future__ import annotations

import dataclasses
import io
import operator
import random
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

_SHARES: Final = (0.5, 0.9, 1.0)
_KINDS: Final = ("indoors", "outdoors", "both", None)
#: Condition → what it says of a score.
_HOLDS: Final = {"<": operator.lt, ">=": operator.ge}


@dataclasses.dataclass(frozen=True)
class Scores:
    """A filter by scores.

    Attributes:
        column: By which ids: `image_id` or `pair_id`.
        rows: (id, score), ids in hex; one may stand there twice, and a score may be none.
        sign: Of the condition under which pairs stay.
        least: Its number.
        missing: What becomes of pairs without a score.
        is_hex: The file has ids in hex.
    """

    column: str
    rows: tuple[tuple[str, float | None], ...]
    sign: str
    least: float
    missing: Literal["keep", "reject"]
    is_hex: bool

    @property
    def keep(self) -> str:
        """The condition, as the configuration has it."""
        return f"score {self.sign} {self.least}"

    def content(self) -> bytes:
        """Return the file."""
        return _parquet(self.column, [key for key, _ in self.rows], {"score": [of for _, of in self.rows]}, self.is_hex)

    def wrong(self, listed: Mapping[str, str]) -> list[str]:
        """Return the pairs that should not be listed.

        Args:
            listed: pair → image, of what is listed. An image's score may also stand under another that stands for it, so of
                images without a score of their own nothing is said.
        """
        failing = {key for key, of in self.rows if of is not None and not _HOLDS[self.sign](of, self.least)}
        scored = {key for key, of in self.rows if of is not None}
        is_needed = self.missing == "reject" and self.column == "pair_id"
        ids = {pair: pair if self.column == "pair_id" else image for pair, image in listed.items()}
        return sorted(pair for pair, key in ids.items() if key in failing or (is_needed and key not in scored))


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Attributes for the audit: a word and a number for each of some ids.

    Attributes:
        column: By which ids: `image_id` or `pair_id`.
        rows: (id, word, number), ids in hex, each once.
        is_hex: The file has ids in hex.
    """

    column: str
    rows: tuple[tuple[str, str | None, float], ...]
    is_hex: bool

    def content(self) -> bytes:
        """Return the file; its columns have the names of what they are joined by, as no two files may have one of a name."""
        words, numbers = ([row[place] for row in self.rows] for place in (1, 2))
        told = {f"place by {self.column}": words, f"likeness by {self.column}": numbers}
        return _parquet(self.column, [key for key, _, _ in self.rows], told, self.is_hex)


def scores(pairs: Mapping[str, str], chance: random.Random) -> Scores:
    """Draw scores of some of a ROOT's pairs or images."""
    column, ids = _ids(pairs, chance)
    rows = [(key, None if chance.random() < 0.05 else round(chance.random(), 2)) for key in ids]
    rows += [(chance.choice(ids), round(chance.random(), 2))]
    missing: Literal["keep", "reject"] = "reject" if chance.random() < 0.4 else "keep"
    sign, least = chance.choice((("<", 0.9), (">=", 0.2), ("<", 0.4)))
    return Scores(column, tuple(rows), sign, least, missing, chance.random() < 0.5)


def attributes(pairs: Mapping[str, str], chance: random.Random) -> tuple[Attributes, ...]:
    """Draw attributes of some of a ROOT's pairs, or images, or both."""
    drawn = [
        Attributes(
            column,
            tuple((key, chance.choice(_KINDS), round(chance.random(), 3)) for key in ids),
            chance.random() < 0.5,
        )
        for column, ids in (_ids(pairs, chance), _ids(pairs, chance))
    ]
    return tuple({one.column: one for one in drawn}.values())


def _ids(pairs: Mapping[str, str], chance: random.Random) -> tuple[str, list[str]]:
    column = chance.choice(("pair_id", "image_id"))
    there = sorted({*pairs} if column == "pair_id" else {*pairs.values()})
    return column, chance.sample(there, max(1, round(len(there) * chance.choice(_SHARES))))


def _parquet(column: str, ids: Sequence[str], columns: Mapping[str, Sequence[object]], is_hex: bool) -> bytes:
    keys = pa.array(ids if is_hex else [bytes.fromhex(key) for key in ids])
    target = io.BytesIO()
    pq.write_table(pa.table({column: keys, **columns}), target)
    return target.getvalue()
