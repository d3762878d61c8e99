"""Published lists of generated pairs in PMD's proportions, for measuring the audit: any number of rows, the same for all.

Texts are spliced from the samples' captions, each the first half of one and the second half of another, so that their letters,
words and languages are those of captions and 20 million of them are hardly ever the same; one in thirty is a whole caption of a
few thousand. Users and hosts are unequal, a third of YFCC100M's photographs have a geotag near a settlement, and `meta` is as
long as upstream's.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd import manifests
from pmd.publish.rules import PUBLISHED
from pmd.schema.keys import hexadecimal
from pmd.sources.yfcc100m import LAYOUTS

#: Rows that are made at once.
CHUNK: Final = 2**16
#: Source → share of the pairs, by FLAVA's Table 2; Localized Narratives and the rest of Flickr are left out.
SHARES: Final = {
    "coco": 0.9,
    "visual_genome": 5.4,
    "localized_narratives__openimages": 1.9,
    "conceptual_captions": 3.1,
    "conceptual_12m": 11.0,
    "wit": 4.8,
    "red_caps": 11.6,
    "sbu_captions": 1.0,
    "yfcc100m": 29.9,
}
_WHOLE: Final = 1 / 30
_FEW: Final = 2000
_SEED: Final = 16

Numbers = np.ndarray[Any, np.dtype[np.int64]]


class Captions:
    """The samples' captions, cut in halves, by what they are of."""

    def __init__(self, samples: Path) -> None:
        described = [caption for _, caption in _coco(samples)] + _multi30k(samples)
        short = _regions(samples)
        long = (samples / "localized_narratives/captions_only_100.tsv").read_text(encoding="utf-8").splitlines()
        narrated = [sentence for line in long for sentence in line.split("\t")[1].split(". ") if " " in sentence]
        alt = [line.split("\t")[0] for path in sorted((samples / "cc3m").glob("*.tsv")) for line in _lines(path)]
        titles = _titles(samples)
        self._of = {
            "coco": _halves(described),
            "visual_genome": _halves(short),
            "localized_narratives__openimages": _halves(narrated),
            "red_caps": _halves(described + titles),
            "sbu_captions": _halves(described),
            "yfcc100m": _halves(titles),
        }
        self._other = _halves(alt)

    def texts(self, source: str, rows: int, dice: np.random.Generator) -> pa.Array:
        """Return that many texts."""
        heads, tails = self._of.get(source, self._other)
        first, second = (dice.integers(0, len(heads), rows) for _ in range(2))
        whole = dice.random(rows) < _WHOLE
        first[whole] %= _FEW
        second[whole] = first[whole]
        return pc.binary_join_element_wise(heads.take(pa.array(first)), tails.take(pa.array(second)), " ")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _coco(samples: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((samples / "coco").glob("captions_*2017.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["annotations"]:
            yield str(row["image_id"]), " ".join(row["caption"].split())


def _multi30k(samples: Path) -> list[str]:
    found: list[str] = []
    for part in ("val", "test_2016_flickr"):
        with gzip.open(samples / f"langid/{part}.en.gz", "rt", encoding="utf-8") as file:
            found += file.read().splitlines()
    return found


def _regions(samples: Path) -> list[str]:
    document = json.loads((samples / "visual_genome/v1.2/region_descriptions.json").read_text(encoding="utf-8"))
    return [" ".join(region["phrase"].split()) for image in document for region in image["regions"]]


def _titles(samples: Path) -> list[str]:
    """Return what people say of their own photographs: alt texts and titles that are labelled, or taken for, English."""
    texts = pq.read_table(samples / "urls/laion_10000.parquet")["TEXT"].drop_null().to_pylist()
    with (Path(__file__).parent / "data/laion_language.tsv").open(encoding="utf-8") as file:
        foreign = {int(row[0]) for row in csv.reader(file, delimiter="\t") if row[0].isdigit() and row[1] != "en"}
    return [text for place, text in enumerate(texts) if place not in foreign and text.isascii() and " " in text]


def _halves(texts: list[str]) -> tuple[pa.Array, pa.Array]:
    split = [text.split() for text in texts if len(text.split()) > 1]
    return (
        pa.array([" ".join(words[: (len(words) + 1) // 2]) for words in split]),
        pa.array([" ".join(words[(len(words) + 1) // 2 :]) for words in split]),
    )


class Rows:
    """Rows of published lists.

    Args:
        samples: The folder of real samples.
    """

    def __init__(self, samples: Path) -> None:
        self._captions = Captions(samples)
        self._spots = _spots()
        self._metas = _metas(samples)

    def chunk(self, number: int, rows: int = CHUNK) -> pa.Table:
        """Return the rows of a chunk (`PUBLISHED`), the same whenever it is asked for."""
        dice = np.random.default_rng([_SEED, number])
        shares = np.array(list(SHARES.values()))
        counts = dice.multinomial(rows, shares / shares.sum())
        hub = {name: manifest.hub_name for name, manifest in manifests.load_all().items()}
        parts = [
            self._of_source(source, hub[source], count, dice)
            for source, count in zip(SHARES, counts.tolist(), strict=True)
            if count
        ]
        whole = pa.concat_tables(parts).take(pa.array(dice.permutation(rows)))
        place = np.arange(number * CHUNK, number * CHUNK + rows, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        columns: dict[str, Any] = {name: whole[name] for name in whole.schema.names}
        columns["pair_id"] = _hexadecimal(place)
        nothing = pa.nulls(rows)
        return pa.table([columns.get(field.name, nothing) for field in PUBLISHED], names=PUBLISHED.names).cast(
            PUBLISHED
        )

    def _of_source(self, source: str, hub_name: str, rows: int, dice: np.random.Generator) -> pa.Table:
        users = _unequal(500_000, 2.5, rows, dice)
        images = dice.integers(0, 2**62, rows)
        if source in {"coco", "visual_genome", "localized_narratives__openimages"}:
            images //= 2**62 // 40_000  # several texts an image
        host = _host(source, rows, dice)
        key = pa.array(images, pa.int64()).cast(pa.string())
        return pa.table(
            {
                "image_url": _joined(host, key, pa.array([".jpg"] * rows)),
                "text": self._captions.texts(source, rows, dice),
                "source": pa.array([hub_name] * rows),
                "meta": self._meta(source, users, images, dice),
                "image_id": _hexadecimal(images.astype(np.uint64), salt=source),
            }
        )

    def _meta(self, source: str, users: Numbers, images: Numbers, dice: np.random.Generator) -> pa.Array:
        rows = len(users)
        name = pa.array(users).cast(pa.string())
        if source == "yfcc100m":
            where = self._spots.take(pa.array(dice.integers(0, len(self._spots), rows)))
            nowhere = pa.array(dice.random(rows) > 1 / 3)
            where = pc.if_else(nowhere, pa.scalar('"longitude":"","latitude":""'), where)
            year = pa.array(2004 + dice.integers(0, 11, rows)).cast(pa.string())
            rest = self._metas.take(pa.array(dice.integers(0, len(self._metas), rows)))
            return _joined('{"uid":"', name, '@N00","datetaken":"', year, '-06-01 10:20:30.0",', where, ",", rest, "}")
        if source == "red_caps":
            groups = pa.array(users % 350).cast(pa.string())
            when = pa.array(1_302_998_814 + dice.integers(0, 300_000_000, rows)).cast(pa.string())
            return _joined('{"author":"u', name, '","subreddit":"r', groups, '","created_utc":', when, ',"score":3}')
        if source == "sbu_captions":
            return _joined('{"user_id":"', name, '@N00"}')
        if source == "wit":
            page = pa.array(users * 4).cast(pa.string())
            said = self._captions.texts("wit", rows, dice)
            said = pc.replace_substring_regex(said, r'["\\\x00-\x1f]', " ")
            return _joined(
                '{"language":"en","page_url":"https://en.wikipedia.org/wiki/P', page, '","context_page_description":"',
                said, " ", said, " ", said, " ", said, '"}',
            )  # fmt: skip
        return pa.array(["{}"] * rows)


def _unequal(number: int, power: float, rows: int, dice: np.random.Generator) -> Numbers:
    """Return which of so many units each row is of: the first has the most, by a power law."""
    return (number * dice.random(rows) ** power).astype(np.int64)


def _joined(*parts: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _host(source: str, rows: int, dice: np.random.Generator) -> pa.Array:
    if source == "yfcc100m":
        number = pa.array(dice.integers(1, 10, rows)).cast(pa.string())
        return _joined("http://farm", number, ".staticflickr.com/7205/")
    if source in {"conceptual_captions", "conceptual_12m"}:
        number = pa.array(_unequal(150_000, 4, rows, dice)).cast(pa.string())
        domain = pa.array([".com", ".co.uk", ".de", ".org", ".com.au"]).take(pa.array(dice.integers(0, 5, rows)))
        return _joined("https://images.site", number, domain, "/wp-content/uploads/")
    if source == "red_caps":
        return pa.array(["https://i.redd.it/", "https://i.imgur.com/"]).take(pa.array(dice.integers(0, 2, rows)))
    if source == "wit":
        return pa.array(["http://upload.wikimedia.org/wikipedia/commons/a/ab/"] * rows)
    return pa.array(["http://images.cocodataset.org/train2017/"] * rows)


def _hexadecimal(low: np.ndarray[Any, np.dtype[np.uint64]], salt: str = "") -> pa.Array:
    """Return keys as lists spell them, of one number and salt always the same."""
    mixed = (low ^ np.uint64(len(salt) * 0x1234567)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(29)
    both = np.stack([mixed, mixed * np.uint64(0x9E3779B97F4A7C15) ^ (mixed >> np.uint64(33))], axis=1)
    raw = both.astype(">u8").tobytes()
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(low), [None, pa.py_buffer(raw)])
    return hexadecimal(keys)


def _spots() -> pa.Array:
    path = Path(__file__).resolve().parent.parent / "tests/audit/data/settlements.csv"
    with path.open(encoding="utf-8") as file:
        return pa.array(
            [f'"longitude":"{row["longitude"]}","latitude":"{row["latitude"]}"' for row in csv.DictReader(file)]
        )


def _metas(samples: Path) -> pa.Array:
    """Return the other fields of upstream's rows, as JSON without its braces."""
    left_out = {"uid", "datetaken", "longitude", "latitude"}
    path = samples / "yfcc100m/yfcc100m_dataset_25col.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n") if line]
    fields = [{n: v for n, v in zip(LAYOUTS[25], row, strict=True) if n not in left_out} for row in rows]
    return pa.array([json.dumps(one, separators=(",", ":"))[1:-1] for one in fields])
