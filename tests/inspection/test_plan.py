"""`pmd plan`: counted where something is committed, estimated from what was published where not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipelines import curate, images
from pmd import cli, config, manifests
from pmd.fetch import forecast, hosts, partitions
from pmd.inspection import plan
from pmd.manifests.select import human_bytes
from pmd.store import commits, root
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
        f"conceptual_12m: {tmp_path}/cc12m.tsv not found; run: pmd manifests fetch conceptual_12m (2.71 GB)"
    ]


def test_the_slowest_host_decides_the_hours(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    host = "multimedia-commons.s3-us-west-2.amazonaws.com"
    spacing = hosts.spacing_s(10, lanes=1, lane=0)
    assert found["fetch"]["slowest"] == found["fetch"]["hosts"][0]
    assert (found["fetch"]["slowest"]["host"], found["fetch"]["slowest"]["limit"]) == (host, "requests_per_s")
    assert found["fetch"]["hours"] == pytest.approx(30_300_000 * spacing / 3600)
    shown = " ".join(plan.render(found).split())
    assert "Fetching takes 925.8 hours or more." in shown
    assert f"What decides is {host}: 30,300,000 images, 9.09 a second (requests_per_s), 925.8 hours." in shown
    assert "Assumed:" in shown


def test_where_no_host_holds_them_up_the_lanes_decide(tmp_path: Path) -> None:
    text = (
        f'root = "{tmp_path}/pmd"\ncontact = "mailto:tests@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{tmp_path}/cc12m.tsv"]\n[fetch]\nlanes = 2\nconcurrency = 1000\n'
    )
    found = plan.plan(config.parse(text))
    slowest = found["fetch"]["slowest"]
    assert (slowest["host"], slowest["limit"], slowest["images"]) == (None, "machine", 12_423_374)
    assert found["fetch"]["hours"] == pytest.approx(12_423_374 / (2 * forecast.LANE_IMAGES_PER_S) / 3600, rel=1e-3)
    assert "What decides is no host: the lanes themselves" in " ".join(plan.render(found).split())


def test_sources_of_one_host_group_share_its_pace(tmp_path: Path) -> None:
    text = (
        f'root = "{tmp_path}/pmd"\ncontact = "mailto:tests@example.org"\n'
        f'[sources.sbu_captions]\nannotations = ["{tmp_path}/sbu"]\n'
        f'[sources.red_caps]\nannotations = ["{tmp_path}/red"]\n'
    )
    found = plan.plan(config.parse(text))
    of_source = {item["name"]: item["images"] for item in found["sources"]}
    of_group = {host["host"]: host["images"] for host in found["fetch"]["hosts"]}
    third = of_source["red_caps"] // 3
    assert set(of_group) == {"flickr", "redd.it", "imgur.com"}
    assert of_group["flickr"] == pytest.approx(of_source["sbu_captions"] + third, abs=1)
    assert sum(of_group.values()) == found["images"]


def test_disk_is_told_for_both_forms_and_regions_are_kept_original(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    distinct = found["images"]
    assert found["disk"]["store"]["original"] == distinct * plan.ORIGINAL_BYTES
    assert found["disk"]["store"]["resized"] == (
        (distinct - 108_077) * plan.RESIZED_BYTES + 108_077 * plan.ORIGINAL_BYTES
    )
    shown = " ".join(plan.render(found).split())
    resized, original = (human_bytes(found["disk"]["store"][form]) for form in ("resized", "original"))
    assert f"Store: {resized} resized (chosen), {original} original; 0 B are there." in shown
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


def test_the_rows_of_a_mirror_are_counted(tmp_path: Path) -> None:
    manifest = manifests.load("conceptual_12m")
    path = tmp_path / "0000.parquet"
    pq.write_table(pa.table({"image_url": ["https://x.example/1.jpg"] * 700, "caption": ["one"] * 700}), path)
    sizes = {str(path): path.stat().st_size}
    assert plan.expected_pairs(manifest, sizes, manifest.upstream_rows) == (700, "published")


def test_only_regions_count_for_visual_genome() -> None:
    manifest = manifests.load("visual_genome")
    sizes = {"a/image_data.json.zip": 1_780_854, "a/region_descriptions.json.zip": 127_377_968}
    assert plan.expected_pairs(manifest, sizes, manifest.upstream_rows) == (5_408_689, "published")


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
    assert {host["host"]: host["images"] for host in imaged["fetch"]["hosts"]} == {
        "one.example": 2,
        "two.example": 1,
        "cocodataset.org": 1,
        "stanford.edu": 1,
    }
    grouped = chosen.fetch.model_copy(update={"host_groups": {"examples": ("one.example", "two.example")}})
    together = plan.plan(dataclasses.replace(chosen, fetch=grouped))["fetch"]
    assert together["slowest"]["host"] == "examples"
    assert together["slowest"]["images"] == 3
    tiny_root.fetch(chosen, 0)
    fetched = plan.plan(chosen)["fetch"]
    assert (fetched["hosts"], fetched["hours"], fetched["slowest"]) == ([], 0.0, None)
    assert plan.plan(chosen)["disk"]["there"] > 0


def test_images_are_counted_by_the_group_that_is_asked_for_them_lane_by_lane(tmp_path: Path) -> None:
    urls = [f"http://photos{number % 3}.one.example:8080/{number}.jpg" for number in range(40)]
    urls += [f"HTTPS://somebody@farm{number}.StaticFlickr.com/1/{9000 + number}_abcdef.jpg" for number in range(20)]
    urls += [f"http://münchen.example/{number}.jpg" for number in range(3)]
    (tmp_path / "cc12m.tsv").write_text("".join(f"{url}\ta photograph of a dog\n" for url in urls), encoding="utf-8")
    chosen = config.parse(
        f'root = "{tmp_path}/root"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{tmp_path}/cc12m.tsv"]\n'
        "[fetch]\nlanes = 3\nper_host = { requests_per_s = 4.0, connections = 8 }\n"
    )
    root.create(chosen.root, 3)
    with root.writer(chosen.root, "test"):
        curate.build(chosen, "conceptual_12m")
    with root.writer(chosen.root, "test"):
        images.build(chosen)
    found = plan.plan(chosen)["fetch"]
    assert {host["host"]: host["images"] for host in found["hosts"]} == {
        "one.example": 40,
        "flickr": 20,
        "xn--mnchen-3ya.example": 3,
    }
    of_lane = [0, 0, 0]
    for part in range(2 ** partitions.cut(chosen.root).part_bits):
        for row in partitions.read_images(chosen.root, part).to_pylist():
            of_lane[row["fetch_shard"] % 3] += ".one.example" in row["locations"][0]["url"]
    slowest = max(count * hosts.spacing_s(4, 3, lane) for lane, count in enumerate(of_lane))
    assert found["slowest"]["host"] == "one.example"
    assert found["slowest"]["hours"] * 3600 == pytest.approx(slowest)
    assert found["lanes"] == 3


def test_archives_wait_for_no_host_and_what_is_nowhere_is_told(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    folder = root.images_folder(chosen.root)
    commit = commits.require(folder, "")
    files = []
    for number, file in enumerate(commit.files):
        table = commits.read_table(folder, file)
        places = [
            {"one.example": [], "two.example": [{"kind": "archive", "url": "a.zip!/x.jpg"}]}.get(
                row["locations"][0]["url"].split("/")[2], row["locations"]
            )
            for row in table.to_pylist()
        ]
        field = table.schema.field("locations")
        changed = table.set_column(table.schema.names.index("locations"), field, pa.array(places, field.type))
        files.append(commits.put_table(folder, f"part-{number:05d}-of-{len(commit.files):05d}", changed))
    commits.write(folder, dataclasses.replace(commit, files=tuple(files)))
    found = plan.plan(chosen)
    assert {host["host"]: host["images"] for host in found["fetch"]["hosts"]} == {
        "(archives)": 1,
        "cocodataset.org": 1,
        "stanford.edu": 1,
    }
    assert found["fetch"]["unasked"] == 2
    assert "2 images have no location that can be asked." in plan.render(found)


def test_the_command_prints_text_or_json(tmp_path: Path) -> None:
    path = tmp_path / "pmd.toml"
    path.write_text(NO_FILES.format(folder=tmp_path, sample=1), encoding="utf-8")
    runner = CliRunner()
    assert "What decides is" in runner.invoke(cli.app, ["plan", str(path)]).stdout
    found = orjson.loads(runner.invoke(cli.app, ["plan", str(path), "--json", "--sample", "1/1000"]).stdout)
    assert found["sample"] == 1000
