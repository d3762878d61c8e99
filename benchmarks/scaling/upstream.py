"""Annotation files of all twelve sources in PMD's proportions and upstream's forms, at a fraction of PMD's size.

Rows are those of the upstream releases (docs/sources.md), times the fraction: at 1/100 one million of YFCC100M's photographs and
370,000 rows of WIT. Texts are random words with the lengths of FLAVA's Table 2. The same fraction gives the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from curate import yfcc100m
from plan import coco

from benchmarks.scaling.pictures import picture
from pmd.demo.files import WIT_COLUMNS

#: Rows, images or records of the upstream releases.
WHOLE: Final = {
    "coco": 591_753,
    "visual_genome": 108_077,
    "localized_narratives__openimages": 507_444,
    "localized_narratives__coco": 134_272,
    "localized_narratives__flickr30k": 30_546,
    "localized_narratives__ADE20k": 20_210,
    "red_caps": 12_011_121,
    "yfcc100m": 100_000_000,
    "sbu_captions": 1_000_000,
    "conceptual_captions": 3_318_333,
    "conceptual_12m": 12_423_374,
    "wit": 37_000_000,
}

_WORDS: Final = (  # noqa: SIM905
    "a the of on in with and from at my our this morning last day night first time out over man woman dog street red blue "
    "old stone bridge water cup table light sign tree green window small large two people standing near white building "
    "sky car front beach sunset mountain snow child birthday party family garden river church market train station "
    "walking looking down up after before some view taken during trip friends house flowers cat playing made"
).split()
#: Languages of WIT, of which the English rows are some 13 of 100, and half of those have a caption.
_WIT_LANGUAGES: Final = ("en", "de", "fr", "es", "ru", "it", "nl", "sv")
_REGIONS: Final = 50
_SUBREDDITS: Final = ("itookapicture", "cityporn", "crafts", "birdpics", "sailing", "food", "cats")


def _said(dice: random.Random, fewest: int, most: int) -> str:
    return " ".join(dice.choices(_WORDS, k=dice.randrange(fewest, most)))


def _host(dice: random.Random) -> str:
    """Return a host of the web at large: a few have many pictures, many have few."""
    return f"site{int(dice.paretovariate(0.5)) % 20_000}.example"


def _two_columns(rows: int, seed: int, *, url_first: bool, fewest: int, most: int) -> Iterator[str]:
    dice = random.Random(seed)
    for number in range(rows):
        url = f"http://{_host(dice)}/uploads/{seed}/{dice.getrandbits(64):016x}.jpg"
        text = f"{_said(dice, fewest, most)} {number % 9973}"
        yield f"{url}\t{text}\n" if url_first else f"{text}\t{url}\n"


def _narratives(rows: int, dataset: str, ids: Iterable[str]) -> Iterator[str]:
    dice = random.Random(len(dataset))
    for _, image_id in zip(range(rows), ids, strict=False):
        caption = ". ".join(_said(dice, 9, 18).capitalize() for _ in range(2 + dice.randrange(2))) + "."
        record = {"dataset_id": dataset, "image_id": image_id, "annotator_id": dice.randrange(200), "caption": caption}
        yield json.dumps(record) + "\n"


def _visual_genome(images: int, folder: Path) -> list[Path]:
    dice = random.Random(5)
    named = [
        {
            "width": 256, "height": 192, "image_id": number, "coco_id": None, "flickr_id": None,
            "url": f"http://cs.stanford.edu/people/rak248/VG_100K/{number}.jpg",
        }
        for number in range(1, images + 1)
    ]  # fmt: skip
    described = []
    for number in range(1, images + 1):
        regions = []
        for place in range(_REGIONS):
            width, height = dice.randrange(40, 128), dice.randrange(40, 96)
            regions.append(
                {
                    "region_id": number * _REGIONS + place, "width": width, "height": height, "image_id": number,
                    "phrase": _said(dice, 3, 8), "x": dice.randrange(128), "y": dice.randrange(96),
                }
            )  # fmt: skip
        described.append({"regions": regions, "id": number})
    return [
        _put(folder / "image_data.json", [json.dumps(named)]),
        _put(folder / "region_descriptions.json", [json.dumps(described)]),
    ]


def _red_caps(posts: int, folder: Path) -> list[Path]:
    dice = random.Random(7)
    by_member: dict[str, list[dict[str, Any]]] = {}
    for number in range(posts):
        subreddit, year = dice.choice(_SUBREDDITS), dice.randrange(2012, 2021)
        image_id = f"{40_000_000 + number:x}"
        text = f"{_said(dice, 6, 13)} {number % 9973}"
        host = dice.choice(("i.redd.it", "i.imgur.com"))
        by_member.setdefault(f"annotations/{subreddit}_{year}.json", []).append(
            {
                "image_id": image_id, "author": f"user_{int(dice.paretovariate(0.8)) % 100_000}", "subreddit": subreddit,
                "url": f"http://{host}/{dice.getrandbits(60):013x}.jpg", "raw_caption": text, "caption": text,
                "score": 3, "created_utc": 1_302_998_814 + (year - 2011) * 31_536_000 + number,
                "permalink": f"/r/{subreddit}/comments/{image_id}/x/",
            }
        )  # fmt: skip
    path = folder / "redcaps_v1.0_annotations.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, posted in sorted(by_member.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, json.dumps({"info": {"version": "1.0"}, "annotations": posted}))
    return [path]


def _sbu(rows: int, folder: Path) -> list[Path]:
    dice = random.Random(8)
    urls, users, captions = [], [], []
    for number in range(rows):
        photo = 4_000_000_000 + 131 * number
        urls.append(f"http://static.flickr.com/{dice.randrange(2000, 6000)}/{photo}_{dice.getrandbits(40):010x}.jpg")
        users.append(f"{int(dice.paretovariate(0.8)) % 50_000}@N00")
        captions.append(f"{_said(dice, 8, 17)} {number % 9973}")
    return [
        _put(
            folder / "sbu-captions-all.json",
            [json.dumps({"image_urls": urls, "user_ids": users, "captions": captions})],
        )
    ]


def _wit(rows: int, folder: Path) -> list[Path]:
    dice = random.Random(9)
    path = folder / "wit_v1.train.all-00000-of-00010.tsv.gz"
    with (
        path.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as target,
    ):
        writer = csv.writer(target, delimiter="\t", lineterminator="\n")
        writer.writerow(WIT_COLUMNS)
        for number in range(rows):
            language = dice.choice(_WIT_LANGUAGES)
            title = f"Thing {number // 2}"
            text = f"{_said(dice, 8, 17)} {number % 9973}"
            name = f"Thing_{dice.randrange(max(1, rows // 3))}.jpg"
            values = dict.fromkeys(WIT_COLUMNS, "") | {
                "language": language,
                "page_url": f"https://{language}.wikipedia.org/wiki/{quote(title.replace(' ', '_'))}",
                "image_url": f"http://upload.wikimedia.org/wikipedia/commons/{name[6:7]}/{name[6:8]:0>2}/{name}",
                "page_title": title, "hierarchical_section_title": title, "mime_type": "image/jpeg",
                "caption_reference_description": text if dice.random() < 0.6 else "",
                "caption_attribution_description": f"English: {text}" if dice.random() < 0.4 else "",
                "original_height": "192", "original_width": "256", "is_main_image": "true",
                "attribution_passes_lang_id": "true", "page_changed_recently": "false",
                "context_page_description": f"{title} is something.",
            }  # fmt: skip
            writer.writerow([values[column] for column in WIT_COLUMNS])
    return [path]


def _archive(path: Path, members: Iterable[str]) -> Path:
    """Write a tar or zip of pictures, with the names given."""
    if path.suffix == ".tar":
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for name in members:
                content, info = picture(name), tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name in members:
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), picture(name))
    return path


def _put(path: Path, lines: Iterable[str]) -> Path:
    with path.open("w", encoding="utf-8") as target:
        target.writelines(lines)
    return path


def write(folder: Path, fraction: float) -> dict[str, tuple[list[Path], list[Path]]]:
    """Write all files; return source → (annotation files, archives of images)."""
    folder.mkdir(parents=True, exist_ok=True)
    of = {name: max(20, round(rows * fraction)) for name, rows in WHOLE.items()}
    flickr30k = [str(1_000_092_795 + 911 * number) for number in range(of["localized_narratives__flickr30k"])]
    ade20k = [f"ADE_train_{number:08d}" for number in range(1, of["localized_narratives__ADE20k"] + 1)]
    openimages = (f"{number * 2_654_435_761 % 2**64:016x}" for number in range(1, 10**9))
    in_coco = [str(391_895 + 3 * number) for number in range(of["localized_narratives__coco"])]
    return {
        "coco": ([_put(folder / "captions_train2017.json", coco(of["coco"]))], []),
        "visual_genome": (_visual_genome(of["visual_genome"], folder), []),
        "localized_narratives__openimages": (
            [
                _put(
                    folder / "open_images_train_v6_captions.jsonl",
                    _narratives(of["localized_narratives__openimages"], "open_images_train", openimages),
                )
            ],
            [],
        ),
        "localized_narratives__coco": (
            [_put(folder / "coco_train_captions.jsonl", _narratives(len(in_coco), "mscoco_train2017", in_coco))],
            [],
        ),
        "localized_narratives__flickr30k": (
            [
                _put(
                    folder / "flickr30k_train_captions.jsonl", _narratives(len(flickr30k), "Flickr30k_train", flickr30k)
                )
            ],
            [_archive(folder / "flickr30k-images.tar", (f"flickr30k-images/{name}.jpg" for name in flickr30k))],
        ),
        "localized_narratives__ADE20k": (
            [_put(folder / "ade20k_train_captions.jsonl", _narratives(len(ade20k), "ADE20k_train", ade20k))],
            [
                _archive(
                    folder / "ADEChallengeData2016.zip",
                    (f"ADEChallengeData2016/images/training/{name}.jpg" for name in ade20k),
                )
            ],
        ),
        "red_caps": (_red_caps(of["red_caps"], folder), []),
        "yfcc100m": ([_put(folder / "yfcc100m_dataset.tsv", yfcc100m(of["yfcc100m"]))], []),
        "sbu_captions": (_sbu(of["sbu_captions"], folder), []),
        "conceptual_captions": (
            [
                _put(
                    folder / "Train_GCC-training.tsv",
                    _two_columns(of["conceptual_captions"], 3, url_first=False, fewest=7, most=15),
                )
            ],
            [],
        ),
        "conceptual_12m": (
            [_put(folder / "cc12m.tsv", _two_columns(of["conceptual_12m"], 12, url_first=True, fewest=10, most=25))],
            [],
        ),
        "wit": (_wit(of["wit"], folder), []),
    }
