"""What a process of ours does without: pandas, which two libraries import where it is installed.

pyarrow imports it at its first array, and Beam at its start, each to see whether what it is handed is a DataFrame. No stage
has any. It costs each driver, lane and worker .6 s of processor time and 50 MB. So whoever starts a process that is ours alone
says at its start that there is no pandas. A program that uses pmd as a library is not ours: `to_pandas` works there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("this process does without pandas", name=fullname)


def without_pandas() -> None:
    """Have this process find no pandas, unless it has it already."""
    if "pandas" not in sys.modules:
        sys.meta_path.insert(0, _NoPandas())  # an entry of None in `sys.modules` is a module to Cython
