"""Each call that pmd makes of its storage, and something done before or after it: a kill, a stop, another writer's run.

The functions of `pmd.store.storage` and `pmd.store.versions` are wrapped where everybody finds them, so that no call is missed.
A call is told by its *place* (the function of the commit protocol that makes it), its name, and whether it is yet to be made.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from pmd.store import storage, versions

#: (owner, function): the calls that change something or on whose answer something is decided.
_FUNCTIONS: Final[tuple[tuple[Any, str], ...]] = (
    *(
        (storage, name)
        for name in (
            "exists",
            "read_bytes",
            "list_files",
            "list_names",
            "make_folder",
            "remove",
            "remove_tree",
            "remove_empty",
            "put",
            "put_if_absent",
            "sync_folders",
        )
    ),
    (storage.Draft, "__init__"),
    (storage.Draft, "finish"),
    (storage.Draft, "finish_if_absent"),
    (versions, "read"),
    (versions, "swap"),
)
#: (call, when): the moments between which local storage differs. Others are as good as the one before.
CHANGES: Final = frozenset(
    {
        ("make_folder", "after"),
        ("Draft.__init__", "after"),
        ("Draft.finish", "before"),
        ("Draft.finish", "after"),
        ("Draft.finish_if_absent", "after"),
        ("remove", "before"),
        ("remove", "after"),
        ("remove_tree", "after"),
        ("remove_empty", "after"),
    }
)
#: Modules of the protocol, by which a place is named.
_PROTOCOL: Final = (
    "pmd.store.commits",
    "pmd.store.parquet_files",
    "pmd.store.proposals",
    "pmd.store.lock",
    "pmd.store.root",
    "pmd.fetch.generations.claims",
    "pmd.fetch.generations.store",
    "pmd.fetch.generations.tar",
    "pmd.fetch.generations.waiting",
    "pmd.fetch.politeness.policies",
    "pmd.shard.writing",
    "pmd.store.exchange",
    "pipelines.running",
    "pmd.engines",
)
#: Functions that name no place: those that call them do.
_BETWEEN: Final = frozenset({"read", "require", "_swap", "generations", "<lambda>", "<genexpr>", "<listcomp>"})


@dataclass(frozen=True)
class Call:
    """One call: its number among all of the process, from 0, who makes it and of what."""

    number: int
    place: str
    name: str
    when: str

    def __str__(self) -> str:
        return f"{self.when} {self.name} in {self.place}"

    @property
    def kind(self) -> tuple[str, str, str]:
        """What calls have in common that are as good as the same."""
        return self.place, self.name, self.when


#: What is done at a call.
Act = Callable[[Call], None]


@contextlib.contextmanager
def watched(act: Act) -> Iterator[None]:
    """Do something before and after each call of the storage, of all threads, but not of calls that the act makes."""
    state = _State(act)
    kept = [(owner, name, inspect.getattr_static(owner, name)) for owner, name in _FUNCTIONS]
    for owner, name, function in kept:
        setattr(owner, name, _wrapped(state, owner, name, function))
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


class _State:
    def __init__(self, act: Act) -> None:
        self._act = act
        self.number = 0
        self.acting = False

    def tell(self, place: str, name: str, when: str) -> None:
        if self.acting:
            return
        call = Call(self.number, place, name, when)
        self.number += 1
        self.acting = True
        try:
            self._act(call)
        finally:
            self.acting = False


def _wrapped(state: _State, owner: Any, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    told = f"{owner.__name__.rpartition('.')[2]}.{name}" if owner is not storage else name

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        place = _place(sys._getframe(1))
        state.tell(place, told, "before")
        result = function(*args, **kwargs)
        state.tell(place, told, "after")
        return result

    return called


def _place(frame: FrameType | None) -> str:
    while frame is not None:
        module, function = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
        name = function.rpartition(".")[2]
        if (module.startswith(_PROTOCOL) or module.endswith("transforms")) and name not in _BETWEEN:
            return f"{module.removeprefix('pmd.')}.{function.replace('.<locals>', '')}"
        frame = frame.f_back
    return "elsewhere"
