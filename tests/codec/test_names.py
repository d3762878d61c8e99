"""The names that stages use are what they are, whatever of the package was imported before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pmd import codec

FOLDER = Path(str(codec.__file__)).parent
REPOSITORY = FOLDER.parents[1]
_IMPORT_ALL = """
import importlib, pkgutil
from pmd import codec
for module in pkgutil.iter_modules(codec.__path__):
    importlib.import_module(f"pmd.codec.{module.name}")
print(*(name for name in codec.__all__ if type(getattr(codec, name)).__name__ == "module"))
"""


def test_no_module_takes_the_place_of_a_name() -> None:
    told = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL], cwd=REPOSITORY, capture_output=True, check=True, text=True
    )
    assert told.stdout == "\n"


def test_every_name_has_a_home() -> None:
    assert sorted(codec._HOMES) == sorted(codec.__all__)
    for name, home in codec._HOMES.items():
        assert getattr(codec, name) is getattr(sys.modules[f"pmd.codec.{home}"], name)
