"""Takedown lists: every line is read or refused, and one that takes nothing down is told."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from pipelines import build
from pmd import config
from pmd.errors import InputError
from pmd.images import takedowns
from pmd.schema import keys
from pmd.store import root
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
    assert (url.place, url.said, url.url) == (
        f"{path}:line 3", "HTTP://One.example/c4.jpg#x", "http://one.example/c4.jpg",
    )  # fmt: skip
    assert (pair.place, pair.key.hex(), pair.url) == (f"{path}:line 4", key, None)


def test_a_line_that_names_nothing_is_refused_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "list", tiny_root.C4, "www.example.org/c4.jpg")
    with pytest.raises(InputError) as caught:
        takedowns.lines([path])
    assert str(caught.value) == (
        f"{path}:line 2: takedown: a line names nothing\n"
        "  expected: an http or https URL, or an image_id or pair_id of 32 hex digits; # begins a line of comment\n"
        "  found: www.example.org/c4.jpg\n"
        "  remedy: mend the lines; nothing was run, so that nobody's request is passed over"
    )
    many = write(tmp_path / "many", *("ftp://x", "0123", "x" * 31, "g" * 32, "http://", "mailto:x@y.z", "9"))
    with pytest.raises(InputError, match=r"line 5; and 2 more: takedown: 7 lines name nothing"):
        takedowns.lines([many])


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
        keys.image_id("url:one.example/taken-down.jpg").hex(),
        tiny_root.C1,  # still there: it is not what was taken down
        "http://one.example/never-seen.jpg",
        "0" * 32,
    ]
    listed = takedowns.lines([write(tmp_path / "list", *lines)])
    without = takedowns.unmatched(built.root, sorted(built.sources), listed)
    assert [line.said for line in without] == lines[3:]
    assert takedowns.note(listed, without) == (
        f"takedown: 3 of 6 lines match no pair of this ROOT: "
        f"{tmp_path}/list:line 4, {tmp_path}/list:line 5, {tmp_path}/list:line 6"
    )
    assert takedowns.note(listed, []) is None
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
        f"takedown: 1 of 3 lines match no pair of this ROOT: {tmp_path}/data/takedown.txt:line 3\n"
    )


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
