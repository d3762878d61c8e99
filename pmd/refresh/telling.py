"""What `pmd refresh` tells at its end: the wave, and what all waves say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pmd import escape
from pmd.audit.report import formatting
from pmd.refresh import figures, page, waves
from pmd.refresh.asking import Asked
from pmd.terminal import bar, tables


def told(root_url: str, asked: Asked) -> dict[str, Any]:
    """Return what a run has done, and what all waves say: ``run``, ``waves``, ``half_life``."""
    found = list(waves.read(root_url))
    return {
        "run": dataclasses.asdict(asked),
        "waves": [figures.of_wave(wave) for wave in found],
        "half_life": figures.half_life(found),
    }


def render(found: Mapping[str, Any], width: int = 120) -> str:
    """Return it as people read it."""
    found = escape.shown(found)
    run = found["run"]
    write = tables.Page(width)
    images, are = bar.amount(run["images"], "images"), "is" if 1 in {run["images"], run["left"]} else "are"
    if run["left"]:
        write.write(f"Wave {run['date']}: {run['left']:,} of {images} {are} left to ask for; the same command goes on.")
    elif run["asked"]:
        write.write(f"Wave {run['date']}: all of its {images} {are} asked for, {run['asked']:,} of them now.")
    else:
        write.write(f"Wave {run['date']}: asked already; the next one can begin tomorrow (UTC).")
    rows = [
        [
            wave["wave"],
            page.title(row["source"]),
            *(f"{row[name]:,}" for name in ("before", "asked", "alive", "unsure")),
            formatting.percent(row["share"]),
            page.interval(row["this_table"]),
            page.interval(row["another_draw"]),
        ]
        for wave in found["waves"]
        for row in wave["sources"]
    ]
    if rows:
        heads = (
            "wave",
            "source",
            "there before",
            "asked",
            "alive",
            "maybe",
            "share",
            "this table",
            "another draw of hosts",
        )
        write.write("\nStill there, among what was there when it was fetched (95 % intervals)")
        write.write(tables.table(heads, rows, right=range(2, 7)))
        write.write(f"{page.half_life(found['half_life'])}.")
    return write.text()
