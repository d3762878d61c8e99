"""Every mistake of a configuration is found in one go, each with its line, what was expected, what was found and what to do."""

from __future__ import annotations

import json
import re
import ssl
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from pmd import flow, sources
from pmd.config import options, places, reference, remedies, resizing
from pmd.config.engine import Engine
from pmd.config.model import Config, Problem, SourceConfig
from pmd.config.tables import TABLES
from pmd.errors import InputError
from pmd.formats import encoding
from pmd.sources.contract import PROFILES, Profile, SourceOptions
from pmd.store import storage
from pmd.terminal import bar

#: What is no table.
_TOP_KEYS: Final = ("root", "profile", "seed", "contact", "sample", "takedown", "suppression")
_TOP: Final = (*_TOP_KEYS, "engine", "sources", "scores", *TABLES)
_CONTACT_LENGTH: Final = 256
#: Rows of a table of countries that are told.
_ROWS_TOLD: Final = 10
_CONTACT: Final = 'your own "mailto:NAME@HOST", or a URL where you can be reached'
_Model = TypeVar("_Model", bound=BaseModel)


class Checker:
    """Collects every mistake while building the configuration.

    Args:
        content: The file, which is known to be TOML.
    """

    def __init__(self, content: str) -> None:
        self._lines = _lines(content)
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
                f"; {bar.amount(len(wrong) - _ROWS_TOLD, 'more rows')}"
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
        root = self._root(raw)
        profile = self._profile(raw)
        seed = self._value(raw, "seed", int, "a whole number", default=0)
        contact = self._contact(raw)
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

    def _root(self, raw: dict[str, Any]) -> Any:
        root = self._value(raw, "root", str, "a folder or fsspec URL", required=True)
        if root == "":
            self.problem(("root",), "a folder or fsspec URL", root, "name a folder of its own")
        elif isinstance(root, str) and root.startswith("memory://"):
            # It is gone when the command ends, and its workers do not see it.
            self.problem(("root",), "a folder or fsspec URL that outlasts a command", root, "name a folder of its own")
        return root

    def _profile(self, raw: dict[str, Any]) -> Any:
        profile = self._value(raw, "profile", str, f"one of {', '.join(PROFILES)}", default="recommended")
        if profile in PROFILES:
            return profile
        if isinstance(profile, str):
            self.problem(("profile",), f"one of {', '.join(PROFILES)}", profile, remedies.of_key(profile, PROFILES))
        return "recommended"

    def _contact(self, raw: dict[str, Any]) -> Any:
        contact = self._value(raw, "contact", str, _CONTACT)
        if contact is not None and not re.fullmatch(
            rf"(?=.{{1,{_CONTACT_LENGTH}}}$)(mailto:|https?://)[!-~]+", contact
        ):
            self.problem(("contact",), _CONTACT, contact, 'write contact = "mailto:NAME@HOST"')
        return contact

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
