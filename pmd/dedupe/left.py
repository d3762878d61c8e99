"""What the committed dedupe leaves of a part: its views, each with the image that stands for its own and the split that it is in.

Whoever works on the pairs that are left reads them here.
"""

from __future__ import annotations

import pyarrow as pa

from pmd.dedupe import rules, splits
from pmd.fetch.ledger import partitions
from pmd.schema.tables import KEY, VIEWS

#: `VIEWS` with `stands_id`: the image with which the pair is in the end. `split` is never null.
LEFT = pa.schema([*VIEWS, pa.field("stands_id", KEY, nullable=False)])


def views(root_url: str, part: int, ledger: pa.Table) -> pa.Table:
    """Return the views of a part that are left, as `LEFT`, in the order of the committed views.

    Args:
        root_url: ROOT.
        part: Its number.
        ledger: `LEDGER` of the part.

    Raises:
        RootError: Nothing is committed of the views or of dedupe.
    """
    groups = rules.read_groups(root_url, part)
    kept, _ = rules.judge_again(root_url, part, partitions.read_views(root_url, part), ledger, groups)
    kept = splits.settled(kept, splits.read(root_url, part))
    return kept.append_column(LEFT.field("stands_id"), rules.kept_ids(kept["image_id"], groups))
