"""Why a row left, whatever the options of the stages say: by what a source, an address, a host or a list says of it.

A reason that comes with an option stands beside the option; `pmd.config.reasons` has them all. Those of `fetch` are all here,
since they are the statuses of the ledger, too.
"""

from __future__ import annotations

from typing import Final

#: reason → (stage, what it means).
WITHOUT_OPTION: Final[dict[str, tuple[str, str]]] = {
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
    "withdrawn": (
        "curate",
        "the row of a published list has left a later release, by the list of what has left beside it",
    ),
    "not_sampled": ("images", "the image is outside the sample that was asked for"),
    "takedown": ("images", "the image or the pair is on a takedown list"),
    "score": ("images", "a score that was given for the image or the pair keeps it out, or is missing"),
    "not_fetched": ("fetch", "the image has not been tried yet, or only by runs that no host answered"),
    "dead": ("fetch", "no location has it: 404, 410 and the like"),
    "forbidden": ("fetch", "every location refuses it: 401, 403, 451, or the host's picture for where it shows none"),
    "opted_out": ("fetch", "robots.txt, TDMRep, an X-Robots-Tag, Content-Signal or Content-Usage says no"),
    "rate_limited": ("fetch", "the host kept asking for fewer requests, or refused for now: 429, 503 and the like"),
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
    "placeholder": ("fetch", "the host's 'image removed' picture, by its URL or its bytes"),
    "changed": (
        "fetch",
        "another picture than a list of `against` says (neither its bytes nor its perceptual hash match), "
        "or other bytes than the picture had that was lost to damage",
    ),
    "blocked_address": ("fetch", "the URL leads to a private or unlisted address, or to another scheme"),
    "blocked_content": ("fetch", "the picture is on a private blocklist; nothing of it is kept but the entry's id"),
    "no_location": ("fetch", "no archive holds it and it has no URL; the source's manifest says where to get it"),
}
