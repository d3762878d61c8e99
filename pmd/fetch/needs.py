"""What fetch depends on: images that have no settled row, or a new location; then the views and the ledger."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.config import Config
from pmd.errors import ConfigError
from pmd.fetch.ledger import asking, partitions, sums
from pmd.fetch.lists import blocklists, reference_lists
from pmd.schema.statuses import BLOCKED_ADDRESS
from pmd.store import commits, root, storage
from pmd.store.standing import Standing
from pmd.store.wanted import Wanted
from pmd.terminal import bar

#: What a driver remembers of all that stands: no image is to be fetched, nor judged anew.
SETTLED: Final = "settled"


def check(config: Config) -> None:
    """Find, before anything runs, what would keep a fetch from running.

    Raises:
        ConfigError: The engine is not installed.
        InputError: As `check_lists`.
    """
    check_lists(config)
    if config.fetch.engine == "img2dataset":
        from pmd.fetch.adoption import img2dataset  # late: it reads in all that asks the web

        img2dataset.require()


def check_lists(config: Config) -> None:
    """Find out whether the lists that a fetch is to heed can be read.

    Raises:
        InputError: One of `fetch.against` or `fetch.blocklists` is missing, or none.
    """
    reference_lists.files(config.fetch.against)
    blocklists.read(config.fetch.blocklists)


def require_contact(config: Config) -> None:
    """Refuse a contact at which nobody is, before anybody is asked: the one that `pmd init` writes, for the user to change.

    Hosts that want to be left alone write to it, and block whoever does not answer.

    Raises:
        ConfigError: It still stands, and neither host nor address is named as one's own.
    """
    has_ours = config.fetch.resolve or config.fetch.allow_addresses
    if _NOBODYS.fullmatch(config.contact or "") and not has_ours:
        raise ConfigError(
            "nobody can be reached here",
            where="contact",
            expected="an address at which hosts reach you: it is sent with every request",
            found=f"{config.contact}, which stands for yours",
            remedy="write your own in the configuration",
        )


#: RFC 2606 §3 keeps these domains for examples.
_NOBODYS: Final = re.compile(r"mailto:you@example\.(?:com|net|org)", re.IGNORECASE)


def wanted(config: Config, unit: str = "all", standing: Standing | None = None) -> tuple[Wanted, ...]:
    """Return the commits of the rejected pairs and of what was there; generations are committed as they come."""
    there = standing or Standing(config.root)
    found = {"views": there.digest(root.views_folder(config.root)), "ledger": there.generations.digest}
    rejected = Wanted(flow.FETCH.name, "rejected", root.fetch_rejected_folder(config.root), {}, found)
    return rejected, sums.wanted(config.root, there)


def pending(config: Config, standing: Standing | None = None) -> str | None:
    """Return why images must be fetched, or stored ones hashed for a list to be held against them; else None."""
    there = standing or Standing(config.root)
    hashes = asking.why(there, asking.to_judge(config))
    if hashes is not None:
        return hashes
    if is_settled(config, there):
        return None
    causes: Counter[str] = Counter()
    for of_shard in _looked(_Question(there.root, _key(config, there), config, there)).values():
        causes.update(of_shard)
    return words(causes)


@dataclasses.dataclass(frozen=True)
class _Question:
    """How many images are to be fetched, or judged anew; one question where all is the same that the answer depends on."""

    root: str
    key: str
    config: Config = dataclasses.field(compare=False)
    there: Standing = dataclasses.field(compare=False)


_Causes = Mapping[int, Mapping[str, int]]


@functools.lru_cache(maxsize=1)
def _looked(question: _Question) -> _Causes:
    """Return fetch shard → cause → images; every ledger is read for it, once.

    One answer is kept: a build that fetches asks twice in a row, why it must and then which shards, and would read all twice.
    """
    found = _look(question.config, question.there)
    return MappingProxyType({shard: MappingProxyType(causes) for shard, causes in found.items()})


def _look(config: Config, there: Standing, retry: Sequence[str] = ()) -> dict[int, dict[str, int]]:
    blocklist = blocklists.read(config.fetch.blocklists)
    causes = {
        shard: _causes(ledger, todo) | {BLOCKED: len(blocklist.stored(ledger, images))}
        for shard, images, ledger, todo in partitions.pending(there.generations, config.fetch, retry)
    }
    return {shard: of_shard for shard, of_shard in causes.items() if any(of_shard.values())}


def answers(config: Config, there: Standing) -> dict[str, str]:
    """Return what may be remembered where nothing is pending: the next one need not read the ledgers only to see that."""
    hashed = {asking.HASHED: asking.key(there)} if asking.to_judge(config) is not None else {}
    return {SETTLED: _key(config, there)} | hashed


def is_settled(config: Config, there: Standing) -> bool:
    """Return whether it is remembered that nothing is pending."""
    return there.generations.answers.get(SETTLED) == _key(config, there)


def _key(config: Config, there: Standing) -> str:
    """Return what it depends on that nothing is pending: images and their places, the ledger, options, blocklists."""
    lists = [commits.sha256(storage.read_bytes(path)) for path in config.fetch.blocklists]
    return commits.options_hash([asking.key(there), config.fetch.told(), lists])


#: Why an image is fetched, or judged anew, as people read it.
UNTRIED: Final = "not tried yet"
MOVED: Final = "with a new location"
ALLOWED: Final = "at an address that was refused and may be asked now"
BLOCKED: Final = "stored, and on a blocklist since"


def _causes(ledger: pa.Table, todo: pa.Table) -> dict[str, int]:
    """Return cause → images, of those that are to be fetched."""
    rows = partitions.positions(todo["image_id"], ledger)
    tried = ledger["status"].take(rows.drop_null())
    allowed = pc.sum(pc.equal(tried, BLOCKED_ADDRESS)).as_py() or 0
    return {UNTRIED: rows.null_count, MOVED: len(tried) - allowed, ALLOWED: allowed}


def words(causes: Mapping[str, int]) -> str | None:
    """Return how many images are to be fetched, with the causes where they are not all new; None where none are."""
    counts = {cause: causes[cause] for cause in (UNTRIED, MOVED, ALLOWED, BLOCKED) if causes.get(cause)}
    if not counts:
        return None
    total = sum(counts.values())
    images = f"{bar.amount(total, 'images')} to fetch"
    if [*counts] == [UNTRIED]:
        return images
    return f"{images}: " + ", ".join(f"{count:,} {cause}" for cause, count in counts.items())


def pending_images(config: Config, retry: Sequence[str] = (), standing: Standing | None = None) -> dict[int, int]:
    """Return fetch shard → images to be tried or, stored before a blocklist named them, judged anew; none, no shard."""
    there = standing or Standing(config.root)
    if not retry and is_settled(config, there):
        return {}
    found: _Causes = (
        _look(config, there, retry) if retry else _looked(_Question(there.root, _key(config, there), config, there))
    )
    return {shard: sum(causes.values()) for shard, causes in found.items()}
