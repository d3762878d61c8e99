"""The demonstration: a small web, PMD's annotation files in upstream's formats, and what must come of them."""
