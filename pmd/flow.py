"""The flow: the stages in order, and for each what it stands on, what it commits where, and how a person calls it.

Pure data, at the bottom. Whatever lists stages, names a folder of ROOT or tells a part's file by its name reads it here: the
store, the stages, the inspection, the command line and the docs. A new stage is a row here, a folder `pmd/<stage>/` and a
pipeline `pipelines/<stage>.py` (CONTRIBUTING.md).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import Final, Literal

_DIGEST: Final = "[0-9a-f]{16}"
#: Names of files of rows: the part's number, the number of parts, the digest of the bytes.
PART: Final = rf"part-\d+-of-\d+-{_DIGEST}\.parquet"
_PART_NUMBER: Final = re.compile(r"part-(\d+)-of-")
_OF_PARTS: Final = re.compile(r"part-\d+-of-(\d+)")
#: What a source may be called: its name is a folder's.
SOURCE_NAME: Final = "[A-Za-z0-9_]+"
#: Characters of such a name, at most: file systems take 255 bytes, less what stands around it.
LONGEST_NAME: Final = 64
#: Words that stand beside sources' names for something else: in the books and tables all sources together, in the card of
#: the lists the configurations of all rows, and of those that have URLs.
NO_SOURCES: Final = ("all", "alive", "default")
#: What a field of a folder's path may be.
_FIELDS: Final = {"source": SOURCE_NAME, "shard": r"\d+", "generation": r"\d+", "wave": r"\d{4}-\d\d-\d\d"}
_FIELD: Final = re.compile(r"\{(\w+)(?::\w+)?\}")

#: What a stage runs and commits at a time: a source, or all of it.
Unit = Literal["source", "whole"]
#: What a stage may do to the ledger, by generations of its own: "more" pictures, or more of how they look; or "less", where it
#: finds out that a stored picture is none.
Ledger = Literal["more", "less"]


@dataclasses.dataclass(frozen=True)
class Rate:
    """What a stage takes of a processor, for `pmd plan`.

    Attributes:
        of: The figure of the plan that it grows with: rows, pairs, fetched, to_fetch or samples.
        seconds: Of one of these.
        is_measured: Whether that was measured (docs/benchmarks.md), or is a guess.
    """

    of: str
    seconds: float
    is_measured: bool = False


@dataclasses.dataclass(frozen=True)
class Folder:
    """One kind of folder below ROOT.

    Attributes:
        path: Relative to ROOT, with fields in braces.
        files: A regular expression of the names that runs write there.
        commits: Whether a `_stage.json` stands there; the files of another folder are listed by a commit elsewhere.
        twin: Whether its commit stands or falls with that of its stage's books, and says the same.
        optional: Of a twin, whether it is there only where the configuration names it.
        keeps: How the names of the files begin that hold what its books call kept; None: no file of it does.
        rejects: The same for rejected rows.
    """

    path: str
    files: str
    commits: bool = True
    twin: bool = False
    optional: bool = False
    keeps: str | None = None
    rejects: str | None = None

    def at(self, **fields: str | int) -> str:
        """Return the path of one such folder, relative to ROOT."""
        return self.path.format(**fields)

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        return _FIELD.sub(lambda field: _FIELDS[field[1]], self.path)

    @functools.cached_property
    def _matcher(self) -> re.Pattern[str]:
        return re.compile(_FIELD.sub(lambda field: f"({_FIELDS[field[1]]})", self.path))

    @property
    def top(self) -> str:
        """The folder of ROOT in which it stands: "curate"."""
        return self.path.partition("/")[0]

    @property
    def above(self) -> str:
        """The folder below ROOT that holds all such folders: "fetch/ledger"; of one without fields, itself."""
        return self.path.partition("{")[0].rpartition("/")[0] if "{" in self.path else self.path

    def fields(self, folder: str) -> tuple[str, ...]:
        """Return the fields of one such folder: "curate/source=coco" → ("coco",)."""
        match = self._matcher.fullmatch(folder)
        if match is None:
            raise ValueError(f"{folder} is no folder {self.path}")
        return match.groups()

    def holds(self, folder: str) -> bool:
        """Return whether a folder, relative to ROOT, is such a one."""
        return self._matcher.fullmatch(folder) is not None


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: Its name: of its package, its command, its table of options, and in `stage` columns.
        after: Of the books: the stage whose kept pairs it takes in; None: it takes none. When it runs is said by its place in
            `STAGES` alone.
        unit: What it runs and commits at a time.
        books: The folder whose commit has its books, and its rejected rows if it rejects any.
        folders: All its folders, that of the books first.
        says: What its command does.
        judges: What it rejects pairs by; "": it rejects none.
        kept: What pairs are called that it kept: the heading of its column in `pmd status`; "": its books count no pairs.
        hues: Of what it rejected, on the page of `pmd peek`: on a light page and on a dark one; None: it rejects none.
        counts_pairs: Whether its books count pairs. One that counts none may stand without the one before it: nothing of
            what it keeps could go missing.
        ledger: What it may do to the ledger; None: nothing.
        rate: What it takes of a processor; None: nobody knows, and the plan says so.
    """

    name: str
    after: str | None
    unit: Unit
    folders: tuple[Folder, ...]
    says: str
    judges: str = ""
    kept: str = ""
    hues: tuple[str, str] | None = None
    counts_pairs: bool = True
    ledger: Ledger | None = None
    rate: Rate | None = None

    @property
    def books(self) -> Folder:
        """The folder whose commit has its books, and its rejected rows if it rejects any."""
        return self.folders[0]

    @property
    def together(self) -> tuple[Folder, ...]:
        """The folders that all have a commit, or none has."""
        return (self.books, *(folder for folder in self.folders if folder.twin and not folder.optional))

    @property
    def rejects(self) -> bool:
        """Whether pairs may leave here."""
        return bool(self.judges)

    @property
    def command(self) -> str:
        """What a person runs."""
        return f"pmd {self.name} CONFIG"


#: In the folder of a source: what rows that suppression lists keep out say of their pictures, as HMACs.
KEPT_OUT: Final = "kept_out"
PAIRS: Final = Folder(
    "curate/source={source}", rf"(?:pairs|rejected|{KEPT_OUT})/{PART}", keeps="pairs/", rejects="rejected/"
)
VIEWS: Final = Folder("views", rf"(?:pairs|rejected)/{PART}", keeps="pairs/", rejects="rejected/")
DISTINCT: Final = Folder("images", PART, twin=True)
UNFETCHED: Final = Folder("fetch/rejected", PART, rejects="")
#: How many images were there when they were asked for, by source, host, status and day.
AVAILABILITY: Final = Folder("fetch/availability", PART)
#: A fetch shard's generations.
LEDGER: Final = "fetch/ledger/shard={shard:05d}"
GENERATION: Final = Folder(f"{LEDGER}/generation={{generation:04d}}", rf"ledger-{_DIGEST}\.parquet", keeps="")
STORE: Final = Folder("fetch/store/shard={shard:05d}", rf"{_DIGEST}\.tar", commits=False)
HASHES: Final = Folder("fetch/hashes/shard={shard:05d}", rf"generation=\d+-{_DIGEST}\.parquet", commits=False)
ATTEMPTS: Final = Folder("fetch/attempts/shard={shard:05d}", rf"generation=\d+-{_DIGEST}\.parquet", commits=False)
GROUPS: Final = Folder(
    "dedupe",
    rf"rejected/{PART}|groups/{PART}|groups/part-{_DIGEST}\.parquet|near_texts/{PART}|splits/{PART}",  # not cut: earlier ones
    rejects="rejected/",
)
#: Samples of each shard by name, as readers of WebDataset expect it.
SIZES: Final = "sizes.json"
#: Which files of a folder are data, as Hugging Face `datasets` looks for it; hidden from whoever else opens a folder.
DATA_FILES: Final = ".huggingface.yaml"
#: What stands beside shards and is none.
BESIDE_SHARDS: Final = frozenset({SIZES, DATA_FILES})
UNSHARDED: Final = Folder("shards/rejected", PART, rejects="")
SHARDS: Final = {
    form: Folder(
        f"shards/{form}",
        "|".join([rf"\d+-of-\d+-[0-9a-f]{{8}}\.{ending}", *map(re.escape, sorted(BESIDE_SHARDS))]),
        twin=True,
        optional=True,
        keeps="",
    )
    for form, ending in {"webdataset": "tar", "parquet": "parquet"}.items()
}
#: The splits of lists, each in files of its own: a loader tells them by the names. Rows of which upstream says none are `train`.
SPLITS: Final = ("train", "validation", "test")
#: Begins the second part of the name of a list's file whose rows have no URL.
WITHOUT_URL: Final = "nourl"
#: Files of earlier versions have neither.
LISTS: Final = Folder("publish/source={source}", rf"(?:(?:{'|'.join(SPLITS)})-(?:{WITHOUT_URL}-)?)?{PART}", keeps="")
#: What is handed on of the lists, made of them. No commit lists it: it becomes others'.
RELEASE: Final = "release"
#: What has left the lists since earlier releases; it stands beside them, and is none.
WITHDRAWN: Final = "withdrawn.parquet"
#: In which of the folders above a list's file it may stand: the nearest ones (`pmd.store.withdrawn.near`).
WITHDRAWN_ABOVE: Final = 2
REPORT: Final = Folder("audit", r"report\.html|audit\.json|tables/[a-z0-9_.]+\.(csv|parquet)")
#: Images of the ledger that were asked for again, by the day on which that began: what was drawn, what has been answered so
#: far, and when all has been, the table that is committed.
WAVES: Final = Folder("refresh/wave={wave}", rf"{PART}|drawn-{_DIGEST}\.parquet|asked-[0-9a-f]{{32}}\.json")

#: What hosts have said, by lane and time. No commit lists it, and no run removes it.
HOSTS: Final = "fetch/hosts"
#: Which generations are committed (`pmd.store.register`). No commit lists it.
REGISTER: Final = "fetch/register"

#: Hues of the stages are those of Okabe and Ito (Color Universal Design, 2008): told apart by colour-blind readers too.
CURATE: Final = Stage(
    "curate",
    None,
    "source",
    (PAIRS,),
    "Read the sources: pairs and rejected rows.",
    judges="the row itself: text, URL, the rules of the profile",
    kept="curated",
    hues=("#0072b2", "#3f97d3"),
    rate=Rate("rows", 35e-6, is_measured=True),  # fifty million rows of YFCC100M
)
IMAGES: Final = Stage(
    "images",
    "curate",
    "whole",
    (VIEWS, DISTINCT),
    "Find the distinct images of all pairs, and where each can be had.",
    judges="takedown lists, licences, and the sample that was asked for",
    kept="wanted",
    hues=("#56b4e9", "#7cc8f3"),
    rate=Rate("pairs", 9e-6, is_measured=True),  # a million pairs of Conceptual 12M
)
FETCH: Final = Stage(
    "fetch",
    "images",
    "whole",
    (UNFETCHED, AVAILABILITY, GENERATION, STORE, ATTEMPTS, HASHES),
    "Download each image once, and settle what became of it.",
    judges="what the web answered",
    kept="fetched",
    hues=("#d55e00", "#e9772b"),
    ledger="more",
    rate=Rate("to_fetch", 1 / 260, is_measured=True),  # 520 pictures a second in two lanes with a core each
)
DEDUPE: Final = Stage(
    "dedupe",
    "fetch",
    "whole",
    (GROUPS,),
    "Find images that are one: equal bytes, near-duplicates.",
    judges="the picture's bytes",
    kept="deduped",
    hues=("#cc79a7", "#d993ba"),
    ledger="more",  # hashes, where it compares them
    rate=Rate("pairs", 20e-6),
)
SHARD: Final = Stage(
    "shard",
    "dedupe",
    "whole",
    (UNSHARDED, *SHARDS.values()),
    "Write training-ready shards.",
    judges="whether the region can be cut out",
    kept="sharded",
    hues=("#e69f00", "#edb63d"),
    ledger="less",  # a picture that is decoded here for the first time, and is none
    rate=Rate("samples", 4e-3),
)
#: It takes what is left of the images, not of the views that fit into shards.
PUBLISH: Final = Stage(
    "publish",
    "dedupe",
    "source",
    (LISTS,),
    "Write each source's list of URLs.",
    kept="published",
    rate=Rate("pairs", 10e-6),
)
AUDIT: Final = Stage(
    "audit",
    None,
    "whole",
    (REPORT,),
    "Write the audit: audit/report.html, audit/audit.json and audit/tables; with --out, that of any data set.",
    counts_pairs=False,
    rate=Rate("pairs", 100e-6),
)

#: No stage of a build: it is run when somebody wants to know, and nothing is made of it but figures.
REFRESH: Final = Stage(
    "refresh",
    None,
    "whole",
    (WAVES,),
    "Ask a sample of the images again: how many are still there.",
    counts_pairs=False,
)

#: All stages of a build, in the order of the flow.
STAGES: Final = (CURATE, IMAGES, FETCH, DEDUPE, SHARD, PUBLISH, AUDIT)
NAMES: Final = tuple(stage.name for stage in STAGES)
BY_NAME: Final = {stage.name: stage for stage in STAGES}
#: Those that pairs go through on their way into shards, and may leave: what stands after one is what it kept.
JUDGING: Final = tuple(stage for stage in STAGES if stage.rejects)
#: Those whose books count pairs.
COUNTING: Final = tuple(stage for stage in STAGES if stage.counts_pairs)
#: Every kind of folder, with its stage.
FOLDERS: Final = tuple((folder, stage) for stage in (*STAGES, REFRESH) for folder in stage.folders)
#: The folders that stand directly under ROOT.
TOPS: Final = frozenset({folder.top for folder, _ in FOLDERS})


def between(first: Stage, last: Stage) -> tuple[Stage, ...]:
    """Return the stages of a build that run after one and before another."""
    return STAGES[STAGES.index(first) + 1 : STAGES.index(last)]


def part(number: int, bits: int) -> str:
    """Return how the name of the file of one of 2^bits parts begins; the digest of its bytes follows.

    >>> part(3, 4)
    'part-00003-of-00016'
    """
    return f"part-{number:05d}-of-{2**bits:05d}"


def files_of_split(split: str, *, with_url: bool) -> str:
    """Return the pattern of the files that a list has of a split; of rows with a URL alone, where that is asked for."""
    return f"{split}-part-*.parquet" if with_url else f"{split}-*.parquet"


def part_number(name: str) -> int:
    """Return the number of the part that a file's name tells."""
    match = _PART_NUMBER.search(name)
    assert match is not None, name
    return int(match[1])


def part_bits(name: str) -> int:
    """Return how many bits name the parts of which a file's name tells one."""
    match = _OF_PARTS.search(name)
    assert match is not None, name
    return int(match[1]).bit_length() - 1


def is_cut(name: str) -> bool:
    """Return whether a file's name tells which part it is of."""
    return _PART_NUMBER.search(name) is not None


def kind_of(folder: str) -> tuple[Folder, Stage] | None:
    """Return of what kind a folder (relative to ROOT) is and whose, or None where no stage has such a one."""
    return next((entry for entry in FOLDERS if entry[0].holds(folder)), None)


def stage_of(folder: str) -> Stage | None:
    """Return the stage whose folder this is, relative to ROOT; None: no stage has such a one."""
    kind = kind_of(folder)
    return None if kind is None else kind[1]
