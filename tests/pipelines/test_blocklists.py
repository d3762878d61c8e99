"""A blocklist that grows after a build: publishing waits, and the next build takes the picture out everywhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipelines import build, publish
from pmd.errors import RootError
from pmd.inspection import verify
from pmd.store import root
from tests.end_to_end.building import rows
from tests.pipelines import building


def test_a_picture_that_comes_on_a_list_leaves(tmp_path: Path) -> None:
    chosen = building.world(tmp_path)
    folder = Path(chosen.root) / "publish/source=coco"
    with building.small():
        building.run(chosen)
        listed = rows(folder)
        assert listed
        blocklist = tmp_path / "private.txt"
        blocklist.write_text(f"sha256:{listed[0]['sha256']} case-7\n", encoding="utf-8")
        fetch = chosen.fetch.model_copy(update={"blocklists": (str(blocklist),)})
        chosen = dataclasses.replace(chosen, fetch=fetch)
        with pytest.raises(RootError, match="on a blocklist"), root.writer(chosen.root, "test"):
            publish.build(chosen, ["coco"])
        with root.writer(chosen.root, "test"):
            build.build(chosen)
        with root.writer(chosen.root, "test"):
            publish.build(chosen, ["coco"])
        assert [row for row in rows(folder) if row["sha256"] == listed[0]["sha256"]] == []
    assert verify.verify(chosen.root)["problems"] == []
