"""What a process of ours does without: packages that libraries import only to see whether they are there.

pyarrow imports pandas at its first array, and Beam at its start, each to see whether what it is handed is a DataFrame. No stage
has any. It costs each driver, lane and worker .6 s of processor time and 50 MB. Beam imports a client of MongoDB (`bson`) where
some other package has brought one, .15 s, and one of BigQuery, with an HTTP client, .05 s. pydantic reads what every installed
package says of itself, for plugins. So whoever starts a process that is ours alone says at its start that there is none of them.
A program that uses pmd as a library is not ours: `to_pandas` works there.

Nor is garbage looked for as often as Python does it by itself: imports make a hundred thousand objects that stay, and looking
through them again and again is a tenth of what they cost.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Final

#: Packages that are not looked for.
_ABSENT: Final = ("pandas", "bson", "apache_beam.io.gcp.bigquery")

#: Objects that are made and not let go of before garbage is collected; Python's own figure is 700. Little of ours is let go of in
#: rings, which alone need it, and much waits: in a lane some 15 objects of an image until its shard ends.
_GARBAGE: Final = 20_000


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname in _ABSENT and fullname not in sys.modules:
            raise ModuleNotFoundError(f"this process does without {fullname}", name=fullname)


def begin() -> None:
    """Have this process, and those that it starts, do without what nothing of ours uses; what it has already stays."""
    gc.set_threshold(_GARBAGE)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    logging.getLogger("apache_beam.io.mongodbio").setLevel(logging.ERROR)  # it would tell that bson is not there
    sys.meta_path.insert(0, _Absent())  # an entry of None in `sys.modules` is a module to Cython
