"""The demonstration: a small web, annotation files of every source in upstream's formats, and what must come of them."""
