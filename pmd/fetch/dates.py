"""Dates as HTTP has them (RFC 9110 §5.6.7), in whatever language this machine speaks.

A recipient must accept three forms. `strptime` would read the names of days and months by the machine's locale, and the standard
library's readers of mail's dates take years of two digits otherwise than HTTP does.
"""

from __future__ import annotations

import datetime
import re
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS: Final = tuple(
    re.compile(form, re.ASCII | re.IGNORECASE)
    for form in (
        # IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT
        rf"[a-z]{{3}}, (?P<day>[0-9]{{1,2}}) (?P<month>[a-z]{{3}}) (?P<year>[0-9]{{4}}) {_TIME} (?:GMT|UTC)",
        # RFC 850: Sunday, 06-Nov-94 08:49:37 GMT; some write the year in full
        rf"[a-z]{{3,9}}, (?P<day>[0-9]{{1,2}})-(?P<month>[a-z]{{3}})-(?P<year>[0-9]{{2}}|[0-9]{{4}}) {_TIME} (?:GMT|UTC)",
        # asctime: Sun Nov  6 08:49:37 1994
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse(value: str, now: datetime.datetime) -> datetime.datetime | None:
    """Return the time that an HTTP date names, or None where it is none.

    Args:
        value: Of a header.
        now: The time: a year of two digits that would lie more than 50 years ahead is of the century before.
    """
    match = next(filter(None, (form.fullmatch(value.strip()) for form in _FORMS)), None)
    if match is None or match["month"].lower() not in _MONTHS:
        return None
    year, month, day = int(match["year"]), _MONTHS.index(match["month"].lower()) + 1, int(match["day"])
    hour, minute = int(match["hour"]), int(match["minute"])
    second = min(59, int(match["second"])) if match["second"] == "60" else int(match["second"])  # a leap second
    try:
        if len(match["year"]) == 4:
            return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
        return _of_two_digits(now, year, month, day, hour, minute, second)
    except ValueError:
        return None


def _of_two_digits(now: datetime.datetime, year: int, *rest: int) -> datetime.datetime:
    """Return the latest date with these digits that is not more than 50 years ahead.

    Raises:
        ValueError: There is no such day.
    """
    year += (now.year + 50) // 100 * 100
    while (year, *rest) > (now.year + 50, now.month, now.day, now.hour, now.minute, now.second):
        year -= 100
    month, day, hour, minute, second = rest
    return datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
