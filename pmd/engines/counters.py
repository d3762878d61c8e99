"""What stages keep and reject, as counters of the engine: its pages show them while a job runs, and the driver at its end.

They have the same names on every engine: in the space pmd.STAGE the name `SOURCE.kept` or `SOURCE.REASON`. A bundle that is
repeated counts again, so nothing is made of them: the books are counted from what is committed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from pmd.store.commits import Books

_LOG: Final = logging.getLogger("pmd.progress")
#: What the space of our counters begins with.
_OURS: Final = "pmd."
#: What stands in place of a reason.
KEPT: Final = "kept"
#: Pictures by source and status, in the space of the stage that counts pairs.
IMAGES: Final = "fetch.images"


def count(stage: str, books: Mapping[str, Books]) -> None:
    """Add to the counters of a stage; to be called by a worker of Beam's."""
    from apache_beam.metrics import Metrics  # lanes on this machine are processes without Beam

    for source, book in books.items():
        for reason, number in {KEPT: book.kept, **book.rejected}.items():
            if number:
                Metrics.counter(f"{_OURS}{stage}", f"{source}.{reason}").inc(number)


def read(result: Any) -> dict[str, int]:
    """Return our counters of a job that has ended, as "STAGE.SOURCE.REASON"; an engine that gives none has counted nothing.

    Args:
        result: What Beam gave when the job was submitted.
    """
    try:
        found = result.metrics().query()["counters"]
    except Exception:  # noqa: BLE001  whatever an engine or Beam's client of it has to say: it is only looked at
        return {}
    sums: Counter[str] = Counter()
    for counted in found:
        name = counted.key.metric
        if name.namespace.startswith(_OURS):
            # Some engines give only what was tried.
            value = counted.committed if counted.committed is not None else counted.attempted
            sums[f"{name.namespace.removeprefix(_OURS)}.{name.name}"] += value or 0
    return dict(sorted(sums.items()))


def tell(counted: Mapping[str, int]) -> None:
    """Say in the log what the engine has counted."""
    if counted:
        _LOG.info("the engine counted %s", ", ".join(f"{name} {number:,}" for name, number in counted.items()))
