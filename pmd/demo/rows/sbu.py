"""SBU Captions: one JSON document."""

from __future__ import annotations

import itertools

from pmd.demo.files import SBU_FILE
from pmd.demo.pictures import SCENES, Picture
from pmd.demo.rows.shared import Photo, Shared, article
from pmd.demo.web import Answer, page
from pmd.demo.world import Builder, Outcome, kept, rejected


def fill(builder: Builder, shared: Shared) -> None:
    """Fill the world with them."""
    source = "sbu_captions"
    users = itertools.cycle(["20000001@N08", "20000002@N00", "20000001@N08", "20000003@N05"])

    def add(url: str, caption: str, outcome: Outcome) -> tuple[str, str, str]:
        record = (url, next(users), caption)
        builder.add(source, SBU_FILE, record, outcome)
        return record

    record = ("", "", "")
    for number in range(16):
        picture = builder.picture((500, 375) if number % 2 else (375, 500))
        photo = Photo.number(400 + number)
        image = builder.image(picture, "dead" if number in (5, 11) else "ok")
        answer: Answer | Picture = {5: page("Gone", 410), 11: page("Page not found", 404)}.get(number, picture)
        url = builder.locate(image, photo.static(), answer)
        scene = SCENES[picture.scene]
        caption = (
            f"{article(picture.subject)} {scene.place}",
            f"This is a shot of {article(picture.subject)} {picture.time}",
            f"My little brother drew {article(picture.subject)} for our mom",
            f"The {picture.subject}  {scene.place} - as I saw it on Sunday ",
        )[number % 4]
        record = add(url, caption, kept(image, caption))
    builder.add(source, SBU_FILE, record, rejected("duplicate_row"))
    for image, photo in (shared.everywhere, shared.coco_sbu, shared.sbu_yfcc, shared.red_caps_sbu):
        caption = f"{article(builder.picture_of(image).subject)} in the box where I keep old pictures"
        add(photo.static(), caption, kept(image, caption))
    add(Photo.number(450).static(), "  ", rejected("empty_text"))
    add("static.flickr.com/2723/no-scheme.jpg", "a picture without a scheme", rejected("bad_url"))
