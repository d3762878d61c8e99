"""Any data set beside a build: what audit.json says of it.

It went through no stage of ours, so there is one population, "reading": the rows that could be read and have a text. Everything
else is as for a build, through the same code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from pmd import flow
from pmd.audit.figures import attributes

#: What the one population of a data set is called.
READING: Final = "reading"
#: What names of stages stand under.
_STAGES: Final = frozenset({"stages", "stage", "step"})
#: What the method of countries says of builds alone.
OF_BUILDS: Final = "Of PMD's sources YFCC100M alone has geotags."


@dataclasses.dataclass(frozen=True)
class Described:
    """A data set.

    Attributes:
        path: As the user named it.
        files: How many files it has.
        columns: Which columns were taken, in words, each wording once.
    """

    path: str
    files: int
    columns: tuple[str, ...]


def described(content: Mapping[str, Any], data: Described) -> dict[str, Any]:
    """Return the content of audit.json of a data set: its one population under its own name, and what it is."""
    found: dict[str, Any] = _renamed(content)
    found["methods"]["countries"] = found["methods"]["countries"].replace(f" {OF_BUILDS}", "")
    found["methods"]["attributes"] = attributes.METHOD_OF_DATA
    found["data_set"] = {"path": data.path, "files": data.files, "columns": list(data.columns)}
    return found


def _renamed(value: Any, of: str = "") -> Any:
    """Return a value in which the stage that a data set has gone through is called `READING`, wherever it is named.

    Args:
        value: Any part of audit.json.
        of: The name that it stands under: a caption that says "curate" is none.
    """
    if isinstance(value, Mapping):
        return {READING if key == flow.CURATE.name else key: _renamed(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, of) for item in value]
    return READING if value == flow.CURATE.name and of in _STAGES else value
