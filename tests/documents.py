"""The tables of documents that are made of what the code declares: `make docs` writes them, and a test compares them.

An option's row is told by its declaration in `pmd.config.options` (`Rule`, or a default and its `description`), a reason's by
`pmd.config.reasons`. What stands around the tables is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pmd.config.options import StageOptions
from pmd.config.reasons import REASONS
from pmd.config.tables import TABLES

ROOT = Path(__file__).resolve().parent.parent


def toml(value: Any) -> str:
    """Return a default as a configuration has it; "none" for what has no value there."""
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return toml(value.model_dump())
    if isinstance(value, dict):
        inner = ", ".join(f"{name} = {toml(one)}" for name, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _ticked(value: Any) -> str:
    spelled = toml(value)
    return spelled if value is None else f"`{spelled}`"


def rules() -> Iterator[Sequence[str]]:
    """Yield the rows of options that differ between profiles."""
    yield "where", "option", "paper", "hub", "recommended", "what it does"
    for table, model in TABLES.items():
        for option, rule in model.rules().items():
            values = (rule.paper, rule.hub, rule.recommended)
            yield f"`[{table}]`", f"`{option}`", *map(_ticked, values), rule.says.removesuffix(".")


def settings() -> Iterator[Sequence[str]]:
    """Yield the rows of options that are the same in every profile; a table is named in its first row."""
    yield "where", "option", "default", "what it does"
    for table, model in TABLES.items():
        where = f"`[{table}]`"
        for option in _settings(model):
            field = model.model_fields[option]
            assert field.description, f"[{table}] {option}: Field(description=…) says what it does"
            yield where, f"`{option}`", _ticked(field.default), field.description
            where = ""


def _settings(model: type[StageOptions]) -> list[str]:
    return [name for name in model.model_fields if name not in model.rules()]


def reasons() -> Iterator[Sequence[str]]:
    """Yield the rows of the reasons for which rows leave."""
    yield "stage", "reason", "meaning"
    for reason, (stage, says) in REASONS.items():
        yield stage, reason, says


def _table(rows: Iterator[Sequence[str]]) -> str:
    head, *rest = rows
    lines = [head, *rest]
    shown = ["|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines]
    shown.insert(1, "|" + "---|" * len(head))
    return "\n".join(shown) + "\n"


#: Document → the heading of a section, and its tables in order.
MADE = {
    "docs/options.md": {"Options of the stages": (rules, settings)},
    "docs/contract.md": {"Reasons": (reasons,)},
}
_TABLE = re.compile(r"^\|.*\n(?:\|.*\n)*", re.MULTILINE)


def filled(name: str) -> str:
    """Return a document with its tables as they should be.

    Raises:
        ValueError: A section or a table is not there.
    """
    text = (ROOT / name).read_text(encoding="utf-8")
    for heading, tables in MADE[name].items():
        section = re.search(rf"^#+ {re.escape(heading)}\n(?:(?!#+ ).*\n)*", text, re.MULTILINE)
        if section is None or len(_TABLE.findall(section[0])) != len(tables):
            raise ValueError(f"{name}: a section {heading} with {len(tables)} tables is expected")
        made = iter(tables)
        changed = _TABLE.sub(lambda _: _table(next(made)()), section[0])  # noqa: B023  used at once
        text = text[: section.start()] + changed + text[section.end() :]
    return text


def main() -> None:
    """Write all documents."""
    for name in MADE:
        (ROOT / name).write_text(filled(name), encoding="utf-8")


if __name__ == "__main__":
    main()
