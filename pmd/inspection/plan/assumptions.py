"""What the figures of a plan rest on where nothing tells them, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pmd.fetch.politeness import forecast
from pmd.inspection.plan import sampling
from pmd.inspection.plan.estimates import Estimate
from pmd.inspection.plan.expected import SourceFigures
from pmd.inspection.plan.sizes import CROP_BYTES, ORIGINAL_BYTES, RESIZED_BYTES, Written
from pmd.manifests.selecting import human_bytes

ASSUMPTIONS: Final = (
    f"{forecast.IMAGE_S:g} s that an image keeps a connection: four round trips of 90 ms (across the Atlantic, by Verizon's "
    "service level agreement), which 163 kB take from TCP's first window",
    f"{forecast.LANE_IMAGES_PER_S:g} images a second decoded and resized in a lane with a core of its own "
    "(docs/benchmarks/pictures.md: 520 in two)",
    "the first location of each image has it, no host asks for patience; robots.txt and redirects not counted",
)

#: More of them where nothing tells of …
_OF_PICTURES: Final = (
    f"{human_bytes(ORIGINAL_BYTES)} an original (COCO's archives: 20.16 GB of 123,287 photographs), "
    f"{human_bytes(RESIZED_BYTES)} a picture with its short side at 256 px, JPEG quality 95 (mean of 80 of COCO's; other sizes "
    f"by area, modes and formats by the mean of the same 80), "
    f"{human_bytes(CROP_BYTES)} a crop of a region: a guess, half or twice as much"
)
_OF_LINKS: Final = (
    "of 100 links 65 have their image (40 to 95: published rates for web images are 57 to 70), of those to upstream's own "
    "stores 98 (90 to 100)"
)
_OF_COPIES: Final = "of 100 images that are there 98 are left when copies are merged (85 to 100): a guess"
_OF_HOSTS: Final = (
    "of sources whose files are not there: images as often shared as published; RedCaps' in equal parts on Reddit, Imgur and "
    "Flickr; hosts of Conceptual Captions, Conceptual 12M: none holds a lane up; no image in two sources"
)
OF_ADOPTED: Final = (
    "what `adopt` names is not looked into: images that it has are counted as to fetch, and will take no time"
)
#: Where some images are the store's already.
OF_STORE: Final = (
    f"what the store has of an image under another identity is taken over, as {forecast.STORE}, and nobody is asked for it: "
    "where its bytes are damaged or on a blocklist, the web is"
)
#: Where a source is not read whole, and …
_OF_OTHER_NAMES: Final = (
    "images to fetch are at most so many: what the store has of an image under another identity is taken over, and is counted "
    "here as to be asked for"
)
_OF_KEPT_OUT: Final = (
    "images are at most so many: pictures of rows that suppression lists drop leave wherever they are shown, and of a source "
    "that is not curated yet only the rows that were read tell them"
)
_OF_SAMPLES: Final = (
    f"what was not read of annotation files is like what was: {sampling.WINDOWS} places of {sampling.WINDOW_BYTES >> 10} kB of "
    f"plain lines, {sampling.BLOCKS} blocks of bzip2, the first rows in {sampling.DOCUMENTS} documents of what must be read "
    "from its start; rows that repeat each other further apart are not seen"
)


def guesses(
    found: Sequence[SourceFigures],
    fetched: Estimate,
    by_guess: Estimate,
    pictures_basis: str,
    written: Written,
    *,
    has_ledger: bool,
    has_lists: bool,
) -> list[str]:
    """Return what is guessed, in words.

    Args:
        found: The sources.
        fetched: Images that are there in the end.
        by_guess: Those to fetch of which it is guessed how many are still there.
        pictures_basis: Where the sizes of pictures come from.
        written: What the shards come to.
        has_ledger: Whether anything was fetched before.
        has_lists: Whether suppression lists hold.
    """
    is_read = all(item.basis in {"committed", "counted"} for item in found)
    guesses = [
        _OF_SAMPLES if any(item.basis == "sampled" for item in found) else "",
        _OF_HOSTS if any(item.basis in {"published", "Table 2"} for item in found) else "",
        _OF_LINKS if by_guess.rounded().value else "",
        _OF_PICTURES if "guess" in {pictures_basis, written.bytes_basis} and fetched.value else "",
        _OF_COPIES if written.basis == "guess" and fetched.value else "",
        _OF_OTHER_NAMES if has_ledger and not is_read else "",
        _OF_KEPT_OUT if has_lists and not is_read else "",
    ]
    return [said for said in guesses if said]
