"""A wave, asked: two builds' time apart, with known deaths; killed and gone on with; ledger and store as they were."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

from pmd import cli, config
from pmd.config import Config
from pmd.config.options import FetchOptions, PerHost
from pmd.errors import ConfigError, NetworkError, RootError
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.outcome import Attempt, Fetched
from pmd.inspection import diff, verify
from pmd.publish import folder
from pmd.refresh import asking, figures, telling, waves
from pmd.schema import keys
from pmd.store import commits, parquet_files, root
from pmd.text import url_identity
from tests import tiny_root
from tests.fetch.conftest import Web, reply

FIRST = datetime.datetime(2026, 2, 1, 9, tzinfo=datetime.UTC)
#: What the tiny build had from the web.
THERE = {tiny_root.C1, tiny_root.C2, tiny_root.COCO_URL, tiny_root.VG_URL}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    return tiny_root.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def mine(built: Config, tmp_path: Path) -> Config:
    shutil.copytree(built.root, tmp_path / "pmd")
    return dataclasses.replace(built, root=str(tmp_path / "pmd"))


def image_of(url: str) -> bytes:
    return keys.image_id(str(url_identity.of_one(url)))


class Asked:
    """Stands in for a lane: what is gone is dead; raises after so many answers. Notes whom it was asked for."""

    def __init__(self, gone: set[str] = frozenset(), *, ends_after: int = 10**9, status: str = "dead") -> None:  # type: ignore[assignment]
        self.gone, self.ends_after, self.status = gone, ends_after, status
        self.urls: list[str] = []
        self.answered = status not in {"dns", "connection"}
        self.stopping = False

    def opens(self, config: Config, began: datetime.datetime, stop: Stop, ask: Callable[[Any], None]) -> None:
        ask(self)

    def fetch(self, images: pa.Table, **_: Any) -> Iterator[Fetched]:
        for row in images.to_pylist():
            if self.ends_after == 0:
                raise KeyboardInterrupt
            self.ends_after -= 1
            url = row["locations"][0]["url"]
            self.urls.append(url)
            status = self.status if url in self.gone else "ok"
            attempt = Attempt(row["image_id"], url, 0, FIRST, status, 200)
            sha256 = hashlib.sha256(tiny_root._web()[row["image_id"]]).digest() if status == "ok" else None
            yield Fetched(row["image_id"], status, url, (url,), (attempt,), sha256=sha256)


def refresh(chosen: Config, lane: Asked, *, days: int = 0, images: int = 100, seed: int = 0) -> asking.Asked:
    now = FIRST + datetime.timedelta(days=days)
    with root.writer(chosen.root, "pmd refresh"):
        return asking.refresh(chosen, images, seed, clock=lambda: now, opens=lane.opens)


def digests(folder: str) -> dict[str, bytes]:
    names = ("fetch", "images", "publish", "dedupe")
    return {
        str(path): path.read_bytes()
        for name in names
        for path in Path(folder, name).rglob("*")
        if path.is_file() and path.name != "register"
    }


def test_a_wave_asks_once_for_what_was_there_and_changes_nothing_else(mine: Config) -> None:
    before = digests(mine.root)
    lane = Asked({tiny_root.C2})
    assert refresh(mine, lane) == asking.Asked("2026-02-01", 4, 4, 0)
    assert sorted(lane.urls) == sorted(THERE)
    assert digests(mine.root) == before
    (wave,) = waves.read(mine.root)
    assert wave.date == "2026-02-01"
    assert sorted(wave.rows["status"].to_pylist()) == ["dead", "ok", "ok", "ok"]
    assert sorted(map(str, wave.rows["same_bytes"].to_pylist())) == ["None", "True", "True", "True"]
    assert figures.of_wave(wave)["sources"][0]["share"] == 0.75
    found = verify.verify(mine.root)
    assert found["problems"] == []
    folder = Path(mine.root, "refresh/wave=2026-02-01")
    assert len(list(folder.iterdir())) == 2  # the table and its commit


def test_two_builds_a_week_apart_differ_by_the_deaths_that_a_wave_reports(
    mine: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web has lost one picture and found another: the second build is made of nothing, so both ask for all."""
    web = tiny_root._web()
    c2, c3 = (keys.image_id(str(url_identity.of_one(url))) for url in (tiny_root.C2, tiny_root.C3))
    web[c3] = web.pop(c2)
    with monkeypatch.context() as patched:
        patched.setattr(tiny_root, "_web", lambda: dict(web))
        later = tiny_root.build(tmp_path / "later")
    found = diff.diff(mine.root, later.root)
    (line,) = found["fared"]
    assert {name: line[name] for name in ("source", "added", "removed", "changed", "died", "revived")} == {
        "source": "conceptual_captions", "added": 0, "removed": 0, "changed": 0, "died": 1, "revived": 1,
    }  # fmt: skip
    assert line["statuses"] == [
        {"how": "died", "status": "dead", "pairs": 1},
        {"how": "revived", "status": "dead", "pairs": 1},
    ]
    shown = diff.render(found)
    assert "Pairs added, removed, changed, died and revived from A to B" in shown
    lists = diff.diff(f"{mine.root}/publish", f"{later.root}/publish")["fared"]
    assert [(row["source"], row["added"], row["removed"]) for row in lists] == [("conceptual_captions", 1, 1)]
    refresh(mine, Asked({tiny_root.C2}), days=7)
    (wave,) = waves.read(mine.root)
    (dead,) = (row for row in wave.rows.to_pylist() if row["status"] != "ok")
    assert (dead["image_id"], dead["status"], wave.date) == (c2, "dead", "2026-02-08")


def test_the_same_day_has_one_wave_and_the_next_another(mine: Config) -> None:
    refresh(mine, Asked())
    again = Asked()
    assert refresh(mine, again) == asking.Asked("2026-02-01", 4, 0, 0)
    assert again.urls == []
    assert refresh(mine, Asked({tiny_root.C1}), days=7) == asking.Asked("2026-02-08", 4, 4, 0)
    assert [wave.date for wave in waves.read(mine.root)] == ["2026-02-01", "2026-02-08"]


@pytest.mark.parametrize("answers", range(5))
def test_a_wave_that_was_killed_goes_on_and_asks_nothing_twice(mine: Config, answers: int) -> None:
    whole, first, then = Asked({tiny_root.C2}), Asked({tiny_root.C2}, ends_after=answers), Asked({tiny_root.C2})
    if answers < 4:
        with pytest.raises(KeyboardInterrupt):
            refresh(mine, first)
        assert list(waves.read(mine.root)) == []
        assert verify.verify(mine.root)["problems"] == []
    else:
        refresh(mine, first)
    refresh(mine, then, days=3 if answers < 4 else 0)  # it is the wave of the day on which it began
    assert sorted(first.urls + then.urls) == sorted(THERE)
    (wave,) = waves.read(mine.root)
    assert wave.date == "2026-02-01"
    shutil.rmtree(Path(mine.root, "refresh"))
    refresh(mine, whole)
    (other,) = waves.read(mine.root)
    assert wave.rows.equals(other.rows)


def take_out(mine: Config, gone: set[bytes]) -> None:
    """Leave images out of the committed ones."""
    images = Path(root.images_folder(mine.root))
    commit = commits.require(str(images), "")
    files = []
    for file in commit.files:
        rows = parquet_files.read_table(str(images), file)
        stays = rows.filter(pc.invert(pc.is_in(rows["image_id"], value_set=keys.key_array(gone))))
        files.append(parquet_files.put_table(str(images), file.name[: -len("-0123456789abcdef.parquet")], stays))
    commits.write(str(images), dataclasses.replace(commit, files=tuple(files)))


def test_a_wave_of_which_nothing_is_left_says_how_another_is_begun(mine: Config) -> None:
    with pytest.raises(KeyboardInterrupt):
        refresh(mine, Asked(ends_after=2))
    take_out(mine, {*map(image_of, THERE)})
    with pytest.raises(RootError, match="there is nothing to ask for again") as told:
        refresh(mine, Asked())
    assert told.value.remedy == f"remove {mine.root}/refresh/wave=2026-02-01; the next pmd refresh begins a wave anew"


def test_a_wave_that_is_gone_on_with_asks_for_nothing_that_was_taken_down_since(mine: Config) -> None:
    with pytest.raises(KeyboardInterrupt):
        refresh(mine, first := Asked(ends_after=2))
    left = sorted(THERE - {*first.urls})
    gone = {image_of(first.urls[0]), image_of(left[0])}
    take_out(mine, gone)
    assert refresh(mine, then := Asked()) == asking.Asked("2026-02-01", 2, 1, 0)
    assert then.urls == left[1:]
    (wave,) = waves.read(mine.root)
    assert {*wave.rows["image_id"].to_pylist()} == {image_of(url) for url in THERE} - gone


def test_one_that_was_begun_with_other_options_is_not_gone_on_with(mine: Config) -> None:
    with pytest.raises(KeyboardInterrupt):
        refresh(mine, Asked(ends_after=1))
    with pytest.raises(ConfigError) as caught:
        refresh(mine, Asked(), seed=1)
    assert "a wave that was begun with other options has not come to its end" in str(caught.value)
    assert "--images 100 --seed 0" in str(caught.value)
    assert "--images 100 --seed 1" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", None])
def test_a_damaged_draft_of_a_wave_is_told_and_can_be_begun_anew(mine: Config, content: bytes | None) -> None:
    with pytest.raises(KeyboardInterrupt):
        refresh(mine, Asked(ends_after=1))
    (drawn,) = Path(mine.root, "refresh").glob("*/drawn-*")
    drawn.write_bytes(drawn.read_bytes()[:-9] if content is None else content)
    with pytest.raises(RootError) as caught:
        refresh(mine, Asked())
    assert str(drawn) in str(caught.value)
    assert f"remove {drawn.parent}" in str(caught.value)
    shutil.rmtree(drawn.parent)
    assert refresh(mine, Asked()).left == 0


def test_where_no_host_is_reached_nothing_is_settled(mine: Config) -> None:
    with pytest.raises(NetworkError, match="no host was reached") as caught:
        refresh(mine, Asked(THERE, status="connection"))
    assert "4 images that cannot be reached, and none that can" in str(caught.value)
    lane = Asked()
    assert refresh(mine, lane).asked == 4
    assert len(lane.urls) == 4


def test_where_some_host_answers_those_that_are_not_reached_are_gone(mine: Config) -> None:
    lane = Asked({tiny_root.C1}, status="dns")
    lane.answered = True
    assert refresh(mine, lane).left == 0
    (wave,) = waves.read(mine.root)
    assert sorted(wave.rows["status"].to_pylist()) == ["dns", "ok", "ok", "ok"]


def test_a_number_of_images_that_is_none(mine: Config) -> None:
    with pytest.raises(ConfigError, match="not a number of images"):
        refresh(mine, Asked(), images=0)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_that_is_none(mine: Config, seed: int) -> None:
    with pytest.raises(ConfigError, match="not a seed"):
        refresh(mine, Asked(), seed=seed)
    assert not Path(mine.root, "refresh").exists()


def test_a_damaged_table_is_found(mine: Config) -> None:
    refresh(mine, Asked())
    (path,) = Path(mine.root, "refresh/wave=2026-02-01").glob("part-*")
    path.write_bytes(path.read_bytes()[:-1])
    assert any(problem["place"].startswith("refresh/") for problem in verify.verify(mine.root)["problems"])


def test_the_next_release_has_the_wave(mine: Config) -> None:
    assert folder.write(mine)
    assert not folder.write(mine)
    refresh(mine, Asked({tiny_root.C2}))
    assert folder.write(mine)
    where = Path(mine.root, "release")
    said = json.loads((where / "availability.json").read_text())
    assert [wave["wave"] for wave in said["waves"]] == ["2026-02-01"]
    assert "wave,all,2026-02-01,4,3,0.75" in (where / "availability.csv").read_text()
    assert "2026-02-01" in (where / "availability.html").read_text()
    assert (
        "Of those that were there, 75.0% still were on 2026-02-01, by a sample of 4."
        in (where / "README.md").read_text()
    )
    assert not folder.write(mine)


def test_what_is_told(mine: Config) -> None:
    asked = refresh(mine, Asked({tiny_root.C2}))
    said = telling.render(telling.told(mine.root, asked))
    assert "Wave 2026-02-01: all of its 4 images are asked for, 4 of them now." in said
    assert "75.0" in said
    assert "A half-life is told from 3 waves on." in said
    again = telling.render(telling.told(mine.root, refresh(mine, Asked())))
    assert "asked already; the next one can begin tomorrow (UTC)" in again
    cut = telling.render(telling.told(mine.root, asking.Asked("2026-02-01", 10, 3, 7)))
    assert "7 of 10 images are left to ask for; the same command goes on" in cut


def leading_to(web: Web) -> FetchOptions:
    """Return options that lead plain hosts to the test's web, and those with TLS to nobody."""
    return FetchOptions(
        per_host=PerHost(requests_per_s=10_000, connections=8), retries=0, timeout_s=5.0, min_side_px=1,
        allow_addresses=("127.0.0.1/32",), resolve={"*:80": f"127.0.0.1:{web.port}", "*:443": "127.0.0.1:1"},
    )  # fmt: skip


def test_where_the_time_is_up_nothing_more_is_asked_and_the_next_run_goes_on(mine: Config, web: Web) -> None:
    chosen = dataclasses.replace(mine, fetch=leading_to(web))
    with root.writer(chosen.root, "pmd refresh"):
        asked = asking.refresh(chosen, 100, 0, clock=lambda: FIRST, until=FIRST)
    assert (asked.asked, asked.left) == (0, 4)
    assert web.log == []
    assert refresh(mine, Asked()).left == 0


@pytest.mark.parametrize(("left", "code"), [(0, 0), (7, 9)])
def test_the_command_ends_with_code_9_where_some_are_left(
    built: Config, monkeypatch: pytest.MonkeyPatch, left: int, code: int
) -> None:
    told = asking.Asked("2026-02-01", 10, 3, left)
    given: list[Any] = []

    def stands_in(chosen: Config, images: int, seed: int, **more: Any) -> asking.Asked:
        given.extend((images, seed, more["until"] is not None))
        return told

    monkeypatch.setattr(asking, "refresh", stands_in)
    path = str(Path(built.root).parent / "pmd.toml")
    words = ["refresh", path, "--images", "10", "--seed", "3", "--for", "90m", "--json"]
    ended = CliRunner().invoke(cli.app, words)
    assert ended.exit_code == code
    assert json.loads(ended.stdout)["run"] == dataclasses.asdict(told)
    assert given == [10, 3, True]


def test_a_lane_of_the_fetch_asks_with_its_policies_and_the_used_address_first(mine: Config, web: Web) -> None:
    pictures = tiny_root._web()
    for url, content in ((tiny_root.C1, "c1"), (tiny_root.COCO_URL, "coco")):
        assert content
        web.routes[url.partition("://")[2]] = reply(next(iter(pictures.values())))
    web.routes["two.example/robots.txt"] = reply(b"User-agent: *\nDisallow: /\n", Content_Type="text/plain")
    chosen = dataclasses.replace(mine, fetch=leading_to(web))
    with root.writer(chosen.root, "pmd refresh"):
        asked = asking.refresh(chosen, 100, 0, clock=lambda: FIRST)
    assert (asked.asked, asked.left) == (4, 0)
    (wave,) = waves.read(chosen.root)
    statuses = dict(zip(wave.rows["host"].to_pylist(), wave.rows["status"].to_pylist(), strict=True))
    assert statuses["one.example"] == statuses["cocodataset.org"] == "ok"
    assert statuses["two.example"] == "opted_out"
    assert statuses["stanford.edu"] == "connection"
    assert web.asked("two.example") == []
    assert len(web.asked("one.example")) == 1


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server
