"""img2dataset's shards read: what is sound comes, what is odd is passed over, counted and told, and nothing raises or grows."""

from __future__ import annotations

import gc
import gzip
import io
import json
import logging
import re
import tarfile
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.errors import InputError
from pmd.fetch.adoption import adopt, samples
from pmd.formats import archives
from pmd.store import storage
from tests.fetch.conftest import photo

JPEG = photo(64, 60)
URL = "http://one.test/0.jpg"
PLAIN = json.dumps({"Image Orientation": "Horizontal (normal)", "EXIF ColorSpace": "sRGB"})

Write = Callable[[tarfile.TarFile], None]


def member(name: str, content: bytes = b"", **attributes: Any) -> Write:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return lambda tar: tar.addfile(info, io.BytesIO(content))


def described(key: str = "0", **changes: Any) -> Write:
    said = {"url": f"http://one.test/{key}.jpg", "status": "success", "original_width": 64, "original_height": 60}
    return member(f"{key}.json", json.dumps(said | changes).encode())


def sample(key: str, **changes: Any) -> list[Write]:
    return [member(f"{key}.jpg", JPEG), described(key, **changes)]


def written(folder: Path, *members: Write, name: str = "00000.tar", **options: Any) -> Path:
    path = folder / name
    with tarfile.open(path, "w", **options) as tar:
        for each in members:
            each(tar)
    return path


def infos(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


def read(path: Path | str, **limits: Any) -> tuple[list[samples.Sample], dict[str, int]]:
    odd = samples.Odd()
    return list(samples.read(str(path), odd, **limits)), dict(odd.counts)


def test_a_sample_is_what_its_json_says_of_the_bytes_beside_it(tmp_path: Path) -> None:
    path = written(tmp_path, *sample("a/0", url=f"{URL}?utm_source=x", sha256="ab" * 32, exif=PLAIN))
    (found,), odd = read(path)
    assert (found.url, found.member, found.sha256) == (URL, "a/0.jpg", bytes.fromhex("ab" * 32))
    assert storage.read_bytes(str(path), found.offset, found.offset + found.length) == JPEG
    assert (found.width_px, found.height_px, found.is_plain, odd) == (64, 60, True, {})


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 0, 3, 2], [0, 2, 1, 3], [3, 1, 0, 2]])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_come_in_any_order_and_form_of_tar(tmp_path: Path, order: Sequence[int], form: int) -> None:
    members = [*sample("0"), *sample("b" * 90 + "/1")]
    timed = [member("x.txt", b"a caption", mtime=1.5), member("x.cls", b"3"), member("folder", type=tarfile.DIRTYPE)]
    path = written(tmp_path, *(members[at] for at in order), *timed, format=form)
    found, odd = read(path)
    assert (sorted(each.member[-5:] for each in found), odd) == (["0.jpg", "1.jpg"], {})


@pytest.mark.parametrize(
    "extra", ["NaN", "Infinity", "-Infinity", '"\\ud800"', "1e999", '{"a": [1, {"b": null}]}'], ids=str
)
def test_what_pythons_json_writes_is_read(tmp_path: Path, extra: str) -> None:
    said = f'{{"url": "{URL}", "status": "success", "similarity": {extra}}}'
    found, odd = read(written(tmp_path, member("0.jpg", JPEG), member("0.json", said.encode())))
    assert ([each.url for each in found], odd) == ([URL], {})


def sparse_header(name: str, size: int) -> bytes:
    """Return GNU tar's old header of a member that is all hole."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))

    def number(value: int) -> bytes:
        return b"\x80" + value.to_bytes(11, "big")

    header[386:398], header[398:410], header[483:495] = number(size), number(0), number(size)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def sparse(name: str, size: int) -> Write:
    def write(tar: tarfile.TarFile) -> None:
        assert tar.fileobj is not None
        tar.fileobj.write(sparse_header(name, size))
        tar.offset += 512  # type: ignore[attr-defined]

    return write


def json_of(content: bytes) -> Write:
    return member("0.json", content)


SUCCESS = f'"url": "{URL}", "status": "success"'

#: Each makes sample 0 odd, in one way.
ODD: dict[str, tuple[str, list[Write]]] = {
    "a list": ("json", [json_of(b"[1]")]),
    "text": ("json", [json_of(b'"x"')]),
    "null": ("json", [json_of(b"null")]),
    "nothing": ("json", [json_of(b"")]),
    "no JSON": ("json", [json_of(b"{url}")]),
    "not UTF-8": ("json", [json_of(b'{"url": "\xff"}')]),
    "UTF-16": ("json", [json_of(f"{{{SUCCESS}}}".encode("utf-16"))]),
    "deep": ("json", [json_of(b"[" * 5000)]),
    "deeper": ("json", [json_of(b'{"a":' * 100_000)]),
    "a long number": ("json", [json_of(f'{{{SUCCESS}, "n": {"9" * 5000}}}'.encode())]),
    "a key twice": ("json", [json_of(f'{{{SUCCESS}, "url": "{URL}"}}'.encode())]),
    "a large JSON": ("large", [json_of(b" " * samples.MAX_JSON_BYTES + b"{}")]),
    "another program's": ("status", [json_of(f'{{"url": "{URL}", "caption": "x"}}'.encode())]),
    "a status that is none": ("status", [described(status=None)]),
    "no URL": ("url", [described(url=None)]),
    "a URL that is a number": ("url", [described(url=7)]),
    "another scheme": ("url", [described(url="file:///etc/passwd")]),
    "a lone surrogate": ("url", [json_of(f'{{"url": "{URL}\\ud800", "status": "success"}}'.encode())]),
    **{
        f"width {value!r}": ("size", [described(original_width=value)])
        for value in ("abc", 2**40, 10**30, -1, 0, 64.0, float("nan"), float("inf"), True, [64], None)
    },
    "a symlink": ("link", [member("0.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")]),
    "a hard link": ("link", [member("0.json", type=tarfile.LNKTYPE, linkname="0.jpg")]),
    "a device": ("link", [member("0.json", type=tarfile.CHRTYPE)]),
    "a fifo": ("link", [member("0.json", type=tarfile.FIFOTYPE)]),
    "holes": ("link", [sparse("0.json", 20 * 2**30)]),
    "two of one name": ("twice", [member("0.jpg", JPEG), described()]),
    "two pictures": ("twice", [member("0.png", JPEG), described()]),
    "no JSON beside it": ("half", []),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_sample_is_passed_over_and_the_next_one_taken(tmp_path: Path, what: str) -> None:
    kind, members = ODD[what]
    found, odd = read(written(tmp_path, member("0.jpg", JPEG), *members, *sample("1")))
    assert ([each.member for each in found], odd) == (["1.jpg"], {kind: 1})


@pytest.mark.parametrize(
    "name", ["../0", "/etc/0", "a/../../0", "0\x1b[31m", "0\n", "\u202e0", "0\udc80", "x" * 5000], ids=ascii
)
def test_a_name_that_leads_out_or_cannot_be_shown_is_passed_over(tmp_path: Path, name: str) -> None:
    found, odd = read(written(tmp_path, *sample(name, url=URL), *sample("1"), format=tarfile.GNU_FORMAT))
    assert ([each.member for each in found], odd) == (["1.jpg"], {"name": 1})


def test_a_sample_that_comes_again_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, *sample("0"), *sample("1"), *sample("0", url="http://other.test/x"))
    found, odd = read(path)
    assert ([each.url for each in found], odd) == ([URL, "http://one.test/1.jpg"], {"twice": 1})


def test_what_img2dataset_could_not_have_is_nothing_odd(tmp_path: Path) -> None:
    path = written(tmp_path, *sample("0", status="failed_to_download"), *sample("1"))
    found, odd = read(path)
    assert ([each.member for each in found], odd) == (["1.jpg"], {})


def test_a_picture_that_is_too_large_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, *sample("0"))
    assert read(path, max_bytes=len(JPEG))[1] == {}
    assert read(path, max_bytes=len(JPEG) - 1) == ([], {"large": 1})


def test_a_tar_that_is_cut_short_gives_what_stands_before(tmp_path: Path) -> None:
    whole = written(tmp_path, *sample("0"), *sample("1"), *sample("2"))
    ends = [each.offset_data + each.size for each in infos(whole)]
    content = whole.read_bytes()
    for end, count in ((ends[-1] + 512, 3), (ends[-1] - 1, 2), (ends[3] + 100, 2), (ends[2] - 3, 1), (ends[0] - 9, 0)):
        whole.write_bytes(content[:end])
        found, odd = read(whole)
        assert (len(found), odd["cut"], odd.get("half", 0) <= 1) == (count, 1, True)


def test_damage_within_gives_what_stands_before(tmp_path: Path) -> None:
    path = written(tmp_path, *sample("0"), *sample("1"), *sample("2"))
    at = infos(path)[2].offset
    content = bytearray(path.read_bytes())
    content[at + 20] ^= 0xFF
    path.write_bytes(content)
    assert (len(read(path)[0]), read(path)[1]) == (1, {"cut": 1})


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("0.tar", b"", "no_tar"),
        ("0.tar", b"not a tar" * 100, "no_tar"),
        ("0.tar", b"PK\x03\x04" + bytes(600), "no_tar"),
        ("0.tar.gz", gzip.compress(bytes(10240), mtime=0), "compressed"),
        ("0.tar", gzip.compress(bytes(10240), mtime=0), "compressed"),
        ("00000.parquet", b"PAR1", "format"),
        ("00000_stats.json", b"{}", "format"),
        ("00000.tfrecord", b"", "format"),
    ],
)
def test_a_file_that_is_no_tar_is_passed_over(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == ([], {kind: 1})


def test_a_folder_of_the_format_files_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "0.jpg").write_bytes(JPEG)
    assert read(tmp_path / "00000") == ([], {"folder": 1})
    assert adopt.index([f"{tmp_path}/*"]).num_rows == 0


def attributes(kind: bytes, **records: str) -> Write:
    """Return a member before which a PAX header stands, with records that need not be right."""
    return raw_attributes(kind, b"".join(_record(key, value) for key, value in records.items()))


def _record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest) + len(str(len(rest) + 2))
    return str(length).encode() + rest


def raw_attributes(kind: bytes, body: bytes) -> Write:
    def write(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("attributes")
        info.type, info.size = kind, len(body)
        content = info.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)
        assert tar.fileobj is not None
        tar.fileobj.write(content)
        tar.offset += len(content)  # type: ignore[attr-defined]

    return write


@pytest.mark.parametrize(
    "write",
    [
        attributes(tarfile.XHDTYPE, size="-1024"),
        attributes(tarfile.XHDTYPE, size="9" * 30),
        attributes(tarfile.XHDTYPE, size="abc"),
        attributes(tarfile.XHDTYPE, **{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
        attributes(tarfile.XHDTYPE, **{"GNU.sparse.map": "0,1,2,x"}),
        attributes(tarfile.XGLTYPE, path="../../x"),
        raw_attributes(tarfile.XHDTYPE, b"0 path=x\n"),
        raw_attributes(tarfile.XHDTYPE, b"x" * (5 << 20)),
        raw_attributes(tarfile.GNUTYPE_LONGNAME, b"x" * (5 << 20)),
        raw_attributes(tarfile.GNUTYPE_LONGNAME, b"\xff\xfe\x00"),
    ],
)
def test_odd_attributes_raise_nothing_and_what_stands_before_is_taken(tmp_path: Path, write: Write) -> None:
    found, _ = read(written(tmp_path, *sample("0"), write, *sample("1")))
    assert found[0].member == "0.jpg"


def test_headers_of_headers_end(tmp_path: Path) -> None:
    chain = [attributes(tarfile.XHDTYPE, comment="x")] * 3000
    found, odd = read(written(tmp_path, *sample("0"), *chain, *sample("1")))
    assert (len(found), odd) == (1, {"cut": 1})


def test_a_size_that_leads_back_is_no_endless_loop(tmp_path: Path) -> None:
    path = written(tmp_path, *sample("0"), *sample("1"))
    content = bytearray(path.read_bytes())
    at = infos(path)[2].offset
    content[at + 124 : at + 136] = (-2048).to_bytes(12, "big", signed=True)
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    path.write_bytes(content)
    found, odd = read(path)
    assert (len(found), odd) == (1, {"cut": 1})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_raises(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    timed = [member("2.jpg", JPEG[:600], mtime=1.25), described("2")]
    path = written(folder, *sample("0"), *timed, *sample("b" * 120), format=tarfile.PAX_FORMAT)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    for found in read(path)[0]:
        assert found.offset + found.length <= path.stat().st_size


def test_memory_does_not_grow_with_the_jsons(tmp_path: Path) -> None:
    padding, count = "x" * 400_000, 60
    path = written(tmp_path, *(each for n in range(count) for each in sample(str(n), padding=padding)))
    read(written(tmp_path, *sample("0"), name="warm.tar"))
    tracemalloc.start()
    assert len(read(path)[0]) == count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(padding)


def test_members_are_not_kept(tmp_path: Path) -> None:
    path = written(tmp_path, *(member(f"{n}.txt", b"x") for n in range(50)))
    with path.open("rb") as file:
        kept = [sum(isinstance(one, tarfile.TarInfo) for one in gc.get_objects()) for _ in archives.walk(file)]
    assert len(kept) == 50
    assert max(kept) <= kept[0] + 2


def tags(**changes: str | None) -> str:
    spelled = {name.replace("_", " "): value for name, value in changes.items()}
    found = {"Image Make": "Canon", "Image Orientation": "Horizontal (normal)", "EXIF ColorSpace": "sRGB"} | spelled
    return json.dumps({name: value for name, value in found.items() if value is not None})


@pytest.mark.parametrize(
    "exif",
    [
        tags(),
        tags(Image_Orientation=None),
        tags(Interoperability_InteroperabilityIndex="R98"),
        tags(Image_BitsPerSample="[8, 8, 8]", Image_PhotometricInterpretation="2"),
        tags(Thumbnail_Orientation="Rotated 90 CW"),
    ],
)
def test_exif_that_says_upright_and_srgb(exif: str) -> None:
    assert samples.is_plain(exif)


@pytest.mark.parametrize(
    "exif",
    [
        None,
        "",
        "{}",
        "null",
        "[]",
        "{",
        "x",
        7,
        {"EXIF ColorSpace": "sRGB"},
        "[" * 5000,
        '{"EXIF ColorSpace": "sRGB", "Image Orientation": "Rotated 90 CW", "Image Orientation": "Horizontal (normal)"}',
        tags(EXIF_ColorSpace=None),
        tags(EXIF_ColorSpace="Uncalibrated"),
        tags(EXIF_ColorSpace="Adobe RGB"),
        tags(EXIF_ColorSpace="2"),
        tags(Interoperability_InteroperabilityIndex="R03"),
        tags(EXIF_Gamma="11/5"),
        tags(Image_WhitePoint="[313/1000, 329/1000]"),
        tags(Image_PhotometricInterpretation="5"),
        tags(Image_BitsPerSample="[16, 16, 16]"),
        tags(Image_BitsPerSample="[8, 8, 8, 8]"),
        tags(Image_SamplesPerPixel="4"),
        tags(Image_StripOffsets="8"),
        tags(Image_TileOffsets="[8, 9]"),
        *(
            tags(Image_Orientation=turn)
            for turn in (
                "",
                "0",
                "9",
                "1",
                "Mirrored horizontal",
                "Rotated 180",
                "Mirrored vertical",
                "Mirrored horizontal then rotated 90 CCW",
                "Rotated 90 CW",
                "Mirrored horizontal then rotated 90 CW",
                "Rotated 90 CCW",
            )
        ),
    ],
    ids=str,
)
def test_exif_that_does_not_say_so(exif: object) -> None:
    assert not samples.is_plain(exif)


def test_what_is_passed_over_is_told_once_with_counts_and_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("propagate", True), ("handlers", [])):
        monkeypatch.setattr(logging.getLogger("pmd.notes"), name, value)
    first = written(tmp_path, member("0.jpg", JPEG), json_of(b"[1]"), *sample("1", exif=PLAIN))
    written(tmp_path, *sample("2", original_width=-1), *sample("3", exif=PLAIN), *sample("4"), name="00001.tar")
    (tmp_path / "00001.parquet").write_bytes(b"PAR1")
    with caplog.at_level(logging.WARNING, "pmd.notes"):
        assert adopt.index([f"{tmp_path}/*"]).num_rows == 3
    assert [record.getMessage() for record in caplog.records] == [
        "fetch.adopt passes over what it cannot use, and the web is asked: 1 × a file of another output format "
        "(Parquet, TFRecord), or of statistics; 1 × a JSON that cannot be read; 1 × an original size that is none; "
        f"the first is {first}!/0.json (json: a list, not an object)",
        "fetch.adopt: the EXIF of 1 of 3 samples does not say that the download was upright and sRGB: where img2dataset has "
        "encoded them anew, the web is asked (with --disable_all_reencoding it keeps what came)",
    ]
    caplog.clear()
    adopt.index([str(written(tmp_path, *sample("1", exif=PLAIN), name="sound.tar"))])
    assert caplog.records == []


def test_a_pattern_that_matches_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as raised:
        adopt.index([f"{tmp_path}/*.tar"])
    assert raised.value.where == f"fetch.adopt: {tmp_path}/*.tar"


def test_a_file_that_may_not_be_read_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> None:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, *sample("0"))
    monkeypatch.setattr(storage, "open_raw", refused)
    with pytest.raises(InputError, match="the file cannot be read") as raised:
        read(path)
    assert (raised.value.where, raised.value.found) == (str(path), "[Errno 13] Permission denied")


def test_the_documentation_names_every_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "img2dataset.md").read_text(encoding="utf-8")
    section = page.partition("### Copies that img2dataset has made")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    assert {kind for row in rows for kind in re.findall("`([a-z_]+)`", row)} == set(samples.ODD)
