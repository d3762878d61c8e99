"""A lane: the part of a fetch that shares one event loop, its connections, and its share of every host's patience.

One thread runs the event loop (waiting, HTTP, and the verdict on pictures that it takes no decode to judge), `CODEC_THREADS`
threads decode, scale, hash and encode (outside the GIL), and the caller's thread takes results and writes them. An image is one
task; of these only `FetchOptions.concurrency` are under way, from request to handing over, so that neither slow codecs nor a slow
disk pile up bodies. A lane may be given many shards, one after the other or several at once from several threads: what it knows
of hosts serves all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import functools
import queue
import re
import resource
import threading
from collections.abc import Callable, Coroutine, Generator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

import pyarrow as pa

from pmd.config import places
from pmd.config.options import FetchOptions
from pmd.errors import PmdError
from pmd.fetch import network, outcome
from pmd.fetch.clock import Clock, utc_now
from pmd.fetch.http import addresses, client, proxies, resolver
from pmd.fetch.http.answer import Answer
from pmd.fetch.http.client import Client
from pmd.fetch.http.transfers import Transfers
from pmd.fetch.http.trust import Authorities
from pmd.fetch.lane import archives, judging, recording
from pmd.fetch.lane.beginning import Line
from pmd.fetch.lane.images import Image, images_of, is_gone
from pmd.fetch.lane.loop import Calls, Workers
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.ledger.state import WEB_ARCHIVE
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.outcome import Attempt, Fetched
from pmd.fetch.politeness import hosts, robots, shares
from pmd.fetch.politeness.slots import Slot, Slots
from pmd.schema.statuses import BLOCKED_ADDRESS, OK
from pmd.store import shortage

#: Threads that decode and encode in one lane. Measured on two cores: a third one gains nothing.
CODEC_THREADS: Final = 2

#: Files that a lane opens at most, where the system allows it: four times `_KEPT_CONNECTIONS`, and no more than macOS gives to
#: one process.
FILES: Final = 10_240

#: Connections that are kept for the next image of their host, at most.
_KEPT_CONNECTIONS: Final = FILES // 4

_DNS_THREADS: Final = 16
_FILE_THREADS: Final = 2  # read archives, and undo content encodings that were not asked for

#: Seconds in which what is under way may still be settled, when a lane is asked to end; what takes longer is left open.
_GRACE_S: Final = 1.5

#: Images of one call that have a task at a time: enough that slow hosts keep no others waiting, few enough for memory.
_WINDOW: Final = 16_384

#: Of these, those of one place, for each image that may be under way: some of them may wait before they try again.
_WINDOW_OF_PLACE: Final = 4

Progress = Callable[[Fetched], None]


class Fetcher(Protocol):
    """What settles images: a lane, or what stands in its place."""

    @property
    def answered(self) -> bool:
        """Whether any host has answered so far."""

    @property
    def stopping(self) -> bool:
        """Whether it ends soon with what it has, so that nothing more is to be given to it."""

    def fetch(
        self,
        images: pa.Table,
        *,
        generation: int = 0,
        previous: pa.Table | None = None,
        listed: reference_lists.Listed = reference_lists.NO_LISTS,
        progress: Progress | None = None,
    ) -> Generator[Fetched, None, None]:
        """Yield each image settled; see `Lane.fetch`."""


class _Result(NamedTuple):
    fetched: Fetched
    slot: Slot | None


@dataclasses.dataclass(frozen=True)
class _Run:
    """What one call of `Lane.fetch` is made with."""

    generation: int
    #: To the thread that writes: each at once, while its bytes are still at hand in the core's cache.
    results: queue.SimpleQueue[_Result | BaseException | None]
    line: Line


class _Tasks:
    """The tasks of a run's images; made in its loop.

    Args:
        line: Where images wait to be begun.
        ended: Called with each that has ended.

    Attributes:
        left: Those that have not.
        failed: What ended the first that failed.
    """

    def __init__(self, line: Line, ended: Callable[[asyncio.Task[None]], None]) -> None:
        self._line, self._ended = line, ended
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self.left: set[asyncio.Task[None]] = set()
        self.failed: BaseException | None = None

    def begin(self, place: str, image: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin an image of a place."""
        task = asyncio.Task(image, loop=self._loop)
        self.left.add(task)
        task.add_done_callback(functools.partial(self._end, place))
        return task

    async def change(self) -> None:
        """Wait until others are to be begun, none is left, or one has failed."""
        self._changed.clear()
        await self._changed.wait()

    async def end(self) -> None:
        """Cancel those that are left, and wait for them."""
        for task in self.left:
            task.cancel()
        if self.left:
            await asyncio.wait(self.left)

    def _end(self, place: str, task: asyncio.Task[None]) -> None:
        self.left.discard(task)
        self._ended(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed = self.failed or error
        if self._line.end(place) or self.failed is not None or not self.left:
            self._changed.set()


class Lane:
    """One lane of a fetch; a context manager.

    Args:
        options: Limits, politeness, form of the store.
        contact: Who we are: "mailto:…" or a URL; sent with every request.
        lanes: How many lanes share the hosts' patience.
        number: Which of them this is, from 0.
        policies: robots.txt by origin (`pmd.fetch.politeness.policies`); what is learnt is added to it.
        reservations: The same for `pmd.fetch.politeness.tdmrep`.
        patience: How long to wait for hosts.
        lookup: What resolves names.
        clock: The time, for attempts and policies.
        stops: Whether it stops where it seems to be the network that is broken (`pmd.fetch.network`).
        stop: Asks it to end soon: what it was given is then settled in part, and the rest stays open.
        hashed: Whether something asks for perceptual hashes (`asking.who`).
        folder: To which relative archives are relative: the configuration's.
        blocklist: What must not be kept, nor asked for where redirects lead; by default what the options' lists say.

    Raises:
        ConfigError: An option cannot be used.
        InputError: A blocklist cannot be read.
    """

    def __init__(
        self,
        options: FetchOptions,
        *,
        contact: str,
        lanes: int = 1,
        number: int = 0,
        policies: MutableMapping[str, robots.Policy] | None = None,
        reservations: MutableMapping[str, robots.Policy] | None = None,
        patience: hosts.Patience | None = None,
        lookup: resolver.Lookup = resolver.system_lookup,
        clock: Clock = utc_now,
        stops: bool = True,
        stop: Stop | None = None,
        hashed: bool = True,
        folder: str = "",
        blocklist: blocklists.Blocklist | None = None,
    ) -> None:
        self._options = options
        self._folder = folder
        self.hashed = hashed
        self._stop = stop or Stop()
        self._tasks: set[asyncio.Task[Any]] = set()  # of images; of the loop's thread
        self._contact = contact
        self._lanes = lanes
        self._number = number
        self._patience = patience or hosts.Patience()
        self._lookup = lookup
        self._clock = clock
        self._stops = stops
        self._limits = judging.limits_of(options)
        self._form = judging.form_of(options, has_region=False)
        self._form_of_regions = judging.form_of(options, has_region=True)
        self.policies: MutableMapping[str, robots.Policy] = {} if policies is None else policies
        self.reservations: MutableMapping[str, robots.Policy] = {} if reservations is None else reservations
        # Checked here, so that a mistake is met before anything runs.
        self._address_policy = addresses.AddressPolicy.of(options.allow_addresses)
        self._routes = addresses.Routes.of(options.resolve)
        self._proxies = proxies.configured(options.proxy)
        shares.check_lanes(options.per_host, lanes)
        self.blocklist = blocklists.read(options.blocklists) if blocklist is None else blocklist

    def __enter__(self) -> Self:
        _open_more_files()
        self._names = ThreadPoolExecutor(_DNS_THREADS, "dns")
        self._files = ThreadPoolExecutor(_FILE_THREADS, "files")
        self._loop = asyncio.new_event_loop()
        self._calls = Calls(self._loop)
        self._codec = Workers(self._loop, self._calls, CODEC_THREADS)
        self._thread = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._thread.start()
        self._call(self._open())
        self._stop.tell(lambda: self._calls.soon(self._end_soon))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.tell(None)
        self._codec.end()
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._files.shutdown(cancel_futures=True)
        self._names.shutdown(wait=False, cancel_futures=True)  # a lookup can hang, and nobody waits for it

    def fetch(
        self,
        images: pa.Table,
        *,
        generation: int = 0,
        previous: pa.Table | None = None,
        listed: reference_lists.Listed = reference_lists.NO_LISTS,
        progress: Progress | None = None,
    ) -> Generator[Fetched, None, None]:
        """Yield each image settled, in order of completion; where the lane is asked to end, not all of them.

        Args:
            images: `IMAGES`; all locations listed are tried in order until one is ok (`state.wanted` leaves those to try).
            generation: Written into the attempts.
            previous: What stands for these images in the ledger: locations tried before stay in `tried`, and their status
                counts for the image's where they are not tried anew.
            listed: What lists say of them; a location that shows another picture is passed over.
            progress: Called with each, in the caller's thread.

        Raises:
            InputError: An archive is gone.
            NetworkError: The network is broken, by all that is seen.
        """
        line = Line(images_of(images, previous, listed), _WINDOW_OF_PLACE * self._options.concurrency, _WINDOW)
        run = _Run(generation, queue.SimpleQueue(), line)
        future = asyncio.run_coroutine_threadsafe(self._run(run), self._loop)
        ended = False
        try:
            while True:
                taken = run.results.get()
                if taken is None:
                    ended = True
                    return
                if isinstance(taken, BaseException):
                    raise taken
                self._release(taken)
                if progress is not None:
                    progress(taken.fetched)
                yield taken.fetched
        finally:
            future.cancel()
            while not ended and (left := run.results.get()) is not None:
                if isinstance(left, _Result):
                    self._release(left)

    @property
    def answered(self) -> bool:
        """Whether any host has answered so far, whatever it said."""
        return self._hosts.answered

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end soon."""
        return self._stop.asked

    def may_ask(self, asked: Sequence[tuple[Image, str]], *, led: bool = False) -> list[Answer]:
        """Say of each image and URL whether somebody else may ask for it (`Client.may_ask`), in their order.

        Args:
            asked: They.
            led: Whether redirects have led there, and they have been asked for.

        Raises:
            NetworkError: The network is broken, by all that is seen.
            CancelledError: The lane was asked to end.
        """
        return asyncio.run_coroutine_threadsafe(self._check(asked, led=led), self._loop).result()

    def heard(self, said: Sequence[tuple[Image, str, str, str | None]]) -> None:
        """Note what somebody else says of the hosts: of an image and URL the status, and what was told with it.

        Raises:
            NetworkError: The network is broken, by all that is seen.
        """
        asyncio.run_coroutine_threadsafe(self._hear(said), self._loop).result()

    def requests(self) -> dict[str, int]:
        """Return how many requests each domain has had so far."""
        return self._hosts.requests()

    # --- in the loop's thread ---

    async def _open(self) -> None:
        slots = Slots(self._options.concurrency, self._options.max_bytes)
        self._slots = slots
        self._hosts = hosts.Hosts(self._options, self._lanes, self._number, slots, self._patience)
        again_s = [self._patience.backoff(tries + 1, 0.0) for tries in range(self._options.retries)]
        names = resolver.Resolver(self._address_policy, self._routes, self._names, self._lookup, self._proxies, again_s)
        self._authorities = Authorities(self._options.ca_file)
        self._transfers = Transfers(
            self._address_policy,
            client.headers(self._options, self._contact),
            self._authorities.path,
            _KEPT_CONNECTIONS,
        )
        self._client = Client(
            self._transfers,
            names,
            self._hosts,
            self._options,
            re.split("[/ ]", self._options.user_agent, maxsplit=1)[0],
            self.policies,
            self.reservations,
            self._files,
            self._clock,
            lambda: self._stop.asked,
            lambda: self._stop.pauses,
            self.blocklist.is_kept_out,
        )

    async def _close(self) -> None:
        await self._client.close()
        self._transfers.close()
        self._authorities.close()

    async def _run(self, run: _Run) -> None:
        """Settle all images of a run, a task for each; the first that fails ends the others.

        As a `TaskGroup` does, with one callback a task in the place of two.
        """
        line, tasks = run.line, _Tasks(run.line, self._let_go)
        try:
            while not (line.is_empty or self._stop.asked or tasks.failed):
                for image in line.begin():
                    self._tasks.add(tasks.begin(image.place, self._image(image, run)))
                if not line.is_empty:
                    await tasks.change()
            while tasks.left and not tasks.failed:
                await tasks.change()
        except Exception as error:  # noqa: BLE001  told to whoever waits for results, as what ends an image's task is
            tasks.failed = tasks.failed or error
        finally:
            try:
                await tasks.end()
            finally:
                if tasks.failed is not None:
                    run.results.put(_in_words(tasks.failed))
                run.results.put(None)

    def _let_go(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._client.sent.discard(task)

    def _end_soon(self) -> None:
        """Drop the images that nobody was asked for yet, and soon the others."""
        self._client.ask_no_more()
        for task in self._tasks - self._client.sent:
            task.cancel()
        self._loop.call_later(_GRACE_S, self._drop)

    def _drop(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    async def _check(self, asked: Sequence[tuple[Image, str]], *, led: bool) -> list[Answer]:
        turns = asyncio.Semaphore(self._options.concurrency)

        async def check(image: Image, url: str) -> Answer:
            async with turns:
                answer = await self._client.may_ask(url, led=led)
                self._unreached(image, answer)
                return answer

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(check(image, url)) for image, url in asked]
                self._tasks.update(tasks)
                for task in tasks:
                    task.add_done_callback(self._tasks.discard)
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _hear(self, said: Sequence[tuple[Image, str, str, str | None]]) -> None:
        for image, url, status, error in said:
            target = addresses.parse(url)
            if status not in network.SIGNS:
                self._hosts.reached(target.host, target.port)
            elif not image.was_unreached:
                self._hosts.unreached(target.host, status, error)

    async def _image(self, image: Image, run: _Run) -> None:
        attempts: list[Attempt] = []
        found: _Result | None = None
        asks = run.line.asks(image.place)
        for number, (kind, url) in enumerate(image.locations):
            if kind == WEB_ARCHIVE and not is_gone(image, attempts):
                continue
            chance = _chance(image.image_id, number)
            if kind == "archive":
                found = await self._from_archive(image, url, run, attempts)
            else:
                found = await self._from_web(image, url, run, attempts, chance, asks if not number else client.never)
            if found is not None or (attempts and attempts[-1].status == blocklists.STATUS):
                break
        asks.end()
        run.results.put(found or _Result(recording.lost(image, attempts), None))

    async def _from_web(
        self, image: Image, url: str, run: _Run, attempts: list[Attempt], chance: float, last: client.Last
    ) -> _Result | None:
        """Try one URL, and again where that may help."""
        for tries in range(self._options.retries + 1):
            when = self._clock()
            answer = await self._client.get_image(url, chance, last)
            fetched = await self._settled(image, url, run, attempts, when, answer)
            if fetched is not None:
                return _Result(fetched, answer.slot)
            answer.free()
            self._unreached(image, answer)
            status = attempts[-1].status
            if status not in outcome.RETRIED or answer.untried:
                return None
            if tries < self._options.retries and status != "rate_limited":  # that pauses the whole host
                await asyncio.sleep(self._patience.backoff(tries + 1, chance))
        self._client.unreachable(answer)
        return None

    def _unreached(self, image: Image, answer: Answer) -> None:
        """Note a host that was not reached.

        Raises:
            NetworkError: It is the network.
        """
        if not self._stops or answer.answered or image.was_unreached or answer.asked is None:
            return
        if answer.http_status is not None:  # of the host that led there: one alone may lead to any number that are gone
            return
        host, _ = answer.asked
        leads_inside = answer.status == BLOCKED_ADDRESS and addresses.literal(host) is None
        if answer.status in network.SIGNS or leads_inside:
            self._hosts.unreached(host, answer.status, answer.error)

    async def _from_archive(self, image: Image, url: str, run: _Run, attempts: list[Attempt]) -> _Result | None:
        slot: Slot | None = await self._slots.take()
        try:
            when = self._clock()
            started = self._loop.time()
            place = places.placed(url, self._folder)
            member = await self._loop.run_in_executor(self._files, archives.read, place, self._options.max_bytes)
            answer = Answer(member.status, member.content, error=member.error, seconds=self._loop.time() - started)
            fetched = await self._settled(image, url, run, attempts, when, answer)
            if fetched is None:
                return None
            result, slot = _Result(fetched, slot), None
            return result
        finally:
            if slot is not None:
                slot.release()

    async def _settled(
        self, image: Image, url: str, run: _Run, attempts: list[Attempt], when: datetime.datetime, answer: Answer
    ) -> Fetched | None:
        """Note what came of a location; return what came of the image, where that is its picture."""
        judged = await self._judged(image, answer)
        attempts.append(recording.attempt_of(image, url, run.generation, when, answer, judged))
        if judged is None or judged.prepared.inspected.status != OK:
            return None
        return recording.settled(image, url, attempts, judged)

    async def _judged(self, image: Image, answer: Answer) -> judging.Judged | None:
        if answer.content is None:
            return None
        form = self._form_of_regions if image.has_region else self._form
        asked = (answer.content, self._limits, form, self.blocklist, image.known)
        try:
            # What takes less than a thread's call is not given to one.
            judged = judging.judge_at_once(*asked, hashed=self.hashed)
            judge = functools.partial(judging.judge, *asked, hashed=self.hashed, of_cut=answer.of_cut)
            return judged or await self._codec.run(judge)
        except BaseException:
            answer.free()
            raise

    # --- between the threads ---

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _release(self, result: _Result) -> None:
        if result.slot is not None:
            self._calls.soon(result.slot.release)


def _chance(image_id: bytes, number: int) -> float:
    """Return the share of jitter of an image's location, in [0, 1): of its key, which is a hash, and another for the next."""
    return (int.from_bytes(image_id[:4], "big") + number * _APART) % 2**32 / 2**32


#: By how much shares of one image differ, of 2^32: the golden ratio, so that no two are near each other.
_APART: Final = 0x9E37_79B9


def _open_more_files() -> None:
    """Let this process open as many files as a lane may need: each connection is one, and shells allow 1,024 or fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _in_words(error: BaseException) -> BaseException:
    """Return an error as the user is to be told of it."""
    if not (isinstance(error, OSError) and error.errno in shortage.OUT_OF_FILES):
        return error
    return PmdError(
        "this process may not open more files",
        where="fetch",
        found=str(error),
        expected="a file for each connection",
        remedy="raise the limit (ulimit -Hn, LimitNOFILE), or lower fetch.concurrency; then run the same command again",
    )
