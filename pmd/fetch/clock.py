"""The clock of a fetch: given to what needs one, so that tests have their own."""

from __future__ import annotations

import datetime
from collections.abc import Callable

#: Tells the time, with its zone.
Clock = Callable[[], datetime.datetime]


def utc_now() -> datetime.datetime:
    """Return the time; the default clock."""
    return datetime.datetime.now(datetime.UTC)
