"""What a ROOT holds and whether it is so. Nothing here writes.

Modules, each importing only those above it::

    catalogue  what there is to choose from: sources, rules, closed lists
    kinds      what stands at a path: a ROOT, a published list, or something else
    rejected   where each stage's rejected rows stand
    upstream   a rejected row as it stands upstream
    status     the books of every stage, from the commits alone
    damage     which committed files are not as they were written
    plan       what a build comes to, before it runs
    verify     everything recounted from the files
    explain    all that is known of one pair or image
    diff       what differs between two ROOTs or lists
    peek       a page of sampled pairs with their pictures, and of rejected rows
"""
