"""Fetch: images once, politely, from wherever they are; append-only, so that nothing is asked for twice.

Some modules ask, some judge what comes, some write it down; the engine brings them together. Modules, each importing only
those above it::

    network      whether it is the network that is broken
    stopping     asked to end soon, with what there is
    loop         what threads have to do with an event loop
    dates        dates as HTTP has them
    outcome      statuses, attempts, evidence: what is said about one image; pure
    special      IANA's registries of special-purpose addresses
    addresses    where a URL leads: parsing, `resolve`, refused addresses
    proxies      proxies of the environment, where the configuration allows them
    resolver     names to addresses that may be asked
    patterns     patterns of paths, prepared once, looked through at a bounded cost
    robots       RFC 9309: rules and their verdicts, kept with date and evidence
    tdmrep       TDMRep: what is reserved, by file and by header
    policies     both, kept in ROOT for later runs
    hosts        politeness and bounds: pace, connections, pauses, circuit breakers, slots, bytes in flight
    forecast     how long a fetch takes at the least, by these bounds

    answer       what came of asking for a URL: all that whoever asks hands on
    head         what an answer says before its body
    broken       what libcurl says of a request that fails, as a status
    trust        certificate authorities, in a file for libcurl
    driving      libcurl's sockets and deadlines, driven by an event loop
    transfers    libcurl: requests of which every address is checked, and every part of the answer as it comes
    second_look  answers that libcurl refuses and browsers show
    codings      content codings, undone
    receiving    takes an image's answer, judged part by part, and a small file's
    blocklists   content that must not be kept, and where it lies
    client       asks for one URL once: redirects by hand, deadlines, limits, headers before bodies
    archives     one member of a local archive or folder

    reference_lists  published lists that what comes is compared with
    images           what is asked for, and what stands for it already
    beginning        which of them are begun when
    judging          bytes in, a verdict out
    recording        answers and verdicts as attempts and outcomes

    state        what the store and the ledger hold; which images are wanted
    partitions   images, views and the ledger, cut alike by the first bits of the image's key
    asked        which images the web was asked for, where, when, and what it said
    sums         how many of these were there, by source, host, status and day

    samples      what img2dataset's shards hold, and what of it is passed over
    adopt        images of img2dataset's shards, taken over
    engine       a lane: event loop, codec threads and all the above, for as many images and shards as it is given
    img2dataset_program  what runs in img2dataset's processes, and writes down what hosts answer
    img2dataset  images downloaded by img2dataset, in a lane's place

    asking       who asks for perceptual hashes, and which stored pictures have none yet
    needs        what fetch depends on, and the rejected pairs after it
    stored       stored pictures, read back and checked
    reading      many stored pictures, read with few requests
    waiting      generations that wait for word whether any host answered the run
    renamed      stored pictures under another identity, taken over
    leases       one copy of a lane at a time
    reports      what lanes tell the driver when they are done
    store        one generation of one fetch shard: tar, attempts, ledger, commit
    hashing      perceptual hashes of what is stored, as a generation of its own
    refusals     stored pictures that another stage is the first to decode, and that are none
    mend         a generation that damage has met, made again from what is sound
    recount      what is committed, read back and counted
    summary      what a fetch has come to, in words
    runs         one run, told from the generations that it committed

    reference_transforms  on Beam: lists and images brought together
    rejected_transforms   on Beam: the pairs whose image could not be had, and what was there
    hash_transforms       on Beam: stored pictures hashed
    transforms            on Beam: lanes
"""
