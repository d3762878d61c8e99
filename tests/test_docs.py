"""The documents say what the code does: commands, options, links, versions and examples are compared with it."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from pmd import config, manifests, sources
from pmd.audit import data_columns
from pmd.audit.statistics import estimates, findings, suppression
from pmd.cli import app
from pmd.codec import SET_BITS, header, structure
from pmd.config.engine import ENGINES, DataflowEngine, Engine, Prices
from pmd.config.tables import TABLES
from pmd.curate import rules
from pmd.dedupe import near
from pmd.fetch import network
from pmd.fetch.lane import engine, leases
from pmd.fetch.politeness import hosts, policies, robots
from pmd.formats import json_stream, lines, tsv
from pmd.inspection import catalogue
from pmd.sources import contract
from pmd.store import exchange, lock, parcels
from tests import documents
from tests.test_imports import ORDER

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, *(ROOT / f"{name}.md" for name in ("CHANGELOG", "CONTRIBUTING", "SECURITY")), *DOCS]
PAGE_NAMES = {page: str(page.relative_to(ROOT)) for page in PAGES}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LONGEST_README = 200


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (words of the command, the command) for every command of the command line."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(commands())


def plain(value: Any) -> Any:
    """Return an option's value as TOML has it."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def section(text: str, heading: str) -> str:
    """Return what stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """Return the cells of every row of a section's tables, without their ticks."""
    return [
        [cell.strip().strip("`") for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|-")
    ]


def fences(text: str, kind: str = "") -> list[str]:
    """Return the code blocks of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them, and those that stand in it."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([\w-]+)"></a>', text))


def test_the_readme_is_short() -> None:
    assert len(read(README).splitlines()) <= LONGEST_README


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_is_documented(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help
    assert all(option.help for option in command.params if option.name != "help"), "an option without help"
    assert f"`pmd {' '.join(words)}`" in read(README)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES.get)
def test_commands_in_the_documents_exist(page: Path) -> None:
    """Lines of code that begin with `pmd`, and their flags up to Beam's."""
    lines = [line for block in fences(read(page)) for line in block.splitlines() if line.startswith("pmd ")]
    for line in lines:
        words = shlex.split(line.partition(" -- ")[0], comments=True)[1:]
        name = tuple(words[:2]) if tuple(words[:2]) in COMMANDS else tuple(words[:1])
        assert name in COMMANDS, line
        known = {flag for option in COMMANDS[name].params for flag in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES.get)
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{PAGE_NAMES[page]}: {link}"
        assert not anchor or anchor in anchors(read(target)), f"{PAGE_NAMES[page]}: {link}"


@pytest.mark.parametrize("page", DOCS, ids=PAGE_NAMES.get)
def test_every_document_can_be_found(page: Path) -> None:
    """From README, or for pages of a folder from the page that is called so."""
    above = README if page.parent == ROOT / "docs" else page.parent.with_suffix(".md")
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", read(above))}
    assert str(page.relative_to(above.parent)) in linked


def test_the_changelog_has_the_version() -> None:
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", read(ROOT / "CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("name", [*sources.names(), *sources.readers()])
def test_options_of_a_source(name: str) -> None:
    """docs/sources.md has exactly the options of the code, with their values in each profile."""
    documented = [row[:4] for row in table(section(read(ROOT / "docs/sources.md"), name)) if row[0] != "option"]
    expected = [
        [rule["option"], *(catalogue.spell(rule[profile]) for profile in ("paper", "hub", "recommended"))]
        for rule in catalogue.rules()["rules"]
        if rule["where"] == name
    ]
    assert documented == expected


@pytest.mark.parametrize("name", documents.MADE)
def test_tables_that_are_made_are_those_of_the_declarations(name: str) -> None:
    assert read(ROOT / name) == documents.filled(name), "run: make docs"


def test_a_default_is_written_as_a_configuration_has_it() -> None:
    """What docs/options.md shows of it can be written in a configuration, and says the same."""
    for model in TABLES.values():
        for name in model.model_fields.keys() - model.rules():
            field = model.model_fields[name]
            written = documents.toml(field.default)
            if written != "none":
                assert tomllib.loads(f"value = {written}")["value"] == plain(field.default), name


def test_a_section_that_is_to_be_filled_has_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    for text in ("# Contract\n", "## Reasons\n\nNo table.\n", "## Reasons\n\n| a |\n\n| b |\n"):
        (tmp_path / "docs/contract.md").write_text(text)
        with pytest.raises(ValueError, match=r"docs/contract\.md: a section Reasons with 1 tables is expected"):
            documents.filled("docs/contract.md")
    (tmp_path / "docs/contract.md").write_text("## Reasons\n\nWhy:\n\n| a |\n|---|\n\n## More\n\n| b |\n")
    made = documents.filled("docs/contract.md")
    assert made.startswith(
        "## Reasons\n\nWhy:\n\n| stage | reason | meaning |\n|---|---|---|\n| curate | malformed_row |"
    )
    assert made.endswith("\n\n## More\n\n| b |\n")


def test_options_of_the_engines() -> None:
    """docs/clusters.md has exactly the options of `[engine]`, with their defaults."""
    said: dict[tuple[str, str], str] = {}
    where = ""
    for row in table(section(read(ROOT / "docs/clusters.md"), "Engines")):
        if row[0] != "where":
            where = row[0].strip("[]") or where
            said[where, row[1]] = row[2]
    models = {"engine": Engine, "engine.dataflow": DataflowEngine, "engine.prices": Prices}
    models |= {f"engine.{name}": type(getattr(Engine(), name)) for name in ENGINES if name != "dataflow"}
    for name, model in models.items():
        for option, field in model.model_fields.items():
            if option in {*ENGINES, "prices"}:
                continue
            found = said.pop((name, option))
            if field.is_required():
                assert found == "must be given"
            else:
                assert (None if found == "none" else tomllib.loads(f"value = {found}")["value"]) == field.default, (
                    option
                )
    assert not said


def test_the_silences_of_the_paper() -> None:
    """docs/profile-paper.md names every option that says that it moves a row of Table 2."""
    page = read(ROOT / "docs/profile-paper.md")
    for rule in catalogue.rules()["rules"]:
        if rule["table2"]:
            where = re.sub(r"^(localized_narratives__).*", r"\1*", rule["where"])
            spellings = (f"`{rule['where']}.{rule['option']}`", f"`{where}.{rule['option']}`")
            assert any(spelling in page for spelling in spellings), spellings


def test_the_readme_lists_every_source_of_pmd() -> None:
    """Those of FLAVA's Table 2; others stand in docs/sources.md."""
    rows = {row[0]: row for row in table(section(read(README), "The sources"))}
    for name, table2 in manifests.of_table2().items():
        assert f"{manifests.load(name).upstream_rows:,}" in rows[name][1]
        assert f"{table2.pairs_millions}M" in rows[name][2]


def test_the_configuration_of_the_readme_is_one() -> None:
    (example,) = fences(read(README), "toml")
    loaded = config.parse(example, "README.md")
    assert set(loaded.sources) == {"coco", "conceptual_captions", "my_pairs"}


def test_every_requirement_has_its_reason() -> None:
    page = read(ROOT / "docs/decisions.md")
    for requirement in PROJECT["dependencies"]:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert re.search(rf"\b{re.escape(name)}\b", page), name


def test_the_snippets_of_the_readme_compile() -> None:
    for snippet in fences(read(README), "python"):
        compile(snippet, "README.md", "exec")


#: What the documents say, made of what the code has.
FACTS = [
    ("adding-a-source.md", f"at most {contract.DRAFT_ROWS:,} rows each"),
    ("audit.md", f"Under {estimates.MIN_DEGREES:g} degrees of freedom"),
    ("audit.md", f"one cluster over {estimates.MAX_SHARE * 100:g} % of the pairs"),
    ("audit.md", f"fewer than {estimates.FEW} effective pairs"),
    ("audit.md", f"δ is {findings.LEAST_EFFECT * 100:g} percentage points"),
    ("audit.md", f"{findings.allowed(1) * 100:.2f} %"),
    ("audit.md", f"fewer than {suppression.LEAST} pairs"),
    ("audit.md", f"A row of {suppression.HELD} pairs or more that changed by fewer than {suppression.LEAST}"),
    ("decisions.md", f"{header.MAX_SCANS} scans of a progressive JPEG"),
    ("decisions.md", f"{structure.MOST_MARKERS:,} markers or chunks, {structure.MOST_BLOCKS:,} blocks"),
    ("decisions.md", f"{SET_BITS.start} to {SET_BITS.stop - 1} set bits"),
    ("decisions.md", f"{robots.LONG_FILES} long and {robots.SHORT_FILES} short files' rules"),
    ("decisions.md", f"{policies.LONG_FILES} and {policies.SHORT_FILES:,} files at hand"),
    ("decisions.md", f"{hosts.Patience().refusals} refusals in a row (429, 503)"),
    ("decisions.md", f"{hosts.Patience().failures} failures in a row, then {hosts.Patience().open_s:.0f} s of silence"),
    (
        "decisions.md",
        f"{exchange.BUFFER_BYTES >> 20} MiB a buffer, {rules.PARTITION_BYTES >> 20} MiB of input a partition",
    ),
    ("decisions.md", f"{lines.MAX_LINE_BYTES >> 20} MiB a line, {tsv.MAX_ROW_BYTES >> 20} MiB a row of quoted text"),
    ("decisions.md", f"{json_stream.MAX_VALUE_BYTES >> 20} MiB a value of a JSON list, {json_stream.MAX_DEPTH} levels"),
    ("fetching.md", f"where of the first {network.FIRST_HOSTS} hosts"),
    ("fetching.md", f"raises its limit of open files to {engine.FILES:,}"),
    ("hostile-web.md", f"frames are counted to {header.MAX_FRAMES:,}"),
    ("architecture.md", f"a lease of {lock.LEASE_S:.0f} s in `writer.json`, renewed every {lock.RENEW_S:.0f} s"),
    ("architecture.md", f"renewed every {leases.RENEW_S:.0f} s by compare-and-swap"),
    ("architecture.md", f"has been silent for {leases.LEASE_S:.0f} s by the clock of who waits"),
    ("architecture.md", f"could not renew for {leases.ASK_S:g} s asks nobody"),
    ("architecture.md", f"After {leases.LOST_S:.0f} s it gives up"),
    (
        "decisions.md",
        f"renewed every {leases.RENEW_S:.0f} s, no request after {leases.ASK_S:g} s, over after {leases.LEASE_S:.0f} s of",
    ),
    ("fetching.md", f"{leases.LEASE_S:.0f} to {leases.LEASE_S + 3 * leases._LOOK_S:.0f} s after it fell silent"),
    ("dataflow.md", f"has been silent for {leases.LEASE_S:.0f} s"),
    ("trouble.md", f"lanes every {leases.RENEW_S:.0f} s, whether the run is still wanted"),
    ("trouble.md", f"their leases are over: {leases.LEASE_S:.0f} s at most"),
    ("decisions.md", f"{parcels.KEY_BYTES >> 20} MiB a key and {parcels.PIECE_BYTES >> 20} MiB an element"),
    ("architecture.md", f"dealt out to {near.SHARES} shares"),
]


@pytest.mark.parametrize(("page", "said"), FACTS, ids=[said for _, said in FACTS])
def test_numbers_are_those_of_the_code(page: str, said: str) -> None:
    assert said in " ".join(read(ROOT / "docs" / page).split())


#: Files of these words are examples, or others'.
EXAMPLES = {"jz_wit.py"}
BASES = (ROOT, ROOT / "pmd", ROOT / "benchmarks")


@pytest.mark.parametrize("page", [README, *DOCS], ids=PAGE_NAMES.get)
def test_files_of_this_repository_exist(page: Path) -> None:
    for name in re.findall(
        r"`(?:python )?([\w/]+\.py|(?:pmd|pipelines|tests|benchmarks|manifests)/[\w/]*)`", read(page)
    ):
        if name.rpartition("/")[2] not in EXAMPLES and "NAME" not in name:
            assert any((base / name).exists() for base in BASES), f"{PAGE_NAMES[page]}: {name}"


def test_the_order_of_modules_is_told() -> None:
    told = section(read(ROOT / "docs" / "architecture.md"), "Order of modules")
    names = [name for part in re.findall(r"`([^`]+)`", told)[:4] for name in re.split(r",\s+", part)]
    assert names == [name for name in ORDER if name != "__main__"]


def defined(path: Path) -> set[str]:
    """Return the names at the top level of a module."""
    found = set()
    for node in ast.parse(read(path)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.If):  # of type checkers: `pmd.load` is imported when it is first used
            found |= {alias.asname or alias.name for line in node.body for alias in getattr(line, "names", ())}
        else:
            found |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return found


def exists(name: str) -> bool:
    """Return whether "pmd.formats.lines.ranges" is a package, a module, or what one defines."""
    path = ROOT
    for part in name.split("."):
        if (path / part).is_dir():
            path /= part
        elif path.is_dir() and (path / f"{part}.py").is_file():
            path /= f"{part}.py"
        else:
            return part in defined(path / "__init__.py" if path.is_dir() else path)
    return True


@pytest.mark.parametrize("folder", ["docs", "pmd", "pipelines"])
def test_names_of_the_code_exist(folder: str) -> None:
    for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md")]:
        for name in re.findall(r"`((?:pmd|pipelines)(?:\.\w+)+)(?:\(\))?`", read(path)):
            assert exists(name), f"{path.relative_to(ROOT)}: {name}"


def test_the_ways_go_through_modules_that_are_there() -> None:
    names = re.findall(r"`([a-z]\w*(?:\.\w+)+)`", section(read(ROOT / "docs" / "architecture.md"), "Ways"))
    assert len(names) > 40
    assert not [name for name in names if not exists(f"pmd.{name}")]


def test_the_columns_of_any_data_set_are_told() -> None:
    page = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`(?: \(needed\))? \| (`\w+`(?:, `\w+`)*) \|$", page, re.MULTILINE))
    assert rows == {role: ", ".join(f"`{name}`" for name in names) for role, names in data_columns.ROLES.items()}
