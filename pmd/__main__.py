"""The command line's process: `pmd`, or `python -m pmd`.

A lane of the fetch reads this in as well, since its parent was started with it: so nothing is imported that only commands need.
"""

from pmd import lean


def main() -> None:
    """Be the command line."""
    lean.begin()
    from pmd import cli

    try:
        cli.main()
    finally:
        lean.end()


if __name__ == "__main__":
    main()
