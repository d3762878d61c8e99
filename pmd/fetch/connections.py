"""Connections that are kept between requests, and what a host says on them without having been asked.

A host may answer twice. aiohttp keeps the second answer with the idle connection, and takes it for that to the next request:
one picture would stand under another's URL. It also keeps as many as come. It has no public switch for either, so two of its
inner parts are replaced here; tests/fetch/test_hostile.py would tell if another version had them no more.
"""

from __future__ import annotations

import functools
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

#: Answers to one request that may wait to be read: interim ones (RFC 9110 §15.2), of which servers send one or two.
MOST_ANSWERS: Final = 1000


class _Handler(ResponseHandler):
    """Reads a connection, and hangs up on a host that goes on answering."""

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if len(self) > MOST_ANSWERS and self.transport is not None:
            self.transport.abort()
            return
        super().data_received(data)


class Connector(aiohttp.TCPConnector):
    """Opens connections, and gives out none that was spoken on while it was idle."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("functools.partial[ResponseHandler]", functools.partial(_Handler, loop=self._loop))

    async def _get(self, key: Any, traces: list[Any]) -> Any:
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is not None and not kept.protocol.should_close:
                return kept
            kept.close()
        return None
