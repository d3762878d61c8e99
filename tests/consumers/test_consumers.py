"""One consumer a test: it opens the folder offline, and has every row of it. A package that is not there is skipped by name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pmd.publish.rules import PUBLISHED

#: These warn of themselves.
pytestmark = pytest.mark.filterwarnings("default")

CODE = """
import json, os, sys
folder = sys.argv[1]
"""


def ask(package: str, code: str, folder: Path, tmp_path: Path) -> Any:
    """Run code in a process of its own, which sees no other settings and no network, and return what it prints as JSON."""
    pytest.importorskip(package, reason=f"{package} is not installed: make test-consumers")
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path), "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CODE + code, str(folder)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(published: Path, pattern: str = "source=*/*.parquet") -> int:
    return sum(int(pq.ParquetFile(path).metadata.num_rows) for path in published.glob(pattern))


def test_datasets_has_a_configuration_a_source_and_splits(published: Path, tmp_path: Path) -> None:
    code = """
import datasets
names = datasets.get_dataset_config_names(folder)
rows = {name: {split: len(part) for split, part in datasets.load_dataset(folder, name).items()} for name in names}
stream = next(iter(datasets.load_dataset(folder, "coco", split="train", streaming=True)))
print(json.dumps([rows, list(stream)]))
"""
    found, columns = ask("datasets", code, published, tmp_path)
    sources = {path.name.removeprefix("source=") for path in published.glob("source=*")}
    assert {*found} == {"all", "alive", *sources}
    assert sum(found["all"].values()) == rows_of(published) > 0
    assert sum(found["alive"].values()) == rows_of(published, "source=*/*-part-*") - rows_of(
        published, "source=*/*-nourl-*"
    )
    for name in sources:
        assert sum(found[name].values()) == rows_of(published, f"source={name}/*.parquet")
    assert [name for name in columns if name in PUBLISHED.names] == PUBLISHED.names


def test_mlcroissant_validates_and_loads_records(published: Path, tmp_path: Path) -> None:
    code = """
import itertools, mlcroissant
dataset = mlcroissant.Dataset(jsonld=folder + "/croissant.json")
rows = {records.id: sum(1 for _ in dataset.records(record_set=records.id)) for records in dataset.metadata.record_sets}
first = next(iter(dataset.records(record_set="coco")))
print(json.dumps([rows, list(dataset.metadata.issues.errors), list(dataset.metadata.issues.warnings), str(first["coco/text"])]))
"""
    found, errors, warnings, text = ask("mlcroissant", code, published, tmp_path)
    assert errors == []
    assert [warning for warning in warnings if "datePublished" not in warning] == []  # the configuration gives no date
    for path in published.glob("source=*"):
        assert found[path.name.removeprefix("source=")] == rows_of(published, f"{path.name}/*.parquet")
    assert text


def test_the_hub_reads_the_card(published: Path, tmp_path: Path) -> None:
    code = """
from huggingface_hub import DatasetCard
card = DatasetCard.load(folder + "/README.md")
print(json.dumps([card.data.to_dict(), len(card.text)]))
"""
    data, length = ask("huggingface_hub", code, published, tmp_path)
    assert (data["license"], data["license_name"]) == ("other", "stated-per-row")
    assert (published / data["license_link"]).is_file()
    assert {entry["config_name"] for entry in data["configs"]} >= {"all", "alive", "coco"}
    assert length > 1000


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("pandas", "import pandas\nprint(len(pandas.read_parquet(folder)))"),
        ("pyarrow", "import pyarrow.parquet\nprint(pyarrow.parquet.read_table(folder).num_rows)"),
        ("polars", "import polars\nprint(polars.scan_parquet(folder + '/source=*/*.parquet').collect().height)"),
        ("duckdb", "import duckdb\nprint(duckdb.sql(f\"from '{folder}/source=*/*.parquet'\").df().shape[0])"),
    ],
)
def test_tables_open_by_their_folder(package: str, code: str, published: Path, tmp_path: Path) -> None:
    if package in {"pandas", "pyarrow"}:  # which take every file of a folder for one of the table
        published /= "source=coco"
    assert ask(package, code, published, tmp_path) == rows_of(published, "**/*.parquet")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_checksums_are_those_of_the_files(published: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=published, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- shards: docs/training.md has these lines


def samples_of(built: Path) -> int:
    return rows_of(built, "shards/parquet/*.parquet")


@pytest.mark.parametrize(
    "line",
    [
        'datasets.load_dataset("parquet", data_files=folder + "/shards/parquet/*.parquet", split="train")',
        'datasets.load_dataset(folder + "/shards/parquet", split="train", streaming=True)',
    ],
)
def test_datasets_decodes_every_sample_to_rgb(line: str, built: Path, tmp_path: Path) -> None:
    code = f"""
import datasets
modes = [row["image"].mode for row in {line}]
print(json.dumps([len(modes), sorted(set(modes))]))
"""
    assert ask("datasets", code, built, tmp_path) == [samples_of(built), ["RGB"]]


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_opens_the_tars_with_all_that_samples_say(built: Path, tmp_path: Path, *, streaming: bool) -> None:
    code = f"""
import datasets
rows = list(datasets.load_dataset(folder + "/shards/webdataset", split="train", streaming={streaming}))
pictures = "jpg png webp gif avif tif bmp".split()
modes = {{next(row[name] for name in pictures if row[name] is not None).mode for row in rows}}
regions = sum(row["json"]["region"] is not None for row in rows)
print(json.dumps([len(rows), sorted(modes), regions]))
"""
    regions = pq.read_table(built / "shards/parquet", columns=["region"])["region"]
    expected = [len(regions), ["RGB"], len(regions) - regions.null_count]
    assert ask("datasets", code, built, tmp_path) == expected


def test_datasets_reads_training_samples_alone(built: Path, tmp_path: Path) -> None:
    code = """
import datasets
rows = datasets.load_dataset(
    "parquet", data_files=folder + "/shards/parquet/*.parquet", split="train", filters=[("split", "==", "train")]
)
print(json.dumps([len(rows), sorted(set(rows["split"]))]))
"""
    table = pq.read_table(built / "shards/parquet", columns=["split"])["split"].to_pylist()
    assert "train" in table
    assert ask("datasets", code, built, tmp_path) == [table.count("train"), ["train"]]


def test_webdataset_gives_picture_caption_and_description(built: Path, tmp_path: Path) -> None:
    code = """
import glob, webdataset
tars = sorted(glob.glob(folder + "/shards/webdataset/*.tar"))
rows = webdataset.WebDataset(tars, shardshuffle=False).decode("pilrgb").to_tuple("jpg;png;webp", "txt", "json")
said = {
    (image.mode, image.size == (about["width"], about["height"]), text == about["pairs"][0]["text"], about["image_id"])
    for image, text, about in rows
}
sizes = json.load(open(os.path.dirname(tars[0]) + "/sizes.json"))  # as open_clip does
print(json.dumps([len(said), sorted({each[:3] for each in said}), sum(sizes[os.path.basename(tar)] for tar in tars)]))
"""
    images = len(set(pq.read_table(built / "shards/parquet", columns=["image_id"])["image_id"].to_pylist()))
    assert ask("webdataset", code, built, tmp_path) == [images, [["RGB", True, True]], samples_of(built)]


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("pandas", "import pandas\nprint(len(pandas.read_parquet(folder + '/shards/parquet')))"),
        ("pyarrow", "import pyarrow.dataset\nprint(pyarrow.dataset.dataset(folder + '/shards/parquet').count_rows())"),
        (
            "polars",
            "import polars\nprint(polars.scan_parquet(folder + '/shards/parquet', hidden_file_prefix='_').collect().height)",
        ),
        ("duckdb", "import duckdb\nprint(duckdb.sql(f\"from '{folder}/shards/parquet/*.parquet'\").df().shape[0])"),
    ],
)
def test_shards_open_by_their_folder(package: str, code: str, built: Path, tmp_path: Path) -> None:
    assert ask(package, code, built, tmp_path) == samples_of(built)


def test_every_pair_of_every_sample_joins_a_row_of_a_list(built: Path, tmp_path: Path) -> None:
    code = """
import duckdb
pairs = f"(select key, split as sample_split, unnest(pairs, recursive := true) from '{folder}/shards/parquet/*.parquet') as pairs"
lists = f"(from read_parquet('{folder}/publish/**/*.parquet', hive_partitioning = false)) as lists"
same = "image_id image_licence text_licence attribution".split()
compared = " and ".join(f"pairs.{name} is not distinct from lists.{name}" for name in same)
print(json.dumps(duckdb.sql(f'''
    select (select count(*) from {pairs}), count(*), count(*) filter ({compared} and sample_split = lists.split)
    from {pairs} join {lists} using (pair_id)''').fetchall()[0]))
"""
    every, joined, equal = ask("duckdb", code, built, tmp_path)
    assert every == joined == equal > 0
