"""The demonstration: a small web, every source's annotation files in upstream's formats, and what must come of them."""
