"""What the names of folders say of a table's rows: `source=coco/split=train/data_0.parquet`, as Hive began to write tables.

DuckDB, pandas, pyarrow and Spark leave a column by which they part a table out of its files.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

#: The folder of rows that have no value.
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"


def said(path: str) -> dict[str, str | None]:
    """Return column → the value that all rows of a file have in it, by the folders that it stands in; of two, the inner one's.

    >>> said("lists/source=google%2Fwit/split=test/data_0.parquet")
    {'source': 'google/wit', 'split': 'test'}
    """
    named = (folder.partition("=") for folder in path.split("/")[:-1] if "=" in folder)
    return {name: None if value == _NULL else unquote(value) for name, _, value in named}
