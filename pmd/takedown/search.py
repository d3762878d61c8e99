"""A picture, looked for among all that are stored: what has its bytes, and what looks like it, for a person to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd import codec
from pmd.books import pictures
from pmd.fetch.ledger import state
from pmd.images import names
from pmd.schema import keys
from pmd.schema.statuses import OK
from pmd.schema.tables import KEY
from pmd.store import register
from pmd.suppression import rows
from pmd.takedown import copies
from pmd.terminal import bar

#: Bits of 256 at which a picture is listed for a person to look at: twice what is taken for the same.
NEAR: Final = 2 * pictures.MATCH
#: More bits than a hash has: of a picture of which nobody knows how it looks.
_UNKNOWN: Final = 257


@dataclasses.dataclass(frozen=True)
class Near:
    """An image that may show the same.

    Attributes:
        image_id: Its key.
        identity: Its identity, where the images know it.
        location: Where it was had.
        bits: In which its perceptual hash differs; None: it has none.
        is_same: Whether it has the same bytes.
        is_turned: Whether it is so near only to the picture mirrored, or turned by a quarter or a half.
    """

    image_id: bytes
    identity: str | None
    location: str | None
    bits: int | None
    is_same: bool
    is_turned: bool = False

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {**dataclasses.asdict(self), "image_id": self.image_id.hex()}


@dataclasses.dataclass(frozen=True)
class Search:
    """What a picture was looked for among, and what was found.

    Attributes:
        near: The images that may show the same, nearest first.
        by_bytes: Stored pictures whose bytes were compared: all of them.
        by_looks: Those of them whose looks were compared, too.
        without_hash: Those whose looks nobody knows.
        can_look: Whether the picture has looks that tell it from others: none of one colour has.
    """

    near: list[Near]
    by_bytes: int
    by_looks: int
    without_hash: int
    can_look: bool

    def describe(self) -> dict[str, Any]:
        """Return it as `--json` tells it."""
        return {**dataclasses.asdict(self), "near": [near.describe() for near in self.near]}

    def says(self) -> str:
        """Return in words what was looked through, and what was not."""
        said = [
            f"looked through: by their bytes all {bar.amount(self.by_bytes, 'stored pictures')}, "
            f"by their looks {self.by_looks:,} of them",
            "not looked through: pictures that are not in the store",
        ]
        if not self.can_look:
            said.append(
                "by looks nothing can be found: the picture cannot be decoded, or has nothing in it that tells it apart"
            )
        elif self.without_hash:
            said.append(
                f"{bar.amount(self.without_hash, 'stored pictures')} {'has' if self.without_hash == 1 else 'have'} no perceptual "
                "hash: copies among them that were scaled or saved anew are not found. To have them hashed, without purging "
                "anything: the same command with --hash"
            )
        return "\n".join(said)


def find(root_url: str, content: bytes) -> Search:
    """Return the images that are near a picture, and what was looked through.

    Those that are near it mirrored or turned are listed too. To a perceptual hash these are other pictures, and no stage takes
    them for the same, but copies are made so.

    Args:
        root_url: ROOT.
        content: The picture's bytes.
    """
    named = names.picture(content)
    ways = [] if named.pdq is None else [named.pdq, *_turned(content)]
    known = register.current(root_url)
    found: dict[bytes, Near] = {}
    stored = unknown = 0
    for shard in known.shards:
        ledger = state.standing(known.of(shard))
        ledger = ledger.filter(pc.equal(ledger["status"], OK))
        stored += ledger.num_rows
        unknown += int(ledger["perceptual_hash"].null_count)
        far = _bits_apart(ledger["perceptual_hash"], ways)
        same = rows.is_in(ledger["sha256"], pa.array([named.sha256], ledger["sha256"].type))
        same |= rows.is_in(ledger["stored_digest"], pa.array([named.stored], KEY))
        places = np.flatnonzero(same | (far.min(axis=1) <= NEAR))
        for place, row in zip(places, ledger.select(["image_id", "location"]).take(places).to_pylist(), strict=True):
            nearest = int(far[place].min())
            bits = nearest if nearest < _UNKNOWN else None
            found[row["image_id"]] = Near(
                **row, identity=None, bits=bits, is_same=bool(same[place]), is_turned=bool(far[place, 0] > nearest)
            )
    identities = _identities(root_url, found)
    listed = [dataclasses.replace(near, identity=identities.get(key)) for key, near in found.items()]
    order = sorted(listed, key=lambda near: (not near.is_same, NEAR if near.bits is None else near.bits, near.image_id))
    can_look = named.pdq is not None
    return Search(order, stored, stored - unknown if can_look else 0, unknown, can_look)


def _bits_apart(hashes: pa.ChunkedArray, ways: Sequence[bytes]) -> npt.NDArray[np.int64]:
    """Return in how many bits each of some hashes (rows) differs from each of others (columns, one at least)."""
    far = np.full((len(hashes), max(len(ways), 1)), _UNKNOWN)
    there = hashes.is_valid().to_numpy()
    words = pictures.words(hashes.drop_null().to_pylist())
    for column, way in enumerate(ways):
        far[there, column] = pictures.distances(words, way)
    return far


def _turned(content: bytes) -> list[bytes]:
    """Return the perceptual hashes of a picture mirrored and turned, in all seven ways."""
    from PIL import Image

    picture = codec.upright_rgb(content)
    return [codec.perceptual_hash(picture.transpose(how)) for how in Image.Transpose]


def _identities(root_url: str, images: Mapping[bytes, object]) -> dict[bytes, str]:
    """Return the identities of some images."""
    found: dict[bytes, str] = {}
    for batch in copies.batches(root_url, ("image_id", "identity")) if images else ():
        mine = batch.filter(keys.are_among(batch["image_id"], images.keys()))
        found |= dict(zip(mine["image_id"].to_pylist(), mine["identity"].to_pylist(), strict=True))
    return found
