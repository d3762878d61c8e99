"""The balance: whether each stage took in what the one before it kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd import flow
from pmd.books.committed import NOTHING, Committed, accounts_by_stage, made_of


def balance(by_folder: Mapping[str, Committed]) -> list[dict[str, Any]]:
    """Return, for each stage and each source in it, what it took in and what the one before it kept."""
    accounts = accounts_by_stage(by_folder)
    chosen = made_of(by_folder)
    lines = []
    for name, listed in accounts.items():
        stage = flow.BY_NAME[name]
        # A source that is no longer configured keeps its pairs and its list; what is across sources has moved on.
        known = sorted({*listed} & {*chosen} if stage == flow.PUBLISH else {*listed})
        if stage.unit == "whole":
            known = sorted({*known, *chosen})
        for source in known:
            account = listed.get(source, NOTHING)
            should = account.taken if stage.after is None else accounts.get(stage.after, {}).get(source, NOTHING).kept
            lines.append(
                {
                    "stage": name,
                    "source": source,
                    "in": account.taken,
                    "before": stage.after,
                    "before_kept": None if stage.after is None else should,
                    "adds_up": account.balances(),
                    "ok": account.balances() and account.taken == should,
                }
            )
    return lines
