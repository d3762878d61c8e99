"""Attributes of one's own: files, bins, counts after every stage, and small cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd.audit.counting import measure
from pmd.audit.figures import attributes
from pmd.audit.figures.result import result
from pmd.errors import InputError
from pmd.store.commits import Books
from tests.audit.batches import WHOLE, batch, pair

pytestmark = pytest.mark.usefixtures("english")


def _pairs(number: int) -> pa.RecordBatch:
    return batch(pair("coco", str(index), "a woman" if index % 2 else "a man") for index in range(number))


def _file(folder: Path, **columns: object) -> str:
    path = folder / f"{'-'.join(columns)}.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_a_file_by_image_and_one_by_pair(tmp_path: Path) -> None:
    pairs = _pairs(100)
    nsfw = [index / 100 for index in range(100)]
    one = _file(tmp_path, image_id=pairs["image_id"].cast(pa.binary(16)), nsfw=pa.array(nsfw))
    hexadecimal = pa.array([value.hex() for value in pairs["pair_id"].cast(pa.binary(16)).to_pylist()][:60])
    two = _file(tmp_path, pair_id=hexadecimal, tone=pa.array((["light", "dark", None] * 20)[:60]))
    first, second = attributes.read([one, two])
    assert (first.name, first.joined_by, len(first.values)) == ("nsfw", "image_id", 5)
    assert first.values[0].startswith("0 to 0.198")
    assert np.bincount(first.of(pairs["image_id"])).tolist() == [20] * 5
    assert (second.joined_by, second.values) == ("pair_id", ("dark", "light"))
    assert second.of(pairs["pair_id"]).tolist() == ([1, 0, -1] * 20)[:60] + [-1] * 40
    path = tmp_path / "held.npz"
    path.write_bytes(attributes.to_bytes(second))
    again = attributes.held(str(path))
    assert (again.values, again.of(pairs["pair_id"]).tolist()) == (second.values, second.of(pairs["pair_id"]).tolist())


@pytest.mark.parametrize(
    ("said", "family"),
    [
        ("CC BY 4.0", "CC-BY"),
        ("cc-by-2.0", "CC-BY"),
        ("Attribution-NonCommercial-ShareAlike License", "CC-BY-NC-SA"),
        ("https://creativecommons.org/licenses/by-nc-nd/2.0/", "CC-BY-NC-ND"),
        ("http://creativecommons.org/licenses/by-sa/3.0", "CC-BY-SA"),
        ("CC0", "public domain or CC0"),
        ("Creative Commons Zero", "public domain or CC0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public domain or CC0"),
        ("All Rights Reserved", "all rights reserved"),
        ("No known copyright restrictions", "public domain or CC0"),
        ("MIT", "other"),
        ("Attribution License", "CC-BY"),
        ("Creative Commons Attribution-ShareAlike 3.0 Unported", "CC-BY-SA"),
        ("Attribution: Jane Doe", "other"),
        ("CC-BY-NC-SA-ND", "other"),
        ("", "other"),
    ],
)
def test_licences_by_family(said: str, family: str) -> None:
    assert attributes.family(said) == family


def test_values_are_in_the_order_of_numbers_and_then_of_words() -> None:
    said = ["nan", "10 to 20", "9 to 10", "other", "-3", "2,048 or more", "512 to below 768", "b", "1e+06 to 2e+06"]
    expected = ["-3", "9 to 10", "10 to 20", "512 to below 768", "2,048 or more", "1e+06 to 2e+06", "b", "nan", "other"]
    assert sorted(said, key=attributes.in_order) == expected
    said.reverse()
    assert sorted(said, key=attributes.in_order) == expected


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"nsfw": [0.1]}, "attributes without the columns that they need"),
        ({"image_id": ["00" * 16]}, "attributes without the columns that they need"),
        ({"image_id": ["00" * 16, "00" * 16], "x": [1, 2]}, "an id that stands there twice"),
        ({"image_id": ["0"], "x": [1]}, "an id that is none"),
        ({"image_id": ["00" * 16], "x": [[1]]}, "an attribute that is neither number nor text"),
    ],
)
def test_files_that_are_none(tmp_path: Path, columns: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        attributes.read([_file(tmp_path, **columns)])


def test_damage_is_told_wherever_it_shows(tmp_path: Path) -> None:
    path = Path(_file(tmp_path, image_id=["00" * 16], x=["a"]))
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(40) + whole[44:])
    with pytest.raises(InputError, match="damaged or cut short") as caught:
        attributes.read([str(path)])
    assert caught.value.where == str(path)


def test_what_is_no_parquet_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("image_id,nudity\n")
    with pytest.raises(InputError, match="not a Parquet file") as caught:
        attributes.read([str(path)])
    assert caught.value.where == str(path)


def test_columns_of_one_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "twice.parquet"
    table = pa.table([pa.array(["00" * 16]), pa.array([1]), pa.array([2])], names=["image_id", "x", "x"])
    pq.write_table(table, path)
    with pytest.raises(InputError, match="columns of one name") as caught:
        attributes.read([str(path)])
    assert caught.value.found == "x"


def test_whole_numbers_that_no_float_holds_are_binned_all_the_same(tmp_path: Path) -> None:
    (found,) = attributes.read([_file(tmp_path, image_id=["00" * 16, "11" * 16], x=[2**63 - 1, 2**53 + 1])])
    assert len(found.values) == 2


def test_two_files_have_no_column_of_one_name(tmp_path: Path) -> None:
    path = _file(tmp_path, image_id=["00" * 16], x=[1])
    with pytest.raises(InputError, match="an attribute that stands in two files"):
        attributes.read([path, path])


def test_many_strings_are_summed_up_and_few_numbers_are_categories() -> None:
    codes, values = attributes._coded(pa.array([f"v{index % 25:02}" for index in range(250)]), "x")
    assert len(values) == attributes.CATEGORIES + 1
    assert values[-1] == "other"
    assert (codes == attributes.CATEGORIES).sum() == 50
    assert attributes._coded(pa.array([1, 2, 2, None]), "x")[1] == ("2", "1")
    assert attributes._coded(pa.array([True, None]), "x")[1] == ("true",)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1_600_000_000 + index for index in range(1000)], [200] * 5),  # times, whose first six digits are alike
        ([20_200_101.0 + index for index in range(300)], [60] * 5),
        ([1_234_567, 1_234_568] * 50, [50, 50]),
        (["other"] * 30 + [f"v{index}" for index in range(25) for _ in range(2)], [30 + 12, *[2] * 19]),
        ([0.0] * 450 + [1.0 + index for index in range(50)], [500]),  # no bin "0 to 0" without a number in it
    ],
)
def test_no_two_values_have_one_name(tmp_path: Path, column: list[object], expected: list[int]) -> None:
    (found,) = attributes.read([_file(tmp_path, image_id=[f"{index:032x}" for index in range(len(column))], x=column)])
    assert np.bincount(found.codes, minlength=len(found.values)).tolist() == expected
    assert len({*found.values}) == len(found.values)


def test_tabs_in_names_and_values_part_nothing(tmp_path: Path) -> None:
    path = _file(
        tmp_path, image_id=[f"{index:032x}" for index in range(50)], **{"my\tcolumn": ["a\tb"] * 30 + ["c"] * 20}
    )
    (found,) = attributes.read([path])
    assert (found.name, found.values) == ("my column", ("a b", "c"))


def _content(
    number: int, tone: list[str | None], fates: list[str], some: pa.RecordBatch | None = None
) -> dict[str, dict[str, object]]:
    pairs, last = some or _pairs(number), pa.array(fates)
    ids = np.frombuffer(b"".join(pairs["image_id"].cast(pa.binary(16)).to_pylist()), "S16")
    order = np.argsort(ids)
    codes, values = attributes._coded(pa.array(tone), "x")
    known = [attributes.Attribute("tone", "image_id", ids[order], codes[order], values)]
    seen = measure.look(pairs, WHOLE)
    partial = measure.merge(
        measure.measure(pairs, last, WHOLE, seen), measure.tallied(pairs, last, attributes.tally, seen, known)
    )
    kept = fates.count("images")
    books = {"curate": {"coco": Books(number)}, "images": {"coco": Books(kept, {"not_sampled": number - kept})}}
    return result(partial, books, WHOLE, {})["sources"]["coco"]  # type: ignore[no-any-return]


def test_values_are_counted_after_every_stage_with_rates() -> None:
    tone: list[str | None] = ["dark"] * 100 + ["light"] * 300 + [None] * 20
    found = _content(420, tone, ["curate"] * 50 + ["images"] * 370)
    before, after = (found[stage]["attributes"] for stage in ("curate", "images"))
    assert before["coverage"] == {
        "measured": 400,
        "eligible": 420,
        "share": pytest.approx(400 / 420, rel=1e-5),
        "of": "pairs",
        "rest": "has no attribute",
    }  # type: ignore[index]
    rows = {row["value"]: row for row in after["values"]}  # type: ignore[index]
    assert {value: row["pairs"] for value, row in rows.items()} == {"dark": 50, "light": 300}
    assert (rows["dark"]["share"], rows["dark"]["english"], rows["dark"]["female"]) == (
        pytest.approx(1 / 7, rel=1e-5),
        50,
        0.5,
    )


def test_small_values_are_not_shown_nor_what_would_tell_them() -> None:
    tone: list[str | None] = ["rare"] * 5 + ["dark"] * 100 + ["light"] * 300
    found = _content(405, tone, ["images"] * 405)
    rows = {row["value"]: row for row in found["curate"]["attributes"]["values"]}  # type: ignore[index]
    # Five pairs summed up alone would be told by the total.
    assert {value: row["pairs"] for value, row in rows.items()} == {"light": 300, "not shown": 105}
    assert rows["not shown"]["female"] is None


def _rates(tone: dict[str, tuple[int, int]], lost: tuple[int, int] = (0, 0)) -> list[dict[object, object]]:
    """Return the share of female terms of each value after both stages, of so many men and women; some of the dark are lost."""
    texts, fates = [], []
    for value, numbers in tone.items():
        for text, number, gone in zip(("a man", "a woman"), numbers, lost if value == "dark" else (0, 0), strict=True):
            texts += [(value, text)] * number
            fates += ["curate"] * gone + ["images"] * (number - gone)
    pairs = batch(pair("coco", str(number), text) for number, (_, text) in enumerate(texts))
    found = _content(len(texts), [value for value, _ in texts], fates, pairs)
    sections: list[dict[str, object]] = [found[stage]["attributes"] for stage in ("curate", "images")]  # type: ignore[misc]
    return [{row["value"]: row["female"] for row in section["values"]} for section in sections]  # type: ignore[attr-defined]


def test_a_rate_tells_of_no_few_texts_with_a_term_nor_without() -> None:
    assert _rates({"dark": (200, 5), "light": (300, 100), "mid": (300, 200)})[1] == {
        "dark": None,
        "light": None,  # five would be left of all else
        "mid": 0.4,
    }
    assert _rates({"dark": (5, 200), "light": (300, 100), "mid": (300, 200)})[1]["dark"] is None
    assert _rates({"dark": (200, 0), "light": (300, 100), "mid": (300, 200)})[1]["dark"] == 0, "none at all is told"


def test_the_change_of_a_rate_tells_of_no_few_texts() -> None:
    values = {"dark": (200, 100), "light": (300, 100), "mid": (300, 200)}
    before, after = _rates(values, lost=(20, 7))
    assert after["dark"] == pytest.approx(93 / 273, rel=1e-5)
    assert before["dark"] is None, "seven women of the dark are lost"
    before, after = _rates(values, lost=(20, 20))
    assert (before["dark"], after["dark"]) == (pytest.approx(1 / 3, rel=1e-5), pytest.approx(80 / 260, rel=1e-5))
