"""What dedupe depends on: the views, the ledger, and the lists of evaluation images."""

from __future__ import annotations

from typing import Final

from pmd import flow
from pmd.config import Config, places, told
from pmd.fetch.ledger import asking
from pmd.store import commits, root, storage
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted

#: As `wanted.FORMAT`, for dedupe alone. 2: with `splits`. 3: groups are cut by part, and say who stands in the end. 4: what tells
#: whether lists are stale knows perceptual hashes.
GROUP_FORMAT: Final = 4


def check(config: Config) -> None:
    """Find, before anything runs, what would keep dedupe from running once all is fetched.

    Raises:
        InputError: A list, folder or archive of evaluation images is missing, or none.
    """
    if config.dedupe.evaluation:
        from pmd.dedupe import evaluation  # late: it reads in what decodes pictures

        evaluation.check(config.dedupe.evaluation)


def pending(config: Config, standing: Standing | None = None) -> str | None:
    """Return why stored pictures must be hashed before they are compared, or None."""
    return asking.why(standing or Standing(config.root), asking.by_dedupe(config.dedupe))


def answers(config: Config, there: Standing) -> dict[str, str]:
    """Return what may be remembered where nothing is pending."""
    return {asking.HASHED: asking.key(there)} if asking.by_dedupe(config.dedupe) is not None else {}


def wanted(config: Config, unit: str = "all", standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commit of the groups."""
    there = standing or Standing(config.root)
    found = {"views": there.digest(root.views_folder(config.root)), "ledger": there.generations.digest}
    for path in config.dedupe.evaluation:
        below = [storage.join(path, name) for name in storage.list_files(path)] if storage.is_folder(path) else [path]
        files = [places.found(file, path) for file in below]
        versions = [[places.written(file), storage.fingerprint(file)] for file in files]
        found[places.written(path)] = commits.options_hash(versions)
    options = told.of(config, flow.DEDUPE.name) | {"format": GROUP_FORMAT}
    if config.dedupe.near_texts is None:  # what was built before there was such an option stays fresh
        del options["near_texts"], options["near_texts_action"]
    return (Wanted(flow.DEDUPE.name, "all", root.dedupe_folder(config.root), options, found),)
