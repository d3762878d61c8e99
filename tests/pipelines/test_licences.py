"""A subset by stated licence, through the pipelines: books, the plan before them, credit in the lists."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipelines import build
from pmd import config
from pmd.config.options import LicenceOptions
from pmd.images import needs as images_needs
from pmd.inspection import explain, verify
from pmd.inspection.plan import expected
from pmd.publish import lists
from pmd.store import commits, parquet_files, root
from tests import tiny_root
from tests.pipelines import building


def test_a_subset_by_licence_is_counted_planned_and_credited(tmp_path: Path) -> None:
    path = Path(tiny_root.write_config(tmp_path))
    path.write_text(f'{path.read_text()}[licence]\nimage_allow = ["CC-BY-2.0"]\n')
    chosen = config.load(str(path))
    planned = {item.name: item.taken.value for item in expected.figures(chosen).sources}
    with building.small():
        building.run(chosen)
        assert {step.why for step in build.explain(chosen)} == {None}
        books = commits.require(root.views_folder(chosen.root), "").sources
        assert {name: dict(found.rejected) for name, found in books.items()} == {
            "coco": {},
            "conceptual_captions": {"licence": 4, "takedown": 1},
            "visual_genome": {"licence": 3},
        }
        assert planned == {name: found.kept for name, found in books.items()}
        assert verify.verify(chosen.root)["problems"] == []
        shown = explain.render(explain.explain(chosen.root, tiny_root.C1))
        assert "NOASSERTION is not in image_allow" in shown
        table = [row for file in lists.files(chosen.root) for row in parquet_files.iterate(file)]
        assert {row["attribution"] for batch in table for row in batch.to_pylist()} == {
            "By the author named at https://www.flickr.com/photo.gne?id=4242, under CC-BY-2.0 "
            "(https://creativecommons.org/licenses/by/2.0/)"
        }
        wider = dataclasses.replace(chosen, licence=LicenceOptions(image_allow=("CC-BY-2.0", "NOASSERTION")))
        assert "image_allow" in str(images_needs.of(wider).wanted.why())
        assert "image_allow" in str(images_needs.of(dataclasses.replace(chosen, licence=LicenceOptions())).wanted.why())
