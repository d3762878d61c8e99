"""Pictures that are taken over: from img2dataset, and from the store under another identity.

Modules, each importing only those above it::

    samples              what img2dataset's shards hold, and what of it is passed over
    adopt                images of img2dataset's shards, taken over
    img2dataset_program  what runs in img2dataset's processes, and writes down what hosts answer
    img2dataset          images downloaded by img2dataset, in a lane's place
    renamed              stored pictures under another identity, taken over
"""
