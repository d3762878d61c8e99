"""The gate before each request: its host's name is resolved, its host has its turn, and requests may be sent at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pmd.fetch.http.addresses import NameUnknown, Target
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.resolver import Resolver, Route
from pmd.fetch.politeness.hosts import CircuitOpen, Hosts, Paused, Turn

#: Seconds between two looks whether requests may be sent again.
_PAUSE_LOOK_S: Final = 0.2


class Gate:
    """Gives leave to send a request.

    Args:
        resolver: Tells where a host is.
        hosts: Gives turns.
        timeout_s: How long the answer of a resolver is waited for.
        ends: Asked before each request: whether none is to be sent any more.
        pauses: The same: whether none is to be sent now.
    """

    def __init__(
        self,
        resolver: Resolver,
        hosts: Hosts,
        timeout_s: float,
        ends: Callable[[], bool],
        pauses: Callable[[], bool],
    ) -> None:
        self._resolver = resolver
        self._hosts = hosts
        self._timeout_s = timeout_s
        self._ends, self._pauses = ends, pauses
        self._pausing = asyncio.Lock()
        self._is_shut = False

    def shut(self) -> None:
        """Give no leave any more: a task that waits for it is cancelled."""
        self._is_shut = True

    def named_now(self, target: Target) -> Route | None:
        """Return where a URL's host is, if that is known and need not be waited for."""
        return self._resolver.ready(target.scheme, target.host, target.port)

    async def named(self, target: Target) -> Route:
        """Return where a URL's host is, within the time that a request may take.

        That time counts from when its name is looked up, lest names be lost that only wait for others: a lane begins with
        thousands, and looks up a few at a time. If no name at all comes back meanwhile, it is not waited for longer.

        Raises:
            NameUnknown: The name does not resolve, or not in time.
            Blocked: None of its addresses may be asked.
        """
        asked = target.scheme, target.host, target.port
        route = self._resolver.ready(*asked)
        if route is not None:
            return route
        if self._resolver.answers_at_once(*asked):
            return await self._resolver.route(*asked)
        now, limit = asyncio.get_running_loop().time, self._timeout_s
        left = limit
        while left > 0:
            looked_up = self._resolver.looked_up
            try:
                async with asyncio.timeout(left):
                    return await self._resolver.route(*asked)
            except TimeoutError:
                began = self._resolver.began(*asked)
                if began is not None:
                    left = began + limit - now()
                elif self._resolver.looked_up == looked_up:
                    break
        raise NameUnknown(f"{target.host}: no answer in {limit:g} s")

    async def turn_once_named(self, answer: Answer, target: Target, *, has_begun: bool) -> Turn:
        """Wait for leave to send a request, and have its host's name resolved: see `turn`.

        A name is resolved anew now and then. Were it so in a turn, the requests of several would wait for the answer, and leave
        all at once, maybe when none may be sent any more.
        """
        turn = await self.turn(answer, target, has_begun=has_begun)
        scheme, host, port = target.scheme, target.host, target.port
        if self._resolver.ready(scheme, host, port) or self._resolver.answers_at_once(scheme, host, port):
            return turn
        turn.leave()
        await self.named(target)
        return await self.turn(answer, target, has_begun=has_begun)

    async def turn(self, answer: Answer, target: Target, *, has_begun: bool) -> Turn:
        """Wait for leave to send a request.

        An origin's first request, that for its robots.txt, waits until no other does: so each origin's follow each other on one
        connection. Else those of all origins would be asked for robots.txt first, and their connections be kept meanwhile.

        Args:
            answer: Gets `untried` where leave is refused.
            target: What is asked for.
            has_begun: Whether its origin was asked for something before.

        Raises:
            Ended: The host is given up, or wants to be left alone for longer than we wait.
            CancelledError: No request is to be sent any more.
        """
        while True:
            # Before the host's turn: where the host is given up, one image alone may take it, and has to try.
            if self._pauses():
                await self._resumed()
            turn = await self._turn_of_host(answer, target, has_begun=has_begun)
            if self._is_shut or self._ends():
                turn.leave()
                raise asyncio.CancelledError
            if not self._pauses():
                return turn
            turn.leave()
            await self._resumed()

    async def _turn_of_host(self, answer: Answer, target: Target, *, has_begun: bool) -> Turn:
        try:
            group, circuit = self._hosts.of(target.host, target.port)
            return group.turn_now(circuit) or await group.turn(circuit, has_begun=has_begun)
        except Paused as paused:
            answer.untried = True
            raise Ended("rate_limited", f"not asked: {paused}") from None
        except CircuitOpen as given_up:
            answer.untried = True
            raise Ended(given_up.status, f"not asked: {given_up}") from None

    async def _resumed(self) -> None:
        """Wait until requests may be sent again, or none any more; one task looks for all."""
        async with self._pausing:
            while self._pauses() and not (self._is_shut or self._ends()):
                await asyncio.sleep(_PAUSE_LOOK_S)
