"""What lanes need, imported once: read in by the process that lanes of tests are forked from (`conftest.py`)."""

from __future__ import annotations

import pyarrow as pa

import pmd.fetch.transforms  # noqa: F401
from pmd.text import urls

pa.array([1])  # pyarrow imports pandas when it first makes an array
urls.registrable_domain("a.example")  # reads the list of public suffixes
