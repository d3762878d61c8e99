"""The audit: who and what is in the pairs, and what each stage took away, every figure with its coverage.

Seven steps, each a pure function:

    plan      which texts are looked at, and with which word lists     (`pmd.audit.counting.measure.plan`)
    fates     what later stages have left → the last stage that each pair survived, for whoever reads it
    measure   a batch of pairs and the last stage each survived → a `Partial`, which merges in any order
    distinct  all pairs of some images → how many images have so many
    units     all pairs of some users, hosts, … → a `Counted`, sums that name nobody and merge in any order
    result    the merged `Partial`, the merged `Counted` and the books → the content of audit.json
    report    that content → one HTML page that needs nothing else

Only those between `plan` and `result` see pairs, so all that grows with the data is spread over workers; what leaves them stays
small however many pairs went in. `result` puts together what stands in `populations` (the sections of a population, read off its
`strata`), in `inequality` (users and hosts) and in `uneven` (the tests of losses). What a figure's interval speaks of stands in
`estimates`; whether losses struck unevenly in `losses`, of users and hosts by their size in `unit_losses`, and which tests are
findings in `findings`.

Modules, each importing only those above it::

    fields        upstream's fields of pairs, read out of `meta`
    statistics    what may be said of counts: intervals that know of clusters, findings among many tests, small cells
    texts         what texts say: their words, the terms of every list that stand in them, and personal data
    places        which country a point lies in, which land several states claim, and how many people live where
    counting      how counts come about: batches of pairs become sums that merge in any order, at each stage that a pair survived
    figures       from sums to figures: the content of audit.json, and the same as tables
    data_columns  which column of any data set is which
    labelling     labels by hand, for the gendered terms
    report        the page: audit.json as HTML that needs nothing else
    needs         what the audit depends on
    recount       what is committed, read back
    transforms    on Beam: pairs and what became of them, brought together and counted
"""
