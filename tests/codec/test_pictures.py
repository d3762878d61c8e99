from __future__ import annotations

import csv
import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pdqhash
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from pmd import codec
from pmd.codec import Form, Limits, pictures

#: Pillow warns of odd metadata; the tests' own setting would make errors of it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

FORMATS = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif", "TIFF": "tiff", "BMP": "bmp"}


def gradient(width: int = 300, height: int = 200, mode: str = "RGB") -> Image.Image:
    """Return a smooth picture whose corners all differ."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **more: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}), **more)  # type: ignore[arg-type]
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def averaged_by_area(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the exact mean under each new pixel; Pillow's BOX gives a pixel on an edge to one side of it, whole."""

    def weights(before: int, after: int) -> np.ndarray:
        edges = np.linspace(0, before, after + 1)
        pixels = np.arange(before)
        covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return covered.clip(0) * after / before

    pixels = np.asarray(image).astype(np.float64)
    means = np.einsum(
        "ay,bx,yxc->abc", weights(image.height, size[1]), weights(image.width, size[0]), pixels, optimize=True
    )
    return Image.fromarray(np.rint(means).astype(np.uint8))


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Return the mean SSIM of luma over windows of 8 x 8 (Wang et al. 2004, with uniform windows)."""
    x, y = (np.asarray(image.convert("L"), np.float64) for image in (one, other))

    def mean(values: np.ndarray) -> np.ndarray:
        summed = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
        return (summed[8:, 8:] - summed[:-8, 8:] - summed[8:, :-8] + summed[:-8, :-8]) / 64

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float((((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_told_by_its_bytes(kind: str) -> None:
    found = codec.inspect(encoded(gradient(), kind), Limits())
    assert found == codec.Inspected("ok", FORMATS[kind], 300, 200, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><html>",
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
        b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(99),
        b"P6\n2 2\n255\n" + bytes(12),
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1" + bytes(99),
        b"BMW and other makers" + bytes(99),
        b"\x89PNG\r\n",
        b"%PDF-1.4",
    ],
)
def test_everything_else_is_no_image(content: bytes) -> None:
    assert codec.inspect(content, Limits()).status == "not_an_image"
    assert codec.prepare(content, Limits(), Form(64)).inspected.status == "not_an_image"


@pytest.mark.parametrize(
    ("kind", "share"),
    # The last bytes of a GIF hold no pixels.
    [(kind, share) for kind in FORMATS for share in (0.02, 0.5, 0.95) if (kind, share) != ("GIF", 0.95)],
)
def test_what_is_cut_does_not_decode(kind: str, share: float) -> None:
    content = encoded(gradient(), kind)
    cut = content[: max(64, int(len(content) * share))]
    assert codec.inspect(cut, Limits()).status == "undecodable"


@pytest.mark.parametrize("more", [{}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}])
def test_a_jpeg_has_the_pixels_that_pillow_gives(more: dict[str, object]) -> None:
    content = encoded(gradient(301, 203), **more)
    picture = codec.upright_rgb(content)
    assert (picture.mode, picture.size) == ("RGB", (301, 203))
    assert np.array_equal(np.asarray(picture), np.asarray(opened(content)))
    with Image.open(io.BytesIO(content)) as half:
        half.draft(None, (100, 100))
        assert np.array_equal(np.asarray(codec.upright_rgb(content, min_short_side_px=100)), np.asarray(half))


def test_a_jpeg_that_libjpeg_warns_of_is_judged_by_pillow() -> None:
    """Bytes between the last scan and the end are odd, and harm nothing; a scan that is damaged is what Pillow calls it."""
    content = encoded(gradient())
    odd = content[:-2] + bytes(9) + content[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(odd)
    assert difference(codec.upright_rgb(odd), codec.upright_rgb(content)) == 0
    prepared = codec.prepare(odd, Limits(), Form(64))
    assert (prepared.inspected.status, prepared.stored_width_px) == ("ok", 96)


def png(width: int, height: int) -> bytes:
    chunks = (
        b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(99)),
        b"IEND",
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def webp(width: int, height: int) -> bytes:
    extended = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + extended


@pytest.mark.parametrize(
    "content", [png(65536, 65536), png(20_000, 10_000), webp(16_384, 16_384), encoded(gradient(200, 100))]
)
def test_bombs_are_refused_by_their_header(content: bytes) -> None:
    limits = Limits(max_pixels=19_999) if content[:2] == b"\xff\xd8" else Limits()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert codec.inspect(content, limits).status == "bomb"


def test_a_limit_above_pillows_own_holds() -> None:
    found = codec.inspect(png(20_000, 10_000), Limits(max_pixels=10**9))
    assert found.status == "undecodable"  # it was let through, and has no pixels


def test_too_many_scans_are_a_bomb() -> None:
    content = encoded(gradient(), progressive=True)
    assert codec.inspect(content, Limits()).status == "ok"
    scan = content[content.rindex(b"\xff\xda") : -2]
    assert codec.inspect(content[:-2] + scan * 600 + b"\xff\xd9", Limits()).status == "bomb"


def test_small_pictures_are_refused_where_asked() -> None:
    found = codec.inspect(encoded(gradient(300, 20)), Limits(min_side_px=32))
    assert (found.status, found.detail) == ("too_small", "300 x 20 pixels")


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [
        *((kind, orientation) for kind in ("JPEG", "PNG", "WEBP") for orientation in range(10)),
        *(("TIFF", orientation) for orientation in range(1, 9)),  # no others can be written
    ],
)
def test_pictures_come_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = gradient(160, 80)
    content = encoded(image, kind, exif=exif)
    expected = ImageOps.exif_transpose(opened(content)).convert("RGB")
    assert difference(codec.upright_rgb(content), expected) < 1
    found = codec.inspect(content, Limits())
    assert (found.width_px, found.height_px) == expected.size
    prepared = codec.prepare(content, Limits(), Form(40))
    assert prepared.stored is not None
    assert (
        difference(
            opened(prepared.stored), expected.resize([side // 2 for side in expected.size], Image.Resampling.BOX)
        )
        < 4
    )


def test_colours_become_srgb_on_white() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    half = Image.new("RGBA", (64, 64), (255, 0, 0, 128))
    palette = gradient(64, 64).quantize(8)
    cases = {
        "clear": (encoded(clear, "PNG"), (255, 255, 255)),
        "half": (encoded(half, "PNG"), (255, 127, 127)),
        "grey and alpha": (encoded(Image.new("LA", (64, 64), (0, 0)), "PNG"), (255, 255, 255)),
        "16 bits": (encoded(Image.fromarray(np.full((64, 64), 0x80FF, np.uint16)), "PNG"), (128, 128, 128)),
        "CMYK": (encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG"), (254, 0, 0)),
        "bilevel": (encoded(Image.new("1", (64, 64), 1), "PNG"), (255, 255, 255)),
        "transparent palette": (encoded(palette, "PNG", transparency=bytes(8)), (255, 255, 255)),
        "clear GIF": (encoded(Image.new("P", (64, 64), 0), "GIF", transparency=0), (255, 255, 255)),
    }
    for name, (content, expected) in cases.items():
        picture = codec.upright_rgb(content)
        assert picture.mode == "RGB"
        colour = np.asarray(picture).reshape(-1, 3).mean(0)
        assert np.abs(colour - expected).max() <= 2, name


def test_profiles_are_followed_and_srgb_is_left_alone() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = gradient(128, 128)
    plain = encoded(image)
    tagged = encoded(image, icc_profile=srgb)
    assert codec.resized(tagged, 200) == (tagged, "jpeg")
    assert difference(codec.upright_rgb(plain), codec.upright_rgb(tagged)) == 0
    swapped = bytearray(srgb)  # the red primary in the place of the blue one, and the other way round
    red, blue = (swapped.index(tag) + 4 for tag in (b"rXYZ", b"bXYZ"))
    swapped[red : red + 4], swapped[blue : blue + 4] = swapped[blue : blue + 4], swapped[red : red + 4]
    odd = encoded(image, icc_profile=bytes(swapped))
    pictured = np.asarray(codec.upright_rgb(odd), np.int16)
    assert np.abs(pictured - np.asarray(codec.upright_rgb(plain), np.int16)[..., ::-1]).mean() < 2
    kept, _ = codec.resized(odd, 200)
    assert kept != odd
    assert "icc_profile" not in opened(kept).info
    broken = encoded(image, icc_profile=b"no profile")
    assert difference(codec.upright_rgb(broken), codec.upright_rgb(plain)) == 0


def test_frames_are_counted_and_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert codec.inspect(content, Limits()).frames == 3, kind
        assert np.abs(np.asarray(codec.upright_rgb(content)).mean((0, 1)) - (255, 0, 0)).max() < 4
    many = encoded(frames[0], "GIF") + b""
    block = many[many.index(b"\x2c") : -1]
    assert codec.inspect(many[:-1] + block * 20_000 + b";", Limits()).frames == codec.MAX_FRAMES


def test_resizing_keeps_the_ratio_and_never_enlarges() -> None:
    content = encoded(gradient(1000, 500))
    kept, kind = codec.resized(content, 100)
    assert (opened(kept).size, kind) == ((200, 100), "jpeg")
    assert codec.resized(content, 500) == (content, "jpeg")
    assert codec.resized(content, 5000) == (content, "jpeg")
    small_png = encoded(gradient(50, 40), "PNG")
    assert opened(codec.resized(small_png, 100)[0]).size == (50, 40)
    assert codec.resized(content, 100) == (kept, kind)
    assert opened(kept).info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert codec.upright_rgb(content, min_short_side_px=100).size == (250, 125)
    assert codec.upright_rgb(content, min_short_side_px=126).size == (500, 250)


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 600))
def test_targets(width: int, height: int, side: int) -> None:
    found = pictures._target((width, height), side)
    assert min(found) == min(width, height, side)
    assert all(new <= old for new, old in zip(found, (width, height), strict=True))
    assert abs(found[0] * height - found[1] * width) <= max(width, height)


def test_a_picture_too_long_for_jpeg_stays_as_it_is() -> None:
    content = encoded(Image.new("RGB", (70_000, 4)), "PNG")
    assert codec.resized(content, 64) == (content, "png")
    assert codec.prepare(content, Limits(), Form(64)).stored_form == "original"


def test_prepare_decodes_once_and_hashes_alike_in_every_form() -> None:
    content = encoded(gradient(1600, 1200))
    forms = [
        codec.prepare(content, Limits(), form) for form in (Form(None), Form(256), Form(512), Form(100), Form(2000))
    ]
    assert len({prepared.perceptual_hash for prepared in forms}) == 1
    assert [prepared.stored_form for prepared in forms] == ["original", "resized", "resized", "resized", "original"]
    assert [opened(prepared.stored or b"").size[1] for prepared in forms] == [1200, 256, 512, 100, 1200]
    for prepared, side in zip(forms[1:4], (256, 512, 100), strict=True):
        assert prepared.stored == codec.resized(content, side)[0]


def test_threads_agree() -> None:
    contents = [encoded(gradient(400 + number, 300)) for number in range(12)]
    one_by_one = [codec.prepare(content, Limits(), Form(128)) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda content: codec.prepare(content, Limits(), Form(128)), contents)) == one_by_one


@pytest.mark.parametrize(
    ("region", "box"),
    [
        ([0, 0, 1, 1], (0, 0, 300, 200)),
        ([10 / 300, 20 / 200, 30 / 300, 40 / 200], (10, 20, 40, 60)),
        ([1 / 3, 0, 1 / 3, 1], (100, 0, 200, 200)),
        ([0.001, 0, 0.0001, 1], (0, 0, 1, 200)),
        ([0.9999, 0.9999, 0.5, 0.5], (299, 199, 300, 200)),
        ([-0.5, -0.5, 0.6, 0.6], (0, 0, 30, 20)),
        ([0.005, 0.005, 0.1, 0.1], (2, 1, 32, 21)),
    ],
)
def test_crops_go_to_the_nearest_pixels(region: list[float], box: tuple[int, int, int, int]) -> None:
    image = gradient(300, 200)
    assert np.array_equal(np.asarray(codec.crop(image, region)), np.asarray(image.crop(box)))


@given(st.integers(1, 2000), st.integers(1, 500), st.data())
def test_a_box_of_whole_pixels_comes_back_exactly(side: int, start: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, side - 1))
    length = data.draw(st.integers(1, side - first))
    assert pictures._edges(first / side, length / side, side) == (first, first + length)


def test_perceptual_hashes_of_copies_are_near_and_of_others_far() -> None:
    noise = np.random.default_rng(7)
    coarse = [Image.fromarray(noise.integers(0, 256, (12, 16, 3), np.uint8)) for _ in range(2)]
    one, other = (image.resize((640, 480), Image.Resampling.BICUBIC) for image in coarse)
    copies = [opened(encoded(one, "JPEG", subsampling=2)), one.resize((320, 240)), one.convert("L").convert("RGB")]
    hashed = codec.perceptual_hash(one)
    assert len(hashed) == 32
    for copy in copies:
        assert distance(hashed, codec.perceptual_hash(copy)) <= 31
    assert distance(hashed, codec.perceptual_hash(other)) > 90


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


LOSSLESS_HEADER = b"\xff\xd8\xff\xc3\x00\x11\x08\x00\x95\x00\xe3\x03\x52\x11\x00\x47\x11\x00\x42\x11\x00"


def test_what_is_encoded_has_nothing_of_what_was_encoded_before() -> None:
    """A thread encodes into one file in memory; a forked process, which would share its position, into another."""
    large, small = gradient(900, 600), gradient(40, 30)
    expected = [encoded(large), encoded(small)]
    assert codec.encode_jpeg(small) == expected[1]
    child = os.fork()
    same = all([codec.encode_jpeg(large), codec.encode_jpeg(small)] == expected for _ in range(50))
    if not child:
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert same


def test_perceptual_hashes_are_those_of_the_reference_implementation() -> None:
    """At PDQ's own size nothing has to be scaled, so that the bits are the same."""
    chance = np.random.default_rng(7)
    for grain in (1, 4, 8, 16):
        pixels = chance.integers(0, 256, (64 // grain, 64 // grain, 3), dtype=np.uint8)
        image = Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)
        bits, _ = pdqhash.compute(np.asarray(image))
        assert codec.perceptual_hash(image) == np.packbits(bits.astype(np.uint8)).tobytes()


def test_what_has_no_frequencies_has_an_empty_hash() -> None:
    assert codec.perceptual_hash(Image.new("RGB", (300, 200), "navy")) == bytes(32)


def test_frame_headers_are_found_where_libjpeg_finds_them() -> None:
    assert pictures._frame_header(encoded(gradient())) == (0xC0, (300, 200))
    assert pictures._frame_header(encoded(gradient(), progressive=True)) == (0xC2, (300, 200))
    assert pictures._frame_header(LOSSLESS_HEADER) == (0xC3, (227, 149))
    plain = encoded(gradient())
    assert pictures._frame_header(plain[:2] + b"junk\xff\xff\xff\x00" + plain[2:]) == (0xC0, (300, 200))
    assert pictures._frame_header(plain[:2] + b"\xff\xda" + plain[2:]) is None
    assert pictures._frame_header(b"\xff\xd8\xff") is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_damage_is_a_status_and_never_an_error(kind: str, data: st.DataObject) -> None:
    content = bytearray(encoded(gradient(40, 30), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = codec.prepare(bytes(content), Limits(max_pixels=10**7), Form(16)).inspected
    assert found.status in {"ok", "not_an_image", "undecodable", "bomb", "too_small"}


# --- genuine files ---------------------------------------------------------------------------------------------------

#: Files whose name or kind Pillow reads and we do not: netpbm and JPEG 2000.
_NOT_READ = {"PPM", "JPEG2000"}


def catalogue(samples: Path) -> list[tuple[Path, dict[str, str]]]:
    with (samples / "images" / "catalog.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = [(samples / "images" / row["path"], row) for row in rows]
    return [(path, row) for path, row in found if path.exists()]


def test_genuine_files_end_ok_or_with_the_right_status(samples: Path) -> None:
    for path, row in catalogue(samples):
        found = codec.prepare(path.read_bytes(), Limits(), Form(64)).inspected
        if row["status"] == "ok" and row["format"] not in _NOT_READ:
            sideways = (row["orientation"] or "1") in {"5", "6", "7", "8"}
            size = (int(row["height"]), int(row["width"])) if sideways else (int(row["width"]), int(row["height"]))
            expected = codec.Inspected("ok", row["format"].lower(), *size, int(row["frames"]))  # type: ignore[arg-type]
            assert found == expected, path
        elif "DecompressionBomb" in row["status"] or row["status"] == "not_loaded_big":
            assert found.status == "bomb", path
        else:
            kind = codec.sniff(path.read_bytes()[:64])
            assert found.status == ("not_an_image" if kind is None else "undecodable"), path


def test_genuine_pictures_match_a_reference_decoding(samples: Path) -> None:
    for path, row in catalogue(samples):
        content = path.read_bytes()
        if (
            row["status"] != "ok"
            or row["format"] in _NOT_READ
            or row["mode"] not in {"RGB", "L"}
            or len(content) > 400_000
        ):
            continue
        with Image.open(path) as image:
            if "icc_profile" in image.info or "transparency" in image.info:
                continue
            reference = ImageOps.exif_transpose(image).convert("RGB")
        assert difference(codec.upright_rgb(content), reference) < 0.5, path


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_genuine_orientations_are_all_upright(samples: Path, shape: str) -> None:
    folder = samples / "images" / "exif-orientation"
    pictures = [codec.upright_rgb((folder / f"{shape}_{number}.jpg").read_bytes()) for number in range(9)]
    small = [
        picture.resize((90, 60) if shape == "Landscape" else (60, 90), Image.Resampling.BOX) for picture in pictures
    ]
    assert {picture.size for picture in pictures} == {(1800, 1200) if shape == "Landscape" else (1200, 1800)}
    assert max(difference(small[1], other) for other in small) < 12


def test_a_lossless_jpeg_is_never_scaled_by_the_decoder(samples: Path) -> None:
    """libjpeg-turbo 3 would write it in full size into a smaller buffer: see `_is_scalable`."""
    content = (samples / "images" / "codec-fixtures" / "testimgl.jpg").read_bytes()
    assert pictures._frame_header(content) == (0xC3, (227, 149))
    assert codec.upright_rgb(content, min_short_side_px=16).size == (227, 149)


def test_quality_against_a_full_decoding_averaged_by_area(samples: Path) -> None:
    scores = []
    for path in sorted((samples / "coco" / "train2017").glob("*.jpg"))[:16]:
        content = path.read_bytes()
        with Image.open(path) as image:
            full = image.convert("RGB")
        for side in (100, 256):
            kept = opened(codec.resized(content, side)[0])
            scores.append(ssim(kept, averaged_by_area(full, kept.size)))
    assert np.mean(scores) > 0.975  # encoding at quality 95 included
    assert min(scores) > 0.94


def test_near_duplicates_are_near(samples: Path) -> None:
    with (samples / "images" / "near-duplicates.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    hashed = {
        row["path"]: codec.perceptual_hash(codec.upright_rgb((samples / "images" / row["path"]).read_bytes()))
        for row in rows
    }
    originals = {row["group"]: row["path"] for row in rows if row["relation"] == "original"}
    for row in rows:
        apart = distance(hashed[row["path"]], hashed[originals[row["group"]]])
        if row["relation"] in {"exact", "format", "grayscale", "resize"}:
            assert apart <= 31, row
        elif row["relation"] in {"hflip", "rotation"}:
            assert apart > 31, row
