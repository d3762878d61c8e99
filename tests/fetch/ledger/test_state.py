from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from pmd.fetch.ledger import state
from pmd.schema import keys
from pmd.schema.tables import LEDGER, LEDGER_FILE
from pmd.store import commits, parquet_files
from pmd.store.register import Generation
from tests.fetch.conftest import image_row, table


def ledger(*rows: tuple[str, str, int, list[str]]) -> pa.Table:
    return pa.Table.from_pylist(
        sorted(
            (
                {"image_id": keys.image_id(name), "status": status, "generation": generation, "tried": tried}
                for name, status, generation, tried in rows
            ),
            key=lambda row: row["image_id"],  # type: ignore[arg-type,return-value]
        ),
        schema=LEDGER,
    )


@pytest.mark.parametrize(
    ("standing", "locations", "retry", "expected"),
    [
        (None, ["u", "v"], (), ["u", "v"]),
        (None, [], (), []),
        (("dead", ["u"]), ["u"], (), None),
        (("dead", ["u"]), ["u", "v"], (), ["v"]),
        (("dead", ["u"]), ["u", "v"], ("dead",), ["u", "v"]),
        (("timeout", ["u"]), ["u"], ("timeout",), ["u"]),
        (("timeout", ["u"]), ["u"], ("dns",), None),
        (("ok", ["u"]), ["u", "v"], ("ok",), None),
        (("no_location", []), [], (), None),
        (("no_location", []), ["u"], (), ["u"]),
    ],
)
def test_wanted(
    standing: tuple[str, list[str]] | None, locations: list[str], retry: tuple[str, ...], expected: list[str] | None
) -> None:
    known = ledger(("x", standing[0], 0, standing[1])) if standing else ledger()
    found = state.wanted(table(image_row("x", *locations)), known, retry)
    assert [[place["url"] for place in places] for places in found["locations"].to_pylist()] == (
        [] if expected is None else [expected]
    )
    assert found.schema.equals(table().schema)


def test_what_the_same_retry_has_settled_is_not_tried_once_more() -> None:
    """Unless it has a new place, or ended as something that the retry did not ask for."""
    known = ledger(("a", "timeout", 1, ["a"]), ("b", "timeout", 2, ["b"]), ("c", "dns", 2, ["c"]))
    images = table(*(image_row(name, name) for name in "abc"))

    def wanted(*retry: str, done: Mapping[int, Collection[str]]) -> list[bytes]:
        return [bytes(key) for key in state.wanted(images, known, retry, done=done)["image_id"].to_pylist()]

    a, b, c = (keys.image_id(name) for name in "abc")
    assert wanted("timeout", done={}) == [a, b]
    assert wanted("timeout", done={2: {"timeout"}}) == [a]
    assert wanted("timeout", "dns", done={2: {"timeout"}}) == [a, c]
    assert wanted("timeout", "dns", done={1: {"timeout"}, 2: {"dns", "timeout"}}) == []
    moved = table(image_row("b", "b", "elsewhere"))
    found = state.wanted(moved, known, ("timeout",), done={2: {"timeout"}})
    assert [place["url"] for place in found["locations"][0].as_py()] == ["elsewhere"]
    blocked = ledger(("a", "blocked_content", 2, ["a"]))
    assert state.wanted(images.slice(0, 1), blocked, ("blocked_content",), done={2: {"blocked_content"}}).num_rows == 0


def test_a_place_that_is_allowed_since_is_wanted_with_all_others_while_the_image_has_it() -> None:
    known = ledger(("x", "blocked_address", 0, ["u", "v"]))
    for place, expected in (("u", [["u", "v"]]), ("w", [])):
        found = state.wanted(table(image_row("x", "u", "v")), known, again={(keys.image_id("x"), place)})
        assert [[one["url"] for one in places] for places in found["locations"].to_pylist()] == expected


def test_what_stands_is_the_latest_row_and_the_first_ok() -> None:
    first = ledger(("a", "dead", 0, []), ("b", "ok", 0, []), ("c", "timeout", 0, []))
    second = ledger(("a", "ok", 1, []), ("b", "dead", 1, []), ("c", "dns", 1, []))
    third = ledger(("a", "ok", 2, []), ("d", "dead", 2, []))
    found = {
        row["image_id"]: (row["status"], row["generation"])
        for row in state.effective([first, second, third]).to_pylist()
    }
    assert found == {
        keys.image_id("a"): ("ok", 1),
        keys.image_id("b"): ("ok", 0),
        keys.image_id("c"): ("dns", 1),
        keys.image_id("d"): ("dead", 2),
    }
    assert list(found) == sorted(found)
    assert state.effective([]).schema.equals(LEDGER)


@pytest.mark.parametrize("base", ["out", "/data/out", "s3://bucket/out"])
def test_names_with_dots_lead_out_of_the_folder(base: str) -> None:
    folder = f"{base}/fetch/ledger/shard=00001/generation=0000"
    assert commits.path_of(folder, "../../../store/shard=00001/x.tar") == f"{base}/fetch/store/shard=00001/x.tar"
    assert commits.path_of(folder, "ledger-x.parquet") == f"{folder}/ledger-x.parquet"


def test_some_columns_of_what_stands_are_those_of_all(tmp_path: Path) -> None:
    """Whatever a generation is: an ordinary one, one told from the store, and one that has lost an image."""
    first = ledger(("a", "dead", 0, ["a"]), ("b", "ok", 0, ["b"]), ("c", "ok", 0, ["c"]))
    second = ledger(("a", "ok", 1, ["a", "x"]), ("d", "timeout", 1, ["d"]))
    third = ledger(("b", "undecodable", 2, ["b"]))
    lost = {state.LOST: {"images": [keys.image_id("c").hex()]}}
    known = []
    for number, (rows, facts) in enumerate(((first, {}), (second, lost), (third, {state.FROM_STORE: True}))):
        folder = str(tmp_path / str(number))
        file = parquet_files.put_table(folder, "ledger", rows.rename_columns(LEDGER_FILE.names))
        known.append(Generation(0, number, folder, (file,), facts, "", keeps=True, run={}))
    whole = state.standing(known)
    assert whole.num_rows == 3
    for columns in (("image_id", "status"), ("image_id", "status", "bytes", "hashed_form"), LEDGER.names):
        assert state.standing(known, columns=columns).equals(whole.select(list(columns)))
    assert state.standing([], columns=("image_id", "status")).schema.names == ["image_id", "status"]


def test_nothing_fetched_yet(tmp_path: object) -> None:
    assert state.read_ledger(str(tmp_path), 0).num_rows == 0
    assert state.shards(str(tmp_path)) == []
