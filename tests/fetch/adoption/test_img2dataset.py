"""img2dataset in a lane's place: what it is given, what is made of its files, and that it does not outlive us.

A stand-in that writes img2dataset's files runs here (`tests/fetch/fake`); benchmarks/img2dataset_roundtrip.py runs the real one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pmd import config
from pmd.config import InvalidConfig
from pmd.config.options import FetchOptions
from pmd.errors import ConfigError, NetworkError, PmdError
from pmd.fetch.adoption import img2dataset
from pmd.fetch.adoption.img2dataset import Img2dataset
from pmd.fetch.generations import store
from pmd.fetch.lane.engine import Lane
from pmd.fetch.lane.images import Image
from pmd.fetch.ledger import state, stored
from pmd.fetch.lists import blocklists, reference_lists
from pmd.fetch.lists.blocklists import Blocklist
from pmd.suppression import lists
from pmd.suppression.lists import Suppression
from pmd.text import url_identity
from tests.fetch.conftest import HASTE, Web, image_row, options, photo, reply, table
from tests.fetch.lists.test_reference_lists import known, reencoded

FAKE = Path(__file__).parents[1] / "fake"
PHOTO = photo(640, 480, seed=3)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE))


@pytest.mark.parametrize(
    ("message", "status", "http_status"),
    [
        ("HTTP Error 404: Not Found", "dead", 404),
        ("HTTP Error 403: Forbidden", "forbidden", 403),
        ("HTTP Error 429: Too Many Requests", "rate_limited", 429),
        ("HTTP Error 503: Service Unavailable", "rate_limited", 503),
        ("HTTP Error 500: X", "server_error", 500),
        ("HTTP Error 308: Permanent Redirect", "too_many_redirects", 308),
        (
            "HTTP Error 302: The HTTP server returned a redirect error that would lead to an infinite loop.\n"
            "The last 30x error message was:\nFound",
            "too_many_redirects",
            302,
        ),
        ("Use of image disallowed by X-Robots-Tag directive", "opted_out", None),
        ("<urlopen error [Errno -2] Name or service not known>", "dns", None),
        ("<urlopen error [Errno -3] Temporary failure in name resolution>", "dns", None),
        ("<urlopen error [Errno -5] No address associated with hostname>", "dns", None),
        ("encoding with 'idna' codec failed (UnicodeError: label too long)", "dns", None),
        ("<urlopen error [Errno 111] Connection refused>", "connection", None),
        ("<urlopen error [Errno 113] No route to host>", "connection", None),
        ("[Errno 104] Connection reset by peer", "connection", None),
        ("Remote end closed connection without response", "connection", None),
        ("IncompleteRead(10 bytes read, 90 more expected)", "connection", None),
        ("<urlopen error [Errno 110] Connection timed out>", "timeout", None),
        ("<urlopen error timed out>", "timeout", None),
        ("The read operation timed out", "timeout", None),
        ("<urlopen error _ssl.c:989: The handshake operation timed out>", "timeout", None),
        (
            "<urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)>",
            "tls",
            None,
        ),
        ("<urlopen error EOF occurred in violation of protocol (_ssl.c:1006)>", "tls", None),
        ("<urlopen error unknown url type: ftp>", "blocked_address", None),
        ("SSH-2.0-OpenSSH_9.2p1\r\n", "server_error", None),
        ("got more than 100 headers", "server_error", None),
        ("no answer of img2dataset for it", "connection", None),
    ],
)
def test_its_words_are_our_statuses(message: str, status: str, http_status: int | None) -> None:
    assert (img2dataset.status_of(message), img2dataset.http_status_of(message)) == (status, http_status)


def chosen_for(web: Web, **changes: object) -> FetchOptions:
    return options(web, **{"resolve": {}, "engine": "img2dataset", **changes})


def row(web: Web, name: str, *locations: str, **more: Any) -> dict[str, object]:
    url = f"http://127.0.0.1:{web.port}/{name}"
    return image_row(url_identity.of_one(url) or "", *(locations or (url,)), **more)


def serve(web: Web, **contents: bytes | list[bytes]) -> None:
    web.routes |= {f"127.0.0.1:{web.port}/{name}": content for name, content in contents.items()}


def run(
    folder: Path,
    rows: pa.Table,
    chosen: FetchOptions,
    lookup: Any = None,
    blocklist: Blocklist | None = None,
    **more: Any,
) -> dict[str, dict[str, Any]]:
    """Fetch a shard; return its ledger by the last part of the image's identity."""
    (folder / "work").mkdir(exist_ok=True)
    of_lane: dict[str, Any] = {"blocklist": blocklist, **({"lookup": lookup} if lookup else {})}
    with Lane(chosen, contact="", patience=HASTE, **of_lane) as lane:
        engine = Img2dataset(lane, chosen, str(folder / "work"))
        store.run_shard(store.Order(str(folder / "root"), 0, rows, chosen, **more), engine)
    assert list((folder / "work").iterdir()) == []
    names = {image["image_id"]: image["identity"].rpartition("/")[2] for image in rows.to_pylist()}
    return {names[found["image_id"]]: found for found in state.read_ledger(str(folder / "root"), 0).to_pylist()}


def attempts(folder: Path, rows: pa.Table) -> dict[str, list[dict[str, Any]]]:
    names = {image["image_id"]: image["identity"].rpartition("/")[2] for image in rows.to_pylist()}
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (folder / "root/fetch/attempts").rglob("*.parquet"):
        for said in pq.read_table(path).to_pylist():
            found.setdefault(names[said["image_id"]], []).append(said)
    return found


def test_images_end_as_they_would_with_our_own_engine(web: Web, tmp_path: Path) -> None:
    blocked = photo(640, 480, seed=150)
    private = tmp_path / "private.txt"
    private.write_text(f"sha256:{hashlib.sha256(blocked).hexdigest()} case-7\n", encoding="utf-8")
    serve(
        web,
        good=reply(PHOTO),
        whole=reply(PHOTO),
        moved=reply(b"", 302, Location="/good"),
        busy=reply(b"", 503),
        page=reply(b"<html>not here</html>" * 20),
        broken=reply(PHOTO[: len(PHOTO) // 2]),
        large=reply(photo(2000, 2000)),
        tagged=reply(PHOTO, X_Robots_Tag="noai"),
        blocked=reply(blocked),
        changed=reply(photo(640, 480, seed=201)),
        again=reply(reencoded(PHOTO)),
    )
    names = ("good", "moved", "gone", "busy", "page", "broken", "large", "tagged", "blocked", "changed", "again")
    rows = table(*(row(web, name) for name in names), row(web, "whole", has_region=True))
    limit = len(photo(2000, 2000)) - 1
    ids = {image["identity"].rpartition("/")[2]: image["image_id"] for image in rows.to_pylist()}
    listed: reference_lists.Listed = {ids[name]: [known(PHOTO)] for name in ("changed", "again", "good")}
    chosen = chosen_for(web, max_bytes=limit, blocklists=(str(private),))
    got = run(tmp_path, rows, chosen, listed=listed)
    assert {name: found["status"] for name, found in got.items()} == {
        "good": "ok",
        "whole": "ok",
        "moved": "ok",
        "gone": "dead",
        "busy": "rate_limited",
        "page": "not_an_image",
        "broken": "undecodable",
        "large": "too_large",
        "tagged": "opted_out",
        "blocked": "blocked_content",
        "changed": "changed",
        "again": "ok",
    }
    assert (got["good"]["listed"], got["again"]["listed"]) == ("same", "reencoded")
    assert (got["good"]["stored_form"], got["good"]["stored_height_px"]) == ("resized", 256)
    assert (got["good"]["sha256"], got["good"]["bytes"]) == (hashlib.sha256(PHOTO).digest(), len(PHOTO))
    assert stored.read(str(tmp_path / "root"), got["whole"]) == PHOTO
    assert got["good"]["location"] == f"http://127.0.0.1:{web.port}/good"
    tries = attempts(tmp_path, rows)
    assert (tries["gone"][0]["http_status"], tries["gone"][0]["error"]) == (404, "HTTP Error 404: X")
    assert tries["good"][0]["policy"] == "allowed"
    assert "robots.txt" in tries["good"][0]["policy_evidence"]
    assert tries["tagged"][0]["policy"] == "denied by X-Robots-Tag"
    assert tries["blocked"][0]["policy_evidence"] is None
    assert {request.path: request.headers["user-agent"] for request in web.asked()}["/good"].find(
        "compatible; pmd;"
    ) > 0
    before = len(web.log)
    assert run(tmp_path, rows, chosen) == got
    assert len(web.log) == before


def test_locations_are_tried_in_order_and_archives_are_read_by_us(web: Web, tmp_path: Path) -> None:
    serve(web, second=reply(PHOTO))
    with zipfile.ZipFile(tmp_path / "coco.zip", "w") as archive:
        archive.writestr("one.jpg", PHOTO)
        archive.writestr("page.jpg", b"<html>")
    base = f"http://127.0.0.1:{web.port}"
    rows = table(
        row(web, "two", f"{base}/first", f"{base}/second", f"{base}/third"),
        row(web, "local", f"{tmp_path}/coco.zip!/one.jpg", f"{base}/never"),
        row(web, "both", f"{tmp_path}/coco.zip!/page.jpg", f"{base}/second"),
        row(web, "nowhere", f"{tmp_path}/coco.zip!/page.jpg"),
        image_row("none/at-all"),
    )
    got = run(tmp_path, rows, chosen_for(web))
    assert {name: (found["status"], found["location"]) for name, found in got.items()} == {
        "two": ("ok", f"{base}/second"),
        "local": ("ok", f"{tmp_path}/coco.zip!/one.jpg"),
        "both": ("ok", f"{base}/second"),
        "nowhere": ("not_an_image", f"{tmp_path}/coco.zip!/page.jpg"),
        "at-all": ("no_location", None),
    }
    assert got["two"]["tried"] == [f"{base}/first", f"{base}/second"]
    assert got["both"]["tried"] == sorted([f"{tmp_path}/coco.zip!/page.jpg", f"{base}/second"])
    assert sorted({request.path for request in web.asked()}) == ["/first", "/second"]


def test_where_redirects_lead_is_looked_at_when_the_picture_is_there(web: Web, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{web.port}"
    taken_down = lists.new().with_values({"url": [f"{base}/taken"]})
    (tmp_path / "suppression.json").write_bytes(lists.to_bytes(taken_down))
    serve(web, **{"robots.txt": reply(b"User-agent: *\nDisallow: /private\n", Content_Type="text/plain")})
    names = ("there", "taken", "private", "tagged", "starred", "reserved", "usage")
    serve(
        web,
        there=reply(PHOTO, ETag="7"),
        taken=reply(PHOTO),
        private=reply(PHOTO),
        tagged=reply(PHOTO),
        starred=reply(PHOTO, X_Robots_Tag="*: noai"),
        reserved=reply(PHOTO, tdm_reservation="1"),
        usage=reply(PHOTO, Content_Usage="train-ai=n"),
    )
    serve(web, **{f"to-{name}": reply(b"", 302, Location=f"/{name}") for name in names if name != "tagged"})
    serve(web, **{"to-tagged": reply(b"", 302, Location="/tagged", X_Robots_Tag="noimageai")})
    rows = table(*(row(web, f"to-{name}") for name in names))
    got = run(tmp_path, rows, chosen_for(web, blocklists=(str(tmp_path / "suppression.json"),)))
    assert {name: found["status"] for name, found in got.items()} == {
        "to-there": "ok",
        "to-taken": "blocked_content",
        "to-private": "opted_out",
        "to-tagged": "opted_out",
        "to-starred": "opted_out",
        "to-reserved": "opted_out",
        "to-usage": "opted_out",
    }
    tries = {name: found for name, (found,) in attempts(tmp_path, rows).items()}
    assert {name: found["policy"] for name, found in tries.items()} == {
        "to-there": "allowed",
        "to-taken": None,
        "to-private": "denied by robots.txt",
        "to-tagged": "denied by X-Robots-Tag",
        "to-starred": "denied by X-Robots-Tag",
        "to-reserved": "denied by TDMRep",
        "to-usage": "denied by Content-Usage",
    }
    assert (tries["to-there"]["final_url"], tries["to-there"]["http_status"]) == (f"{base}/there", 200)
    assert '"etag":"7"' in tries["to-there"]["headers"]
    assert (tries["to-taken"]["final_url"], tries["to-taken"]["headers"]) == (None, None)


def test_where_a_redirect_has_led_to_what_sources_have_kept_out_is_not_written_down(web: Web, tmp_path: Path) -> None:
    """Though the answer on the way says no as well, which would be told with the address."""
    serve(web, kept=reply(PHOTO), way=reply(b"", 302, Location="/kept", X_Robots_Tag="noai"))
    kept = lists.new().with_values({"url": [f"http://127.0.0.1:{web.port}/kept"]})
    blocklist = blocklists.read([]).with_kept_out(Suppression((kept,)))
    got = run(tmp_path, rows := table(row(web, "way")), chosen_for(web, robots=False), blocklist=blocklist)
    assert got["way"]["status"] == "blocked_content"
    ((tried,),) = attempts(tmp_path, rows).values()
    assert (tried["final_url"], tried["headers"], tried["policy"]) == (None, None, None)


def test_an_error_before_a_picture_says_no_to_its_use_alone(web: Web, tmp_path: Path) -> None:
    """Hosts keep their pages of errors out of search engines; the next try may bring the picture."""
    serve(web, page=[reply(status=503, X_Robots_Tag="noindex"), reply(PHOTO)])
    serve(web, use=[reply(status=503, X_Robots_Tag="noai"), reply(PHOTO)])
    got = run(tmp_path, table(row(web, "page"), row(web, "use")), chosen_for(web, retries=1, robots=False))
    assert {name: found["status"] for name, found in got.items()} == {"page": "ok", "use": "opted_out"}


def test_a_picture_of_which_nobody_knows_where_it_came_from_ends_the_run(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(web, x=reply(PHOTO))
    monkeypatch.setenv("FAKE_IMG2DATASET", "otherwise")
    with pytest.raises(PmdError, match="did not say where a picture came from"):
        run(tmp_path, table(row(web, "x")), chosen_for(web))


def test_what_may_not_be_asked_for_is_not_handed_on(web: Web, tmp_path: Path) -> None:
    serve(web, **{"robots.txt": reply(b"User-agent: *\nDisallow: /private\n", Content_Type="text/plain")})
    reserved = b'[{"location": "/reserved", "tdm-reservation": 1}]'
    serve(web, **{".well-known/tdmrep.json": reply(reserved, Content_Type="application/json")}, open=reply(PHOTO))
    base = f"127.0.0.1:{web.port}"
    answers = {"mixed.test": ["127.0.0.1", "10.0.0.7"], "inside.test": ["10.0.0.7"]}
    rows = table(
        row(web, "open"),
        row(web, "private/x"),
        row(web, "reserved"),
        row(web, "literal", "http://10.0.0.7/literal"),
        row(web, "metadata", "http://169.254.169.254/latest"),
        row(web, "inside", "http://inside.test/x"),
        row(web, "mixed", f"http://mixed.test:{web.port}/x"),
        row(web, "unknown", "http://unknown.test/x"),
    )

    def lookup(host: str) -> list[str]:
        if host in answers:
            return answers[host]
        raise OSError(f"no such name {host}")

    got = run(tmp_path, rows, chosen_for(web), lookup)
    assert {name: found["status"] for name, found in got.items()} == {
        "open": "ok",
        "x": "opted_out",
        "reserved": "opted_out",
        "literal": "blocked_address",
        "metadata": "blocked_address",
        "inside": "blocked_address",
        "mixed": "blocked_address",
        "unknown": "dns",
    }
    assert [(request.host, request.path) for request in web.asked()] == [(base, "/open")]
    assert attempts(tmp_path, rows)["x"][0]["policy"] == "denied by robots.txt"


def test_a_url_is_handed_on_in_the_form_that_was_judged(web: Web, tmp_path: Path) -> None:
    serve(web, **{"@10.0.0.7/x": reply(PHOTO)})
    # To a browser the backslash ends the host, to urllib what follows "@" is it.
    rows = table(row(web, "x", f"http://127.0.0.1:{web.port}\\@10.0.0.7/x"))
    assert run(tmp_path, rows, chosen_for(web, timeout_s=1.0))["x"]["status"] == "ok"


def test_a_broken_network_is_no_loss_of_images(web: Web) -> None:
    image = Image(b"i" * 16, (), has_region=False, before=frozenset(), standing=None)
    lost = [(image, f"http://host{n}.test/x", "connection", "refused") for n in range(60)]
    with (
        Lane(chosen_for(web), contact="", patience=HASTE) as lane,
        pytest.raises(NetworkError, match="network does not work"),
    ):
        lane.heard([(image, "http://good.test/x", "ok", None), *lost])
    again = Image(b"i" * 16, (), has_region=False, before=frozenset(), standing=None, was_unreached=True)
    with Lane(chosen_for(web), contact="", patience=HASTE) as lane:
        lane.heard([(again, *rest) for _, *rest in lost])  # type: ignore[misc]


def test_a_run_that_fails_is_told_and_leaves_nothing(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_IMG2DATASET", "fail")
    with pytest.raises(PmdError, match="img2dataset failed") as raised:
        run(tmp_path, table(row(web, "x")), chosen_for(web))
    assert "no space left" in str(raised.value.found)
    assert state.read_ledger(str(tmp_path / "root"), 0).num_rows == 0
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []


def test_it_is_ended_where_its_lane_is_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "pid"
    monkeypatch.setenv("FAKE_IMG2DATASET", f"hang {told}")
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    log = tmp_path / "log"
    with pytest.raises(CancelledError):
        img2dataset._run(
            '{"url_list": "x"}',
            img2dataset._environment(None, tmp_path, tmp_path / "answers"),
            log,
            lambda: told.exists() and bool(told.read_text()),
        )
    pid = int(told.read_text())
    assert _waited(lambda: not _runs(pid))


def test_it_does_not_outlive_us(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from pmd.fetch.adoption import img2dataset; "
        f"log = Path({str(tmp_path / 'log')!r}); "
        'img2dataset._run(\'{"url_list": "x"}\', img2dataset._environment(None, Path(), log), log, bool)'
    )
    told = tmp_path / "pid"
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": f"{FAKE}:{root}", "FAKE_IMG2DATASET": f"hang {told}"}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    try:
        pid = int(_waited(lambda: told.exists() and told.read_text()))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _waited(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _waited(what: Any) -> Any:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("nothing came")


def test_it_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="img2dataset is not installed") as raised:
        img2dataset.require()
    assert "pip install 'pmd[img2dataset]'" in str(raised.value.remedy)


def test_it_cannot_be_rerouted() -> None:
    with pytest.raises(InvalidConfig) as raised:
        config.parse(
            'root = "out"\ncontact = "mailto:a@b.org"\n[sources.conceptual_captions]\nannotations = ["x.tsv"]\n'
            '[fetch]\nengine = "img2dataset"\nresolve = { "*:80" = "127.0.0.1:8080" }\n'
        )
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (6, "fetch.engine")
    assert "cannot be told to connect elsewhere" in problem.expected
