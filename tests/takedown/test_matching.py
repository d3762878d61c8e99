"""What words name in the tiny ROOT; what is purged of it."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path
from urllib import parse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines import takedown
from pmd import flow
from pmd.audit import labelling
from pmd.books import redirects
from pmd.config import Config
from pmd.config.asked import Asked
from pmd.curate import needs
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import InputError, PmdError, RootError
from pmd.fetch.outcome import Attempt
from pmd.fetch.politeness import policies
from pmd.images import needs as images_needs
from pmd.images import rules as images_rules
from pmd.images import takedowns
from pmd.inspection import explain, verify
from pmd.refresh import waves
from pmd.schema import keys
from pmd.store import commits, exchange, parquet_files, register, root
from pmd.store.commits import Commit
from pmd.store.lock import Lock, State
from pmd.store.standing import Standing
from pmd.suppression import lists, people, rows
from pmd.suppression.lists import Suppression
from pmd.takedown import copies, matching, prove, purge, receipts, requests
from pmd.text import url_identity, urls
from tests import tiny_root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return tiny_root.build(tmp_path_factory.mktemp("tiny"))


def image(url: str) -> bytes:
    return keys.image_id(str(url_identity.of_one(url)))


C1, C2, C3, C4 = map(image, (tiny_root.C1, tiny_root.C2, tiny_root.C3, tiny_root.C4))
COCO, FLICKR = keys.image_id("coco:9"), keys.image_id("flickr:4242")
VG = keys.image_id("visual_genome:1")


def matched(config: Config, *said: str, looks: bool = False) -> matching.Matched:
    asked = [requests.Request(1, said, looks)]
    return matching.resolve(config.root, asked, config.sources, Suppression())


@pytest.mark.parametrize(
    ("said", "images"),
    [
        (tiny_root.C1, {C1, C2}),  # the same bytes elsewhere
        ("host:one.example", {C1, C2, C3, C4}),
        ("host:example", set()),  # no host is all of a top-level domain
        ("https://www.flickr.com/photos/somebody/4242/", {COCO, FLICKR}),  # COCO's photograph
        ("coco:9", {COCO, FLICKR}),
        ("visual_genome/10", set()),  # one region of four: the picture stays
        ("http://nowhere.example/x.jpg", {image("http://nowhere.example/x.jpg")}),
    ],
)
def test_images(tiny: Config, said: str, images: set[bytes]) -> None:
    found = matched(tiny, said).images
    assert found >= images
    assert not (found - images) & {C1, C2, C3, C4, COCO, FLICKR, VG}


@pytest.mark.parametrize("spelling", ["http://%6Fne.example/", "http://one.example./", "https://ONE.example:443/"])
def test_an_address_is_known_in_other_spellings(tiny: Config, spelling: str) -> None:
    path = tiny_root.C1.partition("one.example/")[2]
    said = spelling + "".join(f"%{ord(letter):x}" for letter in path)
    assert image(said) not in {C1, C2}
    assert matched(tiny, said).images >= {C1, C2}


def test_a_spelling_that_a_later_build_reads_is_kept_out(tiny: Config) -> None:
    held = Suppression((lists.new().with_values(matched(tiny, "http://new.example/%7Eme/(1).jpg").values),))
    listed = [
        "http://new.example/~me/%281%29.jpg",
        "https://new.example./%7eme/(1).jpg",
        "http://new.example/~me/1.jpg",
    ]
    assert rows._is_address(held, pa.array(listed)).tolist() == [True, True, False]


def test_requests_that_name_nothing_that_is_here_are_told(tiny: Config) -> None:
    said = [
        ("coco:9", "http://nowhere.example/x.jpg"),
        ("http://nowhere.example/x.jpg",),
        ("host:example",),
        ("flickr:4242",),
        ("coco/12345",),
        ("host:one.example",),
        ("u/Nobody",),
    ]
    asked = [requests.Request(number, words) for number, words in enumerate(said, start=1)]
    found = matching.resolve(tiny.root, asked, tiny.sources, Suppression())
    assert found.unmatched == (2, 3, 7)
    assert found.in_part == {1: ("http://nowhere.example/x.jpg",)}
    # Of what was carried out before nothing is left: that is no slip.
    assert found.again == ()
    before = lists.new().with_values(requests.values_of([requests.read_word(one) for one in said[1]]))
    asked.append(requests.Request(8, (*said[1], *said[6])))
    once_more = matching.resolve(tiny.root, asked, tiny.sources, Suppression((before,)))
    assert (once_more.unmatched, once_more.again) == ((2, 3, 7, 8), (2,))
    photo = (f"sha256:{'ab' * 32}", f"pdq:{'5a' * 32}", f"xxh3:{'ab' * 16}")  # as a picture file waits
    by_file = lists.new().with_values(requests.values_of(map(requests.read_word, photo)))
    of_files = [requests.Request(1, photo), requests.Request(2, photo[1:2])]
    assert matching.resolve(tiny.root, of_files, tiny.sources, Suppression((by_file,))).again == (1,)
    told = takedown.render(takedown.Applied((2, 3), {}, (), unmatched=(2, 3), again=(2,))).splitlines()[1]
    assert told.startswith("named no pair that stood here when this began: 2 (taken down before), 3; kept out")


def test_a_picture_file_that_names_something_by_one_of_its_digests_is_one_thing(tiny: Config) -> None:
    (row,) = copies.ledger_rows(register.current(tiny.root), {C1})
    assert row["sha256"] is not None
    photo = (f"sha256:{row['sha256'].hex()}", f"pdq:{'5a' * 32}", f"xxh3:{'ab' * 16}")
    stranger = (f"sha256:{'cd' * 32}", f"pdq:{'a5' * 32}", f"xxh3:{'ef' * 16}")
    asked = [requests.Request(1, (*photo, *stranger)), requests.Request(2, photo), requests.Request(3, stranger)]
    found = matching.resolve(tiny.root, asked, tiny.sources, Suppression())
    assert found.unmatched == (3,)
    assert found.in_part == {1: stranger[:1]}


@pytest.mark.parametrize("kind", ["rows", "hosts", "users", "addresses", "keys"])
def test_many_words_are_compared_with_as_few_rows_as_one(
    tiny: Config, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    many = {
        "rows": [f"coco/{number}" for number in range(400)],
        "hosts": [f"host:{number}.example" for number in range(400)],
        "users": [f"u/somebody{number}" for number in range(400)],
        "addresses": [f"http://one.example/{number}.jpg" for number in range(400)],
        "keys": [hashlib.sha256(f"{number}".encode()).hexdigest()[:32] for number in range(400)],
    }[kind]
    calls: list[str] = []

    def counted(owner: object, name: str) -> None:
        whole = getattr(owner, name)

        def call(*args: object) -> object:
            calls.append(name)
            return whole(*args)

        monkeypatch.setattr(owner, name, call)

    for owner, name in (
        (images_rules.Takedown, "names"),
        (people, "of_meta"),
        (people, "hosts_of"),
        (urls, "canonical"),
        (copies, "batches"),
    ):
        counted(owner, name)
    told = {}
    for count in (1, len(many)):
        asked = [requests.Request(number, (word,)) for number, word in enumerate(many[:count])]
        asked.append(requests.Request(count, ("host:one.example",)))
        calls.clear()
        found = matching.resolve(tiny.root, asked, tiny.sources, Suppression())
        assert found.images >= {C1, C2, C3, C4}
        assert count not in found.unmatched
        told[count] = Counter(calls)
    assert told[1] == told[len(many)]


@pytest.mark.parametrize(
    "said",
    [
        "https://www.flickr.com/photos/12345678@N00/albums/721",
        "https://www.flickr.com/photos/somebody/",
        "flickr.com/people/12345678@N00/contacts",
        "https://www.reddit.com/user/SomeOne/comments/",
        "https://imgur.com/a/AbCdE",
        "https://www.google.com/search?q=somebody&udm=2",
        "https://www.bing.com/images/search?q=somebody",
        "https://commons.wikimedia.org/wiki/Category:Somebody",
        "https://en.wikipedia.org/wiki/Somebody",
        # More than one name, which would be one address.
        f"{tiny_root.C1} {tiny_root.C3}",
        f"{tiny_root.C1}\n{tiny_root.C3}\n",
        f"{tiny_root.C1},John Smith",
        f"{tiny_root.C1}\tsomebody's",
        f"{tiny_root.C1} # asked for in May",
        f"{tiny_root.C1}.",
        f"{tiny_root.C1}>",
    ],
)
def test_a_page_of_many_pictures_is_no_request(tmp_path: Path, said: str) -> None:
    (tmp_path / lists.FOLDER).mkdir()
    with pytest.raises(InputError):
        requests.add(str(tmp_path), [requests.read_word(said)], [], keeps_looks=False)
    assert requests.read(str(tmp_path)) == []
    shown = "www.reddit.com/media?url=https%3A%2F%2Fi.redd.it%2Fabc123.jpg"
    for good in (
        "https://imgur.com/AbCdEfG.jpg",
        "https://www.flickr.com/photos/x/4242/in/album-1",
        "https://upload.wikimedia.org/wikipedia/en/thumb/a/a9/Example.jpg/220px-Example.jpg",
        "http://one.example/w_300,h_200/1.jpg",
        "u/SomeOne",
        shown,
    ):
        assert requests.add(str(tmp_path), [requests.read_word(good)], [], keeps_looks=False).said == (good,)


@pytest.mark.parametrize(
    ("source", "has"),
    [
        ("wit", "have a page, and no user"),
        ("coco", "do not say whose they are"),
        ("my_pairs", "do not say whose they are"),
    ],
)
def test_a_user_of_a_source_that_names_none_is_no_request(tmp_path: Path, source: str, has: str) -> None:
    (tmp_path / lists.FOLDER).mkdir()
    word = requests.read_word(f"user:{source}/x", ["my_pairs"])
    with pytest.raises(InputError, match="would match nothing") as told:
        requests.add(str(tmp_path), [requests.read_word("coco:9"), word], [], keeps_looks=False)
    assert told.value.found == f"user:{source}/x; the pairs of {source} {has}"
    assert told.value.expected == "user:SOURCE/ID of one of red_caps, sbu_captions, yfcc100m"
    assert requests.read(str(tmp_path)) == []
    for good in ("user:sbu_captions/1@N01", "user:red_caps/SomeOne"):
        assert requests.add(str(tmp_path), [requests.read_word(good)], [], keeps_looks=False).said == (good,)


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [
        ("com", True),
        ("co.uk", True),
        ("xn--p1ai", True),
        ("example.co.uk", False),
        ("github.io", False),
        ("localhost", False),
        ("1.2.3.4", False),
        ("www.ck", False),
    ],
)
def test_what_ends_strangers_hosts_is_no_host(host: str, is_refused: bool) -> None:
    words = [requests.read_word(f"host:{host}")]
    if is_refused:
        with pytest.raises(InputError, match="not a host of anybody's"):
            requests.refuse_unclear(words)
    else:
        requests.refuse_unclear(words)


def test_lists_of_words_are_read_and_each_slip_is_counted() -> None:
    listed = requests.read_lines(b"coco:9\n#\nu/Somebody\nhost:one.example", "list")
    assert [(word.named is not None, word.user, word.host) for word in listed] == [
        (True, None, None),
        (False, "reddit/somebody", None),
        (False, None, "one.example"),
    ]
    with pytest.raises(InputError, match=r"neither one picture nor a person alone \(3 lines are wrong\)") as told:
        requests.read_lines(b"coco:9\nhttps://flickr.com/photos/a/\nnobody\nuser:coco/1\n", "list")
    assert told.value.where == "list:line 2"


def test_of_a_placeholder_s_images_those_alone_leave_that_are_named(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not dedupe looks for placeholders: where it does not, one picture of a host's took all strangers' along."""
    monkeypatch.setattr(copies, "_MANY", 2)
    (row,) = copies.ledger_rows(register.current(tiny.root), {C1})
    digest = row["sha256"]
    assert digest is not None
    for said in (tiny_root.C1, C1.hex()):
        found = matched(tiny, said, looks=True)
        assert found.images & {C1, C2} == {C1}
        assert (found.shared, found.shared_in_hex) == ({digest: 1}, {digest.hex(): 1})
        assert (found.values["sha256"], found.values["stored"], found.looks) == (set(), set(), set())
    # Named by its bytes, or with all that have them, it is no stranger's.
    for said in (f"sha256:{digest.hex()}", "host:one.example"):
        found = matched(tiny, said, tiny_root.C2)
        assert found.images >= {C1, C2}
        assert (found.shared, found.values["sha256"]) == ({}, {digest})
    told = takedown.Applied((1,), {}, (), shared={"ab" * 32: 11})
    assert takedown.render(told).splitlines()[1] == (
        "other images with the same bytes as a picture that was named, which stay: 11. So many share only a host's placeholder. "
        f"To have them removed too: pmd takedown add CONFIG sha256:{'ab' * 32}, then apply"
    )
    assert told.describe()["shared"] == {"ab" * 32: 11}


def test_a_placeholder_stays_one_when_takedowns_have_left_few_of_it(
    tiny: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten strangers one has asked: the next of the nine takes no other along, whoever reads the list then."""
    monkeypatch.setattr(copies, "_MANY", 2)
    first = matched(tiny, tiny_root.C1)
    (digest,) = first.shared
    assert first.values["shared"] == {digest}
    own = lists.new().with_values(first.values)
    monkeypatch.setattr(copies, "_MANY", 10)
    assert matched(tiny, tiny_root.C1).images >= {C1, C2}

    def again(standing: lists.List, *said: str) -> matching.Matched:
        asked = [requests.Request(2, said)]
        return matching.resolve(tiny.root, asked, tiny.sources, Suppression((standing,)))

    for one in (own, lists.from_bytes(lists.to_bytes(own), "list"), own.with_shared_alone()):
        found = again(one, tiny_root.C1)
        assert found.images & {C1, C2} == {C1}
        assert (found.shared, found.values["sha256"], found.values["shared"]) == ({digest: 1}, set(), {digest})
    # By its bytes all of it goes still, and nothing is kept out for being a placeholder's.
    assert again(own, f"sha256:{digest.hex()}").images >= {C1, C2}
    assert not own.holds("sha256", digest)
    assert not again(own.with_shared_alone()).images


def test_a_pair_takes_its_picture_along_where_no_other_shows_it(tiny: Config) -> None:
    alone = matched(tiny, "coco/12345")
    assert alone.images == set()
    assert len(alone.values["pair"]) == 1
    assert COCO not in matched(tiny, "coco/12345", "conceptual_captions/nothing").images
    both = matched(tiny, "coco/12345", "coco/12346")
    assert COCO in both.images


def test_a_row_that_is_named_as_such_does_not_name_its_addresses(tiny: Config) -> None:
    """Another source may have one of them for a picture of another identity, with a caption of its own."""
    (pair,) = tiny_pairs(tiny, C1).to_pylist()
    alone = matched(tiny, f"{pair['source']}/{pair['source_id']}")
    assert (alone.images, alone.values["url"]) == ({C1}, set())
    assert matched(tiny, tiny_root.C1).values["url"] != set()


def test_looks_are_kept_only_where_it_is_agreed(tiny: Config) -> None:
    assert matched(tiny, "visual_genome:1").looks == set()
    # A picture with nothing in it looks like many: it is told by its bytes alone.
    assert matched(tiny, "visual_genome:1", looks=True).looks == set()
    look = hashlib.sha256(b"a look").hexdigest()
    assert matched(tiny, f"pdq:{look}", looks=True).looks == {bytes.fromhex(look)}
    assert matched(tiny, f"pdq:{look}").looks == set()


def test_what_names_nothing_is_told() -> None:
    with pytest.raises(InputError) as told:
        requests.read_word("somebody's picture")
    assert str(told.value).splitlines()[0] == "takedown: names nothing"
    assert told.value.expected == requests.FORMS


def test_a_picture_file_waits_as_its_digests(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(tiny_root.picture((1, 2, 3), (64, 48)))
    (tmp_path / lists.FOLDER).mkdir()
    first = requests.add(str(tmp_path), [requests.read_word(str(photo))], [], keeps_looks=False)
    assert (first.number, len(first.said)) == (1, 2)
    assert {word.partition(":")[0] for word in first.said} == {"sha256", "xxh3"}
    second = requests.add(str(tmp_path), [requests.read_word("coco:9")], [7], keeps_looks=True)
    assert second == requests.Request(8, ("coco:9",), keeps_looks=True)
    assert requests.read(str(tmp_path)) == [first, second]
    requests.remove(str(tmp_path), {1})
    assert requests.read(str(tmp_path)) == [second]
    requests.remove(str(tmp_path), {8})
    assert not Path(requests.path_of(str(tmp_path))).exists()


def test_lists_of_the_configuration_alone_are_the_users_to_change(tiny: Config, tmp_path: Path) -> None:
    where = tmp_path / "pmd"
    shutil.copytree(tiny.root, where)
    paths = []
    for name in ("one.json", "other.json"):
        (tmp_path / name).write_bytes(lists.to_bytes(lists.new()))
        paths.append(str(tmp_path / name))

    def refuse(*named: str) -> None:
        needs.refuse_lost_lists(lists.held(dataclasses.replace(tiny, root=str(where), suppression=named)))

    def commit(**run: object) -> None:
        folder = root.curate_folder(str(where), "coco")
        found = commits.require(folder, "")
        inputs = {**found.run["inputs"], **needs.suppression_input(lists.digests(paths[:1]))}
        commits.replace_unreadable(folder, dataclasses.replace(found, run={**found.run, "inputs": inputs, **run}))

    commit()
    refuse(paths[0])
    refuse(paths[1])
    with pytest.raises(RootError, match="would come back"):
        refuse()
    # As it was before commits told which list was ROOT's own: receipts tell that it had one.
    (where / lists.FOLDER).mkdir()
    (where / lists.FOLDER / lists.RECEIPTS).write_text("")
    with pytest.raises(RootError, match="would come back"):
        refuse(paths[1])
    # Another list in the place of ROOT's own is told, too.
    commit(**needs.told_of_own(str(where)))
    own = lists.new()
    Path(lists.path_of(str(where))).write_bytes(lists.to_bytes(own))
    commit(**needs.told_of_own(str(where)))
    refuse(paths[1])
    Path(lists.path_of(str(where))).write_bytes(lists.to_bytes(own.with_values({"image": [b"more"]})))
    refuse(paths[1])
    # So is an older copy of it: since it was made, more was taken down.
    commit(**needs.told_of_own(str(where)))
    Path(lists.path_of(str(where))).write_bytes(lists.to_bytes(own))
    with pytest.raises(RootError, match="an older copy, and what was taken down since would come back"):
        refuse(paths[1])
    Path(lists.path_of(str(where))).write_bytes(lists.to_bytes(lists.new()))
    with pytest.raises(RootError, match="would come back"):
        refuse(paths[1])


def test_what_a_host_has_said_goes_with_it(tiny: Config, tmp_path: Path) -> None:
    folder = Path(policies.hosts_folder(str(tmp_path)))
    folder.mkdir(parents=True)
    lines = [json.dumps({"origin": origin}) for origin in ("http://img.one.example:80", "http://two.example:80")]
    both, one = folder / "robots-1.jsonl", folder / "robots-2.jsonl"
    both.write_text("\n".join(lines) + "\n", encoding="utf-8")
    one.write_text(lines[0] + "\n", encoding="utf-8")
    held = Suppression((lists.new().with_values({"host": ["one.example"]}),))
    lock = Lock(str(tmp_path), 1, State())
    counted = purge.hosts(purge.Purge(lock, held, is_dry=True), str(tmp_path))
    assert dict(counted) == {"lines of what hosts said": 2}
    assert one.exists()
    assert purge.hosts(purge.Purge(lock, held), str(tmp_path)) == counted
    assert both.read_text(encoding="utf-8") == lines[1] + "\n"
    assert not one.exists()


def test_a_receipt_tells_all_though_it_was_killed_in_between(tmp_path: Path) -> None:
    where, today = str(tmp_path), datetime.date(2026, 1, 2)
    (tmp_path / lists.FOLDER).mkdir()
    receipts.begin(where, [1, 2], {"pairs": 5})
    again = receipts.begin(where, [2], {"pairs": 1, "attempts": 3}, left={"pairs": 1, "attempts": 3})
    receipts.end(where, again, today)
    assert receipts.read(where) == [receipts.Receipt((1, 2), "2026-01-02", {"attempts": 3, "pairs": 5})]
    # Killed before the requests were removed: the next one carries them out once more, and nothing is left of them.
    once_more = receipts.begin(where, [1, 2], {}, left={})
    receipts.end(where, once_more, today)
    assert receipts.read(where) == [receipts.Receipt((1, 2), "2026-01-02", {"attempts": 3, "pairs": 5})]
    # And killed so again, with another request since: one receipt tells of all three.
    receipts.end(where, receipts.begin(where, [1, 2, 3], {"pairs": 1}, left={}), today)
    receipts.close(where)
    assert receipts.read(where) == [receipts.Receipt((1, 2, 3), "2026-01-02", {"attempts": 3, "pairs": 6})]
    receipts.end(where, receipts.begin(where, [], {}), today)
    assert len(receipts.read(where)) == 1
    assert receipts.render([], [], None) == "nothing was asked for yet"


def test_a_request_s_own_receipt_tells_nothing_of_others_and_what_named_nothing_is_told(tmp_path: Path) -> None:
    where, today = str(tmp_path), datetime.date(2026, 1, 2)
    (tmp_path / lists.FOLDER).mkdir()
    ended = receipts.end(where, receipts.begin(where, [1, 2, 3], {"pairs": 5}, [2, 3]), today)
    receipts.close(where)
    (receipt,) = listed = receipts.read(where)
    whole = receipts.render(listed, [4], None).splitlines()
    assert whole[:4] == [
        "Receipt for requests 1, 2, 3",
        "Carried out on 2026-01-02. Removed, for all of them together:",
        "  pairs of a picture and a text: 5",
        "No pair here was of what 2, 3 named.",
    ]
    assert receipts.render_one(listed, [4], "mailto:a@b.example", 1).splitlines() == [
        "Receipt for request 1",
        "Carried out on 2026-01-02. Removed, for this and others together:",
        "  pairs of a picture and a text: 5",
        "With these went all that is made of them: lists, shards, the audit and the folder of the release.",
        "Not reached by this: copies that others have of earlier lists and shards, backups, and logs.",
        "What you named is kept out of what is built from now on: by codes from which it cannot be read.",
        "Contact: a@b.example",
    ]
    assert receipts.render_one(listed, [4], None, 2).splitlines() == [
        "Receipt for request 2",
        "Carried out on 2026-01-02. No pair here was of what you named.",
        "Not reached by this: copies that others have of earlier lists and shards, backups, and logs.",
        "What you named is kept out of what is built from now on: by codes from which it cannot be read.",
    ]
    for number, why in ((4, "not carried out yet"), (5, "no such request")):
        with pytest.raises(InputError, match=why):
            receipts.render_one(listed, [4], None, number)
    # Of a picture whose source is gone only what was fetched is left, and removed.
    alone = receipts.Receipt((6,), "2026-01-02", {"stored pictures": 1}, (6,))
    assert receipts.render_one([alone], [], None, 6).splitlines()[1:4] == [
        "Carried out on 2026-01-02. Removed:",
        "  copies of pictures: 1",
        "No pair here was of what 6 named.",
    ]
    # What the storage holds back is told, until an apply finds that it has let go.
    receipts.note_kept(where, ended, is_kept=True)
    assert "the storage kept older versions" in receipts.render_one(receipts.read(where), [], None, 2)
    later = receipts.end(where, receipts.begin(where, [4], {"pairs": 1}), today)
    receipts.note_kept(where, later, is_kept=True)
    assert [one.is_kept for one in receipts.read(where)] == [True, True]
    receipts.note_kept(where, later, is_kept=False)
    assert [one.is_kept for one in receipts.read(where)] == [False, False]
    assert receipts.read(where)[0] == receipt


def test_the_books_of_a_generation_count_what_is_left(tiny: Config, tmp_path: Path) -> None:
    where = tmp_path / "pmd"
    shutil.copytree(tiny.root, where)
    with root.writer(str(where), "test") as lock:
        held = Suppression((lists.new().with_values({"image": [C1, COCO, FLICKR]}),))
        removed = purge.generations(purge.Purge(lock, held), str(where), tiny.fetch)
    assert removed["stored pictures"] == 2
    problems = verify.verify(str(where))["problems"]
    assert not [
        one for one in problems if one["place"].startswith("fetch/ledger") or one["place"].startswith("fetch/store")
    ]
    assert VG in {row["image_id"] for row in copies.ledger_rows(register.current(str(where)), {VG, C1})}
    assert not copies.ledger_rows(register.current(str(where)), {C1, COCO})


def test_waves_forget_what_was_taken_down(tmp_path: Path) -> None:
    """By image and by host; a wave that has not come to its end begins anew."""
    where = str(tmp_path)
    ids = [bytes([number]) * 16 for number in range(4)]
    rows = pa.table(
        {
            "image_id": pa.array(ids),
            "host": ["one.example", "two.example", "one.example", "img.gone.example"],
            "sources": [["coco"]] * 4,
            "number": [1, 2, 3, 4],
            "fetched": [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * 4,
            "status": ["ok", "ok", "dead", "ok"],
            "same_bytes": [True, True, None, True],
            "when": [datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)] * 4,
        }
    ).cast(waves.WAVE)
    folder, begun = waves.folder_of(where, "2026-02-01"), waves.folder_of(where, "2026-02-02")
    file = parquet_files.put_table(folder, flow.part(0, 0), rows)
    commits.claim(folder, 1)
    commits.write(folder, Commit(flow.REFRESH.name, (file,), {}, "h", {commits.EPOCH: 1}, {"bounds": {}}))
    with waves.Keeping(begun) as keeping:
        keeping.add(ids[1], waves.Answer("ok", None, datetime.datetime(2026, 2, 2, tzinfo=datetime.UTC)))
    held = Suppression((lists.new().with_values({"image": [ids[1]], "host": ["gone.example"]}),))
    lock = Lock(where, 1, State())
    assert dict(purge.waves(purge.Purge(lock, held, is_dry=True), where)) == {"rows of waves": 2}
    assert [wave.rows.num_rows for wave in waves.read(where)] == [4]
    assert dict(purge.waves(purge.Purge(lock, held), where)) == {"rows of waves": 2}
    (wave,) = waves.read(where)
    assert wave.rows["image_id"].to_pylist() == [ids[0], ids[2]]
    assert not Path(begun).exists()
    assert purge.waves(purge.Purge(lock, held), where) == {}
    listed = commits.require(folder, "").files
    assert sorted(path.name for path in Path(folder).glob("*.parquet")) == [one.name for one in listed]


def test_sheets_of_labels_forget_what_was_taken_down(tiny: Config, tmp_path: Path) -> None:
    """Named pairs go from the key and both sheets, and so do those that no source has; what was filled in for others stays."""
    where = tmp_path / "pmd"
    shutil.copytree(tiny.root, where)
    ids = sorted(
        key.hex()
        for file in commits.require(root.curate_folder(str(where), "coco"), "").under("pairs")
        for key in parquet_files.read_table(root.curate_folder(str(where), "coco"), file)["pair_id"].to_pylist()
    )
    strangers = "ab" * 16
    folder = where / labelling.FOLDER
    folder.mkdir()
    (folder / labelling.KEY).write_text("pair_id,source\r\n" + "".join(f"{one},coco\r\n" for one in [*ids, strangers]))
    for name in labelling.SHEETS:
        (folder / name).write_text(
            "pair_id,text,female\r\n" + "".join(f'{one},"a, b",yes\r\n' for one in [*ids, strangers])
        )
    held = Suppression((lists.new().with_values({"pair": [bytes.fromhex(ids[0])]}),))
    lock = Lock(str(where), 1, State())
    assert dict(purge.labels(purge.Purge(lock, held, is_dry=True), str(where))) == {"texts to be labelled": 2}
    assert labelling.listed(str(where)) == {*ids, strangers}
    assert dict(purge.labels(purge.Purge(lock, held), str(where))) == {"texts to be labelled": 2}
    assert labelling.listed(str(where)) == {*ids[1:]}
    for name in labelling.SHEETS:
        lines = (folder / name).read_bytes().decode("utf-8-sig").split("\r\n")
        assert lines == ["pair_id,text,female", *(f'{one},"a, b",yes' for one in ids[1:]), ""]
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert purge.labels(purge.Purge(lock, held), str(where)) == {}


#: Where the pictures lie to which upstream's addresses lead, and what their owners may say of them.
SHOWN = "https://cdn.shown.example/their%20picture.jpg"
PHOTO = "https://live.staticflickr.com/7/5151_abcdef_b.jpg"


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A tiny ROOT in which C1 was a shortener's address of SHOWN, C2's of PHOTO, and C3's led to a host that was not asked."""

    def attempt(image_id: bytes, *args: object, **kwargs: str | None) -> Attempt:
        if image_id == C3:
            kwargs["headers"] = json.dumps({"location": "http://last.example/3.jpg"}, separators=(",", ":"))
        return Attempt(image_id, *args, **{"final_url": {C1: SHOWN, C2: PHOTO}.get(image_id), **kwargs})  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_root, "Attempt", attempt)
        patch.setattr(tiny_root, "_web", different)
        return tiny_root.build(tmp_path_factory.mktemp("led"))


def different() -> dict[bytes, bytes]:
    return {C1: tiny_root.picture((9, 0, 0), (64, 48)), C2: tiny_root.picture((0, 9, 0), (64, 48))}


@pytest.mark.parametrize(
    ("said", "images"),
    [
        (SHOWN, {C1}),
        ("http://cdn.shown.example/their%20picture.jpg", {C1}),
        ("host:shown.example", {C1}),
        ("https://www.flickr.com/photos/somebody/5151/", {C2}),
        ("http://farm1.staticflickr.com/2/5151_abcdef.jpg", {C2}),
        ("host:last.example", {C3}),
    ],
)
def test_a_picture_is_known_where_a_redirect_leads_to(led: Config, said: str, images: set[bytes]) -> None:
    word = requests.read_word(said)
    assert prove.prove(led.root, Suppression(), [word]).left
    found = matched(led, said)
    assert found.images & {C1, C2, C3, C4} == images
    assert found.unmatched == ()
    # So it is with lists alone, which another ROOT has made.
    held = Suppression((lists.new().with_values(requests.values_of([word])),))
    assert matching.resolve(led.root, [], led.sources, held).images & {C1, C2, C3, C4} == images


@pytest.mark.parametrize(("said", "image_id"), [(SHOWN, C1), ("https://flickr.com/photos/somebody/5151/", C2)])
def test_explain_knows_a_picture_where_a_redirect_leads_to(led: Config, said: str, image_id: bytes) -> None:
    found = explain.explain(led.root, said)
    assert [one["row"]["image_id"] for one in found["images"]] == [image_id.hex()]
    with pytest.raises(PmdError, match="nothing here is called"):
        explain.explain(led.root, "http://cdn.shown.example/another.jpg")


def test_redirects_name_nothing_that_is_not_meant(led: Config) -> None:
    assert not matched(led, "host:other.example", "http://cdn.shown.example/another.jpg").images & {C1, C2, C3, C4}


@pytest.mark.parametrize(
    ("line", "images"),
    [
        (SHOWN, {C1}),
        ("https://www.flickr.com/photos/somebody/5151/", {C2}),
        ("http://last.example/3.jpg", {C3}),
        (image(SHOWN).hex(), {C1}),
        ("http://last.example/4.jpg", set()),
        ("coco/7", set()),
    ],
)
def test_a_file_of_takedowns_means_where_redirects_have_led(
    led: Config, tmp_path: Path, line: str, images: set[bytes]
) -> None:
    path = tmp_path / "takedown.txt"
    path.write_text(line, encoding="utf-8")
    listing = dataclasses.replace(led, takedown=(str(path),))
    (found,) = images_needs.taken_down(listing)
    assert found.known == images
    # Only what the ledger tells makes the images stale, besides the list.
    assert ("takedown, by bytes" in images_needs.of(listing).wanted.inputs) == bool(images)
    taken = images_rules.Takedown.of([found])
    (batch,) = tiny_pairs(led, C1, C2, C3).to_batches()
    assert {*batch["image_id"].filter(pa.array(taken_images(taken, batch))).to_pylist()} == images
    # What a driver has found out is not looked for again.
    there = Standing(led.root)
    takedowns.resolved(there, [found])
    there.generations = dataclasses.replace(there.generations, answers=there.found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redirects, "led", lambda known: pytest.fail("read once more"))
        assert takedowns.resolved(there, [found])[0].known == images


def tiny_pairs(config: Config, *images: bytes) -> pa.Table:
    found = pa.Table.from_batches(copies.batches(config.root, images_rules.NEEDED))
    return found.filter(pc.is_in(found["image_id"], keys.key_array(images))).combine_chunks()


def taken_images(takedown: images_rules.Takedown, pairs: pa.RecordBatch) -> list[bool]:
    asked = Asked.only()
    left = images_rules.spread(pairs, asked, takedown=takedown)["reason"]
    return [reason == "takedown" for reason in left.to_pylist()]


#: A picture of somebody's own site, as WordPress scales it and as the Internet Archive keeps it.
SCALED = "https://i0.wp.com/home.example/uploads/child.jpg?resize=640%2C480"
KEPT = "https://web.archive.org/web/2014id_/http://home.example/uploads/child.jpg"
OWN = "http://home.example/uploads/child.jpg"


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A tiny ROOT in which two pairs show a picture that lies elsewhere, under addresses that hold its own."""
    with pytest.MonkeyPatch.context() as patch:
        told = [("a child at the sea", SCALED), ("somebody at the sea", KEPT), *tiny_root._CC3M]
        patch.setattr(tiny_root, "_CC3M", told)
        return tiny_root.build(tmp_path_factory.mktemp("scaled"))


@pytest.mark.parametrize(
    "said",
    [
        OWN,
        "https://home.example./uploads/%63hild.jpg",
        "host:home.example",
        f"url:{OWN.partition('://')[2]}",
        f"https://www.google.com/imgres?q=child&imgurl={parse.quote(OWN, safe='')}&imgrefurl=http%3A%2F%2Fhome.example",
        f"https://www.google.com/imgres?imgurl={parse.quote('https://home.example./uploads/%63hild.jpg', safe='')}",
        SCALED.replace("i0.wp.com", "i2.wp.com"),
    ],
)
def test_a_picture_is_known_under_addresses_that_hold_its_own(scaled: Config, tmp_path: Path, said: str) -> None:
    wanted = {image(SCALED), image(KEPT)}
    word = requests.read_word(said)
    found = matched(scaled, said)
    assert (found.images & {*wanted, C1, C2, C3, C4}, found.unmatched, found.pairs) == (wanted, (), 2)
    # So it is in a rebuild by the list, and by a line of a file.
    held = Suppression((lists.new().with_values(requests.values_of([word])),))
    there = tiny_pairs(scaled, *wanted, C1)
    assert rows.pairs(held, there).tolist() == [image_id in wanted for image_id in there["image_id"].to_pylist()]
    if word.named is not None:
        path = tmp_path / "takedown.txt"
        path.write_text(said, encoding="utf-8")
        taken = images_rules.Takedown.of(takedowns.lines([str(path)]))
        (batch,) = there.to_batches()
        assert taken_images(taken, batch) == [image_id in wanted for image_id in there["image_id"].to_pylist()]


def test_explain_knows_a_picture_under_addresses_that_hold_its_own(scaled: Config) -> None:
    found = explain.explain(scaled.root, OWN)
    assert {one["row"]["image_id"] for one in found["images"]} == {image(SCALED).hex(), image(KEPT).hex()}


def test_addresses_that_hold_others_name_nothing_that_is_not_meant(scaled: Config) -> None:
    said = ("http://home.example/uploads/other.jpg", "host:uploads", "http://i0.wp.com/other.example/uploads/child.jpg")
    assert not matched(scaled, *said).images & {image(SCALED), image(KEPT)}


def test_redirects_are_read_once_and_by_columns(led: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = redirects.led
    monkeypatch.setattr(redirects, "led", lambda known: read.append(1) or real(known))
    monkeypatch.setattr(urls, "canonical_one", lambda url: pytest.fail(f"{url} was looked at by itself"))
    asked = [requests.Request(1, (C1.hex(),), keeps_looks=True), requests.Request(2, (C2.hex(),))]
    assert {C1, C2} <= matching.resolve(led.root, asked, led.sources, Suppression()).images
    assert read == [1]


def test_groups_are_looked_through_a_part_at_a_time(tmp_path: Path) -> None:
    """Who stands for whom was held for all images: 300 bytes a duplicate, some gigabytes at PMD's size."""
    dice = np.random.default_rng(0)
    ids = [bytes(row) for row in dice.integers(0, 256, (40_000, 16), np.uint8)]
    equal, alike = zip(ids[0::2], ids[1::2], strict=True), zip(ids[1::4], ids[3::4], strict=True)
    found = dedupe_rules.resolved(
        pa.concat_tables(
            [
                dedupe_rules.related(*zip(*((one, other, relation, 0) for one, other in pairs), strict=True))
                for relation, pairs in ((dedupe_rules.SAME_BYTES, equal), (dedupe_rules.NEAR_DUPLICATE, alike))
            ]
        )
    )
    at = exchange.partitions(found["image_id"], 5)
    folder = root.dedupe_folder(str(tmp_path))
    files = [
        parquet_files.put_table(folder, f"groups/{flow.part(part, 5)}", found.filter(pa.array(at == part)))
        for part in range(2**5)
    ]
    commits.write(folder, Commit(flow.DEDUPE.name, tuple(files), {}, "", {}))
    clump = {*ids[4:8]}  # 4 has the bytes of 5, 6 those of 7, and 5 looks like 7
    tracemalloc.start()
    try:
        for one in clump:
            assert copies._alike(str(tmp_path), {one}) == clump
        assert copies._alike(str(tmp_path), {b"a" * 16}) == set()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1 << 20  # and 6 MB before
