"""A lane is asked to end soon, with what it has: nothing new is begun, what is settled is committed."""

from __future__ import annotations

import contextlib
import datetime
import re
import threading
from collections.abc import Callable, Iterator
from typing import Final

from pmd.errors import ConfigError

#: Seconds that lanes get to commit what they have, of the ten in which a command ends.
END_S: Final = 7.5
#: Seconds before a run is to end at which its lanes are asked to, so that it does; of a short one, half of it.
_BEFORE_S: Final = 10.0

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
#: What is longer is longer than is allowed, and may be longer than Python makes a number of.
_DURATION: Final = re.compile("".join(f"(?:([0-9]{{1,12}}){unit})?" for unit in _UNITS))


class Stop:
    """Whether a lane is to end soon. It may be asked to from any thread, and from a signal's handler.

    Args:
        may_go_on: Whether it may, which it may not any more from some moment on, whether anybody asks it or not.
        may_ask: Whether it may ask hosts just now: where it may not, it waits.
    """

    def __init__(
        self, may_go_on: Callable[[], bool] = lambda: True, may_ask: Callable[[], bool] = lambda: True
    ) -> None:
        self._asked = False
        self._may_go_on, self._may_ask = may_go_on, may_ask
        self._tell: Callable[[], None] | None = None

    @property
    def asked(self) -> bool:
        """Whether it is to end."""
        return self._asked or not self._may_go_on()

    @property
    def pauses(self) -> bool:
        """Whether it is to ask no host just now."""
        return not self._may_ask()

    def ask(self) -> None:
        """Ask to end; a second time does nothing."""
        if not self._asked:
            self._asked = True
            if self._tell is not None:
                self._tell()

    def tell(self, call: Callable[[], None] | None) -> None:
        """Have something called when it is asked, at once where it was already; None: nothing any more."""
        self._tell = call
        if self.asked and call is not None:
            call()


def duration_s(said: str) -> int:
    """Return the seconds of a duration: "6h", "90m", "1d12h".

    Raises:
        ConfigError: It is none, or is nothing.
    """
    found = _DURATION.fullmatch(said.strip())
    parts = [int(part or 0) for part in found.groups()] if found is not None else []
    seconds = sum(part * unit for part, unit in zip(parts, _UNITS.values(), strict=True)) if parts else 0
    if not 0 < seconds <= _UNITS["d"] * 3_650:
        raise ConfigError(
            "no such time", where="--for", expected="days, hours, minutes, seconds: 6h, 90m, 1d12h", found=said
        )
    return seconds


def asked_at(began: datetime.datetime, seconds: int) -> datetime.datetime:
    """Return when the lanes of a run are asked to end, so that it has ended some seconds after it began."""
    return began + datetime.timedelta(seconds=seconds - min(_BEFORE_S, seconds / 2))


@contextlib.contextmanager
def at(stop: Stop, until: datetime.datetime | None, now: datetime.datetime) -> Iterator[None]:
    """Ask a lane to end at a time, while it is open; at once where that has passed; None: never."""
    if until is None:
        yield
        return
    timer = threading.Timer(max(0.0, (until - now).total_seconds()), stop.ask)
    timer.daemon = True
    if until <= now:
        stop.ask()
    else:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
