"""The committed groups for `pmd verify`, a part at a time: of all parts together nothing is held.

Who stands in the end is worked out once more where rows meet as dedupe had them meet, by run files on the temporary disk.
"""

from __future__ import annotations

import functools
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.books.committed import Committed
from pmd.books.report import DAMAGE, Report, first_line, refuse_ours
from pmd.dedupe import rules as dedupe_rules
from pmd.errors import PmdError
from pmd.fetch.ledger import partitions
from pmd.schema.tables import GROUPS, KEY
from pmd.store import commits, exchange, parquet_files, root, spools

#: `GROUPS` with the image by which a row meets others.
_MEETING: Final = pa.schema([*GROUPS, pa.field("meets", KEY, nullable=False)])
#: Rows that are resolved at once: with copies some 50 MB.
_ROWS: Final = 2**17


class Groups:
    """The groups of a ROOT's parts.

    Args:
        root_url: ROOT.
        committed: The commit of the groups.
    """

    def __init__(self, root_url: str, committed: Committed) -> None:
        self._folder = root.dedupe_folder(root_url)
        self._of_part: defaultdict[int, list[commits.File]] = defaultdict(list)
        self._files = committed.commit.under("groups")
        for file in self._files:
            if flow.is_cut(file.name):
                self._of_part[flow.part_number(file.name)].append(file)
        self._is_cut = all(flow.is_cut(file.name) for file in self._files)

    def part(self, number: int) -> pa.Table:
        """Return the `GROUPS` of a part; of an earlier version, whose files are not cut, those of all."""
        files = self._of_part[number] if self._is_cut else self._files
        return dedupe_rules.groups_of(parquet_files.read_table(self._folder, file) for file in files)

    @functools.lru_cache(maxsize=1)  # noqa: B019  it goes with the one verification that has made it
    def merged(self, number: int) -> Mapping[bytes, bytes]:
        """Return the images of a part that give way, with those that stand for them."""
        found = self.part(number)
        ids = found.filter(pc.is_in(found["relation"], value_set=pa.array(dedupe_rules.MERGED)))["image_id"]
        return dict(zip(ids.to_pylist(), dedupe_rules.kept_ids(ids, found).to_pylist(), strict=True))

    def check(self, report: Report) -> None:
        """Tell of every image that another stands for in the end than all groups say."""
        bits = exchange.bits_for(sum(file.rows for file in self._files), _ROWS)
        wrong: list[tuple[bytes, bytes | None, bytes | None]] = []
        with tempfile.TemporaryDirectory(prefix="groups-", dir=spools.folder()) as work:
            runs = exchange.write(work, _MEETING, bits, self._meeting(), "meets")
            for _, references in exchange.by_partition(runs):
                found = exchange.read(work, [references], _MEETING).combine_chunks()
                wrong += _wrong(found.select(GROUPS.names))
        for image_id, wanted, stands in sorted(wrong):
            place = f"{self._folder}/groups: image {image_id.hex()}"
            report.tell("who stands in the end", place, _hex(wanted), _hex(stands))

    def _meeting(self) -> Iterator[pa.RecordBatch]:
        parts = sorted(self._of_part) if self._is_cut else [0]
        for part in parts:
            found = self.part(part)
            yield from found.append_column(_MEETING.field("meets"), dedupe_rules.meeting_ids(found)).to_batches()


def read(root_url: str, standing: Mapping[str, Committed], report: Report) -> Groups | None:
    """Return the groups, each held to what all say of who stands in the end; None where there are none to be read."""
    if flow.GROUPS.path not in standing:
        return None
    found = Groups(root_url, standing[flow.GROUPS.path])
    try:
        found.check(report)
    except (*DAMAGE, PmdError) as error:
        refuse_ours(error)
        place = root.dedupe_folder(root_url)
        report.tell("groups cannot be read", place, "files of groups", first_line(error))
        return None
    return found


def _wrong(groups: pa.Table) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield the images that have another image than the one that stands in the end: image, this one, the one that is told."""
    wanted = dedupe_rules.resolved(groups.select(dedupe_rules.RELATED.names))
    stands = wanted["stands_id"].take(partitions.positions(groups["image_id"], wanted))
    known = groups.append_column("wanted", stands)
    nobody = pa.scalar(b"", pa.binary())
    named, should = (pc.coalesce(known[name].cast(pa.binary()), nobody) for name in ("stands_id", "wanted"))
    rows = known.filter(pc.not_equal(named, should))
    yield from zip(*(rows[name].to_pylist() for name in ("image_id", "wanted", "stands_id")), strict=True)


def _hex(image_id: bytes | None) -> str:
    return "nobody" if image_id is None else image_id.hex()
