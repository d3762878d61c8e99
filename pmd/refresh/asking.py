"""A wave, asked: as the fetch asks, by its client, with its politeness, checks and limits; no picture is kept.

One lane in this process: a wave is a sample, and hosts' turns decide how long it takes. What is there is judged as the fetch
judges it, so that a placeholder is none. An answer is written down as it comes (`pmd.refresh.waves`). Of images whose host was
not reached it is written when the lane has ended and some host has answered: else it is the network that is gone.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from pmd.config import Config
from pmd.errors import ConfigError, NetworkError, RootError
from pmd.fetch import needs, network
from pmd.fetch.clock import Clock, utc_now
from pmd.fetch.lane import stopping
from pmd.fetch.lane.engine import Fetcher, Lane
from pmd.fetch.lane.stopping import Stop
from pmd.fetch.ledger import asked, partitions
from pmd.fetch.ledger.asked import ARCHIVE
from pmd.fetch.lists import blocklists
from pmd.fetch.outcome import Fetched
from pmd.fetch.politeness import policies
from pmd.refresh import sampling, waves
from pmd.refresh.sampling import Drawn
from pmd.refresh.waves import Answer
from pmd.schema import keys
from pmd.schema.tables import IMAGES
from pmd.store import commits, root
from pmd.terminal import bar

#: Whose files of hosts' policies these are.
_NAME: Final = "refresh"

Tell = Callable[[int, int], None]


class Opens(Protocol):
    """Opens what asks, for as long as a wave takes."""

    def __call__(self, config: Config, began: datetime.datetime, stop: Stop, ask: Callable[[Fetcher], None]) -> None:
        """Have a fetcher ask."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a run has done.

    Attributes:
        date: The wave's day.
        images: How many it has.
        asked: For how many this run asked.
        left: For how many nobody has; 0: it is committed.
    """

    date: str
    images: int
    asked: int
    left: int


def refresh(
    config: Config,
    images: int,
    seed: int,
    *,
    until: datetime.datetime | None = None,
    clock: Clock = utc_now,
    tell: Tell = lambda done, total: None,
    opens: Opens | None = None,
) -> Asked:
    """Ask a wave of today, or the one that was begun; a wave of today that has come to its end is left as it is.

    Args:
        config: The configuration.
        images: How many are drawn, at most.
        seed: Another one draws others.
        until: When it ends with what it has.
        clock: The time.
        tell: Told how far it is.
        opens: What asks; by default a lane of the fetch.

    Raises:
        ConfigError: `images` is no number of images, `seed` no number of 64 bits, a wave was begun with others, or the contact is
            nobody's.
        NetworkError: No host was reached, or the network is broken.
        RootError: Nothing was fetched yet, or nothing that is left is on the web.
    """
    if images < 1:
        raise ConfigError("not a number of images", where="--images", expected="1 or more", found=str(images))
    if not -(2**63) <= seed < 2**63:
        raise ConfigError("not a seed", where="--seed", expected="a whole number of 64 bits", found=str(seed))
    began = clock()
    date = waves.begun(config.root) or began.astimezone(datetime.UTC).date().isoformat()
    if date in waves.committed(config.root):
        count = next(wave.rows.num_rows for wave in waves.read(config.root) if wave.date == date)
        return Asked(date, count, 0, 0)
    needs.require_contact(config)
    lock = root.writing(config.root)
    folder = waves.folder_of(config.root, date)
    commits.claim(folder, lock.epoch)
    drawn = _drawn(config, folder, date, {"images": images, "seed": seed})
    ids = {*drawn.rows["image_id"].to_pylist()}
    answered = {key: answer for key, answer in waves.answers(folder).items() if key in ids}
    before = len(answered)
    todo = to_ask(drawn, answered)
    if todo.num_rows:
        stop = Stop()
        with stopping.at(stop, until, utc_now()):
            (opens or _lane)(config, began, stop, _keeping(folder, todo, answered, drawn.rows.num_rows, tell))
    left = drawn.rows.num_rows - len(answered)
    if not left:
        run = {commits.EPOCH: lock.epoch, "asked_for": {"images": images, "seed": seed}}
        waves.commit(folder, date, drawn, answered, run | {"ended": clock().isoformat()})
        commits.sweep(folder, lock.check)
    return Asked(date, drawn.rows.num_rows, len(answered) - before, left)


def _drawn(config: Config, folder: str, date: str, asked_for: dict[str, Any]) -> Drawn:
    """Return what the wave asks for: drawn before, or now."""
    is_begun = waves.begun(config.root) is not None
    if is_begun:
        drawn = _still_there(config.root, waves.read_drawn(folder, asked_for))
    else:
        drawn = sampling.draw(asked.read(config.root), asked_for["images"], f"{asked_for['seed']} {date}")
    if not drawn.rows.num_rows:
        raise RootError(
            "there is nothing to ask for again",
            where=config.root,
            expected="images that were had from the web",
            found="none",
            remedy=f"remove {folder}; the next pmd refresh begins a wave anew" if is_begun else "run: pmd fetch CONFIG",
        )
    if not is_begun:
        waves.keep_drawn(folder, drawn, asked_for)
    return drawn


def _still_there(root_url: str, drawn: Drawn) -> Drawn:
    """Return of what was drawn what is among the images still: nobody is asked for what was taken down since."""
    ids = drawn.rows["image_id"].combine_chunks()
    bits = partitions.cut(root_url).part_bits
    committed = partitions.image_files(root_url)
    left: list[bytes] = []
    for part in sorted({keys.partition_of(image_id, bits) for image_id in ids.to_pylist()}):
        there = partitions.read_images(root_url, part, ("image_id",), committed)["image_id"]
        left += there.filter(pc.is_in(there, value_set=ids)).to_pylist()  # a part at a time: all images are many
    return dataclasses.replace(
        drawn, rows=drawn.rows.filter(pc.is_in(drawn.rows["image_id"], value_set=keys.key_array(left)))
    )


def to_ask(drawn: Drawn, answered: Iterable[bytes]) -> pa.Table:
    """Return the `IMAGES` that are still to be asked for, the address that had the picture before first."""
    left = pc.invert(pc.is_in(drawn.rows["image_id"], value_set=keys.key_array(answered)))
    rows = drawn.rows.filter(left).select(["image_id", "locations", "has_region", "location"]).to_pylist()
    for row in rows:
        used = row.pop("location")
        places = [place for place in row["locations"] if place["kind"] != ARCHIVE]
        row["locations"] = sorted(places, key=lambda place: place["url"] != used)
    fields = [IMAGES.field(name) for name in ("image_id", "locations", "has_region")]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _keeping(
    folder: str, todo: pa.Table, answered: dict[bytes, Answer], total: int, tell: Tell
) -> Callable[[Fetcher], None]:
    """Return what has a fetcher ask, and writes down what comes."""

    def ask(fetcher: Fetcher) -> None:
        unreached: list[tuple[bytes, Answer]] = []
        with waves.Keeping(folder) as keeping:
            for fetched in fetcher.fetch(todo):
                answer = _answer(fetched)
                if fetched.status in network.UNREACHED:
                    unreached.append((fetched.image_id, answer))
                    continue
                keeping.add(fetched.image_id, answer)
                answered[fetched.image_id] = answer
                tell(len(answered), total)
            if unreached and not fetcher.answered:
                raise NetworkError(
                    "no host was reached",
                    where=folder,
                    found=f"{bar.amount(len(unreached), 'images')} that cannot be reached, and none that can",
                    remedy="see to the network, then run the same command again: it goes on",
                )
            for image_id, answer in unreached:
                keeping.add(image_id, answer)
                answered[image_id] = answer

    return ask


def _answer(fetched: Fetched) -> Answer:
    when = fetched.attempts[-1].when if fetched.attempts else utc_now()
    return Answer(fetched.status, None if fetched.sha256 is None else fetched.sha256.hex(), when)


def _lane(config: Config, began: datetime.datetime, stop: Stop, ask: Callable[[Fetcher], None]) -> None:
    run = root.writing(config.root).epoch
    with (
        policies.Kept(config.root, _NAME, began, run=run) as robots_files,
        policies.Kept(config.root, _NAME, began, "tdmrep", run=run) as reservations,
        Lane(
            config.fetch,
            contact=config.contact or "",
            policies=robots_files,
            reservations=reservations,
            stop=stop,
            hashed=False,
            folder=config.folder,
            blocklist=blocklists.of_root(config.root, config.fetch.blocklists),
        ) as lane,
    ):
        ask(lane)
