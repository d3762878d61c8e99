"""Shards: equal counts, an order that keys and seed alone decide, crops of the right pixels, files that readers open."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pmd import codec, flow
from pmd.config.asked import Asked
from pmd.config.options import ShardOptions
from pmd.fetch.generations.tar import StoreTar
from pmd.fetch.ledger import partitions, reading
from pmd.schema import keys
from pmd.schema.tables import LEDGER, REJECTED
from pmd.shard import samples, transforms, writing
from pmd.store import commits, parquet_files


def asking(seed: int = 0, **options: Any) -> Asked:
    """Return what a configuration asks of shard by some options."""
    return Asked.only(seed=seed, shard=ShardOptions(**options))


ASKED = asking()


def key(number: int) -> bytes:
    return keys.digest(str(number))


def view(number: int, source_id: str, region: list[float] | None = None, **columns: Any) -> dict[str, Any]:
    return {
        "image_id": key(number),
        "pair_id": keys.pair_id(columns.get("source", "coco"), source_id),
        "source": "coco",
        "source_id": source_id,
        "region": region,
        "text": f"text of {source_id}",
        "own_id": key(number),
        "is_merged": False,
        "image_url": f"http://e.org/{number}.jpg",
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
        "split": "train",
        **columns,
    }


def rows_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=samples.SAMPLE_ROWS)


def fetched(number: int, width: int = 100, height: int = 100, **columns: Any) -> dict[str, Any]:
    return {
        "image_id": key(number),
        "status": "ok",
        "width_px": width,
        "height_px": height,
        "store_file": "fetch/store/shard=00000/x.tar",
        "offset": 512 * number,
        "length": 9,
        "stored_form": "original",
        "stored_format": "jpeg",
        "generation": 0,
        **columns,
    }


def ledger_of(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=LEDGER)


def picture(size: tuple[int, int] = (100, 100)) -> Image.Image:
    """Return a picture in which every pixel tells its place."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return Image.fromarray(np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def reason_of(row: dict[str, Any], image: dict[str, Any], asked: Asked = ASKED) -> str | None:
    (reason,) = samples.misfits(rows_of(row), ledger_of(image), asked).to_pylist()
    return None if reason is None else str(reason)


# --- cutting


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 25))
def test_every_shard_but_the_last_holds_as_many_samples(counts: list[int], per_shard: int) -> None:
    shards = samples.cut_ranks(counts, samples.sizes(sum(counts), asking(samples_per_shard=per_shard)))
    assert len(shards) == samples.number_of_shards(sum(counts), asking(samples_per_shard=per_shard))
    sizes = [sum(stop - start for _, start, stop in slices) for slices in shards]
    assert all(size == per_shard for size in sizes[:-1])
    assert all(0 < size <= per_shard for size in sizes[-1:])
    taken = [(window, rank) for slices in shards for window, start, stop in slices for rank in range(start, stop)]
    assert taken == [(window, rank) for window, count in enumerate(counts) for rank in range(count)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 25))
def test_of_so_many_shards_the_first_hold_one_sample_more(counts: list[int], number: int) -> None:
    asked = asking(shards=number)
    shards = samples.cut_ranks(counts, samples.sizes(sum(counts), asked))
    assert len(shards) == samples.number_of_shards(sum(counts), asked) == min(number, sum(counts))
    sizes = [sum(stop - start for _, start, stop in slices) for slices in shards]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    taken = [(window, rank) for slices in shards for window, start, stop in slices for rank in range(start, stop)]
    assert taken == [(window, rank) for window, count in enumerate(counts) for rank in range(count)]


def test_a_shard_reads_the_samples_of_its_own_range_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a window of 240,000 samples each shard of 10,000 read all."""
    monkeypatch.setattr(parquet_files, "ROW_GROUP_ROWS", 100)
    table = pa.table({"number": np.arange(1000)})
    path = str(tmp_path / parquet_files.put_table(str(tmp_path), "samples", table).name)
    cuts = [0, 1, 99, 100, 101, 250, 300, 999, 1000]
    for start, stop in itertools.combinations(cuts, 2):
        slices = [{"path": path, "start": start, "stop": stop}]
        (held,) = transforms._ordered(slices).values()
        assert held.table.num_rows <= stop - start + 200
        assert transforms._joined({path: held}, slices)["number"].to_pylist() == [*range(start, stop)]
    two = [{"path": path, "start": 510, "stop": 520}, {"path": path, "start": 620, "stop": 700}]
    ordered = transforms._ordered(two)
    assert ordered[path].table.num_rows == 200
    assert transforms._joined(ordered, two)["number"].to_pylist() == [*range(510, 520), *range(620, 700)]


@pytest.mark.parametrize("unit", ["image", "pair"])
def test_a_window_is_ordered_with_few_pairs_as_objects(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs of a window were: 3 kB each, 0.8 GB for the 262,144 images that one may have."""
    regions = (None, [0.1, 0.2, 0.5, 0.5], [0.0, 0.0, 1.0, 0.5])
    rows = rows_of(*(view(number % 701, f"{number}#1", regions[number % 7 % 3]) for number in range(3000)))
    once = samples._described(rows, asking(3, unit=unit))
    monkeypatch.setattr(samples, "_PAIRS_AT_ONCE", 64)
    tracemalloc.start()
    try:
        pieces = samples._described(rows, asking(3, unit=unit))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert pieces.equals(once)
    assert most < 1 << 20  # it was 9 MB
    known = [(keys.digest("rank", "3", bytes.fromhex(key)), key) for key in once["key"].to_pylist()]
    assert known == sorted(known)
    assert len({key for _, key in known}) == len(known) == (3000 if unit == "pair" else 701 * 3)
    told = [pair["source_id"] for pairs in once["pairs"].to_pylist() for pair in pairs]
    assert sorted(told) == sorted(rows["source_id"].to_pylist())
    assert all(
        [pair["source_id"] for pair in pairs] == sorted(pair["source_id"] for pair in pairs)
        for pairs in once["pairs"].to_pylist()
    )


@pytest.mark.parametrize(
    ("shard_bits", "window", "bits"),
    [(0, 64, 0), (6, 64, 0), (7, 64, 1), (10, 64, 4), (10, 1, 9), (3, 1, 3), (20, 64, 9), (7, 33, 1), (7, 32, 2)],
)
def test_windows_are_about_as_many_fetch_shards_as_asked(shard_bits: int, window: int, bits: int) -> None:
    assert samples.window_bits(partitions.Cut(min(shard_bits, 9), shard_bits), window) == bits


def test_the_fetch_shards_of_parts_are_all_of_them_in_order() -> None:
    cut = partitions.Cut(part_bits=2, shard_bits=5)
    assert list(itertools.chain.from_iterable(cut.shards(part) for part in range(4))) == list(range(32))
    assert list(cut.shards(1, 1)) == list(range(16, 32))
    assert flow.part_number("pairs/part-00012-of-00016-0123456789abcdef.parquet") == 12


# --- what does not fit


@pytest.mark.parametrize(
    ("drawn", "image", "reason"),
    [
        ((100, 100), (100, 100), None),
        ((100, 100), (300, 300), None),
        ((1000, 1000), (1010, 1000), None),  # by exactly 1 %
        ((1000, 1000), (1011, 1000), "box_mismatch"),
        ((1000, 1000), (990, 1000), None),
        ((1000, 1000), (989, 1000), "box_mismatch"),
        ((640, 480), (500, 375), None),
        ((640, 480), (480, 640), "box_mismatch"),
        ((None, None), (50, 100), None),  # upstream does not say what its boxes were drawn on
        ((100, None), (50, 100), None),
    ],
)
def test_boxes_of_another_shape_do_not_fit(
    drawn: tuple[int | None, int | None], image: tuple[int, int], reason: str | None
) -> None:
    row = view(1, "1", [0.0, 0.0, 1.0, 1.0], width_px=drawn[0], height_px=drawn[1])
    assert reason_of(row, fetched(1, *image)) == reason


def test_a_whole_image_always_fits() -> None:
    assert reason_of(view(1, "1", None, width_px=100, height_px=10), fetched(1, 1, 1)) is None


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ([0.0, 0.0, 0.32, 1.0], None),
        ([0.0, 0.0, 0.31, 1.0], "crop_too_small"),
        ([0.0, 0.0, 1.0, 0.32], None),
        ([0.0, 0.0, 1.0, 0.31], "crop_too_small"),
        ([0.0, 0.0, 0.316, 1.0], None),
        ([0.005, 0.0, 0.316, 1.0], "crop_too_small"),  # 31.6 wide, but from edge 1 to edge 32
        ([0.9, 0.0, 0.5, 1.0], "crop_too_small"),  # most of it lies outside
    ],
)
def test_crops_of_under_32_pixels_are_too_small(region: list[float], reason: str | None) -> None:
    row = view(1, "1", region, width_px=100, height_px=100)
    assert reason_of(row, fetched(1)) == reason
    assert (min(codec.crop(picture(), region).size) >= 32) == (reason is None), "what is judged is what is cut"


def test_a_crop_out_of_a_resized_copy_is_judged_by_its_pixels() -> None:
    """An image may have been stored resized before a source with regions came; it is not fetched again for that."""
    row = view(1, "1", [0.0, 0.0, 0.2, 0.2], width_px=640, height_px=480)
    stored = fetched(1, 640, 480) | {"stored_form": "resized"}
    assert reason_of(row, stored | {"stored_width_px": 640, "stored_height_px": 480}) is None
    assert reason_of(row, stored | {"stored_width_px": 200, "stored_height_px": 150}) == "crop_too_small"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(1, 300), st.integers(1, 300), st.integers(1, 64))
def test_what_is_judged_is_what_is_cut(region: list[float], width: int, height: int, limit: int) -> None:
    too_small = min(codec.crop(Image.new("1", (width, height)), region).size) < limit
    reason = reason_of(view(1, "1", region), fetched(1, width, height), asking(min_crop_px=limit))
    assert reason == ("crop_too_small" if too_small else None)


def test_the_limits_are_options() -> None:
    row = view(1, "1", [0.0, 0.0, 0.1, 0.1], width_px=100, height_px=100)
    assert reason_of(row, fetched(1), asking(min_crop_px=10)) is None
    assert reason_of(row, fetched(1), asking(min_crop_px=11)) == "crop_too_small"
    row = view(1, "1", [0.0, 0.0, 1.0, 1.0], width_px=100, height_px=100)
    assert reason_of(row, fetched(1, 110, 100), asking(max_aspect_difference=0.1)) is None
    assert reason_of(row, fetched(1, 110, 100), asking(max_aspect_difference=0.05)) == "box_mismatch"


# --- samples

ROWS = [
    view(1, "b"),
    view(1, "a"),
    view(1, "z", source="wit"),
    view(1, "left", [0.0, 0.0, 0.5, 1.0], width_px=100, height_px=100),
    view(1, "left again", [0.0, 0.0, 0.5, 1.0], width_px=100, height_px=100),
    view(1, "tiny", [0.0, 0.0, 0.01, 0.01], width_px=100, height_px=100),
    view(2, "c"),
]
LEDGER_ROWS = ledger_of(*(fetched(number) for number in range(1, 12)))


def ordered(rows: list[dict[str, Any]], seed: int = 0, **options: Any) -> samples.Window:
    window = samples.order(rows_of(*rows), LEDGER_ROWS, asking(seed, **options))
    assert window.samples.schema == samples.SAMPLES
    assert window.rejected.schema == REJECTED
    return window


def captions(window: samples.Window) -> set[tuple[str, ...]]:
    return {tuple(pair["source_id"] for pair in row["pairs"]) for row in window.samples.to_pylist()}


def test_a_sample_is_a_view_with_all_its_captions() -> None:
    window = ordered(ROWS)
    assert captions(window) == {("a", "b", "z"), ("left", "left again"), ("c",)}
    by_first = {row["pairs"][0]["source_id"]: row for row in window.samples.to_pylist()}
    assert by_first["a"]["key"] == key(1).hex()
    assert by_first["left"]["key"] not in {key(1).hex(), key(2).hex()}
    assert (by_first["a"]["region"], by_first["left"]["region"]) == (None, [0.0, 0.0, 0.5, 1.0])
    assert by_first["a"]["pairs"][0] == {
        "pair_id": keys.pair_id("coco", "a").hex(),
        "source": "coco",
        "source_id": "a",
        "text": "text of a",
        "image_id": key(1).hex(),
        "image_url": "http://e.org/1.jpg",
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
        "attribution": None,
    }
    assert (by_first["c"]["offset"], by_first["c"]["length"], by_first["c"]["stored_format"]) == (1024, 9, "jpeg")
    assert window.kept.num_rows == 6
    assert [(row["source_id"], row["reason"], row["stage"]) for row in window.rejected.to_pylist()] == [
        ("tiny", "crop_too_small", "shard")
    ]


def test_a_sample_is_a_pair_where_that_is_asked_for() -> None:
    window = ordered(ROWS, unit="pair")
    assert captions(window) == {("a",), ("b",), ("z",), ("left",), ("left again",), ("c",)}
    assert {row["key"] for row in window.samples.to_pylist()} == {
        row["pairs"][0]["pair_id"] for row in window.samples.to_pylist()
    }


def test_a_window_of_nothing_is_empty() -> None:
    window = samples.order(rows_of(), LEDGER_ROWS.slice(0, 0), ASKED)
    assert (window.samples.num_rows, window.rejected.num_rows, window.kept.num_rows) == (0, 0, 0)


@pytest.mark.parametrize("unit", ["image", "pair"])
def test_the_seed_and_nothing_else_changes_the_order(unit: str) -> None:
    rows = [view(1 + number % 10, str(number)) for number in range(30)]
    one, again, other = ordered(rows, unit=unit), ordered(rows[::-1], unit=unit), ordered(rows, seed=1, unit=unit)
    assert one.samples.equals(again.samples)
    assert one.samples["key"].to_pylist() != other.samples["key"].to_pylist()
    assert Counter(one.samples["key"].to_pylist()) == Counter(other.samples["key"].to_pylist())
    assert one.samples["key"].to_pylist() != sorted(one.samples["key"].to_pylist())


CREDIT = "By the author named at https://www.flickr.com/photo.gne?id=1, under CC-BY-2.0"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # The first that says something, whatever the other's caption.
        ({}, {"image_url": "http://f.org/x"}, ("http://e.org/1.jpg", "CC-BY-4.0", "NOASSERTION", None)),
        ({"image_url": None}, {"image_url": "http://f.org/x"}, ("http://f.org/x", "CC-BY-4.0", "NOASSERTION", None)),
        ({"image_url": None}, {"image_url": None}, (None, "CC-BY-4.0", "NOASSERTION", None)),
        ({"text_licence": "CC0-1.0"}, {}, ("http://e.org/1.jpg", "CC0-1.0", "NOASSERTION", None)),
        ({}, {"image_licence": "CC0-1.0"}, ("http://e.org/1.jpg", "CC-BY-4.0", "CC0-1.0", None)),
        ({"image_licence": None}, {"image_licence": "CC0-1.0"}, ("http://e.org/1.jpg", "CC-BY-4.0", "CC0-1.0", None)),
        # Licence and credit are of one pair: what can be credited goes before what is only stated.
        (
            {"image_licence": "CC-BY-4.0"},
            {"image_licence": "CC-BY-2.0", "attribution": CREDIT},
            ("http://e.org/1.jpg", "CC-BY-4.0", "CC-BY-2.0", CREDIT),
        ),
        # The very picture's pairs go before those of a copy that gave way to it.
        (
            {"is_merged": True, "image_url": "http://copy.org/x", "image_licence": "CC-BY-2.0", "attribution": CREDIT},
            {"image_licence": "CC0-1.0"},
            ("http://e.org/1.jpg", "CC-BY-4.0", "CC0-1.0", None),
        ),
        (
            {"is_merged": True, "image_url": "http://copy.org/x", "image_licence": "CC-BY-2.0", "attribution": CREDIT},
            {"image_url": None},
            ("http://copy.org/x", "CC-BY-4.0", "CC-BY-2.0", CREDIT),
        ),
    ],
)
def test_what_a_sample_says_where_its_pairs_say_different_things(
    first: dict[str, Any], second: dict[str, Any], expected: tuple[str | None, ...]
) -> None:
    (row,) = ordered([view(1, "a", **first), view(1, "b", **second)]).samples.to_pylist()
    assert tuple(row[name] for name in samples.STATED) == expected
    for pair, said in zip(row["pairs"], (first, second), strict=True):
        assert {name: pair[name] for name in samples.STATED}.items() >= {
            name: said[name] for name in samples.STATED if name in said
        }.items()


def test_the_size_of_a_sample_is_that_of_its_picture_and_the_originals_stands_beside(tmp_path: Path) -> None:
    write(tmp_path, image_size=20, formats=("webdataset",))
    files = members(tmp_path / "shards/webdataset/00000-of-00001.tar")
    found = set()
    for name, content in files.items():
        if name.endswith(".json"):
            said = json.loads(content)
            (picture_name,) = (
                other for other in files if other.startswith(name[:32]) and other[33:] not in {"json", "txt"}
            )
            assert Image.open(io.BytesIO(files[picture_name])).size == (said["width"], said["height"])
            found.add((said["width"], said["height"], said["original_width"], said["original_height"]))
    assert found == {(20, 20, 100, 100), (20, 40, 100, 100), (30, 20, 60, 40), (20, 32, 50, 80)}


def said_size(row: dict[str, Any]) -> tuple[int, int]:
    """Return the size that a sample is said to have."""
    stored_as = {
        "image_id": key(1),
        "pairs": [{}],
        "key": key(1).hex(),
        "split": "train",
        "store_file": "a",
        "offset": 0,
    }
    known = {"length": 0, "stored_format": "jpeg", "stored_form": "original"}
    said = writing.Described.of(pa.Table.from_pylist([stored_as | known | row], schema=samples.SAMPLES)).table
    return said["width"][0].as_py(), said["height"][0].as_py()


def test_what_is_kept_as_it_came_has_its_upright_size() -> None:
    """A camera's JPEG lies on its side, and says so in its EXIF."""
    row = {"width_px": 60, "height_px": 80, "stored_width_px": 60, "stored_height_px": 80}
    assert said_size(row) == (60, 80)
    assert said_size(row | {"stored_width_px": None, "stored_height_px": None}) == (60, 80)
    assert said_size(row | {"stored_width_px": 30, "stored_height_px": 40}) == (30, 40)


# --- files


def stored(root: Path) -> pa.Table:
    """Store three pictures as fetch does; return their ledger."""
    contents = {
        1: (png(picture()), "png"),
        2: (codec.encode_jpeg(picture((60, 40))), "jpeg"),
        3: (png(picture((50, 80))), "png"),
    }
    with StoreTar(str(root / "fetch/store/shard=00000")) as tar:
        offsets = {
            number: tar.add(f"{key(number).hex()}.{form}", content) for number, (content, form) in contents.items()
        }
        file = tar.finish()
    assert file is not None
    sizes = {1: (100, 100), 2: (60, 40), 3: (50, 80)}
    return ledger_of(
        *(
            fetched(
                number,
                *sizes[number],
                store_file=f"fetch/store/shard=00000/{file.name}",
                offset=offsets[number],
                length=len(content),
                stored_format=form,
            )
            for number, (content, form) in contents.items()
        )
    )


FILE_ROWS = [
    view(1, "a", text='Ünïcode: a "picture"\u2028of'),
    view(1, "b"),
    view(1, "left", [0.0, 0.0, 0.5, 1.0], width_px=100, height_px=100),
    view(2, "c"),
    view(3, "d"),
]


def write(root: Path, name: str = "00000-of-00001", seed: int = 0, **options: Any) -> dict[str, commits.File]:
    chosen = asking(seed, **options)
    window = samples.order(rows_of(*FILE_ROWS), stored(root), chosen)
    folders = {form: str(root / "shards" / form) for form in chosen.shard.formats}
    with reading.Pictures(str(root), window.samples) as pictures:
        return writing.write_samples(folders, name, writing.load(pictures, window.samples, chosen))


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


def test_what_a_shard_holds_and_what_is_said_of_it(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert set(written) == {"webdataset", "parquet"}
    for form, file in written.items():
        content = (tmp_path / "shards" / form / file.name).read_bytes()
        assert (file.bytes, file.rows, file.sha256) == (len(content), 4, commits.sha256(content))
    files = members(tmp_path / "shards/webdataset/00000-of-00001.tar")
    assert len(files) == 12
    whole = key(1).hex()
    assert files[f"{whole}.txt"].decode() == 'Ünïcode: a "picture"\u2028of'
    stated = {"image_url": "http://e.org/1.jpg", "text_licence": "CC-BY-4.0", "image_licence": "NOASSERTION"}
    assert json.loads(files[f"{whole}.json"]) == {
        "image_id": whole,
        "region": None,
        "pairs": [
            {
                "pair_id": keys.pair_id("coco", name).hex(),
                "source": "coco",
                "source_id": name,
                "text": text,
                "image_id": whole,
                **stated,
                "attribution": None,
            }
            for name, text in (("a", 'Ünïcode: a "picture"\u2028of'), ("b", "text of b"))
        ],
        **stated,
        "attribution": None,
        "split": "train",
        "width": 100,
        "height": 100,
        "original_width": 100,
        "original_height": 100,
    }
    # Whole images are the stored bytes, untouched.
    assert files[f"{whole}.png"] == png(picture())
    assert files[f"{key(2).hex()}.jpg"] == codec.encode_jpeg(picture((60, 40)))
    (crop,) = (name for name in files if name.endswith(".jpg") and name != f"{key(2).hex()}.jpg")
    pixels = np.asarray(Image.open(io.BytesIO(files[crop])), np.int16)
    assert pixels.shape == (100, 50, 3)
    assert np.abs(pixels - np.asarray(picture())[:, :50]).mean() < 3
    said = json.loads(files[crop.replace(".jpg", ".json")])
    assert said["region"] == [0.0, 0.0, 0.5, 1.0]
    assert [said[name] for name in ("width", "height", "original_width", "original_height")] == [50, 100, 100, 100]
    with tarfile.open(tmp_path / "shards/webdataset/00000-of-00001.tar") as tar:
        for info in tar:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)


def test_the_tar_is_as_pythons_own_writer_makes_it(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "shards/webdataset/00000-of-00001.tar"
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members(path).items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    assert path.read_bytes() == sink.getvalue()


def test_the_parquet_says_the_same_in_the_same_order(tmp_path: Path) -> None:
    write(tmp_path)
    files = members(tmp_path / "shards/webdataset/00000-of-00001.tar")
    rows = pq.read_table(tmp_path / "shards/parquet/00000-of-00001.parquet").to_pylist()
    assert [row["key"] for row in rows] == list(dict.fromkeys(name.partition(".")[0] for name in files))
    for row in rows:
        said = json.loads(files[f"{row['key']}.json"])
        assert said == {name: row[name] for name in writing.DESCRIBED}
        assert files[f"{row['key']}.txt"].decode() == row["text"]
        assert files[row["image"]["path"]] == row["image"]["bytes"]


def test_the_same_samples_give_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one, again, other = (write(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 2)))
    assert one == again
    assert {form: file.sha256 for form, file in one.items()} != {form: file.sha256 for form, file in other.items()}


def test_pictures_are_brought_down_where_asked(tmp_path: Path) -> None:
    write(tmp_path, short_side_px=20, formats=("webdataset",))
    files = members(tmp_path / "shards/webdataset/00000-of-00001.tar")
    sizes = sorted(
        Image.open(io.BytesIO(content)).size for name, content in files.items() if name.endswith((".jpg", ".png"))
    )
    assert sizes == [(20, 20), (20, 32), (20, 40), (30, 20)]
    assert not (tmp_path / "shards/parquet").exists()


def test_a_picture_that_fetch_accepted_is_never_refused_by_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fetch.max_pixels may be higher than the codec's own limit, which must then not stand in the way.
    for function in (codec.upright_rgb, codec.resized):
        monkeypatch.setitem(function.__kwdefaults__, "max_pixels", 1)
    for options in ({}, {"short_side_px": 20}):
        assert write(tmp_path, **options)["parquet"].rows == 4


def test_webdataset_opens_the_tars(tmp_path: Path) -> None:
    write(tmp_path)
    dataset = webdataset.WebDataset(
        str(tmp_path / "shards/webdataset/00000-of-00001.tar"), shardshuffle=False, empty_check=False
    ).decode("pil")
    found = {item["__key__"]: item for item in dataset}
    assert len(found) == 4
    assert found[key(1).hex()]["png"].size == (100, 100)
    assert found[key(1).hex()]["txt"] == 'Ünïcode: a "picture"\u2028of'
    assert [pair["source_id"] for pair in found[key(1).hex()]["json"]["pairs"]] == ["a", "b"]


def chunk_of(made: list[tuple[int, bytes, str, str]]) -> writing.Chunk:
    """Return samples: number, picture, extension, split."""
    pairs = [dict.fromkeys((field.name for field in samples.PAIR), "x")]
    numbers, contents, forms, of_splits = zip(*made, strict=True)
    said = [
        {"key": f"{number:032x}", "text": "x", "pairs": pairs, "split": split}
        for number, split in zip(numbers, of_splits, strict=True)
    ]
    fields = [field for field in writing.PARQUET if field.name != "image"]
    described = writing.Described(pa.Table.from_pylist(said, schema=pa.schema(fields)))
    return writing.Chunk(described, 0, contents, forms, [None] * len(made))


def in_every_form(folder: Path) -> list[tuple[str, str]]:
    """Write a shard with what the web has, as `store = "original"` keeps it; return each sample's key and extension."""
    made = []
    for number, (mode, form, suffix) in enumerate(
        [
            ("RGBA", "PNG", "png"),
            ("CMYK", "JPEG", "jpg"),
            ("P", "PNG", "png"),
            ("L", "JPEG", "jpg"),
            ("LA", "PNG", "png"),
            ("1", "PNG", "png"),
            ("P", "GIF", "gif"),
            ("RGB", "WEBP", "webp"),
            ("RGB", "AVIF", "avif"),
            ("RGB", "TIFF", "tif"),
            ("RGB", "BMP", "bmp"),
        ]
    ):
        sink = io.BytesIO()
        picture((40, 30)).convert(mode).save(sink, form)
        made.append((number, sink.getvalue(), suffix, "test" if number % 2 else "train"))
    folders = {form: str(folder / form) for form in writing.FORMATS}
    assert {file.rows for file in writing.write_samples(folders, "00000-of-00001", [chunk_of(made)]).values()} == {
        len(made)
    }
    return [(f"{number:032x}", suffix) for number, _, suffix, _ in made]


def test_webdatasets_one_liners_give_every_picture_in_rgb(tmp_path: Path) -> None:
    """docs/training.md has them."""
    written = in_every_form(tmp_path)
    tars = [str(tmp_path / "webdataset/00000-of-00001.tar")]
    forms = ["jpg", "png", "webp", "gif", "avif", "tif", "bmp"]
    assert {form for _, form in written} == {*forms}
    every = webdataset.WebDataset(tars, shardshuffle=False, empty_check=False)
    decoded = every.decode(webdataset.imagehandler("pilrgb", forms)).to_tuple(";".join(forms), "txt", "json")
    found = [(image.mode, image.size, text, said["split"]) for image, text, said in decoded]
    assert found == [("RGB", (40, 30), "x", "test" if number % 2 else "train") for number in range(len(written))]

    usual = [number for number, (_, form) in enumerate(written) if form in {"jpg", "png", "webp"}]
    shard = str(tmp_path / "usual.tar")
    with tarfile.open(tars[0]) as old, tarfile.open(shard, "w") as new:
        for member in old:
            if int(member.name.partition(".")[0], 16) in usual:
                new.addfile(member, old.extractfile(member))
    every = webdataset.WebDataset([shard], shardshuffle=False, empty_check=False)
    trained = (
        every.decode("pilrgb").select(lambda sample: sample["json"]["split"] == "train").to_tuple("jpg;png;webp", "txt")
    )
    assert [(image.mode, text) for image, text in trained] == [("RGB", "x") for number in usual if number % 2 == 0]
    with pytest.raises(ValueError, match=r"didn't find \['jpg'\]"):
        list(webdataset.WebDataset([shard], shardshuffle=False, empty_check=False).to_tuple("jpg", "txt"))


def test_a_picture_that_lies_on_its_side_is_turned_by_the_lines_that_the_docs_have(tmp_path: Path) -> None:
    """It is kept as it came, and webdataset does not heed its EXIF."""
    exif = Image.Exif()
    exif[0x112] = 6  # the camera stood on its side
    sink = io.BytesIO()
    picture((40, 30)).save(sink, "JPEG", exif=exif)
    writing.write_samples(
        {"webdataset": str(tmp_path)}, "00000-of-00001", [chunk_of([(1, sink.getvalue(), "jpg", "train")])]
    )
    tar = [str(tmp_path / "00000-of-00001.tar")]
    pages = Path(__file__).parents[2]
    line = '.map_tuple(PIL.ImageOps.exif_transpose, str)` behind\n  `to_tuple("jpg;png;webp", "txt")'
    assert line in (pages / "docs/training.md").read_text(encoding="utf-8")
    decoded = webdataset.WebDataset(tar, shardshuffle=False).decode("pilrgb").to_tuple("jpg;png;webp", "txt")
    assert [image.size for image, _ in decoded] == [(40, 30)]
    assert [image.size for image, _ in decoded.map_tuple(ImageOps.exif_transpose, str)] == [(30, 40)]
    snippet = (pages / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("shards =")[0]
    known: dict[str, Any] = {}
    exec(snippet, known)
    (sample,) = webdataset.WebDataset(tar, shardshuffle=False)
    turned, caption = known["picture_and_caption"](sample)
    assert (turned.size, turned.mode, caption) == ((30, 40), "RGB", "x")


def test_webdataset_deals_shards_out_to_ranks_by_the_line_that_the_docs_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of WORLD_SIZE processes; without a splitter it refuses to go on (Lightning-AI/pytorch-lightning#20149)."""
    tars = []
    for number in range(4):
        chunk = chunk_of([(number, png(picture()), "png", "train")])
        writing.write_samples({"webdataset": str(tmp_path)}, f"{number:05d}-of-00004", [chunk])
        tars.append(str(tmp_path / f"{number:05d}-of-00004.tar"))
    line = "webdataset.WebDataset(tars, shardshuffle=100, nodesplitter=webdataset.split_by_node)"
    assert line in (Path(__file__).parents[2] / "docs/training.md").read_text(encoding="utf-8")
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        found.append({item["__key__"] for item in eval(line)})
        with pytest.raises(ValueError, match="explicit nodesplitter"):
            list(webdataset.WebDataset(tars, shardshuffle=100))
    assert found[0] | found[1] == {f"{number:032x}" for number in range(4)}
    assert [len(part) for part in found] == [2, 2]


@pytest.mark.parametrize("tars", [1, 2, 5])
def test_datasets_opens_the_folder_of_tars_whatever_stands_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tars: int
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shards"
    files = [
        writing.write_samples(
            {"webdataset": str(folder)},
            f"{number:05d}-of-{tars:05d}",
            [chunk_of([(number, png(picture()), "png", "train")])],
        )["webdataset"]
        for number in range(tars)
    ]
    (folder / flow.SIZES).write_bytes(writing.sizes(files))
    (folder / flow.DATA_FILES).write_bytes(writing.tars(files))
    commits.write(str(folder), commits.Commit("shard", tuple(files), {}, "0" * 32, {}))
    rows = list(datasets.load_dataset(str(folder), split="train", streaming=True))
    assert sorted(row["__key__"] for row in rows) == [f"{number:032x}" for number in range(tars)]


def test_datasets_gives_no_samples_of_other_tars_that_it_has_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It files what it keeps under the folder's name, which is the same in each ROOT."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()

    def loaded(root: str, number: int) -> list[str]:
        folder = tmp_path / root / "shards"
        chunk = chunk_of([(number, png(picture()), "png", "train")])
        files = writing.write_samples({"webdataset": str(folder)}, "00000-of-00001", [chunk])
        (folder / flow.DATA_FILES).write_bytes(writing.tars([*files.values()]))
        opened = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
        return [row["__key__"] for row in opened]

    assert loaded("one", 1) == [f"{1:032x}"]
    assert loaded("other", 2) == [f"{2:032x}"]
    assert loaded("one", 3) == [f"{3:032x}"]  # made anew


@pytest.mark.parametrize("streaming", [True, False])
def test_datasets_knows_the_columns_of_tars_whatever_their_first_samples_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, streaming: bool
) -> None:
    """It looks at five samples; here the sixth is the first with a region, a URL and a credit, and of another format."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    region = [0.0, 0.25, 0.5, 0.75]
    said = []
    for number in range(8):
        more = number > 4
        about = dict.fromkeys(samples.STATED, "x" if more else None)
        pair_ = {**dict.fromkeys((field.name for field in samples.PAIR), "x"), **about}
        described = {
            "key": f"{number:032x}",
            "text": "x",
            "pairs": [pair_],
            "split": "train",
            "width": 40,
            "height": 30,
        }
        said.append({**described, **about, "region": region if more else None})
    fields = [field for field in writing.PARQUET if field.name != "image"]
    written = []
    for mode, form in (("RGBA", "PNG"), ("CMYK", "JPEG")):
        sink = io.BytesIO()
        picture((40, 30)).convert(mode).save(sink, form)
        written.append(sink.getvalue())
    chunk = writing.Chunk(
        writing.Described(pa.Table.from_pylist(said, schema=pa.schema(fields))),
        0,
        [written[number > 4] for number in range(8)],
        [("png", "jpg")[number > 4] for number in range(8)],
        [None] * 8,
    )
    files = writing.write_samples({"webdataset": str(tmp_path / "shards")}, "00000-of-00001", [chunk])
    (tmp_path / "shards" / flow.DATA_FILES).write_bytes(writing.tars([*files.values()]))
    opened = datasets.load_dataset(
        str(tmp_path / "shards"), split="train", streaming=streaming, cache_dir=str(tmp_path / "cache")
    )
    assert opened.features == datasets.Features(
        {
            **dict.fromkeys(writing.PICTURES, datasets.Image(mode="RGB")),
            "json": {name: datasets.Features.from_arrow_schema(writing.PARQUET)[name] for name in writing.DESCRIBED},
            **dict.fromkeys(("txt", "__key__", "__url__"), datasets.Value("string")),
        }
    )
    rows = list(opened)
    assert [row["json"]["region"] for row in rows] == [None] * 5 + [region] * 3
    assert [row["json"]["pairs"][0]["attribution"] for row in rows] == [None] * 5 + ["x"] * 3
    assert [(row["png"] or row["jpg"]).mode for row in rows] == ["RGB"] * 8
    assert [row["png"] is None for row in rows] == [False] * 5 + [True] * 3


def test_hugging_face_datasets_opens_the_parquet_with_the_image_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    write(tmp_path)
    dataset = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "shards/parquet/*.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert isinstance(dataset.features["image"], datasets.Image)
    assert dataset.features == datasets.Features.from_arrow_schema(writing.PARQUET)
    found = {row["key"]: row for row in dataset}
    assert len(found) == 4
    assert found[key(1).hex()]["image"].size == (100, 100)
    assert found[key(1).hex()]["region"] is None
    assert [pair["source_id"] for pair in found[key(1).hex()]["pairs"]] == ["a", "b"]
    (cropped,) = (row for row in found.values() if row["region"])
    assert cropped["region"] == [0.0, 0.0, 0.5, 1.0]
    assert cropped["image"].size == (50, 100)


def test_datasets_decodes_every_picture_to_rgb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    written = in_every_form(tmp_path)
    files = str(tmp_path / "parquet/*.parquet")
    for streaming in (False, True):
        rows = datasets.load_dataset(
            "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"), streaming=streaming
        )
        assert [(row["key"], row["image"].mode, row["image"].size) for row in rows] == [
            (name, "RGB", (40, 30)) for name, _ in written
        ]
    trained = datasets.load_dataset(
        "parquet", data_files=files, split="train", streaming=True, filters=[("split", "==", "train")]
    )
    assert [row["key"] for row in trained] == [name for name, _ in written[::2]]


def test_sizes_are_what_readers_of_webdataset_expect() -> None:
    files = [commits.File("00000-of-00002-x.tar", 1, 3, "ab"), commits.File("00001-of-00002-x.tar", 1, 2, "cd")]
    assert json.loads(writing.sizes(files)) == {"00000-of-00002-x.tar": 3, "00001-of-00002-x.tar": 2}
