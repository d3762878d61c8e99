"""What a worker meets is left for the driver, whatever kind of exception it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from polars.exceptions import PanicException

from pmd.engines import ends, mistakes
from pmd.errors import InputError, PmdError, RootError, WorkerFault


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


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (PmdError("the storage is full", where="/tmp/pmd-0", remedy="make room"), "/tmp/pmd-0 on worker-7"),
        (PmdError("there is not enough memory"), "worker on worker-7"),
        (InputError("no such file", where="/data/captions.tsv"), "/data/captions.tsv on worker-7"),
        (PmdError("a worker has other versions", where="worker on worker-7"), "worker on worker-7"),
        (InputError("no such file", where="s3://bucket/captions.tsv"), "s3://bucket/captions.tsv"),
        (RootError("the storage is full", where="/shared/root"), "/shared/root"),
        (WorkerFault("a fault of its own"), None),
    ],
)
def test_what_is_lacking_on_another_machine_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: PmdError | WorkerFault, where: str | None
) -> None:
    work = str(tmp_path)
    monkeypatch.setattr(mistakes.socket, "gethostname", lambda: "worker-7")
    mistakes.leave(work, error)
    here = mistakes.read(work)
    assert str(here) == str(error)
    monkeypatch.setattr(mistakes.socket, "gethostname", lambda: "driver-1")
    told = mistakes.read(work)
    assert type(told) is type(error)
    assert getattr(told, "where", None) == where
    assert getattr(told, "remedy", None) == getattr(error, "remedy", None)
