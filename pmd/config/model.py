"""The configuration as it is once it has been checked: one frozen object, which is passed through."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pmd import escape, sources
from pmd.config import options
from pmd.config.engine import LOCAL, Engine
from pmd.config.tables import Tables
from pmd.errors import ConfigError
from pmd.sources.contract import Profile

if typing.TYPE_CHECKING:
    from pmd.manifests import Terms


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """One source, as configured.

    Attributes:
        reader: What reads one that is none of the project's own; of these it is None.
        given: The options that the file gives, whatever the profile says.
    """

    name: str
    annotations: tuple[str, ...]
    images: tuple[str, ...]
    options: Any
    reader: str | None = None
    given: frozenset[str] = dataclasses.field(default=frozenset(), compare=False)

    @property
    def terms(self) -> Terms:
        """What of it may be handed on: by its manifest, or by the configuration."""
        if self.reader is None:
            from pmd import manifests  # here: who has nothing to do asks for no terms

            return manifests.load(self.name)
        return sources.load_reader(self.reader).terms(self.name, self.options)


@dataclasses.dataclass(frozen=True)
class Config(Tables):
    """A whole configuration. `sample` is N of 1/N: only images whose key falls in the first N-th are taken.

    Paths lead from the working folder. `folder` is the configuration's own, "" for the working folder.

    >>> import pmd, dataclasses
    >>> config = pmd.load_config("demo/pmd.toml")
    >>> tenth = dataclasses.replace(config, root="demo/tenth", sample=10)
    >>> isinstance(tenth, pmd.Config), tenth.profile
    (True, 'recommended')
    """

    root: str
    profile: Profile
    seed: int
    contact: str | None
    sample: int
    takedown: tuple[str, ...]
    sources: Mapping[str, SourceConfig]
    scores: tuple[options.ScoreRule, ...]
    folder: str = ""
    engine: Engine = LOCAL  # where it runs; what comes out is the same
    suppression: tuple[str, ...] = ()  # lists of what was taken down elsewhere (`pmd.suppression.lists`)


@dataclasses.dataclass(frozen=True)
class Problem:
    """One mistake in a configuration."""

    line: int | None
    key: str
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        key, expected, found, remedy = map(escape.terminal, (self.key, self.expected, self.found, self.remedy))
        return f"{place}{key}\n    expected: {expected}\n    found: {found}\n    remedy: {remedy}"


class InvalidConfig(ConfigError):
    """All mistakes of one configuration file."""

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{path}: {count} {'mistake' if count == 1 else 'mistakes'}; nothing was run")
        self.path = path
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return InvalidConfig, (self.path, self.problems)

    def __str__(self) -> str:
        return "\n".join([escape.terminal(self.problem), *(f"  {problem}" for problem in self.problems)])

    def describe(self) -> dict[str, Any]:
        """Return the mistakes as JSON has them."""
        return {**super().describe(), "problems": [dataclasses.asdict(problem) for problem in self.problems]}
