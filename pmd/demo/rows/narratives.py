"""Localized Narratives, of all four data sets."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from pmd.demo.files import (
    ADE20K_ARCHIVE,
    FLICKR30K_ARCHIVE,
    LN_ADE20K_FILE,
    LN_COCO_FILE,
    LN_COCO_FULL_FILE,
    LN_FLICKR30K_FILE,
    LN_OPENIMAGES_FILE,
)
from pmd.demo.pictures import SCENES, Picture
from pmd.demo.rows.shared import article, id_on_coco
from pmd.demo.world import Builder, Outcome, kept, rejected, token


def _narrative(picture: Picture, style: int) -> list[str]:
    """Return the sentences of a narrative, without their full stops."""
    scene = SCENES[picture.scene]
    subject = article(picture.subject)
    return [
        ("In this image I can see", "In the center of the picture there is", "Here we can see")[style % 3]
        + f" {subject} {scene.place}",
        scene.detail,
        *(["In the background we can see the sky"] if style % 2 else []),
        *(["There is a " + scene.person + " in this image"] if scene.person else []),
    ]


_ANNOTATORS: Final = (89, 12, 104, 57)


def _narrated(dataset_id: str, image_id: str, caption: str, **more: Any) -> dict[str, Any]:
    """Return one record of Localized Narratives."""
    annotator_id = _ANNOTATORS[len(image_id + caption) % len(_ANNOTATORS)]
    return {"dataset_id": dataset_id, "image_id": image_id, "annotator_id": annotator_id, "caption": caption, **more}


@dataclasses.dataclass(frozen=True)
class _Narratives:
    """One source of narratives in the making."""

    builder: Builder
    source: str
    file: str
    dataset_id: str

    def tell(self, image_id: str, image: str, sentences: list[str], **more: Any) -> None:
        """Add a narrative of sentences, which are given without their full stops."""
        record = _narrated(self.dataset_id, image_id, ". ".join(sentences) + ".", **more)
        self.builder.add(self.source, self.file, record, *(kept(image, f"{sentence}.") for sentence in sentences))

    def add(self, record: dict[str, Any] | bytes, *outcomes: Outcome) -> None:
        """Add a record as it is."""
        self.builder.add(self.source, self.file, record, *outcomes)


def fill(builder: Builder) -> None:
    """Fill the world with them."""
    _ln_openimages(builder)
    _ln_coco(builder)
    _ln_archived(builder)


def _ln_openimages(builder: Builder) -> None:
    dataset = "open_images_train"
    source = _Narratives(builder, "localized_narratives__openimages", LN_OPENIMAGES_FILE, dataset)
    for number in range(12):
        picture = builder.picture()
        gone = number == 11
        image_id = token(f"open images {number}", 16)
        image = builder.image(picture, "dead" if gone else "ok")
        url = f"https://s3.amazonaws.com/open-images-dataset/train/{image_id}.jpg"
        builder.locate(image, url, None if gone else picture)
        sentences = _narrative(picture, number)
        if number == 3:  # the rule knows no numbers: every full stop ends a sentence
            first, *others = sentences
            caption = f"{first}. It is about 1.5 metres away. {'. '.join(others)}."
            pieces = [first, "It is about 1", "5 metres away", *others]
            source.add(_narrated(dataset, image_id, caption), *(kept(image, f"{piece}.") for piece in pieces))
        elif number == 4:  # two full stops, white space before one, none at the end
            caption = f"{sentences[0]}..  {sentences[1]} .\n It is a nai\u0308ve drawing"
            pieces = [sentences[0], sentences[1], "It is a nai\u0308ve drawing"]
            source.add(_narrated(dataset, image_id, caption), *(kept(image, f"{piece}.") for piece in pieces))
        else:
            source.tell(image_id, image, sentences)
        if number == 5:
            _ln_broken(source, image_id)
        if number == 6:
            once = _narrated(dataset, image_id, "One sentence that the file has twice.")
            source.add(once, kept(image, once["caption"]))
            source.add(once, rejected("duplicate_row"))


def _ln_broken(source: _Narratives, image_id: str) -> None:
    """Add lines from which no pair comes."""
    dataset = source.dataset_id
    source.add(_narrated(dataset, image_id, " . ."), rejected("empty_text"))
    source.add(_narrated(dataset, image_id, ""), rejected("empty_text"))
    source.add(b'{"dataset_id": "open_images_train", "image_id": "0a1b', rejected("malformed_row"))
    latin = json.dumps(_narrated(dataset, image_id, "A caf@ in a street.")).replace("@", "\xe9")
    source.add(latin.encode("latin-1"), rejected("bad_encoding"))
    mute = {key: value for key, value in _narrated(dataset, image_id, "").items() if key != "caption"}
    source.add(mute, rejected("malformed_row"))


def _ln_coco(builder: Builder) -> None:
    dataset = "mscoco_train2017"
    short = _Narratives(builder, "localized_narratives__coco", LN_COCO_FILE, dataset)
    full = dataclasses.replace(short, file=LN_COCO_FULL_FILE)

    def captioned(position: int) -> tuple[str, str, list[str]]:
        """Return an image that COCO's captions have, and its narrative."""
        coco_id = id_on_coco(position)
        image = builder.image_at(f"http://images.cocodataset.org/train2017/{coco_id:012d}.jpg")
        return str(coco_id), image, _narrative(builder.picture_of(image), position)

    for position in (0, 1, 9, 10, 11):
        short.tell(*captioned(position))
    held_out = "In this image I can see what models are tested on."
    short.add(_narrated(dataset, str(id_on_coco(6)), held_out), rejected("evaluation_image"))
    for number, coco_id in enumerate((580_001, 580_002)):  # not among the captions; one on the web, one nowhere
        picture = builder.picture((640, 480))
        image = builder.image(picture, "dead" if number else "ok")
        url = f"http://images.cocodataset.org/train2017/{coco_id:012d}.jpg"
        builder.locate(image, url, None if number else picture)
        short.tell(str(coco_id), image, _narrative(picture, number))
    for position, traced in ((12, True), (13, False)):  # upstream has a row without traces too
        image_id, image, sentences = captioned(position)
        utterances = [
            {"utterance": sentence, "start_time": float(n), "end_time": n + 0.9} for n, sentence in enumerate(sentences)
        ]
        more: dict[str, Any] = {"timed_caption": utterances}
        if traced:
            more["traces"] = [[{"x": 0.2012, "y": 0.2271, "t": 0.022}, {"x": 0.2101, "y": 0.2306, "t": 0.045}]]
        more["voice_recording"] = f"coco_train/coco_train_{int(image_id):012d}_57.ogg"
        full.tell(image_id, image, sentences, **more)


def _ln_archived(builder: Builder) -> None:
    """Add Flickr30k and ADE20k, whose images have no URL; the last image of each is not in the archive."""
    source = _Narratives(builder, "localized_narratives__flickr30k", LN_FLICKR30K_FILE, "Flickr30k_train")
    for number in range(8):
        picture = builder.picture((500, 375) if number % 2 else (375, 500))
        image_id = str(1_000_092_795 + 911_383 * number)
        image = builder.image(picture, "no_location" if number == 7 else "ok")
        builder.name_file(image, f"{image_id}.jpg")
        if number != 7:
            builder.store(image, FLICKR30K_ARCHIVE, f"flickr30k-images/{image_id}.jpg", picture)
        source.tell(image_id, image, _narrative(picture, number))

    source = _Narratives(builder, "localized_narratives__ADE20k", LN_ADE20K_FILE, "ADE20k_train")
    for number in range(8):
        picture = builder.picture((683, 512) if number % 2 else (512, 683))
        image_id = f"ADE_train_{number * 2411 + 1:08d}"
        image = builder.image(picture, "no_location" if number == 7 else "ok")
        builder.name_file(image, f"{image_id}.jpg")
        if number != 7:
            builder.store(image, ADE20K_ARCHIVE, f"ADEChallengeData2016/images/training/{image_id}.jpg", picture)
        source.tell(image_id, image, _narrative(picture, number))
        if number == 0:  # several narratives of one image
            source.tell(image_id, image, ["A second person says what is seen", "It is bright"])
