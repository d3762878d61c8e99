"""What a fetch has come to, in words: the pairs whose image is there, why the others leave, what to do next. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pmd.errors import NetworkError
from pmd.fetch.network import UNREACHED
from pmd.schema.statuses import TRANSIENT
from pmd.store.commits import Books
from pmd.terminal import bar


def lines(books: Mapping[str, Books]) -> list[str]:
    """Return the summary: a line a source, and one that names the command where another try may help.

    Args:
        books: Of the commit `fetch/rejected`, by source.
    """
    width = max((len(source) for source in books), default=0)
    summary = []
    for source, book in sorted(books.items()):
        left = _listed(book.rejected)
        have = "has its" if book.total == 1 else "have their"
        share = f"{book.kept:,} of {bar.amount(book.total, 'pairs')} {have} image ({_percent(book.kept, book.total)})"
        summary.append(f"{source:<{width}}  {share}" + (f"; not: {left}" if left else ""))
    again = sum(count for reason, count in _together(books).rejected.items() if reason in TRANSIENT)
    if again:
        summary.append(f"{bar.amount(again, 'pairs')} may fare better another day: pmd fetch CONFIG --retry")
    return summary


def cut(left: int) -> str:
    """Return what is said where the time is up: how many images are left."""
    are = "is" if left == 1 else "are"
    return f"the time is up: what is settled is committed, {bar.amount(left, 'images')} {are} left; the same command goes on"


def check(books: Mapping[str, Books], left_open: Mapping[str, int]) -> None:
    """Refuse to call it success when no host answered, or when not one image is there and all could not be reached.

    Few hosts are no sign for `pmd.fetch.network`, which stops a run; none at all is one.

    Args:
        books: Of the commit `fetch/rejected`, by source.
        left_open: Images that the run left open because no host answered it, by what became of them.

    Raises:
        NetworkError: So it is.
    """
    if left_open:
        count = sum(left_open.values())
        stay = "stays" if count == 1 else "stay"
        raise NetworkError(
            "no image could be reached",
            where="fetch",
            expected="an answer from one host at least",
            found=f"nothing was settled: {bar.amount(count, 'images')} {stay} open ({_listed(left_open)})",
            remedy="mend this machine's network or resolver, then run the same command again: it tries them again. If it is "
            "the hosts that are gone, settle them as lost: pmd fetch CONFIG --settle-unreached",
        )
    together = _together(books)
    if together.kept or not together.rejected or not set(together.rejected) <= UNREACHED:
        return
    raise NetworkError(
        "no image could be reached",
        where="fetch",
        expected="an answer from one host at least",
        found=", ".join(f"{bar.amount(count, 'pairs')}: {reason}" for reason, count in _by_count(together.rejected)),
        remedy="mend this machine's network or resolver, or look whether the hosts still exist; then: "
        "pmd fetch CONFIG --retry",
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in _by_count(counts))


def _together(books: Mapping[str, Books]) -> Books:
    return sum(books.values(), Books())


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"
