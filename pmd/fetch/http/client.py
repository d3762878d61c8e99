"""One URL asked for once: redirects by hand, every check again at each hop, headers before bodies, all of it bounded.

The order at each hop: scheme and address, placeholder, name, robots.txt, TDMRep, the host's turn, the request, the
status, headers that forbid its use, the first bytes, the rest. What fails is a status with its evidence, never an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Final

from pmd.config.options import FetchOptions
from pmd.fetch import outcome
from pmd.fetch.clock import Clock
from pmd.fetch.http import addresses, ending
from pmd.fetch.http.addresses import Blocked, Target
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.gate import Gate
from pmd.fetch.http.permission import Permission
from pmd.fetch.http.receiving import ImageBody
from pmd.fetch.http.resolver import Resolver
from pmd.fetch.http.sending import Ask, Sender
from pmd.fetch.http.site_files import Policies, SiteFiles
from pmd.fetch.http.transfers import Transfers
from pmd.fetch.lists import blocklists
from pmd.fetch.politeness.hosts import Hosts
from pmd.schema.statuses import OK

#: Asked before a request: whether its host is asked nothing more soon.
Last = Callable[[], bool]

#: Characters of a URL that a redirect is followed to: twice what servers take by default. A shard's attempts are held until all
#: of it is done, with the last URL of each, and a host may send 300 kB of one with every answer. Ours.
_LONGEST_URL: Final = 1 << 14

_BAD_REQUEST: Final = 400

#: Statuses that bring a host closer to an open circuit: where it never answered, and where its answers have no end.
_UNREACHABLE: Final = frozenset({"connection", "timeout"})
_ENDLESS: Final = frozenset({"timeout"})


class Client:
    """Asks for URLs.

    Args:
        transfers: Make requests.
        resolver: Checks addresses.
        hosts: Gives turns.
        options: Limits.
        agent: Product token for robots.txt and X-Robots-Tag.
        policies: What is known of robots.txt by origin; what is learnt is added.
        reservations: The same for TDMRep's file.
        threads: For decompressing, and for verdicts that take long.
        clock: For dates in headers and policies.
        ends: Asked before each request: whether none is to be sent any more.
        pauses: The same: whether none is to be sent now.
        is_kept_out: Whether what lies at a URL must not be kept (`blocklists.Blocklist.is_kept_out`). Of where redirects lead: of
            upstream's own addresses `curate` has seen to it.
    """

    def __init__(
        self,
        transfers: Transfers,
        resolver: Resolver,
        hosts: Hosts,
        options: FetchOptions,
        agent: str,
        policies: Policies,
        reservations: Policies,
        threads: Executor,
        clock: Clock,
        ends: Callable[[], bool] = lambda: False,
        pauses: Callable[[], bool] = lambda: False,
        is_kept_out: Callable[[str], bool] = lambda url: False,
    ) -> None:
        self._resolver = resolver
        self._hosts = hosts
        self._options = options
        self._agent = agent
        self._threads = threads
        self._is_kept_out = is_kept_out
        self._gate = Gate(resolver, hosts, options.timeout_s, ends, pauses)
        self._sender = Sender(transfers, self._gate, hosts, options, threads, clock)
        self._files = SiteFiles(self._sender, self._gate, hosts, options, threads, clock, policies, reservations)
        self._permission = Permission(self._files, self._gate, hosts, options, agent, threads, clock)
        #: Tasks that have sent a request; whose they are takes out those that have ended.
        self.sent: set[asyncio.Task[Any]] = set()

    def ask_no_more(self) -> None:
        """Send no request any more: a task that would is cancelled."""
        self._gate.shut()

    async def get_image(self, url: str, chance: float, last: Last) -> Answer:
        """Ask for an image.

        Args:
            url: As upstream writes it.
            chance: In [0, 1): this image's share of jitter.
            last: Whether nothing more is wanted of the URL's host and port.
        """
        answer = Answer(OK)
        await ending.run(answer, self._exchange(answer, url, chance, last))
        return answer

    async def may_ask(self, url: str, *, led: bool = False) -> Answer:
        """Check a URL for which somebody else will ask; ok where nothing that can be known before speaks against it.

        `final_url` is the URL in the form that was checked. Whoever asks may take any address that its name has, so
        every one of them must be allowed.

        Args:
            url: It.
            led: Whether a redirect has led there, and it has been asked for.
        """
        answer = Answer(OK)
        await ending.run(answer, self._checked_for_others(answer, url, url if led else None))
        return answer

    async def _checked_for_others(self, answer: Answer, url: str, base: str | None) -> None:
        target = await self._checked(answer, url, base)
        await self._resolver.require_all(target.host)

    async def _checked(self, answer: Answer, url: str, base: str | None) -> Target:
        """Return what a URL names, once all is checked that can be before a request.

        Raises:
            Ended: Something speaks against it.
        """
        target = addresses.parse(url, base)
        if base is not None and len(target.url) > _LONGEST_URL:
            raise Blocked(f"a redirect to a URL of {len(target.url):,} characters")
        if base is not None and self._is_kept_out(target.url):
            raise _taken_down()
        answer.final_url = target.url
        source = outcome.placeholder_of(target.host, target.path)
        if source is not None:
            raise Ended("placeholder", source)
        await self._permission.require(answer, target)
        return target

    async def _exchange(self, answer: Answer, url: str, chance: float, last: Last) -> None:
        base: str | None = None
        for left in range(self._options.max_redirects, -1, -1):
            target = await self._checked(answer, url, base)
            try:
                location = await self._hop(answer, target, chance, last)
            except Ended as refused:
                location = _today(answer, target, refused) if left else None
                if location is None:
                    raise
            if location is None:
                return
            url, base, last = location, target.url, never
        self._refuse_to_tell(url, target)
        raise Ended("too_many_redirects", f"more than {self._options.max_redirects}")

    def _refuse_to_tell(self, location: str, target: Target) -> None:
        """Refuse to write down where a redirect leads that is not followed, where suppression lists name that.

        Raises:
            Ended: They do.
        """
        with contextlib.suppress(Blocked):  # it is no address of the web
            if self._is_kept_out(addresses.parse(location, target.url).url):
                raise _taken_down()

    async def _hop(self, answer: Answer, target: Target, chance: float, last: Last) -> str | None:
        """Make one request; return where it redirects to, or None when the answer is complete."""
        return await self._sender.once_or_twice(functools.partial(self._answered, answer, target, chance, last))

    async def _answered(self, answer: Answer, target: Target, chance: float, last: Last, ask: Ask) -> str | None:
        # Where a redirect leads, nothing was asked before.
        turn = await self._gate.turn_once_named(answer, target, has_begun=last is not never)
        loop = asyncio.get_running_loop()
        if (task := asyncio.current_task(loop)) is not None:
            self.sent.add(task)
        body = ImageBody(answer, turn.slot, self._options, self._agent, self._sender.heard(answer, turn, chance))
        started = loop.time()
        try:
            try:
                await ask(answer, target, turn, body, last())
            finally:
                answer.seconds += loop.time() - started
            turn.circuit.ended()
            turn.hang_up()
            try:
                location = await body.complete(self._threads)
            except Ended:
                if body.location is not None:  # of a redirect that says no
                    self._refuse_to_tell(body.location, target)
                raise
            if location is None:
                answer.slot = turn.slot
            return location
        finally:
            turn.hang_up()
            if answer.slot is None:
                turn.leave()

    def unreachable(self, answer: Answer) -> None:
        """Note an image for which all tries are used up.

        A host that never answered, or whose answers have no end, comes closer to an open circuit.
        """
        if answer.asked is not None and answer.status in (_ENDLESS if answer.answered else _UNREACHABLE):
            self._hosts.circuit(*answer.asked).failed(answer.status, answered=answer.answered)

    async def close(self) -> None:
        """Give up what is being asked for on behalf of images that are not waited for any more."""
        await self._files.close()


def _taken_down() -> Ended:
    return Ended(blocklists.STATUS, blocklists.evidence(blocklists.SUPPRESSED))


def never() -> bool:
    """Return False: it is not known whether a host is the last to be asked."""
    return False


def _today(answer: Answer, target: Target, refused: Ended) -> str | None:
    """Return how a picture may be had whose address was refused, and for no other reason; None where that is not known."""
    if answer.http_status is None or refused.status not in (outcome.status_of_http(answer.http_status), "rate_limited"):
        return None
    place = outcome.moved(target.host, target.path, answer.http_status)
    if place is not None:
        return f"{target.scheme}://{place}"
    escaped = outcome.conforming(target.path) if answer.http_status == _BAD_REQUEST else target.path
    return target.origin + escaped if escaped != target.path else None


def headers(options: FetchOptions, contact: str) -> list[str]:
    """Return what is sent with every request: who we are, and our contact."""
    agent = f"{options.user_agent} ({contact})" if contact else options.user_agent
    sent = [f"User-Agent: {agent}", "Accept: image/*, */*;q=0.8", "Accept-Encoding: identity"]
    return [*sent, f"From: {contact.removeprefix('mailto:')}"] if contact.startswith("mailto:") else sent
