"""The annotation files that a configuration names."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
from pathlib import Path

import pytest
import zstandard

from pmd import config
from pmd.config import SourceConfig, inputs
from pmd.errors import ConfigError, InputError, PmdError
from pmd.store import root


def source(*annotations: Path) -> SourceConfig:
    return SourceConfig("conceptual_12m", tuple(map(str, annotations)), (), None)


def test_files_come_in_order_of_their_paths_with_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "b.tsv").write_text("12")
    (tmp_path / "a.tsv").write_text("1")
    found = inputs.files(source(tmp_path / "b.tsv", tmp_path / "*.tsv"))
    assert [(Path(file.path).name, file.bytes) for file in found] == [("a.tsv", 1), ("b.tsv", 2)]


def test_a_table_of_ones_own_that_is_not_there_is_told_without_a_command(tmp_path: Path) -> None:
    mine = SourceConfig("mine", (str(tmp_path / "pairs.csv"),), (), None, "url_text")
    with pytest.raises(InputError) as raised:
        inputs.files(mine)
    assert str(raised.value) == f"mine: {tmp_path}/pairs.csv not found"


def test_columns_that_were_guessed_are_told_before_a_build(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("url,caption\nhttps://x.example/1.jpg,one\n")
    text = f'root = "{tmp_path}/root"\ncontact = "mailto:tests@example.org"\n[sources.mine]\nreader = "url_text"\n'
    chosen = config.parse(f'{text}annotations = ["{tmp_path}/pairs.csv"]\n')
    assert inputs.notes(chosen) == [
        f'mine: columns by their names: url_column = "url", text_column = "caption" ({tmp_path}/pairs.csv)'
    ]
    # What is not there is told by the check that follows, with all else that is missing.
    assert inputs.notes(config.parse(f'{text}annotations = ["{tmp_path}/gone.csv"]\n')) == []


def test_an_empty_file_is_no_annotation_file(tmp_path: Path) -> None:
    (tmp_path / "cc12m.tsv").touch()
    (tmp_path / "whole.tsv").write_text("1")
    with pytest.raises(InputError, match="the file is empty") as raised:
        inputs.files(source(tmp_path))
    assert raised.value.where == str(tmp_path / "cc12m.tsv")
    assert raised.value.found == "0 bytes"


@pytest.mark.parametrize(
    ("name", "size", "is_told"), [("cc12m", 2**20, True), ("cc12m", 2**20 - 1, False), ("mine", 2**20, False)]
)
def test_a_file_of_lines_that_is_shorter_than_upstreams_is_told(
    tmp_path: Path, name: str, size: int, is_told: bool
) -> None:
    path = tmp_path / f"{name}.tsv"
    path.write_bytes(b"x" * size)
    text = f'root = "{tmp_path}/root"\ncontact = "mailto:tests@example.org"\n[sources.conceptual_12m]\n'
    notes = inputs.notes(config.parse(f'{text}annotations = ["{path}"]\n'))
    said = f"conceptual_12m: {path} has 1,048,576 bytes, and upstream's 2,707,204,412"
    assert [note.startswith(said) for note in notes] == [True] * is_told


@pytest.mark.parametrize(
    ("named", "numbers", "note"),
    [
        ("*.parquet", (0, 2), "2 of 3 shards are there of {}/train-*-of-00003.parquet; missing: 00001"),
        ("", (2,), "1 of 3 shards is there of {}/train-*-of-00003.parquet; missing: 00000, 00001"),
        (
            "*.parquet",
            (1, 3),
            "2 of 3 shards are there of {}/train-*-of-00003.parquet; missing: 00002",
        ),  # counted from one
        ("*.parquet", (0, 1, 2), None),
        ("train-00002-of-00003.parquet", (0, 2), None),  # that one is meant
    ],
)
def test_shards_that_are_missing_by_the_names_of_the_others_are_told(
    tmp_path: Path, named: str, numbers: tuple[int, ...], note: str | None
) -> None:
    for number in numbers:
        (tmp_path / f"train-{number:05}-of-00003.parquet").write_bytes(b"PAR1")
    (tmp_path / "more.parquet").write_bytes(b"PAR1")
    (tmp_path / "part-00003-of-00016-0123456789abcdef.parquet").write_bytes(b"PAR1")
    head = f'root = "{tmp_path}/root"\ncontact = "mailto:tests@example.org"\n[sources.wit]\n'
    place = f"{tmp_path}/{named}".rstrip("/")
    found = inputs.notes(config.parse(f'{head}annotations = ["{place}"]\n'))
    assert found == ([] if note is None else [f"wit: {note.format(tmp_path)}"])


def test_no_archive_is_opened_to_look_for_shards(tmp_path: Path) -> None:
    """A source that is not built may be any: a build of another one ended by it."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.txt", "x")
    (tmp_path / "damaged.zip").write_bytes(b"PK\x03\x04")
    head = f'root = "{tmp_path}/root"\ncontact = "mailto:tests@example.org"\n[sources.wit]\n'
    places = [f"{tmp_path}/a.zip!/*.tsv", f"{tmp_path}/damaged.zip!/*.tsv"]
    assert inputs.notes(config.parse(f"{head}annotations = {places}\n")) == []


@pytest.mark.parametrize(
    "name", ["cc12m.tsv.part", "cc12m.tsv.crdownload", "Unconfirmed 1.CRDOWNLOAD", "5a.incomplete"]
)
def test_a_download_that_was_not_finished_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "whole.tsv").write_text("1")
    (tmp_path / name).write_text("1")
    with pytest.raises(InputError, match="a download that was not finished") as raised:
        inputs.files(source(tmp_path))
    assert raised.value.found == str(tmp_path / name)


def test_what_aria2_notes_beside_a_file_tells_that_it_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "cc12m.tsv").write_text("1")
    (tmp_path / "cc12m.tsv.aria2").write_bytes(b"\0\1")
    for named in (tmp_path / "cc12m.tsv", tmp_path):
        with pytest.raises(InputError, match="a download that was not finished") as raised:
            inputs.files(source(named))
        assert raised.value.found == str(tmp_path / "cc12m.tsv.aria2")


@pytest.mark.parametrize(
    "name",
    [
        "_SUCCESS",
        "_metadata",
        "_common_metadata",
        "_committed_4711",
        "_stage.json",
        "README.md",
        "LICENSE",
        "LICENSE.txt",
        "TERMSOFUSE.txt",
        "readme.txt",
        "dataset_infos.json",
    ],
)
def test_what_programs_write_beside_their_tables_is_no_table(tmp_path: Path, name: str) -> None:
    (tmp_path / "part-00000.tsv").write_text("1")
    (tmp_path / "_pairs.tsv").write_text("1")
    (tmp_path / name).touch()
    for named in (tmp_path, tmp_path / "*"):
        found = [Path(file.path).name for file in inputs.files(source(named))]
        assert found == ["_pairs.tsv", "part-00000.tsv"]
    with pytest.raises(InputError, match="the file is empty"):
        inputs.files(source(tmp_path / name))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("part-00000.tsv", "1")
        archive.writestr(f"about/{name}", "")
    (found,) = inputs.files(source(f"{tmp_path}/all.zip!/*"))
    assert found.path.endswith("!/part-00000.tsv")


def test_a_folder_whose_tables_are_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "_SUCCESS").touch()
    with pytest.raises(InputError, match="the file is empty"):
        inputs.files(source(tmp_path))


def test_an_empty_file_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "whole.tsv").write_text("1")
    (tmp_path / "empty.tsv").touch()
    path = tmp_path / "pmd.toml"
    path.write_text(
        f'root = "{tmp_path}/root"\ncontact = "mailto:tests@example.org"\n'
        f'[sources.conceptual_12m]\nannotations = ["{tmp_path}/whole.tsv"]\n'
        f'[sources.conceptual_captions]\nannotations = ["{tmp_path}/empty.tsv"]\n'
    )
    loaded = config.load(str(path))
    inputs.check(loaded, ["conceptual_12m"])
    with pytest.raises(InputError, match="the file is empty"):
        inputs.check(loaded, ["conceptual_12m", "conceptual_captions"])


def _zip(members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "is_empty"),
    [
        (gzip.compress(b"", mtime=0), True),
        (gzip.compress(b"", mtime=0) * 2, True),
        (gzip.compress(b"", mtime=0) + gzip.compress(b"a", mtime=0), False),
        (bz2.compress(b""), True),
        (zstandard.compress(b""), True),
        (lzma.compress(b""), True),
        (b"\xef\xbb\xbf", True),
        (gzip.compress(b"\xef\xbb\xbf", mtime=0), True),
        (b"\xef\xbb\xbfa", False),
        (_zip({"a.tsv": b"", "b.tsv": b""}), True),
        (_zip({"a.tsv": b"", "b.tsv": b"1"}), False),
    ],
)
def test_a_compressed_file_that_holds_nothing_is_as_empty(tmp_path: Path, content: bytes, is_empty: bool) -> None:
    path = tmp_path / "cc12m.tsv"
    path.write_bytes(content)
    if not is_empty:
        assert len(inputs.files(source(path))) == 1
        return
    with pytest.raises(InputError, match="the file is empty") as raised:
        inputs.files(source(path))
    assert (raised.value.where, raised.value.found) == (str(path), "0 decompressed bytes")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_are_looked_through_by_who_reads_them_alone(tmp_path: Path) -> None:
    """A damaged one of another source, or of a stage that has run, keeps nobody from his work."""
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for content in ("[]", "[1]"):
            file.writestr("x.json", content)
    text = f'root = "{tmp_path}/root"\ncontact = "mailto:us@example.org"\n[sources.coco]\nannotations = ["{archive}!/x.json"]\n'
    chosen = config.parse(text)
    source = chosen.sources["coco"]
    assert inputs.notes_of_archives(source, inputs.files(source)) == [
        f"coco: {archive}: names that it has several times, of which the last is read: x.json (2 times)"
    ]
    before = inputs.notes(chosen)
    archive.write_bytes(archive.read_bytes()[:-30])
    assert inputs.notes(chosen) == before


def test_files_that_dataflows_workers_do_not_reach_are_told_before_a_job_is_paid_for(tmp_path: Path) -> None:
    engine = (
        '[engine]\nname = "dataflow"\n[engine.dataflow]\nproject = "my-project-1"\nregion = "us-central1"\n'
        'temp = "gs://bucket/tmp"\nimage = "example.invalid/pmd:1"\n'
    )
    head = 'root = "gs://b/root"\ncontact = "mailto:us@example.org"\n[sources.conceptual_12m]\n'
    here = f'{head}annotations = ["{tmp_path}/a.tsv", "gs://b/b.tsv", "{tmp_path}/c.tsv"]\n'
    (note,) = inputs.notes(config.parse(here + engine))
    assert note.startswith(f"conceptual_12m: Dataflow's workers do not reach {tmp_path}/a.tsv and 1 more, unless")
    assert inputs.notes(config.parse(here)) == []
    assert inputs.notes(config.parse(f'{head}annotations = ["gs://b/b.tsv"]\n' + engine)) == []


def noted(folder: Path, *lines: str) -> list[str]:
    """Return the notes of a configuration of COCO's captions and Visual Genome, with these lines under the first."""
    path = folder / "pmd.toml"
    sources = [
        "[sources.coco]",
        'annotations = ["x.json"]',
        *lines,
        "[sources.visual_genome]",
        'annotations = ["y.json"]',
    ]
    head = [f'root = "{folder}/root"', 'contact = "mailto:us@example.org"']
    path.write_text("\n".join([*head, *sources]) + "\n")
    return inputs.notes(config.load(str(path)))


def test_a_root_that_stands_where_0_1_0_would_have_looked_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its paths were relative to the working folder: all that it has fetched would be fetched again."""
    (tmp_path / "builds").mkdir()
    path = tmp_path / "builds" / "pmd.toml"
    head = 'root = "out/pmd"\nprofile = "paper"\ncontact = "mailto:us@example.org"\n'
    path.write_text(f'{head}[sources.conceptual_captions]\nannotations = ["{tmp_path}/cc3m.tsv"]\n')
    (tmp_path / "cc3m.tsv").write_text("a\thttp://a.test/1.jpg\n")
    monkeypatch.chdir(tmp_path)
    assert inputs.notes(config.load("builds/pmd.toml")) == []
    root.create("out/pmd", 0)
    assert inputs.notes(config.load("builds/pmd.toml")) == [
        "a new ROOT is begun, builds/out/pmd: paths are relative to the folder of the configuration. Version 0.1.0 took them "
        "from the working folder, where the ROOT out/pmd stands; to go on with that, move it there, or write its whole path"
    ]
    root.create("builds/out/pmd", 0)
    assert inputs.notes(config.load("builds/pmd.toml")) == []


def test_that_no_list_of_evaluation_images_is_given_is_said_once_and_not_to_who_has_said_so(tmp_path: Path) -> None:
    assert noted(tmp_path) == [
        "coco, visual_genome: evaluation images of COCO stay in, since no file names them; "
        'give karpathy = "PATH" of dataset_coco.json, or karpathy = "none" if that is meant'
    ]
    for said in ('karpathy = "none"', 'exclude_karpathy = "none"'):
        (note,) = noted(tmp_path, said)
        assert note.startswith("visual_genome: ")
    (note,) = noted(tmp_path, 'exclude_karpathy = "test"')  # asked for, and not had
    assert note.startswith("coco, visual_genome: ")


@pytest.mark.parametrize("name", ["cc12m [v2].tsv", "a*b.tsv", "what?.tsv", "a b#c%20.tsv"])
def test_a_path_that_exists_is_that_file(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data [v2]"
    folder.mkdir()
    (folder / name).write_text("1")
    (folder / "axb.tsv").write_text("2")
    assert [Path(file.path).name for file in inputs.files(source(folder / name))] == [name]
    assert len(inputs.files(source(folder / "*.tsv"))) == 2


def test_members_are_named_or_matched(tmp_path: Path) -> None:
    members = {"in/a.tsv": b"1", "in/b.tsv": b"1", "in/[c].tsv": b"1", "in/._a.tsv": b"0", "other.txt": b"1"}
    for name in ("one.zip", "two.zip"):
        (tmp_path / name).write_bytes(_zip(members))

    def found(pattern: str) -> list[str]:
        return [str(Path(file.path).relative_to(tmp_path)) for file in inputs.files(source(tmp_path / pattern))]

    assert found("one.zip!/in/a.tsv") == ["one.zip!/in/a.tsv"]
    assert found("one.zip!/in/[c].tsv") == ["one.zip!/in/[c].tsv"]
    assert found("one.zip!/in/?.tsv") == ["one.zip!/in/a.tsv", "one.zip!/in/b.tsv"]
    assert found("one.zip!/*.tsv") == ["one.zip!/in/[c].tsv", "one.zip!/in/a.tsv", "one.zip!/in/b.tsv"]
    assert found("*.zip!/in/a.tsv") == ["one.zip!/in/a.tsv", "two.zip!/in/a.tsv"]
    with pytest.raises(InputError) as caught:
        found("one.zip!/*.json")
    assert str(caught.value) == (
        f"{tmp_path}/one.zip: no member matches\n"
        "  expected: *.json\n"
        "  found: in/a.tsv, in/b.tsv, in/[c].tsv, in/._a.tsv, other.txt\n"
        "  remedy: list the archive (unzip -l, tar -t) and mend the name in the configuration"
    )
    with pytest.raises(InputError, match="no such member"):
        found("one.zip!/in/z.tsv")


@pytest.mark.parametrize(
    ("there", "asked", "meant"),
    [
        ("captions_train2017.json", "caption_train2017.json", True),
        ("cc12m.tsv", "cc12.tsv", True),
        ("cc12m.tsv", "CC12M.tsv", True),
        ("part-00000-of-00002.tsv", "part-00001-of-00002.tsv", False),  # parts of one thing, which nobody mistypes
        ("captions_val2017.json", "captions_train2017.json", False),
        ("my pairs.csv", "my_pairs.csv", True),
    ],
)
def test_a_missing_file_is_told_with_the_one_that_is_meant(tmp_path: Path, there: str, asked: str, meant: bool) -> None:
    (tmp_path / there).write_text("x")
    with pytest.raises(inputs.MissingFiles) as caught:
        inputs.files(source(tmp_path / asked))
    assert str(caught.value).endswith(f"; or did you mean {tmp_path}/{there}?") == meant
    with pytest.raises(inputs.MissingFiles) as caught:
        inputs.files(SourceConfig("mine", (str(tmp_path / asked),), (), None, "url_text"))
    assert str(caught.value) == f"mine: {tmp_path}/{asked} not found" + (
        f"; or did you mean {tmp_path}/{there}?" * meant
    )


def test_a_missing_file_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(inputs.MissingFiles, match=r"data \[v2\]/cc12m\.tsv not found; run: pmd manifests fetch"):
        inputs.files(source(tmp_path / "data [v2]" / "cc12m.tsv"))


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tsv")).write_text("1")
    with pytest.raises(InputError) as raised:
        inputs.files(source(tmp_path / "*.tsv"))
    _told_as_no_text(raised.value, b"/\xff.tsv", tmp_path)


def test_a_configuration_in_a_folder_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    Path(folder).mkdir()
    Path(folder, "pmd.toml").write_text('root = "out"\n')
    with pytest.raises(ConfigError) as raised:
        config.load(f"{folder}/pmd.toml")
    _told_as_no_text(raised.value, b"/\xff/pmd.toml", tmp_path)


def _told_as_no_text(error: PmdError, name: bytes, folder: Path) -> None:
    assert error.problem == "the path is not UTF-8"
    assert error.expected == "names of files and folders in UTF-8, since tables and commits name them"
    assert error.found == repr(os.fsencode(folder) + name)
    assert error.remedy == "rename the file or folder, or move the file elsewhere"


def test_a_file_under_two_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "2020").mkdir()
    (tmp_path / "2020" / "a.tsv").write_text("1")
    (tmp_path / "b.tsv").write_text("2")
    (tmp_path / "latest").symlink_to("2020")
    links = tmp_path / "latest" / "a.tsv"
    assert len(inputs.files(source(tmp_path / "2020", tmp_path / "b.tsv"))) == 2
    assert len(inputs.files(source(links, tmp_path / "b.tsv"))) == 2, "a link alone is a name like others"
    (tmp_path / "c.tsv").symlink_to("b.tsv")
    for named, first, second in (
        ((tmp_path / "2020", links), tmp_path / "2020" / "a.tsv", links),
        ((tmp_path / "*.tsv",), tmp_path / "b.tsv", tmp_path / "c.tsv"),
    ):
        with pytest.raises(InputError, match="one file under two names") as caught:
            inputs.files(source(*named))
        assert caught.value.found == f"{first} and {second}, of which one is a link"


def test_two_members_of_a_linked_archive_are_two_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.tsv", "1")
        archive.writestr("y.tsv", "2")
    (tmp_path / "b.zip").symlink_to("a.zip")
    x, y = f"{tmp_path}/a.zip!/x.tsv", f"{tmp_path}/b.zip!/y.tsv"
    assert [file.path for file in inputs.files(SourceConfig("conceptual_12m", (x, y), (), None))] == [x, y]
    with pytest.raises(InputError, match="one file under two names"):
        inputs.files(SourceConfig("conceptual_12m", (x, f"{tmp_path}/b.zip!/x.tsv"), (), None))
