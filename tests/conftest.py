"""Fixtures that several test modules share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Machines that tests run on are slow at times, and no test is about time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SAMPLES = Path(__file__).resolve().parent.parent.parent / "shared" / "samples"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of genuine upstream rows and photographs, which stands beside a developer's checkout only."""
    if not SAMPLES.is_dir():
        pytest.skip(f"genuine samples are not here: no folder {SAMPLES}")
    return SAMPLES
