"""De-duplication: which images give way to which, in any order, and what becomes of their pairs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd import flow
from pmd.config.asked import Asked
from pmd.config.options import DedupeOptions
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import RootError
from pmd.fetch.ledger import partitions
from pmd.schema import keys
from pmd.schema.tables import GROUPS, KEY, LEDGER, REJECTED, VIEWS
from pmd.store import commits, exchange, parquet_files, root, sealed


def asking(**options: Any) -> Asked:
    return Asked.only(dedupe=DedupeOptions(**options))


MERGE = asking(same_bytes="merge", repeated_bytes=0, near="keep")
KEEP = asking(same_bytes="keep", repeated_bytes=0, near="keep")


def key(number: int) -> bytes:
    return bytes([number]) * 16


def digest(text: str) -> bytes:
    return bytes.fromhex(commits.sha256(text.encode()))


def ledger(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"status": "ok", "width_px": 4, "height_px": 3, "stored_form": "original", "generation": 0, **row}
            for row in rows
        ],
        schema=LEDGER,
    )


def image(number: int, content: str, **columns: Any) -> dict[str, Any]:
    return {"image_id": key(number), "sha256": digest(content), **columns}


def views(*rows: tuple[int, str, str]) -> pa.Table:
    """VIEWS of (image, source, source_id)."""
    return pa.Table.from_pylist(
        [
            {
                "image_id": key(number),
                "pair_id": keys.pair_id(source, source_id),
                "source": source,
                "source_id": source_id,
                "text": "text",
            }
            for number, source, source_id in rows
        ],
        schema=VIEWS,
    )


def found(asked: Asked, *rows: dict[str, Any]) -> list[tuple[int, int, str]]:
    table = ledger(*rows)
    groups = dedupe_rules.groups(dedupe_rules.hashes(table, table["image_id"].combine_chunks()), asked)
    assert groups.schema == dedupe_rules.RELATED
    assert set(groups["distance"].to_pylist()) <= {0}
    return [(row["image_id"][0], row["kept_id"][0], row["relation"]) for row in groups.to_pylist()]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (KEEP, []),
        (MERGE, [(2, 1, "same_bytes"), (4, 1, "same_bytes")]),
        (
            asking(same_bytes="merge", repeated_bytes=4, near="keep"),
            [(2, 1, "same_bytes"), (4, 1, "same_bytes")],
        ),
        (
            asking(same_bytes="merge", repeated_bytes=3, near="keep"),
            [(1, 1, "repeated_bytes"), (2, 1, "repeated_bytes"), (4, 1, "repeated_bytes")],
        ),
        (
            asking(same_bytes="keep", repeated_bytes=3, near="keep"),
            [(1, 1, "repeated_bytes"), (2, 1, "repeated_bytes"), (4, 1, "repeated_bytes")],
        ),
    ],
)
def test_images_with_equal_bytes(asked: Asked, expected: list[tuple[int, int, str]]) -> None:
    rows = [image(4, "a"), image(2, "a"), image(3, "b"), image(1, "a")]
    assert found(asked, *rows) == expected


def test_nothing_is_grouped_where_nothing_was_fetched() -> None:
    assert found(MERGE) == []
    assert found(MERGE, {"image_id": key(1), "status": "dead"}, {"image_id": key(2), "status": "dead"}) == []


def test_images_that_no_view_names_count_for_nothing() -> None:
    table = ledger(image(1, "a"), image(2, "a"), image(3, "a"))
    hashes = dedupe_rules.hashes(table, pa.array([key(2), key(3)], KEY))
    assert hashes.schema == dedupe_rules.HASHES
    assert [row["image_id"] for row in dedupe_rules.groups(hashes, MERGE).to_pylist()] == [key(3)]


def test_an_image_that_is_kept_whole_stays_since_regions_may_be_cut_from_it() -> None:
    rows = [
        image(1, "a", stored_form="resized"),
        image(2, "a", stored_form="original"),
        image(3, "a", stored_form="original"),
    ]
    assert found(MERGE, *rows) == [(1, 2, "same_bytes"), (3, 2, "same_bytes")]


_ROWS = st.lists(
    st.builds(image, st.integers(0, 40), st.sampled_from("abc"), stored_form=st.sampled_from(["original", "resized"])),
    max_size=12,
    unique_by=lambda row: row["image_id"],
)
_ASKED = st.builds(
    asking,
    same_bytes=st.sampled_from(["keep", "merge"]),
    repeated_bytes=st.sampled_from([0, 2, 4]),
    near=st.just("keep"),
)


@settings(max_examples=40, deadline=None)
@given(_ROWS, st.randoms(use_true_random=False), _ASKED)
def test_who_stays_does_not_depend_on_order(rows: list[dict[str, Any]], random: Any, asked: Asked) -> None:
    shuffled = random.sample(rows, len(rows))
    groups = found(asked, *rows)
    assert groups == found(asked, *shuffled)
    content = {row["image_id"][0]: row["sha256"] for row in rows}
    sizes = Counter(content.values())
    assert len({gone for gone, _, _ in groups}) == len(groups)
    for gone, kept, relation in groups:
        assert content[gone] == content[kept]
        is_repeated = asked.dedupe.repeated_bytes and sizes[content[gone]] >= asked.dedupe.repeated_bytes
        assert relation == ("repeated_bytes" if is_repeated else "same_bytes")
        if relation == "same_bytes":
            assert gone != kept
            assert kept not in {other for other, _, _ in groups}


def test_views_of_placeholders_leave_and_nothing_else() -> None:
    table = ledger(image(1, "a"), image(2, "a"), image(3, "b"), {"image_id": key(4), "status": "dead"})
    all_views = views(
        (1, "coco", "1"), (2, "wit", "2"), (2, "wit", "3"), (3, "coco", "4"), (4, "coco", "5"), (5, "coco", "6")
    )
    groups = dedupe_rules.groups(
        dedupe_rules.hashes(table, all_views["image_id"].combine_chunks()),
        asking(same_bytes="merge", repeated_bytes=2, near="keep"),
    )
    kept, rejected = dedupe_rules.judge(all_views, table, groups)
    assert kept["source_id"].to_pylist() == ["4"]
    assert rejected.schema == REJECTED
    assert sorted(rejected["source_id"].to_pylist()) == ["1", "2", "3"]
    assert set(rejected["reason"].to_pylist()) == {"repeated_bytes"}
    assert set(rejected["stage"].to_pylist()) == {"dedupe"}
    assert dedupe_rules.kept_ids(kept["image_id"], dedupe_rules.resolved(groups)).to_pylist() == [key(3)]


def test_merged_views_move_to_the_image_that_stays() -> None:
    table = ledger(image(1, "a"), image(2, "a"), image(3, "b"))
    all_views = views((1, "coco", "1"), (2, "wit", "2"), (3, "coco", "3"))
    groups = dedupe_rules.groups(dedupe_rules.hashes(table, all_views["image_id"].combine_chunks()), MERGE)
    kept, rejected = dedupe_rules.judge(all_views, table, groups)
    assert (kept.num_rows, rejected.num_rows) == (3, 0)
    groups = dedupe_rules.resolved(groups)
    assert dedupe_rules.kept_ids(kept["image_id"], groups).to_pylist() == [key(1), key(1), key(3)]


def test_nothing_is_judged_without_complaint() -> None:
    for some, table in ((views(), ledger()), (views((1, "coco", "1")), ledger()), (views(), ledger(image(1, "a")))):
        kept, rejected = dedupe_rules.judge(some, table, GROUPS.empty_table())
        assert (kept.num_rows, rejected.num_rows) == (0, 0)
        assert dedupe_rules.kept_ids(kept["image_id"], GROUPS.empty_table()).to_pylist() == []
        assert dedupe_rules.survivors_digest(kept, table) == {}
        assert partitions.statuses(some, table).to_pylist() == ["not_fetched"] * some.num_rows


def test_the_digest_of_survivors_adds_up_and_tells_changes() -> None:
    table = ledger(image(1, "a"), image(2, "b"), image(3, "c"))
    rows = [(1, "coco", "1"), (2, "coco", "2"), (3, "coco", "3"), (1, "wit", "4")]
    whole = dedupe_rules.survivors_digest(views(*rows), table)
    assert set(whole) == {"coco", "wit"}
    assert dedupe_rules.survivors_digest(views(*reversed(rows)), table) == whole
    one, two = (
        dedupe_rules.survivors_digest(views(*rows[:1]), table),
        dedupe_rules.survivors_digest(views(*rows[1:]), table),
    )
    assert (one["coco"] + two["coco"]) % 2**64 == whole["coco"]
    assert dedupe_rules.survivors_digest(views(*rows[1:]), table)["coco"] != whole["coco"]
    changed = ledger(image(1, "other"), image(2, "b"), image(3, "c"))
    other = dedupe_rules.survivors_digest(views(*rows), changed)
    assert other["coco"] != whole["coco"]
    # The bytes of two images change places: each is there still, but not where it was.
    swapped = ledger(image(1, "b"), image(2, "a"), image(3, "c"))
    assert dedupe_rules.survivors_digest(views(*rows), swapped)["coco"] != whole["coco"]


def test_the_digest_of_survivors_tells_that_perceptual_hashes_have_become_known() -> None:
    """Lists have them, and they may come long after the fetch."""
    rows = [(1, "coco", "1"), (2, "wit", "2")]
    table = ledger(image(1, "a"), image(2, "b"))
    at = table.schema.get_field_index("perceptual_hash")

    def digest(*hashes: bytes | None) -> dict[str, int]:
        with_hashes = table.set_column(at, LEDGER.field("perceptual_hash"), pa.array(hashes, pa.binary(32)))
        return dedupe_rules.survivors_digest(views(*rows), with_hashes)

    unknown, flat, other = digest(None, None), digest(bytes(32), None), digest(bytes(31) + b"\1", None)
    assert len({one["coco"] for one in (unknown, flat, other)}) == 3
    assert unknown["wit"] == flat["wit"] == other["wit"]
    assert digest(bytes(32), bytes(32))["wit"] != unknown["wit"]


def test_overlaps_name_the_nearest_evaluation_image_and_only_images_that_views_name() -> None:
    """What a ledger says of images that are gone, or that no view names, is nobody's overlap."""
    looks = bytes([0x0F, 0xF0, 0x33, 0xCC] * 8)
    table = ledger(
        image(3, "c", perceptual_hash=bytes([looks[0] ^ 1]) + looks[1:]),
        image(1, "a", perceptual_hash=looks),
        image(2, "b", perceptual_hash=bytes([0x55] * 32)),
        image(4, "a", perceptual_hash=looks),
        image(5, "a", perceptual_hash=looks, status="dead"),
    )
    known = pa.Table.from_pylist(
        [{"sha256": digest("a"), "pdq": looks, "name": "val: 1"}], schema=dedupe_rules.evaluation.KNOWN
    )
    named = pa.array([key(1), key(2), key(3), key(5)], KEY)
    groups = dedupe_rules.overlaps(table, named, known, MERGE)
    assert groups.schema == dedupe_rules.RELATED
    assert groups.to_pylist() == [
        {
            "image_id": key(number),
            "kept_id": key(number),
            "relation": "evaluation_overlap",
            "distance": distance,
            "matched": "val: 1",
        }
        for number, distance in ((1, 0), (3, 1))
    ]
    assert dedupe_rules.overlaps(
        table, named, known, asking(same_bytes="merge", repeated_bytes=0, near="keep", near_distance=0)
    )["image_id"].to_pylist() == [key(1)]


def test_views_of_evaluation_images_leave_and_say_which_they_are() -> None:
    table = ledger(image(1, "a"), image(2, "b"))
    groups = dedupe_rules.related([key(1)], [key(1)], ["evaluation_overlap"], [3], ["val: 1"])
    kept, rejected = dedupe_rules.judge(views((1, "coco", "1"), (2, "coco", "2")), table, groups)
    assert kept["source_id"].to_pylist() == ["2"]
    assert [(row["source_id"], row["reason"], row["detail"]) for row in rejected.to_pylist()] == [
        ("1", "evaluation_overlap", "val: 1")
    ]


def test_what_is_compared_for_near_duplicates_is_what_is_left() -> None:
    """Gone, not fetched, without a hash, and named by no view: none of these is compared."""
    shown = pa.Table.from_pylist(
        [
            {"image_id": key(number), "region": region}
            for number, region in (
                (6, None),
                (1, None),
                (1, [0.0, 0.0, 0.5, 0.5]),
                (2, None),
                (3, None),
                (4, None),
                (7, None),
            )
        ],
        schema=pa.schema([VIEWS.field("image_id"), VIEWS.field("region")]),
    )
    looks = [bytes([number]) * 32 for number in range(9)]
    table = ledger(
        image(1, "a", perceptual_hash=looks[1]),
        image(2, "b", perceptual_hash=looks[2], stored_form="resized"),
        image(3, "c", perceptual_hash=looks[3]),  # gives way
        image(4, "d", perceptual_hash=None),
        image(5, "e", perceptual_hash=looks[5]),  # no view names it
        image(6, "c", perceptual_hash=looks[6]),  # stands for 3
        image(7, "f", perceptual_hash=looks[7], status="dead"),
        image(8, "g", perceptual_hash=looks[8]),  # no view names it, but a group does
    )
    groups = dedupe_rules.related([key(3), key(9)], [key(6), key(2)], ["same_bytes"] * 2, [0, 0])
    rows = dedupe_rules.hashed(shown, table, dedupe_rules.marks(groups))
    assert rows.schema == dedupe_rules.near.HASHED
    found = {row["image_id"][0]: (row["whole"], row["has_region"]) for row in rows.to_pylist()}
    # 2 stands for another too, but was resized: regions are not cut from it.
    assert found == {1: (True, True), 2: (False, False), 6: (True, True)}
    assert rows["perceptual_hash"].to_pylist() == [looks[1], looks[2], looks[6]]
    assert (set(rows["width_px"].to_pylist()), set(rows["height_px"].to_pylist())) == ({4}, {3})


def test_matches_become_groups_of_near_duplicates() -> None:
    matches = pa.Table.from_pylist(
        [
            {"image_id": key(2), "kept_id": key(1), "distance": 7},
            {"image_id": key(3), "kept_id": key(1), "distance": 31},
        ],
        schema=dedupe_rules.near.MATCHES,
    )
    groups = dedupe_rules.near_groups(matches)
    assert groups.schema == dedupe_rules.RELATED
    assert groups.to_pylist() == [{**row, "relation": "near_duplicate", "matched": None} for row in matches.to_pylist()]
    assert dedupe_rules.near_groups(matches.slice(0, 0)) == dedupe_rules.RELATED.empty_table()


def test_one_that_stays_may_give_way_once_more_to_what_looks_like_it() -> None:
    groups = pa.concat_tables(
        [
            dedupe_rules.related([key(2)], [key(1)], ["same_bytes"], [0]),
            dedupe_rules.related([key(1)], [key(3)], ["near_duplicate"], [9]),
            dedupe_rules.related([key(4)], [key(4)], ["repeated_bytes"], [0]),
        ]
    )
    ids = pa.chunked_array([[key(2), key(1)], [key(3), key(4)]], KEY)
    found = dedupe_rules.resolved(groups)
    assert found.schema == GROUPS
    stands = dict(zip(found["image_id"].to_pylist(), found["stands_id"].to_pylist(), strict=True))
    assert stands == {key(1): key(3), key(2): key(3), key(4): None}
    assert dedupe_rules.kept_ids(ids, found).to_pylist() == [key(3), key(3), key(3), key(4)]
    assert dedupe_rules.resolved(groups.slice(0, 0)) == GROUPS.empty_table()


def test_groups_are_resolved_apart_where_those_meet_who_may_give_way() -> None:
    """However many partitions there are, each row finds there what becomes of the one that stays."""
    equal = [(number, 13 * (number % 8) + 100) for number in range(60)]
    near = [(13 * number + 100, 250) for number in range(5)]
    groups = pa.concat_tables(
        [
            dedupe_rules.related(*zip(*((key(one), key(kept), "same_bytes", 0) for one, kept in equal), strict=True)),
            dedupe_rules.related(
                *zip(*((key(one), key(kept), "near_duplicate", 3) for one, kept in near), strict=True)
            ),
            dedupe_rules.related([key(200)], [key(200)], ["evaluation_overlap"], [1], ["val: 1"]),
        ]
    )
    whole = dedupe_rules.resolved(groups)
    at = exchange.partitions(dedupe_rules.meeting_ids(groups), 5)
    apart = [dedupe_rules.resolved(groups.filter(pa.array(at == number))) for number in {*at.tolist()}]
    assert len(apart) > 5
    assert pa.concat_tables(apart).sort_by("image_id").to_pylist() == whole.to_pylist()
    then = dict(near)
    assert {row["image_id"][0]: row["stands_id"][0] for row in whole.to_pylist() if row["stands_id"]} == {
        one: then.get(kept, kept) for one, kept in [*equal, *near]
    }


def test_texts_stand_under_the_image_that_stays() -> None:
    kept = views((2, "coco", "1"), (3, "wit", "2"))
    groups = dedupe_rules.resolved(dedupe_rules.related([key(2)], [key(1)], ["same_bytes"], [0]))
    rows = dedupe_rules.texts(kept, groups)
    assert rows.schema == dedupe_rules.captions.TEXTS
    assert rows.drop_columns("text_id").to_pylist() == [
        {"stands_id": key(1), "image_id": key(2), "pair_id": keys.pair_id("coco", "1"), "is_near": False},
        {"stands_id": key(3), "image_id": key(3), "pair_id": keys.pair_id("wit", "2"), "is_near": False},
    ]
    assert len(set(rows["text_id"].to_pylist())) == 1  # both say "text"


def _repeated(*pairs: tuple[int, str, str]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "image_id": key(number),
                "pair_id": keys.pair_id(source, source_id),
                "reason": "repeated_text",
                "detail": f"on {number} images",
            }
            for number, source, source_id in pairs
        ],
        schema=dedupe_rules.captions.REPEATED,
    )


def test_pairs_with_a_repeated_text_leave_last_and_in_order() -> None:
    table = ledger(image(1, "a"), image(2, "b"), image(3, "c"))
    all_views = views(*((number, "coco", str(n)) for n, number in enumerate((1, 1, 2, 2, 3, 3))))
    groups = dedupe_rules.related([key(1)], [key(1)], ["repeated_bytes"], [0])
    repeated = _repeated((3, "coco", "5"), (2, "coco", "2"), (1, "coco", "0"))
    kept, rejected = dedupe_rules.judge(all_views, table, groups, repeated)
    assert kept["source_id"].to_pylist() == ["3", "4"]
    said = {row["source_id"]: (row["reason"], row["detail"]) for row in rejected.to_pylist()}
    assert said == {
        "0": ("repeated_bytes", None),
        "1": ("repeated_bytes", None),
        "2": ("repeated_text", "on 2 images"),
        "5": ("repeated_text", "on 3 images"),
    }
    assert rejected["pair_id"].to_pylist() == sorted(rejected["pair_id"].to_pylist())
    assert set(rejected["stage"].to_pylist()) == {"dedupe"}
    again, none = dedupe_rules.judge(all_views.slice(4), table, groups, _repeated())
    assert (again.num_rows, none.num_rows) == (2, 0)


def test_a_committed_stage_is_judged_again_with_the_pairs_that_left_for_their_text(tmp_path: Path) -> None:
    """Only the part's own pairs count, and only those that left for their text."""
    table = ledger(image(1, "a"), image(2, "b"))
    all_views = views((1, "coco", "1"), (1, "coco", "2"), (2, "coco", "3"), (2, "coco", "4"))
    groups = dedupe_rules.resolved(dedupe_rules.related([key(2)], [key(2)], ["repeated_bytes"], [0]))
    _, first = dedupe_rules.judge(all_views, table, groups, _repeated((1, "coco", "1")))
    _, other = dedupe_rules.judge(all_views, table, GROUPS.empty_table(), _repeated((1, "coco", "2")))
    folder = root.dedupe_folder(str(tmp_path))
    names = {
        "groups/part-00000-of-00004": groups,
        "rejected/part-00000-of-00004": first,
        "rejected/part-00001-of-00004": other,
    }
    files = [parquet_files.put_table(folder, name, rows) for name, rows in names.items()]
    commits.write(folder, commits.Commit("dedupe", tuple(files), {}, "", {}))
    assert dedupe_rules.read_groups(str(tmp_path)) == groups
    for part, gone in ((0, "1"), (1, "2"), (2, None)):
        kept, rejected = dedupe_rules.judge_again(str(tmp_path), part, all_views, table, GROUPS.empty_table())
        assert rejected["source_id"].to_pylist() == ([gone] if gone else []), part
        assert kept.num_rows + rejected.num_rows == 4


def _committed_groups(where: Path, tables: dict[str, pa.Table]) -> tuple[commits.File, ...]:
    folder = root.dedupe_folder(str(where))
    files = tuple(parquet_files.put_table(folder, f"groups/{name}", rows) for name, rows in tables.items())
    commits.write(folder, commits.Commit("dedupe", files, {}, "", {}))
    return files


def test_a_part_reads_the_groups_of_its_own_images_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All parts together read each file once: at PMD's size 0.5 GB in place of 512 times as much."""
    near = dedupe_rules.related([key(7)], [key(9)], ["near_duplicate"], [2])
    same = dedupe_rules.related([key(n) for n in range(10, 250, 3)], [key(7)] * 80, ["same_bytes"] * 80, [0] * 80)
    groups = dedupe_rules.resolved(pa.concat_tables([near, same]))
    at = exchange.partitions(groups["image_id"], 3)
    cut = {number: groups.filter(pa.array(at == number)) for number in range(8)}
    files = _committed_groups(tmp_path, {flow.part(number, 3): rows for number, rows in cut.items()})
    opened: list[str] = []
    original = sealed.open_checked
    monkeypatch.setattr(sealed, "open_checked", lambda path: opened.append(Path(path).name) or original(path))
    read = [dedupe_rules.read_groups(str(tmp_path), part) for part in range(8)]
    sizes = {Path(file.name).name: file.bytes for file in files}
    assert sum(sizes[name] for name in opened) == sum(sizes.values())
    assert [rows.to_pylist() for rows in read] == [cut[number].to_pylist() for number in range(8)]
    assert dedupe_rules.read_groups(str(tmp_path)) == groups
    assert {*groups.slice(1)["stands_id"].to_pylist()} == {key(9)}  # which is another part's


def test_groups_of_an_earlier_version_are_read_whole_and_resolved(tmp_path: Path) -> None:
    same = dedupe_rules.related([key(200), key(40)], [key(7), key(7)], ["same_bytes"] * 2, [0, 0])
    near = dedupe_rules.related([key(7)], [key(9)], ["near_duplicate"], [2])
    _committed_groups(tmp_path, {"part": same, "part-": near})
    wanted = dedupe_rules.resolved(pa.concat_tables([same, near]))
    for part in (None, 0, 5):
        assert dedupe_rules.read_groups(str(tmp_path), part) == wanted


def test_what_is_not_committed_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RootError) as told:
        dedupe_rules.read_groups(str(tmp_path))
    assert told.value.remedy == "run: pmd dedupe CONFIG"
    with pytest.raises(RootError) as told:
        dedupe_rules.judge_again(str(tmp_path), 0, views(), ledger(), GROUPS.empty_table())
    assert told.value.remedy == "run: pmd dedupe CONFIG"
