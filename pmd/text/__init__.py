"""Texts and URLs, a column at a time: cleaning, canonical URLs and identities, language, near-duplicates.

Modules, each importing only those above it::

    cleaning      texts: normalised, counted, cut, freed of upstream's encodings
    tokens        texts cut at blanks, each distinct word once
    identifier    fastText's identifier of languages
    language      which texts are English
    minhash       hash values of texts, as MinHash has them
    neighbours    near-duplicate texts
    urls          URLs: canonical, in other spellings, and their hosts
    url_identity  which image a URL shows
    domain_names  hosts: what is above one, and who registered it
    pages         web pages about one image, and which it is
    credit        a line that names a picture's licence and leads to its author
"""
