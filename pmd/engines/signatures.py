"""Beam's look at the signatures of methods, once for each.

Beam asks eight times at every step of a pipeline for the arguments of each of some thirty methods of its DoFn, and reads their
signatures anew each time: half of what a small pipeline costs the driver, and a third of what it costs a worker. A function's
signature does not change, so it is remembered as long as there is the function.
"""

from __future__ import annotations

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any

from apache_beam.transforms import core

#: Names of arguments, and the values of those that have a default.
Arguments = tuple[list[str], list[Any]]


def remembered(ask: Callable[[Any], Arguments]) -> Callable[[Any], Arguments]:
    """Return a function that asks once of each method, whatever it is bound to; of what is no method, always."""
    known: weakref.WeakKeyDictionary[types.FunctionType, Arguments] = weakref.WeakKeyDictionary()

    @functools.wraps(ask)
    def arguments(called: Any) -> Arguments:
        function = called.__func__ if isinstance(called, types.MethodType) else None
        if not isinstance(function, types.FunctionType):
            return ask(called)
        found = known.get(function)
        if found is None:
            found = known[function] = ask(called)
        names, defaults = found
        return [*names], [*defaults]  # who asks may change them

    return arguments


def remember() -> None:
    """Have Beam ask so, in this process; once."""
    ask = core.get_function_args_defaults
    if not hasattr(ask, "__wrapped__"):
        core.get_function_args_defaults = remembered(ask)
