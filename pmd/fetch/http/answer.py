"""What came of asking for a URL: all that the client says, whichever it is."""

from __future__ import annotations

import dataclasses

from pmd.fetch.politeness.slots import Slot


class Ended(Exception):
    """Ends the asking for a URL with a status."""

    def __init__(self, status: str, error: str | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.error = error


@dataclasses.dataclass(slots=True)
class Answer:
    """What came of asking for a URL once.

    Attributes:
        status: One of `pmd.schema.statuses`; ok means that `content` is an image by its first bytes.
        content: The body, decoded from a content encoding.
        slot: Held while `content` is; the caller releases it.
        of_cut: The status where that is a picture which is cut.
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
    of_cut: str = "undecodable"
    seconds: float = 0.0
    asked: tuple[str, int] | None = None
    answered: bool = False
    untried: bool = False

    def free(self) -> None:
        """Let go of the content and what it holds."""
        slot, self.slot, self.content = self.slot, None, None
        if slot is not None:
            slot.release()
