"""Files and commits: what a run writes, how it becomes what readers see, and who may write.

Modules, each importing only those above it::

    patience       what may pass is waited for
    clients        which exceptions are those of an object store's client
    shortage       what a process lacks is no damage of what it reads
    spools         files that are written here and sent elsewhere
    local          this machine's files
    patterns       what a pattern matches of them
    bulk           many objects of S3 removed by one request
    naming         how a whole file gets its name, and keeps it
    storage        files, on any file system
    failures       what storage that fails says to a person
    versions       compare and swap
    written        names that runs write
    older          what a bucket keeps of files that were replaced or removed
    sealed         files held to the digest in their names
    commits        `_stage.json`, the protocol
    parquet_files  tables as Parquet files
    withdrawn      the list of what has left, beside lists
    register       which generations of the fetch are committed
    standing       what stands under a ROOT, each commit read once
    wanted         what a commit depends on, and whether it is stale
    alive          since when a process of this machine runs, and whether it has ended
    lock           the one writer, and its epoch
    leftovers      what a run that did not end has left
    root           ROOT and its folders
    proposals      what workers ask the driver to commit
    exchange       rows that meet in run files
    mapped         files of a run that workers map into memory
    parcels        rows that meet through an engine's shuffle
"""
