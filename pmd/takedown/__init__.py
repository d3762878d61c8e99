"""Takedown from end to end: what was asked for, what it names in a ROOT, purging it, and proving that it is gone.

What is made of these (images, lists, shards, audit) is made anew by the stages' own pipelines (`pipelines.takedown`).
Modules, each importing only those above it::

    kept        reading the files of requests and receipts, and telling where they are damaged
    requests    what waits to be carried out, as people have said it
    receipts    what was done, as counts
    copies      which images are the same picture: by bytes, looks, groups of duplicates, addresses
    meaning     what words mean, as pairs are compared with it
    matching    what requests name here: images under all identities, with their digests and copies
    search      a picture looked for among all that are stored, for a person to look at
    purge       rewriting what was read and fetched, under the protocol of commits
    decoded     everything that a file holds, unpacked
    prove       looking for what was taken down in every file of ROOT
"""
