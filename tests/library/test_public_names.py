"""What `import pmd` offers: exactly the public names, lazily, each with an example that is run."""

from __future__ import annotations

import ast
import subprocess
import sys
import types
from pathlib import Path

import pytest

import pmd
from tests.library import examples

REPOSITORY = Path(__file__).resolve().parent.parent.parent

#: What is slow to import, or not to be there at all.
SLOW = {
    "apache_beam",
    "pyarrow",
    "numpy",
    "polars",
    "pandas",
    "fsspec",
    "pycurl",
    "pydantic",
    "PIL",
    "requests",
    "rich",
}
#: Extras, and the clouds' libraries.
CLOUDS = {"google", "gcsfs", "s3fs", "boto3", "botocore", "azure"}

PUBLIC = {
    "Config",
    "Corpus",
    "NotStored",
    "PmdError",
    "Table",
    "build",
    "canonical_url",
    "identity",
    "is_english",
    "load",
    "load_config",
    "open_image",
    "perceptual_hash",
}


def loaded_after(code: str, *arguments: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after some code."""
    code = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    command = [sys.executable, "-c", code, *arguments]
    return set(subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True, text=True).stdout.split())


def test_the_public_names_are_exactly_these() -> None:
    assert set(pmd.__all__) == PUBLIC
    assert pmd.__all__ == sorted(pmd.__all__)
    assert set(dir(pmd)) >= PUBLIC
    ours = {name: value for name, value in vars(pmd).items() if not name.startswith("_")}
    others = {name for name, value in ours.items() if not isinstance(value, types.ModuleType)} - PUBLIC
    assert others <= {"annotations", "TYPE_CHECKING"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_name_is_what_its_module_has(name: str) -> None:
    """And has a docstring with an example; `tests/end_to_end/test_library.py` runs it."""
    module, there = pmd._HOMES[name]
    found = getattr(pmd, name)
    assert found.__module__.startswith("pmd.")
    assert found is getattr(sys.modules[module], there)
    assert found.__doc__
    assert examples.of_name(name)


def test_type_checkers_are_told_of_the_same_names() -> None:
    tree = ast.parse(Path(pmd.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    told = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == pmd._HOMES


def test_importing_loads_nothing() -> None:
    loaded = loaded_after("import pmd, sys\nassert not [n for n in sys.modules if n.startswith('pmd.')]")
    assert "pmd" in loaded
    assert not loaded & (SLOW | CLOUDS)


def test_no_name_loads_beam_or_clouds() -> None:
    assert not loaded_after("from pmd import *") & {"apache_beam", "pycurl", "pipelines", *CLOUDS}


def test_an_error_loads_nothing_slow() -> None:
    assert not loaded_after("from pmd import PmdError") & SLOW


def test_reading_loads_neither_beam_nor_clouds(tiny: str) -> None:
    code = """
import sys, pmd
corpus = pmd.load(sys.argv[1])
for name in ("pairs", "views", "rejected", "images", "ledger", "published"):
    getattr(corpus, name).to_table()
pmd.open_image(sys.argv[1], corpus.ledger.to_table().to_pylist()[0]["image_id"])
"""
    assert not loaded_after(code, tiny) & {"apache_beam", "pycurl", "pipelines", *CLOUDS}


def test_a_star_import_gives_the_public_names() -> None:
    there: dict[str, object] = {}
    exec("from pmd import *", there)
    assert set(there) - {"__builtins__"} == PUBLIC


def test_what_is_no_name_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match=r"^module 'pmd' has no attribute 'lod'$"):
        pmd.lod  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(pmd, "__wrapped__")
