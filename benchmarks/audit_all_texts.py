"""`pmd`, with all texts read where a data set is audited: any data set's audit takes its settings from nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pmd import cli
from pmd.config.options import AuditOptions

AuditOptions.model_fields["text_sample"].default = 2**31
AuditOptions.model_rebuild(force=True)

if __name__ == "__main__":
    cli.main()
