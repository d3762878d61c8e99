"""What answers and verdicts are written down as: attempts, and the outcome of an image. No loop, no socket."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from pmd.fetch import outcome
from pmd.fetch.http.answer import Answer
from pmd.fetch.lane.images import Image
from pmd.fetch.lane.judging import Judged
from pmd.fetch.lists import blocklists
from pmd.fetch.outcome import Attempt, Fetched
from pmd.schema.statuses import OK


def attempt_of(
    image: Image, url: str, generation: int, when: datetime.datetime, answer: Answer, judged: Judged | None
) -> Attempt:
    """Return one try at a location, as the attempts have it; `judged` is None where it gave no picture."""
    status, error = answer.status, answer.error
    if judged is not None:
        status, error = judged.prepared.inspected.status, judged.prepared.inspected.detail
    if status == blocklists.STATUS:  # what the host says of it tells what it is, and where it lies
        return Attempt(image.image_id, url, generation, when, status, error=error)
    return Attempt(
        image_id=image.image_id,
        location=url,
        generation=generation,
        when=when,
        status=status,
        http_status=answer.http_status,
        final_url=answer.final_url,
        headers=answer.headers,
        policy=answer.policy,
        policy_evidence=answer.policy_evidence,
        error=error,
        seconds=answer.seconds,
    )


def settled(image: Image, url: str, attempts: Sequence[Attempt], judged: Judged) -> Fetched:
    """Return the outcome of an image that a location gave."""
    prepared = judged.prepared
    inspected = prepared.inspected
    return Fetched(
        image_id=image.image_id,
        status=OK,
        location=url,
        tried=_tried(image, attempts),
        attempts=tuple(attempts),
        bytes=judged.length,
        sha256=judged.sha256,
        width_px=inspected.width_px,
        height_px=inspected.height_px,
        format=inspected.format,
        perceptual_hash=prepared.perceptual_hash,
        hashed_form="original" if prepared.perceptual_hash is not None else None,
        frames=inspected.frames,
        stored=prepared.stored,
        stored_form=prepared.stored_form,
        stored_format=prepared.stored_format,
        stored_width_px=prepared.stored_width_px,
        stored_height_px=prepared.stored_height_px,
        listed=judged.listed,
    )


def lost(image: Image, attempts: Sequence[Attempt]) -> Fetched:
    """Return the outcome of an image that no location gave; of each location the last attempt counts."""
    last = {attempt.location: attempt.status for attempt in attempts}
    statuses = [*last.values(), *([image.standing] if image.standing is not None else [])]
    return Fetched(
        image_id=image.image_id,
        status=outcome.most_informative(statuses),
        location=attempts[-1].location if attempts else None,
        tried=_tried(image, attempts),
        attempts=tuple(attempts),
    )


def _tried(image: Image, attempts: Sequence[Attempt]) -> tuple[str, ...]:
    if not image.before and len(attempts) == 1:  # so it is of most
        return (attempts[0].location,)
    return tuple(sorted(image.before | {attempt.location for attempt in attempts}))
