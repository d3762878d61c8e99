"""Generations of a fetch shard: written, hashed later, mended, and told of.

Modules, each importing only those above it::

    waiting   generations that wait for word whether any host answered the run
    reports   what lanes tell the driver when they are done
    tar       the tar of a generation
    claims    generations claimed for a run, and what runs have left removed
    store     one generation of one fetch shard: attempts, ledger, commit
    hashing   perceptual hashes of what is stored, as a generation of its own
    refusals  stored pictures that another stage is the first to decode, and that are none
    mend      a generation that damage has met, made again from what is sound
"""
