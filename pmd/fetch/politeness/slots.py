"""Bounds of a lane: how many images are under way, from request to handing over, and what their bodies may take of memory."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import Final

#: Bytes reserved for a body that does not say how long it is, until it proves longer.
UNKNOWN_BYTES: Final = 1 << 20

_BUDGET_BYTES: Final = 256 << 20


class Permits:
    """So many at once, first come, first served: as `asyncio.Semaphore`, but what is free is taken without a coroutine.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._begun: collections.deque[asyncio.Future[None]] = collections.deque()  # these go first

    def take_now(self) -> bool:
        """Take one if that takes no waiting."""
        if not self._free:  # nobody waits while one is free
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Wait for one."""
        if self.take_now():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            raise

    def wish(self, come: Callable[[], None], *, has_begun: bool) -> None:
        """Have something called when there is one for it; what has begun goes before what has not."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn.add_done_callback(lambda _: come())
        (self._begun if has_begun else self._waiting).append(turn)
        if self._free:
            self._free -= 1
            self.give()

    def give(self) -> None:
        """Give one back: to the first who waits, if anybody does."""
        for line in (self._begun, self._waiting):
            while line:
                turn = line.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class Slots:
    """How many images may be under way, and how many bytes of their bodies."""

    def __init__(self, images: int, max_bytes: int) -> None:
        self._images = Permits(images)
        #: Group → its requests under way.
        self.asking: collections.Counter[str] = collections.Counter()
        # Enough for every image to have begun and one to be of full size, so that nobody waits for ever.
        self._free = max(_BUDGET_BYTES, images * UNKNOWN_BYTES + max_bytes)
        self._waiting: collections.deque[tuple[int, asyncio.Future[None]]] = collections.deque()

    async def take(self) -> Slot:
        """Wait for a slot."""
        await self._images.take()
        return Slot(self)

    def take_now(self) -> Slot | None:
        """Take a slot if one is free."""
        return Slot(self) if self._images.take_now() else None

    def wish(self, come: Callable[[Slot], None], *, has_begun: bool) -> None:
        """Have something called with a slot that is free; a host that has begun to be asked goes before those that have not."""
        self._images.wish(lambda: come(Slot(self)), has_begun=has_begun)

    def reserve_now(self, count: int) -> bool:
        """Take bytes if they are free and nobody waits for any."""
        if count > self._free or self._waiting:
            return False
        self._free -= count
        return True

    async def reserve(self, count: int, *, urgent: bool) -> None:
        """Wait for bytes; see `Slot.reserve`."""
        if self.reserve_now(count):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (count, turn)
        # Bodies that have begun go first: only their end frees what they hold.
        self._waiting.appendleft(entry) if urgent else self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._return(count)
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def _return(self, count: int) -> None:
        self._free += count
        while self._waiting and (self._waiting[0][1].cancelled() or self._waiting[0][0] <= self._free):
            wanted, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= wanted
                turn.set_result(None)

    def release(self, count: int) -> None:
        """Give back a slot and its bytes; see `Slot.release`."""
        self._images.give()
        self._return(count)


class Slot:
    """One image under way; released once, when its outcome has been handed over."""

    __slots__ = ("_slots", "bytes")

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots
        self.bytes = 0

    def reserve_now(self, count: int) -> bool:
        """Let this image hold `count` bytes in all, if that takes no waiting."""
        slots = self._slots
        assert slots is not None
        if count > self.bytes:
            if not slots.reserve_now(count - self.bytes):
                return False
            self.bytes = count
        return True

    async def reserve(self, count: int) -> None:
        """Wait until this image may hold `count` bytes in all."""
        slots = self._slots
        assert slots is not None
        more = count - self.bytes
        if more > 0:
            await slots.reserve(more, urgent=self.bytes > 0)
            self.bytes = count

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release(self.bytes)
