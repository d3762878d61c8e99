"""What a later stage has found out changes those before it: what of them stands is run again where it is stale."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import build
from pmd import flow
from pmd.store import root
from tests import tiny_root


def test_what_is_committed_and_stale_is_run_again_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = tiny_root.build(tmp_path)
    ran: list[str] = []

    def run(stage: flow.Stage, *_: Any) -> None:
        ran.append(stage.name)
        tiny_root.run_stages(chosen, [stage])

    monkeypatch.setattr(build, "run_stage", run)

    def brought_up() -> list[str]:
        ran.clear()
        with root.writer(chosen.root, "test"):
            build.bring_up(chosen, (flow.DEDUPE, flow.SHARD), ())
        return [*ran]

    assert brought_up() == []
    tiny_root.fetch(chosen, 1, retry=("dead",))
    tiny_root.commit_rejected(chosen)
    shutil.rmtree(f"{chosen.root}/{flow.UNSHARDED.top}")
    assert brought_up() == ["dedupe"], "shards are not there, and lists are not asked for"


def test_what_lies_between_two_stages_is_told_by_the_flow() -> None:
    assert flow.DEDUPE in flow.between(flow.FETCH, flow.SHARD)
    assert not {flow.FETCH, flow.SHARD} & {*flow.between(flow.FETCH, flow.SHARD)}
    assert flow.between(flow.SHARD, flow.FETCH) == ()
