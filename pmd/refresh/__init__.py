"""Refresh: what is still there of what the web once had. Counted at the fetch, and asked again of a sample, in waves.

A wave never changes ledger or store: it is a table of its own. Whoever wants the images that came back runs `pmd fetch --retry`.
Modules, each importing only those above it::

    availability  the share that was there when it was asked for, by source, host, reason and day
    sampling      which images a wave asks for
    waves         the table of a wave, on disk
    figures       what waves say, with intervals
    asking        a wave, asked
    results       all figures of a ROOT, as JSON and as rows
    page          all figures as a page
    telling       what the command tells at its end
    recount       a wave's commit, read back and counted
"""
