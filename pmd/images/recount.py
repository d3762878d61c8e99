"""Recounting what images commits: distinct images, views, and rejected pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa

from pmd import flow
from pmd.books import reconciliation, recount
from pmd.books.recount import Keys, Table
from pmd.books.report import Report
from pmd.schema import keys
from pmd.schema.tables import IMAGES, REJECTED, VIEWS, VIEWS_LATER


class Recount(recount.Recount):
    """The recount of the images, or of the views."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"images": IMAGES, "views": VIEWS, "rejected": REJECTED}

    def table(self, name: str, columns: Sequence[str]) -> Table:
        if self.is_rejected(name):
            return self.rejected(columns)
        if not self.committed.is_of(flow.VIEWS):
            return Table(IMAGES, self._images)
        return Table(recount.without_later(VIEWS, VIEWS_LATER, columns), self._views)

    def _views(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        recount.check_pair_keys(self.tally.report, name, batch)
        merged = self.tally.merged(flow.part_number(name))
        shown = [
            reconciliation.view_bytes(merged.get(image_id, image_id), region)
            for image_id, region in zip(batch["image_id"].to_pylist(), batch["region"].to_pylist(), strict=True)
        ]
        self.keep(reconciliation.VIEWED, number, batch, shown, self._splits(batch))
        return recount.check_order(self.tally.report, name, batch, ("image_id", "pair_id"), before)

    def _splits(self, batch: pa.RecordBatch) -> list[str] | None:
        """Return the split that each view's pair is to be in; None where dedupe has not said so."""
        moved = self.tally.splits
        if moved is None or "split" not in batch.schema.names:
            return None
        return [
            moved.get(image_id, said if said in flow.SPLITS else flow.SPLITS[0])
            for image_id, said in zip(batch["image_id"].to_pylist(), batch["split"].to_pylist(), strict=True)
        ]

    def _images(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        recount.check_image_keys(self.tally.report, name, batch)
        for image_id, shard in zip(batch["image_id"].to_pylist(), batch["fetch_shard"].to_pylist(), strict=True):
            wanted = keys.partition_of(image_id, self.tally.shard_bits)
            if shard != wanted:
                self.tell("fetch_shard", f"{name}: image {image_id.hex()}", wanted, shard)
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)


def compare(place: str, images: pa.Table, views: pa.Table, report: Report) -> None:
    """The images of a part are those of its views, with their sources, and know whether a view is a region.

    Args:
        place: The part, in words.
        images: Its rows of `IMAGES`.
        views: Its rows of `VIEWS`.
        report: Told of what differs.
    """
    shown = views.group_by("image_id", use_threads=False).aggregate([("region", "count")]).sort_by("image_id")
    regions = dict(zip(shown["image_id"].to_pylist(), shown["region_count"].to_pylist(), strict=True))
    sources: defaultdict[bytes, set[str]] = defaultdict(set)
    for row in views.group_by(["image_id", "source"], use_threads=False).aggregate([]).to_pylist():
        sources[row["image_id"]].add(row["source"])
    for row in images.select(["image_id", "has_region", "sources"]).to_pylist():
        key = row["image_id"]
        at = f"{flow.DISTINCT.at()}/, {place}: image {key.hex()}"
        count = regions.pop(key, None)
        if count is None:
            report.tell("an image without a pair", at, "at least one view", "none")
            continue
        if bool(count) != row["has_region"]:
            report.tell("has_region", at, bool(count), row["has_region"])
        if sorted(sources[key]) != row["sources"]:
            report.tell("sources of an image", at, ", ".join(sorted(sources[key])), ", ".join(row["sources"]))
    for key in regions:
        at = f"{flow.VIEWS.at()}/, {place}: image {key.hex()}"
        report.tell("a view without its image", at, "a row of images", "none")
