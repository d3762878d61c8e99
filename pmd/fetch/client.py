"""One URL asked for once: redirects by hand, every check again at each hop, headers before bodies, all of it bounded.

The order at each hop: scheme and address, placeholder, name, robots.txt, TDMRep, the host's turn, the request, the
status, X-Robots-Tag and TDMRep's header, the first bytes, the rest. What fails is a status with its evidence, never an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import errno
import functools
import ssl
import zlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import Executor
from typing import Any, Final

import aiohttp
import yarl
from aiohttp import http_exceptions

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.fetch import addresses, hosts, outcome, robots, tdmrep
from pmd.fetch.addresses import Blocked, NameUnknown, Target
from pmd.fetch.connections import Connector
from pmd.fetch.hosts import CircuitOpen, Hosts, Paused, Slot, Turn
from pmd.fetch.resolver import Resolver
from pmd.schema.statuses import OK

Clock = Callable[[], datetime.datetime]

#: Of an answer that is of no use, this much is read so that its connection can be kept; beyond it, hanging up is
#: cheaper.
_DRAIN_BYTES: Final = 64 * 1024
_DRAIN_S: Final = 1.0

#: Bytes that tell the format (`codec.sniff`).
_HEAD_BYTES: Final = 64

#: Redirects of a robots.txt that are followed (RFC 9309 §2.3.1.2: at least five); TDMRep names no number.
_FILE_REDIRECTS: Final = 5

#: Seconds that a connection is kept for its host's next image, which comes within 1.1 s where there is one. Where every
#: image has a host of its own, connections stay open twice as long at most: at 160 images a second, 640 of them.
_KEEPALIVE_S: Final = 2.0

#: What it looks like when this process has no file left to open.
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})

_ROBOTS_PATH: Final = "/robots.txt"

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32
#: Content codings one inside the other that are undone; curl has the same number.
_MOST_CODINGS: Final = 5
_PIECE: Final = 1 << 16

#: Bytes that are read of one header, or of the line before them, and how many headers of an answer. Browsers read 256 kB in all;
#: servers send some 8 kB a line, and more where they put policies (Content-Security-Policy) or sessions into them.
_HEADER_BYTES: Final = 100 * 1024
_HEADERS: Final = 256


@dataclasses.dataclass(slots=True)
class Answer:
    """What came of asking for a URL once.

    Attributes:
        status: One of `pmd.schema.statuses`; ok means that `content` is an image by its first bytes.
        content: The body, decoded from a content encoding.
        slot: Held while `content` is; the caller releases it.
        seconds: Time on the network, waiting for turns left out.
        asked: Host and port last asked.
        answered: It answered something.
        untried: It was not asked: robots.txt denies it, the circuit is open, or the host is paused.
    """

    status: str
    content: bytes | None = None
    slot: Slot | None = None
    http_status: int | None = None
    final_url: str | None = None
    headers: str | None = None
    policy: str | None = None
    policy_evidence: str | None = None
    error: str | None = None
    seconds: float = 0.0
    asked: tuple[str, int] | None = None
    answered: bool = False
    untried: bool = False

    def free(self) -> None:
        """Let go of the content and what it holds."""
        slot, self.slot, self.content = self.slot, None, None
        if slot is not None:
            slot.release()


class _Ended(Exception):
    """Ends an exchange with a status."""

    def __init__(self, status: str, error: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.error = error


class Client:
    """Asks for URLs.

    Args:
        session: With `resolver` inside; see `open_session`.
        resolver: Checks addresses.
        hosts: Gives turns.
        options: Limits.
        agent: Product token for robots.txt and X-Robots-Tag.
        policies: What is known of robots.txt by origin; what is learnt is added.
        reservations: The same for TDMRep's file.
        threads: For decompressing.
        clock: For dates in headers and policies.
        began: When the run began (`robots.Policy.is_fresh`).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        resolver: Resolver,
        hosts: Hosts,
        options: FetchOptions,
        agent: str,
        policies: MutableMapping[str, robots.Policy],
        reservations: MutableMapping[str, robots.Policy],
        threads: Executor,
        clock: Clock,
        began: datetime.datetime,
    ) -> None:
        self._session = session
        self._resolver = resolver
        self._hosts = hosts
        self._options = options
        self._agent = agent
        self._policies = policies
        self._reservations = reservations
        self._threads = threads
        self._clock = clock
        self._began = began
        self._asking: dict[str, asyncio.Task[robots.Policy]] = {}
        self._ends = False
        #: Tasks that have sent a request and have not ended.
        self.sent: set[asyncio.Task[Any]] = set()

    def ask_no_more(self) -> None:
        """Send no request any more: a task that would is cancelled."""
        self._ends = True

    async def get_image(self, url: str, chance: float) -> Answer:
        """Ask for an image.

        Args:
            url: As upstream writes it.
            chance: In [0, 1): this image's share of jitter.
        """
        answer = Answer(OK)
        await self._ending(answer, self._exchange(answer, url, chance))
        return answer

    async def may_ask(self, url: str) -> Answer:
        """Check a URL for which somebody else will ask; ok where nothing that can be known before speaks against it.

        `final_url` is the URL in the form that was checked. Whoever asks may take any address that its name has, so
        every one of them must be allowed.
        """
        answer = Answer(OK)
        await self._ending(answer, self._checked_for_others(answer, url))
        return answer

    async def _checked_for_others(self, answer: Answer, url: str) -> None:
        target = await self._checked(answer, url, None)
        await self._resolver.require_all(target.host)

    async def _checked(self, answer: Answer, url: str, base: str | None) -> Target:
        """Return what a URL names, once all is checked that can be before a request.

        Raises:
            _Ended: Something speaks against it.
        """
        target = addresses.parse(url, base)
        answer.final_url = target.url
        source = outcome.placeholder_of(target.host, target.path.partition("?")[0])
        if source is not None:
            raise _Ended("placeholder", source)
        await self._may_ask(answer, target)
        return target

    async def _ending(self, answer: Answer, exchange: Awaitable[None]) -> None:
        """Run an exchange; whatever ends it becomes the answer's status."""
        try:
            await exchange
        except _Ended as ended:
            answer.status, answer.error = ended.status, ended.error and ended.error[: outcome.EVIDENCE_LENGTH]
        except _FAILURES as error:
            if is_ours(error):
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

    async def _exchange(self, answer: Answer, url: str, chance: float) -> None:
        base: str | None = None
        for _ in range(self._options.max_redirects + 1):
            target = await self._checked(answer, url, base)
            location = await self._hop(answer, target, chance)
            if location is None:
                return
            url, base = location, target.url
        raise _Ended("too_many_redirects", f"more than {self._options.max_redirects}")

    async def _may_ask(self, answer: Answer, target: Target) -> None:
        """Check what can be checked before a request: the address, robots.txt and TDMRep's file.

        Raises:
            _Ended: One of them says no.
        """
        answer.asked, answer.answered = (target.host, target.port), False
        await self._named(target)
        asked = (target.origin, target.path)
        evidence = ["robots.txt is not asked for (fetch.robots = false)"]
        if self._options.robots:
            policy = await self._site_file(self._policies, target.origin, _ROBOTS_PATH)
            found = await self._verdict(policy, target, lambda: robots.verdict(policy, *asked, self._agent))
            evidence = [_heeded(answer, policy, found, "robots.txt")]
        if self._options.tdmrep:
            reserved = await self._site_file(self._reservations, target.origin, tdmrep.PATH)
            found = await self._verdict(reserved, target, lambda: tdmrep.verdict(reserved, *asked))
            evidence.append(_heeded(answer, reserved, found, "TDMRep"))
        answer.policy, answer.policy_evidence = "allowed", "; ".join(evidence)

    async def _verdict(
        self, policy: robots.Policy, target: Target, decide: Callable[[], robots.Verdict]
    ) -> robots.Verdict:
        """Return a verdict; one that may take long is a thread's work."""
        if not robots.is_long_work(policy, target.path):
            return decide()
        return await asyncio.get_running_loop().run_in_executor(self._threads, decide)

    async def _named(self, target: Target) -> None:
        if self._resolver.answers_at_once(target.host, target.port):
            await self._resolver.endpoints(target.host, target.port)
            return
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await self._resolver.endpoints(target.host, target.port)
        except TimeoutError:
            raise NameUnknown(f"{target.host}: no answer in {self._options.timeout_s:g} s") from None

    async def _hop(self, answer: Answer, target: Target, chance: float) -> str | None:
        """Make one request; return where it redirects to, or None when the answer is complete."""
        turn = await self._turn(answer, target)
        task = asyncio.current_task()
        if task is not None and task not in self.sent:
            self.sent.add(task)
            task.add_done_callback(self.sent.discard)
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.001, self._options.timeout_s - answer.seconds)) as deadline:
                async with self._request(target) as response:
                    answer.answered = True
                    self._hosts.reached(target.host, target.port)
                    return await self._read(answer, target, response, turn, deadline, chance)
        finally:
            answer.seconds += asyncio.get_running_loop().time() - started
            turn.hang_up()
            if answer.slot is None:
                turn.leave()

    async def _turn(self, answer: Answer, target: Target) -> Turn:
        """Wait for leave to send a request.

        Raises:
            _Ended: The host is given up, or wants to be left alone for longer than we wait.
            CancelledError: No request is to be sent any more.
        """
        try:
            turn = await self._hosts.group(target.host).turn(self._hosts.circuit(target.host, target.port))
        except Paused as paused:
            answer.untried = True
            raise _Ended("rate_limited", f"not asked: {paused}") from None
        except CircuitOpen as given_up:
            answer.untried = True
            raise _Ended(given_up.status, f"not asked: {given_up}") from None
        if self._ends:
            turn.leave()
            raise asyncio.CancelledError
        return turn

    def _request(self, target: Target) -> aiohttp.client._RequestContextManager:
        return self._session.get(yarl.URL(target.url, encoded=True), allow_redirects=False)

    async def _read(
        self,
        answer: Answer,
        target: Target,
        response: aiohttp.ClientResponse,
        turn: Turn,
        deadline: asyncio.Timeout,
        chance: float,
    ) -> str | None:
        answer.http_status = response.status
        answer.headers = outcome.evidence(response.headers)
        group = self._hosts.group(target.host)
        if outcome.is_redirect(response.status):
            group.served()
            await _drain(response)
            location = response.headers.get("Location")
            if not location:
                raise _Ended("too_many_redirects", "a redirect without a target")
            return addresses.location(location)
        status = outcome.status_of_http(response.status)
        if status == "rate_limited":
            group.refused(
                turn.sent_at, outcome.retry_after_s(response.headers.get("Retry-After"), self._clock()), chance
            )
        else:
            group.served()
        if status != OK:
            await _drain(response)
            raise _Ended(status, f"HTTP {response.status}")
        # A web archive (Wayback, pywb) tells under this prefix what the host itself said then.
        said = [
            tag for prefix in ("", "X-Archive-Orig-") for tag in response.headers.getall(f"{prefix}X-Robots-Tag", [])
        ]
        tag = outcome.denying_tag(said, self._agent)
        if tag is not None:
            answer.policy, answer.policy_evidence = "denied by X-Robots-Tag", f"X-Robots-Tag: {tag}"
            response.close()
            raise _Ended("opted_out", answer.policy_evidence)
        if self._options.tdmrep:
            reserved = tdmrep.reserving_header(
                response.headers.getall("tdm-reservation", []), response.headers.getall("tdm-policy", [])
            )
            if reserved is not None:
                answer.policy, answer.policy_evidence = "denied by TDMRep", reserved
                response.close()
                raise _Ended("opted_out", reserved)
        answer.slot = turn.slot
        answer.content = await self._body(response, turn.slot, deadline)
        return None

    async def _body(self, response: aiohttp.ClientResponse, slot: Slot, deadline: asyncio.Timeout) -> bytes:
        """Read a body that is an image by its first bytes.

        Raises:
            _Ended: It is too large, or none.
        """
        limit = self._options.max_bytes
        length = response.content_length
        if length is not None and length > limit:
            response.close()
            raise _Ended("too_large", f"Content-Length {length} over {limit}")
        codings = _codings(response.headers.getall("Content-Encoding", []))
        plain = not codings
        reserved = length if length is not None and plain else hosts.UNKNOWN_BYTES
        await _reserved(deadline, slot, reserved)
        body = bytearray()
        judged = not plain
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > limit:
                response.close()
                raise _Ended("too_large", f"over {limit} bytes")
            if not judged and len(body) >= _HEAD_BYTES:
                judged = True
                if codec.sniff(bytes(body[:_HEAD_BYTES])) is None:
                    await _drain(response)
                    raise _Ended("not_an_image", _begins(body, response))
            if len(body) > reserved:
                reserved = limit
                await _reserved(deadline, slot, reserved)
        if not plain:
            await _reserved(deadline, slot, limit)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _decompressed, bytes(body), codings, limit)
        if codec.sniff(bytes(body[:_HEAD_BYTES])) is None:
            raise _Ended("not_an_image", _begins(body, response))
        return bytes(body)

    def unreachable(self, answer: Answer) -> None:
        """Note an image for which all tries are used up: a host that never answered comes closer to an open circuit."""
        if answer.asked is not None and not answer.answered and answer.status in _UNREACHABLE:
            self._hosts.circuit(*answer.asked).failed(answer.status)

    # --- robots.txt and tdmrep.json ---

    async def _site_file(self, known: MutableMapping[str, robots.Policy], origin: str, path: str) -> robots.Policy:
        """Return what an origin's file says, asked for by one image for all of them."""
        policy = known.get(origin)
        if policy is not None and policy.is_fresh(self._clock(), self._began):
            return policy
        url = origin + path
        task = self._asking.get(url)
        if task is None:
            task = asyncio.create_task(self._learn(known, origin, url))
            self._asking[url] = task
            task.add_done_callback(functools.partial(self._asked, url))
        return await asyncio.shield(task)

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
        missing = url.endswith(tdmrep.PATH) and answer.status == "server_error"  # as the protocol has it
        return robots.Policy(
            when=self._clock(),
            http_status=answer.http_status,
            body=robots.text_of(bytes(body)) if answer.status == OK else "",
            status=None if missing or _is_settled(answer) else answer.status,
            error=answer.error,
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
        raise _Ended("too_many_redirects")

    async def _file_hop(self, answer: Answer, target: Target, body: bytearray) -> str | None:
        group = self._hosts.group(target.host)
        turn = await self._turn(answer, target)
        try:
            async with asyncio.timeout(self._options.timeout_s), self._request(target) as response:
                answer.answered = True
                answer.http_status = response.status
                self._hosts.reached(target.host, target.port)
                if outcome.is_redirect(response.status) and "Location" in response.headers:
                    await _drain(response)
                    return addresses.location(response.headers["Location"])
                status = outcome.status_of_http(response.status)
                if status == "rate_limited":
                    after = outcome.retry_after_s(response.headers.get("Retry-After"), self._clock())
                    group.refused(turn.sent_at, after, 0.0)
                if status != OK:
                    await _drain(response)
                    raise _Ended(status, f"HTTP {response.status}")
                while len(body) < robots.MAX_BYTES and (chunk := await response.content.readany()):
                    body += chunk
                if len(body) >= robots.MAX_BYTES:
                    del body[robots.MAX_BYTES :]
                    response.close()
                return None
        finally:
            turn.leave()


def _heeded(answer: Answer, policy: robots.Policy, found: robots.Verdict, who: str) -> str:
    """Return the evidence of a verdict that allows.

    Raises:
        _Ended: It does not.
    """
    if not found.allowed:
        answer.policy, answer.policy_evidence, answer.untried = f"denied by {who}", found.evidence, True
        raise _Ended(policy.status or "opted_out", found.evidence)
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

_FAILURES: Final = (
    TimeoutError,
    OSError,
    aiohttp.ClientError,
    http_exceptions.HttpProcessingError,
    ssl.SSLError,
    # What libraries on the way raise at what hosts send: of a URL or a name that is none, of a connection that went at the wrong
    # moment (aiohttp's streams). It is that image's end, not the run's.
    ValueError,
    RuntimeError,
)


def is_ours(error: BaseException) -> bool:
    """Return whether it is this process that can open nothing more: that says nothing of the host."""
    found = (error, getattr(error, "os_error", None), error.__cause__)
    return any(isinstance(one, OSError) and one.errno in _OUT_OF_FILES for one in found)


def _status_of_failure(error: BaseException) -> str:
    """Return the status of what went wrong on the way."""
    cause = getattr(error, "os_error", None) or error.__cause__
    if isinstance(error, Blocked) or isinstance(cause, Blocked):
        return "blocked_address"
    if isinstance(error, NameUnknown | aiohttp.ClientConnectorDNSError) or isinstance(cause, NameUnknown):
        return "dns"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return "tls"
    if isinstance(error, aiohttp.InvalidURL):
        return "blocked_address"
    if isinstance(error, aiohttp.ClientResponseError | http_exceptions.HttpProcessingError):
        return "server_error"  # no HTTP, or more of it than is read
    return "connection"


async def _reserved(deadline: asyncio.Timeout, slot: Slot, count: int) -> None:
    """Let an image hold so many bytes; if that takes waiting, the host's deadline stands still."""
    if slot.reserve_now(count):
        return
    loop = asyncio.get_running_loop()
    when, started = deadline.when(), loop.time()
    deadline.reschedule(None)
    await slot.reserve(count)
    if when is not None:
        deadline.reschedule(when + loop.time() - started)


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read what is left of a short answer, so that its connection is kept; hang up on a long one."""
    if (response.content_length or 0) > _DRAIN_BYTES:
        response.close()
        return
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_S):
            while left > 0 and (chunk := await response.content.readany()):
                left -= len(chunk)
    except _FAILURES:
        left = 0  # what was said stands, however the rest of it fares
    if left <= 0:
        response.close()


def _begins(body: bytearray, response: aiohttp.ClientResponse) -> str:
    said = response.headers.get("Content-Type", "no Content-Type")
    return f"{said}, begins with {bytes(body[:16])!r}" if body else f"{said}, no body"


def _codings(values: Sequence[str]) -> list[str]:
    """Return the content codings that a header names, in the order in which they were applied; "identity" is none."""
    named = (coding.strip().lower() for value in values for coding in value[: outcome.EVIDENCE_LENGTH].split(","))
    return [coding for coding in named if coding not in {"", "identity"}]


def _decompressed(body: bytes, codings: Sequence[str], limit: int) -> bytes:
    """Undo content codings, which were sent unasked, until there is an image: what the header says may be a lie.

    Raises:
        _Ended: It grows beyond the limit, is damaged, or holds no image.
    """
    content, damage = body, ""
    for _ in codings[:_MOST_CODINGS]:
        if codec.sniff(content[:_HEAD_BYTES]) is not None:
            return content  # the header was wrong
        content, damage = _inflated(content, limit)
        if len(content) > limit:
            raise _Ended("too_large", f"{len(body)} bytes that decompress to more than {limit}")
    if codec.sniff(content[:_HEAD_BYTES]) is None:
        said = damage or f"begins with {content[:16]!r}"
        raise _Ended("not_an_image", f"Content-Encoding {', '.join(codings)}, which was not asked for; {said}")
    return content


def _inflated(body: bytes, limit: int) -> tuple[bytes, str]:
    """Return what a body decompresses to, up to a byte more than the limit, and what is wrong with it.

    What comes before the damage counts, as in browsers: before a wrong checksum of gzip's, that is all of it.
    """
    damage = ""
    for bits in (_GZIP_OR_ZLIB, -zlib.MAX_WBITS):  # "deflate" is zlib by the book and raw in the wild
        try:
            return zlib.decompressobj(bits).decompress(body, limit + 1), damage
        except zlib.error as error:
            damage = damage or str(error)
            content = _up_to_damage(body, bits, limit)
            if content:
                return content, damage
    return b"", damage


def _up_to_damage(body: bytes, bits: int, limit: int) -> bytes:
    """Return what a damaged body decompresses to before it breaks off."""
    inflating = zlib.decompressobj(bits)
    content = bytearray()
    with contextlib.suppress(zlib.error):
        # Whole pieces first: what a piece with damage in it would have given before is lost.
        for at in range(0, len(body), _PIECE):
            before = inflating.copy()
            try:
                content += inflating.decompress(body[at : at + _PIECE], max(1, limit + 1 - len(content)))
            except zlib.error:
                for place in range(at, at + _PIECE):
                    content += before.decompress(body[place : place + 1], max(1, limit + 1 - len(content)))
            if len(content) > limit:
                break
    return bytes(content)


def open_session(resolver: Resolver, options: FetchOptions, contact: str) -> aiohttp.ClientSession:
    """Return a session that keeps connections, sends no cookies, uses no proxy, and names us and our contact."""
    agent = f"{options.user_agent} ({contact})" if contact else options.user_agent
    headers = {"User-Agent": agent, "Accept": "image/*, */*;q=0.8", "Accept-Encoding": "identity"}
    if contact.startswith("mailto:"):
        headers["From"] = contact.removeprefix("mailto:")
    connector = Connector(
        resolver=resolver,
        use_dns_cache=False,
        limit=0,  # `hosts` bounds connections, by domain
        ssl=_tls(options.ca_file),
        keepalive_timeout=_KEEPALIVE_S,
        socket_factory=resolver.open_socket,
    )
    session = aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        read_bufsize=2**18,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
        max_headers=_HEADERS,
    )
    # aiohttp repeats a request whose connection was dropped, at once and unseen: a request that the host's pace and the
    # attempts would know nothing of. It has no public switch for that; tests/fetch/test_engine.py counts requests.
    session._retry_connection = False
    return session


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
