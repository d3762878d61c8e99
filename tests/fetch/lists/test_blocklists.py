"""Content that must not be kept: how lists are read, what matches, and that nothing else is written down of it."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from pmd import codec
from pmd.errors import InputError
from pmd.fetch import outcome
from pmd.fetch.generations import store
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import state
from pmd.fetch.lists import blocklists
from pmd.schema import keys
from pmd.schema.tables import LEDGER
from pmd.store import commits, storage
from pmd.suppression import lists
from pmd.suppression.lists import Suppression
from pmd.text import urls
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table

PHOTO = photo(seed=5)
DIGEST = hashlib.sha256(PHOTO).hexdigest()
PDQ = codec.prepare(PHOTO, codec.Limits(), codec.Form(), hashed=True).perceptual_hash or b""


def written(folder: Path, *lines: str) -> str:
    path = folder / "private.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def reencoded() -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(PHOTO)).resize((200, 188)).save(buffer, "JPEG", quality=70)
    return buffer.getvalue()


def flipped(hash_: bytes, bits: int) -> bytes:
    return (int.from_bytes(hash_, "big") ^ ((1 << bits) - 1)).to_bytes(32, "big")


def test_entries_and_their_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "# private", f"sha256:{DIGEST} case-7  # seen", "", f"pdq:{PDQ.hex().upper()}")
    found = blocklists.read([path])
    assert found.match(bytes.fromhex(DIGEST), None) == "case-7"
    assert found.match(None, PDQ) == "private.txt:4"
    assert found.match(None, flipped(PDQ, 31)) == "private.txt:4"
    assert found.match(None, flipped(PDQ, 32)) is None
    assert found.match(bytes(32), None) is None
    assert not blocklists.read([])


def test_a_list_of_windows_is_read_and_one_in_utf_16_refused(tmp_path: Path) -> None:
    path = tmp_path / "private.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"sha256:{DIGEST} case-7\r\npdq:{PDQ.hex()}".encode())
    found = blocklists.read([str(path)])
    assert (found.match(bytes.fromhex(DIGEST), None), found.match(None, PDQ)) == ("case-7", "private.txt:2")
    path.write_text(f"sha256:{DIGEST}\n", encoding="utf-16")
    with pytest.raises(InputError, match="the text is in UTF-16"):
        blocklists.read([str(path)])


@pytest.mark.parametrize("line", [DIGEST, f"md5:{DIGEST[:32]}", f"pdq:{DIGEST[:-1]}", f"sha256:{DIGEST} two ids"])
def test_a_line_that_is_no_entry_is_told_by_its_place_alone(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError) as raised:
        blocklists.read([written(tmp_path, "# private", line)])
    assert raised.value.where == f"{tmp_path}/private.txt:2"
    assert line not in str(raised.value)


def test_the_hash_of_a_flat_picture_would_block_strangers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="would block strangers") as raised:
        blocklists.read([written(tmp_path, f"pdq:{'0' * 64}")])
    assert str(raised.value.where).endswith(":1")
    listed = blocklists.read([written(tmp_path, f"pdq:{PDQ.hex()}")])
    assert listed.match(None, PDQ) is not None
    assert listed.match(None, bytes(32)) is None


@pytest.mark.parametrize("entry", [f"sha256:{DIGEST} case-7", f"pdq:{PDQ.hex()} case-7"])
def test_a_match_is_not_stored_and_only_its_id_is_written_down(web: Web, tmp_path: Path, entry: str) -> None:
    web.routes |= {
        "a.test/x": reply(PHOTO, ETag=f'"{DIGEST}"'),
        "b.test/x": reply(photo(seed=6)),
        "c.test/y": reply(photo(seed=70)),
    }
    rows = table(image_row("x", "http://a.test/x", "http://b.test/x"), image_row("y", "http://c.test/y"))
    chosen = options(web, blocklists=(written(tmp_path, entry),))
    with Lane(chosen, contact="", patience=HASTE) as lane:
        got = {fetched.image_id: fetched for fetched in lane.fetch(rows)}
    assert got[keys.image_id("y")].status == "ok"
    blocked = got[keys.image_id("x")]
    assert blocked == outcome.Fetched(
        keys.image_id("x"), "blocked_content", "http://a.test/x", ("http://a.test/x",), blocked.attempts
    )
    (attempt,) = blocked.attempts
    assert (attempt.status, attempt.error, attempt.headers) == ("blocked_content", "blocklist entry case-7", None)
    assert not web.asked("b.test")


def test_a_copy_in_another_size_and_an_archive_s_member_are_found(web: Web, tmp_path: Path) -> None:
    web.routes["a.test/x"] = reply(reencoded())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x.jpg").write_bytes(reencoded())
    rows = table(image_row("web", "http://a.test/x"), image_row("file", f"{tmp_path}/folder!/x.jpg"))
    chosen = options(web, blocklists=(written(tmp_path, f"pdq:{PDQ.hex()}"),))
    with Lane(chosen, contact="", patience=HASTE) as lane:
        assert {fetched.status for fetched in lane.fetch(rows)} == {"blocked_content"}


def test_what_was_blocked_stays_so_until_it_is_retried() -> None:
    image_id = keys.image_id("x")

    def ledger(status: str, generation: int) -> pa.Table:
        row = {"image_id": image_id, "status": status, "generation": generation, "tried": ["http://a.test/x"]}
        return pa.Table.from_pylist([row], schema=LEDGER)

    blocked = state.effective([ledger("ok", 0), ledger("blocked_content", 1)])
    assert blocked["status"].to_pylist() == ["blocked_content"]
    images = table(image_row("x", "http://a.test/x", "http://new.test/x"))
    assert state.wanted(images, blocked).num_rows == 0
    assert state.wanted(images, blocked, ["blocked_content"]).num_rows == 1
    again = state.effective([ledger("ok", 0), ledger("blocked_content", 1), ledger("ok", 2)])
    assert again["generation"].to_pylist() == [2]


def test_a_list_that_grows_judges_what_is_stored(web: Web, tmp_path: Path) -> None:
    web.routes |= {"a.test/x": reply(PHOTO), "a.test/y": reply(photo(seed=70))}
    rows = table(image_row("x", "http://a.test/x"), image_row("y", "http://a.test/y"))
    folder = str(tmp_path / "root")

    def fetched(*entries: str) -> commits.Commit | None:
        chosen = options(web, blocklists=(written(tmp_path, *entries),))
        with Lane(chosen, contact="", patience=HASTE) as lane:
            return store.run_shard(store.Order(folder, 0, rows, chosen), lane)

    fetched("# none yet")
    asked = len(web.log)
    commit = fetched(f"pdq:{PDQ.hex()} case-7")
    assert commit is not None
    assert commit.sources == {"coco": commits.Books(0, {"blocked_content": 1})}
    row, other = sorted(state.read_ledger(folder, 0).to_pylist(), key=lambda row: str(row["status"]))
    assert (row["status"], row["sha256"], row["perceptual_hash"], row["store_file"]) == ("blocked_content", *[None] * 3)
    assert other["status"] == "ok"
    assert fetched(f"pdq:{PDQ.hex()} case-7") is None
    assert len(web.log) == asked
    assert len([name for name in storage.list_files(folder) if name.endswith(".tar")]) == 1


@pytest.mark.parametrize("is_kept", [False, True], ids=["by a list", "by what a source has kept"])
@pytest.mark.parametrize(
    ("kind", "value", "to"),
    [
        ("url", "shown.test/~her/photo.jpg", "http://shown.test/%7Eher/photo.jpg"),
        ("host", "shown.test", "http://cdn.shown.test/photo.jpg"),
        ("image", keys.image_id("flickr:4242"), "http://live.staticflickr.com/7/4242_abcdef_b.jpg"),
    ],
)
def test_a_redirect_does_not_lead_to_what_was_taken_down(
    web: Web, tmp_path: Path, kind: str, value: str | bytes, to: str, *, is_kept: bool
) -> None:
    path = tmp_path / "suppression.json"
    one = lists.new()
    longer = one.with_values({kind: [value]})
    path.write_bytes(lists.to_bytes(one if is_kept else longer))
    kept = Suppression((longer,) if is_kept else ())
    for number, target in enumerate((to, "http://other.test/photo.jpg")):
        web.routes[f"short.test/{number}"] = reply(status=302, Location=target)
        web.routes[target.partition("://")[2]] = reply(PHOTO)
    rows = table(*(image_row(str(number), f"http://short.test/{number}", "http://mirror.test/x") for number in (0, 1)))
    blocklist = blocklists.read([str(path)]).with_kept_out(kept)
    with Lane(options(web, blocklists=(str(path),)), contact="", patience=HASTE, blocklist=blocklist) as lane:
        got = {fetched.image_id: fetched for fetched in lane.fetch(rows)}
        known = {*lane.policies, *lane.reservations}
    blocked, kept = got[keys.image_id("0")], got[keys.image_id("1")]
    assert (blocked.status, kept.status) == ("blocked_content", "ok")
    (attempt,) = blocked.attempts  # and no mirror is asked
    assert attempt.error == "blocklist entry of a suppression list"
    assert (attempt.final_url, attempt.headers, attempt.http_status, attempt.policy_evidence) == (None,) * 4
    assert not web.asked("mirror.test")
    assert not [origin for origin in known if urls.host_of(to) == urls.host_of(origin)]


@pytest.mark.parametrize("said", [{"X_Robots_Tag": "noai"}, {}], ids=["it says no", "one too many"])
def test_where_a_redirect_would_have_led_to_what_was_taken_down_is_not_written_down(
    web: Web, tmp_path: Path, said: dict[str, str]
) -> None:
    path = tmp_path / "suppression.json"
    path.write_bytes(lists.to_bytes(lists.new().with_values({"host": ["shown.test"]})))
    web.routes |= {
        f"{to}.test/x": reply(
            status=302, Location=f"http://{to}.shown.test/y" if to == "down" else "//else.test/y", **said
        )
        for to in ("down", "other")
    }
    chosen = options(web, blocklists=(str(path),), max_redirects=0)
    rows = table(*(image_row(to, f"http://{to}.test/x") for to in ("down", "other")))
    with Lane(chosen, contact="", patience=HASTE) as lane:
        got = {fetched.image_id: fetched for fetched in lane.fetch(rows)}
    assert got[keys.image_id("down")].status == "blocked_content"
    assert got[keys.image_id("down")].attempts[0].headers is None
    assert got[keys.image_id("other")].status == ("opted_out" if said else "too_many_redirects")
    assert '"location":"//else.test/y"' in (got[keys.image_id("other")].attempts[0].headers or "")
