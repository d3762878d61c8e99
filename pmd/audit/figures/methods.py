"""How each figure of audit.json was had, in words: what a section's `method` names."""

from __future__ import annotations

from typing import Final

from pmd.audit.counting import licensing
from pmd.audit.counting.measure import MAX_WORDS
from pmd.audit.figures import attributes, pictures, wording
from pmd.audit.figures.datasets import OF_BUILDS

METHODS: Final = {
    **wording.METHODS,
    "attributes": attributes.METHOD,
    "pictures": pictures.METHOD,
    licensing.TRAIT: licensing.METHOD,
    "books": "Rows of the committed files of each stage: kept, and rejected by reason.",
    "readers": "What the readers gave is known by number only: a row that curate rejects is kept without its text.",
    "words": "Words are what white space separates, in all pairs. Means are exact, and so are median and 95th "
    f"percentile up to {MAX_WORDS} words.",
    "languages": "The language identifier of the YFCC filter, on a sample of texts by hash of pair_id, the same sample "
    "at every stage; 'und' where neither of its two detectors is sure. Over all sources the samples are weighted by the "
    "sources' pairs.",
    "countries": "Longitude and latitude in the upstream row, to a time zone, to the one country that has it, with written rules "
    "for northern Vietnam and disputed land; 'ZZ' at sea and where nothing is settled. " + OF_BUILDS,
    "geography": "A country's share of the photographs that lie in a country, beside its share of the world's people, and of its "
    "internet users. By user: the country that most of their photographs show; of several a hash decides. A photographed "
    "country is not a home. Bounds: none of the photographs without a country, or all of them, are of high income.",
    "gendered": "Share of the English texts of the sample with at least one term of a list; whole words, case-folded, "
    "the longest term first. 'neutral' is genbit's non-binary list, which also holds neutral words for people "
    "(firefighter). Of this table figures are exact where all texts were read, and else have the interval of texts drawn by "
    "hash.",
    "another_draw": "What many more such users would give, or images, pages and hosts where no user is named; of crossed "
    "units the wider. Sums over clusters, corrected by CR2 with the correlation within them, t with Satterthwaite's "
    "degrees of freedom; none under 8 of them or with one cluster over 20 % of the pairs. Pairs without a name for the cluster, "
    "as those of a deleted account, are in none: they are left out, and the figures are of the others.",
    "steps": "Pairs with a property that a step kept ÷ those that came to it, ÷ the same of all pairs of the source: 1 where "
    "they fared as all did. Exact, with intervals only where texts were sampled. Values of fewer than 10 pairs are "
    "not shown; a large one that changed by fewer is given as it was (≈).",
    "losses": "Whether what was lost at a step had to do with what it shows, were users or hosts lost as they come: a test "
    "of its own beside the change, which is exact. Clusters are the coarsest of users and hosts that a source has. Of sizes "
    "each user or host is one draw, however large: points are what those of a size keep of their pairs on average, less what "
    "all others keep, to a tenth of a point. Null hypothesis: no more than 0.5 points. In each of the nine sections that look "
    "for findings (seven of losses, terms beside gendered ones, words beside terms of identity) Benjamini and Yekutieli's rule "
    "holds false discoveries to a ninth of 5 %: so of all findings of the page, or of any of its sections, no more than 5 % are "
    "false on average. Findings' intervals are corrected for being chosen.",
    "users": "Pairs of each user, counted. Users are never named.",
    "hosts": "Registrable domains of the upstream image URLs, counted. Hosts with fewer than 10 pairs are not listed; of all "
    "sources there is what is told of each, added up. What follows from their sizes is rounded to 20 pairs if not all are told.",
    "images": "Distinct images, counted, as the build has them: a photograph that COCO and Flickr number counts once. "
    "So do views of one image.",
    "repeated": "Pairs whose text stands on so many images, exactly: all texts, compared in small letters, without accents "
    "and punctuation, every number a 0; texts are shown so. Over all sources, an image counts once for each. Nearly one: "
    "texts on 10 images or more whose runs of 5 characters are 80 % the same (Jaccard), and chains of such texts; of over "
    "262,144 texts those on most images. Where not all of these texts are listed, pairs by one user, of 100 images or more, and "
    "of texts that are nearly one are rounded to 20.",
    "overlap": "Images by identity, as the images stage found them before anything was fetched. Copies that are known by "
    "their bytes or looks only are not counted.",
}
