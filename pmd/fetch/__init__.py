"""Fetch: images once, politely, from wherever they are; append-only, so that nothing is asked for twice.

Modules, each importing only those above it::

    dates       dates as HTTP has them
    outcome     statuses, attempts, evidence: what is said about one image; pure
    special     IANA's registries of special-purpose addresses
    addresses   where a URL leads: parsing, `resolve`, DNS, refused addresses
    patterns    patterns of paths, prepared once, looked through at a bounded cost
    robots      RFC 9309: rules and their verdicts, kept with date and evidence
    tdmrep      TDMRep: what is reserved, by file and by header
    network     whether it is the network that is broken
    hosts       politeness and bounds: pace, connections, pauses, circuit breakers, slots, bytes in flight
    blocklists  content that must not be kept
    against     published lists that what comes is compared with
    client      one URL asked for once: redirects by hand, deadlines, limits, headers before bodies
    archives    one member of a local archive or folder
    samples     what img2dataset's shards hold, and what of it is passed over
    adopt       images of img2dataset's shards, taken over
    state       what the store and the ledger hold; which images are wanted
    engine      a lane: event loop, codec threads and all the above, for as many images and shards as it is given
    img2dataset images downloaded by img2dataset, in a lane's place
    waiting     generations that wait for word whether any host answered the run
    store       one generation of one fetch shard: tar, attempts, ledger, commit
    summary     what a fetch has come to, in words
    runs        one run, told from the generations that it committed
"""
