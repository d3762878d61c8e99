"""What is settled, read: the ledger, the store, and what they say of images that are still wanted.

Modules, each importing only those above it::

    state       what the store and the ledger hold; which images are wanted
    partitions  images, views and the ledger, cut alike by the first bits of the image's key
    asked       which images the web was asked for, where, when, and what it said
    sums        how many of these were there, by source, host, status and day
    asking      who asks for perceptual hashes, and which stored pictures have none yet
    stored      stored pictures, read back and checked
    reading     many stored pictures, read with few requests
"""
