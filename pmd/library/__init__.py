"""pmd as a library: what `import pmd` offers, each thing under its own module. Loaded only when it is asked for.

::

    corpus       load: a ROOT, or published lists, as tables
    tables       a table: chosen, streamed, as Arrow or pandas
    reading      what each table is read from
    audits       the audit's figures as tables
    pictures     open_image: stored pictures
    building     build: what `pmd build` does
    values       functions on one value or a column: URLs, languages, perceptual hashes
"""
