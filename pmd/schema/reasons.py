"""Why a row left: the closed list of reasons, each with the stage that gives it.

`pmd sources --rules` prints this list, docs/contract.md shows it, and a test holds the three together.
"""

from __future__ import annotations

from typing import Final

#: reason → (stage, what it means). A reason is given by exactly one stage.
REASONS: Final[dict[str, tuple[str, str]]] = {
    "malformed_row": ("curate", "the row could not be parsed: wrong number of columns, a missing key, a bad number"),
    "bad_encoding": ("curate", "the row's bytes are not valid UTF-8"),
    "no_image": ("curate", "the row names no image: no URL, no file name, or an image that its annotation file lacks"),
    "bad_url": ("curate", "the image URL is not an absolute http or https URL, or its host is none"),
    "empty_text": ("curate", "nothing is left of the text after normalisation and the rules"),
    "too_few_words": ("curate", "no candidate text has enough words"),
    "not_english": ("curate", "candidate texts have enough words, but none is English"),
    "not_ascii": ("curate", "nothing is left of the text without its non-ASCII characters"),
    "language": ("curate", "the row's own language tag is not one of those asked for"),
    "video": ("curate", "the row is a video"),
    "evaluation_image": ("curate", "the image is in the Karpathy validation or test split"),
    "no_caption": ("curate", "none of the row's caption fields passes its rule"),
    "several_images": ("curate", "the row's URL names several images, so that the caption belongs to none of them"),
    "bad_region": ("curate", "the region is empty or outside its image"),
    "duplicate_row": ("curate", "the same row of the same source stands in its files more than once"),
    "not_sampled": ("images", "the image is outside the sample that was asked for"),
    "evaluation_copy": ("images", "a source left this photograph out as an evaluation image, and here it is again"),
    "takedown": ("images", "the image or the pair is on a takedown list"),
    "licence": (
        "images",
        "the image's licence, as a source states it, is none of `image_allow`, or asks for credit that no page can be named for",
    ),
    "score": ("images", "a score that was given for the image or the pair keeps it out, or is missing"),
    "not_fetched": ("fetch", "the image has not been tried yet, or only by runs that no host answered"),
    "dead": ("fetch", "no location has it: 404, 410 and the like"),
    "forbidden": ("fetch", "every location refuses it: 401, 403, 451"),
    "opted_out": ("fetch", "robots.txt, TDMRep or an X-Robots-Tag says no"),
    "rate_limited": ("fetch", "the host kept asking for fewer requests: 429, 503"),
    "server_error": ("fetch", "the host answered with another 5xx, or with something that is not HTTP"),
    "dns": ("fetch", "the host's name does not resolve"),
    "tls": ("fetch", "the host's certificate or TLS handshake is not acceptable"),
    "connection": ("fetch", "the connection was refused or broke"),
    "timeout": ("fetch", "no whole answer before the deadline"),
    "too_many_redirects": ("fetch", "more redirects than allowed, or a redirect without a target"),
    "too_large": ("fetch", "more bytes than allowed"),
    "not_an_image": ("fetch", "the body is not an image format that is read"),
    "undecodable": ("fetch", "an image by its first bytes, but it does not decode"),
    "too_small": ("fetch", "fewer pixels than asked for"),
    "too_narrow": ("fetch", "the long side is more times the short one than `max_aspect_ratio` allows"),
    "bomb": ("fetch", "more pixels than allowed, by its header, or built to cost far more than it weighs"),
    "placeholder": ("fetch", "the host's 'image removed' picture, by its URL"),
    "changed": (
        "fetch",
        "another picture than a list of `against` says (neither its bytes nor its perceptual hash match), "
        "or other bytes than the picture had that was lost to damage",
    ),
    "blocked_address": ("fetch", "the URL leads to a private or unlisted address, or to another scheme"),
    "blocked_content": ("fetch", "the picture is on a private blocklist; nothing of it is kept but the entry's id"),
    "no_location": ("fetch", "no archive holds it and it has no URL; the source's manifest says where to get it"),
    "repeated_bytes": ("dedupe", "more distinct images than allowed have exactly these bytes: a placeholder"),
    "evaluation_overlap": ("dedupe", "the image is an evaluation image, or looks like one, by a list that was given"),
    "repeated_text": ("dedupe", "its text stands on more images than allowed, and others were drawn to keep it"),
    "near_text": (
        "dedupe",
        "its text and those nearly the same stand on more images than allowed, and others were drawn to keep theirs",
    ),
    "sample_too_small": (
        "shard",
        "the whole image's short side is under `min_side_px`, or, where it is stored by its long side, under the size of shards",
    ),
    "sample_too_narrow": (
        "shard",
        "the long side of the image or region is more times the short one than `max_aspect_ratio` allows",
    ),
    "crop_too_small": ("shard", "the region's short side is under the limit"),
    "box_mismatch": ("shard", "the image's aspect ratio differs by over 1 % from the one that its boxes were drawn on"),
}


def reasons_of(stage: str) -> tuple[str, ...]:
    """Return the reasons that one stage may give, in the order of the list."""
    return tuple(reason for reason, (where, _) in REASONS.items() if where == stage)
