"""Runs the library's examples: those of the public names' docstrings, and those of pages. Also as a script, in a wheel.

They speak of "demo/pmd" and "demo/pmd.toml", so they are run in the folder in which `pmd demo --out demo` was.
"""

from __future__ import annotations

import doctest
import io
import sys
from pathlib import Path

import pmd

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def of_name(name: str) -> list[doctest.DocTest]:
    """Return the examples of a public name: of a class those of its methods too."""
    found = doctest.DocTestFinder(exclude_empty=True).find(getattr(pmd, name), name, module=False, globs={})  # type: ignore[arg-type]
    return [test for test in found if test.examples]


def of_page(page: Path) -> list[doctest.DocTest]:
    """Return the examples of a page, one for all its blocks: what one defines, the next may use."""
    text = page.read_text(encoding="utf-8")
    # What is no code becomes empty lines, which end an example's output; so the numbers of the lines stay.
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = line == "```pycon"
            kept.append("")
        else:
            kept.append(line if inside else "")
    return [doctest.DocTestParser().get_doctest("\n".join(kept), {}, page.name, str(page), 0)]


def failures(test: doctest.DocTest) -> str:
    """Run an example; return what went otherwise than it says, or nothing."""
    told = io.StringIO()
    doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=told.write)
    return told.getvalue()


def main() -> None:
    """Run all examples, and those of the pages that are named; end with 1 where one fails."""
    tests = [test for name in pmd.__all__ for test in of_name(name)]
    tests += [test for page in sys.argv[1:] for test in of_page(Path(page))]
    told = "".join(map(failures, tests))
    print(told, file=sys.stderr)
    print(f"{len(tests)} examples of {len(pmd.__all__)} names and {len(sys.argv[1:])} pages, from {pmd.__file__}")
    sys.exit(1 if told else 0)


if __name__ == "__main__":
    main()
