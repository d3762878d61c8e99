"""Peek: one self-contained page of sampled pairs with their pictures, and of rejected rows with their reasons.

For the eyes, after any stage: counts tell how many rows left, only looking tells whether they should have.

Modules, each importing only those above it::

    sampling    which rows are shown
    pictures    small, upright pictures, and regions
    rows        what is read from ROOT
    page_style  style and script
    render      the page
"""

from __future__ import annotations

from collections.abc import Sequence

from pmd import flow
from pmd.config import remedies
from pmd.config.reasons import REASONS
from pmd.errors import ConfigError, RootError
from pmd.inspection.peek import render, rows
from pmd.store import root as layout


def page(
    root: str,
    *,
    pairs: int = 48,
    rejected: int = 48,
    source: str | None = None,
    reason: str | None = None,
    seed: int = 0,
) -> str:
    """Return the page, as HTML that needs nothing beside itself.

    The same ROOT and arguments give the same page. Memory does not grow with the number of rows.

    Args:
        root: ROOT, at any stage from the first curated source on.
        pairs: Pairs to show, at most.
        rejected: Rejected rows to show, at most.
        source: Only this source.
        reason: Only rows that were rejected for this reason; pairs have none, so they are not affected.
        seed: Another one shows other rows.

    Raises:
        RootError: Nothing is curated there.
        ConfigError: The source is not one of ROOT's, the reason is none, or a number is negative.
    """
    layout.describe(root)
    sources = layout.curated_sources(root)
    if not sources:
        raise RootError(
            "nothing to look at: no source is curated here",
            where=root,
            expected=f"{flow.PAIRS.at(source='NAME')}/_stage.json",
            remedy=layout.meant_by(root) or "check the path, or run: pmd build CONFIG",
        )
    _check("source", source, sources)
    _check("reason", reason, list(REASONS))
    for name, number in (("pairs", pairs), ("rejected", rejected)):
        if number < 0:
            raise ConfigError("not a number of rows", where=f"--{name}", expected="0 or more", found=str(number))
    chosen = sources if source is None else [source]
    return render.page(
        root,
        books=rows.books(root),
        images=rows.distinct_images(root),
        pairs=rows.pairs(root, pairs, chosen, seed),
        rejected=rows.rejected(root, rejected, chosen, reason, seed),
        seed=seed,
        source=source,
        reason=reason,
    )


def _check(name: str, given: str | None, known: Sequence[str]) -> None:
    if given is None or given in known:
        return
    raise ConfigError(
        f"no such {name}",
        where=f"--{name}",
        expected=f"one of {', '.join(known)}",
        found=given,
        remedy=remedies.of_word(given, known),
    )
