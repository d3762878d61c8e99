"""Takedown from end to end: what was asked for, what it names in a ROOT, purging it, and proving that it is gone.

    requests    what waits to be carried out, as people have said it
    matching    what requests name here: images under all identities, their digests, what looks alike, what duplicates it
    purge       rewriting what was read and fetched, under the protocol of commits
    decoded     everything that a file holds, unpacked
    prove       looking for what was taken down in every file of ROOT
    receipts    what was done, as counts
    kept        reading the files of both, and telling where they are damaged

What is made of these (images, lists, shards, audit) is made anew by the stages' own pipelines (`pipelines.takedown`).
"""
