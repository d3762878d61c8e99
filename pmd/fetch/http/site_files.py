"""The files in which an origin says what may be asked for, robots.txt and tdmrep.json: asked for once for all of its images.

They are small, and asked for as images are: in turns, at addresses that are checked, redirects by hand. What none can be had of
is a policy too: RFC 9309 says what then holds.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
from collections.abc import MutableMapping
from concurrent.futures import Executor
from typing import Final

from pmd.config.options import FetchOptions
from pmd.fetch import outcome
from pmd.fetch.clock import Clock
from pmd.fetch.http import addresses, codings, ending
from pmd.fetch.http.addresses import Target
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.gate import Gate
from pmd.fetch.http.receiving import FileBody
from pmd.fetch.http.sending import Ask, Sender
from pmd.fetch.politeness import robots, tdmrep
from pmd.fetch.politeness.hosts import Hosts
from pmd.schema.statuses import OK

#: What origins say, by origin.
Policies = MutableMapping[str, robots.Policy]

#: Redirects of a robots.txt that are followed (RFC 9309 §2.3.1.2: at least five); TDMRep names no number.
_REDIRECTS: Final = 5

_ROBOTS_PATH: Final = "/robots.txt"


class SiteFiles:
    """Asks for robots.txt and tdmrep.json.

    Args:
        sender: Sends requests.
        gate: Gives leave to.
        hosts: Say how long to wait before another try.
        options: Limits.
        threads: For decompressing.
        clock: Says when a file was asked for.
        policies: What is known of robots.txt by origin; what is learnt is added.
        reservations: The same for TDMRep's file.
    """

    def __init__(
        self,
        sender: Sender,
        gate: Gate,
        hosts: Hosts,
        options: FetchOptions,
        threads: Executor,
        clock: Clock,
        policies: Policies,
        reservations: Policies,
    ) -> None:
        self._sender = sender
        self._gate = gate
        self._hosts = hosts
        self._options = options
        self._threads = threads
        self._clock = clock
        self._policies = policies
        self._reservations = reservations
        self._asking: dict[str, asyncio.Task[robots.Policy]] = {}  # by URL

    def known_robots(self, origin: str) -> robots.Policy | None:
        """Return what is known of an origin's robots.txt, however long ago it was learnt."""
        return self._policies.get(origin)

    def known_reservation(self, origin: str) -> robots.Policy | None:
        """Return what is known of an origin's tdmrep.json, however long ago it was learnt."""
        return self._reservations.get(origin)

    async def robots_txt(self, origin: str) -> robots.Policy:
        """Ask for an origin's robots.txt and return what it says; one image asks for all of them."""
        return await self._asked(self._policies, origin, _ROBOTS_PATH)

    async def reservation(self, origin: str) -> robots.Policy:
        """Ask for an origin's tdmrep.json and return what it says; one image asks for all of them."""
        return await self._asked(self._reservations, origin, tdmrep.PATH)

    async def close(self) -> None:
        """Give up what is being asked for on behalf of images that are not waited for any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _asked(self, known: Policies, origin: str, path: str) -> robots.Policy:
        url = origin + path
        task = self._asking.get(url)
        if task is None:
            task = asyncio.create_task(self._learn(known, origin, url))
            self._asking[url] = task
            task.add_done_callback(functools.partial(self._has_asked, url))
        return await asyncio.shield(task)

    async def _learn(self, known: Policies, origin: str, url: str) -> robots.Policy:
        answer, body = await self._tried(url)
        known[origin] = policy = _policy(answer, body, self._clock(), is_reservation=url.endswith(tdmrep.PATH))
        return policy

    def _has_asked(self, url: str, task: asyncio.Task[robots.Policy]) -> None:
        self._asking.pop(url, None)
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting any more

    async def _tried(self, url: str) -> tuple[Answer, bytes]:
        """Ask for a file, as often as may help; return the last answer, and its body."""
        for tries in range(self._options.retries + 1):
            answer = Answer(OK)
            body = bytearray()
            await ending.run(answer, self._exchange(answer, url, body))
            if answer.status not in outcome.RETRIED or answer.untried or tries == self._options.retries:
                break
            if answer.status != "rate_limited":
                await asyncio.sleep(self._hosts.patience.backoff(tries + 1, 0.0))
        return answer, bytes(body)

    async def _exchange(self, answer: Answer, url: str, body: bytearray) -> None:
        base: str | None = None
        for _ in range(_REDIRECTS + 1):
            target = addresses.parse(url, base)
            answer.final_url = target.url
            await self._gate.named(target)
            location = await self._hop(answer, target, body)
            if location is None:
                return
            url, base = location, target.url
        raise Ended("too_many_redirects")

    async def _hop(self, answer: Answer, target: Target, body: bytearray) -> str | None:
        """Make one request; return where it redirects to, or None when the file is in `body`.

        It is looked at again as an image's answer is. A host that says so in all its answers would else have none of its pictures
        asked for; and one whose tdmrep.json alone is so, all of them.
        """
        file = await self._sender.once_or_twice(functools.partial(self._answered, answer, target, body))
        location = file.complete()
        if location is None and file.codings:
            undo = functools.partial(codings.text, bytes(body), file.codings, robots.MAX_BYTES)
            body[:] = await asyncio.get_running_loop().run_in_executor(self._threads, undo)
        return location

    async def _answered(self, answer: Answer, target: Target, body: bytearray, ask: Ask) -> FileBody:
        body.clear()  # of what an answer brought that was refused
        # Each request has a turn of its own: it keeps its distance from the one before, and none is sent once none may be.
        has_begun = not target.path.startswith(_ROBOTS_PATH)
        turn = await self._gate.turn_once_named(answer, target, has_begun=has_begun)
        try:
            file = FileBody(answer, body, robots.MAX_BYTES, self._sender.heard(answer, turn, 0.0))
            await ask(Answer(OK), target, turn, file, False)
            return file
        finally:
            turn.leave()


def _policy(answer: Answer, body: bytes, when: datetime.datetime, *, is_reservation: bool) -> robots.Policy:
    """Return what holds by an answer to the request for a file."""
    status = answer.status
    if status == "blocked_address" and answer.http_status is not None:
        # Where the host leads us, not the host: that is an unreachable file (RFC 9309 §2.3.1.4), and no verdict on pictures.
        status = "server_error"
    # As the protocol has it; one that came, and cannot be read, is not missing.
    has_come = answer.http_status is not None and outcome.status_of_http(answer.http_status) == OK
    missing = is_reservation and status == "server_error" and not has_come
    # 2xx says that there is a file, though not to whom it is shown: of a robots.txt that is no leave.
    is_hidden = not is_reservation and status == "forbidden" and has_come
    read = robots.decoded if is_reservation else robots.text_of
    return robots.Policy(
        when=when,
        http_status=answer.http_status,
        body=read(body) if status == OK else "",
        status=None if missing or (_is_settled(status) and not is_hidden) else status,
        error=answer.error or (tdmrep.cut(body) if is_reservation else None),
    )


def _is_settled(status: str) -> bool:
    """Return whether the status of a robots.txt's answer settles what is allowed.

    It does where the file is there, and where it is not ("unavailable", RFC 9309 §2.3.1.3: all is allowed). 408
    and 429 are counted as unreachable, against the letter and with the sense: the host asks us to come later.
    """
    return status in {OK, "not_an_image", "too_many_redirects", "dead", "forbidden"}
