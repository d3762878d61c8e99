"""What a process of ours does without, or has only when it is used: packages and threads that libraries bring along unasked.

pyarrow imports pandas at its first array, and Beam at its start, each to see whether what it is handed is a DataFrame. No stage
has any. It costs each driver, lane and worker .6 s of processor time and 50 MB. Beam imports a client of MongoDB (`bson`) where
some other package has brought one, .15 s, and one of BigQuery, with an HTTP client, .05 s. pydantic reads what every installed
package says of itself, for plugins. So whoever starts a process that is ours alone says at its start that there is none of them.
A program that uses pmd as a library is not ours: `to_pandas` works there.

Most of our modules import `pyarrow.compute`, which then wraps 280 functions and reads their descriptions, .035 s: a command that
finds nothing to do calls none of them. So it is read in when one is first asked for. OpenBLAS, which comes with NumPy, starts
a thread for every further core, and each waits busily for work, .1 s of processor time. Ours has little: the largest matrices
have 16 columns, and processes work side by side as it is.

Nor is garbage looked for as often as Python does it by itself: imports make a hundred thousand objects that stay, and looking
through them again and again is a tenth of what they cost.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType
from typing import Final

#: Packages that are not looked for.
_ABSENT: Final = ("pandas", "bson", "apache_beam.io.gcp.bigquery")

#: Modules that are read in when something of theirs is first asked for.
_LATE: Final = ("pyarrow.compute",)

#: Objects that are made and not let go of before garbage is collected; Python's own figure is 700. Little of ours is let go of in
#: rings, which alone need it, and much waits: in a lane some 15 objects of an image until its shard ends.
_GARBAGE: Final = 20_000


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in _ABSENT and fullname not in sys.modules:
            raise ModuleNotFoundError(f"this process does without {fullname}", name=fullname)


class _LateModule(ModuleType):
    """Stands for a module until something of it is asked for, and has all that it has from then on."""

    def __getattr__(self, name: str) -> object:
        """Read the module in: Python asks here for what is not there yet. Another thread waits, and never sees a part of it."""
        if name.startswith("__"):  # of a module that is being imported, the import asks for such
            raise AttributeError(name)
        with _READING:
            if "__file__" not in vars(self):
                vars(self).update(vars(_read_in(self.__name__)))
        if name not in vars(self):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return vars(self)[name]


_READING: Final = threading.RLock()


def _read_in(name: str) -> ModuleType:
    spec = PathFinder.find_spec(name, sys.modules[name.rpartition(".")[0]].__path__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Late(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in _LATE else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _LateModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def begin() -> None:
    """Have this process, and those that it starts, do without what nothing of ours uses; what it has already stays."""
    gc.set_threshold(_GARBAGE)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    logging.getLogger("apache_beam.io.mongodbio").setLevel(logging.ERROR)  # it would tell that bson is not there
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.meta_path.insert(0, _Late())
    sys.meta_path.insert(0, _Absent())  # an entry of None in `sys.modules` is a module to Cython


def end() -> None:
    """Have this process end without the last looks for garbage, some .05 s: all that it has goes with it."""
    gc.freeze()
