"""What each column of a published list says, for those who read the lists without this project."""

from __future__ import annotations

from typing import Final

#: Column → what it says. docs/contract.md has the same list, with types.
COLUMNS: Final[dict[str, str]] = {
    "image_url": "the image's URL as upstream gives it; null where upstream gives none, or where it may not be handed on",
    "text": "the caption; null where it may not be handed on",
    "source": "the source, as facebook/pmd spells it",
    "meta": "JSON object of some of upstream's fields, under upstream's names; null with the text",
    "pair_id": "this pair: hash of the source and upstream's id, 32 hex digits; the same in every build",
    "image_id": "its image: hash of the image's identity, 32 hex digits; several pairs may show one",
    "identity": "which image it is (`flickr:ID`, `ade20k:NAME`), where it has no URL",
    "file_name": "the image's name in upstream's archive of images, where it has no URL",
    "region": "`[x, y, width, height]` in fractions of the image as upstream has it, where the caption is of a part of it; null: "
    "of all of it",
    "status": "what became of the image when it was fetched; `ok` in every row of a list",
    "sha256": "SHA-256 of the original image as it was fetched, hex",
    "perceptual_hash": "PDQ of the image, hex: tells the same picture in other bytes; null where nothing asked for it",
    "width": "of the original, upright, in px",
    "height": "of the original, upright, in px",
    "text_licence": "licence of the text: an SPDX expression, or NOASSERTION where none is stated",
    "image_licence": "licence of the image, likewise; never concluded from the text's",
    "licence_evidence": "the URL that the image's licence was read from",
    "attribution": "the line that credits the image's author, where its licence asks for one and a page can be named",
    "split": "train, validation or test: upstream's, train where it says none; images that are one are in one split",
    "withheld_digest": "where URL, text or meta may not be handed on: SHA-256 of them, by which whoever has them refills the row",
}
