"""Takedown lists: every line is read or refused, and one that takes nothing down is told."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines import build
from pmd import config, perceptual_hash
from pmd.errors import InputError, PmdError
from pmd.fetch.ledger import stored
from pmd.images import names, takedowns
from pmd.images import needs as images_needs
from pmd.inspection import explain
from pmd.schema import keys
from pmd.store import root, storage
from pmd.store.standing import Standing
from pmd.takedown import requests
from pmd.text import pages
from tests import tiny_root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_lines(tmp_path: Path) -> None:
    key = keys.pair_id("coco", "1").hex()
    path = write(tmp_path / "list", "\ufeff# asked for", "", " HTTP://One.example/c4.jpg#x ", f"\t{key.upper()}", "# x")
    url, pair = takedowns.lines([path])
    assert (url.place, url.said, url.named.urls) == (
        f"{path}:line 3", "HTTP://One.example/c4.jpg#x", ("http://one.example/c4.jpg",),
    )  # fmt: skip
    assert url.ids == {keys.image_id("url:one.example/c4.jpg")}
    assert (pair.place, pair.ids, pair.named.urls) == (f"{path}:line 4", {bytes.fromhex(key)}, ())


def test_a_line_that_names_nothing_is_refused_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "list", tiny_root.C4, "www.example.org/c4.jpg")
    with pytest.raises(InputError) as caught:
        takedowns.lines([path])
    assert str(caught.value) == (
        f"{path}:line 2: takedown: a line names nothing\n"
        "  expected: an image's URL; the page of a photo on Flickr (or its flic.kr link), of a file on Wikimedia, or of a Reddit "
        "or Imgur post; an identity (flickr:4242, coco:9); SOURCE/ID; a pair_id or image_id (32 hex digits); sha256:HEX or "
        "pdq:HEX (64 hex digits; pdq of a picture with something in it), or xxh3:HEX (32) of a stored picture; or the path of a "
        "picture; # begins a line of comment\n"
        "  found: www.example.org/c4.jpg\n"
        "  remedy: mend the lines (a URL begins with its scheme: https://www.example.org/c4.jpg); nothing was run, so that "
        "nobody's request is passed over"
    )
    many = write(tmp_path / "many", *("ftp://x", "0123", "x" * 31, "g" * 32, "http://", "mailto:x@y.z", "9"))
    with pytest.raises(InputError, match=r"line 5; and 2 more: takedown: 7 lines name nothing") as caught:
        takedowns.lines([many])
    assert "scheme" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "https://www.flickr.com/people/12345678@N00/",
        "https://www.flickr.com/photos/somebody/albums/72157600000000000",
        "https://www.reddit.com/user/somebody",
        "https://imgur.com/a/AbCdE",
        "http://one.example/1.jpg\tmy face",
        "http://one.example/1.jpg  # asked for in May",
        "http://one.example/1.jpg http://one.example/2.jpg",
        "http://one.example/1.jpg,https://one.example/2.jpg",
        "https://www.flickr.com/photos/somebody/4242/; HTTPS://www.flickr.com/photos/somebody/4243/",
        "coco/12345\tmine",
        "http://one.example/1.jpg,John Smith",
        "http://one.example/1.jpg; please remove",
        "http://one.example/1.JPEG;2026-05-01;mine",
        "http://one.example/1.png,",
        "http://one.example/1.jpg;Smith",
        "http://one.example/1.jpg,Müller",
        "http://one.example/1.jpg.",
        'http://one.example/1.jpg"',
        "http://one.example/1.jpg>.",
        "https://www.google.com/search?q=somebody&udm=2",
        "https://de.wikipedia.org/wiki/Jemand",
    ],
)
def test_a_page_of_many_pictures_and_columns_are_no_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match="takedown: a line names nothing") as told:
        takedowns.lines([write(tmp_path / "list", "coco:9", line)])
    assert str(told.value.where).endswith(":line 2")


def test_a_line_with_more_than_a_name_is_told_what_a_line_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a line names nothing") as told:
        takedowns.lines([write(tmp_path / "list", "http://one.example/1.jpg # asked for in May")])
    assert told.value.remedy == (
        "mend the lines (one name a line, and nothing behind it; a comma of the address itself may be written %2C); "
        "nothing was run, so that nobody's request is passed over"
    )


@pytest.mark.parametrize(
    "line",
    [
        "http://one.example/w_300,h_200/1.jpg",
        "http://one.example/1.jpg;width=300",
        "http://one.example/1.jpg,12345.html",
        "http://one.example/1.jpg,v2",
        "http://one.example/1.jpg%2CJohn%20Smith",
        "https://web.archive.org/web/2019/http://one.example/1.jpg",
        "http://one.example/my picture.jpg",
    ],
)
def test_an_address_may_have_commas_and_blanks(tmp_path: Path, line: str) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", line)])
    assert read.named.is_picture


def test_an_id_of_ones_own_rows_may_be_any_text(tmp_path: Path) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", "my_pairs/the house #2, again")], ["my_pairs"])
    assert read.rows == {"my_pairs/the house #2, again"}
    assert str(takedowns.note([read], [read])).endswith(
        "; lines with a blank, comma or semicolon, all of which is taken for one name: "
        f"1 ({read.place}). Where they are columns, leave one name a line"
    )


def test_a_picture_may_be_called_like_a_comment(tmp_path: Path) -> None:
    (tmp_path / "me #1.png").write_bytes(picture())
    (read,) = takedowns.lines([write(tmp_path / "list", "me #1.png")])
    assert read.named.sha256 == hashlib.sha256(picture()).digest()


@pytest.mark.parametrize("around", ["\u200b", "\ufeff", "\u202a", "\u2060 ", "\u00ad"])
def test_what_nobody_sees_around_a_name_is_no_part_of_it(tmp_path: Path, around: str) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", "coco:9", f"{around}{tiny_root.C4}{around}")])[1:]
    assert read.named == names.read(tiny_root.C4, ())
    assert requests.read_word(f"{around}host:one.example{around}").host == "one.example"


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"])
def test_a_spreadsheet_is_no_list(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "takedown.xlsx"
    path.write_bytes(head + bytes(range(256)))
    with pytest.raises(InputError, match="a takedown list is no text") as told:
        takedowns.lines([str(path)])
    assert told.value.remedy == "save the one column of addresses as text in UTF-8, without a heading"


@pytest.mark.parametrize(
    "line",
    [
        "https://imgur.com/images/logo-1200-630.jpg?2",
        "https://www.reddit.com/i/a.PNG",
        "https://flickr.com/b.webp#1",
        "https://www.bing.com/th?id=OIP.abc123&pid=Api",
        "https://bing.com/th/id/OIP.abc123?w=200",
        "http://images.google.com/images?q=tbn:abc123",
    ],
)
def test_a_picture_of_the_sites_own_is_a_line(tmp_path: Path, line: str) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", line)])
    assert read.named.is_picture


@pytest.mark.parametrize(
    "line", ["host:one.example", "user:yfcc100m/12345678@N00", "https://www.flickr.com/people/12345678@N00/"]
)
def test_whoever_names_a_person_or_a_host_is_told_who_takes_them(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match="a line names nothing") as told:
        takedowns.lines([write(tmp_path / "list", line)])
    assert "whom or which host it is of, pmd takedown add takes" in str(told.value)


def test_a_list_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "takedown.txt"
    path.write_bytes("coco:9\nhttp://one.example/café.jpg\n".encode("latin-1"))
    with pytest.raises(InputError, match="the text is not UTF-8") as told:
        takedowns.lines([str(path)])
    assert told.value.where == f"{path}:line 2"


@pytest.mark.parametrize("digits", ["0" * 64, "f" * 64, "0" * 63 + "1"])
def test_a_hash_that_tells_nothing_apart_names_nothing(tmp_path: Path, digits: str) -> None:
    with pytest.raises(InputError, match="a line names nothing"):
        takedowns.lines([write(tmp_path / "list", f"PDQ:{digits}")])
    (read,) = takedowns.lines([write(tmp_path / "list", digits)])
    assert (read.named.sha256, read.named.pdq) == (bytes.fromhex(digits), None), "it may be the digest of bytes"


def test_a_build_refuses_it_before_anything_runs(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    write(tmp_path / "data" / "takedown.txt", "not a URL")
    with pytest.raises(InputError, match="a line names nothing"), root.writer(chosen.root, "test"):
        build.build(chosen)
    assert not (tmp_path / "pmd").exists()


def test_lines_that_match_nothing(built: config.Config, tmp_path: Path) -> None:
    """The tiny world's own list names C4, which has left."""
    lines = [
        tiny_root.C4,
        tiny_root.C4.replace("http:", "https:"),
        tiny_root.C4.replace("taken-down", "taken%2ddown"),
        keys.image_id("url:one.example/taken-down.jpg").hex(),
        tiny_root.C1,  # still there: it is not what was taken down
        "http://one.example/never-seen.jpg",
        "0" * 32,
    ]
    listed = takedowns.lines([write(tmp_path / "list", *lines)])
    without = takedowns.unmatched(built.root, sorted(built.sources), listed)
    assert [line.said for line in without] == lines[4:]
    assert takedowns.note(listed, without) == (
        f"takedown: 3 of 7 lines match no pair of this ROOT: "
        f"{tmp_path}/list:line 5, {tmp_path}/list:line 6, {tmp_path}/list:line 7"
    )
    assert takedowns.note(listed, []) is None
    tables = takedowns.lines([write(tmp_path / "table", f"{tiny_root.C4},please", f"{tiny_root.C4},x", tiny_root.C1)])
    assert takedowns.note(tables, tables) == (
        f"takedown: 3 of 3 lines match no pair of this ROOT: {tmp_path}/table:line 1, {tmp_path}/table:line 2, "
        f"{tmp_path}/table:line 3; lines with a blank, comma or semicolon, all of which is taken for one name: 2 "
        f"({tmp_path}/table:line 1, {tmp_path}/table:line 2). Where they are columns, leave one name a line"
    )
    assert takedowns.unmatched(built.root, sorted(built.sources), []) == []


def test_the_images_stage_tells_of_them(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    flickr = "https://live.staticflickr.com/2/4242_abcdef_b.jpg"  # COCO's photograph 9, by its other identity
    write(tmp_path / "data" / "takedown.txt", tiny_root.C4, flickr, "http://one.example/never-seen.jpg")
    seen = io.StringIO()
    handler = logging.StreamHandler(seen)
    logging.getLogger("pmd.notes").addHandler(handler)
    try:
        with root.writer(chosen.root, "test"):
            build.build(chosen, only="curate")
        with root.writer(chosen.root, "test"):
            build.build(chosen, only="images")
    finally:
        logging.getLogger("pmd.notes").removeHandler(handler)
    assert seen.getvalue() == (
        f"takedown: 1 of 3 lines matches no pair of this ROOT: {tmp_path}/data/takedown.txt:line 3\n"
    )


WIKIMEDIA = "https://upload.wikimedia.org/wikipedia/commons/a/a9/Example.jpg"


def picture() -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").rotate(9).crop((20, 40, 250, 200)).convert("RGB").save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("line", "identity"),
    [
        ("https://www.flickr.com/photos/somebody/4242/in/album-72157/", "flickr:4242"),
        ("flickr.com/photos/12@N01/4242", "flickr:4242"),
        ("https://flic.kr/p/2g9", "flickr:4242"),
        ("flickr:4242", "flickr:4242"),
        ("https://farm3.staticflickr.com/2/4242_abcdef_q_d.jpg", "flickr:4242"),
        ("coco:9", "coco:9"),
        ("val2014/COCO_val2014_000000000009.jpg", "coco:9"),
        ("https://commons.wikimedia.org/wiki/File:Example.jpg", "url:upload.wikimedia.org/wikipedia/commons/a/a9/Example.jpg"),
        ("https://upload.wikimedia.org/wikipedia/commons/thumb/a/a9/Example.jpg/120px-Example.jpg", f"url:{WIKIMEDIA[8:]}"),
    ],
)  # fmt: skip
def test_a_line_names_an_image_in_any_form(tmp_path: Path, line: str, identity: str) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", line)])
    assert keys.image_id(identity) in read.ids


def test_a_row_is_named_with_its_repeats() -> None:
    assert [takedowns.base_of(row) for row in ("coco/1", "coco/1#2", "wit/a#b")] == ["coco/1", "coco/1", "wit/a#b"]
    assert names.read("coco/1", ["coco"]) == names.Named("a source id", rows=(("coco", "1"),))
    assert names.read("coco/1", ["wit"]) is None


def test_a_list_is_parsed_once_as_long_as_its_bytes_and_those_of_its_pictures_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = names.read
    monkeypatch.setattr(names, "read", lambda said, *args: (read.append(said), real(said, *args))[1])
    path = write(tmp_path / "list", "coco:9", tiny_root.C1)
    assert takedowns.lines([path]) == takedowns.lines([path])
    assert read == ["coco:9", tiny_root.C1]
    write(tmp_path / "list", "coco:9", tiny_root.C3)
    assert [line.said for line in takedowns.lines([path])] == ["coco:9", tiny_root.C3]
    # A row of a source that the first reading did not know.
    write(tmp_path / "list", "my_pairs/1")
    with pytest.raises(InputError):
        takedowns.lines([path])
    assert takedowns.lines([path], ["my_pairs"])[0].rows == {"my_pairs/1"}
    write(tmp_path / "list", "mine.png")
    (tmp_path / "mine.png").write_bytes(picture())
    (before,) = takedowns.lines([path])
    (tmp_path / "mine.png").write_bytes(picture() + b"more")
    (after,) = takedowns.lines([path])
    assert before.named.sha256 != after.named.sha256


def test_a_picture_lies_beside_its_list(tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(picture())
    (tmp_path / "notes.txt").write_text("no picture")
    (read,) = takedowns.lines([write(tmp_path / "list", "mine.png")])
    assert read.named.sha256 == hashlib.sha256(picture()).digest()
    assert read.named.pdq == perceptual_hash(picture())
    with pytest.raises(InputError, match="a line names nothing"):
        takedowns.lines([write(tmp_path / "list", "notes.txt")])


def test_a_picture_in_a_folder_that_is_called_like_a_source_counts_as_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / "mine.png").write_bytes(picture())
    (tmp_path / "coco" / "000000000009.jpg").write_bytes(picture())
    mine, archived, other = takedowns.lines(
        [write(tmp_path / "list", "coco/mine.png", "coco/000000000009.jpg", "coco/12")]
    )
    assert (mine.rows, mine.named.sha256) == ({"coco/mine.png"}, hashlib.sha256(picture()).digest())
    assert (mine.named.pdq, mine.ids) == (perceptual_hash(picture()), set())
    assert mine.named.says == "a source id, or a picture file"
    assert (archived.rows, archived.named.sha256, archived.ids) == (
        {"coco/000000000009.jpg"}, mine.named.sha256, {keys.image_id("coco:9")},
    )  # fmt: skip
    assert other.named == names.Named("a source id", rows=(("coco", "12"),))
    monkeypatch.chdir(tmp_path)
    assert names.read("coco/mine.png", ["coco"]) == mine.named


def test_rows_of_a_source_are_not_looked_for_as_files_where_no_folder_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("exists", "is_folder"):
        original = getattr(storage, name)
        monkeypatch.setattr(storage, name, lambda path, original=original: (asked.append(path), original(path))[1])
    path = write(tmp_path / "list", *(f"coco/{number}" for number in range(100)))
    assert len(takedowns.lines([path])) == 100
    assert asked == [f"{tmp_path}/coco"]


@pytest.mark.parametrize(
    ("line", "own"),
    [
        (
            "https://commons.wikimedia.org/wiki/Special:FilePath/Example.jpg",
            "url:commons.wikimedia.org/wiki/Special:FilePath/Example.jpg",
        ),
        ("https://en.wikipedia.org/wiki/File:Example.jpg", "url:en.wikipedia.org/wiki/File:Example.jpg"),
        ("https://redd.it/abc12", "url:redd.it/abc12"),
        (
            "commons.wikimedia.org/wiki/Special:FilePath/Example.jpg",
            "url:commons.wikimedia.org/wiki/Special:FilePath/Example.jpg",
        ),
    ],
)
def test_a_page_names_what_it_shows_and_itself(tmp_path: Path, line: str, own: str) -> None:
    """A source may have the address itself as an image's URL, by either scheme."""
    (read,) = takedowns.lines([write(tmp_path / "list", line)])
    assert keys.image_id(own) in read.ids
    page = pages.meant(f"https://{line.removeprefix('https://')}")
    assert page is not None
    assert {keys.image_id(identity) for identity in page.identities} < read.ids
    assert read.rows == {"/".join(row) for row in page.rows}


def test_a_post_is_named_as_reddit_s_own_records_have_it(tmp_path: Path) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", "/r/crafts/comments/osch1/a_scarf_that_i_knitted/")])
    assert (read.rows, read.named.is_picture) == ({"red_caps/osch1"}, True)
    with pytest.raises(InputError):
        takedowns.lines([write(tmp_path / "list", "/r/crafts/")])


def test_a_viewer_s_address_without_its_scheme_is_one(tmp_path: Path) -> None:
    (read,) = takedowns.lines([write(tmp_path / "list", "cocodataset.org/#explore?id=9")])
    assert keys.image_id("coco:9") in read.ids


def test_a_page_takes_down_the_pair_that_has_it_as_its_url(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    rows = tmp_path / "data" / "GCC-training.tsv"
    shown = "http://commons.wikimedia.org/wiki/Special:FilePath/Example.jpg"
    rows.write_text(rows.read_text("utf-8").replace(tiny_root.C1, shown), "utf-8")
    assert shown in rows.read_text("utf-8")
    write(tmp_path / "data" / "takedown.txt", shown.replace("http:", "https:"))
    for stage in ("curate", "images"):
        with root.writer(chosen.root, "test"):
            build.build(chosen, only=stage)
    left = explain.explain(chosen.root, shown)["pairs"]
    assert left
    assert {row["reason"] for pair in left for row in pair["rejected"]} == {"takedown"}


LONG = "9" * 5000


@pytest.mark.parametrize(
    "line",
    [
        f"https://cocodataset.org/#explore?id={LONG}",
        f"https://visualgenome.org/api/v0/images/{LONG}",
        f"https://images.cocodataset.org/val2014/{LONG}.jpg",
        f"https://live.staticflickr.com/1/{LONG}_0123abcd_b.jpg",
        f"https://mscoco.org/images/{LONG}",
        f"coco:{LONG}",
        f"flickr:{LONG}",
        f"coco/{LONG}",
        f"conceptual_captions/{LONG}#{LONG}",
    ],
    ids=lambda line: line[:40],
)
def test_however_long_a_line_is_it_is_read(built: config.Config, tmp_path: Path, line: str) -> None:
    (read,) = listed = takedowns.lines([write(tmp_path / "list", line)])
    assert takedowns.unmatched(built.root, sorted(built.sources), listed) == [read]
    with pytest.raises(PmdError, match="nothing here is called"):
        explain.explain(built.root, line)


@pytest.mark.parametrize(
    "line",
    [
        f"https://flic.kr/p/{LONG}",
        f"https://www.flickr.com/photo.gne?short={LONG}",
        f"https://www.flickr.com/photo.gne?id={LONG}",
        f"https://www.flickr.com/photos/somebody/{LONG}/",
        f"flic.kr/p/{LONG}",
        f"{LONG}.jpg",
        LONG,
        "a/" * 5000,
        f"x.test/{LONG}",
    ],
    ids=lambda line: line[:40],
)
def test_however_long_a_line_is_it_is_refused_in_words(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match="a line names nothing"):
        takedowns.lines([write(tmp_path / "list", line)])


def ledger_of(built: config.Config, identity: str) -> dict[str, Any]:
    stands = explain.explain(built.root, identity)["images"][0]["stands"]
    assert stands is not None
    return dict(stands)


def test_digests_and_pictures_are_found_in_the_ledger(built: config.Config, tmp_path: Path) -> None:
    row = ledger_of(built, "coco:9")
    content = stored.read(built.root, row | {name: bytes.fromhex(row[name]) for name in ("image_id", "stored_digest")})
    (tmp_path / "picture").write_bytes(content)
    said = [row["sha256"], f"sha256:{row['sha256']}", f"xxh3:{row['stored_digest']}", "picture", "sha256:" + "0" * 64]
    listed = takedowns.resolved(Standing(built.root), takedowns.lines([write(tmp_path / "list", *said)]))
    coco = keys.image_id("coco:9")
    assert [coco in line.ids for line in listed] == [True, True, True, True, False]
    note = takedowns.note(listed, listed[-1:])
    assert note is not None
    assert note.endswith(
        "; a picture that is named by its bytes is known only when it has been fetched, and leaves then"
    )


def test_the_images_are_stale_once_the_ledger_knows_a_picture_that_a_list_names(
    built: config.Config, tmp_path: Path
) -> None:
    """The list is as it was before the fetch: what it means has changed."""
    row = ledger_of(built, "coco:9")
    unknown, known = (
        write(tmp_path / name, f"sha256:{digest}") for name, digest in (("a", "0" * 64), ("b", row["sha256"]))
    )
    of = [
        takedowns.by_ledger(takedowns.resolved(Standing(built.root), takedowns.lines([path])))
        for path in (unknown, known)
    ]
    assert of == [{f"sha256:{'0' * 64}": []}, {f"sha256:{row['sha256']}": [keys.image_id("coco:9").hex()]}]
    before, after = (
        images_needs.of(dataclasses.replace(built, takedown=(path,))).wanted.inputs["takedown, by bytes"]
        for path in (unknown, known)
    )
    assert before != after


def test_images_are_stale_that_were_made_when_lists_knew_fewer_spellings(
    built: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list and the pairs are as they were; without a list nothing is made anew."""
    listing = dataclasses.replace(built, takedown=(write(tmp_path / "list", "http://a.example/%7Eone.jpg"),))
    nobody = dataclasses.replace(built, takedown=())
    now, without = images_needs.of(listing).wanted, images_needs.of(nobody).wanted
    monkeypatch.setattr(images_needs, "SPELLINGS", 0)
    assert images_needs.of(listing).wanted.hash != now.hash
    assert images_needs.of(nobody).wanted.hash == without.hash
    assert "spellings" not in without.options


def test_images_are_stale_that_were_located_in_archives_otherwise(
    built: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archives and the pairs are as they were; without archives nothing is made anew."""
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as file:
        file.writestr("1.jpg", b"1")
    coco = dataclasses.replace(built.sources["coco"], images=(str(tmp_path / "pictures.zip"),))
    having = dataclasses.replace(built, sources={**built.sources, "coco": coco})
    now, without = images_needs.of(having).wanted, images_needs.of(built).wanted
    monkeypatch.setattr(images_needs, "LOCATED", 0)
    assert images_needs.of(having).wanted.hash != now.hash
    assert images_needs.of(built).wanted.hash == without.hash
    assert "located" not in without.options


def test_a_photo_page_takes_down_its_photograph(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    write(
        tmp_path / "data" / "takedown.txt",
        "https://www.flickr.com/photos/somebody/4242/",
        "conceptual_captions/no such row",
    )
    with root.writer(chosen.root, "test"):
        build.build(chosen, only="curate")
    with root.writer(chosen.root, "test"):
        build.build(chosen, only="images")
    left = [explain.explain(chosen.root, name)["pairs"] for name in ("coco:9", "flickr:4242")]
    assert [pair["rejected"][0]["reason"] for pairs in left for pair in pairs] == ["takedown"] * 3


def test_a_list_of_windows_is_read_and_one_in_utf_16_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"{tiny_root.C4}\r\n{tiny_root.C1}".encode())
    assert [(line.said, line.place) for line in takedowns.lines([str(path)])] == [
        (tiny_root.C4, f"{path}:line 1"),
        (tiny_root.C1, f"{path}:line 2"),
    ]
    path.write_text(tiny_root.C4, encoding="utf-16")
    with pytest.raises(InputError, match="the text is in UTF-16"):
        takedowns.lines([str(path)])
