"""Visual Genome's regions, by golden rows written in upstream's format (1.0 and 1.2) and by the genuine files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.schema import keys
from pmd.sources.contract import InputFile
from pmd.sources.records import canonical
from pmd.sources.visual_genome import SOURCE
from tests.sources.planting import planted
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

IMAGES = """[
    {"width": 800, "url": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg", "height": 600, "image_id": 1,
     "coco_id": null, "flickr_id": null},
    {"width": 640, "url": "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg", "height": 480, "image_id": 2,
     "coco_id": 77, "flickr_id": 4242},
    {"width": 100, "url": "https://cs.stanford.edu/people/rak248/VG_100K/3.jpg", "height": 50, "image_id": 3,
     "coco_id": null, "flickr_id": 4343},
    {"width": 100, "url": "https://cs.stanford.edu/people/rak248/VG_100K/4.jpg", "height": 50, "image_id": 4,
     "coco_id": null, "flickr_id": null},
    {"url": "https://cs.stanford.edu/people/rak248/VG_100K/6.jpg", "height": 50, "image_id": 6}]"""
#: Release 1.2, with the odd rows: quoted, unicode, white space, empty, "false", the same twice, boxes over the edge.
REGIONS = r"""[
    {"regions": [
        {"region_id": 10, "width": 82, "height": 139, "image_id": 1, "phrase": "the clock is \"green\"", "y": 57, "x": 421},
        {"region_id": 11, "width": 800, "height": 600, "image_id": 1, "phrase": "caf\u00e9 \u6771\u4eac ", "y": 0, "x": 0},
        {"region_id": 12, "width": 10, "height": 10, "image_id": 1, "phrase": "", "y": 1, "x": 1},
        {"region_id": 10, "width": 82, "height": 139, "image_id": 1, "phrase": "the clock is \"green\"", "y": 57, "x": 421}
     ], "id": 1},
    {"regions": [
        {"region_id": 20, "width": 320, "height": 240, "image_id": 2, "phrase": "false", "y": 240, "x": 320}], "id": 2},
    {"regions": [
        {"region_id": 30, "width": 51, "height": 50, "image_id": 3, "phrase": "a pixel over\n", "y": 0, "x": 50},
        {"region_id": 31, "width": 70, "height": 60, "image_id": 3, "phrase": "far over", "y": -5, "x": 50},
        {"region_id": 32, "width": 5, "height": 5, "image_id": 3, "phrase": "outside", "y": 10, "x": 100},
        {"region_id": 33, "width": 0, "height": 5, "image_id": 3, "phrase": "no width", "y": 10, "x": 10},
        {"region_id": 34, "width": 12.5, "height": 5, "image_id": 3, "phrase": "half a pixel", "y": 10, "x": 10}], "id": 3},
    {"regions": [], "id": 4},
    {"regions": [{"region_id": 50, "width": 1, "height": 5, "image_id": 5, "phrase": "lost", "y": 1, "x": 1}], "id": 5},
    {"regions": [{"region_id": 60, "width": 1, "height": 5, "image_id": 6, "phrase": "odd", "y": 1, "x": 1}], "id": 6},
    {"regions": [
        {"region_id": 40, "width": "82", "height": 1, "image_id": 4, "phrase": "a", "y": 57, "x": 421},
        {"region_id": 41, "width": 1, "height": 1, "image_id": 9, "phrase": "a", "y": 1, "x": 1},
        {"region_id": 42, "width": 1, "height": 1, "image_id": 4, "y": 1, "x": 1},
        null], "id": 4},
    {"id": 7},
    "false"]"""


GOLDEN_OPTIONS: dict[str, object] = {}


def write_golden(folder: Path) -> list[str]:
    """Write upstream's files: regions, images."""
    regions, images = folder / "region_descriptions.json", folder / "image_data.json"
    regions.write_text(REGIONS)
    images.write_text(IMAGES)
    return [str(regions), str(images)]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The golden files: regions, images."""
    regions, images = write_golden(tmp_path)
    return Path(regions), Path(images)


def test_a_region_fills_every_column(files: tuple[Path, Path], read_all: ReadAll) -> None:
    region = {"region_id": 20, "width": 320, "height": 240, "image_id": 2, "phrase": "false", "y": 240, "x": 320}
    image = json.loads(IMAGES)[1]
    rows = read_all(SOURCE, *files)
    assert rows[4] == {
        "source_id": "20",
        "row_digest": keys.digest(canonical(region), canonical(image)),
        "image_url": "https://cs.stanford.edu/people/rak248/VG_100K/2.jpg",
        "identity": "coco:77",
        "also": "flickr:4242",
        "file_name": "VG_100K/2.jpg",
        "mirrors": None,
        "width_px": 640,
        "height_px": 480,
        "region": [0.5, 0.5, 0.5, 0.5],
        "text": "false",
        "meta": '{"region_id":20,"width":320,"height":240,"image_id":2,"phrase":"false","y":240,"x":320,'
        '"coco_id":77,"flickr_id":4242,"url":"https://cs.stanford.edu/people/rak248/VG_100K/2.jpg"}',
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": None,
        "reason": None,
        "detail": None,
        "where": f"{files[0]}:[1].regions[0]",
    }


def test_golden_rows(files: tuple[Path, Path], read_all: ReadAll) -> None:
    rows = read_all(SOURCE, *files)
    assert columns(rows, "source_id", "identity", "text", "region", "reason", "detail") == [
        ("10", "visual_genome:1", 'the clock is "green"', [421 / 800, 57 / 600, 82 / 800, 139 / 600], None, None),
        ("11", "visual_genome:1", "café 東京 ", [0, 0, 1, 1], None, None),
        ("12", "visual_genome:1", "", [1 / 800, 1 / 600, 10 / 800, 10 / 600], None, None),
        ("10", "visual_genome:1", 'the clock is "green"', [421 / 800, 57 / 600, 82 / 800, 139 / 600], None, None),
        ("20", "coco:77", "false", [0.5, 0.5, 0.5, 0.5], None, None),
        ("30", "flickr:4343", "a pixel over\n", [0.5, 0, 0.5, 1], None, None),
        (
            "31",
            "flickr:4343",
            "far over",
            [0.5, 0, 0.5, 1],
            None,
            "box 50,-5 70 by 60 in an image of 100 by 50 was clipped to it",
        ),
        (
            "32",
            "flickr:4343",
            "outside",
            None,
            "bad_region",
            "box 100,10 5 by 5 in an image of 100 by 50 is outside of it",
        ),
        ("33", "flickr:4343", "no width", None, "bad_region", "box 10,10 0 by 5 in an image of 100 by 50 is empty"),
        ("34", "flickr:4343", "half a pixel", [0.1, 0.2, 0.125, 0.1], None, None),
        (None, None, None, None, "no_caption", "the image has no regions"),
        ("50", "visual_genome:5", "lost", None, "no_image", "image 5 is not in image_data.json"),
        (None, None, None, None, "malformed_row", "image record: width: missing"),
        (None, None, None, None, "malformed_row", 'width: expected a number, found "82"'),
        (None, None, None, None, "malformed_row", "image_id: the region says 9, the image that it stands in 4"),
        (None, None, None, None, "malformed_row", "phrase: missing"),
        (None, None, None, None, "malformed_row", "region: expected an object, found null"),
        (None, None, None, None, "malformed_row", "regions: missing"),
        (None, None, None, None, "malformed_row", 'image: expected an object, found "false"'),
    ]
    assert rows[0]["row_digest"] == rows[3]["row_digest"]
    assert rows[10]["where"] == f"{files[0]}:[3]"


def test_whole_images(files: tuple[Path, Path], read_all: ReadAll) -> None:
    crops = read_all(SOURCE, *files)
    rows = read_all(SOURCE, *files, regions="whole")
    assert {row["region"] for row in rows} == {None}
    assert [row["source_id"] for row in rows if row["reason"] is None] == [
        row["source_id"] for row in crops if row["reason"] in {None, "bad_region"}
    ]


def test_release_1_0_differs_in_two_keys_only(tmp_path: Path, files: tuple[Path, Path], read_all: ReadAll) -> None:
    newer = read_all(SOURCE, *files)
    files[0].write_text(REGIONS.replace('"region_id"', '"id"').replace('"image_id"', '"image"'))
    older = read_all(SOURCE, *files)
    kept = ("source_id", "identity", "text", "region", "file_name", "reason", "where")
    assert columns(older, *kept) == columns(newer, *kept)
    assert json.loads(older[0]["meta"])["image"] == 1


def test_images_of_release_1_0_that_have_moved_are_where_those_of_1_2_are(tmp_path: Path, read_all: ReadAll) -> None:
    url = "https://cs.stanford.edu/people/jcjohns/visual-genome/VG100/Images/a_street/img_1.jpg"
    region = {"image": 51, "height": 4, "width": 4, "x": 1, "y": 1, "phrase": "a tree", "id": 7}
    image = {"url": url, "height": 9, "width": 9, "coco_id": None, "id": 51, "flickr_id": None}
    for name, document in (("region_descriptions", {"regions": [region], "id": 51}), ("image_data", image)):
        (tmp_path / f"{name}.json").write_text(json.dumps([document]))
    (row,) = read_all(SOURCE, *tmp_path.glob("*.json"))
    assert (row["image_url"], row["identity"], row["reason"]) == (url, "visual_genome:51", None)
    assert row["file_name"] == "VG_100K_2/51.jpg"
    assert row["mirrors"] == [
        "https://cs.stanford.edu/people/rak248/VG_100K_2/51.jpg",
        "https://cs.stanford.edu/people/rak248/VG_100K/51.jpg",
    ]


def test_zips_of_one_file_each(tmp_path: Path, files: tuple[Path, Path], read_all: ReadAll) -> None:
    zips = []
    for path in files:
        zips.append(tmp_path / f"{path.name}.zip")
        with zipfile.ZipFile(zips[-1], "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
    plain, zipped = read_all(SOURCE, *files), read_all(SOURCE, *zips)
    assert zipped[0]["where"] == f"{zips[0]}!/region_descriptions.json:[0].regions[0]"
    assert [row | {"where": ""} for row in zipped] == [row | {"where": ""} for row in plain]


def test_karpathy_images_leave(tmp_path: Path, files: tuple[Path, Path], read_all: ReadAll) -> None:
    split = tmp_path / "dataset_coco.json"
    split.write_text('{"images": [{"cocoid": 77, "split": "val"}, {"cocoid": 1, "split": "train"}], "dataset": "coco"}')
    rows = read_all(SOURCE, *files, profile="recommended", karpathy=str(split))
    left = [row for row in rows if row["reason"] == "evaluation_image"]
    assert columns(left, "source_id", "identity", "detail") == [("20", "coco:77", "Karpathy val")]


def test_each_release_takes_the_image_table_beside_it(tmp_path: Path, files: tuple[Path, Path]) -> None:
    other = tmp_path / "a"
    other.mkdir()
    (other / "image_data.json").write_text(IMAGES)
    options = SOURCE.options(**SOURCE.options.profile_values("paper"))
    paths = [*files, other / "image_data.json"]
    (chunk,) = SOURCE.plan([InputFile(str(path), 1) for path in paths], options)  # type: ignore[arg-type]
    assert chunk.companions == (str(files[1]), str(other / "image_data.json"))


def test_the_image_table_is_needed(files: tuple[Path, Path], read_all: ReadAll) -> None:
    with pytest.raises(InputError) as error:
        read_all(SOURCE, files[0])
    assert str(error.value) == (
        "[sources.visual_genome] annotations: an annotation file that the others need is missing\n"
        "  expected: region_descriptions.json and image_data.json (or their .zip)\n"
        f"  found: {files[0]}\n"
        "  remedy: pmd manifests fetch visual_genome, and name both files in `annotations`"
    )


@pytest.mark.parametrize("content", ["{}", '[{"a": 1}]', "x,y\n"])
def test_a_foreign_file_is_refused(files: tuple[Path, Path], content: str, read_all: ReadAll) -> None:
    files[0].write_text(content)
    with pytest.raises(InputError, match=r"region_descriptions\.json:byte 0: not an annotation file"):
        read_all(SOURCE, *files)


def test_a_truncated_file_is_refused(files: tuple[Path, Path], read_all: ReadAll) -> None:
    files[0].write_text(REGIONS[:1000])
    with pytest.raises(InputError, match=r"region_descriptions\.json:byte \d+"):
        read_all(SOURCE, *files)


@pytest.mark.parametrize("release", ["v1.0", "v1.2"])
def test_genuine_regions_field_for_field(samples: Path, release: str, read_all: ReadAll) -> None:
    folder = samples / "visual_genome" / release
    upstream = json.loads((folder / "region_descriptions.json").read_text())
    images = {image["image_id"]: image for image in json.loads((folder / "image_data.json").read_text())}
    rows = iter(read_all(SOURCE, folder / "region_descriptions.json", folder / "image_data.json"))
    for index, element in enumerate(upstream):
        image = images[element["id"]]
        for number, region in enumerate(element["regions"]):
            row = next(rows)
            assert row["reason"] is None
            assert row["source_id"] == str(region.get("region_id", region.get("id")))
            assert row["text"] == region["phrase"]
            x, y, width, height = row["region"]
            assert (x * image["width"], y * image["height"]) == pytest.approx((region["x"], region["y"]))
            assert (width * image["width"], height * image["height"]) == pytest.approx(
                (region["width"], region["height"])
            )
            assert (row["width_px"], row["height_px"]) == (image["width"], image["height"])
            assert row["image_url"] == image["url"]
            assert row["file_name"] == image["url"].removeprefix("https://cs.stanford.edu/people/rak248/")
            assert row["identity"] == f"visual_genome:{image['image_id']}"
            extra = {"coco_id": None, "flickr_id": None, "url": image["url"]}
            assert json.loads(row["meta"]) == region | extra
            assert row["where"].endswith(f"region_descriptions.json:[{index}].regions[{number}]")
    assert next(rows, None) is None


def test_an_image_that_cannot_be_read_is_one_row(files: tuple[Path, Path], read_all: ReadAll) -> None:
    before = read_all(SOURCE, *files)
    regions = next(path for path in files if path.name.startswith("region"))
    regions.write_bytes(regions.read_bytes().replace(b'"phrase": "false"', b'"phrase": "fa\xffse"'))
    after = read_all(SOURCE, *files)
    (bad,) = [row for row in after if row["reason"] == "bad_encoding"]
    assert bad["where"] == f"{regions}:[1]"
    assert [row for row in after if row is not bad] == [row for row in before if row["source_id"] != "20"]


@pytest.mark.parametrize("none", [None, 0, -1, -1.0, 0.0, "", " ", "None", "null", "NaN", "-1", "0", "0.0"])
def test_an_id_that_is_none_makes_no_two_images_one(tmp_path: Path, read_all: ReadAll, none: Any) -> None:
    regions, images = tmp_path / "region_descriptions.json", tmp_path / "image_data.json"
    images.write_text(
        json.dumps(
            [
                {"image_id": 1, "url": "http://a/1.jpg", "width": 9, "height": 9, "coco_id": none, "flickr_id": none},
                {"image_id": 2, "url": "http://a/2.jpg", "width": 9, "height": 9, "coco_id": none, "flickr_id": 5},
                {"image_id": 3, "url": "http://a/3.jpg", "width": 9, "height": 9, "coco_id": 7, "flickr_id": none},
            ]
        )
    )
    box = {"x": 1, "y": 1, "width": 2, "height": 2, "phrase": "a cat"}
    regions.write_text(json.dumps([{"id": n, "regions": [{"region_id": n, "image_id": n} | box]} for n in (1, 2, 3)]))
    rows = read_all(SOURCE, regions, images)
    assert [(row["identity"], row["also"], row["reason"]) for row in rows] == [
        ("visual_genome:1", None, None),
        ("flickr:5", None, None),
        ("coco:7", None, None),
    ]


def test_ids_that_went_through_pandas_are_ids(tmp_path: Path, read_all: ReadAll) -> None:
    regions, images = tmp_path / "region_descriptions.json", tmp_path / "image_data.json"
    image = {"image_id": 3, "url": "http://a/3.jpg", "width": 9, "height": 9, "coco_id": 7.0, "flickr_id": 5.0}
    images.write_text(json.dumps([image]))
    box = {"x": 1, "y": 1, "width": 2, "height": 2, "phrase": "a cat"}
    regions.write_text(json.dumps([{"id": 3, "regions": [{"region_id": 3, "image_id": 3} | box]}]))
    (row,) = read_all(SOURCE, regions, images)
    assert (row["identity"], row["also"], row["reason"]) == ("coco:7", "flickr:5", None)


def test_numbers_that_pandas_has_made_floats_of(tmp_path: Path, read_all: ReadAll) -> None:
    regions, images = tmp_path / "region_descriptions.json", tmp_path / "image_data.json"
    images.write_text('[{"image_id": 3.0, "url": "http://a/3.jpg", "width": 9.0, "height": 9.0, "coco_id": NaN}]')
    box = {"x": 1.0, "y": 1.0, "width": 2.0, "height": 2.0, "phrase": "a cat"}
    regions.write_text(json.dumps([{"id": 3.0, "regions": [{"region_id": 5.0, "image_id": 3.0} | box]}]))
    (row,) = read_all(SOURCE, regions, images)
    found = (row["source_id"], row["identity"], row["width_px"], row["reason"])
    assert found == ("5", "visual_genome:3", 9, None)


@pytest.mark.parametrize("url", ["", " "])
def test_an_image_without_a_url_is_no_image(tmp_path: Path, read_all: ReadAll, url: str) -> None:
    regions, images = tmp_path / "region_descriptions.json", tmp_path / "image_data.json"
    images.write_text(json.dumps([{"image_id": 3, "url": url, "width": 9, "height": 9}]))
    box = {"x": 1, "y": 1, "width": 2, "height": 2, "phrase": "a cat"}
    regions.write_text(json.dumps([{"id": 3, "regions": [{"region_id": 5, "image_id": 3} | box]}]))
    assert [row["reason"] for row in read_all(SOURCE, regions, images)] == ["no_image"]


@pytest.mark.parametrize("image_id", [0, -1])
def test_an_image_of_no_id_is_nobodys(tmp_path: Path, read_all: ReadAll, image_id: int) -> None:
    regions, images = tmp_path / "region_descriptions.json", tmp_path / "image_data.json"
    images.write_text(json.dumps([{"image_id": image_id, "url": "http://a/1.jpg", "width": 9, "height": 9}]))
    box = {"x": 1, "y": 1, "width": 2, "height": 2, "phrase": "a cat"}
    regions.write_text(json.dumps([{"id": image_id, "regions": [{"region_id": 1, "image_id": image_id} | box]}]))
    assert [(row["identity"], row["reason"]) for row in read_all(SOURCE, regions, images)] == [(None, "no_image")]


@pytest.mark.parametrize(
    "element",
    [
        {"image_id": 1, "objects": [{"x": 1, "names": ["cat"]}], "image_url": "http://a/1.jpg"},
        {"id": 1, "qas": [{"question": "what?", "answer": "a cat"}]},
        {"image_id": 1, "attributes": []},
        {"id": 1, "regions": [{"region_id": 1, "x": 1, "y": 1, "width": 2, "height": 2, "name": "a cat"}]},
        {"phrase": "regions", "url": "http://a/1.jpg"},
    ],
)
def test_its_other_annotation_files_are_refused(files: tuple[Path, Path], read_all: ReadAll, element: Any) -> None:
    files[0].write_text(json.dumps([element, element]))
    with pytest.raises(InputError, match="not an annotation file of this source") as caught:
        read_all(SOURCE, *files)
    assert caught.value.found == f"elements with {', '.join(sorted(element))}"


def test_regions_behind_many_images_without_any_are_found(files: tuple[Path, Path], read_all: ReadAll) -> None:
    filler = [{"id": 1000 + number, "regions": []} for number in range(5000)]
    expected = len(read_all(SOURCE, *files))
    files[0].write_text(json.dumps([*filler, *json.loads(REGIONS)]))
    assert len(read_all(SOURCE, *files)) == len(filler) + expected


#: As `tests/sources/planting.py` says.
NAMED = {"credit"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
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


@pytest.mark.parametrize("count", [1, 2_000])
def test_region_graphs_are_refused_by_name(files: tuple[Path, Path], read_all: ReadAll, count: int) -> None:
    """A glob finds them too, and they have every phrase once more."""
    region = {"region_id": 1, "image_id": 1, "phrase": "a", "x": 1, "y": 1, "width": 5, "height": 5}
    graph = region | {"objects": [], "relationships": [], "synsets": []}
    path = files[0].with_name("region_graphs.json")
    path.write_text(json.dumps([{"image_id": 1, "regions": [graph] * count}]))
    with pytest.raises(InputError, match="one of Visual Genome's other annotation files") as caught:
        read_all(SOURCE, *files, path)
    assert caught.value.where == str(path)
    for phrase in ('the "objects" on it', "objects"):
        path.write_text(json.dumps([{"id": 1, "regions": [region | {"phrase": phrase}] * count}]))
        assert len(read_all(SOURCE, path, files[1])) == count
