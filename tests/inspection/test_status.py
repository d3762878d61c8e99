"""`pmd status`: what the commits say, and whether the books balance."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from pmd import cli, codec, config, flow
from pmd.errors import RootError
from pmd.inspection import status
from pmd.store import lock
from tests import tiny_root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def copy(built: config.Config, tmp_path: Path) -> Path:
    shutil.copytree(built.root, tmp_path / "pmd")
    return tmp_path / "pmd"


def test_the_books_of_every_stage_and_source(built: config.Config) -> None:
    found = status.books(built.root)
    cc3m = found["sources"]["conceptual_captions"]
    assert cc3m == {
        "curate": {"in": 7, "kept": 5, "rejected": {"bad_url": 1, "malformed_row": 1}},
        "images": {"in": 5, "kept": 4, "rejected": {"takedown": 1}},
        "fetch": {"in": 4, "kept": 3, "rejected": {"dead": 1}},
        "dedupe": {"in": 3, "kept": 3, "rejected": {}},
        "shard": {"in": 3, "kept": 3, "rejected": {}},
        "publish": {"in": 3, "kept": 3, "rejected": {}},
    }
    assert found["sources"]["visual_genome"]["shard"] == {"in": 3, "kept": 2, "rejected": {"crop_too_small": 1}}
    totals = found["stages"]["curate"]
    assert (totals["in"], totals["kept"], totals["rejected"]) == (
        13,
        10,
        {"bad_url": 1, "empty_text": 1, "malformed_row": 1},
    )
    assert found["balanced"]
    assert found["missing"] == [{"stage": "audit", "unit": "all", "run": "pmd audit CONFIG"}]


def test_images_are_counted_once_and_not_once_a_source(built: config.Config) -> None:
    fetch = status.books(built.root)["fetch"]
    assert (fetch["images"], fetch["ledger"]) == (5, {"dead": 1, "ok": 4})
    assert fetch["store_bytes"] == sum(path.stat().st_size for path in Path(built.root).rglob("fetch/store/**/*.tar"))


def test_files_and_bytes_are_those_of_the_commits(built: config.Config) -> None:
    found = status.books(built.root)
    files = [path for path in Path(built.root).rglob("*") if path.is_file()]
    listed = [path for path in files if path.name not in {"_stage.json", "root.json"}]
    assert sum(entry["files"] for entry in found["stages"].values()) == len(listed)
    assert sum(entry["bytes"] for entry in found["stages"].values()) == sum(path.stat().st_size for path in listed)
    assert found["shards"]["webdataset"]["samples"] == found["shards"]["parquet"]["samples"] == 4


def test_it_says_the_same_each_time(built: config.Config) -> None:
    assert orjson.dumps(status.books(built.root)) == orjson.dumps(status.books(built.root))


def test_a_later_generation_replaces_what_is_not_ok(tmp_path: Path) -> None:
    chosen = tiny_root.build(tmp_path)
    tiny_root.fetch(chosen, 1, retry=("dead",))
    fetch = status.books(chosen.root)["fetch"]
    assert (fetch["ledger"], fetch["generations"], fetch["shards"]) == ({"ok": 5}, 3, 2)


def test_the_text_is_a_table_and_ends_with_the_balance(built: config.Config) -> None:
    lines = status.render(status.books(built.root)).splitlines()
    assert lines[1].split() == ["source", "in", "curated", "wanted", "fetched", "deduped", "sharded", "published"]
    assert next(line for line in lines if line.startswith("conceptual_captions")).split() == [
        "conceptual_captions",
        *["7", "5", "4", "3", "3", "3", "3"],
    ]
    assert next(line for line in lines if line.startswith("all ")).split() == [
        "all",
        *["13", "10", "9", "8", "8", "7", "8"],
    ]
    assert any(line.split() == ["fetch", "dead", "conceptual_captions", "1"] for line in lines)
    assert lines[-2].startswith("The books balance")
    assert lines[-1] == "Not committed: audit; run: pmd audit CONFIG"


def _edit(folder: Path, source: str, **change: Any) -> None:
    path = folder / "_stage.json"
    content = orjson.loads(path.read_bytes())
    content["sources"][source].update(change)
    content["run"].pop("digest", None)
    path.write_bytes(orjson.dumps(content))


def test_an_imbalance_is_told_by_stage_and_source(copy: Path) -> None:
    _edit(copy / "curate/source=coco", "coco", **{"in": 3, "kept": 3})
    found = status.books(str(copy))
    assert not found["balanced"]
    assert "NOT BALANCED: images of coco: in 2, but curate kept 3; run: pmd build CONFIG" in status.render(found)
    stopped = found | {"takedown": {"waits": True, "begun": True}}
    assert "in 2, but curate kept 3; run: pmd takedown apply CONFIG" in status.render(stopped)
    _edit(copy / "curate/source=coco", "coco", **{"in": 3, "kept": 2})
    assert "NOT BALANCED: curate of coco: in is not kept + rejected" in status.render(status.books(str(copy)))


def test_a_half_built_root_says_what_is_not_there(copy: Path) -> None:
    after = [stage for stage in tiny_root.STAGES if stage in flow.between(flow.FETCH, flow.AUDIT)]
    for stage in after:
        shutil.rmtree(copy / stage.books.top)
    found = status.books(str(copy))
    assert found["balanced"]
    assert [item["stage"] for item in found["missing"]] == [*(stage.name for stage in after), "audit"]
    assert "–" in status.render(found)


def test_a_source_added_later_is_not_yet_among_the_images(copy: Path) -> None:
    shutil.copytree(copy / "curate/source=coco", copy / "curate/source=sbu_captions")
    path = copy / "curate/source=sbu_captions/_stage.json"
    content = orjson.loads(path.read_bytes().replace(b'"coco"', b'"sbu_captions"'))
    content["run"].pop("digest")
    path.write_bytes(orjson.dumps(content))
    found = status.books(str(copy))
    assert found["balanced"]
    assert {"stage": "images", "unit": "sbu_captions", "run": "pmd build CONFIG"} in found["missing"]


def test_pictures_that_other_libraries_made_are_told(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status.books(str(copy))["fetch"]["made_otherwise"] == {"generations": 0, "differs": {}}
    here = codec.libraries()
    monkeypatch.setattr(codec, "libraries", lambda: here | {"Pillow": "99.0"})
    summary = status.books(str(copy))
    made = summary["fetch"]["made_otherwise"]
    assert made["generations"] == summary["fetch"]["generations"] > 0
    assert made["differs"] == {"Pillow": {"there": [here["Pillow"]], "here": "99.0"}}
    assert f"Pillow {here['Pillow']} (here 99.0)" in " ".join(status.render(summary, 200).split())


JOB = lock.Job("fetch", "2026-01-02T03:05:00+00:00", "DataflowRunner", "2026-01-02_03-1")


@pytest.mark.parametrize(
    ("job", "told"),
    [
        (None, []),
        (JOB, ["It is at fetch, on DataflowRunner, job 2026-01-02_03-1, since 2026-01-02T03:05:00+00:00."]),
        (
            dataclasses.replace(JOB, name=None),
            ["It is at fetch, on DataflowRunner, since 2026-01-02T03:05:00+00:00."],
        ),
        (
            lock.Job("curate-coco", JOB.since),
            ["It is at curate-coco, on this machine, since 2026-01-02T03:05:00+00:00."],
        ),
    ],
)
def test_who_writes_now_is_told_and_what_he_is_at(copy: Path, job: lock.Job | None, told: list[str]) -> None:
    with lock.held(str(copy), lock.Holder("one", 7, "2026-01-02T03:04:05+00:00", "pmd build pmd.toml")) as held:
        held.at(job)
        found = status.books(str(copy))
        lines = status.render(found, 300).splitlines()
    assert found["writer"]["runs"]
    assert found["writer"]["job"] == (job and dataclasses.asdict(job))
    start = lines.index("Running: pmd build pmd.toml (process 7 on one, since 2026-01-02T03:04:05+00:00)")
    assert lines[start + 1 : start + 1 + len(told)] == told
    after = status.books(str(copy))
    assert (after["writer"]["runs"], after["writer"]["ended"], after["writer"]["job"]) == (False, True, None)
    assert "Running" not in status.render(after)


def test_a_writer_that_was_killed_is_told_without_what_it_was_at(copy: Path) -> None:
    here = lock.Job("curate-coco", JOB.since)
    left = lock.State(5, lock.Holder("one", 7, "then", "pmd build pmd.toml"), ended=False, job=here)
    (copy / lock.STATE_FILE).write_bytes(left.to_json())
    found = status.books(str(copy))
    assert found["writer"] == {
        "command": "pmd build pmd.toml",
        "host": "one",
        "process": 7,
        "since": "then",
        "epoch": 5,
        "runs": False,
        "ended": False,
        "job": None,
    }
    said = status.render(found, 300)
    assert "Not ended: pmd build pmd.toml (process 7 on one, since then): it was killed." in said


def test_a_job_of_an_engine_that_a_killed_writer_has_left_is_told(copy: Path) -> None:
    left = lock.State(5, lock.Holder("one", 7, "then", "pmd build pmd.toml"), ended=False, job=JOB)
    (copy / lock.STATE_FILE).write_bytes(left.to_json())
    found = status.books(str(copy))
    assert not found["writer"]["runs"]
    assert found["writer"]["job"] == dataclasses.asdict(JOB)
    said = status.render(found, 300)
    assert "Not ended: pmd build pmd.toml (process 7 on one, since then): it was killed." in said
    assert (
        "Its job may still run: fetch, on DataflowRunner, job 2026-01-02_03-1, since 2026-01-02T03:05:00+00:00. "
        "The next command that writes here has it end."
    ) in said
    ended = dataclasses.replace(left, ended=True)
    (copy / lock.STATE_FILE).write_bytes(ended.to_json())
    assert status.books(str(copy))["writer"]["job"] is None


def test_where_nobody_has_written_there_is_no_writer(copy: Path) -> None:
    assert status.books(str(copy))["writer"] is None


@pytest.mark.parametrize(("settled", "share"), [(0, " (0 %)"), (999, " (99 %)"), (1000, "")])
def test_how_far_the_fetch_is_by_what_is_committed(settled: int, share: str) -> None:
    fetch = {
        "images": 1000,
        "ledger": {"ok": settled},
        "hashed": 0,
        "shards": 1,
        "generations": 1,
        "store_bytes": 0,
        "made_otherwise": {"generations": 0, "differs": {}},
    }
    assert f"1,000 wanted, {settled:,} settled{share}. In the ledger: ok {settled:,}." in status._fetch_lines(fetch)[0]


def test_no_line_is_wider_than_the_terminal(copy: Path) -> None:
    with lock.held(
        str(copy), lock.Holder("a-machine-of-ours", 7, "2026-01-02T03:04:05+00:00", "pmd build pmd.toml")
    ) as held:
        held.at(JOB)
        found = status.books(str(copy)) | {"root": "pmd"}
    for width in (40, 80):
        assert max(map(len, status.render(found, width).splitlines())) <= width


def test_no_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no ROOT here"):
        status.books(str(tmp_path))


def test_the_command_prints_text_or_json(built: config.Config) -> None:
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["status", built.root]).stdout
    assert "The books balance" in shown
    assert f"\nFiles in {built.root}\n" in shown
    summary = status.books(built.root)
    summary["fetch"] |= {"generations": 1, "shards": 1}
    assert "Fetched in 1 generation of 1 fetch shard; " in status.render(summary)
    assert orjson.loads(runner.invoke(cli.app, ["status", built.root, "--json"]).stdout)["balanced"] is True


def test_takedowns_that_wait_or_were_stopped_are_told(copy: Path) -> None:
    def told(**writer: object) -> list[str]:
        shown = status.books(str(copy)) | ({"writer": writer} if writer else {})
        return [line for line in status.render(shown).splitlines() if line.startswith("Takedown")]

    assert told() == []
    folder = copy / "takedown"
    folder.mkdir()
    (folder / "requests.jsonl").touch(mode=0)  # whoever may not read it is told too
    waits = "Takedown: requests wait, and what they name is still here; run: pmd takedown apply CONFIG"
    assert (status.books(str(copy))["takedown"], told()) == ({"waits": True, "begun": False}, [waits])
    (folder / "applying.json").touch()
    assert told() == ["Takedown: one did not come to its end; run: pmd takedown apply CONFIG"]
    since = {"command": "pmd takedown apply", "host": "h", "process": 1, "since": "now", "job": None}
    assert told(runs=True, ended=False, **since) == []
    assert told(runs=False, ended=False, **since) == []
