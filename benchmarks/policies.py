"""What a look at a hostile robots.txt costs: families of files of 512 kB, against paths of up to 8 kB.

    python benchmarks/policies.py

Prints for each family how many rules it has, how long it takes to prepare (once a file, in a thread), what its rules hold in
memory, and the processor time of a look for each path; "!" marks a look that was given up (`patterns.MOST_STEPS`) and so is
a no. The last line is JSON with the worst of all.
"""

from __future__ import annotations

import datetime
import itertools
import json
import random
import string
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pmd.fetch.politeness import patterns, robots

_LETTERS: Final = string.ascii_letters + string.digits
_CHANCE: Final = random.Random(0)


def name(number: int) -> str:
    """Return a short word, another for each number."""
    word = ""
    while True:
        number, place = divmod(number, len(_LETTERS))
        word += _LETTERS[place]
        if not number:
            return word


_KINDS: Final = ("allow", "content-signal", "content-usage")

#: The n-th line of a file of each family.
FAMILIES: Final[dict[str, Callable[[int], str]]] = {
    "the same": lambda _: "allow:*b*",
    "*word": lambda number: f"allow:*{name(number)}",
    "*word$": lambda number: f"allow:*{name(number)}$",
    "/*word": lambda number: f"allow:/*{name(number)}",
    "/word": lambda number: f"allow:/{name(number)}",
    "/word$": lambda number: f"allow:/{name(number)}$",
    "*of two letters": lambda number: f"allow:*{number:016b}".translate(str.maketrans("01", "ab")),
    "*a…word": lambda number: f"allow:*{'a' * 40}{name(number)}",
    "*word a…": lambda number: f"allow:*{name(number)}{'a' * 60}",
    "*a…word a…": lambda number: f"allow:*{'a' * 40}{name(number)}{'a' * 40}",
    "*a*word*a": lambda number: f"allow:*a*{name(number)}*a",
    "*a*a…*word": lambda number: f"allow:{'*a' * 30}*{name(number)}",
    "thousands of *a": lambda number: f"allow:{'*a' * 1900}*{name(number)}",
    "one of *a": lambda _: f"allow:{'*a' * 200_000}",
    "escapes": lambda number: f"allow:*%{number % 256:02x}{name(number)}",
    "with signals": lambda number: f"{_KINDS[number % 3]}:*{'a' * 40}{name(number)}{'a' * 40} ai-train=yes",
    "groups": lambda number: f"user-agent:*\nallow:*{name(number)}",
    "of every length": lambda number: f"allow:/{'a' * (number % 1000 + 1)}b*{name(number)}",
}
PATHS: Final = {
    "short": "/a.jpg",
    "200": "/" + "abcdefgh/" * 22 + ".jpg",
    "2k": "/" + "a" * 2000,
    "8k": "/" + "a" * 7900,
    "escapes": "/" + "%41" * 2600,
    "chance": "/" + "".join(_CHANCE.choices(_LETTERS, k=7900)),
    "two letters": "/" + "".join(_CHANCE.choices("ab", k=7900)),
    "query": "/?" + "%2Fa" * 1900,
}


def file_of(line: Callable[[int], str]) -> str:
    """Return a robots.txt as long as one is read."""
    lines, size = ["User-agent:*\n"], 13
    for number in itertools.count():
        lines.append(f"{line(number)}\n")
        size += len(lines[-1])
        if size > robots.MAX_BYTES:
            return "".join(lines[:-1])
    raise AssertionError


def prepared(body: str) -> tuple[robots.Rules, float, float]:
    """Return the rules of a file, the seconds that they took, and the megabytes that they hold."""
    started = time.process_time()
    robots._rules_for(body, "pmd")
    seconds = time.process_time() - started
    tracemalloc.start()
    rules = robots._rules_for(body, "pmd")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return rules, seconds, held / 2**20


def look(rules: robots.Rules, path: str) -> tuple[float, bool]:
    """Return the milliseconds of a look, and whether it was given up."""
    patterns.forms.cache_clear()
    started, given_up = time.process_time(), False
    try:
        robots.decide(rules, path)
    except patterns.TooMuch:
        given_up = True
    return (time.process_time() - started) * 1e3, given_up


def main() -> None:
    """Measure, print."""
    worst, worst_prepared_s, worst_mb, now = 0.0, 0.0, 0.0, datetime.datetime.now(datetime.UTC)
    for family, line in FAMILIES.items():
        rules, seconds, held = prepared(file_of(line))
        looks = {name: look(rules, path) for name, path in PATHS.items()}
        shown = " ".join(f"{name} {took:.1f}{'!' * given_up}" for name, (took, given_up) in looks.items())
        print(f"{family:18} {len(rules.rules):6} rules {seconds * 1e3:5.0f} ms {held:5.1f} MB  {shown}", flush=True)
        worst = max(worst, *(took for took, _ in looks.values()))
        worst_prepared_s, worst_mb = max(worst_prepared_s, seconds), max(worst_mb, held)
    figures = {"look_ms": worst, "prepared_ms": worst_prepared_s * 1e3, "held_mb": worst_mb}
    print(json.dumps({**{name: round(value, 1) for name, value in figures.items()}, "on": str(now.date())}))


if __name__ == "__main__":
    main()
