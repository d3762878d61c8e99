"""A worker must have the driver's versions: of pmd, of Beam, and of Python, since functions cross as byte code.

The driver's versions travel with each job twice. They stand in its options, where the worker that comes with pmd looks before it
starts. And they stand around each step, where any worker finds them before it opens the step. So does the driver's working
folder: the paths of a configuration that stands there are relative to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import platform
import socket
from collections.abc import Mapping
from typing import Any, Final

import orjson

import pmd
from pmd.engines import ends, mistakes
from pmd.errors import PmdError

#: The option of a pipeline that tells them, and its name as workers are given it.
OPTION: Final = "pmd_driver"
_TOLD: Final = f"beam:option:{OPTION}:v1"


@dataclasses.dataclass(frozen=True)
class Versions:
    """What must be equal; of Python the first two numbers."""

    pmd: str
    beam: str
    python: str

    def __str__(self) -> str:
        return f"pmd {self.pmd}, Beam {self.beam}, Python {self.python}"


@functools.cache
def here() -> Versions:
    """Return those of this process."""
    python = ".".join(platform.python_version_tuple()[:2])
    return Versions(pmd.__version__, importlib.metadata.version("apache-beam"), python)


def check(drivers: Versions, work: str) -> None:
    """Refuse a driver of other versions, and leave word of it where it finds it.

    Args:
        drivers: The driver's.
        work: The folder of its run.

    Raises:
        PmdError: This worker has others.
    """
    if drivers == here():
        return
    with mistakes.left_in(work):
        raise PmdError(
            "a worker has other versions than the driver, and was refused",
            where=f"worker on {socket.gethostname()}",
            expected=f"{drivers}, as the driver has",
            found=str(here()),
            remedy="install the driver's on the engine's workers (the image, or what pmd-worker starts), or the workers' here",
        )


def stand_in(folder: str) -> None:
    """Stand in the driver's working folder, where this worker has such a one."""
    with contextlib.suppress(OSError):
        os.chdir(folder)


def told(work: str) -> str:
    """Return what the option of a pipeline says: this driver's versions, the folder that it stands in, and that of the run."""
    return orjson.dumps({"versions": here(), "work": work, "folder": ends.folder()}).decode()


def work_of(said: str) -> str:
    """Return the folder of the run of what that option says."""
    return str(orjson.loads(said)["work"])


def check_told(options: Mapping[str, Any]) -> str | None:
    """Check what a worker is given as the options of a pipeline, and stand where the driver does.

    Returns:
        The folder of the run; None: another program's.

    Raises:
        PmdError: The driver has other versions.
    """
    said = options.get(_TOLD)
    if said is None:
        return None
    driver = orjson.loads(said)
    stand_in(driver.get("folder", ""))
    check(Versions(**driver["versions"]), driver["work"])
    return str(driver["work"])
