"""A corpus: what `pmd build` has made, or published lists of it, as tables."""

from __future__ import annotations

import dataclasses
import os
import posixpath
from typing import Final, Literal

from pmd import flow
from pmd.errors import InputError
from pmd.inspection import kinds
from pmd.library import reading
from pmd.library.audits import Audit
from pmd.library.tables import Table
from pmd.store import storage


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The tables of a ROOT, or of published lists. Nothing is read before rows are asked for.

    Published lists have `published` alone. `pmd.load` makes it.

    >>> import pmd
    >>> corpus = pmd.load("demo/pmd")
    >>> corpus.kind
    'root'
    >>> corpus.rejected.only(stage="fetch").select(["source", "reason", "detail"]).to_pandas().columns.to_list()
    ['source', 'reason', 'detail']

    Attributes:
        where: The ROOT, or the lists, by a path that leads there from every folder.
        kind: Which of the two it is: "root" or "list".
    """

    where: str
    kind: Literal["root", "list"]

    @property
    def pairs(self) -> Table:
        """The image-text pairs that curate kept, source by source. Their `image_id` is the one of their own source."""
        return self._table("pairs")

    @property
    def views(self) -> Table:
        """The pairs that the images stage kept, with the `image_id` under which `images` and `ledger` know their image.

        It is another than in `pairs` where one photograph has two identities: COCO's or Visual Genome's, and Flickr's.
        """
        return self._table("views")

    @property
    def rejected(self) -> Table:
        """The rows that left, of every stage that has been run: in columns which stage, for which reason, and what was found."""
        return self._table("rejected")

    @property
    def images(self) -> Table:
        """The distinct images, each with all locations at which it may be had. By source: those that its pairs show."""
        return self._table("images")

    @property
    def ledger(self) -> Table:
        """What became of each image: one row that stands, of however many fetches. By source as `images`."""
        return self._table("ledger")

    @property
    def published(self) -> Table:
        """The published lists. Their column `source` spells sources as facebook/pmd does; they are chosen by pmd's names."""
        return reading.of_lists(self.where) if self.kind == "list" else reading.of_root("published", self.where)

    @property
    def audit(self) -> Audit:
        """The audit's figures, as tables by name."""
        self._require_root("audit")
        return Audit(self.where)

    def _table(self, name: str) -> Table:
        self._require_root(name)
        return reading.of_root(name, self.where)

    def _require_root(self, name: str) -> None:
        if self.kind == "list":
            raise InputError(
                f"published lists have no {name}",
                where=self.where,
                expected="a ROOT",
                found="published lists",
                remedy="load the ROOT that they were published from, or read .published",
            )


class Load:
    """What `pmd.load` is: called, it opens a corpus; `pmd.load.audit` opens an audit alone.

    >>> import pmd
    >>> corpus = pmd.load("demo/pmd")
    >>> corpus.pairs.only(source="coco").select(["source_id", "text"]).head(3).num_rows
    3
    >>> lists = pmd.load("demo/pmd/publish/source=coco")
    >>> lists.published.schema.field("sha256").type
    DataType(string)
    >>> pmd.load.audit("demo/pmd").books.columns.to_list()
    ['stage', 'source', 'in', 'kept', 'rejected']
    """

    def __call__(self, root_or_lists: str | os.PathLike[str]) -> Corpus:
        """Open what `pmd build` has made, at any stage, or published lists.

        Args:
            root_or_lists: A ROOT; or a published list, or a folder of them, wherever they were copied to. A path, or an
                fsspec URL.

        Raises:
            InputError: There is nothing, or something else.
            RootError: It is a ROOT of another version.
            VerificationError: Its `root.json` is damaged.
        """
        where = _from_everywhere(os.fspath(root_or_lists))
        if not where or not storage.exists(where):
            raise InputError("nothing is here", where=where, expected="a ROOT or a published list")
        kind = kinds.kind(where)
        if kind == "other":
            raise InputError(
                "neither a ROOT nor a published list",
                where=where,
                expected="a ROOT, or Parquet files that pmd publish wrote",
                found="a file that is no Parquet",
            )
        return Corpus(where, kind)

    def audit(self, root_or_folder: str | os.PathLike[str]) -> Audit:
        """Open the audit of a ROOT, or of any data set, by the folder that `pmd audit PATH --out DIR` was given, or its page's.

        Raises:
            InputError: There is nothing.
        """
        where = _from_everywhere(os.fspath(root_or_folder))
        if not where or not storage.exists(where):
            raise InputError("nothing is here", where=where, expected="a ROOT, or the folder of an audit")
        folder = where.rstrip("/")
        if posixpath.basename(folder) == flow.AUDIT.name and storage.exists(f"{folder}/audit.json"):
            where = posixpath.dirname(folder)
        return Audit(where)


def _from_everywhere(path: str) -> str:
    """Return a path that leads to the same place from every folder: tables are read later, and by workers of a loader.

    What a ".." means is left to the file system, since a folder may be a link.
    """
    is_relative = path and "://" not in path and not os.path.isabs(path)
    return os.path.join(os.getcwd(), path) if is_relative else path


load: Final = Load()
