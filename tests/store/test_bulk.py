"""Many objects of S3 removed by one request, told by what a store answers."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from pmd.store import bulk


class Store:
    """Stands for a client of S3: removes what it is asked to, and says what it is told to.

    Args:
        says: What its answer says of single objects; or what it raises for the whole request.
    """

    def __init__(self, says: list[dict[str, str]] | OSError) -> None:
        self.says = says
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call_s3(self, method: str, **said: Any) -> dict[str, Any]:
        """Answer."""
        self.asked.append((method, said))
        if method == "delete_object":
            return {}
        if isinstance(self.says, OSError):
            raise self.says
        return {"Errors": self.says} if self.says else {}


def refusal(number: int, said: str) -> OSError:
    error = OSError(number, "refused")
    error.__cause__ = RuntimeError(f"An error occurred {said}")
    return error


OBJECTS = [{"Key": "a"}, {"Key": "b", "VersionId": "1"}, {"Key": "b", "VersionId": "2"}]


def test_what_the_answer_says_of_single_objects_is_told() -> None:
    store = Store(
        [
            {"Key": "b", "VersionId": "2", "Code": "AccessDenied", "Message": "locked"},
            {"Key": "a", "Code": "NoSuchKey", "Message": "gone"},
        ]
    )
    assert bulk.refused(store, "bucket", OBJECTS) == [(OBJECTS[2], "AccessDenied: locked")]
    assert store.asked == [("delete_objects", {"Bucket": "bucket", "Delete": {"Objects": OBJECTS, "Quiet": True}})]
    assert bulk.refused(Store([]), "bucket", OBJECTS) == []


def test_an_answer_may_say_that_no_version_is_meant() -> None:
    """So does MinIO: what it had not removed was passed over, and stayed."""
    store = Store([{"Key": "a", "VersionId": "", "Code": "AccessDenied", "Message": "locked"}])
    assert bulk.refused(store, "bucket", OBJECTS) == [(OBJECTS[0], "AccessDenied: locked")]


@pytest.mark.parametrize(
    "error",
    [
        refusal(errno.EIO, "(MissingContentMD5) when calling the DeleteObjects operation: Missing required header"),
        refusal(errno.EINVAL, "(InvalidRequest): Missing required header for this request: Content-MD5"),
        refusal(errno.ENOSYS, "(NotImplemented): x"),
        refusal(errno.EPERM, "(405): Method Not Allowed"),
    ],
)
def test_a_store_that_takes_no_such_request_leaves_each_to_be_removed_alone(error: OSError) -> None:
    store = Store(error)
    assert bulk.refused(store, "bucket", OBJECTS) == [(one, None) for one in OBJECTS]
    bulk.remove_alone(store, "bucket", OBJECTS[1])
    assert store.asked[-1] == ("delete_object", {"Bucket": "bucket", "Key": "b", "VersionId": "1"})


def test_a_store_that_refuses_everything_is_told() -> None:
    with pytest.raises(OSError, match="refused"):
        bulk.refused(Store(refusal(errno.EACCES, "(AccessDenied): x")), "bucket", OBJECTS)
