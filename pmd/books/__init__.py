"""The books: what each stage took in, kept and rejected; as commits tell it, and recounted from their files.

Modules, each importing only those above it::

    committed       commits with their books, and which sources they were made of
    list_files      the files of published lists, in folders of any kind
    pictures        which images have certain bytes, or look a certain way
    redirects       where the addresses of images have led
    balance         whether each stage took what the one before it kept
    report          what a recount has to tell
    reconciliation  every pair, in every stage it stands in, brought together by its key
    recount         how the files of one commit are read; each stage has its own in `pmd/<stage>/recount.py`
"""
