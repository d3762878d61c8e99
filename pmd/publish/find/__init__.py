"""find.html: whether an image is in the lists, and how to have it removed; a page beside them that asks no server.

All that it knows it has from the published lists, so what leaves these leaves it. The page works out what an address, a page,
an id or a picture's bytes are called here. Its scripts have the rules of `pmd.text` (`urls`, `url_identity`, `pages`). Then it
loads the one shard of the index in which that name would be. A browser refuses to fetch files beside a page that was opened
from a folder, but runs scripts that stand there: so each shard is a script. Modules, each importing only those above it::

    index  the shards: which names the lists have, in which sources, under which licences
    page   the page, with its scripts in it

Beside them stand the scripts: `hashes.js`, `addresses.js`, `page.js`, `page.html`.
"""
