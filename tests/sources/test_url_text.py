"""People's own pairs: one table in every form, with usual columns or named ones."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd import sources
from pmd.config import SourceConfig, inputs
from pmd.curate.rules import judge
from pmd.errors import InputError
from pmd.formats import lines, parquet
from pmd.schema import keys
from pmd.sources.contract import PROFILES, InputFile
from tests import ranged

ReadAll = Callable[..., list[dict[str, Any]]]
READER = sources.load_reader("url_text")

ROWS: list[dict[str, Any]] = [
    {"key": "1", "url": "https://img.example.com/1.jpg", "caption": "a red house", "photographer": "Ada Lovelace"},
    {"key": "2", "url": "https://img.example.com/2.jpg", "caption": 'say "hi", café 東京 🚀', "photographer": "x"},
    {"key": "3", "url": "https://img.example.com/3.jpg", "caption": "", "photographer": ""},
    {"key": "4", "url": "", "caption": "no url", "photographer": ""},
    {"key": "5", "url": "https://live.staticflickr.com/65535/52000000000_0123456789_b.jpg", "caption": "false"},
    {"key": "1", "url": "https://img.example.com/1.jpg", "caption": "a red house"},
    {"key": "", "url": "https://img.example.com/6.jpg", "caption": "without an id"},
]


def _cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    names = list(rows[0])
    return [names, *([str(row.get(name) or "") for name in names] for row in rows)]


def _tsv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join("\t".join(cells) + "\n" for cells in _cells(rows)), encoding="utf-8")


def _csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_cells(rows))


def _json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in rows[0]}), path, row_group_size=3)


FORMS = {".tsv": _tsv, ".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}


def _written(folder: Path, form: str, rows: Sequence[Mapping[str, Any]] = ROWS) -> Path:
    path = folder / f"pairs{form}"
    FORMS[form](path, rows)
    return path


def _content(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return sorted(({**row, "where": None} for row in rows), key=lambda row: (row["row_digest"], str(row["source_id"])))


def _options(**given: Any) -> Any:
    return READER.options(**{**READER.options.profile_values("paper"), **given})


def _plan(path: Path, **given: Any) -> Any:
    return READER.plan([InputFile(str(path), path.stat().st_size)], _options(**given))


@pytest.mark.parametrize("form", FORMS)
def test_a_row_fills_every_column(tmp_path: Path, read_all: ReadAll, form: str) -> None:
    path = _written(tmp_path, form)
    row = read_all(READER, path)[1]
    assert row.pop("where").startswith(f"{path}:")
    assert json.loads(row.pop("meta")) == {"url": ROWS[1]["url"], "caption": ROWS[1]["caption"]}
    assert row == {
        "source_id": None,
        "row_digest": keys.digest(ROWS[1]["url"], ROWS[1]["caption"]),
        "image_url": ROWS[1]["url"],
        "identity": None,
        "also": None,
        "file_name": None,
        "mirrors": None,
        "width_px": None,
        "height_px": None,
        "region": None,
        "text": ROWS[1]["caption"],
        "text_licence": "NOASSERTION",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": None,
        "reason": None,
        "detail": None,
    }


@pytest.mark.parametrize("given", [{}, {"id_column": "key", "url_column": "url", "text_column": "caption"}])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pairs(tmp_path: Path, read_all: ReadAll, form: str, given: dict[str, Any]) -> None:
    expected = _content(read_all(READER, _written(tmp_path, ".tsv"), **given))
    assert _content(read_all(READER, _written(tmp_path, form), **given)) == expected
    assert [row["reason"] for row in expected].count("no_image") == 1


@pytest.mark.parametrize("form", FORMS)
def test_files_of_other_storage_are_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll, form: str
) -> None:
    path = _written(tmp_path, form)
    expected = _content(read_all(READER, path))
    ranged.known(monkeypatch)
    assert _content(read_all(READER, ranged.url(path))) == expected


@pytest.mark.parametrize("form", [".tsv", ".csv", ".jsonl"])
def test_compression_and_archives_change_nothing(tmp_path: Path, read_all: ReadAll, form: str) -> None:
    plain = _written(tmp_path, form)
    expected = _content(read_all(READER, plain))
    packed = tmp_path / f"packed{form}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert _content(read_all(READER, packed)) == expected
    archive = tmp_path / "pairs.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(plain, plain.name)
        file.writestr("readme.md", "pairs")
    assert _content(read_all(READER, archive)) == expected
    assert _content(read_all(READER, f"{archive}!/{plain.name}")) == expected


def _zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("member", ["pairs.csv", "pairs.csv.xz", "pairs.csv.gz", "deep/pairs.csv"])
def test_a_text_beside_a_table_is_no_table(tmp_path: Path, read_all: ReadAll, member: str) -> None:
    plain = _written(tmp_path, ".csv")
    packed = {"xz": lzma.compress, "gz": gzip.compress}.get(member.rpartition(".")[2], bytes)
    members = {"README.txt": b"Pairs of mine, by the road.\n", member: packed(plain.read_bytes())}
    assert _content(read_all(READER, _zipped(tmp_path / "a.zip", members))) == _content(read_all(READER, plain))


@pytest.mark.parametrize("member", ["pairs.txt", "pairs.txt.xz", "pairs", "pairs.tab"])
def test_without_a_table_of_a_known_name_a_text_or_a_lone_member_is_one(
    tmp_path: Path, read_all: ReadAll, member: str
) -> None:
    plain = _written(tmp_path, ".csv")
    packed = lzma.compress if member.endswith("xz") else bytes
    archive = _zipped(tmp_path / "a.zip", {member: packed(plain.read_bytes())})
    assert _content(read_all(READER, archive)) == _content(read_all(READER, plain))


def test_what_to_do_about_a_file_of_ones_own_speaks_of_no_manifest(tmp_path: Path) -> None:
    archive = _zipped(tmp_path / "a.zip", {"one.md": b"x", "two.md": b"y"})
    with pytest.raises(InputError) as caught:
        _plan(archive)
    assert str(caught.value) == (
        f"{archive}: the archive holds no annotation file of this source\n"
        "  expected: tables: *.tsv, *.csv, *.jsonl, *.json, else *.txt\n"
        "  found: one.md, two.md\n"
        "  remedy: name the members that are tables in `annotations`: ARCHIVE!/MEMBER"
    )
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"remedy: name only tables in `annotations`, or write the file as one"):
        _plan(tmp_path / "a.json")


@pytest.mark.parametrize("packed", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("form", [".tsv", ".csv", ".jsonl"])
@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n", b"\xef\xbb\xbf \r\n\r\n"])
def test_what_stands_before_the_names_is_no_part_of_them(
    tmp_path: Path, read_all: ReadAll, form: str, packed: Callable[[bytes], bytes], before: bytes
) -> None:
    path = _written(tmp_path, form)
    expected = _content(read_all(READER, path))
    path.write_bytes(packed(before + path.read_bytes()))
    assert _content(read_all(READER, path)) == expected


@pytest.mark.parametrize("form", [".tsv", ".csv", ".jsonl"])
def test_blank_lines_are_no_rows(tmp_path: Path, read_all: ReadAll, form: str) -> None:
    path = _written(tmp_path, form)
    expected = _content(read_all(READER, path))
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n  \r\n") + b"\n\n")
    assert _content(read_all(READER, path)) == expected


def test_a_tables_first_name_may_be_none(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "pandas.tsv"
    path.write_text("\turl\ttext\n0\thttps://x.example/1.jpg\tone\n")
    assert [(row["image_url"], row["text"]) for row in read_all(READER, path)] == [("https://x.example/1.jpg", "one")]


@pytest.mark.parametrize("number", [7, 7.5])
def test_ids_are_what_they_are_spelled(tmp_path: Path, read_all: ReadAll, number: float) -> None:
    rows = [{**row, "key": number} for row in ROWS[:2]]
    for form in FORMS:
        found = read_all(READER, _written(tmp_path, form, rows), id_column="key")
        assert {row["source_id"] for row in found} == {str(number)}


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.list_(pa.string()), pa.decimal128(5, 2)])
def test_an_id_is_text_or_a_number(tmp_path: Path, kind: pa.DataType) -> None:
    columns = {name: [row[name] for row in ROWS[:2]] for name in ("url", "caption")}
    pq.write_table(pa.table({**columns, "key": pa.array([None, None], kind)}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a column is of another kind\n.*\n  found: key: "):
        _plan(tmp_path / "a.parquet", id_column="key")


def test_an_id_that_is_none_is_none(tmp_path: Path, read_all: ReadAll) -> None:
    rows = [{**ROWS[0], "key": None}, {**ROWS[1], "key": ""}, {**ROWS[1], "key": "0"}]
    found = read_all(READER, _written(tmp_path, ".jsonl", rows), id_column="key")
    assert [row["source_id"] for row in found] == [None, None, "0"]


NO_IDS = ["", "None", "null", "NaN", "nan", " none "]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_for_no_id_is_none_in_every_form(tmp_path: Path, read_all: ReadAll, form: str) -> None:
    rows = [{**ROWS[0], "key": key} for key in [*NO_IDS, "0", "-1", "a"]]
    found = read_all(READER, _written(tmp_path, form, rows), id_column="key")
    assert [row["source_id"] for row in found] == [None] * len(NO_IDS) + ["0", "-1", "a"]
    without = read_all(READER, _written(tmp_path, form, rows))
    assert {row["row_digest"] for row in found[: len(NO_IDS)]} == {row["row_digest"] for row in without}
    assert len({row["row_digest"] for row in found}) == 4


@pytest.mark.parametrize("numbers", [[7.0, -1.0, 0.0, 7.25], [7, -1, 0, 12345678901234567]])
def test_numbers_are_the_same_ids_in_every_form(tmp_path: Path, read_all: ReadAll, numbers: list[Any]) -> None:
    rows = [{**ROWS[0], "key": number} for number in numbers]
    expected = [str(int(number)) if number == int(number) else str(number) for number in numbers]
    cells = [{**row, "key": str(row["key"])} for row in rows]
    for form in FORMS:
        path = _written(tmp_path, form, cells if form in {".tsv", ".csv"} else rows)
        assert [row["source_id"] for row in read_all(READER, path, id_column="key")] == expected


@pytest.mark.parametrize("form", FORMS)
def test_one_row_without_an_id_makes_floats_of_the_others_and_no_other_ids(
    tmp_path: Path, read_all: ReadAll, form: str
) -> None:
    rows = [{**ROWS[0], "key": key} for key in (1.0, float("nan"), 3.0)]
    if form in {".tsv", ".csv"}:
        rows = [{**row, "key": key} for row, key in zip(rows, ("1.0", "", "3.0"), strict=True)]
    if form == ".jsonl":  # which has no NaN
        rows[1]["key"] = None
    found = read_all(READER, _written(tmp_path, form, rows), id_column="key")
    assert [row["source_id"] for row in found] == ["1", None, "3"]


@pytest.mark.parametrize("early", [1, 30])
def test_lines_of_json_may_lack_the_id(tmp_path: Path, read_all: ReadAll, early: int) -> None:
    rows = [{name: row[name] for name in ("url", "caption")} for row in ROWS[:3]]
    path = _written(tmp_path, ".jsonl", [*[rows[0]] * early, {**rows[1], "key": 7}, rows[2]])
    found = read_all(READER, path, id_column="key")
    assert [row["source_id"] for row in found] == [*[None] * early, "7", None]
    assert found[-1]["row_digest"] == keys.digest(rows[2]["url"], rows[2]["caption"])


def test_the_first_line_of_json_need_not_have_every_column(tmp_path: Path, read_all: ReadAll) -> None:
    path = _written(tmp_path, ".jsonl", [{"url": "https://x.example/1.jpg"}, ROWS[1], {"caption": "no url"}])
    found = read_all(READER, path)
    assert [(row["text"], row["reason"]) for row in found] == [
        ("", None),
        (ROWS[1]["caption"], None),
        ("no url", "no_image"),
    ]


def test_identities_are_those_of_the_urls(tmp_path: Path) -> None:
    path = _written(tmp_path, ".tsv")
    (chunk,) = _plan(path)
    (drafts,) = READER.read(chunk, _options())
    judged = judge("mine", drafts).to_pylist()
    assert [row["identity"] for row in judged][4] == "flickr:52000000000"
    assert judged[0]["key"] == keys.pair_id("mine", keys.digest(ROWS[0]["url"], ROWS[0]["caption"]).hex())


@pytest.mark.parametrize("form", FORMS)
def test_cuts_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll, form: str) -> None:
    path = _written(tmp_path, form)
    whole, count = read_all(READER, path), len(_plan(path))
    cut_lines, cut_groups = lines.ranges, parquet.ranges
    monkeypatch.setattr(lines, "ranges", lambda path: cut_lines(path, 50))
    monkeypatch.setattr(parquet, "ranges", lambda path: cut_groups(path, 1))
    assert len(_plan(path)) > count or form == ".csv"
    assert read_all(READER, path) == whole


def test_the_split_is_in_the_files_name_and_not_in_its_folders(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "test").mkdir()
    for name, split in (("mine_validation.tsv", "validation"), ("train.tsv", "train"), ("latest.tsv", None)):
        path = tmp_path / "test" / name
        _tsv(path, ROWS)
        assert {row["split"] for row in read_all(READER, path)} == {split}


def test_licences_are_the_configurations(tmp_path: Path, read_all: ReadAll) -> None:
    found = read_all(READER, _written(tmp_path, ".tsv"), text_licence="CC0-1.0", image_licence="CC-BY-4.0")
    assert {(row["text_licence"], row["image_licence"]) for row in found} == {("CC0-1.0", "CC-BY-4.0")}


REGION = [0.25, 0.0, 0.5, 1.0]


def _listed(**columns: list[Any]) -> pa.Table:
    """A list of `pmd publish`: four rows, of which two say the same of two regions."""
    url = ["https://img.example.com/1.jpg"] * 3 + [None]
    said = {
        "image_url": url, "text": ["a house", "a door", "a door", "nowhere"], "source": ["visual_genome"] * 4, "meta": ["{}"] * 4,
        "pair_id": [f"{number:032x}" for number in range(4)], "image_id": ["ab" * 16] * 4, "sha256": ["ab" * 32] * 4,
        "region": [None, REGION, [0.0, 0.0, 0.5, 0.5], None], "width": [640] * 4, "height": [480] * 4, "status": ["ok"] * 4,
        "text_licence": ["CC-BY-4.0", "NOASSERTION", None, "cc-by-4.0"], "image_licence": ["CC-BY-2.0", "x y", None, None],
        "licence_evidence": ["http://creativecommons.org/licenses/by/2.0/", None, None, None],
        "split": ["test", "validation", None, "train"],
    } | columns  # fmt: skip
    return pa.Table.from_pylist([dict(zip(said, row, strict=True)) for row in zip(*said.values(), strict=True)])


def test_a_published_list_says_of_each_row_its_region_split_and_licences(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "train-part-00000-of-00001.parquet"
    pq.write_table(_listed(), path)
    whole, part, other, nowhere = read_all(READER, path, image_licence="CC0-1.0")
    assert [row["region"] for row in (whole, part, other)] == [None, REGION, [0.0, 0.0, 0.5, 0.5]]
    assert [(row["width_px"], row["height_px"]) for row in (whole, part)] == [(None, None), (640, 480)]
    assert [row["split"] for row in (whole, part, other)] == ["test", "validation", "train"]
    assert [row["text_licence"] for row in (whole, part, nowhere)] == ["CC-BY-4.0", "NOASSERTION", "CC-BY-4.0"]
    assert [row["image_licence"] for row in (whole, part, other)] == ["CC-BY-2.0", "CC0-1.0", "CC0-1.0"]
    assert whole["licence_evidence"] == "http://creativecommons.org/licenses/by/2.0/"
    assert whole["row_digest"] == keys.digest("https://img.example.com/1.jpg", "a house")
    assert part["row_digest"] != other["row_digest"]
    assert [row["reason"] for row in (whole, part, other, nowhere)] == [None, None, None, "no_image"]
    said = READER.notes([InputFile(str(path), 1)], _options())
    assert said[-1] == f"a list of pmd publish: regions, licences and splits are its rows' ({path})"


@pytest.mark.parametrize("above", ["", "source=mine", "lists/source=mine"])
def test_rows_of_a_list_that_have_left_a_later_release_are_left_out(
    tmp_path: Path, read_all: ReadAll, above: str
) -> None:
    path = tmp_path / above / "list.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(_listed(), path)
    beside = tmp_path / "withdrawn.parquet"
    is_near = above != "lists/source=mine"
    for left, reasons in (
        ([0, 2, 7], ["withdrawn", None, "withdrawn", "no_image"]),
        ([1], [None, "withdrawn", None, "no_image"]),
    ):
        pq.write_table(pa.table({"pair_id": [f"{number:032x}" for number in left]}), beside)
        found = [row["reason"] for row in read_all(READER, path)]
        assert found == (reasons if is_near else [None, None, None, "no_image"])
    # It is an input, as a list's file is, whether a glob takes it in or not; and it has no rows of its own.
    for named in (str(path), str(tmp_path / "**" / "*.parquet")):
        mine = SourceConfig("mine", (named,), (), _options(), reader="url_text")
        files = inputs.files(mine)
        expected = [path, beside] if is_near or "*" in named else [path]
        assert [file.path for file in files] == sorted(map(str, expected))
        assert {chunk.path for chunk in READER.plan(files, _options())} == {str(path)}
        assert len(READER.notes(files, _options())) == 2


def test_pairs_in_a_file_that_is_called_as_the_list_of_what_has_left_are_read(
    tmp_path: Path, read_all: ReadAll
) -> None:
    path = tmp_path / "withdrawn.parquet"
    pq.write_table(pa.table({"url": ["http://x.example/1.jpg"], "text": ["A sheep on a hill"]}), path)
    assert [row["text"] for row in read_all(READER, path)] == ["A sheep on a hill"]


@pytest.mark.parametrize(
    "region",
    [
        [0.5, 0.0, 0.75, 1.0],
        [0.0, 0.0, 0.0, 1.0],
        [-0.25, 0.0, 0.5, 1.0],
        [0.0, 0.0, 1.0],
        [0.0, 0.0, float("nan"), 1.0],
        [],
    ],
)
def test_a_region_that_is_none_is_not_taken_for_the_whole_image(
    tmp_path: Path, read_all: ReadAll, region: list[float]
) -> None:
    pq.write_table(_listed(region=[region, REGION, None, None]), tmp_path / "list.parquet")
    bad, good, *_ = read_all(READER, tmp_path / "list.parquet")
    assert (bad["reason"], bad["region"]) == ("bad_region", None)
    assert (good["reason"], good["region"]) == (None, REGION)


def test_a_list_that_others_have_written_again_says_the_same(tmp_path: Path, read_all: ReadAll) -> None:
    pq.write_table(_listed(), tmp_path / "list.parquet")
    expected = _content(read_all(READER, tmp_path / "list.parquet"))
    frame = pq.read_table(tmp_path / "list.parquet").to_pandas()
    frame["region"] = [None if region is None else json.dumps(list(region)) for region in frame["region"]]
    frame["width"] = frame["width"].astype(float)
    frame.sample(frac=1, random_state=1).to_parquet(tmp_path / "list.parquet")
    assert _content(read_all(READER, tmp_path / "list.parquet")) == expected
    frame["width"] = ["640.00"] * 4
    frame.to_parquet(tmp_path / "list.parquet")
    assert _content(read_all(READER, tmp_path / "list.parquet")) == expected
    pq.write_table(_listed(region=[None] * 4, text_licence=[None] * 4), tmp_path / "list.parquet")  # columns of nulls
    assert [row["region"] for row in read_all(READER, tmp_path / "list.parquet")] == [None] * 4


def test_a_list_that_was_parted_by_columns_says_the_same(tmp_path: Path, read_all: ReadAll) -> None:
    """Its splits and its source stand in the names of its folders alone: without them it would be a table of URLs and texts."""
    whole = _listed(split=["test"] * 4)
    pq.write_table(whole, tmp_path / "list.parquet")
    expected = read_all(READER, tmp_path / "list.parquet")
    pq.write_to_dataset(whole, tmp_path / "again", partition_cols=["split", "source"])
    (path,) = (tmp_path / "again").rglob("*.parquet")
    assert not {"split", "source"} & {*pq.read_schema(path).names}
    found = read_all(READER, path)
    assert [row["region"] for row in found].count(REGION) == 1
    assert {row["split"] for row in found} == {"test"}
    assert _content(found) == _content(expected)


def test_what_a_published_list_lacks_is_no_option_to_name(tmp_path: Path, read_all: ReadAll) -> None:
    rows = _listed(weight=[480] * 4).drop_columns(["height"])
    pq.write_table(rows, tmp_path / "list.parquet")
    assert [row["height_px"] for row in read_all(READER, tmp_path / "list.parquet")] == [None] * 4


@pytest.mark.parametrize("form", [".tsv", ".csv", ".jsonl"])
def test_a_published_list_in_another_form_is_refused(tmp_path: Path, form: str) -> None:
    path = _written(tmp_path, form, _listed().to_pylist())
    with pytest.raises(InputError, match="a published list in another form"):
        _plan(path)


def test_nothing_but_urls_may_be_handed_on_unless_the_configuration_says_so() -> None:
    terms = READER.terms("mine", _options())
    assert (terms.redistribute, dict(terms.meta), terms.licence_evidence) == ("urls", {}, None)
    assert READER.terms("mine", _options(redistribute="text")).redistribute == "text"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_profiles_agree(profile: Any) -> None:
    assert READER.options.profile_values(profile) == READER.options.profile_values("paper")


def test_columns_that_were_guessed_are_told(tmp_path: Path) -> None:
    file = _written(tmp_path, ".tsv")
    files = [InputFile(str(file), 1)]
    assert READER.notes(files, _options()) == [
        f'columns by their names: url_column = "url", text_column = "caption" ({file})'
    ]
    assert READER.notes(files, _options(url_column="url")) == [
        f'columns by their names: text_column = "caption" ({file})'
    ]
    assert READER.notes(files, _options(url_column="url", text_column="caption")) == []


@pytest.mark.parametrize("form", FORMS)
def test_columns_of_other_names_are_not_guessed(tmp_path: Path, form: str) -> None:
    path = _written(tmp_path, form, [{"URL": row["url"], "Caption": row["caption"]} for row in ROWS])
    with pytest.raises(InputError) as caught:
        _plan(path)
    assert str(caught.value) == (
        f"{path}: the columns are not known\n"
        "  expected: a table with the columns image_url or url, text or caption\n"
        "  found: URL, Caption\n"
        '  remedy: name the columns in the configuration: url_column = "URL", text_column = "Caption"'
    )
    assert _plan(path, url_column="URL", text_column="Caption")


@pytest.mark.parametrize("form", FORMS)
def test_two_that_may_be_meant_are_not_chosen_between(tmp_path: Path, form: str) -> None:
    path = _written(tmp_path, form, [{**row, "image_url": row["url"]} for row in ROWS])
    with pytest.raises(InputError) as caught:
        _plan(path)
    assert str(caught.value) == (
        f"{path}: more than one column may be meant\n"
        "  expected: one column called image_url or url\n"
        "  found: image_url, url\n"
        '  remedy: name it in the configuration: url_column = "image_url"'
    )
    assert _plan(path, url_column="url")


def test_a_named_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"expected: a table with the columns link, text or caption\n  found: key, url,"
    ):
        _plan(_written(tmp_path, ".csv"), url_column="link")


@pytest.mark.parametrize(
    ("option", "mistyped", "meant"),
    [("id_column", "kye", "key"), ("url_column", "ulr", "url"), ("text_column", "Captions", "caption")],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_mistyped_column_is_told_with_those_that_are_there(
    tmp_path: Path, form: str, option: str, mistyped: str, meant: str
) -> None:
    path = _written(tmp_path, form)
    with pytest.raises(InputError, match="the columns are not known") as caught:
        _plan(path, **{option: mistyped})
    assert mistyped in (caught.value.expected or "")
    assert caught.value.found == "key, url, caption, photographer"
    assert caught.value.remedy == f'name the columns in the configuration: {option} = "{meant}"'


def test_a_column_that_only_a_late_line_of_json_has_is_no_mistake(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("url", "caption")} for row in ROWS[:3]]
    path = _written(tmp_path, ".jsonl", [*rows * 20, {**rows[0], "key": None}])
    assert _plan(path, id_column="key")
    with pytest.raises(InputError, match="columns image_url or url, text or caption, key\n  found: url, caption\n"):
        _plan(_written(tmp_path, ".jsonl", rows * 20), id_column="key")


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"https://x.example/1.jpg,a caption\n", "put a line of them above it"),
        (b"a caption\tHTTPS://x.example/1.jpg\n", "put a line of them above it"),
        (b"url;caption\nhttps://x.example/1.jpg;one, two\n", "the columns are parted by ;"),
        (b"url|caption\nhttps://x.example/1.jpg|one\n", "the columns are parted by |"),
        (b"address,words\nhttps://x.example/1.jpg,one\n", "url_column, text_column, id_column"),
        (b'[{"url": "https://x.example/1.jpg", "caption": "x"}]', "write one object a line"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "name only tables"),
    ],
)
def test_the_remedy_is_that_of_the_mistake(tmp_path: Path, content: bytes, remedy: str) -> None:
    path = tmp_path / "pairs.dat"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        _plan(path)
    assert remedy in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'[{"url": "https://x.example/1.jpg", "caption": "x"}]', "not an annotation file of this source"),
        (
            b'{"pairs": [\n{"url": "https://x.example/1.jpg", "caption": "x"}\n]}',
            "not an annotation file of this source",
        ),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "not an annotation file of this source"),
        (b"https://x.example/1.jpg\ta caption\n", "the columns are not known"),
        (b"PAR1", "the Parquet table is damaged or cut short"),
    ],
    ids=["list", "document", "png", "no names", "parquet"],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "pairs.dat"
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem) as caught:
        _plan(path)
    assert str(caught.value).startswith(f"{path}:")


def test_bad_rows_leave_and_say_where_they_stand(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"url\tcaption\nhttps://x.example/1.jpg\tone\nhttps://x.example/2.jpg\nlatin\tcaf\xe9\n")
    found = read_all(READER, path)
    assert [(row["text"], row["reason"], row["detail"], row["where"]) for row in found] == [
        ("one", None, None, f"{path}:byte 12"),
        (None, "malformed_row", "expected 2 fields, found 1", f"{path}:byte 40"),
        (None, "bad_encoding", "invalid UTF-8 at byte 9 of the line", f"{path}:byte 64"),
    ]
