"""The audit's page of generated pairs with planted effects, to be looked at: python benchmarks/audit_page.py FOLDER [PAIRS].

Six sources, all steps; a source of four texts; users and hosts of Zipf's sizes, with tastes of their own. Links die with their
user or host, and more often where `DYING` says so. Through the functions that production runs; the page, audit.json and the
tables are written to FOLDER.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import manifests
from pmd.audit.counting import context, distinct, measure, overlap, repeated, unit_sums, units
from pmd.audit.counting.measure import CLASSES
from pmd.audit.figures import attributes, pictures, result, tables
from pmd.audit.places import population
from pmd.audit.report import sections as report
from pmd.audit.texts import lexicon
from pmd.config.options import AuditOptions
from pmd.config.reference import Row
from pmd.schema import keys
from pmd.schema.licences import NOASSERTION
from pmd.schema.tables import PAIRS
from pmd.store.commits import Books

#: Source → its share of the pairs, and of its users those who mostly photograph women, and men.
SOURCES: Final = {
    "yfcc100m": (0.5, 0.05, 0.07),
    "conceptual_12m": (0.22, 0.09, 0.08),
    "red_caps": (0.14, 0.03, 0.04),
    "wit": (0.09, 0.02, 0.06),
    "coco": (0.05, 0.12, 0.25),
}
#: Country → where, which part of the geotags, class of income, and internet users a hundred people.
PLACES: Final[Mapping[str, tuple[float, float, float, str, float]]] = {
    "US": (-98, 39, 0.44, "high", 74),
    "GB": (-1.5, 52, 0.15, "high", 82),
    "FR": (2.35, 48.85, 0.08, "high", 75),
    "DE": (10.5, 51, 0.07, "high", 81),
    "JP": (139.7, 35.7, 0.06, "high", 78),
    "IT": (12.5, 41.9, 0.05, "high", 54),
    "BR": (-46.6, -23.5, 0.05, "upper_middle", 45),
    "MX": (-99.1, 19.4, 0.03, "upper_middle", 35),
    "CN": (116.4, 39.9, 0.03, "upper_middle", 38),
    "IN": (77.2, 28.6, 0.02, "lower_middle", 12),
    "VN": (105.85, 21.03, 0.01, "lower_middle", 30),
    "KE": (36.8, -1.3, 0.008, "low", 12),
    "ET": (38.7, 9.0, 0.002, "low", 1),
}
#: What is planted: which pairs die more often, and how much.
DYING: Final = {
    "a female term": 0.1,
    "low or lower middle income": 0.2,
    "users with under ten pairs": 0.08,
    "hosts with under a hundred pairs": 0.15,
    "a year before 2008": 0.12,
}
PEOPLE: Final = {
    "female": (
        *("a woman", "a girl", "the bride", "an old lady", "a lady on a bicycle", "my sister"),
        *("a woman, a nurse,", "a woman, a nurse,", "a woman, an engineer,"),
    ),
    "male": (
        *("a man", "a boy", "an old man", "a man on a motorcycle", "my brother", "a grandfather"),
        *("a man, an engineer,", "a man, an engineer,", "a man, a nurse,"),
    ),
    "": (
        *(
            "a baby",
            "a person",
            "a nurse",
            "an engineer",
            "a gay couple",
            "children",
            "a wheelchair user",
            "an African dancer",
        ),
        *(
            "a muslim praying",
            "a muslim wearing a scarf",
            "an Indian family at a wedding",
            "an Indian cook",
            "a German tourist",
        ),
    ),
}
SCENES: Final = (
    *(
        "a red flower in the garden",
        "sunset over the old harbour",
        "my dog runs on the beach",
        "the street market at night",
    ),
    *("snow on the mountains", "a bowl of soup on the table", "the train leaves the station", "a church by the river"),
    *("boats in the bay", "a cat sleeping on the sofa", "the stadium before the game", "fireworks over the city"),
)
FOREIGN: Final = (
    "ein Hund läuft heute durch den Garten am Haus meiner Eltern",
    "une petite maison blanche au bord de la mer en été",
    "un perro corre por la playa grande con los niños",
    "uma praia bonita com muita gente no verão",
)
#: What few captions have: terms of harm, and personal data.
RARE: Final = (
    *("the scene of a murder", "nude study, adults only", "a sexy photo shoot", "the porn store downtown"),
    *("write to jane@example.org", "more at www.example.org", "call +44 20 7946 0958", "photo by @jane_doe"),
)
#: Ends of captions, so that not all are repeated.
ADJECTIVES: Final = (
    "early",
    "late",
    "cold",
    "warm",
    "quiet",
    "busy",
    "sunny",
    "rainy",
    "windy",
    "foggy",
    "long",
    "short",
    "first",
)
NOUNS: Final = (
    "morning",
    "evening",
    "summer",
    "winter",
    "spring",
    "holiday",
    "weekend",
    "trip",
    "walk",
    "party",
    "lunch",
    "dinner",
)
SUFFIXES: Final = ("com", "com", "com", "org", "co.uk", "de", "fr", "it", "tv", "com.br")
BATCH: Final = 50_000
#: Of so many pairs one names no user.
UNNAMED: Final = 40


@dataclasses.dataclass(frozen=True)
class Maker:
    """A user, or a page, host or album that stands for one: with tastes of its own, and lost as a whole or not."""

    name: str
    pairs: int
    host: str
    host_pairs: int
    home: str
    female: float
    male: float
    year: int
    geotags: bool
    lost: bool


def makers(source: str, number: int, female: float, male: float, chance: np.random.Generator) -> list[Maker]:
    """Return the makers of a source's pairs, the largest first."""
    count = max(number // 15, 20)
    weights = (200 + np.arange(count)) ** -0.9
    sizes = np.maximum(1, (number * weights / weights.sum()).astype(int))
    hosts = max(number // 90, 8) if source in {"conceptual_12m", "wit"} else 4 if source == "red_caps" else 1
    part = (2 + np.arange(hosts)) ** -0.8
    of_host = chance.choice(hosts, count, p=part / part.sum())
    tastes = chance.dirichlet(np.array([female, male, 1 - female - male]) * 4, count)
    homes = chance.choice([*PLACES], p=[row[2] for row in PLACES.values()], size=count)
    host_pairs = np.bincount(of_host, weights=sizes, minlength=hosts)
    dead = chance.random(hosts) < (0.1 if hosts > 8 else 0)
    lost = (chance.random(count) < 0.08) | dead[of_host]
    names = ["staticflickr.com"] if hosts == 1 else [f"site{n}.{SUFFIXES[n % len(SUFFIXES)]}" for n in range(hosts)]
    years = np.clip(chance.normal(2010, 2.2, count), 2004, 2014).astype(int)
    return [
        Maker(
            f"{source}-{place}",
            int(sizes[place]),
            names[of_host[place]],
            int(host_pairs[of_host[place]]),
            str(homes[place]),
            float(tastes[place, 0]),
            float(tastes[place, 1]),
            int(years[place]),
            bool(chance.random() < 0.5),
            bool(lost[place]),
        )
        for place in range(count)
    ]


def pairs(number: int, seed: int = 1) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield pairs and the last stage that each survived."""
    chance = np.random.default_rng(seed)
    for source, (share, female, male) in SOURCES.items():
        index = 0
        for maker in makers(source, int(number * share), female, male, chance):
            for _ in range(maker.pairs):
                row, dying = _pair(source, index, maker, chance)
                yield row, _last(maker, dying, chance)
                index += 1
    for index in range(4):
        yield _row("sbu_captions", index, "a woman and a man", {"user_id": "u"}, "http://one.org/x"), "shard"


def _pair(source: str, index: int, maker: Maker, chance: np.random.Generator) -> tuple[dict[str, Any], float]:
    text, is_female = _text(maker, chance)
    year = min(max(maker.year + int(chance.integers(-1, 2)), 2004), 2014)
    where = maker.home if chance.random() < 0.8 else str(chance.choice([*PLACES]))
    user = "[deleted]" if index % UNNAMED == 0 else maker.name
    meta: dict[str, Any] = {"uid": user, "author": user, "page_url": maker.name}
    meta |= {
        "subreddit": f"s{hash_of(maker.name) % 60}",
        "created_utc": str(1_100_000_000 + (year - 2004) * 31_560_000),
    }
    meta |= {"datetaken": f"{year}-05-03 10:20:30.0"}
    tagged = source == "yfcc100m" and maker.geotags
    if tagged:
        east, north = PLACES[where][:2]
        meta |= {"longitude": f"{east + chance.normal() * 0.2:.4f}", "latitude": f"{north + chance.normal() * 0.2:.4f}"}
    told = (
        is_female,
        tagged and PLACES[where][3] in {"low", "lower_middle"},
        maker.pairs < 10,
        maker.host_pairs < 100,
        year < 2008,
    )
    dying = 0.05 + sum(more for more, so in zip(DYING.values(), told, strict=True) if so)
    return _row(source, index, text, meta, f"https://img.{maker.host}/{index}.jpg"), dying


def hash_of(name: str) -> int:
    return int(name.rpartition("-")[2])


def _text(maker: Maker, chance: np.random.Generator) -> tuple[str, bool]:
    scene = SCENES[int(chance.integers(len(SCENES)))]
    roll = chance.random()
    who = "female" if roll < maker.female else "male" if roll < maker.female + maker.male else ""
    if roll > 0.99:
        return RARE[int(chance.integers(len(RARE)))] + f", {scene}", False
    if roll > 0.86:
        return FOREIGN[int(chance.integers(len(FOREIGN)))], False
    some = PEOPLE[who]
    people = some[int(chance.integers(len(some)))]
    there = f"{people} and {scene}" if who or chance.random() < 0.12 else scene
    if chance.random() < 0.75:
        first, second, third = (words[int(chance.integers(len(words)))] for words in (ADJECTIVES, NOUNS, NOUNS))
        there = f"{there} on a {first} {second} after {third}"
    return there, who == "female"


#: Sources that state licences of images here, and which.
_LICENSED = ("coco", "yfcc100m")
_IMAGE_LICENCES = ("CC-BY-2.0", "CC-BY-NC-2.0", NOASSERTION)


def _row(source: str, index: int, text: str, meta: dict[str, Any], url: str) -> dict[str, Any]:
    return {
        "pair_id": keys.pair_id(source, str(index)),
        "image_id": keys.image_id(f"{source}/{index // (5 if source == 'coco' else 1)}"),
        "source": source,
        "source_id": str(index),
        "image_url": url,
        "identity": f"{source}/{index}",
        "text": text,
        "meta": orjson.dumps(meta).decode(),
        "text_licence": manifests.load(source).text_licence,
        "image_licence": _IMAGE_LICENCES[index % len(_IMAGE_LICENCES)] if source in _LICENSED else NOASSERTION,
    }


def _last(maker: Maker, dying: float, chance: np.random.Generator) -> str:
    """Return the last class that a pair survived: by licences, opt-outs, dead links, repeated texts and cropping."""
    roll = chance.random()
    if roll < 0.02:
        return "curate"
    if roll < 0.03:
        return "images"
    if maker.lost or roll < 0.03 + dying:
        return "asked"
    left = chance.random()
    return "fetch" if left < 0.02 else "dedupe" if left < 0.05 else "shard"


def content(number: int, folder: Path) -> dict[str, Any]:
    """Return the content of audit.json."""
    chance = np.random.default_rng(2)
    made = [*pairs(number)]
    names = sorted({*SOURCES, "sbu_captions"})
    counts = {name: sum(row["source"] == name for row, _ in made) for name in names}
    plan = measure.plan(counts, AuditOptions(text_sample=60_000), lexicon.load())
    known = attributes.read([_scores(folder, [row["image_id"] for row, _ in made], chance)])
    partial, of_units, of_images, of_words, of_texts = measure.Partial(), [], [], [], []
    for start in range(0, len(made), BATCH):
        some = made[start : start + BATCH]
        rows = pa.RecordBatch.from_pylist([row for row, _ in some], schema=PAIRS)
        last = pa.array([one for _, one in some])
        seen = measure.look(rows, plan)
        partial = measure.merge(partial, measure.measure(rows, last, plan, seen))
        partial = measure.merge(partial, measure.tallied(rows, last, attributes.tally, seen, known))
        of_units += [*units.occurrences(rows, last, seen)]
        of_images.append(distinct.occurrences(rows, last, names))
        of_words += [*context.occurrences(rows, last, seen, plan)]
        of_texts.append(repeated.occurrences(rows, last, seen))
    incomes = tuple(Row(code, 2010, row[3], float(row[4])) for code, row in PLACES.items())
    beside = population.Beside(2010, population.load(2010), incomes)
    table2 = manifests.of_table2()
    return result.result(
        partial,
        _books(partial, counts),
        plan,
        table2,
        counted=unit_sums.merged(
            [
                units.count(pa.Table.from_batches(of_units, units.ROWS), beside.incomes),
                distinct.count(pa.Table.from_batches(of_images), names),
            ]
        ),
        profile="recommended",
        repeated=repeated.summary(repeated.count(pa.Table.from_batches(of_texts))),
        overlap=overlap.matrix([[[["coco", "yfcc100m"], number // 100], *([[name], counts[name]] for name in names)]]),
        beside=beside,
        pictures_=pictures.figures([_pictures(counts, chance)]),
        beside_identity=[*context.count(pa.Table.from_batches(of_words, context.ROWS), len(names))],
    )


def _books(partial: measure.Partial, counts: Mapping[str, int]) -> dict[str, dict[str, Books]]:
    """Return the books of every stage; what curate rejected is made up."""
    books = {"curate": {name: Books(number, {"too_few_words": number // 4}) for name, number in counts.items()}}
    for before, stage in itertools.pairwise(measure.STAGES):
        books[stage] = {}
        for name in counts:
            after = partial.sources[name].pairs
            kept = int(after[CLASSES.index(stage) :].sum())
            lost = books[before][name].kept - kept
            opted_out = int(after[CLASSES.index("images")]) if stage == "fetch" else 0
            reason = {"fetch": "dead", "dedupe": "repeated_text", "shard": "bad_region"}.get(stage, "licence")
            reasons = {reason: lost - opted_out, "opted_out": opted_out}
            books[stage][name] = Books(kept, {name: number for name, number in reasons.items() if number})
    return books


def _scores(folder: Path, image_ids: list[bytes], chance: np.random.Generator) -> str:
    """Write a file of attributes: somebody's score of nudity."""
    ids = sorted({*image_ids})
    path = folder / "scores.parquet"
    columns = {"image_id": pa.array(ids, pa.binary(16)), "nudity": chance.beta(1, 8, len(ids)).round(2)}
    pq.write_table(pa.table(columns), path)
    return str(path)


def _pictures(counts: Mapping[str, int], chance: np.random.Generator) -> Iterator[list[Any]]:
    """Yield counts of pictures as `pictures.count` gives them, made up."""
    for source, number in counts.items():
        for table, ends in pictures.BINS.items():
            labels = pictures.labels(table)
            parts = chance.multinomial(number, chance.dirichlet(np.full(len(ends), 2.0)))
            yield from ([source, table, label, int(part)] for label, part in zip(labels, parts, strict=True) if part)
        for table, shares in (
            ("orientation", {"landscape": 0.7, "portrait": 0.25, "square": 0.05}),
            ("format", {"jpeg": 0.97, "png": 0.02, "webp": 0.01}),
            ("copies", {pictures.NO_COPY: 0.96, "bytes": 0.01, "near": 0.03}),
        ):
            parts = chance.multinomial(number, [*shares.values()])
            yield from ([source, table, label, int(part)] for label, part in zip(shares, parts, strict=True) if part)


def main() -> None:
    """Write the page."""
    folder, number = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300_000
    (folder / tables.FOLDER).mkdir(parents=True, exist_ok=True)
    found = content(number, folder)
    (folder / "audit.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    (folder / "report.html").write_text(report.html(found), encoding="utf-8")
    for name, file in tables.files(found):
        (folder / name).write_bytes(file)


if __name__ == "__main__":
    main()
