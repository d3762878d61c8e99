"""Workers within the driver: what ends them when a job has ended is not told, and everything else is."""

from __future__ import annotations

import threading

import grpc
import pytest

from pmd.engines import driving


class Broken(grpc.RpcError):
    """A stream that has ended so."""

    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__(status)
        self._status = status

    def code(self) -> grpc.StatusCode:
        return self._status


@pytest.mark.parametrize(
    ("name", "error", "is_told"),
    [
        ("run_worker_12-1", Broken(grpc.StatusCode.CANCELLED), False),
        ("read_grpc_client_inputs", Broken(grpc.StatusCode.UNAVAILABLE), False),
        ("run_worker_12-1", Broken(grpc.StatusCode.INTERNAL), True),
        ("run_worker_12-1", ValueError("a fault"), True),
        ("fetch", Broken(grpc.StatusCode.CANCELLED), True),
    ],
)
def test_of_workers_within_the_driver_a_hang_up_is_not_told(
    name: str, error: Exception, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    driving.overlook_hang_ups.__wrapped__()

    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail, name=name)
    thread.start()
    thread.join()
    assert [one.exc_value for one in told] == ([error] if is_told else [])
