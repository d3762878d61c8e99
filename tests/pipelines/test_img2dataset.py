"""`fetch.engine = "img2dataset"` in a whole build, with the stand-in of `tests/fetch/fake`: same lists, books balance."""

from __future__ import annotations

import hashlib
import importlib.util
from collections import Counter
from pathlib import Path

import pytest

from pipelines import build
from pmd import config
from pmd.errors import ConfigError
from pmd.inspection import explain, verify
from pmd.store import root, storage
from tests.end_to_end.building import rows
from tests.fetch.adoption.test_img2dataset import FAKE
from tests.fetch.conftest import Web, photo, reply

PICTURES = {f"{number}.jpg": photo(640, 480, seed=number) for number in range(6)}


def configured(folder: Path, web: Web) -> config.Config:
    base = f"http://127.0.0.1:{web.port}"
    lines = [f"picture number {number} of them\t{base}/{name}" for number, name in enumerate((*PICTURES, "gone.jpg"))]
    (folder / "cc3m.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    chosen = config.parse(
        f"""
root = "{folder}/root"
contact = "mailto:tests@example.org"
[sources.conceptual_captions]
annotations = ["{folder}/cc3m.tsv"]
[fetch]
engine = "img2dataset"
allow_addresses = ["127.0.0.1/32"]
"""
    )
    root.create(chosen.root, 1)
    return chosen


def test_a_build_downloads_by_img2dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    monkeypatch.syspath_prepend(FAKE)
    with Web() as web:
        web.routes |= {f"127.0.0.1:{web.port}/{name}": reply(content) for name, content in PICTURES.items()}
        chosen = configured(tmp_path, web)
        with root.writer(chosen.root, "test"):
            build.build(chosen)
        # It asks again whatever the answer was.
        tries = 1 + chosen.fetch.retries
        expected = Counter({**dict.fromkeys((f"/{name}" for name in PICTURES), 1), "/gone.jpg": tries})
        assert Counter(request.path for request in web.asked()) == expected
        assert all("img2dataset" in request.headers["user-agent"] for request in web.asked())
        asked = len(web.log)
        with root.writer(chosen.root, "test"):
            build.build(chosen)
        assert len(web.log) == asked
        lost = explain.render(explain.explain(chosen.root, f"http://127.0.0.1:{web.port}/gone.jpg"))
    listed = {row["image_url"].rpartition("/")[2]: row["sha256"] for row in rows(_list(chosen))}
    assert listed == {name: hashlib.sha256(content).hexdigest() for name, content in PICTURES.items()}
    assert "HTTP Error 404" in lost
    assert verify.verify(chosen.root)["problems"] == []
    assert not storage.exists(f"{chosen.root}/{root.WORK}")


def _list(chosen: config.Config) -> Path:
    return Path(chosen.root) / "publish/source=conceptual_captions"


def test_that_it_is_not_installed_is_told_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Web() as web:
        chosen = configured(tmp_path, web)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match="img2dataset is not installed"), root.writer(chosen.root, "test"):
            build.build(chosen)
        assert not web.log
    assert root.curated_sources(chosen.root) == []
