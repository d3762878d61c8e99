"""What hosts ask of whoever fetches, and how it is kept to: rules, pace, and how long that takes.

Modules, each importing only those above it::

    patterns  patterns of paths, prepared once, looked through at a bounded cost
    signals   what hosts say of training: Content-Signal and Content-Usage
    robots    RFC 9309: rules and their verdicts, kept with date and evidence
    tdmrep    TDMRep: what is reserved, by file and by header
    policies  both, kept in ROOT for later runs
    shares    what each lane may ask of a host
    slots     how many images are under way in a lane, and how many bytes
    hosts     pace, connections, pauses, circuit breakers
    forecast  how long a fetch takes at the least, by these bounds
"""
