"""What the audit counts of a batch of pairs, and how the counts of two batches become one.

Every pair belongs to one *class*: the last stage that it survived (`CLASSES`). What stands after a stage is the sum of the
classes from that stage on, so the pairs are read once for all stages. What readers gave and curate rejected carries no text; of
it only the books tell.

A `Partial` holds integers, nothing that depends on the order of pairs or batches; `merge` is associative and commutative, and
the merged bytes are equal however the pairs were dealt out. Its size is bounded, whatever the number of pairs. What pairs
have in common (users, images, hosts) is counted apart, where all pairs of one have met: see `pmd.audit.counting.units`.

===============  =============================================  =====================================
what             of which pairs                                 how it is kept
===============  =============================================  =====================================
pairs, words     all                                            exact; lengths as a histogram
countries        all whose source has geotags                   exact
years, suffixes  all that have a date, or a URL                 exact (`pmd.audit.counting.traits`)
licences         all, but of any data set                       exact (`pmd.audit.counting.licensing`)
languages        a sample by hash of pair_id (`plan`)           exact counts of the sample
gendered terms   those of the sample that are English           exact counts of the sample
other terms      those of the sample that are English           exact counts of the sample, by term (`marks`)
personal data    a sample by hash of pair_id                    exact counts of the sample
===============  =============================================  =====================================
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import zstandard
from numpy.typing import NDArray

from pmd import flow, manifests
from pmd.audit import fields
from pmd.audit.counting import licensing, traits
from pmd.audit.places import places
from pmd.audit.texts import marks, vocabulary
from pmd.audit.texts.lexicon import Absent, Lexicon
from pmd.audit.texts.marks import Marked
from pmd.config.options import AuditOptions
from pmd.errors import PmdError
from pmd.schema import keys
from pmd.suppression import people
from pmd.text import cleaning, domain_names, language, urls
from pmd.text.minhash import mixed
from pmd.text.tokens import Tokens

#: The stages that a pair can survive, in order.
STAGES: Final = tuple(stage.name for stage in flow.JUDGING)
#: Survived by pairs whose image no opt-out (robots.txt, TDMRep) and no block (`statuses.UNASKED`) kept from being asked for; what
#: was asked for may still be dead.
ASKED: Final = "asked"
#: The stages, and within fetch the step that comes first: every pair belongs to the last of these that it survived.
CLASSES: Final = tuple(name for stage in STAGES for name in ((ASKED, stage) if stage == flow.FETCH.name else (stage,)))

#: The source that any data set's rows are of, where they name none of ours (`pmd.datasets.pairs`).
DATA: Final = "data"

#: Of these rows the columns that `pmd.datasets.pairs` puts into `meta`.
_OF_DATA: Final = manifests.Recorded(user="user", longitude="longitude", latitude="latitude")

#: Words from which texts are counted together; their mean is exact all the same.
MAX_WORDS: Final = 512

#: Units that are one across sources; of several sources together only these are counted.
ACROSS: Final = ("image", "host")

#: What a text of the sample can have. English ones have a term of each list or not; "neither" has no female and no male one.
CATEGORIES: Final[tuple[frozenset[str], ...]] = (
    frozenset({"read"}),
    frozenset({"read", "undetermined"}),
    *(
        frozenset(
            {"read", "english", *(name for bit, name in enumerate(("female", "male", "neutral")) if code >> bit & 1)}
        )
        for code in range(8)
    ),
)
#: Of a text that is not in the sample.
NOT_READ: Final = -1

#: The limit of a sample that is everything. No hash reaches it.
EVERYTHING: Final = 2**64 - 1

#: Columns of PAIRS that `measure` reads.
COLUMNS: Final = ("pair_id", "image_id", "source", "image_url", "text", "meta", *licensing.COLUMNS)


def columns_of(source: str) -> tuple[str, ...]:
    """Return those of `COLUMNS` that are read of a source: upstream's fields only where one is asked for."""
    return COLUMNS if _fields_of(recorded(source)) else tuple(name for name in COLUMNS if name != "meta")


def cut(pairs: pa.RecordBatch, source: str) -> pa.RecordBatch:
    """Return pairs of a source with no more in `meta` than is asked of it."""
    wanted = _fields_of(recorded(source))
    if not wanted:
        return pairs
    place = pairs.schema.get_field_index("meta")
    return pairs.set_column(place, "meta", fields.cut(pairs.column("meta"), wanted))


def recorded(source: str) -> manifests.Recorded:
    """Return which of upstream's fields in `meta` say what is counted of a source's pairs."""
    return _OF_DATA if source == DATA else manifests.recorded(source)


def _fields_of(said: manifests.Recorded) -> list[str]:
    """Return the fields that are read, each once."""
    found = [*said.units.values(), *(said.geotag or ()), *([said.date] if said.date is not None else [])]
    return [*dict.fromkeys(found)]


Counts = NDArray[np.int64]
_CLASSES: Final = len(CLASSES)
_CLASS_NAMES: Final = pa.array(CLASSES)
#: The first of the categories of English texts; 1 is that of texts whose language is not known.
ENGLISH: Final = 2
#: Texts of a source whose words are counted whatever they are (`pmd.audit.counting.context`), so that memory is bounded.
OPENED: Final = 200_000
_FORMAT: Final = 5


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is settled before any pair is seen, so that every worker takes the same sample.

    Attributes:
        limits: Source → a pair's text is in the sample where the hash of its pair_id is below this; a
            source that is not named is taken whole.
        lexicon: The gendered terms, or why there are none.
        opened: Source → the same for texts whose words are counted whatever they are: a part of the sample.
    """

    limits: Mapping[str, int]
    lexicon: Lexicon | Absent
    opened: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def vocabulary(self) -> vocabulary.Vocabulary:
        """All terms, made ready once for all batches."""
        return vocabulary.of(self.lexicon)


def plan(kept: Mapping[str, int], options: AuditOptions, lexicon: Lexicon | Absent) -> Plan:
    """Return the plan of an audit.

    Args:
        kept: Source → pairs after curate, from its books.
        options: `text_sample` is how many texts of a source are looked at: all where it has no more pairs, else on
            average, give or take twice the square root.
        lexicon: `pmd.audit.texts.lexicon.load()`.
    """

    def limits(texts: int) -> dict[str, int]:
        return {
            source: EVERYTHING if pairs <= texts else texts * 2**64 // pairs for source, pairs in sorted(kept.items())
        }

    return Plan(limits(options.text_sample), lexicon, limits(min(options.text_sample, OPENED)))


@dataclasses.dataclass(frozen=True)
class SourcePartial:
    """What is counted of one source; the first axis of every array is the class.

    Attributes:
        pairs: Shape (classes,).
        words: Sum of words, shape (classes,).
        lengths: Pairs by number of words, the last bin for MAX_WORDS and more; shape (classes, MAX_WORDS + 1).
        sample: Texts of the sample by `CATEGORIES`; shape (classes, len(CATEGORIES)).
        languages: Code → texts of the sample, shape (classes,).
        countries: ISO 3166 code → pairs, shape (classes,).
        tallies: What `marks.tally` counts → texts of the sample, shape (classes,).
        outside: Pairs of images outside the sample that the build is of; no other figure counts them.
        traits: "year", "suffix" (`counting.traits`), "licences" (`licensing.stated`) or "amiss" (`places.amiss`) → value →
            pairs, shape (classes,).
    """

    pairs: Counts
    words: Counts
    lengths: Counts
    sample: Counts
    languages: Mapping[str, Counts]
    countries: Mapping[str, Counts]
    tallies: Mapping[str, Counts] = dataclasses.field(default_factory=dict)
    outside: int = 0
    traits: Mapping[str, Mapping[str, Counts]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def tallies_after(self) -> list[dict[str, int]]:
        """By the place of each of `CLASSES`, `tallies` of the texts that survived it; without those that are none."""
        table = np.array(list(self.tallies.values()), dtype=np.int64).reshape(-1, _CLASSES)
        after = np.cumsum(table[:, ::-1], axis=1)[:, ::-1].T.tolist()
        return [{name: count for name, count in zip(self.tallies, counts, strict=True) if count} for counts in after]

    def _fields(self) -> list[Any]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]

    def __add__(self, other: SourcePartial) -> SourcePartial:
        """Return what is counted of both parts."""
        return SourcePartial(*map(_sum, self._fields(), other._fields()))

    def in_order(self) -> SourcePartial:
        """Return the same with its names in order."""
        return SourcePartial(*map(_ordered, self._fields()))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        return {
            field.name: _plain(value) for field, value in zip(dataclasses.fields(self), self._fields(), strict=True)
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SourcePartial:
        """Return what `to_json` wrote."""
        return cls(**{name: _parsed(value) for name, value in raw.items()})


#: A source of which nothing is counted.
_NOTHING: Final = SourcePartial(
    np.zeros(_CLASSES, dtype=np.int64),
    np.zeros(_CLASSES, dtype=np.int64),
    np.zeros((_CLASSES, MAX_WORDS + 1), dtype=np.int64),
    np.zeros((_CLASSES, len(CATEGORIES)), dtype=np.int64),
    {},
    {},
)


@dataclasses.dataclass(frozen=True)
class Partial:
    """What is counted of some of the pairs, by source."""

    sources: Mapping[str, SourcePartial] = dataclasses.field(default_factory=dict)


def merge(left: Partial, right: Partial) -> Partial:
    """Return what is counted of both; associative and commutative, `Partial()` is neutral."""
    names = sorted({*left.sources, *right.sources})
    return Partial(
        {
            name: left.sources[name] + right.sources[name]
            if name in left.sources and name in right.sources
            else left.sources.get(name) or right.sources[name]
            for name in names
        }
    )


def merge_all(partials: Iterable[Partial]) -> Partial:
    """Return what is counted of all, in order of names."""
    merged = functools.reduce(merge, partials, Partial())
    return Partial({name: counted.in_order() for name, counted in sorted(merged.sources.items())})


def to_bytes(partial: Partial) -> bytes:
    """Return a partial as bytes; equal partials have equal bytes for one version of zstandard."""
    content = {name: counted.to_json() for name, counted in sorted(partial.sources.items())}
    return zstandard.compress(orjson.dumps({"format": _FORMAT, "sources": content}), 3)


def from_bytes(content: bytes) -> Partial:
    """Return what `to_bytes` wrote.

    Raises:
        PmdError: Another version of pmd wrote it.
    """
    raw = orjson.loads(zstandard.decompress(content))
    if raw["format"] != _FORMAT:
        raise PmdError(
            "these counts were written by another version of pmd",
            where="audit",
            expected=f"format {_FORMAT}",
            found=f"format {raw['format']}",
            remedy="run: pmd audit CONFIG",
        )
    return Partial({name: SourcePartial.from_json(counted) for name, counted in raw["sources"].items()})


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen of each pair of one source.

    Attributes:
        source: Its name.
        categories: Of `CATEGORIES`, or `NOT_READ`; shape (pairs,).
        languages: Codes of the texts that were read, in their order.
        countries: ISO 3166 codes; "" where there is no geotag, or one in no single country.
        nowhere: Whether there is a geotag in no single country; shape (pairs,).
        marked: What the texts that were read have, in their order.
        units: "user", "subreddit", "page" or "host" → of each pair its name, "" for none; without kinds that the source lacks.
        traits: "year", "suffix", "licences" or "amiss" → of each pair its value, "" for none; without kinds that the source
            lacks.

    Names and values are dictionaries, so that what is asked of each is asked once.
    """

    source: str
    categories: NDArray[np.int8]
    languages: pa.Array
    countries: pa.Array
    nowhere: NDArray[np.bool_]
    marked: Marked
    units: Mapping[str, pa.DictionaryArray]
    traits: Mapping[str, pa.DictionaryArray] = dataclasses.field(default_factory=dict)

    def ids(self, kind: str) -> NDArray[np.uint64]:
        """Return a hash of each pair's unit of a kind, 0 for none; worked out once."""
        if kind not in self._ids:
            self._ids[kind] = unit_hashes(kind, self.source, self.units[kind])
        return self._ids[kind]

    @functools.cached_property
    def _ids(self) -> dict[str, NDArray[np.uint64]]:
        return {}


def look(pairs: pa.RecordBatch, plan: Plan) -> dict[str, Seen]:
    """Return what is seen of a batch of pairs, by source; within a source in the pairs' order.

    Args:
        pairs: `COLUMNS`; of one source, `meta` may be `cut`.
        plan: The same for all batches.
    """
    of_source = by_source(pairs)
    drawn = hashes(pairs.column("pair_id"))
    read = np.zeros(pairs.num_rows, dtype=bool)
    for source, mine in of_source.items():
        read[mine] = drawn[mine] < np.uint64(plan.limits.get(source, EVERYTHING))
    # Of all sources at once: what a word tells of its language is worked out once a column.
    tokens = Tokens.of(_some(pairs.column("text"), np.flatnonzero(read)))
    codes = language.languages(tokens)
    places_of = np.cumsum(read) - 1
    found = {}
    for source, mine in of_source.items():
        inside = places_of[mine[read[mine]]]
        found[source] = _look(source, pairs, mine, read[mine], tokens.only(inside), codes.take(pa.array(inside)), plan)
    return found


def by_source(pairs: pa.RecordBatch) -> dict[str, NDArray[np.intp]]:
    """Return where the pairs of each source stand, by its name."""
    column = pairs.column("source")
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    codes, names = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    if len(names) == 1:
        return {names[0]: np.arange(len(codes))}
    return {name: np.flatnonzero(codes == code) for code, name in sorted(enumerate(names), key=lambda one: one[1])}


def _look(
    source: str,
    pairs: pa.RecordBatch,
    mine: NDArray[np.intp],
    read: NDArray[np.bool_],
    tokens: Tokens,
    codes: pa.Array,
    plan: Plan,
) -> Seen:
    """Return what is seen of the pairs of a source.

    Args:
        source: Its name.
        pairs: The batch.
        mine: Where its pairs stand.
        read: Which of them are of the sample.
        tokens: The texts of these.
        codes: Their languages.
        plan: The plan.
    """
    categories, marked = _texts(tokens, read, codes, plan.vocabulary)
    hosts = _domains(_some(pairs.column("image_url"), mine))
    units, found = {"host": hosts}, {"suffix": traits.suffixes(hosts)}
    said = recorded(source)
    wanted = _fields_of(said)
    given = fields.tokens(_some(pairs.column("meta"), mine), wanted) if wanted else {}
    units |= {kind: _users(given[field]) for kind, field in said.units.items()}
    if said.geotag is not None:
        countries, nowhere = places.countries(*(given[field] for field in said.geotag))
        if source == DATA:  # anybody's columns: what is no geotag in them may be a place that is written otherwise
            found["amiss"] = places.amiss(*(given[field] for field in said.geotag))
    else:
        countries, nowhere = pa.repeat("", len(mine)), np.zeros(len(mine), dtype=bool)
    if source != DATA:  # whose columns say anything; of licences there the family is told (`attributes.of_columns`)
        found[licensing.TRAIT] = licensing.stated(*(_some(pairs.column(name), mine) for name in licensing.COLUMNS))
    if said.date is not None and said.last_year is not None:
        found["year"] = traits.years(given[said.date], said.last_year)
    return Seen(source, categories, codes, countries, nowhere, marked, units, found)


def _some(column: pa.Array, rows: NDArray[np.intp]) -> pa.Array:
    """Return some of a column's rows, given in order; nothing is copied where these are all."""
    return column if len(rows) == len(column) else column.take(pa.array(rows))


def _domains(image_urls: pa.Array) -> pa.DictionaryArray:
    """Return the registrable domain of each URL's host, looked up once a host; "" for none."""
    hosts = urls.hosts(image_urls)
    domains = domain_names.registrable_domains(pa.concat_arrays([hosts.dictionary, pa.array([""])])).dictionary_encode()
    places = pc.fill_null(hosts.indices, len(hosts.dictionary))
    return pa.DictionaryArray.from_arrays(domains.indices.take(places), domains.dictionary)


def measure(pairs: pa.RecordBatch, last: pa.Array, plan: Plan, seen: Mapping[str, Seen] | None = None) -> Partial:
    """Count what is in a batch of pairs.

    Args:
        pairs: `PAIRS`, or its `COLUMNS`; any sources, any order.
        last: The last of `CLASSES` that each pair survived.
        plan: The same for all batches.
        seen: What `look` saw of them, where that is known.

    Raises:
        PmdError: There is no such stage.
    """
    numbers = classes(last)
    found = look(pairs, plan) if seen is None else seen
    texts = pairs.column("text")
    return Partial(
        {
            source: _counted(_some(texts, mine), numbers[mine], found[source], plan.vocabulary)
            for source, mine in by_source(pairs).items()
        }
    )


def tallied(
    pairs: pa.RecordBatch,
    last: pa.Array,
    tally: Callable[[pa.RecordBatch, Counts, Seen, Any], Mapping[str, Counts]],
    seen: Mapping[str, Seen],
    known: Any,
) -> Partial:
    """Count what `tally` finds of each source's pairs, by class: for what is measured elsewhere."""
    numbers = classes(last)
    return Partial(
        {
            source: dataclasses.replace(
                _NOTHING, tallies=tally(pairs.take(pa.array(mine)), numbers[mine].astype(np.int64), seen[source], known)
            )
            for source, mine in by_source(pairs).items()
        }
    )


def classes(last: pa.Array) -> NDArray[np.intp]:
    """Return the places in `CLASSES` of classes by name, strings or a dictionary.

    Raises:
        PmdError: There is no such stage.
    """
    encoded = last if pa.types.is_dictionary(last.type) else last.dictionary_encode()
    if encoded.dictionary.equals(_CLASS_NAMES):
        known: NDArray[np.intp] = encoded.indices.to_numpy().astype(np.intp)
        return known
    places = pc.index_in(encoded.dictionary, value_set=pa.array(CLASSES))
    if places.null_count:
        unknown = encoded.dictionary.filter(pc.is_null(places))[0].as_py()
        raise PmdError("no such stage", where="audit", expected=", ".join(CLASSES), found=repr(unknown))
    found: NDArray[np.intp] = places.to_numpy().astype(np.intp)[encoded.indices.to_numpy()]
    return found


def outside(pairs: pa.RecordBatch) -> Partial:
    """Count pairs of images outside the sample that the build is of."""
    return Partial(
        {source: dataclasses.replace(_NOTHING, outside=len(mine)) for source, mine in by_source(pairs).items()}
    )


def _counted(texts: pa.Array, last: NDArray[np.intp], seen: Seen, known: vocabulary.Vocabulary) -> SourcePartial:
    words = cleaning.word_count(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    sums = np.zeros(_CLASSES, dtype=np.int64)
    np.add.at(sums, last, words)
    read = np.flatnonzero(seen.categories != NOT_READ)
    codes = pc.if_else(pa.array(seen.nowhere), places.NOWHERE, seen.countries)
    return SourcePartial(
        pairs=np.bincount(last, minlength=_CLASSES).astype(np.int64),
        words=sums,
        lengths=_table(last, np.minimum(words, MAX_WORDS), MAX_WORDS + 1),
        sample=_table(last[read], seen.categories[read].astype(np.int64), len(CATEGORIES)),
        languages=_tally(seen.languages, last[read]),
        countries=_tally(codes, last),
        traits={kind: _tally(values, last) for kind, values in sorted(seen.traits.items())},
        tallies=marks.tally(seen.marked, last[read].astype(np.int64), _CLASSES, known),
    )


def _table(classes: NDArray[np.intp], values: NDArray[np.int64], number: int) -> Counts:
    """Return how many pairs of each class have each of so many values."""
    return (
        np.bincount(classes * number + values, minlength=_CLASSES * number).reshape(_CLASSES, number).astype(np.int64)
    )


def hashes(ids: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each 16-byte key, below `EVERYTHING`.

    The second half of the key goes through the finaliser of SplitMix64 (`minhash.mixed`), so that the hash
    is independent of what else is cut by a key's bits: fetch shards by the first ones, samples of images by the last.
    """
    return np.minimum(mixed(low_words(ids)), np.uint64(EVERYTHING - 1))


def low_words(ids: pa.Array) -> NDArray[np.uint64]:
    """Return the second half of each 16-byte key."""
    return keys.halves(ids)[1]


def users(pairs: pa.RecordBatch, seen: Mapping[str, Seen] | None = None) -> NDArray[np.uint64]:
    """Return a hash of the user of each pair, of any sources; 0 where none is named.

    Args:
        pairs: `PAIRS`, or its `COLUMNS`.
        seen: What `look` saw of them, where that is known.
    """
    found = np.zeros(pairs.num_rows, dtype=np.uint64)
    for source, mine in by_source(pairs).items():
        field = recorded(source).user
        if field is not None and seen is not None:
            found[mine] = seen[source].ids("user")
        elif field is not None:
            names = _users(fields.tokens(_some(pairs.column("meta"), mine), [field])[field])
            found[mine] = unit_hashes("user", source, names)
    return found


def _users(values: pa.Array) -> pa.DictionaryArray:
    """Return who upstream's field names, given as JSON spells it; "" for nobody."""
    names = fields.strings(values)
    return pc.if_else(pc.is_in(names, value_set=pa.array(sorted(people.NOBODY))), "", names).dictionary_encode()


def unit_hashes(kind: str, source: str, names: pa.DictionaryArray) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each of a source's users, pages and so on, one of a host across sources; 0 for "".

    Two of a million units have one hash with a chance of 1 in 37 million.
    """
    prefix = f"{kind}\0" if kind in ACROSS else f"{kind}\0{source}\0"
    some = names.indices.unique()
    hashes = np.zeros(len(names.dictionary), dtype=np.uint64)
    hashes[some.to_numpy()] = low_words(
        keys.hashed(pc.binary_join_element_wise(pa.scalar(prefix), names.dictionary.take(some), ""))
    )
    hashes[pc.equal(names.dictionary, "").to_numpy(zero_copy_only=False)] = 0
    found: NDArray[np.uint64] = hashes[names.indices.to_numpy()]
    return found


def _texts(
    tokens: Tokens, read: NDArray[np.bool_], codes: pa.Array, known: vocabulary.Vocabulary
) -> tuple[NDArray[np.int8], Marked]:
    """Return the category of each text of a source, and what those have that are read; these are given, with their languages."""
    categories = np.full(len(read), NOT_READ, dtype=np.int8)
    english, unsure = (pc.equal(codes, code).to_numpy(zero_copy_only=False) for code in ("en", language.UNDETERMINED))
    marked = marks.look(tokens, english, known)
    categories[read] = np.where(english, ENGLISH + marked.gendered, unsure.astype(np.int64))
    return categories, marked


def _tally(values: pa.Array, classes: NDArray[np.intp]) -> dict[str, Counts]:
    """Return how many pairs of each class have each value; "" is none."""
    encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    table = np.bincount(codes * _CLASSES + classes, minlength=len(names) * _CLASSES).reshape(-1, _CLASSES)
    return {name: counts.astype(np.int64) for name, counts in zip(names, table, strict=True) if name}


def _sum(left: Any, right: Any) -> Any:
    """Return two counts, or mappings to counts, added up: of a batch little comes to much, of which only names are copied."""
    if not isinstance(left, Mapping):
        return left + right
    found = dict(left)
    for name, counts in right.items():
        found[name] = _sum(found[name], counts) if name in found else counts
    return found


def _ordered(value: Any) -> Any:
    return {name: _ordered(value[name]) for name in sorted(value)} if isinstance(value, Mapping) else value


def _plain(value: Any) -> Any:
    """Return counts, or a mapping to counts, as JSON has them, in order of names."""
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in sorted(value)}
    return value if isinstance(value, int) else value.tolist()


def _parsed(raw: Any) -> Any:
    if isinstance(raw, Mapping):
        return {name: _parsed(value) for name, value in raw.items()}
    return raw if isinstance(raw, int) else np.array(raw, dtype=np.int64)
