"""Writes the demo's annotation files and archives, each in upstream's own format, name and compression.

From the rows of a world (`pmd.demo.world`) to files; which rows there are is decided there. The same world gives
the same bytes: archives carry no clock.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from pmd.demo import files
from pmd.demo.world import Row, World

#: The first date that a zip file can carry.
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = 0o644

_COCO_INFO: Final = {
    "description": "COCO 2017 Dataset",
    "url": "http://cocodataset.org",
    "version": "1.0",
    "year": 2017,
    "contributor": "COCO Consortium",
    "date_created": "2017/09/01",
}
_COCO_LICENCES: Final = (
    ("http://creativecommons.org/licenses/by-nc-sa/2.0/", "Attribution-NonCommercial-ShareAlike License"),
    ("http://creativecommons.org/licenses/by-nc/2.0/", "Attribution-NonCommercial License"),
    ("http://creativecommons.org/licenses/by-nc-nd/2.0/", "Attribution-NonCommercial-NoDerivs License"),
    ("http://creativecommons.org/licenses/by/2.0/", "Attribution License"),
    ("http://creativecommons.org/licenses/by-sa/2.0/", "Attribution-ShareAlike License"),
    ("http://creativecommons.org/licenses/by-nd/2.0/", "Attribution-NoDerivs License"),
    ("http://flickr.com/commons/usage/", "No known copyright restrictions"),
    ("http://www.usa.gov/copyright.shtml", "United States Government Work"),
)
_RED_CAPS_INFO: Final = {
    "start_date": "2008-01-01",
    "end_date": "2020-12-31",
    "url": "https://redcaps.xyz",
    "version": "1.0",
}
#: A month without posts: the release has many of these.
_RED_CAPS_EMPTY: Final = "annotations/abandoned_2017.json"


def write_annotations(world: World, folder: Path) -> list[Path]:
    """Write every annotation file and every archive of images.

    Args:
        world: What is written.
        folder: Where; files land in its `data/`.

    Returns:
        The files, in order of their names.
    """
    by_file: dict[str, list[Row]] = {}
    for row in world.rows:
        by_file.setdefault(row.file.partition("!/")[0], []).append(row)
    contents = {
        files.COCO_FILE: _coco(world, by_file[files.COCO_FILE]),
        files.KARPATHY_FILE: _json({"images": list(world.karpathy_images), "dataset": "coco"}),
        files.VG_IMAGES_FILE: _json(list(world.vg_images)),
        files.VG_REGIONS_FILE: _vg_regions(by_file[files.VG_REGIONS_FILE]),
        files.RED_CAPS_FILE: _red_caps(by_file[files.RED_CAPS_FILE]),
        files.YFCC_FILE: bz2.compress(_tabbed(by_file[files.YFCC_FILE]) + b"\n"),
        files.SBU_FILE: _sbu(by_file[files.SBU_FILE]),
        files.CC3M_FILE: _tabbed(by_file[files.CC3M_FILE]) + b"\n",
        files.CC12M_FILE: _tabbed(by_file[files.CC12M_FILE]),
        files.WIT_FILE: gzip.compress(_wit(by_file[files.WIT_FILE]), mtime=0),
        **{name: _json_lines(mine) for name, mine in by_file.items() if name.endswith(".jsonl")},
        **{name: _archive(name, members) for name, members in world.archives.items()},
    }
    paths = []
    for name, content in sorted(contents.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return paths


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _coco(world: World, mine: Iterable[Row]) -> bytes:
    licences = [{"url": url, "id": n, "name": name} for n, (url, name) in enumerate(_COCO_LICENCES, 1)]
    return _json(
        {
            "info": _COCO_INFO,
            "licenses": licences,
            "images": list(world.coco_images),
            "annotations": [row.record for row in mine],
        }
    )


def _vg_regions(mine: Iterable[Row]) -> bytes:
    """Return region_descriptions.json, v1.2: regions by image."""
    return _json(
        [
            {"regions": [row.record for row in regions], "id": image_id}
            for image_id, regions in groupby(mine, key=lambda row: row.record["image_id"])
        ]
    )


def _json_lines(mine: Iterable[Row]) -> bytes:
    """Return JSON Lines; records that are bytes are broken lines, and stand as they are."""
    lines = (
        row.record if isinstance(row.record, bytes) else json.dumps(row.record, ensure_ascii=False).encode()
        for row in mine
    )
    return b"".join(line + b"\n" for line in lines)


def _tabbed(mine: Iterable[Row]) -> bytes:
    """Return unquoted tab-separated lines, without a newline after the last."""
    return b"\n".join(row.record if isinstance(row.record, bytes) else "\t".join(row.record).encode() for row in mine)


def _red_caps(mine: Iterable[Row]) -> bytes:
    members: dict[str, list[Any]] = {_RED_CAPS_EMPTY: []}
    for row in mine:
        members.setdefault(row.file.partition("!/")[2], []).append(row.record)
    return _zip(
        {
            name: json.dumps({"info": _RED_CAPS_INFO, "annotations": posts}, ensure_ascii=False).encode()
            for name, posts in sorted(members.items())
        },
        zipfile.ZIP_DEFLATED,
    )


def _sbu(mine: Iterable[Row]) -> bytes:
    urls, users, captions = zip(*(row.record for row in mine), strict=True)
    return _json({"image_urls": urls, "user_ids": users, "captions": captions})


def _wit(mine: Iterable[Row]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter="\t", lineterminator="\n")
    writer.writerow(files.WIT_COLUMNS)
    writer.writerows(row.record for row in mine)
    return target.getvalue().encode()


def _archive(name: str, members: Mapping[str, bytes]) -> bytes:
    return _tar(members) if name.endswith(".tar") else _zip(members, zipfile.ZIP_STORED)


def _folders(members: Iterable[str]) -> Iterator[str]:
    """Yield each folder of members once, parents first."""
    seen = set()
    for name in members:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth]) + "/"
            if folder not in seen:
                seen.add(folder)
                yield folder


def _zip(members: Mapping[str, bytes], compression: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for folder in _folders(members):
            archive.writestr(zipfile.ZipInfo(folder, _ZIP_DATE), b"")
        for name, content in members.items():
            info = zipfile.ZipInfo(name, _ZIP_DATE)
            info.compress_type = compression
            info.external_attr = _MODE << 16
            archive.writestr(info, content)
    return target.getvalue()


def _tar(members: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in _folders(members):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), _MODE
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()
