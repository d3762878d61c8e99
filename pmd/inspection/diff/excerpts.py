"""Two texts side by side, in little room: what stands around the first place at which they differ."""

from __future__ import annotations

from typing import Final

#: Characters of a text that are shown.
SHOWN: Final = 160
#: Characters before the difference, so that it is seen where it stands.
_BEFORE: Final = 40
_CUT: Final = "…"


def around(one: str, other: str, shown: int = SHOWN) -> tuple[str, str]:
    """Return both texts, each cut to `shown` characters, the first difference among them; equal ones from their start."""
    ends = (place for place, (mine, theirs) in enumerate(zip(one, other, strict=False)) if mine != theirs)
    start = next(ends, min(len(one), len(other))) if one != other else 0
    first = max(0, start - _BEFORE) if max(len(one), len(other)) > shown else 0
    first = min(first, max(len(one), len(other)) - shown + 1) if first else 0
    return _window(one, first, shown), _window(other, first, shown)


def cut(text: str, shown: int = SHOWN) -> str:
    """Return the beginning of a text."""
    return _window(text, 0, shown)


def _window(text: str, first: int, shown: int) -> str:
    """Return `shown` characters of a text from one on, with a mark where something is left out."""
    start = _CUT if first else ""
    rest = text[first:]
    return start + (rest if len(start) + len(rest) <= shown else rest[: shown - len(start) - 1] + _CUT)
