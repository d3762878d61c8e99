"""The audit: who and what is in the pairs, and what each stage took away, every figure with its coverage.

Five steps, each a pure function:

    plan      which texts are looked at, and with which word lists     (`pmd.audit.measure.plan`)
    measure   a batch of pairs and the last stage each survived → a `Partial`, which merges in any order
    units     all pairs of some users, images, hosts, … → a `Counted`, sums that name nobody and merge in any order
    result    the merged `Partial`, the merged `Counted` and the books → the content of audit.json
    report    that content → one HTML page that needs nothing else

Only `measure` and `units` see pairs, so all that grows with the data is spread over workers; what leaves them stays small
however many pairs went in. What a figure's interval speaks of stands in `estimates`; whether losses struck unevenly in `losses`,
and which tests are findings in `findings`.
"""
