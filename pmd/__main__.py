"""`python -m pmd`: the command line."""

from pmd.cli import main

main()
