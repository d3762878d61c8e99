"""A web archive's copy: asked last, only for what is gone, and never where somebody has said no."""

from __future__ import annotations

from pathlib import Path

import pytest

from pmd.config.options import FetchOptions
from pmd.fetch.generations import store
from pmd.fetch.lane.engine import Lane
from pmd.fetch.ledger import state
from pmd.schema import keys
from tests.fetch.conftest import Web, image_row, options, photo, reply, table

TEMPLATE = "http://archive.example/web/2014id_/{url}"
COPY = "archive.example/web/2014id_/http://gone.example/a.jpg"


def fetched(folder: Path, web: Web, *urls: str, retry: tuple[str, ...] = (), **changes: object) -> dict[str, object]:
    """Fetch one image, and return what stands for it."""
    images = table(image_row("x", *urls))
    chosen = options(web, web_archive=TEMPLATE, robots=False, **changes)
    with Lane(chosen, contact="mailto:us@example.org") as lane:
        store.run_shard(store.Order(str(folder), 0, images, chosen, retry=retry), lane)
    row = state.read_ledger(str(folder), 0).to_pylist()[0]
    assert row["image_id"] == keys.image_id("x")
    return dict(row)


def test_what_is_gone_is_taken_from_the_archive(web: Web, tmp_path: Path) -> None:
    web.routes[COPY] = reply(photo())
    row = fetched(tmp_path, web, "http://gone.example/a.jpg")
    assert (row["status"], row["location"]) == ("ok", TEMPLATE.replace("{url}", "http://gone.example/a.jpg"))
    assert [request.host for request in web.asked()] == ["gone.example", "archive.example"]


def test_what_is_there_is_not_looked_for_in_the_archive(web: Web, tmp_path: Path) -> None:
    web.routes["gone.example/a.jpg"] = reply(photo())
    assert fetched(tmp_path, web, "http://gone.example/a.jpg")["location"] == "http://gone.example/a.jpg"
    assert not web.asked("archive.example")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (reply(status=403), "forbidden"),
        (reply(photo(), X_Robots_Tag="noai"), "opted_out"),
        (reply(status=404, X_Robots_Tag="noai"), "opted_out"),
    ],
    ids=["forbidden", "opted out", "gone and opted out"],
)
def test_a_no_is_not_gone_round(web: Web, tmp_path: Path, answer: bytes, status: str) -> None:
    web.routes["gone.example/a.jpg"] = answer
    web.routes[COPY] = reply(photo())
    for _ in range(2):
        assert fetched(tmp_path, web, "http://gone.example/a.jpg", "http://gone.example/b.jpg")["status"] == status
    assert not web.asked("archive.example")
    assert len(web.asked("gone.example")) == 2


def test_what_the_host_said_when_the_copy_was_taken_holds(web: Web, tmp_path: Path) -> None:
    for number, said in enumerate(
        (
            {"X_Archive_Orig_X_Robots_Tag": "noimageai"},
            {"X_Archive_Orig_TDM_Reservation": "1"},
            {"X_Archive_Orig_Content_Signal": "ai-train=no"},
        )
    ):
        web.routes[COPY] = reply(photo(), **said)
        assert fetched(tmp_path / str(number), web, "http://gone.example/a.jpg", tdmrep=True)["status"] == "opted_out"


def test_what_was_lost_before_is_looked_for_once_the_option_is_set(web: Web, tmp_path: Path) -> None:
    images = table(image_row("x", "http://gone.example/a.jpg"))
    plain = options(web, robots=False)
    with Lane(plain, contact="mailto:us@example.org") as lane:
        store.run_shard(store.Order(str(tmp_path), 0, images, plain), lane)
    assert state.read_ledger(str(tmp_path), 0)["status"].to_pylist() == ["dead"]
    web.routes[COPY] = reply(photo())
    assert fetched(tmp_path, web, "http://gone.example/a.jpg")["status"] == "ok"
    assert [request.host for request in web.asked()] == ["gone.example", "archive.example"]


@pytest.mark.parametrize(
    "template", ["http://archive.example/", "archive.example/{url}", "http://a.example/{url}/{url}"]
)
def test_a_template_that_cannot_be_one_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"an address with \{url\} in it"):
        FetchOptions(web_archive=template)


def test_img2dataset_cannot_be_asked_to(web: Web) -> None:
    with pytest.raises(ValueError, match="beside web_archive"):
        FetchOptions(web_archive=TEMPLATE, engine="img2dataset")
