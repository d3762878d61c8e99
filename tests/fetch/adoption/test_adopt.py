"""Images of img2dataset's shards: written by hand as it writes them, and by img2dataset itself."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import ExifTags, Image, ImageCms

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.fetch import outcome
from pmd.fetch.adoption import adopt
from pmd.fetch.generations import store
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import state, stored
from pmd.schema import keys
from pmd.store import commits
from pmd.text import url_identity, urls
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

ORIGINAL = photo(640, 480, seed=3)

#: What img2dataset writes of a photograph that is upright and sRGB.
PLAIN = json.dumps({"Image Orientation": "Horizontal (normal)", "EXIF ColorSpace": "sRGB"})


def shrunk(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(ORIGINAL)).resize((width, height)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def entry(url: str, content: bytes | None, **changes: Any) -> tuple[bytes | None, dict[str, Any]]:
    """Return a sample of img2dataset: a picture, and what its JSON says."""
    said = {
        "url": url,
        "status": "success",
        "error_message": None,
        "original_width": 640,
        "original_height": 480,
        "sha256": hashlib.sha256(ORIGINAL).hexdigest(),
        "exif": PLAIN,
    }
    return content, said | changes


def written(folder: Path, *entries: tuple[bytes | None, dict[str, Any]]) -> str:
    path = folder / "00000.tar"
    with tarfile.open(path, "w") as tar:
        for number, (content, said) in enumerate(entries):
            key = f"{number:09d}"
            for extension, data in (("jpg", content), ("json", json.dumps(said | {"key": key}).encode())):
                if data is not None:
                    info = tarfile.TarInfo(f"{key}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return str(path)


def row(name: str, **changes: Any) -> dict[str, object]:
    url = f"http://a.test/{name}"
    return image_row(url_identity.of_one(url) or "", url, **changes)


def run(folder: Path, rows: pa.Table, chosen: FetchOptions, *patterns: str) -> dict[str, dict[str, Any]]:
    """Fetch a shard with what shards hold; return its ledger by the last part of the image's URL."""
    index = folder / "index.parquet"
    adopt.write(str(index), adopt.index(patterns))
    with Lane(chosen, contact="", patience=HASTE) as lane:
        order = store.Order(str(folder / "root"), 0, rows, chosen, adopted=adopt.read(str(index), rows))
        store.run_shard(order, lane)
    names = {image["image_id"]: image["locations"][0]["url"].rpartition("/")[2] for image in rows.to_pylist()}
    return {names[found["image_id"]]: found for found in state.read_ledger(str(folder / "root"), 0).to_pylist()}


def test_what_will_do_is_taken_over_and_the_rest_is_fetched(web: Web, tmp_path: Path) -> None:
    names = (
        "same",
        "bare",
        "copy",
        "turned",
        "unsaid",
        "low",
        "enlarged",
        "cropped",
        "region",
        "broken",
        "lost",
        "absent",
    )
    names += ("undigested",)
    web.routes |= {f"a.test/{name}": reply(ORIGINAL) for name in names}
    half = ORIGINAL[: len(ORIGINAL) // 2]
    tar = written(
        tmp_path,
        entry("http://a.test/same?utm_source=x", ORIGINAL),
        entry("http://a.test/bare", ORIGINAL, exif=None, original_width=None, original_height=None),
        entry("http://a.test/copy", shrunk(400, 300)),
        entry("http://a.test/turned", shrunk(400, 300), exif=PLAIN.replace("Horizontal (normal)", "Rotated 180")),
        entry("http://a.test/unsaid", shrunk(400, 300), exif="{}"),
        entry("http://a.test/enlarged", shrunk(800, 600)),
        entry("http://a.test/low", shrunk(320, 240)),
        entry("http://a.test/cropped", shrunk(256, 256)),
        entry("http://a.test/region", shrunk(400, 300)),
        entry("http://a.test/broken", half, sha256=hashlib.sha256(half).hexdigest()),
        entry("http://a.test/lost", None, status="failed_to_download", error_message="HTTP Error 404", sha256=None),
        entry("http://a.test/undigested", shrunk(400, 300), sha256=None),
        entry("http://a.test/of-no-image", ORIGINAL, sha256="0" * 64),
    )
    rows = table(*(row(name, has_region=name == "region") for name in names))
    got = run(tmp_path, rows, options(web), tar)
    assert {found["status"] for found in got.values()} == {"ok"}
    assert {found["sha256"] for found in got.values()} == {hashlib.sha256(ORIGINAL).digest()}
    adopted = {name for name, found in got.items() if found["location"].startswith(tar)}
    assert adopted == {"same", "bare", "copy"}
    assert sorted(request.path for request in web.asked()) == sorted(f"/{name}" for name in set(names) - adopted)
    assert (got["same"]["bytes"], got["same"]["format"], got["same"]["stored_form"]) == (
        len(ORIGINAL),
        "jpeg",
        "resized",
    )
    assert (got["copy"]["bytes"], got["copy"]["stored_form"]) == (None, "resized")
    assert (got["copy"]["width_px"], got["copy"]["height_px"]) == (640, 480)
    with Image.open(io.BytesIO(stored.read(str(tmp_path / "root"), got["copy"]))) as picture:
        assert min(picture.size) == 256
    before = len(web.log)
    assert run(tmp_path, rows, options(web), tar) == got
    assert len(web.log) == before


def test_bytes_that_many_images_share_are_asked_for_on_the_web(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """img2dataset follows redirects to a host's picture for lost ones, and does not say where they have led."""
    lost, others = [f"lost{number}" for number in range(10)], [f"stock{number}" for number in range(9)]
    web.routes |= {f"a.test/{name}": reply(status=302, Location="http://i.imgur.com/removed.png") for name in lost}
    placeholder, stock = photo(161, 81, kind="PNG"), photo(200, 100)

    def kept(names: list[str], content: bytes) -> list[tuple[bytes | None, dict[str, Any]]]:
        digest = hashlib.sha256(content).hexdigest()
        return [entry(f"http://a.test/{name}", content, sha256=digest) for name in names]

    # One that stands twice is one image all the same.
    tar = written(tmp_path, *kept(lost, placeholder), *kept([*others, *others], stock))
    got = run(tmp_path, table(*map(row, lost + others)), options(web), tar)
    assert {name: got[name]["status"] for name in lost} == dict.fromkeys(lost, "placeholder")
    assert {name: got[name]["status"] for name in others} == dict.fromkeys(others, "ok")
    assert {request.path for request in web.asked()} == {f"/{name}" for name in lost}
    assert "10 samples have bytes that 10 images or more share" in caplog.text


def test_a_placeholder_that_upstream_names_is_none_in_shards_either(web: Web, tmp_path: Path) -> None:
    url = "http://s.yimg.com/pw/images/en-us/photo_unavailable.png"
    tar = written(tmp_path, entry(url, ORIGINAL))
    got = run(tmp_path, table(image_row(url_identity.of_one(url) or "", url)), options(web), tar)
    assert got["photo_unavailable.png"]["status"] == "placeholder"
    assert not web.asked()


def test_originals_are_taken_only_byte_for_byte(web: Web, tmp_path: Path) -> None:
    web.routes |= {f"a.test/{name}": reply(ORIGINAL) for name in ("same", "copy")}
    tar = written(tmp_path, entry("http://a.test/same", ORIGINAL), entry("http://a.test/copy", shrunk(400, 300)))
    got = run(tmp_path, table(row("same"), row("copy")), options(web, store="original"), tar)
    assert got["same"]["stored_form"] == "original"
    assert [request.path for request in web.asked()] == ["/copy"]
    assert stored.read(str(tmp_path / "root"), got["same"]) == ORIGINAL


def test_blocklists_hold_for_what_is_taken_over(web: Web, tmp_path: Path) -> None:
    blocklist = tmp_path / "private.txt"
    blocklist.write_text(f"sha256:{hashlib.sha256(ORIGINAL).hexdigest()} case-7\n", encoding="utf-8")
    tar = written(tmp_path, entry("http://a.test/copy", shrunk(400, 300)))
    got = run(tmp_path, table(row("copy")), options(web, blocklists=(str(blocklist),)), tar)
    assert (got["copy"]["status"], got["copy"]["sha256"]) == ("blocked_content", None)
    assert not web.asked()


def test_a_picture_that_a_host_shows_in_anothers_place_is_not_taken_over(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "SUBSTITUTES", {hashlib.sha256(ORIGINAL).digest(): ("placeholder", "of a host")})
    web.routes |= {f"a.test/{name}": reply(photo(seed=5)) for name in ("same", "copy")}
    tar = written(tmp_path, entry("http://a.test/same", ORIGINAL), entry("http://a.test/copy", shrunk(400, 300)))
    got = run(tmp_path, table(row("same"), row("copy")), options(web), tar)
    assert {found["sha256"] for found in got.values()} == {hashlib.sha256(photo(seed=5)).digest()}


def test_a_tar_that_is_gone_again_is_left_to_the_web(web: Web, tmp_path: Path) -> None:
    web.routes["a.test/same"] = reply(ORIGINAL)
    tar = written(tmp_path, entry("http://a.test/same", ORIGINAL))
    index = adopt.index([tar])
    Path(tar).unlink()
    with Lane(options(web), contact="", patience=HASTE) as lane:
        store.run_shard(store.Order(str(tmp_path / "root"), 0, table(row("same")), options(web), adopted=index), lane)
    assert [request.path for request in web.asked()] == ["/same"]


def test_each_image_that_has_a_pictures_address_is_offered_it(tmp_path: Path) -> None:
    """COCO holds some photographs twice; and an image's own address, an archive's, or that of none, adds nothing."""
    flickr, own = "http://farm1.staticflickr.com/2/42_abcdef.jpg", "http://a.test/own.jpg"
    index = adopt.index([written(tmp_path, entry(flickr, ORIGINAL), entry(own, ORIGINAL))])
    images = table(
        image_row("coco:1", "http://images.cocodataset.org/train2017/000000000001.jpg", flickr, "a.zip!/1.jpg"),
        image_row("coco:2", flickr.replace("http:", "https:"), "mailto:nobody"),
        image_row("coco:3", "http://b.test/3.jpg"),
        image_row("url:a.test/own.jpg", own),
        image_row("ade20k:4", "a.zip!/4.jpg"),
    )
    found = adopt.of_images(index, [images.slice(0, 2), images.slice(2), images.slice(0, 0)])
    expected = [("coco:1", flickr), ("coco:2", flickr), ("flickr:42", flickr), ("url:a.test/own.jpg", own)]
    got = [(row["image_id"], row["url"]) for row in found.to_pylist()]
    assert got == sorted((keys.image_id(identity), urls.canonical_one(url)) for identity, url in expected)
    assert adopt.of_images(index.slice(0, 0), [images]).num_rows == 0


IMG2DATASET = """
import sys
from img2dataset import download
if __name__ == "__main__":
    download(url_list=sys.argv[1], input_format="txt", output_folder=sys.argv[2], output_format="webdataset",
             processes_count=1, thread_count=4, image_size=300, resize_mode="keep_ratio", resize_only_if_bigger=True,
             encode_quality=95, enable_wandb=False)
"""


#: The real one too, where it is installed.
INSTALLED = importlib.util.find_spec("img2dataset") is not None
PEERS = ["stand-in", *(["img2dataset"] if INSTALLED else [])]


def downloaded(web: Web, folder: Path, contents: Mapping[str, bytes], peer: str, *missing: str) -> list[str]:
    """Have img2dataset, or what stands in its place, download pictures; return the addresses of all."""
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    if peer == "stand-in":
        environment["PYTHONPATH"] = str(Path(__file__).parents[1] / "fake")
    base = f"127.0.0.1:{web.port}"
    web.routes |= {f"{base}/{name}": reply(content) for name, content in contents.items()}
    addresses = [f"http://{base}/{name}" for name in (*contents, *missing)]
    (folder / "urls.txt").write_text("".join(f"{address}\n" for address in addresses))
    script = folder / "script.py"
    script.write_text(IMG2DATASET, encoding="utf-8")
    command = [sys.executable, script, folder / "urls.txt", folder / "out"]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    web.log.clear()
    return addresses


def exif(orientation: int | None = 1, colour_space: int | None = 1, *, interoperability: str | None = None) -> bytes:
    """Return EXIF as cameras write it."""
    tags = Image.Exif()
    tags[ExifTags.Base.Make] = "A maker"
    if orientation is not None:
        tags[ExifTags.Base.Orientation] = orientation
    if colour_space is not None:
        tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ColorSpace] = colour_space
    if interoperability is not None:
        tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: interoperability}
    return tags.tobytes()


@pytest.mark.parametrize("peer", PEERS)
def test_what_img2dataset_itself_has_written(web: Web, tmp_path: Path, peer: str) -> None:
    contents = {f"{number}.jpg": saved(photo(640, 480, seed=number), exif=exif()) for number in range(4)}
    contents["4.jpg"] = saved(photo(200, 150), exif=exif(orientation=None))
    addresses = downloaded(web, tmp_path, contents, peer, "gone.jpg")
    rows = table(*(image_row(url_identity.of_one(url) or "", url) for url in addresses))
    got = run(tmp_path, rows, options(web), f"{tmp_path}/out/*.tar")
    assert [request.path for request in web.asked()] == ["/gone.jpg"]
    assert got.pop("gone.jpg")["status"] == "dead"
    for name, found in got.items():
        assert (found["status"], found["sha256"]) == ("ok", hashlib.sha256(contents[name]).digest())
        reference = codec.prepare(contents[name], codec.Limits(), codec.Form(), hashed=True).perceptual_hash or b""
        distance = (int.from_bytes(reference, "big") ^ int.from_bytes(found["perceptual_hash"], "big")).bit_count()
        assert distance <= 31
    assert keys.image_id(url_identity.of_one(addresses[0]) or "") in {found["image_id"] for found in got.values()}
    assert commits.read(str(tmp_path / "root/fetch/ledger/shard=00000/generation=0000")) is not None


def saved(content: bytes, kind: str = "JPEG", *, mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def wide_gamut() -> bytes:
    """Return an ICC profile of other primaries than sRGB's: red and green change places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        profile[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(
            bytes(profile[at : at + 4]), profile[at : at + 4]
        )
    return bytes(profile)


def sixteen_bits() -> bytes:
    ramp = np.add.outer(np.arange(480) * 60, np.arange(640) * 50).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    return buffer.getvalue()


def behind_a_profile(content: bytes) -> bytes:
    """Return a JPEG whose EXIF stands behind 20 kB of a profile, where exifread does not find it."""
    assert content[2:4] == b"\xff\xe0"
    start = 4 + int.from_bytes(content[4:6], "big")
    return content[:start] + b"\xff\xe2" + (20_002).to_bytes(2, "big") + bytes(20_000) + content[start:]


@pytest.mark.skipif(not INSTALLED, reason="img2dataset is not installed")
def test_nothing_turned_deep_or_of_other_colours_is_taken_from_its_copies(web: Web, tmp_path: Path) -> None:
    whole = photo(640, 480, seed=3)
    contents = {
        **{f"turned-{n}.jpg": saved(whole, exif=exif(n)) for n in range(2, 9)},
        **{f"turned-{n}.webp": saved(whole, "WEBP", exif=exif(n)) for n in (3, 6)},
        "turned.tif": saved(whole, "TIFF", exif=exif(6)),
        "turned.png": saved(whole, "PNG", exif=exif(6)),
        "hidden.jpg": behind_a_profile(saved(whole, exif=exif(6))),
        "xmp.jpg": saved(whole, xmp=b'<x:xmpmeta tiff:Orientation="6"/>'),
        "16.png": sixteen_bits(),
        "grey-16.tif": saved(sixteen_bits(), "TIFF", mode="I;16"),
        "cmyk.jpg": saved(whole, mode="CMYK", exif=exif(colour_space=0xFFFF)),
        "cmyk-bare.jpg": saved(whole, mode="CMYK"),
        "p3.jpg": saved(whole, icc_profile=wide_gamut(), exif=exif(colour_space=0xFFFF)),
        "p3-bare.jpg": saved(whole, icc_profile=wide_gamut()),
        "p3-turn-told.jpg": saved(whole, icc_profile=wide_gamut(), exif=exif(colour_space=None)),
        "adobe.jpg": saved(whole, icc_profile=wide_gamut(), exif=exif(colour_space=2)),
        "adobe-dcf.jpg": saved(whole, icc_profile=wide_gamut(), exif=exif(interoperability="R03")),
    }
    plain = {
        "upright.jpg": saved(whole, exif=exif()),
        "dcf.jpg": saved(whole, exif=exif(interoperability="R98")),
        "unturned.webp": saved(whole, "WEBP", exif=exif(orientation=None)),
    }
    addresses = downloaded(web, tmp_path, contents | plain, "img2dataset")
    rows = table(*(image_row(url_identity.of_one(url) or "", url) for url in addresses))
    got = run(tmp_path, rows, options(web), f"{tmp_path}/out/*.tar")
    with tarfile.open(tmp_path / "out/00000.tar") as tar:
        assert len([name for name in tar.getnames() if name.endswith(".jpg")]) == len(addresses)
    assert sorted(request.path for request in web.asked()) == sorted(f"/{name}" for name in contents)
    for name, content in (contents | plain).items():
        expected = codec.prepare(content, codec.Limits(), codec.Form(), hashed=True).inspected
        assert (got[name]["status"], got[name]["sha256"]) == ("ok", hashlib.sha256(content).digest()), name
        assert (got[name]["width_px"], got[name]["height_px"]) == (expected.width_px, expected.height_px)
