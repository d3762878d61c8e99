"""Object stores on this machine: moto for S3, fake-gcs-server for Cloud Storage; both on loopback and in memory."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

_P = TypeVar("_P")

KINDS: Final = ("s3", "gs")
BUCKET: Final = "pmd-breaking"
#: Else gcsfs asks for a bucket's kind first, under credentials that it looks for on the network.
OF_GCSFS: Final = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
_FOLDER: Final = Path(__file__).resolve().parents[2]
#: Tries to reach a server that starts, and the pause between them.
_TRIES: Final = 300
_PAUSE_S: Final = 0.1


def missing(kind: str) -> str | None:
    """Return in words what an emulator needs that is not here, or None."""
    modules = {"s3": ("s3fs", "moto"), "gs": ("gcsfs",)}[kind]
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        return f"{' and '.join(absent)} not installed: make emulators, then PYTHONPATH=.engines/lib"
    if kind == "gs" and _gcs_server() is None:
        return "fake-gcs-server is not in .engines/bin, nor on PATH: make emulators"
    return None


def _gcs_server() -> str | None:
    return shutil.which("fake-gcs-server", path=f"{_FOLDER / '.engines/bin'}{os.pathsep}{os.environ.get('PATH', '')}")


#: Stands before an emulator: told its port, it gives itself and a port of its own.
Proxy = Callable[[int], contextlib.AbstractContextManager[tuple[_P, int]]]


@contextlib.contextmanager
def emulated(kind: str) -> Iterator[str]:
    """Run an object store; give the URL of an empty bucket. Processes that are started meanwhile reach it."""
    with proxied(kind, lambda port: contextlib.nullcontext((None, port))) as (bucket, _):
        yield bucket


@contextlib.contextmanager
def proxied(kind: str, proxy: Proxy[_P]) -> Iterator[tuple[str, _P]]:
    """Run an object store behind a proxy; give the URL of an empty bucket, and the proxy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = dict(os.environ)
    with proxy(port) as (stands_before, public):
        command, told = (_s3 if kind == "s3" else _gcs)(port, public)
        os.environ |= told
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                _wait(port)
                # In a process of its own: this one must stay free of threads, since it may be forked.
                make = f"from pmd.store import storage; storage.filesystem('{kind}://{BUCKET}')[0].mkdir('{BUCKET}')"
                subprocess.run([sys.executable, "-c", make], check=True, cwd=_FOLDER)
                yield f"{kind}://{BUCKET}", stands_before
            finally:
                process.kill()
                os.environ.clear()
                os.environ.update(kept)


def _s3(port: int, public: int) -> tuple[list[str], dict[str, str]]:
    """Return the command of an emulator of S3, and the environment of those that use it."""
    server = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    return [sys.executable, "-c", server], {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{public}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _gcs(port: int, public: int) -> tuple[list[str], dict[str, str]]:
    """Return the same for Cloud Storage."""
    told = {"-scheme": "http", "-host": "127.0.0.1", "-port": str(port), "-backend": "memory"}
    told |= {"-public-host": f"localhost:{public}", "-external-url": f"http://localhost:{public}"}
    command = [str(_gcs_server()), *(word for pair in told.items() for word in pair)]
    return command, {"STORAGE_EMULATOR_HOST": f"http://localhost:{public}", **OF_GCSFS}


def _wait(port: int) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(_PAUSE_S)
    raise RuntimeError("the emulator does not answer")
