"""Fills the demo's world: every row of PMD's sources, with its picture, its answer on the web, and its intended outcome.

One function a source, in upstream's order of things; what several sources share (the same photograph of Flickr) is made
first. The odd rows are here on purpose, one or two of every kind that upstream's files have: nearly every reason for
which curate rejects, and nearly every status in which a fetch ends.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, quote_plus

from pmd.demo.pictures import SCENES, Picture, bomb_png, encoded, notice, parts, tracking_pixel
from pmd.demo.web import Answer, page, redirect, route_of
from pmd.demo.world import Builder, Drawing, Outcome, World, kept, rejected, token

COCO_FILE: Final = "data/coco/captions_train2017.json"
KARPATHY_FILE: Final = "data/coco/dataset_coco.json"
COCO_ARCHIVE: Final = "data/coco/train2017.zip"
VG_REGIONS_FILE: Final = "data/visual_genome/region_descriptions.json"
VG_IMAGES_FILE: Final = "data/visual_genome/image_data.json"
LN_OPENIMAGES_FILE: Final = "data/localized_narratives/open_images_train_v6_captions.jsonl"
LN_COCO_FILE: Final = "data/localized_narratives/coco_train_captions.jsonl"
LN_COCO_FULL_FILE: Final = "data/localized_narratives/coco_train_localized_narratives-00000-of-00004.jsonl"
LN_FLICKR30K_FILE: Final = "data/localized_narratives/flickr30k_train_captions.jsonl"
LN_ADE20K_FILE: Final = "data/localized_narratives/ade20k_train_captions.jsonl"
FLICKR30K_ARCHIVE: Final = "data/flickr30k/flickr30k-images.tar"
ADE20K_ARCHIVE: Final = "data/ade20k/ADEChallengeData2016.zip"
RED_CAPS_FILE: Final = "data/red_caps/redcaps_v1.0_annotations.zip"
YFCC_FILE: Final = "data/yfcc100m/yfcc100m_dataset.bz2"
SBU_FILE: Final = "data/sbu_captions/sbu-captions-all.json"
CC3M_FILE: Final = "data/conceptual_captions/Train_GCC-training.tsv"
CC12M_FILE: Final = "data/conceptual_12m/cc12m.tsv"
WIT_FILE: Final = "data/wit/wit_v1.train.all-00000-of-00010.tsv.gz"

REMOVED_URL: Final = "https://i.imgur.com/removed.png"
#: A view's short side must not come near the limit under which crops leave (32 px), but where that is meant.
_REGION_PX: Final = 56
_PLACEHOLDER_URLS: Final = 12
_VG_FIRST_REGION: Final = 1382


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


@functools.cache
def build_world() -> World:
    """Return the demo's world: the same each time."""
    builder = Builder()
    shared = _shared(builder)
    _coco(builder, shared)
    _visual_genome(builder, shared)
    _localized_narratives(builder)
    _red_caps(builder, shared)
    _yfcc(builder, shared)
    _sbu(builder, shared)
    _conceptual(builder, shared)
    _wit(builder)
    _policies(builder)
    return builder.finish()


# ------------------------------------------------------------------------------------------------------- captions


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _caption(picture: Picture, style: int) -> str:
    """Return a true English caption of a picture, in one of five styles; the fifth speaks of people."""
    scene = SCENES[picture.scene]
    subject = _a(picture.subject)
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


def _copy(picture: Picture, width_px: int, height_px: int) -> Picture:
    """Return another file of the same photograph: other pixels, other bytes."""
    return dataclasses.replace(picture, width_px=width_px, height_px=height_px, quality=80)


# ------------------------------------------------------------------------------- one photograph in several sources


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


def _shared(builder: Builder) -> Shared:
    def photograph(number: int) -> tuple[str, Photo]:
        photo = Photo.number(number)
        picture = builder.picture((640, 480))
        image = builder.image(picture)
        builder.locate(image, photo.on_farm(), _copy(picture, 500, 375))
        builder.locate(image, photo.static(), _copy(picture, 500, 375))
        builder.locate(image, photo.live("_b"), _copy(picture, 900, 675))
        return image, photo

    return Shared(*(photograph(number) for number in range(7)))


# ----------------------------------------------------------------------------------------------------------- COCO


def _coco_id(position: int) -> int:
    return 30 + position * 7_919 % 581_921


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


def _coco(builder: Builder, shared: Shared) -> None:
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
        coco_id = _coco_id(position)
        image, photo = given[position] if position < len(given) else (None, Photo.number(100 + position))
        picture = builder.picture_of(image) if image else builder.picture(next(sizes))
        # The last two are not in the archive: one is on the web, one is nowhere.
        archived, served = position < 20, position == 20
        image = _coco_image(builder, coco_id, photo, image, picture, archived=archived, served=served)
        captions = [_caption(picture, style) for style in range(3 if position % 3 else 4)]
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


# -------------------------------------------------------------------------------------------------- Visual Genome


def _visual_genome(builder: Builder, shared: Shared) -> None:
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
        (1, shared.everywhere, _coco_id(0)),
        (2, shared.coco_vg, _coco_id(1)),
        (3, shared.vg_yfcc, None),
    ):
        copy = _copy(builder.picture_of(image), 800, 600)
        builder.locate(image, entry(vg_id, copy, coco_id, photo), copy)
        regions(vg_id, image, copy)

    # Karpathy's validation image, with one region.
    evaluation = builder.picture((800, 600))
    builder.serve(entry(4, evaluation, _coco_id(5), Photo.number(105)), evaluation)
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
    builder.locate(image, entry(13, claimed), _copy(claimed, 600, 600))
    regions(13, image, claimed, shard_reason="box_mismatch")

    gone = builder.picture((800, 600))
    image = builder.image(gone, "dead")
    builder.locate(image, entry(14, gone))
    regions(14, image, gone)

    region(15, "an image that image_data does not have", (10, 10, 100, 100), rejected("no_image"))


# ------------------------------------------------------------------------------------------- Localized Narratives


def _narrative(picture: Picture, style: int) -> list[str]:
    """Return the sentences of a narrative, without their full stops."""
    scene = SCENES[picture.scene]
    subject = _a(picture.subject)
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


def _localized_narratives(builder: Builder) -> None:
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
        coco_id = _coco_id(position)
        image = builder.image_at(f"http://images.cocodataset.org/train2017/{coco_id:012d}.jpg")
        return str(coco_id), image, _narrative(builder.picture_of(image), position)

    for position in (0, 1, 9, 10, 11):
        short.tell(*captioned(position))
    held_out = "In this image I can see what models are tested on."
    short.add(_narrated(dataset, str(_coco_id(6)), held_out), rejected("evaluation_image"))
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


# -------------------------------------------------------------------------------------------------------- RedCaps


def _red_caps(builder: Builder, shared: Shared) -> None:
    source = "red_caps"
    authors = itertools.cycle(["quiet_heron", "MapleAndMoss", "None", "tin_lantern_7"])
    numbers = itertools.count()

    def post(
        subreddit: str, year: int, url: str, raw: str, caption: str | None, **more: Any
    ) -> tuple[str, dict[str, Any]]:
        number = next(numbers)
        image_id = _base36(40_000_000 + number * 77_777)
        slug = "_".join(word for word in raw.lower().split()[:5] if word.isalnum()) or "untitled"
        record: dict[str, Any] = {
            "image_id": image_id,
            "author": next(authors),
            "url": url,
            "raw_caption": raw,
            "caption": caption,
            "subreddit": subreddit,
            "score": 2 + number * 13 % 400,
            "created_utc": 1_302_998_814 + (year - 2011) * 31_536_000 + number * 86_413,
            "permalink": f"/r/{subreddit}/comments/{image_id}/{slug}/",
            **more,
        }
        if caption is None:
            del record["caption"]
        if number % 5 == 2:
            del record["score"]
        return f"{RED_CAPS_FILE}!/annotations/{subreddit}_{year}.json", record

    def add(subreddit: str, year: int, image: str, url: str, raw: str, caption: str, **more: Any) -> None:
        builder.add(source, *post(subreddit, year, url, raw, caption, **more), kept(image, caption))

    subreddits = ("itookapicture", "cityporn", "crafts", "birdpics", "sailing")
    for number in range(20):
        form = {4: "webp", 9: "gif", 12: "png"}.get(number, "jpeg")
        picture = builder.picture(form=form)  # type: ignore[arg-type]
        reddit = number % 2 == 0
        name = token(f"red caps {number}", 13 if reddit else 7)
        # The names of what reddit serves end in .jpg or .png, whatever it is.
        url = f"https://i.redd.it/{name}.jpg" if reddit else f"https://i.imgur.com/{name}.{picture.extension}"
        image = builder.image(picture, "dead" if number == 18 else "ok")
        builder.locate(image, url, None if number == 18 else picture)
        scene = SCENES[picture.scene]
        raw = (
            f"My {picture.subject} {scene.place} [OC] ({picture.width_px}x{picture.height_px})",
            f"{_a(picture.subject).capitalize()} {picture.time}, made by @someone for his brother",
            f"Spent the weekend on this {picture.subject}, my wife says she likes it",
        )[number % 3]
        caption = (
            f"my {picture.subject} {scene.place}",
            f"{_a(picture.subject)} {picture.time}, made by <usr> for his brother",
            f"spent the weekend on this {picture.subject}, my wife says she likes it",
        )[number % 3]
        more = {"crosspost_parents": ["t3_k2ab9z"]} if number in (6, 13) else {}
        add(subreddits[number % 5], 2017 + number // 7, image, url, raw, caption, **more)

    image, photo = shared.red_caps_sbu
    url = photo.on_farm("_b").replace("http:", "https:")
    builder.locate(image, url, _copy(builder.picture_of(image), 900, 675))
    add("itookapicture", 2017, image, url, "Taken years ago, still my favourite", "taken years ago, still my favourite")

    builder.serve(
        REMOVED_URL,
        Answer(
            notice("The image you are requesting\ndoes not exist\nor is no longer available.", 161, 81),
            content_type="image/png",
        ),
    )
    builder.may_repeat.add(route_of(REMOVED_URL))
    for number in range(2):
        removed = builder.image(status="placeholder")
        url = f"https://i.imgur.com/{token(f'removed {number}', 7)}.jpg"
        builder.locate(removed, url, redirect(REMOVED_URL))
        add("crafts", 2018, removed, url, "A scarf that I knitted", f"a scarf that i knitted, number {number + 1}")

    url = f"https://i.redd.it/{token('odd', 13)}.jpg"
    builder.add(source, *post("cityporn", 2017, url, "[OC] (4032x3024)", ""), rejected("empty_text"))
    album = "https://i.imgur.com/aB3dE5f,gH7iJ9k.jpg"
    builder.add(
        source, *post("crafts", 2017, album, "Before and after", "before and after"), rejected("several_images")
    )
    builder.add(source, *post("crafts", 2018, url, "No other caption", None), rejected("malformed_row"))
    builder.add(
        source, *post("sailing", 2018, "//i.redd.it/nowhere.jpg", "Sailing away", "sailing away"), rejected("bad_url")
    )
    picture = builder.picture()
    image = builder.image(picture)
    url = builder.locate(image, f"https://i.redd.it/{token('twice', 13)}.jpg", picture)
    member, record = post("birdpics", 2019, url, "Posted once, filed twice", "posted once, filed twice")
    builder.add(source, member, record, kept(image, record["caption"]))
    builder.add(source, member, record, rejected("duplicate_row"))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


# ------------------------------------------------------------------------------------------------------- YFCC100M

_LICENCES: Final = (
    ("Attribution-NonCommercial-NoDerivs License", "http://creativecommons.org/licenses/by-nc-nd/2.0/"),
    ("Attribution-ShareAlike License", "http://creativecommons.org/licenses/by-sa/2.0/"),
    ("Attribution License", "http://creativecommons.org/licenses/by/2.0/"),
    ("Attribution-NonCommercial License", "http://creativecommons.org/licenses/by-nc/2.0/"),
    ("Attribution-NonCommercial-ShareAlike License", "http://creativecommons.org/licenses/by-nc-sa/2.0/"),
    ("Attribution-NoDerivs License", "http://creativecommons.org/licenses/by-nd/2.0/"),
)
#: Longitude, latitude, accuracy: United States, Canada, Germany, France, Japan, Kenya, Brazil, Australia, India, South
#: Africa, Nigeria, United Kingdom; and photographs without a place.
_PLACES: Final = (
    ("-81.804885", "24.550558", "12"),
    ("-79.365637", "43.649708", "16"),
    ("13.404954", "52.520008", "15"),
    ("", "", ""),
    ("2.352222", "48.856613", "14"),
    ("139.691711", "35.689487", "16"),
    ("36.817223", "-1.286389", "11"),
    ("", "", ""),
    ("-46.633308", "-23.550520", "12"),
    ("151.209296", "-33.868820", "16"),
    ("72.877656", "19.075984", "13"),
    ("", "", ""),
    ("18.424055", "-33.924870", "16"),
    ("3.379206", "6.524379", "10"),
    ("-0.127758", "51.507351", "16"),
)
_USERS: Final = (
    ("10000001@N00", "harbour lights"),
    ("10000002@N00", "an\xefs"),
    ("10000003@N02", "tin.whistle"),
    ("10000001@N00", "harbour lights"),
    ("10000004@N08", "b_ok"),
)
_GERMAN: Final = (
    "Ein wunderschöner Tag am Meer mit der ganzen Familie und viel Sonnenschein",
    "Wir haben den Nachmittag mit unseren Freunden im Garten verbracht und viel gelacht",
)
_FRENCH: Final = "Une belle promenade dans les rues de la vieille ville avec mes amis pendant les vacances"
_SPANISH: Final = "Una tarde tranquila en el parque con mis hijos y nuestro perro después de la escuela"


def _published_hash(download_url: str) -> str:
    """Return YFCC's hash column: MD5 of the download URL, each byte printed without its leading zero."""
    return "".join(f"{byte:x}" for byte in hashlib.md5(download_url.encode(), usedforsecurity=False).digest())


def _mirror(name: str) -> str:
    return f"https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images/{name[:3]}/{name[3:6]}/{name}.jpg"


class _Yfcc:
    """The rows of YFCC100M in the making."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._lines = itertools.count()
        self._numbers = itertools.count(200)

    def photo(self) -> Photo:
        """Return a photograph that no row has had."""
        return Photo.number(next(self._numbers))

    def columns(self, photo: Photo, title: str, description: str, *, marker: str = "0") -> tuple[str, ...]:
        """Return the 25 columns of a photograph (marker "0") or a video ("1")."""
        number = next(self._lines)
        user, nickname = _USERS[number % len(_USERS)]
        longitude, latitude, accuracy = _PLACES[number % len(_PLACES)]
        licence, licence_url = _LICENCES[number % len(_LICENCES)]
        url = photo.on_farm()
        return (
            str(number),
            str(photo.photo_id),
            _published_hash(url),
            user,
            quote_plus(nickname),
            f"{2006 + number % 8}-{1 + number % 12:02d}-{1 + number % 28:02d} {number % 24:02d}:11:{number % 60:02d}.0",
            str(1_150_000_000 + number * 4_321_987),
            ("Canon+PowerShot+ELPH+310+HS", "NIKON+D90", "")[number % 3],
            quote_plus(title),
            quote_plus(description),
            ("drawing,demo,colour", "square+format,holiday", "")[number % 3],
            "",
            longitude,
            latitude,
            accuracy,
            f"http://www.flickr.com/photos/{user}/{photo.photo_id}/",
            url,
            licence,
            licence_url,
            str(photo.server),
            str(photo.farm),
            photo.secret,
            token(f"original {photo.photo_id}"),
            "jpg",
            marker,
        )

    def place(self, image: str, photo: Photo, picture: Picture, *, held_by: str) -> None:
        """Put the photograph on the mirror, on Flickr, or on neither."""
        url = photo.on_farm()
        self.builder.locate(image, url, picture if held_by == "flickr" else None)
        published = _published_hash(url)
        padded = hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
        if held_by == "padded" and padded == published:
            raise ValueError(f"photo {photo.photo_id} has one name only")
        for name in dict.fromkeys((published, padded)):
            mine = name == (padded if held_by == "padded" else published)
            copy = dataclasses.replace(picture, quality=80) if mine and held_by in ("mirror", "padded") else None
            self.builder.locate(image, _mirror(name), copy)

    def _photo_of(self, picture: Picture, held_by: str = "mirror") -> tuple[str, Photo]:
        photo = self.photo()
        while held_by == "padded" and len(_published_hash(photo.on_farm())) == 32:
            photo = self.photo()
        image = self.builder.image(picture, "dead" if held_by == "nowhere" else "ok")
        self.place(image, photo, picture, held_by=held_by)
        return image, photo

    def add(
        self, title: str, description: str, text: str, picture: Picture, held_by: str = "mirror"
    ) -> tuple[str, ...]:
        """Add a photograph of its own, whose text must come out as `text`; return its columns."""
        image, photo = self._photo_of(picture, held_by)
        record = self.columns(photo, title, description)
        self.builder.add("yfcc100m", YFCC_FILE, record, kept(image, text))
        return record

    def reject(self, reason: str, title: str, description: str, *, marker: str = "0") -> None:
        """Add a row of which nothing comes, so that its image must not be asked for."""
        record = self.columns(self.photo(), title, description, marker=marker)
        self.builder.add("yfcc100m", YFCC_FILE, record, rejected(reason))
        for name in (record[16], _mirror(record[2])):
            self.builder.never_requested.add(route_of(name))


def _yfcc(builder: Builder, shared: Shared) -> None:
    rows = _Yfcc(builder)
    for number in range(14):
        picture = builder.picture(form="exif6" if number == 3 else "jpeg")
        held_by = {3: "flickr", 5: "padded", 7: "flickr", 9: "nowhere"}.get(number, "mirror")
        scene = SCENES[picture.scene]
        text = (
            f"We walked for an hour and then we saw {_a(picture.subject)} {scene.place}.",
            f"My husband took this picture of {_a(picture.subject)} when he was on holiday with the children.",
            f"{scene.detail}, which is why I stopped to look at it.",
        )[number % 3]
        last = rows.add(f"IMG_{520 + number:04d}", text, text, picture, held_by)
    builder.add("yfcc100m", YFCC_FILE, last, rejected("duplicate_row"))

    # Texts that need care.
    rows.add(
        "recipe",
        'The recipe is <a href="http://kitchen.example/cake?id=7&amp;x=1" rel="nofollow">on this page</a>, '
        "and the cake is for <b>my mother</b> &amp; me.",
        "The recipe is on this page, and the cake is for my mother & me.",
        builder.picture(),
    )
    rows.add(
        "DSC_0031",
        "The first line of the description,\nand  the second line with\ttwo spaces.",
        "The first line of the description, and the second line with two spaces.",
        builder.picture(),
    )
    cafe = "We had breakfast in the old cafe\u0301 by the river, and she loved it \U0001f60d"
    rows.add("morning", cafe, cafe, builder.picture())
    # The description does not pass, so the title speaks.
    for title, description in (
        ("A quiet evening by the sea with friends", _GERMAN[0]),
        ("The old bridge over the river in the rain", _FRENCH),
        ("My sister and her new bicycle in the garden", ""),
        ("The view from our window this morning", "Love it"),
        ("Three birds are sitting on a branch", '<a href="http://www.flickr.com/photos/10000001@N00/"></a>'),
    ):
        rows.add(title, description, title, builder.picture())
    # The same photograph elsewhere, under another URL.
    for (image, photo), text in (
        (shared.everywhere, "This is the photograph that you will find in every data set."),
        (shared.vg_yfcc, "The boy and his dog were waiting for us behind the house."),
        (shared.sbu_yfcc, "I like the colours in this picture more than in the other ones."),
        (shared.cc12m_yfcc, "A large version of this picture is used by many web sites."),
    ):
        rows.place(image, photo, _copy(builder.picture_of(image), 500, 375), held_by="flickr")
        builder.add("yfcc100m", YFCC_FILE, rows.columns(photo, f"P{photo.server}", text), kept(image, text))
    _yfcc_rejected(rows)


def _yfcc_rejected(rows: _Yfcc) -> None:
    rows.reject("video", "A short film of the harbour", "We filmed the boats in the harbour this morning.", marker="1")
    rows.reject("video", "MVI_0042", "The children are singing a song for their grandmother.", marker="1")
    rows.reject("too_few_words", "Blue sky", "Love it")
    rows.reject("too_few_words", "IMG_0999", "")
    rows.reject("not_english", _GERMAN[1], _SPANISH)
    rows.reject("not_english", "DSC_0012", _FRENCH)
    short = rows.columns(rows.photo(), "A row that was cut", "This row has lost its last column.")[:-1]
    rows.builder.add("yfcc100m", YFCC_FILE, short, rejected("malformed_row"))
    broken = rows.columns(rows.photo(), "A row in another encoding", "This row is not in UTF-8 at all.")
    latin = "\t".join((*broken[:4], "ren\xe9", *broken[5:])).encode("latin-1")
    rows.builder.add("yfcc100m", YFCC_FILE, latin, rejected("bad_encoding"))


# ------------------------------------------------------------------------------------------------------------ SBU


def _sbu(builder: Builder, shared: Shared) -> None:
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
            f"{_a(picture.subject)} {scene.place}",
            f"This is a shot of {_a(picture.subject)} {picture.time}",
            f"My little brother drew {_a(picture.subject)} for our mom",
            f"The {picture.subject}  {scene.place} - as I saw it on Sunday ",
        )[number % 4]
        record = add(url, caption, kept(image, caption))
    builder.add(source, SBU_FILE, record, rejected("duplicate_row"))
    for image, photo in (shared.everywhere, shared.coco_sbu, shared.sbu_yfcc, shared.red_caps_sbu):
        caption = f"{_a(builder.picture_of(image).subject)} in the box where I keep old pictures"
        add(photo.static(), caption, kept(image, caption))
    add(Photo.number(450).static(), "  ", rejected("empty_text"))
    add("static.flickr.com/2723/no-scheme.jpg", "a picture without a scheme", rejected("bad_url"))


# ------------------------------------------------------------------------------------ Conceptual Captions, both


@dataclasses.dataclass(frozen=True)
class _Page:
    """A place on the web that does something in particular, and the status in which its image ends."""

    url: str
    status: str
    answer: Answer | None


def _conceptual(builder: Builder, shared: Shared) -> None:
    _cc3m(builder)
    _cc12m(builder, shared)


def _alt(picture: Picture, number: int) -> str:
    scene = SCENES[picture.scene]
    return (
        f"{_a(picture.subject)} {scene.place} {picture.time} .",
        f"illustration of {_a(picture.subject)} {scene.place} , vector",
        f"a woman is shown {_a(picture.subject)} by her son .",
        f"actor arrives with {_a(picture.subject)} at the premiere of his film .",
    )[number % 4]


def _cc3m(builder: Builder) -> None:
    source = "conceptual_captions"
    hosts = itertools.cycle(["photos.garden-blog.example", "www.travel-notes.example", "cdn.shop.example"])

    def add(caption: str, url: str, outcome: Outcome) -> tuple[str, str]:
        record = (caption, url)
        builder.add(source, CC3M_FILE, record, outcome)
        return record

    record = ("", "")
    for number in range(14):
        picture = builder.picture(form="png" if number == 4 else "jpeg")
        image = builder.image(picture)
        query = "?imgmax=800" if number == 2 else ""
        name = f"picture-{token(f'cc3m {number}', 6)}.{picture.extension}{query}"
        url = f"http://{next(hosts)}/{2009 + number % 9}/{number:02d}/{name}"
        builder.locate(image, url, picture)
        record = add(_alt(picture, number), url, kept(image, _alt(picture, number)))
    builder.add(source, CC3M_FILE, record, rejected("duplicate_row"))

    for number, (what, code) in enumerate(
        (
            (f"http://www.travel-notes.example/new/{token('moved', 6)}.jpg", 301),
            ("/kept/relative.jpg", 302),
        )
    ):
        picture = builder.picture()
        image = builder.image(picture)
        host = ("old-blog.example", "photos.garden-blog.example")[number]
        target = what if what.startswith("http") else f"http://{host}{what}"
        builder.serve(target, picture)
        url = builder.locate(image, f"http://{host}/2008/entry-{number}.jpg", redirect(what, code))
        add(_alt(picture, number), url, kept(image, _alt(picture, number)))

    for status, answer, caption in (
        ("dead", page("Not Found", 404), "a page that is no longer there ."),
        ("forbidden", page("Forbidden", 403), "a host that lets nobody in ."),
        ("not_an_image", page("Welcome to our new site"), "a site that answers with its home page ."),
        ("server_error", page("Internal Server Error", 500), "a host that has an error of its own ."),
    ):
        image = builder.image(status=status)
        url = builder.locate(image, f"http://{status.replace('_', '-')}.blog.example/img/photo.jpg", answer)
        add(caption, url, kept(image, caption))
        if status == "server_error":
            builder.may_repeat.add(route_of(url))

    quoted = '" hello " , said the man to his daughter'  # a quote at the start, which is no quoting
    picture = builder.picture()
    image = builder.image(picture)
    add(quoted, builder.locate(image, "http://cdn.shop.example/q/hello.jpg", picture), kept(image, quoted))
    # One URL in both collections, and one under two spellings.
    for number in range(2):
        picture = builder.picture()
        image = builder.image(picture)
        url = builder.locate(
            image, f"http://both.blog.example{'' if number == 0 else ':80'}/shared-{number}.jpg", picture
        )
        add(_alt(picture, number), url, kept(image, _alt(picture, number)))

    add("", "http://cdn.shop.example/empty.jpg", rejected("empty_text"))
    add("a picture on a host of another kind .", "ftp://ftp.example/pub/picture.jpg", rejected("bad_url"))
    builder.add(source, CC3M_FILE, ("a caption without a url .",), rejected("malformed_row"))
    builder.add(
        source, CC3M_FILE, ("a caption", "http://cdn.shop.example/x.jpg", "and more"), rejected("malformed_row")
    )
    builder.add(
        source,
        CC3M_FILE,
        "caf\xe9 in a street .\thttp://cdn.shop.example/y.jpg".encode("latin-1"),
        rejected("bad_encoding"),
    )


def _cc12m(builder: Builder, shared: Shared) -> None:
    source = "conceptual_12m"

    def add(url: str, caption: str, outcome: Outcome) -> None:
        builder.add(source, CC12M_FILE, (url, caption), outcome)

    def good(url: str, caption: str, picture: Picture, answer: Answer | None = None) -> str:
        image = builder.image(picture)
        add(builder.locate(image, url, answer or picture), caption, kept(image, caption))
        return image

    hosts = itertools.cycle(["media.news.example", "shop.example", "kitchen.example", "static.kitchen.example"])
    for number in range(16):
        form = {2: "cmyk", 5: "avif", 8: "webp", 11: "png"}.get(number, "jpeg")
        picture = builder.picture(form=form)  # type: ignore[arg-type]
        scheme = "https" if number % 4 == 1 else "http"
        name = f"{token(f'cc12m {number}', 8)}.{picture.extension}"
        url = f"{scheme}://{next(hosts)}/wp-content/uploads/20{10 + number % 10}/{name}"
        scene = SCENES[picture.scene]
        caption = (
            f"<PERSON> with {_a(picture.subject)} {scene.place}",
            f"{picture.subject.title()} {scene.place.title()} - Image 7 of 10",
            f"{scene.detail}. Photo: <PERSON>, who gave it to her husband",
            f"{_a(picture.subject).capitalize()} {picture.time} \U0001f5bc  | Kitchen & More",
        )[number % 4]
        good(url, caption, picture)

    # A host that asks for a pause is left alone with all of its domain, so these two have domains of their own.
    picture = builder.picture()
    good(
        "http://busy.example/photo.jpg",
        "A host that was busy for a moment",
        picture,
        Answer(Drawing(picture), behaviour="busy_once"),
    )
    builder.may_repeat.add(route_of("http://busy.example/photo.jpg"))
    picture = builder.picture()
    good(
        "http://slow.blog.example/photo.jpg",
        "A host that is slow but gets there",
        picture,
        Answer(Drawing(picture), behaviour="drip"),
    )

    truncated = encoded(builder.picture((640, 480)))
    for place in (
        _Page("http://nowhere.blog.example/a/photo.jpg", "dead", page("Not Found", 404)),
        _Page("http://nowhere.blog.example/b/photo.jpg", "dead", page("Gone", 410)),
        _Page("http://law.blog.example/photo.jpg", "forbidden", page("Unavailable For Legal Reasons", 451)),
        _Page(
            "http://overloaded.example/photo.jpg",
            "rate_limited",
            dataclasses.replace(page("Service Unavailable", 503), headers=(("Retry-After", "1"),)),
        ),
        _Page("http://gibberish.blog.example/photo.jpg", "server_error", Answer(behaviour="garbage")),
        _Page("http://silent.blog.example/photo.jpg", "connection", Answer(behaviour="drop")),
        _Page("https://untrusted.blog.example/photo.jpg", "tls", Answer(Drawing(builder.picture()))),
        _Page("http://loop.blog.example/1.jpg", "too_many_redirects", redirect("http://loop.blog.example/2.jpg")),
        _Page("http://endless.blog.example/photo.jpg", "too_large", Answer(truncated, behaviour="endless")),
        _Page("http://half.blog.example/photo.jpg", "undecodable", Answer(truncated[: len(truncated) // 2])),
        _Page("http://huge.blog.example/photo.png", "bomb", Answer(bomb_png(), content_type="image/png")),
        _Page("http://pixel.blog.example/track.gif", "too_small", Answer(tracking_pixel(), content_type="image/gif")),
        _Page(
            "http://noai.blog.example/photo.jpg",
            "opted_out",
            Answer(Drawing(builder.picture()), headers=(("X-Robots-Tag", "noai, noimageai"),)),
        ),
        _Page("http://robots.blog.example/private/photo.jpg", "opted_out", Answer(Drawing(builder.picture()))),
        _Page("http://reserved.blog.example/photo.jpg", "opted_out", Answer(Drawing(builder.picture()))),
        _Page(
            "http://trap.blog.example/metadata.jpg",
            "blocked_address",
            redirect("http://169.254.169.254/latest/meta-data/"),
        ),
        _Page("http://trap.blog.example/file.jpg", "blocked_address", redirect("file:///etc/passwd")),
        _Page("http://192.168.1.20/cam/photo.jpg", "blocked_address", Answer(Drawing(builder.picture()))),
    ):
        image = builder.image(status=place.status)
        caption = f"A photo at {place.url.split('/')[2].split('.')[0]}, which ends as {place.status.replace('_', ' ')}"
        add(builder.locate(image, place.url, place.answer), caption, kept(image, caption))
    builder.serve("http://loop.blog.example/2.jpg", redirect("http://loop.blog.example/1.jpg"))
    builder.serve("http://169.254.169.254/latest/meta-data/", Answer(Drawing(builder.picture())))
    builder.untrusted_hosts.add("untrusted.blog.example")
    for url in (
        "http://169.254.169.254/latest/meta-data/",
        "http://192.168.1.20/cam/photo.jpg",
        "http://robots.blog.example/private/photo.jpg",
        "http://reserved.blog.example/photo.jpg",
    ):
        builder.never_requested.add(route_of(url))
    for url in (
        "http://overloaded.example/photo.jpg",
        "http://gibberish.blog.example/photo.jpg",
        "http://silent.blog.example/photo.jpg",
        "http://loop.blog.example/1.jpg",
        "http://loop.blog.example/2.jpg",
        "http://endless.blog.example/photo.jpg",
    ):
        builder.may_repeat.add(route_of(url))

    # The same bytes under two URLs: a repost. And one notice under twelve: a host that forbids hot links.
    picture = builder.picture()
    for number in range(2):
        image = builder.image(picture, same_bytes="repost")
        caption = f"A picture that two sites have, seen on site number {number + 1}"
        url = builder.locate(image, f"http://repost-{number + 1}.blog.example/photo.jpg", picture)
        add(url, caption, kept(image, caption))
    forbidden = Answer(notice("Please do not hotlink"), content_type="image/png")
    for number in range(_PLACEHOLDER_URLS):
        image = builder.image(same_bytes="hotlink")
        caption = f"Wallpaper number {number + 1} of the mountains and the sea"
        url = builder.locate(
            image, f"http://img.hotlink.example/wallpapers/{token(f'hotlink {number}', 8)}.jpg", forbidden
        )
        add(url, caption, kept(image, caption))

    image, photo = shared.cc12m_yfcc
    caption = "A large version of a picture from Flickr"
    add(photo.live("_b"), caption, kept(image, caption))
    for number, spelling in enumerate(
        ("http://both.blog.example/shared-0.jpg", "http://BOTH.blog.example/shared-1.jpg#top")
    ):
        url = f"http://both.blog.example{'' if number == 0 else ':80'}/shared-{number}.jpg"
        image = builder.image_at(url)
        caption = f"The same address as in the smaller collection, number {number + 1}"
        add(builder.locate(image, spelling), caption, kept(image, caption))

    add("http://kitchen.example/empty.jpg", " ", rejected("empty_text"))
    add("not a url at all", "A caption beside something that is no address", rejected("bad_url"))
    builder.add(source, CC12M_FILE, ("http://kitchen.example/no-caption.jpg",), rejected("malformed_row"))
    # The last row of cc12m.tsv has no newline after it.
    good("http://kitchen.example/last.jpg", "The last row of the file, without a newline", builder.picture())


# ------------------------------------------------------------------------------------------------------------ WIT

WIT_COLUMNS: Final = (
    "language",
    "page_url",
    "image_url",
    "page_title",
    "section_title",
    "hierarchical_section_title",
    "caption_reference_description",
    "caption_attribution_description",
    "caption_alt_text_description",
    "mime_type",
    "original_height",
    "original_width",
    "is_main_image",
    "attribution_passes_lang_id",
    "page_changed_recently",
    "context_page_description",
    "context_section_description",
)


def _wit(builder: Builder) -> None:
    source = "wit"
    numbers = itertools.count()

    def row(
        url: str, picture: Picture | None, language: str = "en", section: str = "", **captions: str
    ) -> tuple[str, ...]:
        number = next(numbers)
        title = f"Drawing {number}" if picture is None else f"{picture.subject.capitalize()} (drawing)"
        mime = "image/svg+xml" if url.endswith(".svg") else "image/png" if url.endswith(".png") else "image/jpeg"
        values = {
            "language": language,
            "page_url": f"https://{language}.wikipedia.org/wiki/{quote(title.replace(' ', '_'))}",
            "image_url": url,
            "page_title": title,
            "section_title": section,
            "hierarchical_section_title": f"{title} / {section}" if section else title,
            "caption_reference_description": captions.get("reference", ""),
            "caption_attribution_description": captions.get("attribution", ""),
            "caption_alt_text_description": captions.get("alt", ""),
            "mime_type": mime,
            "original_height": str(picture.height_px if picture else 400),
            "original_width": str(picture.width_px if picture else 400),
            "is_main_image": "false" if section else "true",
            "attribution_passes_lang_id": "true" if language == "en" else "false",
            "page_changed_recently": "true" if number % 2 else "false",
            "context_page_description": f'{title} is a drawing.\nIt has "quoted" words, a tab\there, and two lines.',
            "context_section_description": f"{title} is a drawing." if section else "",
        }
        return tuple(values[column] for column in WIT_COLUMNS)

    def upload(picture: Picture, name: str | None = None) -> str:
        name = name or f"{picture.subject.capitalize().replace(' ', '_')}.{picture.extension}"
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        return f"https://upload.wikimedia.org/wikipedia/commons/{digest[0]}/{digest[:2]}/{quote(name)}"

    def add(picture: Picture, text: str, name: str | None = None, **captions: str) -> tuple[str, str, tuple[str, ...]]:
        image = builder.image(picture)
        url = builder.locate(image, upload(picture, name), picture)
        record = row(url, picture, **captions)
        builder.add(source, WIT_FILE, record, kept(image, text))
        return image, url, record

    for number in range(9):
        picture = builder.picture(form="png" if number == 6 else "jpeg")
        scene = SCENES[picture.scene]
        text = (
            f"{_a(picture.subject).capitalize()} {scene.place}, drawn in 2009",
            f"Drawing of {_a(picture.subject)}, with\na second line, by the artist and her students",
            f"{scene.detail}; “the finest of its kind”",
        )[number % 3]
        image, url, record = add(
            picture, text, reference=text, attribution=f"English: {picture.subject.capitalize()} in a drawing"
        )
    builder.add(source, WIT_FILE, record, rejected("duplicate_row"))
    again = "The same image in another section of the same page"
    builder.add(source, WIT_FILE, row(url, picture, section="Gallery", reference=again), kept(image, again))

    # No reference description: the attribution, or the alternative text, speaks.
    add(
        builder.picture(), "A drawing of the harbour at night", attribution="English: A drawing of the harbour at night"
    )
    add(
        builder.picture(),
        "View over the old town",
        attribution="English: View over the old town Deutsch: Blick über die Altstadt",
    )
    add(builder.picture(), "a drawing of several houses", alt="a drawing of several houses")
    add(
        builder.picture(),
        "A street in the old town of Strasbourg",
        name="Straße_in_Straßburg.jpg",
        reference="A street in the old town of Strasbourg",
    )

    vector = builder.image(status="not_an_image")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400"><circle cx="200" cy="200" r="150"/></svg>'
    url = "https://upload.wikimedia.org/wikipedia/commons/4/4f/A_black_circle.svg"
    builder.locate(vector, url, Answer(svg, content_type="image/svg+xml"))
    text = "A black circle as a vector drawing"
    builder.add(source, WIT_FILE, row(url, None, reference=text), kept(vector, text))

    elsewhere = upload(builder.picture(), "Not_asked_for.jpg")
    builder.never_requested.add(route_of(elsewhere))
    for language, reference in (
        ("de", "Ein Segelboot auf dem Meer bei Sonnenuntergang"),
        ("fr", "Un voilier sur la mer au coucher du soleil"),
        ("ru", "Парусная лодка на море на закате"),
        ("es", "Un velero en el mar al atardecer"),
    ):
        builder.add(source, WIT_FILE, row(elsewhere, None, language, reference=reference), rejected("language"))
    builder.add(source, WIT_FILE, row(elsewhere, None), rejected("no_caption"))
    builder.add(
        source,
        WIT_FILE,
        row(elsewhere, None, reference="A row that lacks its last column")[:-1],
        rejected("malformed_row"),
    )


# ------------------------------------------------------------------------------------------------------- policies


def _policies(builder: Builder) -> None:
    """Serve what hosts say about who may take their pictures."""
    robots = b"User-agent: *\nDisallow: /private/\n"
    builder.serve("http://robots.blog.example/robots.txt", Answer(robots, content_type="text/plain"))
    reserved = b'[{"location": "/", "tdm-reservation": 1}]\n'
    builder.serve(
        "http://reserved.blog.example/.well-known/tdmrep.json", Answer(reserved, content_type="application/json")
    )
    everyone = b"User-agent: *\nAllow: /\nCrawl-delay: 0\n"
    builder.serve("https://upload.wikimedia.org/robots.txt", Answer(everyone, content_type="text/plain"))
