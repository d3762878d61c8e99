"""The real img2dataset on published lists, by the command that docs/img2dataset.md gives."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pmd.publish import rules as publish_rules
from pmd.store import parquet_files
from tests.fetch.conftest import Web, photo, reply

DOCS = Path(__file__).parents[3] / "docs/img2dataset.md"
PHOTO = photo(320, 240, seed=3)
SHA256 = hashlib.sha256(PHOTO).hexdigest()


def documented() -> list[str]:
    """Return the words of the page's command, given a list itself, which has no column of pairs."""
    (block,) = re.findall(r"```\n(img2dataset --url_list coco\.parquet .*?)\n```", DOCS.read_text(), re.DOTALL)
    words = shlex.split(block.replace("\\\n", " ").replace("coco.parquet", "ROOT/publish/source=coco"))
    at = words.index("--save_additional_columns")
    return words[:at] + words[at + 2 :]


def row(text: str | None, url: str | None, sha256: str | None) -> dict[str, Any]:
    return {"image_url": url, "text": text, "sha256": sha256, "pair_id": "0" * 32, "image_id": "0" * 32}


def lists(folder: Path, web: Web) -> None:
    """Write a list whose rows are good, dead, of other bytes, and without a URL, a hash or either."""
    here = f"http://127.0.0.1:{web.port}"
    web.routes[f"127.0.0.1:{web.port}/good"] = reply(PHOTO)
    web.routes[f"127.0.0.1:{web.port}/changed"] = reply(photo(320, 240, seed=4))
    rows = [
        row("good", f"{here}/good", SHA256),
        row("dead", f"{here}/gone", SHA256),
        row("changed", f"{here}/changed", SHA256),
        row("nowhere", None, SHA256),
        row("unknown", f"{here}/good", None),
        row(None, None, None),
    ]
    plain = pa.schema([field for field in publish_rules.PUBLISHED if field.name != "source"])
    table = pa.Table.from_pylist(rows, schema=plain).append_column("source", pa.array(["coco"] * len(rows)))
    parquet_files.put_table(
        str(folder), "part-00000-of-00001", table.select(publish_rules.PUBLISHED.names).cast(publish_rules.PUBLISHED)
    )


def test_no_shard_fails_for_dead_and_null_urls_and_null_hashes(web: Web, tmp_path: Path) -> None:
    lists(tmp_path / "publish/source=coco", web)
    program, *words = documented()
    done = subprocess.run(
        [Path(sys.executable).parent / program, *(word.replace("ROOT/", f"{tmp_path}/") for word in words)],
        cwd=tmp_path,
        env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "failed with error" not in done.stdout  # what it says of a shard that it gives up
    counted = json.loads((tmp_path / "out/00000_stats.json").read_text())
    assert (counted["count"], counted["successes"], counted["failed_to_download"]) == (6, 1, 5)
    (written,) = (tmp_path / "out").glob("*.parquet")
    assert {said["caption"]: said["error_message"] for said in pq.read_table(written).to_pylist()} == {
        "good": None,
        "dead": "HTTP Error 404: X",
        "changed": "hash mismatch",
        "nowhere": "unknown url type: 'None'",
        "unknown": "hash mismatch",
        None: "unknown url type: 'None'",
    }


def test_all_columns_of_a_list_are_nullable_in_the_file_itself(web: Web, tmp_path: Path) -> None:
    lists(tmp_path, web)
    (path,) = tmp_path.glob("*.parquet")
    parquet = pq.ParquetFile(path)
    assert parquet.schema_arrow.names == publish_rules.PUBLISHED.names
    assert [field.name for field in parquet.schema_arrow if not field.nullable] == []
    assert [
        column.path
        for column in map(parquet.schema.column, range(len(parquet.schema)))
        if not column.max_definition_level
    ] == []
