"""The source that docs/adding-a-source.md has as its example keeps the contract: who copies it begins with a sound one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pmd.errors import InputError
from tests.sources.test_contract import FOREIGN, OTHERS

DOCUMENT = Path(__file__).parents[2] / "docs" / "adding-a-source.md"
CARDS = [
    {"id": 1, "url": "https://cards.example/1.jpg", "front": 'A "quoted" one', "back": "Dear Ada"},
    {"id": 2, "url": "https://cards.example/2.jpg", "front": "false", "back": "Café"},
    {"id": 2, "url": "https://cards.example/2.jpg", "front": "false", "back": "Café"},
    {"id": "x", "url": "https://cards.example/3.jpg", "front": "a", "back": "b"},
]

ReadAll = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the example."""
    found = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    module = ModuleType("example_of_a_source")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where pydantic looks for the names in annotations
    exec(compile(found[1], str(DOCUMENT), "exec"), vars(module))
    return module


def test_it_reads_cards_and_drops_none(example: ModuleType, tmp_path: Path, read_all: ReadAll) -> None:
    path = tmp_path / "cards.jsonl"
    # A blank line is no row, as docs/sources.md says of all.
    path.write_text("".join(json.dumps(card) + "\n\n \r\n" for card in CARDS) + '{"id": 4, "fro', encoding="utf-8")
    rows = read_all(example.SOURCE, path)
    assert [(row["source_id"], row["text"], row["reason"]) for row in rows] == [
        ("1", 'A "quoted" one', None),
        ("2", "false", None),
        ("2", "false", None),
        (None, None, "malformed_row"),
        (None, None, "malformed_row"),
    ]
    assert [row["text"] for row in read_all(example.SOURCE, path, side="back")][:2] == ["Dear Ada", "Café"]


@pytest.mark.parametrize("content", [FOREIGN, *(other.encode() for other in OTHERS.values())])
def test_it_refuses_what_is_none_of_its_files(
    example: ModuleType, tmp_path: Path, read_all: ReadAll, content: bytes
) -> None:
    path = tmp_path / "cards.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_all(example.SOURCE, path)
