"""`pmd build` on genuine upstream rows and photographs, field for field against a direct reading."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
import webdataset

from pmd.demo.web import Answer, DemoWeb, route_of
from pmd.store import commits
from tests.end_to_end import building

FILES = {
    "coco": ("coco/captions_train2017.json", "coco/captions_val2017.json"),
    "visual_genome": ("visual_genome/v1.2/region_descriptions.json", "visual_genome/v1.2/image_data.json"),
    "localized_narratives__coco": ("localized_narratives/coco_val_captions.jsonl",),
    "red_caps": ("redcaps/annotations.zip",),
    "yfcc100m": ("yfcc100m/yfcc100m_dataset_25col.tsv",),
    "sbu_captions": ("sbu/sbu-captions-all.json",),
    "conceptual_captions": (
        "cc3m/Train_GCC-training.tsv",
        "cc3m/Validation_GCC-1.1.0-Validation.head5000.tsv",
    ),
    "conceptual_12m": ("cc12m/cc12m.tsv",),
    "wit": ("wit/tfds_train-00000-of-00009.tsv", "wit/wit_v1.train.all-00000-of-00010.plain-text.tsv.gz"),
}


def normal(text: str) -> str:
    """What a text becomes in every source."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def configuration(root: Path, data: Path, web: DemoWeb, folder: Path) -> str:
    (folder / "ca.pem").write_bytes(web.ca_pem)
    lines = [
        f'root = "{root}"',
        'profile = "paper"',
        'contact = "mailto:test@example.org"',
        "[fetch]",
        "per_host = { requests_per_s = 10000.0, connections = 16 }",
        f'resolve = {{ "*:80" = "{web.address}", "*:443" = "{web.tls_address}" }}',
        'allow_addresses = ["127.0.0.1/32"]',
        f'ca_file = "{folder / "ca.pem"}"',
        "[shard]",
        "samples_per_shard = 50",
    ]
    for source, names in FILES.items():
        lines += [f"[sources.{source}]", f"annotations = {json.dumps([str(data / name) for name in names])}"]
    return "\n".join(lines)


def photographs(data: Path) -> list[Path]:
    """Return the genuine photographs of COCO."""
    return [path for split in ("train2017", "val2017") for path in sorted((data / "coco" / split).iterdir())]


class Built:
    """The finished ROOT and what it was made of."""

    def __init__(self, root: Path, data: Path, web: DemoWeb, text: str) -> None:
        self.root = root
        self.data = data
        self.web = web
        self.text = text


@pytest.fixture(scope="module")
def built(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("real")
    routes = {
        route_of(f"http://images.cocodataset.org/{path.parent.name}/{path.name}"): Answer(body=path.read_bytes())
        for path in photographs(samples)
    }
    with DemoWeb(routes) as web:
        text = configuration(folder / "root", samples, web, folder)
        building.run(building.load(text))
        yield Built(folder / "root", samples, web, text)


def pairs(built: Built, source: str) -> dict[str, dict[str, Any]]:
    return {row["source_id"]: row for row in building.rows(built.root / f"curate/source={source}", "pairs/")}


def rejected(built: Built, source: str) -> list[dict[str, Any]]:
    return building.rows(built.root / f"curate/source={source}", "rejected/")


def coco_files(built: Built) -> list[dict[str, Any]]:
    return [json.loads((built.data / name).read_text()) for name in FILES["coco"]]


def test_coco_captions_are_the_annotation_files(built: Built) -> None:
    expected = {}
    for content in coco_files(built):
        images = {image["id"]: image for image in content["images"]}
        licences = {licence["id"]: licence["url"] for licence in content["licenses"]}
        for annotation in content["annotations"]:
            image = images[annotation["image_id"]]
            expected[str(annotation["id"])] = (
                normal(annotation["caption"]),
                image["coco_url"],
                {**annotation, "image": image},
                licences[image["license"]],
            )
    found = {
        key: (row["text"], row["image_url"], json.loads(row["meta"]), row["licence_evidence"])
        for key, row in pairs(built, "coco").items()
    }
    assert found == expected
    assert rejected(built, "coco") == []


def test_every_coco_photo_is_in_the_shards_once_with_its_captions(built: Built) -> None:
    captions: dict[str, Counter[str]] = {}
    names = {}
    for content in coco_files(built):
        for image in content["images"]:
            names[image["id"]] = image["coco_url"]
        for annotation in content["annotations"]:
            captions.setdefault(names[annotation["image_id"]], Counter())[normal(annotation["caption"])] += 1
    urls = {row["pair_id"].hex(): row["image_url"] for row in pairs(built, "coco").values()}
    tars = sorted((built.root / "shards/webdataset").glob("*.tar"))
    found: dict[str, Counter[str]] = {}
    for sample in webdataset.WebDataset([str(tar) for tar in tars], shardshuffle=False).decode("pil"):
        mine = [pair for pair in sample["json"]["pairs"] if pair["source"] == "coco"]
        (url,) = {urls[pair["pair_id"]] for pair in mine}
        assert url not in found
        found[url] = Counter(pair["text"] for pair in mine)
        assert sample["txt"] == sample["json"]["pairs"][0]["text"]
        assert min(sample["jpg"].size) == 256
    photos = {f"http://images.cocodataset.org/{path.parent.name}/{path.name}" for path in photographs(built.data)}
    assert found == {url: counts for url, counts in captions.items() if url in photos}
    assert len(found) == len(photos & set(captions)) > 100


def test_datasets_returns_the_same_samples(built: Built, tmp_path: Path) -> None:
    from datasets import load_dataset

    files = sorted(str(path) for path in (built.root / "shards/parquet").glob("*.parquet"))
    loaded = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert len(loaded) == sum(json.loads((built.root / "shards/webdataset/sizes.json").read_text()).values())
    first = loaded[0]
    assert min(first["image"].size) == 256
    assert first["text"] == first["pairs"][0]["text"]
    kept = commits.require(str(built.root / "shards/rejected"), "").sources["coco"].kept
    assert sum(len(row["pairs"]) for row in loaded.select_columns(["pairs"])) == kept


def test_visual_genome_regions(built: Built) -> None:
    images = {image["image_id"]: image for image in json.loads((built.data / FILES["visual_genome"][1]).read_text())}
    expected = {}
    for record in json.loads((built.data / FILES["visual_genome"][0]).read_text()):
        for region in record["regions"]:
            image = images[region["image_id"]]
            expected[str(region["region_id"])] = (normal(region["phrase"]), image["url"], region)
    found = pairs(built, "visual_genome")
    lost = {row["source_id"] for row in rejected(built, "visual_genome")}
    assert set(found) | lost == set(expected)
    for key, row in found.items():
        text, url, region = expected[key]
        image = images[region["image_id"]]
        assert (row["text"], row["image_url"]) == (text, url)
        box = [
            region["x"] / image["width"],
            region["y"] / image["height"],
            region["width"] / image["width"],
            region["height"] / image["height"],
        ]
        if region["x"] >= 0 and region["y"] >= 0 and box[0] + box[2] <= 1 and box[1] + box[3] <= 1:
            assert row["region"] == pytest.approx(box)
        meta = json.loads(row["meta"])
        assert {name: meta[name] for name in region} == region


def test_localized_narratives(built: Built) -> None:
    (line,) = (built.data / FILES["localized_narratives__coco"][0]).read_text().splitlines()
    narrative = json.loads(line)
    sentences = [piece.strip() + "." for piece in narrative["caption"].split(".") if piece.strip()]
    found = sorted(pairs(built, "localized_narratives__coco").values(), key=lambda row: row["source_id"])
    assert [row["text"] for row in found] == sentences
    assert {row["identity"] for row in found} == {"coco:381639"}
    assert {json.loads(row["meta"])["original_caption"] for row in found} == {narrative["caption"]}


def test_red_caps(built: Built) -> None:
    expected = {}
    with zipfile.ZipFile(built.data / FILES["red_caps"][0]) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                for row in json.loads(archive.read(name))["annotations"]:
                    expected[row["image_id"]] = (normal(row["caption"]), row["url"], row)
    found = pairs(built, "red_caps")
    assert {key: (row["text"], row["image_url"], json.loads(row["meta"])) for key, row in found.items()} == expected


def test_yfcc(built: Built) -> None:
    lines = (built.data / FILES["yfcc100m"][0]).read_text(encoding="utf-8").split("\n")
    photos = {fields[1]: fields for fields in (line.split("\t") for line in lines if line)}
    found = pairs(built, "yfcc100m")
    lost = {row["source_id"]: row["reason"] for row in rejected(built, "yfcc100m")}
    assert set(found) | set(lost) == set(photos)
    assert not set(found) & set(lost)
    for key, row in found.items():
        fields = photos[key]
        meta = json.loads(row["meta"])
        assert row["image_url"] == fields[16]
        assert [meta[name] for name in ("photoid", "uid", "title", "description")] == [fields[i] for i in (1, 3, 8, 9)]
        assert row["licence_evidence"] == fields[18]
        chosen = meta["_pmd"]["field"]
        raw = unquote_plus(fields[9] if chosen == "description" else fields[8])
        assert len(row["text"].split()) > 2
        if "<" not in raw and "&" not in raw:
            assert row["text"] == normal(raw)
    assert set(lost.values()) <= {"empty_text", "too_few_words", "not_english"}
    for key, reason in lost.items():
        words = [len(unquote_plus(photos[key][i]).split()) for i in (8, 9)]
        assert reason != "empty_text" or max(words) == 0
        assert reason != "too_few_words" or max(words) > 0


def test_sbu(built: Built) -> None:
    content = json.loads((built.data / FILES["sbu_captions"][0]).read_text())
    expected = Counter(zip(content["image_urls"], map(normal, content["captions"]), content["user_ids"], strict=True))
    found = Counter(
        (row["image_url"], row["text"], json.loads(row["meta"])["user_id"])
        for row in pairs(built, "sbu_captions").values()
    )
    assert found == expected


@pytest.mark.parametrize(("source", "url_column"), [("conceptual_captions", 1), ("conceptual_12m", 0)])
def test_conceptual(built: Built, source: str, url_column: int) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for name in FILES[source]:
        for line in (built.data / name).read_bytes().decode().split("\n"):
            if line:
                fields = line.split("\t")
                expected[fields[url_column], normal(fields[1 - url_column])] += 1
    found = Counter((row["image_url"], row["text"]) for row in pairs(built, source).values())
    lost = rejected(built, source)
    assert not found - expected
    assert sum(found.values()) + len(lost) == sum(expected.values())
    assert {row["reason"] for row in lost} <= {"bad_url", "empty_text"}


def test_wit_rows_are_rejected_for_their_language(built: Built) -> None:
    expected = []
    for name in FILES["wit"]:
        with (built.data / name).open(newline="", encoding="utf-8") as file:
            expected += [row["language"] for row in csv.DictReader(file, delimiter="\t")]
    assert "en" not in expected
    lost = rejected(built, "wit")
    assert Counter(row["reason"] for row in lost) == {"language": len(expected)}
    assert all(row["where"] for row in lost)


def test_it_verifies(built: Built) -> None:
    from pmd.inspection import verify

    assert verify.verify(str(built.root))["problems"] == []


def test_what_was_not_served_is_dead(built: Built) -> None:
    reasons = Counter(row["reason"] for row in building.rows(built.root / "fetch/rejected"))
    assert set(reasons) == {"dead"}


def test_a_second_build_does_nothing(built: Built) -> None:
    before = len(built.web.requests)
    steps = building.run(building.load(built.text))
    assert [step for step in steps if step.seconds is not None] == []
    assert len(built.web.requests) == before


def _shuffle(built: Built, folder: Path) -> None:
    """Write the same rows in another order, and cut into other files."""
    chance = random.Random(7)
    for names in FILES.values():
        for name in names:
            source, target = built.data / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name.startswith(("yfcc", "cc3m", "cc12m", "localized")):
                lines = [line for line in source.read_bytes().split(b"\n") if line]
                chance.shuffle(lines)
                target.write_bytes(b"".join(line + b"\n" for line in lines))
            elif name.startswith("wit"):
                with source.open(newline="", encoding="utf-8") as file:
                    header, *table = list(csv.reader(file, delimiter="\t"))
                chance.shuffle(table)
                text = io.StringIO()
                csv.writer(text, delimiter="\t", lineterminator="\n").writerows([header, *table])
                target.write_text(text.getvalue(), encoding="utf-8")
            elif name.startswith("coco"):
                content = json.loads(source.read_text())
                chance.shuffle(content["images"])
                chance.shuffle(content["annotations"])
                target.write_text(json.dumps(content))
            elif name.startswith("visual_genome"):
                content = json.loads(source.read_text())
                chance.shuffle(content)
                target.write_text(json.dumps(content))
            elif name.startswith("sbu"):
                content = json.loads(source.read_text())
                order = list(range(len(content["captions"])))
                chance.shuffle(order)
                target.write_text(json.dumps({key: [values[i] for i in order] for key, values in content.items()}))
            else:
                with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
                    members = old.namelist()
                    chance.shuffle(members)
                    for member in members:
                        new.writestr(member, old.read(member))


def test_shuffled_inputs_give_the_same_bytes(built: Built, tmp_path: Path) -> None:
    _shuffle(built, tmp_path / "data")
    (tmp_path / "root").mkdir()
    shutil.copytree(built.root / "fetch", tmp_path / "root/fetch")
    before = len(built.web.requests)
    building.run(building.load(configuration(tmp_path / "root", tmp_path / "data", built.web, tmp_path)))
    assert len(built.web.requests) == before
    building.assert_same(built.root, tmp_path / "root", fetched_alike=True)
