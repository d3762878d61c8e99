"""Whether an origin's files allow that a URL is asked for: robots.txt (RFC 9309), and TDMRep's tdmrep.json."""

from __future__ import annotations

import asyncio
import datetime
import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple

from pmd.config.options import FetchOptions
from pmd.fetch.clock import Clock
from pmd.fetch.http.addresses import Target
from pmd.fetch.http.answer import Answer, Ended
from pmd.fetch.http.gate import Gate
from pmd.fetch.http.site_files import SiteFiles
from pmd.fetch.politeness import robots, tdmrep
from pmd.fetch.politeness.hosts import Hosts

#: Origins of which it is remembered that they say nothing; all are judged again where there are more.
_SILENT: Final = 16_384


class Permission:
    """Heeds what origins say of their URLs.

    Args:
        files: Asks for them.
        gate: Tells whether a host has a name: none is asked for the files of one that has not.
        hosts: Told what distance between requests robots.txt wants.
        options: Which files are heeded.
        agent: Product token for robots.txt.
        threads: For verdicts that take long.
        clock: Tells whether what is known is fresh.
    """

    def __init__(
        self,
        files: SiteFiles,
        gate: Gate,
        hosts: Hosts,
        options: FetchOptions,
        agent: str,
        threads: Executor,
        clock: Clock,
    ) -> None:
        self._files = files
        self._gate = gate
        self._hosts = hosts
        self._options = options
        self._agent = agent
        self._threads = threads
        self._clock = clock
        self._silent: dict[tuple[object, ...], _Silent] = {}  # by scheme, host and port

    async def require(self, answer: Answer, target: Target) -> None:
        """Check what can be checked before a request: that the host has a name, robots.txt and TDMRep's file.

        Args:
            answer: Gets the verdict and its evidence.
            target: What would be asked for.

        Raises:
            Ended: One of them says no.
        """
        answer.asked, answer.answered = (target.host, target.port), False
        now = self._clock()
        silent = self._silent.get(target[1:4])
        if silent is not None and silent.since <= now < silent.until and self._stands(silent):
            answer.policy, answer.policy_evidence = "allowed", silent.evidence
            return
        if self._gate.named_now(target) is None:
            await self._gate.named(target)
        origin, path = target.origin, target.path
        policy = _fresh(self._files.known_robots(origin), now) if self._options.robots else None
        reserved = _fresh(self._files.known_reservation(origin), now) if self._options.tdmrep else None
        evidence = ["robots.txt is not asked for (fetch.robots = false)"]
        if self._options.robots:
            policy = policy or await self._files.robots_txt(origin)
            found = await self._verdict(
                policy, path, functools.partial(robots.verdict, policy, origin, path, self._agent)
            )
            evidence = [_heeded(answer, policy, found, "robots.txt")]
            self._hosts.keep(target.host, target.port, found.delay_s)
        if self._options.tdmrep:
            reserved = reserved or await self._files.reservation(origin)
            found = await self._verdict(reserved, path, functools.partial(tdmrep.verdict, reserved, origin, path))
            evidence.append(_heeded(answer, reserved, found, "TDMRep"))
        answer.policy, answer.policy_evidence = "allowed", "; ".join(evidence)
        if not (policy and policy.body) and not (reserved and reserved.body):
            self._remember(target, policy, reserved, now, answer.policy_evidence)

    async def _verdict(self, policy: robots.Policy, path: str, decide: Callable[[], robots.Verdict]) -> robots.Verdict:
        if not robots.is_long_work(policy, path):
            return decide()
        return await asyncio.get_running_loop().run_in_executor(self._threads, decide)

    def _remember(
        self,
        target: Target,
        policy: robots.Policy | None,
        reserved: robots.Policy | None,
        now: datetime.datetime,
        evidence: str,
    ) -> None:
        """Remember of an origin that its files say nothing of any path."""
        if len(self._silent) >= _SILENT:
            self._silent.clear()
        asked = [said.when for said in (policy, reserved) if said is not None] or [now]
        since, until = max(asked) - robots.SKEW, min(asked) + robots.FRESH
        self._silent[target[1:4]] = _Silent(since, until, target.origin, policy, reserved, evidence)

    def _stands(self, silent: _Silent) -> bool:
        """Return whether an origin has said nothing since."""
        policy, reserved = silent.policy, silent.reserved
        return (policy is None or self._files.known_robots(silent.origin) is policy) and (
            reserved is None or self._files.known_reservation(silent.origin) is reserved
        )


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


def _fresh(policy: robots.Policy | None, now: datetime.datetime) -> robots.Policy | None:
    return policy if policy is not None and policy.is_fresh(now) else None


def _heeded(answer: Answer, policy: robots.Policy, found: robots.Verdict, who: str) -> str:
    """Return the evidence of a verdict that allows.

    Raises:
        Ended: It does not.
    """
    if not found.allowed:
        answer.policy, answer.policy_evidence, answer.untried = f"denied by {who}", found.evidence, True
        raise Ended(policy.status or "opted_out", found.evidence)
    return found.evidence
