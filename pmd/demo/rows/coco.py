"""COCO: captions, Karpathy's list, an archive of pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from pmd.demo.files import COCO_ARCHIVE, COCO_FILE
from pmd.demo.pictures import Picture
from pmd.demo.rows.shared import Photo, Shared, caption_of, id_on_coco
from pmd.demo.web import route_of
from pmd.demo.world import Builder, Outcome, kept, rejected, token


def _coco_image(
    builder: Builder,
    coco_id: int,
    photo: Photo,
    image: str | None,
    picture: Picture,
    *,
    archived: bool,
    served: bool = False,
) -> str:
    """Note an image of COCO: its row, its place in the archive or on the web."""
    if image is None:
        image = builder.image(picture, "ok" if archived or served else "dead")
    file_name = f"{coco_id:012d}.jpg"
    coco_url = f"http://images.cocodataset.org/train2017/{file_name}"
    builder.coco_images.append(
        {
            "license": 1 + coco_id % 8,
            "file_name": file_name,
            "coco_url": coco_url,
            "height": picture.height_px,
            "width": picture.width_px,
            "date_captured": f"2013-11-{14 + coco_id % 11} {coco_id % 24:02d}:{coco_id % 60:02d}:37",
            "flickr_url": photo.on_farm("_z"),
            "id": coco_id,
        }
    )
    builder.locate(image, coco_url, picture if served else None)
    builder.name_file(image, file_name)
    if archived:
        builder.store(image, COCO_ARCHIVE, f"train2017/{file_name}", picture)
        builder.never_requested.add(route_of(coco_url))
    return image


def fill(builder: Builder, shared: Shared) -> None:
    """Fill the world with them."""
    sizes = itertools.cycle([(640, 480), (480, 640), (640, 426)])
    annotation_ids = itertools.count(5_003, 46)
    annotations: list[tuple[dict[str, Any], Outcome]] = []

    def annotate(coco_id: int, image: str, captions: Iterable[str], split: str) -> None:
        sentences = []
        for caption in captions:
            annotation_id = next(annotation_ids)
            outcome = rejected("evaluation_image") if split in ("val", "test") else kept(image, caption)
            annotations.append(({"image_id": coco_id, "id": annotation_id, "caption": caption}, outcome))
            words = caption.lower().replace(".", " ").replace(",", " ").split()
            sentences.append(
                {"tokens": words, "raw": caption, "imgid": len(builder.karpathy_images), "sentid": annotation_id}
            )
        folder = "train2014" if split == "train" else "val2014"
        builder.karpathy_images.append(
            {
                "filepath": folder,
                "sentids": [sentence["sentid"] for sentence in sentences],
                "filename": f"COCO_{folder}_{coco_id:012d}.jpg",
                "imgid": len(builder.karpathy_images),
                "split": split,
                "sentences": sentences,
                "cocoid": coco_id,
            }
        )

    given = [shared.everywhere, shared.coco_vg, shared.coco_sbu]
    for position in range(22):
        coco_id = id_on_coco(position)
        image, photo = given[position] if position < len(given) else (None, Photo.number(100 + position))
        picture = builder.picture_of(image) if image else builder.picture(next(sizes))
        # The last two are not in the archive: one is on the web, one is nowhere.
        archived, served = position < 20, position == 20
        image = _coco_image(builder, coco_id, photo, image, picture, archived=archived, served=served)
        captions = [caption_of(picture, style) for style in range(3 if position % 3 else 4)]
        if position == 3:
            captions[1] = captions[1].replace(" is a ", "  is a ").replace(" is an ", "  is an ") + "\n"
        if position == 4:
            captions[2] = "A cafe\u0301 table would suit this picture,\nit is that good. \U0001f600"
        split = {5: "val", 6: "test", 7: "restval", 8: "restval"}.get(position, "train")
        annotate(coco_id, image, captions, split)

    for record, outcome in _scattered(annotations):
        builder.add("coco", COCO_FILE, record, outcome)
    again, outcome = annotations[0]
    first_id, first_image = again["image_id"], str(outcome.image)
    other = "The same annotation id was given to another sentence."
    builder.add("coco", COCO_FILE, again, rejected("duplicate_row"))
    builder.add("coco", COCO_FILE, {**again, "caption": other}, kept(first_image, other))
    blank = {"image_id": first_id, "id": next(annotation_ids), "caption": " \n"}
    builder.add("coco", COCO_FILE, blank, rejected("empty_text"))
    builder.add("coco", COCO_FILE, {"image_id": first_id, "id": next(annotation_ids)}, rejected("malformed_row"))
    lost = {"image_id": 999_999, "id": next(annotation_ids), "caption": "A picture that the file does not list."}
    builder.add("coco", COCO_FILE, lost, rejected("no_image"))


def _scattered(items: list[tuple[dict[str, Any], Outcome]]) -> list[tuple[dict[str, Any], Outcome]]:
    """Return items in an order of their own: upstream's annotations do not follow the order of its images."""
    return sorted(items, key=lambda item: token(str(item[0]["id"])))
