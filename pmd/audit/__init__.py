"""The audit: who and what is in the pairs, and what each stage took away, every figure with its coverage.

Four steps, each a pure function:

    plan      which texts are looked at, and with which word lists     (`pmd.audit.measure.plan`)
    measure   a batch of pairs and the last stage each survived → a `Partial`, which merges in any order
    result    the merged `Partial` and the books → the content of audit.json
    report    that content → one HTML page that needs nothing else

Only `measure` sees pairs, so all that grows with the data is spread over workers; a `Partial` stays small however many
pairs went in.
"""
