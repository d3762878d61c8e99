"""What is told of sources that lose nearly all where they are read: files that are not what they were taken for, mostly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pmd.store import root
from pmd.store.commits import Books
from pmd.store.standing import Standing
from pmd.terminal import bar

#: Reasons of rows that could not be read. More than half of a source's is no chance.
_UNREAD: Final = ("malformed_row", "bad_encoding")


def notes(standing: Standing, names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each of some sources that has kept no pair, or of which most rows could not be read.

    Args:
        standing: What stands.
        names: Sources; one that is not curated is passed over.
    """
    for name in names:
        commit = standing.commit(root.curate_folder(standing.root, name))
        books = None if commit is None else commit.sources.get(name)
        said = None if books is None else _sentence(books)
        if said is not None:
            yield f"{name}: {said}"


def _sentence(books: Books) -> str | None:
    if not books.total:
        return "no pair was kept, since its annotation files hold no row; see that these are the files that were meant"
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(books.rejected.items(), key=_largest))
    unread = sum(books.rejected.get(reason, 0) for reason in _UNREAD)
    if 2 * unread > books.total:
        return (
            f"{unread:,} of {bar.amount(books.total, 'rows')} could not be read ({reasons}); are these its files? "
            "pmd peek ROOT shows some of them"
        )
    return (
        None
        if books.kept
        else f"none of {bar.amount(books.total, 'pairs')} was kept ({reasons}); pmd peek ROOT shows some"
    )


def _largest(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
