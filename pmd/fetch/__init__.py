"""Fetch: images once, politely, from wherever they are; append-only, so that nothing is asked for twice.

Some modules ask, some judge what comes, some write it down. A lane brings them together. Modules, each importing only
those above it::

    network               whether it is the network that is broken
    clock                 what tells the time
    dates                 dates as HTTP has them
    outcome               statuses, attempts, evidence: what is said about one image; pure
    lists                 lists to check what comes against: what must not be kept, and what others have published
    politeness            what hosts ask of whoever fetches, and how it is kept to: rules, pace, and how long that takes
    http                  one URL asked for: from its address to its last byte, with every check between
    ledger                what is settled, read: the ledger, the store, and what they say of images that are still wanted
    lane                  a lane: images asked for, judged and written down, in one process with one event loop
    adoption              pictures that are taken over: from img2dataset, and from the store under another identity
    generations           generations of a fetch shard: written, hashed later, mended, and told of
    needs                 what fetch depends on, and the rejected pairs after it
    recount               what is committed, read back and counted
    summary               what a fetch has come to, in words
    runs                  one run, told from the generations that it committed
    reference_transforms  on Beam: lists and images brought together
    rejected_transforms   on Beam: the pairs whose image could not be had, and what was there
    hash_transforms       on Beam: stored pictures hashed
    transforms            on Beam: lanes
"""
