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
from collections.abc import Iterator
from pathlib import Path
from typing import Final

KINDS: Final = ("s3", "gs")
BUCKET: Final = "pmd-breaking"
_FOLDER: Final = Path(__file__).resolve().parents[2]
#: Tries to reach a server that starts, and the pause between them.
_TRIES: Final = 300
_PAUSE_S: Final = 0.1


def missing(kind: str) -> str | None:
    """Return in words what an emulator needs that is not here, or None."""
    modules = {"s3": ("s3fs", "moto"), "gs": ("gcsfs",)}[kind]
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    if absent:
        return f"{' and '.join(absent)} not installed: pip install -r requirements-dev.txt"
    if kind == "gs" and _gcs_server() is None:
        return "fake-gcs-server is not in .engines/bin, nor on PATH: make engines"
    return None


def _gcs_server() -> str | None:
    return shutil.which("fake-gcs-server", path=f"{_FOLDER / '.engines/bin'}{os.pathsep}{os.environ.get('PATH', '')}")


@contextlib.contextmanager
def emulated(kind: str) -> Iterator[str]:
    """Run an object store; give the URL of an empty bucket. Processes that are started meanwhile reach it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = dict(os.environ)
    if kind == "s3":
        server = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
        command = [sys.executable, "-c", server]
        os.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    else:
        told = {"-scheme": "http", "-host": "127.0.0.1", "-port": str(port), "-backend": "memory"}
        told |= {"-public-host": f"localhost:{port}", "-external-url": f"http://localhost:{port}"}
        command = [str(_gcs_server()), *(word for pair in told.items() for word in pair)]
        os.environ["STORAGE_EMULATOR_HOST"] = f"http://localhost:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(port)
            # In a process of its own: this one must stay free of threads, since it is forked.
            make = f"from pmd.store import storage; storage.filesystem('{kind}://{BUCKET}')[0].mkdir('{BUCKET}')"
            subprocess.run([sys.executable, "-c", make], check=True, cwd=_FOLDER)
            yield f"{kind}://{BUCKET}"
        finally:
            process.kill()
            os.environ.clear()
            os.environ.update(kept)


def _wait(port: int) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(_PAUSE_S)
    raise RuntimeError("the emulator does not answer")
