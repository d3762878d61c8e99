"""Folders of a ROOT open by name in the libraries that people have, by the lines of docs/contract.md."""

from __future__ import annotations

import glob
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

from pmd import manifests
from pmd.publish import rules as publish_rules
from pmd.schema.tables import HASHES, PAIRS, SETTLED_IN
from pmd.store import parquet_files
from tests import tiny_root
from tests.publish.test_rules import ASKED_FOR_ALL, fates_of, pair, pairs_of

SECTION = re.search(
    r"^## Opening folders\n(.*?)^## ",
    (Path(__file__).parents[2] / "docs/contract.md").read_text(),
    re.MULTILINE | re.DOTALL,
)[1]  # type: ignore[index]
#: (library, line) for one table's folder, and for the pairs of all sources.
LINES = [found for found in re.findall(r"^\| (\w+) \| `(.+)` \|$", SECTION, re.MULTILINE) if found[1] != "how"]
OF_FOLDER = [line for line in LINES if "ROOT/publish" in line[1]]
OF_PAIRS = [line for line in LINES if "ROOT/curate/*/pairs" in line[1]]
FOLDERS = [
    "publish",
    "publish/source=coco",
    "curate/source=conceptual_captions/pairs",
    "curate/source=conceptual_captions/rejected",
    "images",
    "views/pairs",
    "views/rejected",
    "fetch/ledger",
    "fetch/attempts",
    "fetch/hashes",
    "fetch/rejected",
    "fetch/availability",
    "dedupe/groups",
    "shards/parquet",
    "shards/rejected",
]

#: Columns by which rows are known.
KEYS = ("pair_id", "image_id", "key", "name")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ROOT with a second generation, and a list of the source that facebook/pmd spells otherwise."""
    chosen = tiny_root.build(tmp_path_factory.mktemp("folders"))
    tiny_root.fetch(chosen, 1, retry=("dead",))
    where = Path(chosen.root)
    listed = publish_rules.rows(pairs_of(pair("a")), fates_of("a"), manifests.load("wit"), ASKED_FOR_ALL)
    parquet_files.put_table(str(where / "publish/source=wit"), "part-00000-of-00001", listed)
    for shard in range(2):
        known = {"image_id": bytes([64 * shard]) * 16, "perceptual_hash": bytes(32), "hashed_form": "original"}
        hashes = pa.Table.from_pylist([known], schema=HASHES)
        parquet_files.put_table(str(where / f"fetch/hashes/shard={shard:05d}"), "generation=0002", hashes)
    return where


def opened(library: str, line: str, where: Path) -> list[dict[str, Any]]:
    """Return the rows that a documented line gives."""
    names: dict[str, Any] = {"pandas": pd, "polars": polars, "pyarrow": pa, "glob": glob}
    if library == "duckdb":
        names["duckdb"] = pytest.importorskip("duckdb")
    found = eval(line.replace("ROOT", str(where)), names)
    if isinstance(found, pd.DataFrame):
        return [{str(name): value for name, value in row.items()} for row in found.to_dict("records")]
    return list(found.to_pylist() if isinstance(found, pa.Table) else found.to_dicts())


def files(where: Path, pattern: str) -> list[dict[str, Any]]:
    """Return the rows of files opened one by one."""
    return [row for path in sorted(where.glob(pattern)) for row in pa.parquet.ParquetFile(path).read().to_pylist()]


def key(row: dict[str, Any]) -> str:
    """Return how a row is known, in every table."""
    return repr(
        [row[name] if isinstance(row[name], str) else bytes(row[name]) for name in KEYS if row.get(name) is not None]
    )


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(("library", "line"), OF_FOLDER)
def test_a_folder_opens_by_name(built: Path, folder: str, library: str, line: str) -> None:
    wanted = files(built / folder, "**/*.parquet")
    found = opened(library, line.replace("publish", folder), built)
    assert wanted
    assert Counter(map(key, found)) == Counter(map(key, wanted))
    assert {*wanted[0]} <= {*found[0]}


@pytest.mark.parametrize("folder", ["dedupe/rejected", "publish", "fetch/ledger", "shards/parquet"])
def test_the_page_names_the_folder(folder: str) -> None:
    assert f"`{folder}`" in SECTION


def test_every_folder_that_is_tried_is_on_the_page() -> None:
    shown = SECTION.replace("source=S", "source=conceptual_captions")
    assert [folder for folder in FOLDERS if f"`{folder}`" not in shown and folder != "publish/source=coco"] == []
    assert Counter(library for library, _ in OF_FOLDER) == {"pandas": 1, "pyarrow": 2, "polars": 2, "duckdb": 1}
    assert {library for library, _ in OF_PAIRS} == {"pandas", "pyarrow", "polars", "duckdb"}


@pytest.mark.parametrize(("library", "line"), OF_PAIRS)
def test_the_pairs_of_all_sources_open_together(built: Path, library: str, line: str) -> None:
    wanted = files(built, "curate/*/pairs/*.parquet")
    found = opened(library, line, built)
    assert Counter((key(row), row["source"]) for row in found) == Counter((key(row), row["source"]) for row in wanted)
    assert {*found[0]} == {*PAIRS.names}


def test_the_whole_of_curate_opens_too(built: Path) -> None:
    wanted = files(built, "curate/*/*/*.parquet")
    found = opened("pandas", 'pandas.read_parquet("ROOT/curate")', built)
    assert Counter(map(key, found)) == Counter(map(key, wanted))
    for told in ("polars.read_parquet('ROOT/curate/**/*.parquet')", "polars.scan_parquet('ROOT/curate').collect()"):
        with pytest.raises(polars.exceptions.PolarsError):
            opened("polars", told, built)


def test_the_whole_of_curate_opens_in_duckdb_by_name_of_columns(built: Path) -> None:
    (line,) = re.findall(r"`(duckdb\.sql\([^`]*union_by_name[^`]*)`", SECTION)
    found = opened("duckdb", line + ".df()", built)
    left = Counter(row["source_id"] for row in found if isinstance(row["reason"], str))
    assert left == Counter(row["source_id"] for row in files(built, "curate/*/rejected/*.parquet"))


#: What `source` says of WIT, by the library's line; the files say google/wit.
@pytest.mark.parametrize(("library", "line"), OF_FOLDER)
def test_a_list_names_its_source_by_the_folder_or_as_the_file_does(built: Path, library: str, line: str) -> None:
    by_glob = library == "polars" and "**" in line
    found = {row["source"] for row in opened(library, line, built)}
    assert found == {"coco", "conceptual_captions", "visual_genome", "google/wit" if by_glob else "wit"}
    assert {row["source"] for row in files(built, "publish/source=wit/*.parquet")} == {"google/wit"}


@pytest.mark.parametrize(("library", "line"), OF_FOLDER)
def test_a_ledger_tells_its_generations_also_where_folders_are_no_columns(built: Path, library: str, line: str) -> None:
    found = opened(library, line.replace("publish", "fetch/ledger"), built)
    assert {int(row[SETTLED_IN]) for row in found} == {0, 1}
    assert all(int(row["generation"]) == row[SETTLED_IN] for row in found if "generation" in row)
