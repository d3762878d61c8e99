"""Fills the demo's world: every row of PMD's sources, with its picture, its answer on the web, and its intended outcome.

One module a source, in upstream's order of things; what several sources share (the same photograph of Flickr) is made
first. The odd rows are here on purpose, one or two of every kind that upstream's files have: nearly every reason for
which curate rejects, and nearly every status in which a fetch ends.
"""

from __future__ import annotations

import functools

from pmd.demo.rows import coco, conceptual, narratives, red_caps, sbu, shared, visual_genome, wit, yfcc
from pmd.demo.web import Answer
from pmd.demo.world import Builder, World


@functools.cache
def build_world() -> World:
    """Return the demo's world: the same each time."""
    builder = Builder()
    photographs = shared.photographs(builder)
    coco.fill(builder, photographs)
    visual_genome.fill(builder, photographs)
    narratives.fill(builder)
    red_caps.fill(builder, photographs)
    yfcc.fill(builder, photographs)
    sbu.fill(builder, photographs)
    conceptual.fill(builder, photographs)
    wit.fill(builder)
    _policies(builder)
    return builder.finish()


def _policies(builder: Builder) -> None:
    """Serve what hosts say about who may take their pictures."""
    robots = b"User-agent: *\nDisallow: /private/\n"
    builder.serve("http://robots.blog.example/robots.txt", Answer(robots, content_type="text/plain"))
    reserved = b'[{"location": "/", "tdm-reservation": 1}]\n'
    builder.serve(
        "http://reserved.blog.example/.well-known/tdmrep.json", Answer(reserved, content_type="application/json")
    )
    everyone = b"User-agent: *\nAllow: /\nCrawl-delay: 0\n"
    builder.serve("https://upload.wikimedia.org/robots.txt", Answer(everyone, content_type="text/plain"))
