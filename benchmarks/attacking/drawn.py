"""Audits drawn at random: small sources of unequal users and hosts, and what the functions that production runs make of them."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from unittest import mock

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from pmd.audit.counting import context, distinct, measure, repeated, unit_sums, units
from pmd.audit.counting.measure import CLASSES
from pmd.audit.figures import attributes
from pmd.audit.figures.attributes import Attribute
from pmd.audit.figures.result import result
from pmd.audit.places.population import Beside, Population
from pmd.audit.texts import lexicon
from pmd.config.reference import Row
from pmd.dedupe import captions
from pmd.schema import keys
from pmd.schema.keys import sortable
from pmd.schema.tables import PAIRS
from pmd.store.commits import Books
from pmd.text import language
from pmd.text.tokens import Tokens

Chance = np.random.Generator
Texts = NDArray[np.str_]

#: Country → where photographs of it lie, and its income class; of the last two none is known.
COUNTRIES: Final = {
    "DE": ("13.4", "52.52", "high"),
    "US": ("-73.98", "40.75", "high"),
    "LI": ("9.52", "47.14", "high"),
    "VN": ("105.85", "21.03", "lower_middle"),
    "IN": ("77.2", "28.6", "lower_middle"),
    "ML": ("-8.0", "12.65", "low"),
    "TW": ("121.5", "25.05", ""),
    "IS": ("-21.9", "64.13", ""),
}
INCOMES: Final = {code: income for code, (_, _, income) in COUNTRIES.items() if income}
BESIDE: Final = Beside(
    2010,
    Population(2010, dict.fromkeys(COUNTRIES, 100), 900),
    tuple(Row(code, 2010, income, 10.0) for code, income in INCOMES.items()),
)
_SUFFIXES: Final = ("de", "de", "fr", "com", "org", "com")
_LICENCES: Final = ("CC-BY-2.0", "CC-BY-SA-2.0", "NOASSERTION", "CC-BY-NC-2.0")
_LANGUAGES: Final = ("en", "en", "en", "en", "de", "fr", "und", "is")
GENDERED: Final = {"": (), "a woman": ("female",), "a man": ("male",), "a woman and a man": ("female", "male")}
_WITH: Final = ("nurse", "mechanic", "dog", "teacher", "bicycle")
HARM: Final = {"gun": "violent", "erotic": "sexual"}
_LETTERS: Final = np.array(list("bcdfghjklmnpqrstvwxz"))
STAGES: Final = tuple(name for name in CLASSES if name != measure.ASKED)


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs, one a place: what they are, and the last of `CLASSES` that each survived.

    Attributes:
        columns: Column → its values; "" for none.
        last: Numbers of classes.
        read: Which texts are read.
    """

    columns: Mapping[str, Texts]
    last: NDArray[np.int64]
    read: NDArray[np.bool_]

    def of(self, source: str) -> Pairs:
        """Return those of a source."""
        mine = self.columns["source"] == source
        return Pairs({name: values[mine] for name, values in self.columns.items()}, self.last[mine], self.read[mine])

    def counts(self, values: Texts | Sequence[str], some: NDArray[np.bool_] | None = None) -> dict[str, list[int]]:
        """Return how many pairs of each class have each value, of some of them; "" is none."""
        found: dict[str, list[int]] = {}
        chosen = np.ones(len(self.last), bool) if some is None else some
        for value, last in zip(np.asarray(values)[chosen].tolist(), self.last[chosen].tolist(), strict=True):
            if value:
                found.setdefault(value, [0] * len(CLASSES))[last] += 1
        return found


@dataclasses.dataclass(frozen=True)
class Audit:
    """An audit, and what it was made of.

    Attributes:
        pairs: The truth.
        content: Of audit.json, as it is written.
        sources: All.
        counted: What is known of users and hosts: of these too much is drawn to be counted here once more.
    """

    pairs: Pairs
    content: Mapping[str, Any]
    sources: tuple[str, ...]
    counted: unit_sums.Counted


def drawn(seed: int, sources: Sequence[str] | None = None, *, even: bool = False) -> Audit:
    """Return an audit that is drawn from a seed.

    Args:
        seed: The seed.
        sources: Those that it is of; by default all that are drawn.
        even: Whether many users, hosts and terms have about as much, and a fourth of the pairs is lost: then intervals are given.
    """
    chance = np.random.default_rng([7000, seed])
    names = [name for name in ("yfcc100m", "red_caps", "sbu_captions") if chance.random() < 0.7] or ["yfcc100m"]
    columns = [_columns(chance, name, even=even) for name in names]
    whole = {name: np.concatenate([some[name] for some in columns]) for name in columns[0]}
    last = np.concatenate([_last(chance, some, even=even) for some in columns])
    limit = int(2**64 * 0.6) if chance.random() < 0.3 else measure.EVERYTHING
    chosen = np.isin(whole["source"], names if sources is None else sources)
    return _audited({name: values[chosen] for name, values in whole.items()}, last[chosen], limit)


def _columns(chance: Chance, source: str, *, even: bool) -> dict[str, Texts]:
    number = 900 if even else int(chance.choice([80, 250, 600, 1500]))
    users = chance.integers(0, 300, number) if even else _unequal(chance, number, int(chance.choice([5, 40, 300])))
    if chance.random() < 0.3 and not even:  # one giant user
        users[chance.random(number) < 0.6] = 0
    hosts = chance.integers(0, 400, number) if even else _unequal(chance, number, int(chance.choice([4, 7, 15, 40])))
    countries = chance.permutation([*COUNTRIES])
    places = np.where(chance.random(number) < 0.8, countries[_unequal(chance, number, len(COUNTRIES))], "")
    values = {
        "source": np.full(number, source),
        "user": np.array([f"u{user}" for user in users]),
        "host": np.array([f"{source[:2]}{host}.{_SUFFIXES[host % len(_SUFFIXES)]}" for host in hosts]),
        "country": places if source == "yfcc100m" else np.full(number, ""),
        "year": np.array([str(2005 + year) for year in _unequal(chance, number, 6)]),
        "language": chance.permutation(_LANGUAGES)[_unequal(chance, number, len(_LANGUAGES))]
        if chance.random() < 0.4
        else np.full(number, "en"),
        "licence": chance.permutation(_LICENCES)[_unequal(chance, number, len(_LICENCES))],
        "tone": np.array(["dark", "light", "rare", "mid", ""])[_unequal(chance, number, 5)],
        "size": np.array(["1", "2"])[_unequal(chance, number, 2)],
    }
    if source == "sbu_captions":
        values["year"] = np.full(number, "")
    return values | _texts(chance, number, even=even)


def _unequal(chance: Chance, number: int, values: int) -> NDArray[np.int64]:
    """Return numbers below `values`, the first of them by far the commonest."""
    weights = (np.arange(values) + 1.0) ** -chance.choice([0.3, 1.0, 1.6, 2.5])
    return chance.choice(values, number, p=weights / weights.sum())


def _texts(chance: Chance, number: int, *, even: bool) -> dict[str, Texts]:
    of_gender = chance.choice(4, number, p=[0.3, 0.4, 0.28, 0.02]) if even else _unequal(chance, number, 4)
    of_term = chance.choice(6, number, p=[0.3, 0.3, 0.15, 0.1, 0.1, 0.05]) if even else _unequal(chance, number, 6)
    gendered, beside = np.array([*GENDERED])[of_gender], np.array(["", *_WITH])[of_term]
    if even:  # of some terms few captions have the one sex
        gendered[(beside == "nurse") & (gendered == "a man") & (chance.random(number) < 0.9)] = "a woman"
    harm = np.array(["", *HARM])[_unequal(chance, number, 3)]
    own = ["".join(word) for word in chance.choice(_LETTERS, (number, 9)).tolist()]
    repeats = np.array(["", *_boilerplate()])[_unequal(chance, number, 1 + len(_boilerplate()))]
    if even:
        repeats[chance.random(number) < 0.8] = ""
    texts = [
        said or " ".join(part for part in parts if part)
        for said, *parts in zip(repeats.tolist(), gendered.tolist(), beside.tolist(), harm.tolist(), own, strict=True)
    ]
    is_own = repeats == ""
    return {
        "text": np.array(texts),
        "gendered": np.where(is_own, gendered, ""),
        "beside": np.where(is_own, beside, ""),
        "harm": np.where(is_own, harm, ""),
        "repeated": repeats,
    }


def _boilerplate() -> list[str]:
    """Return texts that many have, of which some are nearly one."""
    near = "the quick brown fox jumps over the lazy hound beside the old mill pond at sunset yester"
    return [f"{near}{end}" for end in ("eve", "day", "noon")] + ["blue sky", "untitled", "made with zoomcam", "nothing"]


def _last(chance: Chance, columns: Mapping[str, Texts], *, even: bool) -> NDArray[np.int64]:
    """Return the last class of each pair: few are lost or many, pair by pair or with their user or host."""
    number = len(columns["source"])
    last = np.full(number, len(CLASSES) - 1)
    for step in range(len(CLASSES) - 1, 0, -1):
        part = float(chance.choice([0.0, 4 / number, 12 / number, 0.05, 0.25]))
        by = chance.choice(["pair", "pair", "user", "host"])
        part = 0.1 if even else part
        owner = np.arange(number) if by == "pair" else np.unique(columns[by], return_inverse=True)[1]
        lost = chance.random(owner.max() + 1) < part
        last[lost[owner]] = step - 1
    return last


def _audited(columns: Mapping[str, Texts], last: NDArray[np.int64], limit: int) -> Audit:
    """Audit pairs as production does, but for Beam, which deals them out."""
    batch = _batch(columns)
    sources = tuple(sorted({*columns["source"].tolist()}))
    lists = lexicon.of({"female": ["woman"], "male": ["man"], "neutral": ["person"]})
    plan = measure.Plan(dict.fromkeys(sources, limit), lists, dict.fromkeys(sources, limit))
    of_pairs = pa.DictionaryArray.from_arrays(pa.array(last.astype(np.int8)), pa.array(CLASSES))
    with planted_languages():
        seen = measure.look(batch, plan)
    partial = measure.measure(batch, of_pairs, plan, seen)
    known = _attributes(batch, columns)
    partial = measure.merge(partial, measure.tallied(batch, of_pairs, attributes.tally, seen, known))
    rows = pa.Table.from_batches(units.occurrences(batch, of_pairs, seen), units.ROWS)
    images = pa.Table.from_batches([distinct.occurrences(batch, of_pairs, sources)])
    counted = unit_sums.merged([units.count(rows, BESIDE.incomes), distinct.count(images, sources)])
    texts = pa.Table.from_batches([repeated.occurrences(batch, of_pairs, seen)])
    words = pa.Table.from_batches(context.occurrences(batch, of_pairs, seen, plan), context.ROWS)
    content = result(
        partial,
        _books(columns["source"], last, sources),
        plan,
        {},
        counted=counted,
        repeated=repeated.summary(repeated.count(texts)),
        beside=BESIDE,
        beside_identity=[*context.count(words, len(sources))],
    )
    read = measure.hashes(batch.column("pair_id")) < np.uint64(limit)
    forms = np.array(captions.forms(batch.column("text")).to_pylist())
    return Audit(Pairs({**columns, "form": forms}, last, read), orjson.loads(orjson.dumps(content)), sources, counted)


def _batch(columns: Mapping[str, Texts]) -> pa.RecordBatch:
    rows = []
    for place in range(len(columns["source"])):
        one = {name: str(values[place]) for name, values in columns.items()}
        source = one["source"]
        meta: dict[str, Any] = {"uid": one["user"], "author": one["user"], "user_id": one["user"]}
        meta |= {"datetaken": f"{one['year']}-01-01 10:00:00.0", "created_utc": f"{one['year']}-06-01"}
        if one["country"]:
            meta |= dict(zip(("longitude", "latitude"), COUNTRIES[one["country"]][:2], strict=True))
        rows.append(
            {
                "pair_id": keys.pair_id(source, str(place)),
                "image_id": keys.image_id(f"{source}/{place}"),
                "source": source,
                "source_id": str(place),
                "image_url": f"http://{one['host']}/{place}.jpg",
                "identity": str(place),
                "text": f"{one['text']} ({one['language']})" if one["language"] != "en" else one["text"],
                "text_licence": "CC-BY-4.0",
                "image_licence": one["licence"],
                "meta": orjson.dumps(meta).decode(),
            }
        )
    return pa.RecordBatch.from_pylist(rows, schema=PAIRS)


def _attributes(batch: pa.RecordBatch, columns: Mapping[str, Texts]) -> list[Attribute]:
    ids = sortable(batch.column("image_id").cast(pa.binary(16)))
    order = np.argsort(ids, kind="stable")
    found = []
    for name in ("tone", "size"):
        values = tuple(sorted({*columns[name].tolist()} - {""}))
        codes = np.array([values.index(value) if value else -1 for value in columns[name].tolist()], np.int16)
        found.append(Attribute(name, "image_id", ids[order], codes[order], values))
    return found


def _books(source: Texts, last: NDArray[np.int64], sources: Sequence[str]) -> dict[str, dict[str, Books]]:
    left = {
        stage: {name: int(((source == name) & (last >= CLASSES.index(stage))).sum()) for name in sources}
        for stage in STAGES
    }
    found = {STAGES[0]: {name: Books(number) for name, number in left[STAGES[0]].items()}}
    for before, stage in itertools.pairwise(STAGES):
        found[stage] = {
            name: Books(number, {"lost": left[before][name] - number}) for name, number in left[stage].items()
        }
    return found


@contextlib.contextmanager
def planted_languages() -> Iterator[None]:
    """Take a text for what it says at its end, and else for English: no detector is asked."""

    def planted(tokens: Tokens) -> pa.Array:
        texts = tokens.joined(np.arange(len(tokens))).to_pylist()
        return pa.array([text.rpartition("(")[2][:-1] if text.endswith(")") else "en" for text in texts], pa.string())

    with mock.patch.object(language, "languages", planted):
        yield
