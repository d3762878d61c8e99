"""What may be said of counts: intervals that know of clusters, findings among many tests, small cells.

Nothing here knows what is counted. A figure of another part of pmd takes its interval from here, too.
"""
