"""The order of modules: each imports only what stands before it, the slow ones late, Beam not before the pipelines."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import pmd
from pmd import flow

ROOT = Path(__file__).resolve().parent.parent

#: The stages in the order of the flow, and refresh, which is none. Lists stand last: their card tells what the audit has found.
STAGES = (*(name for name in flow.NAMES if name != flow.PUBLISH.name), flow.REFRESH.name, flow.PUBLISH.name)
#: Every module or package of pmd, in the order in which they stand.
ORDER = (
    "escape",
    "flow",
    "lean",
    "errors",
    "forest",
    "schema",
    "store",
    "terminal",
    "manifests",
    "formats",
    "text",
    "sources",
    "config",
    "books",
    "engines",
    "codec",
    "suppression",
    *STAGES,
    "datasets",
    "stages",
    "takedown",
    "inspection",
    "library",
    "demo",
    "cli",
    "__main__",
)


@functools.cache
def modules() -> Mapping[str, Path]:
    """Return the dotted name of every module of pmd, and its file."""
    found = {}
    for path in sorted((ROOT / "pmd").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def place(module: str) -> str:
    """Return the name by which a module stands in the order: "pmd.sources.coco" → "sources"."""
    return module.split(".")[1] if "." in module else ""


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


@functools.cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Return each module that a file imports at run time, and whether it does so inside a function."""

    def walk(node: ast.AST, *, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                yield from ((f"{child.module}.{alias.name}", inside) for alias in child.names)
            elif not is_for_types(child):
                yield from walk(child, inside=inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    return tuple(walk(ast.parse(path.read_text(encoding="utf-8")), inside=False))


def test_the_order_names_every_module() -> None:
    standing = {place(name) for name in modules()} - {""}
    assert standing <= set(ORDER), "a new module has its place in ORDER, and in the docstring of pmd"
    assert len(set(ORDER)) == len(ORDER)
    assert ", ".join(ORDER[: ORDER.index("codec") + 1]) in " ".join((pmd.__doc__ or "").split())


@pytest.mark.parametrize("name", sorted(set(modules()) - {"pmd"}))
def test_a_module_imports_only_what_stands_before_it(name: str) -> None:
    mine = ORDER.index(place(name))
    for target, _ in imports(modules()[name]):
        if not target.startswith("pmd.") or target == "pmd.__version__":
            continue
        other = place(target)
        assert other in ORDER, f"{name} imports {target}"
        assert ORDER.index(other) <= mine, f"{name} imports {target}, which stands after it"


@pytest.mark.parametrize("name", sorted(modules()))
def test_only_what_starts_builds_imports_pipelines_and_only_inside_functions(name: str) -> None:
    found = [(target, inside) for target, inside in imports(modules()[name]) if target.split(".")[0] == "pipelines"]
    assert not found or place(name) == "cli" or name == "pmd.library.building"
    assert all(inside for _, inside in found)


@pytest.mark.parametrize("name", sorted(modules()))
def test_only_engines_and_transforms_import_beam(name: str) -> None:
    found = [target for target, _ in imports(modules()[name]) if target.split(".")[0] == "apache_beam"]
    assert not found or place(name) == "engines" or name.endswith("transforms")


@functools.cache
def listed(package: str) -> Sequence[str]:
    """Return the modules that a package's docstring lists, in their order."""
    doc = ast.get_docstring(ast.parse(modules()[package].read_text(encoding="utf-8"))) or ""
    after = re.split(r"Modules, each importing only\sthose above it::", doc)[1:]
    return [line.split()[0] for line in "".join(after).splitlines() if line.startswith("    ")]


@pytest.mark.parametrize("package", sorted(name for name in modules() if listed(name)))
def test_a_package_lists_its_modules_in_their_order(package: str) -> None:
    inside = {
        name.removeprefix(f"{package}."): path for name, path in modules().items() if name.startswith(f"{package}.")
    }
    assert sorted(listed(package)) == sorted({name.split(".")[0] for name in inside})
    for name, path in inside.items():
        above = listed(package)[: listed(package).index(name.split(".")[0]) + 1]
        used = {target.removeprefix(f"{package}.").split(".")[0] for target, _ in imports(path)}
        assert used & set(listed(package)) <= set(above), f"{package}.{name}"


def meant(module: str) -> dict[str, str]:
    """Return the names of a module at its top level, and what each stands for."""
    found: dict[str, str] = {}
    for node in ast.parse(modules()[module].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = f"{module}.{node.name}()"
    return found


@pytest.mark.parametrize("package", sorted(name for name, path in modules().items() if path.stem == "__init__"))
def test_a_package_has_no_other_thing_by_the_name_of_a_module_of_its_own(package: str) -> None:
    """What `from package import name` gives would depend on who was imported first."""
    hidden = {
        name: stands
        for name, stands in meant(package).items()
        if f"{package}.{name}" in modules() and stands != f"{package}.{name}"
    }
    assert not hidden


def loaded_after(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout.split()
    )


def test_what_decides_does_not_load_beam() -> None:
    names = [name for name in modules() if place(name) and place(name) != "engines" and not name.endswith("transforms")]
    names = [name for name in names if ORDER.index(place(name)) <= ORDER.index("library")]
    assert "apache_beam" not in loaded_after("import " + ", ".join(names))


def test_a_lane_on_this_machine_does_not_load_beam() -> None:
    assert "apache_beam" not in loaded_after("import pmd.fetch.transforms")


@pytest.mark.parametrize("package", ["pandas", "bson", "apache_beam.io.gcp.bigquery"])
def test_a_process_of_ours_does_without_what_nothing_of_ours_uses(package: str) -> None:
    """Neither pyarrow's first array nor Beam brings it, nor says a word of it; a process that has it keeps it."""
    looks = f"import pyarrow, apache_beam, sys; pyarrow.array([1]); print(sys.modules.get('{package}'))"
    ours = f"from pmd import lean; lean.begin(); {looks}"
    said = [
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)
        for code in (ours, f"import {package}; {ours}")
    ]
    assert said[0].stdout == "None\n"
    assert "bson" not in said[0].stderr
    assert said[1].stdout.startswith(f"<module '{package}'")


def test_a_process_of_ours_looks_for_no_plugins() -> None:
    looks = "from pydantic.plugin import _loader; print(_loader.get_plugins(), _loader._plugins)"
    code = f"from pmd import lean; lean.begin(); {looks}"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert said == "() None\n"


def said_by_a_process_of_ours(code: str) -> str:
    begun = f"from pmd import lean; lean.begin()\n{code}"
    return subprocess.run([sys.executable, "-c", begun], cwd=ROOT, capture_output=True, check=True, text=True).stdout


def test_arrows_functions_are_read_in_once_and_whole_whoever_asks_first() -> None:
    """Two threads ask at once. Arrow puts `cast` and `take` of its own in the place of those that it has wrapped before."""
    code = """
import concurrent.futures, sys, threading
import pyarrow as pa, pyarrow.compute as pc
print("pyarrow._compute" in sys.modules)
start = threading.Barrier(4)
def ask(name):
    start.wait()
    return getattr(pc, name).__code__.co_filename.endswith("compute.py"), getattr(pc, name)
with concurrent.futures.ThreadPoolExecutor(4) as threads:
    found = [*threads.map(ask, ["take", "cast", "take", "cast"])]
import pyarrow.compute
print(pyarrow.compute is pc, found == [(True, pc.take), (True, pc.cast)] * 2, hasattr(pc, "no_such_function"))
print(pc.cast(pa.array([1]), pa.string()).to_pylist(), pa.table({"n": [1, 2]}).filter(pc.field("n") > 1).num_rows)
"""
    assert said_by_a_process_of_ours(code) == "False\nTrue True False\n['1'] 1\n"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux shows them")
def test_a_process_of_ours_has_no_threads_that_wait_busily() -> None:
    assert said_by_a_process_of_ours("import os, numpy; print(len(os.listdir('/proc/self/task')))") == "1\n"


def test_a_command_ends_without_looking_for_garbage() -> None:
    code = """
import gc, sys
from pmd import __main__
sys.argv = ["pmd", "--version"]
try:
    __main__.main()
finally:
    print(gc.get_freeze_count() > 10_000, len(gc.get_objects()) < 1_000)
"""
    assert said_by_a_process_of_ours(code).endswith("True True\n")


def test_a_lane_reads_in_no_command_line() -> None:
    assert "typer" not in loaded_after("import pmd.__main__, pmd.fetch.transforms")


@pytest.mark.parametrize("command", ["sources", "init"])
def test_a_quick_command_loads_nothing_slow(command: str) -> None:
    run = f"import sys; sys.argv = ['pmd', '{command}']\nfrom pmd import cli\ntry: cli.main()\nexcept SystemExit: pass"
    assert not loaded_after(run) & {"apache_beam", "polars", "pandas", "datasets", "pycurl", "pipelines"}


#: What a stage on this machine's files reads in only when there is something to do, something is wrong, or a pattern is named.
NOT_IDLE = {
    "apache_beam",
    "polars",
    "fsspec",
    "asyncio",
    "urllib.request",
    "pyarrow.dataset",
    "pyarrow._compute",
    "pmd.manifests",
    "pmd.publish",
}


def test_a_stage_with_nothing_to_do_loads_nothing_for_others(tmp_path: Path) -> None:
    (tmp_path / "cc3m.tsv").write_text("a caption\thttp://a.example/1.jpg\n", encoding="utf-8")
    text = (
        'root = "root"\ncontact = "mailto:a@example.org"\n[sources.conceptual_captions]\nannotations = ["cc3m.tsv"]\n'
    )
    (tmp_path / "pmd.toml").write_text(text, encoding="utf-8")
    run = (
        f"import sys; sys.argv = ['pmd', 'curate', {str(tmp_path / 'pmd.toml')!r}]\nfrom pmd import __main__\n"
        "try: __main__.main()\nexcept SystemExit as end: print(end.code, *sys.modules)"
    )
    ended = [
        subprocess.run([sys.executable, "-c", run], cwd=ROOT, capture_output=True, check=True, text=True)
        for _ in range(2)
    ]
    (at_work, idle) = (one.stdout.split() for one in ended)
    assert at_work[0] == idle[0] == "0"
    assert "apache_beam" in at_work
    assert "committed and unchanged" in ended[1].stderr
    assert not NOT_IDLE & {*idle}


@pytest.mark.parametrize(
    "name", [name for name, path in modules().items() if "polars" not in path.read_text(encoding="utf-8")]
)
def test_arrow_works_in_the_thread_that_asks(name: str) -> None:
    """A process that ends just after Arrow's own threads have worked may be aborted (apache/arrow#34314)."""
    for node in ast.walk(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr != "read_table" or ast.unparse(node.func.value) != "pq", ast.unparse(node)
            threads = {ast.unparse(word.value) for word in node.keywords if word.arg == "use_threads"}
            assert node.func.attr != "group_by" or threads == {"False"}, ast.unparse(node)
