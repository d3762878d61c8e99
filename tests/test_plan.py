"""`pmd plan`: counted where something is committed, estimated from what was published where not."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from pmd import cli, config, manifests, plan
from tests import tiny_root

NO_FILES = """
root = "{folder}/pmd"
contact = "mailto:tests@example.org"
sample = {sample}
[sources.conceptual_12m]
annotations = ["{folder}/cc12m.tsv"]
[sources.yfcc100m]
annotations = ["{folder}/yfcc100m_dataset.bz2"]
[sources.visual_genome]
annotations = ["{folder}/image_data.json.zip", "{folder}/region_descriptions.json.zip"]
exclude_karpathy = "none"
"""


def _config(folder: Path, sample: int = 1) -> config.Config:
    return config.parse(NO_FILES.format(folder=folder, sample=sample))


def test_with_nothing_there_published_figures_stand_and_say_so(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    orjson.dumps(found)
    by_name = {item["name"]: item for item in found["sources"]}
    assert (by_name["conceptual_12m"]["pairs"], by_name["conceptual_12m"]["basis"]) == (12_423_374, "published")
    assert (by_name["yfcc100m"]["pairs"], by_name["yfcc100m"]["basis"]) == (30_300_000, "Table 2")
    assert (by_name["visual_genome"]["pairs"], by_name["visual_genome"]["images"]) == (5_408_689, 108_077)
    assert found["input_bytes"] == 0
    assert by_name["conceptual_12m"]["missing"] == [
        "conceptual_12m: cc12m.tsv not found; run: pmd manifests fetch conceptual_12m (2.71 GB)"
    ]


def test_the_slowest_host_decides_the_hours(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    host = "multimedia-commons.s3-us-west-2.amazonaws.com"
    assert found["slowest"] == found["hosts"][0]["host"] == host
    assert found["fetch_hours"] == pytest.approx(30_300_000 / 10 / 3600)
    shown = plan.text(found)
    assert f"Slowest: {host}. Fetching takes 841.7 hours or more." in shown
    assert "Assumed:" in shown


def test_disk_is_told_for_both_forms_and_regions_are_kept_original(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    images = found["images"]
    assert found["disk"]["store"]["original"] == images * plan.ORIGINAL_BYTES
    assert found["disk"]["store"]["resized"] == (
        (images - 108_077) * plan.RESIZED_BYTES + 108_077 * plan.ORIGINAL_BYTES
    )
    assert found["samples"] == 12_423_374 + 30_300_000 + 5_408_689
    assert found["shards"] == {"webdataset": 4814, "parquet": 4814}


def test_a_sample_is_a_part_of_it(tmp_path: Path) -> None:
    whole, part = plan.plan(_config(tmp_path)), plan.plan(_config(tmp_path, 1000))
    assert part["pairs"] == pytest.approx(whole["pairs"] / 1000, rel=1e-3)
    assert part["disk"]["total"] == pytest.approx(whole["disk"]["total"] / 1000, rel=1e-3)


def test_a_file_that_is_shorter_than_upstreams_counts_for_less(tmp_path: Path) -> None:
    manifest = manifests.load("conceptual_12m")
    whole = manifest.files[0].bytes
    assert whole is not None
    path = str(tmp_path / "cc12m.tsv")
    assert plan.expected_pairs(manifest, {path: whole}, manifest.upstream_rows) == (12_423_374, "published")
    assert plan.expected_pairs(manifest, {path: whole // 4}, manifest.upstream_rows)[0] == pytest.approx(
        3_105_843, abs=2
    )
    assert plan.expected_pairs(manifest, {path: 100}, manifest.upstream_rows)[0] <= 5
    other = str(tmp_path / "mine.tsv")
    assert plan.expected_pairs(manifest, {other: whole // 4}, manifest.upstream_rows)[0] == pytest.approx(
        3_105_843, abs=2
    )


def test_only_regions_count_for_visual_genome() -> None:
    manifest = manifests.load("visual_genome")
    sizes = {"a/image_data.json.zip": 1_780_854, "a/region_descriptions.json.zip": 127_377_968}
    assert plan.expected_pairs(manifest, sizes, manifest.upstream_rows) == (5_408_689, "published")


def test_a_host_gives_what_its_limits_allow(tmp_path: Path) -> None:
    chosen = _config(tmp_path).fetch
    assert plan.rate_per_s(chosen) == 10.0
    per_host = chosen.per_host.model_copy(update={"requests_per_s": 1000.0})
    assert plan.rate_per_s(chosen.model_copy(update={"per_host": per_host})) == pytest.approx(80.0)


def test_what_is_committed_is_counted(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    curated = plan.plan(chosen)
    assert {item["basis"] for item in curated["sources"]} == {"committed"}
    assert (curated["pairs"], curated["images_basis"]) == (10, "estimated")
    tiny_root.make_images(chosen)
    imaged = plan.plan(chosen)
    assert (imaged["images"], imaged["images_basis"]) == (5, "committed")
    assert {entry["host"]: entry["images"] for entry in imaged["hosts"]} == {
        "one.example": 2,
        "two.example": 1,
        "images.cocodataset.org": 1,
        "cs.stanford.edu": 1,
    }
    tiny_root.fetch(chosen, 0)
    fetched = plan.plan(chosen)
    assert (fetched["hosts"], fetched["fetch_hours"], fetched["slowest"]) == ([], 0.0, None)
    assert fetched["disk"]["there"] > 0


def test_the_command_prints_text_or_json(tmp_path: Path) -> None:
    path = tmp_path / "pmd.toml"
    path.write_text(NO_FILES.format(folder=tmp_path, sample=1), encoding="utf-8")
    runner = CliRunner()
    assert "Slowest:" in runner.invoke(cli.app, ["plan", str(path)]).stdout
    found = orjson.loads(runner.invoke(cli.app, ["plan", str(path), "--json", "--sample", "1/1000"]).stdout)
    assert found["sample"] == 1000
