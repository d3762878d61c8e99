"""Domain names: what is above one, and the one that somebody registered, by the public suffix list."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PSLFILE, PublicSuffixList

from pmd.text import urls

#: Characters of a host's name (RFC 1035). A URL may have a longer one, of as many labels.
_LONGEST_NAME: Final = 253
#: Hosts that are asked for one by one: to make the rules ready for a column takes longer.
_FEW_HOSTS: Final = 64
#: The last two labels of a host, and three.
_LAST_TWO: Final = r"([^.]+\.[^.]+)$"
_LAST_THREE: Final = r"([^.]+\.[^.]+\.[^.]+)$"


def above(host: str) -> list[str]:
    """Return a host and all above it, nearest first; of one that is too long for a name, those above it that are none too long.

    >>> above("img.example.com")
    ['img.example.com', 'example.com', 'com']
    """
    near = host
    if len(host) > _LONGEST_NAME:  # from the dot on that stands next to so many
        near = host[-_LONGEST_NAME - 1 :].partition(".")[2]
    labels = near.split(".") if near else []
    names = [".".join(labels[start:]) for start in range(len(labels))]
    return names if near == host else [host, *names]


@functools.lru_cache(maxsize=65_536)
def registrable_domain(host: str) -> str:
    """Return the domain that someone registered ("farm1.static.flickr.com" → "flickr.com"), by the public suffix list.

    The list is the one that the installed publicsuffixlist ships. A host that has no such domain (an IP address, a
    suffix itself) is returned as it is. The dot of the DNS's root ("flickr.com.") is no part of it.
    """
    host = host.rstrip(".") or host
    if host.startswith("[") or host.replace(".", "").isdigit():
        return host
    near = host if len(host) <= _LONGEST_NAME else next(iter(above(host)[1:]), host)
    return _suffixes("xn--" in near.lower()).privatesuffix(near) or host


def is_suffix(host: str) -> bool:
    """Return whether a host is what a registry registers others' names below: "com", "co.uk".

    Whose names a company gives out ("github.io") is a host of that company's.
    """
    return bool(_registries().publicsuffix(host) == host)


def registrable_domains(hosts: pa.Array) -> pa.Array:
    """Return `registrable_domain` of each host, given each once; "" and null stay.

    Nearly all are told by their last two labels, which are looked up as a column. Of the others the library is asked.
    """
    if len(hosts) <= _FEW_HOSTS:
        return pa.array([host and registrable_domain(host) for host in hosts.to_pylist()], pa.string())
    import polars as pl  # late: it takes a tenth of a second, and every command reads this module in

    ends = _ends()
    column = pl.Series("host", pl.from_arrow(hosts), dtype=pl.String).to_frame()
    found = column.select(two=pl.col("host").str.extract(_LAST_TWO), three=pl.col("host").str.extract(_LAST_THREE))
    two, three = (found[name].to_arrow().cast(pa.string()) for name in ("two", "three"))
    three = pc.coalesce(three, two)
    plain = pc.and_(pc.match_substring_regex(hosts, urls.PLAIN_HOST), pc.match_substring(hosts, "."))
    asked = pc.or_(pc.invert(plain), pc.match_substring(hosts, "xn--"))
    for end, some in ((two, ends.wild), (three, ends.longer)):
        asked = pc.or_(asked, pc.is_in(end, value_set=some))
    asked = pc.or_(asked, pc.match_substring_regex(hosts, ends.below_wild))
    domains = pc.if_else(pc.is_in(two, value_set=ends.suffixes), three, two)
    if not pc.any(asked).as_py():
        return domains
    others = [registrable_domain(host) if host else "" for host in hosts.filter(asked).to_pylist()]
    return pc.replace_with_mask(domains, asked, pa.array(others, pa.string()))


class _Ends(NamedTuple):
    """What the rules of the public suffix list end in.

    Attributes:
        below_wild: RE2 of hosts below the star of a rule like "*.ck".
        wild: What follows the star of rules like "*.kawasaki.jp", and the last two labels of exceptions.
        suffixes: Suffixes of two labels.
        longer: The last three labels of rules of more than two.
    """

    below_wild: str
    wild: pa.Array
    suffixes: pa.Array
    longer: pa.Array


@functools.cache
def _ends() -> _Ends:
    wild, suffixes, longer = set(), set(), set()
    for line in Path(PSLFILE).read_text(encoding="utf-8").splitlines():
        rule = line.lower().split(" ")[0].rstrip()
        labels = rule.lstrip("!").split(".")
        if not rule or rule.startswith("//") or len(labels) < 2:
            continue
        if "*" in labels[-3:]:
            wild.add(".".join(labels[-3:]).rpartition("*.")[2])
        elif rule.startswith("!"):
            wild.add(".".join(labels[-2:]))
        elif len(labels) == 2:
            suffixes.add(rule)
        else:
            longer.add(".".join(labels[-3:]))
    top = sorted(re.escape(label) for label in wild if "." not in label)
    columns = (pa.array(sorted(some), pa.string()) for some in (wild, suffixes, longer))
    return _Ends(rf"\.(?:{'|'.join(top)})$", *columns)


@functools.cache
def _registries() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=True)


@functools.cache
def _suffixes(has_punycode: bool) -> PublicSuffixList:
    # To spell all rules in Punycode too takes most of the time, and only a host that is spelled so asks for one.
    return PublicSuffixList(accept_encoded_idn=has_punycode)
