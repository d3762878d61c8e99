"""A person or a host is named before the source is read that tells whose pictures are whose: no other source brings them back."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pipelines import build, takedown
from pmd import cli, flow
from pmd.config import Config
from pmd.curate import rules as curate_rules
from pmd.images import rules as images_rules
from pmd.inspection import explain, plan, verify
from pmd.schema import keys
from pmd.schema.tables import KEPT_OUT, PAIRS, REJECTED
from pmd.store import commits, leftovers, parquet_files, root, storage
from pmd.suppression import kept_out, lists, rows
from pmd.suppression.lists import Suppression
from pmd.takedown import prove, purge, receipts, requests
from tests.images.test_rules import ASKED, gather, pair
from tests.pipelines import building
from tests.takedown import world
from tests.takedown.test_takedown import Killed, applied

EVERYTHING = ("coco", "conceptual_captions", "sbu_captions")
COCO = keys.image_id("coco:77")
STAGES = (flow.CURATE.name, flow.IMAGES.name)


def of_sources(config: Config, names: Collection[str]) -> Config:
    return dataclasses.replace(config, sources={name: config.sources[name] for name in names})


def built(config: Config, *steps: Collection[str], only: Collection[str] = ()) -> None:
    """Build some sources, then more of them, and so on; only some stages, where that is asked for."""
    root.create(config.root, building.SHARD_BITS)
    for names in steps:
        for stage in only or (None,):
            with root.writer(config.root, "test"):
                build.build(of_sources(config, names), only=stage)


def asked(config: Config, *said: str) -> takedown.Applied:
    words = [requests.read_word(one, config.sources) for one in said]
    if words:
        requests.add(config.root, words, [], keeps_looks=False)
    return applied(config)


def left_out(where: str) -> set[tuple[str, bytes]]:
    """Return the sources and images of the pairs that `images` has taken down."""
    folder = root.views_folder(where)
    found = [
        row
        for file in commits.require(folder, "").under("rejected")
        for row in parquet_files.read_table(folder, file, ["source", "image_id", "reason", "detail"]).to_pylist()
    ]
    assert {(row["reason"], row["detail"]) for row in found} <= {("takedown", None)}
    return {(row["source"], row["image_id"]) for row in found}


def image_ids(where: str) -> set[bytes]:
    """Return the images of the pairs that stand."""
    folders = [root.curate_folder(where, name) for name in root.curated_sources(where)]
    return {
        image
        for folder in folders
        for file in commits.require(folder, "").under("pairs")
        for image in parquet_files.read_table(folder, file, ["image_id"])["image_id"].to_pylist()
    }


def proof(config: Config) -> Collection[prove.Left]:
    return [*prove.prove(config.root, lists.standing(config.root, config.suppression)).left]


def kept_files(where: str) -> list[Path]:
    return sorted(Path(where).glob(f"curate/*/{flow.KEPT_OUT}/*"))


def test_no_plan_counts_a_picture_that_is_kept_out(tmp_path: Path) -> None:
    config, first = world.write(tmp_path), of_sources(world.write(tmp_path), ["coco"])
    with world.small():
        built(config, ["coco"], only=("curate", "images", "fetch", "dedupe"))
        asked(first, world.PROFILE)
        built(config, EVERYTHING, only=("curate",))
        before = plan.plan(config)
        built(config, EVERYTHING, only=("images",))
        after = plan.plan(config)
    assert (before["images_basis"], after["images_basis"]) == ("counted", "committed")
    assert before["images"] == after["images"]


def test_no_plan_counts_rows_that_suppression_lists_will_drop(tmp_path: Path) -> None:
    config, first = world.write(tmp_path), of_sources(world.write(tmp_path), ["coco"])
    with world.small():
        built(config, ["coco"], only=("curate", "images", "fetch", "dedupe"))
        asked(first, world.PROFILE)
        before = plan.plan(config)
        built(config, EVERYTHING, only=("curate",))
        after = plan.plan(config)
    assert [one["basis"] for one in before["sources"]] == ["committed", "counted", "counted"]
    assert [one["pairs"] for one in before["sources"]] == [one["pairs"] for one in after["sources"]]


def test_no_plan_counts_what_rows_that_lists_will_drop_keep_out_elsewhere(tmp_path: Path) -> None:
    """The rows tell whose the pictures are, and other sources show them. A plan that reads all knows what images will do."""
    config, first = world.write(tmp_path), of_sources(world.write(tmp_path), ["coco"])
    with world.small():
        built(config, ["coco"], only=("curate", "images", "fetch", "dedupe"))
        asked(first, world.PROFILE)
        before = plan.plan(config)
        built(config, EVERYTHING, only=STAGES)
        after = plan.plan(config)
    assert left_out(config.root)
    assert (before["images_basis"], after["images_basis"]) == ("counted", "committed")
    assert (before["images"], before["taken"]) == (after["images"], after["taken"])


def test_whoever_else_shows_a_picture_of_a_person_who_was_named_before_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, first = world.write(tmp_path), of_sources(world.write(tmp_path), ["coco"])
    with world.small() as patch:
        built(config, ["coco"], only=("curate", "images", "fetch", "dedupe"))
        asked(first, world.PROFILE)
        assert proof(first) == []
        built(config, EVERYTHING, only=STAGES)
        # Of SBU's rows nothing stands; COCO's caption of one of the pictures does, and no later stage has it.
        assert left_out(config.root) == {("coco", COCO)}
        assert [line for line in caplog.messages if line.startswith("takedown: 1 pair is left out")]
        assert kept_files(config.root)
        assert b"flickr" not in b"".join(path.read_bytes() for path in kept_files(config.root))
        problems = verify.verify(config.root)["problems"]  # of the later stages, which are still to be run
        assert not [one for one in problems if one["place"].startswith(("curate", "images", "views"))]
        books = commits.require(root.views_folder(config.root), "").sources["coco"]
        assert (books.kept, books.rejected) == (0, {"takedown": 1})
        found = explain.explain(config.root, "coco:77")
        assert [row["reason"] for row in found["pairs"][0]["rejected"]] == ["takedown"]
        assert {left.what for left in proof(config)} == {"image"}

        def killed(how: purge.Purge, chosen: Config) -> Counter[str]:
            counted = purged(how, chosen)
            if not how.is_dry:
                raise Killed
            return counted

        purged = takedown._purged
        patch.setattr(takedown, "_purged", killed)
        with pytest.raises(Killed):
            asked(config)
        patch.setattr(takedown, "_purged", purged)
        done = asked(config)
        assert (done.removed["pairs"], done.removed["stored pictures"]) == (1, 1)
        assert [one.removed.get("pairs") for one in receipts.read(config.root)] == [None, 1]
        assert proof(config) == []
        assert kept_files(config.root) == []
        assert verify.verify(config.root)["problems"] == []
        after = world.files(config.root)
        built(config, EVERYTHING, only=STAGES)
        assert world.files(config.root) == after


def test_a_takedown_builds_no_more_than_stands(tmp_path: Path) -> None:
    config = world.write(tmp_path)
    with world.small():
        built(dataclasses.replace(config, sample=3), EVERYTHING, only=STAGES)
        done = asked(config, "http://host1.example/1.jpg")
    assert done.removed["pairs"] == 1
    assert commits.require(root.views_folder(config.root), "").run["options"]["sample"] == 3


def files_of(where: str) -> dict[str, bytes]:
    """Return the files of a ROOT but for those of its writer."""
    names = (name for name in storage.list_files(where) if not name.startswith("writer."))
    return {name: storage.read_bytes(storage.join(where, name)) for name in names}


def killed(*_: object) -> None:
    raise Killed


def test_an_apply_that_was_killed_says_when_it_is_run_again_what_was_met_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first has purged names nothing any more when the second looks: that is no slip of whoever asked."""
    config = world.write(tmp_path)
    kept = ("1 older version could not be deleted",)
    with world.small():
        built(config, EVERYTHING, only=("curate",))
        for said in ("http://host1.example/1.jpg", "http://nowhere.example/1.jpg"):
            requests.add(config.root, [requests.read_word(said)], [], keeps_looks=False)
        before = files_of(config.root)
        foretold = CliRunner().invoke(cli.app, ["takedown", "apply", f"{config.root}.toml", "--dry-run"]).output
        assert foretold.splitlines()[-4:-2] == ["requests that wait: 1, 2", "  pairs that would be removed: 1"]
        assert foretold.splitlines()[-2].startswith("named no pair that stood here when this began: 2;")
        assert foretold.endswith("nothing was changed; to carry it out: pmd takedown apply CONFIG\n")
        assert files_of(config.root) == before
        with monkeypatch.context() as patch:
            patch.setattr(leftovers, "remove", killed)
            with pytest.raises(Killed):
                applied(config)
        with monkeypatch.context() as patch:
            patch.setattr(takedown, "_without_older", lambda *_: (0, kept))
            done = applied(config)
    assert (done.requests, done.removed["pairs"], done.unmatched, done.left) == ((1, 2), 1, (2,), kept)
    (receipt,) = receipts.read(config.root)
    assert (receipt.requests, receipt.unmatched, receipt.is_kept) == ((1, 2), (2,), True)
    told = CliRunner().invoke(cli.app, ["takedown", "receipt", f"{config.root}.toml", "1"]).output
    assert "on that day the storage kept older versions of some files" in told.lower()


def test_the_same_is_left_out_in_whatever_order_sources_come(tmp_path: Path) -> None:
    """Given one list, which is another ROOT's here."""
    listed = tmp_path / "list.json"
    listed.write_bytes(lists.to_bytes(lists.new().with_values({"user": [f"flickr/{world.USER}"]})))
    orders = ((EVERYTHING,), (("coco",), EVERYTHING), (("sbu_captions",), ("coco", "sbu_captions"), EVERYTHING))
    found = []
    with world.small():
        for number, steps in enumerate(orders):
            config = world.write(tmp_path, f"pmd{number}", f'suppression = "{listed}"')
            built(config, *steps, only=STAGES)
            assert left_out(config.root) == {("coco", COCO)}
            assert kept_files(config.root)
            files = world.files(config.root)
            found.append({name: content for name, content in files.items() if not name.endswith(commits.STAGE_FILE)})
        assert found[0] == found[1] == found[2]
        # What it meets here goes. What it names stays its own: a list that is not ours grows by nobody's hand.
        asked(config)
        assert proof(config) == []
        assert left_out(config.root) == set()
        assert kept_files(config.root)
        assert verify.verify(config.root)["problems"] == []


def test_a_purge_keeps_what_a_reading_keeps(tmp_path: Path) -> None:
    """A source that was read before its person was named, and one that is read after that, by another's list."""
    config = world.write(tmp_path)
    listed = tmp_path / "list.json"
    with world.small():
        built(config, EVERYTHING, only=STAGES)
        listed.write_bytes(lists.to_bytes(lists.new().with_values({"user": [f"flickr/{world.USER}"]})))
        again = world.write(tmp_path, "again", f'suppression = "{listed}"')
        asked(dataclasses.replace(config, suppression=(str(listed),)))
        shutil.copyfile(lists.path_of(config.root), tmp_path / "own.json")
        again = dataclasses.replace(again, suppression=(str(tmp_path / "own.json"), str(listed)))
        built(again, EVERYTHING, only=STAGES)
    for source in EVERYTHING:
        one, other = (commits.require(root.curate_folder(each, source), "") for each in (config.root, again.root))
        assert (one.files, one.sources, one.facts) == (other.files, other.sources, other.facts)


def said(source: str, source_id: str, url: str, **more: Any) -> dict[str, Any]:
    identity = str(rows.url_identity.of_one(url))
    return pair(source, source_id, identity, image_url=url, **more)


def pairs(*found: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(found), schema=PAIRS)


MINE = said(
    "yfcc100m",
    "1",
    "http://farm1.staticflickr.com/2/4242_abcdef.jpg",
    mirrors=["https://mirror.example/a%7Eb.jpg"],
    meta='{"uid": "1@N01"}',
)
COCO_ROW = said("coco", "9", "http://images.cocodataset.org/train2017/000000000009.jpg", also="flickr:4242")


@pytest.mark.parametrize(
    ("named", "other", "is_named"),
    [
        (
            {"user": ["flickr/1@N01"]},
            said("sbu_captions", "2", "https://live.staticflickr.com/9/4242_0123abcd_b.jpg"),
            True,
        ),
        ({"user": ["flickr/1@N01"]}, COCO_ROW, True),
        ({"user": ["flickr/1@N01"]}, said("wit", "3", "http://mirror.example./a~b.jpg"), True),
        ({"host": ["mirror.example"]}, COCO_ROW, True),
        ({"url": ["mirror.example/a~b.jpg"]}, COCO_ROW, True),
        ({"user": ["flickr/1@N01"]}, said("wit", "3", "http://mirror.example/b.jpg"), False),
        # A pair or a row that is named as such leaves alone.
        ({"row": ["yfcc100m/1"]}, COCO_ROW, False),
        ({"pair": [keys.pair_id("yfcc100m", "1")]}, COCO_ROW, False),
        ({"post": ["yfcc100m/1"]}, COCO_ROW, True),
    ],
)
def test_a_picture_is_known_by_every_identity_and_address_of_a_row_that_is_kept_out(
    named: dict[str, list[str | bytes]], other: dict[str, Any], is_named: bool
) -> None:
    held = Suppression((lists.new().with_values(named),))
    left, gone = curate_rules.Resolved(pairs(MINE), REJECTED.empty_table()).parted(held)
    assert (left.rows, gone.rows) == (0, 1)
    kept = kept_out.of(held, gone.pairs, gone.rejected)
    assert kept.schema == KEPT_OUT
    again = Suppression(
        tuple(
            lists.List(one.secret, {kind: frozenset(h for k, h in of(kept) if k == kind) for kind in kept_out.KINDS})
            for one in held.lists
        )
    )
    assert rows.pictures(again, pairs(other)).tolist() == [is_named]
    # Once the list has it all, nothing is left to be kept.
    longer = Suppression((held.lists[0].with_entries(again.lists[0].entries),))
    assert kept_out.of(longer, gone.pairs, gone.rejected).num_rows == 0
    assert kept_out.merged(longer, [kept]).num_rows == 0
    assert kept_out.merged(held, [kept, kept]).equals(kept)
    assert kept_out.merged(Suppression((lists.new(),)), [kept]).num_rows == 0


def of(kept: pa.Table) -> list[tuple[str, bytes]]:
    return [(row["kind"], row["hmac"]) for row in kept.to_pylist()]


def test_a_rejected_row_tells_what_its_photograph_is_besides() -> None:
    """COCO's row of a photograph that was taken down: what COCO calls it is known to others."""
    row = {"source": "coco", "source_id": "5", "pair_id": keys.pair_id("coco", "5"), "image_id": COCO}
    row |= {"also": "flickr:4242", "stage": "curate", "reason": "evaluation_image", "detail": None, "where": None}
    held = Suppression((lists.new().with_values({"image": [keys.image_id("flickr:4242")]}),))
    rejected = pa.Table.from_pylist([row], schema=REJECTED)
    kept = kept_out.of(held, PAIRS.empty_table(), rejected)
    assert of(kept) == [("image", held.lists[0].hmac("image", COCO))]


def test_a_picture_that_is_named_by_one_of_its_addresses_leaves_with_all_its_captions() -> None:
    takedown = images_rules.Takedown(urls=frozenset({"http://mirror.example/a~b.jpg"}))
    captions = [MINE, said("sbu_captions", "2", "http://farm1.staticflickr.com/2/4242_abcdef.jpg")]
    alone = images_rules.Takedown(rows=frozenset({"yfcc100m/1"}))
    post = images_rules.Takedown(posts=frozenset({"yfcc100m/1"}))
    for named, reasons in ((takedown, [1, 1]), (post, [1, 1]), (alone, [1])):
        batch = pairs(*captions).select(list(images_rules.NEEDED)).to_batches()[0]
        found = gather(images_rules.spread(batch, ASKED, takedown=named))
        left = found.rejected.select(["reason", "detail"]).to_pylist()
        assert left == [{"reason": "takedown", "detail": None}] * len(reasons)
        assert found.images.num_rows == 2 - len(reasons)


def test_an_apply_that_is_killed_near_its_end_is_counted_once(tmp_path: Path) -> None:
    where, today = str(tmp_path), receipts.datetime.date(2026, 1, 2)
    (tmp_path / lists.FOLDER).mkdir()
    receipts.end(where, receipts.begin(where, [], {"pairs": 1}), today)
    receipts.close(where)
    # The second is killed when its receipt is written, and run again, which finds nothing left to remove.
    receipts.end(where, receipts.begin(where, [], {"pairs": 5}), today)
    receipts.end(where, receipts.begin(where, [], {}, left={}), today)
    receipts.close(where)
    assert [one.removed for one in receipts.read(where)] == [{"pairs": 1}, {"pairs": 5}]
