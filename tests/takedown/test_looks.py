"""Takedowns by looks, of a ROOT in which nothing had asked for perceptual hashes so far."""

from __future__ import annotations

import dataclasses
import io
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipelines import takedown
from pmd import cli, codec
from pmd.books import pictures
from pmd.config import Config
from pmd.schema import keys
from pmd.suppression import lists
from pmd.takedown import prove, purge, requests
from tests.pipelines.building import FakeLane
from tests.takedown import world
from tests.takedown.test_kept_out import EVERYTHING, built, image_ids
from tests.takedown.test_takedown import Killed, applied

STAGES = ("curate", "images", "fetch", "dedupe")
MIRROR = keys.image_id("url:mirror.example/again.jpg")


@pytest.fixture
def unhashed(tmp_path: Path) -> Iterator[Config]:
    config = world.write(tmp_path)
    config = dataclasses.replace(config, dedupe=config.dedupe.model_copy(update={"near": "keep"}))
    with world.small() as patch:
        patch.setattr(FakeLane, "hashed", False)
        built(config, EVERYTHING, only=STAGES)
        yield config


def asked(config: Config, *said: str, keeps_looks: bool = False) -> takedown.Applied:
    words = [requests.read_word(one, config.sources) for one in said]
    if words:
        requests.add(config.root, words, [], keeps_looks=keeps_looks)
    return applied(config)


def saved_anew(seed: int) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(world.picture(seed))) as image:
        image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_a_photograph_that_was_saved_anew_is_known_by_its_looks(unhashed: Config, tmp_path: Path) -> None:
    photo = tmp_path / "mine.jpg"
    photo.write_bytes(saved_anew(5006))
    done = asked(unhashed, str(photo))
    assert (done.unmatched, done.removed["pairs"], done.without_hash) == ((), 1, 0)
    assert keys.image_id("flickr:5006") not in image_ids(unhashed.root)
    word = requests.read_word(str(photo), unhashed.sources)
    assert [*prove.prove(unhashed.root, lists.standing(unhashed.root, ()), [word]).left] == []


def test_looks_that_may_be_kept_are_known_and_take_copies_along(unhashed: Config) -> None:
    done = asked(unhashed, world.photo_url(5002), keeps_looks=True)
    assert done.removed["pairs"] == 2
    assert not image_ids(unhashed.root) & {keys.image_id("flickr:5002"), MIRROR}
    assert lists.read_own(unhashed.root).looks == {codec.hash_of(world.picture(5002), codec.Limits())}


def found(config: Config, photo: Path) -> tuple[dict[str, Any], str]:
    """What `pmd takedown find` tells of a picture: as JSON, and in words."""
    command = ["takedown", "find", f"{config.root}.toml", str(photo)]
    as_json = CliRunner().invoke(cli.app, [*command, "--json"])
    return orjson.loads(as_json.stdout), CliRunner().invoke(cli.app, command).stderr


def test_find_says_what_was_looked_through_and_how_the_rest_is(unhashed: Config, tmp_path: Path) -> None:
    photo, toml = tmp_path / "mine.jpg", Path(f"{unhashed.root}.toml")
    photo.write_bytes(saved_anew(5006))
    told, said = found(unhashed, photo)
    stored = told["by_bytes"]
    assert (told["near"], told["by_looks"], told["without_hash"], told["can_look"]) == ([], 0, stored, True)
    assert f"by their bytes all {stored} stored pictures, by their looks 0 of them" in said
    assert "To have them hashed, without purging anything: the same command with --hash" in said

    before = {name: content for name, content in world.files(unhashed.root).items() if not name.startswith("fetch/")}
    hashed = CliRunner().invoke(cli.app, ["takedown", "find", str(toml), str(photo), "--hash", "--json"])
    assert "hashing what is stored without a perceptual hash" in hashed.stderr
    told, said = found(unhashed, photo)
    assert orjson.loads(hashed.stdout) == told
    assert {name: content for name, content in world.files(unhashed.root).items() if name in before} == before
    assert [near["identity"] for near in told["near"]] == ["flickr:5006"]
    assert (told["by_bytes"], told["by_looks"], told["without_hash"]) == (stored, stored, 0)
    assert "without purging" not in said
    assert keys.image_id("flickr:5006") in image_ids(unhashed.root)


def test_find_says_that_a_picture_has_no_looks(unhashed: Config, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    told, said = found(unhashed, tmp_path / "white.png")
    assert (told["can_look"], told["by_looks"]) == (False, 0)
    assert "by looks nothing can be found" in said


def test_copies_that_nobody_can_see_are_told(unhashed: Config) -> None:
    done = asked(unhashed, world.photo_url(5002))
    assert done.removed["pairs"] == 1
    assert MIRROR in image_ids(unhashed.root)
    assert done.without_hash == done.describe()["without_hash"] > 1
    assert f"{done.without_hash:,} pictures that are left have no perceptual hash" in takedown.render(done)


def test_what_named_nothing_is_told_also_where_others_of_the_request_did() -> None:
    done = takedown.Applied((1, 2), {}, (), unmatched=(2,), in_part={1: ("http://a.example/\x1b[1m",)})
    assert (
        "named no pair that stood here when this began: 1 (http://a.example/\\x1b[1m), 2; kept out of what comes. "
        in takedown.render(done)
    )


def like(share: float) -> bytes:
    """Return a picture that is another one by some share."""
    one, other = (Image.open(io.BytesIO(world.picture(seed))) for seed in (100, 400))
    buffer = io.BytesIO()
    Image.blend(one, other, share).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_an_apply_that_is_killed_takes_no_picture_more_than_one_that_is_not(tmp_path: Path) -> None:
    """The first picture looks like the second, and that like the third, which looks otherwise than the first."""
    chain = [like(share) for share in (0, 0.15, 0.35)]
    looks = [int.from_bytes(codec.hash_of(one, codec.Limits()) or b"") for one in chain]
    apart = [(one ^ other).bit_count() for one, other in itertools.combinations(looks, 2)]
    assert [bits <= pictures.MATCH for bits in apart] == [True, False, True]
    urls = [f"http://host{number}.example/{number}.jpg" for number in range(3)]
    ids = [keys.image_id(f"url:{url.removeprefix('http://')}") for url in urls]
    shown = world.web() | dict(zip(ids, chain, strict=True))
    config = world.write(tmp_path)
    config = dataclasses.replace(config, dedupe=config.dedupe.model_copy(update={"near": "keep"}))
    with world.small() as patch:
        patch.setattr("tests.tiny_root._web", lambda: shown)
        built(config, EVERYTHING, only=STAGES)
        assert {*ids} <= image_ids(config.root)
        purged = takedown._purged

        def killed(how: purge.Purge, chosen: Config) -> Counter[str]:
            if not how.is_dry:
                raise Killed
            return purged(how, chosen)

        patch.setattr(takedown, "_purged", killed)
        for said in ([urls[0]], []):
            with pytest.raises(Killed):
                asked(config, *said)
        patch.setattr(takedown, "_purged", purged)
        done = asked(config)
    assert (done.requests, done.removed["pairs"]) == ((1,), 2)
    assert image_ids(config.root) & {*ids} == {ids[2]}
