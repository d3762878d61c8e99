"""How far something is, as one line: a bar on a terminal, fitted to its width, and plain words in a log."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

#: Columns of a bar, at most, and those under which there is none.
_BAR: Final = 24
_SHORTEST: Final = 6
_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclasses.dataclass(frozen=True)
class State:
    """How far something is.

    Attributes:
        unit: What is counted: "images", "rows", "bytes".
        done: How many are.
        total: How many there are; None where nobody knows.
        seconds: Since it began.
        more: What else there is to say, the most important first; what finds no room is left out.
    """

    unit: str
    done: int
    total: int | None
    seconds: float
    more: Sequence[str] = ()

    @property
    def share(self) -> float | None:
        """How much of it is done, 0…1."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes, at the pace so far."""
        if self.total is None or not self.done or not self.seconds:
            return None
        return max(0, self.total - self.done) * self.seconds / self.done


def amount(count: float, unit: str) -> str:
    """Return a count with its unit: "1,204 images", "1.21 GB"."""
    if unit != "bytes":
        return f"{count:,.0f} {unit.removesuffix('s') if count == 1 else unit}"
    for name in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {name}" if name == "B" else f"{count:#.3g} {name}".replace(". ", " ")
        count /= 1000
    return f"{count:,.0f} TB" if count >= 999.5 else f"{count:#.3g} TB".replace(". ", " ")


def duration(seconds: float) -> str:
    """Return a time in its two largest units: "2 h 5 min"."""
    whole = round(seconds)
    parts: list[tuple[int, str]] = []
    for name, size in _SECONDS:
        count, whole = divmod(whole, size)
        if count or parts or size == 1:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count or parts[0][0] == 0) or "0 s"


def _percent(state: State) -> str:
    """Return the share, which is whole only when all is done."""
    share = state.share or 0.0
    return f"{100 if share >= 1 else int(100 * share)} %"


def words(state: State) -> list[str]:
    """Return what there is to say, the most important first."""
    said = []
    if state.total is not None:
        of = amount(state.total, state.unit)
        done = amount(state.done, state.unit) if state.unit == "bytes" else f"{state.done:,}"
        said.append(f"{done}/{of} ({_percent(state)})")
    elif state.done:
        said.append(amount(state.done, state.unit))
    if state.left_s is not None:
        said.append(f"{duration(state.left_s)} left")
    if state.done and state.seconds:
        pace = state.done / state.seconds
        said.append(f"{amount(pace, 'bytes')}/s" if state.unit == "bytes" else f"{pace:,.{0 if pace >= 10 else 1}f}/s")
    return [*said, *state.more]


def line(state: State) -> str:
    """Return it as a line of a log, all of it."""
    return ", ".join(
        [f"{duration(state.seconds)}: {first}" if n == 0 else first for n, first in enumerate(words(state))]
    )


def drawn(state: State, width: int, *, ascii_only: bool = False) -> str:
    """Return it as a line of a terminal, no longer than its width: a bar where the whole is known and there is room for it."""
    parts = words(state)
    wanted = 0 if state.share is None else _SHORTEST + 1
    while len(parts) > 1 and len(", ".join(parts)) + wanted > width:
        parts.pop()
    said = ", ".join(parts)[: max(0, width)]
    room = min(_BAR, width - len(said) - 1)
    if state.share is None or room < _SHORTEST:
        return said
    full, empty = ("#", "-") if ascii_only else ("━", "╌")
    length = round(room * state.share)
    return f"{full * length}{empty * (room - length)} {said}"
