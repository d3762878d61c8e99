"""What is said about an image: the status of an answer, the evidence kept, and how several attempts become one outcome.

Pure: no network, no clock. Statuses are those of `pmd.schema.statuses`.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Final

import orjson
import pyarrow as pa

from pmd.fetch import dates
from pmd.schema.statuses import OK
from pmd.schema.tables import ATTEMPTS

#: Response headers kept with an attempt: what was served, how fresh, and what the host asks of us.
EVIDENCE_HEADERS: Final = (
    "content-type",
    "content-length",
    "content-encoding",
    "last-modified",
    "etag",
    "x-robots-tag",
    "x-archive-orig-x-robots-tag",
    "content-signal",
    "content-usage",
    "x-archive-orig-content-signal",
    "x-archive-orig-content-usage",
    "tdm-reservation",
    "tdm-policy",
    "x-archive-orig-tdm-reservation",
    "x-archive-orig-tdm-policy",
    "retry-after",
    "location",
)

#: Characters kept of a header, an error or a policy's evidence: a host may send a megabyte of them with every answer, and a
#: shard's attempts are held until all of it is done. URLs are not cut.
EVIDENCE_LENGTH: Final = 500

#: Which status stands for an image none of whose locations has it, first found first: what must not be kept; what its
#: owner said; what may end otherwise another day (`TRANSIENT`, so that a retry finds it); what was got but is no use; and
#: then what was not got.
MOST_INFORMATIVE: Final = (
    "blocked_content",
    "opted_out",
    "rate_limited",
    "timeout",
    "server_error",
    "connection",
    "tls",
    "dns",
    "changed",
    "bomb",
    "too_large",
    "too_small",
    "too_narrow",
    "undecodable",
    "placeholder",
    "not_an_image",
    "blocked_address",
    "forbidden",
    "too_many_redirects",
    "dead",
    "no_location",
)

#: Statuses for which the same URL is asked again within a run, up to `FetchOptions.retries` times.
RETRIED: Final = frozenset({"rate_limited", "server_error", "connection", "timeout"})

#: Host and path of pictures that say "removed", and where that is known from.
PLACEHOLDERS: Final = (
    # RedCaps (arXiv 2111.11431) §A: "Imgur … removed.png"; asked for directly, or the target of a redirect.
    (re.compile(r"(?:i\.)?imgur\.(?:com|io)/removed\.(?:png|jpg)"), "Imgur's picture for removed images"),
    # Where Flickr sends those who ask for a deleted or private photo.
    (
        re.compile(r"(?:[^/]*\.)?(?:flickr|staticflickr|yimg)\.com/.*photo_(?:unavailable|not_found)[^/]*"),
        "Flickr's picture for lost photos",
    ),
    # Where Tumblr sends those who ask for a picture that it has taken down: kept by several projects.
    (
        re.compile(r"assets\.tumblr\.com/images/media_violation/[^/]+"),
        "Tumblr's picture for what its guidelines forbid",
    ),
)

#: Any of them.
_PLACEHOLDER: Final = re.compile("|".join(pattern.pattern for pattern, _ in PLACEHOLDERS))

#: Widths that Wikimedia makes thumbnails of (mediawiki.org, "Common thumbnail sizes", 2026).
_WIDTHS_PX: Final = (20, 40, 60, 120, 250, 330, 500, 960, 1280, 1920, 3840)


def _of_width_made(thumbnail: re.Match[str]) -> str:
    """Return a thumbnail of the next width that is made, which pages are given too (phabricator.wikimedia.org, T388792)."""
    wanted = int(thumbnail[2])
    return f"{thumbnail[1]}{next((width for width in _WIDTHS_PX if width >= wanted), _WIDTHS_PX[-1])}{thumbnail[3]}"


#: Where hosts have a picture today whose older address they refuse: host and path, the answer, and host and path of today. The
#: first that fits counts.
MOVED: Final[tuple[tuple[re.Pattern[str], int, str | Callable[[re.Match[str]], str]], ...]] = (
    # Flickr's first hosts were reported to answer so to all (2025); its documentation has the same paths on this one.
    (re.compile(r"(?:farm[0-9]+\.)?static\.flickr\.com(/.+)"), 403, r"live.staticflickr.com\1"),
    # Thumbnails are made of eleven widths alone (phabricator.wikimedia.org, T414805).
    (
        re.compile(
            r"(?:upload|thumb)\.wikimedia\.org(/[^/]+/[^/]+)/thumb"
            r"(/(?:archive/)?[0-9a-f]/[0-9a-f]{2}/[^/]+\.(?i:jpe?g|png|gif|webp))/[^/]+"
        ),
        400,
        r"upload.wikimedia.org\1\2",
    ),
    # The file of a drawing (SVG), a document or a film is no picture that is read.
    (
        re.compile(
            r"((?:upload|thumb)\.wikimedia\.org/[^/]+/[^/]+/thumb/(?:archive/)?[0-9a-f]/[0-9a-f]{2}/[^/]+/(?:[^/]+?-)??)"
            r"([0-9]{1,6})(px-[^/]+)"
        ),
        400,
        _of_width_made,
    ),
)

#: Pictures that hosts answer with, as 200, in the place of the one that was asked for: SHA-256 of the bytes → status and what it
#: is. Each digest is kept by several projects; that for countries is seen since 30 September 2025, when Imgur left the United
#: Kingdom.
SUBSTITUTES: Final = {
    bytes.fromhex("9b5936f4006146e4e1e9025b474c02863c0b5614132ad40db4b925a10e8bfbb9"): (
        "placeholder",
        "Imgur's picture for removed images",
    ),
    bytes.fromhex("35a0932c61e09a8c1cad9eec75b67a03602056463ed210310d2a09cf0b002ed5"): (
        "placeholder",
        "Reddit's picture for deleted images",
    ),
    bytes.fromhex("faa24ec881e6040655c187a681d6dc496eb8aa41e1bd0652a180b3a40b457187"): (
        "forbidden",
        "Imgur's picture for countries in which it shows none: fetch from another country, with --retry forbidden",
    ),
}

#: Directives of X-Robots-Tag that keep an image out: indexing of the page or of its images, and training on them. Those
#: of img2dataset's default, with `none`, which means noindex and nofollow (Google's robots meta tag specification), and
#: `noml`, which says the same of machine learning.
DENYING_TAGS: Final = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
#: Those of them that speak of use, and so hold for a whole host where they stand in an answer without a picture. The others mean
#: that answer alone: many hosts have their page for what is missing kept out of search engines.
USE_TAGS: Final = frozenset({"noai", "noimageai", "noml"})

#: Statuses after which a web archive may be asked for its copy: the picture is gone from its place, and nobody has said no.
GONE: Final = frozenset(
    {
        "dead", "server_error", "dns", "tls", "connection", "timeout", "too_many_redirects", "not_an_image", "undecodable",
        "placeholder", "changed",
    }
)  # fmt: skip

#: The builtin, where a field of that name stands before.
_Bytes = bytes

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FORBIDDEN: Final = frozenset({401, 402, 403, 407, 451})
#: That the host is asked too much, by whoever it may be. The registry has 429 and 503. The others are in use without it: 420 and
#: 430 (Twitter, Shopify) mean 429; 509 and 529 (cPanel, Qualys) that a site has served all that it may; 999 (Yahoo, LinkedIn)
#: that programs are not served for now.
_RATE_LIMITED: Final = frozenset({420, 429, 430, 503, 509, 529, 999})
#: 2xx that never come with a body (RFC 9110 §15.3.5, §15.3.6).
_WITHOUT_BODY: Final = frozenset({204, 205})
#: Which bytes of how many an answer has (RFC 9110 §14.4).
_CONTENT_RANGE: Final = re.compile(r"bytes +0*([0-9]{1,18}) *- *([0-9]{1,18}) */ *([0-9]{1,18}|\*)", re.IGNORECASE)
#: Amazon's firewall answers with 202 and 405 to those whom it wants to prove that they are people, and names it in this header
#: (AWS WAF Developer Guide, "CAPTCHA and Challenge").
_WALL: Final = "x-amzn-waf-action"
#: Directives that have a value behind a colon, which ends no agent's name.
_WITH_VALUE: Final = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


# Neither this nor `Fetched` is frozen, though nothing changes them: with so many fields, that would take five times as long.
@dataclasses.dataclass(slots=True)
class Attempt:
    """One try at one location; a row of `ATTEMPTS`."""

    image_id: bytes
    location: str
    generation: int
    when: datetime.datetime
    status: str
    http_status: int | None = None
    final_url: str | None = None
    headers: str | None = None
    policy: str | None = None
    policy_evidence: str | None = None
    error: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """See to it that what hosts say can be written down."""
        said = (self.final_url, self.headers, self.policy, self.policy_evidence, self.error)
        for name, value in zip(_SAID, said, strict=True):
            if value is not None and not value.isascii():
                setattr(self, name, storable(value))


#: Strings of an attempt that hosts have a say in.
_SAID: Final = ("final_url", "headers", "policy", "policy_evidence", "error")


def storable(text: str) -> str:
    r"""Return a text that UTF-8, and so Arrow and JSON, can hold: what stands for octets that are none of it, as `\xe4`."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return _SURROGATE.sub(lambda match: _escaped(ord(match.group())), text)


_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _escaped(code: int) -> str:
    # PEP 383: an octet that is no UTF-8 stands as U+DC80 and following.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


@dataclasses.dataclass(slots=True)
class Fetched:
    """An image settled: a row of `LEDGER` but for its place in the store, the bytes to be stored, and its attempts."""

    image_id: bytes
    status: str
    location: str | None
    tried: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    bytes: int | None = None
    sha256: _Bytes | None = None
    width_px: int | None = None
    height_px: int | None = None
    format: str | None = None
    perceptual_hash: _Bytes | None = None
    hashed_form: str | None = None
    frames: int | None = None
    stored: _Bytes | None = None
    stored_form: str | None = None
    stored_format: str | None = None
    stored_width_px: int | None = None
    stored_height_px: int | None = None
    listed: str | None = None


def refused(row: Mapping[str, Any], attempt: Attempt) -> Fetched:
    """Return the outcome of an image whose stored picture an attempt has found to be none.

    Args:
        row: Of the ledger, as it stood.
        attempt: Says what it is, and why.
    """
    return Fetched(row["image_id"], attempt.status, row["location"], tuple(row["tried"] or ()), (attempt,))


def attempts_table(attempts: Iterable[Attempt]) -> pa.Table:
    """Return attempts as a table, by image and in the order in which each image's were made."""
    rows = sorted(attempts, key=lambda attempt: (attempt.image_id, attempt.when))
    columns = {name: [getattr(row, name) for row in rows] for name in ATTEMPTS.names}
    return pa.Table.from_pydict(columns, schema=ATTEMPTS)


def is_redirect(http_status: int) -> bool:
    """Return whether an answer sends us elsewhere."""
    return http_status in _REDIRECTS


def status_of_http(http_status: int) -> str:
    """Return the status that an HTTP answer without a redirect means; ok is that there is a body to look at."""
    if 200 <= http_status < 300:
        return "not_an_image" if http_status in _WITHOUT_BODY else OK
    if http_status in _RATE_LIMITED:
        return "rate_limited"
    if http_status in _FORBIDDEN:
        return "forbidden"
    if http_status == 408:
        return "timeout"
    if 400 <= http_status < 500:
        return "dead"
    return "server_error"  # 304 was not asked for, and 1xx is no answer


def status_of(http_status: int, headers: Mapping[str, Sequence[str]]) -> str:
    """Return what `status_of_http` does of a status, and what headers say beside it.

    A refusal that says when to come again is one for now, and half a body is none. Whoever is to prove that they are people is
    refused.

    Args:
        http_status: Of an answer without a redirect.
        headers: By their names in small letters, each with its values.
    """
    status = status_of_http(http_status)
    if _WALL in headers:
        return "forbidden"
    if status == "forbidden" and "retry-after" in headers:
        return "rate_limited"
    if http_status == 206 and not _is_whole(headers.get("content-range", ())):
        return "server_error"
    return status


def _is_whole(ranges: Sequence[str]) -> bool:
    """Return whether the part that an answer has is all that there is, as far as it says; nobody has asked for a part.

    A range that ends behind its own total says nothing (RFC 9110 §14.4): some servers are one off.
    """
    found = [_CONTENT_RANGE.fullmatch(value.strip()) for value in ranges]
    return all(
        part is None or (int(part[1]) == 0 and (part[3] == "*" or int(part[3]) <= int(part[2]) + 1)) for part in found
    )


def without_picture(http_status: int) -> str:
    """Return the status of an answer that has a body, and no picture in it.

    Whoever says 202 may have one later, and whoever says 206 or 201 has not said that this is it (RFC 9110 §15.3).
    """
    return "not_an_image" if http_status in {200, 203} else "server_error"


def of_cut(http_status: int, *, has_end: bool) -> str:
    """Return the status of an answer whose picture is cut.

    Where only the end of its connection was the end of the answer, nobody has said that this is all of it.

    Args:
        http_status: Of the answer.
        has_end: Whether it said where it ends.
    """
    without = without_picture(http_status)
    if without != "not_an_image":
        return without
    return "undecodable" if has_end else "connection"


def most_informative(statuses: Iterable[str]) -> str:
    """Return the status of an image from those of its attempts: ok if any is, else the first of `MOST_INFORMATIVE`."""
    distinct = set(statuses)
    if OK in distinct:
        return OK
    return next((status for status in MOST_INFORMATIVE if status in distinct), "no_location")


def placeholder_of(host: str, path: str) -> str | None:
    """Return what is known of a URL that shows a placeholder, whatever its query, or None."""
    address = host.lower() + path.partition("?")[0]
    if _PLACEHOLDER.fullmatch(address) is None:
        return None
    return next(source for pattern, source in PLACEHOLDERS if pattern.fullmatch(address))


def moved(host: str, path: str, http_status: int | None) -> str | None:
    """Return host and path of where a picture is today whose host has answered so for its older address, or None."""
    for pattern, status, today in MOVED:
        if status == http_status and (found := pattern.fullmatch(host + path)):
            place = found.expand(today) if isinstance(today, str) else today(found)
            return place if place != host + path else None
    return None


def conforming(path: str) -> str:
    """Return a path, with its query, in which what RFC 3986 allows nowhere is escaped.

    Browsers leave some of it as it is, and most servers take it. Tomcat answers 400 (its "relaxedPathChars").
    """
    return _NOWHERE_ALLOWED.sub(lambda found: f"%{ord(found.group()):02X}", path)


_NOWHERE_ALLOWED: Final = re.compile(r"[\[\]\\^`{|}]")


def tags_of(http_status: int) -> Set[str]:
    """Return the directives of X-Robots-Tag that count in an answer of a status.

    A redirect says no as a picture does: it is what the address has that upstream names, wherever it leads.
    """
    return DENYING_TAGS if is_redirect(http_status) or status_of_http(http_status) == OK else USE_TAGS


def denying_tag(values: Sequence[str], agent: str, directives: Set[str]) -> str | None:
    """Return the header line of X-Robots-Tag that forbids our use, or None.

    Args:
        values: The header's values, one a header line: "noindex, nofollow" or "otherbot: noindex".
        agent: Our product token; lines for other agents are not ours. One that is longer than servers send and forbids
            anything to anybody is taken for ours.
        directives: Those that count (`tags_of`).
    """
    for value in values:
        if not _DENYING.search(value):
            continue
        if len(value) > TAG_LENGTH:
            return value
        for_us = True
        for part in value.split(","):
            name, colon, rest = (piece.strip(_BLANK_OR_QUOTE).lower() for piece in part.partition(":"))
            words = _WORD_END.split(part.lower())
            if colon and name in _WITH_VALUE:
                words = _WORD_END.split(rest)[1:]  # "max-image-preview: none" is no "none"
            elif colon and not _DATE.match(name):
                for_us = name in {agent.lower(), "*"}
                words = _WORD_END.split(rest)
            if for_us and not directives.isdisjoint(words):
                return value
    return None


#: The rest of a date, which has a comma: "unavailable_after: Mon, 25 Jun 2010 15:00:00 PST". Its colon ends no agent's name.
_DATE: Final = re.compile("[0-9]{1,2}[ -][a-z]{3}[ -]")
#: Characters of an X-Robots-Tag that is read to its end. Ours: what Apache sends in one line, by default.
TAG_LENGTH: Final = 8190
#: What stands between two directives where somebody has left the comma out, or has quoted them: a no is a no.
_WORD_END: Final = re.compile(r"[\s;\"']+")
_BLANK_OR_QUOTE: Final = " \t\r\n\"'"
_DENYING: Final = re.compile(rf"\b(?:{'|'.join(sorted(DENYING_TAGS))})\b", re.IGNORECASE)


def evidence(headers: Mapping[str, Sequence[str]]) -> str | None:
    """Return the headers kept as evidence as a JSON object, or None where there are none.

    Repeated ones are joined, long ones cut (`EVIDENCE_LENGTH`), and octets that are no UTF-8 escaped (`storable`).

    Args:
        headers: By their names in small letters, each with its values.
    """
    kept = {name: _cut(headers[name]) for name in EVIDENCE_HEADERS if name in headers}
    return orjson.dumps(kept).decode() if kept else None


def _cut(values: Sequence[str]) -> str:
    text = values[0] if len(values) == 1 else ", ".join(values)
    if len(text) <= EVIDENCE_LENGTH and text.isascii():
        return text
    return storable(text[:EVIDENCE_LENGTH])[:EVIDENCE_LENGTH]


#: The longest wait that a host is taken at its word for: runs are shorter, and what is behind it is no wish for patience.
RETRY_AFTER_MOST_S: Final = 30 * 86_400.0
#: Whole seconds, by the book. Shopify and others write 2.0.
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def retry_after_s(value: str | None, now: datetime.datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110 §10.2.3: seconds or a date), or None for neither.

    Seconds may have a fraction. Never less than 0, nor more than `RETRY_AFTER_MOST_S`.
    """
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value) is not None:
        return min(RETRY_AFTER_MOST_S, float(value))
    until = dates.parse(value, now)
    return None if until is None else min(RETRY_AFTER_MOST_S, max(0.0, (until - now).total_seconds()))
