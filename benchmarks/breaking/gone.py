"""A relay before a server of this machine that goes away for a while: it takes no connection, and breaks those that stand.

It may also be as far away as a store is: then each answer comes later.

It runs in a process of its own, since whoever starts it may have to stay free of threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HOST: Final = "127.0.0.1"
_BLOCK: Final = 1 << 16
_FOLDER: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Relay:
    """A relay that runs: its process."""

    pid: int

    def go(self) -> None:
        """Have it be gone for its time, from now on."""
        os.kill(self.pid, signal.SIGUSR1)


@contextlib.contextmanager
def relayed(seconds: float, port: int, late_s: float = 0.0) -> Iterator[tuple[Relay, int]]:
    """Run a relay before a port; give it and its own port.

    Args:
        seconds: For how long it is gone when it is told to.
        port: The server's.
        late_s: By how many seconds answers come later.
    """
    command = [sys.executable, "-m", __name__, str(seconds), str(port), str(late_s)]
    with subprocess.Popen(command, cwd=_FOLDER, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Relay(process.pid), int(process.stdout.readline())
        finally:
            process.kill()


class _Relaying:
    def __init__(self, seconds: float, port: int, late_s: float) -> None:
        self._seconds, self._port, self._late_s = seconds, port, late_s
        self._open = set[asyncio.StreamWriter]()
        self._told = asyncio.Event()

    async def serve(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._told.set)
        server = await asyncio.start_server(self._join, _HOST, 0)
        own = server.sockets[0].getsockname()[1]
        print(own, flush=True)
        while await self._told.wait():
            self._told.clear()
            server.close()
            for writer in [*self._open]:
                writer.transport.abort()
            await asyncio.sleep(self._seconds)
            server = await asyncio.start_server(self._join, _HOST, own)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            behind, to_behind = await asyncio.open_connection(_HOST, self._port)
            self._open |= {writer, to_behind}
            await asyncio.gather(self._hand_on(reader, to_behind, 0.0), self._hand_on(behind, writer, self._late_s))
            self._open -= {writer, to_behind}
        writer.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late_s: float) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(_BLOCK):
                if late_s:
                    await asyncio.sleep(late_s)
                writer.write(block)
                await writer.drain()
        writer.close()


if __name__ == "__main__":
    asyncio.run(_Relaying(float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])).serve())
