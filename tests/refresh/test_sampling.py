"""What a wave draws: alike for the same seed, by lot, and of every source."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pmd.fetch.ledger.asked import ALL
from pmd.refresh import figures, sampling
from tests.refresh.populations import asked, places

MANY = [(f"host-{number % 50}.example", ("large",), "ok") for number in range(3000)]
FEW = [(f"host-{number % 7}.example", ("small",), "ok") for number in range(60)]
GONE = [("gone.example", ("large",), "dead")] * 500
TABLE = asked([*MANY, *FEW, *GONE])


def drawn(images: int, seed: str = "0 2026-02-01", *, width: int = 400, reverse: bool = False) -> sampling.Drawn:
    parts = [TABLE.slice(start, width) for start in range(0, TABLE.num_rows, width)]
    return sampling.draw([(part, places(part)) for part in (reversed(parts) if reverse else parts)], images, seed)


def test_the_same_seed_draws_the_same_however_the_images_are_cut() -> None:
    one, other = drawn(200), drawn(200, width=77, reverse=True)
    assert one.rows.equals(other.rows)
    assert one.bounds == other.bounds
    ids = one.rows["image_id"].to_pylist()
    assert ids == sorted({*ids})


def test_another_seed_or_day_draws_others() -> None:
    ids = {
        seed: {*drawn(200, seed).rows["image_id"].to_pylist()}
        for seed in ("0 2026-02-01", "1 2026-02-01", "0 2026-02-02")
    }
    first, *others = ids.values()
    assert all(len(first & other) < 60 for other in others)


def test_only_what_was_there_is_drawn_and_a_small_source_has_its_share() -> None:
    found = drawn(200)
    assert found.rows.num_rows <= 200
    assert "gone.example" not in found.rows["host"].to_pylist()
    assert {name: bound.images for name, bound in found.bounds.items()} == {ALL: 3060, "large": 3000, "small": 60}
    of = {name: figures.sample(found.rows, name, bound).num_rows for name, bound in found.bounds.items()}
    assert of[ALL] == 100
    assert of["small"] >= 50
    assert of["large"] >= 50


def test_all_that_there_is_can_be_drawn() -> None:
    found = drawn(100_000)
    assert found.rows.num_rows == 3060
    assert {figures.sample(found.rows, name, bound).num_rows for name, bound in found.bounds.items()} == {
        3060,
        3000,
        60,
    }


def test_nothing_to_draw() -> None:
    gone = asked(GONE)
    found = sampling.draw([(gone, places(gone))], 10, "0")
    assert found.rows.num_rows == 0
    assert sampling.draw([], 10, "0").rows.num_rows == 0


SEEDS = 60


@pytest.fixture(scope="module")
def draws() -> list[sampling.Drawn]:
    return [drawn(120, str(seed), width=4000) for seed in range(SEEDS)]


@pytest.mark.parametrize("name", [ALL, "large", "small"])
def test_every_image_is_drawn_about_as_often(draws: list[sampling.Drawn], name: str) -> None:
    """A source's images, and all, each as often as chance allows (five deviations)."""
    times: dict[bytes, int] = {}
    expected = 0.0
    for found in draws:
        mine = figures.sample(found.rows, name, found.bounds[name])
        expected += mine.num_rows / found.bounds[name].images
        for key in mine["image_id"].to_pylist():
            times[key] = times.get(key, 0) + 1
    share = expected / SEEDS
    assert max(times.values()) <= expected + 5 * (expected * (1 - share)) ** 0.5 + 1
    assert len(times) > 0.9 * draws[0].bounds[name].images * (1 - (1 - share) ** SEEDS)


def test_memory_is_that_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    lowest = sampling._lowest

    def watched(rows: pa.Table, images: int) -> pa.Table:
        held.append(rows.num_rows)
        return lowest(rows, images)

    monkeypatch.setattr(sampling, "_lowest", watched)
    drawn(20, width=100)
    assert max(held) <= 100 + 20 * 3
