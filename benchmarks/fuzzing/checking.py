"""What is wrong with what became of a case: rows that changed, that are gone or from nowhere, refusals without a reason."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gzip
import io
import re
import tarfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.fuzzing import bases, documents, mutations
from benchmarks.fuzzing.bases import Base
from benchmarks.fuzzing.cases import Case
from benchmarks.fuzzing.reading import REASON, SOURCE_ID, Outcome, Output, read, written
from pmd.errors import PmdError
from pmd.formats.archives import MEMBER_SEPARATOR
from pmd.formats.streams import HEAD_BYTES as MAGIC_BYTES
from pmd.formats.streams import compression_of
from pmd.schema import keys
from pmd.schema.tables import PAIRS

#: Lines that readers look at to tell whether a file is theirs.
HEAD_LINES: Final = 100
#: A field over this pushes what tells a JSON document's kind out of its head.
HEAD_BYTES: Final = 60_000
#: How UTF-16 and UTF-32 begin.
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
#: Plain bytes that fit one block of bzip2 at level 1.
BLOCK_BYTES: Final = 90_000


def _annotations(base: Base) -> dict[str, bytes]:
    """Return the files of a base but for Karpathy's, where that only says what is held out."""
    return {name: content for name, content in base.files.items() if name != base.karpathy}


def _place(base: Base, packing: str, row: documents.Row) -> str:
    """Return where a row's outputs say that it stands."""
    location = row.document
    if packing in ("zip", "tar", "tar.gz") and row.document != base.karpathy:
        location = mutations.archive_name(_annotations(base)) + MEMBER_SEPARATOR + row.document
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
def expected(source: str, index: int, profile: str) -> Expected:
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
    ids = Counter(output[SOURCE_ID] for _, output in outcome.outputs)
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


def check(case: Case, outcome: Outcome, folder: Path) -> tuple[list[str], Counter[str]]:
    """Return what is wrong with a case's outcome, and the counts that it adds."""
    base = case.base
    before = expected(base.source, bases.all_bases()[base.source].index(base), case.profile)
    counts: Counter[str] = Counter(cases=1)
    rows: list[documents.Row] | None = None
    unreadable: documents.Unreadable | None = None
    try:
        rows = documents.rows(base.form, case.files if case.files is not None else _unpacked(case), base.karpathy)
    except documents.Unreadable as error:
        unreadable = error
    known = [row for row in rows or [] if row.key in before.of_key]
    counts["rows"] = len(rows or [])
    if outcome.refusal is not None:
        counts["refused"] = 1
        counts["untouched_in_refused"] = len(known)
        return _of_refusal(case, outcome.refusal, rows, known, unreadable, before, folder), counts
    counts["rejected"] = len(outcome.rejected)
    if rows is None:
        # Python's own modules do not read the container, or the reading here not its text: then nothing may be missing.
        # A plain tar has no directory: of one that ends in zeros nobody can say that it held more.
        found = Counter(output for _, output in outcome.outputs)
        cut = unreadable is not None and unreadable.cut
        same = found <= before.all_outputs if cut else found == before.all_outputs
        return ([] if same else ["read in part, or as something else, what cannot be read whole"]), counts
    return _of_rows(case, outcome, rows, known, before, counts), counts


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
        text = content
        if compression_of(content[:MAGIC_BYTES]) == "gzip":
            with contextlib.suppress(EOFError, OSError, zlib.error):
                text = gzip.decompress(content)
        if case.damaged in case.base.files and compression_of(text[:MAGIC_BYTES]) == "plain":
            return {**case.base.files, case.damaged: text}
        raise documents.Unreadable(str(error)) from None
    if case.packing in ("zip", "tar", "tar.gz"):
        apart = {name: case.base.files[name] for name in case.base.files if name == case.base.karpathy}
        named = {str(name): content for name, content in inside.items()}
        if set(named) != set(_annotations(case.base)):
            cut = case.packing == "tar" or (case.packing == "tar.gz" and _ends_in_zeros(gzip.decompress(content)))
            raise documents.Unreadable(f"other members: {sorted(named)}", cut=cut)
        return {**named, **apart}
    return {**case.base.files, case.damaged: inside[None]}


def _ends_in_zeros(tar: bytes) -> bool:
    """Return whether nothing follows the last member that Python's own module finds."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        ends = [info.offset_data + -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE for info in archive]
    return not any(tar[max(ends, default=0) :])


def _of_rows(
    case: Case,
    outcome: Outcome,
    rows: Sequence[documents.Row],
    known: Sequence[documents.Row],
    before: Expected,
    counts: Counter[str],
) -> list[str]:
    """Return what is wrong with rows that were read."""
    problems: list[str] = []
    by_place = _by_place(outcome)
    counts["untouched"] = len(known)
    # bzip2 counts bytes within blocks, so that places of large files, and of several streams, are not those of the text.
    small = max(map(len, (case.files or {}).values()), default=0) < BLOCK_BYTES
    # A damaged database may give one photo id twice.
    placed = case.damaged is None and case.base.form != "dump" and (case.packing != "bzip2" or small)
    every = Counter(output for _, output in outcome.outputs)
    for row in known:
        assert row.key is not None
        wanted = before.of_key[row.key]
        place = _place(case.base, case.packing, row)
        found = sorted(by_place.get(place, []), key=repr) if placed else wanted
        if found == wanted and all(every[output] >= count for output, count in Counter(wanted).items()):
            counts["identical"] += 1
        else:
            problems.append(f"untouched row changed at {place}\n  before: {wanted}\n  after:  {found}")
    if placed and case.base.form != documents.UNREAD:
        # Where an image is no good, what is in it leaves with it, at its place.
        told = {_WITHIN.sub("", place) for place in by_place}
        places = {_WITHIN.sub("", _place(case.base, case.packing, row)) for row in rows}
        if not (case.base.form == "records" and b"\r" in next(iter((case.files or {}).values()))):
            problems += [f"a row is gone: {place}" for place in sorted(places - told)[:3]]
            problems += [f"a row from nowhere: {place}" for place in sorted(told - places)[:3]]
    return problems + _of_settling(case, outcome, known, before)


def _of_settling(case: Case, outcome: Outcome, known: Sequence[documents.Row], before: Expected) -> list[str]:
    """Return what is wrong with ids, and with the rows that leave the stage."""
    problems = []
    settled = {**outcome.pairs, **outcome.rejected}
    if outcome.settled_rows != len(outcome.outputs) or len(settled) != len(outcome.outputs):
        problems.append(f"{len(outcome.outputs)} rows in, {outcome.settled_rows} out under {len(settled)} ids")
        return problems
    ids = Counter(output[SOURCE_ID] for _, output in outcome.outputs)
    wanted = {
        name if number == 1 else f"{name}#{number}" for name, count in ids.items() for number in range(1, count + 1)
    }
    if wanted != set(settled):
        problems.append(f"ids are not numbered as they should be: {sorted(wanted ^ set(settled))[:4]}")
        return problems
    for row in known:
        assert row.key is not None
        for output in before.of_key[row.key]:
            name = output[SOURCE_ID]
            if ids[name] == 1 and name in before.settled and settled[name] != before.settled[name]:
                problems.append(f"untouched row settled otherwise: {name}\n  {before.settled[name]}\n  {settled[name]}")
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
    before: Expected,
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
    empty = case.files is not None and not case.files.get(case.target)
    broken_at = None if unreadable is None or case.damaged is not None or empty else unreadable.byte
    # A bad image in Karpathy's file may come before the byte at which it stops being JSON: it is refused with its number.
    if broken_at is not None and not re.search(r":(?:decompressed )?byte [0-9]|\[[0-9]+\]$", refusal.where or ""):
        problems.append(f"the document is no JSON at byte {broken_at}, and the refusal names no place")
    pairs = [row for row in known if any(output[REASON] is None for output in before.of_key[row.key or b""])]
    if rows is not None and pairs and not _justified(case, rows, pairs):
        problems.append(f"refused, though {len(pairs)} untouched rows that were pairs stand in a file of its form")
    return [f"{problem}\n{told}" for problem in problems]


def _justified(case: Case, rows: Sequence[documents.Row], pairs: Sequence[documents.Row]) -> bool:
    """Return whether files in which untouched rows stand may be refused.

    A damaged container may, and so may a document whose structure is broken (which has no rows, so that this is not
    asked), a database (SQLite says what is one), Karpathy's file where an image has no split, a document whose kind is
    out of sight behind a field of `HEAD_BYTES`, a text that begins as UTF-16 does, and lines none of the first of which are a
    row of the source.
    """
    base = case.base
    if case.damaged is not None or base.form == "dump" or case.target == base.karpathy:
        return True
    assert case.files is not None
    changed = case.files[case.target]
    if changed.startswith(_WIDE):
        return True
    if base.form in ("lines", "narratives"):
        heads = {id(row) for row in rows[:HEAD_LINES]}
        return not any(id(row) in heads for row in pairs)
    if base.form in documents.JSON_FORMS:
        return len(changed) > len(base.files[case.target]) + HEAD_BYTES
    return False
