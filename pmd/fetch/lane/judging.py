"""Bytes in, a verdict out: whether they are a picture, one that may be kept, and the one that lists say. No loop, no socket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pmd import codec
from pmd.config.options import FetchOptions
from pmd.config.resizing import Resizing
from pmd.fetch import outcome
from pmd.fetch.lists import blocklists, reference_lists
from pmd.schema.statuses import OK

#: Of a picture that is all that a host has of it.
_DAMAGED: Final = "undecodable"


class Judged(NamedTuple):
    """What `judge` says of a body."""

    length: int
    sha256: bytes
    prepared: codec.Prepared
    listed: str | None = None  # one of `reference_lists.MARKS`


def form_of(options: FetchOptions, *, has_region: bool) -> codec.Form:
    """Return the form in which an image is kept: as it came where the options say so, or regions are cut from it."""
    return codec.ORIGINAL if options.store == "original" or has_region else as_form(options.resizing)


def limits_of(options: FetchOptions) -> codec.Limits:
    """Return what is accepted."""
    return codec.Limits(options.max_pixels, options.min_side_px, options.max_aspect_ratio)


def as_form(wanted: Resizing) -> codec.Form:
    """Return a size and a format as the codec takes them."""
    return codec.Form(
        wanted.side_px,
        wanted.quality,
        wanted.mode,
        wanted.only_if_bigger,
        "jpeg" if wanted.format == "jpg" else wanted.format,
    )


def judge(
    content: bytes,
    limits: codec.Limits,
    form: codec.Form,
    blocklist: blocklists.Blocklist,
    known: Sequence[reference_lists.Known],
    *,
    hashed: bool,
    of_cut: str = _DAMAGED,
) -> Judged:
    """Return what bytes are worth: in the form that is kept, or the status for which they are not kept.

    Args:
        content: The bytes.
        limits: What is accepted.
        form: In which form they are kept; as they came, they are judged by their header and structure alone.
        blocklist: What must not be kept.
        known: What lists say of the image.
        hashed: Whether something asks for the perceptual hash (`asking.who`), for which the picture is decoded.
        of_cut: The status of a picture that is cut (`outcome.of_cut`).
    """

    def prepared() -> codec.Prepared:
        return codec.prepare(content, limits, form, hashed=hashed)

    judged = _judged(content, blocklist, known, prepared)
    found = judged.prepared.inspected
    if found.status != _DAMAGED or of_cut == _DAMAGED or not codec.is_cut(content):
        return judged
    broken_off = found._replace(status=of_cut, detail=f"not all of the picture came: {found.detail}")
    return judged._replace(prepared=codec.Prepared(broken_off))


def judge_at_once(
    content: bytes,
    limits: codec.Limits,
    form: codec.Form,
    blocklist: blocklists.Blocklist,
    known: Sequence[reference_lists.Known],
    *,
    hashed: bool,
) -> Judged | None:
    """Return what `judge` does where that is soon done; None where it takes a decode, or might take long."""
    if hashed or not form.is_original or len(content) > _SOON_BYTES:
        return None
    prepared = codec.at_sight(content, limits)
    return None if prepared is None else _judged(content, blocklist, known, lambda: prepared)


#: Bytes of a plain JPEG that is soon looked through to its end, however it is built: with a marker in every fourth byte, 50 ms.
_SOON_BYTES: Final = 1 << 17


def _judged(
    content: bytes,
    blocklist: blocklists.Blocklist,
    known: Sequence[reference_lists.Known],
    prepare: Callable[[], codec.Prepared],
) -> Judged:
    sha256 = hashlib.sha256(content).digest()
    if (shown := outcome.SUBSTITUTES.get(sha256)) is not None:
        return Judged(len(content), sha256, codec.Prepared(codec.Inspected(shown[0], detail=shown[1])))
    name = blocklist.match(sha256, None)
    prepared = prepare() if name is None else codec.Prepared(codec.Inspected(OK))
    name = name or blocklist.match(None, prepared.perceptual_hash)
    if name is not None:
        refused = codec.Inspected(blocklists.STATUS, detail=blocklists.evidence(name))
        return Judged(len(content), sha256, codec.Prepared(refused))
    if prepared.inspected.status != OK:
        return Judged(len(content), sha256, prepared)
    found = reference_lists.compare(known, sha256, prepared.perceptual_hash)
    if found.mark == reference_lists.STATUS:
        refused = codec.Inspected(reference_lists.STATUS, detail=found.evidence)
        return Judged(len(content), sha256, codec.Prepared(refused))
    return Judged(len(content), sha256, prepared, found.mark)
