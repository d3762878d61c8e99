"""How counts come about: batches of pairs become sums that merge in any order, at each stage that a pair survived.

All that sees pairs stands here; what comes of it names nobody.
"""
