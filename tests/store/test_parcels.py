"""Parcels: no key of the engine's shuffle holds more than 4 MB, and rows come where run files bring them, whatever they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pmd.engines.coder import RecordBatchCoder
from pmd.schema.tables import KEY
from pmd.store import exchange, parcels
from pmd.store.exchange import Rows
from pmd.store.parcels import Unit

SCHEMA = pa.schema([pa.field("key", KEY, nullable=False), pa.field("text", pa.string())])
#: Units may give rows of two kinds, which are alike here but in name.
KINDS = {"": SCHEMA, "word": SCHEMA}


def rows(chance: np.random.Generator, count: int, width: int, partitions: Sequence[int], kind: str = "") -> Rows:
    """Return rows of some bytes that nothing compresses, each in one of some partitions."""
    keys = pa.array([chance.bytes(16) for _ in range(count)], KEY)
    texts = pa.array([chance.bytes((width + 1) // 2).hex()[:width] for _ in range(count)], pa.string())
    where = chance.choice(np.asarray(partitions, np.int32), count)
    return Rows(pa.RecordBatch.from_arrays([keys, texts], schema=SCHEMA), where, kind)


def shuffled(units: Sequence[list[Rows]]) -> dict[bytes, list[pa.RecordBatch]]:
    """Return key → what a GroupByKey gives it."""
    found: dict[bytes, list[pa.RecordBatch]] = defaultdict(list)
    for number, unit in enumerate(units):
        for key, piece in parcels.cut(KINDS, unit, Unit(number, len(units))):
            found[key].append(piece)
    return found


def encoded(pieces: Iterable[pa.RecordBatch]) -> int:
    coder = RecordBatchCoder()
    return sum(len(coder.encode(piece)) for piece in pieces)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_no_key_of_one_hot_partition_holds_more_than_4_mb(count: int) -> None:
    """Nearly all of 60 MB is in one partition, in one unit or in many."""
    chance = np.random.default_rng(count)
    hot = [0] * 99 + [1]
    units = [[rows(chance, 60_000 // count, 1000, hot)] for _ in range(count)]
    found = shuffled(units)
    held = [encoded(pieces) for pieces in found.values()]
    assert sum(held) > 55 * 2**20
    assert max(held) <= parcels.KEY_BYTES == 4 * 2**20
    assert max(encoded([piece]) for pieces in found.values() for piece in pieces) <= parcels.PIECE_BYTES == 2**20
    assert len(found) < 4 * sum(held) / parcels.KEY_BYTES + 8  # and they are not much emptier than they need be


_BATCHES = st.tuples(st.integers(0, 60), st.integers(0, 400), st.integers(1, 4), st.sampled_from(sorted(KINDS)))
_UNITS = st.lists(st.lists(_BATCHES, max_size=3), min_size=1, max_size=9)


@settings(max_examples=25, deadline=None)
@given(_UNITS, st.integers(0, 2**32 - 1), st.integers(200, 20_000))
@example([[(52, 261, 1, "")]], 0, 200)  # four pieces that were written in some bytes more than they had
def test_no_key_holds_more_than_its_share_and_no_row_is_lost(
    shape: list[list[tuple[int, int, int, str]]], seed: int, buffer_bytes: int
) -> None:
    """Units of any number of batches, batches of any width, spread and kind."""
    chance = np.random.default_rng(seed)
    units = [[rows(chance, count, width, range(spread), kind) for count, width, spread, kind in unit] for unit in shape]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "BUFFER_BYTES", buffer_bytes)
        patch.setattr(parcels, "KEY_BYTES", 2**14)
        patch.setattr(parcels, "PIECE_BYTES", 2**12)
        found, again = shuffled(units), shuffled(units)
    for key, pieces in found.items():
        assert encoded(pieces) <= 2**14, key
        assert [piece.to_pylist() for piece in again[key]] == [piece.to_pylist() for piece in pieces]
    came = Counter(row["key"] for pieces in found.values() for piece in pieces for row in piece.to_pylist())
    assert came == Counter(key for unit in units for given in unit for key in given.batch["key"].to_pylist())


@pytest.mark.parametrize("of", [1, 5, 4096])
def test_a_wrong_number_of_units_makes_no_key_larger(of: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcels, "KEY_BYTES", 2**15)
    monkeypatch.setattr(parcels, "PIECE_BYTES", 2**12)
    monkeypatch.setattr(exchange, "BUFFER_BYTES", 2**13)
    chance = np.random.default_rng(3)
    found: dict[bytes, list[pa.RecordBatch]] = defaultdict(list)
    for number in range(40):
        for key, piece in parcels.cut(KINDS, [rows(chance, 100, 100, [0])] * 3, Unit(number, of)):
            found[key].append(piece)
    assert max(map(encoded, found.values())) <= 2**15
    assert len(found) > 10


def test_what_is_no_row_is_handed_on_beside() -> None:
    chance = np.random.default_rng(1)
    word = pa.RecordBatch.from_pylist([{"fact": "a"}])
    given = [word, rows(chance, 3, 10, [0]), word, rows(chance, 3, 10, [0], "word")]
    found = list(parcels.cut(KINDS, given, Unit(0, 1)))
    assert [piece for key, piece in found if key == parcels.BESIDE] == [word, word]
    assert len({key for key, _ in found if key != parcels.BESIDE}) == 2, (
        "kinds of one partition are in different parcels"
    )


def test_a_row_that_is_larger_than_a_key_stands_alone() -> None:
    """It cannot be cut; nothing else is in its parcel."""
    chance = np.random.default_rng(1)
    found = shuffled([[rows(chance, 3, 5 * 2**20, [0]), rows(chance, 3, 10, [0])]])
    sizes = sorted((encoded(pieces) > parcels.KEY_BYTES, len(pieces)) for pieces in found.values())
    assert sizes == [(False, 1), (True, 1), (True, 1), (True, 1)]


def _landed(work: str, units: Sequence[list[Rows]], kind: str) -> dict[int, pa.RecordBatch]:
    """Return partition → all its RUNS of a kind, as the engine's shuffle brings them."""
    land = parcels.Land(KINDS, work)
    runs = [runs for keyed in shuffled(units).items() for runs in land(keyed)]
    assert {each.num_rows for each in runs} == {1}
    assert all(encoded([each]) < 700 for each in runs), "a partition's worker is told of each of its parcels so"
    mine = [exchange.as_runs(each) for each in runs if each.schema == exchange.runs_of(kind)]
    return dict(exchange.by_partition(mine))


def test_partitions_have_the_rows_that_run_files_bring_them_in_fewer_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "BUFFER_BYTES", 2**12)
    chance = np.random.default_rng(5)
    units = [[rows(chance, 50, 40, range(7), kind) for _ in range(6) for kind in KINDS] for _ in range(12)]
    written: list[pa.RecordBatch] = []
    for unit in units:
        with exchange.Runs(str(tmp_path), KINDS) as runs:
            for given in unit:
                runs.put(given)
        written += runs.written
    for kind in KINDS:
        mine = [exchange.as_runs(each) for each in written if each.schema == exchange.runs_of(kind)]
        ways = dict(exchange.by_partition(mine)), _landed(str(tmp_path), units, kind)
        assert [*ways[0]] == [*ways[1]] == list(range(7))
        for partition in range(7):
            one, other = (exchange.read(str(tmp_path), [way[partition]], SCHEMA).sort_by("key") for way in ways)
            assert one.to_pylist() == other.to_pylist()
        assert sum(map(len, ways[1].values())) * 10 < sum(map(len, ways[0].values()))
