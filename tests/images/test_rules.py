"""Images: one row a photograph however many sources name it, each place once and in order, nothing lost on the way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.config import scores
from pmd.config.asked import Asked
from pmd.config.options import LicenceOptions
from pmd.images import aliases as images_aliases
from pmd.images import beside, takedowns
from pmd.images import rules as images_rules
from pmd.images.aliases import Aliases
from pmd.images.archived import NO_FILES, Index
from pmd.images.rules import Takedown
from pmd.schema import keys
from pmd.schema.tables import IMAGES, KEY, PAIRS, REJECTED, VIEWS
from pmd.store import commits, parquet_files
from pmd.store.commits import Books

FLICKR = "http://farm1.staticflickr.com/2/4242_abcdef.jpg"
COCO = "http://images.cocodataset.org/train2017/000000000009.jpg"
NOTHING = Takedown()


def pair(source: str, source_id: str, identity: str, **columns: Any) -> dict[str, Any]:
    return {
        "pair_id": keys.pair_id(source, source_id),
        "image_id": keys.image_id(identity),
        "source": source,
        "source_id": source_id,
        "identity": identity,
        "text": f"text of {source_id}",
        "meta": "{}",
        **columns,
    }


#: What asks for nothing.
ASKED = Asked.only()
NO_ALIASES = Aliases.of([])


def spread(
    *pairs: dict[str, Any],
    aliases: Aliases = NO_ALIASES,
    index: Index = NO_FILES,
    sample: int = 1,
    takedown: Takedown = NOTHING,
) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_pylist(list(pairs), schema=PAIRS).select(list(images_rules.NEEDED))
    rows = images_rules.spread(batch, Asked.only(sample=sample), aliases=aliases, index=index, takedown=takedown)
    assert rows.schema == images_rules.IMAGE_ROWS
    return rows


def gather(*batches: pa.RecordBatch) -> images_rules.Gathered:
    return images_rules.gather(pa.Table.from_batches(list(batches), schema=images_rules.IMAGE_ROWS), 4, ASKED)


def locations(gathered: images_rules.Gathered) -> list[list[tuple[str, str]]]:
    return [[(place["kind"], place["url"]) for place in row["locations"]] for row in gathered.images.to_pylist()]


def test_one_photograph_of_several_sources_is_one_image() -> None:
    gathered = gather(
        spread(pair("yfcc100m", "4242", "flickr:4242", image_url=FLICKR)),
        spread(
            pair("sbu_captions", "a", "flickr:4242", image_url="http://static.flickr.com/2/4242_abcdef_m.jpg"),
            pair("sbu_captions", "b", "url:other.org/x.jpg", image_url="http://other.org/x.jpg"),
        ),
    )
    assert gathered.images.schema == IMAGES
    assert gathered.views.schema == VIEWS
    rows = {row["identity"]: row for row in gathered.images.to_pylist()}
    assert set(rows) == {"flickr:4242", "url:other.org/x.jpg"}
    assert rows["flickr:4242"]["sources"] == ["sbu_captions", "yfcc100m"]
    assert rows["flickr:4242"]["fetch_shard"] == keys.partition_of(keys.image_id("flickr:4242"), 4)
    assert gathered.views.num_rows == 3
    assert gathered.books() == {"sbu_captions": Books(2, {}), "yfcc100m": Books(1, {})}


def write_pairs(folder: Path, *pairs: dict[str, Any]) -> str:
    table = pa.Table.from_pylist(list(pairs), schema=PAIRS)
    return str(folder / parquet_files.put_table(str(folder), "pairs", table).name)


def standing(stands: dict[str, str]) -> Aliases:
    """Return aliases by identity: which stands for which."""
    rows = [
        {"image_id": keys.image_id(other), "kept_id": keys.image_id(kept), "identity": kept}
        for other, kept in stands.items()
    ]
    return Aliases.of([pa.RecordBatch.from_pylist(rows, schema=images_aliases.ALIASES)])


def aliases_of(tmp_path: Path, *files: str) -> Aliases:
    found = [batch for file in files for batch in images_aliases.found(file)]
    return beside.read_aliases(beside.write_aliases(found, str(tmp_path / "side")))


def test_a_flickr_photograph_that_coco_has_gives_way_to_it(tmp_path: Path) -> None:
    coco = pair("coco", "1", "coco:9", image_url=COCO, also="flickr:4242", file_name="train2017/000000000009.jpg")
    genome = pair(
        "visual_genome", "5", "coco:9", image_url="https://cs.stanford.edu/VG/1.jpg", region=[0.0, 0.0, 0.5, 1.0]
    )
    flickr = pair("yfcc100m", "4242", "flickr:4242", image_url=FLICKR, mirrors=["http://mirror.org/4242"])
    files = [write_pairs(tmp_path, coco), write_pairs(tmp_path, flickr), write_pairs(tmp_path, genome)]
    aliases = aliases_of(tmp_path, *files)
    assert aliases == standing({"flickr:4242": "coco:9"})
    gathered = gather(
        spread(coco, aliases=aliases, index=Index({"000000000009.jpg": ["train2017.zip!/train2017/000000000009.jpg"]})),
        spread(flickr, aliases=aliases),
        spread(genome, aliases=aliases),
    )
    (image,) = gathered.images.to_pylist()
    assert (image["image_id"], image["identity"]) == (keys.image_id("coco:9"), "coco:9")
    assert image["has_region"]
    # Local archives, then mirrors, then upstream's URLs in order of their sources.
    assert locations(gathered) == [
        [
            ("archive", "train2017.zip!/train2017/000000000009.jpg"),
            ("mirror", "http://mirror.org/4242"),
            ("original", COCO),
            ("original", "https://cs.stanford.edu/VG/1.jpg"),
            ("original", FLICKR),
        ]
    ]
    assert {view["image_id"] for view in gathered.views.to_pylist()} == {keys.image_id("coco:9")}


def test_the_smallest_key_stands_for_a_photograph_that_coco_holds_twice(tmp_path: Path) -> None:
    twice = [pair("coco", str(n), f"coco:{n}", image_url=COCO, also="flickr:1") for n in (1, 2)]
    _, smallest = min((row["image_id"], row["identity"]) for row in twice)
    for files in ([twice], [[twice[0]], [twice[1]]], [[twice[1]], [twice[0]]]):
        found = aliases_of(tmp_path, *(write_pairs(tmp_path, *rows) for rows in files))
        assert found == standing({"flickr:1": smallest})


def test_an_alias_of_itself_or_none_changes_nothing(tmp_path: Path) -> None:
    rows = [pair("coco", "1", "flickr:1", also="flickr:1"), pair("coco", "2", "coco:2")]
    assert aliases_of(tmp_path, write_pairs(tmp_path, *rows)) == NO_ALIASES


def test_a_place_that_is_named_twice_is_tried_once() -> None:
    gathered = gather(
        spread(
            pair("coco", "1", "coco:9", image_url=COCO),
            pair("coco", "2", "coco:9", image_url=COCO + "#top"),
            pair("coco", "3", "coco:9", image_url="HTTP://Images.cocodataset.org:80/train2017/000000000009.jpg"),
            pair("coco", "4", "coco:9", image_url="http://e.org/x?utm_source=y", mirrors=[COCO, COCO]),
            pair("coco", "5", "coco:9", image_url="nowhere"),
            pair("coco", "6", "coco:9"),
        )
    )
    assert locations(gathered) == [[("mirror", COCO), ("original", "http://e.org/x?utm_source=y")]]


def test_mirrors_keep_upstreams_order() -> None:
    mirrors = ["http://z.org/1", "http://a.org/1"]
    gathered = gather(spread(pair("yfcc100m", "1", "flickr:1", image_url=FLICKR, mirrors=mirrors)))
    assert locations(gathered) == [[("mirror", mirrors[0]), ("mirror", mirrors[1]), ("original", FLICKR)]]


def test_what_workers_keep_in_memory_by_its_path_has_another_path_when_it_changes(tmp_path: Path) -> None:
    side = str(tmp_path / "side")
    rows = [pair("coco", str(n), f"coco:{n}", image_url=COCO, also=f"flickr:{n}") for n in (1, 2)]
    paths = [
        beside.write_aliases(images_aliases.found(write_pairs(tmp_path, *some)), side)
        for some in (rows[:1], rows, rows[:1])
    ]
    assert paths[0] == paths[2] != paths[1]
    found = [commits.put_aside(side, "archives-coco", content) for content in (b"{}", b"[]", b"{}")]
    assert found[0] == found[2] != found[1]


def key_array(count: int) -> pa.Array:
    return pa.array([keys.digest(str(i)) for i in range(count)], KEY)


def test_samples_are_nested_and_of_their_size() -> None:
    array = key_array(20_000)
    hundredth, tenth, half, all_of_them = (images_rules.in_sample(array, n) for n in (100, 10, 2, 1))
    assert all_of_them.all()
    for small, large in ((hundredth, tenth), (tenth, half)):
        assert not (small & ~large).any()
    for taken, n in ((hundredth, 100), (tenth, 10), (half, 2)):
        assert abs(taken.sum() - 20_000 / n) < 5 * (20_000 / n) ** 0.5
    assert np.array_equal(images_rules.in_sample(array.slice(7, 100), 10), tenth[7:107])


def test_a_sample_reaches_every_fetch_shard() -> None:
    array = key_array(20_000)
    taken = array.filter(pa.array(images_rules.in_sample(array, 100)))
    assert {keys.partition_of(key, 3) for key in taken.to_pylist()} == set(range(8))


def test_what_is_outside_the_sample_leaves_whole() -> None:
    pairs = [pair("coco", str(n), f"coco:{n // 2}") for n in range(200)]
    gathered = gather(spread(*pairs, sample=4))
    taken = {row["image_id"] for row in gathered.views.to_pylist()}
    left = {row["image_id"] for row in gathered.rejected.to_pylist()}
    assert taken
    assert left
    assert not taken & left
    assert set(gathered.rejected["reason"].to_pylist()) == {"not_sampled"}
    assert gathered.views.num_rows + gathered.rejected.num_rows == 200


@pytest.mark.parametrize(
    "line",
    [
        COCO,
        "https://images.cocodataset.org/train2017/000000000009.jpg?utm_source=mail#x",
        keys.image_id("coco:9").hex(),
        keys.image_id("coco:9").hex().upper(),
        f"  {keys.pair_id('coco', '1').hex()}  ",
        FLICKR,  # the same photograph under its other identity
        keys.image_id("flickr:4242").hex(),
    ],
)
def test_a_takedown_is_by_url_image_or_pair(tmp_path: Path, line: str) -> None:
    path = tmp_path / "takedown.txt"
    path.write_text(f"# as asked\n\n  # indented\n{line}\n", encoding="utf-8")
    takedown = Takedown.of(takedowns.lines([str(path)]))
    aliases = standing({"flickr:4242": "coco:9"})
    rows = spread(
        pair("coco", "1", "coco:9", image_url=COCO, also="flickr:4242"),
        pair("coco", "3", "coco:10", image_url="http://images.cocodataset.org/train2017/000000000010.jpg"),
        takedown=images_rules.widened(takedown, [(keys.image_id("coco:9"), keys.image_id("flickr:4242"))]),
        aliases=aliases,
    )
    assert rows["reason"].to_pylist() == ["takedown", None]


def test_a_takedown_of_an_image_takes_all_its_pairs(tmp_path: Path) -> None:
    path = tmp_path / "takedown.txt"
    path.write_text(f"{keys.image_id('coco:9').hex()}\n", encoding="utf-8")
    takedown = Takedown.of(takedowns.lines([str(path)]))
    aliases = standing({"flickr:4242": "coco:9"})
    rows = spread(
        pair("coco", "1", "coco:9", image_url=COCO),
        pair("coco", "2", "coco:9", image_url="http://elsewhere.org/9.jpg"),
        pair("yfcc100m", "4242", "flickr:4242", image_url=FLICKR),
        takedown=images_rules.widened(takedown, [(keys.image_id("coco:9"), keys.image_id("flickr:4242"))]),
        aliases=aliases,
        sample=10**9,  # a takedown is told as one, in every sample
    )
    assert rows["reason"].to_pylist() == ["takedown"] * 3


@pytest.mark.parametrize(
    "line",
    [
        "visual_genome:2",
        "https://visualgenome.org/api/v0/images/2",
        "http://cs.stanford.edu/people/rak248/VG_100K_2/2.jpg",
        "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg",  # where its other half is
    ],
)
def test_a_takedown_by_visual_genome_s_own_id_reaches_what_it_knows_as_coco_s(tmp_path: Path, line: str) -> None:
    path = tmp_path / "takedown.txt"
    path.write_text(f"{line}\n", encoding="utf-8")
    folder = "https://cs.stanford.edu/people/rak248/VG_100K_2"
    rows = spread(
        pair("visual_genome", "20", "coco:9", image_url=f"{folder}/2.jpg"),
        pair("visual_genome", "30", "coco:10", image_url=f"{folder}/3.jpg"),
        takedown=Takedown.of(takedowns.lines([str(path)])),
    )
    assert rows["reason"].to_pylist() == ["takedown", None]


def test_what_is_held_out_leaves_under_each_identity() -> None:
    coco, flickr = keys.image_id("coco:9"), keys.image_id("flickr:4242")
    held_out = sorted(images_rules.reached(frozenset({coco}), [(coco, flickr), (keys.image_id("vg:1"), flickr)]))
    pairs = [
        pair("visual_genome", "1", "vg:1"),
        pair("yfcc100m", "4242", "flickr:4242", image_url=FLICKR),
        pair("sbu_captions", "x", "flickr:4243"),
    ]
    batch = pa.RecordBatch.from_pylist(pairs, schema=PAIRS).select(list(images_rules.NEEDED))
    rows = images_rules.spread(
        batch,
        ASKED,
        takedown=NOTHING,
        held_out=pa.array(held_out, PAIRS.field("image_id").type),
    )
    assert rows["reason"].to_pylist() == ["evaluation_copy", "evaluation_copy", None]


def test_no_takedown_is_nothing() -> None:
    assert not Takedown.of(takedowns.lines([]))
    assert not NOTHING
    assert Takedown(ids=frozenset({b"x"}))


@pytest.mark.parametrize("count", [0, 1, 1023, 1024])
def test_few_distinct_keys_are_counted_exactly(count: int) -> None:
    array = key_array(count)
    assert images_rules.estimate_distinct([array, array.slice(count // 2), array]) in {
        count,
        *([1023] if count == 1024 else []),
    }


def test_many_distinct_keys_are_estimated_within_ten_percent() -> None:
    array = key_array(50_000)
    assert images_rules.estimate_distinct([array.slice(i, 1000) for i in range(0, 50_000, 1000)]) == pytest.approx(
        50_000, rel=0.1
    )


_PAIRS = st.builds(
    lambda source, number, url, mirrors, region: pair(
        source,
        f"{number}/{url}/{mirrors}/{region}",
        f"coco:{number}",
        image_url=url,
        mirrors=mirrors,
        region=region,
        file_name=f"{number}.jpg",
    ),
    st.sampled_from(["coco", "wit"]),
    st.integers(0, 4),
    st.sampled_from([None, COCO, FLICKR, "http://a.org/1", "https://a.org/1"]),
    st.sampled_from([None, [], ["http://m.org/2", "http://m.org/1"]]),
    st.sampled_from([None, [0.0, 0.0, 0.5, 0.5]]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_PAIRS, max_size=14, unique_by=lambda row: row["pair_id"]), st.data())
def test_gathering_does_not_depend_on_order(pairs: list[dict[str, Any]], data: st.DataObject) -> None:
    index = Index({"1.jpg": ["a.zip!/1.jpg"]})
    takedown = Takedown(ids=frozenset({keys.image_id("coco:4")}))
    shuffled = data.draw(st.permutations(pairs))
    cut = data.draw(st.integers(0, len(pairs)))
    one = gather(spread(*pairs, index=index, takedown=takedown))
    two = gather(*(spread(*part, index=index, takedown=takedown) for part in (shuffled[:cut], shuffled[cut:])))
    for name in ("images", "views", "rejected"):
        assert getattr(one, name).equals(getattr(two, name)), name
    assert one.rejected.schema == REJECTED
    ids = [row["image_id"] for row in one.images.to_pylist()]
    assert ids == sorted(set(ids))
    assert set(ids) == {row["image_id"] for row in one.views.to_pylist()}
    there = Counter(row["pair_id"] for table in (one.views, one.rejected) for row in table.to_pylist())
    assert there == Counter(row["pair_id"] for row in pairs)
    for row in one.images.to_pylist():
        mine = [item for item in pairs if item["image_id"] == row["image_id"]]
        assert row["has_region"] == any(item["region"] for item in mine)
        assert row["sources"] == sorted({item["source"] for item in mine})


def _verdicts(column: str, *ids: bytes, rejects_missing: bool) -> scores.Verdicts:
    return scores.Verdicts(column, np.sort(keys.sortable(pa.array(ids, KEY))), rejects_missing)


def test_the_addresses_of_a_list_are_spelled_once_for_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = images_rules.urls.alike_one
    monkeypatch.setattr(images_rules.urls, "alike_one", lambda form: asked.append(form) or real(form))
    takedown = Takedown(urls=frozenset({"http://a.example/~one.jpg", "http://a.example/two.jpg"}))
    for address, reason in (("https://a.example/%7eone.jpg", "takedown"), ("http://a.example/3.jpg", None)) * 2:
        row = pair("coco", "1", "coco:1", image_url=address, mirrors=[])
        assert spread(row, takedown=takedown)["reason"].to_pylist() == [reason]
    assert asked.count("http://a.example/two.jpg") == 1


def reasons_of(*rules: scores.Verdicts, takedown: Takedown = NOTHING) -> list[str | None]:
    """The reasons of pairs 1, 2 and 3 of photographs a, b and c; b is known as A too, which stands for it."""
    pairs = [pair("wit", str(n), f"url:{name}", image_url=f"http://e.org/{name}") for n, name in enumerate("abc", 1)]
    batch = pa.RecordBatch.from_pylist(pairs, schema=PAIRS).select(list(images_rules.NEEDED))
    aliases = standing({"url:b": "url:A"})
    rows = images_rules.spread(
        batch, ASKED, aliases=aliases, takedown=takedown, held_out=pa.array([], KEY), verdicts=rules
    )
    found: list[str | None] = rows["reason"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("column", "ids", "rejects_missing", "left"),
    [
        ("pair_id", [keys.pair_id("wit", "1")], False, "1"),
        ("pair_id", [keys.pair_id("wit", "1")], True, "23"),
        ("pair_id", [], False, ""),
        ("pair_id", [], True, "123"),
        ("image_id", [keys.image_id("url:a")], False, "1"),
        ("image_id", [keys.image_id("url:b")], False, "2"),
        ("image_id", [keys.image_id("url:A")], False, "2"),
        ("image_id", [keys.image_id("url:A"), keys.image_id("url:c")], True, "1"),
    ],
)
def test_pairs_leave_for_the_scores_of_themselves_or_their_images(
    column: str, ids: list[bytes], rejects_missing: bool, left: str
) -> None:
    rule = _verdicts(column, *ids, rejects_missing=rejects_missing)
    assert reasons_of(rule) == ["score" if number in left else None for number in "123"]


def test_a_score_is_no_reason_for_what_leaves_already_and_every_rule_counts() -> None:
    listed = Takedown(frozenset([keys.image_id("url:a")]))
    one = _verdicts("pair_id", keys.pair_id("wit", "1"), keys.pair_id("wit", "2"), rejects_missing=False)
    other = _verdicts("image_id", keys.image_id("url:c"), rejects_missing=False)
    assert reasons_of(one, other, takedown=listed) == ["takedown", "score", "score"]


def test_a_takedown_reaches_a_photograph_under_every_identity_that_is_known_of_it() -> None:
    a, b, c, d = (keys.image_id(f"url:{name}") for name in "abcd")
    listed = Takedown(frozenset([a]), frozenset(["e.org/x"]))
    assert images_rules.widened(listed, []) == listed
    assert images_rules.widened(listed, [(a, b), (c, d)]) == Takedown(frozenset([a, b]), listed.urls)
    # c has b's identity too, and b is a: all three are one photograph.
    assert images_rules.widened(listed, [(a, b), (c, b)]).ids == {a, b, c}
    assert images_rules.widened(listed, [(c, a)]).ids == {a, c}


def licensed(*allowed: str) -> list[tuple[str | None, str | None]]:
    """The reasons and details of pairs whose images have one licence or another, some of them the same photograph."""
    page = {"also": "flickr:4242"}
    pairs = [
        pair("coco", "1", "coco:9", image_licence="CC-BY-2.0", **page),
        pair("coco", "2", "coco:10", image_licence="CC-BY-NC-2.0", also="flickr:43"),
        pair("coco", "3", "coco:11", image_licence="CC-BY-2.0"),
        pair("visual_genome", "4", "visual_genome:1", image_licence="NOASSERTION", **page),
        pair("visual_genome", "5", "visual_genome:2", image_licence=None),
        pair("yfcc100m", "6", "flickr:43", image_licence="CC-BY-2.0"),
        pair("wit", "7", "url:e.org/a", image_licence="CC0-1.0"),
    ]
    batch = pa.RecordBatch.from_pylist(pairs, schema=PAIRS).select(list(images_rules.NEEDED))
    aliases = standing({"flickr:43": "coco:10"})
    asked = Asked.only(licence=LicenceOptions(image_allow=allowed or None))
    gathered = images_rules.gather(
        pa.Table.from_batches(
            [
                images_rules.spread(
                    batch,
                    asked,
                    aliases=aliases,
                    takedown=Takedown(rows=frozenset({"wit/8"})),
                )
            ]
        ),
        4,
        asked,
    )
    left = {row["source_id"]: (row["reason"], row["detail"]) for row in gathered.rejected.to_pylist()}
    assert len(left) + gathered.views.num_rows == len(pairs)
    return [left.get(str(number), (None, None)) for number in range(1, 8)]


@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        ((), {}),
        (
            ("CC-BY-2.0", "CC0-1.0"),
            {
                2: "CC-BY-NC-2.0 is not in image_allow",
                3: "CC-BY-2.0 asks for credit, and the image has no page",
                4: "NOASSERTION is not in image_allow",
                5: "NOASSERTION is not in image_allow",
                6: "another source states CC-BY-NC-2.0",
            },
        ),
        (
            ("CC-BY-2.0", "CC-BY-NC-2.0", "NOASSERTION"),
            {3: "CC-BY-2.0 asks for credit, and the image has no page", 7: "CC0-1.0 is not in image_allow"},
        ),
    ],
)
def test_images_of_other_licences_leave_and_those_whose_authors_cannot_be_credited(
    allowed: tuple[str, ...], left: dict[int, str]
) -> None:
    expected = [("licence", left[number]) if number in left else (None, None) for number in range(1, 8)]
    assert licensed(*allowed) == expected
