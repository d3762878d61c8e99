"""What takes an answer as it comes: an image's, of which every part is judged before the next is read, and a small file's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.fetch import outcome
from pmd.fetch.http import addresses, codings
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.head import ENDLESS, Head
from pmd.fetch.http.transfers import READ, Then
from pmd.fetch.politeness import signals, slots, tdmrep
from pmd.fetch.politeness.slots import Slot
from pmd.schema.statuses import OK

#: What comes before the name of a header; web archives (Wayback, pywb) tell so what the host itself said then.
_PREFIXES: Final = ("", "x-archive-orig-")

#: Headers that may forbid the use of an answer.
_DENYING: Final = frozenset(
    f"{prefix}{name}".lower() for prefix in _PREFIXES for name in ("x-robots-tag", "tdm-reservation", *signals.NAMES)
)


def denial(head: Head, agent: str, *, tdmrep_counts: bool) -> tuple[str, str] | None:
    """Return by what the head of an answer forbids its use, and its words; None where it does not.

    Args:
        head: Of an answer, or of a redirect on the way to one.
        agent: Our product token.
        tdmrep_counts: Whether TDMRep's header does.
    """
    if _DENYING.isdisjoint(head.headers):
        return None
    said = [tag for prefix in _PREFIXES for tag in head.all(f"{prefix}x-robots-tag")]
    tag = outcome.denying_tag(said, agent, outcome.tags_of(head.http_status))
    if tag is not None:
        return "X-Robots-Tag", f"X-Robots-Tag: {tag}"
    for name, prefix in itertools.product(signals.NAMES, _PREFIXES):
        signal = signals.denying_header(name, head.all(f"{prefix}{name}".lower()))
        if signal is not None:
            return name, signal
    for prefix in _PREFIXES if tdmrep_counts else ():
        reserved = tdmrep.reserving_header(head.all(f"{prefix}tdm-reservation"), head.all(f"{prefix}tdm-policy"))
        if reserved is not None:
            return "TDMRep", reserved
    return None


class ImageBody:
    """Takes the answer to a request for an image, into `answer` and a buffer.

    Args:
        answer: Gets status and evidence.
        slot: Holds what the buffer takes.
        options: Limits.
        agent: Our product token.
        heard: Told of the head.

    Attributes:
        location: Where the answer redirects to, be it followed or not.
    """

    def __init__(
        self, answer: Answer, slot: Slot, options: FetchOptions, agent: str, heard: Callable[[Head], None]
    ) -> None:
        self._answer = answer
        self._slot = slot
        self._options = options
        self._agent = agent
        self._heard = heard
        self._end_with: tuple[str, str] | None = None  # status and evidence
        self.location: str | None = None
        self._pieces: list[bytes] = []
        self._length = 0
        self._room = 0  # bytes that it may hold without asking
        self._said = ""
        self._without = ""  # the status where no picture is in it
        self._codings: list[str] = []
        self._reserved = slots.UNKNOWN_BYTES
        self._judged = False

    def take_head(self, head: Head) -> Then:
        """Take what is said before the body, and say whether the body is wanted."""
        self._answer.http_status = head.http_status or None
        self._answer.headers = outcome.evidence(head.headers)
        self._heard(head)
        if outcome.is_redirect(head.http_status):
            then = self._redirected(head)
            return self._denied(head, Then.DRAIN) or then
        status = outcome.status_of(head.http_status, head.headers)
        if status != OK:
            end = self._end(Then.DRAIN, status, f"HTTP {head.http_status}")
            return self._denied(head, Then.DRAIN) or end
        return self._denied(head, Then.HANG_UP) or self._awaited(head, outcome.without_picture(head.http_status))

    def _redirected(self, head: Head) -> Then:
        location = head.first("location")
        if not location:  # browsers show what came with it
            return self._awaited(head, "too_many_redirects")
        self.location = addresses.location(location)
        return Then.DRAIN

    def _denied(self, head: Head, then: Then) -> Then | None:
        """Return what is to be done where the head says no; else None."""
        no = denial(head, self._agent, tdmrep_counts=self._options.tdmrep)
        return None if no is None else self._opted_out(then, *no)

    def _opted_out(self, then: Then, who: str, evidence: str) -> Then:
        self._answer.policy, self._answer.policy_evidence = f"denied by {who}", evidence
        return self._end(then, "opted_out", evidence)

    def _awaited(self, head: Head, without: str) -> Then:
        length, limit = head.content_length, self._options.max_bytes
        if length == ENDLESS:
            return self._end(Then.HANG_UP, "server_error", "Content-Length of more digits than there are bytes")
        if length is not None and length > limit:
            return self._end(Then.HANG_UP, "too_large", f"Content-Length {length} over {limit}")
        self._said = head.first("content-type") or "no Content-Type"
        self._without = without
        self._answer.of_cut = outcome.of_cut(head.http_status, has_end=head.has_end)
        self._codings = codings.named(head.all("content-encoding"))
        self._judged = bool(self._codings)
        if length is not None and not self._codings:
            self._reserved = length
        return READ

    def take(self, octets: bytes) -> Then | asyncio.Future[None]:
        """Take the next bytes of the body, if there is room for them."""
        length = self._length + len(octets)
        if length > self._room and (then := self._make_room(length)) is not None:
            return then
        self._pieces.append(octets)
        self._length = length
        if not self._judged and length >= codings.HEAD_BYTES:
            self._judged = True
            if codec.sniff(self._beginning(codings.HEAD_BYTES)) is None:
                return self._end(Then.DRAIN, *self._no_picture())
        return READ

    def _make_room(self, length: int) -> Then | asyncio.Future[None] | None:
        """Make room for a body so long; otherwise return what is to be done."""
        limit = self._options.max_bytes
        if length > limit:
            return self._end(Then.HANG_UP, "too_large", f"over {limit} bytes")
        if length > self._reserved:
            self._reserved = limit
        if not self._slot.reserve_now(self._reserved):
            return asyncio.ensure_future(self._slot.reserve(self._reserved))
        self._room = self._reserved
        return None

    def _beginning(self, length: int) -> bytes:
        first = self._pieces[0] if self._pieces else b""
        return (first if len(first) >= length else b"".join(self._pieces))[:length]

    async def complete(self, threads: Executor) -> str | None:
        """Return where the answer redirects to, or None when the image is in `answer`.

        Args:
            threads: For undoing content codings.

        Raises:
            Ended: It is no image that is wanted.
        """
        if self._end_with is not None:
            raise Ended(*self._end_with)
        if self.location is not None:
            return self.location
        if self._codings:
            limit = self._options.max_bytes
            await self._slot.reserve(limit)
            undone = asyncio.get_running_loop().run_in_executor(
                threads, codings.undone, b"".join(self._pieces), self._codings, limit, self._without
            )
            self._answer.content = await undone
        elif not self._judged and codec.sniff(self._beginning(codings.HEAD_BYTES)) is None:
            raise Ended(*self._no_picture())
        else:
            self._answer.content = b"".join(self._pieces)
        return None

    def _no_picture(self) -> tuple[str, str]:
        """Return what is said of an answer without a picture: its status and the evidence."""
        content = self._beginning(16)
        begins = f"{self._said}, begins with {content!r}" if content else f"{self._said}, no body"
        if self._without == "too_many_redirects":
            return self._without, f"a redirect without a target: {begins}"
        return (
            self._without,
            begins if self._without == "not_an_image" else f"HTTP {self._answer.http_status}, {begins}",
        )

    def _end(self, then: Then, status: str, error: str) -> Then:
        self._end_with = (status, error)
        return then


class FileBody:
    """Takes the answer to a request for a small file: robots.txt, tdmrep.json.

    Args:
        answer: Gets the status.
        body: Gets the body.
        limit: Bytes of it that are read.
        heard: Told of the head.
    """

    def __init__(self, answer: Answer, body: bytearray, limit: int, heard: Callable[[Head], None]) -> None:
        self._answer = answer
        self._body = body
        self._limit = limit
        self._heard = heard
        self._end_with: tuple[str, str] | None = None  # status and evidence
        self._location: str | None = None
        #: Content codings that its body has, unasked.
        self.codings: list[str] = []

    def take_head(self, head: Head) -> Then:
        """Take what is said before the body."""
        self._answer.http_status = head.http_status or None
        self._heard(head)
        location = head.first("location")
        if outcome.is_redirect(head.http_status) and location is not None:
            self._location = addresses.location(location)
            return Then.DRAIN
        status = outcome.status_of(head.http_status, head.headers)
        if status != OK:
            self._end_with = (status, f"HTTP {head.http_status}")
            return Then.DRAIN
        self.codings = codings.named(head.all("content-encoding"))
        return READ

    def take(self, octets: bytes) -> Then:
        """Take the next bytes of the file; what is over the limit stays away."""
        self._body += octets[: self._limit - len(self._body)]
        return Then.HANG_UP if len(self._body) >= self._limit else READ

    def complete(self) -> str | None:
        """Return where the answer redirects to, or None when the file is there.

        Raises:
            Ended: There is none.
        """
        if self._end_with is not None:
            raise Ended(*self._end_with)
        return self._location
