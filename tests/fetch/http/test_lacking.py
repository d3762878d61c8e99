"""What this process lacks is no host's fault: no image is settled by it, and nobody waits for an answer that cannot come."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

import pycurl
import pytest

from pmd.errors import PmdError
from pmd.fetch.http import addresses, broken
from pmd.fetch.http.resolver import Resolver, Route
from pmd.fetch.lane.engine import Lane
from tests.fetch.conftest import HASTE, Web, image_row, options, reply, table
from tests.fetch.hostile import JPEG


class Refuses(Executor):
    """Starts no thread."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("can't start new thread")


def asked(resolver: Resolver, times: int) -> list[Route | BaseException]:
    """Ask for a name, some times; return what came of each."""

    async def ask() -> list[Route | BaseException]:
        return [
            (await asyncio.wait_for(asyncio.gather(resolver.route("http", "a.test", 80), return_exceptions=True), 10))[
                0
            ]
            for _ in range(times)
        ]

    return asyncio.run(ask())


def resolver_of(lookup: Any, threads: Executor) -> Resolver:
    return Resolver(addresses.AddressPolicy(), addresses.Routes({}), threads, lookup)


@pytest.mark.parametrize(
    "lacking",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
        MemoryError(),
    ],
)
def test_a_name_is_asked_for_again_where_it_was_this_process_that_could_not(lacking: BaseException) -> None:
    answers: list[Any] = [lacking, ["93.184.216.34"]]

    def lookup(_: str) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return list(answer)

    with ThreadPoolExecutor(1) as threads:
        first, second = asked(resolver_of(lookup, threads), 2)
    assert first is lacking
    assert isinstance(second, Route)


def test_the_systems_resolver_does_not_say_that_no_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(_: str) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with ThreadPoolExecutor(1) as threads:
        (found,) = asked(resolver_of(lookup, threads), 1)
        assert isinstance(found, addresses.NameUnknown)
        real = os.open

        def opened(path: Any, *args: Any, **named: Any) -> int:
            if path == os.devnull:
                raise OSError(errno.EMFILE, "Too many open files")
            return real(path, *args, **named)

        monkeypatch.setattr(os, "open", opened)
        (found,) = asked(resolver_of(lookup, threads), 1)
    assert isinstance(found, OSError)
    assert found.errno == errno.EMFILE


def test_nobody_waits_for_a_thread_that_was_not_started() -> None:
    found = asked(resolver_of(lambda _: ["93.184.216.34"], Refuses()), 2)
    assert [str(each) for each in found] == ["can't start new thread"] * 2


def test_what_libcurl_lacks_is_no_answer_of_the_hosts() -> None:
    assert isinstance(broken.of(pycurl.error(pycurl.E_OUT_OF_MEMORY, "Out of memory")), MemoryError)
    gone = broken.of(pycurl.error(pycurl.E_SSL_CACERT_BADFILE, "error adding trust anchors from file: /tmp/x"))
    assert isinstance(gone, PmdError)
    assert "TMPDIR" in (gone.remedy or "")
    assert isinstance(broken.of(pycurl.error(pycurl.E_COULDNT_CONNECT, "Failed to connect")), broken.Broken)


@pytest.mark.parametrize("where", ["pmd.fetch.lane.judging.judge_at_once", "pmd.fetch.lane.engine.Line.begin"])
@pytest.mark.parametrize("lacking", [MemoryError("no more"), RuntimeError("can't start new thread")])
def test_a_lane_ends_with_what_it_lacks(
    web: Web, monkeypatch: pytest.MonkeyPatch, lacking: Exception, where: str
) -> None:
    web.routes["a.test/x.jpg"] = reply(JPEG)

    def refused(*_: Any, **__: Any) -> Any:
        raise lacking

    with Lane(options(web, robots=False), contact="", patience=HASTE) as lane:
        monkeypatch.setattr(where, refused)
        with pytest.raises(type(lacking), match=str(lacking)):
            list(lane.fetch(table(image_row("a", "http://a.test/x.jpg"))))
        monkeypatch.undo()
        assert [fetched.status for fetched in lane.fetch(table(image_row("a", "http://a.test/x.jpg")))] == ["ok"]
