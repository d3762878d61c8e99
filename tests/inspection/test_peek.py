"""The page of `pmd peek`: which rows it shows, how their pictures look, and that strangers' words stay words."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pmd import codec, flow
from pmd.config.reasons import REASONS
from pmd.errors import ConfigError, RootError
from pmd.inspection import peek
from pmd.inspection.peek import page_style, pictures, render, sampling
from pmd.inspection.peek import rows as peek_rows
from pmd.schema import keys
from pmd.schema.tables import ATTEMPTS, GROUPS, IMAGES, LEDGER, PAIRS, REJECTED, VIEWS
from pmd.store import commits, parquet_files, root
from pmd.store.commits import Books, Commit

HOSTILE = '<script>alert("x")</script> & \u202eevil\u2066 </p><img src=x onerror=alert(1)> \x01'
VOID = {"meta", "img", "wbr", "rect"}


# --- sampling --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**64)), unique_by=lambda row: row[1]), st.integers(1, 7)
)
def test_smallest_keeps_the_smallest_of_each_stratum_in_any_order(rows: list[tuple[str, int]], size: int) -> None:
    wanted = {
        (name,): sorted(place for stratum, place in rows if stratum == name)[:size] for name, _ in sorted(set(rows))
    }
    for order in (rows, rows[::-1], sorted(rows)):
        nearest = sampling.Smallest[int](size)
        for name, place in order:
            if nearest.accepts((name,), place):
                nearest.add((name,), place, place)
        assert nearest.strata() == wanted


@pytest.mark.parametrize(
    ("strata", "wanted", "expected"),
    [
        ({}, 3, []),
        ({("a",): [1, 2, 3], ("b",): [4]}, 0, []),
        ({("a",): [1, 2, 3], ("b",): [4]}, 3, [1, 4, 2]),
        ({("a",): [1, 2, 3], ("b",): [4]}, 9, [1, 4, 2, 3]),
        # More strata than turns: every source and every reason has its share.
        ({(s, r): [s + r] for s in "ab" for r in "xyz"}, 3, ["ax", "by", "az"]),
    ],
)
def test_spread_takes_turns(strata: dict[sampling.Stratum, list[Any]], wanted: int, expected: list[Any]) -> None:
    assert sampling.spread(strata, wanted) == expected


def test_spread_reads_no_further_than_it_needs() -> None:
    read: list[str] = []

    def items(name: str) -> Iterator[str]:
        for number in range(100):
            read.append(name)
            yield f"{name}{number}"

    assert sampling.spread({("a",): items("a"), ("b",): items("b")}, 3) == ["a0", "b0", "a1"]
    assert read == ["a", "b", "a"]


def test_rank_is_the_digest_of_seed_and_key() -> None:
    assert sampling.rank(7, b"k" * 16).to_bytes(16, "big") == keys.digest("peek", "7", b"k" * 16)


# --- pictures --------------------------------------------------------------------------------------------------------


def _quarters(size: tuple[int, int] = (800, 400)) -> Image.Image:
    """Red, green on top of blue, white."""
    image = Image.new("RGB", size)
    half = (size[0] // 2, size[1] // 2)
    for i, colour in enumerate([(220, 0, 0), (0, 200, 0), (0, 0, 220), (250, 250, 250)]):
        image.paste(colour, (i % 2 * half[0], i // 2 * half[1], (i % 2 + 1) * half[0], (i // 2 + 1) * half[1]))
    return image


def _encoded(image: Image.Image, orientation: int | None = None) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def _decoded(jpeg: bytes | None) -> Image.Image:
    assert jpeg is not None
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def _near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True))


def test_a_picture_is_small_and_upright() -> None:
    turned = _encoded(_quarters().transpose(Image.Transpose.ROTATE_90), orientation=6)
    shown = pictures.picture(turned, None)
    image = _decoded(shown.view)
    assert image.size == shown.size == (320, 160)
    assert _near(image.getpixel((10, 10)), (220, 0, 0))
    assert _near(image.getpixel((310, 150)), (250, 250, 250))
    assert shown.inset is None


def test_a_region_is_cropped_and_its_box_is_drawn_on_the_whole_image() -> None:
    shown = pictures.picture(_encoded(_quarters()), [0.5, 0.0, 0.5, 0.5])
    crop, inset = _decoded(shown.view), _decoded(shown.inset)
    assert crop.size == (320, 160)
    assert all(_near(crop.getpixel(at), (0, 200, 0)) for at in ((5, 5), (160, 80), (314, 154)))
    assert inset.size == shown.inset_size == (240, 120)
    assert _near(inset.getpixel((121, 30)), (255, 214, 10))  # on the box's left edge
    assert _near(inset.getpixel((60, 90)), (0, 0, 220))  # outside
    assert _near(inset.getpixel((180, 30)), (0, 200, 0))  # inside


@pytest.mark.parametrize("region", [[0.0, 0.0, 1.0, 1.0], [0.999, 0.999, 0.001, 0.001], [0.0, 0.5, 1.0, 0.001]])
def test_regions_at_the_edge_are_shown(region: list[float]) -> None:
    shown = pictures.picture(_encoded(_quarters((64, 32))), region)
    assert shown.view is not None
    assert min(shown.size) >= 1


def test_nothing_is_enlarged_and_damage_is_told() -> None:
    assert pictures.picture(_encoded(_quarters((40, 20))), None).size == (40, 20)
    assert "do not decode" in str(pictures.picture(b"no image", None).why_not)


# --- a ROOT by hand --------------------------------------------------------------------------------------------------


def _pair(source: str, source_id: str, **more: Any) -> dict[str, Any]:
    url = more.get("image_url", f"http://example.org/{source_id}.jpg")
    row: dict[str, Any] = dict.fromkeys(PAIRS.names)
    row |= {
        "pair_id": keys.pair_id(source, source_id),
        "image_id": keys.image_id(url),
        "source": source,
        "source_id": source_id,
        "image_url": url,
        "identity": url,
        "text": f"caption {source_id}",
        "meta": "{}",
        "text_licence": "CC-BY-4.0",
        "image_licence": "NOASSERTION",
    }
    return row | more


def _rejected(pair: dict[str, Any], stage: str, reason: str, **more: Any) -> dict[str, Any]:
    row = {name: pair.get(name) for name in REJECTED.names}
    return row | {"stage": stage, "reason": reason, "detail": None, "where": None} | more


def _table(rows: list[dict[str, Any]], schema: pa.Schema, order: str) -> pa.Table:
    rows = sorted(({name: row.get(name) for name in schema.names} for row in rows), key=lambda row: row[order])
    return pa.Table.from_pylist(rows, schema=schema)


def _commit(folder: str, stage: str, files: list[commits.File], books: dict[str, Books], **facts: Any) -> None:
    commits.write(folder, Commit(stage, tuple(files), books, "hash", {}, facts))


class World:
    """Two sources in which something leaves at every stage; shared by the tests, which write it as far as they need."""

    def __init__(self) -> None:
        self.coco = [_pair("coco", str(n), width_px=800, height_px=400, split="train") for n in range(30)]
        self.coco[0] |= {
            "text": HOSTILE,
            "image_url": "javascript:alert(2)",
            "licence_evidence": "https://cc.example/by",
        }
        self.coco[1]["text"] = "dead caption"
        self.vg = [
            _pair(
                "visual_genome",
                f"r{n}",
                image_url="http://example.org/0.jpg",
                region=[0.5, 0.0, 0.5, 0.5],
                text=f"region {n}",
            )
            for n in range(3)
        ]
        self.vg[0] |= {"image_id": self.coco[0]["image_id"], "text": "green part"}
        self.twin = _pair("visual_genome", "twin", text="same bytes")  # its image has the bytes of coco 2's
        self.gone = _pair("visual_genome", "gone")
        self.pairs = {"coco": self.coco, "visual_genome": [*self.vg, self.twin, self.gone]}
        self.lost = {
            "coco": [
                _rejected(
                    _pair("coco", f"lost{n}"),
                    "curate",
                    "empty_text" if n % 2 else "malformed_row",
                    detail=HOSTILE,
                    where="f.json:line 3",
                )
                for n in range(12)
            ],
            "visual_genome": [],
        }
        self.views = [pair for pairs in self.pairs.values() for pair in pairs if pair is not self.gone]

    def curate(self, where: str) -> None:
        for source, pairs in self.pairs.items():
            folder = root.curate_folder(where, source)
            half = len(pairs) // 2
            files = [
                parquet_files.put_table(folder, f"pairs/part-{i}", _table(rows, PAIRS, "pair_id"))
                for i, rows in enumerate((pairs[:half], pairs[half:]))
            ]
            if self.lost[source]:
                files.append(
                    parquet_files.put_table(folder, "rejected/part-0", _table(self.lost[source], REJECTED, "pair_id"))
                )
            reasons = [row["reason"] for row in self.lost[source]]
            books = Books(len(pairs), {reason: reasons.count(reason) for reason in sorted(set(reasons))})
            _commit(folder, "curate", files, {source: books})

    def images(self, where: str) -> None:
        root.create(where, 1)
        folder = root.views_folder(where)
        files = [
            parquet_files.put_table(
                folder,
                f"pairs/part-{part:05d}-of-00002",
                _table([row for row in self.views if row["image_id"][0] >> 7 == part], VIEWS, "image_id"),
            )
            for part in (0, 1)
        ]
        files.append(
            parquet_files.put_table(
                folder,
                "rejected/part-00000-of-00002",
                _table([_rejected(self.gone, "images", "takedown")], REJECTED, "pair_id"),
            )
        )
        books = {"coco": Books(30, {}), "visual_genome": Books(4, {"takedown": 1})}
        _commit(folder, "images", files, books, part_bits=1, fetch_shard_bits=1)
        files = [parquet_files.put_table(root.images_folder(where), "part-00000-of-00002", IMAGES.empty_table())]
        _commit(root.images_folder(where), "images", files, books, part_bits=1, fetch_shard_bits=1)

    def fetch(self, where: str) -> None:
        content = _encoded(_quarters().transpose(Image.Transpose.ROTATE_90), orientation=6)
        ids = sorted({row["image_id"] for row in self.views})
        dead = self.coco[1]["image_id"]
        for shard in (0, 1):
            store = Path(where, "fetch", "store", f"shard={shard:05d}")
            store.mkdir(parents=True)
            (store / "a.tar").write_bytes(b"head" + content)
            rows = [
                {
                    "image_id": image_id,
                    "status": "dead" if image_id == dead else "ok",
                    "generation": 0,
                    "tried": [],
                    "location": "/data/train2017.zip!/train2017/0.jpg",
                    **({} if image_id == dead else self._stored(f"fetch/store/{store.name}/a.tar", len(content))),
                }
                for image_id in ids
                if image_id[0] >> 7 == shard
            ]
            attempts = [
                {
                    "image_id": dead,
                    "location": "http://example.org/1.jpg?x=<b>",
                    "generation": 0,
                    "when": datetime.datetime(2024, 1, 2, 3, second, tzinfo=datetime.UTC),
                    "status": status,
                    "http_status": code,
                    "headers": '{"content-type": "text/html"}',
                    "error": f"attempt {second}",
                }
                for second, status, code in ((5, "dead", 404), (4, "timeout", None))
                if dead[0] >> 7 == shard
            ]
            folder = root.ledger_folder(where, shard, 0)
            found = parquet_files.put_table(
                f"{where}/fetch/attempts/shard={shard:05d}", "generation=0000", _table(attempts, ATTEMPTS, "when")
            )
            files = [
                parquet_files.put_table(folder, "ledger", _table(rows, LEDGER, "image_id")),
                commits.File(
                    f"../../../attempts/shard={shard:05d}/{found.name}", found.bytes, found.rows, found.sha256
                ),
            ]
            commits.write_if_absent(folder, Commit("fetch", tuple(files), {}, "hash", {}))
        folder = root.fetch_rejected_folder(where)
        table = _table([_rejected(self.coco[1], "fetch", "dead")], REJECTED, "pair_id")
        files = [parquet_files.put_table(folder, "part-00000-of-00002", table)]
        _commit(folder, "fetch", files, {"coco": Books(29, {"dead": 1}), "visual_genome": Books(4, {})})

    @staticmethod
    def _stored(store_file: str, length: int) -> dict[str, Any]:
        return {
            "bytes": 23456,
            "width_px": 800,
            "height_px": 400,
            "format": "jpeg",
            "store_file": store_file,
            "offset": 4,
            "length": length,
            "stored_form": "original",
            "stored_format": "jpeg",
        }

    def rest(self, where: str) -> None:
        folder = root.dedupe_folder(where)
        group = {
            "image_id": self.twin["image_id"],
            "kept_id": self.coco[2]["image_id"],
            "relation": "same_bytes",
            "distance": 0,
        }
        files = [
            parquet_files.put_table(folder, "groups/part", _table([group], GROUPS, "image_id")),
            parquet_files.put_table(
                folder,
                "rejected/part-00000",
                _table([_rejected(self.coco[3], "dedupe", "repeated_bytes")], REJECTED, "pair_id"),
            ),
        ]
        _commit(folder, "dedupe", files, {"coco": Books(28, {"repeated_bytes": 1}), "visual_genome": Books(4, {})})
        folder = root.shards_folder(where, "rejected")
        table = _table([_rejected(self.vg[2], "shard", "crop_too_small")], REJECTED, "pair_id")
        files = [parquet_files.put_table(folder, "part-00000", table)]
        _commit(folder, "shard", files, {"coco": Books(28, {}), "visual_genome": Books(3, {"crop_too_small": 1})})


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ROOT after the last stage."""
    where = str(tmp_path_factory.mktemp("peek") / "root")
    for stage in (world.curate, world.images, world.fetch, world.rest):
        stage(where)
    return where


class Page(HTMLParser):
    """What a browser makes of a page: tags in balance, attributes, cards with their words.

    A card is found by its caption, or by its reason where it is a rejected row's.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cards: list[tuple[dict[str, str | None], list[str]]] = []
        self.keys: list[list[str]] = []
        self.blocks: list[tuple[str, str]] = []  # (tag around, words)
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "article":
            self.cards.append((dict(attrs), []))
            self.keys.append([])
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("class")))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1][0] in {"script", "style"}:
            return
        self.blocks.append((self.open[-1][0] if self.open else "", data))
        if "article" in {tag for tag, _ in self.open}:
            self.cards[-1][1].append(data)
            if {"caption", "tag why"} & {kind for _, kind in self.open}:
                self.keys[-1].append(data)

    def card(self, words: str) -> tuple[dict[str, str | None], str]:
        """The one card with this caption or reason: its attributes, all its words."""
        (found,) = [
            (attrs, " ".join(texts)) for (attrs, texts), key in zip(self.cards, self.keys, strict=True) if words in key
        ]
        return found

    def attributes(self, tag: str, name: str) -> list[str]:
        return [value for found, attrs in self.tags if found == tag and (value := attrs.get(name)) is not None]


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_beside_itself(built: str) -> None:
    text = peek.page(built)
    page = Page(text)
    assert page.attributes("img", "src")
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.attributes("img", "src"))
    for source in page.attributes("img", "src"):
        assert max(_decoded(base64.b64decode(source.partition(",")[2])).size) <= 320
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "iframe", "object", "base", "form"})
    assert not re.search(r"url\(|@import|@font-face", page_style.STYLE)
    assert all("src" not in attrs for tag, attrs in page.tags if tag == "script")
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]


def test_every_stage_that_rejects_pairs_has_its_hue() -> None:
    for stage in flow.JUDGING:
        assert stage.hues is not None
        light, dark = (f"--{stage.name}: {hue};" for hue in stage.hues)
        assert (
            page_style.STYLE.index(light)
            < page_style.STYLE.index("prefers-color-scheme")
            < page_style.STYLE.index(dark)
        )
        for drawn in (f".f-{stage.name} {{ fill: var(--{stage.name}); }}", f".swatch.{stage.name} {{ background: var("):
            assert page_style.STYLE.count(drawn) == 1


def test_the_policy_names_the_style_and_the_script_that_stand_there(built: str) -> None:
    text = peek.page(built, pairs=1, rejected=1)
    (policy,) = Page(text).attributes("meta", "content")[:1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_a_pair_is_shown_with_all_that_is_known(built: str) -> None:
    page = Page(peek.page(built))
    attrs, words = page.card("green part")
    assert attrs["data-source"] == "visual_genome"
    for expected in (
        keys.pair_id("visual_genome", "r0").hex()[:8],
        keys.pair_id("visual_genome", "r0").hex()[8:],
        "CC-BY-4.0",
        "NOASSERTION",
        "http://example.org/0.jpg",
        "800 × 400 px, jpeg, 23.5 kB, kept original",
        "/data/train2017.zip!/train2017/0.jpg",
        "A region: 50 × 50 % of the image, from 50 % across and 0 % down.",
        "3 other captions of this image",
        "coco, another part of the image",
    ):
        assert expected in words
    assert "The whole image, with the box of the region" in page.attributes("img", "alt")
    assert keys.pair_id("visual_genome", "r0").hex() in page.attributes("code", "title")
    _, words = page.card("caption 4")
    assert "800 × 400 px" in words
    assert "train" in words
    _, words = page.card("same bytes")
    assert "1 other caption of this image" in words
    assert "caption 2" in words


def test_pictures_are_upright_and_cropped(built: str, world: World) -> None:
    page = Page(peek.page(built, rejected=0))
    shown = dict(zip(page.attributes("img", "alt"), page.attributes("img", "src"), strict=True))
    whole = _decoded(base64.b64decode(shown["caption 4"].partition(",")[2]))
    assert _near(whole.getpixel((10, 10)), (220, 0, 0))
    crop = _decoded(base64.b64decode(shown["green part"].partition(",")[2]))
    assert _near(crop.getpixel((10, 10)), (0, 200, 0))


def test_what_strangers_wrote_stays_words(built: str) -> None:
    text = peek.page(built)
    page = Page(text)
    attrs, words = page.card(HOSTILE.replace("\x01", "\u2401"))
    assert attrs["data-source"] == "coco"
    assert "javascript:alert(2)" in words
    assert text.count("<script>") == 1
    assert "onerror=alert(1)>" not in text
    assert not [url for url in page.attributes("a", "href") if not url.startswith(("http://", "https://"))]
    assert all(attrs["rel"] == "noopener noreferrer nofollow" for tag, attrs in page.tags if tag == "a")
    assert HOSTILE.replace("\x01", "\u2401") in page.attributes("img", "alt")
    overrides = [tag for tag, words in page.blocks if "\u202e" in words]
    assert overrides
    assert set(overrides) == {"bdi"}
    assert "\x01" not in text


@given(st.text())
def test_any_text_comes_back_as_it_was(text: str) -> None:
    text = text.replace("\r", "")  # a browser makes new lines of it
    page = Page(render._text(text))
    assert "".join(words for _, words in page.blocks).replace("\u2400", "\0") == text.translate(
        {code: 0x2400 + code for code in range(1, 0x20) if code not in {9, 10}} | {0x7F: 0x2421}
    ).replace("\u2400", "\0")
    assert {tag for tag, _ in page.tags} == {"bdi"}


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("http://example.org/a?b=c&d", True),
        ("HTTPS://example.org/", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("http://[bad", False),
        ("http://", False),
        ("http://example.org/robots.txt has no rule for it", False),
        ("//example.org/x", False),
    ],
)
def test_only_web_addresses_are_links(url: str, is_link: bool) -> None:
    assert [attrs["href"] for tag, attrs in Page(render._url(url)).tags if tag == "a"] == ([url] if is_link else [])


def test_rejected_rows_of_every_stage_are_shown_with_their_evidence(built: str) -> None:
    page = Page(peek.page(built, pairs=0))
    stages = {REASONS[str(attrs["data-reason"])][0] for attrs, _ in page.cards}
    assert stages == {"curate", "images", "fetch", "dedupe", "shard"}
    _, words = page.card("dead")
    for expected in (
        "No location has it: 404, 410 and the like.",
        "dead caption",
        "2; the last one:",
        "http://example.org/1.jpg?x=<b>",
        "dead, HTTP 404, 2024-01-02 03:05:00 UTC",
        "attempt 5",
        "content-type",
        "text/html",
    ):
        assert expected in words
    assert page.attributes("a", "href").count("http://example.org/1.jpg?x=<b>") == 1
    (words, *_) = [" ".join(texts) for attrs, texts in page.cards if attrs["data-reason"] == "malformed_row"]
    assert "The row could not be parsed: wrong number of columns, a missing key, a bad number." in words
    assert "f.json:line 3" in words
    assert HOSTILE.replace("\x01", "\u2401") in words
    _, words = page.card("crop_too_small")
    assert "A region: 50 × 50 %" in words
    _, words = page.card("repeated_bytes")
    assert "kept original" in words


def test_pairs_that_a_stage_rejected_are_not_shown_as_pairs(built: str, world: World) -> None:
    page = Page(peek.page(built, pairs=1000, rejected=0))
    words = " ".join(word for _, texts in page.cards for word in texts)
    for gone in (world.gone, world.coco[1], world.coco[3], world.vg[2]):
        assert f"{gone['pair_id'].hex()[8:]}" not in words
    assert len(page.cards) == 28 + 3


def test_the_books_are_shown(built: str) -> None:
    text = peek.page(built, pairs=0, rejected=0)
    words = [words for _, words in Page(text).blocks]
    at = words.index("genome")
    assert words[at - 1 : at + 3] == ["visual_", "genome", "5", "3"]
    assert words[at + 3] == "left 60.0 %, images 20.0 %, shard 20.0 %"
    assert words[words.index("came in") + 1] == "47"
    assert words[words.index("pairs left") + 1] == "31"
    assert f"pmd peek {built} --seed 1" in " ".join(words)


def test_rows_are_those_with_the_smallest_digests_in_turn_from_every_source(built: str, world: World) -> None:
    page = Page(peek.page(built, pairs=6, rejected=0, seed=3))
    assert [attrs["data-source"] for attrs, _ in page.cards] == ["coco", "visual_genome"] * 3
    left = sorted(
        (keys.digest("peek", "3", pair["pair_id"]), pair["text"])
        for i, pair in enumerate(world.coco)
        if i not in {1, 3}
    )
    shown = [texts for attrs, texts in page.cards if attrs["data-source"] == "coco"]
    for (_, caption), texts in zip(left[:3], shown, strict=True):
        assert caption.replace("\x01", "\u2401") in texts


def test_the_same_root_and_seed_give_the_same_page(built: str) -> None:
    assert peek.page(built, seed=5) == peek.page(built, seed=5)
    assert peek.page(built, pairs=5, seed=5) != peek.page(built, pairs=5, seed=6)


def test_a_source_or_a_reason_can_be_asked_for(built: str) -> None:
    text = peek.page(built, source="visual_genome", reason="takedown")
    assert "3 of 3 pairs left, and 1 of 1 rejected row," in text
    page = Page(text)
    assert {attrs["data-source"] for attrs, _ in page.cards} == {"visual_genome"}
    page = Page(peek.page(built, pairs=0, reason="empty_text", rejected=4))
    assert [attrs["data-reason"] for attrs, _ in page.cards] == ["empty_text"] * 4
    assert "There is no rejected row to show here." in peek.page(built, reason="bomb")


def test_a_root_that_is_only_curated_has_no_pictures_yet(world: World, tmp_path: Path) -> None:
    where = str(tmp_path / "root")
    world.curate(where)
    page = Page(peek.page(where))
    assert "not fetched" in page.card("green part")[1]
    assert "3 other captions of this image" in page.card("green part")[1]
    assert not page.attributes("img", "src")
    assert len(page.cards) == 35 + 12
    assert "–" in [words for tag, words in page.blocks if tag == "td"]


def test_a_root_that_is_not_fetched_yet_shows_its_pairs(world: World, tmp_path: Path) -> None:
    where = str(tmp_path / "root")
    world.curate(where)
    world.images(where)
    page = Page(peek.page(where))
    assert "not fetched" in page.card("green part")[1]
    assert not [1 for _, texts in page.cards if world.gone["text"] in texts and "takedown" not in texts]


def test_a_lost_store_file_is_told_in_the_picture_s_place(world: World, tmp_path: Path) -> None:
    where = str(tmp_path / "root")
    for stage in (world.curate, world.images, world.fetch):
        stage(where)
    for path in Path(where).glob("fetch/store/*/a.tar"):
        path.unlink()
    told = "damaged: the store's file is gone .fetch/store/shard=0000[01]/a.tar: image"
    assert re.search(told, Page(peek.page(where)).card("green part")[1])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"source": "coca"},
            "--source: no such source\n  expected: one of coco, visual_genome\n  found: coca\n  remedy: did you mean coco?",
        ),
        ({"source": "wit"}, "--source: no such source\n  expected: one of coco, visual_genome\n  found: wit"),
        (
            {"source": "COCO"},
            "--source: no such source\n  expected: one of coco, visual_genome\n  found: COCO\n  remedy: did you mean coco?",
        ),
        (
            {"reason": "deaf"},
            f"--reason: no such reason\n  expected: one of {', '.join(REASONS)}\n  found: deaf\n  remedy: did you mean dead?",
        ),
        ({"pairs": -1}, "--pairs: not a number of rows\n  expected: 0 or more\n  found: -1"),
    ],
)
def test_what_cannot_be_asked_for(built: str, given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        peek.page(built, **given)
    assert str(caught.value) == expected


def test_a_folder_without_a_curated_source_is_no_root(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no source is curated here"):
        peek.page(str(tmp_path))


def test_few_survivors_among_many_candidates_are_found(world: World, tmp_path: Path) -> None:
    """Candidates are looked up one by one, in order of their digests, until enough are left."""
    where = str(tmp_path / "root")
    many = World()
    many.coco = [_pair("coco", str(n)) for n in range(300)]
    many.pairs = {"coco": many.coco}
    many.lost = {"coco": []}
    many.views = many.coco
    many.curate(where)
    many.images(where)
    gone = random.Random(0).sample(many.coco, 295)
    table = _table([_rejected(pair, "dedupe", "repeated_bytes") for pair in gone], REJECTED, "pair_id")
    folder = root.dedupe_folder(where)
    _commit(
        folder,
        "dedupe",
        [parquet_files.put_table(folder, "rejected/part", table)],
        {"coco": Books(5, {"repeated_bytes": 295})},
    )
    assert len(Page(peek.page(where, rejected=0)).cards) == 5


@pytest.mark.parametrize(("stored_size", "is_shown"), [((256, 192), True), ((256, 256), False)])
def test_no_region_is_shown_of_a_picture_that_was_cut_or_has_a_border(
    tmp_path: Path, stored_size: tuple[int, int], is_shown: bool
) -> None:
    content = codec.encode_jpeg(Image.new("RGB", stored_size, "navy"))
    (tmp_path / "a.tar").write_bytes(content)
    row = {
        "image_id": b"\1" * 16,
        "status": "ok",
        "store_file": "a.tar",
        "offset": 0,
        "length": len(content),
        "stored_form": "resized",
        "stored_format": "jpeg",
        "sha256": None,
        "stored_digest": keys.digest(content),
        "width_px": 640,
        "height_px": 480,
        "stored_width_px": stored_size[0],
        "stored_height_px": stored_size[1],
    }
    shown = peek_rows._picture(str(tmp_path), row, [0.0, 0.0, 0.5, 0.5])
    assert (shown.view is not None) == is_shown
    assert is_shown == (shown.why_not is None)
    assert is_shown or "the region is lost" in str(shown.why_not)
    assert peek_rows._picture(str(tmp_path), row, None).view is not None
