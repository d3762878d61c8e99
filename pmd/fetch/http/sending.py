"""One request, sent in its turn, and once more where libcurl refuses an answer that a browser may show."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from pmd.config.options import FetchOptions
from pmd.fetch import outcome
from pmd.fetch.clock import Clock
from pmd.fetch.http import second_look
from pmd.fetch.http.addresses import Target
from pmd.fetch.http.answer import Answer
from pmd.fetch.http.broken import Broken
from pmd.fetch.http.gate import Gate
from pmd.fetch.http.head import Head
from pmd.fetch.http.receiving import ImageBody
from pmd.fetch.http.transfers import Receiver, Then, Transfers
from pmd.fetch.politeness.hosts import Hosts, Turn
from pmd.store import shortage

#: Sends a request, and has a receiver take the answer. The bool: whether its host is asked nothing more soon.
Ask = Callable[[Answer, Target, Turn, Receiver, bool], Awaitable[None]]
T = TypeVar("T")

#: The first of the statuses that say that it is the server's fault (RFC 9110 §15.6).
_SERVER_ERRORS: Final = 500


class Sender:
    """Sends requests.

    Args:
        transfers: Make them.
        gate: Tells where hosts are.
        hosts: Told what they answer.
        options: Limits.
        threads: For reading what is looked at again.
        clock: For dates in headers.
    """

    def __init__(
        self,
        transfers: Transfers,
        gate: Gate,
        hosts: Hosts,
        options: FetchOptions,
        threads: Executor,
        clock: Clock,
    ) -> None:
        self._transfers = transfers
        self._gate = gate
        self._hosts = hosts
        self._options = options
        self._threads = threads
        self._clock = clock

    async def once_or_twice(self, exchange: Callable[[Ask], Awaitable[T]]) -> T:
        """Run an exchange with libcurl, and again without it where libcurl refuses an answer that a browser may show.

        If that fails, what was said of the first stands.

        Args:
            exchange: Makes one request by what it is given; it takes a turn of its own each time.
        """
        try:
            return await exchange(self._get)
        except Broken as broken:
            if not broken.lenient:
                raise
            first = broken
        try:
            return await exchange(self._look_again)
        except (OSError, ValueError) as error:
            raise error if shortage.is_ours(error) else first from None
        finally:
            del first

    def heard(self, answer: Answer, turn: Turn, chance: float) -> Callable[[Head], None]:
        """Return what notes the head of an answer: that the host was reached, and whether it wants to be left alone.

        Args:
            answer: Gets `answered`.
            turn: In which it was asked.
            chance: In [0, 1): its share of jitter, where the host is to be left alone.
        """

        def heard(head: Head) -> None:
            answer.answered = True
            self._hosts.heard(turn)
            asks = outcome.status_of(head.http_status, head.headers) == "rate_limited"
            after = None
            if asks or head.http_status >= _SERVER_ERRORS:
                # RFC 9110 §10.2.3: whatever it says it with, a host that cannot serve us says when to come again.
                after = outcome.retry_after_s(head.first("retry-after"), self._clock())
            if asks or after is not None:
                turn.group.refused(turn.sent_at, after, chance)
            else:
                turn.group.served()

        return heard

    async def _get(self, answer: Answer, target: Target, turn: Turn, body: Receiver, is_last: bool) -> None:
        """Ask by libcurl, on a connection to an address that is checked anew."""
        route = self._gate.named_now(target) or await self._gate.named(target)
        await self._transfers.get(target, route, body, self._left_s(answer), turn.sent_again, is_last=is_last)

    async def _look_again(self, answer: Answer, target: Target, turn: Turn, body: Receiver, _: bool) -> None:
        """Ask without libcurl, on a connection that is always closed."""
        limit = self._options.max_bytes
        async with asyncio.timeout(self._left_s(answer)):
            route = await self._gate.named(target)
            if route.proxy is not None:
                raise Broken("server_error", "not asked once more: it is asked for through a proxy")
            said = await second_look.ask(target, route, *self._transfers.sent_with, turn.slot, limit)
        head, content = await asyncio.get_running_loop().run_in_executor(self._threads, second_look.read, said)
        if body.take_head(head) is Then.READ:
            if isinstance(body, ImageBody) and not content and not head.has_end:  # a file may be empty
                raise Broken("connection", "closed before its body")
            while isinstance(then := body.take(content), asyncio.Future):
                await then

    def _left_s(self, answer: Answer) -> float:
        return max(0.001, self._options.timeout_s - answer.seconds)
