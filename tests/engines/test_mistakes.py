"""What a worker meets is left for the driver, whatever kind of exception it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from polars.exceptions import PanicException

from pmd.engines import ends, mistakes
from pmd.errors import PmdError, WorkerFault


@pytest.mark.parametrize(
    ("said", "kind"),
    [("could not spawn threads: Os { code: 11, kind: WouldBlock }", PmdError), ("a fault of its own", WorkerFault)],
)
def test_a_panic_is_left_for_the_driver(tmp_path: Path, said: str, kind: type[Exception]) -> None:
    """Polars panics where the system starts no further thread: the driver had nothing but a traceback of Beam's to tell."""
    work = str(tmp_path / "_work" / "epoch-1" / "curate")
    ends.begin(work)
    with pytest.raises(kind), mistakes.left_in(work):
        raise PanicException(said)
    left = mistakes.read(work)
    assert type(left) is kind
    assert said in str(left)
