"""Exceptions of object stores' clients, told from those that a file is the cause of."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from pmd.books import report
from pmd.errors import InputError
from pmd.fetch.ledger import stored
from pmd.formats import parquet
from pmd.store import clients, shortage
from pmd.store.patience import CutShortError


def of_s3(code: str, kind: type[OSError] = OSError, number: int | None = errno.EIO) -> OSError:
    """Return what s3fs makes of an answer."""
    error = kind(number, "refused") if number is not None else kind("refused")
    cause: Any = type("ClientError", (Exception,), {"__module__": "botocore.exceptions"})
    error.__cause__ = cause(f"An error occurred ({code}) when calling the GetObject operation: refused")
    return error


def of_gcs(error: Exception) -> Exception:
    """Return an error as gcsfs raises it: it may be one of Python's, and tells by where it was raised."""
    client: dict[str, Any] = {"__name__": "gcsfs.retry", "error": error}
    with pytest.raises(type(error)) as caught:
        exec("raise error", client)
    return caught.value


def http_error(words: str) -> Exception:
    error: Exception = type("HttpError", (Exception,), {"__module__": "gcsfs.retry"})(words)
    return error


REFUSED = [
    of_s3("InvalidTokenId"),
    of_s3("SlowDownRead"),
    of_s3("AuthorizationHeaderMalformed", number=errno.EINVAL),
    of_s3("AccessDenied", PermissionError, None),
    of_gcs(OSError("Forbidden: https://storage/o\nno")),
    of_gcs(ValueError("Bad Request: https://storage/o\ninvalid project")),
    http_error("Backend, 503"),
    CutShortError("3 bytes, where 5 were asked for"),
]
NAMES = [type(error).__name__ + str(number) for number, error in enumerate(REFUSED)]


@pytest.mark.parametrize("error", REFUSED, ids=NAMES)
def test_what_a_store_refuses_is_no_damage(error: Exception) -> None:
    """A store that was away, or credentials that had ended, were told as damage: `pmd repair` would have fetched all anew."""
    assert clients.raised(error)
    assert not shortage.tells_of_bytes(error)
    for take in (shortage.refuse_of_storage, report.refuse_ours):
        with pytest.raises(type(error)) as caught:
            take(error)
        assert caught.value is error


@pytest.mark.parametrize("error", REFUSED, ids=NAMES)
@pytest.mark.parametrize("read", ["a stored picture", "a table"])
def test_what_a_store_refuses_is_raised_where_something_is_read(error: Exception, read: str) -> None:
    def get() -> bytes:
        raise error

    def read_table() -> None:
        with parquet.telling("s3://bucket/table.parquet"):
            get()

    row = {"store_file": "fetch/store/1.tar", "image_id": b"1", "offset": 0, "length": 5}
    whole: Callable[[], object] = read_table if read == "a table" else lambda: stored.checked(row, get)
    with pytest.raises(type(error)) as caught:
        whole()
    assert caught.value is error


@pytest.mark.parametrize(
    "error",
    [
        of_s3("NoSuchKey", FileNotFoundError, None),
        of_gcs(FileNotFoundError("bucket/o")),
        of_s3("InvalidRange", number=errno.EINVAL),
        http_error("<Error><Code>InvalidRange</Code></Error>, 416"),
    ],
)
def test_what_is_gone_or_shorter_tells_of_a_file(error: Exception) -> None:
    assert clients.raised(error)
    assert shortage.tells_of_bytes(error)


@pytest.mark.parametrize(
    ("error", "tells"),
    [
        (OSError(errno.EIO, "bad sector", "/r/x"), True),
        (OSError(errno.EACCES, "no", "/r/x"), False),
        (ValueError("a decoder's"), True),
        (pa.ArrowInvalid("a decoder's"), True),
    ],
)
def test_errors_of_this_machine_are_not_those_of_a_client(error: Exception, tells: bool) -> None:
    assert not clients.raised(error)
    assert shortage.tells_of_bytes(error) is tells


def test_a_table_that_no_store_refuses_is_damaged() -> None:
    with pytest.raises(InputError, match="damaged or cut short"), parquet.telling("a.parquet"):
        raise pa.ArrowInvalid("no magic bytes")


def test_a_name_that_no_object_can_have_is_no_failure_of_the_store() -> None:
    assert clients.fails(of_s3("AccessDenied", PermissionError, None))
    assert clients.fails(http_error("Backend, 503"))
    assert not clients.fails(of_s3("KeyTooLongError", number=errno.ENAMETOOLONG))
    assert not clients.fails(OSError(errno.ENAMETOOLONG, "too long"))
