"""What a build is asked for at a moment of its history: which rows of the demo's sources, in which files, under which options.

A situation is written as a person would have it: annotation files in upstream's formats, lists, and one configuration.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import random
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.breaking.changing import SLOW
from benchmarks.breaking.given import Attributes, Scores
from pmd.demo import config, files
from pmd.demo.annotations import write_annotations
from pmd.demo.pictures import encoded
from pmd.demo.rows import build_world
from pmd.demo.web import route_of
from pmd.demo.world import Outcome, Row, World
from pmd.schema.statuses import TRANSIENT

#: (table, key) → the value as TOML has it; a table of sources is "sources.NAME", and "" what stands at the top.
Options = Mapping[tuple[str, str], str]
#: Pairs of the user's own, of pictures that the demo's web has; every so many of them. Other sources have the same pictures.
OWN: Final = "my_pairs"
_OWN_FILE: Final = "my_pairs.csv"
_EACH_OWN: Final = 7
#: All that may be built.
SOURCES: Final = (*config.SOURCES, OWN)
#: Folders of a writer: suppression lists of other ROOTs, and pictures that a model is evaluated on.
LISTS: Final = "lists"
_EVALUATED: Final = "evaluated"
#: Sources whose rows of one image stand together: they are moved and cut by image.
_BY_IMAGE: Final = "visual_genome"
_FEWEST: Final = 3


@functools.cache
def world() -> World:
    """Return the demo's world without what would make every fetch wait, or has no answer that settles."""
    whole = build_world()
    slow = {route for route, answer in whole.routes.items() if answer.behaviour in SLOW}
    bad = {
        image.name
        for image in whole.images.values()
        if (image.status in TRANSIENT and image.status != "server_error")
        or any(route_of(url) in slow or route_of(url)[0] in whole.untrusted_hosts for url in image.urls)
    }
    rows = tuple(row for row in whole.rows if not any(outcome.image in bad for outcome in row.outcomes))
    return dataclasses.replace(whole, rows=rows)


@functools.cache
def rows_of(source: str) -> tuple[Row, ...]:
    """Return all rows of a source."""
    return _own_rows() if source == OWN else tuple(row for row in world().rows if row.source == source)


def _own_rows() -> tuple[Row, ...]:
    """Return pairs of the user's own: pictures that other sources show too, by the last of their addresses."""
    shown = {outcome.image for row in world().rows for outcome in row.outcomes if outcome.image}
    named = [world().images[name] for name in sorted(shown) if world().images[name].urls]
    found = []
    for number, image in enumerate(named[::_EACH_OWN]):
        text = f"Picture {number} of my own, as it hangs on my wall"
        found.append(Row(OWN, _OWN_FILE, (image.urls[-1], text), (Outcome(image.name, text=text),)))
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class Source:
    """A source in a situation.

    Attributes:
        rows: Which of its rows, in which order.
        pieces: Into how many files they are cut.
        edition: Tells the files of one day from those of another.
    """

    rows: tuple[int, ...]
    pieces: int = 1
    edition: int = 0


@dataclasses.dataclass(frozen=True)
class Situation:
    """What a build is asked for.

    Attributes:
        sources: By name.
        options: Of all tables; what is not in it is at its default.
        takedown: Lines of the takedown list.
        evaluation: Lines of the list of evaluation images.
        evaluated: Evaluation images that are given as files, by their names in the demo.
        scores: Filters by scores of the user's own.
        attributes: What the user knows of images or pairs, for the audit.
        suppression: Suppression lists of other ROOTs, from the writer's folder.
    """

    sources: Mapping[str, Source]
    options: Options = dataclasses.field(default_factory=dict)
    takedown: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    evaluated: tuple[str, ...] = ()
    scores: tuple[Scores, ...] = ()
    attributes: tuple[Attributes, ...] = ()
    suppression: tuple[str, ...] = ()

    def with_source(self, name: str, source: Source | None) -> Situation:
        """Return it with a source as it is now, or without it."""
        others = {key: value for key, value in self.sources.items() if key != name}
        return dataclasses.replace(self, sources=others if source is None else others | {name: source})

    def with_options(self, options: Mapping[tuple[str, str], str | None]) -> Situation:
        """Return it with other options; None: at its default."""
        kept = {key: value for key, value in self.options.items() if key not in options}
        return dataclasses.replace(
            self, options=kept | {key: value for key, value in options.items() if value is not None}
        )

    def pairs(self, name: str) -> int:
        """Return how many would-be pairs a source has, one for each record that gives none."""
        rows = rows_of(name)
        return sum(len(rows[number].outcomes) for number in self.sources[name].rows)


def some(name: str, chance: random.Random, share: float) -> tuple[int, ...]:
    """Return a share of a source's rows, drawn, in order."""
    count = len(rows_of(name))
    return tuple(sorted(chance.sample(range(count), max(_FEWEST, round(share * count)))))


def shuffled(name: str, numbers: Sequence[int], chance: random.Random) -> tuple[int, ...]:
    """Return rows in another order."""
    rows = rows_of(name)
    order = {number: (chance.random(), chance.random()) for number in numbers}
    if name == _BY_IMAGE:
        first = {rows[number].record["image_id"]: place[0] for number, place in order.items()}
        order = {number: (first[rows[number].record["image_id"]], place[1]) for number, place in order.items()}
    return tuple(sorted(numbers, key=order.__getitem__))


class Writer:
    """Writes situations into one folder, whose archives and other fixed files are written once."""

    def __init__(self, folder: Path, addresses: tuple[str, str], ca_pem: str) -> None:
        self.folder = folder
        self._addresses = addresses
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "ca.pem").exists() or (folder / "ca.pem").read_text() != ca_pem:
            (folder / "ca.pem").write_text(ca_pem)
        if not (folder / files.COCO_ARCHIVE).exists():
            write_annotations(build_world(), folder)

    def write(self, asked: Situation, root: Path, name: str = "pmd") -> Path:
        """Write a situation; return the configuration."""
        tables: dict[str, dict[str, str]] = {"": {"root": f'"{root}"', "contact": '"mailto:benchmarks@example.org"'}}
        for source in sorted(asked.sources):
            tables[f"sources.{source}"] = self._source(source, asked.sources[source])
        tables |= {"fetch": self._fetch(), "dedupe": {}, "shard": {}, "audit": {}}
        for (table, key), paths in self._lists(asked).items():
            tables[table] |= {key: json.dumps(paths)} if paths else {}
        for (table, key), value in asked.options.items():
            if not table.startswith("sources.") or table in tables:
                tables.setdefault(table, {})[key] = value
        heads = {"": []} | {table: [f"[{table}]"] for table in tables if table}
        lines = [line for table, keys in tables.items() for line in (*heads[table], *_set(keys))]
        path = self.folder / f"{name}.toml"
        path.write_text("\n".join([*lines, *self._scores(asked.scores), ""]), encoding="utf-8")
        return path

    def keep_list(self, path: Path) -> str:
        """Keep a suppression list as it stands now; return its name for a situation."""
        (self.folder / LISTS).mkdir(exist_ok=True)
        name = f"{LISTS}/{len(list((self.folder / LISTS).iterdir()))}.json"
        shutil.copyfile(path, self.folder / name)
        return name

    def _lists(self, asked: Situation) -> dict[tuple[str, str], list[str]]:
        """Write all files that a situation names, but those of sources; return where they stand in the configuration."""
        named: dict[tuple[str, str], list[str]] = {("", "suppression"): [*asked.suppression]}
        for table, key, lines in (("", "takedown", asked.takedown), ("dedupe", "evaluation", asked.evaluation)):
            named[table, key] = [f"{key}.txt"] if lines else []
            for path in named[table, key]:
                _write(self.folder / path, "\n".join(lines).encode() + b"\n")
        named["dedupe", "evaluation"] += self._evaluated(asked.evaluated)
        named["audit", "attributes"] = [f"attributes-{number}.parquet" for number in range(len(asked.attributes))]
        for path, one in zip(named["audit", "attributes"], asked.attributes, strict=True):
            _write(self.folder / path, one.content())
        return named

    def _evaluated(self, names: Sequence[str]) -> list[str]:
        """Write evaluation images into a folder that has no others."""
        wanted = {self.folder / _EVALUATED / f"{name}.bin": name for name in names}
        for path in {*(self.folder / _EVALUATED).glob("*")} - {*wanted}:
            path.unlink()
        for path, name in wanted.items():
            _write(path, encoded_of(name))
        return [_EVALUATED] if names else []

    def _scores(self, scores: Sequence[Scores]) -> list[str]:
        lines = []
        for number, one in enumerate(scores):
            path = f"scores-{number}.parquet"
            _write(self.folder / path, one.content())
            lines += [
                "[[scores]]",
                *_set({"file": f'"{path}"', "keep": f'"{one.keep}"', "missing": f'"{one.missing}"'}),
            ]
        return lines

    def _fetch(self) -> dict[str, str]:
        plain, tls = self._addresses
        return {
            "per_host": "{ requests_per_s = 5000, connections = 8 }",
            "retries": "0",
            "max_bytes": "8388608",
            "min_side_px": "16",
            "resolve": f'{{ "*:80" = "{plain}", "*:443" = "{tls}" }}',
            "allow_addresses": '["127.0.0.1/32"]',
            "ca_file": '"ca.pem"',
        }

    def _source(self, name: str, source: Source) -> dict[str, str]:
        told = {"annotations": json.dumps(self._annotations(name, source))}
        if name == OWN:
            return told | {"reader": '"url_text"'}
        _, archives, karpathy = config.SOURCES[name]
        told |= {"images": json.dumps([*archives])} if archives else {}
        return told | ({"karpathy": f'"{files.KARPATHY_FILE}"'} if karpathy else {})

    def _annotations(self, name: str, source: Source) -> list[str]:
        """Write a source's files; return their paths, from the configuration."""
        target = Path(f"editions/{name}/{source.edition}-{source.pieces}")
        wanted: dict[str, bytes] = {}
        for number, piece in enumerate(_cut(name, source)):
            for path, content in _contents(name, piece).items():
                base = path.rpartition("/")[2]
                fixed = path == files.VG_IMAGES_FILE
                wanted[str(target / (base if fixed else f"piece-{number}/{base}"))] = content
        for path, content in wanted.items():
            _write(self.folder / path, content)
        return sorted(wanted)


def _cut(name: str, source: Source) -> list[tuple[Row, ...]]:
    """Return the rows of each file."""
    rows = [rows_of(name)[number] for number in source.rows]
    if name == _BY_IMAGE:
        of = {image: place for place, image in enumerate(dict.fromkeys(row.record["image_id"] for row in rows))}
        pieces = [
            tuple(row for row in rows if of[row.record["image_id"]] % source.pieces == number)
            for number in range(source.pieces)
        ]
    else:
        size = -(-len(rows) // source.pieces)
        pieces = [tuple(rows[start : start + size]) for start in range(0, len(rows), size)]
    return [piece for piece in pieces if piece]


def _contents(name: str, rows: Sequence[Row]) -> dict[str, bytes]:
    """Return path in the demo's folder → content, of the files that hold some rows of a source."""
    if name == OWN:
        table = io.StringIO()
        csv.writer(table).writerows([("url", "text"), *(row.record for row in rows)])
        return {_OWN_FILE: table.getvalue().encode()}
    own = {row.file.partition("!/")[0] for row in rows}
    # The demo's writers want a row of each file; those of others are thrown away.
    others = {row.file.partition("!/")[0]: row for row in world().rows}
    whole = dataclasses.replace(
        world(), rows=(*rows, *(row for file, row in others.items() if file not in own)), archives={}
    )
    wanted = own | ({files.VG_IMAGES_FILE} if name == _BY_IMAGE else set())
    with tempfile.TemporaryDirectory(prefix="pmd-histories-") as folder:
        write_annotations(whole, Path(folder))
        return {path: (Path(folder) / path).read_bytes() for path in sorted(wanted)}


def encoded_of(name: str) -> bytes:
    """Return the file of an image's picture."""
    picture = world().images[name].picture
    assert picture is not None, name
    return encoded(picture)


def _set(keys: Mapping[str, str]) -> list[str]:
    return [f"{key} = {value}" for key, value in sorted(keys.items())]


def _write(path: Path, content: bytes) -> None:
    """Write a file where another stands: stages know their inputs by size and time."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def forget(folder: Path) -> None:
    """Remove what situations have written into a folder, but not what is fixed."""
    for name in ("editions", LISTS, _EVALUATED):
        shutil.rmtree(folder / name, ignore_errors=True)


def described(asked: Situation) -> dict[str, Any]:
    """Return a situation in a few words, for who reads a history."""
    return {
        "sources": {name: f"{len(one.rows)} rows in {one.pieces}" for name, one in sorted(asked.sources.items())},
        "options": {f"{table}.{key}": value for (table, key), value in sorted(asked.options.items())},
        "takedown": list(asked.takedown),
        "evaluation": len(asked.evaluation) + len(asked.evaluated),
    }
