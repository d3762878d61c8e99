"""A small world to take things down from: people's photographs on Flickr, some of them in COCO too, and pictures of hosts.

==============  ====================================================================================================
USER            four photographs in SBU Captions, one of which COCO has, and one that somebody else's page shows as well
PAGE            the Flickr page of a photograph of another user
PHOTO           a picture on one.example, the same bytes of which two.example has, under other captions
==============  ====================================================================================================
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

from pmd import config
from pmd.config import Config
from pmd.schema import keys
from pmd.store import storage
from pmd.text import url_identity
from tests.pipelines import building

USER: Final = "11111111@N01"
OTHER: Final = "22222222@N02"
PROFILE: Final = f"https://www.flickr.com/people/{USER}/"
PAGE: Final = f"https://www.flickr.com/photos/{OTHER}/5005/"
PHOTO_URL: Final = "http://one.example/portrait.jpg"
COPY_URL: Final = "http://two.example/copied.jpg"
#: Said by many, the user among them: audits show what is repeated.
REPEATED: Final = "a sunny day at the beach with all the family"
SAMPLES_PER_SHARD: Final = 3

_MINE: Final = (5001, 5002, 5003, 5004)
_OTHERS: Final = (5005, 5006, 5007, 5008, 5009, 5010, 5011, 5012, 5013, 5014, 5015, 5016)
_PLACES: Final = tuple(f"http://host{number % 3}.example/{number}.jpg" for number in range(8))


def photo_url(number: int) -> str:
    """Return where a photograph lies."""
    return f"http://farm1.staticflickr.com/2/{number}_abcdef.jpg"


def picture(seed: int) -> bytes:
    """Return a picture that looks like no other."""
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((96, 80), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def web() -> dict[bytes, bytes]:
    """Return image_id → bytes of all that is there."""
    found = {photo_url(number): picture(number) for number in (*_MINE, *_OTHERS)}
    found |= {url: picture(100 + number) for number, url in enumerate(_PLACES)}
    found |= {PHOTO_URL: picture(1), COPY_URL: picture(1)}
    # A photograph of the user's, encoded anew, on a host of somebody else's.
    with Image.open(io.BytesIO(picture(5002))) as image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=92)
    found["http://mirror.example/again.jpg"] = buffer.getvalue()
    by_id = {keys.image_id(str(url_identity.of_one(url))): content for url, content in found.items()}
    by_id[keys.image_id("coco:77")] = by_id[keys.image_id("flickr:5003")]
    return by_id


def write(folder: Path, name: str = "pmd", more: str = "") -> Config:
    """Write the annotation files and a configuration, whose ROOT is `folder`/`name`."""
    data = folder / "data"
    if not data.exists():
        data.mkdir(parents=True)
        numbers = (*_MINE, *_OTHERS)
        sbu = {
            "image_urls": [photo_url(number) for number in numbers],
            "user_ids": [USER if number in _MINE else OTHER for number in numbers],
            "captions": [
                REPEATED if number % 2 else f"a small wooden house by the river number {number}" for number in numbers
            ],
        }
        (data / "sbu-captions-all.json").write_text(json.dumps(sbu), encoding="utf-8")
        lines = [f"a picture of a mountain lake in summer, view {number}\t{url}" for number, url in enumerate(_PLACES)]
        lines += [
            f"the portrait of a person by a window\t{PHOTO_URL}",
            f"somebody looks out of a window\t{COPY_URL}",
            "the same photograph on another page\thttp://mirror.example/again.jpg",
        ]
        (data / "GCC-training.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        image = {
            "id": 77,
            "file_name": "000000000077.jpg",
            "coco_url": "http://images.cocodataset.org/train2017/000000000077.jpg",
            "flickr_url": photo_url(5003),
            "license": 1,
            "height": 80,
            "width": 96,
        }
        licence = {
            "id": 1,
            "name": "Attribution License",
            "url": "http://creativecommons.org/licenses/by/2.0/",
        }
        said = [{"id": 7, "image_id": 77, "caption": "A house that stands by a river."}]
        coco = {"images": [image], "licenses": [licence], "annotations": said}
        (data / "captions_train2017.json").write_text(json.dumps(coco), encoding="utf-8")
    text = f"""
root = "{folder}/{name}"
profile = "recommended"
contact = "mailto:tests@example.org"
{more}
[sources.sbu_captions]
annotations = ["{data}/sbu-captions-all.json"]
[sources.conceptual_captions]
annotations = ["{data}/GCC-training.tsv"]
[sources.coco]
annotations = ["{data}/captions_train2017.json"]
exclude_karpathy = "none"
[dedupe]
near = "merge"
[shard]
formats = ["webdataset", "parquet"]
samples_per_shard = {SAMPLES_PER_SHARD}
"""
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    chosen = config.load(str(path))
    return dataclasses.replace(chosen, shard=chosen.shard.model_copy(update={"window": 1}))


@contextlib.contextmanager
def small() -> Iterator[pytest.MonkeyPatch]:
    """Work as `building.small` does, on this world's web."""
    pictures = web()
    with building.small() as patch:
        patch.setattr("tests.tiny_root._web", lambda: pictures)
        yield patch


def files(where: str) -> dict[str, bytes]:
    """Return the files of a ROOT, but for those that tell when it was written, and by whom."""
    told = ("writer.json", "writer.lock", "fetch/register", "takedown/")
    return {
        name: storage.read_bytes(storage.join(where, name))
        for name in storage.list_files(where)
        if not name.startswith(told)
    }
