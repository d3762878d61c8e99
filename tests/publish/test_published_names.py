"""No person is named in what is published, but in the text and the URL: names in every field of every source's upstream.

Each field in turn has a name for its value, in a record of its own; where that record is still a pair, the name is in
the ROOT's own `meta`. It is in none of the columns of the list, and in no file of the release that is made of it: card, licences,
Croissant, citation, the build's manifest, what is still there, the page that finds images and its index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd import config, manifests, sources
from pmd.publish import folder
from pmd.publish import rules as publish_rules
from pmd.sources import wit, yfcc100m
from pmd.store import commits, root
from pmd.takedown import decoded
from tests import tiny_root

NAME = "Zaphod Beeblebrox"
Record = dict[str, Any]


def named(field: str) -> str:
    return f"{NAME} of {field}"


def planted(record: Record, *left: str, above: str = "") -> Iterator[Record]:
    """Yield the record once for each of its fields, which has a name for its value, and once with a field that nobody knows.

    Args:
        record: Upstream's.
        left: Fields that keep their value: the text, the URL, and what the URL is made of.
        above: The field that this record is in.
    """
    for field, value in record.items():
        if isinstance(value, dict):
            yield from ({**record, field: changed} for changed in planted(value, *left, above=f"{above}{field}."))
        elif field not in left:
            yield {**record, field: [named(above + field)] if isinstance(value, list) else named(above + field)}
    yield {**record, "credit": named(f"{above}credit")}


def _coco(folder: Path) -> list[str]:
    image = {
        "id": 1, "file_name": "000000000001.jpg", "coco_url": "http://images.cocodataset.org/train2017/1.jpg", "height": 4,
        "flickr_url": "http://farm1.staticflickr.com/2/3_4_z.jpg", "license": 1, "width": 4, "date_captured": "2013-11-14",
    }  # fmt: skip
    licence = {"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}
    licences = [{**changed, "id": number} for number, changed in enumerate(planted(licence, "id"))]
    images = [*planted(image, "id", "coco_url"), *({**image, "license": licence["id"]} for licence in licences)]
    images = [{**changed, "id": number} for number, changed in enumerate(images, start=1)]  # 0 is no id
    captions = [{"image_id": image["id"], "caption": "a field"} for image in images]
    captions += planted({"image_id": 2, "caption": "a field"}, "caption")
    captions = [{**caption, "id": number} for number, caption in enumerate(captions)]
    upstream = {"info": {"contributor": NAME}, "images": images, "licenses": licences, "annotations": captions}
    (folder / "captions_train2017.json").write_text(json.dumps(upstream))
    sentence = {"tokens": ["a", "field"], "raw": "a field", "imgid": 3, "sentid": 300}
    whole = {
        "filepath": "train2014", "filename": "COCO_train2014_000000000300.jpg", "imgid": 3, "split": "train", "cocoid": 300,
        "sentids": [300],
    }  # fmt: skip
    records = [
        {**changed, "cocoid": 300 + number, "sentences": [{**said, "sentid": 1000 * number + part}]}
        for number, changed in enumerate(planted(whole, "filepath", "filename", "cocoid", "split"))
        for part, said in enumerate(planted(sentence, "raw", "sentid"))
    ]
    (folder / "dataset_coco.json").write_text(json.dumps({"images": records, "dataset": "coco"}))
    return sorted(str(path) for path in folder.glob("*.json"))


def _visual_genome(folder: Path) -> list[str]:
    image = {
        "image_id": 1,
        "url": "https://cs.stanford.edu/VG_100K/1.jpg",
        "width": 9,
        "height": 9,
        "coco_id": 5,
        "flickr_id": 6,
    }
    region = {"region_id": 10, "image_id": 1, "phrase": "all of it", "x": 0, "y": 0, "width": 9, "height": 9}
    images = [{**changed, "image_id": number} for number, changed in enumerate(planted(image, "image_id", "url"))]
    documents = [
        {
            "id": said["image_id"],
            "regions": [
                {**changed, "image_id": said["image_id"], "region_id": 100 * said["image_id"] + number}
                for number, changed in enumerate(planted(region, "phrase", "image_id", "region_id"))
            ],
        }
        for said in images
    ]
    (folder / "image_data.json").write_text(json.dumps(images))
    (folder / "region_descriptions.json").write_text(json.dumps(documents))
    return [str(folder / name) for name in ("image_data.json", "region_descriptions.json")]


def _narratives(folder: Path, dataset: str, image_id: str) -> list[str]:
    record = {
        "dataset_id": f"{dataset}_train", "image_id": image_id, "annotator_id": 89, "caption": "A doll stands.",
        "original_caption": "A doll stands. It is old.", "voice_recording": "open_images_train/rec_1.ogg",
        "timed_caption": [{"utterance": "A doll"}], "traces": [],
    }  # fmt: skip
    # Open Images' URLs are made of the id.
    left = ("caption", "image_id") if dataset == "open_images" else ("caption",)
    path = folder / "x_train_captions.jsonl"
    path.write_text("".join(json.dumps(changed) + "\n" for changed in [record, *planted(record, *left)]))
    return [str(path)]


def _red_caps(folder: Path) -> list[str]:
    record = {
        "image_id": "aa1", "author": "bo", "url": "https://i.redd.it/aa1.jpg", "raw_caption": "My cat", "caption": "my cat",
        "subreddit": "cats", "score": 10, "created_utc": 1514764821, "permalink": "/r/cats/comments/aa1/my_cat/",
        "crosspost_parents": ["aa0"],
    }  # fmt: skip
    path = folder / "cats_2017.json"
    path.write_text(json.dumps({"info": {"author": NAME}, "annotations": [*planted(record, "url", "caption")]}))
    return [str(path)]


def _sbu(folder: Path) -> list[str]:
    lists = {
        "image_urls": ["http://static.flickr.com/1/2_a.jpg"],
        "user_ids": [named("user_id")],
        "captions": ["a chair"],
    }
    path = folder / "sbu-captions-all.json"
    path.write_text(json.dumps(lists))
    return [str(path)]


def _wit(folder: Path) -> list[str]:
    record = dict.fromkeys(wit.COLUMNS, "x") | {
        "language": "en", "image_url": "https://upload.wikimedia.org/1.jpg", "page_url": "https://en.wikipedia.org/wiki/Cat",
        "caption_reference_description": "A cat on a mat", "original_height": "4", "original_width": "4",
        "is_main_image": "true", "attribution_passes_lang_id": "true", "page_changed_recently": "false", "credit": "",
    }  # fmt: skip
    rows = planted(record, "image_url", "caption_reference_description")
    path = folder / "wit_v1.train.all-00000-of-00010.tsv"
    path.write_text("\n".join("\t".join(map(str, row)) for row in [record, *(row.values() for row in rows)]) + "\n")
    return [str(path)]


def _yfcc(folder: Path) -> list[str]:
    values = dict.fromkeys(yfcc100m.LAYOUTS[25], "x") | {
        "line_number": "7", "photoid": "101", "description": "A+black+cat+is+sleeping+on+the+kitchen+table", "marker": "0",
        "downloadurl": "http://farm8.staticflickr.com/7205/101_d.jpg", "dateuploaded": "1331840483",
        "licensename": "Attribution License", "licenseurl": "http://creativecommons.org/licenses/by/2.0/",
    }  # fmt: skip
    rows = [row for row in planted(values, "description", "downloadurl") if "credit" not in row]
    path = folder / "yfcc100m_dataset"
    path.write_text("".join("\t".join(row.values()) + "\n" for row in [values, *rows]))
    return [str(path)]


def _two_columns(folder: Path, line: str) -> list[str]:
    (folder / "x.tsv").write_text(line + "\n")
    return [str(folder / "x.tsv")]


URL = "http://example.org/1.jpg"
#: source → what writes its files, and fields whose names stay in the ROOT's own `meta` or `licence_evidence`.
SOURCES: dict[str, tuple[Any, set[str]]] = {
    "coco": (_coco, {"url", "credit", "file_name", "date_captured", "tokens", "imgid", "sentids"}),
    "visual_genome": (_visual_genome, {"credit"}),
    "localized_narratives__ADE20k": (
        lambda folder: _narratives(folder, "ade20k", "ADE_train_00000001"),
        {"image_id", "original_caption", "credit"},
    ),
    "localized_narratives__coco": (lambda folder: _narratives(folder, "mscoco", "9"), {"original_caption", "credit"}),
    "localized_narratives__flickr30k": (
        lambda folder: _narratives(folder, "Flickr30k", "9"),
        {"original_caption", "credit"},
    ),
    "localized_narratives__openimages": (
        lambda folder: _narratives(folder, "open_images", "000a1249af2bc5f0"),
        {"original_caption", "credit"},
    ),
    "red_caps": (
        _red_caps,
        {
            "image_id",
            "author",
            "raw_caption",
            "subreddit",
            "score",
            "created_utc",
            "permalink",
            "crosspost_parents",
            "credit",
        },
    ),
    "sbu_captions": (_sbu, {"user_id"}),
    "conceptual_captions": (lambda folder: _two_columns(folder, f"a cat\t{URL}"), set()),
    "conceptual_12m": (lambda folder: _two_columns(folder, f"{URL}\ta cat"), set()),
    "wit": (
        _wit,
        {*wit.COLUMNS, "credit"}
        - {"image_url", "caption_reference_description", "language", "original_height", "original_width"}
        - {"is_main_image", "attribution_passes_lang_id", "page_changed_recently"},
    ),
    "yfcc100m": (
        _yfcc,
        {*yfcc100m.LAYOUTS[25]} - {"photoid", "description", "downloadurl", "marker"},
    ),
}


def test_every_source_is_here() -> None:
    assert {*SOURCES} == {*sources.names()}


def curated(name: str, folder: Path, annotations: list[str]) -> pa.Table:
    """Curate files for real; return the pairs."""
    path = folder / "pmd.toml"
    karpathy = 'karpathy = "none"\n' if "karpathy" in sources.load(name).options.model_fields else ""
    head = f'contact = "mailto:a@b.org"\nprofile = "paper"\nroot = "{folder}/root"\n'
    path.write_text(f"{head}[sources.{name}]\nannotations = {json.dumps(annotations)}\n{karpathy}")
    chosen = config.load(str(path))
    tiny_root.curate(chosen, name)
    where = root.curate_folder(chosen.root, name)
    files = commits.require(where, "").under("pairs")
    return pa.concat_tables([commits.read_table(where, file) for file in files])


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_name_that_upstream_has_is_in_a_list(name: str, tmp_path: Path) -> None:
    write, kept = SOURCES[name]
    (tmp_path / "data").mkdir()
    pairs = curated(name, tmp_path, write(tmp_path / "data"))
    found = {field for row in pairs.to_pylist() for field in re.findall(rf"{NAME} of (?:\w+\.)*(\w+)", repr(row))}
    assert kept <= found
    fates = pa.Table.from_pylist(
        [{"pair_id": pair_id, "sha256": bytes(32)} for pair_id in pairs["pair_id"].to_pylist()],
        schema=publish_rules.FATES,
    )
    listed = publish_rules.rows(pairs, fates, manifests.load(name), "text")
    where = root.publish_folder(f"{tmp_path}/root", name)
    file = commits.put_table(where, "train-part-00000-of-00001", listed)
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
