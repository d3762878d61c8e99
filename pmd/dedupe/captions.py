"""Repeated captions: which texts are one text, and which images of a text that stands on too many leave.

Boilerplate is told by repetition: "uploaded by …", a camera's name, a counter's file name on thousands of photographs.
ALIGN discarded alt texts "shared by more than 10 images" (Jia et al., ICML 2021). Two texts are one where their *forms*
are: in small letters, without accents and punctuation, numbers a placeholder, as CCNet compares paragraphs (Wenzek et al.,
LREC 2020). Two differences, both for the names that cameras give: a number is one 0 however wide the counter, and
punctuation and numbers part words, so that "IMG_1234.JPG" and "img77 jpg" meet.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.text.minhash import mixed

#: A pair and its text, under the image that stands for its own.
STANDS: Final = pa.schema(
    [
        pa.field("text_id", KEY, nullable=False),
        pa.field("stands_id", KEY, nullable=False),
        pa.field("image_id", KEY, nullable=False),
        pa.field("pair_id", KEY, nullable=False),
    ]
)
#: What is counted together. With `is_near`, text_id is that of a group of near-duplicates.
TEXTS: Final = pa.schema([*STANDS, pa.field("is_near", pa.bool_(), nullable=False)])
#: A pair that leaves since its text, or group of texts, stands on too many images, and on how many.
REPEATED: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("pair_id", KEY, nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)

#: What parts words and is no single space (RE2): punctuation with white space around it, several white spaces, another than " ".
#: Nearly all that parts words is one space, and what need not be replaced costs nothing.
_BETWEEN_WORDS: Final = r"\p{Z}*\p{P}[\p{P}\p{Z}]*|\p{Z}{2,}|[^\PZ ]"
#: The same of ASCII.
_BETWEEN_ASCII_WORDS: Final = r" *[!-#%-*,-/:;?@\[-\]_{}][!-#%-*,-/:;?@\[-\]_{} ]*|  +"

#: Why pairs leave: for a text, and for a group of texts.
REPEATED_TEXT: Final = "repeated_text"
NEAR_TEXT: Final = "near_text"

Words = npt.NDArray[np.uint64]


def forms(texts: pa.Array) -> pa.Array:
    """Return the form of each text; texts with one form are one text. Idempotent; "" where all is punctuation."""
    plain = texts.cast(pa.string())
    ascii_only = pc.fill_null(pc.string_is_ascii(plain), fill_value=True)
    # Of nearly all texts all is ASCII, which has no accents: they take a third of the time.
    if pc.all(ascii_only).as_py():
        return _ascii_forms(plain)
    others = pc.invert(ascii_only)
    found = pc.replace_with_mask(plain, ascii_only, _ascii_forms(plain.filter(ascii_only)))
    return pc.replace_with_mask(found, others, _any_forms(plain.filter(others)))


def _any_forms(texts: pa.Array) -> pa.Array:
    plain = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKD"), r"\p{Mn}+", "")
    plain = pc.replace_substring_regex(pc.utf8_lower(plain), r"\p{Nd}+", " 0 ")
    return pc.utf8_trim(pc.replace_substring_regex(plain, _BETWEEN_WORDS, " "), " ")


def _ascii_forms(texts: pa.Array) -> pa.Array:
    plain = pl.Series("text", pl.from_arrow(pc.ascii_lower(texts)), dtype=pl.String).to_frame()
    parted = plain.select(pl.col("text").str.replace_all("[0-9]+", " 0 ").str.replace_all(_BETWEEN_ASCII_WORDS, " "))
    return pc.ascii_trim(parted["text"].to_arrow().cast(pa.string()), " ")


def text_ids(texts: pa.Array) -> pa.Array:
    """Return the key of each text's form."""
    return keys.hashed(forms(texts))


def over(rows: pa.Table, most: int) -> pa.Table:
    """Return the pairs that leave so that no text, and no group of near-duplicate texts, stands on more than `most` images.

    Of a text's images those with the smallest hashes of (text, image) stay, with all their pairs of this text, whatever
    the order of rows; so do a group's.

    Args:
        rows: All `TEXTS` of a partition, in any order.
        most: Images that may have one text, or one of a group.

    Returns:
        `REPEATED`, in order of pair_id.
    """
    rows = rows.combine_chunks()
    if not rows.num_rows:
        return REPEATED.empty_table()
    text, image = _words(rows["text_id"]), _words(rows["stands_id"])
    rank = mixed(text[:, 1] ^ mixed(image[:, 1]))
    order = np.lexsort((image[:, 1], image[:, 0], rank, text[:, 1], text[:, 0]))
    text, image = text[order], image[order]
    new_text = _changes(text)
    number = np.cumsum(new_text | _changes(image))  # of images, over all texts
    starts = np.flatnonzero(new_text)
    place: npt.NDArray[np.int64] = number - np.repeat(number[starts], np.diff(np.r_[starts, len(order)]))
    images = np.maximum.reduceat(place, starts) + 1
    leaves = place >= most
    many = np.repeat(images, np.diff(np.r_[starts, len(order)]))[leaves]
    gone = rows.take(pa.array(order[leaves]))
    is_near = gone["is_near"].to_pylist()
    details = [
        f"{'its text and those nearly the same stand' if near else 'its text stands'} on {count:,} images"
        for near, count in zip(is_near, many.tolist(), strict=True)
    ]
    reasons = [NEAR_TEXT if near else REPEATED_TEXT for near in is_near]
    columns = [gone["image_id"], gone["pair_id"], pa.array(reasons, pa.string()), pa.array(details, pa.string())]
    found = pa.table(columns, names=REPEATED.names).cast(REPEATED)
    return found.take(pc.sort_indices(found, [("pair_id", "ascending")])).combine_chunks()


def _changes(rows: Words) -> npt.NDArray[np.bool_]:
    """Return which rows differ from the one before; the first does."""
    return np.concatenate([[True], np.any(rows[1:] != rows[:-1], axis=1)])


def _words(ids: pa.ChunkedArray) -> Words:
    """Return 16-byte keys as two words each."""
    return keys.raw(ids.combine_chunks()).view("<u8")
