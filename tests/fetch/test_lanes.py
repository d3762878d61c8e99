"""Lanes in separate processes: what all of them together ask of one host, and how a lane's mistake comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines import curate, fetch, images
from pmd import config, root
from pmd.config import Config
from pmd.errors import PmdError
from pmd.fetch import state
from tests.fetch.conftest import Web, photo, reply

COUNT = 60
RATE = 80  # requests a second


def known(folder: Path, web: Web) -> Config:
    """Return a configuration of four lanes whose ROOT knows the images, one host's, in four shards."""
    for number in range(COUNT):
        web.routes[f"photos.test/{number}.jpg"] = reply(photo(seed=number))
    lines = (f"http://photos.test/{number}.jpg\ta photograph, number {number}\n" for number in range(COUNT))
    (folder / "cc12m.tsv").write_text("".join(lines))
    chosen = config.parse(
        f'root = "{folder}/root"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{folder}/cc12m.tsv"]\n'
        f'[fetch]\nlanes = 4\nretries = 0\nallow_addresses = ["127.0.0.1/32"]\n'
        f'resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}\n'
        f"per_host = {{ requests_per_s = {RATE}.0, connections = 8 }}\n"
    )
    root.create(chosen.root, 2)
    with root.writer(chosen.root, "test"):
        curate.build(chosen, "conceptual_12m")
    with root.writer(chosen.root, "test"):
        images.build(chosen)
    return chosen


def test_four_lanes_in_processes_keep_the_limit_of_a_host_together(tmp_path: Path, web: Web) -> None:
    chosen = known(tmp_path, web)
    assert len(fetch.pending(chosen)) == 4
    with root.writer(chosen.root, "test"):
        fetch.build(chosen)
    ledgers = [state.read_ledger(chosen.root, shard) for shard in range(4)]
    assert sum(ledger.num_rows for ledger in ledgers) == COUNT
    assert {status for ledger in ledgers for status in ledger["status"].to_pylist()} == {"ok"}
    times = sorted(request.at for request in web.asked())
    assert len(times) == COUNT
    window = 20  # requests: four lanes may each have one at either end of the time that these take
    spans = [later - earlier for earlier, later in zip(times, times[window:], strict=False)]
    assert min(spans) >= (window - 2 * 4) / RATE
    assert web.most_at_once <= 8
    assert not (tmp_path / "root" / "_work" / "fetch").exists()
    assert fetch.pending(chosen) == {}


def test_a_mistake_that_a_lane_meets_comes_back_as_itself(tmp_path: Path, web: Web) -> None:
    chosen = known(tmp_path, web)
    shards = sorted(fetch.pending(chosen))
    (tmp_path / "root" / "images" / "_stage.json").unlink()
    with pytest.raises(PmdError, match="images"), root.writer(chosen.root, "test"):
        fetch._download(chosen, shards, (), (), settle_unreached=False)
    assert not (tmp_path / "root" / "_work").exists()
