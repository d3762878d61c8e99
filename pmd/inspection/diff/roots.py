"""Two ROOTs: their pairs, images and groups, what stands in their outputs, and the options that differ.

Only what is committed is read, and only stages that both have are compared. What is never claimed to be the same twice
(attempts, times, the store's tars, names of shards) is not compared.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pmd import flow
from pmd.books.committed import Committed, accounts_by_stage, made_of, read_all
from pmd.fetch.ledger import state
from pmd.inspection.diff import details, join, pairs, texts
from pmd.inspection.diff.join import A, B, Examples, Meeting, Passed, Tell
from pmd.schema.statuses import OK
from pmd.schema.tables import IMAGES, LEDGER_OUTCOME, PAIRS
from pmd.store import commits, parquet_files, register, root, storage, wanted
from pmd.store.register import Register

#: Kinds of rows of images: the image itself (first: its places; rest: everything else), its row in the ledger (reason: its
#: status; first: the SHA-256; second: the perceptual hash, where it is known; rest: the other outcomes), its row in the groups
#: (reason: the relation; first: what stands for it).
_IMAGE, _SETTLED, _GROUPED = "image", "settled", "grouped"
_NOT_FETCHED, _ALONE = "not_fetched", "alone"
#: The source of an image that only sources show which one side alone has.
_OWN: Final = "own"
_HASH: Final = "perceptual_hash"
_OUTCOME: Final = [name for name in LEDGER_OUTCOME if name not in {"image_id", "status", "sha256", _HASH}]
_SAID: Final = [name for name in PAIRS.names if name not in {"pair_id", "source", "source_id", "text", "image_url"}]


class Book:
    """The commits of one ROOT."""

    def __init__(self, url: str) -> None:
        root.describe(url)
        self.url = url
        names = [name for name in storage.list_files(url) if name.endswith(f"/{commits.STAGE_FILE}")]
        self.units: dict[str, Committed] = read_all(url, [name for name in names if not _is_of_generation(name)])
        #: Of the fetch: PMD has 32,768 commits of generations, which the register tells of in a request.
        self.fetched = register.current(url)
        self.accounts = accounts_by_stage(self.units)
        self.sources = sorted(self.accounts.get(flow.CURATE.name, {}))
        self.made_of = made_of(self.units)

    @property
    def is_fetched(self) -> bool:
        """Whether a fetch has settled any image."""
        return bool(self.fetched.shards)

    def stages_of(self, source: str) -> set[str]:
        """Return the stages that a source has been through."""
        if source not in self.sources:
            return set()
        later = {stage.name for stage in flow.JUDGING[1:] if stage.name in self.accounts}
        return {flow.CURATE.name} | (later if source in self.made_of else set())

    def files(self, folder: str, prefix: str = "") -> list[tuple[str, commits.File]]:
        """Return the path of each file that a commit lists under a name that begins so."""
        unit = self.units.get(folder)
        listed = () if unit is None else unit.commit.files
        return [(storage.join(self.url, folder, file.name), file) for file in listed if file.name.startswith(prefix)]

    def records(self) -> int:
        """Return about how many rows the pairs have, kept or rejected, in all stages."""
        others = sum(file.rows for generation in self.fetched.every() for file in generation.files)
        return others + sum(file.rows for unit in self.units.values() for file in unit.commit.files)


def _is_of_generation(name: str) -> bool:
    return flow.GENERATION.holds(name.rpartition("/")[0])


def compare(a: str, b: str, limit: int, tell: Tell | None = None) -> dict[str, Any]:
    """Compare two ROOTs; see `pmd.inspection.diff.diff`."""
    books = {A: Book(a), B: Book(b)}
    chosen = sorted({*books[A].sources, *books[B].sources})
    compared = {name: _common(books, name) for name in chosen}
    passed = Passed(tell, sum(_rows(book) for book in books.values()))
    with Meeting(sum(book.records() for book in books.values()), passed) as met:
        for side, book in books.items():
            for source in chosen:
                _spread_curated(met, side, book, source)
            for stage in flow.JUDGING[1:]:
                _spread_rejected(met, side, book, stage, [name for name in chosen if stage.name in compared[name]])
        found = pairs.compare(met, limit, _SAID, {A: a, B: b})
    images = _images(books, limit, passed, found.alone)
    near_texts = _near_texts(books)
    lists = {flow.LISTS.at(source=source) for source in found.alone}
    outputs = [line for line in _outputs(books) if line["folder"] not in lists]
    return {
        "equal": not pairs.moves(found)
        and not found.changed
        and not found.alone
        and (images is None or not any(images[kind] for kind in ("moved", "changed", "groups")))
        and not near_texts
        and all(line["is"] == "the same" for line in outputs),
        "pairs": sum(found.fates.values()),
        "stages": pairs.stage_table(found, compared),
        "only_in": pairs.only_in(found),
        "not_compared": _alone(books, chosen, compared),
        "fared": pairs.fared(found),
        "moved": pairs.moves(found),
        "changed": pairs.changes(found),
        "images": images,
        "near_texts": near_texts,
        "outputs": outputs,
        "options": _options(books),
        "examples": found.examples,
    }


def _rows(book: Book) -> int:
    """Return about how many rows of a ROOT are compared: pairs, rejected rows, images, what became of them and their groups."""
    folders = [(flow.PAIRS.at(source=source), "") for source in book.sources]
    folders += [(stage.books.path, stage.books.rejects or "") for stage in flow.JUDGING[1:]]
    folders += [(flow.DISTINCT.path, ""), (flow.GROUPS.path, "groups/")]
    settled = sum(file.rows for _, file in book.files(flow.DISTINCT.path)) if book.is_fetched else 0
    return settled + sum(file.rows for folder, prefix in folders for _, file in book.files(folder, prefix))


def _common(books: Mapping[str, Book], source: str) -> list[str]:
    """Return the stages up to which a source can be compared; one that only one ROOT has is compared with nothing."""
    have = [book.stages_of(source) for book in books.values() if source in book.sources]
    common = set.intersection(*have)
    found: list[str] = []
    for stage in flow.JUDGING:
        if stage.name not in common:
            break
        found.append(stage.name)
    return found


def _alone(books: Mapping[str, Book], chosen: list[str], compared: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Return the stages that a source has been through in one ROOT alone."""
    return [
        {"source": source, "stage": stage.name, "only_in": side}
        for source in chosen
        for side, book in books.items()
        for stage in flow.JUDGING
        if stage.name in book.stages_of(source) and stage.name not in compared[source]
    ]


# Pairs


def _spread_curated(met: Meeting, side: str, book: Book, source: str) -> None:
    folder = flow.PAIRS.at(source=source)
    for path, _ in book.files(folder, "pairs/"):
        for batch, file, row in met.read(path):
            said = pairs.said(batch, _SAID)
            met.add(batch["pair_id"], side=side, kind=pairs.PAIR, source=source, file=file, row=row, **said)
    for path, _ in book.files(folder, "rejected/"):
        _spread_left(met, side, path, [source])


def _spread_rejected(met: Meeting, side: str, book: Book, stage: flow.Stage, chosen: list[str]) -> None:
    if chosen:
        for path, _ in book.files(stage.books.path, stage.books.rejects or ""):
            _spread_left(met, side, path, chosen)


def _spread_left(met: Meeting, side: str, path: str, chosen: list[str]) -> None:
    spelled = details.choices(chosen)
    for batch, file, row in met.read(path, ["source", "pair_id", "reason", "detail"]):
        mine = pc.is_in(batch["source"], value_set=pa.array(chosen, pa.string()))
        left = batch.filter(mine)
        said = pa.table({"detail": details.without_options(left["detail"], spelled)})
        met.add(
            left["pair_id"],
            side=side,
            kind=pairs.REJECTED,
            source=left["source"],
            reason=left["reason"],
            rest=join.hashes(said, ["detail"]),
            file=file,
            row=row.filter(mine),
        )


# Images


def _images(books: Mapping[str, Book], limit: int, passed: Passed, alone: Mapping[str, str]) -> dict[str, Any] | None:
    """Compare images, what became of them, and which stand for which; None where a ROOT has none yet.

    Of a source that one side alone has, the images that no other source shows are counted, and no more is said of them.
    """
    if not all(flow.DISTINCT.path in book.units for book in books.values()):
        return None
    fetched = all(book.is_fetched for book in books.values())
    grouped = all(flow.GROUPS.path in book.units for book in books.values())
    expected = 3 * sum(file.rows for book in books.values() for _, file in book.files(flow.DISTINCT.path))
    with Meeting(expected, passed) as met:
        for side, book in books.items():
            theirs = [source for source, only in alone.items() if only == side]
            _spread_images(met, side, book, theirs, fetched=fetched, grouped=grouped)
        found = _Images(Examples(limit))
        for rows in met.buckets():
            found.add(_met(rows))
        return found.told(lambda row: _describe(met, row))


@dataclasses.dataclass
class _Images:
    """What was found of the images of both sides, bucket by bucket."""

    examples: Examples
    images: dict[str, int] = dataclasses.field(default_factory=lambda: {A: 0, B: 0})
    own: dict[str, int] = dataclasses.field(default_factory=lambda: {A: 0, B: 0})
    moved: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    changed: Counter[str] = dataclasses.field(default_factory=Counter)
    groups: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)

    def add(self, both: pl.DataFrame) -> None:
        """Count the images of a bucket."""
        for side in (A, B):
            self.images[side] += both.filter(pl.col(f"status_{side}") != pairs.ABSENT).height
            self.own[side] += both.filter(pl.col(f"owned_{side}") == _OWN).height
        both = both.filter((pl.col("owned_a") != _OWN) & (pl.col("owned_b") != _OWN))
        other = both.filter(pl.col("status_a") != pl.col("status_b"))
        _count(self.moved, other, "status")
        self.examples.add(other, ["status_a", "status_b"], what="status")
        there = both.filter((pl.col("status_a") != pairs.ABSENT) & (pl.col("status_b") != pairs.ABSENT))
        for column, what in (
            ("places", "locations"),
            ("said", "rest"),
            ("bytes", "sha256"),
            ("looks", "perceptual_hash"),  # null where nothing has asked for it: then there is nothing to compare
            ("outcome", "outcome"),
        ):
            found = there.filter(pl.col(f"{column}_a") != pl.col(f"{column}_b"))
            self.changed[what] += found.height
            self.examples.add(found.with_columns(kind=pl.lit(what)), ["kind"], what="image")
        regrouped = there.filter(
            (pl.col("relation_a") != pl.col("relation_b")) | (pl.col("stands_a") != pl.col("stands_b"))
        )
        _count(self.groups, regrouped, "relation")
        self.examples.add(regrouped, ["relation_a", "relation_b"], what="group")

    def told(self, describe: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Return all that was found, JSON-able."""
        return {
            **self.images,
            "only_in": self.own,
            "moved": [{"from": x, "to": y, "images": count} for (x, y), count in sorted(self.moved.items())],
            "changed": [{"what": what, "images": count} for what, count in sorted(self.changed.items()) if count],
            "groups": [{"from": x, "to": y, "images": count} for (x, y), count in sorted(self.groups.items())],
            "examples": [describe(row) for row in self.examples.all()],
        }


def _count(counts: Counter[tuple[str, str]], rows: pl.DataFrame, column: str) -> None:
    """Count rows by what a column is on either side."""
    for before, after, count in rows.group_by(f"{column}_a", f"{column}_b").len().iter_rows():
        counts[before, after] += count


def _near_texts(books: Mapping[str, Book]) -> list[dict[str, Any]]:
    """Compare groups of near-duplicate captions, where both ROOTs have been through dedupe."""
    if not all(flow.GROUPS.path in book.units for book in books.values()):
        return []
    return texts.compare(*([path for path, _ in books[side].files(flow.GROUPS.path, "near_texts/")] for side in (A, B)))


def _spread_images(
    met: Meeting, side: str, book: Book, alone: Collection[str], *, fetched: bool, grouped: bool
) -> None:
    said = [name for name in IMAGES.names if name not in {"image_id", "locations", "fetch_shard"}]
    for path, _ in book.files(flow.DISTINCT.path):
        for batch, file, row in met.read(path):
            met.add(
                batch["image_id"],
                side=side,
                kind=_IMAGE,
                source=pa.array(
                    [_OWN if alone and {*sources} <= {*alone} else "" for sources in batch["sources"].to_pylist()]
                ),
                first=join.hashes(batch, ["locations"]),
                rest=join.hashes(batch, said),
                file=file,
                row=row,
            )
    for ledger in _ledgers(book.fetched) if fetched else ():
        met.add(
            ledger["image_id"].combine_chunks(),
            side=side,
            kind=_SETTLED,
            reason=ledger["status"],
            first=join.hashes(ledger, ["sha256"]),
            second=_where_known(join.hashes(ledger, [_HASH]), ledger[_HASH]),
            rest=join.hashes(ledger, _OUTCOME),
        )
    for path, _ in book.files(flow.GROUPS.path, "groups/") if grouped else ():
        for batch in parquet_files.iterate(path):
            met.add(
                batch["image_id"],
                side=side,
                kind=_GROUPED,
                reason=batch["relation"],
                first=join.hashes(batch, ["kept_id", "distance", "matched"]),
            )


def _where_known(hashes: pl.Series, values: pa.ChunkedArray) -> pl.Series:
    """Return hashes, null where their values are."""
    known = pl.Series(pc.is_valid(values).to_pylist(), dtype=pl.Boolean)
    return pl.select(pl.when(known).then(hashes)).to_series()


def _met(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row an image of either side."""
    return join.joined(_side(rows, A), _side(rows, B)).with_columns(
        *(pl.col(f"status_{side}").fill_null(pairs.ABSENT) for side in (A, B)),
        *(pl.col(f"relation_{side}").fill_null(_ALONE) for side in (A, B)),
        *(pl.col(f"stands_{side}").fill_null(0) for side in (A, B)),
        *(pl.col(f"owned_{side}").fill_null("") for side in (A, B)),
    )


def _side(rows: pl.DataFrame, side: str) -> pl.DataFrame:
    mine = rows.filter(pl.col("side") == side)
    kinds = {
        kind: mine.filter(pl.col("kind") == kind).unique("key", keep="first") for kind in (_IMAGE, _SETTLED, _GROUPED)
    }
    return (
        kinds[_IMAGE]
        .select(
            "key",
            pl.col("first").alias("places"),
            pl.col("rest").alias("said"),
            pl.col("source").alias("owned"),
            "file",
            "row",
        )
        .join(
            kinds[_SETTLED].select(
                "key",
                pl.col("reason").alias("status"),
                pl.when(pl.col("reason") == OK).then("first").alias("bytes"),
                pl.when(pl.col("reason") == OK).then("second").alias("looks"),
                pl.when(pl.col("reason") == OK).then("rest").alias("outcome"),
            ),
            on="key",
            how="left",
        )
        .join(
            kinds[_GROUPED].select("key", pl.col("reason").alias("relation"), pl.col("first").alias("stands")),
            on="key",
            how="left",
        )
        .with_columns(pl.col("status").fill_null(_NOT_FETCHED))
    )


def _describe(met: Meeting, row: Mapping[str, Any]) -> dict[str, Any]:
    says = met.row(row["file_a"], row["row_a"], ["identity"]) or met.row(row["file_b"], row["row_b"], ["identity"])
    what = {
        "status": ("status", row["status_a"], row["status_b"]),
        "group": ("group", row["relation_a"], row["relation_b"]),
    }.get(row["what"], (row.get("kind"), None, None))
    return {"what": what[0], "image_id": row["key"].hex(), "from": what[1], "to": what[2], **says}


# Outputs and options


def _ledgers(known: Register) -> Iterator[pa.Table]:
    """Yield what stands for the images of each fetch shard."""
    for shard in known.shards:
        yield state.standing(known.of(shard))


def _outputs(books: Mapping[str, Book]) -> list[dict[str, str]]:
    """Return, of each format of shards and each list, whether both ROOTs have the same bytes, in whatever files' names."""
    folders = sorted(
        {
            folder
            for book in books.values()
            for folder, unit in book.units.items()
            if any(unit.is_of(kind) for kind in (*flow.SHARDS.values(), flow.LISTS))
        }
    )
    lines = []
    for folder in folders:
        there = {side: book.units[folder] for side, book in books.items() if folder in book.units}
        if len(there) == 1:
            lines.append({"folder": folder, "is": f"only in {next(iter(there)).upper()}"})
            continue
        contents = [
            sorted(file.sha256 for file in unit.commit.files if file.name not in flow.BESIDE_SHARDS)
            for unit in there.values()
        ]
        lines.append({"folder": folder, "is": "the same" if contents[0] == contents[1] else "other bytes"})
    return lines


def _options(books: Mapping[str, Book]) -> list[dict[str, str]]:
    """Return the options that the two ROOTs were built with and that differ, of each unit: the likely cause."""
    lines = []
    for folder in sorted({*books[A].units} & {*books[B].units}):
        before, after = (books[side].units[folder].commit.run.get("options", {}) for side in (A, B))
        lines += [{"folder": folder, "says": says} for says in wanted.changes("option", before, after)]
    return lines
