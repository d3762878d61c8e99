"""De-duplication: which images give way to which, in any order, and what becomes of their pairs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.config.options import DedupeOptions
from pmd.dedupe import rules as dedupe_rules
from pmd.fetch import partitions
from pmd.schema import keys
from pmd.schema.tables import GROUPS, KEY, LEDGER, REJECTED, VIEWS
from pmd.store import commits

MERGE = DedupeOptions(same_bytes="merge", repeated_bytes=0, near="keep")
KEEP = DedupeOptions(same_bytes="keep", repeated_bytes=0, near="keep")


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


def found(options: DedupeOptions, *rows: dict[str, Any]) -> list[tuple[int, int, str]]:
    table = ledger(*rows)
    groups = dedupe_rules.groups(dedupe_rules.hashes(table, table["image_id"].combine_chunks()), options)
    assert groups.schema == GROUPS
    assert set(groups["distance"].to_pylist()) <= {0}
    return [(row["image_id"][0], row["kept_id"][0], row["relation"]) for row in groups.to_pylist()]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (KEEP, []),
        (MERGE, [(2, 1, "same_bytes"), (4, 1, "same_bytes")]),
        (
            DedupeOptions(same_bytes="merge", repeated_bytes=4, near="keep"),
            [(2, 1, "same_bytes"), (4, 1, "same_bytes")],
        ),
        (
            DedupeOptions(same_bytes="merge", repeated_bytes=3, near="keep"),
            [(1, 1, "repeated_bytes"), (2, 1, "repeated_bytes"), (4, 1, "repeated_bytes")],
        ),
        (
            DedupeOptions(same_bytes="keep", repeated_bytes=3, near="keep"),
            [(1, 1, "repeated_bytes"), (2, 1, "repeated_bytes"), (4, 1, "repeated_bytes")],
        ),
    ],
)
def test_images_with_equal_bytes(options: DedupeOptions, expected: list[tuple[int, int, str]]) -> None:
    rows = [image(4, "a"), image(2, "a"), image(3, "b"), image(1, "a")]
    assert found(options, *rows) == expected


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
_OPTIONS = st.builds(
    DedupeOptions,
    same_bytes=st.sampled_from(["keep", "merge"]),
    repeated_bytes=st.sampled_from([0, 2, 4]),
    near=st.just("keep"),
)


@settings(max_examples=40, deadline=None)
@given(_ROWS, st.randoms(use_true_random=False), _OPTIONS)
def test_who_stays_does_not_depend_on_order(rows: list[dict[str, Any]], random: Any, options: DedupeOptions) -> None:
    shuffled = random.sample(rows, len(rows))
    groups = found(options, *rows)
    assert groups == found(options, *shuffled)
    content = {row["image_id"][0]: row["sha256"] for row in rows}
    sizes = Counter(content.values())
    assert len({gone for gone, _, _ in groups}) == len(groups)
    for gone, kept, relation in groups:
        assert content[gone] == content[kept]
        is_repeated = options.repeated_bytes and sizes[content[gone]] >= options.repeated_bytes
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
        DedupeOptions(same_bytes="merge", repeated_bytes=2, near="keep"),
    )
    kept, rejected = dedupe_rules.judge(all_views, table, groups)
    assert kept["source_id"].to_pylist() == ["4"]
    assert rejected.schema == REJECTED
    assert sorted(rejected["source_id"].to_pylist()) == ["1", "2", "3"]
    assert set(rejected["reason"].to_pylist()) == {"repeated_bytes"}
    assert set(rejected["stage"].to_pylist()) == {"dedupe"}
    assert dedupe_rules.kept_ids(kept["image_id"], groups).to_pylist() == [key(3)]


def test_merged_views_move_to_the_image_that_stays() -> None:
    table = ledger(image(1, "a"), image(2, "a"), image(3, "b"))
    all_views = views((1, "coco", "1"), (2, "wit", "2"), (3, "coco", "3"))
    groups = dedupe_rules.groups(dedupe_rules.hashes(table, all_views["image_id"].combine_chunks()), MERGE)
    kept, rejected = dedupe_rules.judge(all_views, table, groups)
    assert (kept.num_rows, rejected.num_rows) == (3, 0)
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
