"""The configuration: one TOML file, checked whole before anything starts, then one frozen object passed through.

Every mistake is found in one go, each with its line, what was expected, what was found and what to do. Paths in it are
relative to its own folder (`pmd.config.places`).
"""

from __future__ import annotations

import dataclasses
import json
import os
import posixpath
import re
import ssl
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from pmd import escape, flow, sources
from pmd.config import options, places, reference, remedies, resizing
from pmd.config.engine import LOCAL, Engine
from pmd.config.tables import TABLES, Tables
from pmd.errors import ConfigError, InputError
from pmd.formats import encoding
from pmd.sources.contract import PROFILES, Profile, SourceOptions
from pmd.store import lock, storage

if typing.TYPE_CHECKING:
    from pmd.manifests import Terms

#: What is no table.
_TOP_KEYS: Final = ("root", "profile", "seed", "contact", "sample", "takedown", "suppression")
_TOP: Final = (*_TOP_KEYS, "engine", "sources", "scores", *TABLES)
_ENDING: Final = ".toml"
_CONTACT_LENGTH: Final = 256
#: Of N of a sample of 1/N; more are over 64 bits.
_SAMPLE_DIGITS: Final = 19
#: Rows of a table of countries that are told.
_ROWS_TOLD: Final = 10
_CONTACT: Final = '"mailto:you@example.org", or a URL where you can be reached'
_Model = TypeVar("_Model", bound=BaseModel)


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """One source, as configured.

    Attributes:
        reader: What reads one that is none of the project's own; of these it is None.
        given: The options that the file gives, whatever the profile says.
    """

    name: str
    annotations: tuple[str, ...]
    images: tuple[str, ...]
    options: Any
    reader: str | None = None
    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False)

    @property
    def terms(self) -> Terms:
        """What of it may be handed on: by its manifest, or by the configuration."""
        if self.reader is None:
            from pmd import manifests  # here: who has nothing to do asks for no terms

            return manifests.load(self.name)
        return sources.load_reader(self.reader).terms(self.name, self.options)


@dataclasses.dataclass(frozen=True)
class Config(Tables):
    """A whole configuration. `sample` is N of 1/N: only images whose key falls in the first N-th are taken.

    Paths lead from the working folder. `folder` is the configuration's own, "" for the working folder.

    >>> import pmd, dataclasses
    >>> config = pmd.load_config("demo/pmd.toml")
    >>> tenth = dataclasses.replace(config, root="demo/tenth", sample=10)
    >>> isinstance(tenth, pmd.Config), tenth.profile
    (True, 'recommended')
    """

    root: str
    profile: Profile
    seed: int
    contact: str | None
    sample: int
    takedown: tuple[str, ...]
    sources: Mapping[str, SourceConfig]
    scores: tuple[options.ScoreRule, ...]
    folder: str = ""
    engine: Engine = LOCAL  # where it runs; what comes out is the same
    suppression: tuple[str, ...] = ()  # lists of what was taken down elsewhere (`pmd.suppression.lists`)


@dataclasses.dataclass(frozen=True)
class Problem:
    """One mistake in a configuration."""

    line: int | None
    key: str
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        key, expected, found, remedy = map(escape.terminal, (self.key, self.expected, self.found, self.remedy))
        return f"{place}{key}\n    expected: {expected}\n    found: {found}\n    remedy: {remedy}"


class InvalidConfig(ConfigError):
    """All mistakes of one configuration file."""

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{path}: {count} {'mistake' if count == 1 else 'mistakes'}; nothing was run")
        self.path = path
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return InvalidConfig, (self.path, self.problems)

    def __str__(self) -> str:
        return "\n".join([escape.terminal(self.problem), *(f"  {problem}" for problem in self.problems)])

    def describe(self) -> dict[str, Any]:
        """Return the mistakes as JSON has them."""
        return {**super().describe(), "problems": [dataclasses.asdict(problem) for problem in self.problems]}


def load(path: str) -> Config:
    """Read and check a configuration file, and that the files are there that it names beside those of the sources.

    >>> import pmd
    >>> config = pmd.load_config("demo/pmd.toml")
    >>> "coco" in config.sources, config.fetch.short_side_px
    (True, 256)

    Raises:
        InvalidConfig: It has mistakes; all of them are told. Files are looked for once it has no others.
    """
    _check_name(path)
    if not storage.exists(path):
        is_link = storage.is_local(path) and os.path.islink(path)
        problem = "a link that leads nowhere" if is_link else "no such configuration file"
        raise ConfigError(problem, where=path, remedy=_near_file(path))
    try:
        content = encoding.without_mark(storage.read_bytes(path), path).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        octets = error.object[error.start : error.end].hex(" ").upper()
        raise ConfigError(
            "cannot be read",
            where=path,
            expected="a TOML file in UTF-8",
            found=f"the byte {octets} in line {line}",
            remedy="save it as UTF-8, or convert it: iconv -f ISO-8859-1 -t UTF-8 FILE > NEW",
        ) from None
    except OSError as error:
        if storage.is_folder(path):
            raise ConfigError("a folder", where=path, expected="a configuration file", remedy=_file_of(path)) from None
        raise ConfigError("cannot be read", where=path, expected="a TOML file in UTF-8", found=str(error)) from None
    except InputError as error:
        raise ConfigError(error.problem, where=path, expected=error.expected, remedy=error.remedy) from None
    checker = _Checker(_lines(content))
    loaded = all_placed(parse(content, path), places.folder_of(path), checker.path)
    if not checker.problems:
        checker.files(loaded)
    if checker.problems:
        raise InvalidConfig(path, checker.ordered())
    return loaded


def all_placed(config: Config, folder: str, look: Callable[[tuple[str, ...], str], None] = lambda *_: None) -> Config:
    """Return a configuration with every path in it placed; each is shown, with the key of the option that names it."""

    def one(key: tuple[str, ...], path: str) -> str:
        found = places.placed(path, folder)
        look(key, found)
        return found

    def each(paths: tuple[str, ...], *key: str) -> tuple[str, ...]:
        return tuple(one(key, path) for path in paths)

    named = {
        name: dataclasses.replace(
            source,
            annotations=each(source.annotations, "sources", name, "annotations"),
            images=each(source.images, "sources", name, "images"),
            options=places.replaced(source.options, one, ("sources", name)),
        )
        for name, source in config.sources.items()
    }
    tables: dict[str, Any] = {
        name: places.replaced(getattr(config, name), one, (name,)) for name in (*TABLES, "engine")
    }
    return dataclasses.replace(
        config,
        **tables,
        root=one(("root",), config.root),
        takedown=each(config.takedown, "takedown"),
        suppression=each(config.suppression, "suppression"),
        scores=tuple(places.replaced(rule, one, ("scores", str(n))) for n, rule in enumerate(config.scores)),
        sources=named,
        folder=folder,
    )


def _check_name(path: str) -> None:
    """Refuse a path that is no text: ROOT and its commits name what is in the configuration's folder."""
    if storage.is_local(path):
        storage.refuse_other_than_text(os.path.abspath(path), ConfigError)


def _near_file(path: str) -> str:
    folder, name = posixpath.split(path)
    others = {other for other in storage.list_names(folder or ".") if other.endswith(_ENDING)} - {name}
    near = remedies.nearest(name, sorted(others))
    written = "write one with: pmd init > pmd.toml"
    return f"did you mean {storage.join(folder, near) if folder else near}? Else {written}" if near else written


def _file_of(folder: str) -> str:
    """Return which file to name in the place of its folder: one that is there, or that of the ROOT that it is."""
    files = sorted(name for name in storage.list_names(folder) if name.endswith(_ENDING))
    if files:
        return f"name the file: {storage.join(folder, files[0])}"
    last = lock.read(folder).last
    if last is not None and last.config:
        return f"this is a ROOT, built with {last.config}"
    return "name the file in it, or write one with: pmd init > pmd.toml"


def load_with(path: str, sample: str | None = None) -> Config:
    """Read a configuration file, with the sample of a command line ("1/N") in the place of its own.

    Raises:
        ConfigError: The file has mistakes, or the sample is none.
    """
    loaded = load(path)
    if sample is None:
        return loaded
    top, _, bottom = (part.strip() for part in sample.partition("/"))
    if top != "1" or not bottom.isdecimal() or len(bottom) > _SAMPLE_DIGITS or not 1 <= int(bottom) < 2**63:
        raise ConfigError("not a sample", where="--sample", expected="1/N with N of 1 or more", found=sample)
    return dataclasses.replace(loaded, sample=int(bottom))


def chosen(given: str | None, known: Sequence[str]) -> list[str] | None:
    """Return the sources that a command line names, separated by commas; None where it names none.

    Raises:
        ConfigError: One of them is not known.
    """
    if given is None:
        return None
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise ConfigError(
            "no source is named", where="--sources", expected=f"one of {', '.join(known)}", found=repr(given)
        )
    for name in names:
        if name not in known:
            raise ConfigError(
                "no such source",
                where="--sources",
                expected=f"one of {', '.join(known)}",
                found=name,
                remedy=remedies.of_source(name, known),
            )
    return names


def parse(content: str, path: str = "CONFIG") -> Config:
    """Check the text of a configuration file; `path` names it in errors."""
    try:
        raw = tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits, and of lists in lists
        line = re.search(r"at line (\d+)", str(error))
        said = str(error)
        written = content.split("\n")[int(line[1]) - 1] if line else ""
        remedy = remedies.of_syntax(said, written)
        problem = Problem(int(line[1]) if line else None, "syntax", "a TOML file", said, remedy)
        raise InvalidConfig(path, [problem]) from None
    checker = _Checker(_lines(content))
    config = checker.config(raw)
    if checker.problems or config is None:
        raise InvalidConfig(path, checker.ordered())
    return config


class _Checker:
    """Collects every mistake while building the configuration."""

    def __init__(self, lines: Mapping[tuple[str, ...], int]) -> None:
        self._lines = lines
        self.problems: list[Problem] = []

    def problem(self, key: tuple[str, ...], expected: str, found: Any, remedy: str) -> None:
        shown = found if isinstance(found, str) and found.startswith("nothing") else _show(found)
        self.problems.append(Problem(self._line(key), ".".join(key), expected, shown, remedy))

    def ordered(self) -> list[Problem]:
        """Return the mistakes in the order of their lines."""
        return sorted(self.problems, key=lambda problem: problem.line or 0)

    def path(self, key: tuple[str, ...], path: str) -> None:
        """Find whether a path is none, which would be the working folder, or a shell would read it otherwise.

        A folder that is called `$HOME`, `~` or by a blank is nobody's wish.
        """
        if not places.written(path).strip():
            self.problem(key, "a path", places.written(path), "write one, or remove it")
        if places.homeless(path) is not None:
            remedy = "write the folder itself"
            self.problem(key, "the home folder of somebody who is known here", places.written(path), remedy)
        if (url := places.url(places.written(path))) is not None:
            self.problem(key, "a path, or a URL with two slashes", places.written(path), f"write {url}")
        if places.variable(path) is not None:
            expected = "a path as it is: variables are not read in it"
            remedy = "write the folder itself; ~ is your home folder"
            self.problem(key, expected, places.written(path), remedy)

    def files(self, config: Config) -> None:
        """Find the files that are named and not there. Those of the sources have hints of their own (`pmd.config.inputs`)."""
        named: list[tuple[tuple[str, ...], str]] = [(("takedown",), path) for path in config.takedown]
        named += [(("suppression",), path) for path in config.suppression]
        named += [(("scores", str(number), "file"), rule.file) for number, rule in enumerate(config.scores)]
        named += [(("fetch", "blocklists"), path) for path in config.fetch.blocklists]
        named += [(("audit", "attributes"), path) for path in config.audit.attributes]
        for key, path in named:
            if not path or not storage.exists(path) or storage.is_folder(path):
                self.problem(key, "a file that is there", path, "mend the path, or remove it")
        for path in config.dedupe.evaluation:
            if not path or not storage.exists(path):
                self.problem(("dedupe", "evaluation"), "files or folders that are there", path, "mend the path")
        self._reference(config.audit.reference)
        ca_file = config.fetch.ca_file
        if ca_file is not None and not _is_pem(ca_file):
            self.problem(("fetch", "ca_file"), "a file of certificates (PEM)", ca_file, "mend the path, or the file")

    def _reference(self, table: options.ReferenceTable | None) -> None:
        """Find what is wrong with a table of countries; so many rows are told."""
        if table is None:
            return
        key = ("audit", "reference", "countries")
        if not storage.exists(table.countries) or storage.is_folder(table.countries):
            self.problem(key, "a file that is there", table.countries, "mend the path, or remove it")
            return
        try:
            _, wrong = reference.check(table.countries)
        except InputError as error:
            self.problem(key, error.expected or "a CSV file in UTF-8", table.countries, error.remedy or "mend the file")
            return
        for one in wrong[:_ROWS_TOLD]:
            rest = (
                f"; {len(wrong) - _ROWS_TOLD} rows more"
                if one is wrong[:_ROWS_TOLD][-1] and len(wrong) > _ROWS_TOLD
                else ""
            )
            self.problem(
                key,
                f"{one.column}: {one.expected}",
                f"{table.countries}, line {one.line}: {one.found}{rest}",
                one.remedy,
            )

    def _line(self, key: tuple[str, ...]) -> int | None:
        while key:
            if key in self._lines:
                return self._lines[key]
            key = key[:-1]
        return None

    def config(self, raw: dict[str, Any]) -> Config | None:
        self._unknown(raw, (), _TOP)
        self._integers(raw, ())
        root = self._value(raw, "root", str, "a folder or fsspec URL", required=True)
        if root == "":
            self.problem(("root",), "a folder or fsspec URL", root, "name a folder of its own")
        elif isinstance(root, str) and root.startswith("memory://"):
            # It is gone when the command ends, and its workers do not see it.
            self.problem(("root",), "a folder or fsspec URL that outlasts a command", root, "name a folder of its own")
        profile = self._value(raw, "profile", str, f"one of {', '.join(PROFILES)}", default="recommended")
        if profile not in PROFILES:
            if isinstance(profile, str):
                self.problem(("profile",), f"one of {', '.join(PROFILES)}", profile, remedies.of_key(profile, PROFILES))
            profile = "recommended"
        seed = self._value(raw, "seed", int, "a whole number", default=0)
        contact = self._value(raw, "contact", str, _CONTACT)
        if contact is not None and not re.fullmatch(
            rf"(?=.{{1,{_CONTACT_LENGTH}}}$)(mailto:|https?://)[!-~]+", contact
        ):
            self.problem(("contact",), _CONTACT, contact, 'write contact = "mailto:you@example.org"')
        sample = self._value(raw, "sample", int, "a whole number: N of 1/N", default=1)
        if isinstance(sample, int) and sample < 1:
            self.problem(("sample",), "a whole number of 1 or more: N of 1/N", sample, "write 1 for everything")
        takedown = self._strings(raw, ("takedown",), "files that list image URLs, image_ids or pair_ids, one a line")
        suppression = self._strings(raw, ("suppression",), "files takedown/suppression.json of other ROOTs")
        stages: dict[str, Any] = {
            name: self._model(model, raw.get(name, {}), (name,), model.profile_values(profile))
            for name, model in TABLES.items()
        }
        engine = self._engine(raw.get("engine", {}))
        chosen = self._sources(raw.get("sources"), profile)
        rules = self._scores(raw.get("scores", []))
        if "contact" not in raw and not _is_rerouted(raw.get("fetch")):
            self.problem(
                ("contact",),
                f"{_CONTACT}; it is sent with every request",
                "nothing",
                "add a line contact = … at the top",
            )
        if not self.problems:
            self._composed(stages[flow.FETCH.name], stages[flow.SHARD.name], chosen)
        if self.problems or engine is None:
            return None
        return Config(
            root,
            profile,
            seed,
            contact,
            sample,
            takedown,
            chosen,
            rules,
            **stages,
            engine=engine,
            suppression=suppression,
        )

    def _engine(self, raw: Any) -> Engine | None:
        engine = self._model(Engine, raw, ("engine",), {})
        if engine is not None and engine.lacks is not None:
            self.problem(("engine", engine.name), engine.lacks, "nothing", f"add [engine.{engine.name}]")
        return engine

    def _composed(
        self, fetch: options.FetchOptions, shard: options.ShardOptions, chosen: Mapping[str, SourceConfig]
    ) -> None:
        """Find what does not go together.

        That is more lanes than a host's limits have shares, which a fetch of few shards would not tell, and a size of shards
        that nothing can have that is stored; crops are cut from originals, which may be of any.
        """
        most = fetch.per_host.most_lanes
        if fetch.engine == "pmd" and fetch.lanes > most:
            bound = f"at most {most}: a lane has a request a second of a host, and a connection"
            self.problem((flow.FETCH.name, "lanes"), bound, fetch.lanes, "lower lanes, or raise per_host")
        crops = any(getattr(source.options, "regions", None) == "crop" for source in chosen.values())
        if fetch.store == "original" or crops:
            return
        expected = resizing.too_large(fetch.resizing, shard.resizing)
        if expected is None:
            return
        name = "image_size" if shard.image_size is not None else "short_side_px"
        remedy = f'change {name}, or let [fetch] keep more, as store = "original" does'
        self.problem((flow.SHARD.name, name), expected, shard.resizing.side_px, remedy)

    def _sources(self, raw: Any, profile: Profile) -> dict[str, SourceConfig]:
        known = sources.names()
        if not isinstance(raw, dict) or not raw:
            self.problem(
                ("sources",), "at least one [sources.NAME] table", raw or "nothing", "run pmd init to see them all"
            )
            return {}
        result: dict[str, SourceConfig] = {}
        for name, table in raw.items():
            key = ("sources", name)
            reader = table.get("reader") if isinstance(table, dict) else None
            if name not in known and reader is None:
                self.problem(key, f"one of {', '.join(known)}", name, _nearest_source(name, known))
                continue
            if not isinstance(table, dict):
                self.problem(key, f"a table [sources.{name}]", table, f"write [sources.{name}]")
                continue
            if reader is not None and not self._is_own(key, reader, known, [*result]):
                continue
            annotations = self._strings(table, (*key, "annotations"), "paths or globs of annotation files")
            if table.get("annotations", []) in ([], ""):
                self.problem(
                    (*key, "annotations"),
                    "a list of paths or globs of annotation files",
                    table.get("annotations", "nothing"),
                    f"see: pmd init --sources {name}" if reader is None else 'write annotations = ["…"]',
                )
            images = self._strings(table, (*key, "images"), "paths or globs of archives or folders of images")
            model: type[SourceOptions] = sources.load(reader or name).options
            beside = ("annotations", "images", *([] if reader is None else ["reader"]))
            given = {k: v for k, v in table.items() if k not in beside}
            chosen = self._model(model, given, key, model.profile_values(profile), beside=beside)
            result[name] = SourceConfig(name, annotations, images, chosen, reader, frozenset(given))
        return result

    def _is_own(self, key: tuple[str, ...], reader: Any, known: Sequence[str], before: Sequence[str]) -> bool:
        """Return whether a source that names its reader may: its name is its own, and can be a folder's."""
        name = key[-1]
        # Where file systems do not tell capitals, one folder would be both.
        if name.casefold() in map(str.casefold, known):
            self.problem(
                (*key, "reader"), f"no reader: {name} has its own", reader, "remove it, or choose another name"
            )
        elif name.casefold() in map(str.casefold, before):
            self.problem(key, "a name that differs from others in more than capitals", name, "choose another name")
        elif not re.fullmatch(flow.SOURCE_NAME, name):
            self.problem(key, "a name of letters, digits and underscores", name, "choose another name")
        elif len(name) > flow.LONGEST_NAME or name.casefold() in flow.NO_SOURCES:
            expected = f"a name of at most {flow.LONGEST_NAME} characters, and none of {', '.join(flow.NO_SOURCES)}"
            self.problem(key, expected, name, "choose another name")
        elif reader not in sources.readers():
            expected = " or ".join(f'"{one}"' for one in sources.readers())
            self.problem((*key, "reader"), expected, reader, f"write reader = {expected}")
        else:
            return True
        return False

    def _scores(self, raw: Any) -> tuple[options.ScoreRule, ...]:
        if not isinstance(raw, list):
            self.problem(("scores",), "tables [[scores]]", raw, "write [[scores]] above file, keep and missing")
            return ()
        rules = (self._model(options.ScoreRule, rule, ("scores", str(n)), {}) for n, rule in enumerate(raw))
        return tuple(rule for rule in rules if rule is not None)

    def _model(
        self,
        model: type[_Model],
        given: Any,
        key: tuple[str, ...],
        profile_values: Mapping[str, Any],
        beside: Sequence[str] = (),
    ) -> _Model | None:
        if not isinstance(given, dict):
            table = "[[scores]]" if key[0] == "scores" else f"[{'.'.join(key)}]"
            self.problem(key, f"a table {table}", given, f"write {table} above its keys")
            return None
        try:
            return model.model_validate_json(_json({**profile_values, **given}))
        except ValidationError as error:
            for item in error.errors():
                place = tuple(str(part) for part in item["loc"])
                if item["type"] == "extra_forbidden":
                    names = _options_of(model, place[:-1]) if place[:-1] else [*model.model_fields, *beside]
                    home = _home(place[-1]) or (None if key[0] == "sources" else _source_with(place[-1]))
                    self.problem((*key, *place), "a known option", place[-1], remedies.of_key(place[-1], names, home))
                elif item["type"] == "missing":
                    self.problem((*key, *place), f"a value of {place[-1]}", "nothing", f"add a line {place[-1]} = …")
                elif item["type"] == "too_short" and item["input"]:
                    continue  # what is wrong with those that it has is told
                elif not _outgrown(item["input"]):  # which `_integers` has told
                    expected = _expected(item["type"], item.get("ctx", {}))
                    named = [part for part in place if not part.isdigit()] or [key[-1]]
                    found = "nothing" if item["input"] is None else item["input"]  # a default, since TOML has no null
                    remedy = remedies.of_value(named[-1], item["type"], item["input"], expected)
                    self.problem((*key, *place), expected, found, remedy)
            return None

    def _value(self, raw: dict[str, Any], key: str, kind: type, expected: str, **more: Any) -> Any:
        if key not in raw:
            if more.get("required"):
                self.problem((key,), expected, "nothing", f"add a line {key} = … at the top")
            return more.get("default")
        value = raw[key]
        if _outgrown(value):
            return more.get("default")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            self.problem((key,), expected, value, "write " + key + (' = "…"' if kind is str else " = a number"))
            return more.get("default")
        return value

    def _strings(self, raw: dict[str, Any], key: tuple[str, ...], expected: str) -> tuple[str, ...]:
        value = raw.get(key[-1], [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problem(key, f"a list of strings: {expected}", value, f'write {key[-1]} = ["…"]')
            return ()
        return tuple(value)

    def _integers(self, raw: Any, key: tuple[str, ...]) -> None:
        """Find whole numbers of more than 64 bits, which TOML does not know (toml.io 1.0, "Integer")."""
        for name, value in raw.items() if isinstance(raw, dict) else enumerate(raw):
            place = (*key, str(name))
            if isinstance(value, dict | list):
                self._integers(value, place)
            elif _outgrown(value):
                self.problem(place, "a whole number of 64 bits", value, "write a smaller one")

    def _unknown(self, raw: Mapping[str, Any], key: tuple[str, ...], known: Sequence[str]) -> None:
        for name in raw:
            if name not in known:
                # A table whose name is nearly one of these is misspelt, be there an option of its name elsewhere or not.
                is_table = isinstance(raw[name], dict) and remedies.nearest(name, known) is not None
                home = None if is_table else _home(name) or _source_with(name)
                self.problem((*key, name), f"one of {', '.join(known)}", name, remedies.of_key(name, known, home))


#: What a value must be, by what pydantic finds wrong with it; the limits are filled in.
_EXPECTED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
    "string_too_short": "a string that is not empty",
    "too_short": "a list of {min_length} or more",
    "literal_error": "{expected}",
    "value_error": "{error}",
}


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    """Return what was expected in the words of a configuration: strings as TOML has them."""
    shown = {
        name: value.replace("'", '"') if name == "expected" else f"{value:g}" if isinstance(value, float) else value
        for name, value in context.items()
    }
    return _EXPECTED.get(kind, "a value of another kind").format(**shown)


def _is_pem(path: str) -> bool:
    try:
        content = encoding.without_mark(Path(path).read_bytes(), path).decode("ascii", "ignore")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content)
    except (OSError, ValueError, InputError):  # ssl.SSLError is an OSError
        return False
    return True


def _outgrown(value: Any) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _json(value: Any) -> str:
    """Return a TOML value as JSON; numbers of any size, and inf and nan, stay what they are, for the check to judge."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_rerouted(fetch: Any) -> bool:
    """Return whether every host is resolved to one of ours, so that nobody is asked who would want to know who asks."""
    resolve = fetch.get("resolve") if isinstance(fetch, dict) else None
    return isinstance(resolve, dict) and any(host.startswith("*:") for host in resolve)


def _options_of(model: type[BaseModel], place: Sequence[str]) -> list[str]:
    """Return the names of the options of a table within a model."""
    for name in place:
        inner = model.model_fields[name].annotation
        inner = next((one for one in typing.get_args(inner) if one is not type(None)), inner)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)


def _show(value: Any) -> str:
    shown = _NUMBERS.get(repr(value)) or _json(value)
    return shown if len(shown) <= 120 else shown[:117] + "…"


#: Numbers that TOML spells otherwise than JSON.
_NUMBERS: Final = {"inf": "inf", "-inf": "-inf", "nan": "nan"}


def _nearest_source(name: str, known: Sequence[str]) -> str:
    return (
        remedies.of_source(name, known)
        or 'for pairs of your own, add reader = "url_text"; pmd sources lists the others'
    )


def _home(name: str) -> str | None:
    """Return where a key belongs that stands in a table which does not have it; None where nowhere."""
    if name in _TOP_KEYS:
        return "at the top of the file, above the first [table]"
    if name in options.PerHost.model_fields:
        return "within per_host = { … } under [fetch]"
    stages = [f"[{stage}]" for stage, model in TABLES.items() if name in model.model_fields]
    return f"under {' or '.join(stages)}" if stages else None


def _source_with(name: str) -> str | None:
    """Return where an option belongs that sources have, and stages have not; None where none has it."""
    models = (sources.load(source).options for source in (*sources.names(), *sources.readers()))
    has = name in ("annotations", "reader") or any(name in model.model_fields for model in models)
    return "under the [sources.NAME] that it is of" if has else None


_HEADER: Final = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_KEY: Final = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def _lines(content: str) -> dict[tuple[str, ...], int]:
    """Return the line on which each key stands; the text is known to be TOML."""
    line_of: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    times: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(content.split("\n"), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            line_of.setdefault(table, number)
            if line.lstrip().startswith("[["):
                times[table] = times.get(table, -1) + 1
                table = (*table, str(times[table]))
                line_of[table] = number
        elif key := _KEY.match(line):
            parts = _parts(key[1])
            for length in range(1, len(parts) + 1):
                line_of.setdefault(table + parts[:length], number)
    return line_of


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
