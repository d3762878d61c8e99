"""Words that stand beside terms of identity, whatever words they are: found in the captions, and not on a list of ours.

    occurrences   texts, their words and terms → `ROWS`, which meet by source
    count         all rows of a source → of each term the words that stand with it

The odds of a word among the captions with a term ÷ its odds among all others of the source. The ranking shrinks both to the
source's own background, an informative Dirichlet prior, and divides by their standard error (Monroe, Colaresi and Quinn 2008, as
in `counting.associations`). The interval is that of another draw of the source's clusters, since one user's album repeats its
words; the background is taken as given.

Memory is bounded whatever the number of pairs: words are read of about `measure.OPENED` texts a source at most, by the same hash
as all samples; those of a batch are added up before they leave it; and all rows of a source meet in one worker, which holds no
more than the words of so many texts. What leaves it is of `LISTED` words a term.

A word that stands in few captions, or with few users, is not told: it may be a name. One that many use may be a name as well,
of somebody whom many speak of.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pmd.audit.counting import associations, measure, units
from pmd.audit.counting.measure import CLASSES, NOT_READ, Seen
from pmd.audit.statistics import clusters, estimates, findings, losses
from pmd.audit.statistics.clusters import Counts
from pmd.audit.statistics.estimates import Estimate, Part
from pmd.audit.statistics.suppression import LEAST
from pmd.audit.texts import matching, vocabulary
from pmd.schema import keys
from pmd.schema.tables import KEY

#: The group of terms that words are counted beside.
GROUP: Final = "identity"
#: Words that are listed of each term, those with the highest score.
LISTED: Final = 10
#: The longest word, in letters; what is longer is no word.
LONGEST: Final = 40

#: Of rows that count captions, whatever cluster they are in.
CAPTIONS: Final = -1

ROWS: Final = pa.schema(
    [
        pa.field("source_id", KEY, nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),  # place in `units.clusters_of`, or `CAPTIONS`
        pa.field("last", pa.int8(), nullable=False),  # number of the last of `measure.CLASSES` survived
        pa.field("term", pa.int32(), nullable=False),  # number among `terms`; -1: all captions
        pa.field("word", pa.string(), nullable=False),  # "": whatever words there are
        pa.field("cluster", pa.uint64(), nullable=False),  # a hash of it; 0 of `CAPTIONS`
        pa.field("captions", pa.int64(), nullable=False),
    ]
)
_KEYS: Final = ROWS.names[:-1]
_ALL: Final = -1


def terms() -> tuple[vocabulary.Term, ...]:
    """Return the terms that words are counted beside; their places are their numbers in `ROWS`."""
    return vocabulary.group(GROUP).terms


def occurrences(
    pairs: pa.RecordBatch, last: pa.Array, seen: Mapping[str, Seen], plan: measure.Plan
) -> Iterator[pa.RecordBatch]:
    """Yield `ROWS` of each source of a batch, added up.

    Args:
        pairs: `measure.COLUMNS`; any sources.
        last: The last of `measure.CLASSES` that each pair survived.
        seen: Source → what `measure.look` saw of its pairs, in their order.
        plan: What they were seen with.
    """
    numbers = measure.classes(last)
    places = _numbers(plan.vocabulary)
    for source, mine in measure.by_source(pairs).items():
        found = seen[source]
        read = np.flatnonzero(found.categories != NOT_READ).astype(np.int64)
        ids = measure.hashes(pairs.column("pair_id").take(pa.array(mine[read])))
        inside = ids < np.uint64(plan.opened.get(source, measure.EVERYTHING))
        texts = _Texts.of(found, read, inside, numbers[mine][read].astype(np.int64), places)
        of_read = mine[read]
        for rows in texts.rows(
            source, {kind: _hashes(kind, pairs, found, of_read, read) for kind in units.clusters_of(source)}
        ):
            yield from rows.to_batches()


@functools.lru_cache(maxsize=4)
def _numbers(known: vocabulary.Vocabulary) -> Counts:
    """Return of each term its number among `terms`, or -1."""
    of_identity = {term: number for number, term in enumerate(terms())}
    return np.array([of_identity.get(term, -1) for term in known.terms], dtype=np.int64)


def _hashes(kind: str, pairs: pa.RecordBatch, found: Seen, rows: NDArray[np.intp], read: Counts) -> NDArray[np.uint64]:
    """Return a hash of the cluster of each text that was read; 0 where it has none.

    Args:
        kind: What its clusters are.
        pairs: The batch.
        found: What was seen of the source's pairs.
        rows: Where those stand in the batch whose texts were read.
        read: The same, among the source's pairs.
    """
    if kind == "image":
        return measure.low_words(pairs.column("image_id").take(pa.array(rows)))
    return found.ids(kind)[read]


@dataclasses.dataclass(frozen=True)
class _Texts:
    """The English texts of a batch that are read for open words.

    Attributes:
        last: Of each text that was read its class.
        row: Of each word that a text has, once, the text; ascending.
        code: The word.
        words: Code → word.
        term_row: Of each term of identity that a text has, the text; ascending.
        term: Its number among `terms`.
        english: The texts themselves.
    """

    last: Counts
    row: Counts
    code: Counts
    words: pa.Array
    term_row: Counts
    term: Counts
    english: Counts

    @classmethod
    def of(cls, found: Seen, read: Counts, inside: NDArray[np.bool_], last: Counts, places: Counts) -> _Texts:
        """Return them, without words of one letter, of digits alone, and of over `LONGEST` letters."""
        marked = found.marked
        words, codes = marked.words.dictionary, marked.words.codes
        lengths = pc.utf8_length(words)
        sound = pc.and_(
            pc.and_(pc.greater(lengths, 1), pc.less_equal(lengths, LONGEST)), pc.utf8_is_alpha(_letters(words))
        )
        good = sound.to_numpy(zero_copy_only=False) if len(words) else np.zeros(0, dtype=bool)
        rows = marked.words.rows
        some = inside[rows] & good[codes] if len(rows) else np.zeros(0, dtype=bool)
        width = max(len(words), 1)
        once = matching.distinct(rows[some] * width + codes[some])
        numbers = places[marked.found.terms]
        having = (numbers >= 0) & inside[marked.found.rows]
        english = np.flatnonzero(inside & (found.categories[read] >= measure.ENGLISH)).astype(np.int64)
        return cls(last, once // width, once % width, words, marked.found.rows[having], numbers[having], english)

    def rows(self, source: str, hashes: Mapping[str, NDArray[np.uint64]]) -> Iterator[pa.Table]:
        """Yield `ROWS`: of all captions, and of those with a term, by cluster."""
        yield self._of_all(source)
        term, row, word = self._beside()
        if not len(term):
            return
        yield self._table(source, CAPTIONS, term, row, word, np.zeros(len(row), dtype=np.uint64))
        for kind, of_texts in enumerate(hashes.values()):
            cluster = of_texts[row]
            some = cluster != 0
            yield self._table(source, kind, term[some], row[some], word[some], cluster[some])

    def _beside(self) -> tuple[Counts, Counts, Counts]:
        """Return term, text and word of all words beside terms, but for a term's own; and once each term without a word."""
        starts = np.searchsorted(self.row, self.term_row, "left")
        lengths = np.searchsorted(self.row, self.term_row, "right") - starts
        first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        words = self.code[first + np.arange(int(lengths.sum()), dtype=np.int64)]
        number, row = np.repeat(self.term, lengths), np.repeat(self.term_row, lengths)
        width = len(self.words) + 1
        other = ~np.isin(number * width + words, self._own(width))
        none = np.full(len(self.term), len(self.words), dtype=np.int64)
        return (
            np.concatenate([number[other], self.term]),
            np.concatenate([row[other], self.term_row]),
            np.concatenate([words[other], none]),
        )

    def _own(self, width: int) -> Counts:
        """Return which words are of a term's own forms."""
        numbers, own = _own_words()
        codes = pc.index_in(own, value_set=self.words)
        found = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        coded: Counts = (numbers * width + found)[found >= 0]
        return coded

    def _of_all(self, source: str) -> pa.Table:
        """Return `ROWS` of all captions: counted in a table, since classes and words are far fewer than words in texts."""
        width = len(self.words) + 1
        whole = np.concatenate([self.last[self.row] * width + self.code, self.last[self.english] * width + width - 1])
        counts = np.bincount(whole)
        some = np.flatnonzero(counts)
        alike = {
            "last": some // width,
            "term": np.full(len(some), _ALL),
            "word": some % width,
            "cluster": np.zeros(len(some), dtype=np.uint64),
            "count": counts[some],
        }
        return self._rows(source, CAPTIONS, pa.table(alike))

    def _table(
        self, source: str, kind: int, term: Counts, row: Counts, word: Counts, cluster: NDArray[np.uint64]
    ) -> pa.Table:
        plain = pa.table({"last": self.last[row], "term": term, "word": word, "cluster": cluster})
        # Threads take longer to be woken than few rows take.
        added = plain.group_by(plain.schema.names, use_threads=False).aggregate([([], "count_all")])
        return self._rows(source, kind, added)

    def _rows(self, source: str, kind: int, added: pa.Table) -> pa.Table:
        """Return `ROWS` of a class, term, word, cluster and count of each."""
        names = pa.concat_arrays([self.words.cast(pa.string()), pa.array([""], pa.string())])
        length = added.num_rows
        head = [pa.repeat(keys.hashed(pa.array([source]))[0], length), pa.repeat(source, length)]
        return pa.table(
            [
                *head,
                pa.array(np.full(length, kind), pa.int8()),
                added["last"].cast(pa.int8()),
                added["term"].cast(pa.int32()),
                names.take(added["word"].combine_chunks()),
                added["cluster"],
                added.column(-1),
            ],
            schema=ROWS,
        )


def _letters(words: pa.Array) -> pa.Array:
    """Return the words without what stands within them: hyphens, apostrophes and digits."""
    return pc.replace_substring_regex(words, r"[-'0-9]", "")


@functools.cache
def _own_words() -> tuple[Counts, pa.Array]:
    """Return the words of the terms' forms, and before them whose each is."""
    group = vocabulary.group(GROUP)
    found = sorted({(place, word) for form, place in group.forms.items() if place >= 0 for word in form})
    return np.array([place for place, _ in found], dtype=np.int64), pa.array([word for _, word in found], pa.string())


def count(rows: pa.Table, sources: int) -> Iterator[dict[str, Any]]:
    """Yield, of each source, the words beside terms at the last stage that any of its texts survived.

    Args:
        rows: All `ROWS` of some sources, in any order.
        sources: How many the audit has: the words of each are a family of tests.
    """
    for source in sorted(pc.unique(rows["source"]).to_pylist()):
        mine = rows.filter(pc.equal(rows["source"], source))
        stage = pc.max(mine["last"]).as_py()
        left = (
            mine.filter(pc.equal(mine["last"], stage))
            .group_by(_KEYS, use_threads=False)
            .aggregate([("captions", "sum")])
        )
        words = _words(source, left.rename_columns(ROWS.names), sources)
        yield {"source": source, "stage": CLASSES[stage], "words": words}


def _words(source: str, rows: pa.Table, sources: int) -> list[dict[str, Any]]:
    captions = rows.filter(pc.equal(rows["kind"], CAPTIONS))
    whole = captions.filter(pc.equal(captions["term"], _ALL))
    background = dict(zip(whole["word"].to_pylist(), whole["captions"].to_pylist(), strict=True))
    found = []
    for number in sorted({*pc.unique(captions["term"]).to_pylist()} - {_ALL}):
        beside = captions.filter(pc.equal(captions["term"], number))
        having = dict(zip(beside["word"].to_pylist(), beside["captions"].to_pylist(), strict=True))
        ways = {
            kind: rows.filter(pc.and_(pc.equal(rows["term"], number), pc.equal(rows["kind"], place)))
            for place, kind in enumerate(units.clusters_of(source))
        }
        found += _of_term(terms()[number].name, having, background, ways)
    _judge(found, sources)
    return [*_listed(found)]


def _of_term(
    term: str, having: Mapping[str, int], background: Mapping[str, int], ways: Mapping[str, pa.Table]
) -> list[dict[str, Any]]:
    """Return the words from 20 captions and 10 clusters on, but for those that a few captions with the term lack."""
    with_term, whole = having[""], background[""]
    frequent = [
        word
        for word, both in having.items()
        if word and both >= associations.LEAST_CAPTIONS and (with_term - both >= LEAST or with_term == both)
    ]
    sums = {kind: _sums(table, frequent) for kind, table in ways.items() if table.num_rows}
    rows = []
    for word in sorted(frequent):
        if not sums or any(
            word not in of_words or of_words[word][0] < associations.LEAST_CLUSTERS for of_words in sums.values()
        ):
            continue
        both = having[word]
        # Of a word that hardly any other caption has, or that all captions with the term have, so few are not told: its odds are
        # at least these.
        other, others = max(background[word] - both, LEAST), whole - with_term
        lacking = max(with_term - both, LEAST)
        if others - other < LEAST:
            continue
        kind, draw = associations.widest({kind: of_words[word][1] for kind, of_words in sums.items()})
        clusters = sums[kind][word][0]
        odds = other / (others - other)
        told = both / lacking / odds
        ends = [None if end is None or end == 1 else end / (1 - end) / odds for end in (draw.low, draw.high)]
        rows.append(
            {
                "term": term,
                "beside": word,
                "texts": both,
                "of_term": with_term,
                "odds": told,
                "low": None if ends[0] is None else min(ends[0], told),
                "high": ends[1],
                "at_least": background[word] - both < LEAST or with_term == both,
                "score": _score((both, with_term), (other, others)),
                "npmi": associations.npmi(both, with_term, both + other, whole),
                "cluster": kind,
                "clusters": clusters,
                "degrees": draw.degrees,
                "refused": draw.refused,
                "test": _test(draw, odds, clusters),
            }
        )
    return rows


def _test(draw: Estimate, odds: float, clusters: int) -> losses.Test:
    """Return the test of whether the odds of a draw are other than those without the term."""
    effect = None if draw.error is None or draw.value is None else math.log(draw.value / (1 - draw.value) / odds)
    return losses.Test(effect, draw.error, draw.degrees, clusters, draw.refused)


def _sums(rows: pa.Table, words: Iterable[str]) -> dict[str, tuple[int, Estimate]]:
    """Return, of each word, how many clusters have it beside the term, and its share of the captions with the term.

    Args:
        rows: `ROWS` of a term and kind of cluster.
        words: Those that are wanted.
    """
    names = rows["word"].combine_chunks().dictionary_encode()
    labels = names.dictionary.to_pylist()
    codes = names.indices.to_numpy(zero_copy_only=False)
    held, places = np.unique(rows["cluster"].to_numpy(), return_inverse=True)
    captions = rows["captions"].to_numpy()
    sizes = np.zeros(len(held), dtype=np.int64)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(labels) + 1))
    at = {label: order[edges[place] : edges[place + 1]] for place, label in enumerate(labels)}
    sizes[places[at[""]]] = captions[at[""]]
    found = {}
    for word in words:
        if (mine := at.get(word)) is not None:
            having = np.zeros_like(sizes)
            having[places[mine]] = captions[mine]
            drawn = estimates.share_of_draw([Part(clusters.of(sizes, {word: having}), 1.0)], word)
            found[word] = len(mine), drawn
    return found


def _score(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Return the log-odds of a word among some captions against the others, shrunk to both together, by its standard error."""
    share = (one[0] + other[0]) / (one[1] + other[1])
    weight = max(associations.PRIOR * one[1], 1.0)
    ends = []
    for had, whole in (one, other):
        ends.append((had + weight * share, whole - had + weight * (1 - share)))
    (up, without), (down, lacking) = ends
    return (math.log(up / without) - math.log(down / lacking)) / math.sqrt(1 / up + 1 / down)


def _judge(rows: list[dict[str, Any]], sources: int) -> None:
    """Say of each word whether it is a finding: odds a quarter off or more, by the rule of all findings."""
    tests = [row.pop("test") for row in rows]
    judged = findings.judge(tests, least=associations.LEAST_LOG_ODDS, families=sources)
    for row, one in zip(rows, judged, strict=True):
        row |= {"p": one.p, "finding": one.finding}
        if one.finding and one.interval is not None:
            row["low"], row["high"] = (math.exp(end) for end in one.interval)


def _listed(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the words that stand with each term more than with others, those with the highest score first."""
    by_term: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["score"] > 0:
            by_term.setdefault(row["term"], []).append(row)
    for term in sorted(by_term):
        yield from sorted(by_term[term], key=lambda row: (-row["score"], row["beside"]))[:LISTED]
