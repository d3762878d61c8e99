"""Languages for tests of the audit, without asking detectors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pmd.text import language
from pmd.text.tokens import Tokens


@pytest.fixture
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all texts for English."""
    monkeypatch.setattr(language, "languages", lambda texts: pa.array(["en"] * len(texts), pa.string()))


@pytest.fixture
def marked_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take texts for German that say "(de)", and others for English."""

    def marked(tokens: Tokens) -> pa.Array:
        texts = tokens.joined(np.arange(len(tokens))).to_pylist()
        return pa.array(["de" if "(de)" in text else "en" for text in texts], pa.string())

    monkeypatch.setattr(language, "languages", marked)
