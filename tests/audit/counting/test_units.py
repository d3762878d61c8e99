"""Users, images and hosts are counted where all their pairs meet: exact, however pairs are dealt out."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pmd import manifests
from pmd.audit.counting import measure, unit_sums, units
from pmd.audit.counting.measure import CLASSES
from pmd.audit.statistics import groups, losses
from tests.audit.batches import WHOLE, batch, counted, pair

pytestmark = pytest.mark.usefixtures("english")


def _build() -> tuple[pa.RecordBatch, pa.Array]:
    chance = random.Random(3)
    rows = [
        pair(
            chance.choice(["yfcc100m", "red_caps", "wit"]),
            str(index),
            chance.choice(["a woman", "a man", "a dog", "a man and a woman"]),
            image=f"image {chance.randint(0, 150)}",
            url=f"http://host{chance.randint(0, 9)}.org/x.jpg",
            meta={
                "uid": str(chance.randint(0, 20)),
                "author": str(chance.randint(0, 20)),
                "subreddit": str(chance.randint(0, 5)),
                "page_url": str(chance.randint(0, 40)),
                "longitude": "2.35",
                "latitude": "48.85",
            },
        )
        for index in range(400)
    ]
    return batch(rows), pa.array(chance.choices(CLASSES, k=400))


@pytest.mark.parametrize("source", manifests.load_all())
def test_what_a_manifest_clusters_by_is_counted(source: str) -> None:
    assert units.clusters_of(source) == manifests.load(source).clusters
    assert {*units.clusters_of(source)} <= {*units.KINDS}


def test_sources_without_a_manifest_have_clusters_too() -> None:
    assert units.clusters_of(measure.DATA) == ("user", "image")
    assert units.clusters_of("my_pairs") == ("image",)


def test_counts_by_hand() -> None:
    pairs = batch(
        [
            pair("yfcc100m", "1", "a woman", url="http://a.org/1", meta={"uid": "u"}),
            pair("yfcc100m", "2", "a man", url="http://a.org/2", meta={"uid": "u"}),
            pair("yfcc100m", "3", "a dog", url="http://b.org/3", meta={"uid": "v"}),
            pair("coco", "1", "a dog", image="x", url="http://a.org/4"),
        ]
    )
    found = counted(pairs, pa.array(["shard", "curate", "shard", "curate"]))

    def sizes(source: str, kind: str, stage: int) -> list[list[int]]:
        return [one.tolist() for one in found.sizes_of(source, kind, stage)]

    assert sizes("yfcc100m", "user", 0) == [[1, 2], [1, 1]]
    assert sizes("yfcc100m", "user", 1) == [[1], [2]]
    assert sizes(unit_sums.ALL, "host", 0) == [[1, 3], [1, 1]]
    assert sizes(unit_sums.ALL, "user", 0) == [[], []]  # users are of one source
    assert found.hosts_of(unit_sums.ALL, 0) == [("a.org", 3), ("b.org", 1)]
    sums = found.sums_of("yfcc100m", "user", 0, "english")
    assert found.sums_of("yfcc100m", "user", 0, "english") is sums  # made once, whoever asks
    assert (sums.pairs, sums.clusters, sums.having("female"), sums.having("neither")) == (3, 2, 1, 1)
    assert (sums.second["female+male"].tolist(), sums.sizes.tolist()) == ([0, 4], [1, 2])
    assert found.losses_of("yfcc100m", "host", 1, "english").num_rows > 0
    assert losses.uneven(found.losses_of("yfcc100m", "host", 2, "english"), "female").effect is None  # none was lost


def test_the_largest_hosts_are_those_of_a_count_by_name() -> None:
    pairs, last = _build()
    found = counted(pairs, last)
    by_name: dict[str, int] = {}
    for url, source in zip(pairs["image_url"].to_pylist(), pairs["source"].to_pylist(), strict=True):
        if source == "wit":
            name = url.split("/")[2]
            by_name[name] = by_name.get(name, 0) + 1
    expected = sorted(by_name.items(), key=lambda item: (-item[1], item[0]))
    assert found.hosts_of("wit", 0) == expected


def test_units_do_not_depend_on_how_they_are_dealt_out() -> None:
    pairs, last = _build()
    rows = pa.Table.from_batches(units.occurrences(pairs, last, measure.look(pairs, WHOLE)), units.ROWS)
    whole = unit_sums.merged([units.count(rows)])
    is_first = rows["unit"].to_numpy() < 2**64 // 3
    parts = [units.count(rows.filter(pa.array(some))) for some in (is_first, ~is_first)]
    for order in (parts, parts[::-1]):
        assert unit_sums.merged(order).to_bytes() == whole.to_bytes()
    assert unit_sums.Counted.from_bytes(whole.to_bytes()).to_bytes() == whole.to_bytes()


def test_parts_of_units_are_let_go_of_while_others_are_added() -> None:
    pairs, last = _build()
    rows = pa.Table.from_batches(units.occurrences(pairs, last, measure.look(pairs, WHOLE)), units.ROWS)
    content = units.count(rows).to_bytes()
    alive: list[weakref.ref[unit_sums.Counted]] = []
    most = 0

    def parts() -> Iterator[unit_sums.Counted]:
        nonlocal most
        for _ in range(40):
            part = unit_sums.Counted.from_bytes(content)
            alive.append(weakref.ref(part))
            most = max(most, sum(one() is not None for one in alive))
            yield part
            del part

    found = unit_sums.merged(parts())
    assert most <= 4
    one = unit_sums.Counted.from_bytes(content)
    assert pc.sum(found.sums["first"]).as_py() == 40 * pc.sum(one.sums["first"]).as_py() > 0
    assert found.losses.num_rows == one.losses.num_rows > 0


def test_units_that_lost_nothing_count_where_others_lost() -> None:
    """They may have met in another partition than all that lost anything."""
    hosts = ["one.org", "two.org"]
    pairs = batch(pair("coco", str(index), "a dog", url=f"http://{hosts[index % 2]}/x") for index in range(40))
    last = pa.array(["shard" if index % 2 else "images" for index in range(40)])
    rows = pa.Table.from_batches(units.occurrences(pairs, last, measure.look(pairs, WHOLE)), units.ROWS)
    parts = [units.count(rows.filter(pc.equal(rows["unit"], unit))) for unit in rows["unit"].unique()]
    assert len(parts) > 1
    assert unit_sums.merged(parts).losses.equals(units.count(rows).losses)


def test_a_host_of_all_pairs_is_a_few_rows() -> None:
    pairs = batch(pair("coco", str(index), "a dog", url="http://one.org/x") for index in range(5000))
    last = pa.array(["shard"] * 5000)
    rows = pa.Table.from_batches(units.occurrences(pairs, last, measure.look(pairs, WHOLE)), units.ROWS)
    hosts = rows.filter(pc.equal(rows["kind"], units.KINDS.index("host")))
    assert hosts.num_rows == 1
    assert hosts["pairs"].to_pylist() == [5000]


def test_a_host_that_is_among_the_largest_in_the_end_is_told_of_from_the_first_on() -> None:
    """Twenty hosts that have most pairs at first lose all but one."""
    rows, last = [], []
    for host in range(25):
        for number in range(10 if host < 20 else 5):
            rows.append(pair("coco", str(len(rows)), "a dog", url=f"http://host{host}.org/x.jpg"))
            last.append("shard" if host >= 20 or not number else "curate")
    found = counted(batch(rows), pa.array(last)).large_hosts_of("coco")
    assert len(found) == 25
    assert found["host20.org"].tolist() == [5] * len(CLASSES)
    assert found["host0.org"].tolist() == [10, *[1] * (len(CLASSES) - 1)]


def test_no_name_of_a_user_is_handed_on() -> None:
    pairs, last = _build()
    found = counted(pairs, last)
    texts = {
        value
        for table in (found.sizes, found.sums, found.losses, found.hosts, found.groups)
        for column in table.columns
        if pa.types.is_string(column.type)
        for value in column.unique().to_pylist()
    }
    properties = {*units.READ, *units.ENGLISH, "female+male", "", "FR"}
    known = {"yfcc100m", "red_caps", "wit", *units.KINDS, "read", "english", "placed", units.SIZED, *properties}
    known |= {groups.SIZE, groups.COUNTRY, *(name for _, name in groups.SIZES)}
    assert texts - known == {f"host{number}.org" for number in range(10)}


def test_what_is_of_one_thing_is_found_as_a_filter_would_find_it() -> None:
    some, last = _build()
    rows = pa.Table.from_batches(units.occurrences(some, last, measure.look(some, WHOLE)), units.ROWS)
    known = units.count(rows)
    for name in ("sizes", "hosts", "losses", "sums"):
        table = getattr(known, name)
        for source, kind, stage in {
            *zip(*(table[column].to_pylist() for column in ("source", "kind", "stage")), strict=True)
        }:
            at = pc.and_(pc.equal(table["source"], source), pc.equal(table["kind"], kind))
            wanted = table.filter(pc.and_(at, pc.equal(table["stage"], stage)))
            if name in known.ordered:
                assert known.ordered[name].at(source, kind, stage).equals(wanted.combine_chunks())
            else:
                for domain in pc.unique(wanted["domain"]).to_pylist():
                    found = known.ordered[f"{name} of domains"].at(source, kind, stage, domain)
                    assert found.equals(wanted.filter(pc.equal(wanted["domain"], domain)).combine_chunks())
    assert known.ordered is known.ordered, "ordered once"
    assert known.ordered["sizes"].at("nobody", "host", 0).num_rows == 0


def test_sizes_take_no_memory_by_how_many_pairs_the_largest_unit_has() -> None:
    pairs = np.array([2**16, 1, 10**12, 0, 3, 2**16 - 1, 10**12, 1], np.int64)
    found = unit_sums.sizes("coco", "host", 2, pairs, alone=5)
    assert dict(zip(found["size"].to_pylist(), found["units"].to_pylist(), strict=True)) == {
        1: 7,
        3: 1,
        2**16 - 1: 1,
        2**16: 1,
        10**12: 2,
    }
    assert found["size"].to_pylist() == sorted(found["size"].to_pylist())
    assert unit_sums.sizes("coco", "image", 0, np.zeros(0, np.int64)).num_rows == 0
