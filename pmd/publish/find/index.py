"""The index of find.html: shards of names, each a script that a browser can load from a folder.

A *name* is the first eight bytes of what a row calls its image:

- of its `image_id`, and of its `sha256`;
- of its `pair_id`, in sources whose pages name a row and no picture (Reddit's posts);
- of what its URL says of the image (`pmd.text.url_identity`), where the row knows it as another: half the images of Visual
  Genome are COCO's;
- of the one spelling that stands for all of a URL (`pmd.text.urls.alike`), where it can be spelled otherwise: people do not
  spell as upstream does;
- of the images whose addresses its URL holds (`pmd.text.pages.held`): a scaled copy's owner knows the original's.

A shard has the names that begin with its number, sorted. With each it has the set of (source, licence of the image) of its rows,
as a number in the shard's own table. Of a name it has six bytes, after those that its own number covers whole. So with 100
million names, what is in no list is taken for what is in one with a chance of one in millions at most.

Names meet in run files on the temporary disk, cut by their first bits (`pmd.store.exchange`), so memory is one partition: some
50,000 rows of 100 million. The bytes depend on the rows alone.
"""

from __future__ import annotations

import base64
import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pmd.schema import keys
from pmd.schema.tables import KEY
from pmd.store import exchange, parquet_files, spools
from pmd.text import pages, url_identity

#: Raised when shards would be written otherwise of the same lists. 3: with what URLs hold, and what else they say of the image.
FORMAT: Final = 3
#: Names in a shard, at most about, were there two a row: a page loads what these come to, some 100 kB, without a pause, and the
#: lists of PMD have 8,192 shards. A folder on the Hub should have no more than 10,000 files.
NAMES: Final = 1 << 15
#: Bytes of a name in a shard.
NAME_BYTES: Final = 6
#: Sources whose pages name rows (`pmd.text.pages.Page.rows`): their pairs have names, too.
BY_ROW: Final = frozenset({"red_caps"})
#: Columns of a list that are read.
COLUMNS: Final = ("image_id", "sha256", "pair_id", "image_licence", "image_url")

#: What `script` writes.
_SHARD: Final = re.compile(r'found\([0-9]+,(?P<wide>[124]),\[.*\],"(?P<packed>[A-Za-z0-9+/]*={0,2})"\);\n', re.DOTALL)

_ROWS: Final = pa.schema([pa.field("name", KEY, nullable=False), pa.field("of", pa.int32(), nullable=False)])

#: (source, licence) of a row.
Of = tuple[str, str]


def bits_for(rows: int) -> int:
    """Return by how many bits of a name shards are cut, for lists of so many rows: each may have three names."""
    return exchange.bits_for(2 * rows, NAMES, 24)


def shards(lists: Mapping[str, Iterable[str]], bits: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every shard, in order; those without names too, so that a page finds each.

    Args:
        lists: Source → the paths of its list's files.
        bits: How many bits of a name tell its shard.
    """
    kinds: list[Of] = []
    cut = min(bits, exchange.MOST_BITS)
    with tempfile.TemporaryDirectory(prefix="find-", dir=spools.folder()) as folder:
        runs = list(exchange.write(folder, _ROWS, cut, _rows(lists, kinds), "name"))
        met = dict(exchange.by_partition(runs))
        for partition in range(2**cut):
            table = exchange.read(folder, [met[partition]] if partition in met else [], _ROWS)
            yield from _of_partition(table, partition, cut, bits, kinds)


def digits(bits: int) -> int:
    """Return how many hexadecimal digits a shard's number has in its file's name."""
    return max(-(-bits // 4), 1)


def _rows(lists: Mapping[str, Iterable[str]], kinds: list[Of]) -> Iterator[pa.RecordBatch]:
    numbers: dict[Of, int] = {}
    for source, paths in sorted(lists.items()):
        for path in paths:
            for batch in parquet_files.iterate(path, COLUMNS):
                licences = batch["image_licence"].fill_null("NOASSERTION").dictionary_encode()
                mine = []
                for licence in licences.dictionary.to_pylist():
                    if (source, licence) not in numbers:
                        numbers[source, licence] = len(kinds)
                        kinds.append((source, licence))
                    mine.append(numbers[source, licence])
                of = pa.array(mine, pa.int32()).take(licences.indices)
                for column in ("image_id", "sha256", *(["pair_id"] if source in BY_ROW else [])):
                    there = batch[column].is_valid()
                    names = keys.key_array(bytes.fromhex(key[:32]) for key in batch[column].filter(there).to_pylist())
                    yield pa.RecordBatch.from_arrays([names, of.filter(there)], schema=_ROWS)
                for named in (_other_images(batch), keys.image_ids(url_identity.by_any_spelling(batch["image_url"]))):
                    there = named.is_valid()
                    yield pa.RecordBatch.from_arrays([named.filter(there), of.filter(there)], schema=_ROWS)
                held = [(row, one) for row, page in pages.held(batch["image_url"]) for one in _names_of(page)]
                names = keys.key_array(keys.image_id(identity) for _, identity in held)
                rows = pa.array([row for row, _ in held], pa.int64())
                yield pa.RecordBatch.from_arrays([names, of.take(rows)], schema=_ROWS)


def _names_of(page: pages.Page) -> list[str]:
    """Return what the images are known by that an address holds, however people spell them."""
    spelled = url_identity.by_any_spelling(pa.array(page.holds, pa.string())).drop_null().to_pylist()
    return list(dict.fromkeys((*page.identities, *spelled)))


def _other_images(batch: pa.RecordBatch) -> pa.Array:
    """Return the key of the image that each row's URL says it is; null where that is the row's own."""
    named = keys.image_ids(url_identity.of(batch["image_url"]))
    own = keys.key_array(None if key is None else bytes.fromhex(key) for key in batch["image_id"].to_pylist())
    return pc.if_else(pc.fill_null(pc.equal(named, own), fill_value=False), pa.scalar(None, named.type), named)


def _of_partition(
    table: pa.Table, partition: int, cut: int, bits: int, kinds: Sequence[Of]
) -> Iterator[tuple[str, bytes]]:
    """Yield the shards of one partition: one, or where shards are cut finer, several."""
    found = table.group_by("name", use_threads=False).aggregate([("of", "distinct")])
    found = found.take(pc.sort_indices(found, [("name", "ascending")]))
    names, sets = found["name"].to_pylist(), [frozenset(of) for of in found["of_distinct"].to_pylist()]
    finer = bits - cut
    places = [keys.partition_of(name, bits) for name in names] if bits <= 32 else []
    start = 0
    for number in range(partition << finer, (partition + 1) << finer):
        stop = start + sum(1 for _ in itertools.takewhile(number.__eq__, itertools.islice(places, start, None)))
        yield f"{number:0{digits(bits)}x}.js", script(number, names[start:stop], sets[start:stop], bits, kinds)
        start = stop


def script(
    number: int, names: Sequence[bytes], sets: Sequence[frozenset[int]], bits: int, kinds: Sequence[Of]
) -> bytes:
    """Return one shard: a call that hands over its number, its sets, and names with the number of their set, in base64."""
    listed = {of: sorted(kinds[kind] for kind in of) for of in {*sets}}
    ordered = sorted(listed, key=listed.__getitem__)
    numbers = {of: place for place, of in enumerate(ordered)}
    wide = 1 if len(ordered) <= 256 else 2 if len(ordered) <= 65_536 else 4
    skip = bits // 8
    rows = np.zeros((len(names), NAME_BYTES + wide), np.uint8)
    if names:
        raw = np.frombuffer(b"".join(names), np.uint8).reshape(len(names), -1)
        rows[:, :NAME_BYTES] = raw[:, skip : skip + NAME_BYTES]
        of = np.array([numbers[each] for each in sets], ">u4").view(np.uint8).reshape(-1, 4)
        rows[:, NAME_BYTES:] = of[:, 4 - wide :]
    packed = base64.b64encode(rows.tobytes()).decode()
    told = orjson.dumps([listed[of] for of in ordered]).decode().replace("<", "\\u003c")
    return f'found({number},{wide},{told},"{packed}");\n'.encode()


def kept(content: str) -> frozenset[bytes]:
    """Return what a shard has of its names, `NAME_BYTES` of each; of a text that is no shard, none."""
    found = _SHARD.fullmatch(content)
    if found is None:
        return frozenset()
    rows = base64.b64decode(found["packed"])
    step = NAME_BYTES + int(found["wide"])
    return frozenset(rows[start : start + NAME_BYTES] for start in range(0, len(rows), step))


def name_of(key: bytes) -> str:
    """Return the name of a key or a digest: 16 hexadecimal digits."""
    return key[:8].hex()
