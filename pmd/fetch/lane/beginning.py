"""Which images are begun when: of each place only as many as keep it busy, and of all only so many. No loop, no socket.

An image that is begun is a task, and one that only waits for its host to be free is a task for nothing: each waits for the
same robots.txt and the same connections, and is looked through whenever garbage is collected.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator
from typing import Final

from pmd.fetch.lane.images import Image

#: Part of a place's images that is left when the next are begun: together, since what is done in one go costs less.
_LEFT: Final = 0.5


class Line:
    """Images that wait to be begun, each behind those of its place.

    Args:
        images: In the order in which places are opened, and each place's begun.
        of_place: How many of a place may be begun and not ended.
        of_all: How many of all.
    """

    def __init__(self, images: Iterable[Image], of_place: int, of_all: int) -> None:
        self._of_place = of_place
        self._of_all = of_all
        self._few = int(of_place * _LEFT)
        self._waiting: dict[str, collections.deque[Image]] = {}
        for image in images:
            self._waiting.setdefault(image.place, collections.deque()).append(image)
        self._next = collections.deque(self._waiting)  # places that have few begun, or none yet
        self._begun: collections.Counter[str] = collections.Counter()
        self._unasked: collections.Counter[str] = collections.Counter()  # of those begun, that have not asked yet
        self._all = 0

    @property
    def is_empty(self) -> bool:
        """Whether all are begun."""
        return not self._waiting

    def begin(self) -> Iterator[Image]:
        """Yield those that are to be begun now."""
        while self._next and self._all < self._of_all:
            place = self._next.popleft()
            waiting = self._waiting[place]
            count = min(len(waiting), self._of_place - self._begun[place], self._of_all - self._all)
            self._begun[place] += count
            self._unasked[place] += count
            self._all += count
            for _ in range(count):
                yield waiting.popleft()
            if not waiting:
                del self._waiting[place]
            elif self._begun[place] <= self._few:  # there is no room for more
                self._next.appendleft(place)

    def asks(self, place: str) -> Asks:
        """Return what notes that an image of a place, which is begun, asks its host."""
        return Asks(self, place)

    def end(self, place: str) -> bool:
        """Note that an image of a place has ended; return whether others are to be begun."""
        self._begun[place] -= 1
        self._all -= 1
        if not self._begun[place]:
            del self._begun[place], self._unasked[place]
        if place in self._waiting and self._begun[place] == self._few:
            self._next.append(place)
        return bool(self._next)

    def _ask(self, place: str) -> None:
        self._unasked[place] -= 1

    def _is_last(self, place: str) -> bool:
        return self._unasked[place] <= 0 and place not in self._waiting


class Asks:
    """Notes that an image asks the host of its place; called before each of its requests.

    Args:
        line: In which it is.
        place: Its own.
    """

    __slots__ = ("_line", "_noted", "_place")

    def __init__(self, line: Line, place: str) -> None:
        self._line, self._place, self._noted = line, place, False

    def __call__(self) -> bool:
        """Return whether all images of the place have asked, so that its host is asked nothing more unless a request fails."""
        self.end()
        return self._line._is_last(self._place)

    def end(self) -> None:
        """Note that it asks nothing more that has not been noted."""
        if not self._noted:
            self._noted = True
            self._line._ask(self._place)
