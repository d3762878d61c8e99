"""`pmd plan`: counted where something is committed, estimated from what was published where not."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import re
import shutil
import types
import zipfile
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipelines import curate, images
from pmd import cli, config, manifests, sources
from pmd.fetch.ledger import partitions, state
from pmd.fetch.politeness import forecast, shares
from pmd.inspection import plan, status
from pmd.inspection.plan import assumptions, estimates, expected, published, sampling, sizes
from pmd.inspection.plan.rendering import _time
from pmd.manifests.selecting import human_bytes
from pmd.store import commits, parquet_files, root
from tests import postcards, tiny_root

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


def test_a_source_has_no_more_images_than_records_though_a_record_gives_several_pairs(tmp_path: Path) -> None:
    """Narratives are cut into sentences; of ADE20k nothing else says how many images it has."""
    path = tmp_path / "pmd.toml"
    head = f'root = "{tmp_path}/pmd"\ncontact = "mailto:a@example.org"\n'
    path.write_text(f'{head}[sources.localized_narratives__ADE20k]\nannotations = ["{tmp_path}/gone.jsonl"]\n')
    found = plan.plan(config.load(str(path)))
    (source,) = found["sources"]
    assert source["pairs"] > 2 * source["rows"]
    assert (source["rows"], source["images"], source["ranges"]["images"]) == (22_529, 22_500, [20_000, 23_000])


def test_the_slowest_host_decides_the_hours(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    host = "multimedia-commons.s3-us-west-2.amazonaws.com"
    spacing = shares.spacing_s(10, lanes=1, lane=0)
    assert found["fetch"]["slowest"] == found["fetch"]["hosts"][0]
    assert (found["fetch"]["slowest"]["host"], found["fetch"]["slowest"]["limit"]) == (host, "requests_per_s")
    assert found["fetch"]["hours"] == pytest.approx(30_300_000 * spacing / 3600)
    shown = " ".join(plan.render(found).split())
    assert "Fetching takes ~900 h (720 h to 1,100 h) or more." in shown
    assert f"What decides is {host}: ~30,300,000 images, 9.30 a second (requests_per_s), ~900 h." in shown
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
    assert sum(of_group.values()) == pytest.approx(found["images"], rel=0.005)  # which has three digits


def test_disk_is_told_for_both_forms_and_regions_are_kept_original(tmp_path: Path) -> None:
    found = plan.plan(_config(tmp_path))
    there, disk = found["fetched"], found["disk"]
    assert disk["store"]["original"] == pytest.approx(there * sizes.ORIGINAL_BYTES, rel=0.02)
    regions = 108_077 / found["images"]
    mean = (1 - regions) * sizes.RESIZED_BYTES + regions * sizes.ORIGINAL_BYTES
    assert disk["store"]["resized"] == pytest.approx(there * mean, rel=0.03)
    low, high = disk["ranges"]["resized"]
    assert low <= there * mean / 2 <= there * mean * 2 <= high
    resized, original = (human_bytes(disk["store"][form]) for form in ("resized", "original"))
    lines = plan.render(found).splitlines()
    for form, size in (("resized", resized), ("original", original)):
        (line,) = (line for line in lines if line.startswith(f"store, {form}"))
        assert f"~{size} " in line
        assert line.endswith("guess")
    assert disk["total"] == disk["store"]["resized"] + sum(disk["shards"].values())


def test_a_sample_is_a_part_of_the_images_and_of_no_row(tmp_path: Path) -> None:
    whole, part = plan.plan(_config(tmp_path)), plan.plan(_config(tmp_path, 1000))
    assert (part["rows"], part["pairs"]) == (whole["rows"], whole["pairs"])
    for name in ("taken", "images", "to_fetch", "samples"):
        assert part[name] == pytest.approx(whole[name] / 1000, rel=0.01), name
    assert part["disk"]["total"] == pytest.approx(whole["disk"]["total"] / 1000, rel=0.02)


def test_a_file_that_is_shorter_than_upstreams_counts_for_less(tmp_path: Path) -> None:
    manifest = manifests.load("conceptual_12m")
    whole = manifest.files[0].bytes
    assert whole is not None
    path = str(tmp_path / "cc12m.tsv")
    assert published.pairs(manifest, {path: whole}, manifest.upstream_rows) == (12_423_374, "published")
    assert published.pairs(manifest, {path: whole // 4}, manifest.upstream_rows)[0] == pytest.approx(3_105_843, abs=2)
    assert published.pairs(manifest, {path: 100}, manifest.upstream_rows)[0] <= 5
    other = str(tmp_path / "mine.tsv")
    assert published.pairs(manifest, {other: whole // 4}, manifest.upstream_rows)[0] == pytest.approx(3_105_843, abs=2)


@pytest.mark.parametrize(("rows", "basis"), [(700, "counted"), (50_000, "sampled")])
def test_the_rows_of_a_mirror_are_those_of_its_footer(tmp_path: Path, rows: int, basis: str) -> None:
    urls = [f"https://x.example/{number}.jpg" for number in range(rows)]
    table = pa.table({"image_url": urls, "caption": ["a house by the road"] * rows})
    pq.write_table(table, tmp_path / "0000.parquet", row_group_size=rows // 10)
    text = 'root = "nowhere"\ncontact = "mailto:tests@example.org"\n[sources.conceptual_12m]\n'
    chosen = config.parse(f'{text}annotations = ["{tmp_path}/0000.parquet"]\n')
    (source,) = plan.plan(chosen)["sources"]
    assert (source["rows"], source["pairs"], source["basis"]) == (rows, rows, basis)


def test_pairs_of_ones_own_are_sampled_as_others_are(tmp_path: Path) -> None:
    lines = [f"https://x.example/{number}.jpg,a house by the road" for number in range(300)]
    (tmp_path / "mine.csv").write_text("\n".join(["url,caption", *lines]) + "\n")
    text = 'root = "nowhere"\ncontact = "mailto:tests@example.org"\n[sources.mine]\nreader = "url_text"\n'
    (source,) = plan.plan(config.parse(f'{text}annotations = ["{tmp_path}/mine.csv"]\n'))["sources"]
    assert (source["rows"], source["pairs"], source["images"], source["basis"]) == (300, 300, 300, "counted")
    (source,) = plan.plan(config.parse(f'{text}annotations = ["{tmp_path}/absent.csv"]\n'))["sources"]
    assert (source["rows"], len(source["missing"])) == (0, 1)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "mine.csv not found"),
        (b"", "the file is empty"),
        (b"a,b\n", "found: a, b"),
        (b"PAR1", "damaged"),
        (b"\xff\xfeu\0", "UTF-16"),
    ],
    ids=["missing", "empty", "other columns", "damaged", "UTF-16"],
)
def test_of_pairs_of_ones_own_that_cannot_be_read_nothing_is_known(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / "mine.csv").write_bytes(content)
    found = plan.plan(
        config.parse(
            NO_FILES.format(folder=tmp_path, sample=1)
            + f'[sources.mine]\nreader = "url_text"\nannotations = ["{tmp_path}/mine.csv"]\n'
        )
    )
    (mine,) = [source for source in found["sources"] if source["name"] == "mine"]
    assert (mine["basis"], mine["rows"], mine["pairs"], mine["images"]) == ("unknown", 0, 0, 0)
    assert (bool(mine["missing"]), bool(mine["unreadable"])) == (content is None, content is not None)
    shown = plan.render(found)
    figures = "so that nothing is known of it and no figure has anything of it"
    told = f"mine is not there, {figures}." if content is None else f"mine cannot be read, {figures}:"
    assert told in " ".join(shown.split())
    assert why in shown
    assert ("\n  remedy: " in shown) == (content is not None)
    assert next(line for line in shown.splitlines() if line.startswith("pairs ")).endswith("unknown")


def test_a_source_that_the_paper_does_not_have_has_a_pair_a_record() -> None:
    manifest = manifests.load("yfcc100m")
    assert published.pairs(manifest, None, 100_000_000) == (30_300_000, "Table 2")
    beside = manifest.model_copy(update={"table2": None})
    assert published.pairs(beside, None, 100_000_000) == (100_000_000, "published")
    assert published.sharing(beside) == 100_000_000


def test_of_what_nobody_counted_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postcards.beside_the_others(tmp_path, monkeypatch)
    source = config.SourceConfig("postcards", ("p.tsv",), (), None)
    looked = expected._from_manifest(source, (), ("p.tsv",), None)
    assert (looked.basis, looked.rows, looked.pairs) == (
        expected.UNKNOWN,
        estimates.known(0),
        estimates.known(0),
    )


def test_only_regions_count_for_visual_genome() -> None:
    manifest = manifests.load("visual_genome")
    sizes = {"a/image_data.json.zip": 1_780_854, "a/region_descriptions.json.zip": 127_377_968}
    assert published.pairs(manifest, sizes, manifest.upstream_rows) == (5_408_689, "published")


def test_what_is_committed_is_counted(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    curated = plan.plan(chosen)
    assert {item["basis"] for item in curated["sources"]} == {"committed"}
    assert (curated["pairs"], curated["images"], curated["images_basis"]) == (10, 5, "counted")
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


@pytest.mark.parametrize("adopt", [(), ("out/*.tar",)])
def test_what_is_taken_over_is_said_to_be_counted_as_to_fetch(tmp_path: Path, adopt: tuple[str, ...]) -> None:
    (tmp_path / "cc12m.tsv").write_text("http://one.example/1.jpg\ta dog\n", encoding="utf-8")
    chosen = config.parse(
        f'root = "{tmp_path}/root"\ncontact = "mailto:us@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{tmp_path}/cc12m.tsv"]\n[fetch]\nadopt = {[*adopt]}\n'
    )
    said = [line for line in plan.plan(chosen)["assumptions"] if "`adopt`" in line]
    assert len(said) == len(adopt)


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
        curate.build(chosen, ["conceptual_12m"])
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
    slowest = max(count * shares.spacing_s(4, 3, lane) for lane, count in enumerate(of_lane))
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
        table = parquet_files.read_table(folder, file)
        places = [
            {"one.example": [], "two.example": [{"kind": "archive", "url": "a.zip!/x.jpg"}]}.get(
                row["locations"][0]["url"].split("/")[2], row["locations"]
            )
            for row in table.to_pylist()
        ]
        field = table.schema.field("locations")
        changed = table.set_column(table.schema.names.index("locations"), field, pa.array(places, field.type))
        files.append(parquet_files.put_table(folder, f"part-{number:05d}-of-{len(commit.files):05d}", changed))
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


def _of_captions(folder: Path, path: Path, more: str = "") -> config.Config:
    return config.parse(
        f'root = "{folder}/pmd"\ncontact = "mailto:tests@example.org"\n[sources.coco]\nannotations = ["{path}"]\n'
        f'exclude_karpathy = "none"\n{more}'
    )


def _captions(images: int) -> bytes:
    return orjson.dumps(
        {
            "licenses": [],
            "images": [
                {
                    "id": key,
                    "file_name": f"{key:012}.jpg",
                    "coco_url": f"http://images.cocodataset.org/train2017/{key:012}.jpg",
                }
                for key in range(1, images + 1)
            ],
            "annotations": [
                {"id": number, "image_id": 1 + number % images, "caption": f"a dog of number {number}"}
                for number in range(5 * images)
            ],
        }
    )


def test_unpacked_captions_count_as_many_as_those_in_their_archive(tmp_path: Path) -> None:
    content = _captions(400)
    (tmp_path / "captions_train2017.json").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "annotations_trainval2017.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations/captions_train2017.json", content)
        archive.writestr("annotations/instances_train2017.json", b"[" + b"0, " * 100_000 + b"0]")
    for name in ("captions_train2017.json", "annotations_trainval2017.zip"):
        found = plan.plan(_of_captions(tmp_path, tmp_path / name))
        (source,) = found["sources"]
        assert (source["rows"], source["pairs"], source["images"], source["basis"]) == (2000, 2000, 400, "counted"), (
            name
        )
        assert (found["pairs"], found["images"], found["to_fetch"]) == (2000, 400, 400)
        assert found["ranges"].keys() <= {"fetched", "samples"}


def _adds_up(found: dict[str, Any]) -> None:
    """Check that columns add up to their totals, in JSON and as they are shown."""
    for name in ("rows", "pairs", "taken", "images"):
        shared = found["shared_images"] if name == "images" else 0
        assert found[name] == sum(item[name] for item in found["sources"]) - shared, name
    disk = found["disk"]
    assert disk["total"] == disk["store"][disk["chosen"]] + sum(disk["shards"].values())
    table = plan.render(found).split("\n\n")[1].splitlines()
    assert table[0].split() == ["source", "files", "rows", "pairs", "images", "told", "by"]
    columns = [[int(word.replace(",", "").replace("~", "")) for word in _figures(line)] for line in table[1:]]
    *parts, total = [figures for figures in columns if figures]
    shares = [figures for figures in parts if len(figures) == 1]  # only images are shared
    whole = [figures for figures in parts if len(figures) == 3]
    assert total == [
        *(sum(figures[place] for figures in whole) for place in (0, 1)),
        sum(figures[2] for figures in whole) + sum(figures[0] for figures in shares),
    ]


def _figures(line: str) -> list[str]:
    """Return the counts of a line of the table, without the size of the files."""
    cells = re.split(r" {2,}", line)
    return [cell for cell in cells if re.fullmatch(r"-?~?[0-9,]+", cell)]


def test_columns_add_up_before_in_the_middle_and_after(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    _adds_up(plan.plan(chosen))
    tiny_root.curate(chosen, "coco")
    _adds_up(plan.plan(chosen))
    for name in ("conceptual_captions", "visual_genome"):
        tiny_root.curate(chosen, name)
    _adds_up(plan.plan(chosen))
    tiny_root.make_images(chosen)
    _adds_up(plan.plan(chosen))
    tiny_root.fetch(chosen, 0)
    _adds_up(plan.plan(chosen))
    _adds_up(plan.plan(_config(tmp_path / "nothing")))


def test_before_anything_runs_files_that_were_read_whole_say_what_images_there_will_be(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    before = plan.plan(chosen)
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    after = plan.plan(chosen)
    for name in ("rows", "pairs", "taken", "images", "shared_images", "to_fetch"):
        assert before[name] == after[name], name
    assert [item["images"] for item in before["sources"]] == [item["images"] for item in after["sources"]]
    assert before["shared_images"] == 1  # COCO's photograph, which Conceptual Captions has under its Flickr URL
    assert before["fetch"]["hosts"] == after["fetch"]["hosts"]


def test_after_a_build_what_is_committed_is_planned(tmp_path: Path) -> None:
    chosen = tiny_root.build(tmp_path)
    found = plan.plan(chosen)
    books = status.books(chosen.root)
    assert found["shards"] == {form: entry["shards"] for form, entry in books["shards"].items()}
    assert found["samples"] == books["shards"]["webdataset"]["samples"]
    assert found["disk"]["shards"] == {form: entry["bytes"] for form, entry in books["shards"].items()}
    assert found["disk"]["store"]["resized"] == found["disk"]["there"] == books["fetch"]["store_bytes"]
    assert (found["images"], found["to_fetch"], found["fetched"]) == (5, 0, books["fetch"]["ledger"]["ok"])
    assert found["ranges"] == {}
    assert set(found["basis"].values()) == {"committed"}
    assert "~" not in plan.render(found)
    _adds_up(found)


def test_what_was_lost_is_taken_off_before_shards_are_written(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    before = plan.plan(chosen)
    assert before["basis"]["fetched"] == "guess"
    assert before["ranges"]["fetched"][0] < before["fetched"] < before["ranges"]["fetched"][1]
    tiny_root.fetch(chosen, 0)
    fetched = plan.plan(chosen)
    assert (fetched["fetched"], fetched["to_fetch"]) == (4, 0)  # one of five is gone
    assert "fetched" not in fetched["ranges"]
    tiny_root.commit_rejected(chosen)
    tiny_root.dedupe(chosen)
    merged = plan.plan(chosen)
    tiny_root.shard(chosen)
    built = plan.plan(chosen)
    assert merged["basis"]["samples"] == "committed"
    assert merged["samples"] == built["samples"]
    assert merged["shards"] == built["shards"]


def test_of_a_long_file_the_plan_is_near_to_what_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WINDOW_BYTES", 16 << 10)
    lines = [  # each image twice, in no order
        f"http://{'ab'[number % 3 == 0]}.example/{number % 12_000}.jpg\ta dog of number {number}\n"
        for number in range(24_000)
    ]
    random.Random(6).shuffle(lines)
    (tmp_path / "cc12m.tsv").write_text("".join(lines), encoding="utf-8")
    chosen = config.parse(
        f'root = "{tmp_path}/pmd"\ncontact = "mailto:tests@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{tmp_path}/cc12m.tsv"]\n'
    )
    before = plan.plan(chosen)
    assert before["read_rows"] < 8000
    assert before["sources"][0]["basis"] == "sampled"
    tiny_root.curate(chosen, "conceptual_12m")
    curated = plan.plan(chosen)
    tiny_root.make_images(chosen)
    after = plan.plan(chosen)
    assert (after["rows"], after["pairs"], after["images"], after["ranges"].keys()) == (
        24_000,
        24_000,
        12_000,
        {"fetched", "samples"},
    )
    for planned in (before, curated):
        for name in ("rows", "pairs", "taken", "images", "to_fetch"):
            assert planned[name] == pytest.approx(after[name], rel=0.2), name
            low, high = planned["ranges"].get(name, (after[name], after[name]))
            assert low <= after[name] <= high, name
        for host, other in zip(planned["fetch"]["hosts"], after["fetch"]["hosts"], strict=True):
            assert host["host"] == other["host"]
            assert host["images"] == pytest.approx(other["images"], rel=0.2)
        _adds_up(planned)


def test_in_the_middle_of_a_fetch_what_was_fetched_tells_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "ENOUGH", 2)
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    tiny_root.fetch(chosen, 0)
    whole = plan.plan(chosen)
    latest = max(state.shards(chosen.root), key=lambda shard: state.read_ledger(chosen.root, shard).num_rows)
    gone = state.read_ledger(chosen.root, latest)
    shutil.rmtree(state.shard_folder(chosen.root, "ledger", latest))
    found = plan.plan(chosen)
    ok = sum(row == "ok" for row in gone["status"].to_pylist())
    settled, left = 5 - gone.num_rows, gone.num_rows
    assert found["to_fetch"] == left
    assert found["basis"]["fetched"] == "measured"
    alive = (whole["fetched"] - ok) / settled
    assert found["fetched"] == pytest.approx(whole["fetched"] - ok + left * alive, abs=0.5)
    assert found["disk"]["store"]["resized"] > found["disk"]["there"] > 0
    assert found["basis"]["store"] == "measured"


def test_a_source_that_is_added_to_a_build_is_all_that_is_to_be_fetched(tmp_path: Path) -> None:
    chosen = tiny_root.build(tmp_path)
    path = tmp_path / "cc12m.tsv"
    path.write_text("".join(f"http://three.example/{number}.jpg\ta dog\n" for number in range(7)), encoding="utf-8")
    more = config.SourceConfig("conceptual_12m", (str(path),), (), sources.load("conceptual_12m").options())
    wider = dataclasses.replace(chosen, sources={**chosen.sources, "conceptual_12m": more})
    found = plan.plan(wider)
    assert {item["name"]: item["basis"] for item in found["sources"]} == {
        "coco": "committed",
        "conceptual_12m": "counted",
        "conceptual_captions": "committed",
        "visual_genome": "committed",
    }
    assert (found["images"], found["to_fetch"]) == (12, 7)
    assert [(host["host"], host["images"]) for host in found["fetch"]["hosts"]] == [("three.example", 7)]
    _adds_up(found)


def test_a_source_that_will_be_curated_anew_is_counted_anew(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    path = tmp_path / "data" / "GCC-training.tsv"
    path.write_text(path.read_text(encoding="utf-8") + "one more\thttp://one.example/more.jpg\n", encoding="utf-8")
    found = plan.plan(chosen)
    by_name = {item["name"]: item for item in found["sources"]}
    assert (by_name["conceptual_captions"]["basis"], by_name["coco"]["basis"]) == ("counted", "committed")
    assert by_name["conceptual_captions"]["rows"] == 8
    assert (found["images"], found["images_basis"]) == (6, "counted")


def test_a_file_that_cannot_be_read_is_told_and_what_was_published_stands(tmp_path: Path) -> None:
    path = tmp_path / "captions_train2017.json"
    path.write_bytes(_captions(50)[:-200])
    found = plan.plan(_of_captions(tmp_path, path))
    (source,) = found["sources"]
    assert source["basis"] == "published"
    assert "rows" in source["ranges"]
    shown = plan.render(found)
    assert "coco cannot be read" in shown
    assert f"{path}:byte " in shown
    assert "the JSON document ends too early: the file is truncated" in shown


def test_rows_that_dedupe_or_takedowns_remove_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_text("".join(f"http://a.example/{number}.jpg\ta dog\n" for number in range(9)), encoding="utf-8")
    (tmp_path / "gone.txt").write_text("http://a.example/3.jpg\nhttp://a.example/4.jpg\n", encoding="utf-8")
    chosen = config.parse(
        f'root = "{tmp_path}/pmd"\ncontact = "mailto:tests@example.org"\ntakedown = ["{tmp_path}/gone.txt"]\n'
        f'[sources.conceptual_12m]\nannotations = ["{path}"]\n'
    )
    found = plan.plan(chosen)
    assert (found["pairs"], found["taken"], found["images"]) == (9, 7, 7)
    assert "pairs taken on" in plan.render(found)


@pytest.mark.parametrize("basis", ["committed", "counted", "sampled", "published"])
@pytest.mark.parametrize(("has_ledger", "has_lists"), [(True, False), (False, True), (False, False)])
def test_what_only_the_rows_that_were_not_read_tell_is_said_to_be_at_most(
    basis: str, has_ledger: bool, has_lists: bool
) -> None:
    found: list[Any] = [types.SimpleNamespace(basis=basis), types.SimpleNamespace(basis="counted")]
    written: Any = types.SimpleNamespace(basis="", bytes_basis="")
    nothing = estimates.known(0)
    said = assumptions.guesses(
        found, nothing, nothing, "committed", written, has_ledger=has_ledger, has_lists=has_lists
    )
    is_read = basis in {"committed", "counted"}
    told = [line.split(":")[0] for line in said if "at most" in line]
    assert told == [
        *(["images to fetch are at most so many"] if has_ledger and not is_read else []),
        *(["images are at most so many"] if has_lists and not is_read else []),
    ]


def test_a_picture_that_is_named_by_its_bytes_is_no_image_once_the_ledger_knows_it(tmp_path: Path) -> None:
    chosen = tiny_root.build(tmp_path)
    before = plan.plan(chosen)["images"]
    digest = hashlib.sha256(tiny_root.picture((0, 0, 200), (100, 100))).hexdigest()
    with Path(chosen.takedown[0]).open("a", encoding="utf-8") as file:
        file.write(f"sha256:{digest}\n")
    found = plan.plan(chosen)
    assert found["images"] == before - 1
    assert found["images_basis"] == "counted"


def test_a_takedown_may_name_rows_of_ones_own(tmp_path: Path) -> None:
    rows = [f"r{number},https://x.example/{number}.jpg,a house by the road" for number in range(3)]
    (tmp_path / "mine.csv").write_text("\n".join(["id,url,caption", *rows]) + "\n", encoding="utf-8")
    (tmp_path / "gone.txt").write_text("mine/r1\n", encoding="utf-8")
    chosen = config.parse(
        f'root = "{tmp_path}/pmd"\ncontact = "mailto:tests@example.org"\ntakedown = ["{tmp_path}/gone.txt"]\n'
        f'[sources.mine]\nreader = "url_text"\nannotations = ["{tmp_path}/mine.csv"]\nid_column = "id"\n'
    )
    found = plan.plan(chosen)
    assert (found["pairs"], found["taken"]) == (3, 2)


@pytest.mark.parametrize("build", ["nothing", "tiny"])
def test_a_plan_fits_into_80_columns_and_marks_what_it_does_not_know(tmp_path: Path, build: str) -> None:
    chosen = _config(tmp_path) if build == "nothing" else tiny_root.build(tmp_path)
    shown = plan.render(plan.plan(chosen))
    hints = [line for line in shown.splitlines() if "not found" in line]  # commands stay whole, to be copied
    assert all(len(line) <= 80 for line in shown.splitlines() if line not in hints)
    assert ("~ is estimated. Assumed:" in shown) == (build == "nothing")
    for line in shown.split("\n\n")[2].splitlines()[1:]:
        assert ("~" in line) == bool(re.search(r" to \d", line)), line


@pytest.mark.parametrize(
    ("hours", "shown"), [(925.8, "930 h"), (12_345, "12,000 h"), (1.26, "1.3 h"), (0.5, "30 min"), (0.005, "18 s")]
)
def test_times_have_two_digits(hours: float, shown: str) -> None:
    assert _time(hours) == shown
