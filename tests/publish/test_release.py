"""The release: what stands in it, the same bytes for the same lists, nothing private, and nobody's own files touched."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pmd import __version__, flow, sources
from pmd.config import Config
from pmd.config.options import CardOptions
from pmd.curate import needs as curate_needs
from pmd.images import needs as images_needs
from pmd.publish import card, census, citation, croissant, folder, measured, withdrawn
from pmd.publish import needs as publish_needs
from pmd.publish.columns import COLUMNS
from pmd.publish.rules import PUBLISHED
from pmd.store import commits, parquet_files, root, storage
from tests import postcards, tiny_root
from tests.store.power_cuts import Moment, Names, Recorder

AVAILABILITY = {"availability.json", "availability.csv", "availability.html"}
FILES = {
    "README.md",
    "LICENSE.md",
    "croissant.json",
    "CITATION.cff",
    "build.json",
    "SHA256SUMS",
    "find.html",
} | AVAILABILITY
INDEX = {"find/0.js"}
RELEASED = CardOptions(
    title="A <small> PMD",
    version="2.1.0",
    released="2026-11-30",
    authors=("Ada Lovelace",),
    contact="removal@example.org",
    url="https://example.org/pmd",
    changes=("Two sources more.",),
    gating_prompt="Do you agree?",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_root.build(tmp_path_factory.mktemp("private-place"))


@pytest.fixture
def mine(built: Config, tmp_path: Path) -> Config:
    shutil.copytree(built.root, tmp_path / "pmd")
    return dataclasses.replace(built, root=str(tmp_path / "pmd"))


def released(chosen: Config) -> Path:
    return Path(chosen.root) / "release"


def contents(where: Path) -> dict[str, bytes]:
    return {str(path.relative_to(where)): path.read_bytes() for path in where.rglob("*") if path.is_file()}


def front(where: Path) -> dict[str, Any]:
    text = (where / "README.md").read_text()
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_it_has_the_lists_and_what_goes_with_them(mine: Config) -> None:
    assert folder.write(mine)
    where = released(mine)
    lists = {
        str(path.relative_to(Path(mine.root) / "publish")): path.read_bytes()
        for path in Path(mine.root).glob("publish/*/*.parquet")
    }
    found = contents(where)
    assert {*found} == FILES | INDEX | {*lists}
    assert {name: found[name] for name in lists} == lists
    assert all((where / name).samefile(Path(mine.root) / "publish" / name) for name in lists)  # no bytes twice
    sums = dict(reversed(line.split("  ")) for line in found["SHA256SUMS"].decode().splitlines())
    assert sums == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in found.items()
        if name not in {"SHA256SUMS", "README.md"}
    }


def test_the_same_lists_and_options_give_the_same_bytes_and_are_not_written_again(
    mine: Config, built: Config, tmp_path: Path
) -> None:
    assert folder.write(mine)
    before = contents(released(mine))
    assert not folder.write(mine)
    shutil.copytree(built.root, tmp_path / "other")
    other = dataclasses.replace(built, root=str(tmp_path / "other"))
    assert folder.write(other)
    assert contents(released(other)) == before
    assert folder.write(dataclasses.replace(mine, card=RELEASED))
    changed = {name for name, content in contents(released(mine)).items() if content != before[name]}
    assert changed == FILES - {"LICENSE.md"} - AVAILABILITY


@pytest.mark.parametrize("is_cut", [False, True])
def test_lists_and_shards_of_the_index_that_were_lost_are_put_back(mine: Config, *, is_cut: bool) -> None:
    assert folder.write(mine)
    where = released(mine)
    whole = contents(where)
    lists = [name for name in whole if name.endswith(".parquet")]
    for name in lists if is_cut else [*lists, *INDEX]:
        path = where / name
        path.unlink()
        if is_cut:
            path.write_bytes(whole[name][:-1])
        assert folder.write(mine), name
        assert contents(where) == whole
        assert not folder.write(mine)


@pytest.mark.parametrize("puts", range(len(FILES)))
def test_one_that_was_cut_off_is_written_whole_by_the_next_build(
    mine: Config, monkeypatch: pytest.MonkeyPatch, puts: int
) -> None:
    assert folder.write(mine)
    whole = contents(released(mine))
    changed = dataclasses.replace(mine, card=RELEASED)
    put, left = storage.put, iter(range(puts))

    def cut_off(url: str, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        put(url, content)

    with monkeypatch.context() as patched:
        patched.setattr(storage, "put", cut_off)
        with pytest.raises(KeyboardInterrupt):
            folder.write(changed)
    (released(mine) / f".tmp-{0:032x}").write_bytes(b"half")
    assert folder.write(changed)
    after = contents(released(mine))
    assert {*after} == {*whole}
    assert not folder.write(changed)
    sums = dict(reversed(line.split("  ")) for line in after["SHA256SUMS"].decode().splitlines())
    assert all(sums[name] == hashlib.sha256(content).hexdigest() for name, content in after.items() if name in sums)


def _released_in(moment: Moment, names: Mapping[int, Names]) -> dict[str, bytes]:
    """Return the files of the release in one view of what a power cut leaves; their names with "/" in folders."""

    def within(number: int, above: str) -> Iterator[tuple[str, bytes]]:
        for name, inner in names.get(number, {}).items():
            if inner in moment.now or inner in moment.kept:
                yield from within(inner, f"{above}{name}/")
            else:
                yield f"{above}{name}", moment.content.get(inner, b"")

    return dict(within(names.get(moment.top, {})["release"], ""))


def _ids(files: Mapping[str, bytes]) -> set[str]:
    """Return the ids of lists and of what has left them; of files that are whole."""
    tables = [
        pq.read_table(io.BytesIO(content)) for name, content in files.items() if name.endswith(".parquet") and content
    ]
    return {one for table in tables for one in table["pair_id"].to_pylist()}


def test_no_power_cut_loses_what_has_left_or_calls_whole_what_is_not(mine: Config) -> None:
    top = Path(mine.root)
    assert folder.write(mine)
    known = _ids(contents(released(mine)))
    gone = top / "publish/source=coco"
    (gone / "_stage.json").unlink()
    recorder = Recorder(top)
    with recorder.recording():
        assert folder.write(mine)
    last = contents(released(mine))
    assert _ids({"a.parquet": last["withdrawn.parquet"]})
    assert len(recorder.moments) > 20
    for moment in recorder.moments:
        for what, names in moment.views():
            files = _released_in(moment, names)
            assert _ids(files) >= known, f"{moment.step}: {what}"
            if files["build.json"] == last["build.json"]:
                assert {name: files.get(name) for name in last} == last, f"{moment.step}: {what}"


def test_nothing_private_and_no_date_but_the_given_one(mine: Config) -> None:
    folder.write(dataclasses.replace(mine, card=RELEASED))
    for name, content in contents(released(mine)).items():
        if name.endswith(".parquet"):
            continue
        text = content.decode()
        assert re.search(r"private-place|tests@example\.org|taken-down|127\.0\.0\.1", text) is None, name
        if name not in AVAILABILITY:  # which says on which days hosts were asked
            assert {*re.findall(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", text)} <= {"2026-11-30"}, name
    build = json.loads((released(mine) / "build.json").read_text())
    assert build["configuration"]["sources"]["coco"]["annotations"] == ["captions_train2017.json"]
    assert build["configuration"]["takedown_lists"] == 1
    assert not {"resolve", "ca_file", "allow_addresses", "blocklists"} & {*build["configuration"]["fetch"]}
    assert {*build["commits"]["publish"]} == {*mine.sources}


def test_it_tells_by_which_rules_each_source_was_read(mine: Config) -> None:
    def told() -> dict[str, Any]:
        found: dict[str, Any] = json.loads((released(mine) / "build.json").read_text())
        return found

    folder.write(mine)
    versions = told()["versions"]
    for stage, number in (("curate", curate_needs.READ_FORMAT), ("publish", publish_needs.LIST_FORMAT)):
        assert {source: one["format"] for source, one in versions[stage].items()} == dict.fromkeys(mine.sources, number)
    assert versions["curate"]["coco"]["pmd"] == __version__
    assert versions["images"]["format"] == images_needs.VIEW_FORMAT
    # A source that is read anew, by other rules or from other bytes, and comes out the same.
    assert not folder.write(mine)
    at = root.curate_folder(mine.root, "coco")
    commit = commits.read(at)
    assert commit is not None
    options = {**commit.run["options"], "format": 10**6}
    digests = dict.fromkeys(commit.run["digests"], "ab" * 32)
    run = {**commit.run, "options": options, "digests": digests}
    commits.claim(at, commit.run[commits.EPOCH])
    commits.write(at, dataclasses.replace(commit, run=run))
    assert folder.write(mine)
    assert told()["versions"]["curate"]["coco"]["format"] == 10**6
    assert [one["sha256"] for one in told()["inputs"]["coco"]] == ["ab" * 32]
    assert not folder.write(mine)


def test_what_it_tells_of_a_stage_is_of_the_commit_that_stands(mine: Config) -> None:
    """A stage may have been run anew by other rules, and the lists have come out the same."""
    folder.write(mine)
    at = storage.join(mine.root, flow.IMAGES.books.at())
    commit = commits.read(at)
    assert commit is not None
    run = {**commit.run, "options": {**commit.run["options"], "format": 10**6}}
    commits.claim(at, commit.run[commits.EPOCH])
    commits.write(at, dataclasses.replace(commit, run=run))
    assert folder.write(mine)
    assert json.loads((released(mine) / "build.json").read_text())["versions"]["images"]["format"] == 10**6
    assert not folder.write(mine)


def test_a_card_that_somebody_changed_stays_and_what_is_no_list_of_ours(mine: Config) -> None:
    folder.write(mine)
    where = released(mine)
    (where / "README.md").write_text("mine")
    (where / "source=coco" / "notes.parquet").write_bytes(b"mine")
    (where / ".nv-meta").mkdir()
    (where / ".nv-meta" / "index").write_bytes(b"mine")
    without = {name: source for name, source in mine.sources.items() if name not in {"coco", "visual_genome"}}
    assert folder.write(dataclasses.replace(mine, sources=without))
    assert (where / "source=coco").is_dir()
    assert not (where / "source=visual_genome").exists()  # readers of such a folder would find nothing in it
    found = contents(where)
    assert [name for name in found if "coco" in name] == ["source=coco/notes.parquet"]
    assert found["README.md"] == found[".nv-meta/index"] == b"mine"
    assert b"conceptual_captions" in found["README.new.md"]
    assert "coco/" not in found["SHA256SUMS"].decode()


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_readme_that_was_there_before_is_somebodys(mine: Config, encoding: str) -> None:
    """Whatever it was saved in: editors of Windows still write others than UTF-8."""
    released(mine).mkdir()
    (released(mine) / "README.md").write_text("José's", encoding=encoding)
    folder.write(mine)
    assert (released(mine) / "README.md").read_text(encoding=encoding) == "José's"
    assert (released(mine) / "README.new.md").exists()


def test_of_lists_that_an_earlier_version_has_not_cut_by_split_no_release_is_made(
    mine: Config, caplog: pytest.LogCaptureFixture
) -> None:
    where = released(mine)
    before = contents(where)
    commit_of = root.publish_folder(mine.root, "coco")
    stands = commits.require(commit_of, "")
    for file in stands.files:
        storage.share(f"{commit_of}/{file.name}", f"{commit_of}/{file.name.partition('-')[2]}")
    files = tuple(dataclasses.replace(file, name=file.name.partition("-")[2]) for file in stands.files)
    commits.replace_unreadable(commit_of, dataclasses.replace(stands, files=files))
    assert not folder.write(mine)
    assert contents(where) == before
    assert caplog.messages == [
        "the lists are of an earlier version, and no release is made of them: run pmd publish CONFIG, or pmd build CONFIG"
    ]


def test_without_lists_there_is_no_release(mine: Config) -> None:
    shutil.rmtree(Path(mine.root) / "publish")
    assert not folder.write(mine)
    assert not released(mine).exists()


def test_the_hub_finds_configurations_and_splits(mine: Config) -> None:
    folder.write(dataclasses.replace(mine, card=RELEASED))
    where = released(mine)
    data = front(where)
    assert (data["pretty_name"], data["license"], data["license_name"]) == ("A <small> PMD", "other", "stated-per-row")
    assert data["extra_gated_prompt"] == "Do you agree?"
    configs = {entry["config_name"]: entry for entry in data["configs"]}
    assert {*configs} == {"all", "alive", *mine.sources}
    assert [name for name, entry in configs.items() if entry.get("default")] == ["all"]
    of_all = {
        str(path) for part in configs["all"]["data_files"] for pattern in part["path"] for path in where.glob(pattern)
    }
    assert of_all == {str(path) for path in where.glob("source=*/*.parquet")}
    text = (where / "README.md").read_text()
    assert "# A &lt;small&gt; PMD" in text
    for said in ("removal@example.org", "- Two sources more.", "released 2026-11-30", "`takedown` 1", "CC-BY-2.0 (2)"):
        assert said in text
    assert "A `pair_id` means that text alone" in text
    assert text.count("@inproceedings{lin2014microsoft") == 1


def test_the_card_tells_how_often_a_row_names_who_contributed_it() -> None:
    part = census.Part("source=red_caps/train-part-0.parquet", "train", True, 8, 1, "0" * 64)
    of_nobody = census.Listed("coco", "coco", "COCO", "text", (part,), {}, {}, None)
    counted = dataclasses.replace(of_nobody, name="red_caps", named={"rows": 8, "text": 1, "image_url": 2})
    text = card.readme(CardOptions(), [of_nobody, counted], {}, 0, [], [], "1")
    assert "| `red_caps` | 8 | 1 (12.5%) | 2 (25.0%) |" in text
    assert "| `coco` | 8 | " not in text
    assert "named in `text`" not in card.readme(CardOptions(), [of_nobody], {}, 0, [], [], "1")


def test_what_is_not_known_of_a_source_is_told(tmp_path: Path) -> None:
    part = census.Part("source=postcards/train-part-0.parquet", "train", True, 8, 1, "0" * 64)
    beside = census.Listed("postcards", "postcards", "Postcards", "urls", (part,), {}, {}, postcards.written(tmp_path))
    assert "- Source: its page is not known\n" in card.licence_file([beside])
    cited = card.readme(CardOptions(), [beside], {}, 0, [], [], "1").partition("```bibtex")[2].partition("```")[0]
    assert cited.strip() == card.FLAVA


def test_rows_without_a_url_are_in_no_file_of_alive() -> None:
    parts = {"train-part": True, "train-nourl-part": False}
    listed = [
        census.Listed(
            "coco", "coco", "COCO", "ids",
            tuple(census.Part(f"source=coco/{name}-0.parquet", "train", has, 1, 1, "0" * 64) for name, has in parts.items()),
            {}, {}, None,
        )
    ]  # fmt: skip
    configs = card.configs(listed)
    assert configs["alive"] == {"train": ["source=coco/train-part-*.parquet"]}
    assert configs["all"] == configs["coco"] == {"train": ["source=coco/train-*.parquet"]}


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(inner)


def test_croissant_names_every_file_with_its_digest_and_every_column(mine: Config) -> None:
    folder.write(dataclasses.replace(mine, card=RELEASED))
    where = released(mine)
    described = json.loads((where / "croissant.json").read_text())
    files = {node["contentUrl"]: node["sha256"] for node in _nodes(described) if node.get("@type") == "cr:FileObject"}
    assert files == {
        str(path.relative_to(where)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in where.glob("source=*/*.parquet")
    }
    ids = [
        node["@id"]
        for node in _nodes(described)
        if "@id" in node and "@type" in node and node["@type"].startswith("cr:")
    ]
    assert len(ids) == len({*ids})
    refers = {node["fileSet"]["@id"] for node in _nodes(described["recordSet"]) if "extract" in node}
    assert refers <= {*ids}
    for records in described["recordSet"]:
        assert [field["name"] for field in records["field"]] == PUBLISHED.names
    assert (described["version"], described["datePublished"]) == ("2.1.0", "2026-11-30")
    assert described["rai:dataBiases"] == ["Not measured."]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"same_bytes": "merge", "near": "merge"}, "Equal and nearly equal ones are one."),
        ({"same_bytes": "merge", "near": "keep"}, "Equal ones are one."),
        ({"same_bytes": "keep", "near": "merge"}, "Nearly equal ones are one."),
        ({"same_bytes": "keep", "near": "keep"}, "Equal ones are kept, each by itself."),
    ],
)
def test_croissant_says_of_images_that_are_alike_what_was_asked(mine: Config, asked: dict[str, Any], says: str) -> None:
    for number, more in ((0, ""), (10, " What 10 images or more have the bytes of leaves as a placeholder.")):
        dedupe = mine.dedupe.model_copy(update={**asked, "repeated_bytes": number})
        described = croissant.describe(RELEASED, mine.fetch, dedupe, [], [])
        assert described["rai:dataPreprocessingProtocol"][1].endswith(f"known placeholders leave. {says}{more}")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "as robots.txt, TDMRep and answers' headers allow."),
        ({"robots": False}, "as TDMRep and answers' headers allow. Not heeded: robots.txt."),
        ({"robots": False, "tdmrep": False}, "as answers' headers allow. Not heeded: robots.txt and TDMRep."),
    ],
)
def test_croissant_says_by_whose_leave_images_were_fetched(mine: Config, asked: dict[str, Any], says: str) -> None:
    described = croissant.describe(RELEASED, mine.fetch.model_copy(update=asked), mine.dedupe, [], [])
    assert described["rai:dataCollection"].endswith(f"fetched once each, {says}")


def test_what_the_card_tells_to_run_reads_the_lists_also_where_rows_have_left(mine: Config) -> None:
    folder.write(mine)
    where = released(mine)
    gone = pa.table({"pair_id": ["ab" * 16]}, schema=withdrawn.WITHDRAWN)
    pq.write_table(gone, where / withdrawn.FILE)
    code = next(part for part in (where / "README.md").read_text().split("```") if "import duckdb" in part)
    import_line, *lines = code.removeprefix("python\n").replace("PATH", str(where)).strip().splitlines()
    known: dict[str, Any] = {}
    exec(import_line, known)
    rows = [len(eval(line, known)) for line in lines if line]
    assert rows == [len(pd.read_parquet(where / "source=coco")), 8, 5]
    assert f"takes out of it the rows whose `pair_id` stands in `{withdrawn.FILE}`" in (where / "README.md").read_text()


def test_the_card_names_a_list_with_urls_for_img2dataset_or_none() -> None:
    def listed(name: str, kind: str) -> census.Listed:
        part = census.Part(f"source={name}/train-{kind}-0.parquet", "train", kind == "part", 8, 1, "0" * 64)
        return census.Listed(name, name, name, "text", (part,), {}, {}, None)

    without, having = listed("localized_narratives__ADE20k", "nourl-part"), listed("wit", "part")
    text = card.readme(CardOptions(), [without, having], {}, 0, [], [], "1")
    assert "from 'PATH/source=wit/*.parquet' where image_url is not null group by image_url" in text
    assert "img2dataset --url_list wit.parquet " in text
    text = card.readme(CardOptions(), [without], {}, 0, [], [], "1")
    assert "img2dataset" not in text
    assert "`alive`" not in text


def test_the_cards_rows_for_img2dataset_have_each_image_once_and_every_caption(
    mine: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for an image once a row: COCO's five times, Visual Genome's fifty (rom1504/img2dataset#244)."""
    folder.write(mine)
    where = released(mine)
    (code,) = (part for part in (where / "README.md").read_text().split("```") if "group by image_url" in part)
    row = {"image_url": "http://a.org/1", "sha256": "ab" * 32, "region": None, "source": "coco"}
    rows = [
        {**row, "pair_id": f"{number:032x}", "text": text, "image_url": f"http://a.org/{number // 3}"}
        for number, text in enumerate(("a dog", None, 'a "house"', "a cat"))
    ]
    folder_of_list = tmp_path / "source=coco"
    folder_of_list.mkdir()
    for number, part in enumerate((rows[2:], rows[:2])):  # of one image in two files
        pq.write_table(pa.Table.from_pylist(part, PUBLISHED), folder_of_list / f"train-part-{number}.parquet")
    pq.write_table(
        pa.Table.from_pylist([{**row, "image_url": None}], PUBLISHED), folder_of_list / "train-nourl-part-0.parquet"
    )
    monkeypatch.chdir(tmp_path)
    exec(code.removeprefix("python\n").replace("PATH", str(tmp_path)))
    made = pq.read_table("coco.parquet")
    assert made.schema.field("pairs").type == pa.string()
    found = sorted(made.to_pylist(), key=lambda one: str(one["image_url"]))
    assert [(one["image_url"], one["text"], one["sha256"]) for one in found] == [
        ("http://a.org/0", "a dog", "ab" * 32),
        ("http://a.org/1", "a cat", "ab" * 32),
    ]
    assert [pair["text"] for one in found for pair in json.loads(one["pairs"])] == ["a dog", None, 'a "house"', "a cat"]


def test_words_beyond_the_first_plane_are_whole_where_yaml_has_them(tmp_path: Path) -> None:
    said = CardOptions(title='Welt 🌍 "ü"', authors=("Zoë 👩",), gating_prompt="🌍?")
    (tmp_path / "README.md").write_text(card.readme(said, [], {}, 0, [], [], "1"), encoding="utf-8")
    assert (front(tmp_path)["pretty_name"], front(tmp_path)["extra_gated_prompt"]) == (said.title, "🌍?")
    cited = yaml.safe_load(citation.cff(said))
    assert (cited["title"], cited["authors"]) == (said.title, [{"name": "Zoë 👩"}])


def test_datasets_gives_no_rows_of_another_release_that_it_has_kept(
    mine: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It files what it keeps under the folder's name, which is the same in each ROOT."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()

    def loaded() -> list[str]:
        opened = datasets.load_dataset(str(released(mine)), "coco", split="train", cache_dir=str(tmp_path / "cache"))
        return sorted(opened["pair_id"])

    folder.write(mine)
    before = loaded()
    (path,) = Path(mine.root).glob("publish/source=coco/train-*.parquet")
    rows = pq.read_table(path, partitioning=None).slice(1)
    lists = str(path.parent)
    file = parquet_files.put_table(lists, "train-part-00000-of-00001", rows.cast(PUBLISHED))
    commits.write(lists, dataclasses.replace(commits.require(lists, ""), files=(file,)))
    folder.write(mine)
    assert 0 < len(loaded()) == len(before) - 1


def test_a_card_of_empty_lists_is_one(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card.readme(CardOptions(), [], {}, 0, [], [], "1"))
    assert [entry["config_name"] for entry in front(tmp_path)["configs"]] == ["all"]


def test_what_has_left_is_never_taken_for_rows_of_a_release_without_any(mine: Config, tmp_path: Path) -> None:
    folder.write(mine)
    for path in Path(mine.root).glob("publish/source=*"):
        commits.write(str(path), dataclasses.replace(commits.require(str(path), ""), files=()))
    folder.write(mine)
    assert [path.name for path in released(mine).rglob("*.parquet")] == ["withdrawn.parquet"]
    with pytest.raises(FileNotFoundError, match=r"No .*data files"):
        datasets.load_dataset(str(released(mine)), cache_dir=str(tmp_path / "cache"))


def _in_languages(name: str, written_in: tuple[str, ...] | None, rows: int = 8) -> census.Listed:
    part = census.Part(f"source={name}/train-part-0.parquet", "train", True, rows, 1, "0" * 64)
    return census.Listed(name, name, name, "text", (part,), {}, {}, None, written_in)


@pytest.mark.parametrize(
    ("others", "languages", "kind", "limit", "web"),
    [
        ([("en",)], ["en"], ["monolingual"], "The texts are nearly all English", "on the English-speaking web;"),
        ([("de", "fr")], ["de", "en", "fr"], ["multilingual"], "The texts are in de, en, fr, as", "on the web;"),
        ([("de",), None], None, None, "In which languages all texts are, nobody has asked.", "on the web;"),
    ],
)
def test_the_card_says_in_which_languages_the_texts_are(
    mine: Config,
    tmp_path: Path,
    others: list[Any],
    languages: list[str] | None,
    kind: list[str] | None,
    limit: str,
    web: str,
) -> None:
    empty = _in_languages("empty", ("ru",), 0)
    listed = [
        _in_languages("coco", ("en",)),
        empty,
        *(_in_languages(f"other_{n}", one) for n, one in enumerate(others)),
    ]
    (tmp_path / "README.md").write_text(card.readme(CardOptions(), listed, {}, 0, [], [], "1"))
    assert (front(tmp_path).get("language"), front(tmp_path).get("multilinguality")) == (languages, kind)
    assert f"- {limit}" in (tmp_path / "README.md").read_text()
    described = croissant.describe(RELEASED, mine.fetch, mine.dedupe, listed, [])
    assert described["rai:dataSocialImpact"].endswith(f"{web} models learn it.")
    assert any(said.startswith(limit) for said in described["rai:dataLimitations"])


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("coco", {}, ("en",)),
        ("wit", {"languages": ("de", "fr")}, ("de", "fr")),
        ("yfcc100m", {}, ("en",)),
        ("yfcc100m", {"detector": "any"}, None),
        ("url_text", {}, None),
    ],
)
def test_options_tell_in_which_languages_a_source_is(name: str, changed: dict[str, Any], expected: Any) -> None:
    options = sources.load(name).options
    assert options(**options.profile_values("recommended") | changed).written_in() == expected


def test_every_column_is_described() -> None:
    assert [*COLUMNS] == PUBLISHED.names


def test_what_the_audit_measured_is_told_with_what_it_is_of() -> None:
    coverage = {"measured": 9, "eligible": 10, "of": "pairs"}
    draw = {"cluster": "host+image+user", "interval": [0.3, 0.7]}
    share = {"value": 0.5, "interval": [0.4, 0.6], "another_draw": draw}
    of_images = {"value": 0.5, "interval": None, "another_draw": draw | {"cluster": "image"}}
    population = {
        "words": {"mean": 9.95, "median": 10, "coverage": coverage},
        "languages": {"english": share, "coverage": coverage},
        "gendered": {
            "female": share,
            "male": of_images,
            "neither": {"value": 0.25, "interval": None, "another_draw": draw | {"interval": None}},
            "coverage": coverage,
        },
        "countries": {"shares": [{"country": "BR", "share": 0.1, "pairs": 1}], "coverage": coverage},
        "hosts": {
            "largest": [{"host": "a<b>.example"}],
            "top_10": 0.5,
            "distinct": {"value": 1234},
            "coverage": coverage,
        },
        "harm": {"sexual": {"value": 0.0003, "interval": None, "enough": True}, "coverage": coverage},
        "age": {"old": {"value": 0.5, "interval": None, "enough": False}, "coverage": coverage},
        "repeated": {"shared_by": [{"images": 10, "share": 0.04, "pairs": 1}], "coverage": coverage},
    }
    audit = {"stages": ["curate", "shard"], "all": {"shard": population}, "labels": {"countries": {"BR": "Brazil"}}}
    assert measured.statements(audit) == [
        "Captions have 9.9 words on average (median 10), of 9 of 10 pairs.",
        "50.0% (40.0% to 60.0% in all of them; 30.0% to 70.0% in another draw of such hosts, images and users) of the texts are "
        "English by an automatic identifier, of 9 of 10 pairs.",
        "Of the English texts 50.0% (40.0% to 60.0% in all of them; 30.0% to 70.0% in another draw of such hosts, images and "
        "users) have a term for women or girls and 50.0% (30.0% to 70.0% in another draw of such images) one for men or "
        "boys; 25.0% have neither (GenBit's word lists; 9 of 10 pairs).",
        "Geotags in a country lie most often in Brazil (10.0%); 9 of 10 pairs have a geotag.",
        "The ten largest of 1,234 hosts hold 50.0% of the pairs with an image URL; first a&lt;b&gt;.example.",
        "4.0% of the pairs have a text that stands on 10 images or more.",
        "Terms in English captions, which tell what was written and not what is shown: 50.0% (too few to be read as a rate) old "
        "(9 of 10 pairs).",
        "Terms in English captions, which tell what was written and not what is shown: 0.03% sexual (9 of 10 pairs).",
    ]
    population["hosts"] |= {"distinct": {"value": 1}, "top_10": 1.0}
    assert "1 host holds all pairs with an image URL; first a&lt;b&gt;.example." in measured.statements(audit)
    assert measured.statements(None) == measured.statements({"stages": []}) == []
    assert measured.statements({"stages": ["curate"], "all": {"curate": {}}}) == []
    empty = {"repeated": {"shared_by": [{"images": 10, "share": None, "pairs": 0}]}}
    assert measured.statements({"stages": ["curate"], "all": {"curate": empty}}) == []


def test_what_the_card_of_pmd_says_is_answered_or_said_to_be_unanswerable() -> None:
    coverage = {"measured": 9, "eligible": 10, "of": "texts"}
    share = {"value": 0.05, "interval": None}
    high = {
        "value": 0.7,
        "interval": None,
        "another_draw": {"cluster": "user", "interval": [0.6, 0.8]},
        "bounds": [0.3, 0.9],
    }
    audit: dict[str, Any] = {
        "stages": ["curate", "shard"],
        "sample": 8,
        "all": {
            "shard": {
                "pairs": 1234,
                "age": {"young": share, "old": share, "coverage": coverage},
                "harm": {"violent": share, "sexual": {"value": None}, "coverage": coverage},
            }
        },
        "geography": {
            "sources": {"yfcc100m": {"shard": {"high_income": {"photographs": high}}}, "data": {"shard": {}}}
        },
        "tests": [{"finding": True}, {"finding": False}],
    }
    assert measured.statements(audit) == [
        "The audit measured 1,234 pairs of a sample of one in 8 of the images, as they stand after shard.",
        "Who contributed cannot be measured: no source records anybody's age or gender, and none is taken from names or faces.",
        "Terms in English captions, which tell what was written and not what is shown: 5.0% young, 5.0% old (9 of 10 texts).",
        "Terms in English captions, which tell what was written and not what is shown: 5.0% violent (9 of 10 texts).",
        "Of the photographs of yfcc100m in a country of known income, 70.0% (60.0% to 80.0% in another draw of such users) are "
        "from high-income countries; of all its photographs between 30.0% and 90.0%. A photographed country is no home.",
        "Of 2 tests whether what a step lost had to do with what it shows, 1 is a finding, false discoveries of the whole audit "
        "held to 5 %.",
    ]
    audit["geography"]["sources"]["yfcc100m"]["shard"]["added_up"] = ["pairs"]
    said = measured.statements(audit)
    assert any("in countries of known income that are told, 70.0%" in one for one in said)


@pytest.mark.parametrize(
    ("count", "audited", "fetched"),
    [
        (
            1,
            "The audit measured 1 pair, as it stands after shard.",
            "of the 1 image that was asked for on the web was there.",
        ),
        (
            2_000,
            "The audit measured 2,000 pairs, as they stand after shard.",
            "of the 2,000 images that were asked for on the web were there.",
        ),
    ],
)
def test_what_is_measured_agrees_with_its_number(count: int, audited: str, fetched: str) -> None:
    assert measured.statements({"stages": ["curate", "shard"], "all": {"shard": {"pairs": count}}})[0] == audited
    there = {"fetched": {"images": count, "share": 1.0}, "waves": [], "half_life": {"days": None}}
    assert [said.partition(" ")[2] for said in measured.still_there(there)] == [fetched]


def test_the_release_is_no_folder_of_a_stage() -> None:
    assert flow.RELEASE not in flow.TOPS
