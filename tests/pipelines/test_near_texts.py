"""Near-duplicate captions through the pipelines: groups are committed, the cap is a group's, and all later stages agree."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines import dedupe
from pmd.config import Config
from pmd.config.engine import Engine
from pmd.dedupe import captions, needs
from pmd.dedupe import rules as dedupe_rules
from pmd.inspection import diff, explain, verify
from pmd.schema import keys
from pmd.store import commits, parquet_files, root, storage
from tests import tiny_root
from tests.pipelines import building, test_coders, test_twice

SIGNED = "Photo taken by {} on assignment for the Daily Planet, all rights reserved, please do not use it"
#: Three texts that are nearly one, of which C2's stands on C1, whose bytes it has: on two images in the end.
CAPTIONS = {tiny_root.C1: "Anna", tiny_root.C2: "Emma", tiny_root.C5: "Otto"}
LINES = [(SIGNED.format(CAPTIONS[url]) if url in CAPTIONS else text, url) for text, url in tiny_root._CC3M]
FORMS = {url: SIGNED.format(name).lower().replace(",", "") for url, name in CAPTIONS.items()}
SOURCE = "conceptual_captions"


def with_options(chosen: Config, near: float | None, action: str = "report", most: int | None = None) -> Config:
    update = {"near_texts": near, "near_texts_action": action, "max_images_per_text": most}
    return dataclasses.replace(chosen, dedupe=chosen.dedupe.model_copy(update=update))


def build(folder: Path, lines: list[tuple[str, str]]) -> Config:
    with building.small() as patch:
        patch.setattr(tiny_root, "_CC3M", lines)
        chosen = with_options(building.world(folder), 0.8, "cap", 1)
        building.run(chosen)
    return chosen


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return build(tmp_path_factory.mktemp("near_texts"), LINES)


def again(chosen: Config) -> None:
    with root.writer(chosen.root, "test"):
        dedupe.build(chosen)


@pytest.fixture
def rebuilt(built: Config, request: pytest.FixtureRequest) -> Callable[..., Config]:
    """Redo dedupe under other options, and put it back at the end."""

    def redo(*given: Any) -> Config:
        request.addfinalizer(lambda: again(built))
        chosen = with_options(built, *given)
        again(chosen)
        return chosen

    return redo


def grouped(chosen: Config) -> list[dict[str, Any]]:
    return list(dedupe_rules.read_near_texts(chosen.root).to_pylist())


def pairs(chosen: Config) -> dict[bytes, str]:
    """Return each pair's URL, of those whose text is one of the three."""
    table = pq.read_table(f"{chosen.root}/curate/source={SOURCE}/pairs", columns=["pair_id", "image_url"])
    rows = zip(table["pair_id"].to_pylist(), table["image_url"].to_pylist(), strict=True)
    return {pair_id: url for pair_id, url in rows if url in CAPTIONS}


def test_the_groups_are_committed(built: Config) -> None:
    found = {row["form"]: row for row in grouped(built)}
    assert {*found} == {*FORMS.values()}
    leader = min(row["text_id"] for row in found.values())
    for form, row in found.items():
        assert row["text_id"] == keys.digest(form) == captions.text_ids(pa.array([form]))[0].as_py()
        assert (row["group_id"], row["images"], row["pairs"]) == (leader, 1, 1)
        assert row["jaccard"] == 1 if row["text_id"] == leader else 0.8 <= row["jaccard"] < 1
    names = [file.name for file in commits.require(root.dedupe_folder(built.root), "").under("near_texts")]
    assert names
    assert all(name.endswith(".parquet") for name in names)


def test_the_images_of_a_group_are_counted_once_merged(built: Config) -> None:
    """One of two images keeps the texts of the group, with all its pairs; the other's leave."""
    gone = {row["pair_id"]: row for row in building.rejected_by_dedupe(built)}
    assert {(row["reason"], row["detail"]) for row in gone.values()} == {
        ("near_text", "its text and those nearly the same stand on 2 images")
    }
    urls = {url for pair_id, url in pairs(built).items() if pair_id in gone}
    assert urls in ({tiny_root.C1, tiny_root.C2}, {tiny_root.C5})
    assert {*gone} == {pair_id for pair_id, url in pairs(built).items() if url in urls}
    books = commits.require(root.dedupe_folder(built.root), "").sources
    assert books[SOURCE].rejected == {"near_text": len(gone)}
    assert books["coco"].rejected == books["visual_genome"].rejected == {}


def test_all_stages_agree(built: Config) -> None:
    assert verify.verify(built.root)["problems"] == []
    kept = commits.require(root.dedupe_folder(built.root), "").sources[SOURCE].kept
    published = commits.require(root.publish_folder(built.root, SOURCE), "").sources
    assert published[SOURCE].kept == kept
    audit = orjson.loads((Path(built.root) / "audit/audit.json").read_bytes())
    assert audit["sources"][SOURCE]["dedupe"]["pairs"] == kept


def test_a_pair_tells_its_group(built: Config) -> None:
    leader = min(grouped(built), key=lambda row: bytes(row["text_id"]))["form"]
    for pair_id, url in pairs(built).items():
        told = explain.render(explain.explain(built.root, pair_id.hex()))
        is_gone = pair_id in {row["pair_id"] for row in building.rejected_by_dedupe(built)}
        assert ("rejected by dedupe: near_text; detail: its text and those nearly the same" in told) == is_gone
        if FORMS[url] == leader:
            assert f"near-duplicate texts: leads group {keys.digest(leader).hex()}; its form stands on 1 image" in told
        else:
            assert f"of “{leader}”; its form stands on 1 image" in told
    (other,) = explain.explain(built.root, "coco/12345")["pairs"]
    assert other["near_text"] is None


def test_the_order_of_input_changes_nothing(built: Config, tmp_path: Path) -> None:
    other = build(tmp_path, LINES[::-1])
    assert building.committed(other.root)["dedupe"]["files"] == building.committed(built.root)["dedupe"]["files"]


STEPS = {"SpreadOccurrences", "SpreadBands", "Propose", "Ask", "Verify", "ElectTexts", "GroupTexts", "FindRepeated"}


@pytest.mark.parametrize("around", [test_twice.Twice, test_twice.KilledThenAgain])
def test_workers_that_are_doubled_or_killed_change_nothing(built: Config, around: Callable[[], Any]) -> None:
    before = building.committed(built.root)["dedupe"]
    with building.small(), test_twice.workers(around()) as ran:
        again(built)
    assert ran >= STEPS
    assert building.committed(built.root)["dedupe"] == before
    assert building.unlisted(built.root) == []


def test_rows_that_cross_the_engines_shuffle_change_nothing(
    built: Config, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Neither those of near-duplicate captions, nor where equal bytes are kept and evaluation images leave."""
    request.addfinalizer(lambda: again(built))
    (tmp_path / "list").write_text(f"sha256:{'ab' * 32} a photograph that nobody has\n", encoding="utf-8")
    asked = built.dedupe.model_copy(update={"same_bytes": "keep", "evaluation": (str(tmp_path / "list"),)})
    found, ran = [], []
    for shuffle in ("files", "engine"):
        engine = Engine.model_validate({"shuffle": shuffle})
        storage.remove_tree(root.dedupe_folder(built.root))
        with building.small(), test_twice.workers(lambda run: run()) as names:
            again(dataclasses.replace(built, dedupe=asked, engine=engine))
        found.append(building.committed(built.root)["dedupe"])
        ran.append({*names})
    assert found[0] == found[1]
    assert ran[0] >= {*STEPS, "FindLeaving", "FindEqual"}
    assert ran[1] == ran[0] - test_twice.WRITE_RUNS | test_twice.SHUFFLE


def test_no_element_is_pickled(built: Config) -> None:
    with building.captured() as protos:
        again(built)
    assert "GroupTexts" in str(protos["dedupe"]) or "Group texts" in str(protos["dedupe"])
    assert test_coders.pickled(protos["dedupe"]) == []


def test_reported_only(built: Config, rebuilt: Callable[..., Config]) -> None:
    before = grouped(built)
    assert before
    for most in (None, 1):  # no text alone stands on two images
        rebuilt(0.8, "report", most)
        assert building.rejected_by_dedupe(built) == []
        assert grouped(built) == before


def test_a_higher_cap_or_threshold_keeps_all(built: Config, rebuilt: Callable[..., Config]) -> None:
    rebuilt(0.8, "cap", 2)
    assert building.rejected_by_dedupe(built) == []
    rebuilt(0.95, "cap", 1)
    assert building.rejected_by_dedupe(built) == grouped(built) == []


def test_without_the_option_there_is_no_trace(built: Config, rebuilt: Callable[..., Config], tmp_path: Path) -> None:
    plain = rebuilt(None)
    commit = commits.require(root.dedupe_folder(built.root), "")
    assert not [file for file in commit.files if "near_texts" in file.name]
    assert grouped(built) == []
    assert not {"near_texts", "near_texts_action"} & {*commit.run["options"]}
    assert needs.wanted(plain)[0].why() is None
    assert "option near_texts is new" in (needs.wanted(with_options(built, 0.8))[0].why() or "")


def test_two_roots_tell_whose_texts_are_grouped(built: Config, tmp_path: Path) -> None:
    with building.small() as patch:
        patch.setattr(tiny_root, "_CC3M", LINES)
        other = with_options(building.world(tmp_path), None)
        building.run(other)
    found = diff.diff(built.root, other.root)
    assert found["near_texts"] == [{"from": "in a group", "to": "alone", "texts": 3}]
    assert diff.diff(other.root, built.root)["near_texts"] == [{"from": "alone", "to": "in a group", "texts": 3}]
    assert not found["equal"]
    assert "Texts whose group of near-duplicates differs" in diff.render(found)
    assert {(line["from"], line["to"]) for line in found["moved"]} == {("dedupe: near_text", "kept")}
    assert diff.diff(built.root, built.root)["near_texts"] == []


def told_of(built: Config, folder: Path, change: Callable[[pa.Table], pa.Table]) -> set[str]:
    """Return what verify tells of a copy in which all groups stand in one file that was changed, and committed so."""
    shutil.copytree(built.root, folder / "pmd")
    home = root.dedupe_folder(str(folder / "pmd"))
    table = change(dedupe_rules.read_near_texts(built.root).sort_by("text_id"))
    for path in Path(home).glob("near_texts/*.parquet"):
        path.unlink()
    file = parquet_files.put_table(home, "near_texts/part-00000-of-00001", table)
    stage = Path(home) / commits.STAGE_FILE
    content = orjson.loads(stage.read_bytes())
    content["files"] = [file for file in content["files"] if "near_texts" not in file["name"]]
    content["files"].append(dataclasses.asdict(file))
    content["run"].pop("digest", None)  # as if it had been written so
    stage.write_bytes(orjson.dumps(content))
    return {problem["what"] for problem in verify.verify(str(folder / "pmd"))["problems"]}


def _with(name: str, values: Callable[[pa.Table], Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        return table.set_column(at, table.schema.field(at), pa.chunked_array([values(table)]))

    return change


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda table: table.slice(1), "a text whose group's first is not there"),
        (lambda table: table.slice(0, 1), "a text that leads no other"),
        (lambda table: pa.concat_tables([table, table.slice(2)]), "row stands twice"),
        (lambda table: table.take([1, 0, 2]), "rows out of order"),
        (_with("jaccard", lambda table: pc.multiply(table["jaccard"], 0.5).combine_chunks()), "jaccard"),
        (_with("form", lambda table: pc.utf8_upper(table["form"]).combine_chunks().take([1, 2, 0])), "text_id"),
        (lambda table: table.drop_columns(["images"]), "columns"),
    ],
)
def test_groups_that_are_none_are_told(
    built: Config, tmp_path: Path, change: Callable[[pa.Table], pa.Table], what: str
) -> None:
    assert what not in told_of(built, tmp_path / "sound", lambda table: table)
    assert what in told_of(built, tmp_path / "changed", change)
