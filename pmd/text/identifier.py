"""fastText's lid.176.ftz on whole columns: what `predict` answers, worked out for all texts at once.

fastText's binding is asked text by text, and takes longer for each than all else that the audit does with it. Its model is small
and plain (Joulin et al., "FastText.zip: Compressing text classification models", 2016): a text is the mean of the vectors of its
words and of their runs of 2 to 4 characters, and a language is a leaf in a Huffman tree with a logistic decision at each branch.
The vector of a word never changes, and most words stand in many texts: here it is worked out once a column and word.

Vectors are whole numbers (`SCALE`), which floats hold exactly, so sums do not depend on their order, nor on the machine.
Probabilities are fastText's but for a few millionths (`tests/text/test_identifier.py`). The tree is that of `Model::buildTree`
in fastText 0.9.2, where English, the most frequent label, is two decisions from the root.
"""

from __future__ import annotations

import dataclasses
import functools
import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pmd.text.tokens import Tokens

#: What 1 is in vectors of whole numbers.
SCALE: Final = 2**20
#: Of a run of characters that the model does not know.
NONE: Final = -1
#: How many rows a word has; other facts of a word are of a branch.
SIZE: Final = -1
#: Words of which it is kept what the model makes of them.
_KEPT: Final = 2**18
#: Characters that these have together: what is written without blanks has words as long as its sentences.
_KEPT_CHARACTERS: Final = 2**23
#: fastText adds this to every probability before it takes the logarithm.
_LEAST: Final = 1e-5
_MAGIC, _VERSION = 793712314, 12
_HIERARCHICAL_SOFTMAX: Final = 1
_PREFIX: Final = "__label__"
#: A word that fastText takes for the end of the text.
_END: Final = "</s>"
#: Lines whose languages are all weighed at once: few enough for a processor's cache.
_LINES: Final = 1024
_FNV_START, _FNV_FACTOR = np.uint32(2166136261), np.uint32(16777619)

Words = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Model:
    """A model with quantised vectors, sub-words of `shortest` to `longest` characters, and hierarchical softmax.

    Attributes:
        words: Word → its row.
        buckets: Hash of a run of characters, modulo their number → its row, or `NONE`.
        vectors: Shape (rows, dimensions), times `SCALE`: whole numbers.
        labels: Languages, the leaves of the tree.
        branches: The weights of its branches, shape (branches, dimensions).
        children: Of each branch the node on the left and the node on the right: leaves first, then branches, the root last.
        shortest: Characters of a run, at least.
        longest: At most.
    """

    words: Mapping[str, int]
    buckets: npt.NDArray[np.int32]
    vectors: Floats
    labels: tuple[str, ...]
    branches: Floats
    children: tuple[tuple[int, int], ...]
    shortest: int
    longest: int

    @functools.cached_property
    def seen(self) -> _Seen:
        """What is known of words that stood in columns before."""
        return _Seen(self)

    def path(self, label: str) -> list[tuple[int, bool]]:
        """Return the branches from the root to a language, and whether the way is on their right."""
        node, found = self.labels.index(label), []
        for branch, (left, right) in enumerate(self.children):
            if node in (left, right):
                found.append((branch, node == right))
                node = len(self.labels) + branch
        return found[::-1]


class Asked:
    """What a model makes of a column of lines.

    Args:
        model: The model.
        tokens: Those of lines without white space and control characters but for single bytes of space.
        label: The language of which it is asked how likely lines are in it.
    """

    def __init__(self, model: Model, tokens: Tokens, label: str) -> None:
        tokens = _to_the_end(tokens)
        self._model, self._tokens = model, tokens
        self._texts: list[str] = tokens.dictionary.to_pylist()
        self._end = model.words[_END]
        self._path = model.path(label)
        sizes, *self._of_branches = model.seen.facts(self._texts, [SIZE, *(branch for branch, _ in self._path)])
        self._size = tokens.summed(sizes) + 1

    @functools.cached_property
    def probability(self) -> Floats:
        """How likely each line is in the language."""
        found = np.ones(len(self._size))
        for (branch, is_right), of_word in zip(self._path, self._of_branches, strict=True):
            end = self._model.seen.of_row(branch)[self._end]
            right = _right((self._tokens.summed(of_word) + end) / (self._size * SCALE))
            found *= (right if is_right else 1 - right) + _LEAST
        return np.minimum(found, 1.0)

    def likeliest(self, lines: npt.NDArray[np.intp], least: float = 0.0) -> tuple[npt.NDArray[np.intp], Floats]:
        """Return the likeliest language of some lines, and how likely it is.

        Args:
            lines: Their places.
            least: Languages that are less likely are none.

        Returns:
            Places in the model's labels, -1 for none; and probabilities, 0 of none.
        """
        best, found = np.full(len(lines), NONE, np.intp), np.zeros(len(lines))
        vectors = self._vectors(lines)
        for start in range(0, len(lines), _LINES):
            some = slice(start, start + _LINES)
            best[some], found[some] = self._likeliest(self._mean(lines[some], vectors), least)
        return best, np.minimum(found, 1.0)

    def _mean(self, lines: npt.NDArray[np.intp], vectors: Floats) -> Floats:
        """Return the vectors of some lines; shape (lines, dimensions)."""
        lengths = self._tokens.lengths[lines]
        codes = self._tokens.codes[self._tokens.places(lines)]
        sums = np.add.reduceat(vectors[codes], np.cumsum(lengths) - lengths, axis=0) + self._model.vectors[self._end]
        found: Floats = sums / (self._size[lines, None] * SCALE)
        return found

    def _likeliest(self, means: Floats, least: float) -> tuple[npt.NDArray[np.intp], Floats]:
        """Walk down the tree, of each line only where it is likely enough."""
        size = len(self._model.labels)
        children = np.array(self._model.children, np.intp).reshape(-1, 2)
        # A child is hardly likelier than its parent: by `_LEAST` of it at most.
        least_above = least / (1 + _LEAST) ** len(children)
        best, found = np.full(len(means), NONE, np.intp), np.zeros(len(means))
        line, node, likely = np.arange(len(means)), np.full(len(means), size + len(children) - 1), np.ones(len(means))
        while len(line):
            right = _right(np.einsum("nd,nd->n", self._model.branches[node - size], means[line]))
            likely = np.concatenate([likely * (1 - right + _LEAST), likely * (right + _LEAST)])
            node, line = children[node - size].T.reshape(-1), np.concatenate([line, line])
            leaves = np.flatnonzero((node < size) & (likely >= least))
            # Of several leaves of a line the likeliest is written last; of equals the first of the labels.
            leaves = leaves[np.lexsort((-node[leaves], likely[leaves]))]
            leaves = leaves[likely[leaves] > found[line[leaves]]]
            best[line[leaves]], found[line[leaves]] = node[leaves], likely[leaves]
            on = (node >= size) & (likely >= least_above)
            line, node, likely = line[on], node[on], likely[on]
        return best, found

    def _vectors(self, lines: npt.NDArray[np.intp]) -> Floats:
        """Return the sum of the vectors of each word in some lines; shape (words, dimensions), of other words zero."""
        needed = np.zeros(len(self._texts), dtype=bool)
        needed[self._tokens.codes[self._tokens.places(lines)]] = True
        some = np.flatnonzero(needed)
        owners, rows = _rows(self._model, [self._texts[place] for place in some.tolist()])
        order = np.argsort(owners, kind="stable")
        owners, rows = some[owners[order]], rows[order]
        found = np.zeros((len(self._texts), self._model.vectors.shape[1]))
        if len(owners):
            starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
            found[owners[starts]] = np.add.reduceat(self._model.vectors[rows], starts, axis=0)
        return found


def _to_the_end(tokens: Tokens) -> Tokens:
    """Return the tokens before one that fastText takes for the end of the text; a text without any has the empty one."""
    end = pc.index(tokens.dictionary, _END).as_py()
    if end < 0:
        return tokens
    stops = tokens.starts + tokens.lengths
    ends = np.flatnonzero(tokens.codes == end)
    np.minimum.at(stops, tokens.rows[ends], ends)
    lengths = stops - tokens.starts
    empty = lengths == 0
    codes = tokens.codes.copy()
    codes[tokens.starts[empty]] = len(tokens.dictionary)
    stops[empty] += 1
    kept = np.arange(len(codes)) < np.repeat(stops, tokens.lengths)
    dictionary = pa.concat_arrays([tokens.dictionary, pa.array([""])])
    return Tokens.of_codes(codes[kept], np.maximum(lengths, 1), dictionary)


class _Seen:
    """Sums over a word's rows, which never change: most words of a column stood in one before.

    Args:
        model: The model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._places: dict[str, int] = {}
        self._characters = 0  # of their words
        self._facts: dict[int, Floats] = {}
        self._of_row: dict[int, Floats] = {}
        self._one = threading.Lock()

    def facts(self, words: Sequence[str], wanted: Sequence[int]) -> list[Floats]:
        """Return what is wanted of each word: for a branch what it adds to the decision there, times `SCALE`; or its `SIZE`."""
        with self._one:
            if any(one not in self._facts for one in wanted):  # of words that were seen before too
                self._forget()
                self._facts |= {one: np.zeros(_KEPT) for one in wanted if one not in self._facts}
            at = [self._places.get(word, NONE) for word in words]
            others = [word for word, place in zip(words, at, strict=True) if place == NONE]
            if others and not self._has_room(others):
                self._forget()
                others = list(words)
                if not self._has_room(others):
                    return [self._summed(words, one) for one in wanted]
            if others:
                first = len(self._places)
                self._characters += sum(map(len, others))
                self._places |= {word: first + place for place, word in enumerate(dict.fromkeys(others))}
                self._learn([*self._places][first:], first)
                at = [self._places[word] for word in words]
            places = np.array(at, dtype=np.int64)
            return [self._facts[one][places] for one in wanted]

    def _has_room(self, words: Sequence[str]) -> bool:
        return len(self._places) + len(words) <= _KEPT and self._characters + sum(map(len, words)) <= _KEPT_CHARACTERS

    def _forget(self) -> None:
        self._places.clear()
        self._characters = 0

    def _learn(self, words: Sequence[str], first: int) -> None:
        owners, rows = _rows(self._model, words)
        for one, known in self._facts.items():
            known[first : first + len(words)] = self._sums(owners, rows, one, len(words))

    def _summed(self, words: Sequence[str], wanted: int) -> Floats:
        return self._sums(*_rows(self._model, words), wanted, len(words))

    def _sums(self, owners: Numbers, rows: Numbers, wanted: int, number: int) -> Floats:
        if wanted == SIZE:
            return np.bincount(owners, minlength=number).astype(np.float64)
        return np.bincount(owners, self.of_row(wanted)[rows], number).astype(np.float64, copy=False)

    def of_row(self, branch: int) -> Floats:
        """Return what each row adds to the decision at a branch, times `SCALE`; rounded each, so that sums are whole."""
        if branch not in self._of_row:
            self._of_row[branch] = np.rint(self._model.vectors @ self._model.branches[branch])
        return self._of_row[branch]


def _right(logits: Floats) -> Floats:
    """Return how likely the way goes to the right."""
    return 1 / (1 + np.exp(-logits))


def _rows(model: Model, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Return the rows of all words and their runs of characters, and before them whose each is."""
    said = np.array([text != "" and not text.startswith(_PREFIX) for text in texts], dtype=bool)
    own = np.array([model.words.get(text, -1) for text in texts], dtype=np.int64)
    here = np.flatnonzero(said & (own >= 0))
    mine = np.flatnonzero(said)
    if not len(mine):
        return here, own[here]
    whose, hashes = _runs([texts[place] for place in mine.tolist()], model.shortest, model.longest)
    at = model.buckets[hashes % np.uint32(len(model.buckets))]
    known = np.flatnonzero(at != NONE)
    return np.concatenate([here, mine[whose[known]]]), np.concatenate([own[here], at[known].astype(np.int64)])


def _runs(words: Sequence[str], shortest: int, longest: int) -> tuple[Numbers, Words]:
    """Return the hashes of all runs of characters, and before them whose each is; with "<" and ">" around each word.

    The hash is FNV-1a, as fastText has it: bytes count as signed.
    """
    data = np.frombuffer(f"<{'><'.join(words)}>".encode(), np.int8)
    values = data.astype(np.int32).view(np.uint32)
    first = np.flatnonzero((data & np.int8(-64)) != -128)  # where characters begin, which have up to four bytes
    widths = np.diff(np.append(first, len(data)))
    lengths = np.fromiter(map(len, words), np.int64, len(words)) + 2
    owners = np.repeat(np.arange(len(words)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(first))  # characters to the end of the word
    hashes = np.full(len(first), _FNV_START)
    found = []
    for length in range(1, longest + 1):
        at, width = first[length - 1 :], widths[length - 1 :]
        hashes = (hashes[: len(at)] ^ values[at]) * _FNV_FACTOR
        for byte in range(1, int(widths.max())):
            some = np.flatnonzero(width > byte)
            hashes[some] = (hashes[some] ^ values[at[some] + byte]) * _FNV_FACTOR
        if length >= shortest:
            whole = np.flatnonzero(left[: len(at)] >= length)
            found.append((owners[whole], hashes[whole]))
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


# Reading the file.


class _File:
    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def values(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.content, self.place)
        self.place += struct.calcsize(f"<{form}")
        return found

    def one(self, form: str) -> Any:
        return self.values(form)[0]

    def array(self, kind: str, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self.content, kind, count, self.place)
        self.place += found.nbytes
        return found

    def word(self) -> str:
        end = self.content.index(b"\0", self.place)
        found = self.content[self.place : end].decode()
        self.place = end + 1
        return found


def read(content: bytes) -> Model:
    """Return the model of a file of fastText's.

    Raises:
        ValueError: It is no quantised model of this kind.
    """
    file = _File(content)
    if file.values("ii") != (_MAGIC, _VERSION):
        raise ValueError("not a model of fastText's format 12")
    _, _, _, _, _, runs_of_words, loss, _, buckets, shortest, longest, _ = file.values("12i")
    file.one("d")
    size, words, labels, _, pruned = file.values("iiiqq")
    entries = [(file.word(), file.one("q"), file.one("b")) for _ in range(size)]
    kept = file.array("<i4", 2 * max(pruned, 0)).reshape(-1, 2)
    if not (file.one("?") and runs_of_words == 1 and loss == _HIERARCHICAL_SOFTMAX and pruned > 0 and shortest > 1):
        raise ValueError("not a quantised model with hierarchical softmax and single words")
    vectors = _unpacked(file)
    if file.one("?"):
        raise ValueError("its branches are quantised")
    rows, dimensions = file.values("qq")
    branches = file.array("<f4", rows * dimensions).reshape(rows, dimensions).astype(np.float64)
    table = np.full(buckets, NONE, dtype=np.int32)
    table[kept[:, 0]] = words + kept[:, 1]
    children = _tree([count for _, count, _ in entries[words:]])
    return Model(
        {word: row for row, (word, _, _) in enumerate(entries[:words])},
        table,
        vectors,
        tuple(word.removeprefix(_PREFIX) for word, _, _ in entries[words : words + labels]),
        branches[: labels - 1],
        children,
        shortest,
        longest,
    )


def _unpacked(file: _File) -> Floats:
    """Return the vectors of a matrix that product quantisation has packed, times `SCALE`."""
    has_norms, rows, _, size = file.values("?qqi")
    codes = file.array("u1", size).reshape(rows, -1)
    dimensions, parts, width, last, centroids = _quantiser(file)
    vectors = np.empty((rows, dimensions))
    for part in range(parts):
        mine = last if part == parts - 1 else width
        start = part * 256 * width
        vectors[:, part * width : part * width + mine] = centroids[start : start + 256 * mine].reshape(256, mine)[
            codes[:, part]
        ]
    if has_norms:
        norms = file.array("u1", rows)
        vectors *= _quantiser(file)[-1][norms][:, None]
    whole: Floats = np.rint(vectors * SCALE)
    return whole


def _quantiser(file: _File) -> tuple[int, int, int, int, Floats]:
    dimensions, parts, width, last = file.values("4i")
    return dimensions, parts, width, last, file.array("<f4", 256 * dimensions).astype(np.float64)


def _tree(counts: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the children of each branch, of Huffman's tree as fastText builds it from labels in order of their frequency."""
    whole = [*counts, *([10**15] * (len(counts) - 1))]
    leaf, node, children = len(counts) - 1, len(counts), []
    for branch in range(len(counts), len(whole)):
        least = []
        for _ in range(2):
            if leaf >= 0 and whole[leaf] < whole[node]:
                least.append(leaf)
                leaf -= 1
            else:
                least.append(node)
                node += 1
        whole[branch] = whole[least[0]] + whole[least[1]]
        children.append((least[0], least[1]))
    return tuple(children)
