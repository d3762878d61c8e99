"""`pmd repair`: what is damaged is made or fetched anew, just that; verify passes, and a build has nothing left to do."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

import pmd.fetch.transforms
from pipelines import build, repair
from pmd import cli, config
from pmd.config import Config
from pmd.errors import ConfigError, PmdError, VerificationError
from pmd.fetch.ledger import state
from pmd.fetch.lists import reference_lists
from pmd.fetch.outcome import Fetched
from pmd.inspection import explain, verify
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.store import commits, root, sealed
from pmd.text import url_identity
from tests import tiny_root
from tests.pipelines import building

GREEN = keys.image_id(str(url_identity.of_one(tiny_root.COCO_URL)))
BLUE = keys.image_id(str(url_identity.of_one(tiny_root.VG_URL)))


class CheckingLane(building.FakeLane):
    """Holds pictures against what is listed, as the engine does, and notes what is asked for."""

    asked: list[bytes] = []  # noqa: RUF012  one list for all lanes of a test
    web: dict[bytes, bytes] | None = None

    def fetch(
        self, todo: Any, *, generation: int, listed: reference_lists.Listed = reference_lists.NO_LISTS, **_: Any
    ) -> Iterator[Any]:
        if self.web is not None:
            self._found = self.web
        places = dict(zip(*(todo[name].to_pylist() for name in ("image_id", "locations")), strict=True))
        for first in super().fetch(todo, generation=generation):
            tried = (place["url"] for place in places[first.image_id])
            fetched = first if first.status == OK else dataclasses.replace(first, tried=tuple(sorted(tried)))
            self.asked.append(fetched.image_id)
            known = listed.get(fetched.image_id, ())
            if (
                fetched.sha256 is not None
                and reference_lists.compare(known, fetched.sha256, None).mark == reference_lists.STATUS
            ):
                last = fetched.attempts[-1]
                tried = (place["url"] for place in places[first.image_id])
                yield Fetched(
                    fetched.image_id, reference_lists.STATUS, last.location, tuple(sorted(tried)), fetched.attempts
                )
            else:
                yield fetched


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole ROOT, with its configuration."""
    folder = tmp_path_factory.mktemp("sound")
    path = Path(tiny_root.write_config(folder))
    path.write_text(path.read_text() + '[fetch]\nstore = "original"\n')
    with building.small() as patch:
        patch.setattr(pmd.fetch.transforms, "Lane", CheckingLane)
        building.run(config.load(str(path)))
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A ROOT to damage; its configuration names the annotation files of the other, and it."""
    shutil.copytree(sound / "pmd", tmp_path / "pmd")
    text = (sound / "pmd.toml").read_text().replace(f'root = "{sound}', f'root = "{tmp_path}')
    (tmp_path / "pmd.toml").write_text(text)
    with building.small() as patch:
        patch.setattr(pmd.fetch.transforms, "Lane", CheckingLane)
        patch.setattr(CheckingLane, "asked", [])
        patch.setattr(CheckingLane, "web", tiny_root._web())
        yield tmp_path


def flip(path: Path, at: int | None = None) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)
    sealed.forget()


def one(copy: Path, pattern: str) -> Path:
    return sorted((copy / "pmd").glob(pattern))[0]


def run(copy: Path) -> repair.Repaired:
    with root.writer(str(copy / "pmd"), "test", str(copy / "pmd.toml")):
        return repair.repair(str(copy / "pmd"), str(copy / "pmd.toml"))


def mend(copy: Path) -> repair.Repaired:
    done = run(copy)
    found = verify.verify(str(copy / "pmd"))
    assert found["problems"] == []
    assert [step for step in build.explain(loaded(copy)) if step.why is not None] == []
    assert not done.left
    return done


def loaded(copy: Path) -> Config:
    return config.load(str(copy / "pmd.toml"))


def contents(copy: Path) -> dict[str, bytes]:
    """Return every file but the commits, which tell when they were made, and the register of their versions."""
    folder = copy / "pmd"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"_stage.json", "register"} and not path.name.startswith("writer.")
    }


def committed(copy: Path) -> dict[str, Any]:
    found = building.committed(str(copy / "pmd"))
    for folder, content in found.items():
        content.pop("digest", None)
        assert content, folder
    return found


#: Files of every unit that a stage can make again: damaged together, so that the pipelines run once.
MADE = (
    "curate/source=coco/pairs/*.parquet",
    "curate/source=conceptual_captions/rejected/*.parquet",
    "images/*.parquet",
    "fetch/rejected/*.parquet",
    "fetch/availability/*.parquet",
    "shards/webdataset/*.tar",
    "shards/parquet/*.parquet",
    "shards/webdataset/sizes.json",
    "publish/source=coco/*.parquet",
    "audit/audit.json",
)


def test_what_stages_have_made_is_made_anew_with_the_same_bytes(copy: Path) -> None:
    before, books = contents(copy), committed(copy)
    damaged = [one(copy, pattern) for pattern in MADE]
    for path in damaged:
        flip(path)
    gone, short = one(copy, "curate/source=visual_genome/pairs/*.parquet"), one(copy, "views/pairs/*.parquet")
    gone.unlink()
    short.write_bytes(short.read_bytes()[:100])
    cut = copy / "pmd/dedupe/_stage.json"
    cut.write_bytes(cut.read_bytes()[:-9])
    done = mend(copy)
    assert [item.name for item in done.damaged] == sorted(
        str(path.relative_to(copy / "pmd")) for path in (*damaged, gone, short, cut)
    )
    assert [(stage, unit) for stage, unit, _ in done.ran] == [
        ("curate", "coco"),
        ("curate", "conceptual_captions"),
        ("curate", "visual_genome"),
        ("images", "all"),
        ("fetch", "all"),
        ("dedupe", "all"),
        ("shard", "all"),
        ("publish", "coco"),
        ("audit", "all"),
    ]
    assert contents(copy) == before
    assert committed(copy) == books
    assert CheckingLane.asked == []


@pytest.mark.parametrize("content", [b"", b"[1]", None], ids=["empty", "foreign", "changed"])
def test_the_commit_of_a_source_is_made_anew(copy: Path, content: bytes | None) -> None:
    before, books = contents(copy), committed(copy)
    cut = [copy / "pmd" / name / "source=coco/_stage.json" for name in ("curate", "publish")]
    for path in cut:
        path.write_bytes(path.read_bytes().replace(b'"kept"', b'"kepd"', 1) if content is None else content)
    done = mend(copy)
    assert [item.name for item in done.damaged] == [str(path.relative_to(copy / "pmd")) for path in cut]
    assert [(stage, unit) for stage, unit, _ in done.ran] == [("curate", "coco"), ("publish", "coco")]
    assert contents(copy) == before
    assert committed(copy) == books


@pytest.mark.parametrize(
    ("one_of", "other_of", "said"),
    [
        ("curate/source=coco", "curate/source=visual_genome", "that of curate/source=visual_genome"),
        ("fetch/ledger/shard=*", "fetch/ledger/shard=*", "that of fetch/ledger/shard=0000"),
    ],
)
def test_a_commit_that_stands_in_another_folder_takes_nothing_along(
    copy: Path, one_of: str, other_of: str, said: str
) -> None:
    """As where files are put back from a copy, into the wrong folders: each is whole, and lists what is not here."""
    before = building.committed(str(copy / "pmd"))
    first, last = (sorted((copy / "pmd").glob(f"{of}/**/_stage.json")) for of in (one_of, other_of))
    content = first[0].read_bytes(), last[-1].read_bytes()
    assert content[0] != content[1]
    first[0].write_bytes(content[1])
    last[-1].write_bytes(content[0])
    with pytest.raises(VerificationError, match="the commit is of another folder") as told:
        commits.read(str(first[0].parent))
    assert str(told.value.found).startswith(said)
    problems = verify.verify(str(copy / "pmd"))["problems"]
    place = first[0].relative_to(copy / "pmd")
    assert {"place": str(place), "what": "the commit is damaged"}.items() <= next(
        problem.items() for problem in problems if problem["what"] == "the commit is damaged"
    )
    done = mend(copy)
    assert {item.name for item in done.damaged} >= {str(place)}
    assert CheckingLane.asked == []
    assert building.committed(str(copy / "pmd")) == before


def test_nothing_is_done_where_nothing_is_damaged(copy: Path) -> None:
    before = contents(copy)
    done = repair.repair(str(copy / "pmd"), None)
    assert done == repair.Repaired()
    assert repair.render(done) == "nothing is damaged"
    assert contents(copy) == before


def test_without_a_configuration_it_is_asked_for(copy: Path) -> None:
    flip(one(copy, "images/*.parquet"))
    with pytest.raises(ConfigError) as caught:
        repair.repair(str(copy / "pmd"), None)
    assert str(caught.value) == (
        f"{copy}/pmd: no configuration to repair by\n"
        "  expected: the configuration that ROOT was built with\n"
        "  found: none that ROOT names\n"
        "  remedy: run: pmd repair ROOT --config CONFIG"
    )


def test_the_configuration_of_the_last_run_is_taken(copy: Path) -> None:
    assert repair.last_configuration(str(copy / "pmd")) is None
    with root.writer(str(copy / "pmd"), "test", str(copy / "pmd.toml")):
        pass
    assert repair.last_configuration(str(copy / "pmd")) == str(copy / "pmd.toml")


def test_a_damaged_root_json_is_written_anew(copy: Path) -> None:
    before = contents(copy)
    path = copy / "pmd/root.json"
    path.write_bytes(path.read_bytes().replace(b'"fetch_shard_bits":2', b'"fetch_shard_bits":3'))
    with pytest.raises(VerificationError, match=r"root.json: damaged"):
        root.require(str(copy / "pmd"))
    assert mend(copy).ran == (("root", "all", "damaged"),)
    assert contents(copy) == before


def test_the_root_json_of_another_root_cuts_no_images_anew(copy: Path) -> None:
    """It is whole, and says another cut: by that, every image would be asked for once more."""
    before, asked = contents(copy), len(CheckingLane.asked)
    (copy / "pmd/root.json").unlink()
    root.create(str(copy / "pmd"), 5)
    (copy / "pmd/images/_stage.json").unlink()
    with (
        root.writer(str(copy / "pmd"), "test"),
        pytest.raises(VerificationError, match=r"root.json: says another cut of the fetch than the images"),
    ):
        build.build(loaded(copy))
    assert ("root", "all", "damaged") in mend(copy).ran
    with root.writer(str(copy / "pmd"), "test"):
        build.build(loaded(copy))
    assert contents(copy) == before
    assert len(CheckingLane.asked) == asked


def test_a_root_json_that_is_gone_is_written_anew_by_whoever_writes(copy: Path) -> None:
    before = contents(copy)
    (copy / "pmd/root.json").unlink()
    (told,) = verify.verify(str(copy / "pmd"))["problems"]
    assert (told["place"], told["found"]) == ("root.json", "nothing")
    assert mend(copy).ran == ()
    assert contents(copy) == before


@pytest.mark.parametrize("damaged", ["_stage.json", "pairs/*.parquet"])
def test_where_the_annotation_file_is_gone_nothing_is_removed_for_the_repair(copy: Path, damaged: str) -> None:
    """What is left of its pairs is all that there is: without the commit the next runs would take it for left over."""
    flip(one(copy, f"curate/source=conceptual_captions/{damaged}"))
    before = {path: path.read_bytes() for path in (copy / "pmd/curate").rglob("*") if path.is_file()}
    text = (copy / "pmd.toml").read_text()
    (copy / "pmd.toml").write_text(text.replace("GCC-training.tsv", "moved.tsv"))
    for _ in range(2):
        with pytest.raises(PmdError, match=r"moved\.tsv"):
            run(copy)
        assert {path: path.read_bytes() for path in before if path.exists()} == before
    (copy / "pmd.toml").write_text(text)
    mend(copy)


@pytest.mark.parametrize("name", ["views", "images"])
def test_half_of_the_commits_of_images_is_made_anew_by_a_build(copy: Path, name: str) -> None:
    before = contents(copy)
    (copy / "pmd" / name / "_stage.json").unlink()
    with root.writer(str(copy / "pmd"), "test"):
        steps: list[build.Step] = []
        build.build(loaded(copy), report=steps.append)
    assert [(step.stage, step.why) for step in steps if step.seconds is not None] == [
        ("images", f"the commit of {name} is gone")
    ]
    assert contents(copy) == before
    assert CheckingLane.asked == []


def test_a_generation_that_is_gone_is_told_before_it_is_forgotten(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        with root.writer(str(copy / "pmd"), "test"):
            assert caplog.messages == []
    lost = one(copy, "fetch/ledger/*/*/_stage.json")
    lost.unlink()
    with root.writer(str(copy / "pmd"), "test"):
        (told,) = caplog.messages
        assert told.startswith(f"{lost}: gone, with 0 other commits of the fetch")
    with root.writer(str(copy / "pmd"), "test"):
        assert len(caplog.messages) == 1


def test_where_only_the_fetch_tells_how_it_is_cut_a_build_goes_by_it(copy: Path) -> None:
    before, asked = contents(copy), len(CheckingLane.asked)
    for name in ("root.json", "images/_stage.json", "views/_stage.json"):
        (copy / "pmd" / name).unlink()
    with root.writer(str(copy / "pmd"), "test"):
        build.build(loaded(copy))
    assert contents(copy) == before
    assert len(CheckingLane.asked) == asked


@pytest.mark.parametrize("way", ["gone", "empty"])
def test_where_only_the_fetch_tells_how_it_is_cut_a_repair_goes_by_it(copy: Path, way: str) -> None:
    before, asked = contents(copy), len(CheckingLane.asked)
    for name in ("images/_stage.json", "views/_stage.json"):
        (copy / "pmd" / name).unlink()
    file = copy / "pmd/root.json"
    file.unlink() if way == "gone" else file.write_bytes(b"")
    assert run(copy).ran == (("root", "all", "damaged"), ("images", "all", "damaged: made anew"))
    assert contents(copy) == before
    assert len(CheckingLane.asked) == asked


def test_a_root_json_that_nothing_but_the_fetch_tells_is_missed_by_verify(copy: Path) -> None:
    for name in ("root.json", "images/_stage.json", "views/_stage.json"):
        (copy / "pmd" / name).unlink()
    told = {problem["place"] for problem in verify.verify(str(copy / "pmd"))["problems"]}
    assert "root.json" in told


def test_what_is_damaged_of_the_release_is_written_anew(copy: Path) -> None:
    before = contents(copy)
    names = ["SHA256SUMS", "build.json", "find.html", "find/0.js", "croissant.json"]
    (listed,) = (copy / "pmd/release/source=coco").iterdir()
    for path in (*(copy / "pmd/release" / name for name in names), listed):
        flip(path, 100)
    (copy / "pmd/release/README.md").unlink()
    assert [stage for stage, _, _ in mend(copy).ran] == ["release"]
    assert contents(copy) == before


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.97, 1.0])
def test_checksums_of_a_release_that_are_cut_short_are_written_anew(copy: Path, kept: float) -> None:
    before, path = contents(copy), copy / "pmd/release/SHA256SUMS"
    content = path.read_bytes()
    ends = [0, *(place + 1 for place, sign in enumerate(content) if sign == ord("\n"))]
    for size in (int(kept * len(content)) - 1, ends[int(kept * (len(ends) - 2))]):  # within a line, and behind one
        path.write_bytes(content[: max(size, 0)])
        assert [stage for stage, _, _ in mend(copy).ran] == ["release"]
        assert contents(copy) == before


# What came from the web


def test_damage_comes_back_from_a_worker_as_itself_and_nothing_is_committed(copy: Path) -> None:
    path, row = store_of(copy, GREEN)
    shutil.rmtree(copy / "pmd/shards")
    flip(path, row["offset"])
    chosen = loaded(copy)
    with (
        pytest.raises(VerificationError, match="a stored picture is damaged") as caught,
        root.writer(chosen.root, "test"),
    ):
        build.build(chosen)
    assert GREEN.hex() in str(caught.value)
    assert not list((copy / "pmd/shards").rglob("_stage.json"))
    assert not list((copy / "pmd/shards").rglob("*.tar"))


def store_of(copy: Path, image_id: bytes) -> tuple[Path, dict[str, Any]]:
    where = str(copy / "pmd")
    ledger = state.read_ledger(where, keys.partition_of(image_id, building.SHARD_BITS))
    (row,) = [row for row in ledger.to_pylist() if row["image_id"] == image_id]
    return copy / "pmd" / row["store_file"], row


def statuses(copy: Path) -> Counter[str]:
    where = str(copy / "pmd")
    return Counter(
        row["status"] for shard in state.shards(where) for row in state.read_ledger(where, shard).to_pylist()
    )


def rows_of(copy: Path) -> list[dict[str, Any]]:
    """Return the ledger, but for what the lane of these tests does not tell."""
    where = str(copy / "pmd")
    untold = ["stored_width_px", "stored_height_px"]
    ledgers = (state.read_ledger(where, shard).drop_columns(untold) for shard in state.shards(where))
    return [row for ledger in ledgers for row in ledger.to_pylist()]


def later(before: dict[str, bytes], now: dict[str, bytes], folder: str) -> bool:
    """Return whether a folder's files hold the same, whatever their names."""
    return sorted(content for name, content in before.items() if name.startswith(folder)) == sorted(
        content for name, content in now.items() if name.startswith(folder)
    )


def test_a_tar_is_written_anew_from_the_ledger_where_its_pictures_are_sound(copy: Path) -> None:
    before, books = contents(copy), committed(copy)
    path, row = store_of(copy, GREEN)
    for at in (row["offset"] - 400, row["offset"] + row["length"] + 1, -3):  # a header, padding, the end
        flip(path, at)
    done = mend(copy)
    assert (done.ran, done.mended.tars, done.mended.lost) == ((), 1, 0)
    assert contents(copy) == before
    assert committed(copy) == books
    assert CheckingLane.asked == []


def test_a_picture_that_is_damaged_is_fetched_anew_and_no_other(copy: Path) -> None:
    before, then = contents(copy), statuses(copy)
    path, row = store_of(copy, GREEN)
    flip(path, row["offset"] + row["length"] // 2)
    done = mend(copy)
    assert CheckingLane.asked == [GREEN]
    assert (done.mended.lost, done.fetched) == (1, {"ok": 1})
    told = explain.render(explain.explain(str(copy / "pmd"), GREEN.hex()))
    assert "ledger, generation 0 (its picture was lost to damage): ok" in told
    assert "ledger, generation 1 (stands): ok" in told
    again, standing = store_of(copy, GREEN)
    assert (standing["generation"], standing["listed"]) == (1, None)
    assert again != path
    assert path.exists() == any(other.name.startswith(path.stem) for other in path.parent.iterdir())
    assert statuses(copy) == then
    now = contents(copy)
    for folder in ("curate", "images", "views", "fetch/rejected", "dedupe", "publish", "audit/audit.json"):
        assert later(before, now, folder), folder
    assert [Path(name).suffix for name in now if name.startswith("shards/webdataset")] != []
    assert later(
        {name: content for name, content in before.items() if name.endswith(".tar")},
        {name: content for name, content in now.items() if name.endswith(".tar")},
        "shards/webdataset",
    )


@pytest.mark.parametrize("size", [None, 700])
def test_a_tar_that_is_gone_or_cut_short_is_fetched_anew(copy: Path, size: int | None) -> None:
    then = statuses(copy)
    path, _ = store_of(copy, GREEN)
    if size is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:size])
    mend(copy)
    assert GREEN in CheckingLane.asked
    assert statuses(copy) == then


def test_a_picture_whose_link_is_dead_leaves_and_the_books_follow(copy: Path) -> None:
    path, row = store_of(copy, GREEN)
    flip(path, row["offset"])
    assert CheckingLane.web is not None
    del CheckingLane.web[GREEN]
    done = mend(copy)
    assert done.fetched == {"dead": 1}
    rejected = commits.require(root.fetch_rejected_folder(str(copy / "pmd")), "").sources["coco"].rejected
    assert rejected == {"dead": 2}
    assert "fetch all" in repair.render(done)


def test_a_picture_that_is_another_now_is_not_taken_for_the_one_that_was_lost(copy: Path) -> None:
    path, row = store_of(copy, GREEN)
    flip(path, row["offset"])
    assert CheckingLane.web is not None
    CheckingLane.web[GREEN] = tiny_root.picture((1, 2, 3), (80, 60))
    assert mend(copy).fetched == {"changed": 1}


def test_a_ledger_is_made_again_from_attempts_and_pictures(copy: Path) -> None:
    then = rows_of(copy)
    for path in (copy / "pmd").glob("fetch/ledger/*/*/ledger-*.parquet"):
        flip(path)
    done = mend(copy)
    assert CheckingLane.asked == []
    assert (done.mended.rebuilt, done.mended.lost) == (len(then), 0)
    assert rows_of(copy) == then


def test_a_ledger_without_attempts_is_asked_for_anew(copy: Path) -> None:
    then = building.outcomes(str(copy / "pmd"))
    for path in (copy / "pmd").glob("fetch/ledger/*/*/ledger-*.parquet"):
        flip(path)
    for path in (copy / "pmd").glob("fetch/attempts/*/*.parquet"):
        flip(path)
    done = mend(copy)
    assert {*CheckingLane.asked} >= {GREEN, BLUE}
    assert done.mended.attempts > 0
    assert building.outcomes(str(copy / "pmd")) == then


def test_attempts_that_are_damaged_are_lost_and_said_to_be(copy: Path) -> None:
    before = contents(copy)
    path = one(copy, "fetch/attempts/*/*.parquet")
    flip(path)
    done = mend(copy)
    assert done.mended.attempts > 0
    assert CheckingLane.asked == []
    assert not path.exists()
    notes = [note for note in verify.verify(str(copy / "pmd"))["notes"] if "lost to damage" in note["what"]]
    assert [note["found"] for note in notes] == [f"0 images, {done.mended.attempts} attempts"]
    assert later(before, contents(copy), "shards/webdataset/0")


def test_the_commit_of_a_generation_is_made_again_from_its_files(copy: Path) -> None:
    before, books = contents(copy), committed(copy)
    for path in (copy / "pmd").glob("fetch/ledger/*/*/_stage.json"):
        path.write_bytes(b"")
    assert mend(copy).ran == ()
    assert contents(copy) == before
    assert committed(copy) == books


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_it_goes_on_where_it_was_ended_before_anything_was_fetched(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, row = store_of(copy, GREEN)
    flip(path, row["offset"])
    monkeypatch.setattr(repair.fetch, "restore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(copy)
    monkeypatch.undo()
    done = run(copy)
    assert (done.damaged, done.fetched) == ((), {"ok": 1})
    assert verify.verify(str(copy / "pmd"))["problems"] == []


@pytest.mark.parametrize("beside", [None, "audit/audit.json"])
def test_it_goes_on_where_it_was_ended_after_a_damaged_commit_was_removed(
    copy: Path, monkeypatch: pytest.MonkeyPatch, beside: str | None
) -> None:
    before = contents(copy)
    (copy / "pmd/fetch/rejected/_stage.json").write_bytes(b"")
    if beside is not None:
        flip(copy / "pmd" / beside)
    monkeypatch.setattr(repair.fetch, "commit_rejected", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(copy)
    assert not (copy / "pmd/fetch/rejected/_stage.json").exists()
    monkeypatch.undo()
    assert ("fetch", "all") in {unit[:2] for unit in mend(copy).ran}
    now = contents(copy)
    assert {name for name in before if before[name] != now.get(name)} <= {beside, "audit/report.html"}


def test_what_follows_a_generation_whose_commit_was_unreadable_is_run_where_pictures_are_lost(copy: Path) -> None:
    shard = keys.partition_of(GREEN, building.SHARD_BITS)
    other = next(number for number in state.shards(str(copy / "pmd")) if number != shard)
    for path in (copy / f"pmd/fetch/ledger/shard={other:05d}").glob("*/_stage.json"):
        path.write_bytes(b"")
    path, row = store_of(copy, GREEN)
    flip(path, row["offset"])
    assert CheckingLane.web is not None
    del CheckingLane.web[GREEN]
    assert mend(copy).fetched == {"dead": 1}


def test_the_command_tells_what_it_did(copy: Path) -> None:
    path = one(copy, "publish/source=coco/*.parquet")
    flip(path)
    found = CliRunner().invoke(
        cli.app, ["repair", str(copy / "pmd"), "--config", str(copy / "pmd.toml"), "--json"], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    told = orjson.loads(found.stdout)
    assert [item["place"] for item in told["damaged"]] == [str(path.relative_to(copy / "pmd"))]
    assert [(ran["stage"], ran["unit"]) for ran in told["ran"]] == [("publish", "coco")]
    assert told["left"] == []
