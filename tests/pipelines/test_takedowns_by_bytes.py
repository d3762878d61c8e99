"""A picture that a takedown list names by its bytes alone: the build that fetches it takes it down, before it is published."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from pipelines import build
from pmd.inspection import explain, verify
from pmd.schema import keys
from pmd.store import root
from tests import tiny_root
from tests.end_to_end.building import rows
from tests.pipelines import building


def test_a_picture_leaves_in_the_build_that_fetches_it(tmp_path: Path) -> None:
    chosen = building.world(tmp_path)
    listed = tmp_path / "by-bytes.txt"
    content = tiny_root._web()[keys.image_id("coco:9")]
    listed.write_text(f"sha256:{hashlib.sha256(content).hexdigest()}\n", encoding="utf-8")
    chosen = dataclasses.replace(chosen, takedown=(str(listed),))
    steps: list[tuple[str, str | None]] = []
    root.create(chosen.root, building.SHARD_BITS)
    with building.small(), root.writer(chosen.root, "test"):
        build.build(chosen, report=lambda step: steps.append((step.stage, step.why)))
    ran = [stage for stage, why in steps if why is not None and stage in {"images", "fetch"}]
    assert ran == ["images", "fetch", "images", "fetch"]
    assert rows(Path(chosen.root) / "publish/source=coco") == []
    left = explain.explain(chosen.root, "coco:9")["pairs"]
    assert {row["reason"] for pair in left for row in pair["rejected"]} == {"takedown"}
    assert [step.why for step in build.explain(chosen) if step.why is not None] == []
    assert verify.verify(chosen.root)["problems"] == []
