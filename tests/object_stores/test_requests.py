"""What a driver asks an object store: nothing that grows with the fetch shards where nothing is to be done, little elsewhere."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import pytest

from benchmarks import store_requests
from pipelines import build
from pmd.config import Config
from pmd.store import lock, root, storage
from tests.object_stores.conftest import Emulated
from tests.pipelines.test_requests import chosen as chosen  # noqa: PLC0414  a fixture of theirs

#: Requests of a build of twelve sources that finds all as it is to be.
MOST_IDLE = 100
#: Requests of the driver of a whole build, for each fetch shard.
MOST_A_SHARD = 2

pytestmark = pytest.mark.timeout(1800)


def counted(asked: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what was asked but for a lease's renewals, which come by time: more of them where a machine is slow."""
    return [one for one in asked if lock.STATE_FILE not in one[1]]


def test_requests_do_not_grow_with_the_shards(chosen: Config, store: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "RENEW_S", 0.5)
    whole, idle = {}, {}
    for shards in (8, 24):
        at = dataclasses.replace(chosen, root=f"{store.bucket}/requests-{shards}")
        past = 0

        def put(url: str, content: bytes) -> None:
            nonlocal past
            before = len(counted(store.proxy.asked))
            storage.put(url, content)
            past += len(counted(store.proxy.asked)) - before

        made = store_requests.Root(put, at, 5, shards)
        made.curate()

        def run(at: Config = at) -> None:
            with root.writer(at.root, "test"):
                build.build(at)

        past = 0
        with store_requests.without_workers(made, at):
            whole[shards] = len(counted(store.asks(run))) - past
        idle[shards] = counted(store.asks(run))
    told = Counter((method, path.partition("?")[0]) for method, path in idle[24]).most_common(20)
    assert len(idle[8]) == len(idle[24]) <= MOST_IDLE, told
    assert whole[24] - whole[8] <= MOST_A_SHARD * (24 - 8)
