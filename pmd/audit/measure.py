"""What the audit counts of a batch of pairs, and how the counts of two batches become one.

Every pair belongs to one *class*: the last stage that it survived. What stands after a stage is the sum of the classes
from that stage on, so the pairs are read once for all stages. What readers gave and curate rejected carries no text; of
it only the books tell.

A `Partial` holds integers and samples by hash, nothing that depends on the order of pairs or batches; `merge` is
associative and commutative, and the merged bytes are equal however the pairs were dealt out. Its size is bounded: per
source about 1 MB before compression, whatever the number of pairs.

===============  =============================================  ==========================================
what             of which pairs                                 how it is kept
===============  =============================================  ==========================================
pairs, words     all                                            exact; lengths as a histogram
countries        all whose source has geotags                   exact
languages        a sample by hash of pair_id (`plan`)           exact counts of the sample
gendered terms   those of the sample that are English           exact counts of the sample, by group of images
users, hosts,    all                                            bottom-k sketches and a sample of pairs
images                                                          (`pmd.audit.sketch`)
===============  =============================================  ==========================================
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
import zstandard
from numpy.typing import NDArray

from pmd.audit import places, sketch
from pmd.audit.intervals import BUCKETS
from pmd.audit.lexicon import Absent, Lexicon
from pmd.audit.sketch import EVERYTHING, PairSample, Sketch
from pmd.config.options import AuditOptions
from pmd.errors import PmdError
from pmd.text import cleaning, language, urls

#: The stages that a pair can survive, in order.
STAGES: Final = ("curate", "images", "fetch", "dedupe", "shard")

#: Key of the upstream field in `meta` that says who made or posted the image.
USER_FIELDS: Final[dict[str, str]] = {"yfcc100m": "uid", "sbu_captions": "user_id", "red_caps": "author"}
#: Keys of longitude and latitude in `meta`, of the sources that have them.
GEOTAG_FIELDS: Final[dict[str, tuple[str, str]]] = {"yfcc100m": ("longitude", "latitude")}
#: What stands in a user field for nobody: RedCaps writes "None", Reddit's own words for a removed account are
#: bracketed.
_NOBODY: Final = frozenset({"", "None", "[deleted]", "[removed]"})

#: Words from which texts are counted together; their mean is exact all the same.
MAX_WORDS: Final = 512

#: What is counted of the text sample, by class and group of images. "female", "male" and "neutral" count English texts
#: with a term of the list; "both" those with a female and a male one.
FIELDS: Final = ("sampled", "english", "undetermined", "female", "male", "both", "neutral")

#: Columns of PAIRS that `measure` reads.
COLUMNS: Final = ("pair_id", "image_id", "source", "image_url", "text", "meta")

Counts = NDArray[np.int64]
_CLASSES: Final = len(STAGES)
_FORMAT: Final = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is settled before any pair is seen, so that every worker takes the same sample.

    Attributes:
        limits: Source → a pair's text is in the sample where the hash of its pair_id is below this; a
            source that is not named is taken whole.
        lexicon: The gendered terms, or why there are none.
    """

    limits: Mapping[str, int]
    lexicon: Lexicon | Absent


def plan(kept: Mapping[str, int], options: AuditOptions, lexicon: Lexicon | Absent) -> Plan:
    """Return the plan of an audit.

    Args:
        kept: Source → pairs after curate, from its books.
        options: `text_sample` is how many texts of a source are looked at: all where it has no more pairs, else on
            average, give or take twice the square root.
        lexicon: `pmd.audit.lexicon.load()`.
    """
    return Plan(
        {
            source: EVERYTHING if pairs <= options.text_sample else options.text_sample * 2**64 // pairs
            for source, pairs in sorted(kept.items())
        },
        lexicon,
    )


@dataclasses.dataclass(frozen=True)
class SourcePartial:
    """What is counted of one source; the first axis of every array is the class.

    Attributes:
        pairs: Shape (classes,).
        words: Sum of words, shape (classes,).
        lengths: Pairs by number of words, the last bin for MAX_WORDS and more; shape (classes, MAX_WORDS + 1).
        sample: `FIELDS` of the text sample by group of images; shape (classes, BUCKETS, len(FIELDS)).
        languages: Code → texts of the sample, shape (classes,).
        countries: ISO 3166 code → pairs, shape (classes,).
        users: Who made or posted the images.
        hosts: Registrable domains of the image URLs.
        images: Distinct image_id.
        drawn: A sample of pairs with their hosts and users.
    """

    pairs: Counts
    words: Counts
    lengths: Counts
    sample: Counts
    languages: Mapping[str, Counts]
    countries: Mapping[str, Counts]
    users: Sketch
    hosts: Sketch
    images: Sketch
    drawn: PairSample

    def __add__(self, other: SourcePartial) -> SourcePartial:
        """Return what is counted of both parts."""
        return SourcePartial(
            self.pairs + other.pairs,
            self.words + other.words,
            self.lengths + other.lengths,
            self.sample + other.sample,
            _add(self.languages, other.languages),
            _add(self.countries, other.countries),
            self.users + other.users,
            self.hosts + other.hosts,
            self.images + other.images,
            self.drawn + other.drawn,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        return {
            **{name: getattr(self, name).tolist() for name in ("pairs", "words", "lengths", "sample")},
            **{
                name: {code: counts.tolist() for code, counts in sorted(getattr(self, name).items())}
                for name in ("languages", "countries")
            },
            **{name: getattr(self, name).to_json() for name in ("users", "hosts", "images", "drawn")},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SourcePartial:
        """Return what `to_json` wrote."""
        return cls(
            pairs=_counts(raw["pairs"]),
            words=_counts(raw["words"]),
            lengths=_counts(raw["lengths"]),
            sample=_counts(raw["sample"]),
            languages={code: _counts(row) for code, row in raw["languages"].items()},
            countries={code: _counts(row) for code, row in raw["countries"].items()},
            users=Sketch.from_json(raw["users"]),
            hosts=Sketch.from_json(raw["hosts"]),
            images=Sketch.from_json(raw["images"]),
            drawn=PairSample.from_json(raw["drawn"]),
        )


@dataclasses.dataclass(frozen=True)
class Partial:
    """What is counted of some of the pairs, by source."""

    sources: Mapping[str, SourcePartial] = dataclasses.field(default_factory=dict)


def merge(left: Partial, right: Partial) -> Partial:
    """Return what is counted of both; associative and commutative, `Partial()` is neutral.

    Raises:
        PmdError: A pair was measured in both.
    """
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
    """Return what is counted of all."""
    return functools.reduce(merge, partials, Partial())


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


def last_stages(survived: Mapping[str, pa.Array]) -> pa.Array:
    """Return the last stage that each pair survived, from one boolean mask a stage.

    Args:
        survived: Stage → mask over the pairs of a batch; "curate" may be left out (all pairs survived it), and so may
            stages that have not run.

    Raises:
        PmdError: A pair survived a stage, but not the one before.
    """
    ran = [stage for stage in STAGES if stage in survived and stage != "curate"]
    size = len(next(iter(survived.values()))) if survived else 0
    found = np.full(size, "curate", dtype=object)
    before = np.ones(size, dtype=bool)
    for stage in ran:
        after = np.asarray(survived[stage].to_numpy(zero_copy_only=False), dtype=bool)
        if (after & ~before).any():
            raise PmdError(
                f"a pair is there after {stage}, but not before it",
                where=f"audit, row {int(np.flatnonzero(after & ~before)[0])} of a batch",
                remedy="run: pmd verify ROOT",
            )
        found[after] = stage
        before = after
    return pa.array(found, pa.string())


def measure(pairs: pa.RecordBatch, last: pa.Array, plan: Plan) -> Partial:
    """Count what is in a batch of pairs.

    Args:
        pairs: `PAIRS`, or its `COLUMNS`; any sources, any order.
        last: The last stage that each pair survived, of `STAGES`.
        plan: The same for all batches.
    """
    classes = pc.index_in(last.cast(pa.string()), value_set=pa.array(STAGES))
    if classes.null_count:
        unknown = last.filter(pc.is_null(classes))[0].as_py()
        raise PmdError("no such stage", where="audit", expected=", ".join(STAGES), found=repr(unknown))
    numbers = classes.to_numpy(zero_copy_only=False).astype(np.intp)
    source_column = pairs.column("source").cast(pa.string())
    found = {}
    for source in sorted(pc.unique(source_column).to_pylist()):
        rows = pc.equal(source_column, source)
        mine = np.flatnonzero(rows.to_numpy(zero_copy_only=False))
        batch = pairs if len(mine) == pairs.num_rows else pairs.take(pa.array(mine))
        found[source] = _source(source, batch, numbers[mine], plan)
    return Partial(found)


def _source(source: str, pairs: pa.RecordBatch, classes: NDArray[np.intp], plan: Plan) -> SourcePartial:
    pair_hashes, image_hashes = sketch.mix(pairs.column("pair_id")), sketch.mix(pairs.column("image_id"))
    words = cleaning.word_count(pairs.column("text")).to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.zeros((_CLASSES, MAX_WORDS + 1), dtype=np.int64)
    np.add.at(lengths, (classes, np.minimum(words, MAX_WORDS)), 1)
    sums = np.zeros(_CLASSES, dtype=np.int64)
    np.add.at(sums, classes, words)

    limit = plan.limits.get(source, EVERYTHING)
    chosen = np.flatnonzero(pair_hashes < np.uint64(limit))
    sample, languages = _texts(pairs.column("text"), chosen, classes, image_hashes, plan.lexicon)

    hosts = [urls.registrable_domain(host) if host else "" for host in urls.host(pairs.column("image_url")).to_pylist()]
    users, countries = _people_and_places(source, pairs.column("meta"), classes)
    user_hashes = _user_hashes(source, users)
    order = np.argsort(pair_hashes)
    has_user, has_host = user_hashes > 0, np.array([bool(host) for host in hosts], dtype=bool)
    return SourcePartial(
        pairs=np.bincount(classes, minlength=_CLASSES).astype(np.int64),
        words=sums,
        lengths=lengths,
        sample=sample,
        languages=languages,
        countries=countries,
        users=sketch.of(user_hashes[has_user], classes[has_user], _CLASSES),
        hosts=sketch.of(
            np.array([_hash(host) for host in hosts if host], dtype=np.uint64),
            classes[has_host],
            _CLASSES,
            [host for host in hosts if host],
        ),
        images=sketch.of(image_hashes, classes, _CLASSES),
        drawn=sketch.pair_sample(
            pair_hashes[order],
            classes[order].astype(np.int64),
            [hosts[index] for index in order.tolist()],
            user_hashes[order],
        ),
    )


def users(pairs: pa.RecordBatch) -> NDArray[np.uint64]:
    """Return a hash of the user of each pair, of any sources; 0 where none is named."""
    found = np.zeros(pairs.num_rows, dtype=np.uint64)
    names = pairs.column("source").cast(pa.string())
    for source, field in sorted(USER_FIELDS.items()):
        mine = np.flatnonzero(pc.equal(names, source).to_numpy(zero_copy_only=False))
        metas = pairs.column("meta").take(pa.array(mine)).to_pylist()
        found[mine] = _user_hashes(source, [_user(orjson.loads(meta), field) for meta in metas])
    return found


def _user(fields: Mapping[str, Any], field: str) -> str:
    """Return who upstream's fields name; "" for nobody."""
    user = str(fields.get(field) or "")
    return "" if user in _NOBODY else user


def _user_hashes(source: str, users: list[str]) -> NDArray[np.uint64]:
    return np.array([_hash(f"{source}\0{user}") if user else 0 for user in users], dtype=np.uint64)


def _texts(
    texts: pa.Array,
    chosen: NDArray[np.intp],
    classes: NDArray[np.intp],
    image_hashes: sketch.Hashes,
    lexicon: Lexicon | Absent,
) -> tuple[Counts, dict[str, Counts]]:
    """Return `FIELDS` by class and group, and the languages, of the chosen texts."""
    sample = np.zeros((_CLASSES, BUCKETS, len(FIELDS)), dtype=np.int64)
    looked_at = texts.take(pa.array(chosen))
    codes = language.languages(looked_at).to_pylist()
    groups = (image_hashes[chosen] >> np.uint64(56)).astype(np.intp)
    where = (classes[chosen], groups)
    english = np.array([code == "en" for code in codes], dtype=bool)
    flags = np.zeros((len(codes), len(FIELDS)), dtype=np.int64)
    flags[:, 0] = 1
    flags[:, 1] = english
    flags[:, 2] = [code == language.UNDETERMINED for code in codes]
    if isinstance(lexicon, Lexicon):
        for row in np.flatnonzero(english).tolist():
            lists = lexicon.mentions(looked_at[row].as_py())
            flags[row, 3:] = [
                "female" in lists,
                "male" in lists,
                "female" in lists and "male" in lists,
                "neutral" in lists,
            ]
    np.add.at(sample, where, flags)
    return sample, _tally(codes, classes[chosen])


def _people_and_places(source: str, metas: pa.Array, classes: NDArray[np.intp]) -> tuple[list[str], dict[str, Counts]]:
    """Return each pair's user ("" for none), and the countries of the geotags."""
    user_field, geotag_fields = USER_FIELDS.get(source), GEOTAG_FIELDS.get(source)
    if user_field is None and geotag_fields is None:
        return [""] * len(metas), {}
    users: list[str] = []
    codes: list[str] = []
    placed: list[int] = []
    for row, meta in enumerate(metas.to_pylist()):
        fields = orjson.loads(meta)
        users.append("" if user_field is None else _user(fields, user_field))
        if geotag_fields is None:
            continue
        spot = places.position(fields.get(geotag_fields[0]), fields.get(geotag_fields[1]))
        if spot is not None:
            codes.append(places.country(*spot))
            placed.append(row)
    return users, _tally(codes, classes[np.array(placed, dtype=np.intp)])


def _tally(codes: list[str], classes: NDArray[np.intp]) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for code, number in zip(codes, classes.tolist(), strict=True):
        found.setdefault(code, np.zeros(_CLASSES, dtype=np.int64))[number] += 1
    return found


def _add(left: Mapping[str, Counts], right: Mapping[str, Counts]) -> dict[str, Counts]:
    zero = np.zeros(_CLASSES, dtype=np.int64)
    return {code: left.get(code, zero) + right.get(code, zero) for code in sorted({*left, *right})}


def _counts(raw: Any) -> Counts:
    return np.array(raw, dtype=np.int64)


def _hash(unit: str) -> int:
    return min(xxhash.xxh3_64_intdigest(unit.encode()), EVERYTHING - 1)
