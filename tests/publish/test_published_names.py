"""No person is named in what is published, but in the text and the URL: names in every field of every source's upstream.

Each field in turn has a name for its value, in a record of its own; where that record is still a pair, the name is in
the ROOT's own `meta`. It is in none of the columns of the list, and in no file of the release that is made of it: card, licences,
Croissant, citation, the build's manifest, what is still there, the page that finds images and its index.

A source's own test module writes such records (`tests/sources/planting.py`). Of a source whose module does not, its golden rows
are taken: each pair that they give comes again with a name in each field of its `meta`, in its id, and in what else it has of
upstream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd import config, manifests, sources
from pmd.publish import folder
from pmd.publish import rules as publish_rules
from pmd.schema import keys
from pmd.sources.contract import Chunk, SourceOptions
from pmd.store import commits, parquet_files, root
from pmd.takedown import decoded
from tests import golden, tiny_root
from tests.publish.test_rules import ASKED_FOR_ALL
from tests.sources.planting import NAME, named, planted

#: Columns of a draft that are upstream's words, beside its text, its URLs and `meta`.
WORDS = ("source_id", "file_name", "licence_evidence")

Read = Callable[[Any, Chunk, SourceOptions], Iterator[pa.RecordBatch]]


def fields_named(rows: Any) -> set[str]:
    """Return the fields whose names are anywhere in some rows."""
    return {*re.findall(rf"{NAME} of (?:\w+\.)*(\w+)", repr(rows))}


def with_names(draft: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a draft once for each of its fields, with a name in it."""
    for said in planted(json.loads(draft["meta"])):
        yield {**draft, "meta": json.dumps(said)}
    for column in WORDS:
        if draft[column] is not None:
            yield {**draft, column: named(column)}


def planting(read: Read, sown: set[str]) -> Read:
    """Return a reader's `read` that gives each pair with names too, and says in `sown` which fields had one."""

    def reading(reader: Any, chunk: Chunk, options: SourceOptions) -> Iterator[pa.RecordBatch]:
        for batch in read(reader, chunk, options):
            yield batch
            for draft in (row for row in batch.to_pylist() if row["reason"] is None):
                rows = [
                    {**changed, "row_digest": keys.digest(repr((number, draft["row_digest"])).encode())}
                    for number, changed in enumerate(with_names(draft))
                ]
                sown.update(fields_named(rows))
                yield pa.RecordBatch.from_pylist(rows, schema=batch.schema)

    return reading


def sow(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, Any], set[str]]:
    """Write a source's files, and see to it that what is read of them has names.

    Returns:
        The files, options, and the fields whose names the ROOT must have: filled while they are read, of golden rows.
    """
    module = golden.module(name)
    if hasattr(module, "write_named"):
        return module.write_named(folder), {}, module.NAMED
    reader, sown = type(sources.load(name)), set[str]()
    monkeypatch.setattr(reader, "read", planting(reader.read, sown))
    return module.write_golden(folder), golden.options(name), sown


def curated(name: str, folder: Path, annotations: list[str], options: dict[str, Any]) -> pa.Table:
    """Curate files for real; return the pairs."""
    path = folder / "pmd.toml"
    chosen = {"karpathy": "none"} if "karpathy" in sources.load(name).options.model_fields else {}
    said = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (chosen | options).items())
    head = f'contact = "mailto:a@b.org"\nprofile = "paper"\nroot = "{folder}/root"\n'
    path.write_text(f"{head}[sources.{name}]\nannotations = {json.dumps(annotations)}\n{said}")
    loaded = config.load(str(path))
    tiny_root.curate(loaded, name)
    where = root.curate_folder(loaded.root, name)
    files = commits.require(where, "").under("pairs")
    return pa.concat_tables([parquet_files.read_table(where, file) for file in files])


@pytest.mark.parametrize("name", sources.names())
def test_no_name_that_upstream_has_is_in_a_list(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    annotations, options, kept = sow(name, tmp_path / "data", monkeypatch)
    pairs = curated(name, tmp_path, annotations, options)
    assert kept <= fields_named(pairs.to_pylist())
    assert kept
    fates = pa.Table.from_pylist(
        [{"pair_id": pair_id, "sha256": bytes(32)} for pair_id in pairs["pair_id"].to_pylist()],
        schema=publish_rules.FATES,
    )
    listed = publish_rules.rows(pairs, fates, manifests.load(name), ASKED_FOR_ALL)
    where = root.publish_folder(f"{tmp_path}/root", name)
    file = parquet_files.put_table(where, "train-part-00000-of-00001", listed)
    rows = pq.read_table(Path(where) / file.name).to_pylist()
    assert len(rows) == len(pairs)
    for row in rows:
        assert re.search("zaphod|beeblebrox", repr(row), re.IGNORECASE) is None, row
    books = {name: commits.Books(len(rows), {})}
    commits.write(where, commits.Commit("publish", (file,), books, "", {commits.EPOCH: 0}, {}))
    chosen = config.load(f"{tmp_path}/pmd.toml")
    tiny_root.make_images(chosen)
    assert folder.write(chosen)
    release = tmp_path / "root/release"
    files = [path for path in release.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {
        "README.md",
        "croissant.json",
        "build.json",
        "find.html",
        "0.js",
        file.name,
    }
    for path in files:
        assert re.search("zaphod|beeblebrox", str(path.relative_to(release)), re.IGNORECASE) is None
        with path.open("rb") as opened:
            for piece in decoded.pieces(opened):
                assert re.search("zaphod|beeblebrox", repr(piece.content), re.IGNORECASE) is None, (path, piece.place)
