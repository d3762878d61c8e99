"""The annotation files of a configured source: globs expanded, sizes read, missing ones told all at once."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pmd import escape, flow, sources
from pmd.config import Config, SourceConfig, places
from pmd.errors import InputError
from pmd.formats import archives, compression, encoding
from pmd.sources.contract import InputFile
from pmd.sources.records import DESCRIBING
from pmd.store import root, storage, withdrawn
from pmd.terminal import bar

#: Members that an error shows.
_SHOWN: Final = 5
#: What tells parts of one thing from each other ("00000-of-00010"), which nobody mistypes for another.
_DIGITS: Final = re.compile("[0-9]+")
#: How browsers, curl's wrappers and the Hub's client call what they have not fetched whole; aria2 what it notes beside it.
_UNFINISHED: Final = (
    ".part",
    ".partial",
    ".crdownload",
    ".download",
    ".opdownload",
    ".filepart",
    ".incomplete",
    ".aria2",
)
_NOTE_BESIDE: Final = ".aria2"
#: How files of lines end that need nothing at their end, and which size tells a download from a sample.
_LINES: Final = ".tsv"
_NO_SAMPLE_BYTES: Final = 2**20
#: A part of several, whose name says of how many: "train-00003-of-00010.parquet". Of those with a digest behind it, as pmd's
#: own, parts without rows are left out.
_SHARD: Final = re.compile(r"(?P<before>.*?)(?P<number>[0-9]{2,6})-of-(?P<count>[0-9]{2,6})(?P<behind>(?:\.[^/]*)?)")
#: How like each other two names of files must be, 0…1, for one to be mistyped for the other.
_NEAR: Final = 0.9


class MissingFiles(InputError):
    """Files that are not there, one a line."""

    def __init__(self, problems: Sequence[str], remedy: str | None = None) -> None:
        super().__init__("\n".join(problems), remedy=remedy)
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return MissingFiles, (self.problems, self.remedy)

    def __str__(self) -> str:
        remedy = [f"  remedy: {self.remedy}"] if self.remedy else []
        return "\n".join([*map(escape.terminal, self.problems), *remedy])


def files(source: SourceConfig) -> list[InputFile]:
    """Return the annotation files of one source, sorted by path.

    Raises:
        InputError: A path or glob matches nothing, or a file that is empty, or holds nothing once decompressed, or was not
            fetched whole, by its name.
    """
    problems = _missing(source)
    if problems:
        raise MissingFiles(problems)
    paths = _expand(source.annotations)
    for path in paths:
        storage.refuse_other_than_text(path, InputError)
    _refuse_second_names(source.name, paths)
    _refuse_unfinished(source.name, paths)
    if source.reader == "url_text":
        paths = sorted({*paths, *_withdrawn(paths)})
    inputs = [InputFile(path, storage.size(archives.split_member(path)[0])) for path in paths]
    nothing = [file.path for file in inputs if not file.bytes or _holds_nothing(file.path)]
    if nothing:
        raise InputError(
            "the file is empty",
            where=", ".join(nothing),
            expected=f"annotations of {source.name}",
            found="0 bytes"
            if all(not file.bytes for file in inputs if file.path in nothing)
            else "0 decompressed bytes",
            remedy="fetch it again: a download that failed leaves such files; or take it out of the configuration",
        )
    return inputs


def _withdrawn(paths: Sequence[str]) -> Iterator[str]:
    """Yield the lists of what has left that stand beside files of published lists: their rows depend on these, too."""
    named = [path for path in paths if posixpath.basename(path) == flow.WITHDRAWN]
    wholes = {archives.split_member(path)[0] for path in paths}
    above = {folder for path in wholes for folder in withdrawn.near(storage.above(path))}
    for path in (storage.join(folder, flow.WITHDRAWN) for folder in above):
        if storage.exists(path) and not any(storage.is_same(path, one) for one in named):
            yield path


def _refuse_second_names(source: str, paths: Iterable[str]) -> None:
    """Refuse a local file that is named twice, through a link: each of its pairs would come twice.

    Raises:
        InputError: Names both.
    """
    first: dict[tuple[str, str | None], str] = {}
    real = functools.cache(os.path.realpath)  # a look at each folder above: once for all files of one
    for location in paths:
        path, member = archives.split_member(location)
        if not storage.is_local(path):
            continue
        there = real(path) if os.path.islink(path) else path
        place = os.path.join(real(os.path.dirname(there)), os.path.basename(there))
        other = first.setdefault((place, member), location)
        if other != location:
            raise InputError(
                "one file under two names, so that each of its pairs would come twice",
                where=f"[sources.{source}] annotations",
                expected="each file once",
                found=f"{other} and {location}, of which one is a link",
                remedy="take one of them out of `annotations`, or name the files one by one",
            )


def _refuse_unfinished(source: str, paths: Iterable[str]) -> None:
    """Refuse downloads that are under way, or were broken off: lines end anywhere, and what is missing would not be missed.

    Raises:
        InputError: Names them.
    """
    files = dict.fromkeys(archives.split_member(location)[0] for location in paths)
    begun = [path for path in files if path.lower().endswith(_UNFINISHED)]
    noted = [path + _NOTE_BESIDE for path in files if storage.is_local(path) and os.path.exists(path + _NOTE_BESIDE)]
    if found := list(dict.fromkeys([*begun, *noted])):
        raise InputError(
            "a download that was not finished",
            where=f"[sources.{source}] annotations",
            expected="files that were fetched whole",
            found=", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else ""),
            remedy="finish the download, or remove what is left of it; a file that is whole must be called otherwise",
        )


def check(config: Config, names: Iterable[str]) -> None:
    """Check that every file of the sources is there, before anything runs; other files are looked for in `pmd.config.load`.

    Raises:
        InputError: Names every path that is not, and the command that fetches it; or a source's empty files.
    """
    chosen = [config.sources[name] for name in names]
    problems = [problem for source in chosen for problem in _missing(source)]
    if problems:
        raise MissingFiles(problems, "fetch or move the files, or mend the paths in the configuration")
    for source in chosen:
        files(source)


def notes(config: Config) -> list[str]:
    """Return what a person should know before a build, though it is no mistake."""
    return [
        *_notes_of_root(config),
        *_karpathy_notes(config),
        *_columns_taken(config),
        *_notes_of_cut(config),
        *_notes_of_shards(config),
        *_notes_of_unreached(config),
    ]


def _notes_of_root(config: Config) -> list[str]:
    """Return that a new ROOT is begun, where one stands at which version 0.1.0 would have gone on: below the working folder."""
    if type(config.root) is not places.Placed or "://" in config.root or storage.exists(config.root):
        return []
    earlier = config.root.name
    if not storage.exists(storage.join(earlier, root.ROOT_FILE)):
        return []
    return [
        f"a new ROOT is begun, {config.root}: paths are relative to the folder of the configuration. Version 0.1.0 took them "
        f"from the working folder, where the ROOT {earlier} stands; to go on with that, move it there, or write its whole path"
    ]


def _karpathy_notes(config: Config) -> list[str]:
    unsaid = [
        name
        for name, source in sorted(config.sources.items())
        if getattr(source.options, "karpathy", None) == "none"
        and source.options.exclude_karpathy != "none"
        and "karpathy" not in source.given
    ]
    if not unsaid:
        return []
    return [
        f"{', '.join(unsaid)}: evaluation images of COCO stay in, since no file names them; "
        'give karpathy = "PATH" of dataset_coco.json, or karpathy = "none" if that is meant'
    ]


def _columns_taken(config: Config) -> list[str]:
    return [
        f"{name}: {note}"
        for name, source in sorted(config.sources.items())
        if source.reader is not None and not _missing(source)
        for note in sources.load_reader(source.reader).notes(files(source), source.options)
    ]


def _notes_of_cut(config: Config) -> list[str]:
    """Return which files of lines have upstream's name and a part of its bytes: what is missing at their end shows nowhere else.

    Programs that end half-way leave such files under their own name. What `head` has cut out of one is far smaller.
    """
    named = [
        (name, path)
        for name, source in sorted(config.sources.items())
        if source.reader is None
        for pattern in source.annotations
        if pattern.endswith(_LINES) and "://" not in pattern and archives.split_member(pattern)[1] is None
        for path in files_of(pattern)
        if storage.size(path) >= _NO_SAMPLE_BYTES
    ]
    if not named:
        return []
    from pmd import manifests  # here: few have such files

    whole = {(name, file.name): file.bytes for name, _ in named for file in manifests.load(name).files}
    return [
        f"{name}: {path} has {size:,} bytes, and upstream's {published:,}: a part of it, or a download that was cut short"
        for name, path in named
        if (published := whole.get((name, posixpath.basename(path)))) is not None
        and (size := storage.size(path)) < published
    ]


def _notes_of_shards(config: Config) -> list[str]:
    """Return which shards are not there of those whose names say how many there are, where a glob or a folder was to find all."""
    return [
        f"{name}: {note}"
        for name, source in sorted(config.sources.items())
        for note in _lacking([pattern for pattern in source.annotations if _is_of_files(pattern)])
    ]


def _is_of_files(pattern: str) -> bool:
    """Return whether a name or glob is of files of this machine: no archive is opened for a source that may not be built."""
    return "://" not in pattern and archives.split_member(pattern)[1] is None


def _lacking(patterns: Sequence[str]) -> Iterator[str]:
    numbers: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    sought: set[tuple[str, str, str]] = set()
    for pattern in patterns:
        for path in _files_matching(pattern):
            if (shard := _SHARD.fullmatch(path)) is not None:
                of = shard["before"], shard["count"], shard["behind"]
                numbers[of].add(int(shard["number"]))
                sought |= {of} if path != pattern else set()
    for before, count, behind in sorted(sought):
        found = numbers[before, count, behind]
        first = int(int(count) in found)  # some count from one
        lacking = sorted({*range(first, first + int(count))} - found)
        if lacking:
            shown = ", ".join(f"{number:0{len(count)}}" for number in lacking[:_SHOWN])
            more = ", …" if len(lacking) > _SHOWN else ""
            there = int(count) - len(lacking)
            are = "is" if there == 1 else "are"
            of_all = bar.amount(int(count), "shards")
            yield f"{there:,} of {of_all} {are} there of {before}*-of-{count}{behind}; missing: {shown}{more}"


def _notes_of_unreached(config: Config) -> list[str]:
    """Return which sources have files here where workers are elsewhere: they would fail there, minutes later, and for money."""
    if config.engine.name != "dataflow":
        return []
    here = {
        name: [path for path in (*source.annotations, *source.images) if "://" not in path]
        for name, source in sorted(config.sources.items())
    }
    return [
        f"{name}: Dataflow's workers do not reach {paths[0]}{f' and {len(paths) - 1} more' if paths[1:] else ''}, unless their "
        "image has it; name a path in a bucket (gs://…)"
        for name, paths in here.items()
        if paths
    ]


def notes_of_archives(source: SourceConfig, read: Iterable[InputFile]) -> list[str]:
    """Return what a person should know of archives of annotations that are about to be read: names that they have several times.

    Args:
        source: The source.
        read: Its annotation files (`files`).
    """
    karpathy = karpathy_of(source)
    paths = [file.path for file in read] + ([] if karpathy is None else [karpathy])
    there = dict.fromkeys(archives.split_member(path)[0] for path in paths)
    notes = (archives.note_of_repeated(path) for path in there if archives.is_archive(path))
    return [f"{source.name}: {note}" for note in notes if note is not None]


def archives_of(source: SourceConfig) -> list[str]:
    """Return the archives and folders of images of one source, sorted."""
    return _each_once(
        places.found(path, pattern) for pattern in source.images for path in (storage.glob(pattern) or [pattern])
    )


def karpathy_of(source: SourceConfig) -> str | None:
    """Return the path of Karpathy's `dataset_coco.json`, where a source's options name it."""
    path: str = getattr(source.options, "karpathy", "none")
    return None if path == "none" else path  # as it is: it may know that it was placed


def fingerprints(paths: Iterable[str]) -> dict[str, str]:
    """Return path, as the configuration has it → what changes when the file does."""
    return {places.written(path): storage.fingerprint(archives.split_member(path)[0]) for path in paths}


def local(paths: Iterable[str]) -> dict[str, str]:
    """Return path, as the configuration has it → its file, of those on this machine: object stores tell by their versions."""
    files = {places.written(path): archives.split_member(path)[0] for path in paths}
    return {name: file for name, file in files.items() if storage.is_local(file)}


def _expand(patterns: Iterable[str]) -> list[str]:
    return _each_once(places.found(path, pattern) for pattern in patterns for path in _files_matching(pattern))


def _files_matching(pattern: str) -> list[str]:
    archive, member = archives.split_member(pattern)
    if member is None:
        paths = files_of(archive)
        tables = [path for path in paths if path == archive or not DESCRIBING.fullmatch(posixpath.basename(path))]
        return tables or paths  # where nothing else is, that is told
    return [archives.location(path, name) for path in storage.glob(archive) for name in _members(path, member)]


def _each_once(paths: Iterable[str]) -> list[str]:
    """Return paths, sorted; one that is there in several spellings, relative and absolute, is as it comes first."""
    first: dict[str, str] = {}
    for path in paths:
        first.setdefault(os.path.abspath(path) if storage.is_local(path) else path, path)
    return sorted(first.values())


def _members(path: str, pattern: str) -> list[str]:
    """Return the members of an archive that a name or glob names; hidden ones only by name.

    Raises:
        InputError: A glob matches none.
    """
    if not any(character in pattern for character in "*?["):
        return [pattern]
    names = [entry.name for entry in archives.members(path)]
    if pattern in names:
        return [pattern]
    matching = [
        name for name in names if fnmatch.fnmatchcase(name, pattern) and not posixpath.basename(name).startswith(".")
    ]
    if not matching:
        raise InputError(
            "no member matches",
            where=path,
            expected=pattern,
            found=", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") if names else "no files",
            remedy="list the archive (unzip -l, tar -t) and mend the name in the configuration",
        )
    tables = [name for name in matching if not DESCRIBING.fullmatch(posixpath.basename(name))]
    return archives.each_once(path, tables or matching)


def files_of(pattern: str) -> list[str]:
    """Return the files that a path or glob names; a folder stands for every file below it but hidden ones."""
    paths = []
    for path in storage.glob(pattern) if pattern else []:
        if not storage.is_folder(path):
            paths.append(path)
            continue
        below = storage.list_files(path)
        paths += [
            storage.join(path, name) for name in below if not any(part.startswith(".") for part in name.split("/"))
        ]
    return paths


def _holds_nothing(location: str) -> bool:
    """Return whether a file has no bytes once it is decompressed; of an archive, whether none of its members has."""
    path, member = archives.split_member(location)
    if member is None and archives.is_archive(path):
        return not any(entry.bytes for entry in archives.members(path))
    with compression.open_decompressed(path, member) as file:
        head = file.read(encoding.HEAD_BYTES)
    return not encoding.without_mark(head, location)


def _missing(source: SourceConfig) -> list[str]:
    karpathy = karpathy_of(source)
    absent = [pattern for pattern in source.annotations if not files_of(archives.split_member(pattern)[0])]
    absent += [
        pattern
        for pattern in (*source.images, *([] if karpathy is None else [karpathy]))
        if not storage.glob(archives.split_member(pattern)[0])
    ]
    if source.reader is not None or not absent:
        return [f"{source.name}: {pattern} not found{_or_another(pattern)}" for pattern in absent]
    from pmd import manifests  # here: it is for who lacks something

    return [manifests.missing_hint(source.name, pattern) + _or_another(pattern) for pattern in absent]


def _or_another(pattern: str) -> str:
    """Return, for the end of a line, the file that may be meant by one that is not there: it stands beside it."""
    path, _ = archives.split_member(pattern)
    folder, name = posixpath.split(path)
    bare = _DIGITS.sub("", name)
    others = {_DIGITS.sub("", other).casefold(): other for other in storage.list_names(folder or ".")}
    others = {key: other for key, other in others.items() if _DIGITS.sub("", other) != bare}
    near = difflib.get_close_matches(bare.casefold(), others, n=1, cutoff=_NEAR)
    return f"; or did you mean {storage.join(folder, others[near[0]]) if folder else others[near[0]]}?" if near else ""
