"""What else a pair has that is counted by value: the year of its photograph, and the country's domain that its host has.

A host's country-code domain says where a site is registered, or whom it speaks to, and often neither: `SOLD_ABROAD` are those
that mostly stand for something else, which are no countries here.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pmd.audit import fields

#: The first photograph that is left is of 1826 or 1827; what is dated before is a camera's unset clock.
FIRST_YEAR: Final = 1826

#: Country-code domains that are sold to anyone for what their letters mean (tv, io, co, me, ai, fm, ly, gg, to), or were given
#: away (tk, ml, ga, cf, gq); "eu" is of a union and "su" of no state.
SOLD_ABROAD: Final = frozenset(
    re.findall(
        "[a-z]{2}",
        "ac ad ag ai am as bz cc cd cf cm co cx dj eu fm ga gd gg gl gq gs hm im io la lc ly me ml mn ms mu nf nu pn "
        "pw sc sh so sr st su sx tf tk tl to tv vc vg vu ws",
    )
)
#: Countries, each with a domain in its own script: what stands behind "xn--" (IANA's root zone).
_IN_OWN_SCRIPT: Final = """
    AE mgbaam7a8h AM y9a3aq BD 54b7fta0cc BG 90ae BY 90ais CN fiqs8s CN fiqz9s DZ lgbbat1ad8j EG wgbh1c GE node GR
    qxam HK j6w193g IN fpcrj9c3d IN h2brj9c IN 45brj9c IN s9brj9c IN gecrj9c IN xkc2dl3a5ee0h IN mgbbh1a71e IQ mgbtx2b
    IR mgba3a4f16a JO mgbayh7gpa KR 3e0b707e KZ 80ao21a LK fzc2c9e2c LK xkc2al3hye2a MA mgbc0a9azcg MK d1alf MN l1acc
    MO mix891f MR mgbah1a3hjkrd MY mgbx4cd0ab OM mgb9awbf PK mgbai9azgqp6j PS ygbi2ammx QA wgbl6a RS 90a3ac RU p1ai SA
    mgberp4a5d4ar SD mgbpl2fh SG yfro4i67o SG clchc0ea0b2g2a9gcd SY ogbpf8fl TH o3cw4h TN pgbs0dh TW kprw13d TW
    kpry57d UA j1amh YE mgb2ddes
"""
#: Domains whose letters are not those of ISO 3166.
_OTHER_LETTERS: Final[Mapping[str, str]] = {
    "uk": "GB",
    **{f"xn--{name}": code for code, name in re.findall(r"([A-Z]{2})\s+(\S+)", _IN_OWN_SCRIPT)},
}

_DAY_S: Final = 86_400
_SECONDS: Final = re.compile(r"([0-9]{1,11})(?:\.[0-9]*)?")
_DAY: Final = re.compile(r"([0-9]{4})-[0-9]{2}-[0-9]{2}")


def suffix(host: str) -> str:
    """Return the ISO 3166 code of a host's country-code domain; "" where it has none, or one of `SOLD_ABROAD`.

    A domain in another script is given as ASCII; alone it is no host's.
    """
    _, dot, last = host.rpartition(".")
    if last in _OTHER_LETTERS and (dot or len(last) == 2):
        return _OTHER_LETTERS[last]
    if len(last) != 2 or not last.isascii() or not last.isalpha() or last in SOLD_ABROAD:
        return ""
    return last.upper()


def years(dates: pa.Array, last_year: int) -> pa.DictionaryArray:
    """Return `year` of each date; dates are given as JSON spells them, null for none."""
    # Of many dates few days: each is looked at once.
    begins = pc.fill_null(pc.utf8_slice_codeunits(dates, 0, 11), "").dictionary_encode()
    of_begin = pc.match_substring_regex(begins.dictionary, r'^"[0-9]{4}-[0-9]{2}-[0-9]{2}$')
    is_day = of_begin.to_numpy(zero_copy_only=False)[begins.indices.to_numpy()]
    others = ~is_day & dates.is_valid().to_numpy(zero_copy_only=False)
    is_number = others.copy()
    if others.any():
        rest = dates.filter(pa.array(others))
        is_number[others] = pc.match_substring_regex(rest, r'^("[0-9]{1,11}"|[0-9]{1,11})$')
    others &= ~is_number
    days = (fields.numbers(dates, is_number) // _DAY_S).astype("datetime64[D]")
    since, of_days = np.unique(days.astype("datetime64[Y]").astype(np.int64) + 1970, return_inverse=True)
    begun = begins.indices.filter(pa.array(is_day)).unique()
    year_of = np.zeros(len(begins.dictionary), np.int64)
    year_of[begun.to_numpy()] = pc.utf8_slice_codeunits(begins.dictionary.take(begun), 1, 5).cast(pa.int64())
    from_day, of_begun = np.unique(year_of[begins.indices.to_numpy()[is_day]], return_inverse=True)
    told = [""]
    codes = np.zeros(len(dates), dtype=np.int32)
    for some, values, places in (
        (is_number, [_plausible_year(one, last_year) for one in since.tolist()], of_days),
        (is_day, [_plausible_year(one, last_year) for one in from_day.tolist()], of_begun),
        (others, [year(fields.value(one), last_year) for one in dates.filter(pa.array(others)).to_pylist()], ...),
    ):
        codes[some] = np.arange(len(told), len(told) + len(values), dtype=np.int32)[places]
        told += values
    known = pa.array(told, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(known.indices.take(pa.array(codes)), known.dictionary)


def suffixes(hosts: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return `suffix` of each host, looked at once a host."""
    ends = r"(?P<last>(?:^|\.)[A-Za-z]{2}|\.xn--[a-z0-9]+)$"
    last = pc.struct_field(pc.extract_regex(hosts.dictionary, ends), "last")
    encoded = pc.fill_null(last, "").dictionary_encode()
    found = pa.array([suffix(one) for one in encoded.dictionary.to_pylist()], pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(found.indices.take(encoded.indices).take(hosts.indices), found.dictionary)


def year(date: Any, last_year: int) -> str:
    """Return the year of a date; "" where it has none, or none in which a photograph can be of its source.

    Args:
        date: "2011-05-03 10:20:30.0", or seconds since 1970, as a number or in digits, with a fraction where pandas
            has written them.
        last_year: The year in which the source was gathered: no photograph of it is younger.
    """
    found = _year_of_day(date[:10]) if isinstance(date, str) else None
    if found is None:
        text = str(date if date is not None else "").strip()
        found = _year_of_day(text[:10])
        if found is None and (seconds := _SECONDS.fullmatch(text)):
            found = _year_since_1970(int(seconds[1]) // _DAY_S)
    return _plausible_year(found, last_year)


def _plausible_year(found: int | None, last_year: int) -> str:
    return str(found) if found is not None and FIRST_YEAR <= found <= last_year else ""


@functools.lru_cache(maxsize=2**16)  # a hundred years have some 36,000
def _year_of_day(text: str) -> int | None:
    match = _DAY.match(text)
    return int(match[1]) if match else None


@functools.lru_cache(maxsize=2**16)
def _year_since_1970(days: int) -> int:
    return datetime.datetime.fromtimestamp(days * _DAY_S, datetime.UTC).year
