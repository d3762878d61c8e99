"""How pictures are brought to a size: img2dataset's modes, by its names (`resizer.py`, 1.47)."""

from __future__ import annotations

from typing import Final, Literal

#: What a size is brought to: `keep_ratio` the short side, `keep_ratio_largest` the long one; `center_crop` cuts a square out of
#: the first's middle, `border` puts white around the second; `no` leaves sizes alone.
Mode = Literal["keep_ratio", "keep_ratio_largest", "center_crop", "border", "no"]

#: Those that bring the short side to a size; the others the long one.
BY_SHORT_SIDE: Final[frozenset[Mode]] = frozenset({"keep_ratio", "center_crop"})

#: Those whose pictures have another shape than they were made of, which nothing can tell from them.
SQUARE: Final[frozenset[Mode]] = frozenset({"center_crop", "border"})
