"""One URL asked for once: redirects by hand, every check again at each hop, headers before bodies, all of it bounded.

The order at each hop: scheme and address, placeholder, name, robots.txt, TDMRep, the host's turn, the request, the
status, headers that forbid its use, the first bytes, the rest. What fails is a status with its evidence, never an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple

import pycurl

from pmd.config.options import FetchOptions
from pmd.fetch import outcome
from pmd.fetch.http import addresses, codings, second_look
from pmd.fetch.http.addresses import Blocked, NameUnknown, Target
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.broken import Broken
from pmd.fetch.http.head import Head
from pmd.fetch.http.receiving import FileBody, ImageBody
from pmd.fetch.http.resolver import Resolver, Route
from pmd.fetch.http.transfers import Receiver, Then, Transfers
from pmd.fetch.lists import blocklists
from pmd.fetch.politeness import robots, tdmrep
from pmd.fetch.politeness.hosts import CircuitOpen, Hosts, Paused, Turn
from pmd.schema.statuses import OK
from pmd.store import shortage

Clock = Callable[[], datetime.datetime]
_Ask = Callable[[Answer, Target, Turn, Receiver, bool], Awaitable[None]]

#: Asked before a request: whether its host is asked nothing more soon.
Last = Callable[[], bool]

#: Redirects of a robots.txt that are followed (RFC 9309 §2.3.1.2: at least five); TDMRep names no number.
_FILE_REDIRECTS: Final = 5

#: Characters of a URL that a redirect is followed to: twice what servers take by default. A shard's attempts are held until all
#: of it is done, with the last URL of each, and a host may send 300 kB of one with every answer. Ours.
_LONGEST_URL: Final = 1 << 14

#: The first of the statuses that say that it is the server's fault (RFC 9110 §15.6).
_SERVER_ERRORS: Final = 500

_BAD_REQUEST: Final = 400

_ROBOTS_PATH: Final = "/robots.txt"

#: Seconds between two looks whether requests may be sent again.
_PAUSE_LOOK_S: Final = 0.2


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
        threads: For decompressing.
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
        policies: MutableMapping[str, robots.Policy],
        reservations: MutableMapping[str, robots.Policy],
        threads: Executor,
        clock: Clock,
        ends: Callable[[], bool] = lambda: False,
        pauses: Callable[[], bool] = lambda: False,
        is_kept_out: Callable[[str], bool] = lambda url: False,
    ) -> None:
        self._is_kept_out = is_kept_out
        self._transfers = transfers
        self._resolver = resolver
        self._hosts = hosts
        self._options = options
        self._agent = agent
        self._policies = policies
        self._reservations = reservations
        self._threads = threads
        self._clock = clock
        self._asking: dict[str, asyncio.Task[robots.Policy]] = {}
        self._silent: dict[tuple[object, ...], _Silent] = {}  # by scheme, host and port
        self._ends, self._pauses = ends, pauses
        self._pausing = asyncio.Lock()
        self._asks_no_more = False
        #: Tasks that have sent a request; whose they are takes out those that have ended.
        self.sent: set[asyncio.Task[Any]] = set()

    def ask_no_more(self) -> None:
        """Send no request any more: a task that would is cancelled."""
        self._asks_no_more = True

    async def get_image(self, url: str, chance: float, last: Last) -> Answer:
        """Ask for an image.

        Args:
            url: As upstream writes it.
            chance: In [0, 1): this image's share of jitter.
            last: Whether nothing more is wanted of the URL's host and port.
        """
        answer = Answer(OK)
        await self._ending(answer, self._exchange(answer, url, chance, last))
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
        await self._ending(answer, self._checked_for_others(answer, url, url if led else None))
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
        await self._may_ask(answer, target)
        return target

    async def _ending(self, answer: Answer, exchange: Awaitable[None]) -> None:
        """Run an exchange; whatever ends it becomes the answer's status."""
        try:
            await exchange
        except Ended as ended:
            answer.status, answer.error = ended.status, ended.error and ended.error[: outcome.EVIDENCE_LENGTH]
        except _FAILURES as error:
            if shortage.is_ours(error):
                answer.free()
                raise
            answer.status = _status_of_failure(error)
            answer.error = f"{type(error).__name__}: {error}"[: outcome.EVIDENCE_LENGTH]
        except BaseException:
            answer.free()
            raise
        if answer.policy_evidence is not None:
            answer.policy_evidence = answer.policy_evidence[: outcome.EVIDENCE_LENGTH]
        if answer.status != OK:
            answer.free()

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

    async def _may_ask(self, answer: Answer, target: Target) -> None:
        """Check what can be checked before a request: the address, robots.txt and TDMRep's file.

        Raises:
            Ended: One of them says no.
        """
        answer.asked, answer.answered = (target.host, target.port), False
        now = self._clock()
        silent = self._silent.get(target[1:4])
        if silent is not None and silent.since <= now < silent.until and self._stands(silent):
            answer.policy, answer.policy_evidence = "allowed", silent.evidence
            return
        if self._resolver.ready(target.scheme, target.host, target.port) is None:
            await self._named(target)
        origin, path = target.origin, target.path
        policy = self._fresh(self._policies, origin, now) if self._options.robots else None
        reserved = self._fresh(self._reservations, origin, now) if self._options.tdmrep else None
        evidence = ["robots.txt is not asked for (fetch.robots = false)"]
        if self._options.robots:
            policy = policy or await self._site_file(self._policies, origin, _ROBOTS_PATH)
            decide: Callable[[], robots.Verdict] = functools.partial(robots.verdict, policy, origin, path, self._agent)
            found = decide() if not robots.is_long_work(policy, path) else await self._in_thread(decide)
            evidence = [_heeded(answer, policy, found, "robots.txt")]
            self._hosts.keep(target.host, target.port, found.delay_s)
        if self._options.tdmrep:
            reserved = reserved or await self._site_file(self._reservations, origin, tdmrep.PATH)
            decide = functools.partial(tdmrep.verdict, reserved, origin, path)
            found = decide() if not robots.is_long_work(reserved, path) else await self._in_thread(decide)
            evidence.append(_heeded(answer, reserved, found, "TDMRep"))
        answer.policy, answer.policy_evidence = "allowed", "; ".join(evidence)
        if not (policy and policy.body) and not (reserved and reserved.body):
            if len(self._silent) >= _SILENT:
                self._silent.clear()
            asked = [said.when for said in (policy, reserved) if said is not None] or [now]
            since, until = max(asked) - robots.SKEW, min(asked) + robots.FRESH
            self._silent[target[1:4]] = _Silent(since, until, origin, policy, reserved, answer.policy_evidence)

    def _stands(self, silent: _Silent) -> bool:
        """Return whether an origin has said nothing since."""
        policy, reserved = silent.policy, silent.reserved
        return (policy is None or self._policies.get(silent.origin) is policy) and (
            reserved is None or self._reservations.get(silent.origin) is reserved
        )

    async def _in_thread(self, decide: Callable[[], robots.Verdict]) -> robots.Verdict:
        return await asyncio.get_running_loop().run_in_executor(self._threads, decide)

    async def _named(self, target: Target) -> Route:
        """Return where a URL's host is, within the time that a request may take.

        That time counts from when its name is looked up, lest names be lost that only wait for others: a lane begins with
        thousands, and looks up a few at a time. If no name at all comes back meanwhile, it is not waited for longer.
        """
        asked = target.scheme, target.host, target.port
        route = self._resolver.ready(*asked)
        if route is not None:
            return route
        if self._resolver.answers_at_once(*asked):
            return await self._resolver.route(*asked)
        now, limit = asyncio.get_running_loop().time, self._options.timeout_s
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

    async def _hop(self, answer: Answer, target: Target, chance: float, last: Last) -> str | None:
        """Make one request; return where it redirects to, or None when the answer is complete.

        Another one follows where libcurl refuses an answer that a browser may show. If that fails, what was said of the
        first stands.
        """
        try:
            return await self._answered(answer, target, chance, last, self._get)
        except Broken as broken:
            if not broken.lenient:
                raise
            first = broken
        try:
            return await self._answered(answer, target, chance, last, self._look_again)
        except (OSError, ValueError) as error:
            raise error if shortage.is_ours(error) else first from None
        finally:
            del first

    async def _answered(self, answer: Answer, target: Target, chance: float, last: Last, ask: _Ask) -> str | None:
        # Where a redirect leads, nothing was asked before.
        turn = await self._turn_to_where_it_is(answer, target, has_begun=last is not never)
        loop = asyncio.get_running_loop()
        if (task := asyncio.current_task(loop)) is not None:
            self.sent.add(task)
        body = ImageBody(answer, turn.slot, self._options, self._agent, self._heard(answer, turn, chance))
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

    def _left_s(self, answer: Answer) -> float:
        return max(0.001, self._options.timeout_s - answer.seconds)

    def _heard(self, answer: Answer, turn: Turn, chance: float) -> Callable[[Head], None]:
        """Return what notes the head of an answer: that the host was reached, and whether it wants to be left alone."""

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

    async def _get(self, answer: Answer, target: Target, turn: Turn, body: Receiver, is_last: bool = False) -> None:
        """Send a request and have a receiver take the answer, on a connection to an address that is checked anew."""
        route = self._resolver.ready(target.scheme, target.host, target.port) or await self._named(target)
        await self._transfers.get(target, route, body, self._left_s(answer), turn.sent_again, is_last=is_last)

    async def _look_again(self, answer: Answer, target: Target, turn: Turn, body: Receiver, _: bool) -> None:
        """Do so without libcurl, on a connection that is always closed."""
        limit = self._options.max_bytes
        async with asyncio.timeout(self._left_s(answer)):
            route = await self._named(target)
            if route.proxy is not None:
                raise Broken("server_error", "not asked once more: it is asked for through a proxy")
            said = await second_look.ask(target, route, *self._transfers.sent_with, turn.slot, limit)
        head, content = await asyncio.get_running_loop().run_in_executor(self._threads, second_look.read, said)
        if body.take_head(head) is Then.READ:
            if isinstance(body, ImageBody) and not content and not head.has_end:  # a file may be empty
                raise Broken("connection", "closed before its body")
            while isinstance(then := body.take(content), asyncio.Future):
                await then

    async def _turn_to_where_it_is(self, answer: Answer, target: Target, *, has_begun: bool) -> Turn:
        """Wait for leave to send a request, and have its host's name resolved: see `_turn`.

        A name is resolved anew now and then. Were it so in a turn, the requests of several would wait for the answer, and leave
        all at once, maybe when none may be sent any more.
        """
        turn = await self._turn(answer, target, has_begun=has_begun)
        scheme, host, port = target.scheme, target.host, target.port
        if self._resolver.ready(scheme, host, port) or self._resolver.answers_at_once(scheme, host, port):
            return turn
        turn.leave()
        await self._named(target)
        return await self._turn(answer, target, has_begun=has_begun)

    async def _turn(self, answer: Answer, target: Target, *, has_begun: bool) -> Turn:
        """Wait for leave to send a request.

        An origin's first request, that for its robots.txt, waits until no other does: so each origin's follow each other on one
        connection. Else those of all origins would be asked for robots.txt first, and their connections be kept meanwhile.

        Raises:
            Ended: The host is given up, or wants to be left alone for longer than we wait.
            CancelledError: No request is to be sent any more.
        """
        while True:
            # Before the host's turn: where the host is given up, one image alone may take it, and has to try.
            if self._pauses():
                await self._resumed()
            try:
                group, circuit = self._hosts.of(target.host, target.port)
                turn = group.turn_now(circuit) or await group.turn(circuit, has_begun=has_begun)
            except Paused as paused:
                answer.untried = True
                raise Ended("rate_limited", f"not asked: {paused}") from None
            except CircuitOpen as given_up:
                answer.untried = True
                raise Ended(given_up.status, f"not asked: {given_up}") from None
            if self._asks_no_more or self._ends():
                turn.leave()
                raise asyncio.CancelledError
            if not self._pauses():
                return turn
            turn.leave()
            await self._resumed()

    async def _resumed(self) -> None:
        """Wait until requests may be sent again, or none any more; one task looks for all."""
        async with self._pausing:
            while self._pauses() and not (self._asks_no_more or self._ends()):
                await asyncio.sleep(_PAUSE_LOOK_S)

    def unreachable(self, answer: Answer) -> None:
        """Note an image for which all tries are used up.

        A host that never answered, or whose answers have no end, comes closer to an open circuit.
        """
        if answer.asked is not None and answer.status in (_ENDLESS if answer.answered else _UNREACHABLE):
            self._hosts.circuit(*answer.asked).failed(answer.status, answered=answer.answered)

    # --- robots.txt and tdmrep.json ---

    async def _site_file(self, known: MutableMapping[str, robots.Policy], origin: str, path: str) -> robots.Policy:
        """Ask for an origin's file and return what it says; one image asks for all of them."""
        url = origin + path
        task = self._asking.get(url)
        if task is None:
            task = asyncio.create_task(self._learn(known, origin, url))
            self._asking[url] = task
            task.add_done_callback(functools.partial(self._asked, url))
        return await asyncio.shield(task)

    def _fresh(
        self, known: MutableMapping[str, robots.Policy], origin: str, now: datetime.datetime
    ) -> robots.Policy | None:
        policy = known.get(origin)
        return policy if policy is not None and policy.is_fresh(now) else None

    async def _learn(self, known: MutableMapping[str, robots.Policy], origin: str, url: str) -> robots.Policy:
        known[origin] = policy = await self._ask_for_file(url)
        return policy

    def _asked(self, url: str, task: asyncio.Task[robots.Policy]) -> None:
        self._asking.pop(url, None)
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting any more

    async def close(self) -> None:
        """Give up what is being asked for on behalf of images that are not waited for any more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask_for_file(self, url: str) -> robots.Policy:
        for tries in range(self._options.retries + 1):
            answer = Answer(OK)
            body = bytearray()
            await self._ending(answer, self._file_exchange(answer, url, body))
            if answer.status not in outcome.RETRIED or answer.untried or tries == self._options.retries:
                break
            if answer.status != "rate_limited":
                await asyncio.sleep(self._hosts.patience.backoff(tries + 1, 0.0))
        if answer.status == "blocked_address" and answer.http_status is not None:
            # Where the host leads us, not the host: that is an unreachable file (RFC 9309 §2.3.1.4), and no verdict on pictures.
            answer.status = "server_error"
        is_reservation = url.endswith(tdmrep.PATH)
        # As the protocol has it; one that came, and cannot be read, is not missing.
        has_come = answer.http_status is not None and outcome.status_of_http(answer.http_status) == OK
        missing = is_reservation and answer.status == "server_error" and not has_come
        # 2xx says that there is a file, though not to whom it is shown: of a robots.txt that is no leave.
        is_hidden = not is_reservation and answer.status == "forbidden" and has_come
        read = robots.decoded if is_reservation else robots.text_of
        return robots.Policy(
            when=self._clock(),
            http_status=answer.http_status,
            body=read(bytes(body)) if answer.status == OK else "",
            status=None if missing or (_is_settled(answer) and not is_hidden) else answer.status,
            error=answer.error or (tdmrep.cut(bytes(body)) if is_reservation else None),
        )

    async def _file_exchange(self, answer: Answer, url: str, body: bytearray) -> None:
        base: str | None = None
        for _ in range(_FILE_REDIRECTS + 1):
            target = addresses.parse(url, base)
            answer.final_url = target.url
            await self._named(target)
            location = await self._file_hop(answer, target, body)
            if location is None:
                return
            url, base = location, target.url
        raise Ended("too_many_redirects")

    async def _file_hop(self, answer: Answer, target: Target, body: bytearray) -> str | None:
        file = await self._file_answer(answer, target, body)
        location = file.complete()
        if location is None and file.codings:
            undo = functools.partial(codings.text, bytes(body), file.codings, robots.MAX_BYTES)
            body[:] = await asyncio.get_running_loop().run_in_executor(self._threads, undo)
        return location

    async def _file_answer(self, answer: Answer, target: Target, body: bytearray) -> FileBody:
        """Ask for a file, and once more where libcurl refuses an answer that a browser may show, as it is done for images.

        A host that says so in all its answers would else have none of its pictures asked for; and one whose tdmrep.json alone is
        so, all of them.
        """
        try:
            return await self._file_answered(answer, target, body, self._get)
        except Broken as broken:
            if not broken.lenient:
                raise
            first = broken
        body.clear()
        try:
            return await self._file_answered(answer, target, body, self._look_again)
        except (OSError, ValueError) as error:
            raise error if shortage.is_ours(error) else first from None
        finally:
            del first

    async def _file_answered(self, answer: Answer, target: Target, body: bytearray, ask: _Ask) -> FileBody:
        # Each request has a turn of its own: it keeps its distance from the one before, and none is sent once none may be.
        turn = await self._turn_to_where_it_is(answer, target, has_begun=not target.path.startswith(_ROBOTS_PATH))
        try:
            file = FileBody(answer, body, robots.MAX_BYTES, self._heard(answer, turn, 0.0))
            await ask(Answer(OK), target, turn, file, False)
            return file
        finally:
            turn.leave()


class _Silent(NamedTuple):
    """An origin whose files say nothing of any path, and that is allowed: its images need not be looked for in them.

    Attributes:
        since: Before this, by a clock that went back, its files have to be asked for again.
        until: When one of its files has to be asked for again.
        origin: It.
        policy: Its robots.txt; None: it is not asked for.
        reserved: The same of TDMRep.
        evidence: Of the verdict.
    """

    since: datetime.datetime
    until: datetime.datetime
    origin: str
    policy: robots.Policy | None
    reserved: robots.Policy | None
    evidence: str


#: Origins of which that is at hand; all are judged again where there are more.
_SILENT: Final = 16_384


def _heeded(answer: Answer, policy: robots.Policy, found: robots.Verdict, who: str) -> str:
    """Return the evidence of a verdict that allows.

    Raises:
        Ended: It does not.
    """
    if not found.allowed:
        answer.policy, answer.policy_evidence, answer.untried = f"denied by {who}", found.evidence, True
        raise Ended(policy.status or "opted_out", found.evidence)
    return found.evidence


def _is_settled(answer: Answer) -> bool:
    """Return whether a robots.txt's answer settles what is allowed.

    It does where the file is there, and where it is not ("unavailable", RFC 9309 §2.3.1.3: all is allowed). 408
    and 429 are counted as unreachable, against the letter and with the sense: the host asks us to come later.
    """
    if answer.status in {OK, "not_an_image", "too_many_redirects"}:
        return True
    return answer.status in {"dead", "forbidden"}


_UNREACHABLE: Final = frozenset({"connection", "timeout"})
_ENDLESS: Final = frozenset({"timeout"})

_FAILURES: Final = (
    OSError,  # with TimeoutError, Blocked, NameUnknown, Broken
    # What libraries on the way raise at what hosts send: of a URL or a name that is none. It is that image's end, not the run's.
    ValueError,
    RuntimeError,
    pycurl.error,
)


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


def _status_of_failure(error: BaseException) -> str:
    """Return the status of what went wrong on the way."""
    if isinstance(error, Broken):
        return error.status
    if isinstance(error, Blocked):
        return "blocked_address"
    if isinstance(error, NameUnknown):
        return "dns"
    return "timeout" if isinstance(error, TimeoutError) else "connection"


def headers(options: FetchOptions, contact: str) -> list[str]:
    """Return what is sent with every request: who we are, and our contact."""
    agent = f"{options.user_agent} ({contact})" if contact else options.user_agent
    sent = [f"User-Agent: {agent}", "Accept: image/*, */*;q=0.8", "Accept-Encoding: identity"]
    return [*sent, f"From: {contact.removeprefix('mailto:')}"] if contact.startswith("mailto:") else sent
