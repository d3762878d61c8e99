"""Many objects of S3 removed by one request: what a store says of each, and stores that take no such request.

s3fs passes over what the answer says of single objects, which then stay where they are. And some stores that speak S3 want a
header with the request that its client no longer sends (Content-MD5), or know no such request. There each object goes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pmd.store.patience import patiently

#: How many a request may name.
AT_ONCE: Final = 1000
#: What a store says, in small letters, that does not take the request.
_UNTAKEN: Final = ("content-md5", "contentmd5", "notimplemented", "methodnotallowed", "(501)", "(405)")
#: What it says of an object that is gone already.
_GONE: Final = frozenset({"NoSuchKey", "NoSuchVersion"})

#: An object as S3's API names it: its `Key`, and maybe its `VersionId`.
Named = Mapping[str, str]


def refused(fs: Any, bucket: str, objects: Sequence[Named]) -> list[tuple[Named, str | None]]:
    """Remove objects, `AT_ONCE` at most; return those that were not, and why in the store's words; None: it removes one alone.

    Raises:
        OSError: The store refuses the whole request.
    """
    try:
        answer = fs.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": [*objects], "Quiet": True})
    except OSError as error:
        told = f"{error} {error.__cause__}".lower()
        if not any(word in told for word in _UNTAKEN):
            raise
        return [(one, None) for one in objects]
    asked = {(one["Key"], one.get("VersionId")): one for one in objects}
    # Where no version was named, some say that none is, by "" (MinIO).
    found = [(asked.get((one["Key"], one.get("VersionId") or None)), one) for one in answer.get("Errors", ())]
    return [
        (one, f"{said.get('Code')}: {said.get('Message')}")
        for one, said in found
        if one is not None and said.get("Code") not in _GONE
    ]


def remove_alone(fs: Any, bucket: str, one: Named) -> None:
    """Remove an object by a request of its own.

    Raises:
        OSError: The store refuses it.
    """
    patiently(lambda: fs.call_s3("delete_object", Bucket=bucket, **one))
