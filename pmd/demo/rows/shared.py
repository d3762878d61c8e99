"""What several sources of the demo share: photographs, and how captions speak of them."""

from __future__ import annotations

import dataclasses

from pmd.demo.pictures import SCENES, Picture
from pmd.demo.world import Builder, token


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photograph on Flickr, under the names that Flickr has given it over the years."""

    photo_id: int
    server: int
    farm: int
    secret: str

    @classmethod
    def number(cls, number: int) -> Photo:
        """Return the n-th photograph of the demo."""
        photo_id = 3_000_000_019 + 104_729 * number
        return cls(photo_id, 2000 + number * 37 % 6000, 1 + number % 9, token(f"flickr {photo_id}"))

    @property
    def _name(self) -> str:
        return f"{self.server}/{self.photo_id}_{self.secret}"

    def on_farm(self, size: str = "") -> str:
        """Return the URL of 2010 or so; size is "", "_z", "_b"."""
        return f"http://farm{self.farm}.staticflickr.com/{self._name}{size}.jpg"

    def live(self, size: str) -> str:
        """Return the URL of today."""
        return f"https://live.staticflickr.com/{self._name}{size}.jpg"

    def static(self) -> str:
        """Return the URL of 2006 or so, as SBU has it."""
        return f"http://static.flickr.com/{self._name}.jpg"


def article(noun: str) -> str:
    """Return a noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def caption_of(picture: Picture, style: int) -> str:
    """Return a true English caption of a picture, in one of five styles; the fifth speaks of people."""
    scene = SCENES[picture.scene]
    subject = article(picture.subject)
    pronoun = {"woman": "her", "man": "his"}.get(scene.person or "")
    return (
        f"{subject[0].upper()}{subject[1:]} {scene.place}.",
        f"There is {subject} {scene.place} {picture.time}.",
        f"A colourful picture of {subject} {picture.time}.",
        f"{scene.detail}, and it is painted {scene.place}.",
        f"The {scene.person} is holding {pronoun} umbrella with one hand."
        if scene.person
        else f"The girl and her father are looking for {subject}.",
    )[style % 5]


def copy_of(picture: Picture, width_px: int, height_px: int) -> Picture:
    """Return another file of the same photograph: other pixels, other bytes."""
    return dataclasses.replace(picture, width_px=width_px, height_px=height_px, quality=80)


@dataclasses.dataclass(frozen=True)
class Shared:
    """Photographs that several sources have, each under its own URL.

    Attributes:
        everywhere: COCO, Visual Genome, LN-COCO, SBU and YFCC.
        coco_vg: COCO, Visual Genome (by COCO's id and Flickr's) and LN-COCO.
        coco_sbu: COCO and SBU: linked by COCO's flickr_url alone.
        vg_yfcc: Visual Genome (by Flickr's id) and YFCC.
        sbu_yfcc: SBU and YFCC.
        cc12m_yfcc: CC12M (live, large) and YFCC (farm).
        red_caps_sbu: RedCaps (farm, https) and SBU.
    """

    everywhere: tuple[str, Photo]
    coco_vg: tuple[str, Photo]
    coco_sbu: tuple[str, Photo]
    vg_yfcc: tuple[str, Photo]
    sbu_yfcc: tuple[str, Photo]
    cc12m_yfcc: tuple[str, Photo]
    red_caps_sbu: tuple[str, Photo]


def photographs(builder: Builder) -> Shared:
    """Make the photographs that several sources have."""

    def photograph(number: int) -> tuple[str, Photo]:
        photo = Photo.number(number)
        picture = builder.picture((640, 480))
        image = builder.image(picture)
        builder.locate(image, photo.on_farm(), copy_of(picture, 500, 375))
        builder.locate(image, photo.static(), copy_of(picture, 500, 375))
        builder.locate(image, photo.live("_b"), copy_of(picture, 900, 675))
        return image, photo

    return Shared(*(photograph(number) for number in range(7)))


def id_on_coco(position: int) -> int:
    """Return the id on COCO of the picture at a position."""
    return 30 + position * 7_919 % 581_921
