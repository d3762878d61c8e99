"""Waves on disk: what was drawn, what has been answered so far, and the table that is committed when all has been.

`refresh/wave=DATE/` is named by the day on which the wave began. What was drawn is written before anybody is asked. Each answer
is a file of its own, so that a run that is killed asks for nothing again that was answered. In a bucket, where a file takes a
request, some answers are one file, named by the first of their images. The commit lists the one table of the wave, and the rest
goes.
"""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from pmd import __version__, flow
from pmd.errors import ConfigError, RootError
from pmd.refresh.sampling import DRAWN, Bound, Drawn
from pmd.schema.tables import KEY
from pmd.store import commits, parquet_files, storage
from pmd.store.commits import Commit

#: A wave: one row an image that was asked for. In order of image_id.
WAVE: Final = pa.schema(
    [
        pa.field("image_id", KEY, nullable=False),
        pa.field("host", pa.string(), nullable=False),
        pa.field("sources", pa.list_(pa.string()), nullable=False),
        pa.field("number", pa.uint64(), nullable=False),  # by which it was drawn
        pa.field("fetched", DRAWN.field("fetched").type),  # when it was there
        pa.field("status", pa.string(), nullable=False),  # of the ledger's: what it is now
        pa.field("same_bytes", pa.bool_()),  # as the ledger's SHA-256 says; null: it is not there
        pa.field("when", pa.timestamp("ms", tz="UTC"), nullable=False),
    ]
)

_DRAWN: Final = "drawn-"
_ASKED: Final = "asked-"
#: Answers that wait to be written together in a bucket, and seconds for which they do: after SIGKILL so much is asked for again.
_TOGETHER: Final = 64
_WAIT_S: Final = 5.0
#: What the drawn table's file says of itself.
_ABOUT: Final = b"pmd"


@dataclasses.dataclass(frozen=True)
class Wave:
    """A committed wave.

    Attributes:
        date: The day on which it began.
        bounds: Population → what was drawn of it.
        rows: `WAVE`.
    """

    date: str
    bounds: Mapping[str, Bound]
    rows: pa.Table


@dataclasses.dataclass(frozen=True)
class Answer:
    """What has become of an image."""

    status: str
    sha256: str | None
    when: datetime.datetime


def folder_of(root_url: str, date: str) -> str:
    """Return the folder of a wave."""
    return storage.join(root_url, flow.WAVES.at(wave=date))


def dates(root_url: str) -> list[str]:
    """Return the days of all waves that have a folder, in order."""
    names = storage.list_names(storage.join(root_url, flow.WAVES.above))
    folders = [f"{flow.WAVES.above}/{name}" for name in names]
    return sorted(flow.WAVES.fields(folder)[0] for folder in folders if flow.WAVES.holds(folder))


def committed(root_url: str) -> dict[str, Commit]:
    """Return the commit of each wave that has come to its end, by day."""
    found = {date: commits.read(folder_of(root_url, date)) for date in dates(root_url)}
    return {date: commit for date, commit in found.items() if commit is not None}


def read(root_url: str) -> Iterator[Wave]:
    """Yield all committed waves, in their order."""
    for date, commit in committed(root_url).items():
        tables = [parquet_files.read_table(folder_of(root_url, date), file) for file in commit.files]
        bounds = {name: Bound(**bound) for name, bound in commit.facts["bounds"].items()}
        yield Wave(date, bounds, pa.concat_tables([WAVE.empty_table(), *(table.cast(WAVE) for table in tables)]))


def begun(root_url: str) -> str | None:
    """Return the day of the wave that has not come to its end; of several, the first."""
    ended = committed(root_url)
    open_ones = (date for date in dates(root_url) if date not in ended)
    return next((date for date in open_ones if _drawn(folder_of(root_url, date))), None)


def _drawn(folder: str) -> list[str]:
    return [name for name in storage.list_names(folder) if name.startswith(_DRAWN)]


def keep_drawn(folder: str, drawn: Drawn, asked_for: Mapping[str, Any]) -> None:
    """Write down what was drawn, and by which options."""
    about = {
        "asked_for": asked_for,
        "bounds": {name: dataclasses.asdict(bound) for name, bound in drawn.bounds.items()},
    }
    parquet_files.put_table(
        folder, _DRAWN.removesuffix("-"), drawn.rows.replace_schema_metadata({_ABOUT: orjson.dumps(about)})
    )


def read_drawn(folder: str, asked_for: Mapping[str, Any]) -> Drawn:
    """Return what was drawn.

    Raises:
        ConfigError: By other options.
        RootError: The file is damaged.
    """
    (name, *_) = _drawn(folder)
    where = storage.join(folder, name)
    try:
        with storage.open_raw(where) as file:
            table = pq.ParquetFile(file).read(use_threads=False)
        about = orjson.loads((table.schema.metadata or {})[_ABOUT])
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise RootError(
            "what a wave was to ask for is damaged",
            where=where,
            found=str(error),
            remedy=f"remove {folder}; the next pmd refresh begins a wave anew",
        ) from None
    if about["asked_for"] != dict(asked_for):
        raise ConfigError(
            "a wave that was begun with other options has not come to its end",
            where=folder,
            expected=_words(about["asked_for"]),
            found=_words(asked_for),
            remedy="run pmd refresh with these once more, and it goes on; or remove the folder",
        )
    rows = parquet_files.without_dictionaries(table).replace_schema_metadata(None).cast(DRAWN)
    return Drawn(rows, {name: Bound(**bound) for name, bound in about["bounds"].items()})


def _words(options: Mapping[str, Any]) -> str:
    return " ".join(f"--{name} {value}" for name, value in options.items())


class Keeping:
    """Writes down what has become of images, for good: what waits, at the end at the latest, also where a signal makes it.

    Args:
        folder: The wave's.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._most = 1 if storage.is_local(folder) else _TOGETHER
        self._waiting: dict[bytes, Answer] = {}
        self._since = 0.0

    def add(self, image_id: bytes, answer: Answer) -> None:
        """Write down an answer, or let it wait for others."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting[image_id] = answer
        if len(self._waiting) >= self._most or time.monotonic() - self._since >= _WAIT_S:
            self._write()

    def _write(self) -> None:
        said = {key.hex(): _said(answer) for key, answer in self._waiting.items()}
        storage.put(storage.join(self._folder, f"{_ASKED}{next(iter(said))}.json"), orjson.dumps(said))
        self._waiting = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits."""
        if self._waiting:
            self._write()


def _said(answer: Answer) -> dict[str, str | None]:
    return {"status": answer.status, "sha256": answer.sha256, "when": answer.when.isoformat()}


def answers(folder: str) -> dict[bytes, Answer]:
    """Return what has been answered so far, by image; what was cut off in writing counts as not answered."""
    found: dict[bytes, Answer] = {}
    for name in storage.list_names(folder):
        if name.startswith(_ASKED):
            try:
                said = orjson.loads(storage.read_bytes(storage.join(folder, name)))
            except orjson.JSONDecodeError:
                continue
            found |= {bytes.fromhex(key): _answer(one) for key, one in said.items() if isinstance(one, dict)}
    return found


def _answer(said: Mapping[str, Any]) -> Answer:
    return Answer(said["status"], said["sha256"], datetime.datetime.fromisoformat(said["when"]))


def commit(folder: str, date: str, drawn: Drawn, answered: Mapping[bytes, Answer], run: Mapping[str, Any]) -> None:
    """Commit a wave of which every image has an answer.

    Args:
        folder: Its own.
        date: Its day.
        drawn: What was asked for.
        answered: What came.
        run: The `run` of the commit: its epoch and options.
    """
    file = parquet_files.put_table(folder, flow.part(0, 0), rows_of(drawn, answered))
    facts = {"wave": date, "bounds": {name: dataclasses.asdict(bound) for name, bound in drawn.bounds.items()}}
    options = commits.options_hash(run.get("asked_for"))
    commits.write(folder, Commit(flow.REFRESH.name, (file,), {}, options, {"pmd": __version__, **run}, facts))


def rows_of(drawn: Drawn, answered: Mapping[bytes, Answer]) -> pa.Table:
    """Return the `WAVE` of what was drawn and answered."""
    ids, before = drawn.rows["image_id"].to_pylist(), drawn.rows["sha256"].to_pylist()
    found = [answered[image_id] for image_id in ids]
    same = [
        None if answer.sha256 is None or sha256 is None else answer.sha256 == sha256.hex()
        for answer, sha256 in zip(found, before, strict=True)
    ]
    return pa.table(
        {
            **{name: drawn.rows[name] for name in ("image_id", "host", "sources", "number", "fetched")},
            "status": pa.array([answer.status for answer in found], pa.string()),
            "same_bytes": pa.array(same, pa.bool_()),
            "when": pa.array([answer.when for answer in found], WAVE.field("when").type),
        }
    ).cast(WAVE)
