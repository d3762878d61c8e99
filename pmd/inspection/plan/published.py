"""Records and pairs of a source by what was published of its files, where nothing of them was read: for the plan."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Final

from pmd import manifests
from pmd.formats import archives
from pmd.manifests.model import Manifest, ManifestFile

#: Fewest bytes of a record in any annotation file, compressed: bounds an estimate by a file that is shorter than upstream's.
_FEWEST_BYTES: Final = 20

#: Where Table 2's figure is this near to the published records, a record is a pair and the rest is link rot; elsewhere
#: (YFCC100M, WIT: a filter; Localized Narratives: sentences) Table 2 says how many pairs come of them.
_NEAR: Final = (0.5, 1.5)


def pairs(manifest: Manifest, sizes: Mapping[str, int] | None, row_records: int) -> tuple[int, str]:
    """Estimate the pairs that curating a source's files gives, by what was published.

    Args:
        manifest: The source's; its published records are known.
        sizes: Path → bytes of the annotation files that are there; None: all of upstream's.
        row_records: Published records behind the source's row of Table 2, those of other sources too.

    Returns:
        The estimate, and "published" (a record is a pair) or "Table 2" (a rule decides how many pairs a record is).
    """
    there = float(manifest.upstream_rows or 0) if sizes is None else records(manifest, sizes)
    if manifest.table2 is None:
        return round(there), "published"
    per_record = manifest.table2.pairs_millions * 1e6 / row_records
    if _NEAR[0] <= per_record <= _NEAR[1]:
        return round(there), "published"
    return round(there * per_record), "Table 2"


def sharing(manifest: Manifest) -> int:
    """Return the published records of all sources that share this one's row of Table 2; its own where it is in none."""
    if manifest.table2 is None:
        return manifest.upstream_rows or 0
    sharing = [name for name, table2 in manifests.of_table2().items() if table2.row == manifest.table2.row]
    return sum(manifests.load(name).upstream_rows or 0 for name in sharing)


def records(manifest: Manifest, sizes: Mapping[str, int]) -> float:
    """Return the published records of the files that are there: by name where upstream's is known, else by size."""
    known = {file.name: file for file in manifest.files if file.kind == "annotations"}
    records, other_bytes = 0.0, 0
    main = manifest.upstream_rows or 0
    for path, size in sizes.items():
        file = known.get(posixpath.basename(archives.split_member(path)[0]))
        if file is None:
            other_bytes += size
        elif file.option is None:
            records += _scaled(file, size, manifest)
    if other_bytes:
        published = sum(file.bytes or 0 for file in manifests.select([manifest]) if file.option is None)
        share = min(other_bytes / published, 1.0) if published else 1.0
        records += min(main * share, other_bytes / _FEWEST_BYTES)
    return records


def _scaled(file: ManifestFile, size: int, manifest: Manifest) -> float:
    """Return a file's published records, or as large a part of them as the file is of upstream's."""
    several = sum(other.option is None and not other.optional for other in manifests.select([manifest])) > 1
    rows = file.rows if file.rows is not None else 0 if several else manifest.upstream_rows or 0
    if any(entry.rows == rows and entry.what.startswith("images") for entry in manifest.published):
        return 0.0  # VG's image_data.json, which its regions need: no records of their own
    whole = file.bytes or file.bytes_about
    share = min(size / whole, 1.0) if whole else 1.0
    return min(rows * share, size / _FEWEST_BYTES)
