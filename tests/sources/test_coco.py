"""COCO captions, by golden rows written in upstream's format and by the genuine files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.sources.coco import SOURCE, folder_of, licence_of, split_of
from pmd.sources.contract import InputFile
from pmd.sources.records import row_digest
from tests.sources.planting import NAME, planted
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

LICENCES = """[
    {"url": "http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 1, "name": "Attribution-NonCommercial-ShareAlike"},
    {"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"},
    {"url": "http://flickr.com/commons/usage/", "id": 7, "name": "No known copyright restrictions"}]"""
IMAGES = """[
    {"license": 4, "file_name": "000000000007.jpg",
     "coco_url": "http://images.cocodataset.org/train2017/000000000007.jpg", "height": 480, "width": 640,
     "date_captured": "2013-11-14 17:02:52", "flickr_url": "http://farm7.staticflickr.com/6116/70001_da26cf2c9e_z.jpg",
     "id": 7},
    {"license": 7, "file_name": "000000000009.jpg",
     "coco_url": "http://images.cocodataset.org/train2017/000000000009.jpg", "height": 333, "width": 500,
     "date_captured": "2013-11-15 09:00:00", "flickr_url": "http://farm1.staticflickr.com/1/90001_0a_z.jpg", "id": 9},
    {"license": 99, "file_name": "COCO_val2014_000000000011.jpg", "height": 10, "width": 20, "id": 11},
    {"id": 12},
    {"file_name": "000000000013.jpg", "width": "640", "height": 480, "id": 13},
    {"file_name": "nameless.jpg"}]"""
#: Ten rows and the odd ones: quoted, unicode, white space, empty, "false", twice the same, no image, malformed.
ANNOTATIONS = r"""[
    {"image_id": 9, "id": 101, "caption": "A man says \"hello\" to a dog."},
    {"image_id": 7, "id": 102, "caption": "Un café — 東京 \ud83d\ude80\n"},
    {"image_id": 9, "id": 103, "caption": "  two  spaces \t"},
    {"image_id": 7, "id": 104, "caption": ""},
    {"image_id": 7, "id": 105, "caption": "false"},
    {"image_id": 9, "id": 101, "caption": "A man says \"hello\" to a dog."},
    {"image_id": 11, "id": 107, "caption": "An image of 2014 without a URL."},
    {"image_id": 404, "id": 108, "caption": "An image that is not there."},
    {"image_id": 12, "id": 109, "caption": "An image without any name."},
    {"image_id": 7, "id": true, "caption": "No number."},
    {"image_id": 7, "id": 111, "caption": null},
    {"image_id": 7, "id": 112},
    {"image_id": 13, "id": 113, "caption": "A width that is a string."},
    "false"]"""
UPSTREAM = f"""{{"info": {{"year": 2017}}, "licenses": {LICENCES}, "images": {IMAGES}, "annotations": {ANNOTATIONS}}}"""
#: The same document with its keys in another order.
REVERSED = f"""{{"annotations": {ANNOTATIONS}, "images": {IMAGES}, "licenses": {LICENCES}, "info": {{"year": 2017}}}}"""
KARPATHY = r"""{"images": [
    {"filepath": "val2014", "sentids": [501, 502], "filename": "COCO_val2014_000000000007.jpg", "imgid": 0,
     "split": "test", "sentences": [
        {"tokens": ["a", "cat"], "raw": "A cat.", "imgid": 0, "sentid": 501},
        {"tokens": [], "raw": " \"caf\u00e9\"\n", "imgid": 0, "sentid": 502}], "cocoid": 7},
    {"filepath": "train2014", "sentids": [503], "filename": "COCO_train2014_000000000009.jpg", "imgid": 1,
     "split": "restval", "sentences": [{"tokens": ["false"], "raw": "false", "imgid": 1, "sentid": 503}], "cocoid": 9},
    {"filepath": "train2014", "sentids": [], "filename": "COCO_train2014_000000000010.jpg", "imgid": 2,
     "split": "train", "sentences": [], "cocoid": 10},
    {"filepath": "val2014", "sentids": [504, 505], "filename": "COCO_val2014_000000000011.jpg", "imgid": 3,
     "split": "val", "sentences": [{"tokens": [], "raw": "", "imgid": 3, "sentid": 504},
                                   {"tokens": [], "imgid": 3, "sentid": 505}], "cocoid": 11}
    ], "dataset": "coco"}"""


GOLDEN_OPTIONS: dict[str, object] = {}


def write_golden(folder: Path) -> list[str]:
    """Write upstream's file."""
    path = folder / "captions_train2017.json"
    path.write_text(UPSTREAM)
    return [str(path)]


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """The golden annotation file."""
    return Path(*write_golden(tmp_path))


@pytest.fixture
def karpathy_file(tmp_path: Path) -> Path:
    """A small dataset_coco.json: image 7 is held out as test, image 11 as val."""
    path = tmp_path / "dataset_coco.json"
    path.write_text(KARPATHY)
    return path


def test_a_caption_fills_every_column(captions: Path, read_all: ReadAll) -> None:
    image = {
        "license": 4,
        "file_name": "000000000007.jpg",
        "coco_url": "http://images.cocodataset.org/train2017/000000000007.jpg",
        "height": 480,
        "width": 640,
        "date_captured": "2013-11-14 17:02:52",
        "flickr_url": "http://farm7.staticflickr.com/6116/70001_da26cf2c9e_z.jpg",
        "id": 7,
    }
    annotation = {"image_id": 7, "id": 102, "caption": "Un café — 東京 🚀\n"}
    row = read_all(SOURCE, captions)[1]
    assert row == {
        "source_id": "102",
        "row_digest": row_digest(annotation, image),
        "image_url": "http://images.cocodataset.org/train2017/000000000007.jpg",
        "identity": "coco:7",
        "also": "flickr:70001",
        "file_name": "train2017/000000000007.jpg",
        "mirrors": None,
        "width_px": 640,
        "height_px": 480,
        "region": None,
        "text": "Un café — 東京 🚀\n",
        "meta": json.dumps({**annotation, "image": image}, ensure_ascii=False, separators=(",", ":")),
        "text_licence": "CC-BY-4.0",
        "image_licence": "CC-BY-2.0",
        "licence_evidence": "http://creativecommons.org/licenses/by/2.0/",
        "split": "train",
        "reason": None,
        "detail": None,
        "where": f"{captions}:annotations[1]",
    }


def test_golden_rows(captions: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, captions)
    assert columns(rows, "source_id", "identity", "text", "reason", "detail") == [
        ("101", "coco:9", 'A man says "hello" to a dog.', None, None),
        ("102", "coco:7", "Un café — 東京 🚀\n", None, None),
        ("103", "coco:9", "  two  spaces \t", None, None),
        ("104", "coco:7", "", None, None),
        ("105", "coco:7", "false", None, None),
        ("101", "coco:9", 'A man says "hello" to a dog.', None, None),
        ("107", "coco:11", "An image of 2014 without a URL.", None, None),
        ("108", "coco:404", "An image that is not there.", "no_image", "image_id 404 is not in `images`"),
        ("109", "coco:12", "An image without any name.", "no_image", "the image has neither coco_url nor file_name"),
        (None, None, None, "malformed_row", "id: expected a whole number, found true"),
        (None, None, None, "malformed_row", "caption: expected a string, found null"),
        (None, None, None, "malformed_row", "caption: missing"),
        (None, None, None, "malformed_row", 'width: expected a whole number, found "640"'),
        (None, None, None, "malformed_row", 'annotation: expected an object, found "false"'),
    ]
    assert rows[0]["row_digest"] == rows[5]["row_digest"]
    assert len({row["row_digest"] for row in rows}) == len(rows) - 1
    assert columns(rows[:1] + rows[6:7], "file_name", "image_url", "image_licence", "licence_evidence", "split") == [
        (
            "train2017/000000000009.jpg",
            "http://images.cocodataset.org/train2017/000000000009.jpg",
            "NOASSERTION",
            "http://flickr.com/commons/usage/",
            "train",
        ),
        (
            "val2014/COCO_val2014_000000000011.jpg",
            "http://images.cocodataset.org/val2014/COCO_val2014_000000000011.jpg",
            "NOASSERTION",
            None,
            "validation",
        ),
    ]


def test_order_of_keys_changes_nothing(captions: Path, tmp_path: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, captions)
    captions.write_text(REVERSED)
    assert read_all(SOURCE, captions) == rows


def test_a_file_need_not_have_licences(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "captions_train2017.json"
    path.write_text(f'{{"images": {IMAGES}, "annotations": {ANNOTATIONS}}}')
    rows = read_all(SOURCE, path)
    assert {row["image_licence"] for row in rows if row["reason"] is None} == {"NOASSERTION"}
    path.write_text(f'{{"licenses": 5, "images": {IMAGES}, "annotations": {ANNOTATIONS}}}')
    with pytest.raises(InputError, match="no list at 'licenses'"):
        read_all(SOURCE, path)


def test_captions_in_upstreams_zip(captions: Path, tmp_path: Path, read_all: ReadAll) -> None:
    archive = tmp_path / "annotations_trainval2017.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("annotations/instances_train2017.json", '{"annotations": []}')
        file.writestr("annotations/captions_train2017.json", UPSTREAM)
    plain, zipped = read_all(SOURCE, captions), read_all(SOURCE, archive)
    assert zipped[0].pop("where") == f"{archive}!/annotations/captions_train2017.json:annotations[0]"
    assert plain[0].pop("where")
    assert zipped[0] == plain[0]
    assert len(zipped) == len(plain)
    assert read_all(SOURCE, f"{archive}!/annotations/captions_train2017.json") == [
        zipped[0] | {"where": f"{archive}!/annotations/captions_train2017.json:annotations[0]"},
        *zipped[1:],
    ]


def test_karpathy_images_leave(captions: Path, karpathy_file: Path, read_all: ReadAll) -> None:
    kept = read_all(SOURCE, captions)
    rows = read_all(SOURCE, captions, profile="recommended", karpathy=str(karpathy_file))
    left = [row["source_id"] for row in rows if row["reason"] == "evaluation_image"]
    assert left == ["102", "104", "105", "107"]
    assert {row["detail"] for row in rows if row["source_id"] in {"102", "104", "105"}} == {"Karpathy test"}
    assert rows[6]["detail"] == "Karpathy val"
    assert [row for row in rows if row["reason"] != "evaluation_image"] == [
        row for row in kept if row["source_id"] not in left
    ]


def test_without_karpathys_file_every_image_stays(captions: Path, read_all: ReadAll) -> None:
    assert read_all(SOURCE, captions, profile="recommended") == read_all(SOURCE, captions, profile="paper")


def test_plan_names_karpathys_file_as_companion(captions: Path, karpathy_file: Path) -> None:
    options = SOURCE.options.model_validate({"karpathy": str(karpathy_file), "exclude_karpathy": "val_and_test"})
    (chunk,) = SOURCE.plan([InputFile(str(captions), 1)], options)  # type: ignore[arg-type]
    assert (chunk.form, chunk.companions) == ("captions", (str(karpathy_file),))


def test_captions_as_karpathy_has_them(karpathy_file: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, karpathy_file)
    assert columns(rows, "source_id", "text", "identity", "split", "reason", "detail") == [
        ("501", "A cat.", "coco:7", "test", None, None),
        ("502", ' "café"\n', "coco:7", "test", None, None),
        ("503", "false", "coco:9", "train", None, None),
        (None, None, "coco:10", "train", "no_caption", "the image has no sentences"),
        ("504", "", "coco:11", "validation", None, None),
        (None, None, None, None, "malformed_row", "raw: missing"),
    ]
    assert rows[0]["image_url"] == "http://images.cocodataset.org/val2014/COCO_val2014_000000000007.jpg"
    assert rows[0]["file_name"] == "val2014/COCO_val2014_000000000007.jpg"
    assert rows[1]["where"] == f"{karpathy_file}:images[0].sentences[1]"
    assert json.loads(rows[0]["meta"]) == {
        "tokens": ["a", "cat"],
        "raw": "A cat.",
        "imgid": 0,
        "sentid": 501,
        "image": {
            "filepath": "val2014",
            "sentids": [501, 502],
            "filename": "COCO_val2014_000000000007.jpg",
            "imgid": 0,
            "split": "test",
            "cocoid": 7,
        },
    }


def test_karpathys_own_file_needs_no_other_to_exclude(karpathy_file: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, karpathy_file, profile="hub")
    assert columns(rows, "source_id", "reason") == [
        ("501", "evaluation_image"),
        ("502", "evaluation_image"),
        ("503", None),
        (None, "no_caption"),
        ("504", None),
        (None, "malformed_row"),
    ]


@pytest.mark.parametrize("content", ["[]", "image,caption\n", ""])
def test_a_foreign_file_is_refused(captions: Path, content: str, read_all: ReadAll) -> None:
    captions.write_text(content)
    with pytest.raises(InputError, match=r"captions_train2017\.json:byte 0: not an annotation file of this source"):
        read_all(SOURCE, captions)


@pytest.mark.parametrize("content", ["{}", '{"images": [], "boxes": []}', '{"images": {}, "annotations": {}}'])
def test_an_object_without_its_lists_is_refused(captions: Path, content: str, read_all: ReadAll) -> None:
    captions.write_text(content)
    with pytest.raises(InputError, match="captions_train2017"):
        read_all(SOURCE, captions)


def test_an_archive_without_captions_is_refused(tmp_path: Path, read_all: ReadAll) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("annotations/instances_val2017.json", "{}")
    with pytest.raises(InputError) as error:
        read_all(SOURCE, archive)
    assert error.value.expected == "captions_*.json, or dataset_coco.json"
    assert error.value.found == "annotations/instances_val2017.json"


@pytest.mark.parametrize(
    ("url", "licence"),
    [
        ("http://creativecommons.org/licenses/by-nc-sa/2.0/", "CC-BY-NC-SA-2.0"),
        ("http://creativecommons.org/licenses/by-nc/2.0/", "CC-BY-NC-2.0"),
        ("http://creativecommons.org/licenses/by-nc-nd/2.0/", "CC-BY-NC-ND-2.0"),
        ("http://creativecommons.org/licenses/by/2.0/", "CC-BY-2.0"),
        ("http://creativecommons.org/licenses/by-sa/2.0/", "CC-BY-SA-2.0"),
        ("http://creativecommons.org/licenses/by-nd/2.0/", "CC-BY-ND-2.0"),
        ("http://flickr.com/commons/usage/", "NOASSERTION"),
        ("http://creativecommons.org/licenses/zaphod/2.0/", "NOASSERTION"),
        ("http://www.usa.gov/copyright.shtml", "NOASSERTION"),
        (None, "NOASSERTION"),
    ],
)
def test_licence_of(url: str | None, licence: str) -> None:
    assert licence_of(url) == licence


@pytest.mark.parametrize(
    ("url", "name", "document", "folder", "split"),
    [
        ("http://images.cocodataset.org/val2017/1.jpg", "1.jpg", "x.json", "val2017", "validation"),
        (None, "COCO_train2014_000000000001.jpg", "x.json", "train2014", "train"),
        (None, "000000000001.jpg", "a.zip!/annotations/captions_val2017.json", "val2017", "validation"),
        ("http://mirror.example/other.jpg", "1.jpg", "x.json", None, None),
    ],
)
def test_folder_and_split(url: str | None, name: str, document: str, folder: str | None, split: str | None) -> None:
    assert folder_of(url, name, document) == folder
    assert split_of(folder) == split


@pytest.mark.parametrize("part", ["train2017", "val2017"])
def test_genuine_captions_field_for_field(samples: Path, part: str, read_all: ReadAll) -> None:
    path = samples / "coco" / f"captions_{part}.json"
    upstream = json.loads(path.read_text())
    images = {image["id"]: image for image in upstream["images"]}
    licences = {licence["id"]: licence["url"] for licence in upstream["licenses"]}
    rows = read_all(SOURCE, path)
    assert len(rows) == len(upstream["annotations"])
    for index, (row, annotation) in enumerate(zip(rows, upstream["annotations"], strict=True)):
        image = images[annotation["image_id"]]
        assert row["reason"] is None
        assert row["source_id"] == str(annotation["id"])
        assert row["text"] == annotation["caption"]
        assert row["image_url"] == image["coco_url"]
        assert row["identity"] == f"coco:{image['id']}"
        assert row["also"] == f"flickr:{image['flickr_url'].split('/')[-1].split('_')[0]}"
        assert row["file_name"] == f"{part}/{image['file_name']}"
        # Of the validation photographs the samples lack the last.
        assert (samples / "coco" / row["file_name"]).is_file() or part == "val2017"
        assert (row["width_px"], row["height_px"]) == (image["width"], image["height"])
        assert row["licence_evidence"] == licences[image["license"]]
        assert json.loads(row["meta"]) == {**annotation, "image": image}
        assert row["where"] == f"{path}:annotations[{index}]"


def test_a_truncated_genuine_file_names_file_and_byte(samples: Path, read_all: ReadAll) -> None:
    with pytest.raises(InputError, match=r"truncated_captions_val2017\.json:byte 10485\d\d"):
        read_all(SOURCE, samples / "coco" / "truncated_captions_val2017.json")


@pytest.mark.parametrize(
    ("caption", "reason", "detail"),
    [
        (
            b'{"image_id": 99999999999999999999, "id": 1, "caption": "a"}',
            "malformed_row",
            "image_id: expected a whole number",
        ),
        (b'{"image_id": 7, "id": 1e999, "caption": "a"}', "malformed_row", "not JSON: "),
        (b'{"image_id": 7, "id": 1, "caption": "caf\xe9"}', "bad_encoding", "invalid UTF-8 at byte "),
        (rb'{"image_id": 7, "id": 1, "caption": "\udc00"}', "malformed_row", "not JSON: "),
        (
            b'{"image_id": 7, "id": 1, "caption": ' + b"[" * 500 + b"]" * 500 + b"}",
            "malformed_row",
            "nested deeper than",
        ),
        (b'{"image_id": 7, "id": 1, "caption": ' + b"[" * 5000 + b"]" * 5000 + b"}", "malformed_row", "not JSON: "),
    ],
)
def test_a_caption_that_cannot_be_read_is_one_row(
    tmp_path: Path, read_all: ReadAll, caption: bytes, reason: str, detail: str
) -> None:
    path = tmp_path / "captions_train2017.json"
    good = b'{"image_id": 9, "id": %d, "caption": "A dog."}'
    annotations = b", ".join([good % 5, caption, good % 6])
    path.write_bytes(b'{"licenses": [], "images": %s, "annotations": [%s]}' % (IMAGES.encode(), annotations))
    first, bad, last = read_all(SOURCE, path)
    assert columns([first, last], "source_id", "reason") == [("5", None), ("6", None)]
    assert bad["reason"] == reason
    assert bad["detail"].startswith(detail)
    assert bad["where"] == f"{path}:annotations[1]"


def test_a_number_beyond_64_bits_beside_the_caption_stays_in_meta(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "captions_train2017.json"
    path.write_text(UPSTREAM.replace('"id": 104', '"id": 104, "hash": 36893488147419103232'))
    row = read_all(SOURCE, path)[3]
    assert (row["source_id"], json.loads(row["meta"])["hash"]) == ("104", 36893488147419103232.0)


_BOX = {"id": 1, "image_id": 7, "bbox": [1, 2, 3, 4]}
_HEAD = {"info": {"year": 2017}, "licenses": [], "images": [{"id": 7, "file_name": "7.jpg"}]}


@pytest.mark.parametrize(
    ("name", "annotation", "what"),
    [
        ("instances_val2017", _BOX | {"category_id": 1}, "instances or stuff: things with boxes and masks"),
        ("stuff_val2017", _BOX | {"category_id": 99}, "instances or stuff: things with boxes and masks"),
        ("person_keypoints_val2017", _BOX | {"category_id": 1, "keypoints": []}, "person_keypoints"),
        ("panoptic_val2017", {"image_id": 7, "segments_info": [], "file_name": "7.png"}, "panoptic"),
        ("image_info_test2017", None, "image_info (images without annotations)"),
        ("questions", {"question_id": 1, "question": "what?"}, "questions"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_other_annotation_files_are_refused_by_name(
    tmp_path: Path, name: str, annotation: dict[str, Any] | None, what: str, count: int
) -> None:
    path = tmp_path / f"{name}.json"
    content = _HEAD if annotation is None else _HEAD | {"annotations": [annotation] * count, "categories": []}
    path.write_text(json.dumps(content))
    files = [InputFile(str(path), 1), InputFile(*write_golden(tmp_path), 1)]
    with pytest.raises(InputError) as caught:
        SOURCE.plan(files, SOURCE.options(**SOURCE.options.profile_values("paper")))
    assert str(caught.value) == (
        f"{path}: one of COCO's other annotation files, which has no captions\n"
        "  expected: captions_*.json, or dataset_coco.json\n"
        f"  found: {what}\n"
        "  remedy: take it out of `annotations`, or name the files of captions alone: captions_*.json"
    )


def test_annotations_of_another_kind_are_foreign(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(_HEAD | {"annotations": [{"id": 1, "text": "a cat"}] * 2}))
    with pytest.raises(InputError, match="not an annotation file of this source") as caught:
        read_all(SOURCE, path)
    assert caught.value.found == "annotations[0] with id, text"
    path.write_text(json.dumps(_HEAD | {"annotations": [{"id": 1, "text": "a cat"}]}))  # one alone may be a bad row
    assert [row["reason"] for row in read_all(SOURCE, path)] == ["malformed_row"]


@pytest.mark.parametrize("image_id", [0, -1])
def test_an_id_that_is_none_is_nobodys_image(tmp_path: Path, read_all: ReadAll, image_id: int) -> None:
    images = [{"id": image_id, "file_name": f"{number}.jpg"} for number in (1, 2)]
    annotations = [{"id": number, "image_id": image_id, "caption": "a cat"} for number in (1, 2)]
    path = tmp_path / "captions_val2017.json"
    path.write_text(json.dumps({"licenses": [], "images": images, "annotations": annotations}))
    assert [(row["identity"], row["reason"]) for row in read_all(SOURCE, path)] == [(None, "no_image")] * 2
    karpathy = tmp_path / "dataset_coco.json"
    karpathy.write_text(KARPATHY.replace('"cocoid": 7}', f'"cocoid": {image_id}}}'))
    rows = read_all(SOURCE, karpathy)
    assert next(row["detail"] for row in rows if row["reason"] == "malformed_row") == (
        f"cocoid: expected a COCO id, found {image_id}"
    )
    assert not any(row["identity"] == f"coco:{image_id}" for row in rows)


#: As `tests/sources/planting.py` says.
NAMED = {"url", "credit", "file_name", "date_captured", "tokens", "imgid", "sentids"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    image = {
        "id": 1, "file_name": "000000000001.jpg", "coco_url": "http://images.cocodataset.org/train2017/1.jpg", "height": 4,
        "flickr_url": "http://farm1.staticflickr.com/2/3_4_z.jpg", "license": 1, "width": 4, "date_captured": "2013-11-14",
    }  # fmt: skip
    licence = {"id": 1, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"}
    licences = [{**changed, "id": number} for number, changed in enumerate(planted(licence, "id"))]
    images = [*planted(image, "id", "coco_url"), *({**image, "license": licence["id"]} for licence in licences)]
    told = {image["file_name"]: "{:012d}.jpg"}
    images = [
        {**changed, "id": number, "file_name": told.get(changed["file_name"], changed["file_name"]).format(number)}
        for number, changed in enumerate(images, start=1)  # 0 is no id
    ]
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
        {
            **changed,
            "cocoid": 300 + number,
            "filename": f"COCO_train2014_{300 + number:012d}.jpg",
            "sentences": [{**said, "sentid": 1000 * number + part}],
        }
        for number, changed in enumerate(planted(whole, "filepath", "filename", "cocoid", "split"))
        for part, said in enumerate(planted(sentence, "raw", "sentid"))
    ]
    (folder / "dataset_coco.json").write_text(json.dumps({"images": records, "dataset": "coco"}))
    return sorted(str(path) for path in folder.glob("*.json"))


@pytest.mark.parametrize(
    ("url", "name", "expected"),
    [
        ("http://mscoco.org/images/9", "COCO_val2014_000000000009.jpg", ["val2014/COCO_val2014_000000000009.jpg"]),
        ("http://mscoco.org/images/9", "000000000009.jpg", ["train2017/000000000009.jpg"]),  # as the file's name says
        ("http://images.cocodataset.org/val2017/000000000009.jpg", "000000000009.jpg", None),
        ("http://elsewhere.example.org/9.jpg", "COCO_val2014_000000000009.jpg", None),
    ],
)
def test_pictures_of_the_first_release_are_where_they_are_today(
    tmp_path: Path, read_all: ReadAll, url: str, name: str, expected: list[str] | None
) -> None:
    path = tmp_path / "captions_train2017.json"
    images = [{"id": 9, "file_name": name, "coco_url": url}]
    path.write_text(json.dumps({"images": images, "annotations": [{"id": 1, "image_id": 9, "caption": "A dog."}]}))
    (row,) = read_all(SOURCE, path)
    assert (row["image_url"], row["identity"]) == (url, "coco:9")
    assert row["mirrors"] == (expected and [f"http://images.cocodataset.org/{one}" for one in expected])


@pytest.mark.parametrize(
    ("document", "name", "expected"),
    [
        ("captions_val2014.json", "COCO_val2014_000000000009.jpg", "val2014/COCO_val2014_000000000009.jpg"),
        ("captions_train2017.json", "COCO_val2014_000000000009.jpg", "val2014/COCO_val2014_000000000009.jpg"),
        ("captions_val2014.json", "000000000009.jpg", "val2014/COCO_val2014_000000000009.jpg"),
        ("captions_val2017.json", "000000000009.jpg", "val2017/000000000009.jpg"),
        ("captions.json", "images/train2017/000000000009.jpg", "train2017/000000000009.jpg"),
        ("captions.json", "train2014/COCO_val2014_000000000009.jpg", "val2014/COCO_val2014_000000000009.jpg"),
        ("captions.json", "000000000009.jpg", None),
        ("captions_train2017.json", "9.jpg", None),
    ],
)
@pytest.mark.parametrize("url", [{}, {"coco_url": None}, {"coco_url": " "}])
def test_the_address_of_a_picture_that_has_none_follows_from_its_name(
    tmp_path: Path, read_all: ReadAll, url: dict[str, Any], document: str, name: str, expected: str | None
) -> None:
    path = tmp_path / document
    images = [{"id": 9, "file_name": name, **url}]
    path.write_text(json.dumps({"images": images, "annotations": [{"id": 1, "image_id": 9, "caption": "A dog."}]}))
    (row,) = read_all(SOURCE, path)
    assert row["image_url"] == (expected and f"http://images.cocodataset.org/{expected}")
    assert (row["identity"], row["mirrors"], row["reason"]) == ("coco:9", None, None)


def test_the_earliest_files_have_the_photo_s_address_at_flickr_alone(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "captions_val2014.json"
    images = [
        {
            "id": 9,
            "file_name": "COCO_val2014_000000000009.jpg",
            "url": "http://farm5.staticflickr.com/4001/4242424242_0123456789_z.jpg",
        },
        {"id": 10, "file_name": "COCO_val2014_000000000010.jpg", "url": 7},
    ]
    captions = [{"id": image["id"], "image_id": image["id"], "caption": "A dog."} for image in images]
    path.write_text(json.dumps({"images": images, "annotations": captions}))
    assert [(row["also"], row["split"], row["reason"]) for row in read_all(SOURCE, path)] == [
        ("flickr:4242424242", "validation", None),
        (None, "validation", None),
    ]


def test_a_file_name_may_have_its_folder(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "captions_train2017.json"
    url = "http://images.cocodataset.org/train2017/000000000009.jpg"
    images = [
        {"id": 9, "file_name": "train2017/000000000009.jpg", "coco_url": url},
        {"id": 10, "file_name": "images/train2017/000000000010.jpg"},
    ]
    captions = [{"id": image["id"], "image_id": image["id"], "caption": "A dog."} for image in images]
    path.write_text(json.dumps({"images": images, "annotations": captions}))
    assert [(row["file_name"], row["split"]) for row in read_all(SOURCE, path)] == [
        ("train2017/000000000009.jpg", "train"),
        ("train2017/000000000010.jpg", "train"),
    ]


def test_folders_in_a_zip_of_windows(captions: Path, tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "annotations.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("annotations\\captions_train2017.json", captions.read_bytes())
    assert [row["text"] for row in read_all(SOURCE, path)] == [row["text"] for row in read_all(SOURCE, captions)]


@pytest.mark.parametrize(
    "image",
    [
        {"id": 0, "file_name": "VizWiz_train_00000000.jpg", "vizwiz_url": "https://v.example/0.jpg"},
        {
            "id": 3,
            "file_name": "0013ea2087020901.jpg",
            "coco_url": "https://s3.amazonaws.com/nocaps/0013ea2087020901.jpg",
        },
        {"id": 3, "file_name": "1000092795.jpg"},
    ],
)
def test_captions_of_other_pictures_are_refused(tmp_path: Path, read_all: ReadAll, image: dict[str, Any]) -> None:
    """In COCO's form, with ids that are not COCO's: taken for those, they would be captions of other photographs."""
    path = tmp_path / "captions.json"
    another = image | {"id": 77}
    content = {"images": [image, another], "annotations": [{"id": 1, "image_id": image["id"], "caption": "a tin"}]}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="captions in COCO's form, of pictures that are not COCO's") as caught:
        read_all(SOURCE, path)
    assert image["file_name"] in str(caught.value.found)
    own = {"id": 9, "file_name": "val2014/COCO_val2014_000000000009.jpg"}
    for images in ([image], [image, another, own]):
        path.write_text(json.dumps({**content, "images": images}))
        assert len(read_all(SOURCE, path)) == 1, "odd names alone are no other data set"


def test_karpathys_split_of_another_data_set_is_refused(tmp_path: Path, read_all: ReadAll) -> None:
    image = {"sentids": [0], "imgid": 0, "split": "train", "filename": "1000092795.jpg"}
    image["sentences"] = [{"tokens": ["a"], "raw": "A dog.", "imgid": 0, "sentid": 0}]
    path = tmp_path / "dataset_flickr30k.json"
    path.write_text(json.dumps({"images": [image] * 2, "dataset": "flickr30k"}))
    with pytest.raises(InputError, match=r"flickr30k\.json: Karpathy's split of another data set") as caught:
        read_all(SOURCE, path)
    assert caught.value.found == "images[0] with filename, imgid, sentences, sentids, split"


def _renumbered(*ids: int) -> dict[str, Any]:
    """Return a document in which pictures 391895 and 522418 have other ids."""
    names = ("000000391895.jpg", "data/COCO_val2014_000000522418.jpg")
    return {
        "images": [{"id": image_id, "file_name": name} for image_id, name in zip(ids, names, strict=True)],
        "annotations": [{"id": image_id, "image_id": image_id, "caption": "A man."} for image_id in ids],
    }


def test_pictures_that_a_program_has_numbered_anew_are_refused(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(_renumbered(1, 2)))
    with pytest.raises(InputError, match=r"(?s)under ids that are not COCO's.*the id 1 of the file of image 391895"):
        read_all(SOURCE, path)


def test_one_picture_under_another_id_is_one_row(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(_renumbered(1, 522418)))
    assert [(row["identity"], row["reason"], row["detail"]) for row in read_all(SOURCE, path)] == [
        (None, "malformed_row", "image_id 1: its file_name is that of image 391895"),
        ("coco:522418", None, None),
    ]


def test_karpathys_picture_under_another_id_is_lost(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "dataset_coco.json"
    path.write_text(KARPATHY.replace('"cocoid": 9', '"cocoid": 8'))
    lost = [row["detail"] for row in read_all(SOURCE, path) if row["reason"] == "malformed_row"]
    assert lost[0] == "cocoid 8: its filename is that of image 9"


def test_numbers_that_pandas_has_made_floats_of(captions: Path, tmp_path: Path, read_all: ReadAll) -> None:
    document = json.loads(captions.read_text())
    for record in (*document["annotations"][:2], *document["images"][:2]):
        record.update(
            {key: float(record[key]) for key in ("id", "image_id", "license", "width", "height") if key in record}
        )
    path = tmp_path / "captions_train2017.json"
    path.write_text(json.dumps(document))
    meta = {"meta", "row_digest", "where"}
    found, expected = (
        [{key: row[key] for key in row.keys() - meta} for row in read_all(SOURCE, one)] for one in (path, captions)
    )
    assert found == expected
