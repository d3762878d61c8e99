"""Anyone's scores of images or pairs as attributes of the audit: what pairs of each value are, after every stage.

    read        a Parquet file with `image_id` or `pair_id` → its attributes, each other column one
    tally       pairs and their attributes → counts, which merge in any order
    of_columns  the same of what any data set says in columns of its own: licences by family, sizes in bins
    figures     the counts → rows of audit.json, without small cells

Numbers are put into bins at the quintiles of the file's own values; strings, booleans and numbers with few values are categories.
Who brings a classifier's scores for skin tone, for age or for nudity sees them here beside everything else; what they mean is
theirs.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pmd.audit.counting.measure import CLASSES, Seen
from pmd.audit.counting.standing import OWN_ID
from pmd.audit.figures import pictures
from pmd.audit.statistics import suppression
from pmd.audit.statistics.figures import coverage
from pmd.audit.texts.marks import BITS, OF_ENGLISH, key
from pmd.config import scores
from pmd.errors import InputError
from pmd.formats import parquet
from pmd.schema import licences
from pmd.schema.keys import sortable
from pmd.store import storage

#: Values of a column up to which each is a category; of more numbers there are bins, of more strings the commonest count.
CATEGORIES: Final = 20
#: Bins of numbers.
BINS: Final = 5
#: Texts from which a rate of a value is shown.
LEAST_TEXTS: Final = 30
#: A string that is none of the commonest, and a number that is none.
OTHER: Final = "other"

#: What is counted of the texts with a value, beside how many are English.
RATES: Final = ("female", "male", *OF_ENGLISH["age"], *OF_ENGLISH["harm"])

#: What is told of a data set's own columns.
LICENCE: Final = "licence of the image"
SHORT_SIDE: Final = "shorter side, pixels"

METHOD_OF_DATA: Final = (
    "The data set's own columns: licences by family, whatever their version, and sizes by the shorter side; rows of each, "
    "and rates of terms among their English texts in the sample, from 30 on. Values with fewer than 10 rows are summed up, and a "
    "rate is not told where fewer than 10 of these texts, or all but so few, have a term. They are as the data set says, and "
    "nothing here has checked them."
)
METHOD: Final = (
    "Columns of the files under [audit] attributes, joined by image_id or pair_id: pairs of each value after every stage, and "
    "rates of terms among their English texts in the sample, from 30 on. Values with fewer than 10 pairs are summed up. A "
    "rate is not told where fewer than 10 of these texts have a term, or all but so few. What a value means, and how often it is "
    "wrong, is for who made it to say."
)


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A column of a file.

    Attributes:
        name: The column.
        joined_by: `pair_id` or `image_id`.
        ids: In order, each once.
        codes: Of each id the number of its value; -1 for none.
        values: What they are called.
    """

    name: str
    joined_by: str
    ids: scores.Ids
    codes: npt.NDArray[np.int16]
    values: tuple[str, ...]

    def of(self, keys: pa.Array) -> npt.NDArray[np.int16]:
        """Return the number of the value of each 16-byte key; -1 for none."""
        wanted = sortable(keys.cast(pa.binary(16)))
        if not len(self.ids):
            return np.full(len(wanted), -1, np.int16)
        at = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[at] == wanted, self.codes[at], np.int16(-1))


def read(paths: Sequence[str]) -> list[Attribute]:
    """Read the attributes of files.

    Raises:
        InputError: A file is not there or not like that, an id stands in it twice, or two files have a column of one name.
    """
    found: dict[str, Attribute] = {}
    for path in paths:
        for attribute in _of_file(path):
            if attribute.name in found:
                raise InputError(
                    "an attribute that stands in two files",
                    where=f"{path}: {attribute.name}",
                    remedy="rename it in one",
                )
            found[attribute.name] = attribute
    return list(found.values())


def _of_file(path: str) -> list[Attribute]:
    parquet.refuse_others(path, f"a Parquet file with {' or '.join(scores.IDS)}, and other columns")
    with parquet.telling(path), storage.open_raw(path) as file:
        table = pq.ParquetFile(file).read()
    repeated = sorted({name for name in table.schema.names if table.schema.names.count(name) > 1})
    if repeated:
        raise InputError(
            "columns of one name",
            where=path,
            expected="each column once",
            found=", ".join(repeated),
            remedy="rename one",
        )
    ids = [name for name in scores.IDS if name in table.schema.names]
    names = [name for name in table.schema.names if name not in ids]
    if len(ids) != 1 or not names:
        raise InputError(
            "attributes without the columns that they need",
            where=path,
            expected=f"one of the columns {' and '.join(scores.IDS)}, and others",
            found=", ".join(table.schema.names),
        )
    keys = sortable(scores.keys_of(table[ids[0]].combine_chunks(), path))
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    if len(keys) > 1 and (keys[1:] == keys[:-1]).any():
        raise InputError("an id that stands there twice", where=path, expected=f"each {ids[0]} once")
    found = []
    for name in names:
        codes, values = _coded(table[name].combine_chunks(), f"{path}: {name}")
        found.append(Attribute(name.replace("\t", " "), ids[0], keys, codes[order], values))
    return found


def _coded(column: pa.Array, where: str) -> tuple[npt.NDArray[np.int16], tuple[str, ...]]:
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), float("nan")).to_numpy(zero_copy_only=False)
        there = np.isfinite(numbers)
        if len(np.unique(numbers[there])) > CATEGORIES:
            return _binned(numbers, there)
        said = _spelled_numbers(numbers[there])
        texts = pa.array([said.get(number) for number in numbers.tolist()], pa.string())
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(column, "true", "false")
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        texts = pc.replace_substring(column.cast(pa.string()), "\t", " ")  # which parts the keys of counts
    else:
        raise InputError(
            "an attribute that is neither number nor text",
            where=where,
            expected="numbers, texts or booleans",
            found=str(kind),
        )
    counted = pc.value_counts(texts.drop_null()).to_pylist()
    ranked = sorted(counted, key=lambda one: (-one["counts"], one["values"]))
    values = [one["values"] for one in ranked[:CATEGORIES]]
    codes = pc.fill_null(pc.index_in(texts, value_set=pa.array(values, pa.string())), -1)
    found = codes.to_numpy(zero_copy_only=False).astype(np.int16)
    if len(ranked) > CATEGORIES:
        if OTHER not in values:
            values.append(OTHER)
        found[(found < 0) & texts.is_valid().to_numpy(zero_copy_only=False)] = values.index(OTHER)
    return found, tuple(values)


def _binned(
    numbers: npt.NDArray[np.float64], there: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int16], tuple[str, ...]]:
    """Return bins from each quintile to below the next, the last with its end."""
    least, most = float(numbers[there].min()), float(numbers[there].max())
    inner = np.unique(np.quantile(numbers[there], np.arange(1, BINS) / BINS))
    inner = inner[inner > least]
    codes = np.where(there, np.searchsorted(inner, numbers, "right"), -1).astype(np.int16)
    ends = [least, *inner.tolist(), most]
    said = _spelled_numbers(np.array(ends))
    return codes, tuple(f"{said[low]} to {said[high]}" for low, high in itertools.pairwise(ends))


def _spelled_numbers(numbers: npt.NDArray[np.float64]) -> dict[float, str]:
    """Return numbers as they are written: with six digits, or as many more as tell them apart, since counts go by names."""
    apart = np.unique(numbers).tolist()
    for digits in range(6, 18):
        said = {number: f"{number:.{digits}g}" for number in apart}
        if len({*said.values()}) == len(apart):
            break
    return said


def to_bytes(attribute: Attribute) -> bytes:
    """Return an attribute as bytes, for a file that workers read."""
    sink = io.BytesIO()
    np.savez(
        sink,
        ids=attribute.ids,
        codes=attribute.codes,
        values=np.array(attribute.values, dtype=np.str_),
        name=attribute.name,
        joined_by=attribute.joined_by,
    )
    return sink.getvalue()


@functools.lru_cache(maxsize=16)
def held(path: str) -> Attribute:
    """Return what `to_bytes` gave, of a file that never changes."""
    with np.load(io.BytesIO(storage.read_bytes(path))) as found:
        return Attribute(
            str(found["name"]), str(found["joined_by"]), found["ids"], found["codes"], tuple(found["values"].tolist())
        )


def tally(
    pairs: pa.RecordBatch, classes: npt.NDArray[np.int64], seen: Seen, known: Sequence[Attribute]
) -> dict[str, npt.NDArray[np.int64]]:
    """Return counts of one source's pairs by class, under keys of `marks.key`.

    Args:
        pairs: With `pair_id` and `image_id`.
        classes: The class of each.
        seen: What was seen of them.
        known: The attributes.
    """
    coded = [(one.name, one.values, _codes(one, pairs)) for one in known]
    return _tallied(coded, classes, _having(seen, pairs.num_rows))


def _codes(attribute: Attribute, pairs: pa.RecordBatch) -> npt.NDArray[np.int16]:
    """Return the number of each pair's value, or -1: by the image that stands for it, else by its own key."""
    found = attribute.of(pairs.column(attribute.joined_by))
    if attribute.joined_by != "image_id" or OWN_ID not in pairs.schema.names:
        return found
    return np.where(found < 0, attribute.of(pairs.column(OWN_ID)), found)


def of_columns(
    pairs: pa.RecordBatch, classes: npt.NDArray[np.int64], seen: Seen, _known: None = None
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the same of the licences and sizes that rows of any data set name.

    Args:
        pairs: With `image_licence`, `width_px` and `height_px`.
        classes: The class of each.
        seen: What was seen of them.
    """
    sides = [pc.fill_null(pairs.column(name), 0).to_numpy() for name in ("width_px", "height_px")]
    short = np.minimum(*sides)
    bins = np.searchsorted(np.array(pictures.BINS["short_side_px"][1:]), short, "right")
    coded = [
        (LICENCE, FAMILIES, _families(pairs.column("image_licence"))),
        (SHORT_SIDE, pictures.labels("short_side_px"), np.where(short > 0, bins, -1)),
    ]
    return _tallied(coded, classes, _having(seen, pairs.num_rows))


def _tallied(
    coded: Sequence[tuple[str, Sequence[str], npt.NDArray[Any]]],
    classes: npt.NDArray[np.int64],
    having: Mapping[str, npt.NDArray[np.bool_]],
) -> dict[str, npt.NDArray[np.int64]]:
    """Return the counts of attributes: each a name, its values, and of each pair the number of one, or -1."""
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for attribute, values, codes in coded:
        for code, value in enumerate(values):
            mine = codes == code
            for name, some in having.items():
                both = mine & some
                if both.any():
                    found = np.bincount(classes[both], minlength=len(CLASSES)).astype(np.int64)
                    counts[key("attribute", attribute, value, name)] = found
    return counts


_PUBLIC: Final = "public domain or CC0"
_RESERVED: Final = "all rights reserved"
#: Licences by family. What anyone may have written is of no other number of values.
FAMILIES: Final = (
    *(_PUBLIC, "CC-BY", "CC-BY-SA", "CC-BY-ND", "CC-BY-NC", "CC-BY-NC-SA", "CC-BY-NC-ND"),
    *(_RESERVED, OTHER),
)


def _families(said: pa.Array) -> npt.NDArray[np.int64]:
    """Return the number of the family of each licence; -1 where none is named."""
    encoded = said.dictionary_encode()
    of_value = [
        -1 if value == licences.NOASSERTION else FAMILIES.index(family(value))
        for value in encoded.dictionary.to_pylist()
    ]
    places = pc.fill_null(encoded.indices, -1).to_numpy()
    found: npt.NDArray[np.int64] = np.array([*of_value, -1], np.int64)[places]
    return found


#: Creative Commons' licences by their names: whom a credit names is none.
_ATTRIBUTION: Final = re.compile(
    "-(?:creative-commons-|cc-)?attribution-(?:$|licen[cs]e-|non-?commercial-|share-?alike-|no-?deriv|[0-9]|international-|generic-|unported-)"
)


def family(licence: str) -> str:
    """Return the family of a licence as people write it: by its name, its SPDX identifier or its URL."""
    said = f"-{re.sub('[^a-z0-9]+', '-', licence.casefold()).strip('-')}-"
    if re.search("-cc0|-cc-zero|-creative-commons-zero|public-?domain|-pdm-|-cc-pd|no-known-copyright", said):
        return _PUBLIC
    if "all-rights-reserved" in said:
        return _RESERVED
    if re.search("-cc-by-|creativecommons-org-licenses-by-|-cc-by[0-9]", said) or _ATTRIBUTION.match(said):
        parts = {
            "NC": "-nc-|-non-?commercial",
            "SA": "-sa-|-share-?alike",
            "ND": "-nd-|-no-?deriv",
        }
        name = "-".join(["CC-BY", *(part for part, words in parts.items() if re.search(words, said))])
        return name if name in FAMILIES else OTHER
    return OTHER


def _having(seen: Seen, number: int) -> dict[str, npt.NDArray[np.bool_]]:
    """Return what is counted → which pairs have it."""
    codes = seen.categories.astype(np.int64)
    english = codes >= 2
    marks = np.zeros(number, dtype=np.int64)
    marks[codes >= 0] = seen.marked.marks
    gendered = np.where(english, codes - 2, 0)
    return {
        "pairs": np.ones(number, dtype=bool),
        "english": english,
        "female": (gendered & 1) > 0,
        "male": (gendered & 2) > 0,
        **{name: (marks & BITS[name]) > 0 for name in RATES[2:]},
    }


@dataclasses.dataclass(frozen=True)
class Population:
    """What is known of a population after a stage.

    Attributes:
        pairs: How many there are.
        counts: By key, as `tally` gives them.
        texts: English texts that were read, as "english", and those of them with each of `RATES`; empty where they are of several
            sources, whose texts were sampled unlike: no rate is told then.
    """

    pairs: int
    counts: Mapping[str, int]
    texts: Mapping[str, int] = dataclasses.field(default_factory=dict)


_Values = Mapping[str, Mapping[str, int]]


def figures(by_stage: Mapping[str, Population]) -> dict[str, dict[str, Any]]:
    """Return the section of a population after each stage."""
    tables: dict[str, list[dict[str, dict[str, int]]]] = {}
    for place, population in enumerate(by_stage.values()):
        for name, count in population.counts.items():
            parts = name.split("\t")
            if parts[0] == "attribute":
                stages = tables.setdefault(parts[1], [{} for _ in by_stage])
                stages[place].setdefault(parts[2], {})[parts[3]] = count
    rows: list[list[dict[str, Any]]] = [[] for _ in by_stage]
    for attribute, stages in sorted(tables.items()):
        pairs = [{value: row["pairs"] for value, row in stage.items()} for stage in stages]
        totals = [sum(stage.values()) for stage in pairs]
        shown = suppression.shown(pairs, totals)
        told = _told(stages, [*by_stage.values()], shown)
        for place, some in enumerate(shown):
            rows[place] += [
                _row(attribute, value, stages[place][value], totals[place], told[place])
                for value in sorted(some, key=in_order)
            ]
            if rest := totals[place] - sum(pairs[place][value] for value in some):
                rows[place].append(_row(attribute, suppression.NOT_SHOWN, {"pairs": rest}, totals[place], {}))
    known = [
        max((sum(row["pairs"] for row in some if row["attribute"] == name) for name in tables), default=0)
        for some in rows
    ]
    return {
        stage: {
            "coverage": coverage(number, population.pairs, "pairs", "has no attribute"),
            "method": "attributes",
            "values": some,
        }
        for (stage, population), some, number in zip(by_stage.items(), rows, known, strict=True)
    }


def _told(
    stages: Sequence[_Values], populations: Sequence[Population], shown: Sequence[set[str]]
) -> list[dict[str, set[str]]]:
    """Return of each stage "english" and each rate, and the values of which it is told; the last stage is asked first.

    English texts are rows of a table. Of them few follow neither with a term nor without.
    """
    if not all(population.texts for population in populations):
        return [{} for _ in stages]
    asked = [*dict.fromkeys((len(stages) - 1, *suppression.order(len(stages))))]

    def having(name: str) -> list[dict[str, int]]:
        return [{value: number for value, row in stage.items() if (number := row.get(name, 0))} for stage in stages]

    english = suppression.shown(having("english"), [one.texts["english"] for one in populations], asked, only=shown)
    found = {"english": english}
    for name in RATES:
        totals = [(one.texts["english"], one.texts[name]) for one in populations]
        found[name] = suppression.divided(having("english"), having(name), totals, english, asked)
    return [{name: some[place] for name, some in found.items()} for place in range(len(stages))]


def in_order(value: str) -> tuple[float, str]:
    """Return what values are sorted by: numbers, and bins by their lower end; then words, "nan" too, in their own order."""
    try:
        number = float(value.partition(" to ")[0].removesuffix(" or more").replace(",", ""))
    except ValueError:
        return math.inf, value
    return math.inf if math.isnan(number) else number, value


def _row(
    attribute: str, value: str, counts: Mapping[str, int], total: int, told: Mapping[str, set[str]]
) -> dict[str, Any]:
    english = counts.get("english", 0)
    names = {name for name, values in told.items() if value in values and english >= LEAST_TEXTS}
    return {
        "attribute": attribute,
        "value": value,
        "pairs": counts["pairs"],
        "share": counts["pairs"] / total,
        "english": english if "english" in names else None,
        **{name: counts.get(name, 0) / english if name in names else None for name in RATES},
    }
