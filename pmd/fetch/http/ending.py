"""What ends the asking for a URL, as the status of its answer."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

import pycurl

from pmd.fetch import outcome
from pmd.fetch.http.addresses import Blocked, NameUnknown
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.broken import Broken
from pmd.schema.statuses import OK
from pmd.store import shortage

_FAILURES: Final = (
    OSError,  # with TimeoutError, Blocked, NameUnknown, Broken
    # What libraries on the way raise at what hosts send: of a URL or a name that is none. It is that image's end, not the run's.
    ValueError,
    RuntimeError,
    pycurl.error,
)


async def run(answer: Answer, exchange: Awaitable[None]) -> None:
    """Run an exchange; whatever ends it becomes the answer's status, with its evidence.

    Raises:
        OSError, RuntimeError: It is this process that lacks something (`shortage.is_ours`).
    """
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


def _status_of_failure(error: BaseException) -> str:
    """Return the status of what went wrong on the way."""
    if isinstance(error, Broken):
        return error.status
    if isinstance(error, Blocked):
        return "blocked_address"
    if isinstance(error, NameUnknown):
        return "dns"
    return "timeout" if isinstance(error, TimeoutError) else "connection"
