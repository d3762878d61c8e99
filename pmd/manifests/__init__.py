"""The sources' manifests: what upstream publishes, where, how large, under which licence; and getting and checking it.

The data stand in `manifests/*.toml`, one file a source, beside the package `pmd`; nothing here knows a source by name.
Importing this package is cheap (no HTTP client, no terminal library), since `pmd sources` must answer at once.
"""

from pmd.manifests.download import fetch
from pmd.manifests.loading import hub_name, load, load_all, of_table2, recorded
from pmd.manifests.model import Gated, Manifest, ManifestFile, Published, Recorded, Table2, Terms
from pmd.manifests.outcome import Doing, Outcome, Progress
from pmd.manifests.selecting import human_bytes, select
from pmd.manifests.starter import missing_hint, starter_config
from pmd.manifests.verifying import verify

__all__ = [
    "Doing",
    "Gated",
    "Manifest",
    "ManifestFile",
    "Outcome",
    "Progress",
    "Published",
    "Recorded",
    "Table2",
    "Terms",
    "fetch",
    "hub_name",
    "human_bytes",
    "load",
    "load_all",
    "missing_hint",
    "of_table2",
    "recorded",
    "select",
    "starter_config",
    "verify",
]
