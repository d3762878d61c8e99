"""`pmd sources` and `pmd manifests`; and the closed lists: schema, docs/contract.md and the command line say the same."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pmd import cli, flow, manifests, sources, stages
from pmd.config.reasons import REASONS
from pmd.errors import ConfigError
from pmd.inspection import catalogue
from pmd.schema.exits import EXIT_CODES
from pmd.schema.statuses import STATUSES, TRANSIENT
from tests import postcards

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CONTRACT = (REPOSITORY / "docs" / "contract.md").read_text(encoding="utf-8")

#: As the stages tell them.
DOCUMENTED = {
    name: schema for stage in (*flow.STAGES, flow.REFRESH) for name, schema in stages.recount_of(stage).tables.items()
}


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading of docs/contract.md, without its head."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", CONTRACT, re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/contract.md has no section {heading}"
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def _said() -> dict[str, Any]:
    result = CliRunner().invoke(cli.app, ["sources", "--rules", "--json"])
    assert result.exit_code == 0
    found: dict[str, Any] = orjson.loads(result.stdout)
    return found


@pytest.mark.parametrize(("name", "schema"), DOCUMENTED.items(), ids=list(DOCUMENTED))
def test_the_contract_documents_each_table(name: str, schema: pa.Schema) -> None:
    documented = [row[:3] for row in _rows(name)]
    assert documented == [[field.name, f"`{field.type}`", "yes" if field.nullable else "no"] for field in schema], (
        f"mend docs/contract.md, table {name}"
    )
    assert all(len(row) == 4 and row[3] for row in _rows(name))


def test_every_stage_that_has_tables_tells_them() -> None:
    section = CONTRACT.split("\n## Tables\n")[1].split("\n## ")[0]
    assert {*re.findall(r"^### (.+)$", section, re.MULTILINE)} == {*DOCUMENTED}
    for stage in (*flow.STAGES, flow.REFRESH):
        kind = stages.recount_of(stage)
        assert bool(kind.tables) == ("table" in vars(kind)), stage.name


def test_reasons_are_the_same_in_schema_docs_and_command() -> None:
    listed = [[stage, reason, says] for reason, (stage, says) in REASONS.items()]
    assert _rows("Reasons") == listed
    assert [[row["stage"], row["reason"], row["says"]] for row in _said()["reasons"]] == listed


def test_statuses_are_the_same_in_schema_docs_and_command() -> None:
    assert [row[0] for row in _rows("Statuses")] == _said()["statuses"] == list(STATUSES)
    assert [row[0] for row in _rows("Statuses") if row[-1] == "yes"] == [
        status for status in STATUSES if status in TRANSIENT
    ]


def test_exit_codes_are_the_same_in_schema_docs_and_command() -> None:
    listed = [[str(code), says] for code, says in EXIT_CODES.items()]
    assert _rows("Exit codes") == listed
    assert [[str(row["code"]), row["says"]] for row in _said()["exit_codes"]] == listed


def test_every_rule_has_a_value_in_every_profile_and_an_origin() -> None:
    said = _said()["rules"]
    listed = {(rule["where"], rule["option"]) for rule in said}
    for name in sources.names():
        assert {(name, option) for option in sources.load(name).options.rules()} <= listed
    assert {("curate", "duplicate_rows"), ("dedupe", "same_bytes")} <= listed
    for rule in said:
        assert rule["says"]
        assert rule["origin"]
        assert {"paper", "hub", "recommended"} <= {*rule}


def test_a_value_is_spelled_as_in_a_configuration() -> None:
    assert [catalogue.spell(value) for value in (True, "none", 3, ["en"])] == ["true", '"none"', "3", '["en"]']
    assert "duplicate_rows" in CliRunner().invoke(cli.app, ["sources", "--rules"]).stdout


def test_every_source_is_listed_with_its_needs() -> None:
    listed = {entry["name"]: entry for entry in catalogue.sources()}
    assert list(listed) == list(manifests.load_all())
    assert {*listed} == {*sources.names()}
    assert listed["coco"]["table2"] == "0.9M"
    assert listed["red_caps"]["download"] == "1.06 GB"
    assert listed["yfcc100m"]["needs"].startswith("ask for yfcc100m_dataset.bz2: https://")
    assert "yfcc100m_dataset.sql" in listed["yfcc100m"]["needs"]
    assert listed["localized_narratives__ADE20k"]["needs"].startswith("image archive ADEChallengeData2016.zip")
    assert "ask" in listed["localized_narratives__flickr30k"]["needs"]


def test_what_is_not_known_of_a_source_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postcards.beside_the_others(tmp_path, monkeypatch)
    (entry,) = [entry for entry in catalogue.sources() if entry["name"] == "postcards"]
    assert [entry[name] for name in ("homepage", "upstream_rows", "upstream_rows_are", "table2_row")] == [None] * 4
    assert (entry["table2"], entry["download"], entry["needs"]) == (
        "not in it",
        "unknown",
        "files: where they are is not known",
    )
    (row,) = [
        line
        for line in CliRunner().invoke(cli.app, ["sources"], env={"COLUMNS": "300"}).stdout.splitlines()
        if line.startswith("postcards")
    ]
    assert row.split()[1:5] == ["unknown", "not", "in", "it"]


def test_listing_the_sources_imports_nothing_slow() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from pmd import cli;"
        "assert CliRunner().invoke(cli.app, ['sources']).exit_code == 0;"
        "print([name for name in ('apache_beam', 'pyarrow', 'polars', 'pandas', 'requests', 'numpy') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_files_are_verified_under_the_data_folder(tmp_path: Path) -> None:
    path = tmp_path / "data" / "conceptual_captions" / "GCC-training.tsv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not upstream's")
    found = {entry["name"]: entry for entry in catalogue.verify_files(["conceptual_captions"], tmp_path)}
    entry = found["GCC-training.tsv"]
    assert (entry["source"], entry["state"], entry["bad"]) == ("conceptual_captions", "wrong_size", True)
    assert "pmd manifests fetch conceptual_captions" in entry["says"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == hashlib.sha256(b"not upstream's").hexdigest()


def test_variants_are_asked_for_by_name_or_all_at_once(tmp_path: Path) -> None:
    names = lambda **more: {entry["name"] for entry in catalogue.verify_files(["yfcc100m"], tmp_path, **more)}  # noqa: E731
    assert names() == {"yfcc100m_dataset.bz2"}
    assert names(optional=True) == {"yfcc100m_dataset.bz2", "yfcc100m_dataset.sql"}
    assert names(files=["yfcc100m_dataset.sql"]) == {"yfcc100m_dataset.sql"}


def test_a_gated_file_is_told_and_not_fetched(tmp_path: Path) -> None:
    (entry,) = catalogue.fetch_files(["yfcc100m"], tmp_path)
    assert (entry["state"], entry["bad"]) == ("gated", True)
    assert "put it at" in entry["says"]


def test_no_such_source_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such source: cooc"):
        catalogue.verify_files(["cooc"], tmp_path)


def test_the_commands_hints_can_be_followed(tmp_path: Path) -> None:
    arguments = [
        "manifests",
        "verify",
        "yfcc100m",
        "--file",
        "yfcc100m_dataset.sql",
        "--folder",
        str(tmp_path),
        "--json",
    ]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 3
    (entry,) = orjson.loads(result.stdout)
    command = entry["says"].split("run: pmd ")[1].split(" (")[0]
    assert command.split() == ["manifests", "fetch", "yfcc100m", "--file", "yfcc100m_dataset.sql"]
