"""A list of ids, refilled from one's own copy: only where the copy says what the list's publisher had."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pmd
from pmd import config
from pmd.config import Config
from pmd.curate import needs as curate_needs
from pmd.errors import InputError
from pmd.fetch.lists import reference_lists
from pmd.inspection import diff
from pmd.publish import join, lists, withdrawn
from pmd.publish import rules as publish_rules
from pmd.store import parquet_files, root, sealed, storage
from pmd.store.standing import Standing
from tests import tiny_root
from tests.publish.test_rules import ASKED, of_level

NAMES = ("coco", "conceptual_captions")


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Config:
    chosen = config.load(tiny_root.write_config(tmp_path_factory.mktemp("mine")))
    for name in NAMES:
        tiny_root.curate(chosen, name)
    return chosen


def listed(chosen: Config, name: str, level: publish_rules.Redistribute) -> pa.Table:
    """The list of all of a source's pairs, as if every image were there."""
    commit, folder = curate_needs.commit_of(Standing(chosen.root), name), root.curate_folder(chosen.root, name)
    pairs = pa.concat_tables([parquet_files.read_table(folder, file) for file in commit.under("pairs")])
    fates = [{"pair_id": pair_id, "sha256": bytes(32)} for pair_id in pairs["pair_id"].to_pylist()]
    fate = pa.Table.from_pylist(fates, schema=publish_rules.FATES)
    return publish_rules.rows(pairs, fate, of_level(chosen.sources[name].terms, level), ASKED)


def test_what_was_withheld_comes_back(mine: Config, tmp_path: Path) -> None:
    full = {name: listed(mine, name, "text") for name in NAMES}
    for name, level in zip(NAMES, ("ids", "urls"), strict=True):
        parquet_files.put_table(
            str(tmp_path / f"lists/source={name}"), "train-part-00000-of-00001", listed(mine, name, level)
        )  # type: ignore[arg-type]
    result = join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out"))
    assert {name: dataclasses.astuple(joined) for name, joined in result.items()} == {
        "coco": (2, 2, 0, 0, 0),
        "conceptual_captions": (5, 5, 0, 0, 0),
    }
    for name in NAMES:
        (path,) = (tmp_path / f"out/source={name}").iterdir()
        found = pq.ParquetFile(path).read()
        assert found.schema.equals(full[name].schema)
        assert found.drop_columns("withheld_digest").equals(full[name].drop_columns("withheld_digest"))


def test_no_list_is_written_over_by_another_name_of_it(mine: Config, tmp_path: Path) -> None:
    parquet_files.put_table(
        str(tmp_path / "lists/source=coco"), "train-part-00000-of-00001", listed(mine, "coco", "ids")
    )
    (path,) = (tmp_path / "lists/source=coco").iterdir()
    before = path.read_bytes()
    (tmp_path / "link").symlink_to("lists")
    for out in (tmp_path / "lists", tmp_path / "link", f"{tmp_path}/./lists", f"{tmp_path}/link/../lists"):
        with pytest.raises(InputError, match="would stand among those"):
            join.join(mine, str(tmp_path / "lists"), str(out))
    assert path.read_bytes() == before


def test_a_copy_that_says_something_else_fills_nothing_in(mine: Config, tmp_path: Path) -> None:
    rows = listed(mine, "coco", "ids").to_pylist()
    rows[0]["withheld_digest"] = "00" * 32
    rows[1]["pair_id"] = "ff" * 16
    rows.append({**rows[1], "source": "of_nobody"})
    path = tmp_path / "list.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=publish_rules.PUBLISHED), path)
    result = join.join(mine, str(path), str(tmp_path / "out"))
    assert dataclasses.astuple(result["coco"]) == (2, 0, 1, 1, 0)
    assert dataclasses.astuple(result["of_nobody"]) == (1, 0, 1, 0, 0)
    assert join.lines(result)[0] == ("coco", "2", "0", "1", "1", "0")
    assert pq.ParquetFile(tmp_path / "out/list.parquet").read()["text"].null_count == 3


def test_rows_that_were_withdrawn_later_are_not_refilled(mine: Config, tmp_path: Path) -> None:
    """Who holds an older list of ids has put the list of what has left beside it."""
    rows = listed(mine, "coco", "ids")
    parquet_files.put_table(str(tmp_path / "lists/source=coco"), "train-part-00000-of-00001", rows)
    gone = rows["pair_id"].to_pylist()[0]
    pq.write_table(
        pa.table({"pair_id": [gone, "ab" * 16]}, schema=withdrawn.WITHDRAWN), tmp_path / "lists" / withdrawn.FILE
    )
    result = join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out"))
    assert dataclasses.astuple(result["coco"]) == (1, 1, 0, 0, 1)
    (path,) = (tmp_path / "out/source=coco").iterdir()
    assert pq.ParquetFile(path).read()["pair_id"].to_pylist() == rows["pair_id"].to_pylist()[1:]


def test_refilled_lists_are_read_by_whatever_reads_lists(mine: Config, tmp_path: Path) -> None:
    """They have other bytes than the digest in the list's name is of."""
    name = parquet_files.put_table(
        str(tmp_path / "lists/source=coco"), "train-nourl-part-00000-of-00001", listed(mine, "coco", "ids")
    ).name
    for _ in range(2):
        join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out"))
    (path,) = lists.files(str(tmp_path / "out"))
    assert sealed.digest_of(name) is not None
    assert Path(path).name == "train-nourl-part-00000-of-00001.parquet"
    table = pmd.load(str(tmp_path / "out")).published.only(source="coco").to_table()
    assert table["text"].null_count == 0
    assert table.num_rows == 2


def test_refilled_lists_stand_beside_no_others(mine: Config, tmp_path: Path) -> None:
    """Whoever reads the folder takes all of it: here a file of an earlier version, with the name of the list's own."""
    name = parquet_files.put_table(
        str(tmp_path / "lists"), "train-part-00000-of-00001", listed(mine, "coco", "ids")
    ).name
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"of an earlier version")
    with pytest.raises(InputError, match="other lists stand here") as refused:
        join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out"))
    assert refused.value.found == str(tmp_path / "out" / name)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    (tmp_path / "out" / name).unlink()
    (tmp_path / "out/README.md").write_text("mine")
    left = f"{storage.TEMPORARY}{'0' * 32}"
    (tmp_path / "out/root").mkdir()
    for folder in ("out", "out/root"):
        (tmp_path / folder / left).write_bytes(b"of a killed run, or of one that goes on")
    join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out"))
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*"))
    assert found == sorted(["README.md", "root", f"root/{left}", "train-part-00000-of-00001.parquet"])


def test_refilled_lists_are_put_into_a_folder(mine: Config, tmp_path: Path) -> None:
    parquet_files.put_table(str(tmp_path / "lists"), "train-part-00000-of-00001", listed(mine, "coco", "ids"))
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(InputError, match="a file is here"):
        join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("text", [1], "text: a column is not as pmd publish writes it"),
        ("source", [["coco"]], "source: a column is not as pmd publish writes it"),
        ("region", ["x"], "region: a column is not as pmd publish writes it"),
        ("image_id", [bytes(16)], "image_id: a column is not as pmd publish writes it"),
    ],
)
def test_a_list_with_a_column_of_another_kind_is_told(
    mine: Config, tmp_path: Path, column: str, values: list[object], says: str
) -> None:
    rows = listed(mine, "coco", "ids")
    path = tmp_path / "list.parquet"
    pq.write_table(rows.set_column(rows.schema.get_field_index(column), column, pa.array(values * len(rows))), path)
    with pytest.raises(InputError) as raised:
        lists.check(str(path))
    assert f"{raised.value.where}: {raised.value.problem}" == f"{path}: {says}"


def _wide(rows: pa.Table) -> pa.Table:
    kinds = {pa.string(): pa.large_string(), pa.int32(): pa.int64()}
    return rows.cast(pa.schema([(field.name, kinds.get(field.type, field.type)) for field in rows.schema]))


def _of_views(rows: pa.Table) -> pa.Table:
    kinds = {pa.string(): pa.string_view()}
    return rows.cast(pa.schema([(field.name, kinds.get(field.type, field.type)) for field in rows.schema]))


def _without_values(rows: pa.Table) -> pa.Table:
    """As pandas writes what has no value."""
    for at, field in enumerate(rows.schema):
        if rows[field.name].null_count == len(rows):
            rows = rows.set_column(at, field.name, pa.nulls(len(rows)))
    return rows


#: What others make of a list: its columns in other types, in another order, with more of them, or as an earlier version has them.
WRITTEN_AGAIN: dict[str, Callable[[pa.Table], pa.Table]] = {
    "wide": _wide,
    "views": _of_views,
    "nulls": _without_values,
    "index": lambda rows: rows.append_column("__index_level_0__", pa.array(range(len(rows)), pa.int64())),
    "order": lambda rows: rows.select(rows.column_names[::-1]),
    "encoded": lambda rows: rows.set_column(4, "pair_id", rows["pair_id"].dictionary_encode()),
    "older": lambda rows: rows.drop_columns([name for name in publish_rules.LATER if name != "withheld_digest"]),
    "oldest": lambda rows: rows.drop_columns(list(publish_rules.LATER)),
}


@pytest.mark.parametrize("how", WRITTEN_AGAIN)
def test_a_list_that_others_have_written_again_is_the_same(mine: Config, tmp_path: Path, how: str) -> None:
    rows = listed(mine, "coco", "ids")
    whole, again = str(tmp_path / "whole.parquet"), str(tmp_path / "again/list.parquet")
    (tmp_path / "again").mkdir()
    pq.write_table(rows, whole)
    pq.write_table(WRITTEN_AGAIN[how](rows), again)
    lists.check(again)
    (batch,) = lists.iterate(again)
    assert batch.schema.equals(lists.ROWS)
    assert diff.diff(whole, again)["equal"]
    assert sum(batch.num_rows for batch in reference_lists.listed_rows(again)) == sum(
        batch.num_rows for batch in reference_lists.listed_rows(whole)
    )
    pq.write_table(
        pa.table({"pair_id": rows["pair_id"].to_pylist()[:1]}, schema=withdrawn.WITHDRAWN),
        tmp_path / "again" / withdrawn.FILE,
    )
    assert pmd.load(again).published.only(source="coco").count_rows() == len(rows) - 1
    result = join.join(mine, again, str(tmp_path / "out"))
    filled = 0 if how == "oldest" else 1
    assert dataclasses.astuple(result["coco"]) == (1, filled, 0, 0, 1)
    (found,) = lists.iterate(str(tmp_path / "out/list.parquet"))
    assert found["text"].null_count == 1 - filled


def test_a_number_that_does_not_fit_its_column_is_told(mine: Config, tmp_path: Path) -> None:
    rows = listed(mine, "coco", "ids")
    path = str(tmp_path / "list.parquet")
    width = pa.array([2**40] * len(rows), pa.int64())
    pq.write_table(rows.set_column(rows.schema.get_field_index("width"), "width", width), path)
    with pytest.raises(InputError, match="width: a column is not as pmd publish writes it"):
        list(lists.iterate(path))


def test_a_list_with_a_column_twice_or_damage_is_told(mine: Config, tmp_path: Path) -> None:
    rows = listed(mine, "coco", "ids")
    path = tmp_path / "list.parquet"
    pq.write_table(pa.Table.from_arrays([*rows.columns, rows["text"]], names=[*rows.column_names, "text"]), path)
    with pytest.raises(InputError, match="a column is not as") as raised:
        lists.check(str(path))
    assert raised.value.found == "2 columns of that name"
    pq.write_table(rows, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    lists.check(str(path))  # its footer is whole
    with pytest.raises(InputError, match="damaged or cut short"):
        list(lists.iterate(str(path)))
    with pytest.raises(InputError, match="damaged or cut short"):
        join.join(mine, str(path), str(tmp_path / "out"))


def test_a_list_is_never_overwritten_and_must_be_one(mine: Config, tmp_path: Path) -> None:
    pq.write_table(listed(mine, "coco", "ids"), tmp_path / "list.parquet")
    with pytest.raises(InputError, match="would stand among those that they are made of"):
        join.join(mine, str(tmp_path / "list.parquet"), str(tmp_path))
    parquet_files.put_table(str(tmp_path / "lists"), "train-part-00000-of-00001", listed(mine, "coco", "ids"))
    with pytest.raises(InputError, match="would stand among those that they are made of"):
        join.join(mine, str(tmp_path / "lists"), str(tmp_path / "out" / ".." / "lists"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no lists"):
        join.join(mine, str(tmp_path / "empty"), str(tmp_path / "out"))
    with pytest.raises(InputError, match="nothing is here"):
        join.join(mine, str(tmp_path / "nowhere"), str(tmp_path / "out"))
