"""Lists to check what comes against: what must not be kept, and what others have published.

Modules, each importing only those above it::

    blocklists       content that must not be kept, and where it lies
    reference_lists  published lists that what comes is compared with
"""
