"""Any data set: one content in every form, columns by their names or as they are named, bad input told; once through Beam."""

from __future__ import annotations

import csv
import decimal
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pmd
from pipelines import audit_data
from pmd.audit import data_columns
from pmd.audit.counting import measure
from pmd.audit.figures import datasets
from pmd.audit.places import population
from pmd.datasets import files as data_files
from pmd.datasets import pairs as data_pairs
from pmd.errors import ConfigError, InputError, PmdError
from pmd.publish.rules import PUBLISHED
from pmd.schema import keys
from pmd.schema.tables import PAIRS
from pmd.store import commits
from pmd.store.commits import Books

ROWS: list[dict[str, Any]] = [
    {
        "URL": "http://a.org/1.jpg",
        "caption": "a woman in Paris",
        "author": "ann",
        "lat": "48.85",
        "lon": "2.35",
        "width": 640,
    },
    {"URL": "http://b.org/2.jpg", "caption": "a man", "author": "bob", "lat": "", "lon": "", "width": 320},
    {"URL": "", "caption": "no image's address", "author": "", "lat": "", "lon": "", "width": None},
    {"URL": "http://b.org/3.jpg", "caption": "  ", "author": "bob", "lat": "", "lon": "", "width": 1},
]


def write(folder: Path, form: str, rows: list[dict[str, Any]] = ROWS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rows.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with tarfile.open(path, "w") as tar:
            for number, row in enumerate(rows):
                known = {name: value for name, value in row.items() if name != "caption"}
                parts = {"jpg": b"no picture", "txt": row["caption"].encode(), "json": json.dumps(known).encode()}
                for ending, content in parts.items():
                    info = tarfile.TarInfo(f"shard/{number:04d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return path


def read(path: Path, **named: str) -> tuple[pa.Table, dict[str, Books]]:
    file = data_files.look(str(path), named)
    batches, books = [], dict[str, Books]()
    for chunk in file.chunks:
        for batch, found in data_pairs.read(file, chunk):
            batches.append(batch)
            for name, book in found.items():
                books[name] = books.get(name, Books()) + book
    return pa.Table.from_batches(batches, PAIRS), books


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl", "tar"])
def test_every_form_gives_the_same_pairs(tmp_path: Path, form: str) -> None:
    pairs, books = read(write(tmp_path, form))
    assert books == {measure.DATA: Books(3, {"empty_text": 1})}
    assert pairs["text"].to_pylist() == ["a woman in Paris", "a man", "no image's address"]
    assert pairs["image_url"].to_pylist() == ["http://a.org/1.jpg", "http://b.org/2.jpg", None]
    assert pairs["identity"].to_pylist()[:2] == ["url:a.org/1.jpg", "url:b.org/2.jpg"]
    assert pairs["identity"][2].as_py().startswith("row:")
    assert pairs["width_px"].to_pylist() == [640, 320, None]
    metas = [json.loads(meta) for meta in pairs["meta"].to_pylist()]
    assert metas[0] == {"user": "ann", "latitude": "48.85", "longitude": "2.35"}
    assert pairs["pair_id"].to_pylist()[1] == keys.digest("\0http://b.org/2.jpg\0a man\0bob")


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "csv")
    path.write_text(path.read_text(encoding="utf-8") + "only,two\n", encoding="utf-8")
    assert read(path)[1] == {measure.DATA: Books(3, {"empty_text": 1, "malformed_row": 1})}
    path = write(tmp_path, "jsonl")
    path.write_text("{broken\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InputError):
        read(path)  # a first line that is no object is no table's
    path = write(tmp_path, "jsonl")
    path.write_text(path.read_text(encoding="utf-8") + "{broken}\n[1]\n", encoding="utf-8")
    assert read(path)[1] == {measure.DATA: Books(3, {"empty_text": 1, "malformed_row": 2})}


def members(path: Path, named: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w", errors="surrogateescape") as tar:
        for name, content in named:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("form", ["jsonl", "tar"])
def test_what_is_known_beside_a_text_spoils_no_row(tmp_path: Path, form: str) -> None:
    said = [
        b'{"caption": "a", "author": {"id": 1}, "width": NaN, "license": [1]}',
        b'{"caption": "b", "author": "ann", "width": 7}',
    ]
    path = tmp_path / f"rows.{form}"
    if form == "tar":
        members(path, [(f"{number}.json", one) for number, one in enumerate(said)])
    else:
        path.write_bytes(b"\n".join(said))
    roles = {"text": "caption", "user": "author", "width": "width"}
    assert data_files.look(str(path), {}).roles == roles, "a column of lists alone is none, as in Parquet"
    pairs, books = read(path)
    assert books == {measure.DATA: Books(2)}
    assert pairs["width_px"].to_pylist() == [None, 7]
    assert [json.loads(meta)["user"] for meta in pairs["meta"].to_pylist()] == [None, "ann"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_lists_of_texts_are_refused(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, form, [{"captions": ["a", "b"]}, {"captions": ["c"]}])
    with pytest.raises(InputError) as refused:
        data_files.look(str(path), {})
    assert str(refused.value) == (
        f"{path}: a column holds lists or objects\n  expected: a text or a number in each row\n  found: captions\n"
        "  remedy: write a row for each text; or name another column: --column ROLE=COLUMN"
    )
    path = write(tmp_path, form, [{"captions": ["a", "b"], "said": "c", "by": [1]}])
    assert read(path, text="said")[1] == {measure.DATA: Books(1)}
    with pytest.raises(InputError, match="found: by"):
        data_files.look(str(path), {"text": "said", "user": "by"})


def test_columns_of_parquet_are_read_whatever_their_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = {
        "text": pa.array(["a", "b"]).dictionary_encode(),
        "lat": pa.array([decimal.Decimal("48.85"), None]),
        "lon": pa.array([2.5, None], pa.float16()),
        "user": pa.array([7.0, float("nan")]),
    }
    pq.write_table(pa.table(table), path)
    metas = [json.loads(meta) for meta in read(path)[0]["meta"].to_pylist()]
    assert metas == [
        {"user": "7", "latitude": "48.85", "longitude": "2.5"},
        {"user": None, "latitude": None, "longitude": None},
    ]
    pq.write_table(pa.table({"text": ["a"], "at": pa.array([1], pa.timestamp("s"))}), path)
    with pytest.raises(InputError, match="found: at: timestamp") as refused:
        data_files.look(str(path), {"user": "at"})
    assert refused.value.remedy == "name the columns: --column user=COLUMN"
    pq.write_table(pa.table({"text": pa.nulls(2), "caption": ["a", "b"]}), path)
    assert data_files.look(str(path), {}).roles == {"text": "caption"}
    pq.write_table(pa.table({"text": pa.nulls(2)}), path)  # as pandas writes a shard of which no row has a text
    assert read(path)[1] == {measure.DATA: Books(0, {"empty_text": 2})}


def test_what_is_written_for_no_id_makes_no_image_of_many_rows(tmp_path: Path) -> None:
    rows = [{"text": f"text {number}", "id": name} for number, name in enumerate(["nan", "nan", "None", "9.0", "9"])]
    pairs, _ = read(write(tmp_path, "csv", rows))
    identities = pairs["identity"].to_pylist()
    assert len(set(identities)) == 4
    assert identities[3:] == ["row:9", "row:9"], "of a shard with a null pandas makes numbers with a fraction"


def test_texts_are_as_curate_leaves_them(tmp_path: Path) -> None:
    rows = [{"text": one} for one in ("a\n senior\u00a0citizen ", "una sen\u0303ora", "\x1c", "\u3000")]
    pairs, books = read(write(tmp_path, "parquet", rows))
    assert pairs["text"].to_pylist() == ["a senior citizen", "una se\u00f1ora"]
    assert books == {measure.DATA: Books(2, {"empty_text": 2})}


def test_licences_and_sizes_of_a_data_set_are_told(tmp_path: Path) -> None:
    rows = [
        {
            "text": "a woman and a dog in the park",
            "licence": "CC BY 4.0" if number < 20 else "all rights reserved" if number < 35 else "NOASSERTION",
            "width": 640 if number % 2 else 4000,
            "height": 480,
        }
        for number in range(40)
    ]
    page = audit_data.build(str(write(tmp_path, "parquet", rows)), str(tmp_path / "out"), {}, lambda _: None)
    values = pmd.load.audit(tmp_path / "out").attributes_values.query("source == 'all'")
    assert values[["attribute", "value", "pairs"]].values.tolist() == [
        ["licence of the image", "CC-BY", 20],
        ["licence of the image", "all rights reserved", 15],
        ["shorter side, pixels", "384 to below 512", 40],
    ]
    said = _words(page)
    assert "What the data set's own columns say of licences and sizes" in said.replace("&#x27;", "'")
    assert "files under [audit] attributes" not in said


def test_numbers_that_are_no_place_are_told_with_what_may_help(tmp_path: Path) -> None:
    rows = [{"text": "a dog", "lat": "40.7", "lon": 286.0 + number / 10} for number in range(12)]
    rows += [{"text": "a dog", "lat": "-122.4", "lon": 37.8}] * 3
    path = write(tmp_path, "csv", rows)
    said = _words(audit_data.build(str(path), str(tmp_path / "out"), {}, lambda _: None))
    assert "No pair here has a geotag." in said
    assert "12 rows with longitude beyond 180 (perhaps they are counted eastwards to 360: take 360 off" in said
    assert "3 rows with latitude beyond 90 (perhaps both columns are taken for each other" in said


def test_what_is_written_for_none_is_no_licence_and_no_url(tmp_path: Path) -> None:
    rows = [{"text": "a", "url": said, "licence": said} for said in ("None", "nan", " ", "CC BY 4.0")]
    pairs, _ = read(write(tmp_path, "csv", rows))
    for name in ("image_licence", "image_url"):
        assert pairs[name].to_pylist() == [None, None, None, "CC BY 4.0"]


def test_an_image_is_known_by_the_id_of_images_before_that_of_texts(tmp_path: Path) -> None:
    rows = [{"id": number, "image_id": 7, "caption": f"text {number}"} for number in range(2)]
    pairs, _ = read(write(tmp_path, "parquet", rows))
    assert pairs["identity"].to_pylist() == ["row:7", "row:7"]


def test_pictures_in_a_column_of_bytes_name_no_image_and_spoil_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"image": [b"\xff\xd8\xff\xe0", b"\x89PNG"], "caption": ["a", "b"]}), path)
    assert data_files.look(str(path), {}).roles == {"text": "caption"}
    assert read(path)[1] == {measure.DATA: Books(2)}


def test_a_path_in_place_of_a_url_names_the_image(tmp_path: Path) -> None:
    rows = [{"id": number, "url": f"images/{number // 5}.jpg", "caption": f"text {number}"} for number in range(10)]
    pairs, _ = read(write(tmp_path, "csv", rows))
    assert pairs["identity"].to_pylist() == ["at:images/0.jpg"] * 5 + ["at:images/1.jpg"] * 5
    assert len({*pairs["image_id"].to_pylist()}) == 2


def test_tars_of_odd_members(tmp_path: Path) -> None:
    path = tmp_path / "rows.tar"
    members(path, [("0.txt", b"\xef\xbb\xbfa"), ("1.txt", b"\xff"), ("2.txt", b"b"), ("2.json", b"[1]")])
    pairs, books = read(path)
    assert books == {measure.DATA: Books(2, {"bad_encoding": 1})}
    assert pairs["text"].to_pylist() == ["a", "b"]
    members(path, [("0.txt", b"a"), ("0.txt", b"b"), ("\udcff.txt", b"c")])
    pairs, books = read(path)
    assert pairs["text"].to_pylist() == ["a", "b", "c"], (
        "none takes the place of another, nor has to have a name in UTF-8"
    )
    assert pairs["source_id"].to_pylist()[2] == f"{path}!/\\udcff"
    assert data_files.most_rows(data_files.look(str(path), {}))[""] >= 3
    members(path, [])
    assert read(path) == (PAIRS.empty_table(), {}), "an end without members is a tar of no samples"
    assert data_files.most_rows(data_files.look(str(path), {})) == {"": 0}
    members(path, [("0.jpg", b"x"), ("0.cls", b"1")])
    with pytest.raises(InputError, match="no member of the tar says anything") as refused:
        data_files.look(str(path), {})
    assert refused.value.found == "members .jpg, .cls"
    members(path, [("0.jpg", b"x"), ("0.txt", b"\xff")])
    with pytest.raises(InputError, match=r"found: invalid UTF-8 at byte 0"):
        data_files.look(str(path), {})


@pytest.mark.parametrize(
    ("columns", "named", "roles"),
    [
        (["URL", "TEXT"], {}, {"text": "TEXT", "url": "URL"}),
        (["url", "image_url", "caption", "text"], {}, {"text": "text", "url": "image_url"}),
        (["text", "lat"], {}, {"text": "text"}),  # half a place is none
        (["text", "lat", "lng"], {}, {"text": "text", "latitude": "lat", "longitude": "lng"}),
        (["text", "uid"], {"user": "none"}, {"text": "text"}),
        (
            ["uid", "url", "text", "original_width", "key"],
            {},
            {"text": "text", "url": "url", "id": "key", "width": "original_width"},
        ),
        (["uid", "url", "text"], {}, {"text": "text", "url": "url", "id": "uid"}),  # DataComp's
        (["uid", "text", "author"], {}, {"text": "text", "id": "uid", "user": "author"}),
        (["photoid", "uid", "title"], {}, {"text": "title", "id": "photoid", "user": "uid"}),  # YFCC100M's
        (["text", "uid"], {"user": "uid"}, {"text": "text", "user": "uid"}),
        (
            ["description", "creator", "decimalLatitude", "decimalLongitude"],  # GBIF's
            {},
            {"text": "description", "user": "creator", "latitude": "decimalLatitude", "longitude": "decimalLongitude"},
        ),
        (["Image URL", "alt-text"], {}, {"text": "alt-text", "url": "Image URL"}),
        (["image", "caption"], {}, {"text": "caption", "id": "image"}),  # Flickr8k's
        (["id", "file_name", "caption"], {}, {"text": "caption", "id": "file_name"}),  # COCO's, as a table
        (["text ", " URL"], {}, {"text": "text ", "url": " URL"}),
        (["text", "said"], {"text": "said"}, {"text": "said"}),
        (["a"], {}, {}),
    ],
)
def test_columns_are_known_by_their_names_or_named(
    columns: list[str], named: dict[str, str], roles: dict[str, str]
) -> None:
    assert data_columns.guessed(columns, named) == roles


@pytest.mark.parametrize("words", [["text"], ["text="], ["colour=c"], ["text=a", "text=b"], ["text=none"]])
def test_a_column_that_is_named_wrongly_is_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        data_columns.given(words)
    assert str(refused.value) == (
        "--column: no column is named so\n"
        "  expected: ROLE=COLUMN, each role once, of text, url, id, user, licence, width, height, latitude, longitude; "
        f"COLUMN none: no such column, but for text\n  found: {words[-1]}"
    )


def test_a_data_set_without_texts_is_refused_and_shows_what_it_has(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", [{"URL": "http://a.org/1", "said": "a dog"}])
    with pytest.raises(InputError, match="the columns are not known") as refused:
        data_files.look(str(path), {})
    assert "found: URL, said" in str(refused.value)
    assert "name the columns: --column text=COLUMN" in str(refused.value)
    assert read(path, text="said")[0]["text"].to_pylist() == ["a dog"]
    with pytest.raises(InputError, match="the columns are not known"):
        data_files.look(str(path), {"text": "said", "user": "nobody"})  # a mistyped name is no column that is lacking
    with pytest.raises(InputError, match="--column user=COLUMN"):
        data_files.look(str(path), {"text": "said", "user": "nobody"})
    (tmp_path / "zeros.csv").write_bytes(bytes(10_000) + b",b\n1,2\n")
    with pytest.raises(InputError, match="the columns are not known") as refused:
        data_files.look(str(tmp_path / "zeros.csv"), {})
    assert len(str(refused.value)) < 1000, "a name of ten thousand characters is not shown whole"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.csv", b"", "the file is empty"),
        ("rows.json", b'[{"text": "a"}]', "jq -c"),
        ("rows.csv", "text,légende\na,b\n".encode("latin-1"), "the first line is not UTF-8"),
        ("rows.csv", b"text;url\na;b\n", "the columns are parted by ;"),
        ("rows.csv", b"a text,http://a.org/1.jpg\n", "put a line of them above it"),
        ("rows.csv", b"\xef\xbb\xbf", "it is in no form that is read"),
        ("rows.csv", b"text,url\ra,b\r", "its lines end with carriage returns alone"),
        ("rows.csv", b"text,url" + b",x" * 600_000 + b"\na,b\n", "no line ends in its first 65,536 bytes"),
        ("rows.tar.gz", None, "the archive is not read"),
        ("rows.xlsx", b"PK\x03\x04" + bytes(100), "save the sheet as CSV"),
        ("rows.tar", "cut", "the tar file is damaged or truncated"),
    ],
)
def test_what_is_no_data_set_is_told(tmp_path: Path, name: str, content: bytes | str | None, says: str) -> None:
    path = tmp_path / name
    if content is None:
        with tarfile.open(path, "w:gz") as tar:
            tar.addfile(tarfile.TarInfo("a.txt"))
    elif content == "cut":
        whole = write(tmp_path, "tar").read_bytes()
        path.write_bytes(whole[:1300])
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    with pytest.raises(PmdError, match=says):
        read(path)


def test_a_folder_is_its_files_and_nothing_is_told(tmp_path: Path) -> None:
    for form in ("csv", "jsonl", "tar"):
        write(tmp_path, form)
    (tmp_path / "README.md").write_text("not data", encoding="utf-8")
    for name in (
        "_stage.json",
        "sizes.json",
        "00000_stats.json",
        "croissant.json",
        "availability.csv",
        "withdrawn.parquet",
    ):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    write(tmp_path, "parquet")  # as img2dataset writes one beside each tar
    assert data_files.find(str(tmp_path)) == [str(tmp_path / f"rows.{form}") for form in ("csv", "jsonl", "tar")]
    assert data_files.find(str(tmp_path / "*.csv")) == [str(tmp_path / "rows.csv")]
    mine = tmp_path / "out/audit/tables"
    mine.mkdir(parents=True)
    (mine / "books.csv").write_text("stage\n", encoding="utf-8")
    assert str(mine / "books.csv") not in data_files.find(str(tmp_path), beside=str(tmp_path / "out"))
    (tmp_path / "rows.json").write_text("{}", encoding="utf-8")
    (tmp_path / "rows.tar").unlink()
    names = [Path(name).name for name in data_files.find(str(tmp_path), beside=str(tmp_path / "out"))]
    assert names == ["rows.csv", "rows.json", "rows.jsonl", "rows.parquet"]
    with pytest.raises(InputError, match="no file of a data set is here"):
        data_files.find(str(tmp_path / "*.tsv"))


def test_a_glob_is_what_it_matches_less_what_only_says_something_of_it(tmp_path: Path) -> None:
    write(tmp_path, "tar")
    write(tmp_path, "parquet")  # as img2dataset writes one beside each tar
    for name in ("_SUCCESS", "rows_stats.json", "part/rows.csv", "part/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text\na\n", encoding="utf-8")
    assert data_files.find(str(tmp_path / "*")) == [str(tmp_path / "part/rows.csv"), str(tmp_path / "rows.tar")]
    assert data_files.find(str(tmp_path / "_SUCCESS")) == [str(tmp_path / "_SUCCESS")]
    assert data_files.find(str(tmp_path / "**" / "*art*")) == [str(tmp_path / "part/rows.csv")]
    (tmp_path / "part/part.csv").write_text("text\na\n", encoding="utf-8")
    found = data_files.find(str(tmp_path / "**" / "*art*"))
    assert found == [str(tmp_path / "part" / name) for name in ("part.csv", "rows.csv")], "each file is one, once"


def test_shards_in_two_formats_are_read_in_one_and_what_no_format_takes_is_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet, tar = write(tmp_path / "shards/parquet", "parquet"), write(tmp_path / "shards/webdataset", "tar")
    rejected, mine = write(tmp_path / "shards/rejected", "parquet"), write(tmp_path / "shards", "csv")
    told: list[str] = []
    everything = sorted(map(str, (mine, parquet, rejected, tar)))
    assert data_files.find(str(tmp_path / "shards"), report=told.append) == everything, "somebody's own, called so"
    for folder in ("parquet", "webdataset", "rejected"):
        commits.write(str(tmp_path / "shards" / folder), commits.Commit("shard", (), {}, "0" * 32, {}))
    assert data_files.find(str(tmp_path / "shards"), report=told.append) == sorted(map(str, (mine, parquet)))
    assert told == [f"left out: 2 files beside {tmp_path}/shards/parquet, which has every sample"]
    assert data_files.find(str(tmp_path / "shards/*/*.tar")) == [str(tar)]
    assert data_files.find(str(tmp_path / "shards/webdataset")) == [str(tar)]
    monkeypatch.chdir(tmp_path / "shards")
    assert data_files.find("*/*.[pt]*") == ["parquet/rows.parquet"]
    (tmp_path / "shards/parquet/rows.parquet").unlink()
    assert data_files.find(str(tmp_path / "shards")) == sorted(map(str, (mine, tar)))


def test_a_glob_leaves_out_the_audits_that_stand_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write(tmp_path, "parquet")
    mine = write(tmp_path / "audit", "csv")  # somebody's own, called so
    audit_data.build(str(rows), str(tmp_path / "runs/one"), {}, lambda _: None)
    told: list[str] = []
    assert data_files.find(str(tmp_path / "**/*.parquet"), report=told.append) == [str(rows)]
    count = len([*(tmp_path / "runs").rglob("*.parquet")])
    assert count > 1
    assert told == [f"left out: {count} files of the audit in {tmp_path}/runs/one"]
    assert data_files.find(str(tmp_path / "**/*.*")) == [str(mine), str(rows)]
    monkeypatch.chdir(tmp_path)
    assert data_files.find("./**/*.parquet") == ["rows.parquet"]
    tables = data_files.find("runs/one/audit/tables/*.parquet")
    assert len(tables) == count, "who names an audit's tables means them"


def test_a_build_in_the_folder_of_a_data_set_is_none_of_it_and_a_glob_may_ask_for_its_shards(tmp_path: Path) -> None:
    rows = write(tmp_path, "csv")
    home = tmp_path / "root"
    audit_data.build(str(rows), str(home), {}, lambda _: None)
    shard = write(home / "shards", "parquet")
    told: list[str] = []
    assert data_files.find(str(tmp_path), report=told.append) == [str(rows)]
    assert data_files.find(f"{tmp_path}/") == [str(rows)]
    assert [note.partition(" files ")[2] for note in told] == [f"that pmd wrote in {home}"]
    assert data_files.find(str(tmp_path / "**/*.parquet")) == [str(shard)]


def test_a_file_that_others_call_as_ours_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    rows = write(tmp_path / "part", "csv")
    (tmp_path / "part" / "root.json").write_text('{"mine": 1}\n', encoding="utf-8")
    assert str(rows) in data_files.find(str(tmp_path))


def test_audits_in_the_folder_of_a_data_set_are_none_of_it(tmp_path: Path) -> None:
    rows = write(tmp_path, "csv")
    audit_data.build(str(tmp_path), str(tmp_path / "one"), {}, lambda _: None)
    assert data_files.find(str(tmp_path), beside=str(tmp_path / "two")) == [str(rows)]
    with pytest.raises(PmdError, match="the folder holds files, and is no ROOT") as refused:
        audit_data.build(str(tmp_path), str(tmp_path), {}, lambda _: None)
    assert refused.value.remedy == "name another folder: --out DIR", "there is no configuration to name one in"
    with pytest.raises(ConfigError, match="--out: no folder is named"):
        audit_data.build(str(tmp_path), "", {}, lambda _: None)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_list_is_one_in_another_form(tmp_path: Path, form: str) -> None:
    row = {**dict.fromkeys(PUBLISHED.names, ""), "image_url": "http://a.org/1", "text": "a man", "source": "red_caps"}
    path = write(tmp_path, form, [{**row, "meta": '{"author": "ann"}'}, row])
    assert data_files.most_rows(data_files.look(str(path), {})) == {"red_caps": 2}
    assert read(path)[1] == {"red_caps": Books(2)}


def test_columns_that_are_only_called_as_those_of_lists_are_no_list(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    named = {**dict.fromkeys(PUBLISHED.names, pa.array(["x"])), "text": pa.array(["a"]), "source": pa.array([[1]])}
    pq.write_table(pa.table(named), path)
    assert not data_files.look(str(path), {}).is_list
    assert read(path)[1] == {measure.DATA: Books(1)}


def test_a_published_list_has_its_sources_keys_and_fields(tmp_path: Path) -> None:
    row = {
        "image_url": "http://a.org/1",
        "text": "a man",
        "source": "red_caps",
        "meta": '{"author": "ann"}',
        "pair_id": "0" * 31 + "1",
        "image_id": "0" * 31 + "2",
    }
    path = tmp_path / "list.parquet"
    pq.write_table(pa.Table.from_pylist([row, {**row, "text": None}], PUBLISHED), path)
    pairs, books = read(path)
    assert books == {"red_caps": Books(1, {"empty_text": 1})}
    assert pairs["pair_id"].to_pylist() == [bytes.fromhex(row["pair_id"])]
    assert pairs["image_id"].to_pylist() == [bytes.fromhex(row["image_id"])]
    assert measure.users(pairs.to_batches()[0])[0] != 0
    assert data_files.most_rows(data_files.look(str(path), {})) == {"red_caps": 2}
    pq.write_table(pa.Table.from_pylist([{**row, "image_id": "none of ours, but as long as one!"}], PUBLISHED), path)
    assert read(path)[0]["image_id"].to_pylist() == [keys.image_id("url:a.org/1")]


def test_a_list_that_was_parted_by_its_source_is_one(tmp_path: Path) -> None:
    row = {"text": "a man", "pair_id": "0" * 31 + "1", "image_id": "0" * 31 + "2", "source": "google/wit", "meta": "{}"}
    rows = pa.Table.from_pylist([row], PUBLISHED)
    pq.write_to_dataset(
        rows.set_column(2, "source", rows["source"].cast(pa.string())), tmp_path, partition_cols=["source"]
    )
    (path,) = tmp_path.rglob("*.parquet")
    assert "source" not in pq.read_schema(path).names
    pairs, books = read(path)
    assert books == {"wit": Books(1)}
    assert pairs["pair_id"].to_pylist() == [bytes.fromhex(row["pair_id"])]
    assert data_files.most_rows(data_files.look(str(path), {})) == {"google/wit": 1}


def test_a_data_set_without_rows_has_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,url\n", encoding="utf-8")
    page = audit_data.build(str(tmp_path / "rows.csv"), str(tmp_path / "out"), {}, lambda _: None)
    assert "No caption is left." in Path(page).read_text(encoding="utf-8")
    said = _words(page)
    assert "there are no pairs here" in said
    assert "0 of 0" not in said
    assert "No pair here has a geotag, so no country can be told." in said
    assert "partly testable" not in said
    assert pmd.load.audit(tmp_path / "out").books.empty


def test_a_data_set_is_audited_by_what_audits_a_build(tmp_path: Path) -> None:
    rows = [{**ROWS[number % 2], "URL": f"http://h.org/{number}", "author": f"u{number % 9}"} for number in range(40)]
    write(tmp_path, "csv", [*rows, ROWS[3]])
    notes: list[str] = []
    page = audit_data.build(str(tmp_path / "*.csv"), str(tmp_path / "out"), {}, notes.append)
    assert notes == [
        "columns: text = caption, url = URL, user = author, width = width, latitude = lat, longitude = lon "
        f"({tmp_path / 'rows.csv'})"
    ]
    said = Path(page).read_text(encoding="utf-8")
    assert "It was audited as it is: no step of a build has gone over it." in said
    assert "Rows left out: 1 as empty text." in said
    assert "after curate" not in said
    assert "Table 2" not in said.replace("FLAVA's Table 2", "")
    audit = pmd.load.audit(tmp_path / "out")
    assert audit.countries[["source", "stage", "country", "pairs"]].values.tolist()[0] == ["all", "reading", "FR", 20]
    assert audit.books[["source", "kept", "rejected"]].values.tolist() == [["data", 40, 1]]
    figures = audit.figures.query("source == 'data'").set_index("figure")
    assert figures.loc["users.distinct"].value == 9
    folder = Path(page).parent
    commit = commits.read(str(folder))
    assert commit is not None
    assert {"audit.json", "report.html", "tables/books.csv", "tables/books.parquet"} <= {
        file.name for file in commit.files
    }
    assert (folder / "tables/books.csv").read_text(encoding="utf-8-sig").splitlines() == [
        '"stage","source","in","kept","rejected"',
        '"reading","data",41,40,1',
    ]
    with pytest.raises(AttributeError, match="an audit has no table 'colours': it has books, books_rejected"):
        _ = audit.colours


def test_what_is_no_object_in_a_list_says_nothing_of_its_row(tmp_path: Path) -> None:
    said = ['{"author": "ann"}', "no object", "[1]", "", '{"author": "bob", "score": NaN}', r'{"author": "\ud800"}']
    rows = [{**dict.fromkeys(PUBLISHED.names, "x"), "source": "red_caps", "meta": meta} for meta in said]
    pairs, books = read(write(tmp_path, "csv", rows))
    assert books == {"red_caps": Books(6)}
    assert (measure.users(pairs.combine_chunks().to_batches()[0]) != 0).tolist() == [
        True,
        False,
        False,
        False,
        True,
        False,
    ]


def _words(page: str) -> str:
    """Return what a page says, without its marks."""
    return " ".join(re.sub("<[^>]+>", " ", Path(page).read_text(encoding="utf-8")).replace("\u00a0", " ").split())


def test_the_page_of_a_row_says_nothing_that_is_none(tmp_path: Path) -> None:
    write(tmp_path, "csv", ROWS[:1])
    said = _words(audit_data.build(str(tmp_path / "rows.csv"), str(tmp_path / "out"), {}, lambda _: None))
    assert not re.findall(r"(?<! of )\b1 (?:rows|pairs|distinct images|English captions|texts)", said)
    assert not re.findall("too few of English|YFCC100M has", said)
    assert "Too few English captions were read to speak of rates of terms." in said
    assert "Only 1 pair with a geotag lies in a country: too few to speak of shares." in said
    assert "No source records" not in said
    assert "When photographs were taken" not in said, "no column of any data set says when"


def test_countries_of_a_data_set_stand_beside_who_lives_there(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "URL": f"http://h.org/{number}", "author": f"u{number}"} for number in range(40)]
    page = audit_data.build(str(write(tmp_path, "csv", rows)), str(tmp_path / "out"), {}, lambda _: None)
    countries = pmd.load.audit(tmp_path / "out").geography_countries.set_index("country")
    world = population.load(population.YEAR)
    assert isinstance(world, population.Population)
    assert countries.loc["FR"].per_million_people == pytest.approx(40 / world.people["FR"] * 1e6, rel=1e-5)
    said = _words(page)
    assert "No populations" not in said
    assert "[audit.reference]" not in said, "which a configuration has, and the audit of a data set has none"


def test_tars_without_a_sample_are_of_a_data_set_and_say_nothing(tmp_path: Path) -> None:
    members(tmp_path / "0.tar", [])
    members(tmp_path / "1.tar", [("0.txt", b"a dog")])
    notes: list[str] = []
    page = audit_data.build(str(tmp_path), str(tmp_path / "out"), {}, notes.append)
    assert notes == [f"columns: text = txt ({tmp_path / '1.tar'})"]
    assert "(2 files)" in _words(page)
    assert "Columns: text = txt." in _words(page)


def test_a_file_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "b\udcff.csv").write_text("text\na\n", encoding="utf-8")
    with pytest.raises(InputError, match="the path is not UTF-8"):
        data_files.find(str(tmp_path))


def test_a_caption_that_is_called_as_a_stage_is_stays_as_it_is() -> None:
    content = {
        "stages": ["curate"],
        "steps": {"steps": [{"step": "curate"}]},
        "all": {"curate": {"repeated": {"largest": [{"text": "curate", "images": 12}]}}},
        "methods": {"countries": "Longitude.", "attributes": ""},
    }
    found = datasets.described(content, datasets.Described("captions.csv", 1, ()))
    assert (found["stages"], found["steps"]["steps"]) == (["reading"], [{"step": "reading"}])
    assert found["all"]["reading"]["repeated"]["largest"] == [{"text": "curate", "images": 12}]
