"""A user, a page and a photograph are taken down from a ROOT that holds them in every kind of file."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import io
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipelines import build, fetch, takedown
from pmd import cli, flow
from pmd.config import Config
from pmd.errors import RootError, VerificationError
from pmd.inspection import plan, verify
from pmd.publish import withdrawn
from pmd.store import commits, root, storage, versions
from pmd.suppression import lists
from pmd.takedown import prove, purge, receipts, requests
from tests.pipelines import building
from tests.takedown import world

#: The tag of a shard that no commit lists.
PLANTED = "01234567"
TODAY = datetime.date(2026, 3, 1)


@dataclasses.dataclass(frozen=True)
class Done:
    """A ROOT before and after."""

    config: Config
    words: tuple[requests.Word, ...]
    built: Path
    before: dict[str, bytes]
    after: dict[str, bytes]
    left_before: tuple[prove.Left, ...]
    applied: takedown.Applied


def said(folder: Path) -> tuple[str, ...]:
    """Return what is asked for; the photograph is a file."""
    photo = folder / "photo.jpg"
    photo.write_bytes(world.picture(1))
    return world.PROFILE, world.PAGE, str(photo)


def proof(config: Config, words: tuple[requests.Word, ...] = ()) -> prove.Proof:
    return prove.prove(config.root, lists.standing(config.root, config.suppression), words)


def plant(where: Path) -> list[Path]:
    """Put copies of what stands where runs that were killed leave theirs; return them."""
    pairs = max((where / "curate/source=sbu_captions/pairs").iterdir(), key=lambda path: path.stat().st_size)
    tar = next((where / "fetch/store").rglob("*.tar"))
    shard = next((where / "shards/webdataset").glob("*.tar"))
    copies = {
        where / "_work/epoch-0/curate/run.parquet": pairs,
        tar.with_name("0123456789abcdef.tar"): tar,
        shard.with_name(shard.name[:-12] + f"{PLANTED}.tar"): shard,
        where / f"publish/source=sbu_captions/.tmp-{'ab' * 16}": pairs,
        where / f"release/.tmp-{'ab' * 16}": pairs,
    }
    for copy, original in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, copy)
    return [*copies]


#: What stood in ROOT's folder of takedowns when all was made to outlive a power cut.
left_when_settled: list[str] = []


def left_in(where: str, planted: Iterable[Path]) -> list[str]:
    """Return what stands in the folder of takedowns, once nothing is left of what was planted."""
    assert not [path for path in planted if path.exists()]
    return storage.list_names(f"{where}/takedown")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("takedown")
    config = world.write(folder)
    with world.small():
        building.run(config)
        shutil.copytree(config.root, folder / "built")
        planted = plant(Path(config.root))
        before = world.files(config.root)
        words = tuple(requests.read_word(word, config.sources) for word in said(folder))
        for word in words:
            requests.add(config.root, [word], [], keeps_looks=False)
        with root.writer(config.root, "test"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(storage, "settle", lambda url: left_when_settled.extend(left_in(url, planted)))
            applied = takedown.apply(config, today=lambda: TODAY)
        assert left_when_settled == ["applying.json", "requests.jsonl", "suppression.json"]
        assert not [path for path in planted if path.exists()]
        left = prove.prove(f"{folder}/built", lists.standing(config.root, ()), words).left
        yield Done(config, words, folder / "built", before, world.files(config.root), left, applied)


def test_before_it_is_in_every_kind_of_file(done: Done) -> None:
    tops = {"/".join(left.file.split("/")[:2]) for left in done.left_before}
    assert tops >= {
        "curate/source=sbu_captions",
        "curate/source=conceptual_captions",
        "curate/source=coco",
        "fetch/attempts",
        "fetch/ledger",
        "fetch/store",
        "views/pairs",
        "shards/webdataset",
        "shards/parquet",
        "publish/source=sbu_captions",
        "release/source=sbu_captions",
        "release/find",
    }
    assert {left.what for left in done.left_before} >= {"image", "user", "sha256", "stored", "looks", "words"}


def test_nothing_is_left_of_it_afterwards(done: Done) -> None:
    assert proof(done.config, done.words).left == ()
    assert proof(done.config).left == ()
    # Four photographs of the user's, of which COCO has one and another host another; the page's; the picture and its copy.
    assert done.applied.removed == {
        "pairs": 9,
        "rows of the ledger": 8,
        "attempts": 8,
        "stored pictures": 8,
    }
    assert not Path(requests.path_of(done.config.root)).exists()


def test_hosts_that_our_own_page_names_are_no_trace(done: Done) -> None:
    page = (Path(done.config.root) / "release/find.html").read_text(encoding="utf-8")
    assert "upload.wikimedia.org" in page, "the page that finds images knows how its addresses are written"
    assert proof(done.config, (requests.read_word("host:upload.wikimedia.org"),)).left == ()


def test_what_is_searched_for_is_found_where_a_person_has_left_it(done: Done) -> None:
    where = Path(done.config.root)
    notes = {
        where / "notes.txt": f"asked by {world.USER}".encode(),
        where / "publish/mine.json": orjson.dumps({"user_id": world.USER.replace("@", "%40")}),
        where / "shards/webdataset/portrait.bin": world.picture(1),
    }
    try:
        for path, content in notes.items():
            path.write_bytes(content)
        found = {(left.file, left.what) for left in proof(done.config).left}
        assert found == {
            ("publish/mine.json", "user"),
            ("shards/webdataset/portrait.bin", "sha256"),
            ("shards/webdataset/portrait.bin", "stored"),
        }
        assert ("notes.txt", "words") in {(left.file, left.what) for left in proof(done.config, done.words).left}
    finally:
        for path in notes:
            path.unlink(missing_ok=True)


def test_a_pair_that_was_named_by_its_image_is_known_by_its_own_id(done: Done) -> None:
    note = Path(done.config.root) / "notes.txt"
    gone = sorted(listed(done.built) - listed(done.config.root))
    try:
        for pair_id in gone:
            note.write_text(f"row {pair_id} of the sheet", encoding="utf-8")
            assert [(left.file, left.what) for left in proof(done.config).left] == [("notes.txt", "pair")]
    finally:
        note.unlink(missing_ok=True)


def shards(files: dict[str, bytes], form: str) -> dict[str, bytes]:
    ending = {"webdataset": ".tar", "parquet": ".parquet"}[form]
    return {
        name: content for name, content in files.items() if name.startswith(f"shards/{form}/") and name.endswith(ending)
    }


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_of_the_shards_only_those_change_that_held_it_and_the_reserve(done: Done, form: str) -> None:
    before = {name: content for name, content in shards(done.before, form).items() if PLANTED not in name}
    after = shards(done.after, form)
    gone = {left.file for left in done.left_before if left.file in before}
    last = max(before)
    assert gone
    for name, content in before.items():
        if name in after:
            assert after[name] == content
    rewritten = {name for name in before if name not in after}
    taken = 8  # samples that leave: as many places at the end are the reserve
    reserve = {
        name for number, name in enumerate(sorted(before, reverse=True)) if number * world.SAMPLES_PER_SHARD < taken
    }
    assert gone <= rewritten <= gone | reserve
    assert last in rewritten
    assert len(before) - len(rewritten) > 0
    commit = commits.require(root.shards_folder(done.config.root, form), "")
    counts = [
        file.rows for file in sorted(commit.files, key=lambda file: file.name) if file.name not in flow.BESIDE_SHARDS
    ]
    assert set(counts[:-1]) == {world.SAMPLES_PER_SHARD}


def test_the_books_balance_and_a_build_has_nothing_to_do(done: Done) -> None:
    assert verify.verify(done.config.root)["problems"] == []
    steps: list[Any] = []
    with world.small(), root.writer(done.config.root, "test"):
        build.build(done.config, report=steps.append)
    assert [step for step in steps if step.why is not None] == []
    assert world.files(done.config.root) == done.after


def listed(where: str | Path) -> set[str]:
    """Return the pair_ids of published lists."""
    return {
        key
        for path in Path(where).glob("publish/source=*/*.parquet")
        for key in pq.read_table(path, columns=["pair_id"])["pair_id"].to_pylist()
    }


def test_the_plan_counts_what_is_left(done: Done) -> None:
    planned = plan.plan(done.config)
    kept = sum(
        commits.require(root.curate_folder(done.config.root, name), "").sources[name].kept
        for name in done.config.sources
    )
    assert planned["pairs"] == kept
    assert planned["to_fetch"] == 0


def test_the_release_tells_which_rows_have_left_and_nothing_else(done: Done) -> None:
    left = pq.read_table(Path(done.config.root) / flow.RELEASE / withdrawn.FILE)
    assert left.schema.names == ["pair_id"]
    assert {*left["pair_id"].to_pylist()} == listed(done.built) - listed(done.config.root)
    assert left.num_rows == 9
    sums = (Path(done.config.root) / flow.RELEASE / "SHA256SUMS").read_text(encoding="utf-8")
    assert f"  {withdrawn.FILE}\n" in sums


def samples(where: str) -> set[tuple[str, str]]:
    """Return key and pairs of every sample."""
    found = set()
    for path in sorted(Path(where).glob("shards/parquet/*.parquet")):
        for row in pq.read_table(path, columns=["key", "pairs"]).to_pylist():
            found.add((row["key"], orjson.dumps(row["pairs"]).decode()))
    return found


def test_a_rebuild_from_nothing_with_the_list_holds_the_same_samples(done: Done, tmp_path: Path) -> None:
    folder = Path(done.config.root).parent
    shutil.copyfile(lists.path_of(done.config.root), tmp_path / "suppression.json")
    again = world.write(folder, "again", f'suppression = "{tmp_path}/suppression.json"')
    with world.small():
        building.run(again)
    assert samples(again.root) == samples(done.config.root)
    assert proof(again, done.words).left == ()
    assert verify.verify(again.root)["problems"] == []
    without = {"suppression lists": None}
    for source in again.sources:
        one, other = (commits.require(root.curate_folder(each.root, source), "") for each in (again, done.config))
        assert (one.files, one.sources, one.facts) == (other.files, other.sources, other.facts)
        assert {**one.run["inputs"], **without} == {**other.run["inputs"], **without}


def test_a_list_that_is_lost_brings_nothing_back(done: Done, tmp_path: Path) -> None:
    own = Path(lists.path_of(done.config.root))
    own.rename(tmp_path / own.name)
    try:
        for refused in (
            lambda: build.build(done.config),
            lambda: build.build(done.config, only="curate"),
            lambda: build.build(done.config, only="fetch"),
            lambda: fetch.build(done.config, retry=("dead",)),
            lambda: build.explain(done.config),
            lambda: applied(done.config),
        ):
            with pytest.raises(RootError, match="what was taken down would come back") as told:
                refused()
            assert told.value.where == str(own)
        assert not own.exists()
        named = dataclasses.replace(done.config, suppression=(str(tmp_path / own.name),))
        assert {step.why for step in build.explain(named)} == {None}
        # Another list keeps other things out, and not what was taken down here.
        (tmp_path / "other.json").write_bytes(lists.to_bytes(lists.new()))
        other = dataclasses.replace(done.config, suppression=(str(tmp_path / "other.json"),))
        for refused in (lambda: build.build(other), lambda: build.explain(other), lambda: applied(other)):
            with pytest.raises(RootError, match="what was taken down would come back"):
                refused()
        # A copy of the ROOT that was made without all of the folder has no receipts either.
        own.parent.rename(tmp_path / lists.FOLDER)
        try:
            for refused in (lambda: build.build(other), lambda: build.explain(other), lambda: applied(other)):
                with pytest.raises(RootError, match="what was taken down would come back"):
                    refused()
            assert {step.why for step in build.explain(named)} == {None}
            assert not own.parent.exists()
        finally:
            (tmp_path / lists.FOLDER).rename(own.parent)
    finally:
        (tmp_path / own.name).rename(own)


def test_the_list_and_what_is_kept_beside_it_name_nobody(done: Done) -> None:
    whole = b"".join(path.read_bytes() for path in (Path(done.config.root) / lists.FOLDER).iterdir())
    kept = re.sub(rb"[0-9a-f]{32,}", b"", whole)  # a digest has any four digits
    for word in (world.USER, "5005", "one.example", "portrait", "flickr"):
        assert word.encode() not in kept
    assert lists.read_own(done.config.root).looks == frozenset()


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o600), (0o002, 0o660), (0, 0o666)])
def test_what_people_ask_for_is_read_by_those_alone_who_may_write_here(tmp_path: Path, mask: int, mode: int) -> None:
    where = tmp_path / lists.FOLDER
    before = os.umask(mask)
    try:
        words = [requests.read_word("host:one.example")]
        for _ in range(2):
            requests.add(str(tmp_path), words, [], keeps_looks=False)
            assert stat.S_IMODE((where / requests.FILE).stat().st_mode) == mode
        requests.remove(str(tmp_path), {1})
        assert stat.S_IMODE((where / requests.FILE).stat().st_mode) == mode
    finally:
        os.umask(before)


def test_the_list_is_read_by_those_alone_who_may_write_it(done: Done) -> None:
    found = stat.S_IMODE(Path(lists.path_of(done.config.root)).stat().st_mode)
    assert (bool(found & 0o040), bool(found & 0o004)) == (bool(found & 0o020), bool(found & 0o002))


def test_the_receipt_tells_numbers_counts_and_whom_to_ask(done: Done) -> None:
    told = receipts.render(receipts.read(done.config.root), [], done.config.contact)
    assert told.splitlines() == [
        "Receipt for requests 1, 2, 3",
        "Carried out on 2026-03-01. Removed, for all of them together:",
        "  pairs of a picture and a text: 9",
        "  records of what was downloaded: 8",
        "  records of where and when it was asked for: 8",
        "  copies of pictures: 8",
        "With these went all that is made of them: lists, shards, the audit and the folder of the release.",
        "Not reached by this: copies that others have of earlier lists and shards, backups, and logs.",
        "What you named is kept out of what is built from now on: by codes from which it cannot be read.",
        "Contact: tests@example.org",
    ]


def test_a_receipt_has_words_for_all_that_is_removed() -> None:
    assert tuple(receipts.SAID) == purge.KINDS


class Killed(BaseException):
    """What ends a purge in the middle of a call."""


def purged(config: Config, where: str) -> None:
    """Purge what was read and fetched, by the list that stands."""
    with root.writer(where, "test") as lock:
        held = lists.digests(lists.paths(where, ()))
        takedown._purged(purge.Purge(lock, lists.read(held), held), dataclasses.replace(config, root=where))


def applied(config: Config) -> takedown.Applied:
    """Carry out what waits, as the command does."""
    with root.writer(config.root, "test"):
        return takedown.apply(config, today=lambda: TODAY)


@pytest.mark.parametrize("killed_at", ["before its list", "in its purge"])
def test_what_was_asked_for_since_an_apply_was_killed_is_counted_with_it(
    done: Done, tmp_path: Path, killed_at: str
) -> None:
    """The greater of both counts was told: of three pairs and two more, three."""
    config = dataclasses.replace(done.config, root=str(tmp_path / "pmd"))
    shutil.copytree(done.built, config.root)

    def ask(said: str) -> None:
        requests.add(config.root, [requests.read_word(said, config.sources)], [], keeps_looks=False)

    def stop(*_: object, **__: object) -> None:
        raise Killed

    where, name = {"before its list": (lists, "held"), "in its purge": (purge, "generations")}[killed_at]
    whole = getattr(where, name)
    ask("flickr:5007")
    with world.small(), pytest.MonkeyPatch.context() as patch:
        calls: list[object] = []

        def counted(*given: Any, **named: Any) -> Any:
            """Be killed by the second call: the first is before what is about to be removed is noted."""
            calls.append(given)
            return stop() if len(calls) > 1 else whole(*given, **named)

        patch.setattr(where, name, counted)
        with pytest.raises(Killed):
            applied(config)
    if killed_at == "before its list":
        Path(lists.path_of(config.root)).unlink()  # what is noted before it stands there already
    assert receipts.begun(config.root) is not None
    ask("flickr:5009")
    ask("flickr:5010")
    with world.small():
        told = applied(config)
    assert told.requests == (1, 2, 3)
    assert told.removed == {"pairs": 3, "rows of the ledger": 3, "attempts": 3, "stored pictures": 3}


def standing(where: str) -> tuple[Any, Any]:
    """Return what is committed, and the files of it."""
    names = {name for name in world.files(where) if not name.endswith(commits.STAGE_FILE)}
    return building.committed(where), {name: content for name, content in world.files(where).items() if name in names}


@pytest.mark.long
def test_a_purge_that_is_killed_at_any_call_of_the_storage_ends_as_one_that_is_not(done: Done, tmp_path: Path) -> None:
    from benchmarks.breaking import calls

    def fresh(name: str) -> str:
        where = tmp_path / name
        shutil.copytree(done.built, where)
        (where / lists.FOLDER).mkdir()
        shutil.copyfile(lists.path_of(done.config.root), lists.path_of(str(where)))
        return str(where)

    whole = fresh("whole")
    kinds: dict[tuple[str, str, str], list[int]] = {}

    def note(call: calls.Call) -> None:
        if call.name in {"Draft.finish", "versions.swap", "remove"} and not call.place.startswith(
            ("store.lock", "store.root")
        ):
            kinds.setdefault(call.kind, []).append(call.number)

    with calls.watched(note):
        purged(done.config, whole)
    undisturbed = standing(whole)
    assert {place for place, _, when in kinds if when == "after"} >= {
        "fetch.generations.tar.StoreTar.finish",
        "store.commits.claim",
        "store.commits.put_content",
        "store.commits.remove",
        "store.commits.write",
    }
    mine = {number for numbers in kinds.values() for number in (numbers[0], numbers[-1])}
    for trial, number in enumerate(sorted(mine)):
        where = fresh(f"trial-{trial}")

        def kill(call: calls.Call, number: int = number) -> None:
            if call.number >= number:
                raise Killed

        with pytest.raises(Killed), calls.watched(kill):
            purged(done.config, where)
        purged(done.config, where)
        assert standing(where) == undisturbed
        shutil.rmtree(where)


def test_the_commands_say_what_they_do(done: Done) -> None:
    path, run = f"{done.config.root}.toml", CliRunner().invoke
    asked = run(cli.app, ["takedown", "add", path, "host:three.example", "u/Somebody"])
    assert asked.output.splitlines() == [
        "host:three.example: the host three.example and all below it",
        "u/Somebody: the user reddit/somebody",
        "request 4; to carry it out: pmd takedown apply CONFIG",
    ]
    assert run(cli.app, ["takedown", "receipt", path]).output.endswith(
        "Waiting for pmd takedown apply: 4 (what each names: ROOT/takedown/requests.jsonl)\n"
    )
    mine = Path(path).with_name("card.toml")
    mine.write_text(
        Path(path).read_text(encoding="utf-8") + '[card]\ncontact = "privacy@example.org"\n', encoding="utf-8"
    )
    assert "\nContact: privacy@example.org\n" in run(cli.app, ["takedown", "receipt", str(mine), "1"]).output
    (waiting,) = requests.read(done.config.root)
    listed = "\ufeff# of an agency\r\n\r\nhost:three.example\r\n u/Somebody\u200b\r\n"
    again = run(cli.app, ["takedown", "add", path, "coco:77", "-"], input=listed.encode())
    assert again.output.splitlines()[-1] == "request 5; to carry it out: pmd takedown apply CONFIG"
    assert requests.read(done.config.root)[1].said == ("coco:77", *waiting.said)
    assert run(cli.app, ["takedown", "cancel", path, "5"]).output == (
        "request 5: taken back; nothing was removed for it\n"
    )
    for number in ("5", "1"):  # gone, and carried out
        refused = run(cli.app, ["takedown", "cancel", path, number])
        assert str(refused.exception).splitlines()[:3] == [
            "takedown: no such request waits",
            "  expected: a request that waits: 4",
            f"  found: {number}",
        ]
    with pytest.raises(RootError, match="was being carried out when an apply was stopped"):
        requests.cancel(done.config.root, 4, [3, 4])
    found = run(cli.app, ["takedown", "prove", path, "u/Somebody"])
    assert found.exit_code == 5
    assert "takedown/requests.jsonl: the words that were given" in found.output
    Path(requests.path_of(done.config.root)).unlink()
    whole = run(cli.app, ["takedown", "prove", path, "u/Somebody"])
    assert whole.exit_code == 0
    assert whole.output.endswith("nothing is left of what was taken down.\n")
    refused = run(cli.app, ["takedown", "add", path, "nobody at all"])
    assert "names nothing" in str(refused.exception)
    table = "URL;Photographer\nhttp://one.example/1.jpg;Eva Müller\nhost:one.example\n"
    for content, why in (
        (table.encode("cp1252"), "standard input:line 2: the text is not UTF-8"),
        (table.encode(), "standard input:line 1: names nothing (2 lines are wrong)"),
        (b"# nobody\n", "standard input: names nothing"),
        (b"host:co.uk\n", "standard input:line 1: not a host of anybody's"),
    ):
        assert str(run(cli.app, ["takedown", "add", path, "-"], input=content).exception).startswith(why)
    assert requests.read(done.config.root) == []
    # All slips at once, so that a list need not be tried again for each.
    slips = ["nobody", "flickr:4242", "host:co.uk", f"{world.PHOTO_URL} {world.COPY_URL}", *["nobody"] * 8]
    told = str(run(cli.app, ["takedown", "add", path, "-"], input="\n".join(slips).encode()).exception).splitlines()
    assert told[0] == "standard input:line 1: names nothing (11 lines are wrong)"
    assert told[2] == (
        "  found: nobody; line 3, not a host of anybody's: strangers' hosts end so: host:co.uk; "
        f"line 4, more than one name: {slips[3]}; "
        + "; ".join(f"line {number}, names nothing: nobody" for number in range(5, 12))
        + "; and 1 more"
    )
    # A person's name and a host alone are what people are asked for most.
    assert "remedy: a whole website is host:NAME" in str(run(cli.app, ["takedown", "add", path, "Jane Doe"]).exception)
    for said, host in (
        ("http://home.example", "home.example"),
        ("https://home.example/1.jpg", None),
        ("http://home.example/?a", None),
    ):
        assert requests.read_word(said).says.partition(" alone; all that is there: host:")[2] == (host or "")
    # To prove that what matches nothing is gone says nothing.
    for said, why in (
        (f"{world.PHOTO_URL} {world.COPY_URL}", "more than one name"),
        ("https://flickr.com/photos/a/", "neither one picture"),
    ):
        assert why in str(run(cli.app, ["takedown", "prove", path, said]).exception)


def test_who_may_only_read_gets_receipts_while_requests_wait(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is for those who may write ROOT; a receipt names nobody."""
    path, read = f"{done.config.root}.toml", versions.read

    def refusing(url: str) -> versions.Versioned | None:
        if url.endswith(lists.REQUESTS):
            raise PermissionError(errno.EACCES, "Permission denied", url)
        return read(url)

    def receipt(*words: str) -> Any:
        return CliRunner().invoke(cli.app, ["takedown", "receipt", path, *words])

    told = receipt("1").output
    monkeypatch.setattr(versions, "read", refusing)
    assert receipt("1").output == told
    assert told.startswith("Receipt for request 1\n")
    assert receipt().output.endswith(
        "Requests wait for pmd takedown apply; their numbers are shown to who may write this ROOT\n"
    )
    assert "no request of this number was carried out" in str(receipt("9").exception)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0\n", b'{"number": 1, "sa', b"[]\n", b'{"number": 1}\n'])
@pytest.mark.parametrize("name", ["requests.jsonl", "receipts.jsonl", "applying.json"])
def test_damage_to_what_is_kept_of_requests_is_told(done: Done, name: str, content: bytes) -> None:
    where = Path(done.config.root, lists.FOLDER, name)
    before = where.read_bytes() if where.exists() else None
    where.write_bytes(content)
    try:
        for read in {
            "requests.jsonl": [requests.read],
            "receipts.jsonl": [receipts.read],
            "applying.json": [lambda at: receipts.begin(at, (), {})],
        }[name]:
            with pytest.raises(VerificationError, match="damaged") as told:
                read(done.config.root)
            assert told.value.where is not None
            assert told.value.where.startswith(str(where))
            assert where.read_bytes() == content
    finally:
        where.unlink() if before is None else where.write_bytes(before)


def test_find_lists_what_a_person_must_decide(done: Done, tmp_path: Path) -> None:
    photo = tmp_path / "mine.jpg"
    photo.write_bytes(world.picture(5006))
    found = CliRunner().invoke(cli.app, ["takedown", "find", f"{done.config.root}.toml", str(photo), "--json"])
    near = orjson.loads(found.output)["near"]
    assert [(one["identity"], one["bits"], one["is_same"]) for one in near] == [("flickr:5006", 0, True)]
    assert not near[0]["is_turned"]


@pytest.mark.parametrize("how", [*Image.Transpose], ids=lambda how: str(how.name))
def test_find_knows_a_picture_mirrored_and_turned(done: Done, tmp_path: Path, how: Image.Transpose) -> None:
    with Image.open(io.BytesIO(world.picture(5006))) as image:
        image.transpose(how).save(tmp_path / "mine.png")
    asked = ["takedown", "find", f"{done.config.root}.toml", str(tmp_path / "mine.png")]
    near = orjson.loads(CliRunner().invoke(cli.app, [*asked, "--json"]).output)["near"]
    assert [(one["identity"], one["is_same"], one["is_turned"]) for one in near] == [("flickr:5006", False, True)]
    assert "mirrored or turned" in CliRunner().invoke(cli.app, asked, terminal_width=200).output
