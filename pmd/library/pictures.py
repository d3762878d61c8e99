"""Stored pictures, by the key of an image or of a pair: through the ledger, one range read of the store, checked."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pmd import codec
from pmd.config.reasons import REASONS
from pmd.errors import ConfigError, InputError, PmdError
from pmd.fetch.ledger import stored
from pmd.inspection import explain
from pmd.schema.statuses import OK, TRANSIENT
from pmd.store import failures

if TYPE_CHECKING:
    from PIL import Image

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")


class NotStored(PmdError):
    """A picture that is not in the store; its `status` says what became of it.

    >>> import pmd
    >>> ledger = pmd.load("demo/pmd").ledger.select(["image_id", "status"]).to_pandas()
    >>> gone = ledger[ledger.status == "dead"].iloc[0]
    >>> try:
    ...     pmd.open_image("demo/pmd", gone.image_id)
    ... except pmd.NotStored as error:
    ...     print(error.status)
    dead

    Attributes:
        image_id: The image.
        status: One of the ledger's statuses (docs/contract.md), or "not_fetched" where it has no row.
    """

    def __init__(self, root: str, image_id: bytes, status: str) -> None:
        super().__init__(
            "the picture is not stored",
            where=f"{root}: image {image_id.hex()}",
            expected=f"status {OK}",
            found=f"status {status}: {REASONS[status][1]}",
            remedy=_remedy(status),
        )
        self.root, self.image_id, self.status = root, image_id, status

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return type(self), (self.root, self.image_id, self.status)


def _remedy(status: str) -> str | None:
    if status == "not_fetched":
        return "run: pmd build CONFIG, or pmd.build(CONFIG)"
    return f"run: pmd fetch CONFIG --retry {status}" if status in TRANSIENT else None


def open_image(root: str | os.PathLike[str], key: bytes | str) -> Image.Image:
    """Return the stored picture of an image: upright, sRGB, without transparency, of several frames the first.

    It is the whole picture, also for a pair that is of a region of it. An image that stands in the ledger costs a few small
    reads. Any other key is looked up among the pairs, and so is a photograph's other identity: that reads a column of
    all pairs.

    >>> import pmd
    >>> ledger = pmd.load("demo/pmd").ledger.only(source="coco").to_pandas()
    >>> image_id = ledger[ledger.status == "ok"].image_id.iloc[0]
    >>> pmd.open_image("demo/pmd", image_id).mode
    'RGB'

    Args:
        root: A ROOT, as a path or an fsspec URL.
        key: The image_id or pair_id: 16 bytes, or 32 hexadecimal digits.

    Raises:
        NotStored: The image is known, but its picture was not fetched; says with which status.
        PmdError: Nothing there has this key.
        RootError: There is no ROOT.
        VerificationError: The store's file is gone, or the bytes are not those that were stored.
        InputError: The stored bytes are no picture that can be decoded.
    """
    where = os.fspath(root)
    with failures.at(where):
        image_id, row = explain.settled(where, _key(key))
        status = "not_fetched" if row is None else row["status"]
        if row is None or status != OK:
            raise NotStored(where, image_id, status)
        content = stored.read(where, row)
    # What was accepted when it was stored is accepted here, whatever the limit was then.
    pixels = (row["width_px"] or 0) * (row["height_px"] or 0)
    try:
        return codec.upright_rgb(content, max_pixels=max(codec.MAX_PIXELS, pixels))
    except codec.Refused as refused:
        raise InputError(
            "the stored picture cannot be decoded",
            where=f"{row['store_file']}: image {image_id.hex()}",
            expected="a picture",
            found=f"{refused.status}: {refused.detail}",
        ) from None


def _key(given: bytes | str) -> bytes:
    if isinstance(given, str) and _HEX.fullmatch(given):
        return bytes.fromhex(given)
    if isinstance(given, bytes) and len(given) == 16:
        return given
    raise ConfigError("not a key", where="key", expected="16 bytes, or 32 hexadecimal digits", found=repr(given)[:80])
