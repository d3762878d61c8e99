"""Curate: what a draft becomes, on any order and any cut of the same drafts; nothing is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.config.asked import Asked
from pmd.config.options import CurateOptions
from pmd.curate import rules as curate_rules
from pmd.curate.rules import Resolved
from pmd.schema import keys
from pmd.schema.tables import DRAFTS, JUDGED, PAIRS, REJECTED
from pmd.store.commits import Books

KEEP, REJECT = (Asked.only(curate=CurateOptions(duplicate_rows=what)) for what in ("keep", "reject"))
URL = "http://example.org/a.jpg"


def draft(**columns: Any) -> dict[str, Any]:
    """A draft that is a pair; its digest is that of what upstream says, which a file's name is no part of."""
    row = {"source_id": "7", "image_url": URL, "text": "a dog", "meta": "{}", "where": "f.tsv:line 1", **columns}
    of_the_file = {"where", "row_digest", "file_name", "split"}
    says = repr([(name, value) for name, value in sorted(row.items()) if name not in of_the_file])
    return {"row_digest": keys.digest(says), **row}


def judge(*rows: dict[str, Any]) -> pa.RecordBatch:
    return curate_rules.judge("sbu_captions", pa.RecordBatch.from_pylist(list(rows), schema=DRAFTS))


def judged_row(**columns: Any) -> dict[str, Any]:
    batch = judge(draft(**columns))
    assert batch.schema == JUDGED
    (row,) = batch.to_pylist()
    return dict(row)


def resolve(asked: Asked, *batches: pa.RecordBatch) -> Resolved:
    return curate_rules.resolve("sbu_captions", pa.Table.from_batches(list(batches), schema=JUDGED), asked)


def ids(table: pa.Table) -> list[str]:
    return sorted(table["source_id"].to_pylist())


@pytest.mark.parametrize(
    ("columns", "reason", "detail"),
    [
        ({}, None, None),
        ({"image_url": None}, "no_image", None),
        ({"image_url": "nowhere"}, "bad_url", "nowhere"),
        ({"image_url": "ftp://example.org/a.jpg"}, "bad_url", "ftp://example.org/a.jpg"),
        ({"image_url": ""}, "no_image", None),
        ({"image_url": " \t\u00a0"}, "no_image", None),
        ({"text": None}, "empty_text", None),
        ({"text": ""}, "empty_text", None),
        ({"text": " \n\t\u00a0 "}, "empty_text", None),
        ({"text": " \u200b\ufeff"}, "empty_text", None),
        ({"text": "", "image_url": None}, "no_image", None),
        ({"text": "", "image_url": "nowhere"}, "bad_url", "nowhere"),
        ({"image_url": None, "identity": "coco:9"}, None, None),
        ({"image_url": "nowhere", "identity": "coco:9"}, None, None),
        ({"reason": "not_english", "detail": "de"}, "not_english", "de"),
        (
            {"reason": "malformed_row", "detail": "2 columns", "text": None, "image_url": None},
            "malformed_row",
            "2 columns",
        ),
        ({"reason": "video", "image_url": "nowhere"}, "video", None),
    ],
)
def test_what_is_wrong_with_a_draft(columns: dict[str, Any], reason: str | None, detail: str | None) -> None:
    row = judged_row(**columns)
    assert (row["reason"], row["detail"]) == (reason, detail)
    assert row["where"] == "f.tsv:line 1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("  two \n spaces  ", "two spaces"), ("cafe\u0301", "café"), ("ﬁne <b>&amp;", "ﬁne <b>&amp;")],
)
def test_text_is_normalised_and_nothing_else(text: str, expected: str) -> None:
    assert judged_row(text=text)["text"] == expected


def test_keys_are_those_of_the_content() -> None:
    row = judged_row()
    assert row["key"] == keys.pair_id("sbu_captions", "7")
    assert row["identity"] == "url:example.org/a.jpg"
    assert row["image_id"] == keys.image_id("url:example.org/a.jpg")
    assert judged_row(identity="coco:9")["image_id"] == keys.image_id("coco:9")
    assert judged_row(image_url="nowhere")["image_id"] is None


def test_a_row_without_an_id_is_keyed_by_its_digest() -> None:
    digest = keys.digest("raw row")
    row = judged_row(source_id=None, row_digest=digest)
    assert row["source_id"] == digest.hex()
    assert row["key"] == keys.pair_id("sbu_captions", digest.hex())


def test_what_upstream_says_is_kept() -> None:
    says: dict[str, Any] = {
        "also": "flickr:1",
        "file_name": "train/1.jpg",
        "mirrors": ["http://m.org/1"],
        "width_px": 3,
        "height_px": 4,
        "region": [0.0, 0.0, 0.5, 0.5],
        "meta": '{"a":1}',
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
        "licence_evidence": "by",
        "split": "train",
    }
    row = judged_row(**says)
    assert {name: row[name] for name in says} == says
    (pair,) = resolve(KEEP, judge(draft(**says))).pairs.to_pylist()
    assert {name: pair[name] for name in says} == says
    assert pair["image_url"] == URL


@pytest.mark.parametrize("others", [(), ({"text": "a cat"},)])
def test_of_a_row_that_leaves_only_what_its_rejection_says_is_carried(others: tuple[dict[str, Any], ...]) -> None:
    said = draft(text="", also="flickr:1", mirrors=["http://m.org/1"], region=[0.0, 0.0, 0.5, 0.5], split="train")
    batch = judge(said, *(draft(**one) for one in others))
    left, *stay = batch.to_pylist()
    ordering = {"row_digest", "file_name", "split"}
    assert {name for name, value in left.items() if value is not None} == {
        "key", "image_id", "source_id", "also", "row_digest", "split", "reason", "where",
    }  # fmt: skip
    assert {*JUDGED.names} - {*REJECTED.names} - ordering - {"key"} == {*curate_rules._PAIRS_ONLY}
    assert all(row["text"] and row["meta"] and row["identity"] for row in stay)
    (row,) = resolve(KEEP, judge(said)).rejected.to_pylist()
    assert (row["reason"], row["image_id"], row["also"]) == ("empty_text", left["image_id"], "flickr:1")


def test_no_meta_is_an_empty_object() -> None:
    assert judged_row(meta=None)["meta"] == "{}"


def test_rows_with_one_id_are_numbered_in_order_of_their_content() -> None:
    rows = [draft(text=text) for text in ("one", "two", "three")]
    numbered = {row["text"]: row["source_id"] for row in resolve(KEEP, judge(*rows)).pairs.to_pylist()}
    expected = sorted(rows, key=lambda row: row["row_digest"])
    assert numbered == {row["text"]: name for row, name in zip(expected, ["7", "7#2", "7#3"], strict=True)}
    for row in resolve(KEEP, judge(*rows)).pairs.to_pylist():
        assert row["pair_id"] == keys.pair_id("sbu_captions", row["source_id"])


@pytest.mark.parametrize(("asked", "kept", "left"), [(KEEP, ["7", "7#2", "7#3"], []), (REJECT, ["7"], ["7#2", "7#3"])])
def test_the_same_row_again(asked: Asked, kept: list[str], left: list[str]) -> None:
    settled = resolve(asked, judge(draft(), draft(), draft(where="g.tsv:line 4")))
    assert (ids(settled.pairs), ids(settled.rejected)) == (kept, left)
    assert settled.books() == Books(len(kept), {"duplicate_row": len(left)} if left else {})


@pytest.mark.parametrize(
    ("other", "is_repeat"),
    [
        ({"meta": '{"file": "train2017"}'}, True),
        ({"split": "validation"}, True),
        ({"text": "  a  dog"}, True),
        ({"text": "a cat"}, False),
        ({"image_url": "http://example.org/b.jpg"}, False),
        ({"image_url": "https://example.org/a.jpg#top"}, True),
        ({"region": [0.0, 0.0, 1.0, 1.0]}, False),
        ({"source_id": "8"}, False),
    ],
)
def test_a_repeat_says_the_same_of_id_image_region_and_text(other: dict[str, Any], is_repeat: bool) -> None:
    settled = resolve(REJECT, judge(draft(), draft(**other)))
    assert settled.rejected["reason"].to_pylist() == ["duplicate_row"] * is_repeat
    assert resolve(KEEP, judge(draft(), draft(**other))).pairs.num_rows == 2


def test_a_repeat_of_a_rejected_row_keeps_its_own_reason() -> None:
    settled = resolve(REJECT, judge(draft(reason="video"), draft(reason="video"), draft(text="")))
    assert Counter(settled.rejected["reason"].to_pylist()) == {"video": 2, "empty_text": 1}
    assert settled.pairs.num_rows == 0


def test_a_repeat_of_a_row_that_left_for_another_reason_is_kept() -> None:
    # The same words and image, but the reader refused one of them: the other is nobody's repeat.
    settled = resolve(REJECT, judge(draft(reason="language", detail="de"), draft()))
    assert settled.rejected["reason"].to_pylist() == ["language"]
    assert settled.pairs.num_rows == 1


def test_nothing_in_nothing_out() -> None:
    settled = resolve(REJECT)
    assert settled.pairs == PAIRS.empty_table()
    assert settled.rejected == REJECTED.empty_table()
    assert settled.books() == Books(0, {})


_URLS = st.sampled_from([URL, "https://example.org/a.jpg", "http://example.org/b.jpg", "nowhere", None])
_DRAFTS = st.builds(
    draft,
    source_id=st.sampled_from(["1", "2", "3", None]),
    image_url=_URLS,
    text=st.sampled_from(["a dog", "a  dog ", "a cat", "", None]),
    meta=st.sampled_from(["{}", '{"a":1}']),
    region=st.sampled_from([None, [0.0, 0.0, 0.5, 1.0]]),
    reason=st.sampled_from([None, None, None, "not_english"]),
    split=st.sampled_from(["train", None]),
    file_name=st.sampled_from(["train2017/1.jpg", "1.jpg"]),
    where=st.integers(0, 9).map(lambda line: f"f.tsv:line {line}"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_DRAFTS, max_size=12), st.data(), st.sampled_from([KEEP, REJECT]))
def test_any_order_and_any_cut_give_equal_tables(rows: list[dict[str, Any]], data: st.DataObject, asked: Asked) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    one = resolve(asked, judge(*rows))
    two = resolve(asked, judge(*shuffled[:cut]), judge(*shuffled[cut:]))
    assert one.pairs.equals(two.pairs)
    assert one.rejected.drop_columns(["where"]).equals(two.rejected.drop_columns(["where"]))
    # Nothing is lost or doubled, and each table is in order.
    assert one.pairs.num_rows + one.rejected.num_rows == len(rows)
    assert one.books().total == len(rows)
    names = ids(one.pairs) + ids(one.rejected)
    assert len(set(names)) == len(rows)
    for table, schema in ((one.pairs, PAIRS), (one.rejected, REJECTED)):
        assert table.schema == schema
        assert table["pair_id"].to_pylist() == sorted(table["pair_id"].to_pylist())
    expected = Counter(row["source_id"] or row["row_digest"].hex() for row in rows)
    assert Counter(name.split("#")[0] for name in names) == expected
    wheres = Counter(row["where"] for row in rows)
    if not one.pairs.num_rows:
        assert Counter(one.rejected["where"].to_pylist()) == wheres


def test_an_identity_that_the_reader_gave_stands_and_urls_give_the_others() -> None:
    """All given, none given, some given: each is another way through the code, with one meaning."""
    given = draft(source_id="1", identity="coco:9")
    other = draft(source_id="2", image_url="http://example.org/b.jpg")
    for rows in (
        [given],
        [other],
        [given, other],
        [other, given, draft(source_id="3", image_url=None, identity="ade:1")],
    ):
        found = resolve(KEEP, judge(*rows)).pairs
        says = dict(zip(found["source_id"].to_pylist(), found["identity"].to_pylist(), strict=True))
        wanted = {"1": "coco:9", "2": "url:example.org/b.jpg", "3": "ade:1"}
        assert says == {row["source_id"]: wanted[row["source_id"]] for row in rows}


def test_rows_that_share_an_id_are_numbered_by_themselves() -> None:
    """Each id counts its own rows, in the order of what they say, whatever stands between them."""
    rows = [draft(source_id=name, text=text) for text in ("a dog", "a cat", "a bird") for name in ("1", "2")]
    pairs = resolve(KEEP, judge(*rows[:5], draft(source_id="3"))).pairs
    assert sorted(pairs["source_id"].to_pylist()) == ["1", "1#2", "1#3", "2", "2#2", "3"]
    texts = dict(zip(pairs["source_id"].to_pylist(), pairs["text"].to_pylist(), strict=True))
    assert {texts["1"], texts["1#2"], texts["1#3"]} == {"a dog", "a cat", "a bird"}
    assert {texts["2"], texts["2#2"]} == {"a dog", "a cat"}


def test_a_number_of_ours_is_no_other_rows_id() -> None:
    """Upstream may call a row as we would call the second of another's."""
    names = ["a", "a", "a", "a#2", "a#2", "a#2#2", "a#4", "b#7", "#1", "c#x"]
    rows = [draft(source_id=name, text=f"text {number}") for number, name in enumerate(names)]
    settled = resolve(KEEP, judge(*rows[:4]), judge(*rows[4:]))
    assert ids(settled.pairs) == sorted(["a", "a#3", "a#5", "a#2", "a#2#3", "a#2#2", "a#4", "b#7", "#1", "c#x"])
    for row in settled.pairs.to_pylist():
        assert row["pair_id"] == keys.pair_id("sbu_captions", row["source_id"])
    own = {row["text"]: row["source_id"] for row in settled.pairs.to_pylist()}
    assert [own[f"text {number}"] for number in range(5, 10)] == names[5:]


def test_all_rows_that_may_come_to_have_one_id_meet() -> None:
    batch = judge(*(draft(source_id=name) for name in ("a", "a#2", "a#2#3", "b", "a#x")))
    one, two, three, other, word = batch["key"].to_pylist()
    assert one == two == three
    assert len({one, other, word}) == 3


def test_rows_that_are_numbered_by_upstream_do_not_all_meet() -> None:
    """A file may call all its rows so; those of a partition stand in memory."""
    numbers = [0, 1, 9_999, 10_000, 10_001, 123_456]
    batch = judge(*(draft(source_id=name) for name in ("set", *(f"set#{number}" for number in numbers), "set#02")))
    partitions = dict(zip(batch["source_id"].to_pylist(), batch["key"].to_pylist(), strict=True))
    assert [name for name, key in partitions.items() if key == partitions["set"]] == ["set", "set#9999"]
    assert len({*partitions.values()}) == len(partitions) - 1
    settled = resolve(KEEP, batch)
    assert ids(settled.pairs) == sorted(partitions)
    for row in settled.pairs.to_pylist():
        assert row["pair_id"] == keys.pair_id("sbu_captions", row["source_id"])


@pytest.mark.parametrize("name", ["set#12345", "set#1", "set#02", "set#2"])
def test_the_second_of_a_numbered_row_is_in_its_partition(name: str) -> None:
    batch = judge(draft(source_id=name), draft(source_id=name, text="again"), draft(source_id=f"{name}#2"))
    assert len({*batch["key"].to_pylist()}) == 1
    assert ids(resolve(KEEP, batch).pairs) == sorted([name, f"{name}#2", f"{name}#3"])


@given(names=st.lists(st.sampled_from(["a", "a#2", "a#3", "a#2#2", "b"]), max_size=8), data=st.data())
def test_every_row_has_an_id_of_its_own(names: list[str], data: st.DataObject) -> None:
    rows = [draft(source_id=name, text=f"text {number}") for number, name in enumerate(names)]
    found = resolve(KEEP, judge(*rows)).pairs
    assert len({*found["source_id"].to_pylist()}) == len({*found["pair_id"].to_pylist()}) == len(names)
    assert {*names} <= {*found["source_id"].to_pylist()}
    assert resolve(KEEP, judge(*data.draw(st.permutations(rows)))).pairs.equals(found)


def test_every_row_says_of_which_source_and_stage_it_is() -> None:
    settled = resolve(KEEP, judge(draft(), draft(source_id="2", text="")))
    for table in (settled.pairs, settled.rejected):
        assert table["source"].to_pylist() == ["sbu_captions"]
    assert settled.rejected["stage"].to_pylist() == ["curate"]
