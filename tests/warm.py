"""What lanes need, imported once: read in by the process that lanes of tests are forked from (`conftest.py`)."""

from __future__ import annotations

import pyarrow as pa

import pmd.fetch.transforms  # noqa: F401
from pmd import lean
from pmd.text import domain_names

lean.begin()
pa.array([1])  # looks for pandas
domain_names.registrable_domain("a.example")  # reads the list of public suffixes
