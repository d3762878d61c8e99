"""A lane: images asked for, judged and written down, in one process with one event loop.

Modules, each importing only those above it::

    stopping   asked to end soon, with what there is
    loop       what threads have to do with an event loop
    archives   one member of a local archive or folder
    images     what is asked for, and what stands for it already
    beginning  which of them are begun when
    judging    bytes in, a verdict out
    recording  answers and verdicts as attempts and outcomes
    engine     a lane: event loop, codec threads and all the above, for as many images and shards as it is given
    leases     one copy of a lane at a time
"""
