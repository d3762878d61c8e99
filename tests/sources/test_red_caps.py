"""RedCaps, by golden rows written in upstream's format and by the genuine archive."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.errors import InputError
from pmd.sources.contract import InputFile
from pmd.sources.records import row_digest
from pmd.sources.red_caps import SOURCE, pictures, runs
from tests.sources.planting import NAME, planted
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

#: With `info`, as released, and the odd rows: quoted, unicode, empty, "false", several images, no URL, no score.
CATS = r"""{"info": {"start_date": "2017-01-01", "end_date": "2017-12-31", "url": "https://redcaps.xyz", "version": "1.0"},
 "annotations": [
    {"image_id": "aa1", "author": "None", "url": "https://i.redd.it/aa1.jpg", "raw_caption": "My \"cat\" (OC) [600\u00d7400]",
     "caption": "my \"cat\"", "subreddit": "cats", "score": 10, "created_utc": 1514764821,
     "permalink": "/r/cats/comments/aa1/my_cat/", "crosspost_parents": null},
    {"image_id": "aa2", "author": "bo", "url": "http://i.imgur.com/aa2.jpg", "raw_caption": "Caf\u00e9 \ud83d\ude80 by @bo",
     "caption": "cafe by <usr>", "subreddit": "cats", "created_utc": 1514764822, "permalink": "/r/cats/comments/aa2/x/"},
    {"image_id": "aa3", "author": "bo", "url": "https://i.redd.it/aa3.jpg", "raw_caption": "[OC]", "caption": "",
     "subreddit": "cats", "score": 1, "created_utc": 1514764823, "permalink": "/r/cats/comments/aa3/oc/"},
    {"image_id": "aa4", "author": "false", "url": "https://i.redd.it/aa4.jpg", "raw_caption": "False", "caption": "false",
     "subreddit": "cats", "score": 1, "created_utc": 1514764824, "permalink": "/r/cats/comments/aa4/false/"},
    {"image_id": "aa4", "author": "false", "url": "https://i.redd.it/aa4.jpg", "raw_caption": "False", "caption": "false",
     "subreddit": "cats", "score": 1, "created_utc": 1514764824, "permalink": "/r/cats/comments/aa4/false/"}]}"""
DOGS = r"""{"annotations": [
    {"image_id": "bb1", "author": "al", "url": "http://imgur.com/Abc12,Def34", "raw_caption": "Two", "caption": "two",
     "subreddit": "dogs", "score": 2, "created_utc": 1483228800, "permalink": "/r/dogs/comments/bb1/two/"},
    {"image_id": "bb2", "author": "al", "url": "https://farm1.staticflickr.com/1/2_3,4.jpg", "raw_caption": "One",
     "caption": "one", "subreddit": "dogs", "score": 2, "created_utc": 1483228801, "permalink": "/r/dogs/comments/bb2/one/"},
    {"image_id": "bb3", "author": "al", "url": " ", "raw_caption": "None", "caption": "none", "subreddit": "dogs"},
    {"image_id": "bb4", "author": "al", "raw_caption": "None", "caption": "none", "subreddit": "dogs"},
    {"image_id": 5, "author": "al", "url": "https://i.redd.it/bb5.jpg", "raw_caption": "Five", "caption": "five"},
    {"image_id": "bb6", "author": "al", "url": "https://i.redd.it/bb6.jpg", "raw_caption": "Six"},
    []]}"""
EMPTY = '{"annotations": []}'


def write_golden(folder: Path) -> list[str]:
    """Write upstream's release: three documents, and what macOS leaves in a zip."""
    path = folder / "annotations.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("annotations/", "")
        file.writestr("annotations/dogs_2017.json", DOGS)
        file.writestr("annotations/cats_2017.json", CATS)
        file.writestr("annotations/birds_2020.json", EMPTY)
        file.writestr("__MACOSX/annotations/._dogs_2017.json", b"\x00\x05\x16\x07")
    return [str(path)]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The golden release."""
    return Path(*write_golden(tmp_path))


def test_an_annotation_fills_every_column(archive: Path, read_all: ReadAll) -> None:
    upstream = json.loads(CATS)["annotations"][0]
    assert read_all(SOURCE, archive)[0] == {
        "source_id": "aa1",
        "row_digest": row_digest(upstream),
        "image_url": "https://i.redd.it/aa1.jpg",
        "identity": None,
        "also": None,
        "file_name": None,
        "mirrors": None,
        "width_px": None,
        "height_px": None,
        "region": None,
        "text": 'my "cat"',
        "meta": json.dumps(upstream, ensure_ascii=False, separators=(",", ":")),
        "text_licence": "CC-BY-4.0 AND LicenseRef-RedCaps-non-commercial",
        "image_licence": "NOASSERTION",
        "licence_evidence": None,
        "split": None,
        "reason": None,
        "detail": None,
        "where": f"{archive}!/annotations/cats_2017.json:annotations[0]",
    }


def test_golden_rows(archive: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, archive)
    assert columns(rows, "source_id", "image_url", "text", "reason", "detail") == [
        ("aa1", "https://i.redd.it/aa1.jpg", 'my "cat"', None, None),
        ("aa2", "http://i.imgur.com/aa2.jpg", "cafe by <usr>", None, None),
        ("aa3", "https://i.redd.it/aa3.jpg", "", None, None),
        ("aa4", "https://i.redd.it/aa4.jpg", "false", None, None),
        ("aa4", "https://i.redd.it/aa4.jpg", "false", None, None),
        ("bb1", "http://imgur.com/Abc12,Def34", "two", "several_images", "http://imgur.com/Abc12,Def34"),
        ("bb2", "https://farm1.staticflickr.com/1/2_3,4.jpg", "one", None, None),
        ("bb3", " ", "none", "no_image", "url is empty"),
        (None, None, None, "malformed_row", "url: missing"),
        (None, None, None, "malformed_row", "image_id: expected a string, found 5"),
        (None, None, None, "malformed_row", "caption: missing"),
        (None, None, None, "malformed_row", "annotation: expected an object, found a list"),
    ]
    assert rows[3]["row_digest"] == rows[4]["row_digest"]


def test_raw_captions(archive: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, archive, profile="hub")
    assert [row["text"] for row in rows[:4]] == ['My "cat" (OC) [600×400]', "Café 🚀 by @bo", "[OC]", "False"]
    assert rows[-2]["source_id"] == "bb6"


def test_unpacked(tmp_path: Path, archive: Path, read_all: ReadAll) -> None:
    paths = []
    for name, content in (("cats_2017", CATS), ("dogs_2017", DOGS), ("birds_2020", EMPTY)):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(content)
    rows, zipped = read_all(SOURCE, *paths), read_all(SOURCE, archive)
    assert rows[0]["where"] == f"{tmp_path}/cats_2017.json:annotations[0]"
    assert [row | {"where": ""} for row in rows] == [row | {"where": ""} for row in zipped]


def test_units_are_runs_of_documents(archive: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll) -> None:
    options = SOURCE.options(**SOURCE.options.profile_values("paper"))
    file = InputFile(str(archive), archive.stat().st_size)
    (whole,) = SOURCE.plan([file], options)  # type: ignore[arg-type]
    assert (whole.form, whole.start, whole.stop) == ("zip", 0, 3)
    pieces = [
        row["where"]
        for start, stop in ((0, 1), (1, 2), (2, 3))
        for batch in SOURCE.read(type(whole)(whole.path, "zip", start=start, stop=stop), options)  # type: ignore[arg-type]
        for row in batch.to_pylist()
    ]
    assert pieces == [row["where"] for row in read_all(SOURCE, archive)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([5], [(0, 1)]),
        ([5, 5, 5], [(0, 2), (2, 3)]),
        ([1, 99, 1, 1], [(0, 2), (2, 4)]),
        ([10, 10], [(0, 1), (1, 2)]),
    ],
)
def test_runs(sizes: list[int], expected: list[tuple[int, int]]) -> None:
    assert runs(sizes, target_bytes=10) == expected


_ABC, _DEF = "http://i.imgur.com/Abc12.jpg", "http://i.imgur.com/Def34.jpg"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://imgur.com/Abc12,Def34", [_ABC, _DEF]),
        ("https://i.imgur.com/Abc12,Def34.jpg", [_ABC, _DEF]),
        ("https://I.Imgur.COM/a,b", ["http://i.imgur.com/a.jpg", "http://i.imgur.com/b.jpg"]),
        ("http://imgur.com/Abc12,Def34#0", [_ABC, _DEF]),
        (f"{_ABC}, {_DEF}", [_ABC, _DEF]),
        (f"{_ABC} https://i.redd.it/a.jpg", [_ABC, "https://i.redd.it/a.jpg"]),
        (f"{_ABC}\n{_DEF}", [_ABC, _DEF]),
        (f"{_ABC} {_ABC}", [_ABC]),
        ("http://imgur.com/Abc12,", [_ABC]),
        ("https://i.imgur.com/Abc12,.jpg", [_ABC]),
        ("http://imgur.com/Abc12.png%20,", ["http://i.imgur.com/Abc12.png"]),
        (f"my album: {_ABC}", [_ABC]),
        ("http://i.imgur.com/Abc12?1.jpg", [_ABC]),
        ("http://i.imgur.com/Abc12#0.jpg", [_ABC]),
        ("http://www.i.imgur.com/Abc12.jpg", [_ABC]),
        ("https://i.imgur.com/Abc1234.png.jpg", ["https://i.imgur.com/Abc1234.png"]),
        (f"{_ABC} http://i.imgur.com/Abc12?1.jpg", [_ABC]),
        ("http://i.imgur.com/r/cats/Abc12.jpg", [_ABC]),
        ("https://i.imgur.com/t/cats/Abc1234.png?1.jpg", ["https://i.imgur.com/Abc1234.png"]),
        ("http://i.imgur.com/topic/The_Cats/Abc12/.jpg", [_ABC]),
        ("http://i.imgur.com/Abc12/.jpg", [_ABC]),
    ],
)
def test_what_a_url_names(url: str, expected: list[str]) -> None:
    assert pictures(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://i.imgur.com/Abc12.jpg",
        "https://i.imgur.com/Abc12.jpg?1",
        "https://i.imgur.com/Abc12.JPG",
        "https://i.imgur.com/a/Abc12?1.jpg",
        "https://i.imgur.com/r/cats.jpg",
        "https://i.imgur.com/r/cats/top/week.jpg",
        "https://i.imgur.com/Abc12.jpg?1,2",
        "https://notimgur.com/a,b",
        "https://i.redd.it/a,b.jpg",
        "https://i.redd.it/a b.jpg",
        "http://[imgur.com/a,b",
        "no url, none",
        "",
    ],
)
def test_what_names_itself(url: str) -> None:
    assert pictures(f" {url}") == [url]


def test_many_blanks_in_a_url_take_no_longer_than_other_characters() -> None:
    url = f"{_ABC}{' ' * 100_000}b"
    start = time.process_time()
    assert pictures(url) == [url]
    assert time.process_time() - start < 5  # each blank looked at from each: over a minute


@pytest.mark.parametrize(
    ("url", "identity", "mirrors", "reason"),
    [
        ("http://imgur.com/Abc12,", "imgur:Abc12", [_ABC], None),
        (f"{_ABC} {_DEF}", None, None, "several_images"),
        ("http://i.imgur.com/Abc12?1.jpg", "imgur:Abc12", [_ABC], None),
        (f"{_ABC} ", None, None, None),
        ("http://imgur.com/,", None, None, None),
    ],
)
def test_one_picture_of_a_list_is_found(
    tmp_path: Path, read_all: ReadAll, url: str, identity: str | None, mirrors: list[str] | None, reason: str | None
) -> None:
    path = tmp_path / "cats_2017.json"
    annotation = {"image_id": "a", "url": url, "caption": "a cat", "raw_caption": "A cat", "subreddit": "cats"}
    path.write_text(json.dumps({"annotations": [annotation]}))
    (row,) = read_all(SOURCE, path)
    assert [row[name] for name in ("image_url", "identity", "mirrors", "reason")] == [url, identity, mirrors, reason]


@pytest.mark.parametrize("content", ["[]", "url,caption\n", ""])
def test_a_foreign_file_is_refused(tmp_path: Path, content: str, read_all: ReadAll) -> None:
    path = tmp_path / "cats_2017.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"cats_2017\.json:byte 0: not an annotation file of this source"):
        read_all(SOURCE, path)


@pytest.mark.parametrize("content", ["{}", '{"annotations": {}}', CATS[:700]])
def test_foreign_and_truncated_members_are_refused(tmp_path: Path, content: str, read_all: ReadAll) -> None:
    path = tmp_path / "annotations.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("annotations/cats_2017.json", content)
    with pytest.raises(InputError, match=r"annotations\.zip!/annotations/cats_2017\.json"):
        read_all(SOURCE, path)


def test_genuine_annotations_field_for_field(samples: Path, read_all: ReadAll) -> None:
    path = samples / "redcaps" / "annotations.zip"
    with zipfile.ZipFile(path) as file:
        upstream = [
            (name, annotation)
            for name in sorted(file.namelist())
            if name.endswith(".json")
            for annotation in json.loads(file.read(name))["annotations"]
        ]
    rows = read_all(SOURCE, path)
    assert len(rows) == len(upstream) == 5
    for row, (name, annotation) in zip(rows, upstream, strict=True):
        assert row["reason"] is None
        assert row["source_id"] == annotation["image_id"]
        assert row["image_url"] == annotation["url"]
        assert row["text"] == annotation["caption"]
        assert json.loads(row["meta"]) == annotation
        assert row["where"] == f"{path}!/{name}:annotations[0]"


def test_annotations_of_another_data_set_are_refused(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "captions_val2017.json"
    path.write_text('{"images": [], "annotations": [{"id": 1, "image_id": 2, "caption": "a cat"}, {"id": 2}]}')
    with pytest.raises(InputError, match="not an annotation file of this source") as error:
        read_all(SOURCE, path)
    assert error.value.found == "annotations[0] with caption, id, image_id"


def test_a_bad_row_at_the_start_is_no_other_data_set(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "cats_2017.json"
    path.write_bytes(
        b'{"annotations": [{"lost": 1}, {"a": "\xff"}, {"image_id": "a", "url": "http://a/b.jpg", "caption": "cat"}]}'
    )
    assert [(row["source_id"], row["reason"]) for row in read_all(SOURCE, path)] == [
        (None, "malformed_row"),
        (None, "bad_encoding"),
        ("a", None),
    ]
    path.write_text('{"annotations": [{"lost": 1}]}')
    assert [row["reason"] for row in read_all(SOURCE, path)] == ["malformed_row"]


def test_a_document_of_a_damaged_name_is_not_passed_over(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "annotations.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("annotations/cats_2017.json", EMPTY)
        file.writestr("annotations/cats_2018.nson", CATS)
    with pytest.raises(InputError, match=r"cats_2018\.nson: the archive holds a file that is none of the release's"):
        read_all(SOURCE, path)


def test_the_release_has_its_terms_beside_the_annotations(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "redcaps_v1.0_annotations.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("LICENSE.txt", "CC BY 4.0")
        file.writestr("TERMSOFUSE.txt", "For research")
        file.writestr("annotations/cats_2017.json", CATS)
    assert {row["where"].split("!/")[1].split(":")[0] for row in read_all(SOURCE, path)} == {
        "annotations/cats_2017.json"
    }


@pytest.mark.parametrize("image_id", ["", "None", "null", "-1", "0"])
def test_an_id_that_is_none_is_none(tmp_path: Path, read_all: ReadAll, image_id: str) -> None:
    path = tmp_path / "cats_2017.json"
    rows = [{"image_id": image_id, "url": f"http://a.example/{n}.jpg", "caption": "cat", "author": "x"} for n in (1, 2)]
    path.write_text(json.dumps({"annotations": rows}))
    assert [(row["source_id"], row["reason"]) for row in read_all(SOURCE, path)] == [(None, None)] * 2


def test_an_id_that_is_null_or_not_there_is_none(tmp_path: Path, read_all: ReadAll) -> None:
    """And the row is that of a mirror, where null may stand for an empty text: its key is the same."""
    rows: list[dict[str, Any]] = [
        {"subreddit": "cats", "url": f"http://a.example/{n}.jpg", "caption": "cat", "raw_caption": "Cat", "author": "x"}
        for n in range(3)
    ]
    rows[1] = {"image_id": None, **rows[1]}
    rows[2] = {"image_id": "", **rows[2]}
    upstream, mirror = tmp_path / "cats_2017.json", tmp_path / "redcaps.jsonl"
    upstream.write_text(json.dumps({"annotations": rows}))
    mirror.write_text("".join(json.dumps({"image_id": None, **row}) + "\n" for row in rows))
    found = read_all(SOURCE, upstream)
    assert [(row["source_id"], row["reason"], row["text"]) for row in found] == [(None, None, "cat")] * 3
    assert len({row["row_digest"] for row in found}) == 3
    assert [{**row, "where": ""} for row in read_all(SOURCE, mirror)] == [{**row, "where": ""} for row in found]


#: As `tests/sources/planting.py` says.
NAMED = {
    "image_id",
    "author",
    "raw_caption",
    "subreddit",
    "score",
    "created_utc",
    "permalink",
    "crosspost_parents",
    "credit",
}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    record = {
        "image_id": "aa1", "author": "bo", "url": "https://i.redd.it/aa1.jpg", "raw_caption": "My cat", "caption": "my cat",
        "subreddit": "cats", "score": 10, "created_utc": 1514764821, "permalink": "/r/cats/comments/aa1/my_cat/",
        "crosspost_parents": ["aa0"],
    }  # fmt: skip
    path = folder / "cats_2017.json"
    path.write_text(json.dumps({"info": {"author": NAME}, "annotations": [*planted(record, "url", "caption")]}))
    return [str(path)]


def test_an_archive_and_a_member_of_it_are_read_once(archive: Path, read_all: ReadAll) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = [f"{archive}!/{name}" for name in opened.namelist() if name.endswith(".json")]
    assert members
    assert read_all(SOURCE, archive, *members) == read_all(SOURCE, archive)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://preview.redd.it/a.jpg?width=640&amp;s=1f", "https://preview.redd.it/a.jpg?width=640&s=1f"),
        ("https://i.redd.it/a.jpg?x=%3C&amp;lt;y", "https://i.redd.it/a.jpg?x=%3C&lt;y"),
        ("https://i.redd.it/a.jpg?x=1&y=2&eacute;", "https://i.redd.it/a.jpg?x=1&y=2&eacute;"),
    ],
)
def test_a_url_is_asked_for_as_reddit_means_it(tmp_path: Path, read_all: ReadAll, url: str, asked: str) -> None:
    assert pictures(url) == [asked]
    annotation = {"image_id": "aa1", "author": "al", "url": url, "raw_caption": "A", "caption": "a"}
    path = tmp_path / "pics_2020.json"
    path.write_text(json.dumps({"annotations": [annotation]}))
    (row,) = read_all(SOURCE, path)
    assert row["image_url"] == url, "upstream's, as it is"
    escaped = url != asked
    assert row["mirrors"] == ([asked] if escaped else None)
    assert row["identity"] == (f"url:{asked.removeprefix('https://')}" if escaped else None)
