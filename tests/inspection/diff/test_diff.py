"""`pmd diff`: two ROOTs, two lists, and a ROOT beside an annotation file of facebook/pmd."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pmd import cli, codec, config
from pmd.errors import ConfigError, InputError
from pmd.fetch.ledger import state
from pmd.formats import lines
from pmd.inspection import diff
from pmd.inspection.diff import hub_files, join
from pmd.schema import keys
from pmd.schema.exits import DIFFERENT
from pmd.schema.tables import with_columns
from pmd.sources import multimedia_commons
from pmd.store import commits, exchange
from tests import tiny_root
from tests.inspection.verify.test_verify import rewrite


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def other(built: config.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same, but: a caption reworded, one line gone and one new, a dead picture found, no de-duplication."""
    folder = tmp_path_factory.mktemp("other")
    shutil.copytree(Path(built.root).parent, folder, dirs_exist_ok=True)
    path = folder / "pmd.toml"
    text = path.read_text().replace(str(Path(built.root).parent), str(folder))
    path.write_text(text + '[dedupe]\nsame_bytes = "keep"\nnear = "keep"\n')
    lines = folder / "data/GCC-training.tsv"
    taken_down = f"a picture taken down\t{tiny_root.C4}\n"
    lines.write_text(lines.read_text().replace(taken_down, "") + "one more\thttp://one.example/more.jpg\n")
    captions = folder / "data/captions_train2017.json"
    captions.write_text(captions.read_text().replace("A green field.", "A greener field."))
    chosen = config.load(str(path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    tiny_root.fetch(chosen, 1, retry=("dead",))
    tiny_root.commit_rejected(chosen)
    tiny_root.dedupe(chosen)
    tiny_root.shard(chosen)
    for name in sorted(chosen.sources):
        tiny_root.publish(chosen, name)
    return chosen.root


def test_a_root_is_the_same_as_itself_and_as_one_built_elsewhere(built: config.Config, tmp_path: Path) -> None:
    again = tiny_root.build(tmp_path)
    for root in (built.root, again.root):
        found = diff.diff(built.root, root)
        assert found["equal"]
        assert (found["moved"], found["changed"], found["options"], found["examples"]) == ([], [], [], [])
        assert found["images"]["moved"] == found["images"]["changed"] == found["images"]["groups"] == []
        assert {line["is"] for line in found["outputs"]} == {"the same"}
        assert "The same: 13 pairs, 5 images" in diff.render(found)


def test_two_roots(built: config.Config, other: str) -> None:
    found = diff.diff(built.root, other)
    assert not found["equal"]
    assert {(line["source"], line["from"], line["to"]): line["pairs"] for line in found["moved"]} == {
        ("conceptual_captions", "absent", "fetch: dead"): 1,
        ("conceptual_captions", "fetch: dead", "kept"): 1,
        ("conceptual_captions", "images: takedown", "absent"): 1,
    }
    assert found["changed"] == [
        {"source": "coco", "what": "rest", "pairs": 1},  # the caption stands in meta, too
        {"source": "coco", "what": "text", "pairs": 1},
    ]
    stages = {(line["source"], line["stage"]): line for line in found["stages"]}
    assert stages["conceptual_captions", "curate"] == {
        "source": "conceptual_captions", "stage": "curate", "a": 5, "b": 5, "only_a": 1, "only_b": 1,
    }  # fmt: skip
    assert (stages["conceptual_captions", "fetch"]["only_a"], stages["conceptual_captions", "fetch"]["only_b"]) == (
        0,
        1,
    )
    assert stages["coco", "shard"]["a"] == stages["coco", "shard"]["b"] == 2
    images = found["images"]
    assert {(line["from"], line["to"]): line["images"] for line in images["moved"]} == {
        ("absent", "dead"): 1,
        ("dead", "ok"): 1,
    }
    assert images["groups"] == [{"from": "same_bytes", "to": "alone", "images": 1}]
    assert {line["says"] for line in found["options"]} == {
        "option near was 'merge', is 'keep'",
        "option same_bytes was 'merge', is 'keep'",
    }
    assert {line["folder"] for line in found["outputs"] if line["is"] == "other bytes"} >= {"shards/webdataset"}


def test_pairs_whose_image_has_another_identity_are_shown(built: config.Config, tmp_path: Path) -> None:
    """So it is between a ROOT of 0.1.0 and what a newer version made of it."""
    shutil.copytree(built.root, tmp_path / "pmd")
    folder = tmp_path / "pmd" / "curate" / "source=coco"

    def renamed(pairs: pa.Table) -> pa.Table:
        names = pa.array([f"once:{name}" for name in pairs["identity"].to_pylist()])
        return with_columns(pairs, {"identity": names, "image_id": keys.image_ids(names)})

    for path in folder.glob("pairs/*.parquet"):
        rewrite(path, folder, renamed)
    found = diff.diff(built.root, str(tmp_path / "pmd"))
    (one, *_) = [example for example in found["examples"] if example["what"] == "rest"]
    assert one["b"]["fields"]["image_id"] == keys.image_id(one["b"]["fields"]["identity"]).hex()
    assert f"      B: image_id: {one['b']['fields']['image_id']}" in diff.render(found)


def test_examples_show_both_sides_and_are_as_many_as_asked_for(built: config.Config, other: str) -> None:
    found = diff.diff(built.root, other, limit=1)
    texts = [example for example in found["examples"] if example["what"] == "text"]
    assert len(texts) == 1
    assert texts[0]["source_id"] == "12345"
    assert texts[0]["pair_id"] == keys.pair_id("coco", "12345").hex()
    assert (texts[0]["a"]["text"], texts[0]["b"]["text"]) == ("A green field.", "A greener field.")
    said = diff.render(found)
    assert "coco/12345" in said
    assert "      B: A greener field." in said
    assert "url:one.example/gone.jpg" in said
    assert diff.diff(built.root, other, limit=0)["examples"] == []
    orjson.dumps(found)


def told_by(a: str, b: str) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    diff.diff(a, b, tell=lambda done, total: told.append((done, total)))
    return told


def test_it_tells_how_far_it_is(built: config.Config, other: str) -> None:
    lists = [str(Path(root) / "publish") for root in (built.root, other)]
    for told in (told_by(built.root, other), told_by(*lists), told_by(built.root, lists[1])):
        assert told == sorted(told)
        assert len({total for _, total in told}) == 1
        assert 0 < told[0][0] < told[-1][0] == told[-1][1]


def test_of_a_file_whose_rows_nobody_knows_it_tells_how_many_have_passed(yfcc: str, tmp_path: Path) -> None:
    told = told_by(yfcc, write(tmp_path / "yfcc100m_subset.jsonl", [row(photo, "x") for photo in range(1, 9)]))
    assert told == sorted(told)
    assert {total for _, total in told} == {0}
    assert told[-1][0] >= 2 * 8


def test_the_command_says_how_far_it_is(built: config.Config, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []

    @contextlib.contextmanager
    def telling(unit: str) -> Iterator[Callable[[int, int], None]]:
        said.append(unit)
        yield lambda done, total: said.append(done <= total)

    monkeypatch.setattr("pmd.cli.beside.telling", telling)
    assert CliRunner().invoke(cli.app, ["diff", built.root, other]).exit_code == 7
    assert said[0] == "rows"
    assert said[1:]
    assert all(said[1:])


def test_turned_round_it_says_the_opposite(built: config.Config, other: str) -> None:
    one, two = diff.diff(built.root, other), diff.diff(other, built.root)
    assert {(line["from"], line["to"], line["pairs"]) for line in one["moved"]} == {
        (line["to"], line["from"], line["pairs"]) for line in two["moved"]
    }
    assert one["changed"] == two["changed"]


def test_in_small_buckets_it_says_the_same(built: config.Config, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = diff.diff(built.root, other)
    monkeypatch.setattr(join, "BUCKET_ROWS", 1)
    monkeypatch.setattr(exchange, "BUFFER_BYTES", 100)
    assert diff.diff(built.root, other) == whole


def test_stages_that_only_one_has_are_not_compared(built: config.Config, tmp_path: Path) -> None:
    shutil.copytree(built.root, tmp_path / "pmd")
    for folder in ("publish", "shards", "dedupe", "fetch", "images", "views"):
        shutil.rmtree(tmp_path / "pmd" / folder)
    shutil.rmtree(tmp_path / "pmd/curate/source=coco")
    (tmp_path / "pmd/root.json").unlink()  # curate alone writes none
    found = diff.diff(built.root, str(tmp_path / "pmd"))
    assert found["moved"] == []
    assert found["only_in"] == [{"source": "coco", "only_in": "a", "pairs": 2, "kept": 2}]
    assert not found["equal"]
    assert found["images"] is None
    assert {line["stage"] for line in found["not_compared"]} == {"images", "fetch", "dedupe", "shard"}
    assert "since only A has it: images, fetch, dedupe, shard of visual_genome" in diff.render(found)


def test_a_source_that_only_one_has_is_a_line(built: config.Config, tmp_path: Path) -> None:
    """Whoever adds a source is not told each of its rows, its images, and its output."""
    folder = Path(built.root).parent
    fewer = tmp_path / "fewer"
    shutil.copytree(folder / "data", fewer / "data")
    text = (folder / "pmd.toml").read_text().replace(str(folder), str(fewer))
    start, end = text.index("[sources.visual_genome]"), text.index("[shard]")
    (fewer / "pmd.toml").write_text(text[:start] + text[end:])
    chosen = config.load(str(fewer / "pmd.toml"))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    tiny_root.fetch(chosen, 0)
    tiny_root.commit_rejected(chosen)
    tiny_root.dedupe(chosen)
    for name in sorted(chosen.sources):
        tiny_root.publish(chosen, name)
    found = diff.diff(chosen.root, built.root)
    assert found["only_in"] == [{"source": "visual_genome", "only_in": "b", "pairs": 4, "kept": 2}]
    assert found["images"]["only_in"] == {"a": 0, "b": 1}
    assert not found["equal"]
    for name in ("moved", "changed", "examples"):
        assert found[name] == [], name
        assert found["images"][name] == [], name
    assert not any(line["source"] == "visual_genome" for line in found["stages"])
    said = diff.render(found)
    assert "Only B has visual_genome: 4 pairs, of which 2 are rejected." in said
    assert "Only B has 1 image that no source of both shows." in said
    assert said.count("visual_genome") == 1
    back = diff.diff(built.root, chosen.root)
    assert [line["only_in"] for line in back["only_in"]] == ["a"]
    listed = diff.diff(f"{chosen.root}/publish", f"{built.root}/publish")
    assert listed["only_in"] == [{"source": "visual_genome", "only_in": "b", "pairs": 3, "kept": 3}]
    assert (listed["moved"], listed["examples"], listed["equal"]) == ([], [], False)


def test_lists_and_a_root_beside_a_list(built: config.Config, other: str, tmp_path: Path) -> None:
    shutil.copytree(f"{built.root}/publish", tmp_path / "lists")
    assert diff.diff(built.root, str(tmp_path / "lists"))["equal"]
    for stage in (tmp_path / "lists").rglob("_stage.json"):
        stage.unlink()  # a copy of the Parquet files alone
    assert diff.diff(str(tmp_path / "lists"), f"{built.root}/publish")["equal"]
    found = diff.diff(str(tmp_path / "lists"), other)
    assert found["kind"] == "lists"
    assert [(line["from"], line["to"], line["pairs"]) for line in found["moved"]] == [("absent", "kept", 1)]
    assert {line["what"]: line["pairs"] for line in found["changed"]} == {"text": 1}
    one = next((tmp_path / "lists").rglob("*.parquet"))
    assert diff.diff(str(one), str(one))["equal"]


def test_what_cannot_be_compared_is_told(built: config.Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is here"):
        diff.diff(built.root, str(tmp_path / "gone"))
    with pytest.raises(InputError, match="neither a ROOT nor a published list"):
        diff.diff(str(tmp_path), built.root)
    listed = pq.read_table(next(Path(built.root).glob("publish/source=coco/*.parquet")))
    pq.write_table(listed.set_column(4, "pair_id", pa.array(["12"] * len(listed))), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="pair_id: a key that is none"):
        diff.diff(str(tmp_path / "x.parquet"), built.root)
    pq.write_table(pa.table({"pair_id": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="not a list that pmd publish wrote"):
        diff.diff(str(tmp_path / "x.parquet"), built.root)
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="cannot be compared"):
        diff.diff(str(tmp_path / "x.jsonl"), built.root)
    with pytest.raises(ConfigError, match="not a number of examples"):
        diff.diff(built.root, built.root, limit=-1)


# facebook/pmd's annotations

_PHOTOS = {
    1: ("", "A dog runs over the wide green field"),
    2: ("Ein Hund rennt ueber die gruene Wiese und bellt", "IMG 0520"),
    3: ("dog", "cat"),
    4: ("Two friends are walking along the beach at sunset", "x"),
    5: ("The old church in the middle of our town", "x"),
}


def download_url(photo: int) -> str:
    return f"http://farm1.staticflickr.com/2/{photo}_abcdef12.jpg"


@pytest.fixture(scope="module")
def yfcc(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ROOT with five photographs of YFCC100M: 1, 4 and 5 are kept, 2 is German, 3 too short."""
    folder = tmp_path_factory.mktemp("yfcc")
    lines = []
    for photo, (description, title) in _PHOTOS.items():
        cells = {8: title.replace(" ", "+"), 9: description.replace(" ", "+"), 16: download_url(photo)}
        cells |= {0: "0", 1: str(photo), 2: "", 24: "0"}
        lines.append("\t".join(cells.get(i, "") for i in range(25)))
    (folder / "yfcc100m_dataset").write_text("\n".join(lines) + "\n")
    (folder / "pmd.toml").write_text(
        f'root = "{folder}/pmd"\ncontact = "mailto:tests@example.org"\n'
        f'[sources.yfcc100m]\nannotations = ["{folder}/yfcc100m_dataset"]\n'
    )
    chosen = config.load(str(folder / "pmd.toml"))
    tiny_root.curate(chosen, "yfcc100m")
    return chosen.root


def row(photo: int, text: str, **more: Any) -> dict[str, Any]:
    meta = json.dumps({"photoid": photo, "downloadurl": download_url(photo)})
    return {"image_url": None, "texts": [text, "more"], "source": "yfcc100m", "meta": meta, "image": None, **more}


def write(path: Path, rows: list[Any]) -> str:
    content = "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


THEIRS = [
    row(1, " A dog runs over the  wide green field"),  # equal but for white space
    row(2, "Ein Hund rennt ueber die gruene Wiese und bellt"),  # they kept it, we call it German
    row(4, "two friends are walking along the beach, at sunset"),
    row(9, "A photograph that we never saw"),
]


@pytest.mark.parametrize("name", ["subset.jsonl", "subset.jsonl.gz"])
def test_flavas_subset(yfcc: str, tmp_path: Path, name: str) -> None:
    found = diff.diff(yfcc, write(tmp_path / name, THEIRS))
    (line,) = found["sources"]
    assert line == {
        "source": "yfcc100m",
        "ours": 3,
        "ours_rejected": 2,
        "theirs": 4,
        "both": 2,
        "same_text": 1,
        "alike": 1,
        "other_text": 0,
        "only_ours": 1,
        "only_theirs": {"curate: not_english": 1, "no row of ours": 1},
        "agreement": 0.4,
    }
    examples = {(example["what"], example["reason"]): example for example in found["examples"]}
    german = examples["only_theirs", "curate: not_english"]
    assert german["ours"]["source_id"] == "2"
    assert german["ours"]["detail"].startswith("description: 9 words, de ")
    assert german["theirs"]["text"].startswith("Ein Hund")
    assert examples["only_ours", None]["ours"]["text"] == "The old church in the middle of our town"
    assert examples["only_ours", None]["theirs"] == {}
    assert examples["only_theirs", "no row of ours"]["theirs"]["text"] == "A photograph that we never saw"
    said = diff.render(found)
    assert "40.00 %" in said
    assert "yfcc100m/2: B has it, A does not: curate: not_english" in said
    orjson.dumps(found)


def test_a_file_that_agrees_is_equal(yfcc: str, tmp_path: Path) -> None:
    kept = {1: _PHOTOS[1][1], 4: _PHOTOS[4][0], 5: _PHOTOS[5][0]}
    assert diff.diff(yfcc, write(tmp_path / "x.jsonl", [row(*item) for item in kept.items()]))["equal"]


@pytest.mark.parametrize(
    "where",
    [
        {"meta": json.dumps({"photoid": "4"})},
        {"meta": {"photoid": 4}},
        {"meta": json.dumps({"downloadurl": download_url(4)})},
        {"meta": json.dumps({"pageurl": "http://www.flickr.com/photos/39089491@N00/4/"})},
        {"meta": json.dumps({"pageurl": "https://flic.kr/p/5"})},
        {"meta": "{}", "image_url": "https://www.flickr.com/photos/somebody/4/in/album-7/"},
        {"meta": "{}", "image_url": "https://live.staticflickr.com/2/4_fedcba98_b.jpg"},
        {"meta": "{}", "image_url": multimedia_commons.mirrors(download_url(4), None)[0]},
        {
            "meta": "{}",
            "image_url": multimedia_commons.mirrors(download_url(4), None)[-1].replace("s3-us-west-2", "s3.us-west-2"),
        },
    ],
)
def test_a_photograph_is_found_by_what_the_row_tells(yfcc: str, tmp_path: Path, where: dict[str, Any]) -> None:
    found = diff.diff(yfcc, write(tmp_path / "x.jsonl", [row(4, _PHOTOS[4][0], **where)]))
    assert (found["sources"][0]["same_text"], found["unidentified"]) == (1, 0)


def test_lines_that_cannot_be_compared_are_counted_and_shown(yfcc: str, tmp_path: Path) -> None:
    rows = [
        *THEIRS[:1],
        "{",
        {"image_url": None, "source": "yfcc100m"},
        row(4, "text", texts="no list"),
        row(4, "text", meta="{}"),
        {"source": "google/wit", "text": "a caption", "image_url": "http://one.example/1.jpg"},
    ]
    found = diff.diff(yfcc, write(tmp_path / "x.jsonl", rows), limit=9)
    assert (found["rows"], found["unreadable"], found["unidentified"]) == (6, 3, 1)
    assert found["not_curated"] == {"google/wit": 1}
    assert [line.split(": ", 1)[1] for line in found["first"]] == [
        "not JSON: unexpected end of data at character 1",
        "text: missing",
        'texts: expected a list, found "no list"',
        "neither image_url nor meta tells the image",
    ]
    said = diff.render(found)
    assert "Experimental: the form of facebook/pmd's annotation files is known from code that reads them alone." in said
    assert "3 lines of B cannot be read as rows." in said
    assert "1 row of B does not tell its image." in said
    more = diff.render({**found, "unreadable": 1, "unidentified": 2})
    assert "1 line of B cannot be read as a row." in more
    assert "2 rows of B do not tell their image." in more
    assert "1 row of B is of google/wit, which A has not curated." in said


def test_another_source_of_facebook_pmd(built: config.Config, tmp_path: Path) -> None:
    rows = [
        {"image_url": tiny_root.C1, "text": "a red square", "source": "conceptual_captions", "meta": "{}"},
        {"image_url": tiny_root.C2, "text": "another text", "source": "conceptual_captions", "meta": None},
        {"image_url": "nowhere", "text": "no url at all", "source": "conceptual_captions"},
    ]
    found = diff.diff(built.root, write(tmp_path / "cc3m.jsonl", rows))
    (line,) = found["sources"]
    assert (line["source"], line["both"], line["same_text"], line["other_text"]) == ("conceptual_captions", 2, 1, 1)
    assert (line["only_ours"], found["unidentified"]) == (3, 1)


def test_a_foreign_file_is_refused(yfcc: str, tmp_path: Path) -> None:
    narrative = {"dataset_id": "mscoco_val2017", "image_id": "1", "annotator_id": 1, "caption": "A dog."}
    with pytest.raises(InputError) as caught:
        diff.diff(yfcc, write(tmp_path / "ln.jsonl", [narrative]))
    assert "not an annotation file of facebook/pmd" in str(caught.value)
    assert 'expected: {"image_url": …' in str(caught.value)
    with pytest.raises(InputError, match="nothing in it is of a source that this ROOT has"):
        diff.diff(yfcc, write(tmp_path / "x.jsonl", [{"source": "coco", "text": "x", "image_url": "http://e.org/1"}]))


def test_reading_stops_at_nothing_that_a_line_may_hold() -> None:
    with pytest.raises(ValueError, match="row: expected an object, found a list"):
        hub_files.parse([])
    assert hub_files.parse({"source": "coco", "text": "x"}) == hub_files.Row("coco", "x", None, None)


def test_the_command_ends_with_its_exit_code(built: config.Config, other: str) -> None:
    runner = CliRunner()
    same = runner.invoke(cli.app, ["diff", built.root, built.root])
    assert same.exit_code == 0
    differs = runner.invoke(cli.app, ["diff", built.root, other, "--json", "--limit", "1"])
    assert differs.exit_code == DIFFERENT
    assert json.loads(differs.stdout)["kind"] == "roots"


def test_hashes_are_compared_where_both_have_them(
    built: config.Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(built.root, tmp_path / "pmd")
    chosen = dataclasses.replace(built, root=str(tmp_path / "pmd"))
    for shard in state.shards(chosen.root):
        for _, folder, commit in state.generations(chosen.root, shard):
            facts = {name: value for name, value in commit.facts.items() if name != state.HASH}
            older = commits.to_json(dataclasses.replace(commit, facts=facts))
            Path(folder, commits.STAGE_FILE).write_bytes(older)
    assert diff.diff(built.root, chosen.root)["images"]["changed"] == []
    monkeypatch.setattr(codec, "hash_of", lambda *_: b"\1" * 32)
    tiny_root.hash_stored(chosen)
    found = diff.diff(built.root, chosen.root)
    assert found["images"]["changed"] == [{"what": "perceptual_hash", "images": 4}]
    assert "other perceptual hash" in diff.render(found)


def test_a_line_that_is_too_long_is_counted_and_the_others_keep_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 200_000)
    monkeypatch.setattr(lines, "_PIECE_BYTES", 50_000)
    said = ["a cat", "x" * 300_000, "a dog"]
    rows = [
        json.dumps({"image_url": f"http://a.example/{n}.jpg", "text": text, "source": "x"})
        for n, text in enumerate(said)
    ]
    path = tmp_path / "theirs.jsonl"
    path.write_text("\n".join(rows) + "\n")
    found = hub_files.Read()
    read = [line for batch in hub_files.read(str(path), {"x": "coco"}, found, 5) for line in batch["line"].to_pylist()]
    assert (read, found.rows, found.unreadable) == ([0, 2], 3, 1)
    assert found.first == [f"{path}:byte {len(rows[0]) + 1}: a line of {len(rows[1])} bytes, over 200000"]
    assert hub_files.read_back(str(path), {2}) == {2: {"text": "a dog", "image_url": "http://a.example/2.jpg"}}
