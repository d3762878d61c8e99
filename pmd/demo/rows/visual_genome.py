"""Visual Genome: regions, on photographs that COCO and Flickr have too."""

from __future__ import annotations

import itertools
from typing import Any, Final

from pmd.demo.files import VG_REGIONS_FILE
from pmd.demo.pictures import Picture, parts
from pmd.demo.rows.shared import Photo, Shared, copy_of, id_on_coco
from pmd.demo.web import route_of
from pmd.demo.world import Builder, Outcome, kept, rejected

#: A view's short side must not come near the limit under which crops leave (32 px), but where that is meant.
_REGION_PX: Final = 56
_VG_FIRST_REGION: Final = 1382


def fill(builder: Builder, shared: Shared) -> None:
    """Fill the world with them."""
    region_ids = itertools.count(_VG_FIRST_REGION)

    def entry(vg_id: int, picture: Picture, coco_id: int | None = None, photo: Photo | None = None) -> str:
        url = f"https://cs.stanford.edu/people/rak248/VG_100K{'_2' if vg_id % 2 else ''}/{vg_id}.jpg"
        builder.vg_images.append(
            {
                "width": picture.width_px,
                "url": url,
                "height": picture.height_px,
                "image_id": vg_id,
                "coco_id": coco_id,
                "flickr_id": photo.photo_id if photo else None,
            }
        )
        return url

    def region(vg_id: int, phrase: str, box: tuple[int, int, int, int], outcome: Outcome) -> dict[str, Any]:
        x, y, width, height = box
        record = {
            "region_id": next(region_ids),
            "width": width,
            "height": height,
            "image_id": vg_id,
            "phrase": phrase,
            "y": y,
            "x": x,
        }
        builder.add("visual_genome", VG_REGIONS_FILE, record, outcome)
        return record

    def regions(vg_id: int, image: str, picture: Picture, *, shard_reason: str | None = None) -> None:
        for number, part in enumerate(parts(picture)):
            if min(part.box[2:]) < _REGION_PX:
                continue
            phrase = part.phrase + ("", " ", "\n")[number % 3]
            region(vg_id, phrase, part.box, kept(image, phrase, shard_reason=shard_reason))

    # Photographs that other sources have too. Visual Genome's copies are of another size.
    for vg_id, (image, photo), coco_id in (
        (1, shared.everywhere, id_on_coco(0)),
        (2, shared.coco_vg, id_on_coco(1)),
        (3, shared.vg_yfcc, None),
    ):
        copy = copy_of(builder.picture_of(image), 800, 600)
        builder.locate(image, entry(vg_id, copy, coco_id, photo), copy)
        regions(vg_id, image, copy)

    # Karpathy's validation image, with one region.
    evaluation = builder.picture((800, 600))
    builder.serve(entry(4, evaluation, id_on_coco(5), Photo.number(105)), evaluation)
    builder.never_requested.add(route_of(builder.vg_images[-1]["url"]))
    region(4, "something that models are tested on", (100, 100, 300, 200), rejected("evaluation_image"))

    for vg_id in range(5, 13):
        picture = builder.picture([(800, 600), (600, 800), (800, 533)][vg_id % 3])
        image = builder.image(picture)
        builder.locate(image, entry(vg_id, picture), picture)
        regions(vg_id, image, picture)
        if vg_id == 5:
            small = "something very small"
            region(vg_id, small, (300, 200, 20, 20), kept(image, small, shard_reason="crop_too_small"))
            region(vg_id, "a line without any width", (300, 200, 0, 100), rejected("bad_region"))
            region(vg_id, "beyond the right edge", (1000, 100, 80, 80), rejected("bad_region"))
            region(vg_id, " ", (100, 100, 200, 200), rejected("empty_text"))
        if vg_id == 6:
            again = region(vg_id, "seen twice", (100, 100, 200, 200), kept(image, "seen twice"))
            builder.add("visual_genome", VG_REGIONS_FILE, again, rejected("duplicate_row"))
            mute = {key: value for key, value in again.items() if key != "phrase"} | {"region_id": next(region_ids)}
            builder.add("visual_genome", VG_REGIONS_FILE, mute, rejected("malformed_row"))

    # What the file says of its size is not so: boxes would not fit.
    claimed = builder.picture((800, 600))
    image = builder.image(claimed)
    builder.locate(image, entry(13, claimed), copy_of(claimed, 600, 600))
    regions(13, image, claimed, shard_reason="box_mismatch")

    gone = builder.picture((800, 600))
    image = builder.image(gone, "dead")
    builder.locate(image, entry(14, gone))
    regions(14, image, gone)

    region(15, "an image that image_data does not have", (10, 10, 100, 100), rejected("no_image"))
