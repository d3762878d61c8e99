"""Repeated captions: on how many images a text stands, exactly or nearly, in each source, and whether one user wrote them.

    letters       texts → a number of each, which texts of one form share
    often         all these numbers → those of as many pairs as a repeated text has
    occurrences   pairs and the last stage each survived → `OCCURRENCES` of these alone, which meet by text
    count         all occurrences of some texts → `TEXTS`: those that stand on `FREQUENT` images or more
    summary       all `TEXTS` → what audit.json says

Two texts are one where their forms are (`pmd.dedupe.captions`); near-duplicates are groups of forms
(`pmd.text.neighbours`). A form takes longer to make, and to bring to others, than all else that is asked of most texts, and
nearly all stand once. So texts are first counted by a number that is the same for all texts of a form, and costs a tenth: the
sum of what their letters stand for. A text whose sum few pairs have stands on few images. Other texts may have the same sum: by
chance, or with the same letters in another order. They fall away where forms are counted. So what one worker holds at the end is
at most a tenth of the pairs, and far less where texts are captions.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from pmd import flow
from pmd.audit.counting.measure import ASKED, CLASSES, STAGES, Seen, classes, low_words, recorded, users
from pmd.dedupe import captions
from pmd.text import cleaning, neighbours
from pmd.text.minhash import mixed

#: Images from which a text counts as shared. ALIGN leaves out alt texts "shared by more than 10 images" (Jia et al.,
#: ICML 2021); the others are the next powers.
THRESHOLDS: Final = (10, 100, 1000)
FREQUENT: Final = THRESHOLDS[0]

#: Texts that are compared for near-duplicates, those on most images: some minute of one core and 1.7 GB (6.6 KB a text,
#: measured by benchmarks/near_texts.py).
MOST_COMPARED: Final = 2**18
#: The least Jaccard similarity of two texts that are nearly one (Lee et al., ACL 2022, "Deduplicating Training Data Makes
#: Language Models Better").
JACCARD: Final = 0.8

#: Texts, and groups, that are listed one by one, and characters of a text that are shown.
LISTED: Final = 10
SHOWN: Final = 120

#: `letters` of a text.
LETTERS: Final = pa.schema([pa.field("letters", pa.uint32(), nullable=False)])
#: Those that `often` gives.
OFTEN: Final = pa.schema([pa.field("often", pa.uint32(), nullable=False)])

OCCURRENCES: Final = pa.schema(
    [
        pa.field("text", pa.uint64(), nullable=False),  # a hash of its form
        pa.field("form", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("image", pa.uint64(), nullable=False),  # half of its key
        pa.field("last", pa.int8(), nullable=False),  # number of the last stage survived
        pa.field("user", pa.uint64(), nullable=False),  # hash of who made or posted it; 0: unknown
    ]
)

_BY_STAGE: Final = pa.list_(pa.int64())
#: One row a text and source. Lists have one figure for each of `STAGES`; `one_user` has one list a threshold: pairs whose
#: user has the text on so many images.
TEXTS: Final = pa.schema(
    [
        pa.field("text", pa.uint64(), nullable=False),
        pa.field("form", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("images", _BY_STAGE, nullable=False),
        pa.field("pairs", _BY_STAGE, nullable=False),
        pa.field("users", _BY_STAGE, nullable=False),
        pa.field("one_user", pa.list_(_BY_STAGE), nullable=False),
    ]
)

#: The figures of a population without a repeated text.
NOTHING_REPEATED: Final[dict[str, Any]] = {
    "shared_by": [{"images": least, "pairs": 0} for least in THRESHOLDS],
    "largest": [],
    "near": {
        "texts": 0,
        "compared": 0,
        "shared_by": [{"images": least, "pairs": 0} for least in THRESHOLDS],
        "largest": [],
    },
}

_STAGE_OF_CLASS: Final = np.array(
    [STAGES.index(flow.IMAGES.name if name == ASKED else name) for name in CLASSES], np.int8
)
_REACHED: Final = [f"after{stage}" for stage in range(len(STAGES))]


_LAST_OF_ASCII: Final = 127
#: What a byte of a form adds to its `letters`: one of a letter, or of a character that is not ASCII, some number, any other
#: nothing. A large letter of ASCII adds what the small one does.
_ADDS: Final = (mixed(np.arange(1, 257, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32)
_ADDS[: ord("A")] = 0
_ADDS[ord("A") : ord("Z") + 1] = _ADDS[ord("a") : ord("z") + 1]
_ADDS[ord("Z") + 1 : ord("a")] = 0
_ADDS[ord("z") + 1 : _LAST_OF_ASCII + 1] = 0
_ADDS_COLUMN: Final = pa.array(_ADDS)


def letters(texts: pa.Array) -> NDArray[np.uint32]:
    """Return a number of each text: the same where the forms are.

    A form has the letters of its text, small. So of ASCII no form has to be made. Texts of other letters share a number by chance
    alone, once in four thousand million.
    """
    found = _sums(texts)
    if cleaning.content(texts)[1].max(initial=0) > _LAST_OF_ASCII:
        others = np.flatnonzero(~pc.string_is_ascii(texts).to_numpy(zero_copy_only=False))
        found[others] = _sums(captions.forms(texts.take(pa.array(others))))
    return found


def _sums(texts: pa.Array) -> NDArray[np.uint32]:
    ends, content = cleaning.content(texts)
    found = np.zeros(len(texts), np.uint32)
    some = np.flatnonzero(ends[1:] > ends[:-1])  # where nothing is added up `reduceat` gives the next number
    if len(some):
        adds = _ADDS_COLUMN.take(pa.array(content)).to_numpy()  # NumPy's own takes five times as long
        found[some] = np.add.reduceat(adds, ends[some], dtype=np.uint32)
    return found


def often(rows: pa.Table) -> pa.RecordBatch:
    """Return `OFTEN`, in order: the numbers that `FREQUENT` pairs or more have.

    Args:
        rows: All `LETTERS` of a partition, in any order.
    """
    return pa.RecordBatch.from_arrays([pa.array(_frequent(rows["letters"].to_numpy()))], schema=OFTEN)


def _frequent(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return, in order, the numbers that stand there `FREQUENT` times or more."""
    # Most stand once. In order, one that stands often is the same some places further on.
    ordered = np.sort(numbers)
    firsts = ordered[: max(len(ordered) - FREQUENT + 1, 0)]
    return np.unique(firsts[firsts == ordered[FREQUENT - 1 :]])


def occurrences(
    pairs: pa.RecordBatch,
    last: pa.Array,
    seen: Mapping[str, Seen] | None = None,
    known: NDArray[np.uint32] | None = None,
) -> pa.RecordBatch:
    """Return where texts stand.

    Args:
        pairs: `PAIRS`, or `measure.COLUMNS` of it; any sources.
        last: The last of `measure.CLASSES` that each pair survived; what was asked for in vain survived `images`.
        seen: What `measure.look` saw of them, where that is known.
        known: `OFTEN` of all pairs, in order: of other texts nothing is returned. None: of all texts.
    """
    texts = pairs.column("text")
    some = np.arange(len(texts)) if known is None else np.flatnonzero(_among(letters(texts), known))
    places = pa.array(some)
    forms = captions.forms(texts.take(places))
    return pa.RecordBatch.from_arrays(
        [
            _hashes(forms),
            forms,
            pairs.column("source").take(places).cast(pa.string()),
            pa.array(low_words(pairs.column("image_id"))[some]),
            pa.array(_STAGE_OF_CLASS[classes(last)[some]]),
            pa.array(users(pairs, seen)[some]),
        ],
        schema=OCCURRENCES,
    )


def _among(numbers: NDArray[np.uint32], known: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return which numbers are among others, given in order."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, numbers), len(known) - 1)] == numbers
    return found


def _hashes(forms: pa.Array) -> pa.Array:
    """Return a 64-bit hash of each form: not Polars' own, which differs between kinds of processors, as workers may."""
    content = forms.cast(pa.large_binary()).to_numpy(zero_copy_only=False).tolist()
    hashed = map(xxhash.xxh3_64_intdigest, content)
    return pa.array(np.fromiter(hashed, np.uint64, len(forms)))


def count(rows: pa.Table) -> pa.Table:
    """Return `TEXTS` of those texts that stand on `FREQUENT` images or more, of all sources together.

    Args:
        rows: All `OCCURRENCES` of a partition, in any order.
    """
    texts = _frequent(rows["text"].to_numpy())
    rows = rows.filter(pc.is_in(rows["text"], value_set=pa.array(texts))).combine_chunks()
    images = (
        rows.group_by(["text", "source", "image"], use_threads=False)
        .aggregate([("last", "max")])
        .rename_columns(["text", "source", "image", "last"])
    )
    on_images = _by_stage(images, ["text", "source"])
    totals: dict[int, int] = defaultdict(int)
    for (text, _), found in on_images.items():
        totals[text] += found[0]
    on_pairs = _by_stage(rows, ["text", "source"])
    by_user = _users(rows)
    nobody = [0] * len(STAGES), [[0] * len(STAGES)] * len(THRESHOLDS)
    named = rows.group_by("text", use_threads=False).aggregate([("form", "min")])
    forms = dict(zip(named["text"].to_pylist(), named["form_min"].to_pylist(), strict=True))
    found_rows = [
        {
            "text": text,
            "form": forms[text],
            "source": source,
            "images": on_images[text, source],
            "pairs": on_pairs[text, source],
            "users": by_user.get((text, source), nobody)[0],
            "one_user": by_user.get((text, source), nobody)[1],
        }
        for text, source in sorted(on_images)
        if totals[text] >= FREQUENT
    ]
    return pa.Table.from_pylist(found_rows, schema=TEXTS)


def _by_stage(rows: pa.Table, by: list[str]) -> dict[tuple[Any, ...], list[int]]:
    """Return, by key, how many rows survived each stage."""
    for stage, name in enumerate(_REACHED):
        rows = rows.append_column(name, pc.greater_equal(rows["last"], stage).cast(pa.int64()))
    summed = rows.group_by(by, use_threads=False).aggregate([(name, "sum") for name in _REACHED])
    columns = [summed[name].to_pylist() for name in (*by, *(f"{name}_sum" for name in _REACHED))]
    return {tuple(row[: len(by)]): list(row[len(by) :]) for row in zip(*columns, strict=True)}


def _users(rows: pa.Table) -> dict[tuple[int, str], tuple[list[int], list[list[int]]]]:
    """Return, by text and source, how many users have it after each stage, and the pairs of those with it on many images."""
    named = rows.filter(pc.not_equal(rows["user"], pa.scalar(0, pa.uint64())))
    by = ["text", "source", "user"]
    images = (
        named.group_by([*by, "image"], use_threads=False)
        .aggregate([("last", "max")])
        .rename_columns([*by, "image", "last"])
    )
    on_pairs = _by_stage(named, by)
    found: dict[tuple[int, str], tuple[list[int], list[list[int]]]] = {}
    for (text, source, user), on_images in _by_stage(images, by).items():
        number, pairs = found.setdefault((text, source), ([0] * len(STAGES), [[0] * len(STAGES) for _ in THRESHOLDS]))
        for stage, seen in enumerate(on_images):
            number[stage] += seen > 0
            for row, least in enumerate(THRESHOLDS):
                if seen >= least:
                    pairs[row][stage] += on_pairs[text, source, user][stage]
    return found


def summary(texts: pa.Table) -> dict[str, Any]:
    """Return the figures of every source, and of all together under "all", after each stage.

    Args:
        texts: `TEXTS` of all partitions, in any order.
    """
    texts = texts.take(pc.sort_indices(texts, [("text", "ascending"), ("source", "ascending")]))
    names = sorted(set(texts["source"].to_pylist()))
    rows = texts.to_pylist()
    together: dict[int, dict[str, Any]] = {}
    for row in rows:
        whole = together.setdefault(
            row["text"],
            {"form": row["form"], "images": np.zeros(len(STAGES), int), "pairs": np.zeros(len(STAGES), int)},
        )
        whole["images"] = whole["images"] + row["images"]
        whole["pairs"] = whole["pairs"] + row["pairs"]
    ranked = sorted(together.values(), key=lambda row: (-row["images"][0], row["form"]))
    compared = [row["form"] for row in ranked[:MOST_COMPARED]]
    group = dict(zip(compared, (compared[first] for first in neighbours.groups(compared, JACCARD)), strict=True))
    near = {"texts": len(ranked), "compared": len(compared)}
    of_sources = {name: [row for row in rows if row["source"] == name] for name in names}
    tables = [*of_sources.values(), list(together.values())]
    listed = {row["form"] for table in tables for stage in range(len(STAGES)) for row in _largest(table, stage)}
    groups = _Groups(group, listed)
    found = {
        name: _figures(mine, groups, near, has_users=recorded(name).user is not None)
        for name, mine in of_sources.items()
    }
    parts = {
        name: ({row["form"]: row for row in mine}, {row["key"]: row for row in _joined(mine, groups)})
        for name, mine in of_sources.items()
    }
    return {"sources": found, "all": _figures(tables[-1], groups, near, parts, has_users=False)}


@dataclasses.dataclass(frozen=True)
class _Groups:
    """Which texts are nearly one: text → the text that its group is known by; and which texts are listed one by one."""

    of: Mapping[str, str]
    listed: Set[str]


def _joined(rows: Sequence[Mapping[str, Any]], known: _Groups) -> list[dict[str, Any]]:
    """Return texts that are nearly one as one, each named by the text on most images; `key` is the same for all sources.

    Of its texts those have their names in `members` that are listed one by one: of others there may be any number.
    """
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[known.of.get(row["form"], row["form"])].append(row)
    return [
        {
            "key": key,
            "form": max(members, key=lambda row: (row["images"][0], row["form"]))["form"],
            "texts": len(members),
            "members": [row["form"] for row in members if row["form"] in known.listed],
            "images": np.sum([row["images"] for row in members], axis=0),
            "pairs": np.sum([row["pairs"] for row in members], axis=0),
        }
        for key, members in groups.items()
    ]


#: Source → its texts by form, and its groups by key.
_Parts = Mapping[str, tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]]


def _parts(of_sources: _Parts, key: str, stage: int, *, near: bool) -> dict[str, list[dict[str, Any]]]:
    """Return what each source has of a text, or group, that is listed of all: of those that have it on `FREQUENT` images."""
    having = [(name, tables[near][key]) for name, tables in of_sources.items() if key in tables[near]]
    shown = _shown_group if near else _shown
    some = [{"source": name, **shown(row, stage)} for name, row in having if row["images"][stage] >= FREQUENT]
    return {"parts": some} if of_sources else {}


def _figures(
    rows: Sequence[Mapping[str, Any]],
    groups: _Groups,
    near: Mapping[str, int],
    of_sources: _Parts | None = None,
    *,
    has_users: bool,
) -> dict[str, Any]:
    """Return the figures of one population by stage; of all sources what is listed has its parts, for what may be told of it."""
    parts = of_sources or {}
    joined = _joined(rows, groups)
    found = {}
    for number, stage in enumerate(STAGES):
        shared = _shared(rows, number)
        if has_users:
            for place, one in enumerate(shared):
                one["one_user_pairs"] = sum(text["one_user"][place][number] for text in rows)
        of_several = _largest([row for row in joined if row["texts"] > 1], number)
        found[stage] = {
            "shared_by": shared,
            "largest": [
                {**_shown(row, number), **({"users": row["users"][number]} if has_users else {})}
                | _parts(parts, row["form"], number, near=False)
                for row in _largest(rows, number)
            ],
            "near": {
                "texts": near["texts"],
                "compared": near["compared"],
                "shared_by": _shared(joined, number),
                "largest": [
                    {**_shown_group(row, number), "texts": row["texts"]} | _parts(parts, row["key"], number, near=True)
                    for row in of_several
                ],
            },
        }
    return found


def _shared(rows: Sequence[Mapping[str, Any]], stage: int) -> list[dict[str, int]]:
    return [
        {"images": least, "pairs": int(sum(row["pairs"][stage] for row in rows if row["images"][stage] >= least))}
        for least in THRESHOLDS
    ]


def _largest(rows: Sequence[Mapping[str, Any]], stage: int) -> list[Mapping[str, Any]]:
    often = [row for row in rows if row["images"][stage] >= FREQUENT]
    return sorted(often, key=lambda row: (-row["images"][stage], row["form"]))[:LISTED]


def _shown(row: Mapping[str, Any], stage: int) -> dict[str, Any]:
    return {"text": _named(row["form"]), "images": int(row["images"][stage]), "pairs": int(row["pairs"][stage])}


def _shown_group(row: Mapping[str, Any], stage: int) -> dict[str, Any]:
    """Return texts that are nearly one, with the names of all: `figures.small_cells` asks what they tell beside single texts."""
    return {**_shown(row, stage), "members": [_named(form) for form in row["members"]]}


def _named(form: str) -> str:
    return form if len(form) <= SHOWN else form[: SHOWN - 1] + "…"
