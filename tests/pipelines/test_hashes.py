"""Perceptual hashes are computed where something asks for them, and later from the store: the web is asked for nothing."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import io
import shutil
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from pipelines import build, publish, repair
from pmd import codec, config, flow
from pmd.config import Config
from pmd.errors import RootError, VerificationError, WorkerFault
from pmd.fetch.generations import claims, hashing
from pmd.fetch.ledger import asking, partitions, state
from pmd.inspection import explain, plan, status, verify
from pmd.store import commits, register, root, sealed, storage
from pmd.store.standing import Standing
from tests.end_to_end.building import rows
from tests.fetch.conftest import Web, photo, reply
from tests.fetch.hostile import chunk
from tests.pipelines import building

PICTURES = {f"http://a.test/{number}.jpg": photo(640, 480, seed=number * 7) for number in range(8)}
#: Nearly the first: the same picture, smaller.
COPY = "http://a.test/copy.jpg"
DAMAGED = "http://a.test/damaged.png"


def damaged_png() -> bytes:
    """Return a PNG that is whole by its structure, with pixels that no decoder can read."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(range(256)) * 48)
    broken = body[:20] + bytes(byte ^ 0xA5 for byte in body[20:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", broken) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    with Web() as server:
        server.routes |= {url.removeprefix("http://"): reply(content) for url, content in PICTURES.items()}
        server.routes["a.test/copy.jpg"] = reply(photo(640, 480, seed=7, kind="PNG"), Content_Type="image/png")
        server.routes["a.test/damaged.png"] = reply(damaged_png(), Content_Type="image/png")
        yield server


def configured(folder: Path, web: Web, *, store: str = "original", at: str | None = None, more: str = "") -> Config:
    """Return a configuration that asks for no hashes, and whose file stands beside its ROOT."""
    where = at or f"{folder}/pmd"
    urls = [*PICTURES, COPY, DAMAGED]
    lines = [f"picture number {number} of them\t{url}" for number, url in enumerate(urls)]
    if not (folder / "rows.tsv").exists():  # written anew it would be a new input
        (folder / "rows.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = Path(f"{where}.toml")
    path.write_text(
        f"""
root = "{where}"
profile = "paper"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{folder}/rows.tsv"]
[fetch]
store = "{store}"
allow_addresses = ["127.0.0.1/32"]
resolve = {{ "*:80" = "127.0.0.1:{web.port}" }}
{more}
"""
    )
    chosen = config.load(str(path))
    root.create(chosen.root, 2)
    return chosen


def asking_for(chosen: Config, **changes: Any) -> Config:
    return dataclasses.replace(chosen, dedupe=chosen.dedupe.model_copy(update=changes))


@pytest.fixture(scope="module")
def built(web: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ROOT for which nothing was decoded."""
    folder = tmp_path_factory.mktemp("built")
    run(configured(folder, web))
    return folder


@pytest.fixture
def chosen(built: Path, web: Web, tmp_path: Path) -> Config:
    """The configuration of a copy of that ROOT, which asks for no hashes."""
    return copied(built, web, tmp_path, "pmd")


def copied(built: Path, web: Web, folder: Path, name: str) -> Config:
    shutil.copytree(built / "pmd", folder / name)
    return configured(built, web, at=f"{folder}/{name}")


#: What these tests build.
STAGES = tuple(name for name in flow.NAMES if name != flow.AUDIT.name)


def run(chosen: Config, stages: Sequence[str] = STAGES) -> dict[str, str | None]:
    """Build; return stage → why it was run, None where it was not."""
    done: dict[str, str | None] = {}
    with root.writer(chosen.root, "test"):
        for stage in stages:
            build.build(chosen, only=stage, report=lambda step: done.update({step.stage: step.why}))
    return done


def ledger(chosen: Config) -> pa.Table:
    return partitions.standing(partitions.own_generations(chosen.root, range(4)))


def hashes(chosen: Config) -> dict[str, bytes | None]:
    found = ledger(chosen)
    known = zip(found["location"].to_pylist(), found["perceptual_hash"].to_pylist(), strict=True)
    return {location: hash_ for location, hash_ in known if location is not None}


def image_id(chosen: Config, location: str) -> bytes:
    found = ledger(chosen)
    return bytes(found.filter(pc.equal(found["location"], location))["image_id"][0].as_py())


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every content that is decoded for its hash after the fetch."""
    seen: list[bytes] = []
    original = codec.hash_of

    def counted(content: bytes, limits: codec.Limits) -> bytes:
        seen.append(content)
        return original(content, limits)

    monkeypatch.setattr(codec, "hash_of", counted)
    return seen


def test_who_asks_later_has_hashes_from_the_store_once_and_the_web_is_asked_for_nothing(
    chosen: Config, web: Web, decoded: list[bytes]
) -> None:
    assert {*ledger(chosen)["status"].to_pylist()} == {"ok"}, "its structure is whole, so it stands until it is decoded"
    assert {*hashes(chosen).values()} == {None}
    assert verify.verify(chosen.root)["problems"] == []
    requests = len(web.log)

    near = asking_for(chosen, near="merge", near_distance=2)
    (told,) = [step for step in build.explain(near) if step.stage == "dedupe"]
    assert told.why == "10 stored pictures have no perceptual hash yet, and dedupe.near asks for it"
    assert plan.plan(near)["hashes"] == {"asked_by": "dedupe.near", "fetched": 0, "stored": 10}
    assert "10 of pictures that are stored, without the web" in " ".join(plan.render(plan.plan(near)).split())
    run(near)
    assert len(web.log) == requests
    assert len(decoded) == 10
    expected = {url: codec.hash_of(content, codec.Limits()) for url, content in PICTURES.items()}
    assert {url: hashes(near)[url] for url in PICTURES} == expected
    merged = rows(f"{near.root}/dedupe", "groups/")
    ids = {url: image_id(near, url) for url in (COPY, "http://a.test/1.jpg")}
    assert [(row["relation"], {row["image_id"], row["kept_id"]}) for row in merged] == [
        ("near_duplicate", {*ids.values()})
    ]

    found = ledger(near)
    row = found.filter(pc.equal(found["location"], DAMAGED)).to_pylist()[0]
    assert (row["status"], row["store_file"], row["perceptual_hash"]) == ("undecodable", None, None)
    assert [row["reason"] for row in rows(f"{near.root}/fetch/rejected")] == ["undecodable"]
    assert verify.verify(near.root)["problems"] == []
    assert status.books(near.root)["balanced"]
    assert status.books(near.root)["fetch"]["hashed"] == 9
    assert "Perceptual hashes are known of 9" in status.render(status.books(near.root))
    said = explain.render(explain.explain(near.root, DAMAGED))
    assert "the stored picture, when it was first decoded:" in said
    assert "(stands): undecodable" in said

    decoded.clear()
    generations = storage.list_files(f"{near.root}/fetch")
    assert {*run(near).values()} == {None}
    assert decoded == []
    assert storage.list_files(f"{near.root}/fetch") == generations
    assert len(web.log) == requests
    run(chosen)
    assert decoded == []
    assert len(web.log) == requests


def test_lists_have_the_hashes_that_somebody_asked_for_after_they_were_made(tmp_path: Path, web: Web) -> None:
    """Also where nothing leaves by them, so that the same pairs and bytes are listed."""
    rows_of = [f"picture number {number}\t{url}" for number, url in enumerate(PICTURES)]
    (tmp_path / "rows.tsv").write_text("\n".join(rows_of) + "\n", encoding="utf-8")
    chosen = configured(tmp_path, web)
    run(chosen)
    listed = f"{chosen.root}/publish/source=conceptual_captions"
    assert {row["perceptual_hash"] for row in rows(listed)} == {None}
    near = asking_for(chosen, near="merge", near_distance=0)
    assert run(near)[flow.PUBLISH.name] == "input survivors changed"
    assert rows(f"{near.root}/dedupe", "groups/") == []
    known = {hash_.hex() for hash_ in hashes(near).values() if hash_ is not None}
    assert len(known) == len(PICTURES)
    assert {row["perceptual_hash"] for row in rows(listed)} == known
    assert run(near)[flow.PUBLISH.name] is None


def test_dedupe_alone_hashes_and_settles_what_leaves(chosen: Config) -> None:
    near = asking_for(chosen, near="merge")
    assert {*run(near, ["dedupe"])} == {"dedupe"}
    assert status.books(near.root)["stages"]["fetch"]["rejected"] == {"undecodable": 1}
    assert status.books(near.root)["stages"]["dedupe"]["in"] == 9


def test_a_run_that_dies_between_two_shards_leaves_the_rest_to_the_next(
    chosen: Config, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    near = asking_for(chosen, near="merge")
    before = asking.missing(Standing(near.root))
    assert len(before) > 2
    whole, done = hashing.run_shard, []

    def dying(*given: Any) -> Any:
        if len(done) == 2:
            raise OSError("gone")
        done.append(whole(*given))
        return done[-1]

    with monkeypatch.context() as patch:
        patch.setattr(hashing, "run_shard", dying)
        with pytest.raises(WorkerFault):
            run(near, ["dedupe"])
    assert len(asking.missing(Standing(near.root))) == len(before) - 2
    first = len(decoded)
    run(near)
    assert first < len(decoded) == 10
    assert asking.missing(Standing(near.root)) == {}
    assert verify.verify(near.root)["problems"] == []


def test_another_order_of_events_gives_the_same_bytes(built: Path, web: Web, tmp_path: Path) -> None:
    one, other = (asking_for(copied(built, web, tmp_path, name), near="merge") for name in ("one", "other"))
    with root.writer(other.root, "test"):
        for shard in sorted(asking.missing(Standing(other.root)), reverse=True):
            claims.begin(register.current(other.root), [shard], root.writing(other.root).epoch)
            rows_of = partitions.read_shard(other.root, shard)
            when = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
            order = hashing.Order(other.root, shard, rows_of, 10**6, when, root.writing(other.root).epoch)
            hashing.run_shard(order)
    for chosen in (one, other):
        run(chosen)
    assert building.outcomes(one.root) == building.outcomes(other.root)
    listed = [
        [name for name in storage.list_files(f"{chosen.root}/fetch/hashes") if name.endswith(".parquet")]
        for chosen in (one, other)
    ]
    assert listed[0] == listed[1] != []
    for folder in ("dedupe", "shards/parquet", "publish/source=conceptual_captions"):
        mine, theirs = (commits.require(f"{chosen.root}/{folder}", "") for chosen in (one, other))
        assert {file.sha256 for file in mine.files} == {file.sha256 for file in theirs.files}, folder


def test_damage_of_the_store_is_told_as_damage(chosen: Config) -> None:
    row = ledger(chosen).filter(pc.equal(ledger(chosen)["location"], "http://a.test/3.jpg")).to_pylist()[0]
    path = Path(chosen.root) / row["store_file"]
    content = bytearray(path.read_bytes())
    content[row["offset"] + row["length"] // 2] ^= 1
    path.write_bytes(content)
    sealed.forget()
    near = asking_for(chosen, near="merge")
    with pytest.raises(VerificationError, match="a stored picture is damaged"):
        run(near, ["dedupe"])
    assert image_id(chosen, "http://a.test/3.jpg")
    assert {*ledger(chosen)["status"].to_pylist()} <= {"ok", "undecodable"}
    assert "http://a.test/3.jpg" in hashes(chosen), "it stands: its bytes are not what the host gave"


def test_a_blocklist_that_comes_later_sees_what_is_stored(
    chosen: Config, web: Web, tmp_path: Path, decoded: list[bytes]
) -> None:
    requests = len(web.log)
    entry = codec.hash_of(PICTURES["http://a.test/2.jpg"], codec.Limits()).hex()
    (tmp_path / "private.txt").write_text(f"pdq:{entry} case-7\n", encoding="utf-8")
    decoded.clear()
    blocking = dataclasses.replace(
        chosen, fetch=chosen.fetch.model_copy(update={"blocklists": (f"{tmp_path}/private.txt",)})
    )
    with pytest.raises(RootError, match="have not been held against a blocklist"), root.writer(chosen.root, "test"):
        publish.build(blocking, ["conceptual_captions"])
    done = run(blocking)
    assert done["fetch"] == "10 stored pictures have no perceptual hash yet, and fetch.blocklists asks for it"
    assert len(decoded) == 10
    assert len(web.log) == requests
    found = dict(zip(ledger(chosen)["location"].to_pylist(), ledger(chosen)["status"].to_pylist(), strict=True))
    assert (found["http://a.test/2.jpg"], found[DAMAGED]) == ("blocked_content", "undecodable")
    assert verify.verify(chosen.root)["problems"] == []
    assert {*run(blocking).values()} == {None}


TAKEN = "http://a.test/2.jpg"


def reencoded(content: bytes) -> bytes:
    """Return a picture as its owner may have it: the same, in other bytes."""
    out = io.BytesIO()
    Image.open(io.BytesIO(content)).save(out, "JPEG", quality=80)
    return out.getvalue()


def taking_down(chosen: Config, folder: Path, line: str) -> Config:
    (folder / "mine.jpg").write_bytes(reencoded(PICTURES[TAKEN]))
    seen = codec.hash_of((folder / "mine.jpg").read_bytes(), codec.Limits()).hex()
    (folder / "takedown.txt").write_text(f"{line.format(seen=seen)}\n", encoding="utf-8")
    return dataclasses.replace(chosen, takedown=(f"{folder}/takedown.txt",))


def build_whole(chosen: Config) -> None:
    with root.writer(chosen.root, "test"):
        build.build(chosen)


def published(chosen: Config) -> set[str]:
    return {row["image_url"] for row in rows(f"{chosen.root}/publish/source=conceptual_captions")}


@pytest.mark.parametrize("line", ["mine.jpg", "pdq:{seen}", "{seen}"])
@pytest.mark.parametrize("near", ["keep", "merge"])
def test_a_takedown_by_looks_sees_what_is_stored_before_anything_is_made_of_it(
    chosen: Config, web: Web, tmp_path: Path, near: str, line: str
) -> None:
    """The list names a copy in other bytes, and the ROOT has no hashes."""
    taken = taking_down(asking_for(chosen, near=near), tmp_path, line)
    requests = len(web.log)
    build_whole(taken)
    assert len(web.log) == requests
    assert TAKEN not in published(taken)
    assert "http://a.test/3.jpg" in published(taken)
    samples = rows(f"{taken.root}/shards/parquet")
    assert image_id(taken, TAKEN) not in {row["image_id"] for row in samples}
    assert [step.why for step in build.explain(taken) if step.why is not None] == []
    assert verify.verify(taken.root)["problems"] == []


def test_a_takedown_by_looks_holds_in_the_build_that_fetches(tmp_path: Path, web: Web) -> None:
    taken = taking_down(configured(tmp_path, web), tmp_path, "mine.jpg")
    build_whole(taken)
    assert TAKEN not in published(taken)
    assert "http://a.test/3.jpg" in published(taken)
    assert [step.why for step in build.explain(taken) if step.why is not None] == []


def test_a_plan_says_that_a_takedown_list_asks(chosen: Config, tmp_path: Path) -> None:
    taken = taking_down(chosen, tmp_path, "pdq:{seen}")
    run(taken, ["images"])
    (told,) = [step for step in build.explain(taken) if step.stage == "fetch"]
    assert told.why == "10 stored pictures have no perceptual hash yet, and takedown asks for it"
    assert plan.plan(taken)["hashes"] == {"asked_by": "takedown", "fetched": 0, "stored": 10}


def test_publish_alone_refuses_pictures_that_a_takedown_list_names_by_their_bytes(
    chosen: Config, tmp_path: Path
) -> None:
    by_bytes = f"sha256:{hashlib.sha256(PICTURES[TAKEN]).hexdigest()}"
    for line, said in (
        (
            "mine.jpg",
            "pictures in the store have not been held against a takedown list\n  found: 10 stored pictures have no",
        ),
        (by_bytes, "pictures in the store are on a takedown list\n  found: 1 image"),
    ):
        taken = taking_down(chosen, tmp_path, line)
        with pytest.raises(RootError, match=said), root.writer(taken.root, "test"):
            publish.build(taken, ["conceptual_captions"])
    assert TAKEN in published(taken), "by the lists as they were before"
    build_whole(taken)
    assert TAKEN not in published(taken)


def test_what_dedupe_has_hashed_is_looked_at_before_shards_are_written(
    chosen: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the list has begun to name looks while the fetch ran, which did not know of it."""
    taken = taking_down(asking_for(chosen, near="merge"), tmp_path, "pdq:{seen}")
    monkeypatch.setattr(asking, "to_judge", lambda _: None)
    build_whole(taken)
    assert TAKEN not in published(taken)


def test_a_scaled_picture_is_hashed_as_it_is_stored(tmp_path: Path, web: Web) -> None:
    chosen = configured(tmp_path, web, store="resized")
    run(chosen, ["curate", "images", "fetch"])
    assert {*hashes(chosen).values()} == {None}
    near = asking_for(chosen, near="merge", near_distance=2)
    run(near, ["dedupe"])
    url = "http://a.test/5.jpg"
    (image,) = explain.explain(near.root, url)["images"]
    assert [entry["hashed_form"] for entry in image["hashes"]] == ["resized"]
    assert "of the resized picture, computed in generation 1" in explain.render(explain.explain(near.root, url))
    distance = (
        int.from_bytes(hashes(near)[url] or b"", "big")
        ^ int.from_bytes(codec.hash_of(PICTURES[url], codec.Limits()), "big")
    ).bit_count()
    assert distance <= 10


def test_hashes_of_an_earlier_version_are_computed_anew_when_asked_for(
    chosen: Config, web: Web, decoded: list[bytes]
) -> None:
    chosen = asking_for(chosen, near="merge")
    run(chosen)
    assert [url for url, value in hashes(chosen).items() if value is None] == [DAMAGED]
    for shard in state.shards(chosen.root):
        for _, folder, commit in state.generations(chosen.root, shard):
            facts = {name: value for name, value in commit.facts.items() if name != state.HASH}
            older = commits.to_json(dataclasses.replace(commit, facts=facts))
            (Path(folder) / commits.STAGE_FILE).write_bytes(older)
    decoded.clear()
    requests = len(web.log)
    assert {*hashes(chosen).values()} == {None}
    run(asking_for(chosen, near="keep"))
    assert decoded == []
    assert run(chosen)["dedupe"] == "9 stored pictures have no perceptual hash yet, and dedupe.near asks for it"
    assert len(decoded) == 9
    assert all(value for url, value in hashes(chosen).items() if url != DAMAGED)
    assert len(web.log) == requests
    assert verify.verify(chosen.root)["problems"] == []


def test_a_shard_may_be_the_first_to_decode(chosen: Config) -> None:
    scaled = dataclasses.replace(chosen, shard=chosen.shard.model_copy(update={"short_side_px": 100}))
    done = run(scaled)
    assert "short_side_px" in str(done["shard"])
    assert status.books(chosen.root)["stages"]["fetch"]["rejected"] == {"undecodable": 1}
    assert status.books(chosen.root)["stages"]["shard"]["kept"] == 9
    assert verify.verify(chosen.root)["problems"] == []
    assert {*run(scaled).values()} == {None}
    assert {*hashes(chosen).values()} == {None}


#: What can be damaged of generations that asked no host, and what of the books of a repair tells it.
MADE = {
    "fetch/hashes/*/*.parquet": {},
    "fetch/hashes/*/* fetch/ledger/*/generation=0001/_stage.json": {},
    "fetch/ledger/*/generation=0001/ledger-*.parquet": {"rebuilt": 1},
    "fetch/ledger/*/generation=0001/ledger-*.parquet fetch/attempts/*/generation=0001-*": {},
    "fetch/attempts/*/generation=0001-*": {"attempts": 1},
    "fetch/ledger/*/generation=0001/_stage.json": {},
}


@pytest.fixture(scope="module")
def hashed(built: Path, web: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a ROOT whose hashes were computed from the store."""
    folder = tmp_path_factory.mktemp("hashed")
    chosen = copied(built, web, folder, "pmd")
    shutil.copy(built / "rows.tsv", folder)
    run(asking_for(chosen, near="merge"))
    return folder


@pytest.mark.parametrize(("damaged", "told"), MADE.items(), ids=list(MADE))
def test_what_the_store_has_shown_is_repaired_without_the_web(
    hashed: Path, built: Path, web: Web, tmp_path: Path, damaged: str, told: dict[str, int]
) -> None:
    shutil.copytree(hashed / "pmd", tmp_path / "pmd")
    near = configured(built, web, at=f"{tmp_path}/pmd", more='[dedupe]\nnear = "merge"')
    before, requests = building.outcomes(near.root), len(web.log)
    for pattern in damaged.split():
        for path in Path(near.root).glob(pattern):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    sealed.forget()
    with root.writer(near.root, "test", f"{near.root}.toml"):
        done = repair.repair(near.root, f"{near.root}.toml")
    assert {name: count for name, count in dataclasses.asdict(done.mended).items() if count} == told
    assert not done.left
    assert verify.verify(near.root)["problems"] == []
    run(near)
    assert building.outcomes(near.root) == before
    assert verify.verify(near.root)["problems"] == []
    assert {*run(near).values()} == {None}
    assert len(web.log) == requests
