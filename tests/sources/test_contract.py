"""The contract that every source keeps, whatever its format. The folder says which sources there are.

Each source's own test module brings its golden files: ``write_golden(folder) -> list[str]`` writes them and returns the
annotation paths, ``GOLDEN_OPTIONS`` has options that differ from the profiles'.
"""

from __future__ import annotations

import bz2
import dataclasses
import functools
import gzip
import importlib
import json
import lzma
import shutil
import tarfile
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from pmd import sources
from pmd.config.reasons import reasons_of
from pmd.errors import InputError
from pmd.formats import lines, sqlite
from pmd.schema.tables import DRAFTS
from pmd.sources.contract import DRAFT_ROWS, PROFILES, Chunk, InputFile, Profile, Source, SourceOptions
from pmd.store import storage
from tests import golden as goldens
from tests import ranged

HERE = Path(__file__).parent
MANIFESTS = HERE.parent.parent / "manifests"
#: What is no annotation file of anyone: the start of a PNG, with a newline and bytes that are not UTF-8.
FOREIGN = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(128, 256)) * 8

pytestmark = pytest.mark.parametrize("name", sources.names())

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Golden:
    """A source and its golden files.

    Attributes:
        source: The source.
        paths: Its annotation files, as a configuration names them.
        overrides: Options that differ from the profiles'.
    """

    source: Source
    paths: tuple[str, ...]
    overrides: dict[str, Any]

    def options(self, profile: Profile = "paper") -> SourceOptions:
        """Return the options of a profile."""
        return self.source.options(**{**self.source.options.profile_values(profile), **self.overrides})

    def files(self) -> list[Path]:
        """Return the files on disk: of an archive's members, the archive."""
        return sorted({Path(path.split("!/")[0]) for path in self.paths})

    def plan(self, paths: Sequence[str] | None = None, profile: Profile = "paper") -> list[Chunk]:
        """Return the chunks."""
        files = [InputFile(path, storage.size(path.split("!/")[0])) for path in (paths or self.paths)]
        return self.source.plan(files, self.options(profile))

    def batches(self, chunk: Chunk, profile: Profile = "paper") -> list[pa.RecordBatch]:
        """Return a chunk's drafts."""
        return list(self.source.read(chunk, self.options(profile)))

    def rows(self, paths: Sequence[str] | None = None, profile: Profile = "paper") -> list[Row]:
        """Return the drafts of all chunks."""
        return [
            row
            for chunk in self.plan(paths, profile)
            for batch in self.batches(chunk, profile)
            for row in batch.to_pylist()
        ]


@pytest.fixture
def golden(name: str, tmp_path: Path) -> Golden:
    """Write the golden files of the source under test."""
    if not goldens.has(name, "write_golden"):
        pytest.skip(f"tests/sources/test_{name}.py has no write_golden(folder)")
    module = goldens.module(name)
    folder = tmp_path / "golden"
    folder.mkdir()
    paths = tuple(str(path) for path in module.write_golden(folder))
    return Golden(sources.load(name), paths, goldens.options(name))


def _content(rows: Sequence[Row]) -> Counter[tuple[Any, ...]]:
    """Return what must not depend on cuts and order: everything but `where`."""
    return Counter(
        (
            row["source_id"],
            row["row_digest"],
            row["text"],
            row["meta"],
            row["identity"],
            row["reason"],
            str(row["region"]),
        )
        for row in rows
    )


def _stands_in(row: Row, path: Path) -> bool:
    return str(row["where"]).startswith((f"{path}:", f"{path}!/"))


def test_one_name_everywhere(name: str) -> None:
    module = importlib.import_module(f"pmd.sources.{name}")
    assert module.SOURCE.name == name
    assert tomllib.loads((MANIFESTS / f"{name}.toml").read_text(encoding="utf-8"))["name"] == name


def test_it_has_golden_rows(name: str) -> None:
    """Without them what follows has nothing to look at, and is passed over."""
    missing = f"tests/sources/test_{name}.py with write_golden(folder): docs/adding-a-source.md, 3"
    assert goldens.has(name, "write_golden"), f"write {missing}"


def test_the_module_says_what_it_reads(name: str) -> None:
    documentation = importlib.import_module(f"pmd.sources.{name}").__doc__
    assert documentation
    assert documentation.strip()


@pytest.mark.parametrize("profile", PROFILES)
def test_options_are_valid_in_each_profile(name: str, profile: Profile) -> None:
    model = sources.load(name).options
    values = model.profile_values(profile)
    assert set(values) == set(model.model_fields)
    chosen = model(**values)
    # As a configuration file would say them: TOML has lists and no tuples.
    spelled = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    assert model(**spelled) == chosen
    with pytest.raises(ValueError, match="no_such_option"):
        model(**{**values, "no_such_option": 1})


def test_rules_say_what_they_do_and_whence(name: str) -> None:
    for option, rule in sources.load(name).options.rules().items():
        assert rule.says.endswith("."), option
        assert rule.origin, option


@pytest.mark.parametrize("profile", PROFILES)
def test_drafts_have_the_schema(golden: Golden, profile: Profile) -> None:
    for chunk in golden.plan(profile=profile):
        for batch in golden.batches(chunk, profile):
            assert batch.schema.equals(DRAFTS)
            assert 0 < len(batch) <= DRAFT_ROWS
            batch.validate(full=True)
            assert batch["row_digest"].null_count == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_rows_are_whole(golden: Golden, profile: Profile) -> None:
    rows = golden.rows(profile=profile)
    for row in rows:
        assert row["where"], row
        assert any(_stands_in(row, path) for path in golden.files()), row
        if row["reason"] is None:
            assert row["text"] is not None, row
            assert row["identity"] or row["image_url"], row
            assert row["text_licence"], row
            assert row["image_licence"], row
            assert row["meta"], row
        else:
            assert row["reason"] in reasons_of("curate"), row
        if row["meta"] is not None:
            assert isinstance(json.loads(row["meta"]), dict), row
        assert row["split"] in {"train", "validation", "test", None}, row
    assert any(row["reason"] is None for row in rows)
    assert any(row["reason"] is not None for row in rows)


def test_every_record_appears_in_every_profile(golden: Golden) -> None:
    places = {profile: {row["where"] for row in golden.rows(profile=profile)} for profile in PROFILES}
    assert len(places["paper"]) >= 10
    assert places["paper"] == places["hub"] == places["recommended"]


def test_a_row_is_keyed_by_content(golden: Golden, tmp_path: Path) -> None:
    # The same files in another folder: nothing but `where` may change.
    before = _content(golden.rows())
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "golden", moved)
    paths = [path.replace(str(tmp_path / "golden"), str(moved), 1) for path in golden.paths]
    assert _content(golden.rows(paths)) == before


def test_the_order_of_files_does_not_matter(golden: Golden) -> None:
    expected = golden.plan()
    paths = list(golden.paths)
    assert golden.plan(paths[::-1]) == expected
    assert golden.plan(paths[1:] + paths[:1]) == expected


def test_cuts_do_not_matter(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _content(golden.rows())
    whole = len(golden.plan())
    ranges, id_ranges = lines.ranges, sqlite.id_ranges
    for target_bytes, parts in ((101, 7), (1024, 2)):
        monkeypatch.setattr(lines, "ranges", _cutting(ranges, target_bytes))
        monkeypatch.setattr(
            sqlite, "id_ranges", lambda path, table, key, _, parts=parts: id_ranges(path, table, key, parts)
        )
        assert len(golden.plan()) >= whole
        assert _content(golden.rows()) == expected


def _cutting(
    ranges: Callable[[str, int], list[tuple[int, int | None]]], target_bytes: int
) -> Callable[..., list[tuple[int, int | None]]]:
    return lambda path, *_: ranges(path, target_bytes)


def test_files_of_other_storage_are_read_alike(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    ranged.known(monkeypatch)
    paths = [path for path in golden.paths if not path.endswith(".sql")]  # a database is read from a local disk alone
    expected = [{**row, "where": row["where"] and ranged.url(row["where"])} for row in golden.rows(paths)]
    assert golden.rows([ranged.url(path) for path in paths]) == expected


def test_reading_twice_gives_equal_drafts(golden: Golden) -> None:
    for chunk in golden.plan():
        assert golden.batches(chunk) == golden.batches(chunk)


def test_an_empty_file_is_no_rows_or_an_error_that_names_it(golden: Golden) -> None:
    for path in golden.files():
        content = path.read_bytes()
        path.write_bytes(b"")
        try:
            rows = golden.rows()
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017 - both ends are right
        else:
            assert not [row for row in rows if _stands_in(row, path)]
        path.write_bytes(content)


def test_a_foreign_file_is_an_error_that_names_it(golden: Golden) -> None:
    for path in golden.files():
        content = path.read_bytes()
        path.write_bytes(FOREIGN)
        with pytest.raises(InputError) as caught:
            golden.rows()
        assert str(path) in str(caught.value)
        assert caught.value.expected
        path.write_bytes(content)


def test_a_truncated_file_is_never_a_silent_short_read(golden: Golden) -> None:
    for path in golden.files():
        content = path.read_bytes()
        # Three bytes into a line: a line format has a line that is no row, any other has no end.
        line = content.find(b"\n", len(content) // 2) + 1
        path.write_bytes(content[: line + 3 if 0 < line < len(content) - 3 else len(content) // 2])
        try:
            rows = golden.rows()
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017 - both ends are right
        else:
            assert any(row["reason"] == "malformed_row" and _stands_in(row, path) for row in rows), path
        path.write_bytes(content)


#: What people have of text, beside the text as it is.
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": functools.partial(gzip.compress, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


def _texts(golden: Golden) -> dict[str, bytes]:
    return goldens.texts(golden.paths)


def _write(folder: Path, texts: dict[str, bytes], packed: Callable[[bytes], bytes] = bytes) -> list[str]:
    folder.mkdir()
    for name, content in texts.items():
        (folder / name).write_bytes(packed(content))
    return [str(folder / name) for name in texts]


@pytest.mark.parametrize("packed", PACKED)
def test_a_byte_order_mark_is_no_part_of_the_data(golden: Golden, tmp_path: Path, packed: str) -> None:
    texts = _texts(golden)
    expected = _content(golden.rows(_write(tmp_path / "as_it_is", texts)))
    marked = {name: b"\xef\xbb\xbf" + content for name, content in texts.items()}
    assert _content(golden.rows(_write(tmp_path / "marked", marked, PACKED[packed]))) == expected


def test_a_byte_order_mark_does_not_matter_to_cuts(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = _texts(golden)
    expected = _content(golden.rows(_write(tmp_path / "as_it_is", texts)))
    paths = _write(tmp_path / "marked", {name: b"\xef\xbb\xbf" + content for name, content in texts.items()})
    ranges = lines.ranges
    for target_bytes in (1, 2, 3, 4, 5, 101):
        monkeypatch.setattr(lines, "ranges", _cutting(ranges, target_bytes))
        assert _content(golden.rows(paths)) == expected


@pytest.mark.parametrize(
    ("encoding", "name_of_it"), [("utf-16", "UTF-16"), ("utf-16-be", "UTF-16"), ("utf-32", "UTF-32")]
)
@pytest.mark.parametrize("packed", ["plain", "gzip"])
def test_other_encodings_are_refused_by_name(
    golden: Golden, tmp_path: Path, encoding: str, name_of_it: str, packed: str
) -> None:
    wide = {name: content.decode("utf-8", "replace").encode(encoding) for name, content in _texts(golden).items()}
    paths = _write(tmp_path / "wide", wide, PACKED[packed])
    with pytest.raises(InputError, match=f"the text is in {name_of_it}") as caught:
        golden.rows(paths)
    assert str(caught.value.where) in {*paths}
    assert caught.value.remedy == f"convert it: iconv -f {name_of_it} -t UTF-8 FILE > NEW"


def test_line_ends_of_windows_do_not_matter(golden: Golden, name: str, tmp_path: Path) -> None:
    texts = {name: content.replace(b"\r\n", b"\n") for name, content in _texts(golden).items()}
    windows = {name: content.replace(b"\n", b"\r\n") for name, content in texts.items()}
    before, after = (
        golden.rows(_write(tmp_path / folder, content)) for folder, content in (("unix", texts), ("windows", windows))
    )
    if name == "wit":  # in quotes, a line end is text
        columns = ("identity", "image_url", "reason")
        assert [[row[column] for column in columns] for row in before] == [
            [row[column] for column in columns] for row in after
        ]
    else:
        assert _content(after) == _content(before)


def _zip(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"in/{file.name}")
    return path


def _tar(path: Path, folder: Path, mode: Any) -> Path:
    with tarfile.open(path, mode) as archive:
        archive.add(folder, "in")
    return path


ARCHIVES: dict[str, Callable[[Path, Path], Path]] = {
    "zip": _zip,
    "tar": functools.partial(_tar, mode="w"),
    "tar.gz": functools.partial(_tar, mode="w:gz"),
    "tar.xz": functools.partial(_tar, mode="w:xz"),
}


@pytest.mark.parametrize("form", ARCHIVES)
@pytest.mark.parametrize("packed", ["plain", "gzip"])
def test_members_of_archives_are_read(golden: Golden, tmp_path: Path, form: str, packed: str) -> None:
    texts = _texts(golden)
    paths = _write(tmp_path / "files", texts, PACKED[packed])
    expected = _content(golden.rows(paths))
    archive = ARCHIVES[form](tmp_path / f"all.{form}", tmp_path / "files")
    rows = golden.rows([f"{archive}!/in/{name}" for name in texts])
    assert _content(rows) == expected
    assert all(str(row["where"]).startswith(f"{archive}!/in/") for row in rows)
    assert {row["split"] for row in rows} == {row["split"] for row in golden.rows(paths)}


@pytest.mark.parametrize(
    ("magic", "name_of_it"),
    [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01\x00", "RAR"), (b"\x04\x22\x4d\x18", "LZ4")],
)
def test_what_is_not_read_is_refused_by_name(golden: Golden, magic: bytes, name_of_it: str) -> None:
    path = golden.files()[0]
    path.write_bytes(magic + bytes(range(256)))
    with pytest.raises(InputError, match=f"{name_of_it} is not read") as caught:
        golden.rows()
    assert caught.value.where == f"{path}:byte 0"
    assert "unpack it" in str(caught.value.remedy)


_BOXES = [
    {"id": number, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": []} for number in (1, 2)
]
#: Rows of other data sets in the forms that ours have.
OTHERS = {
    "an object of lists": json.dumps({"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": _BOXES}),
    "an object without annotations": json.dumps({"info": {}, "images": [{"id": 1, "file_name": "1.jpg"}]}),
    "a list": json.dumps([{"id": 1, "objects": [{"x": 1, "names": ["cat"]}]}, {"id": 2, "objects": []}]),
    "lines": "".join(json.dumps(box) + "\n" for box in _BOXES),
    "lines that say whose they are": json.dumps({"dataset_id": "mscoco_val2017", "other": 1}) + "\n",
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_rows_of_another_shape_are_no_rejected_rows(golden: Golden, content: str) -> None:
    for path in golden.files():
        path.write_text(content)
    with pytest.raises(InputError) as caught:
        golden.rows()
    assert any(str(path) in str(caught.value) for path in golden.files())
    assert caught.value.expected
