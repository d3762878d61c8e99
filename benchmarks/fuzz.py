"""Fuzz the annotation files of all sources: never a crash, never an unbounded read, every untouched row as it was.

    python benchmarks/fuzz.py [--cases 200000] [--seed 0] [--source NAME …] [--only CASE] [--out FOLDER]

A case is a function of the seed and its number: files of one source (genuine rows and the demo's), one thing done to one
of them (`fuzzing.mutations`), one way in which they come (plain, compressed, in an archive), one profile. It is read as
the curate stage reads it (`inputs.files`, `plan`, `read`, `judge`, `settle`), without Beam; a few cases run as whole
`pmd curate` commands too. Checked, for each:

- it ends in rows, or in a `PmdError` that names the file; nothing else, within `LIMIT_S` and `LIMIT_BYTES`;
- a file is refused only where it is no longer what its format asks for (`_justified`);
- every row whose bytes are untouched (`fuzzing.documents`) gives what it gave before, in all columns, at its place;
- every other row gives a pair or a rejected row, no row comes from nowhere, and ids are numbered without gaps.

Endless lines, strings, numbers, lists, fields and names are cases of their own, each read with its peak of memory. Exits
with 1 where anything fails, and leaves each failing case's files and what was found in FOLDER. The last line is JSON.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import dataclasses
import functools
import gc
import gzip
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a process a core already

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from benchmarks.fuzzing import bases, documents, mutations  # noqa: E402
from benchmarks.fuzzing.bases import Base  # noqa: E402
from pmd import curate, inputs, keys, sources  # noqa: E402
from pmd.beam.curate import unit_batch, unit_of  # noqa: E402
from pmd.config import SourceConfig  # noqa: E402
from pmd.errors import PmdError  # noqa: E402
from pmd.formats.archives import MEMBER_SEPARATOR  # noqa: E402
from pmd.formats.streams import HEAD_BYTES as HEAD  # noqa: E402
from pmd.formats.streams import compression_of  # noqa: E402
from pmd.options import CurateOptions  # noqa: E402
from pmd.schema.tables import JUDGED, PAIRS, REJECTED  # noqa: E402

#: Seconds that a case may take, and bytes that it may ask for beyond what the process has when it starts.
LIMIT_S: Final = 20.0
LIMIT_BYTES: Final = 2 << 30
#: Seconds without a finished case after which the parent takes a worker for hung in code that no signal reaches.
HUNG_S: Final = 4 * LIMIT_S
#: What an endless file may take at its peak, beyond what the process has when it starts.
ENDLESS_BYTES: Final = 1 << 30

PROFILES: Final = ("paper", "recommended")
#: Lines that readers look at to tell whether a file is theirs.
HEAD_LINES: Final = 100
#: A field over this pushes what tells a JSON document's kind out of its head.
HEAD_BYTES: Final = 60_000
#: Plain bytes that fit one block of bzip2 at level 1.
BLOCK_BYTES: Final = 90_000
COUNTS: Final = (
    "cases",
    "crashes",
    "violations",
    "refused",
    "rows",
    "untouched",
    "identical",
    "untouched_in_refused",
    "rejected",
)

Output = tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        number: Its number.
        base: The files before.
        profile: Profile whose options are used.
        packing: How the files come.
        mutation: What was done.
        disk: Name → bytes, as they lie on disk.
        files: Name → plain bytes after the mutation; None where the container was damaged.
        damaged: Name on disk of the damaged container, or None.
        target: Name of the file, or container, that was mutated.
    """

    number: int
    base: Base
    profile: str
    packing: str
    mutation: str
    disk: dict[str, bytes]
    files: dict[str, bytes] | None
    damaged: str | None
    target: str


@functools.cache
def _anatomy(base_index: tuple[str, int], name: str) -> mutations.Anatomy:
    source, index = base_index
    return mutations.anatomy(bases.all_bases()[source][index], name)


def make_case(seed: int, number: int, names: Sequence[str]) -> Case:
    """Return a case: the same for one seed, number and list of sources."""
    source = names[number % len(names)]
    rng = random.Random(f"{seed} {source} {number // len(names)}")
    choices = bases.all_bases()[source]
    index = rng.randrange(len(choices))
    base = choices[index]
    profile = rng.choice(PROFILES)
    target = rng.choice(sorted(base.files))
    if base.form == "dump":
        mutation, changed = mutations.dump(rng, base.files[target])
        return Case(number, base, profile, "plain", mutation, {target: changed}, {target: changed}, None, target)
    if base.packings and rng.random() < 0.12:
        packing = rng.choice(base.packings)
        disk = _on_disk(base, packing, base.files)
        target = rng.choice(sorted(set(disk) - {base.karpathy}))
        disk[target] = mutations.damage(rng, packing, disk[target])
        return Case(number, base, profile, packing, mutations.CONTAINER, disk, None, target, target)
    mutation, changed = mutations.mutate(rng, _anatomy((source, index), target))
    files = {**base.files, target: changed}
    packing = rng.choice(base.packings) if base.packings and rng.random() < 0.25 else "plain"
    return Case(number, base, profile, packing, mutation, _on_disk(base, packing, files), files, None, target)


def _on_disk(base: Base, packing: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files as they lie on disk; Karpathy's, where it is not the annotations, always stands alone."""
    apart = {name: content for name, content in files.items() if name == base.karpathy}
    return {**mutations.pack(packing, {name: files[name] for name in files if name not in apart}), **apart}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case's files.

    Attributes:
        outputs: (document and place, every column of `JUDGED` but `where`) of each judged row.
        pairs: source_id → row of `PAIRS`.
        rejected: source_id → row of `REJECTED` but `where`.
        settled_rows: Number of both.
        refusal: The error that refused the files, else None.
    """

    outputs: list[tuple[str, Output]] = dataclasses.field(default_factory=list)
    pairs: dict[str, Output] = dataclasses.field(default_factory=dict)
    rejected: dict[str, Output] = dataclasses.field(default_factory=dict)
    settled_rows: int = 0
    refusal: PmdError | None = None


_JUDGED: Final = [name for name in JUDGED.names if name != "where"]
_SOURCE_ID: Final = _JUDGED.index("source_id")
_REASON: Final = _JUDGED.index("reason")
_WHERE_LESS: Final = [name for name in REJECTED.names if name != "where"]


def options_of(source: str, profile: str, **changed: Any) -> Any:
    """Return a source's options in a profile."""
    model = sources.load(source).options
    return model(**{**model.profile_values(profile), **changed})  # type: ignore[arg-type]


def read(base: Base, profile: str, folder: Path, names: Sequence[str]) -> Outcome:
    """Read files as the curate stage does.

    Raises:
        Exception: Anything but a `PmdError`, which is what is looked for.
    """
    changed = {"karpathy": str(folder / base.karpathy), "exclude_karpathy": "val_and_test"} if base.karpathy else {}
    options = options_of(base.source, profile, **changed)
    source = sources.load(base.source)
    paths = tuple(str(folder / name) for name in names if name != base.karpathy)
    batches: list[pa.RecordBatch] = []
    try:
        files = inputs.files(SourceConfig(base.source, paths, (), options))
        for unit in source.plan(files, options):
            batches += [curate.judge(base.source, drafts) for drafts in source.read(unit_of(unit_batch(unit)), options)]
    except PmdError as error:
        return Outcome(refusal=error)
    table = pa.Table.from_batches(batches, schema=JUDGED)
    table.validate(full=True)
    settled = curate.settle(base.source, table, CurateOptions(**CurateOptions.profile_values(profile)))  # type: ignore[arg-type]
    places = [where.removeprefix(f"{folder}/") for where in table["where"].to_pylist()]
    return Outcome(
        list(zip(places, _rows(table, _JUDGED), strict=True)),
        dict(zip(settled.pairs["source_id"].to_pylist(), _rows(settled.pairs, PAIRS.names), strict=True)),
        dict(zip(settled.rejected["source_id"].to_pylist(), _rows(settled.rejected, _WHERE_LESS), strict=True)),
        settled.pairs.num_rows + settled.rejected.num_rows,
    )


def _rows(table: pa.Table, names: Sequence[str]) -> Iterator[Output]:
    columns = []
    for name in names:
        values = table[name].to_pylist()
        columns.append([None if v is None else tuple(v) for v in values] if name in ("mirrors", "region") else values)
    return zip(*columns, strict=True)


def _annotations(base: Base) -> dict[str, bytes]:
    """Return the files of a base but for Karpathy's, where that only says what is held out."""
    return {name: content for name, content in base.files.items() if name != base.karpathy}


def _place(base: Base, packing: str, row: documents.Row) -> str:
    """Return where a row's outputs say that it stands."""
    location = row.document
    if packing in ("zip", "tar", "tar.gz") and row.document != base.karpathy:
        held = _annotations(base)
        whole = base.form in ("lines", "records")  # which take an archive of one file for that file
        location = mutations.archive_name(held) + ("" if whole else MEMBER_SEPARATOR + row.document)
    return f"{location}:{row.place}"


_BYTE: Final = re.compile(r"(?:decompressed |bz2 block at bit [0-9]+, )byte ([0-9]+)(?: of it)?$")


_WITHIN: Final = re.compile(r"\.(?:sentences|regions)\[[0-9]+\]$")


def _told(where: str) -> str:
    """Return a reader's place with its byte spelled as in plain files."""
    return _BYTE.sub(r"byte \1", where)


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a base gives unharmed.

    Attributes:
        of_key: Row's key → its outputs.
        settled: source_id that one row has alone → its settled row.
        all_outputs: Every output.
    """

    of_key: dict[bytes, list[Output]]
    settled: dict[str, Output]
    all_outputs: Counter[Output]


@functools.cache
def _expected(source: str, index: int, profile: str) -> Expected:
    base = bases.all_bases()[source][index]
    with written(base.files) as folder:
        outcome = read(base, profile, folder, sorted(base.files))
    if outcome.refusal is not None:
        raise SystemExit(f"{base.source}, {base.label}: refused before anything was done to it\n{outcome.refusal}")
    by_place = _by_place(outcome)
    of_key = {}
    for row in documents.rows(base.form, base.files, base.karpathy):
        if row.key is not None:
            outputs = by_place.get(_place(base, "plain", row), [])
            assert outputs, f"{base}: nothing of {row}"
            of_key[row.key] = sorted(outputs, key=repr)
    ids = Counter(output[_SOURCE_ID] for _, output in outcome.outputs)
    settled = {**outcome.pairs, **outcome.rejected}
    return Expected(
        of_key,
        {name: settled[name] for name, count in ids.items() if count == 1},
        Counter(output for _, output in outcome.outputs),
    )


def _by_place(outcome: Outcome) -> dict[str, list[Output]]:
    found: dict[str, list[Output]] = defaultdict(list)
    for where, output in outcome.outputs:
        found[_told(where)].append(output)
    return found


@contextlib.contextmanager
def written(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Write files into a folder that goes when it is done with."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_SCRATCH))
    try:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        yield folder
    finally:
        shutil.rmtree(folder)


#: Memory, where the system has it as a folder.
_SCRATCH: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def check(case: Case, outcome: Outcome, folder: Path) -> tuple[list[str], Counter[str]]:
    """Return what is wrong with a case's outcome, and the counts that it adds."""
    base = case.base
    expected = _expected(base.source, bases.all_bases()[base.source].index(base), case.profile)
    counts: Counter[str] = Counter(cases=1)
    rows: list[documents.Row] | None = None
    unreadable: documents.Unreadable | None = None
    try:
        rows = documents.rows(base.form, case.files if case.files is not None else _unpacked(case), base.karpathy)
    except documents.Unreadable as error:
        unreadable = error
    known = [row for row in rows or [] if row.key in expected.of_key]
    counts["rows"] = len(rows or [])
    if outcome.refusal is not None:
        counts["refused"] = 1
        counts["untouched_in_refused"] = len(known)
        return _of_refusal(case, outcome.refusal, rows, known, unreadable, expected, folder), counts
    counts["rejected"] = len(outcome.rejected)
    if rows is None:
        # Python's own modules do not read the container, or the reading here not its text: then nothing may be missing.
        same = Counter(output for _, output in outcome.outputs) == expected.all_outputs
        return ([] if same else ["read in part, or as something else, what cannot be read whole"]), counts
    return _of_rows(case, outcome, rows, known, expected, counts), counts


def _unpacked(case: Case) -> dict[str, bytes]:
    """Return the plain files of a case with a damaged container, as Python's own modules read it.

    Lines are also what a container is whose head is gone: text that happens to hold odd lines.

    Raises:
        documents.Unreadable: They cannot.
    """
    assert case.damaged is not None
    content = case.disk[case.damaged]
    try:
        inside = mutations.unpack(case.packing, content)
    except Exception as error:  # noqa: BLE001  they raise whatever they meet
        if case.damaged in case.base.files and compression_of(content[:HEAD]) == "plain":
            return {**case.base.files, case.damaged: content}
        raise documents.Unreadable(str(error)) from None
    if case.packing in ("zip", "tar", "tar.gz"):
        apart = {name: case.base.files[name] for name in case.base.files if name == case.base.karpathy}
        named = {str(name): content for name, content in inside.items()}
        if set(named) != set(_annotations(case.base)):
            raise documents.Unreadable(f"other members: {sorted(named)}")
        return {**named, **apart}
    return {**case.base.files, case.damaged: inside[None]}


def _of_rows(
    case: Case,
    outcome: Outcome,
    rows: Sequence[documents.Row],
    known: Sequence[documents.Row],
    expected: Expected,
    counts: Counter[str],
) -> list[str]:
    """Return what is wrong with rows that were read."""
    problems: list[str] = []
    by_place = _by_place(outcome)
    counts["untouched"] = len(known)
    # bzip2 counts bytes within blocks, so that places of large files, and of several streams, are not those of the text.
    small = max(map(len, (case.files or {}).values()), default=0) < BLOCK_BYTES
    placed = case.damaged is None and (case.packing != "bzip2" or small)
    every = Counter(output for _, output in outcome.outputs)
    for row in known:
        assert row.key is not None
        wanted = expected.of_key[row.key]
        place = _place(case.base, case.packing, row)
        found = sorted(by_place.get(place, []), key=repr) if placed else wanted
        if found == wanted and all(every[output] >= count for output, count in Counter(wanted).items()):
            counts["identical"] += 1
        else:
            problems.append(f"untouched row changed at {place}\n  before: {wanted}\n  after:  {found}")
    if placed:
        # Where an image is no good, what is in it leaves with it, at its place.
        told = {_WITHIN.sub("", place) for place in by_place}
        places = {_WITHIN.sub("", _place(case.base, case.packing, row)) for row in rows}
        if not (case.base.form == "records" and b"\r" in next(iter((case.files or {}).values()))):
            problems += [f"a row is gone: {place}" for place in sorted(places - told)[:3]]
            problems += [f"a row from nowhere: {place}" for place in sorted(told - places)[:3]]
    return problems + _of_settling(case, outcome, known, expected)


def _of_settling(case: Case, outcome: Outcome, known: Sequence[documents.Row], expected: Expected) -> list[str]:
    """Return what is wrong with ids, and with the rows that leave the stage."""
    problems = []
    settled = {**outcome.pairs, **outcome.rejected}
    if outcome.settled_rows != len(outcome.outputs) or len(settled) != len(outcome.outputs):
        problems.append(f"{len(outcome.outputs)} rows in, {outcome.settled_rows} out under {len(settled)} ids")
        return problems
    ids = Counter(output[_SOURCE_ID] for _, output in outcome.outputs)
    wanted = {
        name if number == 1 else f"{name}#{number}" for name, count in ids.items() for number in range(1, count + 1)
    }
    if wanted != set(settled):
        problems.append(f"ids are not numbered as they should be: {sorted(wanted ^ set(settled))[:4]}")
        return problems
    for row in known:
        assert row.key is not None
        for output in expected.of_key[row.key]:
            name = output[_SOURCE_ID]
            if ids[name] == 1 and name in expected.settled and settled[name] != expected.settled[name]:
                problems.append(
                    f"untouched row settled otherwise: {name}\n  {expected.settled[name]}\n  {settled[name]}"
                )
    pair_ids = PAIRS.names.index("pair_id")
    problems += [
        f"pair_id is not that of {name}"
        for name, row in outcome.pairs.items()
        if row[pair_ids] != keys.pair_id(case.base.source, name)
    ][:1]
    return problems


def _of_refusal(
    case: Case,
    refusal: PmdError,
    rows: Sequence[documents.Row] | None,
    known: Sequence[documents.Row],
    unreadable: documents.Unreadable | None,
    expected: Expected,
    folder: Path,
) -> list[str]:
    """Return what is wrong with a refusal: its words, or that it is one."""
    told = str(refusal)
    problems = []
    on_disk = case.target if case.target in case.disk else mutations.archive_name(_annotations(case.base))
    if not refusal.problem or str(folder / on_disk) not in told:
        problems.append(f"the refusal does not name {case.target}")
    if not (refusal.expected or refusal.found) or not refusal.remedy:
        problems.append("the refusal does not say what was expected or found, or what to do")
    broken_at = None if unreadable is None or case.damaged is not None else unreadable.byte
    # A bad image in Karpathy's file may come before the byte at which it stops being JSON: it is refused with its number.
    if broken_at is not None and not re.search(r":(?:decompressed )?byte [0-9]|\[[0-9]+\]$", refusal.where or ""):
        problems.append(f"the document is no JSON at byte {broken_at}, and the refusal names no place")
    pairs = [row for row in known if any(output[_REASON] is None for output in expected.of_key[row.key or b""])]
    if rows is not None and pairs and not _justified(case, rows, pairs):
        problems.append(f"refused, though {len(pairs)} untouched rows that were pairs stand in a file of its form")
    return [f"{problem}\n{told}" for problem in problems]


def _justified(case: Case, rows: Sequence[documents.Row], pairs: Sequence[documents.Row]) -> bool:
    """Return whether files in which untouched rows stand may be refused.

    A damaged container may, and so may a document whose structure is broken (which has no rows, so that this is not
    asked), a database (SQLite says what is one), Karpathy's file where an image has no split, a document whose kind is
    out of sight behind a field of `HEAD_BYTES`, and lines none of the first of which are a row of the source.
    """
    base = case.base
    if case.damaged is not None or base.form == "dump" or case.target == base.karpathy:
        return True
    assert case.files is not None
    if base.form in ("lines", "narratives"):
        heads = {id(row) for row in rows[:HEAD_LINES]}
        return not any(id(row) in heads for row in pairs)
    changed = case.files[case.target]
    if base.form in documents.JSON_FORMS:
        return len(changed) > len(base.files[case.target]) + HEAD_BYTES
    return False


# ----------------------------------------------------------------------------------------------- workers


class TooSlow(BaseException):
    """A case took longer than `LIMIT_S`."""


def _ring(_signal: int, _frame: object) -> None:
    raise TooSlow


def run_case(case: Case) -> tuple[list[str], Counter[str]]:
    """Run a case under the time limit; return its problems and counts. A crash is a problem that begins so."""
    signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        with written(case.disk) as folder:
            try:
                outcome = read(case.base, case.profile, folder, sorted(case.disk))
            except Exception:  # noqa: BLE001  a crash is what is looked for
                return [f"crash: {traceback.format_exc()}"], Counter(cases=1, crashes=1)
            try:
                problems, counts = check(case, outcome, folder)
            except Exception:  # noqa: BLE001  ours, to be mended too
                return [f"the check itself failed: {traceback.format_exc()}"], Counter(cases=1, violations=1)
    except TooSlow:
        return [f"crash: not done in {LIMIT_S} s"], Counter(cases=1, crashes=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    counts["violations"] = len(problems)
    return problems, counts


def _limit_memory(more: int) -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


@dataclasses.dataclass
class Done:
    """What a worker reports of one case: number, source, mutation, problems, counts, its process's peak in KiB."""

    number: int
    source: str
    mutation: str
    problems: list[str]
    counts: Counter[str]
    peak_kib: int


def _work(seed: int, numbers: Sequence[int], names: Sequence[str], results: Connection) -> None:
    for source in names:  # before memory is limited
        for index in range(len(bases.all_bases()[source])):
            for profile in PROFILES:
                _expected(source, index, profile)
    _limit_memory(LIMIT_BYTES)
    gc.freeze()
    for number in numbers:
        case = make_case(seed, number, names)
        problems, counts = run_case(case)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results.send(Done(number, case.base.source, case.mutation, problems, counts, peak))
    results.close()


@dataclasses.dataclass
class _Worker:
    process: Any
    results: Connection
    left: list[int]
    seen: float


def _start(seed: int, numbers: list[int], names: Sequence[str]) -> _Worker:
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(seed, numbers, names, send), daemon=True)
    process.start()
    send.close()
    return _Worker(process, receive, numbers, time.monotonic() + HUNG_S)


def fuzz(seed: int, numbers: Sequence[int], names: Sequence[str], processes: int) -> Iterator[Done]:
    """Run cases in processes of their own; a process that dies or hangs is a crash of its case, and another takes over."""
    bases.all_bases()
    workers = [
        _start(seed, mine, names) for mine in (list(numbers[first::processes]) for first in range(processes)) if mine
    ]
    while workers:
        ready = wait([worker.results for worker in workers], timeout=1)
        for worker in list(workers):
            if worker.results in ready:
                try:
                    done = worker.results.recv()
                except EOFError:
                    worker.process.join()
                    workers.remove(worker)
                    if worker.left:
                        yield _lost(
                            seed, worker.left[0], names, f"the process died: exit code {worker.process.exitcode}"
                        )
                        workers.append(_start(seed, worker.left[1:], names))
                    continue
                worker.left = worker.left[1:] if worker.left[0] == done.number else worker.left
                worker.seen = time.monotonic()
                yield done
            elif time.monotonic() - worker.seen > HUNG_S:
                worker.process.kill()  # seen as a death in the next round
                worker.seen = time.monotonic()


def _lost(seed: int, number: int, names: Sequence[str], why: str) -> Done:
    case = make_case(seed, number, names)
    return Done(number, case.base.source, case.mutation, [f"crash: {why}"], Counter(cases=1, crashes=1), 0)


# ----------------------------------------------------------------------------------------- endless files

MIB: Final = 1 << 20


def _repeat(path: Path, head: bytes, unit: bytes, size: int) -> None:
    """Write a head, and a unit again and again up to a size, compressed as the name ends."""
    opener: Callable[..., Any] = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix, open)
    block = unit * (MIB // len(unit))
    with opener(path, "wb") as file:
        file.write(head)
        for _ in range(size // MIB):
            file.write(block)


_COCO_HEAD: Final = b'{"licenses": [], "images": [{"id": 1, "file_name": "a.jpg"}], "annotations": ['
_VG_TABLE: Final = (
    b'[{"image_id": 1, "url": "http://a/b/1.jpg", "width": 9, "height": 9, "coco_id": null, "flickr_id": null}]'
)
_WIT_HEAD: Final = "\t".join(
    ("language", "page_url", "image_url", "page_title", "section_title", "hierarchical_section_title",
     "caption_reference_description", "caption_attribution_description", "caption_alt_text_description", "mime_type",
     "original_height", "original_width", "is_main_image", "attribution_passes_lang_id", "page_changed_recently",
     "context_page_description", "context_section_description")
).encode() + b"\n"  # fmt: skip

#: Name → (source, file, what it begins with, what follows without an end).
ENDLESS: Final[dict[str, tuple[str, str, bytes, bytes]]] = {
    "line": ("conceptual_12m", "cc12m.tsv", b"http://a/b.jpg\ta caption\n", b"word "),
    "line in gzip": ("yfcc100m", "yfcc100m_dataset.gz", b"", b"\0"),
    "line in bzip2": ("conceptual_captions", "Train.tsv.bz2", b"a caption\thttp://a/b.jpg\n", b"a"),
    "JSON line": ("localized_narratives__flickr30k", "flickr30k_train.jsonl", b'{"dataset_id": "', b"a"),
    "quoted field": ("wit", "wit_v1.train.all.tsv", _WIT_HEAD + b'"', b"a line\n"),
    "columns": ("wit", "wit_v1.train.all.tsv.gz", _WIT_HEAD, b"\t"),
    "JSON string": ("coco", "captions_train2017.json", _COCO_HEAD + b'{"caption": "', b"a"),
    "JSON string of escapes": ("coco", "captions_train2017.json.gz", _COCO_HEAD + b'{"caption": "', rb"\""),
    "JSON number": ("sbu_captions", "sbu-captions-all.json", b'{"image_urls": [', b"1"),
    "JSON lists in lists": ("coco", "captions_train2017.json", _COCO_HEAD, b"["),
    "JSON objects in objects": ("red_caps", "pics_2017.json", b'{"annotations": [', b'{"a":'),
    "JSON element": ("visual_genome", "region_descriptions.json", b'[{"id": 1, "regions": [', b'{"phrase": "a"}, '),
    "JSON element before the lists": ("coco", "captions_train2017.json", b'{"info": [', b'{"phrase": "a"}, '),
    "JSON keys": ("red_caps", "pics_2017.json", b'{"annotations": [{', b'"k": 1, '),
    "JSON white space": ("red_caps", "pics_2017.json", b'{"annotations": [', b" "),
    "nothing but zeros": ("sbu_captions", "sbu-captions-all.json", b"", b"\0"),
}  # fmt: skip


def _tar_of_a_name(kind: bytes) -> bytes:
    """Return a tar whose first header announces a name, or a set of attributes, of eight gigabytes."""
    header = bytearray(512)
    header[0:13], header[100:107], header[124:136] = b"././@LongLink", b"0000644", b"77777777777\0"
    header[156:157], header[257:265], header[148:156] = kind, b"ustar\x0000", b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"a" * 4096


def endless(size: int) -> Iterator[tuple[str, str, str, float, float]]:
    """Read endless files of a size; yield (name, source, outcome or what is wrong with it, peak in MB, seconds)."""
    for name, (source, file, head, unit) in ENDLESS.items():
        with written({"image_data.json": _VG_TABLE} if source == "visual_genome" else {}) as folder:
            _repeat(folder / file, head, unit, size)
            yield name, source, *_apart(source, folder)
    for name, kind in (("tar: long name", b"L"), ("tar: attributes", b"x"), ("tar: global attributes", b"g")):
        with written({"annotations.tar": _tar_of_a_name(kind)}) as folder:
            yield name, "sbu_captions", *_apart("sbu_captions", folder)
    with written({}) as folder:
        with (
            zipfile.ZipFile(folder / "annotations.zip", "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("captions_train2017.json", "w") as member,
        ):
            member.write(_COCO_HEAD + b'{"caption": "')
            for _ in range(size // MIB):
                member.write(b"a" * MIB)
        yield "JSON string in a zip bomb", "coco", *_apart("coco", folder)


def _apart(source: str, folder: Path) -> tuple[str, float, float]:
    """Read files in a process of their own; return the outcome, its peak of memory beyond the start's, and its time."""
    receive, send = multiprocessing.get_context("fork").Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_read_apart, args=(source, folder, send))
    begun = time.monotonic()
    process.start()
    send.close()
    try:
        outcome, peak = receive.recv() if receive.poll(6 * LIMIT_S) else ("crash: not done in time", 0)
    except EOFError:
        outcome, peak = "crash: the process died", 0
    process.kill()
    process.join()
    if peak > ENDLESS_BYTES:
        outcome = f"violation: {peak / 1e6:.0f} MB at its peak"
    return outcome, peak / 1e6, time.monotonic() - begun


def _read_apart(source: str, folder: Path, results: Connection) -> None:
    _limit_memory(2 * LIMIT_BYTES)
    base = Base(source, "endless", "lines", {})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome = read(base, "paper", folder, sorted(path.name for path in folder.iterdir()))
        told = "violation: read to its end" if outcome.refusal is None else f"refused: {outcome.refusal.problem}"
    except BaseException:  # noqa: BLE001  a crash is what is looked for
        told = f"crash: {traceback.format_exc()}"
    results.send((told, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)))


# ------------------------------------------------------------------------------------------- whole runs


def whole(case: Case) -> list[str]:
    """Run `pmd curate` on a case; return what is wrong: another outcome than below Beam, or a traceback."""
    with written(case.disk) as folder:
        below = read(case.base, case.profile, folder, sorted(case.disk))
        names = [str(folder / name) for name in sorted(case.disk) if name != case.base.karpathy]
        held = (
            f'karpathy = "{folder / case.base.karpathy}"\nexclude_karpathy = "val_and_test"\n'
            if case.base.karpathy
            else ""
        )
        (folder / "pmd.toml").write_text(
            f'root = "{folder}/root"\nprofile = "{case.profile}"\ncontact = "mailto:fuzz@example.org"\n'
            f"[sources.{case.base.source}]\nannotations = {json.dumps(names)}\n{held}"
        )
        run = subprocess.run(
            [sys.executable, "-m", "pmd", "curate", str(folder / "pmd.toml")],
            capture_output=True,
            text=True,
            check=False,
            timeout=6 * LIMIT_S,
            cwd=ROOT,
        )
        said = run.stdout + run.stderr
        if "Traceback" in said:
            return [f"whole run: a traceback\n{said}"]
        if below.refusal is not None:
            same = run.returncode == below.refusal.exit_code and below.refusal.problem in said
            return [] if same else [f"whole run: exit code {run.returncode}, not\n{below.refusal}\n{said}"]
        committed = {
            name: [
                row
                for path in (folder / f"root/curate/source={case.base.source}/{name}").glob("*.parquet")
                for row in pq.read_table(path)["pair_id"].to_pylist()
            ]
            for name in ("pairs", "rejected")
        }
        for name, rows in (("pairs", below.pairs), ("rejected", below.rejected)):
            wanted = sorted(keys.pair_id(case.base.source, source_id) for source_id in rows)
            if run.returncode or sorted(committed[name]) != wanted:
                return [f"whole run: {name} differ from those below Beam, exit code {run.returncode}\n{said}"]
    return []


# ---------------------------------------------------------------------------------------------- the run


def _keep(out: Path, seed: int, case: Case, problems: Sequence[str], names: Sequence[str]) -> None:
    """Leave a failing case's files, what was found and the command that repeats it."""
    folder = out / f"case-{case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in case.disk.items():
        (folder / name).write_bytes(content)
    chosen = "" if len(names) == len(bases.all_bases()) else "".join(f" --source {name}" for name in names)
    command = f"python benchmarks/fuzz.py --seed {seed} --only {case.number}{chosen}"
    about = f"{case.base.source}, {case.base.label}; {case.packing}; {case.profile}; {case.mutation} in {case.target}"
    (folder / "failure.txt").write_text("\n\n".join([command, about, *problems]) + "\n", errors="backslashreplace")


def _summary(seconds: float, tables: Mapping[str, Mapping[str, Counter[str]]], **more: Any) -> dict[str, Any]:
    total: Counter[str] = sum(tables["by_source"].values(), Counter())
    return {
        **{name: total[name] for name in COUNTS},
        **{
            table: {key: {name: counts[name] for name in COUNTS} for key, counts in sorted(found.items())}
            for table, found in tables.items()
        },
        **more,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Run, print, and exit with 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", action="append", choices=sources.names(), help="only this source; may be repeated")
    parser.add_argument("--only", type=int, help="run this case alone, and say what is wrong with it")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--whole", type=int, default=12, help="cases to run as `pmd curate` too")
    parser.add_argument("--endless-mib", type=int, default=256, help="size of the endless files; 0 leaves them out")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    arguments = parser.parse_args()
    names = sorted(arguments.source or sources.names())
    pa.set_cpu_count(1)
    if arguments.only is not None:
        case = make_case(arguments.seed, arguments.only, names)
        problems, counts = run_case(case)
        _keep(arguments.out, arguments.seed, case, problems, names)
        print((arguments.out / f"case-{case.number}" / "failure.txt").read_text(), dict(counts))
        raise SystemExit(1 if problems else 0)
    arguments.out.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    tables: dict[str, dict[str, Counter[str]]] = {
        "by_source": defaultdict(Counter),
        "by_mutation": defaultdict(Counter),
    }
    failures, peak_kib, told = 0, 0, begun
    for number, done in enumerate(fuzz(arguments.seed, range(arguments.cases), names, arguments.processes), 1):
        tables["by_source"][done.source].update(done.counts)
        tables["by_mutation"][done.mutation].update(done.counts)
        peak_kib = max(peak_kib, done.peak_kib)
        if done.problems:
            failures += 1
            case = make_case(arguments.seed, done.number, names)
            _keep(arguments.out, arguments.seed, case, done.problems, names)
            print(
                f"case {done.number}, {done.source}, {done.mutation}: {done.problems[0].strip().splitlines()[-1][:200]}",
                flush=True,
            )
        if time.monotonic() - told > 20:
            told = time.monotonic()
            print(
                f"{number:,} of {arguments.cases:,} cases, {number / (told - begun):.0f}/s, {failures} failed",
                flush=True,
            )
            so_far = _summary(
                told - begun, tables, failures=failures, peak_mb=round(peak_kib / 1024), seed=arguments.seed
            )
            (arguments.out / "so-far.json").write_text(json.dumps(so_far))
    cases_s = time.monotonic() - begun
    of_endless = []
    if arguments.endless_mib:
        for name, source, outcome, peak_mb, seconds in endless(arguments.endless_mib * MIB):
            if source in names:
                of_endless.append(
                    {
                        "name": name,
                        "source": source,
                        "outcome": outcome,
                        "peak_mb": round(peak_mb),
                        "s": round(seconds, 1),
                    }
                )
                print(
                    f"endless {name} ({source}): {outcome.strip().splitlines()[-1]}, {peak_mb:.0f} MB, {seconds:.1f} s",
                    flush=True,
                )
    wholes = 0
    for number in range(arguments.whole):
        problems = whole(make_case(arguments.seed, number, names))
        wholes += 1
        for problem in problems:
            print(f"case {number}: {problem}", flush=True)
        failures += bool(problems)
    failures += sum(not entry["outcome"].startswith("refused") for entry in of_endless)
    result = _summary(
        cases_s,
        tables,
        failures=failures,
        peak_mb=round(peak_kib / 1024),
        endless=of_endless,
        whole_runs=wholes,
        seed=arguments.seed,
    )
    print(json.dumps(result))
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
