"""A lane is asked to end soon, with what it has: nothing new is begun, what is settled is committed."""

from __future__ import annotations

from collections.abc import Callable


class Stop:
    """Whether a lane is to end soon. It may be asked to from any thread, and from a signal's handler."""

    def __init__(self) -> None:
        self.asked = False
        self._tell: Callable[[], None] | None = None

    def ask(self) -> None:
        """Ask to end; a second time does nothing."""
        if not self.asked:
            self.asked = True
            if self._tell is not None:
                self._tell()

    def tell(self, call: Callable[[], None] | None) -> None:
        """Have something called when it is asked, at once where it was already; None: nothing any more."""
        self._tell = call
        if self.asked and call is not None:
            call()
