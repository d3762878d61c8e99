"""Recounting what audit commits: a page and its figures, which are held to their digests and nothing more."""

from __future__ import annotations

from pmd.books import recount


class Recount(recount.Recount):
    """The recount of the report."""

    has_rows = False
