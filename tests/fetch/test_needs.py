"""What a fetch says of the images that it is about to ask for: one sentence, and the causes where they are not all new."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines import build
from pmd import config
from pmd.errors import ConfigError
from pmd.fetch import needs
from pmd.fetch.ledger import partitions
from pmd.store.standing import Standing
from tests import tiny_root


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ({}, None),
        ({needs.UNTRIED: 0}, None),
        ({needs.UNTRIED: 1675}, "1,675 images to fetch"),
        ({needs.UNTRIED: 1, needs.MOVED: 0}, "1 image to fetch"),
        ({needs.MOVED: 3}, "3 images to fetch: 3 with a new location"),
        (
            {needs.BLOCKED: 2, needs.MOVED: 30, needs.UNTRIED: 1000, needs.ALLOWED: 4},
            "1,036 images to fetch: 1,000 not tried yet, 30 with a new location, "
            "4 at an address that was refused and may be asked now, 2 stored, and on a blocklist since",
        ),
    ],
)
def test_words(causes: dict[str, int], said: str | None) -> None:
    assert needs.words(causes) == said


def test_a_fresh_root_says_how_many_and_a_web_archive_is_a_new_location(tmp_path: Path) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    assert needs.pending(chosen) == "5 images to fetch"
    tiny_root.fetch(chosen, 0)
    assert needs.pending(chosen) is None
    archive = chosen.fetch.model_copy(update={"web_archive": "https://archive.example/{url}"})
    assert needs.pending(dataclasses.replace(chosen, fetch=archive)) == "1 image to fetch: 1 with a new location"


def test_what_is_to_be_fetched_is_looked_for_once_and_nobody_can_change_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = config.load(tiny_root.write_config(tmp_path))
    for name in sorted(chosen.sources):
        tiny_root.curate(chosen, name)
    tiny_root.make_images(chosen)
    needs._looked.cache_clear()
    looked: list[Standing] = []
    pending = partitions.pending

    def counted(*asked: Any) -> Any:
        looked.append(asked[0])
        return pending(*asked)

    monkeypatch.setattr(partitions, "pending", counted)
    standing = Standing(chosen.root)
    question = needs._Question(chosen.root, needs._key(chosen, standing), chosen, standing)
    with pytest.raises(TypeError):
        needs._looked(question)[0] = {needs.UNTRIED: 7}  # type: ignore[index]
    for causes in needs._looked(question).values():
        with pytest.raises(TypeError):
            causes[needs.UNTRIED] = 7  # type: ignore[index]
    assert needs.pending(chosen) == "5 images to fetch"
    assert sum(needs.pending_images(chosen).values()) == 5
    assert len(looked) == 1


@pytest.mark.parametrize("contact", ["mailto:you@example.org", "mailto:You@Example.com"])
def test_the_contact_of_the_starter_configuration_is_refused_before_anybody_is_asked(
    tmp_path: Path, contact: str
) -> None:
    path = Path(tiny_root.write_config(tmp_path))
    path.write_text(re.sub('contact = ".*"', f'contact = "{contact}"', path.read_text()))
    chosen = config.load(str(path))
    chosen = dataclasses.replace(chosen, fetch=chosen.fetch.model_copy(update={"resolve": {}, "allow_addresses": ()}))
    with pytest.raises(ConfigError, match=f"(?s)contact: nobody can be reached here.*found: {contact}"):
        build.build(chosen)
    assert not Path(chosen.root).exists()
    for ours in ({"resolve": {"a.example:80": "127.0.0.1:9"}}, {"allow_addresses": ("127.0.0.1/32",)}):
        needs.require_contact(dataclasses.replace(chosen, fetch=chosen.fetch.model_copy(update=ours)))
    needs.require_contact(dataclasses.replace(chosen, contact="mailto:them@example.org"))
