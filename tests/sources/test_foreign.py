"""Files that are none of a source's, told in words that say what to do with them."""

from __future__ import annotations

import gzip
import importlib
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd import sources
from pmd.errors import InputError
from pmd.sources.contract import InputFile
from pmd.sources.wit import COLUMNS
from pmd.sources.yfcc100m import LAYOUTS


def refusal(name: str, path: Path) -> InputError:
    """Return the error of a source that is planned of a file that is none of its own."""
    source = sources.load(name)
    with pytest.raises(InputError) as caught:
        source.plan([InputFile(str(path), 1)], source.options(**source.options.profile_values("paper")))
    return caught.value


def remedy(name: str, path: Path) -> str:
    """Return what is advised then."""
    return str(refusal(name, path).remedy)


@pytest.mark.parametrize("name", ["conceptual_captions", "conceptual_12m", "yfcc100m", "localized_narratives__coco"])
def test_lines_that_end_with_carriage_returns_alone(tmp_path: Path, name: str) -> None:
    golden, *_ = importlib.import_module(f"tests.sources.test_{name}").write_golden(tmp_path)
    path = tmp_path / "old.tsv"
    path.write_bytes(Path(golden).read_bytes().replace(b"\r", b"").replace(b"\n", b"\r"))
    assert remedy(name, path).startswith("its lines end with carriage returns alone")


@pytest.mark.parametrize(
    "name", ["conceptual_captions", "conceptual_12m", "localized_narratives__coco", "red_caps", "sbu_captions"]
)
def test_a_list_in_the_place_of_json_lines(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"url": "http://a.example/1.jpg", "caption": "a"}]')
    assert remedy(name, path).startswith("write one object a line, which is JSON Lines")


def test_a_caption_may_begin_as_an_encrypted_table_does(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text("PARENTS AND A CHILD\thttp://a.example/1.jpg\n")
    source = sources.load("conceptual_captions")
    (chunk,) = source.plan([InputFile(str(path), 1)], source.options())
    assert chunk.form == "tsv"


def test_narratives_without_their_data_set_are_json_lines_already(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"image_id": "1", "annotator_id": 1, "caption": "a"}\n')
    assert remedy("localized_narratives__coco", path).startswith("check `annotations` in the configuration")


def test_a_list_with_a_narrative_a_line_is_no_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    row = '{"dataset_id": "mscoco_val2017", "image_id": "9", "annotator_id": 1, "caption": "a"}'
    for text in (f"[\n\t{row},\n\t{row}\n]\n", f"[{row},\n{row}\n]\n"):
        path.write_text(text)
        assert remedy("localized_narratives__coco", path).startswith("write one object a line, which is JSON Lines")


def test_narratives_that_begin_within_a_row_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    row = '{"dataset_id": "mscoco_val2017", "image_id": "9", "annotator_id": 1, "caption": "a"}'
    path.write_text(f'[{{"x": 0.2}}, {{"x": 0.3}}]]}}\n{row}\n')
    source = sources.load("localized_narratives__coco")
    (chunk,) = source.plan([InputFile(str(path), 1)], source.options(**source.options.profile_values("paper")))
    assert chunk.form == "jsonl"


def test_a_table_of_wit_without_all_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "wit.csv"
    pd.DataFrame([["en"] * 16], columns=COLUMNS[:-1]).to_csv(path, index=False)
    assert refusal("wit", path).problem == "the columns are not known"
    pd.DataFrame([["en"] * 16], columns=COLUMNS[:-1]).to_csv(path, index=False, sep="\t")
    assert remedy("wit", path) == "give all of upstream's columns: a row is known by them"


def test_json_lines_in_the_place_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "region_descriptions.json"
    path.write_text('{"id": 1, "regions": []}\n' * 2)
    assert "jq -s . FILE > NEW" in remedy("visual_genome", path)


@pytest.mark.parametrize(
    "page", ["<Error><Code>AccessDenied</Code></Error>", "<head><title>Sign in</title>", "<!-- x -->"]
)
def test_a_page_without_its_first_line_is_one(tmp_path: Path, page: str) -> None:
    (tmp_path / "annotations.json").write_text(page)
    assert remedy("coco", tmp_path / "annotations.json").startswith("download the file anew")


@pytest.mark.parametrize("name", ["conceptual_captions", "conceptual_12m", "sbu_captions", "url_text"])
@pytest.mark.parametrize("caption", ['A "big" cat', "A cat\n"])
def test_a_tsv_that_pandas_has_quoted(tmp_path: Path, name: str, caption: str) -> None:
    table = pd.DataFrame({"url": ["http://a.example/1.jpg", "http://a.example/2.jpg"], "caption": [caption, "A dog"]})
    path = tmp_path / "pairs.tsv"
    table.to_csv(path, sep="\t", index=False)
    assert remedy(name, path).startswith("write the table as Parquet, JSON Lines or CSV")


@pytest.mark.parametrize("name", ["conceptual_captions", "conceptual_12m", "sbu_captions", "url_text"])
@pytest.mark.parametrize("names", ['"url"\t"caption"\n', "url\tcaption\n"])
def test_a_tsv_of_which_every_field_is_quoted(tmp_path: Path, name: str, names: str) -> None:
    """As R writes tables, and csv writers where they are asked to."""
    path = tmp_path / "pairs.tsv"
    path.write_text(names + '"http://a.example/1.jpg"\t"A cat"\n"http://a.example/2.jpg"\t"A dog"\n')
    assert remedy(name, path).startswith("write the table as Parquet, JSON Lines or CSV")


def test_a_tsv_that_pandas_has_quoted_without_names(tmp_path: Path) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_text('http://a.example/1.jpg\t"A ""big"" cat"\n')
    assert refusal("conceptual_12m", path).problem == "tab-separated text whose fields are quoted"


def test_narratives_of_another_data_set_are_json_lines_already(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"dataset_id": "flickr30k_train", "image_id": "1", "annotator_id": 1, "caption": "a"}\n' * 2)
    assert remedy("localized_narratives__coco", path).startswith("check `annotations` in the configuration")


@pytest.mark.parametrize("name", ["conceptual_captions", "yfcc100m", "coco", "red_caps", "sbu_captions", "wit"])
def test_what_is_packed_twice(tmp_path: Path, name: str) -> None:
    golden, *_ = importlib.import_module(f"tests.sources.test_{name}").write_golden(tmp_path)
    path = tmp_path / "twice.gz"
    path.write_bytes(gzip.compress(gzip.compress(Path(golden).read_bytes())))
    assert remedy(name, path) == "it is gzip within another packing: unpack the outer one, and name what comes out"


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"PK\x07\x08PK\x03\x04", "a zip in several parts is not read"),
        (b"\xff\xff\xff\xff\x70\0\0\0\x10\0\0\0", "the form is not read"),
    ],
)
def test_forms_that_are_known_by_name(tmp_path: Path, start: bytes, says: str) -> None:
    (tmp_path / "a").write_bytes(start + bytes(100))
    assert says in str(refusal("conceptual_12m", tmp_path / "a"))


def test_what_macos_puts_beside_the_only_file_of_an_archive_is_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("GCC-training", "a cat\thttp://a.example/1.jpg\n")
        archive.writestr("__MACOSX/._GCC-training", b"\0\5\x16\7")
        archive.writestr(".DS_Store", b"\0")
    source = sources.load("conceptual_captions")
    chunks = source.plan([InputFile(f"{tmp_path}/a.zip", 1)], source.options(**source.options.profile_values("paper")))
    assert [chunk.member for chunk in chunks] == ["GCC-training"]


def test_json_is_no_form_of_yfcc100m(tmp_path: Path) -> None:
    """So nobody is told to write it as JSON Lines: as facebook/pmd has it, it is that already."""
    path = tmp_path / "yfcc100m_subset.jsonl"
    path.write_text('{"image_url": "http://a.example/1.jpg", "image": null, "texts": ["a cat"], "meta": "{}"}\n')
    assert remedy("yfcc100m", path) == "check `annotations` in the configuration against manifests/yfcc100m.toml"


@pytest.mark.parametrize("name", ["coco", "visual_genome", "yfcc100m", "red_caps", "wit", "localized_narratives__coco"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "run: git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>\n", "download the file anew"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "download the file anew"),
    ],
)
def test_what_stands_in_the_place_of_a_file(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / "captions.jsonl"
    path.write_bytes(content)
    assert remedy(name, path).startswith(says)


@pytest.mark.parametrize("name", ["coco", "visual_genome", "yfcc100m"])
def test_a_parquet_table_is_told_where_none_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"caption": ["a"]}), path)
    error = refusal(name, path)
    assert (error.found, "docs/sources.md" in str(error.remedy)) == ("a Parquet table", True)


@pytest.mark.parametrize("line", ["6985418911\tnature:0.9,tree:0.8", "6985418911\t", "1\t6985418911\t4e2f7a26"])
def test_the_other_files_of_yfcc100m_have_no_captions(tmp_path: Path, line: str) -> None:
    path = tmp_path / "yfcc100m_autotags"
    path.write_text(f"{line}\n" * 3)
    assert "which has no captions: take it out of `annotations`" in remedy("yfcc100m", path)


@pytest.mark.parametrize("sep", [",", "\t"])
def test_yfcc100m_as_pandas_writes_it_with_the_numbers_of_rows(tmp_path: Path, sep: str) -> None:
    path = tmp_path / "yfcc.tsv"
    pd.DataFrame([["1"] * 25], columns=LAYOUTS[25]).to_csv(path, sep=sep)
    assert remedy("yfcc100m", path).endswith(r"to_csv(…, sep='\t', index=False)")


@pytest.mark.parametrize("form", [".jsonl", ".parquet", ".csv"])
def test_a_table_of_photographs_in_another_form_is_told_how_to_be_written(tmp_path: Path, form: str) -> None:
    """As the Hub has YFCC100M: with further columns."""
    path = tmp_path / f"train{form}"
    rows = pd.DataFrame([["1"] * 24], columns=[*LAYOUTS[23], "key"])
    write = {
        ".jsonl": lambda: rows.to_json(path, orient="records", lines=True),
        ".parquet": lambda: rows.to_parquet(path),
        ".csv": lambda: rows.to_csv(path, index=False),
    }
    write[form]()
    assert remedy("yfcc100m", path).endswith(r"to_csv(…, sep='\t', index=False)")
