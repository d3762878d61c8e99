"""The reasons: those of options beside them, the others in the schema; each of one stage, in the order of the flow."""

from __future__ import annotations

from pmd import flow
from pmd.config.options import Leaves
from pmd.config.reasons import REASONS, reasons_of
from pmd.config.tables import TABLES, stages_of
from pmd.schema.reasons import WITHOUT_OPTION
from pmd.schema.statuses import STATUSES

DECLARED = [
    (table, option, mark)
    for table, model in TABLES.items()
    for option, field in model.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, Leaves)
]


def test_an_option_lets_rows_leave_only_where_it_has_an_effect() -> None:
    assert DECLARED
    for table, option, mark in DECLARED:
        assert mark.stage in stages_of(table, TABLES[table], option), mark
        assert flow.BY_NAME[mark.stage].rejects, mark
        assert REASONS[mark.reason] == (mark.stage, mark.says)


def test_reasons_stand_in_the_order_of_the_flow() -> None:
    order = [flow.NAMES.index(stage) for stage, _ in REASONS.values()]
    assert order == sorted(order)
    assert {*REASONS} == {*WITHOUT_OPTION} | {mark.reason for _, _, mark in DECLARED}
    of_shard = tuple(mark.reason for _, _, mark in DECLARED if mark.stage == flow.SHARD.name)
    assert reasons_of(flow.SHARD.name) == of_shard
    assert "crop_too_small" in of_shard


def test_what_fetch_rejects_for_is_a_status() -> None:
    assert {*reasons_of(flow.FETCH.name)} - {"not_fetched"} == {*STATUSES} - {"ok"}
