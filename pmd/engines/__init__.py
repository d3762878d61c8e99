"""Running on Beam: what pipelines have in common, and what comes back from workers.

Modules, each importing only those above it::

    coder       Arrow batches between workers
    options     Beam's options, made quick to ask
    cores       how many this process may keep busy
    signatures  Beam's look at signatures, once for each
    partitions  units that are parts
    progress    what a person sees while a stage runs
    ends        a run that begins, is wanted no more, or has reached its last step
    meanwhile   looking at something while something else runs
    leaving     what a worker does before its engine ends it
    channels    how much a worker may give an engine at once
    mistakes    what a worker meets, told to the person as itself
    versions    workers of other versions than the driver are refused
    servers     engines on this machine, for trying
    choosing    the engine that a configuration names, as Beam's flags
    jobs        a job that an engine runs, in words
    counters    what stages keep and reject, as engines count it
    workers     worker processes of the local runner
    driving     Beam in a thread of its own
    processes   their processes: started, waited for and ended
    transforms  the shapes that pipelines have
    committing  what all workers handed on, as the proposal of a commit
    child       a command of pmd's that ends with who has started it
    commanding  a command of pmd's as a task of an engine
    boot        the worker that an engine's worker starts

Only this folder and the stages' `transforms` import Apache Beam.
"""
