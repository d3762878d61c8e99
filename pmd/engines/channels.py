"""How much a worker may give an engine at once.

Beam's runners for Flink and Spark (2.62) keep what a worker gives in a queue of 100 messages, and empty it only when the worker
says that its bundle is done (`BeamFnDataInboundObserver`, `ActiveBundle.close`). A worker sends messages of 10 MB, and there a
bundle is all that a slot has of a step. So at the 101st message the worker waits for the runner and the runner for the
worker: the job stands still for ever, as it did with 20 million rows on two task managers. A worker that comes near it ends its
job in a sentence instead.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Final

import orjson

from pmd.engines import coder
from pmd.errors import PmdError

#: Messages that the runners keep, and bytes of which the worker makes one (`apache_beam.runners.worker.data_plane`).
_MESSAGES: Final = 100
_MESSAGE_BYTES: Final = 10 * 2**20
#: What a bundle may give: a tenth less, for what else is in messages and for the worker's other outputs.
MOST_BYTES: Final = _MESSAGES * _MESSAGE_BYTES * 9 // 10
#: What the options of a pipeline are called that these runners alone have.
_THEIRS: Final = {"beam:option:flink_master:v1": "Flink", "beam:option:spark_master:v1": "Spark"}


@functools.cache
def limited_by() -> str | None:
    """Return which runner keeps so little of what this worker gives; None: one that takes all, or none."""
    told = os.environ.get("PIPELINE_OPTIONS", "")
    if not told and (path := os.environ.get("PIPELINE_OPTIONS_FILE")):
        told = Path(path).read_text(encoding="utf-8")
    options = orjson.loads(told) if told else {}
    return next((runner for name, runner in _THEIRS.items() if name in options), None)


def check(since: int) -> None:
    """Refuse to give more than the runner can keep.

    Args:
        since: `coder.encoded_bytes()` as the bundle began, in the same thread.

    Raises:
        PmdError: It is more.
    """
    runner = limited_by()
    given = coder.encoded_bytes() - since
    if runner is None or given <= MOST_BYTES:
        return
    raise PmdError(
        f"rows are too many to cross {runner}'s own shuffle",
        where='[engine] shuffle = "engine"',
        expected=f"at most {MOST_BYTES / 1e9:.1f} GB of each task slot: Beam's runner keeps no more, and would wait for ever",
        found=f"{given / 1e9:.1f} GB, and more to come",
        remedy='say shuffle = "files" in [engine], or take more task slots (parallelism), and run the same command again',
    )
