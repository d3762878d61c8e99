"""What a source is: how its files are cut into chunks, how a chunk is read, and its rules in the three profiles.

A source is one module in this folder with one public object, ``SOURCE``. The folder is the registry (`pmd.sources.load`).
A reader yields *drafts* (`pmd.schema.tables.DRAFTS`): one row a would-be pair, with upstream's strings untouched but for
the source's own rules; a row whose ``reason`` is set leaves. Everything that is the same for all sources (normalising text,
empty texts, keys, repeated ids) is done after it by `pmd.curate.rules`, so that a source says only what is its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pmd.schema.tables import DRAFTS

if TYPE_CHECKING:
    from pmd.manifests import Terms

Profile = Literal["paper", "hub", "recommended"]
PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)

#: Rows in a batch of drafts, at most: about 8 MB of captions with their upstream fields.
DRAFT_ROWS: Final = 16384


@dataclasses.dataclass(frozen=True)
class Rule:
    """One named option of a source, with its value in each profile.

    Attributes:
        says: What the rule does, in one sentence.
        origin: Where the rule comes from: paper and section, a loader, or "ours".
        paper: Value in profile `paper`.
        hub: Value in profile `hub`.
        recommended: Value in profile `recommended`.
        table2: Which row of FLAVA's Table 2 moves, and how, when the paper is silent; else None.
    """

    says: str
    origin: str
    paper: Any
    hub: Any
    recommended: Any
    table2: str | None = None


@dataclasses.dataclass(frozen=True)
class NamesFiles:
    """Marks an option whose strings are paths; relative ones are relative to the configuration's folder.

    Attributes:
        besides: Values that are no paths.
    """

    besides: tuple[str, ...] = ()


class SourceOptions(BaseModel):
    """Options of a source. Every field is ``Annotated[type, Rule(…)]``; there are no defaults but the profiles'."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def written_in(self) -> tuple[str, ...] | None:
        """Return the languages of the captions that are kept, as codes; None: nobody has asked. PMD's are English."""
        return ("en",)

    @classmethod
    def rules(cls) -> dict[str, Rule]:
        """Return each option's rule."""
        return {
            name: next(item for item in field.metadata if isinstance(item, Rule))
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def profile_values(cls, profile: Profile) -> dict[str, Any]:
        """Return each option's value in a profile."""
        return {name: getattr(rule, profile) for name, rule in cls.rules().items()}


@dataclasses.dataclass(frozen=True)
class InputFile:
    """One annotation file, as the configuration names it (globs expanded).

    Attributes:
        path: Path or fsspec URL, as it is opened.
        bytes: Its size on disk.
    """

    path: str
    bytes: int


@dataclasses.dataclass(frozen=True)
class Chunk:
    """What one worker reads at a time, alone: a file, a member of one, or a range of it.

    Attributes:
        path: The annotation file.
        form: Which of the source's forms it has ("json", "tsv", "sqlite", …), as the source's `plan` decided.
        member: Member of a zip or tar, or None.
        start: First byte (or, for SQLite, id) of the range; a line belongs to the range in which it starts.
        stop: End of the range, exclusive; None means the end of the file.
        companions: Other files that reading this one needs (VG's image_data.json, SBU's captions file).
    """

    path: str
    form: str
    member: str | None = None
    start: int = 0
    stop: int | None = None
    companions: tuple[str, ...] = ()


class Source(Protocol):
    """One upstream data set."""

    #: One word that can be a folder's name; the manifest `manifests/<name>.toml` has the same.
    name: str
    #: Its options and their values in each profile.
    options: type[SourceOptions]

    def plan(self, files: Sequence[InputFile], options: Any) -> list[Chunk]:
        """Cut the source's files into chunks.

        Args:
            files: All annotation files of the source, in any order.
            options: An instance of `options`.

        Raises:
            InputError: A file is none of the source's, or one that another needs is missing.
        """
        ...

    def read(self, chunk: Chunk, options: Any) -> Iterator[pa.RecordBatch]:
        """Yield batches of drafts, of at most `DRAFT_ROWS` rows; memory does not grow with the chunk.

        Raises:
            InputError: The file is truncated or foreign; names the file and the byte.
        """
        ...


class Reader(Source, Protocol):
    """What reads sources that a configuration names itself: people's own, of which there is no manifest."""

    def terms(self, name: str, options: Any) -> Terms:
        """Return what of such a source may be handed on, as its options say."""
        ...

    def notes(self, files: Sequence[InputFile], options: Any) -> list[str]:
        """Return what a person should know before the files are read, as columns that were guessed.

        Raises:
            InputError: As `plan`.
        """
        ...


class DraftBuilder:
    """Collects drafts row by row and hands them out as batches; for readers whose parser gives one record at a time.

    Columns that a call leaves out are null.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def add(self, **columns: Any) -> None:
        """Add one row; keyword names are columns of `DRAFTS`."""
        self._rows.append(columns)

    def full(self) -> bool:
        """Return whether a batch should be taken."""
        return len(self._rows) >= DRAFT_ROWS

    def take(self) -> pa.RecordBatch:
        """Return what was collected, and start anew."""
        rows, self._rows = self._rows, []
        return pa.RecordBatch.from_pylist(rows, schema=DRAFTS)

    def __len__(self) -> int:
        return len(self._rows)
