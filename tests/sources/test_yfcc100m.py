"""YFCC100M, by golden rows in each of upstream's forms and by the genuine files."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pytest
import zstandard

from pmd.curate.rules import judge
from pmd.errors import InputError
from pmd.schema import keys
from pmd.schema.tables import DRAFTS
from pmd.sources.contract import InputFile
from pmd.sources.yfcc100m import COLUMNS, LAYOUTS, SOURCE, Options, choose
from tests.sources.planting import planted
from tests.sources.rows import columns

ReadAll = Callable[..., list[dict[str, Any]]]

_ENGLISH = "A+black+cat+is+sleeping+on+the+kitchen+table"
_GERMAN = "Eine+schwarze+Katze+schl%C3%A4ft+auf+dem+K%C3%BCchentisch"
_FRENCH = "Un+chat+noir+dort+sur+la+table+de+la+cuisine"


def _line(photo_id: str, title: str, description: str, **others: Any) -> str:
    """Return a line of 25 columns; the line number is 7 of every one, which must not matter."""
    nickname, marker = others.get("nickname", "nino63004"), others.get("marker", "0")
    licence, licence_name = others.get("licence", ("by-nc-nd", "Attribution-NonCommercial-NoDerivs License"))
    download = others.get("url", f"http://farm8.staticflickr.com/7205/{photo_id}_df7747990d.jpg")
    published = "".join(f"{byte:x}" for byte in hashlib.md5(download.encode()).digest())
    return (
        f"7\t{photo_id}\t{published}\t39089491@N00\t{nickname}\t2012-02-16 09:56:37.0\t1331840483\t"
        f"Canon+PowerShot+ELPH+310+HS\t{title}\t{description}\tcanon,key+west+florida\t\t-81.804885\t24.550558\t12\t"
        f"http://www.flickr.com/photos/39089491@N00/{photo_id}/\t{download}\t{licence_name}\t"
        f"http://creativecommons.org/licenses/{licence}/2.0/\t7205\t8\tdf7747990d\t692d7e0a7f\tjpg\t{marker}"
    )


#: Rows that every form can hold.
_WELL_FORMED = (
    _line("101", "IMG_0520", _ENGLISH),
    _line("102", _ENGLISH, ""),
    _line("103", _ENGLISH, _GERMAN, licence=("by-sa", "Attribution-ShareAlike License")),
    _line("104", "", "+%0A+"),
    _line("105", "false", "Two+words"),
    _line("106", _FRENCH, _GERMAN),
    _line("107", _ENGLISH, _ENGLISH, marker="1"),
    _line(
        "108",
        "",
        "The+%3Cb%3E%22old%22%3C%2Fb%3E+caf%C3%A9+%26amp%3B+its%0A%0Acat+sat+in+the+%3Ca+href%3D%22http%3A%2F%2Fexample.com%2F"
        "%22+rel%3D%22nofollow%22%3Esunny+window%3C%2Fa%3E",
        nickname="Gaz+%28Yeat%21%29",
    ),
    _line("109", _ENGLISH, "", marker="2"),
    _line("110", _ENGLISH, "", url=""),
    _line("111", _ENGLISH, "", licence=("by/3.0", "Some other licence")),
    _line("101", "IMG_0520", _ENGLISH),
)
#: And those that only lines can.
_LOST = (
    _line("x12", _ENGLISH, _ENGLISH).encode(),
    _line("113", _ENGLISH, _ENGLISH).rpartition("\t")[0].encode(),
    _line("114", _ENGLISH, _ENGLISH, nickname="caf@").encode().replace(b"caf@", b"caf\xe9"),
    b"",
)
LINES = (*(line.encode() for line in _WELL_FORMED), *_LOST)
GOLDEN_OPTIONS: dict[str, Any] = {}


def _common(line: bytes) -> bytes:
    """Return a line of 25 columns as the older layout has it."""
    fields = line.split(b"\t")
    return b"\t".join([fields[1], *fields[3:]]) if len(fields) == 25 else line


def _text(lines: Sequence[bytes], end: bytes = b"\n") -> bytes:
    return b"".join(line + end for line in lines)


def _dump(path: Path, lines: Sequence[bytes]) -> None:
    """Write the SQLite dump; repeated photo ids stand in it once."""
    names = ", ".join(f"{name} {'INTEGER PRIMARY KEY' if name == 'photoid' else 'TEXT'}" for name in COLUMNS)
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE yfcc100m_dataset ({names})")
        for line in lines:
            values = _common(line).decode().split("\t")
            # The dump may have null where lines have an empty field.
            connection.execute(
                f"INSERT OR IGNORE INTO yfcc100m_dataset VALUES ({', '.join('?' * len(COLUMNS))})",
                [value or None for value in values],
            )
    connection.close()


def write_golden(folder: Path) -> list[str]:
    """Write every form: 25 columns plain and bzip2, 23 columns with CRLF, and the dump."""
    current, older, packed, dump = (
        folder / name
        for name in ("yfcc100m_dataset", "yfcc100m_dataset-0.tsv", "yfcc100m_dataset-1.bz2", "yfcc100m_dataset.sql")
    )
    current.write_bytes(_text(LINES))
    older.write_bytes(_text([_common(line) for line in LINES], b"\r\n"))
    packed.write_bytes(bz2.compress(_text(LINES)))
    _dump(dump, LINES[:12])
    return [str(path) for path in (current, older, packed, dump)]


def _options(**overrides: Any) -> Options:
    return Options(**{**Options.profile_values("paper"), **overrides})


@pytest.fixture
def read_all(read_all: ReadAll) -> ReadAll:
    """Read rows in the order of the file: pairs and rows that leave are in batches of their own."""

    def read(*given: Any, **options: Any) -> list[dict[str, Any]]:
        return sorted(read_all(*given, **options), key=lambda row: int(re.findall("[0-9]+", row["where"])[-1]))

    return read


@pytest.fixture
def tsv(tmp_path: Path) -> Path:
    """Write the golden rows in the current layout."""
    path = tmp_path / "yfcc100m_dataset"
    path.write_bytes(_text(LINES))
    return path


def test_a_row_fills_every_column(tsv: Path, read_all: ReadAll) -> None:
    row = read_all(SOURCE, tsv)[7]
    meta = json.loads(row.pop("meta"))
    decision = meta.pop("_pmd")
    assert meta == dict(zip(LAYOUTS[25], _WELL_FORMED[7].split("\t"), strict=True))
    assert list(meta) == list(LAYOUTS[25])
    assert decision["field"] == "description"
    assert decision["language"] == "en"
    assert 0 < decision["score"] <= 1
    download = "http://farm8.staticflickr.com/7205/108_df7747990d.jpg"
    md5 = hashlib.md5(download.encode())
    unpadded = "".join(f"{byte:x}" for byte in md5.digest())
    bucket = "https://multimedia-commons.s3-us-west-2.amazonaws.com/data/images"
    assert row == {
        "source_id": "108",
        "row_digest": keys.digest(_common(LINES[7])),
        "image_url": download,
        "identity": "flickr:108",
        "also": None,
        "file_name": None,
        "mirrors": [
            f"{bucket}/{name[:3]}/{name[3:6]}/{name}.jpg" for name in dict.fromkeys([unpadded, md5.hexdigest()])
        ],
        "width_px": None,
        "height_px": None,
        "region": None,
        "text": 'The "old" café & its cat sat in the sunny window',
        "text_licence": "NOASSERTION",
        "image_licence": "CC-BY-NC-ND-2.0",
        "licence_evidence": "http://creativecommons.org/licenses/by-nc-nd/2.0/",
        "split": "train",
        "reason": None,
        "detail": None,
        "where": f"{tsv}:byte {sum(len(line) + 1 for line in LINES[:7])}",
    }


_PLAIN = "A black cat is sleeping on the kitchen table"
_EXPECTED = [
    ("101", "flickr:101", _PLAIN, "description", None),
    ("102", "flickr:102", _PLAIN, "title", None),
    ("103", "flickr:103", _PLAIN, "title", None),
    ("104", "flickr:104", None, None, "empty_text"),
    ("105", "flickr:105", None, None, "too_few_words"),
    ("106", "flickr:106", None, None, "not_english"),
    ("107", "flickr:107", None, None, "video"),
    ("108", "flickr:108", 'The "old" café & its cat sat in the sunny window', "description", None),
    (None, None, None, None, "malformed_row"),
    ("110", "flickr:110", None, None, "no_image"),
    ("111", "flickr:111", _PLAIN, "title", None),
    ("101", "flickr:101", _PLAIN, "description", None),
    (None, None, None, None, "malformed_row"),
    (None, None, None, None, "malformed_row"),
    (None, None, None, None, "bad_encoding"),
    (None, None, None, None, "malformed_row"),
]


def _decided(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            row["source_id"],
            row["identity"],
            row["text"],
            json.loads(row["meta"])["_pmd"]["field"] if row["meta"] else None,
            row["reason"],
        )
        for row in rows
    ]


@pytest.mark.parametrize("profile", ["paper", "hub", "recommended"])
def test_golden_rows(tsv: Path, read_all: ReadAll, profile: str) -> None:
    rows = read_all(SOURCE, tsv, profile=profile)
    expected = list(_EXPECTED)
    if profile == "hub":
        expected[7] = ("108", "flickr:108", 'The "old" caf & its cat sat in the sunny window', "description", None)
    assert _decided(rows) == expected


def test_details_say_what_each_field_was(tsv: Path, read_all: ReadAll) -> None:
    details = {row["where"].rsplit(" ", 1)[1]: row["detail"] for row in read_all(SOURCE, tsv) if row["reason"]}
    empty, few, foreign, video, marker, no_image, photo_id, columns, encoding, blank = details.values()
    assert empty == "description: 0 words; title: 0 words"
    assert few == "description: 2 words; title: 1 word"
    assert foreign.startswith("description: 7 words, de ")
    assert "; title: 10 words, fr " in foreign
    assert video is no_image is None
    assert marker == "marker: expected 0 or 1, found '2'"
    assert photo_id == "photoid: expected a photo id, found 'x12'"
    assert columns == "expected 23 or 25 fields, found 24"
    assert encoding.startswith("invalid UTF-8 at byte ")
    assert blank == "expected 23 or 25 fields, found 1"


def test_licences_are_each_photos_own(tsv: Path, read_all: ReadAll) -> None:
    licences = {row["source_id"]: row["image_licence"] for row in read_all(SOURCE, tsv)}
    assert licences["103"] == "CC-BY-SA-2.0"
    assert licences["108"] == "CC-BY-NC-ND-2.0"
    assert licences["111"] == "NOASSERTION"


@pytest.mark.parametrize("form", ["23 columns", "CRLF", "gzip", "bzip2", "zstd", "mixed"])
def test_each_form_of_lines_gives_the_same_drafts(tsv: Path, tmp_path: Path, read_all: ReadAll, form: str) -> None:
    older = _text([_common(line) for line in LINES])
    content = {
        "23 columns": older,
        "CRLF": _text(LINES, b"\r\n"),
        "gzip": gzip.compress(_text(LINES)),
        "bzip2": bz2.compress(older),
        "zstd": zstandard.compress(_text(LINES)),
        "mixed": _text([line if i % 2 else _common(line) for i, line in enumerate(LINES)]),
    }[form]
    other = tmp_path / "other.tsv.bz2"
    other.write_bytes(content)
    order = ("source_id", "row_digest", "text", "reason", "mirrors")
    both = [sorted(columns(read_all(SOURCE, path), *order), key=repr) for path in (tsv, other)]
    # A line that is lost for its columns or its bytes is keyed as it stands.
    kept = [[row for row in rows if row[3] != "malformed_row"] for rows in both]
    assert kept[0] == kept[1]
    assert len(both[0]) == len(both[1]) == len(LINES)


def test_the_dump_gives_the_same_drafts(tmp_path: Path, tsv: Path, read_all: ReadAll) -> None:
    dump = tmp_path / "yfcc100m_dataset.sql"
    _dump(dump, LINES[:12])
    rows = read_all(SOURCE, dump)
    assert _decided(rows) == _EXPECTED[:11]
    lines = read_all(SOURCE, tsv)[:11]
    names = ("source_id", "row_digest", "image_url", "identity", "text", "image_licence", "reason", "detail")
    assert columns(rows, *names) == columns(lines, *names)
    assert rows[0]["where"] == f"{dump}:yfcc100m_dataset, photoid 101"
    meta = json.loads(rows[0]["meta"])
    assert list(meta) == [*COLUMNS, "_pmd"]
    assert meta["machinetags"] == ""
    assert meta["photoid"] == "101"


def test_a_row_of_the_dump_that_is_not_utf8_is_rejected(tmp_path: Path, read_all: ReadAll) -> None:
    dump = tmp_path / "yfcc100m_dataset.db"
    _dump(dump, LINES[:2])
    with sqlite3.connect(dump) as connection:
        connection.execute("UPDATE yfcc100m_dataset SET title = CAST(x'636166e9' AS TEXT) WHERE photoid = 101")
    connection.close()
    assert columns(read_all(SOURCE, dump), "source_id", "reason", "where") == [
        (None, "bad_encoding", f"{dump}:yfcc100m_dataset, photoid 101"),
        ("102", None, f"{dump}:yfcc100m_dataset, photoid 102"),
    ]


def test_a_row_of_the_dump_without_a_photo_id_is_a_bad_row(tmp_path: Path, read_all: ReadAll) -> None:
    dump = tmp_path / "by_pandas.sql"
    with sqlite3.connect(dump) as connection:
        connection.execute(f"CREATE TABLE yfcc100m_dataset ({', '.join(COLUMNS)})")
        connection.execute("INSERT INTO yfcc100m_dataset (marker) VALUES ('0')")
    connection.close()
    (row,) = read_all(SOURCE, dump)
    assert (row["reason"], row["detail"]) == ("malformed_row", "photoid: expected a photo id, found ''")
    assert row["where"] == f"{dump}:yfcc100m_dataset, photoid null"


def test_the_dump_is_cut_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = tmp_path / "yfcc100m_dataset.sql"
    _dump(dump, LINES[:12])
    monkeypatch.setattr("pmd.sources.yfcc100m.CHUNK_BYTES", dump.stat().st_size // 4)
    chunks = SOURCE.plan([InputFile(str(dump), dump.stat().st_size)], _options())
    assert [chunk.form for chunk in chunks] == ["sqlite"] * 4
    assert (chunks[0].start, chunks[-1].stop) == (-(2**63), None)


@pytest.mark.parametrize(
    ("description", "title", "options", "text", "reason"),
    [
        ("A+cat+sat+on+the+mat", "The+dog+ran+through+the+park", {}, "A cat sat on the mat", None),
        ("A+cat", "The+dog+ran+through+the+park", {}, "The dog ran through the park", None),
        ("A+cat", "The+dog+ran+through+the+park", {"caption_fields": "description"}, None, "too_few_words"),
        ("A+cat+sat+on+the+mat", "", {"caption_fields": "title"}, None, "empty_text"),
        ("A+cat+sat+on+the+mat", "", {"min_words": 7}, None, "too_few_words"),
        (_GERMAN, "A+cat", {"detector": "any"}, "Eine schwarze Katze schläft auf dem Küchentisch", None),
        (_GERMAN, "A+cat", {"detector": "cld2"}, None, "not_english"),
        (_GERMAN, "A+cat", {"detector": "fasttext"}, None, "not_english"),
        ("A+cat+sat+on+the+mat", "", {"unquote_plus": False}, None, "too_few_words"),
        ("A cat sat <b>on</b> the mat", "", {"strip_html": False}, "A cat sat <b>on</b> the mat", None),
        ("東京", "", {"detector": "any", "min_words": 1, "drop_non_ascii": True}, None, "not_ascii"),
        ("A+cat+sat+—+on+the+mat", "", {"drop_non_ascii": True}, "A cat sat on the mat", None),
    ],
)
def test_each_option_has_its_effect(
    description: str, title: str, options: dict[str, Any], text: str | None, reason: str | None
) -> None:
    captions = choose({"description": pa.array([description]), "title": pa.array([title])}, _options(**options))
    assert (captions.texts.to_pylist(), captions.kept.tolist()) == (([], []) if reason else ([text], [0]))
    assert (captions.reasons.to_pylist(), captions.left.tolist()) == (([reason], [0]) if reason else ([], []))


def test_of_a_row_that_is_malformed_the_picture_is_known_by_its_address(tmp_path: Path, read_all: ReadAll) -> None:
    """By it a takedown finds the row."""
    fields = dict.fromkeys(COLUMNS, "") | {"photoid": "5", "downloadurl": "http://example.org/5.jpg", "marker": "0"}
    path = tmp_path / "yfcc100m_dataset"
    rows = [fields, fields | {"marker": "7"}, fields | {"photoid": "6", "marker": "7", "downloadurl": ""}]
    path.write_text("".join("\t".join(row[name] for name in COLUMNS) + "\n" for row in rows))
    found = read_all(SOURCE, path)
    assert columns(found, "identity", "reason") == [
        ("flickr:5", "empty_text"), (None, "malformed_row"), (None, "malformed_row"),
    ]  # fmt: skip
    assert [row["image_url"] for row in found][:2] == [None, "http://example.org/5.jpg"]
    judged = judge("yfcc100m", pa.RecordBatch.from_pylist(found, DRAFTS))
    assert judged["image_id"].to_pylist() == [
        keys.image_id("flickr:5"), keys.image_id("url:example.org/5.jpg"), None,
    ]  # fmt: skip


def test_videos_may_stay(tsv: Path, read_all: ReadAll) -> None:
    rows = read_all(SOURCE, tsv, exclude_videos=False)
    assert _decided(rows)[6] == ("107", "flickr:107", _PLAIN, "description", None)


def test_no_rows_have_no_captions() -> None:
    captions = choose({"description": pa.array([], pa.string()), "title": pa.array([], pa.string())}, _options())
    assert len(captions.texts) == len(captions.reasons) == 0


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "yfcc100m_subset_data.tsv"
    path.write_text("0\t6985418911\t4e2f7a26a1dfbf165a7e30bdabf7e72a\n")
    with pytest.raises(InputError) as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], _options())
    assert str(caught.value) == (
        f"{path}:byte 0: not a file of yfcc100m\n"
        "  expected: lines of 25 columns (or 23, without line number and hash) parted by tabs, or the SQLite dump\n"
        "  found: 0\\t6985418911\\t4e2f7a26a1dfbf165a7e30bdabf7e72a\n"
        "  remedy: it is a list of photos (autotags, exif, hash, lines, places …), which has no captions: take it out of "
        "`annotations`, or name the files called yfcc100m_dataset alone"
    )


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, zstandard.compress])
def test_a_truncated_compressed_file_is_refused(
    tmp_path: Path, read_all: ReadAll, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "yfcc100m_dataset.bz2"
    packed = compress(_text(LINES))
    path.write_bytes(packed[: len(packed) * 3 // 4])
    with pytest.raises(InputError, match=r"yfcc100m_dataset\.bz2"):
        read_all(SOURCE, path)


@pytest.mark.parametrize(
    ("file", "width"),
    [
        ("yfcc100m_dataset_25col.tsv", 25),
        ("yfcc100m_dataset_23col.tsv", 23),
        ("yfcc100m_dataset_23col_crlf.tsv", 23),
    ],
)
def test_genuine_rows(samples: Path, read_all: ReadAll, file: str, width: int) -> None:
    path = samples / "yfcc100m" / file
    genuine = [
        dict(zip(LAYOUTS[width], line.removesuffix("\r").split("\t"), strict=True))
        for line in path.read_bytes().decode().split("\n")[:-1]
    ]
    rows = read_all(SOURCE, path)
    assert len(rows) == len(genuine) == (400 if width == 25 else 100)
    for draft, row in zip(rows, genuine, strict=True):
        assert draft["source_id"] == row["photoid"]
        assert draft["identity"] == f"flickr:{row['photoid']}"
        assert draft["row_digest"] == keys.digest("\t".join(row[name] for name in COLUMNS))
        if draft["reason"] is None:
            assert draft["image_url"] == row["downloadurl"]
            code = row["licenseurl"].split("/")[-3].upper()
            assert draft["image_licence"] == f"CC-{code}-2.0"
            assert draft["licence_evidence"] == row["licenseurl"]
            meta = json.loads(draft["meta"])
            decision = meta.pop("_pmd")
            assert list(meta.items()) == list(row.items())
            assert decision["language"] == "en"
            raw = unquote_plus(row[decision["field"]])
            assert len(draft["text"].split()) > 2
            if not set(raw) & set("<&"):
                assert draft["text"] == " ".join(raw.split())
            if "hash" in row:
                assert draft["mirrors"][0].endswith(f"/{row['hash'][:3]}/{row['hash'][3:6]}/{row['hash']}.jpg")
        else:
            assert draft["reason"] in {"empty_text", "too_few_words", "not_english"}
    reasons = [row["reason"] for row in rows]
    assert reasons.count(None) > len(rows) / 10


def test_the_genuine_older_layouts_are_equal(samples: Path, read_all: ReadAll) -> None:
    unix, windows = (
        [{**row, "where": None} for row in read_all(SOURCE, samples / "yfcc100m" / f"yfcc100m_dataset_23col{end}.tsv")]
        for end in ("", "_crlf")
    )
    assert unix == windows


def test_a_header_is_no_row(tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "yfcc100m_dataset"
    path.write_bytes(_text(LINES))
    expected = read_all(SOURCE, path)
    path.write_bytes("\t".join(LAYOUTS[25]).encode() + b"\n" + _text(LINES))
    found = read_all(SOURCE, path)
    assert [{**row, "where": ""} for row in found] == [{**row, "where": ""} for row in expected]


def test_a_header_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "yfcc100m_dataset"
    path.write_bytes(b"photoid\tdownloadurl\ttitle\n" + _text(LINES))
    with pytest.raises(InputError, match="not a file of yfcc100m") as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], _options())
    assert caught.value.found == "photoid\tdownloadurl\ttitle"


@pytest.mark.parametrize("form", ["gzip", "zip"])
def test_the_dump_is_refused_by_name_where_it_cannot_be_read_in_place(tmp_path: Path, form: str) -> None:
    dump = next(Path(path) for path in write_golden(tmp_path) if path.endswith(".sql"))
    path = tmp_path / f"yfcc100m_dataset.sql.{form}"
    if form == "gzip":
        path.write_bytes(gzip.compress(dump.read_bytes()))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(dump, "yfcc100m_dataset.sql")
    with pytest.raises(InputError, match="not a file of yfcc100m") as caught:
        SOURCE.plan([InputFile(str(path), path.stat().st_size)], _options())
    assert caught.value.found == "the SQLite dump, compressed or in an archive"
    assert caught.value.remedy == "unpack it"


#: As `tests/sources/planting.py` says.
NAMED = {*LAYOUTS[25]} - {"photoid", "description", "downloadurl", "marker"}


def write_named(folder: Path) -> list[str]:
    """Write records with names in them."""
    values = dict.fromkeys(LAYOUTS[25], "x") | {
        "line_number": "7", "photoid": "101", "description": "A+black+cat+is+sleeping+on+the+kitchen+table", "marker": "0",
        "downloadurl": "http://farm8.staticflickr.com/7205/101_d.jpg", "dateuploaded": "1331840483",
        "licensename": "Attribution License", "licenseurl": "http://creativecommons.org/licenses/by/2.0/",
    }  # fmt: skip
    rows = [row for row in planted(values, "description", "downloadurl") if "credit" not in row]
    path = folder / "yfcc100m_dataset"
    path.write_text("".join("\t".join(row.values()) + "\n" for row in [values, *rows]))
    return [str(path)]
