"""Recounting what dedupe commits: groups, and the pairs that it rejects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.books import recount
from pmd.books.recount import Keys, Table
from pmd.dedupe import captions
from pmd.dedupe.rules import RELATED, RELATIONS
from pmd.schema import keys
from pmd.schema.tables import GROUPS, GROUPS_LATER, NEAR_TEXTS, SPLITS
from pmd.store import exchange


class Recount(recount.Recount):
    """The recount of the groups."""

    tables: ClassVar[Mapping[str, pa.Schema]] = {"groups": GROUPS, "splits": SPLITS, "near_texts": NEAR_TEXTS}

    def table(self, name: str, columns: Sequence[str]) -> Table:
        if self.is_rejected(name):
            return self.rejected(columns)
        if name.startswith(f"{self.folder}/splits/"):
            return Table(SPLITS, self._splits)
        is_of_texts = name.startswith(f"{self.folder}/near_texts/")
        if is_of_texts:
            return Table(NEAR_TEXTS, self._near_texts)
        return Table(GROUPS if set(GROUPS_LATER) <= {*columns} else RELATED, self._groups)

    def _groups(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for relation in {*batch["relation"].to_pylist()}.difference(RELATIONS):
            self.tell("relation", name, f"one of {', '.join(RELATIONS)}", relation)
        if flow.is_cut(name):
            self._check_part(name, batch)
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)

    def _check_part(self, name: str, batch: pa.RecordBatch) -> None:
        """A file of groups has those of its part's images: readers of a part open no other."""
        part, bits = flow.part_number(name), flow.part_bits(name)
        strays = pc.not_equal(pa.array(exchange.partitions(batch["image_id"], bits)), part)
        for image_id in batch["image_id"].filter(strays).to_pylist():
            self.tell("part of a group", f"{name}: image {image_id.hex()}", part, keys.partition_of(image_id, bits))

    def _splits(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        for split in {*batch["split"].to_pylist()}.difference(flow.SPLITS[1:]):
            self.tell("split", name, f"one of {', '.join(flow.SPLITS[1:])}", split)
        return recount.check_order(self.tally.report, name, batch, ("image_id",), before)

    def _near_texts(self, name: str, number: int, batch: pa.RecordBatch, before: Keys) -> Keys:
        least = self.committed.commit.run.get("options", {}).get("near_texts") or 0
        columns = (batch[column].to_pylist() for column in ("text_id", "group_id", "jaccard"))
        wanted = captions.text_ids(batch["form"]).to_pylist()
        for text_id, group_id, jaccard, own_id in zip(*columns, wanted, strict=True):
            place = f"{name}: text {text_id.hex()}"
            if text_id != own_id:
                self.tell("text_id", place, own_id.hex(), text_id.hex())
            leads = group_id == text_id
            if not (jaccard == 1 if leads else least <= jaccard <= 1):
                self.tell("jaccard", place, "1" if leads else f"{least} to 1", jaccard)
        return recount.check_order(self.tally.report, name, batch, ("text_id",), before)
